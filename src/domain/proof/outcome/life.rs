//! Whether a device was there at some time: the trail of its records, whatever their kind.

use super::{Reason, SILENCE_MS, Verdict};
use crate::domain::ids::ChainId;
use crate::domain::time::UtcMs;
use std::collections::BTreeMap;

/// A record as a sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sign {
    pub chain: ChainId,
    pub seq: u64,
    pub boot: u64,
    /// Device time.
    pub at_ms: UtcMs,
}

/// The trail of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    chains: BTreeMap<ChainId, BTreeMap<u64, Sign>>,
    receipted: BTreeMap<ChainId, Receipted>,
    /// Numbers declared lost, both inclusive.
    lost: BTreeMap<ChainId, Vec<(u64, u64)>>,
}

/// How far a chain is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipted {
    /// Device time of its first record.
    pub first_ms: UtcMs,
    /// The last number without a gap before it.
    pub upto: u64,
    /// Device time of that record.
    pub upto_ms: UtcMs,
}

impl Life {
    /// Adds a record; again has no effect.
    pub fn see(&mut self, sign: Sign) {
        self.chains.entry(sign.chain).or_default().insert(sign.seq, sign);
    }

    /// Notes how far a chain is complete.
    pub fn complete(&mut self, chain: ChainId, receipted: Receipted) {
        self.receipted.insert(chain, receipted);
    }

    /// Notes numbers that the device declared lost.
    pub fn lose(&mut self, chain: ChainId, from: u64, to: u64) {
        self.lost.entry(chain).or_default().push((from, to));
    }

    /// Says whether all records of the stretch have come, and of `settle_ms` after it.
    pub fn is_complete(&self, from: UtcMs, to: UtcMs, settle_ms: i64) -> bool {
        let settled = to.plus(settle_ms);
        self.receipted.values().any(|known| known.first_ms <= from && settled <= known.upto_ms)
    }

    /// Judges a cue of which no record speaks: was the device there?
    pub(super) fn absent(&self, from: UtcMs, to: UtcMs) -> (Verdict, Reason) {
        let mut best: Option<(Verdict, Reason)> = None;
        let mut before: Option<Sign> = None;
        for chain in self.chains.values() {
            let signs: Vec<&Sign> = chain.values().collect();
            let last = signs.iter().rfind(|sign| sign.at_ms < from);
            before = before.max_by_time(last.copied().copied());
            // Records in the cue's time, and the neighbours on either side.
            let first_in = signs.iter().position(|sign| sign.at_ms >= from);
            let Some(first_in) = first_in else { continue };
            let after_last = signs.iter().position(|sign| sign.at_ms > to).unwrap_or(signs.len());
            let begin = first_in.saturating_sub(1);
            let end = (after_last + 1).min(signs.len()).max(begin + 1);
            let around = &signs[begin..end];
            let found = self.judge_trail(around, from, to);
            best = match (best, found) {
                (Some(best), Some(found)) => {
                    Some(if rank(&found) < rank(&best) { found } else { best })
                }
                (best, found) => best.or(found),
            };
        }
        let silent = match before {
            Some(sign) => Reason::Silent { since_ms: sign.at_ms },
            None => Reason::NeverHeard,
        };
        best.unwrap_or((Verdict::Offline, silent))
    }

    fn judge_trail(&self, around: &[&Sign], from: UtcMs, to: UtcMs) -> Option<(Verdict, Reason)> {
        // What is missing among its records may be what speaks of the cue.
        let hole = around.windows(2).find_map(|pair| self.hole(pair[0], pair[1]));
        if let Some(reason) = hole {
            return Some((Verdict::Offline, reason));
        }
        let restart = around.windows(2).find(|pair| pair[1].boot != pair[0].boot);
        let last = around.last().copied()?;
        if around.iter().any(|sign| sign.at_ms >= from && sign.at_ms <= to) {
            // Until it has spoken after the end, its word on the cue may still come.
            return Some(if last.at_ms > to {
                (Verdict::Missing, Reason::NoPlay)
            } else {
                (Verdict::Offline, Reason::Silent { since_ms: last.at_ms })
            });
        }
        let [before, after] = around else { return None };
        if let Some(pair) = restart {
            return Some((Verdict::Offline, Reason::Restarted { at_ms: pair[1].at_ms }));
        }
        Some(if after.at_ms.since(before.at_ms) <= SILENCE_MS {
            (Verdict::Missing, Reason::NoPlay)
        } else {
            (Verdict::Offline, Reason::Silent { since_ms: before.at_ms })
        })
    }

    /// Names what is missing between two records. Numbers that are stored, but of another time
    /// (a clock was set), are not.
    fn hole(&self, before: &Sign, after: &Sign) -> Option<Reason> {
        let (chain, from, to) = (before.chain, before.seq + 1, after.seq.checked_sub(1)?);
        if from > to {
            return None;
        }
        let upto = self.receipted.get(&chain).map_or(0, |known| known.upto);
        let lost = self.lost.get(&chain).into_iter().flatten();
        let missing = to > upto || lost.into_iter().any(|(a, b)| *a <= to && from <= *b);
        missing.then_some(Reason::Gap { chain, from, to })
    }
}

/// Which of two chains' answers says more.
fn rank(found: &(Verdict, Reason)) -> u8 {
    match found.1 {
        Reason::Gap { .. } => 0,
        Reason::NoPlay => 1,
        Reason::Restarted { .. } => 2,
        _ => 3,
    }
}

trait Later: Sized {
    fn max_by_time(self, other: Option<Sign>) -> Self;
}

impl Later for Option<Sign> {
    fn max_by_time(self, other: Option<Sign>) -> Self {
        match (self, other) {
            (Some(a), Some(b)) => Some(if b.at_ms > a.at_ms { b } else { a }),
            (a, b) => a.or(b),
        }
    }
}

//! Whether a device was there at some time: the trail of its records, whatever their kind.

use super::{AFTER_MS, Reason, SILENCE_MS, Verdict};
use crate::domain::ids::ChainId;
use crate::domain::time::UtcMs;
use std::collections::{BTreeMap, BTreeSet};

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
    /// Numbers beyond a gap that are stored, of whatever time.
    aside: BTreeMap<ChainId, BTreeSet<u64>>,
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

    /// Returns the chains of which records beyond a gap were seen, and how far they are complete.
    pub fn broken(&self) -> Vec<(ChainId, u64)> {
        let upto = |chain| self.receipted.get(chain).map_or(0, |known| known.upto);
        let highest = |signs: &BTreeMap<u64, Sign>| signs.keys().next_back().copied();
        let chains = self.chains.iter();
        chains
            .filter(|(chain, signs)| highest(signs) > Some(upto(chain)))
            .map(|(chain, _)| (*chain, upto(chain)))
            .collect()
    }

    /// Notes numbers beyond a gap that are stored.
    pub fn hold(&mut self, chain: ChainId, numbers: impl IntoIterator<Item = u64>) {
        self.aside.entry(chain).or_default().extend(numbers);
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
            let last = chain.values().rfind(|sign| sign.at_ms < from);
            before = before.max_by_time(last.copied());
            for found in self.of_chain(chain, from, to) {
                if best.as_ref().is_none_or(|best| rank(&found) < rank(best)) {
                    best = Some(found);
                }
            }
        }
        let silent = match before {
            Some(sign) => Reason::Silent { since_ms: sign.at_ms },
            None => Reason::NeverHeard,
        };
        best.unwrap_or((Verdict::Offline, silent))
    }

    /// Judges by each pair of neighbours, by number, that touches the cue's time. What is told of
    /// another time altogether is left out, so that a clock that was wrong for a while says nothing
    /// of days it had no part in.
    fn of_chain(
        &self,
        chain: &BTreeMap<u64, Sign>,
        from: UtcMs,
        to: UtcMs,
    ) -> Vec<(Verdict, Reason)> {
        let near = from.plus(-SILENCE_MS)..=to.plus(AFTER_MS);
        let signs: Vec<&Sign> = chain.values().filter(|sign| near.contains(&sign.at_ms)).collect();
        let within = |sign: &Sign| from <= sign.at_ms && sign.at_ms <= to;
        let mut found = Vec::new();
        if let Some(first) = signs.first().filter(|sign| within(sign)) {
            found.extend(self.hole(first.chain, first.seq.saturating_sub(1), first.seq));
        }
        for pair in signs.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            let over = a.at_ms < from && b.at_ms > to;
            if !(over || within(a) || within(b)) {
                continue;
            }
            // What is missing among its records may be what speaks of the cue.
            let hole = self.hole(a.chain, a.seq + 1, b.seq);
            found.push(if let Some(gap) = hole {
                gap
            } else if within(a) && !within(b) {
                (Verdict::Missing, Reason::NoPlay)
            } else if over && a.boot != b.boot {
                (Verdict::Offline, Reason::Restarted { at_ms: b.at_ms })
            } else if over && b.at_ms.since(a.at_ms) <= SILENCE_MS {
                (Verdict::Missing, Reason::NoPlay)
            } else {
                continue;
            });
        }
        // Until it has spoken after the end, its word on the cue may still come.
        if let (true, Some(last)) = (found.is_empty(), signs.iter().rfind(|sign| sign.at_ms <= to))
        {
            let silent = Reason::Silent { since_ms: last.at_ms };
            found.push((Verdict::Offline, silent));
        }
        found
    }

    /// Names what is missing of the numbers from `from` on and below `end`. Numbers that are
    /// stored, but of another time (a clock was set), are not.
    fn hole(&self, chain: ChainId, from: u64, end: u64) -> Option<(Verdict, Reason)> {
        let to = end.checked_sub(1)?;
        if from == 0 || from > to {
            return None;
        }
        let upto = self.receipted.get(&chain).map_or(0, |known| known.upto);
        let signs = self.chains.get(&chain);
        let aside = self.aside.get(&chain);
        let stored = |seq: &u64| {
            signs.is_some_and(|signs| signs.contains_key(seq))
                || aside.is_some_and(|aside| aside.contains(seq))
        };
        let beyond = from.max(upto.saturating_add(1));
        let lost = self.lost.get(&chain).into_iter().flatten();
        let missing = (beyond..=to).any(|seq| !stored(&seq))
            || lost.into_iter().any(|(a, b)| *a <= to && from <= *b);
        missing.then_some((Verdict::Offline, Reason::Gap { chain, from, to }))
    }
}

/// Which of several answers says more.
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

//! Whether a device was there at some time: its records, whatever they say, as signs of life.
//!
//! Signs that follow each other closely are kept as one [`Run`]: within it the answer is always
//! the same, so nothing is lost.

use super::trail::Chain;

/// A device says that it lives at least every half hour; a silence longer than two beats is one.
pub const SILENCE_MS: i64 = 60 * 60_000;

/// What is written so long after a stretch still shows whether the device was there.
const AFTER_MS: i64 = 24 * 3_600_000;

/// Signs with consecutive numbers of one boot, none more than a silence after the one before, and
/// none before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub first: u64,
    pub last: u64,
    boot: u64,
    from_ms: i64,
    to_ms: i64,
}

/// What the trail says of a time in which no record speaks of the cue; the better answer is less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Absent {
    /// Records are missing that may have spoken of it.
    Gap,
    /// It was there and said nothing of it.
    There,
    Restarted,
    Silent,
}

impl Run {
    /// Returns the run of one sign.
    pub fn of(seq: u64, boot: u64, at_ms: i64) -> Self {
        Self { first: seq, last: seq, boot, from_ms: at_ms, to_ms: at_ms }
    }

    /// Says whether its first sign is of later than that.
    pub fn begins_after(&self, ms: i64) -> bool {
        self.from_ms > ms
    }

    /// Adds the next sign; says whether it belongs here.
    pub fn join(&mut self, seq: u64, boot: u64, at_ms: i64) -> bool {
        let step = at_ms.saturating_sub(self.to_ms);
        let joins = boot == self.boot && (0..=SILENCE_MS).contains(&step);
        if joins {
            (self.last, self.to_ms) = (seq, at_ms);
        }
        joins
    }
}

/// Judges a stretch by all chains of a device.
pub fn absent<'a>(chains: impl IntoIterator<Item = &'a Chain>, from: i64, to: i64) -> Absent {
    let found = chains.into_iter().filter_map(|chain| of_chain(chain, from, to));
    found.min().unwrap_or(Absent::Silent)
}

/// Judges by neighbours that touch the stretch; what is told of another time altogether is left out,
/// so that a clock that was wrong for a while says nothing of days it had no part in.
fn of_chain(chain: &Chain, from: i64, to: i64) -> Option<Absent> {
    let (first, last) = (from.saturating_sub(SILENCE_MS), to.saturating_add(AFTER_MS));
    let near = |run: &&Run| run.to_ms >= first && run.from_ms <= last;
    let within = |at: i64| (from..=to).contains(&at);
    let mut best = None;
    let mut take = |found: Absent| best = Some(best.map_or(found, |best: Absent| best.min(found)));
    let mut before: Option<&Run> = None;
    for run in chain.runs.iter().filter(near) {
        if run.from_ms <= to {
            take(Absent::Silent);
        }
        // Within a run one follows the other, and soon enough.
        if run.from_ms <= to && run.to_ms > to && run.to_ms >= from {
            take(Absent::There);
        }
        match before {
            None => {
                let number = run.first.saturating_sub(1);
                if within(run.from_ms) && number > 0 && chain.lacks(number, number) {
                    take(Absent::Gap);
                }
            }
            Some(before) => {
                let over = before.to_ms < from && run.from_ms > to;
                if over || within(before.to_ms) || within(run.from_ms) {
                    take(between(chain, before, run, (from, to)));
                }
            }
        }
        before = Some(run);
    }
    best
}

/// Judges what lies between the last sign of a run and the first of the next one.
fn between(chain: &Chain, before: &Run, after: &Run, (from, to): (i64, i64)) -> Absent {
    let (first, last) = (before.last + 1, after.first.saturating_sub(1));
    let within = |at: i64| (from..=to).contains(&at);
    if first <= last && chain.lacks(first, last) {
        Absent::Gap
    } else if within(before.to_ms) {
        if within(after.from_ms) { Absent::Silent } else { Absent::There }
    } else if within(after.from_ms) {
        Absent::Silent
    } else if before.boot != after.boot {
        Absent::Restarted
    } else if after.from_ms.saturating_sub(before.to_ms) <= SILENCE_MS {
        Absent::There
    } else {
        Absent::Silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::record::{Body, Record};
    use crate::audit::register::Place;
    use crate::audit::trail::Trail;

    const MIN: i64 = 60_000;

    /// Judges minutes 1000 to 1002 by signs (number, boot, minute) of one chain.
    fn judge(signs: &[(u64, u64, i64)], lost: Option<(u64, u64)>) -> Absent {
        let mut trail = Trail::default();
        let chain = trail.chain(&[1; 16], None).unwrap();
        for (seq, boot, minute) in signs.iter().copied() {
            let last = (seq, boot, minute) == *signs.last().unwrap();
            let declared = lost.filter(|_| last);
            let body =
                declared.map_or(Body::Other, |(from, to)| Body::Lost { from, to, hash: [0; 32] });
            let record = Record {
                dev: None,
                chain: [1; 16],
                seq,
                prev: None,
                boot,
                at_ms: minute * MIN,
                clock: None,
                seen: None,
                body,
            };
            let digest = crate::audit::hash::sha256(&seq.to_be_bytes());
            trail.place(chain, &record, digest, Place::new(0, seq), &mut Vec::new());
        }
        trail.finish(&mut Vec::new());
        absent(&trail.chains, 1_000 * MIN, 1_002 * MIN)
    }

    #[test]
    fn a_device_that_speaks_around_a_cue_was_there() {
        assert_eq!(judge(&[(1, 1, 970), (2, 1, 1_020)], None), Absent::There);
        assert_eq!(judge(&[(1, 1, 960), (2, 1, 1_001), (3, 2, 1_200)], None), Absent::There);
        assert_eq!(judge(&[(1, 1, 1_001), (2, 1, 1_003)], None), Absent::There);
        let beats: Vec<_> =
            (1..=40).map(|n| (n, 1, 400 + 30 * i64::try_from(n).unwrap())).collect();
        assert_eq!(judge(&beats, None), Absent::There);
    }

    #[test]
    fn until_it_has_spoken_after_the_end_its_word_may_still_come() {
        assert_eq!(judge(&[(1, 1, 970), (2, 1, 1_001)], None), Absent::Silent);
        assert_eq!(judge(&[(1, 1, 970)], None), Absent::Silent);
        assert_eq!(judge(&[], None), Absent::Silent);
        assert_eq!(judge(&[(1, 1, 1_100)], None), Absent::Silent, "enrolled later");
    }

    #[test]
    fn more_than_two_beats_apart_it_was_silent_and_a_restart_explains() {
        assert_eq!(judge(&[(1, 1, 950), (2, 1, 1_011)], None), Absent::Silent);
        assert_eq!(judge(&[(1, 1, 950), (2, 1, 1_010)], None), Absent::There);
        assert_eq!(judge(&[(1, 1, 990), (2, 2, 1_010)], None), Absent::Restarted);
    }

    #[test]
    fn what_is_missing_may_be_the_play() {
        assert_eq!(judge(&[(1, 1, 990), (4, 1, 1_010)], None), Absent::Gap);
        let lost = [(1, 1, 990), (4, 1, 1_010), (5, 1, 1_020)];
        assert_eq!(judge(&lost, Some((2, 3))), Absent::Gap);
        let elsewhere = [(1, 1, 700), (4, 1, 990), (5, 1, 1_020)];
        assert_eq!(judge(&elsewhere, Some((2, 3))), Absent::There);
    }
}

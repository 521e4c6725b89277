//! Whether a device was there at some time: its records, whatever they say, as signs of life.
//!
//! Signs that follow each other closely are kept as one [`Run`]: within it the answer is always
//! the same, so nothing is lost.

use super::trail::Chain;

/// A device says that it lives at least every half hour; a silence longer than two beats is one.
pub const SILENCE_MS: i64 = 60 * 60_000;

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

fn of_chain(chain: &Chain, from: i64, to: i64) -> Option<Absent> {
    let runs = &chain.runs;
    let begin = runs.iter().position(|run| run.to_ms >= from)?;
    // The run with the first sign after the end, if there is one.
    let end = runs.iter().position(|run| run.to_ms > to);
    let enters = runs[begin].from_ms < from;
    let before = if enters { Some(begin) } else { begin.checked_sub(1) };
    let around = &runs[before.unwrap_or(begin)..=end.unwrap_or(runs.len() - 1)];
    let hole = |pair: &[Run]| {
        let (first, last) = (pair[0].last + 1, pair[1].first.saturating_sub(1));
        first <= last && chain.lacks(first, last)
    };
    if around.windows(2).any(hole) {
        return Some(Absent::Gap);
    }
    let within = runs[begin].to_ms <= to || (from..=to).contains(&runs[begin].from_ms);
    if within {
        return Some(if end.is_some() { Absent::There } else { Absent::Silent });
    }
    if enters {
        return Some(Absent::There);
    }
    let (before, after) = (runs[before?], runs[begin]);
    Some(if before.boot != after.boot {
        Absent::Restarted
    } else if after.from_ms.saturating_sub(before.to_ms) <= SILENCE_MS {
        Absent::There
    } else {
        Absent::Silent
    })
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

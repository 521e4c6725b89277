//! One chain: what is to be thought of its end, and what to say of it. Pure.

use crate::app::ports::{StoredTail, TailStand};
use crate::domain::time::UtcMs;

/// How long nothing may come from a device that is connected: it sends again after a quarter of an
/// hour at the latest.
pub const WAIT_MS: i64 = 45 * 60_000;
/// How long what a device told of may stay out, wherever the device is.
pub const LONGEST_MS: i64 = 24 * 3_600_000;

/// Where the device of a tail is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// Connected, and on this chain.
    Here,
    /// Not connected, or it does not say on which chain it is.
    Away,
    /// It writes another chain, or may not send any more.
    Left,
}

/// What becomes of a tail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Remember it so.
    Keep(StoredTail),
    /// The same, and say in the log that these numbers are missing, both inclusive.
    Say(StoredTail, (u64, u64)),
    /// Nothing is missing, or nothing is known of the chain that anybody could look for.
    Drop,
}

/// Judges a tail. `came` is the highest number that is there, `None` where nothing of the chain is.
pub fn judge(mut tail: StoredTail, came: Option<u64>, place: Whereabouts, now: UtcMs) -> Verdict {
    let end = came.unwrap_or(0);
    if end >= tail.seq {
        return Verdict::Drop;
    }
    // A clock that was set back holds nothing up for longer than the wait.
    tail.since_ms = tail.since_ms.min(now);
    tail.quiet_ms = tail.quiet_ms.min(now);
    if end > tail.came || place == Whereabouts::Away {
        tail.quiet_ms = now;
    }
    tail.came = tail.came.max(end);
    let quiet = now.since(tail.quiet_ms) >= WAIT_MS;
    let long = now.since(tail.since_ms) >= LONGEST_MS;
    tail.stand = match place {
        // A chain of which nothing ever came is a word alone.
        Whereabouts::Left if came.is_none() => return Verdict::Drop,
        Whereabouts::Left if quiet || long => TailStand::GivenUp,
        Whereabouts::Here | Whereabouts::Away if quiet || long => TailStand::Missing,
        _ => TailStand::Waiting,
    };
    let unsaid = tail.stand != TailStand::Waiting && tail.said < tail.seq;
    if !unsaid || came.is_none() {
        return Verdict::Keep(tail);
    }
    let from = tail.said.max(end) + 1;
    tail.said = tail.seq;
    let to = tail.seq;
    Verdict::Say(tail, (from, to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ChainId;
    use proptest::prelude::*;

    const T: i64 = 1_800_000_000_000;

    fn tail(seq: u64) -> StoredTail {
        StoredTail {
            device: "loa-1".parse().unwrap(),
            chain: ChainId([1; 16]),
            seq,
            head: None,
            since_ms: UtcMs(T),
            came: 0,
            quiet_ms: UtcMs(T),
            stand: TailStand::Waiting,
            said: 0,
        }
    }

    fn kept(verdict: Verdict) -> StoredTail {
        match verdict {
            Verdict::Keep(tail) => tail,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_tail_that_stays_out_is_missing_and_said_once() {
        use Whereabouts::Here;
        let first = kept(judge(tail(10), Some(7), Here, UtcMs(T + 1)));
        assert_eq!((first.stand, first.came), (TailStand::Waiting, 7));
        let still = kept(judge(first, Some(7), Here, UtcMs(T + WAIT_MS)));
        assert_eq!(still.stand, TailStand::Waiting, "counted from when 7 had come");
        let at = UtcMs(T + 1 + WAIT_MS);
        let Verdict::Say(said, numbers) = judge(still, Some(7), Here, at) else { panic!() };
        assert_eq!((said.stand, numbers, said.since_ms), (TailStand::Missing, (8, 10), UtcMs(T)));
        let again = kept(judge(said.clone(), Some(7), Here, at.plus(1)));
        assert_eq!(again.stand, TailStand::Missing);
        // More is told of later: only what is new is said.
        let more = StoredTail { seq: 12, ..again };
        let Verdict::Say(_, numbers) = judge(more, Some(7), Here, at.plus(2)) else { panic!() };
        assert_eq!(numbers, (11, 12));
        assert_eq!(judge(said, Some(10), Here, at.plus(3)), Verdict::Drop, "it came after all");
    }

    #[test]
    fn what_goes_on_coming_is_waited_for() {
        let mut known = tail(1_000);
        for n in 1..20_u64 {
            let now = UtcMs(T + i64::try_from(n).unwrap() * (WAIT_MS - 1));
            if now.since(known.since_ms) >= LONGEST_MS {
                break;
            }
            known = kept(judge(known, Some(n), Whereabouts::Here, now));
            assert_eq!(known.stand, TailStand::Waiting);
        }
    }

    #[test]
    fn a_device_that_cannot_send_is_waited_for_a_day() {
        let known = kept(judge(tail(9), Some(4), Whereabouts::Away, UtcMs(T + LONGEST_MS - 1)));
        assert_eq!(known.stand, TailStand::Waiting);
        let at = UtcMs(T + LONGEST_MS);
        let verdict = judge(known, Some(4), Whereabouts::Away, at);
        assert!(matches!(verdict, Verdict::Say(_, (5, 9))), "{verdict:?}");
    }

    #[test]
    fn a_device_on_another_chain_gives_its_tail_up_and_calls_nobody() {
        let left = |tail, at| judge(tail, Some(4), Whereabouts::Left, at);
        let first = StoredTail { came: 4, ..tail(9) };
        let first = kept(left(first, UtcMs(T + WAIT_MS - 1)));
        assert_eq!(first.stand, TailStand::Waiting, "it may send what it still has");
        let at = UtcMs(T + WAIT_MS);
        let Verdict::Say(known, numbers) = left(first, at) else { panic!() };
        assert_eq!((known.stand, numbers), (TailStand::GivenUp, (5, 9)));
        let later = at.plus(10 * LONGEST_MS);
        assert_eq!(kept(left(known, later)).stand, TailStand::GivenUp);
        assert_eq!(judge(tail(9), None, Whereabouts::Left, at), Verdict::Drop, "a word alone");
    }

    proptest! {
        #[test]
        fn no_number_is_said_twice_or_that_came(
            steps in proptest::collection::vec((0_u64..40, 0_u64..40, 0_u8..3, 0_i64..2 * WAIT_MS), 1..40)
        ) {
            let (mut known, mut now, mut came, mut said) = (tail(1), UtcMs(T), 0, 0);
            for (told, comes, place, ms) in steps {
                now = now.plus(ms);
                came = came.max(comes);
                known.seq = known.seq.max(told);
                let place = [Whereabouts::Here, Whereabouts::Away, Whereabouts::Left][usize::from(place)];
                let end = (came > 0).then_some(came);
                match judge(known.clone(), end, place, now) {
                    Verdict::Say(next, (from, to)) => {
                        prop_assert!(from > said && from > came && from <= to && to == known.seq);
                        said = to;
                        known = next;
                    }
                    Verdict::Keep(next) => {
                        prop_assert!(next.stand == TailStand::Waiting || next.said == next.seq || came == 0);
                        known = next;
                    }
                    Verdict::Drop => {
                        prop_assert!(came >= known.seq || came == 0);
                        known = tail(known.seq);
                        known.said = said.min(known.seq);
                        known.since_ms = now;
                        known.quiet_ms = now;
                    }
                }
            }
        }
    }
}

//! Where the chain of a device stands: what is next, what is missing, what does not fit.
//!
//! Pure; the store keeps what [`Chain`] says. A record is one place (`seq`) and one name (the
//! hash of its bytes); `prev` links it to its predecessor.
//!
//! # Invariants
//! * Every record offered is [`Placed::New`] once and [`Placed::Duplicate`] ever after; other
//!   bytes at the same place are a [`Placed::Conflict`], whichever order they come in.
//! * `upto` never goes down, and never passes a number that is neither stored nor declared lost.
//! * Offered again and in any order, the same records end in the same chain.
//! * What waits beyond a gap is bounded: beyond that a record is [`Placed::Beyond`], neither
//!   kept nor acknowledged, and the device sends it again.
//!
//! # Why a broken link does not stop the chain
//! A record is evidence of what its signer said, even when it does not fit what came before.
//! Stopping would leave the device resending for ever and hide everything after. The fault is
//! kept with the record instead.

use crate::domain::ids::Digest;
use crate::domain::time::UtcMs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Records kept beyond the first gap.
pub const ASIDE: usize = 4_096;

/// Spans of lost numbers that wait for the chain to reach them.
pub const LOST_SPANS: usize = 256;

/// A record as the chain sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// What it says of its predecessor.
    pub prev: Option<Digest>,
    /// Device time.
    pub at_ms: UtcMs,
}

/// Numbers that the device declares lost, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostSpan {
    pub from: u64,
    pub to: u64,
    /// What the declaration says of the last one.
    pub hash: Digest,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// To be stored.
    New,
    /// Stored before, the same bytes.
    Duplicate,
    /// Another record holds its place.
    Conflict {
        /// The one that came first.
        first: Digest,
    },
    /// Too far beyond a gap.
    Beyond,
}

/// Where a chain stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    upto: u64,
    head: Option<Digest>,
    first_at_ms: Option<UtcMs>,
    upto_at_ms: Option<UtcMs>,
    lost: Vec<LostSpan>, // those that end at or beyond `upto`, by first number
    aside: BTreeMap<u64, Link>,
}

impl Chain {
    /// Returns the chain as it was stored.
    pub fn resume(
        upto: u64,
        head: Option<Digest>,
        first_at_ms: Option<UtcMs>,
        upto_at_ms: Option<UtcMs>,
        lost: Vec<LostSpan>,
        aside: BTreeMap<u64, Link>,
    ) -> Self {
        Self { upto, head, first_at_ms, upto_at_ms, lost, aside }
    }

    /// Returns the last number up to which all is stored or declared lost; 0 before the first.
    pub fn upto(&self) -> u64 {
        self.upto
    }

    /// Returns the digest of record `upto`; after lost numbers, what the declaration says of the
    /// last of them.
    pub fn head(&self) -> Option<Digest> {
        self.head
    }

    /// Returns the device time of the first record.
    pub fn first_at_ms(&self) -> Option<UtcMs> {
        self.first_at_ms
    }

    /// Returns the device time of the newest record without a gap before it.
    pub fn upto_at_ms(&self) -> Option<UtcMs> {
        self.upto_at_ms
    }

    /// Returns the lost spans that the chain has not left behind.
    pub fn lost(&self) -> &[LostSpan] {
        &self.lost
    }

    /// Returns how many records wait beyond a gap.
    pub fn waiting(&self) -> usize {
        self.aside.len()
    }

    /// Returns the record that waits beyond a gap with this number.
    pub fn waiting_at(&self, seq: u64) -> Option<Digest> {
        self.aside.get(&seq).map(|link| link.digest)
    }

    /// Returns the first and last number missing before what waits, or `None` without a gap.
    pub fn gap(&self) -> Option<(u64, u64)> {
        let (first, _) = self.aside.first_key_value()?;
        Some((self.upto + 1, first - 1))
    }

    /// Returns the highest number known, whether or not there is a gap before it.
    pub fn highest(&self) -> u64 {
        self.aside.last_key_value().map_or(self.upto, |(seq, _)| *seq)
    }

    /// Returns the numbers that are shown to be missing by records that came now, in order of
    /// number; `before` is what [`Self::highest`] was then. Each number is shown once, however
    /// often and in whatever parts the rest comes; what was declared lost is not missing.
    pub fn shown_missing(
        &self,
        before: u64,
        came: impl IntoIterator<Item = u64>,
    ) -> Vec<(u64, u64)> {
        let mut known = before;
        let mut missing = Vec::new();
        for seq in came {
            if seq <= known {
                continue;
            }
            let (from, to) = (known.max(self.upto).saturating_add(1), seq - 1);
            let lost = self.lost.iter().any(|span| span.from <= from && to <= span.to);
            if from <= to && !lost {
                missing.push((from, to));
            }
            known = seq;
        }
        missing
    }

    /// Places a record. `known` is the digest stored for its number, if any, and needed only at
    /// or below `upto`. Call [`Self::settle`] after the last one.
    pub fn offer(&mut self, seq: u64, link: Link, known: Option<Digest>) -> Placed {
        let known = if seq > self.upto { self.waiting_at(seq) } else { known };
        match known {
            Some(first) if first == link.digest => return Placed::Duplicate,
            Some(first) => return Placed::Conflict { first },
            None => {}
        }
        if seq > self.upto {
            // What closes the gap always has room.
            let next = seq == self.upto + 1;
            if !next && self.aside.len() >= ASIDE {
                return Placed::Beyond;
            }
            self.aside.insert(seq, link);
        }
        Placed::New
    }

    /// Notes what record `seq` declares lost; a declaration about itself or later numbers, or
    /// about none, has no effect and is refused.
    pub fn declare_lost(&mut self, seq: u64, span: LostSpan) -> bool {
        if span.from == 0 || span.from > span.to || span.to >= seq || self.lost.len() >= LOST_SPANS
        {
            return false;
        }
        if span.to > self.upto && !self.lost.contains(&span) {
            let at =
                self.lost.partition_point(|known| (known.from, known.to) < (span.from, span.to));
            self.lost.insert(at, span);
        }
        true
    }

    /// Moves `upto` over everything that now follows without a gap; returns the numbers of
    /// records whose `prev` is not their predecessor.
    pub fn settle(&mut self) -> Vec<u64> {
        let mut broken = Vec::new();
        loop {
            let next = self.upto + 1;
            if let Some(link) = self.aside.remove(&next) {
                let after_lost = self.lost.iter().any(|span| span.to == self.upto);
                if link.prev != self.head && !after_lost {
                    broken.push(next);
                }
                self.upto = next;
                self.head = Some(link.digest);
                self.first_at_ms.get_or_insert(link.at_ms);
                self.upto_at_ms = Some(link.at_ms);
            } else if let Some(span) = self.lost.iter().find(|s| s.from <= next && next <= s.to) {
                // Up to the next record that did arrive, or to the end of what is declared.
                let stop = self.aside.first_key_value().map_or(u64::MAX, |(seq, _)| seq - 1);
                self.upto = span.to.min(stop);
                self.head = Some(span.hash);
                if self.upto < span.to {
                    // The link from a lost number to one that arrived cannot be judged.
                    let mark = LostSpan { from: next, to: self.upto, hash: span.hash };
                    self.lost.push(mark);
                }
            } else {
                break;
            }
        }
        let upto = self.upto;
        self.lost.retain(|span| span.to >= upto);
        self.lost.sort_by_key(|span| (span.from, span.to));
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digest(seq: u64) -> Digest {
        Digest::of(&seq.to_be_bytes())
    }

    fn link(seq: u64) -> Link {
        let prev = (seq > 1).then(|| digest(seq - 1));
        Link { digest: digest(seq), prev, at_ms: UtcMs(i64::try_from(seq).unwrap() * 1_000) }
    }

    /// A chain with its store: what a caller does.
    #[derive(Debug, Default, PartialEq)]
    struct Ledger {
        chain: Chain,
        stored: BTreeMap<u64, Digest>,
        broken: Vec<u64>,
    }

    impl Ledger {
        fn take(&mut self, seq: u64, link: Link, lost: Option<LostSpan>) -> Placed {
            let placed = self.chain.offer(seq, link, self.stored.get(&seq).copied());
            if placed == Placed::New {
                assert_eq!(self.stored.insert(seq, link.digest), None, "never stored twice");
                if let Some(span) = lost {
                    self.chain.declare_lost(seq, span);
                }
            }
            self.broken.extend(self.chain.settle());
            placed
        }
    }

    #[test]
    fn a_gap_is_named_and_closed() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.chain.gap(), None);
        for seq in [1, 2, 5, 6] {
            assert_eq!(ledger.take(seq, link(seq), None), Placed::New);
        }
        assert_eq!((ledger.chain.upto(), ledger.chain.head()), (2, Some(digest(2))));
        assert_eq!(ledger.chain.gap(), Some((3, 4)));
        ledger.take(4, link(4), None);
        assert_eq!(ledger.chain.gap(), Some((3, 3)));
        ledger.take(3, link(3), None);
        assert_eq!((ledger.chain.upto(), ledger.chain.gap()), (6, None));
        assert_eq!(ledger.chain.upto_at_ms(), Some(UtcMs(6_000)));
        assert_eq!(ledger.broken, [0; 0]);
    }

    #[test]
    fn the_same_place_with_other_bytes_is_a_conflict_before_and_after_the_gap() {
        let mut ledger = Ledger::default();
        for seq in [1, 2, 4] {
            ledger.take(seq, link(seq), None);
        }
        for seq in [1, 2, 4] {
            assert_eq!(ledger.take(seq, link(seq), None), Placed::Duplicate);
            let other = Link { digest: digest(99), ..link(seq) };
            assert_eq!(ledger.take(seq, other, None), Placed::Conflict { first: digest(seq) });
        }
    }

    #[test]
    fn a_broken_link_is_noted_once_and_passed() {
        let mut ledger = Ledger::default();
        ledger.take(1, Link { prev: Some(digest(7)), ..link(1) }, None);
        ledger.take(3, Link { prev: Some(digest(9)), ..link(3) }, None);
        assert_eq!(ledger.broken, [1]);
        ledger.take(2, link(2), None);
        ledger.take(4, link(4), None);
        assert_eq!((ledger.chain.upto(), ledger.broken), (4, vec![1, 3]));
    }

    #[test]
    fn lost_numbers_are_passed_and_the_link_after_them_is_not_judged() {
        let mut ledger = Ledger::default();
        ledger.take(1, link(1), None);
        for seq in [6, 7] {
            ledger.take(seq, link(seq), None);
        }
        let span = LostSpan { from: 2, to: 5, hash: digest(77) };
        ledger.take(9, link(9), Some(span));
        assert_eq!((ledger.chain.upto(), ledger.chain.gap()), (7, Some((8, 8))));
        ledger.take(8, link(8), None);
        assert_eq!((ledger.chain.upto(), ledger.chain.head()), (9, Some(digest(9))));
        assert_eq!(ledger.broken, [0; 0]);
        // One of them turns up after all (an import): it is stored.
        assert_eq!(ledger.take(3, link(3), None), Placed::New);
        assert_eq!(ledger.take(3, link(3), None), Placed::Duplicate);
    }

    #[test]
    fn a_record_inside_a_lost_span_is_kept_and_the_rest_is_passed() {
        let mut ledger = Ledger::default();
        for seq in [1, 4] {
            ledger.take(seq, link(seq), None);
        }
        ledger.take(7, link(7), Some(LostSpan { from: 2, to: 6, hash: digest(6) }));
        assert_eq!((ledger.chain.upto(), ledger.chain.gap()), (7, None));
        assert_eq!(ledger.broken, [0; 0]);
        assert_eq!(ledger.chain.lost(), []);
    }

    #[test]
    fn a_declaration_reaches_back_only() {
        let mut chain = Chain::default();
        let span = |from, to| LostSpan { from, to, hash: digest(1) };
        for (seq, bad) in
            [(5, span(0, 3)), (5, span(4, 3)), (5, span(1, 5)), (5, span(1, u64::MAX))]
        {
            assert!(!chain.declare_lost(seq, bad), "{bad:?}");
        }
        assert!(chain.declare_lost(5, span(1, 4)));
        assert_eq!(chain.settle(), [0; 0]);
        assert_eq!((chain.upto(), chain.head()), (4, Some(digest(1))));
    }

    #[test]
    fn what_waits_is_bounded_and_the_closing_record_always_has_room() {
        let mut ledger = Ledger::default();
        let many = ASIDE as u64;
        for seq in 2..many + 2 {
            assert_eq!(ledger.take(seq, link(seq), None), Placed::New);
        }
        assert_eq!(ledger.take(many + 2, link(many + 2), None), Placed::Beyond);
        assert_eq!(ledger.take(many + 2, link(many + 2), None), Placed::Beyond, "not kept");
        assert_eq!(ledger.take(1, link(1), None), Placed::New);
        assert_eq!((ledger.chain.upto(), ledger.chain.waiting()), (many + 1, 0));
        assert_eq!(ledger.take(many + 2, link(many + 2), None), Placed::New);
    }

    /// Orders in which records of a chain of `n` can come: parts lost, doubled, shuffled.
    fn deliveries(n: u64) -> impl Strategy<Value = Vec<u64>> {
        proptest::collection::vec(1..=n, 0..200)
    }

    proptest! {
        #[test]
        fn lost_doubled_and_reordered_deliveries_end_in_the_same_ledger(
            first in deliveries(40),
            again in Just((1..=40).collect::<Vec<u64>>()).prop_shuffle(),
            breaks in proptest::collection::btree_set(2_u64..=40, 0..4),
            hole in (2_u64..20, 0_u64..6),
        ) {
            let record = |seq: u64| {
                let mut link = link(seq);
                if breaks.contains(&seq) {
                    link.prev = Some(digest(1_000 + seq));
                }
                link
            };
            // Numbers `from..=to` never come; record 40 declares them.
            let (from, to) = (hole.0, hole.0 + hole.1);
            let lost = |seq: u64| (seq == 40).then_some(LostSpan { from, to, hash: digest(to) });
            let comes = |seq: &&u64| **seq < from || **seq > to;
            let mut straight = Ledger::default();
            for seq in (1..=40).collect::<Vec<u64>>().iter().filter(comes) {
                straight.take(*seq, record(*seq), lost(*seq));
            }
            let mut shaken = Ledger::default();
            for seq in first.iter().chain(&again).filter(comes) {
                let before = shaken.chain.upto();
                shaken.take(*seq, record(*seq), lost(*seq));
                prop_assert!(shaken.chain.upto() >= before);
                for passed in 1..=shaken.chain.upto() {
                    let declared = shaken.stored.contains_key(&40) && (from..=to).contains(&passed);
                    prop_assert!(shaken.stored.contains_key(&passed) || declared);
                }
            }
            shaken.broken.sort_unstable();
            straight.broken.sort_unstable();
            prop_assert_eq!(&shaken, &straight);
            prop_assert_eq!(shaken.chain.upto(), 40);
        }
    }
}

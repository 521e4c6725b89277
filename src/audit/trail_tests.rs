use super::*;
use crate::domain::ids::Digest;
use crate::domain::proof::chain as theirs;
use crate::domain::time::UtcMs;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn digest(seq: u64) -> Hash {
    super::super::hash::sha256(&seq.to_be_bytes())
}

fn record(seq: u64, prev: Option<Hash>, lost: Option<(u64, u64)>) -> Record {
    let hash = digest(77);
    let body = lost.map_or(Body::Other, |(from, to)| Body::Lost { from, to, hash });
    let at_ms = i64::try_from(seq).unwrap() * 1_000;
    Record { dev: None, chain: [1; 16], seq, prev, boot: 1, at_ms, clock: None, seen: None, body }
}

#[test]
fn what_never_comes_is_a_gap_and_what_follows_is_still_read() {
    let mut trail = Trail::default();
    let mut broken = Vec::new();
    let chain = trail.chain(&[1; 16], None).unwrap();
    for seq in [1, 2, 5, 6, 9] {
        let prev = (seq > 1).then(|| digest(seq - 1));
        let place = Place::new(0, seq);
        trail.place(chain, &record(seq, prev, None), digest(seq), place, &mut broken);
    }
    trail.finish(&mut broken);
    let gaps: Vec<_> = trail.chains[0].gaps.iter().map(|gap| (gap.from, gap.to)).collect();
    assert_eq!((gaps, trail.chains[0].upto, broken), (vec![(3, 4), (7, 8)], 9, vec![]));
}

#[test]
fn more_than_a_server_keeps_waiting_passes_the_gap() {
    let mut trail = Trail::default();
    let mut broken = Vec::new();
    let chain = trail.chain(&[1; 16], None).unwrap();
    for seq in 2..6_000 {
        let prev = Some(digest(seq - 1));
        trail.place(chain, &record(seq, prev, None), digest(seq), Place::new(0, seq), &mut broken);
    }
    assert!(trail.chains[0].aside.len() <= ASIDE);
    assert_eq!((trail.chains[0].upto, broken), (5_999, vec![]));
    assert_eq!(trail.chains[0].gaps.len(), 1);
}

proptest! {
    #[test]
    fn chains_end_as_those_of_the_server_in_any_order(
        order in Just((1..=40).collect::<Vec<u64>>()).prop_shuffle(),
        again in proptest::collection::vec(1..=40_u64, 0..20),
        breaks in proptest::collection::btree_set(2_u64..=40, 0..4),
        hole in (2_u64..20, 0_u64..6),
        declared in any::<bool>(),
    ) {
        let (from, to) = (hole.0, hole.0 + hole.1);
        let mut server = theirs::Chain::default();
        let mut stored = BTreeMap::new();
        let (mut their_broken, mut broken) = (Vec::new(), Vec::new());
        let mut trail = Trail::default();
        let chain = trail.chain(&[1; 16], None).unwrap();
        for seq in order.iter().chain(&again).copied().filter(|seq| *seq < from || *seq > to) {
            let name = if breaks.contains(&seq) { 1_000 + seq } else { seq - 1 };
            let prev = (seq > 1).then(|| digest(name));
            let lost = (declared && seq == 40).then_some((from, to));
            let link = theirs::Link {
                digest: Digest(digest(seq)),
                prev: prev.map(Digest),
                at_ms: UtcMs(0),
            };
            let placed = server.offer(seq, link, stored.get(&seq).copied());
            if placed == theirs::Placed::New {
                stored.insert(seq, Digest(digest(seq)));
                if let Some((from, to)) = lost {
                    let hash = Digest(digest(77));
                    server.declare_lost(seq, theirs::LostSpan { from, to, hash });
                }
            }
            their_broken.extend(server.settle());
            let own = trail.place(
                chain, &record(seq, prev, lost), digest(seq), Place::new(0, seq), &mut broken,
            );
            prop_assert_eq!(own == Placed::New, placed == theirs::Placed::New);
            prop_assert_eq!(trail.chains[0].upto, server.upto());
        }
        let other = trail.place(
            chain, &record(1, None, None), digest(99), Place::new(0, 1), &mut Vec::new(),
        );
        prop_assert_eq!(other, Placed::Conflict);
        let own: BTreeSet<u64> = broken.iter().map(|(seq, _)| *seq).collect();
        prop_assert_eq!(own, their_broken.into_iter().collect::<BTreeSet<u64>>());
        trail.finish(&mut broken);
        prop_assert_eq!(trail.chains[0].upto, 40);
        prop_assert_eq!(trail.chains[0].gaps.len(), usize::from(!declared));
    }
}

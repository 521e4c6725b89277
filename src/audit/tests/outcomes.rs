//! Outcomes from records alone are those of the server, for generated histories.

use super::model::{HOUR, MIN};
use crate::audit::documents::{Due, Output};
use crate::audit::facts::{Fact, Subjects};
use crate::audit::outcome::{Grounds, Outcome, Version, fold, judge};
use crate::audit::record::{Body, read};
use crate::audit::register::{Ordered, Place};
use crate::audit::trail::{Placed, Trail};
use crate::domain::ids::{ChainId, CueId};
use crate::domain::proof::chain::{Chain, Link, LostSpan};
use crate::domain::proof::outcome as server;
use crate::domain::proof::record;
use crate::domain::time::UtcMs;
use crate::domain::timetable::Kind;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use server::{Expected, Heard, Life, Receipted, Sign, Verdict};
use std::collections::{BTreeMap, BTreeSet};

const BASE: i64 = 1_800_000_000_000;

/// What a device may write.
#[derive(Clone, Debug)]
enum Word {
    Beat,
    Start(u8),
    Play(u8, i64, u8, u8),
    Show(u8, i64, i64, u8, u8),
    Lost(u64),
}

fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        3 => Just(Word::Beat),
        1 => (0_u8..6).prop_map(Word::Start),
        3 => (0_u8..4, -5_i64..200_000, 0_u8..5, 0_u8..7)
            .prop_map(|(cue, ms, said, grade)| Word::Play(cue, ms, said, grade)),
        2 => (3_u8..6, 0_i64..4, 0_i64..1_000_000, 0_u8..5, 0_u8..7)
            .prop_map(|(cue, q, ms, said, grade)| Word::Show(cue, q, ms, said, grade)),
        1 => (0_u64..3).prop_map(Word::Lost),
    ]
}

fn cue(n: u8) -> [u8; 16] {
    [n + 1; 16]
}

fn start_of(n: u8) -> i64 {
    BASE + i64::from(n % 4) * HOUR
}

fn said(n: u8) -> &'static str {
    ["played", "partial", "failed", "pre-empted", "refused"][usize::from(n)]
}

fn body(word: &Word, seq: u64) -> Value {
    let id = |n: u8| super::model::hex(&cue(n));
    match word {
        Word::Beat => super::model::beat(),
        Word::Start(n) => super::model::start(&id(*n), start_of(*n)),
        Word::Play(n, ms, word, grade) => {
            let mut play = super::model::play(&id(*n), start_of(*n), *ms);
            play["outcome"] = json!(said(*word));
            play["grade"] = json!(grade);
            play
        }
        Word::Show(n, quarter, ms, word, grade) => {
            let from = start_of(*n) + quarter * 15 * MIN;
            json!({
                "kind": "show", "cue": id(*n), "n": 1, "sheet": null, "item": "p/b", "title": "B",
                "frame": null, "from_ms": from, "to_ms": from + 15 * MIN, "times": 3,
                "shown_ms": ms, "outcome": said(*word), "cause": "end", "grade": grade
            })
        }
        Word::Lost(back) => {
            let to = seq.saturating_sub(1 + back).max(1);
            let hash = super::model::hex(&[7; 32]);
            json!({"kind": "lost", "from": to.saturating_sub(1).max(1), "to": to, "n": 1, "hash": hash})
        }
    }
}

/// Records of a chain: what, minutes since the one before, whether the device restarted, whether
/// it arrives.
fn chain() -> impl Strategy<Value = Vec<(Word, i64, bool, bool)>> {
    vec((word(), -3_i64..80, proptest::bool::weighted(0.1), proptest::bool::weighted(0.9)), 0..25)
}

/// Number, minute of publication, cues with their shift.
type Published = (i64, i64, Vec<(u8, i64)>);

fn versions() -> impl Strategy<Value = Vec<Published>> {
    vec((0_i64..6, -90_i64..240, vec((0_u8..6, -1_i64..2), 0..7)), 0..5).prop_map(|mut all| {
        // A device never gets one version twice.
        all.sort_by_key(|version| version.0);
        all.dedup_by_key(|version| version.0);
        all
    })
}

fn due(n: u8, shift: i64) -> (i64, i64, bool) {
    let at = start_of(n) + shift * 20 * MIN;
    let board = n >= 3;
    (at, at + if board { HOUR } else { 2 * MIN }, board)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn outcomes_from_the_log_are_those_of_the_server(
        chains in vec(chain(), 1..3),
        versions in versions(),
        now in 0_i64..400,
        order in vec(any::<prop::sample::Index>(), 60),
    ) {
        let window = (BASE - HOUR, BASE + 5 * HOUR);
        let now = BASE + now * MIN;
        let mut arrived = Vec::new();
        for (number, words) in chains.iter().enumerate() {
            let id = [u8::try_from(number).unwrap() + 1; 16];
            let (mut at, mut boot) = (BASE - HOUR, 1);
            for (seq, (word, minutes, restart, arrives)) in (1_u64..).zip(words) {
                at += minutes * MIN;
                boot += u64::from(*restart);
                let mut claims = json!({
                    "v": 1, "dev": "loa-thon-1", "chain": super::model::hex(&id), "boot": boot,
                    "seq": seq, "prev": if seq > 1 { json!(super::model::hex(&[1; 32])) } else { json!(null) },
                    "at_ms": at, "mono_ms": 5, "seen": null, "attestor": "device",
                    "clock": {"src": "server", "age_s": 5, "err_ms": 20}
                });
                for (name, value) in body(word, seq).as_object().unwrap() {
                    claims[name] = value.clone();
                }
                if *arrives {
                    arrived.push(claims);
                }
            }
        }
        let mut shuffled = Vec::new();
        let mut rest = arrived.clone();
        for index in &order {
            if !rest.is_empty() {
                shuffled.push(rest.remove(index.index(rest.len())));
            }
        }
        shuffled.extend(rest);

        // The server's judgement, with its own chain and types.
        let mut life = Life::default();
        let mut heard = Vec::new();
        let mut upto: BTreeMap<[u8; 16], Chain> = BTreeMap::new();
        let mut lost: BTreeMap<[u8; 16], Vec<(u64, u64)>> = BTreeMap::new();
        let mut trail = Trail::default();
        let mut subjects = Subjects::default();
        for (place, claims) in (0_u64..).zip(&shuffled) {
            let record: record::Record = serde_json::from_value(claims.clone()).unwrap();
            let head = &record.head;
            life.see(Sign { chain: head.chain, seq: head.seq, boot: head.boot, at_ms: head.at_ms });
            let chain = upto.entry(head.chain.0).or_default();
            let digest = crate::domain::ids::Digest([u8::try_from(place).unwrap(); 32]);
            let link = Link { digest, prev: head.prev, at_ms: head.at_ms };
            chain.offer(head.seq, link, None);
            if let record::Body::Lost { from, to, hash, .. } = record.body {
                lost.entry(head.chain.0).or_default().push((from, to));
                chain.declare_lost(head.seq, LostSpan { from, to, hash });
            }
            chain.settle();
            heard.push(Heard { chain: head.chain, seq: head.seq, body: record.body.clone() });

            let own = read(claims.to_string().as_bytes()).unwrap();
            let at = trail.chain(&own.chain, None).unwrap();
            let placed =
                trail.place(at, &own, digest.0, Place::new(0, place), &mut Vec::new());
            prop_assert_eq!(placed, Placed::New);
            if let Body::Told(told) = &own.body {
                let fact = Fact::new(told, own.seq, Place::new(0, place), at, &mut subjects);
                let asked = window.0 <= told.at_ms && told.at_ms < window.1;
                trail.facts.push(Fact { asked, ..fact });
            }
        }
        trail.finish(&mut Vec::new());
        for (id, chain) in &upto {
            if let (Some(first_ms), Some(upto_ms)) = (chain.first_at_ms(), chain.upto_at_ms()) {
                life.complete(ChainId(*id), Receipted { first_ms, upto: chain.upto(), upto_ms });
            }
            for (from, to) in lost.get(id).into_iter().flatten() {
                life.lose(ChainId(*id), *from, *to);
            }
        }
        let theirs: Vec<server::Version> = versions.iter().map(|(ver, published, cues)| {
            server::Version {
                ver: *ver,
                published_ms: UtcMs(BASE + published * MIN),
                cues: cues.iter().map(|(n, shift)| {
                    let (at, end, board) = due(*n, *shift);
                    server::Due {
                        cue: CueId(cue(*n)), at_ms: UtcMs(at), from_ms: UtcMs(at), end_ms: UtcMs(end),
                        item: String::new(), title: String::new(),
                        kind: if board { Kind::Pages } else { Kind::Clip },
                    }
                }).collect(),
            }
        }).collect();
        let expected: BTreeMap<CueId, Expected> = server::in_force(&theirs);
        let asked = |at: UtcMs| window.0 <= at.0 && at.0 < window.1;
        let heard: Vec<Heard> = heard;
        let theirs = server::judge(&expected, &heard, &life, UtcMs(now));

        let ours: Vec<Version> = versions.iter().map(|(ver, published, cues)| Version {
            ver: *ver,
            published_ms: BASE + published * MIN,
            place: Place::new(0, 0),
            days: vec![cues.iter().map(|(n, shift)| {
                let (at, end, board) = due(*n, *shift);
                let output = if board { Output::Pages } else { Output::Clip };
                Due { cue: cue(*n), at_ms: at, end_ms: end, output, approval: None }
            }).collect()],
        }).collect();
        let (sheets, ordered) = (BTreeSet::new(), Ordered::default());
        let grounds =
            Grounds { subjects: &subjects, sheets: &sheets, ordered: &ordered, sounds: &BTreeMap::new(), window, now };
        let judged = judge(&fold(&ours), &trail, grounds);

        let due: BTreeMap<[u8; 16], Outcome> = judged.due.iter().copied().collect();
        let mut superseded = 0;
        let mut unplanned = 0;
        for outcome in theirs.iter().filter(|outcome| asked(outcome.at_ms)) {
            match outcome.plan {
                server::Plan::Superseded => superseded += 1,
                server::Plan::Unplanned => unplanned += u64::from(outcome.played_ms > 0),
                server::Plan::Planned => {
                    let want = match (outcome.stage, outcome.result) {
                        (server::Stage::Pending, _) => Outcome::Pending,
                        (_, Some(Verdict::Played)) => Outcome::Played(outcome.grade),
                        (_, Some(Verdict::Partial)) => Outcome::Partial,
                        (_, Some(Verdict::Failed)) => Outcome::Failed,
                        (_, Some(Verdict::PreEmpted)) => Outcome::PreEmpted,
                        (_, Some(Verdict::Refused)) => Outcome::Refused,
                        (_, Some(Verdict::Offline)) => Outcome::Offline,
                        (_, Some(Verdict::Missing)) => Outcome::Missing,
                        (_, None) => panic!("over, and no result: {outcome:?}"),
                    };
                    prop_assert_eq!(due.get(&outcome.cue.0), Some(&want), "{:?}", outcome);
                }
            }
        }
        let planned = theirs.iter().filter(|o| o.plan == server::Plan::Planned && asked(o.at_ms));
        prop_assert_eq!(due.len(), planned.count());
        prop_assert_eq!(judged.superseded, superseded);
        prop_assert_eq!(judged.odd.len() as u64, unplanned);
    }
}

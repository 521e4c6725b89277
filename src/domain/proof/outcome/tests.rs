use super::*;
use crate::domain::ids::Digest;
use crate::domain::proof::record::{Body, Play, Said, Show, Subject};
use proptest::prelude::*;
use std::collections::BTreeMap;

const CHAIN: ChainId = ChainId([1; 16]);
const MIN: i64 = 60_000;
const AT: UtcMs = UtcMs(1_000 * MIN);
const END: UtcMs = UtcMs(1_002 * MIN);

fn id(n: u8) -> CueId {
    CueId([n; 16])
}

fn due(n: u8, at: UtcMs, end: UtcMs, kind: Kind) -> Due {
    Due {
        cue: id(n),
        at_ms: at,
        from_ms: at,
        end_ms: end,
        item: "tin".into(),
        title: "Tin".into(),
        kind,
    }
}

fn expected(dues: &[Due]) -> BTreeMap<CueId, Expected> {
    dues.iter().map(|due| (due.cue, Expected::Due(due.clone()))).collect()
}

fn clip() -> BTreeMap<CueId, Expected> {
    expected(&[due(1, AT, END, Kind::Clip)])
}

fn play(seq: u64, n: u8, played_ms: i64, outcome: Said, cause: &str) -> Heard {
    let sounded = played_ms > 0;
    let body = Body::Play(Play {
        subject: Subject::Cue { cue: id(n) },
        n: 1,
        sheet: None,
        item: "tin".into(),
        asset: None,
        title: "Tin".into(),
        lufs_cb: None,
        gain_cb: None,
        due_ms: AT,
        due_len_ms: END.since(AT),
        started_ms: sounded.then_some(AT.plus(i64::try_from(seq).unwrap())),
        ended_ms: sounded.then_some(END),
        played_ms,
        outcome,
        cause: cause.into(),
        by: None,
        volume: 80,
        skew_ms: Some(3),
        grade: 3,
        method: "samples".into(),
        score_permille: None,
    });
    Heard { chain: CHAIN, seq, body }
}

fn show(seq: u64, n: u8, from: i64, shown_ms: i64) -> Heard {
    let body = Body::Show(Show {
        subject: Subject::Cue { cue: id(n) },
        n: 1,
        sheet: None,
        item: "bang".into(),
        title: "Bảng".into(),
        frame: Some(Digest([1; 32])),
        from_ms: AT.plus(from * MIN),
        to_ms: AT.plus((from + 15) * MIN),
        times: 9,
        shown_ms,
        outcome: Said::Played,
        cause: "end".into(),
        grade: 2,
    });
    Heard { chain: CHAIN, seq, body }
}

fn sign(seq: u64, boot: u64, minute: i64) -> Sign {
    Sign { chain: CHAIN, seq, boot, at_ms: UtcMs(minute * MIN) }
}

fn life(signs: &[Sign]) -> Life {
    let mut life = Life::default();
    for sign in signs {
        life.see(*sign);
    }
    life
}

fn one(heard: &[Heard], life: &Life, now: UtcMs) -> Outcome {
    let outcomes = judge(&clip(), heard, life, now);
    assert_eq!(outcomes.len(), 1);
    outcomes[0].clone()
}

fn later() -> UtcMs {
    END.plus(MIN)
}

fn device(cause: &str) -> Reason {
    Reason::Device { cause: cause.into(), by: None }
}

#[test]
fn ninety_eight_percent_of_a_clip_is_played_and_less_is_partial() {
    let due = END.since(AT);
    for (ms, verdict) in [
        (due, Verdict::Played),
        (due * 98 / 100, Verdict::Played),
        (due * 98 / 100 - 1, Verdict::Partial),
        (1, Verdict::Partial),
    ] {
        let outcome = one(&[play(5, 1, ms, Said::Partial, "stop")], &Life::default(), later());
        assert_eq!((outcome.result, outcome.played_ms), (Some(verdict), ms));
        assert_eq!((outcome.reason, outcome.grade), (device("stop"), 3));
    }
}

#[test]
fn a_device_that_says_played_and_counted_less_is_not_believed() {
    let outcome = one(&[play(5, 1, 10_000, Said::Played, "end")], &Life::default(), later());
    assert_eq!(outcome.result, Some(Verdict::Partial));
    assert_eq!(outcome.reason, Reason::Short { cause: "end".into() });
}

#[test]
fn pieces_of_a_cut_and_rejoined_cue_add_up_but_never_above_what_was_due() {
    let heard =
        [play(5, 1, 50_000, Said::Partial, "pre-empted"), play(8, 1, 69_000, Said::Partial, "end")];
    let outcome = one(&heard, &Life::default(), later());
    assert_eq!((outcome.result, outcome.played_ms), (Some(Verdict::Played), 119_000));
    assert_eq!((&outcome.reason, outcome.records), (&device("end"), 2));
    assert_eq!(outcome.started_ms, Some(AT.plus(5)));
    let doubled: Vec<_> = heard.iter().chain(&heard).cloned().collect();
    assert_eq!(one(&doubled, &Life::default(), later()), outcome, "given twice");
    let too_much = [play(5, 1, 900_000, Said::Played, "end")];
    assert_eq!(one(&too_much, &Life::default(), later()).played_ms, END.since(AT));
}

#[test]
fn what_never_sounded_is_the_devices_word() {
    for (said, verdict, explained) in [
        (Said::Failed, Verdict::Failed, true),
        (Said::Refused, Verdict::Refused, true),
        (Said::PreEmpted, Verdict::PreEmpted, true),
        (Said::Partial, Verdict::Partial, false),
        (Said::Played, Verdict::Partial, false),
    ] {
        let outcome = one(&[play(5, 1, 0, said, "missing")], &Life::default(), later());
        assert_eq!(outcome.result, Some(verdict), "{said:?}");
        assert_eq!(verdict.is_explained(), explained);
        assert_eq!((outcome.played_ms, outcome.started_ms), (0, None));
    }
}

#[test]
fn a_start_without_an_end_is_partial_once_the_cue_is_over() {
    let start = Body::Start { subject: Subject::Cue { cue: id(1) }, n: 1, started_ms: AT.plus(7) };
    let heard = [Heard { chain: CHAIN, seq: 4, body: start }];
    let running = one(&heard, &Life::default(), AT.plus(MIN));
    assert_eq!((running.result, running.stage), (None, Stage::Pending));
    let over = one(&heard, &Life::default(), later());
    assert_eq!((over.result, over.reason), (Some(Verdict::Partial), Reason::NoEnd));
    assert_eq!(over.started_ms, Some(AT.plus(7)));
}

#[test]
fn a_device_that_beats_but_says_nothing_is_missing() {
    // 970 and 1020: a cue between two beats.
    let outcome = one(&[], &life(&[sign(1, 1, 970), sign(2, 1, 1_020)]), later());
    assert_eq!((outcome.result, outcome.reason), (Some(Verdict::Missing), Reason::NoPlay));
    let inside = one(&[], &life(&[sign(1, 1, 1_001), sign(2, 2, 1_200)]), later());
    assert_eq!(inside.result, Some(Verdict::Missing), "heard while it should have sounded");
    let not_yet = one(&[], &life(&[sign(1, 1, 1_001)]), later());
    assert_eq!(not_yet.result, Some(Verdict::Offline), "its word may still come");
    assert_eq!(not_yet.reason, Reason::Silent { since_ms: UtcMs(1_001 * MIN) });
    assert_eq!(inside.grade, 0);
    assert!(!Verdict::Missing.is_explained());
}

#[test]
fn a_silent_device_is_offline_with_the_reason() {
    let at = |signs: &[Sign]| {
        let outcome = one(&[], &life(signs), later());
        assert_eq!(outcome.result, Some(Verdict::Offline));
        outcome.reason
    };
    assert_eq!(at(&[]), Reason::NeverHeard);
    assert_eq!(at(&[sign(1, 1, 990)]), Reason::Silent { since_ms: UtcMs(990 * MIN) });
    assert_eq!(at(&[sign(9, 1, 1_100)]), Reason::NeverHeard, "enrolled later");
    assert_eq!(
        at(&[sign(1, 1, 950), sign(2, 1, 1_011)]),
        Reason::Silent { since_ms: UtcMs(950 * MIN) },
        "more than two beats"
    );
    assert_eq!(
        at(&[sign(1, 1, 990), sign(2, 2, 1_010)]),
        Reason::Restarted { at_ms: UtcMs(1_010 * MIN) }
    );
    assert_eq!(
        at(&[sign(1, 1, 990), sign(4, 1, 1_010)]),
        Reason::Gap { chain: CHAIN, from: 2, to: 3 },
        "what is missing may be the play"
    );
}

#[test]
fn a_clock_that_was_set_makes_no_gap_of_records_that_are_there() {
    let mut trail = life(&[sign(1, 1, 990), sign(4, 1, 1_010)]);
    let first_ms = UtcMs(900 * MIN);
    trail.complete(CHAIN, Receipted { first_ms, upto: 9, upto_ms: UtcMs(1_000 * MIN) });
    assert_eq!(one(&[], &trail, later()).result, Some(Verdict::Missing));
    trail.lose(CHAIN, 3, 3);
    let lost = one(&[], &trail, later());
    assert_eq!(lost.result, Some(Verdict::Offline), "we do not know");
    assert_eq!(lost.reason, Reason::Gap { chain: CHAIN, from: 2, to: 3 });
}

#[test]
fn a_clock_that_ran_far_ahead_for_a_while_excuses_nothing_of_other_days() {
    // Number 2 says it was written years later; the device was there all the same.
    let signs = [sign(1, 1, 990), sign(2, 1, 9_000_000), sign(3, 1, 1_010), sign(4, 1, 1_040)];
    let mut trail = life(&signs);
    let first_ms = UtcMs(990 * MIN);
    trail.complete(CHAIN, Receipted { first_ms, upto: 4, upto_ms: UtcMs(1_040 * MIN) });
    assert_eq!(one(&[], &trail, later()).result, Some(Verdict::Missing));
    // Whoever reads only what is near comes to the same answer.
    let mut near = life(&[signs[0], signs[2], signs[3]]);
    near.complete(CHAIN, Receipted { first_ms, upto: 4, upto_ms: UtcMs(1_040 * MIN) });
    assert_eq!(one(&[], &near, later()).result, Some(Verdict::Missing));
    // Beyond a gap it must be told that the number is there.
    let mut broken = life(&[signs[0], signs[2], signs[3]]);
    assert_eq!(broken.broken(), [(CHAIN, 0)]);
    assert_eq!(one(&[], &broken, later()).result, Some(Verdict::Offline));
    broken.hold(CHAIN, [2]);
    assert_eq!(one(&[], &broken, later()).result, Some(Verdict::Missing));
}

#[test]
fn pending_then_provisional_then_final() {
    let stage = |life: &Life, now| one(&[], life, now).stage;
    let mut trail = life(&[sign(1, 1, 990)]);
    let pending = one(&[], &trail, END.plus(-1));
    assert_eq!((pending.stage, pending.result), (Stage::Pending, None));
    assert_eq!(pending.reason, Reason::Awaited);
    assert_eq!(stage(&trail, END), Stage::Provisional);
    assert_eq!(stage(&trail, END.plus(FINAL_MS - 1)), Stage::Provisional);
    assert_eq!(stage(&trail, END.plus(FINAL_MS)), Stage::Final);
    let receipted = |first: i64, upto: i64| Receipted {
        first_ms: UtcMs(first * MIN),
        upto: 1,
        upto_ms: UtcMs(upto * MIN),
    };
    trail.complete(CHAIN, receipted(900, 1_001));
    assert_eq!(stage(&trail, later()), Stage::Provisional, "not past its end");
    trail.complete(CHAIN, receipted(1_001, 1_100));
    assert_eq!(stage(&trail, later()), Stage::Provisional, "began in its midst");
    trail.complete(CHAIN, receipted(900, 1_003));
    assert_eq!(stage(&trail, later()), Stage::Final, "at once when a receipt passes it");
}

#[test]
fn a_board_is_judged_over_its_quarters_and_a_rotation_as_a_whole() {
    let end = AT.plus(60 * MIN);
    let alone = expected(&[due(1, AT, end, Kind::Pages)]);
    let shows =
        |ms: i64| (5..).zip(0..4).map(|(seq, q)| show(seq, 1, q * 15, ms)).collect::<Vec<_>>();
    for (ms, verdict) in [(15 * MIN, Verdict::Played), (14 * MIN, Verdict::Partial)] {
        let outcome = &judge(&alone, &shows(ms), &Life::default(), end.plus(1))[0];
        assert_eq!((outcome.result, outcome.played_ms), (Some(verdict), 4 * ms));
    }
    let running = &judge(&alone, &shows(15 * MIN)[..2], &Life::default(), AT.plus(31 * MIN))[0];
    assert_eq!((running.result, running.stage), (None, Stage::Pending));

    let both = expected(&[due(1, AT, end, Kind::Pages), due(2, AT, end, Kind::Pages)]);
    let mut heard = shows(5 * MIN);
    heard.extend((20..).zip(0..4).map(|(seq, q)| show(seq, 2, q * 15, 10 * MIN)));
    let outcomes = judge(&both, &heard, &Life::default(), end.plus(1));
    let results: Vec<_> = outcomes.iter().map(|o| (o.result, o.played_ms)).collect();
    assert_eq!(results, [(Some(Verdict::Played), 20 * MIN), (Some(Verdict::Played), 40 * MIN)]);
    let half = judge(&both, &heard[..4], &Life::default(), end.plus(1));
    assert_eq!(half[0].result, Some(Verdict::Partial), "the board was dark most of the time");
    assert_eq!(half[1].result, Some(Verdict::Offline), "never shown");
}

fn version(ver: i64, published: UtcMs, cues: Vec<Due>) -> Version {
    Version { ver, published_ms: published, cues }
}

#[test]
fn the_newest_schedule_before_the_start_decides() {
    let first = due(1, AT, END, Kind::Clip);
    let moved = due(1, AT.plus(30 * MIN), END.plus(30 * MIN), Kind::Clip);
    let before = AT.plus(-10);
    let v = |published, cue: &Due| version(published, UtcMs(published), vec![cue.clone()]);
    let fold = |versions: &[Version]| in_force(versions).remove(&id(1));
    let start = v(1, &first);
    assert_eq!(fold(std::slice::from_ref(&start)), Some(Expected::Due(first.clone())));
    // Moved before it began: the newer counts. After it began: the older.
    let early = Version { published_ms: before, ..v(2, &moved) };
    assert_eq!(fold(&[start.clone(), early.clone()]), Some(Expected::Due(moved.clone())));
    assert_eq!(fold(&[early.clone(), start.clone()]), Some(Expected::Due(moved.clone())));
    for published in [AT, AT.plus(5)] {
        let late = Version { published_ms: published, ..v(2, &moved) };
        assert_eq!(fold(&[start.clone(), late]), Some(Expected::Due(first.clone())));
    }
    // Withdrawn before, or too late.
    let gone = version(2, before, vec![]);
    let withdrawn = Expected::Withdrawn { due: first.clone(), at_ms: before };
    assert_eq!(fold(&[start.clone(), gone.clone()]), Some(withdrawn));
    let too_late = version(2, AT, vec![]);
    assert_eq!(fold(&[start.clone(), too_late]), Some(Expected::Due(first.clone())));
    let back = version(3, before.plus(1), vec![first.clone()]);
    assert_eq!(fold(&[start.clone(), gone, back]), Some(Expected::Due(first.clone())));
    // Published only after its start.
    let after = Version { published_ms: AT, ..v(2, &first) };
    assert_eq!(fold(&[after]), Some(Expected::TooLate(first.clone())));
    // A board's showing that had begun is due from its order on, and stays so.
    let pages = due(1, AT, END, Kind::Pages);
    let ordered = Version { published_ms: AT.plus(5), ..v(2, &pages) };
    let again = Version { published_ms: AT.plus(9), ..v(3, &pages) };
    let cut = Expected::Due(Due { from_ms: AT.plus(5), ..pages.clone() });
    assert_eq!(fold(std::slice::from_ref(&ordered)), Some(cut.clone()));
    assert_eq!(fold(&[ordered.clone(), again]), Some(cut.clone()));
    let dropped = Version { cues: vec![], published_ms: AT.plus(9), ..v(3, &pages) };
    assert_eq!(fold(&[ordered, dropped]), Some(cut));
    let over = Version { published_ms: END, ..v(2, &pages) };
    assert_eq!(fold(&[over]), Some(Expected::TooLate(pages)));
    // A version that came out after a higher one was never in force.
    let higher = version(3, UtcMs(5), vec![first.clone()]);
    let overtaken = version(2, UtcMs(9), vec![]);
    assert_eq!(fold(&[higher, overtaken]), Some(Expected::Due(first)));
}

#[test]
fn played_although_withdrawn_is_superseded_and_without_any_schedule_unplanned() {
    let heard = [play(5, 1, END.since(AT), Said::Played, "end")];
    let at_ms = AT.plus(-5);
    let gone = Expected::Withdrawn { due: due(1, AT, END, Kind::Clip), at_ms };
    let outcomes = judge(&[(id(1), gone.clone())].into(), &heard, &Life::default(), later());
    assert_eq!((outcomes[0].plan, outcomes[0].result), (Plan::Superseded, Some(Verdict::Played)));
    assert_eq!(outcomes[0].reason, Reason::Superseded { withdrawn_ms: at_ms });
    let silent = judge(&[(id(1), gone.clone())].into(), &[], &Life::default(), later());
    assert_eq!(silent, [], "withdrawn and not played: nothing to report");
    let refused = [play(5, 1, 0, Said::Refused, "withdrawn")];
    assert_eq!(judge(&[(id(1), gone)].into(), &refused, &Life::default(), later()), []);

    let outcomes = judge(&BTreeMap::new(), &heard, &Life::default(), later());
    assert_eq!((outcomes[0].plan, outcomes[0].result), (Plan::Unplanned, Some(Verdict::Played)));
    assert_eq!((outcomes[0].at_ms, outcomes[0].due_ms), (AT, END.since(AT)));
    let late = Expected::TooLate(due(1, AT, END, Kind::Clip));
    let outcomes = judge(&[(id(1), late.clone())].into(), &heard, &Life::default(), later());
    assert_eq!(outcomes[0].plan, Plan::Unplanned);
    assert_eq!(judge(&[(id(1), late)].into(), &[], &Life::default(), later()), []);
}

#[test]
fn reasons_and_verdicts_have_stable_words() {
    let reason = Reason::Device { cause: "pre-empted".into(), by: Some("khan-1".into()) };
    insta::assert_json_snapshot!(
        one(&[play(5, 1, 60_000, Said::PreEmpted, "pre-empted")], &Life::default(), later()),
        @r#"
    {
      "cue": "01010101010101010101010101010101",
      "item": "tin",
      "title": "Tin",
      "kind": "clip",
      "at_ms": 60000000,
      "end_ms": 60120000,
      "plan": "planned",
      "result": "pre-empted",
      "stage": "provisional",
      "reason": {
        "because": "device",
        "cause": "pre-empted"
      },
      "due_ms": 120000,
      "played_ms": 60000,
      "started_ms": 60000005,
      "grade": 3,
      "records": 1
    }
    "#);
    assert_eq!(reason.to_string(), "`pre-empted` by `khan-1`");
    for verdict in [
        Verdict::Played,
        Verdict::Partial,
        Verdict::Failed,
        Verdict::PreEmpted,
        Verdict::Refused,
        Verdict::Offline,
        Verdict::Missing,
    ] {
        assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.as_str());
    }
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        Just(Said::Played),
        Just(Said::Partial),
        Just(Said::Failed),
        Just(Said::PreEmpted),
        Just(Said::Refused)
    ]
}

fn heard() -> impl Strategy<Value = Vec<Heard>> {
    let play = (1_u64..20, 1_u8..4, -5_i64..200_000, said())
        .prop_map(|(seq, n, ms, said)| play(seq, n, ms, said, "x"));
    let show = (20_u64..40, 3_u8..5, 0_i64..4, 0_i64..1_200_000)
        .prop_map(|(seq, n, quarter, ms)| show(seq, n, quarter * 15, ms));
    proptest::collection::vec(prop_oneof![play, show], 0..12).prop_map(|mut heard| {
        // One record a place, as the store guarantees.
        heard.sort_by_key(|heard: &Heard| heard.seq);
        heard.dedup_by_key(|heard| heard.seq);
        heard
    })
}

fn signs() -> impl Strategy<Value = Vec<Sign>> {
    proptest::collection::vec((900_i64..1_100, 1_u64..3), 0..10).prop_map(|minutes| {
        let mut minutes = minutes;
        minutes.sort_unstable();
        minutes.iter().zip(1..).map(|((minute, boot), seq)| sign(seq, *boot, *minute)).collect()
    })
}

proptest! {
    #[test]
    fn lost_doubled_and_reordered_records_end_in_the_same_outcomes(
        heard in heard(),
        signs in signs(),
        order in proptest::collection::vec(any::<proptest::sample::Index>(), 24),
        now in 900_i64..1_200,
    ) {
        let expected = expected(&[
            due(1, AT, END, Kind::Clip),
            due(2, END, END.plus(MIN), Kind::Clip),
            due(3, AT, AT.plus(60 * MIN), Kind::Pages),
        ]);
        let now = UtcMs(now * MIN);
        let straight = judge(&expected, &heard, &life(&signs), now);
        let mut shaken = Vec::new();
        let mut shaken_signs = Vec::new();
        for at in &order {
            if !heard.is_empty() {
                shaken.push(heard[at.index(heard.len())].clone());
            }
            if !signs.is_empty() {
                shaken_signs.push(signs[at.index(signs.len())]);
            }
        }
        // What was lost on the way comes again in the end.
        shaken.extend(heard.iter().rev().cloned());
        shaken_signs.extend(signs.iter().rev());
        prop_assert_eq!(&judge(&expected, &shaken, &life(&shaken_signs), now), &straight);
        for known in expected.keys() {
            let of_cue: Vec<_> = straight.iter().filter(|o| o.cue == *known).collect();
            prop_assert_eq!(of_cue.len(), 1, "every expected cue has one outcome");
            prop_assert!((0..=of_cue[0].due_ms).contains(&of_cue[0].played_ms));
            let over = now >= of_cue[0].end_ms;
            prop_assert!(!over || of_cue[0].result.is_some(), "over, so there is a result");
            prop_assert_eq!(of_cue[0].stage == Stage::Pending, !over);
        }
    }
}

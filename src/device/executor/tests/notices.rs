//! Urgent notices and drills at golden moments.

use super::*;

pub(super) fn notice(jti: &str, made: UtcMs, ms: i64) -> Notice {
    Notice {
        jti: jti.to_owned(),
        kind: NoticeKind::Urgent,
        iat: made,
        exp: made.plus(3_600_000),
        reason: "lũ về".to_owned(),
        text: "SƠ TÁN NGAY".to_owned(),
        asset: Some((asset(jti), entry(ms))),
        times: 1,
        gap_ms: 0,
        volume: 100,
    }
}

pub(super) fn tell(bench: &mut Bench, notice: Notice) -> Vec<Action> {
    bench.tell(Event::Notice(Box::new(notice)))
}

/// A device that follows one long clip, with the assets of notices on disk.
pub(super) fn during_a_cue(names: &[&str]) -> (Bench, PlayOrder) {
    let from = at("06:00:00");
    let planned = sheet(&[loud()], &[clip("tin", from, 120_000)]);
    let mut bench = Bench::new(SPEAKER, at("05:59:00"));
    for name in names.iter().chain(&["tin"]) {
        bench.tell(Event::AssetHeld(asset(name)));
    }
    bench.follow(&planned);
    let [order] = &orders(&bench.at(from.plus(-LEAD_MS)))[..] else { panic!() };
    bench.at(from);
    bench.tell(Event::Started { token: order.token, at: from });
    (bench, order.clone())
}

pub(super) fn halted(actions: &[Action], token: u64) -> bool {
    actions.iter().any(|a| matches!(a, Action::Halt { token: t, .. } if *t == token))
}

pub(super) fn start(bench: &mut Bench, token: u64) -> Vec<Action> {
    let at = bench.now.utc;
    bench.tell(Event::Started { token, at })
}

pub(super) fn end(bench: &mut Bench, token: u64, played_ms: i64, by: Ended) -> Vec<Action> {
    let at = bench.now.utc;
    bench.tell(Event::Ended { token, at, played_ms, by })
}

pub(super) fn results(actions: &[Action]) -> Vec<String> {
    let result = |b| match b {
        Body::Did { what, result, .. } => Some(format!("{what}: {result}")),
        _ => None,
    };
    bodies(actions).into_iter().filter_map(result).collect()
}

pub(super) fn started(actions: &[Action]) -> Vec<(Subject, u32)> {
    let start = |b| match b {
        Body::Start { subject, n, .. } => Some((subject, n)),
        _ => None,
    };
    bodies(actions).into_iter().filter_map(start).collect()
}

#[test]
fn an_urgent_notice_cuts_the_cue_which_rejoins_at_the_right_offset() {
    let (mut bench, cue) = during_a_cue(&["n"]);
    bench.at(at("06:00:10"));
    let made = bench.now.utc;
    let actions = tell(&mut bench, notice("n", made, 20_000));
    assert!(halted(&actions, cue.token) && orders(&actions).is_empty(), "{actions:?}");
    bench.at(at("06:00:10").plus(400));
    let actions = end(&mut bench, cue.token, 10_400, Ended::Halted);
    let cut = only_play(&actions);
    assert_eq!((cut.outcome, cut.cause.as_str()), (Said::PreEmpted, "pre-empted"));
    assert_eq!((cut.by.as_deref(), cut.played_ms), (Some("n"), 10_400));
    let [call] = &orders(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!((call.asset, call.offset_ms, call.volume), (asset("n"), 0, 100), "no cap");
    // The journal says that it began before it is ordered.
    let journal =
        actions.iter().find_map(|a| if let Action::Journal(j) = a { Some(j) } else { None });
    assert_eq!(journal.unwrap().notices[0].begun, 1);
    let actions = start(&mut bench, call.token);
    assert_eq!(started(&actions), [(Subject::Notice { jti: "n".into() }, 1)]);
    assert_eq!(orders(&bench.at(at("06:00:25"))), [], "nothing sounds beside it");
    bench.at(at("06:00:31"));
    let actions = end(&mut bench, call.token, 20_000, Ended::Clip);
    let play = only_play(&actions);
    assert_eq!((play.outcome, play.cause.as_str(), play.n), (Said::Played, "end", 1));
    assert_eq!((play.sheet, play.item.as_str(), play.due_ms), (None, "urgent", made));
    let [again] = &orders(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!((again.asset, again.offset_ms), (asset("tin"), 31_000));
    start(&mut bench, again.token);
    bench.at(at("06:02:00"));
    let play = only_play(&end(&mut bench, again.token, 89_000, Ended::Clip));
    assert_eq!((play.outcome, play.cause.as_str()), (Said::Partial, "pre-empted"));
    assert_eq!(play.by.as_deref(), Some("n"));
    assert_eq!(bodies(&bench.at(at("06:10:00"))), []);
}

#[test]
fn a_cue_that_is_over_when_the_notice_ends_stays_pre_empted() {
    let (mut bench, cue) = during_a_cue(&["n"]);
    bench.at(at("05:59:59").plus(500));
    let later = clip("sau", at("06:02:00"), 10_000);
    let planned = sheet(&[loud()], &[clip("tin", at("06:00:00"), 120_000), later]);
    bench.tell(Event::AssetHeld(asset("sau")));
    bench.follow(&planned);
    bench.at(at("06:01:50"));
    let made = bench.now.utc;
    tell(&mut bench, notice("n", made, 30_000));
    let actions = end(&mut bench, cue.token, 110_000, Ended::Halted);
    let [call] = &orders(&actions)[..] else { panic!("{actions:?}") };
    start(&mut bench, call.token);
    assert_eq!(orders(&bench.at(at("06:02:05"))), []);
    let play = only_play(&bench.at(at("06:02:11")));
    assert_eq!(play.subject, Subject::Cue { cue: cue_id("sau") });
    assert_eq!((play.outcome, play.cause.as_str()), (Said::PreEmpted, "pre-empted"));
    assert_eq!((play.by.as_deref(), play.started_ms), (Some("n"), None));
}

#[test]
fn it_passes_quiet_hours_spans_and_the_floor_and_repeats_with_its_gap() {
    let mut bench = Bench::new(SPEAKER, at("02:00:00"));
    bench.tell(Event::AssetHeld(asset("n")));
    bench.tell(Event::Tick);
    let made = bench.now.utc;
    let actions = tell(&mut bench, Notice { times: 2, gap_ms: 5_000, ..notice("n", made, 4_000) });
    let [call] = &orders(&actions)[..] else { panic!("{actions:?}") };
    start(&mut bench, call.token);
    bench.at(at("02:00:04"));
    end(&mut bench, call.token, 4_000, Ended::Clip);
    assert_eq!(orders(&bench.at(at("02:00:08"))), [], "the gap");
    let actions = bench.at(at("02:00:09"));
    let [call] = &orders(&actions)[..] else { panic!("{actions:?}") };
    let actions = start(&mut bench, call.token);
    assert_eq!(started(&actions)[0].1, 2);
    bench.at(at("02:00:13"));
    end(&mut bench, call.token, 4_000, Ended::Clip);
    let rest: Vec<_> = (0..50).flat_map(|n| bench.at(at("02:01:00").plus(n * 60_000))).collect();
    assert_eq!(orders(&rest), [], "twice and no more");
    assert_eq!(results(&rest), Vec::<String>::new());
}

#[test]
fn between_repeats_a_short_gap_is_kept_free_and_a_long_one_given_to_the_cue() {
    for (gap_ms, joins) in [(60_000, false), (60_001, true)] {
        let (mut bench, cue) = during_a_cue(&["n"]);
        let made = bench.now.utc;
        tell(&mut bench, Notice { times: 2, gap_ms, ..notice("n", made, 4_000) });
        let actions = end(&mut bench, cue.token, 0, Ended::Halted);
        let [call] = &orders(&actions)[..] else { panic!("{actions:?}") };
        start(&mut bench, call.token);
        bench.at(at("06:00:04"));
        let mut actions = end(&mut bench, call.token, 4_000, Ended::Clip);
        for s in 5..50 {
            actions.extend(bench.at(at("06:00:00").plus(s * 1_000)));
        }
        let joined = orders(&actions).iter().any(|order| order.asset == asset("tin"));
        assert_eq!(joined, joins, "{gap_ms}");
    }
}

#[test]
fn several_notices_sound_by_their_age_and_none_cuts_another() {
    let mut bench = Bench::new(SPEAKER, at("02:00:00"));
    for name in ["a", "b", "c"] {
        bench.tell(Event::AssetHeld(asset(name)));
    }
    bench.tell(Event::Tick);
    let made = bench.now.utc;
    let actions = tell(&mut bench, notice("a", made, 4_000));
    let [call] = &orders(&actions)[..] else { panic!() };
    start(&mut bench, call.token);
    let actions = tell(&mut bench, notice("c", made.plus(2_000), 4_000));
    assert_eq!(results(&actions), ["urgent: received"]);
    let actions = tell(&mut bench, notice("b", made.plus(1_000), 4_000));
    assert!(!halted(&actions, call.token));
    bench.at(at("02:00:05"));
    let mut sounded = Vec::new();
    let mut token = call.token;
    for _ in 0..2 {
        let actions = end(&mut bench, token, 4_000, Ended::Clip);
        let [next] = &orders(&actions)[..] else { panic!("{actions:?}") };
        sounded.push(next.asset);
        token = next.token;
        start(&mut bench, token);
        bench.at(bench.now.utc.plus(4_000));
    }
    assert_eq!(sounded, [asset("b"), asset("c")]);
}

#[test]
fn a_withdrawal_works_before_during_and_after() {
    let (mut bench, cue) = during_a_cue(&["n"]);
    // Before: it waits for the cue to fade.
    let made = bench.now.utc;
    tell(&mut bench, notice("n", made, 20_000));
    let actions = bench.tell(Event::Withdraw { jti: "n".into() });
    assert_eq!(results(&actions), ["withdrawal: done"]);
    let actions = end(&mut bench, cue.token, 100, Ended::Halted);
    let [again] = &orders(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!(again.asset, asset("tin"), "the cue goes on");
    // During: it ends at once and is answered when it is silent.
    bench.tell(Event::AssetHeld(asset("m")));
    tell(&mut bench, notice("m", made, 20_000));
    let actions = end(&mut bench, again.token, 0, Ended::Halted);
    let [call] = &orders(&actions)[..] else { panic!("{actions:?}") };
    start(&mut bench, call.token);
    bench.at(at("06:00:05"));
    let actions = bench.tell(Event::Withdraw { jti: "m".into() });
    assert!(halted(&actions, call.token) && results(&actions).is_empty(), "{actions:?}");
    let actions = end(&mut bench, call.token, 5_000, Ended::Halted);
    let play = only_play(&actions);
    assert_eq!((play.outcome, play.cause.as_str()), (Said::Partial, "withdrawn"));
    assert_eq!(results(&actions), ["withdrawal: done"]);
    // After: nothing to end, and a repeated one is no news.
    let actions = bench.tell(Event::Withdraw { jti: "m".into() });
    assert_eq!(results(&actions), Vec::<String>::new());
}

#[test]
fn a_cancel_before_its_alert_is_not_forgotten() {
    let mut bench = Bench::new(SPEAKER, at("06:00:00"));
    bench.tell(Event::Tick);
    let actions = bench.tell(Event::Withdraw { jti: "n".into() });
    // The gate remembers it and lets no such notice through; the executor says that it is kept.
    assert_eq!(results(&actions), ["withdrawal: kept"]);
    assert_eq!(results(&bench.tell(Event::Withdraw { jti: "n".into() })), Vec::<String>::new());
}

/// Keeps what a device would: the journal and the records.
#[derive(Default)]
struct Disk {
    journal: Option<Journal>,
    records: Vec<Record>,
}

impl Disk {
    fn keep(&mut self, now: UtcMs, actions: &[Action]) {
        for action in actions {
            match action {
                Action::Journal(journal) => self.journal = Some(journal.clone()),
                Action::Record(body) => {
                    let seq = self.records.len() as u64 + 1;
                    let head = super::random::head(seq, now);
                    self.records.push(Record { head, body: (**body).clone() });
                }
                _ => {}
            }
        }
    }

    fn boot(&self, output: Output, now: UtcMs) -> Bench {
        Bench::with(output, now, Past::read(self.journal.clone(), self.records.clone()))
    }
}

#[test]
fn an_alert_is_not_replayed_after_a_restart() {
    for journal_lost in [false, true] {
        let mut disk = Disk::default();
        let mut bench = Bench::new(SPEAKER, at("02:00:00"));
        let made = bench.now.utc;
        let alert = Notice { times: 3, gap_ms: 1_000, ..notice("n", made, 10_000) };
        disk.keep(made, &bench.tell(Event::AssetHeld(asset("n"))));
        disk.keep(made, &bench.tell(Event::Tick));
        let actions = tell(&mut bench, alert.clone());
        disk.keep(made, &actions);
        let token = orders(&actions)[0].token;
        disk.keep(made, &start(&mut bench, token));
        disk.keep(made, &bench.at(made.plus(4_000)));
        if journal_lost {
            disk.journal = None;
        }
        // Killed in the middle of the first; the notice comes again, from disk and broker.
        let mut numbers = Vec::new();
        let mut bench = disk.boot(SPEAKER, made.plus(60_000));
        tell(&mut bench, alert.clone());
        bench.tell(Event::AssetHeld(asset("n")));
        let mut actions = bench.tell(Event::Tick);
        let cut = only_play(&actions);
        assert_eq!(
            (cut.subject, cut.cause.as_str()),
            (Subject::Notice { jti: "n".into() }, "power")
        );
        for _ in 0..2 {
            disk.keep(bench.now.utc, &actions);
            let [call] = &orders(&actions)[..] else { panic!("{journal_lost} {actions:?}") };
            let started_now = start(&mut bench, call.token);
            disk.keep(bench.now.utc, &started_now);
            numbers.push(started(&started_now)[0].1);
            bench.at(bench.now.utc.plus(10_000));
            let ended = end(&mut bench, call.token, 10_000, Ended::Clip);
            disk.keep(bench.now.utc, &ended);
            actions = bench.at(bench.now.utc.plus(1_000));
        }
        assert_eq!(numbers, [2, 3], "only what is left");
        assert_eq!(orders(&actions), []);
        // And a third run, however the clock is set, plays nothing more of it.
        for now in [made.plus(120_000), made.plus(-600_000), made.plus(7_200_000)] {
            let mut bench = disk.boot(SPEAKER, now);
            bench.tell(Event::AssetHeld(asset("n")));
            tell(&mut bench, alert.clone());
            bench.tell(Event::Tick);
            let later = bench.at(now.plus(30_000));
            assert_eq!(orders(&later), []);
        }
    }
}

#[test]
fn what_a_revoked_key_signed_ends_without_an_answer() {
    let mut bench = Bench::new(SPEAKER, at("06:00:00"));
    bench.tell(Event::AssetHeld(asset("n")));
    bench.tell(Event::Tick);
    let made = bench.now.utc;
    let actions = tell(&mut bench, notice("n", made, 4_000));
    let token = orders(&actions)[0].token;
    start(&mut bench, token);
    let notices = vec!["n".to_owned()];
    let actions = bench.tell(Event::Void { notices, holds: Vec::new() });
    assert!(halted(&actions, token));
    let actions = end(&mut bench, token, 100, Ended::Halted);
    assert_eq!(results(&actions), Vec::<String>::new());
}

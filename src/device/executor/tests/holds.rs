//! Holds at golden moments.

use super::notices::notice;
use super::*;

fn hold(unit: &str, jti: &str, until: Option<UtcMs>) -> Event {
    Event::Hold(HoldOrder { unit: unit.parse().unwrap(), jti: jti.to_owned(), until })
}

fn did(actions: &[Action]) -> Vec<(String, String)> {
    let did = |b| if let Body::Did { jti, what, .. } = b { Some((jti, what)) } else { None };
    bodies(actions).into_iter().filter_map(did).collect()
}

fn word(jti: &str, what: &str) -> (String, String) {
    (jti.to_owned(), what.to_owned())
}

/// A loudspeaker in the middle of "a", with "b" in a minute and "c" in two.
fn playing() -> (Bench, u64) {
    let from = at("06:00:00");
    let clips = [
        clip("a", from, 50_000),
        clip("b", from.plus(60_000), 50_000),
        clip("c", from.plus(120_000), 50_000),
    ];
    let planned = sheet(&[loud()], &clips);
    let mut bench = Bench::new(SPEAKER, at("05:59:00"));
    for name in ["a", "b", "c", "n"] {
        bench.tell(Event::AssetHeld(asset(name)));
    }
    bench.follow(&planned);
    let token = orders(&bench.at(from.plus(-LEAD_MS)))[0].token;
    bench.at(from);
    bench.tell(Event::Started { token, at: from });
    bench.at(from.plus(10_000));
    (bench, token)
}

#[test]
fn a_hold_ends_what_sounds_and_says_so_when_it_is_silent() {
    let (mut bench, token) = playing();
    let until = at("06:01:30");
    let actions = bench.tell(hold("00070", "h", Some(until)));
    assert!(matches!(actions.iter().find(|a| matches!(a, Action::Halt { .. })),
        Some(Action::Halt { token: t, fade_ms }) if *t == token && *fade_ms <= 500));
    assert_eq!(did(&actions), [], "not before it is silent");
    let at_ms = bench.now.utc;
    let actions =
        bench.tell(Event::Ended { token, at: at_ms, played_ms: 10_400, by: Ended::Halted });
    let play = only_play(&actions);
    assert_eq!((play.outcome, play.cause.as_str()), (Said::Partial, "hold"));
    assert_eq!(play.by.as_deref(), Some("h"));
    assert_eq!(did(&actions), [word("h", "hold")]);
    // What would begin in it is refused, and what begins after it plays.
    let mut refused = Vec::new();
    let mut ordered = Vec::new();
    for s in 11..121 {
        let actions = bench.at(at("06:00:00").plus(s * 1_000));
        refused.extend(plays(&actions));
        ordered.extend(orders(&actions));
    }
    let [one] = &refused[..] else { panic!("{refused:?}") };
    assert_eq!(one.subject, Subject::Cue { cue: cue_id("b") });
    assert_eq!((one.outcome, one.cause.as_str()), (Said::Refused, "hold"));
    assert_eq!(one.by.as_deref(), Some("h"));
    assert_eq!(ordered.iter().map(|o| o.asset).collect::<Vec<_>>(), [asset("c")]);
}

#[test]
fn a_release_ends_it_early_and_the_longest_hold_of_all_units_counts() {
    let (mut bench, token) = playing();
    bench.tell(hold("00070", "h1", Some(at("06:10:00"))));
    bench.tell(hold("19", "h2", Some(at("06:20:00"))));
    let at_ms = bench.now.utc;
    let actions = bench.tell(Event::Ended { token, at: at_ms, played_ms: 100, by: Ended::Halted });
    assert_eq!(did(&actions), [word("h1", "hold"), word("h2", "hold")]);
    assert_eq!(did(&bench.tell(hold("00070", "r1", None))), [word("r1", "release")]);
    assert_eq!(orders(&bench.at(at("06:00:58"))), [], "the province still holds");
    let actions = bench.tell(hold("19", "r2", None));
    assert_eq!(did(&actions), [word("r2", "release")]);
    assert_eq!(orders(&actions).len(), 1, "the next clip is due in two seconds");
    // A unit that the device left holds nothing.
    bench.tell(hold("00070", "h3", Some(at("06:10:00"))));
    let holds = vec!["00070".parse().unwrap()];
    bench.tell(Event::Void { notices: Vec::new(), holds });
    assert!(bench.device.world.held(bench.now).is_none());
}

#[test]
fn an_urgent_notice_sounds_in_a_hold_and_nothing_else_does() {
    let (mut bench, token) = playing();
    bench.tell(hold("00070", "h", Some(at("07:00:00"))));
    let at_ms = bench.now.utc;
    bench.tell(Event::Ended { token, at: at_ms, played_ms: 100, by: Ended::Halted });
    for order in [Order::SelfTest, Order::Identify] {
        let jti = format!("{order:?}");
        let actions = bench.tell(Event::Command { jti, order });
        assert!(
            matches!(&bodies(&actions)[..], [Body::Did { result, .. }] if result == "refused: hold")
        );
    }
    let made = bench.now.utc;
    let actions = bench.tell(Event::Notice(Box::new(notice("n", made, 4_000))));
    let [call] = &orders(&actions)[..] else { panic!("{actions:?}") };
    let actions = bench.tell(Event::Started { token: call.token, at: made });
    assert!(matches!(&bodies(&actions)[..], [Body::Start { .. }]));
    // A hold that comes while it sounds lets it end.
    let actions = bench.tell(hold("19", "h2", Some(at("07:00:00"))));
    assert_eq!(did(&actions), [word("h2", "hold")]);
    assert!(!actions.iter().any(|a| matches!(a, Action::Halt { .. })));
}

#[test]
fn a_hold_is_obeyed_without_trusted_time_and_answered_once_over_restarts() {
    let mut bench = Bench::new(SPEAKER, at("06:00:00"));
    bench.tell(Event::Clock(Time::Unknown));
    let mut actions = bench.tell(Event::Tick);
    actions.extend(bench.tell(hold("00070", "h", Some(at("05:00:00")))));
    assert_eq!(did(&actions), [word("h", "hold")]);
    assert!(bench.device.world.held(bench.now).is_some(), "nobody knows that it is over");
    bench.tell(Event::Clock(Time::Fit));
    assert!(bench.device.world.held(bench.now).is_none());
    let records = bodies(&actions).into_iter().map(|body| {
        let head = super::random::head(1, at("06:00:00"));
        Record { head, body }
    });
    let mut bench = Bench::with(SPEAKER, at("06:01:00"), Past::read(None, records));
    let mut actions = bench.tell(hold("00070", "h", Some(at("07:00:00"))));
    actions.extend(bench.tell(Event::Tick));
    assert_eq!(did(&actions), [], "it was answered before");
    assert!(bench.device.world.held(bench.now).is_some(), "and is obeyed all the same");
}

#[test]
fn a_held_board_goes_dark_and_its_cue_goes_on_after() {
    let from = at("06:00:00");
    let planned = sheet(&[], &[super::board::text("a", from, 600_000)]);
    let mut bench = Bench::new(Output::Board { grade: 3 }, at("05:50:00"));
    let page = super::board::page("UBND XÃ");
    bench.tell(Event::Timetable(Schedule { idle: Some(page), ..schedule(&[&planned]) }));
    bench.tell(Event::SheetHeld(name_of(&planned), Arc::clone(&planned)));
    let idle = super::board::showing(&bench.tell(Event::Tick)).unwrap();
    let actions = bench.tell(hold("00070", "h", Some(at("06:01:00"))));
    assert!(actions.contains(&Action::Blank), "the idle page goes too: {actions:?}");
    let now = bench.now.utc;
    let frame = Some(Digest::of(b"frame"));
    let pass = PassEnd { from: now, to: now, shown_ms: 1, whole: false, frame };
    let actions = bench.tell(Event::Passed { token: idle.token, pass });
    assert_eq!(did(&actions), [word("h", "hold")]);
    for s in 0..59 {
        let actions = bench.at(from.plus(s * 1_000));
        assert_eq!(super::board::showing(&actions), None);
    }
    let order = super::board::showing(&bench.at(at("06:01:00"))).unwrap();
    assert_eq!(order.pages[0].text, "a");
    // A cue that ends within a hold is refused, not failed.
    bench.tell(hold("00070", "h2", Some(at("07:00:00"))));
    let later = sheet(&[], &[super::board::text("b", at("06:20:00"), 60_000)]);
    bench.follow(&later);
    let pass = PassEnd { from: now, to: now, shown_ms: 1, whole: false, frame };
    bench.tell(Event::Passed { token: order.token, pass });
    bench.at(at("06:20:30"));
    let shows = shows(&bench.at(at("06:21:01")));
    let [show] = &shows[..] else { panic!("{shows:?}") };
    assert_eq!((show.outcome, show.cause.as_str()), (Said::Refused, "hold"));
}

#[test]
fn a_flood_of_holds_is_obeyed_to_the_last_and_costs_few_records() {
    let from = at("06:00:00");
    let mut bench = Bench::new(SPEAKER, from);
    bench.tell(Event::Tick);
    let mut records = Vec::new();
    // Two hours of a hold or a release every second, each signed anew.
    for n in 0..7_200 {
        let until = (n % 2 == 0).then(|| at("20:00:00"));
        records.extend(bodies(&bench.tell(hold("00070", &format!("h{n}"), until))));
        assert_eq!(bench.device.world.held(bench.now).is_some(), until.is_some(), "{n}: obeyed");
        records.extend(bodies(&bench.at(from.plus((n + 1) * 1_000))));
    }
    records.extend(bodies(&bench.at(from.plus(4 * 3_600_000))));
    let did = records.iter().filter(|body| matches!(body, Body::Did { .. })).count();
    let left_out: u64 = records
        .iter()
        .filter_map(|body| match body {
            Body::Refuse { reason, n, .. } if reason == "flood" => Some(*n),
            _ => None,
        })
        .sum();
    assert_eq!(records.len(), did + 2, "one count an hour: {records:?}");
    assert!(did <= 3 * super::super::answers::MANY, "{did} answers");
    assert_eq!(did as u64 + left_out, 7_200, "each is answered or counted");
    let last = records.iter().rev().find(|body| matches!(body, Body::Did { .. }));
    assert!(matches!(last, Some(Body::Did { jti, .. }) if jti == "h7199"), "{last:?}");
}

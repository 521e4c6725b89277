//! Clocks that are set while something sounds, is held, or waits.

use super::notices::notice;
use super::*;

/// A loudspeaker that sounds a clip of two minutes since ten seconds; sound is allowed from five
/// to nine in the evening.
fn sounding(from: UtcMs) -> (Bench, u64) {
    let planned = sheet(&[loud()], &[clip("tin", from, 120_000)]);
    let mut bench = Bench::new(SPEAKER, from.plus(-60_000));
    for name in ["tin", "n"] {
        bench.tell(Event::AssetHeld(asset(name)));
    }
    bench.follow(&planned);
    let token = orders(&bench.at(from.plus(-LEAD_MS)))[0].token;
    bench.at(from);
    bench.tell(Event::Started { token, at: from });
    bench.at(from.plus(10_000));
    (bench, token)
}

/// Somebody sets the clock; the device looks at it a fifth of a second later.
fn set(bench: &mut Bench, to: UtcMs) -> Vec<Action> {
    bench.now = Moment { utc: to, mono_ms: bench.now.mono_ms + 200 };
    bench.tell(Event::Tick)
}

fn halted(actions: &[Action], token: u64) -> bool {
    actions.iter().any(|a| matches!(a, Action::Halt { token: t, fade_ms: 0 } if *t == token))
}

fn cut(bench: &mut Bench, token: u64) -> Play {
    let at = bench.now.utc;
    only_play(&bench.tell(Event::Ended { token, at, played_ms: 10_200, by: Ended::Halted }))
}

#[test]
fn a_clock_set_over_the_end_of_a_clip_or_into_the_night_ends_it_at_once() {
    for (to, cause) in [("06:10:00", "clock"), ("22:00:00", "clock"), ("04:30:00", "quiet")] {
        let (mut bench, token) = sounding(at("06:00:00"));
        let actions = set(&mut bench, at(to));
        assert!(halted(&actions, token), "{to}: {actions:?}");
        let play = cut(&mut bench, token);
        assert_eq!((play.outcome, play.cause.as_str()), (Said::Partial, cause), "{to}");
        assert_eq!(play.played_ms, 10_200, "samples were counted");
        assert_eq!(play.ended_ms, Some(at("06:00:00").plus(10_200)), "on one time line");
        for s in 0..30 {
            let later = at(to).plus(s * 1_000);
            assert_eq!(orders(&bench.at(later)), [], "{to}: nothing sounds in the night");
        }
    }
}

#[test]
fn after_a_clock_was_set_forth_and_back_no_stretch_sounds_again() {
    let (mut bench, token) = sounding(at("06:00:00"));
    set(&mut bench, at("06:10:00"));
    cut(&mut bench, token);
    let actions = set(&mut bench, at("06:00:05"));
    let again: Vec<_> =
        orders(&actions).into_iter().chain(orders(&bench.at(at("06:00:30")))).collect();
    assert!(again.iter().all(|order| order.offset_ms >= 10_200), "{again:?}");
    assert!(again.iter().all(|order| order.at.plus(-order.offset_ms) == at("06:00:00")));
}

#[test]
fn a_hold_that_the_clock_skips_still_takes_the_clips_that_begin_in_it() {
    let from = at("06:00:00");
    let clips = [clip("a", from.plus(60_000), 60_000), clip("b", from.plus(125_000), 10_000)];
    let mut bench = Bench::new(SPEAKER, from);
    for name in ["a", "b"] {
        bench.tell(Event::AssetHeld(asset(name)));
    }
    bench.follow(&sheet(&[loud()], &clips));
    let until = Some(from.plus(90_000));
    let (unit, jti) = ("00070".parse().unwrap(), "h".to_owned());
    bench.tell(Event::Hold(HoldOrder { unit, jti, until }));
    // From before "a" to beyond the hold, into the middle of "a".
    let actions = set(&mut bench, from.plus(100_000));
    assert_eq!(orders(&actions), []);
    let play = only_play(&actions);
    assert_eq!((play.outcome, play.cause.as_str()), (Said::Refused, "hold"));
    assert_eq!((play.by.as_deref(), play.started_ms), (Some("h"), None));
    let [order] = &orders(&bench.at(from.plus(123_000)))[..] else { panic!("b sounds") };
    assert_eq!(order.asset, asset("b"));
    // Set back into the hold: silence again.
    bench.tell(Event::Started { token: order.token, at: from.plus(125_000) });
    let actions = set(&mut bench, from.plus(80_000));
    assert!(
        actions.iter().any(|a| matches!(a, Action::Halt { token, .. } if *token == order.token))
    );
}

#[test]
fn a_clock_set_over_the_end_of_a_notice_lets_it_end_and_begins_nothing_more() {
    let mut bench = Bench::new(SPEAKER, at("06:00:00"));
    bench.tell(Event::AssetHeld(asset("n")));
    bench.tell(Event::Tick);
    let made = bench.now.utc;
    let told = Notice { times: 3, gap_ms: 2_000, ..notice("n", made, 20_000) };
    let token = orders(&bench.tell(Event::Notice(Box::new(told))))[0].token;
    bench.tell(Event::Started { token, at: made });
    let actions = set(&mut bench, at("09:00:00"));
    assert!(!actions.iter().any(|a| matches!(a, Action::Halt { .. })), "people hear it out");
    let at_ms = bench.now.utc;
    let actions = bench.tell(Event::Ended { token, at: at_ms, played_ms: 20_000, by: Ended::Clip });
    let play = only_play(&actions);
    assert_eq!((play.outcome, play.n), (Said::Played, 1));
    assert_eq!(play.ended_ms, Some(made.plus(20_000)));
    for s in 0..10 {
        assert_eq!(orders(&bench.at(at("09:00:01").plus(s * 1_000))), []);
    }
    // Set right again, an hour before its end: what is over stays over.
    assert_eq!(orders(&set(&mut bench, at("06:00:30"))), []);
}

#[test]
fn between_repeats_the_gap_is_kept_whatever_the_clock_says() {
    for to in ["05:00:00", "06:30:00"] {
        let mut bench = Bench::new(SPEAKER, at("06:00:00"));
        bench.tell(Event::AssetHeld(asset("n")));
        bench.tell(Event::Tick);
        let made = bench.now.utc;
        let told = Notice { times: 2, gap_ms: 5_000, ..notice("n", made, 4_000) };
        let token = orders(&bench.tell(Event::Notice(Box::new(told))))[0].token;
        bench.tell(Event::Started { token, at: made });
        bench.at(made.plus(4_000));
        let at_ms = bench.now.utc;
        bench.tell(Event::Ended { token, at: at_ms, played_ms: 4_000, by: Ended::Clip });
        assert_eq!(orders(&set(&mut bench, at(to))), []);
        assert_eq!(orders(&bench.at(at(to).plus(4_500))), [], "{to}");
        let [second] = &orders(&bench.at(at(to).plus(4_800)))[..] else { panic!("{to}") };
        assert_eq!((second.asset, second.offset_ms), (asset("n"), 0));
    }
}

#[test]
fn a_board_ends_a_notice_when_the_clock_is_set_over_its_end() {
    let mut bench = Bench::new(Output::Board { grade: 3 }, at("06:00:00"));
    bench.tell(Event::Tick);
    let made = bench.now.utc;
    let actions = bench.tell(Event::Notice(Box::new(notice("n", made, 1))));
    let order = super::board::showing(&actions).unwrap();
    bench.tell(Event::Started { token: order.token, at: made });
    let actions = set(&mut bench, at("09:00:00"));
    assert!(actions.contains(&Action::Blank), "{actions:?}");
    let frame = Some(Digest::of(b"frame"));
    let pass = PassEnd { from: made, to: made.plus(200), shown_ms: 200, whole: false, frame };
    let actions = bench.tell(Event::Passed { token: order.token, pass });
    let [show] = &shows(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!((show.shown_ms, show.outcome), (200, Said::Played));
    assert_eq!(super::board::showing(&bench.at(at("09:00:10"))), None);
}

#[test]
fn without_trusted_time_no_command_moves_the_output() {
    for (output, word) in [(SPEAKER, "nothing plays"), (Output::Board { grade: 3 }, "unsupported")]
    {
        let mut bench = Bench::new(output, at("10:00:00"));
        bench.follow(&sheet(&[loud()], &[]));
        bench.tell(Event::Clock(Time::Unknown));
        for order in [Order::SelfTest, Order::Identify, Order::Stop, Order::Volume(50)] {
            let asked = format!("{order:?}");
            let actions = bench.tell(Event::Command { jti: asked.clone(), order });
            let Some(Body::Did { result, .. }) = bodies(&actions).pop() else {
                panic!("{asked}: {actions:?}")
            };
            assert_eq!(result, "refused: clock", "{asked}");
            assert_eq!(orders(&actions), [], "{asked}");
        }
        bench.tell(Event::Clock(Time::Fit));
        let order = Order::Volume(50);
        let actions = bench.tell(Event::Command { jti: "sau".to_owned(), order });
        let Some(Body::Did { result, .. }) = bodies(&actions).pop() else { panic!("{actions:?}") };
        assert_eq!(result, word);
    }
}

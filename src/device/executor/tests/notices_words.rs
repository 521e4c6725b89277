//! What is said of urgent notices that do not begin at once, or not at all.

use super::notices::{halted, notice, results, start, started, tell};
use super::*;
use crate::device::executor::notices::Fate;

#[test]
fn a_missing_asset_is_wanted_before_all_others_and_the_notice_waits_for_it() {
    let planned = sheet(&[loud()], &[clip("tin", at("06:00:00"), 10_000)]);
    let mut bench = Bench::new(SPEAKER, at("05:59:30"));
    bench.follow(&planned);
    let made = bench.now.utc;
    let actions = tell(&mut bench, notice("n", made, 4_000));
    assert_eq!(results(&actions), ["urgent: received"]);
    let wanted = actions.iter().find_map(|a| match a {
        Action::Want { assets, .. } => Some(assets.clone()),
        _ => None,
    });
    let wanted = wanted.unwrap();
    assert_eq!(wanted.iter().map(|w| w.asset).collect::<Vec<_>>(), [asset("n"), asset("tin")]);
    assert!(wanted[0].first.unwrap() < made && wanted[0].last.is_none(), "now, and to keep");
    let actions = bench.tell(Event::AssetHeld(asset("n")));
    let [call] = &orders(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!(call.offset_ms, 0, "from its beginning, however late");
    start(&mut bench, call.token);
    // Another one whose asset never comes is over at its end.
    let actions = tell(&mut bench, Notice { exp: made.plus(60_000), ..notice("m", made, 4_000) });
    assert_eq!(results(&actions), ["urgent: received"]);
    assert_eq!(results(&bench.at(made.plus(60_000))), ["urgent: expired"]);
    bench.tell(Event::AssetHeld(asset("m")));
    assert_eq!(orders(&bench.at(made.plus(90_000))), []);
}

#[test]
fn a_waiting_notice_says_that_its_asset_came_when_it_still_cannot_begin() {
    let mut bench = Bench::new(SPEAKER, at("02:00:00"));
    bench.tell(Event::AssetHeld(asset("a")));
    bench.tell(Event::Tick);
    let made = bench.now.utc;
    let actions = tell(&mut bench, notice("a", made, 60_000));
    start(&mut bench, orders(&actions)[0].token);
    assert_eq!(results(&tell(&mut bench, notice("b", made, 4_000))), ["urgent: received"]);
    let actions = bench.tell(Event::AssetHeld(asset("b")));
    assert_eq!(results(&actions), ["urgent: fetched"]);
    assert_eq!(results(&bench.at(at("02:00:01"))), Vec::<String>::new(), "each word once");
}

#[test]
fn without_trusted_time_a_notice_waits_and_says_so() {
    let mut bench = Bench::new(SPEAKER, at("06:00:00"));
    bench.tell(Event::AssetHeld(asset("n")));
    bench.tell(Event::Tick);
    bench.tell(Event::Clock(Time::Drifted));
    let made = bench.now.utc;
    let actions = tell(&mut bench, notice("n", made, 4_000));
    assert_eq!(results(&actions), ["urgent: failed: clock"]);
    assert_eq!(orders(&bench.at(at("06:00:10"))), []);
    let actions = bench.tell(Event::Clock(Time::Fit));
    assert_eq!(orders(&actions).len(), 1, "{actions:?}");
    start(&mut bench, orders(&actions)[0].token);
    let actions = bench.tell(Event::Clock(Time::Unknown));
    assert!(!halted(&actions, orders(&actions).first().map_or(0, |o| o.token)));
}

#[test]
fn a_drill_is_answered_and_neither_sounds_nor_shows() {
    for output in [SPEAKER, Output::Board { grade: 3 }] {
        let mut bench = Bench::new(output, at("06:00:00"));
        bench.tell(Event::Tick);
        let made = bench.now.utc;
        let drill = Notice { kind: NoticeKind::Drill, ..notice("d", made, 4_000) };
        let mut actions = tell(&mut bench, drill);
        if output == SPEAKER {
            assert_eq!(results(&actions), ["drill: received"]);
            actions = bench.tell(Event::AssetHeld(asset("d")));
        }
        assert_eq!(results(&actions), ["drill: ready"]);
        let mut all = actions;
        for n in 0..100 {
            all.extend(bench.at(made.plus(n * 60_000)));
        }
        assert!(!all.iter().any(|a| matches!(a, Action::Play(_) | Action::Show(_))), "{all:?}");
        assert_eq!(results(&all), ["drill: ready"]);
    }
}

#[test]
fn an_output_that_fails_does_not_spend_a_repeat() {
    let mut bench = Bench::new(SPEAKER, at("06:00:00"));
    bench.tell(Event::AssetHeld(asset("n")));
    bench.tell(Event::Tick);
    let made = bench.now.utc;
    let actions = tell(&mut bench, notice("n", made, 4_000));
    let token = orders(&actions)[0].token;
    let actions = bench.tell(Event::Failed { token, why: PlayFault::Output });
    assert_eq!(orders(&actions), []);
    assert_eq!(results(&actions), ["urgent: failed: output"]);
    let actions = bench.at(at("06:00:05"));
    let [call] = &orders(&actions)[..] else { panic!("{actions:?}") };
    let actions = bench.tell(Event::Failed { token: call.token, why: PlayFault::Damaged });
    assert!(actions.contains(&Action::Suspect(asset("n"))), "{actions:?}");
    assert_eq!(results(&actions), ["urgent: failed: damaged"]);
    bench.at(at("06:00:10"));
    let actions = bench.tell(Event::AssetHeld(asset("n")));
    assert_eq!(started(&start(&mut bench, orders(&actions)[0].token))[0].1, 1);
}

#[test]
fn a_loudspeaker_has_no_use_for_a_notice_without_sound() {
    let mut bench = Bench::new(SPEAKER, at("06:00:00"));
    bench.tell(Event::Tick);
    let made = bench.now.utc;
    let actions = tell(&mut bench, Notice { asset: None, ..notice("n", made, 1) });
    assert_eq!(results(&actions), ["urgent: unsupported"]);
    assert_eq!(bench.device.world.notices.marks()[0].fate, Fate::Over);
}

#[test]
fn a_refused_notice_is_answered_once_also_over_a_restart() {
    let declined = |jti: &str| Event::Declined { jti: jti.to_owned(), drill: false, word: "limit" };
    let mut bench = Bench::new(SPEAKER, at("06:00:00"));
    bench.tell(Event::Tick);
    let actions = bench.tell(declined("n"));
    assert_eq!(results(&actions), ["urgent: refused: limit"]);
    assert_eq!(bodies(&bench.tell(declined("n"))), []);
    let records = bodies(&actions).into_iter().map(|body| {
        let head = super::random::head(1, at("06:00:00"));
        Record { head, body }
    });
    let mut again = Bench::with(SPEAKER, at("06:01:00"), Past::read(None, records));
    again.tell(Event::Tick);
    assert_eq!(bodies(&again.tell(declined("n"))), []);
    let drill = Event::Declined { jti: "d".to_owned(), drill: true, word: "expired" };
    assert_eq!(results(&again.tell(drill)), ["drill: refused: expired"]);
}

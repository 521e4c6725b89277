//! What a board does with urgent notices, at golden moments.

use super::notices::{notice, results, start, started, tell};
use super::*;

#[test]
fn a_board_shows_notices_until_they_expire_and_then_its_cues_again() {
    let from = at("06:00:00");
    let planned = sheet(&[], &[super::board::text("a", from, 600_000)]);
    let mut bench = Bench::new(Output::Board { grade: 3 }, at("05:59:00"));
    bench.follow(&planned);
    let mut order = super::board::showing(&bench.at(from)).unwrap();
    assert_eq!(order.pages[0].text, "a");
    bench.at(from.plus(5_000));
    let made = bench.now.utc;
    let told = Notice { exp: made.plus(30_000), ..notice("n", made, 1) };
    let actions = tell(&mut bench, told);
    assert!(actions.contains(&Action::Blank));
    let mut records = Vec::new();
    let mut shown = Vec::new();
    for _ in 0..8 {
        let begun = bench.now.utc;
        let end = begun.plus(10_000).min(order.until);
        let shown_ms = end.since(begun).max(1);
        bench.now = Moment { utc: begun.plus(shown_ms), mono_ms: bench.now.mono_ms + shown_ms };
        let frame = Some(Digest::of(b"frame"));
        let pass = PassEnd { from: begun, to: end, shown_ms, whole: true, frame };
        let actions = bench.tell(Event::Passed { token: order.token, pass });
        records.extend(bodies(&actions));
        order = super::board::showing(&actions).unwrap();
        shown.push(order.pages[0].text.clone());
    }
    assert_eq!(shown[..2], ["SƠ TÁN NGAY", "SƠ TÁN NGAY"]);
    assert_eq!(shown.last().unwrap(), "a");
    let shows: Vec<_> =
        records.iter().filter_map(|b| if let Body::Show(s) = b { Some(s) } else { None }).collect();
    assert_eq!((shows[0].outcome, shows[0].cause.as_str()), (Said::PreEmpted, "pre-empted"));
    let of_notice = Subject::Notice { jti: "n".into() };
    assert_eq!((&shows[1].subject, shows[1].title.as_str()), (&of_notice, "lũ về"));
    assert_eq!((shows[1].outcome, shows[1].cause.as_str()), (Said::Played, "end"));
    let starts = records.iter().filter(|b| matches!(b, Body::Start { .. })).count();
    assert_eq!(starts, 1, "one word that it shows");
}

#[test]
fn a_board_says_that_it_shows_a_notice_when_it_does_and_why_it_does_not() {
    let board = Output::Board { grade: 3 };
    let mut bench = Bench::new(board, at("06:00:00"));
    bench.tell(Event::Tick);
    let made = bench.now.utc;
    let told = Notice { exp: made.plus(60_000), ..notice("n", made, 1) };
    let actions = tell(&mut bench, told);
    let mut order = super::board::showing(&actions).unwrap();
    assert_eq!(bodies(&actions), [], "ordered is not shown");
    let none = |bench: &Bench| {
        let now = bench.now.utc;
        PassEnd { from: now, to: now, shown_ms: 0, whole: false, frame: None }
    };
    let mut said = Vec::new();
    for _ in 0..12 {
        let pass = none(&bench);
        said.extend(bodies(&bench.tell(Event::Passed { token: order.token, pass })));
        let later = bench.now.utc.plus(5_000);
        let actions = bench.at(later);
        said.extend(bodies(&actions));
        match super::board::showing(&actions) {
            Some(next) => order = next,
            None => break,
        }
    }
    let words: Vec<_> = said
        .iter()
        .map(|body| match body {
            Body::Did { what, result, .. } => format!("{what}: {result}"),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(words, ["urgent: failed: output", "urgent: expired"], "and no start");
    // One that comes to its senses says so.
    let mut bench = Bench::new(board, at("06:00:00"));
    bench.tell(Event::Tick);
    let order = super::board::showing(&tell(&mut bench, notice("m", made, 1))).unwrap();
    let pass = none(&bench);
    let actions = bench.tell(Event::Passed { token: order.token, pass });
    assert_eq!(results(&actions), ["urgent: failed: output"]);
    let order = super::board::showing(&bench.at(at("06:00:05"))).unwrap();
    let actions = start(&mut bench, order.token);
    assert_eq!(started(&actions), [(Subject::Notice { jti: "m".into() }, 1)]);
    assert_eq!(bodies(&start(&mut bench, order.token)), [], "once");
}

#[test]
fn a_withdrawn_notice_leaves_the_board_at_once() {
    let mut bench = Bench::new(Output::Board { grade: 3 }, at("06:00:00"));
    bench.tell(Event::Tick);
    let made = bench.now.utc;
    let order = super::board::showing(&tell(&mut bench, notice("n", made, 1))).unwrap();
    bench.at(at("06:00:03"));
    let actions = bench.tell(Event::Withdraw { jti: "n".into() });
    assert!(actions.contains(&Action::Blank) && results(&actions).is_empty(), "{actions:?}");
    let frame = Some(Digest::of(b"frame"));
    let pass = PassEnd { from: made, to: bench.now.utc, shown_ms: 3_000, whole: false, frame };
    let actions = bench.tell(Event::Passed { token: order.token, pass });
    let [show] = &shows(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!((show.outcome, show.cause.as_str()), (Said::Partial, "withdrawn"));
    assert_eq!(results(&actions), ["withdrawal: done"]);
}

#[test]
fn a_board_goes_on_with_a_notice_after_a_restart_and_says_no_word_twice() {
    let planned = sheet(&[], &[]);
    let made = at("06:00:00");
    let mut bench = Bench::new(Output::Board { grade: 3 }, made);
    bench.follow(&planned);
    let actions = tell(&mut bench, notice("n", made, 4_000));
    let order = super::board::showing(&actions).unwrap();
    let mut actions = start(&mut bench, order.token);
    let records: Vec<Record> = bodies(&actions)
        .into_iter()
        .map(|body| Record { head: super::random::head(1, made), body })
        .collect();
    assert!(matches!(&records[..], [Record { body: Body::Start { .. }, .. }]), "{records:?}");
    let journal = actions.drain(..).find_map(|action| match action {
        Action::Journal(journal) => Some(journal),
        _ => None,
    });
    let output = Output::Board { grade: 3 };
    let mut bench = Bench::with(output, made.plus(60_000), Past::read(journal, records));
    tell(&mut bench, notice("n", made, 4_000));
    let actions = bench.follow(&planned);
    let order = super::board::showing(&actions).expect("the flood is not over");
    assert_eq!(bodies(&start(&mut bench, order.token)), [], "it began before");
    // A word whose record was written, but not the journal after it.
    let body =
        Body::Did { jti: "m".to_owned(), what: "urgent".to_owned(), result: "expired".to_owned() };
    let records = [Record { head: super::random::head(1, made), body }];
    let mut bench = Bench::with(output, made, Past::read(None, records));
    tell(&mut bench, Notice { exp: made, ..notice("m", made, 4_000) });
    assert_eq!(results(&bench.follow(&planned)), [] as [String; 0]);
}

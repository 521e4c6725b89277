//! What a board does at golden moments.

use super::*;

#[test]
fn a_board_shows_its_idle_page_and_its_name_between_cues() {
    let from = at("06:00:00");
    let planned = sheet(&[], &[text("a", from, 15_000)]);
    let mut bench = Bench::new(Output::Board { grade: 3 }, at("05:50:00"));
    let idle = Some(page("UBND XÃ"));
    bench.tell(Event::Timetable(Schedule { idle, ..schedule(&[&planned]) }));
    bench.tell(Event::SheetHeld(name_of(&planned), Arc::clone(&planned)));
    let order = showing(&bench.tell(Event::Tick)).unwrap();
    assert_eq!(order.pages[0].text, "UBND XÃ");
    let jti = "ai".to_owned();
    let order = showing(&bench.tell(Event::Command { jti, order: Order::Identify })).unwrap();
    assert_eq!(order.pages[0].text, "loa-thon-1");
    let (begun, to) = (bench.now.utc, bench.now.utc.plus(5_000));
    bench.at(to);
    let frame = Some(Digest::of(b"frame"));
    let pass = PassEnd { from: begun, to, shown_ms: 5_000, whole: true, frame };
    let actions = bench.tell(Event::Passed { token: order.token, pass });
    assert!(matches!(&bodies(&actions)[..], [Body::Did { result, .. }] if result == "done"));
    assert_eq!(showing(&actions).unwrap().pages[0].text, "UBND XÃ");
    // A cue takes the board at its time.
    let actions = bench.at(from);
    assert!(actions.contains(&Action::Blank), "{actions:?}");
}

pub(super) fn page(text: &str) -> Page {
    let (align, effect) = (Align::Centre, Effect::Still);
    Page { text: text.to_owned(), align, effect, dwell_ms: 10_000, colour: None, font: None }
}

pub(super) fn text(name: &str, from: UtcMs, ms: i64) -> Planned {
    let pages = vec![page(name)];
    let item = SheetItem::Pages { title: format!("Chữ {name}"), pages };
    (plain(name, from, from.plus(ms)), item, None)
}

pub(super) fn showing(actions: &[Action]) -> Option<ShowOrder> {
    actions.iter().rev().find_map(|a| if let Action::Show(o) = a { Some(o.clone()) } else { None })
}

#[test]
fn a_board_shows_its_rotation_in_turn_and_adds_up_by_the_quarter() {
    let from = at("06:00:00");
    let half_hour = 1_800_000;
    let sheet = sheet(&[], &[text("a", from, half_hour), text("b", from, half_hour)]);
    let mut bench = Bench::new(Output::Board { grade: 3 }, at("05:59:00"));
    bench.follow(&sheet);
    let mut order = showing(&bench.at(from));
    let mut seen = Vec::new();
    let mut records = Vec::new();
    while let Some(ShowOrder { token, cue, until, .. }) = order {
        seen.push(cue);
        let begun = bench.now.utc;
        let end = begun.plus(10_000).min(until);
        bench.now = Moment { utc: end, mono_ms: bench.now.mono_ms + end.since(begun) };
        let frame = Some(Digest::of(b"frame"));
        let shown_ms = end.since(begun);
        let pass = PassEnd { from: begun, to: end, shown_ms, whole: true, frame };
        let actions = bench.tell(Event::Passed { token, pass });
        records.extend(shows(&actions));
        order = showing(&actions);
    }
    records.extend(shows(&bench.at(from.plus(half_hour + 1_000))));
    assert_eq!(seen.len(), 180);
    assert!(seen.windows(2).all(|two| two[0] != two[1]), "one full pass each in turn");
    assert_eq!(records.len(), 4, "two items in two quarters");
    for show in &records {
        assert_eq!((show.times, show.shown_ms, show.outcome), (45, 450_000, Said::Played));
        assert_eq!(show.from_ms.0.div_euclid(900_000), (show.to_ms.0 - 1).div_euclid(900_000));
    }
}

#[test]
fn a_board_pass_ends_with_its_cue_and_the_board_goes_dark() {
    let from = at("06:00:00");
    let sheet = sheet(&[], &[text("a", from, 15_000), clip("tin", from, 5_000)]);
    let mut bench = Bench::new(Output::Board { grade: 3 }, at("05:59:00"));
    bench.follow(&sheet);
    let actions = bench.at(from);
    assert_eq!(shows(&actions)[0].cause, "unsupported", "a clip on a board");
    let order = showing(&actions).unwrap();
    let actions = bench.at(from.plus(15_000));
    assert!(actions.contains(&Action::Blank));
    let frame = Some(Digest::of(b"frame"));
    let to = bench.now.utc;
    let pass = PassEnd { from, to, shown_ms: 15_000, whole: false, frame };
    let actions = bench.tell(Event::Passed { token: order.token, pass });
    let [show] = &shows(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!((show.outcome, show.cause.as_str(), show.shown_ms), (Said::Played, "end", 15_000));
}

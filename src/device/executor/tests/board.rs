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
    Page::still(text, 10_000)
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

/// The board ends a pass of which nothing stood.
fn failed(bench: &mut Bench, token: u64) -> Vec<Action> {
    let now = bench.now.utc;
    let pass = PassEnd { from: now, to: now, shown_ms: 0, whole: false, frame: None };
    bench.tell(Event::Passed { token, pass })
}

#[test]
fn a_board_that_takes_nothing_is_asked_again_after_a_while_and_not_without_end() {
    let mut bench = Bench::new(Output::Board { grade: 3 }, at("06:00:00"));
    bench.tell(Event::Timetable(Schedule { idle: Some(page("UBND XÃ")), ..schedule(&[]) }));
    let mut order = showing(&bench.tell(Event::Tick));
    let mut asked = 0;
    for s in 1..=60 {
        if let Some(ShowOrder { token, .. }) = order.take() {
            asked += 1;
            let actions = failed(&mut bench, token);
            assert_eq!(showing(&actions), None, "it is not asked at once");
        }
        order = showing(&bench.at(at("06:00:00").plus(s * 1_000)));
    }
    assert!((10..=13).contains(&asked), "{asked} times in a minute");
}

#[test]
fn a_text_that_is_corrected_under_its_old_name_stands_at_once_and_is_told_apart() {
    let from = at("06:00:00");
    let old = sheet(&[], &[text("a", from, 600_000)]);
    let mut planned = text("a", from, 600_000);
    planned.1 = SheetItem::Pages { title: "Chữ a".to_owned(), pages: vec![page("a đúng")] };
    let new = sheet(&[], &[planned]);
    let mut bench = Bench::new(Output::Board { grade: 3 }, at("05:59:00"));
    bench.follow(&old);
    let order = showing(&bench.at(from)).unwrap();
    bench.at(from.plus(4_000));
    assert!(bench.follow(&new).contains(&Action::Blank), "the wrong text goes");
    let pass = |text: &str, from, ms: i64| PassEnd {
        from,
        to: from.plus(ms),
        shown_ms: ms,
        whole: false,
        frame: Some(Digest::of(text.as_bytes())),
    };
    let ended = pass("a", from, 4_000);
    let actions = bench.tell(Event::Passed { token: order.token, pass: ended });
    let [show] = &shows(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!((show.cause.as_str(), show.shown_ms), ("withdrawn", 4_000));
    assert_eq!(show.sheet, Some(name_of(&old)));
    let order = showing(&actions).unwrap();
    assert_eq!(order.pages[0].text, "a đúng");
    let ended = pass("a đúng", bench.now.utc, 10_000);
    bench.at(from.plus(14_000));
    let order = showing(&bench.tell(Event::Passed { token: order.token, pass: ended })).unwrap();
    bench.at(from.plus(600_000));
    let records = shows(&failed(&mut bench, order.token));
    let [show] = &records[..] else { panic!("{records:?}") };
    assert_eq!(show.frame, Some(Digest::of("a đúng".as_bytes())));
    assert_eq!((show.outcome, show.sheet), (Said::Played, Some(name_of(&new))));
}

#[test]
fn a_pass_that_brought_nothing_by_the_end_of_its_cue_leaves_a_word_also_over_a_cut() {
    let from = at("06:00:00");
    let planned = sheet(&[], &[text("a", from, 15_000)]);
    let mut bench = Bench::new(Output::Board { grade: 3 }, at("05:59:00"));
    bench.follow(&planned);
    let order = showing(&bench.at(from)).unwrap();
    let actions = bench.at(from.plus(15_200));
    assert_eq!(shows(&actions), [], "the board has not said yet");
    // Another event has the journal written: what is owed is not behind the next run.
    let actions = bench.tell(Event::Withdraw { jti: "n".to_owned() });
    let journal = actions.iter().find_map(|action| match action {
        Action::Journal(journal) => Some(journal.clone()),
        _ => None,
    });
    let actions = failed(&mut bench, order.token);
    let [show] = &shows(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!((show.outcome, show.shown_ms), (Said::Failed, 0));
    let past = Past::read(journal, []);
    let mut bench = Bench::with(Output::Board { grade: 3 }, from.plus(40_000), past);
    let actions = bench.follow(&planned);
    let [show] = &shows(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!((show.outcome, show.cause.as_str()), (Said::Failed, "power"));
}

#[test]
fn passes_added_up_prove_what_the_least_of_them_does_also_without_known_pixels() {
    let from = at("06:00:00");
    let sheet = sheet(&[], &[text("a", from, 30_000)]);
    let mut bench = Bench::new(Output::Board { grade: 0 }, at("05:59:00"));
    bench.follow(&sheet);
    let mut order = showing(&bench.at(from));
    let mut records = Vec::new();
    for grade in [2, 1, 3] {
        let token = order.expect("the next pass").token;
        bench.tell(Event::Started { token, at: bench.now.utc });
        bench.tell(Event::Graded { token, grade });
        let (begun, end) = (bench.now.utc, bench.now.utc.plus(10_000));
        bench.now = Moment { utc: end, mono_ms: bench.now.mono_ms + 10_000 };
        let pass = PassEnd { from: begun, to: end, shown_ms: 10_000, whole: true, frame: None };
        let actions = bench.tell(Event::Passed { token, pass });
        records.extend(shows(&actions));
        order = showing(&actions);
    }
    records.extend(shows(&bench.at(from.plus(31_000))));
    let [show] = &records[..] else { panic!("{records:?}") };
    assert_eq!((show.grade, show.times, show.shown_ms, show.frame), (1, 3, 30_000, None));
    assert_eq!(show.outcome, Said::Played);
}

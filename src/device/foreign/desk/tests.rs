use super::*;
use crate::dialect::machine::Evidence;
use crate::dialect::machine::Told;

const NOW: Moment = Moment { utc: UtcMs(1_000_000), mono_ms: 50_000 };

fn later(ms: i64) -> Moment {
    Moment { utc: NOW.utc.plus(ms), mono_ms: NOW.mono_ms + ms }
}

fn play(token: u64, at_ms: i64, end_ms: i64) -> executor::Action {
    executor::Action::Play(executor::PlayOrder {
        token,
        asset: Digest::of(b"clip"),
        at: NOW.utc.plus(at_ms),
        offset_ms: 0,
        clip_ms: 20_000,
        end: NOW.utc.plus(end_ms),
        gain_cb: 0,
        volume: 70,
        fade_ms: 0,
    })
}

fn show(token: u64, texts: &[&str]) -> executor::Action {
    executor::Action::Show(executor::ShowOrder {
        token,
        cue: CueId([9; 16]),
        pages: texts.iter().map(|text| Page::still(*text, 5_000)).collect(),
        local: Vec::new(),
        until: NOW.utc.plus(60_000),
    })
}

fn drawn(page: &Page, _: UtcMs, _: &[LocalOffset]) -> Result<Vec<Leaf>, NoLeaf> {
    if page.text == "không" {
        return Err(NoLeaf::Dialect(Why::Unsupported));
    }
    let (text, hash) = (Some(page.text.clone()), Some(Digest::of(page.text.as_bytes())));
    Ok(vec![Leaf { text, frame: None, hash, colour: None, dwell_ms: page.dwell_ms }])
}

fn names() -> Names<'static> {
    static SLOTS: BTreeMap<Digest, String> = BTreeMap::new();
    Names { url: &|asset| Some(format!("http://gateway/{asset}")), slots: &SLOTS }
}

fn page_of(outcome: &Outcome) -> (u64, String) {
    let [Order::Show(order)] = &outcome.orders[..] else { panic!("{outcome:?}") };
    (order.token, order.text.clone().unwrap())
}

fn reckoned(token: u64, grade: u8) -> Action {
    Action::Ended { token, played_ms: 5_000, by: EndedBy::Reckoned, grade }
}

#[test]
fn a_play_waits_for_its_instant_and_tells_its_grade_before_its_end() {
    let mut desk = Desk::default();
    desk.ordered(NOW, play(7, 3_000, 18_000), &drawn);
    assert_eq!(
        (desk.next_due(), desk.due(later(2_999), &names())),
        (Some(NOW.utc.plus(3_000)), None)
    );
    let Some(Order::Play(order)) = desk.due(later(3_010), &names()) else { panic!() };
    assert_eq!((order.offset_ms, order.length_ms, order.end_ms), (10, 14_990, 68_000));
    assert!(order.url.unwrap().starts_with("http://gateway/"));
    let piece = Evidence {
        token: Some(7),
        at_ms: 0,
        what: Told::Accepted,
        grade: 1,
        source: String::new(),
        length: 0,
        sha256: Digest::of(b""),
        head: Vec::new(),
        captures: Vec::new(),
    };
    let told = desk.told(later(3_050), &Action::Evidence(Box::new(piece)), &drawn);
    assert!(matches!(told.events[..], [Event::Graded { token: 7, grade: 1 }]));
    let started = Action::Started { token: 7, at_ms: 53_040, grade: 1 };
    let told = desk.told(later(3_050), &started, &drawn);
    let [Event::Started { token: 7, at }, Event::Graded { grade: 1, .. }] = told.events[..] else {
        panic!("{told:?}")
    };
    assert_eq!(at, NOW.utc.plus(3_040));
    let ended = Action::Ended { token: 7, played_ms: 14_900, by: EndedBy::Device, grade: 2 };
    let told = desk.told(later(18_000), &ended, &drawn);
    let [Event::Graded { grade: 2, .. }, Event::Ended { played_ms: 14_900, by: Ended::Clip, .. }] =
        told.events[..]
    else {
        panic!("{told:?}")
    };
}

#[test]
fn a_play_that_is_halted_while_it_waits_never_reaches_the_machine() {
    let mut desk = Desk::default();
    desk.ordered(NOW, play(1, 3_000, 18_000), &drawn);
    let told = desk.ordered(NOW, executor::Action::Halt { token: 1, fade_ms: 0 }, &drawn);
    assert!(matches!(told.events[..], [Event::Ended { played_ms: 0, by: Ended::Halted, .. }]));
    assert_eq!(desk.due(later(9_000), &names()), None);
    desk.ordered(NOW, play(2, 0, 18_000), &drawn);
    desk.due(NOW, &names());
    let amend = executor::Action::Amend { token: 2, volume: 30, end: NOW.utc.plus(9_000) };
    let told = desk.ordered(NOW, amend, &drawn);
    assert_eq!(told.orders, [Order::Until { token: 2, end_ms: 59_000 }, Order::Volume(30)]);
    let told = desk.ordered(NOW, executor::Action::Halt { token: 2, fade_ms: 0 }, &drawn);
    assert_eq!(told.orders, [Order::Stop { token: 2 }]);
}

#[test]
fn a_pass_goes_through_its_pages_and_proves_what_the_least_of_them_does() {
    let mut desk = Desk::default();
    let (first, text) = page_of(&desk.ordered(NOW, show(3, &["một", "hai"]), &drawn));
    assert_eq!(text, "một");
    let started = Action::Started { token: first, at_ms: NOW.mono_ms + 20, grade: 1 };
    let told = desk.told(NOW, &started, &drawn);
    assert!(matches!(told.events[..], [Event::Started { token: 3, .. }]));
    let told = desk.told(later(5_020), &reckoned(first, 3), &drawn);
    let (second, text) = page_of(&told);
    assert_eq!((text.as_str(), told.events.len()), ("hai", 0));
    assert_ne!(first, second);
    desk.told(later(5_040), &Action::Started { token: second, at_ms: 55_040, grade: 1 }, &drawn);
    let told = desk.told(later(10_040), &reckoned(second, 1), &drawn);
    let [Event::Graded { token: 3, grade: 1 }, Event::Passed { token: 3, pass }] = told.events[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!((pass.shown_ms, pass.whole), (10_000, true));
    assert_eq!(pass.frame, Some(Digest::of("một".as_bytes())));
    assert_eq!(desk.subject(second), None);
}

#[test]
fn a_newer_pass_and_a_blank_board_end_the_one_before_once() {
    let mut desk = Desk::default();
    let (old, _) = page_of(&desk.ordered(NOW, show(1, &["một", "hai"]), &drawn));
    desk.told(NOW, &Action::Started { token: old, at_ms: NOW.mono_ms, grade: 0 }, &drawn);
    let (new, text) = page_of(&desk.ordered(later(2_000), show(2, &["ba"]), &drawn));
    assert_eq!(text, "ba");
    let replaced = Action::Ended { token: old, played_ms: 2_000, by: EndedBy::Replaced, grade: 0 };
    let told = desk.told(later(2_000), &replaced, &drawn);
    let [_, Event::Passed { token: 1, pass }] = told.events[..] else { panic!("{told:?}") };
    assert_eq!((pass.shown_ms, pass.whole, told.orders.len()), (2_000, false, 0));
    desk.told(later(2_000), &Action::Started { token: new, at_ms: 52_000, grade: 0 }, &drawn);
    let told = desk.ordered(later(3_000), executor::Action::Blank, &drawn);
    assert_eq!(told.orders, [Order::Clear]);
    let halted = Action::Ended { token: new, played_ms: 1_000, by: EndedBy::Halted, grade: 0 };
    let told = desk.told(later(3_000), &halted, &drawn);
    assert!(matches!(told.events[..], [_, Event::Passed { token: 2, .. }]));
    assert!(desk.told(later(3_000), &halted, &drawn).events.is_empty());
}

#[test]
fn a_page_that_cannot_be_drawn_ends_its_pass_and_leaves_the_board_dark() {
    let mut desk = Desk::default();
    let told = desk.ordered(NOW, show(1, &["không", "hai"]), &drawn);
    assert_eq!(told.orders, [Order::Clear]);
    let [Event::Passed { token: 1, pass }] = told.events[..] else { panic!("{told:?}") };
    assert_eq!((pass.shown_ms, pass.frame), (0, None));
    assert_eq!(told.troubles.len(), 1);
    let (page, _) = page_of(&desk.ordered(NOW, show(2, &["hai"]), &drawn));
    let failed = Action::Failed { token: page, why: Why::NoAnswer, grade: 0 };
    let told = desk.told(NOW, &failed, &drawn);
    assert!(matches!(told.events[..], [Event::Passed { token: 2, .. }]));
    assert_eq!(told.troubles[0].says, "the device did not answer");
}

#[test]
fn names_differ_from_one_showing_to_the_next_and_none_begins_another() {
    let names: Vec<String> = (0..100).map(|n| name(&[b"cue"], n)).collect();
    assert!(names.iter().all(|name| name.len() == 12));
    assert!(names.windows(2).all(|two| two[0] != two[1]));
}

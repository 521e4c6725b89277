//! Golden moments of a day, and random days with kills, clock steps and changes of plan.

use super::*;
use crate::domain::ids::CueId;
use crate::domain::playlist::{Align, Effect, Page, Priority};
use crate::domain::proof::record::{
    Attestor, ClockNote, ClockSource, Head, Play, Record, Said, Show, Subject,
};
use crate::domain::time::Span;
use crate::domain::timetable::sheet::{AssetEntry, Cue, SheetItem};
use chrono::DateTime;
use proptest::prelude::*;

const SPEAKER: Output = Output::Speaker { grade: 3, method: "samples" };

fn at(text: &str) -> UtcMs {
    DateTime::parse_from_rfc3339(&format!("2026-12-01T{text}+07:00")).unwrap().to_utc().into()
}

fn day() -> (UtcMs, UtcMs) {
    (at("00:00:00"), at("00:00:00").plus(86_400_000))
}

fn cue_id(name: &str) -> CueId {
    let mut id = [0; 16];
    id.copy_from_slice(&Digest::of(name.as_bytes()).0[..16]);
    CueId(id)
}

fn asset(name: &str) -> Digest {
    Digest::of(format!("asset {name}").as_bytes())
}

/// A clip cue: its item, its cue id and its asset bear one name; the asset has `ms`.
fn clip(name: &str, from: UtcMs, ms: i64) -> (Cue, SheetItem, Option<(Digest, AssetEntry)>) {
    let item = SheetItem::Clip { title: format!("Tin {name}"), asset: asset(name), fallback: None };
    (plain(name, from, from.plus(ms)), item, Some((asset(name), entry(ms))))
}

fn plain(name: &str, at_ms: UtcMs, end_ms: UtcMs) -> Cue {
    Cue {
        id: cue_id(name),
        at_ms,
        end_ms,
        priority: Priority::Routine,
        item: name.to_owned(),
        volume: 80,
        fade_ms: 500,
        line: None,
        approval: None,
    }
}

fn entry(ms: i64) -> AssetEntry {
    AssetEntry {
        bytes: 1_000,
        media_type: "audio/mpeg".to_owned(),
        ms,
        gain_cb: -30,
        lufs_cb: -130,
        sums: BTreeMap::new(),
        title: "Tệp".to_owned(),
    }
}

type Planned = (Cue, SheetItem, Option<(Digest, AssetEntry)>);

fn sheet(sound: &[(UtcMs, UtcMs)], planned: &[Planned]) -> Arc<DaySheet> {
    let (from_ms, to_ms) = day();
    Arc::new(DaySheet {
        v: 1,
        from_ms,
        to_ms,
        sound: sound.iter().map(|(a, b)| Span::new(*a, *b).unwrap()).collect(),
        assets: planned.iter().filter_map(|(_, _, a)| a.clone()).collect(),
        items: planned.iter().map(|(cue, item, _)| (cue.item.clone(), item.clone())).collect(),
        cues: planned.iter().map(|(cue, ..)| cue.clone()).collect(),
    })
}

fn name_of(sheet: &DaySheet) -> Digest {
    Digest::of(serde_json::to_string(sheet).unwrap().as_bytes())
}

fn schedule(sheets: &[&Arc<DaySheet>]) -> Schedule {
    let days = sheets
        .iter()
        .map(|s| DayRef { from_ms: s.from_ms, to_ms: s.to_ms, sheet: name_of(s) })
        .collect();
    Schedule { volume_cap: 90, trim_ms: 0, days, standby: BTreeMap::new(), idle: None }
}

/// A device whose clocks move only when told to.
struct Bench {
    device: Executor,
    now: Moment,
}

impl Bench {
    fn new(output: Output, now: UtcMs) -> Self {
        Self::with(output, now, Past::default())
    }

    fn with(output: Output, now: UtcMs, past: Past) -> Self {
        let now = Moment { utc: now, mono_ms: 0 };
        let mut device = Executor::new("loa-thon-1", output, QuietFloor::default(), past, now);
        device.handle(now, Event::Clock(Time::Fit));
        Self { device, now }
    }

    fn follow(&mut self, sheet: &Arc<DaySheet>) -> Vec<Action> {
        let mut actions = self.tell(Event::Timetable(schedule(&[sheet])));
        actions.extend(self.tell(Event::SheetHeld(name_of(sheet), Arc::clone(sheet))));
        actions.extend(self.tell(Event::Tick));
        actions
    }

    fn tell(&mut self, event: Event) -> Vec<Action> {
        self.device.handle(self.now, event)
    }

    fn at(&mut self, at: UtcMs) -> Vec<Action> {
        let passed = at.since(self.now.utc).max(0);
        self.now = Moment { utc: at, mono_ms: self.now.mono_ms + passed };
        self.tell(Event::Tick)
    }
}

fn orders(actions: &[Action]) -> Vec<PlayOrder> {
    let order = |a: &Action| if let Action::Play(o) = a { Some(o.clone()) } else { None };
    actions.iter().filter_map(order).collect()
}

fn bodies(actions: &[Action]) -> Vec<Body> {
    let body = |a: &Action| if let Action::Record(b) = a { Some((**b).clone()) } else { None };
    actions.iter().filter_map(body).collect()
}

fn plays(actions: &[Action]) -> Vec<Play> {
    let play = |b| if let Body::Play(p) = b { Some(p) } else { None };
    bodies(actions).into_iter().filter_map(play).collect()
}

fn shows(actions: &[Action]) -> Vec<Show> {
    let show = |b| if let Body::Show(s) = b { Some(s) } else { None };
    bodies(actions).into_iter().filter_map(show).collect()
}

fn only_play(actions: &[Action]) -> Play {
    let plays = plays(actions);
    assert_eq!(plays.len(), 1, "{actions:#?}");
    plays[0].clone()
}

fn loud() -> (UtcMs, UtcMs) {
    (at("05:00:00"), at("21:00:00"))
}

#[test]
fn a_cue_is_ordered_ahead_sounds_and_leaves_a_start_and_a_play() {
    let from = at("05:00:00");
    let sheet = sheet(&[loud()], &[clip("gong", from, 20_000)]);
    let mut bench = Bench::new(SPEAKER, at("04:50:00"));
    bench.follow(&sheet);
    bench.tell(Event::AssetHeld(asset("gong")));
    assert_eq!(orders(&bench.at(from.plus(-LEAD_MS - 1))), []);
    let actions = bench.at(from.plus(-LEAD_MS));
    let [order] = &orders(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!((order.at, order.offset_ms, order.end), (from, 0, from.plus(20_000)));
    assert_eq!((order.volume, order.gain_cb), (80, -30));
    // The journal promises before the order is given.
    let journal = actions.iter().position(|a| matches!(a, Action::Journal(_))).unwrap();
    assert!(journal < actions.iter().position(|a| matches!(a, Action::Play(_))).unwrap());
    bench.at(from);
    let started = bench.tell(Event::Started { token: order.token, at: from.plus(3) });
    let subject = Subject::Cue { cue: cue_id("gong") };
    let start = Body::Start { subject, n: 1, started_ms: from.plus(3) };
    assert_eq!(bodies(&started), [start]);
    bench.at(from.plus(20_003));
    let end = from.plus(20_003);
    let ended = Event::Ended { token: order.token, at: end, played_ms: 20_000, by: Ended::Clip };
    let play = only_play(&bench.tell(ended));
    assert_eq!((play.outcome, play.cause.as_str(), play.skew_ms), (Said::Played, "end", Some(3)));
    assert_eq!((play.grade, play.due_len_ms, play.played_ms), (3, 20_000, 20_000));
    assert_eq!(bodies(&bench.at(from.plus(60_000))), [], "one record is enough");
}

#[test]
fn a_device_that_boots_late_joins_the_running_cue() {
    let from = at("07:00:00");
    let sheet = sheet(&[loud()], &[clip("gong", from, 20_000)]);
    let mut bench = Bench::new(SPEAKER, from.plus(13_000));
    bench.tell(Event::AssetHeld(asset("gong")));
    let [order] = &orders(&bench.follow(&sheet))[..] else { panic!() };
    assert_eq!((order.at, order.offset_ms), (from.plus(13_000), 13_000));
    bench.tell(Event::Started { token: 1, at: from.plus(13_100) });
    bench.at(from.plus(20_000));
    let at = bench.now.utc;
    let ended = Event::Ended { token: 1, at, played_ms: 6_900, by: Ended::Clip };
    let play = only_play(&bench.tell(ended));
    assert_eq!((play.outcome, play.cause.as_str()), (Said::Partial, "late"));
}

#[test]
fn quiet_hours_of_the_sheet_and_of_the_floor_refuse_and_cut() {
    let night = clip("dem", at("04:00:00"), 20_000);
    let before = clip("som", at("04:59:50"), 20_000);
    let across = clip("toi", at("20:59:50"), 30_000);
    // This sheet would allow the night; the floor does not.
    let sheet = sheet(
        &[(at("03:00:00"), at("04:30:00")), (at("05:00:00"), at("21:00:00"))],
        &[night, before, across],
    );
    let mut bench = Bench::new(SPEAKER, at("03:50:00"));
    for name in ["dem", "som", "toi"] {
        bench.tell(Event::AssetHeld(asset(name)));
    }
    bench.follow(&sheet);
    for (time, name) in [("04:00:00", "dem"), ("04:59:50", "som")] {
        let play = only_play(&bench.at(at(time)));
        assert_eq!(play.subject, Subject::Cue { cue: cue_id(name) });
        assert_eq!((play.outcome, play.cause.as_str()), (Said::Refused, "quiet"));
    }
    let [order] = &orders(&bench.at(at("20:59:50").plus(-LEAD_MS)))[..] else { panic!() };
    assert_eq!(order.end, at("21:00:00"));
    bench.tell(Event::Started { token: order.token, at: at("20:59:50") });
    bench.at(at("21:00:00"));
    let (token, at) = (order.token, at("21:00:00"));
    let play =
        only_play(&bench.tell(Event::Ended { token, at, played_ms: 10_000, by: Ended::Time }));
    assert_eq!((play.outcome, play.cause.as_str()), (Said::Partial, "quiet"));
}

#[test]
fn a_missing_clip_gives_way_to_its_fallback_then_fails_as_missing() {
    let from = at("06:00:00");
    let (cue, _, main) = clip("tin", from, 20_000);
    let item = SheetItem::Clip {
        title: "Tin".to_owned(),
        asset: asset("tin"),
        fallback: Some(asset("nhac")),
    };
    let other = clip("mat", at("06:01:00"), 10_000);
    let mut planned = sheet(&[loud()], &[(cue, item, main), other]);
    Arc::get_mut(&mut planned).unwrap().assets.insert(asset("nhac"), entry(20_000));
    let mut bench = Bench::new(SPEAKER, at("05:50:00"));
    bench.tell(Event::AssetHeld(asset("nhac")));
    bench.follow(&planned);
    assert_eq!(orders(&bench.at(from.plus(-LEAD_MS))), [], "the clip may still come");
    let [order] = &orders(&bench.at(from.plus(-400)))[..] else { panic!() };
    assert_eq!((order.asset, order.offset_ms), (asset("nhac"), 0));
    bench.tell(Event::Started { token: order.token, at: from });
    bench.at(from.plus(20_000));
    let (token, end) = (order.token, from.plus(20_000));
    let ended = Event::Ended { token, at: end, played_ms: 20_000, by: Ended::Clip };
    let play = only_play(&bench.tell(ended));
    assert_eq!((play.asset, play.cause.as_str()), (Some(asset("nhac")), "fallback"));
    assert_eq!(bodies(&bench.at(at("06:01:00"))), []);
    let play = only_play(&bench.at(at("06:01:10")));
    assert_eq!((play.outcome, play.cause.as_str()), (Said::Failed, "missing"));
    assert_eq!((play.started_ms, play.grade), (None, 1));
}

#[test]
fn a_clip_that_arrives_while_its_cue_runs_is_joined() {
    let from = at("06:00:00");
    let sheet = sheet(&[loud()], &[clip("tin", from, 20_000)]);
    let mut bench = Bench::new(SPEAKER, at("05:59:00"));
    bench.follow(&sheet);
    assert_eq!(orders(&bench.at(from.plus(5_000))), []);
    let [order] = &orders(&bench.tell(Event::AssetHeld(asset("tin"))))[..] else { panic!() };
    assert_eq!(order.offset_ms, 5_000);
}

#[test]
fn a_withdrawn_cue_fades_out_and_an_amended_one_goes_on() {
    let from = at("06:00:00");
    let first = sheet(&[loud()], &[clip("tin", from, 60_000)]);
    let mut bench = Bench::new(SPEAKER, at("05:50:00"));
    bench.tell(Event::AssetHeld(asset("tin")));
    bench.follow(&first);
    let [order] = &orders(&bench.at(from.plus(-LEAD_MS)))[..] else { panic!() };
    bench.tell(Event::Started { token: order.token, at: from });
    bench.at(from.plus(10_000));
    // Shorter and quieter: the same cue goes on.
    let (mut cue, item, main) = clip("tin", from, 60_000);
    cue.end_ms = from.plus(40_000);
    cue.volume = 50;
    let second = sheet(&[loud()], &[(cue, item, main)]);
    let actions = bench.follow(&second);
    let amend = Action::Amend { token: order.token, volume: 50, end: from.plus(40_000) };
    assert!(actions.contains(&amend), "{actions:?}");
    assert_eq!(orders(&actions), []);
    // Gone: it fades out.
    let third = sheet(&[loud()], &[]);
    let actions = bench.follow(&third);
    assert!(actions.contains(&Action::Halt { token: order.token, fade_ms: 500 }));
    let (token, now) = (order.token, bench.now.utc);
    let ended = Event::Ended { token, at: now, played_ms: 10_500, by: Ended::Halted };
    let play = only_play(&bench.tell(ended));
    assert_eq!((play.outcome, play.cause.as_str()), (Said::Partial, "withdrawn"));
    assert_eq!(play.sheet, Some(name_of(&second)));
}

#[test]
fn the_day_follows_the_old_sheet_until_the_new_one_and_its_near_clips_are_held() {
    let old = sheet(&[loud()], &[clip("cu", at("06:20:00"), 10_000)]);
    let new = sheet(&[loud()], &[clip("moi", at("06:05:00"), 10_000)]);
    let mut bench = Bench::new(SPEAKER, at("06:00:00"));
    bench.tell(Event::AssetHeld(asset("cu")));
    bench.follow(&old);
    bench.tell(Event::Timetable(schedule(&[&new])));
    assert_eq!(bench.device.world.book.days()[0].sheet, name_of(&old), "the sheet is missing");
    bench.tell(Event::SheetHeld(name_of(&new), Arc::clone(&new)));
    assert_eq!(bench.device.world.book.days()[0].sheet, name_of(&old), "its clip is missing");
    bench.tell(Event::AssetHeld(asset("moi")));
    assert_eq!(bench.device.world.book.days()[0].sheet, name_of(&new));
    // A clip that never comes does not keep the old sheet in force for ever.
    let third = sheet(&[loud()], &[clip("ba", at("06:08:00"), 600_000)]);
    bench.follow(&third);
    bench.at(at("06:09:59"));
    assert_eq!(bench.device.world.book.days()[0].sheet, name_of(&new));
    bench.at(at("06:10:00"));
    assert_eq!(bench.device.world.book.days()[0].sheet, name_of(&third));
}

#[test]
fn without_trusted_time_nothing_plays_and_the_cue_says_so() {
    let from = at("06:00:00");
    let sheet = sheet(&[loud()], &[clip("tin", from, 10_000), clip("sau", at("06:05:00"), 10_000)]);
    let mut bench = Bench::new(SPEAKER, at("05:59:00"));
    bench.tell(Event::AssetHeld(asset("tin")));
    bench.tell(Event::AssetHeld(asset("sau")));
    bench.follow(&sheet);
    bench.tell(Event::Clock(Time::Drifted));
    assert_eq!(orders(&bench.at(from)), []);
    let play = only_play(&bench.at(from.plus(10_000)));
    assert_eq!((play.outcome, play.cause.as_str()), (Said::Failed, "clock"));
    bench.tell(Event::Clock(Time::Fit));
    assert_eq!(orders(&bench.at(at("06:05:00").plus(-LEAD_MS))).len(), 1);
}

#[test]
fn time_learnt_late_fails_what_ended_meanwhile_and_joins_what_still_runs() {
    let over = clip("qua", at("06:00:30"), 10_000);
    let runs = clip("dang", at("06:01:00"), 60_000);
    let sheet = sheet(&[loud()], &[over, runs]);
    let now = Moment { utc: UtcMs(5_000), mono_ms: 0 };
    let mut device =
        Executor::new("loa-thon-1", SPEAKER, QuietFloor::default(), Past::default(), now);
    for name in ["qua", "dang"] {
        device.handle(now, Event::AssetHeld(asset(name)));
    }
    device.handle(now, Event::Timetable(schedule(&[&sheet])));
    device.handle(now, Event::SheetHeld(name_of(&sheet), Arc::clone(&sheet)));
    assert_eq!(bodies(&device.handle(now, Event::Tick)), []);
    // 70 s later the time is known: it is 06:01:10, so the program began at 06:00:00.
    let now = Moment { utc: at("06:01:10"), mono_ms: 70_000 };
    let actions = device.handle(now, Event::Clock(Time::Fit));
    let play = only_play(&actions);
    assert_eq!(play.subject, Subject::Cue { cue: cue_id("qua") });
    assert_eq!(play.cause, "clock");
    assert_eq!(orders(&actions)[0].offset_ms, 10_000);
}

#[test]
fn an_unknown_kind_fails_alone() {
    let from = at("06:00:00");
    let strange = (plain("la", from, from.plus(10_000)), SheetItem::Unknown, None);
    let pages = SheetItem::Pages { title: "Chữ".to_owned(), pages: Vec::new() };
    let text = (plain("chu", from.plus(10_000), from.plus(20_000)), pages, None);
    let sheet = sheet(&[loud()], &[strange, text, clip("tin", from.plus(20_000), 5_000)]);
    let mut bench = Bench::new(SPEAKER, at("05:59:00"));
    bench.tell(Event::AssetHeld(asset("tin")));
    bench.follow(&sheet);
    for plus in [0, 10_000] {
        let play = only_play(&bench.at(from.plus(plus)));
        assert_eq!((play.outcome, play.cause.as_str()), (Said::Failed, "unsupported"));
    }
    assert_eq!(orders(&bench.at(from.plus(17_000))).len(), 1);
}

#[test]
fn a_stop_ends_what_plays_for_good_and_is_obeyed_once() {
    let from = at("06:00:00");
    let sheet = sheet(&[loud()], &[clip("tin", from, 60_000)]);
    let mut bench = Bench::new(SPEAKER, at("05:59:00"));
    bench.tell(Event::AssetHeld(asset("tin")));
    bench.follow(&sheet);
    bench.at(from.plus(-LEAD_MS));
    bench.tell(Event::Started { token: 1, at: from });
    bench.at(from.plus(5_000));
    let stop = || Event::Command { jti: "a".to_owned(), order: Order::Stop };
    let actions = bench.tell(stop());
    assert!(actions.contains(&Action::Halt { token: 1, fade_ms: 500 }));
    let now = bench.now.utc;
    let play = only_play(&bench.tell(Event::Ended {
        token: 1,
        at: now,
        played_ms: 5_000,
        by: Ended::Halted,
    }));
    assert_eq!((play.outcome, play.cause.as_str()), (Said::Partial, "stop"));
    assert_eq!(bodies(&bench.tell(stop())), [], "the same command acts once");
    assert_eq!(orders(&bench.at(from.plus(30_000))), []);
}

#[test]
fn after_fourteen_days_the_plan_ends_and_the_device_is_idle() {
    let (from, to) = day();
    let mut sheets = Vec::new();
    for n in 0..14 {
        let shift = n * 86_400_000;
        sheets.push(Arc::new(DaySheet {
            v: 1,
            from_ms: from.plus(shift),
            to_ms: to.plus(shift),
            sound: vec![Span::new(at("05:00:00").plus(shift), at("21:00:00").plus(shift)).unwrap()],
            assets: [(asset("tin"), entry(10_000))].into(),
            items: [("tin".to_owned(), clip("tin", from, 1).1)].into(),
            cues: vec![Cue {
                id: cue_id(&format!("tin {n}")),
                ..plain("tin", at("06:00:00").plus(shift), at("06:00:10").plus(shift))
            }],
        }));
    }
    let mut bench = Bench::new(SPEAKER, at("05:00:00"));
    bench.tell(Event::AssetHeld(asset("tin")));
    bench.tell(Event::Timetable(schedule(&sheets.iter().collect::<Vec<_>>())));
    for sheet in &sheets {
        bench.tell(Event::SheetHeld(name_of(sheet), Arc::clone(sheet)));
    }
    let mut played = 0;
    for minute in 0..(16 * 24 * 60) {
        let now = at("05:59:58").plus(minute * 60_000);
        for order in orders(&bench.at(now)) {
            bench.tell(Event::Started { token: order.token, at: order.at });
            bench.at(order.end);
            let (token, at) = (order.token, order.end);
            bench.tell(Event::Ended { token, at, played_ms: 10_000, by: Ended::Clip });
            played += 1;
        }
    }
    assert_eq!(played, 14);
    assert!(bench.device.idle());
}

#[test]
fn a_clock_set_back_during_a_play_neither_repeats_it_nor_ends_it_before_it_began() {
    let from = at("06:00:00");
    let sheet = sheet(&[loud()], &[clip("tin", from, 60_000)]);
    let mut bench = Bench::new(SPEAKER, at("05:59:00"));
    bench.tell(Event::AssetHeld(asset("tin")));
    bench.follow(&sheet);
    bench.at(from.plus(-LEAD_MS));
    bench.tell(Event::Started { token: 1, at: from });
    bench.at(from.plus(30_000));
    bench.now.utc = from.plus(-60_000);
    assert_eq!(orders(&bench.tell(Event::Tick)), []);
    bench.now.mono_ms += 30_000;
    bench.now.utc = from.plus(-30_000);
    let at = bench.now.utc;
    let play =
        only_play(&bench.tell(Event::Ended { token: 1, at, played_ms: 60_000, by: Ended::Clip }));
    assert_eq!((play.outcome, play.played_ms), (Said::Played, 60_000));
    assert_eq!(play.ended_ms, Some(from.plus(60_000)));
    assert_eq!(orders(&bench.at(from)), [], "its time comes again, its sound does not");
    assert_eq!(bodies(&bench.at(from.plus(70_000))), []);
}

#[test]
fn no_volume_passes_the_cap() {
    let from = at("06:00:00");
    let (mut cue, item, main) = clip("tin", from, 60_000);
    cue.volume = 100;
    let sheet = sheet(&[loud()], &[(cue, item, main)]);
    let mut bench = Bench::new(SPEAKER, at("05:59:00"));
    bench.tell(Event::AssetHeld(asset("tin")));
    bench.follow(&sheet);
    let [order] = &orders(&bench.at(from.plus(-LEAD_MS)))[..] else { panic!() };
    assert_eq!(order.volume, 90);
    bench.tell(Event::Started { token: order.token, at: from });
    bench.at(from.plus(1_000));
    let order = Order::Volume(95);
    let actions = bench.tell(Event::Command { jti: "to".to_owned(), order });
    assert!(!actions.iter().any(|a| matches!(a, Action::Amend { volume: 91.., .. })));
}

#[test]
fn a_self_test_sounds_where_sound_is_allowed_and_says_how_it_went() {
    let sheet = sheet(&[loud()], &[clip("tin", at("06:00:00"), 10_000)]);
    let mut bench = Bench::new(SPEAKER, at("04:50:00"));
    bench.follow(&sheet);
    let ask = |bench: &mut Bench, jti: &str| {
        bench.tell(Event::Command { jti: jti.to_owned(), order: Order::SelfTest })
    };
    let result = |actions: &[Action]| match bodies(actions).pop() {
        Some(Body::Did { what, result, .. }) => (what, result),
        other => panic!("{other:?}"),
    };
    let refused = |why: &str| ("self-test".to_owned(), format!("refused: {why}"));
    assert_eq!(result(&ask(&mut bench, "1")), refused("quiet"));
    bench.at(at("05:59:58"));
    assert_eq!(result(&ask(&mut bench, "2")), refused("busy"));
    bench.at(at("06:10:00"));
    let [order] = &orders(&ask(&mut bench, "3"))[..] else { panic!() };
    let (token, at) = (order.token, order.end);
    bench.tell(Event::Started { token, at: order.at });
    let actions = bench.tell(Event::Ended { token, at, played_ms: TONE_MS, by: Ended::Clip });
    let method = "samples".to_owned();
    assert_eq!(bodies(&actions)[0], Body::SelfTest { method, score_permille: 1000 });
    assert_eq!(result(&actions).1, "done");
}

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

fn page(text: &str) -> Page {
    let (align, effect) = (Align::Centre, Effect::Still);
    Page { text: text.to_owned(), align, effect, dwell_ms: 10_000, colour: None, font: None }
}

fn text(name: &str, from: UtcMs, ms: i64) -> Planned {
    let pages = vec![page(name)];
    let item = SheetItem::Pages { title: format!("Chữ {name}"), pages };
    (plain(name, from, from.plus(ms)), item, None)
}

fn showing(actions: &[Action]) -> Option<ShowOrder> {
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

/// What really sounded: asset, from and to in real time, offset in the clip.
type Heard = Vec<(Digest, i64, i64, i64)>;

/// The street, the disk and the clock of a device in a random day.
struct Street {
    clips: BTreeMap<Digest, i64>,
    heard: Heard,
    waiting: Vec<PlayOrder>,
    current: Option<(PlayOrder, i64, i64)>,
    events: Vec<Event>,
}

impl Street {
    fn end(&mut self, real: i64, clock: UtcMs, by: Option<Ended>) {
        if let Some((order, since, offset)) = self.current.take() {
            self.heard.push((order.asset, since, real, offset));
            if let Some(by) = by {
                let (token, played_ms) = (order.token, real - since);
                self.events.push(Event::Ended { token, at: clock, played_ms, by });
            }
        }
    }

    fn step(&mut self, real: i64, clock: UtcMs) {
        if let Some((order, since, offset)) = &self.current {
            let position = offset + real - since;
            if position >= self.clips[&order.asset] {
                self.end(real, clock, Some(Ended::Clip));
            } else if clock >= order.end {
                self.end(real, clock, Some(Ended::Time));
            }
        }
        for order in std::mem::take(&mut self.waiting) {
            let token = order.token;
            if clock < order.at {
                self.waiting.push(order);
                continue;
            }
            let offset = order.offset_ms + clock.since(order.at);
            if clock >= order.end || offset >= self.clips[&order.asset] {
                self.events.push(Event::Failed { token, why: PlayFault::Late });
                continue;
            }
            assert!(self.current.is_none(), "two sounds at once");
            self.current = Some((order, real, offset));
            self.events.push(Event::Started { token, at: clock });
        }
    }

    fn obey(&mut self, action: &Action, real: i64, clock: UtcMs) {
        match action {
            Action::Play(order) => self.waiting.push(order.clone()),
            Action::Halt { token, .. } => {
                if self.current.as_ref().is_some_and(|(o, ..)| o.token == *token) {
                    self.end(real, clock, Some(Ended::Halted));
                } else if let Some(i) = self.waiting.iter().position(|o| o.token == *token) {
                    self.waiting.remove(i);
                    let (token, by) = (*token, Ended::Halted);
                    self.events.push(Event::Ended { token, at: clock, played_ms: 0, by });
                }
            }
            Action::Amend { token, volume, end } => {
                let current = self.current.as_mut().map(|(o, ..)| o);
                for order in current.into_iter().chain(&mut self.waiting) {
                    if order.token == *token {
                        (order.volume, order.end) = (*volume, *end);
                    }
                }
            }
            _ => {}
        }
    }
}

#[derive(Clone, Debug)]
enum Chance {
    /// Killed after so many actions of the next list, off for so long.
    Kill {
        after: usize,
        off_ms: i64,
    },
    StepClock {
        ms: i64,
    },
    Plan(u8),
    Arrives(u8),
    Lost(u8),
    Time(Time),
    Output,
    Stop,
}

fn chances() -> impl Strategy<Value = Vec<(i64, Chance)>> {
    let chance = prop_oneof![
        3 => (0usize..4, 1_000i64..90_000).prop_map(|(after, off_ms)| Chance::Kill { after, off_ms }),
        2 => (-40_000i64..40_000).prop_map(|ms| Chance::StepClock { ms }),
        2 => (0u8..4).prop_map(Chance::Plan),
        1 => (0u8..6).prop_map(Chance::Arrives),
        1 => (0u8..6).prop_map(Chance::Lost),
        1 => prop_oneof![Just(Time::Unknown), Just(Time::Drifted), Just(Time::Fit)]
            .prop_map(Chance::Time),
        1 => Just(Chance::Output),
        1 => Just(Chance::Stop),
    ];
    proptest::collection::vec((0i64..400_000, chance), 0..14).prop_map(|mut list| {
        list.sort_by_key(|(at, _)| *at);
        list
    })
}

fn head(seq: u64, at_ms: UtcMs) -> Head {
    Head {
        v: 1,
        dev: "loa-thon-1".parse().unwrap(),
        chain: crate::domain::ids::ChainId([0; 16]),
        boot: 1,
        seq,
        prev: None,
        at_ms,
        mono_ms: 0,
        clock: ClockNote { src: ClockSource::Ntp, age_s: None, err_ms: None },
        seen: None,
        attestor: Attestor::Device,
    }
}

/// Lives through a random day; returns what sounded and what was recorded.
fn live(chances: &[(i64, Chance)]) -> (Heard, Vec<Record>) {
    const STEP: i64 = 250;
    let begin = at("06:00:00");
    let names = ["a", "b", "c", "d", "e", "f"];
    let planned: Vec<Planned> = (0i64..6)
        .map(|n| clip(names[usize::try_from(n).unwrap()], begin.plus(20_000 + n * 40_000), 40_000))
        .collect();
    let shorter = {
        let mut all = planned.clone();
        all[1].0.end_ms = all[1].0.end_ms.plus(-15_000);
        all
    };
    let plans = [
        sheet(&[loud()], &planned),
        sheet(&[loud()], &planned[2..]),
        sheet(&[loud()], &shorter),
        sheet(&[loud()], &[]),
    ];
    let mut street = Street {
        clips: names.iter().map(|n| (asset(n), 40_000)).collect(),
        heard: Vec::new(),
        waiting: Vec::new(),
        current: None,
        events: Vec::new(),
    };
    let mut disk: (Option<Journal>, Vec<Record>) = (None, Vec::new());
    let mut held: std::collections::BTreeSet<Digest> = names.iter().map(|n| asset(n)).collect();
    let mut plan = 0;
    let mut skew = 0;
    let mut time = Time::Fit;
    let mut chances = chances.iter().peekable();
    let boot = |disk: &(Option<Journal>, Vec<Record>),
                held: &std::collections::BTreeSet<Digest>,
                plan: usize,
                now: Moment,
                time| {
        let past = Past::read(disk.0.clone(), disk.1.iter().cloned());
        let mut device = Executor::new("loa-thon-1", SPEAKER, QuietFloor::default(), past, now);
        device.handle(now, Event::Clock(time));
        for sheet in &plans {
            device.handle(now, Event::SheetHeld(name_of(sheet), Arc::clone(sheet)));
        }
        device.handle(now, Event::Timetable(schedule(&[&plans[plan]])));
        for name in held {
            device.handle(now, Event::AssetHeld(*name));
        }
        device
    };
    let mut origin = 0;
    let mut device = boot(&disk, &held, plan, Moment { utc: begin, mono_ms: 0 }, time);
    let mut kill: Option<(usize, i64)> = None;
    let mut real = 0;
    while real < 420_000 {
        real += STEP;
        let clock = begin.plus(real + skew);
        let now = Moment { utc: clock, mono_ms: real - origin };
        street.step(real, clock);
        let mut events = std::mem::take(&mut street.events);
        while let Some((_, chance)) = chances.next_if(|(at, _)| *at <= real) {
            match chance {
                Chance::Kill { after, off_ms } => kill = Some((*after, *off_ms)),
                Chance::StepClock { ms } => skew += ms,
                Chance::Plan(n) => {
                    plan = usize::from(*n);
                    for sheet in &plans {
                        events.push(Event::SheetHeld(name_of(sheet), Arc::clone(sheet)));
                    }
                    events.push(Event::Timetable(schedule(&[&plans[plan]])));
                }
                Chance::Arrives(n) => {
                    held.insert(asset(names[usize::from(*n)]));
                    events.push(Event::AssetHeld(asset(names[usize::from(*n)])));
                }
                Chance::Lost(n) => {
                    held.remove(&asset(names[usize::from(*n)]));
                    events.push(Event::AssetLost(asset(names[usize::from(*n)])));
                }
                Chance::Time(new) => {
                    time = *new;
                    events.push(Event::Clock(time));
                }
                Chance::Output => street.end(real, clock, Some(Ended::Output)),
                Chance::Stop => {
                    let jti = real.to_string();
                    events.push(Event::Command { jti, order: Order::Stop });
                }
            }
        }
        events.append(&mut street.events);
        events.push(Event::Tick);
        let mut killed = None;
        'events: for event in events {
            for action in device.handle(now, event) {
                if let Some((after, off_ms)) = &mut kill {
                    if *after == 0 {
                        killed = Some(*off_ms);
                        break 'events;
                    }
                    *after -= 1;
                }
                match &action {
                    Action::Record(body) => {
                        let seq = disk.1.len() as u64 + 1;
                        disk.1.push(Record { head: head(seq, clock), body: (**body).clone() });
                    }
                    Action::Journal(journal) => {
                        // Through JSON, as the disk keeps it.
                        let text = serde_json::to_string(journal).unwrap();
                        disk.0 = Some(serde_json::from_str(&text).unwrap());
                    }
                    other => street.obey(other, real, clock),
                }
            }
        }
        if let Some(off_ms) = killed {
            kill = None;
            street.end(real, clock, None);
            street.waiting.clear();
            street.events.clear();
            real += off_ms;
            origin = real;
            time = Time::Fit;
            let now = Moment { utc: begin.plus(real + skew), mono_ms: 0 };
            device = boot(&disk, &held, plan, now, time);
        }
    }
    let clock = begin.plus(real + skew);
    street.end(real, clock, None);
    (street.heard, disk.1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn no_stretch_sounds_twice_and_every_start_has_its_end(chances in chances()) {
        let (heard, records) = live(&chances);
        for (i, (clip, from, to, offset)) in heard.iter().enumerate() {
            for (other, from2, to2, offset2) in &heard[i + 1..] {
                prop_assert!(to <= from2 || to2 <= from, "two sounds at once");
                if clip == other {
                    let (end, end2) = (offset + to - from, offset2 + to2 - from2);
                    prop_assert!(end <= *offset2 || end2 <= *offset, "a stretch twice: \
                        {offset}..{end} and {offset2}..{end2}");
                }
            }
        }
        let mut open: BTreeMap<CueId, u32> = BTreeMap::new();
        let mut unplayed: BTreeMap<CueId, u32> = BTreeMap::new();
        for record in &records {
            match &record.body {
                Body::Start { subject: Subject::Cue { cue }, .. } => {
                    let open = open.entry(*cue).or_default();
                    prop_assert_eq!(*open, 0, "started twice without an end");
                    *open += 1;
                }
                Body::Play(Play { subject: Subject::Cue { cue }, started_ms: Some(_), .. }) => {
                    let open = open.entry(*cue).or_default();
                    prop_assert_eq!(*open, 1, "an end without a start");
                    *open -= 1;
                }
                Body::Play(Play { subject: Subject::Cue { cue }, .. }) => {
                    *unplayed.entry(*cue).or_default() += 1;
                }
                _ => {}
            }
        }
        prop_assert!(unplayed.values().all(|n| *n <= 1), "one word on a cue that did not sound");
    }

    #[test]
    fn a_day_without_mishap_plays_every_cue_whole(kills in proptest::collection::vec(
        (260_000i64..400_000, (0usize..4, 1_000i64..9_000)), 0..4)) {
        // Kills after the last cue must not add or change a record of a play.
        let chances: Vec<_> = kills.iter()
            .map(|(at, (after, off_ms))| (*at, Chance::Kill { after: *after, off_ms: *off_ms }))
            .collect();
        let mut sorted = chances;
        sorted.sort_by_key(|(at, _)| *at);
        let (heard, records) = live(&sorted);
        prop_assert_eq!(heard.len(), 6);
        let played = records.iter().filter(|r| matches!(&r.body,
            Body::Play(p) if p.outcome == Said::Played && p.cause == "end")).count();
        prop_assert_eq!(played, 6);
    }

    #[test]
    fn every_cue_of_a_day_with_kills_has_its_record(kills in proptest::collection::vec(
        (0i64..400_000, (0usize..6, 1_000i64..90_000)), 0..8)) {
        let mut chances: Vec<_> = kills.iter()
            .map(|(at, (after, off_ms))| (*at, Chance::Kill { after: *after, off_ms: *off_ms }))
            .collect();
        chances.sort_by_key(|(at, _)| *at);
        let (_, records) = live(&chances);
        let mut seen = std::collections::BTreeSet::new();
        for record in &records {
            if let Body::Play(Play { subject: Subject::Cue { cue }, .. }) = &record.body {
                seen.insert(*cue);
            }
        }
        prop_assert_eq!(seen.len(), 6, "{:#?}", records);
    }
}

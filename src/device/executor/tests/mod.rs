//! Golden moments of a day, and random days with kills, clock steps and changes of plan.

mod board;
mod clock;
mod holds;
mod notices;
mod notices_board;
mod notices_words;
mod random;
mod speaker;

use super::*;
use crate::domain::ids::CueId;
use crate::domain::playlist::{Page, Priority};
use crate::domain::proof::record::{
    Attestor, ClockNote, ClockSource, Head, Play, Record, Said, Show, Subject,
};
use crate::domain::time::Span;
use crate::domain::timetable::sheet::{AssetEntry, Cue, DaySheet, SheetItem};
use chrono::DateTime;
use proptest::prelude::*;
use std::sync::Arc;

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
    Schedule {
        volume_cap: 90,
        trim_ms: 0,
        days,
        standby: BTreeMap::new(),
        idle: None,
        local: Vec::new(),
    }
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

//! Tests of compile as a whole: what must always hold, and days a person can read.

mod properties;
mod rules;
mod silence;

use super::*;
use crate::domain::ids::{
    DeviceId, Digest, ItemId, PlaylistId, PolicyId, ProfileId, SlotId, UnitId,
};
use crate::domain::playlist::{
    ClipPath, Content, Item, Order, Overrun, Page, Playlist, Priority, Slot, Targets,
};
use crate::domain::policy::{Policy, QuietHours};
use crate::domain::profile::{BoardProfile, Profile, SpeakerProfile};
use crate::domain::recurrence::{Recurrence, wall};
use crate::domain::station::{AssetFacts, Clip, Device, Library, Station, Unit};
use crate::domain::time::UtcMs;
use chrono::NaiveDate;
use chrono_tz::Tz;
use std::collections::BTreeMap;
use std::fmt::Write as _;

pub(super) fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

pub(super) fn device(id: &str) -> DeviceId {
    DeviceId::new(id).unwrap()
}

pub(super) fn facts(name: &str, ms: i64) -> AssetFacts {
    AssetFacts {
        sha256: Digest::of(name.as_bytes()),
        bytes: ms.unsigned_abs() * 16,
        media_type: if name.ends_with("flac") { "audio/flac" } else { "audio/mpeg" }.into(),
        ms,
        gain_cb: -20,
        lufs_cb: -180,
        sums: BTreeMap::from([("64".to_owned(), Digest::of(b"sums"))]),
        title: name.into(),
    }
}

fn unit(id: &str, parent: Option<&str>) -> (UnitId, Unit) {
    let unit = Unit {
        id: UnitId::new(id).unwrap(),
        name: id.into(),
        parent: parent.map(|parent| UnitId::new(parent).unwrap()),
        valid_from: None,
        valid_until: None,
        successors: vec![],
        population: None,
    };
    (unit.id.clone(), unit)
}

fn profile(id: &str, speaker: bool, board: bool) -> (ProfileId, Profile) {
    let profile = Profile {
        id: ProfileId::new(id).unwrap(),
        title: id.into(),
        speaker: speaker
            .then(|| SpeakerProfile { codecs: vec!["audio/mpeg".into()], longest_ms: 7_200_000 }),
        board: board.then(|| BoardProfile {
            width_px: 128,
            height_px: 32,
            colours: vec![],
            fonts: vec!["unifont".into()],
            scroll_px_s: 40,
            ..BoardProfile::default()
        }),
        storage_bytes: 1 << 30,
        sheet_bytes: 65_536,
        chunk_kib: 64,
        clock_ppm: 50,
    };
    (profile.id.clone(), profile)
}

/// A commune with two hamlets, a loudspeaker in each, a board at the gate, and one device that is
/// both.
pub(super) fn station(zone: Tz) -> Station {
    let mut station = Station {
        name: "Xã Đông Hoà".into(),
        zone,
        units: BTreeMap::from([
            unit("34", None),
            unit("12345", Some("34")),
            unit("12345-t1", Some("12345")),
            unit("12345-t2", Some("12345")),
        ]),
        devices: BTreeMap::new(),
        profiles: BTreeMap::from([
            profile("loa", true, false),
            profile("bang", false, true),
            profile("ca-hai", true, true),
        ]),
        policies: vec![],
        calendars: vec![],
        playlists: BTreeMap::new(),
        library: Library::default(),
        standby: BTreeMap::new(),
        feeds: BTreeMap::new(),
    };
    for (id, unit, profile) in [
        ("loa-1", "12345-t1", "loa"),
        ("loa-2", "12345-t2", "loa"),
        ("bang-1", "12345", "bang"),
        ("ca-hai-1", "12345", "ca-hai"),
    ] {
        let new = Device {
            id: device(id),
            name: id.into(),
            unit: UnitId::new(unit).unwrap(),
            tags: vec![],
            profile: ProfileId::new(profile).unwrap(),
            volume_cap: 100,
            trim_ms: 0,
            behind: None,
        };
        station.devices.insert(new.id.clone(), new);
    }
    station
}

pub(super) fn clip(id: &str, path: &str, fallback: Option<&str>) -> Item {
    let named = |path: &str| ClipPath(path.to_owned());
    item(id, Content::Clip { clip: named(path), fallback: fallback.map(named) })
}

pub(super) fn pages(id: &str, text: &str) -> Item {
    item(id, Content::Pages(vec![Page::still(text, 5000)]))
}

fn item(id: &str, content: Content) -> Item {
    Item {
        id: ItemId::new(id).unwrap(),
        title: id.into(),
        author: None,
        topic: None,
        plan_line: None,
        reader: None,
        origin: None,
        document: None,
        language: "vi".into(),
        content,
    }
}

pub(super) fn slot(id: &str, when: Recurrence, minutes: i64, items: &[&str]) -> Slot {
    Slot {
        id: SlotId::new(id).unwrap(),
        when,
        except: vec![],
        only: vec![],
        skips: vec![],
        longest_ms: minutes * 60_000,
        order: Order::Sequence,
        volume: 80,
        fade_ms: 500,
        overrun: Overrun::Fade,
        items: items.iter().map(|item| ItemId::new(*item).unwrap()).collect(),
    }
}

pub(super) fn playlist(id: &str, items: Vec<Item>, slots: Vec<Slot>) -> Playlist {
    Playlist {
        id: PlaylistId::new(id).unwrap(),
        title: id.into(),
        targets: Targets { units: vec![UnitId::new("12345").unwrap()], ..Targets::default() },
        priority: Priority::Routine,
        valid_from: None,
        valid_until: None,
        topic: None,
        plan_line: None,
        lead: None,
        coordinating: vec![],
        order: None,
        accepted: 0,
        approval: None,
        items,
        slots,
    }
}

pub(super) fn policy(id: &str) -> Policy {
    Policy {
        id: PolicyId::new(id).unwrap(),
        title: id.into(),
        source: None,
        units: vec![],
        tags: vec![],
        devices: vec![],
        quiet: vec![],
        days: None,
        sessions_per_day: None,
        minutes_per_session: None,
        volume_cap: None,
    }
}

pub(super) fn quiet(from: &str, to: &str) -> QuietHours {
    QuietHours { from: from.parse().unwrap(), to: to.parse().unwrap() }
}

pub(super) fn add(station: &mut Station, playlist: Playlist) {
    station.playlists.insert(playlist.id.clone(), playlist);
}

pub(super) fn know(station: &mut Station, path: &str, ms: i64) {
    station.library.clips.insert(ClipPath(path.into()), Clip::Known(facts(path, ms)));
}

pub(super) fn at(times: &[&str]) -> Recurrence {
    Recurrence::at(times, &[]).unwrap()
}

pub(super) fn compile(station: &Station, from: &str, days: u32) -> Compiled {
    Compiler::new().compile(station, Horizon { from: date(from), days })
}

/// What a person would want to see: one line a cue, one a thing left out.
pub(super) fn story(compiled: &Compiled, id: &str) -> String {
    let zone = compiled.zone();
    let plan = compiled.device(&device(id)).unwrap();
    let time = |at: UtcMs| wall::display(zone, at).format("%d %H:%M:%S").to_string();
    let mut text = String::new();
    for (cue, planned) in plan.cues() {
        write!(
            text,
            "{}-{} {}/{}/{} v{} f{}",
            time(cue.at_ms),
            &time(cue.end_ms)[3..],
            planned.playlist,
            planned.slot,
            planned.item,
            cue.volume,
            cue.fade_ms
        )
        .unwrap();
        for reason in &planned.reasons {
            write!(text, " [{reason}]").unwrap();
        }
        text.push('\n');
    }
    for gone in plan.left_out() {
        let item = gone.item.as_ref().map_or_else(String::new, |(item, _)| format!("/{item}"));
        writeln!(
            text,
            "- {} {}/{}{item} [{}]",
            time(gone.nominal),
            gone.playlist,
            gone.slot,
            gone.reason
        )
        .unwrap();
    }
    text
}

//! `loa timetable`: what will play on a device and why; what will not and why. Works from the
//! station folder alone, as if everything in it were approved; with `--data`, for the devices and
//! units of a server's register.

use super::check::profiles_of;
use super::clips::Measured;
use super::overlay::RegisterOption;
use super::{Answer, failed, print_json, print_text, table, wrong_use};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{self, LastGood};
use crate::domain::ids::{CueId, DeviceId, ItemId, PlaylistId, SlotId};
use crate::domain::playlist::Priority;
use crate::domain::recurrence::wall;
use crate::domain::station::Station;
use crate::domain::time::UtcMs;
use crate::domain::timetable::{
    Cause, Compiled, Compiler, DevicePlan, Effect, Horizon, Kind, Reason,
};
use chrono::{Datelike as _, NaiveDate, SecondsFormat};
use chrono_tz::Tz;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Shows what will play on a device, what will not, and why
///
/// Reads the station folder as if all of it were approved; needs no server.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The device
    #[arg(long, value_name = "ID")]
    device: DeviceId,
    /// First date; today unless given
    #[arg(long, value_name = "DATE")]
    from: Option<NaiveDate>,
    /// How many dates
    #[arg(long, value_name = "N", default_value_t = 7,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(Horizon::MOST_DAYS)))]
    days: u32,
    /// The station folder
    #[arg(long, value_name = "DIR", default_value = "playlists")]
    playlists: PathBuf,
    /// Folder of device profiles; `device-profiles` here or beside the station folder unless given
    #[arg(long, value_name = "DIR")]
    profiles: Option<PathBuf>,
    #[command(flatten)]
    register: RegisterOption,
    /// Print `{device, cues: [{id, at, end, nominal, kind, priority, playlist, slot, item, volume,
    /// reason?}], left_out: [{id?, playlist, slot, item?, nominal, reason}]}`
    #[arg(long)]
    json: bool,
}

/// What `--json` prints. Instants are RFC 3339 with offset; a reason begins with a code that
/// never changes, up to the first colon.
#[derive(Debug, Serialize)]
struct Shown {
    device: DeviceId,
    cues: Vec<ShownCue>,
    left_out: Vec<ShownLeftOut>,
}

#[derive(Debug, Serialize)]
struct ShownCue {
    id: CueId,
    at: String,
    end: String,
    nominal: String,
    kind: Kind,
    priority: Priority,
    playlist: PlaylistId,
    slot: SlotId,
    item: ItemId,
    volume: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct ShownLeftOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<CueId>,
    playlist: PlaylistId,
    slot: SlotId,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<ItemId>,
    nominal: String,
    reason: String,
}

/// Compiles the folder and shows one device.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    let profiles = profiles_of(&args.playlists, args.profiles.as_deref());
    let overlay = args.register.overlay()?;
    let last = LastGood::default();
    let mut clips = Measured::default();
    let loaded = config::load_over(&args.playlists, &profiles, &mut clips, &last, &overlay);
    let refusals = loaded.faults.iter().filter(|fault| fault.refuses);
    let (first, count) = (refusals.clone().next(), refusals.count());
    let Some(station) = loaded.station else {
        let told = first.map_or_else(|| "no station".to_owned(), ToString::to_string);
        return Err(failed(anyhow::Error::msg(told), "`loa check` lists all faults"));
    };
    if let Some(first) = first {
        eprintln!("{first}\n{count} files are faulty and left out here; `loa check` lists all");
    }
    let register = if overlay.files.is_empty() { "devices.csv" } else { "the register" };
    if !station.devices.contains_key(&args.device) {
        return Err(unknown(&args.device, &station, register));
    }
    let today = || wall::reading(station.zone, SystemClock::new().now()).date();
    let from = args.from.unwrap_or_else(today);
    if !(1970..=2100).contains(&from.year()) {
        return Err(wrong_use(format!("`{from}` is out of range"), "a date from 1970 to 2100"));
    }
    let compiled = Compiler::new().compile(&station, Horizon { from, days: args.days });
    let Some(plan) = compiled.device(&args.device) else {
        return Err(unknown(&args.device, &station, register));
    };
    let shown = shown(args.device, plan, station.zone);
    if args.json {
        print_json(&shown)?;
    } else {
        let profile = station.devices.get(&shown.device).map(|device| &device.profile);
        let speaker = profile.and_then(|id| station.profiles.get(id)).map(|p| p.speaker.is_some());
        print_text(&text(&shown, &compiled, plan, speaker.unwrap_or(false)))?;
    }
    Ok(Answer::Yes)
}

fn unknown(device: &DeviceId, station: &Station, register: &str) -> anyhow::Error {
    let some: Vec<&str> = station.devices.keys().take(8).map(DeviceId::as_str).collect();
    let more = if station.devices.len() > some.len() { " …" } else { "" };
    let hint = if some.is_empty() {
        format!("{register} names none yet")
    } else {
        format!("{register} names: {}{more}", some.join(", "))
    };
    wrong_use(format!("no device `{device}`"), hint)
}

fn instant(zone: Tz, at: UtcMs) -> String {
    wall::display(zone, at).to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

fn shown(device: DeviceId, plan: &DevicePlan, zone: Tz) -> Shown {
    let cap = plan.volume_cap();
    let cues = plan.cues().map(|(cue, planned)| {
        let mut reasons = planned.reasons.clone();
        if planned.kind == Kind::Clip && cue.volume > cap {
            let cause = Cause::VolumeCap { cap, by_policy: plan.cap_is_by_policy() };
            reasons.push(Reason::new(Effect::Quieter, cause));
        }
        let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        ShownCue {
            id: cue.id,
            at: instant(zone, cue.at_ms),
            end: instant(zone, cue.end_ms),
            nominal: instant(zone, planned.nominal),
            kind: planned.kind,
            priority: cue.priority,
            playlist: planned.playlist.clone(),
            slot: planned.slot.clone(),
            item: planned.item.clone(),
            volume: if planned.kind == Kind::Clip { cue.volume.min(cap) } else { cue.volume },
            reason: (!reasons.is_empty()).then(|| reasons.join(" | ")),
        }
    });
    let left_out = plan.left_out().map(|gone| ShownLeftOut {
        id: gone.item.as_ref().map(|(_, id)| *id),
        playlist: gone.playlist.clone(),
        slot: gone.slot.clone(),
        item: gone.item.as_ref().map(|(item, _)| item.clone()),
        nominal: instant(zone, gone.nominal),
        reason: gone.reason.to_string(),
    });
    Shown { cues: cues.collect(), left_out: left_out.collect(), device }
}

/// The same for people: a table a day.
fn text(shown: &Shown, compiled: &Compiled, plan: &DevicePlan, has_speaker: bool) -> String {
    let (zone, mut cues, mut left) = (compiled.zone(), shown.cues.iter(), shown.left_out.iter());
    let hour = |at: UtcMs| wall::reading(zone, at).format("%H:%M:%S").to_string();
    let mut text = String::new();
    for day in plan.plans() {
        let weekday = day.date.weekday();
        let to = |at: UtcMs| if at == day.day.to_ms { "24:00:00".to_owned() } else { hour(at) };
        let spans = day.day.sheet.sound.iter();
        let spans: Vec<String> =
            spans.map(|span| format!("{}-{}", hour(span.from()), to(span.to()))).collect();
        let sound = match spans.as_slice() {
            _ if !has_speaker => String::new(),
            [] => "  no sound is allowed".to_owned(),
            spans => format!("  sound is allowed {}", spans.join(", ")),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} {weekday}{sound}", day.date);
        let rows: Vec<Vec<String>> = cues
            .by_ref()
            .zip(&day.day.sheet.cues)
            .take(day.cues.len())
            .map(|(shown, cue)| {
                vec![
                    hour(cue.at_ms),
                    to(cue.end_ms),
                    if shown.kind == Kind::Clip { "clip" } else { "pages" }.into(),
                    format!("{}/{}/{}", shown.playlist, shown.slot, shown.item),
                    shown.volume.to_string(),
                    shown.reason.clone().unwrap_or_default(),
                ]
            })
            .collect();
        if rows.is_empty() {
            text.push_str("nothing is planned\n");
        } else {
            text.push_str(&table(&["at", "end", "kind", "what", "volume", "why"], &rows));
        }
        for gone in left.by_ref().take(day.left_out.len()) {
            let item = gone.item.as_ref().map_or_else(String::new, |item| format!("/{item}"));
            let nominal = gone.nominal.get(11..19).unwrap_or(&gone.nominal);
            let what = format!("{}/{}{item}", gone.playlist, gone.slot);
            let _ = writeln!(text, "not {nominal}  {what}  {}", gone.reason);
        }
        text.push('\n');
    }
    text
}

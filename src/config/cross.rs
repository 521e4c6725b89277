//! What files must agree on: units, devices, profiles, calendars, clips.
//!
//! A name is checked only against a register that could be read: one fault in `units.csv` must
//! not look like a thousand in the playlists.

use super::LastGood;
use super::build::{Clips, Parts};
use super::fault::{At, Faults, FileRef, Place};
use super::files::Files;
use super::hours::WasGood;
use super::playlist::PlacedPlaylist;
use super::problem::Problem;
use super::profile::codec_name;
use super::text::{nearest, nearest_id};
use crate::domain::ids::{CalendarId, DeviceId, ProfileId, Tag, UnitId};
use crate::domain::playlist::{ClipPath, Content, Targets};
use crate::domain::profile::Profile;
use crate::domain::station::{AssetFacts, Device};
use std::collections::{BTreeMap, BTreeSet};

/// Most levels of units above a device; a register with circles has more.
const MOST_LEVELS: usize = 8;

/// Most unknown names of a list for which a similar one is looked for.
const MOST_NEAR: usize = 20;

/// Who stands where, for looking up targets.
pub(super) struct Registers<'a> {
    units: Option<BTreeSet<&'a str>>,
    devices: Option<BTreeMap<&'a str, &'a Device>>,
    /// Devices of a unit and of all below it.
    by_unit: BTreeMap<&'a str, BTreeSet<&'a str>>,
    by_tag: BTreeMap<&'a str, BTreeSet<&'a str>>,
    #[cfg(feature = "raster")]
    boards: super::boards::Boards<'a>,
}

impl<'a> Registers<'a> {
    pub fn of(parts: &'a Parts) -> Self {
        let units = parts.units.as_ref();
        let parents: BTreeMap<&str, Option<&str>> = units
            .into_iter()
            .flatten()
            .map(|u| (u.unit.id.as_str(), u.unit.parent.as_ref().map(UnitId::as_str)))
            .collect();
        let mut by_unit: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut by_tag: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for placed in parts.devices.iter().flatten() {
            let device = &placed.device;
            let mut at = Some(device.unit.as_str());
            for _ in 0..MOST_LEVELS {
                let Some(unit) = at else { break };
                by_unit.entry(unit).or_default().insert(device.id.as_str());
                at = parents.get(unit).copied().flatten();
            }
            for tag in &device.tags {
                by_tag.entry(tag.as_str()).or_default().insert(device.id.as_str());
            }
        }
        Self {
            units: units.map(|units| units.iter().map(|u| u.unit.id.as_str()).collect()),
            devices: parts
                .devices
                .as_ref()
                .map(|devices| devices.iter().map(|d| (d.device.id.as_str(), &d.device)).collect()),
            by_unit,
            by_tag,
            #[cfg(feature = "raster")]
            boards: super::boards::Boards::of(&parts.profiles),
        }
    }

    /// Returns the devices that the targets mean.
    pub fn reached(&self, targets: &Targets) -> BTreeSet<&'a str> {
        let all = |units: &[UnitId], tags: &[Tag], devices: &[DeviceId]| {
            let mut found: BTreeSet<&'a str> = BTreeSet::new();
            for unit in units {
                found.extend(self.by_unit.get(unit.as_str()).into_iter().flatten());
            }
            for tag in tags {
                found.extend(self.by_tag.get(tag.as_str()).into_iter().flatten());
            }
            for device in devices {
                let known = self.devices.as_ref().and_then(|d| d.get_key_value(device.as_str()));
                found.extend(known.map(|(id, _)| *id));
            }
            found
        };
        let into = all(&targets.units, &targets.tags, &targets.devices);
        let out = all(&targets.except_units, &targets.except_tags, &targets.except_devices);
        &into - &out
    }
}

/// Notes every id of a list that stands in no register.
pub(super) fn unknown<T: AsRef<str>>(
    what: &'static str,
    wherein: &'static str,
    ids: &[At<T>],
    known: Option<&BTreeSet<&str>>,
    refuses: bool,
    mut fault: impl FnMut(Place, &Problem),
) {
    let Some(known) = known else { return };
    let mut told = 0;
    for id in ids {
        if !known.contains(id.value.as_ref()) {
            // Looking for a neighbour costs; after some, the register itself is the fault.
            told += 1;
            let near = (told <= MOST_NEAR).then(|| nearest_id(id.value.as_ref(), known)).flatten();
            let text = id.value.as_ref().to_owned();
            fault(id.place, &Problem::Unknown { what, id: text, near, wherein, refuses });
        }
    }
}

/// Checks the units and profiles of devices.
pub(super) fn devices(files: &Files, parts: &Parts, registers: &Registers<'_>, faults: &Faults) {
    let file = files.file("devices.csv");
    let none = BTreeMap::new();
    let profiles: BTreeSet<&str> =
        parts.ids.get("profile").unwrap_or(&none).keys().map(String::as_str).collect();
    if let Some(devices) = &parts.devices {
        let gateways = parts.profiles.values().filter(|profile| profile.is_gateway());
        let gateways: BTreeSet<&str> = gateways.map(|profile| profile.id.as_str()).collect();
        super::registers::check_behind(devices, &[], Some(&gateways), |place, problem| {
            faults.add(file, place, problem);
        });
    }
    for placed in parts.devices.iter().flatten() {
        let unit = [At { value: placed.device.unit.as_str(), place: placed.unit_place }];
        unknown("unit", "units.csv", &unit, registers.units.as_ref(), true, |place, problem| {
            faults.add(file, place, problem);
        });
        let profile = [At { value: placed.device.profile.as_str(), place: placed.profile_place }];
        unknown(
            "profile",
            "the folder of profiles",
            &profile,
            Some(&profiles),
            true,
            |place, problem| {
                faults.add(file, place, problem);
            },
        );
    }
}

/// Checks the clips of standby templates against every loudspeaker of the register: an urgent
/// notice must not be the moment at which one of them turns out to be mute.
pub(super) fn standby(files: &Files, parts: &Parts, clips: &mut Clips<'_>, faults: &Faults) {
    let file = files.file("station.toml");
    let mut by_profile: BTreeMap<&ProfileId, Vec<&str>> = BTreeMap::new();
    for placed in parts.devices.iter().flatten() {
        by_profile.entry(&placed.device.profile).or_default().push(placed.device.id.as_str());
    }
    for At { value, place } in parts.standby.values() {
        match clips.facts(&value.clip) {
            Err(missing) => {
                let (why, near) = (missing.why.clone(), missing.near.clone());
                let clip = value.clip.0.clone();
                faults.add(file, *place, &Problem::Clip { clip, why, near });
            }
            Ok(facts) => {
                for (id, devices) in &by_profile {
                    let Some(profile) = parts.profiles.get(*id) else { continue };
                    suits(&value.clip, facts, profile, &named(devices), |problem| {
                        faults.add(file, *place, problem);
                    });
                }
            }
        }
    }
}

/// Checks whom policies bind.
pub(super) fn policies(
    files: &Files,
    last: &LastGood,
    parts: &Parts,
    registers: &Registers<'_>,
    faults: &Faults,
) {
    for (key, policy) in &parts.policies {
        let target = Target { file: files.file(key), was_good: WasGood::of(files, last, key) };
        names(target, &policy.units, &policy.devices, &policy.tags, registers, faults);
    }
}

/// A file whose targets are checked.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub file: FileRef<'a>,
    /// A unit or device that was taken out of its register is told, but refuses no file that was
    /// in force: it matches nothing any more, and no register waits for a playlist to be mended.
    pub was_good: WasGood,
}

fn names(
    target: Target<'_>,
    units: &[At<UnitId>],
    devices: &[At<DeviceId>],
    tags: &[At<Tag>],
    registers: &Registers<'_>,
    faults: &Faults,
) {
    let fault = |place, problem: &Problem| faults.add(target.file, place, problem);
    let refuses = target.was_good == WasGood::No;
    let units: Vec<At<&str>> =
        units.iter().map(|u| At { value: u.value.as_str(), place: u.place }).collect();
    unknown("unit", "units.csv", &units, registers.units.as_ref(), refuses, fault);
    let ids: Vec<At<&str>> =
        devices.iter().map(|d| At { value: d.value.as_str(), place: d.place }).collect();
    let known = registers.devices.as_ref().map(|d| d.keys().copied().collect());
    unknown("device", "devices.csv", &ids, known.as_ref(), refuses, fault);
    for tag in tags {
        if registers.devices.is_some() && !registers.by_tag.contains_key(tag.value.as_str()) {
            let near = nearest(tag.value.as_str(), registers.by_tag.keys().copied());
            let near = near.map(str::to_owned);
            fault(tag.place, &Problem::UnusedTag { tag: tag.value.to_string(), near });
        }
    }
}

/// Checks all that a playlist names outside itself; returns the devices that sound.
pub(super) fn playlist<'a>(
    target: Target<'_>,
    placed: &PlacedPlaylist,
    parts: &Parts,
    registers: &Registers<'a>,
    clips: &mut Clips<'_>,
    faults: &Faults,
) -> Vec<&'a str> {
    let file = target.file;
    names(target, &placed.units, &placed.devices, &placed.tags, registers, faults);
    calendars(file, &placed.calendars, parts, faults);
    #[cfg(feature = "raster")]
    super::boards::feeds(target, placed, parts, faults);
    for (path, place) in &placed.clips {
        if let Err(missing) = clips.facts(path) {
            let (clip, why, near) = (path.0.clone(), missing.why.clone(), missing.near.clone());
            faults.add(file, *place, &Problem::Clip { clip, why, near });
        }
    }
    let (Some(_), Some(devices)) = (&registers.units, &registers.devices) else {
        return Vec::new();
    };
    let reached = registers.reached(&placed.playlist.targets);
    if reached.is_empty() {
        // Names that stand nowhere have their own faults already.
        faults.add(file, placed.targets_place, &Problem::NoDevice);
        return Vec::new();
    }
    let mut by_profile: BTreeMap<&ProfileId, Vec<&str>> = BTreeMap::new();
    for device in reached.iter().filter_map(|id| devices.get(id)) {
        by_profile.entry(&device.profile).or_default().push(device.id.as_str());
    }
    let profiles: Vec<(&Profile, String)> = by_profile
        .iter()
        .filter_map(|(id, devices)| Some((parts.profiles.get(*id)?, named(devices))))
        .collect();
    if profiles.len() == by_profile.len() {
        abilities(file, placed, &profiles, faults);
    }
    #[cfg(feature = "raster")]
    super::boards::check(file, placed, &profiles, &registers.boards, &parts.feeds, faults);
    for (profile, devices) in &profiles {
        for (path, place) in &placed.clips {
            if let Ok(facts) = clips.facts(path) {
                suits(path, facts, profile, devices, |problem| faults.add(file, *place, problem));
            }
        }
        colours_and_fonts(file, placed, profile, devices, faults);
    }
    let sounds = |id: &&str| {
        let profile = devices.get(id).and_then(|device| parts.profiles.get(&device.profile));
        profile.is_some_and(|profile| profile.speaker.is_some())
    };
    reached.into_iter().filter(sounds).collect()
}

fn named(devices: &[&str]) -> String {
    match devices {
        few if few.len() <= 3 => few.join(", "),
        many => format!("{}, … {} devices", many[..2].join(", "), many.len()),
    }
}

fn calendars(file: FileRef<'_>, named: &[At<CalendarId>], parts: &Parts, faults: &Faults) {
    let none = BTreeMap::new();
    let known: BTreeSet<&str> =
        parts.ids.get("calendar").unwrap_or(&none).keys().map(String::as_str).collect();
    let named: Vec<At<&str>> =
        named.iter().map(|c| At { value: c.value.as_str(), place: c.place }).collect();
    unknown("calendar", "the folder `calendars`", &named, Some(&known), true, |place, problem| {
        faults.add(file, place, problem);
    });
}

/// Notes content of a kind that none of the devices reached can put out.
fn abilities(
    file: FileRef<'_>,
    placed: &PlacedPlaylist,
    profiles: &[(&Profile, String)],
    faults: &Faults,
) {
    let items = &placed.playlist.items;
    let clips = items.iter().any(|item| matches!(item.content, Content::Clip { .. }));
    let pages = items.iter().any(|item| matches!(item.content, Content::Pages(_)));
    if clips && profiles.iter().all(|(p, _)| p.speaker.is_none()) {
        faults.add(file, placed.targets_place, &Problem::NoneCan { what: "play clips" });
    }
    if pages && profiles.iter().all(|(p, _)| p.board.is_none()) {
        faults.add(file, placed.targets_place, &Problem::NoneCan { what: "show pages" });
    }
}

/// Notes a clip that a profile cannot play.
fn suits(
    path: &ClipPath,
    facts: &AssetFacts,
    profile: &Profile,
    devices: &str,
    mut fault: impl FnMut(&Problem),
) {
    let Some(speaker) = &profile.speaker else { return };
    let (clip, profile, devices) = (path.0.clone(), profile.id.to_string(), devices.to_owned());
    if !speaker.codecs.contains(&facts.media_type) {
        let kind = codec_name(&facts.media_type).to_owned();
        let can = speaker.codecs.iter().map(|c| codec_name(c)).collect::<Vec<_>>().join(" or ");
        fault(&Problem::Codec { clip, kind, profile, devices, can });
    } else if facts.ms > speaker.longest_ms {
        fault(&Problem::ClipTooLong { clip, seconds: facts.ms / 1_000, profile, devices });
    }
}

/// Notes colours and fonts that a board does not have.
fn colours_and_fonts(
    file: FileRef<'_>,
    placed: &PlacedPlaylist,
    profile: &Profile,
    devices: &str,
    faults: &Faults,
) {
    let Some(board) = &profile.board else { return };
    for item in &placed.playlist.items {
        let Content::Pages(pages) = &item.content else { continue };
        let place = placed.items.get(&item.id).copied().unwrap_or(Place::START);
        let lacks = |what, wanted: Option<&String>, has: &[String]| {
            if let Some(name) = wanted
                && !has.is_empty()
                && !has.contains(name)
            {
                let problem = Problem::BoardLacks {
                    item: item.id.to_string(),
                    profile: profile.id.to_string(),
                    devices: devices.to_owned(),
                    what,
                    name: name.clone(),
                    has: has.join(", "),
                };
                faults.add(file, place, &problem);
            }
        };
        for page in pages {
            let named = page.colour.as_ref().filter(|name| !board.has_colour(name));
            lacks("colour", named, &board.colours);
            let usual: Vec<String> = super::board::FONTS.iter().map(|&f| f.to_owned()).collect();
            let fonts = if board.fonts.is_empty() { &usual } else { &board.fonts };
            lacks("font", page.font.as_ref(), fonts);
        }
    }
}

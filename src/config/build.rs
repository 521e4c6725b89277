//! Bytes of a folder to a station: reads each file, then lets them check each other.
//!
//! Pure but for the clip source. Invariant: when no fault refuses a file, the station holds all
//! that [`Station`] promises.

use super::cross::{self, Registers, Target};
use super::fault::{At, Faults, Place};
use super::files::{FileKind, Files, Finder, NotFound};
use super::fonts::Fonts;
use super::hours::{self, Bound, WasGood};
use super::playlist::PlacedPlaylist;
use super::policy::PlacedPolicy;
use super::problem::Problem;
use super::read::Source;
use super::registers::{PlacedDevice, PlacedUnit};
use super::skips::PlacedSkip;
use super::text::{shown, slug};
use super::{
    ClipSource, LastGood, StationConfig, calendar, feed, playlist, policy, profile, registers,
    skips, station,
};
use crate::domain::feed::Feed;
use crate::domain::ids::{FeedId, IdError, PlaylistId, ProfileId};
use crate::domain::playlist::{ClipPath, Skip};
use crate::domain::profile::Profile;
use crate::domain::recurrence::Calendar;
use crate::domain::standby::{Standby, Template};
use crate::domain::station::{AssetFacts, Clip, Library, Station};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What came out of a set of files.
pub(super) struct Built {
    /// Whole when no fault refuses a file.
    pub station: Option<Station>,
    pub config: Option<StationConfig>,
}

/// Everything read, before the files have checked each other.
#[derive(Default)]
pub(super) struct Parts {
    pub units: Option<Vec<PlacedUnit>>,
    pub devices: Option<Vec<PlacedDevice>>,
    pub skips: Vec<PlacedSkip>,
    pub policies: Vec<(String, PlacedPolicy)>,
    pub calendars: Vec<Calendar>,
    pub feeds: BTreeMap<FeedId, Feed>,
    pub profiles: BTreeMap<ProfileId, Profile>,
    pub playlists: Vec<(String, PlacedPlaylist)>,
    /// Standby templates of the station file.
    pub standby: BTreeMap<Template, At<Standby>>,
    /// Ids of files that exist, read or not: naming one of them is not the fault of who does.
    pub ids: BTreeMap<&'static str, BTreeMap<String, String>>,
}

/// What clips are, asked once a load.
pub(super) struct Clips<'a> {
    finder: Option<Finder>,
    source: &'a mut dyn ClipSource,
    known: BTreeMap<ClipPath, Result<AssetFacts, NotFound>>,
}

impl<'a> Clips<'a> {
    pub fn new(dir: &Path, source: &'a mut dyn ClipSource) -> Self {
        Self { finder: Some(Finder::new(dir)), source, known: BTreeMap::new() }
    }

    /// Asks the source by the names that playlists use; no folder is looked at.
    pub fn by_name(source: &'a mut dyn ClipSource) -> Self {
        Self { finder: None, source, known: BTreeMap::new() }
    }

    /// Returns the facts of a clip, or why it cannot be used.
    pub fn facts(&mut self, clip: &ClipPath) -> &Result<AssetFacts, NotFound> {
        self.known.entry(clip.clone()).or_insert_with(|| {
            let path = match &mut self.finder {
                Some(finder) => finder.find(&clip.0)?,
                None => PathBuf::from(&clip.0),
            };
            let told = self.source.facts(&path);
            told.map_err(|why| NotFound { why: shown_long(&why), near: None })
        })
    }
}

fn shown_long(why: &str) -> String {
    why.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Reads and checks a set of files.
pub(super) fn build(
    files: &Files,
    last: &LastGood,
    clips: &mut Clips<'_>,
    faults: &Faults,
) -> Built {
    let mut config = None;
    let mut parts = Parts::default();
    let fonts = Fonts::of(files, faults);
    for (key, bytes) in &files.bytes {
        let file = files.file(key);
        if FileKind::of(key) == FileKind::Font {
            continue;
        }
        // A file that could not be read still has an id that others may name.
        let source = bytes.as_ref().and_then(|bytes| Source::decode(file, bytes, faults));
        let read = Part { key, source: source.as_ref(), files, faults };
        match FileKind::of(key) {
            FileKind::Station => {
                let placed = source.as_ref().and_then(station::read);
                config = placed.map(|placed| {
                    parts.standby = placed.standby;
                    placed.config
                });
            }
            FileKind::Units => parts.units = source.as_ref().and_then(registers::read_units),
            FileKind::Devices => parts.devices = source.as_ref().and_then(registers::read_devices),
            FileKind::Skips => {
                parts.skips = source.as_ref().and_then(skips::read).unwrap_or_default();
            }
            FileKind::Policy => {
                let policy = read.part(&mut parts.ids, "policy", policy::read);
                parts.policies.extend(policy.map(|p| (key.clone(), p)));
            }
            FileKind::Calendar => {
                parts.calendars.extend(read.part(&mut parts.ids, "calendar", calendar::read));
            }
            FileKind::Feed => {
                let feed = read.part(&mut parts.ids, "feed", feed::read);
                parts.feeds.extend(feed.map(|feed| (feed.id.clone(), feed)));
            }
            FileKind::Profile => {
                let profile = read.part(&mut parts.ids, "profile", |source, id| {
                    profile::read(source, id, &fonts)
                });
                parts.profiles.extend(profile.map(|p| (p.profile.id.clone(), p.profile)));
            }
            // Read by the profiles that name it.
            FileKind::Font => {}
            FileKind::Playlist => {
                let playlist = read.part(&mut parts.ids, "playlist", playlist::read);
                parts.playlists.extend(playlist.map(|p| (key.clone(), p)));
            }
        }
    }
    skip(files, &mut parts, faults);
    check(files, last, &parts, clips, faults);
    let station = config.as_ref().and_then(|config| assemble(config, parts, clips));
    Built { station, config }
}

/// Reads device profiles alone.
pub(super) fn read_profiles(files: &Files, faults: &Faults) -> Vec<Profile> {
    let mut ids = BTreeMap::new();
    let mut profiles = Vec::new();
    let fonts = Fonts::of(files, faults);
    for (key, bytes) in &files.bytes {
        if FileKind::of(key) == FileKind::Font {
            continue;
        }
        let decoded =
            bytes.as_ref().and_then(|bytes| Source::decode(files.file(key), bytes, faults));
        let read = Part { key, source: decoded.as_ref(), files, faults };
        let described =
            read.part(&mut ids, "profile", |source, id| profile::read(source, id, &fonts));
        profiles.extend(described.map(|p| p.profile));
    }
    profiles
}

/// A file whose name is its id.
struct Part<'a> {
    key: &'a str,
    source: Option<&'a Source<'a>>,
    files: &'a Files,
    faults: &'a Faults,
}

impl Part<'_> {
    /// Derives the id, notes it, and reads the file.
    fn part<I, T>(
        &self,
        ids: &mut BTreeMap<&'static str, BTreeMap<String, String>>,
        kind: &'static str,
        read: impl FnOnce(&Source<'_>, &I) -> Option<T>,
    ) -> Option<T>
    where
        I: FromStr<Err = IdError> + Display,
    {
        let name = self.key.rsplit('/').next().unwrap_or(self.key);
        let stem = name.strip_suffix(".toml").unwrap_or(name);
        let file = self.files.file(self.key);
        let Ok(id) = slug(stem).parse::<I>() else {
            self.faults.add(file, Place::START, &Problem::FileName { name: shown(name) });
            return None;
        };
        let known = ids.entry(kind).or_default();
        if let Some(other) = known.get(&id.to_string()) {
            let (name, id, other) = (shown(name), id.to_string(), shown(other));
            self.faults.add(file, Place::START, &Problem::SameId { name, id, other });
            return None;
        }
        known.insert(id.to_string(), name.to_owned());
        read(self.source?, &id)
    }
}

/// Adds the skips to their slots.
fn skip(files: &Files, parts: &mut Parts, faults: &Faults) {
    let exists: Vec<String> =
        parts.ids.get("playlist").into_iter().flat_map(|ids| ids.keys().cloned()).collect();
    for placed in std::mem::take(&mut parts.skips) {
        let playlist = parts
            .playlists
            .iter_mut()
            .find(|(_, p)| p.playlist.id == placed.playlist.value)
            .map(|(_, p)| p);
        let what = match playlist {
            Some(playlist) => match playlist.slot_mut(&placed.slot) {
                Some(slot) => {
                    add_skip(&mut slot.skips, placed.skip);
                    continue;
                }
                None => "slot",
            },
            None if exists.iter().any(|id| *id == placed.playlist.value.as_str()) => continue,
            None => "playlist",
        };
        let (playlist, slot) = (placed.playlist.value.to_string(), placed.slot.to_string());
        let problem = Problem::StaleSkip { playlist, slot, what };
        faults.add(files.file("skips.toml"), placed.place, &problem);
    }
}

/// The first reason for a date stands.
fn add_skip(skips: &mut Vec<Skip>, skip: Skip) {
    if !skips.iter().any(|s| s.date == skip.date) {
        skips.push(skip);
        skips.sort_by_key(|s| s.date);
    }
}

fn check(files: &Files, last: &LastGood, parts: &Parts, clips: &mut Clips<'_>, faults: &Faults) {
    if let Some(units) = &parts.units {
        let file = files.file("units.csv");
        registers::check_units(units, &[], |place, problem| faults.add(file, place, problem));
    }
    let registers = Registers::of(parts);
    cross::devices(files, parts, &registers, faults);
    cross::policies(files, last, parts, &registers, faults);
    cross::standby(files, parts, clips, faults);
    let bound = Bound::of(parts, &registers);
    for (key, playlist) in &parts.playlists {
        let target = Target { file: files.file(key), was_good: WasGood::of(files, last, key) };
        let speakers = cross::playlist(target, playlist, parts, &registers, clips, faults);
        hours::check(target, playlist, &speakers, parts, &bound, faults);
        files.plans.check(files.file(key), playlist, faults);
    }
}

fn assemble(config: &StationConfig, parts: Parts, clips: &mut Clips<'_>) -> Option<Station> {
    let mut library = Library::default();
    let listed = parts.playlists.iter().flat_map(|(_, playlist)| playlist.clips.keys());
    let standby = parts.standby.values().map(|placed| &placed.value.clip);
    for path in listed.chain(standby) {
        let clip = match clips.facts(path) {
            Ok(facts) => Clip::Known(facts.clone()),
            Err(missing) => Clip::Missing { why: missing.why.clone() },
        };
        library.clips.insert(path.clone(), clip);
    }
    let standby = parts.standby.iter().map(|(name, placed)| (*name, placed.value.clone()));
    let standby = standby.collect();
    let mut playlists: BTreeMap<PlaylistId, _> = parts
        .playlists
        .into_iter()
        .map(|(_, placed)| (placed.playlist.id.clone(), placed.playlist))
        .collect();
    for (number, playlist) in playlists.values_mut().enumerate() {
        playlist.accepted = number as u64;
    }
    let mut policies: Vec<_> = parts.policies.into_iter().map(|(_, p)| p.policy).collect();
    policies.sort_by(|a, b| a.id.cmp(&b.id));
    let mut calendars = parts.calendars;
    calendars.sort_by(|a, b| a.id.cmp(&b.id));
    Some(Station {
        name: config.name.clone(),
        zone: config.zone,
        units: parts.units?.into_iter().map(|u| (u.unit.id.clone(), u.unit)).collect(),
        devices: parts.devices?.into_iter().map(|d| (d.device.id.clone(), d.device)).collect(),
        profiles: parts.profiles,
        policies,
        calendars,
        playlists,
        library,
        standby,
        feeds: parts.feeds,
    })
}

//! The station folder to an accepted [`Station`], with all faults at once.
//!
//! Reads `station.toml`, `units.csv`, `devices.csv`, `policies/`, `calendars/`, `feeds/`,
//! playlists,
//! `skips.toml` and the device profiles; leaves clips to a [`ClipSource`], so that it needs no
//! decoder. Text and file names are NFC from here on: a file stored as NFD is found by its NFC
//! name and the other way round.
//!
//! # Invariants
//! * Every file is read once, as a whole, and bounded; every fault has file, line and column.
//! * A file with a fault that refuses it counts for nothing: its last good version stays in
//!   force ([`load_with_last_good`]), or, for a playlist or feed that never was good, it is left
//!   out.
//!   Registers, policies and calendars that never were good give no station at all: guessing
//!   there would let something sound that must not.
//! * Touches nothing on disk.

mod board;
#[cfg(feature = "raster")]
mod boards;
mod build;
mod calendar;
mod cross;
mod dialect;
mod fault;
mod feed;
mod files;
mod fonts;
mod hours;
mod plans;
mod playlist;
mod policy;
mod problem;
mod profile;
mod read;
mod registers;
mod schema;
mod settings;
mod shape;
mod skips;
mod slot;
mod station;
mod table;
mod text;

pub use dialect::DialectFault;
pub use fault::{Fault, Place, Severity};
pub use files::label;
pub use plans::{
    KnownPlans, PlanFile, PlanFolder, Told, entries_from_csv, entries_to_csv, findings_from_csv,
    plan_file, plan_folder, plan_from_csv, plan_from_toml, plan_id, plan_lines_from_csv,
    plan_lines_to_csv, topics_from_toml,
};
pub use problem::Problem;
pub use profile::Described;
pub use registers::{
    Named, devices_from_csv, devices_from_csv_naming, devices_to_csv, units_from_csv, units_to_csv,
};
pub use schema::{KINDS, schema};
pub use settings::{
    Approval, BrokerAdmin, BrokerConfig, ListenConfig, LogConfig, Retention, StationConfig,
    TlsFiles, TokenConfig, WitnessConfig,
};
pub use text::{duration_ms, nfc};

use crate::domain::ids::{Digest, PlaylistId};
use crate::domain::profile::Profile;
use crate::domain::station::{AssetFacts, Device, Station, Unit};
use build::{Built, Clips, build};
use fault::Faults;
use files::{FileKind, Files};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Knows what a clip is; called once a load for each clip that a playlist names.
pub trait ClipSource {
    /// Returns the facts of the file, or in one sentence why it cannot be used.
    fn facts(&mut self, path: &Path) -> Result<AssetFacts, String>;
}

/// What a load found.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The station, unless a register, policy or calendar is faulty and never was good.
    pub station: Option<Station>,
    /// What the station file says about running.
    pub config: Option<StationConfig>,
    /// All faults of what is on disk now, sorted by file and place.
    pub faults: Vec<Fault>,
    /// SHA-256 of each file as it is on disk now, by its name in the folder.
    pub hashes: BTreeMap<String, Digest>,
    /// The bytes that are in force: hand them to the next load, keep them over a restart.
    pub good: LastGood,
    /// Files whose last good version is in force instead of what is on disk.
    pub held: Vec<String>,
}

/// The bytes of each file when it was last in force, by its name in the folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastGood {
    pub files: BTreeMap<String, Arc<[u8]>>,
}

/// Reads the folder; a playlist with a fault is left out.
pub fn load(dir: &Path, profiles: &Path, clips: &mut dyn ClipSource) -> Loaded {
    load_with_last_good(dir, profiles, clips, &LastGood::default())
}

/// Returns the faults of a folder of device profiles by itself.
pub fn profile_faults(profiles: &Path) -> Vec<Fault> {
    self::profiles(profiles).1
}

/// Reads a folder of device profiles by itself; a profile with a fault is left out.
pub fn profiles(folder: &Path) -> (Vec<Profile>, Vec<Fault>) {
    let faults = Faults::default();
    let files = Files::read_profiles(folder, &faults);
    let profiles = build::read_profiles(&files, &faults);
    (profiles, faults.into_sorted())
}

/// Reads the folder; a faulty file counts as it was when it last was good.
///
/// A playlist in force that names a unit or device taken out of its register stays in force for
/// the others, and is told. Where files contradict each other beyond that (a calendar that slots
/// name is gone), registers, policies and calendars stay as they were until one is mended: what
/// is in force always fits together.
pub fn load_with_last_good(
    dir: &Path,
    profiles: &Path,
    clips: &mut dyn ClipSource,
    last: &LastGood,
) -> Loaded {
    load_over(dir, profiles, clips, last, &Overlay::default())
}

/// Files that count instead of what stands in the folder, by name: a server's registers, which
/// are the truth while it runs. Faults name them as `register`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    pub files: BTreeMap<String, Arc<[u8]>>,
    /// What a server has imported; a plan of it counts before one of the folder.
    pub plans: KnownPlans,
}

impl Overlay {
    /// Returns the overlay of a server's registers; empty while both are, so that the files of
    /// the folder count until the server has taken them in.
    pub fn of_registers<'a>(units: &[Unit], devices: impl IntoIterator<Item = &'a Device>) -> Self {
        let mut devices = devices.into_iter().peekable();
        if units.is_empty() && devices.peek().is_none() {
            return Self::default();
        }
        let texts = [("units.csv", units_to_csv(units)), ("devices.csv", devices_to_csv(devices))];
        let files = texts.map(|(name, text)| (name.to_owned(), Arc::from(text.into_bytes())));
        Self { files: files.into(), plans: KnownPlans::default() }
    }

    /// Adds the plans and topic lists that a server has imported.
    #[must_use]
    pub fn with_plans(self, plans: KnownPlans) -> Self {
        Self { plans, ..self }
    }
}

/// As [`load_with_last_good`], with some files taken from elsewhere.
pub fn load_over(
    dir: &Path,
    profiles: &Path,
    clips: &mut dyn ClipSource,
    last: &LastGood,
    overlay: &Overlay,
) -> Loaded {
    let faults = Faults::default();
    let mut disk = Files::read(dir, profiles, overlay, &faults);
    let folder = plan_folder(dir);
    let folder = KnownPlans { plans: folder.plans, topics: folder.topics };
    disk.plans = Arc::new(overlay.plans.clone().or(folder));
    let hashes = disk
        .bytes
        .iter()
        .filter_map(|(key, bytes)| Some((key.clone(), Digest::of(bytes.as_ref()?))))
        .collect();
    let mut clips = Clips::new(dir, clips);
    // Once for the faults of what is on disk, whatever comes into force.
    let first = build(&disk, last, &mut clips, &faults);
    let settled = if faults.refused().is_empty() {
        Some((first, disk.clone()))
    } else {
        settle(&disk, last, &mut clips)
    };
    let (station, config, good) = match settled {
        Some((built, files)) => {
            let files = files.bytes.into_iter().filter_map(|(key, bytes)| Some((key, bytes?)));
            (built.station, built.config, LastGood { files: files.collect() })
        }
        None => (None, None, last.clone()),
    };
    let on_disk = |key: &str| disk.bytes.get(key).and_then(Option::as_ref);
    let held = good.files.iter().filter(|(key, bytes)| on_disk(key) != Some(bytes));
    let held = held.map(|(key, _)| key.clone()).collect();
    Loaded { station, config, faults: faults.into_sorted(), hashes, good, held }
}

/// Builds a station from files that once were in force together, by their names in the folder;
/// the source is asked by the clips' names in playlists. `None` when they do not fit together.
pub fn rebuild(files: &BTreeMap<String, Arc<[u8]>>, clips: &mut dyn ClipSource) -> Option<Station> {
    let bytes = files.iter().map(|(key, bytes)| (key.clone(), Some(Arc::clone(bytes)))).collect();
    let files = Files { bytes, ..Files::default() };
    let last = LastGood {
        files: files.bytes.iter().filter_map(|(k, b)| Some((k.clone(), b.clone()?))).collect(),
    };
    let faults = Faults::default();
    let built = build(&files, &last, &mut Clips::by_name(clips), &faults);
    built.station.filter(|_| faults.refused().is_empty())
}

/// Finds the newest set of files that fits together, from what is on disk to what was good.
fn settle(disk: &Files, last: &LastGood, clips: &mut Clips<'_>) -> Option<(Built, Files)> {
    let mut registers_back = disk.clone();
    registers_back.bytes.retain(|key, _| FileKind::of(key).stands_alone());
    let mut all_back = Files { bytes: std::collections::BTreeMap::new(), ..disk.clone() };
    for (key, bytes) in &last.files {
        if !FileKind::of(key).stands_alone() {
            registers_back.bytes.insert(key.clone(), Some(bytes.clone()));
        }
        all_back.bytes.insert(key.clone(), Some(bytes.clone()));
    }
    replace_faulty(disk.clone(), last, clips, Stuck::Refuse)
        .or_else(|| replace_faulty(registers_back, last, clips, Stuck::Refuse))
        .or_else(|| replace_faulty(all_back, last, clips, Stuck::LeaveOut))
        .or_else(|| replace_faulty(disk.clone(), last, clips, Stuck::LeaveOut))
}

/// What to do with a playlist whose last good version is refused too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stuck {
    Refuse,
    LeaveOut,
}

/// Puts the last good version in the place of each refused file, until none is refused. Ends,
/// since each turn exchanges a file for its last good version or takes one out.
fn replace_faulty(
    mut files: Files,
    last: &LastGood,
    clips: &mut Clips<'_>,
    stuck: Stuck,
) -> Option<(Built, Files)> {
    loop {
        let faults = Faults::default();
        let built = build(&files, last, clips, &faults);
        let mut refused = faults.refused();
        // A file that could not even be read is no fault of `build`.
        refused.extend(files.bytes.iter().filter(|(_, b)| b.is_none()).map(|(key, _)| key.clone()));
        if refused.is_empty() {
            return built.station.is_some().then_some((built, files));
        }
        for key in refused {
            let good = last.files.get(&key);
            let in_place = files.bytes.get(&key).and_then(Option::as_ref);
            if good.is_some() && in_place != good {
                files.bytes.insert(key, good.cloned());
            } else if FileKind::of(&key).stands_alone()
                && (good.is_none() || stuck == Stuck::LeaveOut)
            {
                files.bytes.remove(&key);
            } else {
                return None;
            }
        }
    }
}

/// Returns the id that a file of the folder gives its playlist, by its name as in
/// [`Loaded::hashes`]; `None` for files of other kinds.
pub fn playlist_id(file: &str) -> Option<PlaylistId> {
    let stem = file.strip_suffix(".toml")?;
    let playlist = FileKind::of(file) == FileKind::Playlist;
    playlist.then(|| text::slug(stem).parse().ok()).flatten()
}

/// Reads one device profile by itself, without font files; `name` is the file's name without
/// `.toml`.
pub fn device_profile(name: &str, bytes: &[u8]) -> (Option<Described>, Vec<Fault>) {
    let faults = fault::Faults::default();
    let label = format!("{name}.toml");
    let file = fault::FileRef { key: &label, label: &label };
    let files = Files::default();
    let fonts = fonts::Fonts::of(&files, &faults);
    let described = name.parse().ok().and_then(|id| {
        let source = read::Source::decode(file, bytes, &faults)?;
        profile::read(&source, &id, &fonts)
    });
    let described = if faults.refused().is_empty() { described } else { None };
    (described, faults.into_sorted())
}

/// Notes an `id` in a file that is not the one its name gives.
fn check_id(top: &read::Reader<'_>, name: &str) {
    if let Some(said) = top.text("id")
        && said.value != name
    {
        let (key, name) = ("id", name.to_owned());
        top.fault(said.place, &Problem::IdDiffers { key, said: text::shown(&said.value), name });
    }
}

#[cfg(test)]
mod tests;

//! The station folder to an accepted [`Station`], with all faults at once.
//!
//! Reads `station.toml`, `units.csv`, `devices.csv`, `policies/`, `calendars/`, playlists,
//! `skips.toml` and the device profiles; leaves clips to a [`ClipSource`], so that it needs no
//! decoder. Text and file names are NFC from here on: a file stored as NFD is found by its NFC
//! name and the other way round.
//!
//! # Invariants
//! * Every file is read once, as a whole, and bounded; every fault has file, line and column.
//! * A file with a fault that refuses it counts for nothing: its last good version stays in
//!   force ([`load_with_last_good`]), or, for a playlist that never was good, it is left out.
//!   Registers, policies and calendars that never were good give no station at all: guessing
//!   there would let something sound that must not.
//! * Touches nothing on disk.

mod fault;
mod problem;
mod settings;

pub use fault::{Fault, Place, Severity};
pub use settings::{Approval, BrokerConfig, ListenConfig, Retention, StationConfig, TlsFiles};

use crate::domain::ids::Digest;
use crate::domain::station::{AssetFacts, Station};
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

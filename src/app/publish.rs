//! From a station to what must be published: sheets, timetables, and only what changed.

use crate::domain::ids::{DeviceId, Digest};
use std::collections::{BTreeMap, BTreeSet};

pub use super::link::Outbound as Publication;

/// An asset that sheets in force name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetNeed {
    pub bytes: u64,
    /// Chunk sizes in KiB that the devices concerned take.
    pub kib: BTreeSet<u32>,
    /// Devices that need it.
    pub devices: u32,
    /// Start of its first use that is still to come.
    pub first_use_ms: crate::domain::time::UtcMs,
}

/// What one round asks the loop to publish: assets, then `sheets`, then `timetables`, each
/// acknowledged before the next; `clear` last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// All assets in force (not only new ones): whoever publishes chunks compares.
    pub assets: BTreeMap<Digest, AssetNeed>,
    pub sheets: Vec<Publication>,
    pub timetables: Vec<TimetablePublication>,
    /// Topics of sheets no longer in force, to be cleared with an empty retained message.
    pub clear: Vec<String>,
    /// What could not be published; the last good version stays in force.
    pub faults: Vec<PublishFault>,
}

/// A timetable to publish; report back by `Publisher::published` when the broker has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimetablePublication {
    pub device: DeviceId,
    pub ver: i64,
    pub publication: Publication,
}

/// A part of the schedule that is over a limit of the contract.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum PublishFault {
    #[error("the sheet of {day} has {bytes} bytes, more than {limit} ({} devices, first `{}`)", devices.len(), first(devices))]
    SheetTooLarge { day: chrono::NaiveDate, devices: Vec<DeviceId>, bytes: usize, limit: usize },
    #[error("the timetable of `{device}` has {bytes} bytes, more than {limit}")]
    TimetableTooLarge { device: DeviceId, bytes: usize, limit: usize },
}

fn first(devices: &[DeviceId]) -> &str {
    devices.first().map_or("none", DeviceId::as_str)
}

impl PublishFault {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::SheetTooLarge { .. } => {
                "fewer items or occurrences on that day, or shorter texts; the last good sheet stays in force"
            }
            Self::TimetableTooLarge { .. } => {
                "a device hears at most 64 units; shorten its lineage"
            }
        }
    }
}

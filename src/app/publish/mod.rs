//! From a station to what must be published: sheets, timetables, and only what changed.
//!
//! [`Planner`] decides (compiles, encodes each sheet once, signs what changed) and holds no I/O;
//! [`Publisher`] keeps what it decided in the store before anything goes out, and can say
//! everything again for a broker that forgot.
//!
//! # Invariants
//! * What is handed out for publishing is stored: evidence is judged by the schedule that a
//!   device can have had.
//! * An unchanged station publishes nothing; `ver` only rises.
//! * What is over a limit of the contract is a fault and stays out; the last good version of
//!   that day, or of that device, stays in force. Nothing is truncated.
//! * Order: assets, sheets, timetables, each acknowledged before the next; then `clear`.

mod assets;
mod fault;
mod overflow;
mod planner;
mod publisher;

pub use super::link::Outbound as Publication;
pub use assets::AssetNeed;
pub use fault::PublishFault;
pub use overflow::{Overflow, overflow};
pub use planner::{HORIZON_DAYS, Planned, Planner, Settings};
pub use publisher::{Everything, PublishError, Publisher};

use crate::domain::ids::{DeviceId, Digest};
use std::collections::BTreeMap;

/// What one round asks the loop to publish: assets, then `sheets`, then `timetables`, each
/// acknowledged before the next; `clear` last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// All assets in force (not only new ones): whoever publishes chunks compares.
    pub assets: BTreeMap<Digest, AssetNeed>,
    pub sheets: Vec<Publication>,
    pub timetables: Vec<TimetablePublication>,
    /// Topics no longer in force, to be cleared with an empty retained message.
    pub clear: Vec<String>,
    /// What could not be published; the last good version stays in force.
    pub faults: Vec<PublishFault>,
}

impl Round {
    /// Says whether there is nothing to publish.
    pub fn is_empty(&self) -> bool {
        self.sheets.is_empty() && self.timetables.is_empty() && self.clear.is_empty()
    }
}

/// A timetable to publish; report back by [`Publisher::published`] when the broker has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimetablePublication {
    pub device: DeviceId,
    pub ver: i64,
    pub publication: Publication,
}

#[cfg(test)]
pub(crate) mod tests;

//! Cards of devices, changes of the register that are told one by one, how devices stood.

use super::{Fence, StoreError, Trailed};
use crate::app::people::Person;
use crate::app::trail::Entry;
use crate::domain::fleet::{Card, FaultKind, Reach};
use crate::domain::ids::{DeviceId, UnitId};
use crate::domain::station::{Device, Unit};
use crate::domain::time::UtcMs;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Turns that are kept of each device; older ones are forgotten.
pub const TURNS: usize = 200;

/// A change of the register with what the trail tells of it: done whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegisterChange {
    pub at_ms: UtcMs,
    /// Added, or replaced by id.
    pub units: Vec<Unit>,
    pub gone_units: Vec<UnitId>,
    /// Added, or replaced by id; standing and keys stay.
    pub devices: Vec<Device>,
    /// Their keys and all evidence stay.
    pub gone: Vec<DeviceId>,
    /// Replaced; an empty one is taken away.
    pub cards: BTreeMap<DeviceId, Card>,
    /// People with all their grants.
    pub people: Vec<Person>,
    pub entries: Vec<Entry>,
}

/// How a device stands, as it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredStand {
    pub device: DeviceId,
    pub reach: Reach,
    pub since_ms: UtcMs,
    /// What hinders it, each since when.
    pub faults: BTreeMap<FaultKind, UtcMs>,
}

/// Something that began or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TurnKind {
    /// It counts as this from now on.
    Reach(Reach),
    Began(FaultKind),
    Ended(FaultKind),
}

/// A turn in the life of a device, as the server saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTurn {
    pub device: DeviceId,
    pub at_ms: UtcMs,
    pub kind: TurnKind,
}

/// What a look at the fleet changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StandRound {
    pub put: Vec<StoredStand>,
    pub gone: Vec<DeviceId>,
    pub turns: Vec<StoredTurn>,
}

impl StandRound {
    /// Says whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.put.is_empty() && self.gone.is_empty() && self.turns.is_empty()
    }
}

/// What is known of devices beside where they play.
#[async_trait]
pub trait Fleet: Send + Sync {
    /// Returns all cards that say anything.
    async fn cards(&self) -> Result<BTreeMap<DeviceId, Card>, StoreError>;
    /// Returns the card of a device; an empty one when nothing is known.
    async fn card(&self, device: &DeviceId) -> Result<Card, StoreError>;
    /// Changes the register and tells the trail.
    async fn change_register(&self, change: &RegisterChange) -> Result<(), StoreError>;
    /// Returns the newest entries of the trail about a subject, newest first.
    async fn trail_of(&self, subject: &str, limit: u32) -> Result<Vec<Trailed>, StoreError>;
    /// Returns how all devices stood when it was last kept.
    async fn stands(&self) -> Result<Vec<StoredStand>, StoreError>;
    /// Keeps what a look changed.
    async fn keep_stands(&self, round: &StandRound, fence: Option<Fence>)
    -> Result<(), StoreError>;
    /// Returns the turns of a device that are kept, newest first.
    async fn turns_of(&self, device: &DeviceId) -> Result<Vec<StoredTurn>, StoreError>;
}

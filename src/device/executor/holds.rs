//! Holds in force.

use super::{Moment, Time};
use crate::domain::ids::UnitId;
use crate::domain::time::UtcMs;
use std::collections::BTreeMap;

/// A judged and persisted hold or release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldOrder {
    /// Of which unit.
    pub unit: UnitId,
    /// Its id.
    pub jti: String,
    /// Silence until here; `None` releases.
    pub until: Option<UtcMs>,
}

/// The newest hold or release of each unit.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    units: BTreeMap<UnitId, HoldOrder>,
}

impl Holds {
    pub fn take(&mut self, order: HoldOrder) {
        self.units.insert(order.unit.clone(), order);
    }

    pub fn drop_unit(&mut self, unit: &UnitId) {
        self.units.remove(unit);
    }

    /// The hold before whose end an instant lies: a clip that begins there does not sound after it
    /// either, also when the program or the clock skipped the hold.
    pub fn begun_in(&self, at: UtcMs) -> Option<&HoldOrder> {
        self.units.values().find(|order| order.until.is_some_and(|until| at < until))
    }

    /// The hold in force, the longest one. Without any idea of the time every hold holds: silence
    /// is the safe side.
    pub fn now(&self, now: Moment, time: Time) -> Option<&HoldOrder> {
        let holds = self.units.values().filter(|order| {
            order.until.is_some_and(|until| time == Time::Unknown || now.utc < until)
        });
        holds.max_by_key(|order| order.until)
    }
}

//! What compile hands out: days by reference, and beside each day why it is as it is.

use super::reason::Reason;
use super::sheet::{Cue, DaySheet};
use crate::domain::ids::{CueId, ItemId, PlaylistId, SlotId, UnitId};
use crate::domain::time::UtcMs;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The local dates to compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Horizon {
    /// First date.
    pub from: NaiveDate,
    /// How many dates, at most [`Horizon::MOST_DAYS`].
    pub days: u32,
}

impl Horizon {
    /// More days than this are not compiled at once.
    pub const MOST_DAYS: u32 = 400;
}

/// A day of a timetable: its instants and its sheet, shared by all devices with the same day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayRef {
    /// First instant of the local day.
    pub from_ms: UtcMs,
    /// First instant of the next.
    pub to_ms: UtcMs,
    /// Equal content is the same `Arc`.
    pub sheet: Arc<DaySheet>,
}

impl DayRef {
    /// Says whether both are the same day with the same sheet, by address.
    pub fn is(&self, other: &Self) -> bool {
        self.from_ms == other.from_ms
            && self.to_ms == other.to_ms
            && Arc::ptr_eq(&self.sheet, &other.sheet)
    }
}

/// Which output an item is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// For the loudspeaker.
    Clip,
    /// For the board.
    Pages,
}

/// Where a cue of the sheet comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedCue {
    /// The instant the slot asks for; [`Cue::at_ms`] is when it really starts.
    pub nominal: UtcMs,
    pub playlist: PlaylistId,
    pub slot: SlotId,
    pub item: ItemId,
    pub kind: Kind,
    /// Why it is not as asked; empty when it is.
    pub reasons: Vec<Reason>,
}

/// What was asked for and is not in the sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The instant the slot asks for.
    pub nominal: UtcMs,
    pub playlist: PlaylistId,
    pub slot: SlotId,
    /// The item and the id its cue would have; `None` when the whole occurrence is left out.
    pub item: Option<(ItemId, CueId)>,
    pub reason: Reason,
}

/// One local date of some devices, with reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayPlan {
    /// The local date.
    pub date: NaiveDate,
    /// What travels.
    pub day: DayRef,
    /// One for each cue of the sheet, in the same order.
    pub cues: Vec<PlannedCue>,
    /// Sorted by nominal start, playlist and slot.
    pub left_out: Vec<LeftOut>,
}

/// What several devices share: the days, with and without reasons.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Days {
    pub refs: Vec<DayRef>,
    pub plans: Vec<Arc<DayPlan>>,
}

/// The schedule of one device.
#[derive(Clone, Debug)]
pub struct DevicePlan {
    pub(super) units: Arc<[UnitId]>,
    pub(super) volume_cap: u8,
    pub(super) cap_by_policy: bool,
    pub(super) trim_ms: i64,
    pub(super) days: Arc<Days>,
}

impl DevicePlan {
    /// Returns the unit of the device and those above it, nearest first.
    pub fn units(&self) -> &[UnitId] {
        &self.units
    }

    /// Returns the loudest volume: of the device and all policies that bind it the lowest.
    pub fn volume_cap(&self) -> u8 {
        self.volume_cap
    }

    /// Says whether the cap comes from a policy, not from the device itself.
    pub fn cap_is_by_policy(&self) -> bool {
        self.cap_by_policy
    }

    /// Returns the correction of its start in milliseconds.
    pub fn trim_ms(&self) -> i64 {
        self.trim_ms
    }

    /// Returns the days in order. A date that the zone leaves out has none.
    pub fn days(&self) -> &[DayRef] {
        &self.days.refs
    }

    /// Returns the days with their reasons, one for each of [`DevicePlan::days`].
    pub fn plans(&self) -> &[Arc<DayPlan>] {
        &self.days.plans
    }

    /// Returns every cue with where it comes from, in order.
    pub fn cues(&self) -> impl Iterator<Item = (&Cue, &PlannedCue)> {
        self.days.plans.iter().flat_map(|plan| plan.day.sheet.cues.iter().zip(&plan.cues))
    }

    /// Returns everything left out, in order.
    pub fn left_out(&self) -> impl Iterator<Item = &LeftOut> {
        self.days.plans.iter().flat_map(|plan| plan.left_out.iter())
    }

    /// Says whether the timetable a device is sent would be the same; days are compared by
    /// address, which is enough for plans of one [`super::Compiler`].
    pub fn same_timetable(&self, other: &Self) -> bool {
        self.volume_cap == other.volume_cap
            && self.trim_ms == other.trim_ms
            && (Arc::ptr_eq(&self.units, &other.units) || self.units == other.units)
            && (Arc::ptr_eq(&self.days, &other.days)
                || (self.days.refs.len() == other.days.refs.len()
                    && self.days.refs.iter().zip(&other.days.refs).all(|(a, b)| a.is(b))))
    }
}

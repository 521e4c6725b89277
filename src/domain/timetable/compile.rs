//! From a station and a horizon to the schedule of every device.
//!
//! Pure: the same station and horizon give the same plan to the byte, whatever was compiled
//! before. A [`Compiler`] only remembers: what is asked by playlist, what is planned by group of
//! like devices, sheets by content. So cost grows with distinct days, and a change costs as much
//! as what it concerns.

use super::asked::Asked;
use super::audience::{Audience, Key};
use super::day::{DayMaker, REACH_AHEAD, REACH_BACK, share};
use super::plan::{DayPlan, DayRef, Days, DevicePlan, Horizon};
use super::sheet::DaySheet;
use crate::domain::ids::{DeviceId, PlaylistId};
use crate::domain::recurrence::wall::shift;
use crate::domain::station::Station;
use chrono::NaiveDate;
use chrono_tz::Tz;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Compiles stations and remembers what it compiled last.
#[derive(Debug, Default)]
pub struct Compiler {
    zone: Option<Tz>,
    next_version: u64,
    asked: BTreeMap<PlaylistId, Asked>,
    groups: HashMap<Arc<Key>, Known>,
    sheets: HashSet<Arc<DaySheet>>,
}

/// What is known of a group of devices.
#[derive(Debug, Default)]
struct Known {
    /// `None` for a date that the zone leaves out.
    plans: BTreeMap<NaiveDate, Option<Arc<DayPlan>>>,
    days: Option<Arc<Days>>,
}

/// What a station means for each of its devices.
#[derive(Clone, Debug)]
pub struct Compiled {
    horizon: Horizon,
    zone: Tz,
    devices: BTreeMap<DeviceId, DevicePlan>,
}

impl Compiler {
    /// Returns a compiler that knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Compiles the station for the dates of the horizon.
    pub fn compile(&mut self, station: &Station, horizon: Horizon) -> Compiled {
        if self.zone != Some(station.zone) {
            *self =
                Self { zone: Some(station.zone), next_version: self.next_version, ..Self::new() };
        }
        let dates: Vec<NaiveDate> =
            horizon.from.iter_days().take(horizon.days.min(Horizon::MOST_DAYS) as usize).collect();
        self.ask(station, &dates);
        let by_version: BTreeMap<u64, &Asked> =
            self.asked.values().map(|asked| (asked.version, asked)).collect();
        let version = |id: &PlaylistId| self.asked.get(id).map(|asked| asked.version);
        let mut audience = Audience::new(station, version);
        // By address: the audience hands out equal keys as one `Arc`.
        let mut used: HashMap<*const Key, (Arc<Key>, Arc<Days>)> = HashMap::new();
        let plans = station.devices.iter().map(|(id, device)| {
            let group = audience.group(device);
            let (_, days) = used.entry(Arc::as_ptr(&group.key)).or_insert_with(|| {
                let known = self.groups.entry(Arc::clone(&group.key)).or_default();
                let days =
                    known.days(&group.key, &dates, &by_version, station.zone, &mut self.sheets);
                (Arc::clone(&group.key), days)
            });
            let own = device.volume_cap.min(100);
            let cap = group.cap.map_or(own, |cap| cap.min(own));
            let plan = DevicePlan {
                units: audience.units(&device.unit),
                volume_cap: cap,
                cap_by_policy: cap < own,
                trim_ms: device.trim_ms,
                days: Arc::clone(days),
            };
            (id.clone(), plan)
        });
        // Collected, not inserted one by one: the ids come sorted.
        let devices: BTreeMap<DeviceId, DevicePlan> = plans.collect();
        let keys: HashSet<&Arc<Key>> = used.values().map(|(key, _)| key).collect();
        self.groups.retain(|key, _| keys.contains(key));
        let in_use: HashSet<*const DaySheet> = used
            .values()
            .flat_map(|(_, days)| days.refs.iter().map(|day| Arc::as_ptr(&day.sheet)))
            .collect();
        self.sheets.retain(|sheet| in_use.contains(&Arc::as_ptr(sheet)));
        Compiled { horizon, zone: station.zone, devices }
    }

    /// Brings what is asked up to date with the station.
    fn ask(&mut self, station: &Station, dates: &[NaiveDate]) {
        self.asked.retain(|id, asked| {
            station.playlists.get(id).is_some_and(|playlist| asked.is(playlist, station))
        });
        for (id, playlist) in &station.playlists {
            if !self.asked.contains_key(id) {
                self.next_version += 1;
                let asked = Asked::new(self.next_version, playlist, station);
                self.asked.insert(id.clone(), asked);
            }
        }
        if let (Some(first), Some(last)) = (dates.first(), dates.last()) {
            for asked in self.asked.values_mut() {
                asked.prepare(shift(*first, -REACH_BACK), shift(*last, REACH_AHEAD), station.zone);
            }
        }
    }
}

impl Known {
    fn days(
        &mut self,
        key: &Key,
        dates: &[NaiveDate],
        asked: &BTreeMap<u64, &Asked>,
        zone: Tz,
        sheets: &mut HashSet<Arc<DaySheet>>,
    ) -> Arc<Days> {
        let mut maker = DayMaker::new(key, asked, zone);
        self.plans.retain(|date, _| dates.binary_search(date).is_ok());
        for date in dates {
            self.plans.entry(*date).or_insert_with(|| {
                let (sheet, cues, left_out) = maker.plan(*date)?;
                let known = sheets.get(&sheet).map(Arc::clone);
                let sheet = known.unwrap_or_else(|| {
                    let sheet = Arc::new(sheet);
                    sheets.insert(Arc::clone(&sheet));
                    sheet
                });
                Some(Arc::new(share(*date, sheet, cues, left_out)))
            });
        }
        let plans: Vec<Arc<DayPlan>> = self.plans.values().flatten().cloned().collect();
        if let Some(days) = &self.days
            && days.plans.len() == plans.len()
            && days.plans.iter().zip(&plans).all(|(a, b)| Arc::ptr_eq(a, b))
        {
            return Arc::clone(days);
        }
        let refs: Vec<DayRef> = plans.iter().map(|plan| plan.day.clone()).collect();
        let days = Arc::new(Days { refs, plans });
        self.days = Some(Arc::clone(&days));
        days
    }
}

impl Compiled {
    /// Returns the dates compiled.
    pub fn horizon(&self) -> Horizon {
        self.horizon
    }

    /// Returns the zone in which dates are meant.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// Returns the schedule of a device, or `None` when the station does not have it.
    pub fn device(&self, id: &DeviceId) -> Option<&DevicePlan> {
        self.devices.get(id)
    }

    /// Returns all devices by id.
    pub fn devices(&self) -> impl ExactSizeIterator<Item = (&DeviceId, &DevicePlan)> {
        self.devices.iter()
    }

    /// Returns every distinct sheet once, by first instant and first device that follows it.
    pub fn sheets(&self) -> Vec<&Arc<DaySheet>> {
        let mut seen_days = HashSet::new();
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for plan in self.devices.values() {
            if seen_days.insert(Arc::as_ptr(&plan.days)) {
                let sheets = plan.days.refs.iter().map(|day| &day.sheet);
                found.extend(sheets.filter(|sheet| seen.insert(Arc::as_ptr(sheet))));
            }
        }
        found.sort_by_key(|sheet| sheet.from_ms);
        found
    }

    /// Returns the devices whose timetable differs from an earlier result of the same
    /// [`Compiler`], those that are new included.
    pub fn changed_since(&self, old: &Self) -> Vec<&DeviceId> {
        // Both are sorted: one walk along the two.
        let mut before = old.devices.iter().peekable();
        let mut changed = Vec::new();
        for (id, plan) in &self.devices {
            while before.next_if(|(other, _)| *other < id).is_some() {}
            let same = before.next_if(|(other, _)| *other == id);
            if !same.is_some_and(|(_, known)| known.same_timetable(plan)) {
                changed.push(id);
            }
        }
        changed
    }
}

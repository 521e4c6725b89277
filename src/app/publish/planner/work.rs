//! One plan in the making: each device's list of days, what is alike made once.

use super::super::PublishFault;
use super::sign::Unsigned;
use super::stored::stored_sheet;
use super::{HORIZON_DAYS, Planner};
use crate::app::ports::{StoredDay, StoredSheet};
use crate::domain::ids::{DeviceId, Digest};
use crate::domain::recurrence::wall;
use crate::domain::station::{AssetFacts, Station};
use crate::domain::time::UtcMs;
use crate::domain::timetable::sheet::AssetEntry;
use crate::domain::timetable::{Compiled, DayPlan, DevicePlan};
use crate::wire::doc::{self, DayEntry, Timetable};
use crate::wire::{limits, version};
use chrono::{Days, NaiveDate};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Characters of a standby clip's title in a timetable.
const STANDBY_TITLE: usize = 80;

/// A list of days, with what identifies it.
#[derive(Clone)]
pub(super) struct Listed {
    days: Arc<[StoredDay]>,
    entries: Arc<[DayEntry]>,
}

/// One plan in the making.
pub(super) struct Work<'a> {
    pub(super) planner: &'a mut Planner,
    pub(super) station: &'a Station,
    pub(super) now: UtcMs,
    pub(super) spread_s: u32,
    /// By address of the days, first date and limit of the sheet: what is alike is made once.
    pub(super) lists: HashMap<(usize, NaiveDate, usize), (Listed, Vec<NaiveDate>)>,
    pub(super) sheets: BTreeMap<Digest, StoredSheet>,
    pub(super) faults: BTreeMap<(NaiveDate, Digest, usize), PublishFault>,
    pub(super) unsigned: Vec<Unsigned>,
}

impl Work<'_> {
    /// Returns the devices that can have changed since the last plan.
    pub(super) fn concerned(
        &self,
        compiled: &Compiled,
        begins: &BTreeMap<DeviceId, NaiveDate>,
    ) -> Vec<DeviceId> {
        let all = || compiled.devices().map(|(id, _)| id.clone()).collect();
        let Some(last) = &self.planner.last else { return all() };
        let common = (&last.name, last.spread_s, last.standby);
        let now = (&self.station.name, self.spread_s, standby_digest(self.station));
        if common != now || last.faults {
            return all();
        }
        let mut ids: BTreeSet<&DeviceId> =
            compiled.changed_since(&last.compiled).into_iter().collect();
        ids.extend(
            begins.iter().filter(|(id, day)| last.begins.get(id) != Some(day)).map(|(id, _)| id),
        );
        // A profile can state another limit for the same days; there are few of those changes.
        ids.into_iter().cloned().collect()
    }

    pub(super) fn device(&mut self, id: &DeviceId, plan: &DevicePlan, begin: NaiveDate) {
        let profile =
            self.station.devices.get(id).and_then(|d| self.station.profiles.get(&d.profile));
        let limit = profile
            .map_or(limits::SHEET_BYTES, |p| (p.sheet_bytes as usize).min(limits::SHEET_BYTES));
        let key = (plan.days().as_ptr().addr(), begin, limit);
        let known = self.lists.get(&key).cloned();
        let (listed, refused) = known.unwrap_or_else(|| {
            let made = self.list(plan, begin, limit);
            self.lists.insert(key, made.clone());
            made
        });
        let listed = if refused.is_empty() {
            listed
        } else {
            self.patched(id, plan, &listed, &refused, limit)
        };
        let Some(last_day) = listed.days.last() else { return };
        let standby = profile.map_or_else(BTreeMap::new, |p| self.station.standby_for(p));
        let content = content(&self.station.name, plan, self.spread_s, &listed.days, &standby);
        let newest = self.planner.newest.get(id);
        if newest.is_some_and(|newest| newest.content == content) {
            return;
        }
        let claims = Timetable {
            v: 1,
            iss: doc::issuer(&self.station.name),
            aud: id.clone(),
            iat: self.now.numeric_date(),
            exp: last_day.to_ms.numeric_date(),
            ver: version::next(newest.map(|newest| newest.ver), self.now),
            units: plan.units().iter().take(limits::UNITS).cloned().collect(),
            volume_cap: plan.volume_cap(),
            trim_ms: plan.trim_ms(),
            fetch_spread_s: self.spread_s,
            days: listed.entries.to_vec(),
            standby: standby.into_iter().map(|(sha256, facts)| (sha256, held(facts))).collect(),
            idle: None,
            local: match (profile.and_then(|p| p.board.as_ref()), listed.days.first()) {
                (Some(_), Some(first)) => {
                    wall::offsets(self.station.zone, first.from_ms, last_day.to_ms)
                }
                _ => Vec::new(),
            },
        };
        self.unsigned.push(Unsigned { claims, content, days: listed.days });
    }

    /// Makes the list of days that begins at `begin`; also the dates whose sheet may not travel.
    fn list(
        &mut self,
        plan: &DevicePlan,
        begin: NaiveDate,
        limit: usize,
    ) -> (Listed, Vec<NaiveDate>) {
        let end = begin.checked_add_days(Days::new(HORIZON_DAYS.into())).unwrap_or(begin);
        let mut days = Vec::new();
        let mut refused = Vec::new();
        for day in plan.plans() {
            let reaches_in = || {
                day.date.succ_opt() == Some(begin)
                    && day.day.sheet.cues.iter().any(|cue| cue.end_ms > day.day.to_ms)
            };
            if day.date >= end || (day.date < begin && !reaches_in()) {
                continue;
            }
            let encoded = self.planner.encode(&day.day.sheet).clone();
            if encoded.refused.is_some() || encoded.bytes.len() > limit {
                refused.push(day.date);
                continue;
            }
            let sheet = encoded.digest;
            let stored = StoredDay { from_ms: day.day.from_ms, to_ms: day.day.to_ms, sheet };
            days.push(stored);
            if !self.sheets.contains_key(&sheet) && !self.planner.held.contains(&sheet) {
                self.sheets.insert(sheet, stored_sheet(&encoded));
            }
        }
        (listed(days), refused)
    }

    /// Puts the last good sheet in for days whose new one may not travel, and says so.
    fn patched(
        &mut self,
        id: &DeviceId,
        plan: &DevicePlan,
        list: &Listed,
        refused: &[NaiveDate],
        limit: usize,
    ) -> Listed {
        let mut days = list.days.to_vec();
        for date in refused {
            let Some(day) = plan.plans().iter().find(|day| day.date == *date) else { continue };
            self.fault(id, day, limit);
            let good = self.planner.newest.get(id).and_then(|newest| {
                newest.days.iter().find(|known| known.from_ms == day.day.from_ms)
            });
            days.extend(good.copied());
        }
        days.sort();
        listed(days)
    }

    fn fault(&mut self, id: &DeviceId, day: &DayPlan, limit: usize) {
        let encoded = self.planner.encode(&day.day.sheet);
        let (digest, bytes, refused) =
            (encoded.digest, encoded.bytes.len(), encoded.refused.clone());
        let fault = self.faults.entry((day.date, digest, limit)).or_insert_with(|| match refused {
            Some(why) if bytes <= limit => {
                PublishFault::SheetRefused { day: day.date, devices: vec![], why }
            }
            _ => PublishFault::SheetTooLarge { day: day.date, devices: vec![], bytes, limit },
        });
        match fault {
            PublishFault::SheetTooLarge { devices, .. }
            | PublishFault::SheetRefused { devices, .. } => devices.push(id.clone()),
            PublishFault::TimetableTooLarge { .. } | PublishFault::TimetableRefused { .. } => {}
        }
    }
}

fn listed(days: Vec<StoredDay>) -> Listed {
    let entries = days
        .iter()
        .map(|day| DayEntry { from_ms: day.from_ms, to_ms: day.to_ms, sheet: day.sheet })
        .collect();
    Listed { days: days.into(), entries }
}

/// Returns what a timetable says of a standby clip; a long title is cut, since it stands in every
/// one of them.
fn held(facts: &AssetFacts) -> AssetEntry {
    let title = facts.title.chars().take(STANDBY_TITLE).collect();
    AssetEntry { title, ..AssetEntry::from(facts) }
}

/// Names the standby clips of a station: another one concerns every loudspeaker.
pub(super) fn standby_digest(station: &Station) -> Digest {
    let mut bytes = Vec::new();
    for template in station.standby.keys() {
        if let Some(facts) = station.standby_clip(*template) {
            bytes.extend_from_slice(&facts.sha256.0);
            bytes.extend_from_slice(facts.title.as_bytes());
        }
    }
    Digest::of(&bytes)
}

/// Names what a timetable says apart from when and under which number.
fn content(
    name: &str,
    plan: &DevicePlan,
    spread_s: u32,
    days: &[StoredDay],
    standby: &BTreeMap<Digest, &AssetFacts>,
) -> Digest {
    let mut bytes = Vec::with_capacity(256 + days.len() * 48);
    bytes.extend_from_slice(name.as_bytes());
    for unit in plan.units() {
        bytes.push(b'\n');
        bytes.extend_from_slice(unit.as_str().as_bytes());
    }
    let rest = format!("\n\n{} {} {spread_s}\n", plan.volume_cap(), plan.trim_ms());
    bytes.extend_from_slice(rest.as_bytes());
    for day in days {
        bytes.extend_from_slice(&day.from_ms.0.to_be_bytes());
        bytes.extend_from_slice(&day.to_ms.0.to_be_bytes());
        bytes.extend_from_slice(&day.sheet.0);
    }
    // Without templates the same bytes as before there were any: an upgrade signs nothing anew.
    for (sha256, facts) in standby {
        bytes.extend_from_slice(&sha256.0);
        bytes.extend_from_slice(facts.title.as_bytes());
        bytes.extend_from_slice(&facts.gain_cb.to_be_bytes());
    }
    Digest::of(&bytes)
}

//! Who has confirmed a hold, and what the others would still play.

use super::Holds;
use crate::app::air::{self, Airing};
use crate::app::live::{Light, Lineages};
use crate::app::outcome::content;
use crate::app::ports::{Page, RecordFilter, Registered, Standing, StoreError, StoredHold};
use crate::domain::ids::{DeviceId, UnitId};
use crate::domain::proof::record::Body;
use crate::domain::time::UtcMs;
use crate::domain::timetable::sheet::DaySheet;
use crate::wire::{limits, sheet};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Records of a hold read at once.
const PAGE: u32 = 1_000;
/// Cues told of a device that has not confirmed.
const CUES: usize = 5;
/// How far ahead a release is looked at, and an endless hold too.
const AHEAD_MS: i64 = 24 * 3_600_000;

/// What a device says of a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// Its signed record says that it obeys, at this instant of its clock.
    Yes { at_ms: UtcMs },
    /// It answered otherwise.
    Refused { at_ms: UtcMs, why: String },
    /// No word of it.
    No,
}

/// A device that a hold is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceHold {
    pub device: DeviceId,
    pub name: String,
    pub unit: UnitId,
    pub light: Light,
    pub confirmed: Confirmed,
    /// Of one that has not confirmed: what it would play by its timetable, soonest first.
    pub would_play: Vec<Airing>,
}

impl Holds {
    /// Returns the enrolled devices of the unit with what they said of this version, by id: those
    /// this process knows of, which may be some seconds behind.
    pub async fn devices(&self, hold: &StoredHold) -> Result<Vec<DeviceHold>, StoreError> {
        let devices = self.live.devices();
        let schedule = Arc::clone(&self.live.picture().schedule);
        let above = |unit: &UnitId| self.live.lineage(unit);
        self.stand(hold, devices.values(), above, &schedule).await
    }

    /// The same as the store has it now: what an order is answered with leaves nobody out, though
    /// this process may stand by and hear of new devices late.
    pub async fn devices_now(&self, hold: &StoredHold) -> Result<Vec<DeviceHold>, StoreError> {
        let devices = self.store.devices().await?;
        let lineages = Lineages::of(&self.store.units().await?);
        let known = Arc::clone(&self.live.picture().schedule);
        // Whoever stands by plans nothing itself.
        let schedule = if known.is_empty() { self.published().await? } else { known };
        self.stand(hold, devices.iter(), |unit| lineages.above(unit), &schedule).await
    }

    async fn stand<'a>(
        &self,
        hold: &StoredHold,
        devices: impl Iterator<Item = &'a Registered>,
        above: impl Fn(&UnitId) -> Arc<[UnitId]>,
        schedule: &BTreeMap<DeviceId, Vec<Arc<DaySheet>>>,
    ) -> Result<Vec<DeviceHold>, StoreError> {
        let said = self.said(hold).await?;
        let now = self.clock.now();
        let until = if hold.is_in_force(now) { hold.until_ms } else { now.plus(AHEAD_MS) };
        let until = until.min(now.plus(14 * AHEAD_MS));
        let concerned = |known: &&Registered| {
            matches!(known.standing, Standing::Enrolled { .. })
                && above(&known.device.unit).contains(&hold.unit)
        };
        let found = devices.filter(concerned).map(|known| {
            let id = &known.device.id;
            let heard = self.live.heard(id);
            let confirmed = said.get(id).cloned().unwrap_or(Confirmed::No);
            // A release silences nobody: who has not heard of it stays silent.
            let silent = matches!(confirmed, Confirmed::Yes { .. }) || !hold.is_in_force(now);
            let would_play = if silent {
                Vec::new()
            } else {
                let sheets = schedule.get(id).into_iter().flatten();
                let due = air::due(sheets.map(|sheet| (id, sheet)), now, until, CUES);
                due.now.into_iter().chain(due.next).take(CUES).collect()
            };
            DeviceHold {
                device: id.clone(),
                name: known.device.name.clone(),
                unit: known.device.unit.clone(),
                light: Light::of(&known.standing, heard.as_deref()),
                confirmed,
                would_play,
            }
        });
        Ok(found.collect())
    }

    /// Returns what devices follow by what was published last. A sheet that cannot be read is left
    /// out: the device would refuse it too.
    async fn published(&self) -> Result<Arc<BTreeMap<DeviceId, Vec<Arc<DaySheet>>>>, StoreError> {
        let newest = self.store.newest_timetables().await?;
        let days = newest.iter().flat_map(|timetable| timetable.days.iter());
        let ids: BTreeSet<_> = days.map(|day| day.sheet).collect();
        let ids: Vec<_> = ids.into_iter().collect();
        let sheets: BTreeMap<_, _> = self
            .store
            .sheets(&ids)
            .await?
            .into_iter()
            .filter_map(|stored| {
                let sheet = sheet::decode(&stored.bytes, limits::SHEET_BYTES).ok()?;
                Some((stored.sha256, Arc::new(sheet)))
            })
            .collect();
        let follows = newest.into_iter().map(|timetable| {
            let days = timetable.days.iter().filter_map(|day| sheets.get(&day.sheet).cloned());
            (timetable.device, days.collect())
        });
        Ok(Arc::new(follows.collect()))
    }

    /// Reads what devices signed about this version.
    async fn said(&self, hold: &StoredHold) -> Result<BTreeMap<DeviceId, Confirmed>, StoreError> {
        let filter = RecordFilter {
            jti: Some(hold.jti.clone()),
            kind: Some("did".to_owned()),
            ..RecordFilter::default()
        };
        let mut said = BTreeMap::new();
        let mut position = 0;
        loop {
            let page = Page::After { position, limit: PAGE };
            let listed = self.store.records(&filter, page).await?;
            for listed in &listed {
                let at_ms = listed.record.at_ms;
                let body = content(&listed.record).map(|record| record.body);
                let Some(Body::Did { result, .. }) = body else { continue };
                let word = if result == "done" {
                    Confirmed::Yes { at_ms }
                } else {
                    Confirmed::Refused { at_ms, why: result }
                };
                // A later word counts, but nothing takes a confirmation back.
                let known = said.entry(listed.record.device.clone()).or_insert(word.clone());
                if !matches!(known, Confirmed::Yes { .. }) {
                    *known = word;
                }
            }
            match listed.last() {
                Some(last) if listed.len() == PAGE as usize => position = last.position,
                _ => return Ok(said),
            }
        }
    }
}

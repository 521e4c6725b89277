//! Who has confirmed a hold, and what the others would still play.

use super::Holds;
use crate::app::air::{self, Airing};
use crate::app::live::Light;
use crate::app::outcome::content;
use crate::app::ports::{Page, RecordFilter, Registered, Standing, StoreError, StoredHold};
use crate::domain::ids::{DeviceId, UnitId};
use crate::domain::proof::record::Body;
use crate::domain::time::UtcMs;
use std::collections::BTreeMap;

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
    /// Returns the enrolled devices of the unit with what they said of this version.
    pub async fn devices(&self, hold: &StoredHold) -> Result<Vec<DeviceHold>, StoreError> {
        let said = self.said(hold).await?;
        let now = self.clock.now();
        let until = if hold.is_in_force(now) { hold.until_ms } else { now.plus(AHEAD_MS) };
        let until = until.min(now.plus(14 * AHEAD_MS));
        let devices = self.live.devices();
        let picture = self.live.picture();
        let concerned = |known: &&Registered| {
            matches!(known.standing, Standing::Enrolled { .. })
                && self.live.lineage(&known.device.unit).contains(&hold.unit)
        };
        let found = devices.values().filter(concerned).map(|known| {
            let id = &known.device.id;
            let heard = self.live.heard(id);
            let confirmed = said.get(id).cloned().unwrap_or(Confirmed::No);
            // A release silences nobody: who has not heard of it stays silent.
            let silent = matches!(confirmed, Confirmed::Yes { .. }) || !hold.is_in_force(now);
            let would_play = if silent {
                Vec::new()
            } else {
                let sheets = picture.schedule.get(id).into_iter().flatten();
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

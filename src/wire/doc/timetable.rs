//! Which day sheets a device follows.

use super::{Document, positive};
use crate::domain::ids::{DeviceId, Digest, UnitId};
use crate::domain::playlist::Page;
use crate::domain::time::{LocalOffset, UtcMs};
use crate::domain::timetable::sheet::AssetEntry;
use crate::wire::judge::Judged;
use crate::wire::jws::Typ;
use crate::wire::limits;
use crate::wire::refusal::Refusal;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// A signed timetable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timetable {
    /// Version of the document, 1.
    pub v: u8,
    /// Name of the server, for people.
    pub iss: String,
    /// Whom it is for.
    pub aud: DeviceId,
    /// When it was made, seconds.
    pub iat: i64,
    /// End of the last day, seconds.
    pub exp: i64,
    /// Its version.
    pub ver: i64,
    /// The device's units, nearest first.
    pub units: Vec<UnitId>,
    /// Cap on the volume of every cue, 0-100.
    pub volume_cap: u8,
    /// Correction of starts in milliseconds; positive plays later.
    pub trim_ms: i64,
    /// Fetches begin at a random moment within so many seconds.
    pub fetch_spread_s: u32,
    /// The days, sorted, apart from each other.
    pub days: Vec<DayEntry>,
    /// Assets held ready and never evicted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub standby: BTreeMap<Digest, AssetEntry>,
    /// What a board shows when nothing else does; a page of unknown kind counts as absent.
    #[serde(default, deserialize_with = "page_or_none", skip_serializing_if = "Option::is_none")]
    pub idle: Option<Page>,
    /// For pages that show the time: how far local time is ahead of UTC, sorted. Boards only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub local: Vec<LocalOffset>,
}

/// One day of a timetable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayEntry {
    /// First instant of the local day.
    pub from_ms: UtcMs,
    /// First instant of the next.
    pub to_ms: UtcMs,
    /// SHA-256 of the day sheet's bytes.
    pub sheet: Digest,
}

fn page_or_none<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Page>, D::Error> {
    let value = serde_json::Value::deserialize(reader)?;
    Ok(serde_json::from_value(value).ok())
}

impl Timetable {
    /// Checks what types cannot say: order of days, caps, counts.
    pub fn check(&self) -> Result<(), Refusal> {
        Refusal::limit("days", self.days.len(), limits::DAYS)?;
        Refusal::limit("units", self.units.len(), limits::UNITS)?;
        Refusal::limit("local offsets", self.local.len(), limits::DAYS)?;
        Refusal::limit("standby assets", self.standby.len(), limits::STANDBY)?;
        Refusal::limit("bytes of `iss`", self.iss.len(), limits::WORD_BYTES)?;
        positive(self.ver, "ver")?;
        if self.exp <= self.iat {
            return Err(Refusal::content("`exp` is not after `iat`"));
        }
        if self.volume_cap > 100 {
            return Err(Refusal::content("`volume_cap` is above 100"));
        }
        if self.trim_ms.unsigned_abs() > limits::TRIM_MS.unsigned_abs() {
            return Err(Refusal::content("`trim_ms` is beyond a second"));
        }
        for day in &self.days {
            if day.from_ms >= day.to_ms || day.to_ms.since(day.from_ms) > limits::DAY_MS {
                return Err(Refusal::content("a day has no length, or more than 26 hours"));
            }
        }
        if self.days.windows(2).any(|w| w[0].to_ms > w[1].from_ms) {
            return Err(Refusal::content("days overlap or are not sorted"));
        }
        if self.local.windows(2).any(|w| w[0].from_ms >= w[1].from_ms)
            || self.local.iter().any(|offset| offset.minutes.abs() > 1_440)
        {
            return Err(Refusal::content("`local` is not sorted, or beyond a day"));
        }
        if self.standby.values().any(|a| a.bytes == 0 || a.bytes > limits::ASSET_BYTES) {
            return Err(Refusal::content("a standby asset is empty or too large"));
        }
        Ok(())
    }
}

impl Document for Timetable {
    const TYP: Typ = Typ::Timetable;

    fn check(&self) -> Result<(), Refusal> {
        Timetable::check(self)
    }
}

impl Judged for Timetable {
    fn aud(&self) -> Option<&DeviceId> {
        Some(&self.aud)
    }
    fn iat(&self) -> i64 {
        self.iat
    }
    fn exp(&self) -> Option<i64> {
        Some(self.exp)
    }
    fn ver(&self) -> Option<i64> {
        Some(self.ver)
    }
}

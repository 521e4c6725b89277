//! The quiet floor: hours in which no clip sounds, whatever a sheet says.
//!
//! Comes at enrolment and changes only under the `policy` key, so that the scheduling key alone
//! cannot make a device sound at night. Pure; counted in the device's fixed offset, because the
//! device must know it without any register of zones.

use crate::domain::time::UtcMs;
use serde::{Deserialize, Serialize};

const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;

/// Hours without sound, in minutes of the local day; `to` ≤ `from` crosses midnight, equal
/// ends mean that no hour is quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietFloor {
    /// First quiet minute, 0..1440.
    pub from_min: i64,
    /// First loud minute, 0..1440.
    pub to_min: i64,
    /// Local time minus UTC in minutes.
    pub offset_min: i64,
}

impl Default for QuietFloor {
    /// 21:30 to 04:45 in Viet Nam: what holds until enrolment says otherwise.
    fn default() -> Self {
        Self { from_min: 21 * 60 + 30, to_min: 4 * 60 + 45, offset_min: 420 }
    }
}

impl QuietFloor {
    /// Says until when sound is allowed from an instant on; `None` when it is not.
    pub fn loud_until(&self, at: UtcMs) -> Option<UtcMs> {
        let from = self.from_min.rem_euclid(1_440) * MINUTE_MS;
        let to = self.to_min.rem_euclid(1_440) * MINUTE_MS;
        if from == to {
            return Some(UtcMs::MAX);
        }
        let offset = self.offset_min.clamp(-1_440, 1_440) * MINUTE_MS;
        let local = at.plus(offset).0.rem_euclid(DAY_MS);
        let loud_ms = (from - to).rem_euclid(DAY_MS);
        let into_loud = (local - to).rem_euclid(DAY_MS);
        (into_loud < loud_ms).then(|| at.plus(loud_ms - into_loud))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn at(text: &str) -> UtcMs {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc().into()
    }

    #[test]
    fn the_usual_floor_is_quiet_at_night_and_loud_by_day() {
        let floor = QuietFloor::default();
        assert_eq!(floor.loud_until(at("2026-12-01T04:44:59.999+07:00")), None);
        let evening = at("2026-12-01T21:30:00+07:00");
        assert_eq!(floor.loud_until(at("2026-12-01T04:45:00+07:00")), Some(evening));
        assert_eq!(floor.loud_until(at("2026-12-01T21:29:59.999+07:00")), Some(evening));
        assert_eq!(floor.loud_until(evening), None);
        assert_eq!(floor.loud_until(at("2026-12-02T00:00:00+07:00")), None);
    }

    #[test]
    fn a_floor_inside_one_day_and_one_without_hours_hold_too() {
        let noon = QuietFloor { from_min: 11 * 60, to_min: 13 * 60, offset_min: 0 };
        assert_eq!(noon.loud_until(at("2026-12-01T12:59:59Z")), None);
        let next = at("2026-12-02T11:00:00Z");
        assert_eq!(noon.loud_until(at("2026-12-01T13:00:00Z")), Some(next));
        let none = QuietFloor { from_min: 60, to_min: 60, offset_min: 0 };
        assert_eq!(none.loud_until(at("2026-12-01T01:00:00Z")), Some(UtcMs::MAX));
    }
}

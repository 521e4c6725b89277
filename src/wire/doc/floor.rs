//! The quiet floor: hours in which the device plays no clip, whatever the schedule says.

use super::{Document, positive};
use crate::domain::ids::DeviceId;
use crate::domain::time::UtcMs;
use crate::wire::judge::Judged;
use crate::wire::jws::Typ;
use crate::wire::limits;
use crate::wire::refusal::{Refusal, shorten};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

const DAY_MS: i64 = 86_400_000;

/// A signed quiet floor. `from` equal to `to` means: no quiet hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floor {
    /// Version of the document, 1.
    pub v: u8,
    /// Whom it is for.
    pub aud: DeviceId,
    /// When it was made, seconds.
    pub iat: i64,
    /// Its version.
    pub ver: i64,
    /// First quiet minute, local time.
    pub from: LocalClock,
    /// First minute that is not quiet any more, local time; may lie before `from` (over midnight).
    pub to: LocalClock,
    /// Minutes that local time is ahead of UTC.
    pub offset_min: i32,
    /// Why, for people.
    pub reason: String,
}

/// Hours and minutes of a local clock: `21:30`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LocalClock {
    minutes: u16, // invariant: below 24 × 60
}

/// A text that is not a local clock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a time of day like `21:30`")]
pub struct ClockError {
    /// The text.
    pub text: String,
}

impl LocalClock {
    /// Returns the minutes since midnight.
    pub fn minutes(self) -> u16 {
        self.minutes
    }

    fn ms(self) -> i64 {
        i64::from(self.minutes) * 60_000
    }
}

impl fmt::Display for LocalClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.minutes / 60, self.minutes % 60)
    }
}

impl fmt::Debug for LocalClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LocalClock {
    type Err = ClockError;
    fn from_str(text: &str) -> Result<Self, ClockError> {
        let two = |t: &str| {
            (t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit()))
                .then(|| t.parse::<u16>().ok())?
        };
        text.split_once(':')
            .and_then(|(h, m)| Some((two(h)?, two(m)?)))
            .filter(|(h, m)| *h < 24 && *m < 60)
            .map(|(h, m)| Self { minutes: h * 60 + m })
            .ok_or_else(|| ClockError { text: shorten(text) })
    }
}

impl TryFrom<String> for LocalClock {
    type Error = ClockError;
    fn try_from(text: String) -> Result<Self, ClockError> {
        text.parse()
    }
}

impl From<LocalClock> for String {
    fn from(clock: LocalClock) -> String {
        clock.to_string()
    }
}

impl Floor {
    /// Returns the floor every device begins with: 21:30 to 04:45.
    pub fn first(aud: DeviceId, ver: i64, iat: i64, offset_min: i32) -> Self {
        Self {
            v: 1,
            aud,
            iat,
            ver,
            from: LocalClock { minutes: 21 * 60 + 30 },
            to: LocalClock { minutes: 4 * 60 + 45 },
            offset_min,
            reason: "giờ yên tĩnh mặc định khi ghi danh thiết bị".to_owned(),
        }
    }

    /// Checks what types cannot say.
    pub fn check(&self) -> Result<(), Refusal> {
        Refusal::limit("bytes of `reason`", self.reason.len(), limits::TITLE_BYTES)?;
        positive(self.ver, "ver")?;
        if self.offset_min.unsigned_abs() > 18 * 60 {
            return Err(Refusal::content("`offset_min` is beyond 18 hours"));
        }
        Ok(())
    }

    /// Says whether the instant is quiet.
    pub fn is_quiet(&self, at: UtcMs) -> bool {
        let local = at.plus(i64::from(self.offset_min) * 60_000).0.rem_euclid(DAY_MS);
        let (from, to) = (self.from.ms(), self.to.ms());
        if from <= to { from <= local && local < to } else { from <= local || local < to }
    }

    /// Returns the first instant after `at` at which quiet begins or ends; `None` when it never
    /// changes.
    pub fn next_change(&self, at: UtcMs) -> Option<UtcMs> {
        if self.from == self.to {
            return None;
        }
        let local = at.plus(i64::from(self.offset_min) * 60_000).0.rem_euclid(DAY_MS);
        let until = |edge: i64| match (edge - local).rem_euclid(DAY_MS) {
            0 => DAY_MS,
            ms => ms,
        };
        Some(at.plus(until(self.from.ms()).min(until(self.to.ms()))))
    }
}

impl Document for Floor {
    const TYP: Typ = Typ::Floor;

    fn check(&self) -> Result<(), Refusal> {
        Floor::check(self)
    }
}

impl Judged for Floor {
    fn aud(&self) -> Option<&DeviceId> {
        Some(&self.aud)
    }
    fn iat(&self) -> i64 {
        self.iat
    }
    fn ver(&self) -> Option<i64> {
        Some(self.ver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floor() -> Floor {
        Floor::first(DeviceId::new("loa-thon-1").unwrap(), 1, 1, 420)
    }

    fn local(h: i64, m: i64) -> UtcMs {
        UtcMs(((h - 7) * 60 + m) * 60_000 + 20_000 * DAY_MS)
    }

    #[test]
    fn the_first_floor_is_quiet_over_midnight() {
        let floor = floor();
        for (h, m, quiet) in [
            (21, 29, false),
            (21, 30, true),
            (23, 59, true),
            (0, 0, true),
            (4, 44, true),
            (4, 45, false),
            (12, 0, false),
        ] {
            assert_eq!(floor.is_quiet(local(h, m)), quiet, "{h}:{m}");
        }
        assert_eq!(floor.next_change(local(12, 0)), Some(local(21, 30)));
        assert_eq!(floor.next_change(local(21, 30)), Some(local(28, 45)));
    }

    #[test]
    fn a_floor_without_length_is_never_quiet() {
        let mut floor = floor();
        floor.to = floor.from;
        assert!(!floor.is_quiet(local(21, 30)));
        assert_eq!(floor.next_change(local(21, 30)), None);
    }

    #[test]
    fn no_offset_from_outside_overflows() {
        for offset_min in [i32::MIN, i32::MAX, 18 * 60 + 1, -18 * 60 - 1] {
            let floor = Floor { offset_min, ..floor() };
            assert_eq!(floor.check().unwrap_err().reason(), "content");
            let _ = (floor.is_quiet(UtcMs::MAX), floor.next_change(UtcMs(i64::MIN)));
        }
    }

    #[test]
    fn only_hours_and_minutes_are_a_clock() {
        for bad in ["24:00", "1:00", "01:60", "01:0", "+1:00", "01:00:00", ""] {
            assert!(bad.parse::<LocalClock>().is_err(), "{bad}");
        }
    }
}

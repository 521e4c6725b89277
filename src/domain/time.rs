//! Instants and lengths of time as the product counts them: whole milliseconds.
//!
//! Leaves calendars and time zones to `recurrence`. Invariant: an [`UtcMs`] is an instant in UTC,
//! never a local time; it is an integer, so that equal instants have equal bytes.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, Sub};

const DAY_MS: i64 = 86_400_000;

/// An instant: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct UtcMs(pub i64);

impl UtcMs {
    /// The largest whole number every JSON reader keeps exactly (2^53 − 1), as an instant.
    pub const MAX: UtcMs = UtcMs((1 << 53) - 1);

    /// Returns the instant as chrono sees it. Instants outside chrono's years are clamped, a day
    /// inside them: devices sign any number, and the local time of the very last instant is none.
    pub fn datetime(self) -> DateTime<Utc> {
        let first = DateTime::<Utc>::MIN_UTC.timestamp_millis() + DAY_MS;
        let last = DateTime::<Utc>::MAX_UTC.timestamp_millis() - DAY_MS;
        let clamped = DateTime::from_timestamp_millis(self.0.clamp(first, last));
        clamped.unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// Returns whole seconds since the epoch, rounded down: the NumericDate of RFC 7519.
    pub fn numeric_date(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Returns the instant of a NumericDate (RFC 7519), saturating.
    pub fn from_numeric_date(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Adds milliseconds without overflow.
    #[must_use]
    pub fn plus(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Returns `self − earlier` in milliseconds, negative when `self` comes first.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// From an instant on, how far local time is ahead of UTC: for faces of clocks, never for decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LocalOffset {
    /// Since when.
    pub from_ms: UtcMs,
    /// Minutes ahead of UTC, negative west of it.
    pub minutes: i32,
}

impl From<DateTime<Utc>> for UtcMs {
    fn from(at: DateTime<Utc>) -> Self {
        Self(at.timestamp_millis())
    }
}

impl Add<i64> for UtcMs {
    type Output = Self;
    fn add(self, ms: i64) -> Self {
        self.plus(ms)
    }
}

impl Sub for UtcMs {
    type Output = i64;
    fn sub(self, other: Self) -> i64 {
        self.since(other)
    }
}

impl fmt::Debug for UtcMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.datetime().format("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}

/// A non-empty stretch of time, half-open so that back-to-back cues share no instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawSpan", into = "RawSpan")]
pub struct Span {
    from: UtcMs,
    to: UtcMs, // invariant: from < to; private fields keep it
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct RawSpan {
    from_ms: UtcMs,
    to_ms: UtcMs,
}

/// Two instants that leave no time between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stretch of time from `{from:?}` to `{to:?}` has no length")]
pub struct EmptySpan {
    pub from: UtcMs,
    pub to: UtcMs,
}

impl Span {
    /// Returns the span, or the two instants when they leave no time between them.
    pub fn new(from: UtcMs, to: UtcMs) -> Result<Self, EmptySpan> {
        if from < to { Ok(Self { from, to }) } else { Err(EmptySpan { from, to }) }
    }

    /// Returns the first instant inside.
    pub fn from(self) -> UtcMs {
        self.from
    }

    /// Returns the first instant after.
    pub fn to(self) -> UtcMs {
        self.to
    }

    /// Returns the length in milliseconds, always above zero.
    pub fn len_ms(self) -> i64 {
        self.to.since(self.from)
    }

    /// Says whether the instant lies inside.
    pub fn contains(self, at: UtcMs) -> bool {
        self.from <= at && at < self.to
    }

    /// Says whether the two share an instant.
    pub fn overlaps(self, other: Self) -> bool {
        self.from < other.to && other.from < self.to
    }

    /// Returns what both share, or `None`.
    pub fn intersection(self, other: Self) -> Option<Self> {
        Self::new(self.from.max(other.from), self.to.min(other.to)).ok()
    }
}

impl TryFrom<RawSpan> for Span {
    type Error = EmptySpan;
    fn try_from(raw: RawSpan) -> Result<Self, EmptySpan> {
        Self::new(raw.from_ms, raw.to_ms)
    }
}

impl From<Span> for RawSpan {
    fn from(span: Span) -> Self {
        Self { from_ms: span.from, to_ms: span.to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device may sign `started_ms` of any size, and what it signed is shown.
    #[test]
    fn every_instant_has_a_local_time_to_show() {
        for ms in [i64::MIN, i64::MIN + 1, -(1 << 53), 0, UtcMs::MAX.0, i64::MAX - 1, i64::MAX] {
            for zone in [chrono_tz::Asia::Ho_Chi_Minh, chrono_tz::Etc::GMTPlus12, chrono_tz::UTC] {
                let local = UtcMs(ms).datetime().with_timezone(&zone);
                let shown = (local.naive_local(), local.date_naive(), local.fixed_offset());
                assert!(!format!("{shown:?} {local} {}", local.format("%d/%m")).is_empty());
            }
        }
    }
}

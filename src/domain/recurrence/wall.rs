//! From readings of the wall clock to instants, in any zone.
//!
//! # Invariants
//! * [`first`] and [`last`] never decrease as the reading grows, and `first ≤ last`; they differ
//!   only for readings that happen twice.
//! * The days of [`day`] follow one another without gap or overlap; a date that a zone leaves out
//!   (Samoa, 30 December 2011) has a day without length.

use crate::domain::time::UtcMs;
use chrono::{
    Days, FixedOffset, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, Offset as _, TimeZone as _,
};
use chrono_tz::{GapInfo, Tz};

/// Returns the first instant at which the clocks show this reading or a later one: of a time that
/// happens twice its first pass, of a time in a gap the first instant after the gap.
pub fn first(zone: Tz, reading: NaiveDateTime) -> UtcMs {
    match zone.offset_from_local_datetime(&reading) {
        LocalResult::Single(offset) => minus(reading, offset.fix()),
        LocalResult::Ambiguous(one, other) => {
            minus(reading, one.fix()).min(minus(reading, other.fix()))
        }
        LocalResult::None => after_gap(zone, reading),
    }
}

/// Returns the first instant from which on the clocks show this reading or a later one for good:
/// as [`first`], but of a time that happens twice the second pass.
pub fn last(zone: Tz, reading: NaiveDateTime) -> UtcMs {
    match zone.offset_from_local_datetime(&reading) {
        LocalResult::Single(offset) => minus(reading, offset.fix()),
        LocalResult::Ambiguous(one, other) => {
            minus(reading, one.fix()).max(minus(reading, other.fix()))
        }
        LocalResult::None => after_gap(zone, reading),
    }
}

/// Returns the first instant of a local date and the first one of the next.
pub fn day(zone: Tz, date: NaiveDate) -> (UtcMs, UtcMs) {
    (
        first(zone, date.and_time(NaiveTime::MIN)),
        first(zone, shift(date, 1).and_time(NaiveTime::MIN)),
    )
}

/// Returns what the clocks show at an instant.
pub fn reading(zone: Tz, at: UtcMs) -> NaiveDateTime {
    at.datetime().with_timezone(&zone).naive_local()
}

/// Returns the instant with the offset in force, for display.
pub fn display(zone: Tz, at: UtcMs) -> chrono::DateTime<FixedOffset> {
    at.datetime().with_timezone(&zone).fixed_offset()
}

/// Moves a date by days, staying within the dates that exist.
pub fn shift(date: NaiveDate, days: i32) -> NaiveDate {
    let by = Days::new(u64::from(days.unsigned_abs()));
    let moved = if days < 0 { date.checked_sub_days(by) } else { date.checked_add_days(by) };
    moved.unwrap_or(date)
}

fn minus(reading: NaiveDateTime, offset: FixedOffset) -> UtcMs {
    let utc_ms = reading.and_utc().timestamp_millis();
    UtcMs(utc_ms - i64::from(offset.local_minus_utc()) * 1000)
}

fn after_gap(zone: Tz, reading: NaiveDateTime) -> UtcMs {
    let end = GapInfo::new(&reading, &zone).and_then(|gap| gap.end);
    // A gap always ends; if the tables should say otherwise, UTC is at least deterministic.
    end.map_or_else(
        || UtcMs(reading.and_utc().timestamp_millis()),
        |end| UtcMs(end.timestamp_millis()),
    )
}

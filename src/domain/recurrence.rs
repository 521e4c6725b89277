//! When something recurs: weekday and time of day, cron, dates and calendars; local time to
//! instants. The only file that knows `cron`.
//!
//! # Invariants
//! * A local time inside a clock-change gap occurs at the first valid instant after it.
//! * A local time that happens twice occurs at its first pass only.
//! * Occurrences are strictly increasing.

use super::ids::CalendarId;
use chrono::NaiveDate;

/// A time of day, whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalTime(pub u32);

/// A set of weekdays: bit 0 Monday … bit 6 Sunday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weekdays(pub u8);

/// When a slot occurs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recurrence {
    /// At these times of day on these weekdays.
    At {
        /// Sorted, no doubles, not empty.
        times: Vec<LocalTime>,
        /// Not empty.
        days: Weekdays,
    },
}

/// Some dates, for `except` and `only`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DateSet {
    /// One date.
    Day(NaiveDate),
    /// From the first to the last, both inclusive.
    Days(NaiveDate, NaiveDate),
    /// The dates of a calendar of the station.
    Calendar(CalendarId),
}

/// Named dates (Tết as data, days of mourning).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Its id: the file's name.
    pub id: CalendarId,
    /// Title for people.
    pub title: String,
    /// Spans of dates, both ends inclusive, each with its name.
    pub spans: Vec<(NaiveDate, NaiveDate, String)>,
}

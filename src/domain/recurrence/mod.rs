//! When something recurs: weekday and time of day, cron, dates and calendars; local time to
//! instants. The only room that knows `cron` (in `expression`).
//!
//! Leaves to others what happens at an occurrence; knows nothing of playlists.
//!
//! # Invariants
//! * A local time inside a clock-change gap occurs at the first valid instant after it.
//! * A local time that happens twice occurs at its first pass only.
//! * Occurrences are strictly increasing.
//!
//! # Why
//! All of this follows from one definition: a wall-clock reading occurs at the first instant at
//! which the clocks of the zone show *it or something later* ([`wall::first`]). It never decreases
//! as the reading grows, so nothing can come out of order or twice. Rejected: to let an occurrence
//! in a gap fall out (a bulletin lost each spring), and to repeat it in the repeated hour (a
//! bulletin heard twice each autumn).

mod dates;
mod error;
mod expression;
pub mod wall;

pub use dates::{Calendar, DateSet, LocalTime, Weekdays};
pub use error::RecurrenceError;
pub use expression::Cron;

use super::time::UtcMs;
use chrono::{Datelike as _, Days, NaiveDate, NaiveDateTime};
use chrono_tz::Tz;

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
    /// By a cron expression.
    Cron(Cron),
}

/// From here on occurrences are numbered, so that a rotation does not depend on where somebody
/// begins to look. A Wednesday; any date would do, but it may never change.
pub const COUNTED_FROM: NaiveDate = match NaiveDate::from_ymd_opt(2020, 1, 1) {
    Some(date) => date,
    None => NaiveDate::MIN,
};

impl Recurrence {
    /// Reads times of day (`05:00`, `05:00:30`) and weekdays (`Mon`, `Mon-Sat`, `Sat,Sun`).
    ///
    /// No weekday at all means every day.
    pub fn at(times: &[&str], days: &[&str]) -> Result<Self, RecurrenceError> {
        let mut sorted = Vec::with_capacity(times.len());
        for text in times {
            sorted.push(text.parse()?);
        }
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(RecurrenceError::TwiceTheSame { time: pair[0] });
        }
        if sorted.is_empty() {
            return Err(RecurrenceError::NoTimes);
        }
        let days = if days.is_empty() { Weekdays::ALL } else { Weekdays::parse(days)? };
        Ok(Self::At { times: sorted, days })
    }

    /// Reads a cron expression: five fields in the Debian sense, six with seconds first, or
    /// `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly`, `@annually`.
    pub fn cron(text: &str) -> Result<Self, RecurrenceError> {
        text.parse().map(Self::Cron)
    }

    /// Says whether it recurs on the date, whatever the time.
    pub fn falls_on(&self, date: NaiveDate) -> bool {
        match self {
            Self::At { days, .. } => days.contains(date.weekday()),
            Self::Cron(cron) => cron.falls_on(date),
        }
    }

    /// Returns the weekdays on which it may fall.
    pub fn weekdays(&self) -> Weekdays {
        match self {
            Self::At { days, .. } => *days,
            Self::Cron(cron) => cron.weekdays(),
        }
    }

    /// Returns the times of day, sorted: the same on every date on which it recurs.
    pub fn times_of_day(&self) -> Vec<LocalTime> {
        match self {
            Self::At { times, .. } => times.clone(),
            Self::Cron(cron) => cron.times_of_day(),
        }
    }

    /// Returns how many times of day it has, at most 86,400, without listing them.
    pub fn per_day(&self) -> u32 {
        match self {
            Self::At { times, .. } => u32::try_from(times.len()).unwrap_or(u32::MAX),
            Self::Cron(cron) => cron.per_day(),
        }
    }

    /// Returns the occurrences of a local date, strictly increasing.
    ///
    /// Where the clocks jump over the end of a day, an occurrence may lie in the next day, and
    /// may coincide with one of that date's own.
    pub fn on(&self, date: NaiveDate, zone: Tz) -> Vec<UtcMs> {
        if !self.falls_on(date) {
            return Vec::new();
        }
        let mut found: Vec<UtcMs> = match self {
            Self::At { times, .. } => {
                times.iter().map(|time| wall::first(zone, time.on(date))).collect()
            }
            Self::Cron(cron) => {
                cron.times_of_day().iter().map(|time| wall::first(zone, time.on(date))).collect()
            }
        };
        found.dedup();
        found
    }

    /// Returns the occurrences of the dates from `from` to `to`, both inclusive, strictly
    /// increasing.
    pub fn between(&self, from: NaiveDate, to: NaiveDate, zone: Tz) -> Vec<UtcMs> {
        let mut found: Vec<UtcMs> = Vec::new();
        for date in from.iter_days().take_while(|date| *date <= to) {
            for at in self.on(date, zone) {
                if found.last().is_none_or(|last| *last < at) {
                    found.push(at);
                }
            }
        }
        found
    }

    /// Returns the first wall-clock reading after the given one, or `None` when there is none
    /// until 2100.
    pub fn next_wall(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        match self {
            Self::At { times, days } => {
                for ahead in 0..=7 {
                    let date = after.date().checked_add_days(Days::new(ahead))?;
                    let mut walls = times.iter().map(|time| time.on(date));
                    if days.contains(date.weekday())
                        && let Some(found) = walls.find(|wall| *wall > after)
                    {
                        return Some(found);
                    }
                }
                None
            }
            Self::Cron(cron) => cron.next_wall(after),
        }
    }

    /// Numbers the first occurrence of a date, counted from [`COUNTED_FROM`] as the recurrence
    /// alone has it: exceptions, skips and clock changes do not shift it. Dates before are
    /// numbered downwards.
    pub fn number_of_first(&self, date: NaiveDate) -> i64 {
        let dates = match self {
            Self::At { days, .. } => days.count(COUNTED_FROM, date),
            Self::Cron(cron) => cron.count(COUNTED_FROM, date),
        };
        dates.saturating_mul(i64::from(self.per_day()))
    }
}

#[cfg(test)]
mod tests;

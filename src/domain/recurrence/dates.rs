//! Times of day, weekdays and sets of dates, as people write them.

use super::RecurrenceError;
use crate::domain::ids::CalendarId;
use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Weekday};
use std::fmt;
use std::str::FromStr;

/// A time of day, whole seconds since midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalTime(pub u32);

impl LocalTime {
    /// Returns the reading of the wall clock at this time of a date.
    pub fn on(self, date: NaiveDate) -> NaiveDateTime {
        let midnight = date.and_time(NaiveTime::MIN);
        midnight.checked_add_signed(TimeDelta::seconds(i64::from(self.0))).unwrap_or(midnight)
    }
}

impl FromStr for LocalTime {
    type Err = RecurrenceError;

    fn from_str(text: &str) -> Result<Self, RecurrenceError> {
        let refuse = || RecurrenceError::Time { text: RecurrenceError::short(text) };
        let mut parts = text.split(':');
        let mut part = |high: u32| -> Result<Option<u32>, RecurrenceError> {
            let Some(digits) = parts.next() else { return Ok(None) };
            let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
            let value = digits.parse().ok().filter(|value| plain && *value <= high);
            value.map(Some).ok_or_else(refuse)
        };
        let hour = part(23)?.ok_or_else(refuse)?;
        let minute = part(59)?.ok_or_else(refuse)?;
        let second = part(59)?.unwrap_or(0);
        if parts.next().is_some() {
            return Err(refuse());
        }
        Ok(Self(hour * 3600 + minute * 60 + second))
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 3600, self.0 / 60 % 60)?;
        if self.0.is_multiple_of(60) { Ok(()) } else { write!(f, ":{:02}", self.0 % 60) }
    }
}

/// A set of weekdays: bit 0 Monday … bit 6 Sunday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weekdays(pub u8);

const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Weekdays {
    /// Every day.
    pub const ALL: Self = Self(0b111_1111);

    /// Reads `Mon`, `Mon-Sat`, `Sat,Sun`; a range may run over Sunday (`Sat-Mon`). Not empty.
    pub fn parse(parts: &[&str]) -> Result<Self, RecurrenceError> {
        let mut set = 0;
        for part in parts.iter().flat_map(|text| text.split(',')) {
            let refuse = || RecurrenceError::Weekday { text: RecurrenceError::short(part) };
            let index = |name: &str| {
                let name = name.trim().to_ascii_lowercase();
                NAMES.iter().position(|known| *known == name).ok_or_else(refuse)
            };
            let (from, to) = match part.split_once('-') {
                Some((from, to)) => (index(from)?, index(to)?),
                None => (index(part)?, index(part)?),
            };
            let length = (to + 7 - from) % 7;
            for day in from..=from + length {
                set |= 1 << (day % 7);
            }
        }
        if set == 0 {
            return Err(RecurrenceError::Weekday { text: String::new() });
        }
        Ok(Self(set))
    }

    /// Says whether the weekday is one of them.
    pub fn contains(self, day: Weekday) -> bool {
        self.0 >> day.num_days_from_monday() & 1 == 1
    }

    /// Returns the days that are in both.
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Counts such days from `from` up to, not including, `to`; below zero when `to` is earlier.
    pub fn count(self, from: NaiveDate, to: NaiveDate) -> i64 {
        use chrono::Datelike as _;
        if to < from {
            return -self.count(to, from);
        }
        let length = to.signed_duration_since(from).num_days();
        let each_week = i64::from((self.0 & Self::ALL.0).count_ones());
        let first = i64::from(from.weekday().num_days_from_monday());
        let rest = (0..length % 7).filter(|day| self.0 >> ((first + day) % 7) & 1 == 1).count();
        length / 7 * each_week + i64::try_from(rest).unwrap_or(0)
    }
}

impl fmt::Display for Weekdays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (day, name) in NAMES.iter().enumerate() {
            if self.0 >> day & 1 == 1 {
                let (head, tail) = name.split_at(1);
                write!(f, "{separator}{}{tail}", head.to_ascii_uppercase())?;
                separator = ",";
            }
        }
        Ok(())
    }
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

impl DateSet {
    /// Says whether the date is one of them. A calendar that the station does not have (a fault
    /// of acceptance) holds none.
    pub fn contains(&self, date: NaiveDate, calendars: &[Calendar]) -> bool {
        match self {
            Self::Day(day) => *day == date,
            Self::Days(first, last) => (first..=last).contains(&&date),
            Self::Calendar(id) => calendars
                .iter()
                .filter(|calendar| calendar.id == *id)
                .any(|calendar| calendar.name_of(date).is_some()),
        }
    }
}

fn date(text: &str) -> Option<NaiveDate> {
    // Four-digit years only: chrono would also take `+12026-1-1`.
    let plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    if plain { text.parse().ok() } else { None }
}

impl FromStr for DateSet {
    type Err = RecurrenceError;

    fn from_str(text: &str) -> Result<Self, RecurrenceError> {
        let refuse = || RecurrenceError::Dates { text: RecurrenceError::short(text) };
        if let Some(id) = text.strip_prefix("calendar:") {
            return CalendarId::new(id).map(Self::Calendar).map_err(|_| refuse());
        }
        if let Some((first, last)) = text.split_once('/') {
            let (first, last) = date(first).zip(date(last)).ok_or_else(refuse)?;
            if last < first {
                return Err(RecurrenceError::Backwards { text: RecurrenceError::short(text) });
            }
            return Ok(Self::Days(first, last));
        }
        date(text).map(Self::Day).ok_or_else(refuse)
    }
}

impl fmt::Display for DateSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => write!(f, "{day}"),
            Self::Days(first, last) => write!(f, "{first}/{last}"),
            Self::Calendar(id) => write!(f, "calendar:{id}"),
        }
    }
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

impl Calendar {
    /// Returns the name under which the date stands in the calendar, or `None`.
    pub fn name_of(&self, date: NaiveDate) -> Option<&str> {
        let mut spans = self.spans.iter();
        spans.find(|(from, to, _)| *from <= date && date <= *to).map(|(_, _, name)| name.as_str())
    }
}

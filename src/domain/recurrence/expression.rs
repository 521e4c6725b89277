//! Cron expressions in the Debian sense, over the `cron` crate, whose own reading differs.
//!
//! The crate numbers Sunday as 1, takes years, `?` and open steps, knows no five fields, drops
//! times in a clock-change gap and fires twice, out of order, in a repeated hour. So each field is
//! read here, written out as a plain list, and only then given to the crate; and the crate only
//! ever walks the wall clock, which has no gaps.
//!
//! # Why
//! Debian's cron ORs day of month and weekday when both are restricted, other programs AND them,
//! and Debian itself ANDs them when one begins with `*`. Nobody can read such a line safely, so it
//! is refused. `5/10` is refused too: it is 5 alone, or 5, 15, 25 …, depending on the program.

use super::{LocalTime, RecurrenceError, Weekdays};
use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime};
use cron::{Schedule, TimeUnitSpec as _};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A cron expression that happens at least once.
#[derive(Clone, Debug)]
pub struct Cron {
    text: String,
    schedule: Arc<Schedule>,
    /// The days of the months, and the weekdays; at least one of them is unrestricted.
    months: u64,
    days_of_month: u64,
    weekdays: Weekdays,
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text // the rest follows from it
    }
}

impl Eq for Cron {}

struct Field {
    name: &'static str,
    low: u32,
    high: u32,
    /// Names of the values from `first_named` on.
    names: &'static [&'static str],
    first_named: u32,
}

const SECOND: Field = Field { name: "second", low: 0, high: 59, names: &[], first_named: 0 };
const MINUTE: Field = Field { name: "minute", low: 0, high: 59, names: &[], first_named: 0 };
const HOUR: Field = Field { name: "hour", low: 0, high: 23, names: &[], first_named: 0 };
const DAY: Field = Field { name: "day of month", low: 1, high: 31, names: &[], first_named: 0 };
const MONTH: Field = Field {
    name: "month",
    low: 1,
    high: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    first_named: 1,
};
const WEEKDAY: Field = Field {
    name: "weekday",
    low: 0,
    high: 7,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    first_named: 0,
};

impl Field {
    fn value(&self, text: &str, part: &str) -> Result<u32, RecurrenceError> {
        let lower = text.to_ascii_lowercase();
        if let Some(at) = self.names.iter().position(|name| *name == lower) {
            return Ok(self.first_named + u32::try_from(at).unwrap_or(0));
        }
        let part = || RecurrenceError::short(part);
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let value: u32 = match text.parse() {
            Ok(value) if digits => value,
            _ => return Err(RecurrenceError::Value { field: self.name, part: part() }),
        };
        if (self.low..=self.high).contains(&value) {
            Ok(value)
        } else {
            let (low, high) = (self.low, self.high);
            Err(RecurrenceError::Range { field: self.name, part: part(), value, low, high })
        }
    }

    /// Reads lists of `*`, numbers, names, ranges, each range with a step, into a set of bits.
    fn set(&self, text: &str) -> Result<u64, RecurrenceError> {
        let mut set = 0;
        for part in text.split(',') {
            let short = || RecurrenceError::short(part);
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, Some(step)),
                None => (part, None),
            };
            let (from, to) = if range == "*" {
                (self.low, self.high)
            } else if let Some((from, to)) = range.split_once('-') {
                let (from, mut to) = (self.value(from, part)?, self.value(to, part)?);
                if self.name == WEEKDAY.name && to == 0 && from > 0 {
                    to = 7; // `fri-sun`: Sunday ends the week as well as it begins it
                }
                (from, to)
            } else {
                let value = self.value(range, part)?;
                if step.is_some() {
                    let (field, high) = (self.name, self.high);
                    return Err(RecurrenceError::StepWithoutRange { field, part: short(), high });
                }
                (value, value)
            };
            if to < from {
                return Err(RecurrenceError::Wraps { field: self.name, part: short() });
            }
            let step = match step {
                None => 1,
                Some(digits) => {
                    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                    let step = digits.parse().ok();
                    let step = step.filter(|step| plain && (1..=self.high).contains(step));
                    let (field, high) = (self.name, self.high);
                    step.ok_or_else(|| RecurrenceError::Step { field, part: short(), high })?
                }
            };
            for value in (from..=to).step_by(step as usize) {
                set |= 1 << value;
            }
        }
        Ok(set)
    }
}

fn list(set: u64) -> String {
    let values = (0..64).filter(|bit| set >> bit & 1 == 1);
    values.map(|value| value.to_string()).collect::<Vec<_>>().join(",")
}

impl FromStr for Cron {
    type Err = RecurrenceError;

    fn from_str(text: &str) -> Result<Self, RecurrenceError> {
        let text = text.trim();
        let short = || RecurrenceError::short(text);
        let spelled = match text.to_ascii_lowercase().as_str() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other if other.starts_with('@') => {
                return Err(RecurrenceError::Nickname { text: short() });
            }
            _ => text,
        };
        let fields: Vec<&str> = spelled.split_ascii_whitespace().collect();
        let (second, rest) = match fields.as_slice() {
            [second, rest @ ..] if rest.len() == 5 => (*second, rest),
            rest if rest.len() == 5 => ("0", rest),
            _ => return Err(RecurrenceError::Fields { text: short(), found: fields.len() }),
        };
        let (seconds, minutes, hours) =
            (SECOND.set(second)?, MINUTE.set(rest[0])?, HOUR.set(rest[1])?);
        let (days_of_month, months) = (DAY.set(rest[2])?, MONTH.set(rest[3])?);
        let mut weekdays = WEEKDAY.set(rest[4])?;
        weekdays = (weekdays | weekdays >> 7) & 0b111_1111; // 7 is Sunday as well as 0
        if rest[2] != "*" && rest[4] != "*" {
            return Err(RecurrenceError::BothDays {
                text: short(),
                day_of_month: RecurrenceError::short(rest[2]),
                weekday: RecurrenceError::short(rest[4]),
            });
        }
        let plain = format!(
            "{} {} {} {} {} {}",
            list(seconds),
            list(minutes),
            list(hours),
            list(days_of_month),
            list(months),
            list(weekdays << 1), // the crate's Sunday is 1
        );
        let schedule: Schedule =
            plain.parse().map_err(|_| RecurrenceError::Fields { text: short(), found: 0 })?;
        let sunday_last = (weekdays >> 1 | weekdays << 6) & 0b111_1111;
        let weekdays = Weekdays(u8::try_from(sunday_last).unwrap_or(0));
        let schedule = Arc::new(schedule);
        let cron = Self { text: text.to_owned(), schedule, months, days_of_month, weekdays };
        if cron.next_wall(NaiveDateTime::default()).is_none() {
            return Err(RecurrenceError::Never { text: short() });
        }
        Ok(cron)
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Cron {
    pub(super) fn falls_on(&self, date: NaiveDate) -> bool {
        self.months >> date.month() & 1 == 1
            && self.days_of_month >> date.day() & 1 == 1
            && self.weekdays.contains(date.weekday())
    }

    pub(super) fn weekdays(&self) -> Weekdays {
        self.weekdays
    }

    pub(super) fn per_day(&self) -> u32 {
        let schedule = &self.schedule;
        schedule.hours().count() * schedule.minutes().count() * schedule.seconds().count()
    }

    pub(super) fn times_of_day(&self) -> Vec<LocalTime> {
        let schedule = &self.schedule;
        let mut times = Vec::with_capacity(self.per_day() as usize);
        for hour in schedule.hours().iter() {
            for minute in schedule.minutes().iter() {
                let base = hour * 3600 + minute * 60;
                times.extend(schedule.seconds().iter().map(|second| LocalTime(base + second)));
            }
        }
        times
    }

    pub(super) fn next_wall(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        // Wall-clock readings taken as if they were UTC: nothing to jump over, nothing twice.
        let after: DateTime<chrono::Utc> = after.and_utc();
        self.schedule.after(&after).next().map(|found| found.naive_utc())
    }

    /// Counts the dates from `from` up to, not including, `to`; below zero when `to` is earlier.
    pub(super) fn count(&self, from: NaiveDate, to: NaiveDate) -> i64 {
        if to < from {
            return -self.count(to, from);
        }
        let mut found = 0;
        let mut month = from;
        while month < to {
            let next = month
                .with_day(1)
                .and_then(|first| first.checked_add_months(chrono::Months::new(1)))
                .map_or(to, |next| next.min(to));
            if self.months >> month.month() & 1 == 1 {
                if self.weekdays == Weekdays::ALL {
                    let length = next.signed_duration_since(month).num_days().clamp(0, 31);
                    let days = (1_u64 << length) - 1;
                    found += i64::from((self.days_of_month & days << month.day()).count_ones());
                } else {
                    found += self.weekdays.count(month, next);
                }
            }
            month = next;
        }
        found
    }
}

//! Months as plans name them: `2021-07`, and stretches of them.

use chrono::{Datelike as _, NaiveDate};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A month of a year from 1900 to 2199.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month {
    /// Months since January of the year 0.
    count: u16,
}

/// A text or numbers that are no month.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a month")]
pub struct MonthError {
    pub text: String,
}

impl MonthError {
    /// Says what a right one looks like.
    pub fn hint(&self) -> &'static str {
        "year and month: `2021-07`"
    }
}

impl Month {
    /// Returns the month of a year; `None` beyond the years named above.
    pub fn new(year: i32, month: u32) -> Option<Self> {
        let (year, month) = (u16::try_from(year).ok()?, u16::try_from(month).ok()?);
        let real = (1900..2200).contains(&year) && (1..=12).contains(&month);
        real.then(|| Self { count: year * 12 + month - 1 })
    }

    /// Returns the month of a date.
    pub fn of(date: NaiveDate) -> Option<Self> {
        Self::new(date.year(), date.month())
    }

    /// Returns the year.
    pub fn year(self) -> i32 {
        i32::from(self.count / 12)
    }

    /// Returns the month of the year, from 1.
    pub fn number(self) -> u32 {
        u32::from(self.count % 12) + 1
    }

    /// Returns the month after, or this one at the end of time.
    pub fn next(self) -> Self {
        Self::new(self.year(), self.number() + 1)
            .or_else(|| Self::new(self.year() + 1, 1))
            .unwrap_or(self)
    }
}

impl FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        let read = || {
            let (year, month) = text.split_once('-')?;
            let digits = |text: &str, length| {
                text.len() == length && text.bytes().all(|b| b.is_ascii_digit())
            };
            let plain = digits(year, 4) && digits(month, 2);
            plain.then(|| Self::new(year.parse().ok()?, month.parse().ok()?)).flatten()
        };
        read().ok_or_else(|| MonthError { text: text.chars().take(40).collect() })
    }
}

impl TryFrom<String> for Month {
    type Error = MonthError;

    fn try_from(text: String) -> Result<Self, MonthError> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year(), self.number())
    }
}

impl fmt::Debug for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A stretch of months, both ends counted; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Ends")]
pub struct Months {
    from: Month,
    until: Month, // invariant: from ≤ until; private fields keep it
}

/// Both ends as they were written, not checked yet.
#[derive(Deserialize)]
struct Ends {
    from: Month,
    until: Month,
}

impl TryFrom<Ends> for Months {
    type Error = MonthError;

    fn try_from(ends: Ends) -> Result<Self, MonthError> {
        let text = || format!("{}/{}", ends.from, ends.until);
        Self::new(ends.from, ends.until).ok_or_else(|| MonthError { text: text() })
    }
}

impl Months {
    /// Returns the stretch, or `None` when it would end before it begins.
    pub fn new(from: Month, until: Month) -> Option<Self> {
        (from <= until).then_some(Self { from, until })
    }

    /// Returns the twelve months of a year.
    pub fn of_year(year: i32) -> Option<Self> {
        Self::new(Month::new(year, 1)?, Month::new(year, 12)?)
    }

    /// Returns the first month.
    pub fn from(self) -> Month {
        self.from
    }

    /// Returns the last month.
    pub fn until(self) -> Month {
        self.until
    }

    /// Returns how many months there are.
    pub fn count(self) -> u32 {
        u32::from(self.until.count - self.from.count) + 1
    }

    /// Returns what both share.
    pub fn shared(self, other: Self) -> Option<Self> {
        Self::new(self.from.max(other.from), self.until.min(other.until))
    }

    /// Says whether the month lies inside.
    pub fn contains(self, month: Month) -> bool {
        self.from <= month && month <= self.until
    }

    /// Returns the months in order.
    pub fn iter(self) -> impl Iterator<Item = Month> {
        (self.from.count..=self.until.count).map(|count| Month { count })
    }

    /// Returns the stretches of each calendar year in order.
    pub fn by_year(self) -> impl Iterator<Item = Self> {
        let years = self.from.year()..=self.until.year();
        years.filter_map(move |year| Self::of_year(year)?.shared(self))
    }
}

impl fmt::Display for Months {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.until {
            return fmt::Display::fmt(&self.from, f);
        }
        write!(f, "{}/{}", self.from, self.until)
    }
}

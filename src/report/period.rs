//! Stretches of whole local days that reports are asked for, and their names.
//!
//! Invariant: a period has at least one day and at most ten years; its instants are those of local
//! midnights, which are not always 24 hours apart.

use crate::domain::time::UtcMs;
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Offset, TimeZone};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// Longest period in days: ten years.
pub const MOST_DAYS: i64 = 3_660;

/// Days from `first` to `last`, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawPeriod", into = "RawPeriod")]
pub struct Period {
    first: NaiveDate,
    last: NaiveDate, // invariant: first <= last
}

#[derive(Serialize, Deserialize)]
struct RawPeriod {
    first: NaiveDate,
    last: NaiveDate,
}

/// Days that make no period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    #[error("a period from `{first}` to `{last}` has no day")]
    Empty { first: NaiveDate, last: NaiveDate },
    #[error("a period from `{first}` to `{last}` is longer than {MOST_DAYS} days")]
    Long { first: NaiveDate, last: NaiveDate },
    #[error("`{year}-{month}` is not a month between 1970 and 9998")]
    Month { year: i32, month: u32 },
}

impl PeriodError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty { .. } => "name the first day before the last: 2026-10-01 to 2026-10-31",
            Self::Long { .. } => "ask for the years one by one",
            Self::Month { .. } => "a year and a month from 1 to 12: 2026-10",
        }
    }
}

impl Period {
    /// Returns the days from the first to the last, both inclusive.
    pub fn new(first: NaiveDate, last: NaiveDate) -> Result<Self, PeriodError> {
        let days = last.signed_duration_since(first).num_days();
        if days < 0 {
            return Err(PeriodError::Empty { first, last });
        }
        if days >= MOST_DAYS {
            return Err(PeriodError::Long { first, last });
        }
        Ok(Self { first, last })
    }

    /// Returns a calendar month.
    pub fn month(year: i32, month: u32) -> Result<Self, PeriodError> {
        let wrong = PeriodError::Month { year, month };
        if !(1970..=9998).contains(&year) {
            return Err(wrong);
        }
        let first = NaiveDate::from_ymd_opt(year, month, 1).ok_or(wrong)?;
        Ok(Self { first, last: end_of_month(first) })
    }

    /// Returns a calendar year.
    pub fn year(year: i32) -> Result<Self, PeriodError> {
        let last = Self::month(year, 12)?.last;
        Ok(Self { first: Self::month(year, 1)?.first, last })
    }

    /// Returns the closing period of a year, from 15 December of the year before to 14 December
    /// (the reporting periods of NĐ 09/2019/NĐ-CP, Article 12).
    pub fn closing_year(year: i32) -> Result<Self, PeriodError> {
        let day = |year: i32, day: u32| {
            let wrong = PeriodError::Month { year, month: 12 };
            NaiveDate::from_ymd_opt(year, 12, day).ok_or(wrong)
        };
        Self::month(year, 12)?;
        Ok(Self { first: day(year - 1, 15)?, last: day(year, 14)? })
    }

    /// Returns the first day.
    pub fn first(self) -> NaiveDate {
        self.first
    }

    /// Returns the last day, which belongs to the period.
    pub fn last(self) -> NaiveDate {
        self.last
    }

    /// Returns how many days it has.
    pub fn days(self) -> i64 {
        self.last.signed_duration_since(self.first).num_days() + 1
    }

    /// Says whether the day belongs to it.
    pub fn contains(self, day: NaiveDate) -> bool {
        self.first <= day && day <= self.last
    }

    /// Returns what both share.
    pub fn intersection(self, other: Self) -> Option<Self> {
        Self::new(self.first.max(other.first), self.last.min(other.last)).ok()
    }

    /// Returns its instants in a zone: from the first midnight to the one after the last day.
    pub fn instants(self, zone: Tz) -> (UtcMs, UtcMs) {
        let after = self.last.checked_add_days(Days::new(1)).unwrap_or(self.last);
        (midnight(self.first, zone), midnight(after, zone))
    }

    /// Returns it cut at the ends of months, in order.
    pub fn months(self) -> Vec<Self> {
        let mut found = Vec::new();
        let mut first = self.first;
        while first <= self.last {
            let last = end_of_month(first).min(self.last);
            found.push(Self { first, last });
            match last.checked_add_days(Days::new(1)) {
                Some(next) => first = next,
                None => break,
            }
        }
        found
    }

    /// Says whether it is one whole calendar month.
    pub fn is_month(self) -> bool {
        self.first.day() == 1 && self.last == end_of_month(self.first)
    }

    /// Says whether it is one whole calendar year.
    pub fn is_year(self) -> bool {
        let (first, last) = (self.first, self.last);
        first.year() == last.year()
            && first.ordinal() == 1
            && (last.month(), last.day()) == (12, 31)
    }

    /// Names it in Vietnamese: `tháng 10 năm 2026`, `năm 2026` or its two days.
    pub fn name(self) -> String {
        if self.is_month() {
            format!("tháng {} năm {}", self.first.month(), self.first.year())
        } else if self.is_year() {
            format!("năm {}", self.first.year())
        } else if self.first == self.last {
            format!("ngày {}", self.first.format("%d/%m/%Y"))
        } else {
            let day = |day: NaiveDate| day.format("%d/%m/%Y").to_string();
            format!("từ ngày {} đến hết ngày {}", day(self.first), day(self.last))
        }
    }

    /// Names it for a file: `2026-10`, `2026` or `2026-10-05..2026-10-11`.
    pub fn slug(self) -> String {
        if self.is_month() {
            self.first.format("%Y-%m").to_string()
        } else if self.is_year() {
            self.first.year().to_string()
        } else if self.first == self.last {
            self.first.to_string()
        } else {
            format!("{}..{}", self.first, self.last)
        }
    }
}

impl TryFrom<RawPeriod> for Period {
    type Error = PeriodError;
    fn try_from(raw: RawPeriod) -> Result<Self, PeriodError> {
        Self::new(raw.first, raw.last)
    }
}

impl From<Period> for RawPeriod {
    fn from(period: Period) -> Self {
        Self { first: period.first, last: period.last }
    }
}

fn end_of_month(day: NaiveDate) -> NaiveDate {
    let first = day.with_day(1).unwrap_or(day);
    let next = first.checked_add_months(Months::new(1));
    next.and_then(|next| next.checked_sub_days(Days::new(1))).unwrap_or(day)
}

/// Returns the first instant of a local day.
pub fn midnight(day: NaiveDate, zone: Tz) -> UtcMs {
    let naive = day.and_time(NaiveTime::MIN);
    if let Some(at) = zone.from_local_datetime(&naive).earliest() {
        return UtcMs(at.timestamp_millis());
    }
    // Midnight falls into a gap: the day begins when the gap ends, which is the instant that the
    // offset before the gap calls midnight.
    let before = naive - chrono::TimeDelta::hours(3);
    let offset = zone
        .from_local_datetime(&before)
        .earliest()
        .map_or(0, |at| i64::from(at.offset().fix().local_minus_utc()));
    UtcMs((naive.and_utc().timestamp() - offset).saturating_mul(1_000))
}

/// Returns the local day of an instant.
pub fn day_of(at: UtcMs, zone: Tz) -> NaiveDate {
    local(at, zone).date_naive()
}

/// Returns an instant in local time. Devices may sign any number: what lies outside the years 1 to
/// 9998 is taken as their end, since further out local time does not exist.
pub fn local(at: UtcMs, zone: Tz) -> DateTime<Tz> {
    const FIRST: i64 = -62_135_510_400_000; // 0001-01-02
    const LAST: i64 = 253_370_764_800_000; // 9999-01-01
    UtcMs(at.0.clamp(FIRST, LAST)).datetime().with_timezone(&zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_month_ends_on_its_last_day_and_a_closing_year_on_14_december() {
        assert_eq!(Period::month(2028, 2).unwrap().last(), day("2028-02-29"));
        assert_eq!(Period::month(2026, 12).unwrap().name(), "tháng 12 năm 2026");
        let closing = Period::closing_year(2026).unwrap();
        assert_eq!((closing.first(), closing.last()), (day("2025-12-15"), day("2026-12-14")));
        assert_eq!(closing.name(), "từ ngày 15/12/2025 đến hết ngày 14/12/2026");
        assert_eq!(Period::year(2026).unwrap().name(), "năm 2026");
        assert_eq!(Period::year(2026).unwrap().slug(), "2026");
        let one = Period::new(day("2026-10-05"), day("2026-10-05")).unwrap();
        assert_eq!((one.name().as_str(), one.slug().as_str()), ("ngày 05/10/2026", "2026-10-05"));
    }

    #[test]
    fn a_period_without_a_day_or_longer_than_ten_years_is_refused_with_a_remedy() {
        let empty = Period::new(day("2026-10-02"), day("2026-10-01")).unwrap_err();
        assert_eq!(empty.to_string(), "a period from `2026-10-02` to `2026-10-01` has no day");
        assert!(empty.hint().contains("2026-10-01"));
        assert!(matches!(
            Period::new(day("2000-01-01"), day("2026-10-01")),
            Err(PeriodError::Long { .. })
        ));
        assert!(matches!(Period::month(2026, 13), Err(PeriodError::Month { .. })));
        assert!(Period::month(i32::MAX, 1).is_err() && Period::closing_year(i32::MIN).is_err());
        assert!(
            serde_json::from_str::<Period>(r#"{"first":"2026-02-01","last":"2026-01-01"}"#)
                .is_err()
        );
    }

    #[test]
    fn months_of_a_window_are_cut_at_its_ends_and_miss_no_day() {
        let window = Period::new(day("2025-11-20"), day("2026-02-03")).unwrap();
        let months = window.months();
        assert_eq!(months.iter().map(|month| month.days()).sum::<i64>(), window.days());
        assert_eq!(months.len(), 4);
        assert_eq!(months[3].last(), day("2026-02-03"));
    }

    #[test]
    fn a_day_begins_at_local_midnight_also_where_clocks_skip_it() {
        let hanoi = chrono_tz::Asia::Ho_Chi_Minh;
        let (from, to) = Period::month(2026, 10).unwrap().instants(hanoi);
        assert_eq!(format!("{from:?}"), "2026-09-30T17:00:00.000Z");
        assert_eq!(to.since(from), 31 * 86_400_000);
        // Beirut skips midnight on 26 March 2028; the day begins at 01:00 summer time.
        let beirut = chrono_tz::Asia::Beirut;
        let skipped = midnight(day("2028-03-26"), beirut);
        assert_eq!(day_of(skipped, beirut), day("2028-03-26"));
        assert_eq!(day_of(skipped.plus(-1), beirut), day("2028-03-25"));
    }
}

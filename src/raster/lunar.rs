//! The Vietnamese lunar calendar, after the algorithm that Hồ Ngọc Đức published
//! (*Thuật toán tính âm lịch*, 2004), which rests on J. Meeus, *Astronomical Algorithms*.
//!
//! A month begins on the day that holds a new moon, the month that holds the winter solstice is
//! the eleventh, and of the thirteen months between two elevenths the first without a major
//! solar term is the leap month. Days are those of UTC+7, the time that Viet Nam's calendar is
//! computed for since 1968 (Decision 121/CP, 8 August 1967), whatever the station's zone is.
//! Therefore Tết may fall on another day than in China: 1985 by a month, 2007 and 2030 by a day.
//!
//! Invariant: for the civil dates of 1900 to 2199 the answer is a date; outside of them it is
//! `None`, because the formulas are not made for them.

use chrono::{Datelike, Days, NaiveDate};
use std::f64::consts::PI;

/// Hours east of Greenwich.
const ZONE_HOURS: f64 = 7.0;
/// Mean length of a lunar month in days.
const MONTH_DAYS: f64 = 29.530_588_853;
/// The new moon from which months are counted: 1 January 1900, as a Julian day.
const FIRST_NEW_MOON: f64 = 2_415_021.076_998_695;
/// Days from the common era's first (chrono's count) to the Julian day count.
const JULIAN_OFFSET: i64 = 1_721_425;

/// A date of the lunar calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LunarDate {
    /// The year by which Vietnamese count: that in which most of it lies.
    pub year: i32,
    /// 1-12.
    pub month: u32,
    /// The second month of that number.
    pub leap: bool,
    /// 1-30.
    pub day: u32,
}

const STEMS: [&str; 10] = ["Giáp", "Ất", "Bính", "Đinh", "Mậu", "Kỷ", "Canh", "Tân", "Nhâm", "Quý"];
const BRANCHES: [&str; 12] =
    ["Tý", "Sửu", "Dần", "Mão", "Thìn", "Tỵ", "Ngọ", "Mùi", "Thân", "Dậu", "Tuất", "Hợi"];
const MONTHS: [&str; 12] =
    ["Giêng", "Hai", "Ba", "Tư", "Năm", "Sáu", "Bảy", "Tám", "Chín", "Mười", "Mười một", "Chạp"];

impl LunarDate {
    /// Returns the lunar date of a civil date.
    pub fn of(date: NaiveDate) -> Option<Self> {
        if !(1900..2200).contains(&date.year()) {
            return None;
        }
        let day = julian(date);
        let k = whole((day as f64 - FIRST_NEW_MOON) / MONTH_DAYS);
        // The mean month may be a day off either way, so three months are asked; with two, as in
        // the published text, 7 May 2054 would have no month.
        let start = [k + 1, k, k - 1].map(new_moon).into_iter().find(|start| *start <= day)?;
        let (mut year, mut eleventh, mut next) =
            (date.year(), month_eleven(date.year()), month_eleven(date.year()));
        if eleventh >= start {
            eleventh = month_eleven(date.year() - 1);
        } else {
            year += 1;
            next = month_eleven(date.year() + 1);
        }
        let passed = (start - eleventh) / 29;
        let (mut month, mut leap) = (passed + 11, false);
        if next - eleventh > 365 {
            let leap_at = leap_month(eleventh);
            if passed >= leap_at {
                month = passed + 10;
                leap = passed == leap_at;
            }
        }
        if month > 12 {
            month -= 12;
        }
        if month >= 11 && passed < 4 {
            year -= 1;
        }
        let (day, month) = (u32::try_from(day - start + 1).ok()?, u32::try_from(month).ok()?);
        Some(Self { year, month, leap, day })
    }

    /// Returns `mùng 1 tháng Giêng năm Bính Ngọ`.
    pub fn long(self) -> String {
        let first = if self.day <= 10 { "mùng " } else { "" };
        let name = MONTHS.get(self.month as usize - 1).unwrap_or(&"");
        let leap = if self.leap { " nhuận" } else { "" };
        format!("{first}{} tháng {name}{leap} năm {}", self.day, year_name(self.year))
    }

    /// Returns `1/1`, with an `N` (nhuận) after a leap month.
    pub fn short(self) -> String {
        format!("{}/{}{}", self.day, self.month, if self.leap { "N" } else { "" })
    }
}

/// Returns the name of a year in the cycle of sixty: `Bính Ngọ`.
pub fn year_name(year: i32) -> String {
    let at = |offset: i32, of: i32| usize::try_from((year + offset).rem_euclid(of)).unwrap_or(0);
    format!("{} {}", STEMS[at(6, 10)], BRANCHES[at(8, 12)])
}

/// Returns the civil date of Tết, the first day of a lunar year.
pub fn tet(year: i32) -> Option<NaiveDate> {
    let from = NaiveDate::from_ymd_opt(year, 1, 19)?;
    let is_first = |date: &NaiveDate| {
        LunarDate::of(*date).is_some_and(|d| (d.day, d.month, d.leap) == (1, 1, false))
    };
    (0..34).filter_map(|n| from.checked_add_days(Days::new(n))).find(is_first)
}

fn julian(date: NaiveDate) -> i64 {
    i64::from(date.num_days_from_ce()) + JULIAN_OFFSET
}

/// The whole part, downwards; what is passed here lies far within the range.
#[expect(clippy::cast_possible_truncation, reason = "days of a few centuries")]
fn whole(value: f64) -> i64 {
    value.floor() as i64
}

/// The Julian day, in UTC+7, that holds the k-th new moon after that of 1 January 1900.
fn new_moon(k: i64) -> i64 {
    let k = k as f64;
    let t = k / 1236.85;
    let (t2, t3) = (t * t, t * t * t);
    let sin = |degrees: f64| (degrees * PI / 180.0).sin();
    let mean = 2_415_020.759_33 + 29.530_588_68 * k + 0.000_117_8 * t2 - 0.000_000_155 * t3
        + 0.000_33 * sin(166.56 + 132.87 * t - 0.009_173 * t2);
    let sun = 359.2242 + 29.105_356_08 * k - 0.000_033_3 * t2 - 0.000_003_47 * t3;
    let moon = 306.0253 + 385.816_918_06 * k + 0.010_730_6 * t2 + 0.000_012_36 * t3;
    let node = 21.2964 + 390.670_506_46 * k - 0.001_652_8 * t2 - 0.000_002_39 * t3;
    let corrected = (0.1734 - 0.000_393 * t) * sin(sun) + 0.0021 * sin(2.0 * sun)
        - 0.4068 * sin(moon)
        + 0.0161 * sin(2.0 * moon)
        - 0.0004 * sin(3.0 * moon)
        + 0.0104 * sin(2.0 * node)
        - 0.0051 * sin(sun + moon)
        - 0.0074 * sin(sun - moon)
        + 0.0004 * sin(2.0 * node + sun)
        - 0.0004 * sin(2.0 * node - sun)
        - 0.0006 * sin(2.0 * node + moon)
        + 0.0010 * sin(2.0 * node - moon)
        + 0.0005 * sin(2.0 * moon + sun);
    // Dynamical time to universal time, in days.
    let slow = -0.000_278 + 0.000_265 * t + 0.000_262 * t2;
    whole(mean + corrected - slow + 0.5 + ZONE_HOURS / 24.0)
}

/// In which twelfth of the ecliptic the sun stands at the midnight that begins a day: 0-11.
fn sun_sector(day: i64) -> i64 {
    let t = (day as f64 - 2_451_545.5 - ZONE_HOURS / 24.0) / 36_525.0;
    let t2 = t * t;
    let sin = |degrees: f64| (degrees * PI / 180.0).sin();
    let anomaly = 357.529_10 + 35_999.050_30 * t - 0.000_155_9 * t2 - 0.000_000_48 * t * t2;
    let mean = 280.466_45 + 36_000.769_83 * t + 0.000_303_2 * t2;
    let centre = (1.914_600 - 0.004_817 * t - 0.000_014 * t2) * sin(anomaly)
        + (0.019_993 - 0.000_101 * t) * sin(2.0 * anomaly)
        + 0.000_290 * sin(3.0 * anomaly);
    whole((mean + centre).rem_euclid(360.0) / 30.0)
}

/// The first day of the eleventh month of a year: it holds the winter solstice.
fn month_eleven(year: i32) -> i64 {
    // 31 December; every year that is asked for has one.
    let last = NaiveDate::from_ymd_opt(year, 12, 31).map_or(0, julian);
    let k = whole((last as f64 - 2_415_021.0) / MONTH_DAYS);
    let start = new_moon(k);
    if sun_sector(start) >= 9 { new_moon(k - 1) } else { start }
}

/// How many months after an eleventh the leap month comes.
fn leap_month(eleventh: i64) -> i64 {
    let k = whole((eleventh as f64 - FIRST_NEW_MOON) / MONTH_DAYS + 0.5);
    let mut last = sun_sector(new_moon(k + 1));
    for months in 2..=14 {
        let sector = sun_sector(new_moon(k + months));
        if sector == last {
            return months - 1;
        }
        last = sector;
    }
    14
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn tet_falls_on_the_days_it_was_and_will_be_kept() {
        let known = "1968-01-29 1969-02-16 1975-02-11 1976-01-31 1985-01-21 1990-01-27 \
            1995-01-31 1996-02-19 1997-02-07 1998-01-28 1999-02-16 2000-02-05 2001-01-24 \
            2002-02-12 2003-02-01 2004-01-22 2005-02-09 2006-01-29 2007-02-17 2008-02-07 \
            2009-01-26 2010-02-14 2011-02-03 2012-01-23 2013-02-10 2014-01-31 2015-02-19 \
            2016-02-08 2017-01-28 2018-02-16 2019-02-05 2020-01-25 2021-02-12 2022-02-01 \
            2023-01-22 2024-02-10 2025-01-29 2026-02-17 2027-02-06 2028-01-26 2029-02-13 \
            2030-02-02 2031-01-23 2032-02-11 2033-01-31 2034-02-19 2035-02-08 2036-01-28";
        for text in known.split_whitespace() {
            let day = date(text);
            assert_eq!(tet(day.year()), Some(day), "{text}");
        }
    }

    #[test]
    fn leap_months_are_where_the_calendar_has_them() {
        for (year, month) in [
            (2004, 2),
            (2006, 7),
            (2009, 5),
            (2012, 4),
            (2014, 9),
            (2017, 6),
            (2020, 4),
            (2023, 2),
            (2025, 6),
            (2028, 5),
            (2031, 3),
            (2033, 11),
        ] {
            let from = tet(year).unwrap();
            let leap = (0..385).filter_map(|n| LunarDate::of(from + Days::new(n))).find(|d| d.leap);
            assert_eq!(leap.map(|d| (d.year, d.month)), Some((year, month)));
        }
        let plain = tet(2026).unwrap();
        assert!((0..354).all(|n| LunarDate::of(plain + Days::new(n)).is_some_and(|d| !d.leap)));
    }

    #[test]
    fn well_known_days_have_their_lunar_dates() {
        for (civil, lunar, long) in [
            ("2026-02-17", "1/1", "mùng 1 tháng Giêng năm Bính Ngọ"),
            ("2025-07-25", "1/6N", "mùng 1 tháng Sáu nhuận năm Ất Tỵ"),
            // Giỗ Tổ Hùng Vương (the tenth of the third month) and Trung thu.
            ("2024-04-18", "10/3", "mùng 10 tháng Ba năm Giáp Thìn"),
            ("2025-04-07", "10/3", "mùng 10 tháng Ba năm Ất Tỵ"),
            ("2026-04-26", "10/3", "mùng 10 tháng Ba năm Bính Ngọ"),
            ("2023-09-29", "15/8", "15 tháng Tám năm Quý Mão"),
            ("2026-02-16", "29/12", "29 tháng Chạp năm Ất Tỵ"),
        ] {
            let found = LunarDate::of(date(civil)).unwrap();
            assert_eq!((found.short().as_str(), found.long().as_str()), (lunar, long), "{civil}");
        }
    }

    #[test]
    fn days_follow_each_other_through_three_centuries() {
        let mut day = date("1900-01-01");
        let mut before = LunarDate::of(day).unwrap();
        while day < date("2199-12-31") {
            day = day.succ_opt().unwrap();
            let now = LunarDate::of(day).unwrap();
            let goes_on =
                now.day == before.day + 1 && (now.month, now.leap) == (before.month, before.leap);
            let next_month = now.month == before.month % 12 + 1 && !now.leap;
            let leaps = now.month == before.month && now.leap && !before.leap;
            let begins = now.day == 1 && before.day >= 29 && (next_month || leaps);
            assert!(goes_on || begins, "{day}: {before:?} then {now:?}");
            assert_eq!(now.year - before.year, i32::from(begins && now.month == 1 && !now.leap));
            before = now;
        }
    }

    #[test]
    fn years_outside_the_formulas_have_no_answer() {
        assert_eq!(LunarDate::of(date("1899-12-31")), None);
        assert_eq!(LunarDate::of(date("2200-01-01")), None);
        assert_eq!(tet(i32::MAX), None);
    }
}

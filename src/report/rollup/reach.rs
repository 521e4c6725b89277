//! Which devices had to do with which subjects on which days of a month.
//!
//! Why bits: a device that played on three days is one device, and any window of days must count it
//! once. Two words of 32 bits a device, subject and month answer that for every window.

use super::Touch;
use crate::report::contents::SubjectNo;
use crate::report::period::Period;
use crate::report::places::{DeviceNo, Scope, UnitNo};
use chrono::{Datelike, NaiveDate};
use std::collections::BTreeMap;

/// A row's key; months count from year 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReachKey {
    pub month: i32,
    pub unit: UnitNo,
    pub device: DeviceNo,
    pub subject: SubjectNo,
}

/// Days of a month as bits, bit n − 1 for day n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Days {
    /// A play was due.
    pub due: u32,
    /// A play was confirmed; never without `due`.
    pub confirmed: u32,
}

impl Days {
    /// Returns the bits of the days of a period, which lies within one month.
    pub fn mask(period: Period) -> u32 {
        let (first, last) = (period.first().day0(), period.last().day0().min(31));
        (first..=last).fold(0, |mask, day| mask | 1 << day)
    }
}

/// All rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    rows: BTreeMap<ReachKey, Days>,
}

fn month_of(day: NaiveDate) -> i32 {
    day.year() * 12 + i32::try_from(day.month0()).unwrap_or(0)
}

impl Reach {
    /// Puts a day of a unit in the place of what was known of it.
    pub fn replace(&mut self, day: NaiveDate, unit: UnitNo, touches: &[Touch]) {
        let (month, bit) = (month_of(day), 1_u32 << day.day0());
        let key = |device, subject| ReachKey { month, unit, device: DeviceNo(device), subject };
        let (first, last) = (key(0, SubjectNo(0)), key(u32::MAX, SubjectNo(u32::MAX)));
        let mut empty = Vec::new();
        for (key, days) in self.rows.range_mut(first..=last) {
            days.due &= !bit;
            days.confirmed &= !bit;
            if days.due == 0 {
                empty.push(*key);
            }
        }
        for touch in touches {
            let days = self.rows.entry(key(touch.device.0, touch.subject)).or_default();
            days.due |= bit;
            if touch.confirmed {
                days.confirmed |= bit;
            }
        }
        for key in empty {
            if self.rows.get(&key).is_some_and(|days| days.due == 0) {
                self.rows.remove(&key);
            }
        }
    }

    /// Puts a row that a store kept; two of one key are one.
    pub fn insert(&mut self, key: ReachKey, days: Days) {
        if days.due | days.confirmed != 0 {
            let known = self.rows.entry(key).or_default();
            known.due |= days.due | days.confirmed;
            known.confirmed |= days.confirmed;
        }
    }

    /// Returns the rows of the scope that have a day in the period, with those days alone.
    pub fn within<'a>(
        &'a self,
        period: Period,
        scope: &'a Scope,
    ) -> impl Iterator<Item = (ReachKey, Days)> + 'a {
        let months = period.months().into_iter();
        months.flat_map(move |month| {
            let mask = Days::mask(month);
            let at = |month, unit| ReachKey {
                month,
                unit: UnitNo(unit),
                device: DeviceNo(unit),
                subject: SubjectNo(unit),
            };
            let month = month_of(month.first());
            self.rows
                .range(at(month, 0)..=at(month, u32::MAX))
                .filter(|(key, _)| scope.holds(key.unit))
                .map(move |(key, days)| {
                    (*key, Days { due: days.due & mask, confirmed: days.confirmed & mask })
                })
                .filter(|(_, days)| days.due != 0)
        })
    }

    /// Returns how many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

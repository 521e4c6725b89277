//! What a page is filled with: the moment, the values of feeds, the pictures. Given, never asked.

use super::colour::Rgb;
use super::lunar::{self, LunarDate};
use super::picture::Picture;
use super::template::{Field, Part, Seconds, Template, Until};
use crate::domain::feed;
use crate::domain::time::{LocalOffset, UtcMs};
use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use std::collections::BTreeMap;

/// Stands where a value is missing, late or wrong: an old value is never shown as a new one.
pub const NO_VALUE: &str = "--";
/// What a feed said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The value as it is shown, with its unit.
    pub text: String,
    /// When it was measured.
    pub at: UtcMs,
    /// From then on, how long it may be shown, in milliseconds.
    pub stale_after_ms: i64,
}

impl Reading {
    /// Returns the words that stand on the board; `None` when nobody could read them.
    pub fn shown(&self) -> Option<&str> {
        let text = self.text.trim();
        let fits = !text.is_empty() && text.chars().count() <= feed::MOST_CHARS;
        (fits && !text.chars().any(char::is_control)).then_some(text)
    }

    /// Returns the first instant at which it may no longer be shown.
    pub fn until(&self) -> UtcMs {
        self.at.plus(self.stale_after_ms.max(0))
    }

    /// Says whether it may be shown: not late, and not from more than two minutes ahead, the
    /// error within which clocks are trusted.
    pub fn is_fresh(&self, now: UtcMs) -> bool {
        now < self.until() && self.at.since(now) <= feed::AHEAD_MS
    }
}

/// What a page is filled with.
#[derive(Clone, Debug)]
pub struct Scene {
    /// When the page begins.
    pub now: UtcMs,
    /// Local time, sorted; lunar dates are of the civil day there. Without any, no time is shown.
    pub local: Vec<LocalOffset>,
    /// Newest value of each feed.
    pub readings: BTreeMap<String, Reading>,
    /// Pictures by name.
    pub pictures: BTreeMap<String, Picture>,
}

/// A piece of text as filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Run<'a> {
    Text(String, Option<Rgb>),
    Icon(&'a Picture),
}

impl Scene {
    /// Returns a scene of Viet Nam at this moment, with no values and no pictures.
    pub fn at(now: UtcMs) -> Self {
        Self::with(now, vec![LocalOffset { from_ms: UtcMs(i64::MIN), minutes: 420 }])
    }

    /// Returns a scene with this local time, with no values and no pictures.
    pub fn with(now: UtcMs, local: Vec<LocalOffset>) -> Self {
        Self { now, local, readings: BTreeMap::new(), pictures: BTreeMap::new() }
    }

    /// The local time; before the first offset that one counts.
    fn local(&self, ms: i64) -> Option<NaiveDateTime> {
        let at = self.now.plus(ms);
        let before = self.local.partition_point(|offset| offset.from_ms <= at);
        let offset = self.local.get(before.saturating_sub(1))?;
        Some(at.plus(i64::from(offset.minutes) * 60_000).datetime().naive_utc())
    }

    /// Fills in a text as it is `ms` after the page began.
    pub(super) fn fill(&self, template: &Template, ms: i64) -> Vec<Run<'_>> {
        self.fill_lasting(template, ms, 0)
    }

    /// As [`Scene::fill`], for a text that then stands for `last_ms` without being filled in
    /// anew: a value that would grow stale meanwhile is not shown at all.
    pub(super) fn fill_lasting(&self, template: &Template, ms: i64, last_ms: i64) -> Vec<Run<'_>> {
        let mut colour = None;
        let mut runs = Vec::new();
        for part in template.parts() {
            match part {
                Part::Text(text) => runs.push(Run::Text(text.clone(), colour)),
                Part::Field(field) => {
                    runs.push(Run::Text(self.show(field, ms, last_ms), colour));
                }
                Part::Colour(new) => colour = *new,
                Part::Icon(name) => runs.push(match self.pictures.get(name) {
                    Some(picture) => Run::Icon(picture),
                    None => Run::Text("□".to_owned(), colour),
                }),
            }
        }
        runs
    }

    fn show(&self, field: &Field, ms: i64, last_ms: i64) -> String {
        let now = self.now.plus(ms);
        if let Field::Feed(name) = field {
            return self.feed(name, now, now.plus(last_ms));
        }
        let Some(local) = self.local(ms) else { return NO_VALUE.to_owned() };
        let date = local.date();
        let civil = || format!("{:02}/{:02}/{}", date.day(), date.month(), date.year());
        match field {
            Field::Time { seconds: Seconds::Hidden } => clock(local),
            Field::Time { seconds: Seconds::Shown } => {
                format!("{}:{:02}", clock(local), local.second())
            }
            Field::Date => civil(),
            Field::DateLong => format!("{}, {}", weekday(date), civil()),
            Field::Weekday => weekday(date).to_owned(),
            Field::Lunar => lunar(date, LunarDate::short),
            Field::LunarLong => lunar(date, LunarDate::long),
            Field::LunarYear => lunar(date, |date| lunar::year_name(date.year)),
            Field::Days(until) => match target(*until, local) {
                Some(at) => (at.date() - date).num_days().max(0).to_string(),
                None => NO_VALUE.to_owned(),
            },
            Field::Countdown(until) => match target(*until, local) {
                Some(at) => countdown((at - local).num_seconds()),
                None => NO_VALUE.to_owned(),
            },
            Field::Feed(name) => self.feed(name, now, now),
        }
    }

    fn feed(&self, name: &str, now: UtcMs, last: UtcMs) -> String {
        let fresh = |reading: &&Reading| reading.is_fresh(now) && last < reading.until();
        let fresh = self.readings.get(name).filter(fresh);
        fresh.and_then(Reading::shown).unwrap_or(NO_VALUE).to_owned()
    }

    /// Returns how many milliseconds after the page's beginning, later than `ms`, the text may
    /// first read otherwise; `None` when it stays as it is.
    pub(super) fn changes_after(&self, template: &Template, ms: i64) -> Option<i64> {
        let now = self.now.plus(ms);
        // Zones lie whole minutes apart from UTC in the years that boards live in.
        let next = |step: i64| step - now.0.rem_euclid(step);
        let after = |field: &Field| match field {
            Field::Time { seconds: Seconds::Shown } | Field::Countdown(_) => Some(next(1_000)),
            Field::Feed(name) => {
                let reading = self.readings.get(name)?;
                let events = [reading.until().since(now), reading.at.since(now) - feed::AHEAD_MS];
                events.into_iter().filter(|wait| *wait > 0).min()
            }
            _ => Some(next(60_000)),
        };
        let fields = template.parts().iter().filter_map(|part| match part {
            Part::Field(field) => after(field),
            _ => None,
        });
        fields.min().map(|wait| ms.saturating_add(wait))
    }
}

fn clock(local: NaiveDateTime) -> String {
    format!("{:02}:{:02}", local.hour(), local.minute())
}

fn weekday(date: NaiveDate) -> &'static str {
    const NAMES: [&str; 7] =
        ["Chủ nhật", "Thứ hai", "Thứ ba", "Thứ tư", "Thứ năm", "Thứ sáu", "Thứ bảy"];
    NAMES[date.weekday().num_days_from_sunday() as usize % 7]
}

fn lunar(date: NaiveDate, show: impl Fn(LunarDate) -> String) -> String {
    LunarDate::of(date).map_or_else(|| NO_VALUE.to_owned(), show)
}

fn target(until: Until, local: NaiveDateTime) -> Option<NaiveDateTime> {
    match until {
        Until::At(at) => Some(at),
        Until::Tet => {
            let year = local.year();
            // On the day itself the count is zero; from the next day on it runs to the next year.
            let day = lunar::tet(year).filter(|day| *day >= local.date());
            day.or_else(|| lunar::tet(year + 1)).map(|day| day.and_time(NaiveTime::MIN))
        }
    }
}

fn countdown(seconds: i64) -> String {
    let left = seconds.max(0);
    let (days, hours, minutes) = (left / 86_400, left / 3_600 % 24, left / 60 % 60);
    if days > 0 {
        format!("{days} ngày {hours:02}:{minutes:02}")
    } else {
        format!("{hours:02}:{minutes:02}:{:02}", left % 60)
    }
}

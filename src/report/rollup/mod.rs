//! A local day of a commune added up: what a store keeps so that a year is read in seconds.
//!
//! A [`Page`] is made from all airings of one (day, commune) and replaces the one before: a late
//! record marks its day and commune, the page is judged and folded again, nothing is subtracted.
//! Made anew from the log alone, pages are the same.
//!
//! # Columns
//! | Table | Key | Columns |
//! |---|---|---|
//! | `broadcast` | day, unit, at_ms, content | the fields of [`Tally`] (14 numbers and 7 grades as seven columns), first_ms, last_ms |
//! | `reach` | month, unit, device, subject | due_days, confirmed_days: bit n − 1 is day n |
//! | `content`, `subject` | number | the fields of [`Content`](super::contents::Content), [`Subject`](super::contents::Subject), unique |
//!
//! `broadcast` grows by the broadcasts of a commune and day (about 16), `reach` by the subjects of
//! a device and month (about 10), both whatever the number of late records: files grow linearly.
//! A page is written in one transaction: delete the key (day, unit) of `broadcast`, insert; clear
//! the day's bit of (month, unit) in `reach`, set it for [`Page::touches`], delete rows with no bit.
//!
//! # Invariants
//! * Airings in any order give the same page; pages put in any order and repeated give the same
//!   [`Rollups`].
//! * Devices counted over any days are counted once each, which sums of daily counts would not do.

mod reach;

pub use reach::{Days, Reach, ReachKey};

use super::airing::{Airing, Tally};
use super::contents::{ContentNo, Contents, SubjectNo};
use super::period::{Period, day_of};
use super::places::{DeviceNo, Places, Scope, UnitNo};
use crate::domain::proof::outcome::Plan;
use crate::domain::time::UtcMs;
use chrono::NaiveDate;
use chrono_tz::Tz;
use std::collections::BTreeMap;

/// Error of a clock above which devices play nothing.
const CLOCK_MS: i64 = 120_000;

/// One content at one time in one commune, on all its devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broadcast {
    /// When the cue was due.
    pub at_ms: UtcMs,
    pub content: ContentNo,
    pub tally: Tally,
    /// When the first device began.
    pub first_ms: Option<UtcMs>,
    /// When the last device began.
    pub last_ms: Option<UtcMs>,
}

/// What a device had to do with a subject on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Touch {
    pub device: DeviceNo,
    pub subject: SubjectNo,
    /// Whether a play was confirmed; it was due in any case.
    pub confirmed: bool,
}

/// One day of one commune.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub day: NaiveDate,
    pub unit: UnitNo,
    /// By time, then content.
    pub broadcasts: Vec<Broadcast>,
    /// By device, then subject.
    pub touches: Vec<Touch>,
}

impl Page {
    /// Adds up the airings of a day and commune; the caller chose them.
    pub fn fold(day: NaiveDate, unit: UnitNo, airings: &[Airing], contents: &Contents) -> Self {
        let mut sorted: Vec<&Airing> = airings.iter().collect();
        sorted.sort_unstable_by_key(|airing| (airing.at_ms, airing.content));
        let same = |a: &&Airing, b: &&Airing| (a.at_ms, a.content) == (b.at_ms, b.content);
        let broadcasts = sorted.chunk_by(same).filter_map(Broadcast::of).collect();
        let mut touches: Vec<Touch> = airings
            .iter()
            .filter(|airing| airing.plan == Plan::Planned)
            .filter_map(|airing| {
                let subject = contents.subject_of(airing.content)?;
                Some(Touch { device: airing.device, subject, confirmed: airing.is_confirmed() })
            })
            .collect();
        // What is confirmed comes first, and stays.
        touches.sort_unstable_by_key(|touch| (touch.device, touch.subject, !touch.confirmed));
        touches.dedup_by_key(|touch| (touch.device, touch.subject));
        Self { day, unit, broadcasts, touches }
    }
}

impl Broadcast {
    /// Adds up airings of one content at one time; `None` of none.
    fn of(airings: &[&Airing]) -> Option<Self> {
        let first = airings.first()?;
        let mut tally = Tally::default();
        let (mut first_ms, mut last_ms) = (None, None);
        for airing in airings {
            tally.add(airing);
            if let Some(started) = airing.started_ms.filter(|at| near(airing, *at)) {
                first_ms = Some(first_ms.map_or(started, |known: UtcMs| known.min(started)));
                last_ms = last_ms.max(Some(started));
            }
        }
        Some(Self { at_ms: first.at_ms, content: first.content, tally, first_ms, last_ms })
    }
}

/// Says whether a start may be true: not before the cue, nor after it, by more than the worst clock
/// that plays at all. One wrong clock must not move the start of a whole commune.
fn near(airing: &Airing, started: UtcMs) -> bool {
    let (from, to) = (airing.at_ms, airing.end_ms.max(airing.at_ms));
    from.plus(-CLOCK_MS) <= started && started <= to.plus(CLOCK_MS)
}

/// Pages of a period, as a store hands them over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollups {
    broadcasts: BTreeMap<(NaiveDate, UnitNo), Vec<Broadcast>>,
    reach: Reach,
}

impl Rollups {
    /// Puts a page in the place of the one before.
    pub fn put(&mut self, page: Page) {
        self.reach.replace(page.day, page.unit, &page.touches);
        if page.broadcasts.is_empty() {
            self.broadcasts.remove(&(page.day, page.unit));
        } else {
            self.broadcasts.insert((page.day, page.unit), page.broadcasts);
        }
    }

    /// Returns what a store kept, in any order.
    pub fn load(
        broadcasts: impl IntoIterator<Item = (NaiveDate, UnitNo, Broadcast)>,
        reach: impl IntoIterator<Item = (ReachKey, Days)>,
    ) -> Self {
        let mut found = Self::default();
        for (day, unit, broadcast) in broadcasts {
            found.broadcasts.entry((day, unit)).or_default().push(broadcast);
        }
        for page in found.broadcasts.values_mut() {
            page.sort_by_key(|broadcast| (broadcast.at_ms, broadcast.content));
        }
        for (key, days) in reach {
            found.reach.insert(key, days);
        }
        found
    }

    /// Returns pages folded from airings in any order.
    pub fn of(airings: &[Airing], places: &Places, contents: &Contents, zone: Tz) -> Self {
        let mut pages: BTreeMap<(NaiveDate, UnitNo), Vec<Airing>> = BTreeMap::new();
        for airing in airings {
            let day = day_of(airing.at_ms, zone);
            if let Some(unit) = places.commune(airing.device, day) {
                pages.entry((day, unit)).or_default().push(*airing);
            }
        }
        let mut rollups = Self::default();
        for ((day, unit), airings) in pages {
            rollups.put(Page::fold(day, unit, &airings, contents));
        }
        rollups
    }

    /// Returns the broadcasts of the period in the scope, by day and unit.
    pub fn broadcasts<'a>(
        &'a self,
        period: Period,
        scope: &'a Scope,
    ) -> impl Iterator<Item = (NaiveDate, UnitNo, &'a Broadcast)> {
        let (first, last) = ((period.first(), UnitNo(0)), (period.last(), UnitNo(u32::MAX)));
        self.broadcasts
            .range(first..=last)
            .filter(|((_, unit), _)| scope.holds(*unit))
            .flat_map(|((day, unit), all)| all.iter().map(|one| (*day, *unit, one)))
    }

    /// Returns which devices had to do with which subjects.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Returns how many rows a store would hold: broadcasts and reach.
    pub fn rows(&self) -> (usize, usize) {
        (self.broadcasts.values().map(Vec::len).sum(), self.reach.len())
    }
}

//! Keeps each local day of each commune added up, for reports.
//!
//! Leaves judging to [`super::outcome`] and adding up to [`crate::report::rollup`]; knows which days
//! must be looked at again.
//!
//! # Invariants
//! * Whatever changes a day marks it: a record by its position, a published schedule or a moved
//!   device by a row in the same write. A mark goes when the page was made after it, so nothing is
//!   lost by a crash and nothing depends on one process.
//! * A page depends on records, schedules, registers and the time alone: made anew it is the same.
//! * Records that retention has deleted change no page: what was once added up stays.
//!
//! # Why marks and not sums
//! A late record can turn a cue from missing to played, move its grade and its stage. Counting that
//! up and down in place would drift with the first bug; a page is made anew from all records of its
//! day instead, and one of a commune costs a tenth of a second.

mod judge;
mod load;
mod look;
mod names;
mod register;

pub use load::{Loaded, Renamed};
pub use names::content_name;
pub use register::register;

use super::outcome::{OutcomeError, Outcomes};
use super::ports::{PageKey, Store, StoreError};
use crate::domain::time::UtcMs;
use crate::report::period::{Period, day_of};
use crate::report::places::{Places, PlacesError};
use chrono::NaiveDate;
use chrono_tz::Tz;
use names::Names;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Days back that are still looked at: older records change no page.
pub const OLDEST_DAYS: u64 = 400;

/// Why roll-ups could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum RollupError {
    #[error("roll-ups could not be read or kept")]
    Store(#[from] StoreError),
    #[error("a day could not be judged")]
    Outcome(#[from] OutcomeError),
    #[error("the registers contradict themselves: {first}")]
    Places { first: PlacesError },
    #[error("a name of kind `{kind}` in the roll-ups cannot be read: `{name}`")]
    Name { kind: &'static str, name: String },
    #[error("adding up was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl RollupError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Store(error) => error.hint(),
            Self::Outcome(error) => error.hint(),
            Self::Places { first } => first.hint(),
            Self::Name { .. } => "restore the last backup into a new folder and compare",
            Self::Interrupted(_) => "try again",
        }
    }
}

/// Roll-ups over a store.
pub struct Rollup {
    store: Arc<dyn Store>,
    outcomes: Outcomes,
    names: Mutex<Names>,
}

impl Rollup {
    /// Returns the roll-ups of a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        let outcomes = Outcomes::new(Arc::clone(&store));
        Self { store, outcomes, names: Mutex::default() }
    }

    /// Returns the store below.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Returns the registers as they are and were.
    pub async fn places(&self, zone: Tz) -> Result<Places, RollupError> {
        register(&*self.store, zone).await
    }

    /// Brings the days of a period up to date, of the units that `wanted` names; returns how many
    /// pages were made anew.
    pub async fn settle(
        &self,
        places: &Places,
        zone: Tz,
        period: Period,
        wanted: impl Fn(&PageKey) -> bool,
        now: UtcMs,
    ) -> Result<usize, RollupError> {
        while self.look(places, zone, now).await? {}
        let mut made = 0;
        for (page, mark) in self.due(now).await? {
            if period.contains(page.day) && wanted(&page) {
                self.make(places, zone, &page, mark, now).await?;
                made += 1;
            }
        }
        Ok(made)
    }

    /// Returns the pages that must be made anew, those marked first, with their marks.
    pub async fn due(&self, now: UtcMs) -> Result<Vec<(PageKey, Option<i64>)>, RollupError> {
        let marks = self.store.marks().await?;
        let marked: BTreeSet<PageKey> = marks.iter().map(|(page, _)| page.clone()).collect();
        let expired = self.store.expired(now).await?;
        let expired = expired.into_iter().filter(|page| !marked.contains(page));
        let marks = marks.into_iter().map(|(page, mark)| (page, Some(mark)));
        Ok(marks.chain(expired.map(|page| (page, None))).collect())
    }

    /// Makes a page anew.
    pub async fn make(
        &self,
        places: &Places,
        zone: Tz,
        page: &PageKey,
        mark: Option<i64>,
        now: UtcMs,
    ) -> Result<(), RollupError> {
        let judged = self.judge(places, zone, page, now).await?;
        self.store.put_page(&judged, mark).await?;
        Ok(())
    }
}

/// Returns the first day that is still looked at.
fn oldest(now: UtcMs, zone: Tz) -> NaiveDate {
    let today = day_of(now, zone);
    today.checked_sub_days(chrono::Days::new(OLDEST_DAYS)).unwrap_or(today)
}

#[cfg(test)]
mod month_tests;
#[cfg(test)]
mod tests;

//! Keeps roll-ups near to what has come in, at a pace that others do not feel.
//!
//! Reports bring up to date what they need by themselves; this only keeps that short.

use super::duty::Lead;
use crate::app::live::Live;
use crate::app::ports::PageKey;
use crate::app::rollup::{Rollup, RollupError};
use crate::clock::SharedClock;
use crate::domain::time::UtcMs;
use crate::report::period::day_of;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long to rest when nothing waits.
const REST: Duration = Duration::from_secs(10);
/// The day that goes on changes with every record: it is made anew no more often than this.
const AGAIN_MS: i64 = 10 * 60_000;
/// Of this room's time so much is rest.
const SHARE: u32 = 4;
/// Days between two looks that are remembered, at most.
const REMEMBERED: usize = 20_000;

/// Works until told to stop, as long as this process leads.
pub async fn run(
    rollup: Arc<Rollup>,
    mut leads: watch::Receiver<Option<Lead>>,
    live: Arc<Live>,
    clock: SharedClock,
    stop: CancellationToken,
) {
    while leads.borrow_and_update().is_none() {
        tokio::select! {
            () = stop.cancelled() => return,
            waited = leads.changed() => if waited.is_err() { return },
        }
    }
    let mut made: BTreeMap<PageKey, UtcMs> = BTreeMap::new();
    let mut told = String::new();
    loop {
        let worked = tokio::select! {
            () = stop.cancelled() => return,
            worked = round(&rollup, &live, &clock, &mut made) => worked,
        };
        let rest = match worked {
            Ok(Some(ms)) => Duration::from_millis(u64::try_from(ms).unwrap_or(0)) * SHARE,
            Ok(None) => REST,
            Err(error) => {
                let why = super::chain(&error);
                if told != why {
                    let hint = error.hint();
                    tracing::error!(error = why, hint, "Days are not added up for reports");
                    told = why;
                }
                REST
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(rest.min(REST)) => {}
        }
    }
}

/// Looks, and makes one page; returns how long that took, or `None` when nothing waits.
async fn round(
    rollup: &Rollup,
    live: &Live,
    clock: &SharedClock,
    made: &mut BTreeMap<PageKey, UtcMs>,
) -> Result<Option<i64>, RollupError> {
    let (now, began, zone) = (clock.now(), clock.mono_ms(), live.picture().zone);
    let places = rollup.places(zone).await?;
    let looked = rollup.look(&places, zone, now).await?;
    let due = rollup.due(now).await?;
    metrics::gauge!("loa_report_pages_waiting").set(due.len() as f64);
    let today = day_of(now, zone);
    let rested = |page: &PageKey| {
        page.day < today || made.get(page).is_none_or(|at| AGAIN_MS <= now.since(*at))
    };
    let next = due.into_iter().find(|(page, _)| rested(page));
    let Some((page, mark)) = next else {
        return Ok(looked.then(|| clock.mono_ms() - began));
    };
    rollup.make(&places, zone, &page, mark, now).await?;
    if made.len() >= REMEMBERED {
        made.clear();
    }
    made.insert(page, now);
    Ok(Some((clock.mono_ms() - began).max(1)))
}

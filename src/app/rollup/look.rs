//! Which days must be made anew, by what has come in since the last look.

use super::{Rollup, RollupError, oldest};
use crate::app::outcome::content_of;
use crate::app::ports::{Arrival, Marked, PageKey};
use crate::domain::ids::DeviceId;
use crate::domain::proof::record::Body;
use crate::domain::time::UtcMs;
use crate::report::period::day_of;
use crate::report::places::Places;
use chrono::NaiveDate;
use chrono_tz::Tz;
use std::collections::{BTreeMap, BTreeSet};

/// Records, and queued days, of one look.
const AT_ONCE: u32 = 2_000;

/// Returns the days that a record speaks of: its own, and that of the cue it closes.
fn days(arrival: &Arrival, zone: Tz) -> BTreeSet<NaiveDate> {
    let mut instants = vec![arrival.at_ms];
    match arrival.jws.as_deref().and_then(content_of).map(|record| record.body) {
        Some(Body::Start { started_ms, .. }) => instants.push(started_ms),
        Some(Body::Play(play)) => instants.push(play.due_ms),
        Some(Body::Show(show)) => instants.push(show.from_ms),
        _ => {}
    }
    instants.into_iter().map(|at| day_of(at, zone)).collect()
}

/// Days of devices, and the pages they lie on.
struct Found<'a> {
    places: &'a Places,
    pages: BTreeSet<PageKey>,
}

impl Found<'_> {
    fn add(&mut self, device: &DeviceId, day: NaiveDate) {
        let unit = self.places.device_no(device).and_then(|no| self.places.commune(no, day));
        if let Some(unit) = unit.and_then(|no| self.places.unit(no)) {
            self.pages.insert(PageKey { day, unit: unit.id.clone() });
        }
    }

    /// Adds every commune that has a device on that day.
    fn open(&mut self, day: NaiveDate) {
        for (no, device) in self.places.devices() {
            if device.until.is_none_or(|until| day <= until) {
                let unit = self.places.commune(no, day).and_then(|no| self.places.unit(no));
                self.pages.extend(unit.map(|unit| PageKey { day, unit: unit.id.clone() }));
            }
        }
    }
}

impl Rollup {
    /// Looks at what has come in since the last look, and marks the days that it concerns; says
    /// whether there was something, and so may be more.
    pub async fn look(&self, places: &Places, zone: Tz, now: UtcMs) -> Result<bool, RollupError> {
        let marked = self.store.marked().await?;
        let records = self.store.arrivals(marked.records, AT_ONCE).await?;
        let queued = self.store.queued(AT_ONCE).await?;
        let (today, oldest) = (day_of(now, zone), oldest(now, zone));
        // Later than today: the clock was set back, or somebody asked where it is tomorrow already.
        let opened = marked.opened.is_some_and(|opened| today <= opened);
        if records.is_empty() && queued.is_empty() && opened {
            return Ok(false);
        }
        let mut found = Found { places, pages: BTreeSet::new() };
        let mut seen: BTreeMap<&DeviceId, BTreeSet<NaiveDate>> = BTreeMap::new();
        for arrival in &records {
            seen.entry(&arrival.device).or_default().extend(days(arrival, zone));
        }
        for (device, days) in seen {
            for day in days {
                found.add(device, day);
            }
            // A chain without a gap settles what lies before; signs of life explain it.
            found.pages.extend(self.store.open_days(device).await?);
        }
        for one in &queued {
            let day = day_of(one.at_ms, zone);
            // Whoever moved was somewhere else in the morning.
            if let Some(before) = day.pred_opt()
                && let Some(no) = places.device_no(&one.device)
                && let Some(unit) = places.commune(no, before).and_then(|no| places.unit(no))
            {
                found.pages.insert(PageKey { day, unit: unit.id.clone() });
            }
            found.add(&one.device, day);
        }
        let opened = marked.opened.and_then(|day| day.succ_opt());
        let first = places.devices().flat_map(|(_, device)| &device.stood).map(|(day, _)| *day);
        let from = opened.or_else(|| first.min()).unwrap_or(today).max(oldest);
        for day in from.iter_days().take_while(|day| *day <= today) {
            found.open(day);
        }
        let within = |page: &PageKey| oldest <= page.day && page.day <= today;
        let pages: Vec<PageKey> = found.pages.into_iter().filter(within).collect();
        // A clock set back opens no day twice.
        let opened = marked.opened.map_or(today, |opened| opened.max(today));
        let records = records.last().map_or(marked.records, |last| last.position);
        let upto = queued.last().map_or(0, |last| last.position);
        self.store.mark(&pages, Marked { records, opened: Some(opened) }, upto).await?;
        Ok(true)
    }
}

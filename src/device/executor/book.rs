//! Which sheets are in force: the schedule as accepted against what is held.
//!
//! A day follows its old sheet until the new one and the assets due within 10 minutes are held;
//! after those 10 minutes the new one comes into force anyway, so that one asset that cannot be
//! had does not keep a withdrawn plan alive. A day that the schedule no longer names is dropped
//! at once.

use super::{Moment, NEAR_MS, NeedFilter};
use crate::domain::ids::{CueId, Digest};
use crate::domain::playlist::Page;
use crate::domain::time::{LocalOffset, UtcMs};
use crate::domain::timetable::sheet::{AssetEntry, Cue, DaySheet, SheetItem};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A day of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayRef {
    /// First instant.
    pub from_ms: UtcMs,
    /// First instant of the next day.
    pub to_ms: UtcMs,
    /// The sheet's name.
    pub sheet: Digest,
}

/// What a judged timetable says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    /// Loudest volume, 0-100.
    pub volume_cap: u8,
    /// Correction of the start in milliseconds; positive plays later.
    pub trim_ms: i64,
    /// The days in order.
    pub days: Vec<DayRef>,
    /// Assets that are held whatever the sheets say.
    pub standby: BTreeMap<Digest, AssetEntry>,
    /// What a board shows when nothing else does.
    pub idle: Option<Page>,
    /// How far local time is ahead of UTC, for faces of clocks.
    pub local: Vec<LocalOffset>,
}

/// An asset the schedule needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetWant {
    /// Its name.
    pub asset: Digest,
    /// Length and sums.
    pub entry: AssetEntry,
    /// When it is needed first; `None` for standby assets.
    pub first: Option<UtcMs>,
    /// When it is needed last; `None` for standby assets.
    pub last: Option<UtcMs>,
}

#[derive(Clone, Copy, Debug)]
struct InForce {
    day: DayRef,
    /// When it came into force on the clock that never steps; `None`: before this start.
    since_mono: Option<i64>,
}

/// The schedule, what is held of it, and what is in force.
#[derive(Debug, Default)]
pub(crate) struct Book {
    schedule: Option<Schedule>,
    accepted_mono: i64,
    in_force: Vec<InForce>,
    sheets: BTreeMap<Digest, Arc<DaySheet>>,
    assets: BTreeSet<Digest>,
    resumed: bool,
}

/// A cue where it stands.
pub(crate) struct Placed<'a> {
    pub cue: &'a Cue,
    pub name: Digest,
    pub sheet: &'a DaySheet,
}

impl Book {
    pub fn resume(days: Vec<DayRef>) -> Self {
        let in_force = days.into_iter().map(|day| InForce { day, since_mono: None }).collect();
        Self { in_force, ..Self::default() }
    }

    pub fn accept(&mut self, schedule: Schedule, now: Moment) {
        self.in_force.retain(|old| schedule.days.iter().any(|new| overlap(&old.day, new)));
        self.schedule = Some(schedule);
        self.accepted_mono = now.mono_ms;
    }

    pub fn hold_sheet(&mut self, name: Digest, sheet: Arc<DaySheet>) {
        self.sheets.insert(name, sheet);
    }

    pub fn hold_asset(&mut self, name: Digest) {
        self.assets.insert(name);
    }

    pub fn lose_asset(&mut self, name: &Digest) {
        self.assets.remove(name);
    }

    pub fn holds(&self, asset: &Digest) -> bool {
        self.assets.contains(asset)
    }

    pub fn volume_cap(&self) -> u8 {
        self.schedule.as_ref().map_or(0, |s| s.volume_cap.min(100))
    }

    pub fn trim_ms(&self) -> i64 {
        self.schedule.as_ref().map_or(0, |s| s.trim_ms.clamp(-1000, 1000))
    }

    /// Local time as the schedule states it.
    pub fn local(&self) -> &[LocalOffset] {
        self.schedule.as_ref().map_or(&[], |schedule| &schedule.local)
    }

    pub fn idle(&self) -> Option<&Page> {
        self.schedule.as_ref().and_then(|s| s.idle.as_ref())
    }

    pub fn days(&self) -> Vec<DayRef> {
        self.in_force.iter().map(|f| f.day).collect()
    }

    pub fn sheet(&self, name: &Digest) -> Option<&Arc<DaySheet>> {
        self.sheets.get(name)
    }

    /// Sheets that are in force or named by the schedule.
    pub fn sheet_names(&self) -> Vec<Digest> {
        let named = self.schedule.iter().flat_map(|s| &s.days).map(|d| d.sheet);
        let all: BTreeSet<_> = named.chain(self.in_force.iter().map(|f| f.day.sheet)).collect();
        all.into_iter().collect()
    }

    /// Pages of those sheets, and the idle page.
    pub fn pages(&self) -> impl Iterator<Item = &Page> {
        let names = self.sheet_names();
        let sheets = names.into_iter().filter_map(|name| self.sheets.get(&name));
        let items = sheets.flat_map(|sheet| sheet.items.values());
        let pages = items.flat_map(|item| match item {
            SheetItem::Pages { pages, .. } => pages.as_slice(),
            SheetItem::Clip { .. } | SheetItem::Unknown => &[],
        });
        pages.chain(self.idle())
    }

    pub fn follows_newest(&self) -> bool {
        let in_force = |day: &DayRef| self.in_force.iter().any(|f| f.day == *day);
        self.schedule.as_ref().is_some_and(|schedule| schedule.days.iter().all(in_force))
    }

    pub fn missing_sheets(&self) -> Vec<Digest> {
        let mut seen = BTreeSet::new();
        let days = self.schedule.iter().flat_map(|s| &s.days).map(|d| d.sheet);
        days.filter(|name| !self.sheets.contains_key(name) && seen.insert(*name)).collect()
    }

    /// Brings into force what may be; says whether anything changed.
    pub fn adopt(&mut self, now: Moment) -> bool {
        let Some(schedule) = &self.schedule else { return false };
        let patience_over = now.mono_ms.saturating_sub(self.accepted_mono) >= NEAR_MS;
        let since_mono = if self.resumed { Some(now.mono_ms) } else { None };
        let mut changed = false;
        for day in &schedule.days {
            if self.in_force.iter().any(|f| f.day == *day) {
                continue;
            }
            let Some(sheet) = self.sheets.get(&day.sheet) else { continue };
            let replaces = self.in_force.iter().any(|f| overlap(&f.day, day));
            if replaces && !patience_over && !near_assets_held(sheet, &self.assets, now.utc) {
                continue;
            }
            self.in_force.retain(|f| !overlap(&f.day, day));
            self.in_force.push(InForce { day: *day, since_mono });
            changed = true;
        }
        self.resumed = true;
        if changed {
            self.in_force.sort_by_key(|f| f.day.from_ms);
            let named = self.sheet_names();
            self.sheets.retain(|name, _| named.binary_search(name).is_ok());
        }
        changed
    }

    fn open_days(&self) -> impl Iterator<Item = (&InForce, &DaySheet)> {
        self.in_force.iter().filter_map(|f| Some((f, self.sheets.get(&f.day.sheet)?.as_ref())))
    }

    /// Cues that are under way at an instant or begin within `lead_ms`, in order.
    pub fn due(&self, now: UtcMs, lead_ms: i64) -> Vec<Placed<'_>> {
        let horizon = now.plus(lead_ms);
        let days = self.open_days().filter(move |(f, _)| f.day.from_ms <= horizon);
        let mut due: Vec<_> = days
            .flat_map(|(f, sheet)| {
                let cues = sheet.cues.iter();
                cues.filter(move |c| c.at_ms <= horizon && c.end_ms > now && c.at_ms < c.end_ms)
                    .filter(|c| f.day.from_ms <= c.at_ms && c.at_ms < f.day.to_ms)
                    .map(|cue| Placed { cue, name: f.day.sheet, sheet })
            })
            .collect();
        due.sort_by_key(|placed| placed.cue.at_ms); // stable: sheet order among equals
        due
    }

    /// Finds a cue that is in force.
    pub fn find(&self, id: &CueId) -> Option<Placed<'_>> {
        self.open_days().find_map(|(f, sheet)| {
            let cue = sheet.cues.iter().find(|c| c.id == *id)?;
            Some(Placed { cue, name: f.day.sheet, sheet })
        })
    }

    /// Cues whose end lies in `(after, now]`, with their sheet and whether the sheet was in force
    /// before that end.
    pub fn ended_between(&self, after: UtcMs, now: Moment) -> Vec<(Cue, Digest, bool)> {
        let mut found = Vec::new();
        for (force, sheet) in self.open_days() {
            if force.day.from_ms > now.utc || force.day.to_ms.plus(86_400_000) < after {
                continue;
            }
            let since = force.since_mono.map(|m| now.utc.plus(m.saturating_sub(now.mono_ms)));
            for cue in &sheet.cues {
                if after < cue.end_ms && cue.end_ms <= now.utc && cue.at_ms < cue.end_ms {
                    let known = since.is_none_or(|since| cue.end_ms > since);
                    found.push((cue.clone(), force.day.sheet, known));
                }
            }
        }
        found.sort_by_key(|(cue, ..)| cue.end_ms);
        found
    }

    /// Says until when the sheets allow sound from an instant on; `None` when they do not.
    pub fn sound_until(&self, at: UtcMs) -> Option<UtcMs> {
        let mut until = at;
        // A stretch may go on over midnight, into the first span of the next sheet.
        for _ in 0..64 {
            let span = self.open_days().find_map(|(f, sheet)| {
                let inside = f.day.from_ms <= until && until < f.day.to_ms;
                let spans = inside.then_some(&sheet.sound)?;
                let span = spans.iter().find(|s| s.contains(until))?;
                Some(span.to().min(f.day.to_ms))
            });
            match span {
                Some(to) => until = to,
                None => break,
            }
        }
        (until > at).then_some(until)
    }

    /// Assets of cues that are not over, by first use; standby last.
    pub fn needed(&self, now: UtcMs, filter: NeedFilter) -> Vec<AssetWant> {
        let mut found: BTreeMap<Digest, AssetWant> = BTreeMap::new();
        let named = self.schedule.iter().flat_map(|s| &s.days).map(|d| d.sheet);
        let names: BTreeSet<_> = named.chain(self.in_force.iter().map(|f| f.day.sheet)).collect();
        for sheet in names.iter().filter_map(|name| self.sheets.get(name)) {
            for cue in sheet.cues.iter().filter(|c| c.end_ms > now) {
                let Some(SheetItem::Clip { asset, fallback, .. }) = sheet.items.get(&cue.item)
                else {
                    continue;
                };
                for asset in [Some(asset), fallback.as_ref()].into_iter().flatten() {
                    let Some(entry) = sheet.assets.get(asset) else { continue };
                    let want = found.entry(*asset).or_insert_with(|| AssetWant {
                        asset: *asset,
                        entry: entry.clone(),
                        first: Some(cue.at_ms),
                        last: Some(cue.at_ms),
                    });
                    want.first = want.first.map(|at| at.min(cue.at_ms));
                    want.last = want.last.map(|at| at.max(cue.at_ms));
                }
            }
        }
        for (asset, entry) in self.schedule.iter().flat_map(|s| &s.standby) {
            let want = AssetWant { asset: *asset, entry: entry.clone(), first: None, last: None };
            match found.get_mut(asset) {
                Some(known) => known.last = None,
                None => drop(found.insert(*asset, want)),
            }
        }
        let keep = |want: &AssetWant| filter == NeedFilter::All || !self.holds(&want.asset);
        let mut list: Vec<_> = found.into_values().filter(keep).collect();
        list.sort_by_key(|w| (w.first.unwrap_or(UtcMs::MAX), w.asset));
        list
    }
}

fn overlap(a: &DayRef, b: &DayRef) -> bool {
    a.from_ms < b.to_ms && b.from_ms < a.to_ms
}

fn near_assets_held(sheet: &DaySheet, held: &BTreeSet<Digest>, now: UtcMs) -> bool {
    let near = sheet.cues.iter().filter(|c| c.end_ms > now && c.at_ms <= now.plus(NEAR_MS));
    near.filter_map(|cue| sheet.items.get(&cue.item)).all(|item| match item {
        SheetItem::Clip { asset, .. } => held.contains(asset),
        SheetItem::Pages { .. } | SheetItem::Unknown => true,
    })
}

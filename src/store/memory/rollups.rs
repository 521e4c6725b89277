//! Roll-ups, in memory.

use super::{MemoryStore, State};
use crate::app::ports::{
    Arrival, Descriptions, JudgedPage, KeptPage, KeptReach, Listed, Marked, NameKind, PageKey,
    Queued, ReportFile, RollupStore, Stood, StoreError, StoredRecord,
};
use crate::app::trail::Entry;
use crate::domain::ids::{CueId, DeviceId, Digest, ProfileId, UnitId};
use crate::domain::station::{Device, Unit};
use crate::domain::time::UtcMs;
use crate::domain::timetable::Kind;
use crate::log::leaf::Leaf;
use crate::report::rollup::Days;
use async_trait::async_trait;
use chrono::{Datelike, NaiveDate};
use std::collections::{BTreeMap, BTreeSet};

/// A page with the numbers of its devices that are open.
#[derive(Debug)]
struct Kept {
    upto: i64,
    next_ms: Option<UtcMs>,
    page: KeptPage,
}

/// What the twin keeps of this room.
#[derive(Debug, Default)]
pub(super) struct Rolled {
    names: BTreeMap<NameKind, Vec<String>>,
    contents: BTreeMap<(Digest, String), u32>,
    outputs: BTreeMap<ProfileId, Kind>,
    stood: Vec<Stood>,
    former: BTreeMap<UnitId, Unit>,
    marked: Marked,
    queue: Vec<Queued>,
    positions: i64,
    marks: BTreeMap<PageKey, i64>,
    last_mark: i64,
    pages: BTreeMap<PageKey, Kept>,
    reach: BTreeMap<(u32, i32), BTreeMap<(u32, u32), Days>>,
    open: BTreeMap<(u32, NaiveDate), UnitId>,
    files: Vec<ReportFile>,
}

impl Rolled {
    fn number(&mut self, kind: NameKind, name: &str) -> u32 {
        let names = self.names.entry(kind).or_default();
        let at = names.iter().position(|known| known == name).unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    pub(super) fn queue(&mut self, device: &DeviceId, at_ms: UtcMs) {
        self.positions += 1;
        self.queue.push(Queued { position: self.positions, device: device.clone(), at_ms });
    }

    pub(super) fn unit_goes(&mut self, unit: &Unit) {
        self.former.insert(unit.id.clone(), Unit { population: None, ..unit.clone() });
    }

    pub(super) fn stands(&mut self, device: &Device, unit: Option<&UnitId>, now: UtcMs) {
        let (mut known, mut since) = (false, now);
        for stood in self.stood.iter_mut().filter(|stood| stood.device == device.id) {
            stood.name.clone_from(&device.name);
            stood.profile = device.profile.clone();
            known = stood.unit.as_ref() == unit;
            since = since.max(stood.since_ms);
        }
        if known {
            return;
        }
        self.stood.retain(|stood| stood.device != device.id || stood.since_ms != since);
        self.stood.push(Stood {
            device: device.id.clone(),
            since_ms: since,
            unit: unit.cloned(),
            name: device.name.clone(),
            profile: device.profile.clone(),
        });
        self.stood.sort_by(|a, b| (&a.device, a.since_ms).cmp(&(&b.device, b.since_ms)));
        self.queue(&device.id, now);
    }
}

impl State {
    /// Keeps what reports must know of what is published.
    pub(super) fn tell(&mut self, told: &Descriptions) {
        for one in &told.contents {
            if self.sheets.contains_key(&one.sheet) {
                let content = self.rolled.number(NameKind::Content, &one.content);
                let known = self.rolled.contents.entry((one.sheet, one.item.clone()));
                let known = known.or_insert(content);
                if !one.begun {
                    *known = content;
                }
            }
        }
        if !told.outputs.is_empty() {
            self.rolled.outputs.clone_from(&told.outputs);
        }
    }

    fn about(&self, fits: impl Fn(&StoredRecord) -> bool) -> Vec<StoredRecord> {
        let all = self.records.values().filter(|listed| fits(&listed.record));
        let by_arrival: BTreeMap<i64, &StoredRecord> =
            all.map(|listed| (listed.position, &listed.record)).collect();
        by_arrival.into_values().cloned().collect()
    }
}

fn wanted(units: Option<&[u32]>, unit: u32) -> bool {
    units.is_none_or(|units| units.contains(&unit))
}

#[async_trait]
impl RollupStore for MemoryStore {
    async fn names(&self, kind: NameKind, from: u32) -> Result<Vec<String>, StoreError> {
        let state = self.read();
        let names = state.rolled.names.get(&kind).into_iter().flatten();
        Ok(names.skip(from as usize).cloned().collect())
    }

    async fn number(&self, kind: NameKind, names: &[String]) -> Result<Vec<u32>, StoreError> {
        let mut state = self.write()?;
        Ok(names.iter().map(|name| state.rolled.number(kind, name)).collect())
    }

    async fn contents_of(
        &self,
        sheets: &[Digest],
    ) -> Result<BTreeMap<(Digest, String), u32>, StoreError> {
        let state = self.read();
        let all = state.rolled.contents.iter().filter(|((sheet, _), _)| sheets.contains(sheet));
        Ok(all.map(|(key, content)| (key.clone(), *content)).collect())
    }

    async fn outputs(&self) -> Result<BTreeMap<ProfileId, Kind>, StoreError> {
        Ok(self.read().rolled.outputs.clone())
    }

    async fn stood(&self) -> Result<Vec<Stood>, StoreError> {
        Ok(self.read().rolled.stood.clone())
    }

    async fn former_units(&self) -> Result<Vec<Unit>, StoreError> {
        let state = self.read();
        let gone = state.rolled.former.values().filter(|unit| !state.units.contains_key(&unit.id));
        Ok(gone.cloned().collect())
    }

    async fn lost_of(&self, device: &DeviceId) -> Result<Vec<StoredRecord>, StoreError> {
        Ok(self.read().about(|record| record.device == *device && record.kind == "lost"))
    }

    async fn closing(
        &self,
        device: &DeviceId,
        cues: &[CueId],
        known: (UtcMs, UtcMs),
    ) -> Result<Vec<Listed>, StoreError> {
        let state = self.read();
        let about = |record: &StoredRecord| {
            record.device == *device
                && (record.at_ms < known.0 || known.1 <= record.at_ms)
                && record.cue.is_some_and(|cue| cues.contains(&cue))
        };
        let found = state.records.values().filter(|listed| about(&listed.record));
        let found = found.map(|listed| Listed { time: state.time_of(listed), ..listed.clone() });
        let mut found: Vec<Listed> = found.collect();
        found.sort_by_key(|listed| listed.position);
        Ok(found)
    }

    async fn arrivals(&self, after: i64, limit: u32) -> Result<Vec<Arrival>, StoreError> {
        let state = self.read();
        let mut listed: Vec<_> =
            state.records.values().filter(|listed| listed.position > after).collect();
        listed.sort_by_key(|listed| listed.position);
        let arrival = |Listed { position, record, .. }: &Listed| Arrival {
            position: *position,
            device: record.device.clone(),
            at_ms: record.at_ms,
            jws: Arrival::speaks(&record.kind).then(|| record.jws.clone()),
        };
        Ok(listed.into_iter().take(limit as usize).map(arrival).collect())
    }

    async fn marked(&self) -> Result<Marked, StoreError> {
        Ok(self.read().rolled.marked)
    }

    async fn queued(&self, limit: u32) -> Result<Vec<Queued>, StoreError> {
        Ok(self.read().rolled.queue.iter().take(limit as usize).cloned().collect())
    }

    async fn open_days(&self, device: &DeviceId) -> Result<Vec<PageKey>, StoreError> {
        let state = self.read();
        let names = state.rolled.names.get(&NameKind::Device).into_iter().flatten();
        let Some(number) = names.into_iter().position(|name| name == device.as_str()) else {
            return Ok(Vec::new());
        };
        let of_device = state.rolled.open.iter().filter(|((no, _), _)| *no as usize == number);
        Ok(of_device.map(|((_, day), unit)| PageKey { day: *day, unit: unit.clone() }).collect())
    }

    async fn mark(&self, pages: &[PageKey], marked: Marked, queued: i64) -> Result<(), StoreError> {
        let mut state = self.write()?;
        let rolled = &mut state.rolled;
        for page in pages {
            rolled.last_mark += 1;
            rolled.marks.insert(page.clone(), rolled.last_mark);
        }
        rolled.marked = marked;
        rolled.queue.retain(|one| one.position > queued);
        Ok(())
    }

    async fn marks(&self) -> Result<Vec<(PageKey, i64)>, StoreError> {
        let state = self.read();
        let mut marks: Vec<_> =
            state.rolled.marks.iter().map(|(page, mark)| (page.clone(), *mark)).collect();
        marks.sort_by_key(|(_, mark)| *mark);
        Ok(marks)
    }

    async fn expired(&self, now: UtcMs) -> Result<Vec<PageKey>, StoreError> {
        let state = self.read();
        let due = state
            .rolled
            .pages
            .iter()
            .filter_map(|(key, kept)| Some((kept.next_ms.filter(|next| *next <= now)?, key)));
        let due: BTreeSet<_> = due.collect();
        Ok(due.into_iter().map(|(_, key)| key.clone()).collect())
    }

    async fn put_page(&self, page: &JudgedPage, mark: Option<i64>) -> Result<(), StoreError> {
        let mut state = self.write()?;
        let rolled = &mut state.rolled;
        let unit = rolled.number(NameKind::Unit, page.key.unit.as_str());
        let day = page.key.day;
        if rolled.pages.get(&page.key).is_none_or(|kept| kept.upto <= page.upto) {
            let kept = KeptPage { day, unit, broadcasts: page.broadcasts.clone() };
            let kept = Kept { upto: page.upto, next_ms: page.next_ms, page: kept };
            rolled.pages.insert(page.key.clone(), kept);
            let month = day.year() * 12 + i32::try_from(day.month0()).unwrap_or(0);
            let rows = rolled.reach.entry((unit, month)).or_default();
            let bit = 1_u32 << day.day0();
            for days in rows.values_mut() {
                days.due &= !bit;
                days.confirmed &= !bit;
            }
            for touch in &page.touches {
                let days = rows.entry((touch.device.0, touch.subject.0)).or_default();
                days.due |= bit;
                days.confirmed |= if touch.confirmed { bit } else { 0 };
            }
            rows.retain(|_, days| days.due != 0);
            rolled.open.retain(|(_, open), of| *open != day || *of != page.key.unit);
            for device in &page.open {
                rolled.open.insert((*device, day), page.key.unit.clone());
            }
        }
        rolled.marks.retain(|_, known| Some(*known) != mark);
        Ok(())
    }

    async fn pages(
        &self,
        first: NaiveDate,
        last: NaiveDate,
        units: Option<&[u32]>,
    ) -> Result<Vec<KeptPage>, StoreError> {
        let state = self.read();
        let pages = state.rolled.pages.values().map(|kept| &kept.page);
        let inside = pages.filter(|page| first <= page.day && page.day <= last);
        Ok(inside.filter(|page| wanted(units, page.unit)).cloned().collect())
    }

    async fn reach(
        &self,
        first: i32,
        last: i32,
        units: Option<&[u32]>,
    ) -> Result<Vec<KeptReach>, StoreError> {
        let state = self.read();
        let inside =
            state.rolled.reach.iter().filter(|((unit, month), _)| {
                first <= *month && *month <= last && wanted(units, *unit)
            });
        let kept = inside.map(|((unit, month), rows)| KeptReach {
            month: *month,
            unit: *unit,
            rows: rows.iter().map(|((device, subject), days)| (*device, *subject, *days)).collect(),
        });
        Ok(kept.collect())
    }

    async fn put_report(
        &self,
        file: &ReportFile,
        leaf: Option<&Leaf>,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let mut state = self.write()?;
        if state.rolled.files.iter().all(|known| known.sha256 != file.sha256) {
            state.rolled.files.push(file.clone());
            if let Some(leaf) = leaf {
                state.say(leaf.clone());
            }
            state.trail.push(entry.clone());
        }
        Ok(())
    }

    async fn last_report(&self, question: &str) -> Result<Option<ReportFile>, StoreError> {
        let state = self.read();
        Ok(state.rolled.files.iter().rev().find(|file| file.question == question).cloned())
    }

    async fn reports(
        &self,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<(i64, ReportFile)>, StoreError> {
        let state = self.read();
        let numbered = (1_i64..).zip(&state.rolled.files);
        let mut found: Vec<_> = numbered
            .filter(|(position, _)| before.is_none_or(|before| *position < before))
            .map(|(position, file)| (position, file.clone()))
            .collect();
        found.reverse();
        found.truncate(limit as usize);
        Ok(found)
    }
}

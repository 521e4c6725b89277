//! Published schedules, in memory.

use super::MemoryStore;
use crate::app::ports::{
    Descriptions, Fence, Plans, RetainedDocument, StoreError, StoredSheet, StoredTimetable,
};
use crate::domain::ids::{DeviceId, Digest};
use crate::domain::time::UtcMs;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};

#[async_trait]
impl Plans for MemoryStore {
    async fn put_round(
        &self,
        sheets: &[StoredSheet],
        timetables: &[StoredTimetable],
        told: &Descriptions,
        fence: Option<Fence>,
    ) -> Result<(), StoreError> {
        let mut state = self.write()?;
        state.guard(fence.as_slice())?;
        let known: BTreeSet<Digest> =
            state.sheets.keys().copied().chain(sheets.iter().map(|sheet| sheet.sha256)).collect();
        for timetable in timetables {
            let of = &timetable.device;
            let newest =
                state.timetables.range((of.clone(), i64::MIN)..=(of.clone(), i64::MAX)).next_back();
            if let Some((_, newest)) = newest
                && newest.ver >= timetable.ver
                && !(newest.ver == timetable.ver && newest.jws == timetable.jws)
            {
                return Err(StoreError::Stale { what: "timetable", key: of.to_string() });
            }
            if timetable.days.iter().any(|day| !known.contains(&day.sheet)) {
                return Err(StoreError::Failed {
                    what: "keep a list of days",
                    source: "it names a sheet that is not stored".into(),
                });
            }
        }
        for sheet in sheets {
            state.sheets.entry(sheet.sha256).or_insert_with(|| sheet.clone());
        }
        state.tell(told);
        for timetable in timetables {
            let key = (timetable.device.clone(), timetable.ver);
            if !state.timetables.contains_key(&key) {
                let cues = timetable.days.iter().filter_map(|day| state.sheets.get(&day.sheet));
                let due = cues.flat_map(|sheet| sheet.cues.iter()).map(|cue| cue.at_ms);
                let first = due.filter(|at| *at > timetable.made_ms).min();
                state.say(crate::app::logbook::timetable(timetable, first)?);
                state.rolled.queue(&timetable.device, timetable.made_ms);
            }
            state
                .timetables
                .entry((timetable.device.clone(), timetable.ver))
                .or_insert_with(|| timetable.clone());
        }
        Ok(())
    }

    async fn mark_published(
        &self,
        versions: &[(DeviceId, i64)],
        at: UtcMs,
    ) -> Result<(), StoreError> {
        let mut state = self.write()?;
        for version in versions {
            let timetable = state.timetables.get_mut(version);
            if let Some(timetable) = timetable.filter(|known| known.published_ms.is_none()) {
                timetable.published_ms = Some(at);
            }
        }
        Ok(())
    }

    async fn newest_timetables(&self) -> Result<Vec<StoredTimetable>, StoreError> {
        let state = self.read();
        let newest: BTreeMap<_, _> =
            state.timetables.values().map(|timetable| (&timetable.device, timetable)).collect();
        Ok(newest.into_values().cloned().collect())
    }

    async fn timetables_of(
        &self,
        device: &DeviceId,
        from: UtcMs,
        to: UtcMs,
    ) -> Result<Vec<StoredTimetable>, StoreError> {
        let state = self.read();
        let of_device = || state.timetables.values().filter(|t| t.device == *device);
        let base = of_device().filter(|t| t.made_ms < from).map(|t| t.ver).max().unwrap_or(-1);
        Ok(of_device().filter(|t| t.ver >= base && t.made_ms < to).cloned().collect())
    }

    async fn timetable_text(
        &self,
        device: &DeviceId,
        ver: i64,
    ) -> Result<Option<std::sync::Arc<str>>, StoreError> {
        let key = (device.clone(), ver);
        Ok(self.read().timetables.get(&key).map(|timetable| timetable.jws.clone()))
    }

    async fn sheets(&self, ids: &[Digest]) -> Result<Vec<StoredSheet>, StoreError> {
        let state = self.read();
        let wanted: BTreeSet<_> = ids.iter().collect();
        Ok(wanted.into_iter().filter_map(|id| state.sheets.get(id)).cloned().collect())
    }

    async fn sheets_ending_after(&self, at: UtcMs) -> Result<Vec<Digest>, StoreError> {
        let state = self.read();
        Ok(state.sheets.values().filter(|s| s.to_ms > at).map(|s| s.sha256).collect())
    }

    async fn put_retained(&self, documents: &[RetainedDocument]) -> Result<(), StoreError> {
        self.write()?.put_retained(documents)
    }

    async fn replace_retained(
        &self,
        changes: &[(i64, RetainedDocument)],
        fence: Option<Fence>,
    ) -> Result<usize, StoreError> {
        let mut state = self.write()?;
        state.guard(fence.as_slice())?;
        let mut replaced = 0;
        for (before, document) in changes {
            if let Some(kept) = state.retained.get_mut(&document.topic)
                && kept.ver == *before
            {
                *kept = document.clone();
                replaced += 1;
            }
        }
        Ok(replaced)
    }

    async fn drop_retained(&self, topics: &[String]) -> Result<(), StoreError> {
        let mut state = self.write()?;
        for topic in topics {
            state.retained.remove(topic);
        }
        Ok(())
    }

    async fn retained(&self) -> Result<Vec<RetainedDocument>, StoreError> {
        Ok(self.read().retained.values().cloned().collect())
    }

    async fn forget_plans_before(&self, before: UtcMs) -> Result<u64, StoreError> {
        let mut state = self.write()?;
        let mut gone = 0;
        let mut named = BTreeSet::new();
        let kept: BTreeMap<_, _> = state
            .timetables
            .iter()
            .filter(|((device, ver), _)| {
                let replaced = state
                    .timetables
                    .range((device.clone(), ver + 1)..=(device.clone(), i64::MAX))
                    .any(|(_, newer)| newer.made_ms < before);
                gone += u64::from(replaced);
                !replaced
            })
            .map(|(key, timetable)| (key.clone(), timetable.clone()))
            .collect();
        for timetable in kept.values() {
            named.extend(timetable.days.iter().map(|day| day.sheet));
        }
        state.timetables = kept;
        state.sheets.retain(|id, sheet| {
            let keep = sheet.to_ms >= before || named.contains(id);
            gone += u64::from(!keep);
            keep
        });
        Ok(gone)
    }
}

//! Plans, topic lists and evidence by hand, in memory.

use super::{MemoryStore, State};
use crate::app::ports::{
    ByHand, EnteredEntry, EntryCorrection, EntryFilter, Page, PlanBook, StoreError, StoredEntry,
    StoredPlan, StoredTopics, WithdrawnPlan,
};
use crate::app::{logbook, trail};
use crate::domain::ids::{Digest, EntryId, PlanId};
use async_trait::async_trait;
use std::sync::Arc;

/// A plan with the file as it was given.
pub(super) type Kept = (StoredPlan, Arc<[u8]>);

impl State {
    fn newest_plan(&self, plan: &PlanId) -> Option<&StoredPlan> {
        let of = self.plans.range((plan.clone(), 0)..=(plan.clone(), u32::MAX));
        of.map(|(_, (stored, _))| stored).next_back()
    }

    fn standing(&self, entry: &EntryId) -> Result<usize, StoreError> {
        let stands = |one: &StoredEntry| one.entry.id == *entry && one.corrected.is_none();
        let stale = || StoreError::Stale { what: "entry of evidence", key: entry.to_string() };
        self.by_hand.iter().position(stands).ok_or_else(stale)
    }

    fn correct(&mut self, at: usize, correction: &EntryCorrection) -> Option<Digest> {
        let wrong = self.by_hand.get_mut(at)?;
        wrong.corrected = Some(correction.clone());
        Some(wrong.leaf)
    }
}

#[async_trait]
impl PlanBook for MemoryStore {
    async fn put_plan(
        &self,
        plan: &StoredPlan,
        source: &[u8],
        entry: &trail::Entry,
    ) -> Result<(), StoreError> {
        let mut state = self.write()?;
        let id = &plan.plan.id;
        let known = state.newest_plan(id);
        let same = |known: &StoredPlan| {
            (known.version, known.sha256) == (plan.version, plan.sha256)
                && known.withdrawn.is_none()
        };
        if known.is_some_and(same) {
            return Ok(());
        }
        if known.map_or(0, |known| known.version) + 1 != plan.version {
            return Err(StoreError::Stale { what: "plan", key: id.to_string() });
        }
        let kept = (StoredPlan { withdrawn: None, ..plan.clone() }, source.into());
        state.plans.insert((id.clone(), plan.version), kept);
        state.trail.push(entry.clone());
        Ok(())
    }

    async fn withdraw_plan(
        &self,
        plan: &PlanId,
        version: u32,
        withdrawn: &WithdrawnPlan,
        entry: &trail::Entry,
    ) -> Result<(), StoreError> {
        let mut state = self.write()?;
        let stands = |known: &StoredPlan| known.version == version && known.withdrawn.is_none();
        if !state.newest_plan(plan).is_some_and(stands) {
            return Err(StoreError::Stale { what: "plan", key: plan.to_string() });
        }
        if let Some((known, _)) = state.plans.get_mut(&(plan.clone(), version)) {
            known.withdrawn = Some(withdrawn.clone());
        }
        state.trail.push(entry.clone());
        Ok(())
    }

    async fn newest_plans(&self) -> Result<Vec<StoredPlan>, StoreError> {
        let state = self.read();
        let all = state.plans.values().map(|(stored, _)| stored);
        let newest = |stored: &&StoredPlan| {
            state.newest_plan(&stored.plan.id).is_some_and(|n| n.version == stored.version)
        };
        Ok(all.filter(newest).cloned().collect())
    }

    async fn plan_versions(&self, plan: &PlanId) -> Result<Vec<StoredPlan>, StoreError> {
        let state = self.read();
        let of = state.plans.range((plan.clone(), 0)..=(plan.clone(), u32::MAX));
        Ok(of.rev().map(|(_, (stored, _))| stored.clone()).collect())
    }

    async fn plan_source(
        &self,
        plan: &PlanId,
        version: u32,
    ) -> Result<Option<Arc<[u8]>>, StoreError> {
        let state = self.read();
        Ok(state.plans.get(&(plan.clone(), version)).map(|(_, source)| Arc::clone(source)))
    }

    async fn put_topics(
        &self,
        topics: &StoredTopics,
        _source: &[u8],
        entry: &trail::Entry,
    ) -> Result<(), StoreError> {
        let mut state = self.write()?;
        let key = (topics.list.id.clone(), topics.list.version);
        if let Some(known) = state.topics.get(&key) {
            if known.sha256 == topics.sha256 {
                return Ok(());
            }
            let key = format!("{} version {}", key.0, key.1);
            return Err(StoreError::Differs { what: "topic list", key });
        }
        state.topics.insert(key, topics.clone());
        state.trail.push(entry.clone());
        Ok(())
    }

    async fn topic_lists(&self) -> Result<Vec<StoredTopics>, StoreError> {
        Ok(self.read().topics.values().cloned().collect())
    }
}

#[async_trait]
impl ByHand for MemoryStore {
    async fn put_entry(
        &self,
        entered: &EnteredEntry,
        trail: &trail::Entry,
    ) -> Result<(), StoreError> {
        let EnteredEntry { entry, at_ms, by, corrects } = entered;
        let said = logbook::by_hand(entered)?;
        let leaf = logbook::leaf_hash(&said);
        let mut state = self.write()?;
        if let Some(known) = state.by_hand.iter().find(|known| known.entry.id == entry.id) {
            let key = entry.id.to_string();
            let differs = StoreError::Differs { what: "entry of evidence", key };
            return if known.entry == *entry { Ok(()) } else { Err(differs) };
        }
        let wrong =
            corrects.as_ref().map(|corrects| state.standing(&corrects.entry)).transpose()?;
        let position = i64::try_from(state.by_hand.len()).unwrap_or(i64::MAX) + 1;
        state.by_hand.push(StoredEntry {
            position,
            entry: entry.clone(),
            at_ms: *at_ms,
            by: by.clone(),
            corrects: corrects.as_ref().map(|corrects| corrects.entry.clone()),
            corrected: None,
            leaf,
        });
        state.say(said);
        if let (Some(at), Some(corrects)) = (wrong, corrects) {
            let reason = corrects.reason.clone();
            let by_entry = Some(entry.id.clone());
            let correction = EntryCorrection { at_ms: *at_ms, by: by.clone(), reason, by_entry };
            if let Some(of) = state.correct(at, &correction) {
                let reason = &corrects.reason;
                let said = logbook::corrected(of, Some(leaf), *at_ms, reason, by)?;
                state.say(said);
            }
        }
        state.trail.push(trail.clone());
        Ok(())
    }

    async fn withdraw_entry(
        &self,
        entry: &EntryId,
        correction: &EntryCorrection,
        trail: &trail::Entry,
    ) -> Result<(), StoreError> {
        let mut state = self.write()?;
        let at = state.standing(entry)?;
        if let Some(of) = state.correct(at, correction) {
            let EntryCorrection { at_ms, by, reason, .. } = correction;
            let said = logbook::corrected(of, None, *at_ms, reason, by)?;
            state.say(said);
        }
        state.trail.push(trail.clone());
        Ok(())
    }

    async fn entry(&self, id: &EntryId) -> Result<Option<StoredEntry>, StoreError> {
        Ok(self.read().by_hand.iter().find(|known| known.entry.id == *id).cloned())
    }

    async fn entries(
        &self,
        filter: &EntryFilter,
        page: Page,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let fits = |one: &StoredEntry| {
            let entry = &one.entry;
            let line = entry.line.as_ref();
            filter.units.as_ref().is_none_or(|units| units.contains(&entry.unit))
                && filter.channel.is_none_or(|channel| channel == entry.channel)
                && filter.plan.as_ref().is_none_or(|plan| line.is_some_and(|l| l.plan == *plan))
                && filter.line.as_ref().is_none_or(|wanted| line == Some(wanted))
                && filter.from.is_none_or(|from| entry.on >= from)
                && filter.to.is_none_or(|to| entry.on <= to)
                && !(filter.standing && one.corrected.is_some())
        };
        let mut all: Vec<_> = self.read().by_hand.iter().filter(|one| fits(one)).cloned().collect();
        let limit = match page {
            Page::Newest { limit } => {
                all.reverse();
                limit
            }
            Page::After { position, limit } => {
                all.retain(|one| one.position > position);
                limit
            }
        };
        all.truncate(limit as usize);
        Ok(all)
    }
}

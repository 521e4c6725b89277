//! Draws and findings, in memory.

use super::MemoryStore;
use crate::app::ports::{Draws, KeptHead, Page, StoreError, StoredDraw, StoredFindings};
use crate::app::trail::Entry;
use crate::domain::time::UtcMs;
use crate::log::leaf::Leaf;
use async_trait::async_trait;

#[async_trait]
impl Draws for MemoryStore {
    async fn put_draw(
        &self,
        new: &StoredDraw,
        leaf: &Leaf,
        entry: &Entry,
    ) -> Result<StoredDraw, StoreError> {
        let mut state = self.write()?;
        if let Some(known) = state.draws.iter().find(|known| known.id == new.id) {
            return Ok(known.clone());
        }
        state.draws.push(new.clone());
        state.say(leaf.clone());
        state.trail.push(entry.clone());
        Ok(new.clone())
    }

    async fn draw(&self, id: &str) -> Result<Option<StoredDraw>, StoreError> {
        Ok(self.read().draws.iter().find(|known| known.id == id).cloned())
    }

    async fn draws(&self, page: Page) -> Result<Vec<(i64, StoredDraw)>, StoreError> {
        let state = self.read();
        let mut all: Vec<_> = (1_i64..).zip(state.draws.iter().cloned()).collect();
        let limit = match page {
            Page::Newest { limit } => {
                all.reverse();
                limit
            }
            Page::After { position, limit } => {
                all.retain(|(at, _)| *at > position);
                limit
            }
        };
        all.truncate(limit as usize);
        Ok(all)
    }

    async fn add_findings(
        &self,
        new: &StoredFindings,
        leaf: &Leaf,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let mut state = self.write()?;
        let newest = state.findings.iter().rev().find(|known| known.draw == new.draw);
        if newest.is_some_and(|newest| newest.sha256 == new.sha256) {
            return Ok(());
        }
        state.findings.push(new.clone());
        state.say(leaf.clone());
        state.trail.push(entry.clone());
        Ok(())
    }

    async fn findings_of(&self, draw: &str) -> Result<Vec<StoredFindings>, StoreError> {
        let state = self.read();
        Ok(state.findings.iter().filter(|known| known.draw == draw).cloned().collect())
    }

    async fn head_since(&self, at: UtcMs) -> Result<Option<KeptHead>, StoreError> {
        Ok(self.read().heads.values().find(|head| head.met_ms >= at).cloned())
    }

    async fn record_up_to(&self, number: i64) -> Result<i64, StoreError> {
        let state = self.read();
        let most = usize::try_from(number).unwrap_or(0);
        let newest = state.leaves.iter().take(most).rev().find_map(|queued| queued.record());
        Ok(newest.and_then(|key| state.records.get(key)).map_or(0, |listed| listed.position))
    }
}

//! Ends of chains that have not come, in memory.

use super::MemoryStore;
use crate::app::ports::{Fence, StoreError, StoredTail, TailRound, Tails};
use crate::domain::ids::{ChainId, DeviceId};
use async_trait::async_trait;
use std::collections::BTreeMap;

#[async_trait]
impl Tails for MemoryStore {
    async fn tails(&self) -> Result<Vec<StoredTail>, StoreError> {
        Ok(self.read().tails.values().cloned().collect())
    }

    async fn ends(
        &self,
        chains: &[(DeviceId, ChainId)],
    ) -> Result<BTreeMap<(DeviceId, ChainId), u64>, StoreError> {
        let state = self.read();
        let end = |key: &(DeviceId, ChainId)| {
            let upto = state.chains.get(key)?.upto;
            let all = (key.0.clone(), key.1, 0)..=(key.0.clone(), key.1, u64::MAX);
            let highest = state.records.range(all).next_back().map_or(0, |((_, _, seq), _)| *seq);
            Some((key.clone(), upto.max(highest)))
        };
        Ok(chains.iter().filter_map(end).collect())
    }

    async fn keep_tails(&self, round: &TailRound, fence: Option<Fence>) -> Result<(), StoreError> {
        let mut state = self.write()?;
        state.guard(fence.as_slice())?;
        for tail in &round.put {
            state.tails.insert((tail.device.clone(), tail.chain), tail.clone());
        }
        for key in &round.gone {
            state.tails.remove(key);
        }
        for leaf in &round.leaves {
            state.say(leaf.clone());
        }
        Ok(())
    }
}

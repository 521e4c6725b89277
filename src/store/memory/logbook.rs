//! The queue of the log, in memory.

use super::{MemoryStore, State};
use crate::app::logbook;
use crate::app::ports::{Fence, Logbook, Loss, StoreError, StoredRecord, StoredShard};
use crate::domain::ids::{ChainId, DeviceId};
use crate::log::leaf::Leaf;
use async_trait::async_trait;

/// A leaf, and the record that it is, if it is one.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    leaf: Leaf,
    record: Option<(DeviceId, ChainId, u64)>,
}

fn long(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn at(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

impl State {
    pub(super) fn say(&mut self, leaf: Leaf) {
        self.leaves.push(Queued { leaf, record: None });
    }

    pub(super) fn queue_record(&mut self, record: &StoredRecord) -> Result<(), StoreError> {
        let key = (record.device.clone(), record.chain, record.seq);
        self.leaves.push(Queued { leaf: logbook::record(record)?, record: Some(key) });
        Ok(())
    }

    /// Says whether a record is in the log.
    pub(super) fn is_logged(&self, key: &(DeviceId, ChainId, u64)) -> bool {
        let logged = at(self.shards.last().map_or(0, |shard| shard.logged));
        !self.leaves.iter().skip(logged).any(|queued| queued.record.as_ref() == Some(key))
    }
}

#[async_trait]
impl Logbook for MemoryStore {
    async fn say(&self, leaf: &Leaf) -> Result<(), StoreError> {
        self.write()?.say(leaf.clone());
        Ok(())
    }

    async fn newest_leaf(&self) -> Result<i64, StoreError> {
        Ok(long(self.read().leaves.len()))
    }

    async fn leaves(&self, from: i64, most: u32) -> Result<Vec<Leaf>, StoreError> {
        let state = self.read();
        let rest = state.leaves.iter().skip(at(from - 1)).take(most as usize);
        Ok(rest.map(|queued| queued.leaf.clone()).collect())
    }

    async fn leaf_of(
        &self,
        device: &DeviceId,
        chain: &ChainId,
        seq: u64,
    ) -> Result<Option<i64>, StoreError> {
        let key = Some((device.clone(), *chain, seq));
        let found = self.read().leaves.iter().position(|queued| queued.record == key);
        Ok(found.map(|index| long(index + 1)))
    }

    async fn receipt_leaves(&self) -> Result<Vec<(DeviceId, i64)>, StoreError> {
        let state = self.read();
        Ok(state.receipt_leaves.iter().map(|(device, leaf)| (device.clone(), *leaf)).collect())
    }

    async fn shards(&self) -> Result<Vec<StoredShard>, StoreError> {
        Ok(self.read().shards.clone())
    }

    async fn begin_shard(
        &self,
        name: &str,
        leaf: &Leaf,
        logged: i64,
        fence: Option<Fence>,
    ) -> Result<StoredShard, StoreError> {
        let mut state = self.write()?;
        state.guard(fence.as_slice())?;
        let known = state.shards.last().map_or(0, |last| last.logged);
        if known != logged || state.shards.iter().any(|shard| shard.name == name) {
            return Err(StoreError::Stale { what: "shard of the log", key: name.to_owned() });
        }
        state.leaves.insert(at(logged), Queued { leaf: leaf.clone(), record: None });
        for waiting in state.receipt_leaves.values_mut().filter(|leaf| **leaf > logged) {
            *waiting += 1;
        }
        state.loss = None;
        let shard = StoredShard { name: name.to_owned(), first: logged + 1, logged };
        state.shards.push(shard.clone());
        Ok(shard)
    }

    async fn note_logged(
        &self,
        name: &str,
        logged: i64,
        fence: Option<Fence>,
    ) -> Result<(), StoreError> {
        let mut state = self.write()?;
        state.guard(fence.as_slice())?;
        if let Some(shard) = state.shards.iter_mut().find(|shard| shard.name == name) {
            shard.logged = shard.logged.max(logged);
        }
        Ok(())
    }

    async fn tell_loss(&self, loss: Option<&Loss>) -> Result<(), StoreError> {
        self.write()?.loss = loss.cloned();
        Ok(())
    }

    async fn loss(&self) -> Result<Option<Loss>, StoreError> {
        Ok(self.read().loss.clone())
    }

    async fn still_holds(&self, fence: Fence) -> Result<bool, StoreError> {
        Ok(self.read().guard(&[fence]).is_ok())
    }
}

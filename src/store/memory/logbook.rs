//! The queue of the log, in memory.

use super::{MemoryStore, State};
use crate::app::logbook;
use crate::app::ports::{
    Enclosed, Enclosure, Fence, Floor, KeptHead, Listed, Logbook, LoggedRecord, Loss, StoreError,
    StoredRecord, StoredShard,
};
use crate::domain::ids::{ChainId, DeviceId};
use crate::log::leaf::Leaf;
use async_trait::async_trait;
use std::collections::BTreeMap;

/// A leaf, and the record that it is, if it is one.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    leaf: Leaf,
    record: Option<(DeviceId, ChainId, u64)>,
}

impl Queued {
    /// Returns the record that it is, if it is one.
    pub(super) fn record(&self) -> Option<&(DeviceId, ChainId, u64)> {
        self.record.as_ref()
    }
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

    /// Returns how tightly the time of a record is enclosed.
    pub(super) fn time_of(&self, listed: &Listed) -> Enclosure {
        if let Some(width_ms) = self.late.get(&listed.position) {
            return Enclosure::Late { width_ms: *width_ms };
        }
        let record = &listed.record;
        let key = Some((record.device.clone(), record.chain, record.seq));
        let leaf = self.leaves.iter().position(|queued| queued.record == key);
        match leaf {
            Some(leaf) if long(leaf + 1) <= self.enclosed => Enclosure::Tight,
            _ => Enclosure::Open,
        }
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

    async fn leaves_at(&self, positions: &[i64]) -> Result<BTreeMap<i64, i64>, StoreError> {
        let state = self.read();
        let wanted = |listed: &&Listed| positions.contains(&listed.position);
        let known = state.records.values().filter(wanted).filter_map(|listed| {
            let record = &listed.record;
            let key = Some((record.device.clone(), record.chain, record.seq));
            let index = state.leaves.iter().position(|queued| queued.record == key)?;
            Some((listed.position, long(index + 1)))
        });
        Ok(known.collect())
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

    async fn keep_head(&self, head: &KeptHead, fence: Option<Fence>) -> Result<(), StoreError> {
        let mut state = self.write()?;
        state.guard(fence.as_slice())?;
        state.heads.entry(head.number).or_insert_with(|| head.clone());
        Ok(())
    }

    async fn head_with(&self, number: i64) -> Result<Option<KeptHead>, StoreError> {
        Ok(self.read().heads.range(number..).next().map(|(_, head)| head.clone()))
    }

    async fn head_up_to(&self, number: i64) -> Result<Option<KeptHead>, StoreError> {
        Ok(self.read().heads.range(..=number).next_back().map(|(_, head)| head.clone()))
    }

    async fn enclosed_up_to(&self) -> Result<i64, StoreError> {
        Ok(self.read().enclosed)
    }

    async fn logged_records(
        &self,
        after: i64,
        upto: i64,
        most: u32,
    ) -> Result<Vec<(i64, Option<LoggedRecord>)>, StoreError> {
        let state = self.read();
        let queued = state.leaves.iter().take(at(upto)).skip(at(after)).take(most as usize);
        let read = |(number, queued): (i64, &Queued)| {
            let listed = queued.record.as_ref().and_then(|key| state.records.get(key));
            let record = listed.map(|listed| LoggedRecord {
                position: listed.position,
                device: listed.record.device.clone(),
                chain: listed.record.chain,
                seq: listed.record.seq,
                digest: listed.record.digest,
                jws: listed.record.jws.clone(),
            });
            (number, record)
        };
        Ok((after + 1..).zip(queued).map(read).collect())
    }

    async fn floor(&self, device: &DeviceId, chain: &ChainId) -> Result<Option<Floor>, StoreError> {
        Ok(self.read().floors.get(&(device.clone(), *chain)).copied())
    }

    async fn enclose(&self, found: &Enclosed, fence: Option<Fence>) -> Result<(), StoreError> {
        let mut state = self.write()?;
        state.guard(fence.as_slice())?;
        if state.enclosed != found.after {
            let key = found.after.to_string();
            return Err(StoreError::Stale { what: "judged leaf of the log", key });
        }
        state.enclosed = found.upto;
        for (position, width_ms) in &found.late {
            let there = state.records.values().any(|listed| listed.position == *position);
            if there && state.late.insert(*position, *width_ms).is_none() {
                state.counts.late += 1;
            }
        }
        for (device, chain, floor) in &found.floors {
            state.floors.insert((device.clone(), *chain), *floor);
        }
        for leaf in &found.leaves {
            state.say(leaf.clone());
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

//! Evidence, in memory.

use super::MemoryStore;
use crate::app::ports::{
    Conflict, Enclosure, Evidence, EvidenceCounts, Fence, IntakeRound, Listed, Page, RecordFilter,
    Reject, Signed, StoreError, StoredChain, StoredReceipt,
};
use crate::domain::ids::{ChainId, DeviceId, Digest};
use crate::domain::proof::chain::Link;
use crate::domain::time::UtcMs;
use crate::store::evidence::REJECTS_KEPT;
use async_trait::async_trait;
use std::collections::BTreeMap;

#[async_trait]
impl Evidence for MemoryStore {
    async fn chain(
        &self,
        device: &DeviceId,
        chain: &ChainId,
    ) -> Result<Option<StoredChain>, StoreError> {
        Ok(self.read().chains.get(&(device.clone(), *chain)).cloned())
    }

    async fn chains_of(&self, device: &DeviceId) -> Result<Vec<StoredChain>, StoreError> {
        let state = self.read();
        let mut chains: Vec<_> =
            state.chains.values().filter(|chain| chain.device == *device).cloned().collect();
        chains.sort_by_key(|chain| (chain.opened_ms, chain.chain));
        Ok(chains)
    }

    async fn aside(
        &self,
        device: &DeviceId,
        chain: &ChainId,
        after: u64,
    ) -> Result<BTreeMap<u64, Link>, StoreError> {
        let state = self.read();
        let beyond = (device.clone(), *chain, after.saturating_add(1))..;
        let rows =
            state.records.range(beyond).take_while(|((d, c, _), _)| d == device && c == chain);
        Ok(rows
            .map(|((_, _, seq), listed)| {
                let record = &listed.record;
                let (digest, prev, at_ms) = (record.digest, record.prev, record.at_ms);
                (*seq, Link { digest, prev, at_ms })
            })
            .collect())
    }

    async fn digests(
        &self,
        device: &DeviceId,
        chain: &ChainId,
        seqs: &[u64],
    ) -> Result<BTreeMap<u64, Digest>, StoreError> {
        let state = self.read();
        let found = seqs.iter().filter_map(|seq| {
            let listed = state.records.get(&(device.clone(), *chain, *seq))?;
            Some((*seq, listed.record.digest))
        });
        Ok(found.collect())
    }

    async fn commit_intake(&self, round: &IntakeRound, fences: &[Fence]) -> Result<(), StoreError> {
        let mut state = self.write()?;
        state.guard(fences)?;
        for intake in &round.intakes {
            let chain = &intake.chain;
            let known = state.chains.get(&(chain.device.clone(), chain.chain));
            let stale = known.map_or(0, |known| known.revision) != chain.revision;
            let taken = intake.add.iter().any(|record| {
                state.records.contains_key(&(record.device.clone(), record.chain, record.seq))
            });
            if stale || taken {
                return Err(StoreError::Stale { what: "chain", key: chain.chain.to_string() });
            }
        }
        for intake in &round.intakes {
            let mut chain = intake.chain.clone();
            chain.revision += 1;
            let (device, id) = (chain.device.clone(), chain.chain);
            state.chains.insert((device.clone(), id), chain);
            for record in &intake.add {
                state.position += 1;
                state.counts.records += 1;
                state.counts.faulty += u64::from(record.fault.is_some());
                let (position, record) = (state.position, record.clone());
                let listed = Listed { position, record, time: Enclosure::Open };
                let record = &listed.record;
                state.queue_record(record)?;
                state.records.insert((record.device.clone(), record.chain, record.seq), listed);
            }
        }
        for intake in &round.intakes {
            for leaf in crate::app::logbook::missing(intake)? {
                state.say(leaf);
            }
        }
        for intake in &round.intakes {
            let (device, id) = (intake.chain.device.clone(), intake.chain.chain);
            for conflict in &intake.conflicts {
                if !state.conflicts.contains(conflict) {
                    for leaf in crate::app::logbook::conflict(conflict)? {
                        state.say(leaf);
                    }
                    state.conflicts.push(conflict.clone());
                    state.counts.conflicts += 1;
                }
            }
            for (seq, fault) in &intake.faults {
                if let Some(listed) = state.records.get_mut(&(device.clone(), id, *seq))
                    && listed.record.fault.is_none()
                {
                    listed.record.fault = Some(fault.clone());
                    state.counts.faulty += 1;
                }
            }
        }
        for reject in &round.rejects {
            let again = reject.signed == Signed::Yes
                && state.rejects.iter().any(|known| {
                    known.signed == Signed::Yes
                        && (&known.device, known.digest) == (&reject.device, reject.digest)
                });
            if !again {
                state.rejects.push(reject.clone());
                state.counts.rejects += 1;
            }
        }
        let mut kept: BTreeMap<DeviceId, usize> = BTreeMap::new();
        let mut rejects: Vec<_> = state.rejects.drain(..).rev().collect();
        rejects.retain(|reject| {
            if reject.signed == Signed::Yes {
                return true;
            }
            let of_device = kept.entry(reject.device.clone()).or_default();
            *of_device += 1;
            *of_device <= REJECTS_KEPT
        });
        rejects.reverse();
        state.rejects = rejects;
        for receipt in &round.receipts {
            let known = state.receipts.get(&receipt.device);
            if known.is_none_or(|k| k.chain != receipt.chain || k.upto <= receipt.upto) {
                state.receipts.insert(receipt.device.clone(), receipt.clone());
                let leaf = i64::try_from(state.leaves.len()).unwrap_or(i64::MAX);
                state.receipt_leaves.insert(receipt.device.clone(), leaf);
            }
        }
        Ok(())
    }

    async fn receipt_of(&self, device: &DeviceId) -> Result<Option<StoredReceipt>, StoreError> {
        Ok(self.read().receipts.get(device).cloned())
    }

    async fn receipts(&self) -> Result<Vec<StoredReceipt>, StoreError> {
        Ok(self.read().receipts.values().cloned().collect())
    }

    async fn records(&self, filter: &RecordFilter, page: Page) -> Result<Vec<Listed>, StoreError> {
        let state = self.read();
        let mut found: Vec<_> = state
            .records
            .values()
            .filter(|listed| {
                let record = &listed.record;
                filter.device.as_ref().is_none_or(|device| record.device == *device)
                    && filter.from_ms.is_none_or(|from| record.at_ms >= from)
                    && filter.to_ms.is_none_or(|to| record.at_ms < to)
                    && filter.kind.as_ref().is_none_or(|kind| record.kind == *kind)
                    && filter.cue.is_none_or(|cue| record.cue == Some(cue))
                    && (filter.jti.is_none() || record.jti == filter.jti)
            })
            .map(|listed| Listed { time: state.time_of(listed), ..listed.clone() })
            .collect();
        found.sort_by_key(|listed| listed.position);
        let limit = match page {
            Page::Newest { limit } => {
                found.reverse();
                limit
            }
            Page::After { position, limit } => {
                found.retain(|listed| listed.position > position);
                limit
            }
        };
        found.truncate(limit as usize);
        Ok(found)
    }

    async fn conflicts(&self, limit: u32) -> Result<Vec<Conflict>, StoreError> {
        Ok(self.read().conflicts.iter().rev().take(limit as usize).cloned().collect())
    }

    async fn rejects(&self, limit: u32) -> Result<Vec<Reject>, StoreError> {
        Ok(self.read().rejects.iter().rev().take(limit as usize).cloned().collect())
    }

    async fn evidence_counts(&self) -> Result<EvidenceCounts, StoreError> {
        Ok(self.read().counts)
    }

    async fn forget_before(&self, before: UtcMs) -> Result<u64, StoreError> {
        let mut guard = self.write()?;
        let state = &mut *guard;
        let had = state.records.len() + state.conflicts.len() + state.rejects.len();
        let gone: Vec<_> = state
            .records
            .iter()
            .filter(|((device, chain, seq), listed)| {
                let known = state.chains.get(&(device.clone(), *chain));
                listed.record.received_ms < before && *seq < known.map_or(0, |chain| chain.upto)
            })
            .map(|(key, _)| key.clone())
            .filter(|key| state.is_logged(key))
            .collect();
        for key in gone {
            state.records.remove(&key);
        }
        state.conflicts.retain(|conflict| conflict.record.received_ms >= before);
        state.rejects.retain(|reject| reject.received_ms >= before);
        let left = state.records.len() + state.conflicts.len() + state.rejects.len();
        Ok((had - left) as u64)
    }
}

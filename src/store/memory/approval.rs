//! Versions in force and proposals in memory.

use super::MemoryStore;
use crate::app::approval::{Proposal, Version};
use crate::app::ports::{ApprovalMark, ApprovalStep, Approvals, StoreError};
use crate::domain::ids::Digest;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;

#[async_trait]
impl Approvals for MemoryStore {
    async fn approval_step(&self, step: &ApprovalStep) -> Result<(), StoreError> {
        let mut state = self.write()?;
        state.guard(step.fence.as_slice())?;
        let newest = state.versions.last().map_or(0, |version| version.number);
        if newest != step.over {
            return Err(StoreError::Stale { what: "version", key: newest.to_string() });
        }
        for one in &step.proposals {
            let revision = state.proposals.get(&one.hash).map_or(0, |known| known.revision);
            if revision != one.revision {
                return Err(StoreError::Stale { what: "proposal", key: one.hash.to_string() });
            }
        }
        for one in &step.proposals {
            let raised = Proposal { revision: one.revision + 1, ..one.clone() };
            state.proposals.insert(one.hash, raised);
        }
        let version = step.version.iter().cloned();
        let version = version.map(|version| Version { number: newest + 1, ..version });
        state.versions.extend(version);
        for (sha256, bytes) in &step.blobs {
            state.blobs.entry(*sha256).or_insert_with(|| Arc::clone(bytes));
        }
        state.approval_off = step.off.unwrap_or(state.approval_off);
        state.trail.extend(step.entries.iter().cloned());
        for leaf in crate::app::logbook::approved(step)? {
            state.say(leaf);
        }
        Ok(())
    }

    async fn approval_mark(&self) -> Result<ApprovalMark, StoreError> {
        let state = self.read();
        Ok(ApprovalMark {
            newest: state.versions.last().map_or(0, |version| version.number),
            revisions: state.proposals.values().map(|one| one.revision).sum(),
            off: state.approval_off,
        })
    }

    async fn newest_version(&self) -> Result<Option<Version>, StoreError> {
        Ok(self.read().versions.last().cloned())
    }

    async fn version(&self, number: i64) -> Result<Option<Version>, StoreError> {
        Ok(self.read().versions.iter().find(|version| version.number == number).cloned())
    }

    async fn version_by(&self, approval: &Digest) -> Result<Option<Version>, StoreError> {
        let state = self.read();
        Ok(state.versions.iter().rfind(|version| version.approval == Some(*approval)).cloned())
    }

    async fn proposals(&self, limit: u32) -> Result<Vec<Proposal>, StoreError> {
        let mut all: Vec<_> = self.read().proposals.values().cloned().collect();
        all.sort_by_key(|one| (std::cmp::Reverse(one.made_ms), one.hash));
        all.truncate(limit as usize);
        Ok(all)
    }

    async fn pending_proposals(&self) -> Result<Vec<Proposal>, StoreError> {
        let mut all = self.proposals(u32::MAX).await?;
        all.retain(|one| one.stand.is_pending());
        Ok(all)
    }

    async fn proposal(&self, hash: &Digest) -> Result<Option<Proposal>, StoreError> {
        Ok(self.read().proposals.get(hash).cloned())
    }

    async fn blobs(&self, ids: &[Digest]) -> Result<BTreeMap<Digest, Arc<[u8]>>, StoreError> {
        let state = self.read();
        let found = ids.iter().filter_map(|id| Some((*id, Arc::clone(state.blobs.get(id)?))));
        Ok(found.collect())
    }
}

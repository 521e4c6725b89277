//! The in-memory twin: same ports, same contract, for tests and rehearsals.

mod approval;
mod draws;
mod evidence;
mod fleet;
mod logbook;
mod orders;
mod people;
mod planbook;
mod plans;
mod registry;
mod rollups;
mod tails;

use crate::app::approval::{Proposal, Version};
use crate::app::people::Person;
use crate::app::ports::{Conflict, DeviceKey, Reject};
use crate::app::ports::{
    EnrolmentCode, EvidenceCounts, Facts, Fence, Floor, KeptHead, KnownClip, Lease, LeaseName,
    Leases, Listed, Loss, Registered, RetainedDocument, StationFile, StoreError, StoredChain,
    StoredDraw, StoredEntry, StoredFindings, StoredHold, StoredNotice, StoredReceipt, StoredShard,
    StoredSheet, StoredStand, StoredTail, StoredTimetable, StoredTopics, StoredTurn, Token,
};
use crate::app::trail::Entry;
use crate::domain::fleet::Card;
use crate::domain::ids::{ChainId, DeviceId, Digest, PersonId, PlanId, TopicListId, UnitId};
use crate::domain::station::Unit;
use crate::domain::time::UtcMs;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A store that forgets when dropped.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    full: bool,
    leases: BTreeMap<LeaseName, Lease>,
    units: BTreeMap<UnitId, Unit>,
    devices: BTreeMap<DeviceId, Registered>,
    keys: BTreeMap<(DeviceId, String), DeviceKey>,
    codes: BTreeMap<Digest, EnrolmentCode>,
    tokens: BTreeMap<Digest, Token>,
    sheets: BTreeMap<Digest, StoredSheet>,
    timetables: BTreeMap<(DeviceId, i64), StoredTimetable>,
    retained: BTreeMap<String, RetainedDocument>,
    chains: BTreeMap<(DeviceId, ChainId), StoredChain>,
    records: BTreeMap<(DeviceId, ChainId, u64), Listed>,
    position: i64,
    conflicts: Vec<Conflict>,
    rejects: Vec<Reject>,
    counts: EvidenceCounts,
    receipts: BTreeMap<DeviceId, StoredReceipt>,
    clips: BTreeMap<String, KnownClip>,
    files: BTreeMap<String, StationFile>,
    people: BTreeMap<PersonId, Person>,
    trail: Vec<Entry>,
    notices: BTreeMap<String, StoredNotice>,
    holds: Vec<StoredHold>,
    approval_off: bool,
    versions: Vec<Version>,
    proposals: BTreeMap<Digest, Proposal>,
    blobs: BTreeMap<Digest, Arc<[u8]>>,
    leaves: Vec<logbook::Queued>,
    shards: Vec<StoredShard>,
    receipt_leaves: BTreeMap<DeviceId, i64>,
    loss: Option<Loss>,
    plans: BTreeMap<(PlanId, u32), planbook::Kept>,
    topics: BTreeMap<(TopicListId, u32), StoredTopics>,
    by_hand: Vec<StoredEntry>,
    heads: BTreeMap<i64, KeptHead>,
    draws: Vec<StoredDraw>,
    findings: Vec<StoredFindings>,
    enclosed: i64,
    late: BTreeMap<i64, Option<i64>>,
    floors: BTreeMap<(DeviceId, ChainId), Floor>,
    rolled: rollups::Rolled,
    tails: BTreeMap<(DeviceId, ChainId), StoredTail>,
    cards: BTreeMap<DeviceId, Card>,
    stands: BTreeMap<DeviceId, StoredStand>,
    turns: BTreeMap<DeviceId, Vec<StoredTurn>>,
}

impl MemoryStore {
    /// Makes every write fail as on a full disk, or lets them succeed again.
    pub fn set_full(&self, full: bool) {
        self.read().full = full;
    }

    fn read(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.read();
        if state.full {
            return Err(StoreError::Full { source: "no space left (simulated)".into() });
        }
        Ok(state)
    }
}

impl State {
    /// Keeps all of the documents, or none when one is below what is stored.
    fn put_retained(&mut self, documents: &[RetainedDocument]) -> Result<(), StoreError> {
        let mut after = self.retained.clone();
        for document in documents {
            if after.get(&document.topic).is_some_and(|known| known.ver > document.ver) {
                let key = document.topic.clone();
                return Err(StoreError::Stale { what: "retained document", key });
            }
            after.insert(document.topic.clone(), document.clone());
        }
        self.retained = after;
        Ok(())
    }

    fn guard(&self, fences: &[Fence]) -> Result<(), StoreError> {
        let number = |fence: &Fence| self.leases.get(&fence.name).map(|held| held.number);
        match fences.iter().find(|fence| number(fence) != Some(fence.number)) {
            Some(fence) => Err(StoreError::Fenced { lease: fence.name, number: fence.number }),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Leases for MemoryStore {
    async fn take_leases(
        &self,
        names: &[LeaseName],
        holder: &str,
        now: UtcMs,
        until: UtcMs,
    ) -> Result<Vec<Lease>, StoreError> {
        let mut state = self.write()?;
        let mut held = Vec::new();
        for &name in names {
            let next = Lease::next(state.leases.get(&name), holder, now, until);
            let Some(number) = next else { continue };
            let lease = Lease { name, holder: holder.to_owned(), number, until_ms: until };
            state.leases.insert(name, lease.clone());
            held.push(lease);
        }
        Ok(held)
    }

    async fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        Ok(self.read().leases.values().cloned().collect())
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut state = self.write()?;
        if let Some(held) = state.leases.get_mut(&lease.name)
            && held.number == lease.number
            && held.holder == lease.holder
        {
            held.until_ms = UtcMs(0);
        }
        Ok(())
    }
}

#[async_trait]
impl Facts for MemoryStore {
    async fn clips(&self) -> Result<Vec<KnownClip>, StoreError> {
        Ok(self.read().clips.values().cloned().collect())
    }

    async fn put_clips(&self, clips: &[KnownClip]) -> Result<(), StoreError> {
        let mut state = self.write()?;
        for clip in clips {
            state.clips.insert(clip.path.clone(), clip.clone());
        }
        Ok(())
    }

    async fn station_files(&self) -> Result<Vec<StationFile>, StoreError> {
        Ok(self.read().files.values().cloned().collect())
    }

    async fn put_station_files(
        &self,
        files: &[StationFile],
        gone: &[String],
        fence: Option<Fence>,
    ) -> Result<(), StoreError> {
        let mut state = self.write()?;
        state.guard(fence.as_slice())?;
        for file in files {
            state.files.insert(file.path.clone(), file.clone());
        }
        for path in gone {
            state.files.remove(path);
        }
        Ok(())
    }
}

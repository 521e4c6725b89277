//! What waits to be logged, and what each shard of the log holds.
//!
//! Leaves are numbered from 1 without gaps in the order in which what they tell of became durable.
//! The other ports add them within their own writes: records, holds, notices, timetables, keys and
//! approvals are never stored without their leaf.

use super::{Fence, StoreError};
use crate::domain::ids::{ChainId, DeviceId, Digest};
use crate::domain::time::UtcMs;
use crate::log::leaf::Leaf;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A shard of the log as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredShard {
    /// Its name, a year: `2027`.
    pub name: String,
    /// Number of its first leaf.
    pub first: i64,
    /// Up to this number its leaves are logged; below `first` none is.
    pub logged: i64,
}

impl StoredShard {
    /// Returns how many leaves are logged in it.
    pub fn size(&self) -> u64 {
        u64::try_from(self.logged.saturating_sub(self.first).saturating_add(1)).unwrap_or(0)
    }

    /// Returns the place of a leaf within the shard; `None` for an earlier shard's.
    pub fn index(&self, number: i64) -> Option<u64> {
        u64::try_from(number.checked_sub(self.first)?).ok()
    }

    /// Returns the number of the last leaf in the shard's tree of that size, as far as it is noted
    /// as logged: beyond, after a store was set back, the same numbers are other leaves'. `None`
    /// where there is none.
    pub fn last_of(&self, size: u64) -> Option<i64> {
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let last = self.first.saturating_add(size).saturating_sub(1).min(self.logged);
        (last >= self.first).then_some(last)
    }
}

/// An operator says that leaves that were logged are lost, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    pub reason: String,
    pub by: String,
}

/// A head that enough witnesses vouched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptHead {
    /// Number of the last leaf that it holds.
    pub number: i64,
    /// The shard.
    pub shard: String,
    /// Its leaves.
    pub size: u64,
    /// When there were enough of them.
    pub met_ms: UtcMs,
}

/// A record that stands in the log, under a head that was vouched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedRecord {
    pub position: i64,
    pub device: DeviceId,
    pub chain: ChainId,
    pub seq: u64,
    pub digest: Digest,
    pub jws: Arc<str>,
}

/// The time that a chain is known to have passed; `None` while none of its records quotes a head.
pub type Floor = Option<UtcMs>;

/// What was found of the times of some leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enclosed {
    /// Leaves after this number, up to that one.
    pub after: i64,
    pub upto: i64,
    /// Positions of records that are late, and how wide their time is.
    pub late: Vec<(i64, Option<i64>)>,
    /// What to say of them in the log.
    pub leaves: Vec<Leaf>,
    /// Chains that go on.
    pub floors: Vec<(DeviceId, ChainId, Floor)>,
}

/// The queue of the log.
#[async_trait]
pub trait Logbook: Send + Sync {
    /// Adds a statement by itself.
    async fn say(&self, leaf: &Leaf) -> Result<(), StoreError>;
    /// Returns the number of the newest leaf; 0 before the first.
    async fn newest_leaf(&self) -> Result<i64, StoreError>;
    /// Returns the leaves from a number on, at most so many. A record that retention has deleted
    /// ends the list before it, and is [`StoreError::Damaged`] when it is the first.
    async fn leaves(&self, from: i64, most: u32) -> Result<Vec<Leaf>, StoreError>;
    /// Returns the number of the leaf of a record; `None` when there is no such record.
    async fn leaf_of(
        &self,
        device: &DeviceId,
        chain: &ChainId,
        seq: u64,
    ) -> Result<Option<i64>, StoreError>;
    /// Returns the numbers of the leaves of records, by the records' positions; those that are not
    /// there are left out.
    async fn leaves_at(&self, positions: &[i64]) -> Result<BTreeMap<i64, i64>, StoreError>;
    /// Returns, for the newest receipt of every device, the leaf that was the newest when it was
    /// made: a checkpoint that holds it covers all that the receipt says.
    async fn receipt_leaves(&self) -> Result<Vec<(DeviceId, i64)>, StoreError>;

    /// Returns the shards, oldest first.
    async fn shards(&self) -> Result<Vec<StoredShard>, StoreError>;
    /// Begins a shard with a leaf, which takes its place before all that is not logged yet, and
    /// forgets a loss that was told. [`StoreError::Stale`] when more or less than `logged` is
    /// logged, or the name is taken.
    async fn begin_shard(
        &self,
        name: &str,
        leaf: &Leaf,
        logged: i64,
        fence: Option<Fence>,
    ) -> Result<StoredShard, StoreError>;
    /// Notes up to which number leaves are logged in the newest shard; never goes back.
    async fn note_logged(
        &self,
        name: &str,
        logged: i64,
        fence: Option<Fence>,
    ) -> Result<(), StoreError>;

    /// Keeps a head that was vouched for; one that is kept already stays as it is.
    async fn keep_head(&self, head: &KeptHead, fence: Option<Fence>) -> Result<(), StoreError>;
    /// Returns the first head kept that holds a leaf.
    async fn head_with(&self, number: i64) -> Result<Option<KeptHead>, StoreError>;
    /// Returns the last head kept that holds nothing after a leaf.
    async fn head_up_to(&self, number: i64) -> Result<Option<KeptHead>, StoreError>;
    /// Returns up to which leaf the times of records were judged.
    async fn enclosed_up_to(&self) -> Result<i64, StoreError>;
    /// Returns leaves after a number up to another, at most so many: their numbers, and the record
    /// of each that is one and still there.
    async fn logged_records(
        &self,
        after: i64,
        upto: i64,
        most: u32,
    ) -> Result<Vec<(i64, Option<LoggedRecord>)>, StoreError>;
    /// Returns the floor of a chain; `None` when nothing of it was judged.
    async fn floor(&self, device: &DeviceId, chain: &ChainId) -> Result<Option<Floor>, StoreError>;
    /// Keeps what was found, and says it, in one step. [`StoreError::Stale`] when it was judged
    /// up to another number meanwhile.
    async fn enclose(&self, found: &Enclosed, fence: Option<Fence>) -> Result<(), StoreError>;

    /// Tells that logged leaves are lost, or that this was no longer so.
    async fn tell_loss(&self, loss: Option<&Loss>) -> Result<(), StoreError>;
    /// Returns the loss that was told.
    async fn loss(&self) -> Result<Option<Loss>, StoreError>;
    /// Says whether a lease is still held under that number.
    async fn still_holds(&self, fence: Fence) -> Result<bool, StoreError>;
}

//! What waits to be logged, and what each shard of the log holds.
//!
//! Leaves are numbered from 1 without gaps in the order in which what they tell of became durable.
//! The other ports add them within their own writes: records, holds, notices, timetables, keys and
//! approvals are never stored without their leaf.

use super::{Fence, StoreError};
use crate::domain::ids::{ChainId, DeviceId};
use crate::log::leaf::Leaf;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

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
}

/// An operator says that leaves that were logged are lost, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    pub reason: String,
    pub by: String,
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

    /// Tells that logged leaves are lost, or that this was no longer so.
    async fn tell_loss(&self, loss: Option<&Loss>) -> Result<(), StoreError>;
    /// Returns the loss that was told.
    async fn loss(&self) -> Result<Option<Loss>, StoreError>;
    /// Says whether a lease is still held under that number.
    async fn still_holds(&self, fence: Fence) -> Result<bool, StoreError>;
}

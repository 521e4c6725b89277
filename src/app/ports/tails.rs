//! What devices say of the end of their chains, as long as it has not come.

use super::{Fence, StoreError};
use crate::domain::ids::{ChainId, DeviceId, Digest};
use crate::domain::time::UtcMs;
use crate::log::leaf::Leaf;
use async_trait::async_trait;
use std::collections::BTreeMap;

/// The end of a chain that has not come, by the device's own word in `state`: a hint that excuses
/// nothing and proves nothing, and the only thing that shows a tail that was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTail {
    pub device: DeviceId,
    pub chain: ChainId,
    /// Number and SHA-256 of the newest record that was told of.
    pub seq: u64,
    pub head: Option<Digest>,
    /// When the first that has not come was told of.
    pub since_ms: UtcMs,
    /// The highest number that had come at the last look; 0 before the first.
    pub came: u64,
    /// Since when nothing came though the device was connected.
    pub quiet_ms: UtcMs,
    pub stand: TailStand,
    /// Up to this number the log says that they are missing; 0 where it says nothing.
    pub said: u64,
}

/// What is to be thought of a tail that has not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TailStand {
    /// It may be on its way, or the device cannot send now.
    Waiting,
    /// It should have come long since: a person is told.
    Missing,
    /// The device writes another chain now, or is revoked: what is missing will hardly come.
    GivenUp,
}

impl TailStand {
    /// Returns the word as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Missing => "missing",
            Self::GivenUp => "given-up",
        }
    }

    /// Reads the word.
    pub fn read(word: &str) -> Option<Self> {
        [Self::Waiting, Self::Missing, Self::GivenUp].into_iter().find(|one| one.as_str() == word)
    }
}

/// What a look at the tails changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TailRound {
    /// Added, or in the place of what was known of the chain.
    pub put: Vec<StoredTail>,
    /// Came after all, or need not be remembered.
    pub gone: Vec<(DeviceId, ChainId)>,
    /// What to say of them in the log.
    pub leaves: Vec<Leaf>,
}

impl TailRound {
    /// Says whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.put.is_empty() && self.gone.is_empty() && self.leaves.is_empty()
    }
}

/// Tails that have not come.
#[async_trait]
pub trait Tails: Send + Sync {
    /// Returns all that are remembered, by device and chain.
    async fn tails(&self) -> Result<Vec<StoredTail>, StoreError>;
    /// Returns the highest number of each chain that came or was declared lost; a chain of which
    /// nothing came is not there.
    async fn ends(
        &self,
        chains: &[(DeviceId, ChainId)],
    ) -> Result<BTreeMap<(DeviceId, ChainId), u64>, StoreError>;
    /// Keeps what a look found, and says it, in one step.
    async fn keep_tails(&self, round: &TailRound, fence: Option<Fence>) -> Result<(), StoreError>;
}

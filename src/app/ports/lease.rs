//! Who does what, when several processes share a store.

use super::StoreError;
use crate::domain::time::UtcMs;
use async_trait::async_trait;
use std::fmt;

/// Work that one process at a time does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeaseName {
    /// Compiles and signs.
    Compiler,
    /// Publishes retained state and presence.
    Publisher,
    /// Writes the log.
    Sequencer,
    /// Takes in the records of one sixteenth of the devices, 0..=15.
    Ingest(u8),
}

impl LeaseName {
    /// Returns all names, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Compiler, Self::Publisher, Self::Sequencer]
            .into_iter()
            .chain((0..16).map(Self::Ingest))
    }
}

impl fmt::Display for LeaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compiler => f.write_str("compiler"),
            Self::Publisher => f.write_str("publisher"),
            Self::Sequencer => f.write_str("sequencer"),
            Self::Ingest(part) => write!(f, "ingest/{:x}", part & 0xf),
        }
    }
}

/// A lease held, with the number that tells its holder from earlier ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub name: LeaseName,
    pub holder: String,
    /// Grows by one whenever another holder takes it.
    pub number: i64,
    pub until_ms: UtcMs,
}

impl Lease {
    /// Returns what a write shows to prove that it still holds the lease.
    pub fn fence(&self) -> Fence {
        Fence { name: self.name, number: self.number }
    }
}

/// The number under which a write is made; refused once another holds the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    pub name: LeaseName,
    pub number: i64,
}

/// Leases as rows.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes or prolongs the lease until `until`; `None` when another holds it beyond `now`.
    async fn take_lease(
        &self,
        name: LeaseName,
        holder: &str,
        now: UtcMs,
        until: UtcMs,
    ) -> Result<Option<Lease>, StoreError>;

    /// Gives the lease back at once; without effect when another holds it.
    async fn release_lease(&self, lease: &Lease) -> Result<(), StoreError>;
}

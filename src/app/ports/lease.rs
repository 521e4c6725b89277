//! Who does what, when several processes share a store.
//!
//! Whoever may work is told by the leases; whoever may write is decided by their numbers, checked
//! in the transaction of the write itself. A process that slept through the end of its lease
//! therefore does no harm, whatever it believes.

use super::StoreError;
use crate::domain::time::UtcMs;
use async_trait::async_trait;
use std::fmt;
use std::str::FromStr;

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
    /// Not work: says that a process is there to take its share.
    Member(u64),
}

/// Into how many shares the devices fall.
pub const SHARES: u8 = 16;

impl LeaseName {
    /// Returns the names of all work, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Compiler, Self::Publisher, Self::Sequencer]
            .into_iter()
            .chain((0..SHARES).map(Self::Ingest))
    }
}

impl fmt::Display for LeaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compiler => f.write_str("compiler"),
            Self::Publisher => f.write_str("publisher"),
            Self::Sequencer => f.write_str("sequencer"),
            Self::Ingest(part) => write!(f, "ingest/{:x}", part & 0xf),
            Self::Member(id) => write!(f, "member/{id:016x}"),
        }
    }
}

impl FromStr for LeaseName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Some(id) = text.strip_prefix("member/").filter(|id| id.len() == 16) {
            return u64::from_str_radix(id, 16).map(Self::Member).map_err(|_| ());
        }
        Self::all().find(|name| name.to_string() == text).ok_or(())
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
    /// Returns the number under which the holder has the lease until `until`, when it may:
    /// its own number again, or the next one.
    pub fn next(known: Option<&Self>, holder: &str, now: UtcMs, until: UtcMs) -> Option<i64> {
        match known {
            None => Some(1),
            Some(held) if held.holder == holder => Some(held.number),
            Some(held) if held.is_free(now, until) => Some(held.number + 1),
            Some(_) => None,
        }
    }

    /// Says whether another may take it who would hold it until `until`.
    pub fn is_free(&self, now: UtcMs, until: UtcMs) -> bool {
        let farthest = until.plus(until.since(now));
        self.until_ms <= now || self.until_ms > farthest
    }

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
    ) -> Result<Option<Lease>, StoreError> {
        Ok(self.take_leases(&[name], holder, now, until).await?.pop())
    }

    /// Takes or prolongs those of the leases that are free or its own, in one step, and forgets
    /// members long gone; returns what is held now. A lease that runs for more than twice the
    /// time asked for here was given by a clock that has since been set back: it counts as free.
    async fn take_leases(
        &self,
        names: &[LeaseName],
        holder: &str,
        now: UtcMs,
        until: UtcMs,
    ) -> Result<Vec<Lease>, StoreError>;

    /// Returns all leases as they stand, also those that have ended.
    async fn leases(&self) -> Result<Vec<Lease>, StoreError>;

    /// Gives the lease back at once; without effect when another holds it. The row tells who
    /// held it last.
    async fn release_lease(&self, lease: &Lease) -> Result<(), StoreError>;
}

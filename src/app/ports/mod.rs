//! What the use cases need of a store; `store` keeps it in SQL and in memory.
//!
//! Speaks domain words and exact bytes only: rows and driver errors never leave `store`.
//!
//! # Invariants
//! * What a method returns `Ok` for is durable (synced) when it returns; each call is one
//!   transaction, done whole or not at all.
//! * Writes are idempotent: the same call again changes nothing.
//! * "Not found" is `Ok(None)`.
//! * Nothing here changes or drops a record; the only deletion of evidence is
//!   [`Evidence::forget_before`], which retention alone calls.

mod approval;
mod byhand;
mod draws;
mod evidence;
mod facts;
mod fleet;
mod lease;
mod logbook;
mod orders;
mod people;
mod planbook;
mod plans;
mod registry;
mod rollups;
mod tails;
mod trail;

pub use approval::*;
pub use byhand::*;
pub use draws::*;
pub use evidence::*;
pub use facts::*;
pub use fleet::*;
pub use lease::*;
pub use logbook::*;
pub use orders::*;
pub use people::*;
pub use planbook::*;
pub use plans::*;
pub use registry::*;
pub use rollups::*;
pub use tails::*;
pub use trail::*;

use std::error::Error;

/// What a driver said.
pub type Source = Box<dyn Error + Send + Sync + 'static>;

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No space: nothing was written, and the caller must not acknowledge anything.
    #[error("the disk of the store is full")]
    Full {
        #[source]
        source: Source,
    },
    /// The lease went to somebody else: stop, the other one works on.
    #[error("lease `{lease}` with number {number} is no longer held")]
    Fenced { lease: LeaseName, number: i64 },
    /// What the caller decided upon has changed: read again and decide again.
    #[error("{what} `{key}` has changed meanwhile")]
    Stale { what: &'static str, key: String },
    /// A stored value is not what was once written.
    #[error("stored {what} `{key}` cannot be read back")]
    Damaged { what: &'static str, key: String },
    /// Pages of the store's file are not what was once written.
    #[error("the store's file is damaged: it failed to {what}")]
    Corrupt {
        what: &'static str,
        #[source]
        source: Source,
    },
    /// The same key with other content, where content is immutable.
    #[error("{what} `{key}` is already stored with other content")]
    Differs { what: &'static str, key: String },
    /// A file of a newer version of the program, or not a store at all.
    #[error("the store has version {found}, this program knows {known}")]
    TooNew { found: i64, known: i64 },
    /// Anything else the driver says.
    #[error("the store failed to {what}")]
    Failed {
        what: &'static str,
        #[source]
        source: Source,
    },
}

impl StoreError {
    /// Says what a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Full { .. } => {
                "free space on the disk of `--data`; devices keep their records until then"
            }
            Self::Fenced { .. } => "another `loa serve` on this store has taken over; stop one",
            Self::Stale { .. } => "try again",
            Self::Corrupt { .. } | Self::Damaged { .. } | Self::Differs { .. } => {
                "restore the last backup into a new folder and compare; devices resend records"
            }
            Self::TooNew { .. } => "start the newer `loa`, or restore a backup of this version",
            Self::Failed { .. } => "look at the cause; check disk, permissions and free space",
        }
    }
}

/// All parts of a store together.
pub trait Store:
    Registry
    + Plans
    + Evidence
    + Facts
    + Leases
    + Orders
    + People
    + Trail
    + Approvals
    + Logbook
    + PlanBook
    + ByHand
    + RollupStore
    + Draws
    + Tails
    + Fleet
{
}
impl<T> Store for T where
    T: Registry
        + Plans
        + Evidence
        + Facts
        + Leases
        + Orders
        + People
        + Trail
        + Approvals
        + Logbook
        + PlanBook
        + ByHand
        + RollupStore
        + Draws
        + Tails
        + Fleet
{
}

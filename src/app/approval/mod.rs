//! Nothing sounds without a second person (duyệt phát): what is in force, what waits, who decides.
//!
//! What is in force is a [`Manifest`]: the files of the station by hash, and every clip they name
//! frozen by hash, so a file saved at 16:59 and a clip exchanged under the same name are the same
//! thing here: a change. [`settle`] compares it with what the folder holds: what only silences
//! comes into force at once, file by file; the rest is one [`Proposal`], named by the hash over
//! exactly what changes. [`Desk`] lets people name themselves its author, approve it, return it,
//! withdraw a playlist or go back.
//!
//! # Invariants
//! * A proposal comes into force by one approver who is not its author, or, while nobody has
//!   named himself the author, by two; each may approve for every unit whose devices change.
//! * What comes into force is what the approvers saw: the hash they named, over the version they
//!   saw it compared with. If that has changed meanwhile, they look again.
//! * An approval is durable before anything is published by it.
//! * A proposal that was returned waits until somebody proposes it anew; one that was rolled back
//!   needs its approvals again.
//!
//! # Why both the file and an administrator must say `off`
//! A file has no proven author: `approval = "off"` in `station.toml` alone would let whoever can
//! write the folder do without the second person. The command line alone would surprise whoever
//! reads the file. So either of them is enough to require approval, and it takes both to do
//! without.

mod desk;
mod manifest;
mod settle;

pub use desk::{Decided, Desk, DeskError};
pub use manifest::{ChangeSet, FileEntry, FrozenClip, Manifest};
pub use settle::{Bench, Settled, baseline, settle, unapproved};

use crate::domain::approval::Preview;
use crate::domain::ids::{Digest, PersonId};
use crate::domain::time::UtcMs;
use serde::{Deserialize, Serialize};

/// How many approve what nobody has named himself the author of.
pub const ANONYMOUS: usize = 2;

/// A version in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// From 1, given by the store.
    pub number: i64,
    pub at_ms: UtcMs,
    /// By which approval; `None` for what silences, and without approval.
    pub approval: Option<Digest>,
    pub manifest: Manifest,
}

/// A change that waits for a second person, or once did (trình duyệt).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Over exactly what changes: [`ChangeSet::hash`].
    pub hash: Digest,
    /// Raised by the store at every change; 0 before it is stored.
    #[serde(default)]
    pub revision: i64,
    pub made_ms: UtcMs,
    /// The version it was compared with; 0 before the first.
    pub base: i64,
    pub author: Option<PersonId>,
    pub stand: Stand,
    /// Who has approved so far.
    pub votes: Vec<PersonId>,
    pub change: ChangeSet,
    pub preview: Preview,
}

/// How a proposal stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Stand {
    /// Waits.
    Open,
    /// Came into force.
    Approved { at_ms: UtcMs },
    /// Sent back with a reason; waits until it is proposed anew.
    Returned { at_ms: UtcMs, by: PersonId, reason: String },
    /// The files have changed since: another proposal took its place.
    Superseded { at_ms: UtcMs },
}

impl Stand {
    /// Returns the stable word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approved { .. } => "approved",
            Self::Returned { .. } => "returned",
            Self::Superseded { .. } => "superseded",
        }
    }

    /// Says whether it is what the folder holds and is not in force.
    pub fn is_pending(&self) -> bool {
        matches!(self, Self::Open | Self::Returned { .. })
    }
}

impl Proposal {
    /// Returns how many more must approve.
    pub fn lacks(&self) -> usize {
        let needed = if self.author.is_some() { 1 } else { ANONYMOUS };
        needed.saturating_sub(self.votes.len())
    }
}

#[cfg(test)]
mod tests;

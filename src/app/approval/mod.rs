//! Nothing sounds without a second person (duyệt phát): what is in force, what waits, who decides.
//!
//! What is in force is a [`Manifest`]: the files of the station by hash, and every clip they name
//! frozen by hash, so a file saved at 16:59 and a clip exchanged under the same name are the same
//! thing here: a change. [`settle`] compares it with what the folder holds: what only silences
//! comes into force at once, file by file; of the rest each file is a [`Proposal`] of its own,
//! or with the files it cannot be without, or with those that a person proposed together. It is
//! named by the hash over exactly what it changes and every clip that it names. [`Desk`] lets
//! people name themselves its author, approve it, return it, take it back, withdraw playlists or
//! go back to an approved version.
//!
//! # Invariants
//! * A proposal comes into force by one approver who is not its author, or, while nobody has
//!   named himself the author, by two; each may approve for every unit whose devices change.
//! * What comes into force is what the approvers saw: the hash they named, with the effect on air
//!   that it had when it was proposed. Where the version under it has changed meanwhile in a way
//!   that changes this effect, it is stale, and they look again; otherwise it goes on.
//! * Proposals share no file: one that is approved, returned or forgotten holds up no other.
//! * An approval is durable before anything is published by it.
//! * A proposal that was returned, taken back or became stale waits until somebody proposes it anew; one that was rolled back
//!   needs its approvals again.
//!
//! # Why both the file and an administrator must say `off`
//! A file has no proven author: `approval = "off"` in `station.toml` alone would let whoever can
//! write the folder do without the second person. The command line alone would surprise whoever
//! reads the file. So either of them is enough to require approval, and it takes both to do
//! without.

mod back;
mod bench;
mod desk;
mod error;
mod group;
mod keep;
mod manifest;
mod moved;
mod settle;

pub use back::{Back, Backed, Scope};
pub use bench::Bench;
pub use desk::{Decided, Desk};
pub use error::DeskError;
pub use group::{MOST_OPEN, MOST_PIECES};
pub use keep::{keep, put_in_force, supersede};
pub use manifest::{ChangeSet, FileEntry, FrozenClip, Manifest, Naming};
pub use settle::{Over, Settled, Waiting, baseline, settle, unapproved};

use crate::domain::approval::Preview;
use crate::domain::ids::{Digest, PersonId, UnitId};
use crate::domain::time::UtcMs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

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
    /// Why its files are one proposal.
    #[serde(default)]
    pub together: Together,
    pub preview: Preview,
    /// The units that it addresses, on whatever date.
    #[serde(default)]
    pub reach: BTreeSet<UnitId>,
    /// When the preview was made.
    #[serde(default = "never")]
    pub judged_ms: UtcMs,
}

fn never() -> UtcMs {
    UtcMs(0)
}

/// Why the files of a proposal wait together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Together {
    /// It is one file or clip.
    #[default]
    Alone,
    /// None of them fits what is in force without the others.
    Needed,
    /// A person proposed them together.
    Person,
    /// More wait than are shown one by one.
    Many,
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
    /// Taken back by its author; waits until it is proposed anew.
    TakenBack { at_ms: UtcMs },
    /// What is in force has changed under it so that it would now do something else on air;
    /// waits until somebody has looked and proposes it anew.
    Stale { at_ms: UtcMs },
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
            Self::TakenBack { .. } => "taken-back",
            Self::Stale { .. } => "stale",
            Self::Superseded { .. } => "superseded",
        }
    }

    /// Says whether it is what the folder holds and is not in force.
    pub fn is_pending(&self) -> bool {
        !matches!(self, Self::Approved { .. } | Self::Superseded { .. })
    }
}

impl Proposal {
    /// Returns how many more must approve.
    pub fn lacks(&self) -> usize {
        let needed = if self.author.is_some() { 1 } else { ANONYMOUS };
        needed.saturating_sub(self.votes.len())
    }

    /// Returns the names of what changes: files, and clips that are new or other.
    pub fn names(&self) -> Vec<&str> {
        self.change.files.keys().chain(&self.change.other).map(String::as_str).collect()
    }

    /// Returns the units that whoever decides must answer for.
    pub fn units(&self) -> BTreeSet<UnitId> {
        self.reach.iter().chain(self.preview.units.keys()).cloned().collect()
    }
}

#[cfg(test)]
mod tests;

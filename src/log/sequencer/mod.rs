//! The one writer of a log: gives leaves their places, writes tiles, signs heads.
//!
//! # A round
//! 1. tiles and bundles that change, durable; nothing refers to them yet;
//! 2. the new head into the [head file](super::head), durable: it may be signed from here on;
//! 3. signature, `checkpoint` replaced: the round is published;
//! 4. partial tiles that a full one replaces are removed.
//!
//! Killed or cut off anywhere, [`Sequencer::open`] finishes a round that reached step 2 and forgets
//! one that did not; the leaves still lie in the caller's queue, and given again they make the
//! same bytes.
//!
//! # Invariants
//! * Whatever is signed is durable before, here and in the head file.
//! * No two heads of which neither is the beginning of the other are ever signed: the sequencer
//!   refuses to start on a tree behind or beside what head file or witnesses know.
//! * A failed round gives no sequencer back: the caller opens it again and learns what is durable.

mod append;
mod open;
mod rebuild;

pub use append::AppendError;
pub use open::{Adopt, Claim, OpenError, Setup};
pub use rebuild::RebuildError;

use super::disk::Disk;
use super::edge::Edge;
use super::folder::Folder;
use super::head::HeadFile;
use crate::wire::tlog::{Checkpoint, LogSigner, Name, SignedCheckpoint, VerifierKey};

/// See the module.
#[derive(Debug)]
pub struct Sequencer<D> {
    folder: Folder<D>,
    head_file: HeadFile,
    origin: Name,
    signers: Vec<LogSigner>,
    edge: Edge,
    published: Option<SignedCheckpoint>,
}

impl<D: Disk> Sequencer<D> {
    /// Returns the leaves of the tree: the place of the next one.
    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    /// Returns the published checkpoint with its signatures; `None` before the first leaf.
    pub fn checkpoint(&self) -> Option<&SignedCheckpoint> {
        self.published.as_ref()
    }

    /// Returns the log's name.
    pub fn origin(&self) -> &Name {
        &self.origin
    }

    /// Returns the folder, for proofs.
    pub fn folder(&self) -> &Folder<D> {
        &self.folder
    }

    fn head(&self, edge: &Edge) -> Checkpoint {
        Checkpoint { origin: self.origin.clone(), size: edge.size(), root: edge.root() }
    }
}

fn verifiers(signers: &[LogSigner]) -> Vec<VerifierKey> {
    signers.iter().map(|signer| signer.verifier().clone()).collect()
}

#[cfg(test)]
mod tests;

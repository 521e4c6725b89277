//! Checkpoints: the size and root that a log vouches for, as a note (C2SP tlog-checkpoint).
//!
//! Extension lines are refused: nobody can audit them, so a statement hidden there would be
//! cosigned unseen.

use super::hash::TreeHash;
use super::key::{LogSigner, VerifierKey};
use super::name::{Name, NameError};
use super::note::{Note, NoteError};
use super::text::{decimal, excerpt};

/// A tree at one size: which log, how many leaves, what they hash to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log.
    pub origin: Name,
    /// Its leaves.
    pub size: u64,
    /// The root over them.
    pub root: TreeHash,
}

/// Why a note is no checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message says it")]
pub enum CheckpointError {
    #[error("the checkpoint's note cannot be believed")]
    Note(#[from] NoteError),
    #[error("the checkpoint has no usable origin")]
    Origin(#[source] NameError),
    #[error("the checkpoint's size `{text}` is not a number")]
    Size { text: String },
    #[error("the checkpoint's root `{text}` is not a hash")]
    Root { text: String },
    #[error("a checkpoint has 3 lines, this one {got}")]
    Lines { got: usize },
    #[error("the checkpoint of an empty tree names the root {root}")]
    Empty { root: TreeHash },
    #[error("the checkpoint is of `{got}`, not of `{want}`")]
    Foreign { got: Name, want: Name },
}

impl CheckpointError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Note(error) => error.hint(),
            Self::Foreign { .. } => "compare the origin in the configuration with the log's",
            _ => "wanted are three lines (origin, size, root in base64); fetch it again",
        }
    }
}

impl Checkpoint {
    /// Writes the text that log and witnesses sign.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root)
    }

    /// Reads the text.
    pub fn parse_text(text: &str) -> Result<Self, CheckpointError> {
        let lines: Vec<&str> =
            text.strip_suffix('\n').unwrap_or(text).split('\n').take(5).collect();
        let [origin, size, root] = lines[..] else {
            return Err(CheckpointError::Lines { got: lines.len() });
        };
        let origin = Name::new(origin).map_err(CheckpointError::Origin)?;
        let size = decimal(size).ok_or_else(|| CheckpointError::Size { text: excerpt(size) })?;
        let root: TreeHash =
            root.parse().map_err(|_| CheckpointError::Root { text: excerpt(root) })?;
        if size == 0 && root != TreeHash::EMPTY {
            return Err(CheckpointError::Empty { root });
        }
        Ok(Self { origin, size, root })
    }

    /// Signs with all keys of the log, in their order.
    pub fn sign(&self, signers: &[LogSigner]) -> SignedCheckpoint {
        let text = self.text();
        let lines = signers.iter().map(|signer| signer.sign(&text)).collect();
        SignedCheckpoint { checkpoint: self.clone(), note: Note::signed(text, lines) }
    }
}

/// A checkpoint with its note, the signatures not yet believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl SignedCheckpoint {
    /// Reads a note whose text is a checkpoint.
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let note = Note::parse(bytes)?;
        let checkpoint = Checkpoint::parse_text(note.text())?;
        Ok(Self { checkpoint, note })
    }

    /// Reads a note and believes it when it is of `origin` and one of the log's keys signed it.
    pub fn open(
        bytes: &[u8],
        origin: &Name,
        keys: &[VerifierKey],
    ) -> Result<Self, CheckpointError> {
        let signed = Self::parse(bytes)?;
        if signed.checkpoint.origin != *origin {
            let got = signed.checkpoint.origin;
            return Err(CheckpointError::Foreign { got, want: origin.clone() });
        }
        signed.note.verify(keys)?;
        Ok(signed)
    }

    /// Returns what it says.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Returns the note.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// Returns the same checkpoint with other signature lines.
    pub fn with_note(&self, note: Note) -> Option<Self> {
        (note.text() == self.note.text())
            .then(|| Self { checkpoint: self.checkpoint.clone(), note })
    }
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;

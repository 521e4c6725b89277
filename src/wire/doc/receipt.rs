//! The server's word that records are durable.

use super::{Document, word};
use crate::domain::ids::{ChainId, DeviceId, Digest};
use crate::wire::judge::Judged;
use crate::wire::jws::Typ;
use crate::wire::limits;
use crate::wire::refusal::Refusal;
use serde::{Deserialize, Serialize};

/// A signed receipt: every record of the chain up to `upto` is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Version of the document, 1.
    pub v: u8,
    /// Whom it is for.
    pub aud: DeviceId,
    /// When it was made, seconds.
    pub iat: i64,
    /// Which chain.
    pub chain: ChainId,
    /// The last number of the unbroken beginning; 0 before the first.
    pub upto: u64,
    /// SHA-256 of record `upto` as received; null when `upto` is 0.
    pub head: Option<Digest>,
    /// Every record up to this number is a leaf of the tree that `checkpoint` names, or of an
    /// earlier log that its tree continues; 0 or absent: none is said to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logged: Option<u64>,
    /// The newest checkpoint of the evidence log that meets its policy, as a signed note with its
    /// cosignatures; absent where there is none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// A checkpoint of the evidence log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Name of the log.
    pub origin: String,
    /// Entries.
    pub size: u64,
    /// Root hash, base64 as in the checkpoint's own format.
    pub root: String,
}

impl Checkpoint {
    /// Checks what types cannot say.
    pub fn check(&self) -> Result<(), Refusal> {
        word(&self.origin, "origin")?;
        word(&self.root, "root")
    }
}

impl Receipt {
    /// Checks what types cannot say.
    pub fn check(&self) -> Result<(), Refusal> {
        if let Some(note) = &self.checkpoint {
            Refusal::limit("checkpoint", note.len(), limits::CHECKPOINT_BYTES)?;
        }
        match self.logged {
            Some(logged) if logged > self.upto => {
                return Err(Refusal::content("`logged` is above `upto`"));
            }
            Some(_) if self.checkpoint.is_none() => {
                return Err(Refusal::content("`logged` without a `checkpoint`"));
            }
            _ => {}
        }
        if (self.upto == 0) == self.head.is_none() {
            Ok(())
        } else {
            Err(Refusal::content("`head` is null exactly when `upto` is 0"))
        }
    }
}

impl Document for Receipt {
    const TYP: Typ = Typ::Receipt;

    fn check(&self) -> Result<(), Refusal> {
        Receipt::check(self)
    }
}

impl Judged for Receipt {
    fn aud(&self) -> Option<&DeviceId> {
        Some(&self.aud)
    }
    fn iat(&self) -> i64 {
        self.iat
    }
}

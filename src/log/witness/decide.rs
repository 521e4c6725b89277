//! What to answer to `add-checkpoint`: a pure decision.

use crate::wire::tlog::{
    AddCheckpoint, Checkpoint, Name, NoteError, ProofError, RequestError, SignedCheckpoint,
    TreeHash, VerifierKey, check_consistency,
};
use std::fmt;

/// A log that a witness watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessedLog {
    /// Its name.
    pub origin: Name,
    /// Its keys.
    pub keys: Vec<VerifierKey>,
}

/// What a witness knows of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The newest checkpoint it cosigned.
    pub checkpoint: Checkpoint,
    /// When, in seconds since 1970.
    pub time_s: u64,
}

/// Why a checkpoint is not cosigned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the request cannot be read")]
    Request(#[from] RequestError),
    #[error("log `{origin}` is not witnessed here")]
    Unknown { origin: Name },
    #[error("the log's signature is missing or wrong")]
    Signature(#[from] NoteError),
    #[error("old size {old} is larger than the checkpoint's {new}")]
    Backwards { old: u64, new: u64 },
    #[error("old size {old} is not the newest cosigned one, {known}")]
    Size { old: u64, known: u64 },
    #[error("another root of {size} leaves was cosigned before")]
    Root { size: u64 },
    #[error("the proof of growth does not hold")]
    Proof(#[from] ProofError),
    #[error("the clock shows {now_s}, before the last cosignature at {last_s}")]
    Clock { now_s: u64, last_s: u64 },
    #[error("{most} shards of log `{origin}` are remembered, and no more")]
    Shards { origin: Name, most: usize },
}

impl Refusal {
    /// Says what the log's operator can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Request(error) => error.hint(),
            Self::Unknown { .. } => "let the witness's operator add the log's verifier key",
            Self::Signature(error) => error.hint(),
            Self::Backwards { .. } | Self::Size { .. } => {
                "prove growth from the size in the answer"
            }
            Self::Root { .. } | Self::Proof(_) => {
                "either the proof is wrong, or the log signed two trees that contradict each other: \
                 find out which is true before anything more is signed"
            }
            Self::Clock { .. } => {
                "set the witness's clock right; if it is right now and ran ahead then, wait until \
                 that time, or go on as another witness: `loa witness init` in another folder, and \
                 its key into the policies"
            }
            Self::Shards { .. } => {
                "no honest log has that many: find out who signs with its key; to go on, begin a \
                 memory anew as another witness"
            }
        }
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Request(_) | Self::Backwards { .. } => 400,
            Self::Unknown { .. } => 404,
            Self::Signature(_) => 403,
            Self::Size { .. } | Self::Root { .. } => 409,
            Self::Proof(_) => 422,
            Self::Clock { .. } => 503,
            Self::Shards { .. } => 507,
        }
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Remember this checkpoint, then cosign it at that time.
    Cosign { checkpoint: SignedCheckpoint, time_s: u64 },
    /// Refuse, telling a log at 409 what is known.
    Refuse { refusal: Refusal, known: u64 },
    /// Refuse, and keep the request: the log signed a contradiction.
    Contradiction { refusal: Refusal, known: u64 },
}

/// Answer to `add-checkpoint`, as HTTP carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub content_type: &'static str,
    pub body: String,
}

impl Answer {
    pub(super) fn cosigned(line: impl fmt::Display) -> Self {
        let content_type = "text/plain; charset=utf-8";
        Self { status: 200, content_type, body: format!("{line}\n") }
    }

    /// The answer when the memory fails: try later, nothing was cosigned.
    pub fn unavailable() -> Self {
        let body = "the witness cannot remember now\n".to_owned();
        Self { status: 503, content_type: "text/plain; charset=utf-8", body }
    }

    pub(super) fn refused(refusal: &Refusal, known: u64) -> Self {
        match refusal.status() {
            409 => {
                Self { status: 409, content_type: "text/x.tlog.size", body: format!("{known}\n") }
            }
            status => {
                let content_type = "text/plain; charset=utf-8";
                // Until a person does something, the answer stays the same.
                let body = match refusal {
                    Refusal::Clock { .. } | Refusal::Shards { .. } => {
                        format!("{refusal}: {}\n", refusal.hint())
                    }
                    _ => format!("{refusal}\n"),
                };
                Self { status, content_type, body }
            }
        }
    }
}

/// Returns the keys that sign a log: those under its name, and under that of which it is a shard.
pub fn keys_of(logs: &[WitnessedLog], origin: &Name) -> Vec<VerifierKey> {
    let keys = logs.iter().flat_map(|log| &log.keys);
    keys.filter_map(|key| key.of_log(origin)).collect()
}

/// Returns the log on the list of which this is a shard, or which it is.
pub(super) fn listed<'a>(logs: &'a [WitnessedLog], origin: &Name) -> Option<&'a Name> {
    let signs = |log: &&WitnessedLog| log.keys.iter().any(|key| key.of_log(origin).is_some());
    logs.iter().find(signs).map(|log| &log.origin)
}

/// Decides about a request. `known` tells what was cosigned last of that log, `now_s` is the
/// witness's clock.
pub fn decide(
    body: &[u8],
    logs: &[WitnessedLog],
    known: impl FnOnce(&Name) -> Option<Known>,
    now_s: u64,
) -> Verdict {
    let refuse = |refusal| Verdict::Refuse { refusal, known: 0 };
    let AddCheckpoint { old, proof, checkpoint: signed } = match AddCheckpoint::parse(body) {
        Ok(request) => request,
        Err(error) => return refuse(error.into()),
    };
    let new = signed.checkpoint();
    let keys = keys_of(logs, &new.origin);
    if keys.is_empty() {
        return refuse(Refusal::Unknown { origin: new.origin.clone() });
    }
    if let Err(error) = signed.note().verify(&keys) {
        return refuse(error.into());
    }
    if old > new.size {
        return refuse(Refusal::Backwards { old, new: new.size });
    }
    let last = known(&new.origin);
    let size = last.as_ref().map_or(0, |last| last.checkpoint.size);
    // Two signed roots of one size contradict each other whatever else is wrong.
    if let Some(last) = &last
        && last.checkpoint.size == new.size
        && last.checkpoint.root != new.root
    {
        return Verdict::Contradiction { refusal: Refusal::Root { size }, known: size };
    }
    if old != size {
        return Verdict::Refuse { refusal: Refusal::Size { old, known: size }, known: size };
    }
    let from = last.as_ref().map_or(TreeHash::EMPTY, |l| l.checkpoint.root);
    if let Err(error) = check_consistency((old, from), (new.size, new.root), &proof) {
        return Verdict::Contradiction { refusal: error.into(), known: size };
    }
    match last {
        Some(last) if last.time_s > now_s => {
            let refusal = Refusal::Clock { now_s, last_s: last.time_s };
            Verdict::Refuse { refusal, known: size }
        }
        _ => Verdict::Cosign { checkpoint: signed, time_s: now_s },
    }
}

//! What a log sends a witness: the size it believes the witness knows, the proof of growth since
//! then, and the new checkpoint (C2SP tlog-witness, `add-checkpoint`).

use super::checkpoint::{CheckpointError, SignedCheckpoint};
use super::hash::TreeHash;
use super::note::NOTE_BYTES;
use super::text::{decimal, excerpt};
use std::fmt;

/// Hashes of the longest proof.
pub const PROOF_LINES: usize = 63;
/// Bytes of the longest request.
pub const REQUEST_BYTES: usize = NOTE_BYTES + 4_096;

/// The body of `add-checkpoint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size from which the proof leads.
    pub old: u64,
    /// Consistency from there to the checkpoint.
    pub proof: Vec<TreeHash>,
    /// The new checkpoint.
    pub checkpoint: SignedCheckpoint,
}

/// Why bytes are no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message says it")]
pub enum RequestError {
    #[error("the request has {got} bytes, at most {REQUEST_BYTES} are read")]
    Long { got: usize },
    #[error("line {line} of the request: `{text}` instead of {want}")]
    Line { line: usize, text: String, want: &'static str },
    #[error("the request's checkpoint cannot be read")]
    Checkpoint(#[from] CheckpointError),
}

impl RequestError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Checkpoint(error) => error.hint(),
            _ => "wanted are `old SIZE`, at most 63 hashes, an empty line and a checkpoint",
        }
    }
}

impl AddCheckpoint {
    /// Reads a body; believes nothing.
    pub fn parse(bytes: &[u8]) -> Result<Self, RequestError> {
        if bytes.len() > REQUEST_BYTES {
            return Err(RequestError::Long { got: bytes.len() });
        }
        let mut rest = bytes;
        let mut old = None;
        let mut proof = Vec::new();
        for number in 1.. {
            let end = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
            let text = String::from_utf8_lossy(&rest[..end]);
            let wrong = |want| RequestError::Line { line: number, text: excerpt(&text), want };
            if end == rest.len() {
                return Err(wrong("a line and a newline"));
            }
            match old {
                None => {
                    let size = text.strip_prefix("old ").and_then(decimal);
                    old = Some(size.ok_or_else(|| wrong("`old` and a size"))?);
                }
                Some(old) if text.is_empty() => {
                    let checkpoint = SignedCheckpoint::parse(&rest[end + 1..])?;
                    return Ok(Self { old, proof, checkpoint });
                }
                Some(_) if proof.len() == PROOF_LINES => {
                    return Err(wrong("an empty line after 63 hashes"));
                }
                Some(_) => proof.push(text.parse().map_err(|_| wrong("a hash in base64"))?),
            }
            rest = &rest[end + 1..];
        }
        Err(RequestError::Long { got: bytes.len() }) // not reached: lines are finite
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint.note())
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;

//! Proofs of inclusion as a file of their own, checkable without network (C2SP tlog-proof,
//! extension `.tlog-proof`).

use super::checkpoint::{CheckpointError, SignedCheckpoint};
use super::hash::TreeHash;
use super::note::NOTE_BYTES;
use super::proof::{ProofError, check_inclusion};
use super::text::{base64, decimal, excerpt, unbase64};
use std::fmt;

/// Bytes of the longest file.
pub const PROOF_FILE_BYTES: usize = NOTE_BYTES + 16_384;
/// Bytes of the longest extra data.
const EXTRA_BYTES: usize = 8_192;
/// Hashes of the longest path.
const PATH: usize = 63;
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// One leaf's place in a log, with the path to a signed root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofFile {
    /// Data that nothing vouches for; absent when empty.
    pub extra: Option<Vec<u8>>,
    /// Place of the leaf, from 0.
    pub index: u64,
    /// From the leaf's sibling up.
    pub path: Vec<TreeHash>,
    /// The root and who signed it.
    pub checkpoint: SignedCheckpoint,
}

/// Why bytes are no proof file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message says it")]
pub enum ProofFileError {
    #[error("the proof has {got} bytes, at most {PROOF_FILE_BYTES} are read")]
    Long { got: usize },
    #[error("line {line} of the proof: `{text}` instead of {want}")]
    Line { line: usize, text: String, want: &'static str },
    #[error("the proof ends before its checkpoint")]
    Cut,
    #[error("the proof's checkpoint cannot be read")]
    Checkpoint(#[from] CheckpointError),
}

impl ProofFileError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Checkpoint(error) => error.hint(),
            _ => "wanted is a file as the log wrote it, `c2sp.org/tlog-proof@v1` in its first line",
        }
    }
}

impl ProofFile {
    /// Reads a file; believes nothing.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofFileError> {
        if bytes.len() > PROOF_FILE_BYTES {
            return Err(ProofFileError::Long { got: bytes.len() });
        }
        let mut rest = bytes;
        let mut number = 0;
        let mut next = || {
            let end = rest.iter().position(|b| *b == b'\n').ok_or(ProofFileError::Cut)?;
            let line = String::from_utf8_lossy(&rest[..end]).into_owned();
            rest = &rest[end + 1..];
            number += 1;
            Ok::<_, ProofFileError>((number, line, rest))
        };
        let wrong =
            |line, text: &str, want| Err(ProofFileError::Line { line, text: excerpt(text), want });
        let (line, text, _) = next()?;
        if text != HEADER {
            return wrong(line, &text, "`c2sp.org/tlog-proof@v1`");
        }
        let (mut line, mut text, _) = next()?;
        let mut extra = None;
        if let Some(data) = text.strip_prefix("extra ") {
            let data = unbase64(data).filter(|d| !d.is_empty() && d.len() <= EXTRA_BYTES);
            if data.is_none() {
                return wrong(line, &text, "up to 8192 bytes in base64");
            }
            extra = data;
            (line, text, _) = next()?;
        }
        let Some(index) = text.strip_prefix("index ").and_then(decimal) else {
            return wrong(line, &text, "`index` and a number");
        };
        let mut path = Vec::new();
        loop {
            let (line, text, rest) = next()?;
            if text.is_empty() {
                let checkpoint = SignedCheckpoint::parse(rest)?;
                return Ok(Self { extra, index, path, checkpoint });
            }
            match text.parse() {
                Ok(hash) if path.len() < PATH => path.push(hash),
                Ok(_) => return wrong(line, &text, "at most 63 hashes"),
                Err(_) => return wrong(line, &text, "a hash in base64"),
            }
        }
    }

    /// Checks that the entry stands at the place under the root; who signed the root is for the
    /// policy to judge.
    pub fn check(&self, entry: &[u8]) -> Result<(), ProofError> {
        let tree = self.checkpoint.checkpoint();
        check_inclusion(self.index, tree.size, TreeHash::leaf(entry), &self.path, tree.root)
    }
}

impl fmt::Display for ProofFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = self.extra.as_ref().filter(|extra| !extra.is_empty()) {
            writeln!(f, "extra {}", base64(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint.note())
    }
}

#[cfg(test)]
#[path = "proof_file_tests.rs"]
mod tests;

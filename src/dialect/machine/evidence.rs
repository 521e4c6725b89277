//! What the device really said, kept bounded, and the grade it supports.
//!
//! # The ladder
//! | Grade | What must have been heard |
//! |---|---|
//! | 0 | nothing: it was sent |
//! | 1 | an answer to our message, or a word of the device about starting that names no item |
//! | 2 | a start that names our item; or a start and an end that lie as far apart as planned |
//! | 3 | the pixels that we drew, read back; or samples counted by the gateway's own output |
//! | 4 | power measured while it played |
//! | 5 | a sensor of the device's own |
//!
//! Grade 6 needs a sensor that belongs to neither, which no dialect has. A retained message proves
//! nothing: it may be of yesterday.

use crate::domain::ids::Digest;

/// Most bytes kept of a message; its hash and length are always kept.
pub const MOST_KEPT: usize = 256;
/// Most pieces kept of one play or page that do not raise its grade.
pub(super) const MOST_PIECES: u32 = 32;

/// One thing the device said, or that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Of which play or page; `None` when none was running.
    pub token: Option<u64>,
    pub at_ms: i64,
    pub what: Told,
    /// What it alone supports.
    pub grade: u8,
    /// The topic, `http`, `line` or `sink`.
    pub source: String,
    /// Length of the whole message.
    pub length: usize,
    /// SHA-256 of the whole message.
    pub sha256: Digest,
    /// Its beginning, [`MOST_KEPT`] bytes at most.
    pub head: Vec<u8>,
    /// Values that the profile keeps, by pointer.
    pub captures: Vec<(String, String)>,
}

/// What a piece of evidence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Our message left.
    Sent,
    /// As [`Told::Sent`], with the diacritics taken off.
    SentStripped,
    Accepted,
    /// The device said it began, and which item.
    StartedNamed,
    /// The device said it began, not what.
    Started,
    Finished,
    Failed,
    Screen,
    Electrical,
    Sensor,
    /// Our own output counted samples.
    Samples,
    /// A message that ends something was not answered: the device may sound on.
    EndUnanswered,
}

impl Told {
    /// Returns the grade that it alone supports.
    pub fn grade(self) -> u8 {
        match self {
            Self::Sent | Self::SentStripped | Self::Failed | Self::EndUnanswered => 0,
            Self::Accepted | Self::Started | Self::Finished => 1,
            Self::StartedNamed => 2,
            Self::Screen | Self::Samples => 3,
            Self::Electrical => 4,
            Self::Sensor => 5,
        }
    }
}

impl Evidence {
    pub(super) fn of(
        token: Option<u64>,
        at_ms: i64,
        what: Told,
        source: &str,
        bytes: &[u8],
        captures: Vec<(String, String)>,
    ) -> Self {
        Self {
            token,
            at_ms,
            what,
            grade: what.grade(),
            source: source.chars().take(128).collect(),
            length: bytes.len(),
            sha256: Digest::of(bytes),
            head: bytes.iter().take(MOST_KEPT).copied().collect(),
            captures,
        }
    }
}

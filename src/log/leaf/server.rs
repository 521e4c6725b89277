//! What the server itself puts into the log.
//!
//! Each statement is a flat JSON object `{"v":1,"kind":…,…}`, written once. People appear by the
//! short name they log in under and texts are short, because nothing can be erased again: no
//! statement holds contact data, and files and documents are named by hash. `by` is a person's short
//! name, `server`, or the command line with the system's user.

use super::LeafError;
use crate::domain::ids::{ChainId, DeviceId, Digest, UnitId};
use crate::domain::time::UtcMs;
use crate::wire::tlog::Checkpoint;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// Bytes of the longest statement.
const STATEMENT_BYTES: usize = 4_096;
/// Bytes of a reason, title or other sentence.
const SENTENCE_BYTES: usize = 800;
/// Bytes of a word: a role, a file's type, a `jti`.
const WORD_BYTES: usize = 128;
/// Units of one statement.
const UNITS: usize = 64;
/// Day sheets of one timetable.
const SHEETS: usize = 64;

/// A statement with the version of its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerLeaf {
    /// Version of the form, 1.
    pub v: u8,
    /// What is said.
    #[serde(flatten)]
    pub body: ServerBody,
}

/// A tree at one size, as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeafHead {
    /// The log.
    pub origin: String,
    /// Its leaves.
    pub size: u64,
    /// The root over them, base64 as in checkpoints.
    pub root: String,
}

impl From<&Checkpoint> for LeafHead {
    fn from(head: &Checkpoint) -> Self {
        let origin = head.origin.as_str().to_owned();
        Self { origin, size: head.size, root: head.root.to_string() }
    }
}

/// A leaf, as a later statement names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeafPlace {
    /// The log.
    pub origin: String,
    /// Its place there.
    pub index: u64,
}

/// Whether a notice is meant or practised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    Urgent,
    Drill,
}

/// How a message went out without a device of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    Leaflet,
    Web,
    Sms,
    School,
    Wifi,
    Other,
}

/// Evidence that a person brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manual {
    /// Name of the entry in the register.
    pub entry: String,
    /// How it went out.
    pub channel: Channel,
    /// Where.
    pub unit: UnitId,
    /// What it was, in a line.
    pub title: String,
    /// SHA-256 of the file that shows it.
    pub file: Digest,
    /// Length of that file.
    pub bytes: u64,
    /// The day it happened, as the person says.
    pub on: NaiveDate,
    /// SHA-256 of the whole entry, with its person, its plan line and its count.
    pub sha256: Digest,
    /// Who entered it.
    pub by: String,
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ServerBody {
    /// First leaf of a shard: the last head of the one before, if there was one.
    Shard { previous: Option<LeafHead> },
    /// First leaf of a shard after a restore that lost the tail of the one before: the last head
    /// the server knows of, and the last one a witness or a device is known to have seen.
    Restored { known: Option<LeafHead>, witnessed: Option<LeafHead>, reason: String, by: String },
    /// A device's key is taken on.
    Enrol { dev: DeviceId, kid: String, key: String, alg: String, units: Vec<UnitId>, by: String },
    /// A key is taken off; records logged before this leaf (or before `from`) keep their value.
    Revoke { dev: DeviceId, kid: String, from: Option<LeafPlace>, reason: String, by: String },
    /// A timetable was signed: logged before its first cue.
    TimetablePublished {
        dev: DeviceId,
        ver: i64,
        timetable: Digest,
        sheets: Vec<Digest>,
        first_cue_ms: Option<UtcMs>,
    },
    /// A timetable, notice or other document was called back; `by_document` is what does so.
    Withdrawn { document: Digest, by_document: Option<Digest>, reason: String, by: String },
    /// An urgent notice or drill was signed.
    Urgent { notice: NoticeKind, jti: String, document: Digest, units: Vec<UnitId>, by: String },
    /// Somebody approved what has this hash.
    Approval { of: Digest, what: String, role: String, by: String },
    /// Silence was ordered (`until_ms` 0: lifted).
    Hold { unit: UnitId, ver: i64, document: Digest, until_ms: UtcMs, reason: String, by: String },
    /// Numbers of a chain that have not arrived: a later record shows it, or the device itself told
    /// of them and nothing came for long.
    Gap { dev: DeviceId, chain: ChainId, from: u64, to: u64 },
    /// Two different records with one number: proof of a cloned or broken device.
    Conflict { dev: DeviceId, chain: ChainId, seq: u64, first: Digest, second: Digest },
    /// Records, both inclusive, whose time cannot be enclosed tightly enough; `record` is the first
    /// of them and `width_ms` the widest. Without a width nothing bounds it from below: so it is
    /// with all of the chain until one of its records quotes a head.
    Late {
        dev: DeviceId,
        chain: ChainId,
        from: u64,
        to: u64,
        record: Digest,
        width_ms: Option<i64>,
    },
    /// An earlier leaf, named by its hash in the tree, was wrong; nothing is edited. `with` is the
    /// leaf that takes its place: without one, nothing does.
    Correction { of: Digest, with: Option<Digest>, text: String, by: String },
    /// Evidence that a person brought.
    Manual(Manual),
    /// A file that was handed out: its hash, and the head it was made from.
    Report { name: String, file: Digest, head: LeafHead },
    /// Plays were drawn for inspection: the question, the head that decided, and the hash of the
    /// draw.
    Draw { draw: String, document: Digest, head: LeafHead, plays: u64, by: String },
    /// What an inspector found of a draw was handed in: the hash of the file.
    Findings { draw: String, file: Digest, by: String },
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// Why a statement cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum ServerLeafError {
    #[error("`{member}` of a server's leaf has {got} bytes or entries, at most {most} are logged")]
    Long { member: &'static str, got: usize, most: usize },
    #[error("`{member}` of a server's leaf is empty")]
    Empty { member: &'static str },
    #[error("`{member}` of a server's leaf is {got}, a JSON reader keeps at most 2^53 - 1")]
    Number { member: &'static str, got: u64 },
    #[error("records from {from} to {to} are none")]
    Gap { from: u64, to: u64 },
    #[error("a kind that is not known cannot be logged")]
    Unknown,
    #[error("a server's leaf is not readable")]
    Json(#[source] serde_json::Error),
    #[error("version {v} of a server's leaf is unknown")]
    Version { v: u8 },
    #[error("a server's leaf cannot be logged")]
    Leaf(#[source] LeafError),
}

impl ServerLeafError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Long { .. } => "say it shorter, or log the SHA-256 of the text",
            Self::Empty { .. } => "say why and who: nothing can be added later",
            Self::Leaf(error) => error.hint(),
            Self::Version { .. } | Self::Unknown => "read this log with a newer version",
            Self::Number { .. } | Self::Gap { .. } => "this is a fault of the program: report it",
            Self::Json(_) => "the log is damaged or of another program: compare with a backup",
        }
    }
}

fn within(member: &'static str, got: usize, most: usize) -> Result<(), ServerLeafError> {
    if got <= most { Ok(()) } else { Err(ServerLeafError::Long { member, got, most }) }
}

fn said(member: &'static str, text: &str, most: usize) -> Result<(), ServerLeafError> {
    if text.trim().is_empty() {
        return Err(ServerLeafError::Empty { member });
    }
    within(member, text.len(), most)
}

fn number(member: &'static str, got: u64) -> Result<(), ServerLeafError> {
    if i64::try_from(got).is_ok_and(|got| got <= UtcMs::MAX.0) {
        Ok(())
    } else {
        Err(ServerLeafError::Number { member, got })
    }
}

impl LeafHead {
    fn check(&self) -> Result<(), ServerLeafError> {
        said("origin", &self.origin, 255)?;
        said("root", &self.root, WORD_BYTES)?;
        number("size", self.size)
    }
}

impl LeafPlace {
    fn check(&self) -> Result<(), ServerLeafError> {
        said("origin", &self.origin, 255)?;
        number("index", self.index)
    }
}

impl ServerBody {
    /// Checks what types cannot say.
    fn check(&self) -> Result<(), ServerLeafError> {
        let heads = |heads: [&Option<LeafHead>; 2]| {
            heads.into_iter().flatten().try_for_each(LeafHead::check)
        };
        match self {
            Self::Shard { previous } => heads([previous, &None]),
            Self::Restored { known, witnessed, reason, .. } => {
                heads([known, witnessed])?;
                said("reason", reason, SENTENCE_BYTES)
            }
            Self::Enrol { kid, key, alg, units, .. } => {
                said("kid", kid, WORD_BYTES)?;
                said("key", key, WORD_BYTES)?;
                said("alg", alg, WORD_BYTES)?;
                within("units", units.len(), UNITS)
            }
            Self::Revoke { kid, from, reason, .. } => {
                said("kid", kid, WORD_BYTES)?;
                from.as_ref().map_or(Ok(()), LeafPlace::check)?;
                said("reason", reason, SENTENCE_BYTES)
            }
            Self::TimetablePublished { sheets, .. } => within("sheets", sheets.len(), SHEETS),
            Self::Withdrawn { reason, .. } | Self::Hold { reason, .. } => {
                said("reason", reason, SENTENCE_BYTES)
            }
            Self::Urgent { jti, units, .. } => {
                said("jti", jti, WORD_BYTES)?;
                within("units", units.len(), UNITS)
            }
            Self::Approval { what, role, .. } => {
                said("what", what, WORD_BYTES)?;
                said("role", role, WORD_BYTES)
            }
            Self::Gap { from, to, .. } | Self::Late { from, to, .. } if from > to || *from == 0 => {
                Err(ServerLeafError::Gap { from: *from, to: *to })
            }
            Self::Gap { to: seq, .. } | Self::Conflict { seq, .. } | Self::Late { to: seq, .. } => {
                number("seq", *seq)
            }
            Self::Correction { text, .. } => said("text", text, SENTENCE_BYTES),
            Self::Manual(manual) => {
                said("entry", &manual.entry, WORD_BYTES)?;
                said("title", &manual.title, SENTENCE_BYTES)?;
                number("bytes", manual.bytes)
            }
            Self::Report { name, head, .. } => {
                said("name", name, WORD_BYTES)?;
                head.check()
            }
            Self::Draw { draw, head, plays, .. } => {
                said("draw", draw, WORD_BYTES)?;
                number("plays", *plays)?;
                head.check()
            }
            Self::Findings { draw, .. } => said("draw", draw, WORD_BYTES),
            Self::Unknown => Err(ServerLeafError::Unknown),
        }
    }
}

impl ServerLeaf {
    /// Writes a statement; refuses one that should not be kept for ever.
    pub(super) fn write(body: &ServerBody) -> Result<Vec<u8>, ServerLeafError> {
        body.check()?;
        let leaf = Self { v: 1, body: body.clone() };
        let bytes = serde_json::to_vec(&leaf).map_err(ServerLeafError::Json)?;
        within("statement", bytes.len(), STATEMENT_BYTES)?;
        Ok(bytes)
    }

    /// Reads a statement; a kind of a later version is [`ServerBody::Unknown`].
    pub(super) fn read(content: &[u8]) -> Result<Self, ServerLeafError> {
        within("statement", content.len(), STATEMENT_BYTES)?;
        let leaf: Self = serde_json::from_slice(content).map_err(ServerLeafError::Json)?;
        if leaf.v == 1 { Ok(leaf) } else { Err(ServerLeafError::Version { v: leaf.v }) }
    }
}

//! The auditor's tool: checks an audit pack offline, trusting nothing but a policy.
//!
//! Written from the formats alone and sharing no code with what writes them, so that a mistake
//! there is found here. Reads one file and nothing else; no clock, no network, no randomness.
//!
//! # The pack
//! One uncompressed tar archive (why: see `archive`), its files in this order, so that one walk
//! checks it:
//!
//! | File | Holds |
//! |---|---|
//! | `README.txt` | what this is and how to check it, for people |
//! | `pack.json` | `{v: 1, format: "loa-audit-pack", from_ms, to_ms, unit?, logs: [{origin, first}]}`: cues that start in the window are asked about; from leaf `first` on nothing is left out |
//! | `policy` | the log's own policy, for people: never used |
//! | `keys.json`, `receipts` | body of `keys`; receipts that devices kept, a line each; optional |
//! | `timetables/HASH`, `sheets/HASH` | documents that `timetable-published` leaves name, sorted; a timetable may be absent, a sheet whose day touches the window may not |
//! | `notices/HASH` | urgent notices as signed, which `urgent` leaves name, sorted; may be absent |
//! | `logs/N/checkpoint` | the newest, with cosignatures; logs count from 1, oldest first |
//! | `logs/N/cosigned/YYYY-MM-DD` | cosigned checkpoints of a day, each followed by an empty line |
//! | `logs/N/tokens/SIZE.note`, `.tsr` | a checkpoint and its RFC 3161 time stamp |
//! | `logs/N/tile/L/…p/W` | the partial tiles at the right edge, highest level first |
//! | `logs/N/tile/L/…`, `logs/N/tile/entries/…` | full tiles and bundles by their first leaf; of one leaf higher tiles first. Tiles of level 0 only where a checkpoint ends in a bundle that is left out |
//! | `manifest.sha256` | `SHA-256  name` of each file before it, in order |
//!
//! Bundles before `first` may be left out, but those with keys or approvals; `first` must lie 31 days ahead of
//! the window or be the beginning of all. The cut-off is the newest time in the log.
//!
//! # Invariants
//! * Nothing in the pack widens what counts: keys of logs and witnesses come from the policy, keys
//!   of devices from leaves that stand in a tree that was vouched for.
//! * Every length is bounded before it is read, and memory does not grow with the pack.
//! * No bytes make it panic; what is wrong is a [`Fault`] of a closed list of kinds.
//! * A record is enclosed by what it, or one before it in its chain, quotes, and by the first cosigned
//!   checkpoint that holds it. One that nothing encloses from below is late: an enrolment says when
//!   a key became known, not that nothing was signed with it before.
//! * What sounded was ordered before it was logged: by a timetable whose sheets it names, under an
//!   approval where its cue names one, or by an urgent notice.
//! * `expected` is the sum of all outcomes; what sounded without a schedule is a fault, not a
//!   number.

mod archive;
mod bundle;
mod checkpoints;
mod devices;
mod documents;
mod drawn;
mod facts;
mod hash;
mod index;
mod layout;
mod leaf;
mod life;
mod manifest;
mod note;
mod outcome;
mod policy;
mod pool;
mod receipts;
mod record;
mod register;
mod signature;
mod source;
mod state;
mod text;
mod trail;
mod verdict;
mod verify;
mod walk;

// The writer, on which the tests lean, is the server's.
#[cfg(test)]
#[cfg(feature = "server")]
mod tests;

pub use drawn::{Asked, Deciding, DrawnError, Play, Population};
pub use policy::{Policy, PolicyError};
pub use source::{ReadError, Source};
pub use verdict::{Fault, FaultKind, LISTED, LogHead, Outcomes, Records, Signatures, Verdict};
pub use verify::{population, verify};

/// Checks a time stamp; who can is not this room's business.
pub trait TokenJudge: Sync {
    /// Checks that the token stamps exactly these bytes; says why it does not.
    fn judge(&self, token: &[u8], note: &[u8]) -> Result<(), String>;
}

/// How an audit is done.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Cores to use.
    pub workers: usize,
    /// A record whose time is enclosed less tightly than this is `late`.
    pub late_ms: i64,
    /// Who checks time stamps.
    pub tokens: Option<&'a dyn TokenJudge>,
    /// Receipts brought from devices, one compact JWS a line.
    pub receipts: &'a [u8],
    /// Thumbprint of the root key, where it is known from elsewhere.
    pub root: Option<[u8; 32]>,
    /// Plays that a draw asks about.
    pub drawn: Option<&'a Asked<'a>>,
    /// Bytes that may be kept in one walk, roughly: of devices, with what is kept of the whole pack.
    pub memory: usize,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            late_ms: 2 * 30 * 60_000,
            tokens: None,
            receipts: &[],
            root: None,
            drawn: None,
            memory: 124 << 20,
        }
    }
}

/// How far an audit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Which walk through the pack; 0 is the first look.
    pub walk: u32,
    /// Bytes behind, of `bytes`.
    pub done: u64,
    pub bytes: u64,
}

//! What became of each cue on each device: one outcome, always with a reason.
//!
//! Pure: versions of the schedule, records and signs of life go in, outcomes come out. The
//! device's word decides what it played; the server's, whether it was silent ([`Outcome::result`]
//! `offline`) or there but without a play (`missing`). "We do not know" is an outcome.
//!
//! # Invariants
//! * Every cue of the schedule in force at its start has exactly one outcome; a cue without a
//!   schedule has one when a record names it.
//! * Records in any order, given twice or in parts, end in the same outcomes.
//! * What sounded is never counted above what was due.
//!
//! # Why the trail is judged from near by
//! Whether a device was there is told by neighbours in its chain (by number, never by time) whose
//! own time lies within two beats before the cue and a day after it. So a clock that ran years
//! ahead for an hour excuses nothing but that hour, and whoever reads only some days of a chain
//! comes to the same answer as who reads it all.
//!
//! # Why the schedule is folded version by version
//! "The newest one published before its start" is judged by each version's own start of the cue:
//! a version that moves a cue which has begun changes nothing about it, one that drops a cue
//! before its start withdraws it.

mod judge;
mod life;
mod schedule;

pub use judge::{Heard, judge};
pub use life::{Life, Receipted, Sign};
pub use schedule::{Due, Expected, Version, in_force};

use crate::domain::ids::{ChainId, CueId};
use crate::domain::time::UtcMs;
use crate::domain::timetable::Kind;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A device says that it lives at least this often.
pub const BEAT_MS: i64 = 30 * 60_000;
/// A silence longer than two beats is one.
pub const SILENCE_MS: i64 = 2 * BEAT_MS;
/// What a device writes so long after a cue still shows whether it was there.
pub const AFTER_MS: i64 = 24 * 3_600_000;
/// After so long an outcome is final whatever may still come.
pub const FINAL_MS: i64 = 30 * 86_400_000;
/// How long after the end of a cue its last record may be written.
pub const SETTLE_MS: i64 = 2_000;
/// Of a clip so much must have sounded to count as played, in percent.
pub const CLIP_PERCENT: i64 = 98;
/// Of a board's time so much must have been shown.
pub const PAGES_PERCENT: i64 = 95;

/// What became of a cue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Sounded or was shown as due.
    Played,
    /// In part.
    Partial,
    /// Not at all, for a fault.
    Failed,
    /// Gave way to something more important.
    PreEmpted,
    /// The device was not allowed to.
    Refused,
    /// No record of the device covers its time.
    Offline,
    /// The device was there, and there is no play.
    Missing,
}

impl Verdict {
    /// Says whether a cue that was not played is explained.
    pub fn is_explained(self) -> bool {
        matches!(self, Self::Failed | Self::PreEmpted | Self::Refused | Self::Offline)
    }

    /// Returns the word as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Played => "played",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::PreEmpted => "pre-empted",
            Self::Refused => "refused",
            Self::Offline => "offline",
            Self::Missing => "missing",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How settled an outcome is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The cue is not over.
    Pending,
    /// Records may still come.
    Provisional,
    /// Nothing changes it any more.
    Final,
}

/// How the cue stands to the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plan {
    /// In the schedule in force at its start.
    Planned,
    /// Withdrawn before its start, and the device played it all the same.
    Superseded,
    /// In no schedule published before its start.
    Unplanned,
}

/// Why the outcome is as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "kebab-case")]
pub enum Reason {
    /// The device's own word, and what pre-empted it.
    Device {
        cause: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// Played although withdrawn.
    Superseded { withdrawn_ms: UtcMs },
    /// The device says it played, but for less than is due.
    Short { cause: String },
    /// It began, and its end is not reported.
    NoEnd,
    /// The cue is not over, or just is.
    Awaited,
    /// No record at all.
    NeverHeard,
    /// Silent since then.
    Silent { since_ms: UtcMs },
    /// The device was restarted around the cue.
    Restarted { at_ms: UtcMs },
    /// Records around the cue are missing or lost.
    Gap { chain: ChainId, from: u64, to: u64 },
    /// The device was there, and says nothing of the cue.
    NoPlay,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device { cause, by: Some(by) } => write!(f, "`{cause}` by `{by}`"),
            Self::Device { cause, by: None } => write!(f, "`{cause}`"),
            Self::Superseded { withdrawn_ms } => write!(f, "withdrawn at {withdrawn_ms:?}"),
            Self::Short { cause } => write!(f, "shorter than due, `{cause}`"),
            Self::NoEnd => f.write_str("began, its end is not reported"),
            Self::Awaited => f.write_str("not over"),
            Self::NeverHeard => f.write_str("no record of the device around it"),
            Self::Silent { since_ms } => write!(f, "silent since {since_ms:?}"),
            Self::Restarted { at_ms } => write!(f, "the device restarted at {at_ms:?}"),
            Self::Gap { from, to, .. } => write!(f, "records {from} to {to} have not come"),
            Self::NoPlay => f.write_str("the device was there and reports no play"),
        }
    }
}

/// What became of one cue on one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub cue: CueId,
    pub item: String,
    pub title: String,
    pub kind: Kind,
    pub at_ms: UtcMs,
    pub end_ms: UtcMs,
    pub plan: Plan,
    /// `None` while pending and nothing is known.
    pub result: Option<Verdict>,
    pub stage: Stage,
    pub reason: Reason,
    /// What was due; of a board's rotation, its whole time.
    pub due_ms: i64,
    /// What sounded or was shown, never above `due_ms`.
    pub played_ms: i64,
    /// When it first began.
    pub started_ms: Option<UtcMs>,
    /// Grade of the evidence, 0-6: the lowest of what counts.
    pub grade: u8,
    /// Records that count.
    pub records: u32,
}

#[cfg(test)]
mod tests;

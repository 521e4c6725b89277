//! Why a cue is not as its slot asks: what was done, and the cause by a code that never changes.

use crate::domain::ids::{PlaylistId, PolicyId, SlotId, UnitId};
use std::fmt;

/// What was done to a cue or occurrence, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason {
    pub effect: Effect,
    pub cause: Cause,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Starts later than asked.
    Moved,
    /// Ends earlier than its content.
    Shortened,
    /// Goes on after a break (boards only).
    Resumed,
    /// Its fall-back is planned in its place.
    Replaced,
    /// Quieter than asked.
    Quieter,
    /// Not in the sheet.
    LeftOut,
}

impl Effect {
    fn text(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Shortened => "shortened",
            Self::Resumed => "goes on",
            Self::Replaced => "fall-back planned",
            Self::Quieter => "quieter",
            Self::LeftOut => "left out",
        }
    }
}

/// The cause.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The date is one of the slot's exceptions; the name is the calendar's.
    Except { dates: String, name: Option<String> },
    /// An operator skipped the date.
    Skipped { reason: String },
    /// The unit is not valid on the date.
    UnitNotValid { unit: UnitId },
    /// The slot asks for more occurrences a day than any day can hold.
    TooOften { per_day: u32, most: u32 },
    /// The wall clock does not show this time on the date.
    ClockChange,
    /// The slot is over.
    SlotEnd,
    /// The next occurrence of the same slot begins.
    NextOccurrence,
    /// A priority playlist takes the output.
    PreEmpted { playlist: PlaylistId, slot: SlotId },
    /// Another of the same priority, but of higher rank, takes the output.
    Yields { playlist: PlaylistId, slot: SlotId },
    /// The clip cannot be used.
    ClipMissing { why: String },
    /// The device does not decode the clip.
    Codec { media_type: String },
    /// The clip is longer than the device takes.
    ClipTooLong { ms: i64, longest_ms: i64 },
    /// Quiet hours.
    QuietHours { policy: PolicyId, hours: String },
    /// No sound on this weekday.
    DayNotAllowed { policy: PolicyId },
    /// The session would be longer than allowed.
    SessionMinutes { policy: PolicyId, most: u32 },
    /// There would be more sessions on the day than allowed.
    SessionsADay { policy: PolicyId, most: u32 },
    /// The volume is capped for the device or by a policy.
    VolumeCap { cap: u8, by_policy: bool },
}

impl Cause {
    /// Returns the code by which programs tell causes apart; it never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Except { .. } => "except",
            Self::Skipped { .. } => "skipped",
            Self::UnitNotValid { .. } => "unit-not-valid",
            Self::TooOften { .. } => "too-often",
            Self::ClockChange => "clock-change",
            Self::SlotEnd => "slot-end",
            Self::NextOccurrence => "next-occurrence",
            Self::PreEmpted { .. } => "pre-empted",
            Self::Yields { .. } => "yields",
            Self::ClipMissing { .. } => "clip-missing",
            Self::Codec { .. } => "codec",
            Self::ClipTooLong { .. } => "clip-too-long",
            Self::QuietHours { .. } => "quiet-hours",
            Self::DayNotAllowed { .. } => "day-not-allowed",
            Self::SessionMinutes { .. } => "session-minutes",
            Self::SessionsADay { .. } => "sessions-a-day",
            Self::VolumeCap { .. } => "volume-cap",
        }
    }

    /// Says whether a policy forbids it, so that acceptance should refuse it.
    pub fn is_policy(&self) -> bool {
        matches!(
            self,
            Self::QuietHours { .. }
                | Self::DayNotAllowed { .. }
                | Self::SessionMinutes { .. }
                | Self::SessionsADay { .. }
        )
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Except { dates, name: None } => write!(f, "the slot excepts `{dates}`"),
            Self::Except { dates, name: Some(name) } => {
                write!(f, "the slot excepts `{dates}` ({name})")
            }
            Self::Skipped { reason } => write!(f, "skipped by an operator: {reason}"),
            Self::UnitNotValid { unit } => write!(f, "unit `{unit}` is not valid on this date"),
            Self::TooOften { per_day, most } => {
                write!(f, "{per_day} occurrences a day are asked for, more than {most}")
            }
            Self::ClockChange => write!(f, "clocks change over this time"),
            Self::SlotEnd => write!(f, "the slot is over"),
            Self::NextOccurrence => write!(f, "the slot's next occurrence begins"),
            Self::PreEmpted { playlist, slot } => {
                write!(f, "`{playlist}/{slot}` has priority")
            }
            Self::Yields { playlist, slot } => {
                write!(f, "`{playlist}/{slot}` comes first among equals")
            }
            Self::ClipMissing { why } => write!(f, "the clip cannot be used: {why}"),
            Self::Codec { media_type } => write!(f, "the device does not decode `{media_type}`"),
            Self::ClipTooLong { ms, longest_ms } => {
                write!(f, "the clip lasts {ms} ms, the device takes {longest_ms} ms")
            }
            Self::QuietHours { policy, hours } => {
                write!(f, "quiet hours {hours} of policy `{policy}`")
            }
            Self::DayNotAllowed { policy } => {
                write!(f, "policy `{policy}` allows no sound on this weekday")
            }
            Self::SessionMinutes { policy, most } => {
                write!(f, "policy `{policy}` allows {most} minutes a session")
            }
            Self::SessionsADay { policy, most } => {
                write!(f, "policy `{policy}` allows {most} sessions a day")
            }
            Self::VolumeCap { cap, by_policy: true } => {
                write!(f, "a policy caps the volume at {cap}")
            }
            Self::VolumeCap { cap, by_policy: false } => {
                write!(f, "the device's volume is capped at {cap}")
            }
        }
    }
}

impl Reason {
    /// Joins the two.
    pub fn new(effect: Effect, cause: Cause) -> Self {
        Self { effect, cause }
    }
}

/// `code: what was done; why`, the code first so that programs can cut at the colon.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.cause.code(), self.effect.text(), self.cause)
    }
}

//! What goes in and what comes out of the executor.

use super::speaker::{Ended, PlayFault, PlayOrder};
use super::{AssetWant, HoldOrder, Journal, Notice, PassEnd, Schedule, ShowOrder};
use crate::device::floor::QuietFloor;
use crate::domain::ids::{Digest, UnitId};
use crate::domain::proof::record::Body;
use crate::domain::time::UtcMs;
use crate::domain::timetable::sheet::DaySheet;
use std::sync::Arc;

/// How far ahead of its start a play is ordered, so that decoding is ahead.
pub const LEAD_MS: i64 = 3_000;
/// How far ahead the journal promises what may have sounded.
pub const LEASE_MS: i64 = 3_000;
/// The journal is written at least so often, also when nothing happens.
pub const JOURNAL_EVERY_MS: i64 = 300_000;
/// Passes of a board are journalled at most so often.
pub(super) const PASSES_MS: i64 = 30_000;
/// New sheets come into force when the assets due within this time are held, or after it.
pub const NEAR_MS: i64 = 600_000;

/// An instant on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The device's best idea of UTC; means nothing while time is [`Time::Unknown`].
    pub utc: UtcMs,
    /// Milliseconds on a clock that never steps.
    pub mono_ms: i64,
}

/// How well the device knows the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// Not at all.
    Unknown,
    /// Once known, but the error may be above 120 s by now.
    Drifted,
    /// Well enough to play.
    Fit,
}

/// What a command of the server asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// End what plays or shows; it does not come back.
    Stop,
    /// A new volume for what plays, 0-100, below the cap.
    Volume(u8),
    /// Try the output and say how it went.
    SelfTest,
    /// Be heard or seen, so that people find the device.
    Identify,
}

/// What happened to the device.
#[derive(Clone, Debug)]
pub enum Event {
    /// A judged and persisted timetable.
    Timetable(Schedule),
    /// A sheet that matches its name.
    SheetHeld(Digest, Arc<DaySheet>),
    /// A verified asset is on disk.
    AssetHeld(Digest),
    /// An asset is gone or damaged.
    AssetLost(Digest),
    /// The quiet floor, at start and when it changes.
    Floor(QuietFloor),
    /// The quality of time changed.
    Clock(Time),
    /// Time passed. The first one ends the start-up: until then nothing is done.
    Tick,
    /// The player began to sound, or the first frame of a pass stands.
    Started { token: u64, at: UtcMs },
    /// The player ended.
    Ended { token: u64, at: UtcMs, played_ms: i64, by: Ended },
    /// The player could not.
    Failed { token: u64, why: PlayFault },
    /// A board ended a pass.
    Passed { token: u64, pass: PassEnd },
    /// What the output can prove of this play or pass, where that differs from one to the next;
    /// it counts for what is recorded afterwards, the last word for all of it.
    Graded { token: u64, grade: u8 },
    /// A judged and persisted urgent notice or drill.
    Notice(Box<Notice>),
    /// A notice or drill that the server signed for this device was refused, in a word of the
    /// contract.
    Declined { jti: String, drill: bool, word: &'static str },
    /// A judged and persisted withdrawal of the notice with this id.
    Withdraw { jti: String },
    /// A judged and persisted hold or release.
    Hold(HoldOrder),
    /// Nobody may have signed these, or the device left the unit: they end without an answer.
    Void { notices: Vec<String>, holds: Vec<UnitId> },
    /// A judged command that was not obeyed before.
    Command { jti: String, order: Order },
    /// The program must end: finish what runs and say [`Action::Done`].
    Stop,
}

/// What the loop must do, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Sign, append, make durable; only then go on.
    Record(Box<Body>),
    /// Make durable; only then go on.
    Journal(Journal),
    /// Order a play.
    Play(PlayOrder),
    /// End a play.
    Halt { token: u64, fade_ms: i64 },
    /// Change a play.
    Amend { token: u64, volume: u8, end: UtcMs },
    /// Show one pass of an item.
    Show(ShowOrder),
    /// Show nothing.
    Blank,
    /// The asset cannot be decoded: verify it and fetch it anew if it is damaged.
    Suspect(Digest),
    /// What is missing changed: sheets first, then assets by first use.
    Want { sheets: Vec<Digest>, assets: Vec<AssetWant> },
    /// The program may end.
    Done,
}

impl Action {
    pub(crate) fn record(body: Body) -> Self {
        Self::Record(Box::new(body))
    }
}

/// What the device has to sound or show with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// A loudspeaker and the grade its plays deserve, unless it says otherwise of one.
    Speaker { grade: u8, method: &'static str },
    /// A board and the grade its showings deserve, unless it says otherwise of one.
    Board { grade: u8 },
}

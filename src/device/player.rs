//! The loudspeaker's player as the device's loop sees it: orders in, facts out.
//!
//! The player decides nothing: which cue sounds, when and how loud is the executor's word. It
//! owns one thread and one output and plays one order at a time; a new `Play` while another one
//! sounds ends that one at the instant the new one starts.

use crate::domain::time::UtcMs;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// What to play. The clip's sample at `offset_ms` leaves the output at `at`; sound ends at `end`
/// or with the clip. An order that comes late joins at the right offset by itself: what should
/// have sounded before now is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The caller's name for this play; stands in every event about it.
    pub token: u64,
    /// The verified file.
    pub path: PathBuf,
    /// When the sample at `offset_ms` sounds.
    pub at: UtcMs,
    /// Where in the clip to begin.
    pub offset_ms: i64,
    /// When sound stops at the latest; the fade ends there.
    pub end: UtcMs,
    /// Gain of the clip in centibel (to −16 LUFS), from the day sheet.
    pub gain_cb: i64,
    /// 0-100 in half-decibel steps, 0 mute; the cap is already applied.
    pub volume: u8,
    /// Fade out before `end`, when `end` comes before the end of the clip.
    pub fade_ms: i64,
}

/// What the loop tells the player.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlayerCommand {
    /// Prepare and play. Give it some seconds before `at`, so that decoding is ahead.
    Play(Order),
    /// End the play, now or after a fade; also one that has not begun yet.
    Stop { token: u64, fade_ms: i64 },
    /// Change a play that waits or sounds.
    Amend { token: u64, volume: u8, end: UtcMs },
}

/// Why a play ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The clip was over.
    Clip,
    /// `end` was reached before the clip was over.
    Time,
    /// `Stop`.
    Stop,
    /// Another `Play` took the output.
    Replaced,
    /// The output failed while playing; `Failed` is not sent in addition.
    Output,
}

/// What the player reports. For each `Play` there is exactly one last event: `Ended` when
/// something sounded, else `Failed`, or `Ended` with `played_ms` 0 when it was stopped before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlayerEvent {
    /// The first sample left the output at `at`, by the output's own timing.
    Started { token: u64, at: UtcMs },
    /// The last sample left the output at `at`; `played_ms` counts samples really handed out
    /// (evidence grade 3).
    Ended { token: u64, at: UtcMs, played_ms: i64, by: EndedBy },
    /// Nothing sounded.
    Failed { token: u64, why: PlayError },
}

/// Why nothing sounded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlayError {
    #[error("clip `{path}` cannot be decoded: {reason}")]
    Clip { path: PathBuf, reason: String },
    #[error("the play at `{at:?}` was over before it could start")]
    TooLate { at: UtcMs },
    #[error("the output does not take sound: {reason}")]
    Output { reason: String },
}

impl PlayError {
    /// Returns the `cause` of the play record.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Clip { .. } => "damaged",
            Self::TooLate { .. } => "late",
            Self::Output { .. } => "output",
        }
    }
}

/// Where sound goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkSpec {
    /// The sound card, through the system's sound server.
    Default,
    /// Nowhere, in real time.
    Null,
    /// A file that holds what the street would hear, with silence between plays.
    Wav(PathBuf),
}

/// A text that names no output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an output")]
pub struct SinkSpecError {
    pub text: String,
}

impl SinkSpecError {
    /// Says what a right one looks like.
    pub fn hint(&self) -> &'static str {
        "one of `default`, `null`, `wav:FILE`"
    }
}

impl FromStr for SinkSpec {
    type Err = SinkSpecError;

    fn from_str(text: &str) -> Result<Self, SinkSpecError> {
        match text {
            "default" => Ok(Self::Default),
            "null" => Ok(Self::Null),
            _ => match text.strip_prefix("wav:") {
                Some(file) if !file.is_empty() => Ok(Self::Wav(PathBuf::from(file))),
                _ => Err(SinkSpecError { text: text.chars().take(200).collect() }),
            },
        }
    }
}

/// The loop's handle on the player's thread. Dropping it ends the thread and closes the output.
#[derive(Debug)]
pub struct Player {
    commands: SyncSender<PlayerCommand>,
}

/// The player does not take the command: its thread has ended, or 64 commands wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the player does not answer")]
pub struct PlayerGone;

/// Commands that may wait.
const QUEUE: usize = 64;

impl Player {
    /// Returns a handle and the other end of its channel: what the player's thread reads, and
    /// what a test of the loop may read in its place.
    pub fn channel() -> (Self, Receiver<PlayerCommand>) {
        let (commands, orders) = sync_channel(QUEUE);
        (Self { commands }, orders)
    }

    /// Hands a command over without waiting.
    pub fn command(&self, command: PlayerCommand) -> Result<(), PlayerGone> {
        self.commands.try_send(command).map_err(|_| PlayerGone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_named_as_the_command_line_does() {
        assert_eq!("default".parse(), Ok(SinkSpec::Default));
        assert_eq!("null".parse(), Ok(SinkSpec::Null));
        assert_eq!("wav:loa đài.wav".parse(), Ok(SinkSpec::Wav("loa đài.wav".into())));
        assert!("wav:".parse::<SinkSpec>().is_err());
        assert!("alsa".parse::<SinkSpec>().is_err());
    }
}

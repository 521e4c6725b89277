//! The loudspeaker's player as the device's loop sees it: orders in, facts out.
//!
//! The player decides nothing: which cue sounds, when and how loud is the executor's word. It
//! owns one thread and one output and plays one order at a time; a new `Play` while another one
//! sounds ends that one at the instant the new one starts.

use super::speaker::feed::Feed;
use super::speaker::sink::{self, Output, RATE_HZ, SharedTimeline, SinkError, lock};
use super::speaker::timeline::Timeline;
use crate::clock::SharedClock;
use crate::domain::time::UtcMs;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tracing::{info, warn};

/// What to play. The clip's sample at `offset_ms` leaves the output at `at`; sound ends at `end`
/// or with the clip. An order that comes late joins at the right offset by itself: what should
/// have sounded before now is left out. What shall begin at once and whole (an urgent notice)
/// is ordered for half a second from now.
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
    /// The clip could not be decoded further.
    Damaged,
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
    /// Starts the player. A file that cannot be written is an error; a sound card that is not
    /// there yet is waited for.
    pub fn start(
        spec: SinkSpec,
        clock: SharedClock,
        events: Sender<PlayerEvent>,
    ) -> Result<Self, SinkError> {
        let (player, orders) = Self::channel();
        let (opened, answer) = sync_channel(1);
        // Outputs stay in the thread that opened them.
        std::thread::Builder::new()
            .name("player".to_owned())
            .spawn(move || {
                let timeline = Arc::new(Mutex::new(Timeline::new(RATE_HZ)));
                let output = sink::open(&spec, &clock, &timeline);
                let output = match (output, &spec) {
                    (Err(error), SinkSpec::Wav(_) | SinkSpec::Null) => {
                        let _ = opened.send(Err(error)); // the starter waits for it
                        return;
                    }
                    (Err(error @ SinkError::NotBuilt), _) => {
                        let _ = opened.send(Err(error));
                        return;
                    }
                    (Err(error), SinkSpec::Default) => {
                        warn!(error = %error, "No sound output yet, trying again");
                        None
                    }
                    (Ok(output), _) => Some(output),
                };
                let _ = opened.send(Ok(()));
                Thread { spec, clock, timeline, output, events, retry: Retry::default() }
                    .run(&orders);
            })
            .map_err(SinkError::Thread)?;
        match answer.recv() {
            Ok(Ok(())) => Ok(player),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(SinkError::Device { reason: "its thread ended".to_owned() }),
        }
    }

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

/// How often the thread looks after outputs and events.
const TICK: Duration = Duration::from_millis(20);
/// Decoding to a place in the middle of a clip takes a moment; so far beyond the place that
/// belongs to now it begins.
const JOIN_AHEAD_MS: i64 = 250;

struct Thread {
    spec: SinkSpec,
    clock: SharedClock,
    timeline: SharedTimeline,
    output: Option<Box<dyn Output>>,
    events: Sender<PlayerEvent>,
    retry: Retry,
}

/// When an output that is gone is tried again: after 1 s, doubling to 30 s.
#[derive(Default)]
struct Retry {
    at_ms: i64,
    pause_ms: i64,
}

impl Thread {
    /// Runs until the handle is dropped or nobody hears the events.
    fn run(mut self, orders: &Receiver<PlayerCommand>) {
        loop {
            match orders.recv_timeout(TICK) {
                Ok(PlayerCommand::Play(order)) => self.play(order),
                Ok(PlayerCommand::Stop { token, fade_ms }) => {
                    lock(&self.timeline).stop(token, fade_ms);
                }
                Ok(PlayerCommand::Amend { token, volume, end }) => {
                    lock(&self.timeline).amend(token, volume, end);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.look_after_output();
            loop {
                let event = lock(&self.timeline).next_event();
                let Some(event) = event else { break };
                if self.events.blocking_send(event).is_err() {
                    return;
                }
            }
        }
    }

    fn play(&mut self, order: Order) {
        let late_ms = self.clock.now().since(order.at);
        let mut timeline = lock(&self.timeline);
        let ahead_ms = if late_ms > 0 { late_ms.saturating_add(JOIN_AHEAD_MS) } else { 0 };
        let from = timeline.frames(order.offset_ms.saturating_add(ahead_ms));
        match Feed::start(order.path.clone(), from, RATE_HZ) {
            Ok(feed) => timeline.play(order, feed),
            Err(error) => timeline.refuse(&order, error.to_string()),
        }
    }

    fn look_after_output(&mut self) {
        let now_ms = self.clock.mono_ms();
        if let Some(reason) = self.output.as_ref().and_then(|output| output.lost()) {
            warn!(reason, "Lost the sound output, opening it again");
            self.output = None;
            self.retry = Retry { at_ms: now_ms, pause_ms: 1_000 };
            lock(&self.timeline).output_lost();
        }
        if self.output.is_some() {
            return;
        }
        if now_ms >= self.retry.at_ms {
            if let Ok(output) = sink::open(&self.spec, &self.clock, &self.timeline) {
                info!("Opened the sound output");
                self.output = Some(output);
                return;
            }
            let pause_ms = self.retry.pause_ms.max(1_000);
            let at_ms = self.clock.mono_ms().saturating_add(pause_ms);
            self.retry = Retry { at_ms, pause_ms: (pause_ms * 2).min(30_000) };
        }
        lock(&self.timeline).expire(self.clock.now());
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

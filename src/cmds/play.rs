//! `loa play` (not in the help): the player by itself, for the tests of real sound and the bench.
//!
//! Orders come as one JSON object a line on stdin, events go the same way to stdout.

use super::{Advise as _, Answer};
use crate::clock::{SharedClock, SystemClock};
use crate::device::player::{EndedBy, Order, Player, PlayerCommand, PlayerEvent, SinkSpec};
use crate::domain::time::UtcMs;
use serde::{Deserialize, Serialize};
use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

/// Plays what is ordered on stdin
#[derive(Debug, clap::Args)]
pub struct Args {
    /// `default`, `null` or `wav:FILE`
    #[arg(long, default_value = "default")]
    sink: SinkSpec,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Line {
    Play {
        token: u64,
        path: PathBuf,
        at_ms: i64,
        #[serde(default)]
        offset_ms: i64,
        end_ms: i64,
        #[serde(default)]
        gain_cb: i64,
        volume: u8,
        #[serde(default)]
        fade_ms: i64,
    },
    Stop {
        token: u64,
        fade_ms: i64,
    },
    Amend {
        token: u64,
        volume: u8,
        end_ms: i64,
    },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Told {
    Ready { now_ms: i64 },
    Started { token: u64, at_ms: i64 },
    Ended { token: u64, at_ms: i64, played_ms: i64, by: &'static str },
    Failed { token: u64, why: String },
}

impl From<Line> for PlayerCommand {
    fn from(line: Line) -> Self {
        match line {
            Line::Play { token, path, at_ms, offset_ms, end_ms, gain_cb, volume, fade_ms } => {
                let (at, end) = (UtcMs(at_ms), UtcMs(end_ms));
                Self::Play(Order { token, path, at, offset_ms, end, gain_cb, volume, fade_ms })
            }
            Line::Stop { token, fade_ms } => Self::Stop { token, fade_ms },
            Line::Amend { token, volume, end_ms } => {
                Self::Amend { token, volume, end: UtcMs(end_ms) }
            }
        }
    }
}

impl From<PlayerEvent> for Told {
    fn from(event: PlayerEvent) -> Self {
        match event {
            PlayerEvent::Started { token, at } => Self::Started { token, at_ms: at.0 },
            PlayerEvent::Ended { token, at, played_ms, by } => {
                let by = match by {
                    EndedBy::Clip => "clip",
                    EndedBy::Time => "time",
                    EndedBy::Stop => "stop",
                    EndedBy::Replaced => "replaced",
                    EndedBy::Output => "output",
                    EndedBy::Damaged => "damaged",
                };
                Self::Ended { token, at_ms: at.0, played_ms, by }
            }
            PlayerEvent::Failed { token, why } => Self::Failed { token, why: why.to_string() },
        }
    }
}

/// Plays until stdin ends.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    let clock: SharedClock = Arc::new(SystemClock::new());
    let (events, mut heard) = tokio::sync::mpsc::channel(64);
    let now_ms = clock.now().0;
    let player = Player::start(args.sink, clock, events)
        .map_err(|error| (error.hint(), error))
        .or_else(|(hint, error)| Err(error).advise(hint))?;
    tell(&Told::Ready { now_ms })?;
    let teller = std::thread::spawn(move || {
        while let Some(event) = heard.blocking_recv() {
            if tell(&event.into()).is_err() {
                break;
            }
        }
    });
    for line in std::io::stdin().lock().lines() {
        let line: Line = serde_json::from_str(&line?)?;
        player.command(line.into())?;
    }
    drop(player);
    let _ = teller.join(); // a closed pipe is all it can have met
    Ok(Answer::Yes)
}

fn tell(told: &Told) -> anyhow::Result<()> {
    let mut text = serde_json::to_string(told)?;
    text.push('\n');
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

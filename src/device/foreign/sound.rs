//! The gateway's own sound output, for devices that only amplify: a player that is told the volume
//! and the end. It is opened before its first clip, whose beginning would be lost otherwise.

use crate::clock::SharedClock;
use crate::device::player::{Order, Player, PlayerCommand, PlayerEvent, SinkSpec};
use crate::dialect::machine::SinkSays;
use crate::domain::time::UtcMs;
use std::path::PathBuf;
use tokio::sync::mpsc;

/// Decoding must be ahead of the first sample, or the beginning is lost.
const LEAD_MS: i64 = 500;
/// Events that may wait for the loop.
const WAITING: usize = 64;

/// The output of one device.
#[derive(Debug)]
pub(super) struct Sound {
    spec: SinkSpec,
    clock: SharedClock,
    player: Option<(Player, mpsc::Receiver<PlayerEvent>)>,
}

impl Sound {
    /// Opens nothing yet.
    pub fn new(spec: SinkSpec, clock: SharedClock) -> Self {
        Self { spec, clock, player: None }
    }

    /// Opens the output ahead of its first clip; says whether it is open.
    pub fn open(&mut self) -> bool {
        if self.player.is_some() {
            return true;
        }
        let (told, events) = mpsc::channel(WAITING);
        match Player::start(self.spec.clone(), self.clock.clone(), told) {
            Ok(player) => self.player = Some((player, events)),
            Err(error) => {
                tracing::error!(%error, hint = error.hint(), "No sound output");
            }
        }
        self.player.is_some()
    }

    /// Plays a clip from now on; says at once when it cannot.
    pub fn play(
        &mut self,
        token: u64,
        path: Option<PathBuf>,
        now: UtcMs,
        gain_cb: i64,
        volume: u8,
        length_ms: i64,
    ) -> Option<SinkSays> {
        let Some(path) = path else { return Some(SinkSays::Failed) };
        if !self.open() {
            return Some(SinkSays::Failed);
        }
        let at = now.plus(LEAD_MS);
        let order = Order {
            token,
            path,
            at,
            offset_ms: 0,
            end: at.plus(length_ms),
            gain_cb,
            volume,
            fade_ms: 0,
        };
        let (player, _) = self.player.as_ref()?;
        let gone = player.command(PlayerCommand::Play(order)).is_err();
        gone.then(|| {
            self.player = None;
            SinkSays::Failed
        })
    }

    /// Ends a clip, with a short fade.
    pub fn end(&self, token: u64) {
        if let Some((player, _)) = &self.player {
            // A player that is gone is silent.
            let _ = player.command(PlayerCommand::Stop { token, fade_ms: 50 });
        }
    }

    /// Waits for what the output says next.
    pub async fn next(&mut self) -> Option<(u64, SinkSays)> {
        let Some((_, events)) = &mut self.player else { return std::future::pending().await };
        let Some(event) = events.recv().await else {
            self.player = None;
            return None;
        };
        // Without a listener nothing beyond the program's own word is proved.
        let grade = if self.spec == SinkSpec::Null { 2 } else { 3 };
        Some(match event {
            PlayerEvent::Started { token, .. } => (token, SinkSays::Started { grade }),
            PlayerEvent::Ended { token, by, .. } => (token, ended(by)),
            PlayerEvent::Failed { token, why } => {
                tracing::warn!(token, error = %why, "A clip does not sound");
                (token, SinkSays::Failed)
            }
        })
    }
}

fn ended(by: crate::device::player::EndedBy) -> SinkSays {
    use crate::device::player::EndedBy;
    match by {
        EndedBy::Clip | EndedBy::Time | EndedBy::Stop | EndedBy::Replaced => SinkSays::Ended,
        EndedBy::Output | EndedBy::Damaged => SinkSays::Failed,
    }
}

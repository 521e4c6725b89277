//! The output as the loop sees it: a loudspeaker's player or a board's panel.

use super::executor::{Action, Event, Output};
use std::path::Path;
use tokio::sync::mpsc;

/// Events that may wait for the loop; a thread that reports more waits.
const WAITING: usize = 64;

/// The one output of a device.
#[derive(Debug)]
pub struct Hardware {
    kind: Kind,
    output: Output,
}

#[derive(Debug)]
enum Kind {
    #[cfg(feature = "speaker")]
    Speaker(super::player::Player),
    #[cfg(feature = "board")]
    Board(super::panel::Panel),
    Elsewhere(mpsc::Sender<Action>),
}

/// The far side of an output that is not a thread of this program: it reads what is ordered and
/// answers as a player or a panel would. Rehearsals and tests of the loop play its part.
#[derive(Debug)]
pub struct Stage {
    /// What the output is ordered to do; when as many wait as an output takes, it is gone.
    pub orders: mpsc::Receiver<Action>,
    /// What it says.
    pub events: mpsc::Sender<Event>,
}

/// The output does not take orders any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the output does not answer")]
pub struct Gone;

impl Hardware {
    /// Opens a loudspeaker.
    #[cfg(feature = "speaker")]
    pub fn speaker(
        sink: super::player::SinkSpec,
        clock: crate::clock::SharedClock,
    ) -> Result<(Self, mpsc::Receiver<Event>), super::speaker::sink::SinkError> {
        use super::player::{Player, SinkSpec};
        // A sink without a listener proves nothing beyond the program's own word.
        let output = match sink {
            SinkSpec::Null => Output::Speaker { grade: 2, method: "null" },
            SinkSpec::Wav(_) => Output::Speaker { grade: 3, method: "wav" },
            SinkSpec::Default => Output::Speaker { grade: 3, method: "samples" },
        };
        let (told, mut tells) = mpsc::channel(WAITING);
        let (events, heard) = mpsc::channel(WAITING);
        let player = Player::start(sink, clock, told)?;
        tokio::spawn(async move {
            while let Some(event) = tells.recv().await {
                if events.send(translate(event)).await.is_err() {
                    return;
                }
            }
        });
        Ok((Self { kind: Kind::Speaker(player), output }, heard))
    }

    /// Opens a board.
    #[cfg(feature = "board")]
    pub fn board(
        board: Box<dyn super::board::Output>,
        profile: crate::domain::profile::BoardProfile,
        grade: u8,
        clock: crate::clock::SharedClock,
        props: super::props::Props,
    ) -> std::io::Result<(Self, mpsc::Receiver<Event>)> {
        let (events, heard) = mpsc::channel(WAITING);
        let panel = super::panel::Panel::start(board, profile, clock, props, events)?;
        Ok((Self { kind: Kind::Board(panel), output: Output::Board { grade } }, heard))
    }

    /// Returns an output whose part the holder of the stage plays.
    pub fn elsewhere(output: Output) -> (Self, mpsc::Receiver<Event>, Stage) {
        let (events, heard) = mpsc::channel(WAITING);
        let (ordered, orders) = mpsc::channel(WAITING);
        let stage = Stage { orders, events };
        (Self { kind: Kind::Elsewhere(ordered), output }, heard, stage)
    }

    /// Returns what it is.
    pub fn output(&self) -> Output {
        self.output
    }

    /// Hands an order on; `path` is where the asset of a play lies. Orders of another kind of
    /// output never come: the executor knows what it has.
    pub fn obey(&self, action: &Action, path: impl FnOnce() -> Box<Path>) -> Result<(), Gone> {
        match &self.kind {
            #[cfg(feature = "speaker")]
            Kind::Speaker(player) => {
                use super::player::{Order, PlayerCommand};
                let command = match action.clone() {
                    Action::Play(order) => PlayerCommand::Play(Order {
                        token: order.token,
                        path: path().into(),
                        at: order.at,
                        offset_ms: order.offset_ms,
                        end: order.end,
                        gain_cb: order.gain_cb,
                        volume: order.volume,
                        fade_ms: order.fade_ms,
                    }),
                    Action::Halt { token, fade_ms } => PlayerCommand::Stop { token, fade_ms },
                    Action::Amend { token, volume, end } => {
                        PlayerCommand::Amend { token, volume, end }
                    }
                    _ => return Ok(()),
                };
                player.command(command).map_err(|_| Gone)
            }
            #[cfg(feature = "board")]
            Kind::Board(panel) => {
                let _ = path;
                match action.clone() {
                    Action::Show(order) => panel.show(order).map_err(|_| Gone),
                    Action::Blank => panel.blank().map_err(|_| Gone),
                    _ => Ok(()),
                }
            }
            Kind::Elsewhere(orders) => {
                let _ = path;
                orders.try_send(action.clone()).map_err(|_| Gone)
            }
        }
    }
}

#[cfg(feature = "speaker")]
fn translate(event: super::player::PlayerEvent) -> Event {
    use super::executor::{Ended, PlayFault};
    use super::player::{EndedBy, PlayError, PlayerEvent};
    match event {
        PlayerEvent::Started { token, at } => Event::Started { token, at },
        PlayerEvent::Ended { token, at, played_ms, by } => {
            let by = match by {
                EndedBy::Clip => Ended::Clip,
                EndedBy::Time => Ended::Time,
                EndedBy::Stop => Ended::Halted,
                EndedBy::Replaced => Ended::Replaced,
                EndedBy::Output => Ended::Output,
                EndedBy::Damaged => Ended::Damaged,
            };
            Event::Ended { token, at, played_ms, by }
        }
        PlayerEvent::Failed { token, why } => {
            tracing::warn!(token, error = %why, "A clip does not sound");
            let why = match why {
                PlayError::Clip { .. } => PlayFault::Damaged,
                PlayError::TooLate { .. } => PlayFault::Late,
                PlayError::Output { .. } => PlayFault::Output,
            };
            Event::Failed { token, why }
        }
    }
}

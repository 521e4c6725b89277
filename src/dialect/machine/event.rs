//! What goes in and what comes out of the machine of one foreign device.

use super::evidence::Evidence;
use crate::dialect::frame::Frame;
use crate::dialect::model::Method;
use crate::dialect::render::RenderError;
use crate::dialect::words::Refused;
use crate::domain::ids::Digest;

/// What happened. Instants are milliseconds of a clock that never steps.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The connection to broker or device stands.
    Connected,
    /// It does not any more.
    Disconnected,
    /// A message on a topic that was subscribed.
    Message { topic: String, payload: Vec<u8>, retained: bool },
    /// A line from the device, without its end.
    Line(Vec<u8>),
    /// An HTTP request was answered, or was not.
    Answer { request: u32, answer: Option<(u16, Vec<u8>)> },
    /// The gateway's own sound output speaks.
    Sink { token: u64, says: SinkSays },
    /// Time passed.
    Tick,
    /// The executor wants something.
    Order(Order),
}

/// What the gateway's own sound output says of a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkSays {
    /// It sounds; the grade is the output's own, 3 when it counts samples.
    Started { grade: u8 },
    /// It ended.
    Ended,
    /// It could not.
    Failed,
}

/// What the executor wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    Play(PlayOrder),
    Show(ShowOrder),
    /// End this play or page; nothing happens when it ended already.
    Stop {
        token: u64,
    },
    /// This play or page ends then at the latest, sooner or later than was said.
    Until {
        token: u64,
        end_ms: i64,
    },
    /// The volume of what plays, 0-100.
    Volume(u8),
    /// The brightness, 0-100.
    Brightness(u8),
    /// Show nothing.
    Clear,
    /// Ask the device how it is.
    Probe,
}

/// A clip to play.
#[derive(Clone, Debug, PartialEq)]
pub struct PlayOrder {
    /// Stands in every action about it; never given twice.
    pub token: u64,
    /// First 12 digits of the cue's id: what the device may repeat.
    pub item: String,
    pub sha256: Digest,
    /// Where the device can fetch it.
    pub url: Option<String>,
    /// What the device calls it, when it holds it by a name of its own.
    pub slot: Option<String>,
    pub volume: u8,
    /// Where in the clip: foreign devices begin at the beginning.
    pub offset_ms: i64,
    /// How long it sounds from there.
    pub length_ms: i64,
    /// When sound ends at the latest.
    pub end_ms: i64,
}

/// A page to show.
#[derive(Clone, Debug, PartialEq)]
pub struct ShowOrder {
    pub token: u64,
    pub item: String,
    pub text: Option<String>,
    /// The page as pixels, when it could be drawn.
    pub frame: Option<Frame>,
    pub colour: Option<String>,
    pub dwell_ms: i64,
    pub until_ms: i64,
}

/// What the loop must do, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Subscribe to exactly these topics.
    Subscribe {
        topics: Vec<String>,
    },
    Publish {
        topic: String,
        payload: Vec<u8>,
        qos: u8,
        retain: bool,
    },
    Http {
        request: u32,
        method: Method,
        url: String,
        body: Option<Body>,
        within_ms: i64,
    },
    Line {
        bytes: Vec<u8>,
    },
    /// Send these datagrams to the pixel output.
    Datagrams {
        packets: Vec<Vec<u8>>,
    },
    /// Play the clip on the gateway's own sound output.
    Sound {
        token: u64,
        sha256: Digest,
        volume: u8,
        length_ms: i64,
    },
    /// End it.
    Silence {
        token: u64,
    },
    /// Send [`Event::Tick`] at this instant, instead of any asked for before.
    Wake {
        at_ms: i64,
    },
    /// Keep this with the record.
    Evidence(Box<Evidence>),
    /// Whether the device is there changed.
    Presence(Present),
    /// The device told its firmware.
    Firmware {
        said: String,
        expected: bool,
    },
    /// The play or page began, as far as the grade says so.
    Started {
        token: u64,
        at_ms: i64,
        grade: u8,
    },
    /// It ended after it began.
    Ended {
        token: u64,
        played_ms: i64,
        by: EndedBy,
        grade: u8,
    },
    /// It did not begin.
    Failed {
        token: u64,
        why: Why,
        grade: u8,
    },
}

/// The body of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    pub content_type: &'static str,
    pub bytes: Vec<u8>,
}

/// Whether a device is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Present {
    /// Nothing was heard, or not for long.
    #[default]
    Unknown,
    Online,
    /// It or its broker said that it is gone.
    Offline,
}

/// Why a play or page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The device said that it ended.
    Device,
    /// Its length passed and nobody said otherwise.
    Reckoned,
    /// The latest end was reached.
    Time,
    /// It was stopped.
    Halted,
    /// Another order took the output.
    Replaced,
    /// The device said that it failed, or went away.
    Broken,
}

/// Why a play or page did not begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    #[error("the device is not there")]
    Offline,
    #[error("its profile has no action for this")]
    Unsupported,
    #[error("{0}")]
    Text(#[from] Refused),
    #[error("{0}")]
    Render(#[from] RenderError),
    #[error("too late to begin, and the device cannot begin in the middle")]
    Late,
    #[error("the device did not answer")]
    NoAnswer,
    #[error("the device did not say that it began")]
    NoStart,
    #[error("the device refused")]
    Device,
    #[error("stopped before it began")]
    Halted,
    #[error("another order came before it began")]
    Replaced,
}

impl Why {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Offline => "look at its power and its network",
            Self::Unsupported => "choose a device whose profile can, or add the action",
            Self::Text(refused) => refused.hint(),
            Self::Render(error) => error.hint(),
            Self::Late => "nothing to do; the next occurrence begins in time",
            Self::NoAnswer | Self::NoStart => {
                "compare the profile with the firmware; the kept answers show what it said"
            }
            Self::Device => "the kept answer says why",
            Self::Halted | Self::Replaced => "nothing to do",
        }
    }
}

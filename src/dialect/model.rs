//! A dialect as accepted from a profile: every template compiled, every bound known.

use super::field::Verb;
use super::limits::Limits;
use super::matching::{Condition, Pointer};
use super::template::Template;
use std::collections::BTreeMap;

/// How to speak to a model of foreign device.
#[derive(Clone, Debug, PartialEq)]
pub struct Dialect {
    /// The version of this description, counted up when its meaning changes.
    pub version: u32,
    /// Firmware it was written for, as people name it.
    pub firmware: Option<String>,
    /// How a device tells its firmware.
    pub detection: Option<Detection>,
    /// Settings that each device has, with an example.
    pub settings: BTreeMap<String, String>,
    pub transport: Transport,
    /// Names of topics.
    pub topics: BTreeMap<String, Template>,
    pub actions: BTreeMap<Verb, Vec<Step>>,
    pub clips: Option<ClipAddress>,
    pub presence: Option<Presence>,
    pub events: Vec<EventRule>,
    pub correlation: Correlation,
    pub limits: Limits,
    pub fallback: Fallback,
    pub timing: Timing,
    pub pixels: Option<PixelOutput>,
}

impl Dialect {
    /// Returns the steps of an action; empty when the device has none.
    pub fn steps(&self, verb: Verb) -> &[Step] {
        self.actions.get(&verb).map_or(&[], Vec::as_slice)
    }

    /// Says whether some event of that meaning can be heard.
    pub fn tells(&self, means: Means) -> bool {
        self.events.iter().any(|rule| rule.means == means)
    }
}

/// Where a device tells its firmware, so that a profile for another version is noticed.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    pub topic: String,
    pub at: Option<Pointer>,
    /// It begins with this.
    pub starts: String,
}

/// How bytes reach the device.
#[derive(Clone, Debug, PartialEq)]
pub enum Transport {
    Mqtt {
        qos_most: u8,
        keep_alive_s: u16,
        tls: bool,
    },
    Http {
        /// `http://host:port`, without a path.
        base: Template,
    },
    Tcp {
        /// `host:port`.
        address: Template,
        framing: Framing,
    },
    Serial {
        /// Name of the port.
        port: Template,
        baud: u32,
        framing: Framing,
    },
    /// Pixels alone.
    Udp,
}

/// Where an answer of a line protocol ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// At this byte.
    Until(u8),
}

/// One message of an action.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub what: What,
    /// Wait so long before it.
    pub delay_ms: i64,
    /// Sending it twice does no harm.
    pub again: bool,
}

impl Step {
    /// Returns the topic on which the broker keeps the message.
    pub fn kept_topic(&self) -> Option<&Template> {
        match &self.what {
            What::Publish { topic, retain: true, .. } => Some(topic),
            _ => None,
        }
    }
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Publish {
        topic: Template,
        payload: Template,
        qos: u8,
        retain: bool,
    },
    Http {
        method: Method,
        path: Template,
        body: Option<(Template, &'static str)>,
    },
    Line {
        bytes: Template,
    },
    /// Sends the picture by the pixel output.
    Pixels,
    /// Plays the clip on the gateway's own sound output, which the device amplifies.
    Sound,
}

/// A method of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
}

/// How a device names clips.
#[derive(Clone, Debug, PartialEq)]
pub enum ClipAddress {
    /// It fetches them from an address of ours.
    Url,
    /// They lie on the device under this path.
    File(Template),
    /// The device has them by a name of its own, which the gateway's settings give by hash.
    Slot,
    /// The gateway plays them itself.
    Gateway,
}

/// How a device shows that it is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Presence {
    /// `None`: any message shows that it is there, none that it is not.
    pub topic: Option<String>,
    pub at: Option<Pointer>,
    pub online: Vec<String>,
    pub offline: Vec<String>,
    /// The broker keeps the word, so that it holds from the first moment.
    pub retained: bool,
    /// Nothing heard for so long: unknown.
    pub stale_after_ms: Option<i64>,
}

/// Where a message comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// On a topic, by name.
    Topic(String),
    /// The answer to a request of HTTP.
    Answer,
    /// A line.
    Line,
}

/// What a message means when all conditions hold.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRule {
    pub from: Source,
    /// All of them.
    pub when: Vec<Condition>,
    pub means: Means,
    /// Names and places of values to keep.
    pub captures: Vec<Pointer>,
}

impl EventRule {
    /// Says whether it speaks of our item and of no other.
    pub fn names_item(&self) -> bool {
        self.when.iter().any(Condition::names_item)
    }
}

/// What an event means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Means {
    /// The device took the order.
    Accepted,
    /// It plays or shows.
    Started,
    /// It ended.
    Finished,
    /// It could not.
    Failed,
    /// Its screen shows what we drew.
    Screen,
    /// Power was measured while it played.
    Electrical,
    /// A microphone or light sensor of its own heard or saw it.
    Sensor,
}

impl Means {
    /// All meanings by the name profiles use.
    pub const ALL: [(&'static str, Self); 7] = [
        ("accepted", Self::Accepted),
        ("started", Self::Started),
        ("finished", Self::Finished),
        ("failed", Self::Failed),
        ("screen", Self::Screen),
        ("electrical", Self::Electrical),
        ("sensor", Self::Sensor),
    ];
}

/// How an answer finds its order.
#[derive(Clone, Debug, PartialEq)]
pub enum Correlation {
    /// It does not, or HTTP does it.
    None,
    /// By a number that the device repeats.
    Id { topic: String, request: Pointer, error: Option<Pointer> },
    /// Answers come in the order of the lines.
    Order,
}

/// What happens to letters that the device lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// The order fails, with the reason.
    Refuse,
    /// The page goes as pixels.
    Frame,
    /// Diacritics are taken off.
    Strip,
}

/// Who ends a play or a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// The device, at the end of the clip.
    Device,
    /// We do, by `stop` or `clear`.
    Scheduler,
}

/// How long things take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    pub ends: Ends,
    /// An answer comes within this.
    pub answer_ms: i64,
    /// How often a message that may be repeated is repeated.
    pub retries: u32,
    /// The word that it started comes within this.
    pub start_ms: i64,
    /// A clip that is later than this is not begun: these devices cannot begin in the middle.
    pub late_ms: i64,
    /// A play is as long as planned within this.
    pub tolerance_ms: i64,
    /// So long after a start the device is asked.
    pub probe_ms: Option<i64>,
    /// A picture is sent again so often.
    pub refresh_ms: Option<i64>,
}

/// Pixels over UDP.
#[derive(Clone, Debug, PartialEq)]
pub struct PixelOutput {
    pub protocol: PixelProtocol,
    pub host: Template,
    /// First universe of E1.31 and Art-Net.
    pub universe: u16,
    /// Pixels of a universe, 170 at most.
    pub per_universe: usize,
}

/// How pixels are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelProtocol {
    Ddp,
    E131,
    ArtNet,
    WledDrgb,
    WledDnrgb,
}

impl PixelProtocol {
    /// All protocols by the name profiles use.
    pub const ALL: [(&'static str, Self); 5] = [
        ("ddp", Self::Ddp),
        ("e131", Self::E131),
        ("artnet", Self::ArtNet),
        ("wled-drgb", Self::WledDrgb),
        ("wled-dnrgb", Self::WledDnrgb),
    ];

    /// Returns the name that profiles use.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, protocol)| *protocol == self).map_or("", |(name, _)| name)
    }
}

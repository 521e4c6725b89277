//! What can be wrong in the dialect of a profile beyond missing keys and wrong kinds.

use crate::dialect::TemplateError;
use crate::dialect::scale::ScaleError;

/// One mistake in a dialect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialectFault {
    #[error("`{key}`: {error}")]
    Template { key: String, error: TemplateError },
    #[error("`{name}`: {error}")]
    Scale { name: String, error: ScaleError },
    #[error("`{name}` is no name of a {what}")]
    Name { what: &'static str, name: String },
    #[error("`{text}` is not a JSON pointer")]
    Pointer { text: String },
    #[error("`{text}` is not a decimal number")]
    Decimal { text: String },
    #[error("`{text}` is not a range of letters")]
    Letters { text: String },
    #[error("`{key}` has no place in a step of {transport}")]
    Step { key: &'static str, transport: &'static str },
    #[error("`{key}` does not belong to transport `{kind}`")]
    Transport { key: &'static str, kind: &'static str },
    #[error("a path that does not begin with `/`")]
    Path,
    #[error("`{action}` is kept by the broker, and nothing takes it back")]
    Ghost { action: &'static str },
    #[error("a step of {transport} that sends nothing")]
    EmptyStep { transport: &'static str },
    #[error("`retain` in `{action}`")]
    Retain { action: &'static str },
    #[error("the dialect neither shows nor plays")]
    Idle,
    #[error("`{action}` in a profile without `[{output}]`")]
    Output { action: &'static str, output: &'static str },
    #[error("{output} in a dialect without {action}")]
    NoAction { output: &'static str, action: &'static str },
    #[error("both `[speaker]` and `[board]` in a foreign device")]
    BothOutputs,
    #[error("nothing ends a play: no `stop`")]
    NoStop,
    #[error("`finished` is told but not `started`")]
    NoStarted,
    #[error("a condition compares nothing, or more than one thing")]
    Condition,
    #[error("`text` inside another text names no item")]
    Vague,
    #[error("{pixels} pixels, more than the {most} of `{protocol}`")]
    Pixels { pixels: usize, most: usize, protocol: &'static str },
    #[error("universe {universe} is outside {least} to {most} of `{protocol}`")]
    Universe { universe: i64, least: u16, most: u16, protocol: &'static str },
    #[error("one play takes {steps} messages, and `per_minute` is {per_minute}")]
    Slow { steps: usize, per_minute: u32 },
    #[error("quality of service {qos} in a step, above the {most} of the transport")]
    Qos { qos: u8, most: u8 },
    #[error("topic `{topic}` changes with the order, and nothing can listen to it")]
    Varies { topic: String },
}

impl DialectFault {
    /// Says what to do about it.
    pub fn hint(&self) -> String {
        let text = match self {
            Self::Template { error, .. } => return error.hint(),
            Self::Scale { error, .. } => error.hint(),
            Self::Name { .. } => "a letter, then letters, digits and `_`, 32 at most, lower case",
            Self::Pointer { .. } => "as in `/currentTrack/TrackUri`; `~1` for a slash in a name",
            Self::Decimal { .. } => "in quotes, as in `\"2.5\"`",
            Self::Letters { .. } => {
                "`ascii`, `latin1`, `vietnamese`, or codes such as `20-7E` and `1EF9`"
            }
            Self::Step { transport: "mqtt", .. } => {
                "over MQTT a step has `topic` and `json` or `raw`"
            }
            Self::Step { transport: "http", .. } => {
                "over HTTP a step has `path`, and `method`, `json` or `raw` as needed"
            }
            Self::Step { transport: "udp", .. } => "over UDP a step is `send = \"pixels\"`",
            Self::Step { .. } => "over a line a step has `line`",
            Self::Path => "as in `/api/play`; the host stands in `base`",
            Self::Ghost { .. } => {
                "give `clear` a step on the same topic with `retain = true`, or the page comes back \
                 at every reconnection"
            }
            Self::Transport { .. } => "take it out, or choose the transport that has it",
            Self::EmptyStep { transport: "mqtt" } => "give it a `topic`",
            Self::EmptyStep { transport: "http" } => "give it a `path`",
            Self::EmptyStep { transport: "udp" } => "give it `send = \"pixels\"`",
            Self::EmptyStep { .. } => "give it a `line`",
            Self::Retain { .. } => {
                "take it out: a retained command acts again at every reconnection; only what \
                 describes a state (`show_text`, `show_frame`, `clear`, `volume`, `brightness`) may be \
                 kept"
            }
            Self::Idle => "describe `[[dialect.actions.play_clip]]`, `show_text` or `show_frame`",
            Self::Output { output, .. } => {
                return format!("add `[{output}]` with what the device can do");
            }
            Self::NoAction { action, .. } => return format!("describe {action}, or take it out"),
            Self::BothOutputs => "write two profiles; each output is a device of its own",
            Self::NoStop => {
                "describe `[[dialect.actions.stop]]`: an order to be silent must reach the device"
            }
            Self::NoStarted => {
                "describe the event that begins a play: the end of the one before is taken for \
                 the end of this one otherwise"
            }
            Self::Condition => "one of is, is_not, has, ends, least/most, pixels, present",
            Self::Vague => "compare a whole text with `is = [\"${text}\"]`",
            Self::Pixels { .. } => "choose a protocol that addresses more, or a smaller board",
            Self::Universe { .. } => "name the first universe that the board listens to",
            Self::Slow { .. } => "raise `per_minute` to twice the steps, or send fewer",
            Self::Qos { .. } => "lower it, or raise `qos` under `[dialect.transport]`",
            Self::Varies { .. } => "describe a second topic that holds settings only",
        };
        text.to_owned()
    }
}

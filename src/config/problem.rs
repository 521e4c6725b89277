//! Everything that can be wrong in a station folder, with what to do about it.
//!
//! Each variant names its culprit; the place is the fault's. Invariant: no message repeats the
//! place, and each error has a hint that a radio operator can act on.

use super::dialect::DialectFault;
use super::fault::{Place, Severity};
use crate::domain::ids::IdError;
use crate::domain::recurrence::RecurrenceError;
use crate::draw::FindingError;
use crate::draw::walk::CodeError;
use crate::plan::{Doubt, MoneyError, MonthError, TopicError};

/// One kind of mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("cannot read `{name}`: {why}")]
    Unreadable { name: String, why: String },
    #[error("no file `{name}`")]
    NoFile { name: &'static str },
    #[error("no folder of device profiles at `{path}`")]
    NoProfiles { path: String },
    #[error("{bytes} bytes, more than the {most} allowed")]
    TooLarge { bytes: u64, most: u64 },
    #[error("more than {most} {what}")]
    TooMany { what: &'static str, most: usize },
    #[error("not UTF-8 from byte {offset} on")]
    NotUtf8 { offset: usize },
    #[error("text in UTF-16")]
    Utf16,
    #[error("file name `{name}` gives no id")]
    FileName { name: String },
    #[error("file `{name}` gives the id `{id}`, as `{other}` does")]
    SameId { name: String, id: String, other: String },
    #[error("`{path}` leaves the station folder")]
    Escapes { path: String },
    #[error("`{path}` is not a relative path of names and `/`")]
    Path { path: String },
    #[error("not TOML: {message}")]
    Syntax { message: String },
    #[error("unknown key `{key}` in {of}")]
    UnknownKey { key: String, of: &'static str, near: Option<String>, known: String },
    #[error("{of} has no `{key}`")]
    MissingKey { key: &'static str, of: &'static str, doc: &'static str },
    #[error("`{key}` is {found}, not {wanted}")]
    Kind { key: String, wanted: &'static str, found: &'static str, hint: &'static str },
    #[error("`{key}` is empty")]
    Empty { key: String },
    #[error("`{key}` has {length} characters, more than the {most} allowed")]
    TooLong { key: String, length: usize, most: usize },
    #[error("`{key}` has {length} entries, more than the {most} allowed")]
    TooManyEntries { key: String, length: usize, most: usize },
    #[error("`{key}` holds the control character U+{code:04X}")]
    Control { key: String, code: u32 },
    #[error("`{key}` is `{value}`, outside {least} to {most}")]
    Range { key: String, value: String, least: i64, most: i64 },
    #[error("`{text}` is no value of `{key}`")]
    Choice { key: String, text: String, near: Option<String>, all: String },
    #[error("{0}")]
    Id(IdError),
    #[error("`{text}` is not a length of time")]
    Duration { text: String },
    #[error("`{key}` is `{text}`, outside {least} to {most}")]
    DurationRange { key: String, text: String, least: &'static str, most: &'static str },
    #[error("`{text}` is not a date")]
    Date { text: String },
    #[error("{0}")]
    Schedule(RecurrenceError),
    #[error("`{from}` comes after `{to}`")]
    DatesReversed { from: String, to: String },
    #[error("{what} `{id}` stands here a second time")]
    Duplicate { what: &'static str, id: String, first: Place },
    #[error("no {what} `{id}`")]
    Unknown {
        what: &'static str,
        id: String,
        near: Option<String>,
        wherein: &'static str,
        refuses: bool,
    },
    #[error("unit `{id}` is its own ancestor: {circle}")]
    Circle { id: String, circle: String },
    #[error("a {child} `{id}` cannot stand below the {parent} `{above}`")]
    Parent { id: String, child: &'static str, above: String, parent: &'static str },
    #[error("{kind} `{id}` has no parent")]
    Orphan { id: String, kind: &'static str },
    #[error("both `{one}` and `{other}` are given")]
    Both { one: &'static str, other: &'static str },
    #[error("neither `{one}` nor `{other}` is given")]
    Neither { one: &'static str, other: &'static str },
    #[error("`{key}` has no use {without}")]
    Useless { key: &'static str, without: &'static str, hint: &'static str },
    #[error("item `{item}` stands in no slot")]
    IdleItem { item: String },
    #[error("`{key}` says `{said}` but the file name says `{name}`")]
    IdDiffers { key: &'static str, said: String, name: String },
    #[error("the playlist reaches no device")]
    NoDevice,
    #[error("no device reached can {what}")]
    NoneCan { what: &'static str },
    #[error("tag `{tag}` stands at no device")]
    UnusedTag { tag: String, near: Option<String> },
    #[error("clip `{clip}`: {why}")]
    Clip { clip: String, why: String, near: Option<String> },
    #[error("clip `{clip}` is {kind}, which profile `{profile}` ({devices}) cannot play")]
    Codec { clip: String, kind: String, profile: String, devices: String, can: String },
    #[error("clip `{clip}` lasts {seconds} s, longer than profile `{profile}` ({devices}) takes")]
    ClipTooLong { clip: String, seconds: i64, profile: String, devices: String },
    #[error("item `{item}`: profile `{profile}` ({devices}) has no {what} `{name}`")]
    BoardLacks {
        item: String,
        profile: String,
        devices: String,
        what: &'static str,
        name: String,
        has: String,
    },
    #[error("{what} on {boards}: {says}")]
    Page { what: String, boards: String, says: String, hint: &'static str, refuses: bool },
    #[error("`{key}` holds `{found}` (U+{code:04X}) where Vietnamese has `{meant}`")]
    LookAlike { key: String, found: char, code: u32, meant: char },
    #[error("`{key}` looks like text of an old font (TCVN3), not Unicode")]
    OldFont { key: String },
    #[error("no header line")]
    NoHeader,
    #[error("no column `{column}`")]
    NoColumn { column: &'static str, known: String },
    #[error("{found} fields in a line of {wanted}")]
    Fields { found: usize, wanted: usize },
    #[error("`{text}` is not a number from {least} to {most}")]
    Number { text: String, least: i64, most: i64 },
    #[error("`{listener}` listens on `{address}` without TLS")]
    OpenListener { listener: &'static str, address: String },
    #[error("`{text}` is not an address and port")]
    Address { text: String },
    #[error("`{text}` is not a {what}")]
    Url { text: String, what: &'static str, hint: &'static str },
    #[error("`{text}` is not a time zone")]
    Zone { text: String },
    #[error("a quiet stretch from `{at}` to the same time has no length")]
    EmptyQuiet { at: String },
    #[error("`{text}` is not a stretch of the day")]
    Quiet { text: String },
    #[error("slot `{slot}`: `{at}` lies in the quiet hours {hours} of policy `{policy}`")]
    QuietSlot {
        slot: String,
        at: String,
        hours: String,
        policy: String,
        meant: Option<String>,
        refuses: bool,
    },
    #[error("slot `{slot}` occurs {per_day} times a day, more than the {most} allowed")]
    TooOften { slot: String, per_day: u32, most: u32 },
    #[error("{0}")]
    Dialect(DialectFault),
    #[error("a gateway's profile has `{name}`")]
    GatewayOutput { name: &'static str },
    #[error("`{device}` behind `{gateway}`: a gateway stands behind nobody")]
    GatewayChain { device: String, gateway: String },
    #[error("`{gateway}` is no gateway: its profile `{profile}` has an output of its own")]
    NoGateway { gateway: String, profile: String },
    #[error("more than {most} devices stand behind `{gateway}`")]
    TooManyBehind { gateway: String, most: usize },
    #[error("the profile has neither speaker nor board")]
    EmptyProfile,
    #[error("`rgb` stands beside other colours")]
    AnyColour,
    #[error("the panels make no board: {says}")]
    Panels { says: String, hint: &'static str },
    #[error("no font `{path}` beside the profiles")]
    NoFont { path: String, near: Option<String> },
    #[error("a font in a file cannot be called `{name}`")]
    FontName { name: String },
    #[error("not a font: {says}")]
    BadFont { says: String, hint: &'static str },
    #[error("font `{name}` {says}")]
    WeakFont { name: String, says: String, first: bool },
    #[error("{0}")]
    Month(MonthError),
    #[error("{0}")]
    Money(MoneyError),
    #[error("{0}")]
    Topic(TopicError),
    #[error("{0}")]
    Code(CodeError),
    #[error("{0}")]
    Finding(FindingError),
    #[error("{0}")]
    Doubt(Box<Doubt>),
    #[error("`{text}` begins as a formula does")]
    Formula { text: String },
    #[error("`plan_line` names `{text}`, which is no line of a plan that is known")]
    NoPlanLine { text: String, near: Option<String> },
    #[error("`topic` names `{text}`, which is in no topic list that is known")]
    NoTopic { text: String, near: Option<String> },
    #[error("skip of `{playlist}/{slot}`: no such {what}")]
    StaleSkip { playlist: String, slot: String, what: &'static str },
}

fn meant(near: Option<&String>) -> Option<String> {
    near.map(|near| format!("did you mean `{near}`?"))
}

impl Problem {
    /// Says how bad it is.
    pub fn severity(&self) -> Severity {
        match self {
            Self::NoDevice
            | Self::NoneCan { .. }
            | Self::UnusedTag { .. }
            | Self::IdleItem { .. }
            | Self::BoardLacks { .. }
            | Self::LookAlike { .. }
            | Self::OldFont { .. }
            | Self::Doubt(_)
            | Self::NoPlanLine { .. }
            | Self::NoTopic { .. }
            | Self::StaleSkip { .. }
            | Self::WeakFont { first: false, .. }
            | Self::Page { refuses: false, .. } => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// Says whether the file cannot be used as it is. A clip that is missing or does not suit a
    /// device is wrong, but the rest of its playlist holds: the cue gets a reason, not silence.
    pub fn refuses(&self) -> bool {
        match self {
            Self::Clip { .. } | Self::Codec { .. } | Self::ClipTooLong { .. } => false,
            Self::QuietSlot { refuses, .. } | Self::Unknown { refuses, .. } => *refuses,
            _ => self.severity() == Severity::Error,
        }
    }

    /// Says what to do about it.
    pub fn hint(&self) -> Option<String> {
        let text: &str = match self {
            Self::Unreadable { .. } => "make the file readable for the account that runs `loa`",
            Self::NoFile { .. } => "`loa init` makes a complete folder; `playlists/` is a sample",
            Self::NoProfiles { .. } => "name the folder with `--profiles DIR`",
            Self::TooLarge { .. } => "split the file or take out what is no longer needed",
            Self::TooMany { what: "faults", .. } => "mend these first; the rest is not listed",
            Self::TooMany { .. } => "move what is no longer in use to another folder",
            Self::NotUtf8 { .. } => {
                "save the file as UTF-8 (older Vietnamese fonts must be converted)"
            }
            Self::Utf16 => "save the file as UTF-8, in Excel as `CSV UTF-8`",
            Self::FileName { .. } => "name it in letters, digits and -, 40 at most",
            Self::SameId { .. } => "rename one of them",
            Self::Escapes { .. } => "copy the file into the folder",
            Self::Path { .. } => "write it as in `clips/ban-tin.mp3`: no `..`, no leading `/`",
            Self::Syntax { message } if message.contains("date") => "a date is `2026-02-17`",
            Self::Syntax { .. } => "text stands in quotes, lists in [ ], each key on its own line",
            Self::UnknownKey { near, known, .. } => {
                return meant(near.as_ref()).or_else(|| Some(format!("known here: {known}")));
            }
            Self::MissingKey { doc, .. } => doc,
            Self::Kind { hint, .. }
            | Self::Useless { hint, .. }
            | Self::Url { hint, .. }
            | Self::Panels { hint, .. }
            | Self::BadFont { hint, .. }
            | Self::Page { hint, .. } => hint,
            Self::AnyColour => "`rgb` alone means every colour; else name those it has",
            Self::NoFont { near, .. } => {
                return meant(near.as_ref()).or_else(|| {
                    Some("put the file beside the profile, or into `fonts/` there".to_owned())
                });
            }
            Self::FontName { .. } => {
                "give the file a name of its own, 40 letters at most: pages call the font by it"
            }
            Self::WeakFont { first: true, .. } => {
                "the first font shows every text: name one that is whole first, such as `loa-13`"
            }
            Self::WeakFont { .. } => "pages with these letters are refused in it; fit for numbers",
            Self::Empty { .. } => "write something or leave the key out",
            Self::TooLong { .. } => "shorten the text",
            Self::TooManyEntries { .. } => "split it over several playlists",
            Self::Control { .. } => "take the character out; it came in by copying",
            Self::Choice { near, all, .. } => {
                return meant(near.as_ref()).or_else(|| Some(format!("one of {all}")));
            }
            Self::Id(error) => error.hint(),
            Self::Month(error) => error.hint(),
            Self::Money(error) => error.hint(),
            Self::Topic(error) => error.hint(),
            Self::Code(error) => error.hint(),
            Self::Finding(error) => return Some(error.hint()),
            Self::Doubt(doubt) => doubt.hint(),
            Self::Formula { .. } => "a spreadsheet would compute it: begin with a word",
            Self::NoPlanLine { near, .. } => {
                return meant(near.as_ref()).or_else(|| {
                    Some(
                        "the plan and its line as in `quang-ngai-103/iii-2`, or the plan's number \
                         and where in it; `loa plan show PLAN` lists lines"
                            .to_owned(),
                    )
                });
            }
            Self::NoTopic { near, .. } => {
                return meant(near.as_ref()).or_else(|| {
                    Some("its code, or its title; `loa plan topics` lists them".to_owned())
                });
            }
            Self::Duration { .. } => "as in `15m`, `90s`, `1h30m` or `500ms`",
            Self::Date { .. } => "year, month, day: `2026-02-17`",
            Self::Schedule(error) => return Some(error.hint()),
            Self::DatesReversed { .. } => "exchange the two dates",
            Self::Duplicate { first, .. } => {
                return Some(format!("first in line {}; give each its own", first.line));
            }
            Self::Unknown { near, wherein, .. } => {
                return meant(near.as_ref())
                    .or_else(|| Some(format!("it must stand in {wherein}")));
            }
            Self::Circle { .. } => "correct one of the parents in this circle",
            Self::Parent { .. } => {
                "province above commune (or historic district), commune above hamlet"
            }
            Self::Orphan { .. } => "fill in the column `parent`; only a province has none",
            Self::Both { .. } => "keep one of the two",
            Self::Neither { .. } => "give one of the two",
            Self::IdleItem { .. } => "add it to a slot's `items`, or take it out",
            Self::IdDiffers { .. } => "rename the file or leave the key out",
            Self::NoDevice => "check units, tags, devices and exclusions under `[targets]`",
            Self::NoneCan { .. } => "add devices of that kind under `[targets]`",
            Self::UnusedTag { near, .. } => {
                return meant(near.as_ref())
                    .or_else(|| Some("tags stand in devices.csv, column `tags`".to_owned()));
            }
            Self::Clip { near, .. } => {
                return meant(near.as_ref()).or_else(|| {
                    Some(
                        "paths begin at the station folder; `loa inspect FILE` says more"
                            .to_owned(),
                    )
                });
            }
            Self::Codec { can, .. } => return Some(format!("convert it to {can}")),
            Self::ClipTooLong { .. } => "cut the clip in parts",
            Self::BoardLacks { has, .. } => {
                return Some(format!("it has {has}; the first is used"));
            }
            Self::LookAlike { meant, .. } => {
                return Some(format!("type `{meant}` (U+{:04X}) again", u32::from(*meant)));
            }
            Self::OldFont { .. } => "convert the text to Unicode (Unikey: Ctrl+Shift+F6)",
            Self::NoHeader => "the first line names the columns",
            Self::NoColumn { known, .. } => return Some(format!("columns are {known}")),
            Self::Fields { .. } => "a text that holds the separator stands in double quotes",
            Self::OpenListener { .. } => {
                "give `tls_cert` and `tls_key`, or write `insecure_lan = true` on purpose"
            }
            Self::Address { .. } => "as in `127.0.0.1:1883`; `0.0.0.0` listens on all networks",
            Self::Zone { .. } => "an IANA name: `Asia/Ho_Chi_Minh`",
            Self::EmptyQuiet { .. } | Self::Quiet { .. } => {
                "as in `21:30-04:45`; an end before its start is on the next day"
            }
            Self::QuietSlot { meant, .. } => {
                return self::meant(meant.as_ref())
                    .or_else(|| Some("choose a time outside the quiet hours".to_owned()));
            }
            Self::TooOften { .. } => "in cron the minute comes first: `0 5 * * *` is once a day",
            Self::Dialect(fault) => return Some(fault.hint()),
            Self::EmptyProfile => "add `[speaker]` or `[board]`, or `gateway = true`",
            Self::GatewayOutput { .. } => {
                "a gateway only acts for others: take the table out, or `gateway = true`"
            }
            Self::GatewayChain { .. } => "put the device behind a gateway that stands by itself",
            Self::NoGateway { .. } => "give the gateway a profile with `gateway = true`",
            Self::TooManyBehind { .. } => "use a second gateway for the rest",
            Self::StaleSkip { .. } => "take the entry out when its day has passed",
            Self::Range { least, most, .. } | Self::Number { least, most, .. } => {
                return Some(format!("write a number from {least} to {most}"));
            }
            Self::DurationRange { least, most, .. } => {
                return Some(format!("write a length of time from {least} to {most}"));
            }
        };
        Some(text.to_owned())
    }
}

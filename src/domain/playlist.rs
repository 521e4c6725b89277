//! Playlists as accepted, not as typed: what `config` hands over after all faults are out.
//!
//! Leaves recurrence to `recurrence`, hours and quotas to `policy`, lengths of clips to the
//! [`Library`](super::station::Library). Invariants: item and slot ids are unique in their
//! playlist; every slot names only items of its playlist; all text is NFC.

use super::ids::{DeviceId, Digest, ItemId, PlaylistId, SlotId, Tag, UnitId};
use super::recurrence::{DateSet, Recurrence};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// How important a cue is (TT 39/2020/TT-BTTTT): `thông thường` and `ưu tiên`.
/// The third, `khẩn cấp` (urgent), never stands in a playlist: it is a notice of its own.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// Thông thường.
    #[default]
    Routine,
    /// Ưu tiên: pre-empts routine cues.
    Priority,
}

/// Where an item comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Trung ương.
    Central,
    /// Tỉnh.
    Province,
    /// Xã.
    Commune,
}

/// Which devices a playlist addresses: (units ∪ tags ∪ devices) without the exclusions.
/// A unit means itself and everything below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    pub units: Vec<UnitId>,
    pub tags: Vec<Tag>,
    pub devices: Vec<DeviceId>,
    pub except_units: Vec<UnitId>,
    pub except_tags: Vec<Tag>,
    pub except_devices: Vec<DeviceId>,
}

/// A playlist in force (or shown as if it were).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Playlist {
    /// Unique in the station.
    pub id: PlaylistId,
    /// Title for people.
    pub title: String,
    /// Which devices it addresses.
    pub targets: Targets,
    /// Routine or priority.
    pub priority: Priority,
    /// First day on which its slots occur; open when `None`.
    pub valid_from: Option<NaiveDate>,
    /// Last day (inclusive) on which its slots occur; open when `None`.
    pub valid_until: Option<NaiveDate>,
    /// Topic code or words, for reports.
    pub topic: Option<String>,
    /// The line of the administrative plan it serves; travels with every cue as `line`.
    pub plan_line: Option<String>,
    /// Lead unit (đơn vị chủ trì), as the plan names it.
    pub lead: Option<String>,
    /// Coordinating units (đơn vị phối hợp).
    pub coordinating: Vec<String>,
    /// The commune's own choice among equals: a lower number wins a collision of equal priority.
    /// `None` comes after all numbers, then the earlier `accepted` wins.
    pub order: Option<u32>,
    /// When this playlist was accepted, as a running number: the earlier wins among equals.
    pub accepted: u64,
    /// The approval under which it came into force; travels with every cue.
    pub approval: Option<Digest>,
    /// Items by id, in file order.
    pub items: Vec<Item>,
    /// Slots by id, in file order.
    pub slots: Vec<Slot>,
}

impl Playlist {
    /// Returns the topic of an item: its own, else that of the playlist.
    pub fn topic_of<'a>(&'a self, item: &'a Item) -> Option<&'a str> {
        item.topic.as_deref().or(self.topic.as_deref())
    }

    /// Returns the plan line that an item serves: its own, else that of the playlist.
    pub fn plan_line_of<'a>(&'a self, item: &'a Item) -> Option<&'a str> {
        item.plan_line.as_deref().or(self.plan_line.as_deref())
    }
}

/// One thing to play or show (tin, bài).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Unique in the playlist.
    pub id: ItemId,
    /// Title for people; copied into every record.
    pub title: String,
    /// Author (tác giả).
    pub author: Option<String>,
    /// Reader (người đọc).
    pub reader: Option<String>,
    /// Where it comes from.
    pub origin: Option<Origin>,
    /// Document number it rests on.
    pub document: Option<String>,
    /// Language as BCP 47, `vi` unless said.
    pub language: String,
    /// Its own topic; that of the playlist when `None`.
    pub topic: Option<String>,
    /// The line of a plan that it serves; that of the playlist when `None`.
    pub plan_line: Option<String>,
    /// What sounds or shows.
    pub content: Content,
}

/// What an item consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A clip for loudspeakers; paths as written in the file, NFC, below `clips/`.
    Clip {
        /// The clip.
        clip: ClipPath,
        /// Played in its place when the clip is missing or damaged on the device.
        fallback: Option<ClipPath>,
    },
    /// Pages for boards, shown in order; one pass is the sum of their dwell times.
    Pages(Vec<Page>),
}

/// The path of a clip as the playlist names it (relative, NFC, no `..`): the library's key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClipPath(pub String);

/// One screen of a board.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Page {
    /// Text, NFC, may hold line breaks.
    pub text: String,
    /// `left`, `centre`, `right`.
    #[serde(default)]
    pub align: Align,
    /// How it comes and moves.
    #[serde(default)]
    pub effect: Effect,
    /// How long the page stays, in milliseconds; at least 2,000. A scrolling page stays at least
    /// as long as its text needs to pass.
    pub dwell_ms: i64,
    /// `red`, `green`, `amber`, `white`, … as the board can; monochrome boards ignore it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour: Option<String>,
    /// A font the profile names; the board's own default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub font: Option<String>,
    /// How fast a scrolling text moves, in pixels a second; the board's own speed when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed_px_s: Option<u32>,
    /// Each pixel of the font so many wide and high, 1-16; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<u32>,
    /// Dark time between two screens of a text that turns them, in milliseconds, out of the dwell
    /// time; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap_ms: Option<i64>,
    /// Goes dark for half a second in every two; stands still when absent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blink: bool,
}

impl Page {
    /// As [`Page::still`], for words that are shown as they stand: their braces open no field.
    pub fn plain(text: &str, dwell_ms: i64) -> Self {
        Self::still(text.replace('{', "{{").replace('}', "}}"), dwell_ms)
    }

    /// Returns a still page in the middle of the board, with nothing else said about it.
    pub fn still(text: impl Into<String>, dwell_ms: i64) -> Self {
        Self {
            text: text.into(),
            align: Align::default(),
            effect: Effect::default(),
            dwell_ms,
            colour: None,
            font: None,
            speed_px_s: None,
            scale: None,
            gap_ms: None,
            blink: false,
        }
    }
}

/// Where a line of text stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(rename_all = "kebab-case")]
pub enum Align {
    Left,
    #[default]
    Centre,
    Right,
}

/// How a page moves.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Stands still; text that is too long turns pages.
    #[default]
    Still,
    /// Moves from right to left.
    Scroll,
    /// As still, each screen coming in from the left.
    Wipe,
}

/// A slot (khung giờ): when, how long, in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Unique in the playlist.
    pub id: SlotId,
    /// When it occurs, before exceptions.
    pub when: Recurrence,
    /// Dates on which it does not occur.
    pub except: Vec<DateSet>,
    /// When not empty: the only dates on which it occurs.
    pub only: Vec<DateSet>,
    /// Single dates skipped by an operator, with the reason.
    pub skips: Vec<Skip>,
    /// Longest duration of an occurrence in milliseconds, above zero. For boards: its length.
    pub longest_ms: i64,
    /// Order of the items.
    pub order: Order,
    /// 0-100 in half-decibel steps, 0 mute.
    pub volume: u8,
    /// Fade out in milliseconds where something is cut.
    pub fade_ms: i64,
    /// What happens when the content is longer than the slot.
    pub overrun: Overrun,
    /// The items, ids of this playlist, not empty; repetitions allowed.
    pub items: Vec<ItemId>,
}

/// An occurrence that an operator left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    pub date: NaiveDate,
    pub reason: String,
}

/// In which order the items of an occurrence sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As listed.
    Sequence,
    /// Shuffled anew for each occurrence from the stated seed: anyone can compute it again.
    Shuffle {
        /// The stated seed.
        seed: u64,
    },
    /// As listed, beginning one further at each occurrence.
    Rotate,
}

/// What happens when the content is longer than the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overrun {
    /// Ends at the end of the slot; items that would begin later are left out.
    Cut,
    /// As `Cut`, faded out.
    Fade,
    /// The item that is playing finishes, up to so many milliseconds beyond the slot, then is cut.
    Finish {
        /// The bound in milliseconds.
        bound_ms: i64,
    },
}

//! The day sheet: all cues of one date for a set of devices, immutable, named by its hash.
//!
//! The shape is the contract (`firmware-notes`): members in this order, all numbers whole.
//! Invariants kept by `compile`: `cues` are sorted by (`at_ms`, position) and cues of one output
//! never overlap except in a rotation; every `item` and every asset a cue needs stands in the
//! sheet; no clip lies outside `sound`.

use crate::domain::ids::{CueId, Digest};
use crate::domain::playlist::{Page, Priority};
use crate::domain::station::AssetFacts;
use crate::domain::time::{Span, UtcMs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All cues of one local date.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DaySheet {
    /// Version of the document, 1.
    pub v: u8,
    /// First instant of the local day.
    pub from_ms: UtcMs,
    /// First instant of the next local day (23 or 25 hours later where clocks change).
    pub to_ms: UtcMs,
    /// Spans in which clips may sound, sorted, apart from each other.
    pub sound: Vec<Span>,
    /// Assets by SHA-256.
    pub assets: BTreeMap<Digest, AssetEntry>,
    /// Items by `playlist/item`.
    pub items: BTreeMap<String, SheetItem>,
    /// Cues in order.
    pub cues: Vec<Cue>,
}

/// An asset as a sheet names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AssetEntry {
    pub bytes: u64,
    #[serde(rename = "type")]
    pub media_type: String,
    pub ms: i64,
    pub gain_cb: i64,
    pub lufs_cb: i64,
    pub sums: BTreeMap<String, Digest>,
    pub title: String,
}

impl From<&AssetFacts> for AssetEntry {
    fn from(facts: &AssetFacts) -> Self {
        Self {
            bytes: facts.bytes,
            media_type: facts.media_type.clone(),
            ms: facts.ms,
            gain_cb: facts.gain_cb,
            lufs_cb: facts.lufs_cb,
            sums: facts.sums.clone(),
            title: facts.title.clone(),
        }
    }
}

/// What a cue plays or shows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SheetItem {
    /// For the loudspeaker.
    Clip {
        /// Title for people.
        title: String,
        /// What sounds.
        asset: Digest,
        /// What sounds when the asset is missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fallback: Option<Digest>,
    },
    /// For the board.
    Pages {
        /// Title for people.
        title: String,
        /// Shown in order.
        pages: Vec<Page>,
    },
    /// A kind this version does not know: its cues fail as `unsupported`, the others play.
    #[serde(other)]
    Unknown,
}

/// One item of one occurrence as planned.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cue {
    /// See [`CueId::derive`].
    pub id: CueId,
    /// When it starts.
    pub at_ms: UtcMs,
    /// When it ends at the latest.
    pub end_ms: UtcMs,
    /// Routine or priority.
    pub priority: Priority,
    /// Key into `items`.
    pub item: String,
    /// 0-100 in half-decibel steps, 0 mute.
    pub volume: u8,
    /// Fade out before a cut, milliseconds.
    pub fade_ms: i64,
    /// The line of the administrative plan.
    pub line: Option<String>,
    /// Hash of what was approved; `null` where the station runs without approval.
    pub approval: Option<Digest>,
}

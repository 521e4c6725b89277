//! What a device says about itself: plain JSON, retained, and its last will.
//!
//! Hints only: nothing in it excuses a miss or raises a version. A will carries `v`, `state`
//! and `conn` alone.

use crate::domain::ids::{ChainId, Digest, UnitId};
use crate::domain::proof::record::ClockSource;
use crate::wire::refusal::Refusal;
use crate::wire::{json, limits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A device's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Version of the document, 1.
    pub v: u8,
    /// How it is.
    pub state: StateKind,
    /// Connection counter, equal in birth and will, so that a late will cannot kill a newer
    /// connection.
    pub conn: u64,
    /// A fresh question for the time (base64url of 16 random bytes); absent when none is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// Its chain of records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<ChainId>,
    /// SHA-256 of its newest record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Digest>,
    /// Number of its newest record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The last number it holds a receipt for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upto: Option<u64>,
    /// Versions in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ver: Option<Held>,
    /// Versions of the holds accepted, by unit; releases too.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub holds: BTreeMap<UnitId, i64>,
    /// Assets held and verified.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Digest>,
    /// Assets and sheets that stay out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub want: Vec<Wanted>,
    /// Room for assets and records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// How good its clock is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<StateClock>,
    /// Its program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fw: Option<String>,
}

/// How a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateKind {
    /// Connected, not ready to play yet.
    Init,
    /// Follows its timetable.
    Ready,
    /// Said goodbye.
    Disconnected,
    /// Will be back by itself.
    Sleeping,
    /// The broker says so: the last will.
    Lost,
}

/// Versions a device holds; 0 when none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Newest key epoch.
    pub keys: u32,
    /// Newest accepted timetable.
    pub timetable: i64,
    /// The timetable that the day follows: the same once all its sheets are held.
    pub following: i64,
    /// Newest floor.
    pub floor: i64,
}

/// Something a device lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Wanted {
    /// Asset or sheet.
    pub kind: WantedKind,
    /// Its name.
    pub sha256: Digest,
    /// Chunk size wanted, for assets: 64 or 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kib: Option<u32>,
}

/// What a device lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WantedKind {
    /// An asset, in chunks.
    Asset,
    /// A day sheet.
    Sheet,
}

/// Room on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// For assets, in bytes.
    pub total: u64,
    /// Of it free.
    pub free: u64,
    /// Records not receipted yet.
    pub pending: u64,
    /// Records held in all.
    pub stored: u64,
}

/// A device's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateClock {
    /// Where its time comes from.
    pub src: ClockSource,
    /// Seconds since the last synchronisation; null when never.
    pub age_s: Option<i64>,
    /// Estimated error in milliseconds; null when unknown.
    pub err_ms: Option<i64>,
}

impl State {
    /// Returns the shortest state: what a last will carries.
    pub fn bare(state: StateKind, conn: u64) -> Self {
        Self {
            v: 1,
            state,
            conn,
            nonce: None,
            chain: None,
            head: None,
            seq: None,
            upto: None,
            ver: None,
            holds: BTreeMap::new(),
            held: Vec::new(),
            want: Vec::new(),
            storage: None,
            clock: None,
            fw: None,
        }
    }

    /// Writes the state; lists beyond their limit are cut, the most urgent come first.
    pub fn encode(&self) -> Vec<u8> {
        let mut state = self.clone();
        state.held.truncate(limits::STATE_ASSETS);
        state.want.truncate(limits::STATE_ASSETS);
        loop {
            let bytes = serde_json::to_vec(&state).expect("a structure with text keys");
            if bytes.len() <= limits::STATE_BYTES
                || (state.held.is_empty() && state.want.is_empty())
            {
                return bytes;
            }
            // What is wanted matters more than what is held.
            let held = state.held.len();
            let want = state.want.len();
            if held > 0 {
                state.held.truncate(held - held.div_ceil(8));
            } else {
                state.want.truncate(want - want.div_ceil(8));
            }
        }
    }

    /// Reads a state.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        let state: Self = json::read(bytes, "bytes", limits::STATE_BYTES)?;
        if state.v != 1 {
            return Err(Refusal::Unsupported { v: i64::from(state.v) });
        }
        Refusal::limit("holds", state.holds.len(), limits::UNITS)?;
        Refusal::limit("assets held", state.held.len(), limits::STATE_ASSETS)?;
        Refusal::limit("assets wanted", state.want.len(), limits::STATE_ASSETS)?;
        for text in [&state.nonce, &state.fw].into_iter().flatten() {
            Refusal::limit("bytes of a word", text.len(), limits::WORD_BYTES)?;
        }
        Ok(state)
    }
}

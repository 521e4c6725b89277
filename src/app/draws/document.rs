//! A draw as it is kept and handed out: all that makes the walking list anew.

use super::{DrawError, Question};
use crate::domain::ids::{CueId, DeviceId, Digest};
use crate::domain::time::UtcMs;
use crate::draw::ground::{Head, Period};
use crate::draw::{DrawnPlay, Ground, WalkingList};
use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};

/// Bytes of the longest document that is read back.
pub const DOCUMENT_BYTES: usize = 4 << 20;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Version of the form, 1.
    pub v: u8,
    pub id: String,
    pub question: Question,
    pub head: HeadText,
    /// Plays that were drawn from, and the hash over their list.
    pub plays: u64,
    pub list: Digest,
    pub drawn: Vec<Play>,
}

/// The head that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadText {
    pub origin: String,
    pub size: u64,
    /// Leaves of the shards before it.
    pub before: u64,
    pub root: String,
    /// When it was vouched for.
    pub vouched_ms: UtcMs,
    /// By whom.
    pub by: VouchedBy,
}

/// Whose word the time of the head is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VouchedBy {
    /// As many witnesses as the station asks for.
    Witnesses,
    /// The server alone: it has no witnesses.
    Server,
}

/// A play that was drawn, in the order of the draw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Play {
    pub number: u64,
    pub device: DeviceId,
    pub name: String,
    pub place: String,
    pub cue: CueId,
    pub began: NaiveDateTime,
    pub title: String,
    /// The shard, and the place in it, where its record stands.
    pub shard: String,
    pub index: u64,
}

impl Document {
    /// Reads a document back.
    pub fn parse(bytes: &[u8]) -> Result<Self, DrawError> {
        if bytes.len() > DOCUMENT_BYTES {
            return Err(DrawError::Long { got: bytes.len() });
        }
        let document: Self = serde_json::from_slice(bytes).map_err(DrawError::Document)?;
        if document.v == 1 { Ok(document) } else { Err(DrawError::Version { v: document.v }) }
    }

    /// Writes it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DrawError> {
        serde_json::to_vec(self).map_err(DrawError::Document)
    }

    /// Makes the walking list; refuses plays that this ground did not draw.
    pub fn walking_list(&self) -> Result<WalkingList, DrawError> {
        let HeadText { origin, size, before, root, vouched_ms, .. } = self.head.clone();
        let Question { from_ms, to_ms, unit, word, plays, .. } = self.question.clone();
        let head = Head { origin, size, before, root, vouched_ms };
        let period = Period { from_ms, to_ms, scope: unit };
        let ground = Ground::of_list(head, period, self.plays, self.list, &word)?;
        let wanted = usize::try_from(plays).unwrap_or(usize::MAX);
        let drawn = self.drawn.iter().cloned().map(|play| DrawnPlay {
            number: play.number,
            device: play.device,
            device_name: play.name,
            place: play.place,
            cue: play.cue,
            began: play.began,
            title: play.title,
            index: play.index,
        });
        Ok(WalkingList::new(ground, wanted, drawn.collect())?)
    }
}

//! What a device signs about one start, play, showing, refusal, boot or heartbeat.
//!
//! The shape is the contract (`firmware-notes`). A record is signed once and never serialised
//! again: store, hash and show the exact bytes; these types only read them.

use crate::domain::ids::{ChainId, CueId, DeviceId, Digest};
use crate::domain::time::UtcMs;
use serde::{Deserialize, Serialize};

/// One signed statement of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Who, when and where in the chain.
    #[serde(flatten)]
    pub head: Head,
    /// What happened.
    #[serde(flatten)]
    pub body: Body,
}

/// What every record says, whatever its kind; enough to store and count a record whose kind
/// this version does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Version of the document, 1.
    pub v: u8,
    /// Who says so.
    pub dev: DeviceId,
    /// Which unbroken sequence it belongs to.
    pub chain: ChainId,
    /// How many-th start of the device's program, from 1.
    pub boot: u64,
    /// Position in the chain, from 1, without gaps.
    pub seq: u64,
    /// SHA-256 of the previous record's compact JWS; `null` for the first of a chain.
    pub prev: Option<Digest>,
    /// When it was written, by the device's clock.
    pub at_ms: UtcMs,
    /// Milliseconds since the boot, monotonic.
    pub mono_ms: i64,
    /// How good the clock was.
    pub clock: ClockNote,
    /// Newest log checkpoint the device had verified; `null` until the log exists.
    pub seen: Option<Seen>,
    /// Who signs.
    pub attestor: Attestor,
}

/// Quality of the clock when a record was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockNote {
    /// Where the time came from.
    pub src: ClockSource,
    /// Seconds since the last synchronisation; `null` when never.
    pub age_s: Option<i64>,
    /// Estimated error in milliseconds; `null` when unknown.
    pub err_ms: Option<i64>,
}

/// Where a device's time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClockSource {
    None,
    Rtc,
    Ntp,
    Gnss,
    Server,
}

/// A checkpoint of the evidence log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub origin: String,
    pub size: u64,
    pub root: String,
}

/// Who signs a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attestor {
    /// The device itself.
    Device,
    /// A gateway for a board or amplifier that cannot sign.
    Gateway,
}

/// What a play or showing answers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Subject {
    /// A cue of a day sheet.
    Cue {
        /// Its id.
        cue: CueId,
    },
    /// An urgent notice.
    Notice {
        /// Its id.
        jti: String,
    },
}

/// The result of one play or showing, as the device says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    Played,
    Partial,
    Failed,
    PreEmpted,
    Refused,
}

/// What happened. `n` counts repeats of a notice from 1 and is 1 for cues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Body {
    /// Something began to sound.
    Start {
        #[serde(flatten)]
        subject: Subject,
        n: u32,
        started_ms: UtcMs,
    },
    /// A play ended, or never began (`failed`, `refused`, `pre-empted`).
    Play(Play),
    /// A board showed an item: added up per item and quarter of an hour.
    Show(Show),
    /// A command was answered.
    Did { jti: String, what: String, result: String },
    /// Something was refused: one record per topic, reason and hour.
    Refuse { topic: String, reason: String, n: u64, first: Digest, from_ms: UtcMs },
    /// The program started.
    Boot { fw: String, reason: String, unclean: bool },
    /// A sign of life every 30 minutes, also when nothing plays.
    Beat { head: Option<Digest>, pending: u64, stored: u64 },
    /// The clock was set.
    Clock { old_ms: UtcMs, new_ms: UtcMs },
    /// A new chain begins.
    Chain { why: String },
    /// Records that had to be dropped.
    Lost { from: u64, to: u64, n: u64, hash: Digest },
    /// A self-test.
    #[serde(rename = "selftest")]
    SelfTest { method: String, score_permille: i64 },
    /// A kind this version does not know.
    #[serde(other)]
    Unknown,
}

impl Body {
    /// Cuts every text to so many characters: what a signer does before it gives up.
    pub fn shorten(&mut self, most: usize) {
        for text in self.texts() {
            if let Some((end, _)) = text.char_indices().nth(most) {
                text.truncate(end);
            }
        }
    }

    fn texts(&mut self) -> Vec<&mut String> {
        let (subject, mut texts) = match self {
            Self::Start { subject, .. } => (Some(subject), Vec::new()),
            Self::Play(play) => {
                let mut texts =
                    vec![&mut play.item, &mut play.title, &mut play.cause, &mut play.method];
                texts.extend(&mut play.by);
                (Some(&mut play.subject), texts)
            }
            Self::Show(show) => {
                let texts = vec![&mut show.item, &mut show.title, &mut show.cause];
                (Some(&mut show.subject), texts)
            }
            Self::Did { jti, what, result } => (None, vec![jti, what, result]),
            Self::Refuse { topic, reason, .. } => (None, vec![topic, reason]),
            Self::Boot { fw, reason, .. } => (None, vec![fw, reason]),
            Self::Chain { why } => (None, vec![why]),
            Self::SelfTest { method, .. } => (None, vec![method]),
            Self::Beat { .. } | Self::Clock { .. } | Self::Lost { .. } | Self::Unknown => {
                (None, Vec::new())
            }
        };
        if let Some(Subject::Notice { jti }) = subject {
            texts.push(jti);
        }
        texts
    }
}

/// One play of a clip. `started_ms`, `ended_ms` are null when nothing sounded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Play {
    #[serde(flatten)]
    pub subject: Subject,
    pub n: u32,
    pub sheet: Option<Digest>,
    pub item: String,
    pub asset: Option<Digest>,
    pub title: String,
    pub lufs_cb: Option<i64>,
    pub gain_cb: Option<i64>,
    pub due_ms: UtcMs,
    pub due_len_ms: i64,
    pub started_ms: Option<UtcMs>,
    pub ended_ms: Option<UtcMs>,
    pub played_ms: i64,
    pub outcome: Said,
    /// Why, a word of the contract: `end`, `withdrawn`, `pre-empted`, `power`, `clock`,
    /// `missing`, `unsupported`, `quiet`, `hold`, `stop`, `output`, …
    pub cause: String,
    /// The cue or notice that pre-empted it.
    pub by: Option<String>,
    pub volume: u8,
    pub skew_ms: Option<i64>,
    pub grade: u8,
    pub method: String,
    pub score_permille: Option<i64>,
}

/// A quarter of an hour of one item on a board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Show {
    #[serde(flatten)]
    pub subject: Subject,
    pub n: u32,
    pub sheet: Option<Digest>,
    pub item: String,
    pub title: String,
    /// SHA-256 of the packed pixels of the first frame shown; null when nothing was shown, or when
    /// a foreign board draws text itself and nobody knows its pixels.
    pub frame: Option<Digest>,
    pub from_ms: UtcMs,
    pub to_ms: UtcMs,
    pub times: u32,
    pub shown_ms: i64,
    pub outcome: Said,
    pub cause: String,
    pub grade: u8,
}

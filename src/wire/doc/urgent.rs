//! Urgent notices, their rehearsals and their withdrawals.
//!
//! A notice passes quiet hours, spans of sound and holds, so it has a role of its own, names the
//! paper that orders it, and a device judges it by the list of units that was signed, never by
//! the topic that brought it. A drill is another type of document: what a device does not know
//! as a drill it refuses, and never takes for a notice.

use super::{Document, word};
use crate::domain::ids::{DeviceId, Digest, UnitId};
use crate::domain::time::UtcMs;
use crate::domain::timetable::sheet::AssetEntry;
use crate::wire::judge::{self, Judged};
use crate::wire::jws::Typ;
use crate::wire::limits;
use crate::wire::refusal::Refusal;
use serde::{Deserialize, Serialize};

/// A signed urgent notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Urgent {
    /// Version of the document, 1.
    pub v: u8,
    /// Name of the server, for people.
    pub iss: String,
    /// For the devices of these units.
    pub units: Vec<UnitId>,
    /// When it was made, seconds: earlier notices come first.
    pub iat: i64,
    /// Nothing of it begins from here on, seconds.
    pub exp: i64,
    /// Its id: a level of its topic, what records and the withdrawal name.
    pub jti: String,
    /// Why, for people.
    pub reason: String,
    /// What orders it.
    pub document: Paper,
    /// What a board shows and people read.
    pub text: String,
    /// What a loudspeaker plays; without one it stays silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<NoticeAsset>,
    /// How often it sounds.
    pub repeat: Repeat,
    /// Its volume, 0-100; `volume_cap` does not bind it.
    pub volume: u8,
}

/// The paper that orders a notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paper {
    /// Its number: `05/CĐ-UBND`.
    pub number: String,
    /// Who issued it.
    pub issuer: String,
    /// When.
    pub at_ms: UtcMs,
}

/// An asset with its name: a device that does not hold it knows how to fetch it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeAsset {
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// What a sheet says of an asset.
    #[serde(flatten)]
    pub entry: AssetEntry,
}

/// How often a notice sounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeat {
    /// How many times in all, from 1.
    pub times: u32,
    /// Silence between the end of one and the start of the next, in milliseconds.
    pub gap_ms: i64,
}

/// A rehearsal: judged, fetched and answered like a notice, but it neither sounds nor shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Drill(pub Urgent);

/// Takes a notice or a drill back, also one that was not seen yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// Version of the document, 1.
    pub v: u8,
    /// Name of the server, for people.
    pub iss: String,
    /// The `jti` of the notice.
    pub withdraws: String,
    /// When it was made, seconds.
    pub iat: i64,
    /// That of the notice, seconds: until then a device remembers it.
    pub exp: i64,
}

impl Urgent {
    /// Checks what types cannot say.
    pub fn check(&self) -> Result<(), Refusal> {
        Refusal::limit("bytes of `iss`", self.iss.len(), limits::WORD_BYTES)?;
        Refusal::limit("units", self.units.len(), limits::NOTICE_UNITS)?;
        if self.units.is_empty() {
            return Err(Refusal::content("`units` is empty"));
        }
        notice_id(&self.jti, "jti")?;
        life(self.iat, self.exp)?;
        said(&self.reason, "reason", limits::TITLE_BYTES)?;
        said(&self.document.number, "document.number", limits::WORD_BYTES)?;
        said(&self.document.issuer, "document.issuer", limits::TITLE_BYTES)?;
        said(&self.text, "text", limits::PAGE_TEXT_BYTES)?;
        if let Some(NoticeAsset { sha256, entry }) = &self.asset {
            Refusal::limit("bytes of a title", entry.title.len(), limits::TITLE_BYTES)?;
            if entry.bytes == 0 || entry.bytes > limits::ASSET_BYTES || entry.ms <= 0 {
                return Err(Refusal::content(format!("asset `{sha256}` is empty or too large")));
            }
        }
        if self.repeat.times == 0 || self.repeat.times > limits::REPEATS {
            return Err(Refusal::content("`repeat.times` is not within 1 to 100"));
        }
        if !(0..=limits::GAP_MS).contains(&self.repeat.gap_ms) {
            return Err(Refusal::content("`repeat.gap_ms` is not within 0 to 6 hours"));
        }
        if self.volume > 100 {
            return Err(Refusal::content("`volume` is above 100"));
        }
        Ok(())
    }

    /// Judges the notice for a device of these units, by trusted time if there is any.
    pub fn judge(&self, units: &[UnitId], now: Option<UtcMs>) -> Result<(), Refusal> {
        self.check()?;
        if !self.units.iter().any(|unit| units.contains(unit)) {
            let got = self.units.first().map_or_else(String::new, ToString::to_string);
            return Err(Refusal::Unit { got });
        }
        judge::timely(self, now)
    }
}

impl Drill {
    /// Judges the drill as [`Urgent::judge`] does a notice.
    pub fn judge(&self, units: &[UnitId], now: Option<UtcMs>) -> Result<(), Refusal> {
        self.0.judge(units, now)
    }
}

impl Withdrawal {
    /// Checks what types cannot say.
    pub fn check(&self) -> Result<(), Refusal> {
        Refusal::limit("bytes of `iss`", self.iss.len(), limits::WORD_BYTES)?;
        notice_id(&self.withdraws, "withdraws")?;
        life(self.iat, self.exp)
    }

    /// Judges the withdrawal by trusted time if there is any. It needs no unit: who does not
    /// have the notice has nothing to end.
    pub fn judge(&self, now: Option<UtcMs>) -> Result<(), Refusal> {
        self.check()?;
        judge::timely(self, now)
    }
}

/// Ids of notices are levels of topics, and nothing in them needs an escape.
fn notice_id(text: &str, member: &'static str) -> Result<(), Refusal> {
    word(text, member)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if text.bytes().all(plain) {
        Ok(())
    } else {
        Err(Refusal::content(format!("`{member}` has other characters than A-Z a-z 0-9 - _")))
    }
}

/// A text that people must find: not empty, not endless.
pub(super) fn said(text: &str, member: &'static str, limit: usize) -> Result<(), Refusal> {
    Refusal::limit("bytes of a text", text.len(), limit)?;
    if text.trim().is_empty() {
        return Err(Refusal::content(format!("`{member}` is empty")));
    }
    Ok(())
}

fn life(iat: i64, exp: i64) -> Result<(), Refusal> {
    let life = exp.saturating_sub(iat);
    if life <= 0 || life > limits::NOTICE_LIFE_S {
        return Err(Refusal::content("`exp` is not within three days of `iat`"));
    }
    Ok(())
}

impl Document for Urgent {
    const TYP: Typ = Typ::Urgent;

    fn check(&self) -> Result<(), Refusal> {
        Urgent::check(self)
    }
}

impl Document for Drill {
    const TYP: Typ = Typ::Drill;

    fn check(&self) -> Result<(), Refusal> {
        self.0.check()
    }
}

impl Document for Withdrawal {
    const TYP: Typ = Typ::Withdrawal;

    fn check(&self) -> Result<(), Refusal> {
        Withdrawal::check(self)
    }
}

impl Judged for Urgent {
    fn aud(&self) -> Option<&DeviceId> {
        None
    }
    fn iat(&self) -> i64 {
        self.iat
    }
    fn exp(&self) -> Option<i64> {
        Some(self.exp)
    }
}

impl Judged for Drill {
    fn aud(&self) -> Option<&DeviceId> {
        None
    }
    fn iat(&self) -> i64 {
        self.0.iat
    }
    fn exp(&self) -> Option<i64> {
        Some(self.0.exp)
    }
}

impl Judged for Withdrawal {
    fn aud(&self) -> Option<&DeviceId> {
        None
    }
    fn iat(&self) -> i64 {
        self.iat
    }
    fn exp(&self) -> Option<i64> {
        Some(self.exp)
    }
}

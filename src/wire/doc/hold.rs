//! A hold: a unit is silent until a time, urgent notices excepted.

use super::urgent::said;
use super::{Document, positive, word};
use crate::domain::ids::{DeviceId, UnitId};
use crate::domain::time::UtcMs;
use crate::wire::judge::{self, Judged, Stamp, Verdict};
use crate::wire::jws::{Opened, Typ};
use crate::wire::limits;
use crate::wire::refusal::Refusal;
use serde::{Deserialize, Serialize};

/// A signed hold, or its release: the same with `until_ms` 0 and a higher `ver`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Version of the document, 1.
    pub v: u8,
    /// Name of the server, for people.
    pub iss: String,
    /// The unit; equal to that of the topic.
    pub unit: UnitId,
    /// When it was made, seconds.
    pub iat: i64,
    /// Its version, counted by unit.
    pub ver: i64,
    /// Its id: what the device's answer names.
    pub jti: String,
    /// Silence until here; 0 releases.
    pub until_ms: UtcMs,
    /// Why, for people.
    pub reason: String,
    /// Who ordered it.
    pub by: String,
}

impl Hold {
    /// Says whether this ends a hold and makes none.
    pub fn is_release(&self) -> bool {
        self.until_ms == UtcMs(0)
    }

    /// Checks what types cannot say.
    pub fn check(&self) -> Result<(), Refusal> {
        Refusal::limit("bytes of `iss`", self.iss.len(), limits::WORD_BYTES)?;
        positive(self.ver, "ver")?;
        word(&self.jti, "jti")?;
        said(&self.reason, "reason", limits::TITLE_BYTES)?;
        said(&self.by, "by", limits::WORD_BYTES)?;
        if self.until_ms < UtcMs(0) {
            return Err(Refusal::content("`until_ms` is below 0"));
        }
        // A mistyped year must not silence a village until nobody remembers why.
        if self.until_ms.since(UtcMs::from_numeric_date(self.iat)) > limits::HOLD_MS {
            return Err(Refusal::content("`until_ms` is not within 366 days of `iat`"));
        }
        Ok(())
    }

    /// Judges a hold that came on the topic of `unit`, to a device of these units. `last` is what
    /// was accepted for the same unit before.
    pub fn judge(
        doc: &Opened<Self>,
        me: &DeviceId,
        unit: &UnitId,
        units: &[UnitId],
        last: Option<&Stamp>,
        now: Option<UtcMs>,
    ) -> Verdict {
        if doc.claims.unit != *unit || !units.contains(unit) {
            return Verdict::Refuse(Refusal::Unit { got: doc.claims.unit.to_string() });
        }
        judge::judge(doc, me, last, now)
    }
}

impl Document for Hold {
    const TYP: Typ = Typ::Hold;

    fn check(&self) -> Result<(), Refusal> {
        Hold::check(self)
    }
}

impl Judged for Hold {
    fn aud(&self) -> Option<&DeviceId> {
        None
    }
    fn iat(&self) -> i64 {
        self.iat
    }
    fn ver(&self) -> Option<i64> {
        Some(self.ver)
    }
}

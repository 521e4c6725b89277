//! The server's answer to a device that asks what time it is.

use super::{Document, word};
use crate::domain::ids::DeviceId;
use crate::domain::time::UtcMs;
use crate::wire::judge::{self, Judged};
use crate::wire::jws::Typ;
use crate::wire::refusal::Refusal;
use serde::{Deserialize, Serialize};

/// A signed time; good for the one nonce it answers. Never retained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeAnswer {
    /// Version of the document, 1.
    pub v: u8,
    /// Whom it is for.
    pub aud: DeviceId,
    /// When it was made, seconds: `now_ms` rounded down.
    pub iat: i64,
    /// The `nonce` of the device's state.
    pub nonce: String,
    /// The server's clock.
    pub now_ms: UtcMs,
}

impl TimeAnswer {
    /// Judges the answer; it needs no trusted time. How far it may move a trusted clock is the
    /// device's rule.
    pub fn judge(&self, me: &DeviceId, nonce: &str) -> Result<(), Refusal> {
        judge::addressed(self, me)?;
        if self.nonce != nonce || nonce.is_empty() {
            return Err(Refusal::Nonce);
        }
        Ok(())
    }
}

impl Document for TimeAnswer {
    const TYP: Typ = Typ::Time;

    fn check(&self) -> Result<(), Refusal> {
        word(&self.nonce, "nonce")?;
        if self.iat == self.now_ms.numeric_date() {
            Ok(())
        } else {
            Err(Refusal::content("`iat` is not `now_ms` in whole seconds"))
        }
    }
}

impl Judged for TimeAnswer {
    fn aud(&self) -> Option<&DeviceId> {
        Some(&self.aud)
    }
    fn iat(&self) -> i64 {
        self.iat
    }
}

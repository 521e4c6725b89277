//! One order to one device, at once, once.

use super::{Document, word};
use crate::domain::ids::{ChainId, DeviceId};
use crate::domain::time::UtcMs;
use crate::wire::judge::{self, Judged};
use crate::wire::jws::Typ;
use crate::wire::limits;
use crate::wire::refusal::Refusal;
use serde::{Deserialize, Serialize};

/// A signed command; never retained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Version of the document, 1.
    pub v: u8,
    /// Name of the server, for people.
    pub iss: String,
    /// Whom it is for.
    pub aud: DeviceId,
    /// When it was made, seconds.
    pub iat: i64,
    /// At most five minutes later, seconds.
    pub exp: i64,
    /// Its id: obeyed once.
    pub jti: String,
    /// What to do.
    #[serde(flatten)]
    pub act: Do,
}

/// What a command orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Do {
    /// Ends the running cue; it does not rejoin.
    Stop,
    /// Sets the volume of what runs, 0-100.
    Volume {
        /// The volume, below the cap.
        volume: u8,
    },
    /// Makes the device test itself; obeys hold, spans and floor.
    SelfTest,
    /// Makes the device show itself; obeys hold, spans and floor.
    Identify,
    /// Asks for records again.
    Resend {
        /// Of which chain.
        chain: ChainId,
        /// From which number.
        from: u64,
        /// To which number, included.
        to: u64,
    },
    /// An order this version does not know: answered `unsupported`.
    #[serde(other)]
    Unknown,
}

impl Do {
    /// Returns the word on the wire.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Volume { .. } => "volume",
            Self::SelfTest => "self-test",
            Self::Identify => "identify",
            Self::Resend { .. } => "resend",
            Self::Unknown => "unknown",
        }
    }

    /// Says whether a device without trusted time obeys it.
    pub fn needs_no_time(&self) -> bool {
        matches!(self, Self::Resend { .. })
    }
}

impl Command {
    /// Checks what types cannot say.
    pub fn check(&self) -> Result<(), Refusal> {
        word(&self.jti, "jti")?;
        Refusal::limit("bytes of `iss`", self.iss.len(), limits::WORD_BYTES)?;
        let life = self.exp.saturating_sub(self.iat);
        if life <= 0 || life > limits::COMMAND_LIFE_S {
            return Err(Refusal::content("`exp` is not within five minutes of `iat`"));
        }
        match &self.act {
            Do::Volume { volume } if *volume > 100 => {
                Err(Refusal::content("`volume` is above 100"))
            }
            Do::Resend { from, to, .. } if *from == 0 || from > to => {
                Err(Refusal::content("`from` to `to` names no record"))
            }
            _ => Ok(()),
        }
    }

    /// Judges the command: `seen` says whether its `jti` was obeyed before.
    pub fn judge(
        &self,
        me: &DeviceId,
        now: Option<UtcMs>,
        seen: impl FnOnce(&str) -> bool,
    ) -> Result<(), Refusal> {
        judge::addressed(self, me)?;
        self.check()?;
        judge::timely(self, now)?;
        if seen(&self.jti) {
            return Err(Refusal::Replay { jti: self.jti.clone() });
        }
        Ok(())
    }
}

impl Document for Command {
    const TYP: Typ = Typ::Command;

    fn check(&self) -> Result<(), Refusal> {
        Command::check(self)
    }
}

impl Judged for Command {
    fn aud(&self) -> Option<&DeviceId> {
        Some(&self.aud)
    }
    fn iat(&self) -> i64 {
        self.iat
    }
    fn exp(&self) -> Option<i64> {
        Some(self.exp)
    }
}

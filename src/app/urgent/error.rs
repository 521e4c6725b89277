//! Why a notice was not prepared, sent or withdrawn.

use crate::app::assets::LibraryError;
use crate::app::ports::StoreError;
use crate::domain::ids::UnitId;
use crate::domain::time::UtcMs;
use crate::wire::Refusal;

/// Why a notice was not prepared, sent or withdrawn; nothing sounds because of it.
#[derive(Debug, thiserror::Error)]
pub enum UrgentError {
    #[error("`{member}` is empty")]
    Empty { member: &'static str },
    #[error("`{member}` has {bytes} bytes, more than {limit}")]
    TooLong { member: &'static str, bytes: usize, limit: usize },
    #[error("`{member}` {got} is not within {least} to {most}")]
    Range { member: &'static str, got: i64, least: i64, most: i64 },
    #[error("no unit is named")]
    NoUnits,
    #[error("no unit `{unit}` in the register")]
    Unit { unit: UnitId },
    #[error("no enrolled device in {}", units.iter().map(|u| format!("`{u}`")).collect::<Vec<_>>().join(", "))]
    NobodyReached { units: Vec<UnitId> },
    #[error("both a template and a clip are named")]
    TwoSounds,
    #[error("the station has no standby template `{template}` that can be used")]
    NoTemplate { template: String },
    #[error("no clip `{sha256}` in the library")]
    NoClip { sha256: String },
    #[error("the clip cannot be used: {why}")]
    BadClip { why: String },
    #[error("no notice `{jti}`")]
    Unknown { jti: String },
    #[error("notice `{jti}` was sent already")]
    Sent { jti: String, at_ms: UtcMs },
    #[error("notice `{jti}` was prepared more than half an hour ago")]
    Stale { jti: String },
    #[error("notice `{jti}` is not what was confirmed")]
    Unconfirmed { jti: String },
    #[error("notice `{jti}` was never sent")]
    NotSent { jti: String },
    #[error("notice `{jti}` was withdrawn already")]
    Withdrawn { jti: String, at_ms: UtcMs },
    #[error("notice `{jti}` is over")]
    Over { jti: String, at_ms: UtcMs },
    #[error("{most} notices are in force, as many as a device remembers")]
    TooMany { most: usize },
    #[error("every device would refuse the notice")]
    Refused(#[source] Refusal),
    #[error("the clip could not be kept")]
    Library(#[from] LibraryError),
    #[error("looking at the clip was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
    #[error("the system gave no random numbers")]
    Random(#[source] getrandom::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl UrgentError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty { member: "document.number" | "document.issuer" } => {
                "an urgent notice passes quiet hours only by a document: give its number and issuer"
            }
            Self::Empty { .. } => "say it in a sentence",
            Self::TooLong { .. } => "say it shorter",
            Self::Range { .. } => "choose a value within these bounds",
            Self::NoUnits => "name the units concerned; each means itself and all below it",
            Self::Unit { .. } => "`loa unit list` shows the units of the register",
            Self::NobodyReached { .. } => "`loa device list` shows the devices and their units",
            Self::TwoSounds => "a notice sounds one clip: leave one of the two out",
            Self::NoTemplate { .. } => {
                "`[standby.…]` in `station.toml` names the templates; `loa check` says what is \
                 wrong with one"
            }
            Self::NoClip { .. } => "upload the clip first: POST /api/v1/urgent/clips",
            Self::BadClip { .. } => "`loa inspect FILE` says more, `--convert` may help",
            Self::Unknown { .. } => "`loa urgent list` shows all notices",
            Self::Sent { .. } => "`loa urgent show` tells how far it has come",
            Self::Stale { .. } => "prepare it again: what it reaches may have changed",
            Self::Unconfirmed { .. } => "look at the preview and confirm the hash that it shows",
            Self::NotSent { .. } => "a prepared notice that is not sent ends by itself",
            Self::Withdrawn { .. } | Self::Over { .. } => "nothing of it sounds any more",
            Self::TooMany { .. } => "withdraw one that is no longer needed",
            Self::Refused(refusal) => refusal.hint(),
            Self::Library(error) => error.hint(),
            Self::Interrupted(_) => "the server is stopping; nothing was sent",
            Self::Random(_) => "the system's source of randomness does not answer",
            Self::Store(error) => error.hint(),
        }
    }
}

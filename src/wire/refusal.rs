//! Why something from outside is refused: one stable word each, counted and reported by it.
//!
//! Texts of peers enter only shortened; the words are part of the published contract.

use super::key::Kid;

/// Why a document is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it")]
pub enum Refusal {
    #[error("the body is empty")]
    Empty,
    #[error("`{what}` is {got}, at most {max} are allowed")]
    Limit { what: &'static str, got: u64, max: u64 },
    #[error("not readable as JSON at byte {at}: {why}")]
    Json { at: usize, why: String },
    #[error("a member is missing or wrong: {why}")]
    Member { why: String },
    #[error("not a compact JWS: {why}")]
    Jws { why: &'static str },
    #[error("header member `{name}` is not allowed")]
    Header { name: String },
    #[error("algorithm `{alg}` is not `EdDSA`")]
    Alg { alg: String },
    #[error("document type `{got}`, wanted `{want}`")]
    Typ { got: String, want: &'static str },
    #[error("key `{kid}` is unknown")]
    UnknownKey { kid: Kid },
    #[error("key `{kid}` has no part in role `{role}`")]
    Role { kid: Kid, role: &'static str },
    #[error("key `{kid}` is revoked")]
    Revoked { kid: Kid },
    #[error("key `{kid}` was retired before the document was made")]
    Retired { kid: Kid },
    #[error("the signature does not fit")]
    Signature,
    #[error("the key is not a sound Ed25519 key")]
    WeakKey,
    #[error("version `{v}` of the document is not 1")]
    Unsupported { v: i64 },
    #[error("meant for `{got}`")]
    Aud { got: String },
    #[error("unit `{got}` is not the device's own")]
    Unit { got: String },
    #[error("expired at {exp} (seconds since 1970)")]
    Expired { exp: i64 },
    #[error("not valid before {nbf} (seconds since 1970)")]
    NotYet { nbf: i64 },
    #[error("`{member}` lies more than a day ahead")]
    Ahead { member: &'static str },
    #[error("version {ver} is below {last}")]
    VersionLow { ver: i64, last: i64 },
    #[error("another document of version {ver} was accepted before")]
    Conflict { ver: i64 },
    #[error("the SHA-256 does not fit")]
    Hash,
    #[error("answers another question")]
    Nonce,
    #[error("`{jti}` was obeyed before")]
    Replay { jti: String },
    #[error("key epoch {epoch}: {why}")]
    Epoch { epoch: u32, why: &'static str },
    #[error("the root key is not the pinned one")]
    Root,
    #[error("the content contradicts itself: {why}")]
    Content { why: String },
    #[error("the checkpoint of the log does not count: {why}")]
    Checkpoint { why: String },
    #[error("not an enrolment code: {why}")]
    Code { why: &'static str },
}

impl Refusal {
    /// Returns the stable word: what `refuse` records and metrics carry.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Limit { .. } => "limit",
            Self::Json { .. } => "json",
            Self::Member { .. } => "member",
            Self::Jws { .. } => "jws",
            Self::Header { .. } => "header",
            Self::Alg { .. } => "alg",
            Self::Typ { .. } => "typ",
            Self::UnknownKey { .. } => "unknown-key",
            Self::Role { .. } => "role",
            Self::Revoked { .. } => "revoked",
            Self::Retired { .. } => "retired",
            Self::Signature => "signature",
            Self::WeakKey => "weak-key",
            Self::Unsupported { .. } => "unsupported",
            Self::Aud { .. } => "aud",
            Self::Unit { .. } => "unit",
            Self::Expired { .. } => "expired",
            Self::NotYet { .. } => "not-yet",
            Self::Ahead { .. } => "ahead",
            Self::VersionLow { .. } => "version-low",
            Self::Conflict { .. } => "conflict",
            Self::Hash => "hash",
            Self::Nonce => "nonce",
            Self::Replay { .. } => "replay",
            Self::Epoch { .. } => "epoch",
            Self::Root => "root",
            Self::Content { .. } => "content",
            Self::Checkpoint { .. } => "checkpoint",
            Self::Code { .. } => "code",
        }
    }

    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::UnknownKey { .. } => "keep the document and judge it again when `keys` changes",
            Self::Expired { .. } | Self::NotYet { .. } | Self::Ahead { .. } => {
                "compare the clocks of sender and receiver"
            }
            Self::VersionLow { .. } | Self::Conflict { .. } => {
                "versions only rise: was the server restored from a copy?"
            }
            Self::Root => "enrol the device again with a code of this server",
            Self::Checkpoint { .. } => {
                "compare the log's policy in `keys` with its witnesses; if two roots of one size \
                 were vouched for, keep both: they prove it"
            }
            Self::Code { .. } => "copy the whole code, or ask the operator for a new one",
            Self::Limit { .. } => "see the table of limits in `firmware-notes`",
            _ => "see the table of refusals in `firmware-notes`",
        }
    }

    /// Says whether the document may become good when a new key epoch arrives.
    pub fn may_be_parked(&self) -> bool {
        matches!(self, Self::UnknownKey { .. })
    }

    /// Refuses a length above its limit.
    pub(crate) fn limit(what: &'static str, got: usize, max: usize) -> Result<(), Self> {
        if got <= max {
            Ok(())
        } else {
            let (got, max) =
                (u64::try_from(got).unwrap_or(u64::MAX), u64::try_from(max).unwrap_or(u64::MAX));
            Err(Self::Limit { what, got, max })
        }
    }

    /// Refuses content for a reason in words.
    pub(crate) fn content(why: impl Into<String>) -> Self {
        Self::Content { why: why.into() }
    }
}

/// Shortens a peer's text for an error or a log line and drops its control characters.
pub(crate) fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

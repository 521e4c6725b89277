//! Why a time stamp is not believed.

use super::TOKEN_BYTES;
use super::der::DerError;
use super::oid::Oid;
use crate::domain::time::UtcMs;

/// What is wrong with an answer, a token or a file of trusted certificates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    #[error("the time stamp has {got} bytes, at most {TOKEN_BYTES} are read")]
    Long { got: usize },
    #[error("the {what} cannot be read")]
    Der {
        what: &'static str,
        #[source]
        source: DerError,
    },
    #[error("the authority refused: status {status}{detail}")]
    Refused { status: u64, detail: String },
    #[error("the answer has no time stamp")]
    Empty,
    #[error("the answer is to another request: its {what} differs")]
    Foreign { what: &'static str },
    #[error("the {what} is `{got}`, not `{want}`")]
    Kind { what: &'static str, got: String, want: &'static str },
    #[error("the time stamp has {got} signers, wanted is one")]
    Signers { got: usize },
    #[error("the time stamp is of another file")]
    File,
    #[error("policy `{got}` of the time stamp is none of those accepted")]
    Policy { got: Oid },
    #[error("{what} uses `{oid}`, which is not accepted")]
    Algorithm { what: &'static str, oid: Oid },
    #[error("{what} holds the critical extension `{oid}`, which is unknown here")]
    Critical { what: &'static str, oid: Oid },
    #[error("the signed attributes have no single `{what}`")]
    Attribute { what: &'static str },
    #[error("the {what} does not fit")]
    Signature { what: &'static str },
    #[error("the certificate of the signer is not in the time stamp")]
    NoSigner,
    #[error("certificate `{subject}` {why}")]
    Unfit { subject: String, why: &'static str },
    #[error("certificate `{subject}` was valid from {from:?} to {until:?}, the stamp is of {at:?}")]
    Expired { subject: String, from: UtcMs, until: UtcMs, at: UtcMs },
    #[error("no trusted certificate stands behind `{subject}`")]
    Untrusted { subject: String },
    #[error("line {line} of the trusted certificates: {why}")]
    Pem { line: usize, why: &'static str },
    #[error("the trusted certificates: {why}")]
    Anchors { why: &'static str },
}

impl StampError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Long { .. } | Self::Der { .. } | Self::Empty | Self::Kind { .. } => {
                "see that the address is that of a time-stamp authority (RFC 3161), and ask again"
            }
            Self::Refused { .. } => "ask the authority what it accepts: hash, policy, account",
            Self::Foreign { .. } => {
                "something between here and the authority mixed up answers; ask again"
            }
            Self::Signers { .. } | Self::Attribute { .. } => {
                "the authority does not follow RFC 3161; ask its support or choose another"
            }
            Self::File => "give the very file that was stamped, byte for byte",
            Self::Policy { .. } => {
                "compare with the policy the authority publishes and add it if it is right"
            }
            Self::Algorithm { .. } => {
                "wanted are SHA-256, SHA-384 or SHA-512 with RSA (PKCS #1), ECDSA or Ed25519"
            }
            Self::Critical { .. } => {
                "a newer version may know it; until then this cannot be believed"
            }
            Self::Signature { .. } => {
                "the time stamp was changed after it was made: fetch it from the log again"
            }
            Self::NoSigner => {
                "ask with the wish for certificates, or add the signer's to the trusted ones"
            }
            Self::Unfit { .. } => {
                "only a certificate made for time stamping alone counts; ask the authority"
            }
            Self::Expired { .. } => {
                "a stamp of an expired certificate proves nothing; ask for a new one"
            }
            Self::Untrusted { .. } => {
                "give the authority's root certificate, from its site over a safe way, as PEM"
            }
            Self::Pem { .. } | Self::Anchors { .. } => {
                "wanted are 1 to 32 certificates as PEM: `-----BEGIN CERTIFICATE-----` and so on"
            }
        }
    }

    /// Returns how to name a part that could not be read.
    pub(super) fn der(what: &'static str) -> impl Fn(DerError) -> Self {
        move |source| Self::Der { what, source }
    }
}

//! Time stamps of an authority (RFC 3161): asking for one over a file, and judging the answer.
//!
//! Once a day a checkpoint's note is stamped by an authority that the law knows, so that its time
//! rests on nobody of the project and survives the loss of the log's keys. Bytes go in, bytes and
//! verdicts come out; sending them (`POST`, media types [`REQUEST_TYPE`], [`RESPONSE_TYPE`]),
//! keeping the token beside its checkpoint and the daily rhythm belong to those who call.
//!
//! | Module | Holds |
//! |---|---|
//! | [`der`], [`oid`] | the strict reader and writer of DER; object identifiers |
//! | [`request`] | a request, and whether an answer is one to it |
//! | [`token`] | a token taken apart and judged: its statement, its signer |
//! | [`certificate`], [`chain`] | certificates and the way from the signer to a trusted one |
//! | [`algorithm`] | which hashes and signatures are taken, and verifying them |
//!
//! # Invariants
//! * A [`Stamp`] comes only out of a token whose every part was checked: the file's hash, the
//!   signer's signature over its attributes, the attributes' hash of the statement, the signer's
//!   certificate as named by the attributes, its only purpose, its way to a trusted certificate,
//!   and that all of them were valid at the time stated.
//! * Bytes from outside are bounded before they are read, in number and in the signatures that
//!   they can make us verify; none make this room panic.
//! * No clock, no randomness, no network: the nonce is handed in.
//!
//! Deliberately absent: revocation lists (an offline judge has none; the authority's standing at
//! that time is the business of who trusts its certificate), SHA-1 and MD5 as hashes of anything
//! signed, RSASSA-PSS, encodings that are not DER.
//!
//! # Why not the crates of types
//! `x509-tsp`, `cms` and `x509-cert` describe these structures and verify nothing: the checks
//! below, which are most of this room, would stay ours, and three crates with their derived
//! readers would join the tree for some two hundred lines. `x509-parser` reads certificates with
//! more leave than evidence should have. Signatures are verified by the library that TLS uses.
//!
//! Sources: RFC 3161 (2.4), RFC 5816, RFC 5652 (5), RFC 2634 and RFC 5035 (5.4), RFC 5280 (4, 6.1),
//! ITU-T X.690.

pub mod algorithm;
pub mod certificate;
pub mod chain;
pub mod der;
mod error;
pub mod oid;
pub mod request;
mod signer;
mod statement;
pub mod token;

pub use chain::Trust;
pub use der::DerError;
pub use error::StampError;
pub use oid::{Oid, OidError};
pub use request::Request;
pub use token::{Stamp, Token};

/// Media type of a request.
pub const REQUEST_TYPE: &str = "application/timestamp-query";
/// Media type of an answer.
pub const RESPONSE_TYPE: &str = "application/timestamp-reply";
/// Bytes of the longest answer or token that is read.
pub const TOKEN_BYTES: usize = 65_536;

#[cfg(test)]
pub(crate) mod tests;

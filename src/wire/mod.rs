//! What travels between scheduler and device: documents, signatures, topics. No transport.
//!
//! The contract is published in `firmware-notes/`; golden vectors stand in `tests/golden/wire/`.
//!
//! # Invariants
//! * No bytes from outside panic; every length, depth and count has a limit in [`limits`].
//! * The algorithm and the key of a signature come from the reader's register, never from the
//!   document. What was signed is kept and hashed as received.
//! * Every refusal has a stable word ([`Refusal::reason`]).
//! * Randomness and clocks come from outside: the same input gives the same bytes.
//!
//! # Where to start
//! [`jws`] signs and opens; [`doc`] holds the documents; [`judge`] says whether one may take
//! effect; [`epoch`] is the register of the server's keys; [`sheet`], [`record`], [`chunk`] are
//! the bulk; [`tlog`] holds the formats of the evidence log; [`enrol`] is how a device comes to know all this; [`topic`] says where it travels.

#![warn(missing_docs)]

pub mod b64;
pub mod chunk;
pub mod doc;
pub mod enrol;
pub mod epoch;
pub mod json;
pub mod judge;
pub mod jws;
mod key;
pub mod limits;
pub mod record;
mod refusal;
pub mod server_keys;
pub mod sheet;
pub mod tlog;
pub mod topic;
pub mod version;

pub use refusal::Refusal;

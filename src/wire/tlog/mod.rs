//! The formats of transparency logs that others read too (C2SP, RFC 6962): pure.
//!
//! Bytes and texts in, checked values out, and back; no files, no clock, no randomness. Devices
//! and witnesses verify with this, the writer writes with it; the auditor's tool has its own.
//!
//! # Why not the crates `tlog_tiles` and `signed_note`
//! Both were tried at 0.2.0. What they lack is most of the work: paths and entry bundles of
//! tlog-tiles (they print the older layout `tile/8/0/001`), cosignatures, proof files, policies,
//! witness requests, anything durable. What they have (hashes, proofs, notes) is 900 lines here,
//! comments included, and speed decides nothing: on one machine 1.4 million leaves/s there (900
//! bytes each, a root every 256), 1.1 million here *with* bundles and files, while a durable round
//! of 256 makes 50,000. They come with 55 places outside tests that panic or assert (a tile height
//! of 0 is one), with verification that is not strict, and with an older `base64` and `thiserror`.
//! Their functions want every stored hash by number, where a right edge of a few hundred hashes is
//! enough to append; and their authors have since split and renamed them, unpublished. `ct-merkle`,
//! `tlog-scales` and `aics-tlog` check ours in tests.
//!
//! Sources: C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-tiles, tlog-proof,
//! tlog-policy, tlog-witness; RFC 6962 §2.1, RFC 9162 §2.1.3 and §2.1.4.

mod bundle;
mod checkpoint;
mod hash;
mod key;
mod name;
mod note;
mod policy;
mod proof;
mod proof_file;
mod range;
mod request;
#[cfg(test)]
pub(crate) mod testing;
pub mod text;
mod tile;

pub use bundle::{Bundle, BundleError, ENTRY_BYTES};
pub use checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
pub use hash::{HASH_BYTES, HashError, TreeHash};
pub use key::{Cosigner, KeyError, KeyId, LogSigner, Signed, VerifierKey};
pub use name::{NAME_BYTES, Name, NameError};
pub use note::{LINES, NOTE_BYTES, Note, NoteError, SignatureLine, parse_lines};
pub use policy::{
    POLICY_BYTES, Policy, PolicyError, PolicyFault, Standing, Verdict, Witness, Witnessed,
};
pub use proof::{ProofError, check_consistency, check_inclusion, root_of_inclusion};
pub use proof_file::{PROOF_FILE_BYTES, ProofFile, ProofFileError};
pub use range::{Span, Subtree, consistency_spans, inclusion_spans, subtrees};
pub use request::{AddCheckpoint, PROOF_LINES, REQUEST_BYTES, RequestError};
pub use tile::{Resource, TILE, Tile, TileError};

//! The evidence log: what devices and server said, in an order that nobody can change unseen.
//!
//! A log is a folder of static files (C2SP tlog-tiles) that anybody can copy and check; the server
//! appends to it and signs its head, witnesses elsewhere vouch that it only grew. Outcomes, packs
//! and reports are made from it, not here; HTTP, the queue of leaves and the keys' files belong to
//! those who call. The formats that others read too (hashes, tiles, notes, proofs, policies) are
//! [`crate::wire::tlog`].
//!
//! | Module | Holds |
//! |---|---|
//! | [`leaf`] | what a leaf is: a record as received, or a statement of the server; pure |
//! | [`edge`], [`pace`], [`shard`] | growth of a tree, when a batch is cut, which year's log; pure |
//! | [`disk`], [`folder`], [`head`] | durable files, the served folder, the head in a second place |
//! | [`sequencer`] | the one writer: rounds, starts, refusals, rebuilding |
//! | [`history`], [`tokens`] | cosigned checkpoints of earlier days, time stamps of heads; for auditors |
//! | [`prove`], [`check`] | proofs from tiles, checked before they are handed out; a stretch read whole |
//! | [`witness`], [`collect`] | vouching for others' logs; gathering the word of witnesses; pure but for the witness's small memory |
//!
//! # Invariants
//! * A leaf is the exact envelope as received with the time of receipt; nothing is re-serialised,
//!   edited or removed.
//! * What is signed is durable before, in the folder and in the head file; a tree behind or beside
//!   a head that was signed is never signed on.
//! * Every byte from outside is bounded before it is read, and every file's length is known before
//!   it is opened.
//! * No clock, randomness or network here: time, seeds and answers are handed in.
//!
//! Deliberately absent: a database beside the tiles (the tiles are the log), proofs on request of
//! trees that were never published, deletion of leaves.

pub mod check;
pub mod collect;
pub mod disk;
pub mod edge;
pub mod folder;
pub mod head;
pub mod history;
pub mod leaf;
pub mod pace;
pub mod prove;
pub mod sequencer;
pub mod shard;
pub mod tokens;
pub mod witness;

#[cfg(test)]
mod messages_tests;
#[cfg(test)]
mod testing;

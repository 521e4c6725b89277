//! Records as devices signed them, and where each chain stands.

use super::{Fence, StoreError};
use crate::domain::ids::{ChainId, CueId, DeviceId, Digest};
use crate::domain::proof::chain::{Link, LostSpan};
use crate::domain::time::UtcMs;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A rightly signed record, exactly as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    pub device: DeviceId,
    pub chain: ChainId,
    pub seq: u64,
    /// SHA-256 of `jws`.
    pub digest: Digest,
    /// What it says of its predecessor.
    pub prev: Option<Digest>,
    /// Thumbprint of the key that signed it.
    pub kid: String,
    /// `play`, `beat`, … ; a kind this version does not know is kept by its own name.
    pub kind: String,
    /// The cue it answers to, if any.
    pub cue: Option<CueId>,
    /// The notice, hold or command it answers to, or the notice on whose topic it refused
    /// something, if any.
    pub jti: Option<String>,
    /// The device's clock.
    pub at_ms: UtcMs,
    /// The server's clock.
    pub received_ms: UtcMs,
    /// How it came in.
    pub via: Via,
    /// What is wrong with it, a word or two; it is counted all the same.
    pub fault: Option<String>,
    /// The compact JWS, byte for byte.
    pub jws: Arc<str>,
}

/// How a record came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Via {
    /// From the device over MQTT.
    Link,
    /// By `loa records import`: flagged.
    Import,
}

/// Two different records with one place in a chain: proof of a cloned or broken device.
/// Both are kept: the first in the records, this one here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The record that came second.
    pub record: StoredRecord,
    /// Digest of the one that came first.
    pub first: Digest,
}

/// Bytes that were not accepted as a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The device whose topic it came on.
    pub device: DeviceId,
    pub received_ms: UtcMs,
    /// A word of the contract or of ours.
    pub reason: String,
    /// SHA-256 of the whole line.
    pub digest: Digest,
    /// The line, or its beginning when it is not rightly signed (at most 4 KiB).
    pub bytes: Vec<u8>,
    pub signed: Signed,
}

/// Whether a line that could not be placed carries a right signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signed {
    /// No: kept as a hint, the oldest go first.
    No,
    /// Yes, but without a readable place in a chain: kept like a record.
    Yes,
}

/// Where a chain stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredChain {
    pub device: DeviceId,
    pub chain: ChainId,
    /// All records up to here are stored, or declared lost.
    pub upto: u64,
    /// Digest of record `upto`; `None` at 0 and after numbers declared lost.
    pub head: Option<Digest>,
    /// Device time of the first and of the newest record without a gap before it.
    pub first_at_ms: Option<UtcMs>,
    pub upto_at_ms: Option<UtcMs>,
    /// Server time of the first record.
    pub opened_ms: UtcMs,
    /// Lost spans that the chain has not left behind.
    pub lost: Vec<LostSpan>,
    /// Grows with every change: a commit names the one it was decided upon.
    pub revision: i64,
}

/// One device's part of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intake {
    /// Where the chain stands afterwards; its `revision` is the one it was decided upon, 0 for a
    /// new chain.
    pub chain: StoredChain,
    pub add: Vec<StoredRecord>,
    /// Numbers, both inclusive, that `add` shows to be missing.
    pub gaps: Vec<(u64, u64)>,
    pub conflicts: Vec<Conflict>,
    /// Faults found in records already stored (a link that proved broken once its gap closed).
    pub faults: Vec<(u64, String)>,
}

/// A receipt as signed, to be retained at the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredReceipt {
    pub device: DeviceId,
    pub chain: ChainId,
    pub upto: u64,
    pub made_ms: UtcMs,
    pub jws: Arc<str>,
}

/// Everything that came together, to be stored in one durable step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntakeRound {
    /// At most one per chain.
    pub intakes: Vec<Intake>,
    pub rejects: Vec<Reject>,
    /// Receipts over the chains as they stand after this round.
    pub receipts: Vec<StoredReceipt>,
}

/// Which records are wanted; all conditions hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordFilter {
    pub device: Option<DeviceId>,
    /// Device time, inclusive.
    pub from_ms: Option<UtcMs>,
    /// Device time, exclusive.
    pub to_ms: Option<UtcMs>,
    pub kind: Option<String>,
    pub cue: Option<CueId>,
    /// Of this notice, hold or command.
    pub jti: Option<String>,
}

/// Where a listing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The newest first, at most so many.
    Newest { limit: u32 },
    /// In order of arrival after this position (0 for the beginning), at most so many.
    After { position: i64, limit: u32 },
}

/// A record with its position in order of arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub position: i64,
    pub record: StoredRecord,
    pub time: Enclosure,
}

/// How tightly the time of a record is enclosed: between the checkpoint that it quotes and the
/// first one that holds it and that witnesses vouched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Enclosure {
    /// No witness has vouched for a checkpoint that holds it.
    Open,
    /// Within [`LATE_MS`](crate::domain::proof::LATE_MS).
    Tight,
    /// More loosely than that; `None` where it quotes nothing, nor any record before it.
    Late { width_ms: Option<i64> },
}

impl Enclosure {
    /// Returns the word as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Tight => "enclosed",
            Self::Late { .. } => "late",
        }
    }
}

/// How much evidence ever came in, also what retention has deleted since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvidenceCounts {
    pub records: u64,
    /// Records with a fault.
    pub faulty: u64,
    pub conflicts: u64,
    pub rejects: u64,
    /// Records whose time is enclosed too loosely.
    pub late: u64,
}

/// The records of all devices: append-only.
#[async_trait]
pub trait Evidence: Send + Sync {
    /// Returns where the chain stands, or `None` before its first record.
    async fn chain(
        &self,
        device: &DeviceId,
        chain: &ChainId,
    ) -> Result<Option<StoredChain>, StoreError>;
    /// Returns all chains of a device, oldest first.
    async fn chains_of(&self, device: &DeviceId) -> Result<Vec<StoredChain>, StoreError>;
    /// Returns what lies beyond the chain's first gap, by number.
    async fn aside(
        &self,
        device: &DeviceId,
        chain: &ChainId,
        after: u64,
    ) -> Result<BTreeMap<u64, Link>, StoreError>;
    /// Returns the digests of those of the numbers that are stored.
    async fn digests(
        &self,
        device: &DeviceId,
        chain: &ChainId,
        seqs: &[u64],
    ) -> Result<BTreeMap<u64, Digest>, StoreError>;

    /// Stores the round, whole or not at all. [`StoreError::Stale`] when a chain's revision is not
    /// the one named: nothing was stored, decide again. A receipt below the stored one of the
    /// same chain is ignored. [`StoreError::Fenced`] when one of the leases is another's by now.
    async fn commit_intake(&self, round: &IntakeRound, fences: &[Fence]) -> Result<(), StoreError>;
    /// Returns the newest receipt of the device.
    async fn receipt_of(&self, device: &DeviceId) -> Result<Option<StoredReceipt>, StoreError>;
    /// Returns the newest receipt of every device.
    async fn receipts(&self) -> Result<Vec<StoredReceipt>, StoreError>;

    /// Lists records.
    async fn records(&self, filter: &RecordFilter, page: Page) -> Result<Vec<Listed>, StoreError>;
    /// Lists conflicts, newest first.
    async fn conflicts(&self, limit: u32) -> Result<Vec<Conflict>, StoreError>;
    /// Lists rejects, newest first.
    async fn rejects(&self, limit: u32) -> Result<Vec<Reject>, StoreError>;
    /// Counts.
    async fn evidence_counts(&self) -> Result<EvidenceCounts, StoreError>;
    /// Deletes records and conflicts received before `before`, but never a chain's head nor what
    /// lies beyond its first gap; returns how many went. Only retention calls it.
    async fn forget_before(&self, before: UtcMs) -> Result<u64, StoreError>;
}

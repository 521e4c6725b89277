//! The append-only ledger of what this device signs.
//!
//! Records are signed once, chained by hash, framed and synced to disk before [`Ledger::append`]
//! returns; they are sent, and sent again, until a receipt covers them, and kept 35 days beyond
//! that while space permits.
//!
//! # Invariants
//! * Numbers of a chain have no gap and no record ever changes. A torn tail was never acted upon
//!   and is cut; a tail that the server holds but the disk lost ends the chain: a new one begins.
//! * Only what a receipt covers is deleted, and where the server keeps an evidence log only what a
//!   checkpoint with enough witnesses covers, unless the disk is full: then the oldest go, and a
//!   `lost` record says which of them no receipt covered.
//! * Damage in the middle of a file costs the damaged records only; they are declared lost.

mod chain;
pub mod delivery;
pub mod frame;
mod read;
mod room;

use super::disk;
use crate::domain::ids::{ChainId, DeviceId, Digest};
use crate::domain::proof::record::{Attestor, Body, ClockNote, Head, Record, Seen};
use crate::domain::time::UtcMs;
use crate::wire::jws::SecretKey;
use crate::wire::record as wire_record;
use chain::{Chain, Segment, append, chains_on_disk};
use frame::Entry;
use room::Spare;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// A new file is begun after so many bytes: what is deleted goes by files.
const SEGMENT_BYTES: usize = 262_144;
/// How long receipted records are kept.
const KEEP_MS: i64 = 35 * 86_400_000;
/// Characters left of each text of a record that would not fit into any batch.
const WORDS: usize = 60;

/// What is wrong with the ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("reading the ledger `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("writing the ledger `{path}`")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("no randomness for a new chain")]
    Random(#[source] getrandom::Error),
}

impl LedgerError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "check the disk and that the data folder belongs to this user",
            Self::Write { .. } => "free space on the disk that holds the data folder",
            Self::Random(_) => "the system's source of randomness does not answer",
        }
    }

    /// Says whether room would help.
    fn is_full(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let Self::Write { source, .. } = self else { return false };
        matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge)
    }
}

/// Who signs, and how much room there is.
#[derive(Clone, Debug)]
pub struct LedgerConfig {
    /// The device.
    pub device: DeviceId,
    /// Its key.
    pub key: SecretKey,
    /// Bytes that records may take.
    pub most_bytes: u64,
    /// Whose word the records are.
    pub attestor: Attestor,
}

/// Time and quality of a record.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// The device's clock.
    pub at: UtcMs,
    /// Milliseconds since the program's start.
    pub mono_ms: i64,
    /// How good the clock is.
    pub clock: ClockNote,
}

/// What a receipt meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipted {
    /// More is durable than before.
    Raised,
    /// Nothing new.
    Known,
    /// The server holds more of this chain than the disk: the chain was continued.
    Ahead,
    /// The server holds another record under that number.
    Conflict,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Meta {
    v: u8,
    /// Chains, oldest first; the last is written to.
    chains: Vec<ChainId>,
    boot: u64,
    /// Receipts by chain.
    upto: BTreeMap<ChainId, u64>,
    /// Up to which number a checkpoint covers each chain.
    #[serde(default)]
    logged: BTreeMap<ChainId, u64>,
}

/// See the module.
#[derive(Debug)]
pub struct Ledger {
    dir: PathBuf,
    config: LedgerConfig,
    meta: Meta,
    chains: Vec<Chain>,
    /// Why the newest chain was begun at this start.
    pub begun: Option<&'static str>,
    /// Stretches lost to damage that no record declares yet.
    gaps: Vec<(u64, u64, Digest)>,
    /// Stretches dropped for want of room that no record declares yet.
    dropped: Vec<Body>,
    /// The disk did not take `meta`: it is written before the next record.
    meta_waits: bool,
    /// The server keeps an evidence log: a receipt alone deletes nothing.
    log_asked: bool,
    /// The checkpoint that records quote.
    seen: Option<Seen>,
}

impl Ledger {
    /// Opens the ledger, cuts a torn tail, counts the boot.
    pub fn open(dir: &Path, config: LedgerConfig) -> Result<Self, LedgerError> {
        let write = |source| LedgerError::Write { path: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(write)?;
        let known = disk::read_json::<Meta>(&dir.join("meta.json")).filter(|m| m.v == 1);
        let mut begun = None;
        let mut meta = if let Some(meta) = known {
            meta
        } else {
            let found = chains_on_disk(dir).map_err(write)?;
            begun = Some(if found.is_empty() { "enrolment" } else { "storage" });
            let (upto, logged) = (BTreeMap::new(), BTreeMap::new());
            Meta { v: 1, chains: found, boot: 0, upto, logged }
        };
        let mut chains = Vec::new();
        let mut gaps = Vec::new();
        for id in &meta.chains {
            let upto = meta.upto.get(id).copied().unwrap_or(0);
            let newest = Some(id) == meta.chains.last();
            let mut chain = Chain::load(dir, *id, upto, newest, &mut gaps)?;
            chain.logged = meta.logged.get(id).copied().unwrap_or(0).min(upto);
            chains.push(chain);
        }
        if begun.is_none() && chains.last().is_none_or(|chain| chain.last == 0) {
            begun = Some("storage");
        }
        meta.boot = meta.boot.saturating_add(1);
        let mut ledger = Self {
            dir: dir.to_owned(),
            config,
            meta,
            chains,
            begun,
            gaps,
            dropped: Vec::new(),
            meta_waits: true,
            log_asked: false,
            seen: None,
        };
        if ledger.begun.is_some() {
            ledger.name_chain()?;
        }
        // A device whose disk is full still has something to say over its loudspeaker.
        match ledger.save_meta() {
            Err(error) if error.is_full() => {
                tracing::error!(%error, hint = error.hint(), "Records wait for the disk");
            }
            saved => saved?,
        }
        Ok(ledger)
    }

    /// Returns the number of this start.
    pub fn boot(&self) -> u64 {
        self.meta.boot
    }

    /// Returns the chain that is written to.
    pub fn chain(&self) -> ChainId {
        self.newest().id
    }

    /// Returns the number of the newest record.
    pub fn last(&self) -> u64 {
        self.newest().last
    }

    /// Returns the hash of the newest record.
    pub fn head(&self) -> Option<Digest> {
        self.newest().head
    }

    /// Returns up to which number of the newest chain there is a receipt.
    pub fn upto(&self) -> u64 {
        self.newest().upto
    }

    /// Returns how many records wait for a receipt, and how many are held.
    pub fn counts(&self) -> (u64, u64) {
        let (mut pending, mut stored) = (0, 0);
        for chain in &self.chains {
            for entry in chain.segments.iter().flat_map(|s| &s.entries) {
                stored += 1;
                pending += u64::from(entry.seq > chain.upto);
            }
        }
        (pending, stored)
    }

    /// Takes stretches lost to damage, to be declared as `lost`.
    pub fn take_gaps(&mut self) -> Vec<Body> {
        let gaps = std::mem::take(&mut self.gaps);
        gaps.into_iter()
            .map(|(from, to, hash)| Body::Lost { from, to, n: to - from + 1, hash })
            .collect()
    }

    /// Signs, appends and syncs. When the disk is full the oldest records make room.
    pub fn append(&mut self, bodies: &[Body], stamp: Stamp) -> Result<(), LedgerError> {
        self.append_relieved(bodies, stamp, || false)
    }

    /// Appends; when the disk is full settled records go first, then what `relieve` gives up
    /// (it says whether there was anything), and one file of records without a receipt last.
    pub fn append_relieved(
        &mut self,
        bodies: &[Body],
        stamp: Stamp,
        mut relieve: impl FnMut() -> bool,
    ) -> Result<(), LedgerError> {
        if bodies.is_empty() {
            return Ok(());
        }
        self.keep_within_limit()?;
        let mut last_resort = false;
        while let Err(error) = self.write(bodies, stamp) {
            if !error.is_full() {
                return Err(error);
            }
            tracing::warn!(%error, "Making room for records");
            if self.drop_oldest(Spare::Settled)? || relieve() {
                continue;
            }
            if last_resort || !self.drop_oldest(Spare::Any)? {
                return Err(error);
            }
            last_resort = true;
        }
        if !self.dropped.is_empty() {
            tracing::error!(files = self.dropped.len(), "Records were dropped for want of space");
            let dropped = std::mem::take(&mut self.dropped);
            if let Err(error) = self.write(&dropped, stamp) {
                // Said as soon as there is room again.
                tracing::error!(%error, "Dropped records are not declared yet");
                self.dropped = dropped;
            }
        }
        Ok(())
    }

    /// Takes a receipt.
    pub fn receipt(
        &mut self,
        chain: ChainId,
        upto: u64,
        head: Option<&Digest>,
    ) -> Result<Receipted, LedgerError> {
        let Some(index) = self.chains.iter().position(|c| c.id == chain) else {
            return Ok(Receipted::Known);
        };
        let found = &self.chains[index];
        if upto > found.last {
            if index + 1 == self.chains.len() {
                self.begin_chain()?;
                self.begun = Some("storage");
                return Ok(Receipted::Ahead);
            }
            return Ok(Receipted::Conflict);
        }
        if upto <= found.upto {
            return Ok(Receipted::Known);
        }
        if let (Some(head), Some(text)) = (head, found.text(upto)?)
            && wire_record::digest(&text) != *head
        {
            return Ok(Receipted::Conflict);
        }
        self.chains[index].upto = upto;
        self.meta.upto.insert(chain, upto);
        self.save_meta()?;
        Ok(Receipted::Raised)
    }

    /// Says whether what is deleted must be in the evidence log, and which checkpoint to quote.
    pub fn follow_log(&mut self, asked: bool, seen: Option<Seen>) {
        self.log_asked = asked;
        self.seen = seen.filter(|_| asked);
    }

    /// Takes a checkpoint's word: the records of a chain up to this number are in the log, and
    /// witnesses vouched for it. Says whether that is news.
    pub fn logged(&mut self, chain: ChainId, upto: u64) -> Result<bool, LedgerError> {
        let Some(chain) = self.chains.iter_mut().find(|c| c.id == chain) else { return Ok(false) };
        let upto = upto.min(chain.upto);
        if upto <= chain.logged {
            return Ok(false);
        }
        chain.logged = upto;
        self.meta.logged.insert(chain.id, upto);
        self.save_meta()?;
        Ok(true)
    }

    /// Begins a new chain: what the server holds of the old one cannot be continued.
    fn begin_chain(&mut self) -> Result<(), LedgerError> {
        self.name_chain()?;
        self.save_meta()
    }

    fn name_chain(&mut self) -> Result<(), LedgerError> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(LedgerError::Random)?;
        let id = ChainId(id);
        self.meta.chains.push(id);
        let segments = Vec::new();
        self.chains.push(Chain { id, segments, head: None, last: 0, upto: 0, logged: 0 });
        Ok(())
    }

    fn newest(&self) -> &Chain {
        self.chains.last().expect("`open` begins a chain when there is none")
    }

    fn save_meta(&mut self) -> Result<(), LedgerError> {
        self.meta_waits = true;
        let path = self.dir.join("meta.json");
        disk::write_json(&path, &self.meta)
            .map_err(|source| LedgerError::Write { path, source })?;
        self.meta_waits = false;
        Ok(())
    }

    fn write(&mut self, bodies: &[Body], stamp: Stamp) -> Result<(), LedgerError> {
        if self.meta_waits {
            self.save_meta()?;
        }
        let (device, boot) = (self.config.device.clone(), self.meta.boot);
        let dir = self.dir.clone();
        let chain = self.chains.last_mut().expect("`open` begins a chain when there is none");
        let mut buffer = Vec::new();
        let mut entries = Vec::new();
        let (mut head, mut last) = (chain.head, chain.last);
        if chain.segments.last().is_none_or(|s| s.bytes >= SEGMENT_BYTES) {
            let path = dir.join(format!("{}-{:020}.log", chain.id, last + 1));
            chain.segments.push(Segment { path, entries: Vec::new(), bytes: 0 });
        }
        let segment = chain.segments.last_mut().expect("pushed above when there was none");
        for body in bodies {
            let record = Record {
                head: Head {
                    v: 1,
                    dev: device.clone(),
                    chain: chain.id,
                    boot,
                    seq: last + 1,
                    prev: head,
                    at_ms: stamp.at,
                    mono_ms: stamp.mono_ms,
                    clock: stamp.clock,
                    seen: self.seen.clone(),
                    attestor: self.config.attestor,
                },
                body: body.clone(),
            };
            let text = signed(&self.config.key, record);
            last += 1;
            head = Some(wire_record::digest(&text));
            frame::push(&mut buffer, last, stamp.at.0, &text);
            let offset = segment.bytes + buffer.len() - text.len();
            entries.push(Entry { seq: last, at_ms: stamp.at.0, offset, len: text.len() });
        }
        let path = segment.path.clone();
        if let Err(source) = append(&path, segment.bytes, &buffer) {
            return Err(LedgerError::Write { path, source });
        }
        segment.bytes += buffer.len();
        segment.entries.extend(entries);
        (chain.head, chain.last) = (head, last);
        Ok(())
    }
}

/// Signs a record. One whose texts are too long for any batch would hold up all that follow it,
/// so its texts are cut.
fn signed(key: &SecretKey, mut record: Record) -> String {
    wire_record::sign(key, &record).unwrap_or_else(|error| {
        tracing::error!(seq = record.head.seq, %error, "Cut the texts of a record");
        record.body.shorten(WORDS);
        wire_record::sign(key, &record).expect("a record of short texts is within the limit")
    })
}

#[cfg(test)]
mod tests;

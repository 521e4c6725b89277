//! The witness with its memory: one file a log, written before the answer.

use super::super::disk::{Disk, DiskError, Hold, replace, settle};
use super::decide::{Answer, Known, Refusal, Verdict, WitnessedLog, decide, keys_of, listed};
use crate::domain::ids::Digest;
use crate::wire::tlog::{
    AddCheckpoint, CheckpointError, Cosigner, NOTE_BYTES, Name, SignedCheckpoint, VerifierKey,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Requests kept as evidence, of all logs together.
const EVIDENCE: usize = 256;
/// Shards remembered of one log: one a year, and one for each loss. Whoever has its key can name
/// any number of them.
const SHARDS: usize = 256;

/// See the module above.
#[derive(Debug)]
pub struct Witness<D> {
    disk: D,
    folder: PathBuf,
    cosigner: Cosigner,
    logs: Vec<WitnessedLog>,
    known: BTreeMap<Name, (Known, SignedCheckpoint)>,
    /// How many shards of each log on the list are remembered on disk.
    shards: BTreeMap<Name, usize>,
    _hold: Hold,
}

/// Whether a witness has a memory already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// A new key that never cosigned anything: begin a memory. Refused where one is.
    Begin,
    /// A memory must be there: a witness that forgot could cosign a fork.
    GoOn,
}

/// Why a witness does not start or answer.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    #[error("the witness's memory cannot be used")]
    Disk(#[from] DiskError),
    #[error("another process uses the witness's folder `{}`", path.display())]
    Held { path: PathBuf },
    #[error("the witness's memory `{}` is damaged", path.display())]
    Damaged {
        path: PathBuf,
        #[source]
        source: CheckpointError,
    },
    #[error("the witness's memory `{}` is not this key's", path.display())]
    Foreign { path: PathBuf },
    #[error("there is no memory of a witness in `{}`", path.display())]
    Forgot { path: PathBuf },
    #[error("there is a memory of a witness in `{}` already", path.display())]
    Remembers { path: PathBuf },
    #[error("log `{origin}` is named twice")]
    Twice { origin: Name },
    #[error("log `{origin}` names the witness's own key")]
    OwnKey { origin: Name },
}

impl WitnessError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Disk(error) => error.hint(),
            Self::Held { .. } => "stop the other `loa witness` on this folder",
            Self::Remembers { .. } => "go on with it, or begin elsewhere with another key",
            Self::Damaged { .. } | Self::Foreign { .. } | Self::Forgot { .. } => {
                "name the right folder; if it is lost: a witness that forgot may cosign a fork: begin anew with another key and folder, \
                 and put the new verifier key into the policies"
            }
            Self::Twice { .. } | Self::OwnKey { .. } => "correct the list of witnessed logs",
        }
    }
}

impl<D: Disk> Witness<D> {
    /// Takes up the folder's memory of the given logs; what it knows of others stays there.
    pub fn open(
        disk: D,
        folder: &Path,
        cosigner: Cosigner,
        logs: Vec<WitnessedLog>,
        memory: Memory,
    ) -> Result<Self, WitnessError> {
        let own = cosigner.verifier().key_bytes();
        for (at, log) in logs.iter().enumerate() {
            if logs[..at].iter().any(|other| other.origin == log.origin) {
                return Err(WitnessError::Twice { origin: log.origin.clone() });
            }
            if log.keys.iter().any(|key| key.key_bytes() == own) {
                return Err(WitnessError::OwnKey { origin: log.origin.clone() });
            }
        }
        settle(&disk, folder)?;
        let held = folder.join("held");
        let Some(hold) = disk.hold(&held).map_err(DiskError::at("hold", &held))? else {
            return Err(WitnessError::Held { path: folder.to_owned() });
        };
        own_memory(&disk, folder, &cosigner, memory)?;
        let mut known = BTreeMap::new();
        for log in &logs {
            if let Some(remembered) = remember(&disk, folder, &log.origin, &cosigner)? {
                known.insert(log.origin.clone(), remembered);
            }
        }
        let mut shards = BTreeMap::new();
        for origin in origins(&disk, folder)? {
            if let Some(log) = listed(&logs, &origin) {
                *shards.entry(log.clone()).or_default() += 1;
            }
        }
        Ok(Self { disk, folder: folder.to_owned(), cosigner, logs, known, shards, _hold: hold })
    }

    /// Returns the witness's key, for policies.
    pub fn verifier(&self) -> &VerifierKey {
        self.cosigner.verifier()
    }

    /// Returns the logs it watches.
    pub fn logs(&self) -> &[WitnessedLog] {
        &self.logs
    }

    /// Returns the newest checkpoint it cosigned of a log, with the signatures.
    pub fn newest(&self, origin: &Name) -> Option<&SignedCheckpoint> {
        self.known.get(origin).map(|(_, signed)| signed)
    }

    /// Answers `add-checkpoint`. One at a time: what is decided upon cannot change meanwhile.
    pub fn add_checkpoint(&mut self, body: &[u8], now_s: u64) -> Result<Answer, WitnessError> {
        self.recall(body)?;
        let known = |origin: &Name| self.known.get(origin).map(|(known, _)| known.clone());
        match decide(body, &self.logs, known, now_s) {
            Verdict::Cosign { checkpoint, time_s } => self.cosign(&checkpoint, time_s),
            Verdict::Refuse { refusal, known } => Ok(Answer::refused(&refusal, known)),
            Verdict::Contradiction { refusal, known } => {
                self.keep(body)?;
                Ok(Answer::refused(&refusal, known))
            }
        }
    }

    /// Reads what is remembered of a shard: only the name of its log stands on the list.
    fn recall(&mut self, body: &[u8]) -> Result<(), WitnessError> {
        let Ok(request) = AddCheckpoint::parse(body) else { return Ok(()) };
        let origin = &request.checkpoint.checkpoint().origin;
        if self.known.contains_key(origin) {
            return Ok(());
        }
        let keys = keys_of(&self.logs, origin);
        // A stranger's request costs no more than checking it.
        if keys.is_empty() || request.checkpoint.note().verify(&keys).is_err() {
            return Ok(());
        }
        if let Some(known) = remember(&self.disk, &self.folder, origin, &self.cosigner)? {
            self.known.insert(origin.clone(), known);
        }
        Ok(())
    }

    fn cosign(&mut self, signed: &SignedCheckpoint, time_s: u64) -> Result<Answer, WitnessError> {
        let checkpoint = signed.checkpoint().clone();
        let origin = checkpoint.origin.clone();
        let log = listed(&self.logs, &origin).unwrap_or(&origin).clone();
        let new = !self.known.contains_key(&origin);
        if new && self.shards.get(&log).is_some_and(|shards| *shards >= SHARDS) {
            let refusal = Refusal::Shards { origin: log, most: SHARDS };
            return Ok(Answer::refused(&refusal, 0));
        }
        let line = self.cosigner.sign(time_s, signed.note().text());
        // The log's own lines with ours; those of others are theirs to give.
        let keys = keys_of(&self.logs, &origin);
        let mut lines = signed.note().lines().to_vec();
        lines.retain(|line| keys.iter().any(|key| key.is_checkable() && key.matches(line)));
        lines.push(line.clone());
        let note = signed.note().with_lines(lines);
        let path = file_of(&self.folder, &origin);
        replace(&self.disk, &self.folder, &[(path, note.to_string().as_bytes())])?;
        if new {
            *self.shards.entry(log).or_default() += 1;
        }
        if let Some(remembered) = signed.with_note(note) {
            self.known.insert(origin, (Known { checkpoint, time_s }, remembered));
        }
        // What was kept because its proof was wrong has turned out to be honest; left, it only
        // takes room.
        let doubted = Digest::of(signed.note().text().as_bytes()).to_string();
        let _ = self.disk.remove(&self.folder.join("contradictions").join(doubted));
        Ok(Answer::cosigned(line))
    }

    /// Keeps a contradiction, named by the hash of the tree that was signed: the same one again
    /// takes no room, whatever proof a stranger sends along with a checkpoint that is public.
    fn keep(&self, body: &[u8]) -> Result<(), WitnessError> {
        let Ok(request) = AddCheckpoint::parse(body) else { return Ok(()) };
        let folder = self.folder.join("contradictions");
        let held = self.disk.list(&folder).map_err(DiskError::at("list", &folder))?;
        let name = Digest::of(request.checkpoint.note().text().as_bytes()).to_string();
        if held.len() < EVIDENCE && !held.contains(&name) {
            replace(&self.disk, &self.folder, &[(folder.join(name), body)])?;
        }
        Ok(())
    }
}

/// Logs of which a memory is shown.
const SHOWN: usize = 10_000;

/// Reads the newest checkpoints that the witness of this folder cosigned, of all logs, also while
/// it runs; believes nothing.
pub fn remembered<D: Disk>(disk: &D, folder: &Path) -> Result<Vec<SignedCheckpoint>, WitnessError> {
    let names = disk.list(folder).map_err(DiskError::at("list", folder))?;
    let logs = names.iter().filter(|name| name.parse::<Digest>().is_ok()).take(SHOWN);
    let mut found = Vec::new();
    for name in logs {
        let path = folder.join(name);
        let bytes = disk.read(&path, NOTE_BYTES as u64).map_err(DiskError::at("read", &path))?;
        let signed = bytes.map(|bytes| SignedCheckpoint::parse(&bytes)).transpose();
        found.extend(signed.map_err(|source| WitnessError::Damaged { path, source })?);
    }
    found.sort_by(|a, b| a.checkpoint().origin.cmp(&b.checkpoint().origin));
    Ok(found)
}

/// Reads which logs the memory of this folder is about; what cannot be read is no log.
fn origins<D: Disk>(disk: &D, folder: &Path) -> Result<Vec<Name>, WitnessError> {
    let names = disk.list(folder).map_err(DiskError::at("list", folder))?;
    let mut found = Vec::new();
    for name in names.iter().filter(|name| name.parse::<Digest>().is_ok()) {
        let path = folder.join(name);
        let bytes = disk.read(&path, NOTE_BYTES as u64).map_err(DiskError::at("read", &path))?;
        let signed = bytes.and_then(|bytes| SignedCheckpoint::parse(&bytes).ok());
        found.extend(signed.map(|signed| signed.checkpoint().origin.clone()));
    }
    Ok(found)
}

/// Returns where the memory of a log lies: named by hash, as origins are foreign text.
fn file_of(folder: &Path, origin: &Name) -> PathBuf {
    folder.join(Digest::of(origin.as_str().as_bytes()).to_string())
}

/// Checks that the folder is the memory of this very key, or makes it so.
fn own_memory<D: Disk>(
    disk: &D,
    folder: &Path,
    cosigner: &Cosigner,
    memory: Memory,
) -> Result<(), WitnessError> {
    let path = folder.join("key");
    let text = format!("{}\n", cosigner.verifier());
    let found = disk.read(&path, NOTE_BYTES as u64).map_err(DiskError::at("read", &path))?;
    let base = folder;
    let folder = folder.to_owned();
    match (memory, found) {
        (Memory::Begin, None) => Ok(replace(disk, base, &[(path, text.as_bytes())])?),
        (Memory::Begin, Some(_)) => Err(WitnessError::Remembers { path: folder }),
        (Memory::GoOn, None) => Err(WitnessError::Forgot { path: folder }),
        (Memory::GoOn, Some(found)) if found == text.as_bytes() => Ok(()),
        (Memory::GoOn, Some(_)) => Err(WitnessError::Foreign { path }),
    }
}

fn remember<D: Disk>(
    disk: &D,
    folder: &Path,
    origin: &Name,
    cosigner: &Cosigner,
) -> Result<Option<(Known, SignedCheckpoint)>, WitnessError> {
    let path = file_of(folder, origin);
    let bytes = disk.read(&path, NOTE_BYTES as u64).map_err(DiskError::at("read", &path))?;
    let Some(bytes) = bytes else { return Ok(None) };
    let damaged = |source| WitnessError::Damaged { path: path.clone(), source };
    let own = [cosigner.verifier().clone()];
    let signed = SignedCheckpoint::parse(&bytes).map_err(damaged)?;
    if signed.checkpoint().origin != *origin {
        return Err(WitnessError::Foreign { path });
    }
    let found = signed.note().signatures(&own).map_err(|error| damaged(error.into()))?;
    let time_s = found.first().and_then(|(_, signed)| signed.time_s);
    match time_s {
        Some(time_s) => {
            Ok(Some((Known { checkpoint: signed.checkpoint().clone(), time_s }, signed)))
        }
        None => Err(WitnessError::Foreign { path }),
    }
}

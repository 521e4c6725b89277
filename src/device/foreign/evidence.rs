//! What foreign devices said, kept beside the records: one document for each play and page, named
//! by its SHA-256.
//!
//! A document holds what the machine kept (`dialect::machine::Evidence`: times, hashes, the
//! beginning of each message) and the grade that came of it. The grade in the record is reached
//! through the machine alone; nothing here raises it.
//!
//! # Invariants
//! * Bounded: pieces of one document, documents of one device (in number and in bytes), documents
//!   on their way to the disk. What finds no room is let go, the oldest first, and said.
//! * A showing is repeated all day: of pages that went alike one is kept each quarter of an hour,
//!   as the records add them up.

use super::desk::Subject;
use crate::dialect::machine::{Action, Evidence};
use crate::domain::ids::{CueId, DeviceId, Digest};
use crate::domain::time::UtcMs;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Most pieces of one document.
const PIECES: usize = 48;
/// Documents open at a time: the play at hand, and one that gives way.
const OPEN: usize = 4;
/// Documents on their way to the disk.
const WRITING: usize = 8;
/// Most documents of one device.
const DOCUMENTS: usize = 4_096;
/// Most bytes of all documents of one device.
const BYTES: u64 = 16 << 20;
/// Old documents are looked for after so many new ones.
const PRUNE_EVERY: u32 = 64;
const QUARTER_MS: i64 = 900_000;

/// The folder of one device's evidence.
#[derive(Debug)]
pub(super) struct Keeper {
    device: DeviceId,
    folder: Arc<Mutex<Folder>>,
    room: Arc<Semaphore>,
    open: BTreeMap<u64, Document>,
    /// Pages of which a document of this quarter is kept: the quarter, how it went.
    kept: BTreeMap<CueId, (i64, u8, String)>,
    full: bool,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    written: u32,
}

/// A document, as JSON. `at_ms` and the like are instants of the wall clock.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Document {
    v: u8,
    device: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    asset: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_ms: Option<UtcMs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cue: Option<CueId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_ms: Option<UtcMs>,
    ended_ms: Option<UtcMs>,
    played_ms: i64,
    grade: u8,
    end: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Piece {
    at_ms: UtcMs,
    what: String,
    grade: u8,
    source: String,
    bytes: usize,
    sha256: Digest,
    /// The beginning of the message; what is no text is shown as `\xNN`.
    head: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    captures: BTreeMap<String, String>,
}

impl Keeper {
    /// Keeps evidence in this folder, which is made when there is some.
    pub fn new(device: DeviceId, path: PathBuf) -> Self {
        Self {
            device,
            // The first document looks for old ones too.
            folder: Arc::new(Mutex::new(Folder { path, written: PRUNE_EVERY })),
            room: Arc::new(Semaphore::new(WRITING)),
            open: BTreeMap::new(),
            kept: BTreeMap::new(),
            full: false,
        }
    }

    /// Takes what the machine tells. `at` makes an instant of the wall clock of one of the machine.
    pub fn told(&mut self, action: &Action, subject: Option<Subject>, at: impl Fn(i64) -> UtcMs) {
        match action {
            Action::Evidence(piece) => {
                let Some(token) = piece.token else { return self.note(piece, at) };
                if let Some(document) = self.document(token, subject)
                    && document.pieces.len() < PIECES
                {
                    document.pieces.push(Piece::of(piece, &at));
                }
            }
            Action::Started { token, at_ms, .. } => {
                if let Some(document) = self.document(*token, subject) {
                    document.started_ms = Some(at(*at_ms));
                }
            }
            Action::Ended { token, played_ms, by, grade } => {
                let end = format!("{by:?}").to_lowercase();
                self.close(*token, subject, *played_ms, *grade, end, at(i64::MAX));
            }
            Action::Failed { token, why, grade } => {
                self.close(*token, subject, 0, *grade, why.to_string(), at(i64::MAX));
            }
            _ => {}
        }
    }

    fn document(&mut self, token: u64, subject: Option<Subject>) -> Option<&mut Document> {
        if !self.open.contains_key(&token) {
            let mut document =
                Document { v: 1, device: self.device.to_string(), ..Document::default() };
            match subject? {
                Subject::Play { asset, due } => {
                    (document.asset, document.due_ms) = (Some(asset), Some(due));
                }
                Subject::Page { cue } => document.cue = Some(cue),
            }
            self.open.insert(token, document);
            if self.open.len() > OPEN {
                self.open.pop_first();
            }
        }
        self.open.get_mut(&token)
    }

    fn close(
        &mut self,
        token: u64,
        subject: Option<Subject>,
        played_ms: i64,
        grade: u8,
        end: String,
        now: UtcMs,
    ) {
        // What failed before a message left has no pieces, and is told all the same.
        self.document(token, subject);
        let Some(mut document) = self.open.remove(&token) else { return };
        (document.ended_ms, document.played_ms) = (Some(now), played_ms);
        (document.grade, document.end) = (grade, end);
        if let Some(cue) = document.cue {
            let how = (now.0.div_euclid(QUARTER_MS), grade, document.end.clone());
            if self.kept.get(&cue) == Some(&how) {
                return;
            }
            self.kept.insert(cue, how);
            if self.kept.len() > 256 {
                self.kept.retain(|_, (quarter, ..)| *quarter == now.0.div_euclid(QUARTER_MS));
            }
        }
        self.write(&document);
    }

    /// A word outside of any play: the device may sound on.
    fn note(&self, piece: &Evidence, at: impl Fn(i64) -> UtcMs) {
        let device = &self.device;
        let at_ms = at(piece.at_ms).0;
        tracing::warn!(device.id = %device, what = ?piece.what, source = piece.source, at_ms,
            "`{device}` did not answer when it was told to end");
    }

    fn write(&mut self, document: &Document) {
        let Ok(bytes) = serde_json::to_vec(document) else { return };
        let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else {
            if !self.full {
                tracing::warn!(device.id = %self.device, "Evidence is let go: the disk is slow");
            }
            self.full = true;
            return;
        };
        self.full = false;
        let (folder, device) = (Arc::clone(&self.folder), self.device.clone());
        tokio::task::spawn_blocking(move || {
            let mut folder = folder.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = folder.write(&bytes) {
                let path = folder.path.display().to_string();
                tracing::warn!(device.id = %device, %error, path, "Cannot keep evidence");
            }
            drop(room);
        });
    }
}

impl Folder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        std::fs::create_dir_all(&self.path)?;
        if self.written >= PRUNE_EVERY {
            self.written = 0;
            prune(&self.path, DOCUMENTS, BYTES)?;
        }
        self.written += 1;
        let name = format!("{}.json", Digest::of(bytes));
        crate::device::disk::write(&self.path.join(name), bytes)
    }
}

/// Deletes the oldest documents until the rest is within both limits.
fn prune(folder: &Path, most: usize, most_bytes: u64) -> io::Result<()> {
    let mut known = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        if meta.is_file() {
            known.push((meta.modified()?, meta.len(), entry.path()));
        }
    }
    known.sort();
    let (mut count, mut bytes) = (known.len(), known.iter().map(|(_, len, _)| len).sum::<u64>());
    for (_, len, path) in known {
        if count <= most && bytes <= most_bytes {
            break;
        }
        std::fs::remove_file(path)?;
        (count, bytes) = (count - 1, bytes.saturating_sub(len));
    }
    Ok(())
}

impl Piece {
    fn of(piece: &Evidence, at: impl Fn(i64) -> UtcMs) -> Self {
        Self {
            at_ms: at(piece.at_ms),
            what: format!("{:?}", piece.what),
            grade: piece.grade,
            source: piece.source.clone(),
            bytes: piece.length,
            sha256: piece.sha256,
            head: readable(&piece.head),
            captures: piece.captures.iter().cloned().collect(),
        }
    }
}

/// Bytes as text; what is none is written out.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.extend(chunk.valid().chars().flat_map(|c| {
            let shown = if c.is_control() { c.escape_default().to_string() } else { c.into() };
            shown.chars().collect::<Vec<_>>()
        }));
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::machine::{EndedBy, Told};

    fn documents(folder: &Path) -> Vec<serde_json::Value> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let read = |path: PathBuf| {
            let bytes = std::fs::read(&path).unwrap();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            assert_eq!(name, Digest::of(&bytes).to_string(), "named by its bytes");
            serde_json::from_slice(&bytes).unwrap()
        };
        entries.map(read).collect()
    }

    fn piece(token: u64, head: &[u8]) -> Action {
        Action::Evidence(Box::new(Evidence {
            token: Some(token),
            at_ms: 5,
            what: Told::Accepted,
            grade: 1,
            source: "http".to_owned(),
            length: head.len(),
            sha256: Digest::of(head),
            head: head.to_vec(),
            captures: vec![("/state".to_owned(), "playing".to_owned())],
        }))
    }

    #[tokio::test]
    async fn a_play_leaves_one_document_and_pages_one_each_quarter() {
        let folder = tempfile::tempdir().unwrap();
        let id = DeviceId::new("loa-thon-1").unwrap();
        let mut keeper = Keeper::new(id, folder.path().join("evidence"));
        let at = |ms: i64| UtcMs(1_000_000 + ms.min(100));
        let play = Subject::Play { asset: Digest::of(b"clip"), due: UtcMs(1) };
        for _ in 0..100 {
            keeper.told(&piece(1, b"{\"a\":1}\n\xff"), Some(play.clone()), at);
        }
        let ended = |token| Action::Ended { token, played_ms: 9, by: EndedBy::Reckoned, grade: 1 };
        keeper.told(&ended(1), Some(play), at);
        for token in 2..40 {
            let page = Subject::Page { cue: CueId([7; 16]) };
            keeper.told(&ended(token), Some(page), at);
        }
        let all = Arc::clone(&keeper.room).acquire_many_owned(8).await.unwrap();
        drop(all);
        let kept = documents(&folder.path().join("evidence"));
        assert_eq!(kept.len(), 2);
        let play = kept.iter().find(|document| document["asset"].is_string()).unwrap();
        assert_eq!(play["pieces"].as_array().unwrap().len(), PIECES);
        assert_eq!(play["pieces"][0]["head"], "{\"a\":1}\\n\\xff");
        assert_eq!((&play["grade"], &play["end"]), (&1.into(), &"reckoned".into()));
    }

    #[test]
    fn the_oldest_documents_go_first() {
        let folder = tempfile::tempdir().unwrap();
        for name in 0..10_u64 {
            let path = folder.path().join(format!("{name}.json"));
            std::fs::write(&path, [b'x'; 100]).unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(name);
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        }
        prune(folder.path(), 8, 1_000).unwrap();
        prune(folder.path(), 100, 450).unwrap();
        let mut left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["6.json", "7.json", "8.json", "9.json"]);
    }
}

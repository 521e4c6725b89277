//! One chain on disk: its files, what they hold, and how they are written and cut.

use super::LedgerError;
use super::frame::{self, Entry};
use crate::device::disk;
use crate::domain::ids::{ChainId, Digest};
use crate::wire::record as wire_record;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(super) struct Segment {
    pub path: PathBuf,
    pub entries: Vec<Entry>,
    pub bytes: usize,
}

#[derive(Debug)]
pub(super) struct Chain {
    pub id: ChainId,
    pub segments: Vec<Segment>,
    pub head: Option<Digest>,
    pub last: u64,
    pub upto: u64,
    /// Covered by a checkpoint of the evidence log.
    pub logged: u64,
}

impl Chain {
    pub fn load(
        dir: &Path,
        id: ChainId,
        upto: u64,
        newest: bool,
        gaps: &mut Vec<(u64, u64, Digest)>,
    ) -> Result<Self, LedgerError> {
        let segments = Vec::new();
        let mut chain = Self { id, segments, head: None, last: 0, upto, logged: 0 };
        for path in segments_of(dir, id)
            .map_err(|source| LedgerError::Read { path: dir.to_owned(), source })?
        {
            let bytes = std::fs::read(&path)
                .map_err(|source| LedgerError::Read { path: path.clone(), source })?;
            let scan = frame::scan(&bytes);
            if scan.good < bytes.len() {
                tracing::warn!(path = %path.display(), bytes = bytes.len() - scan.good, "Cut a torn tail");
                if newest {
                    cut(&path, scan.good)
                        .map_err(|source| LedgerError::Write { path: path.clone(), source })?;
                }
            }
            for entry in &scan.entries {
                if chain.last > 0 && entry.seq > chain.last + 1 && entry.seq > upto + 1 {
                    let text = text_of(&bytes, entry);
                    gaps.push((chain.last + 1, entry.seq - 1, prev_of(&text)));
                }
                chain.last = chain.last.max(entry.seq);
            }
            if let Some(last) = scan.entries.last() {
                chain.head = Some(wire_record::digest(&text_of(&bytes, last)));
            }
            chain.segments.push(Segment { path, entries: scan.entries, bytes: scan.good });
        }
        Ok(chain)
    }

    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.segments.iter().flat_map(|s| &s.entries)
    }

    /// Returns up to which number nobody needs the device's copy any more.
    pub fn settled(&self, log_asked: bool) -> u64 {
        if log_asked { self.logged } else { self.upto }
    }

    /// Reads a record's text; `None` when it is not held or damaged meanwhile.
    pub fn text(&self, seq: u64) -> Result<Option<String>, LedgerError> {
        let found = self.segments.iter().find_map(|segment| {
            let index = segment.entries.binary_search_by_key(&seq, |e| e.seq).ok()?;
            Some((&segment.path, segment.entries[index]))
        });
        let Some((path, entry)) = found else { return Ok(None) };
        let read = || {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(entry.offset as u64))?;
            let mut text = vec![0; entry.len];
            file.read_exact(&mut text)?;
            Ok(String::from_utf8(text).ok())
        };
        read().map_err(|source| LedgerError::Read { path: path.clone(), source })
    }
}

fn text_of(bytes: &[u8], entry: &Entry) -> String {
    String::from_utf8_lossy(&bytes[entry.offset..entry.offset + entry.len]).into_owned()
}

/// Reads `prev` of a record of our own without judging its signature.
fn prev_of(text: &str) -> Digest {
    #[derive(Deserialize)]
    struct Prev {
        prev: Option<Digest>,
    }
    let payload = text.split('.').nth(1).and_then(crate::wire::b64::decode).unwrap_or_default();
    let prev = serde_json::from_slice::<Prev>(&payload).ok().and_then(|p| p.prev);
    prev.unwrap_or(Digest([0; 32]))
}

/// Writes at the known end, so that the rest of a write that failed is written over.
pub(super) fn append(path: &Path, at: usize, bytes: &[u8]) -> io::Result<()> {
    let fresh = !path.exists();
    let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    let write = |file: &mut File| {
        file.seek(SeekFrom::Start(at as u64))?;
        file.write_all(bytes)?;
        file.sync_data()
    };
    if let Err(error) = write(&mut file) {
        // What was written of it must not look like a record later; if it stays nevertheless, the
        // next write goes over it.
        let _ = file.set_len(at as u64);
        return Err(error);
    }
    if fresh {
        disk::sync_folder(path)?;
    }
    Ok(())
}

fn cut(path: &Path, at: usize) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(at as u64)?;
    file.sync_all()
}

pub(super) fn remove(path: &Path) -> Result<(), LedgerError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(LedgerError::Write { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

pub(super) fn segments_of(dir: &Path, id: ChainId) -> io::Result<Vec<PathBuf>> {
    let start = format!("{id}-");
    let mut found = Vec::new();
    for file in std::fs::read_dir(dir)? {
        let path = file?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with(&start) && path.extension().is_some_and(|e| e == "log") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Chains whose files are there although nothing names them, in the order of their last change.
pub(super) fn chains_on_disk(dir: &Path) -> io::Result<Vec<ChainId>> {
    let mut found = BTreeMap::new();
    for file in std::fs::read_dir(dir)? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        if let Some(id) = name.get(..32).and_then(|id| id.parse::<ChainId>().ok()) {
            found.insert(id, file.metadata()?.modified()?);
        }
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by_key(|(_, changed)| *changed);
    Ok(found.into_iter().map(|(id, _)| id).collect())
}

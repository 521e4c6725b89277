//! A shard as it goes into a pack: under one of its heads, while the server goes on.
//!
//! Full tiles never change, so they are read where they lie; the partial ones at the right edge are
//! read at once, since the next round removes them. Of the heads that are there the newest that
//! enough witnesses vouched for is taken: what came after it nobody can check yet.

use super::super::super::failed;
use crate::app::scribe::LogPlace;
use crate::domain::time::UtcMs;
use crate::log::disk::RealDisk;
use crate::log::folder::Folder;
use crate::log::history;
use crate::log::leaf::Leaf;
use crate::log::shard::ShardName;
use crate::wire::tlog::{Bundle, HASH_BYTES, NOTE_BYTES, SignedCheckpoint, TILE, Tile};
use anyhow::Context as _;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Rounds of the server that may come in between.
const TRIES: u32 = 20;
/// The newest head that enough witnesses vouched for, beside the shards.
const WITNESSED: &str = "witnessed";
/// Bytes of the longest time stamp.
const TOKEN_BYTES: u64 = 65_536;

/// See the module.
pub struct Shard {
    pub origin: String,
    pub size: u64,
    /// Leaves that were logged and that the head does not cover.
    pub beyond: u64,
    /// From this leaf on nothing is left out.
    pub first: u64,
    /// Bundles before it that hold statements about keys and approvals.
    pub kept: BTreeSet<u64>,
    note: String,
    path: PathBuf,
    edge: BTreeMap<String, Vec<u8>>,
}

fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is longer than it can be"));
    }
    Ok(bytes)
}

fn named<T>(path: &Path, read: io::Result<T>) -> anyhow::Result<T> {
    read.map_err(|error| {
        let error = anyhow::Error::new(error).context(format!("reading `{}`", path.display()));
        failed(error, "look at the log first: `loa log check`")
    })
}

impl Shard {
    /// Opens a shard; `None` before its first head. An older shard than the newest is closed and
    /// taken whole.
    pub fn open(place: &LogPlace, name: ShardName, newest: bool) -> anyhow::Result<Option<Self>> {
        let told = |error: crate::log::folder::FolderError| {
            let hint = error.hint();
            failed(error, hint)
        };
        let mut tries = 0;
        loop {
            let Some(published) = place.checkpoint(name).map_err(told)? else { return Ok(None) };
            let head = covered(place, name, &published, newest);
            let origin = published.checkpoint().origin.to_string();
            let (size, all) = (head.checkpoint().size, published.checkpoint().size);
            let path = place.folder.join(name.to_string());
            match edge(&path, size, all) {
                Ok(edge) => {
                    let (note, beyond) = (head.note().to_string(), all - size);
                    let (first, kept) = (0, BTreeSet::new());
                    return Ok(Some(Self { origin, size, beyond, first, kept, note, path, edge }));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < TRIES => {
                    tries += 1;
                }
                Err(error) => return named(&path, Err(error)),
            }
        }
    }

    /// Returns the head that goes into the pack.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Returns how many bundles it has.
    pub fn bundles(&self) -> u64 {
        self.size.div_ceil(u64::from(TILE))
    }

    /// Reads a file of the tree by its path.
    pub fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        match self.edge.get(path) {
            Some(bytes) => Ok(bytes.clone()),
            None => read(&self.path.join(path), Bundle::most_bytes(TILE)),
        }
    }

    /// Reads the leaves of a bundle.
    pub fn leaves(&self, bundle: u64) -> anyhow::Result<Vec<Leaf>> {
        let rest = self.size.saturating_sub(bundle * u64::from(TILE));
        let width = u16::try_from(rest.min(u64::from(TILE))).unwrap_or(TILE);
        let tile = Tile::new(0, bundle, width).context("no log has so many leaves")?;
        let path = entries(tile);
        let file = self.path.join(&path);
        let bytes = named(&file, self.read(&path))?;
        let wrong = |error: anyhow::Error| {
            let error = error.context(format!("reading `{}`", file.display()));
            failed(error, "look at the log first: `loa log check`")
        };
        let parsed = Bundle::parse(bytes, width).map_err(|error| wrong(error.into()))?;
        parsed
            .entries()
            .map(|entry| Leaf::parse(entry.to_vec()).map_err(|error| wrong(error.into())))
            .collect()
    }

    /// Leaves out what was logged before an instant, as far as whole bundles go.
    pub fn begin_at(&mut self, at: UtcMs) -> anyhow::Result<()> {
        let (mut from, mut to) = (0, self.bundles());
        // The last bundle whose first leaf is not later; the times of leaves rise but for seconds.
        while to - from > 1 {
            let middle = u64::midpoint(from, to);
            let early = self.leaves(middle)?.first().is_some_and(|leaf| leaf.received_ms() <= at);
            if early { from = middle } else { to = middle }
        }
        self.first = from * u64::from(TILE);
        Ok(())
    }

    /// Says when its first leaf was logged.
    pub fn begun(&self) -> anyhow::Result<Option<UtcMs>> {
        if self.size == 0 {
            return Ok(None);
        }
        Ok(self.leaves(0)?.first().map(Leaf::received_ms))
    }

    /// Says whether a checkpoint of that size can be checked by what is in the pack.
    fn holds(&self, size: u64) -> bool {
        let tile = u64::from(TILE);
        size <= self.size && size / tile >= self.first / tile && size > 0
    }

    /// Returns the cosigned checkpoints of each day, as files of a pack.
    pub fn cosigned(&self) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let folder = self.path.join("cosigned");
        let mut found = Vec::new();
        for day in listed(&folder)?.into_iter().filter(|name| is_date(name)) {
            let path = folder.join(&day);
            let bytes = named(&path, read(&path, history::DAY_BYTES as u64))?;
            let kept = match history::parse(&bytes) {
                Ok(notes) => {
                    let mut text = String::new();
                    for note in notes.iter().filter(|note| self.holds(note.checkpoint().size)) {
                        // Writing to a string cannot fail.
                        let _ = writeln!(text, "{}", note.note());
                    }
                    text.into_bytes()
                }
                // Whoever checks the pack shall see it as it is.
                Err(_) => bytes,
            };
            if !kept.is_empty() {
                found.push((format!("cosigned/{day}"), kept));
            }
        }
        Ok(found)
    }

    /// Returns the time stamps with the checkpoints that they stamp, as files of a pack.
    pub fn tokens(&self) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let folder = self.path.join("tokens");
        let mut sizes = BTreeSet::new();
        for name in listed(&folder)? {
            let size = name.strip_suffix(".tsr").and_then(|size| size.parse::<u64>().ok());
            let plain = |size: &u64| format!("{size}.tsr") == name && self.holds(*size);
            sizes.extend(size.filter(plain));
        }
        let mut found = Vec::new();
        for size in sizes {
            for (end, most) in [("note", NOTE_BYTES as u64), ("tsr", TOKEN_BYTES)] {
                let name = format!("{size}.{end}");
                let path = folder.join(&name);
                found.push((format!("tokens/{name}"), named(&path, read(&path, most))?));
            }
        }
        Ok(found)
    }
}

/// Returns the head that goes into the pack: the newest that witnesses vouched for.
fn covered(
    place: &LogPlace,
    name: ShardName,
    published: &SignedCheckpoint,
    newest: bool,
) -> SignedCheckpoint {
    let folder: Folder<RealDisk> = place.shard(name);
    let all = published.checkpoint().size;
    let own = || {
        let verifier = place.verifier(name).ok()?;
        let bytes = read(&place.folder.join(WITNESSED), NOTE_BYTES as u64).ok()?;
        SignedCheckpoint::open(&bytes, verifier.name(), std::slice::from_ref(&verifier)).ok()
    };
    // The last one that was kept: of a closed shard its end.
    let kept = || {
        let day = listed(&folder.path().join("cosigned")).ok()?;
        let day = day.into_iter().rfind(|name| is_date(name))?;
        let bytes =
            read(&folder.path().join("cosigned").join(day), history::DAY_BYTES as u64).ok()?;
        history::parse(&bytes).ok()?.pop()
    };
    let lines = |head: &SignedCheckpoint| head.note().lines().len();
    let mut best = published.clone();
    for head in [own(), kept()].into_iter().flatten() {
        let size = head.checkpoint().size;
        // What is not signed by more than the log itself is no better than the published head.
        let better = lines(&head) > lines(&best)
            || (lines(&head) == lines(&best) && size > best.checkpoint().size);
        if better && size > 0 && (size == all || (newest && size < all)) {
            best = head;
        }
    }
    best
}

/// Reads the partial tiles of a tree of `size` out of one of `all` leaves.
fn edge(folder: &Path, size: u64, all: u64) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let tile = u64::from(TILE);
    for level in 0..8_u8 {
        let row = |leaves: u64| leaves >> (8 * u32::from(level));
        let (index, width) = (row(size) / tile, row(size) % tile);
        let there = (row(all) - index * tile).min(tile);
        let sized = |width: u64| u16::try_from(width).ok().and_then(|w| Tile::new(level, index, w));
        let (Some(wanted), Some(there)) = (sized(width), sized(there)) else { continue };
        let mut bytes = read(&folder.join(hashes(there)), there.bytes() as u64)?;
        let short = || io::Error::new(io::ErrorKind::InvalidData, "a tile is too short");
        if bytes.len() != there.bytes() {
            return Err(short());
        }
        bytes.truncate(usize::from(wanted.width()) * HASH_BYTES);
        found.insert(hashes(wanted), bytes);
        if level == 0 {
            let most = Bundle::most_bytes(there.width());
            let bytes = read(&folder.join(entries(there)), most)?;
            let wrong = |error| io::Error::new(io::ErrorKind::InvalidData, error);
            let bundle = Bundle::parse(bytes, there.width()).map_err(wrong)?;
            found.insert(entries(wanted), bundle.beginning(wanted.width()).bytes().to_vec());
        }
    }
    Ok(found)
}

fn hashes(tile: Tile) -> String {
    crate::wire::tlog::Resource::Hashes(tile).to_string()
}

fn entries(tile: Tile) -> String {
    crate::wire::tlog::Resource::Entries(tile).to_string()
}

/// Lists a folder's files by name, in order; none where there is no folder.
fn listed(folder: &Path) -> anyhow::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => named(folder, entries)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(named(folder, entry)?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

fn is_date(name: &str) -> bool {
    name.len() == 10 && name.parse::<chrono::NaiveDate>().is_ok()
}

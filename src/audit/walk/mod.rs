//! One walk through the archive: every file against the manifest, every tile against the tree.
//!
//! Tiles stand before what lies below them, so each is judged by a hash that was judged before;
//! only the path from the root to the current bundle is kept. What is expensive (hashing entries,
//! signatures) is not done here but handed on as a [`Job`].

mod edge;

use super::archive::{self, Entry, Next, after};
use super::checkpoints::{Heads, Pin};
use super::hash::{self, Hash, sha256};
use super::index::Index;
use super::layout::{File, TILE, Tile};
use super::manifest::Manifest;
use super::source::{ReadError, Source, read};
use super::verdict::{Fault, FaultKind};
use std::collections::VecDeque;

/// Levels that a tree can have.
const LEVELS: usize = 8;

/// What a bundle must hash to.
#[derive(Debug)]
pub enum Expected {
    /// The hash of the full bundle.
    Node(Hash),
    /// Each leaf.
    Row(Vec<Hash>),
    /// Not known: what is above it is missing, which is a fault by itself.
    Unknown,
}

/// A bundle, or the hashes of one that is left out.
#[derive(Debug)]
pub struct Bundle {
    pub log: usize,
    pub tile: Tile,
    pub name: String,
    /// `None` when only its hashes are in the pack.
    pub bytes: Option<Vec<u8>>,
    pub expected: Expected,
    /// What the manifest lists; `None` when nothing is to be compared.
    pub listed: Option<Hash>,
    pub hashes: Option<Vec<Hash>>,
    /// Checkpoints whose size lies in it, with the rows above up to there.
    pub pins: Vec<Pin>,
    pub above: Vec<Vec<Hash>>,
}

/// What the walk finds, in order.
#[derive(Debug)]
pub enum Job {
    Fault(Fault),
    Failed(ReadError),
    /// So many bytes are behind.
    Passed(u64),
    Bundle(Box<Bundle>),
}

/// Whether files are compared with the manifest and the tree, or only read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Check,
    /// The entries once more.
    Again,
    /// Only what is needed for the roots of some sizes.
    Roots,
}

type Row = (u64, Vec<Hash>);

/// See the module.
pub struct Walk<'p, S: ?Sized> {
    source: &'p S,
    index: &'p Index,
    heads: &'p [Heads],
    look: Look,
    manifest: Option<Manifest<'p, S>>,
    at: u64,
    ended: bool,
    passed: u64,
    ready: VecDeque<Job>,
    faults: Vec<Fault>,
    log: Option<usize>,
    edge: Vec<Option<Row>>,
    edge_settled: bool,
    rows: Vec<Option<Row>>,
    next_bundle: u64,
    next_pin: usize,
    held: Option<(Tile, Vec<Hash>)>,
}

impl<'p, S: Source + ?Sized> Walk<'p, S> {
    /// Begins at the first file.
    pub fn new(source: &'p S, index: &'p Index, heads: &'p [Heads], look: Look) -> Self {
        let check = look == Look::Check;
        let manifest = index.manifest.as_ref().filter(|_| check);
        let manifest = manifest.map(|entry| Manifest::new(source, entry));
        let mut ready = VecDeque::new();
        if check && manifest.is_none() {
            let why = "there is none";
            ready.push_back(Job::Fault(Fault::new(FaultKind::Manifest, "manifest.sha256", why)));
        }
        Self {
            source,
            index,
            heads,
            look,
            manifest,
            at: 0,
            ended: false,
            passed: 0,
            ready,
            faults: Vec::new(),
            log: None,
            edge: vec![None; LEVELS],
            edge_settled: false,
            rows: vec![None; LEVELS],
            next_bundle: 0,
            next_pin: 0,
            held: None,
        }
    }

    fn fault(&mut self, kind: FaultKind, place: impl Into<String>, why: impl Into<String>) {
        if self.look == Look::Check {
            self.faults.push(Fault::new(kind, place, why));
        }
    }

    fn step(&mut self) -> Result<(), ReadError> {
        let Next::Entry(entry) = archive::next(self.source, self.at)? else {
            // A break is a fault of the first look.
            self.ended = true;
            self.leave();
            if let Some(mut manifest) = self.manifest.take() {
                manifest.finish(&mut self.faults)?;
            }
            return Ok(());
        };
        self.at = after(&entry);
        if self.at - self.passed > 4 << 20 {
            self.passed = self.at;
            self.ready.push_back(Job::Passed(self.at));
        }
        // What the first look did not take is not looked at again.
        let Some(file) = File::parse(&entry.name) else { return Ok(()) };
        if entry.size > file.most_bytes() || file == File::Manifest {
            return Ok(());
        }
        let listed = match &mut self.manifest {
            Some(manifest) => manifest.listed(&entry.name, &file.rank(), &mut self.faults)?,
            None => None,
        };
        match file {
            File::Hashes(log, tile) => self.hashes(log, tile, &entry, listed),
            File::Entries(log, tile) => self.entries(log, tile, &entry, listed),
            _ if self.look != Look::Check => Ok(()),
            file => self.other(&file, &entry, listed),
        }
    }

    fn bytes(&self, entry: &Entry) -> Result<Vec<u8>, ReadError> {
        read(self.source, entry.at, usize::try_from(entry.size).unwrap_or(0))
    }

    fn other(&mut self, file: &File, entry: &Entry, listed: Option<Hash>) -> Result<(), ReadError> {
        let digest = sha256(&self.bytes(entry)?);
        self.compare(&entry.name, digest, listed);
        if let File::Timetable(name) | File::Sheet(name) | File::Notice(name) = file
            && *name != digest
        {
            self.fault(FaultKind::Document, &*entry.name, "its SHA-256 is not its name");
        }
        Ok(())
    }

    fn compare(&mut self, name: &str, digest: Hash, listed: Option<Hash>) {
        if listed.is_some_and(|listed| listed != digest) {
            self.fault(FaultKind::Manifest, name, "its SHA-256 is not the one listed");
        }
    }

    /// Begins a log, unless it is the current one; says whether it can be judged at all.
    fn enter(&mut self, log: usize) -> Option<u64> {
        if self.log != Some(log) {
            self.leave();
            self.log = Some(log);
            self.edge = vec![None; LEVELS];
            self.edge_settled = false;
            self.rows = vec![None; LEVELS];
            self.next_bundle = 0;
            self.next_pin = 0;
        }
        self.heads.get(log).and_then(|heads| heads.newest.as_ref()).map(|newest| newest.size)
    }

    fn hashes(
        &mut self,
        log: usize,
        tile: Tile,
        entry: &Entry,
        listed: Option<Hash>,
    ) -> Result<(), ReadError> {
        let bytes = self.bytes(entry)?;
        if self.look == Look::Check {
            self.compare(&entry.name, sha256(&bytes), listed);
        }
        let Some(size) = self.enter(log) else { return Ok(()) };
        let (row, rest) = bytes.as_chunks::<32>();
        if row.len() != usize::from(tile.width) || !rest.is_empty() {
            self.fault(FaultKind::Tile, &*entry.name, "it does not hold as many hashes as named");
            return Ok(());
        }
        let level = usize::from(tile.level);
        let below = 8 * u32::from(tile.level);
        let count = size.checked_shr(below).unwrap_or(0);
        if !tile.is_full() {
            let fits = tile.index == count / 256 && u64::from(tile.width) == count % 256;
            if fits && !self.edge_settled {
                self.edge[level] = Some((tile.index, row.to_vec()));
            } else {
                self.fault(FaultKind::Archive, &*entry.name, "it is not at the tree's edge");
            }
            return Ok(());
        }
        self.settle_edge(log);
        if tile.index >= count / 256 {
            self.fault(FaultKind::Archive, &*entry.name, "it lies beyond the tree");
            return Ok(());
        }
        self.flush();
        if level == 0 {
            self.held = Some((tile, row.to_vec()));
            return Ok(());
        }
        match self.parent(tile) {
            Some(parent) if parent == hash::join(row) => {
                self.rows[level] = Some((tile.index, row.to_vec()));
            }
            Some(_) => self.fault(FaultKind::Tile, &*entry.name, "it does not fit the tree"),
            None => self.fault(FaultKind::Missing, &*entry.name, "the tile above it is not here"),
        }
        Ok(())
    }

    /// Returns the hash that a full tile must have.
    fn parent(&self, tile: Tile) -> Option<Hash> {
        let row = self.row(usize::from(tile.level) + 1, tile.index / u64::from(TILE))?;
        row.get(usize::try_from(tile.index % u64::from(TILE)).ok()?).copied()
    }

    fn row(&self, level: usize, index: u64) -> Option<&[Hash]> {
        let find = |rows: &'_ [Option<Row>]| -> Option<usize> {
            rows.get(level)?.as_ref().filter(|(at, _)| *at == index).map(|_| level)
        };
        let rows = if find(&self.edge).is_some() { &self.edge } else { &self.rows };
        find(rows).and_then(|at| rows[at].as_ref()).map(|(_, row)| row.as_slice())
    }

    fn entries(
        &mut self,
        log: usize,
        tile: Tile,
        entry: &Entry,
        listed: Option<Hash>,
    ) -> Result<(), ReadError> {
        if self.look == Look::Roots && !self.is_pinned(log, tile) {
            return Ok(());
        }
        let bytes = self.bytes(entry)?;
        let Some(size) = self.enter(log) else {
            if self.look == Look::Check {
                self.compare(&entry.name, sha256(&bytes), listed);
            }
            return Ok(());
        };
        self.settle_edge(log);
        let (full, rest) = (size / 256, u16::try_from(size % 256).unwrap_or(0));
        let inside = if tile.is_full() { tile.index < full } else { tile.index == full };
        if !inside || (!tile.is_full() && tile.width != rest) {
            self.fault(FaultKind::Archive, &*entry.name, "it lies beyond the tree");
            return Ok(());
        }
        self.left_out(log, tile.index);
        self.next_bundle = tile.index + 1;
        let held = self.held.take_if(|(held, _)| held.index == tile.index);
        self.flush();
        let expected = if tile.is_full() {
            let parent = self.parent(tile);
            if parent.is_none() {
                let why = "the tile above it is not here";
                self.fault(FaultKind::Missing, &*entry.name, why);
            }
            parent.map_or(Expected::Unknown, Expected::Node)
        } else {
            let row = self.edge[0].as_ref().map(|(_, row)| row.clone());
            row.map_or(Expected::Unknown, Expected::Row)
        };
        let hashes = held.map(|(_, hashes)| hashes);
        self.give(log, tile, entry.name.clone(), Some(bytes), expected, listed, hashes);
        Ok(())
    }

    /// Hands on a held tile whose bundle is not in the pack.
    fn flush(&mut self) {
        let (Some((tile, row)), Some(log)) = (self.held.take(), self.log) else { return };
        let name = File::Hashes(log, tile).to_string();
        let expected = self.parent(tile).map_or(Expected::Unknown, Expected::Node);
        self.give(log, tile, name, None, expected, None, Some(row));
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one job")]
    fn give(
        &mut self,
        log: usize,
        tile: Tile,
        name: String,
        bytes: Option<Vec<u8>>,
        expected: Expected,
        listed: Option<Hash>,
        hashes: Option<Vec<Hash>>,
    ) {
        let pins = self.pins(log, tile);
        let mut above = Vec::new();
        if !pins.is_empty() {
            for level in 1..LEVELS {
                let count = tile.index >> (8 * (level - 1));
                let count = usize::try_from(count % 256).unwrap_or(0);
                let row = self.row(level, tile.index >> (8 * level)).unwrap_or(&[]);
                above.push(row[..count.min(row.len())].to_vec());
            }
        }
        let bundle = Bundle { log, tile, name, bytes, expected, listed, hashes, pins, above };
        self.ready.extend(self.faults.drain(..).map(Job::Fault));
        self.ready.push_back(Job::Bundle(Box::new(bundle)));
    }
}

impl<S: Source + ?Sized> Iterator for Walk<'_, S> {
    type Item = Job;

    fn next(&mut self) -> Option<Job> {
        loop {
            if let Some(job) = self.ready.pop_front() {
                return Some(job);
            }
            if !self.faults.is_empty() {
                self.ready.extend(self.faults.drain(..).map(Job::Fault));
                continue;
            }
            if self.ended {
                return None;
            }
            if let Err(error) = self.step() {
                self.ended = true;
                return Some(Job::Failed(error));
            }
        }
    }
}

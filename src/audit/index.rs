//! The first look at a pack: which files it has, in which order, and who is enrolled.
//!
//! Keeps what is small; of timetables and sheets only a place each, of the log nothing but where
//! it begins.

use super::archive::{self, Entry, Next, after};
use super::facts::grow;
use super::hash::{Hash, short};
use super::layout::{File, LOGS, Rank, TILE};
use super::leaf::{self, Content, Statement, statement};
use super::register::{Place, Register};
use super::source::{ReadError, Source, read};
use super::text::INTEGER;
use super::verdict::{Fault, FaultKind};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Small files of a pack.
const FILES: usize = 50_000;
/// Timetables and sheets of a pack.
const DOCUMENTS: usize = 1_200_000;

/// What a pack says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct About {
    pub v: u64,
    pub format: String,
    /// The window: cues that start in it are asked about.
    pub from_ms: i64,
    pub to_ms: i64,
    /// The unit asked about; all without one.
    #[serde(default)]
    pub unit: Option<String>,
    pub logs: Vec<AboutLog>,
}

/// A log as the pack describes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AboutLog {
    pub origin: String,
    /// From this leaf on nothing is left out.
    #[serde(default)]
    pub first: u64,
}

/// A timetable, sheet or notice: the beginning of its name, and where it lies.
#[derive(Clone, Copy, Debug)]
struct Document {
    name: u64,
    at: u64,
    size: u32,
    kind: Kind,
}

/// Documents that leaves name by hash, in the order of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Timetable,
    Sheet,
    Notice,
}

/// See the module.
#[derive(Debug)]
pub struct Index {
    pub about: About,
    pub files: Vec<(File, Entry)>,
    documents: Vec<Document>,
    pub register: Register,
    /// Where the tiles of each log begin.
    pub tiles: BTreeMap<usize, u64>,
    pub manifest: Option<Entry>,
    pub faults: Vec<Fault>,
}

/// What the first look finds.
pub enum Look {
    Pack(Box<Index>),
    /// Why it is none.
    None(&'static str),
}

impl Index {
    /// Looks through a pack.
    pub fn read<S: Source + ?Sized>(
        source: &S,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Look, ReadError> {
        let Next::Entry(readme) = archive::next(source, 0)? else {
            return Ok(Look::None("it does not begin as an archive of POSIX tar"));
        };
        if readme.name != "README.txt" {
            return Ok(Look::None("its first file is not `README.txt`"));
        }
        let Next::Entry(pack) = archive::next(source, after(&readme))? else {
            return Ok(Look::None("it has no `pack.json`"));
        };
        let Some(length) = usize::try_from(pack.size).ok().filter(|n| *n <= 65_536) else {
            return Ok(Look::None("its `pack.json` is too long"));
        };
        let about = match serde_json::from_slice::<About>(&read(source, pack.at, length)?) {
            Ok(about) if pack.name == "pack.json" && sound(&about) => about,
            _ => return Ok(Look::None("it has no `pack.json` of version 1")),
        };
        let mut index = Self {
            about,
            files: Vec::new(),
            documents: Vec::new(),
            register: Register::default(),
            tiles: BTreeMap::new(),
            manifest: None,
            faults: Vec::new(),
        };
        index.walk(source, progress)?;
        Ok(Look::Pack(Box::new(index)))
    }

    fn walk<S: Source + ?Sized>(
        &mut self,
        source: &S,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), ReadError> {
        let mut at = 0;
        let mut last: Option<Rank> = None;
        loop {
            let entry = match archive::next(source, at)? {
                Next::Entry(entry) => entry,
                Next::End => break,
                Next::Bad(why) => {
                    let why = format!("at byte {at}: {why}");
                    self.faults.push(Fault::new(FaultKind::Archive, "pack", why));
                    break;
                }
            };
            let here = at;
            at = after(&entry);
            let Some(file) = File::parse(&entry.name).filter(|file| self.holds(file)) else {
                self.odd(&entry, "a pack has no such file");
                continue;
            };
            let rank = file.rank();
            if last.is_some_and(|last| last >= rank) {
                self.odd(&entry, "it stands twice or in the wrong place");
                continue;
            }
            last = Some(rank);
            if entry.size > file.most_bytes() {
                self.odd(&entry, "it is longer than it can be");
                continue;
            }
            self.keep(source, file, entry, here)?;
            progress(at);
        }
        Ok(())
    }

    fn holds(&self, file: &File) -> bool {
        match file {
            File::Checkpoint(log)
            | File::Cosigned(log, _)
            | File::Stamped(log, _)
            | File::Token(log, _)
            | File::Hashes(log, _)
            | File::Entries(log, _) => *log < self.about.logs.len(),
            _ => true,
        }
    }

    fn odd(&mut self, entry: &Entry, why: &str) {
        if self.faults.len() < FILES {
            self.faults.push(Fault::new(FaultKind::Archive, entry.name.clone(), why));
        }
    }

    fn keep<S: Source + ?Sized>(
        &mut self,
        source: &S,
        file: File,
        entry: Entry,
        header: u64,
    ) -> Result<(), ReadError> {
        match &file {
            File::Timetable(name) | File::Sheet(name) | File::Notice(name) => {
                if self.documents.len() >= DOCUMENTS {
                    let why = format!("more than {DOCUMENTS} timetables, sheets and notices");
                    if !self.faults.iter().any(|fault| fault.message == why) {
                        self.faults.push(Fault::new(FaultKind::Limit, "pack", why));
                    }
                    return Ok(());
                }
                let kind = match file {
                    File::Sheet(_) => Kind::Sheet,
                    File::Notice(_) => Kind::Notice,
                    _ => Kind::Timetable,
                };
                let size = u32::try_from(entry.size).unwrap_or(u32::MAX);
                grow(&mut self.documents, 256);
                self.documents.push(Document { name: short(name), at: entry.at, size, kind });
            }
            File::Hashes(log, _) => {
                self.tiles.entry(*log).or_insert(header);
            }
            File::Entries(log, tile) => {
                self.tiles.entry(*log).or_insert(header);
                let length = usize::try_from(entry.size).unwrap_or(0);
                let bundle = read(source, entry.at, length)?;
                self.enrol(*log, tile.first_leaf(), tile.width, &bundle, &entry.name);
            }
            File::Manifest => self.manifest = Some(entry),
            _ if self.files.len() < FILES => self.files.push((file, entry)),
            _ => self.odd(&entry, "a pack has fewer files"),
        }
        Ok(())
    }

    /// Learns from the server's statements whose key is whose. Whether they stand in the tree is
    /// found out later: a bundle that does not fit it is a fault by itself.
    fn enrol(&mut self, log: usize, first: u64, width: u16, bundle: &[u8], file: &str) {
        let entries = leaf::entries(bundle, width.min(TILE)).unwrap_or_default();
        for (index, entry) in (first..).zip(entries) {
            let Ok((_, Content::Statement(content))) = leaf::parse(entry) else { continue };
            let Some(said) = statement(content) else { continue };
            let needed = matches!(
                said,
                Statement::Enrol { .. }
                    | Statement::Revoke { .. }
                    | Statement::Published { .. }
                    | Statement::Approval { .. }
                    | Statement::Urgent { .. }
            );
            if !needed {
                continue;
            }
            let logs = &self.about.logs;
            let log_of = |origin: &str| logs.iter().position(|log| log.origin == origin);
            let unit = self.about.unit.as_deref();
            let place = Place::new(log, index);
            let fault = self.register.take(&said, place, file, unit, log_of);
            self.faults.extend(fault.filter(|_| self.faults.len() < FILES));
        }
    }

    /// Returns roughly how many bytes it takes.
    pub fn bytes(&self) -> usize {
        let documents = self.documents.capacity() * size_of::<Document>();
        documents + self.files.capacity() * 160 + self.register.bytes()
    }

    /// Reads a small file.
    pub fn file<S: Source + ?Sized>(
        &self,
        source: &S,
        file: &File,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        match self.place(file) {
            Some(entry) => {
                read(source, entry.at, usize::try_from(entry.size).unwrap_or(0)).map(Some)
            }
            None => Ok(None),
        }
    }

    /// Finds a small file; they lie in the order of their ranks.
    pub fn place(&self, file: &File) -> Option<&Entry> {
        let at = self.files.binary_search_by_key(&file.rank(), |(found, _)| found.rank()).ok()?;
        self.files.get(at).map(|(_, entry)| entry)
    }

    /// Reads a timetable, sheet or notice by name.
    pub fn document<S: Source + ?Sized>(
        &self,
        source: &S,
        name: &Hash,
        kind: Kind,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        let key = (kind, short(name));
        let from = self.documents.partition_point(|known| (known.kind, known.name) < key);
        for known in &self.documents[from..] {
            if (known.kind, known.name) != key {
                break;
            }
            let bytes = read(source, known.at, known.size as usize)?;
            if super::hash::sha256(&bytes) == *name {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}

fn sound(about: &About) -> bool {
    let times = 0..=INTEGER;
    about.v == 1
        && about.format == "loa-audit-pack"
        && times.contains(&about.from_ms)
        && times.contains(&about.to_ms)
        && about.from_ms < about.to_ms
        && (1..=LOGS).contains(&about.logs.len())
}

//! The manifest: SHA-256 and name of each file before it, line by line in their order, as
//! `sha256sum -c` reads them.

use super::archive::Entry;
use super::hash::Hash;
use super::layout::{File, Rank};
use super::source::{ReadError, Source, read};
use super::text::{excerpt, hex};
use super::verdict::{Fault, FaultKind};

/// Bytes read at once.
const PIECE: u64 = 65_536;
/// Bytes of the longest line.
const LINE: usize = 256;

/// Reads the manifest beside the files it lists.
pub struct Manifest<'s, S: ?Sized> {
    source: &'s S,
    at: u64,
    end: u64,
    held: Vec<u8>,
    from: usize,
    line: Option<(Hash, String, Option<Rank>)>,
}

impl<'s, S: Source + ?Sized> Manifest<'s, S> {
    /// Begins at the first line.
    pub fn new(source: &'s S, entry: &Entry) -> Self {
        let (at, end) = (entry.at, entry.at + entry.size);
        Self { source, at, end, held: Vec::new(), from: 0, line: None }
    }

    /// Returns the hash that is listed for a file; faults of lines that were passed go to `faults`.
    pub fn listed(
        &mut self,
        name: &str,
        rank: &Rank,
        faults: &mut Vec<Fault>,
    ) -> Result<Option<Hash>, ReadError> {
        loop {
            if self.line.is_none() {
                self.line = self.next_line(faults)?;
            }
            let Some((hash, listed, place)) = &self.line else { break };
            if listed == name {
                let hash = *hash;
                self.line = None;
                return Ok(Some(hash));
            }
            if place.as_ref().is_some_and(|place| place > rank) {
                break;
            }
            let why = "it is listed and not in the pack (there)";
            faults.push(Fault::new(FaultKind::Manifest, excerpt(listed), why));
            self.line = None;
        }
        faults.push(Fault::new(FaultKind::Manifest, name, "the manifest does not list it"));
        Ok(None)
    }

    /// Ends: what is still listed is missing.
    pub fn finish(&mut self, faults: &mut Vec<Fault>) -> Result<(), ReadError> {
        loop {
            if self.line.is_none() {
                self.line = self.next_line(faults)?;
            }
            let Some((_, listed, _)) = self.line.take() else { return Ok(()) };
            let why = "it is listed and not in the pack";
            faults.push(Fault::new(FaultKind::Manifest, excerpt(&listed), why));
            if faults.len() > super::verdict::LISTED {
                return Ok(());
            }
        }
    }

    fn next_line(
        &mut self,
        faults: &mut Vec<Fault>,
    ) -> Result<Option<(Hash, String, Option<Rank>)>, ReadError> {
        loop {
            let rest = self.held.get(self.from..).unwrap_or(&[]);
            if let Some(length) = rest.iter().take(LINE).position(|b| *b == b'\n') {
                let line = &rest[..length];
                let parsed = std::str::from_utf8(line).ok().and_then(|line| {
                    let (hash, name) = line.split_once("  ")?;
                    let rank = File::parse(name).map(|file| file.rank());
                    Some((hex(hash)?, name.to_owned(), rank))
                });
                self.from += length + 1;
                if parsed.is_some() {
                    return Ok(parsed);
                }
            } else if rest.len() < LINE && self.at < self.end {
                let length = (self.end - self.at).min(PIECE);
                let more = read(self.source, self.at, usize::try_from(length).unwrap_or(0))?;
                self.held.drain(..self.from);
                self.held.extend_from_slice(&more);
                self.from = 0;
                self.at += length;
                continue;
            } else if rest.is_empty() {
                return Ok(None);
            } else {
                // Nothing of the rest can be believed to be a line.
                self.at = self.end;
                self.held.clear();
                self.from = 0;
            }
            let why = "a line is not `SHA-256`, two spaces, name";
            faults.push(Fault::new(FaultKind::Manifest, "manifest.sha256", why));
            if faults.len() > super::verdict::LISTED {
                return Ok(None);
            }
        }
    }
}

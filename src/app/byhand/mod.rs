//! Entering evidence that persons bring, and correcting it.
//!
//! No device proves it, so it never counts as played: it stands beside, with the name of who says
//! so, the hash of the file that shows it and the day it happened.
//!
//! # Invariants
//! * Nothing is edited: a correction is another entry that names the one it replaces, or a
//!   withdrawal; the log says each.
//! * The file is kept before the entry is, under its hash; an entry is refused before its file is
//!   kept.
//! * Entering the same twice changes nothing: an entry that brings no id is named by its content.

use super::assets::{Library, LibraryError};
use super::ports::{
    Corrects, EnteredEntry, EntryCorrection, PlansInForce, Store, StoreError, StoredEntry,
};
use super::trail::Actor;
use crate::domain::ids::{Digest, EntryId, PersonId, UnitId};
use crate::domain::time::UtcMs;
use crate::plan::manual::{Channel, Entry, EntryFault, FILE_BYTES, Found};
use crate::plan::{LineRef, TopicCode};
use bytes::Bytes;
use chrono::NaiveDate;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{Read, Seek as _};
use std::sync::Arc;

/// Characters of a title, a file's name, and of a reason or note.
const TITLE: usize = 200;
const REASON: usize = 1_000;
/// Most that one entry counts.
const MOST_COUNT: u32 = 100_000_000;

/// Why an entry was not kept; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum HandError {
    #[error("{}", joined(.0))]
    Faults(Vec<EntryFault>),
    #[error("no unit `{unit}` in the register")]
    Unit { unit: UnitId },
    #[error("the register has no units yet")]
    NoUnits,
    #[error("{what} of an entry of evidence has 1 to {most} characters")]
    Text { what: &'static str, most: usize },
    #[error("a count of {count}; 1 to {MOST_COUNT} can be counted")]
    Count { count: u32 },
    #[error("the file has more than {FILE_BYTES} bytes")]
    TooLarge,
    #[error("the file changed while it was read")]
    Changed,
    #[error("no entry of evidence `{entry}`")]
    NoEntry { entry: EntryId },
    #[error("entry `{entry}` was corrected before")]
    Corrected { entry: EntryId },
    #[error("entry `{entry}` is there with other content")]
    Differs { entry: EntryId },
    #[error("entry `{entry}` would take the place of itself")]
    Itself { entry: EntryId },
    #[error("`{entry}` says the same and was entered before, not in the place of `{wrong}`")]
    Known { entry: EntryId, wrong: EntryId },
    #[error(transparent)]
    Library(#[from] LibraryError),
    #[error("the process is stopping")]
    Stopping,
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn joined(faults: &[EntryFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl HandError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Faults(faults) => faults.first().map_or("", EntryFault::hint),
            Self::Unit { .. } => "`loa unit list` shows the units of the register",
            Self::NoUnits => {
                "`loa serve` fills the register from `units.csv` of the station: start it once"
            }
            Self::Text { .. } => "say it in a line; more belongs into the file",
            Self::Count { .. } => "count what was handed out or shown, not people",
            Self::TooLarge => "give a smaller photograph or scan, or a part of it",
            Self::Changed => "bring it again when nobody writes it",
            Self::NoEntry { .. } => "`loa evidence list` shows what was entered",
            Self::Corrected { .. } => "correct what took its place: `loa evidence show` names it",
            Self::Differs { .. } => {
                "nothing is edited: `loa evidence correct` enters another in its place"
            }
            Self::Itself { .. } => "say what is different, or withdraw the entry",
            Self::Known { .. } => "what is right is there already: withdraw the wrong entry",
            Self::Library(error) => error.hint(),
            Self::Stopping => "try again when the server is up",
            Self::Store(error) => error.hint(),
        }
    }
}

/// An entry as somebody enters it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// Named by its content when `None`.
    pub id: Option<EntryId>,
    pub channel: Channel,
    pub unit: UnitId,
    pub line: Option<LineRef>,
    pub topic: Option<TopicCode>,
    pub title: String,
    /// Name of the file for people; where it lies is decided by its hash alone.
    pub file: String,
    pub on: NaiveDate,
    pub by: PersonId,
    pub count: u32,
    pub note: Option<String>,
}

impl NewEntry {
    /// Returns what somebody would enter to have this entry again.
    pub fn again(entry: &Entry) -> Self {
        let entry = entry.clone();
        Self {
            id: None,
            channel: entry.channel,
            unit: entry.unit,
            line: entry.line,
            topic: entry.topic,
            title: entry.title,
            file: entry.file,
            on: entry.on,
            by: entry.by,
            count: entry.count,
            note: entry.note,
        }
    }

    /// Returns the entry over a file.
    fn over(self, Found { sha256, bytes }: Found) -> Result<Entry, HandError> {
        let name = EntryId::new("m").map_err(|_| HandError::Text { what: "the id", most: 40 })?;
        let mut entry = Entry {
            id: name,
            channel: self.channel,
            unit: self.unit,
            line: self.line,
            topic: self.topic,
            title: line("the title", &self.title, TITLE)?,
            file: file_name(&self.file)?,
            sha256,
            bytes,
            on: self.on,
            by: self.by,
            count: self.count,
            note: self.note.map(|note| line("the note", &note, REASON)).transpose()?,
        };
        if !(1..=MOST_COUNT).contains(&entry.count) {
            return Err(HandError::Count { count: entry.count });
        }
        entry.id = if let Some(id) = self.id {
            id
        } else {
            let content = Digest::of(&serde_json::to_vec(&entry).unwrap_or_default());
            let name = format!("m-{}", content.to_string().get(..20).unwrap_or_default());
            EntryId::new(name).map_err(|_| HandError::Text { what: "the id", most: 40 })?
        };
        Ok(entry)
    }
}

/// Returns a text that is one line of bounded length.
fn line(what: &'static str, text: &str, most: usize) -> Result<String, HandError> {
    use unicode_normalization::UnicodeNormalization as _;
    let text: String = text.nfc().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text = text.trim();
    if text.is_empty() || text.chars().count() > most {
        return Err(HandError::Text { what, most });
    }
    Ok(text.to_owned())
}

/// Returns the last part of a path, which is only shown and never opened.
fn file_name(path: &str) -> Result<String, HandError> {
    let name = path.rsplit(['/', '\\']).find(|part| !part.trim().is_empty());
    line("the file's name", name.filter(|name| !matches!(*name, "." | "..")).unwrap_or(""), TITLE)
}

/// A file that somebody brings: what it is, and its bytes.
pub struct Brought {
    found: Found,
    source: Box<dyn Read + Send>,
}

impl Brought {
    /// Reads a file to know what it is, and winds it back; reads no more than may be brought.
    pub fn file(mut file: File) -> std::io::Result<Self> {
        let mut hash = Sha256::new();
        file.rewind()?;
        let bytes = std::io::copy(&mut (&mut file).take(FILE_BYTES + 1), &mut hash)?;
        file.rewind()?;
        let found = Found { sha256: Digest(hash.finalize().into()), bytes };
        Ok(Self { found, source: Box::new(file) })
    }

    /// Returns what it is.
    pub fn found(&self) -> Found {
        self.found
    }
}

impl From<Bytes> for Brought {
    fn from(bytes: Bytes) -> Self {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let found = Found { sha256: Digest::of(&bytes), bytes: length };
        Self { found, source: Box::new(std::io::Cursor::new(bytes)) }
    }
}

impl From<Vec<u8>> for Brought {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

/// Somebody who enters evidence.
pub struct HandDesk<'a> {
    pub store: &'a dyn Store,
    /// Where the files lie.
    pub files: &'a Arc<dyn Library>,
    pub actor: &'a Actor,
    pub now: UtcMs,
    /// The day where the station stands.
    pub today: NaiveDate,
}

impl HandDesk<'_> {
    /// Judges an entry over its file without keeping anything.
    pub async fn judge(&self, new: NewEntry, found: Found) -> Result<Entry, HandError> {
        if found.bytes > FILE_BYTES {
            return Err(HandError::TooLarge);
        }
        let entry = new.over(found)?;
        let units = self.store.units().await?;
        if units.is_empty() {
            return Err(HandError::NoUnits);
        }
        if !units.iter().any(|unit| unit.id == entry.unit) {
            return Err(HandError::Unit { unit: entry.unit });
        }
        let plans = PlansInForce::of(self.store).await?;
        let faults = entry.check(Some(found), self.today, |line| plans.line(line));
        if faults.is_empty() { Ok(entry) } else { Err(HandError::Faults(faults)) }
    }

    /// Keeps an entry with its file; `corrects` names the one whose place it takes, and why.
    pub async fn add(
        &self,
        new: NewEntry,
        file: Brought,
        corrects: Option<(EntryId, String)>,
    ) -> Result<StoredEntry, HandError> {
        let Brought { found, mut source } = file;
        let entry = self.judge(new, found).await?;
        let corrects = match corrects {
            Some((wrong, _)) if wrong == entry.id => {
                return Err(HandError::Itself { entry: wrong });
            }
            Some((wrong, reason)) => {
                self.may_replace(&wrong, &entry.id).await?;
                Some(Corrects { entry: wrong, reason: line("the reason", &reason, REASON)? })
            }
            None => None,
        };
        let id = entry.id.clone();
        if let Some(known) = self.store.entry(&id).await? {
            if known.entry != entry {
                return Err(HandError::Differs { entry: id });
            }
            // Taken as entered before, it would leave the wrong one counting beside it.
            match corrects {
                Some(corrects) if known.corrects.as_ref() != Some(&corrects.entry) => {
                    return Err(HandError::Known { entry: id, wrong: corrects.entry });
                }
                _ => return Ok(known),
            }
        }
        let library = Arc::clone(self.files);
        let kept = tokio::task::spawn_blocking(move || library.import(&mut source, FILE_BYTES));
        let kept = kept.await.map_err(|_| HandError::Stopping)??;
        if kept.sha256 != found.sha256 {
            return Err(HandError::Changed);
        }
        let action = if corrects.is_some() { "correct-evidence" } else { "add-evidence" };
        let mut trail = self.actor.did(self.now, action, &id);
        if let Some(corrects) = &corrects {
            trail = trail.before(&corrects.entry);
        }
        let line = entry.line.as_ref().map(|line| format!(", line {line}")).unwrap_or_default();
        let (channel, sha256) = (entry.channel.word(), entry.sha256);
        let why = corrects.as_ref().map(|c| format!("; {}", c.reason)).unwrap_or_default();
        let trail = trail
            .after(format!("{channel}, {} {}{line}, SHA-256 {sha256}{why}", entry.unit, entry.on));
        let by = self.actor.who.clone();
        let entered = EnteredEntry { entry, at_ms: self.now, by, corrects };
        match self.store.put_entry(&entered, &trail).await {
            Err(StoreError::Differs { .. }) => return Err(HandError::Differs { entry: id }),
            done => done?,
        }
        self.one(&id).await
    }

    /// Refuses to replace what is not there or was replaced by something else.
    async fn may_replace(&self, wrong: &EntryId, by: &EntryId) -> Result<(), HandError> {
        match self.one(wrong).await?.corrected {
            Some(corrected) if corrected.by_entry.as_ref() != Some(by) => {
                Err(HandError::Corrected { entry: wrong.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Says that an entry was wrong; nothing takes its place.
    pub async fn withdraw(&self, id: &EntryId, reason: &str) -> Result<StoredEntry, HandError> {
        let reason = line("the reason", reason, REASON)?;
        if self.one(id).await?.corrected.is_some() {
            return Err(HandError::Corrected { entry: id.clone() });
        }
        let trail = self.actor.did(self.now, "withdraw-evidence", id).after(&reason);
        let by = self.actor.who.clone();
        let correction = EntryCorrection { at_ms: self.now, by, reason, by_entry: None };
        self.store.withdraw_entry(id, &correction, &trail).await?;
        self.one(id).await
    }

    /// Returns an entry.
    pub async fn one(&self, id: &EntryId) -> Result<StoredEntry, HandError> {
        let found = self.store.entry(id).await?;
        found.ok_or_else(|| HandError::NoEntry { entry: id.clone() })
    }
}

#[cfg(test)]
mod tests;

//! The inspector's draw: plays to check on the spot, drawn by a head that nobody knew beforehand.
//!
//! Finds the head that decides and the list of plays that is drawn from; the draw itself is
//! [`crate::draw`]. The head is the first one that enough witnesses vouched for at or after the
//! instant that was asked for; a station without witnesses draws by its newest head, and says that
//! this rests on its own word.
//!
//! # Invariants
//! * The same question is drawn once: whoever asks again gets the draw that was made. Each draw and
//!   each file of findings is a leaf of the log, so whoever tries other questions is seen.
//! * What is drawn from are the plays that the records below that head confirm: cues in force at
//!   their start that were played. What comes later changes neither list nor draw.
//! * A draw that takes longer than a request may goes on; the same question asked again gets it.
//! * A draw and findings are never changed; of several files of findings the newest counts, and all
//!   stay.
//!
//! # Why confirmed plays and not what was planned
//! What was not played is in the reports as missing already; a draw asks whether what the records
//! claim is true.

mod document;
mod error;
mod paper;
mod population;
mod question;
mod scope;
#[cfg(test)]
mod tests;

pub use document::{DOCUMENT_BYTES, Document, HeadText, Play, VouchedBy};
pub use error::DrawError;
pub use paper::pdf;
pub use question::Question;

use super::logbook;
use super::ports::{Store, StoredDraw, StoredFindings, StoredShard};
use super::trail::Actor;
use crate::domain::ids::Digest;
use crate::domain::time::{Span, UtcMs};
use crate::draw::ground::{Head, Period};
use crate::draw::{Finding, Ground, Tally, draw};
use crate::log::disk::RealDisk;
use crate::log::folder::Folder;
use crate::log::history;
use crate::wire::tlog::{NOTE_BYTES, SignedCheckpoint};
use chrono_tz::Tz;
use population::Plays;
use std::io::Read as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, oneshot};

/// Bytes of the longest file of findings.
pub const FINDINGS_BYTES: usize = 1 << 20;

/// Most files of findings of one draw: showing a draw reads them all.
pub const MOST_FINDINGS: usize = 50;

/// A draw, and whether it was made now or before.
#[derive(Clone, Debug)]
pub struct Made {
    pub stored: StoredDraw,
    pub document: Document,
    pub new: bool,
}

/// What a draw is made of and kept in.
#[derive(Clone)]
pub struct Drawing {
    store: Arc<dyn Store>,
    /// The folder of the log: a folder a shard.
    log: PathBuf,
    zone: Tz,
    witnessed: bool,
    /// One draw at a time: each reads the records of its period.
    busy: Arc<Mutex<()>>,
    /// Where a draw goes on when who asked has gone.
    aside: Option<Aside>,
}

/// Starts work that ends with the process, in order.
pub type Aside = Arc<dyn Fn(Pin<Box<dyn Future<Output = ()> + Send>>) + Send + Sync>;

/// A head with what stands under it.
struct Found {
    head: HeadText,
    /// Number of its last leaf.
    number: i64,
    shards: Vec<StoredShard>,
}

impl Drawing {
    /// Draws from a store and the log beside it; `witnessed` when the station asks for witnesses.
    pub fn new(store: Arc<dyn Store>, log: PathBuf, zone: Tz, witnessed: bool) -> Self {
        Self { store, log, zone, witnessed, busy: Arc::default(), aside: None }
    }

    /// Lets draws go on aside when they take longer than somebody waits.
    #[must_use]
    pub fn going_on(self, aside: Aside) -> Self {
        Self { aside: Some(aside), ..self }
    }

    /// Returns the zone of hours and dates.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// Draws, unless the question was asked before.
    pub async fn make(
        &self,
        question: Question,
        by: &Actor,
        now: UtcMs,
    ) -> Result<Made, DrawError> {
        let period = question.check(now)?;
        if let Some(known) = self.one(&question.id()).await? {
            return Ok(known);
        }
        let Ok(_turn) = self.busy.try_lock() else { return Err(DrawError::Busy) };
        self.draw(question, period, by, now).await
    }

    /// Draws as [`Self::make`]; what takes longer than `patience` goes on aside, and whoever asks
    /// the same again later gets it.
    pub async fn make_within(
        &self,
        question: Question,
        by: &Actor,
        now: UtcMs,
        patience: Duration,
    ) -> Result<Made, DrawError> {
        let Some(aside) = &self.aside else { return self.make(question, by, now).await };
        let period = question.check(now)?;
        if let Some(known) = self.one(&question.id()).await? {
            return Ok(known);
        }
        let Ok(turn) = self.busy.clone().try_lock_owned() else { return Err(DrawError::Busy) };
        let (this, by) = (self.clone(), by.clone());
        let (tell, told) = oneshot::channel();
        aside(Box::pin(async move {
            let id = question.id();
            let done = this.draw(question, period, &by, now).await;
            drop(turn);
            if let Err(Err(error)) = tell.send(done) {
                tracing::warn!(draw = %id, %error, "A draw that took long came to nothing");
            }
        }));
        match tokio::time::timeout(patience, told).await {
            Ok(done) => done.map_err(|_| DrawError::BrokeOff)?,
            Err(_) => Err(DrawError::Going),
        }
    }

    async fn draw(
        &self,
        question: Question,
        period: Span,
        by: &Actor,
        now: UtcMs,
    ) -> Result<Made, DrawError> {
        let id = question.id();
        let found = self.head(&question, now).await?;
        let upto = self.store.record_up_to(found.number).await?;
        let mut plays = Plays::gather(&self.store, &question, period, upto).await?;
        let HeadText { origin, size, before, root, vouched_ms, .. } = found.head.clone();
        let head = Head { origin, size, before, root, vouched_ms };
        let scope = question.unit.clone();
        let over = Period { from_ms: question.from_ms, to_ms: question.to_ms, scope };
        let ground = Ground::new(head, over, &plays.population, &question.word)?;
        let wanted = usize::try_from(question.plays).unwrap_or(usize::MAX);
        let numbers = draw(&ground.seed(), ground.plays(), wanted);
        let drawn = plays.look_up(&self.store, &numbers, &found.shards, self.zone).await?;
        let document = Document {
            v: 1,
            id: id.clone(),
            plays: ground.plays(),
            list: plays.population.digest(),
            head: found.head,
            drawn,
            question,
        };
        // What is kept makes the list again, or is not kept.
        document.walking_list()?;
        let body: Arc<[u8]> = document.to_bytes()?.into();
        let unit = document.question.unit.clone();
        let new = StoredDraw { id: id.clone(), made_ms: now, by: by.who.clone(), unit, body };
        let leaf = logbook::drawn(&new, &document)?;
        let after = format!(
            "{} of {} plays by {} at {}",
            document.drawn.len(),
            document.plays,
            document.head.origin,
            document.head.size
        );
        let entry = by.did(now, "draw-plays", &id).after(after);
        let stored = self.store.put_draw(&new, &leaf, &entry).await?;
        let (new, document) = (stored == new, Document::parse(&stored.body)?);
        Ok(Made { stored, document, new })
    }

    /// Returns a draw that was made.
    pub async fn one(&self, id: &str) -> Result<Option<Made>, DrawError> {
        let Some(stored) = self.store.draw(id).await? else { return Ok(None) };
        let document = Document::parse(&stored.body)?;
        Ok(Some(Made { stored, document, new: false }))
    }

    /// Keeps a file of findings that was read and fits; returns what all of it proves.
    pub async fn take(
        &self,
        made: &Made,
        file: &[u8],
        findings: &[Finding],
        by: &Actor,
        now: UtcMs,
    ) -> Result<Tally, DrawError> {
        if file.len() > FINDINGS_BYTES {
            return Err(DrawError::Long { got: file.len() });
        }
        let tally = made.document.walking_list()?.tally(findings).map_err(DrawError::Findings)?;
        let new = StoredFindings {
            draw: made.document.id.clone(),
            made_ms: now,
            by: by.who.clone(),
            sha256: Digest::of(file),
            file: file.into(),
        };
        let after = format!("{} findings, file {}", findings.len(), new.sha256);
        let known = self.store.findings_of(&new.draw).await?;
        let same = known.last().is_some_and(|newest| newest.sha256 == new.sha256);
        if known.len() >= MOST_FINDINGS && !same {
            return Err(DrawError::ManyFindings { most: MOST_FINDINGS });
        }
        let entry = by.did(now, "take-findings", &new.draw).after(after);
        self.store.add_findings(&new, &logbook::found(&new)?, &entry).await?;
        Ok(tally)
    }

    /// Finds the head that decides.
    async fn head(&self, question: &Question, now: UtcMs) -> Result<Found, DrawError> {
        let shards = self.store.shards().await?;
        let before = |name: &str| {
            let earlier = shards.iter().take_while(|shard| shard.name != name);
            earlier.map(StoredShard::size).sum::<u64>()
        };
        if self.witnessed {
            let none = DrawError::NoHead { after: question.after_ms };
            let kept = self.store.head_since(question.after_ms).await?.ok_or(none)?;
            let note = self.note(&kept.shard, kept.size, kept.met_ms).await?;
            let tree = note.checkpoint();
            let head = HeadText {
                origin: tree.origin.to_string(),
                size: tree.size,
                before: before(&kept.shard),
                root: tree.root.to_string(),
                vouched_ms: kept.met_ms,
                by: VouchedBy::Witnesses,
            };
            return Ok(Found { head, number: kept.number, shards });
        }
        let unlogged = DrawError::NoHead { after: question.after_ms };
        let Some(shard) = shards.last().cloned() else { return Err(unlogged) };
        let path = self.log.join(&shard.name).join("checkpoint");
        let read = tokio::task::spawn_blocking(move || {
            let mut note = Vec::new();
            std::fs::File::open(path)?.take(NOTE_BYTES as u64 + 1).read_to_end(&mut note)?;
            std::io::Result::Ok(note)
        });
        let note = read.await.map_err(|_| DrawError::BrokeOff)?.map_err(DrawError::Note)?;
        let signed = SignedCheckpoint::parse(&note).map_err(DrawError::Checkpoint)?;
        let tree = signed.checkpoint();
        let Some(number) = shard.last_of(tree.size) else { return Err(unlogged) };
        let head = HeadText {
            origin: tree.origin.to_string(),
            size: tree.size,
            before: before(&shard.name),
            root: tree.root.to_string(),
            vouched_ms: now,
            by: VouchedBy::Server,
        };
        Ok(Found { head, number, shards })
    }

    /// Finds the note of a head that was kept about then.
    async fn note(
        &self,
        shard: &str,
        size: u64,
        met: UtcMs,
    ) -> Result<SignedCheckpoint, DrawError> {
        let place = self.log.join(shard);
        let work = tokio::task::spawn_blocking(move || {
            let folder = Folder::new(RealDisk, place);
            let met_s = u64::try_from(met.numeric_date()).unwrap_or(0);
            // It may have been kept just after midnight.
            for time_s in [met_s, met_s.saturating_add(86_400), met_s.saturating_sub(86_400)] {
                let kept = history::of_day(&folder, time_s)?;
                if let Some(found) = kept.into_iter().find(|head| head.checkpoint().size == size) {
                    return Ok(Some(found));
                }
            }
            Ok::<_, history::HistoryError>(None)
        });
        let found = work.await.map_err(|_| DrawError::BrokeOff)?;
        let lost = || DrawError::Lost { shard: shard.to_owned(), size };
        found.map_err(DrawError::History)?.ok_or_else(lost)
    }
}

//! Evidence that persons bring: entries that are never edited, and what corrects them.

use super::{Page, StoreError};
use crate::app::trail;
use crate::domain::ids::{Digest, EntryId, PlanId, UnitId};
use crate::domain::time::UtcMs;
use crate::plan::LineRef;
use crate::plan::manual::{Channel, Entry};
use async_trait::async_trait;
use chrono::NaiveDate;

/// An entry of evidence with who entered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnteredEntry {
    pub entry: Entry,
    pub at_ms: UtcMs,
    /// Who entered it; whom it is from stands in the entry.
    pub by: String,
    /// The entry whose place it takes, and why.
    pub corrects: Option<Corrects>,
}

/// What an entry puts right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrects {
    pub entry: EntryId,
    pub reason: String,
}

/// Says that an entry was wrong. An entry is corrected once; what took its place may be corrected
/// in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryCorrection {
    pub at_ms: UtcMs,
    pub by: String,
    pub reason: String,
    /// What took its place; withdrawn when `None`.
    pub by_entry: Option<EntryId>,
}

/// An entry as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// In order of entering, from 1.
    pub position: i64,
    pub entry: Entry,
    pub at_ms: UtcMs,
    pub by: String,
    /// The entry whose place it took.
    pub corrects: Option<EntryId>,
    /// Why it counts no longer.
    pub corrected: Option<EntryCorrection>,
    /// Hash of what the log says of it.
    pub leaf: Digest,
}

/// Which entries to list; all must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryFilter {
    /// Of one of these units; of any when `None`.
    pub units: Option<Vec<UnitId>>,
    pub channel: Option<Channel>,
    pub plan: Option<PlanId>,
    pub line: Option<LineRef>,
    /// The day it happened, inclusive.
    pub from: Option<NaiveDate>,
    /// The day it happened, inclusive.
    pub to: Option<NaiveDate>,
    /// Only those that count.
    pub standing: bool,
}

/// The register of evidence by hand: append-only, also for the store itself.
#[async_trait]
pub trait ByHand: Send + Sync {
    /// Adds an entry, with what it corrects, and says both in the log. The same again changes
    /// nothing, the same id with other content is [`StoreError::Differs`]; [`StoreError::Stale`]
    /// when what it corrects is not there or was corrected before.
    async fn put_entry(
        &self,
        entered: &EnteredEntry,
        trail: &trail::Entry,
    ) -> Result<(), StoreError>;
    /// Withdraws an entry that nothing replaces; [`StoreError::Stale`] as above.
    async fn withdraw_entry(
        &self,
        entry: &EntryId,
        correction: &EntryCorrection,
        trail: &trail::Entry,
    ) -> Result<(), StoreError>;
    /// Returns an entry.
    async fn entry(&self, id: &EntryId) -> Result<Option<StoredEntry>, StoreError>;
    /// Lists entries.
    async fn entries(
        &self,
        filter: &EntryFilter,
        page: Page,
    ) -> Result<Vec<StoredEntry>, StoreError>;
}

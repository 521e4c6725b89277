//! What was signed and published: sheets, timetables, retained documents.

use super::{Descriptions, Fence, StoreError};
use crate::domain::ids::{CueId, DeviceId, Digest};
use crate::domain::time::UtcMs;
use async_trait::async_trait;
use std::sync::Arc;

/// A day sheet as published: its exact bytes, and what finds its cues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSheet {
    pub sha256: Digest,
    pub from_ms: UtcMs,
    pub to_ms: UtcMs,
    pub bytes: Arc<[u8]>,
    /// Its cues: kept once per sheet, not per device.
    pub cues: Arc<[CueRow]>,
}

/// What of a cue can be asked for without decoding the sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CueRow {
    pub cue: CueId,
    pub at_ms: UtcMs,
    pub end_ms: UtcMs,
    /// Key into the sheet's items.
    pub item: String,
    pub title: String,
    pub output: CueOutput,
}

/// What a cue needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CueOutput {
    /// A clip for a loudspeaker.
    Clip,
    /// Pages for a board.
    Pages,
}

/// A day of a timetable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoredDay {
    pub from_ms: UtcMs,
    pub to_ms: UtcMs,
    pub sheet: Digest,
}

/// A version of a device's timetable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTimetable {
    pub device: DeviceId,
    /// Version, above all earlier ones of the device.
    pub ver: i64,
    pub made_ms: UtcMs,
    /// End of its last day, as signed (whole seconds).
    pub exp_ms: UtcMs,
    /// SHA-256 over what it says apart from `iat`, `exp` and `ver`: equal means unchanged.
    pub content: Digest,
    /// Its days; devices with equal days share one list.
    pub days: Arc<[StoredDay]>,
    /// The exact bytes published.
    pub jws: Arc<str>,
    /// When the broker took it; `None` while it has not.
    pub published_ms: Option<UtcMs>,
}

/// A signed document that stays retained at the broker: floor, keys, presence, hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetainedDocument {
    /// Full topic.
    pub topic: String,
    pub ver: i64,
    pub made_ms: UtcMs,
    pub body: Arc<[u8]>,
}

/// Published schedules, kept for outcomes.
#[async_trait]
pub trait Plans: Send + Sync {
    /// Stores new sheets and timetable versions together, before anything is published, with what
    /// reports must know of them.
    /// Sheets already there are left as they are; a version not above the device's newest is
    /// [`StoreError::Stale`] unless it is that very version.
    async fn put_round(
        &self,
        sheets: &[StoredSheet],
        timetables: &[StoredTimetable],
        told: &Descriptions,
        fence: Option<Fence>,
    ) -> Result<(), StoreError>;
    /// Notes that the broker has taken these versions; the first time counts.
    async fn mark_published(
        &self,
        versions: &[(DeviceId, i64)],
        at: UtcMs,
    ) -> Result<(), StoreError>;

    /// Returns the newest version of each device, by device id.
    async fn newest_timetables(&self) -> Result<Vec<StoredTimetable>, StoreError>;
    /// Returns the versions of a device that can have been in force within `[from, to)`:
    /// those signed before `to`, back to and with the newest signed before `from`, oldest first.
    async fn timetables_of(
        &self,
        device: &DeviceId,
        from: UtcMs,
        to: UtcMs,
    ) -> Result<Vec<StoredTimetable>, StoreError>;
    /// Returns the exact bytes of a version as it was signed; `None` when it is not stored.
    async fn timetable_text(
        &self,
        device: &DeviceId,
        ver: i64,
    ) -> Result<Option<Arc<str>>, StoreError>;
    /// Returns those of the sheets that are stored, in the order of their hashes.
    async fn sheets(&self, ids: &[Digest]) -> Result<Vec<StoredSheet>, StoreError>;

    /// Returns the hashes of the stored sheets whose day ends after the instant.
    async fn sheets_ending_after(&self, at: UtcMs) -> Result<Vec<Digest>, StoreError>;

    /// Keeps a retained document; a lower version than the stored one is [`StoreError::Stale`].
    async fn put_retained(&self, documents: &[RetainedDocument]) -> Result<(), StoreError>;
    /// Puts documents in the place of those read at these versions, while the lease is held; one
    /// that was changed meanwhile stays. Returns how many were replaced.
    async fn replace_retained(
        &self,
        changes: &[(i64, RetainedDocument)],
        fence: Option<Fence>,
    ) -> Result<usize, StoreError>;
    /// Drops retained documents.
    async fn drop_retained(&self, topics: &[String]) -> Result<(), StoreError>;
    /// Returns all retained documents by topic.
    async fn retained(&self) -> Result<Vec<RetainedDocument>, StoreError>;
    /// Deletes versions that were replaced before `before`, and sheets that no version names;
    /// returns how many rows went.
    async fn forget_plans_before(&self, before: UtcMs) -> Result<u64, StoreError>;
}

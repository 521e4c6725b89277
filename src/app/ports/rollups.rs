//! Days of communes added up, what they name, and the files made from them.
//!
//! Pages hold numbers: of units, devices, contents and subjects, each the place of a name in the
//! list of its kind. Numbers only grow, and mean the same as long as the store lives.

use super::StoredRecord;
use super::{Listed, StoreError};
use crate::app::trail::Entry;
use crate::domain::ids::{CueId, DeviceId, Digest, ProfileId, UnitId};
use crate::domain::station::Unit;
use crate::domain::time::UtcMs;
use crate::domain::timetable::Kind;
use crate::log::leaf::Leaf;
use crate::report::question::Checkpoint;
use crate::report::rollup::{Broadcast, Days, Touch};
use async_trait::async_trait;
use chrono::NaiveDate;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a number names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NameKind {
    Unit,
    Device,
    Content,
    Subject,
}

impl NameKind {
    /// Returns the word as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Device => "device",
            Self::Content => "content",
            Self::Subject => "subject",
        }
    }
}

/// What an item of a sheet is about, named as [`NameKind::Content`] names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SheetContent {
    pub sheet: Digest,
    /// Key into the sheet's items.
    pub item: String,
    pub content: String,
    /// Its day has begun: what is known of it stays.
    pub begun: bool,
}

/// What reports must know of what is published, kept in the same step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptions {
    /// Of new sheets, and of those to come whose items are now described otherwise.
    pub contents: Vec<SheetContent>,
    /// What devices of each profile are for.
    pub outputs: BTreeMap<ProfileId, Kind>,
}

/// Where a device stood from an instant on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stood {
    pub device: DeviceId,
    pub since_ms: UtcMs,
    /// `None`: it left the register.
    pub unit: Option<UnitId>,
    pub name: String,
    pub profile: ProfileId,
}

/// A day of a commune.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PageKey {
    pub day: NaiveDate,
    pub unit: UnitId,
}

/// How far marking has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marked {
    /// Position of the last record that was looked at.
    pub records: i64,
    /// The last day of which every commune was marked.
    pub opened: Option<NaiveDate>,
}

/// Something that was done to a device's schedule or place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    pub position: i64,
    pub device: DeviceId,
    pub at_ms: UtcMs,
}

/// A page as it was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedPage {
    pub key: PageKey,
    /// Position of the newest record at that time.
    pub upto: i64,
    pub judged_ms: UtcMs,
    /// When time alone may change it; `None`: never.
    pub next_ms: Option<UtcMs>,
    /// By time and content; numbers are the store's.
    pub broadcasts: Vec<Broadcast>,
    pub touches: Vec<Touch>,
    /// Numbers of the devices that later records may speak for.
    pub open: Vec<u32>,
}

/// Broadcasts of a page as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptPage {
    pub day: NaiveDate,
    /// Number of the unit.
    pub unit: u32,
    pub broadcasts: Vec<Broadcast>,
}

/// A month of a unit: by device and subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptReach {
    /// Months from year 0.
    pub month: i32,
    /// Number of the unit.
    pub unit: u32,
    pub rows: Vec<(u32, u32, Days)>,
}

/// A file that was handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportFile {
    pub sha256: Digest,
    /// What was asked, as JSON: equal questions are equal text.
    pub question: String,
    pub name: String,
    pub bytes: u64,
    pub made_ms: UtcMs,
    pub made_by: String,
    /// What was known until then.
    pub cut_ms: UtcMs,
    pub head: Option<Checkpoint>,
}

/// A record that came in, as far as it tells of days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub position: i64,
    pub device: DeviceId,
    /// By the device's clock.
    pub at_ms: UtcMs,
    /// The whole record where it speaks of a cue.
    pub jws: Option<Arc<str>>,
}

impl Arrival {
    /// Says whether records of a kind speak of a cue.
    pub fn speaks(kind: &str) -> bool {
        matches!(kind, "start" | "play" | "show")
    }
}

/// Roll-ups and what they rest on.
#[async_trait]
pub trait RollupStore: Send + Sync {
    /// Returns the names of a kind from a number on, in order, without gaps.
    async fn names(&self, kind: NameKind, from: u32) -> Result<Vec<String>, StoreError>;
    /// Returns the number of each name; those that are new get one.
    async fn number(&self, kind: NameKind, names: &[String]) -> Result<Vec<u32>, StoreError>;
    /// Returns the numbers of the contents of these sheets, by sheet and item.
    async fn contents_of(
        &self,
        sheets: &[Digest],
    ) -> Result<BTreeMap<(Digest, String), u32>, StoreError>;
    /// Returns what devices of each profile are for, as last published.
    async fn outputs(&self) -> Result<BTreeMap<ProfileId, Kind>, StoreError>;
    /// Returns where every device stood, by device and time.
    async fn stood(&self) -> Result<Vec<Stood>, StoreError>;
    /// Returns the units that left the register, by id.
    async fn former_units(&self) -> Result<Vec<Unit>, StoreError>;

    /// Returns the numbers that a device declared lost, as records.
    async fn lost_of(&self, device: &DeviceId) -> Result<Vec<StoredRecord>, StoreError>;
    /// Returns the records of a device about these cues but those written, by its clock, from one
    /// instant on and before another.
    async fn closing(
        &self,
        device: &DeviceId,
        cues: &[CueId],
        known: (UtcMs, UtcMs),
    ) -> Result<Vec<Listed>, StoreError>;

    /// Returns what came in after a position, in order, at most so much: of each record only what
    /// tells which days it speaks of.
    async fn arrivals(&self, after: i64, limit: u32) -> Result<Vec<Arrival>, StoreError>;
    /// Returns how far marking has come.
    async fn marked(&self) -> Result<Marked, StoreError>;
    /// Returns what was done to devices since, oldest first, at most so much.
    async fn queued(&self, limit: u32) -> Result<Vec<Queued>, StoreError>;
    /// Returns the days of a device that later records may change, with their units.
    async fn open_days(&self, device: &DeviceId) -> Result<Vec<PageKey>, StoreError>;
    /// Marks pages, notes how far marking has come, and forgets what was queued up to a position.
    async fn mark(&self, pages: &[PageKey], marked: Marked, queued: i64) -> Result<(), StoreError>;
    /// Returns the marked pages, the oldest mark first, each with the number of its mark.
    async fn marks(&self) -> Result<Vec<(PageKey, i64)>, StoreError>;
    /// Returns the pages that time alone may have changed by now.
    async fn expired(&self, now: UtcMs) -> Result<Vec<PageKey>, StoreError>;
    /// Puts a page in the place of the one before, unless that one was judged with newer records,
    /// and takes the mark off unless it was marked again.
    async fn put_page(&self, page: &JudgedPage, mark: Option<i64>) -> Result<(), StoreError>;

    /// Returns the pages of days from the first to the last, of these units or of all.
    async fn pages(
        &self,
        first: NaiveDate,
        last: NaiveDate,
        units: Option<&[u32]>,
    ) -> Result<Vec<KeptPage>, StoreError>;
    /// Returns the months from the first to the last, of these units or of all.
    async fn reach(
        &self,
        first: i32,
        last: i32,
        units: Option<&[u32]>,
    ) -> Result<Vec<KeptReach>, StoreError>;

    /// Keeps that a file was handed out, with its leaf and entry of the trail; a file that is known
    /// changes nothing.
    async fn put_report(
        &self,
        file: &ReportFile,
        leaf: Option<&Leaf>,
        entry: &Entry,
    ) -> Result<(), StoreError>;
    /// Returns the last file that answered a question.
    async fn last_report(&self, question: &str) -> Result<Option<ReportFile>, StoreError>;
    /// Lists files with their positions, the newest first, below a position if one is given.
    async fn reports(
        &self,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<(i64, ReportFile)>, StoreError>;
}

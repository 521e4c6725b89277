//! Urgent notices, drills and holds: what was ordered, by whom, and the exact bytes signed.

use super::{RetainedDocument, StoreError};
use crate::app::trail::Entry;
use crate::domain::ids::{DeviceId, Digest, UnitId};
use crate::domain::time::UtcMs;
use crate::domain::timetable::sheet::AssetEntry;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Whether a notice is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// It sounds and shows.
    Urgent,
    /// A rehearsal: answered like a notice, and cannot sound on any device.
    Drill,
}

impl NoticeKind {
    /// Returns the word as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Drill => "drill",
        }
    }
}

/// What a notice says, before it is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeContent {
    /// The units concerned, each with all below it.
    pub units: Vec<UnitId>,
    pub reason: String,
    pub document: DocumentRef,
    /// For boards.
    pub text: String,
    /// For loudspeakers.
    pub asset: Option<NoticeAsset>,
    /// How often it sounds.
    pub times: u32,
    /// Pause between two times.
    pub gap_ms: i64,
    /// 0-100.
    pub volume: u8,
    /// How long it is in force once sent.
    pub lasts_ms: i64,
}

/// The document that orders a notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentRef {
    pub number: String,
    pub issuer: String,
    /// When the station got it.
    pub at_ms: UtcMs,
}

/// The clip of a notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeAsset {
    pub sha256: Digest,
    pub entry: AssetEntry,
    /// The standby template it comes from, if any.
    pub template: Option<String>,
}

/// A notice or drill, from preparation on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNotice {
    pub jti: String,
    pub kind: NoticeKind,
    pub content: NoticeContent,
    pub made_ms: UtcMs,
    pub made_by: String,
    pub sent: Option<SentNotice>,
    pub withdrawn: Option<WithdrawnNotice>,
    /// Whether it has expired and its topics were cleared.
    pub cleared: bool,
}

/// A notice as it went out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentNotice {
    pub at_ms: UtcMs,
    pub by: String,
    pub exp_ms: UtcMs,
    pub jws: Arc<str>,
    /// The devices concerned at that moment, in order.
    pub reached: Vec<DeviceId>,
}

/// How a notice was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithdrawnNotice {
    pub at_ms: UtcMs,
    pub by: String,
    pub reason: String,
    pub jws: Arc<str>,
}

/// A hold of a unit, or its release (`until_ms` 0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredHold {
    pub unit: UnitId,
    pub ver: i64,
    pub jti: String,
    pub made_ms: UtcMs,
    pub until_ms: UtcMs,
    pub reason: String,
    pub by: String,
    pub jws: Arc<str>,
}

impl StoredHold {
    /// Says whether it silences the unit at that instant.
    pub fn is_in_force(&self, now: UtcMs) -> bool {
        now < self.until_ms
    }
}

/// Notices and holds. Each step is kept together with its entry of the trail and the documents to
/// be retained at the broker: after a `kill -9` either all of it is there or nothing.
#[async_trait]
pub trait Orders: Send + Sync {
    /// Keeps a prepared notice; one with the same id stays as it is.
    async fn put_notice(&self, notice: &StoredNotice, entry: &Entry) -> Result<(), StoreError>;
    /// Notes that a prepared notice goes out; [`StoreError::Stale`] when it is unknown or went out
    /// before.
    async fn send_notice(
        &self,
        jti: &str,
        sent: &SentNotice,
        documents: &[RetainedDocument],
        entry: &Entry,
    ) -> Result<(), StoreError>;
    /// Notes that a notice is taken back; [`StoreError::Stale`] when it is unknown, never went out
    /// or was withdrawn before.
    async fn withdraw_notice(
        &self,
        jti: &str,
        withdrawn: &WithdrawnNotice,
        documents: &[RetainedDocument],
        entry: &Entry,
    ) -> Result<(), StoreError>;
    /// Notes that the broker holds a notice no more, and drops its documents.
    async fn clear_notice(&self, jti: &str, topics: &[String]) -> Result<(), StoreError>;
    /// Returns a notice.
    async fn notice(&self, jti: &str) -> Result<Option<StoredNotice>, StoreError>;
    /// Lists notices, newest first.
    async fn notices(&self, limit: u32) -> Result<Vec<StoredNotice>, StoreError>;
    /// Returns the notices that went out and have not been cleared, oldest first.
    async fn notices_at_broker(&self) -> Result<Vec<StoredNotice>, StoreError>;

    /// Keeps a hold or release; [`StoreError::Stale`] when its version is not above the unit's.
    async fn put_hold(
        &self,
        hold: &StoredHold,
        document: &RetainedDocument,
        entry: &Entry,
    ) -> Result<(), StoreError>;
    /// Returns the newest hold or release of each unit that ever had one, by unit.
    async fn holds(&self) -> Result<Vec<StoredHold>, StoreError>;
    /// Lists all holds and releases, newest first.
    async fn hold_history(&self, limit: u32) -> Result<Vec<StoredHold>, StoreError>;

    /// Returns a number that grows with every notice sent or withdrawn and every hold: how one
    /// process learns of what another one ordered.
    async fn orders_mark(&self) -> Result<i64, StoreError>;
}

//! Draws of plays for inspection, and what inspectors found: kept for ever, never changed.

use super::{KeptHead, Page, StoreError};
use crate::app::trail::Entry;
use crate::domain::ids::{Digest, UnitId};
use crate::domain::time::UtcMs;
use crate::log::leaf::Leaf;
use async_trait::async_trait;
use std::sync::Arc;

/// A draw as it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDraw {
    /// Names the question: the same question has the same id.
    pub id: String,
    pub made_ms: UtcMs,
    /// Who made it.
    pub by: String,
    /// The unit drawn from; the whole station when `None`.
    pub unit: Option<UnitId>,
    /// The draw itself, as it is handed out.
    pub body: Arc<[u8]>,
}

/// What somebody found, as it was handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFindings {
    /// Id of the draw.
    pub draw: String,
    pub made_ms: UtcMs,
    pub by: String,
    pub sha256: Digest,
    pub file: Arc<[u8]>,
}

/// What the draws are kept in.
#[async_trait]
pub trait Draws: Send + Sync {
    /// Keeps a draw with its leaf and its entry of the trail; returns the one that is kept, which
    /// is an earlier one when the question was asked before: then nothing is written.
    async fn put_draw(
        &self,
        draw: &StoredDraw,
        leaf: &Leaf,
        entry: &Entry,
    ) -> Result<StoredDraw, StoreError>;
    /// Returns a draw.
    async fn draw(&self, id: &str) -> Result<Option<StoredDraw>, StoreError>;
    /// Lists draws with their positions.
    async fn draws(&self, page: Page) -> Result<Vec<(i64, StoredDraw)>, StoreError>;
    /// Keeps findings with their leaf and entry; the same file again, right after itself, changes
    /// nothing.
    async fn add_findings(
        &self,
        findings: &StoredFindings,
        leaf: &Leaf,
        entry: &Entry,
    ) -> Result<(), StoreError>;
    /// Returns all findings of a draw, oldest first; the newest count.
    async fn findings_of(&self, draw: &str) -> Result<Vec<StoredFindings>, StoreError>;

    /// Returns the first head kept that was vouched for at or after an instant.
    async fn head_since(&self, at: UtcMs) -> Result<Option<KeptHead>, StoreError>;
    /// Returns the position of the newest record among the leaves up to a number; 0 for none.
    async fn record_up_to(&self, number: i64) -> Result<i64, StoreError>;
}

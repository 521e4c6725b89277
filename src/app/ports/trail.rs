//! The trail of what people did.

use super::{Page, StoreError};
use crate::app::trail::Entry;
use async_trait::async_trait;

/// An entry with its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailed {
    /// From 1, without gaps in what is listed.
    pub position: i64,
    pub entry: Entry,
}

/// What people did: append-only, also for the store itself.
#[async_trait]
pub trait Trail: Send + Sync {
    /// Appends an entry.
    async fn append(&self, entry: &Entry) -> Result<(), StoreError>;
    /// Lists entries.
    async fn trail(&self, page: Page) -> Result<Vec<Trailed>, StoreError>;
}

//! What is in force and what waits to be.

use super::{Fence, StoreError};
use crate::app::approval::{Proposal, Version};
use crate::app::trail::Entry;
use crate::domain::ids::Digest;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One step, done whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalStep {
    /// The number of the newest version when the step was decided (0 before the first);
    /// [`StoreError::Stale`] when another came since.
    pub over: i64,
    /// What comes into force; its number is `over` + 1.
    pub version: Option<Version>,
    /// Proposals added or changed; each with the revision it was read with (0 when new), which
    /// the store raises. [`StoreError::Stale`] when one has changed since.
    pub proposals: Vec<Proposal>,
    /// Bytes that version or proposals name.
    pub blobs: BTreeMap<Digest, Arc<[u8]>>,
    /// Whether an administrator lets the station run without approval.
    pub off: Option<bool>,
    /// What the trail tells of it.
    pub entries: Vec<Entry>,
    /// The lease under which a server looks at its folder; people decide without one.
    /// [`StoreError::Fenced`] when another server leads by now.
    pub fence: Option<Fence>,
}

/// Changes whenever something of this room does: cheap to ask for each second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApprovalMark {
    pub newest: i64,
    pub revisions: i64,
    pub off: bool,
}

/// Versions in force, proposals, the bytes of both.
#[async_trait]
pub trait Approvals: Send + Sync {
    /// Does a step, durably.
    async fn approval_step(&self, step: &ApprovalStep) -> Result<(), StoreError>;
    /// Returns what tells whether anything has changed.
    async fn approval_mark(&self) -> Result<ApprovalMark, StoreError>;
    /// Returns the version in force.
    async fn newest_version(&self) -> Result<Option<Version>, StoreError>;
    /// Returns the version of that number.
    async fn version(&self, number: i64) -> Result<Option<Version>, StoreError>;
    /// Returns the version that an approval brought; of several, after a rollback, the newest.
    async fn version_by(&self, approval: &Digest) -> Result<Option<Version>, StoreError>;
    /// Returns the newest proposals first, whatever became of them.
    async fn proposals(&self, limit: u32) -> Result<Vec<Proposal>, StoreError>;
    /// Returns all proposals that wait, the newest first; also some that once did.
    async fn pending_proposals(&self) -> Result<Vec<Proposal>, StoreError>;
    /// Returns a proposal.
    async fn proposal(&self, hash: &Digest) -> Result<Option<Proposal>, StoreError>;
    /// Returns those of the bytes that are stored.
    async fn blobs(&self, ids: &[Digest]) -> Result<BTreeMap<Digest, Arc<[u8]>>, StoreError>;
}

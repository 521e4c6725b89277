//! What administrative plans order, and what topics there are: every version as it was given.

use super::StoreError;
use crate::app::trail::Entry;
use crate::domain::ids::{Digest, PlanId};
use crate::domain::time::UtcMs;
use crate::plan::{LineRef, Plan, PlanLine, TopicList};
use async_trait::async_trait;
use std::sync::Arc;

/// How a plan was written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlanFormat {
    Toml,
    /// Its lines as a table; its head came beside.
    Csv,
}

impl PlanFormat {
    /// Returns the word as it is stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Toml => "toml",
            Self::Csv => "csv",
        }
    }
}

/// A version of a plan that counts no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithdrawnPlan {
    pub at_ms: UtcMs,
    pub by: String,
    pub reason: String,
}

/// A plan in one version, as accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPlan {
    pub plan: Plan,
    /// From 1, without gaps.
    pub version: u32,
    pub at_ms: UtcMs,
    /// Who imported it.
    pub by: String,
    pub format: PlanFormat,
    /// Of the file as it was given.
    pub sha256: Digest,
    pub withdrawn: Option<WithdrawnPlan>,
}

/// A topic list in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTopics {
    pub list: TopicList,
    pub at_ms: UtcMs,
    pub by: String,
    /// Of the file as it was given.
    pub sha256: Digest,
}

/// Plans and topic lists. Nothing here is changed or dropped.
#[async_trait]
pub trait PlanBook: Send + Sync {
    /// Keeps a version with the file as it was given. It must follow the newest one that is kept,
    /// else [`StoreError::Stale`]; the very same again changes nothing.
    async fn put_plan(
        &self,
        plan: &StoredPlan,
        source: &[u8],
        entry: &Entry,
    ) -> Result<(), StoreError>;
    /// Withdraws a version; [`StoreError::Stale`] unless it is the newest and stands.
    async fn withdraw_plan(
        &self,
        plan: &PlanId,
        version: u32,
        withdrawn: &WithdrawnPlan,
        entry: &Entry,
    ) -> Result<(), StoreError>;
    /// Returns the newest version of each plan by id, those withdrawn too.
    async fn newest_plans(&self) -> Result<Vec<StoredPlan>, StoreError>;
    /// Returns all versions of a plan, newest first.
    async fn plan_versions(&self, plan: &PlanId) -> Result<Vec<StoredPlan>, StoreError>;
    /// Returns the file of a version as it was given.
    async fn plan_source(
        &self,
        plan: &PlanId,
        version: u32,
    ) -> Result<Option<Arc<[u8]>>, StoreError>;
    /// Keeps a topic list. A version never changes: the same with other content is
    /// [`StoreError::Differs`].
    async fn put_topics(
        &self,
        topics: &StoredTopics,
        source: &[u8],
        entry: &Entry,
    ) -> Result<(), StoreError>;
    /// Returns all versions of all topic lists, by id and version.
    async fn topic_lists(&self) -> Result<Vec<StoredTopics>, StoreError>;
}

/// The plans that count: the newest version of each that is not withdrawn, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlansInForce(pub Vec<StoredPlan>);

impl PlansInForce {
    /// Reads them.
    pub async fn of(store: &(impl PlanBook + ?Sized)) -> Result<Self, StoreError> {
        let mut plans = store.newest_plans().await?;
        plans.retain(|plan| plan.withdrawn.is_none());
        Ok(Self(plans))
    }

    /// Returns the line of a reference.
    pub fn line(&self, line: &LineRef) -> Option<&PlanLine> {
        self.0.iter().find(|stored| stored.plan.id == line.plan)?.plan.line(&line.line)
    }

    /// Finds the lines that a playlist names, whatever the plan; see [`Plan::named`].
    pub fn named(&self, text: &str) -> Vec<(&StoredPlan, &PlanLine)> {
        let mut found = Vec::new();
        for stored in &self.0 {
            found.extend(stored.plan.named(text).into_iter().map(|line| (stored, line)));
        }
        found
    }
}

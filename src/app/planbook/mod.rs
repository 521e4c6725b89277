//! Taking in administrative plans and topic lists, and withdrawing them.
//!
//! What a plan orders is what was signed: contradictions in its own figures are told and refuse
//! nothing. Leaves reading to `config`, comparison with what was done to `plan`.
//!
//! # Invariants
//! * A version is never changed. The same file again changes nothing; another one follows as the
//!   next version, and only after somebody saw what it changes.
//! * A plan that is withdrawn stays readable in all its versions.

mod change;

pub use change::Changes;

use super::ports::{PlanBook, WithdrawnPlan};
use super::ports::{PlanFormat, PlansInForce, Store, StoreError, StoredPlan, StoredTopics};
use super::trail::Actor;
use crate::config::KnownPlans;
use crate::domain::ids::{Digest, PlanId, TopicListId, UnitId};
use crate::domain::time::UtcMs;
use crate::plan::{Plan, TopicList};
use chrono::NaiveDate;
use std::collections::BTreeSet;

/// Most plans that are kept beside each other.
const MOST_PLANS: usize = 500;
/// Most versions of topic lists.
const MOST_LISTS: usize = 500;
/// Characters of a reason.
const REASON: usize = 1_000;

/// Why a plan or topic list was not taken; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("no plan `{plan}`")]
    NoPlan { plan: PlanId },
    #[error("plan `{plan}` is withdrawn")]
    Withdrawn { plan: PlanId },
    #[error("plan `{plan}` is there in version {version}, and this changes it: {changes}")]
    Replaces { plan: PlanId, version: u32, changes: Box<Changes> },
    #[error("topic list `{list}` version {version} is there with other content")]
    ListDiffers { list: TopicListId, version: u32 },
    #[error("there are {most} plans or topic lists already")]
    TooMany { most: usize },
    #[error("a plan is withdrawn for a reason of 1 to {most} characters")]
    Reason { most: usize },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PlanError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoPlan { .. } => "`loa plan list` shows what was imported",
            Self::Withdrawn { .. } => "import it again to bring it back",
            Self::Replaces { .. } => {
                "look at the change, then import with `--yes`, or over the API with `replaces=N`"
            }
            Self::ListDiffers { .. } => {
                "counts name the version they were made by: give the changed list the next number"
            }
            Self::TooMany { .. } => "is this the right station? a province has a few dozen",
            Self::Reason { .. } => "say why, so that it can be read later",
            Self::Store(error) => error.hint(),
        }
    }
}

/// What taking in a plan did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was not there, or withdrawn.
    New,
    /// The very same stands already.
    Unchanged,
    /// It follows another version.
    Follows { version: u32, changes: Changes },
}

/// A plan that was taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenPlan {
    pub stored: StoredPlan,
    pub taken: Taken,
    /// Units that its lines name and the register does not know.
    pub unknown_units: Vec<UnitId>,
}

/// Returns the topic lists of which plans may speak, oldest versions first.
pub async fn lists(store: &(impl PlanBook + ?Sized)) -> Result<Vec<TopicList>, StoreError> {
    Ok(store.topic_lists().await?.into_iter().map(|stored| stored.list).collect())
}

/// Returns the plans in force and the topic lists, as playlists may name them.
pub async fn known(store: &(impl PlanBook + ?Sized)) -> Result<KnownPlans, StoreError> {
    let plans = PlansInForce::of(store).await?.0.into_iter().map(|stored| stored.plan).collect();
    Ok(KnownPlans { plans, topics: lists(store).await? })
}

/// Returns the version of each topic list that is in force on a day.
pub fn in_force(lists: Vec<StoredTopics>, on: NaiveDate) -> Vec<StoredTopics> {
    let mut found: Vec<StoredTopics> = Vec::new();
    for stored in lists.into_iter().filter(|stored| stored.list.valid_from <= on) {
        match found.iter_mut().find(|known| known.list.id == stored.list.id) {
            Some(known) if known.list.version < stored.list.version => *known = stored,
            Some(_) => {}
            None => found.push(stored),
        }
    }
    found
}

/// Somebody who keeps the plans.
pub struct PlanDesk<'a> {
    pub store: &'a dyn Store,
    pub actor: &'a Actor,
    pub now: UtcMs,
}

impl PlanDesk<'_> {
    /// Takes in a plan as it was read in a file. Where another version stands, `replaces` must
    /// name it: whoever says so has seen what changes.
    pub async fn take(
        &self,
        plan: Plan,
        format: PlanFormat,
        source: &[u8],
        replaces: Option<u32>,
    ) -> Result<TakenPlan, PlanError> {
        let (known, taken) = self.look(&plan).await?;
        let unknown_units = self.unknown_units(&plan).await?;
        let sha256 = Digest::of(source);
        match (&known, &taken) {
            (Some(known), Taken::Unchanged) => {
                return Ok(TakenPlan { stored: known.clone(), taken, unknown_units });
            }
            (_, Taken::Follows { version, changes }) if replaces != Some(*version) => {
                let changes = Box::new(changes.clone());
                return Err(PlanError::Replaces { plan: plan.id, version: *version, changes });
            }
            _ => {}
        }
        let version = known.map_or(1, |known| known.version.saturating_add(1));
        let by = self.actor.who.clone();
        let id = plan.id.clone();
        let at_ms = self.now;
        let stored = StoredPlan { plan, version, at_ms, by, format, sha256, withdrawn: None };
        let mut entry = self.actor.did(self.now, "import-plan", &id);
        let lines = stored.plan.lines.len();
        entry = match &taken {
            Taken::Follows { version: old, changes } => entry
                .before(format!("version {old}"))
                .after(format!("version {version}, SHA-256 {sha256}: {changes}")),
            _ => entry.after(format!("version {version}, SHA-256 {sha256}: {lines} lines")),
        };
        self.store.put_plan(&stored, source, &entry).await?;
        Ok(TakenPlan { stored, taken, unknown_units })
    }

    /// Says what taking in a plan would do.
    pub async fn outlook(&self, plan: &Plan) -> Result<Taken, PlanError> {
        Ok(self.look(plan).await?.1)
    }

    async fn look(&self, plan: &Plan) -> Result<(Option<StoredPlan>, Taken), PlanError> {
        let plans = self.store.newest_plans().await?;
        let count = plans.len();
        let known = plans.into_iter().find(|known| known.plan.id == plan.id);
        let taken = match &known {
            Some(known) if known.withdrawn.is_some() => Taken::New,
            Some(known) if known.plan == *plan => Taken::Unchanged,
            Some(known) => {
                let changes = Changes::between(&known.plan, plan);
                Taken::Follows { version: known.version, changes }
            }
            None if count >= MOST_PLANS => {
                return Err(PlanError::TooMany { most: MOST_PLANS });
            }
            None => Taken::New,
        };
        Ok((known, taken))
    }

    async fn unknown_units(&self, plan: &Plan) -> Result<Vec<UnitId>, StoreError> {
        let known: BTreeSet<UnitId> =
            self.store.units().await?.into_iter().map(|unit| unit.id).collect();
        let named = plan.lines.iter().flat_map(|line| &line.units);
        let named: BTreeSet<&UnitId> = named.filter(|unit| !known.contains(*unit)).collect();
        Ok(named.into_iter().cloned().collect())
    }

    /// Takes in a topic list; says whether it was not there yet.
    pub async fn take_topics(&self, list: TopicList, source: &[u8]) -> Result<bool, PlanError> {
        if !self.outlook_topics(&list).await? {
            return Ok(false);
        }
        let (id, version) = (list.id.clone(), list.version);
        let sha256 = Digest::of(source);
        let entry = self.actor.did(self.now, "import-topics", &id);
        let entry = entry.after(format!("version {version}, SHA-256 {sha256}"));
        let stored = StoredTopics { list, at_ms: self.now, by: self.actor.who.clone(), sha256 };
        self.store.put_topics(&stored, source, &entry).await?;
        Ok(true)
    }

    /// Says whether taking in a topic list would add it.
    pub async fn outlook_topics(&self, list: &TopicList) -> Result<bool, PlanError> {
        let lists = self.store.topic_lists().await?;
        let same =
            |known: &&StoredTopics| known.list.id == list.id && known.list.version == list.version;
        match lists.iter().find(same) {
            Some(known) if known.list == *list => Ok(false),
            Some(_) => Err(PlanError::ListDiffers { list: list.id.clone(), version: list.version }),
            None if lists.len() >= MOST_LISTS => Err(PlanError::TooMany { most: MOST_LISTS }),
            None => Ok(true),
        }
    }

    /// Withdraws a plan: it orders nothing any more, and stays readable.
    pub async fn withdraw(&self, plan: &PlanId, reason: &str) -> Result<StoredPlan, PlanError> {
        let reason = reason.trim();
        if reason.is_empty() || reason.chars().count() > REASON {
            return Err(PlanError::Reason { most: REASON });
        }
        let newest = self.store.newest_plans().await?;
        let known = newest.into_iter().find(|known| known.plan.id == *plan);
        let known = known.ok_or_else(|| PlanError::NoPlan { plan: plan.clone() })?;
        if known.withdrawn.is_some() {
            return Err(PlanError::Withdrawn { plan: plan.clone() });
        }
        let (by, reason) = (self.actor.who.clone(), reason.to_owned());
        let withdrawn = WithdrawnPlan { at_ms: self.now, by, reason };
        let entry = self.actor.did(self.now, "withdraw-plan", plan);
        let entry = entry.before(format!("version {}", known.version)).after(&withdrawn.reason);
        self.store.withdraw_plan(plan, known.version, &withdrawn, &entry).await?;
        Ok(StoredPlan { withdrawn: Some(withdrawn), ..known })
    }

    /// Returns the plans that count.
    pub async fn in_force(&self) -> Result<PlansInForce, StoreError> {
        PlansInForce::of(self.store).await
    }
}

#[cfg(test)]
mod tests;

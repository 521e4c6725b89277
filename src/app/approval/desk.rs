//! Where people decide about proposals.

use super::error::REASON;
use super::moved::{Same, same_on_air};
use super::{Bench, DeskError, MOST_PIECES, Manifest, Proposal, Stand, Together, Version};
use crate::app::people::{Person, Role, lineage};
use crate::app::ports::{ApprovalStep, Store, StoreError};
use crate::app::trail::Actor;
use crate::config;
use crate::domain::approval::{self, reach};
use crate::domain::ids::{Digest, UnitId};
use crate::domain::station::Unit;
use crate::domain::time::UtcMs;
use std::collections::BTreeSet;

/// The file of the units in force.
const UNITS: &str = "units.csv";

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// In force; the server publishes it within seconds.
    InForce { hash: Digest },
    /// So many more must approve.
    Lacks { hash: Digest, more: usize },
    /// Done.
    Done,
}

/// Somebody at the desk.
pub struct Desk<'a> {
    pub store: &'a dyn Store,
    pub person: &'a Person,
    pub actor: &'a Actor,
    pub now: UtcMs,
}

impl Desk<'_> {
    /// Returns what waits, the newest first.
    pub async fn pending(store: &dyn Store) -> Result<Vec<Proposal>, StoreError> {
        let mut all = store.pending_proposals().await?;
        all.retain(|one| one.stand.is_pending());
        Ok(all)
    }

    /// Names the person as the author; what was returned, taken back or stale is open again.
    pub async fn propose(&self, hash: &Digest) -> Result<Proposal, DeskError> {
        let mut one = self.find(hash).await?;
        if !one.stand.is_pending() {
            return Err(Self::not_open(&one));
        }
        self.must_for(Role::Operator, &one.units()).await?;
        let before = one.author.as_ref().map_or("nobody".to_owned(), ToString::to_string);
        one.author = Some(self.person.id.clone());
        one.stand = Stand::Open;
        one.votes.clear();
        let entry = self.actor.did(self.now, "propose", hash).before(before).after(&self.person.id);
        self.step(vec![one.clone()], entry).await?;
        Ok(one)
    }

    /// Names the person as the author of what waits in these files, as one proposal.
    pub async fn propose_files(&self, files: &BTreeSet<String>) -> Result<Proposal, DeskError> {
        if files.len() > MOST_PIECES {
            return Err(DeskError::TooMany { count: files.len(), most: MOST_PIECES });
        }
        let pending = Self::pending(self.store).await?;
        let mut parts: Vec<Proposal> = Vec::new();
        for file in files {
            let holds = |one: &&Proposal| one.names().contains(&file.as_str());
            let Some(one) = pending.iter().find(holds) else {
                return Err(DeskError::NotWaiting { file: file.clone() });
            };
            let others = one.change.files.keys().filter(|name| !files.contains(*name));
            let others: Vec<_> = others.map(|name| format!("`{name}`")).take(10).collect();
            if !others.is_empty() {
                let (file, others) = (file.clone(), others.join(", "));
                return Err(DeskError::Part { file, others, hash: one.hash });
            }
            if parts.iter().all(|known| known.hash != one.hash) {
                parts.push(one.clone());
            }
        }
        match &*parts {
            [] => Err(DeskError::Nothing),
            [one] => self.propose(&one.hash).await,
            _ => self.join(parts).await,
        }
    }

    async fn join(&self, mut parts: Vec<Proposal>) -> Result<Proposal, DeskError> {
        let mut change = parts[0].change.clone();
        for part in &parts[1..] {
            change.join(&part.change);
        }
        let newest = self.store.newest_version().await?.ok_or(DeskError::Nothing)?;
        let mut bench = Bench::default();
        let after = newest.manifest.with(&change, None);
        let lacks = [bench.lacks(&newest.manifest), bench.lacks(&after)].concat();
        bench.blobs = self.store.blobs(&lacks).await?;
        let (before, now) = (newest.manifest.clone(), self.now);
        let judged = aside(move || {
            let (old, new) = (bench.station(&before)?, bench.station(&after)?);
            let reach = reach(&old, &new);
            Some((approval::preview(&old, &new, now), reach))
        });
        let (preview, reach) = judged.await.ok_or(DeskError::Unfit)?;
        let hash = change.hash();
        let known = self.store.proposal(&hash).await?;
        let one = Proposal {
            hash,
            revision: known.map_or(0, |known| known.revision),
            made_ms: self.now,
            base: newest.number,
            author: Some(self.person.id.clone()),
            stand: Stand::Open,
            votes: Vec::new(),
            change,
            together: Together::Person,
            preview,
            reach,
            judged_ms: self.now,
        };
        self.must_for(Role::Operator, &one.units()).await?;
        let names = one.names().join(", ");
        for part in &mut parts {
            part.stand = Stand::Superseded { at_ms: self.now };
        }
        parts.push(one.clone());
        let entry = self.actor.did(self.now, "propose", hash).after(names);
        self.step(parts, entry).await?;
        Ok(one)
    }

    /// Takes a proposal back: it waits until it is proposed anew. What a person put together
    /// falls apart again.
    pub async fn take_back(&self, hash: &Digest) -> Result<Proposal, DeskError> {
        let mut one = self.find(hash).await?;
        if !one.stand.is_pending() {
            return Err(Self::not_open(&one));
        }
        self.must_for(Role::Operator, &one.units()).await?;
        if one.stand == Stand::Open && one.author.as_ref() != Some(&self.person.id) {
            let person = self.person.id.clone();
            return Err(DeskError::NotAuthor { person, hash: *hash });
        }
        one.votes.clear();
        one.stand = match one.together {
            Together::Person => Stand::Superseded { at_ms: self.now },
            _ => Stand::TakenBack { at_ms: self.now },
        };
        let entry = self.actor.did(self.now, "take-back-proposal", hash);
        self.step(vec![one.clone()], entry).await?;
        Ok(one)
    }

    /// Approves; the last approval needed brings it into force. `seen`: the version over which
    /// the person was shown what it does, the one it was last judged over unless said.
    pub async fn approve(&self, hash: &Digest, seen: Option<i64>) -> Result<Decided, DeskError> {
        let mut one = self.find(hash).await?;
        if one.stand != Stand::Open {
            return Err(Self::not_open(&one));
        }
        self.must_for(Role::Approver, &one.units()).await?;
        if one.author.as_ref() == Some(&self.person.id) {
            return Err(DeskError::Own { person: self.person.id.clone() });
        }
        if one.votes.contains(&self.person.id) {
            return Err(DeskError::Twice { person: self.person.id.clone() });
        }
        let newest = self.store.newest_version().await?.ok_or(DeskError::Nothing)?;
        let seen = seen.unwrap_or(one.base);
        if newest.number != one.base || newest.number != seen {
            // Another change came first: this one goes on if it still does what was shown.
            let bench = Bench::default();
            let seen = vec![(seen, one.change.clone())];
            let judged = same_on_air(self.store, bench, seen, &newest, self.now).await?;
            let judged = judged.into_iter().flatten().next();
            let Same { preview, reach } = judged.ok_or(DeskError::Moved { hash: *hash })?;
            (one.preview, one.reach) = (preview, reach);
            (one.base, one.judged_ms) = (newest.number, self.now);
            self.must_for(Role::Approver, &one.units()).await?;
        }
        one.votes.push(self.person.id.clone());
        let more = one.lacks();
        let entry = self.actor.did(self.now, "approve", hash);
        let mut step = ApprovalStep { over: newest.number, ..ApprovalStep::default() };
        if more == 0 {
            one.stand = Stand::Approved { at_ms: self.now };
            let manifest = newest.manifest.with(&one.change, Some(*hash));
            step.version = Some(self.version(Some(*hash), manifest));
            step.entries = vec![entry.after("in force")];
        } else {
            step.entries = vec![entry.after(format!("lacks {more}"))];
        }
        step.proposals = vec![one];
        self.store.approval_step(&step).await?;
        Ok(match more {
            0 => Decided::InForce { hash: *hash },
            more => Decided::Lacks { hash: *hash, more },
        })
    }

    /// Sends a proposal back.
    pub async fn give_back(&self, hash: &Digest, reason: &str) -> Result<Decided, DeskError> {
        let reason = reason_of(reason)?;
        let mut one = self.find(hash).await?;
        if one.stand != Stand::Open {
            return Err(Self::not_open(&one));
        }
        self.must_for(Role::Approver, &one.units()).await?;
        one.votes.clear();
        let by = self.person.id.clone();
        one.stand = Stand::Returned { at_ms: self.now, by, reason: reason.clone() };
        let entry = self.actor.did(self.now, "return-proposal", hash).after(reason);
        self.step(vec![one], entry).await?;
        Ok(Decided::Done)
    }

    pub(super) fn version(&self, approval: Option<Digest>, manifest: Manifest) -> Version {
        Version { number: 0, at_ms: self.now, approval, manifest }
    }

    async fn step(
        &self,
        proposals: Vec<Proposal>,
        entry: crate::app::trail::Entry,
    ) -> Result<(), DeskError> {
        let over = self.store.approval_mark().await?.newest;
        let entries = vec![entry];
        let step = ApprovalStep { over, proposals, entries, ..ApprovalStep::default() };
        Ok(self.store.approval_step(&step).await?)
    }

    /// Returns the units of the version in force; none when it has none or they cannot be read.
    async fn units_in_force(&self) -> Result<Vec<Unit>, StoreError> {
        let Some(newest) = self.store.newest_version().await? else { return Ok(Vec::new()) };
        let Some(file) = newest.manifest.files.get(UNITS) else { return Ok(Vec::new()) };
        let blobs = self.store.blobs(&[file.sha256]).await?;
        let units = blobs.values().map(|bytes| config::units_from_csv(UNITS, bytes, &[]));
        Ok(units.flat_map(Result::unwrap_or_default).collect())
    }

    async fn find(&self, hash: &Digest) -> Result<Proposal, DeskError> {
        self.store.proposal(hash).await?.ok_or(DeskError::Unknown { hash: *hash })
    }

    fn not_open(one: &Proposal) -> DeskError {
        DeskError::NotOpen { hash: one.hash, state: one.stand.word() }
    }

    /// The role is needed for every unit that is concerned; where none is, for the whole station.
    /// Units lie where the version in force says: a move in the register that waits for approval
    /// must not name those who approve it.
    pub(super) async fn must_for(
        &self,
        role: Role,
        concerned: &BTreeSet<UnitId>,
    ) -> Result<(), DeskError> {
        if concerned.is_empty() {
            if self.person.may(role, None) {
                return Ok(());
            }
            return Err(DeskError::NotForAll { person: self.person.id.clone(), role });
        }
        let (in_force, register) = (self.units_in_force().await?, self.store.units().await?);
        for unit in concerned {
            let mut above = lineage(unit, &in_force);
            if above.is_empty() {
                above = lineage(unit, &register); // a new one, that nobody else answers for
            }
            if !self.person.may(role, Some(&above)) {
                let (person, unit) = (self.person.id.clone(), unit.clone());
                return Err(DeskError::NotFor { person, role, unit });
            }
        }
        Ok(())
    }
}

/// Compiles off the async threads.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Option<T> + Send + 'static,
) -> Option<T> {
    // An error is a panic of the work, or the runtime's end: nothing is decided then.
    tokio::task::spawn_blocking(work).await.ok().flatten()
}

pub(super) fn reason_of(text: &str) -> Result<String, DeskError> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let fits = !text.is_empty() && text.chars().count() <= REASON;
    if fits && !text.chars().any(char::is_control) { Ok(text) } else { Err(DeskError::Reason) }
}

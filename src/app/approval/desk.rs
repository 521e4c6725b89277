//! Where people decide about proposals.

use super::{Bench, Manifest, Proposal, Stand, Version};
use crate::app::people::{Person, Role, lineage};
use crate::app::ports::{ApprovalStep, Store, StoreError};
use crate::app::trail::Actor;
use crate::config;
use crate::domain::ids::{Digest, PersonId, PlaylistId, UnitId};
use crate::domain::time::UtcMs;

/// Longest reason in characters.
const REASON: usize = 500;

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error("no proposal `{hash}`")]
    Unknown { hash: Digest },
    #[error("nothing waits for approval")]
    Nothing,
    #[error("proposal `{hash}` is {state}")]
    NotOpen { hash: Digest, state: &'static str },
    #[error("`{person}` proposed it, and somebody else must approve")]
    Own { person: PersonId },
    #[error("`{person}` has approved it already; one more person is needed")]
    Twice { person: PersonId },
    #[error("`{person}` does not have the role `{role}` for unit `{unit}`")]
    NotFor { person: PersonId, role: Role, unit: UnitId },
    #[error("`{person}` does not have the role `{role}` for the whole station")]
    NotForAll { person: PersonId, role: Role },
    #[error("what is in force has changed since proposal `{hash}` was made")]
    Moved { hash: Digest },
    #[error("nothing came into force by approval `{hash}`")]
    NoVersion { hash: Digest },
    #[error("what approval `{hash}` brought no longer fits the register")]
    Misfit { hash: Digest },
    #[error("playlist `{playlist}` is not in force")]
    NoPlaylist { playlist: PlaylistId },
    #[error("a reason has 1 to {REASON} characters")]
    Reason,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DeskError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unknown { .. } | Self::Nothing => "`loa proposals` lists what waits",
            Self::NotOpen { .. } => {
                "a returned proposal is proposed anew by `loa propose`; `loa proposals` lists all"
            }
            Self::Own { .. } => "ask another approver",
            Self::Twice { .. } => {
                "a file has no proven author: `loa propose` names one, then one approver is enough"
            }
            Self::NotFor { .. } | Self::NotForAll { .. } => {
                "an administrator gives roles: `loa user grant PERSON ROLE [--unit UNIT]`"
            }
            Self::Moved { .. } => "look again at what it would do now, then approve",
            Self::NoVersion { .. } => "`loa proposals --all` lists earlier approvals",
            Self::Misfit { .. } => "put the files back into the folder and propose them",
            Self::NoPlaylist { .. } => "`GET /api/v1/playlists` lists what is in force",
            Self::Reason => "say in a sentence why",
            Self::Store(error) => error.hint(),
        }
    }
}

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
    /// Returns the proposal that waits.
    pub async fn pending(store: &dyn Store) -> Result<Option<Proposal>, StoreError> {
        let all = store.proposals(200).await?;
        Ok(all.into_iter().find(|one| one.stand.is_pending()))
    }

    /// Names the person as the author; what was returned is open again.
    pub async fn propose(&self, hash: &Digest) -> Result<Proposal, DeskError> {
        let mut one = self.find(hash).await?;
        if !one.stand.is_pending() {
            return Err(Self::not_open(&one));
        }
        self.must_for(Role::Operator, &one).await?;
        let before = one.author.as_ref().map_or("nobody".to_owned(), ToString::to_string);
        one.author = Some(self.person.id.clone());
        one.stand = Stand::Open;
        one.votes.clear();
        let entry = self.actor.did(self.now, "propose", hash).before(before).after(&self.person.id);
        self.step(ApprovalStep {
            proposals: vec![one.clone()],
            entries: vec![entry],
            ..ApprovalStep::default()
        })
        .await?;
        Ok(one)
    }

    /// Approves; the last approval needed brings it into force.
    pub async fn approve(&self, hash: &Digest) -> Result<Decided, DeskError> {
        let mut one = self.find(hash).await?;
        if one.stand != Stand::Open {
            return Err(Self::not_open(&one));
        }
        self.must_for(Role::Approver, &one).await?;
        if one.author.as_ref() == Some(&self.person.id) {
            return Err(DeskError::Own { person: self.person.id.clone() });
        }
        if one.votes.contains(&self.person.id) {
            return Err(DeskError::Twice { person: self.person.id.clone() });
        }
        let newest = self.store.newest_version().await?;
        let number = newest.as_ref().map_or(0, |version| version.number);
        if number != one.base {
            return Err(DeskError::Moved { hash: *hash });
        }
        one.votes.push(self.person.id.clone());
        let more = one.lacks();
        let entry = self.actor.did(self.now, "approve", hash);
        let mut step = ApprovalStep { over: number, ..ApprovalStep::default() };
        if more == 0 {
            one.stand = Stand::Approved { at_ms: self.now };
            let before = newest.map(|version| version.manifest).unwrap_or_default();
            let manifest = before.with(&one.change, Some(*hash));
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
        self.must_for(Role::Approver, &one).await?;
        self.mark_returned(&mut one, &reason);
        let entry = self.actor.did(self.now, "return-proposal", hash).after(reason);
        self.step(ApprovalStep {
            proposals: vec![one],
            entries: vec![entry],
            ..ApprovalStep::default()
        })
        .await?;
        Ok(Decided::Done)
    }

    /// Goes back to what an earlier approval brought: playlists, skips, policies and calendars
    /// as they were; registers and profiles stay as they are.
    pub async fn roll_back(&self, hash: &Digest, reason: &str) -> Result<Decided, DeskError> {
        let reason = reason_of(reason)?;
        self.must_for_all(Role::Approver)?;
        let then = self.store.version_by(hash).await?;
        let then = then.ok_or(DeskError::NoVersion { hash: *hash })?;
        let newest = self.store.newest_version().await?;
        let Some(newest) = newest else { return Err(DeskError::NoVersion { hash: *hash }) };
        let stays = |name: &str| {
            matches!(name, "station.toml" | "units.csv" | "devices.csv")
                || name.starts_with("profiles/")
        };
        let mut manifest = then.manifest;
        manifest.files.retain(|name, _| !stays(name));
        let kept = newest.manifest.files.iter().filter(|(name, _)| stays(name));
        manifest.files.extend(kept.map(|(name, entry)| (name.clone(), *entry)));
        self.must_fit(&manifest, hash).await?;
        let before = newest.approval.map_or("none".to_owned(), |hash| hash.to_string());
        let entry = self.actor.did(self.now, "roll-back", hash).before(before).after(&reason);
        let version = self.version(Some(*hash), manifest);
        self.go_back(newest.number, version, entry).await
    }

    /// Takes a playlist out of force at once; its file waits for approval again.
    pub async fn withdraw(&self, list: &PlaylistId, reason: &str) -> Result<Decided, DeskError> {
        let reason = reason_of(reason)?;
        let newest = self.store.newest_version().await?;
        let mut manifest = newest.as_ref().map(|v| v.manifest.clone()).unwrap_or_default();
        let is = |name: &&String| config::playlist_id(name).as_ref() == Some(list);
        let Some(name) = manifest.files.keys().find(is).cloned() else {
            return Err(DeskError::NoPlaylist { playlist: list.clone() });
        };
        self.must_for_all(Role::Approver)?;
        manifest.files.remove(&name);
        let entry = self.actor.did(self.now, "withdraw-playlist", list).after(&reason);
        let number = newest.map_or(0, |version| version.number);
        self.go_back(number, self.version(None, manifest), entry).await
    }

    /// Puts an earlier state into force. What led away from it then stands in the folder again as
    /// a proposal that nobody has approved.
    async fn go_back(
        &self,
        over: i64,
        version: Version,
        entry: crate::app::trail::Entry,
    ) -> Result<Decided, DeskError> {
        self.store
            .approval_step(&ApprovalStep {
                over,
                version: Some(version),
                entries: vec![entry],
                ..ApprovalStep::default()
            })
            .await?;
        Ok(Decided::Done)
    }

    fn mark_returned(&self, one: &mut Proposal, reason: &str) {
        one.votes.clear();
        one.author = None;
        one.stand = Stand::Returned {
            at_ms: self.now,
            by: self.person.id.clone(),
            reason: reason.to_owned(),
        };
    }

    fn version(&self, approval: Option<Digest>, manifest: Manifest) -> Version {
        Version { number: 0, at_ms: self.now, approval, manifest }
    }

    async fn must_fit(&self, manifest: &Manifest, hash: &Digest) -> Result<(), DeskError> {
        let mut bench = Bench::default();
        bench.blobs = self.store.blobs(&bench.lacks(manifest)).await?;
        match bench.station(manifest) {
            Some(_) => Ok(()),
            None => Err(DeskError::Misfit { hash: *hash }),
        }
    }

    async fn step(&self, step: ApprovalStep) -> Result<(), DeskError> {
        let over = self.store.approval_mark().await?.newest;
        Ok(self.store.approval_step(&ApprovalStep { over, ..step }).await?)
    }

    async fn find(&self, hash: &Digest) -> Result<Proposal, DeskError> {
        self.store.proposal(hash).await?.ok_or(DeskError::Unknown { hash: *hash })
    }

    fn not_open(one: &Proposal) -> DeskError {
        DeskError::NotOpen { hash: one.hash, state: one.stand.word() }
    }

    fn must_for_all(&self, role: Role) -> Result<(), DeskError> {
        if self.person.may(role, None) {
            return Ok(());
        }
        Err(DeskError::NotForAll { person: self.person.id.clone(), role })
    }

    /// The role is needed for every unit whose devices change; for a change that is not seen on
    /// any device within the days compared, for the whole station.
    async fn must_for(&self, role: Role, one: &Proposal) -> Result<(), DeskError> {
        if one.preview.units.is_empty() {
            return self.must_for_all(role);
        }
        let units = self.store.units().await?;
        for unit in one.preview.units.keys() {
            if !self.person.may(role, Some(&lineage(unit, &units))) {
                let (person, unit) = (self.person.id.clone(), unit.clone());
                return Err(DeskError::NotFor { person, role, unit });
            }
        }
        Ok(())
    }
}

fn reason_of(text: &str) -> Result<String, DeskError> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let fits = !text.is_empty() && text.chars().count() <= REASON;
    if fits && !text.chars().any(char::is_control) { Ok(text) } else { Err(DeskError::Reason) }
}

//! Out of force in one step: a withdrawal, or back to what an earlier approval brought.
//!
//! What led away from it then stands in the folder again as a proposal that nobody has approved.

use super::desk::{aside, reason_of};
use super::{Bench, Decided, Desk, DeskError, Manifest, Naming, Version};
use crate::app::people::Role;
use crate::app::ports::ApprovalStep;
use crate::config;
use crate::domain::approval::{self, Preview, addressed_by, reach};
use crate::domain::ids::{Digest, PlaylistId, UnitId};
use crate::domain::station::Station;
use std::collections::BTreeSet;

/// How much of the station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Playlists, skips, policies and calendars; registers and profiles stay as they are.
    Station,
    /// One playlist with the clips it names.
    Playlist(PlaylistId),
    /// All playlists that address this unit or units below it, and no others.
    Unit(UnitId),
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Station => f.write_str("station"),
            Self::Playlist(id) => write!(f, "playlist {id}"),
            Self::Unit(id) => write!(f, "unit {id}"),
        }
    }
}

/// A step back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Back {
    pub scope: Scope,
    /// To what this approval brought; `None` takes playlists out of force.
    pub to: Option<Digest>,
}

/// What a step back would do.
#[derive(Clone, Debug)]
pub struct Backed {
    over: i64,
    manifest: Manifest,
    /// The files that change.
    pub files: Vec<String>,
    /// Playlists that concern the unit and others too: they stay.
    pub stay: Vec<PlaylistId>,
    pub preview: Preview,
    reach: BTreeSet<UnitId>,
}

impl Desk<'_> {
    /// Shows what a step back would do; changes nothing.
    pub async fn look_back(&self, back: &Back) -> Result<Backed, DeskError> {
        let newest = self.store.newest_version().await?;
        let newest = newest.unwrap_or_else(|| self.version(None, Manifest::default()));
        let then = match &back.to {
            Some(hash) => {
                let then = self.store.version_by(hash).await?;
                Some(then.ok_or(DeskError::NoVersion { hash: *hash })?)
            }
            None => None,
        };
        let units = self.store.units().await?;
        if let Scope::Unit(unit) = &back.scope
            && !units.iter().any(|known| known.id == *unit)
        {
            return Err(DeskError::NoUnit { unit: unit.clone() });
        }
        let mut bench = Bench::default();
        let mut lacks = bench.lacks(&newest.manifest);
        lacks.extend(then.iter().flat_map(|then| bench.lacks(&then.manifest)));
        bench.blobs = self.store.blobs(&lacks).await?;
        let misfit = DeskError::Misfit { hash: back.to.unwrap_or(Digest([0; 32])) };
        let within = move |unit: &UnitId, of: &UnitId| {
            crate::app::people::lineage(unit, &units).contains(of)
        };
        let (back, now) = (back.clone(), self.now);
        let plan = Plan { bench, newest, then, back, within };
        let made = aside(move || Some(plan.make(now))).await;
        made.unwrap_or(Err(misfit))
    }

    /// Takes the step, for units whose approver the person is.
    pub async fn go_back(&self, back: &Back, reason: &str) -> Result<Backed, DeskError> {
        let reason = reason_of(reason)?;
        let backed = self.look_back(back).await?;
        let concerned = backed.reach.iter().chain(backed.preview.units.keys()).cloned().collect();
        self.must_for(Role::Approver, &concerned).await?;
        let verb = match (&back.to, &back.scope) {
            (Some(_), _) => "roll-back",
            (None, Scope::Unit(_)) => "withdraw-unit",
            (None, Scope::Playlist(_) | Scope::Station) => "withdraw-playlist",
        };
        let to = back.to.map_or_else(String::new, |hash| format!("to {hash}: "));
        let entry = self.actor.did(self.now, verb, &back.scope);
        let entry = entry.before(backed.files.join(", ")).after(format!("{to}{reason}"));
        self.store
            .approval_step(&ApprovalStep {
                over: backed.over,
                // By no approval: part of it may be of another time than that approval.
                version: Some(self.version(None, backed.manifest.clone())),
                entries: vec![entry],
                ..ApprovalStep::default()
            })
            .await?;
        Ok(backed)
    }

    /// Goes back to what an earlier approval brought.
    pub async fn roll_back(&self, hash: &Digest, reason: &str) -> Result<Decided, DeskError> {
        let back = Back { scope: Scope::Station, to: Some(*hash) };
        self.go_back(&back, reason).await.map(|_| Decided::Done)
    }

    /// Takes a playlist out of force at once; its file waits for approval again.
    pub async fn withdraw(&self, list: &PlaylistId, reason: &str) -> Result<Decided, DeskError> {
        let back = Back { scope: Scope::Playlist(list.clone()), to: None };
        self.go_back(&back, reason).await.map(|_| Decided::Done)
    }
}

/// A step back in the making.
struct Plan<F> {
    bench: Bench,
    newest: Version,
    then: Option<Version>,
    back: Back,
    /// Says whether a unit is the other one, or lies below it.
    within: F,
}

impl<F: Fn(&UnitId, &UnitId) -> bool> Plan<F> {
    fn make(&self, now: crate::domain::time::UtcMs) -> Result<Backed, DeskError> {
        let misfit = || DeskError::Misfit { hash: self.back.to.unwrap_or(Digest([0; 32])) };
        let old = self.bench.station(&self.newest.manifest).ok_or_else(misfit)?;
        let (manifest, stay) = match &self.back.scope {
            Scope::Station if self.then.is_some() => (self.whole().ok_or_else(misfit)?, Vec::new()),
            Scope::Station => (self.without(|_| true), Vec::new()),
            Scope::Playlist(id) => {
                let here = |manifest: &Manifest| files_of(manifest, id).next().is_some();
                if !here(&self.newest.manifest)
                    && !self.then.as_ref().is_some_and(|then| here(&then.manifest))
                {
                    return Err(DeskError::NoPlaylist { playlist: id.clone() });
                }
                (self.lists(&BTreeSet::from([id.clone()])).ok_or_else(misfit)?, Vec::new())
            }
            Scope::Unit(unit) => {
                let (inside, stay) = self.of_unit(&old, unit).ok_or_else(misfit)?;
                (self.lists(&inside).ok_or_else(misfit)?, stay)
            }
        };
        if manifest.files == self.newest.manifest.files
            && manifest.clips == self.newest.manifest.clips
        {
            return Err(DeskError::Same);
        }
        let new = self.bench.station(&manifest).ok_or_else(misfit)?;
        let naming = Naming::of_stations([(&new, &manifest), (&old, &self.newest.manifest)]);
        let change = self.newest.manifest.change_to(&manifest, &naming);
        let files = change.files.keys().chain(&change.other).cloned().collect();
        let reach = reach(&old, &new);
        let preview = approval::preview(&old, &new, now);
        Ok(Backed { over: self.newest.number, manifest, files, stay, preview, reach })
    }

    /// The whole station as it was then, with the registers and standby clips of now. `None` when
    /// it does not fit them, or would exchange a clip that stands by for notices.
    fn whole(&self) -> Option<Manifest> {
        let stays = |name: &str| {
            matches!(name, "station.toml" | "units.csv" | "devices.csv")
                || name.starts_with("profiles/")
        };
        let mut manifest = self.then.as_ref().map(|v| v.manifest.clone()).unwrap_or_default();
        manifest.files.retain(|name, _| !stays(name));
        let kept = self.newest.manifest.files.iter().filter(|(name, _)| stays(name));
        manifest.files.extend(kept.map(|(name, entry)| (name.clone(), *entry)));
        let then = std::mem::replace(&mut manifest.clips, self.newest.manifest.clips.clone());
        let mut both = manifest.clone();
        both.clips.extend(then.clone());
        let naming = Naming::of_stations([(&self.bench.station(&both)?, &both); 2]);
        for (name, clip) in then {
            let files = naming.of(&name);
            let stands_by = files.contains("station.toml");
            let differs = manifest.clips.get(&name).is_some_and(|now| now.sha256 != clip.sha256);
            if stands_by && differs && files.len() > 1 {
                return None;
            }
            if !stands_by && !files.is_empty() {
                manifest.clips.insert(name, clip);
            }
        }
        Some(manifest)
    }

    fn without(&self, goes: impl Fn(&PlaylistId) -> bool) -> Manifest {
        let mut manifest = self.newest.manifest.clone();
        manifest.files.retain(|name, _| !config::playlist_id(name).is_some_and(|id| goes(&id)));
        manifest
    }

    /// These playlists as they were then, or without them; all else as it is.
    fn lists(&self, ids: &BTreeSet<PlaylistId>) -> Option<Manifest> {
        let mut manifest = self.without(|id| ids.contains(id));
        let Some(then) = &self.then else { return Some(manifest) };
        for id in ids {
            let files = files_of(&then.manifest, id);
            manifest.files.extend(files.map(|name| (name.clone(), then.manifest.files[name])));
        }
        // Their clips too, but only those that they name.
        let mut both = manifest.clone();
        both.clips.extend(then.manifest.clips.clone());
        let station = self.bench.station(&both)?;
        let naming = Naming::of_stations([(&station, &both), (&station, &both)]);
        for (name, clip) in &then.manifest.clips {
            let mut lists = naming.of(name).iter().filter_map(|file| config::playlist_id(file));
            if lists.any(|id| ids.contains(&id)) {
                manifest.clips.insert(name.clone(), clip.clone());
            }
        }
        Some(manifest)
    }

    /// The playlists that address the unit alone, and those that address others too.
    fn of_unit(
        &self,
        old: &Station,
        unit: &UnitId,
    ) -> Option<(BTreeSet<PlaylistId>, Vec<PlaylistId>)> {
        let then = match &self.then {
            Some(then) => Some(self.bench.station(&then.manifest)?),
            None => None,
        };
        let (mut inside, mut stay) = (BTreeSet::new(), BTreeSet::new());
        for station in [Some(old), then.as_ref()].into_iter().flatten() {
            for list in station.playlists.values() {
                let addressed = addressed_by(station, list);
                let here = |one: &UnitId| (self.within)(one, unit);
                if !addressed.is_empty() && addressed.iter().all(here) {
                    inside.insert(list.id.clone());
                } else if addressed.iter().any(|one| here(one) || (self.within)(unit, one)) {
                    stay.insert(list.id.clone());
                }
            }
        }
        inside.retain(|id| !stay.contains(id));
        Some((inside, stay.into_iter().collect()))
    }
}

fn files_of<'a>(manifest: &'a Manifest, id: &'a PlaylistId) -> impl Iterator<Item = &'a String> {
    manifest.files.keys().filter(move |name| config::playlist_id(name).as_ref() == Some(id))
}

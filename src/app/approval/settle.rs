//! What of a change comes into force at once, and what waits.

use super::{ChangeSet, Manifest};
use crate::config::{self, ClipSource};
use crate::domain::approval::{self, Preview};
use crate::domain::ids::Digest;
use crate::domain::station::{AssetFacts, Station};
use crate::domain::time::UtcMs;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Files of a change that are looked at one by one; of more than these nothing comes into force
/// by itself.
const ONE_BY_ONE: usize = 32;

/// Turns manifests into stations, given the bytes of their files.
#[derive(Clone, Debug, Default)]
pub struct Bench {
    pub blobs: BTreeMap<Digest, Arc<[u8]>>,
}

/// Clips as a manifest froze them.
struct Frozen<'a>(&'a Manifest);

impl ClipSource for Frozen<'_> {
    fn facts(&mut self, path: &Path) -> Result<AssetFacts, String> {
        let known = path.to_str().and_then(|name| self.0.clips.get(name));
        known.map(AssetFacts::from).ok_or_else(|| "not there when it was approved".to_owned())
    }
}

impl Bench {
    /// Returns the hashes of a manifest whose bytes are not here yet.
    pub fn lacks(&self, manifest: &Manifest) -> Vec<Digest> {
        let hashes = manifest.files.values().map(|entry| entry.sha256);
        hashes.filter(|hash| !self.blobs.contains_key(hash)).collect()
    }

    /// Returns the station that the manifest means; `None` when its files do not fit together or
    /// bytes are missing.
    pub fn station(&self, manifest: &Manifest) -> Option<Station> {
        let files = manifest.files.iter();
        let files: Option<BTreeMap<_, _>> = files
            .map(|(name, entry)| Some((name.clone(), self.blobs.get(&entry.sha256)?.clone())))
            .collect();
        let mut station = config::rebuild(&files?, &mut Frozen(manifest))?;
        for (name, entry) in &manifest.files {
            let playlist = config::playlist_id(name).and_then(|id| station.playlists.get_mut(&id));
            if let Some(playlist) = playlist {
                playlist.accepted = entry.accepted;
                playlist.approval = entry.approval;
            }
        }
        Some(station)
    }
}

/// What became of a change.
#[derive(Clone, Debug)]
pub struct Settled {
    /// What is in force now.
    pub manifest: Manifest,
    /// The files that came into force because they only silence.
    pub silenced: Vec<String>,
    /// What waits, and what it would do on air.
    pub waits: Option<(ChangeSet, Preview)>,
}

/// Returns what a station that never had anything in force begins with: everything but what
/// sounds.
pub fn baseline(target: &Manifest) -> Manifest {
    let silent = |name: &str| config::playlist_id(name).is_none() && name != "skips.toml";
    let files = target.files.iter().filter(|(name, _)| silent(name));
    Manifest {
        files: files.map(|(name, entry)| (name.clone(), *entry)).collect(),
        clips: target.clips.clone(),
    }
}

/// Returns what is in force where no approval is asked: everything. What is as it was keeps the
/// approval it has.
pub fn unapproved(in_force: &Manifest, target: &Manifest, candidate: &Station) -> Manifest {
    let change = in_force.change_to(target, |clip| files_naming(candidate, target, clip));
    let mut made = target.clone();
    for (name, entry) in &mut made.files {
        let same = !change.files.contains_key(name) && !change.touched.contains(name);
        let known = in_force.files.get(name).filter(|_| same);
        entry.approval = known.and_then(|known| known.approval);
    }
    made
}

/// Returns the playlist files that name a clip.
fn files_naming(candidate: &Station, target: &Manifest, clip: &str) -> BTreeSet<String> {
    let ids = approval::naming(candidate, clip);
    let of = |name: &&String| config::playlist_id(name).is_some_and(|id| ids.contains(&&id));
    target.files.keys().filter(of).cloned().collect()
}

/// Brings into force what only silences, and says what waits. `None` when what is in force
/// cannot be built any more.
pub fn settle(
    bench: &Bench,
    in_force: &Manifest,
    target: &Manifest,
    candidate: &Station,
    now: UtcMs,
) -> Option<Settled> {
    let naming = |clip: &str| files_naming(candidate, target, clip);
    let change = in_force.change_to(target, naming);
    let mut settled = Settled { manifest: in_force.clone(), silenced: Vec::new(), waits: None };
    if change.is_empty() {
        return Some(settled);
    }
    let mut station = bench.station(in_force)?;
    let whole = in_force.with(&change, None);
    if let Some(new) = bench.station(&whole)
        && approval::judge(&station, &new, now).0
    {
        settled.silenced = change.files.keys().chain(change.clips.keys()).cloned().collect();
        settled.manifest = whole;
        return Some(settled);
    }
    if change.files.len() <= ONE_BY_ONE {
        for file in change.files.keys() {
            let next = settled.manifest.with(&change.only(file), None);
            let Some(new) = bench.station(&next) else { continue };
            if approval::judge(&station, &new, now).0 {
                settled.silenced.push(file.clone());
                (settled.manifest, station) = (next, new);
            }
        }
    }
    let rest = settled.manifest.change_to(target, naming);
    if !rest.is_empty() {
        let new = bench.station(&settled.manifest.with(&rest, None))?;
        let preview = approval::preview(&station, &new, now);
        settled.waits = Some((rest, preview));
    }
    Some(settled)
}

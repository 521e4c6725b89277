//! Turns manifests into stations, given the bytes of their files.

use super::Manifest;
use crate::config::{self, ClipSource};
use crate::domain::ids::Digest;
use crate::domain::station::{AssetFacts, Station};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

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

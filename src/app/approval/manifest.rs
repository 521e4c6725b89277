//! What is in force, by hash: files, clips; and what is different between two of them.

use crate::config;
use crate::domain::ids::Digest;
use crate::domain::playlist::Content;
use crate::domain::station::{AssetFacts, Station};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The files of a station and the clips they name, by hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// By name in the folder; profiles as `profiles/…`, registers as their CSV files.
    pub files: BTreeMap<String, FileEntry>,
    /// By the name that playlists use.
    pub clips: BTreeMap<String, FrozenClip>,
}

/// A file in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    pub sha256: Digest,
    /// Running number of acceptance: the earlier playlist wins among equals.
    pub accepted: u64,
    /// The approval under which it, or a clip that it names, came into force.
    pub approval: Option<Digest>,
}

/// A clip as it was when it came into force: its bytes stay in the library under their hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenClip {
    pub sha256: Digest,
    pub bytes: u64,
    pub media_type: String,
    pub ms: i64,
    pub gain_cb: i64,
    pub lufs_cb: i64,
    pub sums: BTreeMap<String, Digest>,
    pub title: String,
}

impl From<&AssetFacts> for FrozenClip {
    fn from(facts: &AssetFacts) -> Self {
        let AssetFacts { sha256, bytes, media_type, ms, gain_cb, lufs_cb, sums, title } =
            facts.clone();
        Self { sha256, bytes, media_type, ms, gain_cb, lufs_cb, sums, title }
    }
}

impl From<&FrozenClip> for AssetFacts {
    fn from(clip: &FrozenClip) -> Self {
        let FrozenClip { sha256, bytes, media_type, ms, gain_cb, lufs_cb, sums, title } =
            clip.clone();
        Self { sha256, bytes, media_type, ms, gain_cb, lufs_cb, sums, title }
    }
}

/// What is different between two manifests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeSet {
    /// Files that are new or other, with their number of acceptance; `None` for those gone.
    pub files: BTreeMap<String, Option<FileEntry>>,
    /// Clips that are new or other, and all that these files name: so the hash says what would
    /// be heard, and stays the same when another change brings one of the clips first.
    pub clips: BTreeMap<String, FrozenClip>,
    /// Files that name one of the clips that are new or other.
    pub touched: BTreeSet<String>,
    /// The clips that are new or other.
    #[serde(default)]
    pub other: BTreeSet<String>,
}

/// Which files name a clip, before or after a change.
#[derive(Clone, Debug, Default)]
pub struct Naming(BTreeMap<String, BTreeSet<String>>);

impl Naming {
    /// Returns who names what in these stations, each with the files it is made of.
    pub fn of_stations(stations: [(&Station, &Manifest); 2]) -> Self {
        let mut naming = Self::default();
        for (station, manifest) in stations {
            for file in manifest.files.keys() {
                let list = config::playlist_id(file).and_then(|id| station.playlists.get(&id));
                for item in list.iter().flat_map(|list| &list.items) {
                    if let Content::Clip { clip, fallback } = &item.content {
                        for path in std::iter::once(clip).chain(fallback) {
                            naming.add(&path.0, file.clone());
                        }
                    }
                }
            }
            for standby in station.standby.values() {
                naming.add(&standby.clip.0, "station.toml".to_owned());
            }
        }
        naming
    }

    fn add(&mut self, clip: &str, file: String) {
        self.0.entry(clip.to_owned()).or_default().insert(file);
    }

    /// Returns the files that name the clip.
    pub fn of(&self, clip: &str) -> &BTreeSet<String> {
        static NOBODY: BTreeSet<String> = BTreeSet::new();
        self.0.get(clip).unwrap_or(&NOBODY)
    }
}

impl ChangeSet {
    /// Says whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.other.is_empty()
    }

    /// Returns the name of the change: SHA-256 over a line for each file and clip, in the order
    /// of their names. Numbers of acceptance do not enter, nor what it is compared with.
    pub fn hash(&self) -> Digest {
        let mut text = "loa-proposal-1\n".to_owned();
        let mut line = |kind: &str, name: &str, hash: Option<Digest>| {
            let hash = hash.map_or_else(|| "gone".to_owned(), |hash| hash.to_string());
            // Writing to a string cannot fail. The length keeps a name with a line end from standing for two lines.
            let _ = writeln!(text, "{kind} {hash} {} {name}", name.len());
        };
        for (name, entry) in &self.files {
            line("file", name, entry.map(|entry| entry.sha256));
        }
        for (name, clip) in &self.clips {
            line("clip", name, Some(clip.sha256));
        }
        Digest::of(text.as_bytes())
    }

    /// Returns its pieces: what can wait or come into force by itself. A clip that a changed file
    /// names belongs to that file.
    pub fn pieces(&self, naming: &Naming) -> BTreeSet<String> {
        let lone = |clip: &&String| !naming.of(clip).iter().any(|f| self.files.contains_key(f));
        let clips = self.clips.keys().filter(lone);
        self.files.keys().chain(clips).cloned().collect()
    }

    /// Returns the part that these pieces are.
    pub fn only(&self, pieces: &BTreeSet<String>, naming: &Naming) -> Self {
        let files = self.files.iter().filter(|(name, _)| pieces.contains(*name));
        let files: BTreeMap<_, _> = files.map(|(name, entry)| (name.clone(), *entry)).collect();
        let wanted = |clip: &String| {
            pieces.contains(clip)
                || naming.of(clip).iter().any(|name| matches!(files.get(name), Some(Some(_))))
        };
        let clips = self.clips.iter().filter(|(clip, _)| wanted(clip));
        let clips: BTreeMap<_, _> =
            clips.map(|(name, clip)| (name.clone(), clip.clone())).collect();
        let other = self.other.iter().filter(|clip| clips.contains_key(*clip));
        let other: BTreeSet<_> = other.cloned().collect();
        let touched = other.iter().flat_map(|clip| naming.of(clip)).cloned().collect();
        Self { files, clips, touched, other }
    }

    /// Puts another change to this one that shares no file with it.
    pub fn join(&mut self, other: &Self) {
        self.files.extend(other.files.iter().map(|(name, entry)| (name.clone(), *entry)));
        self.clips.extend(other.clips.clone());
        self.touched.extend(other.touched.iter().cloned());
        self.other.extend(other.other.iter().cloned());
    }

    /// Returns the hashes of the files that it brings.
    pub fn blobs(&self) -> Vec<Digest> {
        self.files.values().flatten().map(|entry| entry.sha256).collect()
    }
}

impl Manifest {
    /// Returns what leads from here to `target`. A clip that is only missing in `target` is no
    /// change: its bytes are kept.
    pub fn change_to(&self, target: &Self, naming: &Naming) -> ChangeSet {
        let mut change = ChangeSet::default();
        for (name, entry) in &target.files {
            if self.files.get(name).map(|known| known.sha256) != Some(entry.sha256) {
                change.files.insert(name.clone(), Some(*entry));
            }
        }
        for name in self.files.keys().filter(|name| !target.files.contains_key(*name)) {
            change.files.insert(name.clone(), None);
        }
        for (name, clip) in &target.clips {
            let of_change = |file: &String| matches!(change.files.get(file), Some(Some(_)));
            if self.clips.get(name).map(|known| known.sha256) != Some(clip.sha256) {
                change.touched.extend(naming.of(name).iter().cloned());
                change.other.insert(name.clone());
            } else if !naming.of(name).iter().any(of_change) {
                continue;
            }
            change.clips.insert(name.clone(), clip.clone());
        }
        change
    }

    /// Returns this with the change put in, under an approval or none.
    #[must_use]
    pub fn with(&self, change: &ChangeSet, approval: Option<Digest>) -> Self {
        let mut made = self.clone();
        for (name, entry) in &change.files {
            match entry {
                Some(entry) => {
                    // What silences keeps the approval under which it sounds.
                    let known = self.files.get(name).and_then(|known| known.approval);
                    let entry = FileEntry { approval: approval.or(known), ..*entry };
                    made.files.insert(name.clone(), entry);
                }
                None => drop(made.files.remove(name)),
            }
        }
        for (name, clip) in &change.clips {
            made.clips.insert(name.clone(), clip.clone());
        }
        for name in &change.touched {
            if let (Some(entry), Some(_)) = (made.files.get_mut(name), approval) {
                entry.approval = approval;
            }
        }
        made
    }
}

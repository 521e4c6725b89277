//! Assets and day sheets on disk, named by their hash.
//!
//! A file that is being fetched lies beside (`.part`, its chunk hashes in `.sums`) and takes its
//! name only when the whole was hashed, synced and renamed. What is found at the start is hashed
//! again before anything plays it ([`Storage::verify`]); that is done off the loop, first used
//! first.
//!
//! # Room
//! Above `most_bytes` what no sheet names goes first, then what is needed last; standby never.

use super::disk;
use super::executor::AssetWant;
use super::fetch::{AssetOrder, Left};
use crate::domain::ids::Digest;
use crate::domain::time::UtcMs;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// Assets needed within this time are not given up for records.
const DAY_MS: i64 = 86_400_000;

/// What is wrong with the storage.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` in the data folder")]
pub struct StorageError {
    pub path: PathBuf,
    #[source]
    pub source: io::Error,
}

impl StorageError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        "free space, and check that the data folder belongs to this user"
    }
}

/// See the module.
#[derive(Debug)]
pub struct Storage {
    assets: PathBuf,
    sheets: PathBuf,
    most_bytes: u64,
    /// Whole files with their lengths, verified or not.
    found: BTreeMap<Digest, u64>,
}

impl Storage {
    /// Opens the folders and lists what is there.
    pub fn open(dir: &Path, most_bytes: u64) -> Result<Self, StorageError> {
        let (assets, sheets) = (dir.join("assets"), dir.join("sheets"));
        let mut found = BTreeMap::new();
        for folder in [&assets, &sheets] {
            let wrong = |source| StorageError { path: folder.clone(), source };
            std::fs::create_dir_all(folder).map_err(wrong)?;
        }
        let wrong = |source| StorageError { path: assets.clone(), source };
        for file in std::fs::read_dir(&assets).map_err(wrong)? {
            let file = file.map_err(wrong)?;
            if let Ok(name) = file.file_name().to_string_lossy().parse::<Digest>() {
                found.insert(name, file.metadata().map_err(wrong)?.len());
            }
        }
        Ok(Self { assets, sheets, most_bytes, found })
    }

    /// Returns where an asset lies once it is held.
    pub fn path(&self, asset: &Digest) -> PathBuf {
        self.assets.join(asset.to_string())
    }

    /// Returns the assets that are there, verified or not.
    pub fn assets(&self) -> impl Iterator<Item = &Digest> {
        self.found.keys()
    }

    /// Says whether a whole file is there.
    pub fn has(&self, asset: &Digest) -> bool {
        self.found.contains_key(asset)
    }

    /// Returns the bytes assets may take and those that are free of them.
    pub fn room(&self) -> (u64, u64) {
        (self.most_bytes, self.most_bytes.saturating_sub(self.used()))
    }

    fn used(&self) -> u64 {
        self.found.values().sum()
    }

    /// Says whether a file is what its name says; reads it whole, so not on the loop.
    pub fn verify(path: &Path, name: &Digest) -> bool {
        hash(path).is_ok_and(|hash| hash == *name)
    }

    /// Drops an asset that is damaged or not needed.
    pub fn remove(&mut self, asset: &Digest) {
        self.found.remove(asset);
        let path = self.path(asset);
        for path in [&path, &path.with_extension("part"), &path.with_extension("sums")] {
            if let Err(error) = std::fs::remove_file(path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "Cannot remove a file");
            }
        }
    }

    /// Makes room for an asset among those that are needed; returns what was dropped, or `None`
    /// when it does not fit without something that is needed sooner.
    pub fn make_room(&mut self, want: &AssetWant, needed: &[AssetWant]) -> Option<Vec<Digest>> {
        let uses: BTreeMap<Digest, &AssetWant> = needed.iter().map(|w| (w.asset, w)).collect();
        let mut dropped = Vec::new();
        while self.used().saturating_add(want.entry.bytes) > self.most_bytes {
            let rank = |asset: &Digest| match uses.get(asset) {
                None => Some(UtcMs::MAX),                      // named by nothing
                Some(use_of) if use_of.last.is_none() => None, // standby
                Some(use_of) => use_of.first,
            };
            let last = self
                .found
                .keys()
                .filter_map(|asset| Some((rank(asset)?, *asset)))
                .filter(|(at, asset)| {
                    !uses.contains_key(asset) || want.first.is_none_or(|first| *at > first)
                })
                .max();
            let (_, victim) = last?;
            self.remove(&victim);
            dropped.push(victim);
        }
        Some(dropped)
    }

    /// Gives up one asset on a full disk: one that no sheet names, else the one that is needed
    /// last, if that is more than a day away; standby never.
    pub fn give_up(&mut self, needed: &[AssetWant], now: UtcMs) -> Option<Digest> {
        let rank = |asset: &Digest| match needed.iter().find(|want| want.asset == *asset) {
            None => Some(UtcMs::MAX),
            Some(want) if want.last.is_none() => None,
            Some(want) => want.first.filter(|first| first.since(now) > DAY_MS),
        };
        let ranked = self.found.keys().filter_map(|asset| Some((rank(asset)?, *asset)));
        let (_, victim) = ranked.max()?;
        self.remove(&victim);
        Some(victim)
    }

    /// Returns what an earlier run left of an asset, chunks checked.
    pub fn left(&self, order: &AssetOrder) -> Option<Left> {
        let path = self.path(&order.sha256);
        let sums = disk::read(&path.with_extension("sums"))?;
        if Digest::of(&sums) != order.sums {
            return None;
        }
        let mut part = File::open(path.with_extension("part")).ok()?;
        let size = order.size.bytes();
        let mut chunks = Vec::new();
        let mut buffer = vec![0; size];
        for (n, wanted) in (0u32..).zip(sums.chunks_exact(32)) {
            let from = u64::from(n) * size as u64;
            let length = order.bytes.saturating_sub(from).min(size as u64);
            let chunk = &mut buffer[..usize::try_from(length).ok()?];
            if part.seek(SeekFrom::Start(from)).is_err() || part.read_exact(chunk).is_err() {
                break;
            }
            if Digest::of(chunk).0 == *wanted {
                chunks.push(n);
            }
        }
        Some(Left { sums, chunks })
    }

    /// Drops what was fetched in part of assets that nothing names any more.
    pub fn drop_parts(&self, named: &BTreeSet<Digest>) {
        let Ok(files) = std::fs::read_dir(&self.assets) else { return };
        for path in files.flatten().map(|file| file.path()) {
            let part = path.extension().is_some_and(|kind| kind == "part" || kind == "sums");
            let name = path.file_stem().and_then(|stem| stem.to_str()?.parse::<Digest>().ok());
            if part && name.is_some_and(|name| !named.contains(&name)) {
                tracing::info!(path = %path.display(), "Dropped a part that nothing names");
                drop(std::fs::remove_file(path));
            }
        }
    }

    /// Keeps the chunk hashes of an asset.
    pub fn keep_sums(&self, asset: &Digest, sums: &[u8]) -> Result<(), StorageError> {
        let path = self.path(asset).with_extension("sums");
        disk::write(&path, sums).map_err(|source| StorageError { path, source })
    }

    /// Writes a checked chunk.
    pub fn write_chunk(
        &self,
        asset: &Digest,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), StorageError> {
        let path = self.path(asset).with_extension("part");
        let write = || {
            let mut file =
                OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
            file.seek(SeekFrom::Start(offset))?;
            file.write_all(bytes)
        };
        write().map_err(|source| StorageError { path: path.clone(), source })
    }

    /// Hashes a complete file, syncs it and gives it its name; says whether it is right. Reads it
    /// whole, so not on the loop; [`Storage::held`] follows on the loop.
    pub fn complete(path: &Path, name: &Digest) -> Result<bool, StorageError> {
        let part = path.with_extension("part");
        let finish = || {
            if hash(&part)? != *name {
                return Ok(false);
            }
            File::open(&part)?.sync_all()?;
            std::fs::rename(&part, path)?;
            disk::sync_folder(path)?;
            Ok(true)
        };
        finish().map_err(|source| StorageError { path: part.clone(), source })
    }

    /// Takes note of a file that [`Storage::complete`] found right.
    pub fn held(&mut self, asset: Digest) {
        let path = self.path(&asset);
        let length = std::fs::metadata(&path).map_or(0, |meta| meta.len());
        self.found.insert(asset, length);
        drop(std::fs::remove_file(path.with_extension("sums")));
    }

    /// Keeps a sheet.
    pub fn put_sheet(&self, name: &Digest, bytes: &[u8]) -> Result<(), StorageError> {
        let path = self.sheets.join(name.to_string());
        disk::write(&path, bytes).map_err(|source| StorageError { path, source })
    }

    /// Reads a sheet; `None` when it is not there or not what its name says.
    pub fn sheet(&self, name: &Digest) -> Option<Vec<u8>> {
        let bytes = disk::read(&self.sheets.join(name.to_string()))?;
        (Digest::of(&bytes) == *name).then_some(bytes)
    }

    /// Drops sheets that nothing names any more.
    pub fn keep_sheets(&self, named: &[Digest]) {
        let Ok(files) = std::fs::read_dir(&self.sheets) else { return };
        for file in files.flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            if name.parse::<Digest>().is_ok_and(|name| !named.contains(&name)) {
                drop(std::fs::remove_file(file.path()));
            }
        }
    }
}

fn hash(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 65_536];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Digest(hasher.finalize().into())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::chunk::{ChunkSize, concat, hashes};
    use crate::domain::timetable::sheet::AssetEntry;
    use tempfile::TempDir;

    fn want(asset: Digest, bytes: u64, first: Option<i64>) -> AssetWant {
        let entry = AssetEntry {
            bytes,
            media_type: "audio/wav".to_owned(),
            ms: 1,
            gain_cb: 0,
            lufs_cb: 0,
            sums: BTreeMap::new(),
            title: String::new(),
        };
        AssetWant { asset, entry, first: first.map(UtcMs), last: first.map(UtcMs) }
    }

    fn put(storage: &mut Storage, bytes: &[u8]) -> Digest {
        let name = Digest::of(bytes);
        storage.write_chunk(&name, 0, bytes).unwrap();
        assert!(Storage::complete(&storage.path(&name), &name).unwrap());
        storage.held(name);
        name
    }

    #[test]
    fn an_asset_takes_its_name_only_when_it_is_right() {
        let dir = TempDir::new().unwrap();
        let mut storage = Storage::open(dir.path(), 1_000).unwrap();
        let name = Digest::of(b"right");
        storage.write_chunk(&name, 0, b"wrong").unwrap();
        assert!(!Storage::complete(&storage.path(&name), &name).unwrap());
        assert!(!storage.has(&name) && !storage.path(&name).exists());
        let name = put(&mut storage, b"right");
        let storage = Storage::open(dir.path(), 1_000).unwrap();
        assert!(storage.has(&name) && Storage::verify(&storage.path(&name), &name));
        std::fs::write(storage.path(&name), b"wrong").unwrap();
        assert!(!Storage::verify(&storage.path(&name), &name), "damage is seen");
    }

    #[test]
    fn what_was_fetched_before_a_cut_is_not_fetched_again() {
        let dir = TempDir::new().unwrap();
        let storage = Storage::open(dir.path(), 1 << 20).unwrap();
        let asset: Vec<u8> = (0..40_000u32).flat_map(u32::to_le_bytes).collect();
        let sums = concat(&hashes(&asset, ChunkSize::Kib64));
        let sha256 = Digest::of(&asset);
        let (bytes, size) = (asset.len() as u64, ChunkSize::Kib64);
        let order = AssetOrder { sha256, bytes, size, sums: Digest::of(&sums) };
        assert_eq!(storage.left(&order), None);
        storage.keep_sums(&sha256, &sums).unwrap();
        storage.write_chunk(&sha256, 131_072, &asset[131_072..]).unwrap();
        storage.write_chunk(&sha256, 0, &asset[..65_536]).unwrap();
        let left = storage.left(&order).unwrap();
        assert_eq!(left.chunks, [0, 2], "the hole in the middle is missing");
    }

    #[test]
    fn parts_of_what_nothing_names_any_more_go() {
        let dir = TempDir::new().unwrap();
        let mut storage = Storage::open(dir.path(), 1_000).unwrap();
        let whole = put(&mut storage, b"whole");
        let [wanted, withdrawn] = [Digest::of(b"wanted"), Digest::of(b"withdrawn")];
        for asset in [wanted, withdrawn] {
            storage.write_chunk(&asset, 0, b"half").unwrap();
            storage.keep_sums(&asset, b"sums").unwrap();
        }
        storage.drop_parts(&BTreeSet::from([wanted]));
        let left = std::fs::read_dir(dir.path().join("assets")).unwrap();
        let left: BTreeSet<_> =
            left.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        let names = [whole.to_string(), format!("{wanted}.part"), format!("{wanted}.sums")];
        assert_eq!(left, BTreeSet::from(names));
    }

    #[test]
    fn the_unnamed_go_first_then_what_is_needed_last_and_standby_never() {
        let dir = TempDir::new().unwrap();
        let mut storage = Storage::open(dir.path(), 400).unwrap();
        let [unnamed, late, soon, siren] = [1u8, 2, 3, 4].map(|n| put(&mut storage, &[n; 100]));
        let needed =
            [want(late, 100, Some(900)), want(soon, 100, Some(100)), want(siren, 100, None)];
        let new = want(Digest::of(b"new"), 100, Some(500));
        assert_eq!(storage.make_room(&new, &needed), Some(vec![unnamed]));
        let new = want(Digest::of(b"new"), 200, Some(500));
        assert_eq!(storage.make_room(&new, &needed), Some(vec![late]));
        let new = want(Digest::of(b"new"), 300, Some(500));
        assert_eq!(storage.make_room(&new, &needed), None, "what is needed sooner stays");
        assert!(storage.has(&soon) && storage.has(&siren));
    }

    #[test]
    fn a_damaged_sheet_is_not_there() {
        let dir = TempDir::new().unwrap();
        let storage = Storage::open(dir.path(), 400).unwrap();
        let name = Digest::of(b"sheet");
        storage.put_sheet(&name, b"sheet").unwrap();
        assert_eq!(storage.sheet(&name).as_deref(), Some(&b"sheet"[..]));
        storage.put_sheet(&name, b"other").unwrap();
        assert_eq!(storage.sheet(&name), None);
        storage.keep_sheets(&[]);
        assert!(!dir.path().join("sheets").join(name.to_string()).exists());
    }
}

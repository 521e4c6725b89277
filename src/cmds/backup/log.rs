//! The log in a backup: each shard as it stands under one of its heads, while the server goes on.
//!
//! Full tiles never change, so they are taken where they lie. The head and the partial tiles that
//! belong to it are copied at once, since the next round removes them. The store is copied before:
//! what it knows to be logged is then in the log of the backup too.

use super::super::{Advise as _, failed};
use crate::log::disk::RealDisk;
use crate::log::folder::Folder;
use crate::log::shard::ShardName;
use crate::log::tokens::{self, Part};
use crate::wire::tlog::{NOTE_BYTES, Resource, SignedCheckpoint, TILE, Tile};
use anyhow::Context as _;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Rounds of the server that may come in between.
const TRIES: u32 = 20;

/// Finds the files of the log by their names in a backup; copies go into `scratch`.
pub fn files(folder: &Path, scratch: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    let origin = folder.join("origin");
    if origin.exists() {
        found.push(("data/log/origin".to_owned(), origin));
    }
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries.with_context(|| format!("reading `{}`", folder.display()))?,
    };
    let mut shards = Vec::new();
    for entry in entries {
        let name = entry.with_context(|| format!("reading `{}`", folder.display()))?.file_name();
        shards.extend(name.to_str().and_then(|name| name.parse::<ShardName>().ok()));
    }
    shards.sort_unstable();
    for shard in shards {
        let (name, from) = (format!("data/log/{shard}"), folder.join(shard.to_string()));
        shard_files(&name, &from, &scratch.join(shard.to_string()), &mut found)?;
    }
    Ok(found)
}

fn shard_files(
    name: &str,
    from: &Path,
    scratch: &Path,
    found: &mut Vec<(String, PathBuf)>,
) -> anyhow::Result<()> {
    let mut tries = 0;
    let size = loop {
        match edge(from, scratch) {
            Ok(Some(size)) => break size,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < TRIES => tries += 1,
            Err(error) => {
                let hint = "look at the log first: `loa log check`";
                return Err(failed(error, hint).context(format!("reading `{}`", from.display())));
            }
        }
    };
    for resource in resources(size) {
        let below = resource.to_string();
        let copied = scratch.join(&below);
        let path = if copied.exists() { copied } else { from.join(&below) };
        found.push((format!("{name}/{below}"), path));
    }
    let cosigned = from.join("cosigned");
    let mut days: Vec<PathBuf> = fs::read_dir(&cosigned)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_none())
        .collect();
    days.sort();
    for day in days {
        let date = day.file_name().unwrap_or_default().to_string_lossy().into_owned();
        found.push((format!("{name}/cosigned/{date}"), day));
    }
    let stamped = tokens::sizes(&Folder::new(RealDisk, from))?;
    for file in stamped.into_iter().flat_map(|size| {
        [Part::Note, Part::Token]
            .map(|part| format!("{}/{}", tokens::FOLDER, tokens::file_name(size, part)))
    }) {
        found.push((format!("{name}/{file}"), from.join(file)));
    }
    Ok(())
}

/// Copies the head and the partial tiles that belong to it; returns the head's size, or `None`
/// before the first. "Not found" when a round came in between.
fn edge(from: &Path, scratch: &Path) -> io::Result<Option<u64>> {
    let mut note = Vec::new();
    match fs::File::open(from.join("checkpoint")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?.take(NOTE_BYTES as u64 + 1).read_to_end(&mut note)?,
    };
    let head = SignedCheckpoint::parse(&note)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let size = head.checkpoint().size;
    if scratch.exists() {
        fs::remove_dir_all(scratch)?;
    }
    for resource in resources(size) {
        let partial = match resource {
            Resource::Hashes(tile) | Resource::Entries(tile) => !tile.is_full(),
            Resource::Checkpoint => false,
        };
        if partial {
            let to = scratch.join(resource.to_string());
            fs::create_dir_all(to.parent().unwrap_or(scratch))?;
            fs::copy(from.join(resource.to_string()), to)?;
        }
    }
    fs::create_dir_all(scratch)?;
    fs::write(scratch.join("checkpoint"), note)?;
    Ok(Some(size))
}

/// Returns all that makes a tree of that size.
fn resources(size: u64) -> impl Iterator<Item = Resource> {
    let levels = (0_u8..8).map(move |level| (level, size >> (8 * u32::from(level))));
    let tiles = levels.take_while(|(_, hashes)| *hashes > 0).flat_map(|(level, hashes)| {
        let tile = u64::from(TILE);
        (0..hashes.div_ceil(tile)).filter_map(move |index| {
            let width = u16::try_from((hashes - index * tile).min(tile)).ok()?;
            Tile::new(level, index, width)
        })
    });
    let both = tiles.flat_map(|tile| {
        let entries = (tile.level() == 0).then_some(Resource::Entries(tile));
        [Some(Resource::Hashes(tile)), entries].into_iter().flatten()
    });
    both.chain([Resource::Checkpoint])
}

/// A folder that goes when its work is over.
pub struct ScratchFolder(pub PathBuf);

impl ScratchFolder {
    /// Makes it for its owner alone.
    pub fn make(path: PathBuf) -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .advise("name a file in a folder that is there and can be written to")?;
        Ok(Self(path))
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        // Nobody's by then.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_the_files_of_its_size() {
        let of = |size| resources(size).map(|r| r.to_string()).collect::<Vec<_>>();
        assert_eq!(of(0), ["checkpoint"]);
        assert_eq!(of(5), ["tile/0/000.p/5", "tile/entries/000.p/5", "checkpoint"]);
        let many = of(70_000);
        assert_eq!(many.len(), 274 * 2 + 2 + 1 + 1);
        for file in ["tile/0/272", "tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"] {
            assert!(many.iter().any(|known| known == file), "{file}");
        }
    }
}

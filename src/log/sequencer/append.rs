//! One round: leaves in, a signed head out.

use super::super::disk::{Disk, DiskError, folders_of, replace, sync_folders};
use super::super::edge::Growth;
use super::super::folder::{Folder, FolderError};
use super::super::head::HeadError;
use super::super::leaf::Leaf;
use super::open::publish;
use super::{Sequencer, verifiers};
use crate::wire::tlog::{
    BundleError, Checkpoint, NoteError, Resource, SignedCheckpoint, TILE, Tile,
};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// How many tiles back partial ones may be left over from a round that was cut off: those of the
/// largest batch and more.
const SWEPT: u64 = 64;

/// Why leaves were not appended, or a cosigned checkpoint not published.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    #[error("leaf {first} is given, the next is {next}")]
    Gap { first: u64, next: u64 },
    #[error("leaf {index} is logged already, with other bytes")]
    Differs { index: u64 },
    #[error("a shard begins with what was before it")]
    Beginning,
    #[error("leaf {index} cannot be stored")]
    Leaf {
        index: u64,
        #[source]
        source: BundleError,
    },
    #[error("`{}` is there already, with other bytes, above the signed {size} leaves", path.display())]
    Planted { path: PathBuf, size: u64 },
    #[error("the head file names {found} leaves instead of {size}: somebody else signs this log")]
    Overtaken { size: u64, found: u64 },
    #[error("the log's folder cannot be read")]
    Folder(#[from] FolderError),
    #[error("the log's folder cannot be written")]
    Disk(#[from] DiskError),
    #[error("the second place of the head cannot be used")]
    Head(#[from] HeadError),
    #[error("the cosigned checkpoint lacks the log's own signature")]
    Unsigned(#[from] NoteError),
}

impl AppendError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Gap { .. } => "open the log again and go on from its size",
            Self::Differs { .. } => {
                "the store does not hold what was logged: restore it, or begin a new shard"
            }
            Self::Beginning => "append a `shard` or `restored` leaf first",
            Self::Leaf { source, .. } => source.hint(),
            Self::Planted { .. } => {
                "two programs write this log, or the queue was changed: stop all but one \
                 `loa serve`; nothing refers to this file, so it may be moved away"
            }
            Self::Overtaken { .. } => "stop all but one `loa serve`, then start it again",
            Self::Folder(error) => error.hint(),
            Self::Disk(error) => error.hint(),
            Self::Head(error) => error.hint(),
            Self::Unsigned(error) => error.hint(),
        }
    }
}

impl<D: Disk> Sequencer<D> {
    /// Appends leaves of which the first has place `first`, and publishes the new head. Leaves
    /// that are logged already are compared and passed over, so a batch may be given again.
    pub fn append(self, first: u64, leaves: &[Leaf]) -> Result<Self, AppendError> {
        let size = self.size();
        let known = size
            .checked_sub(first)
            .map(|known| usize::try_from(known).unwrap_or(usize::MAX).min(leaves.len()))
            .ok_or(AppendError::Gap { first, next: size })?;
        let (logged, new) = leaves.split_at(known);
        self.compare(first, logged)?;
        let Some(next) = new.first() else { return Ok(self) };
        if size == 0 && !next.begins_a_shard() {
            return Err(AppendError::Beginning);
        }
        let growth = self
            .edge
            .grow(new.iter().map(Leaf::bytes))
            .map_err(|source| AppendError::Leaf { index: size, source })?;
        self.write_tiles(&growth)?;
        let head = self.head(&growth.edge);
        self.write_head(&head)?;
        let signed = head.sign(&self.signers);
        publish(&self.folder, &signed)?;
        let before = size.saturating_sub(u64::from(TILE));
        for level in 0..8 {
            remove_partials(&self.folder, level, before, head.size);
        }
        Ok(Self { edge: growth.edge, published: Some(signed), ..self })
    }

    /// Publishes the newest checkpoint with cosignatures; a checkpoint that is not the newest any
    /// more is passed over. The log's own signatures must still be there.
    pub fn publish_cosigned(mut self, cosigned: SignedCheckpoint) -> Result<Self, AppendError> {
        let newest = self.published.as_ref().map(SignedCheckpoint::checkpoint);
        if newest != Some(cosigned.checkpoint()) {
            return Ok(self);
        }
        cosigned.note().verify(&verifiers(&self.signers))?;
        publish(&self.folder, &cosigned)?;
        self.published = Some(cosigned);
        Ok(self)
    }

    /// Compares leaves with those that stand in the log.
    fn compare(&self, first: u64, leaves: &[Leaf]) -> Result<(), AppendError> {
        let mut bundle = None;
        for (index, leaf) in (first..).zip(leaves) {
            let missing = || AppendError::Differs { index };
            let tile = Tile::holding(0, index, self.size()).ok_or_else(missing)?;
            let entries = match bundle.take() {
                Some((of, entries)) if of == tile => entries,
                _ => self.folder.entries(tile)?,
            };
            let at = u16::try_from(index - tile.first_leaf()).map_err(|_| missing())?;
            if entries.entry(at) != Some(leaf.bytes()) {
                return Err(AppendError::Differs { index });
            }
            bundle = Some((tile, entries));
        }
        Ok(())
    }

    /// Writes what changes; a file that is there from a round that was cut off must be the same.
    fn write_tiles(&self, growth: &Growth) -> Result<(), AppendError> {
        let disk = self.folder.disk();
        let mut files: Vec<(PathBuf, &[u8])> = Vec::with_capacity(growth.files.len());
        let mut folders = BTreeSet::new();
        for (resource, bytes) in &growth.files {
            let path = self.folder.place(*resource);
            let planted = || AppendError::Planted { path: path.clone(), size: self.size() };
            match disk.read(&path, bytes.len() as u64) {
                Ok(None) => files.push((path, bytes)),
                // Its content was synced before it took the name; the name may not be durable yet.
                Ok(Some(there)) if there == *bytes => {
                    folders.extend(folders_of(self.folder.path(), &path));
                }
                Ok(Some(_)) => return Err(planted()),
                Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
                    return Err(planted());
                }
                Err(error) => return Err(DiskError::at("read", &path)(error).into()),
            }
        }
        replace(disk, self.folder.path(), &files)?;
        Ok(sync_folders(disk, &folders)?)
    }

    /// Writes the head where it outlives the folder, provided that nobody else did meanwhile.
    fn write_head(&self, head: &Checkpoint) -> Result<(), AppendError> {
        let disk = self.folder.disk();
        let expected = self.published.as_ref().map(SignedCheckpoint::checkpoint);
        let found = self.head_file.read(disk)?;
        if found.as_ref() != expected {
            let found = found.map_or(0, |found| found.size);
            return Err(AppendError::Overtaken { size: self.size(), found });
        }
        Ok(self.head_file.write(disk, head)?)
    }
}

/// Removes partial tiles that a round which was cut off left behind full ones.
pub(super) fn sweep<D: Disk>(folder: &Folder<D>, size: u64) {
    for level in 0_u8..8 {
        let below = 8 * (u32::from(level) + 1);
        let tiles = size.checked_shr(below).unwrap_or(0);
        let from = tiles.saturating_sub(SWEPT).checked_shl(below).unwrap_or(0);
        remove_partials(folder, level, from, size);
    }
}

/// Removes the partial forms of the tiles of a level that became full between two sizes. What
/// cannot be removed does no harm and is tried again at the next start.
fn remove_partials<D: Disk>(folder: &Folder<D>, level: u8, from: u64, to: u64) {
    let below = 8 * (u32::from(level) + 1);
    let tiles = |size: u64| size.checked_shr(below).unwrap_or(0);
    for index in tiles(from)..tiles(to) {
        let Some(tile) = Tile::new(level, index, 1) else { continue };
        let kinds = [Some(Resource::Hashes(tile)), (level == 0).then_some(Resource::Entries(tile))];
        for resource in kinds.into_iter().flatten() {
            let path = folder.place(resource);
            let Some(partials) = path.parent() else { continue };
            let names = folder.disk().list(partials).unwrap_or_default();
            for name in &names {
                let _ = folder.disk().remove(&partials.join(name));
            }
            if !names.is_empty() {
                let _ = folder.disk().remove_folder(partials);
            }
        }
    }
}

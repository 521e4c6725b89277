//! Writes tiles again from the leaves that the store still holds, up to a head that was signed.
//!
//! For a folder that came out of an older backup, or lost a file. Nothing new is signed: the leaves
//! are hashed first, without writing anything, and only when they lead to the very root that was
//! signed are the tiles written.

use super::super::check::check_growth;
use super::super::disk::{Disk, DiskError, replace, settle};
use super::super::edge::Edge;
use super::super::folder::{Folder, FolderError};
use super::super::head::{HeadError, HeadFile};
use super::super::leaf::Leaf;
use super::open::{OpenError, Setup};
use super::{Sequencer, verifiers};
use crate::wire::tlog::{BundleError, Checkpoint, Resource, SignedCheckpoint, TreeHash};
use std::path::PathBuf;

/// Leaves asked for at once.
const BATCH: usize = 4_096;

/// Why a log was not rebuilt. Nothing was signed; `E` is what the store says.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError<E: std::error::Error + 'static> {
    #[error("leaves cannot be read from the store")]
    Store(#[source] E),
    #[error("the store holds {held} of the {wanted} leaves")]
    Lacking { held: u64, wanted: u64 },
    #[error("the store's leaves lead to root {got} at {size} leaves, {want} was signed")]
    Root { size: u64, got: TreeHash, want: TreeHash },
    #[error("no head is known that the log could be rebuilt to")]
    NoTarget,
    #[error("leaf {index} cannot be stored")]
    Leaf {
        index: u64,
        #[source]
        source: BundleError,
    },
    #[error("the log's folder cannot be read")]
    Folder(#[from] FolderError),
    #[error("the log's folder cannot be written")]
    Disk(#[from] DiskError),
    #[error("the second place of the head cannot be used")]
    Head(#[from] HeadError),
    #[error("the log does not open after it was rebuilt")]
    Open(#[from] OpenError),
}

impl<E: std::error::Error + 'static> RebuildError<E> {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Lacking { .. } | Self::Root { .. } => {
                "the store is older than the log or another's: copy tiles from a mirror or audit \
                 pack, or begin a new shard with a `restored` leaf"
            }
            Self::Store(_) => "restore the store first",
            Self::NoTarget => "give the newest checkpoint that a witness cosigned",
            Self::Leaf { source, .. } => source.hint(),
            Self::Folder(error) => error.hint(),
            Self::Disk(error) => error.hint(),
            Self::Head(error) => error.hint(),
            Self::Open(error) => error.hint(),
        }
    }
}

impl<D: Disk> Sequencer<D> {
    /// Rebuilds the tail up to the newest head that is known, from the head file or a checkpoint
    /// `witnessed` that the log signed, and opens the log. `leaves(first, most)` gives the leaves
    /// of the store in order, none when it has no more.
    pub fn rebuild<E: std::error::Error + 'static>(
        disk: D,
        setup: Setup,
        witnessed: Option<&SignedCheckpoint>,
        mut leaves: impl FnMut(u64, usize) -> Result<Vec<Leaf>, E>,
    ) -> Result<Self, RebuildError<E>> {
        let keys = verifiers(&setup.signers);
        let folder = Folder::new(disk, setup.folder.clone());
        let head_file = HeadFile::hold(folder.disk(), &setup.head_file, &setup.folder)?;
        let kept = head_file.read(folder.disk())?;
        let seen = witnessed
            .filter(|seen| seen.checkpoint().origin == setup.origin)
            .filter(|seen| seen.note().verify(&keys).is_ok())
            .map(|seen| seen.checkpoint().clone());
        let target = kept.into_iter().chain(seen).max_by_key(|head| head.size);
        let target = target.ok_or(RebuildError::NoTarget)?;
        settle(folder.disk(), folder.path())?;
        // From where the folder is sound, read whole, else from the beginning.
        let published = folder.checkpoint(&setup.origin, &keys).ok().flatten();
        let sound = published
            .map(|published| published.checkpoint().clone())
            .filter(|head| head.size <= target.size)
            .filter(|head| check_growth(&folder, Edge::default(), head).is_ok())
            .and_then(|head| folder.edge(head.size, head.root).ok())
            .unwrap_or_default();
        replay(sound.clone(), &target, &mut leaves, |_| Ok(()))?;
        replay(sound, &target, &mut leaves, |files| {
            let place = |(resource, bytes)| (folder.place(resource), bytes);
            let files: Vec<(PathBuf, Vec<u8>)> = files.into_iter().map(place).collect();
            let files: Vec<(PathBuf, &[u8])> =
                files.iter().map(|(path, bytes)| (path.clone(), bytes.as_slice())).collect();
            replace(folder.disk(), folder.path(), &files)
        })?;
        head_file.write(folder.disk(), &target)?;
        drop(head_file);
        Ok(Self::open(folder.into_disk(), setup)?)
    }
}

/// Appends the store's leaves to an edge until it is the target; hands over what would be written.
fn replay<E: std::error::Error + 'static>(
    mut edge: Edge,
    target: &Checkpoint,
    leaves: &mut impl FnMut(u64, usize) -> Result<Vec<Leaf>, E>,
    mut write: impl FnMut(Vec<(Resource, Vec<u8>)>) -> Result<(), DiskError>,
) -> Result<(), RebuildError<E>> {
    while edge.size() < target.size {
        let first = edge.size();
        let left = usize::try_from(target.size - first).unwrap_or(BATCH);
        let mut batch = leaves(first, left.min(BATCH)).map_err(RebuildError::Store)?;
        batch.truncate(left);
        if batch.is_empty() {
            return Err(RebuildError::Lacking { held: first, wanted: target.size });
        }
        let growth = edge
            .grow(batch.iter().map(Leaf::bytes))
            .map_err(|source| RebuildError::Leaf { index: first, source })?;
        write(growth.files)?;
        edge = growth.edge;
    }
    match edge.root() {
        got if got == target.root => Ok(()),
        got => Err(RebuildError::Root { size: target.size, got, want: target.root }),
    }
}

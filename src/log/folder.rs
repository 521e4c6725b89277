//! A log's folder as it is served: checkpoint, tiles, bundles; reading with bounds.
//!
//! Every read knows beforehand how many bytes are right, so no file can make the reader take more.

use super::disk::{Disk, DiskError};
use super::edge::{Edge, EdgeError};
use crate::wire::tlog::{
    Bundle, BundleError, CheckpointError, HASH_BYTES, NOTE_BYTES, Name, Resource, SignedCheckpoint,
    Tile, TreeHash, VerifierKey,
};
use std::path::{Path, PathBuf};

/// See the module.
#[derive(Debug)]
pub struct Folder<D> {
    disk: D,
    path: PathBuf,
}

/// Why something of a log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("the log cannot be read")]
    Disk(#[from] DiskError),
    #[error("`{}` is missing", path.display())]
    Missing { path: PathBuf },
    #[error("`{}` has {got} bytes instead of {want}", path.display())]
    Length { path: PathBuf, got: usize, want: usize },
    #[error("`{}` is no bundle", path.display())]
    Bundle {
        path: PathBuf,
        #[source]
        source: BundleError,
    },
    #[error("`{}` cannot be believed", path.display())]
    Checkpoint {
        path: PathBuf,
        #[source]
        source: CheckpointError,
    },
    #[error("the right edge of `{}` at size {size} is damaged", path.display())]
    Edge {
        path: PathBuf,
        size: u64,
        #[source]
        source: EdgeError,
    },
    #[error("the tiles of `{}` do not lead to the root at size {size}", path.display())]
    Root { path: PathBuf, size: u64 },
    #[error("the tree of `{}` has {size} leaves, none at {index}", path.display())]
    Outside { path: PathBuf, index: u64, size: u64 },
}

impl FolderError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Disk(error) => error.hint(),
            Self::Outside { .. } => "ask below the size of the newest checkpoint",
            _ => {
                "the file is not what was written: take it from a backup, a mirror or an audit \
                  pack, or let `loa log rebuild` write it again from the store"
            }
        }
    }
}

impl<D: Disk> Folder<D> {
    /// Returns the folder; nothing is read yet.
    pub fn new(disk: D, path: impl Into<PathBuf>) -> Self {
        Self { disk, path: path.into() }
    }

    /// Returns where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns its disk.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// Gives the disk back.
    pub fn into_disk(self) -> D {
        self.disk
    }

    /// Returns where something of it lies.
    pub fn place(&self, resource: Resource) -> PathBuf {
        self.path.join(resource.to_string())
    }

    fn read(&self, resource: Resource, most: u64) -> Result<Option<Vec<u8>>, DiskError> {
        let path = self.place(resource);
        self.disk.read(&path, most).map_err(DiskError::at("read", &path))
    }

    /// Reads the published checkpoint, if there is one, and believes it when one of the keys
    /// signed it.
    pub fn checkpoint(
        &self,
        origin: &Name,
        keys: &[VerifierKey],
    ) -> Result<Option<SignedCheckpoint>, FolderError> {
        let Some(bytes) = self.read(Resource::Checkpoint, NOTE_BYTES as u64)? else {
            return Ok(None);
        };
        let wrong = |source| {
            let path = self.place(Resource::Checkpoint);
            FolderError::Checkpoint { path, source }
        };
        SignedCheckpoint::open(&bytes, origin, keys).map(Some).map_err(wrong)
    }

    /// Reads the hashes of a tile; from the full one when the partial one is gone already.
    pub fn hashes(&self, tile: Tile) -> Result<Vec<TreeHash>, FolderError> {
        for tried in [tile, tile.full()] {
            let resource = Resource::Hashes(tried);
            let Some(bytes) = self.read(resource, tried.bytes() as u64)? else { continue };
            if bytes.len() != tried.bytes() {
                let (path, want) = (self.place(resource), tried.bytes());
                return Err(FolderError::Length { path, got: bytes.len(), want });
            }
            let (hashes, _) = bytes.as_chunks::<HASH_BYTES>();
            let wanted = usize::from(tile.width());
            return Ok(hashes.iter().take(wanted).map(|hash| TreeHash(*hash)).collect());
        }
        Err(FolderError::Missing { path: self.place(Resource::Hashes(tile)) })
    }

    /// Reads the entries below a tile of level 0; like [`Folder::hashes`].
    pub fn entries(&self, tile: Tile) -> Result<Bundle, FolderError> {
        for tried in [tile, tile.full()] {
            let resource = Resource::Entries(tried);
            let Some(bytes) = self.read(resource, Bundle::most_bytes(tried.width()))? else {
                continue;
            };
            let wrong = |source| FolderError::Bundle { path: self.place(resource), source };
            return Bundle::parse(bytes, tried.width()).map_err(wrong);
        }
        Err(FolderError::Missing { path: self.place(Resource::Entries(tile)) })
    }

    /// Reads one entry of a tree of that size.
    pub fn entry(&self, index: u64, size: u64) -> Result<Vec<u8>, FolderError> {
        let outside = || FolderError::Outside { path: self.path.clone(), index, size };
        let tile = Tile::holding(0, index, size).ok_or_else(outside)?;
        let at = u16::try_from(index - tile.first_leaf()).map_err(|_| outside())?;
        self.entries(tile)?.entry(at).map(<[u8]>::to_vec).ok_or_else(outside)
    }

    /// Reads the right edge of a tree, a tile a level and one bundle, and checks it against the
    /// root.
    pub fn edge(&self, size: u64, root: TreeHash) -> Result<Edge, FolderError> {
        let mut rows = Vec::new();
        let mut bundle = Bundle::default();
        for level in 0_u8..8 {
            let row = size >> (8 * u32::from(level));
            if row == 0 {
                break;
            }
            // The last tile; a full one belongs to the level above and leaves none here.
            match Tile::holding(level, row - 1, size) {
                Some(tile) if !tile.is_full() => {
                    rows.push(self.hashes(tile)?);
                    if level == 0 {
                        bundle = self.entries(tile)?.beginning(tile.width());
                    }
                }
                _ => rows.push(Vec::new()),
            }
        }
        let wrong = |source| FolderError::Edge { path: self.path.clone(), size, source };
        Edge::open(size, root, rows, bundle).map_err(wrong)
    }
}

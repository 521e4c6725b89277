//! The head in a second place: the largest tree that may have been signed, outside the data folder.
//!
//! A backup that is restored brings back an old tree; signing on from there would be a fork. This
//! file does not come back with it. It is written before every signature, so a head that was
//! signed is never missing here.

use super::disk::{Disk, DiskError, Hold, replace};
use crate::wire::tlog::{Checkpoint, CheckpointError};
use std::path::{Path, PathBuf};

/// Bytes of the longest head file.
const HEAD_BYTES: u64 = 1_024;

/// The file, held against other processes.
#[derive(Debug)]
pub struct HeadFile {
    path: PathBuf,
    _hold: Hold,
}

/// Why the head could not be read, written or held.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    #[error("the head file cannot be used")]
    Disk(#[from] DiskError),
    #[error("another process writes this log: it holds `{}`", path.display())]
    Held { path: PathBuf },
    #[error("the head file `{}` lies within the log's data", path.display())]
    Inside { path: PathBuf },
    #[error("the head file `{}` is damaged", path.display())]
    Damaged {
        path: PathBuf,
        #[source]
        source: CheckpointError,
    },
}

impl HeadError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Disk(error) => error.hint(),
            Self::Held { .. } => "stop the other `loa serve` on this log",
            Self::Inside { .. } => {
                "name a place on another disk: inside, it would be restored with the data"
            }
            Self::Damaged { .. } => {
                "take the three lines from the newest checkpoint that a witness holds"
            }
        }
    }
}

impl HeadFile {
    /// Takes the file at `path` for a log in `folder`; no other process can until it is dropped.
    pub fn hold<D: Disk>(disk: &D, path: &Path, folder: &Path) -> Result<Self, HeadError> {
        if path.starts_with(folder) {
            return Err(HeadError::Inside { path: path.to_owned() });
        }
        let mut name = path.as_os_str().to_owned();
        name.push(".held");
        let held = PathBuf::from(name);
        match disk.hold(&held).map_err(DiskError::at("hold", &held))? {
            Some(hold) => Ok(Self { path: path.to_owned(), _hold: hold }),
            None => Err(HeadError::Held { path: held }),
        }
    }

    /// Returns where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the head; `None` before the first.
    pub fn read<D: Disk>(&self, disk: &D) -> Result<Option<Checkpoint>, HeadError> {
        let Some(bytes) =
            disk.read(&self.path, HEAD_BYTES).map_err(DiskError::at("read", &self.path))?
        else {
            return Ok(None);
        };
        Checkpoint::parse_text(&String::from_utf8_lossy(&bytes))
            .map(Some)
            .map_err(|source| HeadError::Damaged { path: self.path.clone(), source })
    }

    /// Writes the head, durably.
    pub fn write<D: Disk>(&self, disk: &D, head: &Checkpoint) -> Result<(), HeadError> {
        let folder = self.path.parent().unwrap_or(&self.path);
        Ok(replace(disk, folder, &[(self.path.clone(), head.text().as_bytes())])?)
    }
}

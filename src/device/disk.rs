//! Files that must survive a cut of power: written beside, synced, renamed, folder synced.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Largest file of ours that is read whole.
const MOST: u64 = 4 * 1024 * 1024;

/// Replaces a file as a whole; only its owner may read it.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(beside, path)?;
    sync_folder(path)
}

/// Replaces a file by a value as JSON.
pub fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    write(path, &serde_json::to_vec(value).map_err(io::Error::other)?)
}

/// Reads a file of ours; `None` when it is not there, too large or not what it should be.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let bytes = read(path)?;
    serde_json::from_slice(&bytes).ok()
}

/// Reads a file of ours; `None` when it is not there or too large.
pub fn read(path: &Path) -> Option<Vec<u8>> {
    if std::fs::metadata(path).ok()?.len() > MOST {
        return None;
    }
    std::fs::read(path).ok()
}

/// Makes the name of a file durable.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

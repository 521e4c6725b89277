//! Files that must survive a killed process and a cut of power.
//!
//! [`replace`] is the only way in which the log changes a file: written beside, synced, renamed,
//! folders synced; so a name never stands for half a content. The trait is the seam at which tests
//! kill the process or cut the power between any two steps.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Files synced at the same time.
const AT_ONCE: usize = 32;

/// What a log needs of a disk. Each method is one step that may be the last.
pub trait Disk: Send + Sync {
    /// Reads a file of at most `most` bytes; `None` when it is not there.
    fn read(&self, path: &Path, most: u64) -> io::Result<Option<Vec<u8>>>;
    /// Writes a file anew; durable after [`Disk::sync`] only.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Makes the contents of files durable.
    fn sync(&self, files: &[PathBuf]) -> io::Result<()>;
    /// Gives a file another's name; durable after [`Disk::sync_folders`] only.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the names in folders durable.
    fn sync_folders(&self, folders: &[PathBuf]) -> io::Result<()>;
    /// Makes a folder in one that is there; nothing happens when it exists. Returns whether it is
    /// new.
    fn make_folder(&self, folder: &Path) -> io::Result<bool>;
    /// Lists the names in a folder; none when it is not there.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;
    /// Removes a file; nothing happens when it is not there.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty folder; nothing happens when it is not there.
    fn remove_folder(&self, folder: &Path) -> io::Result<()>;
    /// Keeps other processes of this machine out until the guard is dropped or the process ends;
    /// `None` when another one is in already.
    fn hold(&self, path: &Path) -> io::Result<Option<Hold>>;
}

/// Keeps other processes out.
#[derive(Debug)]
pub struct Hold {
    _file: Option<File>,
}

impl Hold {
    /// Returns a guard that guards nothing, for disks that no other process sees.
    pub fn none() -> Self {
        Self { _file: None }
    }
}

/// A step on a disk that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} `{}`", path.display())]
pub struct DiskError {
    pub what: &'static str,
    pub path: PathBuf,
    #[source]
    pub source: io::Error,
}

impl DiskError {
    pub(crate) fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { what, path, source }
    }

    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "free space; the log goes on by itself and nothing was signed meanwhile"
            }
            io::ErrorKind::FileTooLarge => "this is no file of the log: move it away",
            _ => "check that the folder is there, mounted and belongs to this user",
        }
    }
}

/// Replaces files below the folder `base` as wholes: all contents are durable before the first name
/// changes, and all names up to `base` when it returns. Folders are made where they lack; one that
/// is there may have been made by a process that was killed before it could sync, so each is synced.
pub fn replace(disk: &dyn Disk, base: &Path, files: &[(PathBuf, &[u8])]) -> Result<(), DiskError> {
    let mut folders = BTreeSet::new();
    let mut beside = Vec::with_capacity(files.len());
    for (path, bytes) in files {
        if let Some(folder) = path.parent().filter(|folder| !folders.contains(*folder)) {
            make_folders(disk, folder)?;
        }
        folders.extend(folders_of(base, path));
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let new = PathBuf::from(name);
        disk.write(&new, bytes).map_err(DiskError::at("write", &new))?;
        beside.push(new);
    }
    if let Some(first) = beside.first() {
        disk.sync(&beside).map_err(DiskError::at("sync", first))?;
    }
    for (new, (path, _)) in beside.iter().zip(files) {
        disk.rename(new, path).map_err(DiskError::at("rename to", path))?;
    }
    sync_folders(disk, &folders)
}

/// Returns the folders from that of a file up to `base`: what must be synced for its name to stay.
pub fn folders_of<'a>(base: &'a Path, path: &'a Path) -> impl Iterator<Item = PathBuf> + 'a {
    path.ancestors().skip(1).take_while(move |above| above.starts_with(base)).map(Path::to_owned)
}

/// Makes the names in these folders durable.
pub fn sync_folders(disk: &dyn Disk, folders: &BTreeSet<PathBuf>) -> Result<(), DiskError> {
    let folders: Vec<PathBuf> = folders.iter().cloned().collect();
    match folders.first() {
        Some(first) => disk.sync_folders(&folders).map_err(DiskError::at("sync", first)),
        None => Ok(()),
    }
}

/// Makes a base folder where it lacks, and its name durable all the way up. Folders above that
/// this user may not read were not made by us, so they are passed over.
pub fn settle(disk: &dyn Disk, base: &Path) -> Result<(), DiskError> {
    make_folders(disk, base)?;
    for above in base.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
        match disk.sync_folders(&[above.to_owned()]) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced.map_err(DiskError::at("sync", above))?,
        }
    }
    Ok(())
}

/// Makes a folder and those above it, not durably.
fn make_folders(disk: &dyn Disk, folder: &Path) -> Result<(), DiskError> {
    let wrong = |source| DiskError { what: "make", path: folder.to_owned(), source };
    match disk.make_folder(folder) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let Some(above) = folder.parent().filter(|above| !above.as_os_str().is_empty()) else {
                return Err(wrong(error));
            };
            make_folders(disk, above)?;
            disk.make_folder(folder).map(drop).map_err(wrong)
        }
        Err(error) => Err(wrong(error)),
    }
}

/// The machine's own disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn read(&self, path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(Some(bytes))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        last::step();
        File::create(path)?.write_all(bytes)
    }

    fn sync(&self, files: &[PathBuf]) -> io::Result<()> {
        #[cfg(test)]
        last::step();
        sync_all(files)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        #[cfg(test)]
        last::step();
        fs::rename(from, to)
    }

    fn sync_folders(&self, folders: &[PathBuf]) -> io::Result<()> {
        #[cfg(test)]
        last::step();
        sync_all(folders)
    }

    fn make_folder(&self, folder: &Path) -> io::Result<bool> {
        #[cfg(test)]
        last::step();
        match fs::create_dir(folder) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let name =
            |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        let mut names = entries.map(name).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        #[cfg(test)]
        last::step();
        match fs::remove_file(path) {
            Err(error) if !is_absent(&error) => Err(error),
            _ => Ok(()),
        }
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        #[cfg(test)]
        last::step();
        match fs::remove_dir(folder) {
            Err(error) if !is_absent(&error) => Err(error),
            _ => Ok(()),
        }
    }

    fn hold(&self, path: &Path) -> io::Result<Option<Hold>> {
        let file = File::options().create(true).append(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Hold { _file: Some(file) })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Syncs at once what may be synced in any order: the file system then writes its journal once for
/// all (16 files: 9 ms instead of 85 on the ext4 it was tried on).
fn sync_all(paths: &[PathBuf]) -> io::Result<()> {
    let sync = |path: &PathBuf| File::open(path)?.sync_all();
    for some in paths.chunks(AT_ONCE) {
        let Some((own, others)) = some.split_first() else { continue };
        std::thread::scope(|scope| {
            let others: Vec<_> = others.iter().map(|p| scope.spawn(move || sync(p))).collect();
            let failed = |_| Err(io::Error::other("a thread that synced a file failed"));
            let own = sync(own);
            others.into_iter().map(|one| one.join().unwrap_or_else(failed)).fold(own, Result::and)
        })?;
    }
    Ok(())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Ends a process of the tests for good, as `kill -9` does, before a step of its own choice.
#[cfg(test)]
pub(crate) mod last {
    use std::sync::atomic::{AtomicI64, Ordering};

    static LEFT: AtomicI64 = AtomicI64::new(i64::MAX);

    /// So many steps are done, the next one is not.
    pub fn after(steps: i64) {
        LEFT.store(steps, Ordering::SeqCst);
    }

    pub fn step() {
        if LEFT.fetch_sub(1, Ordering::SeqCst) == 0 {
            std::process::abort();
        }
    }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;

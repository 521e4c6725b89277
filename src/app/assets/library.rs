//! The library of assets: immutable bytes under their names.

use crate::domain::chunk::{AssetHasher, AssetName, ChunkSize};
use crate::domain::ids::Digest;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Bytes copied at once.
const PIECE: usize = 256 * 1024;
/// How unfinished files end.
const PART: &str = ".part";

/// Why the library did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    #[error("the disk of the asset library `{folder}` is full")]
    Full {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("reading the clip to import")]
    Source(#[source] io::Error),
    #[error("a clip above {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("`{folder}` holds {used} bytes, and {more} more would be above its bound of {most}")]
    Quota { folder: PathBuf, used: u64, more: u64, most: u64 },
    #[error("{doing} `{path}`")]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl LibraryError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Full { .. } => "free space on the disk of `--data`; nothing was lost",
            Self::Source(_) => "check the file and its permissions",
            Self::TooLarge { .. } => "cut the clip, or store it at a lower bit rate",
            Self::Quota { .. } => {
                "raise `brought_mib` under `[retention]` of station.toml if the disk has room; \
                 nothing that was brought is ever deleted to make room"
            }
            Self::Io { .. } => "check disk and permissions of `--data`",
        }
    }
}

/// Keeps assets. Blocking: call it off the async threads.
pub trait Library: Send + Sync {
    /// Keeps all bytes of the source, durably when it returns, and names them. What is already
    /// there is left as it is.
    fn import(&self, source: &mut dyn Read, limit: u64) -> Result<AssetName, LibraryError>;
    /// Returns an empty file on the library's disk that has no name: gone with whoever holds it.
    fn spool(&self) -> Result<File, LibraryError>;
    /// Returns the length of an asset, or `None` when it is not there.
    fn bytes(&self, sha256: &Digest) -> Result<Option<u64>, LibraryError>;
    /// Returns up to `length` bytes from `offset`, or `None` when the asset is not there.
    fn read(
        &self,
        sha256: &Digest,
        offset: u64,
        length: usize,
    ) -> Result<Option<Vec<u8>>, LibraryError>;
}

fn sizes() -> AssetHasher {
    AssetHasher::new(&ChunkSize::ALL)
}

/// A folder with one file for each asset, called by its hash.
#[derive(Debug)]
pub struct FileLibrary {
    folder: PathBuf,
    /// Bytes of all files together, where that is bounded.
    most: Option<u64>,
    /// One at a time is measured and named, so that none slips in between.
    turn: Mutex<()>,
}

impl FileLibrary {
    /// Opens or makes the folder; removes what an interrupted import left.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, LibraryError> {
        let folder = folder.into();
        let fail = |doing| {
            let path = folder.clone();
            move |source| LibraryError::Io { doing, path, source }
        };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(fail("making the folder"))?;
        for entry in fs::read_dir(&folder).map_err(fail("reading the folder"))? {
            let path = entry.map_err(fail("reading the folder"))?.path();
            if path.to_string_lossy().ends_with(PART) {
                // A second server may be importing just now; losing its file only repeats that.
                let _ = fs::remove_file(path);
            }
        }
        Ok(Self { folder, most: None, turn: Mutex::new(()) })
    }

    /// Bounds all files together.
    #[must_use]
    pub fn bounded(self, most: u64) -> Self {
        Self { most: Some(most), ..self }
    }

    /// Refuses what would be too much beside what is there.
    fn check_room(&self, more: u64) -> Result<(), LibraryError> {
        let Some(most) = self.most else { return Ok(()) };
        let fail = |source| self.io("reading the folder", &self.folder, source);
        let mut used = 0_u64;
        for entry in fs::read_dir(&self.folder).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            if entry.file_name().to_string_lossy().ends_with(PART) {
                continue;
            }
            // What is gone meanwhile takes no room.
            used = used.saturating_add(entry.metadata().map_or(0, |meta| meta.len()));
        }
        if used.saturating_add(more) > most {
            let folder = self.folder.clone();
            return Err(LibraryError::Quota { folder, used, more, most });
        }
        Ok(())
    }

    /// Returns where an asset lies.
    pub fn path(&self, sha256: &Digest) -> PathBuf {
        self.folder.join(sha256.to_string())
    }

    /// Imports a file as it is.
    pub fn import_file(&self, path: &Path, limit: u64) -> Result<AssetName, LibraryError> {
        self.import(&mut File::open(path).map_err(LibraryError::Source)?, limit)
    }

    fn io(&self, doing: &'static str, path: &Path, source: io::Error) -> LibraryError {
        if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            return LibraryError::Full { folder: self.folder.clone(), source };
        }
        LibraryError::Io { doing, path: path.to_owned(), source }
    }

    fn copy(
        &self,
        source: &mut dyn Read,
        part: &Path,
        limit: u64,
    ) -> Result<AssetName, LibraryError> {
        let mut out = File::create(part).map_err(|e| self.io("creating", part, e))?;
        let mut hasher = sizes();
        let mut buffer = vec![0; PIECE];
        let mut total = 0_u64;
        loop {
            let n = match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(LibraryError::Source(error)),
            };
            total += n as u64;
            if total > limit {
                return Err(LibraryError::TooLarge { limit });
            }
            let piece = buffer.get(..n).unwrap_or_default();
            hasher.update(piece);
            out.write_all(piece).map_err(|e| self.io("writing", part, e))?;
        }
        out.sync_all().map_err(|e| self.io("syncing", part, e))?;
        Ok(hasher.finish())
    }
}

impl Library for FileLibrary {
    fn import(&self, source: &mut dyn Read, limit: u64) -> Result<AssetName, LibraryError> {
        let name = format!("{:016x}{PART}", getrandom::u64().unwrap_or_default());
        let part = self.folder.join(name);
        let kept = self.copy(source, &part, limit).and_then(|name| {
            let path = self.path(&name.sha256);
            let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            if !path.exists() {
                let more = fs::metadata(&part).map_err(|e| self.io("reading", &part, e))?.len();
                self.check_room(more)?;
            }
            fs::rename(&part, &path).map_err(|e| self.io("renaming to", &path, e))?;
            // The name is durable only when the folder is.
            let folder = File::open(&self.folder).and_then(|folder| folder.sync_all());
            folder.map_err(|e| self.io("syncing", &self.folder, e))?;
            Ok(name)
        });
        if kept.is_err() {
            let _ = fs::remove_file(&part);
        }
        kept
    }

    fn spool(&self) -> Result<File, LibraryError> {
        self.check_room(0)?;
        nameless(&self.folder).map_err(|e| self.io("creating a file in", &self.folder, e))
    }

    fn bytes(&self, sha256: &Digest) -> Result<Option<u64>, LibraryError> {
        let path = self.path(sha256);
        match fs::metadata(&path) {
            Ok(meta) => Ok(Some(meta.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.io("reading", &path, error)),
        }
    }

    fn read(
        &self,
        sha256: &Digest,
        offset: u64,
        length: usize,
    ) -> Result<Option<Vec<u8>>, LibraryError> {
        let path = self.path(sha256);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io("opening", &path, error)),
        };
        let mut bytes = Vec::with_capacity(length);
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.take(length as u64).read_to_end(&mut bytes))
            .map_err(|e| self.io("reading", &path, e))?;
        Ok(Some(bytes))
    }
}

/// Makes a file and takes its name away: whatever ends the process leaves nothing behind.
fn nameless(folder: &Path) -> io::Result<File> {
    let path = folder.join(format!("{:016x}{PART}", getrandom::u64().unwrap_or_default()));
    let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

/// The twin in memory.
#[derive(Debug, Default)]
pub struct MemoryLibrary(Mutex<BTreeMap<Digest, Vec<u8>>>);

impl Library for MemoryLibrary {
    fn import(&self, source: &mut dyn Read, limit: u64) -> Result<AssetName, LibraryError> {
        let mut bytes = Vec::new();
        source.take(limit + 1).read_to_end(&mut bytes).map_err(LibraryError::Source)?;
        if bytes.len() as u64 > limit {
            return Err(LibraryError::TooLarge { limit });
        }
        let mut hasher = sizes();
        hasher.update(&bytes);
        let name = hasher.finish();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.sha256, bytes);
        Ok(name)
    }

    fn spool(&self) -> Result<File, LibraryError> {
        let path = std::env::temp_dir();
        nameless(&path).map_err(|source| LibraryError::Io {
            doing: "creating a file in",
            path,
            source,
        })
    }

    fn bytes(&self, sha256: &Digest) -> Result<Option<u64>, LibraryError> {
        let assets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(assets.get(sha256).map(|bytes| bytes.len() as u64))
    }

    fn read(
        &self,
        sha256: &Digest,
        offset: u64,
        length: usize,
    ) -> Result<Option<Vec<u8>>, LibraryError> {
        let assets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok(assets.get(sha256).map(|bytes| {
            bytes.get(from..).unwrap_or_default().iter().take(length).copied().collect()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract(library: &dyn Library) {
        let bytes: Vec<u8> = (0..150_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let name = library.import(&mut bytes.as_slice(), 1 << 20).unwrap();
        assert_eq!(name.sha256, Digest::of(&bytes));
        assert_eq!(name.sums.keys().collect::<Vec<_>>(), ["16", "32", "64"]);
        assert_eq!(library.import(&mut bytes.as_slice(), 1 << 20).unwrap(), name, "once more");
        assert_eq!(library.bytes(&name.sha256).unwrap(), Some(150_000));
        let second = library.read(&name.sha256, 65_536, 65_536).unwrap().unwrap();
        assert_eq!(second, bytes[65_536..131_072]);
        let last = library.read(&name.sha256, 131_072, 65_536).unwrap().unwrap();
        assert_eq!(last, bytes[131_072..]);
        assert_eq!(library.read(&name.sha256, 1 << 40, 9).unwrap().unwrap(), [0_u8; 0]);
        let unknown = Digest::of(b"unknown");
        assert_eq!(library.bytes(&unknown).unwrap(), None);
        assert_eq!(library.read(&unknown, 0, 9).unwrap(), None);
        let refused = library.import(&mut bytes.as_slice(), 149_999).unwrap_err();
        assert_eq!(refused.to_string(), "a clip above 149999 bytes");
    }

    #[test]
    fn the_library_in_memory_keeps_the_contract() {
        contract(&MemoryLibrary::default());
    }

    #[test]
    fn the_library_on_disk_keeps_the_contract_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let library = FileLibrary::open(folder.path().join("thư viện")).unwrap();
        contract(&library);
        let left: Vec<_> = fs::read_dir(&library.folder).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn an_interrupted_import_leaves_no_asset_and_is_cleared_at_the_next_start() {
        struct Breaks(u8);
        impl Read for Breaks {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0 += 1;
                if self.0 > 2 { Err(io::Error::other("gone")) } else { Ok(buffer.len()) }
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let library = FileLibrary::open(folder.path()).unwrap();
        assert!(matches!(library.import(&mut Breaks(0), u64::MAX), Err(LibraryError::Source(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        fs::write(folder.path().join("0123.part"), "half").unwrap();
        FileLibrary::open(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_bounded_folder_refuses_what_would_be_too_much_and_keeps_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let library = FileLibrary::open(folder.path()).unwrap().bounded(10);
        let first = library.import(&mut &b"12345678"[..], 100).unwrap();
        let refused = library.import(&mut &b"123"[..], 100).unwrap_err();
        assert!(
            matches!(refused, LibraryError::Quota { used: 8, more: 3, most: 10, .. }),
            "{refused}"
        );
        assert!(refused.hint().contains("brought_mib"));
        library.import(&mut &b"12345678"[..], 100).unwrap();
        library.import(&mut &b"12"[..], 100).unwrap();
        assert_eq!(library.bytes(&first.sha256).unwrap(), Some(8));
        let names = || fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names(), 2, "nothing half done is left");
        let mut spool = library.spool().unwrap();
        spool.write_all(b"much more than the bound").unwrap();
        assert_eq!(names(), 2, "it has no name");
        drop(library.bounded(9).spool().unwrap_err());
    }
}

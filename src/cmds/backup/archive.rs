//! The file of a backup: a tar of members, the list of them, and the hash of it all.
//!
//! ```text
//! data/store.db, data/epochs.json, data/assets/…   the data folder of the server
//! station/…, profiles/…                            station folder and device profiles
//! manifest.json                                    what stands before it, with lengths and hashes
//! loa-backup sha256 <64 hex digits>                one line over every byte before it
//! ```
//! Any `tar` unpacks it, since it stops before the last line.
//!
//! # Invariants
//! * Nothing is taken from a file that is not whole: the last line is checked first, then every
//!   member against the list, and again while it is unpacked.
//! * A path names a plain file below one of the three folders, whoever wrote the archive; anything
//!   else refuses the whole file. Links and special files are none.

use crate::domain::ids::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

/// Name of the list.
const MANIFEST: &str = "manifest.json";
/// Largest list, some 500,000 members.
const MOST_MANIFEST: u64 = 128 << 20;
/// How the last line begins; it ends with the hash and a line end.
const LAST: &[u8] = b"loa-backup sha256 ";
const LAST_BYTES: u64 = LAST.len() as u64 + 65;
/// The folders that members lie in.
pub const FOLDERS: [&str; 3] = ["data", "station", "profiles"];

/// Why a backup was not written or is not used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("reading `{path}`")]
    Read { path: PathBuf, source: io::Error },
    #[error("writing `{path}`")]
    Write { path: PathBuf, source: io::Error },
    #[error("`{path}` changed while it was read")]
    Changed { path: PathBuf },
    #[error("`{path}` is no backup of loa, or it is cut short: its last line is missing")]
    Foreign { path: PathBuf },
    #[error("`{path}` is damaged: its bytes have the hash {found}, its last line says {said}")]
    Damaged { path: PathBuf, found: Digest, said: Digest },
    #[error("`{path}`: member `{member}` is {what}")]
    Member { path: PathBuf, member: String, what: &'static str },
    #[error("`{path}`: its list of members cannot be read")]
    List { path: PathBuf, source: serde_json::Error },
    #[error("`{path}` has version {v}; this program reads version 1")]
    Version { path: PathBuf, v: u32 },
}

impl ArchiveError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "check the path and its permissions",
            Self::Write { .. } => "check permissions and free space; nothing was replaced",
            Self::Changed { .. } => "run the command again",
            Self::Foreign { .. } | Self::Damaged { .. } => {
                "take another copy, or the backup before it; nothing was restored"
            }
            Self::Member { .. } | Self::List { .. } => {
                "no `loa backup` writes such a file: do not trust where it came from"
            }
            Self::Version { .. } => "restore it with the version of loa that wrote it, or a newer",
        }
    }
}

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub v: u32,
    /// When it was made, RFC 3339.
    pub made: String,
    /// The program that made it.
    pub loa: String,
    /// Name of the station, for people.
    pub station: String,
    /// Whether private keys are in it.
    pub keys: bool,
    pub records: u64,
    pub devices: u64,
    /// Private files that were left out, by the names they would have.
    pub left_out: Vec<String>,
    pub members: Vec<Member>,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub path: String,
    pub bytes: u64,
    pub sha256: Digest,
}

/// Hashes what passes through.
struct Hashing<T> {
    inner: T,
    hash: Sha256,
    bytes: u64,
}

impl<T> Hashing<T> {
    fn new(inner: T) -> Self {
        Self { inner, hash: Sha256::new(), bytes: 0 }
    }

    fn digest(self) -> (Digest, u64) {
        (Digest(self.hash.finalize().into()), self.bytes)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.hash.update(&into[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// A backup being written; only its owner can read it.
pub struct Packer {
    path: PathBuf,
    tar: tar::Builder<Hashing<BufWriter<File>>>,
    members: Vec<Member>,
}

impl Packer {
    /// Makes the file, which must not be there.
    pub fn create(path: &Path) -> Result<Self, ArchiveError> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|source| ArchiveError::Write { path: path.to_owned(), source })?;
        let tar = tar::Builder::new(Hashing::new(BufWriter::new(file)));
        Ok(Self { path: path.to_owned(), tar, members: Vec::new() })
    }

    /// Adds a file under a name.
    pub fn add(&mut self, name: &str, from: &Path) -> Result<(), ArchiveError> {
        let read = |source| ArchiveError::Read { path: from.to_owned(), source };
        let file = File::open(from).map_err(read)?;
        let meta = file.metadata().map_err(read)?;
        let modified = meta.modified().ok();
        let since = modified.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let mut source = Hashing::new(file.take(meta.len()));
        self.entry(name, meta.len(), since.map_or(0, |since| since.as_secs()), &mut source)?;
        let (sha256, bytes) = source.digest();
        if bytes != meta.len() {
            return Err(ArchiveError::Changed { path: from.to_owned() });
        }
        self.members.push(Member { path: name.to_owned(), bytes, sha256 });
        Ok(())
    }

    fn entry(
        &mut self,
        name: &str,
        bytes: u64,
        modified_s: u64,
        source: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes);
        header.set_mode(0o600);
        header.set_mtime(modified_s);
        header.set_entry_type(tar::EntryType::Regular);
        let written = self.tar.append_data(&mut header, name, source);
        written.map_err(|source| ArchiveError::Write { path: self.path.clone(), source })
    }

    /// Writes list and last line; durable when it returns.
    pub fn finish(mut self, mut manifest: Manifest) -> Result<Manifest, ArchiveError> {
        manifest.members = std::mem::take(&mut self.members);
        let list = serde_json::to_vec_pretty(&manifest)
            .map_err(|source| ArchiveError::List { path: self.path.clone(), source })?;
        self.entry(MANIFEST, list.len() as u64, 0, &mut list.as_slice())?;
        let path = self.path;
        let end = self.tar.into_inner().and_then(|hashing| {
            let Hashing { inner: mut file, hash, .. } = hashing;
            let digest = Digest(hash.finalize().into());
            file.write_all(LAST)?;
            writeln!(file, "{digest}")?;
            file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
        });
        end.map_err(|source| ArchiveError::Write { path, source })?;
        Ok(manifest)
    }
}

/// Checks a backup as a whole and every member of it; returns what it holds.
pub fn verify(path: &Path) -> Result<Manifest, ArchiveError> {
    let read = |source| ArchiveError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(read)?;
    let length = file.metadata().map_err(read)?.len();
    let foreign = || ArchiveError::Foreign { path: path.to_owned() };
    let body = length.checked_sub(LAST_BYTES).ok_or_else(foreign)?;
    file.seek(SeekFrom::Start(body)).map_err(read)?;
    let mut last = Vec::new();
    (&mut file).take(LAST_BYTES).read_to_end(&mut last).map_err(read)?;
    let said = last.strip_prefix(LAST).and_then(|rest| rest.strip_suffix(b"\n"));
    let said = said.and_then(|hex| std::str::from_utf8(hex).ok()?.parse::<Digest>().ok());
    let said = said.ok_or_else(foreign)?;
    file.seek(SeekFrom::Start(0)).map_err(read)?;
    let mut whole = Hashing::new(BufReader::with_capacity(1 << 18, file).take(body));
    io::copy(&mut whole, &mut io::sink()).map_err(read)?;
    let (found, _) = whole.digest();
    if found != said {
        return Err(ArchiveError::Damaged { path: path.to_owned(), found, said });
    }
    each(path, |_, source| io::copy(source, &mut io::sink()).map(|_| ()))
}

/// Unpacks a backup whose folders have been given places; every byte is checked again.
pub fn unpack(path: &Path, place: impl Fn(&str) -> PathBuf) -> Result<Manifest, ArchiveError> {
    each(path, |member, source| {
        let (folder, below) = member.split_once('/').unwrap_or((member, ""));
        let to = place(folder).join(below);
        if let Some(parent) = to.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&to)?;
        io::copy(source, &mut file)?;
        file.sync_all()
    })
}

/// Hands every member to `take` in order, checks it against the list, and returns the list.
fn each(
    path: &Path,
    mut take: impl FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> Result<Manifest, ArchiveError> {
    let read = |source| ArchiveError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(read)?;
    let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 18, file));
    let mut members: Vec<Member> = Vec::new();
    let mut names: BTreeSet<String> = BTreeSet::new();
    for entry in archive.entries().map_err(read)? {
        let mut entry = entry.map_err(read)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let shown: String = name.chars().filter(|c| !c.is_control()).take(200).collect();
        let refuse = |what| {
            let (path, member) = (path.to_owned(), shown.clone());
            Err(ArchiveError::Member { path, member, what })
        };
        if !entry.header().entry_type().is_file() {
            return refuse("no plain file");
        }
        if name == MANIFEST {
            let mut list = Vec::new();
            entry.take(MOST_MANIFEST).read_to_end(&mut list).map_err(read)?;
            let manifest: Manifest = serde_json::from_slice(&list)
                .map_err(|source| ArchiveError::List { path: path.to_owned(), source })?;
            if manifest.v != 1 {
                return Err(ArchiveError::Version { path: path.to_owned(), v: manifest.v });
            }
            if manifest.members != members {
                return refuse("other than the members before it");
            }
            return Ok(manifest);
        }
        if !is_inside(&name) {
            return refuse("outside the folders of a backup");
        }
        if !names.insert(name.clone()) {
            return refuse("there twice");
        }
        let mut source = Hashing::new(&mut entry);
        take(&name, &mut source).map_err(read)?;
        let (sha256, bytes) = source.digest();
        members.push(Member { path: name, bytes, sha256 });
    }
    let (path, member) = (path.to_owned(), MANIFEST.to_owned());
    Err(ArchiveError::Member { path, member, what: "missing" })
}

/// Says whether a name is a plain path below one of the folders.
fn is_inside(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let folder = matches!(parts.next(), Some(Component::Normal(first))
        if first.to_str().is_some_and(|first| FOLDERS.contains(&first)));
    let rest: Vec<_> = parts.collect();
    let plain = rest.iter().all(|part| matches!(part, Component::Normal(_)));
    // Components forgive `//` and a slash at the end; a member's name does not.
    let again: usize = rest.iter().map(|part| part.as_os_str().len() + 1).sum();
    let first = name.split('/').next().map_or(0, str::len);
    folder
        && plain
        && (1..=32).contains(&rest.len())
        && first + again == name.len()
        && !name.contains(['\0', '\\'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            v: 1,
            made: "2026-12-01T05:00:00+07:00".into(),
            loa: "0.1.0".into(),
            station: "Đài xã".into(),
            keys: false,
            records: 0,
            devices: 0,
            left_out: Vec::new(),
            members: Vec::new(),
        }
    }

    /// A small backup, and the folder it lies in.
    fn packed() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let long = format!("station/clips/{}.mp3", "bản tin ".repeat(20).trim());
        fs::write(dir.path().join("a"), "một").unwrap();
        fs::write(dir.path().join("b"), vec![7; 100_000]).unwrap();
        let path = dir.path().join("sao lưu.loa");
        let mut packer = Packer::create(&path).unwrap();
        packer.add("data/store.db", &dir.path().join("a")).unwrap();
        packer.add(&long, &dir.path().join("b")).unwrap();
        packer.finish(manifest()).unwrap();
        (dir, path)
    }

    fn refused(path: &Path) -> String {
        let error = verify(path).unwrap_err();
        assert!(!error.hint().is_empty());
        error.to_string()
    }

    #[test]
    fn what_is_packed_comes_out_as_it_was() {
        let (dir, path) = packed();
        let held = verify(&path).unwrap();
        let names: Vec<_> = held.members.iter().map(|m| (&m.path[..13], m.bytes)).collect();
        assert_eq!(names, [("data/store.db", 5), ("station/clips", 100_000)]);
        let out = dir.path().join("ra");
        assert_eq!(unpack(&path, |folder| out.join(folder)).unwrap(), held);
        assert_eq!(fs::read(out.join("data/store.db")).unwrap(), "một".as_bytes());
        assert_eq!(fs::read(out.join(&held.members[1].path)).unwrap().len(), 100_000);
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(Packer::create(&path), Err(ArchiveError::Write { .. })), "never over");
        let again = unpack(&path, |folder| out.join(folder));
        assert!(matches!(again, Err(ArchiveError::Read { .. })), "nor over what is there");
    }

    #[test]
    fn cut_foreign_and_flipped_files_are_refused() {
        let (dir, path) = packed();
        let good = fs::read(&path).unwrap();
        let bad = dir.path().join("hỏng");
        for keep in [0, 1, 512, good.len() / 2, good.len() - 1] {
            fs::write(&bad, &good[..keep]).unwrap();
            assert!(refused(&bad).contains("no backup of loa, or it is cut short"), "{keep}");
        }
        for at in (0..good.len() - LAST.len() - 65).step_by(997) {
            let mut flipped = good.clone();
            flipped[at] ^= 1;
            fs::write(&bad, flipped).unwrap();
            assert!(refused(&bad).contains("is damaged"), "{at}");
        }
        fs::write(&bad, "không phải".repeat(5_000)).unwrap();
        assert!(refused(&bad).contains("no backup of loa"));
    }

    /// Writes an archive by other means and gives it a right last line.
    fn forged(path: &Path, write: impl FnOnce(&mut tar::Builder<Vec<u8>>)) {
        let mut tar = tar::Builder::new(Vec::new());
        write(&mut tar);
        let mut bytes = tar.into_inner().unwrap();
        let digest = Digest::of(&bytes);
        bytes.extend_from_slice(LAST);
        bytes.extend_from_slice(format!("{digest}\n").as_bytes());
        fs::write(path, bytes).unwrap();
    }

    fn header(name: &str, kind: tar::EntryType) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        // Past the checks of the crate, as a forger's own program would.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(1);
        header.set_entry_type(kind);
        header.set_cksum();
        header
    }

    #[test]
    fn paths_that_leave_the_folders_and_links_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("giả");
        for name in [
            "../x",
            "data/../../x",
            "/etc/x",
            "data",
            "data/",
            "data//x",
            "other/x",
            "x",
            "./data/x",
            "data/a\\..\\x",
            "data/./x",
        ] {
            let plain = header(name, tar::EntryType::Regular);
            forged(&path, |tar| tar.append(&plain, &b"x"[..]).unwrap());
            assert!(refused(&path).contains("outside the folders"), "{name}");
        }
        for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Directory] {
            let mut odd = header("data/x", kind);
            odd.set_size(0);
            odd.set_link_name("/etc/passwd").unwrap();
            odd.set_cksum();
            forged(&path, |tar| tar.append(&odd, &b""[..]).unwrap());
            assert!(refused(&path).contains("no plain file"), "{kind:?}");
        }
        let member = header("data/x", tar::EntryType::Regular);
        forged(&path, |tar| {
            tar.append(&member, &b"x"[..]).unwrap();
            tar.append(&member, &b"y"[..]).unwrap();
        });
        assert!(refused(&path).contains("there twice"));
        forged(&path, |tar| tar.append(&member, &b"x"[..]).unwrap());
        assert!(refused(&path).contains("member `manifest.json` is missing"));
        let list = |v, members: Vec<Member>| {
            serde_json::to_vec(&Manifest { v, members, ..manifest() }).unwrap()
        };
        for (list, told) in [
            (list(1, vec![]), "other than the members before it"),
            (list(2, vec![]), "has version 2"),
            (b"{}".to_vec(), "cannot be read"),
        ] {
            forged(&path, |tar| {
                tar.append(&member, &b"x"[..]).unwrap();
                let mut header = header(MANIFEST, tar::EntryType::Regular);
                header.set_size(list.len() as u64);
                header.set_cksum();
                tar.append(&header, &list[..]).unwrap();
            });
            assert!(refused(&path).contains(told), "{told}");
        }
    }
}

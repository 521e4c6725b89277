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

mod error;
mod hashing;

pub use error::ArchiveError;

use crate::domain::ids::Digest;
use hashing::Hashing;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
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
mod tests;

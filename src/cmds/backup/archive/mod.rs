//! The file of a backup: a tar of members, the list of them, and the hash of it all.
//!
//! ```text
//! data/store.db, data/epochs.json, data/assets/…   the data folder of the server
//! station/…, profiles/…                            station folder and device profiles
//! private.age                                      keys and passwords, sealed by a passphrase
//! manifest.json                                    what stands before it, with lengths and hashes
//! loa-backup sha256 <64 hex digits>                one line over every byte before it
//! ```
//! Any `tar` unpacks it, since it stops before the last line; `age -d private.age | tar x` the rest.
//! A clip that is an asset too is stored once: the second is a link to the first.
//!
//! # Invariants
//! * Nothing is taken from a file that is not whole: the last line is checked first, then every
//!   member against the list, and again while it is unpacked.
//! * A path names a plain file below one of the three folders, whoever wrote the archive; anything
//!   else refuses the whole file. Links go to a member before them, special files are none.

mod error;
mod hashing;

pub use error::ArchiveError;

use super::sealed::{self, Opener, SealError, Sealer};
use crate::domain::ids::Digest;
use hashing::Hashing;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

/// Name of the list.
const MANIFEST: &str = "manifest.json";
/// Name of what is sealed.
pub const SEALED: &str = "private.age";
/// Version of what is written; older ones are read.
pub const VERSION: u32 = 2;
/// Smallest file that is worth looking whether it is there already.
const WORTH: u64 = 4_096;
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
    /// The private files that are sealed, by the names they would have.
    #[serde(default)]
    pub sealed: Vec<String>,
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
    /// The member before it that has the same bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same: Option<String>,
}

/// What a member of an archive is.
pub enum Part<'a> {
    Bytes(&'a mut dyn Read),
    /// The bytes of the member of this name, which came before.
    Same(&'a str),
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
        if meta.len() >= WORTH && self.add_known(name, meta.len(), from)? {
            return Ok(());
        }
        let mut source = Hashing::new(file.take(meta.len()));
        self.entry(name, meta.len(), since.map_or(0, |since| since.as_secs()), &mut source)?;
        let (sha256, bytes) = source.digest();
        if bytes != meta.len() {
            return Err(ArchiveError::Changed { path: from.to_owned() });
        }
        self.members.push(Member { path: name.to_owned(), bytes, sha256, same: None });
        Ok(())
    }

    /// Adds a link when the bytes are in the archive already.
    fn add_known(&mut self, name: &str, length: u64, from: &Path) -> Result<bool, ArchiveError> {
        let stored = |member: &&Member| member.bytes == length && member.same.is_none();
        if !self.members.iter().any(|member| stored(&member)) {
            return Ok(false);
        }
        let read = |source| ArchiveError::Read { path: from.to_owned(), source };
        let mut source = Hashing::new(File::open(from).map_err(read)?);
        io::copy(&mut source, &mut io::sink()).map_err(read)?;
        let (sha256, bytes) = source.digest();
        let same = |member: &&Member| stored(member) && member.sha256 == sha256;
        let Some(known) = self.members.iter().find(same).map(|known| known.path.clone()) else {
            return Ok(false);
        };
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_mode(0o600);
        header.set_entry_type(tar::EntryType::Link);
        let linked = self.tar.append_link(&mut header, name, &known);
        linked.map_err(|source| ArchiveError::Write { path: self.path.clone(), source })?;
        self.members.push(Member { path: name.to_owned(), bytes, sha256, same: Some(known) });
        Ok(true)
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

/// Checks a backup as a whole and every member of it, the sealed ones too when the passphrase is
/// given; returns what it holds.
pub fn verify(path: &Path, passphrase: Option<&str>) -> Result<Manifest, ArchiveError> {
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
    let mut opened = Vec::new();
    let manifest = each(path, |name, part| match (part, passphrase) {
        (Part::Same(_), _) => Ok(()),
        (Part::Bytes(source), Some(passphrase)) if name == SEALED => {
            opened = open_sealed(source, passphrase, |_, source| sink(source))?;
            Ok(())
        }
        (Part::Bytes(source), _) => sink(source),
    })?;
    if passphrase.is_some() && opened != manifest.sealed {
        let (path, member) = (path.to_owned(), SEALED.to_owned());
        return Err(ArchiveError::Member { path, member, what: "other than the list says" });
    }
    Ok(manifest)
}

fn sink(source: &mut dyn Read) -> io::Result<()> {
    io::copy(source, &mut io::sink()).map(|_| ())
}

/// Unpacks a backup whose folders have been given places; every byte is checked again. Without
/// the passphrase what is sealed is left out.
pub fn unpack(
    path: &Path,
    passphrase: Option<&str>,
    place: impl Fn(&str) -> PathBuf,
) -> Result<Manifest, ArchiveError> {
    let to = |member: &str| {
        let (folder, below) = member.split_once('/').unwrap_or((member, ""));
        place(folder).join(below)
    };
    let put = |member: &str, source: &mut dyn Read| {
        let to = to(member);
        if let Some(parent) = to.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&to)?;
        io::copy(source, &mut file)?;
        file.sync_all()
    };
    each(path, |name, part| match part {
        // A copy: who changes a clip must not change the asset.
        Part::Same(known) => put(name, &mut File::open(to(known))?),
        Part::Bytes(source) if name == SEALED => match passphrase {
            Some(passphrase) => open_sealed(source, passphrase, put).map(|_| ()),
            None => sink(source),
        },
        Part::Bytes(source) => put(name, source),
    })
}

/// Seals files under their names into a new file, which only its owner can read.
pub fn seal(
    path: &Path,
    files: &[(String, PathBuf)],
    passphrase: &str,
) -> Result<(), ArchiveError> {
    let write = |source| ArchiveError::Write { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path).map_err(write)?;
    let sealed = |source| ArchiveError::Sealed { path: path.to_owned(), source };
    let sealer = Sealer::new(BufWriter::new(file), passphrase, sealed::LOG_N).map_err(sealed)?;
    let mut tar = tar::Builder::new(sealer);
    for (name, from) in files {
        let read = |source| ArchiveError::Read { path: from.clone(), source };
        let file = File::open(from).map_err(read)?;
        let length = file.metadata().map_err(read)?.len();
        let mut header = tar::Header::new_gnu();
        header.set_size(length);
        header.set_mode(0o600);
        header.set_entry_type(tar::EntryType::Regular);
        tar.append_data(&mut header, name, file.take(length)).map_err(write)?;
    }
    let file = tar.into_inner().map_err(write)?.finish().map_err(sealed)?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error).map_err(write)?;
    file.sync_all().map_err(write)
}

/// Hands every sealed file to `take`; returns their names.
fn open_sealed(
    source: &mut dyn Read,
    passphrase: &str,
    take: impl Fn(&str, &mut dyn Read) -> io::Result<()>,
) -> io::Result<Vec<String>> {
    let mut source = BufReader::new(source);
    let mut names = Vec::new();
    let opened = Opener::new(&mut source, passphrase).map_err(io::Error::other)?;
    let mut archive = tar::Archive::new(opened);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !(entry.header().entry_type().is_file() && is_inside(&name)) {
            return Err(io::Error::other(SealError::Foreign));
        }
        take(&name, &mut entry)?;
        names.push(name);
    }
    // To its marked end: what was cut off there would not be missed otherwise.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    sink(&mut source)?;
    Ok(names)
}

/// Hands every member to `take` in order, checks it against the list, and returns the list.
fn each(
    path: &Path,
    mut take: impl FnMut(&str, Part<'_>) -> io::Result<()>,
) -> Result<Manifest, ArchiveError> {
    let read = |source: io::Error| match source.downcast::<SealError>() {
        Ok(source) => ArchiveError::Sealed { path: path.to_owned(), source },
        Err(source) => ArchiveError::Read { path: path.to_owned(), source },
    };
    let file = File::open(path).map_err(read)?;
    let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 18, file));
    let mut members: Vec<Member> = Vec::new();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for entry in archive.entries().map_err(read)? {
        let mut entry = entry.map_err(read)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let shown: String = name.chars().filter(|c| !c.is_control()).take(200).collect();
        let refuse = |what| {
            let (path, member) = (path.to_owned(), shown.clone());
            Err(ArchiveError::Member { path, member, what })
        };
        let link = entry.header().entry_type().is_hard_link();
        if !(entry.header().entry_type().is_file() || link) {
            return refuse("no plain file");
        }
        if name == MANIFEST && !link {
            let mut list = Vec::new();
            entry.take(MOST_MANIFEST).read_to_end(&mut list).map_err(read)?;
            let manifest: Manifest = serde_json::from_slice(&list)
                .map_err(|source| ArchiveError::List { path: path.to_owned(), source })?;
            if !(1..=VERSION).contains(&manifest.v) {
                return Err(ArchiveError::Version { path: path.to_owned(), v: manifest.v });
            }
            if manifest.members != members {
                return refuse("other than the members before it");
            }
            return Ok(manifest);
        }
        if !(is_inside(&name) || name == SEALED && !link) {
            return refuse("outside the folders of a backup");
        }
        if names.contains_key(&name) {
            return refuse("there twice");
        }
        let member = if link {
            let target = entry.link_name_bytes().unwrap_or_default();
            let target = String::from_utf8_lossy(&target).into_owned();
            let known = names.get(&target).and_then(|at| members.get(*at));
            let Some(known) = known.filter(|known| known.same.is_none() && target != SEALED) else {
                return refuse("a link to nothing before it");
            };
            let (bytes, sha256) = (known.bytes, known.sha256);
            take(&name, Part::Same(&target)).map_err(read)?;
            Member { path: name.clone(), bytes, sha256, same: Some(target) }
        } else {
            let mut source = Hashing::new(&mut entry);
            take(&name, Part::Bytes(&mut source)).map_err(read)?;
            let (sha256, bytes) = source.digest();
            Member { path: name.clone(), bytes, sha256, same: None }
        };
        names.insert(name, members.len());
        members.push(member);
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

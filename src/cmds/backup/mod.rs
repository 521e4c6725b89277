//! `loa backup`: everything of a server in one file, while it runs; `loa restore` is its other half.
//!
//! The store is checked page by page and copied by itself, consistently; then the assets that it
//! names, the station folder with its clips, the profiles and the certificates. Private keys go
//! along only on demand, sealed by a passphrase: of the data folder everything counts as private
//! that is not known to be public. The root key is never in a backup; it lies in the safe.

mod archive;
pub mod log;
mod passphrase;
pub mod place;
pub mod restore;
mod sealed;

use super::data::{DataFolder, DataOption};
use super::registers::Stationed;
use super::trail::command_line;
use super::{Advise as _, Answer, failed, print_json, print_text, runtime, wrong_use};
use crate::app::ports::{Evidence as _, Registry as _, StoreError, Trail as _};
use crate::app::trail::Entry;
use crate::clock::{Clock as _, SystemClock};
use crate::config::StationConfig;
use crate::domain::recurrence::wall;
use crate::store::SqliteStore;
use anyhow::Context as _;
use archive::{ArchiveError, FOLDERS, Manifest, Packer, SEALED, VERSION};
use chrono::SecondsFormat;
use passphrase::{PassphraseOption, Purpose};
use serde::Serialize;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Files of the data folder that anybody may see.
const PUBLIC: [&str; 3] = ["epochs.json", "root.txt", "ca/ca.pem"];
/// Files of the data folder that are in no backup: the store is copied by itself, the root key
/// lies in the safe, a lock means nothing elsewhere.
const LEFT: [&str; 6] =
    ["store.db", "store.db-wal", "store.db-shm", "root-key.txt", "lock", "keys.lock"];
/// Deepest folder that is looked into.
const DEEPEST: usize = 16;

/// Writes everything of a server into one file, while it runs
///
/// Store, assets, station folder with clips, profiles, certificates; read back and checked before
/// it gets its name. Without `--with-keys` keep `keys.json` and the other private files elsewhere;
/// with it they are sealed by a passphrase, which must be kept apart from the backup.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["out", "into", "verify"])))]
pub struct Args {
    #[command(flatten)]
    data: DataOption,
    #[command(flatten)]
    station: Stationed,
    /// The file to write; never overwritten
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A folder for the file, which is named by the time: `loa-20261201-050000.loa`
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Keep so many files of that name in the folder and remove older ones, after this one is
    /// whole
    #[arg(long, value_name = "N", conflicts_with_all = ["out", "verify"], value_parser = clap::value_parser!(u32).range(1..=10_000))]
    keep: Option<u32>,
    /// Write nothing: check this backup, its sealed part too where the passphrase is given
    #[arg(long, value_name = "FILE", conflicts_with = "with_keys")]
    verify: Option<PathBuf>,
    /// Also the private keys, sealed by a passphrase
    #[arg(long)]
    with_keys: bool,
    #[command(flatten)]
    passphrase: PassphraseOption,
    /// Print `{file, made, station, keys, records, devices, members, bytes, left_out, removed}`
    #[arg(long)]
    json: bool,
}

/// What was written, as `--json` shows it.
#[derive(Serialize)]
struct Written {
    file: PathBuf,
    made: String,
    station: String,
    keys: bool,
    records: u64,
    devices: u64,
    members: usize,
    bytes: u64,
    /// Private files that were left out, by their names in a backup.
    left_out: Vec<String>,
    /// Older files that `--keep` removed.
    removed: Vec<PathBuf>,
}

/// A file that goes when its work is over, however that ends.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // Renamed into place by then, or nobody's.
        let _ = fs::remove_file(&self.0);
    }
}

/// What goes into a backup: names in it, and where the files lie.
#[derive(Default)]
struct Found {
    files: Vec<(String, PathBuf)>,
    private: Vec<(String, PathBuf)>,
}

/// Writes the backup.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    if let Some(file) = &args.verify {
        return restore::check(file, &args.passphrase, args.json);
    }
    let folder = DataFolder::existing(&args.data.data)?;
    let now = SystemClock::new().now();
    let out = &match (&args.out, &args.into) {
        (Some(out), _) => out.clone(),
        (None, Some(into)) => into.join(place::name_by_time(now)),
        (None, None) => return Err(wrong_use("no file", "`--out FILE` or `--into DIR`")),
    };
    if out.symlink_metadata().is_ok() {
        let hint = "nothing was written; give each backup a name of its own, by its date";
        return Err(wrong_use(format!("`{}` is there already", out.display()), hint));
    }
    let name = out.file_name().context("`--out` names no file")?.to_string_lossy();
    for folder in [folder.path(), &args.station.playlists, &args.station.profile_folder] {
        if lies_in(out, folder) {
            return Err(wrong_use(
                format!("`{}` lies in `{}`, which is backed up", out.display(), folder.display()),
                "name a file elsewhere, best on another disk",
            ));
        }
    }
    let passphrase = if args.with_keys { Some(args.passphrase.read(Purpose::New)?) } else { None };
    let beside = |what: &str| out.with_file_name(format!(".{name}.{}.{what}", std::process::id()));
    let [copy, part, sealed] = ["store", "part", "sealed"].map(|what| Scratch(beside(what)));
    let runtime = runtime()?;
    let (config, records, devices, untold) = runtime.block_on(async {
        // Also where it lies: a copy is rebuilt, and would hide a damaged index.
        check_store(&folder.store()).await?;
        let store = folder.open_store().await?;
        let config = args.station.settings(&store).await?;
        let entry = command_line().did(now, "back-up", out.display());
        let keys = if args.with_keys { "with private keys" } else { "without private keys" };
        let entry = entry.after(keys);
        let untold = found_full(store.append(&entry).await)?.then_some(entry);
        // Made first, so that it is never readable by others.
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&copy.0)
            .advise("name a file in a folder that is there and has room for the store twice")?;
        store.copy_to(&copy.0).await.map_err(|error| {
            let hint = error.hint();
            failed(error, hint)
        })?;
        store.close().await;
        check_store(&copy.0).await?;
        let held = SqliteStore::open(&copy.0).await?;
        if let Some(entry) = &untold {
            held.append(entry).await?;
        }
        let (records, devices) = (held.evidence_counts().await?.records, held.devices().await?);
        held.close().await;
        anyhow::Ok((config, records, devices.len() as u64, untold))
    })?;
    let mut found =
        Found { files: vec![("data/store.db".to_owned(), copy.0.clone())], ..Found::default() };
    let edge = log::ScratchFolder::make(beside("log"))?;
    found.data(folder.path())?;
    found.files.extend(log::files(&folder.log(), &edge.0)?);
    found.station(&args.station.playlists, &config)?;
    found.walk("profiles", &args.station.profile_folder, 0, &|_, _| Ok(false))?;
    let mut inside = Vec::new();
    if let Some(passphrase) = &passphrase {
        archive::seal(&sealed.0, &found.private, passphrase).map_err(told_by)?;
        inside.extend(found.private.drain(..).map(|(name, _)| name));
        found.files.push((SEALED.to_owned(), sealed.0.clone()));
    }
    let manifest = Manifest {
        v: VERSION,
        made: wall::display(config.zone, now).to_rfc3339_opts(SecondsFormat::Secs, false),
        loa: env!("CARGO_PKG_VERSION").to_owned(),
        station: config.name.clone(),
        keys: args.with_keys,
        sealed: inside,
        records,
        devices,
        left_out: found.private.iter().map(|(name, _)| name.clone()).collect(),
        members: Vec::new(),
    };
    let held = pack(&part.0, &found.files, manifest)?;
    place::give_name(&part.0, out)?;
    let removed = match (&args.into, args.keep) {
        (Some(into), Some(keep)) => place::keep_newest(into, keep)?,
        _ => Vec::new(),
    };
    let written = Written {
        file: out.clone(),
        made: held.made,
        station: held.station,
        keys: held.keys,
        records,
        devices,
        members: held.members.len(),
        bytes: fs::metadata(out)?.len(),
        left_out: held.left_out,
        removed,
    };
    told(&written, args.json)?;
    if let Some(entry) = untold {
        runtime.block_on(tell_late(&folder, &entry))?;
    }
    Ok(Answer::Yes)
}

fn told(written: &Written, json: bool) -> anyhow::Result<()> {
    if written.keys {
        eprintln!(
            "note: the private keys are in it, sealed: without the passphrase nobody restores them, \
             with it anybody speaks to every device; keep it apart from the file"
        );
    } else if !written.left_out.is_empty() {
        eprintln!(
            "note: not in it, since private: {}; keep them elsewhere, or say `--with-keys`",
            written.left_out.join(", ")
        );
    }
    if json {
        return print_json(written);
    }
    let Written { file, made, station, records, devices, members, bytes, removed, .. } = written;
    let mut gone = String::new();
    for file in removed {
        // Writing to a string cannot fail.
        let _ = writeln!(gone, "removed {}", file.display());
    }
    print_text(&format!(
        "{}: {station}, {made}; {records} records, {devices} devices, {members} files, {bytes} \
         bytes; read back and found whole\n{gone}",
        file.display()
    ))
}

/// Lets a full disk pass, since that is when a backup is needed most; says whether it was full.
fn found_full(appended: Result<(), StoreError>) -> Result<bool, StoreError> {
    match appended {
        Ok(()) => Ok(false),
        Err(StoreError::Full { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Tells the trail of a backup that found the disk full: perhaps there is room by now.
async fn tell_late(folder: &DataFolder, entry: &Entry) -> anyhow::Result<()> {
    let store = folder.open_store().await?;
    if found_full(store.append(entry).await)? {
        eprintln!(
            "warning: the disk of `{}` is full: the backup is whole, and the trail in it tells of \
             it, but the trail of the server does not; free space there",
            folder.path().display()
        );
    }
    store.close().await;
    Ok(())
}

/// Refuses a store whose pages or indices are wrong.
async fn check_store(store: &Path) -> anyhow::Result<()> {
    let faults = SqliteStore::faults_of(store).await.map_err(|error| {
        let hint = error.hint();
        failed(error, hint)
    })?;
    if let Some(first) = faults.first() {
        return Err(failed(
            anyhow::anyhow!("the store is damaged in {} places: {first}", faults.len()),
            "look at the disk; restore the newest backup that is whole, devices send again what \
             came after it",
        ));
    }
    Ok(())
}

/// Writes the members and reads all of it back.
fn pack(part: &Path, files: &[(String, PathBuf)], manifest: Manifest) -> anyhow::Result<Manifest> {
    let written = || {
        let mut packer = Packer::create(part)?;
        for (name, from) in files {
            packer.add(name, from)?;
        }
        let manifest = packer.finish(manifest)?;
        if archive::verify(part, None)? == manifest {
            return Ok(manifest);
        }
        Err(ArchiveError::Changed { path: part.to_owned() })
    };
    written().map_err(told_by)
}

fn told_by(error: ArchiveError) -> anyhow::Error {
    let hint = error.hint();
    failed(error, hint)
}

impl Found {
    /// Finds what lies in the data folder.
    fn data(&mut self, folder: &Path) -> anyhow::Result<()> {
        self.walk(FOLDERS[0], folder, 0, &|below, _| {
            Ok(!(PUBLIC.contains(&below)
                || below.starts_with("assets/")
                || below.starts_with("evidence/")))
        })?;
        // The log is found by its heads, see `log`.
        let left = |name: &str| {
            let below = name.strip_prefix("data/").unwrap_or(name);
            LEFT.contains(&below) || below.starts_with("log/")
        };
        self.private.retain(|(name, _)| !left(name));
        Ok(())
    }

    /// Finds what lies in the station folder; files that the station names as secret, and keys
    /// whatever their name, are private.
    fn station(&mut self, folder: &Path, config: &StationConfig) -> anyhow::Result<()> {
        let mut named: Vec<String> = Vec::new();
        let broker = [&config.broker.password_file, &config.broker.admin_password_file];
        named.extend(broker.into_iter().flatten().map(|file| shown(Path::new(file))));
        named.extend(config.listen.tls.iter().map(|tls| shown(Path::new(&tls.key))));
        self.walk(FOLDERS[1], folder, 0, &|below, path| {
            Ok(named.iter().any(|secret| secret == below) || holds_key(path)?)
        })
    }

    fn walk(
        &mut self,
        prefix: &str,
        folder: &Path,
        depth: usize,
        private: &dyn Fn(&str, &Path) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        if depth > DEEPEST || !folder.is_dir() {
            return Ok(());
        }
        let place = || format!("reading `{}`", folder.display());
        let mut entries: Vec<_> = fs::read_dir(folder)
            .with_context(place)?
            .collect::<Result<_, _>>()
            .with_context(place)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                let shown = entry.path().display().to_string();
                return Err(failed(
                    anyhow::anyhow!("`{shown}` has a name that is not UTF-8"),
                    "rename the file; every file of the station has a name that can be written",
                ));
            };
            let (path, below) = (entry.path(), format!("{prefix}/{name}"));
            // Followed: a station may link clips from another disk.
            let meta = fs::metadata(&path).with_context(|| format!("reading `{below}`"))?;
            if meta.is_dir() {
                self.walk(&below, &path, depth + 1, private)?;
            } else if meta.is_file() && path.extension().is_none_or(|end| end != "part") {
                let inside = below.split_once('/').map_or("", |(_, inside)| inside);
                let secret = private(inside, &path)?;
                if secret { &mut self.private } else { &mut self.files }.push((below, path));
            }
        }
        Ok(())
    }
}

/// Says whether a file that may not be there yet would lie in a folder.
fn lies_in(file: &Path, folder: &Path) -> bool {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new(".")).canonicalize();
    matches!((parent, folder.canonicalize()), (Ok(at), Ok(folder)) if at.starts_with(&folder))
}

/// Says whether a small file holds a private key as PEM.
fn holds_key(path: &Path) -> anyhow::Result<bool> {
    let place = || format!("reading `{}`", path.display());
    let mut bytes = Vec::new();
    fs::File::open(path)
        .with_context(place)?
        .take(65_536)
        .read_to_end(&mut bytes)
        .with_context(place)?;
    let mark = b"PRIVATE KEY-----";
    Ok(bytes.windows(mark.len()).any(|part| part == mark))
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().trim_start_matches("./").to_owned()
}

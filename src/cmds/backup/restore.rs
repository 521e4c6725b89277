//! `loa restore`: a server out of a backup, into folders that are empty.
//!
//! # Why it changes the store
//! Between the backup and the loss the server went on: devices hold timetables that this store has
//! never seen, codes were used, leases taken. So every timetable is made anew, above what devices
//! have, since versions never fall behind the clock; open codes end; leases are given up. What the
//! devices recorded meanwhile they still have, and the server asks for it when it sees the gap.

use super::archive::{self, Manifest};
use super::passphrase::{PassphraseOption, Purpose};
use super::{check_store, told_by};
use crate::app::ports::{Evidence as _, Logbook as _, Loss, Trail as _};
use crate::clock::{Clock as _, SystemClock};
use crate::cmds::data::DataFolder;
use crate::cmds::trail::command_line;
use crate::cmds::{Advise as _, Answer, failed, print_json, print_text, runtime, wrong_use};
use serde::Serialize;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Makes a server again out of a backup, into empty folders
///
/// Checks all of the file before anything is written. Start the server afterwards: devices get new
/// timetables at once and send again what came after the backup.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The backup
    file: PathBuf,
    /// Data folder to make
    #[arg(long, value_name = "DIR", default_value = "data", env = "LOA_DATA")]
    data: PathBuf,
    /// Station folder to make
    #[arg(long, value_name = "DIR", default_value = "playlists", env = "LOA_PLAYLISTS")]
    playlists: PathBuf,
    /// Folder of device profiles to make
    #[arg(long, value_name = "DIR", default_value = "device-profiles", env = "LOA_PROFILES")]
    profiles: PathBuf,
    /// Only check the file, its sealed part too where the passphrase is given
    #[arg(long)]
    check: bool,
    /// Write nothing: check everything and say what would be made; exit code 1 when a folder is
    /// in the way
    #[arg(long, conflicts_with = "check")]
    dry_run: bool,
    /// Leave the sealed keys and other private files out, to put them back by hand
    #[arg(long)]
    without_keys: bool,
    #[command(flatten)]
    passphrase: PassphraseOption,
    /// Print `{made, station, keys, records, devices, members, bytes, done, missing, in_the_way}`
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Restored {
    made: String,
    station: String,
    keys: bool,
    records: u64,
    devices: u64,
    members: usize,
    /// Of all files together, once unpacked.
    bytes: u64,
    /// Whether folders were made; not with `--check` and `--dry-run`.
    done: bool,
    /// Private files that must be put back by hand.
    missing: Vec<PathBuf>,
    /// Folders that are not empty, for which nothing is restored.
    in_the_way: Vec<PathBuf>,
}

/// Checks a backup and says what it holds; what is sealed too when the passphrase is given, which
/// is not asked for.
pub fn check(file: &Path, passphrase: &PassphraseOption, json: bool) -> anyhow::Result<Answer> {
    let given = passphrase.given()?;
    let held = archive::verify(file, given.as_ref().map(|text| text.as_str())).map_err(told_by)?;
    if !held.sealed.is_empty() && given.is_none() {
        eprintln!(
            "note: {} private files are sealed in it; whether the passphrase opens them is checked \
             with `--passphrase-file`",
            held.sealed.len()
        );
    }
    let told = Restored::of(&held);
    if json {
        print_json(&told)?;
    } else {
        print_text(&told.text(file))?;
    }
    Ok(Answer::Yes)
}

/// Restores the backup, or only checks it.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    if args.check {
        return check(&args.file, &args.passphrase, args.json);
    }
    let folders =
        [("data", &args.data), ("station", &args.playlists), ("profiles", &args.profiles)];
    if !args.dry_run {
        // Before anything is asked for or read through.
        for (_, folder) in folders {
            must_be_empty(folder)?;
        }
    }
    let held = archive::verify(&args.file, None).map_err(told_by)?;
    let passphrase = if held.sealed.is_empty() || args.without_keys {
        None
    } else {
        Some(args.passphrase.read(Purpose::Open)?)
    };
    let passphrase = passphrase.as_ref().map(|text| text.as_str());
    if passphrase.is_some() {
        archive::verify(&args.file, passphrase).map_err(told_by)?;
    }
    let mut told = Restored::of(&held);
    let sealed = held.sealed.iter().filter(|_| passphrase.is_none());
    let missing = held.left_out.iter().chain(sealed);
    told.missing.extend(missing.filter_map(|name| {
        let (of, below) = name.split_once('/')?;
        let (_, folder) = folders.iter().find(|(folder, _)| *folder == of)?;
        Some(folder.join(below))
    }));
    if args.dry_run {
        for (_, folder) in folders {
            if must_be_empty(folder).is_err() {
                told.in_the_way.push(folder.clone());
            }
        }
    } else {
        put(&args, folders, passphrase, &held)?;
        told.done = true;
    }
    if args.json {
        print_json(&told)?;
    } else {
        print_text(&text(&told, &held, &args))?;
    }
    Ok(if told.in_the_way.is_empty() { Answer::Yes } else { Answer::No })
}

/// Unpacks beside, then renames, the data folder last: what is there is whole.
fn put(
    args: &Args,
    folders: [(&str, &PathBuf); 3],
    passphrase: Option<&str>,
    held: &Manifest,
) -> anyhow::Result<()> {
    for (_, folder) in folders {
        let beside = beside(folder);
        if beside.exists() {
            fs::remove_dir_all(&beside).advise("remove what an earlier attempt left there")?;
        }
        fs::create_dir_all(&beside).advise("name a folder on a disk that can be written to")?;
    }
    let place = |name: &str| {
        let found = folders.iter().find(|(of, _)| *of == name);
        found.map_or_else(PathBuf::new, |(_, to)| beside(to))
    };
    let again = archive::unpack(&args.file, passphrase, place).map_err(told_by)?;
    anyhow::ensure!(again == *held, "`{}` changed while it was read", args.file.display());
    let data = DataFolder::at(&beside(&args.data));
    data.make()?;
    runtime()?.block_on(wake(&data, &args.file, held))?;
    for (_, folder) in folders.iter().rev() {
        fs::rename(beside(folder), folder)
            .advise(format!("`{}` must be empty or not there", folder.display()))?;
    }
    Ok(())
}

/// Where a folder is put together: beside it, on the same disk.
fn beside(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    folder.with_file_name(format!(".{name}.restoring"))
}

fn must_be_empty(folder: &Path) -> anyhow::Result<()> {
    let shown = folder.display();
    let empty = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(failed(error, format!("`{shown}` must be an empty folder"))),
    };
    if empty && folder.file_name().is_some() {
        return Ok(());
    }
    Err(wrong_use(
        format!("`{shown}` is not empty"),
        "nothing was restored; name folders that are empty or not there: `--data`, `--playlists`, \
         `--profiles`",
    ))
}

/// Checks the store and tells it that time has passed.
async fn wake(data: &DataFolder, file: &Path, held: &Manifest) -> anyhow::Result<()> {
    check_store(&data.store()).await?;
    let store = data.open_store().await?;
    let found = store.evidence_counts().await?.records;
    anyhow::ensure!(found == held.records, "{found} records, the list says {}", held.records);
    let now = SystemClock::new().now();
    store.restored(now).await?;
    // If the head file knows of more than the log of this backup, the log goes on in a new shard.
    let loss =
        Loss { reason: format!("restored the backup of {}", held.made), by: command_line().who };
    store.tell_loss(Some(&loss)).await?;
    let entry = command_line().did(now, "restore", file.display());
    store.append(&entry.after(format!("backup of {}", held.made))).await?;
    store.close().await;
    Ok(())
}

impl Restored {
    fn of(held: &Manifest) -> Self {
        let Manifest { made, station, keys, records, devices, members, .. } = held.clone();
        Self {
            made,
            station,
            keys,
            records,
            devices,
            bytes: members.iter().map(|member| member.bytes).sum(),
            members: members.len(),
            done: false,
            missing: Vec::new(),
            in_the_way: Vec::new(),
        }
    }

    fn text(&self, file: &Path) -> String {
        let Self { made, station, keys, records, devices, members, bytes, .. } = self;
        let with = if *keys { "with" } else { "without" };
        format!(
            "{}: whole; {station}, {made}; {records} records, {devices} devices, {members} files \
             of {bytes} bytes, {with} private keys\n",
            file.display()
        )
    }
}

/// Says what would be made, or stands in the way.
fn plan(told: &Restored, held: &Manifest, args: &Args) -> String {
    let mut text = String::new();
    for (name, folder) in
        [("data", &args.data), ("station", &args.playlists), ("profiles", &args.profiles)]
    {
        let shown = folder.display();
        let below = |path: &&str| path.split('/').next() == Some(name);
        let of = |paths: &mut dyn Iterator<Item = &str>| paths.filter(below).count();
        let files = of(&mut held.members.iter().map(|member| member.path.as_str()))
            + of(&mut held.sealed.iter().map(String::as_str));
        let line = if told.in_the_way.contains(folder) {
            format!("`{shown}` is not empty: nothing would be restored\n")
        } else {
            format!("`{shown}` would be made with {files} files\n")
        };
        text.push_str(&line);
    }
    for file in &told.missing {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "`{}` would be missing: put it back by hand", file.display());
    }
    text
}

fn text(told: &Restored, held: &Manifest, args: &Args) -> String {
    let mut text = told.text(&args.file);
    if !told.done {
        text.push_str(&plan(told, held, args));
        return text;
    }
    let mut steps = Vec::new();
    if !told.missing.is_empty() {
        let files: Vec<_> =
            told.missing.iter().map(|file| format!("`{}`", file.display())).collect();
        steps.push(format!(
            "Put back from where the keys are kept, readable by their owner alone: {}. Devices \
             trust no other keys.",
            files.join(", ")
        ));
    }
    steps.push(format!(
        "Start the server: loa serve --data {} --playlists {} --profiles {}",
        args.data.display(),
        args.playlists.display(),
        args.profiles.display()
    ));
    steps.push(
        "Repeat what was done after the backup: devices added, enrolled again or revoked, people \
         and tokens withdrawn, keys rotated, holds ordered or released, changes approved. Records \
         come by themselves: devices keep them and send them again."
            .to_owned(),
    );
    for (n, step) in (1..).zip(steps) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{n}. {step}");
    }
    text
}

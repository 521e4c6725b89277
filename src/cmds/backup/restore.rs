//! `loa restore`: a server out of a backup, into folders that are empty.
//!
//! # Why it changes the store
//! Between the backup and the loss the server went on: devices hold timetables that this store has
//! never seen, codes were used, leases taken. So every timetable is made anew, above what devices
//! have, since versions never fall behind the clock; open codes end; leases are given up. What the
//! devices recorded meanwhile they still have, and the server asks for it when it sees the gap.

use super::archive::{self, Manifest};
use super::{check_store, told_by};
use crate::app::ports::{Evidence as _, Trail as _};
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
    /// Only check the file and say what it holds
    #[arg(long)]
    check: bool,
    /// Print `{made, station, keys, records, devices, members, done, missing}`
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
    /// Whether folders were made; not with `--check`.
    done: bool,
    /// Private files that must be put back by hand.
    missing: Vec<PathBuf>,
}

/// Restores the backup, or only checks it.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    let held = archive::verify(&args.file).map_err(told_by)?;
    let mut missing = Vec::new();
    if !args.check {
        let folders =
            [("data", &args.data), ("station", &args.playlists), ("profiles", &args.profiles)];
        for (_, folder) in folders {
            must_be_empty(folder)?;
        }
        // Unpacked beside, then renamed, the data folder last: what is there is whole.
        for (_, folder) in folders {
            let beside = beside(folder);
            if beside.exists() {
                fs::remove_dir_all(&beside).advise("remove what an earlier attempt left there")?;
            }
            fs::create_dir_all(&beside).advise("name a folder on a disk that can be written to")?;
        }
        let place = |name: &str| {
            folders
                .iter()
                .find(|(of, _)| *of == name)
                .map_or_else(PathBuf::new, |(_, to)| beside(to))
        };
        let again = archive::unpack(&args.file, place).map_err(told_by)?;
        anyhow::ensure!(again == held, "`{}` changed while it was read", args.file.display());
        let data = DataFolder::at(&beside(&args.data));
        data.make()?;
        runtime()?.block_on(wake(&data, &args.file, &held))?;
        for (_, folder) in folders.iter().rev() {
            fs::rename(beside(folder), folder)
                .advise(format!("`{}` must be empty or not there", folder.display()))?;
        }
        missing.extend(held.left_out.iter().filter_map(|name| {
            let (of, below) = name.split_once('/')?;
            let (_, folder) = folders.iter().find(|(folder, _)| *folder == of)?;
            Some(folder.join(below))
        }));
    }
    let Manifest { made, station, keys, records, devices, members, .. } = held;
    let members = members.len();
    let done = !args.check;
    let told = Restored { made, station, keys, records, devices, members, done, missing };
    if args.json {
        print_json(&told)?;
    } else {
        print_text(&text(&told, &args))?;
    }
    Ok(Answer::Yes)
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
    let entry = command_line().did(now, "restore", file.display());
    store.append(&entry.after(format!("backup of {}", held.made))).await?;
    store.close().await;
    Ok(())
}

fn text(told: &Restored, args: &Args) -> String {
    let Restored { made, station, keys, records, devices, members, .. } = told;
    let with = if *keys { "with" } else { "without" };
    let mut text = format!(
        "{}: whole; {station}, {made}; {records} records, {devices} devices, {members} files, \
         {with} private keys\n",
        args.file.display()
    );
    if !told.done {
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

//! `loa skip`: leaves a slot out on one date, by an entry in `skips.toml`.

use super::check::profiles_of;
use super::clips::Unseen;
use super::{Advise as _, Answer, failed, print_json, print_text, wrong_use};
use crate::config;
use crate::domain::ids::{PlaylistId, SlotId};
use crate::domain::station::Station;
use chrono::NaiveDate;
use serde::Serialize;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Leaves a slot out on one date
///
/// Writes an entry to skips.toml in the station folder; take it out there to undo it. Exit code 1
/// when the slot does not occur on that date.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// PLAYLIST/SLOT, or SLOT alone where only one playlist has it
    #[arg(value_name = "PLAYLIST/SLOT")]
    slot: String,
    /// The date: `2026-12-01`
    #[arg(value_name = "DATE")]
    date: NaiveDate,
    /// Why; stands in the timetable and in reports
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The station folder
    #[arg(long, value_name = "DIR", default_value = "playlists")]
    playlists: PathBuf,
    /// Folder of device profiles
    #[arg(long, value_name = "DIR")]
    profiles: Option<PathBuf>,
    /// Print `{playlist, slot, date, reason, done}`
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Written<'a> {
    playlist: &'a PlaylistId,
    slot: &'a SlotId,
    date: NaiveDate,
    reason: &'a str,
    /// Whether an entry was written.
    done: bool,
}

/// Writes the entry, unless it has no effect.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    let profiles = profiles_of(&args.playlists, args.profiles.as_deref());
    let loaded = config::load(&args.playlists, &profiles, &mut Unseen);
    let first = loaded.faults.iter().find(|fault| fault.refuses);
    let Some(station) = &loaded.station else {
        let told = first.map_or_else(|| "no station".to_owned(), ToString::to_string);
        return Err(failed(anyhow::Error::msg(told), "`loa check` lists all faults"));
    };
    let file = args.playlists.join("skips.toml");
    if let Some(fault) = loaded.faults.iter().find(|f| f.refuses && Path::new(&f.file) == file) {
        return Err(failed(anyhow::Error::msg(fault.to_string()), "mend the file first"));
    }
    let (playlist, slot) = find(station, &args.slot)?;
    let reason = args.reason.split_whitespace().collect::<Vec<_>>().join(" ");
    if reason.is_empty() || reason.chars().count() > 200 || reason.chars().any(char::is_control) {
        let hint = "say in a sentence why, 200 characters at most";
        return Err(wrong_use(format!("`{reason}` is no reason"), hint));
    }
    let found =
        station.playlists.get(&playlist).and_then(|p| p.slots.iter().find(|s| s.id == slot));
    let occurs = found.is_some_and(|s| s.when.falls_on(args.date));
    let already = found.and_then(|s| s.skips.iter().find(|s| s.date == args.date));
    let date = args.date;
    if let Some(already) = already {
        eprintln!("`{playlist}/{slot}` is skipped on {date} already: {}", already.reason);
    } else if !occurs {
        eprintln!("`{playlist}/{slot}` does not occur on {date}");
    } else {
        append(&file, &entry(&playlist, &slot, date, &reason))?;
    }
    let done = occurs && already.is_none();
    if args.json {
        print_json(&Written { playlist: &playlist, slot: &slot, date, reason: &reason, done })?;
    } else if done {
        print_text(&format!("`{playlist}/{slot}` is skipped on {date}: {reason}\n"))?;
    }
    Ok(if occurs || already.is_some() { Answer::Yes } else { Answer::No })
}

/// Returns the slot that the text names.
fn find(station: &Station, text: &str) -> anyhow::Result<(PlaylistId, SlotId)> {
    let all = || {
        station
            .playlists
            .values()
            .flat_map(|p| p.slots.iter().map(|s| (p.id.clone(), s.id.clone())))
    };
    let matches: Vec<_> = match text.split_once('/') {
        Some((playlist, slot)) => {
            all().filter(|(p, s)| p.as_str() == playlist && s.as_str() == slot).collect()
        }
        None => all().filter(|(_, s)| s.as_str() == text).collect(),
    };
    let named = |slots: &mut dyn Iterator<Item = (PlaylistId, SlotId)>| {
        slots.map(|(p, s)| format!("{p}/{s}")).collect::<Vec<_>>().join(", ")
    };
    match matches.as_slice() {
        [one] => Ok(one.clone()),
        [] => {
            let hint = format!("slots are {}", named(&mut all().take(20)));
            Err(wrong_use(format!("no slot `{text}`"), hint))
        }
        several => {
            let hint = format!("say which: {}", named(&mut several.iter().cloned()));
            Err(wrong_use(format!("several playlists have a slot `{text}`"), hint))
        }
    }
}

fn entry(playlist: &PlaylistId, slot: &SlotId, date: NaiveDate, reason: &str) -> String {
    let reason = toml::Value::String(reason.to_owned());
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\n[[skips]]\nplaylist = \"{playlist}\"\nslot = \"{slot}\"\ndate = {date}\nreason = {reason}\n"
    );
    text
}

/// Adds to the file as a whole: who reads it at this moment sees the old one or the new one.
fn append(file: &Path, entry: &str) -> anyhow::Result<()> {
    let advice = "check that the station folder can be written to";
    let mut text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            "#:schema .schema/skips.json\n".to_owned()
        }
        Err(error) => return Err(failed(error, advice)),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(entry);
    let part = file.with_extension("toml.part");
    let write = || {
        let mut to = File::create(&part)?;
        to.write_all(text.as_bytes())?;
        to.sync_all()?;
        fs::rename(&part, file)
    };
    write().advise(advice)
}

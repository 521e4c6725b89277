//! `loa evidence`: what persons bring beside what devices prove.

mod brought;
mod shown;

use super::data::{DataFolder, DataOption};
use super::trail::command_line;
use super::{Answer, failed, print_json, print_text, runtime, wrong_use};
use crate::app::assets::Library;
use crate::app::byhand::{HandDesk, HandError, NewEntry};
use crate::app::people::lineage;
use crate::app::ports::{ByHand as _, EntryFilter, Page, Registry as _, StoredEntry};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::ids::{EntryId, PersonId, PlanId, UnitId};
use crate::domain::recurrence::wall;
use crate::plan::manual::Channel;
use crate::plan::{LineRef, TopicCode};
use crate::store::SqliteStore;
use anyhow::Context as _;
use chrono::NaiveDate;
use chrono_tz::Tz;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

/// Enters and shows evidence that persons bring: leaflets, web pages, messages, schools, WiFi
///
/// No device proves these: they stand in a column of their own, with the hash of the file that
/// shows them. Nothing is edited: a correction is another entry, and the log says both. Works on
/// the data folder, also while the server runs.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Enters evidence with the file that shows it
    Add(Box<Add>),
    /// Enters a table of evidence (CSV) whose files lie in a folder: all of it or, with any fault,
    /// nothing
    Import {
        #[command(flatten)]
        place: PlaceOption,
        /// Columns: id, channel, unit, line, topic, title, file, sha256, bytes, date, by, count,
        /// note
        #[arg(value_name = "CSV")]
        table: PathBuf,
        /// Folder of the files
        #[arg(long, value_name = "DIR")]
        files: PathBuf,
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Lists evidence, newest first
    List(List),
    /// Shows an entry, or writes its file
    Show {
        #[command(flatten)]
        data: DataOption,
        #[arg(value_name = "ENTRY")]
        entry: EntryId,
        /// Also write its file here; never overwritten
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Enters another entry in the place of one that was wrong
    Correct(Box<Correct>),
    /// Withdraws an entry: it counts no longer, and stays readable with the reason
    Withdraw {
        #[command(flatten)]
        place: PlaceOption,
        #[arg(value_name = "ENTRY")]
        entry: EntryId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Where evidence is kept, and which day it is there.
#[derive(Debug, clap::Args)]
struct PlaceOption {
    #[command(flatten)]
    data: DataOption,
    /// Zone in which days are meant
    #[arg(long, value_name = "ZONE", default_value = "Asia/Ho_Chi_Minh")]
    zone: Tz,
}

fn channel(text: &str) -> Result<Channel, String> {
    let found = Channel::WORDS.iter().find(|(word, _)| *word == text);
    found
        .map(|(_, channel)| *channel)
        .ok_or_else(|| "one of leaflet, web, sms, school, wifi, other".to_owned())
}

#[derive(Debug, clap::Args)]
struct Add {
    #[command(flatten)]
    place: PlaceOption,
    /// The file that shows it: a photograph, a scan, a saved page; at most 50 MB
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How it went out: leaflet, web, sms, school, wifi, other
    #[arg(long, value_name = "CHANNEL", value_parser = channel)]
    channel: Channel,
    /// Where
    #[arg(long, value_name = "UNIT")]
    unit: UnitId,
    /// What it was, in a line
    #[arg(long, value_name = "TEXT")]
    title: String,
    /// The day it happened
    #[arg(long, value_name = "DATE")]
    date: NaiveDate,
    /// Who says so: a short name
    #[arg(long, value_name = "PERSON")]
    person: PersonId,
    /// The plan line that it serves: `plan/line`
    #[arg(long, value_name = "PLAN/LINE")]
    line: Option<LineRef>,
    /// Code of a topic
    #[arg(long, value_name = "CODE")]
    topic: Option<TopicCode>,
    /// How many: leaflets, messages
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: u32,
    /// Anything else
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Id of the entry; made from its content unless said
    #[arg(long, value_name = "ID")]
    id: Option<EntryId>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    data: DataOption,
    /// Of this unit and all below it
    #[arg(long, value_name = "UNIT")]
    unit: Option<UnitId>,
    #[arg(long, value_name = "CHANNEL", value_parser = channel)]
    channel: Option<Channel>,
    /// For lines of this plan
    #[arg(long, value_name = "PLAN")]
    plan: Option<PlanId>,
    /// For this line
    #[arg(long, value_name = "PLAN/LINE")]
    line: Option<LineRef>,
    /// Of this day or later
    #[arg(long, value_name = "DATE")]
    from: Option<NaiveDate>,
    /// Of this day or earlier
    #[arg(long, value_name = "DATE")]
    to: Option<NaiveDate>,
    /// Also those that were corrected or withdrawn
    #[arg(long)]
    all: bool,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// In order after this position, 0 for the beginning
    #[arg(long, value_name = "POSITION")]
    after: Option<i64>,
    /// Print them as CSV, as `import` reads them
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

/// What is not said stays as it was in the entry that is corrected.
#[derive(Debug, clap::Args)]
struct Correct {
    #[command(flatten)]
    place: PlaceOption,
    /// The entry that was wrong
    #[arg(value_name = "ENTRY")]
    entry: EntryId,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Another file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[arg(long, value_name = "CHANNEL", value_parser = channel)]
    channel: Option<Channel>,
    #[arg(long, value_name = "UNIT")]
    unit: Option<UnitId>,
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    #[arg(long, value_name = "DATE")]
    date: Option<NaiveDate>,
    #[arg(long, value_name = "PERSON")]
    person: Option<PersonId>,
    #[arg(long, value_name = "PLAN/LINE")]
    line: Option<LineRef>,
    /// It serves no line
    #[arg(long, conflicts_with = "line")]
    no_line: bool,
    #[arg(long, value_name = "CODE")]
    topic: Option<TopicCode>,
    #[arg(long, value_name = "N")]
    count: Option<u32>,
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn told(error: HandError) -> anyhow::Error {
    let hint = error.hint();
    match error {
        HandError::Library(_) | HandError::Store(_) | HandError::Stopping => failed(error, hint),
        other => wrong_use(other, hint),
    }
}

/// Runs the subcommand.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    match args.act {
        Act::Add(wanted) => add(*wanted),
        Act::Import { place, table, files, json } => brought::import(&place, &table, &files, json),
        Act::List(wanted) => list(wanted),
        Act::Show { data, entry, out, json } => show(&data, &entry, out, json),
        Act::Correct(wanted) => correct(*wanted),
        Act::Withdraw { place, entry, reason, json } => {
            let kept =
                at_desk(&place, async |desk| desk.withdraw(&entry, &reason).await.map_err(told))?;
            tell(&kept, json)
        }
    }
}

/// Does something with evidence as whoever uses the command line.
fn at_desk<T>(
    place: &PlaceOption,
    work: impl AsyncFnOnce(&HandDesk<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let folder = DataFolder::existing(&place.data.data)?;
    let files: Arc<dyn Library> = Arc::new(folder.evidence_files()?);
    let now = SystemClock::new().now();
    let today = wall::display(place.zone, now).date_naive();
    let actor = command_line();
    runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let desk = HandDesk { store: &store, files: &files, actor: &actor, now, today };
        let done = work(&desk).await;
        store.close().await;
        done
    })
}

fn tell(kept: &StoredEntry, json: bool) -> anyhow::Result<Answer> {
    if json {
        print_json(&shown::row(kept))?;
    } else {
        print_text(&shown::text(kept))?;
    }
    Ok(Answer::Yes)
}

fn add(wanted: Add) -> anyhow::Result<Answer> {
    let bytes = brought::read(&wanted.file)?;
    let new = NewEntry {
        id: wanted.id,
        channel: wanted.channel,
        unit: wanted.unit,
        line: wanted.line,
        topic: wanted.topic,
        title: wanted.title,
        file: wanted.file.display().to_string(),
        on: wanted.date,
        by: wanted.person,
        count: wanted.count,
        note: wanted.note,
    };
    let kept =
        at_desk(&wanted.place, async |desk| desk.add(new, bytes.into(), None).await.map_err(told))?;
    tell(&kept, wanted.json)
}

fn correct(wanted: Correct) -> anyhow::Result<Answer> {
    let given = wanted.file.as_deref().map(brought::read).transpose()?;
    let kept = at_desk(&wanted.place, async |desk| {
        let wrong = desk.one(&wanted.entry).await.map_err(told)?.entry;
        let bytes = if let Some(bytes) = given {
            bytes
        } else {
            let length = usize::try_from(wrong.bytes).unwrap_or(usize::MAX);
            let read = desk.files.read(&wrong.sha256, 0, length);
            read.map_err(HandError::from).map_err(told)?.ok_or_else(|| {
                let hint = "restore it from a backup, or give another with `--file FILE`";
                failed(anyhow::anyhow!("the file of `{}` is missing", wrong.id), hint)
            })?
        };
        let mut new = NewEntry::again(&wrong);
        new.channel = wanted.channel.unwrap_or(new.channel);
        new.unit = wanted.unit.unwrap_or(new.unit);
        new.title = wanted.title.unwrap_or(new.title);
        new.on = wanted.date.unwrap_or(new.on);
        new.by = wanted.person.unwrap_or(new.by);
        new.line = if wanted.no_line { None } else { wanted.line.or(new.line) };
        new.topic = wanted.topic.or(new.topic);
        new.count = wanted.count.unwrap_or(new.count);
        new.note = wanted.note.or(new.note);
        if let Some(file) = &wanted.file {
            new.file = file.display().to_string();
        }
        desk.add(new, bytes.into(), Some((wrong.id, wanted.reason))).await.map_err(told)
    })?;
    tell(&kept, wanted.json)
}

fn list(wanted: List) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&wanted.data.data)?;
    let listed = runtime()?.block_on(async {
        let store: SqliteStore = folder.open_store().await?;
        let units = match &wanted.unit {
            Some(unit) => {
                let all = store.units().await?;
                let below = all.iter().filter(|one| lineage(&one.id, &all).contains(unit));
                Some(below.map(|one| one.id.clone()).chain([unit.clone()]).collect())
            }
            None => None,
        };
        let filter = EntryFilter {
            units,
            channel: wanted.channel,
            plan: wanted.plan,
            line: wanted.line,
            from: wanted.from,
            to: wanted.to,
            standing: !wanted.all,
        };
        let limit = wanted.limit;
        let page = match wanted.after {
            Some(position) => Page::After { position, limit },
            None => Page::Newest { limit },
        };
        let listed = store.entries(&filter, page).await?;
        store.close().await;
        anyhow::Ok(listed)
    })?;
    if wanted.csv {
        print_text(&crate::config::entries_to_csv(listed.iter().map(|one| &one.entry)))?;
    } else if wanted.json {
        print_json(&listed.iter().map(shown::row).collect::<Vec<_>>())?;
    } else {
        print_text(&shown::listed(&listed))?;
    }
    Ok(Answer::Yes)
}

fn show(
    data: &DataOption,
    entry: &EntryId,
    out: Option<PathBuf>,
    json: bool,
) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&data.data)?;
    let found = runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let found = store.entry(entry).await?;
        store.close().await;
        anyhow::Ok(found)
    })?;
    let found = found.ok_or_else(|| told(HandError::NoEntry { entry: entry.clone() }))?;
    if let Some(out) = out {
        let bytes = std::fs::read(folder.evidence_files()?.path(&found.entry.sha256));
        let bytes = bytes.with_context(|| format!("reading the file of `{entry}`"))?;
        let is = crate::domain::ids::Digest::of(&bytes);
        if is != found.entry.sha256 {
            return Err(failed(
                anyhow::anyhow!(
                    "the file of `{entry}` hashes to {is}, not to {}",
                    found.entry.sha256
                ),
                "it was changed in the data folder: restore it from a backup",
            ));
        }
        let made = std::fs::OpenOptions::new().write(true).create_new(true).open(&out);
        made.and_then(|mut file| file.write_all(&bytes))
            .with_context(|| format!("writing `{}`", out.display()))?;
    }
    tell(&found, json)
}

//! `loa proposals`, `loa proposal`, `loa propose`: what waits, what it would do, who stands for it.

use super::approve::told;
use super::data::{DataFolder, DataOption};
use super::hidden::Hidden;
use super::{Answer, print_json, print_text, runtime, table, wrong_use};
use crate::app::access;
use crate::app::approval::{Desk, Proposal, Stand};
use crate::app::people::Person;
use crate::app::ports::{Approvals as _, People as _};
use crate::app::trail::Actor;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::approval::{Change, What};
use crate::domain::ids::Digest;
use crate::domain::time::UtcMs;
use crate::store::SqliteStore;
use chrono::NaiveDate;
use chrono_tz::Tz;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// How long a running server may take to read a file that was just saved.
const PATIENCE: Duration = Duration::from_secs(8);

/// Whose decision it is.
#[derive(Debug, clap::Args)]
pub struct TokenOption {
    /// The person's token, from `loa user token`
    #[arg(long, value_name = "TOKEN", env = "LOA_TOKEN", hide_env_values = true)]
    token: Hidden,
}

impl TokenOption {
    /// Returns the person of the token.
    pub async fn person(&self, store: &SqliteStore, now: UtcMs) -> anyhow::Result<Person> {
        let token = access::check(store, access::API, self.token.reveal().trim(), now).await?;
        let id = token.and_then(|token| token.person);
        let person = match &id {
            Some(id) => store.person(id).await?,
            None => None,
        };
        person.filter(|person| person.ended_ms.is_none()).ok_or_else(|| {
            wrong_use("the token is not known here", "`loa user token PERSON` prints a new one")
        })
    }
}

/// Returns who acts by a token at the command line.
pub fn acting(person: &Person) -> Actor {
    Actor::new(person.id.as_str(), "command line")
}

/// Lists what waits for approval
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Also what was approved, returned or replaced, newest first
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    data: DataOption,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

/// Shows what a proposal would change on air
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// Its hash, or the first digits; what waits unless said
    #[arg(value_name = "HASH")]
    hash: Option<String>,
    /// Zone in which times are shown
    #[arg(long, value_name = "ZONE", default_value = "Asia/Ho_Chi_Minh")]
    zone: Tz,
    #[command(flatten)]
    data: DataOption,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Names you the author of what waits: then one approver is enough
///
/// A file has no proven author. The files that wait must be the ones that lie in the station
/// folder now; a running server reads them within seconds.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its hash, or the first digits; what waits unless said
    #[arg(value_name = "HASH")]
    hash: Option<String>,
    /// The station folder whose files you stand for
    #[arg(long, value_name = "DIR", default_value = "playlists", env = "LOA_PLAYLISTS")]
    playlists: PathBuf,
    #[command(flatten)]
    token: TokenOption,
    #[command(flatten)]
    data: DataOption,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A proposal as `--json` prints it.
#[derive(Serialize)]
struct Row<'a> {
    hash: Digest,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    made_ms: UtcMs,
    author: Option<String>,
    approved_by: Vec<String>,
    /// How many more must approve.
    lacks: usize,
    files: Vec<&'a str>,
    clips: Vec<&'a str>,
    units:
        &'a std::collections::BTreeMap<crate::domain::ids::UnitId, crate::domain::approval::Counts>,
    /// What sounds within an hour of quiet hours first.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<&'a [Change]>,
    more: usize,
}

impl<'a> Row<'a> {
    fn new(one: &'a Proposal, whole: Whole) -> Self {
        let reason = match &one.stand {
            Stand::Returned { reason, .. } => Some(reason.as_str()),
            _ => None,
        };
        Self {
            hash: one.hash,
            state: one.stand.word(),
            reason,
            made_ms: one.made_ms,
            author: one.author.as_ref().map(ToString::to_string),
            approved_by: one.votes.iter().map(ToString::to_string).collect(),
            lacks: one.lacks(),
            files: one.change.files.keys().map(String::as_str).collect(),
            clips: one.change.clips.keys().map(String::as_str).collect(),
            units: &one.preview.units,
            changes: (whole == Whole::Yes).then_some(&one.preview.changes),
            more: one.preview.more,
        }
    }
}

/// Whether every cue is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    Yes,
    No,
}

/// Lists proposals.
pub fn list(args: ListArgs) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&args.data.data)?;
    let mut all = runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let all = store.proposals(500).await?;
        store.close().await;
        anyhow::Ok(all)
    })?;
    all.retain(|one| args.all || one.stand.is_pending());
    if args.json {
        print_json(&all.iter().map(|one| Row::new(one, Whole::No)).collect::<Vec<_>>())?;
        return Ok(Answer::Yes);
    }
    let rows: Vec<_> = all
        .iter()
        .map(|one| {
            let files: Vec<_> = one.change.files.keys().cloned().collect();
            vec![
                one.hash.to_string()[..12].to_owned(),
                one.stand.word().to_owned(),
                one.author.as_ref().map_or("–".to_owned(), ToString::to_string),
                one.lacks().to_string(),
                files.join(", "),
            ]
        })
        .collect();
    print_text(&table(&["HASH", "STATE", "AUTHOR", "LACKS", "FILES"], &rows))?;
    Ok(Answer::Yes)
}

/// Shows a proposal.
pub fn show(args: ShowArgs) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&args.data.data)?;
    let one = runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let hash = find_hash(&store, args.hash.as_deref()).await?;
        let one = store.proposal(&hash).await?;
        store.close().await;
        anyhow::Ok(one)
    })?;
    let Some(one) = one else {
        return Err(wrong_use("no such proposal", "`loa proposals --all` lists all"));
    };
    if args.json {
        print_json(&Row::new(&one, Whole::Yes))?;
    } else {
        print_text(&text(&one, args.zone))?;
    }
    Ok(Answer::Yes)
}

fn text(one: &Proposal, zone: Tz) -> String {
    let mut text = format!("{}  {}\n", one.hash, one.stand.word());
    let files: Vec<_> = one.change.files.keys().chain(one.change.clips.keys()).cloned().collect();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "files: {}", files.join(", "));
    for (unit, n) in &one.preview.units {
        let (new, moved, changed, gone) = (n.new, n.moved, n.changed, n.gone);
        let _ = writeln!(text, "{unit}: {new} new, {moved} moved, {changed} changed, {gone} gone");
    }
    for line in lines(&one.preview.changes, zone) {
        let _ = writeln!(text, "{line}");
    }
    if one.preview.more > 0 {
        let _ = writeln!(text, "and {} more", one.preview.more);
    }
    text
}

/// One line for what changes in the same way at the same time of several days.
fn lines(changes: &[Change], zone: Tz) -> Vec<String> {
    let mut alike: Vec<(String, String, Vec<NaiveDate>)> = Vec::new();
    for change in changes {
        let local = change.at_ms.datetime().with_timezone(&zone);
        let (time, date) = (local.format("%H:%M:%S").to_string(), local.date_naive());
        let (before, after) = (before(change), after(change));
        let before = format!("{before} {time}");
        match alike.iter_mut().find(|(b, a, _)| *b == before && *a == after) {
            Some((_, _, dates)) => dates.push(date),
            None => alike.push((before, after, vec![date])),
        }
    }
    let told = |(before, after, dates): (String, String, Vec<NaiveDate>)| {
        let on = match &*dates {
            [first, .., last] => format!("on {} days from {first} to {last}", dates.len()),
            one => one.first().map_or_else(String::new, |date| format!("on {date}")),
        };
        format!("  {before} {on}{after}")
    };
    alike.into_iter().map(told).collect()
}

fn before(change: &Change) -> String {
    let verb = if change.board { "show" } else { "sound" };
    let near = if change.near_quiet { "NEAR QUIET HOURS: " } else { "" };
    let what = match change.what {
        What::New => format!("will {verb} at"),
        What::Moved => format!("moved, will {verb} at"),
        What::Longer => "longer, at".to_owned(),
        What::Louder => "louder, at".to_owned(),
        What::Content => "other content, at".to_owned(),
        What::Less => "less, at".to_owned(),
        What::Gone => "no longer at".to_owned(),
    };
    format!("{near}{what}")
}

fn after(change: &Change) -> String {
    let noun = if change.board { "board" } else { "loudspeaker" };
    let s = if change.devices == 1 { "" } else { "s" };
    format!(": {} ({}), {} {noun}{s}", change.title, change.item, change.devices)
}

/// Names the author.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&args.data.data)?;
    let clock = SystemClock::new();
    let now = clock.now();
    let one = runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let person = args.token.person(&store, now).await?;
        let actor = acting(&person);
        let hash = match &args.hash {
            Some(hash) => find_hash(&store, Some(hash)).await?,
            None => same_as_on_disk(&store, &args.playlists).await?,
        };
        let desk = Desk { store: &store, person: &person, actor: &actor, now };
        let one = desk.propose(&hash).await.map_err(told);
        store.close().await;
        one
    })?;
    if args.json {
        print_json(&Row::new(&one, Whole::Yes))?;
    } else {
        let author = one.author.as_ref().map(ToString::to_string).unwrap_or_default();
        print_text(&format!("Proposed by {author}: {}\n", one.hash))?;
    }
    Ok(Answer::Yes)
}

/// Returns what waits, once its files are the ones of the folder: nobody stands for what he has
/// not got before him.
async fn same_as_on_disk(store: &SqliteStore, folder: &std::path::Path) -> anyhow::Result<Digest> {
    let mut waited = Duration::ZERO;
    loop {
        let pending = Desk::pending(store).await?;
        let differs = pending.as_ref().map(|one| {
            one.change.files.iter().find_map(|(name, entry)| {
                // Registers are the store's, profiles lie elsewhere.
                let elsewhere = matches!(name.as_str(), "units.csv" | "devices.csv")
                    || name.starts_with("profiles/");
                let read = std::fs::read(folder.join(name)).ok().map(|bytes| Digest::of(&bytes));
                (!elsewhere && read != entry.map(|entry| entry.sha256)).then(|| name.clone())
            })
        });
        match (pending, differs) {
            (Some(one), Some(None)) => return Ok(one.hash),
            (_, differs) if waited >= PATIENCE => {
                return Err(match differs.flatten() {
                    Some(file) => wrong_use(
                        format!("`{file}` in `{}` is not what waits", folder.display()),
                        "is the server running, and the file free of faults? `loa check` says",
                    ),
                    None => wrong_use(
                        "nothing waits for approval",
                        "save the file; a running server sees it within seconds",
                    ),
                });
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        waited += Duration::from_millis(300);
    }
}

/// Returns the hash that the text begins, or what waits.
pub async fn find_hash(store: &SqliteStore, text: Option<&str>) -> anyhow::Result<Digest> {
    let Some(text) = text else {
        let pending = Desk::pending(store).await?.map(|one| one.hash);
        return pending
            .ok_or_else(|| wrong_use("nothing waits for approval", "`loa proposals --all`"));
    };
    if let Ok(hash) = text.parse() {
        return Ok(hash);
    }
    let all = store.proposals(1000).await?;
    let mut found = all.iter().map(|one| one.hash).filter(|h| h.to_string().starts_with(text));
    match (found.next(), found.next()) {
        (Some(hash), None) if text.len() >= 6 => Ok(hash),
        (Some(_), _) => Err(wrong_use(
            format!("`{text}` names no single proposal"),
            "give more digits of the hash, six at least",
        )),
        (None, _) => {
            Err(wrong_use(format!("no proposal `{text}`"), "`loa proposals --all` lists all"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::CueId;
    use std::collections::BTreeSet;

    const MORNING: i64 = 1_795_298_400_000; // 2026-11-22 05:00 in Viet Nam

    fn change(what: What, at: i64, near_quiet: bool) -> Change {
        Change {
            near_quiet,
            what,
            at_ms: UtcMs(at),
            end_ms: UtcMs(at + 60_000),
            was_at_ms: None,
            was_end_ms: None,
            cue: CueId([0; 16]),
            item: "sang/lua-dao".to_owned(),
            title: "Cảnh báo lừa đảo".to_owned(),
            board: false,
            volume: 80,
            units: BTreeSet::new(),
            devices: 2,
        }
    }

    #[test]
    fn what_changes_alike_on_several_days_is_one_line() {
        const DAY: i64 = 86_400_000;
        let changes: Vec<Change> = (0..3)
            .map(|n| change(What::New, MORNING + n * DAY, false))
            .chain([change(What::Gone, MORNING, false), change(What::New, MORNING, true)])
            .collect();
        let told = lines(&changes, Tz::Asia__Ho_Chi_Minh);
        insta::assert_snapshot!(told.join("\n"), @r"
        will sound at 05:00:00 on 3 days from 2026-11-22 to 2026-11-24: Cảnh báo lừa đảo (sang/lua-dao), 2 loudspeakers
        no longer at 05:00:00 on 2026-11-22: Cảnh báo lừa đảo (sang/lua-dao), 2 loudspeakers
        NEAR QUIET HOURS: will sound at 05:00:00 on 2026-11-22: Cảnh báo lừa đảo (sang/lua-dao), 2 loudspeakers
        ");
    }
}

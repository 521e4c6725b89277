//! `loa plan`: what administrative plans order, and the topic lists they speak of.

mod given;
mod shown;

use super::data::{DataFolder, DataOption};
use super::trail::command_line;
use super::{Answer, failed, print_json, print_text, runtime, table, wrong_use};
use crate::app::planbook::{PlanDesk, PlanError, Taken, in_force, lists};
use crate::app::ports::{PlanBook as _, PlanFormat, StoredPlan};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::ids::{PlanId, TopicListId};
use crate::domain::recurrence::wall;
use crate::domain::time::UtcMs;
use crate::plan::{Plan, TopicList};
use crate::store::SqliteStore;
use chrono::NaiveDate;
use chrono_tz::Tz;
use given::{Read, Reading};
use serde_json::{Value, json};
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;

/// Imports, checks and shows administrative plans: what is ordered, by whom, how often
///
/// A plan is a TOML file as in `playlists/plans`, or a table of lines (CSV) under the head of a
/// plan that is there. Contradictions in its own figures are told and refuse nothing: the plan is
/// what was signed. Works on the data folder, also while the server runs.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Takes plans and topic lists in; the same again changes nothing
    Import(Box<Import>),
    /// Tells every fault and every contradiction of plans; touches nothing
    Check(Check),
    /// Lists plans in their newest version
    List {
        #[command(flatten)]
        data: DataOption,
        /// Also those withdrawn
        #[arg(long)]
        all: bool,
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Shows a plan with its lines
    Show {
        #[command(flatten)]
        data: DataOption,
        #[arg(value_name = "PLAN")]
        plan: PlanId,
        /// The newest unless given
        #[arg(long, value_name = "N")]
        version: Option<u32>,
        /// Print the file as it was given instead
        #[arg(long, conflicts_with_all = ["json", "csv"])]
        source: bool,
        /// Print its lines as CSV, as `import` reads them
        #[arg(long, conflicts_with = "json")]
        csv: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Withdraws a plan: it orders nothing any more, and stays readable
    Withdraw {
        #[command(flatten)]
        data: DataOption,
        #[arg(value_name = "PLAN")]
        plan: PlanId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Lists topic lists: the versions in force today
    Topics {
        #[command(flatten)]
        data: DataOption,
        /// All versions
        #[arg(long)]
        all: bool,
        /// Zone in which today is meant
        #[arg(long, value_name = "ZONE", default_value = "Asia/Ho_Chi_Minh")]
        zone: Tz,
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Import {
    #[command(flatten)]
    data: DataOption,
    /// Plans (TOML, CSV) and topic lists (TOML), or folders of them
    #[arg(value_name = "FILE|DIR", required = true)]
    files: Vec<PathBuf>,
    /// Id of the one plan that is given; its file's name unless said
    #[arg(long, value_name = "ID")]
    plan: Option<PlanId>,
    #[command(flatten)]
    head: HeadOption,
    /// Follow a version that stands without asking
    #[arg(long)]
    yes: bool,
    /// Print one JSON array of what was taken in
    #[arg(long)]
    json: bool,
}

/// The head of a plan whose lines come as a table; that of the version that stands unless said.
#[derive(Debug, Default, clap::Args)]
struct HeadOption {
    /// For a table: what the plan is, as its heading says
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// For a table: number and sign of the document
    #[arg(long, value_name = "NUMBER")]
    number: Option<String>,
    /// For a table: who issued it
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// For a table: day on which it was issued
    #[arg(long, value_name = "DATE")]
    date: Option<NaiveDate>,
    /// For a table: id of the list that its topics belong to
    #[arg(long, value_name = "LIST")]
    topics: Option<TopicListId>,
}

#[derive(Debug, clap::Args)]
struct Check {
    /// Plans (TOML, CSV) and topic lists (TOML), or folders of them; lists are also looked for in
    /// the folder `topics` beside that of a plan
    #[arg(value_name = "FILE|DIR", default_value = "playlists/plans")]
    files: Vec<PathBuf>,
    /// Also know what this server has imported
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Id of the one plan that is given; its file's name unless said
    #[arg(long, value_name = "ID")]
    plan: Option<PlanId>,
    #[command(flatten)]
    head: HeadOption,
    /// Print `{ok, errors, warnings, plans, lines, topic_lists, faults: […]}`
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    match args.act {
        Act::Import(wanted) => import(&wanted),
        Act::Check(wanted) => check(&wanted),
        Act::List { data, all, json } => {
            let mut plans = with_store(&data, async |store| Ok(store.newest_plans().await?))?;
            plans.retain(|stored| all || stored.withdrawn.is_none());
            shown::plans(&plans, json)?;
            Ok(Answer::Yes)
        }
        Act::Show { data, plan, version, source, csv, json } => {
            let (stored, bytes) = with_store(&data, async |store| {
                let versions = store.plan_versions(&plan).await?;
                let fits = |one: &StoredPlan| version.is_none_or(|version| one.version == version);
                let found = versions.into_iter().find(fits);
                let stored = found.ok_or_else(|| told(PlanError::NoPlan { plan: plan.clone() }))?;
                let bytes = store.plan_source(&plan, stored.version).await?;
                Ok((stored, bytes))
            })?;
            if source {
                print_text(&String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()))?;
            } else if csv {
                print_text(&crate::config::plan_lines_to_csv(&stored.plan.lines))?;
            } else {
                shown::plan(&stored, json)?;
            }
            Ok(Answer::Yes)
        }
        Act::Withdraw { data, plan, reason, json } => {
            let stored = with_store(&data, async |store| {
                let actor = command_line();
                let desk = PlanDesk { store, actor: &actor, now: SystemClock::new().now() };
                desk.withdraw(&plan, &reason).await.map_err(told)
            })?;
            if json {
                print_json(&shown::row(&stored))?;
            } else {
                print_text(&format!("Withdrawn: {} version {}\n", plan, stored.version))?;
            }
            Ok(Answer::Yes)
        }
        Act::Topics { data, all, zone, json } => {
            let mut found = with_store(&data, async |store| Ok(store.topic_lists().await?))?;
            let today = wall::display(zone, SystemClock::new().now()).date_naive();
            let standing = in_force(found.clone(), today);
            found.retain(|stored| all || standing.contains(stored));
            shown::topics(&found, &standing, json)?;
            Ok(Answer::Yes)
        }
    }
}

fn told(error: PlanError) -> anyhow::Error {
    let hint = error.hint();
    match error {
        PlanError::Store(error) => failed(error, hint),
        other => wrong_use(other, hint),
    }
}

fn with_store<T>(
    data: &DataOption,
    work: impl AsyncFnOnce(&SqliteStore) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let folder = DataFolder::existing(&data.data)?;
    runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let done = work(&store).await;
        store.close().await;
        done
    })
}

/// What is known beside the files: topic lists, and heads of plans.
async fn known(store: &SqliteStore) -> anyhow::Result<(Vec<TopicList>, Vec<Plan>)> {
    let plans = store.newest_plans().await?.into_iter().map(|stored| stored.plan).collect();
    Ok((lists(store).await?, plans))
}

fn check(wanted: &Check) -> anyhow::Result<Answer> {
    let (lists, plans) = match &wanted.data {
        Some(data) => {
            with_store(&DataOption { data: data.clone() }, async |store| known(store).await)?
        }
        None => (Vec::new(), Vec::new()),
    };
    let files = given::collect(&wanted.files)?;
    let beside = given::topics_beside(&wanted.files)?;
    let reading = Reading { lists, plans, id: wanted.plan.as_ref(), head: &wanted.head };
    let read = reading.read(&files, &beside)?;
    let errors = read.errors();
    let warnings = read.faults.len() - errors;
    if wanted.json {
        print_json(&json!({
            "ok": errors == 0, "errors": errors, "warnings": warnings,
            "plans": read.plans.len(), "lines": read.lines(), "topic_lists": read.lists.len(),
            "faults": read.faults,
        }))?;
    } else {
        print_text(&shown::faults(&read.faults))?;
        eprintln!(
            "{} plans with {} lines, {} topic lists: {errors} errors, {warnings} warnings",
            read.plans.len(),
            read.lines(),
            read.lists.len()
        );
    }
    Ok(if errors == 0 { Answer::Yes } else { Answer::No })
}

fn import(wanted: &Import) -> anyhow::Result<Answer> {
    let files = given::collect(&wanted.files)?;
    let now = SystemClock::new().now();
    let done = with_store(&wanted.data, async |store| {
        let (lists, plans) = known(store).await?;
        let reading = Reading { lists, plans, id: wanted.plan.as_ref(), head: &wanted.head };
        let read = reading.read(&files, &[])?;
        eprint!("{}", shown::faults(&read.faults));
        if read.errors() > 0 {
            eprintln!("nothing was changed");
            return Ok(None);
        }
        take(store, read, wanted, now).await
    })?;
    let Some(done) = done else { return Ok(Answer::No) };
    if wanted.json {
        print_json(&done)?;
        return Ok(Answer::Yes);
    }
    let cell = |one: &Value, name: &str| match &one[name] {
        Value::String(text) => text.clone(),
        Value::Null => "–".to_owned(),
        other => other.to_string(),
    };
    let names = ["kind", "id", "version", "state", "lines"];
    let row = |one: &Value| names.iter().map(|name| cell(one, name)).collect();
    let rows: Vec<Vec<String>> = done.iter().map(row).collect();
    print_text(&table(&["KIND", "ID", "VERSION", "STATE", "LINES"], &rows))?;
    Ok(Answer::Yes)
}

/// Takes in what was read; asks first where versions stand that would be followed. `None` when
/// the answer was no.
async fn take(
    store: &SqliteStore,
    read: Read,
    wanted: &Import,
    now: UtcMs,
) -> anyhow::Result<Option<Vec<Value>>> {
    let actor = command_line();
    let desk = PlanDesk { store, actor: &actor, now };
    let mut follows = Vec::new();
    for one in &read.plans {
        let outlook = desk.outlook(&one.value).await.map_err(told)?;
        if let Taken::Follows { version, changes } = &outlook {
            eprintln!("`{}` version {version} stands: {changes}", one.value.id);
            follows.push(one.value.id.clone());
        }
    }
    for one in &read.lists {
        desk.outlook_topics(&one.value).await.map_err(told)?;
    }
    if !follows.is_empty() && !wanted.yes && !confirmed(follows.len())? {
        eprintln!("nothing was changed");
        return Ok(None);
    }
    let mut done = Vec::new();
    for one in read.lists {
        let (id, version, topics) =
            (one.value.id.clone(), one.value.version, one.value.topics.len());
        let new = desk.take_topics(one.value, &one.bytes).await.map_err(told)?;
        let state = if new { "new" } else { "unchanged" };
        done.push(json!({
            "kind": "topics", "id": id, "version": version, "state": state, "topics": topics,
        }));
    }
    for one in read.plans {
        let replaces = match desk.outlook(&one.value).await.map_err(told)? {
            Taken::Follows { version, .. } if follows.contains(&one.value.id) => Some(version),
            _ => None,
        };
        let format = if one.csv { PlanFormat::Csv } else { PlanFormat::Toml };
        let taken = desk.take(one.value, format, &one.bytes, replaces).await.map_err(told)?;
        for unit in &taken.unknown_units {
            eprintln!(
                "warning: plan `{}` is for unit `{unit}`, which is not in the register",
                taken.stored.plan.id
            );
        }
        done.push(shown::taken(&taken));
    }
    Ok(Some(done))
}

/// Asks whether versions that stand are to be followed; nobody to ask means no.
fn confirmed(plans: usize) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(wrong_use(
            format!("{plans} plans would follow a version that stands"),
            "look at the change, then say `--yes`; the old version stays readable",
        ));
    }
    eprint!("Type `yes` to let them follow: ");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim() == "yes")
}

//! `loa feed`: values for boards – what boards were told, and a trial of a source.

use super::check::profiles_of;
use super::clips::Unseen;
use super::serve::feeds::{Reading, fetch};
use super::server::{ServerOption, escaped};
use super::{Answer, failed, print_json, print_text, table, wrong_use};
use crate::clock::{Clock as _, SystemClock};
use crate::config;
use crate::domain::feed::{Course, Source};
use crate::domain::ids::FeedId;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// Values for boards: temperature, water level
///
/// A file `feeds/ID.toml` of the station folder says where a value is read and what counts; pages
/// show it by `{feed:ID}`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    List(List),
    Try(Try),
}

/// Lists the feeds of a server with what boards were told
///
/// Exit code 1 when one of them has no fresh value.
#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    server: ServerOption,
    /// Only feeds in this state: `fresh`, `stale` or `never`
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Print the array `feeds` of the API
    #[arg(long)]
    json: bool,
}

/// Asks the address of a feed once and says what boards would show
///
/// Needs no server; a broker's topic cannot be asked. Exit code 1 when no value counts.
#[derive(Debug, clap::Args)]
struct Try {
    /// The feed: the name of its file without `.toml`
    #[arg(value_name = "ID")]
    feed: FeedId,
    /// The station folder
    #[arg(long, value_name = "DIR", default_value = "playlists")]
    playlists: PathBuf,
    /// Print `{feed, value?, measured_ms?, error?, hint?}`
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    match args.what {
        What::List(args) => list(&args),
        What::Try(args) => attempt(&args),
    }
}

fn list(args: &List) -> anyhow::Result<Answer> {
    let server = args.server.open()?;
    let mut feeds: Vec<Value> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut path = "feeds?limit=500".to_owned();
        for (key, value) in [("state", &args.state), ("after", &after)] {
            if let Some(value) = value {
                path = format!("{path}&{key}={}", escaped(value));
            }
        }
        let page = server.get(&path)?;
        feeds.extend(page["feeds"].as_array().into_iter().flatten().cloned());
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    if args.json {
        print_json(&feeds)?;
    } else {
        let text = |feed: &Value, key: &str| feed[key].as_str().unwrap_or("–").to_owned();
        let rows = feeds.iter().map(|feed| {
            let fault = feed["fault"]["what"].as_str().unwrap_or_default().to_owned();
            let mut row: Vec<String> =
                ["id", "state", "value", "measured"].map(|key| text(feed, key)).into();
            row.push(fault);
            row
        });
        let head = ["FEED", "STATE", "VALUE", "MEASURED", "FAULT"];
        print_text(&table(&head, &rows.collect::<Vec<_>>()))?;
    }
    let fresh = feeds.iter().all(|feed| feed["state"] == "fresh");
    Ok(if fresh { Answer::Yes } else { Answer::No })
}

fn attempt(args: &Try) -> anyhow::Result<Answer> {
    let profiles = profiles_of(&args.playlists, None);
    let loaded = config::load(&args.playlists, &profiles, &mut Unseen);
    let own = format!("feeds/{}.toml", args.feed);
    let station = loaded.station.as_ref();
    let Some(feed) = station.and_then(|station| station.feeds.get(&args.feed)) else {
        if let Some(fault) = loaded.faults.iter().find(|fault| fault.file.ends_with(&own)) {
            let hint = fault.hint.clone().unwrap_or_default();
            return Err(failed(anyhow::Error::msg(fault.to_string()), hint));
        }
        let known: Vec<&str> =
            station.iter().flat_map(|station| station.feeds.keys()).map(FeedId::as_str).collect();
        let hint = match known.as_slice() {
            [] => format!("the folder has no feed; `{own}` would be its file"),
            known => format!("the folder has {}", known.join(", ")),
        };
        return Err(wrong_use(format!("no feed `{}`", args.feed), hint));
    };
    let Source::Http(source) = &feed.source else {
        return Err(wrong_use(
            format!("`{}` is read from a broker, which cannot be asked", args.feed),
            "`loa feed list` says what a running server has heard",
        ));
    };
    let clock = Arc::new(SystemClock::new());
    let reading = Reading { clock: clock.clone(), folder: args.playlists.clone() };
    let read = fetch(source, &reading).and_then(|picked| {
        Ok(Course::default().read(feed, &picked.text, picked.at, clock.now())?)
    });
    let (row, text, answer) = match read {
        Ok(value) => (
            json!({"feed": args.feed.as_str(), "value": value.text, "measured_ms": value.at.0}),
            format!("{}\n", value.text),
            Answer::Yes,
        ),
        Err(error) => (
            json!({"feed": args.feed.as_str(), "error": error.to_string(), "hint": error.hint()}),
            format!("no value: {error}\nhint: {}\n", error.hint()),
            Answer::No,
        ),
    };
    if args.json {
        print_json(&row)?;
    } else {
        print_text(&text)?;
    }
    Ok(answer)
}

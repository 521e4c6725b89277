//! `loa proposals`, `loa proposal`, `loa propose`: what waits, what it would do, who stands for it.

mod find;
mod shown;

pub use find::find_hash;
pub use shown::on_air;

use super::approve::told;
use super::data::{DataFolder, DataOption};
use super::token::TokenOption;
use super::{Answer, print_json, print_text, runtime, table, wrong_use};
use crate::app::access;
use crate::app::approval::Desk;
use crate::app::people::Person;
use crate::app::ports::{Approvals as _, People as _, Registry as _};
use crate::app::trail::Actor;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::time::UtcMs;
use crate::store::SqliteStore;
use chrono_tz::Tz;
use find::Wanted;
use shown::{Row, Whole, text};
use std::path::PathBuf;

/// Returns the person of a token.
pub async fn person(
    token: &TokenOption,
    store: &SqliteStore,
    now: UtcMs,
) -> anyhow::Result<Person> {
    let token = access::check(store, access::API, token.read()?.reveal(), now).await?;
    let id = token.and_then(|token| token.person);
    let person = match &id {
        Some(id) => store.person(id).await?,
        None => None,
    };
    person.filter(|person| person.ended_ms.is_none()).ok_or_else(|| {
        wrong_use("the token is not known here", "`loa user token PERSON` prints a new one")
    })
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
    /// Its hash, or the first digits; unless said, what waits, if that is one
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
/// A file has no proven author. Each changed file waits by itself, or with the files it cannot be
/// without; several that are named here become one proposal, decided as a whole. They must be
/// the ones that lie in the station folder now; a running server reads them within seconds.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files of the station folder, or the hash of a proposal (or its first digits); unless said,
    /// what waits and nobody stands for, if that is one
    #[arg(value_name = "FILE|HASH")]
    what: Vec<String>,
    /// Take your proposal back instead; several files fall apart again
    #[arg(long, value_name = "HASH", conflicts_with = "what")]
    take_back: Option<String>,
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

/// Lists proposals.
pub fn list(args: ListArgs) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&args.data.data)?;
    let all = runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let all =
            if args.all { store.proposals(500).await? } else { Desk::pending(&store).await? };
        store.close().await;
        anyhow::Ok(all)
    })?;
    if args.json {
        print_json(&all.iter().map(|one| Row::new(one, Whole::No)).collect::<Vec<_>>())?;
        return Ok(Answer::Yes);
    }
    if all.is_empty() {
        print_text("Nothing waits for approval.\n")?;
        return Ok(Answer::Yes);
    }
    let few = |mut names: Vec<String>| {
        let more = names.len().saturating_sub(4);
        names.truncate(4);
        if more > 0 {
            names.push(format!("and {more} more"));
        }
        names.join(", ")
    };
    let rows: Vec<_> = all
        .iter()
        .map(|one| {
            let near = one.preview.changes.iter().any(|change| change.near_quiet);
            vec![
                one.hash.to_string()[..12].to_owned(),
                one.stand.word().to_owned(),
                one.author.as_ref().map_or("–".to_owned(), ToString::to_string),
                one.lacks().to_string(),
                few(one.units().iter().map(ToString::to_string).collect()),
                if near { "near quiet hours".to_owned() } else { String::new() },
                few(one.names().into_iter().map(str::to_owned).collect()),
            ]
        })
        .collect();
    let heads = ["HASH", "STATE", "AUTHOR", "LACKS", "CONCERNS", "MIND", "FILES"];
    print_text(&table(&heads, &rows))?;
    Ok(Answer::Yes)
}

/// Shows a proposal.
pub fn show(args: ShowArgs) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&args.data.data)?;
    let (one, units) = runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let hash = find_hash(&store, args.hash.as_deref()).await?;
        let (one, units) = (store.proposal(&hash).await?, store.units().await?);
        store.close().await;
        anyhow::Ok((one, units))
    })?;
    let Some(one) = one else {
        return Err(wrong_use("no such proposal", "`loa proposals --all` lists all"));
    };
    if args.json {
        print_json(&Row::new(&one, Whole::Yes))?;
    } else {
        print_text(&text(&one, &units, args.zone))?;
    }
    Ok(Answer::Yes)
}

/// Names the author, or takes a proposal back.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&args.data.data)?;
    let now = SystemClock::new().now();
    let one = runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let person = person(&args.token, &store, now).await?;
        let actor = acting(&person);
        let desk = Desk { store: &store, person: &person, actor: &actor, now };
        let one = if let Some(hash) = &args.take_back {
            desk.take_back(&find_hash(&store, Some(hash)).await?).await
        } else {
            match Wanted::find(&store, &args.what, &args.playlists).await? {
                Wanted::Hash(hash) => desk.propose(&hash).await,
                Wanted::Files(files) => desk.propose_files(&files).await,
            }
        };
        store.close().await;
        one.map_err(told)
    })?;
    if args.json {
        print_json(&Row::new(&one, Whole::Yes))?;
    } else if args.take_back.is_some() {
        print_text(&format!("Taken back: {}\n", one.hash))?;
    } else {
        let author = one.author.as_ref().map(ToString::to_string).unwrap_or_default();
        let files = one.names().join(", ");
        print_text(&format!("Proposed by {author}: {}\n  {files}\n", one.hash))?;
    }
    Ok(Answer::Yes)
}

//! `loa user`: people, their roles, their tokens.

use super::data::{DataFolder, DataOption};
use super::trail::command_line;
use super::{Answer, failed, print_json, print_text, runtime, table, wrong_use};
use crate::app::access;
use crate::app::people::{Grant, Person, Role};
use crate::app::ports::{People as _, Registry as _, Trail as _};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::ids::{PersonId, UnitId};
use crate::domain::time::UtcMs;
use crate::store::SqliteStore;
use serde::Serialize;

/// Most days a token may work.
const MOST_DAYS: u32 = 3_660;

/// Keeps the people who use the station: their roles, the units these hold for, their tokens
///
/// Roles: operator (phát thanh viên), approver (duyệt), technician (kỹ thuật), auditor (thanh
/// tra), administrator (quản trị). A role over a unit holds for everything below it. Works on the
/// data folder, also while the server runs.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Adds a person, with a role and a token at once if asked
    Add {
        #[command(flatten)]
        common: Common,
        /// Short name: a-z, 0-9 and -
        #[arg(value_name = "PERSON")]
        person: PersonId,
        /// Full name
        #[arg(long, value_name = "TEXT")]
        name: String,
        #[arg(long, value_name = "ROLE")]
        role: Option<Role>,
        /// The role holds for this unit and all below it; for the whole station unless said
        #[arg(long, value_name = "UNIT", requires = "role")]
        unit: Option<UnitId>,
        /// Print a token for the person
        #[arg(long)]
        token: bool,
    },
    /// Lists people with their roles and tokens
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Gives a role
    Grant {
        #[command(flatten)]
        common: Common,
        #[arg(value_name = "PERSON")]
        person: PersonId,
        #[arg(value_name = "ROLE")]
        role: Role,
        /// The role holds for this unit and all below it; for the whole station unless said
        #[arg(long, value_name = "UNIT")]
        unit: Option<UnitId>,
    },
    /// Takes a role back
    Revoke {
        #[command(flatten)]
        common: Common,
        #[arg(value_name = "PERSON")]
        person: PersonId,
        #[arg(value_name = "ROLE")]
        role: Role,
        /// The unit the role was given for
        #[arg(long, value_name = "UNIT")]
        unit: Option<UnitId>,
    },
    /// Prints a new token of a person, once
    Token {
        #[command(flatten)]
        common: Common,
        #[arg(value_name = "PERSON")]
        person: PersonId,
        /// Days it works; without end unless said
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_DAYS)))]
        days: Option<u32>,
        /// Withdraw all earlier tokens of the person
        #[arg(long)]
        replace: bool,
    },
    /// Ends a person's access: tokens and sessions at once, roles for good; the trail keeps the
    /// name
    End {
        #[command(flatten)]
        common: Common,
        #[arg(value_name = "PERSON")]
        person: PersonId,
    },
}

#[derive(Debug, clap::Args)]
struct Common {
    #[command(flatten)]
    data: DataOption,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A person as `--json` prints it.
#[derive(Serialize)]
struct Row {
    id: PersonId,
    name: String,
    since_ms: UtcMs,
    ended_ms: Option<UtcMs>,
    grants: Vec<Grant>,
    /// How many tokens are in force.
    tokens: usize,
    /// A token just made: shown here and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// Runs the subcommand.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    let (Act::Add { common, .. }
    | Act::List { common }
    | Act::Grant { common, .. }
    | Act::Revoke { common, .. }
    | Act::Token { common, .. }
    | Act::End { common, .. }) = &args.act;
    let (folder, json) = (DataFolder::existing(&common.data.data)?, common.json);
    let now = SystemClock::new().now();
    runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let answer = act(&store, args.act, json, now).await;
        store.close().await;
        answer
    })
}

async fn act(store: &SqliteStore, act: Act, json: bool, now: UtcMs) -> anyhow::Result<Answer> {
    let cli = command_line();
    match act {
        Act::List { .. } => return list(store, json, now).await,
        Act::Add { person, name, role, unit, token, .. } => {
            let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
            if name.is_empty() || name.chars().count() > 120 {
                return Err(wrong_use("the name has 1 to 120 characters", "give the full name"));
            }
            if store.person(&person).await?.is_some() {
                return Err(wrong_use(
                    format!("`{person}` is there already"),
                    "ids are not used twice, since the trail names them; `loa user list` shows all",
                ));
            }
            must_exist(store, unit.as_ref()).await?;
            let grants = role.map(|role| Grant { role, unit }).into_iter().collect();
            let new = Person::new(person, &name, now, grants);
            let entry = cli.did(now, "add-person", &new.id).after(said(&new));
            store.put_person(&new, &entry).await?;
            let secret = if token { Some(make_token(store, &new, None, now).await?) } else { None };
            show(store, new, secret, json, now).await?;
        }
        Act::Grant { person, role, unit, .. } => {
            must_exist(store, unit.as_ref()).await?;
            let mut known = find(store, &person).await?;
            let before = said(&known);
            if known.grant(Grant { role, unit }) {
                let entry = cli.did(now, "grant-role", &person).before(before).after(said(&known));
                store.put_person(&known, &entry).await?;
            }
            show(store, known, None, json, now).await?;
        }
        Act::Revoke { person, role, unit, .. } => {
            let mut known = find(store, &person).await?;
            let (before, grant) = (said(&known), Grant { role, unit });
            if !known.revoke(&grant) {
                return Err(wrong_use(
                    format!("`{person}` does not have `{grant}`"),
                    format!("the roles are: {before}"),
                ));
            }
            let entry = cli.did(now, "revoke-role", &person).before(before).after(said(&known));
            store.put_person(&known, &entry).await?;
            show(store, known, None, json, now).await?;
        }
        Act::Token { person, days, replace, .. } => {
            let known = find(store, &person).await?;
            if replace {
                let gone = access::withdraw_all(store, &person).await?;
                let entry = cli.did(now, "withdraw-tokens", &person);
                store.append(&entry.before(format!("{gone} tokens")).after("0 tokens")).await?;
            }
            let secret = make_token(store, &known, days, now).await?;
            show(store, known, Some(secret), json, now).await?;
        }
        Act::End { person, .. } => {
            let mut known = find(store, &person).await?;
            let before = said(&known);
            known.ended_ms = Some(now);
            known.grants.clear();
            let entry = cli.did(now, "end-person", &person).before(before).after("ended");
            store.put_person(&known, &entry).await?;
            access::withdraw_all(store, &person).await?;
            show(store, known, None, json, now).await?;
        }
    }
    Ok(Answer::Yes)
}

/// Says what a person may, for the trail.
fn said(person: &Person) -> String {
    let grants: Vec<_> = person.grants.iter().map(ToString::to_string).collect();
    if grants.is_empty() { "no role".to_owned() } else { grants.join(", ") }
}

async fn find(store: &SqliteStore, id: &PersonId) -> anyhow::Result<Person> {
    match store.person(id).await? {
        Some(person) if person.ended_ms.is_none() => Ok(person),
        Some(_) => Err(wrong_use(
            format!("the access of `{id}` has ended"),
            "add the person again under another short name",
        )),
        None => Err(wrong_use(format!("no person `{id}`"), "`loa user list` shows all")),
    }
}

/// A role over a unit that nobody knows would silently mean nothing.
async fn must_exist(store: &SqliteStore, unit: Option<&UnitId>) -> anyhow::Result<()> {
    let Some(unit) = unit else { return Ok(()) };
    let units = store.units().await?;
    if units.is_empty() || units.iter().any(|known| known.id == *unit) {
        return Ok(());
    }
    Err(wrong_use(format!("no unit `{unit}` in the register"), "`loa unit list` shows all"))
}

async fn make_token(
    store: &SqliteStore,
    person: &Person,
    days: Option<u32>,
    now: UtcMs,
) -> anyhow::Result<access::Secret> {
    let life = days.map(|days| i64::from(days) * 86_400_000);
    let entry = command_line().did(now, "make-token", &person.id);
    let entry = entry.after(days.map_or("without end".to_owned(), |days| format!("{days} days")));
    store.append(&entry).await?;
    let secret =
        access::grant(store, "loa user token", Some(&person.id), access::API, now, life).await;
    secret.map_err(|error| failed(error, "no token was made; try again"))
}

async fn tokens_of(store: &SqliteStore, id: &PersonId, now: UtcMs) -> anyhow::Result<usize> {
    let tokens = store.tokens().await?;
    let in_force = tokens.iter().filter(|token| {
        token.person.as_ref() == Some(id)
            && token.scope == access::API
            && token.expires_ms.is_none_or(|end| now < end)
    });
    Ok(in_force.count())
}

async fn row(
    store: &SqliteStore,
    person: Person,
    token: Option<String>,
    now: UtcMs,
) -> anyhow::Result<Row> {
    let tokens = tokens_of(store, &person.id, now).await?;
    let Person { id, name, since_ms, ended_ms, grants } = person;
    Ok(Row { id, name, since_ms, ended_ms, grants, tokens, token })
}

async fn show(
    store: &SqliteStore,
    person: Person,
    secret: Option<access::Secret>,
    json: bool,
    now: UtcMs,
) -> anyhow::Result<()> {
    let may = said(&person);
    let row = row(store, person, secret.map(|secret| secret.reveal().to_owned()), now).await?;
    if json {
        return print_json(&row);
    }
    let ended = if row.ended_ms.is_some() { ", access ended" } else { "" };
    print_text(&format!("{} ({}): {may}{ended}\n", row.id, row.name))?;
    if let Some(token) = &row.token {
        print_text(&format!("Token, shown once: {token}\n"))?;
    }
    Ok(())
}

async fn list(store: &SqliteStore, json: bool, now: UtcMs) -> anyhow::Result<Answer> {
    let mut rows = Vec::new();
    for person in store.people().await? {
        rows.push((said(&person), row(store, person, None, now).await?));
    }
    if json {
        print_json(&rows.into_iter().map(|(_, row)| row).collect::<Vec<_>>())?;
        return Ok(Answer::Yes);
    }
    let cells = |(may, row): &(String, Row)| {
        let state = if row.ended_ms.is_some() { "ended" } else { "" };
        let (id, name) = (row.id.to_string(), row.name.clone());
        vec![id, name, may.clone(), row.tokens.to_string(), state.to_owned()]
    };
    let rows: Vec<_> = rows.iter().map(cells).collect();
    print_text(&table(&["PERSON", "NAME", "ROLES", "TOKENS", ""], &rows))?;
    Ok(Answer::Yes)
}

//! `loa approve`, `loa approval`: who decides about what waits, and whether anybody must.

use super::data::{DataFolder, DataOption};
use super::propose::{TokenOption, acting, find_hash};
use super::trail::command_line;
use super::{Answer, failed, print_json, print_text, runtime, wrong_use};
use crate::app::approval::{Decided, Desk, DeskError};
use crate::app::ports::{ApprovalStep, Approvals as _};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::ids::PlaylistId;
use crate::domain::time::UtcMs;
use crate::store::SqliteStore;
use serde::Serialize;

/// Approves what waits, sends it back, withdraws a playlist or goes back to an earlier approval
///
/// The person is the one of the token, with the role approver for every unit concerned, and not
/// the author. A running server publishes within seconds. Exit code 1 while others must approve
/// too.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").args(["give_back", "rollback", "withdraw"]))]
pub struct Args {
    /// The proposal's hash, or its first digits; what waits unless said
    #[arg(value_name = "HASH", conflicts_with_all = ["rollback", "withdraw"])]
    hash: Option<String>,
    /// Send it back instead
    #[arg(long = "return", requires = "reason")]
    give_back: bool,
    /// Go back to what this approval brought into force
    #[arg(long, value_name = "HASH", requires = "reason")]
    rollback: Option<String>,
    /// Take this playlist out of force at once
    #[arg(long, value_name = "PLAYLIST", requires = "reason")]
    withdraw: Option<PlaylistId>,
    /// Why, for the trail and for whoever proposed it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    token: TokenOption,
    #[command(flatten)]
    data: DataOption,
    /// Print `{hash, decided, lacks}`
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Said {
    hash: Option<String>,
    /// `in-force`, `lacks` or `done`.
    decided: &'static str,
    /// How many more must approve.
    lacks: usize,
}

/// Decides.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&args.data.data)?;
    let now = SystemClock::new().now();
    let reason = args.reason.as_deref().unwrap_or_default();
    let decided = runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let person = args.token.person(&store, now).await?;
        let actor = acting(&person);
        let desk = Desk { store: &store, person: &person, actor: &actor, now };
        let decided = if let Some(playlist) = &args.withdraw {
            desk.withdraw(playlist, reason).await
        } else if let Some(hash) = &args.rollback {
            desk.roll_back(&find_hash(&store, Some(hash)).await?, reason).await
        } else {
            let hash = find_hash(&store, args.hash.as_deref()).await?;
            if args.give_back {
                desk.give_back(&hash, reason).await
            } else {
                desk.approve(&hash).await
            }
        };
        store.close().await;
        decided.map_err(told)
    })?;
    let said = match decided {
        Decided::InForce { hash } => {
            Said { hash: Some(hash.to_string()), decided: "in-force", lacks: 0 }
        }
        Decided::Lacks { hash, more } => {
            Said { hash: Some(hash.to_string()), decided: "lacks", lacks: more }
        }
        Decided::Done => Said { hash: None, decided: "done", lacks: 0 },
    };
    if args.json {
        print_json(&said)?;
    } else {
        let hash = said.hash.as_deref().unwrap_or_default();
        print_text(&match said.decided {
            "in-force" => format!("Approved: {hash} is in force\n"),
            "lacks" => format!("Approved; {} more must approve {hash}\n", said.lacks),
            _ => "Done; a running server publishes it within seconds\n".to_owned(),
        })?;
    }
    Ok(if said.lacks == 0 { Answer::Yes } else { Answer::No })
}

/// Says why nothing was decided, with the exit code that fits.
pub fn told(error: DeskError) -> anyhow::Error {
    let hint = error.hint();
    match error {
        DeskError::Store(error) => failed(error, hint),
        error => wrong_use(error, hint),
    }
}

/// Says or shows whether a second person approves what sounds
///
/// `off` holds only while `approval = "off"` stands in station.toml too; either of the two is
/// enough to require approval.
#[derive(Debug, clap::Args)]
pub struct SettingArgs {
    /// `required` or `off`; shows what holds unless given
    #[arg(value_name = "WHICH", value_parser = ["required", "off"])]
    which: Option<String>,
    #[command(flatten)]
    data: DataOption,
    /// Print `{approval}`
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Setting {
    /// What the administrator says; the station file must say `off` too.
    approval: &'static str,
}

/// Sets or shows whether approval is required.
pub fn set(args: SettingArgs) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&args.data.data)?;
    let now = SystemClock::new().now();
    let off = runtime()?.block_on(async {
        let store = folder.open_store().await?;
        if let Some(which) = &args.which {
            put(&store, which == "off", now).await?;
        }
        let off = store.approval_mark().await?.off;
        store.close().await;
        anyhow::Ok(off)
    })?;
    let setting = Setting { approval: if off { "off" } else { "required" } };
    if args.json {
        print_json(&setting)?;
    } else {
        let more = if off { " (while `station.toml` says so too)" } else { "" };
        print_text(&format!("approval: {}{more}\n", setting.approval))?;
    }
    Ok(Answer::Yes)
}

/// Keeps the setting, with its entry in the trail.
pub async fn put(store: &SqliteStore, off: bool, now: UtcMs) -> anyhow::Result<()> {
    let word = |off: bool| if off { "off" } else { "required" };
    let mark = store.approval_mark().await?;
    if mark.off == off {
        return Ok(());
    }
    let entry = command_line().did(now, "set-approval", "station");
    let entry = entry.before(word(mark.off)).after(word(off));
    let step = ApprovalStep {
        over: mark.newest,
        off: Some(off),
        entries: vec![entry],
        ..ApprovalStep::default()
    };
    store.approval_step(&step).await?;
    Ok(())
}

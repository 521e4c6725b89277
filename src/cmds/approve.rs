//! `loa approve`, `loa approval`: who decides about what waits, and whether anybody must.

use super::data::{DataFolder, DataOption};
use super::propose::{acting, find_hash, on_air, person};
use super::token::TokenOption;
use super::trail::command_line;
use super::{Answer, failed, print_json, print_text, runtime, wrong_use};
use crate::app::approval::{Back, Backed, Decided, Desk, DeskError, Scope};
use crate::app::ports::{ApprovalStep, Approvals as _, Registry as _};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::approval::Change;
use crate::domain::ids::{PlaylistId, UnitId};
use crate::domain::station::Unit;
use crate::domain::time::UtcMs;
use crate::store::SqliteStore;
use chrono_tz::Tz;
use serde::Serialize;
use std::fmt::Write as _;

/// Approves what waits, sends it back, takes playlists out of force or goes back to an earlier
/// approval
///
/// The person is the one of the token, with the role approver for every unit concerned, and not
/// the author. A running server publishes within seconds. Exit code 1 while others must approve
/// too.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what")
    .args(["give_back", "rollback", "withdraw", "withdraw_unit"]))]
pub struct Args {
    /// The proposal's hash, or its first digits
    #[arg(value_name = "HASH", conflicts_with_all = ["rollback", "withdraw", "withdraw_unit"],
        required_unless_present_any = ["rollback", "withdraw", "withdraw_unit"])]
    hash: Option<String>,
    /// The version over which `loa proposal` showed it to you: refused if it would do something
    /// else on air by now
    #[arg(long, value_name = "VERSION", requires = "hash", conflicts_with = "what")]
    over: Option<i64>,
    /// Send it back instead
    #[arg(long = "return", requires = "reason")]
    give_back: bool,
    /// Go back to what this approval brought into force
    #[arg(long, value_name = "HASH", requires = "reason")]
    rollback: Option<String>,
    /// Of a rollback: only this playlist
    #[arg(long, value_name = "PLAYLIST", requires = "rollback", conflicts_with = "unit")]
    playlist: Option<PlaylistId>,
    /// Of a rollback: only the playlists that address this unit and no others
    #[arg(long, value_name = "UNIT", requires = "rollback")]
    unit: Option<UnitId>,
    /// Take this playlist out of force at once
    #[arg(long, value_name = "PLAYLIST", requires = "reason")]
    withdraw: Option<PlaylistId>,
    /// Take the playlists that address this unit and no others out of force at once
    #[arg(long, value_name = "UNIT", requires = "reason")]
    withdraw_unit: Option<UnitId>,
    /// Of a rollback or withdrawal: only show what would change on air
    #[arg(long)]
    dry_run: bool,
    /// Why, for the trail and for whoever proposed it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Zone in which times are shown
    #[arg(long, value_name = "ZONE", default_value = "Asia/Ho_Chi_Minh")]
    zone: Tz,
    #[command(flatten)]
    token: TokenOption,
    #[command(flatten)]
    data: DataOption,
    /// Print `{hash, decided, lacks}`; of a step back `{decided, files, stay, changes, more}`
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Returns the step back that is wanted, if one is.
    async fn back(&self, store: &SqliteStore) -> anyhow::Result<Option<Back>> {
        if let Some(list) = &self.withdraw {
            return Ok(Some(Back { scope: Scope::Playlist(list.clone()), to: None }));
        }
        if let Some(unit) = &self.withdraw_unit {
            return Ok(Some(Back { scope: Scope::Unit(unit.clone()), to: None }));
        }
        let Some(hash) = &self.rollback else {
            if self.dry_run {
                return Err(wrong_use(
                    "`--dry-run` belongs to a rollback or withdrawal",
                    "`loa proposal HASH` shows what an approval would change",
                ));
            }
            return Ok(None);
        };
        let scope = match (&self.playlist, &self.unit) {
            (Some(list), _) => Scope::Playlist(list.clone()),
            (None, Some(unit)) => Scope::Unit(unit.clone()),
            (None, None) => Scope::Station,
        };
        Ok(Some(Back { scope, to: Some(find_hash(store, Some(hash)).await?) }))
    }
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

/// What `--json` prints of a step back.
#[derive(Serialize)]
struct Stepped<'a> {
    /// `done` or `shown`.
    decided: &'static str,
    files: &'a [String],
    /// Playlists that concern the unit and others too: they stay.
    stay: &'a [PlaylistId],
    changes: &'a [Change],
    more: usize,
}

/// What came of it.
enum Outcome {
    Decided(Decided),
    Back(Box<Backed>, Vec<Unit>),
}

/// Decides.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&args.data.data)?;
    let now = SystemClock::new().now();
    let reason = args.reason.as_deref().unwrap_or_default();
    let outcome = runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let person = person(&args.token, &store, now).await?;
        let actor = acting(&person);
        let desk = Desk { store: &store, person: &person, actor: &actor, now };
        let outcome = if let Some(back) = args.back(&store).await? {
            let backed = if args.dry_run {
                desk.look_back(&back).await
            } else {
                desk.go_back(&back, reason).await
            };
            Outcome::Back(Box::new(backed.map_err(told)?), store.units().await?)
        } else {
            let hash = find_hash(&store, args.hash.as_deref()).await?;
            Outcome::Decided(if args.give_back {
                desk.give_back(&hash, reason).await.map_err(told)?
            } else {
                desk.approve(&hash, args.over).await.map_err(told)?
            })
        };
        store.close().await;
        anyhow::Ok(outcome)
    })?;
    match outcome {
        Outcome::Decided(decided) => tell(&decided, args.json),
        Outcome::Back(backed, units) => tell_back(&backed, &units, &args),
    }
}

fn tell(decided: &Decided, json: bool) -> anyhow::Result<Answer> {
    let said = match decided {
        Decided::InForce { hash } => {
            Said { hash: Some(hash.to_string()), decided: "in-force", lacks: 0 }
        }
        Decided::Lacks { hash, more } => {
            Said { hash: Some(hash.to_string()), decided: "lacks", lacks: *more }
        }
        Decided::Done => Said { hash: None, decided: "done", lacks: 0 },
    };
    if json {
        print_json(&said)?;
    } else {
        let hash = said.hash.as_deref().unwrap_or_default();
        print_text(&match said.decided {
            "in-force" => format!("Approved: {hash} is in force\n"),
            "lacks" => format!("Approved; {} more must approve {hash}\n", said.lacks),
            _ => "Done: whoever proposed it sees the reason\n".to_owned(),
        })?;
    }
    Ok(if said.lacks == 0 { Answer::Yes } else { Answer::No })
}

fn tell_back(backed: &Backed, units: &[Unit], args: &Args) -> anyhow::Result<Answer> {
    let (files, stay, preview) = (&backed.files, &backed.stay, &backed.preview);
    if args.json {
        print_json(&Stepped {
            decided: if args.dry_run { "shown" } else { "done" },
            files,
            stay,
            changes: &preview.changes,
            more: preview.more,
        })?;
        return Ok(Answer::Yes);
    }
    let mut text = format!("files: {}\n", files.join(", "));
    if !stay.is_empty() {
        let stay: Vec<_> = stay.iter().map(ToString::to_string).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "stay, since they address other units too: {} (`--withdraw` takes one out, `loa hold` \
             silences the unit)",
            stay.join(", ")
        );
    }
    text.push_str(&on_air(preview, units, args.zone));
    text.push_str(if args.dry_run {
        "Nothing was changed.\n"
    } else {
        "Done; a running server publishes it within seconds.\n"
    });
    print_text(&text)?;
    Ok(Answer::Yes)
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

//! `loa device`: the register of devices, and the codes by which they enrol.
//!
//! Works on the store of the data folder, also while a server runs on it: the server notices
//! within seconds.

mod args;
mod code;
mod lines;

pub use args::Args;

use super::data::DataFolder;
use super::reach::reach;
use super::registers::{self, Stationed};
use super::trail::command_line;
use super::{Answer, failed, print_json, print_text, runtime};
use crate::app::keyring::Keyring;
use crate::app::mosquitto::Passwords;
use crate::app::ports::{Registered, Trail as _};
use crate::app::registry::{NewDevice, Register, RegisterError};
use crate::app::trail::Entry;
use crate::clock::{Clock as _, SharedClock, SystemClock};
use crate::store::SqliteStore;
use args::{Act, Add, Enrol, One};
use code::show_code;
use lines::{Devices, Row};
use std::sync::Arc;

/// Runs the subcommand.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    match args.act {
        Act::List(list) => registers::list(&Devices::default(), &list),
        Act::Add(add) => self::add(add),
        Act::Enrol(enrol) => self::enrol(enrol),
        Act::Revoke { one, reason } => revoke(one, &reason),
        Act::Replace { one, reason, hours, qr } => replace(one, &reason, hours, qr.as_deref()),
        Act::Delete { one } => delete(one),
        Act::Import { import, profiles } => registers::import(&Devices { profiles }, &import),
        Act::Export(export) => registers::export(&Devices::default(), &export),
    }
}

/// Builds the register over the data folder as a server would.
async fn register(
    folder: &DataFolder,
    station: &Stationed,
    store: Arc<SqliteStore>,
) -> anyhow::Result<Register> {
    let keys = folder.read_keys()?;
    let epochs = folder.read_epochs(&keys)?;
    let clock: SharedClock = Arc::new(SystemClock::new());
    let config = station.settings(&*store).await?;
    let listen = &config.listen;
    let broker = station.broker.as_deref().or(config.broker.url.as_deref());
    let (http, mqtt) = (station.http.unwrap_or(listen.http), station.mqtt.unwrap_or(listen.mqtt));
    let reach = reach(&config, &station.playlists, http, mqtt, broker, clock.now())?;
    let register = Register::new(
        store,
        Keyring::new(keys, epochs),
        clock,
        reach,
        folder.read_password_seed()?,
    );
    // Kept while an external mosquitto is in use, also by a command beside the server.
    let passwords = folder.mosquitto_passwords();
    Ok(if passwords.exists() {
        register.keeping(Arc::new(Passwords::at(passwords)))
    } else {
        register
    })
}

/// Does something to one device through the register, and tells the trail.
fn with_register<T>(
    one: &One,
    act: impl AsyncFnOnce(&Register) -> Result<(T, Entry), RegisterError>,
) -> anyhow::Result<T> {
    let folder = DataFolder::existing(&one.data.data)?;
    runtime()?.block_on(async {
        let store = Arc::new(folder.open_store().await?);
        let register = register(&folder, &one.station, store.clone()).await?;
        let (done, entry) = act(&register).await.map_err(|error| {
            let hint = error.hint();
            failed(error, hint)
        })?;
        store.append(&entry).await?;
        store.close().await;
        anyhow::Ok(done)
    })
}

/// What a revocation means where the broker is not ours.
fn note_foreign_broker(one: &One) {
    let path = DataFolder::at(&one.data.data).mosquitto_passwords();
    if path.exists() {
        eprintln!(
            "`{}` no longer holds its password: tell mosquitto to read it again \
             (systemctl reload mosquitto); until then a connected device stays connected.",
            path.display()
        );
    }
}

/// What becomes of the devices behind a gateway whose key is taken away.
fn note_behind(behind: &[Registered]) -> anyhow::Result<()> {
    if behind.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = behind.iter().map(|known| format!("`{}`", known.device.id)).collect();
    print_text(&format!(
        "{} stand behind it and wait: they play on when it enrols anew, or stand behind another \
         gateway (`loa device import`, column `behind`): {}.\n",
        behind.len(),
        names.join(", ")
    ))
}

fn revoke(one: One, reason: &str) -> anyhow::Result<Answer> {
    let now = SystemClock::new().now();
    let (known, behind) = with_register(&one, async |register: &Register| {
        let behind = register.behind(&one.device).await?;
        let known = register.revoke(&one.device, reason, &command_line().who).await?;
        let entry = command_line().did(now, "revoke-device", &one.device).after(reason);
        Ok(((known, behind), entry))
    })?;
    let row = Row::from(known);
    if one.json {
        print_json(&row)?;
    } else {
        print_text(&format!(
            "Revoked `{}`. Records that it still holds enter only by `loa records import`, flagged.\n",
            row.id
        ))?;
        note_behind(&behind)?;
    }
    note_foreign_broker(&one);
    Ok(Answer::Yes)
}

fn replace(
    one: One,
    reason: &str,
    hours: u32,
    qr: Option<&std::path::Path>,
) -> anyhow::Result<Answer> {
    let now = SystemClock::new().now();
    let (issued, behind) = with_register(&one, async |register: &Register| {
        let behind = register.behind(&one.device).await?;
        let issued =
            register.replace(&one.device, reason, &command_line().who, Some(hours)).await?;
        let entry = command_line().did(now, "replace-device", &one.device);
        let entry = entry.after(format!("{reason}; code {}", issued.id));
        Ok(((issued, behind), entry))
    })?;
    show_code(issued, hours, qr, one.json)?;
    if !one.json {
        note_behind(&behind)?;
    }
    note_foreign_broker(&one);
    Ok(Answer::Yes)
}

fn delete(one: One) -> anyhow::Result<Answer> {
    let now = SystemClock::new().now();
    let known = with_register(&one, async |register: &Register| {
        let known = register.delete(&one.device).await?;
        let before = format!("`{}` in {}", known.device.name, known.device.unit);
        let entry = command_line().did(now, "delete-device", &one.device).before(before);
        Ok((known, entry))
    })?;
    let row = Row::from(known);
    if one.json {
        print_json(&row)?;
    } else {
        print_text(&format!("Deleted `{}`.\n", row.id))?;
    }
    Ok(Answer::Yes)
}

fn add(args: Add) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&args.data.data)?;
    let known = runtime()?.block_on(async {
        let store = Arc::new(folder.open_store().await?);
        let register = register(&folder, &args.station, store.clone()).await?;
        let profiles = args.station.profiles()?;
        let new = NewDevice {
            id: args.device,
            name: args.name,
            unit: args.unit,
            profile: args.profile,
            tags: args.tags,
            volume_cap: args.volume_cap,
            trim_ms: args.trim_ms,
            behind: args.behind,
        };
        let known = register.add(new, Some(&profiles)).await.map_err(|error| {
            let hint = error.hint();
            failed(error, hint)
        })?;
        let entry = command_line().did(known.registered_ms, "add-device", &known.device.id);
        let (name, unit) = (&known.device.name, &known.device.unit);
        let behind = known.device.behind.as_ref();
        let behind = behind.map_or_else(String::new, |id| format!(", behind {id}"));
        let entry = entry.after(format!("`{name}` in {unit}, {}{behind}", known.device.profile));
        store.append(&entry).await?;
        anyhow::Ok(known)
    })?;
    let row = Row::from(known);
    if args.json {
        print_json(&row)?;
    } else if let Some(gateway) = &row.behind {
        print_text(&format!(
            "Added `{}` behind `{gateway}`, which speaks and signs for it once it has enrolled.\n",
            row.id
        ))?;
    } else {
        print_text(&format!("Added `{}`. Enrol it: loa device enrol {}\n", row.id, row.id))?;
    }
    Ok(Answer::Yes)
}

fn enrol(args: Enrol) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&args.data.data)?;
    let issued = runtime()?.block_on(async {
        let store = Arc::new(folder.open_store().await?);
        let register = register(&folder, &args.station, store.clone()).await?;
        let issued = register.issue(&args.device, Some(args.hours)).await.map_err(|error| {
            let hint = error.hint();
            failed(error, hint)
        })?;
        let now = SystemClock::new().now();
        let entry = command_line().did(now, "issue-code", &issued.device);
        store.append(&entry.after(format!("code {}", issued.id))).await?;
        anyhow::Ok(issued)
    })?;
    show_code(issued, args.hours, args.qr.as_deref(), args.json)?;
    Ok(Answer::Yes)
}

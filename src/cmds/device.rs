//! `loa device`: the register of devices, and the codes by which they enrol.
//!
//! Works on the store of the data folder, also while a server runs on it: the server notices
//! within seconds.

use super::data::{DataFolder, DataOption};
use super::reach::reach;
use super::registers::{self, ExportArgs, ImportArgs, ListArgs, Stationed, changed};
use super::trail::command_line;
use super::{Advise as _, Answer, failed, print_json, print_text, runtime};
use crate::app::keyring::Keyring;
use crate::app::mosquitto::Passwords;
use crate::app::ports::{Registered, Registry as _, Standing, Trail as _};
use crate::app::registry::{Issued, NewDevice, Register, RegisterError};
use crate::app::trail::Entry;
use crate::clock::{Clock as _, SharedClock, SystemClock};
use crate::config::{self, Fault, Named, devices_from_csv_naming, devices_to_csv};
use crate::domain::ids::{DeviceId, ProfileId, Tag, UnitId};
use crate::domain::station::Device;
use crate::store::SqliteStore;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;

/// Lists, adds, enrols, revokes, replaces, imports and exports devices
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Lists the devices of the register
    List(ListArgs),
    /// Adds a device to the register
    Add(Add),
    /// Issues a code by which a device enrols once, for the first time or again
    Enrol(Enrol),
    /// Takes a device's key and password away for good: stolen, scrapped, not to be trusted
    Revoke {
        #[command(flatten)]
        one: One,
        /// Why, for the register and the trail
        #[arg(long)]
        reason: String,
    },
    /// Revokes the key of broken or lost hardware and issues a code for what takes its place
    Replace {
        #[command(flatten)]
        one: One,
        /// Why, for the register and the trail
        #[arg(long, default_value = "replaced by other hardware")]
        reason: String,
        /// How long the code works
        #[arg(long, value_name = "HOURS", default_value_t = 72)]
        hours: u32,
        /// Write the code as a QR code (SVG) to this file
        #[arg(long, value_name = "FILE")]
        qr: Option<PathBuf>,
    },
    /// Removes a device that never enrolled
    Delete {
        #[command(flatten)]
        one: One,
    },
    /// Takes devices from a CSV file into the register; those it does not name stay
    Import {
        #[command(flatten)]
        import: ImportArgs,
        /// Folder of device profiles, which lines may name
        #[arg(long, value_name = "DIR", default_value = "device-profiles", env = "LOA_PROFILES")]
        profiles: PathBuf,
    },
    /// Writes the register as CSV to stdout, or as JSON
    Export(ExportArgs),
}

#[derive(Debug, clap::Args)]
struct Add {
    #[command(flatten)]
    data: DataOption,
    #[command(flatten)]
    station: Stationed,
    /// Id: 3 to 40 of a-z, 0-9 and -
    device: DeviceId,
    /// Name or place for people
    #[arg(long)]
    name: String,
    /// Unit in which it stands
    #[arg(long)]
    unit: UnitId,
    /// Device profile
    #[arg(long)]
    profile: ProfileId,
    /// Tag; may be given several times
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<Tag>,
    /// Cap on its volume
    #[arg(long, value_name = "0-100", default_value_t = 100)]
    volume_cap: u8,
    /// Correction of its start in milliseconds; positive plays later
    #[arg(long, value_name = "MS", default_value_t = 0, allow_negative_numbers = true)]
    trim_ms: i64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// One device of the register.
#[derive(Debug, clap::Args)]
struct One {
    #[command(flatten)]
    data: DataOption,
    #[command(flatten)]
    station: Stationed,
    /// The device
    device: DeviceId,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Enrol {
    #[command(flatten)]
    data: DataOption,
    #[command(flatten)]
    station: Stationed,
    /// The device
    device: DeviceId,
    /// How long the code works
    #[arg(long, value_name = "HOURS", default_value_t = 72)]
    hours: u32,
    /// Write the code as a QR code (SVG) to this file
    #[arg(long, value_name = "FILE")]
    qr: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A device as the register knows it.
#[derive(Serialize)]
struct Row {
    id: DeviceId,
    name: String,
    unit: UnitId,
    tags: Vec<Tag>,
    profile: ProfileId,
    volume_cap: u8,
    trim_ms: i64,
    standing: &'static str,
    since_ms: i64,
}

impl From<Registered> for Row {
    fn from(known: Registered) -> Self {
        let (standing, since_ms) = match &known.standing {
            Standing::Awaiting => ("awaiting", known.registered_ms.0),
            Standing::Enrolled { since_ms, .. } => ("enrolled", since_ms.0),
            Standing::Revoked { at_ms, .. } => ("revoked", at_ms.0),
        };
        let device = known.device;
        Self {
            id: device.id,
            name: device.name,
            unit: device.unit,
            tags: device.tags,
            profile: device.profile,
            volume_cap: device.volume_cap,
            trim_ms: device.trim_ms,
            standing,
            since_ms,
        }
    }
}

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

/// The register; only an import asks for profiles.
#[derive(Default)]
struct Devices {
    profiles: PathBuf,
}

impl registers::Register for Devices {
    type Entry = Device;
    type Id = DeviceId;
    type Row = Row;
    const HEAD: &'static [&'static str] = &["DEVICE", "NAME", "UNIT", "PROFILE", "STANDING"];

    fn id(device: &Device) -> &DeviceId {
        &device.id
    }

    fn cells(row: &Row) -> Vec<String> {
        vec![
            row.id.to_string(),
            row.name.clone(),
            row.unit.to_string(),
            row.profile.to_string(),
            row.standing.to_owned(),
        ]
    }

    fn to_csv(devices: &[Device]) -> String {
        devices_to_csv(devices)
    }

    async fn rows(&self, store: &SqliteStore) -> anyhow::Result<Vec<Row>> {
        Ok(store.devices().await?.into_iter().map(Row::from).collect())
    }

    async fn entries(&self, store: &SqliteStore) -> anyhow::Result<Vec<Device>> {
        Ok(store.devices().await?.into_iter().map(|known| known.device).collect())
    }

    async fn read(
        &self,
        store: &SqliteStore,
        (label, bytes): (&str, &[u8]),
        _: &[Device],
    ) -> anyhow::Result<Result<Vec<Device>, Vec<Fault>>> {
        let units = store.units().await?.into_iter().map(|unit| unit.id).collect();
        let profiles = if self.profiles.is_dir() {
            let (known, _) = config::profiles(&self.profiles);
            Some(known.into_iter().map(|profile| profile.id).collect())
        } else {
            let folder = self.profiles.display();
            eprintln!("note: no folder `{folder}`; profiles are not checked");
            None
        };
        Ok(devices_from_csv_naming(label, bytes, &Named { units, profiles }))
    }

    async fn change(
        &self,
        store: &SqliteStore,
        put: &[Device],
        gone: &[DeviceId],
    ) -> anyhow::Result<()> {
        let now = SystemClock::new().now();
        store.put_devices(put, now).await?;
        store.remove_devices(gone).await?;
        let entry = command_line().did(now, "import-devices", "register");
        store.append(&entry.after(changed(put.iter().map(|device| &device.id), gone))).await?;
        Ok(())
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
    let register = Register::new(store, Keyring::new(keys, epochs), clock, reach);
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

fn revoke(one: One, reason: &str) -> anyhow::Result<Answer> {
    let now = SystemClock::new().now();
    let known = with_register(&one, async |register: &Register| {
        let known = register.revoke(&one.device, reason, &command_line().who).await?;
        let entry = command_line().did(now, "revoke-device", &one.device).after(reason);
        Ok((known, entry))
    })?;
    let row = Row::from(known);
    if one.json {
        print_json(&row)?;
    } else {
        print_text(&format!(
            "Revoked `{}`. Records that it still holds enter only by `loa records import`, flagged.\n",
            row.id
        ))?;
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
    let issued = with_register(&one, async |register: &Register| {
        let issued =
            register.replace(&one.device, reason, &command_line().who, Some(hours)).await?;
        let entry = command_line().did(now, "replace-device", &one.device);
        Ok((issued.clone(), entry.after(format!("{reason}; code {}", issued.id))))
    })?;
    show_code(issued, hours, qr, one.json)?;
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
        };
        let known = register.add(new, Some(&profiles)).await.map_err(|error| {
            let hint = error.hint();
            failed(error, hint)
        })?;
        let entry = command_line().did(known.registered_ms, "add-device", &known.device.id);
        let (name, unit) = (&known.device.name, &known.device.unit);
        let entry = entry.after(format!("`{name}` in {unit}, {}", known.device.profile));
        store.append(&entry).await?;
        anyhow::Ok(known)
    })?;
    let row = Row::from(known);
    if args.json {
        print_json(&row)?;
    } else {
        print_text(&format!("Added `{}`. Enrol it: loa device enrol {}\n", row.id, row.id))?;
    }
    Ok(Answer::Yes)
}

/// A code as it is shown once.
#[derive(Serialize)]
struct Shown {
    device: DeviceId,
    code: String,
    link: String,
    expires_ms: i64,
    id: String,
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

/// Shows a code, once.
fn show_code(
    issued: Issued,
    hours: u32,
    qr: Option<&std::path::Path>,
    json: bool,
) -> anyhow::Result<()> {
    let code = Shown {
        device: issued.device,
        code: issued.code,
        link: issued.link,
        expires_ms: issued.expires_ms.0,
        id: issued.id.to_string(),
    };
    if let Some(path) = qr {
        let qr = qrcode::QrCode::new(&code.link)?;
        let svg = qr.render::<qrcode::render::svg::Color<'_>>().min_dimensions(320, 320).build();
        std::fs::write(path, svg).advise("name a file in a folder that is there")?;
    }
    if json {
        print_json(&code)?;
    } else {
        print_text(&format!("{}\n", code.code))?;
        eprintln!(
            "Works once, for {hours} hours. On the device: loa speaker --enrol CODE --data DIR\n\
             (a board: loa board --enrol CODE --data DIR)"
        );
    }
    Ok(())
}

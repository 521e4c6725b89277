//! What `loa device` and `loa unit` share: listing, importing and exporting a register, and where
//! the station folder lies.

use super::data::{DataFolder, DataOption};
use super::{Answer, failed, print_json, print_text, runtime, table};
use crate::app::ports::Facts;
use crate::config::{self, ClipSource, Fault, LastGood, StationConfig};
use crate::domain::ids::ProfileId;
use crate::domain::profile::Profile;
use crate::domain::station::AssetFacts;
use crate::store::SqliteStore;
use anyhow::Context as _;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Largest CSV file that is read.
const MOST: u64 = 64 << 20;

/// Where the station folder lies, and what the server was told on its command line.
#[derive(Debug, clap::Args)]
pub struct Stationed {
    /// Station folder of the server
    #[arg(long, value_name = "DIR", default_value = "playlists", env = "LOA_PLAYLISTS")]
    pub playlists: PathBuf,
    /// Folder of device profiles
    #[arg(
        long = "profiles",
        value_name = "DIR",
        default_value = "device-profiles",
        env = "LOA_PROFILES"
    )]
    pub profile_folder: PathBuf,
    /// Address of HTTP, when the server was started with another than the station file's
    #[arg(long, value_name = "ADDRESS:PORT", env = "LOA_HTTP")]
    pub http: Option<SocketAddr>,
    /// Address of the embedded broker, when the server was started with another
    #[arg(long, value_name = "ADDRESS:PORT", env = "LOA_MQTT")]
    pub mqtt: Option<SocketAddr>,
    /// External broker, when the server was started with another
    #[arg(long, value_name = "URL", env = "LOA_BROKER")]
    pub broker: Option<String>,
}

/// Knows no clip: these commands do not need any.
struct NoClips;

impl ClipSource for NoClips {
    fn facts(&mut self, _: &Path) -> Result<AssetFacts, String> {
        Err("not looked at".to_owned())
    }
}

impl Stationed {
    fn load(&self, last: &LastGood) -> config::Loaded {
        config::load_with_last_good(&self.playlists, &self.profile_folder, &mut NoClips, last)
    }

    /// Returns what the station file says, as it was when it last was good.
    pub async fn settings(&self, store: &dyn Facts) -> anyhow::Result<StationConfig> {
        let files = store.station_files().await?;
        let files = files.into_iter().map(|file| (file.path, file.bytes.into())).collect();
        self.load(&LastGood { files }).config.ok_or_else(|| {
            failed(
                anyhow::anyhow!("no usable station folder at `{}`", self.playlists.display()),
                format!("`loa check {}` lists what is wrong", self.playlists.display()),
            )
        })
    }

    /// Returns the profiles there are.
    pub fn profiles(&self) -> anyhow::Result<BTreeMap<ProfileId, Profile>> {
        let loaded = self.load(&LastGood::default());
        loaded
            .station
            .map(|station| station.profiles)
            .with_context(|| format!("no usable station folder at `{}`", self.playlists.display()))
    }
}

/// Says what an import changed, for the trail: the first names, then how many more.
pub fn changed<'a, T: Display + 'a>(put: impl Iterator<Item = &'a T>, gone: &[T]) -> String {
    let names = |names: Vec<String>| match names.len() {
        0 => "none".to_owned(),
        n if n <= 20 => names.join(", "),
        n => format!("{} and {} more", names[..20].join(", "), n - 20),
    };
    let put = names(put.map(ToString::to_string).collect());
    let gone = names(gone.iter().map(ToString::to_string).collect());
    format!("put {put}; removed {gone}")
}

/// Lists the register.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    data: DataOption,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

/// Takes lines in.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    #[command(flatten)]
    data: DataOption,
    /// CSV as `export` writes it, or `-` for stdin
    file: PathBuf,
    /// Also remove what the file does not name (evidence stays)
    #[arg(long)]
    replace: bool,
    /// Print `{added, changed, unchanged, removed}`
    #[arg(long)]
    json: bool,
}

/// Writes the register out.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    #[command(flatten)]
    data: DataOption,
    /// Print one JSON array instead of CSV
    #[arg(long)]
    json: bool,
}

/// What an import changed, as `--json` shows it.
#[derive(Serialize)]
struct Imported {
    added: usize,
    changed: usize,
    unchanged: usize,
    removed: usize,
}

/// A register whose lines come from CSV and go there: units, devices.
pub trait Register {
    /// What one line says.
    type Entry: Clone + PartialEq;
    type Id: Ord + Clone + Display;
    /// An entry as `--json` shows it, with what the register knows beside it.
    type Row: Serialize;
    /// Head of the table for people.
    const HEAD: &'static [&'static str];

    fn id(entry: &Self::Entry) -> &Self::Id;
    fn cells(row: &Self::Row) -> Vec<String>;
    fn to_csv(entries: &[Self::Entry]) -> String;
    async fn rows(&self, store: &SqliteStore) -> anyhow::Result<Vec<Self::Row>>;
    async fn entries(&self, store: &SqliteStore) -> anyhow::Result<Vec<Self::Entry>>;
    /// Reads a file by its name and text; it may name what stands in the store beside `kept`.
    async fn read(
        &self,
        store: &SqliteStore,
        text: (&str, &[u8]),
        kept: &[Self::Entry],
    ) -> anyhow::Result<Result<Vec<Self::Entry>, Vec<Fault>>>;
    /// Writes the change, or refuses it as a whole.
    async fn change(
        &self,
        store: &SqliteStore,
        put: &[Self::Entry],
        gone: &[Self::Id],
    ) -> anyhow::Result<()>;
}

/// Shows a register.
pub fn list<R: Register>(register: &R, args: &ListArgs) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&args.data.data)?;
    let rows = runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let rows = register.rows(&store).await?;
        store.close().await;
        anyhow::Ok(rows)
    })?;
    if args.json {
        print_json(&rows)?;
    } else {
        print_text(&table(R::HEAD, &rows.iter().map(R::cells).collect::<Vec<_>>()))?;
    }
    Ok(Answer::Yes)
}

/// Writes a register to stdout.
pub fn export<R: Register>(register: &R, args: &ExportArgs) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&args.data.data)?;
    runtime()?.block_on(async {
        let store = folder.open_store().await?;
        if args.json {
            print_json(&register.rows(&store).await?)?;
        } else {
            print_text(&R::to_csv(&register.entries(&store).await?))?;
        }
        store.close().await;
        Ok(Answer::Yes)
    })
}

/// Takes a file into a register: all of it or, with any fault, nothing.
pub fn import<R: Register>(register: &R, args: &ImportArgs) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&args.data.data)?;
    let (label, bytes) = (args.file.display().to_string(), read_text(&args.file)?);
    let done = runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let known = register.entries(&store).await?;
        let kept: &[_] = if args.replace { &[] } else { &known };
        let named = match register.read(&store, (&label, &bytes), kept).await? {
            Ok(named) => named,
            Err(faults) => return Ok(Err(faults)),
        };
        let known: BTreeMap<_, _> = known.iter().map(|entry| (R::id(entry), entry)).collect();
        let new = |entry: &&R::Entry| known.get(R::id(entry)) != Some(entry);
        let put: Vec<_> = named.iter().filter(new).cloned().collect();
        let ids: BTreeSet<_> = named.iter().map(R::id).collect();
        let gone = known.keys().filter(|id| args.replace && !ids.contains(*id));
        let gone: Vec<_> = gone.map(|id| (*id).clone()).collect();
        let added = put.iter().filter(|entry| !known.contains_key(R::id(entry))).count();
        register.change(&store, &put, &gone).await?;
        store.close().await;
        anyhow::Ok(Ok(Imported {
            added,
            changed: put.len() - added,
            unchanged: named.len() - put.len(),
            removed: gone.len(),
        }))
    })?;
    let done = match done {
        Ok(done) => done,
        Err(faults) => return Ok(show_faults(&faults)),
    };
    if args.json {
        print_json(&done)?;
    } else {
        let Imported { added, changed, unchanged, removed } = done;
        print_text(&format!(
            "{added} added, {changed} changed, {unchanged} unchanged, {removed} removed\n"
        ))?;
    }
    Ok(Answer::Yes)
}

/// Reads a file, or stdin for `-`.
fn read_text(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let reader: Box<dyn std::io::Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        let file = std::fs::File::open(path);
        Box::new(file.with_context(|| format!("reading `{}`", path.display()))?)
    };
    reader
        .take(MOST + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("reading `{}`", path.display()))?;
    anyhow::ensure!(bytes.len() as u64 <= MOST, "`{}` is above {MOST} bytes", path.display());
    Ok(bytes)
}

/// Prints faults to stderr with their hints; the answer is no.
fn show_faults(faults: &[Fault]) -> Answer {
    for fault in faults {
        eprintln!("{fault}");
        if let Some(hint) = &fault.hint {
            eprintln!("  hint: {hint}");
        }
    }
    eprintln!("nothing was changed");
    Answer::No
}

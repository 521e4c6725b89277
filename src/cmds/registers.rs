//! What `loa device` and `loa unit` share: the station folder, CSV from files, faults.

use super::{Answer, failed};
use crate::app::ports::Facts;
use crate::config::{self, ClipSource, Fault, LastGood, StationConfig};
use crate::domain::ids::ProfileId;
use crate::domain::profile::Profile;
use crate::domain::station::AssetFacts;
use anyhow::Context as _;
use std::collections::BTreeMap;
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

/// Reads a file, or stdin for `-`.
pub fn read_text(path: &Path) -> anyhow::Result<Vec<u8>> {
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
pub fn show_faults(faults: &[Fault]) -> Answer {
    for fault in faults {
        eprintln!("{fault}");
        if let Some(hint) = &fault.hint {
            eprintln!("  hint: {hint}");
        }
    }
    eprintln!("nothing was changed");
    Answer::No
}

//! What `loa serve` is told on its command line and by a file.

use super::super::wrong_use;
use anyhow::Context as _;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Runs the server: scheduler, API, page, and the embedded broker unless another is named
///
/// Watches the station folder: what is saved there and valid comes into force, what is faulty is
/// shown and keeps its last good version. Ends cleanly on SIGTERM or Ctrl-C; a second signal drops
/// what still runs.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Data folder, made by `loa init`; `data` unless said
    #[arg(long, value_name = "DIR", env = "LOA_DATA")]
    data: Option<PathBuf>,
    /// Station folder; `playlists` unless said
    #[arg(long, value_name = "DIR", env = "LOA_PLAYLISTS")]
    playlists: Option<PathBuf>,
    /// Folder of device profiles; `device-profiles` unless said
    #[arg(long, value_name = "DIR", env = "LOA_PROFILES")]
    profiles: Option<PathBuf>,
    /// Where page and API listen, instead of what `station.toml` says
    #[arg(long, value_name = "ADDRESS:PORT", env = "LOA_HTTP")]
    http: Option<SocketAddr>,
    /// Where the embedded broker listens, instead of what `station.toml` says
    #[arg(long, value_name = "ADDRESS:PORT", env = "LOA_MQTT", conflicts_with = "broker")]
    mqtt: Option<SocketAddr>,
    /// Use this broker, `mqtt://HOST:PORT` or `mqtts://HOST:PORT`; user and password file stand
    /// in `station.toml`
    #[arg(long, value_name = "URL", env = "LOA_BROKER")]
    broker: Option<String>,
    /// User name at that broker, instead of what `station.toml` says: several servers on one store
    /// need one each where the broker takes the client id from the user name
    #[arg(long, value_name = "NAME", env = "LOA_BROKER_USER")]
    broker_user: Option<String>,
    /// Keep accounts and roles at that broker by mosquitto's dynamic-security plugin (`dynsec`);
    /// `broker.admin_user` and `broker.admin_password_file` of `station.toml` name its administrator
    #[arg(long, value_name = "KIND", env = "LOA_BROKER_ADMIN")]
    broker_admin: Option<Admin>,
    /// Folder for the heads of the log, best on another disk: not part of any backup, so that the
    /// log notices when an older state was restored. The data folder's name with `.heads` unless
    /// said
    #[arg(long, value_name = "DIR", env = "LOA_LOG_HEADS")]
    log_heads: Option<PathBuf>,
    /// TOML file with any of these options (`data = "/var/lib/loa"`); the command line counts more
    #[arg(long, value_name = "FILE", env = "LOA_CONFIG")]
    config: Option<PathBuf>,
}

/// The options with all their defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub data: PathBuf,
    pub playlists: PathBuf,
    pub profiles: PathBuf,
    pub http: Option<SocketAddr>,
    pub mqtt: Option<SocketAddr>,
    pub broker: Option<String>,
    pub broker_user: Option<String>,
    pub broker_admin: Option<Admin>,
    pub log_heads: Option<PathBuf>,
    /// Not for operators: no argument sets it.
    pub logging: Logging,
}

/// How accounts at an external broker are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Admin {
    /// By mosquitto's dynamic-security plugin.
    Dynsec,
}

/// Whether records go into the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Logging {
    /// All of them.
    #[default]
    On,
    /// None: the measure of what the log costs, for `loa bench` alone.
    #[cfg(feature = "embedded-broker")]
    LeftOut,
}

/// The file of `--config`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OptionsFile {
    data: Option<PathBuf>,
    playlists: Option<PathBuf>,
    profiles: Option<PathBuf>,
    http: Option<SocketAddr>,
    mqtt: Option<SocketAddr>,
    broker: Option<String>,
    broker_user: Option<String>,
    broker_admin: Option<Admin>,
    log_heads: Option<PathBuf>,
}

impl Args {
    /// Puts command line, file and defaults together. Paths in the file are relative to it.
    pub fn options(self) -> anyhow::Result<Options> {
        let (file, base) = match &self.config {
            Some(path) => (read(path)?, path.parent().unwrap_or(Path::new("")).to_owned()),
            None => (OptionsFile::default(), PathBuf::new()),
        };
        let path = |given: Option<PathBuf>, file: Option<PathBuf>, usual: &str| {
            given.or(file.map(|path| base.join(path))).unwrap_or_else(|| usual.into())
        };
        Ok(Options {
            data: path(self.data, file.data, "data"),
            playlists: path(self.playlists, file.playlists, "playlists"),
            profiles: path(self.profiles, file.profiles, "device-profiles"),
            http: self.http.or(file.http),
            mqtt: self.mqtt.or(file.mqtt),
            broker: self.broker.or(file.broker),
            broker_user: self.broker_user.or(file.broker_user),
            broker_admin: self.broker_admin.or(file.broker_admin),
            log_heads: self.log_heads.or(file.log_heads.map(|path| base.join(path))),
            logging: Logging::On,
        })
    }
}

fn read(path: &Path) -> anyhow::Result<OptionsFile> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading `{}`", path.display()))?;
    toml::from_str(&text).map_err(|error| {
        let place = error.span().map_or(String::new(), |span| {
            let before = text.get(..span.start).unwrap_or("");
            format!(":{}", before.matches('\n').count() + 1)
        });
        wrong_use(
            format!("{}{place}: {}", path.display(), error.message()),
            "members: `data`, `playlists`, `profiles`, `http`, `mqtt`, `broker`, `broker_user`, \
             `broker_admin`, `log_heads`",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(config: Option<PathBuf>, http: Option<&str>) -> Args {
        let http = http.map(|text| text.parse().unwrap());
        let none = None;
        Args {
            data: none,
            playlists: None,
            profiles: None,
            http,
            mqtt: None,
            broker: None,
            broker_user: None,
            broker_admin: None,
            log_heads: None,
            config,
        }
    }

    #[test]
    fn the_command_line_counts_more_than_the_file_and_paths_start_from_it() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("loa.toml");
        std::fs::write(&file, "data = \"dữ liệu\"\nhttp = \"127.0.0.1:1\"\n").unwrap();
        let options = args(Some(file), Some("127.0.0.1:2")).options().unwrap();
        assert_eq!(options.data, root.path().join("dữ liệu"));
        assert_eq!(options.http.unwrap().port(), 2);
        assert_eq!(options.playlists, Path::new("playlists"));
    }

    #[test]
    fn an_unknown_member_is_refused_with_its_line() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("loa.toml");
        std::fs::write(&file, "data = \"x\"\nhtpp = \"127.0.0.1:1\"\n").unwrap();
        let error = args(Some(file), None).options().unwrap_err().to_string();
        assert!(error.contains("loa.toml:2: unknown field `htpp`"), "{error}");
    }
}

//! What `loa witness serve` is told on its command line and by a file.

use super::super::wrong_use;
use anyhow::Context as _;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Answers logs that ask to be witnessed, until it is told to stop
///
/// Takes over changes of the list of logs and of the certificate within seconds. Ends cleanly on
/// SIGTERM or Ctrl-C.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the witness; `witness` unless said
    #[arg(long, value_name = "DIR", env = "LOA_WITNESS")]
    data: Option<PathBuf>,
    /// Where it listens; `127.0.0.1:8470` unless said
    #[arg(long, value_name = "ADDRESS:PORT", env = "LOA_HTTP")]
    http: Option<SocketAddr>,
    /// Certificate chain to show (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Listen without TLS on a network that is not this machine: checkpoints are no secret, but
    /// somebody between could keep them from arriving
    #[arg(long)]
    insecure_lan: bool,
    /// TOML file with any of these options (`http = "0.0.0.0:443"`); the command line counts more
    #[arg(long, value_name = "FILE", env = "LOA_CONFIG")]
    config: Option<PathBuf>,
}

/// The options with all their defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub data: PathBuf,
    pub http: SocketAddr,
    /// Certificate and key.
    pub tls: Option<(PathBuf, PathBuf)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OptionsFile {
    data: Option<PathBuf>,
    http: Option<SocketAddr>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    insecure_lan: Option<bool>,
}

const HTTP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8470);

impl Args {
    /// Puts command line, file and defaults together. Paths in the file are relative to it.
    pub fn options(self) -> anyhow::Result<Options> {
        let (file, base) = match &self.config {
            Some(path) => (read(path)?, path.parent().unwrap_or(Path::new("")).to_owned()),
            None => (OptionsFile::default(), PathBuf::new()),
        };
        let path = |given: Option<PathBuf>, file: Option<PathBuf>| {
            given.or(file.map(|path| base.join(path)))
        };
        let http = self.http.or(file.http).unwrap_or(HTTP);
        let tls = match (path(self.tls_cert, file.tls_cert), path(self.tls_key, file.tls_key)) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => {
                return Err(wrong_use(
                    "a certificate needs its key, and a key its certificate",
                    "name both: `tls_cert` and `tls_key`",
                ));
            }
        };
        let plain = self.insecure_lan || file.insecure_lan == Some(true);
        if tls.is_none() && !plain && !http.ip().is_loopback() {
            return Err(wrong_use(
                format!("http://{http} would be open to everybody on the network"),
                "name a certificate by `--tls-cert` and `--tls-key`, put a proxy with TLS before \
                 it, or say `--insecure-lan`",
            ));
        }
        Ok(Options { data: path(self.data, file.data).unwrap_or("witness".into()), http, tls })
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
            "members: `data`, `http`, `tls_cert`, `tls_key`, `insecure_lan`",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(config: Option<PathBuf>) -> Args {
        let (data, http, tls_cert, tls_key) = (None, None, None, None);
        Args { data, http, tls_cert, tls_key, insecure_lan: false, config }
    }

    #[test]
    fn it_listens_beyond_this_machine_only_with_tls_or_when_told_so() {
        let usual = args(None).options().unwrap();
        assert_eq!((usual.http, usual.tls), (HTTP, None));
        let http = Some("0.0.0.0:1".parse().unwrap());
        assert!(Args { http, ..args(None) }.options().is_err());
        assert!(Args { http, insecure_lan: true, ..args(None) }.options().is_ok());
        let (tls_cert, tls_key) = (Some("c".into()), Some("k".into()));
        let tls = Args { http, tls_cert, tls_key, ..args(None) }.options().unwrap();
        assert_eq!(tls.tls, Some(("c".into(), "k".into())));
        assert!(Args { tls_cert: Some("c".into()), ..args(None) }.options().is_err());
    }

    #[test]
    fn paths_in_the_file_start_from_it() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("w.toml");
        std::fs::write(&file, "data = \"w\"\ntls_cert = \"c\"\ntls_key = \"k\"\n").unwrap();
        let options = args(Some(file.clone())).options().unwrap();
        assert_eq!(options.data, root.path().join("w"));
        assert_eq!(options.tls.unwrap().1, root.path().join("k"));
        std::fs::write(&file, "htpp = 1\n").unwrap();
        assert!(args(Some(file)).options().unwrap_err().to_string().contains("w.toml:1:"));
    }
}

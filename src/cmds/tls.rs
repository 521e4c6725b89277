//! `loa tls`: the station's own certificate authority and what it signs.

use super::certificates::{CHAIN, Certificates, KEY, certificate, with_paths};
use super::data::{DataFolder, DataOption};
use super::trail::command_line;
use super::{Answer, failed, print_json, print_text, runtime, wrong_use};
use crate::app::ca::Certificate;
use crate::app::ports::Trail as _;
use crate::clock::{Clock as _, SystemClock};
use crate::config::{self, ClipSource, StationConfig};
use crate::domain::station::AssetFacts;
use crate::domain::time::UtcMs;
use anyhow::Context as _;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Makes, shows and renews the certificates of a station that has no public ones
///
/// One authority of the station's own signs the certificate of page, API and embedded broker.
/// Devices pin the authority when they enrol, so renewing never concerns them.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Makes an authority and the first certificate, and names them in the station file
    Make {
        #[command(flatten)]
        place: Place,
        /// Host names and addresses by which devices and browsers reach the server
        #[arg(value_name = "NAME", value_delimiter = ',', required = true)]
        names: Vec<String>,
    },
    /// Shows names and ends of the authority and the certificate in use
    Show {
        #[command(flatten)]
        place: Place,
    },
    /// Makes the certificate anew; `loa serve` does so by itself near the end
    Renew {
        #[command(flatten)]
        place: Place,
        /// Other names than so far
        #[arg(long = "name", value_name = "NAME", value_delimiter = ',')]
        names: Vec<String>,
    },
    /// Makes a certificate for another server, such as an external broker
    Issue {
        #[command(flatten)]
        place: Place,
        /// Host names and addresses of that server
        #[arg(value_name = "NAME", value_delimiter = ',', required = true)]
        names: Vec<String>,
        /// Folder for `chain.pem`, `key.pem` and `ca.pem`
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct Place {
    #[command(flatten)]
    data: DataOption,
    /// Station folder of the server
    #[arg(long, value_name = "DIR", default_value = "playlists", env = "LOA_PLAYLISTS")]
    playlists: PathBuf,
    /// Folder of device profiles
    #[arg(long, value_name = "DIR", default_value = "device-profiles", env = "LOA_PROFILES")]
    profiles: PathBuf,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

/// A certificate as shown.
#[derive(Serialize)]
pub struct Shown {
    file: PathBuf,
    subject: String,
    names: Vec<String>,
    /// RFC 3339.
    until: String,
    days_left: i64,
}

impl Shown {
    fn new(file: PathBuf, certificate: Certificate, now: UtcMs) -> Self {
        Self {
            file,
            days_left: certificate.days_left(now),
            until: certificate.until.datetime().to_rfc3339(),
            subject: certificate.subject,
            names: certificate.names,
        }
    }

    fn text(&self) -> String {
        let Self { file, subject, names, until, days_left } = self;
        let names =
            if names.is_empty() { String::new() } else { format!(" for {}", names.join(", ")) };
        format!("{}: `{subject}`{names}, until {until} ({days_left} days)\n", file.display())
    }
}

/// Runs the subcommand.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    let now = SystemClock::new().now();
    match args.act {
        Act::Make { place, names } => {
            let (data, certificates) = place.open()?;
            let made = make(&data, &place.playlists, &place.profiles, &names, now)?;
            tell(&data, "make-certificate", &made, now)?;
            let shown = [Shown::new(certificates.chain_file(), made, now)];
            place.print(&shown, &next_steps(&names))
        }
        Act::Show { place } => {
            let (_, certificates) = place.open()?;
            let mut shown = Vec::new();
            if certificates.has_authority() {
                let file = certificates.authority_file();
                let authority = certificate(&file)?;
                shown.push(Shown::new(file, authority, now));
            }
            let config = settings(&place.playlists, &place.profiles)?;
            if let Some(tls) = config.listen.tls {
                let file = place.playlists.join(tls.cert);
                let in_use = certificate(&file)?;
                shown.push(Shown::new(file, in_use, now));
            }
            if shown.is_empty() {
                let station = place.playlists.join("station.toml");
                return Err(wrong_use(
                    format!("`{}` names no certificate", station.display()),
                    "`loa tls make NAME` makes one with an authority of its own",
                ));
            }
            place.print(&shown, "")
        }
        Act::Renew { place, names } => {
            let (data, certificates) = place.open()?;
            let renewed = certificates.renew(&names, now)?;
            tell(&data, "renew-certificate", &renewed, now)?;
            let shown = [Shown::new(certificates.chain_file(), renewed, now)];
            place.print(&shown, "A running `loa serve` shows it within seconds, to whoever connects from then on.\n")
        }
        Act::Issue { place, names, out } => {
            let (data, certificates) = place.open()?;
            let issued = certificates.issue(&names, &out, now)?;
            tell(&data, "issue-certificate", &issued, now)?;
            let shown = [Shown::new(out.join("chain.pem"), issued, now)];
            place.print(
                &shown,
                "Install chain.pem and key.pem there; ca.pem goes into the station folder as \
                 `ca_file` under `[broker]`.\n",
            )
        }
    }
}

/// Tells the trail of a certificate that was made.
fn tell(data: &DataFolder, action: &str, made: &Certificate, now: UtcMs) -> anyhow::Result<()> {
    let entry = command_line().did(now, action, made.names.join(", "));
    runtime()?.block_on(async {
        let store = data.open_store().await?;
        let told = store.append(&entry.after(format!("until {}", made.until.datetime()))).await;
        store.close().await;
        told.context("the certificate was made, but the trail was not told")
    })
}

impl Place {
    fn open(&self) -> anyhow::Result<(DataFolder, Certificates)> {
        let data = DataFolder::existing(&self.data.data)?;
        let certificates = Certificates::of(&data, &self.playlists);
        Ok((data, certificates))
    }

    fn print(&self, shown: &[Shown], more: &str) -> anyhow::Result<Answer> {
        if self.json {
            print_json(&shown)?;
        } else {
            let text: String = shown.iter().map(Shown::text).collect();
            print_text(&text)?;
            eprint!("{more}");
        }
        Ok(Answer::Yes)
    }
}

/// Makes authority and certificate and names them in the station file, which is left as it was
/// when anything fails.
pub fn make(
    data: &DataFolder,
    playlists: &Path,
    profiles: &Path,
    names: &[String],
    now: UtcMs,
) -> anyhow::Result<Certificate> {
    let file = playlists.join("station.toml");
    let text =
        std::fs::read_to_string(&file).with_context(|| format!("reading `{}`", file.display()))?;
    let config = settings(playlists, profiles)?;
    let Some(changed) = with_paths(&text) else {
        return Err(wrong_use(
            format!("`{}` already names a certificate", file.display()),
            "nothing was changed; `loa tls renew` makes it anew if it is the station's own",
        ));
    };
    let made = Certificates::of(data, playlists).make(&config.name, names, now)?;
    let beside = playlists.join("station.toml.new");
    std::fs::write(&beside, changed)
        .and_then(|()| std::fs::rename(&beside, &file))
        .with_context(|| format!("writing `{}`", file.display()))?;
    let named = settings(playlists, profiles).ok().and_then(|config| config.listen.tls);
    if named.is_some_and(|tls| tls.cert == CHAIN && tls.key == KEY) {
        return Ok(made);
    }
    std::fs::write(&file, text).with_context(|| format!("writing `{}`", file.display()))?;
    Err(failed(
        anyhow::anyhow!("the paths could not be written into `{}`", file.display()),
        format!(
            "the certificates are made; add under `[listen]`: tls_cert = \"{CHAIN}\" and \
             tls_key = \"{KEY}\""
        ),
    ))
}

/// Says how devices on the network get in.
pub fn next_steps(names: &[String]) -> String {
    let Some(name) = names.first() else { return String::new() };
    let name = if name.contains(':') { format!("[{name}]") } else { name.clone() };
    format!(
        "The listeners speak TLS from the next start on. To let devices of the network in, say in \
         `station.toml`, under `[listen]`:\n\
         \x20  http = \"0.0.0.0:8443\"\n\
         \x20  mqtt = \"0.0.0.0:8883\"\n\
         \x20  public_url = \"https://{name}:8443\"\n\
         \x20  public_mqtt = \"{name}:8883\"\n"
    )
}

fn settings(playlists: &Path, profiles: &Path) -> anyhow::Result<StationConfig> {
    struct NoClips;
    impl ClipSource for NoClips {
        fn facts(&mut self, _: &Path) -> Result<AssetFacts, String> {
            Err("not looked at".to_owned())
        }
    }
    config::load(playlists, profiles, &mut NoClips).config.ok_or_else(|| {
        failed(
            anyhow::anyhow!("no usable station folder at `{}`", playlists.display()),
            format!("`loa check {}` lists what is wrong", playlists.display()),
        )
    })
}

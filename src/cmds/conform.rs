//! `loa conform`: plays the scheduler against a device and says whether it keeps the contract.

use super::{Advise as _, Answer, failed, print_json, print_text, table, wrong_use};
use crate::broker::{Broker, BrokerConfig, Gate, Who};
use crate::clock::{SharedClock, SystemClock};
use crate::conform::author::Author;
use crate::conform::door::Door;
use crate::conform::power::Rig;
use crate::conform::report::{Document, junit};
use crate::conform::rows::{Row, Rows, Verdict};
use crate::conform::tap::Tap;
use crate::conform::trace::Trace;
use crate::conform::{Bench, checks, run as conform};
use crate::domain::ids::{DeviceId, ProfileId, UnitId};
use crate::domain::profile::BoardProfile;
use crate::mqtt::{self, BrokerUrl, MqttConfig, Password};
use crate::wire::topic::Topics;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Tests a device's firmware against the contract
///
/// Plays the scheduler over a real broker, with keys of its own: enrols the device, gives it good
/// and bad documents, cuts the line and the power, and prints a table of checks, each with its
/// section in `firmware-notes/README.md`. Takes two to four minutes; exits 1 when a check fails.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id that the device gets for the test
    #[arg(long, value_name = "ID", required_unless_present = "list")]
    device: Option<DeviceId>,
    /// What the device is: `speaker` or `board`; needed without `--profile`
    #[arg(long, value_name = "KIND", value_parser = ["speaker", "board"])]
    kind: Option<String>,
    /// Hardware profile of the device, by the name of its file: size and fonts of a board
    #[arg(long, value_name = "ID")]
    profile: Option<ProfileId>,
    /// Folder of hardware profiles
    #[arg(long, value_name = "DIR", default_value = "device-profiles")]
    profiles: PathBuf,
    /// Address of this machine that the device can reach; plain MQTT and HTTP listen there
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    address: IpAddr,
    /// Port for enrolment; 0 picks one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    http_port: u16,
    /// Port for MQTT; 0 picks one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    mqtt_port: u16,
    /// Broker to use in place of the one built in: one that lets anybody in, for this test alone
    #[arg(long, value_name = "URL")]
    broker: Option<String>,
    /// Shell command that enrols the device with the code in `$LOA_ENROL` and exits 0 when it took
    /// it; without it the code is printed for you
    #[arg(long, value_name = "CMD")]
    enrol_command: Option<String>,
    /// Shell command that switches the device, run with `on` or `off` behind it (`off` as a power
    /// cut would); without it you are asked, or at no terminal those checks are skipped
    #[arg(long, value_name = "CMD")]
    power_command: Option<String>,
    /// Only these checks, by id or by the word before the hyphen; several times or by commas.
    /// Connecting and the time come first all the same
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    only: Vec<String>,
    /// Print the checks and end
    #[arg(long)]
    list: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Also write JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Lets in the one device of the test.
struct Lone {
    who: Who,
    id: String,
    password: String,
}

impl Gate for Lone {
    fn login(&self, user: &str, password: &[u8], client_id: &str) -> Option<Who> {
        let known = user == self.id && client_id == self.id;
        (known && password == self.password.as_bytes()).then(|| self.who.clone())
    }

    fn who(&self, user: &str) -> Option<Who> {
        (user == self.id).then(|| self.who.clone())
    }
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    if args.list {
        return list(args.json);
    }
    let Some(device) = args.device.clone() else {
        return Err(wrong_use("no device is named", "`--device ID`"));
    };
    let only: BTreeSet<String> = args.only.iter().cloned().collect();
    for word in &only {
        let known = |id: &str| id == word || id.split('-').next() == Some(word);
        if !checks().iter().any(|check| known(check.id)) {
            let hint = "`loa conform --list` names all";
            return Err(wrong_use(format!("`{word}` is no check"), hint));
        }
    }
    if args.address.is_unspecified() {
        let hint = "name the one that the device can reach, as `192.168.1.5`";
        return Err(wrong_use(format!("`{}` is not an address to connect to", args.address), hint));
    }
    let board = panel(&args)?;
    let kind = if board.is_some() { "board" } else { "speaker" };
    let rows = super::runtime()?.block_on(bench(&args, device.clone(), board, only))?;
    if let Some(file) = &args.junit {
        let hint = "name a file in a folder that can be written to";
        std::fs::write(file, junit(device.as_str(), &rows)).advise(hint)?;
    }
    if args.json {
        print_json(&Document::new(device.as_str(), kind, &rows))?;
    } else {
        print_text(&shown(&rows))?;
    }
    Ok(if rows.passed() { Answer::Yes } else { Answer::No })
}

fn list(as_json: bool) -> anyhow::Result<Answer> {
    let all = checks();
    if as_json {
        let rows: Vec<_> = all
            .iter()
            .map(|c| serde_json::json!({"id": c.id, "place": c.place, "says": c.says}))
            .collect();
        print_json(&rows)?;
    } else {
        let row = |c: &crate::conform::rows::Check| {
            vec![c.id.to_owned(), c.place.to_owned(), c.says.to_owned()]
        };
        let rows: Vec<Vec<String>> = all.iter().map(row).collect();
        print_text(&table(&["check", "contract", "the device"], &rows))?;
    }
    Ok(Answer::Yes)
}

/// The panel of the device, by its profile or the usual one; `None` for a loudspeaker.
fn panel(args: &Args) -> anyhow::Result<Option<BoardProfile>> {
    let Some(id) = &args.profile else {
        return match args.kind.as_deref() {
            Some("speaker") => Ok(None),
            Some(_) => Ok(Some(super::board::usual_board())),
            None => Err(wrong_use(
                "it is not said what the device is",
                "`--kind speaker`, `--kind board`, or `--profile ID`",
            )),
        };
    };
    let (profiles, faults) = crate::config::profiles(&args.profiles);
    if let Some(profile) = profiles.into_iter().find(|profile| profile.id == *id) {
        let wanted = args.kind.as_deref().unwrap_or("");
        return match (profile.board, profile.speaker) {
            (Some(board), None) if wanted != "speaker" => Ok(Some(board)),
            (Some(board), Some(_)) if wanted == "board" => Ok(Some(board)),
            (_, Some(_)) if wanted != "board" => Ok(None),
            _ => Err(wrong_use(
                format!("profile `{id}` is no {wanted}"),
                "leave `--kind` out, or name another profile",
            )),
        };
    }
    let own = faults.iter().find(|fault| fault.file.ends_with(&format!("{id}.toml")));
    Err(match own {
        Some(fault) => wrong_use(fault, fault.hint.as_deref().unwrap_or("mend the file")),
        None => {
            wrong_use(format!("`{}` holds no profile `{id}`", args.profiles.display()), "see there")
        }
    })
}

async fn bench(
    args: &Args,
    device: DeviceId,
    board: Option<BoardProfile>,
    only: BTreeSet<String>,
) -> anyhow::Result<Rows> {
    let clock: SharedClock = Arc::new(SystemClock::new());
    let units: Vec<UnitId> =
        ["90901-thu", "90901", "90"].iter().filter_map(|unit| unit.parse().ok()).collect();
    let author = Author::new(device.clone(), units.clone(), Arc::clone(&clock))
        .advise("the system gives no randomness")?;
    let trace = Trace::new(Arc::clone(&clock));
    // The tap needs the broker, the door the tap, and the broker the password of the door: the
    // gate learns it last.
    let listen = |port| SocketAddr::new(args.address, port);
    let busy = "another program may listen there; name another address or port";
    let gate = Arc::new(Late::default());
    let (broker, config) = if let Some(url) = &args.broker {
        let url: BrokerUrl = url.parse().map_err(|e: mqtt::UrlError| wrong_use(&e, e.hint()))?;
        if url.tls {
            let hint = "the test reads what is on the line: use `mqtt://` on a bench";
            return Err(wrong_use("the broker's line is encrypted", hint));
        }
        (None, MqttConfig::server(url, "loa-conform", None))
    } else {
        let config = BrokerConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: None,
            topics: Topics::default(),
            max_devices: 16,
            server_bytes: crate::broker::SERVER_BYTES,
        };
        let broker = Broker::start(config, gate.clone()).await.map_err(|error| {
            let hint = error.hint();
            failed(error, hint)
        })?;
        let (at, user, password) = broker.server();
        let url = BrokerUrl { host: at.ip().to_string(), port: at.port(), tls: false };
        let login = Some((user.to_owned(), Password::new(password)));
        let config = MqttConfig::server(url, user, login);
        (Some(broker), config)
    };
    let far = match &broker {
        Some(broker) => (broker.devices().ip().to_string(), broker.devices().port()),
        None => (config.url.host.clone(), config.url.port),
    };
    let tap = Tap::start(listen(args.mqtt_port), far, trace.clone()).await.advise(busy)?;
    let door = Door::open(listen(args.http_port), tap.addr, &author, Arc::clone(&clock))
        .await
        .advise(busy)?;
    gate.set(Lone {
        who: Who::Device { id: device.clone(), units: units.into(), behind: None },
        id: device.to_string(),
        password: door.password.clone(),
    });
    let stop = CancellationToken::new();
    let (link, events, driver) =
        mqtt::connect(config, Box::new(|| None), stop.clone()).map_err(|error| {
            let hint = error.hint();
            failed(error, hint)
        })?;
    let rig = Rig {
        power: args.power_command.clone(),
        enrol: args.enrol_command.clone(),
        ask: Rig::at_terminal(),
    };
    let bench = Bench {
        device,
        board,
        author,
        trace,
        tap,
        door,
        link,
        events,
        clock,
        rig,
        only,
        told: Box::new(progress),
    };
    let rows = conform(bench).await.map_err(|stop| {
        failed(stop, "this is no fault of the device: look at broker, terminal and commands")
    });
    stop.cancel();
    let _ = driver.await;
    if let Some(broker) = broker {
        broker.stop().await;
    }
    rows
}

/// A gate that is told whom to let in once that is known.
#[derive(Default)]
struct Late(std::sync::OnceLock<Lone>);

impl Late {
    fn set(&self, lone: Lone) {
        let _ = self.0.set(lone);
    }
}

impl Gate for Late {
    fn login(&self, user: &str, password: &[u8], client_id: &str) -> Option<Who> {
        self.0.get()?.login(user, password, client_id)
    }

    fn who(&self, user: &str) -> Option<Who> {
        self.0.get()?.who(user)
    }
}

fn seconds(ms: i64) -> String {
    format!("{}.{}", ms / 1000, ms % 1000 / 100)
}

fn progress(row: &Row) {
    let Row { check, verdict, ms, evidence } = row;
    eprintln!("{:<11} {:<18} {:>5} s  {evidence}", verdict.word(), check.id, seconds(*ms));
}

fn shown(rows: &Rows) -> String {
    let line = |row: &Row| {
        let said = if row.evidence.is_empty() { String::new() } else { row.evidence.clone() };
        let of = |text: &str| text.to_owned();
        vec![
            of(row.verdict.word()),
            of(row.check.id),
            of(row.check.place),
            seconds(row.ms),
            of(row.check.says),
            said,
        ]
    };
    let lines: Vec<Vec<String>> = rows.all().iter().map(line).collect();
    let head = ["", "check", "contract", "s", "the device", "seen"];
    let count = |verdict| rows.count(verdict);
    format!(
        "{}\n{} passed, {} failed, {} skipped, {} not reached\n",
        table(&head, &lines),
        count(Verdict::Pass),
        count(Verdict::Fail),
        count(Verdict::Skip),
        count(Verdict::Unreached),
    )
}

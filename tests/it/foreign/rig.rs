//! A driver on its stage, with a broker for anybody and a street of simulators.

use crate::support::mosquitto::free_port;
use crate::support::wait;
use loa::app::link::{Link, LinkEvent};
use loa::clock::{SharedClock, SystemClock};
use loa::config::device_profile;
use loa::device::executor::{Action, Ended, Event, PassEnd, PlayFault, PlayOrder, ShowOrder};
use loa::device::foreign::{Clips, Exchange, Prepared, Seen, Setup, prepare};
use loa::device::hardware::Hardware;
use loa::device::player::SinkSpec;
use loa::dialect::machine::Present;
use loa::dialect::model::Dialect;
use loa::domain::ids::{CueId, DeviceId, Digest};
use loa::domain::playlist::Page;
use loa::mqtt::{self, BrokerUrl, MqttConfig, Password};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A mosquitto that lets anybody do anything, as foreign devices often have it.
pub struct OpenBroker {
    pub port: u16,
    folder: TempDir,
    child: Child,
}

impl OpenBroker {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut child = Self::spawn(&folder, port);
        wait::until("mosquitto listens", || {
            assert!(child.try_wait().unwrap().is_none(), "mosquitto ended");
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        })
        .await;
        Self { port, folder, child }
    }

    fn spawn(folder: &TempDir, port: u16) -> Child {
        let config = format!("listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n");
        let path = folder.path().join("mosquitto.conf");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new("/usr/sbin/mosquitto");
        command.arg("-c").arg(path).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::null()).spawn().expect("mosquitto is installed by `make setup`")
    }

    /// Kills it and starts it again, empty.
    pub async fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = Self::spawn(&self.folder, self.port);
        let port = self.port;
        wait::until("mosquitto is back", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        })
        .await;
    }

    fn config(&self, name: &str) -> MqttConfig {
        let url: BrokerUrl = format!("mqtt://127.0.0.1:{}", self.port).parse().unwrap();
        let mut config = MqttConfig::device(url, name, Password::new(""));
        config.login = None;
        config.backoff =
            (std::time::Duration::from_millis(50), std::time::Duration::from_millis(200));
        config
    }

    /// Connects the gateway.
    pub fn exchange(&self) -> (Exchange, DropGuard) {
        let stop = CancellationToken::new();
        let config = self.config("gateway");
        let (link, events, _) = mqtt::connect(config, Box::new(|| None), stop.clone()).unwrap();
        let (exchange, rounds) = Exchange::new(link, events);
        tokio::spawn(rounds.run(stop.clone()));
        (exchange, stop.drop_guard())
    }

    /// Connects somebody else, subscribed to these topics, done when the broker knows them.
    pub async fn client(
        &self,
        name: &str,
        topics: &[String],
    ) -> (Link, mpsc::UnboundedReceiver<(String, Vec<u8>)>, DropGuard) {
        let stop = CancellationToken::new();
        let (link, mut events, _) =
            mqtt::connect(self.config(name), Box::new(|| None), stop.clone()).unwrap();
        assert_eq!(wait::within("connected", events.next()).await, Some(LinkEvent::Connected));
        link.subscribe(topics.to_vec()).await.unwrap();
        let (told, heard) = mpsc::unbounded_channel();
        let (again, topics) = (link.clone(), topics.to_vec());
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                match event {
                    LinkEvent::Message { topic, payload, .. } => {
                        let _ = told.send((topic, payload.to_vec()));
                    }
                    LinkEvent::Connected => {
                        let _ = again.subscribe(topics.clone()).await;
                    }
                    LinkEvent::Disconnected { .. } => {}
                }
            }
        });
        (link, heard, stop.drop_guard())
    }
}

impl Drop for OpenBroker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A clip somewhere.
#[derive(Debug)]
pub struct Clip {
    pub path: Option<PathBuf>,
    pub url: String,
}

impl Clips for Clip {
    fn path(&self, _: &Digest) -> Option<PathBuf> {
        self.path.clone()
    }

    fn url(&self, _: &Digest) -> Option<String> {
        Some(self.url.clone())
    }
}

/// The clip of all tests, and what devices with slots call it.
pub fn clip() -> Digest {
    Digest::of(b"clip")
}

pub const SLOT: &str = "123456789012";
pub const URL: &str = "http://192.168.1.2:8080/a/clip.mp3";

/// A shipped profile and how it is to be used here.
pub struct Plan {
    pub profile: loa::domain::profile::Profile,
    pub dialect: Dialect,
    pub settings: BTreeMap<String, String>,
    pub clip: Clip,
    pub sink: SinkSpec,
}

impl Plan {
    /// Loads a shipped profile with the example settings, with times that suit a test.
    pub fn shipped(name: &str) -> Self {
        let path = format!("{}/device-profiles/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        Self::read(name, &std::fs::read_to_string(path).unwrap())
    }

    /// Reads a profile.
    pub fn read(name: &str, text: &str) -> Self {
        let (described, faults) = device_profile(name, text.as_bytes());
        assert_eq!(faults, [], "{name}");
        let described = described.unwrap();
        let mut dialect = described.dialect.unwrap();
        let settings = dialect.settings.clone();
        dialect.timing.start_ms = dialect.timing.start_ms.min(2_500);
        dialect.timing.answer_ms = dialect.timing.answer_ms.min(700);
        dialect.timing.tolerance_ms = dialect.timing.tolerance_ms.min(1_000);
        dialect.timing.retries = dialect.timing.retries.min(1);
        let clip = Clip { path: None, url: URL.to_owned() };
        Self { profile: described.profile, dialect, settings, clip, sink: SinkSpec::Null }
    }

    pub fn set(mut self, name: &str, value: &str) -> Self {
        assert!(self.settings.insert(name.to_owned(), value.to_owned()).is_some(), "{name}");
        self
    }
}

/// A device under way.
pub struct Rig {
    hardware: Hardware,
    outputs: mpsc::Receiver<Event>,
    pub seen: watch::Receiver<Seen>,
    pub clock: SharedClock,
    pub folder: TempDir,
    stop: CancellationToken,
    driver: tokio::task::JoinHandle<()>,
    token: u64,
}

/// How a play went.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the record's own word")]
pub struct Played {
    /// When it began, after its instant.
    pub skew_ms: Option<i64>,
    pub grade: u8,
    pub played_ms: i64,
    pub end: Result<Ended, PlayFault>,
}

impl Rig {
    pub fn start(plan: Plan, exchange: Option<Exchange>) -> Self {
        let clock: SharedClock = Arc::new(SystemClock::new());
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup {
            id: DeviceId::new("loa-la-1").unwrap(),
            profile: plan.profile,
            dialect: Arc::new(plan.dialect),
            settings: plan.settings,
            slots: BTreeMap::from([(clip(), SLOT.to_owned())]),
            clips: Arc::new(plan.clip),
            exchange,
            sink: plan.sink,
            clock: clock.clone(),
            evidence: folder.path().join("evidence"),
        };
        let Prepared { hardware, outputs, driver, seen } = prepare(setup).unwrap();
        let stop = CancellationToken::new();
        let driver = tokio::spawn(driver.run(stop.clone()));
        Self { hardware, outputs, seen, clock, folder, stop, driver, token: 0 }
    }

    /// Waits until the device is known to be there.
    pub async fn online(&mut self) {
        let there = self.seen.wait_for(|seen| seen.present == Present::Online);
        wait::within("the device is there", there).await.unwrap();
    }

    /// Orders a play a little ahead.
    pub fn order(&mut self, clip_ms: i64) -> u64 {
        self.token += 1;
        let at = self.clock.now().plus(300);
        self.obey(&Action::Play(PlayOrder {
            token: self.token,
            asset: clip(),
            at,
            offset_ms: 0,
            clip_ms,
            end: at.plus(clip_ms + 5_000),
            gain_cb: 0,
            volume: 70,
            fade_ms: 0,
        }));
        self.token
    }

    pub fn obey(&self, action: &Action) {
        self.hardware.obey(action, || PathBuf::new().into()).unwrap();
    }

    pub async fn event(&mut self) -> Event {
        wait::within("the output speaks", self.outputs.recv()).await.expect("the driver ended")
    }

    /// Plays, until the last word about it.
    pub async fn play(&mut self, clip_ms: i64) -> Played {
        let at = self.clock.now().plus(300);
        let token = self.order(clip_ms);
        self.outcome(token, at).await
    }

    pub async fn outcome(&mut self, wanted: u64, due: loa::domain::time::UtcMs) -> Played {
        let mut played = Played { skew_ms: None, grade: 0, played_ms: 0, end: Ok(Ended::Clip) };
        loop {
            match self.event().await {
                Event::Started { token, at } if token == wanted => {
                    assert_eq!(played.skew_ms, None, "it began once");
                    played.skew_ms = Some(at.since(due));
                }
                Event::Graded { token, grade } if token == wanted => played.grade = grade,
                Event::Ended { token, played_ms, by, .. } if token == wanted => {
                    return Played { played_ms, end: Ok(by), ..played };
                }
                Event::Failed { token, why } if token == wanted => {
                    return Played { end: Err(why), ..played };
                }
                _ => {}
            }
        }
    }

    /// Shows pages once; returns how the pass ended and its grade.
    pub async fn show(&mut self, texts: &[&str], dwell_ms: i64) -> (PassEnd, u8) {
        self.token += 1;
        let wanted = self.token;
        let until = self.clock.now().plus(60_000);
        let pages = texts.iter().map(|text| Page::still(*text, dwell_ms)).collect();
        let (cue, local) = (CueId([7; 16]), Vec::new());
        self.obey(&Action::Show(ShowOrder { token: wanted, cue, pages, local, until }));
        let mut graded = 0;
        loop {
            match self.event().await {
                Event::Graded { token, grade } if token == wanted => graded = grade,
                Event::Passed { token, pass } if token == wanted => return (pass, graded),
                _ => {}
            }
        }
    }

    /// Lets the device go and returns what is kept of what it said.
    pub async fn finish(self) -> Vec<serde_json::Value> {
        self.stop.cancel();
        wait::within("the driver ends", self.driver).await.unwrap();
        let folder = self.folder.path().join("evidence");
        let read = || {
            let entries = std::fs::read_dir(&folder).ok()?;
            let paths = entries.map(|entry| entry.unwrap().path());
            let documents = paths.filter(|path| path.extension().is_some_and(|e| e == "json"));
            let read = documents.map(|path| std::fs::read(path).unwrap());
            let parsed: Vec<serde_json::Value> =
                read.map(|bytes| serde_json::from_slice(&bytes).unwrap()).collect();
            (!parsed.is_empty()).then_some(parsed)
        };
        wait::until("evidence is on the disk", || read().is_some()).await;
        read().unwrap()
    }
}

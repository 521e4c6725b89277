//! Devices without a loudspeaker: a thousand of them in one process, each enrolled, connected,
//! fetching and proving as the contract says.
//!
//! They are the server's load, not its judges: of what they receive, only pieces are checked;
//! signatures are not verified, and nothing is kept on disk. What they sign is real.

use crate::app::link::{Link, LinkEvent, LinkEvents};
use crate::app::registry::Register;
use crate::clock::{Clock, SystemClock};
use crate::device::fetch::{Action, AssetOrder, FetchConfig, Fetcher, Need};
use crate::domain::chunk::ChunkSize;
use crate::domain::ids::{ChainId, DeviceId, Digest, UnitId};
use crate::domain::proof::record::{Attestor, Body, ClockNote, ClockSource, Head, Record};
use crate::domain::time::UtcMs;
use crate::mqtt::{self, MqttConfig, Password};
use crate::wire::doc::{State, StateKind, Timetable};
use crate::wire::enrol::{Answer, Code, Request, Welcome};
use crate::wire::jws::SecretKey;
use crate::wire::topic::{Topic, Topics};
use crate::wire::{b64, limits, record, sheet};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// An enrolled device: its key and what the server told it.
#[derive(Debug)]
pub struct Simulated {
    key: SecretKey,
    chain: ChainId,
    welcome: Welcome,
}

impl Simulated {
    /// Enrols by a code of its own. Past HTTP, whose door admits a few a minute from one address.
    pub async fn enrol(register: &Register, id: &DeviceId) -> anyhow::Result<Self> {
        let code: Code = register.issue(id, None).await?.code.parse()?;
        let mut seed = [0; 32];
        let mut nonce = [0; 16];
        getrandom::fill(&mut seed)?;
        getrandom::fill(&mut nonce)?;
        let key = SecretKey::from_seed(&seed);
        let request = Request::sign(&key, &code.secret, &nonce, "bench");
        let answer = register.enrol(&request).await?;
        let enrolled = Answer::open(&answer, &code, &request)?;
        Ok(Self { key, chain: ChainId(nonce), welcome: enrolled.welcome })
    }
}

/// How far the whole fleet has come.
#[derive(Debug, Default)]
pub struct Progress {
    /// Devices that have connected at least once.
    pub connected: AtomicU64,
    /// Devices that have a timetable.
    pub planned: AtomicU64,
    /// Devices that hold everything their timetable names.
    pub ready: AtomicU64,
    /// Devices whose first records were receipted.
    pub receipted: AtomicU64,
    /// Connections that broke.
    pub broken: AtomicU64,
    /// Chunks taken.
    pub chunks: AtomicU64,
}

/// Running devices; dropping it cuts their lines.
pub struct Fleet {
    /// How far they have come.
    pub progress: Arc<Progress>,
    stop: CancellationToken,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Fleet {
    /// Starts all devices.
    pub fn start(devices: Vec<Simulated>) -> anyhow::Result<Self> {
        let fleet = Self { progress: Arc::default(), stop: CancellationToken::new() };
        let clock = Arc::new(SystemClock::new());
        for (seed, device) in devices.into_iter().enumerate() {
            let Simulated { key, chain, welcome } = device;
            let topics = Topics::new(&welcome.prefix)?;
            let id = welcome.id.clone();
            let mut config = MqttConfig::device(
                welcome.broker.parse()?,
                id.as_str(),
                Password::new(&welcome.password),
            );
            config.backoff.1 = Duration::from_secs(10);
            let state = topics.of(&Topic::State(id.clone()));
            let will = crate::app::link::Will {
                topic: state,
                payload: State::bare(StateKind::Lost, 1).encode().into(),
                retain: true,
            };
            let wills = Box::new(move || Some(will.clone()));
            let (link, events, driver) = mqtt::prepare(config, wills)?;
            tokio::spawn(driver.run(fleet.stop.clone()));
            let fetch = FetchConfig { topics: topics.clone(), ..FetchConfig::default() };
            let running = Running {
                id,
                key,
                chain,
                units: welcome.units,
                topics,
                link,
                fetcher: Fetcher::new(fetch, seed as u64),
                held: Vec::new(),
                spread_ms: 0,
                milestones: Milestones::default(),
                clock: clock.clone(),
                progress: fleet.progress.clone(),
            };
            let stop = fleet.stop.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = running.run(events) => {}
                }
            });
        }
        Ok(fleet)
    }
}

/// What a device has counted itself in for.
#[derive(Default)]
struct Milestones {
    connected: bool,
    planned: bool,
    ready: bool,
    receipted: bool,
}

/// Counts a device in once.
fn reached(done: &mut bool, counter: &AtomicU64) {
    if !std::mem::replace(done, true) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

struct Running {
    id: DeviceId,
    key: SecretKey,
    chain: ChainId,
    units: Vec<UnitId>,
    topics: Topics,
    link: Link,
    fetcher: Fetcher,
    held: Vec<Digest>,
    spread_ms: i64,
    milestones: Milestones,
    clock: Arc<SystemClock>,
    progress: Arc<Progress>,
}

impl Running {
    async fn run(mut self, mut events: LinkEvents) {
        loop {
            let now = self.clock.mono_ms();
            let wait = self.fetcher.next_at().map_or(60_000, |at| (at - now).clamp(0, 60_000));
            let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(0));
            let actions = match tokio::time::timeout(wait, events.next()).await {
                Err(_elapsed) => self.fetcher.tick(self.clock.mono_ms()),
                Ok(None) => return,
                Ok(Some(LinkEvent::Connected)) => self.connected().await,
                Ok(Some(LinkEvent::Disconnected { .. })) => {
                    self.progress.broken.fetch_add(1, Ordering::Relaxed);
                    self.fetcher.disconnected();
                    Vec::new()
                }
                Ok(Some(LinkEvent::Message { topic, payload, .. })) => {
                    self.message(&topic, &payload)
                }
            };
            self.act(actions).await;
            if self.milestones.planned
                && self.fetcher.pending().is_empty()
                && !self.milestones.ready
            {
                reached(&mut self.milestones.ready, &self.progress.ready);
                self.tell().await;
            }
        }
    }

    async fn connected(&mut self) -> Vec<Action> {
        reached(&mut self.milestones.connected, &self.progress.connected);
        let id = || self.id.clone();
        let mut filters: Vec<String> = [
            Topic::Keys,
            Topic::Server,
            Topic::Timetable(id()),
            Topic::Floor(id()),
            Topic::Command(id()),
            Topic::Time(id()),
            Topic::Receipt(id()),
        ]
        .iter()
        .map(|topic| self.topics.of(topic))
        .collect();
        for unit in &self.units {
            filters.push(self.topics.of(&Topic::Hold(unit.clone())));
            filters.push(self.topics.urgent_filter(unit));
        }
        // A broken line says so by an event, and everything is asked for again.
        let _ = self.link.subscribe(filters).await;
        self.tell().await;
        let (batch, _) = record::batch(self.records().iter().map(String::as_str));
        let _ =
            self.link.publish(self.topics.of(&Topic::Records(self.id.clone())), batch, false).await;
        self.fetcher.connected(self.clock.mono_ms())
    }

    async fn tell(&self) {
        let mut state = State::bare(StateKind::Ready, 1);
        state.held.clone_from(&self.held);
        state.want = self.fetcher.want();
        let topic = self.topics.of(&Topic::State(self.id.clone()));
        let _ = self.link.publish(topic, state.encode(), true).await;
    }

    /// The first two records of the chain, the same at every connection: a resend is no new
    /// evidence.
    fn records(&self) -> Vec<String> {
        let boot = Body::Boot { fw: "bench".into(), reason: "start".into(), unclean: false };
        let beat = Body::Beat { head: None, pending: 2, stored: 2 };
        let mut prev = None;
        let mut records = Vec::new();
        for (seq, body) in (1..).zip([boot, beat]) {
            let clock = ClockNote { src: ClockSource::Ntp, age_s: Some(1), err_ms: Some(20) };
            let head = Head {
                v: 1,
                dev: self.id.clone(),
                chain: self.chain,
                boot: 1,
                seq,
                prev,
                at_ms: UtcMs(1_795_000_000_000),
                mono_ms: 1_000,
                clock,
                seen: None,
                attestor: Attestor::Device,
            };
            let text = record::sign(&self.key, &Record { head, body })
                .expect("a record within the limits");
            prev = Some(record::digest(&text));
            records.push(text);
        }
        records
    }

    fn message(&mut self, topic: &str, payload: &Bytes) -> Vec<Action> {
        let now = self.clock.mono_ms();
        if self.fetcher.concerns(topic) {
            return self.fetcher.message(now, topic, payload);
        }
        self.fetcher.heard(now);
        match self.topics.parse(topic) {
            Some(Topic::Receipt(_)) if !payload.is_empty() => {
                reached(&mut self.milestones.receipted, &self.progress.receipted);
                Vec::new()
            }
            Some(Topic::Timetable(_)) => self.planned(payload).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    fn planned(&mut self, payload: &[u8]) -> Option<Vec<Action>> {
        let claims = std::str::from_utf8(payload).ok()?.split('.').nth(1)?;
        let timetable: Timetable = serde_json::from_slice(&b64::decode(claims)?).ok()?;
        let now = self.clock.mono_ms();
        self.spread_ms = i64::from(timetable.fetch_spread_s) * 1_000;
        let mut actions = Vec::new();
        for day in &timetable.days {
            if !self.held.contains(&day.sheet) {
                let need = Need { first_use_in_ms: day.from_ms - self.clock.now(), spread_ms: 0 };
                actions.extend(self.fetcher.want_sheet(now, day.sheet, need));
            }
        }
        reached(&mut self.milestones.planned, &self.progress.planned);
        Some(actions)
    }

    fn sheet(&mut self, sha256: Digest, bytes: &[u8]) -> Vec<Action> {
        self.held.push(sha256);
        let Ok(sheet) = sheet::decode(bytes, limits::SHEET_BYTES) else { return Vec::new() };
        let (now, wall) = (self.clock.mono_ms(), self.clock.now());
        let mut actions = Vec::new();
        for (asset, entry) in &sheet.assets {
            let first = sheet.cues.iter().map(|cue| cue.at_ms).min().unwrap_or(sheet.from_ms);
            let need = Need { first_use_in_ms: first - wall, spread_ms: self.spread_ms };
            if let Some(sums) = entry.sums.get("64").filter(|_| !self.held.contains(asset)) {
                let size = ChunkSize::Kib64;
                let order = AssetOrder { sha256: *asset, bytes: entry.bytes, size, sums: *sums };
                actions.extend(self.fetcher.want_asset(now, order, need, None));
            }
        }
        actions
    }

    async fn act(&mut self, actions: Vec<Action>) {
        let mut todo = VecDeque::from(actions);
        while let Some(action) = todo.pop_front() {
            match action {
                Action::Subscribe(topics) => drop(self.link.subscribe(topics).await),
                Action::Unsubscribe(topics) => drop(self.link.unsubscribe(topics).await),
                Action::Sheet { sha256, bytes } => todo.extend(self.sheet(sha256, &bytes)),
                Action::Write { .. } => {
                    self.progress.chunks.fetch_add(1, Ordering::Relaxed);
                }
                Action::Complete { sha256 } => {
                    self.held.push(sha256);
                    todo.extend(self.fetcher.verified(self.clock.mono_ms(), &sha256, true));
                }
                Action::KeepSums { .. } => {}
            }
        }
    }
}

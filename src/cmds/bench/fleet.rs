//! Devices without a loudspeaker: a thousand of them in one process, each enrolled, connected,
//! fetching and proving as the contract says.
//!
//! They are the server's load, not its judges: of what they receive, pieces are checked and
//! orders verified, timetables and receipts are believed, and nothing is kept on disk. What they
//! sign is real.

use super::simulated::{Answering, Simulated};
use crate::app::link::{Link, LinkEvent, LinkEvents};
use crate::clock::{Clock, SystemClock};
use crate::device::fetch::{Action, AssetOrder, FetchConfig, Fetcher, Need};
use crate::domain::chunk::ChunkSize;
use crate::domain::ids::{DeviceId, Digest};
use crate::mqtt;
use crate::wire::doc::{Receipt, State, StateKind, Timetable};
use crate::wire::topic::{Topic, Topics};
use crate::wire::{b64, limits, sheet};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How the devices of a fleet behave where a real one waits for a random while.
#[derive(Clone, Debug)]
pub struct Manner {
    /// The shortest and the longest wait before a reconnect.
    pub backoff: (Duration, Duration),
    /// Begin to fetch assets only once this says so, all at once; otherwise within the stretch
    /// that the timetable names.
    pub fetch: Option<watch::Receiver<bool>>,
    /// Fetch day sheets; otherwise they are there from an earlier time.
    pub sheets: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            backoff: (Duration::from_secs(1), Duration::from_secs(10)),
            fetch: None,
            sheets: true,
        }
    }
}

/// How far the whole fleet has come.
#[derive(Debug, Default)]
pub struct Progress {
    /// Devices that have connected at least once.
    pub connected: AtomicU64,
    /// Devices whose state the broker has taken.
    pub told: AtomicU64,
    /// Devices that have a timetable.
    pub planned: AtomicU64,
    /// Devices that hold every sheet of it.
    pub sheets: AtomicU64,
    /// Devices that hold everything their timetable names.
    pub ready: AtomicU64,
    /// Devices whose first records were receipted.
    pub receipted: AtomicU64,
    /// Connections that broke.
    pub broken: AtomicU64,
    /// Chunks taken.
    pub chunks: AtomicU64,
    /// Orders that were verified, and whose signed answer the broker has taken.
    pub answered: AtomicU64,
    /// Answers that the server has made durable and receipted.
    pub proved: AtomicU64,
    /// The newest order, with its topic.
    order: Mutex<Option<(String, Bytes)>>,
}

impl Progress {
    /// Returns the newest order as it came to the first device.
    pub fn order(&self) -> Option<(String, Bytes)> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
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
    pub fn start(devices: &[Arc<Simulated>], manner: &Manner) -> anyhow::Result<Self> {
        let fleet = Self { progress: Arc::default(), stop: CancellationToken::new() };
        let clock = Arc::new(SystemClock::new());
        for (seed, device) in devices.iter().enumerate() {
            let welcome = device.welcome();
            let topics = Topics::new(&welcome.prefix)?;
            let id = welcome.id.clone();
            let mut config = device.line()?;
            config.backoff = manner.backoff;
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
                device: device.clone(),
                answering: Answering::new(device.clone())?,
                answers: VecDeque::new(),
                unproved: 0,
                first: seed == 0,
                topics,
                link,
                fetcher: Fetcher::new(fetch, seed as u64),
                held: Vec::new(),
                fetch: manner.fetch.clone(),
                sheets: manner.sheets,
                ordered: Vec::new(),
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

    /// Waits until all these counters have reached a number, as that of the devices; returns
    /// milliseconds.
    pub fn wait(
        &self,
        number: usize,
        patience_ms: i64,
        counters: impl Fn(&Progress) -> Vec<&AtomicU64>,
    ) -> anyhow::Result<i64> {
        let clock = SystemClock::new();
        let reached = |counter: &&AtomicU64| counter.load(Ordering::Relaxed) >= number as u64;
        while !counters(&self.progress).iter().all(reached) {
            let progress = &self.progress;
            anyhow::ensure!(
                clock.mono_ms() < patience_ms,
                "not every device is served: {progress:?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(clock.mono_ms())
    }
}

/// What a device has counted itself in for.
#[derive(Default)]
struct Milestones {
    connected: bool,
    told: bool,
    planned: bool,
    sheets: bool,
    ready: bool,
    receipted: bool,
}

/// Counts a device in once.
fn reached(done: &mut bool, counter: &AtomicU64) {
    if !std::mem::replace(done, true) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a device goes on with.
enum Next {
    Fetch,
    Tick,
    Event(Option<LinkEvent>),
}

/// Waits for the word to fetch.
async fn word(fetch: &mut Option<watch::Receiver<bool>>) {
    let Some(fetch) = fetch else { return std::future::pending().await };
    if fetch.wait_for(|go| *go).await.is_err() {
        std::future::pending::<()>().await;
    }
}

struct Running {
    id: DeviceId,
    device: Arc<Simulated>,
    answering: Answering,
    /// Signed and not sent yet.
    answers: VecDeque<Vec<u8>>,
    /// Answers sent that no receipt covers.
    unproved: u64,
    /// One of them keeps orders for others to see.
    first: bool,
    topics: Topics,
    link: Link,
    fetcher: Fetcher,
    held: Vec<Digest>,
    fetch: Option<watch::Receiver<bool>>,
    sheets: bool,
    /// Assets that wait for the word to fetch.
    ordered: Vec<AssetOrder>,
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
            let next = tokio::select! {
                () = word(&mut self.fetch), if !self.ordered.is_empty() => Next::Fetch,
                () = tokio::time::sleep(wait) => Next::Tick,
                event = events.next() => Next::Event(event),
            };
            let actions = match next {
                Next::Fetch => self.begin(),
                Next::Tick => self.fetcher.tick(self.clock.mono_ms()),
                Next::Event(None) => return,
                Next::Event(Some(LinkEvent::Connected)) => self.connected().await,
                Next::Event(Some(LinkEvent::Disconnected { .. })) => {
                    self.progress.broken.fetch_add(1, Ordering::Relaxed);
                    self.fetcher.disconnected();
                    Vec::new()
                }
                Next::Event(Some(LinkEvent::Message { topic, payload, .. })) => {
                    self.message(&topic, &payload)
                }
            };
            self.act(actions).await;
            self.send_answers().await;
            if self.milestones.planned && self.fetcher.pending().is_empty() {
                reached(&mut self.milestones.sheets, &self.progress.sheets);
                if self.ordered.is_empty() && !self.milestones.ready {
                    reached(&mut self.milestones.ready, &self.progress.ready);
                    self.tell().await;
                }
            }
        }
    }

    /// Fetches everything that waited for the word.
    fn begin(&mut self) -> Vec<Action> {
        let now = self.clock.mono_ms();
        let need = Need { first_use_in_ms: 0, spread_ms: 0 };
        let orders = std::mem::take(&mut self.ordered);
        let fetch = |order| self.fetcher.want_asset(now, order, need, None);
        orders.into_iter().flat_map(fetch).collect()
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
        for unit in &self.device.welcome().units {
            filters.push(self.topics.of(&Topic::Hold(unit.clone())));
            filters.push(self.topics.urgent_filter(unit));
        }
        // A broken line says so by an event, and everything is asked for again.
        let _ = self.link.subscribe(filters).await;
        self.tell().await;
        reached(&mut self.milestones.told, &self.progress.told);
        // At every connection, as a real one: a resend is no new evidence, and is receipted again.
        let batch = self.answering.unreceipted();
        if !batch.is_empty() {
            let topic = self.topics.of(&Topic::Records(self.id.clone()));
            let _ = self.link.publish(topic, batch, false).await;
        }
        self.fetcher.connected(self.clock.mono_ms())
    }

    /// Sends what orders were answered with.
    async fn send_answers(&mut self) {
        while let Some(batch) = self.answers.pop_front() {
            let topic = self.topics.of(&Topic::Records(self.id.clone()));
            self.unproved += 1;
            // What a broken line did not take goes out after the next connection.
            let _ = self.link.publish(topic, batch, false).await;
            self.progress.answered.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn tell(&self) {
        let mut state = State::bare(StateKind::Ready, 1);
        state.held.clone_from(&self.held);
        state.want = self.fetcher.want();
        let topic = self.topics.of(&Topic::State(self.id.clone()));
        let _ = self.link.publish(topic, state.encode(), true).await;
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
                self.receipted(payload);
                Vec::new()
            }
            Some(known @ (Topic::Urgent { .. } | Topic::Hold(_))) => {
                self.ordered(topic, &known, payload);
                Vec::new()
            }
            Some(Topic::Timetable(_)) => self.planned(payload).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    fn ordered(&mut self, topic: &str, known: &Topic, payload: &Bytes) {
        match self.answering.answer(known, payload, self.clock.now()) {
            Ok(Some(batch)) => self.answers.push_back(batch),
            Ok(None) => return,
            // Counted as missing by whoever waits for the answers.
            Err(error) => return eprintln!("{}: {error:#}", self.id),
        }
        if self.first {
            let mut order = self.progress.order.lock().unwrap_or_else(PoisonError::into_inner);
            *order = Some((topic.to_owned(), payload.clone()));
        }
    }

    fn receipted(&mut self, payload: &[u8]) {
        let receipt: Option<Receipt> = claims(payload);
        let covers = |receipt: &Receipt| receipt.chain == self.device.chain();
        let Some(receipt) = receipt.filter(covers) else { return };
        if self.answering.receipted(receipt.upto) {
            let proved = std::mem::take(&mut self.unproved);
            self.progress.proved.fetch_add(proved, Ordering::Relaxed);
        }
    }

    fn planned(&mut self, payload: &[u8]) -> Option<Vec<Action>> {
        let timetable: Timetable = claims(payload)?;
        let now = self.clock.mono_ms();
        self.spread_ms = i64::from(timetable.fetch_spread_s) * 1_000;
        let mut actions = Vec::new();
        for day in &timetable.days {
            if self.sheets && !self.held.contains(&day.sheet) {
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
            if let Some(sums) = entry.sums.get("32").filter(|_| !self.held.contains(asset)) {
                let size = ChunkSize::USUAL;
                let order = AssetOrder { sha256: *asset, bytes: entry.bytes, size, sums: *sums };
                if self.fetch.is_some() {
                    self.ordered.push(order);
                } else {
                    actions.extend(self.fetcher.want_asset(now, order, need, None));
                }
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

/// Returns what a document says, believing it.
fn claims<T: serde::de::DeserializeOwned>(jws: &[u8]) -> Option<T> {
    let claims = std::str::from_utf8(jws).ok()?.split('.').nth(1)?;
    serde_json::from_slice(&b64::decode(claims)?).ok()
}

//! Devices that fetch assets and do nothing else, many at a time.

use super::brokers::{Client, World};
use super::wait;
use loa::app::assets::{Courier, MarkerWatch, Shelf, Verdict};
use loa::app::link::{LinkEvent, hub::Hub};
use loa::clock::{Clock, SystemClock};
use loa::device::fetch::{Action, AssetOrder, FetchConfig, Fetcher, Need};
use loa::domain::ids::Digest;
use loa::wire::topic::{Topic, Topics};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What all devices of a storm have seen together.
#[derive(Default)]
pub struct Seen {
    /// Chunks written.
    pub chunks: AtomicU64,
    /// Messages about pieces that came.
    pub pieces: AtomicU64,
    /// Times that pieces were asked for again after silence.
    pub asked_again: AtomicU64,
}

/// A device that fetches.
pub struct Fetching {
    pub client: Client,
    pub fetcher: Fetcher,
    clock: Arc<SystemClock>,
    seen: Arc<Seen>,
    parts: BTreeMap<Digest, Vec<u8>>,
    pub held: BTreeSet<Digest>,
    /// When to cut the line, in chunks written.
    pub cut_at: Option<usize>,
    written: usize,
}

impl Fetching {
    /// Orders all assets; the client must be connected and untouched.
    pub fn new(client: Client, orders: &[AssetOrder], seed: u64, seen: Arc<Seen>) -> Self {
        // The quiet time of the contract would make a test of a lossy line last for minutes.
        let config = FetchConfig { quiet_ms: 2_000, ..FetchConfig::default() };
        let mut fetcher = Fetcher::new(config, seed);
        let now = Need { first_use_in_ms: 0, spread_ms: 0 };
        for order in orders {
            fetcher.want_asset(0, *order, now, None);
        }
        Self {
            client,
            fetcher,
            clock: Arc::new(SystemClock::new()),
            seen,
            parts: BTreeMap::new(),
            held: BTreeSet::new(),
            cut_at: None,
            written: 0,
        }
    }

    /// Fetches until everything is held or the line is to be cut; says whether all is held.
    pub async fn run(&mut self) -> bool {
        let now = self.clock.mono_ms();
        let first = self.fetcher.connected(now);
        self.act(first).await;
        while !self.fetcher.pending().is_empty() {
            if self.cut_at.is_some_and(|at| self.written >= at) {
                self.cut_at = None;
                self.fetcher.disconnected();
                return false;
            }
            let now = self.clock.mono_ms();
            let wait = self.fetcher.next_at().map_or(1_000, |at| (at - now).clamp(0, 1_000));
            let wait = std::time::Duration::from_millis(u64::try_from(wait).unwrap());
            let next = tokio::time::timeout(wait, self.client.events.next()).await;
            let now = self.clock.mono_ms();
            let actions = match next {
                Err(_) => self.fetcher.tick(now),
                Ok(None) => panic!("the link closed"),
                Ok(Some(LinkEvent::Connected)) => self.fetcher.connected(now),
                Ok(Some(LinkEvent::Disconnected { .. })) => {
                    self.fetcher.disconnected();
                    Vec::new()
                }
                Ok(Some(LinkEvent::Message { topic, payload, .. })) => {
                    self.seen.pieces.fetch_add(1, Ordering::Relaxed);
                    self.fetcher.message(now, &topic, &payload)
                }
            };
            self.act(actions).await;
        }
        let again = self.fetcher.counts().asked_again;
        self.seen.asked_again.fetch_add(again, Ordering::Relaxed);
        true
    }

    async fn act(&mut self, actions: Vec<Action>) {
        let mut todo = VecDeque::from(actions);
        while let Some(action) = todo.pop_front() {
            match action {
                // A line that broke meanwhile says so by an event.
                Action::Subscribe(topics) => drop(self.client.link.subscribe(topics).await),
                Action::Unsubscribe(topics) => drop(self.client.link.unsubscribe(topics).await),
                Action::Write { sha256, offset, bytes, .. } => {
                    let part = self.parts.entry(sha256).or_default();
                    let from = usize::try_from(offset).unwrap();
                    part.resize(part.len().max(from + bytes.len()), 0);
                    part[from..from + bytes.len()].copy_from_slice(&bytes);
                    self.written += 1;
                    self.seen.chunks.fetch_add(1, Ordering::Relaxed);
                }
                Action::Complete { sha256 } => {
                    let whole = self.parts.remove(&sha256).unwrap_or_default();
                    assert_eq!(Digest::of(&whole), sha256, "a complete asset is the right one");
                    self.held.insert(sha256);
                    let now = self.clock.mono_ms();
                    todo.extend(self.fetcher.verified(now, &sha256, true));
                }
                Action::KeepSums { .. } | Action::Sheet { .. } => {}
            }
        }
    }
}

/// The server's side of delivery: asks for its marker, fills a broker that forgot.
pub struct Filling {
    pub fills: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Filling {
    /// Runs over a connected client that has seen no other event; done when the marker is there.
    pub async fn start(mut client: Client, courier: Courier, shelf: Arc<Mutex<Shelf>>) -> Self {
        let fills = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&fills);
        let clock = SystemClock::new();
        let task = tokio::spawn(async move {
            let epoch = Topics::default().of(&Topic::Epoch);
            let mut marker = MarkerWatch::new("test-1");
            let mut connected = true;
            loop {
                let now = clock.mono_ms();
                let mut verdict = marker.tick(now);
                if connected {
                    connected = client.link.subscribe(vec![epoch.clone()]).await.is_err();
                    verdict = verdict.or_else(|| marker.subscribed(now));
                }
                if verdict == Some(Verdict::Forgot) {
                    let mut mine = shelf.lock().unwrap().clone();
                    mine.broker_forgot();
                    let filled = courier.run(&mut mine).await.is_ok();
                    *shelf.lock().unwrap() = mine;
                    let written = client.link.publish(&epoch, marker.body(), true).await;
                    if filled && written.is_ok() {
                        marker.written();
                        counted.fetch_add(1, Ordering::SeqCst);
                    }
                }
                let tick = std::time::Duration::from_millis(100);
                match tokio::time::timeout(tick, client.events.next()).await {
                    Err(_) => {}
                    Ok(None) => return,
                    Ok(Some(LinkEvent::Connected)) => connected = true,
                    Ok(Some(LinkEvent::Disconnected { .. })) => marker.disconnected(),
                    Ok(Some(LinkEvent::Message { payload, .. })) => {
                        // Its own marker comes back too, as a live message: no verdict is asked.
                        let _ = marker.message(&payload);
                    }
                }
            }
        });
        let watched = Arc::clone(&fills);
        wait::until("the broker is filled", || watched.load(Ordering::SeqCst) > 0).await;
        Self { fills, task }
    }
}

/// Returns the hub of a world that is one.
pub fn hub_of(world: &World) -> Option<&Hub> {
    match &world.kind {
        super::brokers::Kind::Hub(hub) => Some(hub),
        _ => None,
    }
}

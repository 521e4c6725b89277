//! Devices that do nothing but make records and deliver them, as fast as one likes: the real
//! folder, ledger, delivery, judge and client, without an output and without a process each.
//!
//! A courier is killed by taking everything from memory at once; what a write under way would
//! have left is put behind its ledger. Its line doubles batches and changes their order, and its
//! clock is set now and then.

use super::chance::Chance;
use super::process::wait_for;
use loa::app::link::{Link, LinkEvent};
use loa::clock::{Clock as _, SystemClock};
use loa::device::accept::{Accepted, Gate};
use loa::device::enrol::{self, Dates};
use loa::device::identity::{Home, IdentityError};
use loa::device::ledger::delivery::{Delivery, Span};
use loa::device::ledger::{Ledger, LedgerConfig, Stamp};
use loa::domain::ids::DeviceId;
use loa::domain::proof::record::{Attestor, Body, ClockNote, ClockSource, Record};
use loa::mqtt::{self, MqttConfig, Password};
use loa::wire::doc::Do;
use loa::wire::jws::{OneKey, Role};
use loa::wire::record;
use loa::wire::topic::{Topic, Topics};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const TICK: Duration = Duration::from_millis(20);
/// Records made at a tick, at most.
const BURST: u64 = 20;
const BROKERS_NEWS: Duration = Duration::from_secs(5);

/// What a courier is told and what it tells.
#[derive(Debug, Default)]
struct Told {
    /// Records that it may have made by now.
    allowed: AtomicU64,
    made: AtomicU64,
    waiting: AtomicU64,
    skew_ms: AtomicI64,
}

struct Member {
    dir: PathBuf,
    told: Arc<Told>,
    life: Option<(CancellationToken, JoinHandle<()>)>,
}

/// Couriers at work; dropping it ends them.
pub struct Fleet {
    runtime: Runtime,
    members: Vec<Member>,
    chance: Chance,
}

impl Fleet {
    /// Enrols the folders' devices by their codes; nobody works yet.
    pub fn enrol(codes: Vec<(PathBuf, String)>, chance: Chance) -> Self {
        let now = SystemClock::new().now();
        let enrolled = codes.into_iter().map(|(dir, code)| {
            enrol::enrol(&dir, &code.parse().unwrap(), false, "courier", now, Dates::Judged)
                .unwrap();
            Member { dir, told: Arc::default(), life: None }
        });
        let members = enrolled.collect();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        Self { runtime, members, chance }
    }

    /// Sets everybody to work.
    pub fn start(&mut self) {
        (0..self.members.len()).for_each(|n| self.wake(n));
    }

    fn wake(&mut self, n: usize) {
        let member = &mut self.members[n];
        let stop = CancellationToken::new();
        let told = Arc::clone(&member.told);
        let life = Life::open(&member.dir, told, self.chance.split());
        let handle = self.runtime.spawn(life.run(stop.clone()));
        member.life = Some((stop, handle));
    }

    fn end(&mut self, n: usize) {
        let Some((stop, handle)) = self.members[n].life.take() else { return };
        stop.cancel();
        self.runtime.block_on(handle).expect("a courier does not fall over");
    }

    /// Cuts one of them off, perhaps in the midst of a write, and starts it again.
    pub fn kill(&mut self) {
        let n = usize::try_from(self.chance.below(self.members.len() as u64)).unwrap();
        self.end(n);
        let ledger = self.members[n].dir.join("ledger");
        let newest = files(&ledger)
            .into_iter()
            .max_by_key(|path| std::fs::metadata(path).and_then(|meta| meta.modified()).unwrap());
        if let Some(path) = newest.filter(|_| self.chance.once_in(2)) {
            let torn: Vec<u8> = (0..=self.chance.below(300))
                .map(|_| u8::try_from(self.chance.below(256)).unwrap())
                .collect();
            let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
            file.write_all(&torn).unwrap();
        }
        self.wake(n);
    }

    /// Lets each of them make records up to so many.
    pub fn allow(&self, records: u64) {
        self.members.iter().for_each(|m| m.told.allowed.store(records, Ordering::Relaxed));
    }

    /// Says whether all records allowed are made, and how many have no receipt yet.
    pub fn standing(&self) -> (bool, u64) {
        let told = || self.members.iter().map(|member| &member.told);
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let made = told().all(|told| load(&told.made) >= load(&told.allowed));
        (made, told().map(|told| load(&told.waiting)).sum())
    }

    /// Ends everybody's work and returns what lies in the ledgers, device by device, having
    /// checked signatures, numbers and links.
    pub fn ledgers(&mut self) -> Vec<(DeviceId, Vec<String>)> {
        (0..self.members.len()).for_each(|n| self.end(n));
        self.members.iter().map(|member| read_ledger(&member.dir)).collect()
    }
}

fn files(ledger: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(ledger).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "log")).collect()
}

/// Reads what lies in a device's ledger, checking signatures, numbers and links.
pub fn read_ledger(dir: &Path) -> (DeviceId, Vec<String>) {
    let home = Home::open(dir).unwrap();
    let ledger = Ledger::open(&dir.join("ledger"), config(&home)).unwrap();
    let keys = OneKey { key: home.key.public(), role: Role::Device };
    let mut lines: Vec<String> = Vec::new();
    while let Some((batch, _)) = ledger
        .batch(Span { chain: ledger.chain(), from: lines.len() as u64 + 1, to: ledger.last() })
        .unwrap()
    {
        for line in std::str::from_utf8(&batch).unwrap().lines() {
            let record: Record = record::open(line, &keys).unwrap().claims;
            assert_eq!(record.head.seq, lines.len() as u64 + 1);
            assert_eq!(record.head.prev, lines.last().map(|line| record::digest(line)));
            lines.push(line.to_owned());
        }
    }
    assert_eq!(lines.len() as u64, ledger.last(), "the ledger holds its whole chain");
    (home.identity.id.clone(), lines)
}

fn config(home: &Home) -> LedgerConfig {
    let (device, key) = (home.identity.id.clone(), home.key.clone());
    LedgerConfig { device, key, most_bytes: 1 << 30, attestor: Attestor::Device }
}

/// A courier between two kills.
struct Life {
    home: Home,
    ledger: Ledger,
    gate: Gate,
    topics: Topics,
    delivery: Delivery,
    told: Arc<Told>,
    chance: Chance,
    clock: SystemClock,
}

impl Life {
    fn open(dir: &Path, told: Arc<Told>, chance: Chance) -> Self {
        // A process that is just being started elsewhere holds a copy of the old lock for a moment.
        let home = wait_for("the lock of the courier's folder", 10, || match Home::open(dir) {
            Err(IdentityError::Busy { .. }) => None,
            home => Some(home.unwrap()),
        });
        let mut ledger = Ledger::open(&dir.join("ledger"), config(&home)).unwrap();
        let begun = ledger.begun.take();
        assert!(
            begun.is_none_or(|why| why == "enrolment"),
            "a kill begins no new chain: {begun:?}"
        );
        assert_eq!(ledger.take_gaps(), [], "a kill costs no record");
        let identity = &home.identity;
        let units = identity.units.clone();
        let gate = Gate::new(identity.id.clone(), identity.root, home.keys.clone(), units);
        let topics = Topics::new(&identity.prefix).unwrap();
        let delivery = Delivery::default();
        let clock = SystemClock::new();
        let mut life = Self { home, ledger, gate, topics, delivery, told, chance, clock };
        let (fw, reason) = ("courier".to_owned(), "start".to_owned());
        life.append(vec![Body::Boot { fw, reason, unclean: true }]);
        life.tell();
        life
    }

    fn stamp(&self) -> Stamp {
        let at = self.clock.now().plus(self.told.skew_ms.load(Ordering::Relaxed));
        let clock = ClockNote { src: ClockSource::Ntp, age_s: Some(1), err_ms: Some(5) };
        Stamp { at, mono_ms: self.clock.mono_ms(), clock }
    }

    fn append(&mut self, bodies: Vec<Body>) {
        self.ledger.append(&bodies, self.stamp()).unwrap();
    }

    async fn run(mut self, stop: CancellationToken) {
        let identity = &self.home.identity;
        let url = identity.broker.parse().unwrap();
        let password = Password::new(identity.password.clone());
        let mut config = MqttConfig::device(url, identity.id.as_str(), password);
        config.backoff = (Duration::from_millis(50), Duration::from_millis(500));
        let line = stop.child_token();
        let (link, mut events, _) = mqtt::connect(config, Box::new(|| None), line.clone()).unwrap();
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                event = events.next() => match event.expect("the link is open") {
                    LinkEvent::Connected => self.connected(&link).await,
                    LinkEvent::Disconnected { .. } => self.delivery.disconnected(),
                    LinkEvent::Message { topic, payload, .. } => self.message(&topic, &payload),
                },
                _ = tick.tick() => self.make(),
            }
            self.deliver(&link);
            self.tell();
        }
    }

    fn tell(&self) {
        let waiting = self.ledger.waiting().map_or(0, |span| span.to + 1 - span.from);
        self.told.waiting.store(waiting, Ordering::Relaxed);
        self.told.made.store(self.ledger.last(), Ordering::Relaxed);
    }

    async fn connected(&mut self, link: &Link) {
        let id = &self.home.identity.id;
        let wanted =
            [Topic::Keys, Topic::Receipt(id.clone()), Topic::Command(id.clone()), Topic::Server];
        let filters = wanted.iter().map(|topic| self.topics.of(topic)).collect();
        // A broker that dies meanwhile never answers.
        let _ = tokio::time::timeout(BROKERS_NEWS, link.subscribe(filters)).await;
        self.delivery.connected(self.clock.mono_ms(), 50);
    }

    fn message(&mut self, topic: &str, payload: &[u8]) {
        let now = self.clock.mono_ms();
        let Some(topic) = self.topics.parse(topic) else { return };
        match self.gate.judge(&topic, payload, Some(self.clock.now()), None) {
            Accepted::Receipt(receipt) => {
                let taken = self.ledger.receipt(receipt.chain, receipt.upto, receipt.head.as_ref());
                taken.unwrap();
                self.delivery.receipted(now, receipt.chain, receipt.upto);
            }
            Accepted::Command(command) => {
                if let Do::Resend { chain, from, to } = command.act {
                    self.delivery.wish(Span { chain, from, to });
                }
            }
            Accepted::Presence(_) => self.delivery.nudge(now, 300),
            Accepted::Refused(why) => panic!("the server's word on {topic:?} is refused: {why}"),
            _ => {}
        }
    }

    /// Makes some records; now and then the clock is set.
    fn make(&mut self) {
        let allowed = self.told.allowed.load(Ordering::Relaxed);
        let left = allowed.saturating_sub(self.ledger.last()).min(BURST);
        if left == 0 {
            return;
        }
        let mut bodies = Vec::new();
        if self.chance.once_in(40) {
            let days = 3 * 86_400_000;
            let skew = i64::try_from(self.chance.below(2 * days)).unwrap() - days.cast_signed();
            let old_ms = self.stamp().at;
            self.told.skew_ms.store(skew, Ordering::Relaxed);
            bodies.push(Body::Clock { old_ms, new_ms: self.stamp().at });
        }
        while (bodies.len() as u64) < left {
            let head = self.ledger.head();
            bodies.push(Body::Beat { head, pending: self.ledger.last(), stored: 0 });
        }
        self.append(bodies);
    }

    /// Sends what is due, over a line that doubles and reorders.
    fn deliver(&mut self, link: &Link) {
        for _ in 0..4 {
            let now = self.clock.mono_ms();
            let waiting = self.ledger.waiting();
            let Some(span) = self.delivery.poll(now, waiting) else { return };
            let Some((body, last)) = self.ledger.batch(span).unwrap() else { return };
            match self.chance.below(8) {
                0 => self.send(link, &body, 2),
                1 => {
                    // Its halves change places.
                    let lines: Vec<&[u8]> = body.split_inclusive(|byte| *byte == b'\n').collect();
                    let (first, second) = lines.split_at(lines.len() / 2);
                    self.send(link, &second.concat(), 1);
                    self.send(link, &first.concat(), 1);
                }
                2 => {
                    // Something old comes along once more.
                    let from = 1 + self.chance.below(span.from);
                    let old = Span { from, ..span };
                    if let Some((old, _)) = self.ledger.batch(old).unwrap() {
                        self.send(link, &old, 1);
                    }
                    self.send(link, &body, 1);
                }
                _ => self.send(link, &body, 1),
            }
            let random = self.chance.below(u64::MAX);
            self.delivery.sent(now, span, last, waiting, random % 1_000);
        }
    }

    fn send(&self, link: &Link, body: &[u8], times: usize) {
        let topic = self.topics.of(&Topic::Records(self.home.identity.id.clone()));
        let body = body.strip_suffix(b"\n").unwrap_or(body);
        for _ in 0..times {
            if !body.is_empty() {
                // What has no room is sent again when its receipt does not come.
                drop(link.try_publish(topic.clone(), body.to_vec(), false));
            }
        }
    }
}

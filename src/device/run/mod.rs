//! The thin loop around the executor: it owns the clocks, the files, the output and the link.
//!
//! One task handles one thing at a time, in order: a message, a word of the output, a finished
//! check of a file, a tick. Records and the journal are synced to disk in that task, before
//! whatever they vouch for; whole assets are hashed elsewhere.
//!
//! Killed at any point, the next start finds the ledger, the journal and the accepted documents,
//! and goes on from there ([`super::executor`] says how). On [`CancellationToken`] it ends what
//! sounds, records it, tries to deliver it, says goodbye and returns, within four seconds.

mod assets;
mod device;
mod mailer;
mod messages;
mod report;
mod timekeeper;

pub use device::{Device, DeviceError, Settings};
pub use timekeeper::{DeviceClock, follows_ntp};

use super::accept::Gate;
use super::disk;
use super::executor::{Action, DayRef, Event, Executor, Past, Schedule, Time, tone};
use super::fetch::{FetchConfig, Fetcher};
use super::floor::QuietFloor;
use super::hardware::Hardware;
use super::identity::Home;
use super::ledger::delivery::Delivery;
use super::ledger::{Ledger, Stamp};
use super::progress::Progress;
use super::refusals::Refusals;
use super::storage::Storage;
use crate::app::link::{Link, LinkEvent, LinkEvents};
use crate::domain::chunk::ChunkSize;
use crate::domain::ids::Digest;
use crate::domain::proof::record::Body;
use crate::domain::time::UtcMs;
use crate::wire::doc::{self, StateKind};
use crate::wire::topic::{Topic, Topics};
use assets::Checked;
use mailer::Mailer;
use report::Reporter;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;
use timekeeper::Timekeeper;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How often the loop looks at the clock.
const TICK: Duration = Duration::from_millis(200);
/// How long an orderly end may take.
const GRACE: Duration = Duration::from_millis(2_500);
/// A sign of life is recorded so often.
const BEAT_MS: i64 = 1_800_000;
/// Records that wait while the disk does not take them.
const UNSAVED: usize = 1_000;
/// How far back records may still concern what is to be decided.
const RECENT_MS: i64 = 3 * 86_400_000;

impl Device {
    /// Runs until `stop` is cancelled or the link is closed for good.
    pub async fn run(
        self,
        hardware: Hardware,
        outputs: mpsc::Receiver<Event>,
        link: Link,
        mut messages: LinkEvents,
        stop: CancellationToken,
    ) -> Result<(), DeviceError> {
        let (mut agent, mut outputs, mut checked) = Agent::start(self, hardware, outputs, &link)?;
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut connected = true;
        let mut deadline: Option<tokio::time::Instant> = None;
        while !agent.done {
            let late = async move {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(event) = outputs.recv() => agent.feed(event),
                () = stop.cancelled(), if deadline.is_none() => {
                    deadline = Some(tokio::time::Instant::now() + GRACE);
                    agent.feed(Event::Stop);
                }
                () = late => {
                    tracing::warn!("The output did not end in time");
                    break;
                }
                Some(check) = checked.recv() => agent.checked(check),
                event = messages.next(), if connected => match event {
                    Some(event) => agent.heard(event),
                    None => connected = false,
                },
                _ = ticks.tick() => agent.tick(),
            }
        }
        agent.goodbye(&link).await;
        Ok(())
    }
}

/// Everything the loop owns.
struct Agent {
    home: Home,
    settings: Settings,
    topics: Topics,
    time: Timekeeper,
    ledger: Ledger,
    progress: Progress,
    storage: Storage,
    gate: Gate,
    hardware: Hardware,
    executor: Executor,
    fetcher: Fetcher,
    delivery: Delivery,
    refusals: Refusals,
    mailer: Mailer,
    reporter: Reporter,
    assets: assets::Assets,
    connection: Connection,
    unsaved: VecDeque<(Body, Stamp)>,
    /// Name of the test tone, which lies beside the assets.
    tone_name: Digest,
    beat_mono: i64,
    prune_mono: i64,
    done: bool,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    Down,
    /// `keys` is asked for; the rest follows at its arrival or at this instant.
    Keys {
        until_mono: i64,
    },
    Up,
}

type Started = (Agent, mpsc::Receiver<Event>, mpsc::Receiver<Checked>);

impl Agent {
    fn start(
        device: Device,
        hardware: Hardware,
        outputs: mpsc::Receiver<Event>,
        link: &Link,
    ) -> Result<Started, DeviceError> {
        let Device {
            home,
            settings,
            topics,
            time,
            ledger,
            progress,
            journal,
            storage,
            mut gate,
            connections,
        } = device;
        let unclean = journal.as_ref().map_or(ledger.last() > 0, |journal| !journal.clean);
        let recent = ledger.recent(RECENT_MS)?;
        let past = Past::read(journal, recent);
        let floor = restore(&home, "floor.jws", |bytes| gate.restore_floor(bytes));
        let floor = floor.as_ref().map_or_else(QuietFloor::default, quiet);
        let timetable = restore(&home, "timetable.jws", |bytes| gate.restore_timetable(bytes));
        let days = past.days.clone();
        let me = home.identity.id.as_str();
        let executor = Executor::new(me, hardware.output(), floor, past, time.moment());
        let tone = tone();
        let tone_name = Digest::of(&tone);
        if let Err(error) = disk::write(&home.dir.join("tone.wav"), &tone) {
            tracing::warn!(%error, "Cannot keep the test tone");
        }
        let config = FetchConfig {
            topics: topics.clone(),
            sheet_bytes: settings.profile.sheet_bytes as usize,
            ..FetchConfig::default()
        };
        let fetcher = Fetcher::new(config, random());
        let now_mono = time.moment().mono_ms;
        let (assets, checked) = assets::Assets::new(
            ChunkSize::from_kib(settings.profile.chunk_kib).unwrap_or(ChunkSize::Kib64),
        );
        let mut agent = Self {
            mailer: Mailer::start(link.clone()),
            reporter: Reporter::new(connections),
            delivery: Delivery::default(),
            refusals: Refusals::default(),
            connection: Connection::Down,
            unsaved: VecDeque::new(),
            beat_mono: now_mono,
            prune_mono: now_mono,
            done: false,
            tone_name,
            home,
            settings,
            topics,
            time,
            ledger,
            progress,
            storage,
            gate,
            hardware,
            executor,
            fetcher,
            assets,
        };
        agent.record_boot(unclean);
        let mut names: Vec<Digest> = days.iter().map(|day| day.sheet).collect();
        if let Some(timetable) = &timetable {
            names.extend(timetable.days.iter().map(|day| day.sheet));
        }
        agent.load_sheets(&names);
        if let Some(timetable) = timetable {
            agent.follow(timetable);
        } else if agent.gate.timetable_void() {
            agent.void_timetable();
        }
        agent.check_assets();
        let time = agent.time.timing().time;
        agent.feed(Event::Clock(time));
        agent.feed(Event::Tick);
        Ok((agent, outputs, checked))
    }

    fn record_boot(&mut self, unclean: bool) {
        let mut bodies = Vec::new();
        if let Some(why) = self.ledger.begun.take() {
            bodies.push(Body::Chain { why: why.to_owned() });
        }
        bodies.extend(self.ledger.take_gaps());
        let (fw, reason) = (self.settings.fw.clone(), "start".to_owned());
        bodies.push(Body::Boot { fw, reason, unclean });
        self.record(bodies);
    }

    /// Hands an event to the executor and does what it says.
    fn feed(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let actions = self.executor.handle(self.time.moment(), event);
            let mut records = Vec::new();
            for action in actions {
                if let Action::Record(body) = action {
                    records.push(*body);
                    continue;
                }
                self.record(std::mem::take(&mut records));
                self.obey(action, &mut events);
            }
            self.record(records);
        }
    }

    fn obey(&mut self, action: Action, events: &mut VecDeque<Event>) {
        match &action {
            Action::Journal(journal) => {
                if let Err(error) = self.progress.write(journal) {
                    tracing::error!(%error, "Cannot keep the journal: free space on the disk");
                }
                self.storage.keep_sheets(&self.executor.sheets());
            }
            Action::Play(order) => {
                let path = if order.asset == self.tone_name {
                    self.home.dir.join("tone.wav").into_boxed_path()
                } else {
                    self.storage.path(&order.asset).into_boxed_path()
                };
                if self.hardware.obey(&action, || path).is_err() {
                    let why = super::executor::PlayFault::Output;
                    events.push_back(Event::Failed { token: order.token, why });
                }
            }
            Action::Show(order) => {
                if self.hardware.obey(&action, || PathBuf::new().into()).is_err() {
                    let now = self.time.moment().utc;
                    let pass = super::executor::PassEnd {
                        from: now,
                        to: now,
                        shown_ms: 0,
                        whole: false,
                        frame: None,
                    };
                    events.push_back(Event::Passed { token: order.token, pass });
                }
            }
            Action::Halt { .. } | Action::Amend { .. } | Action::Blank => {
                if let Err(error) = self.hardware.obey(&action, || PathBuf::new().into()) {
                    tracing::warn!(error = %error, "An order to the output was lost");
                }
            }
            Action::Suspect(asset) => self.suspect(*asset),
            Action::Want { sheets, assets } => self.want(sheets.clone(), assets.clone()),
            Action::Done => self.done = true,
            Action::Record(_) => {}
        }
        self.reporter.changed();
    }

    /// Appends records, durable when it returns; what the disk does not take waits in memory.
    fn record(&mut self, bodies: Vec<Body>) {
        if bodies.is_empty() && self.unsaved.is_empty() {
            return;
        }
        let timing = self.time.timing();
        let moment = self.time.moment();
        let stamp = Stamp { at: moment.utc, mono_ms: moment.mono_ms, clock: timing.note };
        for body in bodies {
            if self.unsaved.len() >= UNSAVED {
                tracing::error!("A record is lost: the disk takes nothing and memory is full");
                self.unsaved.pop_front();
            }
            self.unsaved.push_back((body, stamp));
        }
        while let Some((_, stamp)) = self.unsaved.front() {
            let stamp = *stamp;
            let same = |(_, other): &&(Body, Stamp)| other.mono_ms == stamp.mono_ms;
            let batch: Vec<Body> =
                self.unsaved.iter().take_while(same).map(|(body, _)| body.clone()).collect();
            if let Err(error) = self.ledger.append(&batch, stamp) {
                tracing::error!(error = %error, hint = error.hint(), "Records wait for the disk");
                return;
            }
            self.unsaved.drain(..batch.len());
            self.reporter.changed();
        }
    }

    fn heard(&mut self, event: LinkEvent) {
        let now = self.time.moment().mono_ms;
        match event {
            LinkEvent::Connected => {
                self.connection = Connection::Keys { until_mono: now.saturating_add(5_000) };
                self.publish_state(StateKind::Init);
                self.mailer.subscribe(vec![self.topics.of(&Topic::Keys)]);
            }
            LinkEvent::Disconnected { why } => {
                if self.connection != Connection::Down {
                    tracing::info!(why, "No connection to the broker");
                }
                self.connection = Connection::Down;
                self.delivery.disconnected();
                self.fetcher.disconnected();
                self.reporter.forget_question();
            }
            LinkEvent::Message { topic, payload, .. } => self.message(&topic, &payload),
        }
    }

    /// Asks for everything but `keys`, which came first, and begins to deliver.
    fn subscribe_rest(&mut self) {
        let id = &self.home.identity.id;
        let rest = [
            Topic::Timetable(id.clone()),
            Topic::Floor(id.clone()),
            Topic::Command(id.clone()),
            Topic::Time(id.clone()),
            Topic::Receipt(id.clone()),
            Topic::Server,
        ];
        self.mailer.subscribe(rest.iter().map(|topic| self.topics.of(topic)).collect());
        self.connection = Connection::Up;
        let now = self.time.moment().mono_ms;
        self.reporter.ask(now, nonce());
        self.publish_state(StateKind::Ready);
        // Many devices come back at once after a cut; they need not all send at once.
        self.delivery.connected(now, jitter(1_500));
        let actions = self.fetcher.connected(now);
        self.fetch(actions);
    }

    fn tick(&mut self) {
        let (step, time) = self.time.look();
        if let Some(step) = step {
            tracing::info!(?step, "The clock was set");
            self.record(vec![step]);
        }
        if let Some(time) = time {
            tracing::info!(?time, "How well the time is known");
            self.feed(Event::Clock(time));
        }
        self.feed(Event::Tick);
        let now = self.time.moment();
        if matches!(self.connection, Connection::Keys { until_mono } if now.mono_ms >= until_mono) {
            self.subscribe_rest();
        }
        let over = self.refusals.over(now.mono_ms);
        self.record(over);
        if now.mono_ms.saturating_sub(self.beat_mono) >= BEAT_MS {
            self.beat_mono = now.mono_ms;
            let (pending, stored) = self.ledger.counts();
            self.record(vec![Body::Beat { head: self.ledger.head(), pending, stored }]);
        }
        if self.time.timing().time == Time::Fit
            && now.mono_ms.saturating_sub(self.prune_mono) >= 3_600_000
        {
            self.prune_mono = now.mono_ms;
            if let Err(error) = self.ledger.prune(now.utc) {
                tracing::warn!(error = %error, "Cannot delete old records");
            }
        }
        let actions = self.fetcher.tick(now.mono_ms);
        self.fetch(actions);
        self.tend();
        self.deliver();
        self.report();
    }

    /// Sends the batch that is due.
    fn deliver(&mut self) {
        for _ in 0..4 {
            let now = self.time.moment().mono_ms;
            let waiting = self.ledger.waiting();
            let Some(span) = self.delivery.poll(now, waiting) else { return };
            if let Some(lost) = self.ledger.missing(span) {
                self.record(vec![lost]);
            }
            match self.ledger.batch(span) {
                Ok(Some((body, last))) => {
                    let topic = Topic::Records(self.home.identity.id.clone());
                    self.mailer.publish(self.topics.of(&topic), body, false);
                    self.delivery.sent(now, span, last, waiting, random());
                }
                Ok(None) => self.delivery.sent(now, span, span.to, waiting, random()),
                Err(error) => {
                    tracing::error!(error = %error, "Cannot read records to send");
                    self.delivery.sent(now, span, span.to, waiting, random());
                }
            }
        }
    }

    fn follow(&mut self, timetable: doc::Timetable) {
        let days = timetable.days.iter();
        let days = days.map(|d| DayRef { from_ms: d.from_ms, to_ms: d.to_ms, sheet: d.sheet });
        let schedule = Schedule {
            volume_cap: timetable.volume_cap,
            trim_ms: timetable.trim_ms,
            days: days.collect(),
            standby: timetable.standby.clone(),
            idle: timetable.idle.clone(),
        };
        self.assets.spread_ms = i64::from(timetable.fetch_spread_s).saturating_mul(1_000);
        self.reporter.timetable = timetable.ver;
        self.feed(Event::Timetable(schedule));
    }

    /// Records and sends what is left, says goodbye, closes the link.
    async fn goodbye(&mut self, link: &Link) {
        let refused = self.refusals.all();
        self.record(refused);
        self.time.save();
        let orderly = async {
            if self.connection == Connection::Up {
                if let Some(span) = self.ledger.waiting()
                    && let Ok(Some((body, _))) = self.ledger.batch(span)
                {
                    let topic = Topic::Records(self.home.identity.id.clone());
                    drop(link.publish(self.topics.of(&topic), body, false).await);
                }
                let topic = Topic::State(self.home.identity.id.clone());
                let state = self.state(StateKind::Disconnected).encode();
                drop(link.publish(self.topics.of(&topic), state, true).await);
            }
            drop(link.disconnect().await);
        };
        let _ = tokio::time::timeout(Duration::from_millis(800), orderly).await;
    }
}

fn restore<T>(
    home: &Home,
    name: &str,
    read: impl FnOnce(&[u8]) -> Result<T, crate::wire::Refusal>,
) -> Option<T> {
    let bytes = disk::read(&home.dir.join(name))?;
    match read(&bytes) {
        Ok(document) => Some(document),
        Err(refusal) => {
            tracing::warn!(file = name, error = %refusal, "A kept document is not used");
            None
        }
    }
}

fn quiet(floor: &doc::Floor) -> QuietFloor {
    QuietFloor {
        from_min: i64::from(floor.from.minutes()),
        to_min: i64::from(floor.to.minutes()),
        offset_min: i64::from(floor.offset_min),
    }
}

/// Randomness for jitter; without any, all devices would be alike, which is only less good.
fn random() -> u64 {
    getrandom::u64().unwrap_or(0x9E37_79B9_7F4A_7C15)
}

fn jitter(most_ms: u64) -> i64 {
    i64::try_from(random() % (most_ms + 1)).unwrap_or(0)
}

fn nonce() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(crate::wire::b64::encode(&bytes))
}

/// Says how an instant looks from now, for orders to the fetcher.
fn until(at: Option<UtcMs>, now: UtcMs, time: Time) -> i64 {
    match (at, time) {
        (Some(at), Time::Fit | Time::Drifted) => at.since(now),
        // Not knowing the time is no reason to wait.
        (Some(_), Time::Unknown) => 0,
        (None, _) => i64::MAX / 4,
    }
}

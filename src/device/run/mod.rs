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
mod connection;
mod device;
mod mailer;
mod messages;
mod orders;
mod report;
mod start;
mod timekeeper;
mod values;

pub use device::{Device, DeviceError, Settings};
pub use timekeeper::{DeviceClock, follows_ntp};

use super::accept::Gate;
use super::executor::{Action, Event, Executor, Time};
use super::fetch::Fetcher;
use super::floor::QuietFloor;
use super::hardware::Hardware;
use super::identity::Home;
use super::ledger::delivery::Delivery;
use super::ledger::{Ledger, Stamp};
use super::pace::Pace;
use super::progress::Progress;
use super::props::Props;
use super::refusals::Refusals;
use super::storage::Storage;
use super::vouched::Vouched;
use crate::app::link::{Link, LinkEvents};
use crate::clock::Sleep;
use crate::domain::ids::Digest;
use crate::domain::proof::record::Body;
use crate::domain::time::UtcMs;
use crate::wire::doc;
use crate::wire::topic::Topics;
use assets::Checked;
use mailer::Mailer;
use report::Reporter;
use std::collections::VecDeque;
use std::path::PathBuf;
use timekeeper::Timekeeper;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How often the loop looks at the clock.
const TICK_MS: i64 = 200;
/// How long an orderly end may take.
const GRACE_MS: i64 = 2_500;
/// A sign of life is recorded so often.
const BEAT_MS: i64 = 1_800_000;
/// How often what no checkpoint covers is asked about.
const VOUCH_MS: i64 = 2 * 3_600_000;
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
        let clock = agent.time.clock();
        let mut tick = clock.sleep(0);
        let mut grace: Sleep = Box::pin(std::future::pending());
        let (mut connected, mut stopping) = (true, false);
        while !agent.done {
            // In this order: whatever the broker sends, and however much, the clock is looked at.
            tokio::select! {
                biased;
                Some(event) = outputs.recv() => agent.feed(event),
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    grace = clock.sleep(GRACE_MS);
                    agent.feed(Event::Stop);
                }
                () = &mut grace => {
                    tracing::warn!("The output did not end in time");
                    break;
                }
                () = &mut tick => {
                    agent.tick();
                    tick = clock.sleep(TICK_MS);
                }
                Some(check) = checked.recv() => agent.checked(check),
                event = messages.next(), if connected => match event {
                    Some(event) => agent.heard(event),
                    None => connected = false,
                },
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
    vouched: Vouched,
    mailer: Mailer,
    reporter: Reporter,
    assets: assets::Assets,
    values: values::Keeping,
    props: Props,
    connection: Connection,
    unsaved: VecDeque<(Body, Stamp)>,
    orders_pace: Pace,
    /// Name of the test tone, which lies beside the assets.
    tone_name: Digest,
    beat_mono: i64,
    prune_mono: i64,
    vouch_mono: i64,
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
            Action::Want { sheets, assets } => {
                self.want(sheets.clone(), assets.clone());
                self.reporter.changed();
            }
            Action::Done => self.done = true,
            Action::Record(_) => {}
        }
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
            // Clips can be had again, records cannot.
            let (storage, executor, assets) = (&mut self.storage, &self.executor, &mut self.assets);
            let relieve = || {
                let dropped = storage.give_up(&executor.needed(moment.utc), moment.utc);
                dropped.is_some_and(|asset| assets.gave_up(asset))
            };
            if let Err(error) = self.ledger.append_relieved(&batch, stamp, relieve) {
                tracing::error!(error = %error, hint = error.hint(), "Records wait for the disk");
                return;
            }
            self.unsaved.drain(..batch.len());
            self.reporter.changed();
        }
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
            self.drop_parts();
        }
        // Each record brings a receipt, and that the newest checkpoint; a chain that gets no more of
        // them is asked about by its last one.
        if now.mono_ms.saturating_sub(self.vouch_mono) >= VOUCH_MS {
            self.vouch_mono = now.mono_ms;
            self.ledger.unvouched().into_iter().for_each(|span| self.delivery.wish(span));
        }
        if self.orders_pace.is_due(now.mono_ms) {
            self.write_orders();
        }
        let actions = self.fetcher.tick(now.mono_ms);
        self.fetch(actions);
        self.tend();
        self.tend_values();
        self.deliver();
        self.report();
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

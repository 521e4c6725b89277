//! The publishing task: plans what came into force and tells the broker what it lacks.
//!
//! Order: documents, presence, assets, sheets, timetables, receipts, marker – each step
//! acknowledged before the next. A broken line ends a step; the next connection says what is
//! still missing, or everything when the broker forgot. What was planned is stored first, so a
//! `kill -9` between any two steps loses nothing.

use super::duty::Tenure;
use super::inbox::{Inbox, Line, Waiting};
use super::presence::Present;
use crate::app::assets::{Courier, CourierError, MarkerWatch, Shelf, Verdict};
use crate::app::behind;
use crate::app::link::{Link, LinkError};
use crate::app::live::{Alarm, Live};
use crate::app::outlet::Outlet;
use crate::app::ports::{RetainedDocument, Store, StoreError, StoredNotice};
use crate::app::publish::{AssetNeed, Publication, PublishError, Publisher, Round};
use crate::clock::SharedClock;
use crate::domain::ids::Digest;
use crate::domain::station::Station;
use crate::domain::time::UtcMs;
use crate::domain::timetable::DevicePlan;
use crate::wire::doc::ServerState;
use crate::wire::topic::Topic;
use bytes::Bytes;
use chrono::{Days, TimeDelta};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Messages in flight.
const WINDOW: usize = 64;
/// How often time is looked at: for the marker, the daily extension, failed plans.
const TICK: Duration = Duration::from_secs(1);
/// How long after a failure the same is tried again.
const RETRY_MS: i64 = 10_000;

/// Why a step ended early.
#[derive(Debug, thiserror::Error)]
enum Broke {
    #[error(transparent)]
    Line(#[from] LinkError),
    #[error(transparent)]
    Asset(#[from] CourierError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the lease was not prolonged in time")]
    Lapsed,
}

/// What the task is made of.
pub struct Parts {
    pub publisher: Publisher<dyn Store>,
    pub store: Arc<dyn Store>,
    pub link: Link,
    pub courier: Courier,
    pub shelf: Shelf,
    pub live: Arc<Live>,
    pub inbox: Arc<Inbox>,
    pub outlet: Arc<Outlet>,
    pub present: Present,
    pub clock: SharedClock,
    /// Until when this process may publish.
    pub tenure: Tenure,
    /// The process whose work is gone on with.
    pub heir_of: Option<String>,
}

/// How far the broker is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broker {
    /// No connection.
    Down,
    /// Connected; it has not said yet whether it still has what it was told.
    Asked,
    /// It must be told what it lacks, or everything.
    Behind(Verdict),
    /// It has everything.
    Level,
}

/// The publishing task.
pub struct Publishing {
    parts: Parts,
    marker: MarkerWatch,
    broker: Broker,
    /// Assets of the newest plan.
    needs: BTreeMap<Digest, AssetNeed>,
    /// Notices that the broker holds, or should.
    notices: Vec<StoredNotice>,
    /// How many orders there were when they were last looked at.
    mark: Option<i64>,
    station: Option<Arc<Station>>,
    /// Whether the station in force is still to be planned.
    due: bool,
    /// No new try before this instant on the monotonic clock.
    retry_ms: i64,
    /// When the horizon is next moved on.
    extend_at: UtcMs,
    /// How far the keys in use have been followed.
    rekeyed: keys::Followed,
    /// Whether gateways were told since this process began to lead.
    gateways_told: bool,
}

impl Publishing {
    /// Returns the task; nothing happens before [`Publishing::run`].
    pub fn new(parts: Parts) -> Self {
        let marker = MarkerWatch::new(parts.present.conn.clone()).heir_of(parts.heir_of.clone());
        Self {
            parts,
            marker,
            broker: Broker::Down,
            needs: BTreeMap::new(),
            notices: Vec::new(),
            mark: None,
            station: None,
            due: false,
            retry_ms: i64::MIN,
            extend_at: UtcMs::MAX,
            rekeyed: keys::Followed::default(),
            gateways_told: false,
        }
    }

    /// Publishes until told to stop, then says farewell.
    pub async fn run(
        mut self,
        mut in_force: watch::Receiver<Option<Arc<Station>>>,
        stop: CancellationToken,
    ) {
        let inbox = Arc::clone(&self.parts.inbox);
        let outlet = Arc::clone(&self.parts.outlet);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        in_force.mark_changed();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Ok(()) = in_force.changed() => {
                    self.station.clone_from(&in_force.borrow_and_update());
                    self.due = self.station.is_some();
                    self.retry_ms = i64::MIN;
                }
                () = inbox.filled() => {}
                () = outlet.changed() => self.mark = None,
                _ = tick.tick() => {}
            }
            let done = tokio::select! {
                () = stop.cancelled() => break,
                done = self.turn(inbox.take()) => done,
            };
            self.judge(done);
        }
        self.farewell().await;
    }

    async fn farewell(&self) {
        let gone = self.parts.present.sign(ServerState::Disconnected);
        let said = async {
            if self.broker != Broker::Down
                && self.tenured().is_ok()
                && let Some(gone) = gone
            {
                self.parts.link.publish(self.parts.present.topic(), gone, true).await?;
            }
            self.parts.link.disconnect().await
        };
        if tokio::time::timeout(Duration::from_secs(2), said).await.is_err() {
            tracing::warn!("The broker did not answer the farewell");
        }
    }

    /// Says what became of a turn; after a failure the same is tried again later.
    fn judge(&mut self, done: Result<(), Broke>) {
        let Err(error) = done else { return };
        self.retry_ms = self.parts.clock.mono_ms().saturating_add(RETRY_MS);
        if self.broker == Broker::Level {
            // What is stored and not acknowledged is told again then.
            self.broker = Broker::Behind(Verdict::Kept);
        }
        if matches!(error, Broke::Lapsed) {
            tracing::warn!("Publishing waits: {error}");
            return;
        }
        let line = matches!(error, Broke::Line(_) | Broke::Asset(CourierError::Link { .. }));
        if line {
            // The next connection tells what is missing then.
            tracing::debug!(%error, "Publishing waits for the broker");
            return;
        }
        let text = super::chain(&error);
        tracing::error!(error = text, "Failed to publish the schedule");
        self.parts.live.set_alarm(Alarm {
            code: "publish-failed",
            vi: format!("Chưa phát hành được lịch: {text}"),
            en: format!("The schedule could not be published: {text}"),
        });
    }

    /// Does what is to be done now.
    async fn turn(&mut self, waiting: Waiting) -> Result<(), Broke> {
        self.hear(&waiting);
        self.tenured()?;
        self.follow_keys().await?;
        let gateways = self.tell_gateways(waiting.documents).await?;
        let ordered = self.take_orders().await?;
        let mut due = self.plan().await?;
        if let Broker::Behind(verdict) = self.broker {
            if self.parts.clock.mono_ms() < self.retry_ms || self.station.is_none() {
                return Ok(());
            }
            self.catch_up(verdict).await?;
            // What was just planned has been told with the rest; only what goes is left.
            due = due.map(|round| Round { clear: round.clear, ..Round::default() });
        }
        if self.broker != Broker::Level {
            return Ok(());
        }
        if waiting.foreign_presence {
            self.say_presence().await?;
        }
        self.clear_what_is_over().await?;
        if waiting.documents || ordered || gateways {
            self.say_documents().await?;
        }
        if let Some(round) = due {
            self.deliver(round).await?;
        } else if ordered || !waiting.devices.is_empty() {
            self.carry().await?;
        }
        self.say_sheets(&waiting.sheets).await
    }

    /// Takes note of line, marker and devices.
    fn hear(&mut self, waiting: &Waiting) {
        let mono = self.parts.clock.mono_ms();
        let mut verdict = None;
        match waiting.line {
            Some(Line::Up) => {
                self.broker = Broker::Asked;
                self.retry_ms = i64::MIN;
                verdict = self.marker.subscribed(mono);
            }
            Some(Line::Down) => {
                self.broker = Broker::Down;
                self.marker.disconnected();
            }
            None => {}
        }
        if let Some(body) = &waiting.marker {
            verdict = verdict.or_else(|| self.marker.message(body));
        }
        if let Some(verdict) = verdict.or_else(|| self.marker.tick(mono)) {
            self.broker = Broker::Behind(verdict);
        }
        for device in &waiting.devices {
            if let Some(heard) = self.parts.live.heard(device) {
                self.parts.shelf.state(device, &heard.state.held, &heard.state.want);
            }
        }
    }

    /// Plans the station when it changed or the horizon must move on; what is due is stored.
    async fn plan(&mut self) -> Result<Option<Round>, Broke> {
        let now = self.parts.clock.now();
        if self.extend_at <= now {
            self.due = true;
        }
        let Some(station) = self.station.clone().filter(|_| self.due) else { return Ok(None) };
        if self.parts.clock.mono_ms() < self.retry_ms {
            return Ok(None);
        }
        let mut round = self.parts.publisher.plan(&station).await?;
        self.due = false;
        self.extend_at = next_extension(&station, now, &self.parts.present.conn);
        self.needs = std::mem::take(&mut round.assets);
        self.need_assets();
        tracing::info!(
            sheets = round.sheets.len(),
            timetables = round.timetables.len(),
            faults = round.faults.len(),
            "Planned the station"
        );
        let schedule = self.parts.publisher.compiled().map(|compiled| {
            let sheets = |plan: &DevicePlan| plan.days().iter().map(|d| d.sheet.clone()).collect();
            compiled.devices().map(|(id, plan)| (id.clone(), sheets(plan))).collect()
        });
        self.parts.live.change(|picture| {
            picture.schedule = Arc::new(schedule.unwrap_or_default());
            picture.alarms.retain(|a| !matches!(a.code, "publish-failed" | "over-limit"));
            picture.alarms.extend(round.faults.iter().map(|fault| Alarm {
                code: "over-limit",
                vi: format!("Vượt giới hạn, bản trước vẫn có hiệu lực: {fault}"),
                en: format!("{fault}; {}", fault.hint()),
            }));
        });
        Ok(Some(round))
    }

    /// Tells the broker what it lacks after a new connection.
    async fn catch_up(&mut self, verdict: Verdict) -> Result<(), Broke> {
        let Some(station) = self.station.clone() else { return Ok(()) };
        if verdict == Verdict::Forgot {
            tracing::info!("Publishing everything");
            self.parts.shelf.broker_forgot();
            self.parts.outlet.broker_forgot();
        }
        self.clear_what_is_over().await?;
        let everything = self.parts.publisher.everything(&station).await?;
        self.say_documents().await?;
        self.say_presence().await?;
        let round = match verdict {
            Verdict::Forgot => everything.round,
            Verdict::Kept => self.parts.publisher.unpublished().await?,
        };
        self.deliver(round).await?;
        self.say(everything.last).await?;
        let topic = self.parts.publisher.topics().of(&Topic::Epoch);
        self.parts.link.publish(topic, self.marker.body(), true).await?;
        self.marker.written();
        self.broker = Broker::Level;
        Ok(())
    }

    /// Assets, sheets, timetables, each acknowledged before the next; then what goes.
    async fn deliver(&mut self, round: Round) -> Result<(), Broke> {
        self.carry().await?;
        self.say(round.sheets).await?;
        let versions: Vec<_> =
            round.timetables.iter().map(|one| (one.device.clone(), one.ver)).collect();
        self.say(round.timetables.into_iter().map(|one| one.publication).collect()).await?;
        self.parts.publisher.published(&versions).await?;
        let cleared = round.clear.into_iter();
        let empty = |topic| Publication { topic, payload: Bytes::new(), retain: true };
        self.say(cleared.map(empty).collect()).await?;
        let now = self.parts.clock.now();
        self.parts.live.change(|picture| picture.published_ms = Some(now));
        Ok(())
    }

    /// Brings the documents of gateways to what the register says; says whether any was made.
    async fn tell_gateways(&mut self, changed: bool) -> Result<bool, Broke> {
        let Some(station) = self.station.clone().filter(|_| changed || !self.gateways_told) else {
            return Ok(false);
        };
        let (now, trust) = (self.parts.clock.now(), self.parts.present.keys.in_use());
        let local = now.datetime().with_timezone(&station.zone);
        let teller = behind::Teller {
            store: &*self.parts.store,
            policy: &trust.keys.policy,
            topics: self.parts.publisher.topics(),
            name: &station.name,
            offset_min: chrono::Offset::fix(local.offset()).local_minus_utc() / 60,
        };
        let made = behind::renew(&teller, now).await?;
        self.gateways_told = true;
        if made > 0 {
            tracing::info!(documents = made, "Told gateways for whom they act");
        }
        Ok(made > 0)
    }

    /// Stops where another process may have begun to publish.
    fn tenured(&self) -> Result<(), Broke> {
        let lasts = self.parts.tenure.lasts(self.parts.clock.mono_ms());
        if lasts { Ok(()) } else { Err(Broke::Lapsed) }
    }

    async fn say_presence(&self) -> Result<(), Broke> {
        let present = &self.parts.present;
        let Some(body) = present.sign(ServerState::Ready) else { return Ok(()) };
        Ok(self.parts.link.publish(present.topic(), body, true).await?)
    }

    /// Publishes retained documents (keys, floors, orders) that the broker does not have; keys
    /// first, then what cannot wait.
    async fn say_documents(&mut self) -> Result<(), Broke> {
        let topics = self.parts.publisher.topics();
        let rank = |document: &RetainedDocument| match topics.parse(&document.topic) {
            Some(Topic::Keys) => 0,
            Some(Topic::Urgent { .. } | Topic::Hold(_)) => 1,
            _ => 2,
        };
        let mut lacking = self.parts.store.retained().await?;
        lacking.retain(|document| !self.parts.outlet.has(&document.topic, document.ver));
        lacking.sort_by_key(rank);
        let names: Vec<_> = lacking.iter().map(|d| (d.topic.clone(), d.ver)).collect();
        let bodies = lacking.into_iter().map(|document| Publication {
            topic: document.topic,
            payload: Bytes::copy_from_slice(&document.body),
            retain: true,
        });
        self.say(bodies.collect()).await?;
        for (topic, ver) in names {
            self.parts.outlet.note(&topic, ver);
        }
        Ok(())
    }

    /// Publishes sheets again that devices lack, as far as they are in force.
    async fn say_sheets(&self, wanted: &BTreeSet<Digest>) -> Result<(), Broke> {
        if wanted.is_empty() {
            return Ok(());
        }
        let wanted: Vec<_> = wanted.iter().copied().collect();
        let since = self.parts.clock.now().plus(-86_400_000);
        let topics = self.parts.publisher.topics();
        let sheets = self.parts.store.sheets(&wanted).await?;
        let again = sheets.iter().filter(|sheet| sheet.to_ms > since).map(|sheet| Publication {
            topic: topics.of(&Topic::Sheet(sheet.sha256)),
            payload: Bytes::copy_from_slice(&sheet.bytes),
            retain: true,
        });
        self.say(again.collect()).await
    }

    /// Publishes all of them, some at a time; done when the broker acknowledged all.
    async fn say(&self, all: Vec<Publication>) -> Result<(), Broke> {
        let mut flying = VecDeque::new();
        for Publication { topic, payload, retain } in all {
            self.tenured()?;
            if flying.len() >= WINDOW
                && let Some(first) = flying.pop_front()
            {
                let first: crate::app::link::Acked = first;
                first.await?;
            }
            flying.push_back(self.parts.link.enqueue(topic, payload, retain).await?);
        }
        for acked in flying {
            acked.await?;
        }
        Ok(())
    }
}

/// Returns when the horizon is next moved on: in the small hours of tomorrow, at a minute that
/// differs from server to server, so that not every device of a province is told at once.
fn next_extension(station: &Station, now: UtcMs, seed: &str) -> UtcMs {
    let local = now.datetime().with_timezone(&station.zone);
    let minute = u32::from(Digest::of(seed.as_bytes()).0[0]) * 180 / 256;
    let tomorrow = local.date_naive().checked_add_days(Days::new(1)).unwrap_or(local.date_naive());
    let at = tomorrow.and_time(chrono::NaiveTime::MIN) + TimeDelta::minutes(60 + i64::from(minute));
    let at = at.and_local_timezone(station.zone).earliest();
    at.map_or(now.plus(86_400_000), |at| UtcMs::from(at.with_timezone(&chrono::Utc)))
}

mod keys;
mod orders;
#[cfg(test)]
mod tests;

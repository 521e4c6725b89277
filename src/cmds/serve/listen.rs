//! Reads the link: records to ingest, states to the picture, the rest to the inbox.
//!
//! Records wait for ingest, and so does the broker then (a message is acknowledged when it is
//! taken); nothing else here ever waits.

use super::inbox::{Inbox, Line};
use crate::app::ingest::{Arrived, Shares};
use crate::app::keyring::Keyring;
use crate::app::link::{Link, LinkEvent, LinkEvents};
use crate::app::live::Live;
use crate::app::ports::Standing;
use crate::app::publish::Publication;
use crate::app::tails::Tails;
use crate::clock::SharedClock;
use crate::domain::ids::DeviceId;
use crate::wire::doc::{self, Presence, State, TimeAnswer, WantedKind};
use crate::wire::topic::{Topic, Topics};
use bytes::Bytes;
use metrics::counter;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What the reader needs.
pub struct Listener {
    pub link: Link,
    pub live: Arc<Live>,
    pub inbox: Arc<Inbox>,
    pub records: mpsc::Sender<Arrived>,
    pub keys: Keyring,
    pub topics: Topics,
    pub clock: SharedClock,
    /// The connection id in our presence.
    pub conn: String,
    /// The devices whose records are taken in here.
    pub shares: Shares,
    pub tails: Arc<Tails>,
}

/// How often the log says that no broker answers.
const TELL_AGAIN_MS: i64 = 600_000;

/// When the log last said that there is no broker: at once, then rarely, since it is tried for
/// ever and the page shows it all the time.
#[derive(Debug, Default)]
struct Silence {
    told_ms: Option<i64>,
}

impl Silence {
    /// Says whether to tell of it now.
    fn tell(&mut self, now_mono: i64) -> bool {
        let due = self.told_ms.is_none_or(|told| now_mono - told >= TELL_AGAIN_MS);
        if due {
            self.told_ms = Some(now_mono);
        }
        due
    }
}

impl Listener {
    /// Reads until told to stop or the link is closed.
    pub async fn run(self, mut events: LinkEvents, stop: CancellationToken) {
        let mut changes = self.shares.changes();
        let mut asked = BTreeSet::new();
        let mut silence = Silence::default();
        loop {
            let event = tokio::select! {
                () = stop.cancelled() => return,
                Ok(()) = changes.changed() => {
                    changes.mark_unchanged();
                    self.follow(&mut asked).await;
                    continue;
                }
                event = events.next() => event,
            };
            match event {
                Some(LinkEvent::Connected) => {
                    asked.clear();
                    self.connected().await;
                    self.follow(&mut asked).await;
                }
                Some(LinkEvent::Disconnected { why }) => self.disconnected(why, &mut silence),
                Some(LinkEvent::Message { topic, payload, .. }) => {
                    self.message(&topic, payload).await;
                }
                None => return,
            }
        }
    }

    /// Subscribes to the records of the shares held, and to no others.
    async fn follow(&self, asked: &mut BTreeSet<u8>) {
        if !self.live.picture().broker.connected {
            return;
        }
        let held: BTreeSet<u8> = self.shares.held().into_keys().collect();
        let filter =
            |share: &u8| self.topics.records_filter(char::from_digit(u32::from(*share), 16));
        let new: Vec<String> = held.difference(asked).map(filter).collect();
        let lost: Vec<String> = asked.difference(&held).map(filter).collect();
        let mut done = Ok(());
        if !lost.is_empty() {
            done = self.link.unsubscribe(lost).await;
        }
        if !new.is_empty() && done.is_ok() {
            done = self.link.subscribe(new).await;
        }
        match done {
            Ok(()) => *asked = held,
            // A line that breaks is followed by a connection, which asks for all of them.
            Err(error) => tracing::debug!(%error, "Could not change the shares asked for"),
        }
    }

    async fn connected(&self) {
        let filters = vec![
            self.topics.of(&Topic::Epoch),
            self.topics.of(&Topic::Server),
            self.topics.states_filter(),
        ];
        match self.link.subscribe(filters).await {
            Ok(()) => {
                tracing::info!("Connected to the broker");
                self.live.change(|picture| {
                    picture.broker.connected = true;
                    picture.broker.why = None;
                });
                self.inbox.put(|waiting| waiting.line = Some(Line::Up));
            }
            Err(error) => {
                tracing::error!(%error, hint = error.hint(), "Failed to subscribe");
                self.live.change(|picture| picture.broker.why = Some(error.to_string()));
            }
        }
    }

    fn disconnected(&self, why: String, silence: &mut Silence) {
        let broker = self.live.picture().broker.clone();
        let tell = silence.tell(self.clock.mono_ms());
        if broker.connected {
            tracing::warn!(why, "Lost the broker");
        } else if tell {
            tracing::warn!(
                why,
                broker = broker.address,
                hint = "start that broker, or correct `--broker` or `[broker]` of station.toml; \
                        this server goes on trying, and devices play what they have",
                "No broker answers"
            );
        } else {
            tracing::debug!(why, "No broker yet");
        }
        self.live.change(|picture| {
            picture.broker.connected = false;
            picture.broker.why = Some(why);
        });
        self.inbox.put(|waiting| waiting.line = Some(Line::Down));
    }

    async fn message(&self, topic: &str, payload: Bytes) {
        match self.topics.parse(topic) {
            Some(Topic::Records(device)) => {
                let _ = self.records.send(Arrived { device, lines: payload }).await;
            }
            Some(Topic::State(device)) => self.state(&device, &payload),
            Some(Topic::Epoch) => self.inbox.put(|waiting| waiting.marker = Some(payload)),
            Some(Topic::Server) => self.presence(&payload),
            _ => counter!("loa_messages_ignored_total").increment(1),
        }
    }

    fn state(&self, device: &DeviceId, payload: &[u8]) {
        let known = self.live.devices().get(device).map(|known| known.standing.clone());
        if !matches!(known, Some(Standing::Enrolled { .. })) || payload.is_empty() {
            counter!("loa_messages_ignored_total").increment(1);
            return;
        }
        let state = match State::decode(payload) {
            Ok(state) => state,
            Err(error) => {
                counter!("loa_states_refused_total").increment(1);
                tracing::debug!(device.id = %device, reason = error.reason(), "Refused a state");
                return;
            }
        };
        if let Some(nonce) = state.nonce.as_ref().filter(|_| self.shares.holds(device)) {
            self.answer_time(device, nonce);
        }
        self.tails.hear(device, &state);
        let sheets: Vec<_> = state
            .want
            .iter()
            .filter(|want| want.kind == WantedKind::Sheet)
            .map(|want| want.sha256)
            .collect();
        if self.live.hear(device, self.clock.now(), state).is_ok() {
            self.inbox.put(|waiting| {
                waiting.devices.insert(device.clone());
                waiting.sheets.extend(sheets);
            });
        }
    }

    /// Answers at once or not at all: an answer that waited would tell a wrong time, and the
    /// device asks again.
    fn answer_time(&self, device: &DeviceId, nonce: &str) {
        let now_ms = self.clock.now();
        let answer = TimeAnswer {
            v: 1,
            aud: device.clone(),
            iat: now_ms.numeric_date(),
            nonce: nonce.to_owned(),
            now_ms,
        };
        let answer = match doc::sign(&self.keys.in_use().keys.time, &answer) {
            Ok(answer) => answer,
            Err(error) => {
                counter!("loa_time_answers_dropped_total").increment(1);
                tracing::debug!(device.id = %device, %error, "A question for the time is refused");
                return;
            }
        };
        let topic = self.topics.of(&Topic::Time(device.clone()));
        if self.link.try_publish(topic, answer, false).is_err() {
            counter!("loa_time_answers_dropped_total").increment(1);
        }
    }

    fn presence(&self, payload: &[u8]) {
        // Not verified: it only makes us say again what is true.
        let text = std::str::from_utf8(payload).unwrap_or("");
        let own = super::presence::claims(text).is_some_and(|p: Presence| p.conn == self.conn);
        if !own {
            self.inbox.put(|waiting| waiting.foreign_presence = true);
        }
    }
}

/// Publishes receipts as they come; one that the line lost is told again after the next
/// connection, from the store.
pub async fn hand_out(link: Link, mut receipts: mpsc::Receiver<Publication>) {
    while let Some(Publication { topic, payload, retain }) = receipts.recv().await {
        if let Err(error) = link.publish(topic, payload, retain).await {
            tracing::debug!(%error, "A receipt waits for the next connection");
        }
    }
}

//! The connection in the loop: what is asked after each one, and the orderly end.

use super::{Agent, Connection, jitter, nonce, random};
use crate::app::link::{Link, LinkEvent};
use crate::wire::doc::StateKind;
use crate::wire::topic::Topic;
use std::time::Duration;

impl Agent {
    pub(super) fn heard(&mut self, event: LinkEvent) {
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
    pub(super) fn subscribe_rest(&mut self) {
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
        let units = self.unit_topics(self.gate.units());
        if !units.is_empty() {
            // Apart from the rest: a broker that knows of a move before the device refuses these.
            self.mailer.subscribe(units);
        }
        let feeds = self.feed_topics();
        if !feeds.is_empty() {
            self.mailer.subscribe(feeds);
        }
        self.connection = Connection::Up;
        let now = self.time.moment().mono_ms;
        self.reporter.ask(now, nonce());
        self.publish_state(StateKind::Ready);
        // Many devices come back at once after a cut; they need not all send at once.
        self.delivery.connected(now, jitter(1_500));
        let actions = self.fetcher.connected(now);
        self.fetch(actions);
    }

    /// Sends the batch that is due.
    pub(super) fn deliver(&mut self) {
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

    /// Records and sends what is left, says goodbye, closes the link.
    pub(super) async fn goodbye(&mut self, link: &Link) {
        let refused = self.refusals.all();
        self.record(refused);
        self.time.save();
        if self.orders_pace.waits() {
            self.write_orders();
        }
        self.write_values();
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

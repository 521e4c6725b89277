//! What the broker brings: judged, persisted, then followed.

use super::{Agent, Connection, jitter, quiet};
use crate::device::accept::Accepted;
use crate::device::disk;
use crate::device::executor::{Event, Order, Schedule};
use crate::device::floor::QuietFloor;
use crate::device::ledger::Receipted;
use crate::device::ledger::delivery::Span;
use crate::device::vouched::Word;
use crate::domain::proof::record::Body;
use crate::wire::doc::{Command, Do, Presence, Receipt, ServerState, TimeAnswer};
use crate::wire::epoch::LogTrust;
use crate::wire::topic::Topic;
use bytes::Bytes;

impl Agent {
    pub(super) fn message(&mut self, topic: &str, payload: &Bytes) {
        let now = self.time.moment().mono_ms;
        if self.fetcher.concerns(topic) {
            let actions = self.fetcher.message(now, topic, payload);
            self.fetch(actions);
            return;
        }
        self.fetcher.heard(now);
        let Some(known) = self.topics.parse(topic) else { return };
        self.take(topic, &known, payload);
        if known == Topic::Keys && matches!(self.connection, Connection::Keys { .. }) {
            self.subscribe_rest();
        }
    }

    fn take(&mut self, topic: &str, known: &Topic, payload: &Bytes) {
        let trusted = self.time.trusted_now();
        let nonce = self.reporter.nonce();
        match self.gate.judge(known, payload, trusted, nonce.as_deref()) {
            Accepted::Nothing => {}
            Accepted::Keys { timetable_void, floor_void, orders } => {
                self.keep("keys.json", payload);
                self.time.signed_at(self.gate.keys().iat());
                self.follow_log();
                self.changed_values();
                if timetable_void {
                    tracing::error!("The key of the timetable was revoked: its days are dropped");
                    self.void_timetable();
                }
                if floor_void {
                    tracing::error!("The key of the quiet floor was revoked: the usual one holds");
                    self.feed(Event::Floor(QuietFloor::default()));
                }
                if !orders.is_empty() {
                    tracing::error!("The key of notices or holds was revoked: they are dropped");
                    self.fell(orders);
                }
                tracing::info!(keys.epoch = self.gate.keys().epoch(), "A new key epoch");
                for (topic, parked) in self.refusals.unpark() {
                    if let Some(known) = self.topics.parse(&topic) {
                        self.take(&topic, &known, &parked);
                    }
                }
            }
            Accepted::Timetable(timetable) => {
                self.keep("timetable.jws", payload);
                self.time.signed_at(timetable.iat);
                tracing::info!(
                    timetable.ver = timetable.ver,
                    days = timetable.days.len(),
                    "Accepted a timetable"
                );
                self.follow(*timetable);
            }
            Accepted::Floor(floor) => {
                self.keep("floor.jws", payload);
                self.time.signed_at(floor.iat);
                self.feed(Event::Floor(quiet(&floor)));
            }
            Accepted::Order(order) => self.ordered(order),
            Accepted::Command(command) => self.command(&command),
            Accepted::Time(answer) => self.answer(&answer),
            Accepted::Value => self.changed_values(),
            Accepted::Receipt(receipt) => self.receipt(topic, &receipt, payload),
            Accepted::Presence(presence) => self.presence(&presence),
            Accepted::Refused(refusal) => {
                tracing::warn!(topic, error = %refusal, "Refused a document");
                let now = self.time.moment();
                self.refusals.count(topic, refusal.reason(), payload, now.utc, now.mono_ms);
            }
            Accepted::Declined { jti, drill, refusal } => {
                tracing::warn!(topic, notice.jti = %jti, error = %refusal, "Refused a notice");
                let (now, word) = (self.time.moment(), refusal.reason());
                self.refusals.count(topic, word, payload, now.utc, now.mono_ms);
                self.feed(Event::Declined { jti, drill, word });
            }
            Accepted::Parked => {
                tracing::info!(topic, "Waiting for the key of a document");
                self.refusals.park(topic, payload.clone());
            }
        }
        self.reporter.changed();
    }

    /// Persists an accepted document before it takes effect. A disk that refuses does not stop
    /// the device from following: after a restart the retained document comes again.
    pub(super) fn keep(&self, name: &str, bytes: &[u8]) {
        let path = self.home.dir.join(name);
        if let Err(error) = disk::write(&path, bytes) {
            tracing::error!(path = %path.display(), %error, "Cannot keep a document");
        }
    }

    /// Drops the days of a timetable that nobody may have signed.
    pub(super) fn void_timetable(&mut self) {
        self.reporter.timetable = 0;
        self.values.named_anew = true;
        self.feed(Event::Timetable(Schedule::default()));
    }

    fn command(&mut self, command: &Command) {
        let jti = command.jti.clone();
        let order = match &command.act {
            Do::Stop => Order::Stop,
            Do::Volume { volume } => Order::Volume(*volume),
            Do::SelfTest => Order::SelfTest,
            Do::Identify => Order::Identify,
            act => {
                // Not the output's business; the executor only knows whether it was obeyed before.
                let now = self.time.moment();
                if !self.executor.first_time(now, &jti) {
                    return;
                }
                let result = match act {
                    Do::Resend { chain, from, to } => {
                        self.delivery.wish(Span { chain: *chain, from: *from, to: *to });
                        "done"
                    }
                    _ => "unsupported",
                };
                let (what, result) = (act.word().to_owned(), result.to_owned());
                self.record(vec![Body::Did { jti, what, result }]);
                return;
            }
        };
        self.feed(Event::Command { jti, order });
    }

    fn answer(&mut self, answer: &TimeAnswer) {
        let Some(asked_mono) = self.reporter.answered() else { return };
        match self.time.answer(answer.now_ms, asked_mono) {
            Ok(()) => self.time.signed_at(answer.iat),
            Err(why) => tracing::warn!(?why, "The server's time is not taken"),
        }
        // The step, if there is one, is seen and recorded by the next look at the clock.
    }

    fn receipt(&mut self, topic: &str, receipt: &Receipt, payload: &[u8]) {
        let now = self.time.moment();
        match self.ledger.receipt(receipt.chain, receipt.upto, receipt.head.as_ref()) {
            Ok(Receipted::Raised) => {
                self.delivery.receipted(now.mono_ms, receipt.chain, receipt.upto);
                self.time.signed_at(receipt.iat);
                self.checkpoint(topic, receipt, payload);
            }
            Ok(Receipted::Known) => self.checkpoint(topic, receipt, payload),
            Ok(Receipted::Ahead) => {
                tracing::error!("The disk lost records that the server holds: a new chain begins");
                if let Some(why) = self.ledger.begun.take() {
                    self.record(vec![Body::Chain { why: why.to_owned() }]);
                }
            }
            Ok(Receipted::Conflict) => {
                tracing::error!("The server holds other records under this device's numbers");
                self.refusals.count(topic, "conflict", payload, now.utc, now.mono_ms);
            }
            Err(error) => tracing::error!(error = %error, "Cannot keep a receipt"),
        }
    }

    /// Judges the checkpoint in a receipt. One that does not count changes nothing about what is
    /// durable; it only lets nothing be deleted.
    fn checkpoint(&mut self, topic: &str, receipt: &Receipt, payload: &[u8]) {
        match self.vouched.judge(self.gate.keys().log(), receipt) {
            Ok(Word::Nothing) => {}
            Ok(Word::Counts { fresh }) => {
                if fresh {
                    self.keep("log.json", &self.vouched.to_bytes());
                    self.follow_log();
                }
                let logged = receipt.logged.unwrap_or(0);
                if let Err(error) = self.ledger.logged(receipt.chain, logged) {
                    tracing::error!(%error, hint = error.hint(), "Cannot keep what is logged");
                }
            }
            Err(refusal) => {
                tracing::error!(%refusal, hint = refusal.hint(), "A checkpoint does not count");
                let now = self.time.moment();
                self.refusals.count(topic, refusal.reason(), payload, now.utc, now.mono_ms);
            }
        }
    }

    /// Lets records quote the newest checkpoint, and what is deleted wait for one, as `keys` says.
    pub(super) fn follow_log(&mut self) {
        let asked = *self.gate.keys().log() != LogTrust::None;
        self.ledger.follow_log(asked, self.vouched.newest().cloned());
    }

    fn presence(&mut self, presence: &Presence) {
        let fresh = self.reporter.server_seen(&presence.conn);
        if fresh && presence.state == ServerState::Ready {
            let now = self.time.moment().mono_ms;
            self.delivery.nudge(now, jitter(5_000));
        }
    }
}

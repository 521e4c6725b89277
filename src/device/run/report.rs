//! What the device says about itself: its state, and the question for the time in it.

use super::{Agent, Connection, nonce};
use crate::wire::doc::{Held, State, StateClock, StateKind, Storage};
use crate::wire::topic::Topic;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Changes are gathered for so long before they are published.
const GATHER_MS: i64 = 1_000;
/// The state is published at least so often.
const ANYWAY_MS: i64 = 1_800_000;
/// A question without answer is asked anew after this time, doubling.
const ASK_AGAIN_MS: i64 = 10_000;
/// Longest wait between two questions.
const ASK_LONGEST_MS: i64 = 300_000;

#[derive(Clone, Debug)]
struct Question {
    nonce: String,
    asked_mono: i64,
    wait_ms: i64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Reporter {
    connections: Arc<AtomicU64>,
    changed: bool,
    published_mono: i64,
    question: Option<Question>,
    server: Option<String>,
    /// Version of the newest accepted timetable, and of the one the days follow.
    pub timetable: i64,
    following: i64,
}

impl Reporter {
    pub fn new(connections: Arc<AtomicU64>) -> Self {
        Self {
            connections,
            changed: true,
            published_mono: i64::MIN / 2,
            question: None,
            server: None,
            timetable: 0,
            following: 0,
        }
    }

    /// Notes that something worth saying changed.
    pub fn changed(&mut self) {
        self.changed = true;
    }

    /// Puts a question for the time.
    pub fn ask(&mut self, now_mono: i64, nonce: Option<String>) {
        let wait_ms = self.question.as_ref().map_or(ASK_AGAIN_MS, |q| q.wait_ms);
        self.question = nonce.map(|nonce| Question { nonce, asked_mono: now_mono, wait_ms });
        self.changed = true;
    }

    /// Returns the question that stands.
    pub fn nonce(&self) -> Option<String> {
        self.question.as_ref().map(|question| question.nonce.clone())
    }

    /// Takes note of an answer; returns when it was asked for.
    pub fn answered(&mut self) -> Option<i64> {
        self.changed = true;
        self.question.take().map(|question| question.asked_mono)
    }

    /// Forgets the question: each connection has its own.
    pub fn forget_question(&mut self) {
        self.question = None;
    }

    /// Says whether a presence is that of a server not seen before on this connection.
    pub fn server_seen(&mut self, conn: &str) -> bool {
        let fresh = self.server.as_deref() != Some(conn);
        if fresh {
            self.server = Some(conn.to_owned());
        }
        fresh
    }
}

impl Agent {
    /// Asks for the time and publishes the state where it is time to.
    pub(super) fn report(&mut self) {
        if self.connection != Connection::Up {
            return;
        }
        let now = self.time.moment().mono_ms;
        match &mut self.reporter.question {
            Some(question) if now.saturating_sub(question.asked_mono) >= question.wait_ms => {
                question.wait_ms = question.wait_ms.saturating_mul(2).min(ASK_LONGEST_MS);
                if self.time.wants_answer() {
                    self.reporter.ask(now, nonce());
                }
            }
            None if self.time.wants_answer() => self.reporter.ask(now, nonce()),
            _ => {}
        }
        // Not every journal and every pass of a board: only what a state says.
        if self.reporter.following != self.reporter.timetable && self.executor.follows_newest() {
            self.reporter.changed();
        }
        let since = now.saturating_sub(self.reporter.published_mono);
        if (self.reporter.changed && since >= GATHER_MS) || since >= ANYWAY_MS {
            self.publish_state(StateKind::Ready);
        }
    }

    pub(super) fn publish_state(&mut self, kind: StateKind) {
        let topic = Topic::State(self.home.identity.id.clone());
        let state = self.state(kind);
        self.mailer.publish(self.topics.of(&topic), state.encode(), true);
        self.reporter.changed = false;
        self.reporter.published_mono = self.time.moment().mono_ms;
    }

    pub(super) fn state(&mut self, kind: StateKind) -> State {
        let now = self.time.moment();
        let note = self.time.timing().note;
        let (total, free) = self.storage.room();
        let (pending, stored) = self.ledger.counts();
        let (_, floor) = self.gate.versions();
        if self.executor.follows_newest() {
            self.reporter.following = self.reporter.timetable;
        }
        let needed = self.executor.needed(now.utc);
        let mut held: Vec<_> =
            needed.iter().map(|w| w.asset).filter(|a| self.assets.held.contains(a)).collect();
        let named: BTreeSet<_> = held.iter().copied().collect();
        held.extend(self.assets.held.iter().filter(|asset| !named.contains(asset)));
        State {
            nonce: self.reporter.nonce(),
            chain: Some(self.ledger.chain()),
            head: self.ledger.head(),
            seq: Some(self.ledger.last()),
            upto: Some(self.ledger.upto()),
            ver: Some(Held {
                keys: self.gate.keys().epoch(),
                timetable: self.reporter.timetable,
                following: self.reporter.following,
                floor,
            }),
            holds: self.gate.orders().holds(),
            held,
            want: self.fetcher.want(),
            storage: Some(Storage { total, free, pending, stored }),
            clock: Some(StateClock { src: note.src, age_s: note.age_s, err_ms: note.err_ms }),
            fw: Some(self.settings.fw.clone()),
            ..State::bare(kind, self.reporter.connections.load(Ordering::Acquire))
        }
    }
}

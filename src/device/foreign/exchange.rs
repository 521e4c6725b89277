//! One connection to a broker for all foreign devices on it.
//!
//! Each device is a [`Member`] with topics of its own; what comes on a topic goes to those who
//! asked for it. A member that does not take its messages misses them and holds up nobody: the
//! queue of each is bounded in number and in bytes.
//!
//! # Invariants
//! * The connection's state reaches every member, however much waits for it: it is a value that is
//!   looked up, not a message.
//! * A topic is known to the exchange before the broker is asked for it, so that no retained word
//!   comes too early.

use crate::app::link::{Link, LinkError, LinkEvent, LinkEvents};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Messages that may wait for one member.
const WAITING: usize = 64;
/// Bytes of messages that may wait for one member.
const WAITING_BYTES: usize = 1 << 20;
/// A message that finds no room on the way to the broker is given up after this time.
const ROOM: Duration = Duration::from_secs(2);

/// A connection that foreign devices share; clones are the same one.
#[derive(Clone, Debug)]
pub struct Exchange {
    link: Link,
    asks: mpsc::UnboundedSender<Ask>,
    state: watch::Receiver<LinkState>,
    /// Numbers members.
    keys: Arc<AtomicU64>,
}

/// How the connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkState {
    /// It stands.
    pub up: bool,
    /// Counts connections: two of them are never taken for one.
    pub number: u64,
}

/// A message on its way to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    pub topic: Arc<str>,
    pub payload: Bytes,
    pub retained: bool,
}

/// What members ask; members ask seldom, once a connection, so that their row stays short.
#[derive(Debug)]
enum Ask {
    Join { key: u64, letters: mpsc::Sender<Letter>, weight: Arc<AtomicUsize> },
    Topics { key: u64, topics: Vec<String> },
    Leave { key: u64 },
}

/// The far side of an [`Exchange`]: hands messages round as long as it is run.
#[derive(Debug)]
pub struct Rounds {
    link: Link,
    events: LinkEvents,
    asks: mpsc::UnboundedReceiver<Ask>,
    state: watch::Sender<LinkState>,
    members: BTreeMap<u64, Post>,
    topics: BTreeMap<Arc<str>, Vec<u64>>,
}

#[derive(Debug)]
struct Post {
    letters: mpsc::Sender<Letter>,
    weight: Arc<AtomicUsize>,
    missed: u64,
}

/// One device's place at an exchange.
#[derive(Debug)]
pub(super) struct Member {
    key: u64,
    exchange: Exchange,
    letters: mpsc::Receiver<Letter>,
    weight: Arc<AtomicUsize>,
    /// How the connection stands; looked up again at each change.
    pub state: watch::Receiver<LinkState>,
}

impl Exchange {
    /// Shares a connection. Nothing happens unless the rounds are run.
    pub fn new(link: Link, events: LinkEvents) -> (Self, Rounds) {
        let (asks, asked) = mpsc::unbounded_channel();
        let (told, state) = watch::channel(LinkState::default());
        let rounds = Rounds {
            link: link.clone(),
            events,
            asks: asked,
            state: told,
            members: BTreeMap::new(),
            topics: BTreeMap::new(),
        };
        (Self { link, asks, state, keys: Arc::default() }, rounds)
    }

    /// Takes a device in.
    pub(super) fn join(&self) -> Member {
        let key = self.keys.fetch_add(1, Ordering::Relaxed);
        let (told, letters) = mpsc::channel(WAITING);
        let weight = Arc::new(AtomicUsize::new(0));
        // Without rounds nobody is connected either; the member then hears nothing.
        let _ = self.asks.send(Ask::Join { key, letters: told, weight: Arc::clone(&weight) });
        let mut state = self.state.clone();
        state.mark_changed();
        Member { key, exchange: self.clone(), letters, weight, state }
    }
}

impl Member {
    /// Waits for the next message; `None` once the exchange is closed.
    pub async fn next(&mut self) -> Option<Letter> {
        let letter = self.letters.recv().await?;
        self.weight.fetch_sub(letter.payload.len(), Ordering::Relaxed);
        Some(letter)
    }

    /// Asks for these topics on the connection that stands, in a task of its own: a broker that is
    /// slow to answer holds nothing up.
    pub fn subscribe(&self, device: &str, topics: Vec<String>) {
        let ask = Ask::Topics { key: self.key, topics: topics.clone() };
        if topics.is_empty() || self.exchange.asks.send(ask).is_err() {
            return;
        }
        let (link, device) = (self.exchange.link.clone(), device.to_owned());
        tokio::spawn(async move {
            match link.subscribe(topics).await {
                // The next connection asks again.
                Ok(()) | Err(LinkError::Down | LinkError::Lost | LinkError::Closed) => {}
                Err(error) => {
                    tracing::warn!(device.id = %device, %error, hint = error.hint(),
                        "The broker does not let the gateway hear `{device}`");
                }
            }
        });
    }

    /// Sends a message; waits a little for room, never for the broker's answer.
    pub async fn publish(
        &self,
        topic: String,
        payload: Vec<u8>,
        retain: bool,
    ) -> Result<(), LinkError> {
        let link = &self.exchange.link;
        match tokio::time::timeout(ROOM, link.enqueue(topic, payload, retain)).await {
            // A broker's acknowledgement proves nothing: nobody waits for it.
            Ok(sent) => sent.map(drop),
            Err(_) => Err(LinkError::Full { waiting: WAITING }),
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.exchange.asks.send(Ask::Leave { key: self.key });
    }
}

impl Rounds {
    /// Hands messages round until the link is closed or `stop` is cancelled.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            // What is asked first: a topic is known before a message of it is handed round.
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(ask) = self.asks.recv() => self.asked(ask),
                event = self.events.next() => match event {
                    Some(event) => self.heard(event),
                    None => return,
                },
            }
        }
    }

    fn asked(&mut self, ask: Ask) {
        match ask {
            Ask::Join { key, letters, weight } => {
                self.members.insert(key, Post { letters, weight, missed: 0 });
            }
            Ask::Topics { key, topics } => {
                for topic in topics {
                    let members = self.topics.entry(topic.into()).or_default();
                    if !members.contains(&key) {
                        members.push(key);
                    }
                }
            }
            Ask::Leave { key } => {
                self.members.remove(&key);
                let mut idle = Vec::new();
                self.topics.retain(|topic, members| {
                    members.retain(|member| *member != key);
                    if members.is_empty() {
                        idle.push(topic.to_string());
                    }
                    !members.is_empty()
                });
                let (link, up) = (self.link.clone(), self.state.borrow().up);
                if up && !idle.is_empty() {
                    tokio::spawn(async move { drop(link.unsubscribe(idle).await) });
                }
            }
        }
    }

    fn heard(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Connected => {
                self.state.send_modify(|state| {
                    *state = LinkState { up: true, number: state.number + 1 };
                });
            }
            LinkEvent::Disconnected { .. } => {
                self.state.send_if_modified(|state| std::mem::take(&mut state.up));
            }
            LinkEvent::Message { topic, payload, retain } => {
                let Some((topic, members)) = self.topics.get_key_value(topic.as_str()) else {
                    return;
                };
                for key in members {
                    let Some(post) = self.members.get_mut(key) else { continue };
                    let letter = Letter {
                        topic: Arc::clone(topic),
                        payload: payload.clone(),
                        retained: retain,
                    };
                    post.hand(letter);
                }
            }
        }
    }
}

impl Post {
    /// Hands a message over, or lets it go: its device is flooded.
    fn hand(&mut self, letter: Letter) {
        let bytes = letter.payload.len();
        let fits = self.weight.load(Ordering::Relaxed) + bytes <= WAITING_BYTES;
        if fits {
            self.weight.fetch_add(bytes, Ordering::Relaxed);
            let topic = Arc::clone(&letter.topic);
            if self.letters.try_send(letter).is_ok() {
                self.missed = 0;
                return;
            }
            self.weight.fetch_sub(bytes, Ordering::Relaxed);
            self.missed += 1;
            if self.missed == 1 {
                tracing::warn!(%topic, "A foreign device says more than can be heard");
            }
        }
    }
}

#[cfg(test)]
mod tests;

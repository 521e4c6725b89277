//! What the tap saw on the device's line, in order, with the time of each packet.
//!
//! Bounded: bodies to the device are kept as length and hash only, and beyond [`MOST`] packets
//! nothing more is kept (a device that sends so much has failed its checks by then).

use crate::clock::SharedClock;
use crate::domain::ids::Digest;
use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Packets kept of one run.
const MOST: usize = 500_000;

/// A CONNECT packet, as far as the contract speaks of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    pub client_id: String,
    pub clean_session: bool,
    pub keep_alive_s: u16,
    pub login: Option<(String, String)>,
    pub will: Option<Message>,
}

/// A message of the device, or its will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    pub payload: Bytes,
    pub retain: bool,
    pub qos: u8,
}

/// One thing on the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The device tried while the line was shut.
    Knocked,
    /// A connection stands, nothing said yet.
    Opened,
    Hello(Box<Hello>),
    /// The broker's answer to it.
    Admitted(bool),
    /// Filters with their QoS.
    Subscribed(Vec<(String, u8)>),
    Unsubscribed(Vec<String>),
    /// The broker refused these.
    Denied(Vec<String>),
    Published(Message),
    /// Broker to device.
    Sent {
        topic: String,
        bytes: usize,
        digest: Digest,
    },
    /// The device acknowledged a message on this topic.
    Taken(String),
    /// DISCONNECT of the device.
    Goodbye,
    Closed,
    /// Bytes that are not MQTT 3.1.1; the connection is not read any further.
    Odd(String),
}

/// One thing on the line, and when.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Monotonic milliseconds.
    pub at: i64,
    /// Which connection, from 1.
    pub conn: u32,
    pub what: What,
}

/// The line as seen so far; clones share it.
#[derive(Clone)]
pub struct Trace {
    clock: SharedClock,
    seen: Arc<Mutex<Vec<Seen>>>,
    changed: Arc<watch::Sender<u64>>,
}

impl Trace {
    pub fn new(clock: SharedClock) -> Self {
        let changed = Arc::new(watch::channel(0).0);
        Self { clock, seen: Arc::default(), changed }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn note(&self, conn: u32, what: What) {
        let at = self.clock.mono_ms();
        let mut seen = self.lock();
        if seen.len() < MOST {
            seen.push(Seen { at, conn, what });
        }
        drop(seen);
        self.changed.send_modify(|n| *n += 1);
    }

    /// Returns where the trace ends now: what is looked for later begins there.
    pub fn mark(&self) -> usize {
        self.lock().len()
    }

    /// Looks at what was seen since a mark.
    pub fn look<T>(&self, from: usize, read: impl FnOnce(&[Seen]) -> T) -> T {
        let seen = self.lock();
        read(seen.get(from..).unwrap_or_default())
    }

    /// Waits until something can be read from what was seen since a mark.
    pub async fn until<T>(
        &self,
        from: usize,
        ms: u64,
        mut read: impl FnMut(&[Seen]) -> Option<T>,
    ) -> Option<T> {
        let mut changed = self.changed.subscribe();
        let found = async {
            loop {
                if let Some(found) = self.look(from, &mut read) {
                    return found;
                }
                if changed.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(Duration::from_millis(ms), found).await.ok()
    }

    /// Waits until the device subscribes to a filter that brings the topic.
    pub async fn asks(&self, from: usize, topic: &str, ms: u64) -> bool {
        self.until(from, ms, |seen| asked(seen, topic).then_some(())).await.is_some()
    }

    /// Waits until the broker has sent these bytes on the topic.
    pub async fn sent(&self, from: usize, topic: &str, digest: &Digest, ms: u64) -> bool {
        let read = |seen: &[Seen]| was_sent(seen, topic, digest).then_some(());
        self.until(from, ms, read).await.is_some()
    }
}

/// Says whether the topic was subscribed to by its exact name.
pub fn asked(seen: &[Seen], topic: &str) -> bool {
    seen.iter().any(|one| match &one.what {
        What::Subscribed(filters) => filters.iter().any(|(filter, _)| filter == topic),
        _ => false,
    })
}

/// Says whether these bytes went to the device on this topic.
pub fn was_sent(seen: &[Seen], wanted: &str, bytes: &Digest) -> bool {
    seen.iter().any(|one| match &one.what {
        What::Sent { topic, digest, .. } => topic == wanted && digest == bytes,
        _ => false,
    })
}

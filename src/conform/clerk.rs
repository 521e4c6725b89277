//! Takes records and questions for the time as a server does, and keeps what it heard.
//!
//! Records are judged by the contract: every fault is kept with its kind, and what is rightly
//! signed counts whatever its content, so that one fault does not hide what follows.

use crate::app::link::{Link, LinkEvent, LinkEvents};
use crate::clock::SharedClock;
use crate::domain::ids::{ChainId, DeviceId, Digest};
use crate::domain::proof::record::{Body, Head};
use crate::wire::b64;
use crate::wire::jws::{OneKey, PublicKey, Role};
use crate::wire::record;
use crate::wire::server_keys::ServerKeys;
use crate::wire::topic::{Topic, Topics};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// A record as it came first.
#[derive(Clone, Debug)]
pub struct Kept {
    pub digest: Digest,
    pub head: Head,
    pub claims: Value,
    /// When it came, monotonic milliseconds.
    pub heard: i64,
}

impl Kept {
    /// Returns a member as text, empty where it is none.
    pub fn text(&self, member: &str) -> &str {
        self.claims[member].as_str().unwrap_or_default()
    }

    pub fn number(&self, member: &str) -> i64 {
        self.claims[member].as_i64().unwrap_or_default()
    }

    /// Says whether it tells of a play or showing of this cue.
    pub fn tells_of(&self, cue: &str) -> bool {
        self.claims["cue"] == cue && matches!(self.text("kind"), "play" | "show")
    }
}

/// What is wrong with what was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Not signed by the enrolled key, or no record at all.
    Signature,
    /// A member is missing, unknown in its kind, or says what it must not.
    Content,
    /// Two records of one number.
    Fork,
    /// The batch: too large, out of order, with gaps.
    Batch,
}

/// A batch as it came.
#[derive(Clone, Debug)]
pub struct Batch {
    pub heard: i64,
    pub chain: ChainId,
    pub first: u64,
    pub last: u64,
}

/// Everything heard so far, and how to answer.
#[derive(Default)]
pub struct Heard {
    /// Records in the order of their first arrival.
    pub records: Vec<Kept>,
    pub batches: Vec<Batch>,
    pub faults: Vec<(Fault, String)>,
    /// Whether receipts are given.
    pub receipts: bool,
    /// Whether questions for the time are answered.
    pub time: bool,
    by_number: BTreeMap<(ChainId, u64), Digest>,
    known: BTreeSet<Digest>,
    newest: Option<ChainId>,
}

impl Heard {
    /// Returns the newest chain, up to which number it is there without a gap, and that record.
    pub fn upto(&self) -> Option<(ChainId, u64, Digest)> {
        let chain = self.newest?;
        let mut upto = None;
        for n in 1.. {
            match self.by_number.get(&(chain, n)) {
                Some(digest) => upto = Some((chain, n, *digest)),
                None => break,
            }
        }
        upto
    }

    /// Returns chains and numbers that are missing below one that is there.
    pub fn gaps(&self) -> Vec<(ChainId, u64)> {
        let mut last: BTreeMap<ChainId, u64> = BTreeMap::new();
        let mut gaps = Vec::new();
        for (chain, n) in self.by_number.keys() {
            let expected = last.get(chain).map_or(1, |last| last + 1);
            if *n > expected {
                gaps.push((*chain, expected));
            }
            last.insert(*chain, *n);
        }
        gaps
    }

    /// Returns the records whose `prev` is not the hash of the one before.
    pub fn loose(&self) -> Vec<&Kept> {
        let fits = |kept: &&Kept| {
            let Head { chain, seq, prev, .. } = &kept.head;
            let before = self.by_number.get(&(*chain, seq.saturating_sub(1)));
            match (prev, before) {
                (None, _) => *seq != 1,
                (Some(prev), Some(before)) => prev != before,
                (Some(_), None) => false,
            }
        };
        self.records.iter().filter(fits).collect()
    }
}

/// A handle to what was heard; clones share it.
#[derive(Clone)]
pub struct Clerk {
    heard: Arc<Mutex<Heard>>,
    changed: Arc<watch::Sender<u64>>,
    connected: watch::Receiver<bool>,
}

impl Clerk {
    /// Begins to listen; the link is subscribed at each connection.
    pub fn start(
        link: Link,
        events: LinkEvents,
        keys: &ServerKeys,
        device: (DeviceId, PublicKey),
        topics: Topics,
        clock: SharedClock,
    ) -> Self {
        let heard = Arc::new(Mutex::new(Heard { receipts: true, ..Heard::default() }));
        let changed = Arc::new(watch::channel(0).0);
        let (up, connected) = watch::channel(false);
        let desk = Desk {
            link,
            keys: keys.clone(),
            device: device.0,
            key: OneKey { key: device.1, role: Role::Device },
            topics,
            clock,
            heard: Arc::clone(&heard),
        };
        let told = Arc::clone(&changed);
        tokio::spawn(desk.run(events, told, up));
        Self { heard, changed, connected }
    }

    /// Waits until the broker has let us in and taken our subscriptions.
    pub async fn ready(&self, ms: u64) -> bool {
        let mut connected = self.connected.clone();
        let up = connected.wait_for(|up| *up);
        matches!(tokio::time::timeout(Duration::from_millis(ms), up).await, Ok(Ok(_)))
    }

    pub fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something can be read from what was heard. `read` must not ask the clerk again:
    /// it holds what was heard.
    pub async fn until<T>(&self, ms: u64, mut read: impl FnMut(&Heard) -> Option<T>) -> Option<T> {
        let mut changed = self.changed.subscribe();
        let found = async {
            loop {
                if let Some(found) = read(&self.lock()) {
                    return found;
                }
                if changed.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(Duration::from_millis(ms), found).await.ok()
    }
}

struct Desk {
    link: Link,
    keys: ServerKeys,
    device: DeviceId,
    key: OneKey,
    topics: Topics,
    clock: SharedClock,
    heard: Arc<Mutex<Heard>>,
}

impl Desk {
    async fn run(
        self,
        mut events: LinkEvents,
        changed: Arc<watch::Sender<u64>>,
        up: watch::Sender<bool>,
    ) {
        let state = self.topics.of(&Topic::State(self.device.clone()));
        let records = self.topics.of(&Topic::Records(self.device.clone()));
        while let Some(event) = events.next().await {
            match event {
                LinkEvent::Connected => {
                    let filters = vec![state.clone(), records.clone()];
                    up.send_replace(self.link.subscribe(filters).await.is_ok());
                }
                LinkEvent::Disconnected { .. } => {
                    up.send_replace(false);
                }
                LinkEvent::Message { topic, payload, .. } if topic == state => {
                    self.answer(&payload).await;
                }
                LinkEvent::Message { topic, payload, .. } if topic == records => {
                    self.take(&payload);
                    self.receipt().await;
                }
                LinkEvent::Message { .. } => {}
            }
            changed.send_modify(|n| *n += 1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, payload: &[u8]) {
        if !self.lock().time {
            return;
        }
        let state: Value = serde_json::from_slice(payload).unwrap_or_default();
        let Some(nonce) = state["nonce"].as_str() else { return };
        let now = self.clock.now().0;
        let claims = json!({
            "v": 1, "aud": self.device, "iat": now / 1000, "nonce": nonce, "now_ms": now,
        });
        let text = super::author::sign(&self.keys.time, "time", &claims);
        let topic = self.topics.of(&Topic::Time(self.device.clone()));
        // A lost connection is seen as such; the device asks again.
        let _ = self.link.publish(topic, text, false).await;
    }

    fn take(&self, payload: &[u8]) {
        let now = self.clock.mono_ms();
        let mut heard = self.lock();
        let lines = match record::lines(payload) {
            Ok(lines) => lines,
            Err(refusal) => {
                heard.faults.push((Fault::Batch, refusal.to_string()));
                return;
            }
        };
        let mut numbers: Vec<(ChainId, u64)> = Vec::new();
        for line in lines {
            let signed = match record::verify(line, &self.key) {
                Ok(signed) => signed,
                Err(refusal) => {
                    heard.faults.push((Fault::Signature, refusal.to_string()));
                    continue;
                }
            };
            let head = match &signed.head {
                Ok(head) => head.clone(),
                Err(refusal) => {
                    heard.faults.push((Fault::Content, refusal.to_string()));
                    continue;
                }
            };
            numbers.push((head.chain, head.seq));
            if !heard.known.insert(signed.digest) {
                continue;
            }
            let at = format!("record {} of boot {}", head.seq, head.boot);
            match &signed.body {
                Err(refusal) => heard.faults.push((Fault::Content, format!("{at}: {refusal}"))),
                Ok(Body::Unknown) => {
                    heard.faults.push((Fault::Content, format!("{at}: its kind is unknown")));
                }
                Ok(_) => {}
            }
            if head.dev != self.device {
                heard.faults.push((Fault::Content, format!("{at}: `dev` is `{}`", head.dev)));
            }
            if heard.by_number.insert((head.chain, head.seq), signed.digest).is_some() {
                heard.faults.push((Fault::Fork, format!("{at}: its number was used before")));
            }
            heard.newest = Some(head.chain);
            let payload = line.split('.').nth(1).and_then(b64::decode).unwrap_or_default();
            let claims = serde_json::from_slice(&payload).unwrap_or_default();
            let digest = signed.digest;
            heard.records.push(Kept { digest, head, claims, heard: now });
        }
        if numbers.windows(2).any(|two| two[0].0 == two[1].0 && two[0].1 + 1 != two[1].1) {
            let told = numbers.iter().map(|(_, n)| n.to_string()).collect::<Vec<_>>().join(", ");
            heard.faults.push((Fault::Batch, format!("not oldest first without gaps: {told}")));
        }
        if let (Some((chain, first)), Some((_, last))) = (numbers.first(), numbers.last()) {
            let batch = Batch { heard: now, chain: *chain, first: *first, last: *last };
            heard.batches.push(batch);
        }
    }

    async fn receipt(&self) {
        let upto = {
            let heard = self.lock();
            if heard.receipts { heard.upto() } else { None }
        };
        let Some((chain, upto, head)) = upto else { return };
        let claims = receipt(&self.device, self.clock.now().numeric_date(), chain, upto, &head);
        let text = super::author::sign(&self.keys.receipt, "receipt", &claims);
        let topic = self.topics.of(&Topic::Receipt(self.device.clone()));
        let _ = self.link.publish(topic, text, true).await;
    }
}

/// Writes the claims of a receipt.
pub fn receipt(device: &DeviceId, iat: i64, chain: ChainId, upto: u64, head: &Digest) -> Value {
    json!({"v": 1, "aud": device, "iat": iat, "chain": chain, "upto": upto, "head": head})
}

//! From lines on `r/{p}/{device}` to durable records and a signed receipt.
//!
//! # Invariants
//! * A receipt says only what is durable: it is signed over the chain as committed, and handed
//!   out after the commit. When the store fails nothing is acknowledged, and the device sends
//!   again.
//! * A rightly signed record is stored and counted whatever its content; what is wrong with it
//!   is kept beside it. What cannot be placed in a chain at all is kept as a signed reject.
//! * What arrived together is committed together: one sync for all devices of a round, which is
//!   bounded in batches and in bytes. What comes meanwhile waits in the channel, then in the link,
//!   which does not acknowledge it to the broker.
//! * An order that goes out comes first: for [`ASIDE_MS`] after it no round begins, so that what
//!   takes it to the devices has the machine, and their answers wait as any other record.
//! * Taken in again, in any order, the same lines change nothing and give the same receipt.

mod ask;
mod line;
mod round;
mod share;
mod vouch;

pub use share::Shares;
pub use vouch::Vouch;

use super::keyring::Keyring;
use super::ports::{SHARES, Store, StoreError, StoredReceipt, Via};
use super::publish::Publication;
use crate::clock::SharedClock;
use crate::domain::ids::{ChainId, DeviceId};
use crate::domain::proof::chain::Chain;
use crate::domain::time::UtcMs;
use crate::wire::topic::Topics;
use ask::Asking;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use vouch::Vouching;

/// Batches taken into one commit.
const ROUND: usize = 256;

/// Bytes of batches after which a round is full: what is read of them takes a multiple of it.
const ROUND_BYTES: usize = 2 << 20;

/// Chains whose state is kept in memory; beyond that it is read again.
const CHAINS: usize = 20_000;

/// How long no round begins after an order went out. A broker in this process tells 5,000 devices
/// in less, and nobody reads the progress of a notice faster.
pub const ASIDE_MS: i64 = 500;

/// How often gaps are looked at.
const TICK: Duration = Duration::from_secs(5);

/// A batch as it came from the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// The device of the topic.
    pub device: DeviceId,
    /// One compact JWS a line, oldest first.
    pub lines: Bytes,
}

/// What became of the batches taken in together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Receipts (retained) and `resend` commands (not retained) to publish.
    pub publications: Vec<Publication>,
    pub tally: Tally,
}

/// Counts for metrics and page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub lines: u64,
    /// New records stored.
    pub stored: u64,
    pub duplicates: u64,
    pub conflicts: u64,
    pub rejects: u64,
    /// Too far beyond a gap, neither kept nor acknowledged: the device sends them again.
    pub deferred: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, more: Self) {
        self.lines += more.lines;
        self.stored += more.stored;
        self.duplicates += more.duplicates;
        self.conflicts += more.conflicts;
        self.rejects += more.rejects;
        self.deferred += more.deferred;
    }
}

/// Whether records are taken in; for the readiness check, the page and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Records are stored and acknowledged.
    Working(Tally),
    /// Nothing is acknowledged until the store works again; devices keep their records.
    Stopped { since_ms: UtcMs, why: String, hint: &'static str, tally: Tally },
}

/// Why a round was not taken in; nothing of it was acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error("records could not be stored")]
    Store(#[from] StoreError),
    #[error("checking signatures was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl IngestError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Store(error) => error.hint(),
            Self::Interrupted(_) => "the server is stopping; devices send again",
        }
    }
}

/// A chain as last committed.
#[derive(Clone, Debug)]
struct Known {
    chain: Chain,
    opened_ms: UtcMs,
    revision: i64,
}

/// Takes records in; one for each process (or for each share of the devices).
pub struct Ingest {
    store: Arc<dyn Store>,
    keys: Keyring,
    topics: Topics,
    issuer: String,
    clock: SharedClock,
    shares: Option<Shares>,
    /// Changes with each order that goes out; never, where none do.
    orders: Option<watch::Receiver<()>>,
    /// The numbers under which the memory of each share was made.
    remembered: BTreeMap<u8, i64>,
    chains: BTreeMap<(DeviceId, ChainId), Known>,
    receipts: BTreeMap<DeviceId, StoredReceipt>,
    asking: Asking,
    vouching: Vouching,
    total: Tally,
    condition: watch::Sender<Condition>,
}

impl Ingest {
    /// Returns an ingest that signs receipts and `resend` commands with the server's keys;
    /// `issuer` is the server's name for people.
    pub fn new(
        store: Arc<dyn Store>,
        keys: Keyring,
        topics: Topics,
        issuer: String,
        clock: SharedClock,
    ) -> Self {
        Self {
            store,
            keys,
            topics,
            issuer,
            clock,
            shares: None,
            orders: None,
            remembered: BTreeMap::new(),
            chains: BTreeMap::new(),
            receipts: BTreeMap::new(),
            asking: Asking::default(),
            vouching: Vouching::default(),
            total: Tally::default(),
            condition: watch::Sender::new(Condition::Working(Tally::default())),
        }
    }

    /// Takes in only what belongs to the shares held, and writes only while they are.
    pub fn sharing(mut self, shares: Shares) -> Self {
        self.shares = Some(shares);
        self
    }

    /// Stands aside for [`ASIDE_MS`] after each order.
    pub fn behind(mut self, orders: watch::Receiver<()>) -> Self {
        self.orders = Some(orders);
        self
    }

    /// Returns what tells whether records are taken in.
    pub fn condition(&self) -> watch::Receiver<Condition> {
        self.condition.subscribe()
    }

    /// Takes batches in, together: verified, durable, then receipts. On an error nothing was
    /// acknowledged, and the same batches may come again.
    pub async fn take(&mut self, arrived: &[Arrived]) -> Result<Taken, IngestError> {
        let taken = self.round_retried(arrived, Via::Link).await;
        self.note(&taken);
        taken
    }

    /// Takes in records that a person brings, from a device that may be revoked: flagged, and
    /// without anything to publish.
    pub async fn import(&mut self, arrived: &[Arrived]) -> Result<Tally, IngestError> {
        Ok(self.round_retried(arrived, Via::Import).await?.tally)
    }

    /// Returns the `resend` commands that are due for gaps still open.
    pub fn ask(&mut self) -> Vec<Publication> {
        self.forget_lost();
        let now = self.clock.now();
        self.asking.due(now, &self.topics, &self.issuer, &self.keys.in_use().keys.schedule)
    }

    /// Takes in what comes until cancelled or the sender is gone; publications go to `out`.
    /// Waits when `out` is full, and then so do the senders.
    pub async fn run(
        mut self,
        mut incoming: mpsc::Receiver<Arrived>,
        out: mpsc::Sender<Publication>,
        stop: CancellationToken,
    ) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut arrived = Vec::with_capacity(ROUND);
        loop {
            let publications = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                first = incoming.recv() => {
                    let Some(first) = first else { return };
                    self.stand_aside().await;
                    arrived.push(first);
                    fill(&mut arrived, &mut incoming);
                    let taken = self.take(&arrived).await;
                    arrived.clear();
                    let mut told = taken.map(|taken| taken.publications).unwrap_or_default();
                    // Where something always waits, nothing below has its turn.
                    if self.vouching.is_due(self.clock.mono_ms()) {
                        told.extend(self.told_of_checkpoint().await);
                    }
                    told
                }
                _ = tick.tick() => self.ask(),
                () = self.vouching.news() => self.told_of_checkpoint().await,
            };
            for publication in publications {
                if out.send(publication).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Tells of the newest checkpoint; where that fails, the next one covers the same receipts.
    async fn told_of_checkpoint(&mut self) -> Vec<Publication> {
        match self.vouch().await {
            Ok(publications) => publications,
            Err(error) => {
                let why = chain_of(&error);
                warn!(error = %why, hint = error.hint(), "A checkpoint is not told");
                self.vouching.forget();
                Vec::new()
            }
        }
    }

    /// Waits where an order went out since the last round. However many do, a round follows.
    async fn stand_aside(&mut self) {
        let Some(orders) = &mut self.orders else { return };
        // An error says that nobody orders any more.
        if orders.has_changed().unwrap_or(false) {
            orders.mark_unchanged();
            self.clock.sleep(ASIDE_MS).await;
        }
    }

    /// Forgets what is known of shares that have been another's meanwhile.
    fn forget_lost(&mut self) {
        let Some(shares) = &self.shares else { return };
        let held: BTreeMap<u8, i64> =
            shares.held().into_iter().map(|(share, fence)| (share, fence.number)).collect();
        if held == self.remembered {
            return;
        }
        let before = std::mem::replace(&mut self.remembered, held);
        let same = |device: &DeviceId| {
            let share = Shares::of(device);
            self.remembered.contains_key(&share)
                && self.remembered.get(&share) == before.get(&share)
        };
        self.chains.retain(|(device, _), _| same(device));
        self.receipts.retain(|device, _| same(device));
        self.asking.retain(same);
        self.vouching.forget();
    }

    async fn round_retried(&mut self, arrived: &[Arrived], via: Via) -> Result<Taken, IngestError> {
        let mut tries = 0;
        loop {
            match self.round(arrived, via).await {
                // Another process has the share by now, and gets the same records.
                Err(IngestError::Store(StoreError::Fenced { lease, .. }))
                    if self.shares.is_some() && tries < SHARES =>
                {
                    tries += 1;
                    info!(%lease, "Another server takes in the records of this share now");
                    if let Some(shares) = &self.shares {
                        shares.lose(lease);
                    }
                }
                // Somebody else wrote to one of the chains: read and decide again.
                Err(IngestError::Store(StoreError::Stale { .. })) if tries < 3 => {
                    tries += 1;
                    self.chains.clear();
                    self.receipts.clear();
                }
                result => return result,
            }
        }
    }

    /// Keeps the condition; a failure and its end are logged once.
    fn note(&mut self, taken: &Result<Taken, IngestError>) {
        let stopped = matches!(*self.condition.borrow(), Condition::Stopped { .. });
        match taken {
            Ok(taken) => {
                self.total += taken.tally;
                if stopped {
                    info!("Records are stored and acknowledged again");
                }
                let tally = taken.tally;
                if tally.conflicts > 0 {
                    warn!(conflicts = tally.conflicts, "Two records claim one place in a chain");
                }
                self.condition.send_replace(Condition::Working(self.total));
            }
            Err(failure) => {
                if stopped {
                    return;
                }
                let why = chain_of(failure);
                error!(error = %why, hint = failure.hint(), "Records are not acknowledged");
                self.condition.send_replace(Condition::Stopped {
                    since_ms: self.clock.now(),
                    why,
                    hint: failure.hint(),
                    tally: self.total,
                });
            }
        }
    }
}

/// Adds to a round what waits already, until it is full.
fn fill(round: &mut Vec<Arrived>, incoming: &mut mpsc::Receiver<Arrived>) {
    let mut bytes: usize = round.iter().map(|batch| batch.lines.len()).sum();
    while round.len() < ROUND && bytes < ROUND_BYTES {
        let Ok(next) = incoming.try_recv() else { return };
        bytes += next.lines.len();
        round.push(next);
    }
}

/// Returns an error with its causes, for a log line.
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
pub(crate) mod tests;

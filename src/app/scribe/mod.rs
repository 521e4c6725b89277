//! The scribe: takes what waits in the store into the log, round by round.
//!
//! The store numbers leaves; the log gives them places. A round appends the oldest that wait and
//! then notes them as logged, so one that was cut off anywhere is repeated with the same bytes. A
//! year's shard begins with the head of the one before; after a loss that an operator has told of,
//! a new shard begins that names what was known, and goes on with what the store holds.
//!
//! # Invariants
//! * One scribe writes: the lease in the store is asked before each round, the head file is held
//!   against other processes.
//! * What is noted as logged stands under a signed head; nothing waits without end unseen: the
//!   caller is told why the log does not go on.
//! * Receiving records never waits for the log.

mod error;
mod place;

pub use error::ScribeError;
pub use place::LogPlace;

use super::ports::{Fence, Store, StoreError, StoredShard};
use crate::clock::SharedClock;
use crate::domain::time::UtcMs;
use crate::log::disk::RealDisk;
use crate::log::folder::Folder;
use crate::log::leaf::{Leaf, LeafHead, ServerBody};
use crate::log::pace::{Cut, Pace};
use crate::log::sequencer::{Adopt, AppendError, Claim, Sequencer};
use crate::log::shard::{ShardLost, ShardName, after_loss};
use crate::wire::tlog::{Checkpoint, SignedCheckpoint};
use chrono::Datelike as _;
use std::path::Path;
use std::sync::Arc;

/// A shard that is open for writing.
#[derive(Debug)]
struct Writing {
    shard: StoredShard,
    name: ShardName,
    log: Sequencer<RealDisk>,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing waits, or not long enough: ask again after so many milliseconds.
    Wait { ms: i64 },
    /// Leaves were logged; ask again at once.
    Logged { leaves: u64 },
}

/// How long a scribe that has nothing to do rests.
const REST_MS: i64 = 400;
/// Leaves compared in one step.
const PAGE: u32 = 4_096;

/// See the module.
pub struct Scribe {
    store: Arc<dyn Store>,
    place: Arc<LogPlace>,
    clock: SharedClock,
    pace: Pace,
    claims: Vec<Claim>,
    writing: Option<Writing>,
    /// Since when something waits, on the clock that never steps.
    since: Option<i64>,
    /// When the last round began.
    round: i64,
    waiting: u64,
}

impl Scribe {
    /// Returns a scribe that has not looked at anything yet.
    pub fn new(store: Arc<dyn Store>, place: Arc<LogPlace>, clock: SharedClock) -> Self {
        let round = clock.mono_ms().saturating_sub(60_000);
        Self {
            store,
            place,
            clock,
            pace: Pace::default(),
            claims: Vec::new(),
            writing: None,
            since: None,
            round,
            waiting: 0,
        }
    }

    /// Goes by another pace.
    #[must_use]
    pub fn at(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// Takes up the log only where it holds all that these have seen.
    pub fn claim(&mut self, claims: Vec<Claim>) {
        self.claims = claims;
    }

    /// Returns the newest head of the shard being written.
    pub fn checkpoint(&self) -> Option<&SignedCheckpoint> {
        self.writing.as_ref().and_then(|writing| writing.log.checkpoint())
    }

    /// Returns how many leaves waited when last looked.
    pub fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Publishes the newest head with cosignatures; one that is not the newest any more is passed
    /// over.
    pub async fn publish(&mut self, cosigned: SignedCheckpoint) -> Result<(), ScribeError> {
        let Some(Writing { shard, name, log }) = self.writing.take() else { return Ok(()) };
        let work = tokio::task::spawn_blocking(move || log.publish_cosigned(cosigned));
        let log = work.await.map_err(|_| ScribeError::Broken)??;
        self.writing = Some(Writing { shard, name, log });
        Ok(())
    }

    /// Does what is due: opens the log, begins a year's shard, or logs what waits. After an error
    /// the next step opens the log anew.
    pub async fn step(&mut self, fence: Option<Fence>) -> Result<Step, ScribeError> {
        if self.writing.is_none() {
            self.writing = Some(self.take_up(fence).await?);
        }
        let year = self.year();
        if let Some(writing) = &self.writing
            && writing.name.year() < year
            && let Some(head) = writing.log.checkpoint()
            && head.checkpoint().size == writing.shard.size()
        {
            let body = ServerBody::Shard { previous: Some(LeafHead::from(head.checkpoint())) };
            let logged = writing.shard.logged;
            self.writing = None;
            let name = ShardName::of_year(year);
            self.writing = Some(self.begin(name, &body, logged, fence).await?);
        }
        let Some(writing) = &self.writing else { return Ok(Step::Wait { ms: REST_MS }) };
        let newest = self.store.newest_leaf().await?;
        let waiting = newest.saturating_sub(writing.shard.logged).max(0);
        self.waiting = u64::try_from(waiting).unwrap_or(0);
        let now = self.clock.mono_ms();
        if waiting == 0 {
            self.since = None;
            return Ok(Step::Wait { ms: REST_MS });
        }
        let age = now.saturating_sub(*self.since.get_or_insert(now));
        let waiting = usize::try_from(waiting).unwrap_or(usize::MAX);
        let since = now.saturating_sub(self.round);
        match self.pace.cut(writing.log.size(), waiting, age, since) {
            Cut::Idle => Ok(Step::Wait { ms: REST_MS }),
            Cut::Wait { ms } => Ok(Step::Wait { ms: ms.clamp(1, REST_MS) }),
            Cut::Take { leaves } => {
                (self.round, self.since) = (now, None);
                self.round(leaves, fence).await
            }
        }
    }

    /// Logs so many leaves.
    async fn round(&mut self, most: usize, fence: Option<Fence>) -> Result<Step, ScribeError> {
        let Some(Writing { mut shard, name, log }) = self.writing.take() else {
            return Ok(Step::Wait { ms: REST_MS });
        };
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        let leaves = self.store.leaves(shard.logged.saturating_add(1), most).await?;
        let count = leaves.len() as u64;
        self.still_ours(fence).await?;
        let first = shard.size();
        let work = tokio::task::spawn_blocking(move || log.append(first, &leaves));
        let log = work.await.map_err(|_| ScribeError::Broken)??;
        #[cfg(test)]
        crate::log::disk::last::step();
        shard.logged = shard.logged.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
        self.store.note_logged(&shard.name, shard.logged, fence).await?;
        #[cfg(test)]
        crate::log::disk::last::step();
        self.waiting = self.waiting.saturating_sub(count);
        self.writing = Some(Writing { shard, name, log });
        // Kept for another day, it would begin a shard that nobody decided upon.
        if let Some(loss) = self.store.loss().await? {
            tracing::warn!(by = loss.by, "The log is whole and goes on: nothing is begun");
            self.store.tell_loss(None).await?;
        }
        Ok(Step::Logged { leaves: count })
    }

    async fn still_ours(&self, fence: Option<Fence>) -> Result<(), ScribeError> {
        match fence {
            Some(fence) if !self.store.still_holds(fence).await? => {
                Err(StoreError::Fenced { lease: fence.name, number: fence.number }.into())
            }
            _ => Ok(()),
        }
    }

    fn year(&self) -> u16 {
        u16::try_from(self.clock.now().datetime().year()).unwrap_or(u16::MAX)
    }

    /// Opens the shard that the store writes, or begins the first; after a loss that was told of,
    /// begins one that says so.
    async fn take_up(&self, fence: Option<Fence>) -> Result<Writing, ScribeError> {
        self.still_ours(fence).await?;
        let error = match self.take_up_whole(fence).await {
            Ok(writing) if self.store.loss().await?.is_none() => return Ok(writing),
            // The log may be whole, and the store not the one that it was written from. The head
            // file is let go before anything else is begun.
            Ok(writing) => match self.beyond(writing).await? {
                Ok(writing) => {
                    self.store.tell_loss(None).await?;
                    return Ok(writing);
                }
                Err(index) => AppendError::Differs { index }.into(),
            },
            Err(error) if error.is_loss() => error,
            Err(error) => return Err(error),
        };
        let Some(loss) = self.store.loss().await? else { return Err(error) };
        tracing::warn!(reason = loss.reason, by = loss.by, %error, "Going on in a new shard");
        let data = listed(&self.place.folder, self.place.shards())?;
        let heads = listed(&self.place.heads, self.place.known())?;
        let known = match data.last() {
            Some(newest) => self.place.checkpoint(*newest).ok().flatten(),
            None => None,
        };
        let witnessed = heads.last().and_then(|newest| self.place.kept(*newest));
        let logged = self.held(known.as_ref().map(SignedCheckpoint::checkpoint)).await?;
        let stored = self.store.shards().await?;
        let names: Vec<ShardName> =
            data.iter().copied().chain(stored.iter().filter_map(|s| s.name.parse().ok())).collect();
        let body = ServerBody::Restored {
            known: known.as_ref().map(|known| LeafHead::from(known.checkpoint())),
            witnessed: witnessed.as_ref().map(LeafHead::from),
            reason: loss.reason,
            by: loss.by,
        };
        self.begin(after_loss(self.year(), &names, &heads), &body, logged, fence).await
    }

    /// Returns the shard when the store holds all that stands in the log beyond what it noted; the
    /// place of the first leaf that it lacks or that differs otherwise.
    async fn beyond(&self, writing: Writing) -> Result<Result<Writing, u64>, ScribeError> {
        let size = writing.log.size();
        let same = self.same(&writing.shard, writing.log.folder(), size).await?;
        let reached = StoredShard { logged: same, ..writing.shard.clone() }.size();
        Ok(if reached < size { Err(reached) } else { Ok(writing) })
    }

    /// Returns up to which number the store's leaves stand in a shard's tree of that size.
    async fn same(
        &self,
        shard: &StoredShard,
        folder: &Folder<RealDisk>,
        size: u64,
    ) -> Result<i64, ScribeError> {
        let mut logged = shard.logged;
        loop {
            let next = logged.saturating_add(1);
            if shard.index(next).is_none_or(|index| index >= size) {
                return Ok(logged);
            }
            let leaves = self.store.leaves(next, PAGE).await?;
            if leaves.is_empty() {
                return Ok(logged);
            }
            for leaf in leaves {
                let place = shard.index(logged.saturating_add(1)).filter(|index| *index < size);
                let Some(index) = place else { return Ok(logged) };
                if !folder.entry(index, size).is_ok_and(|entry| entry == leaf.bytes()) {
                    return Ok(logged);
                }
                logged = logged.saturating_add(1);
            }
        }
    }

    /// Returns up to which number the store's leaves stand in the log's newest shard, and notes it:
    /// a backup copies the store first, so that the log may hold more than the store knew then.
    async fn held(&self, head: Option<&Checkpoint>) -> Result<i64, ScribeError> {
        let stored = self.store.shards().await?;
        let Some(last) = stored.last() else { return Ok(0) };
        let name = shard_name(last)?;
        let Some(head) =
            head.filter(|head| self.place.origin(name).is_ok_and(|origin| origin == head.origin))
        else {
            return Ok(last.logged);
        };
        let logged = self.same(last, &self.place.shard(name), head.size).await?;
        self.store.note_logged(&last.name, logged, None).await?;
        Ok(logged)
    }

    async fn take_up_whole(&self, fence: Option<Fence>) -> Result<Writing, ScribeError> {
        let data = listed(&self.place.folder, self.place.shards())?;
        let heads = listed(&self.place.heads, self.place.known())?;
        let stored = self.store.shards().await?;
        let newest = stored.last().map(shard_name).transpose()?;
        let known = data.iter().chain(&heads).max().copied();
        if let Some(known) = known.filter(|known| newest.is_none_or(|newest| newest < *known)) {
            return Err(ShardLost { known, found: newest }.into());
        }
        let (Some(shard), Some(name)) = (stored.last().cloned(), newest) else {
            let body = ServerBody::Shard { previous: None };
            return self.begin(ShardName::of_year(self.year()), &body, 0, fence).await;
        };
        self.open(shard, name).await
    }

    async fn begin(
        &self,
        name: ShardName,
        body: &ServerBody,
        logged: i64,
        fence: Option<Fence>,
    ) -> Result<Writing, ScribeError> {
        let leaf = Leaf::server(self.now(), body)?;
        let shard = self.store.begin_shard(&name.to_string(), &leaf, logged, fence).await?;
        tracing::info!(shard = %name, "Began a shard of the log");
        self.open(shard, name).await
    }

    fn now(&self) -> UtcMs {
        self.clock.now()
    }

    async fn open(&self, shard: StoredShard, name: ShardName) -> Result<Writing, ScribeError> {
        let mut claims = self.claims.clone();
        claims.push(Claim { by: "the store".to_owned(), size: shard.size(), root: None });
        let setup = self.place.setup(name, claims, Adopt::Refuse)?;
        let work = tokio::task::spawn_blocking(move || Sequencer::open(RealDisk, setup));
        let log = work.await.map_err(|_| ScribeError::Broken)??;
        Ok(Writing { shard, name, log })
    }
}

fn shard_name(shard: &StoredShard) -> Result<ShardName, ScribeError> {
    shard.name.parse().map_err(|_| ScribeError::Shard { name: shard.name.clone() })
}

fn listed(
    path: &Path,
    names: std::io::Result<Vec<ShardName>>,
) -> Result<Vec<ShardName>, ScribeError> {
    names.map_err(|source| ScribeError::Listed { path: path.to_owned(), source })
}

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;

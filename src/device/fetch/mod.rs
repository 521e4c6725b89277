//! Fetches assets and day sheets, piece by piece, over topics that the broker retains.
//!
//! Pure: events and the monotonic time go in, actions come out; the loop around it subscribes,
//! writes pieces to disk and hashes whole files. Which assets a device needs, where they are kept
//! and what is thrown away when space is short is left to `storage`.
//!
//! # The rule
//! A device begins at a random moment within the spread (at once when the first use is nearer),
//! asks for exact topics, at most a window of them at a time, refilled by halves; checks each piece
//! against its hash; keeps what it has over a reconnect; asks again only for what is missing, after
//! 15 s without any packet, doubling with jitter; and names what stays out in [`Fetcher::want`],
//! upon which the server publishes it again.
//!
//! # Invariants
//! * Never more than `window` topics are subscribed and unanswered.
//! * A piece is handed out once, and only when its hash is right. An empty body, a piece not asked
//!   for and a piece of the wrong length change nothing.
//! * [`Action::Complete`] comes after every piece of the asset was handed out; the asset is only
//!   held once the loop has hashed the whole and says so by [`Fetcher::verified`].
//! * What cannot be had never blocks the rest: after three vain asks a job gives its place away
//!   and is tried again later.

mod job;

use crate::domain::chunk::ChunkSize;
use crate::domain::ids::Digest;
use crate::wire::doc::Wanted;
use crate::wire::limits;
use crate::wire::topic::{Topic, Topics};
use bytes::Bytes;
use job::{Job, Part, Piece};
use std::collections::{BTreeMap, BTreeSet};

/// Limits of a fetcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchConfig {
    /// Topics under the prefix in use.
    pub topics: Topics,
    /// Topics asked for and not answered yet, at most; see [`window`].
    pub window: usize,
    /// Largest day sheet taken.
    pub sheet_bytes: usize,
    /// Silence after which the missing pieces are asked for again, milliseconds.
    pub quiet_ms: i64,
    /// Longest wait between two asks, milliseconds.
    pub longest_ms: i64,
}

impl Default for FetchConfig {
    fn default() -> Self {
        Self {
            topics: Topics::default(),
            window: window(ChunkSize::USUAL),
            sheet_bytes: limits::SHEET_BYTES,
            quiet_ms: 15_000,
            longest_ms: 15 * 60_000,
        }
    }
}

/// Returns how many pieces a device with memory asks for at a time: brokers pay per packet, so
/// small chunks go by more topics in one (measured with 32 KiB: 16 take four fifths of the time
/// that 8 do).
pub fn window(size: ChunkSize) -> usize {
    (limits::CHUNK_WINDOW_BYTES / size.bytes()).min(limits::CHUNK_WINDOW)
}

/// When something is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Milliseconds until its first use; negative when overdue.
    pub first_use_in_ms: i64,
    /// The stretch over which all devices spread their starts (`fetch_spread_s`).
    pub spread_ms: i64,
}

/// An asset as a sheet names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssetOrder {
    /// Its name.
    pub sha256: Digest,
    /// Its length.
    pub bytes: u64,
    /// The size of its chunks.
    pub size: ChunkSize,
    /// SHA-256 of its concatenated chunk hashes at that size.
    pub sums: Digest,
}

/// What an earlier run left on disk of an asset; chunks must have been checked against `hashes`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// The chunk hashes, as kept by [`Action::KeepSums`].
    pub sums: Vec<u8>,
    /// The chunks that are there and right.
    pub chunks: Vec<u32>,
}

/// What the loop must do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Subscribe to all of them in one packet.
    Subscribe(Vec<String>),
    /// Unsubscribe from all of them in one packet.
    Unsubscribe(Vec<String>),
    /// A day sheet whose hash is right.
    Sheet { sha256: Digest, bytes: Bytes },
    /// The chunk hashes of an asset, checked; kept so that a restart can resume.
    KeepSums { sha256: Digest, sums: Bytes },
    /// A chunk whose hash is right, to be written at `offset`.
    Write { sha256: Digest, chunk: u32, offset: u64, bytes: Bytes },
    /// Every chunk was handed out: hash the whole, then call [`Fetcher::verified`].
    Complete { sha256: Digest },
}

/// What was seen, for logs and `state`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchCounts {
    /// Pieces handed out.
    pub pieces: u64,
    /// Pieces whose hash or length was wrong.
    pub wrong: u64,
    /// Times that missing pieces were asked for again.
    pub asked_again: u64,
}

/// The state of everything that is being fetched.
#[derive(Clone, Debug)]
pub struct Fetcher {
    config: FetchConfig,
    seed: u64,
    connected: bool,
    jobs: BTreeMap<Digest, Job>,
    /// Topics asked for and not answered yet.
    asked: BTreeMap<String, Piece>,
    /// Topics answered but still subscribed.
    answered: Vec<String>,
    /// When the last packet of any kind came.
    heard_ms: i64,
    /// When the last right piece came, or the last ask went out.
    moved_ms: i64,
    /// How long silence must last before the next ask.
    wait_ms: i64,
    counts: FetchCounts,
}

impl Fetcher {
    /// Returns a fetcher that wants nothing yet; `seed` spreads the starts of many devices.
    pub fn new(config: FetchConfig, seed: u64) -> Self {
        let wait_ms = config.quiet_ms;
        Self {
            config,
            seed,
            connected: false,
            jobs: BTreeMap::new(),
            asked: BTreeMap::new(),
            answered: Vec::new(),
            heard_ms: 0,
            moved_ms: 0,
            wait_ms,
            counts: FetchCounts::default(),
        }
    }

    /// Says whether a topic is one of pieces, so that its messages belong here.
    pub fn concerns(&self, topic: &str) -> bool {
        let below = topic.strip_prefix(self.config.topics.prefix());
        below.is_some_and(|rest| rest.starts_with("/a/") || rest.starts_with("/s/"))
    }

    /// Orders a day sheet; an order that stands only becomes more urgent.
    pub fn want_sheet(&mut self, now: i64, sha256: Digest, need: Need) -> Vec<Action> {
        let start = self.start(now, need);
        let due = now.saturating_add(need.first_use_in_ms);
        let job = self.jobs.entry(sha256).or_insert_with(|| Job::sheet(start, due));
        job.hasten(start, due);
        self.fill(now)
    }

    /// Orders an asset, resuming what an earlier run left; an order that stands only becomes more
    /// urgent.
    pub fn want_asset(
        &mut self,
        now: i64,
        order: AssetOrder,
        need: Need,
        left: Option<&Left>,
    ) -> Vec<Action> {
        let start = self.start(now, need);
        let due = now.saturating_add(need.first_use_in_ms);
        let mut actions = Vec::new();
        let job = self.jobs.entry(order.sha256).or_insert_with(|| {
            let job = Job::asset(order, start, due, left);
            if job.is_complete() {
                actions.push(Action::Complete { sha256: order.sha256 });
            }
            job
        });
        job.hasten(start, due);
        actions.extend(self.fill(now));
        actions
    }

    /// Drops an order that nothing names any more.
    pub fn unwant(&mut self, now: i64, sha256: &Digest) -> Vec<Action> {
        if self.jobs.remove(sha256).is_none() {
            return Vec::new();
        }
        self.free(|piece| piece.sha256 == *sha256);
        self.fill(now)
    }

    /// Takes note of a standing connection: nothing is subscribed on it yet. What was put off is
    /// tried again soon, since a broker that was away may have been filled again.
    pub fn connected(&mut self, now: i64) -> Vec<Action> {
        self.disconnected();
        self.connected = true;
        for job in self.jobs.values_mut() {
            job.vain = 0;
        }
        let soon = now.saturating_add(self.random(self.config.quiet_ms));
        for job in self.jobs.values_mut().filter(|job| job.put_off) {
            job.start_ms = job.start_ms.min(soon);
            job.put_off = false;
        }
        self.heard_ms = now;
        self.moved_ms = now;
        self.wait_ms = self.config.quiet_ms;
        self.fill(now)
    }

    /// Takes note of a broken connection; what was fetched stays.
    pub fn disconnected(&mut self) {
        self.connected = false;
        self.asked.clear();
        self.answered.clear();
        self.jobs.values_mut().for_each(Job::ask_anew);
    }

    /// Takes note of any packet on the link.
    pub fn heard(&mut self, now: i64) {
        self.heard_ms = self.heard_ms.max(now);
    }

    /// Takes a message of a topic that [`Fetcher::concerns`] it.
    pub fn message(&mut self, now: i64, topic: &str, payload: &Bytes) -> Vec<Action> {
        self.heard(now);
        let Some(piece) = self.asked.get_mut(topic) else { return Vec::new() };
        let Some(job) = self.jobs.get_mut(&piece.sha256) else { return Vec::new() };
        if payload.is_empty() {
            return Vec::new();
        }
        let Some(mut actions) =
            job.take(piece.sha256, piece.part, payload, self.config.sheet_bytes)
        else {
            self.counts.wrong += 1;
            piece.late = true;
            return Vec::new();
        };
        self.counts.pieces += 1;
        job.vain = 0;
        job.late = false;
        if job.is_sheet() {
            let sha256 = piece.sha256;
            self.jobs.remove(&sha256);
        }
        self.asked.remove(topic);
        self.answered.push(topic.to_owned());
        self.moved_ms = now;
        self.wait_ms = self.config.quiet_ms;
        actions.extend(self.fill(now));
        actions
    }

    /// Takes the loop's word on a complete asset: held from now on, or to be fetched anew.
    pub fn verified(&mut self, now: i64, sha256: &Digest, right: bool) -> Vec<Action> {
        if right {
            self.jobs.remove(sha256);
        } else {
            self.counts.wrong += 1;
            self.park(now, sha256, true);
        }
        self.fill(now)
    }

    /// Takes note that a piece could not be kept (disk full, disk broken): the asset is fetched
    /// anew later.
    pub fn failed(&mut self, now: i64, sha256: &Digest) -> Vec<Action> {
        self.park(now, sha256, true);
        self.fill(now)
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: i64) -> Vec<Action> {
        if !self.connected {
            return Vec::new();
        }
        if self.overdue_at().is_some_and(|at| at <= now) {
            return self.ask_again(now);
        }
        self.fill(now)
    }

    /// Returns when [`Fetcher::tick`] is next due.
    pub fn next_at(&self) -> Option<i64> {
        if !self.connected {
            return None;
        }
        // While the window is more than half full, the next piece is what asks for more.
        let may_ask = self.asked.len() <= self.config.window / 2;
        let start = self.jobs.values().filter(|job| may_ask && job.has_missing());
        let start = start.map(|job| job.start_ms).min();
        [start, self.overdue_at()].into_iter().flatten().min()
    }

    /// Returns what was asked for in vain, in the order of its first use: the `want` of the
    /// device's state.
    pub fn want(&self) -> Vec<Wanted> {
        let pieces = self.asked.values().filter(|piece| piece.late).map(|piece| piece.sha256);
        let pieces: BTreeSet<Digest> = pieces.collect();
        let late = |sha256: &Digest, job: &Job| job.late || pieces.contains(sha256);
        let mut want: Vec<_> = self.jobs.iter().filter(|(sha256, job)| late(sha256, job)).collect();
        want.sort_by_key(|(_, job)| job.rank());
        want.into_iter().map(|(sha256, job)| job.wanted(*sha256)).collect()
    }

    /// Returns everything ordered and not held yet, sorted.
    pub fn pending(&self) -> Vec<Digest> {
        self.jobs.keys().copied().collect()
    }

    /// Returns what was seen so far.
    pub fn counts(&self) -> FetchCounts {
        self.counts
    }

    /// When silence has lasted long enough to ask again. Other traffic on the link postpones it,
    /// but not for ever.
    fn overdue_at(&self) -> Option<i64> {
        let quiet = self.heard_ms.max(self.moved_ms).saturating_add(self.wait_ms);
        let patience = self.moved_ms.saturating_add(self.wait_ms.saturating_mul(4));
        (!self.asked.is_empty()).then_some(quiet.min(patience))
    }

    fn ask_again(&mut self, now: i64) -> Vec<Action> {
        self.counts.asked_again += 1;
        self.asked.values_mut().for_each(|piece| piece.late = true);
        let mut vain: Vec<Digest> = self.asked.values().map(|piece| piece.sha256).collect();
        vain.sort_unstable();
        vain.dedup();
        for sha256 in vain {
            let Some(job) = self.jobs.get_mut(&sha256) else { continue };
            job.vain += 1;
            if job.vain > 2 {
                self.park(now, &sha256, false);
            }
        }
        self.moved_ms = now;
        let doubled = self.wait_ms.saturating_mul(2).min(self.config.longest_ms);
        self.wait_ms = doubled / 2 + self.random(doubled / 2 + 1);
        let again: Vec<String> = self.asked.keys().cloned().collect();
        let mut actions = self.fill(now);
        if !again.is_empty() {
            actions.insert(0, Action::Subscribe(again));
        }
        actions
    }

    /// Takes a job's pieces out of the window and tries it again later.
    fn park(&mut self, now: i64, sha256: &Digest, anew: bool) {
        let vain = self.jobs.get(sha256).map_or(0, |job| job.vain).min(16);
        let wait = (self.config.quiet_ms << vain).min(self.config.longest_ms);
        let start_ms = now.saturating_add(wait / 2 + self.random(wait / 2 + 1));
        let Some(job) = self.jobs.get_mut(sha256) else { return };
        job.start_ms = start_ms;
        job.put_off = true;
        job.late = true;
        if anew {
            job.vain += 1;
            job.begin_anew();
        } else {
            job.ask_anew();
        }
        self.free(|piece| piece.sha256 == *sha256);
    }

    /// Moves pieces from asked to answered, so that their topics are unsubscribed.
    fn free(&mut self, which: impl Fn(&Piece) -> bool) {
        let freed: Vec<String> =
            self.asked.iter().filter(|(_, piece)| which(piece)).map(|(t, _)| t.clone()).collect();
        for topic in freed {
            self.asked.remove(&topic);
            self.answered.push(topic);
        }
    }

    /// Refills the window once it is half empty: one SUBSCRIBE and one UNSUBSCRIBE for half a
    /// window of topics each, since brokers pay per packet.
    fn fill(&mut self, now: i64) -> Vec<Action> {
        let mut actions = Vec::new();
        if !self.connected || self.asked.len() > self.config.window / 2 {
            return actions;
        }
        let mut order: Vec<_> = self
            .jobs
            .iter()
            .filter(|(_, job)| job.start_ms <= now)
            .map(|(sha256, job)| (job.rank(), *sha256))
            .collect();
        order.sort_unstable();
        let mut topics = Vec::new();
        for (_, sha256) in order {
            let Some(job) = self.jobs.get_mut(&sha256) else { continue };
            while self.asked.len() < self.config.window {
                let Some(part) = job.next() else { break };
                let topic = self.config.topics.of(&topic_of(sha256, job.size(), part));
                self.asked.insert(topic.clone(), Piece { sha256, part, late: false });
                topics.push(topic);
            }
        }
        if !topics.is_empty() {
            self.moved_ms = self.moved_ms.max(now);
            // A topic asked for again must not be unsubscribed right after.
            self.answered.retain(|topic| !topics.contains(topic));
        }
        let idle = self.asked.is_empty();
        if !self.answered.is_empty() && (idle || !topics.is_empty()) {
            actions.push(Action::Unsubscribe(std::mem::take(&mut self.answered)));
        }
        if !topics.is_empty() {
            actions.push(Action::Subscribe(topics));
        }
        actions
    }

    fn start(&mut self, now: i64, need: Need) -> i64 {
        if need.first_use_in_ms <= need.spread_ms || need.spread_ms <= 0 {
            return now;
        }
        now.saturating_add(self.random(need.spread_ms))
    }

    /// Returns a number in `0..below` (splitmix64: spreading needs no secrecy).
    fn random(&mut self, below: i64) -> i64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let below = u64::try_from(below).unwrap_or(0).max(1);
        i64::try_from((z ^ (z >> 31)) % below).unwrap_or(0)
    }
}

fn topic_of(sha256: Digest, size: ChunkSize, part: Part) -> Topic {
    match part {
        Part::Whole => Topic::Sheet(sha256),
        Part::Sums => Topic::Sums { sha256, size },
        Part::Chunk(n) => Topic::Chunk { sha256, size, n },
    }
}

#[cfg(test)]
mod tests;

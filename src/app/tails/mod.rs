//! Tails that were cut: what devices say of their newest record against what came.
//!
//! A gap shows in the numbers on both sides of it; of a tail that somebody took away nothing is
//! left. But a device says in `state` how far its chain goes, so the server remembers the highest
//! number told of each chain until it is there. What stays out is shown to people and said in the
//! log as a `gap`, for auditors to find beyond the chain's last record.
//!
//! # Invariants
//! * A state is a hint: it excuses no miss, changes no outcome and no receipt.
//! * What goes on its way is not remembered: [`SETTLE_MS`] pass before a word is compared with what
//!   came, and one that was met is forgotten.
//! * A device that writes another chain (replaced, its disk lost) or is revoked calls nobody; what
//!   its former chain lacks is said once and stays listed, [`GIVEN_UP`] chains of a device at most.
//! * Words are bounded in number: what a device makes up takes room of its own alone.

mod judge;

pub use judge::{LONGEST_MS, WAIT_MS};

use super::live::{Heard, Live};
use super::logbook;
use super::ports::{Fence, Standing, Store, StoreError, StoredTail, TailRound, TailStand};
use crate::clock::SharedClock;
use crate::domain::ids::{ChainId, DeviceId, Digest};
use crate::domain::time::UtcMs;
use crate::wire::doc::{State, StateKind};
use judge::{Verdict, Whereabouts, judge};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// How long a record may be on its way before the word about it counts.
pub const SETTLE_MS: i64 = 60_000;
/// Chains given up that are remembered of a device.
pub const GIVEN_UP: usize = 8;
/// Words that wait, of all devices together; more are not heard until those were looked at.
const WORDS: usize = 40_000;
/// Chains of one device of which words wait.
const CHAINS: usize = 4;

/// What a device said of a chain's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word {
    seq: u64,
    head: Option<Digest>,
    at_ms: UtcMs,
}

/// The first word that was not looked at, and the newest one with a higher number.
#[derive(Clone, Copy, Debug)]
struct Words {
    first: Word,
    newest: Word,
}

/// See the module.
pub struct Tails {
    store: Arc<dyn Store>,
    live: Arc<Live>,
    clock: SharedClock,
    words: Mutex<BTreeMap<(DeviceId, ChainId), Words>>,
}

impl Tails {
    /// Remembers in this store, and shows in `live`.
    pub fn new(store: Arc<dyn Store>, live: Arc<Live>, clock: SharedClock) -> Self {
        Self { store, live, clock, words: Mutex::default() }
    }

    /// Takes what a device says of itself.
    pub fn hear(&self, device: &DeviceId, state: &State) {
        let (Some(chain), Some(seq)) = (state.chain, state.seq.filter(|seq| *seq > 0)) else {
            return;
        };
        let word = Word { seq, head: state.head, at_ms: self.clock.now() };
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let room = words.len() < WORDS;
        let key = (device.clone(), chain);
        if let Some(known) = words.get_mut(&key) {
            if word.seq > known.newest.seq {
                known.newest = word;
            }
            return;
        }
        let last = (device.clone(), ChainId([u8::MAX; 16]));
        let own = words.range((device.clone(), ChainId([0; 16]))..=last).count();
        if room && own < CHAINS {
            words.insert(key, Words { first: word, newest: word });
        }
    }

    /// Compares what was said with what came, and shows what is missing. Only whoever leads writes.
    pub async fn look(&self, lead: Option<Option<Fence>>) -> Result<(), StoreError> {
        let known = self.store.tails().await?;
        let Some(fence) = lead else {
            self.show(known);
            return Ok(());
        };
        let now = self.clock.now();
        let due = self.due(now);
        let tails = known.into_iter().map(|tail| ((tail.device.clone(), tail.chain), tail));
        let mut tails: BTreeMap<(DeviceId, ChainId), StoredTail> = tails.collect();
        let known: BTreeMap<(DeviceId, ChainId), StoredTail> = tails.clone();
        let keys: BTreeSet<_> = tails.keys().chain(due.keys()).cloned().collect();
        let keys: Vec<_> = keys.into_iter().collect();
        let ends = self.store.ends(&keys).await?;
        for (key, words) in &due {
            let end = ends.get(key).copied().unwrap_or(0);
            merge(&mut tails, key, words.settled(now), words.first.at_ms, end);
        }
        let heard = self.live.all_heard();
        let mut round = TailRound::default();
        let mut kept = Vec::new();
        for (key, tail) in tails {
            let before = known.contains_key(&key);
            let place = self.whereabouts(&key, heard.get(&key.0).map(AsRef::as_ref));
            match judge(tail, ends.get(&key).copied(), place, now) {
                Verdict::Drop => round.gone.extend(before.then_some(key)),
                Verdict::Keep(tail) => kept.push(tail),
                Verdict::Say(tail, numbers) => {
                    round.leaves.push(logbook::cut_tail(&tail, numbers, now)?);
                    kept.push(tail);
                }
            }
        }
        let surplus = surplus(&kept);
        kept.retain(|tail| !surplus.contains(&(tail.device.clone(), tail.chain)));
        round.gone.extend(surplus.into_iter().filter(|key| known.contains_key(key)));
        let changed = |tail: &&StoredTail| {
            known.get(&(tail.device.clone(), tail.chain)).is_none_or(|before| before != *tail)
        };
        round.put = kept.iter().filter(changed).cloned().collect();
        if !round.is_empty() {
            self.store.keep_tails(&round, fence).await?;
        }
        self.forget(&due, now);
        self.show(kept);
        Ok(())
    }

    /// Returns the words that are old enough.
    fn due(&self, now: UtcMs) -> BTreeMap<(DeviceId, ChainId), Words> {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let due = words.iter().filter(|(_, words)| words.first.is_settled(now));
        due.map(|(key, words)| (key.clone(), *words)).collect()
    }

    /// Forgets the words that were looked at; what was said since stays for the next look.
    fn forget(&self, due: &BTreeMap<(DeviceId, ChainId), Words>, now: UtcMs) {
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, looked) in due {
            let upto = looked.settled(now).seq;
            match words.get_mut(key) {
                Some(known) if known.newest.seq > upto => known.first = known.newest,
                _ => drop(words.remove(key)),
            }
        }
    }

    fn whereabouts(&self, key: &(DeviceId, ChainId), heard: Option<&Heard>) -> Whereabouts {
        let devices = self.live.devices();
        let standing = devices.get(&key.0).map(|known| &known.standing);
        if !matches!(standing, Some(Standing::Enrolled { .. })) {
            return Whereabouts::Left;
        }
        match heard.map(|heard| (&heard.state.state, heard.state.chain)) {
            Some((StateKind::Init | StateKind::Ready, Some(chain))) if chain == key.1 => {
                Whereabouts::Here
            }
            Some((StateKind::Init | StateKind::Ready, Some(_))) => Whereabouts::Left,
            _ => Whereabouts::Away,
        }
    }

    fn show(&self, tails: Vec<StoredTail>) {
        let mut of: BTreeMap<DeviceId, Vec<StoredTail>> = BTreeMap::new();
        for tail in tails.into_iter().filter(|tail| tail.stand != TailStand::Waiting) {
            of.entry(tail.device.clone()).or_default().push(tail);
        }
        self.live.set_tails(of);
    }
}

impl Word {
    /// Says whether what it tells of had its time; a clock that was set back keeps none for ever.
    fn is_settled(&self, now: UtcMs) -> bool {
        now.since(self.at_ms) >= SETTLE_MS || self.at_ms > now
    }
}

impl Words {
    /// Returns the word to look at.
    fn settled(&self, now: UtcMs) -> Word {
        if self.newest.is_settled(now) { self.newest } else { self.first }
    }
}

/// Puts a word beside what is known of the chain.
fn merge(
    tails: &mut BTreeMap<(DeviceId, ChainId), StoredTail>,
    key: &(DeviceId, ChainId),
    word: Word,
    since_ms: UtcMs,
    end: u64,
) {
    match tails.get_mut(key) {
        Some(tail) if word.seq > tail.seq => (tail.seq, tail.head) = (word.seq, word.head),
        Some(_) => {}
        None if end >= word.seq => {}
        None => {
            let tail = StoredTail {
                device: key.0.clone(),
                chain: key.1,
                seq: word.seq,
                head: word.head,
                since_ms,
                came: end,
                quiet_ms: since_ms,
                stand: TailStand::Waiting,
                said: 0,
            };
            tails.insert(key.clone(), tail);
        }
    }
}

/// Returns the chains given up beyond the newest [`GIVEN_UP`] of each device.
fn surplus(tails: &[StoredTail]) -> BTreeSet<(DeviceId, ChainId)> {
    let mut of: BTreeMap<&DeviceId, Vec<&StoredTail>> = BTreeMap::new();
    for tail in tails.iter().filter(|tail| tail.stand == TailStand::GivenUp) {
        of.entry(&tail.device).or_default().push(tail);
    }
    let mut gone = BTreeSet::new();
    for mut tails in of.into_values() {
        tails.sort_by_key(|tail| std::cmp::Reverse(tail.since_ms));
        gone.extend(tails.iter().skip(GIVEN_UP).map(|tail| (tail.device.clone(), tail.chain)));
    }
    gone
}

#[cfg(test)]
mod tests;

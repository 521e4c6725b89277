//! What the evidence log covers: receipts name it, and are told again when it covers more.
//!
//! Each receipt is noted with the newest leaf at the time of its commit. A checkpoint that enough
//! witnesses vouched for covers it once its tree holds that leaf; then the receipt is signed anew
//! with `logged`, stored and published, so that the device may forget.
//!
//! # Invariants
//! * `logged` is never said of a record that might not be in the checkpoint's tree: what is not
//!   known here (after a start, after a change of shares) is learnt from the store, or not said. A
//!   checkpoint covers what the store has noted as logged, and no number beyond: a store that was
//!   set back gives such numbers to other leaves.
//! * A device that sends without a pause is told all the same: the oldest receipt that waits is
//!   kept beside the newest.
//! * Who sends is told with its next receipt; so many others are told at a time ([`AGAIN_AT_ONCE`])
//!   that a flood of records does not double the receipts, each in its turn.

use super::{CHAINS, Ingest, IngestError, Shares};
use crate::app::ports::{Fence, IntakeRound, StoreError, StoredReceipt};
use crate::app::publish::Publication;
use crate::domain::ids::{ChainId, DeviceId, Digest};
use crate::wire::doc::{self, Receipt};
use crate::wire::jws::{self, Typ};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A head that devices may rely on, by the policy in `keys`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouch {
    /// The shard.
    pub shard: String,
    /// Its leaves.
    pub size: u64,
    /// The note with its cosignatures.
    pub note: Arc<str>,
}

/// Receipts that wait for a checkpoint, of one chain: the oldest and the newest.
const WAITING: usize = 2;
/// Receipts stored in one step.
const AT_ONCE: usize = 1_000;

/// Chains told again at a time; the next ones follow after [`AGAIN`].
const AGAIN_AT_ONCE: usize = 200;

/// When a checkpoint is looked at again of which the store has not noted all, or not all are told.
const AGAIN: Duration = Duration::from_secs(2);

/// What is known of one chain.
#[derive(Clone, Debug, Default)]
struct Cover {
    /// Up to there it is in the tree of the newest checkpoint.
    logged: u64,
    /// Up to there the device was told so.
    told: u64,
    /// The newest receipt.
    upto: u64,
    head: Option<Digest>,
    /// (leaf, upto), oldest first.
    waiting: VecDeque<(i64, u64)>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Vouching {
    news: Option<watch::Receiver<Option<Vouch>>>,
    newest: Option<Vouch>,
    chains: BTreeMap<(DeviceId, ChainId), Cover>,
    /// What the store knows of was read.
    learnt: bool,
    /// Shards that the store knew then: another one moves the leaves that wait.
    shards: usize,
    /// The store has not noted all that the newest checkpoint holds, or not all that it covers was
    /// told: it is looked at again.
    short: bool,
    /// When a checkpoint was last looked at, on the clock that never steps.
    looked_ms: i64,
    /// Who was told last.
    last: Option<(DeviceId, ChainId)>,
}

impl Vouching {
    /// Waits for another checkpoint; for ever where none is told.
    pub async fn news(&mut self) {
        let ended = match &mut self.news {
            Some(news) => tokio::select! {
                changed = news.changed() => changed.is_err(),
                () = tokio::time::sleep(AGAIN), if self.short => return,
            },
            None => true,
        };
        if ended {
            self.news = None;
            std::future::pending::<()>().await;
        }
    }

    /// Says whether a checkpoint waits, where records come without a pause and nobody waits for
    /// [`Self::news`].
    pub fn is_due(&self, mono_ms: i64) -> bool {
        let Some(news) = &self.news else { return false };
        let rested = u128::try_from(mono_ms.saturating_sub(self.looked_ms)).unwrap_or(0);
        rested >= AGAIN.as_millis() && (self.short || news.has_changed().unwrap_or(false))
    }

    /// Says whether checkpoints are told at all.
    pub fn is_on(&self) -> bool {
        self.news.is_some()
    }

    /// Returns what a receipt of a chain says of the log.
    pub fn word(&self, device: &DeviceId, chain: ChainId) -> (Option<u64>, Option<String>) {
        let Some(newest) = &self.newest else { return (None, None) };
        let known = self.chains.get(&(device.clone(), chain)).map_or(0, |cover| cover.logged);
        ((known > 0).then_some(known), Some(newest.note.to_string()))
    }

    /// Notes a receipt that was committed when `leaf` was the newest.
    pub fn note(
        &mut self,
        device: &DeviceId,
        chain: ChainId,
        (upto, head): (u64, Option<Digest>),
        leaf: i64,
    ) {
        if self.chains.len() >= CHAINS {
            self.chains.retain(|_, cover| !cover.waiting.is_empty() || cover.logged > cover.told);
        }
        if self.chains.len() >= CHAINS {
            self.chains.clear();
            self.learnt = false;
        }
        let cover = self.chains.entry((device.clone(), chain)).or_default();
        (cover.upto, cover.head) = (upto, head);
        if upto <= cover.logged || cover.waiting.back().is_some_and(|(_, last)| *last == upto) {
            return;
        }
        if cover.waiting.len() == WAITING {
            cover.waiting.pop_back();
        }
        cover.waiting.push_back((leaf, upto));
    }

    /// Forgets what is known: shares have changed hands.
    pub fn forget(&mut self) {
        self.chains.clear();
        self.learnt = false;
    }

    /// Notes that the newest receipt of a chain says all that is covered of it.
    pub fn said(&mut self, device: &DeviceId, chain: ChainId) {
        if let Some(cover) = self.chains.get_mut(&(device.clone(), chain)) {
            cover.told = cover.logged;
        }
    }

    /// Takes what a checkpoint covers that holds the leaves up to this number; returns chains of
    /// which more is covered than was told, those whose turn it is.
    fn cover(&mut self, number: i64) -> Vec<(DeviceId, ChainId)> {
        for cover in self.chains.values_mut() {
            while let Some((leaf, upto)) = cover.waiting.front().copied() {
                if leaf > number {
                    break;
                }
                cover.logged = cover.logged.max(upto);
                cover.waiting.pop_front();
            }
        }
        let untold = |(_, cover): &(&(DeviceId, ChainId), &Cover)| cover.logged > cover.told;
        let mut turn: Vec<(DeviceId, ChainId)> = Vec::new();
        let from = self.last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let upto = self.last.as_ref().map_or(Bound::Unbounded, Bound::Included);
        let after = self.chains.range((from, Bound::Unbounded));
        let before = self.chains.range((Bound::Unbounded, upto));
        let before = before.filter(|_| self.last.is_some());
        let untold = after.chain(before).filter(untold).map(|(key, _)| key.clone());
        turn.extend(untold.take(AGAIN_AT_ONCE + 1));
        self.short |= turn.len() > AGAIN_AT_ONCE;
        turn.truncate(AGAIN_AT_ONCE);
        for (device, chain) in &turn {
            self.said(device, *chain);
        }
        self.last = turn.last().cloned().or_else(|| self.last.take());
        turn
    }
}

impl Ingest {
    /// Names checkpoints in receipts as they are told.
    pub fn vouched_by(mut self, news: watch::Receiver<Option<Vouch>>) -> Self {
        self.vouching.news = Some(news);
        self
    }

    /// Takes the newest checkpoint: receipts that it covers are signed anew, stored, told.
    pub async fn vouch(&mut self) -> Result<Vec<Publication>, IngestError> {
        self.vouching.looked_ms = self.clock.mono_ms();
        let Some(news) = &mut self.vouching.news else { return Ok(Vec::new()) };
        let newest = news.borrow_and_update().clone();
        self.vouching.newest = newest;
        self.vouching.short = false;
        let Some(newest) = self.vouching.newest.clone() else { return Ok(Vec::new()) };
        self.forget_lost();
        let shards = self.store.shards().await?;
        if shards.len() != self.vouching.shards {
            self.vouching.forget();
            self.vouching.shards = shards.len();
        }
        self.learn().await?;
        let Some(shard) = shards.iter().find(|shard| shard.name == newest.shard) else {
            return Ok(Vec::new());
        };
        self.vouching.short = shard.size() < newest.size;
        let Some(number) = shard.last_of(newest.size) else { return Ok(Vec::new()) };
        let covered = self.vouching.cover(number);
        self.tell_again(&covered).await
    }

    /// Reads once which leaf each receipt of the store waits for.
    async fn learn(&mut self) -> Result<(), StoreError> {
        if self.vouching.learnt {
            return Ok(());
        }
        let leaves: BTreeMap<DeviceId, i64> =
            self.store.receipt_leaves().await?.into_iter().collect();
        for stored in self.store.receipts().await? {
            let key = (stored.device.clone(), stored.chain);
            let mine = self.shares.as_ref().is_none_or(|shares| shares.holds(&stored.device));
            let Ok((_, claims)) = jws::kept::<Receipt>(&stored.jws, Typ::Receipt) else { continue };
            if !mine || self.vouching.chains.contains_key(&key) {
                continue;
            }
            let leaf = leaves.get(&stored.device).copied().unwrap_or(i64::MAX);
            let logged = claims.logged.unwrap_or(0);
            let cover = Cover { logged, told: logged, ..Cover::default() };
            self.vouching.chains.insert(key, cover);
            self.vouching.note(&stored.device, stored.chain, (claims.upto, claims.head), leaf);
        }
        self.vouching.learnt = true;
        Ok(())
    }

    /// Signs receipts anew with what the log covers; a device's newest chain is told last.
    async fn tell_again(
        &mut self,
        covered: &[(DeviceId, ChainId)],
    ) -> Result<Vec<Publication>, IngestError> {
        let now = self.clock.now();
        let held = self.shares.as_ref().map(Shares::held);
        let (mut current, mut older, mut fences) = (Vec::new(), Vec::new(), BTreeMap::new());
        for (device, chain) in covered {
            let share = Shares::of(device);
            match held.as_ref().map(|held| held.get(&share).copied()) {
                Some(None) => continue, // another process tells it
                Some(Some(fence)) => drop(fences.insert(share, fence)),
                None => {}
            }
            let Some(cover) = self.vouching.chains.get(&(device.clone(), *chain)) else { continue };
            let (logged, checkpoint) = self.vouching.word(device, *chain);
            let receipt = Receipt {
                v: 1,
                aud: device.clone(),
                iat: now.numeric_date(),
                chain: *chain,
                upto: cover.upto,
                head: cover.head,
                logged,
                checkpoint,
            };
            let jws = match doc::sign(&self.keys.in_use().keys.receipt, &receipt) {
                Ok(jws) => jws.into(),
                Err(error) => {
                    tracing::error!(device.id = %device, %error, "A receipt cannot be signed");
                    continue;
                }
            };
            let (device, upto) = (device.clone(), cover.upto);
            let stored = StoredReceipt { device, chain: *chain, upto, made_ms: now, jws };
            match self.receipt_of(&stored.device).await? {
                Some(known) if known.chain != stored.chain => {
                    older.push(stored);
                    older.push(known);
                }
                _ => current.push(stored),
            }
        }
        let fences: Vec<Fence> = fences.into_values().collect();
        for some in current.chunks(AT_ONCE) {
            let round = IntakeRound { receipts: some.to_vec(), ..IntakeRound::default() };
            self.store.commit_intake(&round, &fences).await?;
        }
        for receipt in &current {
            self.receipts.insert(receipt.device.clone(), receipt.clone());
        }
        Ok(older.iter().chain(&current).map(|receipt| self.publication(receipt)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> (DeviceId, ChainId) {
        ("loa-1".parse().unwrap(), ChainId([1; 16]))
    }

    #[test]
    fn what_waits_is_covered_by_a_tree_that_holds_its_leaf_and_not_before() {
        let mut vouching = Vouching::default();
        let (device, chain) = key();
        vouching.note(&device, chain, (5, None), 100);
        assert!(vouching.cover(99).is_empty());
        assert_eq!(vouching.cover(100), [key()]);
        assert_eq!(vouching.chains[&key()].logged, 5);
        assert!(vouching.cover(1_000).is_empty(), "told once");
        vouching.note(&device, chain, (5, None), 200);
        assert!(vouching.cover(1_000).is_empty(), "the same receipt again");
    }

    #[test]
    fn many_are_told_in_turns_and_nobody_twice() {
        let mut vouching = Vouching::default();
        let name = |n: usize| format!("loa-{n:04}").parse::<DeviceId>().unwrap();
        let many = 2 * AGAIN_AT_ONCE + 50;
        for n in 0..many {
            vouching.note(&name(n), ChainId([1; 16]), (5, None), 1);
        }
        let first = vouching.cover(1);
        assert!(first.len() == AGAIN_AT_ONCE && vouching.short);
        // The first ones send on, and are covered again: the others have their turn all the same.
        for n in 0..AGAIN_AT_ONCE {
            vouching.note(&name(n), ChainId([1; 16]), (6, None), 2);
        }
        // This one's own receipt says it.
        vouching.said(&name(many - 1), ChainId([1; 16]));
        vouching.short = false;
        let second = vouching.cover(2);
        assert!(second.len() == AGAIN_AT_ONCE && vouching.short);
        assert!(second.iter().all(|told| !first.contains(told)), "those that wait come first");
        vouching.short = false;
        let third = vouching.cover(2);
        let waited = third.iter().filter(|told| !first.contains(told)).count();
        assert_eq!((third.len(), waited), (AGAIN_AT_ONCE, 49));
        assert!(!third.contains(&(name(many - 1), ChainId([1; 16]))));
        vouching.short = false;
        assert_eq!((vouching.cover(2).len(), vouching.short), (49, false));
        assert!(vouching.cover(2).is_empty());
    }

    #[test]
    fn a_device_that_sends_without_a_pause_is_told_all_the_same() {
        let mut vouching = Vouching::default();
        let (device, chain) = key();
        for n in 1..=1_000_u64 {
            vouching.note(&device, chain, (n, None), i64::try_from(n).unwrap() * 10);
            if n % 50 == 0 {
                // The log is ever 400 leaves behind.
                vouching.cover(i64::try_from(n).unwrap() * 10 - 400);
            }
        }
        assert!(vouching.chains[&key()].logged >= 900, "{:?}", vouching.chains[&key()]);
        assert!(vouching.chains[&key()].waiting.len() <= WAITING);
    }

    #[test]
    fn without_a_checkpoint_a_receipt_says_nothing_of_a_log() {
        let mut vouching = Vouching::default();
        let (device, chain) = key();
        vouching.note(&device, chain, (5, None), 1);
        vouching.cover(1);
        assert_eq!(vouching.word(&device, chain), (None, None));
        let note: Arc<str> = "note".into();
        vouching.newest = Some(Vouch { shard: "2027".into(), size: 1, note });
        assert_eq!(vouching.word(&device, chain), (Some(5), Some("note".to_owned())));
        let other = ChainId([2; 16]);
        assert_eq!(vouching.word(&device, other), (None, Some("note".to_owned())));
    }
}

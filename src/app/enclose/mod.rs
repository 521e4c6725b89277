//! Encloses the times of logged records between heads that witnesses vouched for.
//!
//! A record was written after the checkpoint that it quotes, and before the first head that holds
//! it; both heads carry the time of witnesses. What lies further apart than
//! [`LATE_MS`](crate::domain::proof::LATE_MS) is late: noted with the record, and said in the log.
//!
//! # Invariants
//! * Each record is judged once, by the first head kept that holds it, in the order of the log; a
//!   step that was cut off is repeated whole.
//! * What an earlier record of the chain quotes bounds the later ones as well.
//! * A device that quotes nothing is said to be so once for each of its chains, however much it
//!   sends: what is said never outgrows what it is said of.

use super::logbook;
use super::ports::{
    Enclosed, Fence, Floor, KeptHead, LoggedRecord, Store, StoreError, StoredShard,
};
use crate::clock::SharedClock;
use crate::domain::ids::{ChainId, DeviceId};
use crate::domain::proof::LATE_MS;
use crate::domain::proof::record::Seen;
use crate::domain::time::UtcMs;
use crate::wire::b64;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Leaves judged in one step.
const PAGE: u32 = 2_048;

/// A head that was kept for auditors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub shard: String,
    pub size: u64,
    /// When enough witnesses had vouched for it.
    pub met_ms: UtcMs,
}

/// See the module.
pub struct Encloser {
    store: Arc<dyn Store>,
    clock: SharedClock,
    page: u32,
}

#[derive(Deserialize)]
struct Quoting {
    #[serde(default)]
    seen: Option<Seen>,
}

/// Consecutive late records of a chain.
struct Run {
    first: LoggedRecord,
    to: u64,
    width_ms: Option<i64>,
}

impl Encloser {
    /// Returns an encloser over the store.
    pub fn new(store: Arc<dyn Store>, clock: SharedClock) -> Self {
        Self { store, clock, page: PAGE }
    }

    /// Takes a head: judges all that it is the first to hold.
    pub async fn take(&self, head: &Head, fence: Option<Fence>) -> Result<(), StoreError> {
        let shards = self.store.shards().await?;
        let Some(shard) = shards.iter().find(|shard| shard.name == head.shard) else {
            return Ok(()); // of a log that was here before a restore
        };
        let Some(number) = shard.last_of(head.size) else { return Ok(()) };
        let kept =
            KeptHead { number, shard: head.shard.clone(), size: head.size, met_ms: head.met_ms };
        self.store.keep_head(&kept, fence).await?;
        while self.step(&shards, number, fence).await? {}
        Ok(())
    }

    /// Judges a page of what lies below `upto`; says whether there may be more.
    async fn step(
        &self,
        shards: &[StoredShard],
        upto: i64,
        fence: Option<Fence>,
    ) -> Result<bool, StoreError> {
        let after = self.store.enclosed_up_to().await?;
        if after >= upto {
            return Ok(false);
        }
        let page = self.store.logged_records(after, upto, self.page).await?;
        let Some((last, _)) = page.last() else { return Ok(false) };
        let mut found = Enclosed {
            after,
            upto: *last,
            late: Vec::new(),
            leaves: Vec::new(),
            floors: Vec::new(),
        };
        let mut floors: BTreeMap<(DeviceId, ChainId), Option<Floor>> = BTreeMap::new();
        let mut changed: BTreeMap<(DeviceId, ChainId), Floor> = BTreeMap::new();
        let mut runs: BTreeMap<(DeviceId, ChainId), Run> = BTreeMap::new();
        let mut quotes: BTreeMap<i64, Floor> = BTreeMap::new();
        let mut holds: Option<KeptHead> = None;
        for (number, record) in page {
            let Some(record) = record else { continue };
            if holds.as_ref().is_none_or(|head| head.number < number) {
                holds = self.store.head_with(number).await?;
            }
            // There is one: the page ends below a head.
            let Some(not_after) = holds.as_ref().map(|head| head.met_ms) else { break };
            let key = (record.device.clone(), record.chain);
            let known = match floors.get(&key) {
                Some(known) => *known,
                None => self.store.floor(&key.0, &key.1).await?,
            };
            let mut floor = known.flatten();
            // What it quotes must stand before its own place.
            if let Some(quoted) = quoted(shards, &record.jws).filter(|quoted| *quoted < number) {
                let at = match quotes.get(&quoted) {
                    Some(at) => *at,
                    None => self.store.head_up_to(quoted).await?.map(|head| head.met_ms),
                };
                quotes.insert(quoted, at);
                floor = floor.max(at);
            }
            if known != Some(floor) {
                changed.insert(key.clone(), floor);
            }
            floors.insert(key.clone(), Some(floor));
            let width_ms = floor.map(|floor| not_after.since(floor));
            if width_ms.is_some_and(|width| width <= LATE_MS) {
                continue;
            }
            found.late.push((record.position, width_ms));
            if width_ms.is_none() && known.is_some() {
                continue; // said with the first of the chain
            }
            match runs.get_mut(&key) {
                Some(run)
                    if run.to.checked_add(1) == Some(record.seq)
                        && run.width_ms.is_some() == width_ms.is_some() =>
                {
                    run.to = record.seq;
                    run.width_ms = run.width_ms.max(width_ms);
                }
                _ => {
                    let (to, first) = (record.seq, record);
                    if let Some(run) = runs.insert(key, Run { first, to, width_ms }) {
                        found.leaves.push(self.said(&run)?);
                    }
                }
            }
        }
        for run in runs.values() {
            found.leaves.push(self.said(run)?);
        }
        let of_chain = |((device, chain), floor)| (device, chain, floor);
        found.floors = changed.into_iter().map(of_chain).collect();
        self.store.enclose(&found, fence).await?;
        Ok(found.upto < upto)
    }

    fn said(&self, run: &Run) -> Result<crate::log::leaf::Leaf, StoreError> {
        logbook::late(&run.first, run.to, run.width_ms, self.clock.now())
    }
}

/// Returns the number of the last leaf of a tree; `None` for an empty one.
/// Returns the number of the last leaf of the tree that a record quotes.
fn quoted(shards: &[StoredShard], jws: &str) -> Option<i64> {
    let payload = b64::decode(jws.split('.').nth(1)?)?;
    let seen = serde_json::from_slice::<Quoting>(&payload).ok()?.seen?;
    let name = seen.origin.rsplit('/').next()?;
    shards.iter().find(|shard| shard.name == name)?.last_of(seen.size)
}

#[cfg(test)]
mod tests;

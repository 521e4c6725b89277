//! One round: what arrived together is decided together and committed together.

use super::line::{DeviceKeys, Line, Placeable, add_fault, read_batch};
use super::{Arrived, CHAINS, Ingest, IngestError, Known, Shares, Taken, Tally};
use crate::app::ports::{
    Conflict, Fence, Intake, IntakeRound, StoreError, StoredChain, StoredReceipt, StoredRecord, Via,
};
use crate::app::publish::Publication;
use crate::domain::ids::{ChainId, DeviceId, Digest};
use crate::domain::proof::chain::{Chain, Placed};
use crate::domain::time::UtcMs;
use crate::wire::doc::{self, Receipt};
use crate::wire::jws::{self, Typ};
use crate::wire::topic::Topic;
use bytes::Bytes;
use std::collections::BTreeMap;

/// One chain while a round is decided.
struct Work {
    known: Known,
    intake: Intake,
    changed: bool,
}

impl Ingest {
    pub(super) async fn round(
        &mut self,
        arrived: &[Arrived],
        via: Via,
    ) -> Result<Taken, IngestError> {
        let now = self.clock.now();
        let mut tally = Tally::default();
        self.forget_lost();
        let (arrived, fences) = self.own(arrived, via);
        let mut round = IntakeRound::default();
        // (device, chain) in the order of their last line: the newest chain's receipt goes last.
        let mut touched: Vec<(DeviceId, ChainId)> = Vec::new();
        let mut works: BTreeMap<(DeviceId, ChainId), Work> = BTreeMap::new();
        let mut silent: Vec<DeviceId> = Vec::new();
        for (device, lines) in self.read(&arrived, via, now).await? {
            let mut placeable: BTreeMap<ChainId, Vec<Placeable>> = BTreeMap::new();
            let mut order = Vec::new();
            tally.lines += lines.len() as u64;
            for line in lines {
                match line {
                    Line::Record(record) => {
                        let chain = record.record.chain;
                        order.retain(|known| *known != chain);
                        order.push(chain);
                        placeable.entry(chain).or_default().push(*record);
                    }
                    Line::Reject(reject) => {
                        tally.rejects += 1;
                        round.rejects.push(reject);
                    }
                }
            }
            if order.is_empty() {
                silent.push(device.clone());
            }
            for (chain, records) in placeable {
                let mut work = self.work(&device, chain, now).await?;
                self.place(&mut work, records, &mut tally).await?;
                works.insert((device.clone(), chain), work);
            }
            touched.extend(order.into_iter().map(|chain| (device.clone(), chain)));
        }
        let receipts =
            if via == Via::Link { self.receipts(&touched, &works, now).await? } else { vec![] };
        round.receipts = receipts.iter().filter(|(_, new)| *new).map(|(r, _)| r.clone()).collect();
        // Taken, not copied: a round has thousands of records.
        let intakes = works.values_mut().filter(|work| work.changed).map(|work| Intake {
            chain: work.intake.chain.clone(),
            add: std::mem::take(&mut work.intake.add),
            gaps: std::mem::take(&mut work.intake.gaps),
            conflicts: std::mem::take(&mut work.intake.conflicts),
            faults: std::mem::take(&mut work.intake.faults),
        });
        round.intakes = intakes.collect();
        if !(round.intakes.is_empty() && round.rejects.is_empty() && round.receipts.is_empty()) {
            self.store.commit_intake(&round, &fences).await?;
        }
        if self.vouching.is_on() && !touched.is_empty() && via == Via::Link {
            // What is committed is acknowledged; which leaf it waits for can be learnt later.
            let leaf = self.store.newest_leaf().await;
            let works = touched.iter().filter_map(|key| Some((key, works.get(key)?)));
            for ((device, chain), work) in works {
                let known = &work.known.chain;
                match leaf {
                    Ok(leaf) => {
                        self.vouching.note(device, *chain, (known.upto(), known.head()), leaf);
                    }
                    Err(_) => self.vouching.forget(),
                }
            }
            for (receipt, _) in receipts.iter().filter(|(_, new)| *new) {
                self.vouching.said(&receipt.device, receipt.chain);
            }
        }
        self.keep(works, &receipts, now);
        let mut publications: Vec<_> =
            receipts.into_iter().map(|(receipt, _)| self.publication(&receipt)).collect();
        if via == Via::Link {
            for device in silent {
                if let Some(receipt) = self.receipt_of(&device).await? {
                    publications.push(self.publication(&receipt));
                }
            }
            publications.extend(self.ask());
        }
        Ok(Taken { publications, tally })
    }

    /// Returns the batches that are this process's to take in, and what shows that they are. The
    /// others go to whoever holds their share; a device whose batch nobody took sends it again.
    fn own(&self, arrived: &[Arrived], via: Via) -> (Vec<Arrived>, Vec<Fence>) {
        let Some(shares) = self.shares.as_ref().filter(|_| via == Via::Link) else {
            return (arrived.to_vec(), Vec::new());
        };
        let held = shares.held();
        let mut used = BTreeMap::new();
        let mut own = Vec::with_capacity(arrived.len());
        for batch in arrived {
            let share = Shares::of(&batch.device);
            if let Some(fence) = held.get(&share) {
                used.insert(share, *fence);
                own.push(batch.clone());
            }
        }
        (own, used.into_values().collect())
    }

    /// Checks signatures, off the async threads.
    async fn read(
        &self,
        arrived: &[Arrived],
        via: Via,
        now: UtcMs,
    ) -> Result<Vec<(DeviceId, Vec<Line>)>, IngestError> {
        let mut batches: BTreeMap<DeviceId, Vec<Bytes>> = BTreeMap::new();
        for batch in arrived {
            batches.entry(batch.device.clone()).or_default().push(batch.lines.clone());
        }
        let mut work = Vec::with_capacity(batches.len());
        for (device, batches) in batches {
            let keys = DeviceKeys::new(self.store.keys_of(&device).await?, via);
            work.push((device, batches, keys));
        }
        let read = tokio::task::spawn_blocking(move || {
            let read = work.into_iter().map(|(device, batches, keys)| {
                let lines = batches.iter().flat_map(|batch| read_batch(&device, batch, &keys, now));
                let lines = lines.collect();
                (device, lines)
            });
            read.collect()
        });
        Ok(read.await?)
    }

    /// Returns where a chain stands, from memory or the store.
    async fn work(
        &self,
        device: &DeviceId,
        chain: ChainId,
        now: UtcMs,
    ) -> Result<Work, StoreError> {
        let known = match self.chains.get(&(device.clone(), chain)) {
            Some(known) => known.clone(),
            None => match self.store.chain(device, &chain).await? {
                Some(stored) => {
                    let aside = self.store.aside(device, &chain, stored.upto).await?;
                    Known {
                        chain: Chain::resume(
                            stored.upto,
                            stored.head,
                            stored.first_at_ms,
                            stored.upto_at_ms,
                            stored.lost,
                            aside,
                        ),
                        opened_ms: stored.opened_ms,
                        revision: stored.revision,
                    }
                }
                None => Known { chain: Chain::default(), opened_ms: now, revision: 0 },
            },
        };
        let intake = Intake {
            chain: stored(device, chain, &known),
            add: Vec::new(),
            gaps: Vec::new(),
            conflicts: Vec::new(),
            faults: Vec::new(),
        };
        Ok(Work { known, intake, changed: false })
    }

    /// Places the records of one chain.
    async fn place(
        &self,
        work: &mut Work,
        records: Vec<Placeable>,
        tally: &mut Tally,
    ) -> Result<(), StoreError> {
        let (device, id) = (work.intake.chain.device.clone(), work.intake.chain.chain);
        let upto = work.known.chain.upto();
        let below: Vec<u64> =
            records.iter().map(|r| r.record.seq).filter(|seq| *seq <= upto).collect();
        let mut digests: BTreeMap<u64, Digest> = if below.is_empty() {
            BTreeMap::new()
        } else {
            self.store.digests(&device, &id, &below).await?
        };
        // What waits now may be passed by the end of this batch, and then come again in it.
        for record in &records {
            let seq = record.record.seq;
            digests.extend(work.known.chain.waiting_at(seq).map(|digest| (seq, digest)));
        }
        let mut add: BTreeMap<u64, StoredRecord> = BTreeMap::new();
        let chain = &mut work.known.chain;
        let before = chain.highest();
        for Placeable { mut record, link, lost } in records {
            let seq = record.seq;
            match chain.offer(seq, link, digests.get(&seq).copied()) {
                Placed::New => {
                    tally.stored += 1;
                    digests.insert(seq, record.digest);
                    if lost.is_some_and(|span| !chain.declare_lost(seq, span)) {
                        add_fault(&mut record, "lost");
                    }
                    add.insert(seq, record);
                }
                Placed::Duplicate => tally.duplicates += 1,
                Placed::Conflict { first } => {
                    tally.conflicts += 1;
                    work.intake.conflicts.push(Conflict { record, first });
                }
                Placed::Beyond => tally.deferred += 1,
            }
            // At once, so that what closes a gap makes room for what follows in the same batch.
            for broken in chain.settle() {
                match add.get_mut(&broken) {
                    Some(record) => add_fault(record, "prev"),
                    None => work.intake.faults.push((broken, "prev".to_owned())),
                }
            }
        }
        work.intake.gaps = chain.shown_missing(before, add.keys().copied());
        work.intake.add = add.into_values().collect();
        work.intake.chain = stored(&device, id, &work.known);
        work.changed = !(work.intake.add.is_empty() && work.intake.conflicts.is_empty());
        Ok(())
    }

    /// Signs a receipt for each chain touched, or finds the one it already has.
    async fn receipts(
        &mut self,
        touched: &[(DeviceId, ChainId)],
        works: &BTreeMap<(DeviceId, ChainId), Work>,
        now: UtcMs,
    ) -> Result<Vec<(StoredReceipt, bool)>, StoreError> {
        let mut receipts = Vec::with_capacity(touched.len());
        for key in touched {
            let Some(work) = works.get(key) else { continue };
            let (device, chain) = key;
            let upto = work.known.chain.upto();
            let known = self.receipt_of(device).await?;
            let same = |k: &StoredReceipt| k.chain == *chain && k.upto == upto;
            if let Some(known) = known.filter(|known| same(known) && self.signed(known)) {
                receipts.push((known, false));
                continue;
            }
            let (logged, checkpoint) = self.vouching.word(device, *chain);
            let receipt = Receipt {
                v: 1,
                aud: device.clone(),
                iat: now.numeric_date(),
                chain: *chain,
                upto,
                head: work.known.chain.head(),
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
            let receipt =
                StoredReceipt { device: device.clone(), chain: *chain, upto, made_ms: now, jws };
            receipts.push((receipt, true));
        }
        Ok(receipts)
    }

    pub(super) async fn receipt_of(
        &mut self,
        device: &DeviceId,
    ) -> Result<Option<StoredReceipt>, StoreError> {
        if let Some(known) = self.receipts.get(device).filter(|known| self.signed(known)) {
            return Ok(Some(known.clone()));
        }
        self.store.receipt_of(device).await
    }

    /// Says whether the key in use signed a receipt: devices refuse one of a key revoked since.
    fn signed(&self, receipt: &StoredReceipt) -> bool {
        let kept = jws::kept::<serde::de::IgnoredAny>(&receipt.jws, Typ::Receipt);
        kept.is_ok_and(|(kid, _)| kid == self.keys.in_use().keys.receipt.kid())
    }

    /// Remembers what is now committed.
    fn keep(
        &mut self,
        works: BTreeMap<(DeviceId, ChainId), Work>,
        receipts: &[(StoredReceipt, bool)],
        now: UtcMs,
    ) {
        if self.chains.len() > CHAINS {
            self.chains.clear();
            self.receipts.clear();
        }
        for ((device, chain), mut work) in works {
            self.asking.note(&device, chain, work.known.chain.gap(), now);
            work.known.revision += i64::from(work.changed);
            if work.known.revision > 0 {
                self.chains.insert((device, chain), work.known);
            }
        }
        for (receipt, _) in receipts {
            self.receipts.insert(receipt.device.clone(), receipt.clone());
        }
    }

    pub(super) fn publication(&self, receipt: &StoredReceipt) -> Publication {
        Publication {
            topic: self.topics.of(&Topic::Receipt(receipt.device.clone())),
            payload: Bytes::copy_from_slice(receipt.jws.as_bytes()),
            retain: true,
        }
    }
}

fn stored(device: &DeviceId, id: ChainId, known: &Known) -> StoredChain {
    let chain = &known.chain;
    StoredChain {
        device: device.clone(),
        chain: id,
        upto: chain.upto(),
        head: chain.head(),
        first_at_ms: chain.first_at_ms(),
        upto_at_ms: chain.upto_at_ms(),
        lost: chain.lost().to_vec(),
        opened_ms: known.opened_ms,
        revision: known.revision,
    }
}

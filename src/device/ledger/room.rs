//! What is deleted: receipted records in their time, and the oldest when the disk is full.

use super::chain::{Chain, Segment, remove};
use super::{KEEP_MS, Ledger, LedgerError};
use crate::domain::ids::ChainId;
use crate::domain::proof::record::Body;
use crate::domain::time::UtcMs;
use crate::wire::record as wire_record;

/// Which files may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spare {
    /// Those whose records nobody needs from here any more.
    Settled,
    /// The oldest, whatever it holds.
    Any,
}

impl Ledger {
    /// Deletes settled records older than 35 days.
    pub fn prune(&mut self, now: UtcMs) -> Result<(), LedgerError> {
        let before = now.plus(-KEEP_MS).0;
        let newest = self.chains.len().saturating_sub(1);
        for (index, chain) in self.chains.iter_mut().enumerate() {
            let upto = chain.settled(self.log_asked);
            let spare = usize::from(index == newest);
            while chain.segments.len() > spare {
                let old = chain.segments[0]
                    .entries
                    .iter()
                    .all(|entry| entry.seq <= upto && entry.at_ms < before);
                if !old {
                    break;
                }
                remove(&chain.segments[0].path)?;
                chain.segments.remove(0);
            }
        }
        let empty: Vec<ChainId> =
            self.chains[..newest].iter().filter(|c| c.segments.is_empty()).map(|c| c.id).collect();
        if !empty.is_empty() {
            self.chains.retain(|chain| !empty.contains(&chain.id));
            self.meta.chains.retain(|id| !empty.contains(id));
            self.meta.upto.retain(|id, _| !empty.contains(id));
            self.meta.logged.retain(|id, _| !empty.contains(id));
            self.save_meta()?;
        }
        Ok(())
    }

    /// Deletes the oldest files until the records take no more than they may.
    pub(super) fn keep_within_limit(&mut self) -> Result<(), LedgerError> {
        let used = |chains: &[Chain]| -> u64 {
            chains.iter().flat_map(|c| &c.segments).map(|s| s.bytes as u64).sum()
        };
        while used(&self.chains) > self.config.most_bytes {
            if !(self.drop_oldest(Spare::Settled)? || self.drop_oldest(Spare::Any)?) {
                break;
            }
        }
        Ok(())
    }

    /// Deletes the oldest file but the one that is written to, perhaps only one whose records
    /// are all settled; says whether there was one. What no receipt covers is declared lost later.
    pub(super) fn drop_oldest(&mut self, which: Spare) -> Result<bool, LedgerError> {
        let asked = self.log_asked;
        let newest = self.chains.len().saturating_sub(1);
        let found = self.chains.iter().enumerate().position(|(index, chain)| {
            let spare = usize::from(index == newest);
            let settled = chain.settled(asked);
            let done = |segment: &Segment| segment.entries.iter().all(|e| e.seq <= settled);
            chain.segments.len() > spare && (which == Spare::Any || done(&chain.segments[0]))
        });
        let Some(index) = found else { return Ok(false) };
        let chain = &self.chains[index];
        let segment = &chain.segments[0];
        let gone = segment.entries.iter().filter(|e| e.seq > chain.upto).count() as u64;
        if let (true, Some(first), Some(last)) =
            (gone > 0, segment.entries.first(), segment.entries.last())
        {
            let text = chain.text(last.seq)?.unwrap_or_default();
            let from = first.seq.max(chain.upto + 1);
            let hash = wire_record::digest(&text);
            self.dropped.push(Body::Lost { from, to: last.seq, n: gone, hash });
        }
        remove(&segment.path)?;
        self.chains[index].segments.remove(0);
        Ok(true)
    }
}

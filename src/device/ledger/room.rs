//! What is deleted: receipted records in their time, and the oldest when the disk is full.

use super::chain::remove;
use super::{KEEP_MS, Ledger, LedgerError};
use crate::domain::ids::ChainId;
use crate::domain::proof::record::Body;
use crate::domain::time::UtcMs;
use crate::wire::record as wire_record;

impl Ledger {
    /// Deletes receipted records older than 35 days.
    pub fn prune(&mut self, now: UtcMs) -> Result<(), LedgerError> {
        let before = now.plus(-KEEP_MS).0;
        let newest = self.chains.len().saturating_sub(1);
        for (index, chain) in self.chains.iter_mut().enumerate() {
            let upto = chain.upto;
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
            self.save_meta()?;
        }
        Ok(())
    }

    /// Deletes the oldest files until `more` bytes fit: receipted ones first; returns what is to
    /// be declared lost.
    pub(super) fn make_room(&mut self, more: u64) -> Result<Vec<Body>, LedgerError> {
        let mut lost = Vec::new();
        let mut used: u64 =
            self.chains.iter().flat_map(|c| &c.segments).map(|s| s.bytes as u64).sum();
        // A full disk shows as an error of `append`: then at least one file goes.
        let mut at_least = u32::from(more > 0);
        while used.saturating_add(more) > self.config.most_bytes || at_least > 0 {
            let newest = self.chains.len().saturating_sub(1);
            let receipted = self.chains.iter().position(|c| {
                c.segments.first().is_some_and(|s| s.entries.iter().all(|e| e.seq <= c.upto))
            });
            let oldest = self.chains.iter().position(|c| !c.segments.is_empty());
            let Some(index) = receipted.or(oldest) else { break };
            let spare = usize::from(index == newest);
            if self.chains[index].segments.len() <= spare {
                break;
            }
            let chain = &self.chains[index];
            let segment = &chain.segments[0];
            let gone = segment.entries.iter().filter(|e| e.seq > chain.upto).count() as u64;
            if let (true, Some(first), Some(last)) =
                (gone > 0, segment.entries.first(), segment.entries.last())
            {
                let text = chain.text(last.seq)?.unwrap_or_default();
                let from = first.seq.max(chain.upto + 1);
                let hash = wire_record::digest(&text);
                lost.push(Body::Lost { from, to: last.seq, n: gone, hash });
            }
            used = used.saturating_sub(segment.bytes as u64);
            remove(&segment.path)?;
            self.chains[index].segments.remove(0);
            at_least = 0;
        }
        Ok(lost)
    }
}

//! What is read back from the ledger: stretches to send, records to resume from.

use super::chain::Chain;
use super::delivery::Span;
use super::{Ledger, LedgerError};
use crate::domain::ids::Digest;
use crate::domain::proof::record::{Body, Record};
use crate::wire::jws::{OneKey, Role};
use crate::wire::record as wire_record;

impl Ledger {
    /// Returns the oldest stretch without a receipt; older chains come first.
    pub fn waiting(&self) -> Option<Span> {
        self.chains.iter().find_map(|chain| {
            let first = chain.entries().find(|entry| entry.seq > chain.upto)?;
            Some(Span { chain: chain.id, from: first.seq, to: chain.last })
        })
    }

    /// Returns the newest record of each chain that the server holds and no checkpoint covers yet:
    /// sent again, it brings a receipt that may name one.
    pub fn unvouched(&self) -> Vec<Span> {
        let asked = self.chains.iter().filter(|_| self.log_asked);
        let spans = asked.filter_map(|chain| {
            let waits = |e: &&super::frame::Entry| chain.logged < e.seq && e.seq <= chain.upto;
            let newest = chain.entries().filter(waits).last()?;
            Some(Span { chain: chain.id, from: newest.seq, to: newest.seq })
        });
        spans.collect()
    }

    /// Returns a batch of a stretch and the number of its last record; `None` when nothing of it
    /// is held.
    pub fn batch(&self, span: Span) -> Result<Option<(Vec<u8>, u64)>, LedgerError> {
        let Some(chain) = self.chains.iter().find(|c| c.id == span.chain) else { return Ok(None) };
        let mut texts = Vec::new();
        let mut bytes = 0;
        for entry in chain.entries().filter(|e| span.from <= e.seq && e.seq <= span.to) {
            bytes += entry.len + 1;
            if bytes > crate::wire::limits::BATCH_BYTES && !texts.is_empty() {
                break;
            }
            let Some(text) = chain.text(entry.seq)? else { break };
            texts.push((entry.seq, text));
        }
        let (body, taken) = wire_record::batch(texts.iter().map(|(_, text)| text.as_str()));
        Ok(taken.checked_sub(1).map(|last| (body, texts[last].0)))
    }

    /// Returns the part of a stretch that is not held any more and lies before what is, as the
    /// body that declares it.
    pub fn missing(&self, span: Span) -> Option<Body> {
        let chain = self.chains.iter().find(|c| c.id == span.chain)?;
        let first = chain.entries().next()?;
        if span.from >= first.seq {
            return None;
        }
        let to = span.to.min(first.seq - 1);
        let text = chain.text(first.seq).ok()??;
        let hash = self.read(&text).and_then(|r| r.head.prev).unwrap_or(Digest([0; 32]));
        Some(Body::Lost { from: span.from, to, n: to - span.from + 1, hash })
    }

    /// Returns the records of the last stretch before the newest one, oldest first.
    pub fn recent(&self, stretch_ms: i64) -> Result<Vec<Record>, LedgerError> {
        let all = || self.chains.iter().flat_map(Chain::entries);
        let newest = all().map(|entry| entry.at_ms).max().unwrap_or(i64::MIN);
        let from = newest.saturating_sub(stretch_ms);
        let mut records = Vec::new();
        for chain in &self.chains {
            for entry in chain.entries().filter(|entry| entry.at_ms >= from) {
                records.extend(chain.text(entry.seq)?.and_then(|text| self.read(&text)));
            }
        }
        Ok(records)
    }

    fn read(&self, text: &str) -> Option<Record> {
        let keys = OneKey { key: self.config.key.public(), role: Role::Device };
        wire_record::open(text, &keys).ok().map(|opened| opened.claims)
    }
}

//! Counts refusals, so that garbage can neither wear out a flash nor flood the evidence. Pure.
//!
//! One record per topic, reason and hour, with the number and the first hash. Documents signed by
//! a key that is not known yet are parked, one per topic, and judged again at each new epoch.

use crate::domain::ids::Digest;
use crate::domain::proof::record::Body;
use crate::domain::time::UtcMs;
use bytes::Bytes;
use std::collections::BTreeMap;

const HOUR_MS: i64 = 3_600_000;
/// Different refusals counted at a time; beyond, they are counted under one name.
const KINDS: usize = 64;
/// Topics with a parked document.
const PARKED: usize = 16;

#[derive(Debug)]
struct Count {
    n: u64,
    first: Digest,
    from: UtcMs,
    from_mono: i64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Refusals {
    counts: BTreeMap<(String, &'static str), Count>,
    parked: BTreeMap<String, Bytes>,
}

impl Refusals {
    /// Counts a refusal.
    pub fn count(
        &mut self,
        topic: &str,
        reason: &'static str,
        bytes: &[u8],
        now: UtcMs,
        mono_ms: i64,
    ) {
        let mut name = (topic.chars().take(200).collect(), reason);
        if self.counts.len() >= KINDS && !self.counts.contains_key(&name) {
            name = ("other".to_owned(), "other");
        }
        let fresh = || Count { n: 0, first: Digest::of(bytes), from: now, from_mono: mono_ms };
        let count = self.counts.entry(name).or_insert_with(fresh);
        count.n = count.n.saturating_add(1);
    }

    /// Keeps a document for the next key epoch; a newer one of the same topic replaces it.
    pub fn park(&mut self, topic: &str, bytes: Bytes) {
        if self.parked.len() < PARKED || self.parked.contains_key(topic) {
            self.parked.insert(topic.to_owned(), bytes);
        }
    }

    /// Takes what was parked, to be judged again.
    pub fn unpark(&mut self) -> BTreeMap<String, Bytes> {
        std::mem::take(&mut self.parked)
    }

    /// Returns the records of hours that are over.
    pub fn over(&mut self, mono_ms: i64) -> Vec<Body> {
        self.take(|count| mono_ms.saturating_sub(count.from_mono) >= HOUR_MS)
    }

    /// Returns the records of everything counted: the program ends.
    pub fn all(&mut self) -> Vec<Body> {
        self.take(|_| true)
    }

    fn take(&mut self, which: impl Fn(&Count) -> bool) -> Vec<Body> {
        let mut bodies = Vec::new();
        self.counts.retain(|(topic, reason), count| {
            if !which(count) {
                return true;
            }
            bodies.push(Body::Refuse {
                topic: topic.clone(),
                reason: (*reason).to_owned(),
                n: count.n,
                first: count.first,
                from_ms: count.from,
            });
            false
        });
        bodies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_garbage_costs_one_record_an_hour() {
        let mut refusals = Refusals::default();
        for n in 0..10_000 {
            refusals.count("loa/1/x", "signature", &[1], UtcMs(n), n);
        }
        assert_eq!(refusals.over(HOUR_MS - 1), []);
        let (first, from_ms) = (Digest::of(&[1]), UtcMs(0));
        let (topic, reason) = ("loa/1/x".to_owned(), "signature".to_owned());
        assert_eq!(
            refusals.over(HOUR_MS),
            [Body::Refuse { topic, reason, n: 10_000, first, from_ms }]
        );
        assert_eq!(refusals.all(), []);
    }

    #[test]
    fn many_kinds_are_counted_under_one_name_and_one_document_is_parked_per_topic() {
        let mut refusals = Refusals::default();
        for n in 0..1_000 {
            refusals.count(&n.to_string(), "json", &[], UtcMs(0), 0);
            refusals.park(&n.to_string(), Bytes::from_static(b"old"));
        }
        assert!(refusals.all().len() <= KINDS + 1);
        refusals.park("0", Bytes::from_static(b"new"));
        let parked = refusals.unpark();
        assert_eq!(parked.len(), PARKED);
        assert_eq!(parked["0"], Bytes::from_static(b"new"));
    }
}

//! Leaves of records that were just committed: the log takes them from here instead of reading
//! each row back.
//!
//! # Invariants
//! * What is here was committed under these very numbers: a shard that begins moves numbers, so
//!   leaves are kept with the number of shards that there were, and count only while it is the same.
//! * Bounded in bytes; the oldest go first, and the store has them all the same.
//! * Nothing is kept before somebody has asked once: only the process that logs does.

use crate::app::logbook;
use crate::app::ports::{StoreError, StoredRecord, Via};
use crate::domain::time::UtcMs;
use crate::log::leaf::Leaf;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of records kept.
const BYTES: usize = 16 << 20;

#[derive(Debug)]
struct Row {
    received_ms: UtcMs,
    via: Via,
    jws: Arc<str>,
}

/// A run of leaves without a gap, the newest last.
#[derive(Debug, Default)]
struct Kept {
    asked: bool,
    shards: i64,
    /// Number of the first.
    first: i64,
    rows: VecDeque<Row>,
    bytes: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Fresh(Mutex<Kept>);

impl Fresh {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps records that are committed now, the first as leaf `first`, when there were so many
    /// shards.
    pub fn keep(&self, shards: i64, first: i64, records: &[&StoredRecord]) {
        let mut kept = self.kept();
        if !kept.asked {
            return;
        }
        let next = kept.first.saturating_add(i64::try_from(kept.rows.len()).unwrap_or(i64::MAX));
        if kept.shards != shards || next != first {
            *kept = Kept { asked: true, shards, first, ..Kept::default() };
        }
        for record in records {
            kept.bytes += record.jws.len();
            let (received_ms, via) = (record.received_ms, record.via);
            kept.rows.push_back(Row { received_ms, via, jws: record.jws.clone() });
        }
        while kept.bytes > BYTES {
            kept.drop_first();
        }
    }

    /// Returns the leaves from a number on, at most so many, as far as they are here.
    pub fn leaves(&self, shards: i64, from: i64, most: usize) -> Result<Vec<Leaf>, StoreError> {
        let mut kept = self.kept();
        kept.asked = true;
        if kept.shards != shards {
            return Ok(Vec::new());
        }
        let Some(skip) = from.checked_sub(kept.first).and_then(|skip| usize::try_from(skip).ok())
        else {
            return Ok(Vec::new());
        };
        let rows = kept.rows.iter().skip(skip).take(most);
        rows.map(|row| logbook::received(row.received_ms, row.via, &row.jws)).collect()
    }

    /// Returns the number of the first leaf that is here.
    pub fn first(&self, shards: i64) -> Option<i64> {
        let kept = self.kept();
        (kept.shards == shards && !kept.rows.is_empty()).then_some(kept.first)
    }

    /// Forgets what is logged.
    pub fn forget(&self, upto: i64) {
        let mut kept = self.kept();
        while kept.first <= upto && !kept.rows.is_empty() {
            kept.drop_first();
        }
    }
}

impl Kept {
    fn drop_first(&mut self) {
        if let Some(row) = self.rows.pop_front() {
            self.bytes = self.bytes.saturating_sub(row.jws.len());
            self.first = self.first.saturating_add(1);
        }
    }
}

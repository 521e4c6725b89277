//! Deletes evidence that is older than the configured period, and nothing else ever does.
//!
//! # Invariants
//! * What was received within the period stays, and with it everything a chain still needs: its
//!   head and what lies beyond a gap.
//! * A clock that runs ahead deletes nothing early: the period is counted back from the newest
//!   record, not from a clock that left it far behind.

use super::ports::{Evidence, Page, Plans, RecordFilter, StoreError};
use crate::domain::time::UtcMs;
use chrono::Months;
use tracing::info;

/// How far the clock may be ahead of the newest record before the record is believed instead.
const AHEAD_MS: i64 = 7 * 86_400_000;

/// Fewer months than this are never kept, whatever is asked.
pub const FEWEST_MONTHS: u32 = 12;

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Records, conflicts and rejects.
    pub evidence: u64,
    /// Versions of schedules that were replaced before the period, and their sheets.
    pub schedules: u64,
}

/// Returns the instant before which evidence may go.
pub fn horizon(now: UtcMs, newest_received: UtcMs, months: u32) -> UtcMs {
    let today = now.min(newest_received.plus(AHEAD_MS));
    let months = Months::new(months.max(FEWEST_MONTHS));
    // A day more, so that no zone and no length of a month cuts the period short.
    let kept = today.datetime().checked_sub_months(months).map_or(UtcMs(0), UtcMs::from);
    kept.plus(-86_400_000)
}

/// Deletes what is older than so many months.
pub async fn sweep<S: Evidence + Plans + ?Sized>(
    store: &S,
    now: UtcMs,
    months: u32,
) -> Result<Swept, StoreError> {
    let newest = store.records(&RecordFilter::default(), Page::Newest { limit: 1 }).await?;
    let Some(newest) = newest.first() else { return Ok(Swept::default()) };
    let before = horizon(now, newest.record.received_ms, months);
    let swept = Swept {
        evidence: store.forget_before(before).await?,
        schedules: store.forget_plans_before(before).await?,
    };
    if swept != Swept::default() {
        let (evidence, schedules) = (swept.evidence, swept.schedules);
        info!(months, evidence, schedules, "Deleted what is older than the configured period");
    }
    Ok(swept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::ingest::tests::Signer;
    use crate::app::ports::*;
    use crate::log::leaf::{Leaf, ServerBody};
    use crate::store::memory::MemoryStore;
    use proptest::prelude::*;

    const DAY: i64 = 86_400_000;
    const NOW: UtcMs = UtcMs(1_900_000_000_000);

    async fn with_records(ages_days: &[i64]) -> MemoryStore {
        let store = MemoryStore::default();
        let loa = Signer::new("loa-1", 1);
        loa.enrol(&store).await;
        let mut chain = StoredChain {
            device: loa.id.clone(),
            chain: loa.chain,
            upto: 0,
            head: None,
            first_at_ms: None,
            upto_at_ms: None,
            opened_ms: NOW,
            lost: vec![],
            revision: 0,
        };
        for (seq, age) in (1..).zip(ages_days) {
            chain.upto = seq;
            let record = StoredRecord {
                device: loa.id.clone(),
                chain: loa.chain,
                seq,
                digest: crate::domain::ids::Digest::of(&seq.to_be_bytes()),
                prev: None,
                kid: String::new(),
                kind: "beat".into(),
                cue: None,
                jti: None,
                at_ms: UtcMs(0),
                received_ms: NOW.plus(-age * DAY),
                via: Via::Link,
                fault: None,
                jws: "x".into(),
            };
            let intake = Intake {
                chain: chain.clone(),
                add: vec![record],
                gaps: vec![],
                conflicts: vec![],
                faults: vec![],
            };
            let round = IntakeRound { intakes: vec![intake], ..IntakeRound::default() };
            store.commit_intake(&round, &[]).await.unwrap();
            chain.revision += 1;
        }
        let first = ServerBody::Shard { previous: None };
        let first = Leaf::server(NOW, &first).unwrap();
        store.begin_shard("2030", &first, 0, None).await.unwrap();
        store.note_logged("2030", store.newest_leaf().await.unwrap(), None).await.unwrap();
        store
    }

    async fn left(store: &MemoryStore) -> Vec<u64> {
        let all = RecordFilter::default();
        let listed = store.records(&all, Page::After { position: 0, limit: 99 }).await.unwrap();
        listed.iter().map(|listed| listed.record.seq).collect()
    }

    #[tokio::test]
    async fn what_is_older_than_the_period_goes_and_the_rest_stays() {
        let store = with_records(&[900, 800, 733, 729, 400, 0]).await;
        let swept = sweep(&store, NOW, 24).await.unwrap();
        assert_eq!((swept.evidence, left(&store).await), (3, vec![4, 5, 6]));
        assert_eq!(sweep(&store, NOW, 24).await.unwrap(), Swept::default());
    }

    #[tokio::test]
    async fn a_clock_that_jumps_ahead_deletes_nothing_early() {
        let store = with_records(&[700, 300, 0]).await;
        let swept = sweep(&store, NOW.plus(20 * 365 * DAY), 24).await.unwrap();
        assert_eq!((swept.evidence, left(&store).await), (0, vec![1, 2, 3]));
    }

    #[tokio::test]
    async fn less_than_a_year_is_never_the_period() {
        let store = with_records(&[400, 360, 0]).await;
        sweep(&store, NOW, 0).await.unwrap();
        assert_eq!(left(&store).await, [2, 3]);
    }

    proptest! {
        #[test]
        fn nothing_younger_than_the_period_is_before_the_horizon(
            now in 0_i64..4_000_000_000_000,
            received in 0_i64..4_000_000_000_000,
            months in 0_u32..300,
        ) {
            let horizon = horizon(UtcMs(now), UtcMs(received), months);
            // A month has at least 28 days, a year at least 365.
            let kept = i64::from(months.max(FEWEST_MONTHS)) * 365 / 12;
            prop_assert!(horizon <= UtcMs(now).plus(-(kept - 3) * DAY));
        }
    }
}

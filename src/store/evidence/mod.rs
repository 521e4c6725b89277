//! Records, chains, conflicts, rejects, receipts.

mod read;
mod write;

pub(super) use write::count;

use super::logbook::{add_records, newest, newest_record, say, shards_now};
use super::rows::{Columns, big};
use super::{Records, SqliteStore, commit, failed, guard};
use crate::app::ports::{
    Conflict, Enclosure, Evidence, EvidenceCounts, Fence, IntakeRound, Listed, Logbook as _, Page,
    RecordFilter, Reject, Signed, StoreError, StoredChain, StoredReceipt,
};
use crate::domain::ids::{ChainId, DeviceId, Digest};
use crate::domain::proof::chain::Link;
use crate::domain::time::UtcMs;
use async_trait::async_trait;
pub(super) use read::record;
use read::{chain, receipt};
use sqlx::{QueryBuilder, Sqlite};
use std::collections::BTreeMap;
use write::{put_chain, put_conflict, put_fault, put_receipt, put_records, put_rejects};

/// Rows of one `INSERT`: far below the limit on parameters of both databases.
const ROWS_AT_ONCE: usize = 200;

/// Rejects kept of one device: a broken one must not fill the disk.
pub(super) const REJECTS_KEPT: usize = 200;

/// Records with what tells how tightly their times are enclosed.
pub(super) const LISTED: &str = "SELECT records.*, log_leaves.number AS leaf, \
     late_records.record AS late, late_records.width_ms AS width_ms FROM records \
     LEFT JOIN log_leaves ON log_leaves.record = records.position \
     LEFT JOIN late_records ON late_records.record = records.position";

impl SqliteStore {
    /// Reads the rows of a query that begins with [`LISTED`].
    pub(super) async fn listed(
        &self,
        mut query: QueryBuilder<Sqlite>,
    ) -> Result<Vec<Listed>, StoreError> {
        // Read first: what is judged meanwhile is called open, never the other way round.
        let judged = self.enclosed_up_to().await?;
        let rows = query.build().fetch_all(&self.read).await.map_err(failed("list records"))?;
        let listed = rows.iter().map(|row| {
            let columns = Columns::new(row, "record");
            let late: Option<i64> = columns.get("late")?;
            let leaf: Option<i64> = columns.get("leaf")?;
            let time = match late {
                Some(_) => Enclosure::Late { width_ms: columns.get("width_ms")? },
                None if leaf.is_some_and(|leaf| leaf <= judged) => Enclosure::Tight,
                None => Enclosure::Open,
            };
            Ok(Listed { position: columns.get("position")?, record: record(row)?, time })
        });
        listed.collect()
    }
}

#[async_trait]
impl Evidence for SqliteStore {
    async fn chain(
        &self,
        device: &DeviceId,
        id: &ChainId,
    ) -> Result<Option<StoredChain>, StoreError> {
        let row = sqlx::query("SELECT * FROM chains WHERE device = $1 AND chain = $2")
            .bind(device.as_str())
            .bind(&id.0[..])
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read a chain"))?;
        row.as_ref().map(chain).transpose()
    }

    async fn chains_of(&self, device: &DeviceId) -> Result<Vec<StoredChain>, StoreError> {
        let rows = sqlx::query("SELECT * FROM chains WHERE device = $1 ORDER BY opened_ms, chain")
            .bind(device.as_str())
            .fetch_all(&self.read)
            .await
            .map_err(failed("read chains"))?;
        rows.iter().map(chain).collect()
    }

    async fn aside(
        &self,
        device: &DeviceId,
        chain: &ChainId,
        after: u64,
    ) -> Result<BTreeMap<u64, Link>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, digest, prev, at_ms FROM records \
             WHERE device = $1 AND chain = $2 AND seq > $3 ORDER BY seq",
        )
        .bind(device.as_str())
        .bind(&chain.0[..])
        .bind(big(after))
        .fetch_all(&self.read)
        .await
        .map_err(failed("read records beyond a gap"))?;
        let found = rows.iter().map(|row| {
            let row = Columns::new(row, "record");
            let aside = Link {
                digest: row.digest("digest")?,
                prev: row.digest_option("prev")?,
                at_ms: row.at("at_ms")?,
            };
            Ok((row.int("seq")?, aside))
        });
        found.collect()
    }

    async fn digests(
        &self,
        device: &DeviceId,
        chain: &ChainId,
        seqs: &[u64],
    ) -> Result<BTreeMap<u64, Digest>, StoreError> {
        let mut found = BTreeMap::new();
        for part in seqs.chunks(ROWS_AT_ONCE) {
            let mut query =
                QueryBuilder::<Sqlite>::new("SELECT seq, digest FROM records WHERE device = ");
            query.push_bind(device.as_str()).push(" AND chain = ").push_bind(&chain.0[..]);
            query.push(" AND seq IN (");
            let mut list = query.separated(", ");
            for seq in part {
                list.push_bind(big(*seq));
            }
            query.push(")");
            let rows = query.build().fetch_all(&self.read).await.map_err(failed("read digests"))?;
            for row in &rows {
                let row = Columns::new(row, "record");
                found.insert(row.int("seq")?, row.digest("digest")?);
            }
        }
        Ok(found)
    }

    async fn commit_intake(&self, round: &IntakeRound, fences: &[Fence]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        guard(&mut tx, fences).await?;
        for intake in &round.intakes {
            put_chain(&mut tx, &intake.chain).await?;
        }
        let records: Vec<_> = round.intakes.iter().flat_map(|intake| &intake.add).collect();
        let logged = self.records == Records::Logged;
        let mut fresh = None;
        if !records.is_empty() {
            let before = newest_record(&mut tx).await?;
            put_records(&mut tx, &records).await?;
            if logged {
                let first = add_records(&mut tx, before).await?;
                fresh = Some((shards_now(&mut tx).await?, first));
            }
        }
        for leaf in round.intakes.iter().filter(|_| logged).map(crate::app::logbook::missing) {
            for leaf in &leaf? {
                say(&mut tx, leaf).await?;
            }
        }
        let mut conflicts = 0;
        let mut faulty = records.iter().filter(|record| record.fault.is_some()).count() as u64;
        for intake in &round.intakes {
            for conflict in &intake.conflicts {
                let new = put_conflict(&mut tx, conflict).await?;
                conflicts += new;
                for leaf in crate::app::logbook::conflict(conflict)?.iter().filter(|_| new > 0) {
                    say(&mut tx, leaf).await?;
                }
            }
            for (seq, fault) in &intake.faults {
                faulty += put_fault(&mut tx, &intake.chain, *seq, fault).await?;
            }
        }
        let rejects = put_rejects(&mut tx, &round.rejects).await?;
        for (name, n) in [
            ("records", records.len() as u64),
            ("faulty", faulty),
            ("conflicts", conflicts),
            ("rejects", rejects),
        ] {
            count(&mut tx, name, n).await?;
        }
        if !round.receipts.is_empty() {
            let leaf = newest(&mut tx).await?;
            for receipt in &round.receipts {
                put_receipt(&mut tx, receipt, leaf).await?;
            }
        }
        commit(tx).await?;
        if let Some((shards, first)) = fresh {
            self.fresh.keep(shards, first, &records);
        }
        Ok(())
    }

    async fn receipt_of(&self, device: &DeviceId) -> Result<Option<StoredReceipt>, StoreError> {
        let row = sqlx::query("SELECT * FROM receipts WHERE device = $1")
            .bind(device.as_str())
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read a receipt"))?;
        row.as_ref().map(receipt).transpose()
    }

    async fn receipts(&self) -> Result<Vec<StoredReceipt>, StoreError> {
        let rows = sqlx::query("SELECT * FROM receipts ORDER BY device")
            .fetch_all(&self.read)
            .await
            .map_err(failed("read receipts"))?;
        rows.iter().map(receipt).collect()
    }

    async fn records(&self, filter: &RecordFilter, page: Page) -> Result<Vec<Listed>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(LISTED);
        query.push(" WHERE 1 = 1");
        if let Some(device) = &filter.device {
            query.push(" AND device = ").push_bind(device.as_str());
        }
        if let Some(from) = filter.from_ms {
            query.push(" AND at_ms >= ").push_bind(from.0);
        }
        if let Some(to) = filter.to_ms {
            query.push(" AND at_ms < ").push_bind(to.0);
        }
        if let Some(kind) = &filter.kind {
            query.push(" AND kind = ").push_bind(kind);
        }
        if let Some(jti) = &filter.jti {
            query.push(" AND jti = ").push_bind(jti);
        }
        if let Some(cue) = &filter.cue {
            query.push(" AND cue = ").push_bind(&cue.0[..]);
        }
        match page {
            Page::Newest { limit } => {
                query.push(" ORDER BY position DESC LIMIT ").push_bind(i64::from(limit));
            }
            Page::After { position, limit } => {
                query.push(" AND position > ").push_bind(position);
                query.push(" ORDER BY position LIMIT ").push_bind(i64::from(limit));
            }
        }
        self.listed(query).await
    }

    async fn conflicts(&self, limit: u32) -> Result<Vec<Conflict>, StoreError> {
        let rows = sqlx::query("SELECT * FROM conflicts ORDER BY position DESC LIMIT $1")
            .bind(i64::from(limit))
            .fetch_all(&self.read)
            .await
            .map_err(failed("list conflicts"))?;
        let conflicts = rows.iter().map(|row| {
            let first = Columns::new(row, "conflict").digest("first")?;
            Ok(Conflict { record: record(row)?, first })
        });
        conflicts.collect()
    }

    async fn rejects(&self, limit: u32) -> Result<Vec<Reject>, StoreError> {
        let rows = sqlx::query("SELECT * FROM rejects ORDER BY position DESC LIMIT $1")
            .bind(i64::from(limit))
            .fetch_all(&self.read)
            .await
            .map_err(failed("list rejects"))?;
        let rejects = rows.iter().map(|row| {
            let row = Columns::new(row, "reject");
            Ok(Reject {
                device: row.parse("device")?,
                received_ms: row.at("received_ms")?,
                reason: row.text("reason")?,
                digest: row.digest("digest")?,
                bytes: row.get("bytes")?,
                signed: if row.get::<i64>("signed")? == 0 { Signed::No } else { Signed::Yes },
            })
        });
        rejects.collect()
    }

    async fn evidence_counts(&self) -> Result<EvidenceCounts, StoreError> {
        let rows: Vec<(String, i64)> = sqlx::query_as("SELECT name, n FROM counters")
            .fetch_all(&self.read)
            .await
            .map_err(failed("count evidence"))?;
        let mut counts = EvidenceCounts::default();
        for (name, n) in rows {
            let n = u64::try_from(n).unwrap_or_default();
            match name.as_str() {
                "records" => counts.records = n,
                "faulty" => counts.faulty = n,
                "conflicts" => counts.conflicts = n,
                "rejects" => counts.rejects = n,
                "late" => counts.late = n,
                _ => {}
            }
        }
        Ok(counts)
    }

    async fn forget_before(&self, before: UtcMs) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        // What lies beyond a gap and the head of each chain stay: the next link is judged by them.
        // So does what is not logged yet.
        let records = sqlx::query(
            "DELETE FROM records WHERE received_ms < $1 AND seq < (SELECT c.upto FROM chains c \
             WHERE c.device = records.device AND c.chain = records.chain) \
             AND position < COALESCE((SELECT record FROM log_leaves \
             WHERE number > (SELECT COALESCE(MAX(logged), 0) FROM log_shards) \
             AND record IS NOT NULL ORDER BY number LIMIT 1), $2)",
        )
        .bind(before.0)
        .bind(i64::MAX)
        .execute(&mut *tx)
        .await
        .map_err(failed("forget old records"))?;
        let conflicts = sqlx::query("DELETE FROM conflicts WHERE received_ms < $1")
            .bind(before.0)
            .execute(&mut *tx)
            .await
            .map_err(failed("forget old conflicts"))?;
        let strays = sqlx::query("DELETE FROM rejects WHERE received_ms < $1")
            .bind(before.0)
            .execute(&mut *tx)
            .await
            .map_err(failed("forget old rejects"))?;
        commit(tx).await?;
        Ok(records.rows_affected() + conflicts.rows_affected() + strays.rows_affected())
    }
}

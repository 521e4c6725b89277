//! Records, chains, conflicts, rejects, receipts.

use super::rows::{Columns, big, json};
use super::{SqliteStore, commit, failed, guard};
use crate::app::ports::{
    Conflict, Evidence, EvidenceCounts, Fence, IntakeRound, Listed, Page, RecordFilter, Reject,
    Signed, StoreError, StoredChain, StoredReceipt, StoredRecord, Via,
};
use crate::domain::ids::{ChainId, DeviceId, Digest};
use crate::domain::proof::chain::Link;
use crate::domain::time::UtcMs;
use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use std::collections::BTreeMap;

/// Rows of one `INSERT`: far below the limit on parameters of both databases.
const ROWS_AT_ONCE: usize = 200;

/// Rejects kept of one device: a broken one must not fill the disk.
pub(super) const REJECTS_KEPT: usize = 200;

fn via(via: Via) -> &'static str {
    match via {
        Via::Link => "link",
        Via::Import => "import",
    }
}

fn record(row: &SqliteRow) -> Result<StoredRecord, StoreError> {
    let row = Columns::new(row, "record");
    Ok(StoredRecord {
        device: row.parse("device")?,
        chain: row.chain("chain")?,
        seq: row.int("seq")?,
        digest: row.digest("digest")?,
        prev: row.digest_option("prev")?,
        kid: row.text("kid")?,
        kind: row.text("kind")?,
        cue: row.cue_option("cue")?,
        at_ms: row.at("at_ms")?,
        received_ms: row.at("received_ms")?,
        via: match row.get("via")? {
            "link" => Via::Link,
            "import" => Via::Import,
            _ => return Err(row.damaged("via")),
        },
        fault: row.get("fault")?,
        jws: row.get::<&str>("jws")?.into(),
    })
}

fn chain(row: &SqliteRow) -> Result<StoredChain, StoreError> {
    let row = Columns::new(row, "chain");
    Ok(StoredChain {
        device: row.parse("device")?,
        chain: row.chain("chain")?,
        upto: row.int("upto")?,
        head: row.digest_option("head")?,
        first_at_ms: row.at_option("first_at_ms")?,
        upto_at_ms: row.at_option("upto_at_ms")?,
        opened_ms: row.at("opened_ms")?,
        lost: row.json("lost")?,
        revision: row.get("revision")?,
    })
}

fn receipt(row: &SqliteRow) -> Result<StoredReceipt, StoreError> {
    let row = Columns::new(row, "receipt");
    Ok(StoredReceipt {
        device: row.parse("device")?,
        chain: row.chain("chain")?,
        upto: row.int("upto")?,
        made_ms: row.at("made_ms")?,
        jws: row.get::<&str>("jws")?.into(),
    })
}

async fn put_chain(conn: &mut SqliteConnection, chain: &StoredChain) -> Result<(), StoreError> {
    let sql = if chain.revision == 0 {
        "INSERT INTO chains (device, chain, upto, head, first_at_ms, upto_at_ms, opened_ms, \
         lost, revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9 + 1) \
         ON CONFLICT (device, chain) DO NOTHING"
    } else {
        "UPDATE chains SET upto = $3, head = $4, first_at_ms = $5, upto_at_ms = $6, \
         opened_ms = $7, lost = $8, revision = $9 + 1 \
         WHERE device = $1 AND chain = $2 AND revision = $9"
    };
    let done = sqlx::query(sql)
        .bind(chain.device.as_str())
        .bind(&chain.chain.0[..])
        .bind(big(chain.upto))
        .bind(chain.head.as_ref().map(|head| &head.0[..]))
        .bind(chain.first_at_ms.map(|at| at.0))
        .bind(chain.upto_at_ms.map(|at| at.0))
        .bind(chain.opened_ms.0)
        .bind(json(&chain.lost))
        .bind(chain.revision)
        .execute(conn)
        .await
        .map_err(failed("keep where a chain stands"))?;
    if done.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::Stale { what: "chain", key: chain.chain.to_string() })
    }
}

async fn put_records(
    conn: &mut SqliteConnection,
    records: &[&StoredRecord],
) -> Result<(), StoreError> {
    for part in records.chunks(ROWS_AT_ONCE) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO records (device, chain, seq, digest, prev, kid, kind, cue, at_ms, \
             received_ms, via, fault, jws) ",
        );
        query.push_values(part, |mut row, record| {
            row.push_bind(record.device.as_str())
                .push_bind(&record.chain.0[..])
                .push_bind(big(record.seq))
                .push_bind(&record.digest.0[..])
                .push_bind(record.prev.as_ref().map(|prev| &prev.0[..]))
                .push_bind(&record.kid)
                .push_bind(&record.kind)
                .push_bind(record.cue.as_ref().map(|cue| &cue.0[..]))
                .push_bind(record.at_ms.0)
                .push_bind(record.received_ms.0)
                .push_bind(via(record.via))
                .push_bind(record.fault.as_deref())
                .push_bind(&*record.jws);
        });
        query.build().execute(&mut *conn).await.map_err(failed("keep records"))?;
    }
    Ok(())
}

async fn put_conflict(conn: &mut SqliteConnection, conflict: &Conflict) -> Result<u64, StoreError> {
    let record = &conflict.record;
    let done = sqlx::query(
        "INSERT INTO conflicts (device, chain, seq, digest, first, prev, kid, kind, cue, at_ms, \
         received_ms, via, fault, jws) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
         ON CONFLICT (device, chain, seq, digest) DO NOTHING",
    )
    .bind(record.device.as_str())
    .bind(&record.chain.0[..])
    .bind(big(record.seq))
    .bind(&record.digest.0[..])
    .bind(&conflict.first.0[..])
    .bind(record.prev.as_ref().map(|prev| &prev.0[..]))
    .bind(&record.kid)
    .bind(&record.kind)
    .bind(record.cue.as_ref().map(|cue| &cue.0[..]))
    .bind(record.at_ms.0)
    .bind(record.received_ms.0)
    .bind(via(record.via))
    .bind(record.fault.as_deref())
    .bind(&*record.jws)
    .execute(conn)
    .await
    .map_err(failed("keep a conflict"))?;
    Ok(done.rows_affected())
}

async fn put_rejects(conn: &mut SqliteConnection, rejects: &[Reject]) -> Result<u64, StoreError> {
    let mut counted = 0;
    let mut of: BTreeMap<&DeviceId, Vec<&Reject>> = BTreeMap::new();
    for reject in rejects {
        of.entry(&reject.device).or_default().push(reject);
    }
    for (device, rejects) in of {
        let mut skip = rejects.iter().filter(|r| r.signed == Signed::No).count();
        skip = skip.saturating_sub(REJECTS_KEPT);
        for reject in rejects {
            if reject.signed == Signed::No && skip > 0 {
                skip -= 1;
                counted += 1;
                continue;
            }
            let done = sqlx::query(
                "INSERT INTO rejects (device, received_ms, reason, digest, bytes, signed) \
                 SELECT $1, $2, $3, $4, $5, $6 WHERE $6 = 0 OR NOT EXISTS \
                 (SELECT 1 FROM rejects WHERE device = $1 AND digest = $4 AND signed = 1)",
            )
            .bind(device.as_str())
            .bind(reject.received_ms.0)
            .bind(&reject.reason)
            .bind(&reject.digest.0[..])
            .bind(&reject.bytes)
            .bind(i64::from(reject.signed == Signed::Yes))
            .execute(&mut *conn)
            .await
            .map_err(failed("keep a reject"))?;
            counted += done.rows_affected();
        }
        sqlx::query(
            "DELETE FROM rejects WHERE device = $1 AND signed = 0 AND position NOT IN \
             (SELECT position FROM rejects WHERE device = $1 AND signed = 0 \
             ORDER BY position DESC LIMIT $2)",
        )
        .bind(device.as_str())
        .bind(i64::try_from(REJECTS_KEPT).unwrap_or(i64::MAX))
        .execute(&mut *conn)
        .await
        .map_err(failed("bound rejects"))?;
    }
    Ok(counted)
}

async fn put_fault(
    conn: &mut SqliteConnection,
    chain: &StoredChain,
    seq: u64,
    fault: &str,
) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "UPDATE records SET fault = $4 \
         WHERE device = $1 AND chain = $2 AND seq = $3 AND fault IS NULL",
    )
    .bind(chain.device.as_str())
    .bind(&chain.chain.0[..])
    .bind(big(seq))
    .bind(fault)
    .execute(conn)
    .await
    .map_err(failed("note a fault"))?;
    Ok(done.rows_affected())
}

async fn put_receipt(
    conn: &mut SqliteConnection,
    receipt: &StoredReceipt,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO receipts (device, chain, upto, made_ms, jws) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (device) DO UPDATE SET \
         chain = excluded.chain, upto = excluded.upto, made_ms = excluded.made_ms, \
         jws = excluded.jws \
         WHERE receipts.chain <> excluded.chain OR receipts.upto <= excluded.upto",
    )
    .bind(receipt.device.as_str())
    .bind(&receipt.chain.0[..])
    .bind(big(receipt.upto))
    .bind(receipt.made_ms.0)
    .bind(&*receipt.jws)
    .execute(conn)
    .await
    .map_err(failed("keep receipts"))?;
    Ok(())
}

async fn count(conn: &mut SqliteConnection, name: &str, n: u64) -> Result<(), StoreError> {
    if n == 0 {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO counters (name, n) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET n = counters.n + excluded.n",
    )
    .bind(name)
    .bind(big(n))
    .execute(conn)
    .await
    .map_err(failed("count"))?;
    Ok(())
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

    async fn commit_intake(
        &self,
        round: &IntakeRound,
        fence: Option<Fence>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        guard(&mut tx, fence).await?;
        for intake in &round.intakes {
            put_chain(&mut tx, &intake.chain).await?;
        }
        let records: Vec<_> = round.intakes.iter().flat_map(|intake| &intake.add).collect();
        put_records(&mut tx, &records).await?;
        let mut conflicts = 0;
        let mut faulty = records.iter().filter(|record| record.fault.is_some()).count() as u64;
        for intake in &round.intakes {
            for conflict in &intake.conflicts {
                conflicts += put_conflict(&mut tx, conflict).await?;
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
        for receipt in &round.receipts {
            put_receipt(&mut tx, receipt).await?;
        }
        commit(tx).await
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
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM records WHERE 1 = 1");
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
        let rows = query.build().fetch_all(&self.read).await.map_err(failed("list records"))?;
        let listed = rows.iter().map(|row| {
            let position = Columns::new(row, "record").get("position")?;
            Ok(Listed { position, record: record(row)? })
        });
        listed.collect()
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
                _ => {}
            }
        }
        Ok(counts)
    }

    async fn forget_before(&self, before: UtcMs) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        // What lies beyond a gap and the head of each chain stay: the next link is judged by them.
        let records = sqlx::query(
            "DELETE FROM records WHERE received_ms < $1 AND seq < (SELECT c.upto FROM chains c \
             WHERE c.device = records.device AND c.chain = records.chain)",
        )
        .bind(before.0)
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

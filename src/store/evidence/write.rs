//! Evidence, written: each function is one part of a transaction.

use super::read::via;
use super::{REJECTS_KEPT, ROWS_AT_ONCE};
use crate::app::ports::{
    Conflict, Reject, Signed, StoreError, StoredChain, StoredReceipt, StoredRecord,
};
use crate::domain::ids::DeviceId;
use crate::store::failed;
use crate::store::rows::{big, json};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use std::collections::BTreeMap;

pub(super) async fn put_chain(
    conn: &mut SqliteConnection,
    chain: &StoredChain,
) -> Result<(), StoreError> {
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

pub(super) async fn put_records(
    conn: &mut SqliteConnection,
    records: &[&StoredRecord],
) -> Result<(), StoreError> {
    for part in records.chunks(ROWS_AT_ONCE) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO records (device, chain, seq, digest, prev, kid, kind, cue, jti, at_ms, \
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
                .push_bind(record.jti.as_deref())
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

pub(super) async fn put_conflict(
    conn: &mut SqliteConnection,
    conflict: &Conflict,
) -> Result<u64, StoreError> {
    let record = &conflict.record;
    let done = sqlx::query(
        "INSERT INTO conflicts (device, chain, seq, digest, first, prev, kid, kind, cue, jti, \
         at_ms, received_ms, via, fault, jws) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
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
    .bind(record.jti.as_deref())
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

pub(super) async fn put_rejects(
    conn: &mut SqliteConnection,
    rejects: &[Reject],
) -> Result<u64, StoreError> {
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

pub(super) async fn put_fault(
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

pub(super) async fn put_receipt(
    conn: &mut SqliteConnection,
    receipt: &StoredReceipt,
    leaf: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO receipts (device, chain, upto, made_ms, jws, leaf) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (device) DO UPDATE SET \
         chain = excluded.chain, upto = excluded.upto, made_ms = excluded.made_ms, \
         jws = excluded.jws, leaf = excluded.leaf \
         WHERE receipts.chain <> excluded.chain OR receipts.upto <= excluded.upto",
    )
    .bind(receipt.device.as_str())
    .bind(&receipt.chain.0[..])
    .bind(big(receipt.upto))
    .bind(receipt.made_ms.0)
    .bind(&*receipt.jws)
    .bind(leaf)
    .execute(conn)
    .await
    .map_err(failed("keep receipts"))?;
    Ok(())
}

pub(in crate::store) async fn count(
    conn: &mut SqliteConnection,
    name: &str,
    n: u64,
) -> Result<(), StoreError> {
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

//! How tightly the times of logged records are enclosed: heads kept, and what was found by them.

use super::evidence::count;
use super::failed;
use super::logbook::say;
use super::rows::{Columns, big};
use crate::app::ports::{Enclosed, Floor, KeptHead, LoggedRecord, StoreError};
use crate::domain::ids::{ChainId, DeviceId};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

/// Name of the setting that holds the number of the newest leaf that was judged.
const JUDGED: &str = "log-enclosed";

/// Which head is wanted.
#[derive(Clone, Copy)]
pub(super) enum Side {
    /// The first that holds the leaf.
    With,
    /// The last that holds nothing after it.
    UpTo,
}

pub(super) async fn keep_head(
    conn: &mut SqliteConnection,
    head: &KeptHead,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO log_heads (number, shard, size, met_ms) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (number) DO NOTHING",
    )
    .bind(head.number)
    .bind(&head.shard)
    .bind(big(head.size))
    .bind(head.met_ms.0)
    .execute(conn)
    .await
    .map_err(failed("keep a head of the log"))?;
    Ok(())
}

pub(super) async fn head(
    conn: &mut SqliteConnection,
    side: Side,
    number: i64,
) -> Result<Option<KeptHead>, StoreError> {
    let sql = match side {
        Side::With => "SELECT * FROM log_heads WHERE number >= $1 ORDER BY number LIMIT 1",
        Side::UpTo => "SELECT * FROM log_heads WHERE number <= $1 ORDER BY number DESC LIMIT 1",
    };
    let row = sqlx::query(sql)
        .bind(number)
        .fetch_optional(conn)
        .await
        .map_err(failed("read heads of the log"))?;
    let read = |row: &SqliteRow| {
        let row = Columns::new(row, "head of the log");
        Ok(KeptHead {
            number: row.get("number")?,
            shard: row.text("shard")?,
            size: row.int("size")?,
            met_ms: row.at("met_ms")?,
        })
    };
    row.as_ref().map(read).transpose()
}

pub(super) async fn upto(conn: &mut SqliteConnection) -> Result<i64, StoreError> {
    let text: Option<String> = sqlx::query_scalar("SELECT value FROM settings WHERE name = $1")
        .bind(JUDGED)
        .fetch_optional(conn)
        .await
        .map_err(failed("read a setting"))?;
    let damaged = || StoreError::Damaged { what: "setting", key: JUDGED.to_owned() };
    text.map_or(Ok(0), |text| text.parse().map_err(|_| damaged()))
}

pub(super) async fn logged_records(
    conn: &mut SqliteConnection,
    (after, upto): (i64, i64),
    most: u32,
) -> Result<Vec<(i64, Option<LoggedRecord>)>, StoreError> {
    let rows = sqlx::query(
        "SELECT l.number, r.position, r.device, r.chain, r.seq, r.digest, r.jws \
         FROM log_leaves l LEFT JOIN records r ON r.position = l.record \
         WHERE l.number > $1 AND l.number <= $2 ORDER BY l.number LIMIT $3",
    )
    .bind(after)
    .bind(upto)
    .bind(i64::from(most))
    .fetch_all(conn)
    .await
    .map_err(failed("read leaves of the log"))?;
    let read = |row: &SqliteRow| {
        let row = Columns::new(row, "leaf of the log");
        let number = row.get("number")?;
        let Some(position) = row.get("position")? else { return Ok((number, None)) };
        let record = LoggedRecord {
            position,
            device: row.parse("device")?,
            chain: row.chain("chain")?,
            seq: row.int("seq")?,
            digest: row.digest("digest")?,
            jws: row.get::<&str>("jws")?.into(),
        };
        Ok((number, Some(record)))
    };
    rows.iter().map(read).collect()
}

pub(super) async fn floor(
    conn: &mut SqliteConnection,
    device: &DeviceId,
    chain: &ChainId,
) -> Result<Option<Floor>, StoreError> {
    let row = sqlx::query("SELECT floor_ms FROM chain_floors WHERE device = $1 AND chain = $2")
        .bind(device.as_str())
        .bind(&chain.0[..])
        .fetch_optional(conn)
        .await
        .map_err(failed("read where a chain stands"))?;
    row.as_ref().map(|row| Columns::new(row, "chain").at_option("floor_ms")).transpose()
}

pub(super) async fn put(conn: &mut SqliteConnection, found: &Enclosed) -> Result<(), StoreError> {
    if upto(conn).await? != found.after {
        let key = found.after.to_string();
        return Err(StoreError::Stale { what: "judged leaf of the log", key });
    }
    sqlx::query(
        "INSERT INTO settings (name, value) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .bind(JUDGED)
    .bind(found.upto.to_string())
    .execute(&mut *conn)
    .await
    .map_err(failed("note which times are judged"))?;
    let mut late = 0;
    for (position, width_ms) in &found.late {
        // Retention may have taken it meanwhile.
        let done = sqlx::query(
            "INSERT INTO late_records (record, width_ms) \
             SELECT position, $2 FROM records WHERE position = $1 \
             ON CONFLICT (record) DO NOTHING",
        )
        .bind(position)
        .bind(*width_ms)
        .execute(&mut *conn)
        .await
        .map_err(failed("note a late record"))?;
        late += done.rows_affected();
    }
    count(conn, "late", late).await?;
    for (device, chain, floor) in &found.floors {
        sqlx::query(
            "INSERT INTO chain_floors (device, chain, floor_ms) VALUES ($1, $2, $3) \
             ON CONFLICT (device, chain) DO UPDATE SET floor_ms = excluded.floor_ms",
        )
        .bind(device.as_str())
        .bind(&chain.0[..])
        .bind(floor.map(|floor| floor.0))
        .execute(&mut *conn)
        .await
        .map_err(failed("keep where a chain stands"))?;
    }
    for leaf in &found.leaves {
        say(conn, leaf).await?;
    }
    Ok(())
}

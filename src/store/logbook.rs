//! The queue of the log as rows: a record's leaf names its row, a statement is kept as it is.

use super::enclosure::{self, Side};
use super::rows::{Columns, big, json};
use super::{SqliteStore, commit, failed, guard};
use crate::app::logbook;
use crate::app::ports::{
    Enclosed, Fence, Floor, KeptHead, Logbook, LoggedRecord, Loss, StoreError, StoredShard, Via,
};
use crate::domain::ids::{ChainId, DeviceId};
use crate::log::leaf::Leaf;
use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use std::collections::BTreeMap;

/// Values of one list in a query.
const AT_ONCE: usize = 200;

/// Name of the setting that tells of a loss.
const LOSS: &str = "log-loss";

/// Returns the number of the newest leaf, within a write.
pub(super) async fn newest(conn: &mut SqliteConnection) -> Result<i64, StoreError> {
    sqlx::query_scalar("SELECT COALESCE(MAX(number), 0) FROM log_leaves")
        .fetch_one(conn)
        .await
        .map_err(failed("number a leaf"))
}

/// Adds a statement within the write that it tells of.
pub(super) async fn say(conn: &mut SqliteConnection, leaf: &Leaf) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO log_leaves (number, leaf) \
         SELECT COALESCE(MAX(number), 0) + 1, $1 FROM log_leaves",
    )
    .bind(leaf.bytes())
    .execute(conn)
    .await
    .map_err(failed("keep a leaf of the log"))?;
    Ok(())
}

/// Returns the position of the newest record, within a write.
pub(super) async fn newest_record(conn: &mut SqliteConnection) -> Result<i64, StoreError> {
    sqlx::query_scalar("SELECT COALESCE(MAX(position), 0) FROM records")
        .fetch_one(conn)
        .await
        .map_err(failed("read records"))
}

/// Returns how many shards there are, within a write.
pub(super) async fn shards_now(conn: &mut SqliteConnection) -> Result<i64, StoreError> {
    sqlx::query_scalar("SELECT COUNT(*) FROM log_shards")
        .fetch_one(conn)
        .await
        .map_err(failed("count shards of the log"))
}

/// Adds the leaves of all records beyond a position, within the write that keeps them; returns the
/// number of the first.
pub(super) async fn add_records(
    conn: &mut SqliteConnection,
    beyond: i64,
) -> Result<i64, StoreError> {
    let before = newest(conn).await?;
    sqlx::query(
        "INSERT INTO log_leaves (number, record) \
         SELECT $1 + ROW_NUMBER() OVER (ORDER BY position), position FROM records \
         WHERE position > $2",
    )
    .bind(before)
    .bind(beyond)
    .execute(conn)
    .await
    .map_err(failed("keep leaves of the log"))?;
    Ok(before.saturating_add(1))
}

fn shard(row: &SqliteRow) -> Result<StoredShard, StoreError> {
    let row = Columns::new(row, "shard of the log");
    Ok(StoredShard {
        name: row.text("name")?,
        first: row.get("first")?,
        logged: row.get("logged")?,
    })
}

fn leaf(row: &SqliteRow) -> Result<Option<Leaf>, StoreError> {
    let row = Columns::new(row, "leaf of the log");
    if let Some(bytes) = row.get::<Option<Vec<u8>>>("leaf")? {
        return Leaf::parse(bytes).map(Some).map_err(|_| row.damaged("leaf"));
    }
    let Some(jws) = row.get::<Option<&str>>("jws")? else { return Ok(None) };
    let via = match row.get("via")? {
        "link" => Via::Link,
        "import" => Via::Import,
        _ => return Err(row.damaged("via")),
    };
    logbook::received(row.at("received_ms")?, via, jws).map(Some)
}

async fn all_shards(conn: &mut SqliteConnection) -> Result<Vec<StoredShard>, StoreError> {
    let rows = sqlx::query("SELECT * FROM log_shards ORDER BY first")
        .fetch_all(conn)
        .await
        .map_err(failed("read shards of the log"))?;
    rows.iter().map(shard).collect()
}

#[async_trait]
impl Logbook for SqliteStore {
    async fn say(&self, leaf: &Leaf) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        say(&mut tx, leaf).await?;
        commit(tx).await
    }

    async fn newest_leaf(&self) -> Result<i64, StoreError> {
        sqlx::query_scalar("SELECT COALESCE(MAX(number), 0) FROM log_leaves")
            .fetch_one(&self.read)
            .await
            .map_err(failed("count leaves of the log"))
    }

    async fn leaves(&self, from: i64, most: u32) -> Result<Vec<Leaf>, StoreError> {
        let mut conn = self.read.acquire().await.map_err(failed("read leaves of the log"))?;
        let (shards, most) = (shards_now(&mut conn).await?, most as usize);
        let (mut leaves, from): (Vec<Leaf>, i64) = (Vec::new(), from.max(1));
        let next = |leaves: &Vec<Leaf>| {
            from.saturating_add(i64::try_from(leaves.len()).unwrap_or(i64::MAX))
        };
        while leaves.len() < most {
            let lacking = most - leaves.len();
            let fresh = self.fresh.leaves(shards, next(&leaves), lacking)?;
            if !fresh.is_empty() {
                leaves.extend(fresh);
                continue;
            }
            // Up to where fresh ones begin.
            let first = self.fresh.first(shards).filter(|first| *first > next(&leaves));
            let upto = first.map(|first| first - next(&leaves));
            let lacking = i64::try_from(lacking).unwrap_or(i64::MAX).min(upto.unwrap_or(i64::MAX));
            let rows = sqlx::query(
                "SELECT l.leaf, r.received_ms, r.via, r.jws FROM log_leaves l \
                 LEFT JOIN records r ON r.position = l.record \
                 WHERE l.number >= $1 ORDER BY l.number LIMIT $2",
            )
            .bind(next(&leaves))
            .bind(lacking)
            .fetch_all(&mut *conn)
            .await
            .map_err(failed("read leaves of the log"))?;
            let all = i64::try_from(rows.len()).unwrap_or(i64::MAX) == lacking;
            for row in &rows {
                match leaf(row)? {
                    Some(leaf) => leaves.push(leaf),
                    None if leaves.is_empty() => {
                        let key = from.to_string();
                        return Err(StoreError::Damaged { what: "leaf of the log", key });
                    }
                    None => return Ok(leaves),
                }
            }
            if !all || upto.is_none() {
                break;
            }
        }
        Ok(leaves)
    }

    async fn leaf_of(
        &self,
        device: &DeviceId,
        chain: &ChainId,
        seq: u64,
    ) -> Result<Option<i64>, StoreError> {
        sqlx::query_scalar(
            "SELECT number FROM log_leaves WHERE record = (SELECT position FROM records \
             WHERE device = $1 AND chain = $2 AND seq = $3)",
        )
        .bind(device.as_str())
        .bind(&chain.0[..])
        .bind(big(seq))
        .fetch_optional(&self.read)
        .await
        .map_err(failed("find a leaf of the log"))
    }

    async fn leaves_at(&self, positions: &[i64]) -> Result<BTreeMap<i64, i64>, StoreError> {
        let mut found = BTreeMap::new();
        for part in positions.chunks(AT_ONCE) {
            let mut query = QueryBuilder::<Sqlite>::new(
                "SELECT record, number FROM log_leaves WHERE record IN (",
            );
            let mut list = query.separated(", ");
            for position in part {
                list.push_bind(*position);
            }
            query.push(")");
            let what = "find leaves of the log";
            let rows = query.build().fetch_all(&self.read).await.map_err(failed(what))?;
            for row in &rows {
                let row = Columns::new(row, "leaf of the log");
                found.insert(row.get("record")?, row.get("number")?);
            }
        }
        Ok(found)
    }

    async fn receipt_leaves(&self) -> Result<Vec<(DeviceId, i64)>, StoreError> {
        let rows = sqlx::query("SELECT device, leaf FROM receipts ORDER BY device")
            .fetch_all(&self.read)
            .await
            .map_err(failed("read receipts"))?;
        let read = |row| {
            let row = Columns::new(row, "receipt");
            Ok((row.parse("device")?, row.get("leaf")?))
        };
        rows.iter().map(read).collect()
    }

    async fn shards(&self) -> Result<Vec<StoredShard>, StoreError> {
        let mut conn = self.read.acquire().await.map_err(failed("read shards of the log"))?;
        all_shards(&mut conn).await
    }

    async fn begin_shard(
        &self,
        name: &str,
        leaf: &Leaf,
        logged: i64,
        fence: Option<Fence>,
    ) -> Result<StoredShard, StoreError> {
        let mut tx = self.begin().await?;
        guard(&mut tx, fence.as_slice()).await?;
        let shards = all_shards(&mut tx).await?;
        let known = shards.last().map_or(0, |last| last.logged);
        if known != logged || shards.iter().any(|shard| shard.name == name) {
            return Err(StoreError::Stale { what: "shard of the log", key: name.to_owned() });
        }
        // Makes room by way of numbers that nothing else has.
        for sql in [
            "UPDATE log_leaves SET number = -number - 1 WHERE number > $1",
            "UPDATE log_leaves SET number = -number WHERE number < 0",
        ] {
            let query = sqlx::query(sql);
            let query = if sql.ends_with("$1") { query.bind(logged) } else { query };
            query.execute(&mut *tx).await.map_err(failed("make room for a leaf"))?;
        }
        sqlx::query("INSERT INTO log_leaves (number, leaf) VALUES ($1, $2)")
            .bind(logged + 1)
            .bind(leaf.bytes())
            .execute(&mut *tx)
            .await
            .map_err(failed("keep a leaf of the log"))?;
        // The leaf that a receipt waits for has moved by one.
        sqlx::query("UPDATE receipts SET leaf = leaf + 1 WHERE leaf > $1")
            .bind(logged)
            .execute(&mut *tx)
            .await
            .map_err(failed("keep receipts"))?;
        sqlx::query("INSERT INTO log_shards (name, first, logged) VALUES ($1, $2, $3)")
            .bind(name)
            .bind(logged + 1)
            .bind(logged)
            .execute(&mut *tx)
            .await
            .map_err(failed("begin a shard of the log"))?;
        sqlx::query("DELETE FROM settings WHERE name = $1")
            .bind(LOSS)
            .execute(&mut *tx)
            .await
            .map_err(failed("forget a loss"))?;
        commit(tx).await?;
        Ok(StoredShard { name: name.to_owned(), first: logged + 1, logged })
    }

    async fn note_logged(
        &self,
        name: &str,
        logged: i64,
        fence: Option<Fence>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        guard(&mut tx, fence.as_slice()).await?;
        sqlx::query("UPDATE log_shards SET logged = $2 WHERE name = $1 AND logged < $2")
            .bind(name)
            .bind(logged)
            .execute(&mut *tx)
            .await
            .map_err(failed("note what is logged"))?;
        commit(tx).await?;
        self.fresh.forget(logged);
        Ok(())
    }

    async fn keep_head(&self, head: &KeptHead, fence: Option<Fence>) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        guard(&mut tx, fence.as_slice()).await?;
        enclosure::keep_head(&mut tx, head).await?;
        commit(tx).await
    }

    async fn head_with(&self, number: i64) -> Result<Option<KeptHead>, StoreError> {
        let mut conn = self.read.acquire().await.map_err(failed("read heads of the log"))?;
        enclosure::head(&mut conn, Side::With, number).await
    }

    async fn head_up_to(&self, number: i64) -> Result<Option<KeptHead>, StoreError> {
        let mut conn = self.read.acquire().await.map_err(failed("read heads of the log"))?;
        enclosure::head(&mut conn, Side::UpTo, number).await
    }

    async fn enclosed_up_to(&self) -> Result<i64, StoreError> {
        let mut conn = self.read.acquire().await.map_err(failed("read a setting"))?;
        enclosure::upto(&mut conn).await
    }

    async fn logged_records(
        &self,
        after: i64,
        upto: i64,
        most: u32,
    ) -> Result<Vec<(i64, Option<LoggedRecord>)>, StoreError> {
        let mut conn = self.read.acquire().await.map_err(failed("read leaves of the log"))?;
        enclosure::logged_records(&mut conn, (after, upto), most).await
    }

    async fn floor(&self, device: &DeviceId, chain: &ChainId) -> Result<Option<Floor>, StoreError> {
        let mut conn = self.read.acquire().await.map_err(failed("read where a chain stands"))?;
        enclosure::floor(&mut conn, device, chain).await
    }

    async fn enclose(&self, found: &Enclosed, fence: Option<Fence>) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        guard(&mut tx, fence.as_slice()).await?;
        enclosure::put(&mut tx, found).await?;
        commit(tx).await
    }

    async fn tell_loss(&self, loss: Option<&Loss>) -> Result<(), StoreError> {
        let query = match loss {
            Some(loss) => sqlx::query(
                "INSERT INTO settings (name, value) VALUES ($1, $2) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )
            .bind(LOSS)
            .bind(json(loss)),
            None => sqlx::query("DELETE FROM settings WHERE name = $1").bind(LOSS),
        };
        query.execute(&self.write).await.map_err(failed("tell of a loss"))?;
        Ok(())
    }

    async fn loss(&self) -> Result<Option<Loss>, StoreError> {
        let text: Option<String> = sqlx::query_scalar("SELECT value FROM settings WHERE name = $1")
            .bind(LOSS)
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read a setting"))?;
        let damaged = || StoreError::Damaged { what: "setting", key: LOSS.to_owned() };
        text.map(|text| serde_json::from_str(&text).map_err(|_| damaged())).transpose()
    }

    async fn still_holds(&self, fence: Fence) -> Result<bool, StoreError> {
        let mut conn = self.read.acquire().await.map_err(failed("read a lease"))?;
        match guard(&mut conn, &[fence]).await {
            Ok(()) => Ok(true),
            Err(StoreError::Fenced { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

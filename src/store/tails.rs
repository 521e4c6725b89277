//! Ends of chains that have not come.

use super::logbook::say;
use super::rows::{Columns, big};
use super::{SqliteStore, commit, failed, guard};
use crate::app::ports::{Fence, StoreError, StoredTail, TailRound, TailStand, Tails};
use crate::domain::ids::{ChainId, DeviceId};
use async_trait::async_trait;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use std::collections::BTreeMap;

fn tail(row: &SqliteRow) -> Result<StoredTail, StoreError> {
    let row = Columns::new(row, "end of a chain");
    Ok(StoredTail {
        device: row.parse("device")?,
        chain: row.chain("chain")?,
        seq: row.int("seq")?,
        head: row.digest_option("head")?,
        since_ms: row.at("since_ms")?,
        came: row.int("came")?,
        quiet_ms: row.at("quiet_ms")?,
        stand: TailStand::read(row.get("stand")?).ok_or_else(|| row.damaged("stand"))?,
        said: row.int("said")?,
    })
}

async fn put(conn: &mut SqliteConnection, tail: &StoredTail) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO chain_tails (device, chain, seq, head, since_ms, came, quiet_ms, stand, said) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (device, chain) DO UPDATE SET \
         seq = excluded.seq, head = excluded.head, since_ms = excluded.since_ms, \
         came = excluded.came, quiet_ms = excluded.quiet_ms, stand = excluded.stand, \
         said = excluded.said",
    )
    .bind(tail.device.as_str())
    .bind(&tail.chain.0[..])
    .bind(big(tail.seq))
    .bind(tail.head.as_ref().map(|head| &head.0[..]))
    .bind(tail.since_ms.0)
    .bind(big(tail.came))
    .bind(tail.quiet_ms.0)
    .bind(tail.stand.as_str())
    .bind(big(tail.said))
    .execute(conn)
    .await
    .map_err(failed("keep the end of a chain"))?;
    Ok(())
}

#[async_trait]
impl Tails for SqliteStore {
    async fn tails(&self) -> Result<Vec<StoredTail>, StoreError> {
        let rows = sqlx::query("SELECT * FROM chain_tails ORDER BY device, chain")
            .fetch_all(&self.read)
            .await
            .map_err(failed("read ends of chains"))?;
        rows.iter().map(tail).collect()
    }

    async fn ends(
        &self,
        chains: &[(DeviceId, ChainId)],
    ) -> Result<BTreeMap<(DeviceId, ChainId), u64>, StoreError> {
        let mut conn = self.read.acquire().await.map_err(failed("read ends of chains"))?;
        let mut found = BTreeMap::new();
        for (device, chain) in chains {
            let row = sqlx::query(
                "SELECT c.upto AS upto, (SELECT MAX(r.seq) FROM records r \
                 WHERE r.device = c.device AND r.chain = c.chain) AS highest \
                 FROM chains c WHERE c.device = $1 AND c.chain = $2",
            )
            .bind(device.as_str())
            .bind(&chain.0[..])
            .fetch_optional(&mut *conn)
            .await
            .map_err(failed("read ends of chains"))?;
            let Some(row) = row else { continue };
            let row = Columns::new(&row, "chain");
            let highest: Option<i64> = row.get("highest")?;
            let highest = u64::try_from(highest.unwrap_or(0)).unwrap_or(0);
            found.insert((device.clone(), *chain), highest.max(row.int("upto")?));
        }
        Ok(found)
    }

    async fn keep_tails(&self, round: &TailRound, fence: Option<Fence>) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        guard(&mut tx, fence.as_slice()).await?;
        for tail in &round.put {
            put(&mut tx, tail).await?;
        }
        for (device, chain) in &round.gone {
            sqlx::query("DELETE FROM chain_tails WHERE device = $1 AND chain = $2")
                .bind(device.as_str())
                .bind(&chain.0[..])
                .execute(&mut *tx)
                .await
                .map_err(failed("forget the end of a chain"))?;
        }
        for leaf in &round.leaves {
            say(&mut tx, leaf).await?;
        }
        commit(tx).await
    }
}

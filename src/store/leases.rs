//! Leases as rows.

use super::{SqliteStore, commit, failed};
use crate::app::ports::{Lease, LeaseName, Leases, StoreError};
use crate::domain::time::UtcMs;
use async_trait::async_trait;
use std::collections::BTreeMap;

/// Members that ended so long ago are forgotten.
const GONE_MS: i64 = 3_600_000;

type Row = (String, String, i64, i64);

const ALL: &str = "SELECT name, holder, number, until_ms FROM leases ORDER BY name";

fn lease((name, holder, number, until_ms): Row) -> Option<Lease> {
    // A name of a newer version is none of our business.
    let name = name.parse().ok()?;
    Some(Lease { name, holder, number, until_ms: UtcMs(until_ms) })
}

#[async_trait]
impl Leases for SqliteStore {
    async fn take_leases(
        &self,
        names: &[LeaseName],
        holder: &str,
        now: UtcMs,
        until: UtcMs,
    ) -> Result<Vec<Lease>, StoreError> {
        let mut tx = self.begin().await?;
        let rows: Vec<Row> =
            sqlx::query_as(ALL).fetch_all(&mut *tx).await.map_err(failed("read leases"))?;
        let known: BTreeMap<_, _> =
            rows.into_iter().filter_map(lease).map(|lease| (lease.name, lease)).collect();
        let mut held = Vec::with_capacity(names.len());
        for &name in names {
            let Some(number) = Lease::next(known.get(&name), holder, now, until) else { continue };
            sqlx::query(
                "INSERT INTO leases (name, holder, number, until_ms) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, \
                 number = excluded.number, until_ms = excluded.until_ms",
            )
            .bind(name.to_string())
            .bind(holder)
            .bind(number)
            .bind(until.0)
            .execute(&mut *tx)
            .await
            .map_err(failed("take a lease"))?;
            held.push(Lease { name, holder: holder.to_owned(), number, until_ms: until });
        }
        sqlx::query("DELETE FROM leases WHERE name LIKE 'member/%' AND until_ms < $1")
            .bind(now.plus(-GONE_MS).0)
            .execute(&mut *tx)
            .await
            .map_err(failed("forget members"))?;
        commit(tx).await?;
        Ok(held)
    }

    async fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        let rows: Vec<Row> =
            sqlx::query_as(ALL).fetch_all(&self.read).await.map_err(failed("read leases"))?;
        Ok(rows.into_iter().filter_map(lease).collect())
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        // The row stays, so that the number goes on growing.
        sqlx::query(
            "UPDATE leases SET until_ms = 0 WHERE name = $1 AND number = $2 AND holder = $3",
        )
        .bind(lease.name.to_string())
        .bind(lease.number)
        .bind(&lease.holder)
        .execute(&self.write)
        .await
        .map_err(failed("release a lease"))?;
        Ok(())
    }
}

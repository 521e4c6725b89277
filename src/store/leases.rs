//! Leases as rows.

use super::{SqliteStore, commit, failed};
use crate::app::ports::{Lease, LeaseName, Leases, StoreError};
use crate::domain::time::UtcMs;
use async_trait::async_trait;

#[async_trait]
impl Leases for SqliteStore {
    async fn take_lease(
        &self,
        name: LeaseName,
        holder: &str,
        now: UtcMs,
        until: UtcMs,
    ) -> Result<Option<Lease>, StoreError> {
        let mut tx = self.begin().await?;
        let key = name.to_string();
        let held: Option<(String, i64, i64)> =
            sqlx::query_as("SELECT holder, number, until_ms FROM leases WHERE name = $1")
                .bind(&key)
                .fetch_optional(&mut *tx)
                .await
                .map_err(failed("read a lease"))?;
        let number = match held {
            Some((who, number, _)) if who == holder => number,
            Some((_, _, until_ms)) if until_ms > now.0 => return Ok(None),
            Some((_, number, _)) => number + 1,
            None => 1,
        };
        sqlx::query(
            "INSERT INTO leases (name, holder, number, until_ms) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, \
             number = excluded.number, until_ms = excluded.until_ms",
        )
        .bind(&key)
        .bind(holder)
        .bind(number)
        .bind(until.0)
        .execute(&mut *tx)
        .await
        .map_err(failed("take a lease"))?;
        commit(tx).await?;
        Ok(Some(Lease { name, holder: holder.to_owned(), number, until_ms: until }))
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        // The row stays, so that the number goes on growing.
        sqlx::query("UPDATE leases SET until_ms = 0, holder = '' WHERE name = $1 AND number = $2 AND holder = $3")
            .bind(lease.name.to_string())
            .bind(lease.number)
            .bind(&lease.holder)
            .execute(&self.write)
            .await
            .map_err(failed("release a lease"))?;
        Ok(())
    }
}

//! What a store must be told after it came out of a backup.

use super::{SqliteStore, commit, failed};
use crate::app::ports::StoreError;
use crate::domain::time::UtcMs;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use std::path::Path;

impl SqliteStore {
    /// Checks every page and index of a file that nobody has open; returns what is wrong with it.
    pub async fn faults_of(path: &Path) -> Result<Vec<String>, StoreError> {
        let options = SqliteConnectOptions::new().filename(path).read_only(true);
        let mut conn =
            SqliteConnection::connect_with(&options).await.map_err(failed("open for a check"))?;
        let told: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(20)")
            .fetch_all(&mut conn)
            .await
            .map_err(failed("pass its check"))?;
        conn.close().await.map_err(failed("close a copy"))?;
        Ok(told.into_iter().filter(|line| line != "ok").collect())
    }

    /// Takes back what may have been overtaken since the backup: every timetable counts as
    /// changed, so that each device gets one above what it has; no code that may have been used
    /// enrols anybody; no lease outlives who held it.
    pub async fn restored(&self, now: UtcMs) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE timetables SET content = $1")
            .bind(vec![0_u8; 32])
            .execute(&mut *tx)
            .await
            .map_err(failed("mark timetables"))?;
        sqlx::query("UPDATE enrolment_codes SET expires_ms = $1 WHERE expires_ms > $1")
            .bind(now.0)
            .execute(&mut *tx)
            .await
            .map_err(failed("end codes"))?;
        sqlx::query("UPDATE leases SET until_ms = 0")
            .execute(&mut *tx)
            .await
            .map_err(failed("end leases"))?;
        commit(tx).await
    }
}

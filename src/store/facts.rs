//! Known clips and last good files.

use super::rows::{Columns, big};
use super::{SqliteStore, commit, failed, guard};
use crate::app::ports::{Facts, Fence, KnownClip, StationFile, StoreError};
use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

fn clip(row: &SqliteRow) -> Result<KnownClip, StoreError> {
    let row = Columns::new(row, "clip");
    Ok(KnownClip {
        path: row.text("path")?,
        bytes: row.int("bytes")?,
        modified_ms: row.at("modified_ms")?,
        sha256: row.digest("sha256")?,
        rules: row.int("rules")?,
        inspection: row.text("inspection")?,
    })
}

fn file(row: &SqliteRow) -> Result<StationFile, StoreError> {
    let row = Columns::new(row, "station file");
    Ok(StationFile {
        path: row.text("path")?,
        sha256: row.digest("sha256")?,
        bytes: row.get("bytes")?,
        accepted_ms: row.at("accepted_ms")?,
        accepted: row.int("accepted")?,
    })
}

#[async_trait]
impl Facts for SqliteStore {
    async fn clips(&self) -> Result<Vec<KnownClip>, StoreError> {
        let rows = sqlx::query("SELECT * FROM clips ORDER BY path")
            .fetch_all(&self.read)
            .await
            .map_err(failed("read clips"))?;
        rows.iter().map(clip).collect()
    }

    async fn put_clips(&self, clips: &[KnownClip]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for clip in clips {
            sqlx::query(
                "INSERT INTO clips (path, bytes, modified_ms, sha256, rules, inspection) \
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (path) DO UPDATE SET \
                 bytes = excluded.bytes, modified_ms = excluded.modified_ms, \
                 sha256 = excluded.sha256, rules = excluded.rules, \
                 inspection = excluded.inspection",
            )
            .bind(&clip.path)
            .bind(big(clip.bytes))
            .bind(clip.modified_ms.0)
            .bind(&clip.sha256.0[..])
            .bind(i64::from(clip.rules))
            .bind(&clip.inspection)
            .execute(&mut *tx)
            .await
            .map_err(failed("keep clips"))?;
        }
        commit(tx).await
    }

    async fn station_files(&self) -> Result<Vec<StationFile>, StoreError> {
        let rows = sqlx::query("SELECT * FROM station_files ORDER BY path")
            .fetch_all(&self.read)
            .await
            .map_err(failed("read station files"))?;
        rows.iter().map(file).collect()
    }

    async fn put_station_files(
        &self,
        files: &[StationFile],
        gone: &[String],
        fence: Option<Fence>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        guard(&mut tx, fence.as_slice()).await?;
        for file in files {
            sqlx::query(
                "INSERT INTO station_files (path, sha256, bytes, accepted_ms, accepted) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (path) DO UPDATE SET \
                 sha256 = excluded.sha256, bytes = excluded.bytes, \
                 accepted_ms = excluded.accepted_ms, accepted = excluded.accepted",
            )
            .bind(&file.path)
            .bind(&file.sha256.0[..])
            .bind(&file.bytes)
            .bind(file.accepted_ms.0)
            .bind(big(file.accepted))
            .execute(&mut *tx)
            .await
            .map_err(failed("keep station files"))?;
        }
        for path in gone {
            sqlx::query("DELETE FROM station_files WHERE path = $1")
                .bind(path)
                .execute(&mut *tx)
                .await
                .map_err(failed("drop station files"))?;
        }
        commit(tx).await
    }
}

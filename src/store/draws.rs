//! Draws and findings: triggers refuse whatever would change them.

use super::logbook::say;
use super::rows::Columns;
use super::trail::append;
use super::{SqliteStore, commit, enclosure, failed};
use crate::app::ports::{Draws, KeptHead, Page, StoreError, StoredDraw, StoredFindings};
use crate::app::trail::Entry;
use crate::domain::time::UtcMs;
use crate::log::leaf::Leaf;
use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

fn draw(row: &SqliteRow) -> Result<(i64, StoredDraw), StoreError> {
    let row = Columns::new(row, "draw");
    let unit = match row.get::<&str>("unit")? {
        "" => None,
        _ => Some(row.parse("unit")?),
    };
    let draw = StoredDraw {
        id: row.text("id")?,
        made_ms: row.at("made_ms")?,
        by: row.text("made_by")?,
        unit,
        body: row.get::<Vec<u8>>("body")?.into(),
    };
    Ok((row.get("position")?, draw))
}

fn findings(row: &SqliteRow) -> Result<StoredFindings, StoreError> {
    let row = Columns::new(row, "findings");
    Ok(StoredFindings {
        draw: row.text("draw")?,
        made_ms: row.at("made_ms")?,
        by: row.text("made_by")?,
        sha256: row.digest("sha256")?,
        file: row.get::<Vec<u8>>("file")?.into(),
    })
}

#[async_trait]
impl Draws for SqliteStore {
    async fn put_draw(
        &self,
        new: &StoredDraw,
        leaf: &Leaf,
        entry: &Entry,
    ) -> Result<StoredDraw, StoreError> {
        let mut tx = self.begin().await?;
        let known = sqlx::query("SELECT * FROM draws WHERE id = $1")
            .bind(&new.id)
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed("read a draw"))?;
        if let Some(row) = known {
            return draw(&row).map(|(_, known)| known);
        }
        sqlx::query(
            "INSERT INTO draws (id, made_ms, made_by, unit, body) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&new.id)
        .bind(new.made_ms.0)
        .bind(&new.by)
        .bind(new.unit.as_ref().map_or("", |unit| unit.as_str()))
        .bind(&new.body[..])
        .execute(&mut *tx)
        .await
        .map_err(failed("keep a draw"))?;
        say(&mut tx, leaf).await?;
        append(&mut tx, entry).await?;
        commit(tx).await?;
        Ok(new.clone())
    }

    async fn draw(&self, id: &str) -> Result<Option<StoredDraw>, StoreError> {
        let row = sqlx::query("SELECT * FROM draws WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read a draw"))?;
        Ok(row.as_ref().map(draw).transpose()?.map(|(_, draw)| draw))
    }

    async fn draws(&self, page: Page) -> Result<Vec<(i64, StoredDraw)>, StoreError> {
        let query = match page {
            Page::Newest { limit } => {
                sqlx::query("SELECT * FROM draws ORDER BY position DESC LIMIT $1")
                    .bind(i64::from(limit))
            }
            Page::After { position, limit } => {
                sqlx::query("SELECT * FROM draws WHERE position > $1 ORDER BY position LIMIT $2")
                    .bind(position)
                    .bind(i64::from(limit))
            }
        };
        let rows = query.fetch_all(&self.read).await.map_err(failed("read draws"))?;
        rows.iter().map(draw).collect()
    }

    async fn add_findings(
        &self,
        new: &StoredFindings,
        leaf: &Leaf,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let newest: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT sha256 FROM draw_findings WHERE draw = $1 ORDER BY position DESC LIMIT 1",
        )
        .bind(&new.draw)
        .fetch_optional(&mut *tx)
        .await
        .map_err(failed("read findings"))?;
        if newest.as_deref() == Some(&new.sha256.0[..]) {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO draw_findings (draw, made_ms, made_by, sha256, file) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&new.draw)
        .bind(new.made_ms.0)
        .bind(&new.by)
        .bind(&new.sha256.0[..])
        .bind(&new.file[..])
        .execute(&mut *tx)
        .await
        .map_err(failed("keep findings"))?;
        say(&mut tx, leaf).await?;
        append(&mut tx, entry).await?;
        commit(tx).await
    }

    async fn findings_of(&self, draw: &str) -> Result<Vec<StoredFindings>, StoreError> {
        let rows = sqlx::query("SELECT * FROM draw_findings WHERE draw = $1 ORDER BY position")
            .bind(draw)
            .fetch_all(&self.read)
            .await
            .map_err(failed("read findings"))?;
        rows.iter().map(findings).collect()
    }

    async fn head_since(&self, at: UtcMs) -> Result<Option<KeptHead>, StoreError> {
        let mut conn = self.read.acquire().await.map_err(failed("read heads of the log"))?;
        let number: Option<i64> =
            sqlx::query_scalar("SELECT MIN(number) FROM log_heads WHERE met_ms >= $1")
                .bind(at.0)
                .fetch_one(&mut *conn)
                .await
                .map_err(failed("read heads of the log"))?;
        match number {
            Some(number) => enclosure::head(&mut conn, enclosure::Side::With, number).await,
            None => Ok(None),
        }
    }

    async fn record_up_to(&self, number: i64) -> Result<i64, StoreError> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT record FROM log_leaves WHERE number <= $1 AND record IS NOT NULL \
             ORDER BY number DESC LIMIT 1",
        )
        .bind(number)
        .fetch_optional(&self.read)
        .await
        .map_err(failed("read leaves of the log"))?;
        Ok(found.unwrap_or(0))
    }
}

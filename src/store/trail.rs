//! The trail: triggers refuse whatever would change it.

use super::rows::Columns;
use super::{SqliteStore, commit, failed};
use crate::app::ports::{Page, StoreError, Trail, Trailed};
use crate::app::trail::Entry;
use async_trait::async_trait;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

pub(super) fn trailed(row: &SqliteRow) -> Result<Trailed, StoreError> {
    let row = Columns::new(row, "entry of the trail");
    Ok(Trailed {
        position: row.get("position")?,
        entry: Entry {
            at: row.at("at_ms")?,
            who: row.text("who")?,
            from: row.text("origin")?,
            action: row.text("action")?,
            subject: row.text("subject")?,
            before: row.get("was")?,
            after: row.get("became")?,
        },
    })
}

/// Appends an entry within the write that it tells of.
pub(super) async fn append(conn: &mut SqliteConnection, entry: &Entry) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO trail (at_ms, who, origin, action, subject, was, became) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(entry.at.0)
    .bind(&entry.who)
    .bind(&entry.from)
    .bind(&entry.action)
    .bind(&entry.subject)
    .bind(&entry.before)
    .bind(&entry.after)
    .execute(conn)
    .await
    .map_err(failed("append to the trail"))?;
    Ok(())
}

#[async_trait]
impl Trail for SqliteStore {
    async fn append(&self, entry: &Entry) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        append(&mut tx, entry).await?;
        commit(tx).await
    }

    async fn trail(&self, page: Page) -> Result<Vec<Trailed>, StoreError> {
        let query = match page {
            Page::Newest { limit } => {
                sqlx::query("SELECT * FROM trail ORDER BY position DESC LIMIT $1")
                    .bind(i64::from(limit))
            }
            Page::After { position, limit } => {
                sqlx::query("SELECT * FROM trail WHERE position > $1 ORDER BY position LIMIT $2")
                    .bind(position)
                    .bind(i64::from(limit))
            }
        };
        let rows = query.fetch_all(&self.read).await.map_err(failed("read the trail"))?;
        rows.iter().map(trailed).collect()
    }
}

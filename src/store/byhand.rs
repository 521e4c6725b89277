//! Evidence by hand: triggers refuse whatever would change it.

use super::logbook::say;
use super::rows::{Columns, json};
use super::trail::append;
use super::{SqliteStore, commit, failed};
use crate::app::ports::{
    ByHand, EnteredEntry, EntryCorrection, EntryFilter, Page, StoreError, StoredEntry,
};
use crate::app::{logbook, trail};
use crate::domain::ids::{Digest, EntryId};
use crate::plan::manual::Entry;
use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

const ENTRY: &str = "SELECT e.position, e.at_ms, e.made_by, e.corrects, e.leaf, e.body, \
     c.at_ms AS wrong_ms, c.made_by AS wrong_by, c.reason AS wrong_for, c.by_entry \
     FROM hand_entries e LEFT JOIN hand_corrections c ON c.entry = e.entry WHERE 1 = 1";

fn stored(row: &SqliteRow) -> Result<StoredEntry, StoreError> {
    let row = Columns::new(row, "entry of evidence");
    let corrected = match row.at_option("wrong_ms")? {
        Some(at_ms) => Some(EntryCorrection {
            at_ms,
            by: row.text("wrong_by")?,
            reason: row.text("wrong_for")?,
            by_entry: row.parse_option("by_entry")?,
        }),
        None => None,
    };
    Ok(StoredEntry {
        position: row.get("position")?,
        entry: row.json("body")?,
        at_ms: row.at("at_ms")?,
        by: row.text("made_by")?,
        corrects: row.parse_option("corrects")?,
        corrected,
        leaf: row.digest("leaf")?,
    })
}

/// Notes that an entry was wrong, and returns the leaf that said it.
async fn correct(
    conn: &mut SqliteConnection,
    entry: &EntryId,
    correction: &EntryCorrection,
) -> Result<Digest, StoreError> {
    let stale = || StoreError::Stale { what: "entry of evidence", key: entry.to_string() };
    let row = sqlx::query("SELECT leaf FROM hand_entries WHERE entry = $1")
        .bind(entry.as_str())
        .fetch_optional(&mut *conn)
        .await
        .map_err(failed("read evidence"))?;
    let leaf = Columns::new(&row.ok_or_else(stale)?, "entry of evidence").digest("leaf")?;
    let done = sqlx::query(
        "INSERT INTO hand_corrections (entry, at_ms, made_by, reason, by_entry) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (entry) DO NOTHING",
    )
    .bind(entry.as_str())
    .bind(correction.at_ms.0)
    .bind(&correction.by)
    .bind(&correction.reason)
    .bind(correction.by_entry.as_ref().map(EntryId::as_str))
    .execute(conn)
    .await
    .map_err(failed("correct evidence"))?;
    if done.rows_affected() == 0 { Err(stale()) } else { Ok(leaf) }
}

#[async_trait]
impl ByHand for SqliteStore {
    async fn put_entry(
        &self,
        entered: &EnteredEntry,
        trail: &trail::Entry,
    ) -> Result<(), StoreError> {
        let EnteredEntry { entry, at_ms, by, corrects } = entered;
        let said = logbook::by_hand(entered)?;
        let leaf = logbook::leaf_hash(&said);
        let mut tx = self.begin().await?;
        let known: Option<String> =
            sqlx::query_scalar("SELECT body FROM hand_entries WHERE entry = $1")
                .bind(entry.id.as_str())
                .fetch_optional(&mut *tx)
                .await
                .map_err(failed("read evidence"))?;
        if let Some(known) = known {
            let same = serde_json::from_str::<Entry>(&known).is_ok_and(|known| known == *entry);
            let key = entry.id.to_string();
            let differs = StoreError::Differs { what: "entry of evidence", key };
            return if same { Ok(()) } else { Err(differs) };
        }
        sqlx::query(
            "INSERT INTO hand_entries (entry, at_ms, made_by, unit, channel, plan, line, day, \
             corrects, leaf, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(entry.id.as_str())
        .bind(at_ms.0)
        .bind(by)
        .bind(entry.unit.as_str())
        .bind(entry.channel.word())
        .bind(entry.line.as_ref().map_or("", |line| line.plan.as_str()))
        .bind(entry.line.as_ref().map_or("", |line| line.line.as_str()))
        .bind(entry.on.to_string())
        .bind(corrects.as_ref().map(|corrects| corrects.entry.as_str()))
        .bind(&leaf.0[..])
        .bind(json(entry))
        .execute(&mut *tx)
        .await
        .map_err(failed("keep evidence"))?;
        say(&mut tx, &said).await?;
        if let Some(corrects) = corrects {
            let correction = EntryCorrection {
                at_ms: *at_ms,
                by: by.clone(),
                reason: corrects.reason.clone(),
                by_entry: Some(entry.id.clone()),
            };
            let of = correct(&mut tx, &corrects.entry, &correction).await?;
            let said = logbook::corrected(of, Some(leaf), *at_ms, &corrects.reason, by)?;
            say(&mut tx, &said).await?;
        }
        append(&mut tx, trail).await?;
        commit(tx).await
    }

    async fn withdraw_entry(
        &self,
        entry: &EntryId,
        correction: &EntryCorrection,
        trail: &trail::Entry,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let of = correct(&mut tx, entry, correction).await?;
        let EntryCorrection { at_ms, by, reason, .. } = correction;
        say(&mut tx, &logbook::corrected(of, None, *at_ms, reason, by)?).await?;
        append(&mut tx, trail).await?;
        commit(tx).await
    }

    async fn entry(&self, id: &EntryId) -> Result<Option<StoredEntry>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(ENTRY);
        query.push(" AND e.entry = ").push_bind(id.as_str());
        let row =
            query.build().fetch_optional(&self.read).await.map_err(failed("read evidence"))?;
        row.as_ref().map(stored).transpose()
    }

    async fn entries(
        &self,
        filter: &EntryFilter,
        page: Page,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(ENTRY);
        if let Some(units) = &filter.units {
            // One parameter, however many units: both databases bound their number.
            let list = format!(
                " {} ",
                units.iter().map(crate::domain::ids::UnitId::as_str).collect::<Vec<_>>().join(" ")
            );
            query.push(" AND ").push_bind(list).push(" LIKE '% ' || e.unit || ' %'");
        }
        if let Some(channel) = filter.channel {
            query.push(" AND e.channel = ").push_bind(channel.word());
        }
        if let Some(plan) = &filter.plan {
            query.push(" AND e.plan = ").push_bind(plan.as_str());
        }
        if let Some(line) = &filter.line {
            query.push(" AND e.plan = ").push_bind(line.plan.as_str());
            query.push(" AND e.line = ").push_bind(line.line.as_str());
        }
        if let Some(from) = filter.from {
            query.push(" AND e.day >= ").push_bind(from.to_string());
        }
        if let Some(to) = filter.to {
            query.push(" AND e.day <= ").push_bind(to.to_string());
        }
        if filter.standing {
            query.push(" AND c.entry IS NULL");
        }
        match page {
            Page::Newest { limit } => {
                query.push(" ORDER BY e.position DESC LIMIT ").push_bind(i64::from(limit));
            }
            Page::After { position, limit } => {
                query.push(" AND e.position > ").push_bind(position);
                query.push(" ORDER BY e.position LIMIT ").push_bind(i64::from(limit));
            }
        }
        let rows = query.build().fetch_all(&self.read).await.map_err(failed("list evidence"))?;
        rows.iter().map(stored).collect()
    }
}

//! Plans and topic lists: the file as it was given, and what was read in it.

use super::rows::{Columns, json};
use super::trail::append;
use super::{SqliteStore, commit, failed};
use crate::app::ports::{
    PlanBook, PlanFormat, StoreError, StoredPlan, StoredTopics, WithdrawnPlan,
};
use crate::app::trail::Entry;
use crate::domain::ids::{Digest, PlanId};
use async_trait::async_trait;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use std::sync::Arc;

/// Columns of a plan without its file.
const PLAN: &str = "SELECT p.plan, p.version, p.at_ms, p.made_by, p.format, p.sha256, p.body, \
     w.at_ms AS gone_ms, w.made_by AS gone_by, w.reason AS gone_for FROM ordered_plans p \
     LEFT JOIN plan_withdrawals w ON w.plan = p.plan AND w.version = p.version";

fn plan(row: &SqliteRow) -> Result<StoredPlan, StoreError> {
    let row = Columns::new(row, "plan");
    let withdrawn = match row.at_option("gone_ms")? {
        Some(at_ms) => {
            Some(WithdrawnPlan { at_ms, by: row.text("gone_by")?, reason: row.text("gone_for")? })
        }
        None => None,
    };
    let format = match row.get("format")? {
        "toml" => PlanFormat::Toml,
        "csv" => PlanFormat::Csv,
        _ => return Err(row.damaged("format")),
    };
    Ok(StoredPlan {
        plan: row.json("body")?,
        version: row.int("version")?,
        at_ms: row.at("at_ms")?,
        by: row.text("made_by")?,
        format,
        sha256: row.digest("sha256")?,
        withdrawn,
    })
}

fn topics(row: &SqliteRow) -> Result<StoredTopics, StoreError> {
    let row = Columns::new(row, "topic list");
    Ok(StoredTopics {
        list: row.json("body")?,
        at_ms: row.at("at_ms")?,
        by: row.text("made_by")?,
        sha256: row.digest("sha256")?,
    })
}

/// Returns number and hash of the newest version, and whether it was withdrawn.
async fn newest(
    conn: &mut SqliteConnection,
    plan: &PlanId,
) -> Result<Option<(u32, Digest, bool)>, StoreError> {
    let row = sqlx::query(
        "SELECT p.version, p.sha256, w.at_ms AS gone_ms FROM ordered_plans p \
         LEFT JOIN plan_withdrawals w ON w.plan = p.plan AND w.version = p.version \
         WHERE p.plan = $1 ORDER BY p.version DESC LIMIT 1",
    )
    .bind(plan.as_str())
    .fetch_optional(conn)
    .await
    .map_err(failed("read a plan"))?;
    let read = |row| {
        let row = Columns::new(row, "plan");
        Ok((row.int("version")?, row.digest("sha256")?, row.at_option("gone_ms")?.is_some()))
    };
    row.as_ref().map(read).transpose()
}

#[async_trait]
impl PlanBook for SqliteStore {
    async fn put_plan(
        &self,
        plan: &StoredPlan,
        source: &[u8],
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let id = &plan.plan.id;
        let mut tx = self.begin().await?;
        let known = newest(&mut tx, id).await?;
        if known.is_some_and(|known| known == (plan.version, plan.sha256, false)) {
            return Ok(());
        }
        if known.map_or(0, |(version, ..)| version) + 1 != plan.version {
            return Err(StoreError::Stale { what: "plan", key: id.to_string() });
        }
        sqlx::query(
            "INSERT INTO ordered_plans \
             (plan, version, at_ms, made_by, format, sha256, source, body) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(id.as_str())
        .bind(i64::from(plan.version))
        .bind(plan.at_ms.0)
        .bind(&plan.by)
        .bind(plan.format.word())
        .bind(&plan.sha256.0[..])
        .bind(source)
        .bind(json(&plan.plan))
        .execute(&mut *tx)
        .await
        .map_err(failed("keep a plan"))?;
        append(&mut tx, entry).await?;
        commit(tx).await
    }

    async fn withdraw_plan(
        &self,
        plan: &PlanId,
        version: u32,
        withdrawn: &WithdrawnPlan,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let stands = newest(&mut tx, plan).await?;
        if !stands.is_some_and(|(newest, _, gone)| newest == version && !gone) {
            return Err(StoreError::Stale { what: "plan", key: plan.to_string() });
        }
        sqlx::query(
            "INSERT INTO plan_withdrawals (plan, version, at_ms, made_by, reason) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(plan.as_str())
        .bind(i64::from(version))
        .bind(withdrawn.at_ms.0)
        .bind(&withdrawn.by)
        .bind(&withdrawn.reason)
        .execute(&mut *tx)
        .await
        .map_err(failed("withdraw a plan"))?;
        append(&mut tx, entry).await?;
        commit(tx).await
    }

    async fn newest_plans(&self) -> Result<Vec<StoredPlan>, StoreError> {
        let sql = format!(
            "{PLAN} WHERE p.version = \
             (SELECT MAX(n.version) FROM ordered_plans n WHERE n.plan = p.plan) ORDER BY p.plan"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .fetch_all(&self.read)
            .await
            .map_err(failed("read plans"))?;
        rows.iter().map(self::plan).collect()
    }

    async fn plan_versions(&self, plan: &PlanId) -> Result<Vec<StoredPlan>, StoreError> {
        let sql = format!("{PLAN} WHERE p.plan = $1 ORDER BY p.version DESC");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(plan.as_str())
            .fetch_all(&self.read)
            .await
            .map_err(failed("read a plan"))?;
        rows.iter().map(self::plan).collect()
    }

    async fn plan_source(
        &self,
        plan: &PlanId,
        version: u32,
    ) -> Result<Option<Arc<[u8]>>, StoreError> {
        let sql = "SELECT source FROM ordered_plans WHERE plan = $1 AND version = $2";
        let source: Option<Vec<u8>> = sqlx::query_scalar(sql)
            .bind(plan.as_str())
            .bind(i64::from(version))
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read the file of a plan"))?;
        Ok(source.map(Into::into))
    }

    async fn put_topics(
        &self,
        topics: &StoredTopics,
        source: &[u8],
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let list = &topics.list;
        let mut tx = self.begin().await?;
        let known: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT sha256 FROM topic_lists WHERE list = $1 AND version = $2")
                .bind(list.id.as_str())
                .bind(i64::from(list.version))
                .fetch_optional(&mut *tx)
                .await
                .map_err(failed("read a topic list"))?;
        if let Some(known) = known {
            if known == topics.sha256.0 {
                return Ok(());
            }
            let key = format!("{} version {}", list.id, list.version);
            return Err(StoreError::Differs { what: "topic list", key });
        }
        sqlx::query(
            "INSERT INTO topic_lists (list, version, at_ms, made_by, sha256, source, body) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(list.id.as_str())
        .bind(i64::from(list.version))
        .bind(topics.at_ms.0)
        .bind(&topics.by)
        .bind(&topics.sha256.0[..])
        .bind(source)
        .bind(json(list))
        .execute(&mut *tx)
        .await
        .map_err(failed("keep a topic list"))?;
        append(&mut tx, entry).await?;
        commit(tx).await
    }

    async fn topic_lists(&self) -> Result<Vec<StoredTopics>, StoreError> {
        let sql = "SELECT list, version, at_ms, made_by, sha256, body FROM topic_lists \
                   ORDER BY list, version";
        let rows =
            sqlx::query(sql).fetch_all(&self.read).await.map_err(failed("read topic lists"))?;
        rows.iter().map(self::topics).collect()
    }
}

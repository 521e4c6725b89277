//! Notices and holds as rows.

use super::logbook::say;
use super::plans::put_retained;
use super::rows::{Columns, json};
use super::{SqliteStore, commit, failed, trail};
use crate::app::logbook;
use crate::app::ports::{
    NoticeKind, Orders, RetainedDocument, SentNotice, StoreError, StoredHold, StoredNotice,
    WithdrawnNotice,
};
use crate::app::trail::Entry;
use async_trait::async_trait;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

fn notice(row: &SqliteRow) -> Result<StoredNotice, StoreError> {
    let row = Columns::new(row, "notice");
    let sent = match row.at_option("sent_ms")? {
        None => None,
        Some(at_ms) => Some(SentNotice {
            at_ms,
            by: row.text("sent_by")?,
            exp_ms: row.at("exp_ms")?,
            jws: row.get::<&str>("jws")?.into(),
            reached: row.json("reached")?,
        }),
    };
    let withdrawn = match row.at_option("withdrawn_ms")? {
        None => None,
        Some(at_ms) => Some(WithdrawnNotice {
            at_ms,
            by: row.text("withdrawn_by")?,
            reason: row.text("withdrawn_for")?,
            jws: row.get::<&str>("withdrawal")?.into(),
        }),
    };
    Ok(StoredNotice {
        jti: row.text("jti")?,
        kind: match row.get("kind")? {
            "urgent" => NoticeKind::Urgent,
            "drill" => NoticeKind::Drill,
            _ => return Err(row.damaged("kind")),
        },
        content: row.json("content")?,
        made_ms: row.at("made_ms")?,
        made_by: row.text("made_by")?,
        sent,
        withdrawn,
        cleared: row.get::<i64>("cleared")? != 0,
    })
}

fn hold(row: &SqliteRow) -> Result<StoredHold, StoreError> {
    let row = Columns::new(row, "hold");
    Ok(StoredHold {
        unit: row.parse("unit")?,
        ver: row.get("ver")?,
        jti: row.text("jti")?,
        made_ms: row.at("made_ms")?,
        until_ms: row.at("until_ms")?,
        reason: row.text("reason")?,
        by: row.text("made_by")?,
        jws: row.get::<&str>("jws")?.into(),
    })
}

/// Reads a notice within the write that changes it.
async fn notice_in(conn: &mut SqliteConnection, jti: &str) -> Result<StoredNotice, StoreError> {
    let row = sqlx::query("SELECT * FROM notices WHERE jti = $1")
        .bind(jti)
        .fetch_one(conn)
        .await
        .map_err(failed("read a notice"))?;
    notice(&row)
}

fn stale(jti: &str) -> StoreError {
    StoreError::Stale { what: "notice", key: jti.to_owned() }
}

impl SqliteStore {
    async fn notices_by(
        &self,
        sql: &'static str,
        limit: i64,
    ) -> Result<Vec<StoredNotice>, StoreError> {
        let rows = sqlx::query(sql)
            .bind(limit)
            .fetch_all(&self.read)
            .await
            .map_err(failed("read notices"))?;
        rows.iter().map(notice).collect()
    }

    async fn holds_by(&self, sql: &'static str, limit: i64) -> Result<Vec<StoredHold>, StoreError> {
        let rows = sqlx::query(sql)
            .bind(limit)
            .fetch_all(&self.read)
            .await
            .map_err(failed("read holds"))?;
        rows.iter().map(hold).collect()
    }
}

#[async_trait]
impl Orders for SqliteStore {
    async fn put_notice(&self, notice: &StoredNotice, entry: &Entry) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let new = sqlx::query(
            "INSERT INTO notices (jti, kind, content, made_ms, made_by, cleared) \
             VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT (jti) DO NOTHING",
        )
        .bind(&notice.jti)
        .bind(notice.kind.as_str())
        .bind(json(&notice.content))
        .bind(notice.made_ms.0)
        .bind(&notice.made_by)
        .execute(&mut *tx)
        .await
        .map_err(failed("keep a notice"))?;
        if new.rows_affected() == 1 {
            trail::append(&mut tx, entry).await?;
        }
        commit(tx).await
    }

    async fn send_notice(
        &self,
        jti: &str,
        sent: &SentNotice,
        documents: &[RetainedDocument],
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "UPDATE notices SET sent_ms = $2, sent_by = $3, exp_ms = $4, jws = $5, reached = $6 \
             WHERE jti = $1 AND sent_ms IS NULL",
        )
        .bind(jti)
        .bind(sent.at_ms.0)
        .bind(&sent.by)
        .bind(sent.exp_ms.0)
        .bind(&*sent.jws)
        .bind(json(&sent.reached))
        .execute(&mut *tx)
        .await
        .map_err(failed("note that a notice goes out"))?;
        if done.rows_affected() == 0 {
            return Err(stale(jti));
        }
        put_retained(&mut tx, documents).await?;
        trail::append(&mut tx, entry).await?;
        let known = notice_in(&mut tx, jti).await?;
        say(&mut tx, &logbook::noticed(jti, known.kind, &known.content, sent)?).await?;
        commit(tx).await
    }

    async fn withdraw_notice(
        &self,
        jti: &str,
        withdrawn: &WithdrawnNotice,
        documents: &[RetainedDocument],
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "UPDATE notices SET withdrawn_ms = $2, withdrawn_by = $3, withdrawn_for = $4, \
             withdrawal = $5 WHERE jti = $1 AND sent_ms IS NOT NULL AND withdrawn_ms IS NULL",
        )
        .bind(jti)
        .bind(withdrawn.at_ms.0)
        .bind(&withdrawn.by)
        .bind(&withdrawn.reason)
        .bind(&*withdrawn.jws)
        .execute(&mut *tx)
        .await
        .map_err(failed("note that a notice is withdrawn"))?;
        if done.rows_affected() == 0 {
            return Err(stale(jti));
        }
        put_retained(&mut tx, documents).await?;
        trail::append(&mut tx, entry).await?;
        let known = notice_in(&mut tx, jti).await?;
        let sent = known.sent.as_ref().map_or("", |sent| &sent.jws);
        say(&mut tx, &logbook::withdrawn(sent.as_bytes(), withdrawn)?).await?;
        commit(tx).await
    }

    async fn clear_notice(&self, jti: &str, topics: &[String]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for topic in topics {
            sqlx::query("DELETE FROM retained WHERE topic = $1")
                .bind(topic)
                .execute(&mut *tx)
                .await
                .map_err(failed("drop a retained document"))?;
        }
        sqlx::query("UPDATE notices SET cleared = 1 WHERE jti = $1")
            .bind(jti)
            .execute(&mut *tx)
            .await
            .map_err(failed("note that a notice is over"))?;
        commit(tx).await
    }

    async fn notice(&self, jti: &str) -> Result<Option<StoredNotice>, StoreError> {
        let row = sqlx::query("SELECT * FROM notices WHERE jti = $1")
            .bind(jti)
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read a notice"))?;
        row.as_ref().map(notice).transpose()
    }

    async fn notices(&self, limit: u32) -> Result<Vec<StoredNotice>, StoreError> {
        let sql = "SELECT * FROM notices ORDER BY made_ms DESC, jti LIMIT $1";
        self.notices_by(sql, i64::from(limit)).await
    }

    async fn notices_at_broker(&self) -> Result<Vec<StoredNotice>, StoreError> {
        let sql = "SELECT * FROM notices WHERE sent_ms IS NOT NULL AND cleared = 0 \
                   ORDER BY sent_ms, jti LIMIT $1";
        self.notices_by(sql, i64::MAX).await
    }

    async fn put_hold(
        &self,
        hold: &StoredHold,
        document: &RetainedDocument,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "INSERT INTO holds (unit, ver, jti, made_ms, until_ms, reason, made_by, jws) \
             SELECT $1, $2, $3, $4, $5, $6, $7, $8 \
             WHERE NOT EXISTS (SELECT 1 FROM holds WHERE unit = $1 AND ver >= $2)",
        )
        .bind(hold.unit.as_str())
        .bind(hold.ver)
        .bind(&hold.jti)
        .bind(hold.made_ms.0)
        .bind(hold.until_ms.0)
        .bind(&hold.reason)
        .bind(&hold.by)
        .bind(&*hold.jws)
        .execute(&mut *tx)
        .await
        .map_err(failed("keep a hold"))?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Stale { what: "hold", key: hold.unit.to_string() });
        }
        put_retained(&mut tx, std::slice::from_ref(document)).await?;
        trail::append(&mut tx, entry).await?;
        say(&mut tx, &logbook::held(hold)?).await?;
        commit(tx).await
    }

    async fn holds(&self) -> Result<Vec<StoredHold>, StoreError> {
        let sql = "SELECT * FROM holds h WHERE ver = \
                   (SELECT max(n.ver) FROM holds n WHERE n.unit = h.unit) ORDER BY unit LIMIT $1";
        self.holds_by(sql, i64::MAX).await
    }

    async fn hold_history(&self, limit: u32) -> Result<Vec<StoredHold>, StoreError> {
        let sql = "SELECT * FROM holds ORDER BY made_ms DESC, unit, ver DESC LIMIT $1";
        self.holds_by(sql, i64::from(limit)).await
    }

    async fn orders_mark(&self) -> Result<i64, StoreError> {
        sqlx::query_scalar(
            "SELECT (SELECT count(sent_ms) + count(withdrawn_ms) FROM notices) \
             + (SELECT count(*) FROM holds)",
        )
        .fetch_one(&self.read)
        .await
        .map_err(failed("look for new orders"))
    }
}

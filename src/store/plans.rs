//! Sheets, timetables, retained documents.

use super::logbook::say;
use super::rows::Columns;
use super::{SqliteStore, commit, failed, guard};
use crate::app::ports::{
    CueOutput, CueRow, Descriptions, Fence, Plans, RetainedDocument, StoreError, StoredDay,
    StoredSheet, StoredTimetable,
};
use crate::domain::ids::{CueId, DeviceId, Digest};
use crate::domain::time::UtcMs;
use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rows of one `INSERT`: far below the limit on parameters of both databases.
const ROWS_AT_ONCE: usize = 500;

/// Names a list of days by its content.
pub(super) fn day_list_id(days: &[StoredDay]) -> Digest {
    let mut bytes = Vec::with_capacity(days.len() * 48);
    for day in days {
        bytes.extend_from_slice(&day.from_ms.0.to_be_bytes());
        bytes.extend_from_slice(&day.to_ms.0.to_be_bytes());
        bytes.extend_from_slice(&day.sheet.0);
    }
    Digest::of(&bytes)
}

fn output(output: CueOutput) -> &'static str {
    match output {
        CueOutput::Clip => "clip",
        CueOutput::Pages => "pages",
    }
}

async fn put_sheet(conn: &mut SqliteConnection, sheet: &StoredSheet) -> Result<(), StoreError> {
    let new = sqlx::query(
        "INSERT INTO sheets (sha256, from_ms, to_ms, bytes) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (sha256) DO NOTHING",
    )
    .bind(&sheet.sha256.0[..])
    .bind(sheet.from_ms.0)
    .bind(sheet.to_ms.0)
    .bind(&sheet.bytes[..])
    .execute(&mut *conn)
    .await
    .map_err(failed("keep a sheet"))?;
    if new.rows_affected() == 0 {
        return Ok(());
    }
    let numbered: Vec<_> = (0_i64..).zip(sheet.cues.iter()).collect();
    for part in numbered.chunks(ROWS_AT_ONCE) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO sheet_cues (sheet, pos, cue, at_ms, end_ms, item, title, output) ",
        );
        query.push_values(part, |mut row, (pos, cue)| {
            row.push_bind(&sheet.sha256.0[..])
                .push_bind(*pos)
                .push_bind(&cue.cue.0[..])
                .push_bind(cue.at_ms.0)
                .push_bind(cue.end_ms.0)
                .push_bind(&cue.item)
                .push_bind(&cue.title)
                .push_bind(output(cue.output));
        });
        query.build().execute(&mut *conn).await.map_err(failed("keep the cues of a sheet"))?;
    }
    Ok(())
}

async fn put_days(
    conn: &mut SqliteConnection,
    id: Digest,
    days: &[StoredDay],
) -> Result<(), StoreError> {
    let new = sqlx::query("INSERT INTO day_lists (id) VALUES ($1) ON CONFLICT (id) DO NOTHING")
        .bind(&id.0[..])
        .execute(&mut *conn)
        .await
        .map_err(failed("keep a list of days"))?;
    if new.rows_affected() == 0 {
        return Ok(());
    }
    for day in days {
        sqlx::query(
            "INSERT INTO day_list_days (list, from_ms, to_ms, sheet) VALUES ($1, $2, $3, $4)",
        )
        .bind(&id.0[..])
        .bind(day.from_ms.0)
        .bind(day.to_ms.0)
        .bind(&day.sheet.0[..])
        .execute(&mut *conn)
        .await
        .map_err(failed("keep a list of days"))?;
    }
    Ok(())
}

/// Returns when a timetable first sounds or shows after it was made.
async fn first_cue(
    conn: &mut SqliteConnection,
    timetable: &StoredTimetable,
) -> Result<Option<UtcMs>, StoreError> {
    for day in timetable.days.iter().filter(|day| day.to_ms > timetable.made_ms) {
        let first: Option<i64> =
            sqlx::query_scalar("SELECT MIN(at_ms) FROM sheet_cues WHERE sheet = $1 AND at_ms > $2")
                .bind(&day.sheet.0[..])
                .bind(timetable.made_ms.0)
                .fetch_one(&mut *conn)
                .await
                .map_err(failed("read cues"))?;
        if let Some(first) = first {
            return Ok(Some(UtcMs(first)));
        }
    }
    Ok(None)
}

/// Keeps a version; says whether it is new.
async fn put_timetable(
    conn: &mut SqliteConnection,
    timetable: &StoredTimetable,
    list: Digest,
) -> Result<bool, StoreError> {
    let new = sqlx::query(
        "INSERT INTO timetables \
         (device, ver, made_ms, exp_ms, content, day_list, jws, published_ms) \
         SELECT $1, $2, $3, $4, $5, $6, $7, $8 \
         WHERE NOT EXISTS (SELECT 1 FROM timetables WHERE device = $1 AND ver >= $2)",
    )
    .bind(timetable.device.as_str())
    .bind(timetable.ver)
    .bind(timetable.made_ms.0)
    .bind(timetable.exp_ms.0)
    .bind(&timetable.content.0[..])
    .bind(&list.0[..])
    .bind(&*timetable.jws)
    .bind(timetable.published_ms.map(|at| at.0))
    .execute(&mut *conn)
    .await
    .map_err(failed("keep a timetable"))?;
    if new.rows_affected() == 1 {
        return Ok(true);
    }
    let newest: Option<(i64, String)> = sqlx::query_as(
        "SELECT ver, jws FROM timetables WHERE device = $1 ORDER BY ver DESC LIMIT 1",
    )
    .bind(timetable.device.as_str())
    .fetch_optional(conn)
    .await
    .map_err(failed("read a timetable"))?;
    match newest {
        Some((ver, jws)) if ver == timetable.ver && jws == *timetable.jws => Ok(false),
        _ => Err(StoreError::Stale { what: "timetable", key: timetable.device.to_string() }),
    }
}

fn timetable(
    row: &SqliteRow,
    lists: &BTreeMap<Digest, Arc<[StoredDay]>>,
) -> Result<StoredTimetable, StoreError> {
    let row = Columns::new(row, "timetable");
    let list = row.digest("day_list")?;
    Ok(StoredTimetable {
        device: row.parse("device")?,
        ver: row.get("ver")?,
        made_ms: row.at("made_ms")?,
        exp_ms: row.at("exp_ms")?,
        content: row.digest("content")?,
        days: lists.get(&list).cloned().ok_or_else(|| row.damaged("day_list"))?,
        jws: row.get::<&str>("jws")?.into(),
        published_ms: row.at_option("published_ms")?,
    })
}

pub(super) async fn put_retained(
    conn: &mut SqliteConnection,
    documents: &[RetainedDocument],
) -> Result<(), StoreError> {
    for document in documents {
        let done = sqlx::query(
            "INSERT INTO retained (topic, ver, made_ms, body) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (topic) DO UPDATE SET ver = excluded.ver, \
             made_ms = excluded.made_ms, body = excluded.body \
             WHERE retained.ver <= excluded.ver",
        )
        .bind(&document.topic)
        .bind(document.ver)
        .bind(document.made_ms.0)
        .bind(&document.body[..])
        .execute(&mut *conn)
        .await
        .map_err(failed("keep a retained document"))?;
        if done.rows_affected() == 0 {
            let key = document.topic.clone();
            return Err(StoreError::Stale { what: "retained document", key });
        }
    }
    Ok(())
}

impl SqliteStore {
    async fn timetables(&self, rows: &[SqliteRow]) -> Result<Vec<StoredTimetable>, StoreError> {
        let mut wanted = BTreeSet::new();
        for row in rows {
            wanted.insert(Columns::new(row, "timetable").digest("day_list")?);
        }
        let mut lists: BTreeMap<Digest, Arc<[StoredDay]>> = BTreeMap::new();
        for id in wanted {
            let days = sqlx::query(
                "SELECT from_ms, to_ms, sheet FROM day_list_days WHERE list = $1 ORDER BY from_ms",
            )
            .bind(&id.0[..])
            .fetch_all(&self.read)
            .await
            .map_err(failed("read a list of days"))?;
            let days = days.iter().map(|row| {
                let row = Columns::new(row, "day of a timetable");
                Ok(StoredDay {
                    from_ms: row.at("from_ms")?,
                    to_ms: row.at("to_ms")?,
                    sheet: row.digest("sheet")?,
                })
            });
            lists.insert(id, days.collect::<Result<_, StoreError>>()?);
        }
        rows.iter().map(|row| timetable(row, &lists)).collect()
    }

    async fn cues_of(&self, sheet: &Digest) -> Result<Arc<[CueRow]>, StoreError> {
        let rows = sqlx::query(
            "SELECT cue, at_ms, end_ms, item, title, output FROM sheet_cues \
             WHERE sheet = $1 ORDER BY pos",
        )
        .bind(&sheet.0[..])
        .fetch_all(&self.read)
        .await
        .map_err(failed("read the cues of a sheet"))?;
        let cues = rows.iter().map(|row| {
            let row = Columns::new(row, "cue");
            Ok(CueRow {
                cue: CueId(row.bytes("cue")?),
                at_ms: row.at("at_ms")?,
                end_ms: row.at("end_ms")?,
                item: row.text("item")?,
                title: row.text("title")?,
                output: match row.get("output")? {
                    "clip" => CueOutput::Clip,
                    "pages" => CueOutput::Pages,
                    _ => return Err(row.damaged("output")),
                },
            })
        });
        cues.collect()
    }
}

#[async_trait]
impl Plans for SqliteStore {
    async fn put_round(
        &self,
        sheets: &[StoredSheet],
        timetables: &[StoredTimetable],
        told: &Descriptions,
        fence: Option<Fence>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        guard(&mut tx, fence.as_slice()).await?;
        for sheet in sheets {
            put_sheet(&mut tx, sheet).await?;
        }
        super::rollups::tell(&mut tx, told).await?;
        let (mut lists, mut firsts) = (BTreeSet::new(), BTreeMap::new());
        for timetable in timetables {
            let list = day_list_id(&timetable.days);
            if lists.insert(list) {
                put_days(&mut tx, list, &timetable.days).await?;
            }
            if put_timetable(&mut tx, timetable, list).await? {
                let known = firsts.get(&(list, timetable.made_ms)).copied();
                let first = if let Some(first) = known {
                    first
                } else {
                    let first = first_cue(&mut tx, timetable).await?;
                    firsts.insert((list, timetable.made_ms), first);
                    first
                };
                say(&mut tx, &crate::app::logbook::timetable(timetable, first)?).await?;
                super::rollups::queue(&mut tx, &timetable.device, timetable.made_ms).await?;
            }
        }
        commit(tx).await
    }

    async fn mark_published(
        &self,
        versions: &[(DeviceId, i64)],
        at: UtcMs,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for (device, ver) in versions {
            sqlx::query(
                "UPDATE timetables SET published_ms = $3 \
                 WHERE device = $1 AND ver = $2 AND published_ms IS NULL",
            )
            .bind(device.as_str())
            .bind(ver)
            .bind(at.0)
            .execute(&mut *tx)
            .await
            .map_err(failed("note what was published"))?;
        }
        commit(tx).await
    }

    async fn newest_timetables(&self) -> Result<Vec<StoredTimetable>, StoreError> {
        // Steps from device to device along the primary key instead of reading all history.
        let rows = sqlx::query(
            "WITH RECURSIVE known (device) AS (\
                 SELECT min(device) FROM timetables \
                 UNION ALL \
                 SELECT (SELECT min(t.device) FROM timetables t WHERE t.device > known.device) \
                 FROM known WHERE known.device IS NOT NULL) \
             SELECT t.* FROM known JOIN timetables t ON t.device = known.device \
             WHERE t.ver = (SELECT max(n.ver) FROM timetables n WHERE n.device = known.device) \
             ORDER BY t.device",
        )
        .fetch_all(&self.read)
        .await
        .map_err(failed("read timetables"))?;
        self.timetables(&rows).await
    }

    async fn timetables_of(
        &self,
        device: &DeviceId,
        from: UtcMs,
        to: UtcMs,
    ) -> Result<Vec<StoredTimetable>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM timetables WHERE device = $1 AND made_ms < $3 AND ver >= \
                 (SELECT coalesce(max(b.ver), -1) FROM timetables b \
                  WHERE b.device = $1 AND b.made_ms < $2) \
             ORDER BY ver",
        )
        .bind(device.as_str())
        .bind(from.0)
        .bind(to.0)
        .fetch_all(&self.read)
        .await
        .map_err(failed("read timetables of a device"))?;
        self.timetables(&rows).await
    }

    async fn timetable_text(
        &self,
        device: &DeviceId,
        ver: i64,
    ) -> Result<Option<Arc<str>>, StoreError> {
        let text: Option<String> =
            sqlx::query_scalar("SELECT jws FROM timetables WHERE device = $1 AND ver = $2")
                .bind(device.as_str())
                .bind(ver)
                .fetch_optional(&self.read)
                .await
                .map_err(failed("read a timetable"))?;
        Ok(text.map(Arc::from))
    }

    async fn sheets(&self, ids: &[Digest]) -> Result<Vec<StoredSheet>, StoreError> {
        let wanted: BTreeSet<_> = ids.iter().copied().collect();
        let mut found = Vec::new();
        for id in wanted {
            let row = sqlx::query("SELECT from_ms, to_ms, bytes FROM sheets WHERE sha256 = $1")
                .bind(&id.0[..])
                .fetch_optional(&self.read)
                .await
                .map_err(failed("read a sheet"))?;
            let Some(row) = row else { continue };
            let row = Columns::new(&row, "sheet");
            found.push(StoredSheet {
                sha256: id,
                from_ms: row.at("from_ms")?,
                to_ms: row.at("to_ms")?,
                bytes: row.get::<&[u8]>("bytes")?.into(),
                cues: self.cues_of(&id).await?,
            });
        }
        Ok(found)
    }

    async fn sheets_ending_after(&self, at: UtcMs) -> Result<Vec<Digest>, StoreError> {
        let rows = sqlx::query("SELECT sha256 FROM sheets WHERE to_ms > $1 ORDER BY sha256")
            .bind(at.0)
            .fetch_all(&self.read)
            .await
            .map_err(failed("read sheets"))?;
        rows.iter().map(|row| Columns::new(row, "sheet").digest("sha256")).collect()
    }

    async fn put_retained(&self, documents: &[RetainedDocument]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        put_retained(&mut tx, documents).await?;
        commit(tx).await
    }

    async fn replace_retained(
        &self,
        changes: &[(i64, RetainedDocument)],
        fence: Option<Fence>,
    ) -> Result<usize, StoreError> {
        let mut tx = self.begin().await?;
        guard(&mut tx, fence.as_slice()).await?;
        let mut replaced = 0;
        for (before, document) in changes {
            let done = sqlx::query(
                "UPDATE retained SET ver = $1, made_ms = $2, body = $3 \
                 WHERE topic = $4 AND ver = $5",
            )
            .bind(document.ver)
            .bind(document.made_ms.0)
            .bind(&document.body[..])
            .bind(&document.topic)
            .bind(before)
            .execute(&mut *tx)
            .await
            .map_err(failed("replace a retained document"))?;
            replaced += usize::from(done.rows_affected() > 0);
        }
        commit(tx).await?;
        Ok(replaced)
    }

    async fn drop_retained(&self, topics: &[String]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for topic in topics {
            sqlx::query("DELETE FROM retained WHERE topic = $1")
                .bind(topic)
                .execute(&mut *tx)
                .await
                .map_err(failed("drop a retained document"))?;
        }
        commit(tx).await
    }

    async fn retained(&self) -> Result<Vec<RetainedDocument>, StoreError> {
        let rows = sqlx::query("SELECT * FROM retained ORDER BY topic")
            .fetch_all(&self.read)
            .await
            .map_err(failed("read retained documents"))?;
        let documents = rows.iter().map(|row| {
            let row = Columns::new(row, "retained document");
            Ok(RetainedDocument {
                topic: row.text("topic")?,
                ver: row.get("ver")?,
                made_ms: row.at("made_ms")?,
                body: row.get::<&[u8]>("body")?.into(),
            })
        });
        documents.collect()
    }

    async fn forget_plans_before(&self, before: UtcMs) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let mut gone = 0;
        for (sql, bound) in [
            (
                "DELETE FROM timetables WHERE EXISTS (SELECT 1 FROM timetables n \
                 WHERE n.device = timetables.device AND n.ver > timetables.ver \
                 AND n.made_ms < $1)",
                true,
            ),
            (
                "DELETE FROM day_lists WHERE NOT EXISTS \
                 (SELECT 1 FROM timetables t WHERE t.day_list = day_lists.id)",
                false,
            ),
            (
                "DELETE FROM sheets WHERE to_ms < $1 AND NOT EXISTS \
                 (SELECT 1 FROM day_list_days d WHERE d.sheet = sheets.sha256)",
                true,
            ),
        ] {
            let query = sqlx::query(sql);
            let query = if bound { query.bind(before.0) } else { query };
            let done = query.execute(&mut *tx).await.map_err(failed("forget old schedules"))?;
            gone += done.rows_affected();
        }
        commit(tx).await?;
        Ok(gone)
    }
}

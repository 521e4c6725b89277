//! Roll-ups, what they name, and files made from them, as rows.

mod note;
mod packed;

use super::logbook::say;
use super::rows::{Columns, big, json};
use super::{SqliteStore, commit, failed};
use crate::app::ports::{
    Arrival, JudgedPage, KeptPage, KeptReach, Listed, Marked, NameKind, PageKey, Queued,
    ReportFile, RollupStore, Stood, StoreError, StoredRecord,
};
use crate::app::trail::Entry;
use crate::domain::ids::{CueId, DeviceId, Digest, ProfileId};
use crate::domain::station::Unit;
use crate::domain::time::UtcMs;
use crate::domain::timetable::Kind;
use crate::log::leaf::Leaf;
use crate::report::question::Checkpoint;
use async_trait::async_trait;
use chrono::NaiveDate;
use note::{OUTPUTS, number_of, put_reach, set};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite};
use std::collections::BTreeMap;

pub(super) use note::{queue, stands, tell, unit_goes};

/// Values of one list in a query.
const AT_ONCE: usize = 200;
/// The setting that tells how far marking has come.
const MARKED: &str = "report-marked";
/// Units that are read one by one; of more the whole is read and sorted out.
const UNITS_AT_ONCE: usize = 8;

fn day_number(day: NaiveDate) -> i64 {
    i64::from(day.to_epoch_days())
}

fn day_of(number: i64, row: &Columns<'_>) -> Result<NaiveDate, StoreError> {
    let number = i32::try_from(number).map_err(|_| row.damaged("day"))?;
    NaiveDate::from_epoch_days(number).ok_or_else(|| row.damaged("day"))
}

fn page_key(row: &SqliteRow) -> Result<PageKey, StoreError> {
    let row = Columns::new(row, "page of a report");
    Ok(PageKey { day: day_of(row.get("day")?, &row)?, unit: row.parse("unit")? })
}

fn file(row: &SqliteRow) -> Result<(i64, ReportFile), StoreError> {
    let row = Columns::new(row, "file of a report");
    let head = match (row.get("origin")?, row.int_option("size")?, row.get("root")?) {
        (Some(origin), Some(size), Some(root)) => Some(Checkpoint { origin, size, root }),
        _ => None,
    };
    let file = ReportFile {
        sha256: row.digest("sha256")?,
        question: row.text("question")?,
        name: row.text("name")?,
        bytes: row.int("bytes")?,
        made_ms: row.at("made_ms")?,
        made_by: row.text("made_by")?,
        cut_ms: row.at("cut_ms")?,
        head,
    };
    Ok((row.get("position")?, file))
}

/// Narrows a query to some units; of many the whole is cheaper.
fn narrowed(query: &mut QueryBuilder<Sqlite>, units: Option<&[u32]>) {
    if let Some(units) = units.filter(|units| units.len() <= UNITS_AT_ONCE) {
        query.push(" AND unit IN (");
        let mut list = query.separated(", ");
        for unit in units {
            list.push_bind(i64::from(*unit));
        }
        query.push(")");
    }
}

fn wanted(units: Option<&[u32]>, unit: u32) -> bool {
    units.is_none_or(|units| units.binary_search(&unit).is_ok())
}

#[async_trait]
impl RollupStore for SqliteStore {
    async fn names(&self, kind: NameKind, from: u32) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar(
            "SELECT body FROM report_names WHERE kind = $1 AND number >= $2 ORDER BY number",
        )
        .bind(kind.as_str())
        .bind(i64::from(from))
        .fetch_all(&self.read)
        .await
        .map_err(failed("read names"))
    }

    async fn number(&self, kind: NameKind, names: &[String]) -> Result<Vec<u32>, StoreError> {
        let mut tx = self.begin().await?;
        let mut numbers = Vec::with_capacity(names.len());
        for name in names {
            numbers.push(number_of(&mut tx, kind, name).await?);
        }
        commit(tx).await?;
        Ok(numbers)
    }

    async fn contents_of(
        &self,
        sheets: &[Digest],
    ) -> Result<BTreeMap<(Digest, String), u32>, StoreError> {
        let mut found = BTreeMap::new();
        for part in sheets.chunks(AT_ONCE) {
            let mut query = QueryBuilder::<Sqlite>::new(
                "SELECT sheet, item, content FROM sheet_contents WHERE sheet IN (",
            );
            let mut list = query.separated(", ");
            for sheet in part {
                list.push_bind(sheet.0.to_vec());
            }
            query.push(")");
            let rows =
                query.build().fetch_all(&self.read).await.map_err(failed("read contents"))?;
            for row in &rows {
                let row = Columns::new(row, "content of a sheet");
                found.insert((row.digest("sheet")?, row.text("item")?), row.int("content")?);
            }
        }
        Ok(found)
    }

    async fn outputs(&self) -> Result<BTreeMap<ProfileId, Kind>, StoreError> {
        let text: Option<String> = sqlx::query_scalar("SELECT value FROM settings WHERE name = $1")
            .bind(OUTPUTS)
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read a setting"))?;
        let damaged = || StoreError::Damaged { what: "setting", key: OUTPUTS.to_owned() };
        text.map_or(Ok(BTreeMap::new()), |text| serde_json::from_str(&text).map_err(|_| damaged()))
    }

    async fn stood(&self) -> Result<Vec<Stood>, StoreError> {
        let rows = sqlx::query("SELECT * FROM device_places ORDER BY device, since_ms")
            .fetch_all(&self.read)
            .await
            .map_err(failed("read where devices stood"))?;
        let read = |row| {
            let row = Columns::new(row, "place of a device");
            Ok(Stood {
                device: row.parse("device")?,
                since_ms: row.at("since_ms")?,
                unit: row.parse_option("unit")?,
                name: row.text("name")?,
                profile: row.parse("profile")?,
            })
        };
        rows.iter().map(read).collect()
    }

    async fn former_units(&self) -> Result<Vec<Unit>, StoreError> {
        let rows = sqlx::query(
            "SELECT f.*, NULL AS population FROM former_units f \
             WHERE NOT EXISTS (SELECT 1 FROM units u WHERE u.id = f.id) ORDER BY f.id",
        )
        .fetch_all(&self.read)
        .await
        .map_err(failed("read former units"))?;
        rows.iter().map(super::registry::unit).collect()
    }

    async fn lost_of(&self, device: &DeviceId) -> Result<Vec<StoredRecord>, StoreError> {
        let rows = sqlx::query("SELECT * FROM records WHERE device = $1 AND kind = 'lost'")
            .bind(device.as_str())
            .fetch_all(&self.read)
            .await
            .map_err(failed("read what was lost"))?;
        rows.iter().map(super::evidence::record).collect()
    }

    async fn closing(
        &self,
        device: &DeviceId,
        cues: &[CueId],
        known: (UtcMs, UtcMs),
    ) -> Result<Vec<Listed>, StoreError> {
        let mut found = Vec::new();
        for part in cues.chunks(AT_ONCE) {
            let mut query = QueryBuilder::<Sqlite>::new(super::evidence::LISTED);
            query.push(" WHERE records.cue IN (");
            let mut list = query.separated(", ");
            for cue in part {
                list.push_bind(cue.0.to_vec());
            }
            query.push(") AND records.device = ").push_bind(device.as_str().to_owned());
            query.push(" AND (records.at_ms < ").push_bind(known.0.0);
            query.push(" OR records.at_ms >= ").push_bind(known.1.0).push(")");
            query.push(" ORDER BY records.position");
            found.extend(self.listed(query).await?);
        }
        Ok(found)
    }

    async fn arrivals(&self, after: i64, limit: u32) -> Result<Vec<Arrival>, StoreError> {
        let rows = sqlx::query(
            "SELECT position, device, at_ms, \
             CASE WHEN kind IN ('start', 'play', 'show') THEN jws END AS jws FROM records \
             WHERE position > $1 ORDER BY position LIMIT $2",
        )
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .map_err(failed("read what came in"))?;
        let read = |row| {
            let row = Columns::new(row, "record");
            let (position, device) = (row.get("position")?, row.parse("device")?);
            let jws: Option<&str> = row.get("jws")?;
            Ok(Arrival { position, device, at_ms: row.at("at_ms")?, jws: jws.map(Into::into) })
        };
        rows.iter().map(read).collect()
    }

    async fn marked(&self) -> Result<Marked, StoreError> {
        let text: Option<String> = sqlx::query_scalar("SELECT value FROM settings WHERE name = $1")
            .bind(MARKED)
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read a setting"))?;
        let damaged = || StoreError::Damaged { what: "setting", key: MARKED.to_owned() };
        let read = |text: String| serde_json::from_str(&text).map_err(|_| damaged());
        let (records, opened) = text.map_or(Ok((0, None)), read)?;
        Ok(Marked { records, opened })
    }

    async fn queued(&self, limit: u32) -> Result<Vec<Queued>, StoreError> {
        let rows = sqlx::query("SELECT * FROM report_queue ORDER BY position LIMIT $1")
            .bind(i64::from(limit))
            .fetch_all(&self.read)
            .await
            .map_err(failed("read what is queued"))?;
        let read = |row| {
            let row = Columns::new(row, "queued day of a device");
            let (position, device) = (row.get("position")?, row.parse("device")?);
            Ok(Queued { position, device, at_ms: row.at("at_ms")? })
        };
        rows.iter().map(read).collect()
    }

    async fn open_days(&self, device: &DeviceId) -> Result<Vec<PageKey>, StoreError> {
        let rows = sqlx::query(
            "SELECT o.day, u.body AS unit FROM report_open o \
             JOIN report_names d ON d.kind = 'device' AND d.number = o.device \
             JOIN report_names u ON u.kind = 'unit' AND u.number = o.unit \
             WHERE d.body = $1 ORDER BY o.day",
        )
        .bind(device.as_str())
        .fetch_all(&self.read)
        .await
        .map_err(failed("read open days"))?;
        rows.iter().map(page_key).collect()
    }

    async fn mark(&self, pages: &[PageKey], marked: Marked, queued: i64) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for page in pages {
            for sql in [
                "DELETE FROM report_marks WHERE day = $1 AND unit = $2",
                "INSERT INTO report_marks (day, unit) VALUES ($1, $2)",
            ] {
                sqlx::query(sql)
                    .bind(day_number(page.day))
                    .bind(page.unit.as_str())
                    .execute(&mut *tx)
                    .await
                    .map_err(failed("mark a page"))?;
            }
        }
        set(&mut tx, MARKED, &json(&(marked.records, marked.opened))).await?;
        sqlx::query("DELETE FROM report_queue WHERE position <= $1")
            .bind(queued)
            .execute(&mut *tx)
            .await
            .map_err(failed("forget what was queued"))?;
        commit(tx).await
    }

    async fn marks(&self) -> Result<Vec<(PageKey, i64)>, StoreError> {
        let rows = sqlx::query("SELECT mark, day, unit FROM report_marks ORDER BY mark")
            .fetch_all(&self.read)
            .await
            .map_err(failed("read marks"))?;
        let read = |row| Ok((page_key(row)?, Columns::new(row, "mark").get("mark")?));
        rows.iter().map(read).collect()
    }

    async fn expired(&self, now: UtcMs) -> Result<Vec<PageKey>, StoreError> {
        let rows = sqlx::query(
            "SELECT p.day, u.body AS unit FROM report_pages p \
             JOIN report_names u ON u.kind = 'unit' AND u.number = p.unit \
             WHERE p.next_ms <= $1 ORDER BY p.next_ms",
        )
        .bind(now.0)
        .fetch_all(&self.read)
        .await
        .map_err(failed("read pages"))?;
        rows.iter().map(page_key).collect()
    }

    async fn put_page(&self, page: &JudgedPage, mark: Option<i64>) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let unit = number_of(&mut tx, NameKind::Unit, page.key.unit.as_str()).await?;
        let day = day_number(page.key.day);
        let put = sqlx::query(
            "INSERT INTO report_pages (unit, day, upto, judged_ms, next_ms, body) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (unit, day) DO UPDATE SET \
             upto = excluded.upto, judged_ms = excluded.judged_ms, next_ms = excluded.next_ms, \
             body = excluded.body WHERE report_pages.upto <= excluded.upto",
        )
        .bind(i64::from(unit))
        .bind(day)
        .bind(page.upto)
        .bind(page.judged_ms.0)
        .bind(page.next_ms.map(|at| at.0))
        .bind(packed::pack(&page.broadcasts))
        .execute(&mut *tx)
        .await
        .map_err(failed("keep a page"))?;
        if put.rows_affected() == 1 {
            put_reach(&mut tx, unit, page.key.day, &page.touches).await?;
            sqlx::query("DELETE FROM report_open WHERE unit = $1 AND day = $2")
                .bind(i64::from(unit))
                .bind(day)
                .execute(&mut *tx)
                .await
                .map_err(failed("note open days"))?;
            for part in page.open.chunks(AT_ONCE) {
                let mut query =
                    QueryBuilder::<Sqlite>::new("INSERT INTO report_open (device, day, unit) ");
                query.push_values(part, |mut row, device| {
                    row.push_bind(i64::from(*device)).push_bind(day).push_bind(i64::from(unit));
                });
                query.push(" ON CONFLICT (device, day) DO UPDATE SET unit = excluded.unit");
                query.build().execute(&mut *tx).await.map_err(failed("note open days"))?;
            }
        }
        if let Some(mark) = mark {
            sqlx::query("DELETE FROM report_marks WHERE mark = $1")
                .bind(mark)
                .execute(&mut *tx)
                .await
                .map_err(failed("take a mark off"))?;
        }
        commit(tx).await
    }

    async fn pages(
        &self,
        first: NaiveDate,
        last: NaiveDate,
        units: Option<&[u32]>,
    ) -> Result<Vec<KeptPage>, StoreError> {
        let mut query =
            QueryBuilder::<Sqlite>::new("SELECT unit, day, body FROM report_pages WHERE day >= ");
        query.push_bind(day_number(first)).push(" AND day <= ").push_bind(day_number(last));
        narrowed(&mut query, units);
        let rows = query.build().fetch_all(&self.read).await.map_err(failed("read pages"))?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let row = Columns::new(row, "page of a report");
            let unit = row.int("unit")?;
            if wanted(units, unit) {
                let broadcasts =
                    packed::unpack(row.get("body")?).ok_or_else(|| row.damaged("body"))?;
                found.push(KeptPage { day: day_of(row.get("day")?, &row)?, unit, broadcasts });
            }
        }
        Ok(found)
    }

    async fn reach(
        &self,
        first: i32,
        last: i32,
        units: Option<&[u32]>,
    ) -> Result<Vec<KeptReach>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT unit, month, body FROM report_reach WHERE month >= ",
        );
        query.push_bind(i64::from(first)).push(" AND month <= ").push_bind(i64::from(last));
        narrowed(&mut query, units);
        let rows = query.build().fetch_all(&self.read).await.map_err(failed("read months"))?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let row = Columns::new(row, "month of a report");
            let unit = row.int("unit")?;
            if wanted(units, unit) {
                let rows =
                    packed::unpack_reach(row.get("body")?).ok_or_else(|| row.damaged("body"))?;
                found.push(KeptReach { month: row.int("month")?, unit, rows });
            }
        }
        Ok(found)
    }

    async fn put_report(
        &self,
        file: &ReportFile,
        leaf: Option<&Leaf>,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let new = sqlx::query(
            "INSERT INTO report_files (sha256, question, name, bytes, made_ms, made_by, cut_ms, \
             origin, size, root) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (sha256) DO NOTHING",
        )
        .bind(&file.sha256.0[..])
        .bind(&file.question)
        .bind(&file.name)
        .bind(big(file.bytes))
        .bind(file.made_ms.0)
        .bind(&file.made_by)
        .bind(file.cut_ms.0)
        .bind(file.head.as_ref().map(|head| head.origin.as_str()))
        .bind(file.head.as_ref().map(|head| big(head.size)))
        .bind(file.head.as_ref().map(|head| head.root.as_str()))
        .execute(&mut *tx)
        .await
        .map_err(failed("keep the hash of a file"))?;
        if new.rows_affected() == 1 {
            if let Some(leaf) = leaf {
                say(&mut tx, leaf).await?;
            }
            super::trail::append(&mut tx, entry).await?;
        }
        commit(tx).await
    }

    async fn last_report(&self, question: &str) -> Result<Option<ReportFile>, StoreError> {
        let row = sqlx::query(
            "SELECT * FROM report_files WHERE question = $1 ORDER BY position DESC LIMIT 1",
        )
        .bind(question)
        .fetch_optional(&self.read)
        .await
        .map_err(failed("read files of reports"))?;
        row.as_ref().map(|row| file(row).map(|(_, file)| file)).transpose()
    }

    async fn reports(
        &self,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<(i64, ReportFile)>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM report_files WHERE position < $1 ORDER BY position DESC LIMIT $2",
        )
        .bind(before.unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .map_err(failed("list files of reports"))?;
        rows.iter().map(file).collect()
    }
}

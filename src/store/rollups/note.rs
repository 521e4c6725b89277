//! What other writes tell the roll-ups, within their own transaction, and the parts of a page.

use super::packed;
use crate::app::ports::{Descriptions, NameKind, StoreError};
use crate::domain::ids::{DeviceId, UnitId};
use crate::domain::station::Device;
use crate::domain::time::UtcMs;
use crate::report::rollup::{Days, Touch};
use crate::store::failed;
use crate::store::rows::json;
use chrono::{Datelike as _, NaiveDate};
use sqlx::SqliteConnection;
use std::collections::BTreeMap;

/// The setting that tells what each profile drives.
pub(super) const OUTPUTS: &str = "report-outputs";

/// Returns the number of a name, a new one when it is new, within a write.
pub(super) async fn number_of(
    conn: &mut SqliteConnection,
    kind: NameKind,
    body: &str,
) -> Result<u32, StoreError> {
    let find = "SELECT number FROM report_names WHERE kind = $1 AND body = $2";
    let known: Option<i64> = sqlx::query_scalar(find)
        .bind(kind.as_str())
        .bind(body)
        .fetch_optional(&mut *conn)
        .await
        .map_err(failed("find a name"))?;
    let number = match known {
        Some(number) => number,
        None => sqlx::query_scalar(
            "INSERT INTO report_names (kind, number, body) \
             SELECT $1, COALESCE(MAX(number) + 1, 0), $2 FROM report_names WHERE kind = $1 \
             RETURNING number",
        )
        .bind(kind.as_str())
        .bind(body)
        .fetch_one(conn)
        .await
        .map_err(failed("number a name"))?,
    };
    u32::try_from(number)
        .map_err(|_| StoreError::Damaged { what: "name", key: kind.as_str().to_owned() })
}

/// Keeps what reports must know of what is published, within that write.
pub(in crate::store) async fn tell(
    conn: &mut SqliteConnection,
    told: &Descriptions,
) -> Result<(), StoreError> {
    for one in &told.contents {
        let content = number_of(&mut *conn, NameKind::Content, &one.content).await?;
        // A sheet that could not be kept has no contents either.
        let sql = if one.begun {
            "INSERT INTO sheet_contents (sheet, item, content) \
             SELECT sha256, $2, $3 FROM sheets WHERE sha256 = $1 \
             ON CONFLICT (sheet, item) DO NOTHING"
        } else {
            "INSERT INTO sheet_contents (sheet, item, content) \
             SELECT sha256, $2, $3 FROM sheets WHERE sha256 = $1 \
             ON CONFLICT (sheet, item) DO UPDATE SET content = excluded.content"
        };
        sqlx::query(sql)
            .bind(&one.sheet.0[..])
            .bind(&one.item)
            .bind(i64::from(content))
            .execute(&mut *conn)
            .await
            .map_err(failed("keep what a sheet is about"))?;
    }
    if told.outputs.is_empty() {
        return Ok(());
    }
    set(conn, OUTPUTS, &json(&told.outputs)).await
}

/// Queues a device's day, within the write that changes its schedule.
pub(in crate::store) async fn queue(
    conn: &mut SqliteConnection,
    device: &DeviceId,
    at: UtcMs,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO report_queue (device, at_ms) VALUES ($1, $2)")
        .bind(device.as_str())
        .bind(at.0)
        .execute(conn)
        .await
        .map_err(failed("queue a day of a device"))?;
    Ok(())
}

/// Notes where a device stands from now on, within the write that says so; `None`: nowhere.
pub(in crate::store) async fn stands(
    conn: &mut SqliteConnection,
    device: &Device,
    unit: Option<&UnitId>,
    now: UtcMs,
) -> Result<(), StoreError> {
    let stood: Option<(Option<String>, i64)> = sqlx::query_as(
        "SELECT unit, since_ms FROM device_places WHERE device = $1 \
         ORDER BY since_ms DESC LIMIT 1",
    )
    .bind(device.id.as_str())
    .fetch_optional(&mut *conn)
    .await
    .map_err(failed("read where a device stood"))?;
    sqlx::query("UPDATE device_places SET name = $2, profile = $3 WHERE device = $1")
        .bind(device.id.as_str())
        .bind(&device.name)
        .bind(device.profile.as_str())
        .execute(&mut *conn)
        .await
        .map_err(failed("name a device"))?;
    // A clock that was set back moves nobody into the past.
    let since = stood.as_ref().map_or(now, |(_, since)| now.max(UtcMs(*since)));
    if stood.is_some_and(|(stood, _)| stood.as_deref() == unit.map(UnitId::as_str)) {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO device_places (device, since_ms, unit, name, profile) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (device, since_ms) DO UPDATE SET \
         unit = excluded.unit",
    )
    .bind(device.id.as_str())
    .bind(since.0)
    .bind(unit.map(UnitId::as_str))
    .bind(&device.name)
    .bind(device.profile.as_str())
    .execute(&mut *conn)
    .await
    .map_err(failed("keep where a device stands"))?;
    queue(conn, &device.id, now).await
}

/// Keeps units that leave the register, within the write that drops them.
pub(in crate::store) async fn unit_goes(
    conn: &mut SqliteConnection,
    id: &UnitId,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO former_units (id, name, parent, valid_from, valid_until, successors) \
         SELECT id, name, parent, valid_from, valid_until, successors FROM units WHERE id = $1 \
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, parent = excluded.parent, \
         valid_from = excluded.valid_from, valid_until = excluded.valid_until, \
         successors = excluded.successors",
    )
    .bind(id.as_str())
    .execute(conn)
    .await
    .map_err(failed("keep a unit that goes"))?;
    Ok(())
}

pub(super) async fn set(
    conn: &mut SqliteConnection,
    name: &str,
    value: &str,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO settings (name, value) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .bind(name)
    .bind(value)
    .execute(conn)
    .await
    .map_err(failed("keep a setting"))?;
    Ok(())
}

/// Puts a day into a month: what was known of that day goes first.
pub(super) async fn put_reach(
    conn: &mut SqliteConnection,
    unit: u32,
    day: NaiveDate,
    touches: &[Touch],
) -> Result<(), StoreError> {
    let month = i64::from(day.year()) * 12 + i64::from(day.month0());
    let known: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT body FROM report_reach WHERE unit = $1 AND month = $2")
            .bind(i64::from(unit))
            .bind(month)
            .fetch_optional(&mut *conn)
            .await
            .map_err(failed("read a month"))?;
    let damaged = || StoreError::Damaged { what: "month of a unit", key: unit.to_string() };
    let known =
        known.map_or(Ok(Vec::new()), |bytes| packed::unpack_reach(&bytes).ok_or_else(damaged))?;
    let before = known.clone();
    let bit = 1_u32 << day.day0();
    let mut rows: BTreeMap<(u32, u32), Days> = BTreeMap::new();
    for (device, subject, days) in known {
        let days = Days { due: days.due & !bit, confirmed: days.confirmed & !bit };
        rows.insert((device, subject), days);
    }
    for touch in touches {
        let days = rows.entry((touch.device.0, touch.subject.0)).or_default();
        days.due |= bit;
        if touch.confirmed {
            days.confirmed |= bit;
        }
    }
    let rows: Vec<(u32, u32, Days)> = rows
        .into_iter()
        .filter(|(_, days)| days.due != 0)
        .map(|((device, subject), days)| (device, subject, days))
        .collect();
    if rows == before {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO report_reach (unit, month, body) VALUES ($1, $2, $3) \
         ON CONFLICT (unit, month) DO UPDATE SET body = excluded.body",
    )
    .bind(i64::from(unit))
    .bind(month)
    .bind(packed::pack_reach(&rows))
    .execute(conn)
    .await
    .map_err(failed("keep a month"))?;
    Ok(())
}

//! Cards of devices, changes of the register with their entries, how devices stood.

use super::rows::{Columns, big, json};
use super::{SqliteStore, behind, commit, failed, guard, people, registry, trail};
use crate::app::ports::{
    Fence, Fleet, RegisterChange, StandRound, StoreError, StoredStand, StoredTurn, TURNS, Trailed,
};
use crate::domain::fleet::{Card, Point, Reach};
use crate::domain::ids::DeviceId;
use async_trait::async_trait;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use std::collections::BTreeMap;

fn card(row: &SqliteRow) -> Result<(DeviceId, Card), StoreError> {
    let row = Columns::new(row, "card of a device");
    let point = match (row.int_option("lat_e6")?, row.int_option("lon_e6")?) {
        (Some(lat_e6), Some(lon_e6)) => Some(Point { lat_e6, lon_e6 }),
        (None, None) => None,
        _ => return Err(row.damaged("lat_e6")),
    };
    let card = Card {
        place: row.text("place")?,
        point,
        serial: row.text("serial")?,
        installer: row.text("installer")?,
        installed: row.parse_option("installed")?,
        photo: row.digest_option("photo")?,
        notes: row.text("notes")?,
    };
    Ok((row.parse("device")?, card))
}

fn stand(row: &SqliteRow) -> Result<StoredStand, StoreError> {
    let row = Columns::new(row, "stand of a device");
    Ok(StoredStand {
        device: row.parse("device")?,
        reach: Reach::read(row.get("reach")?).ok_or_else(|| row.damaged("reach"))?,
        since_ms: row.at("since_ms")?,
        faults: row.json("faults")?,
    })
}

fn turn(row: &SqliteRow) -> Result<StoredTurn, StoreError> {
    let row = Columns::new(row, "turn of a device");
    Ok(StoredTurn {
        device: row.parse("device")?,
        at_ms: row.at("at_ms")?,
        kind: row.json("kind")?,
    })
}

async fn put_card(
    conn: &mut SqliteConnection,
    device: &DeviceId,
    card: &Card,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO device_cards \
         (device, place, lat_e6, lon_e6, serial, installer, installed, photo, notes) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (device) DO UPDATE SET \
         place = excluded.place, lat_e6 = excluded.lat_e6, lon_e6 = excluded.lon_e6, \
         serial = excluded.serial, installer = excluded.installer, \
         installed = excluded.installed, photo = excluded.photo, notes = excluded.notes",
    )
    .bind(device.as_str())
    .bind(&card.place)
    .bind(card.point.map(|point| i64::from(point.lat_e6)))
    .bind(card.point.map(|point| i64::from(point.lon_e6)))
    .bind(&card.serial)
    .bind(&card.installer)
    .bind(card.installed.map(|date| date.to_string()))
    .bind(card.photo.as_ref().map(|photo| &photo.0[..]))
    .bind(&card.notes)
    .execute(conn)
    .await
    .map_err(failed("keep a card"))?;
    Ok(())
}

async fn drop_card(conn: &mut SqliteConnection, device: &DeviceId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM device_cards WHERE device = $1")
        .bind(device.as_str())
        .execute(conn)
        .await
        .map_err(failed("take a card away"))?;
    Ok(())
}

async fn drop_stand(conn: &mut SqliteConnection, device: &DeviceId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM device_stands WHERE device = $1")
        .bind(device.as_str())
        .execute(conn)
        .await
        .map_err(failed("forget how a device stood"))?;
    Ok(())
}

/// Forgets what is only known of a device in the register, within the write that removes it.
pub(super) async fn forget(
    conn: &mut SqliteConnection,
    device: &DeviceId,
) -> Result<(), StoreError> {
    drop_card(&mut *conn, device).await?;
    drop_stand(conn, device).await
}

async fn put_stand(conn: &mut SqliteConnection, stand: &StoredStand) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO device_stands (device, reach, since_ms, faults) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (device) DO UPDATE SET reach = excluded.reach, \
         since_ms = excluded.since_ms, faults = excluded.faults",
    )
    .bind(stand.device.as_str())
    .bind(stand.reach.word())
    .bind(stand.since_ms.0)
    .bind(json(&stand.faults))
    .execute(conn)
    .await
    .map_err(failed("keep how a device stands"))?;
    Ok(())
}

/// Appends a turn, and forgets what came long before it.
async fn put_turn(conn: &mut SqliteConnection, turn: &StoredTurn) -> Result<(), StoreError> {
    let number: i64 = sqlx::query_scalar(
        "INSERT INTO device_turns (device, number, at_ms, kind) \
         SELECT $1, COALESCE(MAX(number) + 1, 1), $2, $3 FROM device_turns WHERE device = $1 \
         RETURNING number",
    )
    .bind(turn.device.as_str())
    .bind(turn.at_ms.0)
    .bind(json(&turn.kind))
    .fetch_one(&mut *conn)
    .await
    .map_err(failed("keep a turn of a device"))?;
    sqlx::query("DELETE FROM device_turns WHERE device = $1 AND number <= $2")
        .bind(turn.device.as_str())
        .bind(number - big(TURNS as u64))
        .execute(conn)
        .await
        .map_err(failed("forget old turns of a device"))?;
    Ok(())
}

#[async_trait]
impl Fleet for SqliteStore {
    async fn cards(&self) -> Result<BTreeMap<DeviceId, Card>, StoreError> {
        let rows = sqlx::query("SELECT * FROM device_cards ORDER BY device")
            .fetch_all(&self.read)
            .await
            .map_err(failed("read cards"))?;
        rows.iter().map(card).collect()
    }

    async fn card(&self, device: &DeviceId) -> Result<Card, StoreError> {
        let row = sqlx::query("SELECT * FROM device_cards WHERE device = $1")
            .bind(device.as_str())
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read a card"))?;
        Ok(row.as_ref().map(card).transpose()?.map(|(_, card)| card).unwrap_or_default())
    }

    async fn change_register(&self, change: &RegisterChange) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for unit in &change.units {
            registry::put_unit(&mut tx, unit).await?;
        }
        let mut moved = Vec::new();
        for device in &change.devices {
            if registry::put_device(&mut tx, device, change.at_ms).await? {
                moved.push(&device.id);
            }
        }
        for device in moved {
            behind::settle(&mut tx, device, change.at_ms).await?;
        }
        for (device, card) in &change.cards {
            if card.is_empty() {
                drop_card(&mut tx, device).await?;
            } else {
                put_card(&mut tx, device, card).await?;
            }
        }
        for id in &change.gone {
            registry::remove_device(&mut tx, id, change.at_ms).await?;
        }
        for id in &change.gone_units {
            registry::remove_unit(&mut tx, id).await?;
        }
        for person in &change.people {
            people::put_person(&mut tx, person).await?;
        }
        for entry in &change.entries {
            trail::append(&mut tx, entry).await?;
        }
        commit(tx).await
    }

    async fn trail_of(&self, subject: &str, limit: u32) -> Result<Vec<Trailed>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM trail WHERE subject = $1 ORDER BY position DESC LIMIT $2")
                .bind(subject)
                .bind(i64::from(limit))
                .fetch_all(&self.read)
                .await
                .map_err(failed("read the trail"))?;
        rows.iter().map(trail::trailed).collect()
    }

    async fn stands(&self) -> Result<Vec<StoredStand>, StoreError> {
        let rows = sqlx::query("SELECT * FROM device_stands ORDER BY device")
            .fetch_all(&self.read)
            .await
            .map_err(failed("read how devices stood"))?;
        rows.iter().map(stand).collect()
    }

    async fn keep_stands(
        &self,
        round: &StandRound,
        fence: Option<Fence>,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        guard(&mut tx, fence.as_slice()).await?;
        for stand in &round.put {
            put_stand(&mut tx, stand).await?;
        }
        for device in &round.gone {
            drop_stand(&mut tx, device).await?;
        }
        for turn in &round.turns {
            put_turn(&mut tx, turn).await?;
        }
        commit(tx).await
    }

    async fn turns_of(&self, device: &DeviceId) -> Result<Vec<StoredTurn>, StoreError> {
        let rows = sqlx::query("SELECT * FROM device_turns WHERE device = $1 ORDER BY number DESC")
            .bind(device.as_str())
            .fetch_all(&self.read)
            .await
            .map_err(failed("read turns of a device"))?;
        rows.iter().map(turn).collect()
    }
}

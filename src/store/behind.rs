//! Who signs for devices behind a gateway: the gateway's key, taken on and off within the write
//! that changes who stands where.
//!
//! # Invariants
//! * A device behind an enrolled gateway is enrolled by exactly that gateway's key, and nobody logs
//!   in by its name.
//! * A key that was revoked for a device never speaks for it again.
//! * Each key taken on and each key revoked is a leaf of the log.

use super::failed;
use super::logbook::say;
use super::registry::units_of;
use crate::app::logbook;
use crate::app::ports::{DeviceKey, KeyEnd, Standing, StoreError};
use crate::domain::ids::DeviceId;
use crate::domain::time::UtcMs;
use sqlx::SqliteConnection;

/// Returns the devices that stand behind a gateway.
pub(super) async fn of(
    conn: &mut SqliteConnection,
    gateway: &DeviceId,
) -> Result<Vec<DeviceId>, StoreError> {
    let ids: Vec<String> =
        sqlx::query_scalar("SELECT id FROM devices WHERE behind = $1 ORDER BY id")
            .bind(gateway.as_str())
            .fetch_all(conn)
            .await
            .map_err(failed("read who stands behind a gateway"))?;
    let ids = ids.iter().map(|id| id.parse()).collect::<Result<_, _>>();
    ids.map_err(|_| StoreError::Damaged { what: "device", key: gateway.to_string() })
}

/// Gives a device the key that signs for it where it stands now, or none.
pub(super) async fn settle(
    conn: &mut SqliteConnection,
    device: &DeviceId,
    now: UtcMs,
) -> Result<(), StoreError> {
    let key: Option<(String, String, Vec<u8>)> = sqlx::query_as(
        "SELECT g.id, k.kid, k.key FROM devices d \
         JOIN devices g ON g.id = d.behind AND g.standing = 'enrolled' \
         JOIN device_keys k ON k.device = g.id AND k.kid = g.kid \
         WHERE d.id = $1 AND NOT EXISTS (SELECT 1 FROM device_keys s \
         WHERE s.device = d.id AND s.kid = k.kid AND s.ended = 'revoked')",
    )
    .bind(device.as_str())
    .fetch_optional(&mut *conn)
    .await
    .map_err(failed("read the key of a gateway"))?;
    let kid = key.as_ref().map(|(_, kid, _)| kid.as_str());
    sqlx::query(
        "UPDATE device_keys SET ended = 'replaced', ended_ms = $2 \
         WHERE device = $1 AND ended IS NULL AND ($3 IS NULL OR kid <> $3)",
    )
    .bind(device.as_str())
    .bind(now.0)
    .bind(kid)
    .execute(&mut *conn)
    .await
    .map_err(failed("replace keys"))?;
    let Some((gateway, kid, key)) = &key else {
        // One that was revoked stays so until it stands behind a gateway again or enrols by a code.
        sqlx::query(
            "UPDATE devices SET standing = 'awaiting', standing_ms = $2, kid = NULL, \
             password = NULL, reason = NULL WHERE id = $1 AND standing = 'enrolled'",
        )
        .bind(device.as_str())
        .bind(now.0)
        .execute(&mut *conn)
        .await
        .map_err(failed("take a key off"))?;
        return Ok(());
    };
    sqlx::query(
        "INSERT INTO device_keys (device, kid, key, since_ms, gateway) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (device, kid) DO UPDATE SET ended = NULL, ended_ms = NULL, \
         gateway = excluded.gateway",
    )
    .bind(device.as_str())
    .bind(kid)
    .bind(key)
    .bind(now.0)
    .bind(gateway)
    .execute(&mut *conn)
    .await
    .map_err(failed("keep a key"))?;
    sqlx::query(
        "UPDATE devices SET standing = 'enrolled', standing_ms = $2, kid = $3, password = $4, \
         reason = NULL WHERE id = $1",
    )
    .bind(device.as_str())
    .bind(now.0)
    .bind(kid)
    .bind(&Standing::NO_PASSWORD.0[..])
    .execute(&mut *conn)
    .await
    .map_err(failed("enrol a device behind a gateway"))?;
    let damaged = || StoreError::Damaged { what: "device key", key: device.to_string() };
    let key = DeviceKey {
        device: device.clone(),
        kid: kid.clone(),
        key: key.as_slice().try_into().map_err(|_| damaged())?,
        since_ms: now,
        gateway: Some(gateway.parse().map_err(|_| damaged())?),
        end: KeyEnd::Open,
    };
    let units = units_of(conn, device).await?;
    let Some(gateway) = &key.gateway else { return Ok(()) };
    say(conn, &logbook::signed_for(&key, gateway, &units)?).await
}

/// A gateway is revoked: so is its key for whatever it signed for, and what stands behind it now
/// waits until it enrols anew.
pub(super) async fn fall(
    conn: &mut SqliteConnection,
    gateway: &DeviceId,
    reason: &str,
    by: &str,
    now: UtcMs,
) -> Result<(), StoreError> {
    let ended: Vec<(String, String)> = sqlx::query_as(
        "SELECT device, kid FROM device_keys WHERE gateway = $1 \
         AND (ended IS NULL OR ended <> 'revoked') ORDER BY device, since_ms, kid",
    )
    .bind(gateway.as_str())
    .fetch_all(&mut *conn)
    .await
    .map_err(failed("read keys"))?;
    for (device, kid) in ended {
        let damaged = |_| StoreError::Damaged { what: "device key", key: device.clone() };
        let device = device.parse().map_err(damaged)?;
        let reason = format!("gateway {gateway}: {reason}");
        say(conn, &logbook::revoked(&device, &kid, &reason, by, now)?).await?;
    }
    sqlx::query(
        "UPDATE device_keys SET ended = 'revoked', ended_ms = $2 \
         WHERE gateway = $1 AND (ended IS NULL OR ended <> 'revoked')",
    )
    .bind(gateway.as_str())
    .bind(now.0)
    .execute(&mut *conn)
    .await
    .map_err(failed("revoke keys"))?;
    sqlx::query(
        "UPDATE devices SET standing = 'awaiting', standing_ms = $2, kid = NULL, password = NULL \
         WHERE behind = $1 AND standing = 'enrolled'",
    )
    .bind(gateway.as_str())
    .bind(now.0)
    .execute(conn)
    .await
    .map_err(failed("take keys off"))?;
    Ok(())
}

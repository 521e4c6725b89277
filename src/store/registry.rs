//! Units, devices, keys, codes, tokens.

use super::logbook::say;
use super::rows::{Columns, json, texts};
use super::{SqliteStore, behind, commit, failed};
use crate::app::ports::{
    CodeUse, DeviceKey, Enrolled, Enrolment, EnrolmentCode, KeyEnd, Registered, Registry, Standing,
    StoreError, Token,
};
use crate::domain::ids::{DeviceId, Digest, PersonId, UnitId};
use crate::domain::station::{Device, Unit};
use crate::domain::time::UtcMs;
use crate::wire::limits;
use async_trait::async_trait;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

pub(super) fn unit(row: &SqliteRow) -> Result<Unit, StoreError> {
    let row = Columns::new(row, "unit");
    Ok(Unit {
        id: row.parse("id")?,
        name: row.text("name")?,
        parent: row.parse_option("parent")?,
        valid_from: row.parse_option("valid_from")?,
        valid_until: row.parse_option("valid_until")?,
        successors: row.json("successors")?,
        population: row.int_option("population")?,
    })
}

fn registered(row: &SqliteRow) -> Result<Registered, StoreError> {
    let row = Columns::new(row, "device");
    let at = row.at("standing_ms")?;
    let standing = match row.get("standing")? {
        "awaiting" => Standing::Awaiting,
        "enrolled" => Standing::Enrolled {
            since_ms: at,
            kid: row.text("kid")?,
            password: row.digest("password")?,
        },
        "revoked" => Standing::Revoked { at_ms: at, reason: row.text("reason")? },
        _ => return Err(row.damaged("standing")),
    };
    Ok(Registered {
        device: Device {
            id: row.parse("id")?,
            name: row.text("name")?,
            unit: row.parse("unit")?,
            tags: row.json("tags")?,
            profile: row.parse("profile")?,
            volume_cap: row.int("volume_cap")?,
            trim_ms: row.get("trim_ms")?,
            behind: row.parse_option("behind")?,
        },
        registered_ms: row.at("registered_ms")?,
        standing,
    })
}

fn key(row: &SqliteRow) -> Result<DeviceKey, StoreError> {
    let row = Columns::new(row, "device key");
    let end = match (row.get::<Option<&str>>("ended")?, row.at_option("ended_ms")?) {
        (None, _) => KeyEnd::Open,
        (Some("replaced"), Some(at_ms)) => KeyEnd::Replaced { at_ms },
        (Some("revoked"), Some(at_ms)) => KeyEnd::Revoked { at_ms },
        _ => return Err(row.damaged("ended")),
    };
    Ok(DeviceKey {
        device: row.parse("device")?,
        kid: row.text("kid")?,
        key: row.bytes("key")?,
        since_ms: row.at("since_ms")?,
        gateway: row.parse_option("gateway")?,
        end,
    })
}

fn code(row: &SqliteRow) -> Result<EnrolmentCode, StoreError> {
    let row = Columns::new(row, "enrolment code");
    let used = match (row.at_option("used_ms")?, row.get::<Option<String>>("used_kid")?) {
        (Some(at_ms), Some(kid)) => Some(CodeUse { at_ms, kid }),
        (None, None) => None,
        _ => return Err(row.damaged("used_ms")),
    };
    Ok(EnrolmentCode {
        id: row.digest("id")?,
        device: row.parse("device")?,
        secret: row.get("secret")?,
        made_ms: row.at("made_ms")?,
        expires_ms: row.at("expires_ms")?,
        used,
        refused: row.int("refused")?,
        last_refusal: row.get("last_refusal")?,
    })
}

fn token(row: &SqliteRow) -> Result<Token, StoreError> {
    let row = Columns::new(row, "token");
    Ok(Token {
        hash: row.digest("hash")?,
        name: row.text("name")?,
        person: row.parse_option("person")?,
        scope: row.text("scope")?,
        made_ms: row.at("made_ms")?,
        expires_ms: row.at_option("expires_ms")?,
        uses_left: row.int_option("uses_left")?,
    })
}

/// Adds or replaces a unit, within a write.
pub(super) async fn put_unit(conn: &mut SqliteConnection, unit: &Unit) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO units (id, name, parent, valid_from, valid_until, successors, population) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET \
         name = excluded.name, parent = excluded.parent, \
         valid_from = excluded.valid_from, valid_until = excluded.valid_until, \
         successors = excluded.successors, population = excluded.population",
    )
    .bind(unit.id.as_str())
    .bind(&unit.name)
    .bind(unit.parent.as_ref().map(UnitId::as_str))
    .bind(unit.valid_from.map(|date| date.to_string()))
    .bind(unit.valid_until.map(|date| date.to_string()))
    .bind(json(&texts(&unit.successors)))
    .bind(unit.population.map(i64::from))
    .execute(conn)
    .await
    .map_err(failed("keep units"))?;
    Ok(())
}

/// Removes a unit, within a write.
pub(super) async fn remove_unit(
    conn: &mut SqliteConnection,
    id: &UnitId,
) -> Result<(), StoreError> {
    super::rollups::unit_goes(&mut *conn, id).await?;
    sqlx::query("DELETE FROM units WHERE id = $1")
        .bind(id.as_str())
        .execute(conn)
        .await
        .map_err(failed("remove units"))?;
    Ok(())
}

/// Adds a device or replaces what the register says of it, within a write. Says whether it stands
/// behind another gateway than before: `behind::settle` follows once all stand.
pub(super) async fn put_device(
    conn: &mut SqliteConnection,
    device: &Device,
    now: UtcMs,
) -> Result<bool, StoreError> {
    let stood: Option<Option<String>> =
        sqlx::query_scalar("SELECT behind FROM devices WHERE id = $1")
            .bind(device.id.as_str())
            .fetch_optional(&mut *conn)
            .await
            .map_err(failed("read a device"))?;
    let stands = device.behind.as_ref().map(DeviceId::as_str);
    sqlx::query(
        "INSERT INTO devices (id, name, unit, tags, profile, volume_cap, trim_ms, \
         registered_ms, standing, standing_ms, behind) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'awaiting', $8, $9) \
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, unit = excluded.unit, \
         tags = excluded.tags, profile = excluded.profile, \
         volume_cap = excluded.volume_cap, trim_ms = excluded.trim_ms, \
         behind = excluded.behind",
    )
    .bind(device.id.as_str())
    .bind(&device.name)
    .bind(device.unit.as_str())
    .bind(json(&texts(&device.tags)))
    .bind(device.profile.as_str())
    .bind(i64::from(device.volume_cap))
    .bind(device.trim_ms)
    .bind(now.0)
    .bind(stands)
    .execute(&mut *conn)
    .await
    .map_err(failed("keep devices"))?;
    super::rollups::stands(conn, device, Some(&device.unit), now).await?;
    Ok(stood.flatten().as_deref() != stands)
}

/// Removes a device, within a write; its keys and all evidence stay.
pub(super) async fn remove_device(
    conn: &mut SqliteConnection,
    id: &DeviceId,
    now: UtcMs,
) -> Result<(), StoreError> {
    let known = sqlx::query("SELECT * FROM devices WHERE id = $1")
        .bind(id.as_str())
        .fetch_optional(&mut *conn)
        .await
        .map_err(failed("read a device"))?;
    if let Some(row) = &known {
        super::rollups::stands(&mut *conn, &registered(row)?.device, None, now).await?;
    }
    super::fleet::forget(&mut *conn, id).await?;
    sqlx::query("DELETE FROM devices WHERE id = $1")
        .bind(id.as_str())
        .execute(&mut *conn)
        .await
        .map_err(failed("remove devices"))?;
    // What stood behind it has nobody who signs for it.
    for device in behind::of(conn, id).await? {
        behind::settle(conn, &device, now).await?;
    }
    Ok(())
}

/// Returns a device's unit and those above it, so that a question about any of them finds it.
pub(super) async fn units_of(
    conn: &mut SqliteConnection,
    device: &DeviceId,
) -> Result<Vec<UnitId>, StoreError> {
    let units: Vec<String> = sqlx::query_scalar(
        "WITH RECURSIVE above (unit, step) AS (\
             SELECT unit, 0 FROM devices WHERE id = $1 \
             UNION ALL \
             SELECT u.parent, above.step + 1 FROM units u JOIN above ON u.id = above.unit \
             WHERE u.parent IS NOT NULL AND above.step < $2) \
         SELECT unit FROM above ORDER BY step",
    )
    .bind(device.as_str())
    .bind(i64::try_from(limits::UNITS).unwrap_or(8) - 1)
    .fetch_all(&mut *conn)
    .await
    .map_err(failed("read a device"))?;
    let units = units.iter().map(|unit| unit.parse()).collect::<Result<_, _>>();
    units.map_err(|_| StoreError::Damaged { what: "device", key: device.to_string() })
}

#[async_trait]
impl Registry for SqliteStore {
    async fn units(&self) -> Result<Vec<Unit>, StoreError> {
        let rows = sqlx::query("SELECT * FROM units ORDER BY id")
            .fetch_all(&self.read)
            .await
            .map_err(failed("read units"))?;
        rows.iter().map(unit).collect()
    }

    async fn put_units(&self, units: &[Unit]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for unit in units {
            put_unit(&mut tx, unit).await?;
        }
        commit(tx).await
    }

    async fn remove_units(&self, ids: &[UnitId]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for id in ids {
            remove_unit(&mut tx, id).await?;
        }
        commit(tx).await
    }

    async fn devices(&self) -> Result<Vec<Registered>, StoreError> {
        let rows = sqlx::query("SELECT * FROM devices ORDER BY id")
            .fetch_all(&self.read)
            .await
            .map_err(failed("read devices"))?;
        rows.iter().map(registered).collect()
    }

    async fn device(&self, id: &DeviceId) -> Result<Option<Registered>, StoreError> {
        let row = sqlx::query("SELECT * FROM devices WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read a device"))?;
        row.as_ref().map(registered).transpose()
    }

    async fn put_devices(&self, devices: &[Device], now: UtcMs) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let mut moved = Vec::new();
        for device in devices {
            if put_device(&mut tx, device, now).await? {
                moved.push(&device.id);
            }
        }
        // Once all stand: a gateway may come after what stands behind it.
        for device in moved {
            behind::settle(&mut tx, device, now).await?;
        }
        commit(tx).await
    }

    async fn remove_devices(&self, ids: &[DeviceId], now: UtcMs) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        for id in ids {
            remove_device(&mut tx, id, now).await?;
        }
        commit(tx).await
    }

    async fn revoke(
        &self,
        id: &DeviceId,
        reason: &str,
        by: &str,
        now: UtcMs,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        behind::fall(&mut tx, id, reason, by, now).await?;
        let ended: Vec<String> = sqlx::query_scalar(
            "SELECT kid FROM device_keys \
             WHERE device = $1 AND (ended IS NULL OR ended <> 'revoked') ORDER BY since_ms, kid",
        )
        .bind(id.as_str())
        .fetch_all(&mut *tx)
        .await
        .map_err(failed("read keys"))?;
        for kid in ended {
            let leaf = crate::app::logbook::revoked(id, &kid, reason, by, now)?;
            say(&mut tx, &leaf).await?;
        }
        sqlx::query(
            "UPDATE devices SET standing = 'revoked', standing_ms = $2, reason = $3, \
             kid = NULL, password = NULL WHERE id = $1 AND standing <> 'revoked'",
        )
        .bind(id.as_str())
        .bind(now.0)
        .bind(reason)
        .execute(&mut *tx)
        .await
        .map_err(failed("revoke a device"))?;
        sqlx::query(
            "UPDATE device_keys SET ended = 'revoked', ended_ms = $2 \
             WHERE device = $1 AND (ended IS NULL OR ended <> 'revoked')",
        )
        .bind(id.as_str())
        .bind(now.0)
        .execute(&mut *tx)
        .await
        .map_err(failed("revoke keys"))?;
        commit(tx).await
    }

    async fn keys_of(&self, id: &DeviceId) -> Result<Vec<DeviceKey>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM device_keys WHERE device = $1 ORDER BY since_ms, kid")
                .bind(id.as_str())
                .fetch_all(&self.read)
                .await
                .map_err(failed("read keys"))?;
        rows.iter().map(key).collect()
    }

    async fn put_code(&self, code: &EnrolmentCode) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO enrolment_codes (id, device, secret, made_ms, expires_ms, used_ms, \
             used_kid, refused, last_refusal) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(&code.id.0[..])
        .bind(code.device.as_str())
        .bind(&code.secret)
        .bind(code.made_ms.0)
        .bind(code.expires_ms.0)
        .bind(code.used.as_ref().map(|used| used.at_ms.0))
        .bind(code.used.as_ref().map(|used| used.kid.as_str()))
        .bind(i64::from(code.refused))
        .bind(code.last_refusal.as_deref())
        .execute(&self.write)
        .await
        .map_err(failed("keep a code"))?;
        Ok(())
    }

    async fn code(&self, id: &Digest) -> Result<Option<EnrolmentCode>, StoreError> {
        let row = sqlx::query("SELECT * FROM enrolment_codes WHERE id = $1")
            .bind(&id.0[..])
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read a code"))?;
        row.as_ref().map(code).transpose()
    }

    async fn codes(&self) -> Result<Vec<EnrolmentCode>, StoreError> {
        let rows = sqlx::query("SELECT * FROM enrolment_codes ORDER BY made_ms DESC, id")
            .fetch_all(&self.read)
            .await
            .map_err(failed("read codes"))?;
        rows.iter().map(code).collect()
    }

    async fn refuse_code(&self, id: &Digest, reason: &str) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE enrolment_codes SET refused = refused + 1, last_refusal = $2 \
             WHERE id = $1 AND refused < 2147483647",
        )
        .bind(&id.0[..])
        .bind(reason)
        .execute(&self.write)
        .await
        .map_err(failed("count a refusal"))?;
        Ok(())
    }

    async fn enrol(&self, enrolment: &Enrolment) -> Result<Enrolled, StoreError> {
        let Enrolment { code: id, device, kid, key, password, at_ms } = enrolment;
        let mut tx = self.begin().await?;
        let row = sqlx::query("SELECT * FROM enrolment_codes WHERE id = $1")
            .bind(&id.0[..])
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed("read a code"))?;
        let Some(found) = row.as_ref().map(code).transpose()? else {
            return Ok(Enrolled::UnknownCode);
        };
        if found.device != *device {
            return Ok(Enrolled::UnknownCode);
        }
        if let Some(by) = found.used {
            return Ok(Enrolled::UsedCode { by });
        }
        if found.expires_ms <= *at_ms {
            return Ok(Enrolled::ExpiredCode { at_ms: found.expires_ms });
        }
        let spent = sqlx::query(
            "SELECT 1 FROM device_keys WHERE kid = $2 AND (\
             (device = $1 AND ended = 'revoked') OR \
             (device <> $1 AND (gateway IS NULL OR gateway <> $1)))",
        )
        .bind(device.as_str())
        .bind(kid)
        .fetch_optional(&mut *tx)
        .await
        .map_err(failed("read keys"))?;
        if spent.is_some() {
            return Ok(Enrolled::SpentKey);
        }
        let known = sqlx::query(
            "UPDATE devices SET standing = 'enrolled', standing_ms = $2, kid = $3, \
             password = $4, reason = NULL WHERE id = $1",
        )
        .bind(device.as_str())
        .bind(at_ms.0)
        .bind(kid)
        .bind(&password.0[..])
        .execute(&mut *tx)
        .await
        .map_err(failed("enrol a device"))?;
        if known.rows_affected() == 0 {
            return Ok(Enrolled::UnknownDevice);
        }
        sqlx::query(
            "UPDATE enrolment_codes SET used_ms = $2, used_kid = $3, secret = $4 WHERE id = $1",
        )
        .bind(&id.0[..])
        .bind(at_ms.0)
        .bind(kid)
        .bind(&b""[..])
        .execute(&mut *tx)
        .await
        .map_err(failed("use a code up"))?;
        sqlx::query(
            "UPDATE device_keys SET ended = 'replaced', ended_ms = $2 \
             WHERE device = $1 AND ended IS NULL AND kid <> $3",
        )
        .bind(device.as_str())
        .bind(at_ms.0)
        .bind(kid)
        .execute(&mut *tx)
        .await
        .map_err(failed("replace keys"))?;
        sqlx::query(
            "INSERT INTO device_keys (device, kid, key, since_ms) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (device, kid) DO UPDATE SET ended = NULL, ended_ms = NULL, \
             gateway = NULL",
        )
        .bind(device.as_str())
        .bind(kid)
        .bind(&key[..])
        .bind(at_ms.0)
        .execute(&mut *tx)
        .await
        .map_err(failed("keep a key"))?;
        let units = units_of(&mut tx, device).await?;
        say(&mut tx, &crate::app::logbook::enrolled(enrolment, &units)?).await?;
        // What stands behind it is signed for by the new key from now on.
        for device in behind::of(&mut tx, device).await? {
            behind::settle(&mut tx, &device, *at_ms).await?;
        }
        commit(tx).await?;
        Ok(Enrolled::Done)
    }

    async fn put_token(&self, token: &Token) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO tokens (hash, name, scope, made_ms, expires_ms, uses_left, person) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (hash) DO NOTHING",
        )
        .bind(&token.hash.0[..])
        .bind(&token.name)
        .bind(&token.scope)
        .bind(token.made_ms.0)
        .bind(token.expires_ms.map(|at| at.0))
        .bind(token.uses_left.map(i64::from))
        .bind(token.person.as_ref().map(PersonId::as_str))
        .execute(&self.write)
        .await
        .map_err(failed("keep a token"))?;
        Ok(())
    }

    async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let rows = sqlx::query("SELECT * FROM tokens ORDER BY made_ms, hash")
            .fetch_all(&self.read)
            .await
            .map_err(failed("read tokens"))?;
        rows.iter().map(token).collect()
    }

    async fn use_token(&self, hash: &Digest, now: UtcMs) -> Result<Option<Token>, StoreError> {
        let row = sqlx::query("SELECT * FROM tokens WHERE hash = $1")
            .bind(&hash.0[..])
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read a token"))?;
        let Some(mut found) = row.as_ref().map(token).transpose()? else { return Ok(None) };
        if found.expires_ms.is_some_and(|at| at <= now) {
            return Ok(None);
        }
        let Some(left) = found.uses_left else { return Ok(Some(found)) };
        let used = sqlx::query(
            "UPDATE tokens SET uses_left = uses_left - 1 WHERE hash = $1 AND uses_left > 0",
        )
        .bind(&hash.0[..])
        .execute(&self.write)
        .await
        .map_err(failed("use a token"))?;
        if used.rows_affected() == 0 {
            return Ok(None);
        }
        found.uses_left = Some(left.saturating_sub(1));
        Ok(Some(found))
    }

    async fn remove_token(&self, hash: &Digest) -> Result<bool, StoreError> {
        let gone = sqlx::query("DELETE FROM tokens WHERE hash = $1")
            .bind(&hash.0[..])
            .execute(&self.write)
            .await
            .map_err(failed("remove a token"))?;
        Ok(gone.rows_affected() > 0)
    }
}

//! Versions in force, proposals, their bytes.

use super::logbook::say;
use super::rows::{Columns, json};
use super::trail::append;
use super::{SqliteStore, commit, failed, guard};
use crate::app::approval::{Proposal, Version};
use crate::app::ports::{ApprovalMark, ApprovalStep, Approvals, StoreError};
use crate::domain::ids::Digest;
use async_trait::async_trait;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use std::collections::BTreeMap;
use std::sync::Arc;

fn version(row: &SqliteRow) -> Result<Version, StoreError> {
    let row = Columns::new(row, "version in force");
    Ok(Version {
        number: row.get("number")?,
        at_ms: row.at("at_ms")?,
        approval: row.digest_option("approval")?,
        manifest: row.json("manifest")?,
    })
}

fn proposal(row: &SqliteRow) -> Result<Proposal, StoreError> {
    let row = Columns::new(row, "proposal");
    Ok(Proposal { revision: row.get("revision")?, ..row.json("body")? })
}

async fn put_version(conn: &mut SqliteConnection, version: &Version) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO versions (number, at_ms, approval, manifest) VALUES ($1, $2, $3, $4)")
        .bind(version.number)
        .bind(version.at_ms.0)
        .bind(version.approval.map(|hash| hash.0.to_vec()))
        .bind(json(&version.manifest))
        .execute(conn)
        .await
        .map_err(failed("keep what is in force"))?;
    Ok(())
}

async fn put_proposal(conn: &mut SqliteConnection, one: &Proposal) -> Result<(), StoreError> {
    let query = if one.revision == 0 {
        sqlx::query(
            "INSERT INTO proposals (hash, revision, made_ms, body, pending) \
             VALUES ($1, $2 + 1, $3, $4, $5) ON CONFLICT (hash) DO NOTHING",
        )
    } else {
        sqlx::query(
            "UPDATE proposals SET revision = $2 + 1, made_ms = $3, body = $4, pending = $5 \
             WHERE hash = $1 AND revision = $2",
        )
    };
    let done = query
        .bind(&one.hash.0[..])
        .bind(one.revision)
        .bind(one.made_ms.0)
        .bind(json(one))
        .bind(i64::from(one.stand.is_pending()))
        .execute(conn)
        .await
        .map_err(failed("keep a proposal"))?;
    if done.rows_affected() == 0 {
        return Err(StoreError::Stale { what: "proposal", key: one.hash.to_string() });
    }
    Ok(())
}

#[async_trait]
impl Approvals for SqliteStore {
    async fn approval_step(&self, step: &ApprovalStep) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        guard(&mut tx, step.fence.as_slice()).await?;
        let newest: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(number), 0) FROM versions")
            .fetch_one(&mut *tx)
            .await
            .map_err(failed("read what is in force"))?;
        if newest != step.over {
            return Err(StoreError::Stale { what: "version", key: newest.to_string() });
        }
        for (sha256, bytes) in &step.blobs {
            sqlx::query(
                "INSERT INTO blobs (sha256, bytes) VALUES ($1, $2) ON CONFLICT (sha256) DO NOTHING",
            )
            .bind(&sha256.0[..])
            .bind(&bytes[..])
            .execute(&mut *tx)
            .await
            .map_err(failed("keep files"))?;
        }
        if let Some(version) = &step.version {
            put_version(&mut tx, &Version { number: newest + 1, ..version.clone() }).await?;
        }
        for one in &step.proposals {
            put_proposal(&mut tx, one).await?;
        }
        if let Some(off) = step.off {
            sqlx::query(
                "INSERT INTO settings (name, value) VALUES ('approval', $1) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )
            .bind(if off { "off" } else { "required" })
            .execute(&mut *tx)
            .await
            .map_err(failed("keep a setting"))?;
        }
        for entry in &step.entries {
            append(&mut tx, entry).await?;
        }
        for leaf in crate::app::logbook::approved(step)? {
            say(&mut tx, &leaf).await?;
        }
        commit(tx).await
    }

    async fn approval_mark(&self) -> Result<ApprovalMark, StoreError> {
        let row = sqlx::query(
            "SELECT (SELECT COALESCE(MAX(number), 0) FROM versions) AS newest, \
             (SELECT COALESCE(SUM(revision), 0) FROM proposals) AS revisions, \
             (SELECT COUNT(*) FROM settings WHERE name = 'approval' AND value = 'off') AS off",
        )
        .fetch_one(&self.read)
        .await
        .map_err(failed("read what is in force"))?;
        let row = Columns::new(&row, "approval");
        Ok(ApprovalMark {
            newest: row.get("newest")?,
            revisions: row.get("revisions")?,
            off: row.get::<i64>("off")? > 0,
        })
    }

    async fn newest_version(&self) -> Result<Option<Version>, StoreError> {
        let row = sqlx::query("SELECT * FROM versions ORDER BY number DESC LIMIT 1")
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read what is in force"))?;
        row.as_ref().map(version).transpose()
    }

    async fn version(&self, number: i64) -> Result<Option<Version>, StoreError> {
        let row = sqlx::query("SELECT * FROM versions WHERE number = $1")
            .bind(number)
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read what was in force"))?;
        row.as_ref().map(version).transpose()
    }

    async fn version_by(&self, approval: &Digest) -> Result<Option<Version>, StoreError> {
        let row =
            sqlx::query("SELECT * FROM versions WHERE approval = $1 ORDER BY number DESC LIMIT 1")
                .bind(&approval.0[..])
                .fetch_optional(&self.read)
                .await
                .map_err(failed("read what was in force"))?;
        row.as_ref().map(version).transpose()
    }

    async fn proposals(&self, limit: u32) -> Result<Vec<Proposal>, StoreError> {
        let rows = sqlx::query("SELECT * FROM proposals ORDER BY made_ms DESC, hash LIMIT $1")
            .bind(i64::from(limit))
            .fetch_all(&self.read)
            .await
            .map_err(failed("read proposals"))?;
        rows.iter().map(proposal).collect()
    }

    async fn pending_proposals(&self) -> Result<Vec<Proposal>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM proposals WHERE pending = 1 ORDER BY made_ms DESC, hash LIMIT 1000",
        )
        .fetch_all(&self.read)
        .await
        .map_err(failed("read what waits"))?;
        rows.iter().map(proposal).collect()
    }

    async fn proposal(&self, hash: &Digest) -> Result<Option<Proposal>, StoreError> {
        let row = sqlx::query("SELECT * FROM proposals WHERE hash = $1")
            .bind(&hash.0[..])
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read a proposal"))?;
        row.as_ref().map(proposal).transpose()
    }

    async fn blobs(&self, ids: &[Digest]) -> Result<BTreeMap<Digest, Arc<[u8]>>, StoreError> {
        let mut found = BTreeMap::new();
        for id in ids {
            let bytes: Option<Vec<u8>> =
                sqlx::query_scalar("SELECT bytes FROM blobs WHERE sha256 = $1")
                    .bind(&id.0[..])
                    .fetch_optional(&self.read)
                    .await
                    .map_err(failed("read files"))?;
            if let Some(bytes) = bytes {
                if Digest::of(&bytes) != *id {
                    return Err(StoreError::Damaged { what: "file", key: id.to_string() });
                }
                found.insert(*id, bytes.into());
            }
        }
        Ok(found)
    }
}

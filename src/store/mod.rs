//! Keeps everything in one SQLite file; rows and driver errors stay in here.
//!
//! # Invariants
//! * A write is synced to disk when it returns (WAL, `synchronous = FULL`).
//! * One writer: all writes go through one connection, begun `IMMEDIATE`, so no write ever fails
//!   half-way because another came first.
//! * Every implementation of the ports passes `contract`: SQLite and the in-memory twin.
//!
//! # Why run-time queries with `$1` and integers
//! The same texts are to run on PostgreSQL; what SQLite alone can do stays out of them.

mod approval;
mod behind;
mod byhand;
mod draws;
mod enclosure;
mod evidence;
mod facts;
mod fleet;
mod fresh;
mod leases;
mod logbook;
pub mod memory;
mod migrate;
mod orders;
mod people;
mod planbook;
mod plans;
mod registry;
mod restored;
mod rollups;
mod rows;
mod tails;
mod trail;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod sqlite_tests;

use crate::app::ports::{Fence, Source, StoreError};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, SqliteConnection, Transaction};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Makes the file for its owner alone when absent; SQLite gives the files beside it its mode. A
/// file of an earlier version may be open to others.
fn close_to_others(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    for end in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        let path = Path::new(&name);
        match fs::metadata(path) {
            Ok(known) if known.mode() & 0o077 != 0 => {
                fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
            }
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The store of one server.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    write: SqlitePool,
    read: SqlitePool,
    fresh: Arc<fresh::Fresh>,
    records: Records,
}

/// What is said in the log of the records that come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Records {
    /// Each one is a leaf.
    Logged,
    /// Nothing: the measure of what logging costs.
    LeftOut,
}

impl SqliteStore {
    /// Opens the file, makes it when absent, and brings its tables to the newest version.
    /// Only its owner may read it: the secrets of open enrolment codes are in it.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        close_to_others(path).map_err(|e| failed("close its file to others")(e.into()))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.clone())
            .await
            .map_err(failed("open its file"))?;
        migrate::run(&write).await?;
        let read = SqlitePoolOptions::new()
            .max_connections(3)
            .min_connections(1)
            .max_lifetime(None)
            .connect_with(options.read_only(true))
            .await
            .map_err(failed("open its file for reading"))?;
        Ok(Self { write, read, fresh: Arc::default(), records: Records::Logged })
    }

    /// Says nothing of records in the log: for `loa bench` alone, which measures what the log costs.
    #[must_use]
    pub fn without_log(self) -> Self {
        Self { records: Records::LeftOut, ..self }
    }

    /// Writes a consistent copy to a new file, while everything goes on.
    pub async fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        sqlx::query("VACUUM INTO $1")
            .bind(path.to_string_lossy().into_owned())
            .execute(&self.read)
            .await
            .map_err(failed("write a copy"))?;
        Ok(())
    }

    /// Says whether the store answers; for the readiness check.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.read).await.map_err(failed("answer"))?;
        Ok(())
    }

    /// Reads the whole file and says whether its pages are sound; slow on a large one.
    pub async fn examine(&self) -> Result<(), StoreError> {
        let what = "pass its check";
        let said: Vec<String> = sqlx::query_scalar("PRAGMA quick_check(3)")
            .fetch_all(&self.read)
            .await
            .map_err(failed(what))?;
        if said.iter().all(|line| line == "ok") {
            return Ok(());
        }
        Err(StoreError::Corrupt { what, source: said.join("; ").into() })
    }

    /// Finishes what runs and closes the file.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        const BEGIN: &str = "BEGIN IMMEDIATE";
        let begun = match self.write.begin_with(BEGIN).await {
            // On a full disk SQLite ends a write by itself, and the driver still counts it as
            // open: such a connection takes no write any more, another one does.
            Err(sqlx::Error::InvalidSavePointStatement) => {
                let stuck = self.write.acquire().await.map_err(failed("begin a write"))?;
                if let Err(error) = stuck.close().await {
                    tracing::debug!(%error, "A connection to the store closed badly");
                }
                self.write.begin_with(BEGIN).await
            }
            begun => begun,
        };
        begun.map_err(failed("begin a write"))
    }
}

async fn commit(tx: Transaction<'static, Sqlite>) -> Result<(), StoreError> {
    tx.commit().await.map_err(failed("make a write durable"))
}

/// Refuses a write one of whose leases went to somebody else.
async fn guard(conn: &mut SqliteConnection, fences: &[Fence]) -> Result<(), StoreError> {
    for fence in fences {
        let held: Option<i64> = sqlx::query_scalar("SELECT number FROM leases WHERE name = $1")
            .bind(fence.name.to_string())
            .fetch_optional(&mut *conn)
            .await
            .map_err(failed("read a lease"))?;
        if held != Some(fence.number) {
            return Err(StoreError::Fenced { lease: fence.name, number: fence.number });
        }
    }
    Ok(())
}

/// Sorts a driver's error: a full disk and a damaged file are cases of their own.
fn failed(what: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |error| {
        let code = match &error {
            sqlx::Error::Database(inner) => inner.code().map(std::borrow::Cow::into_owned),
            _ => None,
        };
        // What the driver puts around it says the same twice.
        let source: Source = match error {
            sqlx::Error::Database(inner) => inner.into_error(),
            other => other.into(),
        };
        match code.as_deref() {
            // SQLITE_FULL; SQLITE_IOERR_SHMSIZE is what a full disk says to the WAL's index.
            Some("13" | "4874") => StoreError::Full { source },
            // SQLITE_CORRUPT with its kinds, SQLITE_NOTADB.
            Some("11" | "267" | "523" | "779" | "26") => StoreError::Corrupt { what, source },
            _ => StoreError::Failed { what, source },
        }
    }
}

//! Who the device is and whom it obeys: what enrolment left in the data folder.

use super::disk;
use crate::domain::ids::{DeviceId, UnitId};
use crate::wire::b64;
use crate::wire::epoch::KeySet;
use crate::wire::jws::{Kid, SecretKey};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("`{dir}` holds no enrolled device")]
    NotEnrolled { dir: PathBuf },
    #[error("`{path}` is missing or damaged")]
    Damaged { path: PathBuf },
    #[error("`{path}` can be read by others")]
    Open { path: PathBuf },
    #[error("another process uses `{dir}`")]
    Busy { dir: PathBuf },
    #[error("`{path}` in the data folder")]
    Disk {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl IdentityError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotEnrolled { .. } => {
                "ask the operator for a code and run once with `--enrol CODE`"
            }
            Self::Damaged { .. } => {
                "enrol again into another folder; the records of this one can still be imported"
            }
            Self::Open { .. } => "only the device's own user may read it: `chmod 600`",
            Self::Busy { .. } => "one process runs one device; name another folder with `--data`",
            Self::Disk { .. } => "free space, and check that the data folder belongs to this user",
        }
    }
}

/// The public part, as kept in `identity.json`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    /// Version of the file, 1.
    pub v: u8,
    /// The device.
    pub id: DeviceId,
    /// Name of the server, for people.
    pub server: String,
    /// Thumbprint of the root key it was given with the code.
    pub root: Kid,
    /// `mqtt(s)://host:port`.
    pub broker: String,
    /// The broker's certificate authority lies in `broker-ca.pem`.
    pub broker_ca: bool,
    /// Prefix of all topics.
    pub prefix: String,
    /// MQTT user name.
    pub user: String,
    /// MQTT password.
    pub password: String,
    /// Units at enrolment, nearest first; later the timetable says.
    pub units: Vec<UnitId>,
    /// Plain connections over a network were allowed when it enrolled.
    pub insecure_lan: bool,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("id", &self.id)
            .field("broker", &self.broker)
            .finish_non_exhaustive()
    }
}

/// An enrolled device's data folder, held by this process alone.
#[derive(Debug)]
pub struct Home {
    /// The folder.
    pub dir: PathBuf,
    /// Who it is.
    pub identity: Identity,
    /// Its key.
    pub key: SecretKey,
    /// The server's keys.
    pub keys: KeySet,
    _lock: File,
}

impl Home {
    /// Opens the folder of an enrolled device.
    pub fn open(dir: &Path) -> Result<Self, IdentityError> {
        if !dir.join("identity.json").exists() {
            return Err(IdentityError::NotEnrolled { dir: dir.to_owned() });
        }
        let lock = lock(dir)?;
        let damaged = |name: &str| IdentityError::Damaged { path: dir.join(name) };
        let identity = disk::read_json::<Identity>(&dir.join("identity.json"))
            .filter(|identity| identity.v == 1)
            .ok_or_else(|| damaged("identity.json"))?;
        let path = dir.join("key");
        let mode = std::fs::metadata(&path).map_err(|_| damaged("key"))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(IdentityError::Open { path });
        }
        let seed = disk::read(&path)
            .and_then(|text| b64::decode_exact::<32>(std::str::from_utf8(&text).ok()?.trim()))
            .ok_or_else(|| damaged("key"))?;
        let keys = disk::read(&dir.join("keys.json"))
            .and_then(|body| KeySet::verify(&body, &identity.root).ok())
            .ok_or_else(|| damaged("keys.json"))?;
        let key = SecretKey::from_seed(&seed);
        Ok(Self { dir: dir.to_owned(), identity, key, keys, _lock: lock })
    }

    /// Returns the file of the broker's certificate authority, if enrolment brought one.
    pub fn broker_ca(&self) -> Option<PathBuf> {
        self.identity.broker_ca.then(|| self.dir.join("broker-ca.pem"))
    }
}

/// Holds a folder for this process.
pub(super) fn lock(dir: &Path) -> Result<File, IdentityError> {
    let path = dir.join("lock");
    let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = open.map_err(|source| IdentityError::Disk { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(IdentityError::Busy { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(IdentityError::Disk { path, source }),
    }
}

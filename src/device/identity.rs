//! Who the device is and whom it obeys: what enrolment left in the data folder.

use super::disk;
use crate::domain::ids::{DeviceId, UnitId};
use crate::domain::proof::record::Attestor;
use crate::wire::b64;
use crate::wire::epoch::KeySet;
use crate::wire::jws::{Kid, SecretKey};
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
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
    /// Whose word its records are.
    pub attestor: Attestor,
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
        let attestor = Attestor::Device;
        Ok(Self { dir: dir.to_owned(), identity, key, keys, attestor, _lock: lock })
    }

    /// Opens the folder that a gateway keeps for a device behind it: `behind/ID` in its own. The
    /// device signs with the gateway's key, and obeys the server that the gateway enrolled with.
    pub fn open_behind(&self, id: &DeviceId, units: &[UnitId]) -> Result<Self, IdentityError> {
        let dir = self.dir.join("behind").join(id.as_str());
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        made.map_err(|source| IdentityError::Disk { path: dir.clone(), source })?;
        let lock = lock(&dir)?;
        let root = self.identity.root;
        // Its own chain of epochs where it has followed one, else that of the gateway; which is at
        // hand whenever this one is damaged.
        let own = disk::read(&dir.join("keys.json"));
        let keys = own.and_then(|body| KeySet::verify(&body, &root).ok());
        let keys = keys.unwrap_or_else(|| self.keys.clone());
        let identity = Identity { id: id.clone(), units: units.to_vec(), ..self.identity.clone() };
        let (key, attestor) = (self.key.clone(), Attestor::Gateway);
        Ok(Self { dir, identity, key, keys, attestor, _lock: lock })
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

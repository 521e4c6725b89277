//! Units, devices, their keys, enrolment codes, access tokens.

use super::StoreError;
use crate::domain::ids::{DeviceId, Digest, PersonId, UnitId};
use crate::domain::station::{Device, Unit};
use crate::domain::time::UtcMs;
use async_trait::async_trait;

/// A device with its standing towards the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    pub device: Device,
    pub registered_ms: UtcMs,
    pub standing: Standing,
}

/// How far a device has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Registered; no key yet.
    Awaiting,
    /// Has a key and a password.
    Enrolled {
        since_ms: UtcMs,
        /// RFC 7638 thumbprint of its key.
        kid: String,
        /// SHA-256 of its broker password.
        password: Digest,
    },
    /// Its key is no longer trusted.
    Revoked { at_ms: UtcMs, reason: String },
}

/// A key under which a device signs or signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceKey {
    pub device: DeviceId,
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// The raw Ed25519 public key.
    pub key: [u8; 32],
    pub since_ms: UtcMs,
    /// The gateway whose key this is; `None` for a key of the device's own.
    pub gateway: Option<DeviceId>,
    pub end: KeyEnd,
}

/// Whether a key is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyEnd {
    /// In use.
    Open,
    /// The device enrolled again under another key, or no longer stands behind the gateway whose
    /// key it is: records of this one still count.
    Replaced { at_ms: UtcMs },
    /// Revoked: its records enter only by import, flagged.
    Revoked { at_ms: UtcMs },
}

/// A code that lets one device enrol once.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrolmentCode {
    /// Names the code without giving it away: SHA-256 of the secret.
    pub id: Digest,
    pub device: DeviceId,
    /// The secret of the code, needed to check the request's HMAC; empty once used.
    pub secret: Vec<u8>,
    pub made_ms: UtcMs,
    pub expires_ms: UtcMs,
    pub used: Option<CodeUse>,
    /// Attempts refused, and the last reason.
    pub refused: u32,
    pub last_refusal: Option<String>,
}

impl std::fmt::Debug for EnrolmentCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnrolmentCode")
            .field("id", &self.id)
            .field("device", &self.device)
            .field("secret", &"…")
            .field("expires_ms", &self.expires_ms)
            .field("used", &self.used)
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

impl Standing {
    /// Stands for the broker password of a device behind a gateway: no password has this hash.
    pub const NO_PASSWORD: Digest = Digest([0; 32]);
}

/// When and by which key a code was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeUse {
    pub at_ms: UtcMs,
    pub kid: String,
}

/// A device enrols: its key, its password, by which code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    pub code: Digest,
    pub device: DeviceId,
    pub kid: String,
    pub key: [u8; 32],
    /// SHA-256 of the new broker password.
    pub password: Digest,
    pub at_ms: UtcMs,
}

/// What became of an enrolment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// Done: code used up, key and password in force, older key replaced.
    Done,
    /// No such code, or of another device.
    UnknownCode,
    /// The code was used before.
    UsedCode { by: CodeUse },
    /// The code has expired.
    ExpiredCode { at_ms: UtcMs },
    /// The device has been removed from the register.
    UnknownDevice,
    /// This key was revoked once, or is another device's: it never comes back.
    SpentKey,
}

/// A bearer token, known by its SHA-256 alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub hash: Digest,
    /// For people: whose it is.
    pub name: String,
    /// Whose it is: it may what this person may. `None` for links of the server itself.
    pub person: Option<PersonId>,
    /// What it opens, a word of `http`: `api`, `page`, …
    pub scope: String,
    pub made_ms: UtcMs,
    /// Open-ended when `None`.
    pub expires_ms: Option<UtcMs>,
    /// How often it may still be used; unlimited when `None`.
    pub uses_left: Option<u32>,
}

/// The register of units and devices.
#[async_trait]
pub trait Registry: Send + Sync {
    /// Returns all units by id.
    async fn units(&self) -> Result<Vec<Unit>, StoreError>;
    /// Adds or replaces units by id.
    async fn put_units(&self, units: &[Unit]) -> Result<(), StoreError>;
    /// Removes units; evidence stays.
    async fn remove_units(&self, ids: &[UnitId]) -> Result<(), StoreError>;

    /// Returns all devices by id.
    async fn devices(&self) -> Result<Vec<Registered>, StoreError>;
    /// Returns one device.
    async fn device(&self, id: &DeviceId) -> Result<Option<Registered>, StoreError>;
    /// Adds devices or replaces what the register says of them; standing and keys stay. One that
    /// comes to stand behind a gateway is enrolled by that gateway's key, in the same step, or
    /// waits until the gateway enrols; one that no longer does has no key.
    async fn put_devices(&self, devices: &[Device], now: UtcMs) -> Result<(), StoreError>;
    /// Removes devices; their keys and all evidence stay.
    async fn remove_devices(&self, ids: &[DeviceId], now: UtcMs) -> Result<(), StoreError>;
    /// Revokes the device's keys and password. What stands behind it loses its key too, and waits
    /// until the gateway enrols anew.
    async fn revoke(
        &self,
        id: &DeviceId,
        reason: &str,
        by: &str,
        now: UtcMs,
    ) -> Result<(), StoreError>;
    /// Returns every key of the device, oldest first.
    async fn keys_of(&self, id: &DeviceId) -> Result<Vec<DeviceKey>, StoreError>;

    /// Keeps a code.
    async fn put_code(&self, code: &EnrolmentCode) -> Result<(), StoreError>;
    /// Returns a code.
    async fn code(&self, id: &Digest) -> Result<Option<EnrolmentCode>, StoreError>;
    /// Returns all codes, newest first.
    async fn codes(&self) -> Result<Vec<EnrolmentCode>, StoreError>;
    /// Counts a refused attempt with its reason; without effect for an unknown code.
    async fn refuse_code(&self, id: &Digest, reason: &str) -> Result<(), StoreError>;
    /// Uses the code up and puts key and password in force, in one step, also for what stands
    /// behind the device.
    async fn enrol(&self, enrolment: &Enrolment) -> Result<Enrolled, StoreError>;

    /// Keeps a token.
    async fn put_token(&self, token: &Token) -> Result<(), StoreError>;
    /// Returns all tokens by age.
    async fn tokens(&self) -> Result<Vec<Token>, StoreError>;
    /// Uses a token once: returns it when it is known, unexpired and not used up.
    async fn use_token(&self, hash: &Digest, now: UtcMs) -> Result<Option<Token>, StoreError>;
    /// Withdraws a token; says whether it was there.
    async fn remove_token(&self, hash: &Digest) -> Result<bool, StoreError>;
}

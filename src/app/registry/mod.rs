//! Devices and units of the register, enrolment codes, enrolment itself.
//!
//! While a server runs, the register in its store is the truth; files move in and out by import
//! and export. Leaves transport to `http`, signatures to `wire`, durability to the store.
//!
//! # Invariants
//! * A code enrols one device once. A used, expired, unknown or mismatching one changes nothing
//!   but its own count of refusals, which is shown.
//! * A device behind a gateway has neither code nor password of its own; its gateway has no output.
//! * Secrets and passwords are shown once: the store keeps what checks them.

mod enrol;
mod error;
mod password;

pub use error::{EnrolError, RegisterError};
pub use password::PasswordSeed;

use super::keyring::Keyring;
use super::live::Live;
use super::mosquitto::Passwords;
use super::ports::{EnrolmentCode, Registered, Standing, Store, StoreError};
use crate::clock::SharedClock;
use crate::domain::ids::{DeviceId, Digest, ProfileId, Tag, UnitId};
use crate::domain::profile::Profile;
use crate::domain::station::{BEHIND, Device, Unit};
use crate::domain::time::UtcMs;
use crate::wire::enrol::{Code, Secret};
use crate::wire::topic::Topics;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Notify;

/// Hours a code works unless said.
pub const CODE_HOURS: u32 = 72;
/// Longest life of a code in hours.
pub const CODE_HOURS_MAX: u32 = 720;
const HOUR_MS: i64 = 3_600_000;

/// What a device is told at enrolment about how to reach us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Name of the station.
    pub name: String,
    /// `http(s)://host:port` of enrolment and assets.
    pub url: String,
    /// SHA-256 of the DER certificate that the chain at `url` holds; `None` without TLS.
    pub ca: Option<Digest>,
    /// `mqtt(s)://host:port`.
    pub broker: String,
    /// Certificate authority of the broker, PEM.
    pub broker_ca: Option<String>,
    /// Prefix of all topics.
    pub topics: Topics,
    /// Minutes that local time is ahead of UTC, for the quiet floor.
    pub offset_min: i32,
}

/// A device to register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDevice {
    pub id: DeviceId,
    pub name: String,
    pub unit: UnitId,
    pub profile: ProfileId,
    pub tags: Vec<Tag>,
    pub volume_cap: u8,
    pub trim_ms: i64,
    /// The gateway that speaks and signs for it.
    pub behind: Option<DeviceId>,
}

/// A code as it is shown once. `Debug` does not show it.
#[derive(Clone)]
pub struct Issued {
    pub device: DeviceId,
    /// The text to type or paste.
    pub code: String,
    /// The same behind the server's address, for a QR code.
    pub link: String,
    pub id: Digest,
    pub expires_ms: UtcMs,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Issued({}, {}, …)", self.device, self.id)
    }
}

/// The register with what is needed to enrol.
pub struct Register {
    store: Arc<dyn Store>,
    keys: Keyring,
    clock: SharedClock,
    reach: RwLock<Arc<Reach>>,
    changed: Notify,
    live: Option<Arc<Live>>,
    passwords: Option<Arc<Passwords>>,
    seed: PasswordSeed,
}

impl Register {
    /// Returns the register over a store; `seed` is what passwords of devices follow from.
    pub fn new(
        store: Arc<dyn Store>,
        keys: Keyring,
        clock: SharedClock,
        reach: Reach,
        seed: PasswordSeed,
    ) -> Self {
        let reach = RwLock::new(Arc::new(reach));
        let changed = Notify::new();
        Self { store, keys, clock, reach, changed, live: None, passwords: None, seed }
    }

    /// Tells this picture of an enrolment before the device hears of it: it logs in at once.
    #[must_use]
    pub fn telling(mut self, live: Arc<Live>) -> Self {
        self.live = Some(live);
        self
    }

    /// Keeps the password file of an external mosquitto.
    #[must_use]
    pub fn keeping(mut self, passwords: Arc<Passwords>) -> Self {
        self.passwords = Some(passwords);
        self
    }

    /// Replaces what devices are told about how to reach us.
    pub fn set_reach(&self, reach: Reach) {
        *self.reach.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(reach);
    }

    /// Returns what devices are told about how to reach us.
    pub fn reach(&self) -> Arc<Reach> {
        Arc::clone(&self.reach.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until this process changes the register.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Says that the register was changed, for whoever waits.
    pub fn touch(&self) {
        self.changed.notify_one();
    }

    /// Registers a device that is not there yet. `profiles` are those of the station, when known.
    pub async fn add(
        &self,
        new: NewDevice,
        profiles: Option<&BTreeMap<ProfileId, Profile>>,
    ) -> Result<Registered, RegisterError> {
        let NewDevice { id, name, unit, profile, mut tags, volume_cap, trim_ms, behind } = new;
        let name = normal(&name);
        if name.is_empty() || name.chars().count() > 200 {
            return Err(RegisterError::Name);
        }
        in_range("volume_cap", i64::from(volume_cap), 0, 100)?;
        in_range("trim_ms", trim_ms, -1000, 1000)?;
        if let Some(profiles) = profiles.filter(|profiles| !profiles.contains_key(&profile)) {
            let known: Vec<_> = profiles.keys().map(|id| format!("`{id}`")).collect();
            return Err(RegisterError::NoProfile { profile, known: known.join(", ") });
        }
        if !self.store.units().await?.iter().any(|known| known.id == unit) {
            return Err(RegisterError::NoUnit { unit });
        }
        if self.store.device(&id).await?.is_some() {
            return Err(RegisterError::Exists { device: id });
        }
        if let Some(gateway) = &behind {
            self.check_gateway(gateway, profiles).await?;
        }
        tags.sort();
        tags.dedup();
        let device =
            Device { id: id.clone(), name, unit, tags, profile, volume_cap, trim_ms, behind };
        self.store.put_devices(&[device], self.clock.now()).await?;
        self.touch();
        self.store.device(&id).await?.ok_or(RegisterError::NoDevice { device: id })
    }

    /// Refuses what nothing can stand behind.
    async fn check_gateway(
        &self,
        gateway: &DeviceId,
        profiles: Option<&BTreeMap<ProfileId, Profile>>,
    ) -> Result<(), RegisterError> {
        let found = self.known(gateway).await?.device;
        let gateway = gateway.clone();
        if found.behind.is_some() {
            return Err(RegisterError::Chain { gateway });
        }
        let profile = profiles.and_then(|profiles| profiles.get(&found.profile));
        if profile.is_some_and(|profile| !profile.is_gateway()) {
            return Err(RegisterError::NoGateway { gateway, profile: found.profile });
        }
        if self.behind(&gateway).await?.len() >= BEHIND {
            return Err(RegisterError::TooManyBehind { gateway, most: BEHIND });
        }
        Ok(())
    }

    /// Returns the devices that stand behind a gateway.
    pub async fn behind(&self, gateway: &DeviceId) -> Result<Vec<Registered>, RegisterError> {
        let mut devices = self.store.devices().await?;
        devices.retain(|known| known.device.behind.as_ref() == Some(gateway));
        Ok(devices)
    }

    /// Tells the picture of a device that was just changed, and of what stands behind it.
    async fn tell(&self, device: &DeviceId) -> Result<(), StoreError> {
        let Some(live) = &self.live else { return Ok(()) };
        let mut changed: Vec<_> = self.store.device(device).await?.into_iter().collect();
        if live.devices().values().any(|known| known.device.behind.as_ref() == Some(device)) {
            let all = self.store.devices().await?.into_iter();
            changed.extend(all.filter(|known| known.device.behind.as_ref() == Some(device)));
        }
        live.put_devices(changed);
        Ok(())
    }

    /// Issues a code by which the device enrols, for the first time or again.
    pub async fn issue(
        &self,
        device: &DeviceId,
        hours: Option<u32>,
    ) -> Result<Issued, RegisterError> {
        let hours = hours.unwrap_or(CODE_HOURS);
        in_range("hours", i64::from(hours), 1, i64::from(CODE_HOURS_MAX))?;
        if let Some(gateway) = self.known(device).await?.device.behind {
            return Err(RegisterError::StandsBehind { device: device.clone(), gateway });
        }
        let secret = Secret::new(random().map_err(|source| RegisterError::Random { source })?);
        let made_ms = self.clock.now();
        let exp = made_ms.plus(i64::from(hours) * HOUR_MS).numeric_date();
        let expires_ms = UtcMs::from_numeric_date(exp);
        let id = code_row(&secret.code_id());
        self.store
            .put_code(&EnrolmentCode {
                id,
                device: device.clone(),
                secret: secret.text().as_bytes().to_vec(),
                made_ms,
                expires_ms,
                used: None,
                refused: 0,
                last_refusal: None,
            })
            .await?;
        let reach = self.reach();
        // Who signed the newest epoch: a root that is only named has vouched for nothing yet.
        let root = self.keys.in_use().chain.signer();
        let code = Code { url: reach.url.clone(), secret, root, ca: reach.ca, exp };
        Ok(Issued {
            device: device.clone(),
            code: code.text().to_string(),
            link: code.url_form().to_string(),
            id,
            expires_ms,
        })
    }

    /// Takes a device's key and password away for good, and every code that was issued for it: it
    /// is put out of the broker at once, and its records enter by import alone, flagged.
    pub async fn revoke(
        &self,
        device: &DeviceId,
        reason: &str,
        by: &str,
    ) -> Result<Registered, RegisterError> {
        let reason = normal(reason);
        if reason.is_empty() || reason.chars().count() > 200 {
            return Err(RegisterError::Reason);
        }
        let known = self.known(device).await?;
        if matches!(known.standing, Standing::Revoked { .. }) {
            return Ok(known);
        }
        self.store.revoke(device, &reason, by, self.clock.now()).await?;
        let known = self.known(device).await?;
        self.tell(device).await?;
        if let Some(passwords) = &self.passwords
            && let Err(error) = passwords.remove(device.as_str())
        {
            let path = passwords.path().display();
            tracing::error!(device.id = %device, %error, "Cannot take it out of `{path}`");
        }
        tracing::info!(device.id = %device, "Revoked a device");
        self.touch();
        Ok(known)
    }

    /// Puts new hardware in a device's place: the key of the old one is revoked, its chain of
    /// records ends, and a code lets the new one enrol under the same id.
    pub async fn replace(
        &self,
        device: &DeviceId,
        reason: &str,
        by: &str,
        hours: Option<u32>,
    ) -> Result<Issued, RegisterError> {
        in_range("hours", i64::from(hours.unwrap_or(CODE_HOURS)), 1, i64::from(CODE_HOURS_MAX))?;
        if let Some(gateway) = self.known(device).await?.device.behind {
            return Err(RegisterError::StandsBehind { device: device.clone(), gateway });
        }
        if self.store.keys_of(device).await?.is_empty() {
            return Err(RegisterError::NeverEnrolled { device: device.clone() });
        }
        self.revoke(device, reason, by).await?;
        self.issue(device, hours).await
    }

    /// Removes a device that never enrolled, a mistake of the register.
    pub async fn delete(&self, device: &DeviceId) -> Result<Registered, RegisterError> {
        let known = self.known(device).await?;
        if !self.store.keys_of(device).await?.is_empty() {
            return Err(RegisterError::HasEnrolled { device: device.clone() });
        }
        let behind = self.behind(device).await?;
        if !behind.is_empty() {
            let behind = behind.into_iter().map(|known| known.device.id).collect();
            return Err(RegisterError::HasBehind { gateway: device.clone(), behind });
        }
        let now = self.clock.now();
        self.store.remove_devices(std::slice::from_ref(device), now).await?;
        self.touch();
        Ok(known)
    }

    async fn known(&self, device: &DeviceId) -> Result<Registered, RegisterError> {
        let known = self.store.device(device).await?;
        known.ok_or_else(|| RegisterError::NoDevice { device: device.clone() })
    }
}

/// Returns the name under which the store keeps a code of that public id.
fn code_row(code: &str) -> Digest {
    Digest::of(code.as_bytes())
}

fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

fn in_range(name: &'static str, value: i64, from: i64, to: i64) -> Result<(), RegisterError> {
    if (from..=to).contains(&value) {
        Ok(())
    } else {
        Err(RegisterError::Range { name, value, from, to })
    }
}

/// Text from outside is NFC from here on, without the white space around it.
fn normal(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization as _;
    text.trim().nfc().filter(|c| !c.is_control()).collect()
}

/// Returns the unit and all above it, nearest first.
pub fn lineage(unit: &UnitId, units: &[Unit]) -> Vec<UnitId> {
    let parents: BTreeMap<_, _> = units.iter().map(|u| (&u.id, u.parent.as_ref())).collect();
    let mut found = Vec::new();
    let mut next = Some(unit);
    while let Some(id) = next {
        let Some(parent) = parents.get(id) else { break };
        if found.len() == crate::wire::limits::UNITS {
            break;
        }
        found.push(id.clone());
        next = *parent;
    }
    found
}

//! Devices and units of the register, enrolment codes, enrolment itself.
//!
//! While a server runs, the register in its store is the truth; files move in and out by import
//! and export. Leaves transport to `http`, signatures to `wire`, durability to the store.
//!
//! # Invariants
//! * A code enrols one device once. A used, expired, unknown or mismatching one changes nothing
//!   but its own count of refusals, which is shown.
//! * Secrets and passwords are shown once: the store keeps what checks them.

use super::live::Live;
use super::mosquitto::Passwords;
use super::ports::{
    CodeUse, Enrolled, Enrolment, EnrolmentCode, Registered, RetainedDocument, Standing, Store,
    StoreError,
};
use crate::clock::SharedClock;
use crate::domain::ids::{DeviceId, Digest, ProfileId, Tag, UnitId};
use crate::domain::profile::Profile;
use crate::domain::station::{Device, Unit};
use crate::domain::time::UtcMs;
use crate::wire::Refusal;
use crate::wire::doc::{self, Floor};
use crate::wire::enrol::{Answer, Code, Request, Secret, Welcome};
use crate::wire::epoch::KeySet;
use crate::wire::jws;
use crate::wire::server_keys::ServerKeys;
use crate::wire::topic::{Topic, Topics};
use crate::wire::{b64, version};
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

/// Why the register was not changed.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error("device `{device}` is registered already")]
    Exists { device: DeviceId },
    #[error("no device `{device}`")]
    NoDevice { device: DeviceId },
    #[error("no unit `{unit}`")]
    NoUnit { unit: UnitId },
    #[error("no profile `{profile}`; there are {known}")]
    NoProfile { profile: ProfileId, known: String },
    #[error("`{name}` is {value}, allowed are {from} to {to}")]
    Range { name: &'static str, value: i64, from: i64, to: i64 },
    #[error("the name of a device has 1 to 200 characters")]
    Name,
    #[error("a reason has 1 to 200 characters")]
    Reason,
    #[error("device `{device}` has enrolled")]
    HasEnrolled { device: DeviceId },
    #[error("device `{device}` has never enrolled")]
    NeverEnrolled { device: DeviceId },
    #[error("the system gave no random numbers")]
    Random {
        #[source]
        source: getrandom::Error,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RegisterError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Exists { .. } => {
                "`loa device import` changes it; `loa device enrol` issues a new code"
            }
            Self::NoDevice { .. } => "`loa device list` shows all; `loa device add` adds one",
            Self::NoUnit { .. } => "`loa unit list` shows all; `loa unit import` adds units",
            Self::NoProfile { .. } => "profiles are files in the folder of `--profiles`",
            Self::Range { .. } | Self::Name => "change the value",
            Self::Reason => "say what happened to the device",
            Self::HasEnrolled { .. } => {
                "its records are evidence: `loa device revoke` takes its key away for good"
            }
            Self::NeverEnrolled { .. } => {
                "`loa device enrol` issues a code, `loa device delete` removes it"
            }
            Self::Random { .. } => "look at the system's log",
            Self::Store(error) => error.hint(),
        }
    }
}

/// Why a device was not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    #[error("the request cannot be used: {0}")]
    Request(Refusal),
    #[error("no such enrolment code")]
    Unknown,
    #[error("the enrolment code has been used")]
    Used { by: CodeUse },
    #[error("the enrolment code has expired")]
    Expired { at_ms: UtcMs },
    #[error("the request does not prove that it knows the code")]
    Mismatch,
    #[error("the device of this code is no longer in the register")]
    Gone,
    #[error("the key was given up before")]
    SpentKey,
    #[error("the answer cannot be signed: {0}")]
    Unsigned(Refusal),
    #[error("the system gave no random numbers")]
    Random {
        #[source]
        source: getrandom::Error,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EnrolError {
    /// Returns the stable word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Request(refusal) => refusal.reason(),
            Self::Unknown => "code-unknown",
            Self::Used { .. } => "code-used",
            Self::Expired { .. } => "code-expired",
            Self::Mismatch => "code-mismatch",
            Self::Gone => "device-gone",
            Self::SpentKey => "key-spent",
            Self::Unsigned(_) | Self::Random { .. } | Self::Store(_) => "internal",
        }
    }

    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Request(refusal) => refusal.hint(),
            Self::Store(error) => error.hint(),
            Self::Random { .. } => "look at the server's log",
            Self::Unsigned(_) => {
                "a name, an address or a certificate of the station is too long for the contract"
            }
            Self::SpentKey => "enrol with a new data folder: the device then makes a new key",
            _ => "ask the operator for a new code: `loa device enrol DEVICE`",
        }
    }
}

/// The register with what is needed to enrol.
pub struct Register {
    store: Arc<dyn Store>,
    keys: Arc<ServerKeys>,
    epochs: Arc<KeySet>,
    clock: SharedClock,
    reach: RwLock<Arc<Reach>>,
    changed: Notify,
    live: Option<Arc<Live>>,
    passwords: Option<Arc<Passwords>>,
}

impl Register {
    /// Returns the register over a store.
    pub fn new(
        store: Arc<dyn Store>,
        keys: Arc<ServerKeys>,
        epochs: Arc<KeySet>,
        clock: SharedClock,
        reach: Reach,
    ) -> Self {
        let reach = RwLock::new(Arc::new(reach));
        Self {
            store,
            keys,
            epochs,
            clock,
            reach,
            changed: Notify::new(),
            live: None,
            passwords: None,
        }
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
        let NewDevice { id, name, unit, profile, mut tags, volume_cap, trim_ms } = new;
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
        tags.sort();
        tags.dedup();
        let device = Device { id: id.clone(), name, unit, tags, profile, volume_cap, trim_ms };
        self.store.put_devices(&[device], self.clock.now()).await?;
        self.touch();
        self.store.device(&id).await?.ok_or(RegisterError::NoDevice { device: id })
    }

    /// Issues a code by which the device enrols, for the first time or again.
    pub async fn issue(
        &self,
        device: &DeviceId,
        hours: Option<u32>,
    ) -> Result<Issued, RegisterError> {
        let hours = hours.unwrap_or(CODE_HOURS);
        in_range("hours", i64::from(hours), 1, i64::from(CODE_HOURS_MAX))?;
        if self.store.device(device).await?.is_none() {
            return Err(RegisterError::NoDevice { device: device.clone() });
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
        let root = self.epochs.signer();
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
    ) -> Result<Registered, RegisterError> {
        let reason = normal(reason);
        if reason.is_empty() || reason.chars().count() > 200 {
            return Err(RegisterError::Reason);
        }
        let known = self.known(device).await?;
        if matches!(known.standing, Standing::Revoked { .. }) {
            return Ok(known);
        }
        self.store.revoke(device, &reason, self.clock.now()).await?;
        let known = self.known(device).await?;
        if let Some(live) = &self.live {
            live.put_device(known.clone());
        }
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
        hours: Option<u32>,
    ) -> Result<Issued, RegisterError> {
        in_range("hours", i64::from(hours.unwrap_or(CODE_HOURS)), 1, i64::from(CODE_HOURS_MAX))?;
        if self.store.keys_of(device).await?.is_empty() {
            self.known(device).await?;
            return Err(RegisterError::NeverEnrolled { device: device.clone() });
        }
        self.revoke(device, reason).await?;
        self.issue(device, hours).await
    }

    /// Removes a device that never enrolled, a mistake of the register.
    pub async fn delete(&self, device: &DeviceId) -> Result<Registered, RegisterError> {
        let known = self.known(device).await?;
        if !self.store.keys_of(device).await?.is_empty() {
            return Err(RegisterError::HasEnrolled { device: device.clone() });
        }
        self.store.remove_devices(std::slice::from_ref(device)).await?;
        self.touch();
        Ok(known)
    }

    async fn known(&self, device: &DeviceId) -> Result<Registered, RegisterError> {
        let known = self.store.device(device).await?;
        known.ok_or_else(|| RegisterError::NoDevice { device: device.clone() })
    }

    /// Enrols the device that asks, and returns the answer's bytes.
    pub async fn enrol(&self, text: &str) -> Result<Vec<u8>, EnrolError> {
        let request = Request::open(text).map_err(EnrolError::Request)?;
        let id = code_row(&request.claims.code);
        let code = self.store.code(&id).await?.ok_or(EnrolError::Unknown)?;
        let now = self.clock.now();
        let outcome = match judge(&code, &request.claims, now) {
            Ok(()) => self.admit(&code, &request, now).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(answer) => {
                tracing::info!(device.id = %code.device, key.kid = %request.kid, "Enrolled a device");
                self.touch();
                Ok(answer)
            }
            Err(error) => {
                tracing::warn!(device.id = %code.device, code = error.code(), "Refused an enrolment");
                self.store.refuse_code(&id, error.code()).await?;
                Err(error)
            }
        }
    }

    async fn admit(
        &self,
        code: &EnrolmentCode,
        request: &jws::Opened<Request>,
        now: UtcMs,
    ) -> Result<Vec<u8>, EnrolError> {
        let random = |source| EnrolError::Random { source };
        let password = b64::encode(&self::random::<16>().map_err(random)?);
        let registered = self.store.device(&code.device).await?.ok_or(EnrolError::Gone)?;
        if let Standing::Revoked { at_ms, .. } = &registered.standing
            && code.made_ms < *at_ms
        {
            // Whoever took the device may have taken the code with it.
            return Err(EnrolError::Expired { at_ms: *at_ms });
        }
        let units = lineage(&registered.device.unit, &self.store.units().await?);
        let reach = self.reach();
        let topic = reach.topics.of(&Topic::Floor(code.device.clone()));
        let floor = self.floor(&code.device, &topic, reach.offset_min, now).await?;
        // Before the code is used up: what cannot be answered must not have enrolled.
        let welcome = Welcome {
            v: 1,
            iss: doc::issuer(&reach.name),
            iat: now.numeric_date(),
            request: request.digest,
            id: code.device.clone(),
            broker: reach.broker.clone(),
            ca: reach.broker_ca.clone(),
            prefix: reach.topics.to_string(),
            user: code.device.to_string(),
            password: password.clone(),
            units,
            http: Some(reach.url.clone()),
        };
        let answer = Answer::new(&self.keys.policy, self.epochs.body(), floor, &welcome)
            .map_err(EnrolError::Unsigned)?
            .encode();
        let enrolment = Enrolment {
            code: code.id,
            device: code.device.clone(),
            kid: request.kid.to_string(),
            key: request.claims.key.to_bytes(),
            password: Digest::of(password.as_bytes()),
            at_ms: now,
        };
        match self.store.enrol(&enrolment).await? {
            Enrolled::Done => {
                let known = self.store.device(&code.device).await?;
                if let (Some(live), Some(known)) = (&self.live, known) {
                    live.put_device(known);
                }
            }
            Enrolled::UnknownCode => return Err(EnrolError::Unknown),
            Enrolled::UsedCode { by } => return Err(EnrolError::Used { by }),
            Enrolled::ExpiredCode { at_ms } => return Err(EnrolError::Expired { at_ms }),
            Enrolled::UnknownDevice => return Err(EnrolError::Gone),
            Enrolled::SpentKey => return Err(EnrolError::SpentKey),
        }
        if let Some(passwords) = &self.passwords
            && let Err(error) = passwords.put(code.device.as_str(), &password)
        {
            // The device is enrolled; a new code mends it once the file can be written.
            let path = passwords.path().display();
            tracing::error!(device.id = %code.device, %error, "Cannot write `{path}`");
        }
        Ok(answer)
    }

    /// Returns the floor in force for the device, made when it has none.
    async fn floor(
        &self,
        device: &DeviceId,
        topic: &str,
        offset_min: i32,
        now: UtcMs,
    ) -> Result<String, EnrolError> {
        if let Some(kept) = self.store.retained().await?.into_iter().find(|d| d.topic == topic) {
            return Ok(String::from_utf8_lossy(&kept.body).into_owned());
        }
        let ver = version::next(None, now);
        let floor = Floor::first(device.clone(), ver, now.numeric_date(), offset_min);
        let text = doc::sign(&self.keys.policy, &floor).map_err(EnrolError::Unsigned)?;
        let body = Arc::from(text.as_bytes());
        let document = RetainedDocument { topic: topic.to_owned(), ver, made_ms: now, body };
        self.store.put_retained(&[document]).await?;
        Ok(text)
    }
}

fn judge(code: &EnrolmentCode, request: &Request, now: UtcMs) -> Result<(), EnrolError> {
    if let Some(by) = &code.used {
        return Err(EnrolError::Used { by: by.clone() });
    }
    if code.expires_ms <= now {
        return Err(EnrolError::Expired { at_ms: code.expires_ms });
    }
    let secret = std::str::from_utf8(&code.secret).ok().and_then(Secret::from_text);
    match secret {
        Some(secret) if request.proves(&secret) => Ok(()),
        _ => Err(EnrolError::Mismatch),
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

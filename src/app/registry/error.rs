//! Why the register was not changed, or a device not enrolled.

use crate::app::ports::{CodeUse, StoreError};
use crate::domain::ids::{DeviceId, ProfileId, UnitId};
use crate::domain::time::UtcMs;
use crate::wire::Refusal;

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
    #[error("`{device}` stands behind `{gateway}`")]
    StandsBehind { device: DeviceId, gateway: DeviceId },
    #[error("`{gateway}` is no gateway: its profile `{profile}` has an output of its own")]
    NoGateway { gateway: DeviceId, profile: ProfileId },
    #[error("`{gateway}` stands behind a gateway itself")]
    Chain { gateway: DeviceId },
    #[error("more than {most} devices behind `{gateway}`")]
    TooManyBehind { gateway: DeviceId, most: usize },
    #[error("{} stand behind `{gateway}`: {}", behind.len(), named(behind))]
    HasBehind { gateway: DeviceId, behind: Vec<DeviceId> },
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
            Self::StandsBehind { .. } => {
                "its gateway enrols and signs for it; what it speaks to is said in the gateway's \
                 `gateway.toml`"
            }
            Self::NoGateway { .. } => "give the gateway a profile with `gateway = true`",
            Self::Chain { .. } => "put the device behind a gateway that stands by itself",
            Self::TooManyBehind { .. } => "use a second gateway for the rest",
            Self::HasBehind { .. } => {
                "put them behind another gateway first: `loa device import`, column `behind`"
            }
            Self::NeverEnrolled { .. } => {
                "`loa device enrol` issues a code, `loa device delete` removes it"
            }
            Self::Random { .. } => "look at the system's log",
            Self::Store(error) => error.hint(),
        }
    }
}

/// Names some of the devices.
fn named(devices: &[DeviceId]) -> String {
    let mut some: Vec<String> = devices.iter().take(5).map(|id| format!("`{id}`")).collect();
    if devices.len() > some.len() {
        some.push("…".to_owned());
    }
    some.join(", ")
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
    #[error("the device of this code stands behind a gateway by now")]
    Behind,
    #[error("the key was given up before")]
    SpentKey,
    #[error("the answer cannot be signed: {0}")]
    Unsigned(Refusal),
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
            Self::Behind => "stands-behind",
            Self::SpentKey => "key-spent",
            Self::Unsigned(_) | Self::Store(_) => "internal",
        }
    }

    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Request(refusal) => refusal.hint(),
            Self::Store(error) => error.hint(),
            Self::Unsigned(_) => {
                "a name, an address or a certificate of the station is too long for the contract"
            }
            Self::Behind => "its gateway enrols and signs for it",
            Self::SpentKey => "enrol with a new data folder: the device then makes a new key",
            _ => "ask the operator for a new code: `loa device enrol DEVICE`",
        }
    }
}

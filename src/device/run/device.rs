//! An enrolled device's folder, opened: what the loop starts from.

use super::timekeeper::Timekeeper;
use crate::app::link::{Will, WillSource};
use crate::clock::SharedClock;
use crate::device::accept::Gate;
use crate::device::executor::Journal;
use crate::device::identity::{Home, IdentityError};
use crate::device::ledger::{Ledger, LedgerConfig, LedgerError};
use crate::device::progress::Progress;
use crate::device::props::Props;
use crate::device::storage::{Storage, StorageError};
use crate::device::trust::ClockMode;
use crate::domain::ids::DeviceId;
use crate::domain::profile::Profile;
use crate::wire::doc::{State, StateKind};
use crate::wire::topic::{PrefixError, Topic, Topics};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Why a device cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error(transparent)]
    Folder(#[from] IdentityError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Prefix(#[from] PrefixError),
}

impl DeviceError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Folder(error) => error.hint(),
            Self::Ledger(error) => error.hint(),
            Self::Storage(error) => error.hint(),
            Self::Prefix(error) => error.hint(),
        }
    }
}

/// What a device is started with besides its folder.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whom to believe about the time.
    pub clock: ClockMode,
    /// What the hardware can do.
    pub profile: Profile,
    /// Bytes that records may take.
    pub ledger_bytes: u64,
    /// Name and version of the program.
    pub fw: String,
}

/// A device ready to run.
#[derive(Debug)]
pub struct Device {
    pub(super) home: Home,
    pub(super) settings: Settings,
    pub(super) topics: Topics,
    pub(super) time: Timekeeper,
    pub(super) ledger: Ledger,
    pub(super) progress: Progress,
    pub(super) journal: Option<Journal>,
    pub(super) storage: Storage,
    pub(super) gate: Gate,
    pub(super) connections: Arc<AtomicU64>,
    pub(super) props: Props,
}

impl Device {
    /// Opens the folder of an enrolled device; counts the start.
    pub fn open(home: Home, settings: Settings, base: SharedClock) -> Result<Self, DeviceError> {
        let dir = home.dir.clone();
        let topics = Topics::new(&home.identity.prefix)?;
        let ppm = settings.profile.clock_ppm;
        let time = Timekeeper::open(&dir, settings.clock, ppm, base);
        let ledger = Ledger::open(
            &dir.join("ledger"),
            LedgerConfig {
                device: home.identity.id.clone(),
                key: home.key.clone(),
                most_bytes: settings.ledger_bytes,
                attestor: home.attestor,
            },
        )?;
        let (progress, journal) = Progress::open(&dir);
        let storage = Storage::open(&dir, settings.profile.storage_bytes)?;
        let gate = Gate::new(
            home.identity.id.clone(),
            home.identity.root,
            home.keys.clone(),
            home.identity.units.clone(),
        );
        // Above that of every earlier start, so that an old will never stands for a new birth.
        let connections = Arc::new(AtomicU64::new(ledger.boot() << 20));
        Ok(Self {
            home,
            settings,
            topics,
            time,
            ledger,
            progress,
            journal,
            storage,
            gate,
            connections,
            props: Props::default(),
        })
    }

    /// Returns who it is.
    pub fn id(&self) -> &DeviceId {
        &self.home.identity.id
    }

    /// Returns what pages are filled with: what a board reads while the device runs.
    pub fn props(&self) -> Props {
        self.props.clone()
    }

    /// Returns the device's clock: what outputs run on.
    pub fn clock(&self) -> SharedClock {
        self.time.clock()
    }

    /// Returns the flag by which the link knows whether dates may be judged.
    pub fn time_trusted(&self) -> Arc<AtomicBool> {
        self.time.trusted()
    }

    /// Returns the maker of last wills: each attempt to connect has a higher number, and the
    /// birth after it bears the same.
    pub fn wills(&self) -> WillSource {
        let topic = self.topics.of(&Topic::State(self.home.identity.id.clone()));
        let connections = Arc::clone(&self.connections);
        Box::new(move || {
            let conn = connections.fetch_add(1, Ordering::AcqRel) + 1;
            let payload = State::bare(StateKind::Lost, conn).encode().into();
            Some(Will { topic: topic.clone(), payload, retain: true })
        })
    }
}

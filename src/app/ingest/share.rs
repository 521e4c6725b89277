//! Which devices' records this process takes in: one lease for each sixteenth of them.

use crate::app::ports::{Fence, LeaseName};
use crate::domain::ids::DeviceId;
use crate::wire::topic::partition;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// The shares held now, with the numbers under which they are written. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shares(Arc<watch::Sender<BTreeMap<u8, Fence>>>);

impl Default for Shares {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(BTreeMap::new())))
    }
}

impl Shares {
    /// Says what is held from now on.
    pub fn hold(&self, fences: impl IntoIterator<Item = Fence>) {
        let held: BTreeMap<u8, Fence> = fences
            .into_iter()
            .filter_map(|fence| match fence.name {
                LeaseName::Ingest(share) => Some((share, fence)),
                _ => None,
            })
            .collect();
        self.0.send_if_modified(|before| {
            let changed = *before != held;
            *before = held;
            changed
        });
    }

    /// Gives a share up that proved to be another's.
    pub fn lose(&self, name: LeaseName) {
        self.0.send_if_modified(|held| match name {
            LeaseName::Ingest(share) => held.remove(&share).is_some(),
            _ => false,
        });
    }

    /// Returns the share of a device.
    pub fn of(device: &DeviceId) -> u8 {
        partition(device).to_digit(16).and_then(|p| u8::try_from(p).ok()).unwrap_or(0)
    }

    /// Says whether the device's records are this process's to take in.
    pub fn holds(&self, device: &DeviceId) -> bool {
        self.0.borrow().contains_key(&Self::of(device))
    }

    /// Returns what is held.
    pub fn held(&self) -> BTreeMap<u8, Fence> {
        self.0.borrow().clone()
    }

    /// Returns what tells of changes.
    pub fn changes(&self) -> watch::Receiver<BTreeMap<u8, Fence>> {
        self.0.subscribe()
    }
}

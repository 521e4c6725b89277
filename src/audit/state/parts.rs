//! Devices and quotes in parts, when all at once do not fit into memory.

use super::super::register::{Device, Place};
use super::super::verdict::{Fault, FaultKind};
use super::shelf::Shelf;
use super::{State, Tracked};

/// Part of all devices or quotes: those from `from` to `to`, both inclusive.
#[derive(Clone, Copy, Debug)]
pub struct Part<T> {
    pub from: T,
    pub to: T,
}

impl State<'_> {
    /// Says whether a device belongs to this walk.
    pub fn is_wanted(&self, device: Device) -> bool {
        let Part { from, to } = self.devices;
        let given_up = self.given_up.contains(&device);
        !given_up && self.names.get(device as usize).is_some_and(|name| (from..=to).contains(name))
    }

    /// Returns which devices the next walk must read: all while quotes were put off.
    pub fn parts(&self) -> Wanted {
        let Part { from, to } = self.devices;
        let quotes = self.quoted.from != self.quoted.to;
        let has = |name: &u64| quotes || (from..=to).contains(name);
        Wanted(self.names.iter().map(has).collect())
    }

    /// Says whether this walk is the last about devices.
    pub fn is_last(&self) -> bool {
        self.devices.to == u64::MAX
    }

    /// Goes on with the devices and quotes that were put off.
    pub fn next_part(&mut self) {
        let from = self.devices.to.saturating_add(1);
        // Of the last part nothing is left: no name hashes that high but by a wonder.
        self.devices = Part { from, to: u64::MAX };
        self.quoted = Part { from: self.quoted.to.next(), to: Place::LAST };
        self.shelf = Shelf::default();
        self.used = 0;
    }

    /// Puts devices off to another walk until what is kept fits.
    pub(super) fn shrink(&mut self) {
        loop {
            let kept: usize = self.tracked.values().map(Tracked::bytes).sum();
            self.used = kept + self.shelf.bytes();
            if self.used <= self.most {
                return;
            }
            let Part { from, to } = self.devices;
            if from == to || self.tracked.len() < 2 {
                self.give_up();
            } else {
                self.devices.to = from + (to - from) / 2;
                let to = self.devices.to;
                let names = &self.names;
                let stays = |device: &Device| names.get(*device as usize).is_some_and(|n| *n <= to);
                self.tracked.retain(|device, _| stays(device));
                self.tracked.shrink_to_fit();
            }
            self.shelf.clear(self.tracked.values_mut());
        }
    }

    /// Gives up devices each of which alone is too large.
    fn give_up(&mut self) {
        for (device, _) in self.tracked.drain() {
            let name = self.index.register.name(device);
            let why = "what is logged of it does not fit into memory: it was not judged";
            self.verdict.fault(Fault::new(FaultKind::Limit, "pack", why).of(name));
            self.given_up.insert(device);
        }
    }
}

/// Which devices a walk reads.
#[derive(Debug)]
pub struct Wanted(Vec<bool>);

impl Wanted {
    /// Says whether the device is one of them.
    pub fn has(&self, device: Device) -> bool {
        self.0.get(device as usize).copied().unwrap_or(false)
    }
}

//! Whose key is whose, and from which leaf to which: what `enrol` and `revoke` leaves say.

use super::hash::Hash;
use super::leaf::Statement;
use super::record::{notice, thumbprint};
use super::signature;
use super::verdict::{Fault, FaultKind};
use ed25519_dalek::VerifyingKey;
use std::collections::HashMap;

/// Keys and devices that are kept in memory: more than a country has.
const MOST: usize = 150_000;

/// Devices that one key speaks for: those behind a gateway.
const USES: usize = 4_096;
/// Approvals and notices that are kept in memory.
const ORDERS: usize = 300_000;

/// The place of a leaf among all logs of the pack, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(u64);

impl Place {
    /// The last place there can be.
    pub const LAST: Self = Self(u64::MAX);

    /// Returns the place of a leaf; both numbers are bounded by the layout.
    pub fn new(log: usize, index: u64) -> Self {
        Self((log as u64) << 48 | index & ((1 << 48) - 1))
    }

    /// Returns the place after it.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Returns it as one number.
    pub fn number(self) -> u64 {
        self.0
    }

    /// Returns the place with that number.
    pub fn of(number: u64) -> Self {
        Self(number)
    }

    /// Returns the log.
    pub fn log(self) -> usize {
        usize::try_from(self.0 >> 48).unwrap_or(0)
    }

    /// Returns the place in it.
    pub fn index(self) -> u64 {
        self.0 & ((1 << 48) - 1)
    }
}

/// A device by number.
pub type Device = u32;

/// A key as it was enrolled for one device.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    pub device: Device,
    since: Place,
    revoked: Option<Place>,
}

/// Why a key does not count for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoUse {
    Foreign,
    Early,
    Revoked,
}

/// A key with the devices it speaks for (a gateway speaks for several).
#[derive(Clone, Debug)]
pub struct Known {
    pub key: VerifyingKey,
    pub uses: Vec<Use>,
}

/// A device of the register.
#[derive(Clone, Debug)]
pub struct Named {
    pub name: String,
    /// Whether the question is about it.
    pub asked: bool,
    /// Whether a key of it was enrolled: without one nothing that it does can be verified.
    pub enrolled: bool,
}

/// What was ordered by people: where the log says so first.
#[derive(Debug, Default)]
pub struct Ordered {
    approvals: HashMap<[u8; 32], Place>,
    notices: HashMap<[u8; 16], (Place, Hash)>,
}

impl Ordered {
    /// Finds the first approval of what has this hash.
    pub fn approval(&self, of: &Hash) -> Option<Place> {
        self.approvals.get(of).copied()
    }

    /// Finds an urgent notice by its short name.
    pub fn notice(&self, name: &[u8; 16]) -> Option<Place> {
        self.notices.get(name).map(|(place, _)| *place)
    }

    /// Returns all notices: short name, the leaf that names it, and its document.
    pub fn notices(&self) -> impl Iterator<Item = (&[u8; 16], Place, &Hash)> {
        self.notices.iter().map(|(name, (place, document))| (name, *place, document))
    }

    /// Takes a statement in; says whether there was room.
    pub fn take(&mut self, statement: &Statement, place: Place) -> bool {
        let room = self.approvals.len() + self.notices.len() < ORDERS;
        match statement {
            Statement::Approval { of, needed: true } => {
                room && *self.approvals.entry(*of).or_insert(place) <= place
            }
            Statement::Urgent { jti, document } => {
                room && self.notices.entry(notice(jti)).or_insert((place, *document)).0 <= place
            }
            _ => true,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Register {
    pub ordered: Ordered,
    keys: HashMap<Hash, Known>,
    pub devices: Vec<Named>,
    by_name: HashMap<String, Device>,
    full: bool,
}

impl Register {
    /// Takes a statement in; `unit` is what the question is about, `log_of` finds a log by name.
    pub fn take(
        &mut self,
        statement: &Statement,
        place: Place,
        file: &str,
        unit: Option<&str>,
        log_of: impl Fn(&str) -> Option<usize>,
    ) -> Option<Fault> {
        let wrong = |dev: &str, why: &str| {
            let fault = Fault::new(FaultKind::Statement, file, why);
            Some(fault.at(place.index()).of(dev))
        };
        match statement {
            Statement::Enrol { dev, key, units } => {
                let asked = unit.is_none_or(|unit| units.iter().any(|of| of == unit));
                let Some(device) = self.device(dev, asked) else {
                    let first = !std::mem::replace(&mut self.full, true);
                    let why = format!("more than {MOST} devices or keys");
                    return first.then(|| Fault::new(FaultKind::Limit, file, why));
                };
                let Some(parsed) = signature::key(key) else {
                    return wrong(dev, "the key that is enrolled is not a sound Ed25519 key");
                };
                let known = self.keys.entry(thumbprint(key));
                let known = known.or_insert_with(|| Known { key: parsed, uses: Vec::new() });
                if let Some(named) = self.devices.get_mut(device as usize) {
                    named.enrolled = true;
                }
                if known.uses.iter().any(|of| of.device == device) {
                    return None;
                }
                if known.uses.len() >= USES {
                    let why = format!("a key is enrolled for more than {USES} devices");
                    return Some(Fault::new(FaultKind::Limit, file, why).at(place.index()).of(dev));
                }
                known.uses.push(Use { device, since: place, revoked: None });
                None
            }
            Statement::Revoke { dev, kid, from } => {
                let device = self.by_name.get(dev);
                let known = self.keys.get_mut(kid);
                let mut uses = known.into_iter().flat_map(|known| &mut known.uses);
                let Some(of) = uses.find(|of| Some(&of.device) == device) else {
                    // Enrolled in a log that the pack does not hold: nothing here is signed by it.
                    return None;
                };
                let from = match from {
                    None => place,
                    // A log that is not in the pack came before those that are.
                    Some((origin, index)) => {
                        log_of(origin).map_or(Place(0), |log| Place::new(log, *index))
                    }
                };
                if from > place {
                    return wrong(dev, "a key is revoked from a leaf on that is not there yet");
                }
                of.revoked = Some(of.revoked.map_or(from, |known| known.min(from)));
                None
            }
            Statement::Approval { .. } | Statement::Urgent { .. } => {
                let full = !self.ordered.take(statement, place);
                let first = full && !std::mem::replace(&mut self.full, true);
                let why = format!("more than {ORDERS} approvals and notices");
                first.then(|| Fault::new(FaultKind::Limit, file, why))
            }
            // What is ordered of a device without a key is expected of it all the same.
            Statement::Published { dev, .. } => {
                let full = self.device(dev, unit.is_none()).is_none();
                let first = full && !std::mem::replace(&mut self.full, true);
                let why = format!("more than {MOST} devices or keys");
                first.then(|| Fault::new(FaultKind::Limit, file, why))
            }
            _ => None,
        }
    }

    fn device(&mut self, name: &str, asked: bool) -> Option<Device> {
        if let Some(device) = self.by_name.get(name) {
            if let Some(named) = self.devices.get_mut(*device as usize) {
                named.asked |= asked;
            }
            return Some(*device);
        }
        if self.devices.len() >= MOST || self.keys.len() >= MOST {
            return None;
        }
        let device = Device::try_from(self.devices.len()).ok()?;
        self.devices.push(Named { name: name.to_owned(), asked, enrolled: false });
        self.by_name.insert(name.to_owned(), device);
        Some(device)
    }

    /// Returns roughly how many bytes it takes.
    pub fn bytes(&self) -> usize {
        let ordered = self.ordered.approvals.capacity() + self.ordered.notices.capacity();
        let keys = self.keys.capacity() * (size_of::<(Hash, Known)>() + size_of::<Use>());
        keys + self.devices.capacity() * 160 + ordered * 80
    }

    /// Finds a key by its thumbprint.
    pub fn key(&self, kid: &Hash) -> Option<&Known> {
        self.keys.get(kid)
    }

    /// Finds a device by its name.
    pub fn named(&self, name: &str) -> Option<Device> {
        self.by_name.get(name).copied()
    }

    /// Returns a device's name.
    pub fn name(&self, device: Device) -> &str {
        self.devices.get(device as usize).map_or("", |named| &named.name)
    }

    /// Says for which device a key signed a record that names `dev` and was logged at `place`.
    pub fn judge(&self, known: &Known, dev: Option<&str>, place: Place) -> Result<Device, NoUse> {
        let named = dev.and_then(|dev| self.by_name.get(dev));
        let of = known.uses.iter().find(|of| Some(&of.device) == named).ok_or(NoUse::Foreign)?;
        if of.revoked.is_some_and(|from| place >= from) {
            Err(NoUse::Revoked)
        } else if place < of.since {
            Err(NoUse::Early)
        } else {
            Ok(of.device)
        }
    }
}

//! How much of what devices publish is in the broker's memory, and when that is too much.
//!
//! Most of it waits for the server. The library bounds that queue by number only, and where the
//! server's client does not read, messages pile up before they even come to the queue. So each body
//! a device publishes is counted for as long as anything of the broker holds it, wherever that is;
//! counting arrivals and acknowledgements instead would miss what a broken connection leaves.
//!
//! Beyond the bound messages are refused: devices keep their records until a receipt and send them
//! again. One device cannot take the room of the others.

use crate::wire::limits;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::{info, warn};

/// What a message takes beside its body.
const BESIDE: usize = 512;
/// What one device may have there: its record batch in flight with its repeats, what the server
/// asked for again, its state.
const OF_ONE: usize = 16 * limits::BATCH_BYTES;
/// So many devices are known before those of whom nothing is held are forgotten.
const SOME: usize = 1_024;

/// Bytes held now.
type Gauge = Arc<AtomicUsize>;

/// What devices published and the broker holds.
pub(super) struct Waiting {
    passing: Held,
    kept: Held,
    devices: Mutex<Devices>,
}

/// One kind of messages, with its bound.
struct Held {
    now: Gauge,
    most: usize,
    /// Whether the log says that it is full.
    told: AtomicBool,
}

struct Devices {
    by_id: HashMap<String, Gauge>,
    sweep_at: usize,
}

/// A body and where it is counted.
struct Counted {
    body: Box<[u8]>,
    in_all: Gauge,
    of_device: Gauge,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let cost = self.body.len() + BESIDE;
        self.in_all.fetch_sub(cost, Ordering::Relaxed);
        self.of_device.fetch_sub(cost, Ordering::Relaxed);
    }
}

impl Held {
    fn new(most: usize) -> Self {
        Self { now: Gauge::default(), most, told: AtomicBool::new(false) }
    }

    fn is_full(&self) -> bool {
        let now = self.now.load(Ordering::Relaxed);
        if now > self.most {
            if !self.told.swap(true, Ordering::Relaxed) {
                warn!(
                    bytes = now,
                    "The server does not keep up with its broker: what devices send is refused, \
                     they send it again"
                );
            }
        } else if now < self.most / 2 && self.told.swap(false, Ordering::Relaxed) {
            info!("The server keeps up with its broker again");
        }
        now > self.most
    }
}

impl Waiting {
    /// Returns a count that is full when `most` bytes of messages are held, beside one state of
    /// each device, which is kept for good.
    pub(super) fn new(most: usize, devices: usize) -> Self {
        let states = devices.saturating_mul(limits::STATE_BYTES + BESIDE);
        let devices = Devices { by_id: HashMap::new(), sweep_at: SOME };
        Self {
            passing: Held::new(most),
            kept: Held::new(states.saturating_add(most)),
            devices: Mutex::new(devices),
        }
    }

    fn held(&self, retain: bool) -> &Held {
        if retain { &self.kept } else { &self.passing }
    }

    /// Returns a copy of the body that is counted until its last clone is dropped.
    pub(super) fn count(&self, device: &str, body: &[u8], retain: bool) -> Bytes {
        let in_all = Arc::clone(&self.held(retain).now);
        let of_device = self.of(device);
        let cost = body.len() + BESIDE;
        in_all.fetch_add(cost, Ordering::Relaxed);
        of_device.fetch_add(cost, Ordering::Relaxed);
        Bytes::from_owner(Counted { body: body.into(), in_all, of_device })
    }

    /// Says whether a message of this device that was just counted is one too many.
    pub(super) fn is_full(&self, device: &str, retain: bool) -> bool {
        self.held(retain).is_full() || self.of(device).load(Ordering::Relaxed) > OF_ONE
    }

    /// Returns how many bytes are held that are not kept for good.
    pub(super) fn bytes(&self) -> usize {
        self.passing.now.load(Ordering::Relaxed)
    }

    fn of(&self, device: &str) -> Gauge {
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = devices.by_id.get(device) {
            return Arc::clone(known);
        }
        if devices.by_id.len() >= devices.sweep_at {
            devices.by_id.retain(|_, held| Arc::strong_count(held) > 1);
            devices.sweep_at = SOME.max(devices.by_id.len() * 2);
        }
        Arc::clone(devices.by_id.entry(device.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_counts_until_its_last_holder_lets_it_go() {
        let waiting = Waiting::new(10_000, 2);
        let body = waiting.count("loa-1", &[7; 9_000], false);
        let queued = body.slice(10..20);
        assert_eq!((body.len(), waiting.bytes()), (9_000, 9_000 + BESIDE));
        assert!(!waiting.is_full("loa-1", false));
        let more = waiting.count("loa-2", &[7; 9_000], false);
        assert!(waiting.is_full("loa-1", false) && waiting.is_full("loa-2", false));
        drop(body);
        assert!(waiting.is_full("loa-1", false), "a piece of it is still held");
        drop(queued);
        assert!(!waiting.is_full("loa-1", false));
        drop(more);
        assert_eq!(waiting.bytes(), 0);
    }

    #[test]
    fn one_device_does_not_take_the_room_of_the_others() {
        let waiting = Waiting::new(1 << 30, 2);
        let body = vec![0; limits::BATCH_BYTES];
        let all: Vec<_> = (0..17).map(|_| waiting.count("loa-1", &body, false)).collect();
        assert!(waiting.is_full("loa-1", false) && !waiting.is_full("loa-2", false));
        drop(all);
        assert!(!waiting.is_full("loa-1", false));
    }

    #[test]
    fn what_is_kept_for_good_takes_no_room_of_what_waits() {
        let waiting = Waiting::new(10_000, 2);
        let state = |id: &str| waiting.count(id, &[0; limits::STATE_BYTES], true);
        let mut kept = vec![state("loa-1"), state("loa-2")];
        assert_eq!(waiting.bytes(), 0);
        assert!(!waiting.is_full("loa-1", true));
        kept.extend((0..4).map(|_| state("loa-1")));
        assert!(waiting.is_full("loa-1", true) && !waiting.is_full("loa-1", false));
    }

    #[test]
    fn devices_of_whom_nothing_is_held_are_forgotten() {
        let waiting = Waiting::new(1 << 30, 2);
        let kept = waiting.count("loa-0", b"x", false);
        for n in 1..5_000 {
            drop(waiting.count(&format!("loa-{n}"), b"x", false));
        }
        assert!(waiting.devices.lock().unwrap().by_id.len() <= SOME + 1);
        drop(kept);
        assert_eq!(waiting.of("loa-0").load(Ordering::Relaxed), 0);
    }
}

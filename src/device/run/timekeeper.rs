//! The device's clock: what [`Trust`] says of the machine's clocks, for the loop and the output.

use crate::clock::{Clock, SharedClock, Sleep};
use crate::device::disk;
use crate::device::executor::{Moment, Time};
use crate::device::pace::Pace;
use crate::device::trust::{ClockMode, Machine, Reading, Saved, Timing, Trust, Untaken};
use crate::domain::proof::record::Body;
use crate::domain::time::UtcMs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// A change of the clock that is worth a record.
const STEP_MS: i64 = 500;

/// UTC as the device believes it, running on the clock that never steps.
#[derive(Debug)]
pub struct DeviceClock {
    base: BaseClock,
    /// UTC minus the clock that never steps.
    offset_ms: AtomicI64,
}

struct BaseClock(SharedClock);

impl std::fmt::Debug for BaseClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BaseClock")
    }
}

impl Clock for DeviceClock {
    fn now(&self) -> UtcMs {
        UtcMs(self.offset_ms.load(Ordering::Acquire)).plus(self.base.0.mono_ms())
    }

    fn mono_ms(&self) -> i64 {
        self.base.0.mono_ms()
    }

    fn sleep(&self, ms: i64) -> Sleep {
        self.base.0.sleep(ms)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Timekeeper {
    trust: Trust,
    clock: Arc<DeviceClock>,
    file: PathBuf,
    timing: Timing,
    /// The TLS side of the link does not judge dates before this is true.
    trusted: Arc<AtomicBool>,
    saved_mono: i64,
    /// How often a higher `iat` is written.
    pace: Pace,
}

impl Timekeeper {
    /// Returns the clock as the last run left it.
    pub fn open(dir: &Path, mode: ClockMode, ppm: u32, base: SharedClock) -> Self {
        let file = dir.join("trust.json");
        let saved = disk::read_json::<Saved>(&file).unwrap_or_default();
        let reading = read(&base);
        let trust = Trust::new(mode, ppm, machine(), saved, &reading);
        let timing = trust.read(&reading);
        let clock = Arc::new(DeviceClock {
            base: BaseClock(base),
            offset_ms: AtomicI64::new(timing.utc.0.saturating_sub(reading.mono_ms)),
        });
        let trusted = Arc::new(AtomicBool::new(timing.time == Time::Fit));
        let (saved_mono, pace) = (reading.mono_ms, Pace::default());
        Self { trust, clock, file, timing, trusted, saved_mono, pace }
    }

    /// Returns the clock for outputs.
    pub fn clock(&self) -> SharedClock {
        Arc::clone(&self.clock) as SharedClock
    }

    /// Returns the flag that says whether dates may be judged.
    pub fn trusted(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.trusted)
    }

    /// Returns the time as last read.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// Returns this instant on both clocks.
    pub fn moment(&self) -> Moment {
        Moment { utc: self.clock.now(), mono_ms: self.clock.mono_ms() }
    }

    /// Returns trusted time, if there is any.
    pub fn trusted_now(&self) -> Option<UtcMs> {
        (self.timing.time == Time::Fit).then(|| self.clock.now())
    }

    /// Reads the clocks anew; returns the record of a step, and the new quality if it changed.
    pub fn look(&mut self) -> (Option<Body>, Option<Time>) {
        let reading = read(&self.clock.base.0);
        let old_ms = self.clock.now();
        let before = self.timing.time;
        self.timing = self.trust.read(&reading);
        let new_ms = self.timing.utc;
        self.clock.offset_ms.store(new_ms.0.saturating_sub(reading.mono_ms), Ordering::Release);
        self.trusted.store(self.timing.time == Time::Fit, Ordering::Release);
        let stepped = new_ms.since(old_ms).saturating_abs() > STEP_MS;
        let step = stepped.then_some(Body::Clock { old_ms, new_ms });
        let hour = reading.mono_ms.saturating_sub(self.saved_mono) > 3_600_000;
        if hour || self.pace.is_due(reading.mono_ms) {
            self.save();
        }
        (step, (before != self.timing.time).then_some(self.timing.time))
    }

    /// Takes the server's answer.
    pub fn answer(&mut self, now_ms: UtcMs, asked_mono: i64) -> Result<(), Untaken> {
        let reading = read(&self.clock.base.0);
        self.trust.answer(now_ms, asked_mono, &reading)?;
        self.save();
        Ok(())
    }

    /// Takes note of a signed `iat`.
    pub fn signed_at(&mut self, iat: i64) {
        let higher = self.trust.signed_at(UtcMs::from_numeric_date(iat));
        if higher && self.pace.change(self.clock.mono_ms()) {
            self.save();
        }
    }

    /// Says whether the server should be asked.
    pub fn wants_answer(&self) -> bool {
        self.trust.wants_answer(&read(&self.clock.base.0))
    }

    /// Keeps what must survive a restart.
    pub fn save(&mut self) {
        let reading = read(&self.clock.base.0);
        self.saved_mono = reading.mono_ms;
        if let Err(error) = disk::write_json(&self.file, &self.trust.save(&reading)) {
            tracing::warn!(path = %self.file.display(), %error, "Cannot keep the time");
        }
    }
}

/// Says whether this machine follows an NTP server.
pub fn follows_ntp() -> bool {
    // The mark that systemd's NTP client leaves once it follows a server.
    Path::new("/run/systemd/timesync/synchronized").exists()
}

fn read(base: &SharedClock) -> Reading {
    let ntp = follows_ntp();
    Reading { wall: base.now(), mono_ms: base.mono_ms(), uptime_ms: base.uptime_ms(), ntp }
}

fn machine() -> Machine {
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let rtc = Path::new("/sys/class/rtc/rtc0").exists();
    Machine { boot_id: boot_id.trim().to_owned(), rtc }
}

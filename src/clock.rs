//! The one place that reads a clock. Pure code is handed `now` as a value; only loops own one.

use crate::domain::time::UtcMs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Wall clock and monotonic clock of a loop.
pub trait Clock: Send + Sync {
    /// Returns the wall clock.
    fn now(&self) -> UtcMs;
    /// Returns milliseconds on a clock that never steps, from an arbitrary origin.
    fn mono_ms(&self) -> i64;
    /// Returns the wall clock in microseconds, for what must be placed to the sample.
    fn now_us(&self) -> i64 {
        self.now().0.saturating_mul(1000)
    }
    /// Returns the clock that never steps in microseconds, of the same origin as `mono_ms`.
    fn mono_us(&self) -> i64 {
        self.mono_ms().saturating_mul(1000)
    }
}

/// A clock handed around.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's own clock.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// Returns the clock; its monotonic origin is this call.
    #[expect(clippy::disallowed_methods, reason = "the one place that may")]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that may")]
    fn now(&self) -> UtcMs {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => UtcMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
            Err(before) => UtcMs(-i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX)),
        }
    }

    fn mono_ms(&self) -> i64 {
        i64::try_from(self.origin.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that may")]
    fn now_us(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
        }
    }

    fn mono_us(&self) -> i64 {
        i64::try_from(self.origin.elapsed().as_micros()).unwrap_or(i64::MAX)
    }
}

/// A clock that moves only when told to: for tests and rehearsals.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: AtomicI64,
    mono: AtomicI64,
}

impl ManualClock {
    /// Returns a clock that stands at `now`.
    pub fn new(now: UtcMs) -> Self {
        Self { now: AtomicI64::new(now.0), mono: AtomicI64::new(0) }
    }

    /// Lets time pass.
    pub fn pass(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
        self.mono.fetch_add(ms, Ordering::SeqCst);
    }

    /// Sets the wall clock, as a person or NTP would; the monotonic clock stays.
    pub fn set(&self, now: UtcMs) {
        self.now.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UtcMs {
        UtcMs(self.now.load(Ordering::SeqCst))
    }

    fn mono_ms(&self) -> i64 {
        self.mono.load(Ordering::SeqCst)
    }
}

//! The one place that reads a clock. Pure code is handed `now` as a value; only loops own one.

use crate::domain::time::UtcMs;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// A wait, to be awaited.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

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
    /// Returns milliseconds since this machine was started, asleep or not, where that is known: what
    /// tells how long a program was away, whatever was done to the wall clock meanwhile.
    fn uptime_ms(&self) -> Option<i64> {
        None
    }
    /// Waits for so many milliseconds of the clock that never steps.
    fn sleep(&self, ms: i64) -> Sleep;
}

impl std::fmt::Debug for dyn Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock(..)")
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

    fn uptime_ms(&self) -> Option<i64> {
        let text = std::fs::read_to_string("/proc/uptime").ok()?;
        let (seconds, more) = text.split_whitespace().next()?.split_once('.')?;
        let hundredths: i64 = more.get(..2)?.parse().ok()?;
        seconds.parse::<i64>().ok()?.checked_mul(1000)?.checked_add(hundredths * 10)
    }

    fn sleep(&self, ms: i64) -> Sleep {
        let wait = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        Box::pin(tokio::time::sleep(wait))
    }
}

/// A clock that moves only when told to: for tests and rehearsals.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: AtomicI64,
    mono: watch::Sender<i64>,
    waits: Arc<Waits>,
}

/// Until when those wait who wait, by a number of their own.
#[derive(Debug, Default)]
struct Waits {
    known: Mutex<(u64, BTreeMap<u64, i64>)>,
}

impl Waits {
    fn edit<T>(&self, edit: impl FnOnce(&mut (u64, BTreeMap<u64, i64>)) -> T) -> T {
        edit(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One who waits; forgotten when dropped.
struct Wait {
    waits: Arc<Waits>,
    number: u64,
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.waits.edit(|(_, known)| known.remove(&self.number));
    }
}

impl ManualClock {
    /// Returns a clock that stands at `now`.
    pub fn new(now: UtcMs) -> Self {
        Self { now: AtomicI64::new(now.0), ..Self::default() }
    }

    /// Lets time pass, and wakes those whose wait is over.
    pub fn pass(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
        self.mono.send_modify(|mono| *mono = mono.saturating_add(ms));
    }

    /// Sets the wall clock, as a person or NTP would; the monotonic clock stays.
    pub fn set(&self, now: UtcMs) {
        self.now.store(now.0, Ordering::SeqCst);
    }

    /// Returns the instants of the clock that never steps for which somebody waits, in order. One
    /// that is not above [`Clock::mono_ms`] belongs to somebody who has not looked yet.
    pub fn waits(&self) -> Vec<i64> {
        let mut until: Vec<i64> = self.waits.edit(|(_, known)| known.values().copied().collect());
        until.sort_unstable();
        until
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UtcMs {
        UtcMs(self.now.load(Ordering::SeqCst))
    }

    fn mono_ms(&self) -> i64 {
        *self.mono.borrow()
    }

    fn sleep(&self, ms: i64) -> Sleep {
        let mut mono = self.mono.subscribe();
        let until = self.mono_ms().saturating_add(ms.max(0));
        let number = self.waits.edit(|(last, known)| {
            *last += 1;
            known.insert(*last, until);
            *last
        });
        let wait = Wait { waits: Arc::clone(&self.waits), number };
        Box::pin(async move {
            let _wait = wait;
            if mono.wait_for(|mono| *mono >= until).await.is_err() {
                // The clock is gone: nothing moves it any more.
                std::future::pending::<()>().await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn a_wait_on_a_told_clock_ends_when_time_has_passed_and_not_when_the_clock_is_set() {
        let clock = ManualClock::new(UtcMs(1_000));
        let mut wait = clock.sleep(200);
        let dropped = clock.sleep(50);
        assert_eq!(clock.waits(), [50, 200]);
        drop(dropped);
        let mut look = || wait.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(look(), Poll::Pending);
        clock.set(UtcMs(90_000));
        clock.pass(199);
        assert_eq!(look(), Poll::Pending);
        assert_eq!(clock.waits(), [200]);
        clock.pass(1);
        assert_eq!(look(), Poll::Ready(()));
        drop(wait);
        assert_eq!((clock.waits(), clock.mono_ms(), clock.now()), (vec![], 200, UtcMs(90_200)));
    }
}

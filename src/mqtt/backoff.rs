//! How long to wait before the next attempt: exponential with full jitter, so that ten thousand
//! devices do not come back in the same second after a power cut.

use std::time::Duration;

/// The waits of one client. Pure: randomness is handed in.
#[derive(Clone, Debug)]
pub struct Backoff {
    shortest: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Returns waits that grow from `shortest` to `longest`.
    pub fn new(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest: longest.max(shortest), failures: 0 }
    }

    /// Returns the next wait: anything up to a bound that doubles with each failure.
    pub fn next(&mut self, random: u64) -> Duration {
        let bound = self.shortest.saturating_mul(1 << self.failures.min(20)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        let bound = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX - 1);
        Duration::from_millis(random % (bound + 1))
    }

    /// Takes note of a connection that stood: the next wait is short again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_a_second_to_five_minutes_and_fill_the_whole_range() {
        let mut waits = Backoff::new(Duration::from_secs(1), Duration::from_mins(5));
        for bound in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300] {
            let most = waits.clone().next(bound * 1_000);
            assert_eq!(most, Duration::from_secs(bound));
            assert_eq!(waits.next(0), Duration::ZERO);
        }
        waits.reset();
        assert_eq!(waits.next(1_001), Duration::ZERO, "1,001 wraps at one second");
        for _ in 0..100 {
            assert!(waits.next(u64::MAX) <= Duration::from_mins(5));
        }
    }
}

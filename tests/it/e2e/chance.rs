//! Choices of a run that can be had again: the seed is printed and may be given.

use loa::clock::{Clock as _, SystemClock};

/// SplitMix64: enough to choose moments.
pub struct Chance(u64);

impl Chance {
    /// Begins with `LOA_SEED`, or with the time.
    pub fn new() -> Self {
        let seed = std::env::var("LOA_SEED").ok().and_then(|s| s.parse().ok());
        let seed = seed.unwrap_or_else(|| SystemClock::new().now().0.unsigned_abs());
        eprintln!("LOA_SEED={seed}");
        Self(seed)
    }

    /// Returns another generator that goes its own way.
    pub fn split(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below the bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Is true once in so many times.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

//! How often a small file is written: a stolen key can order without end, and a flash wears out.
//! Pure.
//!
//! Up to [`AT_ONCE`] times an hour it is written at once, as people order; beyond that once in
//! [`AGAIN_MS`]. What waits is obeyed all the same; a cut of power within that minute costs the
//! memory of it, until the retained document comes again.

use std::collections::VecDeque;

const AT_ONCE: usize = 40;
const AGAIN_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Pace {
    /// When it was written in the last hour, on the clock that never steps.
    times: VecDeque<i64>,
    waits: bool,
}

impl Pace {
    /// Says whether a change is written now; if not it waits for [`Pace::is_due`].
    pub fn change(&mut self, mono_ms: i64) -> bool {
        while self.times.front().is_some_and(|at| mono_ms.saturating_sub(*at) >= HOUR_MS) {
            self.times.pop_front();
        }
        let again = |at: &i64| mono_ms.saturating_sub(*at) >= AGAIN_MS;
        if self.times.len() >= AT_ONCE && !self.times.back().is_none_or(again) {
            self.waits = true;
            return false;
        }
        self.times.push_back(mono_ms);
        self.waits = false;
        true
    }

    /// Says whether something waits whose time has come.
    pub fn is_due(&mut self, mono_ms: i64) -> bool {
        self.waits && self.change(mono_ms)
    }

    /// Says whether something waits: the program ends.
    pub fn waits(&self) -> bool {
        self.waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_order_is_written_at_once_and_a_flood_once_a_minute() {
        let mut pace = Pace::default();
        assert!((0..AT_ONCE).all(|n| pace.change(i64::try_from(n).unwrap())));
        assert!(!pace.change(1_000) && pace.waits());
        assert!(!pace.is_due(30_000));
        assert!(pace.is_due(AGAIN_MS + 1_000) && !pace.waits());
        assert!(!pace.is_due(3 * AGAIN_MS), "nothing waits");
        // Ten changes a second for a day.
        let day = 24 * HOUR_MS;
        let written = (0..day / 100).filter(|n| pace.change(HOUR_MS + n * 100)).count();
        assert!(written <= 24 * (60 + AT_ONCE), "{written} times");
        assert!(pace.change(day + 3 * HOUR_MS), "and after it as before");
    }
}

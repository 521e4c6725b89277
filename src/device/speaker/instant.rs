//! Maps the wall clock and the output's frames to one monotonic time line, in microseconds.
//!
//! Both maps are medians over a short window: a single reading is as late as the thread was
//! scheduled, or comes from an output that had not yet counted the last block. A real change (a
//! stepped wall clock, an output that ran dry) shows in several readings in a row and is then
//! taken over at once.

use std::collections::VecDeque;

/// An offset between two clocks, from noisy readings.
#[derive(Clone, Debug, Default)]
pub struct Offset {
    readings: VecDeque<i64>,
    odd: u8,
    median: Option<i64>,
}

const WINDOW: usize = 31;
/// A reading further off belongs to another offset.
const JUMP_US: i64 = 8_000;
/// So many such readings in a row are believed.
const BELIEVED: u8 = 3;

impl Offset {
    /// Takes a reading.
    pub fn read(&mut self, offset_us: i64) {
        let is_odd = self.median.is_some_and(|m| m.abs_diff(offset_us) > JUMP_US.unsigned_abs());
        self.odd = if is_odd { self.odd + 1 } else { 0 };
        if self.odd >= BELIEVED {
            // Only the odd ones stay: they are the newest.
            let old = self.readings.len() - (usize::from(BELIEVED) - 1).min(self.readings.len());
            self.readings.drain(..old);
            self.odd = 0;
        }
        if self.readings.len() == WINDOW {
            self.readings.pop_front();
        }
        self.readings.push_back(offset_us);
        let mut sorted: Vec<i64> = self.readings.iter().copied().collect();
        sorted.sort_unstable();
        self.median = sorted.get(sorted.len() / 2).copied();
    }

    /// Returns the offset; zero before the first reading.
    pub fn us(&self) -> i64 {
        self.median.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_reading_changes_nothing_and_a_step_is_taken_over() {
        let mut offset = Offset::default();
        for n in 0..40 {
            offset.read(1_000_000 + n % 3);
        }
        offset.read(1_060_000);
        offset.read(1_000_001);
        assert!((1_000_000..1_000_003).contains(&offset.us()));
        for _ in 0..3 {
            offset.read(7_000_000);
        }
        assert_eq!(offset.us(), 7_000_000);
    }
}

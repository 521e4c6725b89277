//! The order of an occurrence's items, computable by anyone from what the playlist states.
//!
//! The generator is SplitMix64 (Steele, Lea, Flood 2014): state `s += 0x9E3779B97F4A7C15`, output
//! `z = s; z = (z ^ z>>30) · 0xBF58476D1CE4E5B9; z = (z ^ z>>27) · 0x94D049BB133111EB; z ^ z>>31`,
//! all modulo 2^64. It starts at `seed XOR nominal start in ms`. The shuffle goes from the last
//! place down to the second and swaps place `i` with place `output mod (i + 1)`. This is for ever:
//! a change would alter the evidence of what was planned.

use crate::domain::playlist::Order;
use crate::domain::time::UtcMs;

/// The generator; see above.
#[derive(Clone, Debug)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// Starts at a state.
    pub fn new(state: u64) -> Self {
        Self(state)
    }

    /// Returns the next output.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }
}

/// Puts the items of one occurrence in order. `number` counts the slot's occurrences.
pub(super) fn arrange<T>(items: &mut [T], order: Order, nominal: UtcMs, number: i64) {
    match order {
        Order::Sequence => {}
        Order::Shuffle { seed } => {
            let mut random = SplitMix64::new(seed ^ nominal.0.cast_unsigned());
            for place in (1..items.len()).rev() {
                let other = random.next_u64() % (place as u64 + 1);
                items.swap(place, usize::try_from(other).unwrap_or(place));
            }
        }
        Order::Rotate => {
            if let Ok(length @ 1..) = i64::try_from(items.len()) {
                items.rotate_left(usize::try_from(number.rem_euclid(length)).unwrap_or(0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_gives_its_published_numbers() {
        // First outputs of SplitMix64 for the state 1234567, as in the test data of other
        // implementations.
        let mut random = SplitMix64::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.next_u64()).collect();
        assert_eq!(
            first,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn a_shuffle_never_changes() {
        let mut items: Vec<u32> = (0..8).collect();
        arrange(&mut items, Order::Shuffle { seed: 7 }, UtcMs(1_796_094_000_000), 0);
        insta::assert_debug_snapshot!(items, @r"
        [
            1,
            2,
            3,
            4,
            5,
            7,
            0,
            6,
        ]
        ");
    }

    #[test]
    fn a_rotation_begins_one_further_each_time() {
        let turn = |number| {
            let mut items = ["a", "b", "c"];
            arrange(&mut items, Order::Rotate, UtcMs(0), number);
            items.concat()
        };
        assert_eq!(
            [turn(-1), turn(0), turn(1), turn(2), turn(3)],
            ["cab", "abc", "bca", "cab", "abc"]
        );
    }
}

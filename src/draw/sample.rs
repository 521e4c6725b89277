//! The draw: numbers without bias and without repetition out of a seed.

use super::ground::Seed;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// Plays of the longest draw: nobody walks to more.
pub const MOST_DRAWN: usize = 1_000;

/// Draws `wanted` plays (at most [`MOST_DRAWN`]) out of `plays`, by their numbers in the list, in
/// the order in which they were drawn; all of them where there are fewer.
///
/// The draw goes through SHA-256(seed ‖ 0x01 ‖ counter of 64 bits from 0) and takes the first 64
/// bits of each as a number, big-endian. Numbers from the largest multiple of `plays` up are passed
/// over, so that the rest of the division favours none; so are plays that were drawn before.
pub fn draw(seed: &Seed, plays: u64, wanted: usize) -> Vec<u64> {
    let most = usize::try_from(plays).unwrap_or(usize::MAX);
    let wanted = wanted.min(MOST_DRAWN).min(most);
    let mut drawn = Vec::with_capacity(wanted);
    let mut seen = BTreeSet::new();
    let mut counter: u64 = 0;
    while drawn.len() < wanted {
        let number = number(seed, counter);
        counter += 1;
        if let Some(play) = fair(number, plays)
            && seen.insert(play)
        {
            drawn.push(play);
        }
    }
    drawn
}

fn number(seed: &Seed, counter: u64) -> u64 {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(seed.0)
        .chain_update([1])
        .chain_update(counter.to_be_bytes())
        .finalize()
        .into();
    hash.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Returns the remainder, or `None` where it would favour the lower ones.
pub(super) fn fair(number: u64, plays: u64) -> Option<u64> {
    let over = (1_u128 << 64) % u128::from(plays.max(1));
    let limit = (1_u128 << 64) - over;
    (plays > 0 && u128::from(number) < limit).then(|| number % plays)
}

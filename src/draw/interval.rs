//! How far a share found in a draw may be from the true one.
//!
//! The interval of Clopper and Pearson at 95 %: the true share lies outside it in at most one draw
//! of twenty, whatever the share and however few the plays.
//!
//! # Why this one
//! Wilson's is narrower, and misses more often than it says for some shares near 0 and 1, which
//! are the usual ones here (Brown, Cai, DasGupta, Interval Estimation for a Binomial Proportion,
//! Statistical Science 16, 2001). A number that accuses somebody should not be lucky. Plays are
//! drawn without repetition, which makes the interval wider than needed, never too narrow.
//!
//! Computed by bisection over sums of products: addition, multiplication and division of IEEE 754
//! doubles only, so that all machines round alike; no tables of a mathematical library.

use serde::Serialize;

/// A share with its interval, in ten-thousandths: the bounds are rounded outward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Interval {
    /// The share found, rounded to the nearest.
    pub share_per_10k: u32,
    pub low_per_10k: u32,
    pub high_per_10k: u32,
}

/// Half of what the interval may miss.
const TAIL: f64 = 0.025;
/// Halvings: more than a double's 53 digits need.
const STEPS: u32 = 64;

impl Interval {
    /// Returns the interval of `hits` in `tries`; `None` without tries, or with more hits.
    pub fn of(hits: u32, tries: u32) -> Option<Self> {
        let (low, high) = bounds(hits, tries)?;
        let share = u64::from(hits) * 20_000 / u64::from(tries);
        let out = |bound: f64| round(bound.clamp(0.0, 1.0) * 10_000.0);
        Some(Self {
            share_per_10k: u32::try_from(share.div_ceil(2)).unwrap_or(10_000),
            low_per_10k: out(low).0,
            high_per_10k: out(high).1,
        })
    }
}

/// Rounds a number from 0 to 10,000 down and up.
fn round(number: f64) -> (u32, u32) {
    let (mut low, mut high) = (0_u32, 10_000_u32);
    while high - low > 1 {
        let middle = u32::midpoint(low, high);
        if f64::from(middle) <= number { low = middle } else { high = middle }
    }
    // Both ends may be met exactly.
    match number {
        n if n <= 0.0 => (0, 0),
        n if n >= 10_000.0 => (10_000, 10_000),
        n if n <= f64::from(low) => (low, low),
        _ => (low, high),
    }
}

/// Returns the two bounds as shares.
pub(super) fn bounds(hits: u32, tries: u32) -> Option<(f64, f64)> {
    if tries == 0 || hits > tries {
        return None;
    }
    let low = match hits {
        0 => 0.0,
        // So many hits or more are rarer the lower the true share.
        _ => bisect(|share| at_least(hits, tries, share) < TAIL),
    };
    let high = match tries - hits {
        0 => 1.0,
        // So few hits are rarer the higher the true share.
        _ => bisect(|share| at_least(hits + 1, tries, share) <= 1.0 - TAIL),
    };
    Some((low, high))
}

/// Finds the share up to which `below` holds.
fn bisect(below: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..STEPS {
        let middle = f64::midpoint(low, high);
        if below(middle) { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// Returns how likely `least` hits or more are in so many tries of one chance.
fn at_least(least: u32, tries: u32, chance: f64) -> f64 {
    if chance <= 0.0 || chance >= 1.0 {
        return if chance >= 1.0 || least == 0 { 1.0 } else { 0.0 };
    }
    // Terms relative to that of the likeliest number, so that none is too small to count.
    let odds = chance / (1.0 - chance);
    let likeliest = likeliest(tries, chance);
    let (mut all, mut above) = (1.0, f64::from(u8::from(likeliest >= least)));
    let mut term = 1.0;
    for hits in likeliest..tries {
        term *= f64::from(tries - hits) / f64::from(hits + 1) * odds;
        all += term;
        above += if hits + 1 >= least { term } else { 0.0 };
    }
    term = 1.0;
    for hits in (1..=likeliest).rev() {
        term *= f64::from(hits) / f64::from(tries - hits + 1) / odds;
        all += term;
        above += if hits > least { term } else { 0.0 };
    }
    above / all
}

/// Returns the likeliest number of hits, or one beside it: the terms only need a large one.
fn likeliest(tries: u32, chance: f64) -> u32 {
    let expected = f64::from(tries) * chance;
    let (mut low, mut high) = (0, tries);
    while low < high {
        let middle = u32::midpoint(low, high);
        if f64::from(middle) < expected { low = middle + 1 } else { high = middle }
    }
    low
}

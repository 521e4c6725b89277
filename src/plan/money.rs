//! Money of plans: whole đồng.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

/// An amount of đồng.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Dong(pub u64);

/// A text that is no amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an amount of đồng")]
pub struct MoneyError {
    pub text: String,
}

impl MoneyError {
    /// Says what a right one looks like.
    pub fn hint(&self) -> &'static str {
        "whole đồng, with or without dots between the thousands: `742.000.000` or `742000000`"
    }
}

impl Dong {
    /// The largest amount: a thousand times the state's yearly budget.
    pub const MAX: Self = Self(1_000_000_000_000_000_000);

    /// Returns how far the two are apart.
    pub fn apart(self, other: Self) -> Self {
        Self(self.0.abs_diff(other.0))
    }

    /// Returns so many times the amount.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }
}

impl Sum for Dong {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        Self(amounts.fold(0, |sum, amount| sum.saturating_add(amount.0)))
    }
}

impl FromStr for Dong {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let refuse = || MoneyError { text: text.chars().take(40).collect() };
        let amount = text.trim_end_matches(['đ', ' ']);
        let mut groups = amount.split('.');
        let first = groups.next().unwrap_or_default();
        let rest: Vec<&str> = groups.collect();
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        // Dots part thousands here: `7.5` is neither seven and a half nor seventy-five.
        let grouped = rest.is_empty() || first.len() <= 3;
        if !digits(first) || !grouped || !rest.iter().all(|part| part.len() == 3 && digits(part)) {
            return Err(refuse());
        }
        let number: u64 =
            std::iter::once(first).chain(rest).collect::<String>().parse().map_err(|_| refuse())?;
        if number > Self::MAX.0 { Err(refuse()) } else { Ok(Self(number)) }
    }
}

impl fmt::Display for Dong {
    /// Writes `742.000.000 đ`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str(".")?;
            }
            write!(f, "{digit}")?;
        }
        f.write_str(" đ")
    }
}

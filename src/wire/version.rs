//! Versions of what a server says: a restored server is above its past by itself.

use crate::domain::time::UtcMs;

/// Returns the next `ver`: max(last + 1, the server's clock in milliseconds).
pub fn next(last: Option<i64>, now: UtcMs) -> i64 {
    last.map_or(now.0, |last| now.0.max(last.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_follow_the_clock_and_never_fall_behind_the_last() {
        assert_eq!(next(None, UtcMs(1_000)), 1_000);
        assert_eq!(next(Some(7), UtcMs(1_000)), 1_000);
        assert_eq!(next(Some(1_000), UtcMs(1_000)), 1_001);
        assert_eq!(next(Some(5_000), UtcMs(1_000)), 5_001);
    }
}

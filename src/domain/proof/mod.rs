//! Evidence: records as devices sign them, chains, outcomes.

pub mod chain;
pub mod outcome;
pub mod record;

/// A record whose time is enclosed less tightly than two beats is late: a device that beats and is
/// heard quotes a newer checkpoint within that time.
pub const LATE_MS: i64 = outcome::SILENCE_MS;

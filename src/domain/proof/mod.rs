//! Evidence: records as devices sign them, chains, outcomes.

pub mod chain;
pub mod outcome;
pub mod record;

//! Evidence: records as devices sign them, chains, outcomes.

pub mod record;

//! What several behaviours need: brokers to run against, waiting on conditions.

pub mod brokers;
pub mod cli;
pub mod clips;
pub mod hostile;
pub mod mosquitto;
pub mod pulse;
pub mod storm;
pub mod tsa;
pub mod wait;

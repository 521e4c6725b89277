//! What runs at the edge.

#[cfg(feature = "board")]
pub mod board;
pub mod disk;
pub mod executor;
pub mod fetch;
pub mod floor;
pub mod ledger;
#[cfg(feature = "speaker")]
pub mod player;
#[cfg(feature = "speaker")]
pub mod speaker;

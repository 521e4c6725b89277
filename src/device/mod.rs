//! What runs at the edge.

#[cfg(feature = "board")]
pub mod board;
pub mod executor;
pub mod fetch;
pub mod floor;
#[cfg(feature = "speaker")]
pub mod player;
#[cfg(feature = "speaker")]
pub mod speaker;

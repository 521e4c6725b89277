//! What runs at the edge.

#[cfg(feature = "board")]
pub mod board;
pub mod fetch;
#[cfg(feature = "speaker")]
pub mod player;

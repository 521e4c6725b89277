//! What runs at the edge.

#[cfg(feature = "board")]
pub mod board;
#[cfg(feature = "speaker")]
pub mod player;

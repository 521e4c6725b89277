//! What runs at the edge.

#[cfg(feature = "speaker")]
pub mod player;

//! The loudspeaker's sound path: decode ahead, resample, place in time, mix gains, hand out.
//!
//! ```text
//! feed (thread per play) ──blocks──► timeline ◄──asked for frames── sink (sound card, null, wav)
//!   decode, resample                  where each sample belongs
//! ```
//! The sink asks for frames and says at which instant the first of them will leave the output;
//! the timeline puts each sample of a clip where it belongs. So a start falls on its sample
//! whatever the output's buffer, a play that comes late joins at the right place, and a gap in
//! decoding leaves a hole instead of shifting the rest.
//!
//! Invariants: sample `k` of a clip leaves at `at + (k − offset)` or never; one play sounds at a
//! time; every play gets exactly one last event; samples are counted when they are handed out.

pub mod feed;
pub mod instant;
pub mod sink;
pub mod timeline;

/// Sound is handed to outputs in stereo.
pub const CHANNELS: usize = 2;
/// Clips are decoded at most so far ahead.
pub const AHEAD_MS: u64 = 5_000;

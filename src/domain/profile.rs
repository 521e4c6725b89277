//! What a hardware model can do: outputs, codecs, size, storage, clock.
//!
//! Foreign dialects come later; a profile here describes devices that speak our contract.

use super::ids::ProfileId;

/// A device profile as accepted from `device-profiles/*.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its id: the file's name.
    pub id: ProfileId,
    /// Maker and model for people.
    pub title: String,
    /// The loudspeaker output, if any.
    pub speaker: Option<SpeakerProfile>,
    /// The board output, if any.
    pub board: Option<BoardProfile>,
    /// Bytes for assets; assets that nothing names go first when space is short.
    pub storage_bytes: u64,
    /// Largest day sheet the device holds, at most 65,536 bytes.
    pub sheet_bytes: u32,
    /// Chunk size in KiB: 32 unless stated, 16 where it cannot hold more, or 64.
    pub chunk_kib: u32,
    /// Drift of its clock in parts per million; 50 unless measured.
    pub clock_ppm: u32,
}

/// A loudspeaker output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeakerProfile {
    /// Media types it decodes.
    pub codecs: Vec<String>,
    /// Longest clip in milliseconds.
    pub longest_ms: i64,
}

/// A board output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardProfile {
    /// Width in pixels, 16..=1024.
    pub width_px: u32,
    /// Height in pixels, 8..=256.
    pub height_px: u32,
    /// Colours it can show, e.g. `red`; empty for monochrome.
    pub colours: Vec<String>,
    /// Fonts it has, first the default.
    pub fonts: Vec<String>,
    /// Pixels per second of scrolling text.
    pub scroll_px_s: u32,
}

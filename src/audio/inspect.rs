//! What ingest says of an audio file.

use crate::domain::ids::Digest;
use crate::domain::station::AssetFacts;
use serde::Serialize;
use std::collections::BTreeMap;

/// Points of the peak curve.
pub const PEAK_POINTS: usize = 1000;

/// How large and long a clip may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest file in bytes.
    pub max_bytes: u64,
    /// Longest duration in milliseconds.
    pub max_ms: i64,
}

impl Default for Limits {
    /// 512 MiB and four hours: an hour of stereo WAV at 48 kHz is 660 MB, but nobody should push
    /// that to a loudspeaker over a village's line.
    fn default() -> Self {
        Self { max_bytes: 512 * 1024 * 1024, max_ms: 4 * 3600 * 1000 }
    }
}

/// One file as `loa inspect --json` shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// The path as given.
    pub file: String,
    /// Whether it may be used.
    pub ok: bool,
    /// Why not, with the remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What is wrong but can be lived with, and where.
    pub warnings: Vec<String>,
    /// What was measured; absent when the file was refused before it could be.
    #[serde(flatten)]
    pub measured: Option<Measured>,
}

/// The figures of a clip. What cannot be measured is null.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// SHA-256 of the untouched bytes.
    pub sha256: Digest,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// Container: `mp3`, `m4a`, `wav`, `flac`, `ogg`, …
    pub format: String,
    /// Codec: `mp3`, `aac-lc`, `pcm-s16`, `flac`, `vorbis`, …
    pub codec: String,
    /// Channels, 1 or 2.
    pub channels: u32,
    /// Samples a second and channel.
    pub sample_rate_hz: u32,
    /// From decoded samples, rounded up.
    pub duration_ms: i64,
    /// Integrated loudness (EBU R 128); null below 400 ms or when nothing passes the gate.
    pub integrated_lufs: Option<f64>,
    /// Loudness range (EBU Tech 3342).
    pub loudness_range_lu: Option<f64>,
    /// True peak (BS.1770, four-fold oversampled).
    pub true_peak_dbtp: Option<f64>,
    /// Silence before the first sound.
    pub silence_head_ms: i64,
    /// Silence after the last sound.
    pub silence_tail_ms: i64,
    /// Gain to −16 LUFS under a ceiling of −1 dBTP, in centibel.
    pub gain_cb: i64,
    /// Title from the tags, NFC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The file made by conversion, when one was asked for; the figures above are its figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub converted: Option<Converted>,
    /// Largest absolute sample of each thousandth of the clip, 0 to 1, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peaks: Option<Vec<f32>>,
    /// Chunk sums for the day sheet, by chunk size in KiB.
    #[serde(skip)]
    pub sums: BTreeMap<String, Digest>,
    /// `audio/mpeg`, `audio/mp4`, `audio/wav`, `audio/flac`, `audio/ogg`.
    #[serde(skip)]
    pub media_type: &'static str,
    /// The file's name without its ending, NFC: the title of a clip without tags.
    #[serde(skip)]
    pub stem: String,
}

/// A file made from another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Converted {
    /// Where it is.
    pub file: String,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
}

impl Inspection {
    /// Returns what a day sheet says of the clip; `None` when it was refused or is a conversion.
    pub fn facts(&self) -> Option<AssetFacts> {
        let measured = self.measured.as_ref().filter(|m| self.ok && m.converted.is_none())?;
        Some(AssetFacts {
            sha256: measured.sha256,
            bytes: measured.bytes,
            media_type: measured.media_type.to_owned(),
            ms: measured.duration_ms,
            gain_cb: measured.gain_cb,
            lufs_cb: measured.integrated_lufs.map_or(LUFS_FLOOR_CB, centibel),
            sums: measured.sums.clone(),
            title: measured.title.clone().unwrap_or_else(|| measured.stem.clone()),
        })
    }
}

/// Loudness of a clip too short to be measured: the absolute gate of BS.1770.
const LUFS_FLOOR_CB: i64 = -700;

/// Returns decibels as whole centibel; figures beyond ±1,000 dB are clamped.
#[expect(clippy::cast_possible_truncation, reason = "clamped to ±10,000 just before")]
pub fn centibel(db: f64) -> i64 {
    (db * 10.0).round().clamp(-10_000.0, 10_000.0) as i64
}

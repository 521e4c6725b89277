//! What ingest says of an audio file.
//!
//! Two passes over the file, both streamed: its name (hashes), then its sound.

use super::decode::Decoder;
use super::identify::{self, Known};
use super::measure::{Figures, Meter};
use super::refusal::Refusal;
use crate::domain::chunk::{AssetHasher, AssetName, ChunkSize, MOST};
use crate::domain::ids::Digest;
use crate::domain::station::AssetFacts;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use unicode_normalization::UnicodeNormalization as _;

/// Points of the peak curve.
pub const PEAK_POINTS: usize = 1000;

/// Damaged places that are told one by one.
const MOST_PLACES: usize = 20;

/// How large and long a clip may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest file in bytes.
    pub max_bytes: u64,
    /// Longest duration in milliseconds.
    pub max_ms: i64,
}

impl Default for Limits {
    /// 128 MiB, as many chunks of the usual size as an asset may have, and four hours: an hour of
    /// MP3 has 60 MB at most; nobody should push stereo WAV of that length over a village's line.
    fn default() -> Self {
        Self { max_bytes: ChunkSize::USUAL.bytes() as u64 * MOST, max_ms: 4 * 3600 * 1000 }
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

/// Says of a file whether and how it may be used. Never panics, whatever the bytes.
pub fn inspect(path: &Path, limits: &Limits) -> Inspection {
    let file = path.to_string_lossy().into_owned();
    match measure(path, limits) {
        Ok((measured, warnings)) => {
            Inspection { file, ok: true, error: None, warnings, measured: Some(measured) }
        }
        Err(refusal) => Inspection::refused(file, &refusal),
    }
}

impl Inspection {
    /// Returns what is said of a refused file.
    pub fn refused(file: String, refusal: &Refusal) -> Self {
        let mut error = refusal.to_string();
        let mut cause = std::error::Error::source(refusal);
        while let Some(source) = cause {
            error = format!("{error}: {source}");
            cause = source.source();
        }
        let error = Some(format!("{error}; {}", refusal.hint()));
        Self { file, ok: false, error, warnings: Vec::new(), measured: None }
    }
}

/// Measures a file, or says why it is refused.
pub fn measure(path: &Path, limits: &Limits) -> Result<(Measured, Vec<String>), Refusal> {
    // The decoders are other people's; should one of them fall over a hostile file, the file is
    // refused and the process lives on. Nothing they held is used again.
    catch_unwind(AssertUnwindSafe(|| measure_file(path, limits)))
        .unwrap_or_else(|_| Err(Refusal::Broken { reason: "the decoder gave up on it".to_owned() }))
}

fn measure_file(path: &Path, limits: &Limits) -> Result<(Measured, Vec<String>), Refusal> {
    let unreadable = |source| Refusal::Unreadable { path: path.to_path_buf(), source };
    let about = std::fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() {
        return Err(Refusal::NotAFile { path: path.to_path_buf() });
    }
    if about.len() > limits.max_bytes {
        return Err(Refusal::TooLarge { bytes: about.len(), max_bytes: limits.max_bytes });
    }
    let mut file = File::open(path).map_err(unreadable)?;
    let name = hash(&mut file, limits.max_bytes).map_err(unreadable)?;
    if name.bytes == 0 {
        return Err(Refusal::Empty);
    }
    file.rewind().map_err(unreadable)?;
    let known = identify::identify(&mut file, name.bytes)?.map_err(unreadable)?;
    let gaps = identify::damage(&mut file, name.bytes, &known).map_err(unreadable)?;
    drop(file);
    let mut decoder = Decoder::new(path, &known)?;
    let mut meter = Meter::new(decoder.channels(), decoder.rate_hz());
    while let Some(block) = decoder.next_block()? {
        meter.add(block);
        if meter.duration_ms() > limits.max_ms {
            return Err(Refusal::TooLong { max_ms: limits.max_ms });
        }
    }
    let figures = meter.finish();
    let warnings = judge(&known, gaps, &decoder, &figures)?;
    let measured = Measured {
        sha256: name.sha256,
        bytes: name.bytes,
        format: known.format.to_owned(),
        codec: known.codec.to_owned(),
        channels: u32::try_from(decoder.channels()).unwrap_or(0),
        sample_rate_hz: decoder.rate_hz(),
        duration_ms: figures.duration_ms,
        integrated_lufs: figures.integrated_lufs.map(hundredths),
        loudness_range_lu: figures.loudness_range_lu.map(hundredths),
        true_peak_dbtp: figures.true_peak_dbtp.map(hundredths),
        silence_head_ms: figures.silence_head_ms,
        silence_tail_ms: figures.silence_tail_ms,
        gain_cb: figures.gain_cb,
        title: decoder.title().and_then(clean),
        converted: None,
        peaks: Some(figures.peaks),
        sums: name.sums,
        media_type: known.media_type,
        stem: path.file_stem().and_then(|stem| clean(&stem.to_string_lossy())).unwrap_or_default(),
    };
    Ok((measured, warnings))
}

/// Decides between refusal and warnings once everything is decoded.
fn judge(
    known: &Known,
    gaps: Vec<(i64, String)>,
    decoder: &Decoder,
    figures: &Figures,
) -> Result<Vec<String>, Refusal> {
    let (damage, damaged) = decoder.damage();
    let promised_ms = decoder.promised().map(|frames| {
        i64::try_from(frames.saturating_mul(1000) / u64::from(decoder.rate_hz()))
            .unwrap_or(i64::MAX)
    });
    let found_ms = figures.duration_ms;
    // Half of a clip is no clip; a little less than all is a warning.
    if let Some(promised_ms) = promised_ms.filter(|&promised| found_ms < promised / 2) {
        return Err(Refusal::Truncated { found_ms, promised_ms });
    }
    if found_ms == 0 {
        return Err(Refusal::NoSound);
    }
    if damaged * 4 > decoder.packets() {
        return Err(Refusal::Damaged { damaged, packets: decoder.packets() });
    }
    if !figures.sounds {
        return Err(Refusal::Silence { duration_ms: found_ms });
    }
    let mut warnings = known.warnings.clone();
    let damaged = damaged + gaps.len() as u64;
    let mut places = gaps;
    places.extend(damage.iter().map(|place| (place.at_ms, place.what.to_owned())));
    places.sort();
    for (at_ms, what) in places.iter().take(MOST_PLACES) {
        warnings.push(format!("damaged at {} and skipped: {what}", clock(*at_ms)));
    }
    let untold = damaged - places.len().min(MOST_PLACES) as u64;
    if untold > 0 {
        warnings.push(format!("{untold} more damaged places"));
    }
    match promised_ms {
        Some(promised) if found_ms < promised - 60 => warnings.push(format!(
            "ends at {} although the header promises {}",
            clock(found_ms),
            clock(promised)
        )),
        _ if decoder.is_cut_short() => {
            warnings.push(format!("the file breaks off at {}", clock(found_ms)));
        }
        _ => {}
    }
    if figures.integrated_lufs.is_none() {
        warnings.push("too short or too faint for a loudness figure".to_owned());
    }
    Ok(warnings)
}

fn hash(file: &mut File, max_bytes: u64) -> std::io::Result<AssetName> {
    let mut hasher = AssetHasher::new(&ChunkSize::ALL);
    let mut buffer = vec![0; 256 * 1024];
    // A file that grows while it is read ends at the limit.
    let mut file = file.take(max_bytes);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// Returns a text from outside as one NFC line of at most 200 characters; `None` when empty.
fn clean(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let line: String = words.join(" ").nfc().collect();
    let line: String = line.trim().chars().take(200).collect();
    (!line.is_empty()).then_some(line)
}

/// Writes a place in a clip as `minutes:seconds.milliseconds`.
fn clock(ms: i64) -> String {
    format!("{}:{:02}.{:03}", ms / 60_000, ms / 1000 % 60, ms % 1000)
}

fn hundredths(db: f64) -> f64 {
    (db * 100.0).round() / 100.0
}

/// Loudness of a clip too short to be measured: the absolute gate of BS.1770.
const LUFS_FLOOR_CB: i64 = -700;

/// Returns decibels as whole centibel; figures beyond ±1,000 dB are clamped.
#[expect(clippy::cast_possible_truncation, reason = "clamped to ±10,000 just before")]
pub fn centibel(db: f64) -> i64 {
    (db * 10.0).round().clamp(-10_000.0, 10_000.0) as i64
}

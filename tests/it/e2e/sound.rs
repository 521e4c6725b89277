//! Clips whose every instant sounds different, and what can be told from a recording of them.
//!
//! A chirp rises steadily in pitch. In a recording of it, the pitch tells which stretch of the
//! clip is heard: a stretch that sounds twice falls back in pitch.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "samples and their numbers are small"
)]

use std::f64::consts::PI;
use std::path::Path;

/// Samples a second of all clips made here.
pub const RATE: u32 = 16_000;
const LOW: f64 = 400.0;
const HIGH: f64 = 2_400.0;

/// Writes a chirp as WAV (16 bit, mono).
pub fn write_chirp(path: &Path, seconds: f64) {
    write_rise(path, seconds, LOW, HIGH);
}

/// Writes a tone that rises steadily from one pitch to another.
pub fn write_rise(path: &Path, seconds: f64, low: f64, high: f64) {
    let count = (seconds * f64::from(RATE)) as usize;
    let samples: Vec<i16> = (0..count)
        .map(|i| {
            let t = i as f64 / f64::from(RATE);
            let phase = 2.0 * PI * (low * t + (high - low) * t * t / (2.0 * seconds));
            (phase.sin() * 9_000.0) as i16
        })
        .collect();
    write_wav(path, &samples);
}

/// Writes 16-bit mono WAV.
pub fn write_wav(path: &Path, samples: &[i16]) {
    let bytes = u32::try_from(samples.len() * 2).unwrap();
    let mut out = Vec::with_capacity(44 + samples.len() * 2);
    out.extend_from_slice(b"RIFF");
    out.extend_from_slice(&(36 + bytes).to_le_bytes());
    out.extend_from_slice(b"WAVEfmt ");
    out.extend_from_slice(&16_u32.to_le_bytes());
    out.extend_from_slice(&1_u16.to_le_bytes());
    out.extend_from_slice(&1_u16.to_le_bytes());
    out.extend_from_slice(&RATE.to_le_bytes());
    out.extend_from_slice(&(RATE * 2).to_le_bytes());
    out.extend_from_slice(&2_u16.to_le_bytes());
    out.extend_from_slice(&16_u16.to_le_bytes());
    out.extend_from_slice(b"data");
    out.extend_from_slice(&bytes.to_le_bytes());
    for sample in samples {
        out.extend_from_slice(&sample.to_le_bytes());
    }
    std::fs::write(path, out).unwrap();
}

/// A recording, mixed to one channel.
pub struct Recording {
    pub rate: u32,
    pub samples: Vec<f64>,
}

impl Recording {
    /// Reads 16-bit WAV; a data chunk longer than the file (still being written) ends with it.
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(&bytes[..4], b"RIFF");
        let (mut at, mut rate, mut channels) = (12, 0, 1);
        loop {
            let name = &bytes[at..at + 4];
            let size = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
            let body = at + 8;
            if name == b"fmt " {
                channels = usize::from(u16::from_le_bytes([bytes[body + 2], bytes[body + 3]]));
                rate = u32::from_le_bytes(bytes[body + 4..body + 8].try_into().unwrap());
                let bits = u16::from_le_bytes([bytes[body + 14], bytes[body + 15]]);
                assert_eq!(bits, 16, "the sink writes 16 bits");
            }
            if name == b"data" {
                let end = (body + size).min(bytes.len());
                let samples = bytes[body..end]
                    .chunks_exact(2 * channels)
                    .map(|frame| {
                        let sum: f64 = frame
                            .chunks_exact(2)
                            .map(|s| f64::from(i16::from_le_bytes([s[0], s[1]])))
                            .sum();
                        sum / channels as f64 / 32_768.0
                    })
                    .collect();
                return Self { rate, samples };
            }
            at = body + size + size % 2;
        }
    }

    /// Stretches that sound, as (first, one past last) sample; pauses below 200 ms join.
    pub fn stretches(&self) -> Vec<(usize, usize)> {
        let block = self.rate as usize / 100;
        let mut found: Vec<(usize, usize)> = Vec::new();
        for (i, samples) in self.samples.chunks(block).enumerate() {
            let power = samples.iter().map(|s| s * s).sum::<f64>() / samples.len() as f64;
            if power.sqrt() < 0.003 {
                continue;
            }
            let (from, to) = (i * block, i * block + samples.len());
            match found.last_mut() {
                Some(last) if from - last.1 <= self.rate as usize / 5 => last.1 = to,
                _ => found.push((from, to)),
            }
        }
        found
    }

    /// The pitch every 50 ms of a stretch in hertz, from zero crossings.
    pub fn pitch(&self, (from, to): (usize, usize)) -> Vec<f64> {
        let window = self.rate as usize / 20;
        self.samples[from..to].chunks_exact(window).map(|w| self.pitch_of(w)).collect()
    }

    /// The pitch of some samples in hertz.
    pub fn pitch_of(&self, samples: &[f64]) -> f64 {
        let crossings = samples.windows(2).filter(|p| (p[0] < 0.0) != (p[1] < 0.0)).count() as f64;
        crossings * f64::from(self.rate) / (2.0 * samples.len() as f64)
    }

    /// How often the pitch falls back within a stretch: each time a chirp begins anew.
    pub fn falls(&self, stretch: (usize, usize)) -> usize {
        let pitch = self.pitch(stretch);
        // The last windows of a stretch hold silence; a fall there is its end.
        pitch.windows(2).filter(|p| p[1] > 200.0 && p[1] < p[0] - 150.0).count()
    }
}

#[test]
fn a_chirp_rises_and_a_repeated_stretch_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wav");
    write_chirp(&path, 2.0);
    let once = Recording::read(&path);
    assert_eq!(once.stretches().len(), 1);
    assert_eq!(once.falls(once.stretches()[0]), 0);
    let mut samples = once.samples.clone();
    samples.extend_from_slice(&once.samples[8_000..]);
    let twice = Recording { rate: RATE, samples };
    assert_eq!(twice.falls(twice.stretches()[0]), 1);
}

//! Figures of a clip while it streams by: loudness, true peak, silence, peak curve.
//!
//! Leaves decoding to `decode`. Memory does not grow with the clip but for the 100 ms energies
//! that the loudness norm asks for (some 80 bytes a second).

use super::inspect::{PEAK_POINTS, centibel};
use ebur128::{EbuR128, Mode};

/// Below this a sample counts as silence: −60 dBFS.
const SILENCE: f32 = 0.001;
/// Loudness that clips are brought to, LUFS.
const TARGET_LUFS: f64 = -16.0;
/// Ceiling of the true peak, dBTP.
const CEILING_DBTP: f64 = -1.0;
/// No clip is raised by more: what is so faint is noise.
const MOST_GAIN_CB: i64 = 400;

/// The meter of one clip.
pub struct Meter {
    ebu: Option<EbuR128>,
    rate_hz: u32,
    channels: usize,
    frames: u64,
    first_sound: Option<u64>,
    last_sound: u64,
    curve: Curve,
}

/// What the meter read.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    pub duration_ms: i64,
    pub integrated_lufs: Option<f64>,
    pub loudness_range_lu: Option<f64>,
    pub true_peak_dbtp: Option<f64>,
    pub silence_head_ms: i64,
    pub silence_tail_ms: i64,
    pub gain_cb: i64,
    pub peaks: Vec<f32>,
    /// Whether any sample was above −60 dBFS.
    pub sounds: bool,
}

impl Meter {
    /// Returns a meter for one or two channels.
    pub fn new(channels: usize, rate_hz: u32) -> Self {
        let count = u32::try_from(channels).unwrap_or(2);
        let ebu = EbuR128::new(count, rate_hz, Mode::I | Mode::LRA | Mode::TRUE_PEAK).ok();
        Self {
            ebu,
            rate_hz,
            channels: channels.max(1),
            frames: 0,
            first_sound: None,
            last_sound: 0,
            curve: Curve::default(),
        }
    }

    /// Takes the next interleaved samples.
    pub fn add(&mut self, samples: &[f32]) {
        if let Some(ebu) = &mut self.ebu
            && ebu.add_frames_f32(samples).is_err()
        {
            self.ebu = None;
        }
        for frame in samples.chunks_exact(self.channels) {
            let peak = frame.iter().fold(0f32, |peak, sample| peak.max(sample.abs()));
            if peak > SILENCE {
                self.first_sound.get_or_insert(self.frames);
                self.last_sound = self.frames;
            }
            self.curve.add(peak);
            self.frames += 1;
        }
    }

    /// Returns how long the clip is so far.
    pub fn duration_ms(&self) -> i64 {
        self.ms(self.frames, u64::div_ceil)
    }

    fn ms(&self, frames: u64, divide: fn(u64, u64) -> u64) -> i64 {
        let ms = divide(frames.saturating_mul(1000), u64::from(self.rate_hz.max(1)));
        i64::try_from(ms).unwrap_or(i64::MAX)
    }

    /// Returns the figures of all samples taken.
    pub fn finish(self) -> Figures {
        let measured = |db: f64| db.is_finite().then_some(db);
        let ebu = self.ebu.as_ref();
        let integrated = ebu.and_then(|e| e.loudness_global().ok()).and_then(measured);
        // Short of one window of three seconds the norm has no range.
        let has_range = integrated.is_some() && self.frames >= 3 * u64::from(self.rate_hz);
        let range = ebu.filter(|_| has_range).and_then(|e| e.loudness_range().ok());
        let peak = ebu.map(|e| {
            let channel = |n| e.true_peak(n).unwrap_or(0.0);
            (0..e.channels()).map(channel).fold(0.0, f64::max)
        });
        let true_peak = peak.and_then(|peak| measured(20.0 * peak.log10()));
        let head = self.first_sound.unwrap_or(self.frames);
        let tail = self.first_sound.map_or(self.frames, |_| self.frames - 1 - self.last_sound);
        Figures {
            duration_ms: self.duration_ms(),
            integrated_lufs: integrated,
            loudness_range_lu: range.and_then(measured),
            true_peak_dbtp: true_peak,
            silence_head_ms: self.ms(head, |a, b| a / b),
            silence_tail_ms: self.ms(tail, |a, b| a / b),
            gain_cb: gain_cb(integrated, true_peak),
            peaks: self.curve.points(),
            sounds: self.first_sound.is_some(),
        }
    }
}

/// Returns the gain to the target under the ceiling; 0 for what cannot be measured.
#[expect(clippy::cast_possible_truncation, reason = "clamped to ±10,000 just before")]
fn gain_cb(integrated: Option<f64>, true_peak: Option<f64>) -> i64 {
    let to_target = integrated.map_or(0, |lufs| centibel(TARGET_LUFS - lufs));
    // Rounded down: a gain may stay below the ceiling, never pass it.
    let to_ceiling = true_peak.map_or(MOST_GAIN_CB, |peak| {
        ((CEILING_DBTP - peak) * 10.0).floor().clamp(-10_000.0, 10_000.0) as i64
    });
    to_target.min(to_ceiling).min(MOST_GAIN_CB)
}

/// Largest samples of equal stretches; when the bins are full, pairs are merged.
#[derive(Debug, Default)]
struct Curve {
    bins: Vec<f32>,
    width: u64,
    filled: u64,
    peak: f32,
}

const MOST_BINS: usize = 32 * PEAK_POINTS;

impl Curve {
    fn add(&mut self, sample: f32) {
        self.peak = self.peak.max(sample);
        self.filled += 1;
        if self.filled >= self.width.max(1) {
            self.close();
        }
    }

    fn close(&mut self) {
        self.bins.push(std::mem::take(&mut self.peak));
        self.filled = 0;
        if self.bins.len() == MOST_BINS {
            self.bins = self.bins.chunks(2).map(|pair| pair[0].max(pair[1])).collect();
            self.width = self.width.max(1) * 2;
        }
    }

    /// Returns the points; a clip of fewer samples than points repeats them.
    fn points(mut self) -> Vec<f32> {
        if self.filled > 0 {
            self.close();
        }
        let bins = self.bins.len();
        if bins == 0 {
            return Vec::new();
        }
        (0..PEAK_POINTS)
            .map(|n| {
                let from = n * bins / PEAK_POINTS;
                let to = ((n + 1) * bins).div_ceil(PEAK_POINTS).max(from + 1).min(bins);
                let peak = self.bins[from..to].iter().fold(0f32, |peak, &bin| peak.max(bin));
                (peak.min(1.0) * 10_000.0).round() / 10_000.0
            })
            .collect()
    }
}

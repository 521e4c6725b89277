//! Figures of a clip while it streams by: loudness, true peak, silence, peak curve.
//!
//! Leaves decoding to `decode`. Memory does not grow with the clip but for the 100 ms energies
//! that the loudness norm asks for (some 80 bytes a second).

use super::inspect::{PEAK_POINTS, centibel};
use super::true_peak::TruePeak;
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
    true_peaks: Vec<TruePeak>,
    /// One channel of the samples at hand.
    lane: Vec<f32>,
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
        let ebu = EbuR128::new(count, rate_hz, Mode::I | Mode::LRA).ok();
        Self {
            ebu,
            true_peaks: (0..channels.max(1)).map(|_| TruePeak::new(rate_hz)).collect(),
            lane: Vec::new(),
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
        for (channel, meter) in self.true_peaks.iter_mut().enumerate() {
            self.lane.clear();
            self.lane.extend(samples.iter().skip(channel).step_by(self.channels));
            meter.add(&self.lane);
        }
        let mut rest = samples;
        while !rest.is_empty() {
            let frames = usize::try_from(self.curve.room()).unwrap_or(usize::MAX);
            let (bin, later) = rest.split_at(frames.saturating_mul(self.channels).min(rest.len()));
            let peak = bin.iter().fold(0f32, |peak, sample| peak.max(sample.abs()));
            let frames = (bin.len() / self.channels) as u64;
            if peak > SILENCE {
                let is_loud = |frame: &[f32]| frame.iter().any(|s| s.abs() > SILENCE);
                let first = bin.chunks_exact(self.channels).position(is_loud).unwrap_or(0);
                let last = bin.chunks_exact(self.channels).rposition(is_loud).unwrap_or(0);
                self.first_sound.get_or_insert(self.frames + first as u64);
                self.last_sound = self.frames + last as u64;
            }
            self.curve.add(peak, frames);
            self.frames += frames;
            rest = later;
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
    pub fn finish(mut self) -> Figures {
        let measured = |db: f64| db.is_finite().then_some(db);
        let ebu = self.ebu.as_ref();
        let integrated = ebu.and_then(|e| e.loudness_global().ok()).and_then(measured);
        // Short of one window of three seconds the norm has no range.
        let has_range = integrated.is_some() && self.frames >= 3 * u64::from(self.rate_hz);
        let range = ebu.filter(|_| has_range).and_then(|e| e.loudness_range().ok());
        let peak = self.true_peaks.iter_mut().map(TruePeak::peak).fold(0.0, f32::max);
        let true_peak = measured(20.0 * f64::from(peak).log10());
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
#[derive(Debug)]
struct Curve {
    bins: Vec<f32>,
    width: u64,
    filled: u64,
    peak: f32,
}

const MOST_BINS: usize = 32 * PEAK_POINTS;

impl Default for Curve {
    fn default() -> Self {
        Self { bins: Vec::new(), width: 16, filled: 0, peak: 0.0 }
    }
}

impl Curve {
    /// Returns how many frames the open bin still takes.
    fn room(&self) -> u64 {
        self.width - self.filled
    }

    /// Adds so many frames, at most as many as there is room for, by their largest sample.
    fn add(&mut self, peak: f32, frames: u64) {
        self.peak = self.peak.max(peak);
        self.filled += frames;
        if self.filled >= self.width {
            self.close();
        }
    }

    fn close(&mut self) {
        self.bins.push(std::mem::take(&mut self.peak));
        self.filled = 0;
        if self.bins.len() == MOST_BINS {
            self.bins = self.bins.chunks(2).map(|pair| pair[0].max(pair[1])).collect();
            self.width *= 2;
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

//! True peak: the highest level between the samples (ITU-R BS.1770, annex 2).
//!
//! Four-fold interpolation (two-fold above 96 kHz) by a windowed sinc of 48 taps. Most of a clip
//! needs none: between samples no level is higher than the largest sample around times the
//! sum of the filter's taps, so stretches that cannot pass the peak found so far are skipped.
//! The result is the same as if every sample had been interpolated.

use std::f64::consts::PI;

/// Length of the prototype; one tap of 49 is zero.
const PROTOTYPE: usize = 48;
/// Frames looked at together.
const STRETCH: usize = 64;

/// The meter of one channel.
#[derive(Debug)]
pub struct TruePeak {
    /// Taps of each phase, newest sample last; none where the rate is high enough already.
    phases: Vec<Vec<f32>>,
    /// Largest sum of absolute taps of a phase, a little rounded up.
    bound: f32,
    taps: usize,
    /// The last samples before the stretch, then the stretch.
    window: Vec<f32>,
    peak: f32,
}

impl TruePeak {
    /// Returns a meter for a sample rate.
    pub fn new(rate_hz: u32) -> Self {
        let factor = match rate_hz {
            ..96_000 => 4,
            96_000..192_000 => 2,
            _ => 1,
        };
        let taps = if factor == 1 { 1 } else { PROTOTYPE / factor };
        let phases: Vec<Vec<f32>> = (1..factor).map(|phase| phase_taps(phase, factor)).collect();
        let sum = |taps: &Vec<f32>| taps.iter().map(|tap| tap.abs()).sum::<f32>();
        let bound = phases.iter().map(sum).fold(1.0, f32::max) * 1.0001;
        Self { phases, bound, taps, window: vec![0.0; taps - 1], peak: 0.0 }
    }

    /// Takes the next samples of the channel.
    pub fn add(&mut self, samples: &[f32]) {
        for stretch in samples.chunks(STRETCH) {
            let loudest = loudest(stretch);
            self.peak = self.peak.max(loudest);
            self.window.extend_from_slice(stretch);
            // Samples before the stretch reach into it.
            if self.reach(loudest) > self.peak {
                self.interpolate();
            }
            let keep = self.window.len() - (self.taps - 1);
            self.window.drain(..keep);
        }
    }

    /// Returns the highest level that can stand between the samples of the window.
    fn reach(&self, loudest_new: f32) -> f32 {
        loudest_new.max(loudest(&self.window)) * self.bound
    }

    fn interpolate(&mut self) {
        let count = self.window.len() + 1 - self.taps;
        let mut levels = [0f32; STRETCH];
        for phase in &self.phases {
            let levels = &mut levels[..count];
            levels.fill(0.0);
            for (n, tap) in phase.iter().enumerate() {
                for (level, sample) in levels.iter_mut().zip(&self.window[n..]) {
                    *level += tap * sample;
                }
            }
            self.peak = self.peak.max(loudest(levels));
        }
    }

    /// Returns the highest level so far.
    pub fn peak(&mut self) -> f32 {
        // What follows the last sample is silence; levels swing on into it.
        self.add(&vec![0.0; self.taps]);
        self.peak
    }
}

fn loudest(samples: &[f32]) -> f32 {
    // Eight lanes, so that the compiler can keep them in one register.
    let mut lanes = [0f32; 8];
    let chunks = samples.chunks_exact(8);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, sample) in lanes.iter_mut().zip(chunk) {
            *lane = lane.max(sample.abs());
        }
    }
    lanes.iter().chain(rest).fold(0.0, |peak, sample| peak.max(sample.abs()))
}

/// Returns every `factor`-th tap of the prototype, oldest sample first.
#[expect(clippy::cast_possible_truncation, reason = "taps lie between -1 and 1")]
fn phase_taps(phase: usize, factor: usize) -> Vec<f32> {
    let tap = |n: usize| {
        let window = 0.5 * (1.0 - (2.0 * PI * n as f64 / PROTOTYPE as f64).cos());
        let x = (n as f64 - PROTOTYPE as f64 / 2.0) * PI / factor as f64;
        (window * if x.abs() < 1e-9 { 1.0 } else { x.sin() / x }) as f32
    };
    (0..PROTOTYPE / factor).rev().map(|n| tap(n * factor + phase)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ebur128::{EbuR128, Mode};
    use proptest::prelude::*;

    fn peaks(samples: &[f32], rate_hz: u32, cut: usize) -> (f32, f64) {
        let mut ours = TruePeak::new(rate_hz);
        samples.chunks(cut).for_each(|chunk| ours.add(chunk));
        let mut theirs = EbuR128::new(1, rate_hz, Mode::TRUE_PEAK).unwrap();
        theirs.add_frames_f32(samples).unwrap();
        theirs.add_frames_f32(&[0.0; 48]).unwrap();
        (ours.peak(), theirs.true_peak(0).unwrap())
    }

    #[test]
    fn a_sine_between_the_samples_is_seen_at_its_height() {
        // A quarter of the rate, shifted by an eighth of a turn: samples stand at 0.707.
        let sine: Vec<f32> = (0..4_800).map(|n| (n as f32 + 0.5).mul_add(0.5, 0.0)).collect();
        let sine: Vec<f32> = sine.iter().map(|x| (x * std::f32::consts::PI).sin()).collect();
        let mut meter = TruePeak::new(48_000);
        meter.add(&sine);
        let peak = meter.peak();
        assert!((0.98..1.03).contains(&peak), "{peak}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn skipping_never_changes_the_peak(
            loud in proptest::collection::vec(-1.0f32..1.0, 1..2_000),
            level in 0.01f32..1.0,
            cut in 1usize..700,
            rate_hz in prop_oneof![Just(8_000u32), Just(44_100), Just(96_000), Just(192_000)],
        ) {
            let mut samples: Vec<f32> = loud.iter().map(|s| s * level).collect();
            samples.extend(&loud);
            samples.extend(loud.iter().map(|s| s * 0.9));
            let (ours, theirs) = peaks(&samples, rate_hz, cut);
            let wanted = theirs.max(f64::from(loudest(&samples)));
            prop_assert!((f64::from(ours) - wanted).abs() < 1e-4, "{} {}", ours, wanted);
        }
    }
}

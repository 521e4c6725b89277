//! One play: its clip, where it stands in it, and how loud it is.

use super::CHANNELS;
use crate::device::player::{EndedBy, Order};
use crate::device::speaker::feed::Feed;

/// A play and where it stands.
#[derive(Debug)]
pub struct Play {
    pub order: Order,
    pub feed: Feed,
    /// Place in the clip of the frame that belongs to the next instant.
    pub next: Option<u64>,
    /// Place in the clip where sound ends at the latest, and why.
    pub end: (u64, EndedBy),
    pub fade: u64,
    pub gain: f32,
    /// The gain to reach, and the change for each frame until then.
    pub target: (f32, f32),
    /// Place of the first frame that was handed out.
    pub first: Option<u64>,
    pub handed: u64,
}

impl Play {
    /// Copies samples with gain and fades.
    pub fn hand_out(&mut self, next: u64, soft: u64, out: &mut [f32]) {
        let (end, fade) = (self.end.0, self.fade.max(soft).max(1));
        // A clip that ends by itself before the cut needs no fade.
        let is_cut = self.feed.total().is_none_or(|total| total > end);
        let joined = self.first.filter(|&first| first > 0);
        let (target, step) = self.target;
        let samples = self.feed.ready();
        for (n, (to, from)) in
            out.chunks_exact_mut(CHANNELS).zip(samples.chunks_exact(CHANNELS)).enumerate()
        {
            let place = next + n as u64;
            self.gain += (target - self.gain).clamp(-step, step);
            let mut factor = self.gain;
            if is_cut && end - place < fade {
                factor *= (end - place) as f32 / fade as f32;
            }
            if let Some(first) = joined.filter(|&first| place - first < soft) {
                factor *= (place - first) as f32 / soft as f32;
            }
            for (to, from) in to.iter_mut().zip(from) {
                *to = (from * factor).clamp(-1.0, 1.0);
            }
        }
    }
}

/// Returns the factor of an order's gain and volume: 100 is 0 dB, a step half a decibel, 0 mute.
#[expect(clippy::cast_possible_truncation, reason = "a factor below 1,000 fits")]
pub fn gain(order: &Order) -> f32 {
    if order.volume == 0 {
        return 0.0;
    }
    let steps = f64::from(order.volume.min(100)) - 100.0;
    let db = order.gain_cb.clamp(-1000, 600) as f64 / 10.0 + steps / 2.0;
    10f64.powf(db / 20.0) as f32
}

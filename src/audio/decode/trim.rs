//! Cuts what the encoder added off a decoded clip.
//!
//! Decoded frames go in, those of the clip come out, counted from its first. Invariant: a frame is
//! given or passed over once, in order.

use crate::audio::identify::{End, Extent};
use std::collections::VecDeque;
use symphonia::core::units::Timestamp;

/// Padding of an encoder is shorter than this; a header that claims more is not believed.
const MOST_PADDING: u64 = 8192;

/// Cuts delay and padding off a stream of frames.
#[derive(Debug)]
pub struct Trim {
    channels: usize,
    /// Frames by which the reader's time runs ahead of the clip's.
    before_zero: u64,
    /// Frames still to drop before the next is given.
    dropping: u64,
    end: End,
    held: VecDeque<f32>,
    /// Frames of the clip that were given or passed over: the position.
    given: u64,
    /// First frame that is wanted.
    wanted: u64,
    seeking: bool,
}

impl Trim {
    /// Returns the cutter of a clip of which nothing is decoded yet.
    pub fn new(extent: Extent, channels: usize, is_timed_from_clip: bool) -> Self {
        let skip = extent.skip.unwrap_or(0);
        Self {
            channels: channels.max(1),
            before_zero: if is_timed_from_clip { 0 } else { skip },
            dropping: skip,
            end: extent.end,
            held: VecDeque::new(),
            given: 0,
            wanted: 0,
            seeking: false,
        }
    }

    /// Returns how many frames of the clip were given or passed over.
    pub fn position(&self) -> u64 {
        self.given
    }

    /// Returns a frame of the clip in the reader's count.
    pub fn raw(&self, frame: u64) -> u64 {
        frame.saturating_add(self.before_zero)
    }

    /// Lets frames before this one be passed over.
    pub fn want(&mut self, frame: u64) {
        self.wanted = self.wanted.max(frame);
    }

    /// Returns how many decoded frames wait.
    pub fn held(&self) -> u64 {
        (self.held.len() / self.channels) as u64
    }

    /// Returns how many samples so many frames in memory have.
    fn samples(&self, frames: u64) -> usize {
        usize::try_from(frames).unwrap_or(usize::MAX).saturating_mul(self.channels)
    }

    /// Makes the time of the next samples say where in the clip they lie.
    pub fn expect_seek(&mut self) {
        self.seeking = true;
        self.held.clear();
    }

    /// Takes decoded samples; after a seek their time says where in the clip they lie.
    pub fn put(&mut self, samples: &[f32], time: Timestamp) {
        if std::mem::take(&mut self.seeking) {
            let before = i64::try_from(self.before_zero).unwrap_or(i64::MAX);
            let place = time.get().saturating_sub(before);
            self.given = u64::try_from(place).unwrap_or(0);
            self.dropping = u64::try_from(place.saturating_neg()).unwrap_or(0);
        }
        let frames = (samples.len() / self.channels) as u64;
        let drop = self.dropping.min(frames);
        self.dropping -= drop;
        self.held.extend(&samples[self.samples(drop)..]);
    }

    /// Says whether all that belongs to the clip is decoded.
    pub fn is_over(&self) -> bool {
        matches!(self.end, End::Cut(end) if self.given + self.held() >= end)
    }

    /// Moves what is surely part of the clip and wanted into `block`; says whether there was any.
    pub fn take(&mut self, ended: bool, block: &mut Vec<f32>) -> bool {
        let held = self.held();
        let decoded = self.given + held;
        let ready = match self.end {
            End::Cut(end) => held.min(end.saturating_sub(self.given)),
            End::Near(_) if !ended => held.saturating_sub(MOST_PADDING),
            End::Near(end) if decoded > end && decoded - end <= MOST_PADDING => {
                held.min(end.saturating_sub(self.given))
            }
            End::Near(_) | End::Decoded => held,
        };
        let passed = self.wanted.saturating_sub(self.given).min(ready);
        self.held.drain(..self.samples(passed));
        block.clear();
        block.extend(self.held.drain(..self.samples(ready - passed)));
        self.given += ready;
        if ended {
            self.held.clear();
        }
        ready > passed
    }
}

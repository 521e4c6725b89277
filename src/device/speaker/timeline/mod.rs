//! Puts the samples of clips where they belong in time.
//!
//! Pure but for the feeds it empties: the sink says what time it is and for which instant it
//! asks; out come samples and events.

mod play;
#[cfg(test)]
mod tests;

use super::CHANNELS;
use super::feed::Feed;
use super::instant::Offset;
use crate::device::player::{EndedBy, Order, PlayError, PlayerEvent};
use crate::domain::time::UtcMs;
use play::{Play, gain};
use std::collections::VecDeque;

/// Shortest fade where sound is cut or joined: without one the loudspeaker clicks.
const SOFT_MS: i64 = 5;
/// How fast a new volume is reached.
const GLIDE_MS: i64 = 20;

/// All plays of an output, and the wall clock as its thread sees it.
#[derive(Debug)]
pub struct Timeline {
    rate_hz: u32,
    wall: Offset,
    current: Option<Play>,
    /// Plays to come, by their start.
    waiting: Vec<Play>,
    events: VecDeque<PlayerEvent>,
}

/// When the sink asks, and for which instant, in microseconds of the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The wall clock now.
    pub wall_us: i64,
    /// The monotonic clock now.
    pub now_us: i64,
    /// When the first frame asked for will leave the output.
    pub leaves_us: i64,
}

impl Timeline {
    /// Returns the empty time line of an output.
    pub fn new(rate_hz: u32) -> Self {
        Self {
            rate_hz,
            wall: Offset::default(),
            current: None,
            waiting: Vec::new(),
            events: VecDeque::new(),
        }
    }

    /// Returns the output's rate.
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Returns frames in so many milliseconds; none for negative ones.
    pub fn frames(&self, ms: i64) -> u64 {
        u64::try_from(ms).unwrap_or(0).saturating_mul(u64::from(self.rate_hz)) / 1000
    }

    /// Adds a play whose feed is on its way.
    pub fn play(&mut self, order: Order, feed: Feed) {
        let end = self.frames(order.offset_ms).saturating_add(self.frames(order.end - order.at));
        let play = Play {
            end: (end, EndedBy::Time),
            fade: self.frames(order.fade_ms),
            gain: gain(&order),
            target: (gain(&order), 0.0),
            next: None,
            first: None,
            handed: 0,
            order,
            feed,
        };
        let at = self.waiting.partition_point(|other| other.order.at <= play.order.at);
        self.waiting.insert(at, play);
    }

    /// Says of an order that it cannot be prepared.
    pub fn refuse(&mut self, order: &Order, reason: String) {
        let why = PlayError::Output { reason };
        self.events.push_back(PlayerEvent::Failed { token: order.token, why });
    }

    /// Ends a play, after a fade if it sounds.
    pub fn stop(&mut self, token: u64, fade_ms: i64) {
        let fade = self.frames(fade_ms).max(self.soft());
        if let Some(play) = self.current.as_mut().filter(|play| play.order.token == token) {
            if let (Some(next), Some(_)) = (play.next, play.first) {
                let end = next.saturating_add(fade);
                if end < play.end.0 {
                    (play.end, play.fade) = ((end, EndedBy::Stop), fade);
                }
                return;
            }
            self.end_current(EndedBy::Stop);
        } else if let Some(at) = self.waiting.iter().position(|p| p.order.token == token) {
            let play = self.waiting.remove(at);
            self.events.push_back(PlayerEvent::Ended {
                token,
                at: play.order.at,
                played_ms: 0,
                by: EndedBy::Stop,
            });
        }
    }

    /// Changes volume and end of a play.
    pub fn amend(&mut self, token: u64, volume: u8, end: UtcMs) {
        let rate = u64::from(self.rate_hz);
        let glide = self.frames(GLIDE_MS).max(1) as f32;
        let plays = self.current.iter_mut().chain(&mut self.waiting);
        for play in plays.filter(|play| play.order.token == token) {
            (play.order.volume, play.order.end) = (volume, end);
            let target = gain(&play.order);
            play.target = (target, (target - play.gain).abs() / glide);
            if play.end.1 == EndedBy::Time {
                let ms = |ms: i64| u64::try_from(ms).unwrap_or(0).saturating_mul(rate) / 1000;
                play.end.0 = ms(play.order.offset_ms).saturating_add(ms(end - play.order.at));
            }
        }
    }

    /// Says that the output is gone: what sounds ends here. Plays to come wait for another.
    pub fn output_lost(&mut self) {
        self.end_current(EndedBy::Output);
    }

    /// Gives up plays whose time is over; for the while in which no output asks.
    pub fn expire(&mut self, now: UtcMs) {
        let (over, rest) =
            std::mem::take(&mut self.waiting).into_iter().partition(|play| play.order.end <= now);
        self.waiting = rest;
        let over: Vec<Play> = over;
        for play in over {
            let why = PlayError::Output { reason: "no output was there in time".to_owned() };
            self.events.push_back(PlayerEvent::Failed { token: play.order.token, why });
        }
    }

    /// Returns the next event.
    pub fn next_event(&mut self) -> Option<PlayerEvent> {
        self.events.pop_front()
    }

    /// Says whether nothing sounds and nothing starts before the given instant.
    pub fn is_silent_until(&self, mono_us: i64) -> bool {
        let starts = |play: &Play| self.mono_us(play.order.at) < mono_us;
        self.current.is_none() && !self.waiting.iter().any(starts)
    }

    fn soft(&self) -> u64 {
        self.frames(SOFT_MS)
    }

    fn mono_us(&self, wall: UtcMs) -> i64 {
        wall.0.saturating_mul(1000).saturating_sub(self.wall.us())
    }

    fn wall(&self, mono_us: i64) -> UtcMs {
        UtcMs((mono_us.saturating_add(self.wall.us()).saturating_add(500)).div_euclid(1000))
    }

    /// Returns the frame nearest to so many microseconds; 0 for negative ones.
    fn frames_us(&self, us: i64) -> u64 {
        let us = u128::from(u64::try_from(us).unwrap_or(0));
        let frames = (us * u128::from(self.rate_hz) + 500_000) / 1_000_000;
        u64::try_from(frames).unwrap_or(u64::MAX)
    }

    fn us(&self, frames: u64) -> i64 {
        let us = u128::from(frames) * 1_000_000 / u128::from(self.rate_hz.max(1));
        i64::try_from(us).unwrap_or(i64::MAX)
    }

    /// Fills `out` (stereo, interleaved) with what belongs at the instant asked for.
    pub fn render(&mut self, ask: Ask, out: &mut [f32]) {
        self.wall.read(ask.wall_us.saturating_sub(ask.now_us));
        out.fill(0.0);
        let frames = out.len() / CHANNELS;
        let mut done = 0;
        while done < frames {
            let upto = self.next_start(ask.leaves_us, done).map_or(frames, |at| at.min(frames));
            let part = &mut out[done * CHANNELS..upto * CHANNELS];
            let leaves_us = ask.leaves_us.saturating_add(self.us(done as u64));
            self.render_current(leaves_us, part);
            done = upto;
            if done < frames {
                self.begin_next(ask.leaves_us.saturating_add(self.us(done as u64)));
            }
        }
    }

    /// Returns the frame of this block in which the next play takes over.
    fn next_start(&self, leaves_us: i64, done: usize) -> Option<usize> {
        let play = self.waiting.first()?;
        let frames = self.frames_us(self.mono_us(play.order.at).saturating_sub(leaves_us));
        Some(usize::try_from(frames).unwrap_or(usize::MAX).max(done))
    }

    fn begin_next(&mut self, leaves_us: i64) {
        self.replace_current(leaves_us);
        let mut play = self.waiting.remove(0);
        let late_us = leaves_us.saturating_sub(self.mono_us(play.order.at));
        let late = self.frames_us(late_us);
        play.next = Some(self.frames(play.order.offset_ms).saturating_add(late));
        self.current = Some(play);
    }

    fn replace_current(&mut self, leaves_us: i64) {
        if self.current.is_some() {
            self.finish(leaves_us, EndedBy::Replaced);
        }
    }

    fn end_current(&mut self, by: EndedBy) {
        if let Some(play) = &self.current {
            // Where the output stands is not known here; what was handed out is.
            let at = play.order.at.plus(self.ms(play.next.unwrap_or(0)) - play.order.offset_ms);
            self.finish_at(at, by);
        }
    }

    fn ms(&self, frames: u64) -> i64 {
        let ms = u128::from(frames) * 1000 / u128::from(self.rate_hz.max(1));
        i64::try_from(ms).unwrap_or(i64::MAX)
    }

    fn finish(&mut self, leaves_us: i64, by: EndedBy) {
        self.finish_at(self.wall(leaves_us), by);
    }

    fn finish_at(&mut self, at: UtcMs, by: EndedBy) {
        let Some(play) = self.current.take() else { return };
        let token = play.order.token;
        let event = match (play.first, by) {
            (Some(_), _) | (None, EndedBy::Stop | EndedBy::Replaced) => {
                PlayerEvent::Ended { token, at, played_ms: self.ms(play.handed), by }
            }
            (None, EndedBy::Damaged) => {
                let reason = play.feed.broken().unwrap_or("no sound").to_owned();
                let path = play.order.path.clone();
                PlayerEvent::Failed { token, why: PlayError::Clip { path, reason } }
            }
            (None, EndedBy::Output) => {
                let reason = "it was lost before the first sample".to_owned();
                PlayerEvent::Failed { token, why: PlayError::Output { reason } }
            }
            (None, EndedBy::Clip | EndedBy::Time) => {
                PlayerEvent::Failed { token, why: PlayError::TooLate { at: play.order.at } }
            }
        };
        self.events.push_back(event);
    }

    /// Hands out samples of the current play; ends it where it ends.
    fn render_current(&mut self, leaves_us: i64, out: &mut [f32]) {
        let soft = self.soft();
        let mut done = 0;
        let frames = out.len() / CHANNELS;
        while done < frames {
            let at_us = leaves_us.saturating_add(self.us(done as u64));
            let Some(play) = &mut self.current else { return };
            let Some(next) = play.next else { return };
            if next >= play.end.0 {
                let by = play.end.1;
                self.finish(at_us, by);
                return;
            }
            // Frames that should have sounded before now are passed over.
            while play.feed.next_frame() < next {
                let behind = usize::try_from(next - play.feed.next_frame()).unwrap_or(usize::MAX);
                let ready = play.feed.ready().len() / CHANNELS;
                if ready == 0 {
                    break;
                }
                play.feed.take(ready.min(behind));
            }
            let place = play.feed.next_frame();
            let ready = play.feed.ready().len() / CHANNELS;
            if ready == 0 {
                let is_past = play.feed.total().is_some_and(|total| next >= total);
                if is_past || play.feed.is_over() {
                    self.finish(at_us, EndedBy::Clip);
                    return;
                }
                if play.feed.broken().is_some() {
                    self.finish(at_us, EndedBy::Damaged);
                    return;
                }
            }
            let left = (frames - done) as u64;
            let until_end = play.end.0 - next;
            if ready == 0 || place > next {
                // Not decoded yet: silence, and the clip's time goes on.
                let gap = if ready == 0 { left } else { place - next };
                let silent = gap.min(left).min(until_end);
                play.next = Some(next + silent);
                done += usize::try_from(silent).unwrap_or(frames);
                continue;
            }
            let count = (ready as u64).min(left).min(until_end);
            let n = usize::try_from(count).unwrap_or(0);
            if play.first.is_none() {
                play.first = Some(next);
                let (token, at) = (play.order.token, at_us);
                let at = UtcMs((at.saturating_add(self.wall.us()).saturating_add(500)) / 1000);
                self.events.push_back(PlayerEvent::Started { token, at });
            }
            play.hand_out(next, soft, &mut out[done * CHANNELS..(done + n) * CHANNELS]);
            play.feed.take(n);
            play.next = Some(next + count);
            play.handed += count;
            done += n;
        }
    }
}

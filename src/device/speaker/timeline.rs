//! Puts the samples of clips where they belong in time.
//!
//! Pure but for the feeds it empties: the sink says what time it is and for which instant it
//! asks; out come samples and events.

use super::CHANNELS;
use super::feed::Feed;
use super::instant::Offset;
use crate::device::player::{EndedBy, Order, PlayError, PlayerEvent};
use crate::domain::time::UtcMs;
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

/// A play and where it stands.
#[derive(Debug)]
struct Play {
    order: Order,
    feed: Feed,
    /// Place in the clip of the frame that belongs to the next instant.
    next: Option<u64>,
    /// Place in the clip where sound ends at the latest, and why.
    end: (u64, EndedBy),
    fade: u64,
    gain: f32,
    /// The gain to reach, and the change for each frame until then.
    target: (f32, f32),
    /// Place of the first frame that was handed out.
    first: Option<u64>,
    handed: u64,
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

impl Play {
    /// Copies samples with gain and fades.
    fn hand_out(&mut self, next: u64, soft: u64, out: &mut [f32]) {
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
fn gain(order: &Order) -> f32 {
    if order.volume == 0 {
        return 0.0;
    }
    let steps = f64::from(order.volume.min(100)) - 100.0;
    let db = order.gain_cb.clamp(-1000, 600) as f64 / 10.0 + steps / 2.0;
    10f64.powf(db / 20.0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::speaker::feed::test_feed;
    use proptest::prelude::*;

    const RATE: u32 = 48_000;
    const NOW: i64 = 1_790_000_000_000;

    fn order(token: u64, at: i64, ms: i64) -> Order {
        Order {
            token,
            path: "clip.wav".into(),
            at: UtcMs(NOW + at),
            offset_ms: 0,
            end: UtcMs(NOW + at + ms),
            gain_cb: 0,
            volume: 100,
            fade_ms: 0,
        }
    }

    /// Asks for so many milliseconds in blocks of odd length; returns the left channel.
    fn render(timeline: &mut Timeline, from_ms: i64, ms: i64, block: usize) -> Vec<f32> {
        let mut left = Vec::new();
        let total = usize::try_from(timeline.frames(ms)).unwrap();
        while left.len() < total {
            let frames = block.min(total - left.len());
            let mut out = vec![9.0; frames * CHANNELS];
            let leaves_us = from_ms * 1000 + timeline.us(left.len() as u64);
            let ask = Ask { wall_us: NOW * 1000 + leaves_us, now_us: leaves_us, leaves_us };
            timeline.render(ask, &mut out);
            left.extend(out.chunks(CHANNELS).map(|frame| frame[0]));
        }
        left
    }

    fn events(timeline: &mut Timeline) -> Vec<PlayerEvent> {
        std::iter::from_fn(|| timeline.next_event()).collect()
    }

    /// A clip whose sample k is k + 1 in hundred-thousandths.
    fn counting(frames: u64) -> Vec<f32> {
        (1..=frames).map(|k| k as f32 / 100_000.0).collect()
    }

    fn close(a: f32, b: f32) -> bool {
        (a - b).abs() < 1e-6
    }

    #[test]
    fn the_first_sample_leaves_at_its_instant_and_the_last_one_ends_the_clip() {
        let mut timeline = Timeline::new(RATE);
        timeline.play(order(1, 100, 5_000), test_feed(0, &counting(4_800)));
        let left = render(&mut timeline, 0, 300, 777);
        assert!(left[..4_800].iter().all(|&s| s == 0.0));
        assert!((0..4_800).all(|k| close(left[4_800 + k], (k + 1) as f32 / 100_000.0)));
        assert!(left[9_600..].iter().all(|&s| s == 0.0));
        let (started, ended) = (UtcMs(NOW + 100), UtcMs(NOW + 200));
        assert_eq!(
            events(&mut timeline),
            [
                PlayerEvent::Started { token: 1, at: started },
                PlayerEvent::Ended { token: 1, at: ended, played_ms: 100, by: EndedBy::Clip },
            ]
        );
    }

    #[test]
    fn a_late_play_joins_where_it_would_be() {
        let mut timeline = Timeline::new(RATE);
        timeline.play(order(1, -50, 5_000), test_feed(0, &counting(9_600)));
        let left = render(&mut timeline, 0, 200, 480);
        // Past the short fade in, sample for sample.
        assert!((240..7_200).all(|k| close(left[k], (k + 2_401) as f32 / 100_000.0)));
        let ended = PlayerEvent::Ended {
            token: 1,
            at: UtcMs(NOW + 150),
            played_ms: 150,
            by: EndedBy::Clip,
        };
        assert_eq!(events(&mut timeline)[1], ended);
    }

    #[test]
    fn an_offset_and_a_feed_that_begins_later_keep_the_clip_in_place() {
        let mut timeline = Timeline::new(RATE);
        let mut late = order(1, -100, 5_000);
        late.offset_ms = 50;
        // 150 ms into the clip belong to now; decoding began at 170 ms.
        timeline.play(late, test_feed(8_160, &counting(14_400)[8_160..]));
        let left = render(&mut timeline, 0, 100, 480);
        assert!(left[..960].iter().all(|&s| s == 0.0));
        assert!((1_200..4_800).all(|k| close(left[k], (k + 7_201) as f32 / 100_000.0)));
        let started = PlayerEvent::Started { token: 1, at: UtcMs(NOW + 20) };
        assert_eq!(events(&mut timeline)[0], started);
    }

    #[test]
    fn sound_ends_exactly_at_the_end_and_fades_before_it() {
        let mut timeline = Timeline::new(RATE);
        let mut cut = order(1, 0, 100);
        cut.fade_ms = 50;
        timeline.play(cut, test_feed(0, &vec![0.5; 48_000]));
        let left = render(&mut timeline, 0, 200, 1_000);
        assert!(left[..2_400].iter().all(|&s| close(s, 0.5)));
        assert!(close(left[3_600], 0.25) && left[4_799] > 0.0 && left[4_799] < 0.001);
        assert!(left[4_800..].iter().all(|&s| s == 0.0));
        let ended = PlayerEvent::Ended {
            token: 1,
            at: UtcMs(NOW + 100),
            played_ms: 100,
            by: EndedBy::Time,
        };
        assert_eq!(events(&mut timeline)[1], ended);
    }

    #[test]
    fn a_clip_that_ends_by_itself_is_not_faded() {
        let mut timeline = Timeline::new(RATE);
        let mut whole = order(1, 0, 100);
        whole.fade_ms = 50;
        timeline.play(whole, test_feed(0, &vec![0.5; 4_790]));
        let left = render(&mut timeline, 0, 200, 480);
        assert!(left[..4_790].iter().all(|&s| close(s, 0.5)));
        let ended = &events(&mut timeline)[1];
        assert!(matches!(ended, PlayerEvent::Ended { by: EndedBy::Clip, .. }), "{ended:?}");
    }

    #[test]
    fn the_next_play_takes_over_on_its_sample() {
        let mut timeline = Timeline::new(RATE);
        timeline.play(order(2, 100, 5_000), test_feed(0, &vec![0.25; 4_800]));
        timeline.play(order(1, 0, 5_000), test_feed(0, &vec![0.5; 48_000]));
        let left = render(&mut timeline, 0, 150, 1_111);
        assert!(left[..4_800].iter().all(|&s| close(s, 0.5)));
        assert!(left[4_800..].iter().all(|&s| close(s, 0.25)));
        let at = UtcMs(NOW + 100);
        assert_eq!(
            events(&mut timeline)[1..],
            [
                PlayerEvent::Ended { token: 1, at, played_ms: 100, by: EndedBy::Replaced },
                PlayerEvent::Started { token: 2, at },
            ]
        );
    }

    #[test]
    fn stopping_fades_out_and_counts_what_sounded() {
        let mut timeline = Timeline::new(RATE);
        timeline.play(order(1, 0, 5_000), test_feed(0, &vec![0.5; 96_000]));
        timeline.play(order(2, 3_000, 5_000), test_feed(0, &[0.5]));
        render(&mut timeline, 0, 100, 480);
        timeline.stop(1, 100);
        timeline.stop(2, 100);
        let left = render(&mut timeline, 100, 200, 480);
        assert!(close(left[2_400], 0.25) && left[4_801] == 0.0);
        let by = EndedBy::Stop;
        assert_eq!(
            events(&mut timeline)[1..],
            [
                PlayerEvent::Ended { token: 2, at: UtcMs(NOW + 3_000), played_ms: 0, by },
                PlayerEvent::Ended { token: 1, at: UtcMs(NOW + 200), played_ms: 200, by },
            ]
        );
    }

    #[test]
    fn volume_counts_in_half_decibels_and_zero_is_mute() {
        let at = |volume, gain_cb| gain(&Order { gain_cb, volume, ..order(1, 0, 1) });
        assert!(close(at(100, 0), 1.0) && close(at(60, 0), 0.1) && close(at(60, 200), 1.0));
        assert!(close(at(0, 400), 0.0));
        let mut timeline = Timeline::new(RATE);
        timeline.play(Order { volume: 0, ..order(1, 0, 100) }, test_feed(0, &vec![0.5; 4_800]));
        assert!(render(&mut timeline, 0, 200, 480).iter().all(|&s| s == 0.0));
        let ended = &events(&mut timeline)[1];
        assert!(matches!(ended, PlayerEvent::Ended { played_ms: 100, .. }), "{ended:?}");
    }

    #[test]
    fn an_amended_play_goes_on_with_new_volume_and_end() {
        let mut timeline = Timeline::new(RATE);
        timeline.play(order(1, 0, 100), test_feed(0, &vec![0.5; 48_000]));
        render(&mut timeline, 0, 50, 480);
        timeline.amend(1, 60, UtcMs(NOW + 200));
        let left = render(&mut timeline, 50, 250, 480);
        assert!(left[960..6_900].iter().all(|&s| close(s, 0.05)), "{:?}", left[961]);
        assert!(left[7_200..].iter().all(|&s| s == 0.0));
    }

    #[test]
    fn a_play_that_is_over_before_it_can_start_has_failed() {
        let mut timeline = Timeline::new(RATE);
        timeline.play(order(1, -200, 100), test_feed(0, &counting(48_000)));
        render(&mut timeline, 0, 10, 480);
        let why = PlayError::TooLate { at: UtcMs(NOW - 200) };
        assert_eq!(events(&mut timeline), [PlayerEvent::Failed { token: 1, why }]);
    }

    #[test]
    fn a_stepped_wall_clock_moves_plays_that_wait_and_not_the_one_that_sounds() {
        let mut timeline = Timeline::new(RATE);
        timeline.play(order(1, 0, 1_000), test_feed(0, &vec![0.5; 48_000]));
        timeline.play(order(2, 10_000, 1_000), test_feed(0, &vec![0.25; 48_000]));
        render(&mut timeline, 0, 500, 480);
        // From here the wall clock is 9.4 s ahead.
        let mut left = Vec::new();
        for n in 0..60 {
            let leaves_us = 500_000 + n * 10_000;
            let wall_us = NOW * 1000 + leaves_us + 9_400_000;
            let mut out = vec![0.0; 480 * CHANNELS];
            timeline.render(Ask { wall_us, now_us: leaves_us, leaves_us }, &mut out);
            left.extend(out.chunks(CHANNELS).map(|frame| frame[0]));
        }
        assert!(left[..4_800].iter().all(|&s| close(s, 0.5)), "the running play went on");
        assert!(left[4_800..].iter().all(|&s| close(s, 0.25)), "the next came at its wall time");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_play_gets_one_last_event_and_counts_what_it_handed_out(
            plays in proptest::collection::vec((0i64..400, 1i64..300, 0usize..20_000, 0i64..60), 1..6),
            stops in proptest::collection::vec((0u64..6, 0i64..500), 0..4),
            block in 1usize..3_000,
        ) {
            let mut timeline = Timeline::new(RATE);
            for (token, &(at, ms, frames, fade_ms)) in plays.iter().enumerate() {
                let order = Order { fade_ms, ..order(token as u64, at, ms) };
                timeline.play(order, test_feed(0, &vec![0.5; frames]));
            }
            let mut sounding = 0usize;
            for step in 0..80i64 {
                for (token, _) in stops.iter().filter(|(_, at)| at / 10 == step) {
                    timeline.stop(*token, 20);
                }
                let left = render(&mut timeline, step * 10, 10, block);
                sounding += left.iter().filter(|&&s| s != 0.0).count();
            }
            let mut last = std::collections::BTreeMap::new();
            let mut played_ms = 0;
            for event in events(&mut timeline) {
                match event {
                    PlayerEvent::Started { .. } => {}
                    PlayerEvent::Ended { token, played_ms: ms, .. } => {
                        played_ms += ms;
                        *last.entry(token).or_insert(0) += 1;
                    }
                    PlayerEvent::Failed { token, .. } => *last.entry(token).or_insert(0) += 1,
                }
            }
            prop_assert_eq!(last.len(), plays.len());
            prop_assert!(last.values().all(|&n| n == 1));
            let sounding_ms = i64::try_from(sounding * 1000 / RATE as usize).unwrap();
            let rounding = i64::try_from(plays.len()).unwrap() + 1;
            prop_assert!((sounding_ms - played_ms).abs() <= rounding);
        }
    }
}

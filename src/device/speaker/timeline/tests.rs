//! What is heard, sample by sample, and what is told of it.

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
    let ended =
        PlayerEvent::Ended { token: 1, at: UtcMs(NOW + 150), played_ms: 150, by: EndedBy::Clip };
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
    let ended =
        PlayerEvent::Ended { token: 1, at: UtcMs(NOW + 100), played_ms: 100, by: EndedBy::Time };
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

//! Real sound: what the player hands out is what a recording of the street holds.

use crate::support::clips::{Clips, likeness};
use crate::support::pulse::{Pulse, Recording};
use crate::support::wait::until;
use loa::audio::decode;
use loa::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

/// `loa play` under orders.
struct Player {
    program: Child,
    orders: Option<ChildStdin>,
    events: Arc<Mutex<Vec<Value>>>,
}

impl Player {
    fn start(mut command: Command, sink: &str) -> Self {
        let mut program = command
            .args(["play", "--sink", sink])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let events = Arc::new(Mutex::new(Vec::new()));
        let (heard, out) = (Arc::clone(&events), program.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                heard.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Self { orders: program.stdin.take(), program, events }
    }

    fn order(&mut self, order: &Value) {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
    }

    fn play(&mut self, token: u64, path: &Path, at_ms: i64, more: &Value) {
        let mut play = json!({
            "token": token, "path": path, "at_ms": at_ms, "end_ms": at_ms + 60_000, "volume": 100,
        });
        play.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.order(&json!({ "play": play }));
    }

    /// Ends it in order.
    async fn close(mut self) {
        self.orders = None;
        until("the player ends", || self.program.try_wait().unwrap().is_some()).await;
    }

    /// Waits for the event of a play and returns it.
    async fn event(&self, kind: &str, token: u64) -> Value {
        let find = || {
            let events = self.events.lock().unwrap();
            events.iter().map(|e| e[kind].clone()).find(|e| e["token"] == token)
        };
        until(&format!("`{kind}` of {token}"), || find().is_some()).await;
        find().unwrap()
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.program.kill(); // ended already: fine
        let _ = self.program.wait();
    }
}

fn now_ms() -> i64 {
    SystemClock::new().now().0
}

/// Left channel of a clip of the output's rate.
pub fn left(path: &Path) -> Vec<f32> {
    let mut decoder = decode::open(path).unwrap();
    assert_eq!(decoder.rate_hz(), 48_000);
    let (mut samples, channels) = (Vec::new(), decoder.channels());
    while let Some(block) = decoder.next_block().unwrap() {
        samples.extend(block.iter().step_by(channels));
    }
    samples
}

/// Returns the first sample from a place on that is no silence.
pub fn onset(recording: &[f32], from: usize) -> usize {
    from + recording[from..].iter().position(|s| s.abs() > 0.000_5).expect("nothing is heard")
}

/// Finds a clip in a recording near a place: where it lies, and how like it is.
pub fn find(clip: &[f32], recording: &[f32], near: usize) -> (usize, f64) {
    let places = near.saturating_sub(24_000)..=(near + 24_000).min(recording.len() - clip.len());
    // A stretch of 10 ms finds the place, the whole clip judges it.
    let probe = &clip[2_400..2_880];
    let like = |n: usize| likeness(probe, &recording[n + 2_400..n + 2_880]);
    let best = places.max_by(|a, b| like(*a).total_cmp(&like(*b))).unwrap();
    (best, likeness(clip, &recording[best..best + clip.len()]))
}

fn loa() -> &'static str {
    env!("CARGO_BIN_EXE_loa")
}

/// Waits until the recording is under way.
pub async fn settled(recording: &Recording) {
    until("the recording runs", || recording.seconds() > 0.5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clips_sound_through_the_sound_card_in_order_and_in_time() {
    let clips = Clips::new();
    let first = clips.make("một.flac", "-ar 48000 -t 2");
    let second = clips.make("hai.wav", "-ar 48000 -af areverse -t 1.5");
    let pulse = Pulse::start().await;
    let recording = pulse.record();
    settled(&recording).await;
    let mut player = Player::start(pulse.client(loa()), "default");
    let at = now_ms() + 2_500;
    player.play(1, &first, at, &json!({}));
    player.play(2, &second, at + 2_000, &json!({}));
    let ended = player.event("ended", 2).await;
    assert_eq!(ended["by"], "clip", "{ended}");
    for (token, due) in [(1, at), (2, at + 2_000)] {
        let started = player.event("started", token).await["at_ms"].as_i64().unwrap();
        assert!((started - due).abs() < 1_000, "{token} started {} ms off", started - due);
        let played = player.event("ended", token).await["played_ms"].as_i64().unwrap();
        let length = [2_000, 1_500][usize::try_from(token).unwrap() - 1];
        assert!((played - length).abs() <= 40, "{token} played {played} ms of {length}");
    }
    let until_here = recording.seconds();
    until("the last sample is recorded", || recording.seconds() > until_here + 1.0).await;
    let street = recording.finish();
    let (one, like_one) = find(&left(&first), &street, onset(&street, 0));
    let (_, like_two) = find(&left(&second), &street, one + 96_000);
    assert!(like_one > 0.95 && like_two > 0.95, "{like_one} {like_two}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_outlives_its_sound_server() {
    let clips = Clips::new();
    let clip = clips.make("a.wav", "-ar 48000 -af aloop=loop=9:size=145531");
    let pulse = Pulse::start().await;
    let mut player = Player::start(pulse.client(loa()), "default");
    player.play(1, &clip, now_ms() + 300, &json!({}));
    player.event("started", 1).await;
    drop(pulse);
    let ended = player.event("ended", 1).await;
    assert_eq!(ended["by"], "output", "{ended}");
    let at = now_ms() + 100;
    player.play(2, &clip, at, &json!({ "end_ms": at + 500 }));
    let failed = player.event("failed", 2).await;
    assert!(failed["why"].as_str().unwrap().contains("output"), "{failed}");
    assert!(player.program.try_wait().unwrap().is_none(), "it lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_holds_what_the_street_would_hear_across_a_kill() {
    let clips = Clips::new();
    let clip = clips.make("a.mp3", "-ar 48000 -t 1 -c:a libmp3lame -b:a 192k");
    let street = clips.path("đường phố.wav");
    let sink = format!("wav:{}", street.display());
    let mut player = Player::start(Command::new(loa()), &sink);
    let first_at = now_ms() + 2_500;
    player.play(1, &clip, first_at, &json!({}));
    player.play(2, &clip, first_at + 1_500, &json!({}));
    player.event("ended", 1).await;
    player.event("started", 2).await;
    let length = || std::fs::metadata(&street).unwrap().len();
    let begun = length();
    until("some of the second is written", || length() > begun + 192_000 / 5).await;
    drop(player); // kill -9 in the middle of the second
    let cut = decode::open(&street).expect("the header is valid after kill -9");
    drop(cut);
    let mut player = Player::start(Command::new(loa()), &sink);
    let again_at = now_ms() + 2_500;
    player.play(3, &clip, again_at, &json!({}));
    player.event("ended", 3).await;
    player.close().await;
    let sound = left(&street);
    let wanted = left(&clip);
    let frames = |ms: i64| usize::try_from(ms * 48).unwrap();
    let (one, like_one) = find(&wanted, &sound, onset(&sound, 0));
    let (again, like_again) = find(&wanted, &sound, onset(&sound, one + frames(2_600)));
    assert!(like_one > 0.99 && like_again > 0.99, "{like_one} {like_again}");
    // The second stands where it belongs as far as it came, the third at its time.
    let second = one + frames(1_500);
    let like_second = likeness(&wanted[..2_400], &sound[second..second + 2_400]);
    assert!(like_second > 0.99, "{like_second}");
    let off = again.abs_diff(one + frames(again_at - first_at));
    assert!(off < 48_000, "{off} frames");
    assert!(sound[one + wanted.len() + 100..second - 100].iter().all(|&s| s == 0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_order_joins_and_a_broken_clip_fails() {
    let clips = Clips::new();
    let clip = clips.make("a.ogg", "-af aloop=loop=9:size=145531 -c:a libvorbis");
    let broken = clips.write("hỏng.mp3", b"no sound at all");
    let mut player = Player::start(Command::new(loa()), "null");
    let now = now_ms();
    player.play(1, &clip, now - 20_000, &json!({ "end_ms": now + 3_000, "fade_ms": 500 }));
    let started = player.event("started", 1).await["at_ms"].as_i64().unwrap();
    assert!(started >= now, "{}", started - now);
    let ended = player.event("ended", 1).await;
    assert_eq!(ended["by"], "time");
    let (played, at) = (ended["played_ms"].as_i64().unwrap(), ended["at_ms"].as_i64().unwrap());
    assert!((at - (now + 3_000)).abs() < 1_000 && (at - started - played).abs() < 1_000);
    player.play(2, &broken, now_ms() + 200, &json!({}));
    let failed = player.event("failed", 2).await;
    assert!(failed["why"].as_str().unwrap().contains("cannot be decoded"), "{failed}");
    player.play(3, &clip, now_ms() - 20_000, &json!({ "end_ms": now_ms() - 10_000 }));
    let failed = player.event("failed", 3).await;
    assert!(failed["why"].as_str().unwrap().contains("over before"), "{failed}");
}

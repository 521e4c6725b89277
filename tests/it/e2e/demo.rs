//! The demo as a visitor runs it, through a sound card.

use super::process::{Running, binary, json, wait_for};
use crate::sound::{find, left, onset, settled};
use crate::support::clips::Clips;
use crate::support::pulse::Pulse;
use crate::support::wait::until;

/// Returns what stands in a text after a word, to the end of the line.
fn after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.lines().find_map(|line| Some(line.split_once(word)?.1.trim()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_is_heard_through_the_sound_card() {
    let clips = Clips::new();
    let clip = clips.make("bản tin.flac", "-ar 48000 -t 2");
    let pulse = Pulse::start().await;
    let recording = pulse.record();
    settled(&recording).await;

    let mut demo = pulse.client(binary());
    // Its folder goes with the test, even when it is killed.
    demo.env("TMPDIR", clips.path(""));
    demo.args(["demo", "--sink", "default", "--output", "png", "--first", "12", "--clip"]);
    demo.arg(&clip);
    let mut demo = Running::start(demo, &clips.path("demo.log"));
    let (data, play) = wait_for("a record of the play", 60, || {
        demo.assert_alive();
        let data = after(&demo.said(), "loa records --data ")?.to_owned();
        let records = json(&["records", "--data", &data, "--json"]);
        let play = records
            .as_array()
            .unwrap()
            .iter()
            .find(|record| record["kind"] == "play" && record["device"] == "loa-thon-dong")?;
        Some((data, play["claims"].clone()))
    });
    assert_eq!(play["outcome"], "played", "{play}");
    let skew = play["started_ms"].as_i64().unwrap() - play["due_ms"].as_i64().unwrap();
    assert!(skew.abs() < 1_000, "the record says it started {skew} ms off");
    let until_here = recording.seconds();
    until("the last sample is recorded", || recording.seconds() > until_here + 1.0).await;
    let street = recording.finish();
    let (at, like) = find(&left(&clip), &street, onset(&street, 0));
    assert!(like > 0.95, "{like} at {at}");

    demo.terminate(30);
    assert!(!std::path::Path::new(&data).exists(), "it leaves nothing behind");
}

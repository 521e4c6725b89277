//! From a playlist file to sound, text and signed proof.

use super::commune::{CLIP_S, Commune, claims, has_files, in_seconds};
use super::mosquitto::Mosquitto;
use super::process::wait_for;
use super::sound::Recording;

/// Plays one cue on a loudspeaker and a board and checks all that can be known of it.
fn one_cue_end_to_end(mut commune: Commune, broker: Option<&Mosquitto>) {
    commune.serve();
    commune.enrol("loa-dinh-lang");
    commune.enrol("bang-cong");
    let _speaker = commune.device("loa-dinh-lang");
    let _board = commune.device("bang-cong");
    if let Some(broker) = broker {
        broker.admit(&commune, "loa-dinh-lang");
        broker.admit(&commune, "bang-cong");
    }
    let at = in_seconds(15);
    commune.playlist(&[at]);

    let play = wait_for("the record of the play", 60, || {
        commune.records_of("loa-dinh-lang", "play").into_iter().next()
    });
    let play = claims(&play);
    assert_eq!(play["outcome"], "played", "{play}");
    assert_eq!(play["title"], "Tiếng còi");
    assert_eq!(play["due_ms"], at);
    let skew = play["started_ms"].as_i64().unwrap() - at;
    assert!(skew.abs() < 1000, "the record says it started {skew} ms off");
    let played = play["played_ms"].as_i64().unwrap();
    assert!((played - CLIP_S * 1000).abs() < 100, "{played} ms sounded");

    let show = wait_for("the record of the showing", 90, || {
        commune.records_of("bang-cong", "show").into_iter().next()
    });
    assert_eq!(claims(&show)["title"], "Chữ trên bảng");
    assert!(claims(&show)["times"].as_i64().unwrap() > 0);
    assert!(has_files(&commune.path("frames")));

    let street = Recording::read(&commune.street());
    let stretches = street.stretches();
    assert_eq!(stretches.len(), 1, "one stretch of sound");
    assert_eq!(street.falls(stretches[0]), 0, "the clip from its beginning to its end, once");
    let length = (stretches[0].1 - stretches[0].0) as f64 / f64::from(street.rate);
    assert!((length - CLIP_S as f64).abs() < 0.2, "{length} s of sound");

    let server = commune.server.take().unwrap();
    server.terminate(10);
}

#[test]
fn a_clip_and_a_text_go_from_the_folder_to_signed_records() {
    let commune = Commune::new();
    commune.init();
    one_cue_end_to_end(commune, None);
}

#[test]
fn the_same_goes_through_a_mosquitto_installed_as_we_say() {
    let commune = Commune::new();
    commune.init();
    let broker = Mosquitto::install(&commune);
    one_cue_end_to_end(commune, Some(&broker));
}

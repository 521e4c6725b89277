//! Holds through real processes: silence, who has not confirmed, obedience on return, release.

use super::commune::{Commune, claims, in_seconds};
use super::process::wait_for;

#[test]
fn a_hold_silences_and_lists_who_is_away_and_who_returns_obeys() {
    let mut commune = Commune::new();
    commune.init();
    commune.serve();
    commune.enrol("loa-dinh-lang");
    commune.enrol("bang-cong");
    let speaker = commune.device("loa-dinh-lang");
    let _board = commune.device("bang-cong");
    let first = in_seconds(14);
    let later = first + 25_000;
    commune.playlist(&[first, later]);
    wait_for("the first start", 60, || commune.records_of("loa-dinh-lang", "start").pop());

    // The loudspeaker is cut off in the midst of the clip: it cannot hear of the hold.
    speaker.kill();
    let held = commune.ordered(&[
        "hold",
        "99901",
        "--until",
        "10m",
        "--reason",
        "Quốc tang",
        "--wait",
        "5",
    ]);
    assert_eq!(held["hold"]["state"], "held");
    let of = |answer: &serde_json::Value, device: &str| {
        let devices = answer["devices"].as_array().unwrap();
        devices.iter().find(|one| one["device"] == device).unwrap().clone()
    };
    assert_eq!(of(&held, "loa-dinh-lang")["confirmed"], false);
    let still = of(&held, "loa-dinh-lang")["would_play"].as_array().unwrap().len();
    assert!(still > 0, "what it would still play is told: {held}");
    assert_eq!(of(&held, "bang-cong")["confirmed"], true, "{held}");
    assert_eq!((&held["confirmed"], &held["unconfirmed"]), (&1.into(), &1.into()));

    // It comes back, finds the hold, confirms, and its next cue is refused for it.
    let _speaker = commune.device("loa-dinh-lang");
    let jti = held["hold"]["jti"].as_str().unwrap().to_owned();
    wait_for("its confirmation", 40, || {
        let said = commune.json(&["records", "--jti", &jti, "--device", "loa-dinh-lang"]);
        (!said.as_array()?.is_empty()).then_some(())
    });
    let refused = wait_for("the refused cue", 90, || {
        let plays = commune.records_of("loa-dinh-lang", "play");
        plays.into_iter().find(|play| claims(play)["due_ms"] == later)
    });
    let said = claims(&refused);
    assert_eq!((&said["outcome"], &said["cause"]), (&"refused".into(), &"hold".into()));
    assert!(said["started_ms"].is_null(), "{said}");

    let gone = commune.ordered(&["hold", "99901", "--release", "--reason", "xong", "--wait", "20"]);
    assert_eq!((&gone["hold"]["state"], &gone["unconfirmed"]), (&"released".into(), &0.into()));
    let listed = commune.ordered(&["hold", "list"]);
    assert_eq!(listed[0]["state"], "released");
}

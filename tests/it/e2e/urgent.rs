//! Urgent notices through real processes: what the street hears, the board shows, the records say.

use super::commune::{CLIP_S, Commune, claims, in_seconds};
use super::process::{Running, wait_for};
use super::sound::{Recording, write_chirp};
use serde_json::Value;

impl Commune {
    /// Sends a notice to the whole commune; returns its id.
    fn urgent(&self, more: &[&str]) -> String {
        let mut all = vec![
            "urgent",
            "send",
            "--unit",
            "99901",
            "--reason",
            "Lũ lên nhanh",
            "--document",
            "05/CĐ-UBND",
            "--issuer",
            "UBND tỉnh",
            "--yes",
        ];
        all.extend(more);
        self.ordered(&all)["notice"]["jti"].as_str().unwrap().to_owned()
    }

    fn stage(&self, jti: &str, device: &str) -> Value {
        let shown = self.ordered(&["urgent", "show", jti]);
        let devices = shown["devices"].as_array().unwrap().clone();
        devices.into_iter().find(|one| one["device"] == device).unwrap()
    }
}

/// A commune whose loudspeaker and board are ready, with a siren on standby.
fn ready() -> (Commune, Vec<Running>) {
    let mut commune = Commune::new();
    write_chirp(&commune.path("playlists/clips/còi hụ.wav"), 1.0);
    commune.station("[standby.siren]\nclip = \"clips/còi hụ.wav\"\ntext = \"BÁO ĐỘNG\"\n");
    commune.init();
    commune.serve();
    let mut agents = Vec::new();
    for device in ["loa-dinh-lang", "bang-cong"] {
        commune.enrol(device);
        agents.push(commune.device(device));
    }
    (commune, agents)
}

#[test]
fn a_notice_cuts_the_bulletin_which_rejoins_and_the_board_shows_its_text() {
    let (commune, _agents) = ready();
    let at = in_seconds(14);
    commune.playlist(&[at]);
    wait_for("the bulletin", 60, || commune.records_of("loa-dinh-lang", "start").pop());
    let jti = commune.urgent(&["--template", "siren", "--repeat", "1", "--expires", "1m"]);
    let done = wait_for("the siren's end", 40, || {
        let one = commune.stage(&jti, "loa-dinh-lang");
        (one["stage"] == "ended").then_some(one)
    });
    assert_eq!(done["times"], 1);
    assert!(done["first_play_ms"].as_i64().unwrap() >= 0, "{done}");
    wait_for("the board", 40, || {
        (commune.stage(&jti, "bang-cong")["stage"] == "started").then_some(())
    });
    // The bulletin gave way, and what was left of its time sounded after the siren, or nothing was
    // left: its records say so, name the notice, and none of the notice's counts as a cue.
    let cut = wait_for("the bulletin's record", 40, || {
        let plays = commune.records_of("loa-dinh-lang", "play");
        plays.into_iter().find(|play| claims(play)["by"] == jti.as_str())
    });
    assert_eq!(claims(&cut)["cause"], "pre-empted");
    assert!(cut["cue"].is_string() && cut["jti"].is_null());
    let mine = commune.json(&["records", "--jti", &jti]);
    assert!(mine.as_array().unwrap().iter().all(|record| record["cue"].is_null()), "{mine}");
    let sounded: i64 = commune
        .records_of("loa-dinh-lang", "play")
        .iter()
        .filter(|play| play["cue"] == cut["cue"])
        .map(|play| claims(play)["played_ms"].as_i64().unwrap())
        .sum();
    assert!(sounded <= CLIP_S * 1000 + 50, "no stretch sounds twice: {sounded} ms");
    assert!(!Recording::read(&commune.street()).stretches().is_empty());
}

#[test]
fn a_withdrawal_ends_the_repeats_and_a_drill_never_sounds() {
    let (commune, _agents) = ready();
    wait_for("the devices", 40, || {
        let (_, ready) = commune.get("/readyz")?;
        let held = commune.records_of("loa-dinh-lang", "boot").len();
        (held > 0 && !ready.is_empty()).then_some(())
    });
    let drill = commune.urgent(&["--template", "siren", "--drill", "--repeat", "1"]);
    let answered = wait_for("the drill's answer", 40, || {
        let one = commune.stage(&drill, "loa-dinh-lang");
        (one["stage"] == "fetched").then_some(one)
    });
    assert!(answered["started"].is_null() && answered["first_play_ms"].is_null());

    let jti = commune.urgent(&[
        "--template",
        "siren",
        "--repeat",
        "50",
        "--gap",
        "1s",
        "--expires",
        "5m",
    ]);
    wait_for("the siren", 40, || {
        (commune.stage(&jti, "loa-dinh-lang")["times"].as_i64()? > 0).then_some(())
    });
    commune.ordered(&["urgent", "withdraw", &jti, "--reason", "báo nhầm"]);
    let last = wait_for("the withdrawal's answer", 40, || {
        let one = commune.stage(&jti, "loa-dinh-lang");
        (one["stage"] == "withdrawn").then_some(one)
    });
    assert!(last["times"].as_i64().unwrap() < 50);
    let starts = commune.records_of("loa-dinh-lang", "start");
    assert!(starts.iter().all(|start| start["jti"] == jti.as_str()), "the drill began nothing");
    let trail = commune.json(&["trail"]);
    let told: Vec<_> =
        trail.as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap()).collect();
    assert!(told.contains(&"withdraw-urgent") && told.contains(&"send-drill"), "{told:?}");
}

#[test]
fn a_restart_of_server_or_device_repeats_nothing_and_the_end_clears_it() {
    let (mut commune, mut agents) = ready();
    wait_for("the loudspeaker", 40, || commune.records_of("loa-dinh-lang", "boot").pop());
    let jti = commune.urgent(&["--template", "siren", "--repeat", "1", "--expires", "25s"]);
    wait_for("the siren's end", 40, || {
        (commune.stage(&jti, "loa-dinh-lang")["stage"] == "ended").then_some(())
    });
    commune.server.take().unwrap().kill();
    agents.remove(0).kill();
    commune.serve();
    let speaker = commune.device("loa-dinh-lang");
    wait_for("the second boot", 40, || {
        (commune.records_of("loa-dinh-lang", "boot").len() > 1).then_some(())
    });
    wait_for("the end of the notice", 90, || {
        let shown = commune.ordered(&["urgent", "show", &jti]);
        (shown["notice"]["state"] == "over").then_some(())
    });
    drop(speaker);
    let _late = commune.device("loa-dinh-lang");
    wait_for("the third boot", 40, || {
        (commune.records_of("loa-dinh-lang", "boot").len() > 2).then_some(())
    });
    let starts = commune.records_of("loa-dinh-lang", "start");
    assert_eq!(starts.len(), 1, "it sounded once: {starts:?}");
}

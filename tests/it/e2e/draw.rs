//! Plays of a real loudspeaker are drawn from a real server, and anybody draws the same.

use super::commune::{Commune, claims, in_seconds};
use super::process::{run, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Draws by the script that anybody can read.
fn by_python(text: &str, wanted: usize) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/draw.py");
    let mut child = Command::new("python3")
        .args([script, &wanted.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn plays_are_drawn_once_by_whoever_asks_and_findings_are_counted() {
    let mut commune = Commune::new();
    commune.init();
    let token = fs::read_to_string(commune.path("token")).unwrap();
    commune.serve();
    commune.enrol("loa-dinh-lang");
    let _speaker = commune.device("loa-dinh-lang");
    wait_for("a device that is there", 30, || commune.records().pop());
    let at = in_seconds(6);
    commune.playlist(&[at]);
    wait_for("the play", 60, || {
        let plays = commune.records_of("loa-dinh-lang", "play");
        plays.into_iter().find(|play| claims(play)["due_ms"] == at)
    });
    let data = commune.path("data").display().to_string();
    wait_for("a log that holds it", 20, || {
        (super::process::json(&["log", "show", "--data", &data, "--json"])["waiting"] == 0)
            .then_some(())
    });

    let instant = |ms: i64| {
        let at = loa::domain::time::UtcMs(ms).datetime();
        at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
    };
    let (from, to) = (instant(at - 3_600_000), instant(at + 1_000));
    let ask = json!({ "from": from, "to": to, "unit": "99901" }).to_string();
    let (code, drawn) = commune.api("POST", "draws", &token, &ask);
    assert_eq!(code, 201, "{drawn}");
    assert_eq!((&drawn["draw"]["plays"], &drawn["list"]["drawn"]), (&json!(1), &json!(1)));
    let (code, again) = commune.api("POST", "draws", &token, &ask);
    assert_eq!((code, &again["draw"]), (200, &drawn["draw"]), "a question is drawn once");

    // The command line finds the same draw, and anybody draws the same numbers of its ground.
    let station = commune.path("playlists").display().to_string();
    let question = ["--from", &from, "--to", &to, "--unit", "99901"];
    let profiles = commune.path("profiles").display().to_string();
    let place = ["--data", &data, "--playlists", &station, "--profiles", &profiles];
    let args = |more: &'static str| [&["audit", "sample"], &question[..], &place, &[more]].concat();
    let (code, out, err) = run(&args("--json"));
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("a question is drawn once") && err.contains("no witnesses"), "{err}");
    let sample: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(sample["draw"], drawn["draw"]);
    let text = drawn["text"].as_str().unwrap();
    let ground: String = text
        .lines()
        .filter_map(|line| line.strip_prefix("    ").filter(|line| !line.starts_with(' ')))
        .fold(String::new(), |ground, line| ground + line + "\n");
    let expected = format!("{} 0", drawn["list"]["seed"].as_str().unwrap());
    assert_eq!(by_python(&ground, 30), expected);

    // The table of the list comes back with a finding.
    let (code, table, err) = run(&args("--csv"));
    assert_eq!(code, 0, "{err}");
    let today = chrono::DateTime::from_timestamp_millis(at).unwrap().format("%Y-%m-%d");
    let filled = table.replace(",1,,,,", &format!(",1,đúng,Lê Thị Hoa,{today},"));
    assert_ne!(filled, table);
    commune.write("found.csv", &filled);
    commune.write("draw.json", &out);
    let file = |name: &str| commune.path(name).display().to_string();
    let id = drawn["id"].as_str().unwrap();
    let (code, kept, err) =
        run(&["audit", "findings", id, &file("found.csv"), "--data", &data, "--json"]);
    assert_eq!(code, 0, "{err}");
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!((&kept["confirmed"], &kept["open"]), (&json!(1), &json!(0)));
    let (code, offline, err) =
        run(&["audit", "findings", &file("draw.json"), &file("found.csv"), "--json"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(serde_json::from_str::<Value>(&offline).unwrap(), kept, "without the server");
    let (code, shown) = commune.api("GET", &format!("draws/{id}"), &token, "");
    assert_eq!((code, &shown["result"]), (200, &kept));
    let (code, listed) = commune.api("GET", "draws?limit=1", &token, "");
    assert_eq!((code, &listed["draws"][0]["id"]), (200, &drawn["id"]));
    let actions = commune.json(&["trail"]).to_string();
    assert!(actions.contains("draw-plays") && actions.contains("take-findings"), "{actions}");
}

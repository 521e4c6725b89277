//! Reports of a real play: the same question has the same answer, whoever asks and however often
//! the server starts, and each file stands in the log by its hash.

use super::commune::{Commune, claims, in_seconds, local_date, zone};
use super::process::{json, run, wait_for};
use loa::domain::ids::Digest;
use std::fs;

#[test]
fn the_same_question_has_the_same_bytes_also_when_the_server_starts_again() {
    let mut commune = Commune::new();
    commune.init();
    let token = fs::read_to_string(commune.path("token")).unwrap();
    commune.serve();
    commune.enrol("loa-dinh-lang");
    let speaker = commune.device("loa-dinh-lang");
    wait_for("a device that is there", 30, || commune.records().pop());
    let at = in_seconds(6);
    commune.playlist(&[at]);
    wait_for("the play", 60, || {
        let plays = commune.records_of("loa-dinh-lang", "play");
        plays.into_iter().find(|play| claims(play)["due_ms"] == at)
    });
    // What the device says from now on would be another answer.
    speaker.terminate(20);
    let data = commune.path("data").display().to_string();
    wait_for("a log that holds all", 20, || {
        (json(&["log", "show", "--data", &data, "--json"])["waiting"] == 0).then_some(())
    });

    let (day, zone) = (local_date(at), zone());
    let root = commune.path("");
    let file = |name: &str| root.join(name).display().to_string();
    let report = |kind: &str, format: &str, name: &str| {
        let out = file(name);
        let question =
            ["--unit", "99901", "--from", &day, "--to", &day, "--format", format, "--zone", &zone];
        let args = [&["report", kind], &question[..], &["--data", &data, "--out", &out]].concat();
        let (code, said, err) = run(&args);
        assert_eq!(code, 0, "{said}\n{err}");
        fs::read(out).unwrap()
    };
    let mut first = Vec::new();
    for (kind, format) in [
        ("as-run", "csv"),
        ("sổ-nhật-ký-phát-thanh", "pdf"),
        ("coverage", "xlsx"),
        ("compare", "json"),
    ] {
        let bytes = report(kind, format, &format!("{kind}-1"));
        assert!(bytes == report(kind, format, &format!("{kind}-2")), "{kind} asked twice");
        first.push((kind, format, bytes));
    }
    let table = String::from_utf8(first[0].2.clone()).unwrap();
    assert!(table.starts_with('\u{feff}') && table.contains("loa-dinh-lang"), "{table}");
    assert!(first[1].2.starts_with(b"%PDF"));
    let (code, diary) =
        commune.api("GET", &format!("reports/diary?unit=99901&from={day}&to={day}"), &token, "");
    assert_eq!(code, 200, "{diary}");

    commune.server.take().unwrap().kill();
    commune.serve();
    for (kind, format, bytes) in &first {
        assert!(*bytes == report(kind, format, &format!("{kind}-3")), "{kind} after a restart");
    }
    let (code, again) =
        commune.api("GET", &format!("reports/diary?unit=99901&from={day}&to={day}"), &token, "");
    assert_eq!((code, again), (200, diary));

    // Handed out once each, and in the log by their hashes.
    let (code, listed) = commune.api("GET", "reports", &token, "");
    assert_eq!(code, 200, "{listed}");
    let hashes: Vec<_> = listed["files"].as_array().unwrap().iter().map(|f| &f["sha256"]).collect();
    assert_eq!(hashes.len(), first.len() + 1, "{listed}");
    for (kind, _, bytes) in &first {
        let hash = serde_json::Value::from(Digest::of(bytes).to_string());
        assert!(hashes.contains(&&hash), "{kind}: {listed}");
    }

    // The complaint desk knows it too, and nothing of an hour in which all was silent.
    let heard = |ms: i64| {
        let at = chrono::DateTime::from_timestamp_millis(ms).unwrap().to_rfc3339();
        let place = ["--place", "loa-dinh-lang", "--at", &at, "--margin", "1"];
        let out = file(&format!("heard-{ms}"));
        let rest = ["--format", "csv", "--data", &data, "--out", &out];
        let (code, said, err) = run(&[&["heard"], &place[..], &rest].concat());
        assert_eq!(code, 0, "{said}\n{err}");
        fs::read_to_string(out).unwrap()
    };
    let title = claims(&commune.records_of("loa-dinh-lang", "play")[0])["title"].clone();
    let title = title.as_str().unwrap();
    assert!(heard(at).contains(title), "{}", heard(at + 1));
    assert!(!heard(at - 7_200_000).contains(title));
}

//! Plays of a real loudspeaker are drawn from a real server, and anybody draws the same.

use super::commune::{Commune, claims, in_seconds};
use super::process::{free_port, run, wait_for};
use super::witness;
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
    let port = free_port();
    let key = witness::init(&commune, "w1");
    commune.more(&format!("[log]\nwitnesses = [\"{key} http://127.0.0.1:{port}\"]\n"));
    commune.init();
    let token = fs::read_to_string(commune.path("token")).unwrap();
    let log = witness::name_log(&commune);
    witness::watch(&commune, "w1", &log);
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
    let logged = || {
        let told = super::process::json(&["log", "show", "--data", &data, "--json"]);
        (told["waiting"] == 0).then(|| told["shards"][0]["size"].as_u64().unwrap())
    };
    let size = wait_for("a log that holds it", 20, logged);
    // The first head that is cosigned is kept at once: it holds the play. A server that starts does
    // not wait long before it asks again.
    commune.server.take().unwrap().terminate(10);
    let _witness = witness::serve(&commune, "w1", port);
    commune.serve();
    wait_for("a head that was kept", 30, || {
        let kept = fs::read_dir(commune.path("data/log")).unwrap().flatten();
        let days = kept.flat_map(|shard| fs::read_dir(shard.path().join("cosigned")));
        let notes = days.flatten().flatten().filter_map(|day| fs::read_to_string(day.path()).ok());
        let text: String = notes.collect();
        let sizes = text.lines().filter_map(|line| line.parse::<u64>().ok());
        sizes.max().filter(|kept| *kept >= size)
    });

    let instant = |ms: i64| {
        let at = loa::domain::time::UtcMs(ms).datetime();
        at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
    };
    let (from, to) = (instant(at - 3_600_000), instant(at + 1_000));
    let ask = json!({ "from": from, "to": to, "unit": "99901" }).to_string();
    let drawn = wait_for("a head that decides", 20, || {
        let (code, drawn) = commune.api("POST", "draws", &token, &ask);
        assert!(code == 201 || drawn["code"] == "too-early", "{code} {drawn}");
        (code == 201).then_some(drawn)
    });
    assert_eq!(drawn["draw"]["head"]["by"], "witnesses");
    assert_eq!((&drawn["draw"]["plays"], &drawn["list"]["drawn"]), (&json!(1), &json!(1)));
    let (code, again) = commune.api("POST", "draws", &token, &ask);
    assert_eq!((code, &again["draw"]), (200, &drawn["draw"]), "a question is drawn once");

    // The command line finds the same draw, and anybody draws the same numbers of its ground.
    let station = commune.path("playlists").display().to_string();
    let path = |name: &str| commune.path(name).display().to_string();
    let question = ["--from", &from, "--to", &to, "--unit", "99901"];
    let profiles = commune.path("profiles").display().to_string();
    let place = ["--data", &data, "--playlists", &station, "--profiles", &profiles];
    let args = |more: &'static str| [&["audit", "sample"], &question[..], &place, &[more]].concat();
    let (code, out, err) = run(&args("--json"));
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("a question is drawn once"), "{err}");
    let sample: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(sample["draw"], drawn["draw"]);
    let text = drawn["text"].as_str().unwrap();
    let ground: String = text
        .lines()
        .filter_map(|line| line.strip_prefix("    ").filter(|line| !line.starts_with(' ')))
        .fold(String::new(), |ground, line| ground + line + "\n");
    let expected = format!("{} 0", drawn["list"]["seed"].as_str().unwrap());
    assert_eq!(by_python(&ground, 30), expected);

    // Out of a pack, by the policy alone, comes the same draw.
    let (out_file, policy) = (path("pack.tar"), path("policy"));
    let day = |ms: i64| instant(at + ms);
    let (first, last) = (day(-7_200_000), day(7_200_000));
    let window = ["--from", &first, "--to", &last, "--out", &out_file, "--data", &data];
    let (code, _, err) = run(&[&["audit", "pack"], &window[..]].concat());
    assert_eq!(code, 0, "{err}");
    let told = super::process::json(&["log", "policy", "--data", &data, "--json"]);
    commune.write("policy", told["policy"].as_str().unwrap());
    let zone = super::commune::zone();
    let by = ["--pack", &out_file, "--policy", &policy, "--zone", &zone, "--json"];
    let (code, packed, err) = run(&[&["audit", "sample"], &question[..], &by[..]].concat());
    assert_eq!(code, 0, "{err}");
    let packed: Value = serde_json::from_str(&packed).unwrap();
    for same in ["/draw/id", "/draw/plays", "/draw/list", "/draw/head", "/list/seed"] {
        assert_eq!(packed.pointer(same), sample.pointer(same), "{same}");
        assert!(packed.pointer(same).is_some(), "{same}");
    }
    let visit = |draw: &Value| {
        let cluster = &draw["list"]["clusters"][0];
        json!([cluster["code"], cluster["device"], cluster["plays"]])
    };
    assert_eq!(visit(&packed), visit(&sample));
    let other = [&["audit", "sample"], &question[..2], &["--to", &last], &by[..]].concat();
    let (code, _, err) = run(&other);
    assert!(code == 2 && err.contains("hint:"), "{code} {err}");

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

//! A real authority stamps the log of a real server; whoever has its certificate believes it.

use super::super::support::tsa::Tsa;
use super::commune::Commune;
use super::process::{json, run, wait_for};
use serde_json::Value;
use std::fs;

#[test]
fn the_log_of_a_server_is_stamped_shown_served_and_backed_up() {
    let tsa = Tsa::start();
    let mut commune = Commune::new();
    commune.more(&format!("[log.tokens]\nurl = \"{}\"\nca_file = \"tsa.pem\"\n", tsa.url));
    fs::copy(tsa.ca(), commune.path("playlists/tsa.pem")).unwrap();
    commune.init();
    commune.serve();
    let data = commune.path("data").display().to_string();
    let shard = wait_for("a stamp", 40, || {
        let shown = json(&["log", "show", "--data", &data, "--json"]);
        let shard = shown["shards"][0].clone();
        shard["tokens"][0]["at"].is_string().then_some(shard)
    });
    let (name, size) =
        (shard["shard"].as_str().unwrap(), shard["tokens"][0]["size"].as_u64().unwrap());
    let below = |end: &str| format!("data/log/{name}/tokens/{size}.{end}");
    tsa.must_believe(&commune.path(&below("note")), &commune.path(&below("tsr")));
    let (code, note) = commune.get_plain(&format!("/log/{name}/tokens/{size}.note")).unwrap();
    assert_eq!(code, 200);
    assert_eq!(note, fs::read_to_string(commune.path(&below("note"))).unwrap());
    let ready = wait_for("a server that tells of it", 20, || {
        let (_, body) = commune.get_plain("/readyz")?;
        let ready: Value = serde_json::from_str(&body).ok()?;
        ready["last_stamp"].as_str().filter(|at| *at != "never").map(str::to_owned)
    });
    assert!(ready.starts_with("20"), "{ready}");
    let (code, text, err) = run(&["log", "show", "--data", &data]);
    assert_eq!(code, 0, "{err}");
    assert!(text.contains(&format!("{name} at {size} leaves")), "{text}");
    let kept = commune.path("kept.loa").display().to_string();
    let station = commune.path("playlists").display().to_string();
    let profiles = commune.path("profiles").display().to_string();
    let folders = ["--data", &data, "--playlists", &station, "--profiles", &profiles];
    let (code, _, err) = run(&[&["backup", "--out", &kept], &folders[..]].concat());
    assert_eq!(code, 0, "{err}");
    let listed = std::process::Command::new("tar").args(["tf", &kept]).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains(&below("tsr")) && listed.contains(&below("note")), "{listed}");
}

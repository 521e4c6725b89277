//! The disk of the server is lost, and an older backup restored.

use super::commune::{Commune, claims, in_seconds};
use super::process::{json, wait_for};
use std::collections::BTreeSet;
use std::fs;

const LOA: &str = "loa-dinh-lang";

/// Waits for a record of a cue that is due at that instant.
fn wait_for_record(commune: &Commune, kind: &str, due_ms: i64) {
    let near = |record: &serde_json::Value| {
        let claims = claims(record);
        let at = claims["due_ms"].as_i64().or_else(|| claims["started_ms"].as_i64());
        at.is_some_and(|at| (at - due_ms).abs() < 2_500)
    };
    wait_for("the record of a cue", 60, || {
        commune.records_of(LOA, kind).iter().any(near).then_some(())
    });
}

#[test]
fn after_the_disk_is_lost_an_old_backup_brings_every_record_and_the_next_timetable() {
    let mut commune = Commune::new();
    commune.init();
    commune.serve();
    commune.enrol(LOA);
    let device = commune.device(LOA);
    let first = in_seconds(10);
    commune.playlist(&[first]);
    wait_for_record(&commune, "start", first);

    let file = commune.path("hôm qua.loa").display().to_string();
    let (playlists, profiles) = (commune.path("playlists"), commune.path("profiles"));
    let folders = [playlists.display().to_string(), profiles.display().to_string()];
    let folders = ["--playlists", &folders[0], "--profiles", &folders[1]];
    commune.write("pw", "bốn từ không ai đoán");
    let pw = commune.path("pw").display().to_string();
    let with = ["--with-keys", "--passphrase-file", &pw];
    let args = [&["backup", "--out", &file], &with[..], &folders[..]].concat();
    let written = commune.json(&args);
    let held = written["records"].as_u64().unwrap();
    assert!(held > 0);

    // The station goes on: a new timetable, further records, all receipted.
    let second = in_seconds(9);
    commune.playlist(&[first, second]);
    wait_for_record(&commune, "play", second);
    let before = commune.records();
    assert!(before.len() as u64 > held);

    commune.server.take().unwrap().kill();
    fs::remove_dir_all(commune.path("data")).unwrap();
    fs::remove_dir_all(&playlists).unwrap();
    fs::remove_dir_all(&profiles).unwrap();
    let data = commune.path("data").display().to_string();
    let args = [&["restore", &file, "--json", "--data", &data], &with[1..], &folders[..]].concat();
    assert_eq!(json(&args)["records"], held);
    assert_eq!(commune.records().len() as u64, held, "the rest is gone from here");

    commune.serve();
    let third = in_seconds(10);
    commune.playlist(&[first, second, third]);
    wait_for_record(&commune, "play", third);
    let jws = |records: &[serde_json::Value]| -> BTreeSet<String> {
        records.iter().map(|record| record["jws"].as_str().unwrap().to_owned()).collect()
    };
    let lost = jws(&before);
    let after = wait_for("the records that the backup did not have", 60, || {
        let records = commune.records();
        lost.is_subset(&jws(&records)).then_some(records)
    });
    assert_eq!(jws(&after).len(), after.len(), "none twice");
    let mut numbers: Vec<_> = after.iter().map(|r| r["seq"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=after.len() as u64).collect::<Vec<_>>(), "one chain without a gap");
    assert!(after.iter().all(|record| record["fault"].is_null()));
    drop(device);
    // The log goes on in a shard that names what was lost, and holds what came again.
    let log = wait_for("the log to hold all that waits", 30, || {
        let log = commune.json(&["log", "show"]);
        (log["waiting"] == 0).then_some(log)
    });
    let shards = log["shards"].as_array().unwrap();
    assert_eq!(shards.len(), 2, "{log}");
    let first = commune.json(&["log", "show", "--leaf", "0"]);
    assert_eq!(first["content"]["kind"], "restored", "{first}");
    let known = first["content"]["known"]["size"].as_u64().unwrap();
    assert!(first["content"]["witnessed"]["size"].as_u64().unwrap() > known, "{first}");
    assert_eq!(commune.json(&["log", "check"])["ok"], true);
}

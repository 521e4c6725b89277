//! Full disks, real ones: the server's and a device's. It is named, what can go on goes on, and when
//! there is room again everything is made up for and no record is missing.

use super::chance::Chance;
use super::chaos::exported;
use super::commune::{CLIP_S, Commune, claims, in_seconds, local_time};
use super::courier::Fleet;
use super::process::{run, wait_for, wait_while_it_moves};
use super::sound::write_chirp;
use super::tiny::{TinyDisk, run_with_disk};
use loa::clock::{Clock as _, SystemClock};
use loa::device::enrol::{self, Dates};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;

const LOA: &str = "loa-dinh-lang";
const COURIER: &str = "loa-chuyen";
/// More than a store takes that cannot grow.
const RECORDS: u64 = 4_000;

/// Waits for a play of each of the cues; all records of the device are then one whole chain.
fn plays(commune: &Commune, cues: &[i64]) -> Vec<Value> {
    let all = wait_for("a play of every cue", 90, || {
        let all = commune.json(&["records", "--device", LOA, "--limit", "10000"]);
        let all = all.as_array().unwrap().clone();
        let plays: Vec<_> = all.iter().filter(|r| r["kind"] == "play").collect();
        let told = |cue: &i64| plays.iter().any(|play| claims(play)["due_ms"] == *cue);
        cues.iter().all(told).then_some(all)
    });
    let mut all = all;
    all.sort_by_key(|record| record["seq"].as_u64());
    for (i, record) in all.iter().enumerate() {
        assert_eq!(record["chain"], all[0]["chain"], "one chain");
        assert_eq!(record["seq"], i as u64 + 1, "no number is missing, none comes twice");
        assert!(record["fault"].is_null(), "{record}");
        assert_ne!(record["kind"], "lost", "{record}");
    }
    all.iter().filter(|r| r["kind"] == "play").map(|r| claims(r).clone()).collect()
}

/// Waits for a play that has come to an end.
fn heard(commune: &Commune, cue: i64) {
    let clock = SystemClock::new();
    let over = cue + CLIP_S * 1_000 + 500;
    wait_for("the end of a cue", 60, || (clock.now().0 > over).then_some(()));
    assert!(commune.street().exists());
}

#[test]
fn a_server_whose_disk_is_full_says_so_keeps_devices_playing_and_makes_up_for_it() {
    run_with_disk(32, "e2e::disk::the_server_on_its_disk");
}

#[test]
fn a_device_whose_disk_is_full_plays_on_and_its_records_come_when_there_is_room() {
    run_with_disk(4, "e2e::disk::the_device_on_its_disk");
}

#[test]
#[ignore = "runs where a small disk is mounted, by the test above"]
fn the_server_on_its_disk() {
    let disk = TinyDisk::here();
    let mut commune = Commune::new();
    symlink(disk.path(), commune.path("data")).unwrap();
    let register = fs::read_to_string(commune.path("playlists/devices.csv")).unwrap();
    let courier = format!("{register}{COURIER},Loa chuyển,99901-dinh,,loa-thu\n");
    commune.write("playlists/devices.csv", &courier);
    commune.init();
    commune.serve();
    let code = (commune.path(COURIER), commune.code(COURIER));
    let mut fleet = Fleet::enrol(vec![code], Chance::new());
    fleet.start();
    commune.enrol(LOA);
    let _device = commune.device(LOA);
    let first = in_seconds(10);
    let mut cues = vec![first, first + 8_000];
    commune.playlist(&cues);
    wait_for("the first start", 40, || commune.records_of(LOA, "start").pop());

    // What the store has room for in its own file it still takes; then it is at its end.
    disk.fill();
    fleet.allow(RECORDS);
    let ready = wait_for("a server that says that it cannot write", 40, || {
        commune.get("/readyz").filter(|(status, _)| *status == 503)
    });
    assert!(ready.1.contains("\"store\":false"), "{}", ready.1);
    let said = wait_for("the name of what is wrong", 20, || {
        let said = commune.server.as_ref().unwrap().said();
        said.contains("the disk of the store is full").then_some(said)
    });
    assert!(said.contains("free space on the disk of `--data`"), "{said}");
    let (status, page) = commune.get("/").unwrap();
    assert!(status == 200 && page.contains("Bản ghi chưa được lưu"), "{page}");
    assert!(!commune.records().is_empty(), "what is there can be read");
    heard(&commune, cues[1]);

    // A clip that finds no room in the library is named; what is in force stays so.
    write_chirp(&commune.path("playlists/clips/tiếng còi dài.wav"), 30.0);
    let list = fs::read_to_string(commune.path("playlists/thu.toml")).unwrap();
    commune.write("playlists/thu.toml", &list.replace("tiếng còi.wav", "tiếng còi dài.wav"));
    // Nothing half-written stays of a backup.
    let out = disk.path().join("sao lưu.loa").display().to_string();
    let folders = ["data", "playlists", "profiles"].map(|f| commune.path(f).display().to_string());
    let [data, lists, profiles] = folders.each_ref();
    let args = ["backup", "--out", &out, "--data", data, "--playlists", lists];
    let (code, _, error) = run(&[&args[..], &["--profiles", profiles]].concat());
    assert!(code > 0 && error.contains("hint"), "{code} {error}");
    assert!(!fs::exists(&out).unwrap());
    // On another disk it is made all the same: now it is needed most.
    let beside = commune.path("sao lưu.loa").display().to_string();
    let args = ["backup", "--out", &beside, "--data", data, "--playlists", lists];
    let (code, _, error) = run(&[&args[..], &["--profiles", profiles]].concat());
    assert_eq!(code, 0, "{error}");
    assert!(error.contains("the backup is whole"), "the trail could not tell of it: {error}");
    let (code, _, error) = run(&["backup", "--verify", &beside]);
    assert_eq!(code, 0, "{error}");

    commune.write("playlists/thu.toml", &list);
    disk.free();
    wait_for("a server that is ready again", 60, || {
        commune.get("/readyz").filter(|(status, _)| *status == 200)
    });
    // It goes on as if nothing had been: new plans come into force, records are there.
    cues.push(in_seconds(10));
    commune.playlist(&cues);
    let plays = plays(&commune, &cues);
    assert!(plays.iter().all(|play| play["outcome"] == "played"), "{plays:?}");
    assert_eq!(plays.len(), cues.len(), "{plays:?}");
    wait_while_it_moves("a receipt for every record", 60, || match fleet.standing() {
        (true, 0) => Ok(()),
        way => Err(way),
    });
    let stored = exported(&commune);
    let (_, mut ledger) = fleet.ledgers().remove(0);
    let mut found = stored[COURIER].clone();
    ledger.sort_unstable();
    found.sort_unstable();
    assert!(ledger.len() as u64 >= RECORDS && found == ledger, "{} records", found.len());
    let (_, page) = commune.get("/").unwrap();
    assert!(!page.contains("Bản ghi chưa được lưu"), "{page}");

    // Started on a full disk it says what is wrong and ends, for its supervisor to try again.
    commune.server.take().unwrap().terminate(10);
    disk.fill();
    let mut server = commune.start_server("full.log", &[]);
    let ended = wait_for("the end of a server on a full disk", 30, || server.ended());
    assert_eq!(ended.code(), Some(3), "{}", server.said());
    let said = server.said();
    assert!(said.contains("hint: free space on the disk of `--data`"), "{said}");
    disk.free();
    commune.serve();
}

#[test]
#[ignore = "runs where a small disk is mounted, by the test above"]
fn the_device_on_its_disk() {
    let disk = TinyDisk::here();
    let mut commune = Commune::new();
    symlink(disk.path(), commune.path(LOA)).unwrap();
    commune.init();
    commune.serve();
    let (now, code) = (SystemClock::new().now(), commune.code(LOA).parse().unwrap());
    enrol::enrol(&commune.path(LOA), &code, false, "test", now, Dates::Judged).unwrap();
    let mut device = commune.device(LOA);
    let first = in_seconds(10);
    // The last leaves time to ask again for what did not fit.
    let cues = [first, first + 8_000, first + 40_000];
    commune.playlist(&cues[..2]);
    wait_for("the first start", 40, || commune.records_of(LOA, "start").pop());

    disk.fill();
    // The next clip does not fit; what is held plays.
    write_chirp(&commune.path("playlists/clips/dài.wav"), 10.0);
    let list = fs::read_to_string(commune.path("playlists/thu.toml")).unwrap();
    let more = format!(
        "[[items]]\nid = \"dai\"\ntitle = \"Dài\"\nclip = \"clips/dài.wav\"\norigin = \"xã\"\n\
         [[slots]]\nid = \"dai\"\nat = [\"{}\"]\nlongest = \"20s\"\nitems = [\"dai\"]\n",
        local_time(cues[2])
    );
    commune.write("playlists/thu.toml", &format!("{list}{more}"));
    heard(&commune, cues[1]);
    device.assert_alive();
    let said = device.said();
    assert!(said.contains("Records wait for the disk"), "{said}");
    assert!(said.contains("free space on the disk that holds the data folder"), "{said}");
    assert!(
        !commune.records_of(LOA, "play").iter().any(|play| claims(play)["due_ms"] == cues[1]),
        "what is not durable is not told"
    );

    disk.free();
    let plays = plays(&commune, &cues);
    device.assert_alive();
    assert_eq!(plays.len(), cues.len(), "{plays:?}");
    assert!(plays.iter().all(|play| play["outcome"] == "played"), "{plays:?}");
}

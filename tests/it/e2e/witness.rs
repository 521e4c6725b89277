//! A real witness vouches for the log of a real server, and a loudspeaker relies on it.

use super::commune::{Commune, claims, in_seconds};
use super::process::{Running, binary, free_port, json, run, wait_for};
use loa::wire::epoch::{KeySet, LogTrust};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Makes a witness and returns its key.
pub fn init(commune: &Commune, folder: &str) -> String {
    let data = commune.path(folder).display().to_string();
    let made = json(&["witness", "init", "audit.example/w1", "--data", &data, "--json"]);
    made["key"].as_str().unwrap().to_owned()
}

pub fn watch(commune: &Commune, folder: &str, log: &str) -> Value {
    let data = commune.path(folder).display().to_string();
    json(&["witness", "add", log, "--data", &data, "--json"])
}

pub fn serve(commune: &Commune, folder: &str, port: u16) -> Running {
    let mut command = Command::new(binary());
    let data = commune.path(folder).display().to_string();
    let http = format!("127.0.0.1:{port}");
    command.args(["witness", "serve", "--data", &data, "--http", &http]);
    let mut witness = Running::start(command, &commune.path(&format!("{folder}.log")));
    wait_for("a witness that listens", 20, || {
        witness.assert_alive();
        witness.said().contains("Witness of").then_some(())
    });
    witness
}

/// Changes what `keys` say of the log.
fn keys_log(commune: &Commune, more: &[&str]) {
    let path = |below: &str| commune.path(below).display().to_string();
    let (data, stick) = (path("data"), path("data/root-key.txt"));
    let (station, profiles) = (path("playlists"), path("profiles"));
    let mut args = vec!["keys", "log", "--root", &stick, "--data", &data];
    args.extend(["--playlists", &station, "--profiles", &profiles]);
    args.extend(more);
    let (code, out, err) = run(&args);
    assert_eq!(code, 0, "{out}\n{err}");
}

/// Names the log in `keys`; returns its verifier key.
pub fn name_log(commune: &Commune) -> String {
    keys_log(commune, &[]);
    let pin = fs::read_to_string(commune.path("data/root.txt")).unwrap();
    let body = fs::read(commune.path("data/epochs.json")).unwrap();
    let chain = KeySet::verify(&body, &pin.trim().parse().unwrap()).unwrap();
    let LogTrust::By(policy) = chain.log() else { panic!("no log is named") };
    assert!(!policy.witness_keys().is_empty());
    policy.logs()[0].to_string()
}

#[test]
fn a_device_forgets_and_quotes_only_what_a_witness_has_vouched_for() {
    let mut commune = Commune::new();
    let port = free_port();
    let key = init(&commune, "w1");
    commune.more(&format!("[log]\nwitnesses = [\"{key} http://127.0.0.1:{port}\"]\n"));
    commune.init();
    let log = name_log(&commune);
    watch(&commune, "w1", &log);
    let witness = serve(&commune, "w1", port);
    commune.serve();
    commune.enrol("loa-dinh-lang");
    let speaker = commune.device("loa-dinh-lang");
    // The device has judged a checkpoint, and what it had said by then is covered.
    let vouched: Value = wait_for("a checkpoint at the device", 30, || {
        let text = fs::read_to_string(commune.path("loa-dinh-lang/log.json")).ok()?;
        serde_json::from_str(&text).ok()
    });
    let known = vouched["logs"][0].clone();
    let meta = || -> Value {
        let path = commune.path("loa-dinh-lang/ledger/meta.json");
        serde_json::from_str(&fs::read_to_string(path).unwrap_or_default()).unwrap_or_default()
    };
    let first = |member: &Value| member.as_object().and_then(|all| all.values().next()?.as_u64());
    let covered = wait_for("records that are covered", 20, || first(&meta()["logged"]));
    assert!(covered >= 1 && covered <= first(&meta()["upto"]).unwrap());
    // The witness's own memory agrees with what the device was told, or has gone on since.
    let data = commune.path("w1").display().to_string();
    let shown = json(&["witness", "show", "--data", &data, "--json"]);
    let head = &shown["logs"][0]["heads"][0];
    assert_eq!(head["origin"], known["origin"], "{shown}");
    assert!(head["size"].as_u64() >= known["size"].as_u64(), "{shown} {known}");

    // What it says from now on quotes the checkpoint.
    commune.playlist(&[in_seconds(4)]);
    let quoted = wait_for("a record that quotes it", 30, || {
        commune.records_of("loa-dinh-lang", "play").first().cloned()
    });
    let seen = &claims(&quoted)["seen"];
    assert_eq!(seen["origin"], known["origin"], "{quoted}");
    assert!(seen["size"].as_u64() >= known["size"].as_u64());

    // Somebody else answers at the witness's address: his word does not count, the log goes on.
    witness.kill();
    init(&commune, "other");
    watch(&commune, "other", &log);
    let other = serve(&commune, "other", port);
    let before = first(&meta()["logged"]).unwrap();
    speaker.terminate(10);
    let _speaker = commune.device("loa-dinh-lang");
    let server = commune.server.as_ref().unwrap();
    wait_for("a log without a witness", 30, || {
        server.said().contains("Too few witnesses").then_some(())
    });
    let upto = wait_for("a receipt all the same", 20, || {
        first(&meta()["upto"]).filter(|upto| *upto > before + 1)
    });
    assert!(first(&meta()["logged"]).unwrap() < upto, "nothing more is vouched for");
    // The witness comes back, and all of it is covered.
    other.kill();
    let _witness = serve(&commune, "w1", port);
    wait_for("all of it covered", 60, || first(&meta()["logged"]).filter(|logged| *logged >= upto));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_server_that_is_set_back_whole_is_found_out_by_its_witness() {
    let mut commune = Commune::new();
    let port = free_port();
    let key = init(&commune, "w1");
    commune.more(&format!("[log]\nwitnesses = [\"{key} http://127.0.0.1:{port}\"]\n"));
    let token = commune.init_with(&[])["token"].as_str().unwrap().to_owned();
    let log = name_log(&commune);
    watch(&commune, "w1", &log);
    let _witness = serve(&commune, "w1", port);
    commune.serve();
    let witnessed = |commune: &Commune| -> Option<u64> {
        let (_, text) = commune.get("/readyz")?;
        let ready: Value = serde_json::from_str(&text).unwrap();
        assert!(ready["log"].is_null() || ready["log"]["size"].as_u64() >= Some(1), "{ready}");
        ready["log"]["witnessed"].as_u64()
    };
    let before = wait_for("a log that is witnessed", 30, || witnessed(&commune));
    // Whether devices know the witnesses is seen without a restart.
    let noted = |commune: &Commune| {
        let (_, station) = commune.api("GET", "station", &token, "");
        station["notices"].to_string().contains("log-not-named")
    };
    assert!(!noted(&commune));
    keys_log(&commune, &["--none"]);
    wait_for("a notice", 20, || noted(&commune).then_some(()));
    name_log(&commune);
    wait_for("its end", 20, || (!noted(&commune)).then_some(()));

    // A copy of all there is, heads too, stands still while the station goes on.
    commune.server.take().unwrap().terminate(10);
    for name in ["data", "data.heads"] {
        copy(&commune.path(name), &commune.path(&format!("{name}.old")));
    }
    commune.serve();
    for reason in ["mưa", "lũ", "bão"] {
        commune.ordered(&["hold", "99901", "--until", "2h", "--wait", "0", "--reason", reason]);
    }
    wait_for("all of it witnessed", 30, || witnessed(&commune).filter(|size| *size >= before + 3));
    commune.server.take().unwrap().terminate(10);
    for name in ["data", "data.heads"] {
        fs::remove_dir_all(commune.path(name)).unwrap();
        fs::rename(commune.path(&format!("{name}.old")), commune.path(name)).unwrap();
    }
    commune.serve();
    commune.ordered(&["hold", "99901", "--until", "3h", "--wait", "0", "--reason", "khác"]);
    let server = commune.server.as_ref().unwrap();
    wait_for("the witness to object", 30, || {
        server.said().contains("A witness objects").then_some(())
    });
    assert!(server.said().contains("stop signing"), "the remedy is said");
    let alarms = || commune.api("GET", "station", &token, "").1["alarms"].to_string();
    wait_for("the alarm", 10, || alarms().contains("log-contradiction").then_some(()));
}

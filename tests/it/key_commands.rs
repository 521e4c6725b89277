//! `loa keys`, and the end of a device's key, as a person at the command line sees them.

use super::support::cli::{json, loa, loa_reading, text};
use loa::wire::epoch::KeySet;
use loa::wire::jws::{Keys as _, Role};
use loa::wire::server_keys::ServerKeys;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn made() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    json(&loa(dir.path(), &["init", "--root-out", "usb.txt", "--json"]));
    dir
}

fn chain(dir: &Path) -> KeySet {
    let pin = fs::read_to_string(dir.join("data/root.txt")).unwrap();
    let body = fs::read(dir.join("data/epochs.json")).unwrap();
    KeySet::verify(&body, &pin.trim().parse().unwrap()).unwrap()
}

fn server(dir: &Path) -> ServerKeys {
    ServerKeys::from_file(&fs::read_to_string(dir.join("data/keys.json")).unwrap()).unwrap()
}

fn trail(dir: &Path, action: &str) -> Vec<Value> {
    let all = json(&loa(dir, &["trail", "--json"]));
    let all = all.as_array().unwrap().clone();
    all.into_iter().filter(|entry| entry["action"] == action).collect()
}

#[test]
fn keys_are_rotated_under_the_root_from_its_stick_and_nothing_of_it_stays() {
    let dir = made();
    let (before, old) = (chain(dir.path()), server(dir.path()));
    let shown = json(&loa(dir.path(), &["keys", "rotate", "--root", "usb.txt", "--json"]));
    assert_eq!(shown["epoch"], 2);
    let (after, new) = (chain(dir.path()), server(dir.path()));
    let body = after.body().encode();
    assert!(before.advance(&body, &before.root()).is_ok(), "devices follow");
    for role in Role::NAMED {
        let (old, new) = (old.of(role).unwrap().kid(), new.of(role).unwrap().kid());
        assert_ne!(old, new, "{role}");
        assert!(after.find(&old, role).unwrap().retired.is_some(), "{role}");
        assert!(after.find(&new, role).unwrap().retired.is_none(), "{role}");
    }
    let paper = fs::read_to_string(dir.path().join("usb.txt")).unwrap();
    let secret = paper.lines().find_map(|line| line.strip_prefix("Key:")).unwrap().trim();
    for file in fs::read_dir(dir.path().join("data")).unwrap().flatten() {
        if !file.path().is_file() {
            continue;
        }
        let bytes = fs::read(file.path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()));
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        let name = file.file_name().into_string().unwrap();
        assert!(mode == 0o600, "{name}: {mode:o}");
    }
    let told = trail(dir.path(), "rotate-keys");
    assert_eq!(told.len(), 1);
    assert!(told[0].to_string().contains("epoch 2") && !told[0].to_string().contains(secret));
    // One role alone, the root from stdin.
    let args = ["keys", "rotate", "--root", "-", "--role", "schedule", "--json"];
    json(&loa_reading(dir.path(), &args, secret.as_bytes()));
    let newest = server(dir.path());
    assert_eq!(newest.urgent.kid(), new.urgent.kid());
    assert_ne!(newest.schedule.kid(), new.schedule.kid());
}

#[test]
fn a_stolen_key_is_revoked_at_once_and_a_new_root_takes_over() {
    let dir = made();
    let stolen = server(dir.path()).schedule.kid();
    let args = ["keys", "revoke", "schedule", "--reason", "máy bị mất trộm", "--root", "usb.txt"];
    let seen = loa(dir.path(), &args);
    assert!(seen.status.success(), "{}", text(&seen.stderr));
    assert!(text(&seen.stderr).contains("No server runs on this folder"));
    assert!(chain(dir.path()).is_revoked(&stolen));
    assert_ne!(server(dir.path()).schedule.kid(), stolen);
    let told = trail(dir.path(), "revoke-key");
    assert!(told[0].to_string().contains("máy bị mất trộm"), "{told:?}");

    let args = ["keys", "rotate", "--root", "usb.txt", "--new-root", "usb-2.txt", "--json"];
    json(&loa(dir.path(), &args));
    let set = chain(dir.path());
    assert_eq!((set.epoch(), set.root()), (4, set.signer()), "the new root has spoken");
    let old = loa(dir.path(), &["keys", "rotate", "--root", "usb.txt"]);
    assert_eq!(old.status.code(), Some(2));
    assert!(text(&old.stderr).contains("does not hold the root key"), "{}", text(&old.stderr));
    json(&loa(dir.path(), &["keys", "rotate", "--root", "usb-2.txt", "--json"]));
    assert_eq!(chain(dir.path()).epoch(), 5);
}

#[test]
fn without_the_root_or_with_an_unknown_key_nothing_changes() {
    let dir = made();
    let before = fs::read(dir.path().join("data/epochs.json")).unwrap();
    fs::write(dir.path().join("other.txt"), "khoá nào đó AAAA").unwrap();
    for (args, says) in [
        (&["keys", "rotate", "--root", "other.txt"][..], "does not hold the root key"),
        (&["keys", "rotate", "--root", "data/keys.json"], "does not hold the root key"),
        (&["keys", "rotate", "--root", "none.txt"], "reading `none.txt`"),
        (&["keys", "rotate", "--root", "usb.txt", "--role", "root"], "one of schedule"),
        (&["keys", "revoke", "abc", "--reason", "x", "--root", "usb.txt"], "neither a role nor"),
        (&["keys", "revoke", "time", "--reason", " ", "--root", "usb.txt"], "`--reason`"),
        (&["keys", "rotate", "--root", "usb.txt", "--new-root", "usb.txt"], "already exists"),
    ] {
        let seen = loa(dir.path(), args);
        assert_ne!(seen.status.code(), Some(0), "{args:?}");
        assert!(text(&seen.stderr).contains(says), "{args:?}: {}", text(&seen.stderr));
    }
    assert_eq!(fs::read(dir.path().join("data/epochs.json")).unwrap(), before);
    assert!(trail(dir.path(), "rotate-keys").is_empty());
}

#[test]
fn a_rotation_cut_off_half_way_is_finished_or_undone() {
    let dir = made();
    let data = dir.path().join("data");
    let (old_keys, old_epochs) =
        (fs::read(data.join("keys.json")).unwrap(), fs::read(data.join("epochs.json")).unwrap());
    json(&loa(dir.path(), &["keys", "rotate", "--root", "usb.txt", "--json"]));
    let (new_keys, new_epochs) =
        (fs::read(data.join("keys.json")).unwrap(), fs::read(data.join("epochs.json")).unwrap());
    // Cut before the chain took its name: nothing has happened.
    fs::write(data.join("keys.json"), &old_keys).unwrap();
    fs::write(data.join("epochs.json"), &old_epochs).unwrap();
    fs::write(data.join("keys.new.json"), &new_keys).unwrap();
    fs::write(data.join("epochs.new.json"), &new_epochs).unwrap();
    assert_eq!(json(&loa(dir.path(), &["keys", "show", "--json"]))["epoch"], 1);
    assert_eq!(fs::read(data.join("keys.json")).unwrap(), old_keys);
    // Cut between the two: the chain names the new keys, so they are the keys.
    fs::write(data.join("epochs.json"), &new_epochs).unwrap();
    fs::write(data.join("keys.new.json"), &new_keys).unwrap();
    assert_eq!(json(&loa(dir.path(), &["keys", "show", "--json"]))["epoch"], 2);
    assert_eq!(fs::read(data.join("keys.json")).unwrap(), new_keys);
    assert!(!data.join("keys.new.json").exists() && !data.join("epochs.new.json").exists());
}

#[test]
fn a_device_is_deleted_before_it_enrols_and_only_then() {
    let dir = made();
    let list = |dir: &Path| json(&loa(dir, &["device", "list", "--json"]));
    json(&loa(dir.path(), &["unit", "import", "playlists/units.csv", "--json"]));
    json(&loa(dir.path(), &["device", "import", "playlists/devices.csv", "--json"]));
    let all = list(dir.path()).as_array().unwrap().clone();
    let id = all[0]["id"].as_str().unwrap().to_owned();
    let replaced = loa(dir.path(), &["device", "replace", &id]);
    assert!(text(&replaced.stderr).contains("has never enrolled"), "{}", text(&replaced.stderr));
    json(&loa(dir.path(), &["device", "delete", &id, "--json"]));
    assert_eq!(list(dir.path()).as_array().unwrap().len(), all.len() - 1);
    assert_eq!(trail(dir.path(), "delete-device").len(), 1);
    let again = loa(dir.path(), &["device", "delete", &id]);
    assert!(text(&again.stderr).contains("no device"), "{}", text(&again.stderr));
    let other = all[1]["id"].as_str().unwrap();
    let revoked = json(&loa(dir.path(), &["device", "revoke", other, "--reason", "mất", "--json"]));
    assert_eq!(revoked["standing"], "revoked");
    assert_eq!(trail(dir.path(), "revoke-device").len(), 1);
}

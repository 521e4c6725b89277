//! `loa backup` and `loa restore` as a person at the command line sees them.

use super::support::cli::{json, keys, loa, loa_reading, text, tone};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A server with a device, a clip and a certificate of its own making.
fn server() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(&loa(at, &["init", "--json"]));
    let units = b"id,name,parent\n51,T,\n99901,X,51\n";
    assert!(loa_reading(at, &["unit", "import", "-"], units).status.success());
    let line = b"id,name,unit,profile\nloa-1,Loa,99901,loa-ip\n";
    assert!(loa_reading(at, &["device", "import", "-"], line).status.success());
    let code = json(&loa(at, &["device", "enrol", "loa-1", "--json"]));
    assert_eq!(code["device"], "loa-1");
    fs::create_dir_all(at.join("playlists/clips")).unwrap();
    fs::write(at.join("playlists/clips/bản tin.wav"), tone(1)).unwrap();
    fs::create_dir(at.join("playlists/tls")).unwrap();
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    fs::write(at.join("playlists/tls/bí mật.pem"), key).unwrap();
    dir
}

/// Everything in a folder by its path, but what a store leaves beside itself.
fn tree(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.file_name().unwrap().to_string_lossy().starts_with("store.db") {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn with_keys_everything_comes_back_as_it_was_but_the_root_key() {
    let dir = server();
    let at = dir.path();
    let seen = loa(at, &["backup", "--out", "sao lưu.loa", "--with-keys", "--json"]);
    assert!(text(&seen.stderr).contains("warning: the file holds the private keys"));
    let told = json(&seen);
    let fields =
        ["bytes", "devices", "file", "keys", "left_out", "made", "members", "records", "station"];
    assert_eq!(keys(&told), fields);
    assert_eq!((&told["devices"], &told["keys"]), (&1.into(), &true.into()));
    assert_eq!(told["left_out"], serde_json::json!([]));
    let mode = fs::metadata(at.join("sao lưu.loa")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let left: Vec<_> = fs::read_dir(at).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(left.len(), 4, "no scratch file stays: {left:?}");
    let mut tar = std::process::Command::new("tar");
    let listed = tar.args(["tf", "sao lưu.loa"]).current_dir(at).output().unwrap();
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    assert!(text(&listed.stdout).contains("data/store.db"), "any tar reads it");

    fs::create_dir(at.join("mới")).unwrap();
    let args = ["restore", "../sao lưu.loa", "--json"];
    let done = json(&loa(&at.join("mới"), &args));
    assert_eq!((&done["done"], &done["missing"]), (&true.into(), &serde_json::json!([])));
    let (mut was, is) = (tree(&at.join("data")), tree(&at.join("mới/data")));
    was.retain(|(name, _)| name != "root-key.txt" && name != "lock");
    assert_eq!(is, was);
    assert_eq!(tree(&at.join("mới/playlists")), tree(&at.join("playlists")));
    assert_eq!(tree(&at.join("mới/device-profiles")), tree(&at.join("device-profiles")));
    let mode =
        |name: &str| fs::metadata(at.join("mới").join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode("data"), mode("data/keys.json"), mode("data/store.db")),
        (0o700, 0o600, 0o600)
    );
    let devices = json(&loa(&at.join("mới"), &["device", "list", "--json"]));
    assert_eq!(devices[0]["id"], "loa-1");
    let trail = text(&loa(&at.join("mới"), &["trail"]).stdout);
    assert!(trail.contains("restore") && trail.contains("back-up"), "{trail}");
}

#[test]
fn without_keys_no_secret_is_in_the_file_and_restore_says_what_is_missing() {
    let dir = server();
    let at = dir.path();
    let told = json(&loa(at, &["backup", "--out", "s.loa", "--json"]));
    assert_eq!(told["left_out"], serde_json::json!(["data/keys.json", "station/tls/bí mật.pem"]));
    let bytes = fs::read(at.join("s.loa")).unwrap();
    let keys = fs::read_to_string(at.join("data/keys.json")).unwrap();
    let secrets: Vec<&str> = keys.split('"').filter(|word| word.len() >= 40).collect();
    assert!(secrets.len() >= 5, "{}", secrets.len());
    for secret in secrets.into_iter().chain(["PRIVATE KEY-----", "KHOÁ GỐC"]) {
        let there = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!there, "a secret is in the file");
    }
    let new = ["--data", "d", "--playlists", "p", "--profiles", "f"];
    let seen = loa(at, &[&["restore", "s.loa"], &new[..]].concat());
    assert_eq!(seen.status.code(), Some(0), "{}", text(&seen.stderr));
    let steps = text(&seen.stdout);
    assert!(steps.contains("`d/keys.json`") && steps.contains("`p/tls/bí mật.pem`"), "{steps}");
    assert!(steps.contains("loa serve --data d --playlists p --profiles f"), "{steps}");
    let list = loa(at, &["device", "list", "--data", "d"]);
    assert_eq!(list.status.code(), Some(2), "it is no server's folder before its keys are back");
    fs::copy(at.join("data/keys.json"), at.join("d/keys.json")).unwrap();
    assert!(loa(at, &["device", "list", "--data", "d"]).status.success());
}

#[test]
fn nothing_is_overwritten_and_what_is_no_whole_backup_restores_nothing() {
    let dir = server();
    let at = dir.path();
    let backup = ["backup", "--with-keys", "--out"];
    let out = |name: &str| loa(at, &[&backup[..], &[name]].concat());
    assert!(out("s.loa").status.success());
    let good = fs::read(at.join("s.loa")).unwrap();
    let seen = out("s.loa");
    assert_eq!(seen.status.code(), Some(2));
    assert!(text(&seen.stderr).contains("`s.loa` is there already"));
    assert_eq!(fs::read(at.join("s.loa")).unwrap(), good);
    for inside in ["data/s.loa", "playlists/s.loa"] {
        let seen = out(inside);
        assert_eq!(seen.status.code(), Some(2));
        assert!(text(&seen.stderr).contains("which is backed up"), "{}", text(&seen.stderr));
    }
    assert_eq!(out("nowhere/s.loa").status.code(), Some(3));

    let new = ["--data", "d", "--playlists", "p", "--profiles", "f"];
    let restore = |file: &str| loa(at, &[&["restore", file], &new[..]].concat());
    let mut flipped = good.clone();
    flipped[good.len() / 3] ^= 4;
    for (bytes, told) in [
        (&good[..good.len() - 700], "cut short"),
        (&flipped[..], "is damaged"),
        (b"PK\x03\x04 something else", "no backup of loa"),
    ] {
        fs::write(at.join("x.loa"), bytes).unwrap();
        let seen = restore("x.loa");
        assert_eq!(seen.status.code(), Some(3));
        let said = text(&seen.stderr);
        assert!(said.contains(told) && said.contains("hint: "), "{said}");
    }
    assert_eq!(restore("none.loa").status.code(), Some(3));
    for folder in ["d", "p", "f", ".d.restoring"] {
        assert!(!at.join(folder).exists(), "{folder} was made");
    }
    let checked = json(&loa(at, &["restore", "s.loa", "--check", "--json"]));
    assert_eq!((&checked["done"], &checked["devices"]), (&false.into(), &1.into()));
    let seen = loa(at, &["restore", "s.loa"]);
    assert_eq!(seen.status.code(), Some(2), "the folders of the server that is there");
    assert!(text(&seen.stderr).contains("`data` is not empty"));
    fs::create_dir(at.join("d")).unwrap();
    assert!(restore("s.loa").status.success(), "into an empty folder");
    let again = restore("s.loa");
    assert_eq!(again.status.code(), Some(2));
}

#[test]
fn a_damaged_store_is_no_backup() {
    let dir = server();
    let at = dir.path();
    let store = at.join("data/store.db");
    let mut bytes = fs::read(&store).unwrap();
    let half = bytes.len() / 2;
    bytes[8_192..half].fill(0xA5);
    fs::write(&store, bytes).unwrap();
    let seen = loa(at, &["backup", "--out", "s.loa"]);
    assert_eq!(seen.status.code(), Some(3), "{}", text(&seen.stdout));
    assert!(text(&seen.stderr).contains("hint: "));
    assert!(!at.join("s.loa").exists());
}

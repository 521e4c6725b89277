//! `loa backup` and `loa restore` as a person at the command line sees them.

use super::support::cli::{json, keys, loa, loa_reading, text, tone};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const PASSPHRASE: &str = "bốn từ không ai đoán";

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
    fs::write(at.join("pw"), format!("{PASSPHRASE}\n")).unwrap();
    dir
}

/// The secrets of the server, as they stand in its files.
fn secrets(at: &Path) -> Vec<String> {
    let keys = fs::read_to_string(at.join("data/keys.json")).unwrap();
    let secrets: Vec<_> = keys.split('"').filter(|word| word.len() >= 40).collect();
    assert!(secrets.len() >= 5, "{}", secrets.len());
    let others = ["PRIVATE KEY-----", "KHOÁ GỐC", PASSPHRASE];
    secrets.into_iter().chain(others).map(str::to_owned).collect()
}

fn hides(file: &Path, secrets: &[String]) {
    let bytes = fs::read(file).unwrap();
    for secret in secrets {
        let there = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!there, "a secret is in the file");
    }
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
    let args = ["backup", "--out", "sao lưu.loa", "--with-keys", "--passphrase-file", "pw"];
    let seen = loa(at, &[&args[..], &["--json"]].concat());
    assert!(text(&seen.stderr).contains("the private keys are in it, sealed"));
    let told = json(&seen);
    let fields = [
        "bytes", "devices", "file", "keys", "left_out", "made", "members", "records", "removed",
        "station",
    ];
    assert_eq!(keys(&told), fields);
    assert_eq!((&told["devices"], &told["keys"]), (&1.into(), &true.into()));
    assert_eq!(told["left_out"], serde_json::json!([]));
    let mode = fs::metadata(at.join("sao lưu.loa")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let left: Vec<_> = fs::read_dir(at).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(left.len(), 5, "no scratch file stays: {left:?}");
    let mut tar = std::process::Command::new("tar");
    let listed = tar.args(["tf", "sao lưu.loa"]).current_dir(at).output().unwrap();
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    let listed = text(&listed.stdout);
    assert!(listed.contains("data/store.db") && listed.contains("private.age"), "any tar reads it");
    hides(&at.join("sao lưu.loa"), &secrets(at));

    fs::create_dir(at.join("mới")).unwrap();
    let args = ["restore", "../sao lưu.loa", "--passphrase-file", "../pw", "--json"];
    let done = json(&loa(&at.join("mới"), &args));
    assert_eq!((&done["done"], &done["missing"]), (&true.into(), &serde_json::json!([])));
    let (mut was, is) = (tree(&at.join("data")), tree(&at.join("mới/data")));
    was.retain(|(name, _)| !["root-key.txt", "lock", "keys.lock"].contains(&&**name));
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
    assert_eq!(
        told["left_out"],
        serde_json::json!(["data/keys.json", "data/password-seed.txt", "station/tls/bí mật.pem"])
    );
    hides(&at.join("s.loa"), &secrets(at));
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
    let backup = ["backup", "--with-keys", "--passphrase-file", "pw", "--out"];
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
    let restore =
        |file: &str| loa(at, &[&["restore", file, "--passphrase-file", "pw"], &new[..]].concat());
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

#[test]
fn a_register_on_a_damaged_page_is_no_register_to_check_by() {
    let dir = server();
    let at = dir.path();
    let store = at.join("data/store.db");
    let sound = fs::read(&store).unwrap();
    let check = || loa(at, &["check", "playlists", "--data", "data"]);
    assert_ne!(check().status.code(), Some(3), "{}", text(&check().stderr));
    let of_units = |page: &[u8]| page.windows(5).any(|some| some == b"99901");
    let damaged = |hit: &dyn Fn(usize, &[u8]) -> bool| {
        let pages = sound.chunks(4_096).enumerate();
        let bad = |(n, page): (usize, &[u8])| {
            // The first hundred bytes are what makes it a store at all.
            let head = if n == 0 { page[..100].to_vec() } else { Vec::new() };
            let rest = vec![0xA5; page.len() - head.len()];
            if hit(n, page) { [head, rest].concat() } else { page.to_vec() }
        };
        pages.flat_map(bad).collect::<Vec<u8>>()
    };
    let first = damaged(&|n, _| n == 0);
    let others = damaged(&|n, _| n > 0);
    let units = damaged(&|n, page| n > 0 && of_units(page));
    for (bytes, name) in [(first, "first"), (others, "others"), (units, "of units")] {
        assert_ne!(bytes, sound, "{name}");
        fs::write(&store, bytes).unwrap();
        let seen = check();
        assert_eq!(seen.status.code(), Some(3), "{name}: {}", text(&seen.stdout));
        let said = text(&seen.stderr);
        assert!(said.contains("the store's file is damaged"), "{name}: {said}");
        assert!(said.contains("hint: restore the last backup"), "{name}: {said}");
    }
}

/// Opens the sealed part with primitives of another maker, as age's specification says.
const AGE: &str = r#"
import base64, sys
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
b64 = lambda text: base64.b64decode(text + b"=" * (-len(text) % 4))
sealed, passphrase = open(sys.argv[1], "rb").read(), sys.argv[2].encode()
intro, stanza, body, rest = sealed.split(b"\n", 3)
assert intro == b"age-encryption.org/v1"
_, kind, salt, log_n = stanza.split(b" ")
assert kind == b"scrypt"
salt = b"age-encryption.org/v1/scrypt" + b64(salt)
wrap = Scrypt(salt=salt, length=32, n=1 << int(log_n), r=8, p=1).derive(passphrase)
key = ChaCha20Poly1305(wrap).decrypt(bytes(12), b64(body), b"")
derive = lambda salt, info: HKDF(hashes.SHA256(), 32, salt, info).derive(key)
mac, payload = rest.split(b"\n", 1)
check = hmac.HMAC(derive(None, b"header"), hashes.SHA256())
check.update(sealed[: sealed.index(b"\n---") + 4])
check.verify(b64(mac[4:]))
cipher, out, at = ChaCha20Poly1305(derive(payload[:16], b"payload")), b"", 0
payload = payload[16:]
pieces = [payload[n : n + 65552] for n in range(0, len(payload), 65552)]
for piece in pieces:
    last = b"\1" if at == len(pieces) - 1 else b"\0"
    out += cipher.decrypt(at.to_bytes(11, "big") + last, piece, b"")
    at += 1
sys.stdout.buffer.write(out)
"#;

#[test]
fn sealed_keys_open_with_the_passphrase_alone_and_for_other_programs_too() {
    let dir = server();
    let at = dir.path();
    let seal =
        |more: &[&str]| loa(at, &[&["backup", "--out", "s.loa", "--with-keys"], more].concat());
    let seen = seal(&[]);
    assert_eq!(seen.status.code(), Some(2), "{}", text(&seen.stderr));
    assert!(text(&seen.stderr).contains("no passphrase, and no terminal to ask for it"));
    fs::write(at.join("short"), "mật khẩu\n").unwrap();
    let seen = seal(&["--passphrase-file", "short"]);
    assert_eq!(seen.status.code(), Some(2));
    assert!(text(&seen.stderr).contains("a passphrase of 8 characters"), "{}", text(&seen.stderr));
    assert!(!at.join("s.loa").exists(), "nothing is left of what was refused");
    assert!(seal(&["--passphrase-file", "pw"]).status.success());

    // Another program, on other primitives, reads the same files out of it.
    let tar = std::process::Command::new("tar")
        .args(["xf", "s.loa", "private.age"])
        .current_dir(at)
        .output()
        .unwrap();
    assert!(tar.status.success(), "{}", text(&tar.stderr));
    let python = super::support::cli::root().join(".venv/bin/python");
    let opened = std::process::Command::new(python)
        .args(["-c", AGE, "private.age", PASSPHRASE])
        .current_dir(at)
        .output()
        .unwrap();
    assert!(opened.status.success(), "{}", text(&opened.stderr));
    let keys = fs::read(at.join("data/keys.json")).unwrap();
    assert!(opened.stdout.windows(keys.len()).any(|part| part == keys), "the keys are in it");

    fs::write(at.join("other"), "một mật khẩu khác hẳn\n").unwrap();
    let new = ["--data", "d", "--playlists", "p", "--profiles", "f"];
    let restore = |more: &[&str]| loa(at, &[&["restore", "s.loa"], &new[..], more].concat());
    let seen = restore(&["--passphrase-file", "other"]);
    assert_eq!(seen.status.code(), Some(3));
    let said = text(&seen.stderr);
    assert!(said.contains("the passphrase does not open it") && said.contains("hint: "), "{said}");
    assert_eq!(restore(&[]).status.code(), Some(2));
    let verify = |more: &[&str]| loa(at, &[&["backup", "--verify", "s.loa"], more].concat());
    assert!(verify(&["--passphrase-file", "pw"]).status.success());
    assert_eq!(verify(&["--passphrase-file", "other"]).status.code(), Some(3));
    let seen = verify(&[]);
    assert!(seen.status.success(), "whole, also for who has no passphrase");
    assert!(text(&seen.stderr).contains("3 private files are sealed"), "{}", text(&seen.stderr));

    let seen = restore(&["--passphrase-file", "pw", "--dry-run"]);
    assert!(seen.status.success(), "{}", text(&seen.stderr));
    assert!(
        text(&seen.stdout).contains("`d` would be made with 5 files"),
        "{}",
        text(&seen.stdout)
    );
    for folder in ["d", "p", "f", ".d.restoring"] {
        assert!(!at.join(folder).exists(), "{folder} was made");
    }
    fs::create_dir(at.join("d")).unwrap();
    fs::write(at.join("d/x"), "x").unwrap();
    let seen = restore(&["--without-keys", "--dry-run", "--json"]);
    assert_eq!(seen.status.code(), Some(1), "something is in the way");
    let told: serde_json::Value = serde_json::from_slice(&seen.stdout).unwrap();
    assert_eq!(told["in_the_way"], serde_json::json!(["d"]));
    assert_eq!(
        told["missing"],
        serde_json::json!(["d/keys.json", "d/password-seed.txt", "p/tls/bí mật.pem"])
    );
}

#[test]
fn a_backup_by_a_timer_is_named_by_its_time_and_the_oldest_go() {
    let dir = server();
    let at = dir.path();
    fs::create_dir(at.join("kho")).unwrap();
    for old in ["loa-20260101-050000.loa", "loa-20260102-050000.loa", "giữ lại.loa"] {
        fs::write(at.join("kho").join(old), "x").unwrap();
    }
    let told = json(&loa(at, &["backup", "--into", "kho", "--keep", "2", "--json"]));
    assert_eq!(told["removed"], serde_json::json!(["kho/loa-20260101-050000.loa"]));
    let file = told["file"].as_str().unwrap();
    assert!(loa(at, &["backup", "--verify", file]).status.success());
    let mut names: Vec<_> =
        fs::read_dir(at.join("kho")).unwrap().flatten().map(|e| e.path()).collect();
    names.sort();
    assert_eq!(names.len(), 3, "{names:?}");
    let seen = loa(at, &["backup", "--out", "x.loa", "--keep", "2"]);
    assert_eq!(seen.status.code(), Some(2), "only what is named by time is removed");
}

//! `loa conform` against our own devices, against a board that shares no code with us, and against
//! that board with one fault at a time.

use super::process::binary;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use tempfile::TempDir;

/// Devices on the bench at a time.
const AT_A_TIME: usize = 7;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A device on the bench, and a script that enrols and switches it.
struct Rig {
    folder: TempDir,
}

impl Rig {
    /// `program` runs the device with `--data` and more behind it; one that is `ours` does not
    /// end once it is enrolled, and is cut off then.
    fn new(program: &str, ours: bool) -> Self {
        let rig = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(rig.path("profiles")).unwrap();
        let profile = "title = \"Bảng thử\"\nstorage_mib = 64\n[board]\nwidth_px = 128\n\
                       height_px = 32\nfonts = [\"loa-13\"]\n";
        fs::write(rig.path("profiles/bang-thu.toml"), profile).unwrap();
        let speaker = "title = \"Loa thử\"\nstorage_mib = 64\n[speaker]\ncodecs = [\"wav\"]\n";
        fs::write(rig.path("profiles/loa-thu.toml"), speaker).unwrap();
        let enrol = format!("{program} --data data --enrol \"$LOA_ENROL\" >>log 2>&1 </dev/null");
        let enrol = if ours {
            format!(
                "{enrol} & while kill -0 $! 2>/dev/null; do [ -e data/identity.json ] && \
                 {{ kill -9 $!; wait $!; exit 0; }}; sleep 0.02; done; exit 1"
            )
        } else {
            enrol
        };
        let script = format!(
            "#!/bin/sh\ncd '{}' || exit 9\ncase $1 in\n\
             on) nohup {program} --data data >>log 2>&1 </dev/null & echo $! >pid ;;\n\
             off) kill -9 \"$(cat pid)\"; while kill -0 \"$(cat pid)\" 2>/dev/null; do sleep 0.02; done ;;\nenrol) {enrol} ;;\nesac\n",
            rig.folder.path().display(),
        );
        fs::write(rig.path("rig"), script).unwrap();
        fs::set_permissions(rig.path("rig"), fs::Permissions::from_mode(0o700)).unwrap();
        rig
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// Runs the test; returns the exit code and each check with verdict and evidence.
    fn conform(
        &self,
        profile: &str,
        more: &[&str],
    ) -> (Option<i32>, BTreeMap<String, (String, String)>) {
        let script = self.path("rig").display().to_string();
        let mut command = Command::new(binary());
        command.args(["conform", "--device", "bang-thu-1", "--json", "--profile", profile]);
        command.arg("--profiles").arg(self.path("profiles"));
        command.args(["--enrol-command", &format!("{script} enrol")]);
        command.args(["--power-command", &script]).args(more).stdin(Stdio::null());
        let out = command.output().unwrap();
        let said = String::from_utf8_lossy(&out.stdout);
        let told: Value = serde_json::from_str(&said)
            .unwrap_or_else(|e| panic!("{e}: {said}{}", String::from_utf8_lossy(&out.stderr)));
        let of = |check: &Value, name: &str| check[name].as_str().unwrap().to_owned();
        let checks = told["checks"].as_array().unwrap().iter();
        let rows = checks.map(|c| (of(c, "id"), (of(c, "verdict"), of(c, "evidence"))));
        (out.status.code(), rows.collect())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = Command::new(self.path("rig")).arg("off").stderr(Stdio::null()).status();
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.path("log")).unwrap_or_default());
        }
    }
}

fn python(script: &str, fault: &str) -> String {
    let root = root();
    let python = root.join(".venv/bin/python");
    assert!(python.exists(), "run `make setup` first");
    format!(
        "env LOA_FAULT={fault} '{}' -u '{}' --font '{}' --size 128x32",
        python.display(),
        root.join(script).display(),
        root.join("src/raster/fonts/loa-13.bdf").display(),
    )
}

/// Runs jobs side by side, so many at a time.
fn side_by_side<T: Send + Sync>(jobs: &[T], run: impl Fn(&T) -> Result<(), String> + Sync) {
    let next = Mutex::new(jobs.iter());
    let faults = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let Some(job) = next.lock().unwrap().next() else { return };
                    if let Err(fault) = run(job) {
                        faults.lock().unwrap().push(fault);
                    }
                }
            });
        }
    });
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn our_devices_and_a_stranger_s_board_keep_the_whole_contract() {
    let loa = binary().display().to_string();
    let jobs = [
        (
            "bang-thu",
            format!(
                "'{loa}' board --clock server --output null --profiles profiles --profile bang-thu"
            ),
            true,
            // The chapters of sound.
            vec!["asset-done", "asset-hash", "asset-order", "asset-resume", "play-quiet"],
        ),
        (
            "loa-thu",
            format!(
                "'{loa}' speaker --clock server --sink null --profiles profiles --profile loa-thu"
            ),
            true,
            vec!["board-frame"],
        ),
        ("bang-thu", python("firmware-notes/examples/board.py", ""), false, vec!["play-quiet"]),
    ];
    side_by_side(&jobs, |(profile, program, ours, skips)| {
        let rig = Rig::new(program, *ours);
        let junit = rig.path("junit.xml");
        let (code, rows) = rig.conform(profile, &["--junit", junit.to_str().unwrap()]);
        let of = |verdict: &str| -> BTreeSet<String> {
            let found = rows.iter().filter(|(_, (v, _))| v == verdict);
            found.map(|(id, _)| id.clone()).collect()
        };
        let wrong: Vec<_> =
            rows.iter().filter(|(_, (v, _))| v == "fail" || v == "unreached").collect();
        if code != Some(0) || !wrong.is_empty() {
            return Err(format!("{program}: {code:?}, {wrong:?}"));
        }
        let skipped: BTreeSet<String> = skips.iter().map(ToString::to_string).collect();
        if of("skip") != skipped || of("pass").len() < 60 {
            return Err(format!(
                "{program}: skipped {:?}; passed {}",
                of("skip"),
                of("pass").len()
            ));
        }
        let text = fs::read_to_string(junit).unwrap();
        if text.matches("<testcase").count() != rows.len() || !text.contains("failures=\"0\"") {
            return Err(text);
        }
        Ok(())
    });
}

/// Faults of the example board: the chapters that are run, and the checks that must fail.
const FAULTS: &[(&str, &str, &[&str])] = &[
    ("signature", "refuse", &["refuse-signature"]),
    ("root", "enrol", &["enrol-root"]),
    ("doubled", "refuse", &["refuse-doubled"]),
    ("expired", "refuse", &["refuse-expired"]),
    ("chunk", "asset", &["asset-hash"]),
    ("resume", "asset", &["asset-resume"]),
    ("empty", "sheet,empty,item", &["empty-body"]),
    ("pixels", "play,board", &["board-frame"]),
    ("hold", "command,hold,urgent", &["hold-dark"]),
    ("drill", "urgent,drill", &["drill-silent"]),
    ("withdrawal", "urgent,drill", &["urgent-killed"]),
    ("prev", "command,record", &["record-chain"]),
    ("numbers", "power,record", &["record-once"]),
    ("version", "power", &["power-version"]),
    ("forgets_hold", "power", &["power-hold"]),
    ("twice", "command", &["command-once"]),
    ("receipt", "receipt", &["receipt-false"]),
    ("hammer", "reconnect", &["reconnect-pace"]),
    ("nonce", "time", &["time-forged"]),
    ("deaf", "connect", &["connect-ready"]),
    // Who believes a revoked key believes it after a shorter chain too.
    ("revoked", "keys", &["keys-revoked", "keys-shorter"]),
];

#[test]
fn each_fault_of_a_board_fails_at_its_own_check_and_nowhere_else() {
    side_by_side(FAULTS, |(fault, only, expected)| {
        let rig = Rig::new(&python("tests/python/faulty_board.py", fault), false);
        let (code, rows) = rig.conform("bang-thu", &["--only", only]);
        let failed: Vec<_> = rows.iter().filter(|(_, (v, _))| v == "fail").collect();
        let ids: Vec<&str> = failed.iter().map(|(id, _)| id.as_str()).collect();
        if ids == *expected && code == Some(1) {
            return Ok(());
        }
        Err(format!("`{fault}` must fail at {expected:?}, it failed at {failed:?}, exit {code:?}"))
    });
}

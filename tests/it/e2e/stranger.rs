//! A board in Python that shares no code with us, written from `firmware-notes/` alone.

use super::commune::{Commune, claims, in_seconds};
use super::process::{Running, wait_for};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A command that runs the stranger's board in the tests' own Python.
fn board() -> Command {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".venv/bin/python");
    assert!(python.exists(), "run `make setup` first");
    let mut command = Command::new(python);
    command.arg("-u").arg(root.join("firmware-notes/examples/board.py"));
    command
}

#[test]
fn a_stranger_s_board_verifies_shows_and_proves() {
    let mut commune = Commune::new();
    commune.init();
    commune.serve();
    commune.enrol("bang-cong");
    let code = fs::read_to_string(commune.path("bang-cong.code")).unwrap();
    let data = commune.path("bang-la").display().to_string();
    let enrolled = board().args(["--enrol", &code, "--data", &data]).output().unwrap();
    assert!(enrolled.status.success(), "{}", String::from_utf8_lossy(&enrolled.stderr));

    let log = commune.path("stranger.log");
    let start = || {
        let mut command = board();
        command.args(["--data", &data]);
        Running::start(command, &log)
    };
    let running = start();
    commune.playlist(&[in_seconds(12)]);
    wait_for("three passes on the stranger's board", 60, || {
        (running.said().matches("Kính chào bà con").count() >= 3).then_some(())
    });
    // A power cut in the middle of the showing: the chain goes on.
    running.kill();
    let running = start();
    let shows = wait_for("records of the showing", 60, || {
        let shows = commune.records_of("bang-cong", "show");
        (shows.len() >= 2).then_some(shows)
    });
    for show in &shows {
        assert!(show["fault"].is_null(), "{show}");
        assert_eq!(claims(show)["title"], "Chữ trên bảng");
    }
    let causes: Vec<_> = shows.iter().map(|show| claims(show)["cause"].as_str().unwrap()).collect();
    assert!(causes.contains(&"power"), "{causes:?}");
    let boots = commune.records_of("bang-cong", "boot");
    assert_eq!(boots.len(), 2);
    assert!(boots.iter().any(|boot| claims(boot)["unclean"] == true));
    wait_for("a receipt that covers everything", 60, || {
        let newest = commune
            .records()
            .iter()
            .filter(|r| r["device"] == "bang-cong")
            .filter_map(|r| r["seq"].as_u64())
            .max()?;
        let said = running.said();
        said.lines()
            .any(|line| {
                line.contains("receipt")
                    && line.split(|c: char| !c.is_ascii_digit()).any(|n| n.parse() == Ok(newest))
            })
            .then_some(())
    });
}

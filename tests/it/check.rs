//! `loa check` and `loa skip` as a person at the command line sees them.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn loa(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loa")).current_dir(dir).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A copy of the sample with a short clip in the place of each made one.
fn sample() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(&root().join("playlists"), &dir.path().join("playlists"));
    copy(&root().join("device-profiles"), &dir.path().join("device-profiles"));
    let clips = dir.path().join("playlists/clips");
    for entry in fs::read_dir(&clips).unwrap().flatten() {
        if entry.path().extension().is_some_and(|e| e == "txt") {
            fs::write(entry.path().with_extension("mp3"), tone()).unwrap();
        }
    }
    fs::write(clips.join("nhac-hieu.mp3"), tone()).unwrap();
    dir
}

/// Two seconds of a tone as WAV; what a file holds counts, not its name.
fn tone() -> Vec<u8> {
    let rate = 8_000_u32;
    let samples: Vec<u8> = (0..2 * rate)
        .flat_map(|n| (if n / 8 % 2 == 0 { 6_000_i16 } else { -6_000 }).to_le_bytes())
        .collect();
    let size = u32::try_from(samples.len()).unwrap();
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + size).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    wav.extend([1, 0, 1, 0]);
    wav.extend(rate.to_le_bytes());
    wav.extend((2 * rate).to_le_bytes());
    wav.extend([2, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend(size.to_le_bytes());
    wav.extend(samples);
    wav
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
fn a_good_folder_is_answered_with_yes_and_nothing_on_stdout() {
    let dir = sample();
    let seen = loa(dir.path(), &["check"]);
    assert_eq!((seen.status.code(), text(&seen.stdout)), (Some(0), String::new()));
    let seen = loa(dir.path(), &["check", "--json", "playlists"]);
    let report: Value = serde_json::from_slice(&seen.stdout).unwrap();
    assert_eq!(report["ok"], true);
    assert_eq!(report["faults"], Value::Array(vec![]));
    // From inside the folder, profiles are found beside it.
    let seen = loa(&dir.path().join("playlists"), &["check", "."]);
    assert_eq!(seen.status.code(), Some(0), "{}", text(&seen.stdout));
}

#[test]
fn faults_are_told_with_file_line_column_and_hint_and_the_answer_is_no() {
    let dir = sample();
    let file = dir.path().join("playlists/ban-tin-chieu.toml");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, good.replace("17:00", "17h00").replace("title = \"Việc", "tilte = \"Việc"))
        .unwrap();
    let before = fs::read(&file).unwrap();
    let seen = loa(dir.path(), &["check", "playlists"]);
    assert_eq!(seen.status.code(), Some(1));
    let told = text(&seen.stdout);
    for line in [
        "playlists/ban-tin-chieu.toml:26:1: an item has no `title`",
        "playlists/ban-tin-chieu.toml:28:1: unknown key `tilte` in an item",
        "    hint: did you mean `title`?",
        "playlists/ban-tin-chieu.toml:44:7: `17h00` is not a time of day",
    ] {
        assert!(told.lines().any(|l| l == line), "{line}\n---\n{told}");
    }
    let seen = loa(dir.path(), &["check", "--json"]);
    let report: Value = serde_json::from_slice(&seen.stdout).unwrap();
    assert_eq!((&report["ok"], &report["errors"]), (&Value::from(false), &Value::from(3)));
    let fault = &report["faults"][0];
    assert_eq!(fault["file"], "playlists/ban-tin-chieu.toml");
    assert_eq!((&fault["line"], &fault["severity"]), (&Value::from(26), &Value::from("error")));
    // A single file is judged in its folder, and only its own faults are told.
    let seen = loa(dir.path(), &["check", "playlists/ban-tin-sang.toml"]);
    assert_eq!((seen.status.code(), text(&seen.stdout)), (Some(0), String::new()));
    let seen = loa(dir.path(), &["check", "playlists/ban-tin-chieu.toml"]);
    assert_eq!(seen.status.code(), Some(1));
    assert_eq!(fs::read(&file).unwrap(), before, "check touches nothing");
}

#[test]
fn profiles_are_checked_by_themselves() {
    let dir = sample();
    let seen = loa(dir.path(), &["check", "device-profiles"]);
    assert_eq!((seen.status.code(), text(&seen.stdout)), (Some(0), String::new()));
    fs::write(dir.path().join("device-profiles/hong.toml"), "title = \"x\"\n").unwrap();
    let seen = loa(dir.path(), &["check", "device-profiles/hong.toml"]);
    assert_eq!(seen.status.code(), Some(1));
    assert!(text(&seen.stdout).starts_with("device-profiles/hong.toml:1:1: "));
    let inside = dir.path().join("device-profiles");
    let seen = loa(&inside, &["check", "hong.toml"]);
    assert_eq!(seen.status.code(), Some(1), "{}", text(&seen.stdout));
}

#[test]
fn a_single_file_is_judged_from_wherever_one_stands() {
    let dir = sample();
    let policy = dir.path().join("playlists/policies/tinh.toml");
    fs::write(&policy, "title = \"Đêm\"\nquiet = [\"9h\"]\n").unwrap();
    for (at, path) in [
        ("", "playlists/policies/tinh.toml"),
        ("playlists", "policies/tinh.toml"),
        ("playlists/policies", "tinh.toml"),
    ] {
        let seen = loa(&dir.path().join(at), &["check", path]);
        assert_eq!(seen.status.code(), Some(1), "{at}");
        assert!(text(&seen.stdout).contains("tinh.toml:2:10: `9h` is not"), "{at}");
    }
    let alone = tempfile::tempdir().unwrap();
    fs::copy(dir.path().join("playlists/ban-tin-sang.toml"), alone.path().join("x.toml")).unwrap();
    let seen = loa(alone.path(), &["check", "x.toml"]);
    assert!(text(&seen.stderr).contains("lies in no station folder"));
    assert_eq!(seen.status.code(), Some(1), "its clips are not there");
}

#[test]
fn a_path_that_does_not_exist_is_wrong_use() {
    let dir = tempfile::tempdir().unwrap();
    let seen = loa(dir.path(), &["check", "nowhere"]);
    assert_eq!(seen.status.code(), Some(2));
    assert!(text(&seen.stderr).contains("no file or folder `nowhere`"));
    assert!(text(&seen.stderr).contains("hint: "));
}

#[test]
fn a_skip_is_written_once_and_only_where_the_slot_occurs() {
    let dir = sample();
    let skip = |slot: &str, date: &str| {
        loa(dir.path(), &["skip", slot, date, "--reason", "Mất điện \"cả\" xã", "--json"])
    };
    let file = dir.path().join("playlists/skips.toml");
    // 2026-12-01 is a Tuesday, 2026-12-06 a Sunday.
    let seen = skip("ban-tin-sang/sang", "2026-12-01");
    assert_eq!(seen.status.code(), Some(0), "{}", text(&seen.stderr));
    let told: Value = serde_json::from_slice(&seen.stdout).unwrap();
    assert_eq!((&told["slot"], &told["done"]), (&Value::from("sang"), &Value::from(true)));
    let once = fs::read_to_string(&file).unwrap();
    assert_eq!(once.matches("[[skips]]").count(), 1);
    let seen = skip("sang", "2026-12-01");
    assert_eq!(seen.status.code(), Some(0));
    assert_eq!(fs::read_to_string(&file).unwrap(), once, "a second time adds nothing");
    assert_eq!(skip("sang", "2026-12-06").status.code(), Some(1));
    let wrong = skip("ban-tin-sang/toi", "2026-12-01");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("ban-tin-chieu/chieu"), "the hint lists the slots");
    assert_eq!(skip("sang", "2026-13-01").status.code(), Some(2));
    assert_eq!(fs::read_to_string(&file).unwrap(), once);
    assert_eq!(loa(dir.path(), &["check"]).status.code(), Some(0));
    fs::write(&file, "[[skips]\n").unwrap();
    assert_eq!(
        skip("sang", "2026-12-02").status.code(),
        Some(3),
        "a broken file is not written to"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "[[skips]\n");
}

#[test]
fn the_example_that_the_folder_explains_itself_with_is_right() {
    let dir = sample();
    let readme = fs::read_to_string(root().join("playlists/README.md")).unwrap();
    let example = readme.split("```toml").nth(1).unwrap().split("```").next().unwrap();
    let example = example.replace("clips/bai-mot.mp3", "clips/loi-ket.mp3");
    fs::write(dir.path().join("playlists/vi-du.toml"), example).unwrap();
    let seen = loa(dir.path(), &["check"]);
    assert_eq!((seen.status.code(), text(&seen.stdout)), (Some(0), String::new()));
}

//! `loa check` and `loa skip` as a person at the command line sees them.

use super::support::cli::{copy, json, loa, root, text, tone};
use serde_json::Value;
use std::fs;

/// A copy of the sample with a short clip in the place of each made one.
fn sample() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(&root().join("playlists"), &dir.path().join("playlists"));
    copy(&root().join("device-profiles"), &dir.path().join("device-profiles"));
    let clips = dir.path().join("playlists/clips");
    for folder in [clips.clone(), clips.join("standby")] {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.path().extension().is_some_and(|e| e == "txt") {
                fs::write(entry.path().with_extension("mp3"), tone(2)).unwrap();
            }
        }
    }
    for made in ["nhac-hieu.mp3", "standby/coi-bao-dong.mp3"] {
        fs::write(clips.join(made), tone(2)).unwrap();
    }
    dir
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
fn clips_that_a_folder_makes_by_itself_are_said_to_be_made_by_setup() {
    let dir = sample();
    let seen = loa(dir.path(), &["check"]);
    assert!(!text(&seen.stderr).contains("make setup"));
    for clip in ["mat-khau-manh.mp3", "standby/bao.mp3"] {
        fs::remove_file(dir.path().join("playlists/clips").join(clip)).unwrap();
    }
    let seen = loa(dir.path(), &["check"]);
    assert_eq!(seen.status.code(), Some(1));
    let told = text(&seen.stderr);
    assert!(told.contains("2 clips of this folder") && told.contains("`make setup`"), "{told}");
    // A clip that nothing makes is a fault and no more.
    fs::remove_file(dir.path().join("playlists/clips/make.sh")).unwrap();
    assert!(!text(&loa(dir.path(), &["check"]).stderr).contains("make setup"));
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

#[cfg(feature = "server")]
#[test]
fn a_day_that_no_device_could_be_sent_is_told_with_day_device_and_bytes() {
    let dir = sample();
    let board = fs::read_to_string(dir.path().join("playlists/devices.csv")).unwrap();
    let board = board.lines().find(|line| line.contains("bang-led")).unwrap();
    let board = board.split(',').next().unwrap();
    let long = "Nội dung rất dài. ".repeat(20);
    let ids: Vec<String> = (0..150).map(|n| format!("\"t{n}\"")).collect();
    let items = ids.iter().map(|id| {
        format!(
            "[[items]]\nid = {id}\ntitle = \"Chữ\"\n\
             [[items.pages]]\ntext = \"{}\"\ndwell = \"45s\"\n",
            long.trim()
        )
    });
    let text = format!(
        "title = \"Dài\"\n[targets]\ndevices = [\"{board}\"]\n{}[[slots]]\nid = \"s\"\n\
         at = [\"01:00\"]\nlongest = \"4h\"\nitems = [{}]\n",
        items.collect::<String>(),
        ids.join(", ")
    );
    fs::write(dir.path().join("playlists/quá-dài.toml"), text).unwrap();
    let seen = loa(dir.path(), &["check", "--json"]);
    assert_eq!(seen.status.code(), Some(1), "{}", self::text(&seen.stdout));
    let report: Value = serde_json::from_slice(&seen.stdout).unwrap();
    let faults = report["faults"].as_array().unwrap();
    assert_eq!(faults.len(), 16, "one a day: {}", self::text(&seen.stdout));
    for fault in faults {
        assert_eq!(fault["file"], "playlists/quá-dài.toml");
        let message = fault["message"].as_str().unwrap();
        assert!(message.starts_with("the sheet of `20"), "{message}");
        assert!(message.contains("more than 65536") && message.contains(board), "{message}");
    }
}

#[cfg(feature = "server")]
#[test]
fn with_a_data_folder_the_register_counts_and_not_the_csv() {
    let dir = sample();
    let made = loa(dir.path(), &["init", "--data", "data"]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    let check = |args: &[&str]| loa(dir.path(), &[&["check", "--data", "data"], args].concat());
    // An empty register has nothing to say yet: the first start takes the files in.
    assert_eq!(text(&check(&[]).stdout), "");
    for kind in ["unit", "device"] {
        let file = format!("playlists/{kind}s.csv");
        json(&loa(dir.path(), &[kind, "import", "--data", "data", "--json", &file]));
    }
    assert_eq!(text(&check(&[]).stdout), "");
    let csv = dir.path().join("playlists/devices.csv");
    let good = fs::read_to_string(&csv).unwrap();
    fs::write(&csv, "không phải CSV\n").unwrap();
    let seen = check(&[]);
    assert_eq!((seen.status.code(), text(&seen.stdout)), (Some(0), String::new()));
    assert_eq!(loa(dir.path(), &["check"]).status.code(), Some(1), "without it the file counts");
    // The file that is named itself is judged, as it would be imported.
    let seen = check(&["playlists/devices.csv"]);
    assert_eq!(seen.status.code(), Some(1));
    assert!(text(&seen.stdout).starts_with("playlists/devices.csv:1:1: "));
    // What does not fit the register is told of the register.
    let fewer: Vec<&str> = good.lines().take(2).collect();
    fs::write(&csv, fewer.join("\n") + "\n").unwrap();
    let args = ["device", "import", "--data", "data", "--replace", "playlists/devices.csv"];
    assert!(loa(dir.path(), &args).status.success());
    fs::write(&csv, good).unwrap();
    let told = text(&check(&[]).stdout);
    assert_ne!(told, "", "playlists that reach no device any more");
    assert_eq!(loa(dir.path(), &["check"]).status.code(), Some(0), "the file still names them");
    let seen = loa(dir.path(), &["check", "--data", "nowhere"]);
    assert_eq!(seen.status.code(), Some(2), "{}", text(&seen.stderr));
    assert!(text(&seen.stderr).contains("loa init --data nowhere"));
    assert!(!dir.path().join("nowhere").exists(), "check makes nothing");
}

#[test]
fn a_page_that_a_board_cannot_show_as_written_is_told_with_the_board_and_a_remedy() {
    let dir = sample();
    let file = dir.path().join("playlists/bang-uy-ban.toml");
    let good = fs::read_to_string(&file).unwrap();
    let page = |text: &str, rest: &str| {
        let long = format!(
            "\n[[items]]\nid = \"thu\"\ntitle = \"Thử\"\n\n[[items.pages]]\ntext = \"{text}\"\n{rest}\n"
        );
        let slot =
            "\n[[slots]]\nid = \"thu\"\nat = [\"10:00\"]\nlongest = \"10m\"\nitems = [\"thu\"]\n";
        fs::write(&file, format!("{good}{long}{slot}")).unwrap();
        let seen = loa(dir.path(), &["check"]);
        (seen.status.code(), text_of(&seen))
    };
    fn text_of(seen: &std::process::Output) -> String {
        text(&seen.stdout)
    }
    let words = "Đề nghị nhân dân không chuyển tiền cho người lạ qua điện thoại ".repeat(6);
    for (text, rest, code, told) in [
        (words.trim(), "dwell = \"4s\"", 1, "screens and"),
        ("Ủy ban", "scale = 3", 1, "rows of pixels, the board has 32"),
        ("Xã ក", "", 1, "belongs to a script whose letters change"),
        ("Nước {feed:song-hong}", "", 1, "no feed `song-hong`"),
        ("Giờ {gio}", "", 1, "`{gio}` is no field"),
        ("TUYEN TRUYEN CHUYEN DOI SO", "dwell = \"10s\"", 0, "cannot be read without marks"),
        ("Ủy ban", "blink = true", 0, "the page blinks"),
        ("Xã Ba Vì", "speed_px_s = 30", 1, "`speed_px_s`"),
        ("Hôm nay {date:long}, {lunar}", "dwell = \"9s\"", 0, ""),
    ] {
        let (status, seen) = page(text, rest);
        assert_eq!(status, Some(code), "{text}: {seen}");
        assert!(seen.contains(told), "{text}: {told}\n{seen}");
        if !told.is_empty() && !told.starts_with('`') && !told.starts_with("no feed") {
            assert!(seen.contains("`bang-led-128x32` (bang-uy-ban)"), "{seen}");
        }
    }
}

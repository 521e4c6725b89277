//! `loa init`, `device`, `unit` and `link` as a person at the command line sees them.

use super::support::cli::{json, keys, loa, loa_reading, text};
use loa::app::ports::Registry as _;
use loa::store::SqliteStore;
use loa::wire::epoch::KeySet;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

/// A folder in which `loa init` has run with nothing there before.
fn made() -> (tempfile::TempDir, Value) {
    let dir = tempfile::tempdir().unwrap();
    let told = json(&loa(dir.path(), &["init", "--json"]));
    (dir, told)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The command was refused with this code, says both, and leaves stdout empty.
#[track_caller]
fn refused(output: &Output, code: i32, says: &[&str]) {
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    for part in says {
        assert!(told.contains(part), "`{part}` is not in: {told}");
    }
}

#[test]
fn init_makes_a_whole_server_that_only_its_owner_can_read() {
    let (dir, told) = made();
    let fields = ["data", "playlists", "profiles", "root", "root_file", "sample", "token"];
    assert_eq!(keys(&told), fields);
    let data = dir.path().join("data");
    assert_eq!(mode(&data), 0o700);
    for file in ["keys.json", "epochs.json", "root.txt", "root-key.txt"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    let root = told["root"].as_str().unwrap();
    let chain = fs::read(data.join("epochs.json")).unwrap();
    assert_eq!(KeySet::verify(&chain, &root.parse().unwrap()).unwrap().epoch(), 1);
    let paper = fs::read_to_string(data.join("root-key.txt")).unwrap();
    assert!(paper.contains(root), "the paper names the key that devices pin");
    let all = fs::read_dir(&data).unwrap().flatten().map(|entry| entry.path());
    let secret = paper.lines().find_map(|line| line.strip_prefix("Key:")).unwrap().trim();
    for path in all.filter(|path| path.is_file() && !path.ends_with("root-key.txt")) {
        let bytes = fs::read(&path).unwrap();
        let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!found, "{} holds the root key", path.display());
    }
    let check = loa(dir.path(), &["check"]);
    assert_eq!((check.status.code(), text(&check.stdout)), (Some(0), String::new()));
}

#[test]
fn init_a_second_time_changes_nothing_and_says_what_to_do() {
    let (dir, _) = made();
    let before = fs::read(dir.path().join("data/keys.json")).unwrap();
    let again = loa(dir.path(), &["init"]);
    refused(&again, 2, &["`data` already holds the keys of a server", "hint: nothing was changed"]);
    let other = ["init", "--data", "other", "--root-out", "data/root-key.txt"];
    refused(&loa(dir.path(), &other), 2, &["`data/root-key.txt` already exists", "--root-out"]);
    assert!(!dir.path().join("other").exists());
    assert_eq!(fs::read(dir.path().join("data/keys.json")).unwrap(), before);
}

#[test]
fn init_leaves_a_station_that_is_there_and_tells_the_next_steps() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("xã")).unwrap();
    fs::write(dir.path().join("xã/station.toml"), "name = \"Xã\"\n").unwrap();
    let args = ["init", "--data", "dữ liệu", "--playlists", "xã", "--root-out", "gốc.txt"];
    let seen = loa(dir.path(), &args);
    assert_eq!(seen.status.code(), Some(0), "{}", text(&seen.stderr));
    let told = text(&seen.stdout);
    for part in [
        "`xã` was left as it is",
        "print `gốc.txt`",
        "loa check xã",
        "loa link --data",
        "approves it",
    ] {
        assert!(told.contains(part), "`{part}` is not in: {told}");
    }
    assert!(
        told.contains("loa serve --data 'dữ liệu' --playlists xã"),
        "as it can be typed: {told}"
    );
    assert_eq!(fs::read_dir(dir.path().join("xã")).unwrap().count(), 1);
    assert_eq!(mode(&dir.path().join("gốc.txt")), 0o600);
    assert!(!dir.path().join("dữ liệu/root-key.txt").exists());
}

#[test]
fn the_token_and_the_link_that_are_shown_are_the_ones_that_open() {
    let (dir, told) = made();
    let link = json(&loa(dir.path(), &["link", "--json"]));
    assert_eq!(keys(&link), ["expires_ms", "link"]);
    let (url, secret) = link["link"].as_str().unwrap().split_once("/in/").unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    let named = json(&loa(dir.path(), &["link", "--json", "--url", "https://loa.example/"]));
    assert!(named["link"].as_str().unwrap().starts_with("https://loa.example/in/"));
    let token = told["token"].as_str().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = SqliteStore::open(&dir.path().join("data/store.db")).await.unwrap();
        let now = loa::clock::Clock::now(&loa::clock::SystemClock::new());
        for (secret, uses) in [(token, 2), (secret, 1)] {
            let hash = loa::domain::ids::Digest::of(secret.as_bytes());
            for _ in 0..uses {
                assert!(store.use_token(&hash, now).await.unwrap().is_some());
            }
            let again = store.use_token(&hash, now).await.unwrap();
            assert_eq!(again.is_some(), secret == token, "a link opens once");
        }
    });
}

#[test]
fn commands_on_a_folder_that_is_none_say_how_to_make_one() {
    let dir = tempfile::tempdir().unwrap();
    for args in [
        &["device", "list"][..],
        &["device", "export"],
        &["unit", "list"],
        &["link"],
        &["records"],
        &["records", "export"],
        &["records", "missing"],
        &["device", "enrol", "loa-1"],
    ] {
        let seen = loa(dir.path(), args);
        refused(&seen, 2, &["`data` is not the data folder", "loa init --data data"]);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is made by looking");
}

#[test]
fn units_come_in_line_by_line_and_go_out_as_they_came() {
    let (dir, _) = made();
    let at = dir.path();
    let all = "id,name,parent,valid_from,valid_until,successors,population\n\
               51,Tỉnh Quảng Ngãi,,,,,\n99901,\"Xã Đông Hoà, xã mới\",51,2025-07-01,,,8500\n";
    let import = |args: &[&str], text: &str| {
        loa_reading(at, &[&["unit", "import", "--json"], args, &["-"]].concat(), text.as_bytes())
    };
    let done = json(&import(&[], all));
    assert_eq!(keys(&done), ["added", "changed", "removed", "unchanged"]);
    assert_eq!(done["added"], 2);
    assert_eq!(text(&loa(at, &["unit", "export"]).stdout), all, "byte for byte");
    // A hamlet alone: its commune stands in the register.
    let hamlet = "id,name,parent\n99901-dinh,Thôn Đình,99901\n";
    assert_eq!(json(&import(&[], hamlet))["added"], 1);
    let again = json(&import(&[], hamlet));
    assert_eq!((&again["unchanged"], &again["changed"]), (&1.into(), &0.into()));
    let renamed = hamlet.replace("Thôn Đình", "Thôn Đình Trên");
    assert_eq!(json(&import(&[], &renamed))["changed"], 1);
    let rows = json(&loa(at, &["unit", "list", "--json"]));
    let names: Vec<_> = rows.as_array().unwrap().iter().map(|row| &row["name"]).collect();
    assert_eq!(names, ["Tỉnh Quảng Ngãi", "Xã Đông Hoà, xã mới", "Thôn Đình Trên"]);
    assert_eq!(
        keys(&rows[1]),
        ["id", "name", "parent", "population", "successors", "valid_from", "valid_until"]
    );
    insta::assert_snapshot!(text(&loa(at, &["unit", "list"]).stdout), @r"
    UNIT        NAME                 PARENT
    51          Tỉnh Quảng Ngãi      –
    99901       Xã Đông Hoà, xã mới  51
    99901-dinh  Thôn Đình Trên       99901
    ");
    // Alone it is no whole register: with `--replace` its commune would be gone.
    let seen = import(&["--replace"], hamlet);
    refused(&seen, 1, &["-:2:22: no unit `99901`", "nothing was changed"]);
    let seen = import(&[], "id,name,parent\n99902,A,52\n99903,B,51x\n");
    refused(&seen, 1, &["-:2:9: no unit `52`", "-:3:9: ", "hint: "]);
    let three = json(&loa(at, &["unit", "list", "--json"]));
    assert_eq!(three.as_array().unwrap().len(), 3, "a file with a fault changes nothing");
    assert_eq!(json(&import(&["--replace"], all))["removed"], 1);
}

#[test]
fn devices_come_in_with_all_faults_at_once_or_not_at_all() {
    let (dir, _) = made();
    let at = dir.path();
    let units = "id,name,parent\n51,Tỉnh,\n99901,Xã,51\n99902,Xã hai,51\n";
    let args = ["unit", "import", "--json", "-"];
    json(&loa_reading(at, &args, units.as_bytes()));
    let head = "id,name,unit,tags,profile,volume_cap,trim_ms\n";
    let import = |args: &[&str], lines: &str| {
        let args = [&["device", "import", "--json"], args, &["-"]].concat();
        loa_reading(at, &args, format!("{head}{lines}").as_bytes())
    };
    let lines = "loa-1,Loa đình,99901,dinh loa,loa-ip,80,-20\nloa-2,Loa chợ,99902,,loa-ip,100,0\n";
    assert_eq!(json(&import(&[], lines))["added"], 2);
    assert_eq!(text(&loa(at, &["device", "export"]).stdout), format!("{head}{lines}"));
    let seen =
        import(&[], "loa-3,C,99903,,loa-ip,,\nLOA 4,D,99901,,loa-ip,,\nloa-5,E,99901,,loa-id,,\n");
    refused(
        &seen,
        1,
        &[
            "-:2:9: no unit `99903`",
            "-:3:1: ",
            "-:4:16: no profile `loa-id`",
            "did you mean `loa-ip`",
        ],
    );
    let wrong = loa(at, &["device", "import", "nowhere.csv"]);
    refused(&wrong, 3, &["reading `nowhere.csv`"]);
    insta::assert_snapshot!(text(&loa(at, &["device", "list"]).stdout), @r"
    DEVICE  NAME      UNIT   PROFILE  BEHIND  STANDING
    loa-1   Loa đình  99901  loa-ip   –       awaiting
    loa-2   Loa chợ   99902  loa-ip   –       awaiting
    ");
    // A unit that still holds a device stays.
    let fewer = "id,name,parent\n51,Tỉnh,\n99901,Xã,51\n";
    let args = ["unit", "import", "--replace", "-"];
    let seen = loa_reading(at, &args, fewer.as_bytes());
    refused(&seen, 3, &["unit `99902` still holds device `loa-2`", "loa device import"]);
    assert_eq!(json(&import(&["--replace"], "loa-1,Loa đình,99901,,loa-ip,,\n"))["removed"], 1);
    assert!(loa_reading(at, &args, fewer.as_bytes()).status.success());
    let seen = import(&["--profiles", "none"], "loa-9,A,99901,,anything,,\n");
    assert!(text(&seen.stderr).contains("note: no folder `none`; profiles are not checked"));
    assert!(seen.status.success());
}

#[test]
fn a_device_is_added_and_enrolled_with_a_code_that_works_once() {
    let (dir, told) = made();
    let at = dir.path();
    let units = b"id,name,parent\n51,T,\n99901,X,51\n";
    assert!(loa_reading(at, &["unit", "import", "-"], units).status.success());
    let add = |args: &[&str]| {
        let rest = ["--name", "Loa cổng", "--profile", "loa-ip", "--json"];
        loa(at, &[&["device", "add"], args, &rest].concat())
    };
    let row = json(&add(&["loa-cong", "--unit", "99901", "--tag", "cong", "--volume-cap", "60"]));
    let fields = [
        "behind",
        "id",
        "name",
        "profile",
        "since_ms",
        "standing",
        "tags",
        "trim_ms",
        "unit",
        "volume_cap",
    ];
    assert_eq!(keys(&row), fields);
    assert_eq!((&row["standing"], &row["volume_cap"]), (&"awaiting".into(), &60.into()));
    let there = add(&["loa-cong", "--unit", "99901"]);
    refused(&there, 3, &["device `loa-cong` is registered already", "loa device import"]);
    refused(&add(&["loa-hai", "--unit", "99909"]), 3, &["no unit `99909`", "loa unit list"]);
    refused(&add(&["Loa Hai", "--unit", "99901"]), 2, &["Loa Hai"]);
    let capped = add(&["loa-hai", "--unit", "99901", "--volume-cap", "101"]);
    refused(&capped, 3, &["`volume_cap` is 101, allowed are 0 to 100"]);

    let enrol = |args: &[&str]| loa(at, &[&["device", "enrol", "--json"], args].concat());
    let code = json(&enrol(&["loa-cong", "--hours", "2", "--qr", "mã.svg"]));
    assert_eq!(keys(&code), ["code", "device", "expires_ms", "id", "link"]);
    assert!(fs::read_to_string(at.join("mã.svg")).unwrap().contains("<svg"));
    let parsed: loa::wire::enrol::Code = code["code"].as_str().unwrap().parse().unwrap();
    assert_eq!(parsed.root.to_string(), told["root"], "the code pins this server's root");
    let other = json(&enrol(&["loa-cong"]));
    assert_ne!(other["code"], code["code"]);
    refused(&enrol(&["loa-hai"]), 3, &["no device `loa-hai`", "loa device list"]);
    refused(&enrol(&["loa-cong", "--hours", "0"]), 3, &["`hours` is 0, allowed are 1 to"]);
    let shown = loa(at, &["device", "enrol", "loa-cong"]);
    assert!(text(&shown.stderr).contains("Works once, for 72 hours"));
    assert_eq!(text(&shown.stdout).lines().count(), 1, "the code alone, to be piped");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = SqliteStore::open(&at.join("data/store.db")).await.unwrap();
        assert_eq!(store.devices().await.unwrap().len(), 1);
    });
}

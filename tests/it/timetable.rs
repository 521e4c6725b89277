//! `loa timetable` as a person at the command line sees it.

use super::support::cli::{self, json, keys, root, text, tone};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Output;

fn loa(args: &[&str], station: &Path) -> Output {
    let (station, profiles) = (station.to_str().unwrap(), root().join("device-profiles"));
    let folders = ["--playlists", station, "--profiles", profiles.to_str().unwrap()];
    cli::loa(&root(), &[&["timetable"], args, &folders].concat())
}

const PLAYLIST: &str = r#"
title = "Bản tin"

[targets]
units = ["99901"]

[[items]]
id = "ban-tin"
title = "Bản tin xã"
clip = "clips/bản tin.wav"

[[items]]
id = "thieu"
title = "Bài chưa có"
clip = "clips/chua-co.mp3"

[[items]]
id = "chu"
title = "Chữ"

[[items.pages]]
text = "Xin chào"
dwell = "5s"

[[slots]]
id = "sang"
at = ["05:00", "17:00"]
days = ["Mon-Sat"]
except = ["2026-12-02"]
longest = "10m"
volume = 100
items = ["ban-tin", "chu", "thieu"]
"#;

fn station() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| fs::write(dir.path().join(name), text).unwrap();
    fs::create_dir(dir.path().join("clips")).unwrap();
    write("clips/bản tin.wav", &tone(3));
    write("station.toml", "name = \"Xã An Hoà Đông\"\n".as_bytes());
    write("units.csv", "id,name,parent\n51,Tỉnh,\n99901,Xã An Hoà Đông,51\n".as_bytes());
    write(
        "devices.csv",
        "id,name,unit,tags,profile,volume_cap,trim_ms\n\
         loa-1,Loa,99901,,loa-ip-gon,70,0\nbang-1,Bảng,99901,,bang-led-128x32,,\n"
            .as_bytes(),
    );
    write("ban-tin.toml", PLAYLIST.as_bytes());
    write(
        "skips.toml",
        "[[skips]]\nplaylist = \"ban-tin\"\nslot = \"sang\"\ndate = 2026-12-03\nreason = \"họp\"\n"
            .as_bytes(),
    );
    dir
}

#[test]
fn the_json_has_the_names_promised_and_nothing_else() {
    let dir = station();
    let args = ["--device", "loa-1", "--from", "2026-12-01", "--days", "7", "--json"];
    let shown = json(&loa(&args, dir.path()));
    assert_eq!(keys(&shown), ["cues", "device", "left_out"]);
    let cues = shown["cues"].as_array().unwrap();
    assert_eq!(cues.len(), 8, "Tuesday, Friday, Saturday and Monday, twice: {shown:#}");
    insta::assert_json_snapshot!(cues[0]);
    let left_out = shown["left_out"].as_array().unwrap();
    let told = |date: &str| -> Vec<Value> {
        let on = |gone: &&Value| gone["nominal"].as_str().unwrap().starts_with(date);
        left_out.iter().filter(on).cloned().collect()
    };
    insta::assert_json_snapshot!([
        &told("2026-12-01")[0],
        &told("2026-12-02")[0],
        &told("2026-12-03")[0]
    ]);
    assert_eq!((told("2026-12-02").len(), told("2026-12-03").len()), (2, 2), "by occurrence");
    assert!(told("2026-12-06").is_empty(), "a Sunday is not asked for");
    assert_eq!(json(&loa(&args, dir.path())), shown, "the same again");
}

#[test]
fn people_get_a_table_a_day() {
    let dir = station();
    let args = ["--from", "2026-12-01", "--days", "2", "--device"];
    let shown: Vec<String> = ["loa-1", "bang-1"]
        .iter()
        .map(|device| {
            let output = loa(&[&args[..], &[device]].concat(), dir.path());
            assert!(output.status.success());
            text(&output.stdout)
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
        2026-12-01 Tue  sound is allowed 00:00:00-24:00:00
        at        end       kind  what                  volume  why
        05:00:00  05:00:03  clip  ban-tin/sang/ban-tin  70      volume-cap: quieter; the device's volume is capped at 70
        17:00:00  17:00:03  clip  ban-tin/sang/ban-tin  70      volume-cap: quieter; the device's volume is capped at 70
        not 05:00:00  ban-tin/sang/thieu  clip-missing: left out; the clip cannot be used: no such file
        not 17:00:00  ban-tin/sang/thieu  clip-missing: left out; the clip cannot be used: no such file

        2026-12-02 Wed  sound is allowed 00:00:00-24:00:00
        nothing is planned
        not 05:00:00  ban-tin/sang  except: left out; the slot excepts `2026-12-02`
        not 17:00:00  ban-tin/sang  except: left out; the slot excepts `2026-12-02`


        2026-12-01 Tue
        at        end       kind   what              volume  why
        05:00:00  05:10:00  pages  ban-tin/sang/chu  100
        17:00:00  17:10:00  pages  ban-tin/sang/chu  100

        2026-12-02 Wed
        nothing is planned
        not 05:00:00  ban-tin/sang  except: left out; the slot excepts `2026-12-02`
        not 17:00:00  ban-tin/sang  except: left out; the slot excepts `2026-12-02`
        ");
}

#[test]
fn what_cannot_be_answered_says_what_to_write_instead() {
    let dir = station();
    for (args, told) in [
        (vec!["--device", "loa-9"], "devices.csv names: bang-1, loa-1"),
        (vec!["--device", "loa-1", "--from", "0001-01-01"], "a date from 1970 to 2100"),
        (vec!["--device", "loa-1", "--from", "1/12/2026"], "--from"),
        (vec!["--device", "loa-1", "--days", "0"], "--days"),
        (vec!["--device", "Loa 1"], "is not a device id"),
    ] {
        let output = loa(&args, dir.path());
        let seen = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {seen}");
        assert!(seen.contains(told) && output.stdout.is_empty(), "{args:?}: {seen}");
    }
}

#[cfg(feature = "server")]
#[test]
fn with_a_data_folder_the_devices_are_those_of_the_register() {
    let dir = station();
    let data = dir.path().join("data");
    let data = data.to_str().unwrap();
    let at = |args: &[&str]| cli::loa(dir.path(), args);
    // A folder with no register yet goes by the files.
    let args = ["--from", "2026-12-01", "--days", "1", "--json", "--data", data, "--device"];
    assert!(at(&["init", "--data", data, "--playlists", "."]).status.success());
    let cues = |device: &str| loa(&[&args[..], &[device]].concat(), dir.path());
    assert_eq!(json(&cues("loa-1"))["cues"][0]["volume"], 70);
    json(&at(&["unit", "import", "--data", data, "--json", "units.csv"]));
    let profiles = root().join("device-profiles");
    let profiles = profiles.to_str().unwrap();
    let import = ["device", "import", "--data", data, "--profiles", profiles, "--json"];
    json(&at(&[&import[..], &["devices.csv"]].concat()));
    // The register moves on; the file stays behind.
    let moved = "id,name,unit,tags,profile,volume_cap,trim_ms\n\
                 loa-1,Loa,99901,,loa-ip-gon,40,0\nloa-2,Loa hai,99901,,loa-ip-gon,,\n";
    let args = [&import[..], &["--replace", "-"]].concat();
    let done = json(&cli::loa_reading(dir.path(), &args, moved.as_bytes()));
    assert_eq!(done["removed"], 1);
    assert_eq!(json(&cues("loa-1"))["cues"][0]["volume"], 40);
    assert_eq!(json(&cues("loa-2"))["cues"].as_array().unwrap().len(), 2);
    let gone = cues("bang-1");
    assert_eq!(gone.status.code(), Some(2));
    assert!(text(&gone.stderr).contains("the register names: loa-1, loa-2"));
}

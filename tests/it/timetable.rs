//! `loa timetable` as a person at the command line sees it.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn loa(args: &[&str], station: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loa"))
        .arg("timetable")
        .args(args)
        .arg("--playlists")
        .arg(station)
        .arg("--profiles")
        .arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("device-profiles"))
        .output()
        .unwrap()
}

/// So many seconds of a tone as WAV.
fn tone(seconds: u32) -> Vec<u8> {
    let rate = 8_000_u32;
    let samples: Vec<u8> = (0..seconds * rate)
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

fn json(output: &Output) -> Value {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {told}"))
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

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
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
            String::from_utf8(output.stdout).unwrap()
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
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains(told) && output.stdout.is_empty(), "{args:?}: {text}");
    }
}

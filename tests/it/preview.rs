//! `loa preview`: pictures of a playlist as boards show it, made by the program itself.

use loa::domain::profile::BoardProfile;
use loa::domain::time::UtcMs;
use loa::raster::{Board, Design, Faces, Pass, Scene};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const PROFILE: &str = r#"
title = "Bảng một màu"
[board]
width_px = 64
height_px = 16
"#;

/// A commune with two boards of different size, one of them far from the playlist.
fn station(root: &Path) {
    let folder = root.join("playlists");
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(root.join("device-profiles")).unwrap();
    let wide = PROFILE.replace("= 64", "= 128").replace("một màu", "rộng");
    fs::write(root.join("device-profiles/bang-nho.toml"), PROFILE).unwrap();
    fs::write(root.join("device-profiles/bang-rong.toml"), wide).unwrap();
    let station = "name = \"Đài xã Tân Hoà\"\nzone = \"Asia/Ho_Chi_Minh\"\n";
    fs::write(folder.join("station.toml"), station).unwrap();
    let units = "id,name,parent\n95,Tỉnh Tân Bình,\n90001,Xã Tân Hoà,95\n90002,Xã Ba Vì,95\n";
    fs::write(folder.join("units.csv"), units).unwrap();
    let devices = "id,name,unit,profile\n\
                   bang-1,Cổng xã,90001,bang-nho\n\
                   bang-2,Nhà văn hoá,90002,bang-rong\n";
    fs::write(folder.join("devices.csv"), devices).unwrap();
    let playlist = r#"
title = "Bảng chữ"
[targets]
units = ["90001"]
[[items]]
id = "gio"
title = "Giờ"
[[items.pages]]
text = "{time}"
dwell = "3s"
[[items]]
id = "chay"
title = "Chữ chạy"
[[items.pages]]
text = "Phòng, chống lũ quét"
effect = "scroll"
dwell = "3s"
[[slots]]
id = "ngay"
at = ["06:00"]
longest = "1h"
items = ["gio", "chay"]
"#;
    fs::write(folder.join("bang.toml"), playlist).unwrap();
}

fn preview(root: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loa"));
    command.current_dir(root).arg("preview").args(args).output().unwrap()
}

fn made(root: &Path, args: &[&str]) -> Vec<Value> {
    let output = preview(root, &[args, &["--json"]].concat());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What the board itself shows first.
fn on_the_board(text: &str, at: UtcMs) -> String {
    let profile = BoardProfile {
        width_px: 64,
        height_px: 16,
        colours: vec![],
        fonts: vec![],
        scroll_px_s: 32,
        ..BoardProfile::default()
    };
    let (board, faces) = (Board::from(&profile), Faces::of_profile(&profile));
    let (design, scene) = (Design::still(text, 3_000), Scene::at(at));
    Pass::new(&design, &board, &faces, &scene).first().picture()
}

#[test]
fn a_playlist_becomes_one_moving_picture_of_each_kind_of_board_that_it_reaches() {
    let dir = tempfile::tempdir().unwrap();
    station(dir.path());
    let made = made(dir.path(), &["bang", "--at", "2026-11-22T05:00", "--out", "ảnh"]);
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!((&made[0]["board"], &made[0]["whole"]), (&"bang-nho".into(), &true.into()));
    let file = fs::File::open(dir.path().join(made[0]["file"].as_str().unwrap())).unwrap();
    let mut decoder = png::Decoder::new(std::io::BufReader::new(file)).read_info().unwrap();
    let frames = decoder.info().animation_control.unwrap().num_frames;
    assert_eq!(u64::from(frames), made[0]["frames"].as_u64().unwrap());
    assert!(frames > 50, "a text that runs is many pictures: {frames}");
    assert_eq!((decoder.info().width, decoder.info().height), (256, 64));
    let mut pixels = vec![0; decoder.output_buffer_size().unwrap()];
    decoder.next_frame(&mut pixels).unwrap();
    assert!(pixels.contains(&255), "something is lit");
}

#[test]
fn the_pixels_are_those_of_the_board_at_the_moment_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    station(dir.path());
    let args = ["playlists/bang.toml", "--item", "gio", "--format", "text"];
    let made = made(dir.path(), &[&args[..], &["--at", "2026-11-22T05:00:00+07:00"]].concat());
    let at = UtcMs(1_795_298_400_000);
    assert_eq!(made[0]["text"].as_str().unwrap(), on_the_board("05:00", at));
    assert_eq!(made[0]["text"].as_str().unwrap(), on_the_board("{time}", at));
    assert_eq!((&made[0]["page"], &made[0]["ms"]), (&1.into(), &3_000.into()));
}

#[test]
fn pages_become_pictures_of_their_own_also_for_a_board_that_is_not_reached() {
    let dir = tempfile::tempdir().unwrap();
    station(dir.path());
    for format in ["png", "svg"] {
        let made = made(dir.path(), &["bang", "--board", "bang-rong", "--format", format]);
        assert_eq!(made.len(), 2);
        for one in &made {
            let bytes = fs::read(dir.path().join(one["file"].as_str().unwrap())).unwrap();
            let start: &[u8] = if format == "png" { b"\x89PNG" } else { b"<svg" };
            assert!(bytes.starts_with(start), "{one}");
        }
    }
    let again = made(dir.path(), &["bang", "--board", "bang-rong", "--format", "svg"]);
    assert_eq!(again.len(), 2, "an earlier preview is replaced");
    let left = fs::read_dir(dir.path()).unwrap().flatten();
    assert!(left.map(|e| e.file_name()).all(|name| !name.to_string_lossy().ends_with(".part")));
}

#[test]
fn what_cannot_be_drawn_is_told_with_what_there_is() {
    let dir = tempfile::tempdir().unwrap();
    station(dir.path());
    for (args, wanted) in [
        (&["khong-co"][..], "the folder has bang"),
        (&["bang", "--board", "khong-co"], "boards: bang-nho, bang-rong"),
        (&["bang", "--item", "khong-co"], "items.pages"),
        (&["bang", "--at", "mai"], "RFC 3339"),
        (&["Bảng chữ"], "name its id"),
    ] {
        let output = preview(dir.path(), args);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(wanted), "{args:?}: {told}");
    }
    let path = dir.path().join("playlists/bang.toml");
    let text = fs::read_to_string(&path).unwrap().replace("Phòng, chống", "ᚠ Phòng, chống");
    fs::write(&path, text).unwrap();
    let output = preview(dir.path(), &["bang"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("bang.toml:") && told.contains("hint: "), "{told}");
    assert_eq!(output.status.code(), Some(3), "{told}");
}

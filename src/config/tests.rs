use super::*;
use crate::domain::ids::{DeviceId, SlotId};
use crate::domain::playlist::{Content, Order, Origin, Overrun, Priority};
use crate::domain::standby::Template;
use crate::domain::station::Clip;
use proptest::prelude::*;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use unicode_normalization::UnicodeNormalization as _;

/// Takes every file for a clip of a minute.
struct Minute;

impl ClipSource for Minute {
    fn facts(&mut self, path: &Path) -> Result<AssetFacts, String> {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.contains("broken") {
            return Err("not audio".into());
        }
        let media_type = if name.nfc().any(|c| c == 'ă') { "audio/flac" } else { "audio/mpeg" };
        Ok(AssetFacts {
            sha256: Digest::of(name.as_bytes()),
            bytes: 1_000,
            media_type: media_type.into(),
            ms: 60_000,
            gain_cb: 0,
            lufs_cb: -160,
            sums: BTreeMap::new(),
            title: name,
        })
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn told(loaded: &Loaded) -> Vec<String> {
    let name = |file: &str| file.rsplit('/').next().unwrap_or_default().to_owned();
    let line = |f: &Fault| format!("{}:{}:{}: {}", name(&f.file), f.line, f.column, f.message);
    loaded.faults.iter().map(line).collect()
}

/// A folder that changes under the hands of a test.
struct Folder {
    dir: tempfile::TempDir,
    good: LastGood,
}

const PLAYLIST: &str = r#"
title = "Bản tin"
[targets]
devices = ["loa-1"]
[[items]]
id = "mot"
title = "Một"
clip = "clips/một.mp3"
[[slots]]
id = "sang"
at = ["05:00"]
longest = "15m"
items = ["mot"]
"#;

impl Folder {
    fn new() -> Self {
        let folder = Self { dir: tempfile::tempdir().unwrap(), good: LastGood::default() };
        folder.write("station.toml", "name = \"Đài xã\"\napproval = \"off\"\n");
        folder.write("units.csv", "id,name,parent\n01,Hà Nội,\n00001,Xã,01\n");
        folder.write("devices.csv", "id,name,unit,profile\nloa-1,Cụm một,00001,loa\n");
        folder.write("profiles/loa.toml", "title = \"Loa\"\n[speaker]\ncodecs = [\"mp3\"]\n");
        folder.write("clips/một.mp3", "");
        folder.write("ban-tin.toml", PLAYLIST);
        folder
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.dir.path().join(name)).unwrap();
    }

    fn load(&mut self) -> Loaded {
        let profiles = self.dir.path().join("profiles");
        let loaded = load_with_last_good(self.dir.path(), &profiles, &mut Minute, &self.good);
        self.good = loaded.good.clone();
        loaded
    }

    /// Loads and returns faults and the title of the playlist in force.
    fn title(&mut self) -> (Vec<String>, Option<String>) {
        let loaded = self.load();
        let id = PlaylistId::new("ban-tin").unwrap();
        let title = loaded.station.as_ref().unwrap().playlists.get(&id).map(|p| p.title.clone());
        (told(&loaded), title)
    }
}

#[test]
fn every_fault_of_a_folder_is_told_at_once() {
    let folder = root().join("tests/golden/config-faults");
    let loaded = load(&folder, &folder.join("profiles"), &mut Minute);
    assert!(loaded.station.is_none());
    let prefix = format!("{}/", folder.display());
    let mut text = String::new();
    for fault in &loaded.faults {
        let hint = fault.hint.as_ref().expect("every fault has a hint");
        let told = fault.to_string();
        writeln!(text, "{}\n    {hint}", told.strip_prefix(&prefix).unwrap()).unwrap();
    }
    insta::assert_snapshot!("faults", text);
}

#[test]
fn the_sample_folder_has_no_fault_and_every_key_arrives() {
    let mut seen = Vec::new();
    struct Made<'a>(&'a mut Vec<PathBuf>);
    impl ClipSource for Made<'_> {
        fn facts(&mut self, path: &Path) -> Result<AssetFacts, String> {
            self.0.push(path.to_owned());
            Minute.facts(path)
        }
    }
    let folder = root().join("playlists");
    let loaded = load(&folder, &root().join("device-profiles"), &mut Made(&mut seen));
    // The clips are made at set-up; their absence is no fault of this test.
    let faults: Vec<String> =
        told(&loaded).into_iter().filter(|f| !f.contains("clip `clips/")).collect();
    assert_eq!(faults, Vec::<String>::new());
    let station = loaded.station.unwrap();
    assert_eq!((station.devices.len(), station.units.len(), station.playlists.len()), (6, 6, 4));
    assert_eq!(station.standby.keys().copied().collect::<Vec<_>>(), Template::ALL);
    let both = &station.playlists[&PlaylistId::new("canh-bao-lua-dao").unwrap()];
    assert_eq!(both.priority, Priority::Priority);
    assert!(both.items.iter().any(|i| matches!(i.content, Content::Clip { .. })));
    assert!(both.items.iter().any(|i| matches!(i.content, Content::Pages(_))));
    let morning = &station.playlists[&PlaylistId::new("ban-tin-sang").unwrap()];
    assert_eq!(morning.items[2].origin, Some(Origin::Province));
    assert_eq!(morning.slots[0].overrun, Overrun::Finish { bound_ms: 120_000 });
    assert_eq!(morning.slots[0].fade_ms, 3_000);
    let afternoon = &station.playlists[&PlaylistId::new("ban-tin-chieu").unwrap()];
    assert_eq!(afternoon.slots[0].order, Order::Rotate);
}

#[test]
fn standby_templates_are_checked_against_every_loudspeaker() {
    let mut folder = Folder::new();
    let station = |more: &str| format!("name = \"Đài xã\"\napproval = \"off\"\n{more}");
    let template = |name: &str, clip: &str| {
        format!("[standby.{name}]\nclip = \"clips/{clip}\"\ntext = \"Lũ đang lên\"\n")
    };
    folder.write("clips/còi.mp3", "");
    folder.write("station.toml", &station(&template("flood", "còi.mp3")));
    let loaded = folder.load();
    assert_eq!(told(&loaded), Vec::<String>::new());
    let good = loaded.station.unwrap();
    assert_eq!(good.standby[&Template::Flood].text, "Lũ đang lên");
    assert_eq!(good.standby_clip(Template::Flood).unwrap().ms, 60_000);
    assert_eq!(good.standby_clip(Template::Siren), None);

    // A clip that is not there or that a loudspeaker cannot play is told, and left out alone.
    folder.write("clips/ăn.flac", "");
    let bad = template("fire", "không có.mp3") + &template("storm", "ăn.flac");
    folder.write("station.toml", &station(&(template("flood", "còi.mp3") + &bad)));
    let loaded = folder.load();
    assert_eq!(
        told(&loaded),
        [
            "station.toml:7:8: clip `clips/không có.mp3`: no such file",
            "station.toml:10:8: clip `clips/ăn.flac` is flac, which profile `loa` (loa-1) cannot play",
        ]
    );
    let station_now = loaded.station.unwrap();
    let profile = station_now.profiles.values().next().unwrap();
    assert_eq!(station_now.standby_for(profile).len(), 1);

    // A template of another name, or without words for the boards, refuses the file.
    folder.write("station.toml", &station("[standby.tsunami]\nclip = \"clips/còi.mp3\"\n"));
    let loaded = folder.load();
    assert_eq!(told(&loaded).len(), 1, "{:?}", told(&loaded));
    assert!(told(&loaded)[0].contains("`tsunami`"), "{:?}", told(&loaded));
    folder.write("station.toml", &station("[standby.fire]\nclip = \"../còi.mp3\"\n"));
    let faults = told(&folder.load());
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert_eq!(folder.load().station.unwrap().standby, station_now.standby, "as it last was good");
}

#[test]
fn the_authority_of_time_stamps_is_checked_key_by_key() {
    let mut folder = Folder::new();
    let station = |more: &str| format!("name = \"Đài xã\"\n[log.tokens]\n{more}");
    let right = "url = \"http://tsa.example.vn/tsr\"\nca_file = \"tsa.pem\"\n";
    folder.write("station.toml", &station(&format!("{right}policy = \"1.2.3.0\"\n")));
    let loaded = folder.load();
    assert_eq!(told(&loaded), Vec::<String>::new());
    let tokens = loaded.config.unwrap().log.tokens.unwrap();
    assert_eq!((tokens.ca_file.as_str(), tokens.policy.as_deref()), ("tsa.pem", Some("1.2.3.0")));
    let wrong = "url = \"ftp://tsa\"\nca_file = \"../tsa.pem\"\npolicy = \"1.02\"\nevery = 1\n";
    folder.write("station.toml", &station(wrong));
    insta::assert_snapshot!(told(&folder.load()).join("\n"));
    folder.write("station.toml", &station(""));
    assert_eq!(told(&folder.load()).len(), 2, "both keys are needed");
}

#[test]
fn committed_schemas_equal_what_reading_checks() {
    for kind in KINDS {
        let path = root().join(format!("playlists/.schema/{kind}.json"));
        let committed: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(Some(committed), schema(kind), "run: loa check --schema {kind} > {path:?}");
    }
    assert_eq!(schema("nonsense"), None);
}

#[test]
fn a_faulty_playlist_keeps_its_last_good_version_and_is_listed() {
    let mut folder = Folder::new();
    assert_eq!(folder.title(), (vec![], Some("Bản tin".into())));
    folder.write("ban-tin.toml", &PLAYLIST.replace("05:00", "25:00").replace("Bản tin", "Mới"));
    let fault = "ban-tin.toml:11:7: `25:00` is not a time of day".to_owned();
    assert_eq!(folder.title(), (vec![fault], Some("Bản tin".into())));
    assert_eq!(folder.load().held, ["ban-tin.toml"]);
    folder.write("ban-tin.toml", &PLAYLIST.replace("Bản tin", "Mới"));
    assert_eq!(folder.title(), (vec![], Some("Mới".into())));
    assert_eq!(folder.load().held, Vec::<String>::new());
}

#[test]
fn a_half_written_file_changes_nothing() {
    let mut folder = Folder::new();
    folder.load();
    let whole = PLAYLIST.replace("Bản tin", "Mới");
    for end in (0..whole.len()).step_by(7) {
        fs::write(folder.dir.path().join("ban-tin.toml"), &whole.as_bytes()[..end]).unwrap();
        let loaded = folder.load();
        let station = loaded.station.unwrap();
        let playlist = &station.playlists[&PlaylistId::new("ban-tin").unwrap()];
        assert_eq!(playlist.title, "Bản tin", "cut after {end} bytes");
        assert!(!loaded.faults.is_empty());
    }
}

#[test]
fn a_playlist_that_never_was_good_is_left_out_and_the_others_play() {
    let mut folder = Folder::new();
    folder.write("moi.toml", "title = 3\n");
    let loaded = folder.load();
    assert!(loaded.faults.iter().any(|f| f.message == "`title` is a number, not a text"));
    let station = loaded.station.unwrap();
    assert_eq!(station.playlists.keys().map(PlaylistId::as_str).collect::<Vec<_>>(), ["ban-tin"]);
    assert_eq!(loaded.held, Vec::<String>::new());
}

#[test]
fn a_slot_at_a_quarter_past_three_is_refused_and_the_old_time_stays() {
    let mut folder = Folder::new();
    folder.write("policies/dem.toml", "title = \"Đêm\"\nquiet = [\"21:30-04:45\"]\n");
    folder.write("ban-tin.toml", &PLAYLIST.replace("05:00", "15:15"));
    assert!(folder.load().faults.is_empty());
    folder.write("ban-tin.toml", &PLAYLIST.replace("\"05:00\"", "\"17:00\", \"03:15\""));
    let loaded = folder.load();
    let fault = "slot `sang`: `03:15` lies in the quiet hours 21:30-04:45 of policy `dem`";
    assert_eq!(told(&loaded), [format!("ban-tin.toml:11:16: {fault}")]);
    assert_eq!(loaded.faults[0].hint.as_deref(), Some("did you mean `15:15`?"));
    let in_force = |loaded: &Loaded| {
        let station = loaded.station.as_ref().unwrap();
        station.playlists[&PlaylistId::new("ban-tin").unwrap()].slots[0].when.clone()
    };
    let afternoon = crate::domain::recurrence::Recurrence::at(&["15:15"], &[]).unwrap();
    assert_eq!(in_force(&loaded), afternoon);
    let cron = PLAYLIST.replace("at = [\"05:00\"]", "cron = \"15 3 * * *\"");
    folder.write("ban-tin.toml", &cron);
    let loaded = folder.load();
    assert_eq!(told(&loaded), [format!("ban-tin.toml:11:8: {fault}")]);
    assert_eq!(in_force(&loaded), afternoon);
}

#[test]
fn a_stricter_policy_holds_at_once_though_a_playlist_in_force_contradicts_it() {
    let mut folder = Folder::new();
    assert!(folder.load().faults.is_empty());
    folder.write("policies/dem.toml", "title = \"Đêm\"\nquiet = [\"20:00-06:00\"]\n");
    let loaded = folder.load();
    assert_eq!(loaded.faults.len(), 1, "it is told");
    assert!(!loaded.faults[0].refuses);
    let station = loaded.station.unwrap();
    assert_eq!((station.policies.len(), station.playlists.len()), (1, 1));
}

#[test]
fn a_time_that_is_quiet_only_for_some_devices_is_left_to_planning() {
    let mut folder = Folder::new();
    folder.write(
        "devices.csv",
        "id,name,unit,tags,profile\nloa-1,Một,00001,,loa\nloa-2,Hai,00001,truong-hoc,loa\n",
    );
    folder.write(
        "policies/truong.toml",
        "title = \"Trường\"\nquiet = [\"04:00-06:00\"]\n[applies]\ntags = [\"truong-hoc\"]\n",
    );
    folder.write("ban-tin.toml", &PLAYLIST.replace("\"loa-1\"", "\"loa-1\", \"loa-2\""));
    assert_eq!(told(&folder.load()), Vec::<String>::new());
    folder.write("ban-tin.toml", &PLAYLIST.replace("\"loa-1\"", "\"loa-2\""));
    assert_eq!(folder.load().faults.len(), 1);
}

#[test]
fn a_faulty_policy_never_lets_more_sound_than_before() {
    let mut folder = Folder::new();
    folder.write("policies/dem.toml", "title = \"Đêm\"\nquiet = [\"21h-5h\"]\n");
    assert!(folder.load().station.is_none(), "a policy that never was good is no reason to sound");
    folder.write("policies/dem.toml", "title = \"Đêm\"\nquiet = [\"21:00-05:00\"]\n");
    assert!(folder.load().faults.is_empty());
    folder.write("policies/dem.toml", "title = \"Đêm\"\nquiet = [\"\"]\n");
    let loaded = folder.load();
    assert_eq!(told(&loaded), ["dem.toml:2:10: `quiet` is empty"]);
    assert_eq!(loaded.station.unwrap().policies[0].quiet.len(), 1);
    folder.remove("policies/dem.toml");
    assert!(folder.load().station.unwrap().policies.is_empty(), "taking it away is a decision");
}

#[test]
fn a_device_taken_out_is_gone_at_once_and_its_playlist_goes_on_for_the_others() {
    let mut folder = Folder::new();
    folder.write("devices.csv", "id,name,unit,profile\nloa-1,Một,00001,loa\nloa-2,Hai,00001,loa\n");
    let both = PLAYLIST.replace("\"loa-1\"", "\"loa-1\", \"loa-2\"");
    folder.write("ban-tin.toml", &both);
    folder.write("hai.toml", &both.replace("Bản tin", "Hai"));
    assert!(folder.load().faults.is_empty());
    folder.write("devices.csv", "id,name,unit,profile\nloa-2,Cụm hai,00001,loa\n");
    folder.write("hai.toml", &both.replace("Bản tin", "Ba"));
    let loaded = folder.load();
    let told = told(&loaded);
    assert!(told.contains(&"ban-tin.toml:4:12: no device `loa-1`".into()), "{told:?}");
    let station = loaded.station.unwrap();
    assert_eq!(station.devices.keys().map(DeviceId::as_str).collect::<Vec<_>>(), ["loa-2"]);
    let title = |id: &str| station.playlists[&PlaylistId::new(id).unwrap()].title.clone();
    assert_eq!(title("ban-tin"), "Bản tin");
    assert_eq!(title("hai"), "Hai", "a new version with a wrong name is refused");
}

#[test]
fn a_calendar_that_slots_name_cannot_go_before_them() {
    let mut folder = Folder::new();
    let tet = "title = \"Tết\"\n[[spans]]\nfrom = 2026-02-14\nname = \"Tết\"\n";
    folder.write("calendars/tet.toml", tet);
    let except = PLAYLIST.replace("longest", "except = [\"calendar:tet\"]\nlongest");
    folder.write("ban-tin.toml", &except);
    folder.write("hai.toml", PLAYLIST);
    assert!(folder.load().faults.is_empty());
    folder.remove("calendars/tet.toml");
    folder.write("hai.toml", &PLAYLIST.replace("Bản tin", "Ba"));
    let loaded = folder.load();
    assert_eq!(told(&loaded), ["ban-tin.toml:12:11: no calendar `tet`"]);
    let station = loaded.station.unwrap();
    assert_eq!(station.calendars.len(), 1, "it would sound at Tết otherwise");
    assert_eq!(station.playlists[&PlaylistId::new("hai").unwrap()].title, "Ba");
}

#[test]
fn the_name_of_a_file_gives_the_id_of_its_playlist() {
    assert_eq!(playlist_id("Bản tin sáng.toml").unwrap().as_str(), "ban-tin-sang");
    for other in ["station.toml", "units.csv", "policies/a.toml", "skips.toml", "***.toml"] {
        assert_eq!(playlist_id(other), None, "{other}");
    }
}

#[test]
fn a_register_that_vanishes_for_a_moment_changes_nothing() {
    let mut folder = Folder::new();
    folder.load();
    folder.remove("units.csv");
    let loaded = folder.load();
    assert_eq!(told(&loaded), ["units.csv:1:1: no file `units.csv`"]);
    assert_eq!(loaded.station.unwrap().units.len(), 2);
    assert_eq!(loaded.held, ["units.csv"]);
}

#[test]
fn a_missing_clip_is_an_error_but_its_playlist_holds() {
    let mut folder = Folder::new();
    folder.remove("clips/một.mp3");
    folder.write("clips/mọt.mp3", "");
    let loaded = folder.load();
    assert_eq!(told(&loaded), ["ban-tin.toml:8:8: clip `clips/một.mp3`: no such file"]);
    assert_eq!(loaded.faults[0].hint.as_deref(), Some("did you mean `clips/mọt.mp3`?"));
    let library = loaded.station.unwrap().library;
    let clip = library.clips.values().next().unwrap();
    assert_eq!(*clip, Clip::Missing { why: "no such file".into() });
}

#[test]
fn names_are_found_in_either_normalisation() {
    let folder = Folder::new();
    folder.remove("clips/một.mp3");
    folder.write(&"clips/một.mp3".nfd().collect::<String>(), "");
    folder.remove("ban-tin.toml");
    // The playlist's own text is decomposed too, and its name has diacritics.
    let text: String = PLAYLIST.nfd().collect();
    folder.write(&"Bản tin sáng.toml".nfd().collect::<String>(), &text);
    let mut folder = folder;
    let loaded = folder.load();
    assert_eq!(told(&loaded), Vec::<String>::new());
    let station = loaded.station.unwrap();
    let playlist = &station.playlists[&PlaylistId::new("ban-tin-sang").unwrap()];
    assert_eq!(playlist.title, "Bản tin");
    assert!(loaded.hashes.contains_key("Bản tin sáng.toml"));
}

#[test]
fn two_files_of_one_id_are_a_fault_of_the_second() {
    let mut folder = Folder::new();
    folder.write("Bản tin.toml", PLAYLIST);
    let faults = told(&folder.load());
    assert_eq!(
        faults,
        ["ban-tin.toml:1:1: file `ban-tin.toml` gives the id `ban-tin`, as `Bản tin.toml` does"]
    );
}

#[test]
fn a_clip_that_a_device_cannot_decode_is_told_with_the_device() {
    let mut folder = Folder::new();
    folder.write("clips/năm.mp3", "");
    folder.write("ban-tin.toml", &PLAYLIST.replace("một.mp3", "năm.mp3"));
    let loaded = folder.load();
    assert_eq!(
        told(&loaded),
        ["ban-tin.toml:8:8: clip `clips/năm.mp3` is flac, which profile `loa` (loa-1) cannot play"]
    );
    assert_eq!(loaded.faults[0].hint.as_deref(), Some("convert it to mp3"));
    assert!(!loaded.faults[0].refuses);
}

#[test]
fn skips_join_their_slot_and_stale_ones_are_only_told() {
    let mut folder = Folder::new();
    let skip = |playlist: &str, date: &str| {
        format!(
            "[[skips]]\nplaylist = \"{playlist}\"\nslot = \"sang\"\ndate = {date}\nreason = \"Nghỉ\"\n"
        )
    };
    folder.write("skips.toml", &(skip("ban-tin", "2026-12-02") + &skip("cu", "2026-12-01")));
    let loaded = folder.load();
    assert_eq!(told(&loaded), ["skips.toml:6:1: skip of `cu/sang`: no such playlist"]);
    assert_eq!(loaded.faults[0].severity, Severity::Warning);
    let station = loaded.station.unwrap();
    let slot = &station.playlists[&PlaylistId::new("ban-tin").unwrap()].slots[0];
    assert_eq!((slot.id.clone(), slot.skips.len()), (SlotId::new("sang").unwrap(), 1));
    assert_eq!(slot.skips[0].reason, "Nghỉ");
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_folder_and_a_pipe_are_refused_and_block_nothing() {
    let mut folder = Folder::new();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("x.toml"), PLAYLIST).unwrap();
    std::os::unix::fs::symlink(outside.path().join("x.toml"), folder.dir.path().join("x.toml"))
        .unwrap();
    let pipe = folder.dir.path().join("y.toml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let faults = told(&folder.load());
    assert_eq!(
        faults,
        [
            "x.toml:1:1: `x.toml` leaves the station folder",
            "y.toml:1:1: cannot read `y.toml`: not a regular file",
        ]
    );
}

#[test]
fn a_file_that_is_too_large_is_refused_by_its_size() {
    let mut folder = Folder::new();
    folder.write("to.toml", &"# đầy\n".repeat(200_000));
    let faults = told(&folder.load());
    assert_eq!(faults, ["to.toml:1:1: 1800000 bytes, more than the 1048576 allowed"]);
}

#[test]
fn faults_without_end_are_cut_and_still_refuse_every_file() {
    let mut folder = Folder::new();
    for name in ["a.toml", "z.toml"] {
        let lines: Vec<String> = (0..1_500).map(|n| format!("khoá-{n} = 1")).collect();
        folder.write(name, &lines.join("\n").replace("khoá", "khoa"));
    }
    let loaded = folder.load();
    assert_eq!(loaded.faults.len(), 1_001);
    assert!(loaded.faults.iter().any(|f| f.message == "more than 1000 faults"));
    assert_eq!(loaded.station.unwrap().playlists.len(), 1);
}

#[test]
fn excel_files_with_byte_order_mark_and_semicolons_are_read() {
    let mut folder = Folder::new();
    folder.write("units.csv", "\u{FEFF}id;name;parent\r\n01;Hà Nội;\r\n00001;Xã;01\r\n");
    assert_eq!(told(&folder.load()), Vec::<String>::new());
    let utf16: Vec<u8> = "id,name".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bytes = [vec![0xFF, 0xFE], utf16].concat();
    fs::write(folder.dir.path().join("units.csv"), bytes).unwrap();
    assert_eq!(told(&folder.load()), ["units.csv:1:1: text in UTF-16"]);
}

/// Builds a folder from the given files without touching a disk.
fn built(files: &[(&str, &[u8])]) -> Vec<Fault> {
    let nowhere = Path::new("/nonexistent");
    let faults = Faults::default();
    let mut all = Files::default();
    for (name, bytes) in files {
        all.bytes.insert((*name).to_owned(), Some((*bytes).into()));
    }
    let built = build(&all, &LastGood::default(), &mut Clips::new(nowhere, &mut Minute), &faults);
    assert!(built.station.is_none() || !all.bytes.is_empty());
    faults.into_sorted()
}

/// The sample's files, to be damaged.
fn sample() -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut add = |dir: PathBuf, prefix: &str| {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().extension().is_some_and(|e| e == "toml" || e == "csv") {
                files.push((format!("{prefix}{name}"), fs::read(entry.path()).unwrap()));
            }
        }
    };
    add(root().join("playlists"), "");
    add(root().join("playlists/policies"), "policies/");
    add(root().join("playlists/calendars"), "calendars/");
    add(root().join("device-profiles"), "profiles/");
    files.push((
        "skips.toml".into(),
        b"[[skips]]\nplaylist = \"a\"\nslot = \"b\"\ndate = 2026-01-01\nreason = \"c\"\n".to_vec(),
    ));
    files.sort();
    files
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for name in ["station.toml", "units.csv", "devices.csv", "skips.toml", "policies/a.toml",
            "calendars/a.toml", "profiles/a.toml", "a.toml"]
        {
            built(&[(name, &bytes)]);
        }
    }

    #[test]
    fn no_damage_to_good_files_makes_a_reader_panic(
        which in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..8),
    ) {
        let mut files = sample();
        let count = files.len();
        let (_, bytes) = &mut files[which.index(count)];
        for (at, byte, what) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match what {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => { bytes.remove(at); }
                _ => bytes.truncate(at),
            }
        }
        let files: Vec<(&str, &[u8])> =
            files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        built(&files);
    }

    #[test]
    fn no_text_in_the_place_of_a_value_makes_a_reader_panic(text in "\\PC{0,40}", key in 0..40_usize) {
        let lines: Vec<&str> = PLAYLIST.lines().collect();
        let changed: Vec<String> = lines.iter().enumerate().map(|(n, line)| {
            match line.split_once(" = ") {
                Some((name, _)) if n % 40 == key => format!("{name} = {}", toml::Value::String(text.clone())),
                Some((name, _)) if n % 40 == key + 1 => format!("{name} = [{}]", toml::Value::String(text.clone())),
                _ => (*line).to_owned(),
            }
        }).collect();
        built(&[("a.toml", changed.join("\n").as_bytes())]);
        built(&[("units.csv", format!("id,name,parent\n{text}\n01,{text},\n").as_bytes())]);
    }
}

#[test]
fn a_slot_that_occurs_more_often_than_each_minute_is_refused_with_its_place() {
    let mut folder = Folder::new();
    let often = PLAYLIST.replace("at = [\"05:00\"]", "cron = \"*/30 * * * * *\"");
    folder.write("ban-tin.toml", &often);
    let loaded = folder.load();
    assert_eq!(
        told(&loaded),
        ["ban-tin.toml:11:8: slot `sang` occurs 2880 times a day, more than the 1440 allowed"]
    );
    assert!(loaded.faults[0].refuses && loaded.faults[0].hint.is_some());
    folder.write("ban-tin.toml", &often.replace("*/30 * *", "0 * *"));
    assert_eq!(told(&folder.load()), Vec::<String>::new(), "each minute is the limit");
}

#[test]
fn a_login_of_the_server_that_a_device_could_have_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let text = "name = \"Đài\"\n[broker]\nurl = \"mqtt://b.xa.vn\"\nuser = \"loa-1\"\n";
    fs::write(folder.path().join("station.toml"), text).unwrap();
    let loaded = load(folder.path(), &root().join("device-profiles"), &mut Minute);
    let told = told(&loaded);
    let of = "station.toml:4:8: `loa-1` is not a user name for the server";
    assert!(told.iter().any(|fault| fault.starts_with(of)), "{told:#?}");
}

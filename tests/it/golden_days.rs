//! Station folders of `tests/golden/days` against what their devices should do.

use loa::config::{self, ClipSource};
use loa::domain::ids::Digest;
use loa::domain::recurrence::wall;
use loa::domain::station::AssetFacts;
use loa::domain::time::UtcMs;
use loa::domain::timetable::{Compiled, Compiler, DevicePlan, Horizon};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Clips that are text files with a length in them.
struct Lengths;

impl ClipSource for Lengths {
    fn facts(&mut self, path: &Path) -> Result<AssetFacts, String> {
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        let ms = text.trim().parse().map_err(|_| "it holds no length".to_owned())?;
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        Ok(AssetFacts {
            sha256: Digest::of(name.as_bytes()),
            bytes: 1_000_000,
            media_type: "audio/mpeg".into(),
            ms,
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

fn told(compiled: &Compiled, plan: &DevicePlan) -> String {
    let time =
        |at: UtcMs| wall::display(compiled.zone(), at).format("%m-%d %H:%M:%S%.3f%:z").to_string();
    let mut text = String::new();
    for (cue, from) in plan.cues() {
        let what = format!("{}/{}/{}", from.playlist, from.slot, from.item);
        let (at, end) = (time(cue.at_ms), time(cue.end_ms));
        write!(text, "{} {at} … {end} {what}", &cue.id.to_string()[..8]).unwrap();
        write!(text, " volume {} fade {}", cue.volume, cue.fade_ms).unwrap();
        for reason in &from.reasons {
            write!(text, "\n         {reason}").unwrap();
        }
        text.push('\n');
    }
    for gone in plan.left_out() {
        let item = gone.item.as_ref().map_or_else(String::new, |(item, _)| format!("/{item}"));
        let what = format!("{}/{}{item}", gone.playlist, gone.slot);
        writeln!(text, "not      {} {what}\n         {}", time(gone.nominal), gone.reason).unwrap();
    }
    text
}

#[test]
fn each_golden_day_is_as_expected() {
    let mut cases: Vec<PathBuf> = fs::read_dir(root().join("tests/golden/days"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    assert!(cases.len() >= 6, "only {} cases are there", cases.len());
    for case in cases {
        let loaded = config::load(&case, &root().join("device-profiles"), &mut Lengths);
        let mut text = String::new();
        for fault in loaded.faults.iter().filter(|fault| fault.refuses) {
            let file = Path::new(&fault.file).file_name().unwrap().to_string_lossy();
            writeln!(text, "fault in {file}: {}", fault.message).unwrap();
        }
        let station = loaded.station.unwrap_or_else(|| panic!("{}: {text}", case.display()));
        let days = fs::read_to_string(case.join("days.txt")).unwrap();
        let (from, count) = days.trim().split_once(' ').unwrap();
        let horizon = Horizon { from: from.parse().unwrap(), days: count.parse().unwrap() };
        let compiled = Compiler::new().compile(&station, horizon);
        for (id, plan) in compiled.devices() {
            writeln!(text, "\n{id}, volume at most {}\n", plan.volume_cap()).unwrap();
            text.push_str(&told(&compiled, plan));
        }
        let expected = case.join("expected.txt");
        if std::env::var_os("GOLDEN").is_some_and(|golden| golden == "write") {
            fs::write(&expected, &text).unwrap();
        }
        let wanted = fs::read_to_string(&expected).unwrap_or_default();
        assert!(text == wanted, "{}: now\n{text}\nexpected\n{wanted}", case.display());
    }
}

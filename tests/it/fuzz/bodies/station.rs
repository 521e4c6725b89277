//! The files of a station folder, one of them any bytes, the others the sample's.

use loa::config::{self, ClipSource, Loaded, Overlay, Severity};
use loa::domain::ids::Digest;
use loa::domain::recurrence::{DateSet, Recurrence};
use loa::domain::station::AssetFacts;
use loa::domain::timetable::{Compiler, Horizon};
use loa::wire::sheet;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// A folder and one beside it, both empty: everything comes from memory.
static EMPTY: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(dir.path().join("profiles")).expect("a folder");
    std::fs::create_dir_all(dir.path().join("clips/standby")).expect("a folder");
    for clip in CLIPS {
        std::fs::write(dir.path().join(clip), clip).expect("a file");
    }
    dir
});

/// What the sample names, as far as the corpus uses it.
const CLIPS: [&str; 14] = [
    "clips/nhac-hieu.mp3",
    "clips/loi-chao-sang.mp3",
    "clips/bao-ve-du-lieu-ca-nhan.mp3",
    "clips/mat-khau-manh.mp3",
    "clips/tre-em-tren-mang.mp3",
    "clips/loi-ket.mp3",
    "clips/nhan-biet-tin-gia.mp3",
    "clips/khi-bi-chiem-tai-khoan.mp3",
    "clips/dich-vu-cong-truc-tuyen.mp3",
    "clips/standby/coi-bao-dong.mp3",
    "clips/standby/bao.mp3",
    "clips/standby/lu-lut.mp3",
    "clips/standby/chay.mp3",
    "clips/standby/dich-benh.mp3",
];

macro_rules! sample {
    ($($name:literal = $file:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../../../../", $file)).as_slice())),*]
    };
}

static SAMPLE: LazyLock<BTreeMap<String, Arc<[u8]>>> = LazyLock::new(|| {
    let files = sample![
        "station.toml" = "playlists/station.toml",
        "units.csv" = "playlists/units.csv",
        "devices.csv" = "playlists/devices.csv",
        "policies/tinh.toml" = "playlists/policies/tinh.toml",
        "calendars/tet.toml" = "playlists/calendars/tet.toml",
        "bang-uy-ban.toml" = "playlists/bang-uy-ban.toml",
        "profiles/bang-led-128x32.toml" = "device-profiles/bang-led-128x32.toml",
        "profiles/bang-led-64x32.toml" = "device-profiles/bang-led-64x32.toml",
        "profiles/loa-ip-gon.toml" = "device-profiles/loa-ip-gon.toml",
        "profiles/loa-ip-ngoai-troi.toml" = "device-profiles/loa-ip-ngoai-troi.toml",
    ];
    files.into_iter().map(|(name, bytes)| (name.to_owned(), Arc::from(bytes))).collect()
});

/// Clips that are always good.
struct Good;

impl ClipSource for Good {
    fn facts(&mut self, path: &Path) -> Result<AssetFacts, String> {
        Ok(AssetFacts {
            sha256: Digest::of(path.to_string_lossy().as_bytes()),
            bytes: 480_000,
            media_type: "audio/mpeg".to_owned(),
            ms: 30_000,
            gain_cb: 0,
            lufs_cb: -160,
            sums: BTreeMap::from([("64".to_owned(), Digest::of(b"sums"))]),
            title: "Bản tin".to_owned(),
        })
    }
}

fn load(name: &str, bytes: &[u8]) -> Loaded {
    let mut files = SAMPLE.clone();
    files.insert(name.to_owned(), Arc::from(bytes));
    let dir = EMPTY.path();
    let last = config::LastGood::default();
    config::load_over(
        dir,
        &dir.join("profiles"),
        &mut Good,
        &last,
        &Overlay { files, ..Overlay::default() },
    )
}

/// Faults have a place in the file, a message and, where it is an error, a remedy; what is left
/// compiles into sheets that a device would take.
fn judged(name: &str, bytes: &[u8]) {
    let loaded = load(name, bytes);
    let lines = bytes.split(|b| *b == b'\n').count();
    for fault in &loaded.faults {
        assert!(fault.line >= 1 && fault.column >= 1 && !fault.file.is_empty(), "{fault}");
        assert!(!fault.message.is_empty() && fault.message.len() < 2_000, "{}", fault.message);
        assert!(!fault.message.contains('\0'), "{:?}", fault.message);
        if fault.file.ends_with(name) {
            assert!(fault.line as usize <= lines + 1, "{fault}: there are {lines} lines");
        }
        if fault.severity == Severity::Error {
            assert!(fault.hint.as_ref().is_some_and(|hint| !hint.is_empty()), "{fault}: no hint");
        }
    }
    let errors = loaded.faults.iter().any(|fault| fault.severity == Severity::Error);
    let Some(station) = loaded.station else {
        assert!(errors, "no station, and no word why");
        return;
    };
    let from = chrono::NaiveDate::from_ymd_opt(2026, 12, 5).expect("a date");
    let compiled = Compiler::new().compile(&station, Horizon { from, days: 2 });
    let again = Compiler::new().compile(&station, Horizon { from, days: 2 });
    let mut seen = std::collections::BTreeSet::new();
    for (id, plan) in compiled.devices() {
        let other = again.device(id).expect("the same devices");
        for (day, twin) in plan.days().iter().zip(other.days()) {
            assert_eq!(day.sheet, twin.sheet, "the same input gives the same sheet");
            if seen.insert(Arc::as_ptr(&day.sheet).addr())
                && let Err(refusal) = sheet::check(&day.sheet)
            {
                assert_eq!(refusal.reason(), "limit", "{refusal}");
            }
        }
    }
}

/// Playlists.
pub fn playlist(bytes: &[u8]) {
    judged("ban-tin.toml", bytes);
}

/// `station.toml`.
pub fn station(bytes: &[u8]) {
    judged("station.toml", bytes);
}

/// Policies.
pub fn policy(bytes: &[u8]) {
    judged("policies/tinh.toml", bytes);
}

/// Calendars.
pub fn calendar(bytes: &[u8]) {
    judged("calendars/tet.toml", bytes);
}

/// Occurrences left out by hand.
pub fn skips(bytes: &[u8]) {
    judged("skips.toml", bytes);
}

/// Device profiles.
pub fn profile(bytes: &[u8]) {
    judged("profiles/loa-ip-gon.toml", bytes);
}

/// The register of units: in the folder, and as an import.
pub fn units(bytes: &[u8]) {
    judged("units.csv", bytes);
    match config::units_from_csv("units.csv", bytes, &[]) {
        Ok(units) => {
            let text = config::units_to_csv(&units);
            let again = config::units_from_csv("units.csv", text.as_bytes(), &[]);
            assert_eq!(again.expect("written by us"), units);
        }
        Err(faults) => assert!(!faults.is_empty()),
    }
}

/// The register of devices: in the folder, and as an import.
pub fn devices(bytes: &[u8]) {
    judged("devices.csv", bytes);
    match config::devices_from_csv("devices.csv", bytes) {
        Ok(devices) => {
            let text = config::devices_to_csv(&devices);
            let again = config::devices_from_csv("devices.csv", text.as_bytes());
            assert_eq!(again.expect("written by us"), devices);
        }
        Err(faults) => assert!(!faults.is_empty()),
    }
}

/// Schedules: `cron`, and lines of times, weekdays and dates.
pub fn cron(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let from = chrono::NaiveDate::from_ymd_opt(2026, 3, 28).expect("a date");
    let to = from + chrono::Days::new(3);
    let lines: Vec<&str> = text.lines().take(20).collect();
    let days: Vec<&str> = lines.iter().skip(1).copied().collect();
    for read in
        [Recurrence::cron(&text), Recurrence::at(&lines, &[]), Recurrence::at(&["05:00"], &days)]
    {
        match read {
            Ok(recurrence) => {
                for zone in [chrono_tz::Tz::Asia__Ho_Chi_Minh, chrono_tz::Tz::Europe__Berlin] {
                    let found = recurrence.between(from, to, zone);
                    assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "in order");
                    assert!(found.len() <= 4 * recurrence.per_day() as usize);
                }
                if let Recurrence::Cron(cron) = &recurrence {
                    assert_eq!(Recurrence::cron(&cron.to_string()), Ok(recurrence.clone()));
                }
            }
            Err(error) => {
                assert!(!error.to_string().is_empty() && !error.hint().is_empty());
            }
        }
    }
    if let Err(error) = text.parse::<DateSet>() {
        assert!(!error.to_string().is_empty() && !error.hint().is_empty());
    }
}

//! `loa check` of a large folder as a process of its own: 1,000 playlists of clips and texts, 100
//! profiles, half of them boards of different sizes, two of them with a font in a file.

use super::Row;
use crate::clock::{Clock as _, SystemClock};
use crate::cmds::failed;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

const PLAYLISTS: usize = 1_000;
const PROFILES: usize = 100;
const UNITS: usize = 100;
const RUNS: usize = 5;
const FONT: &str = include_str!("../../raster/fonts/loa-13.bdf");

/// Makes the folder and measures.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    let folder = std::env::temp_dir().join(format!("loa-bench-check-{}", std::process::id()));
    let rows = measure(&folder);
    fs::remove_dir_all(&folder)?;
    rows
}

fn measure(folder: &Path) -> anyhow::Result<Vec<Row>> {
    make(folder)?;
    let clock = SystemClock::new();
    let mut seconds = Vec::new();
    for _ in 0..RUNS {
        let begun = clock.mono_us();
        let output = Command::new(std::env::current_exe()?)
            .args(["check", "station", "--profiles", "device-profiles"])
            .current_dir(folder)
            .output()?;
        seconds.push((clock.mono_us() - begun) as f64 / 1_000_000.0);
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stdout);
            let first = told.lines().next().unwrap_or("nothing").to_owned();
            return Err(failed(
                anyhow::anyhow!("`loa check` refused the folder of this measurement: {first}"),
                "run it with the `loa` of this build",
            ));
        }
    }
    seconds.sort_by(f64::total_cmp);
    let work = format!("check {PLAYLISTS} playlists and {PROFILES} profiles");
    let row = Row::at_most(work, seconds[RUNS / 2], 1.0, "s");
    Ok(vec![row.note(format!("a process each, {RUNS} runs; clips measured, 16 days compiled"))])
}

fn make(folder: &Path) -> anyhow::Result<()> {
    let (station, profiles) = (folder.join("station"), folder.join("device-profiles"));
    fs::create_dir_all(station.join("clips"))?;
    fs::create_dir_all(profiles.join("fonts"))?;
    fs::write(station.join("station.toml"), "name = \"Đài tỉnh\"\napproval = \"off\"\n")?;
    for clip in 0..4 {
        fs::write(station.join(format!("clips/{clip}.wav")), wav(2 + clip))?;
    }
    fs::write(profiles.join("fonts/xa.bdf"), FONT)?;
    let mut units = "id,name,parent\n01,Tỉnh,\n".to_owned();
    let mut devices = "id,name,unit,profile\n".to_owned();
    for at in 0..PROFILES {
        let text = if at % 2 == 0 {
            "title = \"Cụm loa\"\n[speaker]\ncodecs = [\"wav\", \"mp3\"]\n".to_owned()
        } else {
            let (width, height) = (128 + at / 2 * 8, 32 + at % 3 * 16);
            let fonts = if at % 50 == 1 { "fonts = [\"fonts/xa.bdf\"]\n" } else { "" };
            format!(
                "title = \"Bảng\"\n[board]\nwidth_px = {width}\nheight_px = {height}\n\
                 colours = [\"red\", \"green\", \"amber\"]\n{fonts}"
            )
        };
        fs::write(profiles.join(format!("p{at}.toml")), text)?;
    }
    for unit in 0..UNITS {
        let _ = writeln!(units, "{:05},Xã {unit},01", 100 + unit);
        for (kind, profile) in [("loa", unit / 2 * 2 % PROFILES), ("bang", unit / 2 * 2 + 1)] {
            let profile = profile % PROFILES;
            let _ = writeln!(devices, "{kind}-{unit},Thiết bị {unit},{:05},p{profile}", 100 + unit);
        }
    }
    fs::write(station.join("units.csv"), units)?;
    fs::write(station.join("devices.csv"), devices)?;
    for at in 0..PLAYLISTS {
        fs::write(station.join(format!("danh-sach-{at}.toml")), playlist(at))?;
    }
    Ok(())
}

/// A clip and two pages in the morning, the pages again in the afternoon.
fn playlist(at: usize) -> String {
    let (unit, clip) = (100 + at % UNITS, at % 4);
    // Ten playlists a unit: their slots stand apart.
    let (hour, minute) = (6 + at / UNITS, at / UNITS * 3);
    format!(
        "title = \"Danh sách {at}\"\n[targets]\nunits = [\"{unit:05}\"]\n\
         [[items]]\nid = \"tin\"\ntitle = \"Bản tin {at}\"\nclip = \"clips/{clip}.wav\"\n\
         [[items]]\nid = \"chu\"\ntitle = \"Thông báo {at}\"\n\
         [[items.pages]]\ntext = \"Thông báo số {at}/TB-UBND\"\ndwell = \"8s\"\n\
         [[items.pages]]\ntext = \"Từ 7 giờ 30 ngừng cấp điện thôn Đoài, thôn Thượng\"\n\
         effect = \"scroll\"\n\
         [[slots]]\nid = \"sang\"\nat = [\"{hour:02}:{minute:02}\"]\ndays = [\"Mon-Fri\"]\n\
         longest = \"2m\"\nitems = [\"tin\", \"chu\"]\n\
         [[slots]]\nid = \"chieu\"\nat = [\"17:{minute:02}\"]\ndays = [\"Tue\"]\n\
         longest = \"2m\"\nitems = [\"chu\"]\n"
    )
}

/// So many seconds of a tone.
fn wav(seconds: u32) -> Vec<u8> {
    let rate = 8_000_u32;
    let tone = |n: u32| if (n / 8).is_multiple_of(2) { 6_000_i16 } else { -6_000 };
    let samples: Vec<u8> = (0..seconds * rate).flat_map(|n| tone(n).to_le_bytes()).collect();
    let size = u32::try_from(samples.len()).unwrap_or(0);
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

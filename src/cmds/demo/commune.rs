//! The sample commune: a station folder whose cues are due within the next minute.

use super::super::{Advise as _, failed, sample};
use crate::domain::time::UtcMs;
use anyhow::Context as _;
use chrono::{TimeDelta, Timelike as _};
use chrono_tz::Tz;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// When the board first shows its text: for less than a minute each time, since a board says what
/// it showed when the cue ends.
const BOARD_S: i64 = 10;
/// How long until the next one.
const EVERY_S: i64 = 60;
/// How often it sounds in all.
const TIMES: i64 = 60;

/// What the loudspeakers say when the sample's clips are not there.
const TEXT: &str = "Kính thưa bà con. Đây là chương trình truyền thanh thử nghiệm của xã Tân Hoà. \
                    Để bảo vệ tài khoản, bà con không cung cấp mật khẩu và mã OTP cho bất kỳ ai, \
                    kể cả người tự xưng là cán bộ ngân hàng hoặc công an. Xin cảm ơn bà con.";

/// A station folder made for now.
#[derive(Debug)]
pub struct Commune {
    pub root: PathBuf,
    pub zone: Tz,
    /// When the first clip is due.
    pub first_ms: UtcMs,
}

impl Commune {
    /// Writes folder, profiles and clip below `root`; the first clip is due after `first_s`.
    pub fn make(
        root: &Path,
        now: UtcMs,
        first_s: u32,
        clip: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let zone = awake(now);
        let first_ms = now.plus(i64::from(first_s) * 1000);
        let commune = Self { root: root.to_owned(), zone, first_ms };
        sample::copy_station(&commune.playlists())?;
        sample::copy_profiles(&commune.profiles())?;
        let name = commune.put_clip(clip)?;
        let write = |name: &str, text: String| {
            let path = commune.playlists().join(name);
            fs::write(&path, text).with_context(|| format!("writing `{}`", path.display()))
        };
        let station = fs::read_to_string(commune.playlists().join("station.toml"))?;
        write("station.toml", station.replace("Asia/Ho_Chi_Minh", zone.name()))?;
        write("thu-nghiem.toml", commune.playlist(now, &name))?;
        // The sample's own board text runs by day; here everything is due now.
        fs::remove_file(commune.playlists().join("bang-chao-mung.toml"))?;
        fs::remove_file(commune.playlists().join("policies/gio-yen-tinh.toml"))?;
        Ok(commune)
    }

    pub fn playlists(&self) -> PathBuf {
        self.root.join("playlists")
    }

    pub fn profiles(&self) -> PathBuf {
        self.root.join("device-profiles")
    }

    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Puts a Vietnamese clip into the folder: the one named, one of the sample's, or one that
    /// espeak-ng reads out here and now. Returns its name.
    fn put_clip(&self, named: Option<&Path>) -> anyhow::Result<String> {
        let clips = self.playlists().join("clips");
        if let Some(from) = named.map(Path::to_owned).or_else(sample_clip) {
            let end = from.extension().map_or("mp3".into(), std::ffi::OsStr::to_string_lossy);
            let name = format!("bản-tin.{end}");
            fs::copy(&from, clips.join(&name))
                .with_context(|| format!("reading the clip `{}`", from.display()))?;
            return Ok(name);
        }
        let name = "bản-tin.wav";
        let spoken = Command::new("espeak-ng")
            .args(["-v", "vi", "-s", "150", "-w"])
            .arg(clips.join(name))
            .arg(TEXT)
            .output()
            .advise("install `espeak-ng`, or name a clip: `loa demo --clip FILE`")
            .context("reading the sample text out with `espeak-ng`")?;
        if !spoken.status.success() {
            let said = String::from_utf8_lossy(&spoken.stderr).trim().to_owned();
            return Err(failed(
                anyhow::anyhow!("`espeak-ng` failed: {said}"),
                "name a clip instead: `loa demo --clip FILE`",
            ));
        }
        Ok(name.to_owned())
    }

    fn playlist(&self, now: UtcMs, clip: &str) -> String {
        let local = |at: UtcMs| at.datetime().with_timezone(&self.zone);
        let time = |at: UtcMs| local(at).format("\"%H:%M:%S\"").to_string();
        let times = |first: UtcMs| {
            let all: Vec<_> = (0..TIMES).map(|n| time(first.plus(n * EVERY_S * 1000))).collect();
            all.join(", ")
        };
        format!(
            r#"title = "Chương trình thử nghiệm về an toàn thông tin"
topic = "An toàn thông tin"

[targets]
units = ["90001"]

[[items]]
id = "ban-tin"
title = "Bảo vệ tài khoản, phòng chống lừa đảo"
clip = "clips/{clip}"
origin = "xã"

[[items]]
id = "chao-mung"
title = "Chào mừng"
[[items.pages]]
text = "XÃ TÂN HOÀ\nAn toàn thông tin"
dwell = "5s"
[[items.pages]]
text = "Không cung cấp mã OTP, mật khẩu cho bất kỳ ai qua điện thoại"
effect = "scroll"
dwell = "15s"

[[slots]]
id = "loa"
at = [{}]
longest = "50s"
overrun = "fade"
volume = 90
items = ["ban-tin"]

[[slots]]
id = "bang"
at = [{}]
longest = "25s"
items = ["chao-mung"]
"#,
            times(self.first_ms),
            times(now.plus(BOARD_S * 1000)),
        )
    }

    /// Says where to look.
    pub fn said(&self, http: u16, sinks: &[String], output: &str, sound: bool) -> String {
        let first = self.first_ms.datetime().with_timezone(&self.zone);
        let data = self.data();
        let heard = if sound {
            "cụm loa thôn Đông phát ra loa của máy này"
        } else {
            "máy này không có loa: âm thanh ghi vào tệp WAV"
        };
        let files: Vec<_> = sinks.iter().filter_map(|sink| sink.strip_prefix("wav:")).collect();
        let board = output.strip_prefix("png:").unwrap_or("màn hình này");
        format!(
            "\n\
             Xã mẫu đang chạy (A sample commune is running)\n\
             \x20 Trang theo dõi / page:   http://127.0.0.1:{http}/\n\
             \x20 Tin đầu tiên / first:    {} ({}), rồi mỗi phút một lần\n\
             \x20 Âm thanh / sound:        {heard}\n\
             \x20 WAV:                     {}\n\
             \x20 Bảng chữ / board:        {board}\n\
             \x20 Bản ghi / records:       loa records --data {}\n\
             \x20 Dừng / stop:             Ctrl-C\n",
            first.format("%H:%M:%S"),
            self.zone.name(),
            files.join(", "),
            data.display(),
        )
    }
}

/// Returns a clip of the sample, where the demo runs in its source folder.
fn sample_clip() -> Option<PathBuf> {
    let mut found: Vec<_> = fs::read_dir("playlists/clips")
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension().is_some_and(|end| {
                ["mp3", "m4a", "wav", "flac", "ogg"].iter().any(|known| end == *known)
            })
        })
        .collect();
    found.sort();
    let warning = found.iter().find(|path| path.to_string_lossy().contains("lua-dao")).cloned();
    warning.or_else(|| found.into_iter().next())
}

/// Returns Viet Nam's zone by day. At night every device keeps quiet, as it must: then the
/// commune lies where it is about noon.
fn awake(now: UtcMs) -> Tz {
    let home = chrono_tz::Asia::Ho_Chi_Minh;
    let local = now.datetime().with_timezone(&home);
    let until = local + TimeDelta::hours(1);
    let by_day = |hour: u32| (5..20).contains(&hour);
    if by_day(local.hour()) && by_day(until.hour()) {
        return home;
    }
    let ahead = 12 - i64::from(now.datetime().hour());
    // The names of these zones have the sign of the other direction.
    let sign = if ahead >= 0 { '-' } else { '+' };
    format!("Etc/GMT{sign}{}", ahead.abs()).parse().unwrap_or(home)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commune_is_always_awake() {
        for hour in 0..24 {
            let now = UtcMs(1_795_219_200_000 + hour * 3_600_000);
            let local = now.datetime().with_timezone(&awake(now));
            assert!((5..21).contains(&local.hour()), "{local}");
        }
    }

    #[test]
    fn the_folder_has_no_faults_and_something_is_due_within_a_minute() {
        use crate::config::{self, ClipSource};
        use crate::domain::station::AssetFacts;
        use crate::domain::timetable::{Compiler, Horizon};

        struct AnyClip;
        impl ClipSource for AnyClip {
            fn facts(&mut self, _: &Path) -> Result<AssetFacts, String> {
                Ok(AssetFacts {
                    sha256: crate::domain::ids::Digest([1; 32]),
                    bytes: 1,
                    media_type: "audio/wav".into(),
                    ms: 20_000,
                    gain_cb: 0,
                    lufs_cb: -160,
                    sums: std::collections::BTreeMap::new(),
                    title: "x".into(),
                })
            }
        }

        let root = tempfile::tempdir().unwrap();
        let clip = root.path().join("x.wav");
        fs::write(&clip, "stands for a clip").unwrap();
        let now = UtcMs(1_795_219_200_000);
        let commune = Commune::make(&root.path().join("demo"), now, 30, Some(&clip)).unwrap();
        let loaded = config::load(&commune.playlists(), &commune.profiles(), &mut AnyClip);
        assert_eq!(loaded.faults, []);
        let station = loaded.station.unwrap();
        let from = now.datetime().with_timezone(&commune.zone).date_naive();
        let compiled = Compiler::new().compile(&station, Horizon { from, days: 1 });
        for (id, plan) in compiled.devices() {
            let due = plan.cues().filter(|(cue, _)| cue.at_ms > now).count();
            assert!(due > 0, "nothing is due on {id}: {:?}", plan.left_out().next());
            let soon = plan.cues().any(|(cue, _)| (0..60_000).contains(&(cue.at_ms - now)));
            assert!(soon, "nothing soon on {id}");
        }
    }
}

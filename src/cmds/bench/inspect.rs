//! Inspecting an hour of MP3 against ffmpeg's meter on one thread.

use super::Row;
use crate::audio::{Limits, inspect};
use crate::clock::{Clock as _, SystemClock};
use crate::cmds::failed;
use std::path::Path;
use std::process::{Command, Stdio};

/// A minute of two swept tones that swell and fade, with noise below: nothing is silent, and
/// the peaks come again and again.
const SOURCE: &str = "aevalsrc=exprs='0.4*sin(2*PI*(180+40*sin(7*t))*t)*(0.55+0.45*sin(3*t))\
                      +0.05*(random(0)-0.5)|0.35*sin(2*PI*(220+30*sin(5*t))*t)*(0.5+0.5*sin(2*t))\
                      +0.05*(random(1)-0.5)':s=44100:d=60";
const RUNS: usize = 3;

/// Makes the file and measures both, in turn.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    let folder = std::env::temp_dir().join(format!("loa-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let rows = measure(&folder);
    std::fs::remove_dir_all(&folder)?;
    rows
}

fn measure(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let (minute, hour) = (folder.join("minute.mp3"), folder.join("hour.mp3"));
    ffmpeg(&["-f", "lavfi", "-i", SOURCE, "-b:a", "128k", &minute.to_string_lossy()])?;
    let (minute, hour_text) = (minute.to_string_lossy(), hour.to_string_lossy());
    ffmpeg(&["-stream_loop", "59", "-i", &minute, "-c", "copy", &hour_text])?;
    let clock = SystemClock::new();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let begun = clock.mono_ms();
        let seen = inspect(&hour, &Limits::default());
        ours.push((clock.mono_ms() - begun) as f64 / 1000.0);
        anyhow::ensure!(seen.ok, "the hour of MP3 was refused: {:?}", seen.error);
        let begun = clock.mono_ms();
        ffmpeg(&[
            "-threads",
            "1",
            "-i",
            &hour_text,
            "-af",
            "ebur128=peak=true",
            "-f",
            "null",
            "-",
        ])?;
        theirs.push((clock.mono_ms() - begun) as f64 / 1000.0);
    }
    let row = Row::at_most("inspect an hour of MP3", median(ours), median(theirs), "s");
    Ok(vec![row.note(format!("peer: ffmpeg -threads 1 -af ebur128=peak=true, {RUNS} runs each"))])
}

fn ffmpeg(args: &[&str]) -> anyhow::Result<()> {
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y"])
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| failed(error, "install ffmpeg"))?;
    anyhow::ensure!(status.success(), "ffmpeg failed: {}", args.join(" "));
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

//! `loa inspect`: what ingest would say of audio files.

use super::{Answer, print_json, print_text, table};
use crate::audio::inspect::{Inspection, Limits};
use crate::audio::{convert, inspect};
use std::path::PathBuf;

/// Says of audio files whether they may be used, how long and how loud they are
///
/// Exit code 1 when any file is refused.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON array with an object for each file
    #[arg(long)]
    json: bool,
    /// With `--json`: add the curve of 1,000 peaks
    #[arg(long, requires = "json")]
    peaks: bool,
    /// Let ffmpeg turn files of a foreign codec into clips: OUT is a file for one FILE, or a
    /// folder; its ending names the format (`.mp3`, `.m4a`, `.wav`, `.flac`, `.ogg`)
    #[arg(long, value_name = "OUT")]
    convert: Option<PathBuf>,
    /// Longest clip in minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 240,
          value_parser = clap::value_parser!(u32).range(1..=1440))]
    max_minutes: u32,
    /// Largest file in MiB
    #[arg(long, value_name = "MIB", default_value_t = 128,
          value_parser = clap::value_parser!(u32).range(1..=4096))]
    max_mib: u32,
}

/// Inspects each file in turn.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    let limits = Limits {
        max_bytes: u64::from(args.max_mib) * 1024 * 1024,
        max_ms: i64::from(args.max_minutes) * 60_000,
    };
    let several = args.files.len() > 1;
    let mut all = Vec::new();
    for file in &args.files {
        let mut seen = match &args.convert {
            Some(out) => {
                let out = convert::Target::of(out, file, several);
                convert::inspect_or_convert(file, &out, &limits)
            }
            None => inspect(file, &limits),
        };
        if let Some(measured) = seen.measured.as_mut().filter(|_| !args.peaks) {
            measured.peaks = None;
        }
        all.push(seen);
    }
    if args.json {
        print_json(&all)?;
    } else {
        print_text(&shown(&all))?;
    }
    Ok(if all.iter().all(|seen| seen.ok) { Answer::Yes } else { Answer::No })
}

fn shown(all: &[Inspection]) -> String {
    let number = |value: Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:.1}"));
    let head = ["file", "codec", "length", "LUFS", "range LU", "peak dBTP", "gain dB", "silence s"];
    let mut rows = Vec::new();
    let mut remarks = Vec::new();
    for seen in all {
        let Some(m) = &seen.measured else {
            rows.push(vec![seen.file.clone(), "refused".to_owned()]);
            remarks.push(format!("{}: {}", seen.file, seen.error.as_deref().unwrap_or_default()));
            continue;
        };
        let seconds = m.duration_ms / 1000;
        rows.push(vec![
            seen.file.clone(),
            format!("{} {} Hz ×{}", m.codec, m.sample_rate_hz, m.channels),
            format!("{}:{:02}.{}", seconds / 60, seconds % 60, m.duration_ms % 1000 / 100),
            number(m.integrated_lufs),
            number(m.loudness_range_lu),
            number(m.true_peak_dbtp),
            format!("{:+}.{}", m.gain_cb / 10, m.gain_cb.unsigned_abs() % 10),
            format!(
                "{}.{} … {}.{}",
                m.silence_head_ms / 1000,
                m.silence_head_ms % 1000 / 100,
                m.silence_tail_ms / 1000,
                m.silence_tail_ms % 1000 / 100
            ),
        ]);
        for warning in &seen.warnings {
            remarks.push(format!("{}: {warning}", seen.file));
        }
        if let Some(made) = &m.converted {
            remarks.push(format!("{}: converted to {} ({})", seen.file, made.file, made.sha256));
        }
    }
    let mut text = table(&head, &rows);
    for remark in remarks {
        text += &remark;
        text.push('\n');
    }
    text
}

//! Start instants on the PulseAudio path, placed in time by a recording of the monitor.

use super::Row;
use crate::cmds::failed;
use serde::Deserialize;
use std::process::Command;

const SCRIPT: &str = "tests/python/skew.py";
const PYTHON: &str = ".venv/bin/python";
const STARTS: u32 = 100;

#[derive(Debug, Deserialize)]
struct Skew {
    reference_repeats_ms: f64,
    player_peak_mb: f64,
    left: Side,
    right: Side,
    between_speakers_worst_ms: f64,
}

#[derive(Debug, Deserialize)]
struct Side {
    median_ms: f64,
    p99_ms: f64,
    missed: u32,
}

/// Has the script measure this very program.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    let hint = "run it in the repository after `make setup`, with PulseAudio installed";
    let output = Command::new(PYTHON)
        .arg(SCRIPT)
        .arg(std::env::current_exe()?)
        .arg(STARTS.to_string())
        .output()
        .map_err(|error| failed(error, hint))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let line = text.lines().last().unwrap_or("no reason given").to_owned();
        return Err(failed(anyhow::anyhow!("`{SCRIPT}` failed: {line}"), hint));
    }
    let skew: Skew = serde_json::from_slice(&output.stdout)?;
    let missed = skew.left.missed + skew.right.missed;
    let p99 = skew.left.p99_ms.max(skew.right.p99_ms);
    let note = format!(
        "median {:+.1} and {:+.1} ms; {missed} missed; a reference click repeats within {:.2} ms",
        skew.left.median_ms, skew.right.median_ms, skew.reference_repeats_ms
    );
    Ok(vec![
        Row::at_most(format!("start instant, p99 of 2 × {STARTS} starts"), p99, 20.0, "ms")
            .note(note),
        Row::at_most("two loudspeakers apart, worst", skew.between_speakers_worst_ms, 10.0, "ms"),
        Row::at_most("memory of a player while it plays", skew.player_peak_mb, 30.0, "MB")
            .note("peak resident, without the network part"),
    ])
}

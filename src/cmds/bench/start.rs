//! Start instants on the PulseAudio path, placed in time by a recording of the monitor.
//!
//! The script judges its own method by a reference click and gives no figure where it does not
//! hold; then it is run once more, and after that there is an error instead of a row.

use super::Row;
use crate::cmds::failed;
use serde::Deserialize;
use std::process::Command;

const SCRIPT: &str = "tests/python/skew.py";
const PYTHON: &str = ".venv/bin/python";
const STARTS: u32 = 100;

#[derive(Debug, Deserialize)]
struct Skew {
    reference: Reference,
    player_peak_mb: f64,
    left: Side,
    right: Side,
    between_speakers_worst_ms: f64,
}

/// The click of another client, placed by the same means as the starts.
#[derive(Debug, Deserialize)]
struct Reference {
    clicks: u32,
    doubtful: u32,
    median_ms: f64,
    worst_ms: f64,
    own_reading_off_ms: f64,
}

#[derive(Debug, Deserialize)]
struct Side {
    n: u32,
    median_ms: f64,
    p99_ms: f64,
    missed: u32,
    unjudged: u32,
}

/// Has the script measure this very program.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    let hint = "run it in the repository after `make setup`, with PulseAudio installed";
    let skew = measure(hint).or_else(|error| {
        eprintln!("{error}; once more …");
        measure(hint)
    })?;
    let sides = [&skew.left, &skew.right];
    let sum = |count: fn(&Side) -> u32| sides.iter().map(|side| count(side)).sum::<u32>();
    let p99 = skew.left.p99_ms.max(skew.right.p99_ms);
    let reference = &skew.reference;
    let note = format!(
        "median {:+.1} and {:+.1} ms; {} heard, {} missed, {} not judged; a reference click \
         repeats within {:.2} ms (median {:.2}; {} of {} left out) and is {:+.1} ms from its own \
         client's reading",
        skew.left.median_ms,
        skew.right.median_ms,
        sum(|side| side.n),
        sum(|side| side.missed),
        sum(|side| side.unjudged),
        reference.worst_ms,
        reference.median_ms,
        reference.doubtful,
        reference.clicks,
        reference.own_reading_off_ms,
    );
    Ok(vec![
        Row::at_most(format!("start instant, p99 of 2 × {STARTS} starts"), p99, 20.0, "ms")
            .note(note),
        Row::at_most("two loudspeakers apart, worst", skew.between_speakers_worst_ms, 10.0, "ms"),
        Row::at_most("memory of a player while it plays", skew.player_peak_mb, 30.0, "MB")
            .note("peak resident, without the network part"),
    ])
}

fn measure(hint: &'static str) -> anyhow::Result<Skew> {
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
    Ok(serde_json::from_slice(&output.stdout)?)
}

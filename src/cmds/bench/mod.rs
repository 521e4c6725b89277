//! The figures of the README's table: each row prints our figure, the goal or the peer beside it,
//! and the ratio, all measured in one run. Nothing here passes or fails; a person reads it.

#[cfg(all(feature = "embedded-broker", feature = "speaker", feature = "board"))]
mod agent;
#[cfg(feature = "server")]
mod audit;
mod check;
#[cfg(feature = "embedded-broker")]
mod clip;
mod compile;
#[cfg(feature = "embedded-broker")]
mod district;
#[cfg(feature = "embedded-broker")]
mod fleet;
#[cfg(feature = "embedded-broker")]
mod host;
#[cfg(feature = "embedded-broker")]
mod ingest;
mod inspect;
#[cfg(feature = "server")]
mod log;
#[cfg(feature = "embedded-broker")]
mod memory;
#[cfg(feature = "embedded-broker")]
mod orders;
#[cfg(feature = "raster")]
mod raster;
#[cfg(feature = "embedded-broker")]
mod raw;
#[cfg(feature = "server")]
mod report;
#[cfg(feature = "embedded-broker")]
mod simulated;
mod start;

use super::{Answer, print_json, print_text, table};
use serde::Serialize;

/// Measures what the README's table states
///
/// Takes minutes; close other programs. A figure is the median of several runs unless its row
/// says otherwise.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these: `compile`, `inspect`, `check`, `raster`, `log`, `start`, `report`, `memory`, `district`, `urgent`,
    /// `hold`, `clip`, `ingest`, `audit`; all when none is named
    #[arg(value_name = "WHAT")]
    what: Vec<String>,
    /// Devices of `district`, `urgent`, `hold` and `ingest`; a fifth of them in `clip`
    #[arg(long, value_name = "N", default_value_t = 5_000,
        value_parser = clap::value_parser!(u32).range(5..=9_000))]
    devices: u32,
    /// How long `ingest` goes on, about, with and without the log together
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Records of the pack in `audit`
    #[arg(long, value_name = "N", default_value_t = 1_000_000,
        value_parser = clap::value_parser!(u64).range(1_000..=20_000_000))]
    records: u64,
    /// Print one JSON array `{work, figure, unit, limit, ratio, note?}`
    #[arg(long)]
    json: bool,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was done, with its size.
    pub work: String,
    /// What we measured.
    pub figure: f64,
    /// The unit of `figure` and `limit`.
    pub unit: &'static str,
    /// The goal, or the peer measured in the same run.
    pub limit: f64,
    /// `figure / limit`; for goals of the kind "at least", `limit / figure`: at most 1 is good.
    pub ratio: f64,
    /// Whose figure the limit is, how it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Row {
    /// Returns a row whose figure should be at most the limit.
    pub fn at_most(work: impl Into<String>, figure: f64, limit: f64, unit: &'static str) -> Self {
        Self { work: work.into(), figure, unit, limit, ratio: figure / limit, note: None }
    }

    /// Returns a row whose figure should be at least the limit.
    pub fn at_least(work: impl Into<String>, figure: f64, limit: f64, unit: &'static str) -> Self {
        Self { work: work.into(), figure, unit, limit, ratio: limit / figure, note: None }
    }

    /// Adds a note.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

/// A measurement by its name on the command line.
type Bench = (&'static str, fn(&Args) -> anyhow::Result<Vec<Row>>);

/// All measurements, in the order of the table.
const ALL: &[Bench] = &[
    ("compile", |_| compile::rows()),
    ("inspect", |_| inspect::rows()),
    ("check", |_| check::rows()),
    #[cfg(feature = "raster")]
    ("raster", |_| raster::rows()),
    #[cfg(feature = "server")]
    ("log", |_| log::rows()),
    ("start", |_| start::rows()),
    #[cfg(feature = "server")]
    ("report", |_| report::rows()),
    #[cfg(feature = "embedded-broker")]
    ("memory", |_| memory::rows()),
    #[cfg(feature = "embedded-broker")]
    ("district", |args| district::rows(args.devices as usize)),
    #[cfg(feature = "embedded-broker")]
    ("urgent", |args| orders::rows(orders::Kind::Urgent, args.devices as usize)),
    #[cfg(feature = "embedded-broker")]
    ("hold", |args| orders::rows(orders::Kind::Hold, args.devices as usize)),
    #[cfg(feature = "embedded-broker")]
    ("clip", |args| clip::rows(args.devices as usize / 5)),
    #[cfg(feature = "embedded-broker")]
    ("ingest", |args| ingest::rows(args.devices as usize, args.seconds)),
    #[cfg(feature = "server")]
    ("audit", |args| audit::rows(args.records)),
];

/// Runs the measurements and prints the table.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    // Started by `clip` and `district`, in a process of its own.
    #[cfg(feature = "embedded-broker")]
    if args.what == ["broker"] {
        return raw::broker();
    }
    // Started by `ingest`: a server that leaves the log out.
    #[cfg(feature = "embedded-broker")]
    if args.what == ["server"] {
        return host::unlogged();
    }
    if let Some(unknown) = args.what.iter().find(|w| !ALL.iter().any(|(name, _)| name == w)) {
        let names: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
        return Err(super::wrong_use(
            format!("`{unknown}` is nothing to measure"),
            format!("name some of: {}", names.join(", ")),
        ));
    }
    // What was measured is shown even when another measurement fails.
    let (mut rows, mut broken) = (Vec::new(), None);
    for (name, bench) in ALL {
        if args.what.is_empty() || args.what.iter().any(|w| w == name) {
            eprintln!("measuring {name} …");
            match bench(&args) {
                Ok(measured) => rows.extend(measured),
                Err(error) if broken.is_none() => broken = Some(error),
                Err(error) => eprintln!("{name}: {error}"),
            }
        }
    }
    if args.json {
        print_json(&rows)?;
    } else {
        let cells: Vec<Vec<String>> = rows
            .iter()
            .map(|row| {
                vec![
                    row.work.clone(),
                    format!("{} {}", figure(row.figure), row.unit),
                    format!("{} {}", figure(row.limit), row.unit),
                    format!("{:.2}", row.ratio),
                    row.note.clone().unwrap_or_default(),
                ]
            })
            .collect();
        print_text(&table(&["work", "figure", "limit or peer", "ratio", "note"], &cells))?;
    }
    broken.map_or(Ok(Answer::Yes), Err)
}

/// Returns the middle one.
#[cfg(feature = "embedded-broker")]
fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Three significant digits, without an exponent.
fn figure(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

//! `loa records`: what devices signed; listed, exported byte for byte, brought in by hand.
//!
//! Works on the store of the data folder, also while a server runs on it. An export is one
//! compact JWS a line, exactly as received: what anybody can verify with the device's key.

mod import;
mod missing;
mod row;

use super::data::{DataFolder, DataOption};
use super::{Answer, failed, print_json, print_text, runtime, table, wrong_use};
use crate::app::ports::{Evidence as _, Page, RecordFilter};
use crate::domain::ids::{CueId, DeviceId};
use crate::domain::recurrence::wall;
use crate::domain::time::UtcMs;
use chrono::{DateTime, NaiveDate};
use chrono_tz::Tz;
use import::import;
use row::{cells, row};
use std::path::PathBuf;

/// Records read at once for an export.
const PAGE: u32 = 1_000;

/// Lists, exports and imports records of devices; says which ends of chains never came
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    act: Option<Act>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Writes the exact signed lines to stdout, in order of arrival
    Export {
        #[command(flatten)]
        wanted: Wanted,
    },
    /// Takes in lines of a device's ledger or of an export, flagged; also of a revoked device
    Import {
        #[command(flatten)]
        data: DataOption,
        /// One compact JWS a line, or `-` for stdin
        file: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Lists what devices told of that never came: tails of chains that were cut. Exit status 1
    /// when something should have come long since
    Missing(missing::Missing),
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    wanted: Wanted,
    /// At most so many, the newest first
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

/// Which records.
#[derive(Debug, clap::Args)]
struct Wanted {
    #[command(flatten)]
    data: DataOption,
    /// Of this device
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
    /// From this date or instant on, by the device's clock (`2026-12-01`, or RFC 3339)
    #[arg(long, value_name = "WHEN")]
    from: Option<String>,
    /// Up to the end of this date, or before this instant
    #[arg(long, value_name = "WHEN")]
    to: Option<String>,
    /// Of this kind: `start`, `play`, `show`, `beat`, `boot`, …
    #[arg(long)]
    kind: Option<String>,
    /// Of this cue
    #[arg(long, value_name = "ID")]
    cue: Option<CueId>,
    /// Of this urgent notice, hold or command
    #[arg(long, value_name = "ID")]
    jti: Option<String>,
    /// Zone in which dates are meant and instants shown
    #[arg(long, value_name = "ZONE", default_value = "Asia/Ho_Chi_Minh")]
    zone: Tz,
}

/// Runs the subcommand.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    match args.act {
        None => list(&args.list),
        Some(Act::Export { wanted }) => export(&wanted),
        Some(Act::Import { data, file, json }) => import(&data, &file, json),
        Some(Act::Missing(wanted)) => missing::missing(&wanted),
    }
}

impl Wanted {
    fn filter(&self) -> anyhow::Result<RecordFilter> {
        let edge = |name: &str, text: &Option<String>, end: bool| {
            text.as_deref().map(|text| instant(name, text, self.zone, end)).transpose()
        };
        Ok(RecordFilter {
            device: self.device.clone(),
            from_ms: edge("from", &self.from, false)?,
            to_ms: edge("to", &self.to, true)?,
            kind: self.kind.clone(),
            cue: self.cue,
            jti: self.jti.clone(),
        })
    }

    fn folder(&self) -> anyhow::Result<DataFolder> {
        DataFolder::existing(&self.data.data)
    }
}

/// Reads a date of the zone (its first instant, or the first after it) or an instant.
pub fn instant(name: &str, text: &str, zone: Tz, end: bool) -> anyhow::Result<UtcMs> {
    if let Ok(date) = text.parse::<NaiveDate>() {
        let (from, to) = wall::day(zone, date);
        return Ok(if end { to } else { from });
    }
    DateTime::parse_from_rfc3339(text).map(|at| UtcMs(at.timestamp_millis())).map_err(|_| {
        wrong_use(
            format!("`--{name} {text}` is neither a date nor an instant"),
            "`2026-12-01`, or `2026-12-01T05:00:00+07:00`",
        )
    })
}

fn list(list: &List) -> anyhow::Result<Answer> {
    let filter = list.wanted.filter()?;
    let folder = list.wanted.folder()?;
    let listed = runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let page = Page::Newest { limit: list.limit };
        let listed = store.records(&filter, page).await.map_err(told)?;
        store.close().await;
        anyhow::Ok(listed)
    })?;
    let zone = list.wanted.zone;
    if list.json {
        let rows: Vec<_> = listed.into_iter().map(|listed| row(listed, zone)).collect();
        print_json(&rows)?;
    } else {
        let rows: Vec<_> = listed.iter().map(|listed| cells(listed, zone)).collect();
        print_text(&table(&["AT", "DEVICE", "SEQ", "KIND", "WHAT", "RESULT", "FAULT"], &rows))?;
    }
    Ok(Answer::Yes)
}

fn told(error: crate::app::ports::StoreError) -> anyhow::Error {
    let hint = error.hint();
    failed(error, hint)
}

fn export(wanted: &Wanted) -> anyhow::Result<Answer> {
    let filter = wanted.filter()?;
    let folder = wanted.folder()?;
    runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let mut position = 0;
        loop {
            let page = Page::After { position, limit: PAGE };
            let listed = store.records(&filter, page).await.map_err(told)?;
            let mut text = String::new();
            for listed in &listed {
                text.push_str(&listed.record.jws);
                text.push('\n');
                position = listed.position;
            }
            print_text(&text)?;
            if listed.len() < PAGE as usize {
                break;
            }
        }
        store.close().await;
        anyhow::Ok(())
    })?;
    Ok(Answer::Yes)
}

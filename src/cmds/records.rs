//! `loa records`: what devices signed; listed, exported byte for byte, brought in by hand.
//!
//! Works on the store of the data folder, also while a server runs on it. An export is one
//! compact JWS a line, exactly as received: what anybody can verify with the device's key.

use super::data::{DataFolder, DataOption};
use super::{Advise as _, Answer, failed, print_json, print_text, runtime, table, wrong_use};
use crate::app::ingest::{Arrived, Ingest, Tally};
use crate::app::outcome::content;
use crate::app::ports::{Evidence as _, Listed, Page, RecordFilter, Via};
use crate::clock::SystemClock;
use crate::domain::ids::{CueId, DeviceId};
use crate::domain::proof::record::{Body, Said};
use crate::domain::recurrence::wall;
use crate::domain::time::UtcMs;
use crate::store::SqliteStore;
use crate::wire::{b64, limits, record, topic::Topics};
use anyhow::Context as _;
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, SecondsFormat};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Records read at once for an export.
const PAGE: u32 = 1_000;

/// Lists, exports and imports records of devices
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

/// A record as `--json` shows it.
#[derive(Serialize)]
struct Row {
    position: i64,
    device: DeviceId,
    chain: String,
    seq: u64,
    kind: String,
    cue: Option<CueId>,
    jti: Option<String>,
    at: String,
    received: String,
    via: &'static str,
    fault: Option<String>,
    kid: String,
    sha256: String,
    prev: Option<String>,
    claims: serde_json::Value,
    jws: String,
}

/// What an import did.
#[derive(Serialize)]
struct Imported {
    lines: u64,
    stored: u64,
    duplicates: u64,
    conflicts: u64,
    rejects: u64,
    deferred: u64,
}

/// Runs the subcommand.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    match args.act {
        None => list(&args.list),
        Some(Act::Export { wanted }) => export(&wanted),
        Some(Act::Import { data, file, json }) => import(&data, &file, json),
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
fn instant(name: &str, text: &str, zone: Tz, end: bool) -> anyhow::Result<UtcMs> {
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

fn shown(at: UtcMs, zone: Tz) -> String {
    wall::display(zone, at).to_rfc3339_opts(SecondsFormat::Millis, false)
}

fn row(Listed { position, record }: Listed, zone: Tz) -> Row {
    let payload = record.jws.split('.').nth(1).and_then(b64::decode).unwrap_or_default();
    Row {
        position,
        device: record.device,
        chain: record.chain.to_string(),
        seq: record.seq,
        kind: record.kind,
        cue: record.cue,
        jti: record.jti,
        at: shown(record.at_ms, zone),
        received: shown(record.received_ms, zone),
        via: match record.via {
            Via::Link => "link",
            Via::Import => "import",
        },
        fault: record.fault,
        kid: record.kid,
        sha256: record.digest.to_string(),
        prev: record.prev.map(|prev| prev.to_string()),
        claims: serde_json::from_slice(&payload).unwrap_or_default(),
        jws: record.jws.as_ref().to_owned(),
    }
}

fn cells(Listed { record, .. }: &Listed, zone: Tz) -> Vec<String> {
    let seconds = |ms: i64| format!("{}.{:01} s", ms / 1_000, ms % 1_000 / 100);
    let (what, result) = match content(record).map(|record| record.body) {
        Some(Body::Play(play)) => {
            let result =
                format!("{} ({}), {}", said(play.outcome), play.cause, seconds(play.played_ms));
            (play.title, result)
        }
        Some(Body::Show(show)) => {
            let result =
                format!("{} ({}), {}", said(show.outcome), show.cause, seconds(show.shown_ms));
            (show.title, result)
        }
        Some(Body::Boot { fw, reason, .. }) => (fw, reason),
        Some(Body::Did { what, result, .. }) => (what, result),
        Some(Body::Refuse { topic, reason, n, .. }) => (topic, format!("{reason} × {n}")),
        Some(Body::Lost { from, to, .. }) => (String::new(), format!("{from}-{to}")),
        Some(Body::Chain { why }) => (String::new(), why),
        _ => (String::new(), String::new()),
    };
    let plain = |text: String| text.chars().filter(|c| !c.is_control()).collect::<String>();
    vec![
        wall::display(zone, record.at_ms).format("%Y-%m-%d %H:%M:%S").to_string(),
        record.device.to_string(),
        record.seq.to_string(),
        record.kind.clone(),
        plain(what),
        plain(result),
        record.fault.clone().unwrap_or_default(),
    ]
}

/// Returns the device's word as it is written on the wire.
fn said(said: Said) -> &'static str {
    match said {
        Said::Played => "played",
        Said::Partial => "partial",
        Said::Failed => "failed",
        Said::PreEmpted => "pre-empted",
        Said::Refused => "refused",
    }
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

/// Whose record a line says it is; the signature is judged when it is taken in.
fn device_of(line: &str) -> Option<DeviceId> {
    #[derive(Deserialize)]
    struct Whose {
        dev: DeviceId,
    }
    let payload = b64::decode(line.split('.').nth(1)?)?;
    serde_json::from_slice::<Whose>(&payload).ok().map(|whose| whose.dev)
}

fn import(data: &DataOption, file: &Path, json: bool) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&data.data)?;
    let keys = Arc::new(folder.read_keys()?);
    let input: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        let opened = std::fs::File::open(file);
        Box::new(opened.with_context(|| format!("reading `{}`", file.display()))?)
    };
    let mut lines = Lines { reader: BufReader::new(input), number: 0 };
    let (tally, refused) = runtime()?.block_on(async {
        let store: Arc<SqliteStore> = Arc::new(folder.open_store().await?);
        let clock = Arc::new(SystemClock::new());
        let topics = Topics::default();
        let mut ingest = Ingest::new(store.clone(), keys, topics, String::new(), clock);
        let mut tally = Tally::default();
        let mut refused = 0_u64;
        let mut batch: Vec<(DeviceId, String)> = Vec::new();
        while let Some(line) =
            lines.next().with_context(|| format!("reading `{}`", file.display()))?
        {
            if let Some(device) = device_of(&line) {
                batch.push((device, line));
            } else {
                eprintln!("{}:{}: not a record of a device", file.display(), lines.number);
                refused += 1;
            }
            if batch.len() >= PAGE as usize {
                tally += take(&mut ingest, std::mem::take(&mut batch)).await?;
            }
        }
        tally += take(&mut ingest, batch).await?;
        drop(ingest);
        store.close().await;
        anyhow::Ok((tally, refused))
    })?;
    let imported = Imported {
        lines: tally.lines + refused,
        stored: tally.stored,
        duplicates: tally.duplicates,
        conflicts: tally.conflicts,
        rejects: tally.rejects + refused,
        deferred: tally.deferred,
    };
    if json {
        print_json(&imported)?;
    } else {
        let Imported { lines, stored, duplicates, conflicts, rejects, deferred } = &imported;
        print_text(&format!(
            "{lines} lines: {stored} stored, {duplicates} known, {conflicts} conflicts, \
             {rejects} refused, {deferred} too far beyond a gap\n"
        ))?;
    }
    let all = imported.rejects == 0 && imported.deferred == 0;
    Ok(if all { Answer::Yes } else { Answer::No })
}

/// Takes lines in by device, in batches within the contract's limits.
async fn take(ingest: &mut Ingest, lines: Vec<(DeviceId, String)>) -> anyhow::Result<Tally> {
    let mut of: std::collections::BTreeMap<DeviceId, Vec<String>> =
        std::collections::BTreeMap::new();
    for (device, line) in lines {
        of.entry(device).or_default().push(line);
    }
    let mut tally = Tally::default();
    for (device, lines) in of {
        let mut rest: &[String] = &lines;
        while !rest.is_empty() {
            let (body, taken) = record::batch(rest.iter().map(String::as_str));
            // A line beyond its limit goes alone and is refused with its reason.
            let (body, taken) =
                if taken == 0 { (rest[0].clone().into_bytes(), 1) } else { (body, taken) };
            let arrived = Arrived { device: device.clone(), lines: Bytes::from(body) };
            tally += ingest
                .import(&[arrived])
                .await
                .advise("what came before is stored; import again, nothing is stored twice")?;
            rest = &rest[taken..];
        }
    }
    Ok(tally)
}

/// Lines of a file, each bounded.
struct Lines {
    reader: BufReader<Box<dyn Read>>,
    number: u64,
}

impl Lines {
    /// Returns the next line that is not empty.
    fn next(&mut self) -> std::io::Result<Option<String>> {
        loop {
            let mut bytes = Vec::new();
            let most = limits::BATCH_BYTES as u64;
            let n = self.reader.by_ref().take(most).read_until(b'\n', &mut bytes)?;
            if n == 0 {
                return Ok(None);
            }
            self.number += 1;
            if bytes.last() == Some(&b'\n') {
                bytes.pop();
            }
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
            if !bytes.is_empty() {
                return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
    }
}

//! `loa report`: what was broadcast where and when, as a file for people.
//!
//! Works on the data folder, also while a server runs on it, or asks a server with `--server`. A
//! file that is handed out is in the log by its hash.

pub mod heard;
mod out;

use super::data::{DataFolder, DataOption};
use super::server::{ServerOption, escaped};
use super::trail::command_line;
use super::{Answer, failed, print_json, print_text, runtime, table, wrong_use};
use crate::app::ports::RollupStore as _;
use crate::app::reports::{Ask, Form, LogAt, Reports, ReportsError};
use crate::app::rollup::Rollup;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::ids::UnitId;
use crate::report::document::ReportKind;
use crate::report::period::Period;
use anyhow::Context as _;
use chrono::NaiveDate;
use chrono_tz::Tz;
use out::{Got, Out};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Files listed.
const LISTED: u32 = 100;
/// How long a report waits for what is known to be under a signed head.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of a letter's file.
const LETTER_BYTES: usize = 64 << 10;

/// Makes a report as a file, or lists what was handed out (`loa report list`)
///
/// Kinds: diary (nhật ký), pay (nhuận bút), compare (kế hoạch), as-run (chi tiết), coverage (độ
/// phủ), urgent (khẩn), yearly (báo cáo năm). What was heard at a place: `loa heard`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Kind of report, or `list`
    #[arg(value_name = "KIND|list")]
    kind: String,
    /// The unit, with all below it
    #[arg(long, value_name = "CODE")]
    unit: Option<UnitId>,
    /// A month: `2026-10`
    #[arg(long, value_name = "YYYY-MM", conflicts_with_all = ["year", "from", "to"])]
    month: Option<String>,
    /// A calendar year: `2026`
    #[arg(long, value_name = "YYYY", conflicts_with_all = ["from", "to"])]
    year: Option<i32>,
    /// First day: `2026-10-01`
    #[arg(long, value_name = "DATE", requires = "to")]
    from: Option<NaiveDate>,
    /// Last day, which belongs to it
    #[arg(long, value_name = "DATE", requires = "from")]
    to: Option<NaiveDate>,
    /// Refuse numbers that may still change
    #[arg(long = "final")]
    only_final: bool,
    /// Head, foot and words of a yearly report (TOML): agency, number, date, signer, to,
    /// recipients, grounds, difficulties, proposals, …
    #[arg(long, value_name = "FILE")]
    letter: Option<PathBuf>,
    #[command(flatten)]
    out: Out,
    #[command(flatten)]
    data: DataOption,
    #[command(flatten)]
    server: ServerOption,
    /// Zone in which days are meant
    #[arg(long, value_name = "ZONE", default_value = "Asia/Ho_Chi_Minh")]
    zone: Tz,
}

fn told(error: ReportsError) -> anyhow::Error {
    let hint = error.hint();
    let wrong = matches!(
        error,
        ReportsError::Report(_)
            | ReportsError::NoPlace { .. }
            | ReportsError::Ambiguous { .. }
            | ReportsError::TooMuch { .. }
            | ReportsError::TooMany { .. }
            | ReportsError::Wide { .. }
    );
    let said = match error {
        ReportsError::Report(error) => anyhow::Error::from(error),
        error => anyhow::Error::from(error),
    };
    if wrong { wrong_use(said, hint) } else { failed(said, hint) }
}

impl Args {
    fn period(&self) -> anyhow::Result<Period> {
        let hint = "`--month 2026-10`, `--year 2026`, or `--from 2026-10-01 --to 2026-10-31`";
        let period = match (&self.month, self.year, self.from, self.to) {
            (Some(month), ..) => {
                let parts = month.split_once('-');
                let parts =
                    parts.and_then(|(year, month)| Some((year.parse().ok()?, month.parse().ok()?)));
                let (year, month) =
                    parts.ok_or_else(|| wrong_use(format!("`{month}` is not a month"), hint))?;
                Period::month(year, month)
            }
            (None, Some(year), ..) => Period::year(year),
            (None, None, Some(from), Some(to)) => Period::new(from, to),
            _ => return Err(wrong_use("which days are meant?", hint)),
        };
        period.map_err(|error| {
            let hint = error.hint();
            wrong_use(error, hint)
        })
    }

    fn form(&self, kind: ReportKind) -> anyhow::Result<Form> {
        let Some(path) = &self.letter else { return Ok(Form::default()) };
        if kind != ReportKind::Yearly {
            return Err(wrong_use("only a yearly report is a letter", "leave `--letter` out"));
        }
        letter(path)
    }

    fn query(&self, period: Period, unit: &UnitId) -> String {
        format!(
            "unit={}&from={}&to={}&format={}&final={}",
            escaped(unit.as_str()),
            period.first(),
            period.last(),
            self.out.format.as_str(),
            self.only_final,
        )
    }
}

/// Reads a letter's file.
fn letter(path: &Path) -> anyhow::Result<Form> {
    let shown = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("reading `{shown}`"))?;
    if bytes.len() > LETTER_BYTES {
        let got = bytes.len();
        return Err(wrong_use(
            format!("`{shown}` has {got} bytes, a letter's file has at most {LETTER_BYTES}"),
            "it holds head, foot and a few paragraphs",
        ));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| wrong_use(format!("`{shown}` is not UTF-8"), "save it as UTF-8"))?;
    toml::from_str(&text).map_err(|error| {
        wrong_use(
            format!("`{shown}`: {}", error.message()),
            "members: above, agency, number, symbol, place, date, to, about, grounds, recipients, \
             archive, behalf, office, signer, difficulties, proposals",
        )
    })
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    if args.kind == "list" {
        return list(&args);
    }
    let kind = ReportKind::named(&args.kind).ok_or_else(|| {
        let all: Vec<_> = ReportKind::ALL
            .iter()
            .map(|kind| format!("{} ({})", kind.as_str(), kind.vi()))
            .collect();
        wrong_use(format!("`{}` is no kind of report", args.kind), all.join(", "))
    })?;
    if kind == ReportKind::Heard {
        return Err(wrong_use(
            "what was heard is asked by place and time",
            "`loa heard --place loa-1 --at 2026-10-06T05:10:00+07:00`",
        ));
    }
    let unit = args.unit.clone().ok_or_else(|| {
        wrong_use("of which unit?", "`--unit 10363`; `loa unit export` lists the units")
    })?;
    let (period, form) = (args.period()?, args.form(kind)?);
    if args.server.is_named() {
        let path = format!("reports/{}?{}", kind.as_str(), args.query(period, &unit));
        let server = args.server.open()?;
        let (headers, bytes) = match &args.letter {
            Some(_) => server.download_by(&path, &serde_json::to_value(&form)?)?,
            None => server.download(&path)?,
        };
        return args.out.give(Got::downloaded(&headers, bytes, &args.out)?);
    }
    let ask = Ask {
        kind,
        unit,
        period,
        format: args.out.format,
        zone: args.zone,
        spot: None,
        form,
        only_final: args.only_final,
    };
    let got = local(&args.data, args.zone, |_| Ok(ask))?;
    args.out.give(got)
}

/// Makes a report from a data folder; the question may need its register.
fn local(
    data: &DataOption,
    zone: Tz,
    ask: impl FnOnce(&crate::report::places::Places) -> anyhow::Result<Ask>,
) -> anyhow::Result<Got> {
    let folder = DataFolder::existing(&data.data)?;
    runtime()?.block_on(async {
        let store = Arc::new(folder.open_store().await?);
        let reports = Reports::new(Arc::new(Rollup::new(store.clone())));
        let places = reports.rollup().places(zone).await.map_err(|error| told(error.into()))?;
        let ask = ask(&places)?;
        let log = LogAt { folder: folder.log(), patience: PATIENCE };
        let made = reports.make(&ask, &log, SystemClock::new().now(), &command_line()).await;
        drop(reports);
        store.close().await;
        Ok(Got::made(made.map_err(told)?))
    })
}

fn list(args: &Args) -> anyhow::Result<Answer> {
    if args.server.is_named() {
        let listed = args.server.open()?.get(&format!("reports?limit={LISTED}"))?;
        let text = |row: &serde_json::Value, name: &str| match &row[name] {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if args.out.json {
            print_json(&listed["files"])?;
        } else {
            let rows = listed["files"].as_array().into_iter().flatten();
            let cells = |row| ["made", "name", "by", "sha256"].map(|name| text(row, name)).to_vec();
            let rows: Vec<_> = rows.map(cells).collect();
            print_text(&table(&["MADE", "FILE", "BY", "SHA-256"], &rows))?;
        }
        return Ok(Answer::Yes);
    }
    let folder = DataFolder::existing(&args.data.data)?;
    let files = runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let files = store.reports(None, LISTED).await?;
        store.close().await;
        anyhow::Ok(files)
    })?;
    let at = |at: crate::domain::time::UtcMs| at.datetime().with_timezone(&args.zone).to_rfc3339();
    if args.out.json {
        let row = |(position, file): &(i64, crate::app::ports::ReportFile)| {
            serde_json::json!({
                "position": position,
                "name": file.name,
                "sha256": file.sha256,
                "bytes": file.bytes,
                "made": at(file.made_ms),
                "by": file.made_by,
                "cut_off": at(file.cut_ms),
                "origin": file.head.as_ref().map(|head| &head.origin),
                "size": file.head.as_ref().map(|head| head.size),
                "root": file.head.as_ref().map(|head| &head.root),
            })
        };
        print_json(&files.iter().map(row).collect::<Vec<_>>())?;
    } else {
        let row = |(_, file): &(i64, crate::app::ports::ReportFile)| {
            vec![at(file.made_ms), file.name.clone(), file.made_by.clone(), file.sha256.to_string()]
        };
        let rows: Vec<_> = files.iter().map(row).collect();
        print_text(&table(&["MADE", "FILE", "BY", "SHA-256"], &rows))?;
    }
    Ok(Answer::Yes)
}

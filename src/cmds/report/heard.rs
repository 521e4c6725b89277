//! `loa heard`: answers a complaint from what loudspeakers signed.

use super::super::data::DataOption;
use super::super::server::{ServerOption, escaped};
use super::super::{Answer, wrong_use};
use super::out::{Got, Out};
use super::{local, told};
use crate::app::reports::{Ask, Form, Spot, locate};
use crate::domain::time::UtcMs;
use crate::report::document::ReportKind;
use crate::report::period::{Period, day_of};
use chrono::{DateTime, NaiveDateTime, TimeZone as _};
use chrono_tz::Tz;

/// Says what sounded at a place and time, how loud, by whose order, or that nothing of ours did
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A device's id, a unit's code, or words of the name of either
    #[arg(long, value_name = "PLACE")]
    place: String,
    /// When: `2026-10-06T05:10`, or RFC 3339
    #[arg(long, value_name = "TIME")]
    at: String,
    /// Minutes to either side that are looked at
    #[arg(long, value_name = "MINUTES", default_value_t = 15, value_parser = clap::value_parser!(u32).range(0..=720))]
    margin: u32,
    #[command(flatten)]
    out: Out,
    #[command(flatten)]
    data: DataOption,
    #[command(flatten)]
    server: ServerOption,
    /// Zone in which a time without offset is meant
    #[arg(long, value_name = "ZONE", default_value = "Asia/Ho_Chi_Minh")]
    zone: Tz,
}

fn instant(text: &str, zone: Tz) -> anyhow::Result<UtcMs> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(UtcMs(at.timestamp_millis()));
    }
    let naive = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"]
        .into_iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let at = naive.and_then(|naive| zone.from_local_datetime(&naive).earliest());
    at.map(|at| UtcMs(at.timestamp_millis())).ok_or_else(|| {
        wrong_use(
            format!("`--at {text}` is not a time"),
            "`2026-10-06T05:10`, or `2026-10-06T05:10:00+07:00`",
        )
    })
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    let at = instant(&args.at, args.zone)?;
    if args.server.is_named() {
        let time = at.datetime().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        let path = format!(
            "heard?place={}&at={}&margin={}&format={}",
            escaped(&args.place),
            escaped(&time),
            args.margin,
            args.out.format.as_str(),
        );
        let (headers, bytes) = args.server.open()?.download(&path)?;
        return args.out.give(Got::downloaded(&headers, bytes, &args.out)?);
    }
    let day = day_of(at, args.zone);
    let period = Period::new(day, day).map_err(|error| {
        let hint = error.hint();
        wrong_use(error, hint)
    })?;
    let got = local(&args.data, args.zone, |places| {
        let (unit, device) = locate(places, &args.place, at, args.zone, |_| true).map_err(told)?;
        Ok(Ask {
            kind: ReportKind::Heard,
            unit,
            period,
            format: args.out.format,
            zone: args.zone,
            spot: Some(Spot {
                words: args.place.clone(),
                at,
                margin_ms: i64::from(args.margin) * 60_000,
                device,
            }),
            form: Form::default(),
            only_final: false,
        })
    })?;
    args.out.give(got)
}

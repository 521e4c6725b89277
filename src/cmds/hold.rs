//! `loa hold`: silences a unit at once, and says who has not confirmed.

use super::server::{Server, ServerOption, escaped};
use super::urgent::length;
use super::{Answer, print_json, print_text, table, wrong_use};
use crate::domain::ids::UnitId;
use serde_json::{Value, json};
use std::time::Duration;

/// How often confirmations are asked for.
const AGAIN: Duration = Duration::from_millis(500);

/// Silences a unit at once, or lets it go; `loa hold list` shows what is held
///
/// Exit code 1 when a device has not confirmed (yet).
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerOption,
    /// The unit, with all below it; or `list`
    #[arg(value_name = "UNIT|list")]
    unit: String,
    /// Silent until then: `2h`, or `2026-12-01T17:00:00+07:00`
    #[arg(long, value_name = "TIME|DURATION", conflicts_with = "release")]
    until: Option<String>,
    /// Let the unit go before its hold ends
    #[arg(long)]
    release: bool,
    /// Why; stands in the trail and on every device
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Wait so many seconds for devices to confirm
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    wait: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    let server = args.server.open()?;
    if args.unit == "list" {
        return list(&server, args.json);
    }
    let unit: UnitId = args.unit.parse().map_err(|error: crate::domain::ids::IdError| {
        let hint = error.hint();
        wrong_use(error, hint)
    })?;
    let path = format!("holds/{}", escaped(unit.as_str()));
    let done = if args.release {
        let reason = args.reason.unwrap_or_else(|| "thôi tạm dừng".to_owned());
        server.post(&format!("{path}/release"), &json!({ "reason": reason }))?
    } else {
        let (Some(until), Some(reason)) = (args.until, args.reason) else {
            return Err(wrong_use(
                "a hold needs its end and a reason",
                format!("`loa hold {unit} --until 2h --reason …`, or `--release`"),
            ));
        };
        server.put(&path, &hold(&until, &reason)?)?
    };
    if done["told"] == "waiting" {
        eprintln!("The broker does not answer: devices are told as soon as it does.");
    }
    let last = wait(&server, &path, done, args.wait, args.json)?;
    if args.json {
        print_json(&last)?;
    } else {
        print_text(&shown(&last))?;
    }
    let nobody = last["devices"].as_array().is_none_or(Vec::is_empty);
    if nobody {
        eprintln!(
            "No enrolled device belongs to `{unit}`: nobody hears of this. `loa device list` shows \
             who belongs where."
        );
    }
    Ok(if last["unconfirmed"] == 0 && !nobody { Answer::Yes } else { Answer::No })
}

fn hold(until: &str, reason: &str) -> anyhow::Result<Value> {
    if chrono::DateTime::parse_from_rfc3339(until).is_ok() {
        return Ok(json!({ "until": until, "reason": reason }));
    }
    let ms = length(until).map_err(|_| {
        wrong_use(
            format!("`--until {until}` is neither a time nor a length of time"),
            "`30m`, `2h`, or `2026-12-01T17:00:00+07:00`",
        )
    })?;
    // Whole minutes, the last one begun counts.
    Ok(json!({ "minutes": (ms + 59_999) / 60_000, "reason": reason }))
}

/// Watches confirmations come in, as long as one lacks and it is this order that counts.
fn wait(
    server: &Server,
    path: &str,
    ordered: Value,
    seconds: u64,
    quiet: bool,
) -> anyhow::Result<Value> {
    let mut last = ordered;
    let rounds = seconds * 1_000 / u64::try_from(AGAIN.as_millis()).unwrap_or(1);
    for _ in 0..rounds {
        if last["unconfirmed"] == 0 {
            break;
        }
        std::thread::sleep(AGAIN);
        let now = server.get(path)?;
        if now["hold"]["jti"] != last["hold"]["jti"] {
            break;
        }
        if now["confirmed"] != last["confirmed"] && !quiet {
            eprintln!("{} confirmed, {} not", now["confirmed"], now["unconfirmed"]);
        }
        last = now;
    }
    Ok(last)
}

fn shown(answer: &Value) -> String {
    let hold = &answer["hold"];
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or("").to_owned();
    let until = match hold["until"].as_str() {
        Some(until) => format!("until {until}"),
        None => "let go".to_owned(),
    };
    let mut said = format!(
        "{} {until}: {}\n{} confirmed, {} not\n",
        text(hold, "unit"),
        text(hold, "reason"),
        answer["confirmed"],
        answer["unconfirmed"]
    );
    let waiting = answer["devices"].as_array().into_iter().flatten();
    let rows: Vec<Vec<String>> = waiting
        .filter(|device| device["confirmed"] != true)
        .map(|device| {
            let cues = device["would_play"].as_array().into_iter().flatten();
            let cues = cues.map(|cue| format!("{} {}", text(cue, "at"), text(cue, "title")));
            vec![
                text(device, "device"),
                text(device, "name"),
                text(device, "light"),
                cues.collect::<Vec<_>>().join("; "),
            ]
        })
        .collect();
    if !rows.is_empty() {
        said.push_str(&table(&["NOT CONFIRMED", "NAME", "STATE", "WOULD STILL PLAY"], &rows));
    }
    said
}

fn list(server: &Server, json: bool) -> anyhow::Result<Answer> {
    let listed = server.get("holds")?;
    if json {
        print_json(&listed["holds"])?;
        return Ok(Answer::Yes);
    }
    let cells = |one: &Value| {
        ["unit", "state", "until", "by", "reason"]
            .iter()
            .map(|name| one[*name].as_str().unwrap_or("").to_owned())
            .collect::<Vec<_>>()
    };
    let rows: Vec<_> = listed["holds"].as_array().into_iter().flatten().map(cells).collect();
    print_text(&table(&["UNIT", "STATE", "UNTIL", "BY", "REASON"], &rows))?;
    Ok(Answer::Yes)
}

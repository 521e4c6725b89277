//! `loa urgent`: notices that sound at once, with a reason and the document that orders them.

use super::server::{Server, ServerOption, escaped};
use super::{Advise as _, Answer, print_json, print_text, table, wrong_use};
use crate::config::duration_ms;
use crate::domain::ids::UnitId;
use crate::domain::standby::Template;
use serde_json::{Value, json};
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

/// How often progress is asked for.
const AGAIN: Duration = Duration::from_secs(1);

/// Sends, watches and withdraws urgent notices and drills
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Shows whom a notice reaches, asks, and sends it
    Send(Send),
    /// Tells how far a notice has come on each device, by its signed records
    Show {
        #[command(flatten)]
        server: ServerOption,
        /// Id of the notice
        #[arg(value_name = "JTI")]
        jti: String,
        /// Go on until every device has ended, refused or withdrawn it, or it is over
        #[arg(long)]
        watch: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Lists notices, newest first
    List {
        #[command(flatten)]
        server: ServerOption,
        /// At most so many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        limit: u32,
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Takes a notice back: what is left of it sounds nowhere
    Withdraw {
        #[command(flatten)]
        server: ServerOption,
        /// Id of the notice
        #[arg(value_name = "JTI")]
        jti: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Send {
    #[command(flatten)]
    server: ServerOption,
    /// Unit concerned, with all below it; may be given several times
    #[arg(long = "unit", value_name = "UNIT", required = true)]
    units: Vec<UnitId>,
    /// Why; stands in the trail and in every device's records
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Number of the document that orders it, as in `05/CĐ-UBND`
    #[arg(long, value_name = "NUMBER")]
    document: String,
    /// Who issued the document
    #[arg(long, value_name = "NAME")]
    issuer: String,
    /// When the station got the document, RFC 3339; now unless given
    #[arg(long, value_name = "WHEN")]
    received: Option<String>,
    /// What boards show; may be left out with a template
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Clip to sound
    #[arg(long, value_name = "FILE", conflicts_with = "template")]
    asset: Option<PathBuf>,
    /// Standby template: siren, storm, flood, fire, epidemic
    #[arg(long, value_name = "NAME")]
    template: Option<Template>,
    /// How often it sounds
    #[arg(long, value_name = "N", default_value_t = 3)]
    repeat: u32,
    /// Silence between two times
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = length)]
    gap: i64,
    /// Volume, 0-100
    #[arg(long, value_name = "0-100", default_value_t = 100)]
    volume: u8,
    /// How long it is in force
    #[arg(long, value_name = "TIME", default_value = "2h", value_parser = length)]
    expires: i64,
    /// A rehearsal: answered like a notice, and cannot sound on any device
    #[arg(long)]
    drill: bool,
    /// Send without asking
    #[arg(long)]
    yes: bool,
    /// Watch it until every device has ended it
    #[arg(long)]
    watch: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Reads a length of time.
pub fn length(text: &str) -> Result<i64, String> {
    duration_ms(text).ok_or_else(|| "a length of time, as in `90s`, `15m` or `2h`".to_owned())
}

/// Runs the subcommand.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    match args.act {
        Act::Send(wanted) => send(&wanted),
        Act::Show { server, jti, watch, json } => {
            let server = server.open()?;
            let path = format!("urgent/{}", escaped(&jti));
            let shown =
                if watch { self::watch(&server, &path, json)? } else { server.get(&path)? };
            print(&shown, json)?;
            Ok(Answer::Yes)
        }
        Act::List { server, limit, json } => {
            let listed = server.open()?.get(&format!("urgent?limit={limit}"))?;
            let notices = &listed["notices"];
            if json {
                print_json(notices)?;
            } else {
                let cells = |one: &Value| {
                    let units = one["units"].as_array().into_iter().flatten();
                    let units: Vec<_> = units.filter_map(Value::as_str).collect();
                    vec![
                        text(one, "jti"),
                        text(one, "kind"),
                        text(one, "state"),
                        text(one, "sent"),
                        units.join(","),
                        text(one, "reason"),
                    ]
                };
                let rows: Vec<_> = notices.as_array().into_iter().flatten().map(cells).collect();
                let head = ["NOTICE", "KIND", "STATE", "SENT", "UNITS", "REASON"];
                print_text(&table(&head, &rows))?;
            }
            Ok(Answer::Yes)
        }
        Act::Withdraw { server, jti, reason, json } => {
            let path = format!("urgent/{}/withdraw", escaped(&jti));
            let done = server.open()?.post(&path, &json!({ "reason": reason }))?;
            print(&done, json)?;
            Ok(Answer::Yes)
        }
    }
}

fn send(wanted: &Send) -> anyhow::Result<Answer> {
    let server = wanted.server.open()?;
    if !wanted.yes && !std::io::stdin().is_terminal() {
        return Err(wrong_use(
            "nobody is here to confirm the notice",
            "look at what it reaches at a terminal, or say `--yes`",
        ));
    }
    let clip = match &wanted.asset {
        None => None,
        Some(file) => {
            let bytes = std::fs::read(file).advise("name a readable audio file")?;
            let title = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            let title = title.unwrap_or_default();
            let path = format!("urgent/clips?title={}", escaped(&title));
            Some(server.upload(&path, &bytes)?)
        }
    };
    let preview = server.post(
        "urgent",
        &json!({
            "kind": if wanted.drill { "drill" } else { "urgent" },
            "units": wanted.units,
            "reason": wanted.reason,
            "document": {
                "number": wanted.document, "issuer": wanted.issuer, "at": wanted.received,
            },
            "text": wanted.text,
            "template": wanted.template.map(Template::as_str),
            "clip": clip.as_ref().map(|clip| &clip["sha256"]),
            "clip_title": clip.as_ref().map(|clip| &clip["title"]),
            "times": wanted.repeat,
            "gap_s": wanted.gap / 1_000,
            "volume": wanted.volume,
            "expires_s": wanted.expires / 1_000,
        }),
    )?;
    eprint!("{}", shown(&preview));
    if !wanted.yes && !confirmed(&server, wanted)? {
        eprintln!("Not sent.");
        return Ok(Answer::No);
    }
    let jti = text(&preview["notice"], "jti");
    let path = format!("urgent/{}", escaped(&jti));
    let confirm = json!({ "confirm": preview["confirm"] });
    let sent = server.post(&format!("{path}/send"), &confirm)?;
    if sent["told"] == "waiting" {
        eprintln!("The broker does not answer: devices are told as soon as it does.");
    }
    let last = if wanted.watch { watch(&server, &path, wanted.json)? } else { sent };
    print(&last, wanted.json)?;
    Ok(Answer::Yes)
}

/// Asks for the name of the first unit: a habit of pressing Enter sends nothing.
fn confirmed(server: &Server, wanted: &Send) -> anyhow::Result<bool> {
    let Some(unit) = wanted.units.first() else { return Ok(false) };
    let units = server.get("units")?;
    let known = units["units"].as_array().into_iter().flatten();
    let name = known
        .filter(|one| one["id"] == unit.as_str())
        .find_map(|one| one["name"].as_str().map(str::to_owned))
        .unwrap_or_else(|| unit.to_string());
    eprint!("Type the name of the unit, `{name}`, to send: ");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let typed = line.trim();
    Ok(typed == name || typed == unit.as_str())
}

/// Writes what a preview shows; writing to a string cannot fail.
fn shown(preview: &Value) -> String {
    use std::fmt::Write as _;
    let notice = &preview["notice"];
    let devices = preview["devices"].as_array().map_or(&[][..], Vec::as_slice);
    let mut said = format!(
        "{} {}\n  {}\n  {} ({})\n  boards show: {}\n  loudspeakers play: {}\n",
        text(notice, "kind").to_uppercase(),
        text(notice, "jti"),
        text(notice, "reason"),
        text(&notice["document"], "number"),
        text(&notice["document"], "issuer"),
        text(notice, "text").replace('\n', " / "),
        match &notice["clip"] {
            Value::Null => "nothing".to_owned(),
            clip => format!("{} × {}", text(clip, "title"), notice["times"]),
        },
    );
    let cells = |one: &Value| {
        let what = match (one["speaker"] == true, one["board"] == true) {
            (true, true) => "loudspeaker and board",
            (true, false) => "loudspeaker",
            (false, true) => "board",
            (false, false) => "unknown",
        };
        vec![text(one, "device"), text(one, "name"), what.to_owned(), text(one, "light")]
    };
    let rows: Vec<_> = devices.iter().take(40).map(cells).collect();
    said.push_str(&table(&["DEVICE", "NAME", "WHAT", "STATE"], &rows));
    if devices.len() > 40 {
        let _ = writeln!(said, "… and {} more devices", devices.len() - 40);
    }
    for warning in preview["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let _ = writeln!(said, "warning: {warning}");
    }
    said
}

/// Follows a notice until nothing of it is left to come; tells of each change on stderr.
fn watch(server: &Server, path: &str, quiet: bool) -> anyhow::Result<Value> {
    let mut before = Value::Null;
    loop {
        let now = server.get(path)?;
        if now["tally"] != before {
            before = now["tally"].clone();
            if !quiet {
                eprintln!("{}", tally(&now));
            }
        }
        let count = |name: &str| now["tally"][name].as_u64().unwrap_or(0);
        let done = count("ended") + count("withdrawn") + count("refused") == count("devices");
        let drilled = now["notice"]["kind"] == "drill" && count("not_reached") == 0;
        let over = !matches!(now["notice"]["state"].as_str(), Some("in-force" | "withdrawn"));
        if done || drilled || over {
            return Ok(now);
        }
        std::thread::sleep(AGAIN);
    }
}

fn tally(shown: &Value) -> String {
    let names = ["not_reached", "received", "fetched", "started", "ended", "withdrawn", "refused"];
    let parts = names.iter().filter_map(|name| {
        let n = shown["tally"][*name].as_u64().filter(|n| *n > 0)?;
        Some(format!("{n} {}", name.replace('_', " ")))
    });
    format!("{} devices: {}", shown["tally"]["devices"], parts.collect::<Vec<_>>().join(", "))
}

fn print(shown: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        return print_json(shown);
    }
    let notice = &shown["notice"];
    let cells = |one: &Value| {
        let first = one["first_play_ms"].as_i64().map_or_else(String::new, |ms| format!("{ms} ms"));
        vec![
            text(one, "device"),
            text(one, "stage"),
            first,
            one["times"].to_string(),
            text(one, "why"),
        ]
    };
    let rows: Vec<_> = shown["devices"].as_array().into_iter().flatten().map(cells).collect();
    print_text(&format!(
        "{} {} ({}): {}\n{}\n{}",
        text(notice, "kind"),
        text(notice, "jti"),
        text(notice, "state"),
        text(notice, "reason"),
        tally(shown),
        table(&["DEVICE", "STAGE", "FIRST", "TIMES", "WHY"], &rows)
    ))
}

/// Returns a member as text; nothing where it is null.
fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or("").to_owned()
}

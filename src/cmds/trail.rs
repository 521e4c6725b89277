//! `loa trail`: what people did.

use super::data::{DataFolder, DataOption};
use super::{Answer, print_json, print_text, runtime, table};
use crate::app::ports::{Page, Trail as _, Trailed};
use crate::app::trail::Actor;
use serde::Serialize;

/// Lists who changed what, when and from where, newest first; nothing of it ever changes
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: DataOption,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// In order after this position, 0 for the beginning
    #[arg(long, value_name = "POSITION")]
    after: Option<i64>,
    /// Print one JSON array of `{position, at, who, from, action, subject, before, after}`
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row {
    position: i64,
    at: String,
    who: String,
    from: String,
    action: String,
    subject: String,
    before: Option<String>,
    after: Option<String>,
}

impl From<Trailed> for Row {
    fn from(Trailed { position, entry }: Trailed) -> Self {
        Self {
            position,
            at: entry.at.datetime().to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            who: entry.who,
            from: entry.from,
            action: entry.action,
            subject: entry.subject,
            before: entry.before,
            after: entry.after,
        }
    }
}

/// Returns who acts by a command on the data folder itself: the user of this system.
pub fn command_line() -> Actor {
    let uid = rustix::process::getuid().as_raw();
    Actor::new(format!("command line (uid {uid})"), "command line")
}

/// Lists the trail.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    let folder = DataFolder::existing(&args.data.data)?;
    let page = match args.after {
        Some(position) => Page::After { position, limit: args.limit },
        None => Page::Newest { limit: args.limit },
    };
    let listed = runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let listed = store.trail(page).await?;
        store.close().await;
        anyhow::Ok(listed)
    })?;
    let rows: Vec<Row> = listed.into_iter().map(Row::from).collect();
    if args.json {
        print_json(&rows)?;
    } else {
        let cells = |row: &Row| {
            let change = match (&row.before, &row.after) {
                (None, None) => String::new(),
                (before, after) => {
                    let text = |side: &Option<String>| side.clone().unwrap_or("–".to_owned());
                    format!("{} → {}", text(before), text(after))
                }
            };
            let (who, from) = (row.who.clone(), row.from.clone());
            vec![row.at.clone(), who, from, row.action.clone(), row.subject.clone(), change]
        };
        let rows: Vec<_> = rows.iter().map(cells).collect();
        print_text(&table(&["AT (UTC)", "WHO", "FROM", "ACTION", "SUBJECT", "CHANGE"], &rows))?;
    }
    Ok(Answer::Yes)
}

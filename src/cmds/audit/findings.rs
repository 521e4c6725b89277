//! `loa audit findings`: what an inspector found of a draw, and what it proves.

use super::super::data::{DataFolder, DataOption};
use super::super::trail::command_line;
use super::super::{Answer, print_json, print_text, runtime, wrong_use};
use super::sample::told;
use crate::app::draws::{DOCUMENT_BYTES, Document, Drawing, FINDINGS_BYTES};
use crate::clock::{Clock as _, SystemClock};
use crate::config::findings_from_csv;
use crate::draw::{Finding, Tally, WalkingList};
use anyhow::Context as _;
use serde_json::Value;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Takes what an inspector found of a draw, and says which share is confirmed
///
/// The table has the columns of `loa audit sample --csv`; a line without a finding is a play that
/// was not visited. A table may be handed in again: the newest counts, all stay in the log.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of the draw as the walking list says, or the file of `loa audit sample --json`, which
    /// needs no server's data and keeps nothing
    #[arg(value_name = "DRAW")]
    draw: String,
    /// The table of findings (CSV)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    data: DataOption,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn read(path: &Path, most: usize) -> anyhow::Result<Vec<u8>> {
    let place = || format!("reading `{}`", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(place)?;
    file.take(most as u64 + 1).read_to_end(&mut bytes).with_context(place)?;
    if bytes.len() > most {
        return Err(wrong_use(
            format!("`{}` has more than {most} bytes", path.display()),
            "give the file that was made by the draw",
        ));
    }
    Ok(bytes)
}

/// Reads the findings of a list; tells all faults.
fn findings(path: &Path, bytes: &[u8], list: &WalkingList) -> anyhow::Result<Vec<Finding>> {
    let label = path.display().to_string();
    match findings_from_csv(&label, bytes, list) {
        Ok(told) => {
            for fault in &told.warnings {
                eprintln!("{fault}");
            }
            Ok(told.value)
        }
        Err(faults) => {
            for fault in &faults {
                eprintln!("{fault}");
                if let Some(hint) = &fault.hint {
                    eprintln!("    hint: {hint}");
                }
            }
            Err(wrong_use(
                format!("`{label}` has {} faults; nothing was taken", faults.len()),
                "correct them and hand the table in again",
            ))
        }
    }
}

/// Takes findings.
pub fn run(args: &Args) -> anyhow::Result<Answer> {
    let bytes = read(&args.file, FINDINGS_BYTES)?;
    let tally =
        if Path::new(&args.draw).is_file() { offline(args, &bytes)? } else { kept(args, &bytes)? };
    if args.json {
        print_json(&tally)?;
    } else {
        print_text(&tally.text())?;
    }
    Ok(Answer::Yes)
}

fn offline(args: &Args, bytes: &[u8]) -> anyhow::Result<Tally> {
    let text = read(Path::new(&args.draw), DOCUMENT_BYTES)?;
    let value: Value = serde_json::from_slice(&text).unwrap_or(Value::Null);
    let draw = value.get("draw").map_or_else(|| text.clone(), |draw| draw.to_string().into_bytes());
    let list = Document::parse(&draw).and_then(|draw| draw.walking_list()).map_err(told)?;
    let findings = findings(&args.file, bytes, &list)?;
    list.tally(&findings).map_err(|faults| told(crate::app::draws::DrawError::Findings(faults)))
}

fn kept(args: &Args, bytes: &[u8]) -> anyhow::Result<Tally> {
    let folder = DataFolder::existing(&args.data.data)?;
    runtime()?.block_on(async {
        let store = Arc::new(folder.open_store().await?);
        // Zone and witnesses matter to new draws alone.
        let drawing = Drawing::new(store.clone(), folder.log(), chrono_tz::UTC, false);
        let taken = async {
            let made = drawing.one(&args.draw).await.map_err(told)?.ok_or_else(|| {
                wrong_use(
                    format!("no draw and no file `{}`", args.draw),
                    "the last line of the walking list has its number",
                )
            })?;
            let list = made.document.walking_list().map_err(told)?;
            let findings = findings(&args.file, bytes, &list)?;
            let now = SystemClock::new().now();
            drawing.take(&made, bytes, &findings, &command_line(), now).await.map_err(told)
        };
        let tally = taken.await;
        store.close().await;
        tally
    })
}

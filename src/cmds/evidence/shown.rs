//! How evidence looks on a terminal and as JSON.

use crate::app::ports::StoredEntry;
use crate::cmds::table;
use crate::domain::time::UtcMs;
use serde_json::{Value, json};
use std::fmt::Write as _;

fn at(at: UtcMs) -> String {
    at.datetime().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// An entry as `--json` shows it, by the names of the API.
pub fn row(stored: &StoredEntry) -> Value {
    let entry = &stored.entry;
    json!({
        "position": stored.position, "id": entry.id, "channel": entry.channel.word(),
        "unit": entry.unit, "line": entry.line, "topic": entry.topic, "title": entry.title,
        "file": entry.file, "sha256": entry.sha256, "bytes": entry.bytes, "date": entry.on,
        "person": entry.by, "count": entry.count, "note": entry.note,
        "entered": at(stored.at_ms), "entered_by": stored.by, "corrects": stored.corrects,
        "corrected": stored.corrected.as_ref().map(|wrong| json!({
            "at": at(wrong.at_ms), "by": wrong.by, "reason": wrong.reason, "entry": wrong.by_entry,
        })),
        "leaf": stored.leaf,
    })
}

fn state(stored: &StoredEntry) -> String {
    match &stored.corrected {
        None => "counts".to_owned(),
        Some(wrong) => match &wrong.by_entry {
            Some(entry) => format!("corrected by {entry}"),
            None => "withdrawn".to_owned(),
        },
    }
}

/// Lays entries out as a table.
pub fn listed(entries: &[StoredEntry]) -> String {
    let cells = |stored: &StoredEntry| {
        let entry = &stored.entry;
        vec![
            entry.id.to_string(),
            entry.on.to_string(),
            entry.channel.word().to_owned(),
            entry.unit.to_string(),
            entry.line.as_ref().map_or("–".to_owned(), ToString::to_string),
            entry.count.to_string(),
            entry.by.to_string(),
            state(stored),
            entry.title.clone(),
        ]
    };
    let rows: Vec<_> = entries.iter().map(cells).collect();
    let heads = ["ENTRY", "DATE", "CHANNEL", "UNIT", "LINE", "COUNT", "PERSON", "STATE", "TITLE"];
    table(&heads, &rows)
}

/// Writes an entry for people.
pub fn text(stored: &StoredEntry) -> String {
    let entry = &stored.entry;
    let mut text = format!(
        "{}: {}\n  {}, {} × {}, unit {}\n  {} ({} bytes), SHA-256 {}\n  says {}; entered {} by {}\n",
        entry.id,
        entry.title,
        entry.on,
        entry.channel.word(),
        entry.count,
        entry.unit,
        entry.file,
        entry.bytes,
        entry.sha256,
        entry.by,
        at(stored.at_ms),
        stored.by,
    );
    // Writing to a string cannot fail.
    if let Some(line) = &entry.line {
        let _ = writeln!(text, "  for plan line {line}");
    }
    if let Some(topic) = &entry.topic {
        let _ = writeln!(text, "  about {topic}");
    }
    if let Some(note) = &entry.note {
        let _ = writeln!(text, "  note: {note}");
    }
    if let Some(wrong) = &stored.corrects {
        let _ = writeln!(text, "  in the place of {wrong}");
    }
    if let Some(wrong) = &stored.corrected {
        let _ = writeln!(text, "  {}: {}", state(stored), wrong.reason);
    }
    text
}

//! Evidence that persons bring, as a table: one entry a line.

use super::super::fault::{At, Fault, Place};
use super::super::files::is_inside;
use super::super::problem::Problem;
use super::super::table::{Column, Row, may, must, rows, write_table};
use super::super::text::shown;
use super::{MOST_CSV, Told, gather, no_formula, unique, word};
use crate::domain::ids::{Digest, EntryId, PersonId, UnitId};
use crate::plan::manual::{Channel, Entry, FILE_BYTES};
use crate::plan::{LineRef, TopicCode};
use std::collections::BTreeMap;

static ENTRIES: &[Column] = &[
    must("id"),
    must("channel"),
    must("unit"),
    may("line"),
    may("topic"),
    must("title"),
    must("file"),
    must("sha256"),
    must("bytes"),
    must("date"),
    must("by"),
    may("count"),
    may("note"),
];

const MOST: usize = 20_000;

/// Reads entries; whether unit, line, topic and file are there is asked by those who know them.
pub fn entries_from_csv(label: &str, bytes: &[u8]) -> Result<Told<Vec<Entry>>, Vec<Fault>> {
    gather(label, bytes, MOST_CSV, |source| {
        let mut seen = BTreeMap::new();
        let mut entries = Vec::new();
        for row in rows(source, ENTRIES, MOST)? {
            let sink = |place: Place, problem: &Problem| row.fault(place, problem);
            let id = row.id::<EntryId>(row.must("id", 60));
            if let Some(id) = &id {
                unique("entry", id, &mut seen, &sink);
            }
            entries.extend(entry(&row, id));
        }
        Some(entries)
    })
}

fn entry(row: &Row<'_>, id: Option<At<EntryId>>) -> Option<Entry> {
    let sink = |place: Place, problem: &Problem| row.fault(place, problem);
    let must_date = row.must("date", 40).and_then(|_| row.date("date"));
    let channel = row.must("channel", 40);
    let channel = channel.and_then(|text| word("channel", &text, &Channel::WORDS, 6, &sink));
    let unit = row.id::<UnitId>(row.must("unit", 40));
    let line = row.id::<LineRef>(row.text("line", 100)).map(|line| line.value);
    let topic = row.text("topic", 40).and_then(|text| match text.value.parse::<TopicCode>() {
        Ok(code) => Some(code),
        Err(error) => {
            sink(text.place, &Problem::Topic(error));
            None
        }
    });
    let title = row.must("title", 200);
    let file = row.must("file", 200).filter(|path| {
        let inside = is_inside(&path.value);
        if !inside {
            sink(path.place, &Problem::Path { path: shown(&path.value) });
        }
        inside
    });
    let sha256 = row.id::<Digest>(row.must("sha256", 80));
    let most = i64::try_from(FILE_BYTES).unwrap_or(i64::MAX);
    let bytes = row.must("bytes", 40).and_then(|_| row.number("bytes", 1, most));
    let by = row.id::<PersonId>(row.must("by", 60));
    let count = row.number("count", 1, 100_000_000);
    let note = row.text("note", 1_000);
    for text in [&title, &file, &note].into_iter().flatten() {
        no_formula(text, &sink);
    }
    let note = note.map(|note| note.value);
    Some(Entry {
        id: id?.value,
        channel: channel?,
        unit: unit?.value,
        line,
        topic,
        title: title?.value,
        file: file?.value,
        sha256: sha256?.value,
        bytes: u64::try_from(bytes?.value).ok()?,
        on: must_date?.value,
        by: by?.value,
        count: count.map_or(Some(1), |count| u32::try_from(count.value).ok())?,
        note,
    })
}

/// Writes entries as a table; it reads back as the same.
pub fn entries_to_csv<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> String {
    let fields = |entry: &Entry| {
        vec![
            entry.id.to_string(),
            entry.channel.word().to_owned(),
            entry.unit.to_string(),
            entry.line.as_ref().map(ToString::to_string).unwrap_or_default(),
            entry.topic.as_ref().map(ToString::to_string).unwrap_or_default(),
            entry.title.clone(),
            entry.file.clone(),
            entry.sha256.to_string(),
            entry.bytes.to_string(),
            entry.on.to_string(),
            entry.by.to_string(),
            entry.count.to_string(),
            entry.note.clone().unwrap_or_default(),
        ]
    };
    write_table(ENTRIES, entries.into_iter().map(fields))
}

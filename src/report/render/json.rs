//! JSON for machines: stable names, plain numbers, instants as RFC 3339.
//!
//! Invariant: members stand in a fixed order, and a row's members are its table's columns.

use crate::report::document::{Cell, Column, Document, Part, Table};
use crate::report::number;
use crate::report::question::Standing;
use chrono_tz::Tz;
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// Writes a document on one line; of one without tables that is the head of a log.
pub fn document(document: &Document) -> Vec<u8> {
    let (question, zone) = (&document.question, document.question.zone);
    let checkpoint = question.checkpoint.as_ref().map(|checkpoint| {
        json!({ "origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root })
    });
    let (settled, unsettled) = match document.standing {
        Standing::Final => ("final", 0),
        Standing::Provisional { unsettled } => ("provisional", unsettled),
        Standing::Lacking { devices } => ("lacking", devices),
    };
    let asked: Map<String, Value> =
        document.asked.iter().map(|(_, key, value)| ((*key).to_owned(), json!(value))).collect();
    let texts: Vec<&str> = document
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Heading(text) | Part::Text(text) | Part::Annex(text) => Some(text.as_str()),
            Part::Table(_) => None,
        })
        .collect();
    let tables: Map<String, Value> =
        document.tables().map(|table| (table.key.to_owned(), of_table(table, zone))).collect();
    let whole = json!({
        "report": document.kind.as_str(),
        "title": document.title,
        "title_en": document.kind.title().1,
        "scope": { "unit": question.scope, "name": document.scope },
        "period": { "first": question.period.first(), "last": question.period.last() },
        "zone": zone.name(),
        "asked": asked,
        "cut_off": number::rfc3339(question.cut_off, zone),
        "answer": document.answer,
        "standing": settled,
        "unsettled": unsettled,
        "checkpoint": checkpoint,
        "texts": texts,
        "tables": tables,
        "notes": document.notes,
    });
    let mut bytes = whole.to_string().into_bytes();
    bytes.push(b'\n');
    bytes
}

fn of_table(table: &Table, zone: Tz) -> Value {
    let columns: Vec<Value> = table
        .columns
        .iter()
        .map(|column| json!({ "key": column.key, "vi": column.vi, "en": column.en }))
        .collect();
    let row = |row: &Vec<Cell>| of_row(&table.columns, row, zone);
    json!({
        "title": table.title,
        "columns": columns,
        "rows": table.rows.iter().map(row).collect::<Vec<_>>(),
        "total": table.total.as_ref().map(row),
    })
}

fn of_row(columns: &[Column], row: &[Cell], zone: Tz) -> Value {
    let members = columns.iter().zip(row);
    Value::Object(
        members.map(|(column, cell)| (column.key.to_owned(), of_cell(cell, zone))).collect(),
    )
}

fn of_cell(cell: &Cell, zone: Tz) -> Value {
    match cell {
        Cell::Empty => Value::Null,
        Cell::Text(text) => json!(text),
        Cell::Count(count) => json!(count),
        Cell::Share { part, whole } => json!({ "part": part, "whole": whole }),
        Cell::Length(ms) => json!(ms),
        Cell::Instant(at) => json!(number::rfc3339(*at, zone)),
        Cell::Date(day) => json!(day),
    }
}

/// Writes one row as a line, for logs of any length.
pub fn line(out: &mut impl Write, columns: &[Column], row: &[Cell], zone: Tz) -> io::Result<()> {
    writeln!(out, "{}", of_row(columns, row, zone))
}

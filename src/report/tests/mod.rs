//! Reports seen from outside: a golden month cell by cell, files read back by other programs.

mod any;
mod desk;
mod golden;
mod month;
mod paper;
mod plans;
mod random;

use crate::report::document::{Document, Table};

fn table<'a>(document: &'a Document, key: &str) -> &'a Table {
    document.tables().find(|table| table.key == key).unwrap()
}

/// Returns a table's column as people read it.
fn shown(table: &Table, key: &str) -> Vec<String> {
    let at = table.columns.iter().position(|column| column.key == key).unwrap();
    table.rows.iter().map(|row| row[at].shown(month::ZONE)).collect()
}

fn total(table: &Table, key: &str) -> String {
    let at = table.columns.iter().position(|column| column.key == key).unwrap();
    table.total.as_ref().unwrap()[at].shown(month::ZONE)
}

//! CSV that spreadsheets open as it is: UTF-8 with its mark, CRLF, every text in quotes.
//!
//! # Invariants
//! * No cell begins with what a spreadsheet takes for a formula: such text gets an apostrophe
//!   before it, also behind blanks and in its full-width forms.
//! * Rows are written one at a time, so that a log of any length needs the room of one.

use crate::report::document::{Cell, Column, Document, Part, Table};
use chrono_tz::Tz;
use std::io::{self, Write};

/// UTF-8's mark, by which spreadsheets know the letters.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Writes a table as its rows come.
pub struct Writer<W: Write> {
    out: W,
    zone: Tz,
}

impl<W: Write> Writer<W> {
    /// Begins a file with the headings alone.
    pub fn begin(mut out: W, columns: &[Column], zone: Tz) -> io::Result<Self> {
        out.write_all(MARK)?;
        let mut writer = Self { out, zone };
        writer.headings(columns)?;
        Ok(writer)
    }

    /// Begins a file with what was asked, then the headings.
    pub fn of(mut out: W, head: &Document, columns: &[Column]) -> io::Result<Self> {
        out.write_all(MARK)?;
        let mut writer = Self { out, zone: head.question.zone };
        writer.head(head)?;
        writer.line(std::iter::empty())?;
        writer.headings(columns)?;
        Ok(writer)
    }

    fn head(&mut self, document: &Document) -> io::Result<()> {
        self.line([quoted(&document.title)].into_iter())?;
        let mut facts = document.facts().into_iter();
        facts.try_for_each(|(label, value)| self.line([quoted(label), quoted(&value)].into_iter()))
    }

    fn headings(&mut self, columns: &[Column]) -> io::Result<()> {
        self.line(columns.iter().map(|column| quoted(column.vi)))
    }

    /// Writes a row.
    pub fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        let zone = self.zone;
        self.line(cells.iter().map(|cell| shown(cell, zone)))
    }

    /// Ends the file and gives the writer back.
    pub fn end(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn line(&mut self, cells: impl Iterator<Item = String>) -> io::Result<()> {
        let line = cells.collect::<Vec<_>>().join(",");
        self.out.write_all(line.as_bytes())?;
        self.out.write_all(b"\r\n")
    }

    fn table(&mut self, table: &Table) -> io::Result<()> {
        self.line([quoted(&table.title)].into_iter())?;
        self.headings(&table.columns)?;
        table.rows.iter().chain(&table.total).try_for_each(|row| self.row(row))
    }
}

/// Writes one table alone.
pub fn table(table: &Table, zone: Tz) -> Vec<u8> {
    let written = Writer::begin(Vec::new(), &table.columns, zone).and_then(|mut writer| {
        table.rows.iter().chain(&table.total).try_for_each(|row| writer.row(row))?;
        writer.end()
    });
    // A `Vec` takes every write.
    written.unwrap_or_default()
}

/// Writes a document: what was asked, then its tables below each other.
pub fn document(document: &Document) -> Vec<u8> {
    let zone = document.question.zone;
    let mut writer = Writer { out: MARK.to_vec(), zone };
    let written = (|| {
        writer.head(document)?;
        for part in &document.parts {
            writer.line(std::iter::empty())?;
            match part {
                Part::Heading(text) | Part::Text(text) | Part::Annex(text) => {
                    writer.line([quoted(text)].into_iter())?;
                }
                Part::Table(table) => writer.table(table)?,
            }
        }
        writer.line(std::iter::empty())?;
        document.notes.iter().try_for_each(|note| writer.line([quoted(note)].into_iter()))
    })();
    let _: io::Result<()> = written; // A `Vec` takes every write.
    writer.out
}

fn shown(cell: &Cell, zone: Tz) -> String {
    match cell {
        Cell::Empty => String::new(),
        // Without dots between thousands, or half of the programs would read decimals.
        Cell::Count(count) => count.to_string(),
        Cell::Date(day) => day.to_string(),
        other => quoted(&other.shown(zone)),
    }
}

/// Puts text in quotes, and out of reach of formulas.
fn quoted(text: &str) -> String {
    let risky = text.trim_start().chars().next().is_some_and(|first| {
        matches!(first, '=' | '+' | '-' | '@' | '|' | '%' | '＝' | '＋' | '－' | '＠')
    }) || text.starts_with(['\t', '\r', '\n']);
    let guard = if risky { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::column;

    #[test]
    fn what_a_spreadsheet_takes_for_a_formula_gets_an_apostrophe() {
        for text in
            ["=1+1", "+84", "-16,0", "@SUM(A1)", "  =cmd|' /C calc'!A0", "\t=1", "＝1", "\u{a0}=1"]
        {
            assert!(quoted(text).starts_with("\"'"), "{text}");
        }
        assert_eq!(quoted("Tin \"nóng\", 5=5"), "\"Tin \"\"nóng\"\", 5=5\"");
        assert_eq!(quoted(""), "\"\"");
    }

    #[test]
    fn rows_are_written_with_mark_quotes_and_plain_figures() {
        let columns = [column("a", "Tên", "Name", 5), column("b", "Số", "Count", 5)];
        let zone = chrono_tz::Asia::Ho_Chi_Minh;
        let mut writer = Writer::begin(Vec::new(), &columns, zone).unwrap();
        writer.row(&[Cell::Text("Thôn Ấp".into()), Cell::Count(12_345)]).unwrap();
        writer.row(&[Cell::Share { part: 1, whole: 2 }, Cell::Empty]).unwrap();
        let bytes = writer.end().unwrap();
        let text = String::from_utf8(bytes[3..].to_vec()).unwrap();
        assert_eq!(&bytes[..3], MARK);
        assert_eq!(text, "\"Tên\",\"Số\"\r\n\"Thôn Ấp\",12345\r\n\"1/2 (50,0 %)\",\r\n");
    }
}

//! Reads CSV with a header line: every field has its line and column.
//!
//! Takes comma or semicolon (Excel in Vietnamese writes the latter), quoted fields with line
//! breaks and doubled quotes (RFC 4180), a byte order mark, and either kind of line end. Empty
//! lines and lines that begin with `#` are skipped.
//!
//! # Why not the csv crate
//! It knows the line of a record but not the column of a field, and an operator with 4,000
//! devices needs both. Writing uses the crate.

use super::fault::{At, Place};
use super::problem::Problem;
use super::read::{Source, parse_date};
use super::text::{self, nearest, shown};
use crate::domain::ids::IdError;
use chrono::NaiveDate;
use std::str::FromStr;

/// A column of a table.
pub(super) struct Column {
    pub name: &'static str,
    pub must: bool,
}

/// One line: its fields by column.
pub(super) struct Row<'a> {
    source: Source<'a>,
    columns: &'static [Column],
    /// For each column the field, if the file has it.
    fields: Vec<Option<At<String>>>,
    /// Where the line begins.
    pub place: Place,
}

/// Returns the lines of the file; notes faults of header and field counts.
pub(super) fn rows<'a>(
    source: &Source<'a>,
    columns: &'static [Column],
    most: usize,
) -> Option<Vec<Row<'a>>> {
    let separator = separator(source.text);
    let mut records = split(source.text, separator).into_iter();
    let Some(header) = records.next() else {
        source.fault(Place::START, &Problem::NoHeader);
        return None;
    };
    let known = columns.iter().map(|c| c.name).collect::<Vec<_>>().join(", ");
    let mut order = Vec::new();
    let mut faulty = false;
    for field in &header {
        let name = text::nfc(field.value.trim()).to_lowercase();
        let index = columns.iter().position(|c| c.name == name);
        match index {
            Some(index) if order.contains(&Some(index)) => {
                let first = field.place;
                source.fault(field.place, &Problem::Duplicate { what: "column", id: name, first });
                faulty = true;
            }
            None => {
                let near = nearest(&name, columns.iter().map(|c| c.name)).map(str::to_owned);
                let (key, known) = (shown(&name), known.clone());
                let problem = Problem::UnknownKey { key, of: "the header", near, known };
                source.fault(field.place, &problem);
                faulty = true;
            }
            Some(_) => {}
        }
        order.push(index);
    }
    for (index, column) in columns.iter().enumerate() {
        if column.must && !order.contains(&Some(index)) {
            let problem = Problem::NoColumn { column: column.name, known: known.clone() };
            source.fault(Place::START, &problem);
            faulty = true;
        }
    }
    if faulty {
        return None; // the fields below would be read in the wrong columns
    }
    let mut rows = Vec::new();
    for record in records {
        let place = record.first().map_or(Place::START, |field| field.place);
        if rows.len() >= most {
            source.fault(place, &Problem::TooMany { what: "lines", most });
            break;
        }
        if record.len() != order.len() {
            let problem = Problem::Fields { found: record.len(), wanted: order.len() };
            source.fault(place, &problem);
            continue;
        }
        let mut fields: Vec<Option<At<String>>> = columns.iter().map(|_| None).collect();
        for (field, index) in record.into_iter().zip(&order) {
            if let Some(index) = index {
                fields[*index] = Some(field);
            }
        }
        rows.push(Row { source: source.clone(), columns, fields, place });
    }
    Some(rows)
}

/// Semicolon when the header has one and no comma.
fn separator(text: &str) -> char {
    let header = text.lines().find(|l| !skipped(l)).unwrap_or_default();
    if header.contains(';') && !header.contains(',') { ';' } else { ',' }
}

fn skipped(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with('#')
}

/// Splits the text into records of placed fields.
fn split(text: &str, separator: char) -> Vec<Vec<At<String>>> {
    let mut records = Vec::new();
    let mut rest = text.char_indices().peekable();
    let mut place = Place::START;
    let mut step = |rest: &mut std::iter::Peekable<std::str::CharIndices<'_>>| {
        let c = rest.next().map(|(_, c)| c)?;
        let at = place;
        if c == '\n' {
            place = Place { line: place.line + 1, column: 1 };
        } else {
            place.column = place.column.saturating_add(1);
        }
        Some((c, at))
    };
    while let Some((start, _)) = rest.peek().copied() {
        let line = text[start..].split('\n').next().unwrap_or_default();
        if skipped(line) {
            while step(&mut rest).is_some_and(|(c, _)| c != '\n') {}
            continue;
        }
        let mut record = Vec::new();
        let mut field = String::new();
        let mut began = None;
        let mut quoted = false;
        while let Some((c, at)) = step(&mut rest) {
            let first = began.is_none();
            let begin = *began.get_or_insert(at);
            match c {
                '"' if quoted && rest.peek().is_some_and(|(_, next)| *next == '"') => {
                    field.push('"');
                    step(&mut rest);
                }
                '"' if quoted => quoted = false,
                '"' if first => quoted = true,
                c if c == separator && !quoted => {
                    record.push(At { value: std::mem::take(&mut field), place: begin });
                    began = None;
                    if rest.peek().is_none_or(|(_, next)| *next == '\n' || *next == '\r') {
                        // The last field is empty: it stands right behind the separator.
                        began = Some(Place { column: at.column.saturating_add(1), ..at });
                    }
                }
                '\r' if !quoted => {}
                '\n' if !quoted => break,
                c => field.push(c),
            }
        }
        let begin = began.unwrap_or(Place::START);
        record.push(At { value: field, place: begin });
        records.push(record);
    }
    records
}

impl Row<'_> {
    /// Returns the field of a column as NFC text, trimmed; `None` when empty or not in the file.
    pub fn text(&self, column: &str, most: usize) -> Option<At<String>> {
        let index = self.columns.iter().position(|c| c.name == column);
        debug_assert!(index.is_some(), "`{column}` is no column");
        let field = self.fields.get(index?)?.as_ref()?;
        let value = text::nfc(field.value.trim());
        if value.is_empty() {
            return None;
        }
        let length = text::graphemes(&value);
        let key = column.to_owned();
        let problem = if length > most || value.len() > most.saturating_mul(16) {
            Problem::TooLong { key, length, most }
        } else if let Some(bad) = value.chars().find(|c| c.is_control()) {
            Problem::Control { key, code: u32::from(bad) }
        } else {
            if let Some(doubt) = text::suspicious(column, &value) {
                self.source.fault(field.place, &doubt);
            }
            return Some(At { value, place: field.place });
        };
        self.source.fault(field.place, &problem);
        None
    }

    /// As [`Row::text`], and notes that the field is empty.
    pub fn must(&self, column: &str, most: usize) -> Option<At<String>> {
        let index = self.columns.iter().position(|c| c.name == column)?;
        let field = self.fields.get(index)?.as_ref();
        if field.is_none_or(|field| field.value.trim().is_empty()) {
            let place = field.map_or(self.place, |field| field.place);
            self.source.fault(place, &Problem::Empty { key: column.to_owned() });
            return None;
        }
        self.text(column, most)
    }

    /// Returns a field as an id.
    pub fn id<T: FromStr<Err = IdError>>(&self, text: Option<At<String>>) -> Option<At<T>> {
        let text = text?;
        match text.value.parse() {
            Ok(value) => Some(At { value, place: text.place }),
            Err(error) => {
                self.source.fault(text.place, &Problem::Id(error));
                None
            }
        }
    }

    /// Returns the ids of a field, parted by spaces, `|` or `;`.
    pub fn ids<T: FromStr<Err = IdError>>(&self, column: &str, most: usize) -> Vec<At<T>> {
        let Some(field) = self.text(column, most) else { return Vec::new() };
        let parts = field.value.split([' ', '|', ';', ',']).filter(|part| !part.is_empty());
        parts
            .filter_map(|part| self.id(Some(At { value: part.to_owned(), place: field.place })))
            .collect()
    }

    /// Returns a field as a whole number within bounds.
    pub fn number(&self, column: &str, least: i64, most: i64) -> Option<At<i64>> {
        let field = self.text(column, 40)?;
        match field.value.parse() {
            Ok(value) if (least..=most).contains(&value) => Some(At { value, place: field.place }),
            _ => {
                let text = shown(&field.value);
                self.source.fault(field.place, &Problem::Number { text, least, most });
                None
            }
        }
    }

    /// Returns a field as a date.
    pub fn date(&self, column: &str) -> Option<At<NaiveDate>> {
        let text = self.text(column, 40)?;
        let date = parse_date(&text.value);
        if date.is_none() {
            self.fault(text.place, &Problem::Date { text: shown(&text.value) });
        }
        Some(At { value: date?, place: text.place })
    }

    /// Returns the parts of a field, parted by `|`.
    pub fn parts(&self, column: &str, most: usize) -> Vec<At<String>> {
        let Some(At { value, place }) = self.text(column, most) else { return Vec::new() };
        let parts = value.split('|').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| At { value: part.to_owned(), place }).collect()
    }

    /// Notes a problem of this line.
    pub fn fault(&self, place: Place, problem: &Problem) {
        self.source.fault(place, problem);
    }
}

/// Makes a column that must stand in the header.
pub(super) const fn must(name: &'static str) -> Column {
    Column { name, must: true }
}

/// Makes a column that may be left out.
pub(super) const fn may(name: &'static str) -> Column {
    Column { name, must: false }
}

/// Writes a table with its header.
pub(super) fn write_table(columns: &[Column], lines: impl Iterator<Item = Vec<String>>) -> String {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    // Writing into memory cannot fail, and every line has as many fields as the header.
    let _ = writer.write_record(columns.iter().map(|c| c.name));
    for line in lines {
        let _ = writer.write_record(&line);
    }
    writer
        .into_inner()
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<Vec<(String, u32, u32)>> {
        let place = |f: At<String>| (f.value, f.place.line, f.place.column);
        let records = split(text, separator(text));
        records.into_iter().map(|r| r.into_iter().map(place).collect()).collect()
    }

    #[test]
    fn every_field_has_its_line_and_column() {
        let text = "id,name\r\n# ghi chú\r\n\r\n1,\"Thôn \"\"Đoài\"\"\nhai dòng\"\n2,\n";
        let owned = |s: &str| s.to_owned();
        assert_eq!(
            fields(text),
            vec![
                vec![(owned("id"), 1, 1), (owned("name"), 1, 4)],
                vec![(owned("1"), 4, 1), (owned("Thôn \"Đoài\"\nhai dòng"), 4, 3)],
                vec![(owned("2"), 6, 1), (owned(""), 6, 3)],
            ]
        );
    }

    #[test]
    fn semicolons_of_a_spreadsheet_part_fields_too() {
        assert_eq!(fields("a;b\n1;2,5")[1][1], ("2,5".to_owned(), 2, 3));
    }
}

//! Workbooks: a first sheet with what was asked and said, then a sheet a table.
//!
//! # Invariants
//! * Text is written as text, never as a formula or a link, whatever it begins with.
//! * Figures are numbers, lengths fractions of a day, days and instants local date numbers: sums
//!   and filters work. Parts and wholes stand in one cell as text, where neither can be lost.
//! * The document's dates are the cut-off's.

use crate::domain::time::UtcMs;
use crate::report::document::{Cell, Column, Document, Part, Table};
use crate::report::period::local;
use crate::report::question::ReportError;
use chrono::{Datelike, NaiveDate, Timelike};
use chrono_tz::Tz;
use rust_xlsxwriter::{
    DocProperties, Format, FormatAlign, FormatBorder, IntoCustomDateTime, Workbook, Worksheet,
    XlsxError,
};

/// Most rows of a sheet, headings and total included.
const MOST_ROWS: usize = 1_048_576 - 8;

/// A workbook that its writer refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WorkbookError {
    pub message: String,
}

impl From<XlsxError> for ReportError {
    fn from(error: XlsxError) -> Self {
        Self::Workbook(WorkbookError { message: error.to_string() })
    }
}

struct Looks {
    title: Format,
    heading: Format,
    wrapped: Format,
    head: Format,
    text: Format,
    count: Format,
    length: Format,
    date: Format,
    instant: Format,
}

impl Looks {
    fn new(bold: bool) -> Self {
        let base = || {
            let base = Format::new()
                .set_font_name("Times New Roman")
                .set_font_size(11)
                .set_align(FormatAlign::Top);
            if bold { base.set_bold() } else { base }
        };
        let cell = || base().set_border(FormatBorder::Thin);
        Self {
            title: base().set_bold().set_font_size(14),
            heading: base().set_bold().set_font_size(12),
            wrapped: base().set_text_wrap(),
            head: cell()
                .set_bold()
                .set_text_wrap()
                .set_align(FormatAlign::Center)
                .set_background_color(0x00E7_E6E6),
            text: cell().set_text_wrap(),
            count: cell().set_num_format("#,##0"),
            length: cell().set_num_format("[h]:mm:ss"),
            date: cell().set_num_format("dd/mm/yyyy"),
            instant: cell().set_num_format("dd/mm/yyyy hh:mm:ss"),
        }
    }
}

/// Writes a document.
pub fn workbook(document: &Document) -> Result<Vec<u8>, ReportError> {
    let mut workbook = Workbook::new();
    let properties = DocProperties::new()
        .set_title(&document.title)
        .set_subject(document.question.period.name())
        .set_author("Loa")
        .set_company(&document.scope)
        .set_creation_datetime(Created(document.question.cut_off));
    workbook.set_properties(&properties);
    first(workbook.add_worksheet(), document)?;
    for table in document.tables() {
        if table.rows.len() > MOST_ROWS {
            return Err(ReportError::TooMany {
                table: table.key,
                what: "sheet",
                rows: table.rows.len(),
                most: MOST_ROWS,
            });
        }
        sheet(workbook.add_worksheet(), document, table)?;
    }
    Ok(workbook.save_to_buffer()?)
}

fn first(sheet: &mut Worksheet, document: &Document) -> Result<(), ReportError> {
    let looks = Looks::new(false);
    sheet.set_name("Tổng quan")?.set_paper_size(9).set_print_fit_to_pages(1, 0);
    sheet.set_column_width(0, 36)?.set_column_width(1, 90)?;
    sheet.write_string_with_format(0, 0, document.title.to_uppercase(), &looks.title)?;
    sheet.write_string_with_format(1, 0, document.kind.title().1, &looks.wrapped)?;
    let mut row = 2;
    for (label, value) in document.facts() {
        sheet.write_string_with_format(row, 0, label, &looks.wrapped)?;
        sheet.write_string_with_format(row, 1, value, &looks.wrapped)?;
        row += 1;
    }
    row += 1;
    for part in &document.parts {
        let (text, look) = match part {
            Part::Heading(text) | Part::Annex(text) => (text.clone(), &looks.heading),
            Part::Text(text) => (text.clone(), &looks.wrapped),
            Part::Table(table) => {
                (format!("Bảng: {} (trang “{}”)", table.title, name(table)), &looks.wrapped)
            }
        };
        sheet.write_string_with_format(row, 1, text, look)?;
        row += 1;
    }
    row += 1;
    for note in &document.notes {
        sheet.write_string_with_format(row, 1, note, &looks.wrapped)?;
        row += 1;
    }
    Ok(())
}

/// Returns a sheet's name: its table's, without what a workbook forbids, 31 letters at most.
fn name(table: &Table) -> String {
    let fit = |letter: char| if "[]:*?/\\'".contains(letter) { ' ' } else { letter };
    table.title.chars().map(fit).take(31).collect::<String>().trim().to_owned()
}

fn sheet(sheet: &mut Worksheet, document: &Document, table: &Table) -> Result<(), ReportError> {
    let (zone, plain, bold) = (document.question.zone, Looks::new(false), Looks::new(true));
    sheet.set_name(name(table))?.set_paper_size(9).set_print_fit_to_pages(1, 0);
    if table.columns.len() > 6 {
        sheet.set_landscape();
    }
    for (at, column) in (0_u16..).zip(&table.columns) {
        sheet.set_column_width(at, f64::from(width(column)))?;
        sheet.write_string_with_format(0, at, column.vi, &plain.head)?;
    }
    let last = u16::try_from(table.columns.len().saturating_sub(1)).unwrap_or(u16::MAX);
    let mut row = 1;
    for cells in &table.rows {
        line(sheet, row, cells, &plain, zone)?;
        row += 1;
    }
    if row > 1 {
        sheet.autofilter(0, 0, row - 1, last)?;
    }
    if let Some(total) = &table.total {
        line(sheet, row, total, &bold, zone)?;
    }
    sheet.set_freeze_panes(1, 0)?.set_repeat_rows(0, 0)?;
    Ok(())
}

fn width(column: &Column) -> u8 {
    column.width.clamp(6, 70)
}

fn line(
    sheet: &mut Worksheet,
    row: u32,
    cells: &[Cell],
    looks: &Looks,
    zone: Tz,
) -> Result<(), ReportError> {
    for (at, cell) in (0_u16..).zip(cells) {
        match cell {
            Cell::Empty => sheet.write_blank(row, at, &looks.text)?,
            Cell::Text(text) => sheet.write_string_with_format(row, at, text, &looks.text)?,
            Cell::Share { .. } => {
                sheet.write_string_with_format(row, at, cell.shown(zone), &looks.text)?
            }
            Cell::Count(count) => {
                sheet.write_number_with_format(row, at, *count as f64, &looks.count)?
            }
            Cell::Length(ms) => sheet.write_number_with_format(
                row,
                at,
                (*ms).max(0) as f64 / 86_400_000.0,
                &looks.length,
            )?,
            Cell::Date(day) => match serial(*day) {
                Some(serial) => sheet.write_number_with_format(row, at, serial, &looks.date)?,
                None => sheet.write_string_with_format(row, at, cell.shown(zone), &looks.text)?,
            },
            Cell::Instant(instant) => {
                let local = local(*instant, zone).naive_local();
                let share = f64::from(local.num_seconds_from_midnight()) / 86_400.0;
                match serial(local.date()) {
                    Some(day) => {
                        sheet.write_number_with_format(row, at, day + share, &looks.instant)?
                    }
                    None => {
                        sheet.write_string_with_format(row, at, cell.shown(zone), &looks.text)?
                    }
                }
            }
        };
    }
    Ok(())
}

/// Returns a day as workbooks count them; `None` outside the years they know.
fn serial(day: NaiveDate) -> Option<f64> {
    let epoch = NaiveDate::from_ymd_opt(1899, 12, 30)?;
    let known = (1901..=9999).contains(&day.year());
    known.then(|| day.signed_duration_since(epoch).num_days() as f64)
}

/// When a workbook says that it was made.
struct Created(UtcMs);

impl IntoCustomDateTime for Created {
    fn utc_datetime(self) -> String {
        self.0.datetime().format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

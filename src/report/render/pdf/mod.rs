//! PDF/A-2b on A4: documents for signing and filing.
//!
//! Pages are laid out first (`paper`), then painted; so every page knows how many there are.
//!
//! # Invariants
//! * The same document gives the same bytes: dates are the cut-off's, the identity its content's.
//! * Every page names the checkpoint that the document was made from.
//!
//! # Why PDF/A-2b
//! Reports lie in archives for years: fonts are embedded and nothing is fetched. Level b asks for
//! no tagged structure; the same document as JSON and CSV serves machines and screen readers.

mod face;
mod letter;
mod paper;
mod table;
mod walk;

pub use walk::walk;

use crate::domain::ids::Digest;
use crate::domain::time::UtcMs;
use crate::report::document::{Document, Part, checkpoint};
use crate::report::number;
use crate::report::period::local;
use crate::report::question::ReportError;
use chrono::{Datelike, Offset, Timelike};
use chrono_tz::Tz;
use face::{Cut, Faces};
use krilla::configure::{Archival, ConfigurationBuilder};
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::metadata::{DateTime, Metadata};
use krilla::page::PageSettings;
use krilla::paint::{Fill, Stroke};
use krilla::{SerializeSettings, color::luma};
use paper::{Align, Look, MM, Margins, Mark, Page, Paper};

/// Most rows of all tables of a document on paper.
pub const MOST_ROWS: usize = 20_000;

const MARGINS: Margins =
    Margins { top: 18.0 * MM, bottom: 18.0 * MM, left: 15.0 * MM, right: 15.0 * MM };

/// Writes a document.
pub fn document(document: &Document) -> Result<Vec<u8>, ReportError> {
    let rows = document.tables().map(|table| table.rows.len()).sum();
    if rows > MOST_ROWS {
        let table = document.tables().map(|table| table.key).next().unwrap_or("");
        return Err(ReportError::TooMany { table, what: "PDF", rows, most: MOST_ROWS });
    }
    let faces = embedded()?;
    let pages = lay_out(&faces, document);
    let question = &document.question;
    let face = Face {
        title: format!("{}, {}, {}", document.title, document.scope, question.period.name()),
        source: format!(
            "Điểm kiểm tra: {} · chốt {}",
            checkpoint(question.checkpoint.as_ref()),
            number::instant(question.cut_off, question.zone)
        ),
        at: question.cut_off,
        zone: question.zone,
        identity: Digest::of(&super::json::document(document)).to_string(),
    };
    paint(&faces, &face, &pages)
}

/// What a file says of itself, and the line at the foot of each page.
struct Face {
    title: String,
    source: String,
    at: UtcMs,
    zone: Tz,
    /// Named by its content.
    identity: String,
}

fn embedded() -> Result<Faces, ReportError> {
    Faces::new().ok_or_else(|| failed("the embedded typeface cannot be read"))
}

fn lay_out(faces: &Faces, document: &Document) -> Vec<Page> {
    let mut paper = if let Some(head) = &document.letter {
        let mut paper = Paper::new(faces, letter::MARGINS, false);
        letter::head(&mut paper, head, "Báo cáo", document.question.period.last().year());
        paper
    } else {
        let lying = document.tables().any(table::is_wide);
        let mut paper = Paper::new(faces, MARGINS, lying);
        title(&mut paper, document);
        paper
    };
    let mut closed = false;
    for (at, part) in document.parts.iter().enumerate() {
        if let Part::Annex(_) = part
            && !closed
        {
            close(&mut paper, document);
            closed = true;
        }
        // The last words stand on the page that is signed.
        let ends =
            !matches!(document.parts.get(at + 1), Some(next) if !matches!(next, Part::Annex(_)));
        if let (Some(sent), Part::Text(_), true, false) = (&document.letter, part, ends, closed) {
            paper.lay(false);
            let height = letter::foot_height(&paper, sent) + 4.0 * letter::BODY.line();
            paper.need(height);
        }
        put(&mut paper, document, part);
    }
    if !closed {
        close(&mut paper, document);
    }
    notes(&mut paper, document);
    let lacking = lacking(faces, &paper.pages);
    if lacking > 0 {
        let look = Look::new(Cut::Italic, 9.0, Align::Left).after(4.0);
        let said = format!(
            "{} ký tự không có trong phông chữ được in thành “{}”.",
            lacking,
            face::LACKING
        );
        paper.paragraph(look, &said);
    }
    paper.pages
}

fn lacking(faces: &Faces, pages: &[Page]) -> usize {
    let texts = pages.iter().flat_map(|page| &page.marks).filter_map(|mark| match mark {
        Mark::Text { text, .. } => Some(text),
        Mark::Rule { .. } | Mark::Shade { .. } => None,
    });
    texts.flat_map(|text| text.chars()).filter(|letter| !faces.has(*letter)).count()
}

fn title(paper: &mut Paper<'_>, document: &Document) {
    paper.paragraph(Look::new(Cut::Bold, 14.0, Align::Centre), &document.title.to_uppercase());
    paper.paragraph(Look::new(Cut::Italic, 10.0, Align::Centre), document.kind.title().1);
    paper.skip(4.0);
    for (label, value) in document.facts() {
        let text = format!("{label}: {value}");
        paper.paragraph(Look::new(Cut::Regular, 11.0, Align::Left), &text);
    }
}

fn put(paper: &mut Paper<'_>, document: &Document, part: &Part) {
    let sent = document.letter.as_ref();
    match part {
        Part::Heading(text) => {
            let own = Look::new(Cut::Bold, 12.0, Align::Left).after(8.0);
            let look = if sent.is_some() { letter::HEADING } else { own };
            paper.need(look.before + 4.0 * look.line());
            paper.paragraph(look, text);
        }
        Part::Text(text) => {
            let own = Look::new(Cut::Regular, 12.0, Align::Left).after(4.0);
            paper.paragraph(if sent.is_some() { letter::BODY } else { own }, text);
        }
        Part::Table(found) => {
            if sent.is_some() {
                paper.lay(table::is_wide(found));
            }
            table::put(paper, found, document.question.zone);
        }
        Part::Annex(text) => {
            paper.lay(true);
            if paper.pages.last().is_some_and(|page| !page.marks.is_empty()) {
                paper.turn_over();
            }
            let year = document.question.period.last().year();
            match sent {
                Some(sent) => letter::annex(paper, sent, text, year),
                None => paper.paragraph(Look::new(Cut::Bold, 14.0, Align::Centre), text),
            }
        }
    }
}

/// Puts what is signed.
fn close(paper: &mut Paper<'_>, document: &Document) {
    if let Some(sent) = &document.letter {
        paper.lay(false);
        letter::foot(paper, sent);
        return;
    }
    if document.signers.is_empty() {
        return;
    }
    paper.skip(16.0);
    paper.need(90.0);
    let (left, top) = (paper.left(), paper.y());
    let width = paper.room() / document.signers.len() as f32;
    let mut x = left;
    for signer in &document.signers {
        paper.line_at(x, top, width, Look::new(Cut::Bold, 11.0, Align::Centre), signer);
        let hint = "(Ký, ghi rõ họ tên)";
        paper.line_at(x, top + 14.0, width, Look::new(Cut::Italic, 10.0, Align::Centre), hint);
        x += width;
    }
    paper.skip(86.0);
}

fn notes(paper: &mut Paper<'_>, document: &Document) {
    let look = Look::new(Cut::Italic, 9.0, Align::Left);
    for note in &document.notes {
        paper.paragraph(look.after(2.0), &format!("Ghi chú: {note}"));
    }
}

fn failed(why: impl ToString) -> ReportError {
    ReportError::Pdf { why: why.to_string() }
}

fn paint(faces: &Faces, face: &Face, pages: &[Page]) -> Result<Vec<u8>, ReportError> {
    let configuration = ConfigurationBuilder::new()
        .with_archival_validator(Archival::A2_B)
        .finish()
        .map_err(|_| failed("PDF/A-2b is not supported"))?;
    let settings =
        SerializeSettings { configuration, enable_tagging: false, ..SerializeSettings::default() };
    let mut pdf = krilla::Document::new_with(settings);
    pdf.set_metadata(metadata(face));
    let source = &face.source;
    for (at, page) in pages.iter().enumerate() {
        let size = PageSettings::from_wh(page.width, page.height)
            .ok_or_else(|| failed("a page has no size"))?;
        let mut sheet = pdf.start_page_with(size);
        let mut surface = sheet.surface();
        let number = (at + 1).to_string();
        let mut own = Vec::new();
        // As the annex orders: in the middle of the upper margin, not on the first page.
        if at > 0 {
            let x = (page.width - faces.width(Cut::Regular, 13.0, &number)) / 2.0;
            own.push(Mark::Text {
                x,
                y: 38.0,
                cut: Cut::Regular,
                size: 13.0,
                gap: 0.0,
                text: number,
            });
        }
        let foot = format!("{source} · trang {}/{}", at + 1, pages.len());
        own.extend(source_lines(faces, page, &foot));
        for mark in page.marks.iter().chain(&own) {
            draw(&mut surface, faces, mark);
        }
        surface.finish();
        sheet.finish();
    }
    pdf.finish().map_err(failed)
}

/// Puts where the numbers come from at the foot of a page, on as many lines as it takes.
fn source_lines(faces: &Faces, page: &Page, text: &str) -> Vec<Mark> {
    let look = Look::new(Cut::Regular, 7.5, Align::Centre);
    let lines = paper::broken(faces, look, page.width - 20.0 * MM, text);
    let mut y = page.height - 24.0 - 9.0 * (lines.len() as f32 - 1.0);
    let mut marks = Vec::new();
    for text in lines {
        let x = (page.width - faces.width(look.cut, look.size, &text)) / 2.0;
        marks.push(Mark::Text { x, y, cut: look.cut, size: look.size, gap: 0.0, text });
        y += 9.0;
    }
    marks
}

fn metadata(face: &Face) -> Metadata {
    let local = local(face.at, face.zone);
    let field = |field: u32| u8::try_from(field).unwrap_or(0);
    let offset = local.offset().fix().local_minus_utc();
    let date = DateTime::new(u16::try_from(local.year()).unwrap_or(0))
        .month(field(local.month()))
        .day(field(local.day()))
        .hour(field(local.hour()))
        .minute(field(local.minute()))
        .second(field(local.second()))
        .utc_offset_hour(i8::try_from(offset / 3_600).unwrap_or(0))
        .utc_offset_minute(u8::try_from(offset.abs() / 60 % 60).unwrap_or(0));
    Metadata::new()
        .title(face.title.clone())
        .language("vi".to_owned())
        .creator("Loa".to_owned())
        .producer("Loa".to_owned())
        .creation_date(date)
        .document_id(face.identity.clone())
}

fn draw(surface: &mut krilla::surface::Surface<'_>, faces: &Faces, mark: &Mark) {
    match mark {
        Mark::Text { x, y, cut, size, gap, text } => {
            // Letters that the face lacks are written as they are printed.
            let text: String =
                text.chars().map(|c| if faces.has(c) { c } else { face::LACKING }).collect();
            let glyphs = faces.glyphs(*cut, *size, *gap, &text);
            surface.set_fill(Some(Fill::default()));
            surface.set_stroke(None);
            surface.draw_glyphs(
                Point::from_xy(*x, *y),
                &glyphs,
                faces.font(*cut),
                &text,
                *size,
                false,
            );
        }
        Mark::Rule { from, to, width } => {
            let mut path = PathBuilder::new();
            path.move_to(from.0, from.1);
            path.line_to(to.0, to.1);
            surface.set_fill(None);
            surface.set_stroke(Some(Stroke { width: *width, ..Stroke::default() }));
            if let Some(path) = path.finish() {
                surface.draw_path(&path);
            }
        }
        Mark::Shade { x, y, width, height } => {
            let Some(area) = Rect::from_xywh(*x, *y, *width, *height) else { return };
            let mut path = PathBuilder::new();
            path.push_rect(area);
            surface.set_stroke(None);
            surface.set_fill(Some(Fill { paint: luma::Color::new(232).into(), ..Fill::default() }));
            if let Some(path) = path.finish() {
                surface.draw_path(&path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_foot_of_a_page_stays_on_it_however_long_a_log_is_called() {
        let faces = Faces::new().unwrap();
        let (width, height) = (595.0, 842.0);
        let page = Page { width, height, marks: Vec::new() };
        for length in [1, 60, 400] {
            let text = format!("Điểm kiểm tra: {}/2026, 67 mục · trang 1/1", "x".repeat(length));
            let marks = source_lines(&faces, &page, &text);
            let mut told = String::new();
            for mark in &marks {
                let Mark::Text { x, y, cut, size, text, .. } = mark else { panic!() };
                let end = x + faces.width(*cut, *size, text);
                assert!(*x >= 10.0 * MM - 0.1 && end <= width - 10.0 * MM + 0.1, "{x} {end}");
                assert!(*y <= height - 24.0 && *y > height - 80.0, "{y}");
                told.push_str(text);
            }
            assert_eq!(told.replace(' ', ""), text.replace(' ', ""));
        }
    }
}

//! The walking list: a block a cluster that is never torn from its first play, boxes to tick,
//! lines to write on.

use super::face::{Cut, Faces};
use super::paper::{Align, Look, MM, Mark, Page, Paper, broken};
use super::{Face, MARGINS, embedded, paint};
use crate::domain::ids::Digest;
use crate::report::number;
use crate::report::question::ReportError;
use crate::report::walk::{Stop, Visit, WalkSheet};

/// Most plays on paper.
const MOST_VISITS: usize = 1_000;
const TEXT: Look = Look::new(Cut::Regular, 11.0, Align::Left);
const SMALL: Look = Look::new(Cut::Regular, 9.5, Align::Left);
const PAD: f32 = 4.0;
const RULE: f32 = 0.5;
const BOX: f32 = 9.0;
/// What can be found, as it is ticked.
const FINDINGS: [&str; 3] = ["đúng", "không đúng", "không xác định"];

/// Writes the list.
pub fn walk(sheet: &WalkSheet) -> Result<Vec<u8>, ReportError> {
    let sheet = sheet.clone().fit();
    let visits = sheet.stops.iter().map(|stop| stop.visits.len()).sum();
    if visits > MOST_VISITS {
        let (table, what) = ("walk", "PDF");
        return Err(ReportError::TooMany { table, what, rows: visits, most: MOST_VISITS });
    }
    let faces = embedded()?;
    let pages = lay_out(&faces, &sheet);
    let identity = Digest::of(format!("{sheet:?}").as_bytes());
    let face = Face {
        title: format!("Phiếu kiểm tra thực địa, bốc thăm {}", sheet.draw),
        source: format!("Bốc thăm {} · hạt giống {}", sheet.draw, sheet.lot),
        at: sheet.at,
        zone: sheet.zone,
        identity: identity.to_string(),
    };
    paint(&faces, &face, &pages)
}

fn lay_out(faces: &Faces, sheet: &WalkSheet) -> Vec<Page> {
    let mut paper = Paper::new(faces, MARGINS, false);
    let centre = |cut, size| Look::new(cut, size, Align::Centre);
    paper.paragraph(centre(Cut::Bold, 15.0), "PHIẾU KIỂM TRA THỰC ĐỊA");
    paper.paragraph(
        centre(Cut::Italic, 11.0),
        "Các lượt phát được bốc thăm ngẫu nhiên (field check of plays drawn by lot)",
    );
    paper.skip(6.0);
    let stops = sheet.stops.len() as u64;
    let own = [("Bốc thăm số", sheet.draw.clone()), ("Số nơi phải đến", number::count(stops))];
    for (label, value) in sheet.facts.iter().chain(&own) {
        paper.paragraph(TEXT, &format!("{label}: {value}"));
    }
    blank(&mut paper, "Người kiểm tra: ");
    blank(&mut paper, "Ngày kiểm tra: ");
    paper.skip(4.0);
    for (number, stop) in (1..).zip(&sheet.stops) {
        put(&mut paper, number, stop);
    }
    sign(&mut paper);
    ground(&mut paper, sheet);
    paper.pages
}

/// Puts a label with a line to write on.
fn blank(paper: &mut Paper<'_>, label: &str) {
    let height = 20.0;
    paper.need(height);
    let (left, y, room) = (paper.left(), paper.y() + 5.0, paper.room());
    paper.line_at(left, y, room, TEXT, label);
    let from = left + paper.faces.width(TEXT.cut, TEXT.size, label);
    let base = y + TEXT.size * 1.1;
    paper.mark(Mark::Rule { from: (from, base), to: (left + room, base), width: 0.3 });
    paper.skip(height);
}

/// Puts a cluster: code and place, then its plays.
fn put(paper: &mut Paper<'_>, number: u32, stop: &Stop) {
    paper.skip(10.0);
    let head = heading(paper, number, stop);
    let first = stop.visits.first().map_or(0.0, |visit| height(&titled(paper, visit)));
    paper.need(head.height + first);
    heading_at(paper, &head, &stop.code);
    for visit in &stop.visits {
        let lines = titled(paper, visit);
        if paper.left_below() < height(&lines) {
            paper.turn_over();
            // On the next page, too, everybody sees which cluster it is.
            heading_at(paper, &head, &stop.code);
        }
        row(paper, visit, &lines);
    }
}

struct Heading {
    lines: Vec<(Look, String)>,
    height: f32,
    code: f32,
}

fn heading(paper: &Paper<'_>, number: u32, stop: &Stop) -> Heading {
    let code = 34.0 * MM;
    let room = paper.room() - code - 2.0 * PAD;
    let bold = Look::new(Cut::Bold, 11.5, Align::Left);
    let mut lines: Vec<(Look, String)> = Vec::new();
    let name = format!("{number}. {} ({})", stop.name, stop.device);
    for (look, text) in [(bold, name), (TEXT, stop.place.clone())] {
        if !text.is_empty() {
            lines.extend(broken(paper.faces, look, room, &text).into_iter().map(|l| (look, l)));
        }
    }
    let text: f32 = lines.iter().map(|(look, _)| look.line()).sum();
    Heading { lines, height: (text + 2.0 * PAD).max(38.0), code }
}

fn heading_at(paper: &mut Paper<'_>, head: &Heading, code: &str) {
    let (left, top, room) = (paper.left(), paper.y(), paper.room());
    paper.mark(Mark::Shade { x: left, y: top, width: room, height: head.height });
    let small = Look::new(Cut::Italic, 8.5, Align::Centre);
    paper.line_at(left, top + 3.0, head.code, small, "mã cụm (code)");
    let large = Look::new(Cut::Bold, 20.0, Align::Centre);
    paper.line_at(left, top + 13.0, head.code, large, code);
    let mut y = top + PAD;
    for (look, line) in &head.lines {
        paper.line_at(left + head.code + PAD, y, room - head.code, *look, line);
        y += look.line();
    }
    frame(paper, top, head.height);
    let x = left + head.code;
    paper.mark(Mark::Rule { from: (x, top), to: (x, top + head.height), width: RULE });
    paper.skip(head.height);
}

fn titled(paper: &Paper<'_>, visit: &Visit) -> Vec<String> {
    let at = visit.began.format("%d/%m/%Y lúc %H:%M:%S");
    let text = format!("[{}] {at}: {}", visit.play, visit.title);
    broken(paper.faces, TEXT, paper.room() - 2.0 * PAD, &text)
}

fn height(lines: &[String]) -> f32 {
    lines.len() as f32 * TEXT.line() + 2.0 * PAD + 20.0 + 20.0
}

/// Puts a play: what to ask about, boxes to tick, a line to write on.
fn row(paper: &mut Paper<'_>, visit: &Visit, lines: &[String]) {
    let (left, top, room) = (paper.left(), paper.y(), paper.room());
    let mut y = top + PAD;
    for line in lines {
        paper.line_at(left + PAD, y, room, TEXT, line);
        y += TEXT.line();
    }
    y += 5.0;
    let mut x = left + PAD + 8.0;
    for finding in FINDINGS {
        square(paper, x, y + 1.0);
        paper.line_at(x + BOX + 4.0, y, room, TEXT, finding);
        x += BOX + 4.0 + paper.faces.width(TEXT.cut, TEXT.size, finding) + 22.0;
    }
    let record = format!("bản ghi số {}", visit.index);
    let look = Look { align: Align::Right, ..SMALL };
    paper.line_at(left, y + 1.0, room - PAD, look, &record);
    y += 18.0;
    let label = "Ghi chú: ";
    paper.line_at(left + PAD, y, room, SMALL, label);
    let from = left + PAD + paper.faces.width(SMALL.cut, SMALL.size, label);
    let base = y + SMALL.size * 1.1;
    paper.mark(Mark::Rule { from: (from, base), to: (left + room - PAD, base), width: 0.3 });
    let height = height(lines);
    frame(paper, top, height);
    paper.skip(height);
}

fn frame(paper: &mut Paper<'_>, top: f32, height: f32) {
    let (left, right, bottom) = (paper.left(), paper.left() + paper.room(), top + height);
    for (from, to) in [
        ((left, top), (right, top)),
        ((left, bottom), (right, bottom)),
        ((left, top), (left, bottom)),
        ((right, top), (right, bottom)),
    ] {
        paper.mark(Mark::Rule { from, to, width: RULE });
    }
}

fn square(paper: &mut Paper<'_>, x: f32, y: f32) {
    for (from, to) in [
        ((x, y), (x + BOX, y)),
        ((x, y + BOX), (x + BOX, y + BOX)),
        ((x, y), (x, y + BOX)),
        ((x + BOX, y), (x + BOX, y + BOX)),
    ] {
        paper.mark(Mark::Rule { from, to, width: 0.8 });
    }
}

/// Puts who signs.
fn sign(paper: &mut Paper<'_>) {
    paper.skip(16.0);
    paper.need(90.0);
    let (left, top, width) = (paper.left(), paper.y(), paper.room() / 2.0);
    for (x, who) in [(left, "Người chứng kiến"), (left + width, "Người kiểm tra")] {
        paper.line_at(x, top, width, Look::new(Cut::Bold, 11.0, Align::Centre), who);
        let hint = Look::new(Cut::Italic, 10.0, Align::Centre);
        paper.line_at(x, top + 14.0, width, hint, "(Ký, ghi rõ họ tên)");
    }
    paper.skip(86.0);
}

/// Puts what the draw rests on, so that anybody draws again from the paper alone.
fn ground(paper: &mut Paper<'_>, sheet: &WalkSheet) {
    let bold = Look::new(Cut::Bold, 9.5, Align::Left).after(4.0);
    paper.need(bold.line() + 12.0 * SMALL.line());
    paper.paragraph(bold, "Căn cứ bốc thăm: SHA-256 của mười dòng dưới đây là hạt giống");
    for line in &sheet.ground {
        paper.paragraph(SMALL, line);
    }
    paper.paragraph(SMALL.after(3.0), &format!("Hạt giống (seed): {}", sheet.lot));
}

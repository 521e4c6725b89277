//! Tables on paper: headings on every page, rows that are never cut, unless one is longer than a
//! page.

use super::face::Cut;
use super::paper::{Align, Look, Mark, Paper, broken};
use crate::report::document::{Cell, Table};
use chrono_tz::Tz;

/// Tables wider than so many characters stand on lying paper.
const UPRIGHT: u32 = 112;
const PAD: f32 = 2.5;
const RULE: f32 = 0.4;

/// Says whether the table needs lying paper.
pub fn is_wide(table: &Table) -> bool {
    table.columns.iter().map(|column| u32::from(column.width)).sum::<u32>() > UPRIGHT
}

struct Row {
    lines: Vec<Vec<String>>,
    figures: Vec<bool>,
    look: Look,
    height: f32,
}

/// Puts a table below what stands there.
pub fn put(paper: &mut Paper<'_>, table: &Table, zone: Tz) {
    let title = Look::new(Cut::Bold, 11.0, Align::Left).after(6.0);
    let weights: f32 = table.columns.iter().map(|column| f32::from(column.width.max(1))).sum();
    let widths: Vec<f32> = table
        .columns
        .iter()
        .map(|column| paper.room() * f32::from(column.width.max(1)) / weights.max(1.0))
        .collect();
    // About half an em a character: the size at which the columns hold what they were made for.
    let size = (paper.room() / weights.max(1.0) / 0.5).clamp(6.5, 10.0);
    let headings: Vec<(String, bool)> =
        table.columns.iter().map(|column| (column.vi.to_owned(), false)).collect();
    let head = row(paper, &widths, Look::new(Cut::Bold, size, Align::Centre), headings);
    paper.need(title.before + title.line() + head.height + 2.0 * size);
    paper.paragraph(title, &table.title);
    paper.skip(3.0);
    draw(paper, &widths, &head, true);
    let plain = Look::new(Cut::Regular, size, Align::Left);
    let bold = Look::new(Cut::Bold, size, Align::Left);
    let rows = table.rows.iter().map(|cells| (cells, plain));
    for (cells, look) in rows.chain(table.total.as_ref().map(|total| (total, bold))) {
        let shown = |cell: &Cell| (cell.shown(zone), cell.is_figure());
        let whole = row(paper, &widths, look, cells.iter().map(shown).collect());
        for part in cut(paper, whole, head.height) {
            if paper.left_below() < part.height {
                paper.turn_over();
                draw(paper, &widths, &head, true);
            }
            draw(paper, &widths, &part, false);
        }
    }
    if table.rows.is_empty() {
        let none = Look::new(Cut::Italic, size, Align::Left);
        paper.paragraph(none.after(2.0), "Không có dòng nào.");
    }
}

fn row(paper: &Paper<'_>, widths: &[f32], look: Look, cells: Vec<(String, bool)>) -> Row {
    let room = |at: usize| widths.get(at).copied().unwrap_or(0.0) - 2.0 * PAD;
    let figures = cells.iter().map(|(_, figure)| *figure).collect();
    let lines: Vec<Vec<String>> = cells
        .iter()
        .enumerate()
        .map(|(at, (text, _))| broken(paper.faces, look, room(at), text))
        .collect();
    let most = lines.iter().map(Vec::len).max().unwrap_or(1);
    Row { lines, figures, look, height: height(look, most) }
}

fn height(look: Look, lines: usize) -> f32 {
    lines as f32 * look.line() + 2.0 * PAD
}

/// Cuts a row that no page can hold into rows that one can.
fn cut(paper: &Paper<'_>, whole: Row, head: f32) -> Vec<Row> {
    let room = paper.whole() - head;
    if whole.height <= room {
        return vec![whole];
    }
    let Row { lines, figures, look, .. } = whole;
    let fits = (1..10_000).take_while(|lines| height(look, *lines) <= room).last().unwrap_or(1);
    let most = lines.iter().map(Vec::len).max().unwrap_or(1);
    (0..most)
        .step_by(fits)
        .map(|from| {
            let part = |all: &Vec<String>| all.iter().skip(from).take(fits).cloned().collect();
            let lines: Vec<Vec<String>> = lines.iter().map(part).collect();
            let most = lines.iter().map(Vec::len).max().unwrap_or(1);
            Row { lines, figures: figures.clone(), look, height: height(look, most) }
        })
        .collect()
}

fn draw(paper: &mut Paper<'_>, widths: &[f32], row: &Row, head: bool) {
    let (left, top) = (paper.left(), paper.y());
    let bottom = top + row.height;
    let right = left + widths.iter().sum::<f32>();
    if head {
        paper.mark(Mark::Shade { x: left, y: top, width: right - left, height: row.height });
    }
    let mut x = left;
    for (at, width) in widths.iter().enumerate() {
        let lines = row.lines.get(at).map(Vec::as_slice).unwrap_or_default();
        let align = match (head, row.figures.get(at)) {
            (true, _) => Align::Centre,
            (false, Some(true)) => Align::Right,
            (false, _) => Align::Left,
        };
        let look = Look { align, ..row.look };
        let mut y = top + PAD;
        for line in lines {
            if !line.is_empty() {
                paper.line_at(x + PAD, y, width - 2.0 * PAD, look, line);
            }
            y += row.look.line();
        }
        paper.mark(Mark::Rule { from: (x, top), to: (x, bottom), width: RULE });
        x += width;
    }
    paper.mark(Mark::Rule { from: (right, top), to: (right, bottom), width: RULE });
    paper.mark(Mark::Rule { from: (left, top), to: (right, top), width: RULE });
    paper.mark(Mark::Rule { from: (left, bottom), to: (right, bottom), width: RULE });
    paper.skip(row.height);
}

//! Where the parts of an administrative paper stand: NĐ 30/2020/NĐ-CP, Annex I.
//!
//! Sizes: national name 13 bold, motto 14 bold with a rule as long as it; agency above 13, agency
//! 13 bold with a rule of a third to a half of its length; number 13; place and date 14 italic;
//! kind of paper and subject 14 bold; body 14 to both margins with its first line indented;
//! recipients 12 bold italic and 11; office and name of the signer 14 bold.

use super::face::Cut;
use super::paper::{Align, Look, MM, Margins, Mark, Paper, broken};
use crate::report::letter::{Letter, OPEN};
use chrono::Datelike;

/// Margins of the annex: 20-25 mm above and below, 30-35 mm left, 15-20 mm right.
pub const MARGINS: Margins =
    Margins { top: 22.0 * MM, bottom: 22.0 * MM, left: 30.0 * MM, right: 17.0 * MM };

/// Body text.
pub const BODY: Look =
    Look { cut: Cut::Regular, size: 14.0, align: Align::Both, indent: 12.7 * MM, before: 6.0 };
/// Headings within the body.
pub const HEADING: Look =
    Look { cut: Cut::Bold, size: 14.0, align: Align::Left, indent: 12.7 * MM, before: 8.0 };

/// Puts lines of a block below each other; returns where it ends.
fn block(paper: &mut Paper<'_>, x: f32, mut y: f32, room: f32, look: Look, text: &str) -> f32 {
    for line in broken(paper.faces, look, room, text) {
        paper.line_at(x, y, room, look, &line);
        y += look.line();
    }
    y
}

fn rule(paper: &mut Paper<'_>, x: f32, y: f32, room: f32, length: f32) {
    let from = x + (room - length) / 2.0;
    paper.mark(Mark::Rule { from: (from, y), to: (from + length, y), width: 0.7 });
}

/// Puts the head: national name and motto, agency, number, place and date, kind and subject.
pub fn head(paper: &mut Paper<'_>, letter: &Letter, title: &str, year: i32) {
    let (left, top) = (paper.left(), paper.y());
    let mine = paper.room() * 0.40;
    let (nation_x, nation) = (left + mine, paper.room() - mine);
    let centre = |cut, size| Look::new(cut, size, Align::Centre);
    let mut y = top;
    if let Some(above) = &letter.above {
        y = block(paper, left, y, mine, centre(Cut::Regular, 13.0), &above.to_uppercase());
    }
    let bold = centre(Cut::Bold, 13.0);
    y = block(paper, left, y, mine, bold, &letter.agency.to_uppercase());
    let widest = paper.faces.width(Cut::Bold, 13.0, &letter.agency.to_uppercase()).min(mine);
    rule(paper, left, y + 2.0, mine, widest * 0.4);
    let mut other = top;
    // On one line, as the annex draws it; a little smaller where the column is narrow.
    let name = "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM";
    let size = fitting(paper, Cut::Bold, 13.0, nation, name);
    paper.line_at(nation_x, other, nation, centre(Cut::Bold, size), name);
    other += bold.line();
    let motto = centre(Cut::Bold, 14.0);
    let text = "Độc lập - Tự do - Hạnh phúc";
    other = block(paper, nation_x, other, nation, motto, text);
    let length = paper.faces.width(Cut::Bold, 14.0, text);
    rule(paper, nation_x, other + 2.0, nation, length);
    let below = y.max(other) + 10.0;
    let numbered = block(paper, left, below, mine, centre(Cut::Regular, 13.0), &letter.numbered());
    let dated =
        block(paper, nation_x, below, nation, centre(Cut::Italic, 14.0), &letter.dated(year));
    paper.skip(numbered.max(dated) - top);
    paper.paragraph(centre(Cut::Bold, 14.0).after(16.0), &title.to_uppercase());
    paper.paragraph(centre(Cut::Bold, 14.0), &letter.about);
    let (left, room, y) = (paper.left(), paper.room(), paper.y());
    rule(paper, left, y + 3.0, room, room * 0.2);
    paper.skip(10.0);
    if !letter.to.is_empty() {
        let to = letter.to.join("; ");
        let look = Look { indent: 0.0, ..centre(Cut::Regular, 14.0) };
        paper.paragraph(look.after(4.0), &format!("Kính gửi: {to}."));
    }
    for ground in &letter.grounds {
        paper.paragraph(Look { cut: Cut::Italic, ..BODY }, ground);
    }
}

fn fitting(paper: &Paper<'_>, cut: Cut, size: f32, room: f32, text: &str) -> f32 {
    let width = paper.faces.width(cut, size, text);
    if width <= room { size } else { (size * room / width).max(11.0) }
}

const RECIPIENT: Look = Look::new(Cut::Regular, 11.0, Align::Left);
/// The share of the width that recipients have.
const LIST: f32 = 0.48;

fn recipients(letter: &Letter) -> Vec<String> {
    let archive = format!("- Lưu: {}.", letter.archive);
    letter.recipients.iter().map(|who| format!("- {who};")).chain([archive]).collect()
}

/// Returns how much room the foot takes.
pub fn foot_height(paper: &Paper<'_>, letter: &Letter) -> f32 {
    let room = paper.room() * LIST;
    let lines = |who: &String| broken(paper.faces, RECIPIENT, room, who).len();
    let list: usize = recipients(letter).iter().map(lines).sum();
    (14.0 + (14.4 + list as f32 * RECIPIENT.line()).max(150.0)).min(paper.whole() * 0.8)
}

/// Puts the foot: recipients on the left, the signer on the right, on one page.
pub fn foot(paper: &mut Paper<'_>, letter: &Letter) {
    let room = paper.room();
    let (mine, small) = (room * LIST, RECIPIENT);
    let recipients = recipients(letter);
    let height = foot_height(paper, letter);
    paper.need(height);
    paper.skip(14.0);
    let (left, top) = (paper.left(), paper.y());
    let title = Look::new(Cut::BoldItalic, 12.0, Align::Left);
    let mut y = block(paper, left, top, mine, title, "Nơi nhận:");
    for who in &recipients {
        y = block(paper, left, y, mine, small, who);
    }
    let (x, width) = (left + mine, room - mine);
    let bold = Look::new(Cut::Bold, 14.0, Align::Centre);
    let mut other = top;
    if let Some(behalf) = &letter.behalf {
        other = block(paper, x, other, width, bold, &behalf.to_uppercase());
    }
    other = block(paper, x, other, width, bold, &letter.office.to_uppercase());
    other += 72.0;
    if let Some(signer) = &letter.signer {
        other = block(paper, x, other, width, bold, signer);
    }
    paper.skip(y.max(other) - top);
}

/// Puts the head of an annex.
pub fn annex(paper: &mut Paper<'_>, letter: &Letter, title: &str, year: i32) {
    let centre = |cut, size| Look::new(cut, size, Align::Centre);
    paper.paragraph(centre(Cut::Bold, 14.0), "PHỤ LỤC");
    paper.paragraph(centre(Cut::Bold, 14.0), &title.to_uppercase());
    let day = match letter.date {
        Some(date) => format!("ngày {:02} tháng {} năm {}", date.day(), date.month(), date.year()),
        None => format!("ngày{OPEN}tháng{OPEN}năm {year}"),
    };
    let number = letter.numbered().replacen("Số:", "số", 1);
    let with = format!("(Kèm theo Báo cáo {number} {day} của {})", letter.agency);
    paper.paragraph(centre(Cut::Italic, 14.0), &with);
}

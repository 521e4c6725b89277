//! Pages being filled from above: lines of text and rules at measured places.
//!
//! Pure layout: nothing here knows how a PDF is written. Invariant: what is put stands within the
//! margins of its page, and what does not fit begins the next one.

use super::face::{Cut, Faces};

/// A4, in points.
pub const SHORT: f32 = 595.276;
/// A4, in points.
pub const LONG: f32 = 841.89;
/// A millimetre in points.
pub const MM: f32 = 72.0 / 25.4;

/// Where a line stands between the margins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Centre,
    Right,
    /// To both margins, but for a paragraph's last line.
    Both,
}

/// How text looks.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub cut: Cut,
    pub size: f32,
    pub align: Align,
    /// Indent of the first line.
    pub indent: f32,
    /// Room before the paragraph.
    pub before: f32,
}

impl Look {
    /// Returns plain text of a size.
    pub const fn new(cut: Cut, size: f32, align: Align) -> Self {
        Self { cut, size, align, indent: 0.0, before: 0.0 }
    }

    /// Returns it with room before.
    pub const fn after(self, before: f32) -> Self {
        Self { before, ..self }
    }

    /// Returns the height of a line.
    pub fn line(self) -> f32 {
        self.size * 1.2
    }
}

/// Something on a page; `y` counts down from the top.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    Text { x: f32, y: f32, cut: Cut, size: f32, gap: f32, text: String },
    Rule { from: (f32, f32), to: (f32, f32), width: f32 },
    Shade { x: f32, y: f32, width: f32, height: f32 },
}

/// A page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    pub width: f32,
    pub height: f32,
    pub marks: Vec<Mark>,
}

/// Margins in points.
#[derive(Clone, Copy, Debug)]
pub struct Margins {
    pub top: f32,
    pub bottom: f32,
    pub left: f32,
    pub right: f32,
}

/// The pages so far, and where the next line stands.
pub struct Paper<'a> {
    pub faces: &'a Faces,
    pub pages: Vec<Page>,
    margins: Margins,
    lying: bool,
    y: f32,
}

impl<'a> Paper<'a> {
    /// Begins the first page, upright or lying.
    pub fn new(faces: &'a Faces, margins: Margins, lying: bool) -> Self {
        let mut paper = Self { faces, pages: Vec::new(), margins, lying, y: 0.0 };
        paper.turn_over();
        paper
    }

    /// Begins a page.
    pub fn turn_over(&mut self) {
        let (width, height) = if self.lying { (LONG, SHORT) } else { (SHORT, LONG) };
        self.pages.push(Page { width, height, marks: Vec::new() });
        self.y = self.margins.top;
    }

    /// Lays the paper or puts it upright; a page is begun where that changes.
    pub fn lay(&mut self, lying: bool) {
        if self.lying != lying {
            self.lying = lying;
            // A page on which nothing stands is taken back.
            if self.pages.last().is_some_and(|page| page.marks.is_empty()) {
                self.pages.pop();
            }
            self.turn_over();
        }
    }

    /// Returns the left margin.
    pub fn left(&self) -> f32 {
        self.margins.left
    }

    /// Returns the room between the margins.
    pub fn room(&self) -> f32 {
        let width = if self.lying { LONG } else { SHORT };
        width - self.margins.left - self.margins.right
    }

    /// Returns where the next line begins.
    pub fn y(&self) -> f32 {
        self.y
    }

    /// Returns the room that is left below.
    pub fn left_below(&self) -> f32 {
        let height = if self.lying { SHORT } else { LONG };
        height - self.margins.bottom - self.y
    }

    /// Returns the whole height between the margins.
    pub fn whole(&self) -> f32 {
        let height = if self.lying { SHORT } else { LONG };
        height - self.margins.bottom - self.margins.top
    }

    /// Begins a page unless so much room is left.
    pub fn need(&mut self, height: f32) {
        if self.left_below() < height && self.y > self.margins.top {
            self.turn_over();
        }
    }

    /// Leaves room.
    pub fn skip(&mut self, height: f32) {
        self.y += height;
    }

    /// Puts something on the page.
    pub fn mark(&mut self, mark: Mark) {
        if let Some(page) = self.pages.last_mut() {
            page.marks.push(mark);
        }
    }

    /// Puts one line at a place: its left end, or its centre or right end as the look says.
    pub fn line_at(&mut self, x: f32, y: f32, room: f32, look: Look, text: &str) {
        let width = self.faces.width(look.cut, look.size, text);
        let x = match look.align {
            Align::Left | Align::Both => x,
            Align::Centre => x + (room - width) / 2.0,
            Align::Right => x + room - width,
        };
        // The letters stand on a line at four fifths of their height.
        let y = y + look.size * 0.95;
        let (cut, size) = (look.cut, look.size);
        self.mark(Mark::Text { x, y, cut, size, gap: 0.0, text: text.to_owned() });
    }

    /// Puts a paragraph between the margins, over as many pages as it takes.
    pub fn paragraph(&mut self, look: Look, text: &str) {
        self.skip(look.before);
        let (left, room) = (self.left(), self.room());
        let lines = broken(self.faces, look, room, text);
        let last = lines.len().saturating_sub(1);
        for (at, line) in lines.iter().enumerate() {
            self.need(look.line());
            let indent = if at == 0 { look.indent } else { 0.0 };
            let blanks = line.matches(' ').count() as f32;
            let gap = if look.align == Align::Both && at < last && blanks > 0.0 {
                let width = self.faces.width(look.cut, look.size, line);
                // A line before a long word is short: torn apart it would be hard to read.
                let gap = (room - indent - width) / blanks;
                if gap <= look.size / 2.0 { gap.max(0.0) } else { 0.0 }
            } else {
                0.0
            };
            if gap > 0.0 {
                let (x, y) = (left + indent, self.y + look.size * 0.95);
                let (cut, size, text) = (look.cut, look.size, line.clone());
                self.mark(Mark::Text { x, y, cut, size, gap, text });
            } else {
                self.line_at(left + indent, self.y, room - indent, look, line);
            }
            self.y += look.line();
        }
    }
}

/// Breaks text into lines that fit; words longer than a line are broken where they must be.
pub fn broken(faces: &Faces, look: Look, room: f32, text: &str) -> Vec<String> {
    let wide = |text: &str| faces.width(look.cut, look.size, text);
    let blank = wide(" ");
    let mut lines: Vec<String> = Vec::new();
    let (mut line, mut used) = (String::new(), 0.0_f32);
    let limit = |lines: &Vec<String>| room - if lines.is_empty() { look.indent } else { 0.0 };
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let width = wide(word);
        if !line.is_empty() && used + blank + width <= limit(&lines) {
            line.push(' ');
            line.push_str(word);
            used += blank + width;
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
            used = 0.0;
        }
        for letter in word.chars() {
            let width = wide(letter.encode_utf8(&mut [0; 4]));
            if !line.is_empty() && used + width > limit(&lines) {
                lines.push(std::mem::take(&mut line));
                used = 0.0;
            }
            line.push(letter);
            used += width;
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_lose_no_letter_and_long_words_are_broken() {
        let faces = Faces::new().unwrap();
        let look = Look { indent: 20.0, ..Look::new(Cut::Regular, 12.0, Align::Both) };
        let text = format!("Thông báo khẩn về bão số 9 {} hết", "0123456789abcdef".repeat(8));
        let lines = broken(&faces, look, 120.0, &text);
        assert!(lines.len() > 5);
        for (at, line) in lines.iter().enumerate() {
            let room = if at == 0 { 100.0 } else { 120.0 };
            assert!(faces.width(look.cut, look.size, line) <= room + 0.01, "{line}");
        }
        assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
        assert_eq!(broken(&faces, look, 120.0, ""), [""]);
        assert_eq!(broken(&faces, look, 0.0, "ab"), ["a", "b"]);
    }
}

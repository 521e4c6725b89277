//! Characters to glyphs and text to lines: NFC, grapheme clusters, breaks at spaces.
//!
//! Leaves painting to the parent. Invariant: no line is wider than asked for unless a single
//! glyph is; no character is dropped without something in its place (`□`), save controls and
//! combining marks that have no composed form with their letter, which are drawn over it.

use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

/// Height of a row of text.
pub(super) const ROW_PX: u32 = 16;
/// Width of a narrow character; a wide one takes two.
pub(super) const CELL_PX: u32 = 8;

/// Longest text laid out, in graphemes; the rest is not drawn. Config refuses far shorter ones.
const MOST_GRAPHEMES: usize = 4_000;

/// One grapheme as pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glyph {
    /// 8 or 16.
    pub width_px: u32,
    /// A row each, first pixel highest of 16 bits.
    rows: [u16; ROW_PX as usize],
}

impl Glyph {
    /// Says whether a pixel is lit.
    pub fn lit(&self, x: u32, y: u32) -> bool {
        self.rows.get(y as usize).is_some_and(|row| x < 16 && row & (0x8000 >> x) != 0)
    }

    fn of_char(c: char) -> Option<Self> {
        Some(match unifont::get_glyph(c)? {
            unifont::Glyph::Halfwidth(bytes) => {
                Self { width_px: CELL_PX, rows: bytes.map(|b| u16::from(b) << 8) }
            }
            unifont::Glyph::Fullwidth(rows) => Self { width_px: 2 * CELL_PX, rows: *rows },
        })
    }

    /// Returns the glyph of a grapheme cluster, `None` for one that has no width.
    fn of(grapheme: &str) -> Option<Self> {
        let mut chars = grapheme.chars().filter(|c| !c.is_control() && !is_invisible(*c));
        let first = chars.next()?;
        let missing = || Self::of_char('□');
        let mut glyph = Self::of_char(first).or_else(missing)?;
        for mark in chars {
            if let Some(over) = Self::of_char(mark) {
                for (row, add) in glyph.rows.iter_mut().zip(over.rows) {
                    *row |= add;
                }
            }
        }
        Some(glyph)
    }
}

/// Joiners, variation selectors and direction marks: they shape others and have no look.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{00AD}')
}

/// Glyphs side by side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub glyphs: Vec<Glyph>,
    pub width_px: u32,
}

impl Line {
    fn of(text: &str) -> Self {
        let mut line = Self::default();
        for glyph in text.graphemes(true).filter_map(Glyph::of) {
            line.push(glyph);
        }
        line
    }

    fn push(&mut self, glyph: Glyph) {
        self.width_px += glyph.width_px;
        self.glyphs.push(glyph);
    }

    fn join(&mut self, word: Line) {
        if !self.glyphs.is_empty()
            && let Some(space) = Glyph::of(" ")
        {
            self.push(space);
        }
        self.width_px += word.width_px;
        self.glyphs.extend(word.glyphs);
    }
}

fn bounded(text: &str) -> String {
    let composed: String = text.nfc().collect();
    composed.graphemes(true).take(MOST_GRAPHEMES).collect()
}

/// Returns the text as one line, line breaks and runs of spaces as one space.
pub(super) fn single(text: &str) -> Line {
    let text = bounded(text);
    Line::of(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Breaks text into lines no wider than `width_px`: at line breaks, at spaces, and inside a word
/// only when the word alone is too wide. Line breaks at the end add nothing.
pub(super) fn lines(text: &str, width_px: u32) -> Vec<Line> {
    let text = bounded(text);
    let mut lines = Vec::new();
    for paragraph in text.trim_end().split('\n') {
        let mut line = Line::default();
        for word in paragraph.split_whitespace().map(Line::of) {
            let gap = if line.glyphs.is_empty() { 0 } else { CELL_PX };
            if line.width_px + gap + word.width_px <= width_px {
                line.join(word);
                continue;
            }
            if !line.glyphs.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for glyph in word.glyphs {
                if !line.glyphs.is_empty() && line.width_px + glyph.width_px > width_px {
                    lines.push(std::mem::take(&mut line));
                }
                line.push(glyph);
            }
        }
        lines.push(line);
    }
    lines
}

//! Bitmap fonts: characters to small pictures, whatever file they came from.
//!
//! `bdf` reads the fonts that firmware makers use, `write` gives ours to them, `compose` makes
//! ours from letters and marks, `coverage` says which of the 134 letters of Vietnamese a font
//! lacks and which it draws alike.
//!
//! # Invariants
//! * Every glyph of a font has as many rows as the font is high, and all its ink lies inside
//!   [`MOST_PX`] columns: nothing is cut when a font is read, a font with more is refused.
//! * Equal files give equal fonts.

pub mod bdf;
pub mod compose;
pub mod coverage;
pub mod own;
pub mod write;

use std::collections::BTreeMap;

/// Most columns and most rows of a glyph.
pub const MOST_PX: u32 = 64;

/// One character as pixels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Glyph {
    advance: u8,
    /// A row each from the top of the line, first pixel in the highest bit.
    rows: Vec<u64>,
}

impl Glyph {
    /// Returns the glyph of these rows; `advance` pixels further the next one begins.
    pub fn new(advance: u8, rows: Vec<u64>) -> Self {
        Self { advance, rows }
    }

    /// Returns by how many pixels the next glyph stands to the right.
    pub fn advance_px(&self) -> u32 {
        u32::from(self.advance)
    }

    /// Returns the rows from the top of the line, first pixel in the highest bit.
    pub fn rows(&self) -> &[u64] {
        &self.rows
    }

    /// Returns the columns up to the last lit one.
    pub fn ink_px(&self) -> u32 {
        let all = self.rows.iter().fold(0, |all, row| all | row);
        64 - all.trailing_zeros()
    }

    /// Says whether no pixel is lit.
    pub fn is_blank(&self) -> bool {
        self.rows.iter().all(|row| *row == 0)
    }

    /// Returns the glyph with another drawn over it, as wide as the first.
    #[must_use]
    pub fn over(&self, mark: &Self) -> Self {
        let rows = self.rows.iter().zip(&mark.rows).map(|(a, b)| a | b).collect();
        Self { advance: self.advance, rows }
    }

    /// Returns the picture as text, `#` lit and `.` dark, as wide as the advance or the ink.
    pub fn picture(&self) -> String {
        let width = self.advance_px().max(self.ink_px()).min(MOST_PX);
        let mut text = String::new();
        for row in &self.rows {
            let lit = |x: u32| row & (1 << (63 - x)) != 0;
            text.extend((0..width).map(|x| if lit(x) { '#' } else { '.' }));
            text.push('\n');
        }
        text
    }
}

/// A typeface of one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Font {
    name: String,
    /// Rows above the base line.
    ascent: u8,
    /// Rows below it.
    descent: u8,
    glyphs: BTreeMap<char, Glyph>,
}

impl Font {
    /// Returns a font of these glyphs, each brought to the font's height.
    ///
    /// Rows that a glyph lacks are dark; makers of fonts in this room give exact ones.
    pub fn new(name: &str, ascent: u8, descent: u8, glyphs: BTreeMap<char, Glyph>) -> Self {
        let mut font = Self { name: name.to_owned(), ascent, descent, glyphs };
        let height = font.height_px() as usize;
        for glyph in font.glyphs.values_mut() {
            glyph.rows.resize(height, 0);
        }
        font
    }

    /// Returns the font's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the rows of a line of text.
    pub fn height_px(&self) -> u32 {
        u32::from(self.ascent) + u32::from(self.descent)
    }

    /// Returns the rows above the base line.
    pub fn ascent_px(&self) -> u32 {
        u32::from(self.ascent)
    }

    /// Returns the character's glyph, `None` where the font has none.
    pub fn glyph(&self, c: char) -> Option<&Glyph> {
        self.glyphs.get(&c)
    }

    /// Returns all characters with their glyphs, in the order of code points.
    pub fn glyphs(&self) -> impl Iterator<Item = (char, &Glyph)> {
        self.glyphs.iter().map(|(c, glyph)| (*c, glyph))
    }

    /// Returns how many characters the font has.
    pub fn len(&self) -> usize {
        self.glyphs.len()
    }

    /// Says whether the font has no character.
    pub fn is_empty(&self) -> bool {
        self.glyphs.is_empty()
    }
}

#[cfg(test)]
mod tests;

//! The typeface: which letters it has and how wide they are.
//!
//! Liberation Serif is as wide, letter by letter, as the face that NĐ 30/2020/NĐ-CP orders (Times
//! New Roman), has every Vietnamese letter, and may be embedded (SIL OFL 1.1, `face/LICENCE`).
//!
//! # Invariants
//! * Text is NFC when it comes here, so one letter is one glyph and nothing needs shaping.
//! * A letter that the face lacks is printed as [`LACKING`] and counted, never left out.

use krilla::text::{Font, GlyphId, KrillaGlyph};
use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider};

const REGULAR: &[u8] = include_bytes!("../../face/LiberationSerif-Regular.ttf");
const BOLD: &[u8] = include_bytes!("../../face/LiberationSerif-Bold.ttf");
const ITALIC: &[u8] = include_bytes!("../../face/LiberationSerif-Italic.ttf");
const BOLD_ITALIC: &[u8] = include_bytes!("../../face/LiberationSerif-BoldItalic.ttf");

/// What stands for a letter that the face does not have.
pub const LACKING: char = '?';

/// A cut of the face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Regular,
    Bold,
    Italic,
    BoldItalic,
}

/// The face in its four cuts.
pub struct Faces {
    cuts: [Face; 4],
}

struct Face {
    font: Font,
    outlines: FontRef<'static>,
    per_em: f32,
    /// Glyphs and widths of the letters below [`NEAR`], which are nearly all.
    near: Vec<Option<(u32, f32)>>,
}

/// Latin with all its marks, Greek, Cyrillic and general punctuation lie below.
const NEAR: u32 = 0x2100;

impl Face {
    fn new(bytes: &'static [u8]) -> Option<Self> {
        let outlines = FontRef::new(bytes).ok()?;
        let font = Font::new(bytes.into(), 0)?;
        let per_em = font.units_per_em();
        let mut face = Self { font, outlines, per_em, near: Vec::new() };
        let near = (0..NEAR).map(|code| char::from_u32(code).and_then(|letter| face.read(letter)));
        face.near = near.collect();
        Some(face)
    }

    /// Returns the glyph of a letter and its width in ems.
    fn glyph(&self, letter: char) -> Option<(u32, f32)> {
        match self.near.get(letter as usize) {
            Some(known) => *known,
            None => self.read(letter),
        }
    }

    fn read(&self, letter: char) -> Option<(u32, f32)> {
        let glyph = self.outlines.charmap().map(letter).filter(|glyph| glyph.to_u32() != 0)?;
        let metrics = self.outlines.glyph_metrics(Size::unscaled(), LocationRef::default());
        Some((glyph.to_u32(), metrics.advance_width(glyph)? / self.per_em))
    }

    fn fit(&self, letter: char) -> (u32, f32) {
        self.glyph(letter).or_else(|| self.glyph(LACKING)).unwrap_or((0, 0.5))
    }
}

impl Faces {
    /// Reads the embedded face; `None` only if the embedded bytes are not a font.
    pub fn new() -> Option<Self> {
        let [regular, bold, italic, both] = [REGULAR, BOLD, ITALIC, BOLD_ITALIC].map(Face::new);
        Some(Self { cuts: [regular?, bold?, italic?, both?] })
    }

    fn cut(&self, cut: Cut) -> &Face {
        match cut {
            Cut::Regular => &self.cuts[0],
            Cut::Bold => &self.cuts[1],
            Cut::Italic => &self.cuts[2],
            Cut::BoldItalic => &self.cuts[3],
        }
    }

    /// Returns the font as the PDF embeds it.
    pub fn font(&self, cut: Cut) -> Font {
        self.cut(cut).font.clone()
    }

    /// Says whether the face has the letter.
    pub fn has(&self, letter: char) -> bool {
        self.cut(Cut::Regular).glyph(letter).is_some()
    }

    /// Returns how wide a text is in points.
    pub fn width(&self, cut: Cut, size: f32, text: &str) -> f32 {
        let face = self.cut(cut);
        text.chars().map(|letter| face.fit(letter).1).sum::<f32>() * size
    }

    /// Returns the glyphs of a line; every blank is wider by `gap` points.
    pub fn glyphs(&self, cut: Cut, size: f32, gap: f32, text: &str) -> Vec<KrillaGlyph> {
        let face = self.cut(cut);
        text.char_indices()
            .map(|(at, letter)| {
                let (glyph, advance) = face.fit(letter);
                let wider = if letter == ' ' { gap / size } else { 0.0 };
                KrillaGlyph {
                    glyph_id: GlyphId::new(glyph),
                    text_range: at..at + letter.len_utf8(),
                    x_advance: advance + wider,
                    x_offset: 0.0,
                    y_offset: 0.0,
                    y_advance: 0.0,
                    location: None,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_normalization::UnicodeNormalization;

    /// The 67 lower-case letters with marks or bars; with their capitals 134.
    const LETTERS: &str = "àáảãạăằắẳẵặâầấẩẫậđèéẻẽẹêềếểễệìíỉĩịòóỏõọôồốổỗộơờớởỡợùúủũụưừứửữựỳýỷỹỵ";

    #[test]
    fn every_vietnamese_letter_stands_in_every_cut_also_when_it_comes_in_parts() {
        let faces = Faces::new().unwrap();
        let all: Vec<char> = LETTERS.chars().chain(LETTERS.to_uppercase().chars()).collect();
        assert_eq!(all.len(), 134);
        for letter in all {
            let parts: String = letter.nfd().collect();
            let again: Vec<char> = crate::report::words::clean(&parts).chars().collect();
            assert_eq!(again, [letter]);
            for cut in &faces.cuts {
                let (_, width) = cut.glyph(letter).unwrap();
                assert!(width > 0.2 && width < 1.1, "{letter} is {width} wide");
            }
        }
    }

    #[test]
    fn figures_and_letters_are_as_wide_as_in_times() {
        let faces = Faces::new().unwrap();
        // Widths in thousandths of an em from the metrics of Times Roman.
        for (letter, width) in
            [('0', 500.0), ('A', 722.0), ('m', 778.0), (' ', 250.0), ('i', 278.0)]
        {
            let mine = faces.width(Cut::Regular, 1_000.0, &letter.to_string());
            assert!((mine - width).abs() < 1.0, "`{letter}`: {mine}");
        }
        assert!(!faces.has('ᨀ') && faces.has('–') && faces.has('“'));
    }
}

//! Which letters of Vietnamese a font lacks, and which it draws alike.
//!
//! Vietnamese has 29 letters; twelve of them are vowels that take five tones. Composed (NFC) that
//! makes 134 letters outside ASCII, 67 small and 67 capital (Unicode blocks Latin-1, Latin
//! Extended-A and -B, Latin Extended Additional U+1EA0–U+1EF9). A board that lacks one, or draws
//! two alike, changes what is said: `bạn` (friend) and `bán` (to sell) differ in a few pixels.

use super::{Font, Glyph};
use std::collections::BTreeMap;
use unicode_normalization::UnicodeNormalization as _;

/// The vowels that take tones.
const VOWELS: &str = "aăâeêioôơuưy";
/// Grave, acute, tilde, hook above, dot below: huyền, sắc, ngã, hỏi, nặng.
const TONES: [char; 5] = ['\u{300}', '\u{301}', '\u{303}', '\u{309}', '\u{323}'];

/// Returns the 134 letters of Vietnamese outside ASCII, small ones first.
pub fn letters() -> Vec<char> {
    let mut small = vec!['đ'];
    for vowel in VOWELS.chars() {
        if !vowel.is_ascii() {
            small.push(vowel);
        }
        small.extend(TONES.iter().filter_map(|tone| [vowel, *tone].into_iter().nfc().next()));
    }
    let capital: Vec<char> = small.iter().flat_map(|c| c.to_uppercase()).collect();
    small.extend(capital);
    small
}

/// Returns what a Vietnamese text may be made of: the 134 letters and ASCII without controls.
pub fn charset() -> Vec<char> {
    (' '..='~').chain(letters()).collect()
}

/// What is wrong with a font for Vietnamese.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Letters of Vietnamese that the font does not have.
    pub missing: Vec<char>,
    /// Letters of Vietnamese and ASCII drawn alike, in groups of two or more.
    pub alike: Vec<Vec<char>>,
}

impl Coverage {
    /// Looks at a font, through the function that gives its glyphs.
    pub fn of<'a>(glyph: impl Fn(char) -> Option<&'a Glyph>) -> Self {
        let mut seen: BTreeMap<&[u64], Vec<char>> = BTreeMap::new();
        let mut found = Self::default();
        for c in charset() {
            match glyph(c) {
                Some(glyph) => seen.entry(glyph.rows()).or_default().push(c),
                None => found.missing.push(c),
            }
        }
        found.alike = seen.into_values().filter(|group| group.len() > 1).collect();
        found.alike.sort();
        found
    }

    /// Looks at a font as read from a file.
    pub fn of_font(font: &Font) -> Self {
        Self::of(|c| font.glyph(c))
    }

    /// Says whether every letter is there and none looks like another.
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.alike.is_empty()
    }
}

//! The typefaces a board may use, under the names that profiles and pages give them.
//!
//! Ours (`loa-13`, `loa-11`) come as BDF; `unifont` (8×16, wide characters 16×16) comes with the
//! crate of that name and holds nearly every script, for letters that ours have not.
//!
//! # Licences
//! Ours are under the project's. GNU Unifont's glyphs are, since its version 13.0.04, under the
//! SIL Open Font License 1.1 or, at choice, GPL 2 or later with the font exception; the crate
//! carries version 15.1.05, and its own code is MIT. We take the first: it lets the font be
//! bundled with any software, as long as each copy comes with its copyright notice and the text
//! of that licence, which therefore belong beside every binary (`fonts/UNIFONT-LICENCE`; the crate does not bring them).
//! A firmware maker who wants it as a file takes `unifont.hex` or the BDF from a distribution.
//!
//! # Invariants
//! * A cluster of letters that a face lacks is drawn as a box, never left out and never drawn
//!   without its mark: `bán` must not become `ban`.

use super::font::coverage::Coverage;
use super::font::{Font, Glyph, bdf};
use crate::domain::profile::BoardProfile;
use std::borrow::Cow;
use std::sync::LazyLock;

static LOA_11: LazyLock<Font> = LazyLock::new(|| own("loa-11", include_str!("fonts/loa-11.bdf")));
static LOA_13: LazyLock<Font> = LazyLock::new(|| own("loa-13", include_str!("fonts/loa-13.bdf")));

fn own(name: &str, file: &str) -> Font {
    bdf::read(name, file.as_bytes()).expect("a test reads both files that are compiled in")
}

/// Rows of a line of Unifont.
const UNIFONT_PX: u32 = 16;

/// A typeface.
#[derive(Clone, Debug)]
pub enum Face {
    /// One of ours.
    Own(&'static Font),
    /// A font from a file, and the letters it draws alike.
    File(Box<FileFace>),
    /// GNU Unifont.
    Unifont,
}

/// A font from a file.
#[derive(Clone, Debug)]
pub struct FileFace {
    font: Font,
    alike: Vec<Vec<char>>,
}

impl Face {
    /// Returns a font from a file as a face.
    pub fn file(font: Font) -> Self {
        let alike = Coverage::of_font(&font).alike;
        Self::File(Box::new(FileFace { font, alike }))
    }

    /// Returns the groups of letters that it draws alike; the ones compiled in have none.
    pub fn alike(&self) -> &[Vec<char>] {
        if let Self::File(file) = self { &file.alike } else { &[] }
    }

    /// Returns the face of this name among those that are compiled in.
    pub fn built_in(name: &str) -> Option<Self> {
        match name {
            "loa-11" => Some(Self::Own(&LOA_11)),
            "loa-13" => Some(Self::Own(&LOA_13)),
            "unifont" => Some(Self::Unifont),
            _ => None,
        }
    }

    fn font(&self) -> Option<&Font> {
        match self {
            Self::Own(font) => Some(font),
            Self::File(file) => Some(&file.font),
            Self::Unifont => None,
        }
    }

    /// Returns the name by which pages call it.
    pub fn name(&self) -> &str {
        self.font().map_or("unifont", Font::name)
    }

    /// Returns the rows of a line.
    pub fn height_px(&self) -> u32 {
        self.font().map_or(UNIFONT_PX, Font::height_px)
    }

    /// Returns the dark rows between two lines: fonts of 16 rows and more hold them already.
    pub fn leading_px(&self) -> u32 {
        u32::from(self.height_px() < 16)
    }

    /// Returns the character's glyph.
    pub fn glyph(&self, c: char) -> Option<Cow<'_, Glyph>> {
        if let Some(font) = self.font() {
            return font.glyph(c).map(Cow::Borrowed);
        }
        let (advance, rows): (u8, Vec<u64>) = match unifont::get_glyph(c)? {
            unifont::Glyph::Halfwidth(rows) => {
                (8, rows.iter().map(|row| u64::from(*row) << 56).collect())
            }
            unifont::Glyph::Fullwidth(rows) => {
                (16, rows.iter().map(|row| u64::from(*row) << 48).collect())
            }
        };
        Some(Cow::Owned(Glyph::new(advance, rows)))
    }

    /// Returns what stands for letters that the face lacks.
    fn box_glyph(&self) -> Glyph {
        if let Some(glyph) = self.glyph('□') {
            return glyph.into_owned();
        }
        let (height, side) = (self.height_px() as usize, 0b1000_0100_u64 << 56);
        let mut rows = vec![side; height];
        for edge in [0, height.saturating_sub(1)] {
            if let Some(row) = rows.get_mut(edge) {
                *row = 0b1111_1100 << 56;
            }
        }
        Glyph::new(7, rows)
    }

    /// Draws a grapheme cluster in NFC.
    pub fn cluster(&self, cluster: &str) -> Drawn {
        let mut chars = cluster.chars().filter(|c| !is_unseen(*c));
        let Some(first) = chars.next() else { return Drawn::Nothing };
        let first = if is_wide_space(first) { ' ' } else { first };
        let Some(base) = self.glyph(first) else { return Drawn::Lacking(self.box_glyph()) };
        let mut glyph = base.into_owned();
        for mark in chars {
            match self.glyph(mark) {
                Some(mark) => glyph = glyph.over(&mark),
                None => return Drawn::Lacking(self.box_glyph()),
            }
        }
        Drawn::Glyph(glyph)
    }
}

/// What became of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drawn {
    /// Its picture.
    Glyph(Glyph),
    /// A box, because the face lacks a part of it.
    Lacking(Glyph),
    /// It has no look: joiners, direction marks, controls.
    Nothing,
}

/// Joiners, variation selectors, direction marks and controls: they have no look of their own.
pub(super) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{00AD}')
}

/// Blanks that no bitmap font need have.
fn is_wide_space(c: char) -> bool {
    c.is_whitespace() || c == '\u{2007}'
}

/// The faces of a board, the first the default.
#[derive(Clone, Debug)]
pub struct Faces {
    faces: Vec<Face>,
}

impl Faces {
    /// Returns all faces that are compiled in, `loa-13` the default.
    pub fn built_in() -> Self {
        let faces = ["loa-13", "loa-11", "unifont"].iter().filter_map(|n| Face::built_in(n));
        Self { faces: faces.collect() }
    }

    /// Returns the faces that fit a board of this height, the largest first: what a profile that
    /// names none means. A board of 10 rows or less has `loa-11`, cut.
    pub fn for_height(height_px: u32) -> Self {
        let mut all = Self::built_in();
        if height_px < 13 {
            all.faces.retain(|face| face.name() == "loa-11");
        }
        all
    }

    /// Returns the faces that a profile names, in its order; those that fit its height where it
    /// names none that is compiled in or came as a file. Reads the files: keep what comes out.
    pub fn of_profile(board: &BoardProfile) -> Self {
        let file = |name: &str| {
            let file = board.font_files.iter().find(|file| file.name == name)?;
            bdf::read(name, &file.bytes).ok().map(Face::file)
        };
        let face = |name: &String| Face::built_in(name).or_else(|| file(name));
        let named = board.fonts.iter().filter_map(face).collect();
        Self::only(named).unwrap_or_else(|| Self::for_height(board.height_px))
    }

    /// Adds a font; of two with one name the newer counts. The first one added to none is the
    /// default.
    #[must_use]
    pub fn with(mut self, face: Face) -> Self {
        match self.faces.iter_mut().find(|known| known.name() == face.name()) {
            Some(known) => *known = face,
            None => self.faces.push(face),
        }
        self
    }

    /// Returns these faces and no others; `None` when there is none.
    pub fn only(faces: Vec<Face>) -> Option<Self> {
        (!faces.is_empty()).then_some(Self { faces })
    }

    /// Returns the face of this name.
    pub fn named(&self, name: &str) -> Option<&Face> {
        self.faces.iter().find(|face| face.name() == name)
    }

    /// Returns the face that a page asks for, or the default.
    pub fn face(&self, name: Option<&str>) -> &Face {
        let named = name.and_then(|name| self.named(name));
        named.or_else(|| self.faces.first()).unwrap_or(&Face::Unifont)
    }

    /// Returns the names, the default first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.faces.iter().map(Face::name)
    }
}

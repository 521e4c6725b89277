//! Makes a font from drawings of letters and marks.
//!
//! The 134 letters of Vietnamese are twelve vowels, `đ` and five tones, small and capital; drawn
//! one by one they would drift apart, so a source holds the plain letters and the marks as
//! pictures of `#` and `.`, and this file puts them together:
//!
//! 1. A character with a drawing of its own is that drawing, the highest if there are several.
//! 2. Else it is taken apart (NFD). The horn belongs to the letter; circumflex or breve and the
//!    tone above are one drawing (`circumflex+acute`), because in few rows they must share
//!    them; the dot stands below.
//! 3. The letter is the highest of its drawings that leaves one dark row below the mark, an `i`
//!    below a mark loses its dot, and the middles of letter and mark stand over each other.
//! 4. One dark column follows every glyph.
//!
//! # Format
//! A line that starts with `//` is a comment. `font NAME`, `above N`, `below N` come first.
//! `: N | names` opens a block of drawings side by side, one blank between them, whose last N
//! rows stand below the base line; `^ small |` and `^ capital |` open blocks of marks. A name is
//! a character, `space`, or for marks the words of rule 2; `@C` after it says over which column
//! (from 0, halves allowed) the middle stands, else it is the middle of the drawing.

use super::{Font, Glyph};
use std::collections::BTreeMap;
use unicode_normalization::UnicodeNormalization as _;

/// Why a source makes no font; lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    #[error("line {line}: `{text}` is neither a block nor a row of one")]
    Line { line: usize, text: String },
    #[error("line {line}: {found} drawings where the block has {wanted} names")]
    Columns { line: usize, found: usize, wanted: usize },
    #[error("line {line}: `{name}` is {found} columns wide here and {wanted} above")]
    Width { line: usize, name: String, found: usize, wanted: usize },
    #[error("line {line}: `{name}` is no character and no mark")]
    Name { line: usize, name: String },
    #[error("`{key}` is not said, or not between 1 and 32")]
    Head { key: &'static str },
    #[error("`{letter}` needs a drawing of `{part}`")]
    Missing { letter: char, part: String },
    #[error("`{letter}` does not fit into {rows} rows")]
    TooHigh { letter: char, rows: u8 },
}

impl ComposeError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Line { .. } => "rows hold `#`, `.` and blanks; blocks begin with `:` or `^`",
            Self::Columns { .. } => "give every name one column of drawings",
            Self::Width { .. } => "make all rows of a drawing equally wide, at most 32 columns",
            Self::Name { .. } => "name one character, `space`, or a mark such as `breve+acute`",
            Self::Head { .. } => "begin with `font NAME`, `above N` and `below N`",
            Self::Missing { .. } => "draw it, or the whole letter",
            Self::TooHigh { .. } => "draw a lower form of the letter, or a lower mark",
        }
    }
}

/// A drawing: rows from the top, first pixel in the highest bit.
#[derive(Clone, Debug, Default)]
struct Piece {
    rows: Vec<u64>,
    width: u32,
    /// How many of the rows stand below the base line.
    below: usize,
    /// Twice the column over which the middle stands.
    axis: i64,
}

impl Piece {
    /// Rows above the base line down from the first with ink.
    fn height(&self) -> usize {
        let dark = self.rows.iter().take_while(|row| **row == 0).count();
        self.rows.len().saturating_sub(self.below + dark)
    }

    /// The rows with ink only.
    fn trimmed(&self) -> &[u64] {
        let first = self.rows.iter().position(|row| *row != 0).unwrap_or(0);
        let last = self.rows.iter().rposition(|row| *row != 0).map_or(0, |at| at + 1);
        &self.rows[first..last.max(first)]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Letter,
    Small,
    Capital,
}

/// A source as read.
#[derive(Debug, Default)]
struct Source {
    name: String,
    above: u8,
    below: u8,
    letters: BTreeMap<char, Vec<Piece>>,
    small: BTreeMap<String, Piece>,
    capital: BTreeMap<String, Piece>,
}

/// An open block of drawings.
struct Block {
    kind: Kind,
    line: usize,
    names: Vec<String>,
    pieces: Vec<Piece>,
}

/// Reads a source and makes its font: every character drawn, and the letters of Vietnamese.
pub fn compose(source: &str) -> Result<Font, ComposeError> {
    let source = read(source)?;
    let mut wanted: Vec<char> = super::coverage::letters();
    wanted.extend(source.letters.keys());
    let mut glyphs = BTreeMap::new();
    for letter in wanted {
        glyphs.insert(letter, source.glyph(letter)?);
    }
    Ok(Font::new(&source.name, source.above, source.below, glyphs))
}

impl Source {
    fn glyph(&self, letter: char) -> Result<Glyph, ComposeError> {
        if let Some(piece) = self.letters.get(&letter).and_then(|forms| forms.first()) {
            return self.place(letter, piece, None, None);
        }
        let mut parts = letter.nfd();
        let mut base = parts.next().unwrap_or(letter);
        let (mut above, mut dot, mut horned) = (Vec::new(), false, false);
        for mark in parts {
            match mark {
                '\u{31b}' => horned = true,
                '\u{323}' => dot = true,
                '\u{302}' => above.insert(0, "circumflex"),
                '\u{306}' => above.insert(0, "breve"),
                '\u{300}' => above.push("grave"),
                '\u{301}' => above.push("acute"),
                '\u{303}' => above.push("tilde"),
                '\u{309}' => above.push("hook"),
                _ => return Err(ComposeError::Missing { letter, part: mark.to_string() }),
            }
        }
        if horned {
            base = [base, '\u{31b}'].iter().collect::<String>().nfc().next().unwrap_or(base);
        }
        if base == 'i' && !above.is_empty() {
            base = 'ı';
        }
        let marks = if base.is_uppercase() { &self.capital } else { &self.small };
        let mark = |name: String| match marks.get(&name) {
            Some(piece) => Ok(piece),
            None => Err(ComposeError::Missing { letter, part: name }),
        };
        let above = if above.is_empty() { None } else { Some(mark(above.join("+"))?) };
        let dot = if dot { Some(mark("dot".to_owned())?) } else { None };
        let missing = || ComposeError::Missing { letter, part: base.to_string() };
        let forms = self.letters.get(&base).ok_or_else(missing)?;
        let taken = above.map_or(0, |mark| mark.trimmed().len() + 1);
        // The tip of a horn may stand in the dark row below a mark.
        let rise = usize::from(horned);
        let fits = |form: &&Piece| form.height() - rise + taken <= usize::from(self.above);
        let form = forms.iter().find(fits);
        let form = form.ok_or(ComposeError::TooHigh { letter, rows: self.above })?;
        self.place(letter, form, above.map(|mark| (mark, form.height() - rise)), dot)
    }

    /// Puts the pieces into the rows of the font; marks above come with the height they stand on.
    fn place(
        &self,
        letter: char,
        form: &Piece,
        above: Option<(&Piece, usize)>,
        dot: Option<&Piece>,
    ) -> Result<Glyph, ComposeError> {
        let high = ComposeError::TooHigh { letter, rows: self.above + self.below };
        let base = usize::from(self.above);
        let mut rows = vec![0_u64; base + usize::from(self.below)];
        let offset = |mark: &Piece| (form.axis - mark.axis) / 2;
        let marks = [above.map(|(mark, _)| mark), dot];
        let left = marks.iter().flatten().map(|mark| offset(mark)).min().unwrap_or(0).min(0);
        let mut draw = |piece: &[u64], top: Option<usize>, x: i64| {
            let top = top?;
            for (at, row) in piece.iter().enumerate() {
                *rows.get_mut(top + at)? |= row >> u32::try_from(x).ok()?;
            }
            Some(())
        };
        let letter_rows = form.rows.len() - form.below;
        draw(&form.rows, base.checked_sub(letter_rows), -left).ok_or(high.clone())?;
        if let Some((mark, height)) = above {
            let rows = mark.trimmed();
            let top = base.checked_sub(height + 1 + rows.len());
            draw(rows, top, offset(mark) - left).ok_or(high.clone())?;
        }
        if let Some(dot) = dot {
            draw(dot.trimmed(), Some(base + 1), offset(dot) - left).ok_or(high)?;
        }
        let ink = Glyph::new(0, rows.clone()).ink_px();
        let width = ink.max(form.width + u32::try_from(-left).unwrap_or(0));
        Ok(Glyph::new(u8::try_from(width + 1).unwrap_or(u8::MAX), rows))
    }

    fn keep(&mut self, block: Block) -> Result<(), ComposeError> {
        for (name, piece) in block.names.into_iter().zip(block.pieces) {
            let mut chars = name.chars();
            match (block.kind, chars.next(), chars.next()) {
                (Kind::Letter, Some(letter), None) => {
                    let forms = self.letters.entry(letter).or_default();
                    forms.push(piece);
                    forms.sort_by_key(|form| std::cmp::Reverse(form.height()));
                }
                (Kind::Letter, ..) if name == "space" => {
                    self.letters.insert(' ', vec![piece]);
                }
                (Kind::Small, ..) => drop(self.small.insert(name, piece)),
                (Kind::Capital, ..) => drop(self.capital.insert(name, piece)),
                (Kind::Letter, ..) => return Err(ComposeError::Name { line: block.line, name }),
            }
        }
        Ok(())
    }
}

fn read(text: &str) -> Result<Source, ComposeError> {
    let mut source = Source::default();
    let mut open: Option<Block> = None;
    for (line, text) in text.lines().enumerate().map(|(at, text)| (at + 1, text.trim())) {
        let wrong = || ComposeError::Line { line, text: text.chars().take(80).collect() };
        if text.is_empty() || text.starts_with("//") {
            continue;
        }
        let is_head = text.starts_with(": ") || text.starts_with("^ ");
        if is_head {
            if let Some(block) = open.replace(head(line, text).ok_or_else(wrong)?) {
                source.keep(block)?;
            }
        } else if let Some(block) = &mut open {
            block.row(line, text)?;
        } else {
            let (key, value) = text.split_once(' ').ok_or_else(wrong)?;
            let number = || value.parse().ok().filter(|n| (1..=32).contains(n));
            match key {
                "font" => value.clone_into(&mut source.name),
                "above" => source.above = number().ok_or(ComposeError::Head { key: "above" })?,
                "below" => source.below = number().ok_or(ComposeError::Head { key: "below" })?,
                _ => return Err(wrong()),
            }
        }
    }
    if let Some(block) = open {
        source.keep(block)?;
    }
    for (key, missing) in [
        ("font", source.name.is_empty()),
        ("above", source.above == 0),
        ("below", source.below == 0),
    ] {
        if missing {
            return Err(ComposeError::Head { key });
        }
    }
    Ok(source)
}

/// Reads the line that opens a block.
fn head(line: usize, text: &str) -> Option<Block> {
    let (what, names) = text.split_once(" | ")?;
    let (kind, below) = match what {
        "^ small" => (Kind::Small, 0),
        "^ capital" => (Kind::Capital, 0),
        _ => (Kind::Letter, what.strip_prefix(": ")?.parse().ok().filter(|n| *n <= 32)?),
    };
    let mut block = Block { kind, line, names: Vec::new(), pieces: Vec::new() };
    for name in names.split_whitespace() {
        let mut piece = Piece { below, axis: -1, ..Piece::default() };
        // A lone `@` is the character itself.
        let (name, axis) = match name.rsplit_once('@') {
            Some((name, axis)) if !name.is_empty() => (name, Some(axis)),
            _ => (name, None),
        };
        if let Some(axis) = axis {
            let (whole, half) = axis.split_once('.').unwrap_or((axis, "0"));
            piece.axis = whole.parse::<i64>().ok().filter(|n| (0..=32).contains(n))? * 2;
            piece.axis += i64::from(half == "5");
        }
        block.names.push(name.to_owned());
        block.pieces.push(piece);
    }
    Some(block)
}

impl Block {
    /// Adds a row to every drawing.
    fn row(&mut self, line: usize, text: &str) -> Result<(), ComposeError> {
        if !text.bytes().all(|b| matches!(b, b'#' | b'.' | b' ')) {
            return Err(ComposeError::Line { line, text: text.chars().take(80).collect() });
        }
        let columns: Vec<&str> = text.split_whitespace().collect();
        if columns.len() != self.pieces.len() {
            let (found, wanted) = (columns.len(), self.pieces.len());
            return Err(ComposeError::Columns { line, found, wanted });
        }
        for ((piece, name), column) in self.pieces.iter_mut().zip(&self.names).zip(columns) {
            let first = piece.rows.is_empty();
            let wanted = if first { column.len() } else { piece.width as usize };
            if column.len() != wanted || wanted > 32 {
                let (name, found) = (name.clone(), column.len());
                return Err(ComposeError::Width { line, name, found, wanted });
            }
            if first {
                piece.width = u32::try_from(wanted).unwrap_or(0);
                if piece.axis < 0 {
                    piece.axis = i64::from(piece.width) - 1;
                }
            }
            let row = column.bytes().enumerate();
            let lit = row.filter(|(_, b)| *b == b'#').map(|(x, _)| 1 << (63 - x));
            piece.rows.push(lit.fold(0, |row, bit: u64| row | bit));
        }
        Ok(())
    }
}

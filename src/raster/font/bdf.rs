//! Reads BDF 2.1 (Adobe, *Glyph Bitmap Distribution Format*), as firmware makers' fonts come.
//!
//! A font file comes from outside: it may be cut, lie about its sizes, or be built to exhaust
//! memory. Nothing here is taken on trust, and nothing is drawn that the file does not say.
//!
//! # Invariants
//! * Every glyph lies inside the font's box and its rows are as many as it says; else the whole
//!   font is refused with line and value. A font that ends early is refused.
//! * Memory stays below a small multiple of the file, whatever the file says.
//! * Characters without a Unicode code point (`ENCODING -1`, surrogates) are left out.

use super::{Font, Glyph, MOST_PX};
use std::collections::BTreeMap;

/// Largest file read, in bytes.
pub const MOST_BYTES: usize = 16 << 20;
/// Most characters read: the Basic Multilingual Plane and some more.
pub const MOST_CHARS: usize = 70_000;

/// Why a file is not a font; lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BdfError {
    #[error("{bytes} bytes, more than a font may have ({MOST_BYTES})")]
    Large { bytes: usize },
    #[error("line {line}: `{text}` where `{wanted}` should stand")]
    Line { line: usize, text: String, wanted: &'static str },
    #[error("the file ends at line {line} before `{wanted}`")]
    Cut { line: usize, wanted: &'static str },
    #[error("line {line}: a box of {width}×{height} pixels, outside of 1×1 to {MOST_PX}×{MOST_PX}")]
    Box { line: usize, width: i64, height: i64 },
    #[error("line {line}: `U+{code:04X}` stands outside of the box that the font promises")]
    Outside { line: usize, code: u32 },
    #[error("line {line}: `U+{code:04X}` comes twice")]
    Twice { line: usize, code: u32 },
    #[error("{found} characters where the file promises {promised}")]
    Count { found: usize, promised: usize },
    #[error("the file holds no character that has a Unicode code point")]
    Empty,
}

impl BdfError {
    /// Returns the line it is about, from 1; `None` when it is about the whole file.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Line { line, .. }
            | Self::Cut { line, .. }
            | Self::Box { line, .. }
            | Self::Outside { line, .. }
            | Self::Twice { line, .. } => Some(*line),
            Self::Large { .. } | Self::Count { .. } | Self::Empty => None,
        }
    }

    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Large { .. } => "keep only the characters that boards show",
            Self::Line { .. } => "give a BDF 2.1 file as its maker wrote it",
            Self::Cut { .. } | Self::Count { .. } => "fetch the file again, it is not whole",
            Self::Box { .. } => "take a bitmap font for boards, 5 to 64 rows high",
            Self::Outside { .. } => "correct `FONTBOUNDINGBOX` or the character's `BBX`",
            Self::Twice { .. } => "take one of the two out",
            Self::Empty => "take a font encoded as ISO10646-1",
        }
    }
}

/// Where rows and columns lie: size, and offset of the lower left corner from the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Area {
    width: i64,
    height: i64,
    left: i64,
    bottom: i64,
}

impl Area {
    fn top(self) -> i64 {
        self.bottom + self.height
    }
}

/// Lines one after the other, with their number for messages.
struct Lines<'a> {
    rest: &'a [u8],
    line: usize,
}

impl<'a> Lines<'a> {
    fn of(file: &'a [u8]) -> Self {
        Self { rest: file, line: 0 }
    }

    /// The next line that says something, as word and rest. Comments may be in any encoding.
    fn next(&mut self, wanted: &'static str) -> Result<(&'a str, &'a str), BdfError> {
        while !self.rest.is_empty() {
            let end = self.rest.iter().position(|byte| *byte == b'\n');
            let (line, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
            self.rest = rest.get(1..).unwrap_or_default();
            self.line += 1;
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"COMMENT") {
                continue;
            }
            // Only words and numbers matter; a copyright in Latin-1 is cut at its first letter.
            let text = match std::str::from_utf8(line) {
                Ok(text) => text,
                Err(error) => std::str::from_utf8(&line[..error.valid_up_to()]).unwrap_or_default(),
            };
            let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
            return Ok((word, rest.trim()));
        }
        Err(BdfError::Cut { line: self.line, wanted })
    }

    fn wrong(&self, text: &str, wanted: &'static str) -> BdfError {
        let text = text.chars().filter(|c| !c.is_control()).take(80).collect();
        BdfError::Line { line: self.line, text, wanted }
    }

    fn numbers<const N: usize>(
        &self,
        rest: &str,
        wanted: &'static str,
    ) -> Result<[i64; N], BdfError> {
        let mut numbers = [0; N];
        let mut words = rest.split_whitespace();
        for number in &mut numbers {
            let word = words.next().unwrap_or_default();
            let parsed = word.trim_matches('"').parse::<i32>();
            *number = i64::from(parsed.map_err(|_| self.wrong(rest, wanted))?);
        }
        Ok(numbers)
    }

    fn area(&self, rest: &str, wanted: &'static str, least: i64) -> Result<Area, BdfError> {
        let [width, height, left, bottom] = self.numbers(rest, wanted)?;
        let most = i64::from(MOST_PX);
        let fits = |n: i64| (least..=most).contains(&n);
        if !fits(width) || !fits(height) || left.abs() > most || bottom.abs() > most {
            return Err(BdfError::Box { line: self.line, width, height });
        }
        Ok(Area { width, height, left, bottom })
    }
}

/// Reads a font, or says where it is not one.
pub fn read(name: &str, file: &[u8]) -> Result<Font, BdfError> {
    if file.len() > MOST_BYTES {
        return Err(BdfError::Large { bytes: file.len() });
    }
    let mut lines = Lines::of(file);
    let (word, _) = lines.next("STARTFONT")?;
    if word != "STARTFONT" {
        return Err(lines.wrong(word, "STARTFONT 2.1"));
    }
    let mut whole = None;
    let (mut ascent, mut descent) = (0, 0);
    let promised = loop {
        let (word, rest) = lines.next("CHARS")?;
        match word {
            "FONTBOUNDINGBOX" => whole = Some(lines.area(rest, "FONTBOUNDINGBOX W H X Y", 1)?),
            "FONT_ASCENT" => [ascent] = lines.numbers(rest, "FONT_ASCENT N")?,
            "FONT_DESCENT" => [descent] = lines.numbers(rest, "FONT_DESCENT N")?,
            "CHARS" => {
                let [promised] = lines.numbers(rest, "CHARS N")?;
                let fits = usize::try_from(promised).ok().filter(|n| *n <= MOST_CHARS);
                break fits.ok_or_else(|| lines.wrong(rest, "CHARS 1 to 70000"))?;
            }
            "STARTCHAR" | "ENDFONT" => return Err(lines.wrong(word, "CHARS N")),
            _ => {}
        }
    };
    let whole = whole.ok_or_else(|| lines.wrong("CHARS", "FONTBOUNDINGBOX W H X Y"))?;
    // The line is as high as the properties say, and never lower than the box.
    let ascent = ascent.max(whole.top()).max(1);
    let descent = descent.max(-whole.bottom).max(0);
    if ascent + descent > i64::from(MOST_PX) {
        let (width, height) = (whole.width, ascent + descent);
        return Err(BdfError::Box { line: lines.line, width, height });
    }
    let mut glyphs = BTreeMap::new();
    let mut found = 0;
    loop {
        let (word, rest) = lines.next("ENDFONT")?;
        match word {
            "ENDFONT" => break,
            "STARTCHAR" if found < promised => {}
            "STARTCHAR" => return Err(BdfError::Count { found: found + 1, promised }),
            _ => return Err(lines.wrong(&format!("{word} {rest}"), "STARTCHAR or ENDFONT")),
        }
        found += 1;
        if let Some((c, glyph)) = character(&mut lines, whole, ascent, descent)?
            && glyphs.insert(c, glyph).is_some()
        {
            return Err(BdfError::Twice { line: lines.line, code: u32::from(c) });
        }
    }
    if found != promised {
        return Err(BdfError::Count { found, promised });
    }
    if glyphs.is_empty() {
        return Err(BdfError::Empty);
    }
    // Both lie between 0 and 64.
    let byte = |n: i64| u8::try_from(n).unwrap_or(u8::MAX);
    Ok(Font::new(name, byte(ascent), byte(descent), glyphs))
}

/// Reads one character, `None` when it has no code point.
fn character(
    lines: &mut Lines<'_>,
    whole: Area,
    ascent: i64,
    descent: i64,
) -> Result<Option<(char, Glyph)>, BdfError> {
    let (mut code, mut advance, mut area) = (None, None, None);
    loop {
        let (word, rest) = lines.next("BITMAP")?;
        match word {
            "ENCODING" => code = Some(lines.numbers::<1>(rest, "ENCODING N")?[0]),
            "DWIDTH" => {
                let [width] = lines.numbers(rest, "DWIDTH N 0")?;
                let fits = (0..=2 * i64::from(MOST_PX)).contains(&width);
                advance =
                    Some(if fits { width } else { Err(lines.wrong(rest, "DWIDTH 0 to 128"))? });
            }
            "BBX" => area = Some(lines.area(rest, "BBX W H X Y", 0)?),
            "BITMAP" => break,
            "ENDCHAR" | "STARTCHAR" | "ENDFONT" => return Err(lines.wrong(word, "BITMAP")),
            _ => {}
        }
    }
    let code = code.ok_or_else(|| lines.wrong("BITMAP", "ENCODING N"))?;
    let area = area.ok_or_else(|| lines.wrong("BITMAP", "BBX W H X Y"))?;
    let advance = advance.ok_or_else(|| lines.wrong("BITMAP", "DWIDTH N 0"))?;
    let shown = u32::try_from(code).ok();
    let inside = area.height == 0
        || (area.left >= whole.left
            && area.left + area.width <= whole.left + whole.width
            && area.bottom >= whole.bottom
            && area.top() <= whole.top());
    if !inside {
        return Err(BdfError::Outside { line: lines.line, code: shown.unwrap_or_default() });
    }
    // Ink left of the origin moves the glyph right instead of being lost.
    let shift = (-whole.left).max(0);
    let left = (area.left + if area.left < 0 { shift } else { 0 }).max(0);
    if left + area.width > i64::from(MOST_PX) {
        return Err(BdfError::Outside { line: lines.line, code: shown.unwrap_or_default() });
    }
    let advance = advance + left - area.left.max(0);
    let mut rows = vec![0_u64; usize::try_from(ascent + descent).unwrap_or(0)];
    let digits = usize::try_from(area.width.div_euclid(8) + i64::from(area.width % 8 > 0));
    let digits = digits.unwrap_or(0) * 2;
    for at in 0..area.height {
        let (word, rest) = if digits == 0 { ("", "") } else { lines.next("ENDCHAR")? };
        let wanted = "as many hexadecimal digits as the box is wide";
        let bits = if digits == 0 {
            0
        } else {
            let clean = word.len() == digits && rest.is_empty();
            let clean = clean && word.bytes().all(|b| b.is_ascii_hexdigit());
            let parsed = u64::from_str_radix(word, 16).ok().filter(|_| clean);
            parsed.ok_or_else(|| lines.wrong(word, wanted))? << (64 - 4 * digits)
        };
        // Bits beyond the box are padding.
        let kept = if area.width >= 64 { u64::MAX } else { !(u64::MAX >> area.width) };
        let top = ascent - area.top() + at;
        if let Some(row) = usize::try_from(top).ok().and_then(|top| rows.get_mut(top)) {
            *row = (bits & kept) >> left;
        }
    }
    loop {
        match lines.next("ENDCHAR")? {
            ("ENDCHAR", _) => break,
            // A box without columns may still have rows, of padding.
            (word, "") if digits == 0 && word.bytes().all(|b| b == b'0') => {}
            (word, _) => return Err(lines.wrong(word, "ENDCHAR")),
        }
    }
    let advance = u8::try_from(advance).unwrap_or(u8::MAX);
    Ok(shown.and_then(char::from_u32).map(|c| (c, Glyph::new(advance, rows))))
}

//! Writes a font as BDF 2.1 (Adobe, *Glyph Bitmap Distribution Format*), for anybody's firmware.
//!
//! Invariant: what is written, [`super::bdf::read`] reads back as the same font, and equal fonts
//! give equal bytes.

use super::{Font, Glyph};
use std::fmt::Write as _;

/// Returns the font as the text of a BDF file; `copyright` stands in it as a property.
pub fn bdf(font: &Font, copyright: &str) -> String {
    let height = font.height_px();
    let (ascent, descent) = (font.ascent_px(), height - font.ascent_px());
    let width = font.glyphs().map(|(_, g)| g.advance_px().max(g.ink_px())).max().unwrap_or(1);
    let default = if font.glyph('□').is_some() { '□' } else { '?' };
    let copyright = copyright.replace('"', "\"\"");
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "STARTFONT 2.1\n\
         FONT -{family}-{family}-Medium-R-Normal--{height}-{height}0-72-72-P-0-ISO10646-1\n\
         SIZE {height} 72 72\n\
         FONTBOUNDINGBOX {width} {height} 0 -{descent}\n\
         STARTPROPERTIES 7\n\
         FAMILY_NAME \"{family}\"\n\
         PIXEL_SIZE {height}\n\
         FONT_ASCENT {ascent}\n\
         FONT_DESCENT {descent}\n\
         DEFAULT_CHAR {default}\n\
         SPACING \"P\"\n\
         COPYRIGHT \"{copyright}\"\n\
         ENDPROPERTIES\n\
         CHARS {count}\n",
        family = font.name().replace('-', " "),
        default = u32::from(default),
        count = font.len(),
    );
    for (c, glyph) in font.glyphs() {
        character(&mut text, c, glyph, ascent);
    }
    text.push_str("ENDFONT\n");
    text
}

fn character(text: &mut String, c: char, glyph: &Glyph, ascent: u32) {
    let rows = glyph.rows();
    let first = rows.iter().position(|row| *row != 0).unwrap_or(0);
    let last = rows.iter().rposition(|row| *row != 0).map_or(first, |at| at + 1);
    let ink = glyph.ink_px();
    let code = u32::from(c);
    // Below the base line is negative.
    let bottom = i64::from(ascent) - i64::try_from(last).unwrap_or(0);
    let bottom = if first == last { 0 } else { bottom };
    let swidth = u64::from(glyph.advance_px()) * 1_000 / (rows.len().max(1) as u64);
    let _ = write!(
        text,
        "STARTCHAR U+{code:04X}\nENCODING {code}\nSWIDTH {swidth} 0\nDWIDTH {advance} 0\n\
         BBX {ink} {height} 0 {bottom}\nBITMAP\n",
        advance = glyph.advance_px(),
        height = last - first,
    );
    let digits = ink.div_ceil(8) as usize * 2;
    for row in &rows[first..last] {
        let hex = format!("{row:016X}");
        text.push_str(&hex[..digits.min(16)]);
        text.push('\n');
    }
    text.push_str("ENDCHAR\n");
}

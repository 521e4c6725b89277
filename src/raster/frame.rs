//! What a board shows at one moment.
//!
//! # What is hashed
//! [`Frame::hash`] is the SHA-256 of [`Frame::packed`] and of nothing else: neither size nor time
//! nor text enter, the board's profile says the size.
//! * On a board whose lamps are on or off (no colours in its profile): one bit a pixel, 1 = lit,
//!   row by row from the top, the leftmost pixel in the highest bit, each row filled with zeros
//!   to whole bytes.
//! * On every other board: three bytes a pixel (red, green, blue), row by row from the top left,
//!   no padding. A palette board's pixels are exactly its colours or black.
//!
//! A board of several panels has one hash, that of the whole picture.

use super::board::Board;
use super::colour::{Depth, Rgb};
use super::font::Glyph;
use crate::domain::ids::Digest;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Pixels {
    /// One bit a pixel, first pixel highest, rows padded to whole bytes.
    Bits(Vec<u8>),
    /// Three bytes a pixel.
    Rgb(Vec<u8>),
}

/// A picture of a board's size in the board's colours.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    width_px: u32,
    height_px: u32,
    pixels: Pixels,
}

impl Frame {
    /// Returns a frame with no pixel lit.
    pub fn dark(board: &Board) -> Self {
        let bits = matches!(board.depth(), Depth::Mono);
        Self::blank(board.width_px(), board.height_px(), bits)
    }

    fn blank(width_px: u32, height_px: u32, bits: bool) -> Self {
        let pixels = if bits {
            Pixels::Bits(vec![0; (width_px.div_ceil(8) * height_px) as usize])
        } else {
            Pixels::Rgb(vec![0; (width_px * height_px * 3) as usize])
        };
        Self { width_px, height_px, pixels }
    }

    /// Returns a dark frame of another size in the same colours.
    pub(super) fn sized(&self, width_px: u32, height_px: u32) -> Self {
        Self::blank(width_px, height_px, self.is_mono())
    }

    /// Returns the frame with all its pixels off.
    #[must_use]
    pub fn darkened(&self) -> Self {
        self.sized(self.width_px, self.height_px)
    }

    /// Turns all pixels off.
    pub fn clear(&mut self) {
        let (Pixels::Bits(bytes) | Pixels::Rgb(bytes)) = &mut self.pixels;
        bytes.fill(0);
    }

    /// Returns the width in pixels.
    pub fn width_px(&self) -> u32 {
        self.width_px
    }

    /// Returns the height in pixels.
    pub fn height_px(&self) -> u32 {
        self.height_px
    }

    /// Says whether pixels are only on or off.
    pub fn is_mono(&self) -> bool {
        matches!(self.pixels, Pixels::Bits(_))
    }

    /// Returns the pixel's colour, white for a lit one of a board without colours; outside the
    /// frame all is black.
    pub fn pixel(&self, x: u32, y: u32) -> Rgb {
        if x >= self.width_px || y >= self.height_px {
            return Rgb::BLACK;
        }
        match &self.pixels {
            Pixels::Bits(bytes) => {
                let at = (y * self.width_px.div_ceil(8) + x / 8) as usize;
                if bytes[at] & (0x80 >> (x % 8)) != 0 { Rgb::WHITE } else { Rgb::BLACK }
            }
            Pixels::Rgb(bytes) => {
                let at = (y * self.width_px + x) as usize * 3;
                Rgb(bytes[at], bytes[at + 1], bytes[at + 2])
            }
        }
    }

    /// Says whether the pixel is lit; outside the frame nothing is.
    pub fn lit(&self, x: u32, y: u32) -> bool {
        self.pixel(x, y) != Rgb::BLACK
    }

    /// Sets a pixel; outside the frame nothing happens.
    pub fn set(&mut self, x: u32, y: u32, colour: Rgb) {
        if x >= self.width_px || y >= self.height_px {
            return;
        }
        match &mut self.pixels {
            Pixels::Bits(bytes) => {
                let at = (y * self.width_px.div_ceil(8) + x / 8) as usize;
                let bit = 0x80 >> (x % 8);
                bytes[at] = if colour == Rgb::BLACK { bytes[at] & !bit } else { bytes[at] | bit };
            }
            Pixels::Rgb(bytes) => {
                let at = (y * self.width_px + x) as usize * 3;
                bytes[at..at + 3].copy_from_slice(&[colour.0, colour.1, colour.2]);
            }
        }
    }

    /// Fills a rectangle, what of it lies inside.
    fn fill(&mut self, left: i64, top: i64, size: u32, colour: Rgb) {
        let clip = |at: i64, most: u32| u32::try_from(at.clamp(0, i64::from(most))).unwrap_or(most);
        let (from_x, to_x) =
            (clip(left, self.width_px), clip(left + i64::from(size), self.width_px));
        let (from_y, to_y) =
            (clip(top, self.height_px), clip(top + i64::from(size), self.height_px));
        for y in from_y..to_y {
            for x in from_x..to_x {
                self.set(x, y, colour);
            }
        }
    }

    /// Draws a glyph with its left edge at `left` and its top at `top`, each pixel `scale` wide
    /// and high; what lies outside is left out.
    pub(super) fn paint(&mut self, glyph: &Glyph, left: i64, top: i64, scale: u32, colour: Rgb) {
        for (row, at) in glyph.rows().iter().zip(0..) {
            let y = top + at * i64::from(scale);
            if y + i64::from(scale) <= 0 {
                continue;
            }
            if y >= i64::from(self.height_px) {
                break;
            }
            if scale == 1
                && let Ok(y) = u32::try_from(y)
                && self.or_row(*row, left, y)
            {
                continue;
            }
            let mut bits = *row;
            while bits != 0 {
                let x = bits.leading_zeros();
                bits &= !(1 << (63 - x));
                let x = left + i64::from(x) * i64::from(scale);
                if scale == 1 {
                    if let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) {
                        self.set(x, y, colour);
                    }
                } else {
                    self.fill(x, y, scale, colour);
                }
            }
        }
    }

    /// Lights a row of bits eight at a time where pixels are bits; says whether it did.
    fn or_row(&mut self, row: u64, left: i64, y: u32) -> bool {
        let Pixels::Bits(bytes) = &mut self.pixels else { return false };
        // 64 columns left of the frame nothing of a glyph shows.
        if row == 0 || left <= -64 || left >= i64::from(self.width_px) {
            return true;
        }
        let (row, left) = if left < 0 { (row << (-left), 0) } else { (row, left) };
        let Ok(left) = usize::try_from(left) else { return false };
        let stride = self.width_px.div_ceil(8) as usize;
        let line = &mut bytes[y as usize * stride..][..stride];
        let wide = (u128::from(row) << 64) >> (left % 8);
        for (to, from) in line[left / 8..].iter_mut().zip(wide.to_be_bytes()) {
            *to |= from;
        }
        // Bits beyond the last column stay zero: they are hashed.
        let spare = (8 - self.width_px % 8) % 8;
        if let Some(last) = line.last_mut() {
            *last &= 0xFF << spare;
        }
        true
    }

    /// Turns off all columns from `x` on.
    pub(super) fn hide_from(&mut self, x: u32) {
        for y in 0..self.height_px {
            for x in x..self.width_px {
                self.set(x, y, Rgb::BLACK);
            }
        }
    }

    /// Returns the packed pixels, as the page's head says.
    pub fn packed(&self) -> &[u8] {
        let (Pixels::Bits(bytes) | Pixels::Rgb(bytes)) = &self.pixels;
        bytes
    }

    /// Returns the SHA-256 of the packed pixels: what records name.
    pub fn hash(&self) -> Digest {
        Digest::of(self.packed())
    }

    /// Returns the picture as text, `#` lit and `.` dark: for golden pictures and logs.
    pub fn picture(&self) -> String {
        let mut text = String::new();
        for y in 0..self.height_px {
            text.extend((0..self.width_px).map(|x| if self.lit(x, y) { '#' } else { '.' }));
            text.push('\n');
        }
        text
    }
}

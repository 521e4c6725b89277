//! Text to pixels, for boards and for previews. PURE.
//!
//! Text is drawn in GNU Unifont (8×16, wide characters 16×16), which holds all 134 letters of
//! Vietnamese; `layout` breaks lines, this file paints them. What a board of our contract shows
//! is decided here alone, so that a preview, a terminal and a panel show the same pixels and
//! [`Frame::hash`] means the same everywhere.
//!
//! # Invariants
//! * [`render`] never fails and never panics: a board lower than a row of text shows what fits.
//! * The holds of a page's frames add up to at least its `dwell_ms`; the number of frames is
//!   bounded ([`MOST_FRAMES`]).
//! * Equal page and profile give equal frames, to the byte.
//!
//! # How a run loop drives a board
//! For each page of the item in turn: `for frame in render(page, board) { output.show(&frame)?;
//! wait frame.hold_ms }`, `frame.hash()` being what a `show` record names (of a page with several
//! frames: of the first). At the end of the slot, at a hold or a stop: `output.blank()`.
//! Re-showing an equal frame is harmless.

mod layout;

use crate::domain::ids::Digest;
use crate::domain::playlist::{Align, Effect, Page};
use crate::domain::profile::BoardProfile;
use layout::{CELL_PX, Line, ROW_PX};

/// Most frames of one page: text that would need more scrolls in larger steps.
pub const MOST_FRAMES: u32 = 2_000;

/// Shortest hold of a still screen in milliseconds: below it nobody can read.
const LEAST_STILL_MS: i64 = 2_000;

/// Shortest hold of a step of scrolling in milliseconds: panels and terminals keep up with it.
const LEAST_STEP_MS: i64 = 40;

/// A colour of three components, 0-255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rgb(pub u8, pub u8, pub u8);

/// What a panel shows at one moment: lit pixels in one colour on black.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    width_px: u32,
    height_px: u32,
    /// One bit a pixel, first pixel highest, rows padded to whole bytes.
    mask: Vec<u8>,
    /// `None` on a monochrome board.
    colour: Option<Rgb>,
    /// How long it stands, in milliseconds.
    pub hold_ms: i64,
}

impl Frame {
    /// Returns a frame with no pixel lit.
    pub fn dark(board: &BoardProfile) -> Self {
        let (width_px, height_px) = size(board);
        let mask = vec![0; (width_px.div_ceil(8) * height_px) as usize];
        let colour = (!board.colours.is_empty()).then_some(Rgb(255, 255, 255));
        Self { width_px, height_px, mask, colour, hold_ms: 0 }
    }

    /// Returns the frame with all its pixels off.
    #[must_use]
    pub fn darkened(&self) -> Self {
        let mut dark = self.clone();
        dark.mask.fill(0);
        dark.hold_ms = 0;
        dark
    }

    /// Returns the width in pixels.
    pub fn width_px(&self) -> u32 {
        self.width_px
    }

    /// Returns the height in pixels.
    pub fn height_px(&self) -> u32 {
        self.height_px
    }

    /// Returns the colour of the lit pixels, or `None` on a monochrome board.
    pub fn colour(&self) -> Option<Rgb> {
        self.colour
    }

    /// Says whether the pixel is lit; outside the frame nothing is.
    pub fn lit(&self, x: u32, y: u32) -> bool {
        x < self.width_px
            && y < self.height_px
            && self.mask[self.index(x, y)] & (0x80 >> (x % 8)) != 0
    }

    fn index(&self, x: u32, y: u32) -> usize {
        (y * self.width_px.div_ceil(8) + x / 8) as usize
    }

    fn light(&mut self, x: u32, y: u32) {
        if x < self.width_px && y < self.height_px {
            let index = self.index(x, y);
            self.mask[index] |= 0x80 >> (x % 8);
        }
    }

    /// Returns the packed pixels: one bit a pixel in rows padded to whole bytes on a monochrome
    /// board, else three bytes (red, green, blue) a pixel, from top left row by row.
    pub fn packed(&self) -> Vec<u8> {
        let Some(Rgb(red, green, blue)) = self.colour else { return self.mask.clone() };
        let mut bytes = Vec::with_capacity((self.width_px * self.height_px * 3) as usize);
        for y in 0..self.height_px {
            for x in 0..self.width_px {
                let pixel = if self.lit(x, y) { [red, green, blue] } else { [0; 3] };
                bytes.extend(pixel);
            }
        }
        bytes
    }

    /// Returns the SHA-256 of the packed pixels: what records name.
    pub fn hash(&self) -> Digest {
        Digest::of(&self.packed())
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

    /// Paints a line with its left edge at `left` (may be negative) and its top at `top`.
    fn paint(&mut self, line: &Line, left: i64, top: u32) {
        let mut x = left;
        for glyph in &line.glyphs {
            for row in 0..ROW_PX {
                for column in 0..glyph.width_px {
                    if glyph.lit(column, row)
                        && let Ok(x) = u32::try_from(x + i64::from(column))
                    {
                        self.light(x, top + row);
                    }
                }
            }
            x += i64::from(glyph.width_px);
        }
    }
}

/// The panel's size, within what profiles allow even if this one was made by hand.
fn size(board: &BoardProfile) -> (u32, u32) {
    (board.width_px.clamp(1, 1_024), board.height_px.clamp(1, 256))
}

/// Returns the frames of one full pass of a page, in order, each with its hold.
///
/// Still text turns as many screens as it needs, sharing the dwell time, each at least two
/// seconds; scrolling text runs from right to left once, all of it, and the last empty screen
/// stands until the dwell time is over. The list is never empty.
pub fn render(page: &Page, board: &BoardProfile) -> Vec<Frame> {
    let mut blank = Frame::dark(board);
    if blank.colour.is_some() {
        blank.colour = Some(colour(page.colour.as_deref(), &board.colours));
    }
    match page.effect {
        Effect::Still => still(page, &blank),
        Effect::Scroll => scroll(page, board, &blank),
    }
}

fn still(page: &Page, blank: &Frame) -> Vec<Frame> {
    let rows = (blank.height_px / ROW_PX).max(1);
    let lines = layout::lines(&page.text, blank.width_px / CELL_PX * CELL_PX);
    let screens: Vec<&[Line]> = lines.chunks(rows as usize).collect();
    let count = i64::try_from(screens.len()).unwrap_or(i64::MAX).max(1);
    let hold_ms = (page.dwell_ms / count).max(LEAST_STILL_MS);
    let paint = |lines: &[Line]| {
        let mut frame = blank.clone();
        frame.hold_ms = hold_ms;
        let used = u32::try_from(lines.len()).unwrap_or(rows) * ROW_PX;
        let mut top = blank.height_px.saturating_sub(used) / 2;
        for line in lines {
            let free = i64::from(blank.width_px) - i64::from(line.width_px);
            let left = match page.align {
                Align::Left => 0,
                Align::Centre => free / 2,
                Align::Right => free,
            };
            frame.paint(line, left, top);
            top += ROW_PX;
        }
        frame
    };
    let frames: Vec<Frame> =
        screens.iter().take(MOST_FRAMES as usize).map(|lines| paint(lines)).collect();
    if frames.is_empty() { vec![paint(&[])] } else { frames }
}

fn scroll(page: &Page, board: &BoardProfile, blank: &Frame) -> Vec<Frame> {
    let line = layout::single(&page.text);
    let top = blank.height_px.saturating_sub(ROW_PX) / 2;
    let way_px = blank.width_px + line.width_px;
    let speed = i64::from(board.scroll_px_s.clamp(1, 1_000));
    // Whole pixels a step, and as many as keep a step above the least hold and the list short.
    let mut step_px = u32::try_from((LEAST_STEP_MS * speed + 999) / 1_000).unwrap_or(1).max(1);
    step_px = step_px.max(way_px.div_ceil(MOST_FRAMES - 1));
    let mut frames = Vec::new();
    let mut gone_px = 0;
    loop {
        let mut frame = blank.clone();
        frame.paint(&line, i64::from(blank.width_px) - i64::from(gone_px), top);
        // From instants, not from steps, so that rounding does not add up.
        let at = |px: u32| i64::from(px) * 1_000 / speed;
        frame.hold_ms = at(gone_px + step_px) - at(gone_px);
        frames.push(frame);
        if gone_px >= way_px {
            break;
        }
        gone_px += step_px;
    }
    let total: i64 = frames.iter().map(|f| f.hold_ms).sum();
    if let Some(last) = frames.last_mut() {
        last.hold_ms += (page.dwell_ms - total).max(0);
    }
    frames
}

/// Colours that profiles and pages may name.
pub const COLOURS: &[(&str, Rgb)] = &[
    ("red", Rgb(255, 0, 0)),
    ("green", Rgb(0, 255, 0)),
    ("blue", Rgb(0, 0, 255)),
    ("amber", Rgb(255, 160, 0)),
    ("yellow", Rgb(255, 255, 0)),
    ("white", Rgb(255, 255, 255)),
    ("cyan", Rgb(0, 255, 255)),
    ("magenta", Rgb(255, 0, 255)),
];

/// The colour wanted if the board can show it, else the board's first.
fn colour(wanted: Option<&str>, can: &[String]) -> Rgb {
    let named = |name: &str| COLOURS.iter().find(|(n, _)| *n == name).map(|(_, rgb)| *rgb);
    wanted
        .filter(|wanted| can.iter().any(|c| c == wanted))
        .and_then(named)
        .or_else(|| can.first().and_then(|first| named(first)))
        .unwrap_or(Rgb(255, 255, 255))
}

#[cfg(test)]
mod tests;

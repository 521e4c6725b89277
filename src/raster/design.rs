//! What a page shall look like: its text and everything said about it.

use crate::domain::playlist::{Align, Effect, Page};

/// Shortest time that a still screen stands, in milliseconds: below it nobody can read.
pub const LEAST_STILL_MS: i64 = 2_000;

/// How a page moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Motion {
    /// Stands still; text that is too long turns screens.
    #[default]
    Still,
    /// As still, each screen coming in from the left within so many milliseconds.
    Wipe { ms: u32 },
    /// Moves from right to left, at this speed or at the board's own.
    Scroll { px_s: Option<u32> },
}

/// A page that goes dark and comes back. Off unless asked for: it makes text harder to read, and
/// above three flashes a second it endangers people (WCAG 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Blink {
    on_ms: i64,
    off_ms: i64,
}

impl Blink {
    /// Returns a blinking, neither half of it shorter than half a second.
    pub fn new(on_ms: i64, off_ms: i64) -> Self {
        Self { on_ms: on_ms.clamp(500, 60_000), off_ms: off_ms.clamp(500, 60_000) }
    }

    pub(super) fn is_dark(self, ms: i64) -> bool {
        ms.rem_euclid(self.on_ms + self.off_ms) >= self.on_ms
    }

    pub(super) fn changes_after(self, ms: i64) -> i64 {
        let at = ms.rem_euclid(self.on_ms + self.off_ms);
        let next = if at < self.on_ms { self.on_ms } else { self.on_ms + self.off_ms };
        ms - at + next
    }
}

/// A page as it shall look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Design {
    /// Its text, with fields as `template` says.
    pub text: String,
    /// Where lines stand across.
    pub align: Align,
    /// How it moves.
    pub motion: Motion,
    /// How long it stays at least, in milliseconds.
    pub dwell_ms: i64,
    /// The name of its colour; the board's first where it names none or one that is not there.
    pub colour: Option<String>,
    /// The name of its font; the board's first where it names none or one that is not there.
    pub font: Option<String>,
    /// Each pixel of the font so many wide and high, 1-16.
    pub scale: u32,
    /// The name of a picture behind the text, in the middle of the board.
    pub picture: Option<String>,
    /// Whether it blinks.
    pub blink: Option<Blink>,
    /// Dark time between two screens of the text, in milliseconds, out of the dwell time. Road
    /// signs keep 300 (TRB, *Human Factors Guidelines*, changeable message signs).
    pub gap_ms: i64,
}

impl Design {
    /// Returns a still page of this text in the middle of the board.
    pub fn still(text: &str, dwell_ms: i64) -> Self {
        Self {
            text: text.to_owned(),
            align: Align::Centre,
            motion: Motion::Still,
            dwell_ms,
            colour: None,
            font: None,
            scale: 1,
            picture: None,
            blink: None,
            gap_ms: 0,
        }
    }

    pub(super) fn scale_px(&self) -> u32 {
        self.scale.clamp(1, 16)
    }
}

/// How long a screen takes to come in, in milliseconds.
const WIPE_MS: u32 = 600;

impl From<&Page> for Design {
    fn from(page: &Page) -> Self {
        Self {
            text: page.text.clone(),
            align: page.align,
            motion: match page.effect {
                Effect::Still => Motion::Still,
                Effect::Scroll => Motion::Scroll { px_s: page.speed_px_s },
                Effect::Wipe => Motion::Wipe { ms: WIPE_MS },
            },
            dwell_ms: page.dwell_ms,
            colour: page.colour.clone(),
            font: page.font.clone(),
            scale: page.scale.unwrap_or(1),
            picture: None,
            blink: page.blink.then(|| Blink::new(1_500, 500)),
            gap_ms: page.gap_ms.unwrap_or(0),
        }
    }
}

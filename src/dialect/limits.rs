//! What a device can take: sizes, letters, and how often it may be spoken to.

use super::words::{Refused, ascii};
use unicode_segmentation::UnicodeSegmentation as _;

/// Most bytes of any message, whatever a profile says: below the brokers' usual limit, and enough
/// for a picture of 128 by 64 as numbers.
pub const MOST_PAYLOAD: usize = 131_072;

/// How long texts of a template and its picture can get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub text_bytes: usize,
    pub pixels: usize,
}

/// What a text is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    /// What a reader sees as one.
    Chars,
    /// Pixels, reckoned with the widest letter.
    Pixels {
        per_char: u32,
    },
}

/// The limits of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a message.
    pub max_payload: usize,
    pub text_max: u32,
    pub unit: Unit,
    /// Letters that the device can draw, as ranges; empty means all.
    pub letters: Vec<(char, char)>,
    /// What must not stand in a text, because the device takes it for a command.
    pub refuse: Vec<String>,
    /// Most messages a minute.
    pub per_minute: u32,
    /// Least time between two messages.
    pub gap_ms: i64,
}

impl Limits {
    /// Most bytes of a text that passes [`Limits::judge`].
    pub fn text_bytes(&self) -> usize {
        let most = self.text_max as usize;
        // A sign of many code points may be longer; `judge` then refuses the text.
        let widest = self.letters.iter().map(|(_, last)| last.len_utf8()).max().unwrap_or(4);
        match self.unit {
            Unit::Bytes => most,
            Unit::Chars => most.saturating_mul(widest),
            Unit::Pixels { per_char } => {
                most.div_ceil(per_char.max(1) as usize).saturating_mul(widest)
            }
        }
    }

    /// Says whether the device shows the text as it stands.
    pub fn judge(&self, text: &str) -> Result<(), Refused> {
        if let Some(found) = self.refuse.iter().find(|taken| text.contains(taken.as_str())) {
            return Err(Refused::Command { found: found.clone() });
        }
        let drawn = |c: char| {
            self.letters.is_empty() || self.letters.iter().any(|(a, z)| (*a..=*z).contains(&c))
        };
        let mut lacks: Vec<char> = text.chars().filter(|c| *c != '\n' && !drawn(*c)).collect();
        lacks.sort_unstable();
        lacks.dedup();
        if !lacks.is_empty() {
            return Err(Refused::Letters { letters: lacks.into_iter().take(20).collect() });
        }
        let chars = text.graphemes(true).count();
        let (length, unit) = match self.unit {
            Unit::Bytes => (text.len(), "bytes"),
            Unit::Chars => (chars, "characters"),
            Unit::Pixels { per_char } => (chars.saturating_mul(per_char as usize), "pixels"),
        };
        if length > self.text_max as usize || text.len() > self.text_bytes() {
            return Err(Refused::Long { length, most: self.text_max, unit });
        }
        Ok(())
    }

    /// Returns the text in ASCII when the device takes that.
    pub fn stripped(&self, text: &str) -> Result<String, Refused> {
        let plain = ascii(text);
        self.judge(&plain).map(|()| plain)
    }
}

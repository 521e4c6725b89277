//! A board in a terminal: half blocks, two pixels a character.

use super::{Output, OutputError};
use crate::raster::{Frame, Rgb};
use std::fmt::Write as _;
use std::io::Write;

/// Draws frames with ANSI sequences, each over the one before.
#[derive(Debug)]
pub struct Terminal<W> {
    to: W,
    /// Rows of the frame that stands, to move up over.
    rows: u32,
    last: Option<Frame>,
}

impl<W: Write> Terminal<W> {
    /// Returns an output that draws to `to`.
    pub fn new(to: W) -> Self {
        Self { to, rows: 0, last: None }
    }

    fn write(&mut self, text: &str) -> Result<(), OutputError> {
        self.to
            .write_all(text.as_bytes())
            .and_then(|()| self.to.flush())
            .map_err(OutputError::Terminal)
    }
}

/// The colour in which a board without colours shines.
const LAMP: Rgb = Rgb(255, 96, 0);

/// Returns the frame in half blocks inside a border, one text row for two rows of pixels.
fn draw(frame: &Frame) -> String {
    let mut text = String::new();
    let edge = "─".repeat(frame.width_px() as usize);
    let pixel = |x, y| match frame.pixel(x, y) {
        Rgb::BLACK => None,
        _ if frame.is_mono() => Some(LAMP),
        lit => Some(lit),
    };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "┌{edge}┐");
    for y in (0..frame.height_px()).step_by(2) {
        text.push('│');
        let mut last = (None, None);
        for x in 0..frame.width_px() {
            // The upper half block: its own colour above, the one behind it below.
            let (block, front, behind) = match (pixel(x, y), pixel(x, y + 1)) {
                (None, None) => (' ', None, None),
                (Some(above), None) => ('▀', Some(above), None),
                (None, Some(below)) => ('▄', Some(below), None),
                (Some(above), Some(below)) if above == below => ('█', Some(above), None),
                (Some(above), Some(below)) => ('▀', Some(above), Some(below)),
            };
            if last != (front, behind) && (front.is_some() || last.1.is_some()) {
                text.push_str("\x1b[0m");
                if let Some(Rgb(red, green, blue)) = front {
                    let _ = write!(text, "\x1b[38;2;{red};{green};{blue}m");
                }
                if let Some(Rgb(red, green, blue)) = behind {
                    let _ = write!(text, "\x1b[48;2;{red};{green};{blue}m");
                }
                last = (front, behind);
            }
            text.push(block);
        }
        text.push_str("\x1b[0m│\n");
    }
    let _ = writeln!(text, "└{edge}┘");
    text
}

impl<W: Write + Send> Output for Terminal<W> {
    fn show(&mut self, frame: &Frame, _hold_ms: i64) -> Result<(), OutputError> {
        let up = if self.rows == 0 { String::new() } else { format!("\x1b[{}A\r", self.rows) };
        self.rows = frame.height_px().div_ceil(2) + 2;
        self.last = Some(frame.clone());
        self.write(&format!("{up}{}", draw(frame)))
    }

    fn blank(&mut self) -> Result<(), OutputError> {
        match self.last.take() {
            Some(last) => self.show(&last.darkened(), 0),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::Board;
    use crate::raster::colour::Depth;

    #[test]
    fn the_next_frame_is_drawn_over_the_one_before() {
        let board = Board::new(16, 8, Depth::Mono, 10);
        let mut written = Vec::new();
        let mut terminal = Terminal::new(&mut written);
        terminal.blank().unwrap();
        terminal.show(&Frame::dark(&board), 1_000).unwrap();
        terminal.blank().unwrap();
        let text = String::from_utf8(written).unwrap();
        // Six lines of text (eight rows of pixels and the border), then up again over them.
        assert_eq!(text.matches('\n').count(), 12);
        assert_eq!(text.matches("\x1b[6A\r").count(), 1);
    }
}

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

/// Returns the frame in half blocks inside a border, one text row for two rows of pixels.
fn draw(frame: &Frame) -> String {
    let mut text = String::new();
    let edge = "─".repeat(frame.width_px() as usize);
    let Rgb(red, green, blue) = frame.colour().unwrap_or(Rgb(255, 96, 0));
    // Writing to a string cannot fail.
    let _ = writeln!(text, "┌{edge}┐");
    for y in (0..frame.height_px()).step_by(2) {
        let _ = write!(text, "│\x1b[38;2;{red};{green};{blue}m");
        text.extend((0..frame.width_px()).map(|x| match (frame.lit(x, y), frame.lit(x, y + 1)) {
            (false, false) => ' ',
            (true, false) => '▀',
            (false, true) => '▄',
            (true, true) => '█',
        }));
        text.push_str("\x1b[0m│\n");
    }
    let _ = writeln!(text, "└{edge}┘");
    text
}

impl<W: Write + Send> Output for Terminal<W> {
    fn show(&mut self, frame: &Frame) -> Result<(), OutputError> {
        let up = if self.rows == 0 { String::new() } else { format!("\x1b[{}A\r", self.rows) };
        self.rows = frame.height_px().div_ceil(2) + 2;
        self.last = Some(frame.clone());
        self.write(&format!("{up}{}", draw(frame)))
    }

    fn blank(&mut self) -> Result<(), OutputError> {
        match self.last.take() {
            Some(last) => self.show(&last.darkened()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::profile::BoardProfile;

    #[test]
    fn the_next_frame_is_drawn_over_the_one_before() {
        let board = BoardProfile {
            width_px: 16,
            height_px: 8,
            colours: vec![],
            fonts: vec![],
            scroll_px_s: 10,
        };
        let mut written = Vec::new();
        let mut terminal = Terminal::new(&mut written);
        terminal.blank().unwrap();
        terminal.show(&Frame::dark(&board)).unwrap();
        terminal.blank().unwrap();
        let text = String::from_utf8(written).unwrap();
        // Six lines of text (eight rows of pixels and the border), then up again over them.
        assert_eq!(text.matches('\n').count(), 12);
        assert_eq!(text.matches("\x1b[6A\r").count(), 1);
    }
}

//! One line on stderr that tells how far the work is; none where nobody looks.

use std::io::{IsTerminal as _, Write as _};

/// See the module.
pub struct Bar {
    shown: bool,
    last: String,
}

impl Bar {
    /// Returns a line that says nothing yet.
    pub fn new() -> Self {
        Self { shown: std::io::stderr().is_terminal(), last: String::new() }
    }

    /// Says what is done, and how much of it.
    pub fn show(&mut self, what: &str, done: u64, of: u64) {
        if !self.shown {
            return;
        }
        let text = match done.saturating_mul(100).checked_div(of) {
            Some(percent) => format!("{what}: {percent} %"),
            None => what.to_owned(),
        };
        if text != self.last {
            // Nothing depends on it.
            let _ = write!(std::io::stderr(), "\r{text}\x1b[K");
            self.last = text;
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.shown && !self.last.is_empty() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

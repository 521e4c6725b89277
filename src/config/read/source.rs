//! A file's bytes as text, with the way back from an offset to line and column.

use super::super::fault::{Faults, FileRef, Lines, Place};
use super::super::problem::Problem;
use super::super::shape::Shape;
use super::super::text;
use super::Reader;
use std::rc::Rc;
use toml::de::DeTable;

/// A file being read: its text and where its faults go.
#[derive(Clone)]
pub(in crate::config) struct Source<'a> {
    pub file: FileRef<'a>,
    pub text: &'a str,
    pub faults: &'a Faults,
    lines: Rc<Lines>,
}

impl<'a> Source<'a> {
    /// Decodes the bytes of a file; `None` when they are no text.
    pub fn decode(file: FileRef<'a>, bytes: &'a [u8], faults: &'a Faults) -> Option<Self> {
        if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
            faults.add(file, Place::START, &Problem::Utf16);
            return None;
        }
        // Windows editors and Excel put a byte order mark before UTF-8.
        let bytes = bytes.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(bytes);
        match std::str::from_utf8(bytes) {
            Ok(text) => Some(Self { file, text, faults, lines: Rc::new(Lines::of(text)) }),
            Err(error) => {
                let offset = error.valid_up_to();
                let good = std::str::from_utf8(&bytes[..offset]).unwrap_or_default();
                let place = Lines::of(good).place(good, offset);
                faults.add(file, place, &Problem::NotUtf8 { offset });
                None
            }
        }
    }

    pub(super) fn place(&self, offset: usize) -> Place {
        self.lines.place(self.text, offset)
    }

    /// Notes a problem at a place.
    pub fn fault(&self, place: Place, problem: &Problem) {
        self.faults.add(self.file, place, problem);
    }

    /// Parses the text as TOML, notes all syntax errors, and hands what could be read to `read`.
    pub fn toml<T>(&self, shape: &'static Shape, read: impl FnOnce(&Reader<'_>) -> T) -> Option<T> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors.iter().take(20) {
            let place = self.place(error.span().map_or(0, |span| span.start));
            let message = text::shown(&error.message().replace('\n', ", "));
            self.fault(place, &Problem::Syntax { message });
        }
        if !errors.is_empty() {
            // What was recovered may have lost keys: complaints about them would mislead.
            return None;
        }
        Some(read(&Reader::new(self, table.get_ref(), Place::START, shape)))
    }
}

//! Fonts of device profiles: BDF files beside them or in `fonts/` below.
//!
//! A font is judged once a load, however many profiles name it: whether it is one, and whether it
//! has all letters of Vietnamese and draws no two alike. What is wrong with the file is told at
//! the file; that a profile names a weak one is told at the profile.

use super::fault::{Faults, Place};
use super::files::{FileKind, Files, PROFILES, is_inside};
use super::problem::Problem;
use super::text::nearest;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What became of a font that a profile names.
#[derive(Clone)]
pub(super) enum Font {
    /// Its file, and what speaks against it.
    Read { bytes: Arc<[u8]>, weak: Vec<String> },
    /// It is no font; that has been told.
    Faulty,
    /// There is no such file.
    Missing { near: Option<String> },
}

/// The fonts of a load.
pub(super) struct Fonts<'a> {
    files: &'a Files,
    faults: &'a Faults,
    judged: RefCell<BTreeMap<String, Font>>,
}

impl<'a> Fonts<'a> {
    /// Returns the fonts among these files.
    pub fn of(files: &'a Files, faults: &'a Faults) -> Self {
        Self { files, faults, judged: RefCell::default() }
    }

    /// Returns the font of this path from the folder of profiles.
    pub fn find(&self, path: &str) -> Font {
        if let Some(known) = self.judged.borrow().get(path) {
            return known.clone();
        }
        let font = self.look(path);
        self.judged.borrow_mut().insert(path.to_owned(), font.clone());
        font
    }

    fn look(&self, path: &str) -> Font {
        let key = format!("{PROFILES}{path}");
        let read = if is_inside(path) { self.files.bytes.get(&key) } else { None };
        match read {
            Some(Some(bytes)) => match judge(bytes) {
                Ok(weak) => Font::Read { bytes: Arc::clone(bytes), weak },
                Err((line, says, hint)) => {
                    let line = line.and_then(|line| u32::try_from(line).ok()).unwrap_or(1);
                    let place = Place { line, column: 1 };
                    self.faults.add(self.files.file(&key), place, &Problem::BadFont { says, hint });
                    Font::Faulty
                }
            },
            // That it cannot be read has been told.
            Some(None) => Font::Faulty,
            None => {
                let font = |key: &&String| FileKind::of(key) == FileKind::Font;
                let fonts = self.files.bytes.keys().filter(font);
                let names = fonts.filter_map(|key| key.strip_prefix(PROFILES));
                Font::Missing { near: nearest(path, names).map(str::to_owned) }
            }
        }
    }
}

/// Where a file is no font, why, and what to do about it.
type NoFont = (Option<usize>, String, &'static str);

/// Returns what speaks against a font.
#[cfg(feature = "raster")]
fn judge(bytes: &[u8]) -> Result<Vec<String>, NoFont> {
    use crate::raster::font::{bdf, coverage::Coverage};
    let font = bdf::read("", bytes).map_err(|error| {
        let (line, text) = (error.line(), error.to_string());
        // The line is the fault's place.
        let said = line.and_then(|line| text.strip_prefix(&format!("line {line}: ")));
        (line, said.map_or_else(|| text.clone(), str::to_owned), error.hint())
    })?;
    let Coverage { missing, alike } = Coverage::of_font(&font);
    let listed = |letters: Vec<String>| {
        let more = if letters.len() > 20 { " …" } else { "" };
        format!("{}{more}", letters.iter().take(20).cloned().collect::<Vec<_>>().join(" "))
    };
    let mut weak = Vec::new();
    if !missing.is_empty() {
        let count = missing.len();
        let letters = listed(missing.into_iter().map(String::from).collect());
        weak.push(format!("lacks {count} letters of Vietnamese: {letters}"));
    }
    if !alike.is_empty() {
        let groups = alike.into_iter().map(|group| group.into_iter().collect()).collect();
        weak.push(format!("draws letters alike: {}", listed(groups)));
    }
    Ok(weak)
}

/// A program that draws nothing does not look into fonts.
#[cfg(not(feature = "raster"))]
fn judge(_: &[u8]) -> Result<Vec<String>, NoFont> {
    Ok(Vec::new())
}

//! Reads a TOML table by its [`Shape`]: every getter notes what is wrong and goes on.
//!
//! Invariants: a key is complained about once; text comes out NFC, trimmed, bounded and without
//! control characters; a value that comes out has its place.

mod lists;
mod source;

pub(super) use source::Source;

use super::fault::{At, Place};
use super::problem::Problem;
use super::shape::{Key, Kind, Must, Shape};
use super::text;
use crate::domain::ids::IdError;
use chrono::NaiveDate;
use std::str::FromStr;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A table being read.
pub(super) struct Reader<'a> {
    source: Source<'a>,
    table: &'a DeTable<'a>,
    shape: &'static Shape,
    /// Where the table begins.
    pub place: Place,
}

impl<'a> Reader<'a> {
    fn new(
        source: &Source<'a>,
        table: &'a DeTable<'a>,
        place: Place,
        shape: &'static Shape,
    ) -> Self {
        let reader = Self { source: source.clone(), table, shape, place };
        for name in table.keys() {
            if shape.key(name.get_ref()).is_none() {
                let key = text::shown(name.get_ref());
                let near = text::nearest(name.get_ref(), shape.names()).map(str::to_owned);
                let known = shape.names().collect::<Vec<_>>().join(", ");
                let problem = Problem::UnknownKey { key, of: shape.of, near, known };
                source.fault(source.place(name.span().start), &problem);
            }
        }
        for key in shape.keys {
            if key.must == Must::Stand && !table.contains_key(key.name) {
                let problem = Problem::MissingKey { key: key.name, of: shape.of, doc: key.doc };
                source.fault(place, &problem);
            }
        }
        reader
    }

    /// Notes a problem at a place of this file.
    pub fn fault(&self, place: Place, problem: &Problem) {
        self.source.fault(place, problem);
    }

    /// Says whether the key stands, rightly or wrongly.
    pub fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// Returns the place of a key's value, or of the table.
    pub fn place_of(&self, name: &str) -> Place {
        self.table.get(name).map_or(self.place, |value| self.place_at(value))
    }

    fn place_at<T>(&self, value: &Spanned<T>) -> Place {
        self.source.place(value.span().start)
    }

    fn place_at_key<T>(&self, key: &Spanned<T>) -> Place {
        self.source.place(key.span().start)
    }

    fn get(&self, name: &str) -> Option<(&'static Key, &'a Spanned<DeValue<'a>>, Place)> {
        let key = self.shape.key(name);
        debug_assert!(key.is_some(), "`{name}` stands not in the shape of {}", self.shape.of);
        let value = self.table.get(name)?;
        Some((key?, value, self.place_at(value)))
    }

    fn wrong(&self, key: &Key, value: &DeValue<'_>, place: Place) {
        let (wanted, hint) = key.kind.wanted();
        self.wrong_kind(key.name, wanted, hint, value, place);
    }

    fn wrong_kind(
        &self,
        key: &str,
        wanted: &'static str,
        hint: &'static str,
        value: &DeValue<'_>,
        place: Place,
    ) {
        let found = match value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "`true` or `false`",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.fault(place, &Problem::Kind { key: key.to_owned(), wanted, found, hint });
    }

    /// Checks a text as it came from the file.
    fn checked(
        &self,
        key: &str,
        raw: &str,
        most: usize,
        lines: bool,
        place: Place,
    ) -> Option<At<String>> {
        let text = text::nfc(raw.trim());
        let key_name = || key.to_owned();
        let length = text::graphemes(&text);
        let bad = text.chars().find(|c| c.is_control() && !(lines && *c == '\n'));
        let problem = if text.is_empty() {
            Problem::Empty { key: key_name() }
        } else if length > most || text.len() > most.saturating_mul(16) {
            Problem::TooLong { key: key_name(), length, most }
        } else if let Some(bad) = bad {
            Problem::Control { key: key_name(), code: u32::from(bad) }
        } else {
            if let Some(doubt) = text::suspicious(key, &text) {
                self.fault(place, &doubt);
            }
            return Some(At { value: text, place });
        };
        self.fault(place, &problem);
        None
    }

    /// Returns a text.
    pub fn text(&self, name: &str) -> Option<At<String>> {
        let (key, value, place) = self.get(name)?;
        let (most, lines) = match key.kind {
            Kind::Text(most) => (most, false),
            Kind::Lines(most) => (most, true),
            _ => (64, false),
        };
        match value.get_ref() {
            DeValue::String(raw) if lines => {
                self.checked(name, &raw.replace("\r\n", "\n"), most, lines, place)
            }
            DeValue::String(raw) => self.checked(name, raw, most, lines, place),
            other => {
                self.wrong(key, other, place);
                None
            }
        }
    }

    /// Returns a text as an id.
    pub fn id<T: FromStr<Err = IdError>>(&self, name: &str) -> Option<At<T>> {
        self.text(name).and_then(|text| self.parse_id(text))
    }

    fn parse_id<T: FromStr<Err = IdError>>(&self, text: At<String>) -> Option<At<T>> {
        match text.value.parse() {
            Ok(value) => Some(At { value, place: text.place }),
            Err(error) => {
                self.fault(text.place, &Problem::Id(error));
                None
            }
        }
    }

    /// Returns a whole number within the bounds of its shape.
    pub fn number(&self, name: &str) -> Option<At<i64>> {
        let (key, value, place) = self.get(name)?;
        let (least, most) = match key.kind {
            Kind::Number(least, most) => (least, most),
            _ => (i64::MIN, i64::MAX),
        };
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong(key, value.get_ref(), place);
            return None;
        };
        match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(value) if (least..=most).contains(&value) => Some(At { value, place }),
            _ => {
                let value = text::shown(number.as_str());
                self.fault(place, &Problem::Range { key: name.to_owned(), value, least, most });
                None
            }
        }
    }

    /// Returns a whole number that its shape keeps within 32 bits.
    pub fn small(&self, name: &str) -> Option<At<u32>> {
        let number = self.number(name)?;
        Some(At { value: u32::try_from(number.value).ok()?, place: number.place })
    }

    /// Returns `true` or `false`.
    pub fn flag(&self, name: &str) -> Option<At<bool>> {
        let (key, value, place) = self.get(name)?;
        if let DeValue::Boolean(value) = value.get_ref() {
            return Some(At { value: *value, place });
        }
        self.wrong(key, value.get_ref(), place);
        None
    }

    /// Returns a date, written bare or as a text.
    pub fn date(&self, name: &str) -> Option<At<NaiveDate>> {
        let (key, value, place) = self.get(name)?;
        let raw = match value.get_ref() {
            DeValue::String(raw) => raw.trim().to_owned(),
            DeValue::Datetime(at) if at.time.is_none() => at.to_string(),
            other => {
                self.wrong(key, other, place);
                return None;
            }
        };
        let date = parse_date(&raw);
        if date.is_none() {
            self.fault(place, &Problem::Date { text: text::shown(&raw) });
        }
        Some(At { value: date?, place })
    }

    /// Returns a length of time in milliseconds within bounds, which messages name as texts.
    pub fn duration(
        &self,
        name: &str,
        least: (i64, &'static str),
        most: (i64, &'static str),
    ) -> Option<At<i64>> {
        let text = self.text(name)?;
        let Some(ms) = text::duration_ms(&text.value) else {
            self.fault(text.place, &Problem::Duration { text: text::shown(&text.value) });
            return None;
        };
        if (least.0..=most.0).contains(&ms) {
            return Some(At { value: ms, place: text.place });
        }
        let (key, shown) = (name.to_owned(), text::shown(&text.value));
        let problem = Problem::DurationRange { key, text: shown, least: least.1, most: most.1 };
        self.fault(text.place, &problem);
        None
    }

    /// Returns the meaning of one of the words of a choice. `words` may hold more spellings than
    /// the shape, which lists the ones to recommend; case does not matter.
    pub fn choice<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Option<At<T>> {
        let (key, value, place) = self.get(name)?;
        let DeValue::String(raw) = value.get_ref() else {
            self.wrong(key, value.get_ref(), place);
            return None;
        };
        let word = text::nfc(raw.trim()).to_lowercase();
        if let Some((_, meaning)) = words.iter().find(|(w, _)| *w == word) {
            return Some(At { value: *meaning, place });
        }
        let listed: &[&str] = match key.kind {
            Kind::Choice(listed) | Kind::ChoiceOrTable(listed, _) => listed,
            _ => &[],
        };
        let near = text::nearest(&word, listed.iter().copied()).map(str::to_owned);
        let all = listed.join(", ");
        let text = text::shown(raw);
        self.fault(place, &Problem::Choice { key: name.to_owned(), text, near, all });
        None
    }
}

/// Reads `2026-02-17` and nothing else: chrono alone would take `2026-2-7` and `+2026-02-17`.
pub(super) fn parse_date(text: &str) -> Option<NaiveDate> {
    let plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    plain.then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()).flatten()
}

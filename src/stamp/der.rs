//! Reads and writes the little DER that time stamps and certificates need (ITU-T X.690).
//!
//! Strict: definite lengths in their shortest form, tags below 31, shortest integers, and nothing
//! left over. What is read borrows from the input; depth is that of the caller's code, never that
//! of the data.

use super::oid::Oid;
use crate::domain::time::UtcMs;
use chrono::NaiveDate;

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OBJECT: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// Returns the tag of a constructed element with a context-specific number.
pub(super) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// Returns the tag of a primitive element with a context-specific number.
pub(super) const fn context_primitive(number: u8) -> u8 {
    0x80 | number
}

/// Bytes that are not the DER that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {what} {why}")]
pub struct DerError {
    /// Offset in the file.
    pub at: usize,
    /// What was being read.
    pub what: &'static str,
    /// What is wrong with it.
    pub why: &'static str,
}

/// One element: a tag and its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub tag: u8,
    pub body: &'a [u8],
    /// Head and content.
    pub raw: &'a [u8],
    /// Where the content begins in the file.
    at: usize,
}

/// A run of elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Returns a reader of a file.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    /// Returns a fault at this place.
    pub fn fail(&self, what: &'static str, why: &'static str) -> DerError {
        DerError { at: self.at, what, why }
    }

    /// Says whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns the next element whatever its tag.
    pub fn any(&mut self, what: &'static str) -> Result<Element<'a>, DerError> {
        let cut = || self.fail(what, "is cut off");
        let (&tag, rest) = self.rest.split_first().ok_or_else(cut)?;
        if tag & 0x1f == 0x1f {
            return Err(self.fail(what, "has a tag of more than one byte"));
        }
        let (&first, mut rest) = rest.split_first().ok_or_else(cut)?;
        let length = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x84 => {
                let (bytes, after) =
                    rest.split_at_checked(usize::from(first & 0x7f)).ok_or_else(cut)?;
                rest = after;
                let long = bytes.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
                if bytes.first() == Some(&0) || long < 0x80 {
                    return Err(self.fail(what, "has a length that is not in its shortest form"));
                }
                long
            }
            0x80 => return Err(self.fail(what, "has no definite length")),
            _ => return Err(self.fail(what, "has a length of more than four bytes")),
        };
        let (body, after) = rest.split_at_checked(length).ok_or_else(cut)?;
        let head = self.rest.len() - rest.len();
        let raw = &self.rest[..head + length];
        let at = self.at + head;
        self.at = at + length;
        self.rest = after;
        Ok(Element { tag, body, raw, at })
    }

    /// Returns the next element, which must have that tag.
    pub fn take(&mut self, tag: u8, what: &'static str) -> Result<Element<'a>, DerError> {
        let before = *self;
        let element = self.any(what)?;
        if element.tag == tag { Ok(element) } else { Err(before.fail(what, "is of another type")) }
    }

    /// Says whether the next element has that tag.
    pub fn next_is(&self, tag: u8) -> bool {
        self.rest.first() == Some(&tag)
    }

    /// Returns the next element if it has that tag.
    pub fn optional(
        &mut self,
        tag: u8,
        what: &'static str,
    ) -> Result<Option<Element<'a>>, DerError> {
        if self.next_is(tag) { self.take(tag, what).map(Some) } else { Ok(None) }
    }

    /// Refuses what is left.
    pub fn end(&self, what: &'static str) -> Result<(), DerError> {
        if self.is_empty() { Ok(()) } else { Err(self.fail(what, "has more than it should")) }
    }
}

impl<'a> Element<'a> {
    fn fail(&self, what: &'static str, why: &'static str) -> DerError {
        DerError { at: self.at, what, why }
    }

    /// Returns a reader of the elements inside.
    pub fn reader(&self) -> Reader<'a> {
        Reader { rest: self.body, at: self.at }
    }

    /// Returns a whole number from 0 on, as bytes without leading zeros.
    pub fn unsigned(&self, what: &'static str) -> Result<&'a [u8], DerError> {
        match self.body {
            [] => Err(self.fail(what, "is empty")),
            [0] => Ok(&[]),
            [0, next, ..] if next & 0x80 == 0 => {
                Err(self.fail(what, "is a number that is not in its shortest form"))
            }
            [0, rest @ ..] => Ok(rest),
            [first, ..] if first & 0x80 != 0 => Err(self.fail(what, "is a negative number")),
            body => Ok(body),
        }
    }

    /// Returns a whole number of at most 63 bits.
    pub fn small(&self, what: &'static str) -> Result<u64, DerError> {
        let bytes = self.unsigned(what)?;
        if bytes.len() > 8 || (bytes.len() == 8 && bytes.first().is_some_and(|b| b & 0x80 != 0)) {
            return Err(self.fail(what, "is too large a number"));
        }
        Ok(bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }

    /// Returns yes or no.
    pub fn boolean(&self, what: &'static str) -> Result<bool, DerError> {
        match self.body {
            [0] => Ok(false),
            [0xff] => Ok(true),
            _ => Err(self.fail(what, "is neither true nor false")),
        }
    }

    /// Returns an object identifier.
    pub fn oid(&self, what: &'static str) -> Result<Oid, DerError> {
        Oid::from_body(self.body).ok_or_else(|| self.fail(what, "is no object identifier"))
    }

    /// Returns a bit string of whole bytes.
    pub fn bits(&self, what: &'static str) -> Result<&'a [u8], DerError> {
        match self.body.split_first() {
            Some((0, bits)) => Ok(bits),
            _ => Err(self.fail(what, "is not of whole bytes")),
        }
    }

    /// Returns a time in UTC (RFC 5280 §4.1.2.5; fractions as RFC 3161 §2.4.2 allows them).
    pub fn time(&self, what: &'static str) -> Result<UtcMs, DerError> {
        let read = || {
            let text = std::str::from_utf8(self.body).ok()?.strip_suffix('Z')?;
            let (whole, fraction) = match text.split_once('.') {
                Some((whole, fraction)) => (whole, Some(fraction)),
                None => (text, None),
            };
            let whole = match self.tag {
                GENERALIZED_TIME if whole.len() == 14 => whole.to_owned(),
                UTC_TIME if whole.len() == 12 && fraction.is_none() => {
                    let century = if *whole.as_bytes().first()? < b'5' { "20" } else { "19" };
                    format!("{century}{whole}")
                }
                _ => return None,
            };
            if !whole.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let part = |from: usize, to: usize| whole.get(from..to)?.parse::<u32>().ok();
            let year = i32::try_from(part(0, 4)?).ok()?;
            let date = NaiveDate::from_ymd_opt(year, part(4, 6)?, part(6, 8)?)?;
            let at = date.and_hms_opt(part(8, 10)?, part(10, 12)?, part(12, 14)?)?;
            Some(UtcMs(at.and_utc().timestamp_millis()).plus(millis(fraction)?))
        };
        read().ok_or_else(|| self.fail(what, "is no time in UTC"))
    }
}

/// Reads a fraction of a second, cut to milliseconds; it ends in no zero.
fn millis(fraction: Option<&str>) -> Option<i64> {
    let Some(digits) = fraction else { return Some(0) };
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    if !plain || digits.is_empty() || digits.len() > 18 || digits.ends_with('0') {
        return None;
    }
    let three: String = digits.chars().chain("000".chars()).take(3).collect();
    three.parse().ok()
}

/// Writes an element.
pub(super) fn element(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    let length = body.len().to_be_bytes();
    if let Ok(short @ 0..=0x7f) = u8::try_from(body.len()) {
        bytes.push(short);
    } else {
        let zeros = length.iter().take_while(|byte| **byte == 0).count();
        let significant = &length[zeros..];
        // At most eight bytes of length: it fits.
        bytes.push(0x80 | u8::try_from(significant.len()).unwrap_or(8));
        bytes.extend_from_slice(significant);
    }
    bytes.extend_from_slice(body);
    bytes
}

/// Writes a whole number from its bytes, the highest first.
pub(super) fn unsigned(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let mut body = number[zeros..].to_vec();
    if body.first().is_none_or(|first| first & 0x80 != 0) {
        body.insert(0, 0);
    }
    element(INTEGER, &body)
}

#[cfg(test)]
#[path = "der_tests.rs"]
mod tests;

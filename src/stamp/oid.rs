//! Object identifiers: the names of algorithms, policies and parts of certificates.

use super::der::{OBJECT, element};
use std::fmt;
use std::str::FromStr;

/// An object identifier, as its encoded content.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid(Vec<u8>);

impl Oid {
    /// Takes encoded content; `None` unless each part is in its shortest form.
    pub(super) fn from_body(body: &[u8]) -> Option<Self> {
        let mut begins = true;
        let mut part: u64 = 0;
        for byte in body {
            if begins && *byte == 0x80 {
                return None;
            }
            if begins {
                part = 0;
            }
            part = part.checked_mul(128)?.checked_add(u64::from(byte & 0x7f))?;
            begins = byte & 0x80 == 0;
        }
        (begins && !body.is_empty() && body.len() <= 64).then(|| Self(body.to_vec()))
    }

    /// Says whether the encoded content is this.
    pub(super) fn is(&self, body: &[u8]) -> bool {
        self.0 == body
    }

    /// Returns the whole element.
    pub(super) fn element(&self) -> Vec<u8> {
        element(OBJECT, &self.0)
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut part: u64 = 0;
        let mut first = true;
        for byte in &self.0 {
            part = part << 7 | u64::from(byte & 0x7f);
            if byte & 0x80 != 0 {
                continue;
            }
            if first {
                let root = (part / 40).min(2);
                write!(f, "{root}.{}", part - root * 40)?;
                first = false;
            } else {
                write!(f, ".{part}")?;
            }
            part = 0;
        }
        Ok(())
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no object identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an object identifier")]
pub struct OidError {
    pub text: String,
}

impl OidError {
    /// Says what a right one looks like.
    pub fn hint(&self) -> &'static str {
        "numbers with dots between, as the authority's policy names it: `1.3.6.1.4.1.4146.2.3`"
    }
}

impl FromStr for Oid {
    type Err = OidError;

    fn from_str(text: &str) -> Result<Self, OidError> {
        let refuse = || OidError { text: text.chars().take(80).collect() };
        let number = |part: &str| {
            let plain =
                part.bytes().all(|b| b.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
            plain.then(|| part.parse::<u64>().ok()).flatten().ok_or_else(refuse)
        };
        let parts = text.split('.').take(33).map(number).collect::<Result<Vec<_>, _>>()?;
        let [root @ 0..=2, second, rest @ ..] = parts.as_slice() else { return Err(refuse()) };
        if *root < 2 && *second >= 40 {
            return Err(refuse());
        }
        let first = second.checked_add(root * 40).ok_or_else(refuse)?;
        let mut body = Vec::new();
        for part in std::iter::once(&first).chain(rest) {
            let groups = (64 - (part | 1).leading_zeros()).div_ceil(7);
            for group in (0..groups).rev() {
                let low = u8::try_from(part >> (7 * group) & 0x7f).map_err(|_| refuse())?;
                body.push(if group == 0 { low } else { low | 0x80 });
            }
        }
        Self::from_body(&body).ok_or_else(refuse)
    }
}

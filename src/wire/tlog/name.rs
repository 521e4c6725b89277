//! Names of logs and keys.
//!
//! Invariant: 1 to 255 bytes without `+`, control characters or any Unicode space, so that a name
//! can stand in a signature line, a verifier key and a policy as it is (C2SP signed-note).

use super::text::excerpt;
use std::fmt;
use std::str::FromStr;

/// Bytes of the longest name: what a cosignature of any type can carry.
pub const NAME_BYTES: usize = 255;

/// The name of a key; a log's is its origin.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// A text that is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message says it")]
#[error("`{text}` is not the name of a log or key")]
pub struct NameError {
    pub text: String,
}

impl NameError {
    /// Says what a right one looks like.
    pub fn hint(&self) -> &'static str {
        "1 to 255 bytes without spaces, control characters and +, such as `loa.example.vn/log/2027`"
    }
}

impl Name {
    /// Checks the text.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text: String = text.into();
        let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
        if (1..=NAME_BYTES).contains(&text.len()) && text.chars().all(plain) {
            Ok(Self(text))
        } else {
            Err(NameError { text: excerpt(&text) })
        }
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_in_a_signature_line_as_it_is() {
        let longest = "x".repeat(NAME_BYTES);
        for good in ["loa.example.vn/log/2027", "đài-xã", longest.as_str()] {
            assert_eq!(Name::new(good).unwrap().as_str(), good);
        }
        let long = "x".repeat(NAME_BYTES + 1);
        for bad in ["", "a b", "a+b", "a\u{a0}b", "a\u{2003}b", "a\nb", "a\u{7f}", long.as_str()] {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
    }
}

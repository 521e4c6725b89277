//! Signed notes: a text and the signature lines below it (C2SP signed-note).
//!
//! # Invariants
//! * A text is worth nothing before [`Note::verify`] found a signature of a configured key.
//! * Lines of unknown keys are kept and ignored; a line of a known key that does not fit refuses
//!   the whole note.
//! * Any bytes are read in one pass and within [`NOTE_BYTES`]; none make it panic.

use super::key::{KeyId, Signed, VerifierKey};
use super::name::Name;
use super::text::{base64, unbase64};
use std::fmt;

/// Bytes of the longest note: 16 signatures of the largest known kind and more.
pub const NOTE_BYTES: usize = 131_072;
/// Signature lines of a note (readers must take at least 16).
pub const LINES: usize = 64;
/// Bytes of the longest signature with its key id.
const SIGNATURE_BYTES: usize = 8_192;
const DASH: &str = "— ";

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureLine {
    /// Who claims to have signed.
    pub name: Name,
    /// With which key.
    pub id: KeyId,
    /// The signature, as the key's type defines it.
    pub signature: Vec<u8>,
}

/// A text with signature lines, not yet believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    lines: Vec<SignatureLine>,
}

/// Why bytes are no note, or none that can be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message says it")]
pub enum NoteError {
    #[error("the note has {got} bytes, at most {NOTE_BYTES} are read")]
    Long { got: usize },
    #[error("the note is not UTF-8 text without control characters")]
    Text,
    #[error("the note has no signature below an empty line")]
    Unsigned,
    #[error("line {line} of the note is not a signature: {why}")]
    Line { line: usize, why: &'static str },
    #[error("the note has more than {LINES} signatures")]
    Lines,
    #[error("the signature of `{name}` does not fit")]
    Signature { name: Name },
    #[error("`{name}` signed twice with one key")]
    Twice { name: Name },
    #[error("no known key signed the note")]
    Unknown,
}

impl NoteError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unknown => "compare the keys in the policy with those the log publishes",
            Self::Signature { .. } | Self::Twice { .. } => {
                "the note was changed or the key is another's: keep it and ask its owner"
            }
            _ => "fetch the note again, as it is, from the log or witness",
        }
    }
}

impl SignatureLine {
    /// Reads `— name base64`, without the newline.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let rest = text.strip_prefix(DASH).ok_or("it does not begin with a dash and a space")?;
        let (name, signature) = rest.split_once(' ').ok_or("it has no signature")?;
        let name = Name::new(name).map_err(|_| "its name cannot be one")?;
        if signature.len() > SIGNATURE_BYTES * 4 / 3 + 4 {
            return Err("its signature is too long");
        }
        let bytes = unbase64(signature).ok_or("its signature is not base64")?;
        match bytes.split_first_chunk::<4>() {
            Some((id, signature)) if !signature.is_empty() => {
                Ok(Self { name, id: KeyId(*id), signature: signature.to_vec() })
            }
            _ => Err("its signature is too short"),
        }
    }
}

impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.id.0, self.signature.as_slice()].concat();
        write!(f, "{DASH}{} {}", self.name, base64(&bytes))
    }
}

/// Reads signature lines that each end in a newline, as a witness answers with them.
pub fn parse_lines(text: &str) -> Result<Vec<SignatureLine>, NoteError> {
    lines(text, 1)
}

fn lines(text: &str, first: usize) -> Result<Vec<SignatureLine>, NoteError> {
    if text.len() > NOTE_BYTES {
        return Err(NoteError::Long { got: text.len() });
    }
    if text.is_empty() {
        return Err(NoteError::Unsigned);
    }
    let body = text.strip_suffix('\n').ok_or(NoteError::Text)?;
    let mut found = Vec::new();
    for (number, line) in (first..).zip(body.split('\n')) {
        if found.len() == LINES {
            return Err(NoteError::Lines);
        }
        let line = SignatureLine::parse(line).map_err(|why| NoteError::Line { line: number, why });
        found.push(line?);
    }
    Ok(found)
}

impl Note {
    /// Puts a text, which must end in a newline, and its signatures together.
    pub(crate) fn signed(text: String, lines: Vec<SignatureLine>) -> Self {
        debug_assert!(text.ends_with('\n') && !lines.is_empty());
        Self { text, lines }
    }

    /// Takes a note apart; believes nothing.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES {
            return Err(NoteError::Long { got: bytes.len() });
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Text)?;
        if note.bytes().any(|b| b < 0x20 && b != b'\n') {
            return Err(NoteError::Text);
        }
        let at = note.rfind("\n\n").ok_or(NoteError::Unsigned)?;
        let (text, signatures) = (&note[..=at], &note[at + 2..]);
        let first = text.split('\n').count() + 1;
        let lines = lines(signatures, first)?;
        Ok(Self { text: text.to_owned(), lines })
    }

    /// Returns the text, with its last newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the signature lines in order.
    pub fn lines(&self) -> &[SignatureLine] {
        &self.lines
    }

    /// Finds the signatures of the given keys: each with the key's position. Refuses the note when
    /// one of them does not fit, when one stands there twice, or when there is none.
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<Vec<(usize, Signed)>, NoteError> {
        let found = self.signatures(keys)?;
        if found.is_empty() { Err(NoteError::Unknown) } else { Ok(found) }
    }

    /// Like [`Note::verify`], but none is no fault: for witnesses, of which some may lack.
    pub fn signatures(&self, keys: &[VerifierKey]) -> Result<Vec<(usize, Signed)>, NoteError> {
        let mut found: Vec<(usize, Signed)> = Vec::new();
        for line in &self.lines {
            let Some(at) = keys.iter().position(|key| key.matches(line)) else { continue };
            if !keys[at].is_checkable() {
                continue;
            }
            if found.iter().any(|(other, _)| *other == at) {
                return Err(NoteError::Twice { name: line.name.clone() });
            }
            let signed = keys[at]
                .check(&self.text, line)
                .ok_or_else(|| NoteError::Signature { name: line.name.clone() })?;
            found.push((at, signed));
        }
        Ok(found)
    }

    /// Returns the same text with other signature lines.
    pub fn with_lines(&self, lines: Vec<SignatureLine>) -> Self {
        Self::signed(self.text.clone(), lines)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

#[cfg(test)]
#[path = "note_tests.rs"]
mod tests;

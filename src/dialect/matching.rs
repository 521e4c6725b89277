//! What a device said, compared with what was expected: pointer, comparison, capture.
//!
//! Bounded: a payload above [`MOST_READ`] or nested deeper than the JSON reader allows matches
//! nothing; a pointer has few steps; there are no patterns that could run away.

use super::frame::Frame;
use super::render::Values;
use super::template::Template;
use serde_json::Value;

/// Most bytes of a message that are read.
pub const MOST_READ: usize = 65_536;
/// Most bytes of a pointer.
pub const MOST_POINTER: usize = 128;
/// Most bytes of a captured value.
pub const MOST_CAPTURED: usize = 64;
/// Fewest bytes of a text that is looked for inside another and is to name an item.
const LEAST_NAME: usize = 4;

/// A JSON pointer (RFC 6901), checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(String);

impl Pointer {
    /// Returns the pointer, or `None` when the text is none.
    pub fn new(text: &str) -> Option<Self> {
        let escapes = text.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
        let fits = text.len() <= MOST_POINTER && text.matches('/').count() <= 8;
        (fits && escapes && text.starts_with('/')).then(|| Self(text.to_owned()))
    }

    /// Returns the value it points to.
    pub fn find<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        value.pointer(&self.0)
    }

    /// Returns it as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// The value is there and not null.
    Present,
    /// One of these, exactly.
    OneOf(Vec<Template>),
    /// None of these.
    NotOneOf(Vec<Template>),
    Contains(Template),
    Ends(Template),
    /// A number, at least and at most.
    Range {
        least: Option<f64>,
        most: Option<f64>,
    },
    /// A list of numbers: the pixels that we sent.
    OurPixels,
}

/// One condition on a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Where in a JSON payload; without it the payload as text.
    pub at: Option<Pointer>,
    pub test: Test,
}

impl Condition {
    /// Says whether a match tells our item from all others.
    pub fn names_item(&self) -> bool {
        match &self.test {
            Test::OneOf(words) => words.iter().all(Template::names_item),
            Test::Contains(word) | Test::Ends(word) => word.names_item(),
            Test::OurPixels => true,
            _ => false,
        }
    }

    /// Compares. What cannot be compared does not match.
    pub fn holds(&self, heard: &Heard<'_>, values: &Values<'_>) -> bool {
        if self.test == Test::OurPixels {
            let Some(frame) = values.frame else { return false };
            return heard.value(self.at.as_ref()).is_some_and(|v| shows(v, frame));
        }
        if self.test == Test::Present {
            return match &self.at {
                Some(at) => {
                    heard.json.as_ref().and_then(|j| at.find(j)).is_some_and(|v| !v.is_null())
                }
                None => !heard.bytes.is_empty(),
            };
        }
        let Some(said) = heard.word(self.at.as_ref()) else { return false };
        // A template without its value matches nothing, neither way: an empty expectation must
        // not be met by an empty answer.
        let words = |list: &[Template]| -> Option<Vec<String>> {
            list.iter().map(|w| w.render_text(values).ok().filter(|w| !w.is_empty())).collect()
        };
        match &self.test {
            Test::OneOf(list) => words(list).is_some_and(|words| words.contains(&said)),
            Test::NotOneOf(list) => words(list).is_some_and(|words| !words.contains(&said)),
            Test::Contains(word) => needle(word, values).is_some_and(|w| said.contains(&w)),
            Test::Ends(word) => needle(word, values).is_some_and(|w| said.ends_with(&w)),
            Test::Range { least, most } => said.parse::<f64>().is_ok_and(|number| {
                number.is_finite()
                    && least.is_none_or(|least| number >= least)
                    && most.is_none_or(|most| number <= most)
            }),
            Test::Present | Test::OurPixels => false,
        }
    }
}

fn needle(word: &Template, values: &Values<'_>) -> Option<String> {
    let least = if word.names_item() { LEAST_NAME } else { 1 };
    word.render_text(values).ok().filter(|w| w.len() >= least)
}

/// Says whether a list of 24-bit colours is the picture.
fn shows(value: &Value, frame: &Frame) -> bool {
    let Some(list) = value.as_array() else { return false };
    list.len() == frame.rgb().len() / 3
        && list.iter().zip(frame.colours()).all(|(said, sent)| said.as_u64() == Some(sent.into()))
}

/// A message as it was heard, read once.
#[derive(Debug)]
pub struct Heard<'a> {
    pub bytes: &'a [u8],
    json: Option<Value>,
}

impl<'a> Heard<'a> {
    /// Reads a message.
    pub fn new(bytes: &'a [u8]) -> Self {
        let json = (bytes.len() <= MOST_READ).then(|| serde_json::from_slice(bytes).ok()).flatten();
        Self { bytes, json }
    }

    /// Returns the value at a pointer, or the whole document.
    pub fn value(&self, at: Option<&Pointer>) -> Option<&Value> {
        let json = self.json.as_ref()?;
        at.map_or(Some(json), |at| at.find(json))
    }

    /// Returns a text, number or flag as text; without a pointer the payload.
    pub fn word(&self, at: Option<&Pointer>) -> Option<String> {
        let Some(at) = at else {
            let text =
                (self.bytes.len() <= MOST_READ).then(|| std::str::from_utf8(self.bytes).ok());
            return text.flatten().map(|t| t.trim_end_matches(['\r', '\n', '\0']).to_owned());
        };
        match self.value(Some(at))? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// Returns a value for the evidence, cut to [`MOST_CAPTURED`] bytes.
    pub fn captured(&self, at: &Pointer) -> Option<String> {
        let mut text = self.word(Some(at))?;
        if text.len() > MOST_CAPTURED {
            let end = (0..=MOST_CAPTURED).rev().find(|n| text.is_char_boundary(*n)).unwrap_or(0);
            text.truncate(end);
        }
        Some(text)
    }
}

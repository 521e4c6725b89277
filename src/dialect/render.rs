//! Fills templates: values of an order in, bytes out, escaped for the place.

use super::field::{Field, SETTING_BYTES};
use super::frame::Frame;
use super::scale::{Scale, WordMap};
use super::template::{Context, Filter, From, Names, Part, Template};
use super::template_error::TemplateError;
use super::words::ascii;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The values of one order. What is `None` has no value, and a template that needs it fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct Values<'a> {
    pub settings: Option<&'a BTreeMap<String, String>>,
    pub text: Option<&'a str>,
    pub url: Option<&'a str>,
    pub file: Option<&'a str>,
    pub slot: Option<&'a str>,
    pub sha256: Option<&'a str>,
    pub item: Option<&'a str>,
    pub id: Option<u32>,
    pub volume: Option<u8>,
    pub brightness: Option<u8>,
    pub length_ms: Option<u32>,
    pub dwell_ms: Option<u32>,
    pub colour: Option<&'a str>,
    pub frame: Option<&'a Frame>,
}

/// Why a template cannot be filled for this order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    #[error("the order has no `{name}`")]
    NoValue { name: String },
    #[error("the map has no word for `{word}`")]
    NoWord { word: String },
    #[error("`{name}` holds a character that cannot stand there")]
    Character { name: String },
    #[error("`{name}` has {bytes} bytes, more than was reckoned with")]
    TooLong { name: String, bytes: usize },
}

impl RenderError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoValue { .. } => {
                "give the device the setting, or the clip the address that its profile asks for"
            }
            Self::NoWord { .. } => "add the word, or `\"*\"` for every other, to the map",
            Self::Character { .. } => "take wildcards and control characters out of the value",
            Self::TooLong { .. } => "shorten the value",
        }
    }
}

enum Made<'a> {
    Word(Cow<'a, str>),
    Number(String),
    List(String),
    Bytes(Vec<u8>),
}

impl Template {
    /// Fills the template.
    pub fn render(&self, values: &Values<'_>) -> Result<Vec<u8>, RenderError> {
        let mut out = Vec::new();
        let mut mark = 0;
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Byte(byte) => out.push(*byte),
                Part::Mark => mark = out.len(),
                Part::Xor8 => {
                    let sum = out[mark..].iter().fold(0, |sum, byte| sum ^ byte);
                    out.extend(format!("{sum:02X}").into_bytes());
                }
                Part::Sum8 => {
                    let sum = out[mark..].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
                    out.extend(format!("{sum:02X}").into_bytes());
                }
                Part::Value { from, filters, quoted } => {
                    let name = match from {
                        From::Field(field) => field.name(),
                        From::Setting(name) => name,
                    };
                    let made = filters.iter().try_fold(source(from, values)?, filtered)?;
                    self.put(name, made, *quoted, matches!(from, From::Setting(_)), &mut out)?;
                }
            }
        }
        if out.len() > self.most() {
            let name = "the whole message".to_owned();
            return Err(RenderError::TooLong { name, bytes: out.len() });
        }
        Ok(out)
    }

    /// Fills a template that makes text: topics, paths, words.
    pub fn render_text(&self, values: &Values<'_>) -> Result<String, RenderError> {
        let character = |_| RenderError::Character { name: "the whole text".to_owned() };
        String::from_utf8(self.render(values)?).map_err(character)
    }

    fn put(
        &self,
        name: &str,
        made: Made<'_>,
        quoted: bool,
        setting: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), RenderError> {
        let character = || RenderError::Character { name: name.to_owned() };
        let word = match made {
            Made::Bytes(bytes) => {
                out.extend(bytes);
                return Ok(());
            }
            Made::List(text) => {
                out.extend(text.into_bytes());
                return Ok(());
            }
            Made::Number(text) => Cow::Owned(text),
            Made::Word(word) if self.context == Context::Json => {
                let escaped = json(&word);
                let inner = escaped.get(1..escaped.len().saturating_sub(1)).unwrap_or_default();
                out.extend(if quoted { inner.as_bytes() } else { escaped.as_bytes() });
                return Ok(());
            }
            Made::Word(word) => word,
        };
        match self.context {
            Context::Json | Context::Raw | Context::Word => out.extend(word.as_bytes()),
            Context::Line => {
                let plain = word.chars().map(|c| if c.is_control() { ' ' } else { c });
                out.extend(plain.collect::<String>().into_bytes());
            }
            Context::Topic => {
                let bad =
                    |c: char| c.is_control() || c == '+' || c == '#' || (c == '/' && !setting);
                if word.is_empty() || word.chars().any(bad) {
                    return Err(character());
                }
                out.extend(word.as_bytes());
            }
            Context::Path => {
                for byte in word.bytes() {
                    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                        out.push(byte);
                    } else {
                        out.extend(format!("%{byte:02X}").into_bytes());
                    }
                }
            }
        }
        Ok(())
    }

    /// Fills the template with values that break out of careless quoting and reads the result.
    pub(super) fn try_json(&self, names: &Names) -> Result<(), TemplateError> {
        let settings: BTreeMap<String, String> =
            names.settings.keys().map(|key| (key.clone(), "a\"b\\c".to_owned())).collect();
        let frame = Frame::dark(1, 1);
        for word in ["a\"b\\c\n", "ộ"] {
            let text = Some(word);
            let values = Values {
                settings: Some(&settings),
                text,
                url: text,
                file: text,
                slot: text,
                sha256: text,
                item: text,
                colour: text,
                id: Some(1),
                volume: Some(100),
                brightness: Some(100),
                length_ms: Some(1_000),
                dwell_ms: Some(1_000),
                frame: Some(&frame),
            };
            let bytes = match self.render_all_words(&values) {
                Ok(bytes) => bytes,
                Err(error) => return Err(TemplateError::NotJson { why: error.to_string() }),
            };
            if let Err(error) = serde_json::from_slice::<serde_json::Value>(&bytes) {
                return Err(TemplateError::NotJson { why: error.to_string() });
            }
        }
        Ok(())
    }

    /// As [`Template::render`], but a map takes its first word and nothing is bounded.
    fn render_all_words(&self, values: &Values<'_>) -> Result<Vec<u8>, RenderError> {
        let mut trial = self.clone();
        for part in &mut trial.parts {
            if let Part::Value { filters, .. } = part {
                for filter in filters {
                    if let Filter::Map(map) = filter {
                        let mut words = BTreeMap::new();
                        words.insert("*".to_owned(), map.results().next().unwrap_or("").to_owned());
                        *filter = Filter::Map(WordMap::new(words).into());
                    }
                }
            }
        }
        let mut out = Vec::new();
        for part in &trial.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Value { from, filters, quoted } => {
                    let made = filters.iter().try_fold(source(from, values)?, filtered)?;
                    trial.put("", made, *quoted, false, &mut out)?;
                }
                _ => {}
            }
        }
        Ok(out)
    }
}

fn json(word: &str) -> String {
    serde_json::Value::from(word).to_string()
}

/// Returns the value itself: texts without control characters but line breaks.
fn source<'a>(from: &From, values: &Values<'a>) -> Result<Made<'a>, RenderError> {
    let none = |name: &str| RenderError::NoValue { name: name.to_owned() };
    let field = match from {
        From::Field(field) => *field,
        From::Setting(name) => {
            let value = values.settings.and_then(|s| s.get(name)).ok_or_else(|| none(name))?;
            if value.len() > SETTING_BYTES {
                return Err(RenderError::TooLong { name: name.clone(), bytes: value.len() });
            }
            return Ok(Made::Word(clean(value)));
        }
    };
    let word = |value: Option<&'a str>| value.map(|v| Made::Word(clean(v)));
    let number = |value: Option<u32>| value.map(|v| Made::Number(v.to_string()));
    let list = |numbers: Option<Vec<u32>>| numbers.map(|n| Made::List(listed(&n)));
    let frame = values.frame;
    let made = match field {
        Field::Text => word(values.text),
        Field::Url => word(values.url),
        Field::File => word(values.file),
        Field::Slot => word(values.slot),
        Field::Sha256 => word(values.sha256),
        Field::Item => word(values.item),
        Field::Colour => word(values.colour),
        Field::Id => number(values.id),
        Field::Volume => number(values.volume.map(u32::from)),
        Field::Brightness => number(values.brightness.map(u32::from)),
        Field::LengthMs => number(values.length_ms),
        Field::LengthS => number(values.length_ms.map(|ms| ms.div_ceil(1_000))),
        Field::DwellMs => number(values.dwell_ms),
        Field::DwellS => number(values.dwell_ms.map(|ms| ms.div_ceil(1_000))),
        Field::Width => number(frame.map(Frame::width)),
        Field::Height => number(frame.map(Frame::height)),
        Field::Pixels => list(frame.map(|f| f.colours().collect())),
        Field::Pixels565 => list(frame.map(|f| f.colours565().collect())),
        Field::Rgb => frame.map(|f| Made::Bytes(f.rgb().to_vec())),
    };
    made.ok_or_else(|| none(field.name()))
}

fn clean(text: &str) -> Cow<'_, str> {
    let bad = |c: char| c.is_control() && c != '\n';
    if text.contains(bad) { Cow::Owned(text.replace(bad, "")) } else { Cow::Borrowed(text) }
}

fn listed(numbers: &[u32]) -> String {
    let mut text = String::from("[");
    for (at, number) in numbers.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{comma}{number}");
    }
    text.push(']');
    text
}

fn filtered<'a>(made: Made<'a>, filter: &Filter) -> Result<Made<'a>, RenderError> {
    let bytes = |made: Made<'a>| match made {
        Made::Bytes(bytes) => bytes,
        Made::Word(word) => word.into_owned().into_bytes(),
        Made::Number(text) | Made::List(text) => text.into_bytes(),
    };
    let word = |made: Made<'a>| match made {
        Made::Word(word) => word,
        Made::Number(text) | Made::List(text) => Cow::Owned(text),
        Made::Bytes(_) => Cow::Borrowed(""),
    };
    Ok(match filter {
        Filter::Scale(scale) => Made::Number(scaled(scale, &word(made))),
        Filter::Map(map) => {
            let asked = word(made);
            let told = map.apply(&asked).map(str::to_owned);
            let short = || RenderError::NoWord { word: asked.chars().take(40).collect() };
            Made::Word(Cow::Owned(told.ok_or_else(short)?))
        }
        Filter::Cut(chars) => Made::Word(Cow::Owned(word(made).chars().take(*chars).collect())),
        Filter::Ascii => Made::Word(Cow::Owned(ascii(&word(made)))),
        Filter::Base64 => Made::Word(Cow::Owned(STANDARD.encode(bytes(made)))),
        Filter::Hex => {
            let mut hex = String::new();
            for byte in bytes(made) {
                // Writing to a `String` cannot fail.
                let _ = write!(hex, "{byte:02x}");
            }
            Made::Word(Cow::Owned(hex))
        }
        Filter::Pad(width) => Made::Word(Cow::Owned(format!("{:0>width$}", word(made)))),
    })
}

/// A number that went through a scale already is cut to its whole part.
fn scaled(scale: &Scale, number: &str) -> String {
    let whole = number.split('.').next().unwrap_or_default();
    scale.apply(whole.parse().unwrap_or(0))
}

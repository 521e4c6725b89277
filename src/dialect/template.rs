//! The little language of payloads: fixed text with placeholders, and nothing else.
//!
//! `${volume|scale:bri}` is the field `volume` through the scale `bri`; `${prefix}` is a setting of
//! the device; `$$` is a dollar sign. There are no loops, conditions or calls, so a template ends,
//! and the most it can produce is known when it is read: [`Template::most`].
//!
//! The place where a template stands escapes what it puts in, and a profile cannot forget to:
//! in JSON a text outside quotes gets them; a topic refuses wildcards; a line cannot be broken out
//! of; a path is percent-encoded.
//!
//! # Why not a template engine
//! One that loops needs fuel, one that escapes by file name escapes wrongly once, and neither can
//! say at load how much it produces.

use super::field::{Field, Kind, SETTING_BYTES, Scope};
use super::limits::Bounds;
use super::scale::{Scale, WordMap};
use super::template_error::TemplateError;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most bytes of a template as written.
pub const MOST_WRITTEN: usize = 4_096;
/// Most placeholders of a template.
pub const MOST_PLACEHOLDERS: usize = 32;
/// Most filters of a placeholder.
const MOST_FILTERS: usize = 4;

/// Where the text of a template goes, which decides how values are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// A JSON text.
    Json,
    /// The payload as it is.
    Raw,
    /// A line or frame of a serial protocol: values hold no control characters.
    Line,
    /// An MQTT topic.
    Topic,
    /// A path and query of HTTP.
    Path,
    /// A word to compare with, or an address.
    Word,
}

/// What a template may refer to besides fields.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub settings: BTreeMap<String, String>,
    pub scales: BTreeMap<String, Arc<Scale>>,
    pub maps: BTreeMap<String, Arc<WordMap>>,
}

/// A filter of a placeholder.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Filter {
    Scale(Arc<Scale>),
    Map(Arc<WordMap>),
    Cut(usize),
    Ascii,
    Base64,
    Hex,
    Pad(usize),
}

/// Where a placeholder's value comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum From {
    Field(Field),
    Setting(String),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    Text(String),
    Byte(u8),
    /// Checksums count from here.
    Mark,
    Xor8,
    Sum8,
    Value {
        from: From,
        filters: Vec<Filter>,
        /// Inside a JSON string.
        quoted: bool,
    },
}

/// A checked template.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    pub(super) parts: Vec<Part>,
    pub(super) context: Context,
    most: usize,
}

impl Template {
    /// Reads a template for its place; it may produce at most `most` bytes.
    pub fn new(
        text: &str,
        context: Context,
        scope: Scope,
        names: &Names,
        bounds: &Bounds,
        most: usize,
    ) -> Result<Self, TemplateError> {
        if text.len() > MOST_WRITTEN {
            return Err(TemplateError::TooLong { bytes: text.len() });
        }
        let mut parts = Vec::new();
        let mut fixed = String::new();
        let mut quotes = Quotes::default();
        let mut rest = text;
        let mut placeholders = 0;
        while let Some(at) = rest.find('$') {
            let (before, from) = rest.split_at(at);
            quotes.read(before);
            fixed.push_str(before);
            if let Some(after) = from.strip_prefix("$$") {
                fixed.push('$');
                rest = after;
                continue;
            }
            let Some(inside) = from.strip_prefix("${") else {
                return Err(TemplateError::Dollar { near: from.chars().take(12).collect() });
            };
            let Some((inside, after)) = inside.split_once('}') else {
                return Err(TemplateError::Unclosed { near: from.chars().take(12).collect() });
            };
            placeholders += 1;
            if placeholders > MOST_PLACEHOLDERS {
                return Err(TemplateError::TooManyPlaceholders);
            }
            if !fixed.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut fixed)));
            }
            let quoted = context == Context::Json && quotes.open;
            parts.push(placeholder(inside.trim(), context, scope, names, quoted)?);
            rest = after;
        }
        fixed.push_str(rest);
        if !fixed.is_empty() {
            parts.push(Part::Text(fixed));
        }
        let bytes =
            parts.iter().map(|p| part_most(p, context, bounds)).fold(0, usize::saturating_add);
        if bytes > most {
            return Err(TemplateError::TooMuch { bytes, most });
        }
        let template = Self { parts, context, most: bytes };
        template.try_shape()?;
        if context == Context::Json {
            template.try_json(names)?;
        }
        Ok(template)
    }

    /// Refuses fixed text that makes no topic or no path.
    fn try_shape(&self) -> Result<(), TemplateError> {
        let fixed =
            |part: &Part| if let Part::Text(text) = part { text.clone() } else { String::new() };
        let texts: Vec<String> = self.parts.iter().map(fixed).collect();
        match self.context {
            Context::Topic => {
                let bad = |c: char| c.is_control() || c == '+' || c == '#';
                if texts.iter().any(|text| text.contains(bad)) {
                    return Err(TemplateError::Wildcard);
                }
            }
            Context::Path => {
                let bad = |c: char| c.is_control() || c == ' ';
                if texts.iter().any(|text| text.contains(bad)) {
                    return Err(TemplateError::Space);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Says whether it always begins with this text.
    pub fn begins(&self, with: &str) -> bool {
        matches!(self.parts.first(), Some(Part::Text(text)) if text.starts_with(with))
    }

    /// Returns the template of an empty payload.
    pub fn empty() -> Self {
        Self { parts: Vec::new(), context: Context::Raw, most: 0 }
    }

    /// Most bytes it produces, whatever the values.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Says whether a placeholder names the field.
    pub fn names(&self, field: Field) -> bool {
        self.fields().any(|f| f == field)
    }

    /// Returns the fields it names.
    pub fn fields(&self) -> impl Iterator<Item = Field> + '_ {
        self.parts.iter().filter_map(|part| match part {
            Part::Value { from: From::Field(field), .. } => Some(*field),
            _ => None,
        })
    }

    /// Says whether its text tells one item from all others.
    pub fn names_item(&self) -> bool {
        self.fields().any(Field::names_item)
    }
}

/// Follows JSON strings through fixed text; placeholders never open or close one.
#[derive(Default)]
struct Quotes {
    open: bool,
    escaped: bool,
}

impl Quotes {
    fn read(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                _ if self.escaped => self.escaped = false,
                '\\' if self.open => self.escaped = true,
                '"' => self.open = !self.open,
                _ => {}
            }
        }
    }
}

fn placeholder(
    inside: &str,
    context: Context,
    scope: Scope,
    names: &Names,
    quoted: bool,
) -> Result<Part, TemplateError> {
    let mut words = inside.split('|').map(str::trim);
    let name = words.next().unwrap_or_default();
    let bytes_here = matches!(context, Context::Raw | Context::Line | Context::Word);
    if bytes_here && words.clone().next().is_none() {
        match name {
            "cr" => return Ok(Part::Byte(b'\r')),
            "lf" => return Ok(Part::Byte(b'\n')),
            "mark" => return Ok(Part::Mark),
            "xor8" => return Ok(Part::Xor8),
            "sum8" => return Ok(Part::Sum8),
            _ => {}
        }
        if let Some(code) = name.strip_prefix("byte:") {
            let byte = (code.len() == 2).then(|| u8::from_str_radix(code, 16).ok()).flatten();
            let wrong = || TemplateError::Byte { code: code.chars().take(12).collect() };
            return byte.map(Part::Byte).ok_or_else(wrong);
        }
    }
    let (from, mut kind) = match Field::named(name) {
        Some(field) if field.stands_in(scope) => (From::Field(field), field.kind()),
        Some(field) => {
            return Err(TemplateError::NotHere { name: field.name(), scope: scope.word() });
        }
        None if names.settings.contains_key(name) => (From::Setting(name.to_owned()), Kind::Word),
        None => {
            let fields = Field::ALL.iter().filter(|(_, f)| f.stands_in(scope)).map(|(n, _)| *n);
            let known: Vec<&str> =
                fields.chain(names.settings.keys().map(String::as_str)).collect();
            let name = name.chars().take(40).collect();
            return Err(TemplateError::Unknown { name, known: known.join(", ") });
        }
    };
    let mut filters = Vec::new();
    for word in words {
        if filters.len() >= MOST_FILTERS {
            return Err(TemplateError::TooManyFilters { name: name.to_owned() });
        }
        let (filter, wants, gives) = filter(word, names)?;
        if !wants.contains(&kind) {
            let filter = word.chars().take(40).collect();
            return Err(TemplateError::FilterKind { filter, kind: kind.word() });
        }
        filters.push(filter);
        kind = gives;
    }
    let fits = match kind {
        Kind::Word | Kind::Number => true,
        Kind::List => context == Context::Json && !quoted || context == Context::Raw,
        Kind::Bytes => context == Context::Raw,
    };
    if fits {
        Ok(Part::Value { from, filters, quoted })
    } else {
        Err(TemplateError::Place { name: name.to_owned(), kind: kind.word() })
    }
}

fn filter(word: &str, names: &Names) -> Result<(Filter, &'static [Kind], Kind), TemplateError> {
    let (name, argument) = word.split_once(':').unwrap_or((word, ""));
    let short = || argument.chars().take(40).collect::<String>();
    let count = |most: usize| {
        let number = argument.parse().ok().filter(|n| (1..=most).contains(n));
        number.ok_or_else(|| TemplateError::Argument {
            filter: name.to_owned(),
            text: short(),
            most,
        })
    };
    Ok(match name {
        "scale" => {
            let scale = names.scales.get(argument).cloned();
            let scale = scale.ok_or_else(|| TemplateError::NoScale { name: short() })?;
            (Filter::Scale(scale), &[Kind::Number], Kind::Number)
        }
        "map" => {
            let map = names.maps.get(argument).cloned();
            let map = map.ok_or_else(|| TemplateError::NoMap { name: short() })?;
            (Filter::Map(map), &[Kind::Word, Kind::Number], Kind::Word)
        }
        "cut" => (Filter::Cut(count(1_000)?), &[Kind::Word], Kind::Word),
        "pad" => (Filter::Pad(count(10)?), &[Kind::Number], Kind::Word),
        "ascii" if argument.is_empty() => (Filter::Ascii, &[Kind::Word], Kind::Word),
        "base64" if argument.is_empty() => (Filter::Base64, &[Kind::Bytes, Kind::Word], Kind::Word),
        "hex" if argument.is_empty() => (Filter::Hex, &[Kind::Bytes, Kind::Word], Kind::Word),
        _ => return Err(TemplateError::Filter { name: word.chars().take(40).collect() }),
    })
}

/// Most bytes of a part once escaped.
fn part_most(part: &Part, context: Context, bounds: &Bounds) -> usize {
    let (from, filters, quoted) = match part {
        Part::Text(text) => return text.len(),
        Part::Byte(_) => return 1,
        Part::Mark => return 0,
        Part::Xor8 | Part::Sum8 => return 2,
        Part::Value { from, filters, quoted } => (from, filters, *quoted),
    };
    let (mut bytes, mut kind) = match from {
        From::Field(field) => (field.most(bounds), field.kind()),
        From::Setting(_) => (SETTING_BYTES, Kind::Word),
    };
    for filter in filters {
        (bytes, kind) = match filter {
            Filter::Scale(scale) => (scale.most(), Kind::Number),
            Filter::Map(map) => (map.most(), Kind::Word),
            Filter::Cut(chars) => (bytes.min(chars.saturating_mul(4)), Kind::Word),
            Filter::Ascii => (bytes, Kind::Word),
            Filter::Base64 => (bytes.div_ceil(3).saturating_mul(4), Kind::Word),
            Filter::Hex => (bytes.saturating_mul(2), Kind::Word),
            Filter::Pad(width) => (bytes.max(*width), Kind::Word),
        };
    }
    match (context, kind) {
        // Values hold no control characters but line breaks: `\n`, `\"`, `\\` double at most.
        (Context::Json, Kind::Word) => {
            bytes.saturating_mul(2).saturating_add(if quoted { 0 } else { 2 })
        }
        (Context::Path, _) => bytes.saturating_mul(3),
        _ => bytes,
    }
}

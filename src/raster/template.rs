//! Fields in the text of a page: `{time}`, `{lunar}`, `{feed:water}`, `{red}`.
//!
//! | Field | Shows |
//! |---|---|
//! | `{time}` `{time:s}` | `07:05`, `07:05:09` |
//! | `{date}` `{date:long}` `{weekday}` | `22/11/2026`, `Chủ nhật, 22/11/2026`, `Chủ nhật` |
//! | `{lunar}` `{lunar:long}` `{lunar:year}` | `14/10`, `14 tháng Mười năm Bính Ngọ`, `Bính Ngọ` |
//! | `{days:2027-02-06}` `{days:tet}` | whole days until then, `0` on the day and after |
//! | `{countdown:2027-02-06T00:00}` | `75 ngày 04:12`, in the last day `04:12:09` |
//! | `{feed:NAME}` | the newest value, `--` when there is none that is fresh |
//! | `{icon:NAME}` | a picture as high as the line |
//! | `{red}` … `{/}` | the words between in that colour |
//!
//! `{{` and `}}` are braces. What is no field stays as it is written and is named by
//! [`Template::unknown`], so that a typing error is seen and nothing is lost.

use super::colour::{Rgb, named};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

/// Most bytes of a field between its braces.
const MOST_FIELD_BYTES: usize = 64;

/// The day or minute that a field counts to, in the station's own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Until {
    /// A stated one.
    At(NaiveDateTime),
    /// The first day of the next lunar year.
    Tet,
}

/// Something that is filled in when the page is shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    Time { seconds: Seconds },
    Date,
    DateLong,
    Weekday,
    Lunar,
    LunarLong,
    LunarYear,
    Days(Until),
    Countdown(Until),
    Feed(String),
}

/// Whether a time of day shows its seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Seconds {
    Shown,
    Hidden,
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    Text(String),
    Field(Field),
    Icon(String),
    /// From here on this colour, `None` the page's own.
    Colour(Option<Rgb>),
}

/// A text as read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
    unknown: Vec<String>,
}

impl Template {
    /// Reads a text; every text is one.
    pub fn read(text: &str) -> Self {
        let mut template = Self::default();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            let brace = if from.starts_with('{') { '{' } else { '}' };
            rest = &from[1..];
            if rest.starts_with(brace) {
                plain.push(brace);
                rest = &rest[1..];
                continue;
            }
            let inside = if brace == '{' { rest.find('}') } else { None };
            let Some(end) = inside.filter(|end| *end <= MOST_FIELD_BYTES) else {
                plain.push(brace);
                continue;
            };
            let name = &rest[..end];
            if let Some(part) = part(name) {
                if !plain.is_empty() {
                    template.parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                template.parts.push(part);
                rest = &rest[end + 1..];
            } else {
                template.unknown.push(name.to_owned());
                plain.push(brace);
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            template.parts.push(Part::Text(plain));
        }
        template
    }

    /// Returns the pieces in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Returns what stands in braces and is no field.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// Returns the plain words, fields left out.
    pub fn words(&self) -> String {
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(_) | Part::Icon(_) => " ".to_owned(),
            Part::Colour(_) => String::new(),
        };
        self.parts.iter().map(text).collect()
    }

    /// Returns the names of the feeds it shows.
    pub fn feeds(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Field(Field::Feed(name)) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Returns the names of the pictures in its lines.
    pub fn icons(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Icon(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Returns the colours it names.
    pub fn colours(&self) -> impl Iterator<Item = Rgb> {
        self.parts.iter().filter_map(|part| match part {
            Part::Colour(colour) => *colour,
            _ => None,
        })
    }
}

fn part(name: &str) -> Option<Part> {
    let (word, value) = match name.split_once(':') {
        Some((word, value)) => (word, Some(value)),
        None => (name, None),
    };
    let field = match (word, value) {
        ("time", None) => Field::Time { seconds: Seconds::Hidden },
        ("time", Some("s")) => Field::Time { seconds: Seconds::Shown },
        ("date", None) => Field::Date,
        ("date", Some("long")) => Field::DateLong,
        ("weekday", None) => Field::Weekday,
        ("lunar", None) => Field::Lunar,
        ("lunar", Some("long")) => Field::LunarLong,
        ("lunar", Some("year")) => Field::LunarYear,
        ("days", Some(value)) => Field::Days(until(value)?),
        ("countdown", Some(value)) => Field::Countdown(until(value)?),
        ("feed", Some(value)) if is_name(value) => Field::Feed(value.to_owned()),
        ("icon", Some(value)) if is_name(value) => return Some(Part::Icon(value.to_owned())),
        ("/", None) => return Some(Part::Colour(None)),
        (word, None) => return named(word).map(|colour| Part::Colour(Some(colour))),
        _ => return None,
    };
    Some(Part::Field(field))
}

fn until(text: &str) -> Option<Until> {
    if text == "tet" {
        return Some(Until::Tet);
    }
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, NaiveTime::parse_from_str(time, "%H:%M").ok()?),
        None => (text, NaiveTime::MIN),
    };
    let date = NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?;
    Some(Until::At(date.and_time(time)))
}

/// Names of feeds and pictures: as ids, so that they can stand in topics and file names.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

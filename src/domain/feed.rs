//! Feeds (số liệu): values for boards that the server reads from elsewhere, such as temperature
//! or the water level of a river.
//!
//! Where they are read and what may be believed of them is data ([`Feed`]); [`Course`] judges each
//! reading against the ones before. Leaves sockets, JSON and signatures to others.
//!
//! # Invariants
//! * Numbers are exact decimals: what a board shows is what the source said, rounded once.
//! * A value that is not plausible is refused, never bent into the bounds. What is refused leaves
//!   the last value to grow stale; nothing here makes an old value look new.

use super::ids::FeedId;
use super::time::UtcMs;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use unicode_normalization::UnicodeNormalization as _;

/// Most characters of a value with its unit, as the contract says.
pub const MOST_CHARS: usize = 64;
/// Most decimals that are shown.
pub const MOST_DECIMALS: u8 = 6;
/// How far ahead of the clock a reading may be: within it clocks count as right.
pub const AHEAD_MS: i64 = 120_000;
/// Readings in a row that must agree before a leap is believed.
const BELIEVED: u8 = 3;
/// Largest number of digits that a number is read with.
const MOST_DIGITS: usize = 30;
/// What no number reaches: one with so many digits.
const MOST_NUMBER: i128 = 10_i128.pow(30);

/// A feed as the station describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// Its id: what `{feed:…}` and its topic name.
    pub id: FeedId,
    /// What it is, for people.
    pub title: String,
    /// Written after the value.
    pub unit: Option<String>,
    /// What its values are.
    pub kind: Kind,
    /// How long a value may be shown after it was measured, in seconds.
    pub stale_after_s: i64,
    /// Where it is read.
    pub source: Source,
}

/// What the values of a feed are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Numbers.
    Number {
        /// What the source's number is multiplied by.
        scale: Decimal,
        /// How many decimals are shown.
        decimals: u8,
        /// The least plausible value.
        least: Decimal,
        /// The greatest plausible value.
        most: Decimal,
        /// The widest leap from one reading to the next that is believed at once.
        step: Option<Decimal>,
    },
    /// Words, of so many characters at most.
    Words {
        /// Most characters.
        longest: usize,
    },
}

/// Where a feed is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Asked for every so often.
    Http(HttpSource),
    /// Sent by a broker.
    Mqtt(MqttSource),
}

/// Where in an answer the value stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pick {
    /// JSON pointer (RFC 6901) to the value; the whole answer as text where there is none.
    pub value: Option<String>,
    /// JSON pointer to when it was measured; the moment of reading where there is none.
    pub at: Option<String>,
}

/// JSON or text behind an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSource {
    /// `http://` or `https://`, without user and password.
    pub url: String,
    /// Where the value stands.
    pub pick: Pick,
    /// Asked every so many seconds.
    pub every_s: i64,
    /// How long an answer may take, in milliseconds.
    pub timeout_ms: i64,
    /// Largest answer in bytes.
    pub most_bytes: u64,
    /// Headers sent with the request; none of them a secret.
    pub headers: BTreeMap<String, String>,
    /// A header whose value is secret.
    pub from_file: Option<FileHeader>,
    /// Certificate authority to trust (PEM), in the station folder.
    pub ca_file: Option<String>,
}

/// A header whose value lies in a file of the station folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// The header.
    pub name: String,
    /// The file.
    pub file: String,
}

/// A topic of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttSource {
    /// `mqtt://HOST:PORT` or `mqtts://HOST:PORT`.
    pub url: String,
    /// The topic, without wildcards.
    pub topic: String,
    /// Where the value stands.
    pub pick: Pick,
    /// User name there.
    pub user: Option<String>,
    /// File that holds the password, in the station folder.
    pub password_file: Option<String>,
    /// Certificate authority to trust (PEM), in the station folder.
    pub ca_file: Option<String>,
    /// Largest message in bytes.
    pub most_bytes: u64,
}

/// A number as people write it: exact, `digits` divided by ten to the power of `places`.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    digits: i128,
    places: u32,
}

impl Decimal {
    /// Returns a whole number.
    pub const fn whole(digits: i64) -> Self {
        Self { digits: digits as i128, places: 0 }
    }

    /// Reads `-12`, `3.50` or `1.2e-3`; `None` for anything else and for what is far too long.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (number, exponent) = match rest.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
            None => (rest, 0),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let length = whole.len() + part.len();
        if whole.is_empty() || !plain(whole) || !plain(part) || length > MOST_DIGITS {
            return None;
        }
        if number.ends_with('.') {
            return None;
        }
        let digits: i128 = format!("{whole}{part}").parse().ok()?;
        let digits = if negative { -digits } else { digits };
        let places = i32::try_from(part.len()).ok()?.checked_sub(exponent)?;
        match u32::try_from(places) {
            Ok(places) if places as usize <= MOST_DIGITS => Some(Self { digits, places }),
            Ok(_) => None,
            Err(_) => {
                let more = 10_i128.checked_pow(places.unsigned_abs())?;
                let digits = digits.checked_mul(more)?;
                let most = MOST_NUMBER;
                (digits.abs() < most).then_some(Self { digits, places: 0 })
            }
        }
    }

    fn times(self, other: Self) -> Option<Self> {
        let digits = self.digits.checked_mul(other.digits)?;
        Some(Self { digits, places: self.places + other.places })
    }

    /// Returns it with so many decimals, rounded half away from zero.
    fn rounded(self, decimals: u8) -> Option<Self> {
        let wanted = u32::from(decimals);
        let digits = if self.places > wanted {
            let unit = 10_i128.checked_pow(self.places - wanted)?;
            let half = if self.digits < 0 { -(unit / 2) } else { unit / 2 };
            self.digits.checked_add(half)? / unit
        } else {
            self.digits.checked_mul(10_i128.checked_pow(wanted - self.places)?)?
        };
        Some(Self { digits, places: wanted })
    }

    fn apart(self, other: Self) -> Option<Self> {
        let places = self.places.max(other.places);
        let up = |n: Self| n.digits.checked_mul(10_i128.checked_pow(places - n.places)?);
        let digits = up(self)?.checked_sub(up(other)?)?.checked_abs()?;
        Some(Self { digits, places })
    }

    /// Returns it as Vietnamese write it with so many decimals: `-1.234,5`.
    pub fn shown(self, decimals: u8) -> Option<String> {
        let decimals = decimals.min(MOST_DECIMALS);
        let rounded = self.rounded(decimals)?;
        Some(written(i64::try_from(rounded.digits).ok()?, decimals))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        // Numbers have at most 30 digits and 60 places; what does not fit below is decided by its
        // size alone.
        let places = self.places.max(other.places);
        let up = |n: &Self| {
            if n.digits == 0 {
                return Some(0);
            }
            10_i128.checked_pow(places - n.places).and_then(|unit| n.digits.checked_mul(unit))
        };
        match (up(self), up(other)) {
            (Some(a), Some(b)) => a.cmp(&b),
            (None, Some(_)) if self.digits < 0 => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) if other.digits < 0 => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (None, None) => self.digits.cmp(&other.digits),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

/// Writes `digits` divided by ten to the power of `decimals` as Vietnamese do: `-1.234,5`.
pub fn written(digits: i64, decimals: u8) -> String {
    let ten = 10_u64.pow(u32::from(decimals.min(18)));
    let (whole, part) = (digits.unsigned_abs() / ten, digits.unsigned_abs() % ten);
    let mut text = String::new();
    for (at, digit) in whole.to_string().chars().rev().enumerate() {
        if at > 0 && at % 3 == 0 {
            text.insert(0, '.');
        }
        text.insert(0, digit);
    }
    if digits < 0 {
        text.insert(0, '-');
    }
    if decimals > 0 {
        // Writing to a string cannot fail.
        let _ = write!(text, ",{part:0wide$}", wide = usize::from(decimals));
    }
    text
}

/// Why a reading does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ReadingError {
    #[error("`{text}` is not a number")]
    NotNumber { text: String },
    #[error("{value} is outside {least} to {most}")]
    Outside { value: String, least: String, most: String },
    #[error("a leap from {last} to {value}, wider than {step}")]
    Leap { last: String, value: String, step: String },
    #[error("words of {length} characters, more than {longest}")]
    Long { length: usize, longest: usize },
    #[error("no words, or control characters among them")]
    NotWords,
    #[error("measured {ahead_s} s after now")]
    Ahead { ahead_s: i64 },
    #[error("measured {ago_s} s ago, and stale after {stale_s} s")]
    Old { ago_s: i64, stale_s: i64 },
    #[error("measured before the value that is shown")]
    Back,
}

impl ReadingError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotNumber { .. } => "let `pointer` name a number, or set `kind = \"words\"`",
            Self::Outside { .. } => {
                "see what the source says; `least` and `most` bound what counts"
            }
            Self::Leap { .. } => "it counts once three readings in a row agree; `step` bounds it",
            Self::Long { .. } => "raise `longest` if boards have room, or let the source say less",
            Self::NotWords => "let `pointer` name a text",
            Self::Ahead { .. } => "set the clock of the source, or of this server",
            Self::Old { .. } | Self::Back => {
                "the source repeats an old measurement: see that it still measures"
            }
        }
    }
}

/// A value that may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// As boards show it, with its unit.
    pub text: String,
    /// When it was measured.
    pub at: UtcMs,
}

impl Feed {
    /// Returns the widest values it may have, with their unit: what a page must have room for.
    pub fn widest(&self) -> Vec<String> {
        let texts = match &self.kind {
            Kind::Number { decimals, least, most, .. } => {
                [*least, *most].iter().filter_map(|n| n.shown(*decimals)).collect()
            }
            Kind::Words { longest } => vec!["M".repeat(*longest)],
        };
        texts.into_iter().map(|text| self.with_unit(text)).collect()
    }

    fn with_unit(&self, text: String) -> String {
        match &self.unit {
            Some(unit) => format!("{text} {unit}"),
            None => text,
        }
    }
}

/// What was read of a feed so far.
#[derive(Clone, Debug, Default)]
pub struct Course {
    last: Option<(Decimal, UtcMs)>,
    /// A leap that is not believed yet, and how often it was seen.
    doubted: Option<(Decimal, u8)>,
    /// When the newest value was measured.
    newest: Option<UtcMs>,
}

impl Course {
    /// Goes on after a restart: nothing measured before counts any more.
    pub fn after(newest: Option<UtcMs>) -> Self {
        Self { newest, ..Self::default() }
    }

    /// Judges a reading of now; `at` is when it was measured, where the source says so.
    pub fn read(
        &mut self,
        feed: &Feed,
        raw: &str,
        at: Option<UtcMs>,
        now: UtcMs,
    ) -> Result<Value, ReadingError> {
        let at = at.unwrap_or(now);
        if at.since(now) > AHEAD_MS {
            return Err(ReadingError::Ahead { ahead_s: at.since(now) / 1_000 });
        }
        if now.since(at) >= feed.stale_after_s.saturating_mul(1_000) {
            let (ago_s, stale_s) = (now.since(at) / 1_000, feed.stale_after_s);
            return Err(ReadingError::Old { ago_s, stale_s });
        }
        if self.newest.is_some_and(|newest| at < newest) {
            return Err(ReadingError::Back);
        }
        let text = match &feed.kind {
            Kind::Words { longest } => words(raw, *longest)?,
            kind @ Kind::Number { .. } => self.number(kind, raw, at)?,
        };
        self.newest = Some(at);
        Ok(Value { text: feed.with_unit(text), at })
    }

    fn number(&mut self, kind: &Kind, raw: &str, at: UtcMs) -> Result<String, ReadingError> {
        let short = || ReadingError::NotNumber { text: raw.chars().take(40).collect() };
        let Kind::Number { scale, decimals, least, most, step } = kind else {
            return Err(short());
        };
        let read = Decimal::parse(raw.trim()).and_then(|number| number.times(*scale));
        let value = read.ok_or_else(short)?;
        let show = |number: Decimal| number.shown(*decimals).unwrap_or_else(|| "…".to_owned());
        if value < *least || value > *most {
            let (least, most) = (show(*least), show(*most));
            return Err(ReadingError::Outside { value: show(value), least, most });
        }
        if let (Some(step), Some((last, _))) = (step, self.last) {
            let wide = |from: Decimal| value.apart(from).is_none_or(|apart| apart > *step);
            if wide(last) {
                let seen = match self.doubted {
                    Some((doubted, seen)) if !wide(doubted) => seen + 1,
                    _ => 1,
                };
                self.doubted = Some((value, seen));
                if seen < BELIEVED {
                    let (last, step) = (show(last), show(*step));
                    return Err(ReadingError::Leap { last, value: show(value), step });
                }
            }
        }
        let text = value.shown(*decimals).ok_or_else(short)?;
        self.doubted = None;
        self.last = Some((value, at));
        Ok(text)
    }
}

fn words(raw: &str, longest: usize) -> Result<String, ReadingError> {
    let text = raw.split_whitespace().collect::<Vec<_>>().join(" ");
    let length = text.chars().count();
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(ReadingError::NotWords);
    }
    if length > longest {
        return Err(ReadingError::Long { length, longest });
    }
    Ok(text.nfc().collect())
}

/// Reads when a value was measured: seconds or milliseconds since 1970, or RFC 3339.
pub fn instant(text: &str) -> Option<UtcMs> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        // A number of seconds reaches this size in the year 5138.
        let ms = if number.unsigned_abs() < 100_000_000_000 {
            number.checked_mul(1_000)?
        } else {
            number
        };
        return Some(UtcMs(ms));
    }
    let at = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(UtcMs(at.timestamp_millis()))
}

#[cfg(test)]
mod tests;

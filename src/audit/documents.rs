//! Timetables, day sheets and urgent notices: read by the name that the log gives them, as far as cues go.

use super::hash::Hash;
use super::index::{Index, Kind};
use super::record::{Cue, Jws};
use super::source::{ReadError, Source};
use super::text::{INTEGER, hex, to_hex};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// Cues that are kept read.
const KEPT: usize = 100_000;
/// Sheets whose words are kept.
const SPOKEN: usize = 256;
/// Longest day: 25 hours and a little for odd zones.
const DAY_MS: i64 = 26 * 3_600_000;

/// What a cue is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    Clip,
    Pages,
}

/// A cue as a sheet has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub cue: Cue,
    pub at_ms: i64,
    pub end_ms: i64,
    pub output: Output,
    /// What was approved, where a station asks for approval.
    pub approval: Option<Hash>,
}

/// A timetable as published.
#[derive(Debug)]
pub struct Timetable {
    pub device: String,
    pub ver: i64,
    /// The units that it stands below.
    pub units: Vec<String>,
    /// From, to and sheet of each day.
    pub days: Vec<(i64, i64, Hash)>,
}

#[derive(Deserialize)]
struct RawTimetable {
    aud: String,
    ver: i64,
    #[serde(default)]
    units: Vec<String>,
    days: Vec<RawDay>,
}

#[derive(Deserialize)]
struct RawDay {
    from_ms: i64,
    to_ms: i64,
    sheet: String,
}

#[derive(Deserialize)]
struct RawSheet {
    v: i64,
    from_ms: i64,
    to_ms: i64,
    items: BTreeMap<String, RawItem>,
    cues: Vec<RawCue>,
}

#[derive(Deserialize)]
struct RawItem {
    #[serde(default)]
    kind: String,
}

#[derive(Deserialize)]
struct RawCue {
    id: String,
    at_ms: i64,
    end_ms: i64,
    item: String,
    #[serde(default)]
    approval: Option<String>,
}

/// Reads the claims of a timetable; who signed it is not asked, the log names its hash.
pub fn timetable(bytes: &[u8]) -> Option<Timetable> {
    let claims = Jws::parse(bytes, "loa-timetable+jwt")?.claims()?;
    let RawTimetable { aud, ver, units, days } = serde_json::from_slice(&claims).ok()?;
    let day = |day: RawDay| Some((day.from_ms, day.to_ms, hex(&day.sheet)?));
    let days = days.into_iter().map(day).collect::<Option<_>>()?;
    Some(Timetable { device: aud, ver, units, days })
}

/// Reads a day sheet: its day and its cues.
pub fn sheet(bytes: &[u8]) -> Option<(i64, i64, Vec<Due>)> {
    let raw: RawSheet = serde_json::from_slice(bytes).ok()?;
    let times = 0..=INTEGER;
    if raw.v != 1 || raw.from_ms >= raw.to_ms || !times.contains(&raw.from_ms) {
        return None;
    }
    let cue = |cue: RawCue| {
        let length = cue.end_ms.checked_sub(cue.at_ms)?;
        let inside = (raw.from_ms..raw.to_ms).contains(&cue.at_ms);
        let output = match raw.items.get(&cue.item)?.kind.as_str() {
            "pages" => Output::Pages,
            _ => Output::Clip,
        };
        let approval = match &cue.approval {
            Some(text) => Some(hex(text)?),
            None => None,
        };
        let RawCue { id, at_ms, end_ms, .. } = &cue;
        let due = Due { cue: hex(id)?, at_ms: *at_ms, end_ms: *end_ms, output, approval };
        (inside && (1..=DAY_MS).contains(&length)).then_some(due)
    };
    let cues = raw.cues.into_iter().map(cue).collect::<Option<Vec<_>>>()?;
    Some((raw.from_ms, raw.to_ms, cues))
}

#[derive(Deserialize)]
struct RawNotice {
    jti: String,
    #[serde(default)]
    asset: Option<RawAsset>,
}

#[derive(Deserialize)]
struct RawAsset {
    sha256: String,
}

/// Reads an urgent notice: its id, and what it sounds; who signed it is not asked, the log names
/// its hash.
pub fn notice(bytes: &[u8]) -> Option<(String, Option<Hash>)> {
    let claims = Jws::parse(bytes, "loa-urgent+jwt")?.claims()?;
    let RawNotice { jti, asset } = serde_json::from_slice(&claims).ok()?;
    match asset {
        Some(asset) => Some((jti, Some(hex(&asset.sha256)?))),
        None => Some((jti, None)),
    }
}

/// What a sheet says of a cue for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    pub title: String,
    /// The plan line that it serves, as the station writes it.
    pub line: Option<String>,
}

#[derive(Deserialize)]
struct RawWords {
    items: BTreeMap<String, Value>,
    cues: Vec<RawLine>,
}

#[derive(Deserialize)]
struct RawLine {
    id: String,
    item: String,
    #[serde(default)]
    line: Value,
}

/// Reads titles and plan lines of a sheet's cues; what is no text is none.
pub fn words(bytes: &[u8]) -> Option<HashMap<Cue, Words>> {
    let RawWords { items, cues } = serde_json::from_slice(bytes).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let of = |cue: &RawLine| {
        let title = items.get(&cue.item).and_then(|item| text(item.get("title")?));
        Words { title: title.unwrap_or_default(), line: text(&cue.line) }
    };
    Some(cues.iter().filter_map(|cue| Some((hex(&cue.id)?, of(cue)))).collect())
}

/// A sheet, or what is wrong with it.
#[derive(Clone, Debug)]
pub enum Found {
    Sheet(i64, i64, Rc<[Due]>),
    Missing,
    Unreadable,
}

/// Sheets by name, the last ones kept.
pub struct Sheets<'p, S: ?Sized> {
    source: &'p S,
    index: &'p Index,
    kept: HashMap<Hash, Found>,
    cues: usize,
    lines: HashMap<Hash, HashMap<Cue, Words>>,
}

impl<'p, S: Source + ?Sized> Sheets<'p, S> {
    /// Returns an empty shelf.
    pub fn new(source: &'p S, index: &'p Index) -> Self {
        Self { source, index, kept: HashMap::new(), cues: 0, lines: HashMap::new() }
    }

    /// Reads a sheet.
    pub fn get(&mut self, name: &Hash) -> Result<Found, ReadError> {
        if let Some(found) = self.kept.get(name) {
            return Ok(found.clone());
        }
        let found = match self.index.document(self.source, name, Kind::Sheet)? {
            None => Found::Missing,
            Some(bytes) => match sheet(&bytes) {
                Some((from, to, cues)) => Found::Sheet(from, to, cues.into()),
                None => Found::Unreadable,
            },
        };
        if self.cues > KEPT || self.kept.len() > KEPT {
            self.kept.clear();
            self.cues = 0;
        }
        if let Found::Sheet(_, _, cues) = &found {
            self.cues += cues.len();
        }
        self.kept.insert(*name, found.clone());
        Ok(found)
    }

    /// Reads the bytes of an urgent notice, if the pack has it.
    pub fn notice(&self, name: &Hash) -> Result<Option<Vec<u8>>, ReadError> {
        self.index.document(self.source, name, Kind::Notice)
    }

    /// Returns the plan line that a cue of a sheet serves.
    pub fn line(&mut self, name: &Hash, cue: &Cue) -> Result<Option<&str>, ReadError> {
        if !self.lines.contains_key(name) {
            if self.lines.len() > SPOKEN {
                self.lines.clear();
            }
            let bytes = self.index.document(self.source, name, Kind::Sheet)?;
            let words = bytes.as_deref().and_then(words).unwrap_or_default();
            self.lines.insert(*name, words);
        }
        let words = self.lines.get(name).and_then(|words| words.get(cue));
        Ok(words.and_then(|words| words.line.as_deref()))
    }

    /// Reads a timetable's bytes, if the pack has it.
    pub fn timetable(&self, name: &Hash) -> Result<Option<Vec<u8>>, ReadError> {
        self.index.document(self.source, name, Kind::Timetable)
    }
}

/// Returns the name of a sheet's file.
pub fn sheet_file(name: &Hash) -> String {
    format!("sheets/{}", to_hex(name))
}

//! Plans and their lines as accepted, not as typed.

use super::money::Dong;
use super::month::Months;
use super::topic::TopicCode;
use crate::domain::ids::{IdError, LineId, PlanId, TopicListId, UnitId};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// An administrative plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub id: PlanId,
    pub title: String,
    /// Number and sign of the document: `3630/KH-UBND`.
    pub number: String,
    /// Who issued it.
    pub issuer: String,
    /// On which day.
    pub date: NaiveDate,
    /// The list that the lines' topics belong to.
    pub topics: TopicListId,
    /// Documents that it names, each place where it names one.
    pub bases: Vec<Basis>,
    /// Sums that its text states.
    pub totals: Vec<Total>,
    /// Its table of money by year and source, where it has one.
    pub funds: Vec<Funds>,
    /// In the order of the plan; ids are unique.
    pub lines: Vec<PlanLine>,
}

/// A document that a plan names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    pub number: String,
    pub date: NaiveDate,
    /// Where in the plan.
    pub citation: String,
}

/// A sum of money that a plan's text states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    pub dong: Dong,
    /// Where in the plan.
    pub citation: String,
}

/// Money of one source for one year.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funds {
    pub year: i32,
    pub source: String,
    pub dong: Dong,
    /// The part of each unit, where the sum is shared out.
    pub each_dong: Option<Dong>,
    /// Where in the plan.
    pub citation: String,
}

/// One task of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanLine {
    pub id: LineId,
    /// Where in the plan: `Phụ lục 01, mục II.1`.
    pub citation: String,
    /// Other places where it stands, say the section of the text behind an annex.
    pub also_cited: Vec<String>,
    pub task: String,
    /// What it is to be about; any topic of the plan when empty.
    pub topics: Vec<TopicCode>,
    /// How it is to reach people.
    pub means: Vec<Means>,
    /// Over what a number counts.
    pub scope: Scope,
    /// The units it is for, each with all below it; the whole register when empty.
    pub units: Vec<UnitId>,
    pub counted: Counted,
    /// What it orders; `None`: regularly, without a number.
    pub least: Option<Least>,
    pub months: Months,
    pub lead: Vec<String>,
    pub coordinating: Vec<String>,
    /// What shall come of it, in the plan's words.
    pub product: Option<String>,
    pub budget: Option<Budget>,
    pub deadline: Option<NaiveDate>,
    pub note: Option<String>,
}

/// How a message reaches people. Loudspeakers and boards prove it themselves; the rest is evidence
/// that persons bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Means {
    Loudspeaker,
    Board,
    Web,
    Social,
    Press,
    Broadcaster,
    Sms,
    Leaflet,
    Wifi,
    School,
    Training,
    Other,
}

impl Means {
    /// The words of files.
    pub const WORDS: [(&'static str, Self); 12] = [
        ("loudspeaker", Self::Loudspeaker),
        ("board", Self::Board),
        ("web", Self::Web),
        ("social", Self::Social),
        ("press", Self::Press),
        ("broadcaster", Self::Broadcaster),
        ("sms", Self::Sms),
        ("leaflet", Self::Leaflet),
        ("wifi", Self::Wifi),
        ("school", Self::School),
        ("training", Self::Training),
        ("other", Self::Other),
    ];

    /// Says whether devices of ours prove it.
    pub fn is_proved(self) -> bool {
        matches!(self, Self::Loudspeaker | Self::Board)
    }

    /// Returns the word.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, means)| *means == self).map_or("other", |(word, _)| word)
    }
}

/// Over what a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// All units together.
    Whole,
    /// Each historic district.
    District,
    /// Each commune.
    Commune,
}

impl Scope {
    /// The words of files.
    pub const WORDS: [(&'static str, Self); 3] =
        [("whole", Self::Whole), ("district", Self::District), ("commune", Self::Commune)];

    /// Returns the word.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, scope)| *scope == self).map_or("whole", |(word, _)| word)
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    /// A programme (chương trình): an item, however often and on however many devices it sounds.
    Programme,
    /// A broadcast (lần phát): an item sounding once in a commune, confirmed by at least one of
    /// its devices. A station's diary has one line for it, however many loudspeakers there are;
    /// these are the denominator beside it.
    Broadcast,
    /// Minutes of confirmed broadcasts: each counts once in its commune.
    Minute,
}

impl Counted {
    /// The words of files.
    pub const WORDS: [(&'static str, Self); 3] =
        [("programme", Self::Programme), ("broadcast", Self::Broadcast), ("minute", Self::Minute)];

    /// Returns the word.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, one)| *one == self).map_or("programme", |(word, _)| word)
    }
}

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    Month,
    /// A calendar year.
    Year,
}

impl Per {
    /// The words of files.
    pub const WORDS: [(&'static str, Self); 2] = [("month", Self::Month), ("year", Self::Year)];

    /// Returns the word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

/// The least count of one period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Least {
    /// Above zero.
    pub count: u32,
    pub per: Per,
}

impl Least {
    /// Returns what is ordered for a stretch of months within one period: all of it for a month,
    /// the part of a year rounded up. A plan that begins in July and orders two a year so orders
    /// one for that year.
    pub fn of(self, months: u32) -> u64 {
        match self.per {
            Per::Month => u64::from(self.count) * u64::from(months),
            Per::Year => (u64::from(self.count) * u64::from(months)).div_ceil(12),
        }
    }
}

/// Money of one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// `None` where only the source is named.
    pub dong: Option<Dong>,
    /// For one counted thing.
    pub each_dong: Option<Dong>,
    pub source: String,
}

/// A line of a plan, as playlists and evidence name it: `kon-tum-3630/ii-1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LineRef {
    pub plan: PlanId,
    pub line: LineId,
}

impl FromStr for LineRef {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let refuse = || IdError {
            what: "plan line",
            text: text.chars().take(80).collect(),
            hint: "the plan's id, a slash, the line's id: `kon-tum-3630/ii-1`",
        };
        let (plan, line) = text.split_once('/').ok_or_else(refuse)?;
        let plan = plan.parse().map_err(|_| refuse())?;
        Ok(Self { plan, line: line.parse().map_err(|_| refuse())? })
    }
}

impl fmt::Display for LineRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.plan, self.line)
    }
}

impl TryFrom<String> for LineRef {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<LineRef> for String {
    fn from(line: LineRef) -> Self {
        line.to_string()
    }
}

impl Plan {
    /// Returns a line by its id.
    pub fn line(&self, id: &LineId) -> Option<&PlanLine> {
        self.lines.iter().find(|line| line.id == *id)
    }

    /// Finds the lines that a playlist names, in the plan's order: by `plan/line`, several parted by
    /// commas, or in the plan's own words, its number and then the citations. A playlist for
    /// loudspeakers and boards may serve a line of each.
    pub fn named(&self, text: &str) -> Vec<&PlanLine> {
        let refs = text.split([',', ';', ' ']).filter_map(|part| part.parse::<LineRef>().ok());
        let ids: Vec<LineId> = refs.filter(|r| r.plan == self.id).map(|r| r.line).collect();
        if !ids.is_empty() {
            return self.lines.iter().filter(|line| ids.contains(&line.id)).collect();
        }
        let Some((_, after)) = text.split_once(&*self.number) else { return Vec::new() };
        let places: Vec<(usize, Range<usize>)> = self
            .lines
            .iter()
            .enumerate()
            .flat_map(|(number, line)| {
                let cited = std::iter::once(&line.citation).chain(&line.also_cited);
                cited.flat_map(move |words| named_at(after, words)).map(move |at| (number, at))
            })
            .collect();
        // `mục II.1` is not named where it is part of `Phụ lục 01, mục II.1`.
        let part_of = |at: &Range<usize>, longer: &Range<usize>| {
            longer.len() > at.len() && longer.start <= at.start && at.end <= longer.end
        };
        let whole = |at: &Range<usize>| !places.iter().any(|(_, longer)| part_of(at, longer));
        let named: BTreeSet<usize> =
            places.iter().filter(|(_, at)| whole(at)).map(|(number, _)| *number).collect();
        named.into_iter().filter_map(|number| self.lines.get(number)).collect()
    }
}

/// Returns where a text names a citation as a whole: `III.2` is not named by `III.21`, `III.2.b` or
/// `VIII.2`.
fn named_at<'a>(text: &'a str, words: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    let part = |c: char| c.is_alphanumeric();
    let places = text.match_indices(words).filter(move |(at, found)| {
        let (before, after) = (&text[..*at], &text[at + found.len()..]);
        let mut rest = after.chars();
        let goes_on = match rest.next() {
            Some('.') => rest.next().is_some_and(part),
            next => next.is_some_and(part),
        };
        !goes_on && !before.ends_with(part) && !before.ends_with('.')
    });
    places.map(|(at, found)| at..at + found.len()).take(100)
}

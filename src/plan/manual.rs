//! Evidence that persons bring: leaflets, web pages, messages, schools, access points.
//!
//! No device of ours proves these. An entry holds who says so, for which day, and the hash of the
//! file that shows it, so that nobody exchanges the file later; it stays in a column of its own
//! wherever it is counted.

use super::line::{LineRef, Means, PlanLine};
use super::topic::TopicCode;
use crate::domain::ids::{Digest, EntryId, PersonId, UnitId};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// Bytes of the longest file.
pub const FILE_BYTES: u64 = 50_000_000;

/// How it went out; the log has the same words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    Leaflet,
    Web,
    Sms,
    School,
    Wifi,
    Other,
}

impl Channel {
    /// The words of files: those to recommend first, then their Vietnamese names.
    pub const WORDS: [(&'static str, Self); 12] = [
        ("leaflet", Self::Leaflet),
        ("web", Self::Web),
        ("sms", Self::Sms),
        ("school", Self::School),
        ("wifi", Self::Wifi),
        ("other", Self::Other),
        ("tờ rơi", Self::Leaflet),
        ("trang web", Self::Web),
        ("tin nhắn", Self::Sms),
        ("trường học", Self::School),
        ("điểm wifi", Self::Wifi),
        ("khác", Self::Other),
    ];

    /// Returns the word.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, channel)| *channel == self).map_or("other", |(word, _)| word)
    }

    /// Says whether a line that wants these means is served by this channel.
    fn serves(self, means: &[Means]) -> bool {
        let fits = |one: &Means| match self {
            Self::Leaflet => *one == Means::Leaflet,
            Self::Web => matches!(one, Means::Web | Means::Social | Means::Press),
            Self::Sms => *one == Means::Sms,
            Self::School => matches!(one, Means::School | Means::Training),
            Self::Wifi => *one == Means::Wifi,
            // Loudspeakers of others, too, which prove nothing by themselves.
            Self::Other => true,
        };
        means.is_empty() || means.iter().any(fits)
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub id: EntryId,
    pub channel: Channel,
    pub unit: UnitId,
    /// The line that it serves, if any.
    pub line: Option<LineRef>,
    pub topic: Option<TopicCode>,
    /// What it was, in a line.
    pub title: String,
    /// Name of the file that shows it, below the folder of evidence.
    pub file: String,
    pub sha256: Digest,
    pub bytes: u64,
    /// The day it happened, as the person says.
    pub on: NaiveDate,
    /// Who says so.
    pub by: PersonId,
    /// How many: leaflets, messages; one unless said.
    pub count: u32,
    pub note: Option<String>,
}

/// The file as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub sha256: Digest,
    pub bytes: u64,
}

/// Why an entry does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryFault {
    #[error("entry `{entry}`: there is no file `{file}`")]
    Missing { entry: EntryId, file: String },
    #[error("entry `{entry}`: `{file}` has {got} bytes, the entry says {want}")]
    Size { entry: EntryId, file: String, got: u64, want: u64 },
    #[error("entry `{entry}`: `{file}` hashes to {got}, the entry says {want}")]
    Hash { entry: EntryId, file: String, got: Digest, want: Digest },
    #[error("entry `{entry}`: `{file}` is empty")]
    Empty { entry: EntryId, file: String },
    #[error("entry `{entry}` is of {on}, which is still to come")]
    Future { entry: EntryId, on: NaiveDate },
    #[error("entry `{entry}` is of {on}, line `{line}` runs {months}")]
    Outside { entry: EntryId, on: NaiveDate, line: LineRef, months: String },
    #[error("entry `{entry}`: line `{line}` does not go out by `{channel}`")]
    Channel { entry: EntryId, line: LineRef, channel: &'static str },
    #[error("entry `{entry}` serves line `{line}`, which is in no plan")]
    Line { entry: EntryId, line: LineRef },
}

impl EntryFault {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "put the file into the folder of evidence under that name",
            Self::Size { .. } | Self::Hash { .. } => {
                "give the file as it was when the entry was made, or make a new entry for this one"
            }
            Self::Empty { .. } => {
                "an empty file shows nothing: give a photograph, a scan or a page"
            }
            Self::Future { .. } => "see whether the date is right",
            Self::Outside { .. } => "see whether date and line are right",
            Self::Channel { .. } => "name another line, or none",
            Self::Line { .. } => "name a line as `plan/line`, as in `kon-tum-3630/ii-1`",
        }
    }
}

impl Entry {
    /// Judges an entry against the file that shows it, the day of entering, and its line; all
    /// faults at once. `line` answers what line an id names.
    pub fn check<'a>(
        &self,
        found: Option<Found>,
        today: NaiveDate,
        line: impl FnOnce(&LineRef) -> Option<&'a PlanLine>,
    ) -> Vec<EntryFault> {
        let entry = || self.id.clone();
        let file = || self.file.clone();
        let mut faults = Vec::new();
        match found {
            None => faults.push(EntryFault::Missing { entry: entry(), file: file() }),
            Some(Found { bytes: 0, .. }) => {
                faults.push(EntryFault::Empty { entry: entry(), file: file() });
            }
            Some(Found { bytes, .. }) if bytes != self.bytes => {
                let (got, want) = (bytes, self.bytes);
                faults.push(EntryFault::Size { entry: entry(), file: file(), got, want });
            }
            Some(Found { sha256, .. }) if sha256 != self.sha256 => {
                let (got, want) = (sha256, self.sha256);
                faults.push(EntryFault::Hash { entry: entry(), file: file(), got, want });
            }
            Some(_) => {}
        }
        if self.on > today {
            faults.push(EntryFault::Future { entry: entry(), on: self.on });
        }
        if let Some(named) = &self.line {
            let name = || named.clone();
            match line(named) {
                None => faults.push(EntryFault::Line { entry: entry(), line: name() }),
                Some(line) => {
                    let month = super::Month::of(self.on);
                    if !month.is_some_and(|month| line.months.contains(month)) {
                        let (on, months) = (self.on, line.months.to_string());
                        faults.push(EntryFault::Outside {
                            entry: entry(),
                            on,
                            line: name(),
                            months,
                        });
                    }
                    if !self.channel.serves(&line.means) {
                        let channel = self.channel.word();
                        faults.push(EntryFault::Channel { entry: entry(), line: name(), channel });
                    }
                }
            }
        }
        faults
    }
}

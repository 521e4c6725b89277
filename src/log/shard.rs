//! Shards: a log a year, so that none grows for ever and keys change with it.
//!
//! Pure. A shard is named by its year; a second one in a year (`2027-2`) exists only after a
//! restore that lost the tail of the first. Which shard is written follows from the names in the
//! data folder and beside the head files, so a data folder that lacks a shard is noticed.

use crate::wire::tlog::{Name, NameError};
use std::fmt;
use std::str::FromStr;

/// The name of a shard: `2027`, or `2027-2` for the second of that year.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardName {
    year: u16,
    part: u16,
}

/// A text that is not the name of a shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a shard's name: a year such as `2027`, or `2027-2`")]
pub struct ShardNameError {
    pub text: String,
}

impl ShardName {
    /// Returns the first shard of a year; years outside 2000 to 9999 are moved to the nearest.
    pub fn of_year(year: u16) -> Self {
        Self { year: year.clamp(2_000, 9_999), part: 1 }
    }

    /// Returns the year.
    pub fn year(self) -> u16 {
        self.year
    }

    /// Returns the log's name: the station's base with the shard behind it.
    pub fn origin(self, base: &Name) -> Result<Name, NameError> {
        Name::new(format!("{base}/{self}"))
    }
}

impl fmt::Display for ShardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            1 => write!(f, "{:04}", self.year),
            part => write!(f, "{:04}-{part}", self.year),
        }
    }
}

impl fmt::Debug for ShardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ShardName {
    type Err = ShardNameError;
    fn from_str(text: &str) -> Result<Self, ShardNameError> {
        let read = || {
            let (year, part) = match text.split_once('-') {
                None => (text, 1),
                Some((year, part)) => {
                    let part = crate::wire::tlog::text::decimal(part)?;
                    (year, u16::try_from(part).ok().filter(|part| *part > 1)?)
                }
            };
            let year = crate::wire::tlog::text::decimal(year)?;
            let year = u16::try_from(year).ok().filter(|y| (2_000..=9_999).contains(y))?;
            Some(Self { year, part })
        };
        read().ok_or_else(|| ShardNameError { text: crate::wire::tlog::text::excerpt(text) })
    }
}

/// Which shard is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// Go on with this one.
    Go { shard: ShardName },
    /// Finish the round of the older one, then begin this one with a `shard` leaf that names its
    /// last head.
    Begin { shard: ShardName, after: Option<ShardName> },
}

/// A shard is known beside the head files and missing in the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shard `{known}` was written, but the data ends with {}", found_text(*found))]
pub struct ShardLost {
    pub known: ShardName,
    pub found: Option<ShardName>,
}

fn found_text(found: Option<ShardName>) -> String {
    found.map_or_else(|| "none".to_owned(), |found| format!("`{found}`"))
}

impl ShardLost {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        "an older backup was restored: copy the shard's folder from a newer one, a mirror or an \
         audit pack, or begin a new shard with a `restored` leaf"
    }
}

/// Decides by the calendar year and by the shards that lie in the data and beside the head files.
/// A clock that went back never leads back into an older shard.
pub fn writing(year: u16, data: &[ShardName], heads: &[ShardName]) -> Result<Writing, ShardLost> {
    let newest = data.iter().max().copied();
    let known = heads.iter().max().copied();
    // A shard's first round writes its tiles before its head file, so a head file without data is
    // a shard that is missing, not one that never began.
    if let Some(known) = known.filter(|known| newest.is_none_or(|newest| newest < *known)) {
        return Err(ShardLost { known, found: newest });
    }
    let current = ShardName::of_year(year);
    Ok(match newest {
        Some(newest) if newest.year >= current.year => Writing::Go { shard: newest },
        after => Writing::Begin { shard: current, after },
    })
}

/// Returns the shard to begin after a restore that lost the tail of another.
pub fn after_loss(year: u16, data: &[ShardName], heads: &[ShardName]) -> ShardName {
    let current = ShardName::of_year(year);
    let newest = data.iter().chain(heads).max().copied();
    match newest {
        Some(newest) if newest >= current => {
            ShardName { part: newest.part.saturating_add(1), ..newest }
        }
        _ => current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<ShardName> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn name(text: &str) -> ShardName {
        text.parse().unwrap()
    }

    #[test]
    fn a_shard_has_one_name() {
        for good in ["2027", "2027-2", "9999-65535"] {
            assert_eq!(name(good).to_string(), good);
        }
        for bad in [
            "",
            "27",
            "1999",
            "10000",
            "2027-1",
            "2027-02",
            "2027-0",
            "2027-",
            "+2027",
            "2027-65536",
        ] {
            assert!(bad.parse::<ShardName>().is_err(), "{bad:?}");
        }
        let base = Name::new("loa.example.vn/log").unwrap();
        assert_eq!(name("2027-2").origin(&base).unwrap().as_str(), "loa.example.vn/log/2027-2");
        assert!(name("2027") < name("2027-2") && name("2027-9") < name("2028"));
    }

    #[test]
    fn a_new_year_begins_a_new_shard_and_a_clock_set_back_none() {
        let first = Writing::Begin { shard: name("2027"), after: None };
        assert_eq!(writing(2027, &[], &[]), Ok(first));
        let held = names(&["2026", "2027-2", "2027"]);
        assert_eq!(writing(2027, &held, &held), Ok(Writing::Go { shard: name("2027-2") }));
        assert_eq!(writing(2026, &held, &held), Ok(Writing::Go { shard: name("2027-2") }));
        let next = Writing::Begin { shard: name("2028"), after: Some(name("2027-2")) };
        assert_eq!(writing(2028, &held, &held), Ok(next));
    }

    #[test]
    fn data_without_the_newest_shard_is_not_written_to() {
        let lost = ShardLost { known: name("2027"), found: Some(name("2026")) };
        assert_eq!(writing(2027, &names(&["2026"]), &names(&["2026", "2027"])), Err(lost));
        assert_eq!(lost.to_string(), "shard `2027` was written, but the data ends with `2026`");
        let all = ShardLost { known: name("2027"), found: None };
        assert_eq!(writing(2027, &[], &names(&["2027"])), Err(all));
        assert_eq!(all.to_string(), "shard `2027` was written, but the data ends with none");
    }

    #[test]
    fn after_a_loss_no_name_is_used_twice() {
        let (data, heads) = (names(&["2026"]), names(&["2026", "2027"]));
        assert_eq!(after_loss(2027, &data, &heads), name("2027-2"));
        assert_eq!(after_loss(2028, &data, &heads), name("2028"));
        assert_eq!(after_loss(2026, &data, &heads), name("2027-2"), "the clock is behind");
        assert_eq!(after_loss(2027, &[], &[]), name("2027"));
    }
}

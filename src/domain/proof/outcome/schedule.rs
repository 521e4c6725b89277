//! Which cues were in force: all versions of a device's schedule, folded.
//!
//! A board goes over at once to a showing whose time has begun when it is ordered: such a showing
//! is due from its order on. A clip that has begun is not: nobody means half of it.

use crate::domain::ids::CueId;
use crate::domain::time::UtcMs;
use crate::domain::timetable::Kind;
use std::collections::BTreeMap;

/// A cue as one version of the schedule has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub cue: CueId,
    pub at_ms: UtcMs,
    /// From when on it is due: its start, or its order when a board's time had begun.
    pub from_ms: UtcMs,
    pub end_ms: UtcMs,
    pub item: String,
    pub title: String,
    pub kind: Kind,
}

/// One version of a device's schedule, as far as the period goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub ver: i64,
    /// When it was signed, and said in the log.
    pub published_ms: UtcMs,
    /// Each cue at most once; the first counts.
    pub cues: Vec<Due>,
}

/// How a cue stands to all versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// In force at its start.
    Due(Due),
    /// Dropped before its start.
    Withdrawn { due: Due, at_ms: UtcMs },
    /// Known only from a version that came after its start.
    TooLate(Due),
}

impl Expected {
    /// Returns the cue as it was due.
    pub fn due(&self) -> &Due {
        match self {
            Self::Due(due) | Self::TooLate(due) | Self::Withdrawn { due, .. } => due,
        }
    }
}

/// Folds the versions: for each cue the newest one published before its start decides.
pub fn in_force(versions: &[Version]) -> BTreeMap<CueId, Expected> {
    let mut versions: Vec<&Version> = versions.iter().collect();
    versions.sort_by_key(|version| version.ver);
    // A version that came out after a higher one was refused by the device.
    let mut next = UtcMs(i64::MAX);
    let mut rising = Vec::with_capacity(versions.len());
    for version in versions.into_iter().rev() {
        if version.published_ms < next {
            next = version.published_ms;
            rising.push(version);
        }
    }
    rising.reverse();
    let mut expected: BTreeMap<CueId, Expected> = BTreeMap::new();
    for version in rising {
        let mut named: BTreeMap<CueId, &Due> = BTreeMap::new();
        for due in &version.cues {
            named.entry(due.cue).or_insert(due);
        }
        for (cue, known) in &mut expected {
            if let Expected::Due(due) = known
                && due.from_ms > version.published_ms
                && !named.contains_key(cue)
            {
                let at_ms = version.published_ms;
                *known = Expected::Withdrawn { due: due.clone(), at_ms };
            }
        }
        for (cue, due) in named {
            let begun = matches!(
                expected.get(&cue),
                Some(Expected::Due(known)) if known.from_ms <= version.published_ms
            );
            if begun {
                continue;
            }
            let (mut due, published) = (due.clone(), version.published_ms);
            due.from_ms = due.at_ms.max(published);
            let shows = due.kind == Kind::Pages && published < due.end_ms;
            if due.at_ms > published || shows {
                expected.insert(cue, Expected::Due(due));
            } else {
                due.from_ms = due.at_ms;
                expected.entry(cue).or_insert(Expected::TooLate(due));
            }
        }
    }
    expected
}

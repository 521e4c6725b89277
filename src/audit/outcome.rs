//! What became of each cue on a device: the schedule in force against what its records say.
//!
//! Written from the contract alone. The newest schedule published before a cue's start decides
//! whether it was due; the device's word decides what it played, but never above what it counted;
//! where it says nothing, its trail decides between silent and missing.

use super::documents::{Due, Output};
use super::life::{Absent, absent};
use super::record::{Cue, Said, What};
use super::register::Place;
use super::trail::{Fact, Trail};
use super::verdict::Outcomes;
use std::collections::BTreeMap;

/// Of a clip so much must have sounded to count as played, in percent.
const CLIP_PERCENT: i128 = 98;
/// Of a board's time so much must have been shown.
const PAGES_PERCENT: i128 = 95;

/// A version of a device's schedule, as far as the window goes.
#[derive(Clone, Debug)]
pub struct Version {
    pub ver: i64,
    pub published_ms: i64,
    pub place: Place,
    pub cues: Vec<Due>,
}

/// How a cue stands to all versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// In force at its start.
    InForce,
    /// Dropped before its start.
    Withdrawn,
    /// Known only from a version that came after its start.
    TooLate,
}

/// A cue with its stand and where it was first published.
#[derive(Clone, Copy, Debug)]
pub struct Planned {
    pub due: Due,
    pub stand: Stand,
    pub since: Place,
}

/// Folds the versions.
pub fn fold(versions: &[Version]) -> BTreeMap<Cue, Planned> {
    let mut sorted: Vec<&Version> = versions.iter().collect();
    sorted.sort_by_key(|version| version.ver);
    // A version that came out after a higher one was refused by the device.
    let mut next = i64::MAX;
    let mut rising = Vec::with_capacity(sorted.len());
    for version in sorted.into_iter().rev() {
        if version.published_ms < next {
            next = version.published_ms;
            rising.push(version);
        }
    }
    let mut planned: BTreeMap<Cue, Planned> = BTreeMap::new();
    for version in rising.into_iter().rev() {
        let published = version.published_ms;
        let mut named: BTreeMap<Cue, Due> = BTreeMap::new();
        for due in &version.cues {
            named.entry(due.cue).or_insert(*due);
        }
        for (cue, known) in &mut planned {
            let ahead = known.stand == Stand::InForce && known.due.at_ms > published;
            if ahead && !named.contains_key(cue) {
                known.stand = Stand::Withdrawn;
            }
        }
        for (cue, due) in named {
            let since = planned.get(&cue).map_or(version.place, |known| known.since);
            let begun =
                |known: &Planned| known.stand == Stand::InForce && known.due.at_ms <= published;
            if planned.get(&cue).is_some_and(begun) {
                continue;
            }
            if due.at_ms > published {
                planned.insert(cue, Planned { due, stand: Stand::InForce, since });
            } else {
                let late = Planned { due, stand: Stand::TooLate, since };
                planned.entry(cue).or_insert(late);
            }
        }
    }
    // Published first is logged first, whatever its number.
    for version in versions {
        for due in &version.cues {
            if let Some(known) = planned.get_mut(&due.cue) {
                known.since = known.since.min(version.place);
            }
        }
    }
    planned
}

/// The result of a cue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Played(u8),
    Partial,
    Failed,
    PreEmpted,
    Refused,
    Offline,
    Missing,
    Pending,
}

/// All that is said of one cue.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    ms: i64,
    grade: Option<u8>,
    last: Option<Said>,
    about: Option<(i64, i64, bool)>,
    first: Option<(u64, Place)>,
}

impl Sum {
    fn add(&mut self, fact: &Fact) {
        let earlier = self.first.is_none_or(|(_, place)| fact.place < place);
        if earlier {
            self.first = Some((fact.seq, fact.place));
        }
        if fact.what == What::Start {
            return;
        }
        let ms = i64::from(fact.ms);
        if ms > 0 {
            // As strong as its weakest part, of those that carry something.
            let known = self.grade.filter(|_| self.ms > 0);
            self.grade = Some(known.map_or(fact.grade, |known| known.min(fact.grade)));
        } else {
            self.grade.get_or_insert(fact.grade);
        }
        self.ms = self.ms.saturating_add(ms);
        self.last = Some(fact.said);
        let show = fact.what == What::Show;
        self.about = Some(match self.about.filter(|_| show) {
            Some((from, to, _)) => (from.min(fact.at_ms), to.max(fact.end_ms), true),
            None => (fact.at_ms, fact.end_ms, show),
        });
    }
}

/// What is wrong with a cue that sounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Odd {
    /// No timetable that orders it was published before its start.
    Unplanned,
    /// The record was logged before the timetable that orders it.
    Premature,
}

/// What became of a device's cues.
#[derive(Debug, Default)]
pub struct Judged {
    /// Of each cue that was due.
    pub due: Vec<(Cue, Outcome)>,
    /// Played although withdrawn in time.
    pub superseded: u64,
    pub odd: Vec<(Odd, Cue, u64, Place)>,
}

/// Judges a device: `window` is when the cues asked about start, `now` the end of the log.
pub fn judge(
    planned: &BTreeMap<Cue, Planned>,
    trail: &Trail,
    window: (i64, i64),
    now: i64,
) -> Judged {
    let asked = |at: i64| window.0 <= at && at < window.1;
    let mut facts: Vec<&Fact> = trail.facts.iter().collect();
    let chain = |fact: &Fact| trail.chains.get(usize::from(fact.chain)).map(|chain| chain.id);
    facts.sort_by_key(|fact| (fact.cue, chain(fact), fact.seq));
    let mut sums: BTreeMap<Cue, Sum> = BTreeMap::new();
    for fact in facts {
        if planned.contains_key(&fact.cue) || asked(fact.at_ms) {
            sums.entry(fact.cue).or_default().add(fact);
        }
    }
    // Cues of a rotation are shown in turn: its time is judged as a whole.
    let mut rotations: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    for (cue, Planned { due, stand, .. }) in planned {
        if *stand == Stand::InForce && due.output == Output::Pages {
            let shown = sums.get(cue).map_or(0, |sum| sum.ms);
            let whole = rotations.entry((due.at_ms, due.end_ms)).or_default();
            *whole = whole.saturating_add(shown);
        }
    }
    let mut judged = Judged::default();
    for (cue, Planned { due, stand, since }) in planned {
        if !asked(due.at_ms) {
            continue;
        }
        let sum = sums.get(cue);
        let told = sum.and_then(|sum| sum.first.map(|first| (sum, first)));
        match stand {
            Stand::InForce => {
                let whole = rotations.get(&(due.at_ms, due.end_ms)).copied();
                judged.due.push((*cue, outcome(due, sum, whole, trail, now)));
                if let Some((_, (seq, place))) = told.filter(|(_, (_, place))| place < since) {
                    judged.odd.push((Odd::Premature, *cue, seq, place));
                }
            }
            Stand::Withdrawn => {
                judged.superseded += u64::from(sum.is_some_and(|sum| sum.ms > 0));
            }
            Stand::TooLate => {
                if let Some((_, (seq, place))) = told.filter(|(sum, _)| sum.ms > 0) {
                    judged.odd.push((Odd::Unplanned, *cue, seq, place));
                }
            }
        }
    }
    for (cue, sum) in sums.iter().filter(|(cue, _)| !planned.contains_key(*cue)) {
        if let (Some((seq, place)), true) = (sum.first, sum.ms > 0) {
            judged.odd.push((Odd::Unplanned, *cue, seq, place));
        }
    }
    judged
}

fn outcome(due: &Due, sum: Option<&Sum>, whole: Option<i64>, trail: &Trail, now: i64) -> Outcome {
    if now < due.end_ms {
        return Outcome::Pending;
    }
    let Some(sum) = sum else {
        return match absent(&trail.chains, due.at_ms, due.end_ms) {
            Absent::There => Outcome::Missing,
            Absent::Gap | Absent::Restarted | Absent::Silent => Outcome::Offline,
        };
    };
    // A start whose end nobody reports.
    let Some(last) = sum.last else { return Outcome::Partial };
    let (counted, percent) = match due.output {
        Output::Clip => (sum.ms, CLIP_PERCENT),
        Output::Pages => (whole.unwrap_or(sum.ms).max(sum.ms), PAGES_PERCENT),
    };
    let length = i128::from(due.end_ms) - i128::from(due.at_ms);
    if sum.ms > 0 && i128::from(counted) * 100 >= length * percent {
        return Outcome::Played(sum.grade.unwrap_or(0));
    }
    match last {
        Said::PreEmpted => Outcome::PreEmpted,
        Said::Played | Said::Partial => Outcome::Partial,
        _ if sum.ms > 0 => Outcome::Partial,
        Said::Failed => Outcome::Failed,
        Said::Refused => Outcome::Refused,
    }
}

impl Outcomes {
    /// Counts an outcome.
    pub(super) fn count(&mut self, outcome: Outcome) {
        self.expected += 1;
        match outcome {
            Outcome::Played(grade) => *self.played.entry(grade.min(6)).or_default() += 1,
            Outcome::Partial => self.partial += 1,
            Outcome::Missing => self.missing += 1,
            Outcome::Pending => self.pending += 1,
            Outcome::Failed | Outcome::PreEmpted | Outcome::Refused | Outcome::Offline => {
                self.explained += 1;
            }
        }
    }
}

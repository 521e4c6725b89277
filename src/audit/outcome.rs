//! What became of each cue on a device: the schedule in force against what its records say.
//!
//! Written from the contract alone. The newest schedule published before a cue's start decides
//! whether it was due; the device's word decides what it played, but never above what it counted;
//! where it says nothing, its trail decides between silent and missing.

use super::documents::{Due, Output};
use super::facts::{Fact, Subjects};
use super::life::{Absent, absent};
use super::record::{Cue, Said, What};
use super::register::{Ordered, Place};
use super::trail::Trail;
use super::verdict::Outcomes;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

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
    /// The cues of each of its days.
    pub days: Vec<Rc<[Due]>>,
}

impl Version {
    fn cues(&self) -> impl Iterator<Item = &Due> {
        self.days.iter().flat_map(|day| day.iter())
    }
}

/// Cues of a device that are judged at once; a loudspeaker's year has a few thousand.
pub const PLANNED: usize = 200_000;

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
    /// From when on it is due: its start; a board's showing that had begun, from its order on.
    pub from_ms: i64,
    pub stand: Stand,
    pub since: Place,
    /// Where the version that decides was published.
    pub by: Place,
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
    // A year's versions name a device's cues thousands of times: sorted, they cost no tree each.
    let mut named: Vec<&Due> = Vec::new();
    for version in rising.into_iter().rev() {
        let published = version.published_ms;
        named.clear();
        named.extend(version.cues());
        // Of a cue that is named twice the first counts.
        named.sort_by_key(|due| due.cue);
        named.dedup_by_key(|due| due.cue);
        for (cue, known) in &mut planned {
            let ahead = known.stand == Stand::InForce && known.from_ms > published;
            if ahead && named.binary_search_by_key(cue, |due| due.cue).is_err() {
                known.stand = Stand::Withdrawn;
            }
        }
        for due in &named {
            if planned.len() >= PLANNED {
                break;
            }
            let (due, by, from_ms) = (**due, version.place, due.at_ms.max(published));
            // A board goes over at once to what is ordered; a clip that has begun is lost.
            let shows = due.output == Output::Pages && published < due.end_ms;
            let in_time = due.at_ms > published || shows;
            match planned.entry(due.cue) {
                Entry::Occupied(mut known) => {
                    let known = known.get_mut();
                    let begun = known.stand == Stand::InForce && known.from_ms <= published;
                    if in_time && !begun {
                        let since = known.since;
                        *known = Planned { due, from_ms, stand: Stand::InForce, since, by };
                    }
                }
                Entry::Vacant(new) if in_time => {
                    new.insert(Planned { due, from_ms, stand: Stand::InForce, since: by, by });
                }
                Entry::Vacant(new) => {
                    let (stand, from_ms) = (Stand::TooLate, due.at_ms);
                    new.insert(Planned { due, from_ms, stand, since: by, by });
                }
            }
        }
    }
    // Published first is logged first, whatever its number.
    for version in versions {
        for due in version.cues() {
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
    first: Option<(u64, Place)>,
    /// The first that was played from something else than was ordered.
    stray: Option<(u64, Place)>,
    asked: bool,
    lost: bool,
}

impl Sum {
    fn add(&mut self, fact: &Fact, stray: bool) {
        self.asked |= fact.asked;
        self.lost |= fact.lost;
        if stray && fact.ms > 0 && self.stray.is_none_or(|(_, place)| fact.place < place) {
            self.stray = Some((fact.seq, fact.place));
        }
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
    }
}

/// What is wrong with a cue or notice that sounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Odd {
    /// No timetable that orders it was published before its start.
    Unplanned,
    /// The record was logged before the timetable that orders it.
    Premature,
    /// It was played from a sheet that was not published for the device.
    Stray,
    /// Nobody approved it, as far as the log knows.
    Unapproved,
    /// It was approved only after its timetable was published.
    ApprovedLate,
    /// An urgent notice that was not logged.
    Unordered,
    /// An urgent notice with another sound than was ordered.
    Swapped,
    /// The record was logged before the notice.
    Foretold,
}

/// Something odd: the cue or short name of the notice, and the record that shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oddity {
    pub what: Odd,
    pub subject: [u8; 16],
    pub seq: u64,
    pub place: Place,
}

/// What became of a device's cues.
#[derive(Debug, Default)]
pub struct Judged {
    /// Of each cue that was due.
    pub due: Vec<(Cue, Outcome)>,
    /// Played although withdrawn in time.
    pub superseded: u64,
    pub odd: Vec<Oddity>,
    /// What would be odd, had not the log lost its tail at that time.
    pub explained: u64,
}

impl Judged {
    fn odd(&mut self, what: Odd, subject: [u8; 16], sum: &Sum, at: Option<(u64, Place)>) {
        match at {
            Some(_) if sum.lost => self.explained += 1,
            Some((seq, place)) => self.odd.push(Oddity { what, subject, seq, place }),
            None => {}
        }
    }
}

/// What a device is judged by, beside its trail.
#[derive(Clone, Copy)]
pub struct Grounds<'a> {
    pub subjects: &'a Subjects,
    /// The sheets that were ever published for it, by the beginning of their names.
    pub sheets: &'a BTreeSet<[u8; 16]>,
    pub ordered: &'a Ordered,
    /// What urgent notices sound, by short name; the beginning of the asset's hash.
    pub sounds: &'a BTreeMap<[u8; 16], Option<[u8; 16]>>,
    /// When the cues asked about start.
    pub window: (i64, i64),
    /// The end of the log.
    pub now: i64,
}

/// Judges a device.
pub fn judge(planned: &BTreeMap<Cue, Planned>, trail: &Trail, grounds: Grounds<'_>) -> Judged {
    let Grounds { subjects, sheets, ordered, sounds, window, now } = grounds;
    let asked = |at: i64| window.0 <= at && at < window.1;
    let mut facts: Vec<Fact> = trail.facts.iter().collect();
    let chain = |fact: &Fact| trail.chains.get(usize::from(fact.chain)).map(|chain| chain.id);
    facts.sort_by_key(|fact| (fact.subject, chain(fact), fact.seq));
    let mut sums: BTreeMap<Cue, Sum> = BTreeMap::new();
    let mut notices: BTreeMap<[u8; 16], Sum> = BTreeMap::new();
    for fact in facts {
        let subject = subjects.name(fact.subject);
        let source = (fact.source > 0).then(|| subjects.name(fact.source));
        if fact.notice {
            if fact.asked {
                let other = |sound: &Option<[u8; 16]>| source.is_some() && *sound != source;
                let stray = sounds.get(&subject).is_some_and(other);
                notices.entry(subject).or_default().add(&fact, stray);
            }
            continue;
        }
        let stray = source.is_some_and(|sheet| !sheets.contains(&sheet));
        if planned.contains_key(&subject) || fact.asked {
            sums.entry(subject).or_default().add(&fact, stray);
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
    for (cue, known) in planned {
        let Planned { due, stand, since, by, .. } = known;
        if !asked(due.at_ms) {
            continue;
        }
        let sum = sums.get(cue);
        let sounded = sum.filter(|sum| sum.ms > 0);
        match stand {
            Stand::InForce => {
                let whole = rotations.get(&(due.at_ms, due.end_ms)).copied();
                judged.due.push((*cue, outcome(known, sum, whole, trail, now)));
                if let Some((sum, first)) = sum.zip(sum.and_then(|sum| sum.first))
                    && first.1 < *since
                {
                    judged.odd(Odd::Premature, *cue, sum, Some(first));
                }
                let Some(sum) = sounded else { continue };
                judged.odd(Odd::Stray, *cue, sum, sum.stray);
                match due.approval.map(|hash| ordered.approval(&hash)) {
                    Some(None) => judged.odd(Odd::Unapproved, *cue, sum, sum.first),
                    Some(Some(at)) if at > *by || sum.first.is_some_and(|(_, own)| at > own) => {
                        judged.odd(Odd::ApprovedLate, *cue, sum, sum.first);
                    }
                    None | Some(Some(_)) => {}
                }
            }
            Stand::Withdrawn => judged.superseded += u64::from(sounded.is_some()),
            Stand::TooLate => {
                if let Some(sum) = sounded {
                    judged.odd(Odd::Unplanned, *cue, sum, sum.first);
                }
            }
        }
    }
    let sounded = |(_, sum): &(&[u8; 16], &Sum)| sum.ms > 0;
    for (cue, sum) in sums.iter().filter(sounded) {
        if !planned.contains_key(cue) {
            judged.odd(Odd::Unplanned, *cue, sum, sum.first);
        }
    }
    for (notice, sum) in notices.iter().filter(sounded) {
        match ordered.notice(notice) {
            None => judged.odd(Odd::Unordered, *notice, sum, sum.first),
            Some(at) if sum.first.is_some_and(|(_, own)| own < at) => {
                judged.odd(Odd::Foretold, *notice, sum, sum.first);
            }
            Some(_) => judged.odd(Odd::Swapped, *notice, sum, sum.stray),
        }
    }
    judged
}

fn outcome(
    known: &Planned,
    sum: Option<&Sum>,
    whole: Option<i64>,
    trail: &Trail,
    now: i64,
) -> Outcome {
    let (due, from_ms) = (&known.due, known.from_ms);
    if now < due.end_ms {
        return Outcome::Pending;
    }
    let Some(sum) = sum else {
        return match absent(&trail.chains, from_ms, due.end_ms) {
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
    let length = i128::from(due.end_ms) - i128::from(from_ms);
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

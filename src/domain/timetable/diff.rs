//! What differs between two schedules, cue by cue.
//!
//! Invariant: `apply(old, diff(old, new)) == new`, to the order, for lists without doubled ids.

use super::plan::DayRef;
use super::sheet::Cue;
use crate::domain::ids::CueId;
use crate::domain::time::UtcMs;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// What differs between two lists of cues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Only in the old list, in its order.
    pub gone: Vec<Cue>,
    /// Not in the old list as it is now, by place in the new list.
    pub put: Vec<Put>,
}

/// A cue of the new list that was not there, or not so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Its place in the new list.
    pub place: usize,
    /// The cue as it is now.
    pub cue: Cue,
    /// What happened to it.
    pub change: Change,
}

/// What happened to a cue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Its id was not there.
    New,
    /// It starts at another instant, or stands at another place of its rotation.
    Moved { from: Cue },
    /// It starts as before; something else differs.
    Changed { from: Cue },
}

impl Diff {
    /// Says whether the two lists are equal.
    pub fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.put.is_empty()
    }
}

/// Compares two lists of cues.
pub fn diff(old: &[Cue], new: &[Cue]) -> Diff {
    let old_place: HashMap<CueId, usize> = old.iter().zip(0..).map(|(c, at)| (c.id, at)).collect();
    let new_ids: HashSet<CueId> = new.iter().map(|cue| cue.id).collect();
    // Equal cues stay where they are as far as their order allows.
    let equal: Vec<(usize, usize)> = new
        .iter()
        .zip(0..)
        .filter_map(|(cue, place)| {
            let was = *old_place.get(&cue.id)?;
            (old[was] == *cue).then_some((was, place))
        })
        .collect();
    let staying: HashSet<usize> = longest_rising(&equal);
    let put = new
        .iter()
        .enumerate()
        .filter(|(place, _)| !staying.contains(place))
        .map(|(place, cue)| {
            let change = match old_place.get(&cue.id).map(|was| &old[*was]) {
                None => Change::New,
                Some(from) if from.at_ms != cue.at_ms || from == cue => {
                    Change::Moved { from: from.clone() }
                }
                Some(from) => Change::Changed { from: from.clone() },
            };
            Put { place, cue: cue.clone(), change }
        })
        .collect();
    let gone = old.iter().filter(|cue| !new_ids.contains(&cue.id)).cloned().collect();
    Diff { gone, put }
}

/// Returns the new places of a longest run of pairs whose old places rise.
fn longest_rising(pairs: &[(usize, usize)]) -> HashSet<usize> {
    let mut ends: Vec<usize> = Vec::new(); // ends[n]: pair that ends the best run of n + 1
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (at, (was, _)) in pairs.iter().enumerate() {
        let length = ends.partition_point(|end| pairs[*end].0 < *was);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        if length == ends.len() {
            ends.push(at);
        } else {
            ends[length] = at;
        }
    }
    let mut found = HashSet::new();
    let mut next = ends.last().copied();
    while let Some(at) = next {
        found.insert(pairs[at].1);
        next = before[at];
    }
    found
}

/// Makes the new list from the old one.
pub fn apply(old: &[Cue], diff: &Diff) -> Vec<Cue> {
    let gone: HashSet<CueId> =
        diff.gone.iter().map(|cue| cue.id).chain(diff.put.iter().map(|put| put.cue.id)).collect();
    let mut staying = old.iter().filter(|cue| !gone.contains(&cue.id)).cloned();
    let mut made: Vec<Cue> = Vec::with_capacity(old.len() + diff.put.len());
    for put in &diff.put {
        while made.len() < put.place {
            let Some(cue) = staying.next() else { break };
            made.push(cue);
        }
        made.push(put.cue.clone());
    }
    made.extend(staying);
    made
}

/// Compares two timetables day by day: by first instant of the day, only days that differ. Days
/// that share their sheet are not looked into.
pub fn diff_days(old: &[DayRef], new: &[DayRef]) -> BTreeMap<UtcMs, Diff> {
    let mut found = BTreeMap::new();
    let by_start = |days: &[DayRef]| -> BTreeMap<UtcMs, Arc<_>> {
        days.iter().map(|day| (day.from_ms, Arc::clone(&day.sheet))).collect()
    };
    let (old, new) = (by_start(old), by_start(new));
    for from in old.keys().chain(new.keys()) {
        let (before, after) = (old.get(from), new.get(from));
        if let (Some(before), Some(after)) = (before, after)
            && Arc::ptr_eq(before, after)
        {
            continue;
        }
        let cues = |sheet: Option<&Arc<super::sheet::DaySheet>>| -> Vec<Cue> {
            sheet.map(|sheet| sheet.cues.clone()).unwrap_or_default()
        };
        let diff = diff(&cues(before), &cues(after));
        if !diff.is_empty() {
            found.insert(*from, diff);
        }
    }
    found
}

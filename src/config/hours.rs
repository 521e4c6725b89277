//! Slots against quiet hours: a bulletin at 03:15 instead of 15:15 is refused here, before
//! anything is planned.
//!
//! Leaves dates, sessions and minutes to planning, which gives each cue its reason. Invariant: a
//! playlist that was in force is never refused because a policy became stricter, since then the
//! old policy would have to stay; planning leaves its cues out.

use super::LastGood;
use super::build::Parts;
use super::cross::{Registers, Target};
use super::fault::Faults;
use super::files::Files;
use super::playlist::PlacedPlaylist;
use super::problem::Problem;
use crate::domain::playlist::{Content, Slot, Targets};
use crate::domain::policy::Rules;
use crate::domain::recurrence::LocalTime;
use std::collections::{BTreeMap, BTreeSet};

/// Most times of day of a slot that are looked at; cron could name 86,400.
const MOST_TIMES: u32 = 1_440;

/// Whom each policy binds, in the order of the policies.
pub(super) struct Bound<'a> {
    devices: Vec<Option<BTreeSet<&'a str>>>,
}

impl<'a> Bound<'a> {
    /// Returns whom the policies bind.
    pub fn of(parts: &Parts, registers: &Registers<'a>) -> Self {
        let bound = |(_, placed): &(String, super::policy::PlacedPolicy)| {
            let policy = &placed.policy;
            let targets = Targets {
                units: policy.units.clone(),
                tags: policy.tags.clone(),
                devices: policy.devices.clone(),
                ..Targets::default()
            };
            (!policy.binds_all()).then(|| registers.reached(&targets))
        };
        Self { devices: parts.policies.iter().map(bound).collect() }
    }

    /// Parts devices into groups that the same policies bind; returns the rules of each.
    fn rules(&self, parts: &Parts, devices: &[&str]) -> Vec<Rules> {
        let mut groups: BTreeSet<Vec<usize>> = BTreeSet::new();
        for device in devices {
            let binds = |bound: &Option<BTreeSet<&str>>| {
                bound.as_ref().is_none_or(|bound| bound.contains(device))
            };
            let indices = self.devices.iter().enumerate().filter(|(_, bound)| binds(bound));
            groups.insert(indices.map(|(index, _)| index).collect());
        }
        let policies = |group: &Vec<usize>| {
            Rules::of(group.iter().filter_map(|i| parts.policies.get(*i)).map(|(_, p)| &p.policy))
        };
        groups.iter().map(policies).collect()
    }
}

/// Notes slots with clips whose time is quiet for every device that would sound.
pub(super) fn check(
    target: Target<'_>,
    placed: &PlacedPlaylist,
    speakers: &[&str],
    parts: &Parts,
    bound: &Bound<'_>,
    faults: &Faults,
) {
    let rules = bound.rules(parts, speakers);
    if rules.is_empty() {
        return;
    }
    for slot in placed.playlist.slots.iter().filter(|slot| sounds(placed, slot)) {
        if slot.when.per_day() > MOST_TIMES {
            continue; // nobody mistypes an hour in so many; planning judges each
        }
        let places = placed.times.get(&slot.id);
        for time in slot.when.times_of_day() {
            let quiet: Vec<_> = rules.iter().map(|rules| rules.quiet_at(time)).collect();
            let Some(Some((hours, policy))) = quiet.first() else { continue };
            if quiet.iter().any(Option::is_none) {
                continue;
            }
            let afternoon = LocalTime(time.0 + 12 * 3_600);
            let meant = time.0 < 12 * 3_600
                && rules.iter().any(|rules| rules.quiet_at(afternoon).is_none());
            let place = places.and_then(|places| places.get(&time).or(places.get(&ANY_TIME)));
            let problem = Problem::QuietSlot {
                slot: slot.id.to_string(),
                at: time.to_string(),
                hours: hours.to_string(),
                policy: policy.to_string(),
                meant: meant.then(|| afternoon.to_string()),
                refuses: target.was_good == WasGood::No,
            };
            faults.add(target.file, place.copied().unwrap_or(placed.targets_place), &problem);
        }
    }
}

/// Whether a file was in force as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WasGood {
    Yes,
    No,
}

impl WasGood {
    /// Compares the file with its last good version.
    pub fn of(files: &Files, last: &LastGood, key: &str) -> Self {
        let good = last.files.get(key);
        let same = good.is_some() && files.bytes.get(key).and_then(Option::as_ref) == good;
        if same { Self::Yes } else { Self::No }
    }
}

/// Stands for all times of a cron expression, which has one place.
pub(super) const ANY_TIME: LocalTime = LocalTime(u32::MAX);

fn sounds(placed: &PlacedPlaylist, slot: &Slot) -> bool {
    let kinds: BTreeMap<_, _> = placed.playlist.items.iter().map(|i| (&i.id, &i.content)).collect();
    slot.items.iter().any(|item| matches!(kinds.get(item), Some(Content::Clip { .. })))
}

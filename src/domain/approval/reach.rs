//! Which units a change can ever concern: who may decide about it.
//!
//! A preview looks some weeks ahead; a slot for a day in two years is beyond it. So whoever
//! approves must answer for every unit that the changed settings address, on whatever date.

use crate::domain::ids::{DeviceId, Tag, UnitId};
use crate::domain::playlist::{Content, Playlist};
use crate::domain::recurrence::DateSet;
use crate::domain::station::Station;
use std::collections::BTreeSet;

/// Returns the units that the settings which differ address, as settings name them: a playlist
/// for a district concerns the district, whatever devices stand there today.
pub fn reach(old: &Station, new: &Station) -> BTreeSet<UnitId> {
    let mut units = BTreeSet::new();
    one_way(old, new, &mut units);
    one_way(new, old, &mut units);
    units
}

/// Returns the units that a playlist addresses: those it names, and those where a device stands
/// that it names or that has one of its tags.
pub fn addressed_by(station: &Station, list: &Playlist) -> BTreeSet<UnitId> {
    let (mut units, targets) = (BTreeSet::new(), &list.targets);
    addressed(station, &targets.units, &targets.tags, &targets.devices, &mut units);
    units
}

/// Adds what stands in `here` and not so in `there`.
fn one_way(here: &Station, there: &Station, units: &mut BTreeSet<UnitId>) {
    if here.zone != there.zone || here.standby != there.standby || standby_changed(here, there) {
        everywhere(here, units);
    }
    for list in here.playlists.values() {
        if !same_list(there, list) || names_changed(here, there, list) {
            units.extend(addressed_by(here, list));
        }
    }
    for policy in here.policies.iter().filter(|policy| !there.policies.contains(policy)) {
        if policy.binds_all() {
            everywhere(here, units);
        }
        addressed(here, &policy.units, &policy.tags, &policy.devices, units);
    }
    for (id, device) in &here.devices {
        let profile = here.profiles.get(&device.profile) != there.profiles.get(&device.profile);
        if profile || there.devices.get(id) != Some(device) {
            units.insert(device.unit.clone());
        }
    }
    let moved = here.units.iter().filter(|(id, unit)| there.units.get(*id) != Some(*unit));
    units.extend(moved.map(|(id, _)| id.clone()));
}

fn everywhere(station: &Station, units: &mut BTreeSet<UnitId>) {
    let tops = station.units.values().filter(|unit| unit.parent.is_none());
    units.extend(tops.map(|unit| unit.id.clone()));
}

fn addressed(
    station: &Station,
    named: &[UnitId],
    tags: &[Tag],
    devices: &[DeviceId],
    units: &mut BTreeSet<UnitId>,
) {
    units.extend(named.iter().cloned());
    if tags.is_empty() && devices.is_empty() {
        return;
    }
    let is_named = |(id, device): &(&DeviceId, &crate::domain::station::Device)| {
        devices.contains(id) || device.tags.iter().any(|tag| tags.contains(tag))
    };
    units.extend(station.devices.iter().filter(is_named).map(|(_, device)| device.unit.clone()));
}

/// Says whether a clip differs that stands by for notices: it may sound everywhere.
fn standby_changed(here: &Station, there: &Station) -> bool {
    let clips = |station: &Station| {
        let clips = station.standby.values().map(|standby| &standby.clip);
        clips.map(|path| station.library.clips.get(path).cloned()).collect::<Vec<_>>()
    };
    clips(here) != clips(there)
}

/// Rank and approval say nothing about what is heard.
fn same_list(station: &Station, list: &Playlist) -> bool {
    station.playlists.get(&list.id).is_some_and(|known| {
        let (accepted, approval) = (known.accepted, known.approval);
        Playlist { accepted, approval, ..list.clone() } == *known
    })
}

/// Says whether a clip or a calendar that the playlist names differs.
fn names_changed(here: &Station, there: &Station, list: &Playlist) -> bool {
    let clip = |content: &Content| match content {
        Content::Clip { clip, fallback } => std::iter::once(clip)
            .chain(fallback)
            .any(|path| here.library.clips.get(path) != there.library.clips.get(path)),
        Content::Pages(_) => false,
    };
    let calendar = |set: &DateSet| match set {
        DateSet::Calendar(id) => {
            let find = |station: &Station| {
                station.calendars.iter().find(|calendar| calendar.id == *id).cloned()
            };
            find(here) != find(there)
        }
        _ => false,
    };
    let mut sets = list.slots.iter().flat_map(|slot| slot.except.iter().chain(&slot.only));
    list.items.iter().any(|item| clip(&item.content)) || sets.any(calendar)
}

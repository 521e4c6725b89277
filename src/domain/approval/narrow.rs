//! Whether settings ask for less than others, on every date there will ever be.
//!
//! Each rule takes the old value, puts in what may have become less, and demands equality with
//! the new one: a setting that is added to the types later counts as a change until it is judged
//! here.

use crate::domain::ids::UnitId;
use crate::domain::playlist::{Order, Playlist, Slot, Targets};
use crate::domain::policy::Policy;
use crate::domain::recurrence::{Calendar, DateSet};
use crate::domain::station::{Clip, Device, Station, Unit};

/// Says whether the new station asks for no more than the old one, on any date.
pub fn narrows(old: &Station, new: &Station) -> bool {
    // Taken apart by name, so that what is added to a station later is judged here or not built.
    let Station {
        name: _,
        zone,
        units,
        devices,
        profiles,
        policies,
        calendars: _,
        playlists,
        library,
        standby,
        feeds,
    } = new;
    let profile =
        |device: &Device| old.profiles.get(&device.profile) == profiles.get(&device.profile);
    old.zone == *zone
        && units.iter().all(|(id, to)| old.units.get(id).is_some_and(|was| unit(was, to)))
        && old.units.keys().all(|id| units.contains_key(id) || !is_used(old, id))
        && devices.iter().all(|(id, to)| old.devices.get(id).is_some_and(|was| device(was, to)))
        && devices.values().all(profile)
        && old
            .policies
            .iter()
            .all(|was| policies.iter().any(|policy| policy.id == was.id && stricter(was, policy)))
        && playlists.iter().all(|(id, to)| old.playlists.get(id).is_some_and(|was| list(was, to)))
        && calendars(old, new)
        && library.clips.iter().all(|(path, clip)| {
            matches!(clip, Clip::Missing { .. }) || old.library.clips.get(path) == Some(clip)
        })
        && standby.iter().all(|(name, to)| old.standby.get(name) == Some(to))
        && feeds.iter().all(|(id, to)| old.feeds.get(id) == Some(to))
}

/// A unit that exclusions, policies or lineages need must not go.
fn is_used(station: &Station, id: &UnitId) -> bool {
    station.devices.values().any(|d| d.unit == *id)
        || station.units.values().any(|unit| unit.parent.as_ref() == Some(id))
}

/// Name, successors and inhabitants sound nowhere; parent and validity decide who hears.
fn unit(old: &Unit, new: &Unit) -> bool {
    let (name, successors) = (new.name.clone(), new.successors.clone());
    Unit { name, successors, population: new.population, ..old.clone() } == *new
}

fn device(old: &Device, new: &Device) -> bool {
    let volume_cap = new.volume_cap.min(old.volume_cap);
    Device { name: new.name.clone(), volume_cap, ..old.clone() } == *new
}

/// Says whether `new` is as strict as `old` in every respect and binds all that `old` binds.
fn stricter(old: &Policy, new: &Policy) -> bool {
    let within = |days: u8, of: u8| days & !of == 0;
    let least = |old: Option<u32>, new: Option<u32>| match (old, new) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(old), Some(new)) => new <= old,
    };
    let binds = new.binds_all()
        || (!old.binds_all()
            && has_all(&new.units, &old.units)
            && has_all(&new.tags, &old.tags)
            && has_all(&new.devices, &old.devices));
    binds
        && has_all(&new.quiet, &old.quiet)
        && old.days.is_none_or(|old| new.days.is_some_and(|new| within(new.0, old.0)))
        && least(old.sessions_per_day, new.sessions_per_day)
        && least(old.minutes_per_session, new.minutes_per_session)
        && least(old.volume_cap.map(u32::from), new.volume_cap.map(u32::from))
}

fn list(old: &Playlist, new: &Playlist) -> bool {
    let (valid_from, valid_until) = (new.valid_from, new.valid_until);
    old.valid_from.is_none_or(|old| valid_from.is_some_and(|new| old <= new))
        && old.valid_until.is_none_or(|old| valid_until.is_some_and(|new| new <= old))
        && targets(&old.targets, &new.targets)
        && new.items.iter().all(|item| old.items.contains(item))
        && new.slots.iter().all(|to| old.slots.iter().any(|was| was.id == to.id && slot(was, to)))
        && new.slots.iter().map(|slot| &slot.id).eq(old
            .slots
            .iter()
            .map(|slot| &slot.id)
            .filter(|id| new.slots.iter().any(|slot| slot.id == **id)))
        && Playlist {
            valid_from,
            valid_until,
            targets: new.targets.clone(),
            items: new.items.clone(),
            slots: new.slots.clone(),
            approval: new.approval,
            // Words that never reach a device.
            title: new.title.clone(),
            topic: new.topic.clone(),
            lead: new.lead.clone(),
            coordinating: new.coordinating.clone(),
            ..old.clone()
        } == *new
}

fn targets(old: &Targets, new: &Targets) -> bool {
    has_all(&old.units, &new.units)
        && has_all(&old.tags, &new.tags)
        && has_all(&old.devices, &new.devices)
        && has_all(&new.except_units, &old.except_units)
        && has_all(&new.except_tags, &old.except_tags)
        && has_all(&new.except_devices, &old.except_devices)
}

fn slot(old: &Slot, new: &Slot) -> bool {
    // An item that goes from the end takes nothing else along; one before others moves them.
    let items = new.items == old.items
        || (matches!(old.order, Order::Sequence) && old.items.starts_with(&new.items));
    let only = old.only.is_empty() && !new.only.is_empty()
        || new.only == old.only
        || (!new.only.is_empty() && has_all(&old.only, &new.only));
    let date = |skips: &[crate::domain::playlist::Skip]| -> Vec<_> {
        skips.iter().map(|skip| skip.date).collect()
    };
    items
        && only
        && has_all(&new.except, &old.except)
        && has_all(&date(&new.skips), &date(&old.skips))
        && Slot {
            items: new.items.clone(),
            only: new.only.clone(),
            except: new.except.clone(),
            skips: new.skips.clone(),
            longest_ms: new.longest_ms.min(old.longest_ms),
            volume: new.volume.min(old.volume),
            ..old.clone()
        } == *new
}

/// A calendar that changes may add days where a slot says `only`, and free days where one says
/// `except`: such a calendar counts as a change unless nothing names it.
fn calendars(old: &Station, new: &Station) -> bool {
    let named = |calendar: &Calendar| {
        let lists = old.playlists.values().chain(new.playlists.values());
        let mut sets =
            lists.flat_map(|list| &list.slots).flat_map(|s| s.except.iter().chain(&s.only));
        sets.any(|set| matches!(set, DateSet::Calendar(id) if *id == calendar.id))
    };
    let only = |calendar: &Calendar| {
        let lists = new.playlists.values();
        let mut sets = lists.flat_map(|list| &list.slots).flat_map(|slot| &slot.only);
        sets.any(|set| matches!(set, DateSet::Calendar(id) if *id == calendar.id))
    };
    let grown = |was: &Calendar, is: &Calendar| has_all(&is.spans, &was.spans);
    let kept = old.calendars.iter().filter(|was| named(was)).all(|was| {
        let is = new.calendars.iter().find(|is| is.id == was.id);
        is.is_some_and(|is| is == was || (!only(is) && grown(was, is)))
    });
    kept && new.calendars.iter().filter(|is| only(is)).all(|is| old.calendars.contains(is))
}

/// Says whether `all` holds each of `some`.
fn has_all<T: PartialEq>(all: &[T], some: &[T]) -> bool {
    some.iter().all(|one| all.contains(one))
}

//! Which assets the schedule needs, by whom, and how soon.

use crate::domain::chunk::ChunkSize;
use crate::domain::ids::{DeviceId, Digest, ProfileId};
use crate::domain::station::Station;
use crate::domain::time::UtcMs;
use crate::domain::timetable::sheet::{DaySheet, SheetItem};
use crate::domain::timetable::{Compiled, DevicePlan};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// How soon standby clips are to be on every loudspeaker.
const STANDBY_WITHIN_MS: i64 = 3_600_000;

/// An asset that sheets in force name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetNeed {
    pub bytes: u64,
    /// Chunk sizes in KiB that the devices concerned take.
    pub kib: BTreeSet<u32>,
    /// Devices that need it.
    pub devices: u32,
    /// Start of its first use that is still to come.
    pub first_use_ms: UtcMs,
}

/// Devices that follow the same days.
struct Group<'a> {
    plan: &'a DevicePlan,
    devices: u32,
    kib: BTreeSet<u32>,
}

/// Lists the assets of all cues that end after `now`.
pub(super) fn needs(
    station: &Station,
    compiled: &Compiled,
    now: UtcMs,
) -> BTreeMap<Digest, AssetNeed> {
    // Devices of equal days share one slice: counted once, not once per device.
    let mut groups: HashMap<usize, Group<'_>> = HashMap::new();
    for (id, plan) in compiled.devices() {
        let address = plan.days().as_ptr().addr();
        let group =
            groups.entry(address).or_insert(Group { plan, devices: 0, kib: BTreeSet::new() });
        group.devices += 1;
        group.kib.insert(chunk_kib(station, id));
    }
    let mut uses: HashMap<usize, BTreeMap<Digest, UtcMs>> = HashMap::new();
    let mut needs: BTreeMap<Digest, AssetNeed> = BTreeMap::new();
    for group in groups.values() {
        let mut own: BTreeMap<Digest, (u64, UtcMs)> = BTreeMap::new();
        for day in group.plan.days() {
            let used = uses
                .entry(Arc::as_ptr(&day.sheet).addr())
                .or_insert_with(|| uses_of(&day.sheet, now));
            for (asset, at) in used.iter() {
                let Some(entry) = day.sheet.assets.get(asset) else { continue };
                let known = own.entry(*asset).or_insert((entry.bytes, *at));
                known.1 = known.1.min(*at);
            }
        }
        for (asset, (bytes, at)) in own {
            let need = needs.entry(asset).or_insert(AssetNeed {
                bytes,
                kib: BTreeSet::new(),
                devices: 0,
                first_use_ms: at,
            });
            need.devices += group.devices;
            need.kib.extend(&group.kib);
            need.first_use_ms = need.first_use_ms.min(at);
        }
    }
    standby(station, compiled, now, &mut needs);
    needs
}

/// Adds the standby clips: after what sounds within the hour, before everything later.
fn standby(
    station: &Station,
    compiled: &Compiled,
    now: UtcMs,
    needs: &mut BTreeMap<Digest, AssetNeed>,
) {
    if station.standby.is_empty() {
        return;
    }
    let mut of_profile: BTreeMap<&ProfileId, u32> = BTreeMap::new();
    for (id, _) in compiled.devices() {
        if let Some(device) = station.devices.get(id) {
            *of_profile.entry(&device.profile).or_default() += 1;
        }
    }
    let mut held: BTreeMap<Digest, AssetNeed> = BTreeMap::new();
    for (id, devices) in of_profile {
        let Some(profile) = station.profiles.get(id) else { continue };
        for (sha256, facts) in station.standby_for(profile) {
            let need = held.entry(sha256).or_insert(AssetNeed {
                bytes: facts.bytes,
                kib: BTreeSet::new(),
                devices: 0,
                first_use_ms: now.plus(STANDBY_WITHIN_MS),
            });
            need.devices += devices;
            need.kib.insert(profile.chunk_kib);
        }
    }
    for (sha256, need) in held {
        // A clip that cues name too is still needed by every loudspeaker.
        let known = needs.entry(sha256).or_insert_with(|| need.clone());
        known.devices = known.devices.max(need.devices);
        known.first_use_ms = known.first_use_ms.min(need.first_use_ms);
        known.kib.extend(need.kib);
    }
}

fn chunk_kib(station: &Station, id: &DeviceId) -> u32 {
    let profile = station.devices.get(id).and_then(|d| station.profiles.get(&d.profile));
    profile.map_or(ChunkSize::USUAL.kib(), |profile| profile.chunk_kib)
}

/// First use of each asset of a sheet in a cue that is not over.
fn uses_of(sheet: &DaySheet, now: UtcMs) -> BTreeMap<Digest, UtcMs> {
    let mut first = BTreeMap::new();
    for cue in sheet.cues.iter().filter(|cue| cue.end_ms > now) {
        let Some(SheetItem::Clip { asset, fallback, .. }) = sheet.items.get(&cue.item) else {
            continue;
        };
        for asset in [Some(asset), fallback.as_ref()].into_iter().flatten() {
            first.entry(*asset).or_insert(cue.at_ms);
        }
    }
    first
}

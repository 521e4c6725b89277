//! `units.csv` and `devices.csv`: reading, and writing them back.
//!
//! Invariants of what comes out: ids are unique in their file; parents exist, are of a higher
//! level and make no circle; what is written reads back as the same.

use super::fault::{At, FileRef, Place};
use super::problem::Problem;
use super::read::Source;
use super::table::{Column, Row, may, must, rows, write_table};
use super::text::nearest_id;
use crate::domain::ids::{DeviceId, ProfileId, Tag, UnitId};
use crate::domain::station::{BEHIND, Device, Unit};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

/// Columns of `units.csv`.
static UNITS: &[Column] = &[
    must("id"),
    must("name"),
    must("parent"),
    may("valid_from"),
    may("valid_until"),
    may("successors"),
    may("population"),
];

/// Columns of `devices.csv`.
static DEVICES: &[Column] = &[
    must("id"),
    must("name"),
    must("unit"),
    may("tags"),
    must("profile"),
    may("volume_cap"),
    may("trim_ms"),
    may("behind"),
];

/// Most units and devices of a folder: the country has 140,000 clusters in 34 provinces.
const MOST_UNITS: usize = 50_000;
const MOST_DEVICES: usize = 50_000;

/// A unit with the places of what it names.
pub(super) struct PlacedUnit {
    pub unit: Unit,
    pub id_place: Place,
    pub parent_place: Place,
    pub successors: Vec<At<UnitId>>,
}

/// A device with the places of what it names.
pub(super) struct PlacedDevice {
    pub device: Device,
    pub unit_place: Place,
    pub profile_place: Place,
    pub behind_place: Place,
}

fn unique<T: Ord + Clone + std::fmt::Display>(
    row: &Row<'_>,
    what: &'static str,
    id: &At<T>,
    seen: &mut BTreeMap<T, Place>,
) {
    if let Some(first) = seen.get(&id.value) {
        let problem = Problem::Duplicate { what, id: id.value.to_string(), first: *first };
        row.fault(id.place, &problem);
    } else {
        seen.insert(id.value.clone(), id.place);
    }
}

/// Reads the units line by line; what they name is checked by [`check_units`].
pub(super) fn read_units(source: &Source<'_>) -> Option<Vec<PlacedUnit>> {
    let mut seen = BTreeMap::new();
    let mut units = Vec::new();
    for row in rows(source, UNITS, MOST_UNITS)? {
        let id = row.id::<UnitId>(row.must("id", 40));
        if let Some(id) = &id {
            unique(&row, "unit", id, &mut seen);
        }
        let name = row.must("name", 120);
        let parent = row.id::<UnitId>(row.text("parent", 40));
        let (from, until) = (row.date("valid_from"), row.date("valid_until"));
        if let (Some(from), Some(until)) = (&from, &until)
            && from.value > until.value
        {
            let (from, to) = (from.value.to_string(), until.value.to_string());
            row.fault(until.place, &Problem::DatesReversed { from, to });
        }
        let successors = row.ids::<UnitId>("successors", 400);
        let population = row.number("population", 0, i64::from(u32::MAX));
        let (Some(id), Some(name)) = (id, name) else { continue };
        units.push(PlacedUnit {
            id_place: id.place,
            parent_place: parent.as_ref().map_or(id.place, |p| p.place),
            unit: Unit {
                id: id.value,
                name: name.value,
                parent: parent.map(|p| p.value),
                valid_from: from.map(|d| d.value),
                valid_until: until.map(|d| d.value),
                successors: successors.iter().map(|s| s.value.clone()).collect(),
                population: population.and_then(|n| u32::try_from(n.value).ok()),
            },
            successors,
        });
    }
    Some(units)
}

/// How high a unit stands, and how people call that.
fn level(id: &UnitId) -> (u8, &'static str) {
    match id.as_str().len() {
        2 => (0, "province"),
        3 => (1, "historic district"),
        5 => (2, "commune"),
        _ => (3, "hamlet"),
    }
}

/// Checks parents, circles and successors of all units together; `beside` are units that stand
/// already, of which those that are read anew do not count.
pub(super) fn check_units(units: &[PlacedUnit], beside: &[Unit], fault: impl Fn(Place, &Problem)) {
    let all = beside.iter().chain(units.iter().map(|placed| &placed.unit));
    let by_id: BTreeMap<&str, &Unit> = all.map(|unit| (unit.id.as_str(), unit)).collect();
    let known = by_id.keys().copied().collect();
    let told = Cell::new(0);
    let unknown = |place: Place, what, id: &UnitId| {
        // Looking for a neighbour costs; after some, the register itself is the fault.
        told.set(told.get() + 1);
        let near = (told.get() <= 20).then(|| nearest_id(id.as_str(), &known)).flatten();
        let (id, wherein, refuses) = (id.to_string(), "units.csv", true);
        let problem = Problem::Unknown { what, id, near, wherein, refuses };
        fault(place, &problem);
    };
    for placed in units {
        let id = &placed.unit.id;
        let (own, kind) = level(id);
        for successor in &placed.successors {
            if !by_id.contains_key(successor.value.as_str()) {
                unknown(successor.place, "unit", &successor.value);
            }
        }
        let Some(parent) = &placed.unit.parent else {
            if own != 0 {
                let problem = Problem::Orphan { id: id.to_string(), kind };
                fault(placed.id_place, &problem);
            }
            continue;
        };
        if !by_id.contains_key(parent.as_str()) {
            unknown(placed.parent_place, "unit", parent);
            continue;
        }
        if let Some(circle) = circle(id, &by_id) {
            let problem = Problem::Circle { id: id.to_string(), circle };
            fault(placed.parent_place, &problem);
            continue;
        }
        let (above, parent_kind) = level(parent);
        if above >= own {
            let (id, above) = (id.to_string(), parent.to_string());
            let problem = Problem::Parent { id, child: kind, above, parent: parent_kind };
            fault(placed.parent_place, &problem);
        }
    }
}

/// Returns the way from the unit back to itself, if its ancestors make one.
fn circle(id: &UnitId, by_id: &BTreeMap<&str, &Unit>) -> Option<String> {
    let mut way = vec![id.as_str()];
    let mut at = id;
    while let Some(parent) = by_id.get(at.as_str()).and_then(|unit| unit.parent.as_ref()) {
        way.push(parent.as_str());
        if parent == id {
            return Some(way.join(" → "));
        }
        if way.len() > 8 {
            return None; // a circle that does not come back here; its own members tell
        }
        at = parent;
    }
    None
}

/// Reads the devices line by line; units and profiles they name are checked later.
pub(super) fn read_devices(source: &Source<'_>) -> Option<Vec<PlacedDevice>> {
    let mut seen = BTreeMap::new();
    let mut devices = Vec::new();
    for row in rows(source, DEVICES, MOST_DEVICES)? {
        let id = row.id::<DeviceId>(row.must("id", 60));
        if let Some(id) = &id {
            unique(&row, "device", id, &mut seen);
        }
        let name = row.must("name", 120);
        let unit = row.id::<UnitId>(row.must("unit", 40));
        let mut tags: Vec<Tag> = row.ids("tags", 400).into_iter().map(|t| t.value).collect();
        tags.sort();
        tags.dedup();
        let profile = row.id::<ProfileId>(row.must("profile", 60));
        let cap = row.number("volume_cap", 0, 100);
        let trim = row.number("trim_ms", -1_000, 1_000);
        let behind = row.id::<DeviceId>(row.text("behind", 60));
        let (Some(id), Some(name), Some(unit), Some(profile)) = (id, name, unit, profile) else {
            continue;
        };
        devices.push(PlacedDevice {
            unit_place: unit.place,
            profile_place: profile.place,
            behind_place: behind.as_ref().map_or(profile.place, |behind| behind.place),
            device: Device {
                id: id.value,
                name: name.value,
                unit: unit.value,
                tags,
                profile: profile.value,
                volume_cap: cap.and_then(|n| u8::try_from(n.value).ok()).unwrap_or(100),
                trim_ms: trim.map_or(0, |n| n.value),
                behind: behind.map(|behind| behind.value),
            },
        });
    }
    Some(devices)
}

fn joined<T: ToString>(ids: &[T]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn or_empty<T: ToString>(value: Option<&T>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

/// Writes units as `units.csv`.
pub fn units_to_csv<'a>(units: impl IntoIterator<Item = &'a Unit>) -> String {
    write_table(
        UNITS,
        units.into_iter().map(|u| {
            vec![
                u.id.to_string(),
                u.name.clone(),
                or_empty(u.parent.as_ref()),
                or_empty(u.valid_from.as_ref()),
                or_empty(u.valid_until.as_ref()),
                joined(&u.successors),
                or_empty(u.population.as_ref()),
            ]
        }),
    )
}

/// Checks who stands behind whom, together with what stands `beside` already: the gateway exists,
/// stands behind nobody, has no output of its own, and speaks for no more than it can.
/// `gateways` are the profiles of gateways, `None` where no profiles are known.
pub(super) fn check_behind(
    devices: &[PlacedDevice],
    beside: &[Device],
    gateways: Option<&BTreeSet<&str>>,
    fault: impl Fn(Place, &Problem),
) {
    if devices.iter().all(|placed| placed.device.behind.is_none())
        && beside.iter().all(|device| device.behind.is_none())
    {
        return;
    }
    let all = beside.iter().chain(devices.iter().map(|placed| &placed.device));
    let by_id: BTreeMap<&str, &Device> = all.map(|device| (device.id.as_str(), device)).collect();
    let mut behind: BTreeMap<&str, usize> = BTreeMap::new();
    for gateway in by_id.values().filter_map(|device| device.behind.as_ref()) {
        *behind.entry(gateway.as_str()).or_default() += 1;
    }
    let known = by_id.keys().copied().collect();
    let told = Cell::new(0);
    for placed in devices {
        let (device, place) = (placed.device.id.to_string(), placed.behind_place);
        let Some(gateway) = &placed.device.behind else { continue };
        let Some(found) = by_id.get(gateway.as_str()) else {
            // Looking for a neighbour costs; after some, the register itself is the fault.
            told.set(told.get() + 1);
            let near = (told.get() <= 20).then(|| nearest_id(gateway.as_str(), &known)).flatten();
            let (id, wherein) = (gateway.to_string(), "the register of devices");
            fault(place, &Problem::Unknown { what: "device", id, near, wherein, refuses: true });
            continue;
        };
        let gateway = gateway.to_string();
        if found.behind.is_some() || behind.contains_key(device.as_str()) {
            fault(place, &Problem::GatewayChain { device, gateway });
        } else if gateways.is_some_and(|known| !known.contains(found.profile.as_str())) {
            let profile = found.profile.to_string();
            fault(place, &Problem::NoGateway { gateway, profile });
        } else if behind.get(gateway.as_str()).is_some_and(|n| *n > BEHIND) {
            fault(place, &Problem::TooManyBehind { gateway, most: BEHIND });
        }
    }
}

/// Writes devices as `devices.csv`; who stands behind whom only where somebody does.
pub fn devices_to_csv<'a>(devices: impl IntoIterator<Item = &'a Device>) -> String {
    let devices: Vec<&Device> = devices.into_iter().collect();
    let gateways = devices.iter().any(|device| device.behind.is_some());
    let columns = if gateways { DEVICES } else { &DEVICES[..DEVICES.len() - 1] };
    write_table(
        columns,
        devices.into_iter().map(|d| {
            let mut fields = vec![
                d.id.to_string(),
                d.name.clone(),
                d.unit.to_string(),
                joined(&d.tags),
                d.profile.to_string(),
                d.volume_cap.to_string(),
                d.trim_ms.to_string(),
            ];
            if gateways {
                fields.push(or_empty(d.behind.as_ref()));
            }
            fields
        }),
    )
}

/// Reads units from the text of a CSV file, for `loa unit import`; all faults at once. They may
/// name units that stand `beside` them in the register.
pub fn units_from_csv(
    label: &str,
    bytes: &[u8],
    beside: &[Unit],
) -> Result<Vec<Unit>, Vec<super::Fault>> {
    import(label, bytes, |source| {
        let units = read_units(source)?;
        check_units(&units, beside, |place, problem| source.fault(place, problem));
        Some(units.into_iter().map(|u| u.unit).collect())
    })
}

/// Reads devices from the text of a CSV file; all faults at once. Whether unit and profile exist
/// is not asked.
pub fn devices_from_csv(label: &str, bytes: &[u8]) -> Result<Vec<Device>, Vec<super::Fault>> {
    import(label, bytes, |source| {
        Some(read_devices(source)?.into_iter().map(|d| d.device).collect())
    })
}

/// What devices may name.
#[derive(Clone, Debug, Default)]
pub struct Named {
    pub units: BTreeSet<UnitId>,
    /// `None` where no profiles are known.
    pub profiles: Option<BTreeSet<ProfileId>>,
    /// Those of them that are gateways'.
    pub gateways: BTreeSet<ProfileId>,
    /// Devices that stand already.
    pub devices: Vec<Device>,
}

/// As [`devices_from_csv`], for `loa device import`: unit and profile must exist.
pub fn devices_from_csv_naming(
    label: &str,
    bytes: &[u8],
    named: &Named,
) -> Result<Vec<Device>, Vec<super::Fault>> {
    import(label, bytes, |source| {
        let devices = read_devices(source)?;
        let units = named.units.iter().map(UnitId::as_str).collect();
        let profiles: Option<BTreeSet<_>> =
            named.profiles.as_ref().map(|p| p.iter().map(ProfileId::as_str).collect());
        let told = Cell::new(0);
        let look = |place, what, id: &str, known: &BTreeSet<&str>, wherein| {
            if !known.contains(id) {
                // Looking for a neighbour costs; after some, the file itself is the fault.
                told.set(told.get() + 1);
                let near = (told.get() <= 20).then(|| nearest_id(id, known)).flatten();
                let id = id.to_owned();
                source.fault(place, &Problem::Unknown { what, id, near, wherein, refuses: true });
            }
        };
        for PlacedDevice { device, unit_place, profile_place, .. } in &devices {
            look(*unit_place, "unit", device.unit.as_str(), &units, "the register of units");
            if let Some(profiles) = &profiles {
                let wherein = "the folder of profiles";
                look(*profile_place, "profile", device.profile.as_str(), profiles, wherein);
            }
        }
        let gateways: BTreeSet<&str> = named.gateways.iter().map(ProfileId::as_str).collect();
        let gateways = named.profiles.is_some().then_some(&gateways);
        check_behind(&devices, &named.devices, gateways, |place, problem| {
            source.fault(place, problem);
        });
        Some(devices.into_iter().map(|d| d.device).collect())
    })
}

fn import<T>(
    label: &str,
    bytes: &[u8],
    read: impl FnOnce(&Source<'_>) -> Option<T>,
) -> Result<T, Vec<super::Fault>> {
    let faults = super::fault::Faults::default();
    let file = FileRef { key: label, label };
    let found = Source::decode(file, bytes, &faults).and_then(|source| read(&source));
    match found {
        Some(found) if faults.refused().is_empty() => Ok(found),
        _ => Err(faults.into_sorted()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_as_the_same() {
        let text = "id,name,parent,valid_from,valid_until,successors,population\n\
            01,\"Hà Nội, thủ đô\",,,,,8500000\n\
            09700,Xã \"Ba Vì\",01,2025-07-01,,,1200\n\
            10339,Xã cũ,01,,2025-06-30,09700,\n";
        let units = units_from_csv("units.csv", text.as_bytes(), &[]).unwrap();
        let again = units_to_csv(&units);
        assert_eq!(units_from_csv("units.csv", again.as_bytes(), &[]).unwrap(), units);
        let text =
            "id,name,unit,tags,profile,volume_cap,trim_ms\nloa-1,Thôn 1,09700,b a,x,80,-20\n";
        let devices = devices_from_csv("devices.csv", text.as_bytes()).unwrap();
        assert_eq!(devices[0].tags.len(), 2);
        let again = devices_from_csv("devices.csv", devices_to_csv(&devices).as_bytes()).unwrap();
        assert_eq!(again, devices);
    }

    #[test]
    fn a_device_stands_behind_one_gateway_that_is_there_and_stands_behind_nobody() {
        let known = units_from_csv("u", b"id,name,parent\n01,A,\n00001,B,01\n", &[]).unwrap();
        let beside = "id,name,unit,profile,behind\ncong-1,C,00001,cong,\nloa-9,L,00001,loa-ip,\n";
        let named = Named {
            units: known.into_iter().map(|unit| unit.id).collect(),
            profiles: Some(["loa-ip", "cong"].map(|id| id.parse().unwrap()).into()),
            gateways: ["cong".parse().unwrap()].into(),
            devices: devices_from_csv("d", beside.as_bytes()).unwrap(),
        };
        let read = |lines: &str| {
            let text = format!("id,name,unit,profile,behind\n{lines}");
            let read = devices_from_csv_naming("d", text.as_bytes(), &named);
            read.map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let good = read("loa-1,A,00001,loa-ip,cong-1\n").unwrap();
        assert_eq!(good[0].behind.as_ref().map(DeviceId::as_str), Some("cong-1"));
        let again = devices_to_csv(&good);
        assert_eq!(devices_from_csv("d", again.as_bytes()).unwrap(), good);
        let bad = "loa-1,A,00001,loa-ip,cong-2\n\
            loa-2,A,00001,loa-ip,loa-9\n\
            loa-3,A,00001,loa-ip,loa-3\n\
            cong-1,C,00001,cong,loa-4\n\
            loa-4,C,00001,cong,\n\
            loa-5,C,00001,loa-ip,cong-1\n";
        assert_eq!(
            read(bad).unwrap_err(),
            [
                "d:2:22: no device `cong-2`",
                "d:3:22: `loa-9` is no gateway: its profile `loa-ip` has an output of its own",
                "d:4:22: `loa-3` behind `loa-3`: a gateway stands behind nobody",
                "d:5:21: `cong-1` behind `loa-4`: a gateway stands behind nobody",
                "d:7:22: `loa-5` behind `cong-1`: a gateway stands behind nobody",
            ]
        );
    }

    #[test]
    fn circles_of_parents_are_told_with_their_way() {
        let text = "id,name,parent\n01,A,\n001,B,00001\n00001,C,001\n00002,D,01\n";
        let faults = units_from_csv("units.csv", text.as_bytes(), &[]).unwrap_err();
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "units.csv:3:7: unit `001` is its own ancestor: 001 → 00001 → 001",
                "units.csv:4:9: unit `00001` is its own ancestor: 00001 → 001 → 00001",
            ]
        );
    }

    #[test]
    fn a_line_may_name_what_stands_in_the_register_and_only_that() {
        let known = units_from_csv("u", b"id,name,parent\n01,A,\n00001,B,01\n", &[]).unwrap();
        let hamlet = "id,name,parent\n00001-a,Th\u{f4}n,00001\n";
        assert_eq!(units_from_csv("u", hamlet.as_bytes(), &known).unwrap().len(), 1);
        let alone = units_from_csv("u", hamlet.as_bytes(), &[]).unwrap_err();
        assert_eq!(alone[0].to_string(), "u:2:14: no unit `00001`");
        let named = Named {
            units: known.into_iter().map(|unit| unit.id).collect(),
            profiles: Some(["loa-ip".parse().unwrap()].into()),
            ..Named::default()
        };
        let text = "id,name,unit,profile\nloa-1,A,00001,loa-ip\nloa-2,B,00002,loa-id\n";
        let faults = devices_from_csv_naming("d", text.as_bytes(), &named).unwrap_err();
        let told: Vec<_> = faults.iter().map(|f| (f.to_string(), f.hint.clone())).collect();
        let meant = |id| Some(format!("did you mean `{id}`?"));
        assert_eq!(
            told,
            [
                ("d:3:9: no unit `00002`".to_owned(), meant("00001")),
                ("d:3:15: no profile `loa-id`".to_owned(), meant("loa-ip")),
            ]
        );
    }
}

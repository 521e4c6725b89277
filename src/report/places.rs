//! Units and devices as reports see them: who stood where on which day.
//!
//! Units merge and split and devices move, so a device's unit is a matter of dates, and a unit's
//! numbers before a merge stay its own, shown under the unit that followed it.
//!
//! # Invariants
//! * Following parents and successors always ends, whatever the register says.
//! * Numbers ([`UnitNo`], [`DeviceNo`]) are places in this register and never reach a document.

use crate::domain::ids::{DeviceId, UnitId};
use crate::domain::timetable::Kind;
use chrono::NaiveDate;
use std::collections::{BTreeMap, BTreeSet};

/// A unit's place in the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitNo(pub u32);

/// A device's place in the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceNo(pub u32);

/// A unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    pub id: UnitId,
    pub name: String,
    pub parent: Option<UnitId>,
    pub valid_from: Option<NaiveDate>,
    pub valid_until: Option<NaiveDate>,
    pub successors: Vec<UnitId>,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub id: DeviceId,
    /// Name or place for people.
    pub name: String,
    /// What it is for: sound or text.
    pub kind: Kind,
    /// Where it stood from which day on; the first counts for all earlier days too.
    pub stood: Vec<(NaiveDate, UnitId)>,
    /// Last day it was in service; open when `None`.
    pub until: Option<NaiveDate>,
}

/// Which units lie in the one asked for.
#[derive(Clone, Debug)]
pub struct Scope {
    held: Vec<bool>,
}

impl Scope {
    /// Says whether the unit lies inside.
    pub fn holds(&self, unit: UnitNo) -> bool {
        self.held.get(unit.0 as usize) == Some(&true)
    }
}

/// The registers.
#[derive(Clone, Debug, Default)]
pub struct Places {
    units: Vec<Unit>,
    devices: Vec<Device>,
    /// By unit: what lies above it, and what followed it (`None` for units nobody knows).
    around: Vec<(Vec<UnitNo>, Option<Vec<UnitNo>>)>,
    by_unit: BTreeMap<UnitId, UnitNo>,
    by_device: BTreeMap<DeviceId, DeviceNo>,
}

/// Registers that contradict themselves; all faults at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacesError {
    #[error("unit `{unit}` stands twice in the register")]
    UnitTwice { unit: UnitId },
    #[error("device `{device}` stands twice in the register")]
    DeviceTwice { device: DeviceId },
    #[error("device `{device}` stands in unit `{unit}`, which the register does not have")]
    NoUnit { device: DeviceId, unit: UnitId },
    #[error("device `{device}` stands nowhere")]
    Nowhere { device: DeviceId },
}

impl PlacesError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::UnitTwice { .. } | Self::DeviceTwice { .. } => "leave one of the two rows out",
            Self::NoUnit { .. } => "add the unit, with `valid_until` when it is no more",
            Self::Nowhere { .. } => "name the unit it stands in",
        }
    }
}

impl Places {
    /// Checks the registers and puts them in the order of their ids.
    pub fn new(mut units: Vec<Unit>, mut devices: Vec<Device>) -> Result<Self, Vec<PlacesError>> {
        units.sort_by(|a, b| a.id.cmp(&b.id));
        devices.sort_by(|a, b| a.id.cmp(&b.id));
        let mut faults = Vec::new();
        let mut by_unit = BTreeMap::new();
        for (no, unit) in (0_u32..).zip(&units) {
            if by_unit.insert(unit.id.clone(), UnitNo(no)).is_some() {
                faults.push(PlacesError::UnitTwice { unit: unit.id.clone() });
            }
        }
        let mut by_device = BTreeMap::new();
        for (no, device) in (0_u32..).zip(&mut devices) {
            device.stood.sort();
            let id = &device.id;
            if by_device.insert(id.clone(), DeviceNo(no)).is_some() {
                faults.push(PlacesError::DeviceTwice { device: id.clone() });
            }
            if device.stood.is_empty() {
                faults.push(PlacesError::Nowhere { device: id.clone() });
            }
            let unknown: BTreeSet<&UnitId> = device
                .stood
                .iter()
                .map(|(_, unit)| unit)
                .filter(|u| !by_unit.contains_key(*u))
                .collect();
            faults.extend(
                unknown
                    .into_iter()
                    .map(|unit| PlacesError::NoUnit { device: id.clone(), unit: unit.clone() }),
            );
        }
        let no = |id: &UnitId| by_unit.get(id).copied();
        let around = units.iter().map(|unit| {
            let hamlet_of = unit.id.commune_of_hamlet();
            let above = unit.parent.iter().chain(hamlet_of.as_ref()).filter_map(no).collect();
            let after: Option<Vec<UnitNo>> = unit.successors.iter().map(no).collect();
            (above, after.filter(|after| !after.is_empty()))
        });
        let around = around.collect();
        if faults.is_empty() {
            Ok(Self { units, devices, around, by_unit, by_device })
        } else {
            Err(faults)
        }
    }

    /// Returns a unit's number.
    pub fn unit_no(&self, id: &UnitId) -> Option<UnitNo> {
        self.by_unit.get(id).copied()
    }

    /// Returns a device's number.
    pub fn device_no(&self, id: &DeviceId) -> Option<DeviceNo> {
        self.by_device.get(id).copied()
    }

    /// Returns a unit, or `None` when the number is of another register.
    pub fn unit(&self, no: UnitNo) -> Option<&Unit> {
        self.units.get(no.0 as usize)
    }

    /// Returns a device, or `None` when the number is of another register.
    pub fn device(&self, no: DeviceNo) -> Option<&Device> {
        self.devices.get(no.0 as usize)
    }

    /// Returns the devices in the order of their ids.
    pub fn devices(&self) -> impl Iterator<Item = (DeviceNo, &Device)> {
        (0_u32..).map(DeviceNo).zip(&self.devices)
    }

    /// Returns the units in the order of their ids.
    pub fn units(&self) -> impl Iterator<Item = (UnitNo, &Unit)> {
        (0_u32..).map(UnitNo).zip(&self.units)
    }

    /// Returns the unit a device stood in on a day, as the register names it.
    pub fn stood(&self, device: DeviceNo, day: NaiveDate) -> Option<UnitNo> {
        let stood = &self.device(device)?.stood;
        let at = stood.partition_point(|(from, _)| *from <= day).saturating_sub(1);
        self.unit_no(&stood.get(at)?.1)
    }

    /// Returns the commune of a device on a day; the unit itself where that is no hamlet.
    pub fn commune(&self, device: DeviceNo, day: NaiveDate) -> Option<UnitNo> {
        let stood = self.stood(device, day)?;
        let hamlet = self.unit(stood)?.id.commune_of_hamlet();
        Some(hamlet.and_then(|commune| self.unit_no(&commune)).unwrap_or(stood))
    }

    /// Returns the units that lie in the scope: itself, what lies below, and units which were
    /// followed by units that all do. Of a unit split between scopes, neither has it all.
    pub fn scope(&self, scope: UnitNo) -> Scope {
        let mut held = vec![false; self.units.len()];
        if let Some(own) = held.get_mut(scope.0 as usize) {
            *own = true;
        }
        // Grows to the smallest set that is closed; circles add nothing and so end.
        let mut grown = true;
        while grown {
            grown = false;
            for (no, (above, after)) in (0_u32..).map(UnitNo).zip(&self.around) {
                let holds = |no: &UnitNo| held.get(no.0 as usize) == Some(&true);
                let inside = above.iter().any(holds)
                    || after.as_ref().is_some_and(|after| after.iter().all(holds));
                if let Some(known) = held.get_mut(no.0 as usize).filter(|known| inside && !**known)
                {
                    *known = true;
                    grown = true;
                }
            }
        }
        Scope { held }
    }

    /// Names a unit with what followed it: `Xã A (từ 01/07/2026 nhập vào Xã B)`.
    pub fn name(&self, no: UnitNo) -> String {
        let Some(unit) = self.unit(no) else { return String::new() };
        if unit.successors.is_empty() {
            return unit.name.clone();
        }
        let names: Vec<&str> = unit
            .successors
            .iter()
            .map(|id| {
                self.unit_no(id).and_then(|no| self.unit(no)).map_or(id.as_str(), |u| &u.name)
            })
            .collect();
        let since = unit.valid_until.and_then(|last| last.succ_opt());
        let since = since.map_or(String::new(), |day| format!("từ {} ", day.format("%d/%m/%Y")));
        let verb = if names.len() == 1 { "nhập vào" } else { "chia thành" };
        format!("{} ({since}{verb} {})", unit.name, names.join(", "))
    }

    /// Returns the communes of the scope that existed on one of the days, by code: leaves of the
    /// register without hamlets.
    pub fn communes(&self, scope: &Scope, first: NaiveDate, last: NaiveDate) -> Vec<UnitNo> {
        let lives = |unit: &Unit| {
            unit.valid_from.is_none_or(|from| from <= last)
                && unit.valid_until.is_none_or(|until| first <= until)
        };
        let commune = |unit: &Unit| unit.id.as_str().len() == 5;
        self.units()
            .filter(|(no, unit)| commune(unit) && lives(unit) && scope.holds(*no))
            .map(|(no, _)| no)
            .collect()
    }

    /// Returns the devices that stood in the scope on one of the days, by id.
    pub fn devices_in(&self, scope: &Scope, first: NaiveDate, last: NaiveDate) -> Vec<DeviceNo> {
        let stands = |no: DeviceNo, device: &Device| {
            let ends: BTreeSet<NaiveDate> = device
                .stood
                .iter()
                .map(|(from, _)| *from)
                .filter(|from| first < *from && *from <= last)
                .chain([first])
                .collect();
            device.until.is_none_or(|until| first <= until)
                && ends
                    .into_iter()
                    .any(|day| self.stood(no, day).is_some_and(|unit| scope.holds(unit)))
        };
        self.devices().filter(|(no, device)| stands(*no, device)).map(|(no, _)| no).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(id: &str, parent: Option<&str>, successors: &[&str]) -> Unit {
        Unit {
            id: UnitId::new(id).unwrap(),
            name: format!("Đơn vị {id}"),
            parent: parent.map(|p| UnitId::new(p).unwrap()),
            valid_from: None,
            valid_until: (!successors.is_empty()).then(|| day("2026-06-30")),
            successors: successors.iter().map(|s| UnitId::new(*s).unwrap()).collect(),
        }
    }

    fn device(id: &str, stood: &[(&str, &str)]) -> Device {
        Device {
            id: DeviceId::new(id).unwrap(),
            name: id.to_owned(),
            kind: Kind::Clip,
            stood: stood.iter().map(|(d, u)| (day(d), UnitId::new(*u).unwrap())).collect(),
            until: None,
        }
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn no(places: &Places, id: &str) -> UnitNo {
        places.unit_no(&UnitId::new(id).unwrap()).unwrap()
    }

    #[test]
    fn a_merged_commune_counts_under_the_one_that_followed_it_and_a_split_one_under_neither() {
        let units = vec![
            unit("51", None, &[]),
            unit("10001", Some("51"), &["10003"]),
            unit("10002", Some("51"), &["10003", "10004"]),
            unit("10003", Some("51"), &[]),
            unit("10004", Some("51"), &[]),
            unit("10003-thon1", Some("10003"), &[]),
        ];
        let moved = device("loa-1", &[("2026-01-01", "10001"), ("2026-07-01", "10003-thon1")]);
        let places = Places::new(units, vec![moved]).unwrap();
        let within =
            |scope: &str, unit: &str| places.scope(no(&places, scope)).holds(no(&places, unit));
        assert!(within("10003", "10001") && within("51", "10001") && within("51", "10002"));
        assert!(
            !within("10003", "10002") && !within("10004", "10002") && !within("10001", "10003")
        );
        assert!(within("10003", "10003-thon1"));
        let loa = DeviceNo(0);
        assert_eq!(places.commune(loa, day("2020-01-01")), Some(no(&places, "10001")));
        assert_eq!(places.commune(loa, day("2026-06-30")), Some(no(&places, "10001")));
        assert_eq!(places.commune(loa, day("2026-07-01")), Some(no(&places, "10003")));
        assert_eq!(
            places.name(no(&places, "10001")),
            "Đơn vị 10001 (từ 01/07/2026 nhập vào Đơn vị 10003)"
        );
        let july = (day("2026-07-01"), day("2026-07-31"));
        let communes = places.communes(&places.scope(no(&places, "51")), july.0, july.1);
        assert_eq!(communes, [no(&places, "10003"), no(&places, "10004")]);
        let old = places.scope(no(&places, "10001"));
        assert_eq!(places.devices_in(&old, day("2026-06-01"), july.1), [loa]);
        assert_eq!(places.devices_in(&old, july.0, july.1), []);
    }

    #[test]
    fn circles_of_parents_and_successors_end() {
        let mut a = unit("10001", Some("10002"), &["10002"]);
        a.parent = Some(UnitId::new("10002").unwrap());
        let b = unit("10002", Some("10001"), &["10001"]);
        let places = Places::new(vec![a, b, unit("51", None, &[])], Vec::new()).unwrap();
        assert!(!places.scope(no(&places, "51")).holds(no(&places, "10001")));
    }

    #[test]
    fn contradictions_are_all_named_with_a_remedy() {
        let units = vec![unit("51", None, &[]), unit("51", None, &[])];
        let devices = vec![
            device("loa-1", &[("2026-01-01", "10009")]),
            device("loa-1", &[]),
            device("loa-2", &[]),
        ];
        let faults = Places::new(units, devices).unwrap_err();
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 5, "{told:?}");
        assert!(told.contains(
            &"device `loa-1` stands in unit `10009`, which the register does not have".into()
        ));
        assert!(faults.iter().all(|fault| !fault.hint().is_empty()));
    }
}

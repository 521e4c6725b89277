//! Who stood where on which day, from the registers and what became of them.

use super::RollupError;
use crate::app::ports::{Stood, Store};
use crate::domain::ids::UnitId;
use crate::domain::station::Unit;
use crate::domain::timetable::Kind;
use crate::report::period::day_of;
use crate::report::places::{self, Places};
use chrono::NaiveDate;
use chrono_tz::Tz;
use std::collections::{BTreeMap, BTreeSet};

fn known(unit: Unit) -> places::Unit {
    let Unit { id, name, parent, valid_from, valid_until, successors, .. } = unit;
    places::Unit { id, name, parent, valid_from, valid_until, successors }
}

/// A unit that no register names any more.
fn nameless(id: &UnitId) -> places::Unit {
    places::Unit {
        id: id.clone(),
        name: id.to_string(),
        parent: None,
        valid_from: None,
        valid_until: None,
        successors: Vec::new(),
    }
}

/// Reads the registers.
pub async fn register(store: &dyn Store, zone: Tz) -> Result<Places, RollupError> {
    let mut units = store.units().await?;
    units.extend(store.former_units().await?);
    let (stood, outputs) = (store.stood().await?, store.outputs().await?);
    let names: BTreeSet<UnitId> = units.iter().map(|unit| unit.id.clone()).collect();
    let mut units: Vec<places::Unit> = units.into_iter().map(known).collect();
    let places: BTreeSet<&UnitId> = stood.iter().filter_map(|one| one.unit.as_ref()).collect();
    units.extend(places.into_iter().filter(|unit| !names.contains(*unit)).map(nameless));
    let mut devices = Vec::new();
    for all in stood.chunk_by(|a, b| a.device == b.device) {
        let kind = |one: &Stood| outputs.get(&one.profile).copied().unwrap_or(Kind::Clip);
        // Of several places on one day the last one counts.
        let by_day = all.iter().filter_map(|one| {
            let day: NaiveDate = day_of(one.since_ms, zone);
            Some((day, one.unit.clone()?))
        });
        let by_day: BTreeMap<NaiveDate, UnitId> = by_day.collect();
        let Some(last) = all.last().filter(|_| !by_day.is_empty()) else { continue };
        devices.push(places::Device {
            id: last.device.clone(),
            name: last.name.clone(),
            kind: kind(last),
            stood: by_day.into_iter().collect(),
            until: last.unit.is_none().then(|| day_of(last.since_ms, zone)),
        });
    }
    Places::new(units, devices).map_err(|mut faults| {
        // There is at least one, or it would not have been refused.
        RollupError::Places { first: faults.swap_remove(0) }
    })
}

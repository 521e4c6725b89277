//! What could not be published of a station, found before it comes into force.
//!
//! Pure, and by the same measure as the planner: the encoded sheet against the limit of the
//! contract or the smaller one of a device's profile.

use super::PublishFault;
use crate::domain::ids::{DeviceId, Digest, PlaylistId};
use crate::domain::station::Station;
use crate::domain::timetable::{Compiled, DayPlan};
use crate::wire::{limits, sheet};
use chrono::NaiveDate;
use std::collections::{BTreeMap, HashMap};

/// A fault, and the playlist with most cues on that day: where to look first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overflow {
    pub fault: PublishFault,
    pub playlist: Option<PlaylistId>,
}

/// Measures every sheet of a compiled station; by date.
pub fn overflow(station: &Station, compiled: &Compiled) -> Vec<Overflow> {
    let mut measured: HashMap<usize, (Digest, usize, Option<String>)> = HashMap::new();
    let mut found: BTreeMap<(NaiveDate, Digest, usize), (Vec<DeviceId>, &DayPlan)> =
        BTreeMap::new();
    let mut why: BTreeMap<Digest, (usize, Option<String>)> = BTreeMap::new();
    for (id, plan) in compiled.devices() {
        let profile = station.devices.get(id).and_then(|d| station.profiles.get(&d.profile));
        let limit = profile
            .map_or(limits::SHEET_BYTES, |p| (p.sheet_bytes as usize).min(limits::SHEET_BYTES));
        for day in plan.plans() {
            let (digest, bytes, refused) = measured
                .entry(std::sync::Arc::as_ptr(&day.day.sheet).addr())
                .or_insert_with(|| {
                    let (bytes, digest) = sheet::encode(&day.day.sheet);
                    let refused = sheet::check(&day.day.sheet).err().map(|why| why.to_string());
                    (digest, bytes.len(), refused)
                });
            if *bytes > limit || refused.is_some() {
                why.insert(*digest, (*bytes, refused.clone()));
                let entry = found.entry((day.date, *digest, limit));
                entry.or_insert_with(|| (Vec::new(), day)).0.push(id.clone());
            }
        }
    }
    let fault = |((day, digest, limit), (devices, plan)): ((_, Digest, usize), (_, &DayPlan))| {
        let (bytes, refused) = why.get(&digest).cloned().unwrap_or_default();
        let fault = match refused {
            Some(why) if bytes <= limit => PublishFault::SheetRefused { day, devices, why },
            _ => PublishFault::SheetTooLarge { day, devices, bytes, limit },
        };
        Overflow { fault, playlist: most_cues(plan) }
    };
    found.into_iter().map(fault).collect()
}

fn most_cues(plan: &DayPlan) -> Option<PlaylistId> {
    let mut counts: BTreeMap<&PlaylistId, usize> = BTreeMap::new();
    for cue in &plan.cues {
        *counts.entry(&cue.playlist).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(id, _)| id.clone())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{pages, playlist, station, with};
    use super::*;
    use crate::domain::timetable::{Compiler, Horizon};

    #[test]
    fn a_day_that_is_too_large_is_told_with_its_devices_bytes_and_playlist() {
        let day: NaiveDate = "2026-12-01".parse().unwrap();
        let items = (0..60).map(|n| pages(&format!("p{n}"), &"Nội dung dài. ".repeat(120)));
        let mut good = station(2);
        good.profiles.get_mut(&"loa".parse().unwrap()).unwrap().board =
            Some(crate::domain::profile::BoardProfile {
                width_px: 64,
                height_px: 16,
                colours: vec![],
                fonts: vec!["unifont".into()],
                scroll_px_s: 40,
                ..crate::domain::profile::BoardProfile::default()
            });
        let compile =
            |station: &Station| Compiler::new().compile(station, Horizon { from: day, days: 2 });
        assert_eq!(overflow(&good, &compile(&good)), []);
        let bad = with(good, playlist("bang", &["10363-doai"], &["08:00"], items.collect()));
        let found = overflow(&bad, &compile(&bad));
        assert_eq!(found.len(), 2, "one a day");
        assert_eq!(found[0].playlist, Some("bang".parse().unwrap()));
        let PublishFault::SheetTooLarge { day: on, devices, bytes, limit } = &found[0].fault else {
            panic!("{}", found[0].fault);
        };
        let devices: Vec<_> = devices.iter().map(DeviceId::as_str).collect();
        assert_eq!((*on, devices), (day, vec!["loa-doai-1", "loa-doai-2"]));
        assert!(bytes > limit && *limit == limits::SHEET_BYTES);
    }
}

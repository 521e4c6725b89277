//! What must hold for any station.

use super::*;
use crate::domain::ids::CueId;
use crate::domain::playlist::Skip;
use crate::domain::policy::SESSION_GAP_MS;
use crate::domain::recurrence::{DateSet, LocalTime, Weekdays};
use crate::domain::time::Span;
use crate::domain::timetable::sheet::Cue;
use chrono::{Datelike as _, Timelike as _};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const PATHS: [(&str, i64); 6] = [
    ("chuong.mp3", 800),
    ("tin.mp3", 45_000),
    ("bai.mp3", 12 * 60_000),
    ("nhac.mp3", 40 * 60_000),
    ("mat.mp3", 0),
    ("la.flac", 30_000),
];

/// A zone and a date near which something happens to its clocks (or nothing, at home).
const PLACES: [(Tz, &str); 7] = [
    (chrono_tz::Asia::Ho_Chi_Minh, "2026-12-01"),
    (chrono_tz::Europe::Berlin, "2026-03-28"),
    (chrono_tz::Europe::Berlin, "2026-10-23"),
    (chrono_tz::Australia::Lord_Howe, "2026-04-03"),
    (chrono_tz::America::Nuuk, "2026-03-27"),
    (chrono_tz::Pacific::Apia, "2011-12-28"),
    (chrono_tz::Africa::Cairo, "2026-10-28"),
];

fn any_when() -> BoxedStrategy<Recurrence> {
    prop_oneof![
        vec(0..96_u32, 1..5).prop_map(|quarters| {
            let times: BTreeSet<u32> = quarters.iter().map(|q| q * 900).collect();
            let times = times.into_iter().map(LocalTime).collect();
            Recurrence::At { times, days: Weekdays::ALL }
        }),
        (vec(0..86_400_u32, 1..3), 1..128_u8).prop_map(|(seconds, days)| {
            let times: BTreeSet<u32> = seconds.into_iter().collect();
            let times = times.into_iter().map(LocalTime).collect();
            Recurrence::At { times, days: Weekdays(days) }
        }),
        prop_oneof![
            Just("*/20 * * * *"),
            Just("0 */6 * * *"),
            Just("30 1-4 * * *"),
            Just("59 23 * * *"),
            Just("0 0 * * *"),
            Just("15 5,17 * * mon-fri"),
        ]
        .prop_map(|text| Recurrence::cron(text).unwrap()),
    ]
    .boxed()
}

fn any_slot(id: usize) -> BoxedStrategy<Slot> {
    let order = prop_oneof![
        Just(Order::Sequence),
        any::<u64>().prop_map(|seed| Order::Shuffle { seed }),
        Just(Order::Rotate)
    ];
    let overrun = prop_oneof![
        Just(Overrun::Cut),
        Just(Overrun::Fade),
        (0..90_i64).prop_map(|minutes| Overrun::Finish { bound_ms: minutes * 60_000 })
    ];
    let longest = prop_oneof![1..7_200_000_i64, Just(30 * 60_000), Just(26 * 3_600_000)];
    (any_when(), longest, order, overrun, vec(0..6_usize, 1..5), 0..101_u8, vec(0..6_i32, 0..2))
        .prop_map(move |(when, longest_ms, order, overrun, items, volume, off)| Slot {
            longest_ms,
            order,
            overrun,
            volume,
            except: off.iter().map(|n| DateSet::Day(wall::shift(date("2026-12-01"), *n))).collect(),
            skips: off
                .iter()
                .map(|n| Skip { date: wall::shift(date("2026-12-02"), *n), reason: "x".into() })
                .collect(),
            items: items.iter().map(|n| ItemId::new(format!("i{n}")).unwrap()).collect(),
            ..slot(&format!("s{id}"), when, 1, &[])
        })
        .boxed()
}

pub(super) fn any_playlist(id: usize) -> BoxedStrategy<Playlist> {
    let item = |n: usize| {
        (0..9_usize, 0..6_usize)
            .prop_map(move |(kind, fallback)| {
                let id = format!("i{n}");
                match PATHS.get(kind) {
                    Some((path, _)) if fallback < 4 => clip(&id, path, None),
                    Some((path, _)) => clip(&id, path, Some(PATHS[fallback].0)),
                    None => pages(&id, "Xin chào"),
                }
            })
            .boxed()
    };
    let items = (item(0), item(1), item(2), item(3), item(4), item(5));
    let slots = prop_oneof![
        any_slot(0).prop_map(|a| vec![a]),
        (any_slot(0), any_slot(1)).prop_map(|(a, b)| vec![a, b])
    ];
    let target = prop_oneof![Just("12345"), Just("12345-t1"), Just("34")];
    (items, slots, any::<bool>(), of(0..3_u32), 0..3_u64, target)
        .prop_map(move |(items, slots, high, order, accepted, target)| {
            let items = vec![items.0, items.1, items.2, items.3, items.4, items.5];
            Playlist {
                priority: if high { Priority::Priority } else { Priority::Routine },
                order,
                accepted,
                targets: Targets {
                    units: vec![UnitId::new(target).unwrap()],
                    ..Targets::default()
                },
                ..playlist(&format!("p{id}"), items, slots)
            }
        })
        .boxed()
}

pub(super) fn any_policy(id: usize) -> BoxedStrategy<Policy> {
    let hours = (0..96_u32, 0..96_u32)
        .prop_map(|(from, to)| QuietHours { from: LocalTime(from * 900), to: LocalTime(to * 900) });
    let target = prop_oneof![Just(None), Just(Some("12345-t1")), Just(Some("34"))];
    (vec(hours, 0..3), of(1..128_u8), of(0..5_u32), of(0..90_u32), target)
        .prop_map(move |(quiet, days, sessions, minutes, target)| Policy {
            quiet,
            days: days.map(Weekdays),
            sessions_per_day: sessions,
            minutes_per_session: minutes,
            units: target.iter().map(|unit| UnitId::new(*unit).unwrap()).collect(),
            ..policy(&format!("q{id}"))
        })
        .boxed()
}

pub(super) fn any_station() -> BoxedStrategy<(Station, &'static str)> {
    let playlists =
        (any_playlist(0), any_playlist(1), any_playlist(2), any_playlist(3), 0..5_usize);
    let policies = (any_policy(0), any_policy(1), 0..3_usize);
    (0..PLACES.len(), playlists, policies)
        .prop_map(|(place, playlists, policies)| {
            let (zone, day) = PLACES[place];
            let mut station = station(zone);
            for (path, ms) in PATHS {
                if ms > 0 {
                    know(&mut station, path, ms);
                } else {
                    let why = "no such file".to_owned();
                    station.library.clips.insert(ClipPath(path.into()), Clip::Missing { why });
                }
            }
            let (a, b, c, d, count) = playlists;
            for playlist in [a, b, c, d].into_iter().take(count) {
                add(&mut station, playlist);
            }
            let (a, b, count) = policies;
            station.policies = vec![a, b].into_iter().take(count).collect();
            (station, day)
        })
        .boxed()
}

fn kind_of(station: &Station, planned: &PlannedCue) -> Kind {
    let playlist = &station.playlists[&planned.playlist];
    let item = playlist.items.iter().find(|item| item.id == planned.item).unwrap();
    match item.content {
        Content::Clip { .. } => Kind::Clip,
        Content::Pages(_) => Kind::Pages,
    }
}

fn rules_of(station: &Station, id: &DeviceId) -> Vec<Policy> {
    let unit = &station.devices[id].unit;
    let lineage: Vec<UnitId> = station.lineage(unit).iter().map(|u| u.id.clone()).collect();
    let binds = |policy: &&Policy| {
        policy.units.is_empty() || policy.units.iter().any(|unit| lineage.contains(unit))
    };
    station.policies.iter().filter(binds).cloned().collect()
}

fn clips(plan: &DevicePlan) -> Vec<(UtcMs, UtcMs)> {
    plan.cues()
        .filter(|(_, planned)| planned.kind == Kind::Clip)
        .map(|(cue, _)| (cue.at_ms, cue.end_ms))
        .collect()
}

/// Joins stretches that touch.
fn union(mut stretches: Vec<(UtcMs, UtcMs)>) -> Vec<Span> {
    stretches.sort_unstable();
    let mut joined: Vec<(UtcMs, UtcMs)> = Vec::new();
    for (from, to) in stretches {
        match joined.last_mut() {
            Some((_, end)) if from <= *end => *end = (*end).max(to),
            _ => joined.push((from, to)),
        }
    }
    joined.into_iter().map(|(from, to)| Span::new(from, to).unwrap()).collect()
}

fn days(station: &Station, from: NaiveDate, days: u32) -> Compiled {
    Compiler::new().compile(station, Horizon { from, days })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 3, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cues_of_one_output_never_overlap_except_in_a_rotation((station, day) in any_station()) {
        for (id, plan) in days(&station, date(day), 5).devices() {
            let all: Vec<&Cue> = plan.cues().map(|(cue, _)| cue).collect();
            prop_assert!(all.is_sorted_by_key(|cue| cue.at_ms), "{id}");
            for (_, planned) in plan.cues() {
                prop_assert_eq!(planned.kind, kind_of(&station, planned));
            }
            for kind in [Kind::Clip, Kind::Pages] {
                let cues: Vec<(&Cue, &PlannedCue)> =
                    plan.cues().filter(|(_, planned)| planned.kind == kind).collect();
                for pair in cues.windows(2) {
                    let ((a, pa), (b, pb)) = (pair[0], pair[1]);
                    prop_assert!(a.at_ms < a.end_ms && b.at_ms < b.end_ms);
                    let rotation = kind == Kind::Pages
                        && (a.at_ms, a.end_ms) == (b.at_ms, b.end_ms)
                        && (&pa.playlist, &pa.slot, pa.nominal) == (&pb.playlist, &pb.slot, pb.nominal);
                    prop_assert!(rotation || a.end_ms <= b.at_ms, "{} {:?} {:?}", id, pa, pb);
                }
            }
            let ids: BTreeSet<CueId> = all.iter().map(|cue| cue.id).collect();
            prop_assert_eq!(ids.len(), all.len(), "no id stands twice");
            for day in plan.days() {
                for cue in &day.sheet.cues {
                    prop_assert!(day.from_ms <= cue.at_ms && cue.at_ms < day.to_ms);
                    let item = &day.sheet.items[&cue.item];
                    if let sheet::SheetItem::Clip { asset, fallback, .. } = item {
                        prop_assert!(cue.end_ms.since(cue.at_ms) <= day.sheet.assets[asset].ms);
                        prop_assert!(fallback.is_none_or(|f| day.sheet.assets.contains_key(&f)));
                    }
                }
            }
        }
    }

    #[test]
    fn no_clip_lies_in_quiet_hours_whatever_its_priority((station, day) in any_station()) {
        for (id, plan) in days(&station, date(day), 5).devices() {
            let policies = rules_of(&station, id);
            let sound = union(plan.days().iter().flat_map(|d| &d.sheet.sound).map(|s| (s.from(), s.to())).collect());
            let horizon_end = plan.days().last().unwrap().to_ms;
            for (from, to) in clips(plan) {
                let to = to.min(horizon_end);
                prop_assert!(sound.iter().any(|s| s.from() <= from && to <= s.to()));
                let mut at = from;
                while at < to {
                    let shown = wall::reading(station.zone, at);
                    let time = LocalTime(shown.num_seconds_from_midnight());
                    for policy in &policies {
                        prop_assert!(!policy.quiet.iter().any(|hours| hours.contains(time)), "{id} {shown}");
                        // Where clocks go back over midnight the date shown and the local day differ.
                        if plan.days().iter().all(|d| d.to_ms.since(d.from_ms) == 86_400_000) {
                            prop_assert!(policy.days.is_none_or(|days| days.contains(shown.date().weekday())));
                        }
                    }
                    at = at.plus(30_000);
                }
            }
        }
    }

    #[test]
    fn sessions_stay_within_their_number_and_minutes((station, day) in any_station()) {
        for (id, plan) in days(&station, date(day), 5).devices() {
            let policies = rules_of(&station, id);
            let sessions = policies.iter().filter_map(|p| p.sessions_per_day).min();
            let minutes = policies.iter().filter_map(|p| p.minutes_per_session).min();
            let mut found: Vec<(UtcMs, UtcMs)> = Vec::new();
            for (from, to) in clips(plan) {
                match found.last_mut() {
                    Some((_, end)) if from.since(*end) < SESSION_GAP_MS => *end = to.max(*end),
                    _ => found.push((from, to)),
                }
            }
            if let Some(minutes) = minutes {
                for (from, to) in &found {
                    prop_assert!(to.since(*from) <= i64::from(minutes) * 60_000, "{id} {from:?} {to:?}");
                }
            }
            if let Some(sessions) = sessions {
                // A session of the first day may have begun before the horizon.
                for day in &plan.days()[1..] {
                    let begun = found.iter().filter(|(from, _)| day.from_ms <= *from && *from < day.to_ms);
                    prop_assert!(begun.count() <= sessions as usize, "{id} on {:?}", day.from_ms);
                }
            }
        }
    }

    #[test]
    fn compile_is_deterministic_whatever_the_order_and_the_past((station, day) in any_station(), (other, _) in any_station()) {
        let horizon = Horizon { from: date(day), days: 3 };
        let fresh = Compiler::new().compile(&station, horizon);
        let mut turned = station.clone();
        turned.policies.reverse();
        for playlist in turned.playlists.values_mut() {
            playlist.items.reverse();
        }
        let mut used = Compiler::new();
        used.compile(&other, horizon);
        used.compile(&station, Horizon { from: wall::shift(date(day), 1), days: 4 });
        for again in [used.compile(&turned, horizon), used.compile(&station, horizon)] {
            for ((id, a), (_, b)) in fresh.devices().zip(again.devices()) {
                prop_assert_eq!(a.plans(), b.plans(), "{}", id);
                prop_assert_eq!(a.days(), b.days());
            }
        }
    }

    #[test]
    fn every_occurrence_asked_for_has_its_cues_or_is_left_out((station, day) in any_station()) {
        let compiled = days(&station, date(day), 6);
        for (id, plan) in compiled.devices() {
            let device = &station.devices[id];
            let profile = &station.profiles[&device.profile];
            let lineage: Vec<&UnitId> = station.lineage(&device.unit).iter().map(|u| &u.id).collect();
            type Place = (PlaylistId, SlotId, UtcMs, ItemId);
            let mut told: BTreeMap<Place, BTreeSet<CueId>> = BTreeMap::new();
            let mut whole: BTreeSet<(PlaylistId, SlotId, UtcMs)> = BTreeSet::new();
            for (cue, p) in plan.cues() {
                let place = (p.playlist.clone(), p.slot.clone(), p.nominal, p.item.clone());
                told.entry(place).or_default().insert(cue.id);
            }
            for gone in plan.left_out() {
                match &gone.item {
                    Some((item, cue)) => {
                        let place = (gone.playlist.clone(), gone.slot.clone(), gone.nominal, item.clone());
                        let new = told.entry(place).or_default().insert(*cue);
                        prop_assert!(new, "{}: told twice: {:?}", id, gone);
                    }
                    None => {
                        whole.insert((gone.playlist.clone(), gone.slot.clone(), gone.nominal));
                    }
                }
            }
            for playlist in station.playlists.values() {
                if !playlist.targets.units.iter().any(|unit| lineage.contains(&unit)) {
                    continue;
                }
                for slot in &playlist.slots {
                    // Away from the edges: an occurrence may reach into the next day.
                    let (first, last) = (wall::shift(date(day), 1), wall::shift(date(day), 4));
                    for nominal in slot.when.between(first, last, station.zone) {
                        if whole.contains(&(playlist.id.clone(), slot.id.clone(), nominal)) {
                            continue;
                        }
                        for item in &playlist.items {
                            let output = match item.content {
                                Content::Clip { .. } => profile.speaker.is_some(),
                                Content::Pages(_) => profile.board.is_some(),
                            };
                            let count = slot.items.iter().filter(|i| **i == item.id).count();
                            if !output || count == 0 {
                                continue;
                            }
                            let place = (playlist.id.clone(), slot.id.clone(), nominal, item.id.clone());
                            let ids = told.get(&place).cloned().unwrap_or_default();
                            for k in 0..u32::try_from(count).unwrap() {
                                let cue = CueId::derive(&playlist.id, &slot.id, nominal, &item.id, k);
                                prop_assert!(ids.contains(&cue), "{id}: {place:?} #{k}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn horizons_agree_on_the_days_they_share((station, day) in any_station()) {
        let one = days(&station, date(day), 4);
        let other = days(&station, wall::shift(date(day), 2), 4);
        for ((_, a), (_, b)) in one.devices().zip(other.devices()) {
            let shared: Vec<_> = a.plans().iter().filter(|plan| plan.date >= wall::shift(date(day), 2)).collect();
            for (x, y) in shared.iter().zip(b.plans()) {
                prop_assert_eq!(*x, y);
            }
        }
    }

    #[test]
    fn a_further_policy_never_adds_sound((station, day) in any_station(), further in any_policy(9)) {
        let before = days(&station, date(day), 4);
        let mut stricter = station.clone();
        stricter.policies.push(further);
        let after = days(&stricter, date(day), 4);
        for ((id, a), (_, b)) in before.devices().zip(after.devices()) {
            let loud = union(clips(a));
            for span in union(clips(b)) {
                prop_assert!(
                    loud.iter().any(|l| l.from() <= span.from() && span.to() <= l.to()),
                    "{} sounds at {:?}", id, span
                );
            }
            prop_assert!(b.volume_cap() <= a.volume_cap());
            for (x, y) in a.days().iter().zip(b.days()) {
                let allowed = union(x.sheet.sound.iter().map(|s| (s.from(), s.to())).collect());
                for span in &y.sheet.sound {
                    prop_assert!(allowed.iter().any(|l| l.from() <= span.from() && span.to() <= l.to()));
                }
            }
        }
    }

    #[test]
    fn cue_ids_do_not_depend_on_length_order_volume_or_device((station, day) in any_station()) {
        let ids = |station: &Station, device_id: &str| -> BTreeSet<CueId> {
            let compiled = days(station, date(day), 3);
            let plan = compiled.device(&device(device_id)).unwrap();
            let items = plan.left_out().filter_map(|gone| gone.item.as_ref().map(|(_, id)| *id));
            plan.cues().filter(|(_, p)| p.kind == Kind::Clip).map(|(cue, _)| cue.id).chain(items).collect()
        };
        // Short clips, so that nothing reaches into another day than before.
        let mut station = station;
        for playlist in station.playlists.values_mut() {
            playlist.targets.units = vec![UnitId::new("12345").unwrap()];
            playlist.items.retain(|item| matches!(item.content, Content::Clip { .. }));
            for slot in &mut playlist.slots {
                slot.items.retain(|id| playlist.items.iter().any(|item| item.id == *id));
                slot.longest_ms = 10 * 60_000;
                slot.overrun = Overrun::Cut;
                slot.when = Recurrence::cron("10 5,12,17 * * *").unwrap();
            }
        }
        let one = ids(&station, "loa-1");
        prop_assert_eq!(&one, &ids(&station, "ca-hai-1"));
        for clip in station.library.clips.values_mut() {
            if let Clip::Known(facts) = clip {
                facts.ms = facts.ms / 3 + 1;
            }
        }
        for playlist in station.playlists.values_mut() {
            playlist.items.reverse();
            for slot in &mut playlist.slots {
                slot.volume = 100 - slot.volume;
                slot.items.reverse();
            }
        }
        prop_assert_eq!(&one, &ids(&station, "loa-1"));
    }

    #[test]
    fn applying_a_diff_gives_the_new_cues((station, day) in any_station(), (other, _) in any_station()) {
        let (old, new) = (days(&station, date(day), 3), days(&other, date(day), 3));
        for ((_, a), (_, b)) in old.devices().zip(new.devices()) {
            for (a, b) in a.days().iter().zip(b.days()) {
                let (mut a, b) = (a.sheet.cues.clone(), b.sheet.cues.clone());
                for pass in 0..2 {
                    let diff = diff::diff(&a, &b);
                    prop_assert_eq!(diff::apply(&a, &diff), b.clone());
                    prop_assert_eq!(diff.is_empty(), a == b);
                    prop_assert!(diff::diff(&b, &b).is_empty());
                    if pass == 0 {
                        // A variant of the new list: turned round, some louder, some gone.
                        a.clone_from(&b);
                        a.reverse();
                        a.truncate(b.len().saturating_sub(1));
                        for cue in a.iter_mut().step_by(3) {
                            cue.volume = 7;
                        }
                    }
                }
            }
        }
    }
}

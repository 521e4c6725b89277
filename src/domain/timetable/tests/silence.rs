//! What passes without approval: only what silences, and all that does.

use super::properties::{any_playlist, any_policy, any_station};
use super::*;
use crate::domain::approval::{What, judge, preview};
use crate::domain::playlist::Skip;
use crate::domain::recurrence::{DateSet, wall};
use crate::domain::timetable::sheet::{DaySheet, SheetItem};
use proptest::prelude::*;

/// A change of one setting: by kind, with some number.
type Turn = (u8, usize);

/// Changes that ask for less.
const SILENCING: u8 = 8;
/// Those and others.
const ALL: u8 = 19;

fn nth<T>(all: &mut [T], n: usize) -> Option<&mut T> {
    let len = all.len().max(1);
    all.get_mut(n % len)
}

/// Makes one change; playlists and policies that come in are given.
fn turn(station: &mut Station, (kind, n): Turn, list: &Playlist, rule: &Policy, day: NaiveDate) {
    let ids: Vec<PlaylistId> = station.playlists.keys().cloned().collect();
    let id = ids.get(n % ids.len().max(1)).cloned();
    let chosen = id.clone().and_then(|id| station.playlists.get_mut(&id));
    let slot = chosen.and_then(|list| nth(&mut list.slots, n));
    let date = wall::shift(day, i32::try_from(n % 5).unwrap());
    match (kind, slot) {
        (0, _) => drop(id.and_then(|id| station.playlists.remove(&id))),
        (1, Some(slot)) => slot.skips.push(Skip { date, reason: "x".into() }),
        (2, Some(slot)) => slot.except.push(DateSet::Days(date, wall::shift(date, 2))),
        (3, Some(slot)) => slot.volume = slot.volume.saturating_sub(7),
        (4, _) => {
            let id = PolicyId::new("moi").unwrap();
            station.policies.push(Policy { id, ..rule.clone() });
        }
        (5, _) => drop(station.devices.pop_first()),
        (6, _) => {
            if let Some(device) = station.devices.values_mut().nth(n % 2) {
                device.volume_cap = 30;
            }
        }
        (7, _) => {
            if let Some(list) = id.and_then(|id| station.playlists.get_mut(&id)) {
                list.valid_until = Some(date);
            }
        }
        (8, _) => add(station, Playlist { id: PlaylistId::new("moi").unwrap(), ..list.clone() }),
        (9, Some(slot)) => slot.volume = 100,
        (10, Some(slot)) => slot.when = list.slots[0].when.clone(),
        (11, Some(slot)) => slot.longest_ms *= 2,
        (12, _) => drop(station.policies.pop()),
        (13, _) => know(station, "tin.mp3", 46_000),
        (14, Some(slot)) => slot.skips.clear(),
        (15, Some(slot)) => slot.items.rotate_left(1),
        (16, _) => {
            if let Some(list) = id.and_then(|id| station.playlists.get_mut(&id)) {
                list.priority = Priority::Priority;
            }
        }
        (17, _) => {
            if let Some(device) = station.devices.values_mut().next() {
                device.trim_ms = 120;
            }
        }
        (18, _) => {
            let twin = station.devices.values().next().cloned();
            let twin = twin.map(|twin| Device { id: device("loa-moi"), ..twin });
            station.devices.extend(twin.map(|twin| (twin.id.clone(), twin)));
        }
        _ => {}
    }
}

/// What is heard or seen of a cue, looked up without the code under test.
fn heard(sheet: &DaySheet, item: &str) -> String {
    match &sheet.items[item] {
        SheetItem::Clip { title, asset, fallback } => {
            let entry = |digest| format!("{:?}", sheet.assets.get(digest));
            format!("{title} {} {:?}", entry(asset), fallback.as_ref().map(entry))
        }
        other => format!("{other:?}"),
    }
}

/// Finds something that the new schedule lets sound and the old one did not.
fn added(old: &Compiled, new: &Compiled, now: UtcMs) -> Option<String> {
    for (id, plan) in new.devices() {
        for day in plan.days() {
            for cue in day.sheet.cues.iter().filter(|cue| cue.end_ms > now) {
                let board = matches!(day.sheet.items[&cue.item], SheetItem::Pages { .. });
                let volume = |plan: &DevicePlan, volume: u8| {
                    if board { volume } else { volume.min(plan.volume_cap()) }
                };
                let covered = old.device(id).is_some_and(|was| {
                    was.trim_ms() == plan.trim_ms()
                        && was.days().iter().any(|before| {
                            before.sheet.cues.iter().any(|known| {
                                known.id == cue.id
                                    && known.at_ms == cue.at_ms
                                    && known.end_ms >= cue.end_ms
                                    && volume(was, known.volume) >= volume(plan, cue.volume)
                                    && heard(&before.sheet, &known.item)
                                        == heard(&day.sheet, &cue.item)
                            })
                        })
                });
                if !covered {
                    return Some(format!("{id} {cue:?}"));
                }
            }
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 10, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_adds_moves_lengthens_or_changes_passes_without_approval(
        (old, day) in any_station(),
        turns in proptest::collection::vec((0..ALL, 0..12_usize), 1..4),
        list in any_playlist(8),
        rule in any_policy(8),
    ) {
        let mut new = old.clone();
        for one in turns {
            turn(&mut new, one, &list, &rule, date(day));
        }
        let now = wall::day(old.zone, date(day)).0;
        let (silent, shown) = judge(&old, &new, now);
        let eve = wall::shift(date(day), -1).to_string();
        let (before, after) = (compile(&old, &eve, 13), compile(&new, &eve, 13));
        if let Some(added) = added(&before, &after, now) {
            prop_assert!(!silent, "passed: {added}");
            prop_assert!(shown.adds && !shown.is_empty());
        }
    }

    #[test]
    fn what_only_silences_never_needs_approval(
        (old, day) in any_station(),
        turns in proptest::collection::vec((0..SILENCING, 0..12_usize), 1..4),
        list in any_playlist(8),
        rule in any_policy(8),
    ) {
        let mut new = old.clone();
        for one in turns {
            turn(&mut new, one, &list, &rule, date(day));
        }
        let now = wall::day(old.zone, date(day)).0;
        // One playlist that falls silent can let another through, also one of the eve that lasts
        // past midnight: then it is no silence.
        let eve = wall::shift(date(day), -1).to_string();
        let (before, after) = (compile(&old, &eve, 65), compile(&new, &eve, 65));
        prop_assume!(added(&before, &after, now).is_none());
        let (silent, shown) = judge(&old, &new, now);
        prop_assert!(silent, "held back: {:?}", shown.changes.first());
    }
}

fn morning() -> (Station, UtcMs) {
    let mut station = station(chrono_tz::Asia::Ho_Chi_Minh);
    know(&mut station, "a.mp3", 10 * 60_000);
    know(&mut station, "b.mp3", 5 * 60_000);
    add(&mut station, one("sang", "05:00", "a.mp3"));
    let now = wall::day(station.zone, date("2026-12-01")).0;
    (station, now)
}

fn one(id: &str, time: &str, path: &str) -> Playlist {
    playlist(id, vec![clip("a", path, None)], vec![slot("s", at(&[time]), 20, &["a"])])
}

/// One line a change, of the first day.
fn told(old: &Station, new: &Station, now: UtcMs) -> String {
    let (silent, shown) = judge(old, new, now);
    let mut text = format!("{}\n", if silent { "at once" } else { "needs approval" });
    for change in shown.changes.iter().filter(|c| c.at_ms < now.plus(86_400_000)) {
        let time = wall::display(old.zone, change.at_ms).format("%H:%M");
        let units: Vec<_> = change.units.iter().map(ToString::to_string).collect();
        let near = if change.near_quiet { " NEAR QUIET" } else { "" };
        writeln!(text, "{:?} {time} {} [{}]{near}", change.what, change.item, units.join(" "))
            .unwrap();
    }
    text
}

#[test]
fn a_preview_says_what_is_new_gone_moved_and_near_to_quiet() {
    let (old, now) = morning();
    assert_eq!(told(&old, &old, now), "at once\n");
    let mut new = old.clone();
    new.policies = vec![Policy { quiet: vec![quiet("21:30", "04:45")], ..policy("dem") }];
    add(&mut new, one("chieu", "17:00", "b.mp3"));
    add(&mut new, one("khuya", "20:45", "b.mp3"));
    insta::assert_snapshot!(told(&old, &new, now), @r"
    needs approval
    New 20:45 khuya/a [12345 12345-t1 12345-t2] NEAR QUIET
    New 17:00 chieu/a [12345 12345-t1 12345-t2]
    ");
    let mut new = old.clone();
    add(&mut new, one("sang", "06:00", "a.mp3"));
    insta::assert_snapshot!(told(&old, &new, now), @r"
    needs approval
    New 06:00 sang/a [12345 12345-t1 12345-t2]
    Gone 05:00 sang/a [12345 12345-t1 12345-t2]
    ");
    let mut new = old.clone();
    know(&mut new, "a.mp3", 9 * 60_000);
    insta::assert_snapshot!(told(&old, &new, now), @r"
    needs approval
    Content 05:00 sang/a [12345 12345-t1 12345-t2] NEAR QUIET
    ");
    let mut new = old.clone();
    new.playlists.clear();
    insta::assert_snapshot!(told(&old, &new, now), @r"
    at once
    Gone 05:00 sang/a [12345 12345-t1 12345-t2]
    ");
}

#[test]
fn a_slot_years_ahead_does_not_pass_because_nobody_looks_that_far() {
    let (old, now) = morning();
    let mut new = old.clone();
    let mut far = one("xa", "09:00", "a.mp3");
    far.slots[0].only = vec![DateSet::Day(date("2031-01-01"))];
    add(&mut new, far);
    assert!(preview(&old, &new, now).is_empty());
    assert!(!judge(&old, &new, now).0);
    let mut freed = old.clone();
    freed.playlists.get_mut(&PlaylistId::new("sang").unwrap()).unwrap().valid_until =
        Some(date("2027-01-01"));
    assert!(judge(&old, &freed, now).0, "an end is silence");
    assert!(!judge(&freed, &old, now).0, "taking the end away is not");
}

#[test]
fn a_withdrawn_playlist_that_lets_another_one_through_is_no_silence() {
    let (mut old, now) = morning();
    add(&mut old, Playlist { priority: Priority::Priority, ..one("tren", "05:05", "b.mp3") });
    let mut new = old.clone();
    new.playlists.remove(&PlaylistId::new("tren").unwrap());
    let (silent, shown) = judge(&old, &new, now);
    assert!(!silent);
    assert!(shown.changes.iter().any(|change| change.what == What::Longer));
}

//! Single rules, each on a day that a person can check by reading.

use super::*;
use crate::domain::playlist::Skip;
use crate::domain::recurrence::{Calendar, DateSet};
use chrono_tz::Asia::Ho_Chi_Minh;
use std::sync::Arc;

fn morning() -> Station {
    let mut station = station(Ho_Chi_Minh);
    know(&mut station, "a.mp3", 10 * 60_000);
    know(&mut station, "b.mp3", 5 * 60_000);
    know(&mut station, "c.mp3", 20 * 60_000);
    station
}

fn abc(when: Recurrence, minutes: i64) -> Playlist {
    let items = vec![clip("a", "a.mp3", None), clip("b", "b.mp3", None), clip("c", "c.mp3", None)];
    playlist("sang", items, vec![slot("s", when, minutes, &["a", "b", "c"])])
}

#[test]
fn clips_start_exactly_and_follow_back_to_back() {
    let mut station = morning();
    add(&mut station, abc(at(&["05:00:30"]), 60));
    let compiled = compile(&station, "2026-12-01", 1);
    insta::assert_snapshot!(story(&compiled, "loa-1"), @r"
        01 05:00:30-05:10:30 sang/s/a v80 f500
        01 05:10:30-05:15:30 sang/s/b v80 f500
        01 05:15:30-05:35:30 sang/s/c v80 f500
        ");
    assert_eq!(story(&compiled, "bang-1"), "", "clips are not asked of a board");
}

#[test]
fn content_longer_than_its_slot_is_cut_faded_or_finished_up_to_a_bound() {
    let mut stories = String::new();
    for overrun in [
        Overrun::Cut,
        Overrun::Fade,
        Overrun::Finish { bound_ms: 2 * 60_000 },
        Overrun::Finish { bound_ms: 60 * 60_000 },
    ] {
        let mut station = morning();
        let mut list = abc(at(&["05:00"]), 12);
        list.slots[0].overrun = overrun;
        add(&mut station, list);
        let told = story(&compile(&station, "2026-12-01", 1), "loa-1");
        writeln!(stories, "{overrun:?}\n{told}").unwrap();
    }
    insta::assert_snapshot!(stories, @r"
        Cut
        01 05:00:00-05:10:00 sang/s/a v80 f500
        01 05:10:00-05:12:00 sang/s/b v80 f0 [slot-end: shortened; the slot is over]
        - 01 05:00:00 sang/s/c [slot-end: left out; the slot is over]

        Fade
        01 05:00:00-05:10:00 sang/s/a v80 f500
        01 05:10:00-05:12:00 sang/s/b v80 f500 [slot-end: shortened; the slot is over]
        - 01 05:00:00 sang/s/c [slot-end: left out; the slot is over]

        Finish { bound_ms: 120000 }
        01 05:00:00-05:10:00 sang/s/a v80 f500
        01 05:10:00-05:14:00 sang/s/b v80 f500 [slot-end: shortened; the slot is over]
        - 01 05:00:00 sang/s/c [slot-end: left out; the slot is over]

        Finish { bound_ms: 3600000 }
        01 05:00:00-05:10:00 sang/s/a v80 f500
        01 05:10:00-05:15:00 sang/s/b v80 f500
        - 01 05:00:00 sang/s/c [slot-end: left out; the slot is over]
        ");
}

#[test]
fn a_slot_across_midnight_goes_on_in_the_next_sheet_without_a_seam() {
    let mut station = morning();
    add(&mut station, abc(at(&["23:50"]), 60));
    let compiled = compile(&station, "2026-12-01", 2);
    insta::assert_snapshot!(story(&compiled, "loa-1"), @r"
        01 00:00:00-00:05:00 sang/s/b v80 f500
        01 00:05:00-00:25:00 sang/s/c v80 f500
        01 23:50:00-00:00:00 sang/s/a v80 f500
        02 00:00:00-00:05:00 sang/s/b v80 f500
        02 00:05:00-00:25:00 sang/s/c v80 f500
        02 23:50:00-00:00:00 sang/s/a v80 f500
        ");
    let days = compiled.device(&device("loa-1")).unwrap().days();
    let starts = |day: usize| {
        let sheet = &days[day].sheet;
        sheet.cues.iter().all(|cue| sheet.from_ms <= cue.at_ms && cue.at_ms < sheet.to_ms)
    };
    assert!(starts(0) && starts(1), "a cue stands in the sheet in which it starts");
    assert_eq!(days[0].to_ms, days[1].from_ms);
}

#[test]
fn an_occurrence_is_over_when_the_next_of_its_slot_begins() {
    let mut station = morning();
    add(&mut station, abc(at(&["05:00", "05:12"]), 60));
    insta::assert_snapshot!(story(&compile(&station, "2026-12-01", 1), "loa-1"), @r"
        01 05:00:00-05:10:00 sang/s/a v80 f500
        01 05:10:00-05:12:00 sang/s/b v80 f500 [next-occurrence: shortened; the slot's next occurrence begins]
        01 05:12:00-05:22:00 sang/s/a v80 f500
        01 05:22:00-05:27:00 sang/s/b v80 f500
        01 05:27:00-05:47:00 sang/s/c v80 f500
        - 01 05:00:00 sang/s/c [next-occurrence: left out; the slot's next occurrence begins]
        ");
}

#[test]
fn priority_pre_empts_routine_and_equals_follow_the_communes_order() {
    let mut station = morning();
    know(&mut station, "bao.mp3", 3 * 60_000);
    add(&mut station, Playlist { accepted: 1, ..abc(at(&["05:00"]), 40) });
    let storm = |id: &str, times: &[&str], priority, order| Playlist {
        priority,
        order,
        accepted: 2,
        ..playlist(id, vec![clip("bao", "bao.mp3", None)], vec![slot("s", at(times), 20, &["bao"])])
    };
    add(&mut station, storm("bao", &["05:08"], Priority::Priority, None));
    add(&mut station, storm("tinh", &["05:20"], Priority::Routine, Some(1)));
    add(&mut station, storm("muon", &["05:01"], Priority::Routine, None));
    insta::assert_snapshot!(story(&compile(&station, "2026-12-01", 1), "loa-1"), @r"
        01 05:00:00-05:08:00 sang/s/a v80 f500 [pre-empted: shortened; `bao/s` has priority]
        01 05:08:00-05:11:00 bao/s/bao v80 f500
        01 05:11:00-05:16:00 sang/s/b v80 f500 [pre-empted: moved; `bao/s` has priority]
        01 05:16:00-05:20:00 sang/s/c v80 f500 [pre-empted: moved; `bao/s` has priority] [yields: shortened; `tinh/s` comes first among equals]
        01 05:20:00-05:23:00 tinh/s/bao v80 f500
        - 01 05:01:00 muon/s/bao [yields: left out; `tinh/s` comes first among equals]
        ");
}

#[test]
fn a_rotation_of_a_board_goes_on_after_a_higher_one() {
    let mut station = station(Ho_Chi_Minh);
    let all_day = slot("ca-ngay", at(&["06:00"]), 15 * 60, &["x", "y", "x"]);
    let items = vec![pages("x", "Xin chào"), pages("y", "An toàn thông tin")];
    add(&mut station, playlist("bang", items, vec![all_day]));
    let notice = slot("bao", at(&["10:00"]), 10, &["z"]);
    add(
        &mut station,
        Playlist {
            priority: Priority::Priority,
            ..playlist("khan", vec![pages("z", "Bão số 5")], vec![notice])
        },
    );
    let compiled = compile(&station, "2026-12-01", 1);
    insta::assert_snapshot!(story(&compiled, "bang-1"), @r"
        01 06:00:00-10:00:00 bang/ca-ngay/x v80 f500 [pre-empted: shortened; `khan/bao` has priority]
        01 06:00:00-10:00:00 bang/ca-ngay/y v80 f500 [pre-empted: shortened; `khan/bao` has priority]
        01 06:00:00-10:00:00 bang/ca-ngay/x v80 f500 [pre-empted: shortened; `khan/bao` has priority]
        01 10:00:00-10:10:00 khan/bao/z v80 f500
        01 10:10:00-21:00:00 bang/ca-ngay/x v80 f500 [pre-empted: goes on; `khan/bao` has priority]
        01 10:10:00-21:00:00 bang/ca-ngay/y v80 f500 [pre-empted: goes on; `khan/bao` has priority]
        01 10:10:00-21:00:00 bang/ca-ngay/x v80 f500 [pre-empted: goes on; `khan/bao` has priority]
        ");
    let plan = compiled.device(&device("bang-1")).unwrap();
    let ids: std::collections::BTreeSet<_> = plan.cues().map(|(cue, _)| cue.id).collect();
    assert_eq!(ids.len(), plan.cues().count(), "each appearance has its own id");
}

#[test]
fn one_playlist_addresses_loudspeakers_and_boards() {
    let mut station = morning();
    let items = vec![clip("a", "a.mp3", None), pages("x", "Xin chào"), clip("b", "b.mp3", None)];
    let list = playlist("hai", items, vec![slot("s", at(&["05:00"]), 30, &["a", "x", "b"])]);
    add(&mut station, list);
    let compiled = compile(&station, "2026-12-01", 1);
    let told: Vec<String> =
        ["loa-1", "bang-1", "ca-hai-1"].iter().map(|id| story(&compiled, id)).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
        01 05:00:00-05:10:00 hai/s/a v80 f500
        01 05:10:00-05:15:00 hai/s/b v80 f500

        01 05:00:00-05:30:00 hai/s/x v80 f500

        01 05:00:00-05:10:00 hai/s/a v80 f500
        01 05:00:00-05:30:00 hai/s/x v80 f500
        01 05:10:00-05:15:00 hai/s/b v80 f500
        ");
}

#[test]
fn exceptions_and_skips_are_told_and_unmatched_days_are_not() {
    let mut station = morning();
    station.calendars.push(Calendar {
        id: "tet".parse().unwrap(),
        title: "Tết".into(),
        spans: vec![(date("2026-12-02"), date("2026-12-02"), "Tết thử".into())],
    });
    let mut list = abc(Recurrence::at(&["05:00"], &["Mon-Fri"]).unwrap(), 5);
    list.slots[0].items.truncate(1);
    list.slots[0].except =
        vec![DateSet::Calendar("tet".parse().unwrap()), DateSet::Day(date("2026-12-03"))];
    list.slots[0].skips =
        vec![Skip { date: date("2026-12-04"), reason: "họp Hội đồng nhân dân".into() }];
    list.valid_until = Some(date("2026-12-08"));
    add(&mut station, list.clone());
    insta::assert_snapshot!(story(&compile(&station, "2026-12-01", 14), "loa-1"), @r"
        01 05:00:00-05:05:00 sang/s/a v80 f500 [slot-end: shortened; the slot is over]
        07 05:00:00-05:05:00 sang/s/a v80 f500 [slot-end: shortened; the slot is over]
        08 05:00:00-05:05:00 sang/s/a v80 f500 [slot-end: shortened; the slot is over]
        - 02 05:00:00 sang/s [except: left out; the slot excepts `calendar:tet` (Tết thử)]
        - 03 05:00:00 sang/s [except: left out; the slot excepts `2026-12-03`]
        - 04 05:00:00 sang/s [skipped: left out; skipped by an operator: họp Hội đồng nhân dân]
        ");
    list.slots[0].only = vec![DateSet::Days(date("2026-12-01"), date("2026-12-02"))];
    add(&mut station, list);
    insta::assert_snapshot!(story(&compile(&station, "2026-12-01", 14), "loa-1"), @r"
        01 05:00:00-05:05:00 sang/s/a v80 f500 [slot-end: shortened; the slot is over]
        - 02 05:00:00 sang/s [except: left out; the slot excepts `calendar:tet` (Tết thử)]
        ");
}

#[test]
fn a_morning_call_at_night_is_left_out_and_the_evening_is_cut_by_quiet_hours() {
    let mut station = morning();
    station.policies.push(Policy { quiet: vec![quiet("21:30", "04:45")], ..policy("dem") });
    let mut list = abc(at(&["03:15", "04:40", "21:10"]), 60);
    list.priority = Priority::Priority;
    add(&mut station, list);
    insta::assert_snapshot!(story(&compile(&station, "2026-12-01", 1), "loa-1"), @r"
        01 04:50:00-04:55:00 sang/s/b v80 f500
        01 04:55:00-05:15:00 sang/s/c v80 f500
        01 21:10:00-21:20:00 sang/s/a v80 f500
        01 21:20:00-21:25:00 sang/s/b v80 f500
        01 21:25:00-21:30:00 sang/s/c v80 f500 [quiet-hours: shortened; quiet hours 21:30-04:45 of policy `dem`]
        - 01 03:15:00 sang/s/a [quiet-hours: left out; quiet hours 21:30-04:45 of policy `dem`]
        - 01 03:15:00 sang/s/b [quiet-hours: left out; quiet hours 21:30-04:45 of policy `dem`]
        - 01 03:15:00 sang/s/c [quiet-hours: left out; quiet hours 21:30-04:45 of policy `dem`]
        - 01 04:40:00 sang/s/a [quiet-hours: left out; quiet hours 21:30-04:45 of policy `dem`]
        ");
}

/// Samoa had no 30 December 2011: the clocks went from the end of the 29th to the 31st.
#[test]
fn minutes_a_session_hold_also_over_a_date_that_the_zone_leaves_out() {
    let mut station = morning();
    station.zone = chrono_tz::Pacific::Apia;
    station.policies.push(Policy { minutes_per_session: Some(20), ..policy("buoi") });
    add(&mut station, abc(at(&["23:50"]), 60));
    let compiled = compile(&station, "2011-12-29", 3);
    let plan = compiled.device(&device("loa-1")).unwrap();
    let reading = date("2011-12-29").and_hms_opt(23, 50, 0).unwrap();
    let begun = crate::domain::recurrence::wall::first(station.zone, reading);
    let session: Vec<_> = plan
        .cues()
        .map(|(cue, _)| (cue.at_ms.since(begun) / 60_000, cue.end_ms.since(begun) / 60_000))
        .filter(|(at, _)| (0..60).contains(at))
        .collect();
    // The second is that of the date without hours, at the first instant behind it.
    assert_eq!(session, [(0, 10), (10, 20)]);
}

#[test]
fn sessions_a_day_and_minutes_a_session_hold_also_across_midnight() {
    let mut station = morning();
    station.policies.push(Policy {
        sessions_per_day: Some(2),
        minutes_per_session: Some(30),
        ..policy("buoi")
    });
    add(&mut station, abc(at(&["05:00", "11:00", "17:00", "23:45"]), 40));
    let mut storm = abc(at(&["20:00"]), 10);
    storm.id = PlaylistId::new("bao").unwrap();
    storm.priority = Priority::Priority;
    add(&mut station, storm);
    insta::assert_snapshot!(story(&compile(&station, "2026-12-01", 2), "loa-1"), @r"
        01 05:00:00-05:10:00 sang/s/a v80 f500
        01 05:10:00-05:15:00 sang/s/b v80 f500
        01 05:15:00-05:30:00 sang/s/c v80 f500 [session-minutes: shortened; policy `buoi` allows 30 minutes a session]
        01 20:00:00-20:10:00 bao/s/a v80 f500
        02 05:00:00-05:10:00 sang/s/a v80 f500
        02 05:10:00-05:15:00 sang/s/b v80 f500
        02 05:15:00-05:30:00 sang/s/c v80 f500 [session-minutes: shortened; policy `buoi` allows 30 minutes a session]
        02 20:00:00-20:10:00 bao/s/a v80 f500
        - 30 23:45:00 sang/s/c [sessions-a-day: left out; policy `buoi` allows 2 sessions a day]
        - 01 11:00:00 sang/s/a [sessions-a-day: left out; policy `buoi` allows 2 sessions a day]
        - 01 11:00:00 sang/s/b [sessions-a-day: left out; policy `buoi` allows 2 sessions a day]
        - 01 11:00:00 sang/s/c [sessions-a-day: left out; policy `buoi` allows 2 sessions a day]
        - 01 17:00:00 sang/s/a [sessions-a-day: left out; policy `buoi` allows 2 sessions a day]
        - 01 17:00:00 sang/s/b [sessions-a-day: left out; policy `buoi` allows 2 sessions a day]
        - 01 17:00:00 sang/s/c [sessions-a-day: left out; policy `buoi` allows 2 sessions a day]
        - 01 20:00:00 bao/s/b [slot-end: left out; the slot is over]
        - 01 20:00:00 bao/s/c [slot-end: left out; the slot is over]
        - 01 23:45:00 sang/s/a [sessions-a-day: left out; policy `buoi` allows 2 sessions a day]
        - 01 23:45:00 sang/s/b [sessions-a-day: left out; policy `buoi` allows 2 sessions a day]
        - 01 23:45:00 sang/s/c [sessions-a-day: left out; policy `buoi` allows 2 sessions a day]
        - 02 11:00:00 sang/s/a [sessions-a-day: left out; policy `buoi` allows 2 sessions a day]
        - 02 11:00:00 sang/s/b [sessions-a-day: left out; policy `buoi` allows 2 sessions a day]
        - 02 11:00:00 sang/s/c [sessions-a-day: left out; policy `buoi` allows 2 sessions a day]
        - 02 17:00:00 sang/s/a [sessions-a-day: left out; policy `buoi` allows 2 sessions a day]
        - 02 17:00:00 sang/s/b [sessions-a-day: left out; policy `buoi` allows 2 sessions a day]
        - 02 17:00:00 sang/s/c [sessions-a-day: left out; policy `buoi` allows 2 sessions a day]
        - 02 20:00:00 bao/s/b [slot-end: left out; the slot is over]
        - 02 20:00:00 bao/s/c [slot-end: left out; the slot is over]
        - 02 23:45:00 sang/s/a [sessions-a-day: left out; policy `buoi` allows 2 sessions a day]
        - 02 23:45:00 sang/s/b [sessions-a-day: left out; policy `buoi` allows 2 sessions a day]
        ");
}

#[test]
fn a_missing_clip_gives_way_to_its_fall_back_or_is_left_out() {
    let mut station = morning();
    let mut list = abc(at(&["05:00"]), 60);
    know(&mut station, "lossless.flac", 60_000);
    list.items = vec![
        clip("a", "gone.mp3", Some("b.mp3")),
        clip("b", "lossless.flac", None),
        clip("c", "c.mp3", Some("b.mp3")),
    ];
    station
        .library
        .clips
        .insert(ClipPath("gone.mp3".into()), Clip::Missing { why: "no such file".into() });
    add(&mut station, list);
    let compiled = compile(&station, "2026-12-01", 1);
    insta::assert_snapshot!(story(&compiled, "loa-1"), @r"
        01 05:00:00-05:05:00 sang/s/a v80 f500 [clip-missing: fall-back planned; the clip cannot be used: no such file]
        01 05:05:00-05:25:00 sang/s/c v80 f500
        - 01 05:00:00 sang/s/b [codec: left out; the device does not decode `audio/flac`]
        ");
    let plan = compiled.device(&device("loa-1")).unwrap();
    let sheet = &plan.days()[0].sheet;
    let named: Vec<&str> = sheet.assets.values().map(|asset| asset.title.as_str()).collect();
    assert_eq!(sheet.assets.len(), 2, "{named:?}: only what is needed");
}

#[test]
fn shuffle_and_rotation_do_not_depend_on_where_one_begins_to_look() {
    for order in [Order::Shuffle { seed: 2026 }, Order::Rotate] {
        let mut station = morning();
        let mut list = abc(at(&["05:00", "17:00"]), 60);
        list.slots[0].order = order;
        add(&mut station, list);
        let from_first = compile(&station, "2026-12-01", 8);
        let from_fifth = compile(&station, "2026-12-05", 8);
        let day = |compiled: &Compiled, date: NaiveDate| {
            let plan = compiled.device(&device("loa-1")).unwrap();
            plan.plans().iter().find(|plan| plan.date == date).unwrap().clone()
        };
        for shared in 5..=8 {
            let date = NaiveDate::from_ymd_opt(2026, 12, shared).unwrap();
            assert_eq!(day(&from_first, date), day(&from_fifth, date));
        }
        let items: Vec<String> = day(&from_first, date("2026-12-01"))
            .cues
            .iter()
            .chain(&day(&from_first, date("2026-12-02")).cues)
            .map(|cue| cue.item.to_string())
            .collect();
        let items = items.concat();
        match order {
            Order::Rotate => insta::assert_snapshot!(items, @r"
        abcbcacababc
        "),
            _ => insta::assert_snapshot!(items, @r"
        abccbacbacab
        "),
        }
    }
}

#[test]
fn clocks_that_change_neither_lose_nor_double_an_occurrence() {
    let mut told = String::new();
    for (day, times) in [("2026-03-29", ["02:30", "03:00"]), ("2026-10-25", ["02:30", "03:00"])] {
        let mut station = station(chrono_tz::Europe::Berlin);
        know(&mut station, "a.mp3", 60_000);
        let list = playlist(
            "chuong",
            vec![clip("a", "a.mp3", None)],
            vec![slot("s", at(&times), 5, &["a"])],
        );
        add(&mut station, list);
        let compiled = compile(&station, day, 1);
        let hours = compiled.device(&device("loa-1")).unwrap().days()[0].clone();
        let hours = hours.to_ms.since(hours.from_ms) / 3_600_000;
        writeln!(told, "{hours} h\n{}", story(&compiled, "loa-1")).unwrap();
    }
    insta::assert_snapshot!(told, @r"
        23 h
        29 03:00:00-03:01:00 chuong/s/a v80 f500 [clock-change: moved; clocks change over this time]

        25 h
        25 02:30:00-02:31:00 chuong/s/a v80 f500
        25 03:00:00-03:01:00 chuong/s/a v80 f500
        ");
}

#[test]
fn a_unit_that_is_not_valid_takes_its_devices_and_targets_with_it() {
    let mut station = morning();
    let mut list = abc(at(&["05:00"]), 5);
    list.slots[0].items.truncate(1);
    add(&mut station, list);
    let hamlet = station.units.get_mut(&UnitId::new("12345-t1").unwrap()).unwrap();
    hamlet.valid_until = Some(date("2026-12-01"));
    let compiled = compile(&station, "2026-12-01", 2);
    insta::assert_snapshot!(story(&compiled, "loa-1"), @r"
        01 05:00:00-05:05:00 sang/s/a v80 f500 [slot-end: shortened; the slot is over]
        - 02 05:00:00 sang/s [unit-not-valid: left out; unit `12345-t1` is not valid on this date]
        ");
    assert!(!story(&compiled, "loa-2").contains("unit-not-valid"));
    let commune = station.units.get_mut(&UnitId::new("12345").unwrap()).unwrap();
    commune.valid_from = Some(date("2026-12-02"));
    insta::assert_snapshot!(story(&compile(&station, "2026-12-01", 2), "loa-2"), @r"
        02 05:00:00-05:05:00 sang/s/a v80 f500 [slot-end: shortened; the slot is over]
        - 01 05:00:00 sang/s [unit-not-valid: left out; unit `12345` is not valid on this date]
        ");
}

#[test]
fn targets_are_units_tags_and_devices_without_the_exclusions() {
    let mut station = morning();
    let tag = |tag: &str| tag.parse().unwrap();
    station.devices.get_mut(&device("loa-2")).unwrap().tags = vec![tag("cho")];
    let reached = |targets: Targets| {
        let mut station = station.clone();
        add(&mut station, Playlist { targets, ..abc(at(&["05:00"]), 5) });
        let compiled = compile(&station, "2026-12-01", 1);
        let heard = compiled.devices().filter(|(_, plan)| plan.cues().next().is_some());
        heard.map(|(id, _)| id.to_string()).collect::<Vec<_>>().join(" ")
    };
    let commune = || vec![UnitId::new("34").unwrap()];
    let none = Targets::default;
    assert_eq!(reached(none()), "");
    assert_eq!(reached(Targets { units: commune(), ..none() }), "ca-hai-1 loa-1 loa-2");
    assert_eq!(reached(Targets { tags: vec![tag("cho")], ..none() }), "loa-2");
    assert_eq!(reached(Targets { devices: vec![device("loa-1")], ..none() }), "loa-1");
    let but = Targets { units: commune(), except_tags: vec![tag("cho")], ..none() };
    assert_eq!(reached(but), "ca-hai-1 loa-1");
    let but = Targets { units: commune(), except_devices: vec![device("loa-1")], ..none() };
    assert_eq!(reached(but), "ca-hai-1 loa-2");
    let hamlet = vec![UnitId::new("12345-t2").unwrap()];
    let but = Targets { units: commune(), except_units: hamlet, ..none() };
    assert_eq!(reached(but), "ca-hai-1 loa-1");
}

#[test]
fn the_lowest_cap_of_device_and_policies_is_the_timetables() {
    let mut station = morning();
    station.devices.get_mut(&device("loa-2")).unwrap().volume_cap = 40;
    station.policies.push(Policy { volume_cap: Some(70), ..policy("nho") });
    let compiled = compile(&station, "2026-12-01", 1);
    let cap = |id: &str| {
        let plan = compiled.device(&device(id)).unwrap();
        (plan.volume_cap(), plan.cap_is_by_policy())
    };
    assert_eq!((cap("loa-1"), cap("loa-2")), ((70, true), (40, false)));
}

#[test]
fn a_slot_that_would_fill_the_memory_is_left_out_whole() {
    let mut station = morning();
    add(&mut station, abc(Recurrence::cron("* * * * * *").unwrap(), 1));
    insta::assert_snapshot!(story(&compile(&station, "2026-12-01", 1), "loa-1"), @r"
        - 01 00:00:00 sang/s [too-often: left out; 86400 occurrences a day are asked for, more than 1440]
        ");
}

#[test]
fn equal_sheets_are_one_and_a_change_touches_only_whom_it_concerns() {
    let mut station = morning();
    add(&mut station, abc(at(&["05:00"]), 40));
    let mut own = abc(at(&["17:00"]), 40);
    own.id = PlaylistId::new("rieng").unwrap();
    own.targets = Targets { devices: vec![device("loa-2")], ..Targets::default() };
    add(&mut station, own.clone());
    let mut compiler = Compiler::new();
    let horizon = Horizon { from: date("2026-12-01"), days: 14 };
    let first = compiler.compile(&station, horizon);
    let sheet = |compiled: &Compiled, id: &str| {
        Arc::clone(&compiled.device(&device(id)).unwrap().days()[0].sheet)
    };
    assert!(!Arc::ptr_eq(&sheet(&first, "loa-1"), &sheet(&first, "loa-2")));
    assert!(compiler.compile(&station, horizon).changed_since(&first).is_empty());

    own.slots[0].volume = 60;
    add(&mut station, own.clone());
    let second = compiler.compile(&station, horizon);
    assert_eq!(second.changed_since(&first), [&device("loa-2")]);
    assert!(Arc::ptr_eq(&sheet(&first, "loa-1"), &sheet(&second, "loa-1")));

    station.playlists.remove(&own.id);
    let third = compiler.compile(&station, horizon);
    assert_eq!(third.changed_since(&second), [&device("loa-2")]);
    assert!(Arc::ptr_eq(&sheet(&third, "loa-1"), &sheet(&third, "loa-2")), "equal: one");
    assert_eq!(third.sheets().len(), 14 + 14, "days with clips, and empty ones for the board");
}

#[test]
fn a_further_day_keeps_the_days_already_planned() {
    let mut station = morning();
    add(&mut station, abc(at(&["05:00"]), 40));
    let mut compiler = Compiler::new();
    let first = compiler.compile(&station, Horizon { from: date("2026-12-01"), days: 3 });
    let second = compiler.compile(&station, Horizon { from: date("2026-12-02"), days: 3 });
    let days = |compiled: &Compiled| compiled.device(&device("loa-1")).unwrap().days().to_vec();
    assert!(days(&first)[1].is(&days(&second)[0]) && days(&first)[2].is(&days(&second)[1]));
    assert_eq!(second.changed_since(&first).len(), 4);
    let diff = diff::diff_days(&days(&first), &days(&second));
    assert_eq!(diff.len(), 2, "one day gone, one new: {diff:?}");
}

use super::*;
use chrono::NaiveTime;
use chrono_tz::TZ_VARIANTS;

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn hint(result: Result<Recurrence, RecurrenceError>) -> String {
    let error = result.unwrap_err();
    format!("{error}\n{}", error.hint())
}

#[test]
fn times_and_days_read_as_people_write_them() {
    let both = Recurrence::at(&["17:00", "05:00"], &["Mon-Sat"]).unwrap();
    assert_eq!(both.times_of_day(), [LocalTime(5 * 3600), LocalTime(17 * 3600)]);
    assert!(both.falls_on(date("2026-12-05")) && !both.falls_on(date("2026-12-06")));
    assert_eq!(Weekdays::parse(&["Sat-Mon"]).unwrap().to_string(), "Mon,Sat,Sun");
    assert_eq!(Weekdays::parse(&["sat,SUN", "Wed"]).unwrap().to_string(), "Wed,Sat,Sun");
    assert_eq!("05:00:30".parse::<LocalTime>().unwrap().to_string(), "05:00:30");
}

#[test]
fn every_fault_says_what_to_write_instead() {
    let faults = [
        hint(Recurrence::at(&["24:00"], &[])),
        hint(Recurrence::at(&["5:00"], &[])),
        hint(Recurrence::at(&["05:00:00:00"], &[])),
        hint(Recurrence::at(&[], &[])),
        hint(Recurrence::at(&["05:00", "05:00:00"], &[])),
        hint(Recurrence::at(&["05:00"], &["Thứ hai"])),
        hint(Recurrence::cron("* * *")),
        hint(Recurrence::cron("0 0 5 1 * * 2026")),
        hint(Recurrence::cron("@reboot")),
        hint(Recurrence::cron("60 5 * * *")),
        hint(Recurrence::cron("x 5 * * *")),
        hint(Recurrence::cron("0 5 * tháng *")),
        hint(Recurrence::cron("0 5 * * thu-tue")),
        hint(Recurrence::cron("5/10 * * * *")),
        hint(Recurrence::cron("*/0 * * * *")),
        hint(Recurrence::cron("*/70 * * * *")),
        hint(Recurrence::cron("0 5 L * *")),
        hint(Recurrence::cron("0 5 13 * fri")),
        hint(Recurrence::cron("0 5 */2 * mon")),
        hint(Recurrence::cron("0 5 30 2 *")),
        hint(Recurrence::cron("0 5 31 4,6,9,11 *")),
        hint(Recurrence::cron(&"9".repeat(500))),
    ];
    insta::assert_snapshot!(faults.join("\n\n"));
    let dates = ["2026-2-3", "2026-02-30", "2026-02-05/2026-02-01", "calendar:Tết", "tet"];
    let dates: Vec<String> = dates
        .iter()
        .map(|text| text.parse::<DateSet>().unwrap_err())
        .map(|error| format!("{error}\n{}", error.hint()))
        .collect();
    insta::assert_snapshot!(dates.join("\n\n"));
}

#[test]
fn sets_of_dates_hold_their_ends_and_the_days_of_calendars() {
    let tet = Calendar {
        id: crate::domain::ids::CalendarId::new("tet").unwrap(),
        title: "Tết".into(),
        spans: vec![(date("2026-02-14"), date("2026-02-22"), "Tết Bính Ngọ".into())],
    };
    for (text, first, last) in [
        ("2026-02-17", "2026-02-17", "2026-02-17"),
        ("2026-02-14/2026-02-22", "2026-02-14", "2026-02-22"),
        ("calendar:tet", "2026-02-14", "2026-02-22"),
    ] {
        let set: DateSet = text.parse().unwrap();
        assert_eq!(set.to_string(), text);
        for inside in [first, last] {
            assert!(set.contains(date(inside), std::slice::from_ref(&tet)));
        }
        for outside in [wall::shift(date(first), -1), wall::shift(date(last), 1)] {
            assert!(!set.contains(outside, std::slice::from_ref(&tet)));
        }
    }
}

#[test]
fn sunday_is_0_and_7_and_a_name() {
    let sundays: Vec<Recurrence> = ["0 5 * * 0", "0 5 * * 7", "0 5 * * sun", "0 5 * * SUN"]
        .iter()
        .map(|text| Recurrence::cron(text).unwrap())
        .collect();
    for sunday in &sundays {
        let days: Vec<bool> =
            (0..7).map(|d| sunday.falls_on(wall::shift(date("2026-12-06"), d))).collect();
        assert_eq!(days, [true, false, false, false, false, false, false]);
    }
    let weekend = Recurrence::cron("0 5 * * fri-sun").unwrap();
    let days: Vec<bool> =
        (0..7).map(|d| weekend.falls_on(wall::shift(date("2026-12-04"), d))).collect();
    assert_eq!(days, [true, true, true, false, false, false, false]);
}

#[test]
fn a_time_in_the_gap_occurs_at_the_first_valid_instant() {
    let zone = chrono_tz::Europe::Berlin; // 2026-03-29 02:00 → 03:00
    let night = Recurrence::at(&["01:59", "02:00", "02:30", "03:00", "03:01"], &[]).unwrap();
    let walls: Vec<String> = night
        .on(date("2026-03-29"), zone)
        .into_iter()
        .map(|at| wall::display(zone, at).to_rfc3339())
        .collect();
    insta::assert_snapshot!(walls.join("\n"), @r"
    2026-03-29T01:59:00+01:00
    2026-03-29T03:00:00+02:00
    2026-03-29T03:01:00+02:00
    ");
}

#[test]
fn a_time_in_the_repeated_hour_occurs_at_its_first_pass_only() {
    let zone = chrono_tz::Europe::Berlin; // 2026-10-25 03:00 → 02:00
    let every = Recurrence::cron("*/30 1-3 * * *").unwrap();
    let walls: Vec<String> = every
        .on(date("2026-10-25"), zone)
        .into_iter()
        .map(|at| wall::display(zone, at).to_rfc3339())
        .collect();
    insta::assert_snapshot!(walls.join("\n"), @r"
    2026-10-25T01:00:00+02:00
    2026-10-25T01:30:00+02:00
    2026-10-25T02:00:00+02:00
    2026-10-25T02:30:00+02:00
    2026-10-25T03:00:00+01:00
    2026-10-25T03:30:00+01:00
    ");
}

#[test]
fn a_date_that_the_zone_leaves_out_occurs_once_when_the_clocks_go_on() {
    let zone = chrono_tz::Pacific::Apia; // no 30 December 2011
    let daily = Recurrence::at(&["00:00", "05:00", "17:00"], &[]).unwrap();
    let walls: Vec<String> = daily
        .between(date("2011-12-29"), date("2011-12-31"), zone)
        .into_iter()
        .map(|at| wall::display(zone, at).to_rfc3339())
        .collect();
    insta::assert_snapshot!(walls.join("\n"), @r"
    2011-12-29T00:00:00-10:00
    2011-12-29T05:00:00-10:00
    2011-12-29T17:00:00-10:00
    2011-12-31T00:00:00+14:00
    2011-12-31T05:00:00+14:00
    2011-12-31T17:00:00+14:00
    ");
    let (from, to) = wall::day(zone, date("2011-12-30"));
    assert_eq!(from, to);
}

#[test]
fn leap_days_and_ends_of_months_fall_where_they_are() {
    let leap = Recurrence::cron("0 5 29 2 *").unwrap();
    let zone = chrono_tz::Asia::Ho_Chi_Minh;
    let days = leap.between(date("2024-01-01"), date("2032-12-31"), zone);
    let days: Vec<String> = days.iter().map(|at| wall::reading(zone, *at).to_string()).collect();
    assert_eq!(days, ["2024-02-29 05:00:00", "2028-02-29 05:00:00", "2032-02-29 05:00:00"]);
    let last = Recurrence::cron("0 0 31 * *").unwrap();
    assert_eq!(last.between(date("2026-01-01"), date("2026-12-31"), zone).len(), 7);
}

#[test]
fn occurrences_are_numbered_without_regard_to_where_one_begins() {
    let samples = ["0 5,17 * * *", "0 5 * * 1-6", "0 0 29 2 *", "15 6 1,15 */3 *", "0 5 31 * *"];
    let mut all: Vec<Recurrence> =
        samples.iter().map(|text| Recurrence::cron(text).unwrap()).collect();
    all.push(Recurrence::at(&["05:00", "17:00"], &["Mon-Sat"]).unwrap());
    for recurrence in &all {
        let mut number = 0;
        for day in COUNTED_FROM.iter_days().take(3000) {
            assert_eq!(recurrence.number_of_first(day), number, "{recurrence:?} on {day}");
            if recurrence.falls_on(day) {
                number += i64::from(recurrence.per_day());
            }
        }
        let mut number = 0;
        for back in 1..800 {
            let day = wall::shift(COUNTED_FROM, -back);
            if recurrence.falls_on(day) {
                number -= i64::from(recurrence.per_day());
            }
            assert_eq!(recurrence.number_of_first(day), number, "{recurrence:?} on {day}");
        }
    }
}

/// All changes of the offset of a zone in some years, found by looking every five days and halving.
fn changes(zone: Tz, first: &str, last: &str) -> Vec<UtcMs> {
    let at = |day: &str| date(day).and_time(NaiveTime::MIN).and_utc().timestamp_millis();
    let offset = |ms: i64| wall::reading(zone, UtcMs(ms)).and_utc().timestamp_millis() - ms;
    let mut found = Vec::new();
    let (mut from, end) = (at(first), at(last));
    while from < end {
        let to = from + 5 * 86_400_000;
        if offset(from) != offset(to) {
            let (mut before, mut after) = (from, to);
            while after - before > 1000 {
                let middle = (before + after) / 2000 * 1000;
                if offset(middle) == offset(from) { before = middle } else { after = middle }
            }
            found.push(UtcMs(after));
        }
        from = to;
    }
    found
}

/// The rule spelled out: look at every instant, second by second, until the clock has got there.
fn first_by_looking(zone: Tz, reading: NaiveDateTime, change: UtcMs) -> UtcMs {
    let mut at = change.plus(-5 * 3_600_000);
    if wall::reading(zone, at) >= reading {
        return wall::first(zone, reading); // not near the change: nothing to show here
    }
    // A minute is shorter than any pass, and offsets change at whole seconds.
    for step in [60_000, 1000] {
        while wall::reading(zone, at.plus(step)) < reading {
            at = at.plus(step);
        }
    }
    at.plus(1000)
}

#[test]
fn around_every_clock_change_of_every_zone_the_rule_holds() {
    let mut seen = 0;
    for zone in TZ_VARIANTS {
        for change in changes(zone, "2009-01-01", "2031-01-01") {
            seen += 1;
            let shown = wall::reading(zone, change);
            let mut last = UtcMs(i64::MIN);
            for minutes in (-150..=150).step_by(25) {
                let reading = shown + chrono::TimeDelta::minutes(minutes);
                let first = wall::first(zone, reading);
                assert_eq!(
                    first,
                    first_by_looking(zone, reading, change),
                    "{reading} in {zone} at {change:?}"
                );
                assert!(last <= first, "{reading} in {zone}: comes out of order");
                assert!(first <= wall::last(zone, reading), "{reading} in {zone}");
                last = first;
            }
            let every = Recurrence::cron("*/15 * * * *").unwrap();
            let near = (wall::shift(shown.date(), -1), wall::shift(shown.date(), 1));
            let found = every.between(near.0, near.1, zone);
            assert!(found.is_sorted_by(|a, b| a < b), "{zone} at {change:?}");
            let mut readings: Vec<_> = found.iter().map(|at| wall::reading(zone, *at)).collect();
            readings.dedup();
            assert_eq!(readings.len(), found.len(), "{zone}: a reading occurs twice");
        }
    }
    assert!(seen > 5000, "only {seen} clock changes were looked at");
}

#[test]
fn days_follow_one_another_in_every_zone() {
    for zone in TZ_VARIANTS {
        let mut date = date("2008-12-01");
        let mut before = wall::day(zone, date).1;
        while date < self::date("2031-02-01") {
            date = wall::shift(date, 1);
            let (from, to) = wall::day(zone, date);
            assert_eq!(from, before, "{date} in {zone}");
            assert!(from <= to && to.since(from) <= 27 * 3_600_000, "{date} in {zone}");
            before = to;
        }
    }
}

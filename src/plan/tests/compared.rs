use super::*;
use crate::domain::ids::UnitId;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn unit(text: &str) -> UnitId {
    text.parse().unwrap()
}

/// Three communes; the third was merged away at the end of June.
fn communes() -> BTreeMap<UnitId, Months> {
    let all = months("2020-01", "2030-12");
    [("00001", all), ("00002", all), ("00003", months("2020-01", "2025-06"))]
        .into_iter()
        .map(|(id, months)| (unit(id), months))
        .collect()
}

fn done(counts: &[(&str, &str, u64, u64)]) -> BTreeMap<(UnitId, Month), Done> {
    let one = |(id, at, confirmed, by_hand): &(&str, &str, u64, u64)| {
        ((unit(id), month(at)), Done { confirmed: *confirmed, by_hand: *by_hand })
    };
    counts.iter().map(one).collect()
}

fn each_commune() -> PlanLine {
    PlanLine { scope: Scope::Commune, ..line() }
}

fn shown(comparison: &Comparison) -> Vec<String> {
    let one = |row: &Row| {
        let unit = row.unit.as_ref().map_or("all", UnitId::as_str);
        let of = row.ordered.map_or("-".to_owned(), |n| n.to_string());
        let Row { from, until, confirmed, by_hand, standing, .. } = row;
        format!("{unit} {from}/{until} {confirmed}+{by_hand} of {of} {standing:?}")
    };
    comparison.rows.iter().map(one).collect()
}

#[test]
fn communes_with_something_missing_come_first() {
    let (line, units) = (each_commune(), communes());
    let duty = Duty {
        line: &line,
        units: &units,
        window: months("2025-06", "2025-08"),
        complete: Some(month("2025-07")),
    };
    let counts = done(&[
        ("00001", "2025-06", 2, 0),
        ("00001", "2025-07", 3, 0),
        ("00002", "2025-06", 1, 5),
        ("00002", "2025-08", 2, 0),
        ("00003", "2025-07", 9, 0),
        ("00009", "2025-07", 9, 0),
    ]);
    let comparison = compare(&duty, &counts);
    assert_eq!(
        shown(&comparison),
        [
            "00002 2025-07/2025-07 0+0 of 2 Missing",
            "00003 2025-06/2025-06 0+0 of 2 Missing",
            "00002 2025-06/2025-06 1+5 of 2 Missing",
            "00001 2025-08/2025-08 0+0 of 2 Running",
            "00001 2025-06/2025-06 2+0 of 2 Met",
            "00001 2025-07/2025-07 3+0 of 2 Met",
            "00002 2025-08/2025-08 2+0 of 2 Met",
        ]
    );
    let Comparison { units, met, missing, running, counted, .. } = comparison;
    assert_eq!((units, met, missing, running, counted), (3, 3, 3, 1, 0));
}

#[test]
fn what_persons_brought_never_makes_a_line_met() {
    let (line, units) = (each_commune(), communes());
    let window = months("2025-05", "2025-05");
    let duty = Duty { line: &line, units: &units, window, complete: Some(month("2025-05")) };
    let comparison = compare(&duty, &done(&[("00001", "2025-05", 1, 1_000)]));
    assert_eq!(comparison.missing, 3);
    assert_eq!(comparison.rows.iter().map(|row| row.by_hand).max(), Some(1_000));
}

#[test]
fn a_number_for_the_whole_adds_up_all_units() {
    let (line, units) = (line(), communes());
    let window = months("2025-05", "2025-06");
    let duty = Duty { line: &line, units: &units, window, complete: Some(month("2025-06")) };
    let counts =
        done(&[("00001", "2025-05", 1, 0), ("00003", "2025-05", 1, 2), ("00002", "2025-06", 1, 0)]);
    let comparison = compare(&duty, &counts);
    assert_eq!(
        shown(&comparison),
        ["all 2025-06/2025-06 1+0 of 2 Missing", "all 2025-05/2025-05 2+2 of 2 Met"]
    );
    assert_eq!(comparison.units, 1);
    let none = BTreeMap::new();
    let duty = Duty { units: &none, ..duty };
    assert_eq!(compare(&duty, &counts), Comparison::default(), "nobody to count");
}

#[test]
fn a_number_for_a_year_is_judged_over_the_year_that_the_window_touches() {
    let mut line = each_commune();
    line.least = Some(Least { count: 2, per: Per::Year });
    let all = communes();
    let units: BTreeMap<UnitId, Months> =
        all.into_iter().filter(|(id, _)| *id != unit("00002")).collect();
    let window = months("2025-03", "2025-04");
    let duty = Duty { line: &line, units: &units, window, complete: Some(month("2025-11")) };
    let counts =
        done(&[("00001", "2025-11", 1, 0), ("00001", "2024-12", 5, 0), ("00003", "2025-01", 1, 0)]);
    assert_eq!(
        shown(&compare(&duty, &counts)),
        ["00001 2025-01/2025-12 1+0 of 2 Running", "00003 2025-01/2025-06 1+0 of 1 Met",],
        "half a year orders half, and the year is not over in November"
    );
    let duty = Duty { complete: Some(month("2025-12")), ..duty };
    assert_eq!(compare(&duty, &counts).missing, 1);
}

#[test]
fn a_line_without_a_number_is_only_counted() {
    let mut line = each_commune();
    line.least = None;
    let units = communes();
    let window = months("2025-05", "2025-07");
    let duty = Duty { line: &line, units: &units, window, complete: Some(month("2025-07")) };
    let comparison =
        compare(&duty, &done(&[("00001", "2025-05", 4, 0), ("00001", "2025-07", 1, 0)]));
    assert_eq!(
        shown(&comparison),
        [
            "00001 2025-05/2025-07 5+0 of - Counted",
            "00002 2025-05/2025-07 0+0 of - Counted",
            "00003 2025-05/2025-06 0+0 of - Counted",
        ]
    );
    assert_eq!((comparison.counted, comparison.met, comparison.missing), (3, 0, 0));
}

#[test]
fn a_window_outside_the_line_owes_nothing() {
    let (line, units) = (each_commune(), communes());
    let window = months("2026-01", "2026-12");
    let duty = Duty { line: &line, units: &units, window, complete: None };
    assert_eq!(compare(&duty, &BTreeMap::new()).rows, []);
}

proptest! {
    #[test]
    fn each_confirmed_thing_of_the_window_counts_once(
        counts in prop::collection::btree_map((1_u32..4, 0_u32..24), 0_u64..5, 0..30),
        per_year: bool, whole: bool
    ) {
        let mut line = line();
        line.months = months("2024-01", "2025-12");
        line.scope = if whole { Scope::Whole } else { Scope::Commune };
        line.least = Some(Least { count: 1, per: if per_year { Per::Year } else { Per::Month } });
        let all = months("2024-01", "2025-12");
        let units: BTreeMap<UnitId, Months> =
            (1..4).map(|n| (unit(&format!("{n:05}")), all)).collect();
        let at = |month: u32| Month::new(2024 + i32::try_from(month / 12).unwrap(), month % 12 + 1);
        let done: BTreeMap<(UnitId, Month), Done> = counts
            .iter()
            .map(|((n, month), confirmed)| {
                let done = Done { confirmed: *confirmed, by_hand: 1 };
                ((unit(&format!("{n:05}")), at(*month).unwrap()), done)
            })
            .collect();
        let duty = Duty { line: &line, units: &units, window: all, complete: None };
        let comparison = compare(&duty, &done);
        let sum: u64 = comparison.rows.iter().map(|row| row.confirmed).sum();
        prop_assert_eq!(sum, counts.values().sum::<u64>());
        let by_hand: u64 = comparison.rows.iter().map(|row| row.by_hand).sum();
        prop_assert_eq!(by_hand, u64::try_from(counts.len()).unwrap());
        prop_assert_eq!(comparison.missing, 0, "no month is complete");
        let Comparison { met, running, counted, .. } = comparison;
        prop_assert_eq!(met + running + counted, comparison.rows.len());
    }
}

//! What was ordered against what was done.
//!
//! Counts come from outside: programmes, broadcasts or minutes that were confirmed (each as
//! [`Counted`](super::Counted) says, never a device at a time), for each unit and month, and
//! beside them what persons brought. Periods with something missing come first.

use super::line::{Per, PlanLine, Scope};
use super::month::{Month, Months};
use crate::domain::ids::UnitId;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What is compared.
#[derive(Clone, Copy, Debug)]
pub struct Duty<'a> {
    pub line: &'a PlanLine,
    /// The units at the line's scope with the months in which each existed: a commune that was
    /// merged away owes nothing afterwards. For the whole, all units whose counts are given.
    pub units: &'a BTreeMap<UnitId, Months>,
    /// What the question is about. A number ordered per year is judged over the whole of each
    /// calendar year that this touches, so counts of these are needed.
    pub window: Months,
    /// The last month whose counts are complete; `None` when none is.
    pub complete: Option<Month>,
}

/// What was done in one unit and month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    /// Confirmed, in what the line counts.
    pub confirmed: u64,
    /// Entries of evidence that persons brought.
    pub by_hand: u64,
}

/// How one period of one unit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The period is over and too little was confirmed.
    Missing,
    /// Too little yet, and the period is not over.
    Running,
    /// No number was ordered.
    Counted,
    Met,
}

/// One period of one unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// `None` where the number is for all units together.
    pub unit: Option<UnitId>,
    pub from: Month,
    pub until: Month,
    /// `None` where no number was ordered.
    pub ordered: Option<u64>,
    /// Confirmed by devices.
    pub confirmed: u64,
    /// Brought by persons: shown beside, never added.
    pub by_hand: u64,
    pub standing: Standing,
}

/// How a line stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// What is missing most first, then by unit and month.
    pub rows: Vec<Row>,
    /// Units that the line counts over: the denominator of everything below.
    pub units: usize,
    /// Periods of units by standing.
    pub met: usize,
    pub missing: usize,
    pub running: usize,
    pub counted: usize,
}

/// Compares a line with the counts.
pub fn compare(duty: &Duty<'_>, done: &BTreeMap<(UnitId, Month), Done>) -> Comparison {
    let mut rows = Vec::new();
    let mut units = duty.units.len();
    if duty.line.scope == Scope::Whole {
        units = usize::from(units > 0);
        if units > 0 {
            let all = |months: Months| sum(duty.units.keys(), months, done);
            rows.extend(
                periods(duty, duty.line.months).map(|months| row(duty, None, months, all(months))),
            );
        }
    } else {
        for (unit, existed) in duty.units {
            let Some(owed) = duty.line.months.shared(*existed) else { continue };
            let of = |months: Months| sum(std::iter::once(unit), months, done);
            let unit = || Some(unit.clone());
            rows.extend(periods(duty, owed).map(|months| row(duty, unit(), months, of(months))));
        }
    }
    rows.sort_by(|a: &Row, b: &Row| {
        let key = |row: &Row| (row.standing, Reverse(short(row)));
        let place = |row: &Row| (row.unit.clone(), row.from);
        key(a).cmp(&key(b)).then_with(|| place(a).cmp(&place(b)))
    });
    let count = |standing| rows.iter().filter(|row| row.standing == standing).count();
    let (met, missing) = (count(Standing::Met), count(Standing::Missing));
    let (running, counted) = (count(Standing::Running), count(Standing::Counted));
    Comparison { rows, units, met, missing, running, counted }
}

/// Returns how much is missing.
fn short(row: &Row) -> u64 {
    row.ordered.unwrap_or(0).saturating_sub(row.confirmed)
}

/// Returns the periods that the window asks for, clipped to the months that are owed.
fn periods(duty: &Duty<'_>, owed: Months) -> Box<dyn Iterator<Item = Months>> {
    let window = duty.window;
    match duty.line.least.map(|least| least.per) {
        Some(Per::Month) => {
            let asked = owed.shared(window);
            let one = |month| Months::new(month, month);
            Box::new(asked.into_iter().flat_map(move |months| months.iter().filter_map(one)))
        }
        Some(Per::Year) => {
            let touched = move |year: &Months| {
                Months::of_year(year.from().year()).and_then(|year| year.shared(window)).is_some()
            };
            Box::new(owed.by_year().filter(touched))
        }
        None => Box::new(owed.shared(window).into_iter()),
    }
}

fn sum<'a>(
    units: impl Iterator<Item = &'a UnitId>,
    months: Months,
    done: &BTreeMap<(UnitId, Month), Done>,
) -> Done {
    let mut all = Done::default();
    for unit in units {
        let range = (unit.clone(), months.from())..=(unit.clone(), months.until());
        for one in done.range(range).map(|(_, one)| one) {
            all.confirmed = all.confirmed.saturating_add(one.confirmed);
            all.by_hand = all.by_hand.saturating_add(one.by_hand);
        }
    }
    all
}

fn row(duty: &Duty<'_>, unit: Option<UnitId>, months: Months, done: Done) -> Row {
    let ordered = duty.line.least.map(|least| least.of(months.count()));
    let over = duty.complete.is_some_and(|complete| months.until() <= complete);
    let standing = match ordered {
        None => Standing::Counted,
        Some(ordered) if done.confirmed >= ordered => Standing::Met,
        Some(_) if over => Standing::Missing,
        Some(_) => Standing::Running,
    };
    let Done { confirmed, by_hand } = done;
    Row { unit, from: months.from(), until: months.until(), ordered, confirmed, by_hand, standing }
}

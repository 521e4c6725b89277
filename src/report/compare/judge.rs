//! What evidence confirms of each line, in each unit and period.

use super::line::{Counted, Every, PlanLine, PlanScope};
use crate::report::evidence::{Aired, Cut};
use crate::report::manual::Manual;
use crate::report::period::Period;
use crate::report::places::{DeviceNo, Scope, UnitNo};
use crate::report::question::Question;
use crate::report::rollup::Days;
use chrono::{Datelike, NaiveDate};
use std::collections::{BTreeMap, BTreeSet};

/// Whether a line was kept to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// The period is over, and there is less than ordered.
    Missing,
    /// Less than ordered, in a unit that did not exist all the period: merged, split or new.
    Partly,
    /// The period is not over, or the days asked for do not hold all of it.
    Open,
    Met,
}

impl Kept {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Missing => "THIẾU",
            Self::Partly => "xã không tồn tại trọn kỳ",
            Self::Open => "chưa hết kỳ",
            Self::Met => "đạt",
        }
    }
}

/// One line in one unit and period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged<'a> {
    pub line: &'a PlanLine,
    pub unit: UnitNo,
    pub period: Period,
    pub actual: u64,
    pub kept: Kept,
    /// Devices with a confirmed play, and devices it was due on.
    pub devices: (u64, u64),
    /// What people entered for it; never part of `actual`.
    pub manual: u64,
}

/// Returns the periods of a line that meet the days asked for.
fn periods(line: &PlanLine, asked: Period) -> Vec<Period> {
    let closing = Period::closing_year(asked.last().year()) == Ok(asked);
    let whole = match line.every {
        Every::Month => asked.months(),
        // The year that is reported on, where it is not the calendar's.
        Every::Year if closing => vec![asked],
        Every::Year => (asked.first().year()..=asked.last().year())
            .filter_map(|year| Period::year(year).ok())
            .collect(),
        Every::Term => vec![line.term],
    };
    let whole = whole.into_iter().map(|period| match line.every {
        Every::Month => {
            Period::month(period.first().year(), period.first().month()).unwrap_or(period)
        }
        Every::Year | Every::Term => period,
    });
    whole
        .filter_map(|period| period.intersection(line.term))
        .filter(|period| period.intersection(asked).is_some())
        .collect()
}

/// What one day of a commune adds to a line.
#[derive(Default)]
pub(super) struct Counts<'a> {
    programmes: BTreeSet<&'a str>,
    pub(super) broadcasts: u64,
    length_ms: i64,
}

/// What a line has in a commune: counts by day, devices by month.
#[derive(Default)]
pub(super) struct Sums<'a> {
    pub(super) days: BTreeMap<NaiveDate, Counts<'a>>,
    devices: Vec<(Period, DeviceNo, Days)>,
}

/// Judges every line; what is missing first, then by unit, period and line.
pub(in crate::report) fn judge<'a>(
    question: &Question,
    cut: &Cut<'_>,
    lines: &'a [PlanLine],
    manual: &[Manual],
) -> Vec<Judged<'a>> {
    let sums = sums(cut);
    let (_, asked_end) = question.period.instants(question.zone);
    let known_until = question.cut_off.min(asked_end);
    let mut scopes: BTreeMap<UnitNo, Scope> = BTreeMap::new();
    let mut found = Vec::new();
    for line in lines {
        let of_this = |entry: &&Manual| entry.line.as_deref() == Some(line.id.as_str());
        let entered = manual.iter().filter(of_this);
        let entered = entered.filter_map(|entry| Some((entry.counts_in(cut)?, entry.date)));
        let entered: Vec<(UnitNo, NaiveDate)> = entered.collect();
        let units = match &line.scope {
            PlanScope::Together => vec![cut.unit],
            PlanScope::EachCommune => cut.communes(),
            PlanScope::Each(units) => {
                let known = units.iter().filter_map(|unit| cut.all.places.unit_no(unit));
                let known: BTreeSet<UnitNo> = known.filter(|no| cut.scope.holds(*no)).collect();
                known.into_iter().collect()
            }
        };
        let of_line = sums.get(line.id.as_str());
        let periods = periods(line, cut.period);
        for unit in units {
            let inside = scopes.entry(unit).or_insert_with(|| cut.all.places.scope(unit));
            // What a merged commune did before counts in its own row, not once more here.
            let alone = line.scope == PlanScope::EachCommune;
            let belongs = |other: UnitNo| if alone { other == unit } else { inside.holds(other) };
            let members = of_line.into_iter().flatten().filter(|(other, _)| belongs(**other));
            let members: Vec<&Sums<'_>> = members.map(|(_, sums)| sums).collect();
            for period in &periods {
                let over = period.instants(question.zone).1 <= known_until
                    && question.period.contains(period.first());
                let actual = actual(&members, *period, line.counted);
                let kept = if actual >= line.least {
                    Kept::Met
                } else if !lives(cut, unit, *period) {
                    Kept::Partly
                } else if over {
                    Kept::Missing
                } else {
                    Kept::Open
                };
                let devices = devices(&members, *period);
                let here = |(at, day): &&(UnitNo, NaiveDate)| belongs(*at) && period.contains(*day);
                let manual = entered.iter().filter(here).count() as u64;
                let period = *period;
                found.push(Judged { line, unit, period, actual, kept, devices, manual });
            }
        }
    }
    found.sort_by(|a, b| {
        let key = |judged: &Judged<'_>| (judged.kept, judged.unit, judged.period);
        key(a).cmp(&key(b)).then_with(|| a.line.id.cmp(&b.line.id))
    });
    found
}

/// Says whether the unit exists all through the period.
fn lives(cut: &Cut<'_>, unit: UnitNo, period: Period) -> bool {
    cut.all.places.unit(unit).is_some_and(|unit| {
        unit.valid_from.is_none_or(|from| from <= period.first())
            && unit.valid_until.is_none_or(|until| period.last() <= until)
    })
}

fn actual(members: &[&Sums<'_>], period: Period, counted: Counted) -> u64 {
    let days = members.iter().flat_map(|sums| sums.days.range(period.first()..=period.last()));
    let days = days.map(|(_, counts)| counts);
    match counted {
        Counted::Programmes => {
            days.flat_map(|counts| &counts.programmes).collect::<BTreeSet<_>>().len() as u64
        }
        Counted::Broadcasts => days.map(|counts| counts.broadcasts).sum(),
        Counted::Minutes => {
            let ms = days.fold(0_i64, |sum, counts| sum.saturating_add(counts.length_ms));
            u64::try_from(ms / 60_000).unwrap_or(0)
        }
    }
}

/// Counts devices with a confirmed play, and devices with one due, on days of the period.
fn devices(members: &[&Sums<'_>], period: Period) -> (u64, u64) {
    let (mut confirmed, mut due) = (BTreeSet::new(), BTreeSet::new());
    for (month, device, days) in members.iter().flat_map(|sums| &sums.devices) {
        let Some(shared) = month.intersection(period) else { continue };
        let mask = Days::mask(shared);
        if days.due & mask != 0 {
            due.insert(*device);
        }
        if days.confirmed & mask != 0 {
            confirmed.insert(*device);
        }
    }
    (confirmed.len() as u64, due.len() as u64)
}

/// Adds up what each line has in each commune.
pub(super) fn sums<'a>(cut: &'a Cut<'_>) -> BTreeMap<&'a str, BTreeMap<UnitNo, Sums<'a>>> {
    let mut found: BTreeMap<_, BTreeMap<UnitNo, Sums<'a>>> = BTreeMap::new();
    for aired in cut.aired().filter(Aired::is_confirmed) {
        let Some(line) = aired.content.subject.line.as_deref() else { continue };
        let sums = found.entry(line).or_default().entry(aired.unit).or_default();
        let counts = sums.days.entry(aired.day).or_default();
        counts.programmes.insert(&aired.content.item);
        counts.broadcasts += 1;
        counts.length_ms = counts.length_ms.saturating_add(aired.length_ms());
    }
    for month in cut.period.months() {
        for (key, days) in cut.all.rollups.reach().within(month, &cut.scope) {
            let subject = cut.all.contents.subject(key.subject);
            let Some(line) = subject.and_then(|subject| subject.line.as_deref()) else { continue };
            let sums = found.entry(line).or_default().entry(key.unit).or_default();
            sums.devices.push((month, key.device, days));
        }
    }
    found
}

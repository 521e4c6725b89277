//! What does not fit together in a plan's own figures.
//!
//! Plans are written by people, and their tables contradict their texts. Whoever reports against a
//! plan must know before an inspector says so. Nothing here is refused: each doubt says which
//! figures, where they stand, and what they would mean.

use super::line::{Budget, Counted, Funds, Least, Per, Plan, PlanLine, Scope, Total};
use super::money::Dong;
use super::month::{Month, Months};
use crate::domain::ids::LineId;
use chrono::NaiveDate;
use std::collections::BTreeMap;
use std::fmt;

/// Counts for each unit and year, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByYear(pub Vec<(i32, u64)>);

impl fmt::Display for ByYear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (year, count)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{count} in {year}")?;
        }
        Ok(())
    }
}

/// Lines that together make an amount, for messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AsMuchAs(pub Vec<LineId>);

impl fmt::Display for AsMuchAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0[..] {
            [] => Ok(()),
            [one] => write!(f, ", as much as line `{one}`"),
            [one, other, ..] => write!(f, ", as much as lines `{one}` and `{other}`"),
        }
    }
}

/// Figures that do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    #[error("`{number}` is of {first} in {first_citation}, of {other} in {other_citation}")]
    Dates {
        number: String,
        first: NaiveDate,
        first_citation: String,
        other: NaiveDate,
        other_citation: String,
    },
    #[error("{citation} states {stated}, the {what} add up to {sum}: {apart} apart{lines}")]
    Sum {
        citation: String,
        stated: Dong,
        what: &'static str,
        sum: Dong,
        apart: Dong,
        lines: AsMuchAs,
    },
    #[error("the lines take {lines} from `{origin}`, {citation} gives {funds}")]
    Source { origin: String, lines: Dong, funds: Dong, citation: String },
    #[error(
        "line `{line}`: {budget} pay for {pays} at {each}{pays_months}, ordered are {ordered} in \
         the {count} months {months} ({needs})"
    )]
    Pays {
        line: LineId,
        budget: Dong,
        each: Dong,
        pays: u64,
        pays_months: PaysMonths,
        ordered: u64,
        months: Months,
        count: u32,
        needs: Dong,
    },
    #[error(
        "line `{line}`: {citation} pays {units} units for {each} each, {pays} in all; ordered are \
         {whole} if counted for the whole, {every} if for each unit"
    )]
    Shares {
        line: LineId,
        citation: String,
        units: u64,
        each: ByYear,
        pays: u64,
        whole: u64,
        every: u64,
    },
    #[error("line `{line}` begins in {from}, the plan was issued on {issued}")]
    Before { line: LineId, from: Month, issued: NaiveDate },
    #[error("line `{line}` orders no number")]
    NoNumber { line: LineId },
}

/// How many months an amount pays for, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaysMonths(pub Option<u64>);

impl fmt::Display for PaysMonths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |months| write!(f, " ({months} months)"))
    }
}

impl Doubt {
    /// Returns the line that it is about, if it is about one.
    pub fn line(&self) -> Option<&LineId> {
        match self {
            Self::Pays { line, .. }
            | Self::Shares { line, .. }
            | Self::Before { line, .. }
            | Self::NoNumber { line } => Some(line),
            Self::Dates { .. } | Self::Sum { .. } | Self::Source { .. } => None,
        }
    }

    /// Says whether figures contradict each other; otherwise the plan only leaves something open.
    pub fn is_contradiction(&self) -> bool {
        !matches!(self, Self::NoNumber { .. })
    }

    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Dates { .. } => "look the document up and cite its true date in reports",
            Self::Sum { .. } | Self::Source { .. } => {
                "ask the issuer which figure holds; reports show both until then"
            }
            Self::Pays { .. } => "report against the number that is ordered, and name both",
            Self::Shares { .. } => {
                "ask the issuer whom the number is meant for and set `scope`; reports name it"
            }
            Self::Before { .. } => {
                "what was done before that day counts only if the issuer says so"
            }
            Self::NoNumber { .. } => "it will be counted, never called met or missing",
        }
    }
}

/// Returns what does not fit together in a plan: documents, sums, then lines in their order.
pub fn doubts(plan: &Plan) -> Vec<Doubt> {
    let mut found = dates(plan);
    sums(plan, &mut found);
    sources(plan, &mut found);
    for line in &plan.lines {
        found.extend(pays(line));
        found.extend(shares(plan, line));
        let issued = Month::of(plan.date);
        if let Some(issued) = issued
            && line.months.from() < issued
        {
            let (line, from) = (line.id.clone(), line.months.from());
            found.push(Doubt::Before { line, from, issued: plan.date });
        }
        if line.least.is_none() {
            found.push(Doubt::NoNumber { line: line.id.clone() });
        }
    }
    found
}

fn dates(plan: &Plan) -> Vec<Doubt> {
    let mut first = BTreeMap::new();
    let mut found = Vec::new();
    for basis in &plan.bases {
        let before = *first.entry(&basis.number).or_insert(basis);
        if before.date != basis.date {
            found.push(Doubt::Dates {
                number: basis.number.clone(),
                first: before.date,
                first_citation: before.citation.clone(),
                other: basis.date,
                other_citation: basis.citation.clone(),
            });
        }
    }
    found
}

fn amounts(plan: &Plan) -> Vec<(&LineId, Dong)> {
    let amount = |line: &PlanLine| line.budget.as_ref().and_then(|budget| budget.dong);
    plan.lines.iter().filter_map(|line| Some((&line.id, amount(line)?))).collect()
}

fn sums(plan: &Plan, found: &mut Vec<Doubt>) {
    let amounts = amounts(plan);
    let lines: Dong = amounts.iter().map(|(_, dong)| *dong).sum();
    let funds: Dong = plan.funds.iter().map(|funds| funds.dong).sum();
    for (what, sum) in [("lines", lines), ("parts of its table", funds)] {
        if sum == Dong(0) {
            continue;
        }
        for Total { dong, citation } in &plan.totals {
            if *dong == sum {
                continue;
            }
            let apart = dong.apart(sum);
            let lines = AsMuchAs(as_much_as(&amounts, apart));
            let (citation, stated) = (citation.clone(), *dong);
            found.push(Doubt::Sum { citation, stated, what, sum, apart, lines });
        }
    }
}

/// Finds one line or two that make up an amount: the likely reason of a wrong sum.
fn as_much_as(amounts: &[(&LineId, Dong)], wanted: Dong) -> Vec<LineId> {
    if let Some((id, _)) = amounts.iter().find(|(_, dong)| *dong == wanted) {
        return vec![(*id).clone()];
    }
    for (at, (one, first)) in amounts.iter().enumerate().take(200) {
        let rest = amounts.get(at + 1..).unwrap_or_default();
        let fits = |(_, second): &&(&LineId, Dong)| first.0.saturating_add(second.0) == wanted.0;
        if let Some((other, _)) = rest.iter().find(fits) {
            return vec![(*one).clone(), (*other).clone()];
        }
    }
    Vec::new()
}

fn sources(plan: &Plan, found: &mut Vec<Doubt>) {
    let mut by_source: BTreeMap<&str, (Dong, &str)> = BTreeMap::new();
    for Funds { source, dong, citation, .. } in &plan.funds {
        let entry = by_source.entry(source).or_insert((Dong(0), citation));
        entry.0 = Dong(entry.0.0.saturating_add(dong.0));
    }
    for (source, (funds, citation)) in by_source {
        let of = |line: &PlanLine| {
            let budget = line.budget.as_ref().filter(|budget| budget.source == source)?;
            budget.dong
        };
        let lines: Dong = plan.lines.iter().filter_map(of).sum();
        if lines != funds && lines != Dong(0) {
            let (origin, citation) = (source.to_owned(), citation.to_owned());
            found.push(Doubt::Source { origin, lines, funds, citation });
        }
    }
}

/// What a line with a number and a price orders and pays.
struct Priced {
    least: Least,
    each: Dong,
}

fn priced(line: &PlanLine) -> Option<(&Budget, Priced)> {
    let budget = line.budget.as_ref()?;
    let each = budget.each_dong.filter(|each| each.0 > 0)?;
    // A price is of one programme; of broadcasts and minutes it would be no price of a plan.
    (line.counted == Counted::Programme)
        .then_some(line.least)
        .flatten()
        .map(|least| (budget, Priced { least, each }))
}

fn ordered(least: Least, months: Months) -> u64 {
    match least.per {
        Per::Month => least.of(months.count()),
        Per::Year => months.by_year().map(|year| least.of(year.count())).sum(),
    }
}

fn pays(line: &PlanLine) -> Option<Doubt> {
    let (budget, Priced { least, each }) = priced(line)?;
    // For each of several units, how many share the money is not said here.
    let amount = budget.dong.filter(|_| line.scope == Scope::Whole)?;
    let ordered = ordered(least, line.months);
    let needs = each.times(ordered);
    if amount == needs {
        return None;
    }
    let pays = amount.0 / each.0;
    let count = u64::from(least.count);
    let whole_months = least.per == Per::Month && count > 0 && pays.is_multiple_of(count);
    Some(Doubt::Pays {
        line: line.id.clone(),
        budget: amount,
        each,
        pays,
        pays_months: PaysMonths(whole_months.then(|| pays / count)),
        ordered,
        months: line.months,
        count: line.months.count(),
        needs,
    })
}

/// Returns the part of each unit and how many units there are, where a sum is shared out.
fn shared(funds: &Funds) -> Option<(&Funds, Dong, u64)> {
    let each = funds.each_dong.filter(|each| each.0 > 0)?;
    Some((funds, each, funds.dong.0 / each.0))
}

fn shares(plan: &Plan, line: &PlanLine) -> Option<Doubt> {
    let (budget, Priced { least, each: price }) = priced(line)?;
    let mine = |funds: &&Funds| funds.source == budget.source;
    let years: Vec<_> = plan.funds.iter().filter(mine).filter_map(shared).collect();
    let units = years.iter().map(|(_, _, units)| *units).max()?;
    let citation = years.first()?.0.citation.clone();
    let pays = years.iter().map(|(_, each, units)| each.0 / price.0 * units).sum();
    let whole = ordered(least, line.months);
    let every = whole.saturating_mul(units);
    let wanted = if line.scope == Scope::Whole { whole } else { every };
    let each =
        ByYear(years.iter().map(|(funds, each, _)| (funds.year, each.0 / price.0)).collect());
    let doubt = Doubt::Shares { line: line.id.clone(), citation, units, each, pays, whole, every };
    (pays != wanted).then_some(doubt)
}

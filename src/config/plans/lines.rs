//! Lines of a plan as a table, for plans that somebody keeps in a spreadsheet.
//!
//! Several names or codes in one field are parted by `|`. What is written reads back as the same.

use super::super::fault::{At, Fault, Place};
use super::super::problem::Problem;
use super::super::read::Source;
use super::super::table::{Column, Row, may, must, rows, write_table};
use super::super::text::nearest;
use super::line::{PlacedLine, RawLine, check_topics};
use super::{MOST_CSV, TOPIC_LISTS, Told, gather, unique};
use crate::domain::ids::LineId;
use crate::plan::{Dong, Doubt, Means, Plan, PlanLine, TopicCode, TopicList, doubts};
use std::collections::BTreeMap;

static LINES: &[Column] = &[
    must("id"),
    must("citation"),
    may("also_cited"),
    must("task"),
    may("topics"),
    may("means"),
    must("scope"),
    may("units"),
    may("counted"),
    may("least"),
    may("per"),
    must("from"),
    must("until"),
    may("lead"),
    may("coordinating"),
    may("product"),
    may("budget_dong"),
    may("each_dong"),
    may("source"),
    may("deadline"),
    may("note"),
];

const MOST: usize = 2_000;

/// Reads lines whose topics are of a list.
pub fn plan_lines_from_csv(
    label: &str,
    bytes: &[u8],
    list: &TopicList,
) -> Result<Told<Vec<PlanLine>>, Vec<Fault>> {
    gather(label, bytes, MOST_CSV, |source| {
        let placed = read(source, list)?;
        Some(placed.into_iter().map(|placed| placed.line).collect())
    })
}

/// Reads lines as a plan under a head, whose own lines do not count; contradictions in the plan's
/// own figures are among the warnings.
pub fn plan_from_csv(
    label: &str,
    bytes: &[u8],
    head: &Plan,
    lists: &[TopicList],
) -> Result<Told<Plan>, Vec<Fault>> {
    gather(label, bytes, MOST_CSV, |source| {
        let named = lists.iter().filter(|list| list.id == head.topics);
        let Some(list) = named.max_by_key(|list| list.version) else {
            let near = nearest(head.topics.as_str(), lists.iter().map(|list| list.id.as_str()));
            let (what, near) = ("topic list", near.map(str::to_owned));
            let (id, wherein) = (head.topics.to_string(), TOPIC_LISTS);
            source
                .fault(Place::START, &Problem::Unknown { what, id, near, wherein, refuses: true });
            return None;
        };
        let placed = read(source, list)?;
        let places: BTreeMap<LineId, Place> =
            placed.iter().map(|placed| (placed.line.id.clone(), placed.place)).collect();
        let lines = placed.into_iter().map(|placed| placed.line).collect();
        let plan = Plan { lines, ..head.clone() };
        for doubt in doubts(&plan).into_iter().filter(Doubt::is_contradiction) {
            let place = doubt.line().and_then(|line| places.get(line));
            let place = place.copied().unwrap_or(Place::START);
            source.fault(place, &Problem::Doubt(Box::new(doubt)));
        }
        Some(plan)
    })
}

fn read(source: &Source<'_>, list: &TopicList) -> Option<Vec<PlacedLine>> {
    let mut seen = BTreeMap::new();
    let mut lines = Vec::new();
    for row in rows(source, LINES, MOST)? {
        let sink = |place: Place, problem: &Problem| row.fault(place, problem);
        let id = row.id::<LineId>(row.must("id", 60));
        if let Some(id) = &id {
            unique("line", id, &mut seen, &sink);
        }
        let raw = RawLine {
            id,
            citation: row.must("citation", 120),
            also_cited: row.parts("also_cited", 1_000),
            task: row.must("task", 1_000),
            topics: row.parts("topics", 600),
            means: row.parts("means", 200),
            scope: row.must("scope", 40),
            units: row.ids("units", 24_000),
            counted: row.text("counted", 40),
            least: row.number("least", 1, 1_000_000),
            has_least: row.text("least", 40).is_some(),
            per: row.text("per", 40),
            from: row.must("from", 20),
            until: row.must("until", 20),
            lead: row.parts("lead", 2_000),
            coordinating: row.parts("coordinating", 2_000),
            product: row.text("product", 300),
            dong: dong(&row, "budget_dong", Dong(0)),
            each: dong(&row, "each_dong", Dong(1)),
            source: row.text("source", 300),
            deadline: row.date("deadline"),
            note: row.text("note", 1_000),
        };
        lines.extend(raw.finish(row.place, &sink));
    }
    check_topics(&lines, list, &|place, problem| source.fault(place, problem));
    Some(lines)
}

fn dong(row: &Row<'_>, column: &str, least: Dong) -> Option<At<Dong>> {
    let At { value, place } = row.text(column, 40)?;
    match value.parse::<Dong>() {
        Ok(amount) if amount >= least => Some(At { value: amount, place }),
        Ok(_) => {
            let (least, most) = (1, i64::try_from(Dong::MAX.0).unwrap_or(i64::MAX));
            row.fault(place, &Problem::Number { text: value, least, most });
            None
        }
        Err(error) => {
            row.fault(place, &Problem::Money(error));
            None
        }
    }
}

/// Writes lines as a table.
pub fn plan_lines_to_csv<'a>(lines: impl IntoIterator<Item = &'a PlanLine>) -> String {
    write_table(LINES, lines.into_iter().map(fields))
}

fn fields(line: &PlanLine) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let amount = |dong: Option<Dong>| dong.map(|dong| dong.0.to_string()).unwrap_or_default();
    let topics: Vec<&str> = line.topics.iter().map(TopicCode::as_str).collect();
    let means: Vec<&str> = line.means.iter().copied().map(Means::word).collect();
    let units: Vec<String> = line.units.iter().map(ToString::to_string).collect();
    let budget = line.budget.as_ref();
    vec![
        line.id.to_string(),
        line.citation.clone(),
        line.also_cited.join("|"),
        line.task.clone(),
        topics.join("|"),
        means.join("|"),
        line.scope.word().to_owned(),
        units.join(" "),
        line.counted.word().to_owned(),
        line.least.map(|least| least.count.to_string()).unwrap_or_default(),
        line.least.map(|least| least.per.word().to_owned()).unwrap_or_default(),
        line.months.from().to_string(),
        line.months.until().to_string(),
        line.lead.join("|"),
        line.coordinating.join("|"),
        text(&line.product),
        amount(budget.and_then(|budget| budget.dong)),
        amount(budget.and_then(|budget| budget.each_dong)),
        budget.map(|budget| budget.source.clone()).unwrap_or_default(),
        line.deadline.map(|date| date.to_string()).unwrap_or_default(),
        text(&line.note),
    ]
}

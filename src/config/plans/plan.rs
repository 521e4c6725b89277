//! `plans/*.toml`: an administrative plan with its lines.

use super::super::fault::{At, Fault, Place};
use super::super::problem::Problem;
use super::super::read::{Reader, Source};
use super::super::shape::{Kind, Shape, may, must};
use super::super::text::nearest;
use super::line::{self, PlacedLine, RawLine};
use super::{MOST_TOML, TOPIC_LISTS, Told, gather, unique};
use crate::domain::ids::{LineId, PlanId, TopicListId, UnitId};
use crate::plan::{Basis, Dong, Funds, Plan, TopicList, Total, doubts};
use std::collections::BTreeMap;

/// Amounts in files: what TOML numbers hold.
const MOST_DONG: i64 = 1_000_000_000_000_000_000;

pub(in crate::config) static PLAN: Shape = Shape {
    of: "the plan",
    keys: &[
        must("title", Kind::Text(400), "what it is, as its heading says"),
        may("id", Kind::Text(40), "the file's name without `.toml`; may be left out"),
        must("number", Kind::Text(60), "number and sign of the document: `3630/KH-UBND`"),
        must("issuer", Kind::Text(200), "who issued it"),
        must("date", Kind::Date, "day on which it was issued"),
        must("topics", Kind::Text(40), "id of the list that its topics belong to"),
        may("bases", Kind::Tables(&BASIS, 200), "documents that it names: `[[bases]]`"),
        may("totals", Kind::Tables(&TOTAL, 50), "sums that it states: `[[totals]]`"),
        may("funds", Kind::Tables(&FUNDS, 500), "money by year and source: `[[funds]]`"),
        may("lines", Kind::Tables(&LINE, 2_000), "its tasks: `[[lines]]`"),
    ],
};

static BASIS: Shape = Shape {
    of: "a document",
    keys: &[
        must("number", Kind::Text(60), "its number and sign"),
        must("date", Kind::Date, "its day, as the plan says there"),
        must("citation", Kind::Text(120), "where in the plan it is named"),
    ],
};

static TOTAL: Shape = Shape {
    of: "a sum",
    keys: &[
        must("dong", Kind::Number(0, MOST_DONG), "the amount in đồng"),
        must("citation", Kind::Text(120), "where in the plan it stands"),
    ],
};

static FUNDS: Shape = Shape {
    of: "a year's money",
    keys: &[
        must("year", Kind::Number(1900, 2199), "the year"),
        must("source", Kind::Text(200), "where the money comes from, as the lines name it"),
        must("dong", Kind::Number(0, MOST_DONG), "the amount in đồng"),
        may("each_dong", Kind::Number(1, MOST_DONG), "the part of each unit"),
        must("citation", Kind::Text(120), "where in the plan it stands"),
    ],
};

pub(in crate::config) static LINE: Shape = Shape {
    of: "a line",
    keys: &[
        must("id", Kind::Text(60), "its id, unique in the plan: `ii-1`"),
        must("citation", Kind::Text(120), "where in the plan it stands"),
        may("also_cited", Kind::Texts(20), "other places where it stands"),
        must("task", Kind::Text(1_000), "what is to be done"),
        may("topics", Kind::Texts(50), "codes of topics; any of the list unless said"),
        may("means", Kind::Texts(12), "how it reaches people: loudspeaker, board, web, …"),
        must(
            "scope",
            Kind::Choice(&["whole", "district", "commune"]),
            "over what a number counts: whole, district or commune",
        ),
        may("units", Kind::Texts(4_000), "units it is for; all unless said"),
        may(
            "counted",
            Kind::Choice(&["programme", "broadcast", "minute"]),
            "what is counted; programme unless said",
        ),
        may(
            "least",
            Kind::Number(1, 1_000_000),
            "least count; regularly, without a number, unless said",
        ),
        may("per", Kind::Choice(&["month", "year"]), "the time in which so many are ordered"),
        must("from", Kind::Text(20), "first month: `2021-07`"),
        must("until", Kind::Text(20), "last month: `2025-12`"),
        may("lead", Kind::Texts(50), "lead units (đơn vị chủ trì), as the plan names them"),
        may("coordinating", Kind::Texts(50), "coordinating units (đơn vị phối hợp)"),
        may("product", Kind::Text(300), "what shall come of it (sản phẩm)"),
        may("budget_dong", Kind::Number(0, MOST_DONG), "money in đồng"),
        may("each_dong", Kind::Number(1, MOST_DONG), "money for one counted thing"),
        may("source", Kind::Text(300), "where the money comes from"),
        may("deadline", Kind::Date, "day by which it is to be done"),
        may("note", Kind::Text(1_000), "anything else that the plan says"),
    ],
};

/// Reads a plan; `lists` are the topic lists that stand. Contradictions in the plan's own figures
/// are among the warnings.
pub fn plan_from_toml(
    label: &str,
    id: &PlanId,
    bytes: &[u8],
    lists: &[TopicList],
) -> Result<Told<Plan>, Vec<Fault>> {
    gather(label, bytes, MOST_TOML, |source| read(source, id, lists))
}

fn read(source: &Source<'_>, id: &PlanId, lists: &[TopicList]) -> Option<Plan> {
    source.toml(&PLAN, |top| plan(top, id, lists)).flatten()
}

fn plan(top: &Reader<'_>, id: &PlanId, lists: &[TopicList]) -> Option<Plan> {
    super::super::check_id(top, id.as_str());
    let text = |key: &str| top.text(key).map(|text| text.value);
    let lines = lines(top);
    let topics = top.id::<TopicListId>("topics");
    if let Some(named) = &topics {
        check_topics(top, named, &lines, lists);
    }
    let tables = |key: &str| top.tables(key).unwrap_or_default();
    let places: BTreeMap<LineId, Place> =
        lines.iter().map(|placed| (placed.line.id.clone(), placed.place)).collect();
    let plan = Plan {
        id: id.clone(),
        title: text("title")?,
        number: text("number")?,
        issuer: text("issuer")?,
        date: top.date("date")?.value,
        topics: topics?.value,
        bases: tables("bases").iter().filter_map(basis).collect(),
        totals: tables("totals").iter().filter_map(total).collect(),
        funds: tables("funds").iter().filter_map(funds).collect(),
        lines: lines.into_iter().map(|placed| placed.line).collect(),
    };
    for doubt in doubts(&plan).into_iter().filter(crate::plan::Doubt::is_contradiction) {
        let place = doubt.line().and_then(|line| places.get(line));
        top.fault(place.copied().unwrap_or(Place::START), &Problem::Doubt(Box::new(doubt)));
    }
    Some(plan)
}

fn basis(table: &Reader<'_>) -> Option<Basis> {
    let (number, date) = (table.text("number"), table.date("date"));
    let citation = table.text("citation")?.value;
    Some(Basis { number: number?.value, date: date?.value, citation })
}

fn total(table: &Reader<'_>) -> Option<Total> {
    let (dong, citation) = (dong(table, "dong"), table.text("citation"));
    Some(Total { dong: dong?.value, citation: citation?.value })
}

fn funds(table: &Reader<'_>) -> Option<Funds> {
    let (year, source) = (table.number("year"), table.text("source"));
    let (dong, each) = (dong(table, "dong"), dong(table, "each_dong"));
    let citation = table.text("citation")?.value;
    Some(Funds {
        year: i32::try_from(year?.value).ok()?,
        source: source?.value,
        dong: dong?.value,
        each_dong: each.map(|each| each.value),
        citation,
    })
}

fn dong(table: &Reader<'_>, key: &str) -> Option<At<Dong>> {
    let number = table.number(key)?;
    Some(At { value: Dong(u64::try_from(number.value).ok()?), place: number.place })
}

fn lines(top: &Reader<'_>) -> Vec<PlacedLine> {
    let mut seen = BTreeMap::new();
    let mut lines = Vec::new();
    for table in top.tables("lines").unwrap_or_default() {
        let sink = |place: Place, problem: &Problem| table.fault(place, problem);
        let id = table.id::<LineId>("id");
        if let Some(id) = &id {
            unique("line", id, &mut seen, &sink);
        }
        let texts = |key: &str| table.texts(key).unwrap_or_default();
        let raw = RawLine {
            id,
            citation: table.text("citation"),
            also_cited: texts("also_cited"),
            task: table.text("task"),
            topics: texts("topics"),
            means: texts("means"),
            scope: table.text("scope"),
            units: table.ids::<UnitId>("units"),
            counted: table.text("counted"),
            least: table.number("least"),
            has_least: table.has("least"),
            per: table.text("per"),
            from: table.text("from"),
            until: table.text("until"),
            lead: texts("lead"),
            coordinating: texts("coordinating"),
            product: table.text("product"),
            dong: dong(&table, "budget_dong"),
            each: dong(&table, "each_dong"),
            source: table.text("source"),
            deadline: table.date("deadline"),
            note: table.text("note"),
        };
        lines.extend(raw.finish(table.place, &sink));
    }
    lines
}

fn check_topics(
    top: &Reader<'_>,
    named: &At<TopicListId>,
    lines: &[PlacedLine],
    lists: &[TopicList],
) {
    // The newest version counts for a plan that is read now.
    let list = lists.iter().filter(|list| list.id == named.value).max_by_key(|list| list.version);
    let Some(list) = list else {
        let near = nearest(named.value.as_str(), lists.iter().map(|list| list.id.as_str()));
        let (what, near) = ("topic list", near.map(str::to_owned));
        let (id, wherein) = (named.value.to_string(), TOPIC_LISTS);
        top.fault(named.place, &Problem::Unknown { what, id, near, wherein, refuses: true });
        return;
    };
    line::check_topics(lines, list, &|place, problem| top.fault(place, problem));
}

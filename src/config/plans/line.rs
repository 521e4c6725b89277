//! A line of a plan, whether it stood in TOML or in a table.

use super::super::fault::{At, Place};
use super::super::problem::Problem;
use super::super::text::nearest;
use super::{Sink, no_formula, word};
use crate::domain::ids::{LineId, UnitId};
use crate::plan::{
    Budget, Counted, Dong, Least, Means, Month, Months, Per, PlanLine, Scope, TopicCode, TopicList,
};
use chrono::NaiveDate;

/// A line as it was typed, each part with its place.
#[derive(Default)]
pub(super) struct RawLine {
    pub id: Option<At<LineId>>,
    pub citation: Option<At<String>>,
    pub also_cited: Vec<At<String>>,
    pub task: Option<At<String>>,
    pub topics: Vec<At<String>>,
    pub means: Vec<At<String>>,
    pub scope: Option<At<String>>,
    pub units: Vec<At<UnitId>>,
    pub counted: Option<At<String>>,
    pub least: Option<At<i64>>,
    /// Whether something stands there, rightly or wrongly.
    pub has_least: bool,
    pub per: Option<At<String>>,
    pub from: Option<At<String>>,
    pub until: Option<At<String>>,
    pub lead: Vec<At<String>>,
    pub coordinating: Vec<At<String>>,
    pub product: Option<At<String>>,
    pub dong: Option<At<Dong>>,
    pub each: Option<At<Dong>>,
    pub source: Option<At<String>>,
    pub deadline: Option<At<NaiveDate>>,
    pub note: Option<At<String>>,
}

/// A line with the places of what it names.
pub(super) struct PlacedLine {
    pub line: PlanLine,
    pub place: Place,
    pub topics: Vec<At<TopicCode>>,
}

/// Notes topics that stand in no list.
pub(super) fn check_topics(lines: &[PlacedLine], list: &TopicList, sink: Sink<'_>) {
    let unknown = |topic: &&At<TopicCode>| list.topic(&topic.value).is_none();
    let topics = lines.iter().flat_map(|placed| &placed.topics).filter(unknown);
    for (told, topic) in topics.enumerate() {
        // Looking for a neighbour costs; after some, the file itself is the fault.
        let codes = list.topics.iter().map(|topic| topic.code.as_str());
        let near = if told < 20 { nearest(topic.value.as_str(), codes) } else { None };
        let (what, id, near) = ("topic", topic.value.to_string(), near.map(str::to_owned));
        let wherein = "the plan's topic list";
        sink(topic.place, &Problem::Unknown { what, id, near, wherein, refuses: true });
    }
}

const OF: &str = "a line";

/// A part was wrong, and its fault is noted.
struct Faulty;

fn text(text: Option<At<String>>) -> Option<String> {
    text.map(|text| text.value)
}

fn texts(texts: Vec<At<String>>) -> Vec<String> {
    texts.into_iter().map(|text| text.value).collect()
}

impl RawLine {
    /// Returns the line; notes every fault of it first.
    pub fn finish(self, place: Place, sink: Sink<'_>) -> Option<PlacedLine> {
        let one = [&self.citation, &self.task, &self.product, &self.source, &self.note];
        let many = [&self.also_cited, &self.lead, &self.coordinating];
        for text in one.into_iter().flatten().chain(many.into_iter().flatten()) {
            no_formula(text, sink);
        }
        let topics: Vec<At<TopicCode>> = self
            .topics
            .iter()
            .filter_map(|topic| match topic.value.parse() {
                Ok(value) => Some(At { value, place: topic.place }),
                Err(error) => {
                    sink(topic.place, &Problem::Topic(error));
                    None
                }
            })
            .collect();
        let mut means: Vec<Means> = self
            .means
            .iter()
            .filter_map(|one| word("means", one, &Means::WORDS, Means::WORDS.len(), sink))
            .collect();
        means.sort();
        means.dedup();
        let scope = self.scope.as_ref();
        let scope = scope.and_then(|text| word("scope", text, &Scope::WORDS, 3, sink));
        let counted = match &self.counted {
            Some(text) => word("counted", text, &Counted::WORDS, 3, sink),
            None => Some(Counted::Programme),
        };
        let least = self.least(sink);
        let months = self.months(sink);
        let budget = self.budget(sink);
        let id = self.id?;
        let line = PlanLine {
            id: id.value,
            citation: self.citation?.value,
            also_cited: texts(self.also_cited),
            task: self.task?.value,
            topics: topics.iter().map(|topic| topic.value.clone()).collect(),
            means,
            scope: scope?,
            units: self.units.into_iter().map(|unit| unit.value).collect(),
            counted: counted?,
            least: least.ok()?,
            months: months?,
            lead: texts(self.lead),
            coordinating: texts(self.coordinating),
            product: text(self.product),
            budget: budget.ok()?,
            deadline: self.deadline.map(|date| date.value),
            note: text(self.note),
        };
        Some(PlacedLine { line, place, topics })
    }

    /// Returns what is ordered.
    fn least(&self, sink: Sink<'_>) -> Result<Option<Least>, Faulty> {
        match (&self.least, &self.per) {
            (None, None) => Ok(None),
            (Some(least), Some(per)) => {
                let per = word("per", per, &Per::WORDS, 2, sink).ok_or(Faulty)?;
                let count = u32::try_from(least.value).map_err(|_| Faulty)?;
                Ok(Some(Least { count, per }))
            }
            (Some(least), None) => {
                let doc = "`month` or `year`: the time in which so many are ordered";
                sink(least.place, &Problem::MissingKey { key: "per", of: OF, doc });
                Err(Faulty)
            }
            // What is wrong with the number is told already.
            (None, Some(_)) if self.has_least => Err(Faulty),
            (None, Some(per)) => {
                let hint = "say how many with `least`, or leave `per` out";
                let problem = Problem::Useless { key: "per", without: "without `least`", hint };
                sink(per.place, &problem);
                Err(Faulty)
            }
        }
    }

    fn months(&self, sink: Sink<'_>) -> Option<Months> {
        let month = |text: &Option<At<String>>| {
            let text = text.as_ref()?;
            match text.value.parse::<Month>() {
                Ok(month) => Some(month),
                Err(error) => {
                    sink(text.place, &Problem::Month(error));
                    None
                }
            }
        };
        let (from, until) = (month(&self.from), month(&self.until));
        let (from, until) = (from?, until?);
        let months = Months::new(from, until);
        if months.is_none() {
            let place = self.until.as_ref().map_or(Place::START, |text| text.place);
            let (from, to) = (from.to_string(), until.to_string());
            sink(place, &Problem::DatesReversed { from, to });
        }
        months
    }

    /// Returns the money.
    fn budget(&self, sink: Sink<'_>) -> Result<Option<Budget>, Faulty> {
        let (dong, each) = (self.dong.as_ref(), self.each.as_ref());
        match (&self.source, dong.or(each)) {
            (None, None) => Ok(None),
            (Some(source), _) => Ok(Some(Budget {
                dong: dong.map(|amount| amount.value),
                each_dong: each.map(|amount| amount.value),
                source: source.value.clone(),
            })),
            (None, Some(amount)) => {
                let doc = "where the money comes from, in the plan's words";
                sink(amount.place, &Problem::MissingKey { key: "source", of: OF, doc });
                Err(Faulty)
            }
        }
    }
}

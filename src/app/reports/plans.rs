//! Plan lines, topics and evidence by hand, as reports read them.
//!
//! Items name plan lines and topics in words of their own; reports count by one name. What no plan
//! and no list knows keeps the words it came with, and stands in the report as not known.

use super::{Reports, ReportsError};
use crate::app::ports::{EntryFilter, Page, PlansInForce};
use crate::app::rollup::Renamed;
use crate::domain::timetable::Kind;
use crate::plan::{self, Means, TopicList};
use crate::report::compare::{Counted, Every, PlanLine, PlanScope};
use crate::report::contents::Subject;
use crate::report::manual::Manual;
use crate::report::period::Period;
use std::collections::BTreeMap;

/// Entries read at once.
const PAGE: u32 = 1_000;
/// Entries of one report.
const MOST_ENTRIES: usize = 100_000;

/// What plans and lists say.
#[derive(Default)]
pub(super) struct Ordered {
    pub lines: Vec<PlanLine>,
    pub topics: BTreeMap<String, String>,
    pub renamed: Renamed,
}

fn scope(line: &plan::PlanLine) -> PlanScope {
    match line.scope {
        plan::Scope::Commune | plan::Scope::District if !line.units.is_empty() => {
            PlanScope::Each(line.units.clone())
        }
        plan::Scope::Commune => PlanScope::EachCommune,
        // No register has historic districts unless the line names them.
        plan::Scope::Whole | plan::Scope::District => PlanScope::Together,
    }
}

/// Returns a line that orders a number, as reports count it.
fn line(plan: &plan::Plan, line: &plan::PlanLine) -> Option<PlanLine> {
    let least = line.least?;
    let month = |month: plan::Month| Period::month(month.year(), month.number()).ok();
    let (first, last) = (month(line.months.from())?, month(line.months.until())?);
    Some(PlanLine {
        id: format!("{}/{}", plan.id, line.id),
        citation: format!("{}, {}", plan.number, line.citation),
        title: line.task.clone(),
        scope: scope(line),
        counted: match line.counted {
            plan::Counted::Programme => Counted::Programmes,
            plan::Counted::Broadcast => Counted::Broadcasts,
            plan::Counted::Minute => Counted::Minutes,
        },
        every: match least.per {
            plan::Per::Month => Every::Month,
            plan::Per::Year => Every::Year,
        },
        least: u64::from(least.count),
        term: Period::new(first.first(), last.last()).ok()?,
        lead: Some(line.lead.join("; ")).filter(|lead| !lead.is_empty()),
        coordinating: line.coordinating.clone(),
    })
}

/// Returns the name of the line that an item serves: of several, the one for its kind of device.
fn named(plans: &PlansInForce, kind: Kind, text: &str) -> Option<String> {
    let means = match kind {
        Kind::Clip => Means::Loudspeaker,
        Kind::Pages => Means::Board,
    };
    let found = plans.named(text);
    let fits = found.iter().find(|(_, line)| line.means.contains(&means));
    let (stored, line) = fits.or_else(|| found.first())?;
    Some(format!("{}/{}", stored.plan.id, line.id))
}

impl Reports {
    /// Reads plans in force and topic lists, and how the subjects of items are named by them.
    pub(super) async fn ordered(&self) -> Result<Ordered, ReportsError> {
        let store = self.store();
        let plans = PlansInForce::of(&**store).await?;
        let mut newest: BTreeMap<String, TopicList> = BTreeMap::new();
        for stored in store.topic_lists().await? {
            // By id and version: the newest of each comes last.
            newest.insert(stored.list.id.to_string(), stored.list);
        }
        let mut ordered = Ordered::default();
        for stored in &plans.0 {
            let lines = stored.plan.lines.iter().filter_map(|one| line(&stored.plan, one));
            ordered.lines.extend(lines);
        }
        for list in newest.values() {
            for topic in &list.topics {
                ordered.topics.insert(topic.code.to_string(), topic.title.clone());
            }
        }
        for subject in self.rollup.subjects().await? {
            let mut after: Subject = subject.clone();
            after.line = subject
                .line
                .as_deref()
                .map(|text| named(&plans, subject.kind, text).unwrap_or_else(|| text.to_owned()));
            for topic in &mut after.topics {
                let known = newest.values().find_map(|list| list.named(topic));
                if let Some(known) = known {
                    *topic = known.code.to_string();
                }
            }
            after.topics.sort();
            after.topics.dedup();
            if after != subject {
                ordered.renamed.insert(subject, after);
            }
        }
        Ok(ordered)
    }

    /// Reads the evidence by hand of a period that counts.
    pub(super) async fn by_hand(&self, period: Period) -> Result<Vec<Manual>, ReportsError> {
        let filter = EntryFilter {
            from: Some(period.first()),
            to: Some(period.last()),
            standing: true,
            ..EntryFilter::default()
        };
        let (mut found, mut position) = (Vec::new(), 0);
        loop {
            let page = Page::After { position, limit: PAGE };
            let listed = self.store().entries(&filter, page).await?;
            for stored in &listed {
                position = stored.position;
                let entry = &stored.entry;
                found.push(Manual {
                    date: entry.on,
                    channel: channel(entry.channel.word()),
                    unit: Some(entry.unit.clone()),
                    title: entry.title.clone(),
                    line: entry.line.as_ref().map(ToString::to_string),
                    topic: entry.topic.as_ref().map(ToString::to_string),
                    person: entry.by.to_string(),
                    file: entry.sha256,
                });
            }
            if found.len() > MOST_ENTRIES {
                let what = "entries of evidence by hand";
                return Err(ReportsError::TooMany { what, most: MOST_ENTRIES });
            }
            if listed.len() < PAGE as usize {
                return Ok(found);
            }
        }
    }
}

/// Names a channel for people.
fn channel(word: &str) -> String {
    let vi = match word {
        "leaflet" => "tờ rơi",
        "web" => "trang tin điện tử",
        "sms" => "tin nhắn",
        "school" => "trường học",
        "wifi" => "điểm truy cập WiFi",
        _ => "hình thức khác",
    };
    vi.to_owned()
}

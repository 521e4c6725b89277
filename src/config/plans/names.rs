//! Whether the plan lines and topics that playlists name are anywhere.
//!
//! Warnings only: what a report counts never keeps a playlist from sounding. A station that keeps
//! no plans, or no topic lists, is not asked for them.

use super::super::fault::{At, Faults, FileRef};
use super::super::playlist::PlacedPlaylist;
use super::super::problem::Problem;
use super::super::text::{nearest, nfc, shown};
use crate::plan::{LineRef, Plan, TopicList};

/// Names for which a similar one is looked for in one playlist.
const MOST_NEAR: usize = 5;

/// The plans and topic lists that playlists may name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownPlans {
    pub plans: Vec<Plan>,
    /// Of each list the newest version counts.
    pub topics: Vec<TopicList>,
}

impl KnownPlans {
    /// Adds what is not there yet: of a plan that is known already, that one counts.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        for plan in other.plans {
            if !self.plans.iter().any(|known| known.id == plan.id) {
                self.plans.push(plan);
            }
        }
        self.topics.extend(other.topics);
        self
    }

    fn newest(&self) -> impl Iterator<Item = &TopicList> {
        let newer = |list: &TopicList| {
            self.topics.iter().any(|other| other.id == list.id && other.version > list.version)
        };
        self.topics.iter().filter(move |list| !newer(list))
    }

    /// Says what of a text names no line: references one by one, else the text as a whole.
    fn unknown_line(&self, text: &str) -> Option<String> {
        let parts = text.split([',', ';', ' ']).filter(|part| !part.is_empty());
        let refs: Vec<LineRef> = parts.filter_map(|part| part.parse().ok()).collect();
        let known = |line: &LineRef| {
            let plan = self.plans.iter().find(|plan| plan.id == line.plan);
            plan.is_some_and(|plan| plan.line(&line.line).is_some())
        };
        if let Some(wrong) = refs.iter().find(|line| !known(line)) {
            return Some(wrong.to_string());
        }
        let named = self.plans.iter().any(|plan| !plan.named(text).is_empty());
        (!named).then(|| text.to_owned())
    }

    fn has_topic(&self, text: &str) -> bool {
        let said = nfc(text).to_lowercase();
        let titled =
            |list: &TopicList| list.topics.iter().any(|topic| topic.title.to_lowercase() == said);
        self.newest().any(|list| list.named(text).is_some() || titled(list))
    }

    /// Notes names of one playlist that are nowhere.
    pub(in crate::config) fn check(
        &self,
        file: FileRef<'_>,
        placed: &PlacedPlaylist,
        faults: &Faults,
    ) {
        if !self.plans.is_empty() {
            for At { value, place } in &placed.names.plan_lines {
                let Some(text) = self.unknown_line(value) else { continue };
                let lines = self.plans.iter().flat_map(|plan| {
                    plan.lines.iter().map(move |line| format!("{}/{}", plan.id, line.id))
                });
                let lines: Vec<String> =
                    if text.contains('/') { lines.take(2_000).collect() } else { Vec::new() };
                let near = nearest(&text, lines.iter().map(String::as_str)).map(str::to_owned);
                faults.add(file, *place, &Problem::NoPlanLine { text: shown(&text), near });
            }
        }
        if self.topics.is_empty() {
            return;
        }
        let unknown = placed.names.topics.iter().filter(|topic| !self.has_topic(&topic.value));
        for (told, At { value, place }) in unknown.enumerate() {
            let codes =
                self.newest().flat_map(|list| &list.topics).map(|topic| topic.code.as_str());
            let word = value.split_whitespace().next().unwrap_or_default().to_uppercase();
            let near = if told < MOST_NEAR { nearest(&word, codes) } else { None };
            let near = near.map(str::to_owned);
            faults.add(file, *place, &Problem::NoTopic { text: shown(value), near });
        }
    }
}

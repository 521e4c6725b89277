//! The plans and topic lists of a station folder.
//!
//! Read apart from what is broadcast: a fault in a plan is told, and never keeps a playlist from
//! sounding.

use super::super::fault::{Fault, Faults, Place};
use super::super::files::{Files, PLANS, TOPICS};
use super::super::problem::Problem;
use super::super::text::{shown, slug};
use super::{Told, plan_from_toml, topics_from_toml};
use crate::domain::ids::{PlanId, TopicListId};
use crate::plan::{LineRef, Plan, PlanLine, TopicList};
use std::collections::BTreeMap;
use std::path::Path;

/// What lies in `plans/` and `topics/`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanFolder {
    /// By id, then version.
    pub topics: Vec<TopicList>,
    /// By id.
    pub plans: Vec<Plan>,
    /// All faults and warnings, sorted by file and place.
    pub faults: Vec<Fault>,
}

impl PlanFolder {
    /// Finds the lines that a playlist names, whatever the plan; see [`Plan::named`].
    pub fn named(&self, text: &str) -> Vec<(&Plan, &PlanLine)> {
        let of = |plan| Plan::named(plan, text).into_iter().map(move |line| (plan, line));
        self.plans.iter().flat_map(of).collect()
    }

    /// Returns the line of a reference.
    pub fn line(&self, line: &LineRef) -> Option<&PlanLine> {
        self.plans.iter().find(|plan| plan.id == line.plan)?.line(&line.line)
    }
}

/// Reads the plans and topic lists of a station folder; a file with a fault that refuses it is
/// left out.
pub fn plan_folder(dir: &Path) -> PlanFolder {
    let faults = Faults::default();
    let files = Files::read_plans(dir, &faults);
    let mut found = PlanFolder::default();
    let mut told = Vec::new();
    let mut versions: BTreeMap<(TopicListId, u32), &str> = BTreeMap::new();
    for (key, label, bytes) in of(&files, TOPICS) {
        if let Some(list) = keep(topics_from_toml(label, bytes), &mut told) {
            let version = (list.id.clone(), list.version);
            if let Some(other) = versions.get(&version) {
                let (name, other) = (name(key), (*other).to_owned());
                let id = format!("{} version {}", list.id, list.version);
                let problem = Problem::SameId { name, id, other };
                faults.add(files.file(key), Place::START, &problem);
                continue;
            }
            versions.insert(version, key);
            found.topics.push(list);
        }
    }
    found.topics.sort_by(|a, b| (&a.id, a.version).cmp(&(&b.id, b.version)));
    let mut ids: BTreeMap<PlanId, String> = BTreeMap::new();
    for (key, label, bytes) in of(&files, PLANS) {
        let name = name(key);
        let stem = name.strip_suffix(".toml").unwrap_or(&name);
        let Ok(id) = slug(stem).parse::<PlanId>() else {
            let problem = Problem::FileName { name: shown(&name) };
            faults.add(files.file(key), Place::START, &problem);
            continue;
        };
        if let Some(other) = ids.get(&id) {
            let (id, other) = (id.to_string(), other.clone());
            let problem = Problem::SameId { name, id, other };
            faults.add(files.file(key), Place::START, &problem);
            continue;
        }
        ids.insert(id.clone(), name);
        found.plans.extend(keep(plan_from_toml(label, &id, bytes, &found.topics), &mut told));
    }
    found.plans.sort_by(|a, b| a.id.cmp(&b.id));
    found.faults = faults.into_sorted();
    found.faults.append(&mut told);
    found.faults.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    found
}

/// Returns key, label and bytes of the files that could be read.
fn of<'a>(files: &'a Files, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str, &'a [u8])> {
    files.bytes.iter().filter(move |(key, _)| key.starts_with(prefix)).filter_map(|(key, bytes)| {
        let label = files.labels.get(key).map_or(key.as_str(), String::as_str);
        Some((key.as_str(), label, bytes.as_deref()?))
    })
}

fn name(key: &str) -> String {
    key.rsplit('/').next().unwrap_or(key).to_owned()
}

fn keep<T>(read: Result<Told<T>, Vec<Fault>>, told: &mut Vec<Fault>) -> Option<T> {
    let (value, mut faults) = match read {
        Ok(Told { value, warnings }) => (Some(value), warnings),
        Err(faults) => (None, faults),
    };
    told.append(&mut faults);
    value
}

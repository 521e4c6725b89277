//! What the next version of a plan changes.

use crate::domain::ids::LineId;
use crate::plan::{Plan, PlanLine};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Lines named for people before it says how many more.
const NAMED: usize = 12;

/// How two versions of a plan differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Whether title, number, issuer, date, sums or money by year differ.
    pub head: bool,
    pub added: Vec<LineId>,
    pub removed: Vec<LineId>,
    pub changed: Vec<LineId>,
}

impl Changes {
    /// Compares two versions, line by line.
    pub fn between(old: &Plan, new: &Plan) -> Self {
        let by_id = |plan: &Plan| -> BTreeMap<LineId, PlanLine> {
            plan.lines.iter().map(|line| (line.id.clone(), line.clone())).collect()
        };
        let bare = |plan: &Plan| Plan { lines: Vec::new(), ..plan.clone() };
        let (before, after) = (by_id(old), by_id(new));
        let missing = |from: &BTreeMap<LineId, PlanLine>, of: &BTreeMap<LineId, PlanLine>| {
            from.keys().filter(|id| !of.contains_key(*id)).cloned().collect()
        };
        let differs =
            |(id, line): &(&LineId, &PlanLine)| before.get(*id).is_some_and(|known| known != *line);
        Self {
            head: bare(old) != bare(new),
            added: missing(&after, &before),
            removed: missing(&before, &after),
            changed: after.iter().filter(differs).map(|(id, _)| id.clone()).collect(),
        }
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.head {
            parts.push("the head changed".to_owned());
        }
        for (what, lines) in
            [("added", &self.added), ("removed", &self.removed), ("changed", &self.changed)]
        {
            if lines.is_empty() {
                continue;
            }
            let mut names: Vec<String> =
                lines.iter().take(NAMED).map(|line| format!("`{line}`")).collect();
            if lines.len() > NAMED {
                names.push(format!("{} more", lines.len() - NAMED));
            }
            parts.push(format!("{what} {}", names.join(", ")));
        }
        if parts.is_empty() {
            parts.push("the order of lines".to_owned());
        }
        f.write_str(&parts.join("; "))
    }
}

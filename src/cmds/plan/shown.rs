//! How plans look on a terminal and as JSON.

use crate::app::planbook::{Changes, Taken, TakenPlan};
use crate::app::ports::{StoredPlan, StoredTopics};
use crate::cmds::{print_json, print_text, table};
use crate::config::Fault;
use crate::domain::time::UtcMs;
use crate::plan::{Doubt, PlanLine, doubts};
use serde_json::{Value, json};
use std::fmt::Write as _;

fn at(at: UtcMs) -> String {
    at.datetime().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// Writes faults as `loa check` does.
pub fn faults(faults: &[Fault]) -> String {
    let mut text = String::new();
    for fault in faults {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{fault}");
        if let Some(hint) = &fault.hint {
            let _ = writeln!(text, "    hint: {hint}");
        }
    }
    text
}

/// A plan as `--json` lists it.
pub fn row(stored: &StoredPlan) -> Value {
    let plan = &stored.plan;
    let withdrawn = stored.withdrawn.as_ref();
    json!({
        "id": plan.id, "version": stored.version, "title": plan.title, "number": plan.number,
        "issuer": plan.issuer, "date": plan.date, "topics": plan.topics,
        "lines": plan.lines.len(), "sha256": stored.sha256, "format": stored.format.word(),
        "imported": at(stored.at_ms), "imported_by": stored.by,
        "withdrawn": withdrawn.map(|gone| json!({
            "at": at(gone.at_ms), "by": gone.by, "reason": gone.reason,
        })),
    })
}

/// What an import did with a plan.
pub fn taken(taken: &TakenPlan) -> Value {
    let none = Changes::default();
    let (state, replaces, changes) = match &taken.taken {
        Taken::New => ("new", None, &none),
        Taken::Unchanged => ("unchanged", None, &none),
        Taken::Follows { version, changes } => ("follows", Some(*version), changes),
    };
    let stored = &taken.stored;
    json!({
        "kind": "plan", "id": stored.plan.id, "version": stored.version, "state": state,
        "lines": stored.plan.lines.len(), "replaces": replaces, "added": changes.added,
        "removed": changes.removed, "changed": changes.changed,
        "unknown_units": taken.unknown_units,
    })
}

/// Prints a list of plans.
pub fn plans(plans: &[StoredPlan], json: bool) -> anyhow::Result<()> {
    if json {
        return print_json(&plans.iter().map(row).collect::<Vec<_>>());
    }
    let cells = |stored: &StoredPlan| {
        let plan = &stored.plan;
        let state = if stored.withdrawn.is_some() { "withdrawn" } else { "in force" };
        vec![
            plan.id.to_string(),
            stored.version.to_string(),
            state.to_owned(),
            plan.lines.len().to_string(),
            plan.number.clone(),
            plan.date.to_string(),
            plan.issuer.clone(),
        ]
    };
    let rows: Vec<_> = plans.iter().map(cells).collect();
    print_text(&table(&["PLAN", "VERSION", "STATE", "LINES", "NUMBER", "DATE", "ISSUER"], &rows))
}

/// Prints a plan with its lines.
pub fn plan(stored: &StoredPlan, json: bool) -> anyhow::Result<()> {
    let plan = &stored.plan;
    let doubts: Vec<Doubt> = doubts(plan).into_iter().filter(Doubt::is_contradiction).collect();
    if json {
        let mut whole = row(stored);
        whole["bases"] = json!(plan.bases);
        whole["totals"] = json!(plan.totals);
        whole["funds"] = json!(plan.funds);
        whole["lines"] = json!(plan.lines);
        let doubt = |doubt: &Doubt| json!({ "line": doubt.line(), "message": doubt.to_string(), "hint": doubt.hint() });
        whole["doubts"] = doubts.iter().map(doubt).collect();
        return print_json(&whole);
    }
    let mut text = format!(
        "{} version {}\n{}\n{}, {}, {}\n\n",
        plan.id, stored.version, plan.title, plan.number, plan.issuer, plan.date
    );
    let rows: Vec<_> = plan.lines.iter().map(line).collect();
    text.push_str(&table(&["LINE", "WHERE", "ORDERS", "OVER", "MONTHS", "TASK"], &rows));
    if !doubts.is_empty() {
        text.push('\n');
    }
    for doubt in &doubts {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "doubt: {doubt}\n    hint: {}", doubt.hint());
    }
    print_text(&text)
}

fn line(line: &PlanLine) -> Vec<String> {
    let orders = line.least.map_or("regularly".to_owned(), |least| {
        format!("{} {}/{}", least.count, line.counted.word(), least.per.word())
    });
    let short: String = line.task.chars().take(60).collect();
    let more = if short.len() < line.task.len() { "…" } else { "" };
    vec![
        line.id.to_string(),
        line.citation.clone(),
        orders,
        line.scope.word().to_owned(),
        line.months.to_string(),
        format!("{short}{more}"),
    ]
}

/// Prints topic lists.
pub fn topics(lists: &[StoredTopics], standing: &[StoredTopics], json: bool) -> anyhow::Result<()> {
    if json {
        let row = |stored: &StoredTopics| {
            let list = &stored.list;
            json!({
                "id": list.id, "version": list.version, "title": list.title,
                "valid_from": list.valid_from, "source": list.source,
                "in_force": standing.contains(stored), "sha256": stored.sha256,
                "imported": at(stored.at_ms), "imported_by": stored.by, "topics": list.topics,
            })
        };
        return print_json(&lists.iter().map(row).collect::<Vec<_>>());
    }
    let mut text = String::new();
    for stored in lists {
        let list = &stored.list;
        let state = if standing.contains(stored) { "in force" } else { "not in force" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{} version {}, from {} ({state}): {}",
            list.id, list.version, list.valid_from, list.title
        );
        for topic in &list.topics {
            let _ = writeln!(text, "  {:<5} {}", topic.code.as_str(), topic.title);
        }
    }
    print_text(&text)
}

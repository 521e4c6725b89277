//! A proposal as people read it, and as JSON.

use crate::app::approval::{Proposal, Stand, Together};
use crate::domain::approval::{Change, Counts, Preview, What};
use crate::domain::ids::{Digest, UnitId};
use crate::domain::station::Unit;
use crate::domain::time::UtcMs;
use chrono::NaiveDate;
use chrono_tz::Tz;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A proposal as `--json` prints it.
#[derive(Serialize)]
pub struct Row<'a> {
    hash: Digest,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    made_ms: UtcMs,
    author: Option<String>,
    approved_by: Vec<String>,
    /// How many more must approve.
    lacks: usize,
    /// The version in force over which its effect is shown: `loa approve --over`.
    over: i64,
    files: Vec<&'a str>,
    clips: Vec<&'a str>,
    /// `alone`, `needed`, `person` or `many`: why the files are one proposal.
    together: Together,
    /// The units that whoever approves must answer for.
    concerns: BTreeSet<UnitId>,
    units: &'a BTreeMap<UnitId, Counts>,
    /// What sounds within an hour of quiet hours first.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<&'a [Change]>,
    more: usize,
}

impl<'a> Row<'a> {
    pub fn new(one: &'a Proposal, whole: Whole) -> Self {
        let reason = match &one.stand {
            Stand::Returned { reason, .. } => Some(reason.as_str()),
            _ => None,
        };
        Self {
            hash: one.hash,
            state: one.stand.word(),
            reason,
            made_ms: one.made_ms,
            author: one.author.as_ref().map(ToString::to_string),
            approved_by: one.votes.iter().map(ToString::to_string).collect(),
            lacks: one.lacks(),
            over: one.base,
            files: one.change.files.keys().map(String::as_str).collect(),
            clips: one.change.other.iter().map(String::as_str).collect(),
            together: one.together,
            concerns: one.units(),
            units: &one.preview.units,
            changes: (whole == Whole::Yes).then_some(&one.preview.changes),
            more: one.preview.more,
        }
    }
}

/// Whether every cue is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    Yes,
    No,
}

/// Tells a proposal to whoever decides. `units` of the register, for their names.
pub fn text(one: &Proposal, units: &[Unit], zone: Tz) -> String {
    let short = &one.hash.to_string()[..12];
    let mut text = format!("Proposal {}\n", one.hash);
    let mut say = |what: &str, told: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {what:<9} {told}");
    };
    say("state", &state(one, short));
    say("files", &files(one).join(", "));
    let clips: Vec<&str> = one.change.clips.keys().map(String::as_str).collect();
    if !clips.is_empty() {
        say("clips", &clips.join(", "));
    }
    match one.together {
        Together::Alone => {}
        Together::Needed => say("together", "none of the files fits without the others"),
        Together::Person => say("together", "a person proposed these files together"),
        Together::Many => say("together", "more changes wait than are told one by one"),
    }
    let author = one.author.as_ref().map_or("nobody stands for it".to_owned(), ToString::to_string);
    say("author", &author);
    if !one.votes.is_empty() {
        let votes: Vec<_> = one.votes.iter().map(ToString::to_string).collect();
        say("approved", &format!("by {}", votes.join(", ")));
    }
    let name = |id: &UnitId| {
        let known = units.iter().find(|unit| unit.id == *id);
        known.map_or_else(|| id.to_string(), |unit| format!("{id} {}", unit.name))
    };
    let concerns: Vec<_> = one.units().iter().map(name).collect();
    let concerns =
        if concerns.is_empty() { "the whole station".into() } else { concerns.join(", ") };
    say("concerns", &concerns);
    let made = one.made_ms.datetime().with_timezone(&zone).format("%Y-%m-%d %H:%M:%S");
    say("since", &made.to_string());
    text.push_str(&on_air(&one.preview, units, zone));
    text
}

fn state(one: &Proposal, short: &str) -> String {
    match &one.stand {
        Stand::Open => {
            let (more, over) = (one.lacks(), one.base);
            format!("waits for {more} more to approve: loa approve {short} --over {over}")
        }
        Stand::Approved { .. } => "approved, came into force".to_owned(),
        Stand::Returned { by, reason, .. } => {
            format!("returned by {by}: {reason}; propose anew: loa propose {short}")
        }
        Stand::TakenBack { .. } => format!("taken back; propose anew: loa propose {short}"),
        Stand::Stale { .. } => format!(
            "stale: what is in force has changed, so that it would do something else than when \
             it was proposed; look again, then: loa propose {short}"
        ),
        Stand::Superseded { .. } => "superseded: the files have changed since".to_owned(),
    }
}

fn files(one: &Proposal) -> Vec<String> {
    let told = one.change.files.iter().map(|(name, entry)| match entry {
        Some(_) => name.clone(),
        None => format!("{name} (gone)"),
    });
    told.chain(one.change.other.iter().cloned()).collect()
}

/// Tells what changes on air, cue by cue.
pub fn on_air(preview: &Preview, units: &[Unit], zone: Tz) -> String {
    if preview.is_empty() {
        let days = crate::domain::approval::DAYS;
        return format!("On air nothing changes in the {days} days ahead.\n");
    }
    let mut text = "On air, compared with what is in force:\n".to_owned();
    for (unit, n) in &preview.units {
        let known = units.iter().find(|known| known.id == *unit);
        let name = known.map_or("", |unit| unit.name.as_str());
        let (new, moved, changed, gone) = (n.new, n.moved, n.changed, n.gone);
        let _ = writeln!(
            text,
            "  {unit} {name}: {new} new, {moved} moved, {changed} changed, {gone} gone"
        );
    }
    for line in lines(&preview.changes, zone) {
        let _ = writeln!(text, "{line}");
    }
    if preview.more > 0 {
        let _ = writeln!(text, "  and {} more", preview.more);
    }
    text
}

/// One line for what changes in the same way at the same time of several days.
fn lines(changes: &[Change], zone: Tz) -> Vec<String> {
    let mut alike: Vec<(String, String, Vec<NaiveDate>)> = Vec::new();
    for change in changes {
        let local = change.at_ms.datetime().with_timezone(&zone);
        let (time, date) = (local.format("%H:%M:%S").to_string(), local.date_naive());
        let (before, after) = (before(change), after(change));
        let before = format!("{before} {time}");
        match alike.iter_mut().find(|(b, a, _)| *b == before && *a == after) {
            Some((_, _, dates)) => dates.push(date),
            None => alike.push((before, after, vec![date])),
        }
    }
    let told = |(before, after, dates): (String, String, Vec<NaiveDate>)| {
        let on = match &*dates {
            [first, .., last] => format!("on {} days from {first} to {last}", dates.len()),
            one => one.first().map_or_else(String::new, |date| format!("on {date}")),
        };
        format!("  {before} {on}{after}")
    };
    alike.into_iter().map(told).collect()
}

fn before(change: &Change) -> String {
    let verb = if change.board { "show" } else { "sound" };
    let near = if change.near_quiet { "NEAR QUIET HOURS: " } else { "" };
    let what = match change.what {
        What::New => format!("will {verb} at"),
        What::Moved => format!("moved, will {verb} at"),
        What::Longer => "longer, at".to_owned(),
        What::Louder => "louder, at".to_owned(),
        What::Content => "other content, at".to_owned(),
        What::Less => "less, at".to_owned(),
        What::Gone => "no longer at".to_owned(),
    };
    format!("{near}{what}")
}

fn after(change: &Change) -> String {
    let noun = if change.board { "board" } else { "loudspeaker" };
    let s = if change.devices == 1 { "" } else { "s" };
    format!(": {} ({}), {} {noun}{s}", change.title, change.item, change.devices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::CueId;
    use std::collections::BTreeSet;

    const MORNING: i64 = 1_795_298_400_000; // 2026-11-22 05:00 in Viet Nam

    fn change(what: What, at: i64, near_quiet: bool) -> Change {
        Change {
            near_quiet,
            what,
            at_ms: UtcMs(at),
            end_ms: UtcMs(at + 60_000),
            was_at_ms: None,
            was_end_ms: None,
            cue: CueId([0; 16]),
            item: "sang/lua-dao".to_owned(),
            title: "Cảnh báo lừa đảo".to_owned(),
            board: false,
            volume: 80,
            units: BTreeSet::new(),
            devices: 2,
        }
    }

    #[test]
    fn what_changes_alike_on_several_days_is_one_line() {
        const DAY: i64 = 86_400_000;
        let changes: Vec<Change> = (0..3)
            .map(|n| change(What::New, MORNING + n * DAY, false))
            .chain([change(What::Gone, MORNING, false), change(What::New, MORNING, true)])
            .collect();
        let told = lines(&changes, Tz::Asia__Ho_Chi_Minh);
        insta::assert_snapshot!(told.join("\n"), @r"
        will sound at 05:00:00 on 3 days from 2026-11-22 to 2026-11-24: Cảnh báo lừa đảo (sang/lua-dao), 2 loudspeakers
        no longer at 05:00:00 on 2026-11-22: Cảnh báo lừa đảo (sang/lua-dao), 2 loudspeakers
        NEAR QUIET HOURS: will sound at 05:00:00 on 2026-11-22: Cảnh báo lừa đảo (sang/lua-dao), 2 loudspeakers
        ");
    }
}

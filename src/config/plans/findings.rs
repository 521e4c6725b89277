//! What an inspector found, as a table: one play a line, by the codes of the walking list.

use super::super::fault::{Fault, Place};
use super::super::problem::Problem;
use super::super::table::{Column, Row, may, must, rows};
use super::{MOST_CSV, Told, gather, word};
use crate::draw::{ClusterCode, Finding, FindingError, MOST_DRAWN, Verdict, WalkingList};
use std::collections::BTreeSet;

static FINDINGS: &[Column] =
    &[must("code"), must("play"), must("finding"), must("by"), must("date"), may("note")];

/// Reads findings of one walking list; each fits the list, and no play is judged twice. A line
/// without a finding is a play that was not visited yet.
pub fn findings_from_csv(
    label: &str,
    bytes: &[u8],
    list: &WalkingList,
) -> Result<Told<Vec<Finding>>, Vec<Fault>> {
    gather(label, bytes, MOST_CSV, |source| {
        let mut judged = BTreeSet::new();
        let mut findings = Vec::new();
        for row in rows(source, FINDINGS, 2 * MOST_DRAWN)? {
            if row.text("finding", 40).is_none() {
                continue;
            }
            let Some(finding) = finding(&row) else { continue };
            let fits = list.check(&finding).and_then(|()| {
                let play = finding.play;
                if judged.insert(play) { Ok(()) } else { Err(FindingError::Twice { play }) }
            });
            match fits {
                Ok(()) => findings.push(finding),
                Err(error) => row.fault(row.place, &Problem::Finding(error)),
            }
        }
        Some(findings)
    })
}

fn finding(row: &Row<'_>) -> Option<Finding> {
    let sink = |place: Place, problem: &Problem| row.fault(place, problem);
    let code = row.must("code", 40);
    let code = code.and_then(|text| match text.value.parse::<ClusterCode>() {
        Ok(code) => Some(code),
        Err(error) => {
            sink(text.place, &Problem::Code(error));
            None
        }
    });
    let most = i64::try_from(MOST_DRAWN).unwrap_or(i64::MAX);
    let play = row.must("play", 40).and_then(|_| row.number("play", 1, most));
    let verdict = row.must("finding", 40);
    let verdict = verdict.and_then(|text| word("finding", &text, &Verdict::WORDS, 3, &sink));
    let by = row.must("by", 120);
    let date = row.must("date", 40).and_then(|_| row.date("date"));
    let note = row.text("note", 1_000).map(|note| note.value);
    Some(Finding {
        code: code?,
        play: u32::try_from(play?.value).ok()?,
        finding: verdict?,
        by: by?.value,
        date: date?.value,
        note,
    })
}

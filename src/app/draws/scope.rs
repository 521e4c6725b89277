//! Which plays a question is about: those whose timetable names the unit and the plan line.
//!
//! What counts is the timetable in force at the start of a play, not where its device stands today:
//! devices move and communes merge, and whoever has the log alone must find the same plays.

use super::{DrawError, Question};
use crate::app::outcome::OutcomeError;
use crate::app::ports::{Store, StoreError, StoredTimetable};
use crate::domain::ids::{CueId, DeviceId, Digest, UnitId};
use crate::domain::proof::outcome::Outcome;
use crate::domain::time::{Span, UtcMs};
use crate::wire::b64;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Sheets whose lines are kept read.
const KEPT: usize = 1_000;

type Lines = BTreeMap<CueId, Option<String>>;

/// See the module.
pub struct Scope {
    store: Arc<dyn Store>,
    unit: Option<UnitId>,
    line: Option<String>,
    period: Span,
    read: BTreeMap<Digest, Lines>,
}

#[derive(Deserialize)]
struct Units {
    units: Vec<String>,
}

#[derive(Deserialize)]
struct Cues {
    cues: Vec<Cue>,
}

#[derive(Deserialize)]
struct Cue {
    id: CueId,
    line: Option<String>,
}

/// Says whether a timetable names a unit.
fn names(timetable: &StoredTimetable, unit: &UnitId) -> bool {
    let claims = timetable.jws.split('.').nth(1).and_then(b64::decode);
    let units = claims.and_then(|claims| serde_json::from_slice::<Units>(&claims).ok());
    units.is_some_and(|claims| claims.units.iter().any(|named| named == unit.as_str()))
}

/// Leaves out versions that the device refused, because a higher one was out before.
fn rising(timetables: Vec<StoredTimetable>) -> Vec<(UtcMs, StoredTimetable)> {
    let mut next = UtcMs::MAX;
    let mut rising = Vec::with_capacity(timetables.len());
    for timetable in timetables.into_iter().rev() {
        let signed = timetable.made_ms;
        if signed < next {
            next = signed;
            rising.push((signed, timetable));
        }
    }
    rising.reverse();
    rising
}

impl Scope {
    /// Returns the scope of a question.
    pub fn new(store: Arc<dyn Store>, question: &Question, period: Span) -> Self {
        let (unit, line) = (question.unit.clone(), question.line.clone());
        Self { store, unit, line, period, read: BTreeMap::new() }
    }

    /// Returns the versions of a device that can be in force in the period, oldest first; `None`
    /// when nothing that the device played there is asked about.
    pub async fn versions(&self, device: &DeviceId) -> Result<Option<Versions>, StoreError> {
        if self.unit.is_none() && self.line.is_none() {
            return Ok(Some(Versions(Vec::new())));
        }
        let (from, to) = (self.period.from(), self.period.to());
        let versions = rising(self.store.timetables_of(device, from, to).await?);
        let within = |unit: &UnitId| versions.iter().any(|(_, version)| names(version, unit));
        Ok(self.unit.as_ref().is_none_or(within).then_some(Versions(versions)))
    }

    /// Keeps the outcomes that are asked about.
    pub async fn keep(
        &mut self,
        versions: &Versions,
        outcomes: Vec<Outcome>,
    ) -> Result<Vec<Outcome>, DrawError> {
        if self.unit.is_none() && self.line.is_none() {
            return Ok(outcomes);
        }
        let mut kept = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            let ahead = versions.0.partition_point(|(since, _)| *since < outcome.at_ms);
            let Some((_, version)) = ahead.checked_sub(1).and_then(|at| versions.0.get(at)) else {
                continue;
            };
            if self.unit.as_ref().is_some_and(|unit| !names(version, unit)) {
                continue;
            }
            if let Some(line) = self.line.clone()
                && self.line_of(version, &outcome).await? != Some(line)
            {
                continue;
            }
            kept.push(outcome);
        }
        Ok(kept)
    }

    /// Returns the plan line that a cue serves by the sheet of its day.
    async fn line_of(
        &mut self,
        version: &StoredTimetable,
        outcome: &Outcome,
    ) -> Result<Option<String>, DrawError> {
        for day in version.days.iter() {
            if outcome.at_ms < day.from_ms || outcome.at_ms >= day.to_ms {
                continue;
            }
            if !self.read.contains_key(&day.sheet) {
                let lines = self.lines(&day.sheet).await?;
                if self.read.len() >= KEPT {
                    self.read.clear();
                }
                self.read.insert(day.sheet, lines);
            }
            let line = self.read.get(&day.sheet).and_then(|lines| lines.get(&outcome.cue));
            if let Some(line) = line {
                return Ok(line.clone());
            }
        }
        Ok(None)
    }

    async fn lines(&self, sheet: &Digest) -> Result<Lines, DrawError> {
        let found = self.store.sheets(&[*sheet]).await.map_err(OutcomeError::Store)?;
        let Some(stored) = found.first() else { return Ok(Lines::new()) };
        let read: Cues = serde_json::from_slice(&stored.bytes).map_err(DrawError::Document)?;
        Ok(read.cues.into_iter().map(|cue| (cue.id, cue.line)).collect())
    }
}

/// The versions of a device that can be in force, each with the instant from which on.
pub struct Versions(Vec<(UtcMs, StoredTimetable)>);

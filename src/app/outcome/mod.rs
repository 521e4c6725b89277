//! What became of the cues of a device in a period: published schedules against records.
//!
//! Leaves the judging to [`crate::domain::proof::outcome`]; gathers what it needs.
//!
//! # What counts as published, and when
//! A schedule counts from when it was signed: within that write the log says so, and the log is
//! all that an auditor has. When a broker took it, or a device, is known here and to nobody else,
//! so it moves nothing: what was ordered and did not reach the device was not played, and whose
//! fault that was is another question.
//!
//! # What sounded beside the schedule
//! It is found by the time of the record that tells of it: what is told more than a day later, or
//! by a clock that was wrong by as much, an auditor finds who reads the whole chain. What was due
//! is found by its cue, whenever it is told of.
//!
//! # What counts as the device's word
//! Records signed by a key that had been revoked, and those that name another device, are kept and
//! count for nothing.

use super::ports::{
    CueOutput, Enclosure, Listed, Page, RecordFilter, Store, StoreError, StoredRecord, StoredSheet,
};
use crate::domain::ids::{ChainId, CueId, DeviceId, Digest};
use crate::domain::proof::outcome::{
    AFTER_MS, Due, Expected, Heard, Life, Outcome, Receipted, SILENCE_MS, Sign, Version, in_force,
    judge,
};
use crate::domain::proof::record::{Body, Record, Subject};
use crate::domain::time::{Span, UtcMs};
use crate::domain::timetable::Kind;
use crate::wire::b64;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Records read at once.
const PAGE: u32 = 1_000;

/// So long ahead a schedule reaches, and more: what was withdrawn is found in earlier ones.
const REACH_MS: i64 = 31 * 86_400_000;

/// Why outcomes could not be told.
#[derive(Debug, thiserror::Error)]
pub enum OutcomeError {
    #[error("schedules and records could not be read")]
    Store(#[from] StoreError),
}

impl OutcomeError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        let Self::Store(error) = self;
        error.hint()
    }
}

/// What became of a device's cues, and what that was judged by.
pub(in crate::app) struct Gathered {
    pub outcomes: Vec<Timed>,
    /// Sheets of the period, by hash.
    pub sheets: Vec<Digest>,
}

/// Tells outcomes from what is stored.
#[derive(Clone)]
pub struct Outcomes {
    store: Arc<dyn Store>,
    /// Position of the last record that counts.
    upto: Option<i64>,
}

impl Outcomes {
    /// Returns outcomes over the store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, upto: None }
    }

    /// Lets only records up to a position count: what a head of the log holds.
    #[must_use]
    pub fn up_to(self, position: i64) -> Self {
        Self { upto: Some(position), ..self }
    }

    /// Returns the outcome of every cue of the device that starts within the period, by start.
    pub async fn of_device(
        &self,
        device: &DeviceId,
        period: Span,
        now: UtcMs,
    ) -> Result<Vec<Outcome>, OutcomeError> {
        let timed = self.timed(device, period, now).await?;
        Ok(timed.into_iter().map(|timed| timed.outcome).collect())
    }

    /// Returns outcomes as [`Self::of_device`], and how tightly their times are enclosed.
    pub async fn timed(
        &self,
        device: &DeviceId,
        period: Span,
        now: UtcMs,
    ) -> Result<Vec<Timed>, OutcomeError> {
        let mut known = BTreeMap::new();
        Ok(self.gather(device, period, now, &mut known).await?.outcomes)
    }

    /// Returns the outcomes, and the sheets whose cues were due. Sheets are kept in `known`, for
    /// devices that share them.
    pub(in crate::app) async fn gather(
        &self,
        device: &DeviceId,
        period: Span,
        now: UtcMs,
        known: &mut BTreeMap<Digest, StoredSheet>,
    ) -> Result<Gathered, OutcomeError> {
        let mut late = BTreeSet::new();
        let (mut expected, mut sheets) =
            self.expected(device, period, period.from(), known).await?;
        let ends = expected.values().map(|known| known.due().end_ms);
        let until = ends.max().unwrap_or(period.to()).max(period.to()).plus(AFTER_MS);
        let mut said = Vec::new();
        let mut life = self.chains(device).await?;
        // Up to a head all is read at once: it is near the end of the period, as a rule.
        let until = if self.upto.is_none() { until.plus(1) } else { UtcMs::MAX };
        let read = (period.from().plus(-SILENCE_MS), until);
        let filter = RecordFilter {
            device: Some(device.clone()),
            from_ms: Some(read.0),
            to_ms: Some(read.1),
            ..RecordFilter::default()
        };
        self.each(&filter, |listed, record| {
            let stored = &listed.record;
            if !counts(stored) {
                life.lose(stored.chain, stored.seq, stored.seq);
                return;
            }
            note_late(&mut late, listed);
            if let Some(record) = record {
                life.see(Sign {
                    chain: stored.chain,
                    seq: stored.seq,
                    boot: record.head.boot,
                    at_ms: stored.at_ms,
                });
                said.extend(speaks(stored, record));
            }
        })
        .await?;
        for (chain, upto) in life.broken() {
            let aside = self.store.aside(device, &chain, upto).await?;
            life.hold(chain, aside.into_keys());
        }
        let unknown = |(cue, at, _): &(CueId, UtcMs, _)| {
            period.contains(*at) && !matches!(expected.get(cue), Some(Expected::Due(_)))
        };
        if said.iter().any(unknown) {
            // It may have been due once, and withdrawn before the period began.
            let since = period.from().plus(-REACH_MS);
            (expected, sheets) = self.expected(device, period, since, known).await?;
        }
        // A play cut by a power failure is closed at the next boot, which may be days later; a clock
        // that was wrong writes of another time.
        let cues: Vec<CueId> = expected.keys().copied().collect();
        for listed in self.store.closing(device, &cues, read).await? {
            if !counts(&listed.record) || self.upto.is_some_and(|upto| upto < listed.position) {
                continue;
            }
            note_late(&mut late, &listed);
            if let Some(record) = content(&listed.record) {
                said.extend(speaks(&listed.record, record));
            }
        }
        // Of cues without a schedule, the record's own word says whether they belong to the period.
        let asked = |(cue, at, _): &(CueId, UtcMs, Heard)| {
            expected.contains_key(cue) || period.contains(*at)
        };
        let heard = said.into_iter().filter(asked).map(|(.., heard)| heard);
        let heard: BTreeMap<(ChainId, u64), Heard> =
            heard.map(|heard| ((heard.chain, heard.seq), heard)).collect();
        let heard: Vec<Heard> = heard.into_values().collect();
        let outcomes = judge(&expected, &heard, &life, now).into_iter();
        let outcomes =
            outcomes.map(|outcome| Timed { late: late.contains(&outcome.cue), outcome }).collect();
        Ok(Gathered { outcomes, sheets })
    }

    /// Returns how each cue of the period stands to the schedules signed from `since` on, and to
    /// the one in force then.
    async fn expected(
        &self,
        device: &DeviceId,
        period: Span,
        since: UtcMs,
        known: &mut BTreeMap<Digest, StoredSheet>,
    ) -> Result<(BTreeMap<CueId, Expected>, Vec<Digest>), OutcomeError> {
        let timetables = self.store.timetables_of(device, since, period.to()).await?;
        let within = |from: UtcMs, to: UtcMs| from < period.to() && period.from() < to;
        let named: BTreeSet<Digest> = timetables
            .iter()
            .flat_map(|timetable| timetable.days.iter())
            .filter(|day| within(day.from_ms, day.to_ms))
            .map(|day| day.sheet)
            .collect();
        let lack: Vec<Digest> =
            named.iter().filter(|sheet| !known.contains_key(*sheet)).copied().collect();
        for sheet in self.store.sheets(&lack).await? {
            known.insert(sheet.sha256, sheet);
        }
        let versions: Vec<Version> = timetables
            .iter()
            .map(|timetable| {
                let days = timetable.days.iter().filter(|day| within(day.from_ms, day.to_ms));
                let cues = days
                    .filter_map(|day| known.get(&day.sheet))
                    .flat_map(|sheet| sheet.cues.iter())
                    .map(|row| Due {
                        cue: row.cue,
                        at_ms: row.at_ms,
                        from_ms: row.at_ms,
                        end_ms: row.end_ms,
                        item: row.item.clone(),
                        title: row.title.clone(),
                        kind: match row.output {
                            CueOutput::Clip => Kind::Clip,
                            CueOutput::Pages => Kind::Pages,
                        },
                    })
                    .collect();
                Version { ver: timetable.ver, published_ms: timetable.made_ms, cues }
            })
            .collect();
        let mut expected = in_force(&versions);
        expected.retain(|_, known| period.contains(known.due().at_ms));
        Ok((expected, named.into_iter().collect()))
    }

    async fn chains(&self, device: &DeviceId) -> Result<Life, OutcomeError> {
        let mut life = Life::default();
        for chain in self.store.chains_of(device).await? {
            if let (Some(first_ms), Some(upto_ms)) = (chain.first_at_ms, chain.upto_at_ms) {
                life.complete(chain.chain, Receipted { first_ms, upto: chain.upto, upto_ms });
            }
        }
        for stored in self.store.lost_of(device).await? {
            if let Some(Record { body: Body::Lost { from, to, .. }, .. }) = content(&stored) {
                life.lose(stored.chain, from, to);
            }
        }
        Ok(life)
    }

    async fn each(
        &self,
        filter: &RecordFilter,
        mut take: impl FnMut(&Listed, Option<Record>),
    ) -> Result<(), OutcomeError> {
        let mut position = 0;
        loop {
            let page = Page::After { position, limit: PAGE };
            let listed = self.store.records(filter, page).await?;
            let counts = |listed: &&Listed| self.upto.is_none_or(|upto| listed.position <= upto);
            for listed in listed.iter().take_while(counts) {
                take(listed, content(&listed.record));
            }
            match listed.last() {
                Some(last) if listed.len() == PAGE as usize && counts(&last) => {
                    position = last.position;
                }
                _ => return Ok(()),
            }
        }
    }
}

/// An outcome, and whether a record that speaks of it is late: when it was written cannot be
/// enclosed tightly enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    pub outcome: Outcome,
    pub late: bool,
}

fn note_late(late: &mut BTreeSet<CueId>, listed: &Listed) {
    if let (Enclosure::Late { .. }, Some(cue)) = (listed.time, listed.record.cue) {
        late.insert(cue);
    }
}

/// Reads a stored record, which was verified before it was stored; `None` when it cannot be read.
pub fn content(stored: &StoredRecord) -> Option<Record> {
    content_of(&stored.jws)
}

/// The same of its bytes.
pub fn content_of(jws: &str) -> Option<Record> {
    let payload = jws.split('.').nth(1)?;
    serde_json::from_slice(&b64::decode(payload)?).ok()
}

/// Says whether a record counts as its device's word.
pub(in crate::app) fn counts(stored: &StoredRecord) -> bool {
    let faults = stored.fault.as_deref().unwrap_or_default();
    !faults.split(", ").any(|fault| matches!(fault, "dev" | "revoked"))
}

/// Returns the cue that a record speaks of, and when that was by its own word.
fn speaks(stored: &StoredRecord, record: Record) -> Option<(CueId, UtcMs, Heard)> {
    let (subject, at) = match &record.body {
        Body::Start { subject, started_ms, .. } => (subject, *started_ms),
        Body::Play(play) => (&play.subject, play.due_ms),
        Body::Show(show) => (&show.subject, show.from_ms),
        _ => return None,
    };
    let Subject::Cue { cue } = subject else { return None };
    let heard = Heard { chain: stored.chain, seq: stored.seq, body: record.body.clone() };
    Some((*cue, at, heard))
}

#[cfg(test)]
pub(in crate::app) mod tests;

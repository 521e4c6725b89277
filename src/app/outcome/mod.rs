//! What became of the cues of a device in a period: published schedules against records.
//!
//! Leaves the judging to [`crate::domain::proof::outcome`]; gathers what it needs.

use super::ports::{
    CueOutput, Enclosure, Listed, Page, RecordFilter, Store, StoreError, StoredRecord, StoredSheet,
};
use crate::domain::ids::{CueId, DeviceId, Digest};
use crate::domain::proof::outcome::{
    Due, Expected, Heard, Life, Outcome, Receipted, SILENCE_MS, Sign, Version, in_force, judge,
};
use crate::domain::proof::record::{Body, Record, Subject};
use crate::domain::time::{Span, UtcMs};
use crate::domain::timetable::Kind;
use crate::wire::b64;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Records read at once.
const PAGE: u32 = 1_000;

/// How long before its end a cue of the period may have begun, and a record be written after.
const LONGEST_MS: i64 = 26 * 3_600_000;

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
        let (expected, sheets) = self.expected(device, period, known).await?;
        let mut heard: BTreeMap<(_, u64), Heard> = BTreeMap::new();
        let mut life = self.chains(device).await?;
        let filter = RecordFilter {
            device: Some(device.clone()),
            from_ms: Some(period.from().plus(-SILENCE_MS)),
            // Up to a head all is read at once: it is near the end of the period, as a rule.
            to_ms: self.upto.is_none().then(|| period.to().plus(LONGEST_MS + SILENCE_MS)),
            ..RecordFilter::default()
        };
        self.each(&filter, |listed, record| {
            let stored = &listed.record;
            note_late(&mut late, listed);
            if let Some(record) = record {
                life.see(Sign {
                    chain: stored.chain,
                    seq: stored.seq,
                    boot: record.head.boot,
                    at_ms: stored.at_ms,
                });
                hear(&mut heard, stored, record, &expected, period);
            }
        })
        .await?;
        // A play cut by a power failure is closed at the next boot, which may be days later.
        if self.upto.is_none() {
            let cues: Vec<CueId> = expected.keys().copied().collect();
            for listed in self.store.closing(device, &cues, period.to().plus(LONGEST_MS)).await? {
                note_late(&mut late, &listed);
                if let Some(record) = content(&listed.record) {
                    hear(&mut heard, &listed.record, record, &expected, period);
                }
            }
        }
        let heard: Vec<Heard> = heard.into_values().collect();
        let outcomes = judge(&expected, &heard, &life, now).into_iter();
        let outcomes =
            outcomes.map(|outcome| Timed { late: late.contains(&outcome.cue), outcome }).collect();
        Ok(Gathered { outcomes, sheets })
    }

    /// Returns how each cue of the period stands to the schedules published.
    async fn expected(
        &self,
        device: &DeviceId,
        period: Span,
        known: &mut BTreeMap<Digest, StoredSheet>,
    ) -> Result<(BTreeMap<CueId, Expected>, Vec<Digest>), OutcomeError> {
        let timetables = self.store.timetables_of(device, period.from(), period.to()).await?;
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
            .filter_map(|timetable| {
                let days = timetable.days.iter().filter(|day| within(day.from_ms, day.to_ms));
                let cues = days
                    .filter_map(|day| known.get(&day.sheet))
                    .flat_map(|sheet| sheet.cues.iter())
                    .map(|row| Due {
                        cue: row.cue,
                        at_ms: row.at_ms,
                        end_ms: row.end_ms,
                        item: row.item.clone(),
                        title: row.title.clone(),
                        kind: match row.output {
                            CueOutput::Clip => Kind::Clip,
                            CueOutput::Pages => Kind::Pages,
                        },
                    })
                    .collect();
                let published_ms = timetable.published_ms?;
                Some(Version { ver: timetable.ver, published_ms, cues })
            })
            .collect();
        let mut expected = in_force(&versions);
        expected.retain(|_, known| match known {
            Expected::Due(due) | Expected::TooLate(due) | Expected::Withdrawn { due, .. } => {
                period.contains(due.at_ms)
            }
        });
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
    let payload = stored.jws.split('.').nth(1)?;
    serde_json::from_slice(&b64::decode(payload)?).ok()
}

/// Keeps what speaks of a cue of the period.
fn hear(
    heard: &mut BTreeMap<(crate::domain::ids::ChainId, u64), Heard>,
    stored: &StoredRecord,
    record: Record,
    expected: &BTreeMap<CueId, Expected>,
    period: Span,
) {
    let (subject, at) = match &record.body {
        Body::Start { subject, started_ms, .. } => (subject, *started_ms),
        Body::Play(play) => (&play.subject, play.due_ms),
        Body::Show(show) => (&show.subject, show.from_ms),
        _ => return,
    };
    let Subject::Cue { cue } = subject else { return };
    // Of cues without a schedule, the record's own word says whether they belong to the period.
    if expected.contains_key(cue) || period.contains(at) {
        let (chain, seq) = (stored.chain, stored.seq);
        heard.insert((chain, seq), Heard { chain, seq, body: record.body });
    }
}

#[cfg(test)]
pub(in crate::app) mod tests;

//! How far a notice has come on each device: what its signed records say, nothing else. Pure.
//!
//! # Invariants
//! * A device of the list is in exactly one stage; one that sent no record is `not-reached`.
//! * Records in any order, given twice, end in the same progress.

use crate::app::outcome::{content, counts};
use crate::app::ports::{NoticeKind, StoredNotice, StoredRecord};
use crate::domain::ids::{ChainId, DeviceId, Digest};
use crate::domain::proof::record::{Body, Said};
use crate::domain::time::UtcMs;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How far a device has come, the furthest it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// No record of it yet.
    NotReached,
    /// It keeps the notice, and cannot begin yet.
    Received,
    /// It has the clip; of a drill: it would begin now.
    Fetched,
    /// It sounds, or is shown.
    Started,
    /// All of it has sounded, or it was shown to its end.
    Ended,
    /// It was taken back before its end.
    Withdrawn,
    /// It does not play it, and says why.
    Refused,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceProgress {
    pub device: DeviceId,
    pub stage: Stage,
    /// Why it refuses, or why the last time ended otherwise than by its end.
    pub why: Option<String>,
    pub received_ms: Option<UtcMs>,
    pub fetched_ms: Option<UtcMs>,
    /// Start of the first sound or picture, by the device's clock.
    pub started_ms: Option<UtcMs>,
    pub ended_ms: Option<UtcMs>,
    /// How often it has sounded to its end.
    pub times: u32,
    /// From sending to the first sound or picture.
    pub first_play_ms: Option<i64>,
    pub records: u32,
}

/// How many devices are in each stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub devices: u32,
    pub not_reached: u32,
    pub received: u32,
    pub fetched: u32,
    pub started: u32,
    pub ended: u32,
    pub withdrawn: u32,
    pub refused: u32,
}

/// All devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    pub devices: Vec<DeviceProgress>,
    pub tally: Tally,
    /// The shortest and the longest time to the first play, of those that began.
    pub first_play_ms: Option<(i64, i64)>,
}

/// What the records of a notice say, by device and place in its chain: order of arrival and
/// repetition have no part in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::app) struct Heard {
    devices: BTreeMap<DeviceId, Words>,
}

/// What one device says, with the time by its clock, in the order of its chains.
type Words = BTreeMap<(ChainId, u64), (UtcMs, Word)>;

/// Words of one device that count: a hundred repeats and three days of quarters of an hour are
/// fewer.
const WORDS: usize = 1_024;

/// What one record says; no more is kept of it, since a province has many devices.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Withdrawal { ended: bool },
    Did { result: Box<str> },
    Refused { reason: Box<str>, first: Digest },
    Start { at: UtcMs },
    Play { n: u32, from: Option<UtcMs>, to: Option<UtcMs>, outcome: Said, cause: Box<str> },
    Show { from: UtcMs, to: UtcMs, cause: Box<str> },
    Unreadable,
}

impl Word {
    fn of(record: &StoredRecord) -> Self {
        match content(record).map(|record| record.body) {
            Some(Body::Did { what, result, .. }) if what == "withdrawal" => {
                Self::Withdrawal { ended: result == "done" || result == "kept" }
            }
            Some(Body::Did { result, .. }) => Self::Did { result: result.into() },
            Some(Body::Refuse { reason, first, .. }) => {
                Self::Refused { reason: reason.into(), first }
            }
            Some(Body::Start { started_ms, .. }) => Self::Start { at: started_ms },
            Some(Body::Play(play)) => Self::Play {
                n: play.n,
                from: play.started_ms,
                to: play.ended_ms,
                outcome: play.outcome,
                cause: play.cause.into(),
            },
            Some(Body::Show(show)) => {
                Self::Show { from: show.from_ms, to: show.to_ms, cause: show.cause.into() }
            }
            _ => Self::Unreadable,
        }
    }
}

impl Heard {
    /// Takes a record in; one that is not its device's word says nothing.
    pub fn take(&mut self, record: &StoredRecord) {
        if !counts(record) {
            return;
        }
        let words = self.devices.entry(record.device.clone()).or_default();
        if words.len() < WORDS {
            words.entry((record.chain, record.seq)).or_insert((record.at_ms, Word::of(record)));
        }
    }

    /// Tells how far each device has come; also one that the notice was not for.
    pub fn progress(&self, notice: &StoredNotice, now: UtcMs) -> Progress {
        let sent = notice.sent.as_ref();
        let signed = sent.map(|sent| Digest::of(sent.jws.as_bytes()));
        let mut all: BTreeSet<&DeviceId> = sent.into_iter().flat_map(|s| &s.reached).collect();
        all.extend(self.devices.keys());
        let none = Words::new();
        let words = |id| self.devices.get(id).unwrap_or(&none);
        all.into_iter().map(|id| device(notice, signed, id, words(id), now)).collect()
    }
}

/// Reads the records of a notice.
pub fn progress(notice: &StoredNotice, records: &[StoredRecord], now: UtcMs) -> Progress {
    let mut heard = Heard::default();
    for record in records {
        heard.take(record);
    }
    heard.progress(notice, now)
}

impl FromIterator<DeviceProgress> for Progress {
    fn from_iter<I: IntoIterator<Item = DeviceProgress>>(devices: I) -> Self {
        let devices: Vec<_> = devices.into_iter().collect();
        let mut tally = Tally::default();
        for device in &devices {
            tally.devices += 1;
            *match device.stage {
                Stage::NotReached => &mut tally.not_reached,
                Stage::Received => &mut tally.received,
                Stage::Fetched => &mut tally.fetched,
                Stage::Started => &mut tally.started,
                Stage::Ended => &mut tally.ended,
                Stage::Withdrawn => &mut tally.withdrawn,
                Stage::Refused => &mut tally.refused,
            } += 1;
        }
        let first: Vec<i64> = devices.iter().filter_map(|device| device.first_play_ms).collect();
        let first_play_ms = first.iter().min().copied().zip(first.iter().max().copied());
        Progress { devices, tally, first_play_ms }
    }
}

fn device(
    notice: &StoredNotice,
    signed: Option<Digest>,
    id: &DeviceId,
    words: &Words,
    now: UtcMs,
) -> DeviceProgress {
    let mut found = DeviceProgress {
        device: id.clone(),
        stage: Stage::NotReached,
        why: None,
        received_ms: None,
        fetched_ms: None,
        started_ms: None,
        ended_ms: None,
        times: 0,
        first_play_ms: None,
        records: u32::try_from(words.len()).unwrap_or(u32::MAX),
    };
    let exp_ms = notice.sent.as_ref().map_or(UtcMs::MAX, |sent| sent.exp_ms);
    let mut ended: BTreeSet<u32> = BTreeSet::new();
    let mut withdrawn = false;
    let mut shown_ms: Option<UtcMs> = None;
    for (at, word) in words.values() {
        if matches!(word, Word::Refused { first, .. } if Some(*first) != signed) {
            // Somebody planted something else on its topic: no word on the notice.
            continue;
        }
        found.received_ms = Some(found.received_ms.map_or(*at, |known| known.min(*at)));
        match word {
            Word::Withdrawal { ended } => withdrawn = *ended,
            Word::Did { result } => match result.as_ref() {
                // Whatever it refused before, it has it now.
                "received" => found.stage = Stage::NotReached,
                "fetched" | "ready" => {
                    found.stage = Stage::NotReached;
                    found.fetched_ms.get_or_insert(*at);
                }
                // It waits for its clock, and may begin yet.
                "failed: clock" => found.why = Some(result.to_string()),
                // Why it did not begin in time was said before.
                "expired" if found.stage == Stage::Refused => {}
                _ => refused(&mut found, result),
            },
            Word::Refused { reason, .. } => refused(&mut found, &format!("refused: {reason}")),
            Word::Start { at } => began(&mut found, *at),
            Word::Play { n, from, to, outcome, cause } => {
                if let Some(from) = from {
                    began(&mut found, *from);
                }
                match outcome {
                    Said::Played => {
                        ended.insert(*n);
                    }
                    Said::Refused | Said::Failed if from.is_none() => refused(&mut found, cause),
                    _ => found.why = Some(cause.to_string()),
                }
                withdrawn |= &**cause == "withdrawn";
                if *n >= notice.content.times || &**cause == "expired" {
                    found.ended_ms = to.or(Some(*at));
                }
            }
            Word::Show { from, to, cause } => {
                began(&mut found, *from);
                shown_ms = shown_ms.max(Some(*to));
                withdrawn |= &**cause == "withdrawn";
                if &**cause == "expired" {
                    found.ended_ms = Some(*to);
                }
            }
            Word::Unreadable => {}
        }
    }
    found.times = u32::try_from(ended.len()).unwrap_or(u32::MAX);
    // A board shows until the end: its last quarter of an hour reaches there.
    if let Some(shown) = shown_ms.filter(|shown| exp_ms.since(*shown) <= 1_000 && exp_ms <= now) {
        found.ended_ms.get_or_insert(shown);
    }
    found.first_play_ms = found
        .started_ms
        .zip(notice.sent.as_ref())
        .map(|(started, sent)| started.since(sent.at_ms).max(0));
    found.stage = match found.stage {
        Stage::Refused if found.started_ms.is_none() => Stage::Refused,
        _ if found.ended_ms.is_some() && !withdrawn => Stage::Ended,
        _ if withdrawn => Stage::Withdrawn,
        _ if found.started_ms.is_some() && exp_ms <= now => Stage::Ended,
        _ if found.started_ms.is_some() => Stage::Started,
        _ if found.fetched_ms.is_some() => Stage::Fetched,
        _ if found.received_ms.is_some() => Stage::Received,
        _ => Stage::NotReached,
    };
    if notice.kind == NoticeKind::Drill {
        // Nothing of a drill can have begun: a record that says so is shown as what it is.
        found.first_play_ms = None;
    }
    found
}

fn began(found: &mut DeviceProgress, at: UtcMs) {
    found.started_ms = Some(found.started_ms.map_or(at, |known| known.min(at)));
}

fn refused(found: &mut DeviceProgress, why: &str) {
    found.why = Some(why.to_owned());
    found.stage = Stage::Refused;
}

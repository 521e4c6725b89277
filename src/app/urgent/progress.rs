//! How far a notice has come on each device: what its signed records say, nothing else. Pure.
//!
//! # Invariants
//! * A device of the list is in exactly one stage; one that sent no record is `not-reached`.
//! * Records in any order, given twice, end in the same progress.

use crate::app::outcome::content;
use crate::app::ports::{NoticeKind, StoredNotice, StoredRecord};
use crate::domain::ids::{ChainId, DeviceId};
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

/// Reads the records of a notice; of devices it was not for too, since they count as well.
pub fn progress(notice: &StoredNotice, records: &[StoredRecord], now: UtcMs) -> Progress {
    let sent = notice.sent.as_ref();
    // By place in the chain: order of arrival and repetition have no part in it.
    let mut heard: BTreeMap<&DeviceId, BTreeMap<(ChainId, u64), &StoredRecord>> = BTreeMap::new();
    for record in records {
        heard.entry(&record.device).or_default().insert((record.chain, record.seq), record);
    }
    let mut all: BTreeSet<&DeviceId> = sent.into_iter().flat_map(|sent| &sent.reached).collect();
    all.extend(heard.keys().copied());
    let none = BTreeMap::new();
    let devices: Vec<_> =
        all.into_iter().map(|id| device(notice, id, heard.get(id).unwrap_or(&none), now)).collect();
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

fn device(
    notice: &StoredNotice,
    id: &DeviceId,
    records: &BTreeMap<(ChainId, u64), &StoredRecord>,
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
        records: u32::try_from(records.len()).unwrap_or(u32::MAX),
    };
    let exp_ms = notice.sent.as_ref().map_or(UtcMs::MAX, |sent| sent.exp_ms);
    let mut ended: BTreeSet<u32> = BTreeSet::new();
    let mut withdrawn = false;
    let mut shown_ms: Option<UtcMs> = None;
    for record in records.values() {
        let at = record.at_ms;
        found.received_ms = Some(found.received_ms.map_or(at, |known| known.min(at)));
        let Some(body) = content(record).map(|record| record.body) else { continue };
        match body {
            Body::Did { what, result, .. } if what == "withdrawal" => {
                withdrawn = result == "done" || result == "kept";
            }
            Body::Did { result, .. } => match result.as_str() {
                "received" => {}
                "fetched" | "ready" => {
                    found.fetched_ms.get_or_insert(at);
                }
                // It waits for its clock, and may begin yet.
                "failed: clock" => found.why = Some(result),
                _ => {
                    found.why = Some(result);
                    found.stage = Stage::Refused;
                }
            },
            Body::Refuse { reason, .. } => {
                found.why = Some(reason);
                found.stage = Stage::Refused;
            }
            Body::Start { started_ms, .. } => began(&mut found, started_ms),
            Body::Play(play) => {
                if let Some(started) = play.started_ms {
                    began(&mut found, started);
                }
                match play.outcome {
                    Said::Played => {
                        ended.insert(play.n);
                    }
                    Said::Refused | Said::Failed if play.started_ms.is_none() => {
                        found.why = Some(play.cause.clone());
                        found.stage = Stage::Refused;
                    }
                    _ => found.why = Some(play.cause.clone()),
                }
                withdrawn |= play.cause == "withdrawn";
                if play.n >= notice.content.times || play.cause == "expired" {
                    found.ended_ms = play.ended_ms.or(Some(at));
                }
            }
            Body::Show(show) => {
                began(&mut found, show.from_ms);
                shown_ms = shown_ms.max(Some(show.to_ms));
                withdrawn |= show.cause == "withdrawn";
                if show.cause == "expired" {
                    found.ended_ms = Some(show.to_ms);
                }
            }
            _ => {}
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

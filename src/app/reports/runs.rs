//! Single plays, for the as-run log: judged one device and day at a time.

use super::{Ask, MOST_DEVICE_DAYS, Reports, ReportsError};
use crate::app::outcome::content;
use crate::app::ports::{Listed, StoredShard};
use crate::domain::ids::{ChainId, CueId, Digest};
use crate::domain::proof::record::Body;
use crate::domain::time::UtcMs;
use crate::report::airing::Airing;
use crate::report::as_run::Run;
use crate::report::contents::Contents;
use crate::report::places::{Places, Scope};
use std::collections::BTreeMap;

/// What the last record of a cue says besides its outcome.
struct Said {
    volume: Option<u8>,
    record: Digest,
    position: i64,
    place: (ChainId, u64),
}

/// Keeps the last record of each cue, by its place in the chain.
fn said(records: &[Listed]) -> BTreeMap<CueId, Said> {
    let mut found: BTreeMap<CueId, Said> = BTreeMap::new();
    for Listed { position, record, .. } in records {
        let Some(cue) = record.cue else { continue };
        let place = (record.chain, record.seq);
        if found.get(&cue).is_some_and(|known| place < known.place) {
            continue;
        }
        let volume = match content(record).map(|record| record.body) {
            Some(Body::Play(play)) => Some(play.volume),
            _ => None,
        };
        let new = Said { volume, record: record.digest, position: *position, place };
        found.insert(cue, new);
    }
    found
}

/// Returns the place of a logged leaf in its shard.
fn index(shards: &[StoredShard], leaf: i64) -> Option<u64> {
    let shard = shards.iter().rev().find(|shard| shard.first <= leaf)?;
    shard.index(leaf).filter(|_| leaf <= shard.logged)
}

impl Reports {
    pub(super) async fn runs(
        &self,
        ask: &Ask,
        places: &Places,
        scope: &Scope,
        now: UtcMs,
    ) -> Result<(Vec<Run>, Contents), ReportsError> {
        let (period, zone) = (ask.period, ask.zone);
        let devices = places.devices_in(scope, period.first(), period.last());
        let days = period.days();
        let most = i64::try_from(devices.len()).unwrap_or(i64::MAX).saturating_mul(days);
        if most > MOST_DEVICE_DAYS {
            return Err(ReportsError::TooMuch { devices: devices.len(), days });
        }
        let shards = self.store().shards().await?;
        let (mut runs, mut contents) = (Vec::new(), Contents::default());
        let days = period.first().iter_days().take_while(|day| period.contains(*day));
        for day in days {
            for no in &devices {
                let stands = places.stood(*no, day).is_some_and(|unit| scope.holds(unit));
                let Some(device) = places.device(*no).filter(|_| stands) else { continue };
                let judged = self.rollup.outcomes_of(&device.id, day, zone, now).await?;
                let cues: Vec<CueId> = judged.iter().map(|(outcome, _)| outcome.cue).collect();
                let records =
                    self.store().closing(&device.id, &cues, (UtcMs::MAX, UtcMs::MAX)).await?;
                let mut said = said(&records);
                let positions: Vec<i64> = said.values().map(|said| said.position).collect();
                let leaves = self.store().leaves_at(&positions).await?;
                for (outcome, content) in judged {
                    let told = said.remove(&outcome.cue);
                    let record = told.as_ref().map(|told| {
                        let leaf = leaves.get(&told.position).copied();
                        (told.record, leaf.and_then(|leaf| index(&shards, leaf)))
                    });
                    runs.push(Run {
                        airing: Airing::of(*no, contents.add(content), &outcome),
                        cue: outcome.cue,
                        reason: outcome.reason,
                        volume: told.and_then(|said| said.volume),
                        record,
                    });
                }
            }
        }
        Ok((runs, contents))
    }
}

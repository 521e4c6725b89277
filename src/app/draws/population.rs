//! The list of plays that is drawn from, and the plays of some numbers on it.

use super::scope::Scope;
use super::{DrawError, Play, Question};
use crate::app::outcome::{Outcomes, content};
use crate::app::ports::{Page, RecordFilter, Store, StoredShard};
use crate::domain::ids::DeviceId;
use crate::domain::proof::outcome::{Outcome, Plan, Verdict};
use crate::domain::proof::record::Body;
use crate::domain::station::Unit;
use crate::domain::time::{Span, UtcMs};
use crate::draw::Population;
use chrono_tz::Tz;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Names of units that make a place.
const PLACE: usize = 3;
/// Records of one cue that are looked at.
const RECORDS: u32 = 1_000;

/// See the module.
pub struct Plays {
    pub population: Population,
    /// Devices that have plays, with the number of the first.
    devices: Vec<(u64, DeviceId)>,
    period: Span,
    /// Position of the last record that counts.
    upto: i64,
    scope: Scope,
}

impl Plays {
    /// Reads the confirmed plays of the devices asked about, in the order of the list.
    pub async fn gather(
        store: &Arc<dyn Store>,
        question: &Question,
        period: Span,
        upto: i64,
    ) -> Result<Self, DrawError> {
        let scope = Scope::new(store.clone(), question, period);
        let (population, devices) = (Population::default(), Vec::new());
        let mut plays = Self { population, devices, period, upto, scope };
        for device in all(store, question).await? {
            let first = plays.population.plays();
            for outcome in plays.confirmed(store, &device).await? {
                plays.population.push(&device, outcome.cue)?;
            }
            if plays.population.plays() > first {
                plays.devices.push((first, device));
            }
        }
        Ok(plays)
    }

    /// Returns the plays of these numbers, in their order.
    pub async fn look_up(
        &mut self,
        store: &Arc<dyn Store>,
        numbers: &[u64],
        shards: &[StoredShard],
        zone: Tz,
    ) -> Result<Vec<Play>, DrawError> {
        let wanted: BTreeSet<u64> = numbers.iter().copied().collect();
        let units: BTreeMap<_, Unit> =
            store.units().await?.into_iter().map(|unit| (unit.id.clone(), unit)).collect();
        let mut found: BTreeMap<u64, Play> = BTreeMap::new();
        let devices = std::mem::take(&mut self.devices);
        for (at, (first, device)) in devices.iter().enumerate() {
            let end = devices.get(at + 1).map_or(u64::MAX, |(next, _)| *next);
            let mut own = wanted.range(first..&end).peekable();
            if own.peek().is_none() {
                continue;
            }
            let outcomes = self.confirmed(store, device).await?;
            let known = store.device(device).await?;
            let name = known.as_ref().map_or_else(|| device.to_string(), |k| k.device.name.clone());
            let place = known.map(|known| place(&units, &known.device.unit)).unwrap_or_default();
            for number in own {
                let outcome = usize::try_from(number - first).ok().and_then(|at| outcomes.get(at));
                let outcome = outcome.ok_or(DrawError::Record { number: *number })?;
                let (shard, index) = self
                    .record(store, device, outcome, shards)
                    .await?
                    .ok_or(DrawError::Record { number: *number })?;
                let play = Play {
                    number: *number,
                    device: device.clone(),
                    name: name.clone(),
                    place: place.clone(),
                    cue: outcome.cue,
                    began: outcome.at_ms.datetime().with_timezone(&zone).naive_local(),
                    title: outcome.title.clone(),
                    shard,
                    index,
                };
                found.insert(*number, play);
            }
        }
        let play = |number: &u64| found.get(number).cloned();
        numbers
            .iter()
            .map(|number| play(number).ok_or(DrawError::Record { number: *number }))
            .collect()
    }

    /// Returns the plays of a device that are asked about and that its records up to the head
    /// confirm, by cue.
    async fn confirmed(
        &mut self,
        store: &Arc<dyn Store>,
        device: &DeviceId,
    ) -> Result<Vec<Outcome>, DrawError> {
        let Some(versions) = self.scope.versions(device).await? else { return Ok(Vec::new()) };
        let outcomes = Outcomes::new(store.clone()).up_to(self.upto);
        let mut found = outcomes.of_device(device, self.period, UtcMs::MAX).await?;
        found.retain(|one| one.result == Some(Verdict::Played) && one.plan == Plan::Planned);
        found.sort_by_key(|one| one.cue);
        self.scope.keep(&versions, found).await
    }

    /// Finds where the first record that tells the end of a cue stands in the log.
    async fn record(
        &self,
        store: &Arc<dyn Store>,
        device: &DeviceId,
        outcome: &Outcome,
        shards: &[StoredShard],
    ) -> Result<Option<(String, u64)>, DrawError> {
        let cue = Some(outcome.cue);
        let filter = RecordFilter { device: Some(device.clone()), cue, ..RecordFilter::default() };
        let page = Page::After { position: 0, limit: RECORDS };
        for listed in store.records(&filter, page).await? {
            let ends = content(&listed.record)
                .is_some_and(|record| matches!(record.body, Body::Play(_) | Body::Show(_)));
            if !ends || listed.position > self.upto {
                continue;
            }
            let (chain, seq) = (listed.record.chain, listed.record.seq);
            let number = store.leaf_of(device, &chain, seq).await?;
            let place = number.and_then(|number| {
                let shard = shards.iter().rev().find(|shard| shard.first <= number)?;
                Some((shard.name.clone(), shard.index(number)?))
            });
            if place.is_some() {
                return Ok(place);
            }
        }
        Ok(None)
    }
}

/// Returns all devices that are registered or have ever sent records, in the order of their ids;
/// refuses a unit that nobody knows.
async fn all(store: &Arc<dyn Store>, question: &Question) -> Result<BTreeSet<DeviceId>, DrawError> {
    if let Some(unit) = &question.unit
        && !store.units().await?.iter().any(|known| known.id == *unit)
    {
        return Err(DrawError::Unit { unit: unit.to_string() });
    }
    let silent = store.devices().await?.into_iter().map(|known| known.device.id);
    let heard = store.receipt_leaves().await?.into_iter().map(|(device, _)| device);
    Ok(silent.chain(heard).collect())
}

/// Names a place by its unit and those above it.
fn place(
    units: &BTreeMap<crate::domain::ids::UnitId, Unit>,
    unit: &crate::domain::ids::UnitId,
) -> String {
    let mut names = Vec::new();
    let mut next = units.get(unit);
    while let Some(one) = next {
        names.push(one.name.as_str());
        if names.len() == PLACE {
            break;
        }
        next = one.parent.as_ref().and_then(|parent| units.get(parent));
    }
    names.join(", ")
}

//! Stores what the planner decided, then hands it out; says everything again when asked.

use super::planner::{sheet_publication, timetable_publication};
use super::{Planner, Publication, Round, Settings};
use crate::app::ports::{
    Descriptions, Fence, RetainedDocument, Store, StoreError, StoredTimetable,
};
use crate::clock::SharedClock;
use crate::domain::ids::{DeviceId, Digest};
use crate::domain::station::Station;
use crate::domain::time::UtcMs;
use crate::wire::jws::SecretKey;
use crate::wire::topic::{Topic, Topics};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How long after its last day a sheet may still be retained by a broker that was not there.
const REMEMBERED_MS: i64 = 30 * 86_400_000;

/// Why a plan could not be made or kept; what is in force stays in force.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("the schedule could not be stored")]
    Store(#[from] StoreError),
    #[error("compiling was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl PublishError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Store(error) => error.hint(),
            Self::Interrupted(_) => "the schedule in force stays in force; try again",
        }
    }
}

/// All that a broker without memory must be told, in this order: `first`, assets, `round`,
/// `last`; then the marker on `epoch`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Everything {
    /// Retained documents, `keys` first, then floors and what else was kept.
    pub first: Vec<Publication>,
    /// Sheets in force and the newest timetable of each device.
    pub round: Round,
    /// The newest receipt of each device.
    pub last: Vec<Publication>,
}

/// Keeps schedules in the store and hands them out for publishing.
#[derive(Debug)]
pub struct Publisher<S: ?Sized = dyn Store> {
    settings: Settings,
    key: SecretKey,
    clock: Shared,
    fence: Option<Fence>,
    planner: Option<Planner>,
    store: Arc<S>,
}

/// A clock without `Debug` of its own.
#[derive(Clone)]
struct Shared(SharedClock);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

impl<S: Store + ?Sized> Publisher<S> {
    /// Returns a publisher that signs with the schedule key.
    pub fn new(
        store: Arc<S>,
        settings: Settings,
        schedule_key: SecretKey,
        clock: SharedClock,
    ) -> Self {
        let clock = Shared(clock);
        Self { settings, key: schedule_key, clock, fence: None, planner: None, store }
    }

    /// Writes only while the lease is held.
    pub fn fence(&mut self, fence: Option<Fence>) {
        self.fence = fence;
    }

    /// Signs with another key from now on; the next plan signs anew what the former one signed.
    pub fn sign_with(&mut self, schedule_key: SecretKey) {
        if schedule_key.kid() != self.key.kid() {
            self.key = schedule_key;
            self.planner = None;
        }
    }

    /// Returns the number under which schedules are written.
    pub fn fenced(&self) -> Option<Fence> {
        self.fence
    }

    /// Plans the station as it is now, stores what is new, and returns what to publish.
    pub async fn plan(&mut self, station: &Arc<Station>) -> Result<Round, PublishError> {
        match self.plan_once(station).await {
            // Somebody else signed meanwhile, or a device came back under a clock set back:
            // read again what is in force and decide again.
            Err(PublishError::Store(StoreError::Stale { .. })) => self.plan_once(station).await,
            result => result,
        }
    }

    async fn plan_once(&mut self, station: &Arc<Station>) -> Result<Round, PublishError> {
        let now = self.clock.0.now();
        let mut planner = match self.planner.take() {
            Some(planner) => planner,
            None => self.planner(now).await?,
        };
        let compiled = Arc::clone(station);
        let (mut planner, planned) = tokio::task::spawn_blocking(move || {
            let planned = planner.plan(&compiled, now);
            (planner, planned)
        })
        .await?;
        let told = &planned.told;
        let nothing = planned.sheets.is_empty() && planned.timetables.is_empty();
        if !(nothing && *told == Descriptions::default()) {
            // On failure the planner is dropped and made anew from what is stored.
            self.store.put_round(&planned.sheets, &planned.timetables, told, self.fence).await?;
        }
        let round = planner.adopt(station, planned);
        self.planner = Some(planner);
        Ok(round)
    }

    /// Notes that the broker has acknowledged these timetables.
    pub async fn published(&self, versions: &[(DeviceId, i64)]) -> Result<(), PublishError> {
        Ok(self.store.mark_published(versions, self.clock.0.now()).await?)
    }

    /// Returns what was stored but never acknowledged by a broker: after a lost connection.
    pub async fn unpublished(&self) -> Result<Round, PublishError> {
        let newest = self.store.newest_timetables().await?;
        let newest = newest.into_iter().filter(|t| t.published_ms.is_none()).collect();
        self.of_timetables(newest).await
    }

    /// Returns all retained state, for a broker that forgot. Devices that the station no longer
    /// has are left out.
    pub async fn everything(&self, station: &Station) -> Result<Everything, PublishError> {
        let mut first: Vec<Publication> =
            self.store.retained().await?.into_iter().map(retained).collect();
        let keys = self.settings.topics.of(&Topic::Keys);
        first.sort_by_key(|publication| publication.topic != keys);
        let newest = self.store.newest_timetables().await?;
        let newest =
            newest.into_iter().filter(|t| station.devices.contains_key(&t.device)).collect();
        let round = self.of_timetables(newest).await?;
        let receipts = self.store.receipts().await?;
        let last = receipts
            .into_iter()
            .map(|receipt| Publication {
                topic: self.settings.topics.of(&Topic::Receipt(receipt.device)),
                payload: Bytes::copy_from_slice(receipt.jws.as_bytes()),
                retain: true,
            })
            .collect();
        Ok(Everything { first, round, last })
    }

    /// Keeps a signed document that stays retained (keys, floor, presence), and returns it for
    /// publishing.
    pub async fn retain(&self, document: RetainedDocument) -> Result<Publication, PublishError> {
        self.store.put_retained(std::slice::from_ref(&document)).await?;
        Ok(retained(document))
    }

    /// Returns what was planned last, with reasons.
    pub fn compiled(&self) -> Option<&crate::domain::timetable::Compiled> {
        self.planner.as_ref().and_then(Planner::compiled)
    }

    /// Returns the topics in use.
    pub fn topics(&self) -> &Topics {
        &self.settings.topics
    }

    async fn planner(&self, now: UtcMs) -> Result<Planner, PublishError> {
        let in_force = self.store.newest_timetables().await?;
        // What a broker may still retain from earlier runs: cleared by the first plan unless
        // it is in force.
        let stale = self.store.sheets_ending_after(now.plus(-REMEMBERED_MS)).await?;
        Ok(Planner::new(self.settings.clone(), self.key.clone(), &in_force, stale))
    }

    async fn of_timetables(&self, newest: Vec<StoredTimetable>) -> Result<Round, PublishError> {
        let topics = &self.settings.topics;
        let now = self.clock.0.now();
        let named: BTreeSet<Digest> = newest
            .iter()
            .flat_map(|timetable| timetable.days.iter())
            .filter(|day| day.to_ms > now.plus(-2 * 86_400_000))
            .map(|day| day.sheet)
            .collect();
        let named: Vec<Digest> = named.into_iter().collect();
        let sheets = self.store.sheets(&named).await?;
        Ok(Round {
            sheets: sheets.iter().map(|sheet| sheet_publication(topics, sheet)).collect(),
            timetables: newest.iter().map(|t| timetable_publication(topics, t)).collect(),
            ..Round::default()
        })
    }
}

fn retained(document: RetainedDocument) -> Publication {
    Publication {
        topic: document.topic,
        payload: Bytes::copy_from_slice(&document.body),
        retain: true,
    }
}

//! Values for boards: what sources said is judged, signed, kept and told to the broker.
//!
//! Sockets are the holder's: it hands over what came ([`Feeds::heard`]) and calls
//! [`Feeds::tend`] from time to time.
//!
//! # Invariants
//! * A signed value is in the store before the broker hears of it.
//! * A value is never signed with a later moment than the one it was measured at, so a source
//!   that fails or repeats itself leaves boards with a mark, not with an old value.
//! * Boards hear of a feed at most every [`GAP_MS`], however often its source speaks.
//! * What is no feed of the station any more is taken off the broker and out of the store.

mod pick;
#[cfg(test)]
mod tests;

pub use pick::{PickError, Picked, pick};

use super::keyring::Keyring;
use super::live::{Alarm, Live};
use super::outlet::{Outlet, Told};
use super::ports::{RetainedDocument, Store, StoreError};
use crate::clock::SharedClock;
use crate::domain::feed::{Course, Feed, ReadingError, Value};
use crate::domain::ids::FeedId;
use crate::domain::time::UtcMs;
use crate::raster::scene::Reading;
use crate::wire::doc::{self, issuer};
use crate::wire::jws::{self, Typ};
use crate::wire::topic::{Topic, Topics};
use crate::wire::{Refusal, version};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Boards are told of a feed at most so often.
pub const GAP_MS: i64 = 10_000;
/// Code of the alarm about feeds without a value.
const STALE: &str = "feed-stale";
/// Feeds that the alarm names.
const NAMED: usize = 5;

/// What is known of a feed besides its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedLight {
    /// When its source last gave a value that counts.
    pub read_ms: Option<UtcMs>,
    /// Why it gives none now, and since when.
    pub fault: Option<Fault>,
}

/// Why a feed has no new value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub since_ms: UtcMs,
    pub what: String,
    pub hint: &'static str,
}

/// Why a source gave nothing that counts.
#[derive(Debug, thiserror::Error)]
pub enum HeardError {
    /// No answer, or none that may be read.
    #[error("{what}")]
    Source { what: String, hint: &'static str },
    #[error(transparent)]
    Pick(#[from] PickError),
    #[error(transparent)]
    Reading(#[from] ReadingError),
}

impl HeardError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Source { hint, .. } => hint,
            Self::Pick(error) => error.hint(),
            Self::Reading(error) => error.hint(),
        }
    }
}

/// Why a value could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum FeedsError {
    #[error("the value of a feed could not be stored")]
    Store(#[from] StoreError),
    #[error("the value of a feed cannot be signed")]
    Sign(#[from] Refusal),
}

/// A feed of the station.
#[derive(Debug)]
struct Track {
    feed: Feed,
    course: Course,
    /// What boards were told.
    told: Option<doc::Feed>,
    /// When, on the clock that never steps.
    told_mono: Option<i64>,
    /// What they are still to be told.
    waiting: Option<Value>,
}

/// Keeps the values of a station's feeds.
pub struct Feeds {
    store: Arc<dyn Store>,
    keys: Keyring,
    topics: Topics,
    clock: SharedClock,
    live: Arc<Live>,
    outlet: Arc<Outlet>,
    tracks: BTreeMap<FeedId, Track>,
    /// Topics to be taken off the broker.
    leaving: Vec<String>,
}

impl Feeds {
    /// Returns a keeper of no feeds yet.
    pub fn new(
        store: Arc<dyn Store>,
        keys: Keyring,
        topics: Topics,
        clock: SharedClock,
        live: Arc<Live>,
        outlet: Arc<Outlet>,
    ) -> Self {
        let (tracks, leaving) = (BTreeMap::new(), Vec::new());
        Self { store, keys, topics, clock, live, outlet, tracks, leaving }
    }

    /// Follows these feeds from now on; goes on where an earlier run ended.
    pub async fn follow(&mut self, feeds: &BTreeMap<FeedId, Feed>) -> Result<(), FeedsError> {
        let told = told(&*self.store, &self.topics).await?;
        self.tracks.retain(|id, _| feeds.contains_key(id));
        for (id, feed) in feeds {
            if self.tracks.get(id).is_some_and(|track| track.feed == *feed) {
                continue;
            }
            let told = told.get(id).cloned();
            // Under another description an old measurement may count again.
            let course = Course::after(told.as_ref().map(|told| told.at_ms));
            let (told_mono, waiting) = (None, None);
            let track = Track { feed: feed.clone(), course, told, told_mono, waiting };
            self.tracks.insert(id.clone(), track);
            self.live.set_feed(id, Some(FeedLight::default()));
        }
        for id in told.keys().filter(|id| !feeds.contains_key(*id)) {
            let topic = self.topics.of(&Topic::Feed(id.clone()));
            self.store.drop_retained(std::slice::from_ref(&topic)).await?;
            self.leaving.push(topic);
            self.live.set_feed(id, None);
        }
        self.tend().await
    }

    /// Takes what a source said of a feed.
    pub async fn heard(
        &mut self,
        id: &FeedId,
        said: Result<Picked, HeardError>,
    ) -> Result<(), FeedsError> {
        let now = self.clock.now();
        let Some(track) = self.tracks.get_mut(id) else { return Ok(()) };
        let read =
            said.and_then(|said| Ok(track.course.read(&track.feed, &said.text, said.at, now)?));
        let mut light = self.live.feed(id).unwrap_or_default();
        match read {
            Ok(value) => {
                if light.fault.take().is_some() {
                    tracing::info!(feed.id = %id, "Read the feed `{id}` again");
                }
                light.read_ms = Some(now);
                track.waiting = Some(value);
            }
            Err(error) => {
                let (what, hint) = (error.to_string(), error.hint());
                if light.fault.is_none() {
                    tracing::warn!(feed.id = %id, error = %what, hint, "No value of `{id}`");
                }
                let since_ms = light.fault.map_or(now, |fault| fault.since_ms);
                light.fault = Some(Fault { since_ms, what, hint });
            }
        }
        self.live.set_feed(id, Some(light));
        self.tend().await
    }

    /// Tells boards what is due, and people which feeds have no value.
    pub async fn tend(&mut self) -> Result<(), FeedsError> {
        let due: Vec<FeedId> = self.tracks.keys().cloned().collect();
        for id in due {
            self.tell(&id).await?;
        }
        let mut left = Vec::new();
        for topic in std::mem::take(&mut self.leaving) {
            if self.outlet.clear(&topic).await == Told::Waiting {
                left.push(topic);
            }
        }
        self.leaving = left;
        self.alarm();
        Ok(())
    }

    async fn tell(&mut self, id: &FeedId) -> Result<(), FeedsError> {
        let (now, mono) = (self.clock.now(), self.clock.mono_ms());
        let Some(track) = self.tracks.get_mut(id) else { return Ok(()) };
        let Some(value) = track.waiting.take() else { return Ok(()) };
        if track.told_mono.is_some_and(|at| mono.saturating_sub(at) < GAP_MS) {
            track.waiting = Some(value);
            return Ok(());
        }
        let stale_after_s = track.feed.stale_after_s;
        let news = track.told.as_ref().is_none_or(|told| {
            // The same value again prolongs its life; a quarter of it may pass before that.
            told.value != value.text
                || told.stale_after_s != stale_after_s
                || value.at.since(told.at_ms) >= stale_after_s.saturating_mul(250)
        });
        if !news {
            return Ok(());
        }
        let ver = version::next(track.told.as_ref().map(|told| told.ver), now);
        let claims = doc::Feed {
            v: 1,
            iss: issuer(&self.live.picture().name),
            feed: id.clone(),
            iat: now.numeric_date(),
            ver,
            value: value.text.clone(),
            at_ms: value.at,
            stale_after_s,
        };
        let kept = match doc::sign(&self.keys.in_use().keys.schedule, &claims) {
            Ok(jws) => {
                let topic = self.topics.of(&Topic::Feed(id.clone()));
                let body: Arc<[u8]> = jws.into_bytes().into();
                let document = RetainedDocument { topic, ver, made_ms: now, body };
                let put = self.store.put_retained(std::slice::from_ref(&document)).await;
                put.map(|()| document).map_err(FeedsError::from)
            }
            Err(refusal) => Err(refusal.into()),
        };
        let document = match kept {
            Ok(document) => document,
            Err(error) => {
                track.waiting = Some(value);
                return Err(error);
            }
        };
        (track.told, track.told_mono) = (Some(claims), Some(mono));
        self.outlet.say(&[document]).await;
        Ok(())
    }

    fn alarm(&self) {
        let now = self.clock.now();
        let stale = |track: &&Track| {
            let fresh = track.told.as_ref().is_some_and(|told| is_fresh(told, now));
            let failed = self.live.feed(&track.feed.id).is_some_and(|light| light.fault.is_some());
            !fresh && failed
        };
        let stale: Vec<&Feed> =
            self.tracks.values().filter(stale).map(|track| &track.feed).collect();
        if stale.is_empty() {
            self.live.clear_alarm(STALE);
            return;
        }
        let mut names: Vec<String> =
            stale.iter().take(NAMED).map(|f| format!("{} (`{}`)", f.title, f.id)).collect();
        if stale.len() > NAMED {
            names.push("…".to_owned());
        }
        let (count, names) = (stale.len(), names.join(", "));
        self.live.set_alarm(Alarm {
            code: STALE,
            vi: format!("{count} nguồn số liệu không có giá trị mới, bảng hiện `--`: {names}"),
            en: format!("{count} feeds have no new value, boards show `--`: {names}"),
        });
    }
}

/// Says whether boards may show the value now.
pub fn is_fresh(told: &doc::Feed, now: UtcMs) -> bool {
    now < told.at_ms.plus(told.stale_after_s.saturating_mul(1_000))
}

/// Returns the values as the raster takes them: it decides by the moment what is fresh.
pub fn readings(told: &BTreeMap<FeedId, doc::Feed>) -> BTreeMap<String, Reading> {
    let reading = |(id, told): (&FeedId, &doc::Feed)| {
        let stale_after_ms = told.stale_after_s.saturating_mul(1_000);
        let reading = Reading { text: told.value.clone(), at: told.at_ms, stale_after_ms };
        (id.as_str().to_owned(), reading)
    };
    told.iter().map(reading).collect()
}

/// Returns what boards were told last, by feed.
pub async fn told(
    store: &dyn Store,
    topics: &Topics,
) -> Result<BTreeMap<FeedId, doc::Feed>, StoreError> {
    let kept = store.retained().await?;
    let read = |document: RetainedDocument| {
        let Some(Topic::Feed(id)) = topics.parse(&document.topic) else { return None };
        let text = std::str::from_utf8(&document.body).ok()?;
        Some((id, jws::kept::<doc::Feed>(text, Typ::Feed).ok()?.1))
    };
    Ok(kept.into_iter().filter_map(read).collect())
}

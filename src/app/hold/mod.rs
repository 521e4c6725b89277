//! Holds: a unit is silenced at once, and the answer says who has not confirmed.
//!
//! Silence needs no second person and no document: what only silences comes into force at once.
//! A hold and its release are versions of one document per unit, retained, so a device that was
//! away obeys when it comes back; it stays retained after its end, since only a release or a
//! later hold may take its place.
//!
//! # Invariants
//! * A device has confirmed when its own signed record says so, for this version; what it says in
//!   its state is a hint and confirms nothing.
//! * Whom an order is for is read from the store: this process may stand by and hear of new devices
//!   late. What it knows of the register is not touched by that; only the upkeep changes it, which
//!   also puts out whom it must.
//! * A unit may stand below another unit on hold: each hold is confirmed and released by itself.

mod confirm;

pub use confirm::{Confirmed, DeviceHold};

use super::keyring::Keyring;
use super::live::Live;
use super::outlet::{Outlet, Told};
use super::ports::{RetainedDocument, Store, StoreError, StoredHold};
use super::trail::Actor;
use super::urgent::{UrgentError, line};
use crate::clock::SharedClock;
use crate::domain::ids::UnitId;
use crate::domain::time::UtcMs;
use crate::wire::doc::{self, Hold};
use crate::wire::topic::{Topic, Topics};
use crate::wire::{Refusal, b64, limits, version};
use std::sync::Arc;

/// Why a unit was not held or released; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    #[error("no unit `{unit}` in the register")]
    Unit { unit: UnitId },
    #[error("the end of the hold lies in the past")]
    Past { until_ms: UtcMs },
    #[error("a hold of more than 366 days")]
    TooLong { until_ms: UtcMs },
    #[error("unit `{unit}` is not on hold")]
    NotHeld { unit: UnitId },
    #[error("a hold needs a reason that fits into {limit} bytes")]
    Reason { limit: usize },
    #[error("every device would refuse the hold")]
    Refused(#[source] Refusal),
    #[error("the system gave no random numbers")]
    Random(#[source] getrandom::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl HoldError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unit { .. } => "`loa unit list` shows the units of the register",
            Self::Past { .. } => "name a time to come, or release the unit",
            Self::TooLong { .. } => "hold it for a year at most, and again when that is over",
            Self::NotHeld { .. } => "`loa hold list` shows what is held",
            Self::Reason { .. } => "say in a sentence why",
            Self::Refused(refusal) => refusal.hint(),
            Self::Random(_) => "the system's source of randomness does not answer",
            Self::Store(error) => error.hint(),
        }
    }
}

/// The desk at which units are held and released.
pub struct Holds {
    store: Arc<dyn Store>,
    keys: Keyring,
    topics: Topics,
    clock: SharedClock,
    live: Arc<Live>,
    outlet: Arc<Outlet>,
}

/// Whether something is silenced or let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Silent until this instant.
    At(UtcMs),
    /// Released.
    Now,
}

impl Holds {
    /// Returns a desk over the store; orders leave by the outlet.
    pub fn new(
        store: Arc<dyn Store>,
        keys: Keyring,
        topics: Topics,
        clock: SharedClock,
        live: Arc<Live>,
        outlet: Arc<Outlet>,
    ) -> Self {
        Self { store, keys, topics, clock, live, outlet }
    }

    /// Holds a unit, or releases it.
    pub async fn order(
        &self,
        unit: &UnitId,
        until: Until,
        reason: &str,
        actor: &Actor,
    ) -> Result<(StoredHold, Told), HoldError> {
        let reason = line("reason", reason, limits::TITLE_BYTES)
            .map_err(|_: UrgentError| HoldError::Reason { limit: limits::TITLE_BYTES })?;
        let now = self.clock.now();
        let known = self.of(unit).await?;
        let until_ms = match until {
            Until::At(_) if !self.knows(unit).await? => {
                return Err(HoldError::Unit { unit: unit.clone() });
            }
            Until::At(until_ms) if until_ms <= now => return Err(HoldError::Past { until_ms }),
            // As devices count it: from the whole second in which it is signed.
            Until::At(until_ms)
                if until_ms.since(UtcMs::from_numeric_date(now.numeric_date()))
                    > limits::HOLD_MS =>
            {
                return Err(HoldError::TooLong { until_ms });
            }
            Until::At(until_ms) => until_ms,
            // A unit that has left the register can still be released.
            Until::Now if known.as_ref().is_some_and(|hold| hold.is_in_force(now)) => UtcMs(0),
            Until::Now => return Err(HoldError::NotHeld { unit: unit.clone() }),
        };
        let mut random = [0; 12];
        getrandom::fill(&mut random).map_err(HoldError::Random)?;
        let claims = Hold {
            v: 1,
            iss: doc::issuer(&self.live.picture().name),
            unit: unit.clone(),
            iat: now.numeric_date(),
            ver: version::next(known.as_ref().map(|hold| hold.ver), now),
            jti: format!("h-{}", b64::encode(&random)),
            until_ms,
            reason: reason.clone(),
            by: actor.who.chars().take(limits::WORD_BYTES / 4).collect(),
        };
        let jws =
            doc::sign(&self.keys.in_use().keys.schedule, &claims).map_err(HoldError::Refused)?;
        let document = RetainedDocument {
            topic: self.topics.of(&Topic::Hold(unit.clone())),
            ver: claims.ver,
            made_ms: now,
            body: jws.as_bytes().into(),
        };
        let hold = StoredHold {
            unit: unit.clone(),
            ver: claims.ver,
            jti: claims.jti,
            made_ms: now,
            until_ms,
            reason,
            by: actor.who.clone(),
            jws: jws.into(),
        };
        let zone = self.live.picture().zone;
        let said = |hold: &StoredHold| {
            if hold.until_ms == UtcMs(0) {
                format!("released; {}", hold.reason)
            } else {
                let until = hold.until_ms.datetime().with_timezone(&zone);
                format!("until {}; {}", until.to_rfc3339(), hold.reason)
            }
        };
        let action = if until_ms == UtcMs(0) { "release-unit" } else { "hold-unit" };
        let mut entry = actor.did(now, action, unit).after(said(&hold));
        if let Some(known) = known.as_ref().filter(|known| known.is_in_force(now)) {
            entry = entry.before(said(known));
        }
        self.store.put_hold(&hold, &document, &entry).await?;
        let told = self.outlet.tell(std::slice::from_ref(&document)).await;
        tracing::warn!(unit = %unit, released = until_ms == UtcMs(0), "Held or released a unit");
        Ok((hold, told))
    }

    /// Says whether the unit is registered; another process may have done so a moment ago.
    async fn knows(&self, unit: &UnitId) -> Result<bool, StoreError> {
        Ok(!self.live.lineage(unit).is_empty()
            || self.store.units().await?.iter().any(|known| known.id == *unit))
    }

    /// Returns the newest hold or release of a unit.
    pub async fn of(&self, unit: &UnitId) -> Result<Option<StoredHold>, StoreError> {
        Ok(self.store.holds().await?.into_iter().find(|hold| hold.unit == *unit))
    }

    /// Returns the newest hold or release of each unit.
    pub async fn newest(&self) -> Result<Vec<StoredHold>, StoreError> {
        self.store.holds().await
    }

    /// Returns all holds and releases, newest first.
    pub async fn history(&self, limit: u32) -> Result<Vec<StoredHold>, StoreError> {
        self.store.hold_history(limit).await
    }
}

#[cfg(test)]
mod tests;

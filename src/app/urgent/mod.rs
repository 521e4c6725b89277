//! Urgent notices and drills: prepared, shown, sent, watched, withdrawn.
//!
//! An urgent notice is the one thing that sounds in quiet hours and without a second person
//! (Thông tư 39/2020: *bản tin khẩn cấp*, played at once). So it names the document that orders
//! it, is shown with the devices it reaches before it goes out, goes out only against the hash of
//! what was shown, and every step stands in the trail.
//!
//! # Invariants
//! * A notice is signed and sent once. After a restart its very bytes are told again, never a new
//!   notice, and at its end its topics are cleared.
//! * What is retained at the broker for a notice is in the store with it, in one step.
//! * A drill is a type of its own from the moment it is prepared: no step turns one into a notice.

mod error;
mod followed;
mod progress;
mod write;

pub use error::UrgentError;
pub(in crate::app) use progress::Heard;
pub use progress::{DeviceProgress, Progress, Stage, Tally, progress};
pub(super) use write::line;
pub use write::{Asked, CLIP, Preview, Reached};

use super::assets::FileLibrary;
use super::keyring::Keyring;
use super::live::Live;
use super::outlet::{Outlet, Told};
use super::ports::{
    Page, RecordFilter, RetainedDocument, SentNotice, Store, StoreError, StoredNotice,
    WithdrawnNotice,
};
use super::trail::Actor;
use crate::clock::SharedClock;
use crate::domain::ids::{Digest, UnitId};
use crate::domain::time::UtcMs;
use crate::wire::doc::{self, Drill, Urgent, Withdrawal};
use crate::wire::limits;
use crate::wire::topic::{Topic, Topics};
use followed::AllFollowed;
use std::sync::Arc;

/// How long a prepared notice may be sent.
pub const PREPARED_MS: i64 = 30 * 60_000;

/// Records of a notice read at once.
const PAGE: u32 = 1_000;

/// The desk at which notices are prepared and sent.
pub struct Notices {
    pub(super) store: Arc<dyn Store>,
    pub(super) keys: Keyring,
    pub(super) topics: Topics,
    pub(super) clock: SharedClock,
    pub(super) live: Arc<Live>,
    pub(super) library: Arc<FileLibrary>,
    pub(super) outlet: Arc<Outlet>,
    followed: AllFollowed,
}

impl Notices {
    /// Returns a desk over the store; orders leave by the outlet.
    pub fn new(
        store: Arc<dyn Store>,
        keys: Keyring,
        topics: Topics,
        clock: SharedClock,
        live: Arc<Live>,
        library: Arc<FileLibrary>,
        outlet: Arc<Outlet>,
    ) -> Self {
        let followed = AllFollowed::default();
        Self { store, keys, topics, clock, live, library, outlet, followed }
    }

    /// Returns the server's clock.
    pub fn now(&self) -> UtcMs {
        self.clock.now()
    }

    /// Signs a prepared notice and sends it. `confirm` is the hash that its preview showed: what
    /// goes out is what was seen.
    pub async fn send(
        &self,
        jti: &str,
        confirm: &Digest,
        actor: &Actor,
    ) -> Result<(StoredNotice, Told), UrgentError> {
        let notice = self.notice(jti).await?;
        if let Some(sent) = &notice.sent {
            return Err(UrgentError::Sent { jti: jti.to_owned(), at_ms: sent.at_ms });
        }
        let now = self.clock.now();
        if now.since(notice.made_ms) > PREPARED_MS {
            return Err(UrgentError::Stale { jti: jti.to_owned() });
        }
        if write::confirmation(&notice) != *confirm {
            return Err(UrgentError::Unconfirmed { jti: jti.to_owned() });
        }
        let held = self.store.notices_at_broker().await?;
        let alive = |one: &&StoredNotice| one.sent.as_ref().is_some_and(|sent| now < sent.exp_ms);
        if held.iter().filter(alive).count() >= limits::NOTICES {
            return Err(UrgentError::TooMany { most: limits::NOTICES });
        }
        let claims = self.claims(&notice, now);
        let exp_ms = UtcMs::from_numeric_date(claims.exp);
        let jws = match notice.kind {
            super::ports::NoticeKind::Urgent => doc::sign(&self.keys.in_use().keys.urgent, &claims),
            super::ports::NoticeKind::Drill => {
                doc::sign(&self.keys.in_use().keys.urgent, &Drill(claims))
            }
        };
        let jws: Arc<str> = jws.map_err(UrgentError::Refused)?.into();
        let documents = self.documents(&notice, now, &jws);
        let reached = self.reached(&notice.content.units);
        let reached = reached.into_iter().map(|known| known.device.id.clone()).collect();
        let by = actor.who.clone();
        let sent = SentNotice { at_ms: now, by, exp_ms, jws, reached };
        let content = &notice.content;
        let entry = actor.did(now, &format!("send-{}", notice.kind.as_str()), jti).after(format!(
            "{}; {} ({}); {}",
            content.reason,
            content.document.number,
            content.document.issuer,
            content.units.iter().map(UnitId::as_str).collect::<Vec<_>>().join(", "),
        ));
        self.store.send_notice(jti, &sent, &documents, &entry).await?;
        let told = self.outlet.tell(&documents).await;
        tracing::warn!(notice = jti, kind = notice.kind.as_str(), "Sent a notice");
        Ok((StoredNotice { sent: Some(sent), ..notice }, told))
    }

    /// Takes a notice back, before it sounds, while it does, or after: what is left of it never
    /// sounds.
    pub async fn withdraw(
        &self,
        jti: &str,
        reason: &str,
        actor: &Actor,
    ) -> Result<(StoredNotice, Told), UrgentError> {
        let reason = write::line("reason", reason, limits::TITLE_BYTES)?;
        let notice = self.notice(jti).await?;
        let Some(sent) = &notice.sent else {
            return Err(UrgentError::NotSent { jti: jti.to_owned() });
        };
        if let Some(withdrawn) = &notice.withdrawn {
            return Err(UrgentError::Withdrawn { jti: jti.to_owned(), at_ms: withdrawn.at_ms });
        }
        let now = self.clock.now();
        if sent.exp_ms.numeric_date() <= now.numeric_date() {
            return Err(UrgentError::Over { jti: jti.to_owned(), at_ms: sent.exp_ms });
        }
        let claims = Withdrawal {
            v: 1,
            iss: doc::issuer(&self.live.picture().name),
            withdraws: jti.to_owned(),
            iat: now.numeric_date(),
            exp: sent.exp_ms.numeric_date(),
        };
        let jws =
            doc::sign(&self.keys.in_use().keys.urgent, &claims).map_err(UrgentError::Refused)?;
        let jws: Arc<str> = jws.into();
        // On the notice's own topics, so that nobody finds the notice any more; above it even
        // when both fall into one millisecond.
        let documents = self.documents(&notice, UtcMs(now.0.max(sent.at_ms.0 + 1)), &jws);
        let (at_ms, by) = (now, actor.who.clone());
        let withdrawn = WithdrawnNotice { at_ms, by, reason: reason.clone(), jws };
        let action = format!("withdraw-{}", notice.kind.as_str());
        let entry = actor.did(now, &action, jti).after(&reason);
        self.store.withdraw_notice(jti, &withdrawn, &documents, &entry).await?;
        let told = self.outlet.tell(&documents).await;
        Ok((StoredNotice { withdrawn: Some(withdrawn), ..notice }, told))
    }

    /// Returns a notice; another name is an error.
    pub async fn notice(&self, jti: &str) -> Result<StoredNotice, UrgentError> {
        let found = self.store.notice(jti).await?;
        found.ok_or_else(|| UrgentError::Unknown { jti: jti.chars().take(80).collect() })
    }

    /// Lists notices, newest first.
    pub async fn list(&self, limit: u32) -> Result<Vec<StoredNotice>, UrgentError> {
        Ok(self.store.notices(limit).await?)
    }

    /// Tells how far a notice has come on each device, from signed records alone.
    /// Only what came in since the last question is read.
    pub async fn progress(&self, notice: &StoredNotice) -> Result<Progress, StoreError> {
        // Out of the table while the store is asked; who asks meanwhile reads everything.
        let mut followed = self.followed.take(&notice.jti).unwrap_or_default();
        let filter = RecordFilter { jti: Some(notice.jti.clone()), ..RecordFilter::default() };
        loop {
            let page = Page::After { position: followed.position, limit: PAGE };
            let listed = self.store.records(&filter, page).await?;
            for listed in &listed {
                followed.heard.take(&listed.record);
                followed.position = listed.position;
            }
            if listed.len() < PAGE as usize {
                break;
            }
        }
        let progress = followed.heard.progress(notice, self.clock.now());
        self.followed.keep(&notice.jti, followed);
        Ok(progress)
    }

    fn claims(&self, notice: &StoredNotice, now: UtcMs) -> Urgent {
        let content = &notice.content;
        Urgent {
            v: 1,
            iss: doc::issuer(&self.live.picture().name),
            units: content.units.clone(),
            iat: now.numeric_date(),
            exp: now.plus(content.lasts_ms).numeric_date(),
            jti: notice.jti.clone(),
            reason: content.reason.clone(),
            document: doc::Paper {
                number: content.document.number.clone(),
                issuer: content.document.issuer.clone(),
                at_ms: content.document.at_ms,
            },
            text: content.text.clone(),
            asset: content
                .asset
                .as_ref()
                .map(|asset| doc::NoticeAsset { sha256: asset.sha256, entry: asset.entry.clone() }),
            repeat: doc::Repeat { times: content.times, gap_ms: content.gap_ms },
            volume: content.volume,
        }
    }

    /// The same bytes for each unit: a device finds them whichever of its units is named.
    fn documents(&self, notice: &StoredNotice, at: UtcMs, jws: &Arc<str>) -> Vec<RetainedDocument> {
        let body: Arc<[u8]> = jws.as_bytes().into();
        let document = |topic| RetainedDocument {
            topic,
            ver: at.0,
            made_ms: self.clock.now(),
            body: Arc::clone(&body),
        };
        topics_of(&self.topics, notice).into_iter().map(document).collect()
    }
}

/// Returns the topics on which a notice is retained.
pub fn topics_of(topics: &Topics, notice: &StoredNotice) -> Vec<String> {
    let of = |unit: &UnitId| Topic::Urgent { unit: unit.clone(), id: notice.jti.clone() };
    notice.content.units.iter().map(|unit| topics.of(&of(unit))).collect()
}

#[cfg(test)]
mod tests;

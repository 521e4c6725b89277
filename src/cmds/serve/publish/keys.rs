//! The publishing task and a change of keys: what is kept is signed anew and told, at once.

use super::{Broke, Broker, Publishing};
use crate::app::assets::Verdict;
use crate::app::ports::{RetainedDocument, StoreError};
use crate::app::rekey::{self, Renewed};
use crate::wire::topic::Topic;

/// How long after a change other processes may still sign with the former keys.
const LAG_MS: i64 = 15_000;
/// How often that is looked for meanwhile.
const AGAIN_MS: i64 = 5_000;

/// How far a change of keys has been followed.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// The epoch under which everything was signed; `None` before the first look.
    epoch: Option<u32>,
    /// On the monotonic clock: when it is looked at again, and until when.
    again_ms: i64,
    until_ms: i64,
}

impl Publishing {
    /// Signs anew what other keys signed, when this process has begun to lead or the keys were
    /// changed, and once more when others have had the time to notice too.
    pub(super) async fn follow_keys(&mut self) -> Result<(), Broke> {
        let trust = self.parts.present.keys.in_use();
        let (epoch, mono) = (trust.chain.epoch(), self.parts.clock.mono_ms());
        let changed = self.rekeyed.epoch != Some(epoch);
        let due = changed || (self.rekeyed.again_ms..self.rekeyed.until_ms).contains(&mono);
        if !due || mono < self.retry_ms {
            return Ok(());
        }
        let now = self.parts.clock.now();
        let topics = self.parts.publisher.topics().clone();
        let chain = RetainedDocument {
            topic: topics.of(&Topic::Keys),
            ver: i64::from(epoch),
            made_ms: now,
            body: trust.chain.body().encode().into(),
        };
        match self.parts.store.put_retained(&[chain]).await {
            // Another process has read a longer chain already; this one reads it next.
            Ok(()) | Err(StoreError::Stale { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let fence = self.parts.publisher.fenced();
        let renewed = rekey::renew(&*self.parts.store, &trust.keys, &topics, now, fence).await?;
        self.parts.publisher.sign_with(trust.keys.schedule.clone());
        let before = self.rekeyed.epoch.replace(epoch);
        self.rekeyed.again_ms = mono.saturating_add(AGAIN_MS);
        if changed {
            self.rekeyed.until_ms = mono.saturating_add(LAG_MS);
        }
        let rotated = changed && before.is_some();
        if !rotated && renewed == Renewed::default() {
            return Ok(());
        }
        let Renewed { documents, receipts } = renewed;
        tracing::info!(epoch, documents, receipts, "Signed anew under the keys in use");
        // Notices keep their version, so that they were told says nothing any more.
        self.parts.outlet.broker_forgot();
        self.due = self.station.is_some();
        if self.broker == Broker::Level {
            self.broker = Broker::Behind(Verdict::Kept);
        }
        Ok(())
    }
}

//! The publishing task and what people order: urgent notices go before everything else.
//!
//! The documents themselves leave by the outlet the moment they are stored; here are their assets,
//! what the outlet could not tell, what another process ordered, and the end of each notice.

use super::{Broke, Publishing};
use crate::app::publish::AssetNeed;
use crate::app::urgent::topics_of;
use crate::domain::chunk::ChunkSize;
use crate::domain::time::UtcMs;
use bytes::Bytes;

impl Publishing {
    /// Looks for new orders, of this process or another; says whether there are any.
    pub(super) async fn take_orders(&mut self) -> Result<bool, Broke> {
        let mark = self.parts.store.orders_mark().await?;
        if self.mark == Some(mark) {
            return Ok(false);
        }
        self.notices = self.parts.store.notices_at_broker().await?;
        self.need_assets();
        self.mark = Some(mark);
        Ok(true)
    }

    /// Tells the shelf what must lie on the broker: the clips of notices before all others.
    pub(super) fn need_assets(&mut self) {
        let now = self.parts.clock.now();
        let mut needs = self.needs.clone();
        let devices = self.parts.live.devices();
        for notice in &self.notices {
            let (Some(sent), Some(asset)) = (&notice.sent, &notice.content.asset) else { continue };
            if notice.withdrawn.is_some() || sent.exp_ms <= now {
                continue;
            }
            let picture = self.parts.live.picture();
            let chunk = |id| {
                let device = &devices.get(id)?.device;
                Some(picture.station.as_ref()?.profiles.get(&device.profile)?.chunk_kib)
            };
            let sizes = sent.reached.iter().filter_map(chunk);
            let need = needs.entry(asset.sha256).or_insert_with(|| AssetNeed {
                bytes: asset.entry.bytes,
                kib: [ChunkSize::USUAL.kib()].into(),
                devices: 0,
                first_use_ms: UtcMs(0),
            });
            need.kib.extend(sizes);
            need.devices = need.devices.max(u32::try_from(sent.reached.len()).unwrap_or(u32::MAX));
            need.first_use_ms = UtcMs(0);
        }
        self.parts.shelf.set_needs(needs);
    }

    /// Lays assets on the broker; an order that comes meanwhile goes first.
    pub(super) async fn carry(&mut self) -> Result<(), Broke> {
        loop {
            let ordered = tokio::select! {
                biased;
                () = self.parts.outlet.changed() => true,
                done = self.parts.courier.run(&mut self.parts.shelf) => {
                    done?;
                    false
                }
            };
            if !ordered {
                return Ok(());
            }
            // What was cut off is done again: the shelf counts it as not there.
            self.mark = None;
            self.take_orders().await?;
            self.say_documents().await?;
        }
    }

    /// Clears the topics of notices that are over: nobody who comes later finds one.
    pub(super) async fn clear_what_is_over(&mut self) -> Result<(), Broke> {
        let now = self.parts.clock.now();
        let over = |sent: &crate::app::ports::SentNotice| sent.exp_ms <= now;
        let (gone, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.notices)
            .into_iter()
            .partition(|notice| notice.sent.as_ref().is_some_and(over));
        self.notices = left;
        if gone.is_empty() {
            return Ok(());
        }
        // Kept for the next try unless all of it is done.
        self.mark = None;
        let topics = self.parts.publisher.topics().clone();
        for notice in gone {
            let of = topics_of(&topics, &notice);
            for topic in &of {
                self.parts.link.publish(topic.clone(), Bytes::new(), true).await?;
                self.parts.outlet.cleared(topic);
            }
            self.parts.store.clear_notice(&notice.jti, &of).await?;
        }
        self.take_orders().await?;
        Ok(())
    }
}

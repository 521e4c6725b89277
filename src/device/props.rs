//! What pages are filled with besides the time: values of feeds. Shared by the loop, which accepts
//! them, and the board's thread, which shows them.
//!
//! # Invariants
//! * A value is handed out only while the device's time is trusted: without it nobody can say
//!   whether the value is old.
//! * Whether it is still fresh is decided where it is drawn, at the moment it is drawn.

use crate::domain::ids::FeedId;
use crate::wire::doc::Feed;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Values by feed.
pub type Values = BTreeMap<FeedId, Feed>;

/// See the module; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Props {
    values: Arc<Mutex<Arc<Values>>>,
}

impl Props {
    /// Hands over what may be shown from now on; nothing while the time is not trusted.
    pub fn set_values(&self, values: Values) {
        *self.values.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(values);
    }

    /// Returns what may be shown.
    pub fn values(&self) -> Arc<Values> {
        Arc::clone(&self.values.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the values as the raster takes them.
    #[cfg(feature = "raster")]
    pub fn readings(&self) -> BTreeMap<String, crate::raster::scene::Reading> {
        let reading = |(id, feed): (&FeedId, &Feed)| {
            let reading = crate::raster::scene::Reading {
                text: feed.value.clone(),
                at: feed.at_ms,
                stale_after_ms: feed.stale_after_s.saturating_mul(1_000),
            };
            (id.as_str().to_owned(), reading)
        };
        self.values().iter().map(reading).collect()
    }
}

//! What the server says about itself on `server`, and its last will there.

use crate::app::keyring::Keyring;
use crate::app::link::Will;
use crate::clock::SharedClock;
use crate::wire::b64;
use crate::wire::doc::{self, Presence, ServerState};
use crate::wire::topic::{Topic, Topics};
use bytes::Bytes;

/// Signs presences of this start of the server.
#[derive(Clone)]
pub struct Present {
    pub keys: Keyring,
    pub clock: SharedClock,
    pub topics: Topics,
    /// Name of the station.
    pub name: String,
    /// Random for each start.
    pub conn: String,
}

impl Present {
    /// Returns the topic.
    pub fn topic(&self) -> String {
        self.topics.of(&Topic::Server)
    }

    /// Signs a presence; one that no device would take is not said.
    pub fn sign(&self, state: ServerState) -> Option<Bytes> {
        let presence = Presence {
            v: 1,
            iss: doc::issuer(&self.name),
            iat: self.clock.now().numeric_date(),
            state,
            conn: self.conn.clone(),
            build: format!("loa/{}", env!("CARGO_PKG_VERSION")),
            checkpoint: None,
        };
        doc::sign(&self.keys.in_use().keys.receipt, &presence)
            .inspect_err(|error| tracing::error!(%error, "The presence cannot be signed"))
            .ok()
            .map(Bytes::from)
    }

    /// Returns the will of a connection.
    pub fn will(&self) -> Option<Will> {
        Some(Will { topic: self.topic(), payload: self.sign(ServerState::Lost)?, retain: true })
    }
}

/// Reads the claims of a presence without judging them.
pub fn claims(text: &str) -> Option<Presence> {
    if text.len() > crate::wire::limits::PRESENCE_BYTES {
        return None;
    }
    serde_json::from_slice(&b64::decode(text.split('.').nth(1)?)?).ok()
}

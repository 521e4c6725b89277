//! What the server says about itself. It never sets a clock.

use super::receipt::Checkpoint;
use super::{Document, word};
use crate::domain::ids::DeviceId;
use crate::wire::judge::Judged;
use crate::wire::jws::Typ;
use crate::wire::refusal::Refusal;
use serde::{Deserialize, Serialize};

/// Signed presence, retained, and the server's last will.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Version of the document, 1.
    pub v: u8,
    /// Name of the server, for people.
    pub iss: String,
    /// When it was made, seconds. A will is signed at connecting.
    pub iat: i64,
    /// Present or lost.
    pub state: ServerState,
    /// Random per start of the server, equal in birth and will: tells a late will from a newer
    /// start, and a fresh one lets devices reconnect and resend sooner.
    pub conn: String,
    /// Version of the program.
    pub build: String,
    /// Newest checkpoint of the evidence log; absent until the log exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
}

/// Whether the server is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerState {
    /// It works.
    Ready,
    /// It said goodbye.
    Disconnected,
    /// The broker says so: the last will.
    Lost,
}

impl Document for Presence {
    const TYP: Typ = Typ::Server;

    fn check(&self) -> Result<(), Refusal> {
        word(&self.conn, "conn")?;
        word(&self.build, "build")?;
        self.checkpoint.as_ref().map_or(Ok(()), Checkpoint::check)
    }
}

impl Judged for Presence {
    fn aud(&self) -> Option<&DeviceId> {
        None
    }
    fn iat(&self) -> i64 {
        self.iat
    }
}

/// The server's own marker on `epoch`, written last: when it is absent or foreign, the broker
/// forgot, and the server publishes everything again. Plain JSON; devices ignore it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Version of the document, 1.
    pub v: u8,
    /// Name of what was published: changes whenever the server publishes all anew.
    pub marker: String,
}

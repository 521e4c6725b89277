//! The MQTT 3.1.1 client behind [`crate::app::link`], for the server and the devices alike.
//!
//! rumqttc does the protocol; this room does what it leaves open: back-off with full jitter, one
//! fresh event loop per connection, acknowledgements that are known per message, limits that are
//! not fatal, TLS that never panics. Subscribing anew at each connection is left to the holder.
//!
//! # Invariants
//! * One future only polls the event loop and never waits for the holder; another one feeds it.
//!   Awaiting a publish from the polling side would block for ever once its queue is full.
//! * A connection starts from nothing: sessions are clean and the event loop is new, so nothing of
//!   an earlier connection is resent, and a half-done packet-id collision cannot outlive its
//!   connection. What was in flight fails with [`LinkError::Lost`] and the holder decides.
//! * The packet limit is ours: rumqttc's own default (10 KiB) tears the connection down, both ways.
//! * Credentials appear in no log line, error or `Debug` output.
//!
//! [`LinkError::Lost`]: crate::app::link::LinkError::Lost

mod backoff;
mod driver;
mod session;
mod tls;
mod url;

pub use backoff::Backoff;
pub use driver::Driver;
pub use tls::{TimeTrusted, TlsError, TlsSettings};
pub use url::{BrokerUrl, UrlError};

use crate::app::link::{self, Lag, Link, LinkEvents, WillSource};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Largest packet that is sent or taken.
pub const MAX_PACKET: usize = crate::wire::limits::PACKET_BYTES;

/// A password; shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Takes the text as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// Where to connect and as whom.
#[derive(Clone, Debug)]
pub struct MqttConfig {
    /// The broker.
    pub url: BrokerUrl,
    /// The client id; a second connection of the same id puts the first one out.
    pub client_id: String,
    /// User name and password, unless the broker takes anyone.
    pub login: Option<(String, Password)>,
    /// How an `mqtts://` broker is recognised.
    pub tls: TlsSettings,
    /// Seconds between signs of life: 60 in the contract, at least 5.
    pub keep_alive_s: u16,
    /// Messages published and not acknowledged yet, at most.
    pub window: u16,
    /// How far the holder may lag behind; [`crate::app::link`] says what happens beyond.
    pub lag: Lag,
    /// The shortest and the longest wait before a reconnect.
    pub backoff: (Duration, Duration),
}

impl MqttConfig {
    /// Returns the settings of a device: one client id and user name, 8 messages in flight.
    pub fn device(url: BrokerUrl, id: &str, password: Password) -> Self {
        Self {
            url,
            client_id: id.to_owned(),
            login: Some((id.to_owned(), password)),
            tls: TlsSettings::default(),
            keep_alive_s: 60,
            window: 8,
            lag: Lag { events: 4_096, bytes: 8 << 20 },
            backoff: (Duration::from_secs(1), Duration::from_mins(5)),
        }
    }

    /// Returns the settings of the server: a larger window, and room for a burst of records.
    pub fn server(url: BrokerUrl, client_id: &str, login: Option<(String, Password)>) -> Self {
        Self {
            url,
            client_id: client_id.to_owned(),
            login,
            tls: TlsSettings::default(),
            keep_alive_s: 60,
            window: 64,
            lag: Lag { events: 65_536, bytes: 64 << 20 },
            // The server's absence costs everybody, and there is only one of it.
            backoff: (Duration::from_secs(1), Duration::from_secs(15)),
        }
    }
}

/// Prepares a link to a broker; the [`Driver`] must be run for anything to happen.
pub fn prepare(
    config: MqttConfig,
    wills: WillSource,
) -> Result<(Link, LinkEvents, Driver), TlsError> {
    let tls = config.url.tls.then(|| tls::client(&config.tls).map(Arc::new)).transpose()?;
    let (link, events, transport) = link::channel(config.lag);
    Ok((link, events, Driver::new(config, tls, wills, transport)))
}

/// Prepares a link and runs it in a task of its own until it is closed or `stop` is cancelled.
pub fn connect(
    config: MqttConfig,
    wills: WillSource,
    stop: CancellationToken,
) -> Result<(Link, LinkEvents, tokio::task::JoinHandle<()>), TlsError> {
    let (link, events, driver) = prepare(config, wills)?;
    Ok((link, events, tokio::spawn(driver.run(stop))))
}

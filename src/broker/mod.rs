//! The embedded broker: rmqtt in this process, so that a commune needs nothing else.
//!
//! It carries and keeps messages in memory; it is never a store. The server republishes what is
//! retained whenever the broker comes up empty, and devices keep their records until receipted.
//!
//! # Invariants
//! * Two listeners: devices come in on one (small window, TLS when configured), the server's own
//!   client on a loopback one of its own (large window). Neither takes the other's clients.
//! * Nobody is anonymous; client id and user name of a device are its id; the access list of
//!   [`acl`] holds for every publish, subscription and will.
//! * Everything is bounded: packet, window, queue, subscriptions, topic levels, connections,
//!   handshakes. A gateway has the room of a device in window and queue, and subscribes bit by bit.
//!   A full queue drops its oldest message and counts it ([`Counts::dropped`]). What
//!   devices publish is bounded by bytes as well, wherever it waits ([`waiting`]).
//! * Messages do not expire, and no load of this machine makes it turn devices away: after a power
//!   cut everybody comes at once.
//! * It runs on a runtime of its own, which is what stops it: rmqtt has no stop.
//!
//! # Why not its stores
//! The retainer's disk store loses chunks without a word under load, holds a private copy per
//! device and only grows; and nothing here relies on persistence.

pub mod acl;
mod guard;
mod listen;
mod probe;
mod waiting;

use crate::app::live::Acts;
pub use crate::app::mosquitto::SERVER_USER;
use crate::domain::ids::{DeviceId, UnitId};
use crate::wire::topic::Topics;
use guard::{Counters, Guard};
use listen::Accepting;
use rmqtt::context::ServerContext;
use rmqtt::types::Id;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::runtime::Runtime;
use waiting::Waiting;

/// Unacknowledged messages to one device.
pub const DEVICE_WINDOW: u16 = 16;
/// Messages that wait for one device.
pub const DEVICE_QUEUE: usize = 256;
/// Unacknowledged messages to the server's client.
pub const SERVER_WINDOW: u16 = 512;
/// Messages that wait for the server's client; what is dropped beyond, devices send again.
pub const SERVER_QUEUE: usize = 8_192;
/// Bytes of records that wait for the server's client; beyond that they are refused.
pub const SERVER_BYTES: usize = 64 << 20;
/// Subscriptions of one device: its own topics, 2 for each unit, and two windows of pieces.
pub const DEVICE_SUBSCRIPTIONS: usize = 64;
/// Subscriptions of one gateway: a device's, for as many as may stand behind it.
pub const GATEWAY_SUBSCRIPTIONS: usize = 12_000;

const SERVER_LISTENER: u16 = 1;
const DEVICE_LISTENER: u16 = 2;
const START: Duration = Duration::from_secs(10);
const STOP: Duration = Duration::from_secs(3);

/// Who a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// The server's own client.
    Server,
    /// A device, with its units from hamlet to province.
    Device {
        /// Its id, also client id and user name.
        id: DeviceId,
        /// Units whose notices concern it.
        units: Arc<[UnitId]>,
        /// For whom it acts besides itself.
        behind: Option<Arc<Acts>>,
    },
}

/// Knows the devices. Asked on every login, publish and subscription: answers from memory, at
/// once, and follows the register without a restart.
pub trait Gate: Send + Sync {
    /// Returns who this is when the password is right.
    fn login(&self, user: &str, password: &[u8], client_id: &str) -> Option<Who>;
    /// Returns what a device that has logged in may do now; `None` when it was revoked.
    fn who(&self, user: &str) -> Option<Who>;
}

/// Where and how the broker listens.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// Where devices connect; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Certificate and key files (PEM); without them devices connect in the clear.
    pub tls: Option<TlsFiles>,
    /// Topics under the prefix in use.
    pub topics: Topics,
    /// Connections at the same time.
    pub max_devices: usize,
    /// Bytes of records that may wait for the server, such as [`SERVER_BYTES`].
    pub server_bytes: usize,
}

/// PEM files of the device listener.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate and those between it and its authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why the broker does not run.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("starting the threads of the broker")]
    Threads(#[source] std::io::Error),
    #[error("listening on `{listen}`: {why}")]
    Listen { listen: SocketAddr, why: String },
    #[error("reading certificate `{cert}` and key `{key}`: {why}")]
    Tls { cert: PathBuf, key: PathBuf, why: String },
    #[error("setting up the broker: {why}")]
    Setup { why: String },
    #[error("the broker did not answer within {} s", START.as_secs())]
    Silent,
}

impl BrokerError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Listen { .. } => {
                "another program may listen there; name another address, or use that broker with `--broker`"
            }
            Self::Tls { .. } => "both must be PEM files, readable, and belong together",
            Self::Threads(_) | Self::Setup { .. } | Self::Silent => {
                "try again; if it stays, use an external broker with `--broker mqtt://…`"
            }
        }
    }
}

/// What the broker has seen since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that stand, the server's included.
    pub connections: u64,
    /// Sessions, those without a connection included.
    pub sessions: u64,
    /// Logins granted.
    pub logins: u64,
    /// Logins refused.
    pub refused_logins: u64,
    /// Messages refused by the access list.
    pub refused_publishes: u64,
    /// Subscriptions refused by the access list.
    pub refused_subscriptions: u64,
    /// Messages dropped, mostly at full queues: the only sign of that loss.
    pub dropped: u64,
    /// Bytes of what devices published that the broker holds now, what is kept for good aside.
    pub waiting_bytes: u64,
}

/// A running broker; dropping it stops it without waiting.
pub struct Broker {
    runtime: Option<Runtime>,
    context: ServerContext,
    counters: Arc<Counters>,
    waiting: Arc<Waiting>,
    devices: SocketAddr,
    server: SocketAddr,
    password: String,
    /// Lets devices in; replaced with the certificate.
    accepting: tokio::sync::Mutex<Accepting>,
}

impl Broker {
    /// Starts the broker; done when it answers.
    pub async fn start(config: BrokerConfig, gate: Arc<dyn Gate>) -> Result<Self, BrokerError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("loa-broker")
            .enable_all()
            .build()
            .map_err(BrokerError::Threads)?;
        // From here on an early return must not drop the runtime on an async thread.
        let mut broker = Started(Some(runtime));
        let password = secret()?;
        let guard = Guard {
            topics: config.topics.clone(),
            gate,
            server_listener: SERVER_LISTENER,
            server_user: SERVER_USER,
            server_password: password.clone(),
            counters: Arc::default(),
            waiting: Arc::new(Waiting::new(config.server_bytes, config.max_devices)),
        };
        let (counters, waiting) = (Arc::clone(&guard.counters), Arc::clone(&guard.waiting));
        let setup = broker.spawn(listen::set_up(config, Arc::new(guard)))?;
        let up = match tokio::time::timeout(START, setup).await {
            Err(_) => return Err(BrokerError::Silent),
            Ok(Err(lost)) => return Err(BrokerError::Setup { why: lost.to_string() }),
            Ok(Ok(up)) => up?,
        };
        let answered = probe::connack(up.server, SERVER_USER, &password);
        if !matches!(tokio::time::timeout(START, answered).await, Ok(Ok(()))) {
            return Err(BrokerError::Silent);
        }
        Ok(Self {
            runtime: broker.0.take(),
            context: up.context,
            counters,
            waiting,
            devices: up.devices,
            server: up.server,
            password,
            accepting: tokio::sync::Mutex::new(up.accepting),
        })
    }

    /// Returns where devices connect.
    pub fn devices(&self) -> SocketAddr {
        self.devices
    }

    /// Returns where the server's own client connects, its user name (also its client id), and
    /// its password, which is new at each start.
    pub fn server(&self) -> (SocketAddr, &'static str, &str) {
        (self.server, SERVER_USER, &self.password)
    }

    /// Shows the certificate that lies in the files now to whoever connects from here on; those
    /// connected stay. For a moment nobody is let in: check the files before.
    pub async fn show_anew(&self) -> Result<(), BrokerError> {
        let Some(runtime) = &self.runtime else { return Ok(()) };
        let mut accepting = self.accepting.lock().await;
        let (context, config) = (self.context.clone(), accepting.config.clone());
        if config.tls.is_none() {
            return Ok(());
        }
        accepting.task.abort();
        // Cancelled: the old listener is closed when this returns.
        let _ = (&mut accepting.task).await;
        let opened = runtime.spawn(listen::again(context, config));
        *accepting =
            opened.await.map_err(|lost| BrokerError::Setup { why: lost.to_string() })??;
        Ok(())
    }

    /// Puts a device out whose password or rights have changed; it may come again if the gate
    /// lets it in. Its will is sent.
    pub async fn kick(&self, device: &DeviceId) {
        let context = self.context.clone();
        let client = device.as_str().to_owned();
        let Some(runtime) = &self.runtime else { return };
        let kicked = runtime.spawn(async move {
            let id = Id::new(context.node.id(), DEVICE_LISTENER, None, None, client.into(), None);
            let entry = context.extends.shared().await.entry(id);
            if let Ok(mut entry) = entry.try_lock().await {
                let _ = entry.kick(true, true, true).await;
            }
        });
        let _ = kicked.await;
    }

    /// Returns what was seen so far.
    pub fn counts(&self) -> Counts {
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            connections: u64::try_from(self.context.connections.count()).unwrap_or(0),
            sessions: u64::try_from(self.context.sessions.count()).unwrap_or(0),
            logins: read(&self.counters.logins),
            refused_logins: read(&self.counters.refused_logins),
            refused_publishes: read(&self.counters.refused_publishes),
            refused_subscriptions: read(&self.counters.refused_subscriptions),
            dropped: read(&self.counters.dropped),
            waiting_bytes: u64::try_from(self.waiting.bytes()).unwrap_or(u64::MAX),
        }
    }

    /// Stops the broker: connections break without wills, ports are free afterwards.
    pub async fn stop(mut self) {
        if let Some(runtime) = self.runtime.take() {
            let stopped = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(STOP));
            let _ = stopped.await;
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A runtime on its way to become a broker's.
struct Started(Option<Runtime>);

impl Started {
    fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<tokio::task::JoinHandle<T>, BrokerError> {
        let gone = || BrokerError::Setup { why: "its threads are gone".to_owned() };
        Ok(self.0.as_ref().ok_or_else(gone)?.spawn(work))
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn secret() -> Result<String, BrokerError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| BrokerError::Setup { why: e.to_string() })?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

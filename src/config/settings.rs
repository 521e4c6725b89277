//! What the station file says about running: listeners, broker, retention, approval.
//!
//! Leaves what sounds to the rest of the folder. Invariants: a listener outside loopback has TLS
//! or stands under `insecure_lan`; evidence is kept twelve months at least.

use chrono_tz::Tz;
use std::net::SocketAddr;

/// `station.toml` as accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StationConfig {
    /// Name for people.
    pub name: String,
    /// The zone of hours and dates.
    pub zone: Tz,
    /// Whether a second person approves what sounds.
    pub approval: Approval,
    /// How long evidence is kept.
    pub retention: Retention,
    /// The broker that devices and server meet at.
    pub broker: BrokerConfig,
    /// Who vouches for the evidence log.
    pub log: LogConfig,
    /// Where the server listens.
    pub listen: ListenConfig,
    /// Whether listeners without TLS may leave loopback: said on purpose.
    pub insecure_lan: bool,
}

/// Whether a changed playlist waits for a second person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// Nothing sounds without one.
    Required,
    /// What is valid is in force.
    Off,
}

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Months that records and outcomes are kept; 24 unless said, never below 12.
    pub evidence_months: u32,
    /// MiB that all files of evidence by hand may take together; 20,480 unless said.
    pub brought_mib: u32,
}

/// Who vouches for the evidence log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogConfig {
    /// The witnesses.
    pub witnesses: Vec<WitnessConfig>,
    /// How many of them are enough; 0 where there is none.
    pub quorum: u32,
    /// Certificate authority of witnesses, relative to the folder; the system's unless said.
    pub ca_file: Option<String>,
    /// Who stamps its heads.
    pub tokens: Option<TokenConfig>,
}

/// A time-stamp authority (RFC 3161).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenConfig {
    /// Where it takes requests.
    pub url: String,
    /// Its certificates, relative to the folder: what its stamps are judged by.
    pub ca_file: String,
    /// The policy that is asked for; the authority's own choice unless said.
    pub policy: Option<String>,
}

/// A witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessConfig {
    /// Its verifier key.
    pub key: String,
    /// Where it takes checkpoints.
    pub url: String,
}

/// How to reach the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerConfig {
    /// `mqtt://HOST:PORT` or `mqtts://HOST:PORT`; `None` is the embedded broker.
    pub url: Option<String>,
    /// User name at an external broker.
    pub user: Option<String>,
    /// File that holds the password, relative to the folder.
    pub password_file: Option<String>,
    /// File with the certificate authority to trust, relative to the folder.
    pub ca_file: Option<String>,
    /// Whether the server keeps the accounts of an external broker, and how.
    pub admin: Option<BrokerAdmin>,
    /// User name of the broker's administrator.
    pub admin_user: Option<String>,
    /// File that holds the administrator's password, relative to the folder.
    pub admin_password_file: Option<String>,
    /// Prefix of all topics, `loa/1`.
    pub prefix: String,
}

/// How the server keeps the accounts of an external broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerAdmin {
    /// By mosquitto's dynamic-security plugin.
    Dynsec,
}

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenConfig {
    /// HTTP: page, API, enrolment, assets.
    pub http: SocketAddr,
    /// The embedded broker.
    pub mqtt: SocketAddr,
    /// Certificate and key, relative to the folder; both listeners then speak TLS.
    pub tls: Option<TlsFiles>,
    /// How devices reach HTTP, for enrolment codes; from `http` when absent.
    pub public_url: Option<String>,
    /// Host name or address under which devices reach the embedded broker; from `mqtt` when
    /// absent.
    pub public_mqtt: Option<String>,
}

/// Paths of a certificate chain and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    pub cert: String,
    pub key: String,
}

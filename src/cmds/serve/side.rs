//! The broker in use: our own in this process, or an external one.

#[cfg(feature = "embedded-broker")]
use super::super::failed;
use super::super::wrong_use;
#[cfg(feature = "embedded-broker")]
use super::gate;
use super::options::Admin;
use super::upkeep;
use crate::app::dynsec::{ServerAccount, Word};
use crate::app::live::Live;
use crate::app::mosquitto::SERVER_USER;
use crate::app::registry::PasswordSeed;
use crate::config::StationConfig;
use crate::domain::login::check_server_user;
use crate::lifecycle::{End, Lifecycle};
use crate::mqtt::{BrokerUrl, MqttConfig, Password, TlsSettings};
use crate::store::SqliteStore;
use anyhow::Context as _;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

/// Devices at the embedded broker.
#[cfg(feature = "embedded-broker")]
const DEVICES: usize = 20_000;

/// The broker in use.
pub(super) enum Side {
    #[cfg(feature = "embedded-broker")]
    Embedded(Arc<crate::broker::Broker>),
    External,
}

/// Lets the broker show the certificate that lies in its files now.
pub(super) type ShowAnew =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>> + Send + Sync>;

/// An external broker, and what is needed to reach it.
pub(super) struct Outside<'a> {
    pub url: &'a str,
    /// The server's user name, instead of what the station file says.
    pub user: Option<&'a str>,
    /// Whether the server keeps its accounts.
    pub admin: Option<Admin>,
    pub config: &'a StationConfig,
    /// The station folder, where passwords lie.
    pub folder: &'a Path,
    /// Tells this process from others.
    pub conn: &'a str,
    pub seed: &'a PasswordSeed,
}

/// How to administer an external broker, and the server's own account there.
pub(super) struct Administered {
    pub mqtt: MqttConfig,
    pub server: ServerAccount,
}

/// Prepares the connections to an external broker.
pub(super) fn external(
    outside: &Outside<'_>,
) -> anyhow::Result<(Side, MqttConfig, Option<Administered>)> {
    let Outside { url, user, admin, config, folder, conn, seed } = *outside;
    let url: BrokerUrl = url.parse().map_err(|error: crate::mqtt::UrlError| {
        let hint = error.hint();
        wrong_use(error, hint)
    })?;
    let usual = || admin.map(|_| SERVER_USER.to_owned());
    let user = user.map(str::to_owned).or_else(|| config.broker.user.clone()).or_else(usual);
    if let Some(user) = &user {
        check_server_user(user).map_err(|error| {
            let hint = error.hint();
            wrong_use(error, hint)
        })?;
    }
    let word = match (&user, &config.broker.password_file) {
        (Some(_), Some(file)) => read_password(&folder.join(file))?,
        // An account that we make ourselves needs no file.
        (Some(user), None) if admin.is_some() => seed.of_server(user),
        _ => String::new(),
    };
    let login = user.clone().map(|user| (user, Password::new(&word)));
    // Ids with a dot belong to no device; several servers must not put each other out.
    let client_id = format!("loa.server.{conn}");
    let mut mqtt = MqttConfig::server(url, &client_id, login);
    let ca_file = config.broker.ca_file.as_ref().map(|file| folder.join(file));
    mqtt.tls = TlsSettings { ca_file, ..TlsSettings::default() };
    let Some((Admin::Dynsec, user)) = admin.zip(user) else {
        return Ok((Side::External, mqtt, None));
    };
    let Some(file) = &config.broker.admin_password_file else {
        return Err(wrong_use(
            "the password of the broker's administrator is not known",
            "write it into a file of the station folder and name that in `station.toml`: \
             `admin_password_file` of `[broker]`",
        ));
    };
    let name = config.broker.admin_user.clone().unwrap_or_else(|| "admin".to_owned());
    let login = Some((name, Password::new(read_password(&folder.join(file))?)));
    let client_id = format!("loa.admin.{conn}");
    let administering = MqttConfig { client_id, login, ..mqtt.clone() };
    let server = ServerAccount { user, password: Word(word) };
    Ok((Side::External, mqtt, Some(Administered { mqtt: administering, server })))
}

fn read_password(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("reading the password of `{}`", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Starts the embedded broker.
#[cfg(feature = "embedded-broker")]
pub(super) async fn embedded(
    config: &StationConfig,
    folder: &Path,
    listen: SocketAddr,
    live: &Arc<Live>,
) -> anyhow::Result<(Side, MqttConfig, Option<SocketAddr>)> {
    use crate::broker::{Broker, BrokerConfig, SERVER_BYTES, TlsFiles};
    use crate::wire::topic::Topics;
    let tls = config
        .listen
        .tls
        .as_ref()
        .map(|files| TlsFiles { cert: folder.join(&files.cert), key: folder.join(&files.key) });
    let topics = Topics::new(&config.broker.prefix)?;
    let broker =
        BrokerConfig { listen, tls, topics, max_devices: DEVICES, server_bytes: SERVER_BYTES };
    let gate = Arc::new(gate::RegisterGate::new(live.clone()));
    let broker = Broker::start(broker, gate).await.map_err(|error| {
        let hint = error.hint();
        failed(error, hint)
    })?;
    let (address, user, password) = broker.server();
    let url = BrokerUrl { host: address.ip().to_string(), port: address.port(), tls: false };
    let login = Some((user.to_owned(), Password::new(password)));
    let mqtt = MqttConfig::server(url, user, login);
    let bound = broker.devices();
    Ok((Side::Embedded(Arc::new(broker)), mqtt, Some(bound)))
}

/// This build has no broker of its own.
#[cfg(not(feature = "embedded-broker"))]
pub(super) async fn embedded(
    _: &StationConfig,
    _: &Path,
    _: SocketAddr,
    _: &Arc<Live>,
) -> anyhow::Result<(Side, MqttConfig, Option<SocketAddr>)> {
    Err(wrong_use("this build has no embedded broker", "name one: `--broker mqtt://HOST:PORT`"))
}

/// Returns what puts a device out; at a foreign broker only its administrator can.
pub(super) fn kick(side: &Side) -> upkeep::Kick {
    match side {
        #[cfg(feature = "embedded-broker")]
        Side::Embedded(broker) => {
            let broker = Arc::downgrade(broker);
            Arc::new(move |device| {
                if let Some(broker) = broker.upgrade() {
                    tokio::spawn(async move { broker.kick(&device).await });
                }
            })
        }
        Side::External => Arc::new(|_| {}),
    }
}

/// Returns what lets the embedded broker show a changed certificate; an external one is its
/// administrator's.
pub(super) fn show_anew(side: &Side) -> ShowAnew {
    match side {
        #[cfg(feature = "embedded-broker")]
        Side::Embedded(broker) => {
            let broker = Arc::downgrade(broker);
            Box::new(move || {
                let broker = broker.upgrade();
                Box::pin(async move {
                    match broker {
                        Some(broker) => Ok(broker.show_anew().await?),
                        None => Ok(()),
                    }
                })
            })
        }
        Side::External => Box::new(|| Box::pin(async { Ok(()) })),
    }
}

/// Waits for the end, then closes what all tasks used.
pub(super) async fn finish(
    lifecycle: Lifecycle,
    side: Side,
    store: &SqliteStore,
) -> anyhow::Result<End> {
    let end = lifecycle.wait().await;
    match side {
        #[cfg(feature = "embedded-broker")]
        Side::Embedded(broker) => {
            if let Some(broker) = Arc::into_inner(broker) {
                broker.stop().await;
            }
        }
        Side::External => {}
    }
    store.close().await;
    Ok(end)
}

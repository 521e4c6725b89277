//! The two listeners as rmqtt is told to open them, with every limit they have.

use super::guard::{Guard, Hook};
use super::{BrokerConfig, BrokerError, TlsFiles};
use super::{DEVICE_LISTENER, DEVICE_QUEUE, DEVICE_WINDOW, GATEWAY_SUBSCRIPTIONS};
use super::{SERVER_LISTENER, SERVER_QUEUE, SERVER_WINDOW};
use crate::wire::limits;
use rmqtt::context::ServerContext;
use rmqtt::hook::Type;
use rmqtt::net::{Builder, Listener};
use rmqtt::server::MqttServer;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often a listener that was just closed is opened again, 100 ms apart.
const TRIES: u32 = 30;

/// What stands once both listen.
pub(super) struct Up {
    pub(super) context: ServerContext,
    pub(super) devices: SocketAddr,
    pub(super) server: SocketAddr,
    pub(super) accepting: Accepting,
}

/// The listener of the devices at work.
pub(super) struct Accepting {
    pub(super) task: JoinHandle<()>,
    /// With the address that was bound.
    pub(super) config: BrokerConfig,
}

/// Sets rmqtt up with the guard in its hooks and lets it run.
pub(super) async fn set_up(config: BrokerConfig, guard: Arc<Guard>) -> Result<Up, BrokerError> {
    let failed = |error: rmqtt::Error| BrokerError::Setup { why: format!("{error:#}") };
    let context = ServerContext::new()
        .busy_check_enable(false)
        .mqtt_max_sessions(isize::try_from(config.max_devices + 1).unwrap_or(isize::MAX))
        .task_exec_workers(200)
        .task_exec_queue_max(100_000)
        .plugins_config_map_add("rmqtt-retainer", RETAINER)
        .build()
        .await;
    rmqtt_retainer::register(&context, true, true).await.map_err(failed)?;
    let register = context.extends.hook_mgr().register();
    for hook in [
        Type::ClientAuthenticate,
        Type::MessagePublish,
        Type::MessagePublishCheckAcl,
        Type::ClientSubscribe,
        Type::ClientSubscribeCheckAcl,
        Type::MessageDropped,
    ] {
        register.add_priority(hook, 1_000, Box::new(Hook(Arc::clone(&guard)))).await;
    }
    register.start().await;

    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = listener("server", loopback, SERVER_WINDOW, SERVER_QUEUE, 0)?;
    let wrong = |why: rmqtt::Error, listen| BrokerError::Listen { listen, why: format!("{why:#}") };
    let server = server.bind().and_then(Listener::tcp).map_err(|e| wrong(e, loopback))?;
    let devices = devices(&config)?;
    let at = devices.local_addr().map_err(failed)?;
    let own = server.local_addr().map_err(failed)?;
    let server = MqttServer::new(context.clone()).listener_by_id(server, SERVER_LISTENER).build();
    tokio::spawn(server.run());
    let accepting = accept(&context, devices, BrokerConfig { listen: at, ..config });
    Ok(Up { devices: at, server: own, context, accepting })
}

/// Opens the devices' listener once more, after the one before was closed.
pub(super) async fn again(
    context: ServerContext,
    config: BrokerConfig,
) -> Result<Accepting, BrokerError> {
    let mut tries = 0;
    let devices = loop {
        match devices(&config) {
            Ok(devices) => break devices,
            Err(error) if tries == TRIES => return Err(error),
            Err(_) => tries += 1,
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    context.listen_cfgs.remove(&DEVICE_LISTENER);
    Ok(accept(&context, devices, config))
}

/// Lets devices in at a listener, in a task of its own: ending it closes the listener, and the
/// connections that came in by it stay.
fn accept(context: &ServerContext, devices: Listener, config: BrokerConfig) -> Accepting {
    let server = MqttServer::new(context.clone()).listener_by_id(devices, DEVICE_LISTENER).build();
    let task = tokio::spawn(async move {
        let _ = server.run().await;
    });
    Accepting { task, config }
}

fn devices(config: &BrokerConfig) -> Result<Listener, BrokerError> {
    let listen = config.listen;
    let wrong = |why: rmqtt::Error| BrokerError::Listen { listen, why: format!("{why:#}") };
    let mut devices =
        // The guard holds a device to its own, lower number.
        listener("devices", listen, DEVICE_WINDOW, DEVICE_QUEUE, GATEWAY_SUBSCRIPTIONS)?;
    devices.max_connections = config.max_devices;
    let Some(TlsFiles { cert, key }) = &config.tls else {
        return devices.bind().and_then(Listener::tcp).map_err(wrong);
    };
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    let devices = devices.tls_cert(Some(text(cert))).tls_key(Some(text(key)));
    let failed = |why: rmqtt::Error| {
        let (cert, key, why) = (cert.clone(), key.clone(), format!("{why:#}"));
        BrokerError::Tls { cert, key, why }
    };
    devices.bind().map_err(wrong)?.tls().map_err(failed)
}

/// In memory, without a bound on their number (only the server and one state per device are kept,
/// see [`acl`]), never expiring: a limit or a time to live would open holes in assets.
const RETAINER: &str = r#"
storage.type = "ram"
max_retained_messages = 0
max_payload_size = "256KB"
retained_message_ttl = "0s"
"#;

fn listener(
    name: &str,
    at: SocketAddr,
    window: u16,
    queue: usize,
    subscriptions: usize,
) -> Result<Builder, BrokerError> {
    let none = || BrokerError::Setup { why: "a window of no messages".to_owned() };
    Ok(Builder::new()
        .name(name)
        .laddr(at)
        .reuseaddr(Some(true))
        .nodelay(true)
        .allow_anonymous(false)
        .max_packet_size(u32::try_from(limits::PACKET_BYTES).unwrap_or(u32::MAX))
        .max_inflight(NonZeroU16::new(window).ok_or_else(none)?)
        .max_mqueue_len(queue)
        .max_subscriptions(subscriptions)
        .max_topic_levels(16)
        .max_clientid_len(64)
        .max_handshaking_limit(1_000)
        .handshake_timeout(Duration::from_secs(10))
        .allow_zero_keepalive(false)
        .max_keepalive(3_600)
        // Sessions are clean by contract; one that is not ends soon after its connection.
        .session_expiry_interval(Duration::from_secs(10))
        .max_session_expiry_interval(Duration::from_secs(10))
        .message_expiry_interval(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::super::{Broker, Gate, SERVER_BYTES, Who};
    use super::*;
    use crate::wire::topic::Topics;

    struct Nobody;

    impl Gate for Nobody {
        fn login(&self, _: &str, _: &[u8], _: &str) -> Option<Who> {
            None
        }
        fn who(&self, _: &str) -> Option<Who> {
            None
        }
    }

    /// Messages would vanish after 5 minutes, and a loaded machine would turn devices away.
    #[tokio::test]
    async fn trap_6_no_default_of_the_library_is_left_that_would_hurt() {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let builder = listener("x", listen, DEVICE_WINDOW, DEVICE_QUEUE, 9).unwrap();
        assert!(!builder.allow_anonymous && !builder.allow_zero_keepalive);
        assert_eq!(builder.message_expiry_interval, Duration::ZERO);
        assert_eq!(builder.max_packet_size as usize, limits::PACKET_BYTES);
        assert_eq!(builder.max_inflight.get(), DEVICE_WINDOW);
        assert_eq!((builder.max_mqueue_len, builder.max_subscriptions), (DEVICE_QUEUE, 9));
        assert!(builder.session_expiry_interval < Duration::from_mins(1));
        let config = BrokerConfig {
            listen,
            tls: None,
            topics: Topics::default(),
            max_devices: 10,
            server_bytes: SERVER_BYTES,
        };
        let broker = Broker::start(config, Arc::new(Nobody)).await.unwrap();
        assert!(!broker.context.busy_check_enable);
        broker.stop().await;
    }
}

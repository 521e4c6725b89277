//! The two listeners as rmqtt is told to open them, with every limit they have.

use super::guard::{Guard, Hook};
use super::{BrokerConfig, BrokerError, TlsFiles};
use super::{DEVICE_LISTENER, DEVICE_QUEUE, DEVICE_SUBSCRIPTIONS, DEVICE_WINDOW};
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

/// What stands once both listen.
pub(super) struct Up {
    pub(super) context: ServerContext,
    pub(super) devices: SocketAddr,
    pub(super) server: SocketAddr,
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
    let mut devices =
        listener("devices", config.listen, DEVICE_WINDOW, DEVICE_QUEUE, DEVICE_SUBSCRIPTIONS)?;
    devices.max_connections = config.max_devices;
    let wrong = |why: rmqtt::Error, listen| BrokerError::Listen { listen, why: format!("{why:#}") };
    let server = server.bind().and_then(Listener::tcp).map_err(|e| wrong(e, loopback))?;
    let devices = if let Some(TlsFiles { cert, key }) = config.tls {
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        devices = devices.tls_cert(Some(text(&cert))).tls_key(Some(text(&key)));
        let bound = devices.bind().map_err(|e| wrong(e, config.listen))?;
        bound.tls().map_err(|e| BrokerError::Tls { cert, key, why: format!("{e:#}") })?
    } else {
        devices.bind().and_then(Listener::tcp).map_err(|e| wrong(e, config.listen))?
    };
    let up = Up {
        devices: devices.local_addr().map_err(failed)?,
        server: server.local_addr().map_err(failed)?,
        context: context.clone(),
    };
    let server = MqttServer::new(context)
        .listener_by_id(server, SERVER_LISTENER)
        .listener_by_id(devices, DEVICE_LISTENER)
        .build();
    tokio::spawn(server.run());
    Ok(up)
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
    use super::super::{Broker, Gate, Who};
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
        let config = BrokerConfig { listen, tls: None, topics: Topics::default(), max_devices: 10 };
        let broker = Broker::start(config, Arc::new(Nobody)).await.unwrap();
        assert!(!broker.context.busy_check_enable);
        broker.stop().await;
    }
}

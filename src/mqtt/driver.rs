//! Keeps one link connected: attempts, waits, announces.

use super::session::{End, Session, reason};
use super::{Backoff, MAX_PACKET, MqttConfig};
use crate::app::link::{LinkError, LinkEvent, LinkRequest, Transport, WillSource};
use rumqttc::{AsyncClient, LastWill, MqttOptions, QoS, TlsConfiguration};
use rustls::ClientConfig;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, info, info_span};

/// A connection that stood this long was a good one: the next wait is short again.
const STOOD: Duration = Duration::from_secs(30);
/// Longest wait for a connection to come about.
const CONNECT_S: u64 = 20;
/// Requests between the feeding and the polling side of a connection.
const FED: usize = 16;

/// The loop that keeps a link connected.
pub struct Driver {
    config: MqttConfig,
    tls: Option<Arc<ClientConfig>>,
    wills: WillSource,
    link: Transport,
    dropped: Arc<AtomicU64>,
}

impl Driver {
    pub(super) fn new(
        config: MqttConfig,
        tls: Option<Arc<ClientConfig>>,
        wills: WillSource,
        link: Transport,
    ) -> Self {
        Self { config, tls, wills, link, dropped: Arc::default() }
    }

    /// Returns the counter of QoS 0 messages dropped because the holder lagged behind.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }

    /// Connects and reconnects until the link is closed. When `stop` is cancelled the line is
    /// dropped without a farewell (so the will is sent): who wants one disconnects first.
    pub async fn run(mut self, stop: CancellationToken) {
        let span =
            info_span!("mqtt", client.id = %self.config.client_id, broker = %self.config.url);
        async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.keep_connected() => {}
            }
        }
        .instrument(span)
        .await;
    }

    async fn keep_connected(&mut self) {
        let (shortest, longest) = self.config.backoff;
        let mut backoff = Backoff::new(shortest, longest);
        for number in 1.. {
            let why = match self.attempt(number, &mut backoff).await {
                End::Closed => return,
                End::Broken(why) => why,
            };
            let wait = backoff.next(random());
            info!(wait_ms = wait.as_millis(), "No connection to the broker: {why}");
            let announced = self.announce(LinkEvent::Disconnected { why }).await;
            if !announced || !self.while_down(tokio::time::sleep(wait)).await {
                return;
            }
        }
    }

    /// Connects once and stays until the connection ends.
    async fn attempt(&mut self, number: u64, backoff: &mut Backoff) -> End {
        let options = match self.options() {
            Ok(options) => options,
            Err(why) => return End::Broken(why),
        };
        let (client, mut events) = AsyncClient::new(options, FED);
        events.network_options.set_tcp_nodelay(true);
        events.network_options.set_connection_timeout(CONNECT_S);
        let mut connected = Err(String::new());
        let connecting = async {
            connected = events.poll().await.map_err(|error| reason(&error));
        };
        if !self.while_down(connecting).await {
            return End::Closed;
        }
        if let Err(why) = connected {
            return End::Broken(why);
        }
        info!("Connected to the broker");
        if !self.announce(LinkEvent::Connected).await {
            return End::Closed;
        }
        let session = Session {
            client,
            number,
            window: self.config.window,
            max_packet: MAX_PACKET,
            dropped: &self.dropped,
        };
        let stood = tokio::time::Instant::now() + STOOD;
        let end = session.run(&mut events, &mut self.link).await;
        if tokio::time::Instant::now() >= stood {
            backoff.reset();
        }
        end
    }

    fn options(&mut self) -> Result<MqttOptions, String> {
        let config = &self.config;
        let host = &config.url.host;
        // rumqttc joins host and port with a colon.
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let mut options = MqttOptions::new(&config.client_id, host, config.url.port);
        options.set_keep_alive(Duration::from_secs(u64::from(config.keep_alive_s.max(5))));
        options.set_clean_session(true);
        options.set_manual_acks(true);
        options.set_max_packet_size(MAX_PACKET, MAX_PACKET);
        // More packet ids than messages in flight: subscriptions take ids from the same circle,
        // and an id that comes round while in use makes rumqttc hold everything back.
        options.set_inflight(config.window.max(1).saturating_mul(4).saturating_add(16));
        if let Some((user, password)) = &config.login {
            options.set_credentials(user, &password.0);
        }
        if let Some(tls) = &self.tls {
            let tls = TlsConfiguration::Rustls(Arc::clone(tls));
            options.set_transport(rumqttc::Transport::tls_with_config(tls));
        }
        if let Some(will) = (self.wills)() {
            if !rumqttc::valid_topic(&will.topic) || will.payload.len() > MAX_PACKET / 2 {
                return Err(format!("the will for `{}` cannot be sent", will.topic));
            }
            options.set_last_will(LastWill {
                topic: will.topic,
                message: will.payload,
                qos: QoS::AtLeastOnce,
                retain: will.retain,
            });
        }
        Ok(options)
    }

    /// Tells the holder; says whether it still listens. Requests are refused meanwhile: a holder
    /// that awaits one while it handles an event must get its answer.
    async fn announce(&mut self, event: LinkEvent) -> bool {
        let out = self.link.events.clone();
        let mut heard = false;
        let telling = async { heard = out.announce(event).await };
        self.while_down(telling).await && heard
    }

    /// Refuses requests until `done`; says whether the link is still open.
    async fn while_down(&mut self, done: impl Future<Output = ()>) -> bool {
        tokio::pin!(done);
        loop {
            tokio::select! {
                () = &mut done => return true,
                // Messages of an earlier connection: nobody waits for their acknowledgement.
                Some(_) = self.link.taken.recv() => {}
                request = self.link.requests.recv() => match request {
                    None => return false,
                    Some(LinkRequest::Disconnect(answer)) => {
                        let _ = answer.send(Ok(()));
                        return false;
                    }
                    Some(
                        LinkRequest::Publish(_, answer)
                        | LinkRequest::Subscribe(_, answer)
                        | LinkRequest::Unsubscribe(_, answer),
                    ) => {
                        debug!("Refused a request while there is no connection");
                        let _ = answer.send(Err(LinkError::Down));
                    }
                },
            }
        }
    }
}

fn random() -> u64 {
    // A machine without randomness still reconnects, only less spread.
    getrandom::u64().unwrap_or(u64::MAX / 3)
}

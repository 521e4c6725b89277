//! Between the device and the broker: passes every byte on, reads the packets, cuts the line.
//!
//! The device under test connects here; here is the broker to it. Nothing is changed on the way,
//! so what stands in the [`Trace`] is what was on the line.

use super::trace::{Hello, Message, Trace, What};
use crate::domain::ids::Digest;
use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{ConnectReturnCode, Packet, SubscribeReasonCode};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Largest packet that is read: beyond what the contract allows, so that excess is seen as such.
const PACKET: usize = 1 << 20;
/// Connections of the device at a time; more wait for the listener.
const READ: usize = 16_384;

/// The line; dropping it ends it.
pub struct Tap {
    /// Where the device connects.
    pub addr: SocketAddr,
    open: watch::Sender<bool>,
    stop: CancellationToken,
}

impl Tap {
    /// Listens; `broker` is asked for one connection for each of the device.
    pub async fn start(
        listen: SocketAddr,
        broker: (String, u16),
        trace: Trace,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let addr = listener.local_addr()?;
        let (open, state) = watch::channel(true);
        let stop = CancellationToken::new();
        let ending = stop.clone();
        tokio::spawn(async move {
            let mut conn = 0;
            loop {
                let accepted = tokio::select! {
                    () = ending.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                let Ok((device, _)) = accepted else { continue };
                conn += 1;
                if !*state.borrow() {
                    trace.note(conn, What::Knocked);
                    continue;
                }
                let (broker, trace) = (broker.clone(), trace.clone());
                let (state, ending) = (state.clone(), ending.clone());
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect((broker.0.as_str(), broker.1)).await else {
                        return;
                    };
                    trace.note(conn, What::Opened);
                    let line = pass(conn, device, far, trace.clone());
                    tokio::select! {
                        () = line => {}
                        () = shut(state) => {}
                        () = ending.cancelled() => {}
                    }
                    trace.note(conn, What::Closed);
                });
            }
        });
        Ok(Self { addr, open, stop })
    }

    /// Cuts the line: what stands breaks, and attempts are counted and turned away.
    pub fn shut(&self) {
        self.open.send_replace(false);
    }

    /// Lets the device in again.
    pub fn open(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn shut(mut state: watch::Receiver<bool>) {
    if state.wait_for(|open| !open).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What one direction must know of the other.
#[derive(Default)]
struct Pairs {
    /// Packet ids of messages to the device, and their topics.
    sent: HashMap<u16, String>,
    /// Packet ids of subscriptions, and their filters.
    asked: HashMap<u16, Vec<String>>,
}

async fn pass(conn: u32, device: TcpStream, broker: TcpStream, trace: Trace) {
    // Without delay on either side: what is measured here is the device.
    let _ = (device.set_nodelay(true), broker.set_nodelay(true));
    let pairs = Arc::new(Mutex::new(Pairs::default()));
    let (from_device, to_device) = device.into_split();
    let (from_broker, to_broker) = broker.into_split();
    let up =
        Reader { conn, down: false, trace: trace.clone(), pairs: Arc::clone(&pairs), odd: false };
    let down = Reader { conn, down: true, trace, pairs, odd: false };
    tokio::select! {
        () = pump(from_device, to_broker, up) => {}
        () = pump(from_broker, to_device, down) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut reader: Reader) {
    let mut held = BytesMut::new();
    let mut chunk = vec![0; READ];
    loop {
        let Ok(n) = from.read(&mut chunk).await else { return };
        if n == 0 {
            return;
        }
        // Read first: whoever waits for the effect finds its cause in the trace.
        held.extend_from_slice(&chunk[..n]);
        reader.read(&mut held);
        if to.write_all(&chunk[..n]).await.is_err() {
            return;
        }
    }
}

struct Reader {
    conn: u32,
    /// From the broker to the device.
    down: bool,
    trace: Trace,
    pairs: Arc<Mutex<Pairs>>,
    odd: bool,
}

impl Reader {
    fn read(&mut self, held: &mut BytesMut) {
        while !self.odd {
            match Packet::read(held, PACKET) {
                Ok(packet) => {
                    if let Some(what) = self.what(packet) {
                        self.trace.note(self.conn, what);
                    }
                }
                Err(rumqttc::mqttbytes::Error::InsufficientBytes(_)) => return,
                Err(error) => {
                    self.odd = true;
                    self.trace.note(self.conn, What::Odd(error.to_string()));
                }
            }
        }
        held.clear();
    }

    fn what(&self, packet: Packet) -> Option<What> {
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        Some(match packet {
            Packet::Connect(hello) => What::Hello(Box::new(Hello {
                client_id: hello.client_id,
                clean_session: hello.clean_session,
                keep_alive_s: hello.keep_alive,
                login: hello.login.map(|login| (login.username, login.password)),
                will: hello.last_will.map(|will| Message {
                    topic: will.topic,
                    payload: will.message,
                    retain: will.retain,
                    qos: will.qos as u8,
                }),
            })),
            Packet::ConnAck(answer) => What::Admitted(answer.code == ConnectReturnCode::Success),
            Packet::Publish(publish) if self.down => {
                pairs.sent.insert(publish.pkid, publish.topic.clone());
                What::Sent {
                    digest: Digest::of(&publish.payload),
                    bytes: publish.payload.len(),
                    topic: publish.topic,
                }
            }
            Packet::Publish(publish) => What::Published(Message {
                topic: publish.topic,
                payload: publish.payload,
                retain: publish.retain,
                qos: publish.qos as u8,
            }),
            Packet::PubAck(ack) => What::Taken(pairs.sent.remove(&ack.pkid)?),
            Packet::Subscribe(subscribe) => {
                let filters: Vec<_> =
                    subscribe.filters.into_iter().map(|f| (f.path, f.qos as u8)).collect();
                let names = filters.iter().map(|(filter, _)| filter.clone()).collect();
                pairs.asked.insert(subscribe.pkid, names);
                What::Subscribed(filters)
            }
            Packet::SubAck(answer) => {
                let names = pairs.asked.remove(&answer.pkid)?;
                let refused = |code: &SubscribeReasonCode| *code == SubscribeReasonCode::Failure;
                let pairs = names.into_iter().zip(&answer.return_codes);
                let denied: Vec<String> =
                    pairs.filter(|(_, code)| refused(code)).map(|(name, _)| name).collect();
                if denied.is_empty() {
                    return None;
                }
                What::Denied(denied)
            }
            Packet::Unsubscribe(unsubscribe) => What::Unsubscribed(unsubscribe.topics),
            Packet::Disconnect => What::Goodbye,
            _ => return None,
        })
    }
}

//! A client of MQTT 3.1.1 on a bare socket: it sends what no library would, in any order.
//!
//! It acknowledges what it gets, so that brokers go on sending, and keeps all it has heard.

use super::wait::within;
use std::collections::VecDeque;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A packet of the broker, as far as tests look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    ConnAck(u8),
    SubAck(Vec<u8>),
    Publish(Heard),
    Pong,
    Other(u8),
}

/// A message that came.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Heard {
    pub topic: String,
    pub payload: String,
    pub retain: bool,
}

/// User name and password.
pub type Login<'a> = Option<(&'a str, &'a str)>;

/// Topic, body and whether it is kept.
pub type LastWill<'a> = Option<(&'a str, &'a str, bool)>;

fn field(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
    out.extend(bytes);
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut left = body.len();
    loop {
        let digit = u8::try_from(left % 128).unwrap();
        left /= 128;
        out.push(if left > 0 { digit | 0x80 } else { digit });
        if left == 0 {
            break;
        }
    }
    out.extend(body);
    out
}

/// CONNECT with a clean session and a keep-alive of a minute.
pub fn connect(client_id: &str, login: Login<'_>, will: LastWill<'_>) -> Vec<u8> {
    let mut flags = 0x02;
    let mut fields = Vec::new();
    field(&mut fields, client_id.as_bytes());
    if let Some((topic, body, retain)) = will {
        flags |= 0x04 | 0x08 | if retain { 0x20 } else { 0 };
        field(&mut fields, topic.as_bytes());
        field(&mut fields, body.as_bytes());
    }
    if let Some((user, password)) = login {
        flags |= 0xc0;
        field(&mut fields, user.as_bytes());
        field(&mut fields, password.as_bytes());
    }
    let head = [b"\x00\x04MQTT\x04".as_slice(), &[flags, 0, 60]].concat();
    packet(0x10, &[head, fields].concat())
}

/// PUBLISH at any quality of service.
pub fn publish(topic: &str, body: &str, qos: u8, retain: bool, id: u16) -> Vec<u8> {
    let mut out = Vec::new();
    field(&mut out, topic.as_bytes());
    if qos > 0 {
        out.extend(id.to_be_bytes());
    }
    out.extend(body.as_bytes());
    packet(0x30 | (qos << 1) | u8::from(retain), &out)
}

/// SUBSCRIBE to all of them at quality of service 1.
pub fn subscribe(filters: &[&str], id: u16) -> Vec<u8> {
    let mut out = id.to_be_bytes().to_vec();
    for filter in filters {
        field(&mut out, filter.as_bytes());
        out.push(1);
    }
    packet(0x82, &out)
}

/// One connection.
pub struct Hostile {
    stream: TcpStream,
    bytes: VecDeque<u8>,
    id: u16,
    pub heard: Vec<Heard>,
}

impl Hostile {
    /// Connects the socket and says nothing yet.
    pub async fn open(at: SocketAddr) -> Self {
        let stream = within("a socket", TcpStream::connect(at)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, bytes: VecDeque::new(), id: 0, heard: Vec::new() }
    }

    /// Connects; returns the code of the refusal, `None` when the broker just closed.
    pub async fn login(
        at: SocketAddr,
        client_id: &str,
        login: Login<'_>,
        will: LastWill<'_>,
    ) -> Result<Self, Option<u8>> {
        let mut client = Self::open(at).await;
        client.send(&connect(client_id, login, will)).await;
        match client.next().await {
            Some(Packet::ConnAck(0)) => Ok(client),
            Some(Packet::ConnAck(code)) => Err(Some(code)),
            Some(other) => panic!("{other:?} instead of CONNACK"),
            None => Err(None),
        }
    }

    /// Sends bytes; a closed connection shows at the next read.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = within("room in the socket", self.stream.write_all(bytes)).await;
    }

    /// Publishes without waiting for anything.
    pub async fn publish(&mut self, topic: &str, body: &str, qos: u8, retain: bool) {
        self.id = self.id % 60_000 + 1;
        let packet = publish(topic, body, qos, retain, self.id);
        self.send(&packet).await;
    }

    /// Subscribes; returns the codes, or `None` when the broker closed the connection on it.
    pub async fn subscribe(&mut self, filters: &[&str]) -> Option<Vec<u8>> {
        self.id = self.id % 60_000 + 1;
        let packet = subscribe(filters, self.id);
        self.send(&packet).await;
        loop {
            if let Packet::SubAck(codes) = self.next().await? {
                return Some(codes);
            }
        }
    }

    /// Waits until the broker has read all that was sent; says whether the connection stands.
    pub async fn settled(&mut self) -> bool {
        self.send(&packet(0xc0, &[])).await;
        loop {
            match self.next().await {
                Some(Packet::Pong) => return true,
                Some(_) => {}
                None => return false,
            }
        }
    }

    /// Reads the next packet and does what the protocol asks for; `None` when it is closed.
    pub async fn next(&mut self) -> Option<Packet> {
        let (first, body) = self.read().await?;
        Some(match first >> 4 {
            2 => Packet::ConnAck(body[1]),
            3 => {
                let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
                let topic = String::from_utf8(body[2..2 + length].to_vec()).unwrap();
                let mut rest = &body[2 + length..];
                if first & 0x06 != 0 {
                    let id = [rest[0], rest[1]];
                    rest = &rest[2..];
                    self.send(&packet(0x40, &id)).await;
                }
                let payload = String::from_utf8_lossy(rest).into_owned();
                let heard = Heard { topic, payload, retain: first & 1 == 1 };
                self.heard.push(heard.clone());
                Packet::Publish(heard)
            }
            5 => {
                // Received: release it, as quality of service 2 asks for.
                self.send(&packet(0x62, &body[..2])).await;
                Packet::Other(first)
            }
            9 => Packet::SubAck(body[2..].to_vec()),
            13 => Packet::Pong,
            _ => Packet::Other(first),
        })
    }

    async fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some(packet) = self.whole() {
                return Some(packet);
            }
            let mut some = [0; 4_096];
            match within("an answer of the broker", self.stream.read(&mut some)).await {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.bytes.extend(&some[..read]),
            }
        }
    }

    fn whole(&mut self) -> Option<(u8, Vec<u8>)> {
        let (mut length, mut shift, mut head) = (0usize, 0, 1);
        loop {
            let digit = *self.bytes.get(head)?;
            length |= usize::from(digit & 0x7f) << shift;
            head += 1;
            if digit & 0x80 == 0 {
                break;
            }
            shift += 7;
        }
        if self.bytes.len() < head + length {
            return None;
        }
        let packet: Vec<u8> = self.bytes.drain(..head + length).collect();
        Some((packet[0], packet[head..].to_vec()))
    }
}

//! A board of lamps behind a pixel protocol: each frame as datagrams, sent again while it stands.
//!
//! # What it proves
//! Nothing answers: a packet that left here is *sent*, grade 0 of the ladder, whatever the frame's
//! hash. The hash still says what the lamps were told, before order, curve and chain ([`Wiring`]).
//!
//! # When this program dies
//! Nothing more is sent, and the receiver lets go by itself: WLED after the seconds that its
//! packets state, E1.31 after 2.5 s, others as they are set. A stop or a dark board is told in so
//! many packets, because single ones are lost; E1.31 streams are ended as the standard says. While
//! the program lives, the dark is sent again like any other picture: a receiver without packets
//! goes back to patterns of its own.
//!
//! # Errors
//! Only what the network gives back is known: no such host, no route, nobody listening on the
//! port. Then the next picture finds the host anew, so that a board that came back with another
//! address is found without a restart.

mod target;

pub use target::{Receiver, Target, TargetError};

use super::{Output, OutputError};
use crate::dialect::pixels::Packer;
use crate::domain::profile::BoardProfile;
use crate::raster::Frame;
use crate::raster::wiring::Wiring;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::time::Duration;

/// How often the dark is sent at the end.
const FAREWELLS: usize = 3;
/// How long a new socket listens for word that nobody is there.
const LISTEN: Duration = Duration::from_millis(30);
/// How long a datagram may wait for the network.
const SEND: Duration = Duration::from_secs(1);
/// Most packets before others get the wire for a moment: receivers have small buffers.
const BURST: usize = 32;
const BREATH: Duration = Duration::from_micros(500);

/// An output that sends pixels.
#[derive(Debug)]
pub struct Pixels {
    target: Target,
    wiring: Wiring,
    packer: Packer,
    /// What the lamps were told last.
    last: Vec<u8>,
    line: Option<Line>,
}

#[derive(Debug)]
struct Line {
    socket: UdpSocket,
    /// Groups go by universe; a host's socket is connected.
    groups: Option<u16>,
    /// Whether nothing has gone wrong since a picture was sent and nobody objected.
    proven: bool,
}

/// A board that the protocol cannot address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{lamps} lamps, where {protocol} reaches {most} from universe {universe} on")]
pub struct TooLarge {
    pub lamps: usize,
    pub most: usize,
    pub protocol: &'static str,
    pub universe: u16,
}

impl Pixels {
    /// Returns an output of this board; `sender` names it to receivers that tell senders apart.
    /// Nothing is sent and no host looked up before the first picture.
    pub fn new(
        target: Target,
        profile: &BoardProfile,
        sender: [u8; 16],
    ) -> Result<Self, OutputError> {
        let wiring = Wiring::of_profile(profile)?;
        let lamps = wiring.lamps();
        let protocol = target.scheme.protocol(lamps);
        let most = protocol.most_pixels(target.universe, target.per_universe);
        if lamps > most {
            let (protocol, universe) = (protocol.name(), target.universe);
            return Err(TooLarge { lamps, most, protocol, universe }.into());
        }
        let (universe, per) = (target.universe, target.per_universe);
        let packer = Packer::new(protocol, universe, per, target.refresh_ms, sender);
        Ok(Self { target, wiring, packer, last: vec![0; lamps * 3], line: None })
    }

    /// Sends what the lamps were told last.
    fn tell(&mut self) -> Result<(), OutputError> {
        let packets = self.packer.packets_of(&self.last);
        self.send(&packets)
    }

    fn send(&mut self, packets: &[Vec<u8>]) -> Result<(), OutputError> {
        let line = match self.line.take() {
            Some(line) => line,
            None => open(&self.target)?,
        };
        match line.send(packets) {
            Ok(line) => {
                self.line = Some(line);
                Ok(())
            }
            Err(source) => {
                let to = match &self.target.receiver {
                    Receiver::Host { host, port } => format!("{host}:{port}"),
                    Receiver::Groups { .. } => "the multicast groups".to_owned(),
                };
                Err(OutputError::Send { to, source })
            }
        }
    }
}

/// Looks the host up and binds.
fn open(target: &Target) -> Result<Line, OutputError> {
    let bind = |local: IpAddr| {
        UdpSocket::bind((local, 0)).map_err(|source| OutputError::From { local, source })
    };
    let any = |v6: bool| -> IpAddr {
        if v6 { std::net::Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
    };
    let (socket, groups) = match &target.receiver {
        Receiver::Groups { port } => (bind(target.from.unwrap_or(any(false)))?, Some(*port)),
        Receiver::Host { host, port } => {
            let lost = |source| OutputError::Host { host: host.clone(), source };
            let found: Vec<SocketAddr> =
                (host.as_str(), *port).to_socket_addrs().map_err(lost)?.take(16).collect();
            let own = |to: &&SocketAddr| target.from.is_none_or(|f| f.is_ipv4() == to.is_ipv4());
            let Some(to) = found.iter().find(own) else {
                return Err(lost(ErrorKind::AddrNotAvailable.into()));
            };
            let socket = bind(target.from.unwrap_or(any(to.is_ipv6())))?;
            socket.connect(to).map_err(lost)?;
            (socket, None)
        }
    };
    let timed =
        socket.set_write_timeout(Some(SEND)).and_then(|()| socket.set_read_timeout(Some(LISTEN)));
    let local = target.from.unwrap_or(any(false));
    timed.map_err(|source| OutputError::From { local, source })?;
    Ok(Line { socket, groups, proven: false })
}

impl Line {
    /// Sends; whoever fails is not used again.
    fn send(mut self, packets: &[Vec<u8>]) -> io::Result<Self> {
        for burst in packets.chunks(BURST) {
            for packet in burst {
                match self.groups {
                    Some(port) => self.socket.send_to(packet, (group(packet), port))?,
                    None => self.socket.send(packet)?,
                };
            }
            if packets.len() > BURST {
                std::thread::sleep(BREATH);
            }
        }
        if !self.proven && self.groups.is_none() {
            // What nobody takes comes back at once in a network that works.
            let mut answer = [0; 64];
            match self.socket.recv(&mut answer) {
                Err(error)
                    if !matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) =>
                {
                    return Err(error);
                }
                _ => {}
            }
        }
        self.proven = true;
        Ok(self)
    }
}

/// The group of a packet's universe (ANSI E1.31-2018, section 9.3.1).
fn group(packet: &[u8]) -> Ipv4Addr {
    let [high, low] = packet.get(113..115).and_then(|b| b.try_into().ok()).unwrap_or([0, 1]);
    Ipv4Addr::new(239, 255, high, low)
}

impl Output for Pixels {
    fn show(&mut self, frame: &Frame, _hold_ms: i64) -> Result<(), OutputError> {
        self.last = self.wiring.bytes(frame);
        self.tell()
    }

    fn blank(&mut self) -> Result<(), OutputError> {
        self.last.fill(0);
        self.tell()
    }

    fn refresh_ms(&self) -> Option<i64> {
        Some(self.target.refresh_ms)
    }

    fn refresh(&mut self) -> Result<(), OutputError> {
        self.tell()
    }

    fn end(&mut self) -> Result<(), OutputError> {
        self.last.fill(0);
        for _ in 0..FAREWELLS {
            self.tell()?;
        }
        let packets = self.packer.farewell(self.last.len());
        if packets.is_empty() { Ok(()) } else { self.send(&packets) }
    }
}

impl From<crate::raster::board::WallError> for OutputError {
    fn from(source: crate::raster::board::WallError) -> Self {
        Self::Wall(source)
    }
}

impl From<TooLarge> for OutputError {
    fn from(source: TooLarge) -> Self {
        Self::Large(source)
    }
}

/// Names who sends to receivers that tell senders apart: stays the same for a device.
pub fn sender(device: &str) -> [u8; 16] {
    let digest = crate::domain::ids::Digest::of(format!("loa-pixels-1\n{device}").as_bytes());
    let mut cid = [0; 16];
    cid.copy_from_slice(&digest.0[..16]);
    // A UUID made by a rule of its own (RFC 9562, version 8).
    cid[6] = cid[6] & 0x0F | 0x80;
    cid[8] = cid[8] & 0x3F | 0x80;
    cid
}

#[cfg(test)]
mod tests;

//! Pictures to a foreign board over UDP. Nobody acknowledges them, so a datagram that is lost is
//! not noticed; the machine sends pictures again and again.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{UdpSocket, lookup_host};

/// How long the address of a name is believed.
const KNOWN_MS: i64 = 60_000;
/// Longest wait for the address of a name.
const NAME: Duration = Duration::from_secs(1);

/// Where pictures go.
#[derive(Debug)]
pub(super) struct PixelSocket {
    host: String,
    port: u16,
    socket: Option<UdpSocket>,
    found: Option<(SocketAddr, i64)>,
    failing: bool,
}

impl PixelSocket {
    /// `host` is an address or a name, with a port where it is not the protocol's own.
    pub fn new(host: &str, port: u16) -> Self {
        let own =
            host.rsplit_once(':').filter(|(name, _)| !name.contains(':') || name.ends_with(']'));
        let own = own.and_then(|(name, port)| Some((name, port.parse().ok()?)));
        let (host, port) = own.unwrap_or((host, port));
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Self { host, port, socket: None, found: None, failing: false }
    }

    /// Sends the packets of a picture, in order.
    pub async fn send(&mut self, packets: &[Vec<u8>], now_ms: i64) {
        match self.try_send(packets, now_ms).await {
            Ok(()) => self.failing = false,
            Err(error) => {
                if !self.failing {
                    let (host, port) = (&self.host, self.port);
                    tracing::warn!(%error, host, port, "Pictures do not leave for the board");
                }
                self.failing = true;
                self.found = None;
            }
        }
    }

    async fn try_send(&mut self, packets: &[Vec<u8>], now_ms: i64) -> std::io::Result<()> {
        let known = self.found.filter(|(_, at)| now_ms.saturating_sub(*at) < KNOWN_MS);
        let to = if let Some((to, _)) = known {
            to
        } else {
            let asked = lookup_host((self.host.as_str(), self.port));
            let found = tokio::time::timeout(NAME, asked).await;
            let mut found =
                found.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
            let to = found.next().ok_or(std::io::ErrorKind::NotFound)?;
            if self.found.is_none_or(|(before, _)| before.is_ipv4() != to.is_ipv4()) {
                self.socket = None;
            }
            self.found = Some((to, now_ms));
            to
        };
        if self.socket.is_none() {
            let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            self.socket = Some(UdpSocket::bind(any).await?);
        }
        let Some(socket) = &self.socket else { return Ok(()) };
        for packet in packets {
            socket.send_to(packet, to).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_its_own_is_taken_from_the_host() {
        for (host, want) in [
            ("192.168.1.50", ("192.168.1.50", 4_048)),
            ("127.0.0.1:9", ("127.0.0.1", 9)),
            ("bang-cong.lan:65536", ("bang-cong.lan:65536", 4_048)),
            ("fe80::1", ("fe80::1", 4_048)),
            ("[::1]:7", ("::1", 7)),
        ] {
            let socket = PixelSocket::new(host, 4_048);
            assert_eq!((socket.host.as_str(), socket.port), want, "{host}");
        }
    }
}

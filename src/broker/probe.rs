//! Asks the broker once, as the server's client will: listening alone proves nothing.

use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends a CONNECT of MQTT 3.1.1 and waits for the right CONNACK.
pub(super) async fn connack(at: SocketAddr, user: &str, password: &str) -> io::Result<()> {
    let mut body = b"\x00\x04MQTT\x04\xc2\x00\x0a".to_vec(); // level 4, clean, login, 10 s
    for text in [user, user, password] {
        let length = u16::try_from(text.len()).map_err(io::Error::other)?;
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(text.as_bytes());
    }
    let length = u8::try_from(body.len()).ok().filter(|n| *n < 0x80);
    let mut packet = vec![0x10, length.ok_or_else(|| io::Error::other("a long name"))?];
    packet.append(&mut body);
    let mut stream = TcpStream::connect(at).await?;
    stream.write_all(&packet).await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    if answer != [0x20, 2, 0, 0] {
        return Err(io::Error::other(format!("CONNACK {answer:02x?}")));
    }
    stream.write_all(&[0xe0, 0]).await
}

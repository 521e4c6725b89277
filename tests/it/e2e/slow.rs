//! Readers that do not read: they hold their own places, and keep nobody else out.

use super::commune::{Commune, in_seconds};
use super::process::wait_for;
use loa::domain::ids::Digest;
use loa::http::door::OF_ONE;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;
use tokio::net::TcpSocket;

/// The address that the readers come from.
const THEIRS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// More than the buffers of two sockets take.
const CLIP: usize = 16 << 20;

/// Connects from their address and asks for a path.
fn ask(port: u16, path: &str) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((THEIRS, 0))).unwrap();
        let stream = socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
        stream.into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // A connection that was closed at once shows when it is read.
    let _ = write!(&stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream
}

/// Says whether an answer begins; reads one byte of it.
fn is_served(mut stream: &TcpStream) -> bool {
    let mut byte = [0];
    matches!(stream.read(&mut byte), Ok(1))
}

#[test]
fn those_who_read_a_byte_now_and_then_keep_nobody_out_and_take_no_memory() {
    let mut commune = Commune::new();
    commune.playlist(&[in_seconds(3_600)]);
    commune.init();
    commune.serve();
    let clip: Vec<u8> = (0..CLIP).map(|n| n.to_le_bytes()[1]).collect();
    let name = Digest::of(&clip);
    fs::write(commune.path("data/assets").join(name.to_string()), &clip).unwrap();
    let (port, path) = (commune.ports().0, format!("/a/{name}"));

    let surplus = 20;
    let mut readers: Vec<TcpStream> = (0..OF_ONE + surplus).map(|_| ask(port, &path)).collect();
    readers.retain(is_served);
    assert_eq!(readers.len(), OF_ONE, "the surplus of one address is closed");

    let (status, _) = commune.get("/healthz").unwrap();
    assert_eq!(status, 200, "others come in");
    assert!(readers.iter().all(is_served), "and who reads a byte gets it");
    // All of them asked for four gigabytes.
    let peak = commune.server.as_ref().unwrap().peak_kib();
    assert!(peak < 512 << 10, "{peak} KiB");

    let mut rest = Vec::new();
    readers.pop().unwrap().read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(&clip[CLIP / 2..]), "a slow reader has lost nothing");
    drop(readers);
    wait_for("places that are free again", 30, || is_served(&ask(port, &path)).then_some(()));
}

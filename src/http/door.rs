//! Where connections come in: plain or TLS, bounded in number, cut when idle.
//!
//! A handshake runs in a task of its own, so a peer that stalls in it keeps nobody waiting.
//! At most [`CONNECTIONS`] are open; further ones wait in the system's queue. At most [`OF_ONE`] of
//! them come from one address; its further ones are closed at once, so that somebody who opens many
//! and reads a byte now and then does not keep everybody else out. A connection on which nothing
//! moves for [`IDLE`] is closed, whether it waits for headers, body or reader.

use super::limit::subscriber;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use metrics::counter;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Most connections at once.
pub const CONNECTIONS: usize = 1024;
/// Most of them from one address: a quarter. A whole office behind one address needs less.
pub const OF_ONE: usize = CONNECTIONS / 4;
/// Longest silence of a connection.
pub const IDLE: Duration = Duration::from_mins(1);
/// Longest TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The address a request came from.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// A listener for plain HTTP or HTTPS.
pub struct Door {
    local: SocketAddr,
    ready: mpsc::Receiver<(Guest, SocketAddr)>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Door {
    /// Starts to accept on the listener, behind TLS when an acceptor is given.
    pub fn open(listener: TcpListener, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let local = listener.local_addr()?;
        let (found, ready) = mpsc::channel(16);
        let accepting = tokio::spawn(accept(listener, tls, found));
        Ok(Self { local, ready, accepting })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    found: mpsc::Sender<(Guest, SocketAddr)>,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let guests = Arc::new(Guests::default());
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let (stream, peer) = match listener.accept().await {
            Ok(pair) => pair,
            Err(error) => {
                // Most often no file descriptor is left; they come back when others end.
                tracing::warn!(%error, "Failed to accept a connection");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let Some(place) = guests.seat(peer.ip(), permit) else {
            counter!("loa_http_crowded_total").increment(1);
            tracing::debug!(%peer, "Closed a connection: too many from this address");
            continue;
        };
        let _ = stream.set_nodelay(true);
        match &tls {
            None => {
                if found.send((Guest::new(Stream::Plain(stream), place), peer)).await.is_err() {
                    return;
                }
            }
            Some(tls) => {
                let (handshake, found) = (tls.accept(stream), found.clone());
                tokio::spawn(async move {
                    match tokio::time::timeout(HANDSHAKE, handshake).await {
                        Ok(Ok(stream)) => {
                            let guest = Guest::new(Stream::Tls(Box::new(stream)), place);
                            let _ = found.send((guest, peer)).await;
                        }
                        Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
                        Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
                    }
                });
            }
        }
    }
}

impl Listener for Door {
    type Io = Guest;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Guest, SocketAddr) {
        match self.ready.recv().await {
            Some(pair) => pair,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

/// How many connections each address has open; an IPv6 subscriber is one address.
#[derive(Debug, Default)]
struct Guests(Mutex<BTreeMap<IpAddr, usize>>);

impl Guests {
    /// Takes a place for an address, unless it has too many.
    fn seat(self: &Arc<Self>, from: IpAddr, permit: OwnedSemaphorePermit) -> Option<Place> {
        let from = subscriber(from);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(from).or_default();
        if *count >= OF_ONE {
            return None;
        }
        *count += 1;
        Some(Place { from, guests: Arc::clone(self), _permit: permit })
    }
}

/// A place of one connection, given back when dropped.
struct Place {
    from: IpAddr,
    guests: Arc<Guests>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.guests.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.from);
            }
        }
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// An open connection; gives its place back when dropped.
pub struct Guest {
    stream: Stream,
    idle: Pin<Box<Sleep>>,
    _place: Place,
}

impl Guest {
    fn new(stream: Stream, place: Place) -> Self {
        Self { stream, idle: Box::pin(tokio::time::sleep(IDLE)), _place: place }
    }

    /// Passes progress on and restarts the idle time; turns silence beyond it into an error.
    fn watch<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.idle.as_mut().reset(Instant::now() + IDLE);
            return poll;
        }
        ready!(self.idle.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Guest {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let poll = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        self.watch(cx, poll)
    }
}

impl AsyncWrite for Guest {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        };
        self.watch(cx, poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        };
        self.watch(cx, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        };
        self.watch(cx, poll)
    }
}

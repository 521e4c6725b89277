//! A bad line: a TCP relay that delays, cuts, reorders and repeats.
//!
//! The kernel may lack the means (netem), and TCP mends what a network does to packets anyway.
//! What a device must bear is what TCP does not mend: connections that break in the middle of a
//! message, lines that hang, and a broker that delivers messages in another order or twice.

use loa::clock::{Clock as _, SystemClock};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How long a message that was put back waits at most for one that overtakes it.
const HELD_BACK: Duration = Duration::from_millis(200);

/// The relay; it ends with the test.
pub struct Relay {
    port: u16,
    line: Arc<Line>,
}

struct Line {
    cut: AtomicBool,
    ended: AtomicBool,
    delay_ms: AtomicU64,
    seed: AtomicU64,
    swapped: AtomicU64,
    repeated: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

impl Relay {
    /// Listens on loopback and passes everything on to `target`.
    pub fn to(target: SocketAddr, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = Arc::new(Line {
            cut: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            delay_ms: AtomicU64::new(0),
            seed: AtomicU64::new(seed),
            swapped: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            open: Mutex::new(Vec::new()),
        });
        let shared = line.clone();
        thread::spawn(move || {
            for near in listener.incoming() {
                if shared.ended.load(SeqCst) {
                    return;
                }
                let Ok(near) = near else { continue };
                if shared.cut.load(SeqCst) {
                    continue;
                }
                let Ok(far) = TcpStream::connect(target) else { continue };
                shared.join(&near, &far);
            }
        });
        Self { port, line }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Holds back every piece of data for so long, in either direction.
    pub fn delay(&self, ms: u64) {
        self.line.delay_ms.store(ms, SeqCst);
    }

    /// Breaks all connections, wherever they are, and takes no new one.
    pub fn cut(&self) {
        self.line.cut.store(true, SeqCst);
        for stream in self.line.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.line.cut.store(false, SeqCst);
    }

    /// How many messages overtook another, and how many came twice.
    pub fn harm(&self) -> (u64, u64) {
        (self.line.swapped.load(SeqCst), self.line.repeated.load(SeqCst))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.line.ended.store(true, SeqCst);
        self.cut();
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Line {
    fn join(self: &Arc<Self>, near: &TcpStream, far: &TcpStream) {
        for stream in [near, far] {
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(HELD_BACK)).unwrap();
            self.open.lock().unwrap().push(stream.try_clone().unwrap());
        }
        for (from, to, repeats) in [(near, far, false), (far, near, true)] {
            let (line, from, to) =
                (self.clone(), from.try_clone().unwrap(), to.try_clone().unwrap());
            thread::spawn(move || line.pump(from, to, repeats));
        }
    }

    fn chance(&self, of: u64) -> bool {
        let seed = self.seed.fetch_add(0x9e37_79b9_7f4a_7c15, SeqCst);
        let mixed = (seed ^ (seed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 29)).is_multiple_of(of)
    }

    /// Passes messages on until either side ends. Only towards the device are they repeated: a
    /// broker answers each repetition, and a client may take an answer it does not expect as the
    /// end of the connection.
    fn pump(&self, mut from: TcpStream, mut to: TcpStream, repeats: bool) {
        let mut coming = Vec::new();
        let mut held: Option<Vec<u8>> = None;
        let mut buffer = vec![0; 65_536];
        loop {
            let mut out = Vec::new();
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => coming.extend_from_slice(&buffer[..read]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    out.extend(held.take().unwrap_or_default());
                }
                Err(_) => break,
            }
            while let Some(length) = message_length(&coming) {
                let message: Vec<u8> = coming.drain(..length).collect();
                let publishes = message[0] >> 4 == 3;
                if publishes && repeats && self.chance(8) {
                    self.repeated.fetch_add(1, SeqCst);
                    out.extend_from_slice(&message);
                }
                if publishes && held.is_none() && self.chance(4) {
                    held = Some(message);
                } else {
                    out.extend_from_slice(&message);
                    if let Some(overtaken) = held.take() {
                        self.swapped.fetch_add(u64::from(publishes), SeqCst);
                        out.extend(overtaken);
                    }
                }
            }
            let delay = self.delay_ms.load(SeqCst);
            if !out.is_empty() && delay > 0 {
                thread::sleep(Duration::from_millis(delay));
            }
            if to.write_all(&out).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}

/// Returns how many bytes the first MQTT message takes, when it is all there.
pub fn message_length(bytes: &[u8]) -> Option<usize> {
    let mut length = 0;
    for (i, byte) in bytes.get(1..)?.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            let whole = 2 + i + length;
            return (bytes.len() >= whole).then_some(whole);
        }
    }
    None
}

/// A seed for what is left to chance: `LOA_SEED` or the clock's; printed, so that a run repeats.
pub fn seed() -> u64 {
    let given = std::env::var("LOA_SEED").ok().and_then(|s| s.parse().ok());
    let seed = given.unwrap_or_else(|| SystemClock::new().now().0.unsigned_abs());
    eprintln!("LOA_SEED={seed}");
    seed
}

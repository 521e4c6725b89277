//! A gate between a server and its broker that falls shut at a chosen message: just before it
//! passes, or just after, so that its acknowledgement does not come back.

use super::relay::message_length;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

/// Where the gate falls.
#[derive(Clone, Copy, Debug)]
pub enum Fall {
    /// Before the n-th message passes whose topic holds this.
    Before(&'static str, usize),
    /// Behind it.
    After(&'static str, usize),
}

/// The gate; shut for good with the test.
pub struct Gate {
    port: u16,
    way: Arc<Way>,
}

#[derive(Default)]
struct Way {
    fall: Mutex<Option<Fall>>,
    shut: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Gate {
    /// Listens on loopback and passes everything on to `target`.
    pub fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let way = Arc::new(Way::default());
        let shared = Arc::clone(&way);
        thread::spawn(move || {
            for near in listener.incoming() {
                let Ok(near) = near else { continue };
                let Ok(far) = TcpStream::connect(target) else { continue };
                if !shared.shut.load(SeqCst) {
                    shared.join(&near, &far);
                }
            }
        });
        Self { port, way }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Says where it falls next.
    pub fn fall(&self, fall: Fall) {
        *self.way.fall.lock().unwrap() = Some(fall);
    }

    pub fn is_shut(&self) -> bool {
        self.way.shut.load(SeqCst)
    }

    /// Lets everything pass again.
    pub fn open(&self) {
        *self.way.fall.lock().unwrap() = None;
        self.way.shut.store(false, SeqCst);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.way.shut();
    }
}

impl Way {
    fn join(self: &Arc<Self>, near: &TcpStream, far: &TcpStream) {
        for stream in [near, far] {
            stream.set_nodelay(true).unwrap();
            self.open.lock().unwrap().push(stream.try_clone().unwrap());
        }
        let (way, from, to) =
            (Arc::clone(self), near.try_clone().unwrap(), far.try_clone().unwrap());
        thread::spawn(move || way.there(from, to));
        let (mut from, mut to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
    }

    fn shut(&self) {
        self.shut.store(true, SeqCst);
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Counts the message against where the gate falls: is it the one?
    fn falls(&self, message: &[u8]) -> Option<Fall> {
        let mut fall = self.fall.lock().unwrap();
        let (Fall::Before(part, left) | Fall::After(part, left)) = fall.as_mut()?;
        if message[0] >> 4 != 3 || !topic(message).contains(*part) {
            return None;
        }
        *left -= 1;
        if *left > 0 { None } else { fall.take() }
    }

    fn there(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut coming = Vec::new();
        let mut buffer = vec![0; 65_536];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            coming.extend_from_slice(&buffer[..read]);
            while let Some(length) = message_length(&coming) {
                let message: Vec<u8> = coming.drain(..length).collect();
                let fall = self.falls(&message);
                if matches!(fall, Some(Fall::Before(..))) {
                    return self.shut();
                }
                if to.write_all(&message).is_err() {
                    return;
                }
                if fall.is_some() {
                    // Both ways are closed in order: the broker still reads what was written.
                    return self.shut();
                }
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    }
}

fn topic(publish: &[u8]) -> String {
    let start = 2 + publish[1..].iter().take_while(|byte| **byte & 0x80 != 0).count();
    let length = usize::from(u16::from_be_bytes([publish[start], publish[start + 1]]));
    String::from_utf8(publish[start + 2..start + 2 + length].to_vec()).unwrap()
}

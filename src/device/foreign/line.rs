//! A line to a foreign device: TCP or a serial port, split at the byte that ends an answer.
//!
//! One task owns the line, opens it again when it breaks (after 1 s, doubling to a minute, with
//! jitter), and tells the driver of its state and of each line. Lines that are longer than anybody
//! reads are cut; nothing that a device sends makes memory grow.

use crate::dialect::matching::MOST_READ;
use std::io;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Longest wait for a line to open.
const OPEN: Duration = Duration::from_secs(10);
/// Longest wait for room on a line.
const WRITE: Duration = Duration::from_secs(5);
/// Wait before a line is opened again, at first and at most.
const AGAIN_MS: (u64, u64) = (1_000, 60_000);
/// A line that stood so long was a good one.
const STOOD: Duration = Duration::from_secs(30);
/// Messages that wait to be written, and lines that wait to be read.
const WAITING: usize = 64;

/// Where a line leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// `host:port`.
    Tcp(String),
    /// A serial port at so many bits a second, 8N1 without flow control.
    Serial { port: String, baud: u32 },
}

/// What happens on a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LineEvent {
    Up,
    Down,
    /// Without the byte that ended it.
    Line(Vec<u8>),
}

/// The driver's side of a line; dropping it closes the line.
#[derive(Debug)]
pub(super) struct Line {
    /// What happens, in order.
    pub events: mpsc::Receiver<LineEvent>,
    /// Bytes to write.
    pub writes: mpsc::Sender<Vec<u8>>,
}

impl Line {
    /// Keeps a line open in a task of its own.
    pub fn open(whither: Where, until: u8) -> Self {
        let (told, events) = mpsc::channel(WAITING);
        let (writes, written) = mpsc::channel(WAITING);
        tokio::spawn(keep(whither, until, told, written));
        Self { events, writes }
    }
}

async fn keep(
    whither: Where,
    until: u8,
    told: mpsc::Sender<LineEvent>,
    mut writes: mpsc::Receiver<Vec<u8>>,
) {
    let mut bound = AGAIN_MS.0;
    let mut silent = false;
    while !told.is_closed() {
        let began = tokio::time::Instant::now();
        match open(&whither).await {
            Ok(wire) => {
                tracing::info!("The line stands");
                silent = false;
                // What waited while there was no line is of long ago.
                while writes.try_recv().is_ok() {}
                if told.send(LineEvent::Up).await.is_err() {
                    return;
                }
                let why = serve(&wire, until, &told, &mut writes).await;
                if told.send(LineEvent::Down).await.is_err() {
                    return;
                }
                let Some(why) = why else { return };
                tracing::info!(error = %why, "The line broke");
            }
            Err(error) if !silent => {
                tracing::warn!(%error, ?whither, "No line to the device, trying again");
                silent = true;
            }
            Err(_) => {}
        }
        if began.elapsed() >= STOOD {
            bound = AGAIN_MS.0;
        }
        let wait = Duration::from_millis(random() % bound + 1);
        bound = (bound * 2).min(AGAIN_MS.1);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = told.closed() => return,
        }
    }
}

/// Reads and writes until the line breaks; `None` when nobody needs it any more.
async fn serve(
    wire: &Wire,
    until: u8,
    told: &mpsc::Sender<LineEvent>,
    writes: &mut mpsc::Receiver<Vec<u8>>,
) -> Option<io::Error> {
    let mut split = Split { until, line: Vec::new() };
    let mut buffer = vec![0; 4_096];
    loop {
        tokio::select! {
            biased;
            bytes = writes.recv() => {
                let bytes = bytes?;
                match tokio::time::timeout(WRITE, wire.write_all(&bytes)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return Some(error),
                    Err(_) => return Some(io::ErrorKind::TimedOut.into()),
                }
            }
            read = wire.read(&mut buffer) => match read {
                Ok(0) => return Some(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => for line in split.take(&buffer[..count]) {
                    if told.send(LineEvent::Line(line)).await.is_err() {
                        return None;
                    }
                },
                Err(error) => return Some(error),
            },
            () = told.closed() => return None,
        }
    }
}

/// Cuts what comes into lines.
#[derive(Debug)]
struct Split {
    until: u8,
    line: Vec<u8>,
}

impl Split {
    fn take(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for byte in bytes {
            if *byte == self.until {
                let line = std::mem::take(&mut self.line);
                // A device that ends its lines with two bytes begins the next with the second.
                let line = if line.first() == Some(&b'\n') { line[1..].to_vec() } else { line };
                if !line.is_empty() {
                    lines.push(line);
                }
            } else if self.line.len() <= MOST_READ {
                self.line.push(*byte);
            } // what is longer than is read is let go
        }
        lines
    }
}

#[derive(Debug)]
enum Wire {
    Tcp(TcpStream),
    Serial(AsyncFd<std::fs::File>),
}

async fn open(whither: &Where) -> io::Result<Wire> {
    match whither {
        Where::Tcp(address) => {
            let opened = tokio::time::timeout(OPEN, TcpStream::connect(address)).await;
            let stream = opened.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            stream.set_nodelay(true)?;
            Ok(Wire::Tcp(stream))
        }
        Where::Serial { port, baud } => serial(port, *baud),
    }
}

/// Opens a serial port raw: 8 bits, no parity, one stop bit, no flow control, nobody else on it.
fn serial(port: &str, baud: u32) -> io::Result<Wire> {
    use rustix::termios::{
        ControlModes, OptionalActions, QueueSelector, ioctl_tiocexcl, tcflush, tcgetattr, tcsetattr,
    };
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or(0);
    let file = std::fs::OpenOptions::new().read(true).write(true).custom_flags(flags).open(port)?;
    let mut modes = tcgetattr(&file)?;
    modes.make_raw();
    modes.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
    modes.control_modes -= ControlModes::CSTOPB | ControlModes::CRTSCTS;
    modes.set_speed(baud)?;
    tcsetattr(&file, OptionalActions::Now, &modes)?;
    ioctl_tiocexcl(&file)?;
    tcflush(&file, QueueSelector::IOFlush)?;
    #[expect(deprecated, reason = "unsound for types that swap their descriptor; a file keeps it")]
    let port = AsyncFd::new(file)?;
    Ok(Wire::Serial(port))
}

impl Wire {
    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        use std::io::Read as _;
        match self {
            Self::Tcp(stream) => loop {
                stream.readable().await?;
                match stream.try_read(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => return read,
                }
            },
            Self::Serial(port) => loop {
                let mut ready = port.readable().await?;
                // Not ready after all is no error.
                if let Ok(read) = ready.try_io(|port| port.get_ref().read(buffer)) {
                    return read;
                }
            },
        }
    }

    async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        use std::io::Write as _;
        while !bytes.is_empty() {
            let written = match self {
                Self::Tcp(stream) => {
                    stream.writable().await?;
                    stream.try_write(bytes)
                }
                Self::Serial(port) => {
                    let mut ready = port.writable().await?;
                    match ready.try_io(|port| port.get_ref().write(bytes)) {
                        Ok(written) => written,
                        Err(_) => continue,
                    }
                }
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn random() -> u64 {
    // Without randomness all lines are opened in step, which is only less good.
    getrandom::u64().unwrap_or(u64::MAX / 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(until: u8, parts: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut split = Split { until, line: Vec::new() };
        parts.iter().flat_map(|part| split.take(part)).collect()
    }

    #[test]
    fn lines_are_whole_however_they_come() {
        let lines = split(b'\r', &[b"O", b"K\r\nER", b"R\r\n\r\n", b"rest"]);
        assert_eq!(lines, [b"OK".to_vec(), b"ERR".to_vec()]);
        assert_eq!(split(0x03, &[b"\x02A\x03\x02B\x03"]), [b"\x02A".to_vec(), b"\x02B".to_vec()]);
    }

    #[test]
    fn a_line_without_an_end_is_cut_and_takes_no_more_memory() {
        let mut split = Split { until: b'\n', line: Vec::new() };
        for _ in 0..100 {
            assert_eq!(split.take(&[b'x'; 4_096]), Vec::<Vec<u8>>::new());
        }
        assert_eq!(split.line.len(), MOST_READ + 1);
        let lines = split.take(b"\nOK\n");
        assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [MOST_READ + 1, 2]);
    }
}

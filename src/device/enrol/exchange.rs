//! One POST with a bounded answer, over a line that the code pins.
//!
//! # Why the exchange is written here
//! The pin may name the server's own certificate or an authority above it, and dates cannot be
//! judged before the device knows the time. Neither can be said to a usual HTTP client; one POST
//! with a bounded answer can.

use super::pin::{is_date, pinned};
use super::{Dates, EnrolError};
use crate::clock::{Clock as _, SystemClock};
use crate::wire::enrol::Code;
use crate::wire::limits;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

/// For each word of the server.
const PATIENCE: Duration = Duration::from_secs(15);
/// For all of its answer.
const ALTOGETHER_MS: i64 = 60_000;

/// Asks the server and returns the answer's body.
pub(super) fn post(
    code: &Code,
    request: &str,
    insecure_lan: bool,
    dates: Dates,
) -> Result<Vec<u8>, EnrolError> {
    let (tls, rest) = match code.url.strip_prefix("https://") {
        Some(rest) => (true, rest),
        None => (false, code.url.trim_start_matches("http://")),
    };
    let (host, port) = split_host(rest, if tls { 443 } else { 80 })
        .ok_or_else(|| EnrolError::Host { host: rest.to_owned() })?;
    if !tls && !insecure_lan && !is_loopback(&host) {
        return Err(EnrolError::Insecure { url: code.url.clone() });
    }
    let unreachable = |source| EnrolError::Unreachable { url: code.url.clone(), source };
    let stream = connect(&host, port).map_err(unreachable)?;
    let head = format!(
        "POST /enrol HTTP/1.0\r\nHost: {rest}\r\nContent-Type: application/jose\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        request.len()
    );
    let message = [head.as_bytes(), request.as_bytes()].concat();
    let answer = if tls {
        let pin = code.ca.ok_or_else(|| EnrolError::Unpinned { url: code.url.clone() })?;
        let name = ServerName::try_from(host.clone())
            .map_err(|_| EnrolError::Host { host: host.clone() })?;
        let config = pinned(pin, dates).map_err(EnrolError::Tls)?;
        let client = ClientConnection::new(Arc::new(config), name).map_err(EnrolError::Tls)?;
        exchange(StreamOwned::new(client, stream), &message, ALTOGETHER_MS)
    } else {
        exchange(stream, &message, ALTOGETHER_MS)
    };
    read_answer(&answer.map_err(|source| broken(&code.url, source))?)
}

/// Tells a server that is not the one meant from one that does not answer.
fn broken(url: &str, source: io::Error) -> EnrolError {
    let url = url.to_owned();
    let tls = source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        None => EnrolError::Unreachable { url, source },
        Some(rustls::Error::InvalidCertificate(fault)) => match fault {
            fault if is_date(fault) => EnrolError::OutOfDate { url },
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                EnrolError::Misnamed { url }
            }
            _ => EnrolError::Stranger { url },
        },
        Some(_) => EnrolError::Handshake { url, source },
    }
}

fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn exchange(stream: impl Read + Write, message: &[u8], most_ms: i64) -> io::Result<Vec<u8>> {
    let clock = SystemClock::new();
    let until = clock.mono_ms().saturating_add(most_ms);
    let mut stream = stream.take(limits::ENROL_ANSWER_BYTES as u64 + 16_384);
    stream.get_mut().write_all(message)?;
    stream.get_mut().flush()?;
    let (mut answer, mut piece) = (Vec::new(), [0; 4_096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Ok(answer),
            Ok(read) => answer.extend_from_slice(&piece[..read]),
            // Some servers close without saying goodbye; the length is checked below.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !answer.is_empty() => {
                return Ok(answer);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if clock.mono_ms() >= until {
            // A word now and then must not keep the operator waiting for ever.
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the answer does not end"));
        }
    }
}

/// Reads status and body of an HTTP/1 answer that ends with the connection.
fn read_answer(answer: &[u8]) -> Result<Vec<u8>, EnrolError> {
    let garbled = |why| EnrolError::Garbled { why };
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .ok_or_else(|| garbled("no end of the head"))?;
    let head = std::str::from_utf8(&answer[..end]).map_err(|_| garbled("the head is not text"))?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .filter(|line| line.starts_with("HTTP/1."))
        .and_then(|line| line.split(' ').nth(1)?.parse::<u16>().ok())
        .ok_or_else(|| garbled("not HTTP"))?;
    let mut body = &answer[end + 4..];
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            let length: usize =
                value.trim().parse().map_err(|_| garbled("the length is not a number"))?;
            body = body.get(..length).ok_or_else(|| garbled("it was cut off"))?;
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(garbled("it comes in pieces, which HTTP/1.0 does not know"));
        }
    }
    if status == 200 {
        return Ok(body.to_vec());
    }
    let said = String::from_utf8_lossy(body);
    let said = said.chars().filter(|c| !c.is_control()).take(300).collect();
    Err(EnrolError::Refused { status, said })
}

fn split_host(text: &str, port: u16) -> Option<(String, u16)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        let port = if after.is_empty() { port } else { after.strip_prefix(':')?.parse().ok()? };
        return Some((host.to_owned(), port));
    }
    match text.split_once(':') {
        Some((host, number)) => Some((host.to_owned(), number.parse().ok()?)),
        None => Some((text.to_owned(), port)),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_to_its_length_and_no_bytes_panic() {
        let good = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}tail";
        assert_eq!(read_answer(good).unwrap(), b"{}");
        assert_eq!(read_answer(b"HTTP/1.0 200 OK\r\n\r\nall").unwrap(), b"all");
        let refused = read_answer("HTTP/1.1 410 Gone\r\n\r\nmã đã dùng".as_bytes()).unwrap_err();
        assert_eq!(refused.to_string(), "the server refused with status 410: mã đã dùng");
        for bad in [
            &b""[..],
            b"HTTP/1.1 200 OK",
            b"SMTP\r\n\r\n",
            b"HTTP/1.1 x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        ] {
            assert!(matches!(read_answer(bad), Err(EnrolError::Garbled { .. })), "{bad:?}");
        }
    }

    /// A server that says one byte more whenever it is asked.
    struct Endless;

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            std::thread::sleep(Duration::from_millis(5));
            buffer[0] = b'x';
            Ok(1)
        }
    }

    impl Write for Endless {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_answer_that_comes_drop_by_drop_is_not_waited_for_without_end() {
        let error = exchange(Endless, b"POST", 50).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    }

    #[test]
    fn hosts_are_told_from_ports() {
        let host = |text, port| split_host(text, port).unwrap();
        assert_eq!(host("a.vn", 443), ("a.vn".to_owned(), 443));
        assert_eq!(host("a.vn:8", 443), ("a.vn".to_owned(), 8));
        assert_eq!(host("[::1]:8", 443), ("::1".to_owned(), 8));
        assert_eq!(host("[::1]", 443), ("::1".to_owned(), 443));
        assert_eq!(split_host("a:b", 1), None);
        assert!(is_loopback("127.0.0.9") && is_loopback("::1") && is_loopback("localhost"));
        assert!(!is_loopback("10.0.0.1") && !is_loopback("localhost.vn"));
    }
}

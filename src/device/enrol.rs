//! Enrolment: a code becomes a key, an identity and a server to obey. Once.
//!
//! The answer is believed because its keys are signed by the root whose thumbprint stands in the
//! code, and it is only asked for over a line that the code pins: TLS whose chain holds the named
//! certificate, or loopback, or a network the operator called safe (`insecure_lan`).
//!
//! # Why the exchange is written here
//! The pin may name the server's own certificate or an authority above it, and dates cannot be
//! judged before the device knows the time. Neither can be said to a usual HTTP client; one POST
//! with a bounded answer can.

use super::disk;
use super::identity::{self, Identity, IdentityError};
use crate::domain::ids::Digest;
use crate::domain::time::UtcMs;
use crate::wire::enrol::{Answer, Code, Request};
use crate::wire::jws::SecretKey;
use crate::wire::{Refusal, b64, limits};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore,
    SignatureScheme, StreamOwned,
};
use std::fs::DirBuilder;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(15);

/// Whether the dates of the server's certificate count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dates {
    /// The clock of this machine is trusted: an ended certificate is refused.
    Judged,
    /// It is not: the chain and the pin alone are judged, since the server tells the time.
    NotJudged,
}

/// Why a device did not enrol.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    #[error("`{dir}` already belongs to a device")]
    Already { dir: PathBuf },
    #[error("the code ended at {exp} (seconds since 1970)")]
    Expired { exp: i64 },
    #[error("`{url}` is neither TLS nor this machine")]
    Insecure { url: String },
    #[error("`{url}` does not answer")]
    Unreachable {
        url: String,
        #[source]
        source: io::Error,
    },
    #[error("the code names no certificate for `{url}`")]
    Unpinned { url: String },
    #[error("`{host}` is not a host name")]
    Host { host: String },
    #[error("setting up TLS")]
    Tls(#[source] rustls::Error),
    #[error("`{url}` shows another certificate than the one named by the code")]
    Stranger { url: String },
    #[error("the certificate of `{url}` does not name that host")]
    Misnamed { url: String },
    #[error("the certificate of `{url}` does not hold at this time")]
    OutOfDate { url: String },
    #[error("no agreement on TLS with `{url}`")]
    Handshake {
        url: String,
        #[source]
        source: io::Error,
    },
    #[error("the server refused with status {status}: {said}")]
    Refused { status: u16, said: String },
    #[error("the answer is not readable: {why}")]
    Garbled { why: &'static str },
    #[error("the answer is not to be believed")]
    Unbelieved(#[source] Refusal),
    #[error("no randomness for a key")]
    Random(#[source] getrandom::Error),
    #[error(transparent)]
    Folder(#[from] IdentityError),
}

impl EnrolError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Already { .. } => "start without `--enrol`, or name another folder with `--data`",
            Self::Insecure { .. } => {
                "configure TLS on the server, or allow it in so many words: `--insecure-lan`"
            }
            Self::Unreachable { .. } => "check the network, and that the server runs",
            Self::Expired { .. } | Self::Unpinned { .. } | Self::Host { .. } => {
                "ask the operator for a new code"
            }
            Self::Tls(_) => "the libraries of this machine may be too old for TLS 1.2",
            Self::Stranger { .. } => {
                "if the server's certificate was replaced on purpose, ask the operator for a new \
                 code; otherwise somebody stands between: do not enrol here"
            }
            Self::Misnamed { .. } => {
                "on the server: `loa tls renew --name HOST`, with the host of `public_url`"
            }
            Self::OutOfDate { .. } => {
                "on the server: `loa tls renew`, then start it again; and check this clock"
            }
            Self::Handshake { .. } => "is this really the HTTPS address of a Loa server?",
            Self::Refused { .. } => {
                "a used, ended or mismatching code enrols nothing: ask for a new one"
            }
            Self::Garbled { .. } => "is this really the address of a Loa server?",
            Self::Unbelieved(refusal) => refusal.hint(),
            Self::Random(_) => "the system's source of randomness does not answer",
            Self::Folder(error) => error.hint(),
        }
    }
}

/// Enrols a device into an empty folder. Blocks for as long as the server takes.
pub fn enrol(
    dir: &Path,
    code: &Code,
    insecure_lan: bool,
    fw: &str,
    now: UtcMs,
    dates: Dates,
) -> Result<Identity, EnrolError> {
    if dir.join("identity.json").exists() {
        return Err(EnrolError::Already { dir: dir.to_owned() });
    }
    // A clock that was never set says 1970: then the server judges the code's end alone.
    if code.is_expired(now) {
        return Err(EnrolError::Expired { exp: code.exp });
    }
    let disk_error = |path: &Path| {
        let path = path.to_owned();
        move |source| EnrolError::Folder(IdentityError::Disk { path, source })
    };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(disk_error(dir))?;
    let _lock = identity::lock(dir)?;
    let mut seed = [0; 32];
    let mut nonce = [0; 16];
    getrandom::fill(&mut seed).map_err(EnrolError::Random)?;
    getrandom::fill(&mut nonce).map_err(EnrolError::Random)?;
    let key = SecretKey::from_seed(&seed);
    let request = Request::sign(&key, &code.secret, &nonce, fw);
    let answer = post(code, &request, insecure_lan, dates)?;
    let enrolled = Answer::open(&answer, code, &request).map_err(EnrolError::Unbelieved)?;
    let welcome = &enrolled.welcome;
    let identity = Identity {
        v: 1,
        id: welcome.id.clone(),
        server: welcome.iss.clone(),
        root: code.root,
        broker: welcome.broker.clone(),
        broker_ca: welcome.ca.is_some(),
        prefix: welcome.prefix.clone(),
        user: welcome.user.clone(),
        password: welcome.password.clone(),
        units: welcome.units.clone(),
        insecure_lan,
    };
    let put = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        disk::write(&path, bytes).map_err(disk_error(&path))
    };
    put("key", b64::encode(&seed).as_bytes())?;
    put("keys.json", &enrolled.keys.body().encode())?;
    put("floor.jws", enrolled.floor_text.as_bytes())?;
    if let Some(ca) = &welcome.ca {
        put("broker-ca.pem", ca.as_bytes())?;
    }
    let saved = super::trust::Saved { floor: UtcMs::from_numeric_date(welcome.iat), sync: None };
    let trust = dir.join("trust.json");
    disk::write_json(&trust, &saved).map_err(disk_error(&trust))?;
    // Last: until this file stands, the folder is not enrolled.
    let path = dir.join("identity.json");
    disk::write_json(&path, &identity).map_err(disk_error(&path))?;
    Ok(identity)
}

/// Asks the server and returns the answer's body.
fn post(
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
        exchange(StreamOwned::new(client, stream), &message)
    } else {
        exchange(stream, &message)
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

fn is_date(fault: &CertificateError) -> bool {
    matches!(
        fault,
        CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
    )
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

fn exchange(mut stream: impl Read + Write, message: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(message)?;
    stream.flush()?;
    let most = limits::ENROL_ANSWER_BYTES as u64 + 16_384;
    let mut answer = Vec::new();
    match stream.take(most).read_to_end(&mut answer) {
        // Some servers close without saying goodbye; the length is checked below.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !answer.is_empty() => {}
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    Ok(answer)
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

fn pinned(pin: Digest, dates: Dates) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let pin = Arc::new(Pin { named: pin, dates, provider });
    Ok(config.dangerous().with_custom_certificate_verifier(pin).with_no_client_auth())
}

/// Believes a chain that holds the pinned certificate. Where the clock is not trusted dates are
/// not judged: a device that has never heard the time enrols too.
#[derive(Debug)]
struct Pin {
    named: Digest,
    dates: Dates,
    provider: Arc<rustls::crypto::CryptoProvider>,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let unknown = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let is_pinned = |c: &&CertificateDer<'_>| Digest::of(c.as_ref()) == self.named;
        let itself = Some(end_entity).filter(is_pinned);
        let anchor = itself.or_else(|| intermediates.iter().find(is_pinned)).ok_or_else(unknown)?;
        let mut roots = RootCertStore::empty();
        roots.add(anchor.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&self.provider),
        )
        .build()
        .map_err(|_| unknown())?;
        let judged =
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let Err(rustls::Error::InvalidCertificate(fault)) = judged else { return judged };
        match (is_date(&fault), self.dates) {
            (true, Dates::NotJudged) => Ok(ServerCertVerified::assertion()),
            // The very certificate that the code names needs neither name nor chain.
            (false, _) if itself.is_some() => Ok(ServerCertVerified::assertion()),
            _ => Err(rustls::Error::InvalidCertificate(fault)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let schemes = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, schemes)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let schemes = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, schemes)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
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

    #[test]
    fn a_plain_line_over_a_network_is_refused_before_anything_is_sent() {
        let dir = tempfile::TempDir::new().unwrap();
        let root = SecretKey::from_seed(&[1; 32]).kid();
        let secret = crate::wire::enrol::Secret::new([2; 16]);
        let url = "http://192.0.2.1:9".to_owned();
        let code = Code { url, secret, root, ca: None, exp: 2_000_000_000 };
        let refused = enrol(dir.path(), &code, false, "test", UtcMs(0), Dates::Judged).unwrap_err();
        assert!(matches!(refused, EnrolError::Insecure { .. }), "{refused}");
        let late = UtcMs::from_numeric_date(2_000_000_000);
        let refused = enrol(dir.path(), &code, false, "test", late, Dates::Judged).unwrap_err();
        assert!(matches!(refused, EnrolError::Expired { .. }), "{refused}");
        assert!(!dir.path().join("key").exists(), "nothing is left behind");
    }
}

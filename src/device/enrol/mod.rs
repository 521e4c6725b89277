//! Enrolment: a code becomes a key, an identity and a server to obey. Once.
//!
//! The answer is believed because its keys are signed by the root whose thumbprint stands in the
//! code, and it is only asked for over a line that the code pins: TLS whose chain holds the named
//! certificate, or loopback, or a network the operator called safe (`insecure_lan`).

mod exchange;
mod pin;

use super::disk;
use super::identity::{self, Identity, IdentityError};
use crate::domain::time::UtcMs;
use crate::wire::enrol::{Answer, Code, Request};
use crate::wire::jws::SecretKey;
use crate::wire::{Refusal, b64};
use exchange::post;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

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

#[cfg(test)]
mod tests {
    use super::*;

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

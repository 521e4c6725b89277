//! The station's own certificate authority, for a network where no public one helps.
//!
//! One authority of [`AUTHORITY_YEARS`] years, which devices pin when they enrol, signs one
//! certificate for both listeners; that one lasts [`LEAF_DAYS`] days and is made anew long before
//! its end, so no device ever has to learn another authority.
//!
//! # Invariants
//! * Keys are shown nowhere: no `Debug`, no log line, no error has them.
//! * The authority signs certificates of servers and nothing else; no chain goes on below them.
//! * A certificate always names loopback too: page and health check of the machine itself.
//!
//! Leaves files to the commands.

use crate::domain::time::UtcMs;
use chrono::{Datelike as _, Days, NaiveDate};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};
use zeroize::Zeroizing;

/// How long the authority lasts.
pub const AUTHORITY_YEARS: u64 = 20;
/// How long a certificate of a server lasts.
pub const LEAF_DAYS: u64 = 825;
/// A server's own certificate with fewer days left is made anew at its start.
pub const RENEW_DAYS: i64 = 120;

const DAY_MS: i64 = 86_400_000;
/// Names that every certificate has besides those asked for.
const OWN: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// Names that one certificate may have.
const NAMES: usize = 50;

/// Why a certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    #[error("`{name}` is neither a host name nor an address")]
    Name { name: String },
    #[error("{count} names for one certificate, the most is {NAMES}")]
    Names { count: usize },
    #[error("the {what} cannot be read: {why}")]
    Unreadable { what: &'static str, why: String },
    #[error("the key does not belong to the authority")]
    Mismatch,
    #[error("the authority ends on {until}, before the certificate would")]
    Ends { until: String },
    #[error("making a certificate")]
    Make(#[source] rcgen::Error),
}

impl CaError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Name { .. } => {
                "give names as devices and browsers use them: `loa.xa-vi-du.vn,192.168.1.10`"
            }
            Self::Names { .. } => "leave some out",
            Self::Unreadable { .. } | Self::Mismatch => {
                "restore the file from a backup; a new authority means enrolling every device anew"
            }
            Self::Ends { .. } => {
                "move the authority's files away, make a new one, and enrol every device anew"
            }
            Self::Make(_) => "try again; the system's randomness may not answer",
        }
    }
}

/// An authority with its key.
pub struct Authority {
    key: KeyPair,
    name: String,
    pem: String,
    until: UtcMs,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({}, …)", self.name)
    }
}

/// A certificate for a server, with its key, as written to files.
pub struct Issued {
    /// The certificate and the authority's, PEM.
    pub chain: String,
    /// Its private key, PEM.
    pub key: Zeroizing<String>,
}

impl Authority {
    /// Makes an authority named after the station.
    pub fn make(station: &str, now: UtcMs) -> Result<Self, CaError> {
        let key = KeyPair::generate().map_err(CaError::Make)?;
        // A few digits of the key tell two authorities of one station apart in a browser's list.
        let mut mark = crate::domain::ids::Digest::of(key.public_key_raw()).to_string();
        mark.truncate(8);
        let station: String = station.chars().filter(|c| !c.is_control()).take(40).collect();
        let name = format!("Loa CA {station} {mark}");
        let mut params = authority_params(&name);
        let today = day(now);
        let end = today.with_year(today.year() + years()).unwrap_or(today + Days::new(7_300));
        date(&mut params, today, end);
        let pem = params.self_signed(&key).map_err(CaError::Make)?.pem();
        let until = Certificate::read(&pem)?.until;
        Ok(Self { key, name, pem, until })
    }

    /// Reads an authority from its files.
    pub fn read(pem: &str, key: &str) -> Result<Self, CaError> {
        let certificate = Certificate::read(pem)?;
        let key = KeyPair::from_pem(key).map_err(|error| {
            // The error of the library does not repeat what it read.
            CaError::Unreadable { what: "authority's key", why: error.to_string() }
        })?;
        if certificate.public_key != key.public_key_raw() {
            return Err(CaError::Mismatch);
        }
        let Certificate { subject: name, until, .. } = certificate;
        Ok(Self { key, name, pem: pem.to_owned(), until })
    }

    /// Returns the certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Returns the private key, PEM, for a file of its owner alone.
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.key.serialize_pem())
    }

    /// Says whether a chain ends in this authority.
    pub fn signed(&self, chain: &str) -> bool {
        let last = CertificateDer::pem_slice_iter(chain.as_bytes()).flatten().last();
        let own = CertificateDer::from_pem_slice(self.pem.as_bytes()).ok();
        last.is_some() && last == own
    }

    /// Makes a certificate for a server of these names.
    pub fn issue(&self, names: &[String], now: UtcMs) -> Result<Issued, CaError> {
        let names: BTreeSet<&str> =
            names.iter().map(String::as_str).chain(OWN).map(str::trim).collect();
        if names.len() > NAMES {
            return Err(CaError::Names { count: names.len() });
        }
        if let Some(name) = names.iter().find(|name| ServerName::try_from(**name).is_err()) {
            return Err(CaError::Name { name: name.chars().take(80).collect() });
        }
        let today = day(now);
        let end = today + Days::new(LEAF_DAYS);
        if self.until < at_midnight(end) {
            let until = day(self.until).to_string();
            return Err(CaError::Ends { until });
        }
        let first = names.iter().find(|name| !OWN.contains(name)).unwrap_or(&OWN[0]);
        let mut params =
            CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>())
                .map_err(CaError::Make)?;
        params.distinguished_name = common_name(&first.chars().take(64).collect::<String>());
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        date(&mut params, today, end);
        let key = KeyPair::generate().map_err(CaError::Make)?;
        let authority = authority_params(&self.name);
        let issuer = Issuer::from_params(&authority, &self.key);
        let leaf = params.signed_by(&key, &issuer).map_err(CaError::Make)?;
        Ok(Issued {
            chain: format!("{}{}", leaf.pem(), self.pem),
            key: Zeroizing::new(key.serialize_pem()),
        })
    }
}

/// What a certificate says of itself; nothing here is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The common name.
    pub subject: String,
    /// Host names and addresses.
    pub names: Vec<String>,
    /// The last instant at which it holds.
    pub until: UtcMs,
    public_key: Vec<u8>,
}

impl Certificate {
    /// Reads the first certificate of a PEM file.
    pub fn read(pem: &str) -> Result<Self, CaError> {
        let unreadable = |why: String| CaError::Unreadable { what: "certificate", why };
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| unreadable(error.to_string()))?;
        let (_, read) =
            X509Certificate::from_der(&der).map_err(|error| unreadable(error.to_string()))?;
        let subject = read.subject().iter_common_name().next().and_then(|cn| cn.as_str().ok());
        let named = read.subject_alternative_name().ok().flatten();
        let names = named.iter().flat_map(|names| &names.value.general_names);
        let names = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        });
        Ok(Self {
            subject: subject.unwrap_or_default().to_owned(),
            names: names.collect(),
            until: UtcMs(read.validity().not_after.timestamp().saturating_mul(1000)),
            public_key: read.public_key().subject_public_key.data.to_vec(),
        })
    }

    /// Returns how many whole days it still holds; negative when it has ended.
    pub fn days_left(&self, now: UtcMs) -> i64 {
        (self.until.0 - now.0).div_euclid(DAY_MS)
    }

    /// Returns the names that were asked for: without those of loopback.
    pub fn given_names(&self) -> Vec<String> {
        self.names.iter().filter(|name| !OWN.contains(&name.as_str())).cloned().collect()
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let sixteen = || <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| sixteen()).ok().map(|ip| ip.to_string())
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn years() -> i32 {
    i32::try_from(AUTHORITY_YEARS).unwrap_or(20)
}

fn day(now: UtcMs) -> NaiveDate {
    now.datetime().date_naive()
}

fn at_midnight(day: NaiveDate) -> UtcMs {
    UtcMs::from(day.and_time(chrono::NaiveTime::MIN).and_utc())
}

/// Dates a certificate by whole days, a day early for clocks that lag.
fn date(params: &mut CertificateParams, today: NaiveDate, end: NaiveDate) {
    let number = |n: u32| u8::try_from(n).unwrap_or(1);
    let at = |d: NaiveDate| rcgen::date_time_ymd(d.year(), number(d.month()), number(d.day()));
    (params.not_before, params.not_after) = (at(today - Days::new(1)), at(end));
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UtcMs = UtcMs(1_795_219_200_000);

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_certificate_names_what_was_asked_for_and_loopback_and_lasts_as_stated() {
        let ca = Authority::make("Đài xã Tân Hoà", NOW).unwrap();
        let issued = ca.issue(&names(&["loa.xa.vn", "192.168.1.10", "fe80::1"]), NOW).unwrap();
        let read = Certificate::read(&issued.chain).unwrap();
        assert_eq!(
            read.names,
            ["127.0.0.1", "192.168.1.10", "::1", "fe80::1", "loa.xa.vn", "localhost"]
        );
        assert_eq!(read.given_names(), ["192.168.1.10", "fe80::1", "loa.xa.vn"]);
        assert_eq!(read.subject, "192.168.1.10");
        let days = i64::try_from(LEAF_DAYS).unwrap();
        assert!((days - 1..=days).contains(&read.days_left(NOW)));
        assert!(read.days_left(NOW.plus((days + 1) * DAY_MS)) < 0);
        assert!(ca.signed(&issued.chain));
    }

    #[test]
    fn an_authority_read_back_signs_as_before_and_only_with_its_own_key() {
        let made = Authority::make("Xã", NOW).unwrap();
        let other = Authority::make("Xã", NOW).unwrap();
        let again = Authority::read(made.pem(), &made.key_pem()).unwrap();
        let issued = again.issue(&names(&["a.vn"]), NOW).unwrap();
        assert!(made.signed(&issued.chain) && !other.signed(&issued.chain));
        assert!(matches!(Authority::read(made.pem(), &other.key_pem()), Err(CaError::Mismatch)));
        for (pem, key) in [("", made.key_pem().as_str()), (made.pem(), ""), ("x", "y")] {
            assert!(matches!(Authority::read(pem, key), Err(CaError::Unreadable { .. })));
        }
        verify(&made, &issued, "a.vn", NOW).unwrap();
        verify(&made, &issued, "127.0.0.1", NOW).unwrap();
        verify(&made, &issued, "b.vn", NOW).unwrap_err();
        verify(&other, &issued, "a.vn", NOW).unwrap_err();
        verify(&made, &issued, "a.vn", NOW.plus(830 * DAY_MS)).unwrap_err();
    }

    /// Judges as every client does.
    fn verify(ca: &Authority, issued: &Issued, host: &str, at: UtcMs) -> Result<(), rustls::Error> {
        use rustls::client::WebPkiServerVerifier;
        use rustls::client::danger::ServerCertVerifier as _;
        use rustls::pki_types::UnixTime;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider);
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(issued.chain.as_bytes()).flatten().collect();
        let at = std::time::Duration::from_millis(at.0.unsigned_abs());
        let (host, at) = (ServerName::try_from(host).unwrap(), UnixTime::since_unix_epoch(at));
        let verifier = verifier.build().unwrap();
        verifier.verify_server_cert(&chain[0], &chain[1..], &host, &[], at).map(|_| ())
    }

    #[test]
    fn names_that_are_none_and_an_authority_near_its_end_are_refused() {
        let ca = Authority::make("Xã", NOW).unwrap();
        let refused = ca.issue(&names(&["đài.vn"]), NOW).err().unwrap();
        assert_eq!(refused.to_string(), "`đài.vn` is neither a host name nor an address");
        let many: Vec<_> = (0..NAMES).map(|n| format!("h{n}.vn")).collect();
        assert!(matches!(ca.issue(&many, NOW), Err(CaError::Names { .. })));
        let late = NOW.plus(19 * 365 * DAY_MS);
        assert!(matches!(ca.issue(&[], late), Err(CaError::Ends { .. })));
    }

    #[test]
    fn nothing_of_a_key_is_ever_shown() {
        let ca = Authority::make("Xã", NOW).unwrap();
        let shown = format!("{ca:?}");
        assert!(shown.starts_with("Authority(Loa CA Xã ") && shown.len() < 60, "{shown}");
    }
}

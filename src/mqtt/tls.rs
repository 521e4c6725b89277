//! How an `mqtts://` broker is recognised.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Says whether the clock of this machine may be believed; shared with whoever knows.
pub type TimeTrusted = Arc<AtomicBool>;

/// What a broker's certificate is judged by.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings {
    /// PEM file of the authority that signed it; the system's authorities when `None`.
    pub ca_file: Option<PathBuf>,
    /// When given and false, the certificate's dates are not judged (its chain is): a device
    /// without trusted time would otherwise never reach the server that tells it the time.
    pub time_trusted: Option<TimeTrusted>,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("reading the CA file `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("no certificate in the CA file `{path}`")]
    Empty { path: PathBuf },
    #[error("this system has no certificate authorities")]
    NoSystemRoots,
    #[error("setting up TLS")]
    Rustls(#[source] Error),
}

impl TlsError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } | Self::Empty { .. } => {
                "name the PEM file of the authority that signed the broker's certificate"
            }
            Self::NoSystemRoots => "name a CA file, or install the package `ca-certificates`",
            Self::Rustls(_) => "check the CA file",
        }
    }
}

/// Returns the TLS side of a client.
pub(super) fn client(settings: &TlsSettings) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &settings.ca_file {
        let read = std::fs::read(path);
        let pem = read.map_err(|source| TlsError::Read { path: path.clone(), source })?;
        let certificates = CertificateDer::pem_slice_iter(&pem).flatten();
        if roots.add_parsable_certificates(certificates).0 == 0 {
            return Err(TlsError::Empty { path: path.clone() });
        }
    } else {
        let certificates = rustls_native_certs::load_native_certs().certs;
        if roots.add_parsable_certificates(certificates).0 == 0 {
            return Err(TlsError::NoSystemRoots);
        }
    }
    // The provider is named, since another crate may have linked a second one.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|e| TlsError::Rustls(Error::General(e.to_string())))?;
    let verifier = Verifier { inner: verifier, time_trusted: settings.time_trusted.clone() };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Rustls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    if settings.time_trusted.is_some() {
        // A resumed session shows no certificate: what was let in undated would stay in.
        config.resumption = Resumption::disabled();
    }
    Ok(config)
}

/// Says what to do when a broker's certificate was the cause of a failure.
pub(super) fn remedy(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let wrapped = || cause.downcast_ref::<std::io::Error>()?.get_ref()?.downcast_ref::<Error>();
    match cause.downcast_ref::<Error>().or_else(wrapped)? {
        Error::InvalidCertificate(fault) => Some(match fault {
            CertificateError::UnknownIssuer
            | CertificateError::BadSignature
            | CertificateError::UnhandledCriticalExtension => {
                "the broker shows a certificate of another authority than the one pinned at \
                 enrolment (or named by `ca_file`): if it was replaced on purpose enrol anew, \
                 otherwise somebody stands between"
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => {
                "renew the broker's certificate (`loa tls renew`) and check this clock"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "make the broker a certificate with the host name that devices use"
            }
            _ => "look at the broker's certificate",
        }),
        Error::AlertReceived(_) | Error::InvalidMessage(_) => {
            Some("check that the broker speaks TLS on this port")
        }
        _ => None,
    }
}

/// Judges as usual, but for the dates while the clock is not trusted.
#[derive(Debug)]
struct Verifier {
    inner: Arc<WebPkiServerVerifier>,
    time_trusted: Option<TimeTrusted>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let trusted = self.time_trusted.as_ref().is_none_or(|t| t.load(Ordering::SeqCst));
        let mut at = now;
        // Each certificate of a chain may ask for another instant; chains are short.
        for _ in 0..8 {
            let verdict = self.inner.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                at,
            );
            at = match verdict {
                Err(Error::InvalidCertificate(CertificateError::ExpiredContext {
                    not_after,
                    ..
                })) if !trusted => not_after,
                Err(Error::InvalidCertificate(CertificateError::NotValidYetContext {
                    not_before,
                    ..
                })) if !trusted => not_before,
                verdict => return verdict,
            };
        }
        Err(Error::InvalidCertificate(CertificateError::Expired))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

//! The pin: which certificate is believed.

use super::Dates;
use crate::domain::ids::Digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use std::sync::Arc;

/// Returns a client that believes only chains which hold the named certificate.
pub(super) fn pinned(pin: Digest, dates: Dates) -> Result<ClientConfig, rustls::Error> {
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

/// Says whether a certificate is refused for its dates alone.
pub(super) fn is_date(fault: &CertificateError) -> bool {
    matches!(
        fault,
        CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
    )
}

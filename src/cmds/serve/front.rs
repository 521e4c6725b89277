//! Opens the HTTP front: listener, TLS, and what stands behind it.

use super::super::failed;
use crate::app::access;
use crate::app::ports::Store;
use crate::clock::SharedClock;
use crate::http::door::Door;
use crate::http::{AppState, ShownCertificate, router};
use anyhow::Context as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Binds the listener; TLS when there is a certificate to show.
pub async fn open(
    address: SocketAddr,
    shown: Option<Arc<ShownCertificate>>,
) -> anyhow::Result<(Door, SocketAddr)> {
    let tls = shown.map(acceptor).transpose()?;
    let listener = TcpListener::bind(address).await.map_err(|error| {
        let error = anyhow::Error::new(error).context(format!("listening on `{address}`"));
        failed(error, "another program may listen there; name another address by `--http`")
    })?;
    let bound = listener.local_addr()?;
    Ok((Door::open(listener, tls)?, bound))
}

/// Answers until told to stop, then finishes what runs.
pub async fn serve(door: Door, state: AppState, stop: CancellationToken) {
    let service = router(state).into_make_service_with_connect_info::<crate::http::door::Peer>();
    let served = axum::serve(door, service).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "The HTTP front ended");
    }
}

/// Reads a certificate with its key; both must belong together.
pub fn certified(cert: &Path, key: &Path) -> anyhow::Result<CertifiedKey> {
    let hint = "`tls_cert` and `tls_key` are PEM files, relative to the station folder";
    let failed = |error: anyhow::Error| failed(error, hint);
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|error| anyhow::anyhow!("{error}"))
        .with_context(|| format!("reading the certificates of `{}`", cert.display()))
        .map_err(failed)?;
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| anyhow::anyhow!("{error}"))
        .with_context(|| format!("reading the key `{}`", key.display()))
        .map_err(failed)?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain, secret, &provider)
        .with_context(|| format!("`{}` with the key `{}`", cert.display(), key.display()))
        .map_err(failed)
}

fn acceptor(shown: Arc<ShownCertificate>) -> anyhow::Result<TlsAcceptor> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("setting up TLS")?
        .with_no_client_auth()
        .with_cert_resolver(shown);
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Installs the recorder of the figures, once a process.
pub fn metrics() -> anyhow::Result<metrics_exporter_prometheus::PrometheusHandle> {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)
        .map_err(|_| anyhow::anyhow!("the figures of this process are recorded already"))?;
    Ok(handle)
}

/// Says where the page is, with a link that opens it once.
pub async fn announce(
    store: &dyn Store,
    clock: &SharedClock,
    bound: SocketAddr,
    tls: bool,
) -> anyhow::Result<()> {
    let life = Some(access::LINK_MS);
    let secret = access::grant(store, "serve", None, access::LINK, clock.now(), life).await?;
    let scheme = if tls { "https" } else { "http" };
    eprintln!("Page: {scheme}://{bound}/in/{} (opens once, within a day)", secret.reveal());
    Ok(())
}

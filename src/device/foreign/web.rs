//! Requests to foreign devices over HTTP: each in a thread of its own, so that a stop leaves while
//! another request hangs.
//!
//! No redirections, no proxy, no more of an answer than is read, and never longer than the dialect
//! waits.

use crate::dialect::machine::Body;
use crate::dialect::matching::MOST_READ;
use crate::dialect::model::Method;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Answers that may wait; the machine asks no more at a time.
const WAITING: usize = 64;

/// What came of a request: status and body, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WebAnswer {
    pub request: u32,
    pub answer: Option<(u16, Vec<u8>)>,
}

/// The client of one device.
#[derive(Debug)]
pub(super) struct Web {
    agent: ureq::Agent,
    told: mpsc::Sender<WebAnswer>,
    /// What came of each request.
    pub answers: mpsc::Receiver<WebAnswer>,
    /// Requests without an answer yet.
    pub open: usize,
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct WebRequest {
    pub request: u32,
    pub method: Method,
    pub url: String,
    pub body: Option<Body>,
    pub within_ms: i64,
}

impl Web {
    /// Returns a client; `tls` where the device is spoken to by `https`.
    pub fn new(tls: bool) -> Self {
        let mut config =
            ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None);
        if tls {
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let native = rustls_native_certs::load_native_certs().certs;
            let certs: Vec<_> =
                native.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
            let tls = TlsConfig::builder()
                .unversioned_rustls_crypto_provider(provider)
                .root_certs(RootCerts::new_with_certs(&certs));
            config = config.tls_config(tls.build());
        }
        let (told, answers) = mpsc::channel(WAITING);
        Self { agent: config.build().into(), told, answers, open: 0 }
    }

    /// Sends a request; its answer comes through `answers`.
    pub fn send(&mut self, request: WebRequest) {
        self.open += 1;
        let (agent, told) = (self.agent.clone(), self.told.clone());
        tokio::task::spawn_blocking(move || {
            let (number, url) = (request.request, request.url.clone());
            let answer = ask(&agent, request).map_err(|error| {
                tracing::debug!(%error, url, "No answer to a request");
            });
            // Nobody hears it once the device is let go.
            drop(told.blocking_send(WebAnswer { request: number, answer: answer.ok() }));
        });
    }
}

fn ask(agent: &ureq::Agent, request: WebRequest) -> Result<(u16, Vec<u8>), ureq::Error> {
    let WebRequest { method, url, body, within_ms, .. } = request;
    let within = Duration::from_millis(u64::try_from(within_ms).unwrap_or(0).max(1));
    let bytes = body.as_ref().map_or(&[][..], |body| &body.bytes);
    let kind = body.as_ref().map(|body| body.content_type);
    let response = match method {
        Method::Get => agent.get(&url).config().timeout_global(Some(within)).build().call(),
        Method::Post | Method::Put => {
            let asked = if method == Method::Put { agent.put(&url) } else { agent.post(&url) };
            let asked = match kind {
                Some(kind) => asked.header("content-type", kind),
                None => asked,
            };
            asked.config().timeout_global(Some(within)).build().send(bytes)
        }
    };
    let mut response = response?;
    let status = response.status().as_u16();
    let mut answer = Vec::new();
    let most = MOST_READ as u64 + 1;
    response.body_mut().as_reader().take(most).read_to_end(&mut answer).map_err(ureq::Error::Io)?;
    Ok((status, answer))
}

//! How commands talk to a running server: its HTTP API, with a person's token.
//!
//! Orders go this way and not by the store, so that roles are judged where they are kept, the
//! trail names a person, and the broker is told within the same breath.

use super::check::profiles_of;
use super::hidden::Hidden;
use super::token::TokenOption;
use super::{Advise as _, failed, wrong_use};
use crate::config::{self, ClipSource};
use crate::domain::station::AssetFacts;
use anyhow::Context as _;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Where the server is and who asks.
#[derive(Clone, Debug, clap::Args)]
pub struct ServerOption {
    /// Address of the server; from the station file unless given
    #[arg(long, value_name = "URL", env = "LOA_SERVER")]
    server: Option<String>,
    /// Station folder, for the server's address and certificate
    #[arg(long, value_name = "DIR", default_value = "playlists", env = "LOA_PLAYLISTS")]
    playlists: PathBuf,
    /// Certificate authority of the server (PEM); the station's own unless given
    #[arg(long, value_name = "FILE", env = "LOA_CA")]
    ca: Option<PathBuf>,
    #[command(flatten)]
    token: TokenOption,
}

/// Bytes of the largest file that a server hands out.
const FILE_BYTES: u64 = 1 << 30;

/// A server to ask.
pub struct Server {
    agent: ureq::Agent,
    url: String,
    token: Hidden,
}

impl ServerOption {
    /// Finds address, certificate and token.
    pub fn open(&self) -> anyhow::Result<Server> {
        let (url, ca) = self.address()?;
        let token = self.token.read()?;
        let tls = url.starts_with("https://");
        let agent = agent(Duration::from_mins(1), tls, ca.as_deref())?;
        Ok(Server { agent, url, token })
    }

    /// Says whether a server was named, and not only the folder that says where one is.
    pub fn is_named(&self) -> bool {
        self.server.is_some()
    }

    /// Returns the address, and the certificate to trust if there is one.
    fn address(&self) -> anyhow::Result<(String, Option<PathBuf>)> {
        if let Some(url) = &self.server {
            let url = url.trim_end_matches('/').to_owned();
            if !url.starts_with("http://") && !url.starts_with("https://") {
                return Err(wrong_use(
                    format!("`{url}` is not the address of a server"),
                    "as in `https://192.168.1.10:8443`",
                ));
            }
            return Ok((url, self.ca.clone()));
        }
        let profiles = profiles_of(&self.playlists, None);
        let loaded = config::load(&self.playlists, &profiles, &mut NoClips);
        let config = loaded.config.ok_or_else(|| {
            wrong_use(
                format!("`{}` does not say where the server is", self.playlists.display()),
                "name it with `--server URL`, or the station folder with `--playlists DIR`",
            )
        })?;
        let tls = config.listen.tls.as_ref();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let own = tls.map(|files| self.playlists.join(&files.cert));
        let url = config
            .listen
            .public_url
            .unwrap_or_else(|| format!("{scheme}://{}", reachable(config.listen.http)));
        Ok((url, self.ca.clone().or(own)))
    }
}

/// Returns a client that follows no redirections and reports every status; for TLS it trusts an
/// authority of its own, or the system's.
pub fn agent(timeout: Duration, tls: bool, ca: Option<&Path>) -> anyhow::Result<ureq::Agent> {
    let mut config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(timeout));
    if tls {
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = TlsConfig::builder().unversioned_rustls_crypto_provider(provider);
        let certs: Vec<Certificate<'static>> = if let Some(file) = ca {
            let pem =
                std::fs::read(file).with_context(|| format!("reading `{}`", file.display()))?;
            let certificate = |item| match item {
                Ok(ureq::tls::PemItem::Certificate(one)) => Some(one),
                _ => None,
            };
            ureq::tls::parse_pem(&pem).filter_map(certificate).collect()
        } else {
            let native = rustls_native_certs::load_native_certs().certs;
            native.iter().map(|der| Certificate::from_der(der).to_owned()).collect()
        };
        let builder = builder.root_certs(RootCerts::new_with_certs(&certs));
        config = config.tls_config(builder.build());
    }
    Ok(config.build().into())
}

/// A listener on all addresses is reached on this machine's own.
fn reachable(at: std::net::SocketAddr) -> std::net::SocketAddr {
    let mut at = at;
    if at.ip().is_unspecified() {
        at.set_ip(if at.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    at
}

/// Knows no clip: only the station file is looked at.
pub struct NoClips;

impl ClipSource for NoClips {
    fn facts(&mut self, _: &Path) -> Result<AssetFacts, String> {
        Err("not looked at".to_owned())
    }
}

impl Server {
    /// Asks for a resource below `/api/v1`.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.agent.get(self.at(path)).header("authorization", self.bearer());
        self.answer(request.call())
    }

    /// Orders something.
    pub fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.agent.post(self.at(path)).header("authorization", self.bearer());
        self.answer(request.send_json(body))
    }

    /// Puts something in its place.
    pub fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.agent.put(self.at(path)).header("authorization", self.bearer());
        self.answer(request.send_json(body))
    }

    /// Sends a file as it is.
    pub fn upload(&self, path: &str, bytes: &[u8]) -> anyhow::Result<Value> {
        let request = self.agent.post(self.at(path)).header("authorization", self.bearer());
        self.answer(request.content_type("application/octet-stream").send(bytes))
    }

    /// Asks for a file; returns it with the headers that tell of it.
    pub fn download(&self, path: &str) -> anyhow::Result<(ureq::http::HeaderMap, Vec<u8>)> {
        let request = self.agent.get(self.at(path)).header("authorization", self.bearer());
        self.file(request.call())
    }

    /// Asks for a file that is made by what is sent.
    pub fn download_by(
        &self,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<(ureq::http::HeaderMap, Vec<u8>)> {
        let request = self.agent.post(self.at(path)).header("authorization", self.bearer());
        self.file(request.send_json(body))
    }

    fn file(
        &self,
        answered: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> anyhow::Result<(ureq::http::HeaderMap, Vec<u8>)> {
        match answered {
            Ok(mut answer) if answer.status().is_success() => {
                let headers = answer.headers().clone();
                let bytes = answer.body_mut().with_config().limit(FILE_BYTES).read_to_vec()?;
                Ok((headers, bytes))
            }
            answered => Err(match self.answer(answered) {
                Ok(_) => failed(
                    anyhow::anyhow!("the server sent no file"),
                    "is this the address of a Loa server?",
                ),
                Err(error) => error,
            }),
        }
    }

    fn at(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.url)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token.reveal())
    }

    fn answer(
        &self,
        answered: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> anyhow::Result<Value> {
        let mut answer =
            answered
                .with_context(|| format!("asking the server at `{}`", self.url))
                .advise("is `loa serve` running there? `--server URL` names another address")?;
        let status = answer.status();
        let text = answer.body_mut().with_config().limit(64 << 20).read_to_string()?;
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(value);
        }
        let said = |name: &str| value[name].as_str().map(str::to_owned);
        let detail = said("detail").unwrap_or_else(|| format!("the server answered {status}"));
        let hint =
            said("hint").unwrap_or_else(|| "is this the address of a Loa server?".to_owned());
        match status.as_u16() {
            // What was asked for cannot be: the command was used wrongly.
            404 | 409 | 422 => Err(wrong_use(detail, hint)),
            _ => Err(failed(anyhow::Error::msg(detail), hint)),
        }
    }
}

/// Writes text into a part of a URL.
pub fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_url_is_escaped() {
        assert_eq!(escaped("10363-doai"), "10363-doai");
        assert_eq!(escaped("a/b c?Đ"), "a%2Fb%20c%3F%C4%90");
    }

    #[test]
    fn a_listener_on_all_addresses_is_asked_on_this_machine() {
        assert_eq!(reachable(([0, 0, 0, 0], 8080).into()).to_string(), "127.0.0.1:8080");
        assert_eq!(reachable(([10, 0, 0, 7], 8080).into()).to_string(), "10.0.0.7:8080");
    }
}

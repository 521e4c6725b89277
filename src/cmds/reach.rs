//! How devices reach a server, from its station file: for enrolment codes and answers.

use super::failed;
use crate::app::registry::Reach;
use crate::config::StationConfig;
use crate::domain::ids::Digest;
use crate::domain::time::UtcMs;
use crate::wire::topic::Topics;
use anyhow::Context as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::net::SocketAddr;
use std::path::Path;

/// Puts together what devices are told. `http` and `mqtt` are the addresses in use; `broker` the
/// external broker, if any.
pub fn reach(
    config: &StationConfig,
    folder: &Path,
    http: SocketAddr,
    mqtt: SocketAddr,
    broker: Option<&str>,
    now: UtcMs,
) -> anyhow::Result<Reach> {
    let tls = config.listen.tls.as_ref();
    let own = match tls {
        Some(files) => Some(authority(&folder.join(&files.cert))?),
        None => None,
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = match &config.listen.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("{scheme}://{}", known_address(http, "public_url")?),
    };
    let (broker, broker_ca) = if let Some(url) = broker {
        let ca = match &config.broker.ca_file {
            Some(file) => Some(pem_text(&folder.join(file))?),
            None => None,
        };
        (url.to_owned(), ca)
    } else {
        let scheme = if tls.is_some() { "mqtts" } else { "mqtt" };
        let address = match &config.listen.public_mqtt {
            Some(address) => address.clone(),
            None => known_address(mqtt, "public_mqtt")?,
        };
        (format!("{scheme}://{address}"), own.as_ref().map(|(_, pem)| pem.clone()))
    };
    let topics = Topics::new(&config.broker.prefix).map_err(|error| {
        let hint = error.hint();
        failed(error, hint)
    })?;
    Ok(Reach {
        name: config.name.clone(),
        // Behind a proxy that ends TLS the pin would be of another certificate: pin only our own.
        ca: own.filter(|_| url.starts_with("https://")).map(|(digest, _)| digest),
        url,
        broker,
        broker_ca,
        topics,
        offset_min: offset_min(config, now),
    })
}

/// Minutes that local time is ahead of UTC now.
fn offset_min(config: &StationConfig, now: UtcMs) -> i32 {
    use chrono::Offset as _;
    let local = now.datetime().with_timezone(&config.zone);
    local.offset().fix().local_minus_utc() / 60
}

/// An address that others can connect to: 0.0.0.0 is none.
fn known_address(address: SocketAddr, key: &str) -> anyhow::Result<String> {
    if address.ip().is_unspecified() {
        return Err(failed(
            anyhow::anyhow!("devices cannot connect to `{address}`"),
            format!("set `{key}` under `[listen]` in `station.toml` to what they can reach"),
        ));
    }
    Ok(address.to_string())
}

/// The last certificate of a chain: the authority, or the certificate itself when self-signed.
fn authority(path: &Path) -> anyhow::Result<(Digest, String)> {
    let certificates: Vec<CertificateDer<'_>> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| anyhow::anyhow!("{error}"))
        .with_context(|| format!("reading the certificates of `{}`", path.display()))?;
    let last =
        certificates.last().with_context(|| format!("no certificate in `{}`", path.display()))?;
    Ok((Digest::of(last), to_pem(last)))
}

fn pem_text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading `{}`", path.display()))
}

fn to_pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

//! Who asks: a program with a bearer token, a person with a session, somebody on this machine.

use super::door::Peer;
use super::error::ApiError;
use super::state::AppState;
use crate::app::access;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

/// The session cookie of the page.
pub const COOKIE: &str = "loa_page";

/// A request with a good API token; its name is for the log.
#[derive(Clone, Debug)]
pub struct Bearer {
    pub name: String,
}

impl FromRequestParts<AppState> for Bearer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let presented = bearer(&parts.headers).ok_or_else(ApiError::unauthorised)?;
        let now = state.clock.now();
        match access::check(&*state.store, access::API, presented, now).await? {
            Some(token) => Ok(Self { name: token.name }),
            None => Err(ApiError::unauthorised()),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim()).filter(|t| t.len() <= 256)
}

/// Somebody who may see the page: by session, or on this very machine.
#[derive(Clone, Copy, Debug)]
pub struct Viewer;

impl FromRequestParts<AppState> for Viewer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        if is_local(parts) {
            return Ok(Self);
        }
        let Some(session) = cookie(&parts.headers, COOKIE) else {
            return Err(ApiError::unauthorised());
        };
        let now = state.clock.now();
        match access::check(&*state.store, access::PAGE, session, now).await? {
            Some(_) => Ok(Self),
            None => Err(ApiError::unauthorised()),
        }
    }
}

/// Somebody who may read the metrics: on this machine or with a token.
#[derive(Clone, Copy, Debug)]
pub struct Watcher;

impl FromRequestParts<AppState> for Watcher {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        if is_local(parts) {
            return Ok(Self);
        }
        Bearer::from_request_parts(parts, state).await.map(|_| Self)
    }
}

/// Says whether the request comes from this machine and means it.
///
/// A foreign page may point a name of its own at 127.0.0.1 (DNS rebinding), so the `Host` must be
/// a loopback name too; a proxy on this machine speaks for others, so its marks rule it out.
fn is_local(parts: &Parts) -> bool {
    let peer = parts.extensions.get::<ConnectInfo<Peer>>().map(|info| info.0.0.ip());
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let proxied = ["forwarded", "x-forwarded-for", "x-real-ip", "via"]
        .iter()
        .any(|name| parts.headers.contains_key(*name));
    peer.is_some_and(|ip| ip.to_canonical().is_loopback()) && is_loopback_name(host) && !proxied
}

fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_count_as_this_machine() {
        for host in ["localhost", "localhost:8080", "127.0.0.1:80", "127.9.9.9", "[::1]:8080"] {
            assert!(is_loopback_name(host), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example", "10.0.0.1", "[fe80::1]:80"] {
            assert!(!is_loopback_name(host), "{host}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=1; loa_page=x=y; b=2".parse().unwrap());
        assert_eq!(cookie(&headers, COOKIE), Some("x=y"));
        assert_eq!(cookie(&headers, "page"), None);
    }
}

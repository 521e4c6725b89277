//! Who asks: a program with a bearer token, a person with a session, somebody on this machine.

use super::door::Peer;
use super::error::ApiError;
use super::limit::Door;
use super::state::AppState;
use crate::app::access;
use crate::app::live::Live;
use crate::app::people::{Person, Role};
use crate::app::ports::Token;
use crate::app::trail::Actor;
use crate::domain::ids::{DeviceId, UnitId};
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use std::net::IpAddr;
use std::sync::Arc;

/// The session cookie of the page.
pub const COOKIE: &str = "loa_page";

/// A request with a good API token of a person who may something.
#[derive(Clone)]
pub struct Bearer {
    /// The token's name, for the log.
    pub name: String,
    pub person: Person,
    /// The address the request came from.
    from: String,
    live: Arc<Live>,
}

impl Bearer {
    /// Refuses whoever does not have the role for the unit, or for the whole station when `None`.
    pub fn may(&self, role: Role, unit: Option<&UnitId>) -> Result<(), ApiError> {
        let lineage = unit.map(|unit| self.live.lineage(unit));
        if self.person.may(role, lineage.as_deref()) {
            Ok(())
        } else {
            Err(ApiError::forbidden(role, unit))
        }
    }

    /// Refuses whoever does not have one of the roles for any unit at all.
    pub fn may_somewhere(&self, roles: &[Role]) -> Result<(), ApiError> {
        let units: Vec<_> = self.person.grants.iter().filter_map(|g| g.unit.as_ref()).collect();
        if units.iter().any(|unit| self.may_any(roles, Some(unit)).is_ok()) {
            return Ok(());
        }
        self.may_any(roles, None)
    }

    /// Refuses whoever does not have one of the roles.
    pub fn may_any(&self, roles: &[Role], unit: Option<&UnitId>) -> Result<(), ApiError> {
        let mut refused = Ok(());
        for role in roles {
            match self.may(*role, unit) {
                Ok(()) => return Ok(()),
                Err(error) => refused = Err(error),
            }
        }
        refused
    }

    /// Says whether the person may read about the unit, or about the whole station when `None`.
    pub fn sees(&self, unit: Option<&UnitId>) -> bool {
        let lineage = unit.map(|unit| self.live.lineage(unit));
        self.person.sees(lineage.as_deref())
    }

    /// Refuses whoever may not read about the device: what one may not see is not there. One
    /// that the register no longer has is for those who see the whole station.
    pub fn must_see(&self, device: &DeviceId) -> Result<(), ApiError> {
        let unit = self.live.devices().get(device).map(|known| known.device.unit.clone());
        let seen = self.sees(None) || unit.is_some_and(|unit| self.sees(Some(&unit)));
        if seen { Ok(()) } else { Err(ApiError::not_found("device", device)) }
    }

    /// Refuses whoever has no role at all.
    pub fn must_be_known(&self) -> Result<(), ApiError> {
        if self.person.is_known() { Ok(()) } else { Err(ApiError::no_role()) }
    }

    /// Refuses whoever may not read about the whole station.
    pub fn must_see_all(&self) -> Result<(), ApiError> {
        if self.sees(None) { Ok(()) } else { Err(ApiError::own_units_only()) }
    }

    /// Returns who acts, for the trail.
    pub fn actor(&self) -> Actor {
        Actor::new(self.person.id.as_str(), &self.from)
    }
}

impl FromRequestParts<AppState> for Bearer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let presented = bearer(&parts.headers).ok_or_else(ApiError::unauthorised)?;
        let (now, mono) = (state.clock.now(), state.clock.mono_ms());
        let peer = peer(parts);
        state.turnstile.pace(Door::Api, peer, mono)?;
        let found = access::check(&*state.store, access::API, presented, now).await?;
        let Some(Token { name, hash, person: Some(person), .. }) = found else {
            return Err(state.turnstile.refuse(Door::Api, peer, mono));
        };
        state.turnstile.right(Door::Api, peer);
        state.turnstile.admit_token(&hash, mono)?;
        // Someone whose last role was taken is told so; who has ended is told nothing.
        let person = state.store.person(&person).await?;
        let person = person.filter(|person| person.ended_ms.is_none());
        let person = person.ok_or_else(ApiError::unauthorised)?;
        let from = parts.extensions.get::<ConnectInfo<Peer>>();
        let from = from.map_or_else(String::new, |info| info.0.0.ip().to_string());
        Ok(Self { name, person, from, live: Arc::clone(&state.live) })
    }
}

/// Returns the address a request came from; one that is not known counts as one address.
fn peer(parts: &Parts) -> IpAddr {
    let info = parts.extensions.get::<ConnectInfo<Peer>>();
    info.map_or(IpAddr::from([0, 0, 0, 0]), |info| info.0.0.ip())
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
        state.turnstile.admit(Door::Page, peer(parts), state.clock.mono_ms())?;
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

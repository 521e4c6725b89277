//! `POST /enrol`: a device with a code becomes known.
//!
//! Open to all, so bounded by itself: small bodies, a few attempts a minute and address. What is
//! refused changes nothing but the count that the operator sees beside the code.

use super::door::Peer;
use super::error::ApiError;
use crate::app::registry::{EnrolError, Register};
use crate::clock::SharedClock;
use crate::domain::time::UtcMs;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Attempts of one address a minute.
const ATTEMPTS: u32 = 30;
/// Addresses remembered a minute; beyond that all share one count.
const ADDRESSES: usize = 10_000;
const MINUTE_MS: i64 = 60_000;

/// Counts attempts by address, anew each minute.
#[derive(Clone, Debug, Default)]
pub struct Turnstile(Arc<Mutex<Minute>>);

#[derive(Debug, Default)]
struct Minute {
    number: i64,
    attempts: BTreeMap<Option<IpAddr>, u32>,
}

impl Turnstile {
    /// Counts an attempt and says whether it may go on.
    fn admit(&self, from: IpAddr, now: UtcMs) -> bool {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = now.0.div_euclid(MINUTE_MS);
        if minute.number != number {
            *minute = Minute { number, attempts: BTreeMap::new() };
        }
        let known = minute.attempts.contains_key(&Some(from));
        let key = (known || minute.attempts.len() < ADDRESSES).then_some(from);
        let attempts = minute.attempts.entry(key).or_insert(0);
        *attempts = attempts.saturating_add(1);
        *attempts <= ATTEMPTS
    }
}

impl From<EnrolError> for ApiError {
    fn from(error: EnrolError) -> Self {
        let status = match &error {
            EnrolError::Request(_) => StatusCode::UNPROCESSABLE_ENTITY,
            EnrolError::Unknown | EnrolError::Mismatch | EnrolError::SpentKey => {
                StatusCode::FORBIDDEN
            }
            EnrolError::Used { .. } | EnrolError::Expired { .. } | EnrolError::Gone => {
                StatusCode::GONE
            }
            EnrolError::Unsigned(_) | EnrolError::Random { .. } | EnrolError::Store(_) => {
                return match error {
                    EnrolError::Store(error) => error.into(),
                    other => Self::internal(other),
                };
            }
        };
        Self::new(status, error.code(), &error).hint(error.hint())
    }
}

/// Enrols the device that asks.
pub async fn post(
    State(register): State<Arc<Register>>,
    State(turnstile): State<Turnstile>,
    State(clock): State<SharedClock>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    body: Bytes,
) -> Result<Response, ApiError> {
    if !turnstile.admit(peer.ip(), clock.now()) {
        let status = StatusCode::TOO_MANY_REQUESTS;
        return Err(ApiError::new(status, "too-many", "too many attempts from this address")
            .hint("try again in a minute"));
    }
    let text = std::str::from_utf8(&body)
        .map_err(|_| ApiError::invalid("the body is not text", "one compact JWS"))?;
    let answer = register.enrol(text.trim()).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], answer).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_attempts_a_minute_and_others_have_theirs() {
        let turnstile = Turnstile::default();
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        assert!((0..ATTEMPTS).all(|_| turnstile.admit(a, UtcMs(5))));
        assert!(!turnstile.admit(a, UtcMs(MINUTE_MS - 1)));
        assert!(turnstile.admit(b, UtcMs(MINUTE_MS - 1)));
        assert!(turnstile.admit(a, UtcMs(MINUTE_MS)));
    }
}

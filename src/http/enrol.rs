//! `POST /enrol`: a device with a code becomes known.
//!
//! Open to all, so bounded by itself: small bodies, a few attempts a minute and address. What is
//! refused changes nothing but the count that the operator sees beside the code.

use super::door::Peer;
use super::error::ApiError;
use super::limit::{Door, Turnstile};
use crate::app::registry::{EnrolError, Register};
use crate::clock::SharedClock;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

impl From<EnrolError> for ApiError {
    fn from(error: EnrolError) -> Self {
        let status = match &error {
            EnrolError::Request(_) => StatusCode::UNPROCESSABLE_ENTITY,
            EnrolError::Unknown | EnrolError::Mismatch | EnrolError::SpentKey => {
                StatusCode::FORBIDDEN
            }
            EnrolError::Used { .. }
            | EnrolError::Expired { .. }
            | EnrolError::Gone
            | EnrolError::Behind => StatusCode::GONE,
            EnrolError::Unsigned(_) | EnrolError::Store(_) => {
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
    turnstile.admit(Door::Enrolment, peer.ip(), clock.mono_ms())?;
    let text = std::str::from_utf8(&body)
        .map_err(|_| ApiError::invalid("the body is not text", "one compact JWS"))?;
    let answer = register.enrol(text.trim()).await.inspect_err(|error| {
        // A used or ended code is somebody's mistake; these two are guesses.
        if matches!(error, EnrolError::Unknown | EnrolError::Mismatch) {
            turnstile.wrong(Door::Enrolment, peer.ip(), clock.mono_ms());
        }
    })?;
    turnstile.right(Door::Enrolment, peer.ip());
    Ok(([(header::CONTENT_TYPE, "application/json")], answer).into_response())
}

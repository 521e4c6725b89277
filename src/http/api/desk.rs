//! Somebody at the desk where proposals are decided: who, from where, when.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::super::state::AppState;
use crate::app::approval::Desk;
use crate::app::ports::Store;
use crate::app::trail::Actor;
use crate::domain::time::UtcMs;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono_tz::Tz;
use std::sync::Arc;

/// What a handler needs to let a person decide, by a good token.
pub struct AtDesk {
    pub bearer: Bearer,
    actor: Actor,
    store: Arc<dyn Store>,
    now: UtcMs,
    /// The zone in which times are told.
    pub zone: Tz,
}

impl AtDesk {
    /// Returns the desk with the person at it.
    pub fn desk(&self) -> Desk<'_> {
        let person = &self.bearer.person;
        Desk { store: &*self.store, person, actor: &self.actor, now: self.now }
    }
}

impl FromRequestParts<AppState> for AtDesk {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let bearer = Bearer::from_request_parts(parts, state).await?;
        let (actor, store) = (bearer.actor(), Arc::clone(&state.store));
        let (now, zone) = (state.clock.now(), state.live.picture().zone);
        Ok(Self { bearer, actor, store, now, zone })
    }
}

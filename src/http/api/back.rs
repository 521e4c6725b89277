//! Playlists out of force at once, or back to what was approved before.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::proposals::{Because, ChangeView};
use super::{Body, id};
use crate::app::approval::{Back, Backed, Desk, Scope};
use crate::app::live::Live;
use crate::app::ports::Store;
use crate::clock::SharedClock;
use axum::Json;
use axum::extract::{Path, State};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Where to go back to, and how much.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollBack {
    /// The approval whose outcome is wanted again.
    hash: String,
    /// Only this playlist.
    playlist: Option<String>,
    /// Only the playlists that address this unit and no others.
    unit: Option<String>,
    reason: String,
    /// Only show what would change.
    #[serde(default)]
    dry_run: bool,
}

/// What a step back did, or would do.
#[derive(Serialize, ToSchema)]
pub struct Stepped {
    /// `done` or `shown`.
    decided: &'static str,
    /// Files that change.
    files: Vec<String>,
    /// Playlists that concern the unit and others too: they stay as they are.
    stay: Vec<String>,
    /// Cues, those within an hour of quiet hours first.
    changes: Vec<ChangeView>,
    /// How many more cues change.
    more: usize,
}

impl Stepped {
    fn new(backed: &Backed, decided: &'static str, zone: Tz) -> Self {
        let preview = &backed.preview;
        Self {
            decided,
            files: backed.files.clone(),
            stay: backed.stay.iter().map(ToString::to_string).collect(),
            changes: preview.changes.iter().map(|c| ChangeView::new(c, zone)).collect(),
            more: preview.more,
        }
    }
}

/// Goes back to what an earlier approval brought: the whole station, one playlist, or those of a
/// unit; registers and profiles stay as they are.
#[utoipa::path(post, path = "/rollback", operation_id = "roll_back", tag = "approval",
    request_body = RollBack, responses(
    (status = 200, body = Stepped), (status = 401, body = ApiError),
    (status = 403, body = ApiError), (status = 404, body = ApiError),
    (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub async fn roll_back(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
    Body(wanted): Body<RollBack>,
) -> Result<Json<Stepped>, ApiError> {
    let scope = match (&wanted.playlist, &wanted.unit) {
        (None, None) => Scope::Station,
        (Some(list), None) => Scope::Playlist(id(list)?),
        (None, Some(unit)) => Scope::Unit(id(unit)?),
        (Some(_), Some(_)) => {
            let status = axum::http::StatusCode::UNPROCESSABLE_ENTITY;
            let both = "a playlist and a unit are named";
            return Err(ApiError::new(status, "invalid", both).hint("name one of them, or neither"));
        }
    };
    let (back, actor) = (Back { scope, to: Some(id(&wanted.hash)?) }, bearer.actor());
    let desk = Desk { store: &*store, person: &bearer.person, actor: &actor, now: clock.now() };
    let zone = live.picture().zone;
    if wanted.dry_run {
        bearer.must_be_known()?;
        return Ok(Json(Stepped::new(&desk.look_back(&back).await?, "shown", zone)));
    }
    Ok(Json(Stepped::new(&desk.go_back(&back, &wanted.reason).await?, "done", zone)))
}

/// Takes a playlist out of force at once; its file waits for approval again.
#[utoipa::path(post, path = "/playlists/{id}/withdraw", operation_id = "withdraw_playlist", tag = "approval",
    params(("id" = String, Path, description = "playlist id")), request_body = Because, responses(
    (status = 200, body = Stepped), (status = 401, body = ApiError),
    (status = 403, body = ApiError), (status = 404, body = ApiError),
    (status = 422, body = ApiError)))]
pub async fn withdraw(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
    Path(list): Path<String>,
    Body(why): Body<Because>,
) -> Result<Json<Stepped>, ApiError> {
    let (back, actor) = (Back { scope: Scope::Playlist(id(&list)?), to: None }, bearer.actor());
    let desk = Desk { store: &*store, person: &bearer.person, actor: &actor, now: clock.now() };
    let backed = desk.go_back(&back, &why.reason).await?;
    Ok(Json(Stepped::new(&backed, "done", live.picture().zone)))
}

/// Takes the playlists that address a unit and no others out of force at once.
#[utoipa::path(post, path = "/units/{id}/withdraw", operation_id = "withdraw_unit", tag = "approval",
    params(("id" = String, Path, description = "unit")), request_body = Because, responses(
    (status = 200, body = Stepped), (status = 401, body = ApiError),
    (status = 403, body = ApiError), (status = 404, body = ApiError),
    (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub async fn withdraw_unit(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
    Path(unit): Path<String>,
    Body(why): Body<Because>,
) -> Result<Json<Stepped>, ApiError> {
    let (back, actor) = (Back { scope: Scope::Unit(id(&unit)?), to: None }, bearer.actor());
    let desk = Desk { store: &*store, person: &bearer.person, actor: &actor, now: clock.now() };
    let backed = desk.go_back(&back, &why.reason).await?;
    Ok(Json(Stepped::new(&backed, "done", live.picture().zone)))
}

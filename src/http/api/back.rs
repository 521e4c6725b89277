//! Playlists out of force at once, or back to what was approved before.

use super::super::error::ApiError;
use super::desk::AtDesk;
use super::proposals::{Because, ChangeView};
use super::{Body, id};
use crate::app::approval::{Back, Backed, Scope};
use axum::Json;
use axum::extract::Path;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
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
    at: AtDesk,
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
    let back = Back { scope, to: Some(id(&wanted.hash)?) };
    if wanted.dry_run {
        at.bearer.must_be_known()?;
        return Ok(Json(Stepped::new(&at.desk().look_back(&back).await?, "shown", at.zone)));
    }
    Ok(Json(Stepped::new(&at.desk().go_back(&back, &wanted.reason).await?, "done", at.zone)))
}

/// Takes a playlist out of force at once; its file waits for approval again.
#[utoipa::path(post, path = "/playlists/{id}/withdraw", operation_id = "withdraw_playlist", tag = "approval",
    params(("id" = String, Path, description = "playlist id")), request_body = Because, responses(
    (status = 200, body = Stepped), (status = 401, body = ApiError),
    (status = 403, body = ApiError), (status = 404, body = ApiError),
    (status = 422, body = ApiError)))]
pub async fn withdraw(
    at: AtDesk,
    Path(list): Path<String>,
    Body(why): Body<Because>,
) -> Result<Json<Stepped>, ApiError> {
    let back = Back { scope: Scope::Playlist(id(&list)?), to: None };
    let backed = at.desk().go_back(&back, &why.reason).await?;
    Ok(Json(Stepped::new(&backed, "done", at.zone)))
}

/// Takes the playlists that address a unit and no others out of force at once.
#[utoipa::path(post, path = "/units/{id}/withdraw", operation_id = "withdraw_unit", tag = "approval",
    params(("id" = String, Path, description = "unit")), request_body = Because, responses(
    (status = 200, body = Stepped), (status = 401, body = ApiError),
    (status = 403, body = ApiError), (status = 404, body = ApiError),
    (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub async fn withdraw_unit(
    at: AtDesk,
    Path(unit): Path<String>,
    Body(why): Body<Because>,
) -> Result<Json<Stepped>, ApiError> {
    let back = Back { scope: Scope::Unit(id(&unit)?), to: None };
    let backed = at.desk().go_back(&back, &why.reason).await?;
    Ok(Json(Stepped::new(&backed, "done", at.zone)))
}

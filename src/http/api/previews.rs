//! Pictures of what boards would show: of a playlist in force, or of pages nobody has saved.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::{Body, id};
use crate::app::feeds::{self, readings};
use crate::app::live::Live;
use crate::app::ports::Store;
use crate::app::previews::{Drawn, Form, Order, PreviewError, Previews};
use crate::app::registry::Register;
use crate::clock::SharedClock;
use crate::domain::ids::{ItemId, PlaylistId, ProfileId};
use crate::domain::playlist::{Content, Page};
use crate::domain::profile::BoardProfile;
use crate::domain::station::Station;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// How a playlist is to be drawn.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Look {
    /// Profile of the board; the first, by id, that the playlist reaches unless given.
    board: Option<String>,
    /// Only this item.
    item: Option<String>,
    /// Only this page of the item, from 1.
    page: Option<usize>,
    /// `apng` (all of it, moving), `png`, `svg` or `text` (its beginning); `apng` unless said.
    format: Option<String>,
    /// Each lamp so many pixels wide and high, 1 to 16; 4 unless said.
    scale: Option<u32>,
    /// When it begins, RFC 3339; now unless said.
    at: Option<String>,
}

/// Pages to draw.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PagesToShow {
    /// Profile of the board.
    board: String,
    /// Pages as in a day sheet: `{text, align?, effect?, dwell_ms, colour?, font?, …}`.
    #[schema(value_type = Vec<Object>)]
    pages: Vec<Page>,
    /// `apng`, `png`, `svg` or `text`; `apng` unless said.
    format: Option<String>,
    /// Each lamp so many pixels wide and high, 1 to 16; 4 unless said.
    scale: Option<u32>,
    /// When it begins, RFC 3339; now unless said.
    at: Option<String>,
}

impl From<PreviewError> for ApiError {
    fn from(error: PreviewError) -> Self {
        let hint = error.hint();
        match error {
            PreviewError::Busy => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", error).hint(hint).retry_after(2)
            }
            PreviewError::BrokeOff(_) | PreviewError::Encode(_) => Self::internal(error),
            error => Self::invalid(error, hint),
        }
    }
}

fn form(text: Option<&str>) -> Result<Form, ApiError> {
    match text {
        None | Some("apng") => Ok(Form::Moving),
        Some("png") => Ok(Form::Png),
        Some("svg") => Ok(Form::Svg),
        Some("text") => Ok(Form::Text),
        Some(other) => {
            let other: String = other.chars().take(40).collect();
            let hint = "`apng`, `png`, `svg` or `text`";
            Err(ApiError::invalid(format!("`format`: `{other}` is none"), hint))
        }
    }
}

fn scale(number: Option<u32>) -> Result<u32, ApiError> {
    match number.unwrap_or(4) {
        scale @ 1..=16 => Ok(scale),
        other => Err(ApiError::invalid(format!("`scale`: {other}"), "1 to 16")),
    }
}

fn board(station: &Station, profile: &str) -> Result<BoardProfile, ApiError> {
    let profile: ProfileId = id(profile)?;
    let found = station.profiles.get(&profile).and_then(|profile| profile.board.clone());
    found.ok_or_else(|| {
        let boards = station.profiles.iter().filter(|(_, profile)| profile.board.is_some());
        let known: Vec<String> = boards.take(20).map(|(id, _)| format!("`{id}`")).collect();
        ApiError::not_found("profile with a board", &profile)
            .hint(format!("there are {}", known.join(", ")))
    })
}

/// The pages that are meant.
fn pages(station: &Station, playlist: &str, look: &Look) -> Result<Vec<Page>, ApiError> {
    let name: PlaylistId = id(playlist)?;
    let playlist = station.playlists.get(&name).ok_or_else(|| {
        ApiError::not_found("playlist", &name).hint("GET /api/v1/playlists lists them")
    })?;
    let wanted = look.item.as_deref().map(id::<ItemId>).transpose()?;
    let mut pages = Vec::new();
    for item in &playlist.items {
        let Content::Pages(own) = &item.content else { continue };
        if wanted.as_ref().is_none_or(|wanted| *wanted == item.id) {
            pages.extend(own.iter().cloned());
        }
    }
    if pages.is_empty() {
        let what = wanted.map_or_else(|| name.to_string(), |item| format!("{name}/{item}"));
        let hint = "name an item of the playlist that holds pages, or leave `item` out";
        return Err(ApiError::not_found("item with pages in", what).hint(hint));
    }
    if let Some(number) = look.page {
        let page = number.checked_sub(1).filter(|at| *at < pages.len()).map(|at| pages.remove(at));
        let page = page.ok_or_else(|| {
            ApiError::not_found("page", number).hint("pages are counted from 1 over all items")
        })?;
        return Ok(vec![page]);
    }
    Ok(pages)
}

/// The board of the first profile that the playlist reaches.
fn reached(station: &Station, playlist: &str) -> Result<BoardProfile, ApiError> {
    let name: PlaylistId = id(playlist)?;
    let targets = station.playlists.get(&name).map(|playlist| &playlist.targets);
    let devices = station
        .devices
        .values()
        .filter(|device| targets.is_some_and(|targets| station.means(targets, device)));
    let boards = devices.filter_map(|device| {
        let profile = station.profiles.get(&device.profile)?;
        Some((&profile.id, profile.board.as_ref()?))
    });
    let first = boards.min_by_key(|(id, _)| *id).map(|(_, board)| board.clone());
    first.ok_or_else(|| {
        ApiError::invalid(
            format!("playlist `{name}` reaches no board"),
            "name a profile with `board`",
        )
    })
}

fn answer(form: Form, drawn: Drawn) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // What people typed stands in an SVG; it may be looked at and do nothing.
    let sealed = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox");
    headers.insert(header::CONTENT_SECURITY_POLICY, sealed);
    let mut say = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    say("loa-frame", drawn.frame.to_string());
    say("loa-frames", drawn.frames.to_string());
    say("loa-ms", drawn.ms.to_string());
    say("loa-whole", drawn.whole.to_string());
    (headers, drawn.file).into_response()
}

/// Returns a picture of a playlist in force on a board, with the values that boards show now.
///
/// The header `loa-frame` is the hash of the first frame as boards record it, `loa-ms` how long
/// all stands, `loa-whole` is `false` where a moving picture was cut.
#[utoipa::path(get, path = "/previews/{playlist}", operation_id = "preview_playlist", tag = "schedule",
    params(("playlist" = String, Path, description = "id of the playlist"), Look), responses(
    (status = 200, body = Vec<u8>, content_type = "image/apng"), (status = 401, body = ApiError),
    (status = 403, body = ApiError), (status = 404, body = ApiError), (status = 422, body = ApiError),
    (status = 503, description = "too many are being drawn", body = ApiError)))]
#[expect(clippy::too_many_arguments, reason = "a handler is handed its parts")]
pub async fn of_playlist(
    bearer: Bearer,
    State(live): State<Arc<Live>>,
    State(store): State<Arc<dyn Store>>,
    State(register): State<Arc<Register>>,
    State(clock): State<SharedClock>,
    State(previews): State<Previews>,
    Path(playlist): Path<String>,
    look: Result<Query<Look>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(look) = look?;
    bearer.must_be_known()?;
    let picture = live.picture();
    let station = picture.station()?;
    let form = form(look.format.as_deref())?;
    let order = Order {
        pages: pages(&station, &playlist, &look)?,
        board: match &look.board {
            Some(profile) => board(&station, profile)?,
            None => reached(&station, &playlist)?,
        },
        at: match &look.at {
            Some(text) => super::instant("at", text)?,
            None => clock.now(),
        },
        zone: picture.zone,
        form,
        scale: scale(look.scale)?,
        readings: readings(&feeds::told(&*store, &register.reach().topics).await?),
    };
    Ok(answer(form, previews.draw(order).await?))
}

/// Returns a picture of pages that nobody has saved, with the values that boards show now.
#[utoipa::path(post, path = "/previews", operation_id = "preview_pages", tag = "schedule",
    request_body = PagesToShow, responses(
    (status = 200, body = Vec<u8>, content_type = "image/apng"), (status = 401, body = ApiError),
    (status = 403, body = ApiError), (status = 404, body = ApiError), (status = 422, body = ApiError),
    (status = 503, description = "too many are being drawn", body = ApiError)))]
pub async fn of_pages(
    bearer: Bearer,
    State(live): State<Arc<Live>>,
    State(store): State<Arc<dyn Store>>,
    State(register): State<Arc<Register>>,
    State(clock): State<SharedClock>,
    State(previews): State<Previews>,
    Body(wanted): Body<PagesToShow>,
) -> Result<Response, ApiError> {
    bearer.must_be_known()?;
    let picture = live.picture();
    let form = form(wanted.format.as_deref())?;
    let order = Order {
        board: board(&*picture.station()?, &wanted.board)?,
        pages: wanted.pages,
        at: match &wanted.at {
            Some(text) => super::instant("at", text)?,
            None => clock.now(),
        },
        zone: picture.zone,
        form,
        scale: scale(wanted.scale)?,
        readings: readings(&feeds::told(&*store, &register.reach().topics).await?),
    };
    Ok(answer(form, previews.draw(order).await?))
}

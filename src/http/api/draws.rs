//! Draws of plays for a check on the spot, and what inspectors found.

use super::super::auth::Bearer;
use super::super::error::{ApiError, chain};
use super::{Body, id, instant, local};
use crate::app::draws::{DrawError, Drawing, FINDINGS_BYTES, Made, Question, pdf};
use crate::app::people::Role;
use crate::app::ports::{Page, Store, StoredFindings};
use crate::clock::SharedClock;
use crate::config::{findings_from_csv, nfc};
use crate::domain::ids::{Digest, UnitId};
use crate::draw::{Finding, Tally, WalkingList};
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// How long a draw is waited for; below what an answer may take.
const PATIENCE: Duration = Duration::from_secs(12);
/// Most draws of one answer.
const MOST: u32 = 200;
/// Bytes of the longest table of findings, for the limit of the route.
pub const UPLOAD: usize = FINDINGS_BYTES;

/// Which plays to draw.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DrawQuestion)]
pub struct Asked {
    /// Plays that were due from here, inclusive.
    #[schema(format = "date-time")]
    from: String,
    /// Plays that were due before; at most 366 days after `from`.
    #[schema(format = "date-time")]
    to: String,
    /// The first head of the log that was vouched for from here on decides; `to` unless given.
    #[schema(format = "date-time")]
    after: Option<String>,
    /// Only a unit with all below it.
    unit: Option<String>,
    /// Only plays of this plan line, in the words in which playlists name it.
    plan_line: Option<String>,
    /// How many plays, 1 to 1000; 30 unless given.
    plays: Option<u32>,
    /// A word of the inspector's own that enters the draw.
    word: Option<String>,
}

/// A draw (bốc thăm), with its walking list.
#[derive(Serialize, ToSchema)]
#[schema(as = Draw)]
pub struct DrawView {
    id: String,
    #[schema(format = "date-time")]
    made: String,
    by: String,
    /// The question, the head that decided, and the plays drawn: makes the list again anywhere.
    #[schema(value_type = Object)]
    draw: Value,
    /// The walking list: clusters with their codes, and the plays to ask about there.
    #[schema(value_type = Object)]
    list: Value,
    /// The list for paper, Vietnamese first.
    text: String,
    /// Tables of findings that were handed in, oldest first; the newest counts.
    findings: Vec<FindingsView>,
    /// What the newest table proves; null before the first.
    #[schema(value_type = Option<Object>)]
    result: Option<Tally>,
}

/// A table of findings that was handed in.
#[derive(Serialize, ToSchema)]
#[schema(as = DrawFindings)]
pub struct FindingsView {
    #[schema(format = "date-time")]
    made: String,
    by: String,
    sha256: String,
}

/// What findings prove.
#[derive(Serialize, ToSchema)]
#[schema(as = DrawResult)]
pub struct ResultView {
    /// Counts, and the share confirmed with its interval in ten-thousandths.
    #[schema(value_type = Object)]
    result: Tally,
    /// The result for paper, Vietnamese first.
    text: String,
}

/// A draw in a listing.
#[derive(Serialize, ToSchema)]
#[schema(as = DrawSummary)]
pub struct SummaryView {
    position: i64,
    id: String,
    #[schema(format = "date-time")]
    made: String,
    by: String,
    unit: Option<String>,
}

/// Draws.
#[derive(Serialize, ToSchema)]
pub struct DrawPage {
    draws: Vec<SummaryView>,
    /// Pass as `after` for what follows; null at the end.
    next: Option<i64>,
}

/// Which draws to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// At most so many, 1 to 200; 50 unless given.
    limit: Option<u32>,
    /// In order after this position, 0 for the beginning; the newest first unless given.
    after: Option<i64>,
}

impl From<DrawError> for ApiError {
    fn from(error: DrawError) -> Self {
        let hint = error.hint();
        match error {
            DrawError::Store(error) => error.into(),
            DrawError::Outcome(error) => error.into(),
            DrawError::Busy => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", error).hint(hint).retry_after(60)
            }
            DrawError::Going => Self::new(StatusCode::SERVICE_UNAVAILABLE, "being-made", error)
                .hint(hint)
                .retry_after(30),
            DrawError::NoHead { .. } | DrawError::Future { .. } => {
                Self::new(StatusCode::CONFLICT, "too-early", error).hint(hint)
            }
            DrawError::ManyFindings { .. } => {
                Self::new(StatusCode::CONFLICT, "too-many", error).hint(hint)
            }
            DrawError::BrokeOff
            | DrawError::Lost { .. }
            | DrawError::Note(_)
            | DrawError::Checkpoint(_)
            | DrawError::History(_)
            | DrawError::Record { .. }
            | DrawError::Document(_)
            | DrawError::Paper(_)
            | DrawError::Version { .. }
            | DrawError::Walk(_)
            | DrawError::Population(_) => Self::internal(chain(&error)),
            DrawError::Unit { ref unit } => Self::not_found("unit", unit).hint(hint),
            error => Self::invalid(chain(&error), hint),
        }
    }
}

/// Reads findings of a list; names the first faults.
fn read(bytes: &[u8], list: &WalkingList) -> Result<Vec<Finding>, ApiError> {
    match findings_from_csv("findings", bytes, list) {
        Ok(told) => Ok(told.value),
        Err(faults) => {
            let shown: Vec<String> = faults.iter().take(20).map(ToString::to_string).collect();
            let hint = "correct the table and hand it in again: nothing of it was taken";
            Err(ApiError::invalid(shown.join("; "), hint))
        }
    }
}

async fn view(store: &dyn Store, made: &Made, zone: Tz) -> Result<DrawView, ApiError> {
    let list = made.document.walking_list()?;
    let findings = store.findings_of(&made.document.id).await?;
    let result = match findings.last() {
        Some(newest) => {
            let read = read(&newest.file, &list)?;
            Some(list.tally(&read).map_err(DrawError::Findings)?)
        }
        None => None,
    };
    let one = |one: StoredFindings| FindingsView {
        made: local(one.made_ms, zone),
        by: one.by,
        sha256: one.sha256.to_string(),
    };
    Ok(DrawView {
        id: made.document.id.clone(),
        made: local(made.stored.made_ms, zone),
        by: made.stored.by.clone(),
        draw: serde_json::to_value(&made.document).map_err(ApiError::internal)?,
        text: list.text(),
        list: serde_json::to_value(&list).map_err(ApiError::internal)?,
        findings: findings.into_iter().map(one).collect(),
        result,
    })
}

async fn find(drawing: &Drawing, bearer: &Bearer, id: &str) -> Result<Made, ApiError> {
    let unknown = || ApiError::not_found("draw", id.chars().take(40).collect::<String>());
    let made = drawing.one(id).await?.ok_or_else(unknown)?;
    if bearer.sees(made.stored.unit.as_ref()) { Ok(made) } else { Err(unknown()) }
}

/// Draws plays for a check on the spot. The same question is drawn once: asked again, it gives
/// the draw that was made, with 200 instead of 201. A large one goes on when the answer is due
/// (503, `being-made`): ask the same again.
#[utoipa::path(post, path = "/draws", operation_id = "draw_plays", tag = "evidence",
    request_body = Asked, responses((status = 201, body = DrawView), (status = 200, body = DrawView),
    (status = 401, body = ApiError), (status = 403, body = ApiError),
    (status = 404, body = ApiError), (status = 409, body = ApiError),
    (status = 422, body = ApiError), (status = 503, body = ApiError)))]
pub async fn make(
    bearer: Bearer,
    State(drawing): State<Drawing>,
    State(store): State<Arc<dyn Store>>,
    State(clock): State<SharedClock>,
    Body(asked): Body<Asked>,
) -> Result<(StatusCode, Json<DrawView>), ApiError> {
    let unit: Option<UnitId> = asked.unit.as_deref().map(id).transpose()?;
    bearer.may(Role::Auditor, unit.as_ref())?;
    let to_ms = instant("to", &asked.to)?;
    let question = Question {
        from_ms: instant("from", &asked.from)?,
        to_ms,
        after_ms: asked.after.as_deref().map_or(Ok(to_ms), |text| instant("after", text))?,
        unit,
        plays: asked.plays.unwrap_or(30),
        word: asked.word.unwrap_or_default(),
        line: asked.plan_line.as_deref().map(nfc),
    };
    let made = drawing.make_within(question, &bearer.actor(), clock.now(), PATIENCE).await?;
    let status = if made.new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(view(&*store, &made, drawing.zone()).await?)))
}

/// Lists draws that one may read about.
#[utoipa::path(get, path = "/draws", operation_id = "list_draws", tag = "evidence",
    params(Wanted), responses((status = 200, body = DrawPage), (status = 401, body = ApiError),
    (status = 403, body = ApiError), (status = 422, body = ApiError)))]
pub async fn list(
    bearer: Bearer,
    State(drawing): State<Drawing>,
    State(store): State<Arc<dyn Store>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<DrawPage>, ApiError> {
    let Query(wanted) = wanted?;
    bearer.must_be_known()?;
    let limit = wanted.limit.unwrap_or(50).clamp(1, MOST);
    let page = match wanted.after {
        Some(position) => Page::After { position, limit },
        None => Page::Newest { limit },
    };
    let listed = store.draws(page).await?;
    let full = listed.len() == limit as usize;
    let next = match page {
        Page::After { .. } if full => listed.last().map(|(position, _)| *position),
        _ => None,
    };
    let seen = listed.into_iter().filter(|(_, draw)| bearer.sees(draw.unit.as_ref()));
    let draws = seen.map(|(position, draw)| SummaryView {
        position,
        id: draw.id,
        made: local(draw.made_ms, drawing.zone()),
        by: draw.by,
        unit: draw.unit.map(Into::into),
    });
    Ok(Json(DrawPage { draws: draws.collect(), next }))
}

/// Returns a draw with its walking list and what was found.
#[utoipa::path(get, path = "/draws/{id}", operation_id = "get_draw", tag = "evidence",
    params(("id" = String, Path, description = "16 hex digits")), responses(
    (status = 200, body = DrawView), (status = 401, body = ApiError),
    (status = 404, body = ApiError)))]
pub async fn one(
    bearer: Bearer,
    State(drawing): State<Drawing>,
    State(store): State<Arc<dyn Store>>,
    named: Result<Path<String>, PathRejection>,
) -> Result<Json<DrawView>, ApiError> {
    let Path(named) = named?;
    let made = find(&drawing, &bearer, &named).await?;
    Ok(Json(view(&*store, &made, drawing.zone()).await?))
}

/// Returns the walking list as a file for paper, with room for what is found.
#[utoipa::path(get, path = "/draws/{id}/list", operation_id = "print_draw", tag = "evidence",
    params(("id" = String, Path, description = "16 hex digits")), responses(
    (status = 200, body = Vec<u8>, content_type = "application/pdf"),
    (status = 401, body = ApiError), (status = 404, body = ApiError)))]
pub async fn paper(
    bearer: Bearer,
    State(drawing): State<Drawing>,
    named: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let Path(named) = named?;
    let made = find(&drawing, &bearer, &named).await?;
    let (id, zone) = (made.document.id.clone(), drawing.zone());
    let written = tokio::task::spawn_blocking(move || pdf(&made.document, zone));
    let bytes = written.await.map_err(ApiError::internal)??;
    let headers = [
        (header::CONTENT_TYPE, "application/pdf".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"phieu-kiem-tra-{id}.pdf\"")),
        (header::ETAG, format!("\"{}\"", Digest::of(&bytes))),
    ];
    Ok((headers, bytes).into_response())
}

/// Takes a table of what was found (CSV: `code,play,finding,by,date,note`), and says which share
/// is confirmed. The newest table counts, all are kept.
#[utoipa::path(post, path = "/draws/{id}/findings", operation_id = "take_findings",
    tag = "evidence", params(("id" = String, Path, description = "16 hex digits")),
    request_body(content = String, content_type = "text/csv"), responses(
    (status = 200, body = ResultView), (status = 401, body = ApiError),
    (status = 403, body = ApiError), (status = 404, body = ApiError), (status = 409, body = ApiError),
    (status = 413, body = ApiError), (status = 422, body = ApiError)))]
pub async fn findings(
    bearer: Bearer,
    State(drawing): State<Drawing>,
    State(clock): State<SharedClock>,
    named: Result<Path<String>, PathRejection>,
    body: Bytes,
) -> Result<Json<ResultView>, ApiError> {
    let Path(named) = named?;
    let made = find(&drawing, &bearer, &named).await?;
    bearer.may(Role::Auditor, made.stored.unit.as_ref())?;
    let findings = read(&body, &made.document.walking_list()?)?;
    let result = drawing.take(&made, &body, &findings, &bearer.actor(), clock.now()).await?;
    Ok(Json(ResultView { text: result.text(), result }))
}

//! What became of each cue: one outcome per device and cue, with its reason.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::{id, instant, local};
use crate::app::live::Live;
use crate::app::outcome::{OutcomeError, Outcomes, Timed};
use crate::app::ports::Store;
use crate::clock::SharedClock;
use crate::domain::ids::DeviceId;
use crate::domain::proof::outcome::{Plan, Stage};
use crate::domain::time::Span;
use crate::domain::timetable::Kind;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

const DAY_MS: i64 = 86_400_000;
/// Longest period of one answer.
const MOST_MS: i64 = 31 * DAY_MS;

/// Which cues are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Device id.
    device: String,
    /// Cues that start from here, inclusive, RFC 3339; a day before `to` unless given.
    from: Option<String>,
    /// Cues that start before, RFC 3339; now unless given. At most 31 days after `from`.
    to: Option<String>,
}

/// The outcomes of a device's cues in a period.
#[derive(Serialize, ToSchema)]
pub struct OutcomeList {
    device: String,
    #[schema(format = "date-time")]
    from: String,
    #[schema(format = "date-time")]
    to: String,
    /// What was known when: later records may change what is not final.
    #[schema(format = "date-time")]
    cut_off: String,
    outcomes: Vec<OutcomeView>,
}

/// What became of one cue on one device (kết quả).
#[derive(Serialize, ToSchema)]
#[schema(as = Outcome)]
pub struct OutcomeView {
    cue: String,
    /// `playlist/item`.
    item: String,
    title: String,
    /// `clip` or `pages`.
    #[schema(value_type = String)]
    kind: Kind,
    #[schema(format = "date-time")]
    at: String,
    #[schema(format = "date-time")]
    end: String,
    /// `played`, `partial`, `failed`, `pre-empted`, `refused`, `offline` or `missing`; null while
    /// nothing is known.
    result: Option<&'static str>,
    /// `pending`, `provisional` or `final`.
    #[schema(value_type = String)]
    stage: Stage,
    /// `planned`, `superseded` or `unplanned`.
    #[schema(value_type = String)]
    plan: Plan,
    /// Why, for people.
    reason: String,
    due_ms: i64,
    played_ms: i64,
    #[schema(format = "date-time")]
    started: Option<String>,
    /// Grade of the evidence, 0-6.
    grade: u8,
    /// Records that count.
    records: u32,
    /// When a record of it was written cannot be enclosed within an hour by witnessed checkpoints.
    late: bool,
}

fn view(Timed { outcome, late }: Timed, zone: Tz) -> OutcomeView {
    OutcomeView {
        cue: outcome.cue.into(),
        item: outcome.item,
        title: outcome.title,
        kind: outcome.kind,
        at: local(outcome.at_ms, zone),
        end: local(outcome.end_ms, zone),
        result: outcome.result.map(crate::domain::proof::outcome::Verdict::as_str),
        stage: outcome.stage,
        plan: outcome.plan,
        reason: outcome.reason.to_string(),
        due_ms: outcome.due_ms,
        played_ms: outcome.played_ms,
        started: outcome.started_ms.map(|at| local(at, zone)),
        grade: outcome.grade,
        records: outcome.records,
        late,
    }
}

impl From<OutcomeError> for ApiError {
    fn from(error: OutcomeError) -> Self {
        let OutcomeError::Store(error) = error;
        error.into()
    }
}

/// Returns the outcome of every cue of a device that starts in a period.
#[utoipa::path(get, path = "/outcomes", operation_id = "list_outcomes", tag = "evidence", params(Wanted), responses(
    (status = 200, body = OutcomeList), (status = 401, body = ApiError),
    (status = 404, body = ApiError), (status = 422, body = ApiError)))]
pub async fn list(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<OutcomeList>, ApiError> {
    let Query(wanted) = wanted?;
    let (now, zone) = (clock.now(), live.picture().zone);
    let device: DeviceId = id(&wanted.device)?;
    bearer.must_see(&device)?;
    let to = wanted.to.as_deref().map_or(Ok(now), |text| instant("to", text))?;
    let from = match wanted.from.as_deref() {
        Some(text) => instant("from", text)?,
        None => to.plus(-DAY_MS),
    };
    let period =
        Span::new(from, to).ok().filter(|period| period.len_ms() <= MOST_MS).ok_or_else(|| {
            ApiError::invalid("`from` to `to` is empty or too long", "at most 31 days at once")
        })?;
    // Evidence outlives the register: a device that was removed has its outcomes all the same.
    if store.device(&device).await?.is_none() && store.chains_of(&device).await?.is_empty() {
        return Err(ApiError::not_found("device", &device));
    }
    let outcomes = Outcomes::new(store).timed(&device, period, now).await?;
    Ok(Json(OutcomeList {
        device: device.into(),
        from: local(from, zone),
        to: local(to, zone),
        cut_off: local(now, zone),
        outcomes: outcomes.into_iter().map(|outcome| view(outcome, zone)).collect(),
    }))
}

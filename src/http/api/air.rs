//! What is on air and what comes next, as scheduled.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::local;
use crate::app::air::{self, Airing};
use crate::app::live::Live;
use crate::clock::SharedClock;
use crate::domain::playlist::Priority;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// How far to look.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Ahead {
    /// Hours to look ahead, 1 to 336; 24 unless said.
    hours: Option<u32>,
    /// At most so many next cues, 1 to 500; 20 unless said.
    limit: Option<usize>,
}

/// What is due.
#[derive(Serialize, ToSchema)]
pub struct Due {
    /// The server's clock.
    #[schema(format = "date-time")]
    now: String,
    on_air: Vec<AiringView>,
    next: Vec<AiringView>,
}

/// A cue on one or more devices (lượt phát).
#[derive(Serialize, ToSchema)]
#[schema(as = Airing)]
pub struct AiringView {
    cue: String,
    #[schema(format = "date-time")]
    at: String,
    #[schema(format = "date-time")]
    end: String,
    /// `clip` sounds, `pages` are shown.
    kind: &'static str,
    /// `routine` or `priority`.
    #[schema(value_type = String)]
    priority: Priority,
    title: String,
    /// `playlist/item`.
    item: String,
    volume: u8,
    devices: Vec<String>,
}

fn view(airing: Airing, zone: Tz) -> AiringView {
    AiringView {
        cue: airing.cue.into(),
        at: local(airing.at_ms, zone),
        end: local(airing.end_ms, zone),
        kind: if airing.board { "pages" } else { "clip" },
        priority: airing.priority,
        title: airing.title,
        item: airing.item,
        volume: airing.volume,
        devices: airing.devices.into_iter().map(Into::into).collect(),
    }
}

/// Returns what is on air and what comes next, as scheduled; records say what was heard.
#[utoipa::path(get, path = "/on-air", operation_id = "get_on_air", tag = "schedule", params(Ahead), responses(
    (status = 200, body = Due), (status = 401, body = ApiError),
    (status = 403, body = ApiError),
    (status = 503, description = "no valid station folder yet", body = ApiError)))]
pub async fn get(
    bearer: Bearer,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
    ahead: Result<Query<Ahead>, QueryRejection>,
) -> Result<Json<Due>, ApiError> {
    let Query(ahead) = ahead?;
    bearer.must_see_all()?;
    let hours = i64::from(ahead.hours.unwrap_or(24).clamp(1, 336));
    let most = ahead.limit.unwrap_or(20).clamp(1, 500);
    let (picture, now) = (live.picture(), clock.now());
    picture.station()?;
    let air = air::due(picture.sheets(), now, now.plus(hours * 3_600_000), most);
    let views = |airings: Vec<Airing>| airings.into_iter().map(|a| view(a, picture.zone)).collect();
    Ok(Json(Due { now: local(now, picture.zone), on_air: views(air.now), next: views(air.next) }))
}

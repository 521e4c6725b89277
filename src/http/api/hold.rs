//! Holds: a unit is silenced, and the answer says who has not confirmed.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::{Body, id, instant, local};
use crate::app::air::Airing;
use crate::app::hold::{Confirmed, DeviceHold, HoldError, Holds, Until};
use crate::app::ingest::ASIDE_MS;
use crate::app::live::{Light, Live};
use crate::app::outlet::Told;
use crate::app::people::Role;
use crate::app::ports::StoredHold;
use crate::clock::SharedClock;
use crate::domain::ids::UnitId;
use crate::domain::time::UtcMs;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A unit to silence.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitToHold {
    /// Silent until then, RFC 3339; or `minutes`.
    #[serde(default)]
    until: Option<String>,
    /// Silent for so long, 1 to 527040.
    #[serde(default)]
    minutes: Option<u32>,
    reason: String,
}

/// A unit to let go.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitToRelease {
    reason: String,
}

/// A hold of a unit or its release (lệnh tạm dừng).
#[derive(Serialize, ToSchema)]
#[schema(as = Hold)]
pub struct HoldView {
    unit: String,
    /// `held`, `released` or `over`.
    state: &'static str,
    version: i64,
    /// Its id: what records of confirmation name.
    jti: String,
    #[schema(format = "date-time")]
    ordered: String,
    by: String,
    /// Null for a release.
    #[schema(format = "date-time")]
    until: Option<String>,
    reason: String,
}

/// A hold with what devices said of it.
#[derive(Serialize, ToSchema)]
pub struct HoldWithDevices {
    hold: HoldView,
    /// Whether the broker has it: `published` or `waiting`; null when nothing was ordered now.
    #[schema(value_type = Option<String>)]
    told: Option<Told>,
    /// Devices whose signed record says that they obey.
    confirmed: usize,
    /// Devices that have not confirmed.
    unconfirmed: usize,
    devices: Vec<DeviceHoldView>,
}

/// A device that a hold is for.
#[derive(Serialize, ToSchema)]
#[schema(as = HoldDevice)]
pub struct DeviceHoldView {
    device: String,
    name: String,
    unit: String,
    #[schema(value_type = String)]
    light: Light,
    confirmed: bool,
    /// When it answered, by its clock.
    #[schema(format = "date-time")]
    answered: Option<String>,
    /// What it answered instead of obeying.
    why: Option<String>,
    /// What it would still play by its timetable, soonest first; five at most.
    would_play: Vec<StillView>,
}

/// A cue that a device would still play.
#[derive(Serialize, ToSchema)]
#[schema(as = HoldCue)]
pub struct StillView {
    cue: String,
    #[schema(format = "date-time")]
    at: String,
    #[schema(format = "date-time")]
    end: String,
    title: String,
    board: bool,
}

/// The newest hold or release of each unit that ever had one.
#[derive(Serialize, ToSchema)]
pub struct HoldList {
    holds: Vec<HoldView>,
}

impl HoldView {
    /// Shows a hold at an instant.
    pub fn new(hold: &StoredHold, now: UtcMs, zone: Tz) -> Self {
        let released = hold.until_ms == UtcMs(0);
        Self {
            unit: hold.unit.to_string(),
            state: match (released, hold.is_in_force(now)) {
                (true, _) => "released",
                (false, true) => "held",
                (false, false) => "over",
            },
            version: hold.ver,
            jti: hold.jti.clone(),
            ordered: local(hold.made_ms, zone),
            by: hold.by.clone(),
            until: (!released).then(|| local(hold.until_ms, zone)),
            reason: hold.reason.clone(),
        }
    }
}

impl DeviceHoldView {
    fn new(device: DeviceHold, zone: Tz) -> Self {
        let (answered, why) = match &device.confirmed {
            Confirmed::Yes { at_ms } => (Some(*at_ms), None),
            Confirmed::Refused { at_ms, why } => (Some(*at_ms), Some(why.clone())),
            Confirmed::No => (None, None),
        };
        let still = |airing: Airing| StillView {
            cue: airing.cue.into(),
            at: local(airing.at_ms, zone),
            end: local(airing.end_ms, zone),
            title: airing.title,
            board: airing.board,
        };
        Self {
            confirmed: matches!(device.confirmed, Confirmed::Yes { .. }),
            device: device.device.into(),
            name: device.name,
            unit: device.unit.into(),
            light: device.light,
            answered: answered.map(|at| local(at, zone)),
            why,
            would_play: device.would_play.into_iter().map(still).collect(),
        }
    }
}

async fn shown(
    holds: &Holds,
    hold: &StoredHold,
    told: Option<Told>,
    now: UtcMs,
    zone: Tz,
) -> Result<HoldWithDevices, ApiError> {
    let devices = holds.devices_now(hold).await?;
    let devices: Vec<_> = devices.into_iter().map(|one| DeviceHoldView::new(one, zone)).collect();
    let confirmed = devices.iter().filter(|device| device.confirmed).count();
    Ok(HoldWithDevices {
        hold: HoldView::new(hold, now, zone),
        told,
        confirmed,
        unconfirmed: devices.len() - confirmed,
        devices,
    })
}

/// Silencing is never refused to who may speak; letting go brings back only what was approved.
const ROLES: &[Role] = &[Role::Operator, Role::Approver];

/// Silences a unit and everything below it at once; only urgent notices still sound.
#[utoipa::path(put, path = "/holds/{unit}", operation_id = "hold_unit", tag = "orders",
    params(("unit" = String, Path, description = "unit id")), request_body = UnitToHold,
    responses((status = 202, body = HoldWithDevices), (status = 401, body = ApiError), (status = 403, body = ApiError),
    (status = 404, body = ApiError), (status = 422, body = ApiError)))]
pub async fn put(
    bearer: Bearer,
    State(holds): State<Arc<Holds>>,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
    Path(unit): Path<String>,
    Body(wanted): Body<UnitToHold>,
) -> Result<(StatusCode, Json<HoldWithDevices>), ApiError> {
    let unit: UnitId = id(&unit)?;
    bearer.may_any(ROLES, Some(&unit))?;
    let until = match (wanted.until.as_deref(), wanted.minutes) {
        (Some(until), None) => instant("until", until)?,
        (None, Some(minutes)) => clock.now().plus(i64::from(minutes) * 60_000),
        _ => {
            let detail = "one of `until` and `minutes` must be given";
            return Err(ApiError::invalid(detail, "as in `{\"minutes\": 60, \"reason\": \"…\"}`"));
        }
    };
    let until = Until::At(until);
    let (hold, told) = holds.order(&unit, until, &wanted.reason, &bearer.actor()).await?;
    let_it_out(told, &clock).await;
    let zone = live.picture().zone;
    Ok((StatusCode::ACCEPTED, Json(shown(&holds, &hold, Some(told), clock.now(), zone).await?)))
}

/// Leaves the machine to the broker while it tells the devices: who has not confirmed, and what
/// they would play, takes a third of a second to find for 5,000 of them.
async fn let_it_out(told: Told, clock: &SharedClock) {
    if told == Told::Published {
        clock.sleep(ASIDE_MS).await;
    }
}

/// Releases a unit before its hold ends.
#[utoipa::path(post, path = "/holds/{unit}/release", operation_id = "release_unit", tag = "orders",
    params(("unit" = String, Path, description = "unit id")), request_body = UnitToRelease,
    responses((status = 202, body = HoldWithDevices), (status = 401, body = ApiError), (status = 403, body = ApiError),
    (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub async fn release(
    bearer: Bearer,
    State(holds): State<Arc<Holds>>,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
    Path(unit): Path<String>,
    Body(wanted): Body<UnitToRelease>,
) -> Result<(StatusCode, Json<HoldWithDevices>), ApiError> {
    let unit: UnitId = id(&unit)?;
    bearer.may_any(ROLES, Some(&unit))?;
    let (hold, told) = holds.order(&unit, Until::Now, &wanted.reason, &bearer.actor()).await?;
    let_it_out(told, &clock).await;
    let zone = live.picture().zone;
    Ok((StatusCode::ACCEPTED, Json(shown(&holds, &hold, Some(told), clock.now(), zone).await?)))
}

/// Returns the newest hold or release of a unit with what devices said of it.
#[utoipa::path(get, path = "/holds/{unit}", operation_id = "get_hold", tag = "orders",
    params(("unit" = String, Path, description = "unit id")),
    responses((status = 200, body = HoldWithDevices), (status = 401, body = ApiError),
    (status = 404, body = ApiError)))]
pub async fn one(
    bearer: Bearer,
    State(holds): State<Arc<Holds>>,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
    Path(unit): Path<String>,
) -> Result<Json<HoldWithDevices>, ApiError> {
    let unit: UnitId = id(&unit)?;
    let hold = holds.of(&unit).await?.filter(|hold| bearer.sees(Some(&hold.unit)));
    let hold = hold.ok_or_else(|| ApiError::not_found("hold of unit", &unit))?;
    Ok(Json(shown(&holds, &hold, None, clock.now(), live.picture().zone).await?))
}

/// Lists the newest hold or release of each unit that ever had one.
#[utoipa::path(get, path = "/holds", operation_id = "list_holds", tag = "orders",
    responses((status = 200, body = HoldList), (status = 401, body = ApiError)))]
pub async fn list(
    bearer: Bearer,
    State(holds): State<Arc<Holds>>,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
) -> Result<Json<HoldList>, ApiError> {
    let (now, zone) = (clock.now(), live.picture().zone);
    let found = holds.newest().await?;
    let seen = found.iter().filter(|hold| bearer.sees(Some(&hold.unit)));
    Ok(Json(HoldList { holds: seen.map(|hold| HoldView::new(hold, now, zone)).collect() }))
}

impl From<HoldError> for ApiError {
    fn from(error: HoldError) -> Self {
        let (status, code) = match error {
            HoldError::Unit { .. } => (StatusCode::NOT_FOUND, "not-found"),
            HoldError::Past { .. }
            | HoldError::TooLong { .. }
            | HoldError::Reason { .. }
            | HoldError::Refused(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            HoldError::NotHeld { .. } => (StatusCode::CONFLICT, "not-held"),
            HoldError::Random(_) => return Self::internal(error),
            HoldError::Store(error) => return error.into(),
        };
        let hint = error.hint();
        Self::new(status, code, &error).hint(hint)
    }
}

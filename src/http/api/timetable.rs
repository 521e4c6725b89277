//! What will play on a device and why; what will not and why.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::id;
use crate::app::live::Live;
use crate::clock::SharedClock;
use crate::domain::ids::DeviceId;
use crate::domain::playlist::Priority;
use crate::domain::recurrence::wall;
use crate::domain::station::Station;
use crate::domain::time::UtcMs;
use crate::domain::timetable::{
    Cause, Compiler, DevicePlan, Effect, Horizon, Kind, LeftOut, PlannedCue, Reason,
};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use chrono::{Datelike as _, NaiveDate, SecondsFormat};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Most days of one answer.
const MOST_DAYS: u32 = 62;

/// Which dates to show.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// First local date, `2026-12-01`; today unless given.
    from: Option<String>,
    /// Days, 1 to 62; 7 unless given.
    days: Option<u32>,
}

/// The same as `loa timetable --json` prints.
#[derive(Serialize, ToSchema)]
pub struct Timetable {
    device: String,
    cues: Vec<CueView>,
    left_out: Vec<LeftOutView>,
}

/// A cue as planned (lượt phát).
#[derive(Serialize, ToSchema)]
#[schema(as = Cue)]
pub struct CueView {
    id: String,
    #[schema(format = "date-time")]
    at: String,
    #[schema(format = "date-time")]
    end: String,
    /// The instant the slot asks for.
    #[schema(format = "date-time")]
    nominal: String,
    /// `clip` or `pages`.
    #[schema(value_type = String)]
    kind: Kind,
    /// `routine` or `priority`.
    #[schema(value_type = String)]
    priority: Priority,
    playlist: String,
    slot: String,
    item: String,
    volume: u8,
    /// Why it is not as asked: a code that never changes, a colon, words.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// What was asked for and will not be.
#[derive(Serialize, ToSchema)]
#[schema(as = LeftOut)]
pub struct LeftOutView {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    playlist: String,
    slot: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<String>,
    #[schema(format = "date-time")]
    nominal: String,
    /// A code that never changes, a colon, words.
    reason: String,
}

/// Returns what will play on a device and what will not, with reasons.
#[utoipa::path(get, path = "/devices/{id}/timetable", operation_id = "get_timetable", tag = "schedule",
    params(("id" = String, Path, description = "device id"), Wanted), responses(
    (status = 200, body = Timetable), (status = 401, body = ApiError),
    (status = 404, body = ApiError), (status = 422, body = ApiError),
    (status = 503, description = "no valid station folder yet", body = ApiError)))]
pub async fn get(
    bearer: Bearer,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
    Path(device): Path<String>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Timetable>, ApiError> {
    let Query(wanted) = wanted?;
    let device: DeviceId = id(&device)?;
    bearer.must_see(&device)?;
    let station = live.picture().station()?;
    let Some(known) = station.devices.get(&device).cloned() else {
        return Err(ApiError::not_found("device", &device));
    };
    let from = match &wanted.from {
        Some(text) => date(text)?,
        None => wall::reading(station.zone, clock.now()).date(),
    };
    let days = wanted.days.unwrap_or(7);
    if !(1..=MOST_DAYS).contains(&days) {
        return Err(ApiError::invalid(format!("`days` is {days}"), "1 to 62 days at once"));
    }
    let timetable = tokio::task::spawn_blocking(move || {
        let zone = station.zone;
        let alone =
            Station { devices: [(device.clone(), known)].into(), ..Station::clone(&station) };
        let compiled = Compiler::new().compile(&alone, Horizon { from, days });
        compiled.device(&device).map(|plan| shown(&device, plan, zone))
    })
    .await
    .map_err(ApiError::internal)?;
    timetable.map(Json).ok_or_else(|| ApiError::internal("a device of the station has no plan"))
}

fn date(text: &str) -> Result<NaiveDate, ApiError> {
    text.parse().ok().filter(|date: &NaiveDate| (1970..=2100).contains(&date.year())).ok_or_else(
        || {
            let text: String = text.chars().take(40).collect();
            ApiError::invalid(format!("`from`: `{text}` is not a date"), "as in `2026-12-01`")
        },
    )
}

fn instant(zone: Tz, at: UtcMs) -> String {
    wall::display(zone, at).to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

fn shown(device: &DeviceId, plan: &DevicePlan, zone: Tz) -> Timetable {
    let cap = plan.volume_cap();
    let cues = plan.cues().map(|(cue, planned)| {
        let PlannedCue { nominal, playlist, slot, item, kind, reasons } = planned.clone();
        let mut reasons = reasons;
        if kind == Kind::Clip && cue.volume > cap {
            let cause = Cause::VolumeCap { cap, by_policy: plan.cap_is_by_policy() };
            reasons.push(Reason::new(Effect::Quieter, cause));
        }
        let words: Vec<_> = reasons.iter().map(ToString::to_string).collect();
        CueView {
            id: cue.id.to_string(),
            at: instant(zone, cue.at_ms),
            end: instant(zone, cue.end_ms),
            nominal: instant(zone, nominal),
            kind,
            priority: cue.priority,
            playlist: playlist.into(),
            slot: slot.into(),
            item: item.into(),
            volume: if kind == Kind::Clip { cue.volume.min(cap) } else { cue.volume },
            reason: (!words.is_empty()).then(|| words.join("; ")),
        }
    });
    let left_out = plan.left_out().map(|left: &LeftOut| LeftOutView {
        id: left.item.as_ref().map(|(_, cue)| cue.to_string()),
        playlist: left.playlist.to_string(),
        slot: left.slot.to_string(),
        item: left.item.as_ref().map(|(item, _)| item.to_string()),
        nominal: instant(zone, left.nominal),
        reason: left.reason.to_string(),
    });
    Timetable { device: device.to_string(), cues: cues.collect(), left_out: left_out.collect() }
}

//! The station and the faults of its folder.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::local;
use crate::app::live::{Alarm, Live, Picture};
use crate::clock::SharedClock;
use crate::config::{Fault, Severity};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// The station as it stands now.
#[derive(Serialize, ToSchema)]
pub struct Station {
    name: String,
    /// IANA zone in which hours and dates are meant.
    zone: String,
    /// The server's clock.
    #[schema(format = "date-time")]
    now: String,
    /// Version of the program.
    build: &'static str,
    /// Whether a valid station folder is in force.
    in_force: bool,
    units: usize,
    devices: usize,
    playlists: usize,
    /// When the folder was last read.
    #[schema(format = "date-time")]
    read: Option<String>,
    /// When everything due had last been published.
    #[schema(format = "date-time")]
    published: Option<String>,
    broker: Broker,
    /// Errors in the folder; what was in force of a faulty file before stays in force.
    errors: usize,
    warnings: usize,
    /// What a person must act upon.
    alarms: Vec<Remark>,
    /// What a person should know.
    notices: Vec<Remark>,
}

/// How it stands with the broker.
#[derive(Serialize, ToSchema)]
pub struct Broker {
    address: String,
    connected: bool,
    /// Why not.
    why: Option<String>,
}

/// Something to say to a person.
#[derive(Serialize, ToSchema)]
pub struct Remark {
    /// Stable word for programs, kebab-case.
    code: &'static str,
    vi: String,
    en: String,
}

impl From<&Alarm> for Remark {
    fn from(alarm: &Alarm) -> Self {
        Self { code: alarm.code, vi: alarm.vi.clone(), en: alarm.en.clone() }
    }
}

/// Returns the station as it stands now.
#[utoipa::path(get, path = "/station", operation_id = "get_station", tag = "station", responses(
    (status = 200, body = Station), (status = 401, body = ApiError),
    (status = 403, body = ApiError)))]
pub async fn get(
    bearer: Bearer,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
) -> Result<Json<Station>, ApiError> {
    bearer.must_be_known()?;
    let picture = live.picture();
    let station = picture.station.as_deref();
    let errors = picture.faults.iter().filter(|f| f.severity == Severity::Error).count();
    Ok(Json(Station {
        name: picture.name.clone(),
        zone: picture.zone.name().to_owned(),
        now: local(clock.now(), picture.zone),
        build: env!("CARGO_PKG_VERSION"),
        in_force: station.is_some(),
        units: station.map_or(0, |station| station.units.len()),
        devices: live.devices().len(),
        playlists: station.map_or(0, |station| station.playlists.len()),
        read: picture.read_ms.map(|at| local(at, picture.zone)),
        published: picture.published_ms.map(|at| local(at, picture.zone)),
        broker: Broker {
            address: picture.broker.address.clone(),
            connected: picture.broker.connected,
            why: picture.broker.why.clone(),
        },
        errors,
        warnings: picture.faults.len() - errors,
        alarms: picture.alarms.iter().map(Remark::from).collect(),
        notices: picture.notices.iter().map(Remark::from).collect(),
    }))
}

/// All faults of the folder.
#[derive(Serialize, ToSchema)]
pub struct Faults {
    faults: Vec<FaultView>,
}

/// Something wrong in the station folder.
#[derive(Serialize, ToSchema)]
#[schema(as = Fault)]
pub struct FaultView {
    file: String,
    /// From 1.
    line: u32,
    /// From 1, in characters.
    column: u32,
    /// `error` or `warning`.
    #[schema(value_type = String)]
    severity: Severity,
    message: String,
    hint: Option<String>,
    /// Whether the file cannot be used as it is.
    refuses: bool,
    /// Whether an earlier version of the file is in force instead.
    in_force: bool,
}

impl FaultView {
    fn new(fault: &Fault, picture: &Picture) -> Self {
        Self {
            in_force: fault.refuses && picture.has_in_force(&fault.file),
            file: fault.file.clone(),
            line: fault.line,
            column: fault.column,
            severity: fault.severity,
            message: fault.message.clone(),
            hint: fault.hint.clone(),
            refuses: fault.refuses,
        }
    }
}

/// Lists the faults of the station folder.
#[utoipa::path(get, path = "/station/faults", operation_id = "list_faults", tag = "station", responses(
    (status = 200, body = Faults), (status = 401, body = ApiError),
    (status = 403, body = ApiError)))]
pub async fn faults(
    bearer: Bearer,
    State(live): State<Arc<Live>>,
) -> Result<Json<Faults>, ApiError> {
    bearer.must_be_known()?;
    let picture = live.picture();
    let faults = picture.faults.iter().map(|fault| FaultView::new(fault, &picture));
    Ok(Json(Faults { faults: faults.collect() }))
}

//! Devices: register and what they last said.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::codes::CodeIssued;
use super::{Body, id, local};
use crate::app::live::{Heard, Light, Live};
use crate::app::people::Role;
use crate::app::ports::{Registered, Standing, Store, StoredTail};
use crate::app::registry::{NewDevice, Register};
use crate::clock::SharedClock;
use crate::domain::ids::DeviceId;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// All devices.
#[derive(Serialize, ToSchema)]
pub struct Devices {
    devices: Vec<DeviceView>,
}

/// A loudspeaker cluster, board or gateway (thiết bị).
#[derive(Serialize, ToSchema)]
#[schema(as = Device)]
pub struct DeviceView {
    id: String,
    name: String,
    unit: String,
    tags: Vec<String>,
    profile: String,
    /// 0-100.
    volume_cap: u8,
    trim_ms: i64,
    /// The gateway (bộ trung gian) that speaks and signs for it.
    behind: Option<String>,
    /// `awaiting`, `enrolled` or `revoked`.
    standing: &'static str,
    /// Since when it stands so.
    #[schema(format = "date-time")]
    since: String,
    /// Thumbprint of its key.
    kid: Option<String>,
    /// `ready`, `preparing`, `sleeping`, `lost`, `silent`, `awaiting` or `revoked`.
    #[schema(value_type = String)]
    light: Light,
    /// What it last said of itself; null when it said nothing since the server started.
    heard: Option<HeardView>,
    /// Ends of its chains that never came though it told of them; the chain in use and former ones.
    missing_tails: Vec<TailView>,
}

/// The end of a chain that never came (phần cuối còn thiếu), by the device's own word.
#[derive(Serialize, ToSchema)]
#[schema(as = MissingTail)]
pub struct TailView {
    chain: String,
    /// Number of the newest record that the device told of.
    told: u64,
    /// SHA-256 of that record, as it told.
    head: Option<String>,
    /// The highest number that came.
    came: u64,
    /// When it was first told of.
    #[schema(format = "date-time")]
    since: String,
    /// `missing`: it should have come; `given-up`: the device writes another chain now, or is
    /// revoked.
    stand: &'static str,
    /// Whether the log says so.
    logged: bool,
}

impl TailView {
    /// Shows it.
    pub fn new(tail: &StoredTail, zone: Tz) -> Self {
        Self {
            chain: tail.chain.into(),
            told: tail.seq,
            head: tail.head.map(Into::into),
            came: tail.came,
            since: local(tail.since_ms, zone),
            stand: tail.stand.as_str(),
            logged: tail.said >= tail.seq,
        }
    }
}

/// What a device last said of itself: hints, no evidence.
#[derive(Serialize, ToSchema)]
#[schema(as = Heard)]
pub struct HeardView {
    /// By the server's clock.
    #[schema(format = "date-time")]
    at: String,
    /// Its program.
    firmware: Option<String>,
    /// Version of the newest timetable it accepted.
    timetable: Option<i64>,
    /// Version of the timetable its day follows.
    following: Option<i64>,
    /// Assets held.
    held: Vec<String>,
    /// Assets and sheets it lacks.
    wanted: Vec<String>,
    /// Records without a receipt.
    pending: Option<u64>,
    /// Bytes free for assets.
    storage_free: Option<u64>,
    /// Estimated error of its clock.
    clock_err_ms: Option<i64>,
}

impl HeardView {
    fn new(heard: &Heard, zone: Tz) -> Self {
        let state = &heard.state;
        Self {
            at: local(heard.at_ms, zone),
            firmware: state.fw.clone(),
            timetable: state.ver.map(|ver| ver.timetable),
            following: state.ver.map(|ver| ver.following),
            held: state.held.iter().map(ToString::to_string).collect(),
            wanted: state.want.iter().map(|want| want.sha256.to_string()).collect(),
            pending: state.storage.map(|storage| storage.pending),
            storage_free: state.storage.map(|storage| storage.free),
            clock_err_ms: state.clock.and_then(|clock| clock.err_ms),
        }
    }
}

impl DeviceView {
    /// Shows a device of the register with what it last said.
    pub fn new(registered: Registered, heard: Option<&Heard>, zone: Tz) -> Self {
        let light = Light::of(&registered.standing, heard);
        let (standing, since, kid) = match &registered.standing {
            Standing::Awaiting => ("awaiting", registered.registered_ms, None),
            Standing::Enrolled { since_ms, kid, .. } => ("enrolled", *since_ms, Some(kid.clone())),
            Standing::Revoked { at_ms, .. } => ("revoked", *at_ms, None),
        };
        let device = registered.device;
        Self {
            id: device.id.into(),
            name: device.name,
            unit: device.unit.into(),
            tags: device.tags.into_iter().map(Into::into).collect(),
            profile: device.profile.into(),
            volume_cap: device.volume_cap,
            trim_ms: device.trim_ms,
            behind: device.behind.map(Into::into),
            standing,
            since: local(since, zone),
            kid,
            light,
            heard: heard.map(|heard| HeardView::new(heard, zone)),
            missing_tails: Vec::new(),
        }
    }

    /// Adds the ends of its chains that never came.
    #[must_use]
    pub fn lacking(mut self, tails: Option<&Vec<StoredTail>>, zone: Tz) -> Self {
        let tails = tails.into_iter().flatten();
        self.missing_tails = tails.map(|tail| TailView::new(tail, zone)).collect();
        self
    }
}

/// Lists the devices of the register.
#[utoipa::path(get, path = "/devices", operation_id = "list_devices", tag = "register", responses(
    (status = 200, body = Devices), (status = 401, body = ApiError)))]
pub async fn list(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
) -> Result<Json<Devices>, ApiError> {
    let zone = live.picture().zone;
    let (heard, tails) = (live.all_heard(), live.tails());
    bearer.must_be_known()?;
    let devices = store.devices().await?.into_iter();
    let seen = devices.filter(|known| bearer.sees(Some(&known.device.unit)));
    let devices = seen.map(|registered| {
        let heard = heard.get(&registered.device.id).map(AsRef::as_ref);
        let lacks = tails.get(&registered.device.id);
        DeviceView::new(registered, heard, zone).lacking(lacks, zone)
    });
    Ok(Json(Devices { devices: devices.collect() }))
}

/// Returns a device.
#[utoipa::path(get, path = "/devices/{id}", operation_id = "get_device", tag = "register",
    params(("id" = String, Path, description = "device id")), responses(
    (status = 200, body = DeviceView), (status = 401, body = ApiError),
    (status = 404, body = ApiError)))]
pub async fn one(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    Path(name): Path<String>,
) -> Result<Json<DeviceView>, ApiError> {
    let name: DeviceId = id(&name)?;
    let seen = store.device(&name).await?.filter(|one| bearer.sees(Some(&one.device.unit)));
    let registered = seen.ok_or_else(|| ApiError::not_found("device", &name))?;
    let (heard, zone) = (live.heard(&name), live.picture().zone);
    let device = DeviceView::new(registered, heard.as_deref(), zone);
    Ok(Json(device.lacking(live.tails().get(&name), zone)))
}

/// A device to register.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceToRegister {
    /// 3 to 40 of a-z, 0-9 and -.
    id: String,
    /// Name or place for people.
    name: String,
    /// A unit of the register.
    unit: String,
    /// A profile of the station.
    profile: String,
    #[serde(default)]
    tags: Vec<String>,
    /// 0-100, 100 unless said.
    #[serde(default)]
    volume_cap: Option<u8>,
    /// −1000 to 1000, 0 unless said; positive plays later.
    #[serde(default)]
    trim_ms: Option<i64>,
    /// The gateway that speaks and signs for it; such a device gets no code.
    #[serde(default)]
    behind: Option<String>,
}

/// A registered device with the code by which it enrols.
#[derive(Serialize, ToSchema)]
pub struct DeviceRegistered {
    device: DeviceView,
    /// Null for a device behind a gateway.
    code: Option<CodeIssued>,
}

/// Registers a device and issues the code by which it enrols, unless it stands behind a gateway. An id that is there already is
/// refused: change it by import, or issue a new code for it.
#[utoipa::path(post, path = "/devices", operation_id = "register_device", tag = "register", request_body = DeviceToRegister,
    responses((status = 201, body = DeviceRegistered), (status = 401, body = ApiError),
    (status = 403, body = ApiError),
    (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub async fn register(
    bearer: Bearer,
    State(register): State<Arc<Register>>,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
    Body(wanted): Body<DeviceToRegister>,
) -> Result<(StatusCode, Json<DeviceRegistered>), ApiError> {
    let picture = live.picture();
    let new = NewDevice {
        id: id(&wanted.id)?,
        name: wanted.name,
        unit: id(&wanted.unit)?,
        profile: id(&wanted.profile)?,
        tags: wanted.tags.iter().map(|tag| id(tag)).collect::<Result<_, _>>()?,
        volume_cap: wanted.volume_cap.unwrap_or(100),
        trim_ms: wanted.trim_ms.unwrap_or(0),
        behind: wanted.behind.as_deref().map(id).transpose()?,
    };
    bearer.may(Role::Technician, Some(&new.unit))?;
    if let Some(gateway) = &new.behind {
        let known = store.device(gateway).await?.filter(|k| bearer.sees(Some(&k.device.unit)));
        let known = known.ok_or_else(|| ApiError::not_found("device", gateway))?;
        bearer.may(Role::Technician, Some(&known.device.unit))?;
    }
    let entry = bearer.actor().did(clock.now(), "add-device", &new.id);
    let gateway = new.behind.as_ref().map_or_else(String::new, |id| format!(", behind {id}"));
    let entry = entry.after(format!("`{}` in {}, {}{gateway}", new.name, new.unit, new.profile));
    let profiles = picture.station.as_ref().map(|station| &station.profiles);
    let registered = register.add(new, profiles).await?;
    store.append(&entry).await?;
    if registered.device.behind.is_some() {
        let device = DeviceView::new(registered, None, picture.zone);
        return Ok((StatusCode::CREATED, Json(DeviceRegistered { device, code: None })));
    }
    let code = register.issue(&registered.device.id, None).await?;
    let issued = bearer.actor().did(clock.now(), "issue-code", &registered.device.id);
    store.append(&issued.after(format!("code {}", code.id))).await?;
    let device = DeviceView::new(registered, None, picture.zone);
    let code = Some(CodeIssued::new(&code, picture.zone)?);
    Ok((StatusCode::CREATED, Json(DeviceRegistered { device, code })))
}

//! The end of a device's key, of a device's hardware, of a mistake in the register.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::codes::CodeIssued;
use super::devices::DeviceView;
use super::{Body, id};
use crate::app::live::Live;
use crate::app::people::Role;
use crate::app::ports::{Registered, Store};
use crate::app::registry::Register;
use crate::clock::SharedClock;
use crate::domain::ids::DeviceId;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Why a device is revoked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// 1 to 200 characters.
    reason: String,
}

/// Why a device is replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Replacement {
    /// 1 to 200 characters.
    reason: String,
    /// Hours that the code works, 1 to 720; 72 unless said.
    #[serde(default)]
    hours: Option<u32>,
}

/// Finds a device that the bearer may handle as a technician of its unit.
async fn handled(
    bearer: &Bearer,
    store: &Arc<dyn Store>,
    device: &DeviceId,
) -> Result<Registered, ApiError> {
    let known = store.device(device).await?.filter(|k| bearer.sees(Some(&k.device.unit)));
    let known = known.ok_or_else(|| ApiError::not_found("device", device))?;
    bearer.may(Role::Technician, Some(&known.device.unit))?;
    Ok(known)
}

/// Takes the device's key and password away for good; it is put out of the broker at once.
#[utoipa::path(post, path = "/devices/{id}/revocation", operation_id = "revoke_device", tag = "register",
    params(("id" = String, Path, description = "device id")), request_body = Revocation,
    responses((status = 200, body = DeviceView), (status = 401, body = ApiError),
    (status = 403, body = ApiError), (status = 404, body = ApiError), (status = 422, body = ApiError)))]
pub async fn revoke(
    bearer: Bearer,
    State(register): State<Arc<Register>>,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
    Path(device): Path<String>,
    Body(wanted): Body<Revocation>,
) -> Result<Json<DeviceView>, ApiError> {
    let device: DeviceId = id(&device)?;
    handled(&bearer, &store, &device).await?;
    let known = register.revoke(&device, &wanted.reason, &bearer.actor().who).await?;
    let entry = bearer.actor().did(clock.now(), "revoke-device", &device).after(&wanted.reason);
    store.append(&entry).await?;
    let heard = live.heard(&device);
    Ok(Json(DeviceView::new(known, heard.as_deref(), live.picture().zone)))
}

/// Revokes the key of hardware that is broken or lost and issues a code for what takes its place.
#[utoipa::path(post, path = "/devices/{id}/replacement", operation_id = "replace_device", tag = "register",
    params(("id" = String, Path, description = "device id")), request_body = Replacement,
    responses((status = 201, body = CodeIssued), (status = 401, body = ApiError),
    (status = 403, body = ApiError), (status = 404, body = ApiError), (status = 409, body = ApiError),
    (status = 422, body = ApiError)))]
pub async fn replace(
    bearer: Bearer,
    State(register): State<Arc<Register>>,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
    Path(device): Path<String>,
    Body(wanted): Body<Replacement>,
) -> Result<(StatusCode, Json<CodeIssued>), ApiError> {
    let device: DeviceId = id(&device)?;
    handled(&bearer, &store, &device).await?;
    let issued =
        register.replace(&device, &wanted.reason, &bearer.actor().who, wanted.hours).await?;
    let entry = bearer.actor().did(clock.now(), "replace-device", &device);
    store.append(&entry.after(format!("{}; code {}", wanted.reason, issued.id))).await?;
    Ok((StatusCode::CREATED, Json(CodeIssued::new(&issued, live.picture().zone)?)))
}

/// Removes a device that never enrolled.
#[utoipa::path(delete, path = "/devices/{id}", operation_id = "delete_device", tag = "register",
    params(("id" = String, Path, description = "device id")),
    responses((status = 204), (status = 401, body = ApiError), (status = 403, body = ApiError),
    (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub async fn delete(
    bearer: Bearer,
    State(register): State<Arc<Register>>,
    State(store): State<Arc<dyn Store>>,
    State(clock): State<SharedClock>,
    Path(device): Path<String>,
) -> Result<StatusCode, ApiError> {
    let device: DeviceId = id(&device)?;
    handled(&bearer, &store, &device).await?;
    let known = register.delete(&device).await?;
    let before = format!("`{}` in {}", known.device.name, known.device.unit);
    let entry = bearer.actor().did(clock.now(), "delete-device", &device).before(before);
    store.append(&entry).await?;
    Ok(StatusCode::NO_CONTENT)
}

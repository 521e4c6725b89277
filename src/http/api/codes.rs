//! Enrolment codes: shown once when issued, afterwards known by their hash.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::{Body, id, local};
use crate::app::live::Live;
use crate::app::people::Role;
use crate::app::ports::{EnrolmentCode, Store};
use crate::app::registry::{Issued, Register};
use crate::clock::SharedClock;
use crate::domain::ids::DeviceId;
use crate::domain::time::UtcMs;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A code as it is shown once.
#[derive(Serialize, ToSchema)]
pub struct CodeIssued {
    device: String,
    /// To type: `loa speaker --enrol CODE`.
    code: String,
    /// The same as a QR code, SVG.
    qr_svg: String,
    #[schema(format = "date-time")]
    expires: String,
    /// SHA-256 of its secret: names it in the list.
    id: String,
}

impl CodeIssued {
    /// Shows an issued code.
    pub fn new(issued: &Issued, zone: Tz) -> Result<Self, ApiError> {
        Ok(Self {
            device: issued.device.to_string(),
            code: issued.code.clone(),
            qr_svg: qr_svg(&issued.code)?,
            expires: local(issued.expires_ms, zone),
            id: issued.id.to_string(),
        })
    }
}

fn qr_svg(text: &str) -> Result<String, ApiError> {
    let code = qrcode::QrCode::with_error_correction_level(text, qrcode::EcLevel::M)
        .map_err(ApiError::internal)?;
    Ok(code.render::<qrcode::render::svg::Color<'_>>().min_dimensions(240, 240).build())
}

/// All codes.
#[derive(Serialize, ToSchema)]
pub struct Codes {
    codes: Vec<CodeView>,
}

/// An enrolment code without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Code)]
pub struct CodeView {
    /// SHA-256 of its secret.
    id: String,
    device: String,
    /// `open`, `used` or `expired`.
    state: &'static str,
    #[schema(format = "date-time")]
    issued: String,
    #[schema(format = "date-time")]
    expires: String,
    #[schema(format = "date-time")]
    used: Option<String>,
    /// Thumbprint of the key that used it.
    used_by: Option<String>,
    /// Attempts that were refused.
    refused: u32,
    last_refusal: Option<String>,
}

impl CodeView {
    fn new(code: EnrolmentCode, now: UtcMs, zone: Tz) -> Self {
        let state = match &code.used {
            Some(_) => "used",
            None if code.expires_ms <= now => "expired",
            None => "open",
        };
        Self {
            id: code.id.into(),
            device: code.device.into(),
            state,
            issued: local(code.made_ms, zone),
            expires: local(code.expires_ms, zone),
            used: code.used.as_ref().map(|used| local(used.at_ms, zone)),
            used_by: code.used.map(|used| used.kid),
            refused: code.refused,
            last_refusal: code.last_refusal,
        }
    }
}

/// How long a new code is to work.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeToIssue {
    /// Hours, 1 to 720; 72 unless said.
    #[serde(default)]
    hours: Option<u32>,
}

/// Issues a code by which the device enrols, for the first time or again with a new key.
#[utoipa::path(post, path = "/devices/{id}/enrolment-codes", operation_id = "issue_enrolment_code", tag = "register",
    params(("id" = String, Path, description = "device id")), request_body = CodeToIssue,
    responses((status = 201, body = CodeIssued), (status = 401, body = ApiError),
    (status = 403, body = ApiError),
    (status = 404, body = ApiError), (status = 422, body = ApiError)))]
pub async fn issue(
    bearer: Bearer,
    State(register): State<Arc<Register>>,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
    Path(device): Path<String>,
    Body(wanted): Body<CodeToIssue>,
) -> Result<(StatusCode, Json<CodeIssued>), ApiError> {
    let device: DeviceId = id(&device)?;
    let known = store.device(&device).await?.filter(|k| bearer.sees(Some(&k.device.unit)));
    let known = known.ok_or_else(|| ApiError::not_found("device", &device))?;
    bearer.may(Role::Technician, Some(&known.device.unit))?;
    let issued = register.issue(&device, wanted.hours).await?;
    let entry = bearer.actor().did(clock.now(), "issue-code", &device);
    store.append(&entry.after(format!("code {}", issued.id))).await?;
    Ok((StatusCode::CREATED, Json(CodeIssued::new(&issued, live.picture().zone)?)))
}

/// Lists enrolment codes, newest first; secrets are not shown again.
#[utoipa::path(get, path = "/enrolment-codes", operation_id = "list_enrolment_codes", tag = "register", responses(
    (status = 200, body = Codes), (status = 401, body = ApiError),
    (status = 403, body = ApiError)))]
pub async fn list(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
) -> Result<Json<Codes>, ApiError> {
    let (now, zone) = (clock.now(), live.picture().zone);
    bearer.may(Role::Technician, None)?;
    let codes = store.codes().await?.into_iter().map(|code| CodeView::new(code, now, zone));
    Ok(Json(Codes { codes: codes.collect() }))
}

//! The one error of the API: status, stable code, detail, hint.
//!
//! Answered as `application/problem+json` (RFC 9457) with the members `status`, `code`, `detail`
//! and `hint`. Codes are kebab-case and stable. Faults of our own are logged once, here, and
//! answered without inner text.

use crate::app::people::Role;
use crate::domain::ids::UnitId;
use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::fmt::Display;
use utoipa::ToSchema;

/// Why a request was not answered as asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(title = "Problem")]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// Stable word for programs, kebab-case.
    #[schema(value_type = String)]
    pub code: &'static str,
    /// What went wrong, with the value at fault in backticks.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Seconds after which it is worth asking again, as `Retry-After`.
    #[serde(skip)]
    pub retry_after_s: Option<u32>,
}

impl ApiError {
    /// Returns an error with its status, code and detail.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Display) -> Self {
        Self {
            status: status.as_u16(),
            code,
            detail: detail.to_string(),
            hint: None,
            retry_after_s: None,
        }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Nothing of that name.
    pub fn not_found(what: &str, name: impl Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", format!("no {what} `{name}`"))
    }

    /// A value in the request that cannot be used.
    pub fn invalid(detail: impl Display, hint: impl Display) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail).hint(hint)
    }

    /// No token, or not a good one.
    pub fn unauthorised() -> Self {
        let detail = "this needs a token of the station";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorised", detail)
            .hint("send `Authorization: Bearer TOKEN`; `loa init` printed the first token")
    }

    /// A person who does not have the role there.
    pub fn forbidden(role: Role, unit: Option<&UnitId>) -> Self {
        let detail = match unit {
            Some(unit) => format!("this needs the role `{role}` for unit `{unit}`"),
            None => format!("this needs the role `{role}` for the whole station"),
        };
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
            .hint("an administrator gives roles: `loa user grant PERSON ROLE [--unit UNIT]`")
    }

    /// A person without any role.
    pub fn no_role() -> Self {
        let detail = "you have no role at this station";
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
            .hint("an administrator gives roles: `loa user grant PERSON ROLE [--unit UNIT]`")
    }

    /// A person whose roles are for some units, where the answer is about all.
    pub fn own_units_only() -> Self {
        let detail = "this is about the whole station, and your roles are for some units only";
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
            .hint("ask for one device or unit of yours, or for a role over the whole station")
    }

    /// A fault of ours: logged here with its cause, answered without it.
    pub fn internal(error: impl Display) -> Self {
        tracing::error!(%error, "Failed to answer a request");
        let detail = "the server could not do this now";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
            .hint("the server's log has the cause")
    }

    /// Something this needs is not there yet (no valid station folder, no broker).
    pub fn not_ready(detail: impl Display) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", detail)
            .hint("GET /readyz and GET /api/v1/station/faults say what is missing")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after_s;
        let mut response = (status, Json(self)).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        let problem = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, problem);
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"loa\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

impl From<JsonRejection> for ApiError {
    fn from(error: JsonRejection) -> Self {
        let status = error.status();
        let code = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "too-large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "not-json",
            _ => "invalid",
        };
        Self::new(status, code, error.body_text()).hint("see /api/v1/openapi.json")
    }
}

impl From<PathRejection> for ApiError {
    fn from(error: PathRejection) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", error.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(error: QueryRejection) -> Self {
        Self::new(error.status(), "invalid", error.body_text()).hint("see /api/v1/openapi.json")
    }
}

impl From<crate::app::ports::StoreError> for ApiError {
    fn from(error: crate::app::ports::StoreError) -> Self {
        use crate::app::ports::StoreError as E;
        let (status, code) = match &error {
            E::Full { .. } => (StatusCode::INSUFFICIENT_STORAGE, "disk-full"),
            E::Stale { .. } => (StatusCode::CONFLICT, "changed-meanwhile"),
            E::Fenced { .. } => (StatusCode::SERVICE_UNAVAILABLE, "taken-over"),
            // A person must act, and trying again helps nobody.
            E::Corrupt { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "store-damaged"),
            E::Damaged { .. } | E::Differs { .. } | E::TooNew { .. } | E::Failed { .. } => {
                return Self::internal(chain(&error));
            }
        };
        let hint = error.hint();
        tracing::warn!(error = chain(&error), "The store refused");
        Self::new(status, code, &error).hint(hint)
    }
}

/// Writes an error with its causes on one line, for the log.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

impl From<crate::app::live::NoStation> for ApiError {
    fn from(error: crate::app::live::NoStation) -> Self {
        Self::not_ready(error)
    }
}

impl From<crate::app::access::AccessError> for ApiError {
    fn from(error: crate::app::access::AccessError) -> Self {
        match error {
            crate::app::access::AccessError::Store(error) => error.into(),
            error @ crate::app::access::AccessError::Random { .. } => Self::internal(chain(&error)),
        }
    }
}

impl From<crate::app::registry::RegisterError> for ApiError {
    fn from(error: crate::app::registry::RegisterError) -> Self {
        use crate::app::registry::RegisterError as E;
        let (status, code) = match &error {
            E::Exists { .. } => (StatusCode::CONFLICT, "exists"),
            E::NoDevice { .. } => (StatusCode::NOT_FOUND, "not-found"),
            E::HasEnrolled { .. } => (StatusCode::CONFLICT, "has-enrolled"),
            E::NeverEnrolled { .. } => (StatusCode::CONFLICT, "never-enrolled"),
            E::StandsBehind { .. } => (StatusCode::CONFLICT, "stands-behind"),
            E::HasBehind { .. } => (StatusCode::CONFLICT, "has-behind"),
            E::NoGateway { .. }
            | E::Chain { .. }
            | E::TooManyBehind { .. }
            | E::NoUnit { .. }
            | E::NoProfile { .. }
            | E::Range { .. }
            | E::Name
            | E::Reason => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            E::Random { .. } => return Self::internal(chain(&error)),
            E::Store(_) => {
                return match error {
                    E::Store(error) => error.into(),
                    other => Self::internal(chain(&other)),
                };
            }
        };
        let hint = error.hint();
        Self::new(status, code, &error).hint(hint)
    }
}

//! The server's HTTP face: API, enrolment, assets, health, metrics, one page.
//!
//! A handler parses, calls one use case and maps the result; no SQL, no rules. Errors are one
//! type ([`error::ApiError`]). Bounds: bodies of [`BODY`] bytes, answers begun within
//! [`ANSWER`], connections and idle times in [`door`]; a panic is answered, counted and logged,
//! and the others go on.
//!
//! | Path | For whom |
//! |---|---|
//! | `/api/v1/…` | programs with a token; `/api/v1/openapi.json` for all |
//! | `POST /enrol` | devices with a code |
//! | `GET /a/{sha256}` | devices, in ranges |
//! | `/log/{shard}/…` | anybody: the evidence log as static files |
//! | `/`, `/in/{link}`, `/style.css` | people on this machine or with a link |
//! | `/healthz`, `/readyz` | supervisors |
//! | `/metrics` | Prometheus, on this machine or with a token |

pub mod api;
pub mod asset;
mod auth;
pub mod door;
mod enrol;
mod error;
mod health;
mod limit;
mod log;
mod page;
mod shown;
mod state;

pub use asset::Shelf;
pub use error::ApiError;
pub use limit::{Door as Asked, Turnstile};
pub use log::LogFolder;
pub use shown::ShownCertificate;
pub use state::{AppState, EvidenceFiles, Site};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use std::any::Any;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

/// Largest request body in bytes.
pub const BODY: usize = 64 * 1024;
/// Longest time until an answer begins.
pub const ANSWER: Duration = Duration::from_secs(20);

/// What a browser may do on our pages: nothing but show them.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// Returns the whole service.
pub fn router(state: AppState) -> Router {
    let (api, document) = api::router().split_for_parts();
    let document = openapi_text(&document);
    let openapi = get(move || {
        let document = document.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], document).into_response() }
    });
    let mut router = Router::new()
        .nest("/api/v1", api.route("/openapi.json", openapi))
        .route("/enrol", post(enrol::post))
        .route("/a/{sha256}", get(asset::get))
        .route("/log/{shard}/{*rest}", get(log::get))
        .route("/", get(page::get))
        .route("/in/{link}", get(page::enter))
        .route("/style.css", get(page::style))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method);
    router = router
        .layer(DefaultBodyLimit::max(BODY))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, ANSWER));
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        let value = HeaderValue::from_static(value);
        router = router.layer(SetResponseHeaderLayer::if_not_present(name, value));
    }
    if state.site.tls {
        let always = HeaderValue::from_static("max-age=31536000");
        let name = header::STRICT_TRANSPORT_SECURITY;
        router = router.layer(SetResponseHeaderLayer::if_not_present(name, always));
    }
    router.layer(axum::middleware::from_fn(health::count)).with_state(state)
}

/// Writes the API document; the same bytes for the same program.
pub fn openapi_text(document: &utoipa::openapi::OpenApi) -> String {
    document.to_pretty_json().unwrap_or_else(|error| {
        tracing::error!(%error, "Failed to write the API document");
        "{}".to_owned()
    })
}

/// Returns the API document.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let nested = utoipa_axum::router::OpenApiRouter::new().nest("/api/v1", api::router());
    nested.into_openapi()
}

async fn unknown(uri: axum::http::Uri) -> ApiError {
    ApiError::not_found("page or resource", uri.path().chars().take(200).collect::<String>())
}

async fn wrong_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method", "not with this method")
        .hint("see /api/v1/openapi.json")
}

fn panicked(_: Box<dyn Any + Send + 'static>) -> Response<axum::body::Body> {
    metrics::counter!("loa_http_panics_total").increment(1);
    ApiError::internal("a handler panicked; the line before says where").into_response()
}

#[cfg(test)]
mod tests;

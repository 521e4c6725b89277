//! `/api/v1`: one file per resource.
//!
//! Conventions: a list is an object with one named member and, where it can be long, `next` to
//! pass as `after`; instants are RFC 3339 with the station's offset; what is not known is null;
//! hashes are lower-case hex. A handler parses, calls one use case and maps the result.

pub mod air;
pub mod assets;
pub mod back;
pub mod codes;
mod desk;
pub mod devices;
pub mod draws;
pub mod evidence;
pub mod feeds;
pub mod hold;
pub mod links;
pub mod log;
pub mod outcomes;
pub mod people;
pub mod plans;
pub mod playlists;
pub mod previews;
pub mod proposals;
pub mod records;
pub mod reports;
pub mod standing;
mod station;
pub mod tails;
pub mod timetable;
pub mod topics;
pub mod trail;
pub mod units;
mod upload;
pub mod urgent;

use super::error::ApiError;
use super::state::AppState;
use crate::domain::time::UtcMs;
use axum::Json;
use axum::extract::FromRequest;
use chrono::SecondsFormat;
use chrono_tz::Tz;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

/// Returns the routes of the API and their document.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(document())
        .routes(routes!(station::get))
        .routes(routes!(station::faults))
        .routes(routes!(units::list))
        .routes(routes!(feeds::list))
        .routes(routes!(devices::list, devices::register))
        .routes(routes!(devices::one))
        .routes(routes!(timetable::get))
        .routes(routes!(standing::delete))
        .routes(routes!(standing::revoke))
        .routes(routes!(standing::replace))
        .routes(routes!(codes::issue))
        .routes(routes!(codes::list))
        .routes(routes!(playlists::list))
        .routes(routes!(playlists::one))
        .routes(routes!(previews::of_playlist))
        .routes(routes!(previews::of_pages))
        .routes(routes!(air::get))
        .routes(routes!(records::list))
        .routes(routes!(tails::list))
        .routes(routes!(outcomes::list))
        .routes(routes!(assets::list))
        .routes(routes!(links::issue))
        .routes(routes!(proposals::list, proposals::propose_files))
        .routes(routes!(proposals::one))
        .routes(routes!(proposals::propose))
        .routes(routes!(proposals::approve))
        .routes(routes!(proposals::give_back))
        .routes(routes!(proposals::take_back))
        .routes(routes!(back::roll_back))
        .routes(routes!(back::withdraw))
        .routes(routes!(back::withdraw_unit))
        .routes(routes!(people::list))
        .routes(routes!(people::me))
        .routes(routes!(trail::list))
        .routes(routes!(log::get))
        .routes(routes!(log::prove))
        .routes(routes!(reports::list))
        .routes(routes!(reports::make, reports::letter))
        .routes(routes!(reports::heard))
        .routes(routes!(draws::list, draws::make))
        .routes(routes!(draws::one))
        .routes(routes!(draws::paper))
        .routes(routes!(draws::findings).layer(axum::extract::DefaultBodyLimit::max(draws::UPLOAD)))
        .routes(routes!(urgent::list, urgent::prepare))
        .routes(routes!(urgent::upload).layer(axum::extract::DefaultBodyLimit::max(urgent::UPLOAD)))
        .routes(routes!(urgent::one))
        .routes(routes!(urgent::send))
        .routes(routes!(urgent::withdraw))
        .routes(routes!(hold::list))
        .routes(routes!(hold::one, hold::put))
        .routes(routes!(hold::release))
        .routes(routes!(plans::list))
        .routes(
            routes!(plans::one, plans::put)
                .layer(axum::extract::DefaultBodyLimit::max(plans::UPLOAD)),
        )
        .routes(routes!(plans::lines))
        .routes(routes!(plans::withdraw))
        .routes(routes!(topics::list, topics::put))
        .routes(
            routes!(evidence::list, evidence::add)
                // The handler bounds what it reads itself, when it knows who sends.
                .layer(axum::extract::DefaultBodyLimit::disable()),
        )
        .routes(routes!(evidence::one))
        .routes(routes!(evidence::file))
        .routes(routes!(evidence::withdraw))
}

fn document() -> OpenApi {
    let mut components = utoipa::openapi::Components::new();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token of the station; `loa init` prints the first."))
        .build();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Loa")
                .version("1")
                .description(Some(
                    "Schedules, devices and signed evidence of a loudspeaker and LED board \
                     station. Instants are RFC 3339 with the station's offset. Errors are \
                     `application/problem+json` with a stable `code` and a `hint`.",
                ))
                .license(Some(LicenseBuilder::new().name("MIT OR Apache-2.0").build()))
                .contact(None::<utoipa::openapi::Contact>)
                .build(),
        )
        .components(Some(components))
        .security(Some([utoipa::openapi::SecurityRequirement::new("token", Vec::<String>::new())]))
        .build()
}

/// Writes an instant as the API shows it: local, with offset, milliseconds.
pub fn local(at: UtcMs, zone: Tz) -> String {
    at.datetime().with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Reads an instant of a query.
pub fn instant(name: &str, text: &str) -> Result<UtcMs, ApiError> {
    chrono::DateTime::parse_from_rfc3339(text)
        .map(|at| UtcMs::from(at.with_timezone(&chrono::Utc)))
        .map_err(|_| {
            let text: String = text.chars().take(80).collect();
            ApiError::invalid(
                format!("`{name}`: `{text}` is not an instant"),
                "RFC 3339 with offset, `+` written as `%2B`: `2026-11-21T17:00:00%2B07:00`",
            )
        })
}

/// Reads an id of a query or path.
pub fn id<T>(text: &str) -> Result<T, ApiError>
where
    T: std::str::FromStr<Err = crate::domain::ids::IdError>,
{
    text.parse().map_err(|e: crate::domain::ids::IdError| ApiError::invalid(&e, e.hint()))
}

/// A JSON body; what is not one is answered as [`ApiError`].
pub struct Body<T>(pub T);

impl<S, T> FromRequest<S> for Body<T>
where
    S: Send + Sync,
    T: serde::de::DeserializeOwned,
{
    type Rejection = ApiError;

    async fn from_request(req: axum::extract::Request, state: &S) -> Result<Self, ApiError> {
        let Json(value) = Json::<T>::from_request(req, state).await?;
        Ok(Self(value))
    }
}

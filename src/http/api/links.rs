//! One-time links to the page.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::local;
use crate::app::access;
use crate::app::live::Live;
use crate::app::ports::Store;
use crate::clock::SharedClock;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A link that opens the page once.
#[derive(Serialize, ToSchema)]
pub struct Link {
    /// Path below the address under which you reach the server.
    path: String,
    #[schema(format = "date-time")]
    expires: String,
}

/// Makes a link that opens the page once.
#[utoipa::path(post, path = "/links", operation_id = "issue_link", tag = "access", responses(
    (status = 201, body = Link), (status = 401, body = ApiError),
    (status = 403, body = ApiError)))]
pub async fn issue(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
) -> Result<(StatusCode, Json<Link>), ApiError> {
    // The page shows all of the station.
    bearer.must_see_all()?;
    let now = clock.now();
    let life = Some(access::LINK_MS);
    let secret =
        access::grant(&*store, &bearer.name, Some(&bearer.person.id), access::LINK, now, life)
            .await?;
    store.append(&bearer.actor().did(now, "issue-link", "page")).await?;
    let expires = local(now.plus(access::LINK_MS), live.picture().zone);
    Ok((StatusCode::CREATED, Json(Link { path: format!("/in/{}", secret.reveal()), expires })))
}

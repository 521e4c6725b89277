//! People and what they may.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::local;
use crate::app::live::Live;
use crate::app::people::{Person, Role};
use crate::app::ports::Store;
use axum::Json;
use axum::extract::State;
use chrono_tz::Tz;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// All people.
#[derive(Serialize, ToSchema)]
pub struct People {
    people: Vec<PersonView>,
}

/// Somebody who uses the station.
#[derive(Serialize, ToSchema)]
#[schema(as = Person)]
pub struct PersonView {
    id: String,
    name: String,
    #[schema(format = "date-time")]
    since: String,
    /// When access ended.
    #[schema(format = "date-time")]
    ended: Option<String>,
    grants: Vec<GrantView>,
}

/// A role over a unit and all below it.
#[derive(Serialize, ToSchema)]
#[schema(as = Grant)]
pub struct GrantView {
    /// `operator`, `approver`, `technician`, `auditor` or `administrator`.
    #[schema(value_type = String)]
    role: Role,
    /// The whole station when null.
    unit: Option<String>,
}

impl PersonView {
    fn new(person: Person, zone: Tz) -> Self {
        let grants = person.grants.into_iter();
        Self {
            id: person.id.into(),
            name: person.name,
            since: local(person.since_ms, zone),
            ended: person.ended_ms.map(|at| local(at, zone)),
            grants: grants
                .map(|grant| GrantView { role: grant.role, unit: grant.unit.map(Into::into) })
                .collect(),
        }
    }
}

/// Lists people and their roles; `loa user` changes them.
#[utoipa::path(get, path = "/people", operation_id = "list_people", tag = "access", responses(
    (status = 200, body = People), (status = 401, body = ApiError),
    (status = 403, body = ApiError)))]
pub async fn list(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
) -> Result<Json<People>, ApiError> {
    bearer.may(Role::Auditor, None)?;
    let zone = live.picture().zone;
    let people = store.people().await?.into_iter().map(|one| PersonView::new(one, zone));
    Ok(Json(People { people: people.collect() }))
}

/// Returns whom the token belongs to.
#[utoipa::path(get, path = "/me", operation_id = "get_me", tag = "access", responses(
    (status = 200, body = PersonView), (status = 401, body = ApiError)))]
pub async fn me(bearer: Bearer, State(live): State<Arc<Live>>) -> Json<PersonView> {
    Json(PersonView::new(bearer.person, live.picture().zone))
}

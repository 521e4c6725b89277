//! Units of the register.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use crate::app::ports::Store;
use crate::domain::station::Unit;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// All units.
#[derive(Serialize, ToSchema)]
pub struct Units {
    units: Vec<UnitView>,
}

/// An administrative unit (đơn vị hành chính).
#[derive(Serialize, ToSchema)]
#[schema(as = Unit)]
pub struct UnitView {
    /// 2 digits province, 5 commune, 5 digits `-` name hamlet.
    id: String,
    name: String,
    parent: Option<String>,
    /// First day of validity.
    #[schema(format = "date")]
    valid_from: Option<String>,
    /// Last day of validity.
    #[schema(format = "date")]
    valid_until: Option<String>,
    successors: Vec<String>,
    population: Option<u32>,
}

impl From<Unit> for UnitView {
    fn from(unit: Unit) -> Self {
        Self {
            id: unit.id.into(),
            name: unit.name,
            parent: unit.parent.map(Into::into),
            valid_from: unit.valid_from.map(|day| day.to_string()),
            valid_until: unit.valid_until.map(|day| day.to_string()),
            successors: unit.successors.into_iter().map(Into::into).collect(),
            population: unit.population,
        }
    }
}

/// Lists the units of the register.
#[utoipa::path(get, path = "/units", operation_id = "list_units", tag = "register", responses(
    (status = 200, body = Units), (status = 401, body = ApiError),
    (status = 403, body = ApiError)))]
pub async fn list(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
) -> Result<Json<Units>, ApiError> {
    bearer.must_be_known()?;
    let units = store.units().await?.into_iter().map(UnitView::from).collect();
    Ok(Json(Units { units }))
}

//! Ends of chains that devices tell of and that never came.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::devices::TailView;
use super::id;
use crate::app::live::Live;
use crate::app::ports::{Store, StoredTail, TailStand};
use crate::domain::ids::DeviceId;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Most an answer holds.
const MOST: usize = 1_000;

/// Which are wanted; all conditions hold together.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Device id.
    device: Option<String>,
    /// `missing` or `given-up`.
    stand: Option<String>,
    /// Go on after this, as `next` of the answer before says.
    after: Option<String>,
    /// At most so many, 1 to 1000; 100 unless said.
    limit: Option<usize>,
}

/// Some of them.
#[derive(Serialize, ToSchema)]
pub struct Tails {
    tails: Vec<DeviceTail>,
    /// Pass as `after` to go on; null when these were the last.
    next: Option<String>,
}

/// The end of a chain that never came.
#[derive(Serialize, ToSchema)]
pub struct DeviceTail {
    device: String,
    #[serde(flatten)]
    tail: TailView,
}

fn place(tail: &StoredTail) -> String {
    format!("{}.{}", tail.device, tail.chain)
}

/// Lists ends of chains that devices told of and that never came, by device and chain.
#[utoipa::path(get, path = "/records/missing", operation_id = "list_missing_tails",
    tag = "evidence", params(Wanted), responses(
    (status = 200, body = Tails), (status = 401, body = ApiError),
    (status = 403, body = ApiError), (status = 422, body = ApiError)))]
pub async fn list(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Tails>, ApiError> {
    let Query(wanted) = wanted?;
    let device: Option<DeviceId> = wanted.device.as_deref().map(id).transpose()?;
    match &device {
        Some(device) => bearer.must_see(device)?,
        None => bearer.must_see_all()?,
    }
    let stand = wanted.stand.as_deref().map(|word| {
        TailStand::read(word).filter(|stand| *stand != TailStand::Waiting).ok_or_else(|| {
            ApiError::invalid(format!("`{word}` is no stand"), "`missing` or `given-up`")
        })
    });
    let stand = stand.transpose()?;
    let limit = wanted.limit.unwrap_or(100).clamp(1, MOST);
    let zone = live.picture().zone;
    let mut found: Vec<StoredTail> = store.tails().await?;
    found.retain(|tail| {
        tail.stand != TailStand::Waiting
            && stand.is_none_or(|stand| stand == tail.stand)
            && device.as_ref().is_none_or(|device| *device == tail.device)
    });
    found.sort_by_cached_key(place);
    found.retain(|tail| wanted.after.as_ref().is_none_or(|after| place(tail) > *after));
    let next = (found.len() > limit).then(|| found.get(limit - 1).map(place)).flatten();
    let tails = found.iter().take(limit).map(|tail| DeviceTail {
        device: tail.device.to_string(),
        tail: TailView::new(tail, zone),
    });
    Ok(Json(Tails { tails: tails.collect(), next }))
}

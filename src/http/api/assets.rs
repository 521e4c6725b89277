//! Assets: clips as the library knows them.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use crate::app::live::Live;
use crate::domain::station::Clip;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// All clips that playlists name.
#[derive(Serialize, ToSchema)]
pub struct Assets {
    assets: Vec<AssetView>,
}

/// A clip (tệp nội dung). Figures are null when it cannot be used.
#[derive(Serialize, ToSchema)]
#[schema(as = Asset)]
pub struct AssetView {
    /// As playlists name it.
    path: String,
    /// Why it cannot be used.
    error: Option<String>,
    /// Name of its bytes: `GET /a/{sha256}`.
    sha256: Option<String>,
    bytes: Option<u64>,
    #[serde(rename = "type")]
    media_type: Option<String>,
    duration_ms: Option<i64>,
    /// Gain in tenths of a decibel, to −16 LUFS under −1 dBTP.
    gain_cb: Option<i64>,
    /// Integrated loudness in tenths of LUFS.
    lufs_cb: Option<i64>,
    title: Option<String>,
}

/// Lists the clips that playlists name.
#[utoipa::path(get, path = "/assets", operation_id = "list_assets", tag = "schedule", responses(
    (status = 200, body = Assets), (status = 401, body = ApiError),
    (status = 403, body = ApiError),
    (status = 503, description = "no valid station folder yet", body = ApiError)))]
pub async fn list(bearer: Bearer, State(live): State<Arc<Live>>) -> Result<Json<Assets>, ApiError> {
    bearer.must_be_known()?;
    let station = live.picture().station()?;
    let assets = station.library.clips.iter().map(|(path, clip)| {
        let (facts, error) = match clip {
            Clip::Known(facts) => (Some(facts), None),
            Clip::Missing { why } => (None, Some(why.clone())),
        };
        AssetView {
            path: path.0.clone(),
            error,
            sha256: facts.map(|facts| facts.sha256.to_string()),
            bytes: facts.map(|facts| facts.bytes),
            media_type: facts.map(|facts| facts.media_type.clone()),
            duration_ms: facts.map(|facts| facts.ms),
            gain_cb: facts.map(|facts| facts.gain_cb),
            lufs_cb: facts.map(|facts| facts.lufs_cb),
            title: facts.map(|facts| facts.title.clone()),
        }
    });
    Ok(Json(Assets { assets: assets.collect() }))
}

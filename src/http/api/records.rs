//! Records: what devices signed, exactly.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::{id, instant, local};
use crate::app::live::Live;
use crate::app::ports::{Enclosure, Listed, Page, RecordFilter, Store, Via};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Most records an answer holds.
const MOST: u32 = 1000;

/// Which records are wanted; all conditions hold together.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Device id.
    device: Option<String>,
    /// `play`, `show`, `start`, `boot`, …
    kind: Option<String>,
    /// Cue id.
    cue: Option<String>,
    /// Id of an urgent notice, hold or command.
    jti: Option<String>,
    /// By the device's clock, inclusive; RFC 3339.
    from: Option<String>,
    /// By the device's clock, exclusive; RFC 3339.
    to: Option<String>,
    /// Go on after this position, in order of arrival (0: from the first). Without it the newest
    /// come, newest first.
    after: Option<i64>,
    /// At most so many, 1 to 1000; 100 unless said.
    limit: Option<u32>,
}

/// Some records.
#[derive(Serialize, ToSchema)]
pub struct Records {
    records: Vec<RecordView>,
    /// Pass as `after` to go on; null when these were the last, or when the newest were asked for.
    next: Option<i64>,
}

/// A signed record (bản ghi bằng chứng).
#[derive(Serialize, ToSchema)]
#[schema(as = Record)]
pub struct RecordView {
    /// Place in order of arrival.
    position: i64,
    device: String,
    chain: String,
    seq: u64,
    kind: String,
    cue: Option<String>,
    /// The notice, hold or command it answers to.
    jti: Option<String>,
    /// By the device's clock.
    #[schema(format = "date-time")]
    at: String,
    /// By the server's clock.
    #[schema(format = "date-time")]
    received: String,
    /// `link` over MQTT, `import` by hand.
    via: &'static str,
    /// What is wrong with it, if anything; it is counted all the same.
    fault: Option<String>,
    /// How tightly its time is enclosed, between the checkpoint that it quotes and the first
    /// witnessed one that holds it: `open` while no witness vouched for one, `enclosed`, or
    /// `late` where it is wider than an hour.
    time: &'static str,
    /// How wide, where it is `late`; null where nothing bounds it from below.
    late_width_ms: Option<i64>,
    /// Thumbprint of the key that signed it.
    kid: String,
    /// SHA-256 of `jws`.
    sha256: String,
    /// SHA-256 of the record before it, as this one says.
    prev: Option<String>,
    /// What was signed, decoded for reading.
    #[schema(value_type = Object)]
    claims: serde_json::Value,
    /// The compact JWS, byte for byte as received.
    jws: String,
}

/// Decodes the claims of a stored JWS for reading; null when they are no JSON.
pub fn claims(jws: &str) -> serde_json::Value {
    jws.split('.')
        .nth(1)
        .and_then(|part| URL_SAFE_NO_PAD.decode(part).ok())
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or(serde_json::Value::Null)
}

fn view(listed: Listed, zone: Tz) -> RecordView {
    let record = listed.record;
    RecordView {
        position: listed.position,
        device: record.device.into(),
        chain: record.chain.into(),
        seq: record.seq,
        kind: record.kind,
        cue: record.cue.map(Into::into),
        jti: record.jti,
        at: local(record.at_ms, zone),
        received: local(record.received_ms, zone),
        via: match record.via {
            Via::Link => "link",
            Via::Import => "import",
        },
        fault: record.fault,
        time: listed.time.as_str(),
        late_width_ms: match listed.time {
            Enclosure::Late { width_ms } => width_ms,
            Enclosure::Open | Enclosure::Tight => None,
        },
        kid: record.kid,
        sha256: record.digest.into(),
        prev: record.prev.map(Into::into),
        claims: claims(&record.jws),
        jws: record.jws.as_ref().to_owned(),
    }
}

/// Lists records with their exact signed bytes.
#[utoipa::path(get, path = "/records", operation_id = "list_records", tag = "evidence", params(Wanted), responses(
    (status = 200, body = Records), (status = 401, body = ApiError),
    (status = 403, body = ApiError),
    (status = 422, body = ApiError)))]
pub async fn list(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Records>, ApiError> {
    let Query(wanted) = wanted?;
    let filter = RecordFilter {
        device: wanted.device.as_deref().map(id).transpose()?,
        from_ms: wanted.from.as_deref().map(|text| instant("from", text)).transpose()?,
        to_ms: wanted.to.as_deref().map(|text| instant("to", text)).transpose()?,
        kind: wanted.kind,
        cue: wanted.cue.as_deref().map(id).transpose()?,
        jti: wanted.jti,
    };
    match &filter.device {
        Some(device) => bearer.must_see(device)?,
        None => bearer.must_see_all()?,
    }
    let limit = wanted.limit.unwrap_or(100).clamp(1, MOST);
    let page = match wanted.after {
        Some(position) => Page::After { position, limit },
        None => Page::Newest { limit },
    };
    let listed = store.records(&filter, page).await?;
    let full = listed.len() == usize::try_from(limit).unwrap_or(usize::MAX);
    let next = match page {
        Page::After { .. } if full => listed.last().map(|last| last.position),
        _ => None,
    };
    let zone = live.picture().zone;
    Ok(Json(Records { records: listed.into_iter().map(|one| view(one, zone)).collect(), next }))
}

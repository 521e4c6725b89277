//! For supervisors and Prometheus: alive, ready, figures.

use super::api::local;
use super::auth::Watcher;
use super::error::ApiError;
use crate::app::live::{Light, Live};
use crate::app::ports::Store;
use crate::domain::time::UtcMs;
use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics::{counter, gauge};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use std::sync::Arc;

/// The process runs and answers.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// What readiness needs, each by itself.
#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    /// The store took its last write.
    store: bool,
    /// A valid station is in force.
    station: bool,
    /// The server is connected to the broker.
    broker: bool,
    /// Everything due has been published and acknowledged.
    published: bool,
    /// The evidence log; null before its first head, and where another server writes it. It holds
    /// nothing up: records are taken in without it.
    log: Option<LogReadiness>,
    /// When the log's head was last stamped, for people: the log goes on without. Absent where no
    /// authority is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_stamp: Option<String>,
}

/// How the evidence log stands.
#[derive(Debug, Serialize)]
struct LogReadiness {
    /// Leaves under the newest head.
    size: u64,
    /// When it was signed, in milliseconds.
    at_ms: UtcMs,
    /// Leaves that wait.
    waiting: u64,
    /// Leaves that witnesses last vouched for, and when; null where none did.
    witnessed: Option<u64>,
    witnessed_ms: Option<UtcMs>,
    /// Whether they were as many as the station asks for.
    quorum: bool,
}

/// Whether the server does its work; 503 and what is missing otherwise.
pub async fn readyz(State(live): State<Arc<Live>>) -> Response {
    let picture = live.picture();
    let mut ready = Readiness {
        ready: false,
        store: picture.writable,
        station: picture.station.is_some(),
        broker: picture.broker.connected,
        published: picture.published_ms.is_some(),
        log: picture.log.as_ref().map(|log| LogReadiness {
            size: log.size,
            at_ms: log.at_ms,
            waiting: log.waiting,
            witnessed: log.witnessed.map(|witnessed| witnessed.size),
            witnessed_ms: log.witnessed.map(|witnessed| witnessed.at_ms),
            quorum: log.witnessed.is_some_and(|witnessed| witnessed.enough),
        }),
        last_stamp: picture.tokens.as_ref().map(|tokens| {
            let last = tokens.last.as_ref();
            last.map_or_else(|| "never".to_owned(), |last| local(last.at_ms, picture.zone))
        }),
    };
    ready.ready = ready.store && ready.station && ready.broker && ready.published;
    let status = if ready.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ready)).into_response()
}

/// The figures in Prometheus' text format.
pub async fn metrics(
    _: Watcher,
    State(handle): State<PrometheusHandle>,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
) -> Result<Response, ApiError> {
    let counts = store.evidence_counts().await?;
    let picture = live.picture();
    let heard = live.all_heard();
    let devices = live.devices();
    let online = devices
        .values()
        .filter(|d| Light::of(&d.standing, heard.get(&d.device.id).map(AsRef::as_ref)).is_online())
        .count();
    let figure = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    gauge!("loa_devices_registered").set(figure(devices.len()));
    gauge!("loa_devices_online").set(figure(online));
    gauge!("loa_station_faults").set(figure(picture.faults.len()));
    gauge!("loa_alarms").set(figure(picture.alarms.len()));
    gauge!("loa_broker_connected").set(f64::from(u8::from(picture.broker.connected)));
    gauge!("loa_last_published_seconds")
        .set(picture.published_ms.map_or(0.0, |at| at.numeric_date() as f64));
    counter!("loa_records_total").absolute(counts.records);
    counter!("loa_records_faulty_total").absolute(counts.faulty);
    counter!("loa_record_conflicts_total").absolute(counts.conflicts);
    counter!("loa_record_rejects_total").absolute(counts.rejects);
    counter!("loa_records_late_total").absolute(counts.late);
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, handle.render()).into_response())
}

/// Counts requests by route and status; unknown paths are one route, so nobody can fill memory.
pub async fn count(request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unknown".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    counter!("loa_http_requests_total", "route" => route, "status" => status).increment(1);
    response
}

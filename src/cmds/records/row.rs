//! A record as a line of the table, and as JSON.

use crate::app::outcome::content;
use crate::app::ports::{Enclosure, Listed, Via};
use crate::domain::ids::{CueId, DeviceId};
use crate::domain::proof::record::{Body, Said};
use crate::domain::recurrence::wall;
use crate::domain::time::UtcMs;
use crate::wire::b64;
use chrono::SecondsFormat;
use chrono_tz::Tz;
use serde::Serialize;

/// A record as `--json` shows it.
#[derive(Serialize)]
pub(super) struct Row {
    position: i64,
    device: DeviceId,
    chain: String,
    seq: u64,
    kind: String,
    cue: Option<CueId>,
    jti: Option<String>,
    at: String,
    received: String,
    via: &'static str,
    fault: Option<String>,
    time: &'static str,
    late_width_ms: Option<i64>,
    kid: String,
    sha256: String,
    prev: Option<String>,
    claims: serde_json::Value,
    jws: String,
}

pub(super) fn shown(at: UtcMs, zone: Tz) -> String {
    wall::display(zone, at).to_rfc3339_opts(SecondsFormat::Millis, false)
}

pub(super) fn row(Listed { position, record, time }: Listed, zone: Tz) -> Row {
    let payload = record.jws.split('.').nth(1).and_then(b64::decode).unwrap_or_default();
    Row {
        position,
        device: record.device,
        chain: record.chain.to_string(),
        seq: record.seq,
        kind: record.kind,
        cue: record.cue,
        jti: record.jti,
        at: shown(record.at_ms, zone),
        received: shown(record.received_ms, zone),
        via: match record.via {
            Via::Link => "link",
            Via::Import => "import",
        },
        fault: record.fault,
        time: time.as_str(),
        late_width_ms: match time {
            Enclosure::Late { width_ms } => width_ms,
            Enclosure::Open | Enclosure::Tight => None,
        },
        kid: record.kid,
        sha256: record.digest.to_string(),
        prev: record.prev.map(|prev| prev.to_string()),
        claims: serde_json::from_slice(&payload).unwrap_or_default(),
        jws: record.jws.as_ref().to_owned(),
    }
}

pub(super) fn cells(Listed { record, time, .. }: &Listed, zone: Tz) -> Vec<String> {
    let seconds = |ms: i64| format!("{}.{:01} s", ms / 1_000, ms % 1_000 / 100);
    let (what, result) = match content(record).map(|record| record.body) {
        Some(Body::Play(play)) => {
            let result =
                format!("{} ({}), {}", said(play.outcome), play.cause, seconds(play.played_ms));
            (play.title, result)
        }
        Some(Body::Show(show)) => {
            let result =
                format!("{} ({}), {}", said(show.outcome), show.cause, seconds(show.shown_ms));
            (show.title, result)
        }
        Some(Body::Boot { fw, reason, .. }) => (fw, reason),
        Some(Body::Did { what, result, .. }) => (what, result),
        Some(Body::Refuse { topic, reason, n, .. }) => (topic, format!("{reason} × {n}")),
        Some(Body::Lost { from, to, .. }) => (String::new(), format!("{from}-{to}")),
        Some(Body::Chain { why }) => (String::new(), why),
        _ => (String::new(), String::new()),
    };
    let plain = |text: String| text.chars().filter(|c| !c.is_control()).collect::<String>();
    vec![
        wall::display(zone, record.at_ms).format("%Y-%m-%d %H:%M:%S").to_string(),
        record.device.to_string(),
        record.seq.to_string(),
        record.kind.clone(),
        plain(what),
        plain(result),
        fault_of(record.fault.as_deref(), *time),
    ]
}

/// Returns what is wrong with a record, its time among it.
fn fault_of(fault: Option<&str>, time: Enclosure) -> String {
    let late = matches!(time, Enclosure::Late { .. }).then_some("late");
    fault.into_iter().chain(late).collect::<Vec<_>>().join(", ")
}

/// Returns the device's word as it is written on the wire.
fn said(said: Said) -> &'static str {
    match said {
        Said::Played => "played",
        Said::Partial => "partial",
        Said::Failed => "failed",
        Said::PreEmpted => "pre-empted",
        Said::Refused => "refused",
    }
}

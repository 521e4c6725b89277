//! What people did.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::local;
use crate::app::live::Live;
use crate::app::people::Role;
use crate::app::ports::{Page, Store, Trailed};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Most entries of one answer.
const MOST: u32 = 1000;

/// Which entries to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// At most so many, 1 to 1000; 100 unless given.
    limit: Option<u32>,
    /// In order after this position, 0 for the beginning; the newest first unless given.
    after: Option<i64>,
}

/// Entries of the trail.
#[derive(Serialize, ToSchema)]
pub struct TrailPage {
    entries: Vec<EntryView>,
    /// Pass as `after` for what follows; null at the end.
    next: Option<i64>,
}

/// One thing somebody did (nhật ký thao tác).
#[derive(Serialize, ToSchema)]
#[schema(as = TrailEntry)]
pub struct EntryView {
    position: i64,
    #[schema(format = "date-time")]
    at: String,
    /// Id of the person, `command line …` or `server`.
    who: String,
    /// Address the request came from, or `command line`.
    from: String,
    /// Verb and noun, kebab-case.
    action: String,
    subject: String,
    before: Option<String>,
    after: Option<String>,
}

impl EntryView {
    fn new(Trailed { position, entry }: Trailed, zone: Tz) -> Self {
        Self {
            position,
            at: local(entry.at, zone),
            who: entry.who,
            from: entry.from,
            action: entry.action,
            subject: entry.subject,
            before: entry.before,
            after: entry.after,
        }
    }
}

/// Lists what people did; nothing of it ever changes.
#[utoipa::path(get, path = "/trail", operation_id = "list_trail", tag = "access", params(Wanted), responses(
    (status = 200, body = TrailPage), (status = 401, body = ApiError),
    (status = 403, body = ApiError)))]
pub async fn list(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<TrailPage>, ApiError> {
    let Query(wanted) = wanted?;
    bearer.may(Role::Auditor, None)?;
    let limit = wanted.limit.unwrap_or(100).clamp(1, MOST);
    let page = match wanted.after {
        Some(position) => Page::After { position, limit },
        None => Page::Newest { limit },
    };
    let listed = store.trail(page).await?;
    let full = listed.len() == limit as usize;
    let next = match page {
        Page::After { .. } if full => listed.last().map(|last| last.position),
        _ => None,
    };
    let zone = live.picture().zone;
    let entries = listed.into_iter().map(|one| EntryView::new(one, zone)).collect();
    Ok(Json(TrailPage { entries, next }))
}

//! Values for boards: what boards were told, and how their sources go.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::{id, local};
use crate::app::feeds::{self, is_fresh};
use crate::app::live::{Live, Picture};
use crate::app::ports::Store;
use crate::app::registry::Register;
use crate::clock::SharedClock;
use crate::domain::feed::{Feed, Source};
use crate::domain::ids::FeedId;
use crate::domain::time::UtcMs;
use crate::wire::doc;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use std::ops::Bound;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Which feeds to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Only feeds in this state: `fresh`, `stale` or `never`.
    state: Option<String>,
    /// Only after this feed: `next` of the page before.
    after: Option<String>,
    /// At most so many, 1 to 500; 100 unless said.
    limit: Option<usize>,
}

/// Feeds in the order of their ids.
#[derive(Serialize, ToSchema)]
pub struct FeedPage {
    feeds: Vec<FeedView>,
    /// Pass it as `after` for the next page; null when this is the last.
    next: Option<String>,
}

/// A value for boards (số liệu).
#[derive(Serialize, ToSchema)]
#[schema(as = Feed)]
pub struct FeedView {
    id: String,
    title: String,
    /// Where it is read: address or topic, without secrets.
    source: String,
    /// `fresh`: boards show the value; `stale`: they show `--` in its place; `never`: there was
    /// none yet.
    state: &'static str,
    /// What boards were told last, with its unit.
    value: Option<String>,
    /// When that was measured.
    #[schema(format = "date-time")]
    measured: Option<String>,
    /// From when on boards show `--` unless a newer value comes.
    #[schema(format = "date-time")]
    stale_at: Option<String>,
    /// Why the source gives no value now.
    fault: Option<FeedFault>,
}

/// Why a source gives no value.
#[derive(Serialize, ToSchema)]
pub struct FeedFault {
    #[schema(format = "date-time")]
    since: String,
    what: String,
    hint: String,
}

fn view(
    feed: &Feed,
    told: Option<&doc::Feed>,
    live: &Live,
    picture: &Picture,
    now: UtcMs,
) -> FeedView {
    let zone = picture.zone;
    let stale_at = |told: &doc::Feed| told.at_ms.plus(told.stale_after_s.saturating_mul(1_000));
    let light = live.feed(&feed.id).unwrap_or_default();
    FeedView {
        id: feed.id.to_string(),
        title: feed.title.clone(),
        source: match &feed.source {
            // What stands after the question mark may be a secret all the same.
            Source::Http(http) => http.url.split('?').next().unwrap_or_default().to_owned(),
            Source::Mqtt(mqtt) => format!("{} {}", mqtt.url, mqtt.topic),
        },
        state: match told {
            None => "never",
            Some(told) if is_fresh(told, now) => "fresh",
            Some(_) => "stale",
        },
        value: told.map(|told| told.value.clone()),
        measured: told.map(|told| local(told.at_ms, zone)),
        stale_at: told.map(|told| local(stale_at(told), zone)),
        fault: light.fault.map(|fault| FeedFault {
            since: local(fault.since_ms, zone),
            what: fault.what,
            hint: fault.hint.to_owned(),
        }),
    }
}

/// Returns the feeds of the station with what boards were told.
#[utoipa::path(get, path = "/feeds", operation_id = "list_feeds", tag = "station", params(Which), responses(
    (status = 200, body = FeedPage), (status = 400, body = ApiError),
    (status = 401, body = ApiError), (status = 403, body = ApiError),
    (status = 503, description = "no valid station folder yet", body = ApiError)))]
pub async fn list(
    bearer: Bearer,
    State(live): State<Arc<Live>>,
    State(store): State<Arc<dyn Store>>,
    State(register): State<Arc<Register>>,
    State(clock): State<SharedClock>,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Json<FeedPage>, ApiError> {
    let Query(which) = which?;
    bearer.must_see_all()?;
    if let Some(state) = which.state.as_deref()
        && !matches!(state, "fresh" | "stale" | "never")
    {
        let text: String = state.chars().take(80).collect();
        let hint = "`fresh`, `stale` or `never`";
        return Err(ApiError::invalid(format!("`state`: `{text}` is no state"), hint));
    }
    let after = which.after.as_deref().map(id::<FeedId>).transpose()?;
    let most = which.limit.unwrap_or(100).clamp(1, 500);
    let picture = live.picture();
    let station = picture.station()?;
    let told = feeds::told(&*store, &register.reach().topics).await?;
    let now = clock.now();
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let feeds = station.feeds.range((from, Bound::Unbounded));
    let mut views = feeds
        .map(|(id, feed)| view(feed, told.get(id), &live, &picture, now))
        .filter(|view| which.state.as_deref().is_none_or(|state| state == view.state));
    let feeds: Vec<FeedView> = views.by_ref().take(most).collect();
    let next = views.next().and(feeds.last()).map(|last| last.id.clone());
    Ok(Json(FeedPage { feeds, next }))
}

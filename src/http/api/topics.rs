//! The topic lists that plans and playlists speak of.

use super::super::BODY;
use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::local;
use super::plans::{refused, whole};
use crate::app::live::Live;
use crate::app::people::Role;
use crate::app::planbook::{self, PlanDesk};
use crate::app::ports::{Store, StoredTopics};
use crate::clock::SharedClock;
use crate::config;
use crate::domain::recurrence::wall;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Topic lists, by id and version.
#[derive(Serialize, ToSchema)]
pub struct TopicLists {
    lists: Vec<TopicListView>,
}

/// A list of topics in one version (danh mục chủ đề).
#[derive(Serialize, ToSchema)]
#[schema(as = TopicList)]
pub struct TopicListView {
    id: String,
    version: u32,
    title: String,
    #[schema(format = "date")]
    valid_from: String,
    /// Where it comes from.
    source: String,
    /// Whether it is the version that counts today.
    in_force: bool,
    sha256: String,
    #[schema(format = "date-time")]
    imported: String,
    imported_by: String,
    /// `code`, `title`, `english`, `also`.
    #[schema(value_type = Vec<Object>)]
    topics: Vec<crate::plan::Topic>,
}

/// Which topic lists to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WantedTopics {
    /// Only this list.
    list: Option<String>,
    /// All versions, not only those in force today.
    #[serde(default)]
    all: bool,
}

impl TopicListView {
    fn new(stored: &StoredTopics, in_force: bool, zone: Tz) -> Self {
        let list = &stored.list;
        Self {
            id: list.id.to_string(),
            version: list.version,
            title: list.title.clone(),
            valid_from: list.valid_from.to_string(),
            source: list.source.clone(),
            in_force,
            sha256: stored.sha256.to_string(),
            imported: local(stored.at_ms, zone),
            imported_by: stored.by.clone(),
            topics: list.topics.clone(),
        }
    }
}

/// Lists topic lists: the versions in force today, or all.
#[utoipa::path(get, path = "/topics", operation_id = "list_topics", tag = "plans", params(WantedTopics), responses(
    (status = 200, body = TopicLists), (status = 401, body = ApiError), (status = 403, body = ApiError)))]
pub async fn list(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
    wanted: Result<Query<WantedTopics>, QueryRejection>,
) -> Result<Json<TopicLists>, ApiError> {
    let Query(wanted) = wanted?;
    bearer.must_be_known()?;
    let zone = live.picture().zone;
    let today = wall::display(zone, clock.now()).date_naive();
    let all = store.topic_lists().await?;
    let standing = planbook::in_force(all.clone(), today);
    let lists = all.iter().map(|stored| (stored, standing.contains(stored)));
    let lists = lists.filter(|(stored, in_force)| {
        (wanted.all || *in_force)
            && wanted.list.as_ref().is_none_or(|list| stored.list.id.as_str() == list)
    });
    let lists = lists.map(|(stored, in_force)| TopicListView::new(stored, in_force, zone));
    Ok(Json(TopicLists { lists: lists.collect() }))
}

/// Takes in a topic list as a TOML file; a version never changes.
#[utoipa::path(post, path = "/topics", operation_id = "put_topics", tag = "plans",
    request_body(content = String, content_type = "application/toml"), responses(
    (status = 200, body = TopicListView), (status = 201, body = TopicListView), (status = 401, body = ApiError),
    (status = 403, body = ApiError), (status = 409, body = ApiError), (status = 413, body = ApiError),
    (status = 422, body = ApiError)))]
pub async fn put(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<TopicListView>), ApiError> {
    bearer.may(Role::Operator, None)?;
    let body = whole(body, BODY)?;
    let text = body.clone();
    let read = move || config::topics_from_toml("topics.toml", &text);
    let read = tokio::task::spawn_blocking(read).await.map_err(ApiError::internal)?;
    let list = read.map_err(|faults| refused(&faults))?.value;
    let (name, version) = (list.id.clone(), list.version);
    let actor = bearer.actor();
    let now = clock.now();
    let desk = PlanDesk { store: &*store, actor: &actor, now };
    let new = desk.take_topics(list, &body).await?;
    let all = store.topic_lists().await?;
    let zone = live.picture().zone;
    let standing = planbook::in_force(all.clone(), wall::display(zone, now).date_naive());
    let known = all.iter().find(|one| one.list.id == name && one.list.version == version);
    let stored = known.ok_or_else(|| ApiError::not_found("topic list", &name))?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(TopicListView::new(stored, standing.contains(stored), zone))))
}

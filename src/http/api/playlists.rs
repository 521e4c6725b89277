//! Playlists in force.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use crate::app::live::Live;
use crate::domain::ids::PlaylistId;
use crate::domain::playlist::{Content, Item, Order, Overrun, Playlist, Priority, Slot};
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// All playlists in force.
#[derive(Serialize, ToSchema)]
pub struct Playlists {
    playlists: Vec<PlaylistView>,
}

/// A playlist (danh sách phát).
#[derive(Serialize, ToSchema)]
#[schema(as = Playlist)]
pub struct PlaylistView {
    id: String,
    title: String,
    /// `routine` or `priority`.
    #[schema(value_type = String)]
    priority: Priority,
    #[schema(format = "date")]
    valid_from: Option<String>,
    #[schema(format = "date")]
    valid_until: Option<String>,
    topic: Option<String>,
    plan_line: Option<String>,
    lead: Option<String>,
    coordinating: Vec<String>,
    targets: TargetsView,
    items: Vec<ItemView>,
    slots: Vec<SlotView>,
}

/// (units ∪ tags ∪ devices) without the exclusions; a unit means itself and all below.
#[derive(Serialize, ToSchema)]
#[schema(as = Targets)]
pub struct TargetsView {
    units: Vec<String>,
    tags: Vec<String>,
    devices: Vec<String>,
    except_units: Vec<String>,
    except_tags: Vec<String>,
    except_devices: Vec<String>,
}

/// One thing to play or show (tin, bài).
#[derive(Serialize, ToSchema)]
#[schema(as = Item)]
pub struct ItemView {
    id: String,
    title: String,
    author: Option<String>,
    reader: Option<String>,
    document: Option<String>,
    language: String,
    /// `clip` or `pages`.
    kind: &'static str,
    clip: Option<String>,
    fallback: Option<String>,
    /// Texts of the pages.
    pages: Vec<String>,
}

/// When and how items sound (khung giờ).
#[derive(Serialize, ToSchema)]
#[schema(as = Slot)]
pub struct SlotView {
    id: String,
    longest_ms: i64,
    /// `sequence`, `shuffle` or `rotate`.
    order: &'static str,
    /// 0-100 in half-decibel steps, 0 mute.
    volume: u8,
    fade_ms: i64,
    /// `cut`, `fade` or `finish`.
    overrun: &'static str,
    items: Vec<String>,
    /// Occurrences left out by an operator.
    skips: Vec<SkipView>,
}

/// An occurrence left out by an operator.
#[derive(Serialize, ToSchema)]
#[schema(as = Skip)]
pub struct SkipView {
    #[schema(format = "date")]
    date: String,
    reason: String,
}

fn texts<T: ToString>(ids: &[T]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

impl From<&Item> for ItemView {
    fn from(item: &Item) -> Self {
        let (kind, clip, fallback, pages) = match &item.content {
            Content::Clip { clip, fallback } => {
                ("clip", Some(clip.0.clone()), fallback.as_ref().map(|f| f.0.clone()), Vec::new())
            }
            Content::Pages(pages) => {
                ("pages", None, None, pages.iter().map(|page| page.text.clone()).collect())
            }
        };
        Self {
            id: item.id.to_string(),
            title: item.title.clone(),
            author: item.author.clone(),
            reader: item.reader.clone(),
            document: item.document.clone(),
            language: item.language.clone(),
            kind,
            clip,
            fallback,
            pages,
        }
    }
}

impl From<&Slot> for SlotView {
    fn from(slot: &Slot) -> Self {
        Self {
            id: slot.id.to_string(),
            longest_ms: slot.longest_ms,
            order: match slot.order {
                Order::Sequence => "sequence",
                Order::Shuffle { .. } => "shuffle",
                Order::Rotate => "rotate",
            },
            volume: slot.volume,
            fade_ms: slot.fade_ms,
            overrun: match slot.overrun {
                Overrun::Cut => "cut",
                Overrun::Fade => "fade",
                Overrun::Finish { .. } => "finish",
            },
            items: texts(&slot.items),
            skips: slot
                .skips
                .iter()
                .map(|skip| SkipView { date: skip.date.to_string(), reason: skip.reason.clone() })
                .collect(),
        }
    }
}

impl From<&Playlist> for PlaylistView {
    fn from(list: &Playlist) -> Self {
        Self {
            id: list.id.to_string(),
            title: list.title.clone(),
            priority: list.priority,
            valid_from: list.valid_from.map(|day| day.to_string()),
            valid_until: list.valid_until.map(|day| day.to_string()),
            topic: list.topic.clone(),
            plan_line: list.plan_line.clone(),
            lead: list.lead.clone(),
            coordinating: list.coordinating.clone(),
            targets: TargetsView {
                units: texts(&list.targets.units),
                tags: texts(&list.targets.tags),
                devices: texts(&list.targets.devices),
                except_units: texts(&list.targets.except_units),
                except_tags: texts(&list.targets.except_tags),
                except_devices: texts(&list.targets.except_devices),
            },
            items: list.items.iter().map(ItemView::from).collect(),
            slots: list.slots.iter().map(SlotView::from).collect(),
        }
    }
}

/// Lists the playlists in force.
#[utoipa::path(get, path = "/playlists", operation_id = "list_playlists", tag = "schedule", responses(
    (status = 200, body = Playlists), (status = 401, body = ApiError),
    (status = 403, body = ApiError),
    (status = 503, description = "no valid station folder yet", body = ApiError)))]
pub async fn list(
    bearer: Bearer,
    State(live): State<Arc<Live>>,
) -> Result<Json<Playlists>, ApiError> {
    bearer.must_be_known()?;
    let station = live.picture().station()?;
    Ok(Json(Playlists { playlists: station.playlists.values().map(PlaylistView::from).collect() }))
}

/// Returns a playlist in force.
#[utoipa::path(get, path = "/playlists/{id}", operation_id = "get_playlist", tag = "schedule",
    params(("id" = String, Path, description = "playlist id")), responses(
    (status = 200, body = PlaylistView), (status = 401, body = ApiError),
    (status = 403, body = ApiError),
    (status = 404, body = ApiError)))]
pub async fn one(
    bearer: Bearer,
    State(live): State<Arc<Live>>,
    Path(id): Path<String>,
) -> Result<Json<PlaylistView>, ApiError> {
    bearer.must_be_known()?;
    let id: PlaylistId = super::id(&id)?;
    let station = live.picture().station()?;
    let list = station.playlists.get(&id).ok_or_else(|| ApiError::not_found("playlist", &id))?;
    Ok(Json(PlaylistView::from(list)))
}

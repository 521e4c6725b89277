//! Evidence that persons bring: entries with their files, never edited.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::super::state::EvidenceFiles;
use super::upload::{check_length, receive};
use super::{Body, id, local};
use crate::app::byhand::{HandDesk, HandError, NewEntry};
use crate::app::live::Live;
use crate::app::people::Role;
use crate::app::ports::{EntryFilter, Page, Store, StoredEntry};
use crate::app::trail::Actor;
use crate::clock::SharedClock;
use crate::domain::ids::{EntryId, UnitId};
use crate::domain::recurrence::wall;
use crate::domain::time::UtcMs;
use crate::plan::manual::{Channel, FILE_BYTES};
use crate::plan::{LineRef, TopicCode};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Largest file.
#[expect(clippy::cast_possible_truncation, reason = "50 MB fit")]
const LARGEST: usize = FILE_BYTES as usize;
/// Most entries of one answer.
const MOST: u32 = 1000;

/// Entries of evidence.
#[derive(Serialize, ToSchema)]
pub struct Entries {
    entries: Vec<EntryView>,
    /// Pass as `after` for what follows; null at the end.
    next: Option<i64>,
}

/// An entry of evidence that a person brought (minh chứng nhập tay); no device proves it.
#[derive(Serialize, ToSchema)]
#[schema(as = EvidenceEntry)]
pub struct EntryView {
    position: i64,
    id: String,
    /// `leaflet`, `web`, `sms`, `school`, `wifi` or `other`.
    channel: &'static str,
    unit: String,
    /// The plan line that it serves: `plan/line`.
    line: Option<String>,
    topic: Option<String>,
    title: String,
    /// Name of the file for people; `GET /evidence/{entry}/file` has its bytes.
    file: String,
    sha256: String,
    bytes: u64,
    /// The day it happened, as the person says.
    #[schema(format = "date")]
    date: String,
    /// Who says so.
    person: String,
    /// How many: leaflets, messages.
    count: u32,
    note: Option<String>,
    #[schema(format = "date-time")]
    entered: String,
    entered_by: String,
    /// The entry whose place it took.
    corrects: Option<String>,
    /// Why it counts no longer; null while it counts.
    corrected: Option<CorrectedView>,
    /// Hash of its leaf in the log.
    leaf: String,
}

/// Why an entry counts no longer.
#[derive(Serialize, ToSchema)]
#[schema(as = EvidenceCorrected)]
pub struct CorrectedView {
    #[schema(format = "date-time")]
    at: String,
    by: String,
    reason: String,
    /// The entry that took its place; null when it was withdrawn.
    entry: Option<String>,
}

/// Which entries to list; all must fit.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Of this unit and all below it.
    unit: Option<String>,
    /// `leaflet`, `web`, `sms`, `school`, `wifi` or `other`.
    channel: Option<String>,
    /// For lines of this plan.
    plan: Option<String>,
    /// For this line: `plan/line`.
    line: Option<String>,
    /// Of this day or later: `2026-03-01`.
    from: Option<String>,
    /// Of this day or earlier.
    to: Option<String>,
    /// Also those that were corrected or withdrawn.
    #[serde(default)]
    all: bool,
    /// At most so many, 1 to 1000; 100 unless given.
    limit: Option<u32>,
    /// In order after this position, 0 for the beginning; the newest first unless given.
    after: Option<i64>,
}

/// What stands beside the file.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NewEvidence {
    /// `leaflet`, `web`, `sms`, `school`, `wifi` or `other`.
    channel: String,
    unit: String,
    /// The plan line that it serves: `plan/line`.
    line: Option<String>,
    /// Code of a topic.
    topic: Option<String>,
    /// What it was, in a line.
    title: String,
    /// The day it happened: `2026-03-01`.
    date: String,
    /// Who says so: a short name.
    person: String,
    /// Name of the file.
    file: String,
    /// How many: leaflets, messages; 1 unless given.
    count: Option<u32>,
    note: Option<String>,
    /// Id of the entry; made from its content unless given.
    id: Option<String>,
    /// The entry whose place it takes.
    corrects: Option<String>,
    /// Why that one was wrong.
    reason: Option<String>,
}

/// Withdrawing asks for a reason.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceToWithdraw {
    reason: String,
}

impl EntryView {
    fn new(stored: StoredEntry, zone: Tz) -> Self {
        let StoredEntry { position, entry, at_ms, by, corrects, corrected, leaf } = stored;
        Self {
            position,
            id: entry.id.into(),
            channel: entry.channel.word(),
            unit: entry.unit.into(),
            line: entry.line.map(Into::into),
            topic: entry.topic.map(Into::into),
            title: entry.title,
            file: entry.file,
            sha256: entry.sha256.to_string(),
            bytes: entry.bytes,
            date: entry.on.to_string(),
            person: entry.by.into(),
            count: entry.count,
            note: entry.note,
            entered: local(at_ms, zone),
            entered_by: by,
            corrects: corrects.map(Into::into),
            corrected: corrected.map(|wrong| CorrectedView {
                at: local(wrong.at_ms, zone),
                by: wrong.by,
                reason: wrong.reason,
                entry: wrong.by_entry.map(Into::into),
            }),
            leaf: leaf.to_string(),
        }
    }
}

fn channel(word: &str) -> Result<Channel, ApiError> {
    let found = Channel::WORDS.iter().find(|(known, _)| *known == word);
    found.map(|(_, channel)| *channel).ok_or_else(|| {
        let word: String = word.chars().take(40).collect();
        ApiError::invalid(
            format!("`channel`: no channel `{word}`"),
            "one of leaflet, web, sms, school, wifi, other",
        )
    })
}

fn day(name: &str, text: &str) -> Result<NaiveDate, ApiError> {
    text.parse().map_err(|_| {
        let text: String = text.chars().take(40).collect();
        ApiError::invalid(format!("`{name}`: `{text}` is not a date"), "as in `2026-03-01`")
    })
}

/// Returns the units below the unit, itself too; all that the person sees when none is named.
/// Whoever sees the whole station also sees entries of units that are in no register any more.
async fn units(
    bearer: &Bearer,
    store: &dyn Store,
    live: &Live,
    unit: Option<&UnitId>,
) -> Result<Option<Vec<UnitId>>, ApiError> {
    if unit.is_none() && bearer.sees(None) {
        return Ok(None);
    }
    bearer.must_be_known()?;
    let mut all: Vec<UnitId> = store.units().await?.into_iter().map(|unit| unit.id).collect();
    all.retain(|known| {
        bearer.sees(Some(known)) && unit.is_none_or(|unit| live.lineage(known).contains(unit))
    });
    if let Some(unit) = unit
        && all.is_empty()
    {
        if !bearer.sees(None) {
            return Err(ApiError::not_found("unit", unit));
        }
        all.push(unit.clone());
    }
    Ok(Some(all))
}

/// Lists evidence that persons brought.
#[utoipa::path(get, path = "/evidence", operation_id = "list_evidence", tag = "evidence", params(Wanted), responses(
    (status = 200, body = Entries), (status = 401, body = ApiError), (status = 403, body = ApiError),
    (status = 404, body = ApiError), (status = 422, body = ApiError)))]
pub async fn list(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Entries>, ApiError> {
    let Query(wanted) = wanted?;
    let unit = wanted.unit.as_deref().map(id).transpose()?;
    let filter = EntryFilter {
        units: units(&bearer, &*store, &live, unit.as_ref()).await?,
        channel: wanted.channel.as_deref().map(channel).transpose()?,
        plan: wanted.plan.as_deref().map(id).transpose()?,
        line: wanted.line.as_deref().map(id::<LineRef>).transpose()?,
        from: wanted.from.as_deref().map(|text| day("from", text)).transpose()?,
        to: wanted.to.as_deref().map(|text| day("to", text)).transpose()?,
        standing: !wanted.all,
    };
    let limit = wanted.limit.unwrap_or(100).clamp(1, MOST);
    let page = match wanted.after {
        Some(position) => Page::After { position, limit },
        None => Page::Newest { limit },
    };
    let listed = store.entries(&filter, page).await?;
    let full = listed.len() == limit as usize;
    let next = match page {
        Page::After { .. } if full => listed.last().map(|last| last.position),
        _ => None,
    };
    let zone = live.picture().zone;
    let entries = listed.into_iter().map(|one| EntryView::new(one, zone)).collect();
    Ok(Json(Entries { entries, next }))
}

/// Finds an entry; what one may not see is not there.
async fn seen(bearer: &Bearer, store: &dyn Store, entry: &str) -> Result<StoredEntry, ApiError> {
    let entry: EntryId = id(entry)?;
    let found = store.entry(&entry).await?;
    let found = found.filter(|one| bearer.sees(None) || bearer.sees(Some(&one.entry.unit)));
    found.ok_or_else(|| ApiError::not_found("entry of evidence", entry))
}

/// Returns an entry.
#[utoipa::path(get, path = "/evidence/{entry}", operation_id = "get_evidence", tag = "evidence",
    params(("entry" = String, Path, description = "id of the entry")), responses(
    (status = 200, body = EntryView), (status = 401, body = ApiError), (status = 404, body = ApiError),
    (status = 422, body = ApiError)))]
pub async fn one(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    Path(entry): Path<String>,
) -> Result<Json<EntryView>, ApiError> {
    let found = seen(&bearer, &*store, &entry).await?;
    Ok(Json(EntryView::new(found, live.picture().zone)))
}

/// Returns the file of an entry as it was brought. It is sent to be saved, never to be shown: what
/// somebody uploaded must not run as a page of this server.
#[utoipa::path(get, path = "/evidence/{entry}/file", operation_id = "get_evidence_file", tag = "evidence",
    params(("entry" = String, Path, description = "id of the entry")), responses(
    (status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 401, body = ApiError),
    (status = 404, body = ApiError), (status = 422, body = ApiError)))]
pub async fn file(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(files): State<EvidenceFiles>,
    Path(entry): Path<String>,
) -> Result<Response, ApiError> {
    let entry = seen(&bearer, &*store, &entry).await?.entry;
    let (sha256, length) = (entry.sha256, usize::try_from(entry.bytes).unwrap_or(LARGEST));
    let read = tokio::task::spawn_blocking(move || files.library.read(&sha256, 0, length));
    let bytes = read.await.map_err(ApiError::internal)?.map_err(ApiError::internal)?;
    let bytes = bytes.ok_or_else(|| {
        ApiError::not_found("file of this entry", &entry.file)
            .hint("it is missing in the data folder: restore it from a backup")
    })?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}.bin\"", entry.id)),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::ETAG, format!("\"{sha256}\"")),
    ];
    Ok((headers, bytes).into_response())
}

fn desk<'a>(
    store: &'a Arc<dyn Store>,
    files: &'a EvidenceFiles,
    actor: &'a Actor,
    now: UtcMs,
    zone: Tz,
) -> HandDesk<'a> {
    let today = wall::display(zone, now).date_naive();
    HandDesk { store: &**store, files: &files.library, actor, now, today }
}

/// Enters evidence: the body is the file, what is said of it stands in the query. With `corrects`
/// it takes the place of another entry.
#[utoipa::path(post, path = "/evidence", operation_id = "add_evidence", tag = "evidence", params(NewEvidence),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses(
    (status = 201, body = EntryView), (status = 401, body = ApiError), (status = 403, body = ApiError),
    (status = 404, body = ApiError), (status = 409, body = ApiError), (status = 413, body = ApiError),
    (status = 422, body = ApiError), (status = 503, body = ApiError), (status = 507, body = ApiError)))]
pub async fn add(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
    State(files): State<EvidenceFiles>,
    wanted: Result<Query<NewEvidence>, QueryRejection>,
    request: Request,
) -> Result<(StatusCode, Json<EntryView>), ApiError> {
    let Query(wanted) = wanted?;
    let unit: UnitId = id(&wanted.unit)?;
    bearer.may(Role::Operator, Some(&unit))?;
    let corrects = match (&wanted.corrects, wanted.reason) {
        (Some(wrong), Some(reason)) => {
            let wrong = seen(&bearer, &*store, wrong).await?.entry;
            bearer.may(Role::Operator, Some(&wrong.unit))?;
            Some((wrong.id, reason))
        }
        (None, None) => None,
        _ => {
            let hint = "name both: `corrects` and `reason`";
            return Err(ApiError::invalid("a correction needs an entry and a reason", hint));
        }
    };
    let topic = wanted.topic.as_deref().map(str::parse::<TopicCode>).transpose();
    let new = NewEntry {
        id: wanted.id.as_deref().map(id).transpose()?,
        channel: channel(&wanted.channel)?,
        unit,
        line: wanted.line.as_deref().map(id::<LineRef>).transpose()?,
        topic: topic.map_err(|error| ApiError::invalid(&error, error.hint()))?,
        title: wanted.title,
        file: wanted.file,
        on: day("date", &wanted.date)?,
        by: id(&wanted.person)?,
        count: wanted.count.unwrap_or(1),
        note: wanted.note,
    };
    check_length(request.headers(), FILE_BYTES)?;
    let body = receive(&files, request.into_body(), FILE_BYTES).await?;
    let (actor, zone) = (bearer.actor(), live.picture().zone);
    let desk = desk(&store, &files, &actor, clock.now(), zone);
    let stored = desk.add(new, body, corrects).await?;
    Ok((StatusCode::CREATED, Json(EntryView::new(stored, zone))))
}

/// Withdraws an entry: it counts no longer, and stays readable with the reason.
#[utoipa::path(post, path = "/evidence/{entry}/withdrawal", operation_id = "withdraw_evidence", tag = "evidence",
    params(("entry" = String, Path, description = "id of the entry")), request_body = EvidenceToWithdraw, responses(
    (status = 200, body = EntryView), (status = 401, body = ApiError), (status = 403, body = ApiError),
    (status = 404, body = ApiError), (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub async fn withdraw(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
    State(files): State<EvidenceFiles>,
    Path(entry): Path<String>,
    Body(wanted): Body<EvidenceToWithdraw>,
) -> Result<Json<EntryView>, ApiError> {
    let found = seen(&bearer, &*store, &entry).await?.entry;
    bearer.may(Role::Operator, Some(&found.unit))?;
    let (actor, zone) = (bearer.actor(), live.picture().zone);
    let desk = desk(&store, &files, &actor, clock.now(), zone);
    let stored = desk.withdraw(&found.id, &wanted.reason).await?;
    Ok(Json(EntryView::new(stored, zone)))
}

impl From<HandError> for ApiError {
    fn from(error: HandError) -> Self {
        use HandError as E;
        let hint = error.hint();
        let (status, code) = match &error {
            E::NoEntry { .. } => (StatusCode::NOT_FOUND, "not-found"),
            E::Corrected { .. } => (StatusCode::CONFLICT, "corrected"),
            E::Differs { .. } => (StatusCode::CONFLICT, "differs"),
            E::Known { .. } => (StatusCode::CONFLICT, "known"),
            E::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            E::Faults(_)
            | E::Unit { .. }
            | E::NoUnits
            | E::Text { .. }
            | E::Count { .. }
            | E::Itself { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            E::Library(crate::app::assets::LibraryError::Full { .. }) => {
                (StatusCode::INSUFFICIENT_STORAGE, "disk-full")
            }
            E::Library(crate::app::assets::LibraryError::Quota { .. }) => {
                (StatusCode::INSUFFICIENT_STORAGE, "quota")
            }
            E::Changed => (StatusCode::CONFLICT, "changed"),
            E::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "not-ready"),
            E::Library(_) => return Self::internal(super::super::error::chain(&error)),
            E::Store(_) => {
                return match error {
                    E::Store(error) => error.into(),
                    other => Self::internal(other),
                };
            }
        };
        Self::new(status, code, &error).hint(hint)
    }
}

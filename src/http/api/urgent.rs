//! Urgent notices and drills: clip, preview, sending, progress, withdrawal.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::{Body, id, instant, local};
use crate::app::live::{Light, Live};
use crate::app::outlet::Told;
use crate::app::people::Role;
use crate::app::ports::{NoticeKind, Store, StoredNotice};
use crate::app::urgent::{
    Asked, DeviceProgress, Notices, Preview, Progress, Reached, Stage, Tally, UrgentError,
};
use crate::domain::ids::UnitId;
use crate::domain::standby::{Template, TemplateError};
use crate::domain::time::UtcMs;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Largest clip that may be uploaded.
pub const UPLOAD: usize = 32 << 20;

/// A notice to prepare.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoticeToPrepare {
    /// `urgent` or `drill`; a drill sounds and shows nowhere.
    #[serde(default = "urgent")]
    #[schema(value_type = String)]
    kind: NoticeKind,
    /// Each means itself and all below it.
    units: Vec<String>,
    /// Why; stands in the trail and on every device.
    reason: String,
    document: DocumentToName,
    /// What boards show; a template's own text unless said.
    #[serde(default)]
    text: Option<String>,
    /// A standby template: `siren`, `storm`, `flood`, `fire`, `epidemic`.
    #[serde(default)]
    template: Option<String>,
    /// A clip of the library instead, by its SHA-256.
    #[serde(default)]
    clip: Option<String>,
    /// Title of that clip for people.
    #[serde(default)]
    clip_title: Option<String>,
    /// How often it sounds, 1 to 100; 3 unless said.
    #[serde(default)]
    times: Option<u32>,
    /// Silence between two times, 0 to 21600; 60 unless said.
    #[serde(default)]
    gap_s: Option<u32>,
    /// 0-100; 100 unless said.
    #[serde(default)]
    volume: Option<u8>,
    /// How long it is in force, 10 to 259200; 7200 unless said.
    #[serde(default)]
    expires_s: Option<u32>,
}

fn urgent() -> NoticeKind {
    NoticeKind::Urgent
}

/// The document that orders the notice.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentToName {
    /// As in `05/CĐ-UBND`.
    number: String,
    issuer: String,
    /// When the station got it, RFC 3339; now unless said.
    #[serde(default)]
    at: Option<String>,
}

/// What is shown before anything goes out (xem trước).
#[derive(Serialize, ToSchema)]
#[schema(as = NoticePreview)]
pub struct PreviewView {
    notice: NoticeView,
    /// Pass it to send: it names exactly what is shown here.
    confirm: String,
    devices: Vec<ReachedView>,
    warnings: Vec<String>,
}

/// A device that a notice is for.
#[derive(Serialize, ToSchema)]
#[schema(as = NoticeDevice)]
pub struct ReachedView {
    device: String,
    name: String,
    unit: String,
    #[schema(value_type = String)]
    light: Light,
    speaker: bool,
    board: bool,
    /// Whether it said that it holds the clip.
    holds_clip: bool,
}

/// An urgent notice or drill (tin khẩn cấp, diễn tập).
#[derive(Serialize, ToSchema)]
#[schema(as = Notice)]
pub struct NoticeView {
    jti: String,
    /// `urgent` or `drill`.
    #[schema(value_type = String)]
    kind: NoticeKind,
    /// `prepared`, `in-force`, `withdrawn` or `over`.
    state: &'static str,
    units: Vec<String>,
    reason: String,
    document: DocumentView,
    text: String,
    clip: Option<ClipView>,
    times: u32,
    gap_ms: i64,
    volume: u8,
    #[schema(format = "date-time")]
    prepared: String,
    prepared_by: String,
    #[schema(format = "date-time")]
    sent: Option<String>,
    sent_by: Option<String>,
    /// End of its force.
    #[schema(format = "date-time")]
    expires: Option<String>,
    #[schema(format = "date-time")]
    withdrawn: Option<String>,
    withdrawn_by: Option<String>,
    withdrawn_for: Option<String>,
}

/// The document that orders a notice.
#[derive(Serialize, ToSchema)]
#[schema(as = NoticeDocument)]
pub struct DocumentView {
    number: String,
    issuer: String,
    #[schema(format = "date-time")]
    at: String,
}

/// The clip of a notice.
#[derive(Serialize, ToSchema)]
#[schema(as = NoticeClip)]
pub struct ClipView {
    sha256: String,
    title: String,
    bytes: u64,
    ms: i64,
    /// The standby template it comes from.
    template: Option<String>,
}

/// A notice with its progress.
#[derive(Serialize, ToSchema)]
pub struct NoticeProgress {
    notice: NoticeView,
    /// Whether the broker has it: `published` or `waiting`; null when nothing was ordered now.
    #[schema(value_type = Option<String>)]
    told: Option<Told>,
    #[schema(value_type = Object)]
    tally: Tally,
    /// Shortest and longest time from sending to the first sound or picture.
    first_play_least_ms: Option<i64>,
    first_play_most_ms: Option<i64>,
    devices: Vec<ProgressView>,
}

/// How far a notice has come on a device, by its signed records.
#[derive(Serialize, ToSchema)]
#[schema(as = NoticeDeviceProgress)]
pub struct ProgressView {
    device: String,
    /// `not-reached`, `received`, `fetched`, `started`, `ended`, `withdrawn` or `refused`.
    #[schema(value_type = String)]
    stage: Stage,
    why: Option<String>,
    #[schema(format = "date-time")]
    received: Option<String>,
    #[schema(format = "date-time")]
    fetched: Option<String>,
    #[schema(format = "date-time")]
    started: Option<String>,
    #[schema(format = "date-time")]
    ended: Option<String>,
    /// How often it has sounded to its end.
    times: u32,
    first_play_ms: Option<i64>,
    records: u32,
}

/// Notices, newest first.
#[derive(Serialize, ToSchema)]
pub struct NoticeList {
    notices: Vec<NoticeView>,
}

/// How many notices to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Few {
    /// At most so many, 1 to 1000; 50 unless said.
    limit: Option<u32>,
}

/// Sending asks for what was shown.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoticeToSend {
    /// The hash of the preview.
    confirm: String,
}

/// Taking back asks for a reason.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoticeToWithdraw {
    reason: String,
}

/// A clip that was taken in.
#[derive(Serialize, ToSchema)]
pub struct ClipKept {
    sha256: String,
    title: String,
    bytes: u64,
    ms: i64,
}

/// What the clip is called.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Called {
    /// Title for people; that of the file's tags unless said.
    title: Option<String>,
}

impl NoticeView {
    /// Shows a notice at an instant.
    pub fn new(notice: &StoredNotice, now: UtcMs, zone: Tz) -> Self {
        let (content, sent) = (&notice.content, notice.sent.as_ref());
        let withdrawn = notice.withdrawn.as_ref();
        let state = match (sent, withdrawn) {
            (None, _) => "prepared",
            (Some(_), Some(_)) => "withdrawn",
            (Some(sent), None) if sent.exp_ms <= now => "over",
            (Some(_), None) => "in-force",
        };
        Self {
            jti: notice.jti.clone(),
            kind: notice.kind,
            state,
            units: content.units.iter().map(ToString::to_string).collect(),
            reason: content.reason.clone(),
            document: DocumentView {
                number: content.document.number.clone(),
                issuer: content.document.issuer.clone(),
                at: local(content.document.at_ms, zone),
            },
            text: content.text.clone(),
            clip: content.asset.as_ref().map(|asset| ClipView {
                sha256: asset.sha256.to_string(),
                title: asset.entry.title.clone(),
                bytes: asset.entry.bytes,
                ms: asset.entry.ms,
                template: asset.template.clone(),
            }),
            times: content.times,
            gap_ms: content.gap_ms,
            volume: content.volume,
            prepared: local(notice.made_ms, zone),
            prepared_by: notice.made_by.clone(),
            sent: sent.map(|sent| local(sent.at_ms, zone)),
            sent_by: sent.map(|sent| sent.by.clone()),
            expires: sent.map(|sent| local(sent.exp_ms, zone)),
            withdrawn: withdrawn.map(|one| local(one.at_ms, zone)),
            withdrawn_by: withdrawn.map(|one| one.by.clone()),
            withdrawn_for: withdrawn.map(|one| one.reason.clone()),
        }
    }
}

impl From<Reached> for ReachedView {
    fn from(reached: Reached) -> Self {
        Self {
            device: reached.device.into(),
            name: reached.name,
            unit: reached.unit.into(),
            light: reached.light,
            speaker: reached.speaker,
            board: reached.board,
            holds_clip: reached.holds_clip,
        }
    }
}

impl ProgressView {
    fn new(device: DeviceProgress, zone: Tz) -> Self {
        let shown = |at: Option<UtcMs>| at.map(|at| local(at, zone));
        Self {
            device: device.device.into(),
            stage: device.stage,
            why: device.why,
            received: shown(device.received_ms),
            fetched: shown(device.fetched_ms),
            started: shown(device.started_ms),
            ended: shown(device.ended_ms),
            times: device.times,
            first_play_ms: device.first_play_ms,
            records: device.records,
        }
    }
}

fn told(
    notice: &StoredNotice,
    progress: Progress,
    told: Option<Told>,
    now: UtcMs,
    zone: Tz,
) -> NoticeProgress {
    NoticeProgress {
        notice: NoticeView::new(notice, now, zone),
        told,
        tally: progress.tally,
        first_play_least_ms: progress.first_play_ms.map(|(least, _)| least),
        first_play_most_ms: progress.first_play_ms.map(|(_, most)| most),
        devices: progress.devices.into_iter().map(|one| ProgressView::new(one, zone)).collect(),
    }
}

/// Everybody concerned must be below the person's units: a notice to the province is not sent by
/// who speaks for a commune.
fn may(bearer: &Bearer, roles: &[Role], units: &[UnitId]) -> Result<(), ApiError> {
    units.iter().try_for_each(|unit| bearer.may_any(roles, Some(unit)))
}

const WRITERS: &[Role] = &[Role::Operator, Role::Approver];
const SENDERS: &[Role] = &[Role::Approver];

/// Prepares an urgent notice or drill and shows what it would reach; nothing goes out.
#[utoipa::path(post, path = "/urgent", operation_id = "prepare_notice", tag = "orders", request_body = NoticeToPrepare,
    responses((status = 201, body = PreviewView), (status = 401, body = ApiError), (status = 403, body = ApiError),
    (status = 404, body = ApiError), (status = 422, body = ApiError)))]
pub async fn prepare(
    bearer: Bearer,
    State(notices): State<Arc<Notices>>,
    State(live): State<Arc<Live>>,
    Body(wanted): Body<NoticeToPrepare>,
) -> Result<(StatusCode, Json<PreviewView>), ApiError> {
    let units: Vec<UnitId> = wanted.units.iter().map(|unit| id(unit)).collect::<Result<_, _>>()?;
    may(&bearer, WRITERS, &units)?;
    let template = wanted.template.as_deref().map(str::parse::<Template>).transpose();
    let template =
        template.map_err(|error: TemplateError| ApiError::invalid(&error, error.hint()))?;
    let clip = match wanted.clip.as_deref() {
        Some(sha256) => Some((id(sha256)?, wanted.clip_title)),
        None => None,
    };
    let document_at = wanted.document.at.as_deref();
    let asked = Asked {
        kind: wanted.kind,
        units,
        reason: wanted.reason,
        number: wanted.document.number,
        issuer: wanted.document.issuer,
        document_ms: document_at.map(|text| instant("document.at", text)).transpose()?,
        text: wanted.text,
        template,
        clip,
        times: wanted.times.unwrap_or(3),
        gap_ms: i64::from(wanted.gap_s.unwrap_or(60)) * 1_000,
        volume: wanted.volume.unwrap_or(100),
        lasts_ms: i64::from(wanted.expires_s.unwrap_or(7_200)) * 1_000,
    };
    let Preview { notice, confirm, devices, warnings } =
        notices.prepare(asked, &bearer.actor()).await?;
    let preview = PreviewView {
        notice: NoticeView::new(&notice, notice.made_ms, live.picture().zone),
        confirm: confirm.to_string(),
        devices: devices.into_iter().map(ReachedView::from).collect(),
        warnings,
    };
    Ok((StatusCode::CREATED, Json(preview)))
}

/// Signs and sends a prepared notice; one person with the role sends, and the trail says who.
#[utoipa::path(post, path = "/urgent/{jti}/send", operation_id = "send_notice", tag = "orders",
    params(("jti" = String, Path, description = "id of the notice")), request_body = NoticeToSend,
    responses((status = 202, body = NoticeProgress), (status = 401, body = ApiError), (status = 403, body = ApiError),
    (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub async fn send(
    bearer: Bearer,
    State(notices): State<Arc<Notices>>,
    State(live): State<Arc<Live>>,
    Path(jti): Path<String>,
    Body(wanted): Body<NoticeToSend>,
) -> Result<(StatusCode, Json<NoticeProgress>), ApiError> {
    let prepared = notices.notice(&jti).await?;
    may(&bearer, SENDERS, &prepared.content.units)?;
    let (sent, published) = notices.send(&jti, &id(&wanted.confirm)?, &bearer.actor()).await?;
    let now = sent.sent.as_ref().map_or(sent.made_ms, |sent| sent.at_ms);
    let progress = notices.progress(&sent).await?;
    let zone = live.picture().zone;
    Ok((StatusCode::ACCEPTED, Json(told(&sent, progress, Some(published), now, zone))))
}

/// Takes a notice back: what is left of it sounds nowhere.
#[utoipa::path(post, path = "/urgent/{jti}/withdraw", operation_id = "withdraw_notice", tag = "orders",
    params(("jti" = String, Path, description = "id of the notice")), request_body = NoticeToWithdraw,
    responses((status = 202, body = NoticeProgress), (status = 401, body = ApiError), (status = 403, body = ApiError),
    (status = 404, body = ApiError), (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub async fn withdraw(
    bearer: Bearer,
    State(notices): State<Arc<Notices>>,
    State(live): State<Arc<Live>>,
    Path(jti): Path<String>,
    Body(wanted): Body<NoticeToWithdraw>,
) -> Result<(StatusCode, Json<NoticeProgress>), ApiError> {
    let sent = notices.notice(&jti).await?;
    // Who may silence a unit may end a notice there.
    may(&bearer, WRITERS, &sent.content.units)?;
    let (notice, published) = notices.withdraw(&jti, &wanted.reason, &bearer.actor()).await?;
    let now = notice.withdrawn.as_ref().map_or(notice.made_ms, |one| one.at_ms);
    let progress = notices.progress(&notice).await?;
    let zone = live.picture().zone;
    Ok((StatusCode::ACCEPTED, Json(told(&notice, progress, Some(published), now, zone))))
}

/// Tells how far a notice has come on each device, from signed records.
#[utoipa::path(get, path = "/urgent/{jti}", operation_id = "get_notice", tag = "orders",
    params(("jti" = String, Path, description = "id of the notice")),
    responses((status = 200, body = NoticeProgress), (status = 401, body = ApiError),
    (status = 404, body = ApiError)))]
pub async fn one(
    bearer: Bearer,
    State(notices): State<Arc<Notices>>,
    State(live): State<Arc<Live>>,
    Path(jti): Path<String>,
) -> Result<Json<NoticeProgress>, ApiError> {
    let notice = notices.notice(&jti).await?;
    if !notice.content.units.iter().any(|unit| bearer.sees(Some(unit))) {
        return Err(ApiError::not_found("notice", &jti));
    }
    let progress = notices.progress(&notice).await?;
    Ok(Json(told(&notice, progress, None, notices.now(), live.picture().zone)))
}

/// Lists notices, newest first.
#[utoipa::path(get, path = "/urgent", operation_id = "list_notices", tag = "orders", params(Few),
    responses((status = 200, body = NoticeList), (status = 401, body = ApiError)))]
pub async fn list(
    bearer: Bearer,
    State(notices): State<Arc<Notices>>,
    State(live): State<Arc<Live>>,
    few: Result<Query<Few>, QueryRejection>,
) -> Result<Json<NoticeList>, ApiError> {
    let Query(few) = few?;
    let (now, zone) = (notices.now(), live.picture().zone);
    let listed = notices.list(few.limit.unwrap_or(50).clamp(1, 1_000)).await?;
    let seen =
        |notice: &&StoredNotice| notice.content.units.iter().any(|unit| bearer.sees(Some(unit)));
    let listed = listed.iter().filter(seen).map(|notice| NoticeView::new(notice, now, zone));
    Ok(Json(NoticeList { notices: listed.collect() }))
}

/// Takes a clip for a notice in: measured as any clip, kept under its hash. The body is the file.
#[utoipa::path(post, path = "/urgent/clips", operation_id = "upload_notice_clip", tag = "orders", params(Called),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = ClipKept), (status = 401, body = ApiError), (status = 403, body = ApiError),
    (status = 413, body = ApiError), (status = 422, body = ApiError)))]
pub async fn upload(
    bearer: Bearer,
    State(notices): State<Arc<Notices>>,
    State(store): State<Arc<dyn Store>>,
    called: Result<Query<Called>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<ClipKept>), ApiError> {
    let Query(called) = called?;
    // A clip sounds nowhere by itself: who may write a notice for any unit may bring one.
    bearer.may_somewhere(WRITERS)?;
    let body = body.map_err(|error| {
        let most = UPLOAD >> 20;
        ApiError::new(error.status(), "too-large", error.body_text())
            .hint(format!("a clip of a notice has at most {most} MiB"))
    })?;
    let title = called.title.as_deref().unwrap_or("");
    let facts = notices.keep_clip(body, title).await?;
    let entry = bearer.actor().did(notices.now(), "upload-clip", facts.sha256);
    store.append(&entry.after(&facts.title)).await?;
    let (sha256, title) = (facts.sha256.to_string(), facts.title);
    Ok((StatusCode::CREATED, Json(ClipKept { sha256, title, bytes: facts.bytes, ms: facts.ms })))
}

impl From<UrgentError> for ApiError {
    fn from(error: UrgentError) -> Self {
        use UrgentError as E;
        let (status, code) = match &error {
            E::Empty { .. }
            | E::TooLong { .. }
            | E::Range { .. }
            | E::NoUnits
            | E::Unit { .. }
            | E::TwoSounds
            | E::BadClip { .. }
            | E::Refused(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            E::NobodyReached { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "nobody-reached"),
            E::NoTemplate { .. } | E::NoClip { .. } | E::Unknown { .. } => {
                (StatusCode::NOT_FOUND, "not-found")
            }
            E::Sent { .. } => (StatusCode::CONFLICT, "sent-already"),
            E::Stale { .. } => (StatusCode::CONFLICT, "prepared-too-long-ago"),
            E::Unconfirmed { .. } => (StatusCode::CONFLICT, "unconfirmed"),
            E::NotSent { .. } => (StatusCode::CONFLICT, "not-sent"),
            E::Withdrawn { .. } => (StatusCode::CONFLICT, "withdrawn-already"),
            E::Over { .. } => (StatusCode::CONFLICT, "over"),
            E::TooMany { .. } => (StatusCode::CONFLICT, "too-many"),
            E::Library(crate::app::assets::LibraryError::Full { .. }) => {
                (StatusCode::INSUFFICIENT_STORAGE, "disk-full")
            }
            E::Library(_) | E::Interrupted(_) | E::Random(_) => return Self::internal(&error),
            E::Store(_) => {
                let E::Store(error) = error else { return Self::internal(error) };
                return error.into();
            }
        };
        let hint = error.hint();
        Self::new(status, code, super::super::error::chain(&error)).hint(hint)
    }
}

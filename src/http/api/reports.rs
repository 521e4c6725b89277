//! Reports as files, and what files were handed out.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::super::log::LogFolder;
use super::super::state::AppState;
use super::{Body, id, instant, local};
use crate::app::live::Live;
use crate::app::ports::{ReportFile, Store};
use crate::app::reports::{
    Ask, Form, LetterForm, LogAt, Made, Reports, ReportsError, Spot, locate,
};
use crate::app::rollup::RollupError;
use crate::clock::SharedClock;
use crate::domain::ids::UnitId;
use crate::report::document::ReportKind;
use crate::report::period::{Period, day_of};
use crate::report::question::{ReportError, Standing};
use crate::report::render::Format;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// Longest period of one report in days.
const MOST_DAYS: i64 = 400;
/// Most files an answer holds.
const MOST: u32 = 1_000;
/// How long a report waits for what is known to be under a signed head.
const PATIENCE: Duration = Duration::from_secs(3);
/// Widest stretch asked about at the complaint desk, to either side.
const MOST_MARGIN_MIN: u32 = 12 * 60;

/// Which report.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Unit, with all below it and what became part of it.
    unit: String,
    /// A month: `2026-10`.
    month: Option<String>,
    /// A calendar year: `2026`.
    year: Option<i32>,
    /// Or the first day: `2026-10-01`.
    #[param(value_type = Option<String>, format = "date")]
    from: Option<NaiveDate>,
    /// And the last, which belongs to it. At most 400 days.
    #[param(value_type = Option<String>, format = "date")]
    to: Option<NaiveDate>,
    /// `xlsx`, `csv`, `json` or `pdf`; JSON unless said.
    format: Option<String>,
    /// Refuse an answer whose numbers may still change.
    #[serde(default, rename = "final")]
    only_final: bool,
}

/// Head, foot and words of a letter; all of it may lack.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = ReportLetter)]
pub struct LetterWords {
    /// The agency above (cơ quan chủ quản).
    above: Option<String>,
    /// The agency that signs.
    agency: Option<String>,
    number: Option<u32>,
    /// Symbol after the number: `BC-UBND`.
    symbol: Option<String>,
    place: Option<String>,
    #[schema(value_type = Option<String>, format = "date")]
    date: Option<NaiveDate>,
    /// To whom (kính gửi).
    to: Vec<String>,
    /// What it is about.
    about: Option<String>,
    /// Grounds (căn cứ).
    grounds: Vec<String>,
    /// Who gets it (nơi nhận).
    recipients: Vec<String>,
    archive: Option<String>,
    behalf: Option<String>,
    office: Option<String>,
    signer: Option<String>,
    /// Difficulties, a paragraph each.
    difficulties: Vec<String>,
    /// Proposals, a paragraph each.
    proposals: Vec<String>,
}

impl From<LetterWords> for Form {
    fn from(words: LetterWords) -> Self {
        Self {
            letter: LetterForm {
                above: words.above,
                agency: words.agency,
                number: words.number,
                symbol: words.symbol,
                place: words.place,
                date: words.date,
                to: words.to,
                about: words.about,
                grounds: words.grounds,
                recipients: words.recipients,
                archive: words.archive,
                behalf: words.behalf,
                office: words.office,
                signer: words.signer,
            },
            difficulties: words.difficulties,
            proposals: words.proposals,
        }
    }
}

/// Where and when something was heard.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WantedHeard {
    /// A device's id, a unit's code, or words of the name of either.
    place: String,
    /// When, RFC 3339.
    at: String,
    /// Minutes to either side that are looked at; 15 unless said, at most 720.
    margin: Option<u32>,
    /// `xlsx`, `csv`, `json` or `pdf`; JSON unless said.
    format: Option<String>,
}

/// Which files that were handed out.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WantedFiles {
    /// Go on below this position.
    before: Option<i64>,
    /// At most so many, 1 to 1000; 100 unless said.
    limit: Option<u32>,
    /// Of this kind.
    kind: Option<String>,
}

/// Files that were handed out, the newest first.
#[derive(Serialize, ToSchema)]
pub struct ReportFiles {
    files: Vec<FileView>,
    /// Pass as `before` to go on; null when these were the last.
    next: Option<i64>,
}

/// A file that was handed out; its hash is in the log.
#[derive(Serialize, ToSchema)]
#[schema(as = ReportFile)]
pub struct FileView {
    position: i64,
    name: String,
    sha256: String,
    bytes: u64,
    #[schema(format = "date-time")]
    made: String,
    /// Who asked.
    by: String,
    /// What was known until then.
    #[schema(format = "date-time")]
    cut_off: String,
    /// The log it was made from; null before the first head.
    origin: Option<String>,
    size: Option<u64>,
    root: Option<String>,
    /// What was asked.
    #[schema(value_type = Object)]
    question: serde_json::Value,
}

fn view((position, file): (i64, ReportFile), zone: Tz) -> FileView {
    let head = file.head;
    FileView {
        position,
        name: file.name,
        sha256: file.sha256.into(),
        bytes: file.bytes,
        made: local(file.made_ms, zone),
        by: file.made_by,
        cut_off: local(file.cut_ms, zone),
        origin: head.as_ref().map(|head| head.origin.clone()),
        size: head.as_ref().map(|head| head.size),
        root: head.map(|head| head.root),
        question: serde_json::from_str(&file.question).unwrap_or(serde_json::Value::Null),
    }
}

impl From<ReportsError> for ApiError {
    fn from(error: ReportsError) -> Self {
        let hint = error.hint();
        match error {
            ReportsError::Report(ReportError::NoUnit { unit }) => Self::not_found("unit", unit),
            ReportsError::NoPlace { words } => Self::not_found("place", words).hint(hint),
            ReportsError::Report(error @ (ReportError::Workbook(_) | ReportError::Pdf { .. })) => {
                Self::internal(error)
            }
            ReportsError::Report(error) => Self::invalid(&error, error.hint()),
            error @ (ReportsError::TooMuch { .. }
            | ReportsError::TooMany { .. }
            | ReportsError::Wide { .. }
            | ReportsError::Ambiguous { .. }) => Self::invalid(&error, hint),
            ReportsError::Provisional => {
                Self::new(StatusCode::CONFLICT, "provisional", &error).hint(hint)
            }
            ReportsError::Busy => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", &error).hint(hint).retry_after(5)
            }
            ReportsError::Store(error) | ReportsError::Rollup(RollupError::Store(error)) => {
                error.into()
            }
            ReportsError::Outcome(error) | ReportsError::Rollup(RollupError::Outcome(error)) => {
                error.into()
            }
            ReportsError::Rollup(error) => Self::internal(error),
            error @ ReportsError::Interrupted(_) => Self::internal(error),
        }
    }
}

fn format(text: Option<&str>) -> Result<Format, ApiError> {
    let read = text.map_or(Ok(Format::Json), str::parse);
    read.map_err(|error| ApiError::invalid(&error, error.hint()))
}

/// Reads the days asked for: a month, a year, or the first and the last.
fn period(wanted: &Wanted) -> Result<Period, ApiError> {
    let hint = "`month=2026-10`, `year=2026`, or `from=2026-10-01&to=2026-10-31`";
    let read = match (&wanted.month, wanted.year, wanted.from, wanted.to) {
        (Some(month), None, None, None) => {
            let parts = month
                .split_once('-')
                .and_then(|(year, month)| Some((year.parse().ok()?, month.parse().ok()?)));
            let Some((year, month)) = parts else {
                return Err(ApiError::invalid(format!("`{month}` is not a month"), hint));
            };
            Period::month(year, month)
        }
        (None, Some(year), None, None) => Period::year(year),
        (None, None, Some(from), Some(to)) => Period::new(from, to),
        _ => return Err(ApiError::invalid("which days are meant is not clear", hint)),
    };
    let period = read.map_err(|error| ApiError::invalid(error, error.hint()))?;
    if period.days() > MOST_DAYS {
        let detail = format!("`{}` days asked for, at most {MOST_DAYS} at once", period.days());
        return Err(ApiError::invalid(detail, "ask for the years one by one"));
    }
    Ok(period)
}

/// Answers with a file; its SHA-256 is its tag.
fn file(made: Made, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", made.rendered.sha256);
    let plain = |text: &str| HeaderValue::from_str(text).ok();
    let settled = if made.standing == Standing::Final { "false" } else { "true" };
    let head = made.head.map(|head| format!("{} {} {}", head.origin, head.size, head.root));
    let name = format!("attachment; filename=\"{}\"", made.rendered.file);
    let told = [
        (header::ETAG, plain(&tag)),
        (header::CONTENT_DISPOSITION, plain(&name)),
        (header::CACHE_CONTROL, plain("no-cache")),
        (header::HeaderName::from_static("loa-provisional"), plain(settled)),
        (header::HeaderName::from_static("loa-checkpoint"), head.as_deref().and_then(plain)),
        (header::CONTENT_TYPE, plain(made.rendered.format.media_type())),
    ];
    let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    let same = known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag));
    let mut answer = if same {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        made.rendered.bytes.into_response()
    };
    for (name, value) in told {
        if let Some(value) = value {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

/// Makes a report of a unit and period.
#[utoipa::path(get, path = "/reports/{kind}", operation_id = "make_report", tag = "evidence",
    params(("kind" = String, Path, description = "`diary`, `pay`, `compare`, `as-run`, `coverage`, `urgent` or `yearly`, or the Vietnamese name"), Wanted),
    responses(
    (status = 200, description = "The file: `ETag` is its SHA-256, `loa-provisional` says whether its numbers may still change, `loa-checkpoint` is what it was made from", body = String, content_type = "application/octet-stream"),
    (status = 304, description = "The file is the one that `If-None-Match` names"),
    (status = 401, body = ApiError), (status = 403, body = ApiError),
    (status = 404, body = ApiError), (status = 409, body = ApiError),
    (status = 422, body = ApiError), (status = 429, body = ApiError)))]
pub async fn make(
    bearer: Bearer,
    State(state): State<AppState>,
    Path(kind): Path<String>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Query(wanted) = wanted?;
    answer(&bearer, &state, named(&kind)?, &wanted, Form::default(), &headers).await
}

/// Makes a yearly report as a letter (NĐ 30/2020): the body says what stands at its head and foot,
/// and the words of its paragraphs; what lacks is filled in from the unit, or stays open.
#[utoipa::path(post, path = "/reports/{kind}", operation_id = "make_letter", tag = "evidence",
    params(("kind" = String, Path, description = "`yearly`"), Wanted), request_body = LetterWords,
    responses(
    (status = 200, description = "The file, as `GET` returns it", body = String, content_type = "application/octet-stream"),
    (status = 304, description = "The file is the one that `If-None-Match` names"),
    (status = 401, body = ApiError), (status = 403, body = ApiError),
    (status = 404, body = ApiError), (status = 409, body = ApiError),
    (status = 422, body = ApiError), (status = 429, body = ApiError)))]
pub async fn letter(
    bearer: Bearer,
    State(state): State<AppState>,
    Path(kind): Path<String>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    headers: HeaderMap,
    Body(words): Body<LetterWords>,
) -> Result<Response, ApiError> {
    let Query(wanted) = wanted?;
    let kind = named(&kind)?;
    if kind != ReportKind::Yearly {
        let hint = "ask with `GET`, without a body";
        return Err(ApiError::invalid("only a yearly report is a letter", hint));
    }
    answer(&bearer, &state, kind, &wanted, words.into(), &headers).await
}

fn named(kind: &str) -> Result<ReportKind, ApiError> {
    let kind = ReportKind::named(kind).filter(|kind| *kind != ReportKind::Heard);
    kind.ok_or_else(|| {
        ApiError::not_found("kind of report", "").hint(
            "diary, pay, compare, as-run, coverage, urgent, yearly; what was heard is under `/heard`",
        )
    })
}

async fn answer(
    bearer: &Bearer,
    state: &AppState,
    kind: ReportKind,
    wanted: &Wanted,
    form: Form,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    bearer.must_be_known()?;
    let unit: UnitId = id(&wanted.unit)?;
    if !bearer.sees(Some(&unit)) {
        return Err(ApiError::not_found("unit", unit));
    }
    let ask = Ask {
        kind,
        unit,
        period: period(wanted)?,
        format: format(wanted.format.as_deref())?,
        zone: state.live.picture().zone,
        spot: None,
        form,
        only_final: wanted.only_final,
    };
    let log = LogAt { folder: state.log.0.as_ref().clone(), patience: PATIENCE };
    let made = state.reports.make(&ask, &log, state.clock.now(), &bearer.actor()).await?;
    Ok(file(made, headers))
}

/// Answers a complaint: what sounded at a place and time, how loud, by whose order.
#[utoipa::path(get, path = "/heard", operation_id = "heard", tag = "evidence",
    params(WantedHeard), responses(
    (status = 200, description = "The file: `ETag` is its SHA-256", body = String, content_type = "application/octet-stream"),
    (status = 304, description = "The file is the one that `If-None-Match` names"),
    (status = 401, body = ApiError), (status = 403, body = ApiError),
    (status = 404, body = ApiError), (status = 422, body = ApiError),
    (status = 429, body = ApiError)))]
pub async fn heard(
    bearer: Bearer,
    State(reports): State<Arc<Reports>>,
    State(LogFolder(folder)): State<LogFolder>,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
    wanted: Result<Query<WantedHeard>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Query(wanted) = wanted?;
    bearer.must_be_known()?;
    let (zone, at) = (live.picture().zone, instant("at", &wanted.at)?);
    let margin = wanted.margin.unwrap_or(15);
    if margin > MOST_MARGIN_MIN {
        let detail = format!("`margin`: `{margin}` minutes, at most {MOST_MARGIN_MIN}");
        return Err(ApiError::invalid(detail, "ask twice for a longer stretch"));
    }
    let places = reports.rollup().places(zone).await.map_err(ReportsError::from)?;
    let sees = |unit: &UnitId| bearer.sees(Some(unit));
    let (unit, device) = locate(&places, &wanted.place, at, zone, sees)?;
    let day = day_of(at, zone);
    let ask = Ask {
        kind: ReportKind::Heard,
        unit,
        period: Period::new(day, day).map_err(ApiError::internal)?,
        format: format(wanted.format.as_deref())?,
        zone,
        spot: Some(Spot { words: wanted.place, at, margin_ms: i64::from(margin) * 60_000, device }),
        form: Form::default(),
        only_final: false,
    };
    let log = LogAt { folder: folder.as_ref().clone(), patience: PATIENCE };
    let made = reports.make(&ask, &log, clock.now(), &bearer.actor()).await?;
    Ok(file(made, &headers))
}

/// Lists the files that were handed out.
#[utoipa::path(get, path = "/reports", operation_id = "list_reports", tag = "evidence",
    params(WantedFiles), responses((status = 200, body = ReportFiles),
    (status = 401, body = ApiError), (status = 403, body = ApiError),
    (status = 422, body = ApiError)))]
pub async fn list(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    wanted: Result<Query<WantedFiles>, QueryRejection>,
) -> Result<Json<ReportFiles>, ApiError> {
    let Query(wanted) = wanted?;
    bearer.must_see_all()?;
    let kind = wanted.kind.as_deref().map(|word| {
        ReportKind::named(word)
            .ok_or_else(|| ApiError::invalid("`kind` is no kind of report", "as in `kind=diary`"))
    });
    let kind = kind.transpose()?;
    let limit = wanted.limit.unwrap_or(100).clamp(1, MOST);
    let listed = store.reports(wanted.before, limit).await?;
    let full = listed.len() == usize::try_from(limit).unwrap_or(usize::MAX);
    let next = listed.last().map(|(position, _)| *position).filter(|_| full);
    let of_kind = |file: &ReportFile| {
        kind.is_none_or(|kind| file.name.starts_with(&format!("{}_", kind.as_str())))
    };
    let zone = live.picture().zone;
    let files = listed.into_iter().filter(|(_, file)| of_kind(file));
    Ok(Json(ReportFiles { files: files.map(|one| view(one, zone)).collect(), next }))
}

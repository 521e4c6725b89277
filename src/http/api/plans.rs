//! What administrative plans order.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::{Body, id, local};
use crate::app::live::Live;
use crate::app::people::Role;
use crate::app::planbook::{self, PlanDesk, PlanError, Taken, TakenPlan};
use crate::app::ports::{PlanFormat, Store, StoredPlan};
use crate::clock::SharedClock;
use crate::config::{self, Fault, Told};
use crate::domain::ids::{PlanId, UnitId};
use crate::plan::{Basis, Funds, Means, PlanLine, TopicCode, Total};
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Largest file of a plan.
pub const UPLOAD: usize = 4 << 20;
/// Most entries of one answer.
const MOST: u32 = 1000;
/// Faults that an answer names.
const NAMED_FAULTS: usize = 20;

/// Plans, by id.
#[derive(Serialize, ToSchema)]
pub struct Plans {
    plans: Vec<PlanView>,
    /// Pass as `after` for what follows; null at the end.
    next: Option<String>,
}

/// An administrative plan in one version (kế hoạch).
#[derive(Serialize, ToSchema)]
#[schema(as = Plan)]
pub struct PlanView {
    id: String,
    version: u32,
    title: String,
    /// Number and sign of the document.
    number: String,
    issuer: String,
    #[schema(format = "date")]
    date: String,
    /// Id of the list that its topics belong to.
    topics: String,
    lines: usize,
    /// SHA-256 of the file as it was given.
    sha256: String,
    /// `toml` or `csv`.
    format: &'static str,
    #[schema(format = "date-time")]
    imported: String,
    imported_by: String,
    withdrawn: Option<WithdrawnView>,
}

/// Who withdrew a plan, and why.
#[derive(Serialize, ToSchema)]
#[schema(as = PlanWithdrawn)]
pub struct WithdrawnView {
    #[schema(format = "date-time")]
    at: String,
    by: String,
    reason: String,
}

/// A plan with what stands in its head, and its versions.
#[derive(Serialize, ToSchema)]
pub struct WholePlan {
    plan: PlanView,
    /// Documents that it names.
    #[schema(value_type = Vec<Object>)]
    bases: Vec<Basis>,
    /// Sums that it states, in đồng.
    #[schema(value_type = Vec<Object>)]
    totals: Vec<Total>,
    /// Money by year and source, in đồng.
    #[schema(value_type = Vec<Object>)]
    funds: Vec<Funds>,
    /// Where its own figures contradict each other.
    doubts: Vec<DoubtView>,
    /// All its versions, newest first.
    versions: Vec<PlanView>,
}

/// A contradiction in a plan's own figures; it refuses nothing.
#[derive(Serialize, ToSchema)]
#[schema(as = PlanDoubt)]
pub struct DoubtView {
    /// The line it is about, if it is about one.
    line: Option<String>,
    message: String,
    hint: String,
}

/// Lines of a plan, in its order.
#[derive(Serialize, ToSchema)]
pub struct PlanLines {
    plan: String,
    version: u32,
    /// As in the plan: id, citation, task, topics, means, scope, units, counted, least, months,
    /// lead, coordinating, product, budget, deadline, note.
    #[schema(value_type = Vec<Object>)]
    lines: Vec<PlanLine>,
    /// Pass as `after` for what follows; null at the end.
    next: Option<String>,
}

/// Which plans to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WantedPlans {
    /// Also those withdrawn.
    #[serde(default)]
    withdrawn: bool,
    /// At most so many, 1 to 1000; 100 unless given.
    limit: Option<u32>,
    /// After this id.
    after: Option<String>,
}

/// Which lines to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WantedLines {
    /// Of this version; the newest unless given.
    version: Option<u32>,
    /// About this topic: its code.
    topic: Option<String>,
    /// By these means, as in `loudspeaker`.
    means: Option<String>,
    /// For this unit, one above it, or all units.
    unit: Option<String>,
    /// Only what orders a number.
    #[serde(default)]
    ordered: bool,
    /// At most so many, 1 to 1000; 100 unless given.
    limit: Option<u32>,
    /// After the line of this id.
    after: Option<String>,
}

/// What a plan replaces.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Replacing {
    /// The version that stands and is to be followed by this one; asked for once the change was
    /// shown.
    replaces: Option<u32>,
}

/// A plan that was taken in.
#[derive(Serialize, ToSchema)]
#[schema(as = PlanTaken)]
pub struct TakenView {
    plan: PlanView,
    /// `new`, `unchanged` or `follows`.
    state: &'static str,
    /// The version before, where it follows one.
    replaces: Option<u32>,
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<String>,
    /// Units of its lines that the register does not know.
    unknown_units: Vec<String>,
    #[schema(value_type = Vec<Object>)]
    warnings: Vec<Fault>,
}

/// Withdrawing asks for a reason.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanToWithdraw {
    reason: String,
}

impl PlanView {
    fn new(stored: &StoredPlan, zone: Tz) -> Self {
        let plan = &stored.plan;
        let withdrawn = stored.withdrawn.as_ref();
        Self {
            id: plan.id.to_string(),
            version: stored.version,
            title: plan.title.clone(),
            number: plan.number.clone(),
            issuer: plan.issuer.clone(),
            date: plan.date.to_string(),
            topics: plan.topics.to_string(),
            lines: plan.lines.len(),
            sha256: stored.sha256.to_string(),
            format: stored.format.word(),
            imported: local(stored.at_ms, zone),
            imported_by: stored.by.clone(),
            withdrawn: withdrawn.map(|gone| WithdrawnView {
                at: local(gone.at_ms, zone),
                by: gone.by.clone(),
                reason: gone.reason.clone(),
            }),
        }
    }
}

impl TakenView {
    fn new(taken: TakenPlan, warnings: Vec<Fault>, zone: Tz) -> Self {
        let (state, replaces, changes) = match taken.taken {
            Taken::New => ("new", None, planbook::Changes::default()),
            Taken::Unchanged => ("unchanged", None, planbook::Changes::default()),
            Taken::Follows { version, changes } => ("follows", Some(version), changes),
        };
        let texts =
            |ids: Vec<crate::domain::ids::LineId>| ids.into_iter().map(Into::into).collect();
        Self {
            plan: PlanView::new(&taken.stored, zone),
            state,
            replaces,
            added: texts(changes.added),
            removed: texts(changes.removed),
            changed: texts(changes.changed),
            unknown_units: taken.unknown_units.into_iter().map(Into::into).collect(),
            warnings,
        }
    }
}

/// Tells what refused a file, as much as an answer holds.
pub(super) fn refused(faults: &[Fault]) -> ApiError {
    let named: Vec<String> = faults.iter().take(NAMED_FAULTS).map(ToString::to_string).collect();
    let more = faults.len().saturating_sub(NAMED_FAULTS);
    let more = if more > 0 { format!("; {more} more") } else { String::new() };
    let hint = faults.iter().find_map(|fault| fault.hint.clone());
    let hint = hint.unwrap_or_else(|| "`loa plan check FILE` tells all of it".to_owned());
    ApiError::invalid(format!("{}{more}", named.join("; ")), hint)
}

fn not_there(plan: &PlanId) -> ApiError {
    ApiError::not_found("plan", plan).hint("GET /api/v1/plans lists them")
}

/// Lists plans in their newest version.
#[utoipa::path(get, path = "/plans", operation_id = "list_plans", tag = "plans", params(WantedPlans), responses(
    (status = 200, body = Plans), (status = 401, body = ApiError), (status = 403, body = ApiError),
    (status = 422, body = ApiError)))]
pub async fn list(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    wanted: Result<Query<WantedPlans>, QueryRejection>,
) -> Result<Json<Plans>, ApiError> {
    let Query(wanted) = wanted?;
    bearer.must_be_known()?;
    let after = wanted.after.as_deref().map(id::<PlanId>).transpose()?;
    let limit = wanted.limit.unwrap_or(100).clamp(1, MOST) as usize;
    let mut plans = store.newest_plans().await?;
    plans.retain(|stored| wanted.withdrawn || stored.withdrawn.is_none());
    plans.retain(|stored| after.as_ref().is_none_or(|after| stored.plan.id > *after));
    let more = plans.len() > limit;
    plans.truncate(limit);
    let next = plans.last().filter(|_| more).map(|last| last.plan.id.to_string());
    let zone = live.picture().zone;
    Ok(Json(Plans { plans: plans.iter().map(|one| PlanView::new(one, zone)).collect(), next }))
}

/// Returns a plan with its head, its contradictions and its versions.
#[utoipa::path(get, path = "/plans/{plan}", operation_id = "get_plan", tag = "plans",
    params(("plan" = String, Path, description = "id of the plan")), responses(
    (status = 200, body = WholePlan), (status = 401, body = ApiError), (status = 403, body = ApiError),
    (status = 404, body = ApiError), (status = 422, body = ApiError)))]
pub async fn one(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    Path(plan): Path<String>,
) -> Result<Json<WholePlan>, ApiError> {
    bearer.must_be_known()?;
    let plan: PlanId = id(&plan)?;
    let versions = store.plan_versions(&plan).await?;
    let newest = versions.first().ok_or_else(|| not_there(&plan))?;
    let zone = live.picture().zone;
    let doubts = crate::plan::doubts(&newest.plan);
    let doubt = |doubt: &crate::plan::Doubt| DoubtView {
        line: doubt.line().map(ToString::to_string),
        message: doubt.to_string(),
        hint: doubt.hint().to_owned(),
    };
    Ok(Json(WholePlan {
        plan: PlanView::new(newest, zone),
        bases: newest.plan.bases.clone(),
        totals: newest.plan.totals.clone(),
        funds: newest.plan.funds.clone(),
        doubts: doubts.iter().filter(|one| one.is_contradiction()).map(doubt).collect(),
        versions: versions.iter().map(|one| PlanView::new(one, zone)).collect(),
    }))
}

/// Lists the lines of a plan.
#[utoipa::path(get, path = "/plans/{plan}/lines", operation_id = "list_plan_lines", tag = "plans",
    params(("plan" = String, Path, description = "id of the plan"), WantedLines), responses(
    (status = 200, body = PlanLines), (status = 401, body = ApiError), (status = 403, body = ApiError),
    (status = 404, body = ApiError), (status = 422, body = ApiError)))]
pub async fn lines(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    Path(plan): Path<String>,
    wanted: Result<Query<WantedLines>, QueryRejection>,
) -> Result<Json<PlanLines>, ApiError> {
    let Query(wanted) = wanted?;
    bearer.must_be_known()?;
    let plan: PlanId = id(&plan)?;
    let topic = wanted.topic.as_deref().map(str::parse::<TopicCode>).transpose();
    let topic = topic.map_err(|error| ApiError::invalid(&error, error.hint()))?;
    let means = wanted.means.as_deref().map(means).transpose()?;
    let unit = wanted.unit.as_deref().map(id::<UnitId>).transpose()?;
    let versions = store.plan_versions(&plan).await?;
    let fits =
        |stored: &&StoredPlan| wanted.version.is_none_or(|version| stored.version == version);
    let stored = versions.iter().find(fits).ok_or_else(|| not_there(&plan))?;
    // A line for a unit is for all below it.
    let for_unit = |line: &PlanLine, unit: &UnitId| {
        let lineage = live.lineage(unit);
        let named = |wanted: &UnitId| wanted == unit || lineage.contains(wanted);
        line.units.is_empty() || line.units.iter().any(named)
    };
    let fits = |line: &&PlanLine| {
        topic.as_ref().is_none_or(|topic| line.topics.is_empty() || line.topics.contains(topic))
            && means.is_none_or(|means| line.means.is_empty() || line.means.contains(&means))
            && unit.as_ref().is_none_or(|unit| for_unit(line, unit))
            && (!wanted.ordered || line.least.is_some())
    };
    let all = &stored.plan.lines;
    let from = match &wanted.after {
        Some(after) => {
            all.iter().position(|line| line.id.as_str() == after).map_or(all.len(), |at| at + 1)
        }
        None => 0,
    };
    let limit = wanted.limit.unwrap_or(100).clamp(1, MOST) as usize;
    let mut lines: Vec<PlanLine> =
        all.iter().skip(from).filter(fits).take(limit + 1).cloned().collect();
    let more = lines.len() > limit;
    lines.truncate(limit);
    let next = lines.last().filter(|_| more).map(|last| last.id.to_string());
    Ok(Json(PlanLines { plan: plan.into(), version: stored.version, lines, next }))
}

fn means(word: &str) -> Result<Means, ApiError> {
    let found = Means::WORDS.iter().find(|(known, _)| *known == word);
    found.map(|(_, means)| *means).ok_or_else(|| {
        let words: Vec<_> = Means::WORDS.iter().map(|(word, _)| *word).collect();
        let word: String = word.chars().take(40).collect();
        ApiError::invalid(
            format!("`means`: no means `{word}`"),
            format!("one of {}", words.join(", ")),
        )
    })
}

/// Takes in a plan as a file: TOML, or its lines as CSV (`text/csv`) under the head of the version
/// that stands. Where another version stands, the answer is 409 with the change, until `replaces`
/// names it.
#[utoipa::path(put, path = "/plans/{plan}", operation_id = "put_plan", tag = "plans",
    params(("plan" = String, Path, description = "id of the plan"), Replacing),
    request_body(content = String, content_type = "application/toml"), responses(
    (status = 200, body = TakenView), (status = 201, body = TakenView), (status = 401, body = ApiError),
    (status = 403, body = ApiError), (status = 409, body = ApiError), (status = 413, body = ApiError),
    (status = 422, body = ApiError)))]
#[expect(clippy::too_many_arguments, reason = "each is a part of the request or of the server")]
pub async fn put(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
    Path(plan): Path<String>,
    wanted: Result<Query<Replacing>, QueryRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<TakenView>), ApiError> {
    let Query(wanted) = wanted?;
    bearer.may(Role::Operator, None)?;
    let (plan, body): (PlanId, Bytes) = (id(&plan)?, whole(body, UPLOAD)?);
    let lists = planbook::lists(&*store).await?;
    let csv = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let format = match csv {
        Some(kind) if kind.starts_with("text/csv") => PlanFormat::Csv,
        _ => PlanFormat::Toml,
    };
    let name = format!("{plan}.{}", format.word());
    let head = match format {
        PlanFormat::Toml => None,
        PlanFormat::Csv => {
            let head = store.plan_versions(&plan).await?.into_iter().next();
            let none = || not_there(&plan).hint("a table has no head: put the plan as TOML first");
            Some(head.ok_or_else(none)?.plan)
        }
    };
    let text = body.clone();
    // Thousands of lines take a while to judge: others are answered meanwhile.
    let read = tokio::task::spawn_blocking(move || match head {
        None => config::plan_from_toml(&name, &plan, &text, &lists),
        Some(head) => config::plan_from_csv(&name, &text, &head, &lists),
    });
    let read = read.await.map_err(ApiError::internal)?;
    let Told { value, warnings } = read.map_err(|faults| refused(&faults))?;
    let actor = bearer.actor();
    let desk = PlanDesk { store: &*store, actor: &actor, now: clock.now() };
    let taken = desk.take(value, format, &body, wanted.replaces).await?;
    let status = match taken.taken {
        Taken::Unchanged => StatusCode::OK,
        Taken::New | Taken::Follows { .. } => StatusCode::CREATED,
    };
    Ok((status, Json(TakenView::new(taken, warnings, live.picture().zone))))
}

pub(super) fn whole(body: Result<Bytes, BytesRejection>, most: usize) -> Result<Bytes, ApiError> {
    body.map_err(|error| {
        ApiError::new(error.status(), "too-large", error.body_text())
            .hint(format!("a file of at most {most} bytes"))
    })
}

/// Withdraws a plan: it orders nothing any more, and stays readable.
#[utoipa::path(post, path = "/plans/{plan}/withdrawal", operation_id = "withdraw_plan", tag = "plans",
    params(("plan" = String, Path, description = "id of the plan")), request_body = PlanToWithdraw, responses(
    (status = 200, body = PlanView), (status = 401, body = ApiError), (status = 403, body = ApiError),
    (status = 404, body = ApiError), (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub async fn withdraw(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    State(clock): State<SharedClock>,
    Path(plan): Path<String>,
    Body(wanted): Body<PlanToWithdraw>,
) -> Result<Json<PlanView>, ApiError> {
    bearer.may(Role::Operator, None)?;
    let actor = bearer.actor();
    let desk = PlanDesk { store: &*store, actor: &actor, now: clock.now() };
    let stored = desk.withdraw(&id(&plan)?, &wanted.reason).await?;
    Ok(Json(PlanView::new(&stored, live.picture().zone)))
}

impl From<PlanError> for ApiError {
    fn from(error: PlanError) -> Self {
        let hint = error.hint();
        let (status, code) = match &error {
            PlanError::NoPlan { .. } => (StatusCode::NOT_FOUND, "not-found"),
            PlanError::Withdrawn { .. } => (StatusCode::CONFLICT, "withdrawn"),
            PlanError::Replaces { .. } => (StatusCode::CONFLICT, "replaces"),
            PlanError::ListDiffers { .. } => (StatusCode::CONFLICT, "differs"),
            PlanError::TooMany { .. } => (StatusCode::CONFLICT, "too-many"),
            PlanError::Reason { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            PlanError::Store(_) => {
                return match error {
                    PlanError::Store(error) => error.into(),
                    other => Self::internal(other),
                };
            }
        };
        Self::new(status, code, &error).hint(hint)
    }
}

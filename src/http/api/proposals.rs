//! What waits for approval, what it would do on air, and who decides.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::desk::AtDesk;
use super::{Body, id, local};
use crate::app::approval::{Decided, Desk, DeskError, Proposal, Stand, Together};
use crate::app::live::Live;
use crate::app::ports::Store;
use crate::domain::approval::{Change, Counts, What};
use crate::domain::ids::Digest;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Which proposals to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Also what was approved, returned or replaced.
    #[serde(default)]
    all: bool,
}

/// What the approver was shown.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Seen {
    /// `over` of the proposal as it was shown: refused when it would do something else on air by
    /// now. The version that it was last judged over unless said.
    over: Option<i64>,
}

/// Proposals, newest first.
#[derive(Serialize, ToSchema)]
pub struct Proposals {
    proposals: Vec<ProposalView>,
}

/// A change that waits for a second person, or once did (trình duyệt).
#[derive(Serialize, ToSchema)]
#[schema(as = Proposal)]
pub struct ProposalView {
    /// Over the files and clips that change: what is approved.
    hash: String,
    /// `open`, `approved`, `returned`, `taken-back`, `stale` (what is in force has changed so that
    /// it would now do something else) or `superseded`.
    state: &'static str,
    /// Why it was returned.
    reason: Option<String>,
    #[schema(format = "date-time")]
    made: String,
    /// Who stands for it; null for a file that nobody has proposed.
    author: Option<String>,
    approved_by: Vec<String>,
    /// How many more must approve.
    lacks: usize,
    /// The version in force over which its effect is shown: pass it on when you approve.
    over: i64,
    /// Files that are new, other or gone.
    files: Vec<String>,
    /// Clips that are new, or other under the same name.
    clips: Vec<String>,
    /// Why they are one proposal: `alone`, `needed` (none fits without the others), `person`
    /// (proposed together) or `many` (more wait than are told one by one).
    #[schema(value_type = String)]
    together: Together,
    /// The units that whoever approves must answer for.
    concerns: Vec<String>,
    /// How many cues change, by unit.
    units: BTreeMap<String, CountsView>,
    /// Cues, those within an hour of quiet hours first.
    changes: Vec<ChangeView>,
    /// How many more cues change.
    more: usize,
}

/// How many cues of a unit's devices change.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangeCounts)]
pub struct CountsView {
    new: usize,
    moved: usize,
    changed: usize,
    gone: usize,
}

impl From<&Counts> for CountsView {
    fn from(counts: &Counts) -> Self {
        let Counts { new, moved, changed, gone } = *counts;
        Self { new, moved, changed, gone }
    }
}

/// What becomes of a cue.
#[derive(Serialize, ToSchema)]
#[schema(as = CueChange)]
pub struct ChangeView {
    /// Sounds within an hour of quiet hours.
    near_quiet: bool,
    /// `new`, `moved`, `longer`, `louder`, `content`, `less` or `gone`.
    #[schema(value_type = String)]
    what: What,
    #[schema(format = "date-time")]
    at: String,
    #[schema(format = "date-time")]
    end: String,
    #[schema(format = "date-time")]
    was: Option<String>,
    cue: String,
    item: String,
    title: String,
    /// On a board instead of a loudspeaker.
    board: bool,
    volume: u8,
    units: Vec<String>,
    devices: usize,
}

impl ChangeView {
    pub fn new(change: &Change, zone: Tz) -> Self {
        Self {
            near_quiet: change.near_quiet,
            what: change.what,
            at: local(change.at_ms, zone),
            end: local(change.end_ms, zone),
            was: change.was_at_ms.map(|at| local(at, zone)),
            cue: change.cue.to_string(),
            item: change.item.clone(),
            title: change.title.clone(),
            board: change.board,
            volume: change.volume,
            units: change.units.iter().map(ToString::to_string).collect(),
            devices: change.devices,
        }
    }
}

impl ProposalView {
    fn new(one: &Proposal, zone: Tz, most: usize) -> Self {
        let reason = match &one.stand {
            Stand::Returned { reason, .. } => Some(reason.clone()),
            _ => None,
        };
        let changes = &one.preview.changes;
        let shown = changes.len().min(most);
        let units = one.preview.units.iter();
        Self {
            hash: one.hash.to_string(),
            state: one.stand.word(),
            reason,
            made: local(one.made_ms, zone),
            author: one.author.as_ref().map(ToString::to_string),
            approved_by: one.votes.iter().map(ToString::to_string).collect(),
            lacks: one.lacks(),
            over: one.base,
            files: one.change.files.keys().cloned().collect(),
            clips: one.change.other.iter().cloned().collect(),
            together: one.together,
            concerns: one.units().iter().map(ToString::to_string).collect(),
            units: units.map(|(unit, n)| (unit.to_string(), CountsView::from(n))).collect(),
            changes: changes[..shown].iter().map(|c| ChangeView::new(c, zone)).collect(),
            more: one.preview.more + (changes.len() - shown),
        }
    }
}

/// What came of a decision.
#[derive(Serialize, ToSchema)]
pub struct Decision {
    /// `in-force`, `lacks` or `done`.
    decided: &'static str,
    /// How many more must approve.
    lacks: usize,
}

impl From<Decided> for Decision {
    fn from(decided: Decided) -> Self {
        match decided {
            Decided::InForce { .. } => Self { decided: "in-force", lacks: 0 },
            Decided::Lacks { more, .. } => Self { decided: "lacks", lacks: more },
            Decided::Done => Self { decided: "done", lacks: 0 },
        }
    }
}

impl From<DeskError> for ApiError {
    fn from(error: DeskError) -> Self {
        use DeskError as E;
        let (status, code) = match &error {
            E::Unknown { .. }
            | E::Nothing
            | E::NotWaiting { .. }
            | E::NoVersion { .. }
            | E::NoUnit { .. }
            | E::NoPlaylist { .. } => (StatusCode::NOT_FOUND, "not-found"),
            E::Part { .. } => (StatusCode::CONFLICT, "part-of-another"),
            E::Same => (StatusCode::CONFLICT, "nothing-changes"),
            E::NotAuthor { .. } => (StatusCode::FORBIDDEN, "not-author"),
            E::NotOpen { .. } => (StatusCode::CONFLICT, "not-open"),
            E::Own { .. } => (StatusCode::FORBIDDEN, "own-proposal"),
            E::Twice { .. } => (StatusCode::CONFLICT, "approved-already"),
            E::NotFor { .. } | E::NotForAll { .. } => (StatusCode::FORBIDDEN, "forbidden"),
            E::Moved { .. } => (StatusCode::CONFLICT, "changed-meanwhile"),
            E::Misfit { .. } | E::Unfit => (StatusCode::CONFLICT, "misfit"),
            E::Reason | E::TooMany { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            E::Store(_) => {
                return match error {
                    E::Store(error) => error.into(),
                    other => Self::internal(other),
                };
            }
        };
        let hint = error.hint();
        Self::new(status, code, &error).hint(hint)
    }
}

/// A reason, for the trail and for whoever proposed it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Because {
    pub(super) reason: String,
}

/// What to propose together.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// Names in the station folder.
    files: BTreeSet<String>,
}

/// Lists what waits for approval.
#[utoipa::path(get, path = "/proposals", operation_id = "list_proposals", tag = "approval", params(Wanted), responses(
    (status = 200, body = Proposals), (status = 401, body = ApiError),
    (status = 403, body = ApiError)))]
pub async fn list(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Proposals>, ApiError> {
    let Query(wanted) = wanted?;
    bearer.must_be_known()?;
    let zone = live.picture().zone;
    let all = if wanted.all { store.proposals(200).await? } else { Desk::pending(&*store).await? };
    let all = all.iter().map(|one| ProposalView::new(one, zone, 20));
    Ok(Json(Proposals { proposals: all.collect() }))
}

/// Shows what a proposal would change on air.
#[utoipa::path(get, path = "/proposals/{hash}", operation_id = "get_proposal", tag = "approval",
    params(("hash" = String, Path, description = "hash of the proposal")), responses(
    (status = 200, body = ProposalView), (status = 401, body = ApiError),
    (status = 403, body = ApiError), (status = 404, body = ApiError)))]
pub async fn one(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    Path(hash): Path<String>,
) -> Result<Json<ProposalView>, ApiError> {
    bearer.must_be_known()?;
    let hash: Digest = id(&hash)?;
    let one = store.proposal(&hash).await?.ok_or(DeskError::Unknown { hash })?;
    Ok(Json(ProposalView::new(&one, live.picture().zone, usize::MAX)))
}

/// Names you the author: then one approver is enough. What was returned waits again.
#[utoipa::path(post, path = "/proposals/{hash}/propose", operation_id = "propose", tag = "approval",
    params(("hash" = String, Path, description = "hash of the proposal")), responses(
    (status = 200, body = ProposalView), (status = 401, body = ApiError),
    (status = 403, body = ApiError), (status = 404, body = ApiError),
    (status = 409, body = ApiError)))]
pub async fn propose(at: AtDesk, Path(hash): Path<String>) -> Result<Json<ProposalView>, ApiError> {
    let hash = id(&hash)?;
    let one = at.desk().propose(&hash).await?;
    Ok(Json(ProposalView::new(&one, at.zone, usize::MAX)))
}

/// Names you the author of what waits in these files, as one proposal.
#[utoipa::path(post, path = "/proposals", operation_id = "propose_files", tag = "approval",
    request_body = Files, responses(
    (status = 200, body = ProposalView), (status = 401, body = ApiError),
    (status = 403, body = ApiError), (status = 404, body = ApiError),
    (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub async fn propose_files(
    at: AtDesk,
    Body(wanted): Body<Files>,
) -> Result<Json<ProposalView>, ApiError> {
    let one = at.desk().propose_files(&wanted.files).await?;
    Ok(Json(ProposalView::new(&one, at.zone, usize::MAX)))
}

/// Takes your proposal back; what you put together falls apart again.
#[utoipa::path(post, path = "/proposals/{hash}/take-back", operation_id = "take_back_proposal", tag = "approval",
    params(("hash" = String, Path, description = "hash of the proposal")), responses(
    (status = 200, body = ProposalView), (status = 401, body = ApiError),
    (status = 403, body = ApiError), (status = 404, body = ApiError),
    (status = 409, body = ApiError)))]
pub async fn take_back(
    at: AtDesk,
    Path(hash): Path<String>,
) -> Result<Json<ProposalView>, ApiError> {
    let hash = id(&hash)?;
    let one = at.desk().take_back(&hash).await?;
    Ok(Json(ProposalView::new(&one, at.zone, usize::MAX)))
}

/// Approves; the last approval needed brings it into force.
#[utoipa::path(post, path = "/proposals/{hash}/approve", operation_id = "approve", tag = "approval",
    params(("hash" = String, Path, description = "hash of the proposal"), Seen), responses(
    (status = 200, body = Decision), (status = 401, body = ApiError),
    (status = 403, body = ApiError), (status = 404, body = ApiError),
    (status = 409, body = ApiError)))]
pub async fn approve(
    at: AtDesk,
    Path(hash): Path<String>,
    seen: Result<Query<Seen>, QueryRejection>,
) -> Result<Json<Decision>, ApiError> {
    let Query(seen) = seen?;
    let hash = id(&hash)?;
    Ok(Json(at.desk().approve(&hash, seen.over).await?.into()))
}

/// Sends a proposal back with a reason.
#[utoipa::path(post, path = "/proposals/{hash}/return", operation_id = "return_proposal", tag = "approval",
    params(("hash" = String, Path, description = "hash of the proposal")),
    request_body = Because, responses(
    (status = 200, body = Decision), (status = 401, body = ApiError),
    (status = 403, body = ApiError), (status = 404, body = ApiError),
    (status = 409, body = ApiError), (status = 422, body = ApiError)))]
pub async fn give_back(
    at: AtDesk,
    Path(hash): Path<String>,
    Body(why): Body<Because>,
) -> Result<Json<Decision>, ApiError> {
    let hash = id(&hash)?;
    Ok(Json(at.desk().give_back(&hash, &why.reason).await?.into()))
}

//! The evidence log: how it stands, and proofs of its leaves. The log itself is under `/log/`.

use super::super::auth::Bearer;
use super::super::error::ApiError;
use super::super::log::LogFolder;
use super::local;
use crate::app::live::Live;
use crate::app::ports::{Store, StoredShard};
use crate::domain::ids::{ChainId, DeviceId};
use crate::log::disk::{DiskError, RealDisk};
use crate::log::folder::{Folder, FolderError};
use crate::log::prove::proof_file;
use crate::log::shard::ShardName;
use crate::log::tokens;
use crate::wire::tlog::{NOTE_BYTES, SignedCheckpoint, TreeHash};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// How the log stands.
#[derive(Serialize, ToSchema)]
pub struct LogView {
    /// The head of the shard being written; null before the first.
    head: Option<HeadView>,
    /// Leaves that wait to be logged.
    waiting: u64,
    /// What witnesses last vouched for; null while none did since the server started.
    witnessed: Option<WitnessedView>,
    /// All shards, oldest first; their files are under `/log/{name}/`.
    shards: Vec<ShardView>,
    /// The newest time stamp; null before the first, and where no authority is asked.
    token: Option<TokenView>,
    /// Why there is no newer one; null while all goes well.
    token_trouble: Option<String>,
}

/// A time stamp of a head (RFC 3161).
#[derive(Serialize, ToSchema)]
#[schema(as = LogToken)]
pub struct TokenView {
    /// The shard whose head was stamped, and its leaves: `/log/{shard}/tokens/{size}.tsr`, and
    /// what was stamped, `{size}.note`.
    shard: String,
    size: u64,
    /// The authority's time.
    #[schema(format = "date-time")]
    at: String,
    /// The name in the authority's certificate.
    authority: String,
}

/// A head of the log.
#[derive(Serialize, ToSchema)]
#[schema(as = LogHead)]
pub struct HeadView {
    /// Name of the log.
    origin: String,
    /// Leaves.
    size: u64,
    /// The root over them, base64.
    root: String,
    /// When it was signed.
    #[schema(format = "date-time")]
    at: String,
    /// The signed note (C2SP tlog-checkpoint).
    checkpoint: String,
}

/// A head that witnesses vouched for.
#[derive(Serialize, ToSchema)]
#[schema(as = LogWitnessed)]
pub struct WitnessedView {
    /// Leaves.
    size: u64,
    #[schema(format = "date-time")]
    at: String,
    /// Whether they were as many as the station asks for.
    quorum: bool,
}

/// A shard of the log: a year, or what came after a loss in it.
#[derive(Serialize, ToSchema)]
#[schema(as = LogShard)]
pub struct ShardView {
    name: String,
    /// Leaves logged in it.
    size: u64,
    /// Sizes of its heads that were stamped.
    tokens: Vec<u64>,
}

/// Which leaf to prove: a place, or a record.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Place in the shard, from 0.
    index: Option<u64>,
    /// The shard of that place; the newest unless given.
    shard: Option<String>,
    /// A record of this device instead, with `chain` and `seq`.
    device: Option<String>,
    /// 32 hex digits.
    chain: Option<String>,
    seq: Option<u64>,
}

/// A leaf's place in the log, with the path to a signed root.
#[derive(Serialize, ToSchema)]
#[schema(as = LogProof)]
pub struct ProofView {
    origin: String,
    shard: String,
    index: u64,
    size: u64,
    /// base64.
    root: String,
    /// The leaf's hash, base64.
    leaf: String,
    /// From the leaf's sibling up, base64.
    path: Vec<String>,
    /// All of it as a file that other programs check (C2SP tlog-proof).
    proof: String,
}

/// Returns how the log stands.
#[utoipa::path(get, path = "/log", operation_id = "get_log", tag = "evidence", responses(
    (status = 200, body = LogView), (status = 401, body = ApiError),
    (status = 403, body = ApiError)))]
pub async fn get(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(live): State<Arc<Live>>,
    State(LogFolder(folder)): State<LogFolder>,
) -> Result<Json<LogView>, ApiError> {
    bearer.must_be_known()?;
    let (shards, newest) = (store.shards().await?, store.newest_leaf().await?);
    let logged = shards.last().map_or(0, |last| last.logged);
    let picture = live.picture();
    let head = picture.log.as_ref().map(|log| HeadView {
        origin: log.origin.clone(),
        size: log.size,
        root: log.root.clone(),
        at: local(log.at_ms, picture.zone),
        checkpoint: log.note.clone(),
    });
    let view = move |shard: &StoredShard| {
        let tokens = tokens::sizes(&Folder::new(RealDisk, folder.join(&shard.name)))?;
        Ok(ShardView { name: shard.name.clone(), size: shard.size(), tokens })
    };
    let work = tokio::task::spawn_blocking(move || shards.iter().map(view).collect());
    let shards: Result<_, DiskError> = work.await.map_err(ApiError::internal)?;
    let light = picture.tokens.clone().unwrap_or_default();
    Ok(Json(LogView {
        head,
        waiting: u64::try_from(newest.saturating_sub(logged)).unwrap_or(0),
        witnessed: picture.log.as_ref().and_then(|log| log.witnessed).map(|witnessed| {
            WitnessedView {
                size: witnessed.size,
                at: local(witnessed.at_ms, picture.zone),
                quorum: witnessed.enough,
            }
        }),
        shards: shards.map_err(ApiError::internal)?,
        token: light.last.map(|last| TokenView {
            shard: last.shard,
            size: last.size,
            at: local(last.at_ms, picture.zone),
            authority: last.authority,
        }),
        token_trouble: light.why,
    }))
}

/// Proves that a leaf is in the log.
#[utoipa::path(get, path = "/log/proof", operation_id = "prove_leaf", tag = "evidence",
    params(Wanted), responses((status = 200, body = ProofView), (status = 401, body = ApiError),
    (status = 403, body = ApiError), (status = 404, body = ApiError),
    (status = 422, body = ApiError)))]
pub async fn prove(
    bearer: Bearer,
    State(store): State<Arc<dyn Store>>,
    State(LogFolder(folder)): State<LogFolder>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<ProofView>, ApiError> {
    let Query(wanted) = wanted?;
    bearer.must_be_known()?;
    let (shard, index) = place(&*store, wanted).await?;
    let folder = folder.join(shard.to_string());
    let work = tokio::task::spawn_blocking(move || {
        let note = std::fs::File::open(folder.join("checkpoint")).and_then(|file| {
            let mut note = Vec::new();
            std::io::Read::read_to_end(
                &mut std::io::Read::take(file, NOTE_BYTES as u64),
                &mut note,
            )?;
            Ok(note)
        });
        let head = SignedCheckpoint::parse(&note.map_err(ApiError::internal)?)
            .map_err(ApiError::internal)?;
        let folder = Folder::new(RealDisk, folder);
        let size = head.checkpoint().size;
        let leaf = folder.entry(index, size).map_err(refused)?;
        let proof = proof_file(&folder, index, &head).map_err(refused)?;
        Ok::<_, ApiError>((TreeHash::leaf(&leaf), proof))
    });
    let (leaf, proof) = work.await.map_err(ApiError::internal)??;
    let tree = proof.checkpoint.checkpoint();
    Ok(Json(ProofView {
        origin: tree.origin.to_string(),
        shard: shard.to_string(),
        index,
        size: tree.size,
        root: tree.root.to_string(),
        leaf: leaf.to_string(),
        path: proof.path.iter().map(TreeHash::to_string).collect(),
        proof: proof.to_string(),
    }))
}

fn refused(error: FolderError) -> ApiError {
    match error {
        FolderError::Outside { index, .. } => ApiError::not_found("leaf", index),
        error => ApiError::internal(error),
    }
}

/// Finds the shard and the place within it.
async fn place(store: &dyn Store, wanted: Wanted) -> Result<(ShardName, u64), ApiError> {
    let shards = store.shards().await?;
    let hint = "`index` (and `shard`), or `device`, `chain` and `seq`";
    let name = |shard: &StoredShard| shard.name.parse::<ShardName>().map_err(ApiError::internal);
    match wanted {
        Wanted { index: Some(index), shard, device: None, chain: None, seq: None } => {
            let found = match &shard {
                Some(named) => shards.iter().find(|shard| shard.name == *named),
                None => shards.last(),
            };
            let shown = shard.unwrap_or_else(|| "the newest".to_owned());
            let shown: String = shown.chars().take(40).collect();
            let found = found.ok_or_else(|| ApiError::not_found("shard", shown))?;
            Ok((name(found)?, index))
        }
        Wanted {
            device: Some(device), chain: Some(chain), seq: Some(seq), index: None, ..
        } => {
            let invalid = |error: crate::domain::ids::IdError| {
                let hint = error.hint();
                ApiError::invalid(error, hint)
            };
            let device: DeviceId = device.parse().map_err(invalid)?;
            let chain: ChainId = chain.parse().map_err(invalid)?;
            let unknown =
                || ApiError::not_found("logged record", format!("{device} {chain} {seq}"));
            let number = store.leaf_of(&device, &chain, seq).await?.ok_or_else(unknown)?;
            let found = shards.iter().rev().find(|shard| shard.first <= number);
            let found = found.filter(|shard| number <= shard.logged).ok_or_else(unknown)?;
            let index = found.index(number).ok_or_else(unknown)?;
            Ok((name(found)?, index))
        }
        _ => Err(ApiError::invalid("no leaf is named", hint)),
    }
}

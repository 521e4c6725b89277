//! The witness at work: one route, one memory, asked one at a time.
//!
//! # Invariants
//! * Requests are bounded in bytes, in number by address, and in time; the memory is written off
//!   the async threads.
//! * The list of logs and the certificate are taken over while it runs; a list with a fault, or a
//!   certificate that does not fit its key, leaves what was in force.

use super::super::runtime;
use super::super::serve::{certified, front_door};
use super::folder::{Folder, told};
use super::options::Options;
use crate::clock::{SharedClock, SystemClock};
use crate::domain::ids::Digest;
use crate::http::door::{Door, Peer};
use crate::http::{Asked, ShownCertificate, Turnstile};
use crate::lifecycle::Lifecycle;
use crate::log::disk::RealDisk;
use crate::log::witness::{Answer, Memory, Witness};
use crate::wire::tlog::REQUEST_BYTES;
use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower_http::timeout::TimeoutLayer;

/// How often list and certificate are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// Longest time until an answer.
const ANSWER: Duration = Duration::from_secs(20);

/// Runs until told to stop.
pub fn run(options: Options) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let served = runtime.block_on(serve(&options));
    runtime.shutdown_timeout(Duration::from_millis(300));
    served
}

async fn serve(options: &Options) -> anyhow::Result<()> {
    let folder = Folder::existing(&options.data)?;
    let shown = match &options.tls {
        Some((cert, key)) => Some(Arc::new(ShownCertificate::new(certified(cert, key)?))),
        None => None,
    };
    let logs = folder.logs()?;
    let watched = logs.len();
    let cosigner = folder.cosigner()?;
    let key = cosigner.verifier().to_string();
    let witness = folder.open(cosigner, logs, Memory::GoOn).map_err(told)?;
    let desk = Desk {
        witness: Arc::new(Mutex::new(Some(witness))),
        turnstile: Turnstile::default(),
        clock: Arc::new(SystemClock::new()),
        key: key.clone().into(),
    };
    let mut lifecycle = Lifecycle::new();
    lifecycle.catch_signals().context("listening for signals")?;
    let [http, upkeep] = ["http", "upkeep"].map(|name| lifecycle.stage(name));
    let (door, bound) = front_door(options.http, shown.clone()).await?;
    let scheme = if shown.is_some() { "https" } else { "http" };
    eprintln!("Witness of {watched} logs: {scheme}://{bound}/ key {key}");
    http.spawn(answer(door, desk.clone(), http.token()));
    upkeep.spawn(follow(desk, folder, options.clone(), shown, upkeep.token()));
    lifecycle.wait().await;
    Ok(())
}

async fn answer(door: Door, desk: Desk, stop: CancellationToken) {
    let service = router(desk).into_make_service_with_connect_info::<Peer>();
    let served = axum::serve(door, service).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "The witness's listener ended");
    }
}

/// What stands behind the route. The witness is away only while its list changes.
#[derive(Clone)]
struct Desk {
    witness: Arc<Mutex<Option<Witness<RealDisk>>>>,
    turnstile: Turnstile,
    clock: SharedClock,
    key: Arc<str>,
}

impl Desk {
    fn is_away(&self) -> bool {
        self.witness.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

fn router(desk: Desk) -> Router {
    Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/key", get(key))
        .route("/healthz", get(|| async { "ok\n" }))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, ANSWER))
        .with_state(desk)
}

async fn key(State(desk): State<Desk>) -> String {
    format!("{}\n", desk.key)
}

async fn add_checkpoint(
    State(desk): State<Desk>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    body: Bytes,
) -> Response {
    if let Err(error) = desk.turnstile.admit(Asked::Witness, peer.ip(), desk.clock.mono_ms()) {
        return error.into_response();
    }
    let (witness, now) = (desk.witness.clone(), desk.clock.now().numeric_date());
    let now_s = u64::try_from(now).unwrap_or(0);
    let answered = tokio::task::spawn_blocking(move || {
        let mut place = witness.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(witness) = place.as_mut() else { return Answer::unavailable() };
        witness.add_checkpoint(&body, now_s).unwrap_or_else(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, cause, hint = error.hint(), "A checkpoint was not cosigned");
            Answer::unavailable()
        })
    });
    let Answer { status, content_type, body } =
        answered.await.unwrap_or_else(|_| Answer::unavailable());
    if status == 422 {
        tracing::error!(%peer, "A log contradicted itself: the request is kept in the memory");
    }
    if status == 503 || status == 507 {
        tracing::error!(%peer, why = body.trim_end(), "A checkpoint was not cosigned");
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], body).into_response()
}

/// Takes over what changes in the list of logs and in the certificate.
async fn follow(
    desk: Desk,
    folder: Folder,
    options: Options,
    shown: Option<Arc<ShownCertificate>>,
    stop: CancellationToken,
) {
    let mut list = digest(&folder.list());
    let mut tls = options.tls.as_ref().map(|(cert, key)| (digest(cert), digest(key)));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let now = digest(&folder.list());
        // Away it is when even the list before could not be taken up again: the disk may be back.
        if now != list || desk.is_away() {
            list = now;
            let (desk, folder) = (desk.clone(), folder.clone());
            let taken = tokio::task::spawn_blocking(move || take_over(&desk, &folder)).await;
            match taken {
                Ok(Ok(logs)) => tracing::warn!(logs, "Took over the list of logs"),
                Ok(Err(error)) => {
                    tracing::error!("The list of logs is not taken over: {error:#}");
                }
                Err(error) => tracing::error!(%error, "The list of logs is not taken over"),
            }
        }
        if let (Some((cert, key)), Some(shown)) = (&options.tls, &shown) {
            let now = Some((digest(cert), digest(key)));
            if now != tls {
                tls = now;
                match certified(cert, key) {
                    Ok(certificate) => shown.replace(certificate),
                    Err(error) => tracing::error!("The certificate is not taken over: {error:#}"),
                }
            }
        }
    }
}

/// Opens the memory again with the new list; the one before goes first, since it holds the folder.
fn take_over(desk: &Desk, folder: &Folder) -> anyhow::Result<usize> {
    let (logs, cosigner) = (folder.logs()?, folder.cosigner()?);
    let count = logs.len();
    let mut place = desk.witness.lock().unwrap_or_else(PoisonError::into_inner);
    let before = place.take().map(|witness| witness.logs().to_vec()).unwrap_or_default();
    match folder.open(cosigner.clone(), logs, Memory::GoOn) {
        Ok(witness) => {
            *place = Some(witness);
            Ok(count)
        }
        Err(error) => {
            // The former list was in order; if even that fails now, asking again may help later.
            *place = folder.open(cosigner, before, Memory::GoOn).ok();
            Err(told(error))
        }
    }
}

fn digest(path: &std::path::Path) -> Option<Digest> {
    std::fs::read(path).ok().map(|bytes| Digest::of(&bytes))
}

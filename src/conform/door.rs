//! `POST /enrol` of the scheduler that is played here: answers rightly, or as a liar would.

use super::author::{Author, random};
use crate::clock::SharedClock;
use crate::domain::ids::Digest;
use crate::wire::doc::{self, Floor};
use crate::wire::enrol::{Answer, Code, Request, Secret, Welcome};
use crate::wire::epoch::{self, KeysBody};
use crate::wire::jws::{PublicKey, SecretKey};
use crate::wire::server_keys::ServerKeys;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How the next good request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answering {
    Rightly,
    /// By a server with another root key than the code names.
    ByAnotherRoot,
    /// With the answer to another device's request.
    ToAnother,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The key, or why the request is no good.
    pub key: Result<PublicKey, String>,
    pub fw: String,
}

struct Office {
    secret: Secret,
    answering: Answering,
    asked: Vec<Asked>,
}

/// What every answer holds.
struct Papers {
    keys: KeysBody,
    policy: SecretKey,
    floor: Floor,
    welcome: Welcome,
}

/// The enrolment office; dropping it closes it.
pub struct Door {
    url: String,
    root: crate::wire::jws::Kid,
    office: Arc<Mutex<Office>>,
    changed: Arc<watch::Sender<u64>>,
    clock: SharedClock,
    stop: CancellationToken,
    pub password: String,
}

impl Door {
    /// Opens the office. `broker` is where the device will connect.
    pub async fn open(
        listen: SocketAddr,
        broker: SocketAddr,
        author: &Author,
        clock: SharedClock,
    ) -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(listen).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let password = crate::wire::b64::encode(&random::<16>()?);
        let now = clock.now();
        let mut floor = Floor::first(author.device.clone(), now.0, now.numeric_date(), 420);
        // No quiet hours: the run may be at night, and what is allowed is said by the sheets.
        floor.to = floor.from;
        let papers = Papers {
            keys: KeysBody::new(author.epochs.clone()),
            policy: author.keys.policy.clone(),
            floor,
            welcome: Welcome {
                v: 1,
                iss: "loa conform".to_owned(),
                iat: now.numeric_date(),
                request: Digest::of(b""),
                id: author.device.clone(),
                broker: format!("mqtt://{broker}"),
                ca: None,
                prefix: author.topics.to_string(),
                user: author.device.to_string(),
                password: password.clone(),
                units: author.units.clone(),
                http: None,
            },
        };
        let secret = Secret::new(random()?);
        let office = Office { secret, answering: Answering::Rightly, asked: Vec::new() };
        let office = Arc::new(Mutex::new(office));
        let changed = Arc::new(watch::channel(0).0);
        let desk = Desk {
            papers: Arc::new(papers),
            office: Arc::clone(&office),
            changed: Arc::clone(&changed),
        };
        let router = Router::new().route("/enrol", post(enrol)).with_state(desk);
        let stop = CancellationToken::new();
        let ending = stop.clone();
        tokio::spawn(async move {
            let served = axum::serve(listener, router);
            let _ = served.with_graceful_shutdown(async move { ending.cancelled().await }).await;
        });
        Ok(Self { url, root: author.root.kid(), office, changed, clock, stop, password })
    }

    fn lock(&self) -> MutexGuard<'_, Office> {
        self.office.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a new code; the one before is worth nothing any more.
    pub fn code(&self, answering: Answering) -> std::io::Result<Code> {
        let secret = Secret::new(random()?);
        let mut office = self.lock();
        office.secret = secret.clone();
        office.answering = answering;
        office.asked.clear();
        let exp = self.clock.now().numeric_date() + 3_600;
        Ok(Code { url: self.url.clone(), secret, root: self.root, ca: None, exp })
    }

    /// Waits for a request with the code given last.
    pub async fn asked(&self, ms: u64) -> Option<Asked> {
        let mut changed = self.changed.subscribe();
        let found = async {
            loop {
                if let Some(asked) = self.lock().asked.last() {
                    return asked.clone();
                }
                if changed.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(Duration::from_millis(ms), found).await.ok()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[derive(Clone)]
struct Desk {
    papers: Arc<Papers>,
    office: Arc<Mutex<Office>>,
    changed: Arc<watch::Sender<u64>>,
}

async fn enrol(State(desk): State<Desk>, body: String) -> Response {
    let answer = {
        let mut office = desk.office.lock().unwrap_or_else(PoisonError::into_inner);
        let (asked, answer) = judge(&desk.papers, &office, body.trim());
        office.asked.push(asked);
        answer
    };
    desk.changed.send_modify(|n| *n += 1);
    answer
}

fn refused(code: &str, detail: String) -> (Asked, Response) {
    let status = StatusCode::FORBIDDEN;
    let body = json!({
        "status": status.as_u16(), "code": code, "detail": detail,
        "hint": "see §3 of the contract",
    });
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    let answer = (status, kind, body.to_string()).into_response();
    (Asked { key: Err(detail), fw: String::new() }, answer)
}

fn judge(papers: &Papers, office: &Office, text: &str) -> (Asked, Response) {
    let request = match Request::open(text) {
        Ok(request) => request,
        Err(refusal) => return refused(refusal.reason(), refusal.to_string()),
    };
    let Request { code, key, fw, .. } = &request.claims;
    if *code != office.secret.code_id() {
        return refused("code-unknown", format!("`code` is `{code}`, not that of the code given"));
    }
    if !request.claims.proves(&office.secret) {
        return refused("code-mismatch", "`mac` does not prove the secret of the code".to_owned());
    }
    let asked = Asked { key: Ok(key.clone()), fw: fw.clone() };
    match answer(papers, office.answering, &request.digest) {
        Ok(bytes) => (asked, ([(header::CONTENT_TYPE, "application/json")], bytes).into_response()),
        Err(why) => {
            let (_, answer) = refused("internal", why);
            (asked, answer)
        }
    }
}

fn answer(papers: &Papers, how: Answering, request: &Digest) -> Result<Vec<u8>, String> {
    let mut welcome = papers.welcome.clone();
    welcome.request = *request;
    let mut keys = papers.keys.clone();
    let mut policy = papers.policy.clone();
    match how {
        Answering::Rightly => {}
        Answering::ToAnother => welcome.request = Digest::of(b"another request"),
        Answering::ByAnotherRoot => {
            let mut seeds = [[0; 32]; 5];
            for seed in &mut seeds {
                *seed = random().map_err(|e| e.to_string())?;
            }
            let others = ServerKeys::from_seeds(&seeds);
            let root = SecretKey::from_seed(&random().map_err(|e| e.to_string())?);
            keys = KeysBody::new(vec![epoch::first(&root, &others, welcome.iat)]);
            policy = others.policy.clone();
        }
    }
    let floor = doc::sign(&policy, &papers.floor).map_err(|e| e.to_string())?;
    let answer = Answer::new(&policy, keys, floor, &welcome).map_err(|e| e.to_string())?;
    Ok(answer.encode())
}

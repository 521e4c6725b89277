//! Asks the demo's server over its API, as any program would.

use super::broke;
use super::crew::Crew;
use anyhow::Context as _;
use serde_json::Value;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long the server may take to come up.
const READY: Duration = Duration::from_secs(30);
/// How often it is asked.
const ASK: Duration = Duration::from_millis(500);

/// The API of the server.
#[derive(Clone)]
pub struct Server {
    url: String,
    token: String,
    agent: ureq::Agent,
}

/// What has been proved.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub plays: u64,
    pub shows: u64,
    pub records: u64,
}

impl Server {
    /// Returns the server at an address.
    pub fn new(url: String, token: String) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(10)))
            .http_status_as_error(false)
            .build();
        Self { url, token, agent: config.into() }
    }

    /// Waits until the server is ready.
    pub async fn wait_until_ready(
        &self,
        crew: &mut Crew,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let waiting = async {
            loop {
                crew.check()?;
                if self.call(|server| server.get("/readyz")).await.is_ok_and(|(ok, _)| ok) {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(ASK).await;
            }
        };
        let waited = tokio::select! {
            () = stop.cancelled() => anyhow::bail!("stopped before the server was ready"),
            waited = tokio::time::timeout(READY, waiting) => waited,
        };
        match waited {
            Ok(result) => result,
            Err(_elapsed) => Err(broke("the server did not become ready", crew.server_log())),
        }
    }

    /// Gets an enrolment code.
    pub async fn code(&self, device: &str) -> anyhow::Result<String> {
        let path = format!("/api/v1/devices/{device}/enrolment-codes");
        let (ok, answer) = self.call(move |server| server.post(&path)).await?;
        anyhow::ensure!(ok, "no code for `{device}`: {answer}");
        Ok(answer["code"].as_str().context("an answer without a code")?.to_owned())
    }

    /// Tells every record as it comes in, until stopped or the time is up.
    pub async fn tell(
        &self,
        crew: &mut Crew,
        stop: &CancellationToken,
        end: Option<Duration>,
    ) -> anyhow::Result<Seen> {
        let mut seen = Seen::default();
        let mut after = 0;
        let telling = async {
            loop {
                tokio::time::sleep(ASK).await;
                if stop.is_cancelled() {
                    return anyhow::Ok(());
                }
                crew.check()?;
                let path = format!("/api/v1/records?after={after}&limit=200");
                let (ok, answer) = self.call(move |server| server.get(&path)).await?;
                anyhow::ensure!(ok, "no records: {answer}");
                for record in answer["records"].as_array().into_iter().flatten() {
                    after = record["position"].as_i64().unwrap_or(after).max(after);
                    seen.records += 1;
                    tell_one(record, &mut seen);
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = async {
                match end {
                    Some(end) => tokio::time::sleep(end).await,
                    None => std::future::pending().await,
                }
            } => {}
            told = telling => told?,
        }
        Ok(seen)
    }

    /// Runs a blocking request off the async threads.
    async fn call(
        &self,
        request: impl FnOnce(&Self) -> anyhow::Result<(bool, Value)> + Send + 'static,
    ) -> anyhow::Result<(bool, Value)> {
        let server = self.clone();
        tokio::task::spawn_blocking(move || request(&server)).await?
    }

    fn get(&self, path: &str) -> anyhow::Result<(bool, Value)> {
        let request = self.agent.get(format!("{}{path}", self.url));
        let mut answer = request.header("authorization", self.bearer()).call()?;
        Ok((answer.status().is_success(), answer.body_mut().read_json()?))
    }

    fn post(&self, path: &str) -> anyhow::Result<(bool, Value)> {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request.header("authorization", self.bearer());
        let mut answer = request.send_json(serde_json::json!({}))?;
        Ok((answer.status().is_success(), answer.body_mut().read_json()?))
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }
}

/// Writes a record on one line.
fn tell_one(record: &Value, seen: &mut Seen) {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let claims = &record["claims"];
    let (kind, device) = (text(&record["kind"]), text(&record["device"]));
    let at = text(&record["at"]);
    let time = at.get(11..19).unwrap_or("");
    let outcome = text(&claims["outcome"]);
    let what = match kind.as_str() {
        "play" => {
            seen.plays += u64::from(claims["played_ms"].as_i64().is_some_and(|ms| ms > 0));
            let ms = claims["played_ms"].as_i64().unwrap_or(0);
            let grade = claims["grade"].as_i64().unwrap_or(0);
            format!("phát “{}”: {outcome}, {ms} ms, grade {grade}", text(&claims["title"]))
        }
        "show" => {
            seen.shows += u64::from(claims["shown_ms"].as_i64().is_some_and(|ms| ms > 0));
            let ms = claims["shown_ms"].as_i64().unwrap_or(0);
            format!("hiển thị “{}”: {outcome}, {ms} ms", text(&claims["title"]))
        }
        "start" => "bắt đầu".to_owned(),
        other => other.to_owned(),
    };
    let sha256 = text(&record["sha256"]);
    eprintln!("  {time}  {device:<14} {what}  [{}…]", sha256.get(..12).unwrap_or(""));
}

//! Asks an address for a value: bounded in time and bytes, no redirects.

use super::super::process::random;
use super::{Reading, Ties, secret};
use crate::app::feeds::{HeardError, Picked, pick};
use crate::cmds::server::agent;
use crate::domain::feed::HttpSource;
use crate::domain::ids::FeedId;
use std::time::Duration;

/// First wait after a failure; doubled up to the usual one.
const AGAIN_MS: i64 = 10_000;

/// Asks as often as the source says, for ever.
pub(super) async fn read(id: &FeedId, source: &HttpSource, ties: &Ties) {
    let clock = ties.reading.clock.clone();
    let usual_ms = source.every_s.saturating_mul(1_000).max(AGAIN_MS);
    // Servers of a province start together after a power cut; sources are not to be stormed.
    let mut wait_ms = jitter(usual_ms.min(3_000));
    let mut failed = 0_u32;
    loop {
        clock.sleep(wait_ms).await;
        let Ok(turn) = ties.turns.acquire().await else { return };
        let (asked, reading) = (source.clone(), ties.reading.clone());
        let work = tokio::task::spawn_blocking(move || fetch(&asked, &reading));
        let said = work.await.unwrap_or_else(|_| {
            let (what, hint) = ("the work broke off".to_owned(), "it is tried again");
            Err(HeardError::Source { what, hint })
        });
        drop(turn);
        failed = if said.is_ok() { 0 } else { failed.saturating_add(1) };
        wait_ms = match failed {
            0 => usual_ms,
            n => AGAIN_MS.saturating_mul(1 << (n - 1).min(10)).min(usual_ms),
        };
        wait_ms += jitter(wait_ms / 10);
        if ties.heard.send((id.clone(), said)).await.is_err() {
            return;
        }
    }
}

fn jitter(most_ms: i64) -> i64 {
    let random = random().map_or(0, u64::from_be_bytes);
    i64::try_from(random % (most_ms.unsigned_abs() + 1)).unwrap_or(0)
}

/// Asks once. Blocks.
pub fn fetch(source: &HttpSource, reading: &Reading) -> Result<Picked, HeardError> {
    let wrong = |what: String, hint| HeardError::Source { what, hint };
    let patience = Duration::from_millis(source.timeout_ms.unsigned_abs());
    let ca = source.ca_file.as_ref().map(|file| reading.folder.join(file));
    let agent = agent(patience, source.url.starts_with("https://"), ca.as_deref())
        .map_err(|error| wrong(format!("{error:#}"), "see `ca_file` of the feed"))?;
    let mut request = agent.get(&source.url);
    for (name, value) in &source.headers {
        request = request.header(name, value);
    }
    if let Some(header) = &source.from_file {
        request = request.header(&header.name, secret(&reading.folder, &header.file)?);
    }
    let mut answer = request.call().map_err(|error| {
        let hint = "see that this machine reaches the address of `url`; it is tried again";
        wrong(format!("the source does not answer: {error}"), hint)
    })?;
    let status = answer.status();
    if !status.is_success() {
        let what = format!("the source answers with status {}", status.as_u16());
        let hint = match status.as_u16() {
            300..=399 => "redirects are not followed: let `url` name the address itself",
            401 | 403 => "see `secret_header` and `secret_file` of the feed",
            404 | 410 => "see `url` of the feed",
            429 => "ask less often: raise `every`",
            _ => "it is tried again",
        };
        return Err(wrong(what, hint));
    }
    let body = answer.body_mut().with_config().limit(source.most_bytes).read_to_vec();
    let body = body.map_err(|error| match error {
        ureq::Error::BodyExceedsLimit(_) => wrong(
            format!("an answer above {} bytes", source.most_bytes),
            "name a smaller answer by `url`, or raise `most_kib`",
        ),
        error => wrong(format!("the answer broke off: {error}"), "it is tried again"),
    })?;
    Ok(pick(&body, &source.pick)?)
}

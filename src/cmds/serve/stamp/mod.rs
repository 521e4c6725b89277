//! Who stamps the log's heads: once a day an authority says that a head existed by then (RFC 3161).
//!
//! Whoever leads asks for a stamp over the newest head that enough witnesses vouched for, after the
//! first head of a local day, and over the last head of each shard that is over. The log goes on
//! whether the authority answers or not; it is asked again, less and less often.
//!
//! # Invariants
//! * A stamp is kept only after it was judged by the certificates of the station, and with exactly
//!   the bytes that it stamps.
//! * The authority is asked for one head at a time, and for one head a day of the current shard.

mod ask;
mod due;
#[cfg(test)]
mod tests;

pub use ask::Authority;

use super::cosign::NEWEST;
use super::process::random;
use crate::app::live::{Alarm, Live, StampedHead, TokenLight};
use crate::clock::SharedClock;
use crate::domain::time::UtcMs;
use crate::log::disk::RealDisk;
use crate::log::folder::Folder;
use crate::log::tokens;
use crate::stamp::Token;
use crate::wire::tlog::SignedCheckpoint;
use ask::AskError;
use chrono_tz::Tz;
use due::{Job, Moment, due, shards};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often is looked whether something is to be stamped.
const LOOK: Duration = Duration::from_secs(5);
/// First and longest rest after a failure.
const REST_MS: i64 = 60_000;
const LONGEST_MS: i64 = 3_600_000;
/// A station whose newest stamp is older than this, and which gets none, needs a person.
const OLD_MS: i64 = 30 * 3_600_000;
/// A stamp that is further from our clock than this is told.
const APART_MS: i64 = 600_000;

/// What the task is tied to.
pub struct Ties {
    pub live: Arc<Live>,
    pub clock: SharedClock,
    pub zone: Tz,
    /// Every head as it was signed; the task ends with its sender.
    pub heads: watch::Receiver<Option<SignedCheckpoint>>,
    /// The folder of the log: a folder a shard.
    pub folder: PathBuf,
}

/// How the work goes so far.
#[derive(Default)]
struct Course {
    /// When a head was stamped last, by our clock.
    stamped: Option<UtcMs>,
    /// Until when the authority is left alone, and for how long the next time.
    rest: Option<(i64, i64)>,
    told: String,
}

/// Has heads stamped until told to stop.
pub async fn run(authority: Authority, mut ties: Ties, stop: CancellationToken) {
    let known = newest(&authority, &ties.folder);
    ties.live.change(|picture| picture.tokens = Some(TokenLight { last: known, why: None }));
    // Only whoever leads signs heads.
    while ties.heads.borrow_and_update().is_none() {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = ties.heads.changed() => if changed.is_err() { return },
        }
    }
    let mut head_seen = ties.clock.now();
    let mut course = Course::default();
    loop {
        match ties.heads.has_changed() {
            Ok(true) => {
                head_seen = ties.clock.now();
                ties.heads.mark_unchanged();
            }
            Ok(false) => {}
            Err(_) => return,
        }
        let (now, stamped) = (ties.clock.now(), course.stamped);
        let rests = course.rest.is_some_and(|(until, _)| ties.clock.mono_ms() < until);
        if !rests {
            let moment = Moment { now, zone: ties.zone, head_seen, stamped };
            let (folder, authority) = (ties.folder.clone(), authority.clone());
            let work = tokio::task::spawn_blocking(move || once(&authority, &folder, &moment));
            let done = work.await.unwrap_or(Err(Trouble::Ask(AskError::BrokeOff)));
            ties.settle(&mut course, done);
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Why nothing was stamped although something was to be.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("it cannot be said what is to be stamped")]
    Due(#[source] due::DueError),
    #[error(transparent)]
    Ask(AskError),
    #[error("the time stamp cannot be kept")]
    Keep(#[source] crate::log::disk::DiskError),
}

impl Trouble {
    fn hint(&self) -> &'static str {
        match self {
            Self::Due(error) => error.hint(),
            Self::Ask(error) => error.hint(),
            Self::Keep(error) => error.hint(),
        }
    }
}

/// Has one head stamped, if one is due, and keeps the stamp; says whether it was the day's one.
fn once(
    authority: &Authority,
    folder: &Path,
    moment: &Moment,
) -> Result<Option<(StampedHead, bool)>, Trouble> {
    let job = due(folder, &folder.join(NEWEST), moment).map_err(Trouble::Due)?;
    let Some(Job { shard, size, note, of_day }) = job else { return Ok(None) };
    let nonce = random().map_err(|_| Trouble::Ask(AskError::Random))?;
    let (token, stamp) = authority.stamp(&note, nonce).map_err(Trouble::Ask)?;
    let place = Folder::new(RealDisk, folder.join(shard.to_string()));
    tokens::keep(&place, size, &note, token.bytes()).map_err(Trouble::Keep)?;
    let shard = shard.to_string();
    let head = StampedHead { shard, size, at_ms: stamp.at, authority: stamp.authority };
    Ok(Some((head, of_day)))
}

/// Returns the newest stamp that is kept and that the station's certificates still vouch for.
fn newest(authority: &Authority, folder: &Path) -> Option<StampedHead> {
    let trust = authority.trust().ok()?;
    for shard in shards(folder).ok()?.into_iter().rev() {
        let place = Folder::new(RealDisk, folder.join(shard.to_string()));
        let Some(size) = tokens::sizes(&place).ok()?.last().copied() else { continue };
        let kept = tokens::read(&place, size).ok()??;
        let stamp = Token::parse(&kept.stamp).ok()?.verify(&kept.note, &trust).ok()?;
        let shard = shard.to_string();
        return Some(StampedHead { shard, size, at_ms: stamp.at, authority: stamp.authority });
    }
    None
}

impl Ties {
    fn settle(&self, course: &mut Course, done: Result<Option<(StampedHead, bool)>, Trouble>) {
        let now = self.clock.now();
        match done {
            Ok(None) => {}
            Ok(Some((stamped, of_day))) => {
                let StampedHead { shard, size, at_ms, authority } = &stamped;
                tracing::info!(
                    log.shard = shard,
                    log.size = size,
                    authority,
                    "The log's head was stamped at {at_ms:?}"
                );
                let apart = at_ms.since(now);
                if apart.abs() > APART_MS {
                    tracing::warn!(
                        apart_ms = apart,
                        "The authority's clock and ours differ: see that this machine keeps time"
                    );
                }
                metrics::gauge!("loa_log_token_seconds").set(at_ms.numeric_date() as f64);
                metrics::gauge!("loa_log_token_leaves").set(*size as f64);
                let stamped_day = if of_day { Some(now) } else { course.stamped };
                *course = Course { stamped: stamped_day, ..Course::default() };
                let last = Some(stamped);
                self.live.change(|picture| picture.tokens = Some(TokenLight { last, why: None }));
                self.live.clear_alarm("log-unstamped");
            }
            Err(trouble) => self.complain(course, &trouble, now),
        }
    }

    fn complain(&self, course: &mut Course, trouble: &Trouble, now: UtcMs) {
        let (why, hint) = (super::chain(trouble), trouble.hint());
        let (_, rest) = course.rest.unwrap_or((0, REST_MS));
        let until = self.clock.mono_ms().saturating_add(rest);
        course.rest = Some((until, rest.saturating_mul(2).min(LONGEST_MS)));
        metrics::counter!("loa_log_token_failures_total").increment(1);
        if course.told != why {
            tracing::warn!(error = why, hint, "The log's head is not stamped; the log goes on");
            course.told.clone_from(&why);
        }
        let tokens = self.live.picture().tokens.clone();
        let last = tokens.and_then(|tokens| tokens.last);
        let old = last.as_ref().is_none_or(|last| now.since(last.at_ms) > OLD_MS);
        let told = Some(why.clone());
        self.live.change(|picture| picture.tokens = Some(TokenLight { last, why: told }));
        if old {
            self.live.set_alarm(Alarm {
                code: "log-unstamped",
                vi: format!(
                    "Nhật ký chứng cứ chưa được đóng dấu thời gian; nhật ký vẫn ghi: {why}"
                ),
                en: format!("The log's heads get no time stamps; the log goes on: {why}; {hint}"),
            });
        }
    }
}

//! The log of a running server: whoever leads takes what waits into it, and says how it stands.

use super::duty::Lead;
use crate::app::live::{Alarm, Live, LogLight};
use crate::app::scribe::{Scribe, ScribeError, Step};
use crate::clock::SharedClock;
use crate::wire::tlog::SignedCheckpoint;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// How long to rest after an error.
const AGAIN: Duration = Duration::from_secs(3);
/// So many leaves may wait before a person is told.
const BACKLOG: u64 = 100_000;

/// What the task is tied to.
pub struct Ties {
    pub live: Arc<Live>,
    pub clock: SharedClock,
    /// Every head as it was signed.
    pub heads: watch::Sender<Option<SignedCheckpoint>>,
    /// Heads that witnesses have vouched for.
    pub cosigned: mpsc::Receiver<SignedCheckpoint>,
}

/// Logs until told to stop. What waits then is logged at the next start.
pub async fn run(
    mut scribe: Scribe,
    mut leads: watch::Receiver<Option<Lead>>,
    mut ties: Ties,
    stop: CancellationToken,
) {
    let fence = loop {
        if let Some(lead) = &*leads.borrow_and_update() {
            break lead.log;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            waited = leads.changed() => if waited.is_err() { return },
        }
    };
    let mut told = String::new();
    loop {
        let rest = match scribe.step(Some(fence)).await {
            Ok(step) => {
                if !told.is_empty() {
                    tracing::info!("The log goes on");
                    told.clear();
                    ties.live.clear_alarm("log");
                }
                ties.show(&scribe);
                match step {
                    Step::Wait { ms } => Duration::from_millis(u64::try_from(ms).unwrap_or(1)),
                    Step::Logged { .. } => Duration::ZERO,
                }
            }
            Err(error) => {
                ties.complain(&error, &mut told);
                AGAIN
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
            Some(cosigned) = ties.cosigned.recv() => {
                if let Err(error) = scribe.publish(cosigned).await {
                    ties.complain(&error, &mut told);
                }
            }
        }
    }
}

impl Ties {
    fn show(&self, scribe: &Scribe) {
        let Some(head) = scribe.checkpoint() else { return };
        let tree = head.checkpoint();
        let before = self.live.picture().log.clone();
        let new = before.as_ref().is_none_or(|before| before.note != head.note().to_string());
        let waiting = scribe.waiting();
        if !new && before.is_some_and(|before| before.waiting == waiting) {
            return;
        }
        let at_ms = self.clock.now();
        self.live.change(|picture| {
            let at_ms = picture.log.as_ref().filter(|_| !new).map_or(at_ms, |log| log.at_ms);
            let witnessed = picture.log.as_ref().and_then(|log| log.witnessed);
            picture.log = Some(LogLight {
                origin: tree.origin.to_string(),
                size: tree.size,
                root: tree.root.to_string(),
                note: head.note().to_string(),
                at_ms,
                waiting,
                witnessed,
            });
        });
        metrics::gauge!("loa_log_leaves").set(tree.size as f64);
        metrics::gauge!("loa_log_waiting").set(waiting as f64);
        if new {
            self.heads.send_replace(Some(head.clone()));
        }
        if waiting > BACKLOG {
            self.live.set_alarm(Alarm {
                code: "log-backlog",
                vi: format!("Nhật ký chứng cứ ghi không kịp: còn {waiting} mục chờ"),
                en: format!("The log does not keep up: {waiting} leaves wait"),
            });
        } else {
            self.live.clear_alarm("log-backlog");
        }
    }

    fn complain(&self, error: &ScribeError, told: &mut String) {
        let why = super::chain(error);
        if *told == why {
            return;
        }
        tracing::error!(error = why, hint = error.hint(), "The log does not go on");
        self.live.set_alarm(Alarm {
            code: "log",
            vi: format!("Nhật ký chứng cứ đang dừng: {why}"),
            en: format!("The log does not go on: {why}; {}", error.hint()),
        });
        *told = why;
    }
}

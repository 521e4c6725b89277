//! Who vouches for the log: cosignatures gathered, and what they allow told to all who need it.
//!
//! Whoever leads asks the witnesses about each new head ([`run`]); the log goes on whether they
//! answer or not. A head that enough of them vouched for is published, kept for auditors, and laid
//! into a file of the log's folder, where every process of the station finds it ([`follow`]).
//!
//! # Invariants
//! * Only signatures that were checked reach the published checkpoint, and a smaller head never
//!   takes the place of a larger one.
//! * A witness that is silent holds up a round by [`ASK`] at most, and then less and less often.

mod gather;
mod keep;
mod rule;

pub use rule::{Rule, rule};

use super::duty::Lead;
use crate::app::enclose::{Encloser, Head};
use crate::app::ingest::Vouch;
use crate::app::keyring::Keyring;
use crate::app::live::{Alarm, Live, WitnessLight};
use crate::clock::SharedClock;
use crate::domain::ids::Digest;
use crate::domain::time::UtcMs;
use crate::log::collect::Trouble;
use crate::wire::epoch::{LogRule, LogTrust};
use crate::wire::limits;
use crate::wire::tlog::{NOTE_BYTES, Policy, SignedCheckpoint};
use gather::{Gathered, Witnesses};
use keep::{Keeper, unfinished};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// How long a witness may take.
pub const ASK: Duration = Duration::from_secs(5);
/// Heads are vouched for no more often than this; those between are covered by the next.
const APART: Duration = Duration::from_secs(2);
/// A head that lacks witnesses is tried again after this.
const AGAIN: Duration = Duration::from_secs(15);
/// How often other processes look for a head.
const LOOK: Duration = Duration::from_secs(1);
/// The newest head that enough witnesses vouched for, beside the shards.
pub const NEWEST: &str = "witnessed";
/// The notice that devices do not know the station's witnesses.
const NOT_NAMED: &str = "log-not-named";

/// What the task is tied to.
pub struct Ties {
    pub live: Arc<Live>,
    pub clock: SharedClock,
    /// Every head as it was signed; the task ends with its sender.
    pub heads: watch::Receiver<Option<SignedCheckpoint>>,
    /// Takes heads that witnesses vouched for.
    pub cosigned: mpsc::Sender<SignedCheckpoint>,
    /// The folder of the log: a folder a shard.
    pub folder: PathBuf,
    /// Takes heads that enclose records in time; asking waits while it is full.
    pub kept: mpsc::Sender<Head>,
}

/// Says on the page when devices judge by other witnesses than those of the station file, and no
/// more once the keys name them.
fn compare(rule: &Rule, keys: &Keyring, live: &Live) {
    let in_use = keys.in_use();
    let named = in_use.chain.current().and_then(|epoch| epoch.log.clone());
    let wanted = LogRule::new(&rule.policy);
    let same = named.as_ref() == Some(&wanted);
    let nobody = named.is_none() && rule.policy.witnesses().is_empty();
    let differ = !(same || nobody);
    let told = live.picture().notices.iter().any(|notice| notice.code == NOT_NAMED);
    if differ == told {
        return;
    }
    live.change(|picture| {
        picture.notices.retain(|notice| notice.code != NOT_NAMED);
        if differ {
            picture.notices.push(Alarm {
                code: NOT_NAMED,
                vi: "Thiết bị chưa biết các nhân chứng trong `station.toml`: chạy `loa keys log` \
                     với khoá gốc"
                    .to_owned(),
                en: "Devices do not know the witnesses of `station.toml` yet: run `loa keys log` \
                     with the root key"
                    .to_owned(),
            });
        }
    });
}

/// What asks and keeps, handed to a thread that may block and back.
struct Asking {
    witnesses: Witnesses,
    keeper: Keeper,
    policy: Policy,
    /// The shard of the newest head.
    shard: String,
    /// The last head of the shard before, as long as too few have vouched for it.
    open: Option<SignedCheckpoint>,
}

impl Asking {
    /// Asks about a head, and first about what is still open of the shard before.
    fn ask(&mut self, folder: &Path, head: &SignedCheckpoint, now: (u64, i64)) -> Gathered {
        let shard = gather::shard_of(head);
        if shard != self.shard {
            self.open = unfinished(folder, &shard, &self.policy);
            self.shard = shard;
        }
        if let Some(open) = self.open.take() {
            let gathered = self.witnesses.gather(folder, &open, now.0, now.1);
            if gathered.enough {
                if let Err(error) = self.keeper.close(&gathered, now.0) {
                    tracing::error!("The last head of a shard is not kept: {error:#}");
                }
            } else if gathered.troubles.iter().any(|(_, trouble)| trouble.is_alarm()) {
                // After a loss witnesses know more of it than there is; nothing will mend that.
                tracing::warn!(shard = gathered.shard, "Its last head stays as it is");
            } else {
                self.open = Some(open);
            }
        }
        let gathered = self.witnesses.gather(folder, head, now.0, now.1);
        if gathered.enough
            && let Err(error) = self.keeper.lay(&gathered, now.0)
        {
            tracing::error!("A head that was vouched for is not kept: {error:#}");
        }
        gathered
    }
}

/// Asks the witnesses about every head until told to stop.
pub async fn run(rule: Rule, mut ties: Ties, stop: CancellationToken) {
    let mut asking = Asking {
        policy: rule.policy.clone(),
        witnesses: Witnesses::new(rule),
        keeper: Keeper::new(ties.folder.clone()),
        shard: String::new(),
        open: None,
    };
    let (mut lacks, mut doubted) = (false, false);
    loop {
        let due = asking.keeper.due_s(seconds(&ties.clock)).map(Duration::from_secs);
        let again = lacks || asking.open.is_some();
        let rest = match (doubted, again) {
            (true, _) => APART,
            (false, true) => AGAIN,
            (false, false) => Duration::from_hours(24),
        };
        tokio::select! {
            () = stop.cancelled() => return,
            changed = ties.heads.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(rest) => {}
            () = tokio::time::sleep(due.unwrap_or(rest)), if due.is_some() => {
                let now_s = seconds(&ties.clock);
                let kept = tokio::task::spawn_blocking(move || {
                    let kept = asking.keeper.keep(now_s);
                    (asking, kept)
                });
                let Ok((back, kept)) = kept.await else {
                    tracing::error!("Keeping heads broke off: no head is vouched for any more");
                    return;
                };
                asking = back;
                for head in asking.keeper.kept() {
                    let _ = ties.kept.send(head).await;
                }
                if let Err(error) = kept {
                    tracing::error!("A head that was vouched for is not kept: {error:#}");
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(AGAIN) => {}
                    }
                }
                continue;
            }
        }
        let Some(head) = ties.heads.borrow_and_update().clone() else { continue };
        let now = (seconds(&ties.clock), ties.clock.mono_ms());
        let folder = ties.folder.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let gathered = asking.ask(&folder, &head, now);
            (asking, gathered)
        });
        let Ok((back, gathered)) = asked.await else {
            tracing::error!("Asking the witnesses broke off: no head is vouched for any more");
            return;
        };
        asking = back;
        lacks = !gathered.enough;
        let newer = |(_, trouble): &(String, Trouble)| matches!(trouble, Trouble::Newer { .. });
        doubted = gathered.troubles.iter().any(newer);
        show(&ties.live, &gathered);
        if gathered.witnessed {
            note_witness(&ties.live, &gathered, ties.clock.now());
        }
        for head in asking.keeper.kept() {
            let _ = ties.kept.send(head).await;
        }
        if gathered.enough {
            let _ = ties.cosigned.send(gathered.head).await;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(APART) => {}
        }
    }
}

/// Encloses the times of records by the heads that are kept, until told to stop. What could not be
/// noted is tried again, in order: a record is judged by the first head that holds it.
pub async fn enclose(
    encloser: Encloser,
    leads: watch::Receiver<Option<Lead>>,
    mut kept: mpsc::Receiver<Head>,
    stop: CancellationToken,
) {
    loop {
        let head = tokio::select! {
            () = stop.cancelled() => return,
            head = kept.recv() => match head {
                Some(head) => head,
                None => return,
            },
        };
        loop {
            let fence = leads.borrow().as_ref().map(|lead| lead.log);
            let Err(error) = encloser.take(&head, fence).await else { break };
            tracing::warn!(
                error = super::chain(&error),
                hint = error.hint(),
                "How tightly records are enclosed in time is not noted"
            );
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }
}

fn seconds(clock: &SharedClock) -> u64 {
    u64::try_from(clock.now().numeric_date()).unwrap_or(0)
}

/// Notes what witnesses last vouched for.
fn note_witness(live: &Live, gathered: &Gathered, at_ms: UtcMs) {
    let size = gathered.head.checkpoint().size;
    live.change(|picture| {
        if let Some(log) = &mut picture.log {
            log.witnessed = Some(WitnessLight { size, at_ms, enough: gathered.enough });
        }
    });
    metrics::gauge!("loa_log_witnessed_leaves").set(size as f64);
    metrics::gauge!("loa_log_witnessed_seconds").set(at_ms.numeric_date() as f64);
}

/// Says on the page and in the log of the program how it stands with the witnesses.
fn show(live: &Live, gathered: &Gathered) {
    for (name, trouble) in &gathered.troubles {
        if trouble.is_alarm() {
            tracing::error!(witness = name, %trouble, hint = trouble.hint(), "A witness objects");
        } else {
            tracing::debug!(witness = name, %trouble, hint = trouble.hint(), "No cosignature");
        }
    }
    let of = |alarm: bool| {
        let named = gathered.troubles.iter().filter(|(_, t)| t.is_alarm() == alarm);
        named.map(|(name, t)| format!("{name}: {t}")).collect::<Vec<_>>().join("; ")
    };
    let contradiction = of(true);
    let silent = of(false);
    if contradiction.is_empty() {
        live.clear_alarm("log-contradiction");
    } else {
        live.set_alarm(Alarm {
            code: "log-contradiction",
            vi: format!(
                "Nhân chứng nói nhật ký bằng chứng mâu thuẫn với chính nó, cần người xem ngay: \
                 {contradiction}"
            ),
            en: format!(
                "A witness says that the log contradicts itself, look at once: {contradiction}"
            ),
        });
    }
    let lacked = live.picture().alarms.iter().any(|alarm| alarm.code == "log-unwitnessed");
    if gathered.enough {
        if lacked {
            tracing::info!("Enough witnesses vouch for the log again");
        }
        live.clear_alarm("log-unwitnessed");
    } else {
        if !lacked {
            tracing::warn!(witnesses = silent, "Too few witnesses vouch for the log; it goes on");
        }
        live.set_alarm(Alarm {
            code: "log-unwitnessed",
            vi: format!(
                "Nhật ký bằng chứng chưa đủ nhân chứng xác nhận; thiết bị giữ bản ghi lại: {silent}"
            ),
            en: format!(
                "Too few witnesses vouch for the log; devices keep their records: {silent}"
            ),
        });
    }
}

/// Looks for the newest head that counts for devices, in every process of the station.
pub async fn follow(
    folder: PathBuf,
    rule: Rule,
    keys: Keyring,
    live: Arc<Live>,
    vouched: watch::Sender<Option<Vouch>>,
    stop: CancellationToken,
) {
    let mut known = None;
    loop {
        compare(&rule, &keys, &live);
        let (path, epoch) = (folder.join(NEWEST), keys.in_use().chain.epoch());
        let read = tokio::task::spawn_blocking(move || read(&path)).await.ok().flatten();
        let seen = read.as_ref().map(|note| (Digest::of(note.as_bytes()), epoch));
        if seen != known {
            known = seen;
            let vouch = read.and_then(|note| vouch(&keys, note));
            vouched.send_if_modified(|place| {
                let news = *place != vouch;
                *place = vouch;
                news
            });
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(NOTE_BYTES as u64).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Judges a head as devices will.
fn vouch(keys: &Keyring, note: String) -> Option<Vouch> {
    let in_use = keys.in_use();
    let LogTrust::By(policy) = in_use.chain.log() else { return None };
    let verdict = policy.judge(note.as_bytes()).ok()?;
    if !verdict.quorum.is_enough() {
        tracing::info!(
            "Not enough of the witnesses that `keys` names vouch for the newest head kept"
        );
        return None;
    }
    if note.len() > limits::CHECKPOINT_BYTES {
        tracing::error!(bytes = note.len(), "A checkpoint is too long for a receipt");
        return None;
    }
    let shard = verdict.checkpoint.origin.as_str().rsplit('/').next()?.to_owned();
    Some(Vouch { shard, size: verdict.checkpoint.size, note: note.into() })
}

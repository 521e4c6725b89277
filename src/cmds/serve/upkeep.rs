//! Upkeep of a running server: register, condition of ingest, old sessions.

use super::super::data::DataFolder;
use super::duty::Lead;
use super::inbox::Inbox;
use crate::app::access;
use crate::app::ingest::Condition;
use crate::app::keyring::Keyring;
use crate::app::live::{Alarm, Live};
use crate::app::ports::{Standing, Store};
use crate::app::registry::Register;
use crate::app::retention;
use crate::app::tails::Tails;
use crate::clock::SharedClock;
use crate::domain::ids::DeviceId;
use crate::store::SqliteStore;
use crate::wire::epoch::Advance;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// How often the register is read for changes by other processes.
const REGISTER: Duration = Duration::from_secs(3);
/// How often the keys are looked at for a change.
const KEYS: Duration = Duration::from_secs(1);
/// How often the ends of chains are compared with what devices say of them.
const TAILS: Duration = Duration::from_secs(30);
/// How often expired tokens are dropped.
const SWEEP: Duration = Duration::from_hours(1);

/// How often the store's file is looked through.
const EXAMINE: Duration = Duration::from_hours(24);

/// Puts out a device whose password changed, where the broker is ours.
pub type Kick = Arc<dyn Fn(DeviceId) + Send + Sync>;

/// Notices changes of the register, by this process at once, by others within seconds.
pub async fn watch_register(
    store: Arc<dyn Store>,
    register: Arc<Register>,
    live: Arc<Live>,
    inbox: Arc<Inbox>,
    reload: mpsc::Sender<()>,
    kick: Kick,
    stop: CancellationToken,
) {
    let mut tick = tokio::time::interval(REGISTER);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut known = live.devices();
    let mut units = store.units().await.unwrap_or_default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = register.changed() => {}
            _ = tick.tick() => {}
        }
        let (devices, now_units) = match (store.devices().await, store.units().await) {
            (Ok(devices), Ok(units)) => (devices, units),
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(%error, "Failed to read the register");
                continue;
            }
        };
        if devices.iter().eq(known.values()) && now_units == units {
            continue;
        }
        let password = |standing: &Standing| match standing {
            Standing::Enrolled { password, .. } => Some(*password),
            Standing::Awaiting | Standing::Revoked { .. } => None,
        };
        live.set_register(devices, &now_units);
        let new = live.devices();
        let mut gone = BTreeSet::new();
        for (id, before) in known.iter() {
            let after = new.get(id).and_then(|known| password(&known.standing));
            if password(&before.standing).is_some_and(|before| after != Some(before)) {
                kick(id.clone());
            }
            // What a gateway had asked for another device goes on coming until it connects anew.
            if let Some(gateway) = &before.device.behind
                && matches!(before.standing, Standing::Enrolled { .. })
                && !live.behind(gateway).is_some_and(|acts| acts.devices.contains(id))
            {
                gone.insert(gateway.clone());
            }
        }
        gone.into_iter().for_each(&*kick);
        (known, units) = (new, now_units);
        inbox.put(|waiting| waiting.documents = true);
        let _ = reload.try_send(());
    }
}

/// Takes over keys that were changed on disk. As long as they cannot be read the server goes on
/// with its own, which devices may already refuse, and says so.
pub async fn watch_keys(
    data: DataFolder,
    keys: Keyring,
    live: Arc<Live>,
    inbox: Arc<Inbox>,
    stop: CancellationToken,
) {
    let mut tick = tokio::time::interval(KEYS);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let Ok(body) = tokio::fs::read(data.epochs()).await else { continue };
        let chain = keys.in_use();
        let chain = &chain.chain;
        if !matches!(chain.advance(&body, &chain.signer()), Ok(Advance::Newer(_))) {
            continue;
        }
        let folder = data.clone();
        let read = tokio::task::spawn_blocking(move || {
            let keys = folder.read_keys()?;
            let chain = folder.read_epochs(&keys)?;
            anyhow::Ok((keys, chain))
        });
        match read.await.map_err(anyhow::Error::from).flatten() {
            Ok((new, chain)) => {
                let epoch = chain.epoch();
                if keys.replace(new, chain) {
                    tracing::info!(epoch, "Signing with the keys of a new epoch");
                }
                live.clear_alarm("keys-changed");
                inbox.put(|waiting| waiting.documents = true);
            }
            Err(error) => {
                tracing::error!("The keys were changed and cannot be read: {error:#}");
                live.set_alarm(Alarm {
                    code: "keys-changed",
                    vi: format!("Khoá ký đã được thay nhưng máy chủ chưa đọc được: {error:#}"),
                    en: format!("The signing keys were changed and cannot be read: {error:#}"),
                });
            }
        }
    }
}

/// Shows on the page when records are not taken in.
pub async fn watch_ingest(
    mut condition: watch::Receiver<Condition>,
    live: Arc<Live>,
    stop: CancellationToken,
) {
    loop {
        let stopped = match &*condition.borrow_and_update() {
            Condition::Working(_) => None,
            Condition::Stopped { why, hint, .. } => Some((why.clone(), *hint)),
        };
        match stopped {
            None => live.clear_alarm("ingest-stopped"),
            Some((why, hint)) => live.set_alarm(Alarm {
                code: "ingest-stopped",
                vi: format!("Bản ghi chưa được lưu, thiết bị đang giữ lại: {why}"),
                en: format!("Records are not stored, devices keep them: {why}; {hint}"),
            }),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = condition.changed() => if changed.is_err() { return },
        }
    }
}

/// Compares now and then what devices say of their chains with what came.
pub async fn watch_tails(
    tails: Arc<Tails>,
    leads: watch::Receiver<Option<Lead>>,
    stop: CancellationToken,
) {
    let mut tick = tokio::time::interval(TAILS);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let lead = leads.borrow().as_ref().map(|lead| Some(lead.log));
        if let Err(error) = tails.look(lead).await {
            let why = super::chain(&error);
            tracing::warn!(error = why, hint = error.hint(), "Ends of chains are not compared");
        }
    }
}

/// Drops expired links and sessions now and then, and evidence older than so many months.
pub async fn sweep(
    store: Arc<dyn Store>,
    clock: SharedClock,
    months: u32,
    stop: CancellationToken,
) {
    let mut tick = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = access::sweep(&*store, clock.now()).await {
            tracing::warn!(%error, "Failed to drop expired sessions");
        }
        if let Err(error) = retention::sweep(&*store, clock.now(), months).await {
            tracing::warn!(%error, "Failed to delete evidence older than the configured period");
        }
    }
}

/// Looks through the store's file now and once a day; damage is an alarm, and the rest works on.
pub async fn examine(store: Arc<SqliteStore>, live: Arc<Live>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(EXAMINE);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let examined = tokio::select! {
            () = stop.cancelled() => return,
            examined = store.examine() => examined,
        };
        match examined {
            Ok(()) => live.clear_alarm("store-damaged"),
            Err(error) => {
                let why = super::chain(&error);
                tracing::error!(
                    error = why,
                    hint = error.hint(),
                    "The store does not pass its check"
                );
                live.set_alarm(Alarm {
                    code: "store-damaged",
                    vi: format!(
                        "Tệp dữ liệu không qua được kiểm tra, cần khôi phục từ bản sao lưu: {why}"
                    ),
                    en: format!("The store does not pass its check: {why}; {}", error.hint()),
                });
            }
        }
    }
}

//! Upkeep of a running server: leases, register, condition of ingest, old sessions.

use super::inbox::Inbox;
use crate::app::access;
use crate::app::ingest::Condition;
use crate::app::live::{Alarm, Live};
use crate::app::ports::{Lease, LeaseName, Standing, Store};
use crate::app::registry::Register;
use crate::app::retention;
use crate::clock::SharedClock;
use crate::domain::ids::DeviceId;
use crate::domain::time::UtcMs;
use crate::store::SqliteStore;
use crate::wire::epoch::{Advance, KeySet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// How long a lease lasts without being prolonged.
const LEASE_MS: i64 = 20_000;
/// How often it is prolonged.
const PROLONG: Duration = Duration::from_secs(5);
/// How often the register is read for changes by other processes.
const REGISTER: Duration = Duration::from_secs(3);
/// How often expired tokens are dropped.
const SWEEP: Duration = Duration::from_hours(1);

/// How often the store's file is looked through.
const EXAMINE: Duration = Duration::from_hours(24);

/// Takes the lease of the server's work, waiting while another holds it. The sole process on the
/// store need not wait: whoever held it is dead, and a restart after a crash is quick.
pub async fn take_lease(
    store: &dyn Store,
    holder: &str,
    sole: bool,
    clock: &SharedClock,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Lease>> {
    let mut waiting = false;
    loop {
        let now = clock.now();
        let name = LeaseName::Publisher;
        let over_by = if sole { UtcMs::MAX } else { now };
        if let Some(lease) = store.take_lease(name, holder, over_by, now.plus(LEASE_MS)).await? {
            return Ok(Some(lease));
        }
        if !waiting {
            tracing::warn!("Another server publishes from this store; standing by");
            waiting = true;
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(PROLONG) => {}
        }
    }
}

/// Prolongs the lease, which also shows that the store takes writes. Another holder ends this
/// server: two would publish against each other.
pub async fn keep_lease(
    store: Arc<dyn Store>,
    lease: Lease,
    clock: SharedClock,
    live: Arc<Live>,
    stop: CancellationToken,
    end: CancellationToken,
) {
    let mut tick = tokio::time::interval(PROLONG);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = tick.tick() => {}
        }
        let now = clock.now();
        let taken = store.take_lease(lease.name, &lease.holder, now, now.plus(LEASE_MS)).await;
        let writable = taken.is_ok();
        live.change(|picture| picture.writable = writable);
        match taken {
            Ok(Some(held)) if held.number == lease.number => live.clear_alarm("store"),
            Ok(_) => {
                tracing::error!("Another server has taken over this store: ending");
                end.cancel();
                break;
            }
            Err(error) => {
                let why = super::chain(&error);
                tracing::error!(error = why, hint = error.hint(), "The store takes no writes");
                live.set_alarm(Alarm {
                    code: "store",
                    vi: format!("Kho dữ liệu không ghi được: {why}"),
                    en: format!("The store takes no writes: {why}; {}", error.hint()),
                });
            }
        }
    }
    let _ = store.release_lease(&lease).await;
}

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
        for (id, before) in known.iter() {
            let after = new.get(id).and_then(|known| password(&known.standing));
            if password(&before.standing).is_some_and(|before| after != Some(before)) {
                kick(id.clone());
            }
        }
        (known, units) = (new, now_units);
        inbox.put(|waiting| waiting.documents = true);
        let _ = reload.try_send(());
    }
}

/// Says when the keys on disk are no longer those this server was started with: it goes on with
/// its own, which devices may already refuse.
pub async fn watch_keys(
    path: PathBuf,
    epochs: Arc<KeySet>,
    live: Arc<Live>,
    stop: CancellationToken,
) {
    let mut tick = tokio::time::interval(REGISTER);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let Ok(body) = tokio::fs::read(&path).await else { continue };
        if !matches!(epochs.advance(&body, &epochs.signer()), Ok(Advance::Newer(_))) {
            continue;
        }
        tracing::error!("The keys were changed: start the server again");
        live.set_alarm(Alarm {
            code: "keys-changed",
            vi: "Khoá ký đã được thay: hãy khởi động lại máy chủ để dùng khoá mới".to_owned(),
            en: "The signing keys were changed: start the server again to use the new ones"
                .to_owned(),
        });
        return;
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

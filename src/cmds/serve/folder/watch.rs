//! Watches the station folder.
//!
//! Changes are noticed by the system's notices and, since those can be lost (network shares,
//! renamed folders), by looking again every [`AGAIN`]. A load begins only after [`QUIET`] without a
//! change, so a file that is being written is not read half.

use super::{ASK, Folder, Look};
use crate::domain::station::Station;
use notify::{RecursiveMode, Watcher as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Time without a change before a load begins.
const QUIET: Duration = Duration::from_millis(400);
/// Longest wait for quiet: a clip that is copied for minutes must not hold up the rest.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often the folder is looked at without a notice.
const AGAIN: Duration = Duration::from_secs(20);

impl Folder {
    /// Watches until told to stop; what comes into force goes to `in_force`. `nudge` asks for a
    /// load because the register has changed.
    pub async fn watch(
        mut self,
        in_force: watch::Sender<Option<Arc<Station>>>,
        mut nudge: mpsc::Receiver<()>,
        stop: CancellationToken,
    ) {
        let (noticed, mut notices) = mpsc::channel(1);
        let _watcher = self.notices(noticed);
        let mut again = tokio::time::interval(AGAIN);
        let mut ask = tokio::time::interval(ASK);
        ask.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                Some(()) = notices.recv() => {
                    settle(&mut notices, &stop).await;
                    false
                }
                Some(()) = nudge.recv() => true,
                _ = again.tick() => false,
                _ = ask.tick() => {
                    if !self.approving.has_news().await {
                        continue;
                    }
                    match self.approving.newly_in_force().await {
                        Ok(Some(station)) => show(&in_force, Arc::new(station)),
                        Ok(None) => {}
                        Err(error) => tracing::warn!("Failed to read what is in force: {error:#}"),
                    }
                    true
                }
            };
            let look = look(&self.dir, &self.profiles);
            if !asked && self.seen.as_ref() == Some(&look) {
                continue;
            }
            match self.load().await {
                Ok(Some(station)) => show(&in_force, station),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "Failed to read the station");
                    self.seen = None;
                }
            }
        }
    }

    /// Asks the system for notices of changes; without them looking again must do.
    fn notices(&self, noticed: mpsc::Sender<()>) -> Option<notify::RecommendedWatcher> {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                // Full means that a notice already waits.
                let _ = noticed.try_send(());
            }
        });
        let watched = watcher.and_then(|mut watcher| {
            watcher.watch(&self.dir, RecursiveMode::Recursive)?;
            if self.profiles.is_dir() {
                watcher.watch(&self.profiles, RecursiveMode::Recursive)?;
            }
            Ok(watcher)
        });
        match watched {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                let every_s = AGAIN.as_secs();
                tracing::warn!(%error, every_s, "No notices of changed files; looking again");
                None
            }
        }
    }
}

/// Hands over what is in force, if it is other than before.
fn show(in_force: &watch::Sender<Option<Arc<Station>>>, station: Arc<Station>) {
    in_force.send_if_modified(|current| {
        let changed = current.as_ref() != Some(&station);
        *current = Some(station);
        changed
    });
}

/// Waits until nothing has changed for a while.
async fn settle(notices: &mut mpsc::Receiver<()>, stop: &CancellationToken) {
    let patience = tokio::time::sleep(PATIENCE);
    tokio::pin!(patience);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = &mut patience => return,
            () = tokio::time::sleep(QUIET) => return,
            Some(()) = notices.recv() => {}
        }
    }
}

/// Looks at names, lengths and change times; bounded like the load itself.
pub(super) fn look(dir: &Path, profiles: &Path) -> Look {
    let mut found = Look::new();
    let mut folders = vec![(dir.to_owned(), 0), (profiles.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() && depth < 8 {
                folders.push((entry.path(), depth + 1));
            } else if found.len() < 100_000 {
                found.insert(entry.path(), (meta.len(), meta.modified().ok()));
            }
        }
    }
    found
}

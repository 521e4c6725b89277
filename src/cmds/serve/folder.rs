//! Watches the station folder and keeps what is in force.
//!
//! Changes are noticed by the system's notices and, since those can be lost (network shares,
//! renamed folders), by looking again every [`AGAIN`]. A load begins only after [`QUIET`] without a
//! change, so a file that is being written is not read half; what cannot be read keeps its last
//! good version, also over a restart.

use super::approve::{Approving, InForce};
use super::clips::StoredClips;
use crate::app::assets::FileLibrary;
use crate::app::live::{Alarm, Live};
use crate::app::ports::{StationFile, Store};
use crate::clock::SharedClock;
use crate::config::{self, Approval, LastGood, Loaded, Overlay, StationConfig};
use crate::domain::ids::Digest;
use crate::domain::station::Station;
use notify::{RecursiveMode, Watcher as _};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Time without a change before a load begins.
const QUIET: Duration = Duration::from_millis(400);
/// Longest wait for quiet: a clip that is copied for minutes must not hold up the rest.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often the folder is looked at without a notice.
const AGAIN: Duration = Duration::from_secs(20);

/// How often the store is asked whether somebody has approved something.
const ASK: Duration = Duration::from_secs(1);

/// The station folder of a running server.
pub struct Folder {
    dir: PathBuf,
    profiles: PathBuf,
    store: Arc<dyn Store>,
    live: Arc<Live>,
    clock: SharedClock,
    clips: Option<StoredClips>,
    approving: Approving,
    good: LastGood,
    /// Running number of acceptance by file.
    accepted: BTreeMap<String, u64>,
    seen: Option<Look>,
    /// What the station file said when the server started.
    started_with: Option<StationConfig>,
}

/// What the folder looks like from outside.
type Look = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

impl Folder {
    /// Returns the folder with what the store remembers of it.
    pub async fn open(
        dir: &Path,
        profiles: &Path,
        library: Arc<FileLibrary>,
        store: Arc<dyn Store>,
        live: Arc<Live>,
        clock: SharedClock,
    ) -> anyhow::Result<Self> {
        let clips = StoredClips::new(library, store.clips().await?);
        let files = store.station_files().await?;
        let accepted = files.iter().map(|file| (file.path.clone(), file.accepted)).collect();
        let files = files.into_iter().map(|file| (file.path, file.bytes.into())).collect();
        Ok(Self {
            dir: dir.to_owned(),
            profiles: profiles.to_owned(),
            approving: Approving::new(Arc::clone(&store)),
            store,
            live,
            clock,
            clips: Some(clips),
            good: LastGood { files },
            accepted,
            seen: None,
            started_with: None,
        })
    }

    /// Reads the folder over what the store remembers now: another process may have accepted
    /// files meanwhile.
    pub async fn load_anew(&mut self) -> anyhow::Result<Option<Arc<Station>>> {
        let files = self.store.station_files().await?;
        self.accepted = files.iter().map(|file| (file.path.clone(), file.accepted)).collect();
        let files = files.into_iter().map(|file| (file.path, file.bytes.into())).collect();
        self.good = LastGood { files };
        Ok(self.load().await?.1)
    }

    /// Reads the folder once; returns what the station file says. The register takes the place of
    /// the CSV files, and is filled from them while it is empty.
    pub async fn load(&mut self) -> anyhow::Result<(Option<StationConfig>, Option<Arc<Station>>)> {
        let (units, devices) = (self.store.units().await?, self.store.devices().await?);
        let empty = units.is_empty() && devices.is_empty();
        let overlay = Overlay::of_registers(&units, devices.iter().map(|known| &known.device));
        let look = look(&self.dir, &self.profiles);
        let loaded = self.read(overlay).await?;
        self.seen = Some(look);
        if empty && let Some(station) = &loaded.station {
            let units: Vec<_> = station.units.values().cloned().collect();
            let devices: Vec<_> = station.devices.values().cloned().collect();
            self.store.put_units(&units).await?;
            self.store.put_devices(&devices, self.clock.now()).await?;
            tracing::info!(units = units.len(), devices = devices.len(), "Filled the register");
        }
        self.remember(&loaded).await?;
        let required = loaded.config.as_ref().is_none_or(|c| c.approval == Approval::Required);
        let now = self.clock.now();
        let found = self.approving.decide(&loaded, &self.accepted, required, now).await?;
        let InForce { station, files, proposals, notice, alarm } = found;
        let station = station.map(Arc::new);
        self.good = loaded.good;
        let (units, devices) = (self.store.units().await?, self.store.devices().await?);
        let mut notices = self.differences(&units, &devices);
        notices.extend(loaded.config.as_ref().and_then(|config| self.needs_restart(config)));
        notices.push(notice);
        self.live.set_register(devices, &units);
        let errors = loaded.faults.iter().filter(|f| f.severity == config::Severity::Error).count();
        if errors > 0 {
            tracing::warn!(errors, held = ?loaded.held, "The station folder has faults");
        }
        self.live.change(|picture| {
            if let Some(station) = &station {
                picture.name.clone_from(&station.name);
                picture.zone = station.zone;
            }
            picture.station.clone_from(&station);
            picture.faults = loaded.faults.into();
            picture.read_ms = Some(now);
            let own = ["register-differs", "restart-needed", "approval"];
            picture.notices.retain(|notice| !own.contains(&notice.code));
            picture.notices.extend(notices);
            picture.alarms.retain(|alarm| !matches!(alarm.code, "proposal" | "in-force"));
            picture.alarms.extend(alarm);
            picture.proposals = proposals;
            picture.files = Arc::new(files);
        });
        Ok((loaded.config, station))
    }

    /// Reads off the async threads: inspecting an hour of audio takes seconds.
    async fn read(&mut self, overlay: Overlay) -> anyhow::Result<Loaded> {
        let Some(mut clips) = self.clips.take() else {
            anyhow::bail!("an earlier load of the station folder broke off");
        };
        let (dir, profiles, good) = (self.dir.clone(), self.profiles.clone(), self.good.clone());
        let (clips, loaded) = tokio::task::spawn_blocking(move || {
            let loaded = config::load_over(&dir, &profiles, &mut clips, &good, &overlay);
            (clips, loaded)
        })
        .await?;
        let clips = self.clips.insert(clips);
        let fresh = clips.take_fresh();
        if !fresh.is_empty() {
            self.store.put_clips(&fresh).await?;
        }
        Ok(loaded)
    }

    /// Keeps the files in force for the next start, each with its number of acceptance.
    async fn remember(&mut self, loaded: &Loaded) -> anyhow::Result<()> {
        let gone: Vec<_> = self
            .good
            .files
            .keys()
            .filter(|path| !loaded.good.files.contains_key(*path))
            .cloned()
            .collect();
        let mut next = self.accepted.values().max().copied().unwrap_or(0);
        let mut changed = Vec::new();
        for (path, bytes) in &loaded.good.files {
            if self.good.files.get(path) == Some(bytes) && self.accepted.contains_key(path) {
                continue;
            }
            // A changed file keeps its rank: mending a typing error is no reason to lose it.
            let accepted = *self.accepted.entry(path.clone()).or_insert_with(|| {
                next += 1;
                next
            });
            changed.push(StationFile {
                path: path.clone(),
                sha256: Digest::of(bytes),
                bytes: bytes.to_vec(),
                accepted_ms: self.clock.now(),
                accepted,
            });
        }
        if !(changed.is_empty() && gone.is_empty()) {
            self.store.put_station_files(&changed, &gone).await?;
            for path in &gone {
                self.accepted.remove(path);
            }
        }
        Ok(())
    }

    /// Says where the CSV files of the folder and the register differ: the register counts.
    fn differences(
        &self,
        units: &[crate::domain::station::Unit],
        devices: &[crate::app::ports::Registered],
    ) -> Vec<Alarm> {
        let read = |name: &str| std::fs::read(self.dir.join(name)).unwrap_or_default();
        let mut notices = Vec::new();
        let mut differs = |file: &str, command: &str| {
            notices.push(Alarm {
                code: "register-differs",
                vi: format!(
                    "Tệp {file} khác sổ đăng ký; sổ đăng ký đang có hiệu lực. \
                     Nhập lại: {command} {file}"
                ),
                en: format!(
                    "`{file}` differs from the register, which counts. \
                     Take it in: `{command} {file}`"
                ),
            });
        };
        if let Ok(mut found) = config::devices_from_csv("devices.csv", &read("devices.csv")) {
            found.sort_by(|a, b| a.id.cmp(&b.id));
            if !found.iter().eq(devices.iter().map(|known| &known.device)) {
                differs("devices.csv", "loa device import");
            }
        }
        if let Ok(mut found) = config::units_from_csv("units.csv", &read("units.csv"), &[]) {
            found.sort_by(|a, b| a.id.cmp(&b.id));
            if found != units {
                differs("units.csv", "loa unit import");
            }
        }
        notices
    }

    /// Says when the station file has come to say something that only a start brings into force.
    fn needs_restart(&mut self, config: &StationConfig) -> Option<Alarm> {
        let started = self.started_with.get_or_insert_with(|| config.clone());
        let same = [
            ("name", started.name == config.name),
            ("insecure_lan", started.insecure_lan == config.insecure_lan),
            ("[listen]", started.listen == config.listen),
            ("[broker]", started.broker == config.broker),
            ("[retention]", started.retention == config.retention),
        ];
        let changed: Vec<_> = same.iter().filter(|(_, same)| !same).map(|(key, _)| *key).collect();
        let changed = changed.join(", ");
        (!changed.is_empty()).then(|| Alarm {
            code: "restart-needed",
            vi: format!("station.toml đã đổi {changed}: khởi động lại máy chủ để áp dụng"),
            en: format!("`station.toml` has changed {changed}: restart the server to apply it"),
        })
    }

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
                    true
                }
            };
            let look = look(&self.dir, &self.profiles);
            if !asked && self.seen.as_ref() == Some(&look) {
                continue;
            }
            match self.load().await {
                Ok((_, Some(station))) => {
                    in_force.send_if_modified(|current| {
                        let changed = current.as_ref() != Some(&station);
                        *current = Some(station);
                        changed
                    });
                }
                Ok((_, None)) => {}
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
fn look(dir: &Path, profiles: &Path) -> Look {
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

//! Reads the station folder and keeps what is in force.
//!
//! What cannot be read keeps its last good version, also over a restart.
//!
//! Only whoever leads writes what it finds, under the number of its lease: one that stands by shows
//! what is stored, and one that slept while another took over changes nothing when it wakes.

mod watch;

use super::approve::{Approving, InForce};
use super::clips::StoredClips;
use crate::app::assets::FileLibrary;
use crate::app::live::{Alarm, Live};
use crate::app::planbook;
use crate::app::ports::{Fence, StationFile, Store};
use crate::clock::SharedClock;
use crate::config::{self, Approval, LastGood, Loaded, Overlay, StationConfig};
use crate::domain::ids::Digest;
use crate::domain::station::Station;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How often the store is asked whether somebody has approved something.
pub const ASK: Duration = Duration::from_secs(1);

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
    /// The lease under which it writes; none while another process leads.
    fence: Option<Fence>,
}

/// The folder as it was read, before anything came of it.
pub struct Reading {
    loaded: Loaded,
    look: Look,
    /// Nothing is registered yet.
    empty: bool,
}

impl Reading {
    /// Returns what the station file says.
    pub fn config(&self) -> Option<&StationConfig> {
        self.loaded.config.as_ref()
    }
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
            fence: None,
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

    /// Leads under this lease; returns what is in force. What was read before is taken as it is
    /// only if this process led already: another one may have accepted files since.
    pub async fn lead(&mut self, fence: Fence) -> anyhow::Result<Option<Arc<Station>>> {
        self.fence = Some(fence);
        self.approving.lead(fence);
        self.seen = None;
        self.remind().await?;
        self.load().await
    }

    /// The lease under which it writes.
    pub fn leads(&self) -> Option<Fence> {
        self.fence
    }

    /// Takes up what the store remembers now.
    async fn remind(&mut self) -> anyhow::Result<()> {
        let files = self.store.station_files().await?;
        self.accepted = files.iter().map(|file| (file.path.clone(), file.accepted)).collect();
        let files = files.into_iter().map(|file| (file.path, file.bytes.into())).collect();
        self.good = LastGood { files };
        Ok(())
    }

    /// Shows what is stored by now, while another process leads, if it is news.
    pub async fn stand_by(&mut self) -> anyhow::Result<()> {
        if self.approving.has_news().await {
            self.remind().await?;
            let reading = self.read().await?;
            self.show(reading).await?;
        }
        Ok(())
    }

    /// Reads the folder once and brings into force what comes of it, or shows what is stored as
    /// long as another process leads.
    async fn load(&mut self) -> anyhow::Result<Option<Arc<Station>>> {
        let reading = self.read().await?;
        self.take(reading).await
    }

    /// Begins with what was read, under a lease or beside the process that leads.
    pub async fn begin(
        &mut self,
        reading: Reading,
        fence: Option<Fence>,
    ) -> anyhow::Result<Option<Arc<Station>>> {
        match fence {
            None => self.show(reading).await,
            Some(fence) => {
                self.fence = Some(fence);
                self.approving.lead(fence);
                self.take(reading).await
            }
        }
    }

    /// Reads the folder and writes nothing. The register takes the place of the CSV files.
    pub async fn read(&mut self) -> anyhow::Result<Reading> {
        let (units, devices) = (self.store.units().await?, self.store.devices().await?);
        let empty = units.is_empty() && devices.is_empty();
        let overlay = Overlay::of_registers(&units, devices.iter().map(|known| &known.device));
        let overlay = overlay.with_plans(planbook::known(&*self.store).await?);
        self.live.set_register(devices, &units);
        let look = watch::look(&self.dir, &self.profiles);
        let loaded = self.read_over(overlay).await?;
        Ok(Reading { loaded, look, empty })
    }

    /// Brings into force what was read. An empty register is filled from the CSV files.
    async fn take(&mut self, reading: Reading) -> anyhow::Result<Option<Arc<Station>>> {
        let Reading { loaded, look, empty } = reading;
        if empty && let Some(station) = &loaded.station {
            let units: Vec<_> = station.units.values().cloned().collect();
            let devices: Vec<_> = station.devices.values().cloned().collect();
            self.store.put_units(&units).await?;
            self.store.put_devices(&devices, self.clock.now()).await?;
            tracing::info!(units = units.len(), devices = devices.len(), "Filled the register");
        }
        self.remember(&loaded).await?;
        let required = is_required(&loaded);
        let found = self.approving.decide(&loaded, &self.accepted, required, self.clock.now());
        let found = found.await?;
        self.good = loaded.good.clone();
        let station = self.picture(loaded, found).await?;
        // Only now: what failed on the way is tried again.
        self.seen = Some(look);
        Ok(station)
    }

    /// Shows what was read beside what is in force.
    async fn show(&mut self, reading: Reading) -> anyhow::Result<Option<Arc<Station>>> {
        let found = self.approving.stored(is_required(&reading.loaded)).await?;
        self.picture(reading.loaded, found).await
    }

    /// Tells handlers of it.
    async fn picture(
        &mut self,
        loaded: Loaded,
        found: InForce,
    ) -> anyhow::Result<Option<Arc<Station>>> {
        let now = self.clock.now();
        let InForce { station, files, proposals, notice, alarm } = found;
        let station = station.map(Arc::new);
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
        Ok(station)
    }

    /// Reads off the async threads: inspecting an hour of audio takes seconds.
    async fn read_over(&mut self, overlay: Overlay) -> anyhow::Result<Loaded> {
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
            self.store.put_station_files(&changed, &gone, self.fence).await?;
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
            ("log", started.log == config.log),
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
}

fn is_required(loaded: &Loaded) -> bool {
    loaded.config.as_ref().is_none_or(|config| config.approval == Approval::Required)
}

#[cfg(test)]
mod tests;

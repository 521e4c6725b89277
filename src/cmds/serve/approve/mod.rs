//! What of the station folder is in force: all of it, or what has been approved.
//!
//! Called at each load of the folder. Every step is stored before the station goes on to be
//! published, so a `kill -9` anywhere leaves either the old state or the new one.

mod words;

use crate::app::approval::{
    Bench, Desk, FileEntry, FrozenClip, Manifest, Naming, Over, Proposal, Version, baseline, keep,
    put_in_force, settle, supersede, unapproved,
};
use crate::app::live::Alarm;
use crate::app::ports::{ApprovalMark, Fence, Store, StoreError};
use crate::app::trail::Actor;
use crate::config::Loaded;
use crate::domain::ids::Digest;
use crate::domain::station::{Clip, Station};
use crate::domain::time::UtcMs;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How often a step is decided again when somebody else was quicker.
const TRIES: usize = 4;

/// Decides what is in force.
pub struct Approving {
    store: Arc<dyn Store>,
    bench: Bench,
    mark: ApprovalMark,
    /// The lease under which it decides.
    fence: Option<Fence>,
}

/// What came of it.
pub struct InForce {
    /// `None` when nothing valid was ever in force.
    pub station: Option<Station>,
    /// The files in force, by name.
    pub files: BTreeSet<String>,
    /// What waits.
    pub proposals: Vec<Arc<Proposal>>,
    /// Says how the station runs.
    pub notice: Alarm,
    pub alarm: Option<Alarm>,
}

impl InForce {
    fn new(station: Option<Station>, manifest: &Manifest, notice: Alarm) -> Self {
        let files = manifest.files.keys().cloned().collect();
        Self { station, files, proposals: Vec::new(), notice, alarm: None }
    }
}

impl Approving {
    /// Returns the decider over what the store remembers.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, bench: Bench::default(), mark: ApprovalMark::default(), fence: None }
    }

    /// Decides under this lease from now on.
    pub fn lead(&mut self, fence: Fence) {
        self.fence = Some(fence);
    }

    /// Returns what is in force by what is stored, and decides nothing: so long as another server
    /// leads. `required` is what the station file says.
    pub async fn stored(&mut self, required: bool) -> anyhow::Result<InForce> {
        let mark = self.store.approval_mark().await?;
        let notice = if mark.off && !required { words::off() } else { words::notice(required) };
        let Some(version) = self.store.newest_version().await? else {
            self.mark = mark;
            return Ok(InForce::new(None, &Manifest::default(), notice));
        };
        self.fetch(&version).await?;
        let (bench, manifest) = (self.bench.clone(), version.manifest.clone());
        let station = tokio::task::spawn_blocking(move || bench.station(&manifest)).await?;
        let proposals = Desk::pending(&*self.store).await?;
        let mut found = InForce::new(station, &version.manifest, notice);
        found.alarm = words::waiting(&proposals, 0);
        found.proposals = proposals.into_iter().map(Arc::new).collect();
        let used: BTreeSet<Digest> = version.manifest.files.values().map(|f| f.sha256).collect();
        self.bench.blobs.retain(|hash, _| used.contains(hash));
        self.mark = mark;
        Ok(found)
    }

    async fn fetch(&mut self, version: &Version) -> Result<(), StoreError> {
        let lacking = self.bench.lacks(&version.manifest);
        self.bench.blobs.extend(self.store.blobs(&lacking).await?);
        Ok(())
    }

    /// Says whether somebody has decided something since the last load.
    pub async fn has_news(&self) -> bool {
        self.store.approval_mark().await.is_ok_and(|mark| mark != self.mark)
    }

    /// Returns what somebody has brought into force since the last load, to be published before
    /// all that waits is judged over it: with a hundred proposals that takes seconds.
    pub async fn newly_in_force(&self) -> anyhow::Result<Option<Station>> {
        let Some(version) = self.store.newest_version().await? else { return Ok(None) };
        if version.number == self.mark.newest {
            return Ok(None);
        }
        let mut bench = self.bench.clone();
        let lacking = bench.lacks(&version.manifest);
        bench.blobs.extend(self.store.blobs(&lacking).await?);
        let build = tokio::task::spawn_blocking(move || bench.station(&version.manifest));
        Ok(build.await?)
    }

    /// Decides what is in force of what was loaded. `required` is what the station file says.
    pub async fn decide(
        &mut self,
        loaded: &Loaded,
        accepted: &BTreeMap<String, u64>,
        required: bool,
        now: UtcMs,
    ) -> anyhow::Result<InForce> {
        let target = self.target(loaded, accepted);
        for _ in 1..TRIES {
            match self.once(loaded, &target, required, now).await {
                Err(error) if is_stale(&error) => {}
                done => return done,
            }
        }
        self.once(loaded, &target, required, now).await
    }

    /// Returns what the folder holds, as a manifest; its bytes come to the bench.
    fn target(&mut self, loaded: &Loaded, accepted: &BTreeMap<String, u64>) -> Manifest {
        let mut target = Manifest::default();
        for (name, bytes) in &loaded.good.files {
            let sha256 = Digest::of(bytes);
            self.bench.blobs.insert(sha256, Arc::clone(bytes));
            let accepted = accepted.get(name).copied().unwrap_or(u64::from(u32::MAX));
            target.files.insert(name.clone(), FileEntry { sha256, accepted, approval: None });
        }
        for (path, clip) in loaded.station.iter().flat_map(|station| &station.library.clips) {
            if let Clip::Known(facts) = clip {
                target.clips.insert(path.0.clone(), FrozenClip::from(facts));
            }
        }
        target
    }

    async fn once(
        &mut self,
        loaded: &Loaded,
        target: &Manifest,
        required: bool,
        now: UtcMs,
    ) -> anyhow::Result<InForce> {
        // Read first: what is decided while this goes on is news for the next load.
        let mark = self.store.approval_mark().await?;
        let newest = self.store.newest_version().await?;
        if let Some(version) = &newest {
            self.fetch(version).await?;
        }
        let found = if !required && mark.off {
            self.all(loaded, newest, target, now).await?
        } else {
            self.approved(loaded, newest, target, required, now).await?
        };
        self.mark = mark;
        Ok(found)
    }

    /// Without approval: what is valid is in force.
    async fn all(
        &mut self,
        loaded: &Loaded,
        newest: Option<Version>,
        target: &Manifest,
        now: UtcMs,
    ) -> anyhow::Result<InForce> {
        let mut station = loaded.station.clone();
        let mut in_force = Manifest::default();
        if let Some(station) = &mut station {
            let over = newest.as_ref().map_or(0, |version| version.number);
            let before = newest.map(|version| version.manifest).unwrap_or_default();
            let manifest = unapproved(&before, target, station);
            for (name, entry) in &manifest.files {
                let id = crate::config::playlist_id(name);
                if let Some(list) = id.and_then(|id| station.playlists.get_mut(&id)) {
                    (list.accepted, list.approval) = (entry.accepted, entry.approval);
                }
            }
            if manifest != before {
                let entry = Actor::server().did(now, "take-over", "station folder");
                let entry = entry.after(names(&before, &manifest));
                let mut step = put_in_force(&self.bench, over, manifest.clone(), now);
                step.entries.push(entry);
                step.fence = self.fence;
                supersede(Desk::pending(&*self.store).await?, &[], &mut step, now);
                self.store.approval_step(&step).await?;
            }
            in_force = manifest;
        }
        Ok(InForce::new(station, &in_force, words::off()))
    }

    async fn approved(
        &mut self,
        loaded: &Loaded,
        newest: Option<Version>,
        target: &Manifest,
        required: bool,
        now: UtcMs,
    ) -> anyhow::Result<InForce> {
        let mut over = newest.as_ref().map_or(0, |version| version.number);
        let in_force = match newest {
            Some(version) => version.manifest,
            None if loaded.station.is_none() => {
                return Ok(InForce::new(None, &Manifest::default(), words::notice(required)));
            }
            None => {
                let manifest = baseline(target);
                let mut step = put_in_force(&self.bench, 0, manifest.clone(), now);
                let entry = Actor::server().did(now, "begin", "station folder");
                step.entries.push(entry.after("registers and policies; nothing sounds yet"));
                step.fence = self.fence;
                self.store.approval_step(&step).await?;
                over = 1;
                manifest
            }
        };
        let Some(candidate) = loaded.station.clone() else {
            let station = self.bench.station(&in_force);
            return Ok(InForce::new(station, &in_force, words::notice(required)));
        };
        let pending = Desk::pending(&*self.store).await?;
        let (bench, target) = (self.bench.clone(), target.clone());
        let (before, waiting) = (in_force.clone(), pending.clone());
        // Compiles some weeks for each change: off the async threads.
        let settled = tokio::task::spawn_blocking(move || {
            let over = Over { number: over, manifest: &before };
            settle(&bench, over, &target, &candidate, &waiting, now)
        })
        .await?;
        let Some(settled) = settled else {
            let alarm = Some(Alarm {
                code: "in-force",
                vi: "Bản đã duyệt không còn đọc được cùng nhau; lịch đã phát hành giữ nguyên. \
                     Duyệt lại thay đổi đang chờ hoặc quay lại bản trước."
                    .to_owned(),
                en: "What was approved no longer fits together; the published schedule stays. \
                     Roll back: `loa approve --rollback HASH`"
                    .to_owned(),
            });
            return Ok(InForce { alarm, ..InForce::new(None, &in_force, words::notice(required)) });
        };
        let mut used: BTreeSet<Digest> =
            settled.manifest.files.values().map(|f| f.sha256).collect();
        used.extend(loaded.good.files.values().map(|bytes| Digest::of(bytes)));
        let mut found =
            InForce::new(Some(settled.station.clone()), &settled.manifest, words::notice(required));
        let beyond = settled.beyond;
        let before = Over { number: over, manifest: &in_force };
        let fence = self.fence;
        let proposals =
            keep(&*self.store, &self.bench, before, settled, pending, now, fence).await?;
        self.bench.blobs.retain(|hash, _| used.contains(hash));
        found.alarm = words::waiting(&proposals, beyond);
        found.proposals = proposals.into_iter().map(Arc::new).collect();
        Ok(found)
    }
}

fn is_stale(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<StoreError>(), Some(StoreError::Stale { .. }))
}

/// Names the files that differ, the first of them.
fn names(before: &Manifest, after: &Manifest) -> String {
    let change = before.change_to(after, &Naming::default());
    let mut names: Vec<_> = change.files.keys().chain(&change.other).cloned().collect();
    let more = names.len().saturating_sub(30);
    names.truncate(30);
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::people::{Grant, Person, Role};
    use crate::app::ports::Approvals as _;
    use crate::config::{ClipSource, LastGood, Overlay};
    use crate::domain::station::AssetFacts;
    use crate::store::memory::MemoryStore;
    use std::path::Path;

    struct NoClips;

    impl ClipSource for NoClips {
        fn facts(&mut self, _: &Path) -> Result<AssetFacts, String> {
            Err("no clips here".to_owned())
        }
    }

    fn load(files: &[(&str, &str)]) -> Loaded {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let (profiles, good) = (folder.path().join("profiles"), LastGood::default());
        let overlay = Overlay::default();
        crate::config::load_over(folder.path(), &profiles, &mut NoClips, &good, &overlay)
    }

    #[tokio::test]
    async fn what_is_approved_while_the_folder_is_looked_at_is_news_afterwards() {
        let now = UtcMs(1_795_219_200_000);
        let store = Arc::new(MemoryStore::default());
        let mut approving = Approving::new(store.clone());
        let mut files = vec![
            ("station.toml", "name = \"Đài\"\n"),
            ("units.csv", "id,name,parent\n51,Tỉnh,\n"),
            ("devices.csv", "id,name,unit,tags,profile\nbang,Bảng,51,,bang\n"),
            (
                "profiles/bang.toml",
                "title = \"Bảng\"\nstorage_mib = 64\n\
                 [board]\nwidth_px = 64\nheight_px = 32\n",
            ),
        ];
        let none = BTreeMap::new();
        approving.decide(&load(&files), &none, true, now).await.unwrap();
        files.push((
            "tin.toml",
            "title = \"Tin\"\n[targets]\nunits = [\"51\"]\n[[items]]\nid = \"a\"\ntitle = \"A\"\n\
             [[items.pages]]\ntext = \"Chào\"\n[[slots]]\nid = \"s\"\nat = [\"17:00\"]\nlongest = \"1m\"\n\
             items = [\"a\"]\n",
        ));
        let loaded = load(&files);
        let found = approving.decide(&loaded, &none, true, now).await.unwrap();
        let hash = found.proposals.first().expect("it waits").hash;
        let person = |id: &str| {
            let grants = vec![Grant { role: Role::Administrator, unit: None }];
            Person::new(id.parse().unwrap(), id, now, grants)
        };
        let (lan, minh) = (person("lan"), person("minh"));
        let actor = Actor::server();
        let desk = |person| Desk { store: &*store, person, actor: &actor, now };
        desk(&lan).propose(&hash).await.unwrap();
        while approving.has_news().await {
            approving.decide(&loaded, &none, true, now).await.unwrap();
        }
        // Compiling goes on beside: the approval comes after the version in force was read.
        let minh = desk(&minh);
        let looked = approving.decide(&loaded, &none, true, now);
        let (found, decided) = tokio::join!(looked, minh.approve(&hash, None));
        decided.unwrap();
        let station = found.unwrap().station.unwrap();
        assert!(station.playlists.is_empty(), "the approval came too late for this look");
        assert!(approving.has_news().await, "so there must be another one");
        let at_once = approving.newly_in_force().await.unwrap().expect("before all else");
        assert_eq!(at_once.playlists.len(), 1);
        let found = approving.decide(&loaded, &none, true, now).await.unwrap();
        assert_eq!(found.station.unwrap().playlists.len(), 1);
        assert_eq!(store.approval_mark().await.unwrap().newest, 2);
        assert_eq!(approving.newly_in_force().await.unwrap(), None);
    }
}

//! What of the station folder is in force: all of it, or what has been approved.
//!
//! Called at each load of the folder. Every step is stored before the station goes on to be
//! published, so a `kill -9` anywhere leaves either the old state or the new one.

use crate::app::approval::{
    Bench, Manifest, Proposal, Settled, Stand, Version, baseline, settle, unapproved,
};
use crate::app::approval::{FileEntry, FrozenClip};
use crate::app::live::Alarm;
use crate::app::ports::{ApprovalMark, ApprovalStep, Store, StoreError};
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
}

/// What came of it.
pub struct InForce {
    /// `None` when nothing valid was ever in force.
    pub station: Option<Station>,
    pub proposal: Option<Arc<Proposal>>,
    /// Says how the station runs.
    pub notice: Alarm,
    pub alarm: Option<Alarm>,
}

impl Approving {
    /// Returns the decider over what the store remembers.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, bench: Bench::default(), mark: ApprovalMark::default() }
    }

    /// Says whether somebody has decided something since the last load.
    pub async fn has_news(&self) -> bool {
        self.store.approval_mark().await.is_ok_and(|mark| mark != self.mark)
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
        let off = self.store.approval_mark().await?.off;
        let newest = self.store.newest_version().await?;
        if let Some(version) = &newest {
            let lacking = self.bench.lacks(&version.manifest);
            self.bench.blobs.extend(self.store.blobs(&lacking).await?);
        }
        let found = if !required && off {
            self.all(loaded, newest, target, now).await?
        } else {
            self.approved(loaded, newest, target, required, now).await?
        };
        self.mark = self.store.approval_mark().await?;
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
        let notice = Alarm {
            code: "approval",
            vi: "Đài đang chạy không cần người duyệt (approval = \"off\").".to_owned(),
            en: "This station runs without approval (`approval = \"off\"`).".to_owned(),
        };
        let mut station = loaded.station.clone();
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
                let mut step = self.step(over, manifest, now);
                step.entries.push(entry);
                self.supersede(None, &mut step, now).await?;
                self.store.approval_step(&step).await?;
            }
        }
        Ok(InForce { station, proposal: None, notice, alarm: None })
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
                return Ok(InForce {
                    station: None,
                    proposal: None,
                    notice: notice(required),
                    alarm: None,
                });
            }
            None => {
                let manifest = baseline(target);
                let mut step = self.step(0, manifest.clone(), now);
                let entry = Actor::server().did(now, "begin", "station folder");
                step.entries.push(entry.after("registers and policies; nothing sounds yet"));
                self.store.approval_step(&step).await?;
                over = 1;
                manifest
            }
        };
        let Some(candidate) = loaded.station.clone() else {
            let station = self.bench.station(&in_force);
            return Ok(InForce { station, proposal: None, notice: notice(required), alarm: None });
        };
        let (bench, target) = (self.bench.clone(), target.clone());
        let before = in_force.clone();
        // Compiles some weeks twice: off the async threads.
        let settled = tokio::task::spawn_blocking(move || {
            let settled = settle(&bench, &before, &target, &candidate, now)?;
            let station = bench.station(&settled.manifest)?;
            Some((settled, station))
        })
        .await?;
        let Some((settled, station)) = settled else {
            return Ok(InForce {
                station: None,
                proposal: None,
                notice: notice(required),
                alarm: Some(Alarm {
                    code: "in-force",
                    vi: "Bản đã duyệt không còn đọc được cùng nhau; lịch đã phát hành giữ nguyên. \
                         Duyệt lại thay đổi đang chờ hoặc quay lại bản trước."
                        .to_owned(),
                    en: "What was approved no longer fits together; the published schedule stays. \
                         Roll back: `loa approve --rollback HASH`"
                        .to_owned(),
                }),
            });
        };
        let proposal = self.keep(over, &in_force, settled, now).await?;
        let mut used: BTreeSet<Digest> = in_force.files.values().map(|f| f.sha256).collect();
        used.extend(loaded.good.files.values().map(|bytes| Digest::of(bytes)));
        self.bench.blobs.retain(|hash, _| used.contains(hash));
        let alarm = proposal.as_ref().map(waiting);
        let proposal = proposal.map(Arc::new);
        Ok(InForce { station: Some(station), proposal, notice: notice(required), alarm })
    }

    /// Stores what came into force by itself and what waits, in one step.
    async fn keep(
        &self,
        over: i64,
        in_force: &Manifest,
        settled: Settled,
        now: UtcMs,
    ) -> anyhow::Result<Option<Proposal>> {
        let mut step = ApprovalStep { over, ..ApprovalStep::default() };
        let mut base = over;
        if settled.manifest != *in_force {
            step = self.step(over, settled.manifest.clone(), now);
            let entry = Actor::server().did(now, "silence", "station folder");
            step.entries.push(entry.after(settled.silenced.join(", ")));
            base += 1;
        }
        let mut waits = None;
        if let Some((change, preview)) = settled.waits {
            let hash = change.hash();
            let known = self.store.proposal(&hash).await?;
            let mut one = Proposal {
                hash,
                revision: known.as_ref().map_or(0, |known| known.revision),
                made_ms: now,
                base,
                author: None,
                stand: Stand::Open,
                votes: Vec::new(),
                change,
                preview,
            };
            if let Some(known) = known.filter(|known| known.stand.is_pending()) {
                one.made_ms = known.made_ms;
                one.stand = known.stand.clone();
                one.author.clone_from(&known.author);
                if known.base == base {
                    one.votes.clone_from(&known.votes);
                }
                if known != one {
                    step.proposals.push(one.clone());
                }
            } else {
                let files: Vec<_> =
                    one.change.files.keys().chain(one.change.clips.keys()).cloned().collect();
                let entry = Actor::server().did(now, "see-proposal", hash);
                step.entries.push(entry.after(files.join(", ")));
                step.proposals.push(one.clone());
            }
            for hash in one.change.blobs() {
                if let Some(bytes) = self.bench.blobs.get(&hash) {
                    step.blobs.insert(hash, Arc::clone(bytes));
                }
            }
            waits = Some(one);
        }
        self.supersede(waits.as_ref().map(|one| one.hash), &mut step, now).await?;
        if step.version.is_some() || !step.proposals.is_empty() {
            self.store.approval_step(&step).await?;
        }
        Ok(waits)
    }

    /// Closes what no longer is what the folder holds.
    async fn supersede(
        &self,
        but: Option<Digest>,
        step: &mut ApprovalStep,
        now: UtcMs,
    ) -> Result<(), StoreError> {
        for mut other in self.store.proposals(1000).await? {
            if other.stand.is_pending() && Some(other.hash) != but {
                other.stand = Stand::Superseded { at_ms: now };
                step.proposals.push(other);
            }
        }
        Ok(())
    }

    fn step(&self, over: i64, manifest: Manifest, now: UtcMs) -> ApprovalStep {
        let hashes = manifest.files.values().map(|entry| entry.sha256);
        let blobs = hashes.filter_map(|hash| Some((hash, self.bench.blobs.get(&hash)?.clone())));
        ApprovalStep {
            over,
            blobs: blobs.collect(),
            version: Some(Version { number: 0, at_ms: now, approval: None, manifest }),
            ..ApprovalStep::default()
        }
    }
}

fn is_stale(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<StoreError>(), Some(StoreError::Stale { .. }))
}

/// Names the files that differ, the first of them.
fn names(before: &Manifest, after: &Manifest) -> String {
    let change = before.change_to(after, |_| BTreeSet::new());
    let mut names: Vec<_> = change.files.keys().chain(change.clips.keys()).cloned().collect();
    let more = names.len().saturating_sub(30);
    names.truncate(30);
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}

fn notice(required: bool) -> Alarm {
    if required {
        return Alarm {
            code: "approval",
            vi: "Nội dung mới chỉ phát sau khi người thứ hai duyệt.".to_owned(),
            en: "Nothing new sounds before a second person approves.".to_owned(),
        };
    }
    Alarm {
        code: "approval",
        vi: "station.toml ghi approval = \"off\" nhưng quản trị chưa cho phép: vẫn phải duyệt. \
             Cho phép: loa approval off"
            .to_owned(),
        en: "`station.toml` says `approval = \"off\"`, but no administrator did: approval is \
             required. To do without: `loa approval off`"
            .to_owned(),
    }
}

fn waiting(one: &Proposal) -> Alarm {
    let short = &one.hash.to_string()[..12];
    let (vi, en) = match (&one.stand, one.lacks()) {
        (Stand::Returned { reason, by, .. }, _) => (
            format!("Bị trả lại bởi {by}: {reason}. Sửa tệp hoặc trình lại: loa propose"),
            format!("returned by {by}: {reason}. Change the files, or `loa propose` anew"),
        ),
        (_, more) => (
            format!(
                "Còn thiếu {more} người duyệt. Xem: loa proposal {short} – duyệt: loa approve {short}"
            ),
            format!(
                "{more} more must approve. Look: `loa proposal {short}`; approve: `loa approve {short}`"
            ),
        ),
    };
    Alarm {
        code: "proposal",
        vi: format!("Thay đổi {short} chưa có hiệu lực. {vi}"),
        en: format!("Change {short} is not in force: {en}"),
    }
}

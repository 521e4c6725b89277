use super::*;
use crate::app::live::Picture;
use crate::app::ports::{
    ApprovalMark, ApprovalStep, Approvals as _, Facts as _, Lease, LeaseName, Leases as _,
    Registry as _, StoreError,
};
use crate::clock::ManualClock;
use crate::domain::ids::PlaylistId;
use crate::domain::time::UtcMs;
use crate::store::memory::MemoryStore;

const NOW: UtcMs = UtcMs(1_796_068_800_000);
const TEXTS: &str = "bang-chao-mung.toml";

/// A station folder and a store that several processes share.
struct Rig {
    root: tempfile::TempDir,
    store: Arc<MemoryStore>,
}

impl Rig {
    /// The sample station: texts for a board, without approval once an administrator says so.
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        super::super::super::sample::copy_station(&root.path().join("station")).unwrap();
        super::super::super::sample::copy_profiles(&root.path().join("profiles")).unwrap();
        Self { root, store: Arc::default() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.path().join("station").join(name)
    }

    /// Changes the title of the one playlist.
    fn retitle(&self, title: &str) {
        let text = std::fs::read_to_string(self.file(TEXTS)).unwrap();
        let rest = text.split_once('\n').unwrap().1;
        std::fs::write(self.file(TEXTS), format!("title = \"{title}\"\n{rest}")).unwrap();
    }

    async fn folder(&self) -> Folder {
        let library = Arc::new(FileLibrary::open(self.root.path().join("assets")).unwrap());
        let live = Arc::new(Live::new(Picture::empty("test")));
        let (dir, profiles) = (self.root.path().join("station"), self.root.path().join("profiles"));
        let clock = Arc::new(ManualClock::new(NOW));
        Folder::open(&dir, &profiles, library, self.store.clone(), live, clock).await.unwrap()
    }

    /// Lets a process lead, since whoever led is past the end of its lease.
    async fn lease(&self, holder: &str, at: i64) -> Fence {
        let (now, until) = (NOW.plus(at), NOW.plus(at + 500));
        let taken = self.store.take_lease(LeaseName::Compiler, holder, now, until).await.unwrap();
        taken.as_ref().map(Lease::fence).unwrap()
    }

    async fn stored(&self) -> (Vec<StationFile>, ApprovalMark) {
        let files = self.store.station_files().await.unwrap();
        (files, self.store.approval_mark().await.unwrap())
    }
}

async fn begin(folder: &mut Folder, fence: Option<Fence>) -> anyhow::Result<Option<Arc<Station>>> {
    let reading = folder.read().await.unwrap();
    folder.begin(reading, fence).await
}

fn title(station: Option<Arc<Station>>) -> String {
    let id = PlaylistId::new("bang-chao-mung").unwrap();
    station.unwrap().playlists[&id].title.clone()
}

async fn rig_without_approval() -> Rig {
    let rig = Rig::new();
    let off = ApprovalStep { off: Some(true), ..ApprovalStep::default() };
    rig.store.approval_step(&off).await.unwrap();
    rig
}

#[tokio::test]
async fn a_leader_that_slept_changes_nothing_when_it_wakes() {
    let rig = rig_without_approval().await;
    let (mut first, mut second) = (rig.folder().await, rig.folder().await);
    let slept = rig.lease("a", 0).await;
    begin(&mut first, Some(slept)).await.unwrap();
    // It has read the folder, and is stopped before anything came of it.
    rig.retitle("Cũ");
    let reading = first.read().await.unwrap();
    let leads = rig.lease("b", 1_000).await;
    rig.retitle("Mới");
    assert_eq!(title(begin(&mut second, Some(leads)).await.unwrap()), "Mới");
    let stored = rig.stored().await;

    let woken = first.take(reading).await.unwrap_err();
    let fenced = woken.downcast_ref::<StoreError>();
    assert!(matches!(fenced, Some(StoreError::Fenced { .. })), "{woken:#}");
    assert_eq!(rig.stored().await, stored);
    // Nor does it when nothing but what is in force would change.
    let reading = second.read().await.unwrap();
    first.good = reading.loaded.good.clone();
    first.accepted = second.accepted.clone();
    let mut old = first.read().await.unwrap();
    old.loaded.station.as_mut().unwrap().playlists.clear();
    old.loaded.good.files.remove(TEXTS);
    first.good = old.loaded.good.clone();
    let woken = first.take(old).await.unwrap_err();
    let fenced = woken.downcast_ref::<StoreError>();
    assert!(matches!(fenced, Some(StoreError::Fenced { .. })), "{woken:#}");
    assert_eq!(rig.stored().await, stored);
}

#[tokio::test]
async fn whoever_stands_by_writes_nothing_and_shows_what_is_in_force() {
    let rig = rig_without_approval().await;
    let mut beside = rig.folder().await;
    assert_eq!(begin(&mut beside, None).await.unwrap(), None, "nobody has led so far");
    assert_eq!(rig.store.units().await.unwrap(), [], "filling the register is not its business");
    assert_eq!(rig.stored().await.0, []);

    rig.retitle("Một");
    let mut leader = rig.folder().await;
    begin(&mut leader, Some(rig.lease("a", 0).await)).await.unwrap();
    let stored = rig.stored().await;
    // Its copy of the folder says something else.
    rig.retitle("Khác");
    beside.stand_by().await.unwrap();
    assert_eq!(title(beside.live.picture().station.clone()), "Một");
    assert!(beside.live.picture().has_in_force(TEXTS));
    assert_eq!(rig.stored().await, stored);
    let mut late = rig.folder().await;
    assert_eq!(title(begin(&mut late, None).await.unwrap()), "Một");
    assert_eq!(rig.stored().await, stored);

    // Once it leads, what it finds counts.
    let fence = rig.lease("b", 1_000).await;
    assert_eq!(title(beside.lead(fence).await.unwrap()), "Khác");
    assert_ne!(rig.stored().await, stored);
}

//! Words of devices against what real ingest took in, over both stores.

use super::*;
use crate::app::ingest::Ingest;
use crate::app::ingest::tests::{Signer, server_keys};
use crate::app::keyring::Keyring;
use crate::app::live::Picture;
use crate::app::ports::LeaseName;
use crate::clock::{Clock as _, ManualClock};
use crate::log::leaf::ServerBody;
use crate::store::SqliteStore;
use crate::store::memory::MemoryStore;
use crate::wire::topic::Topics;

const NOW: UtcMs = UtcMs(1_900_000_000_000);

struct Desk {
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    live: Arc<Live>,
    ingest: Ingest,
    tails: Tails,
    loa: Signer,
    _dir: tempfile::TempDir,
}

impl Desk {
    /// One over each store, with a device that has signed ten records.
    async fn both() -> Vec<Self> {
        let dir = tempfile::tempdir().unwrap();
        let sqlite = SqliteStore::open(&dir.path().join("loa.db")).await.unwrap();
        let desks = [Arc::new(sqlite) as Arc<dyn Store>, Arc::new(MemoryStore::default())];
        let mut made = Vec::new();
        for (store, dir) in desks.into_iter().zip([dir, tempfile::tempdir().unwrap()]) {
            let clock = Arc::new(ManualClock::new(NOW));
            let live = Arc::new(Live::new(Picture::empty("x")));
            let mut loa = Signer::new("loa-1", 1);
            loa.enrol(&*store).await;
            loa.beats(10);
            let ingest = Ingest::new(
                store.clone(),
                Keyring::rooted(&server_keys()),
                Topics::default(),
                "Đài xã".into(),
                clock.clone(),
            );
            let tails = Tails::new(store.clone(), live.clone(), clock.clone());
            made.push(Self { store, clock, live, ingest, tails, loa, _dir: dir });
            made.last_mut().unwrap().register().await;
        }
        made
    }

    async fn register(&mut self) {
        self.live.set_register(self.store.devices().await.unwrap(), &[]);
    }

    async fn take(&mut self, seqs: impl IntoIterator<Item = usize>) {
        let batch = self.loa.batch(seqs);
        self.ingest.take(&[batch]).await.unwrap();
    }

    /// The device says how far its chain goes, as the listener hears it.
    fn says(&self, kind: StateKind, seq: u64) {
        let head = Some(Digest([u8::try_from(seq).unwrap(); 32]));
        let chain = Some(self.loa.chain);
        let state = State { chain, seq: Some(seq), head, ..State::bare(kind, 1) };
        self.tails.hear(&self.loa.id, &state);
        self.live.hear(&self.loa.id, self.clock.now(), state).unwrap();
    }

    fn lost(&self) {
        let state = State::bare(StateKind::Lost, 1);
        self.tails.hear(&self.loa.id, &state);
        self.live.hear(&self.loa.id, self.clock.now(), state).unwrap();
    }

    async fn pass(&self, ms: i64) {
        self.clock.pass(ms);
        self.tails.look(Some(None)).await.unwrap();
    }

    async fn known(&self) -> Vec<(u64, u64, TailStand)> {
        let tails = self.store.tails().await.unwrap();
        tails.iter().map(|tail| (tail.seq, tail.came, tail.stand)).collect()
    }

    /// Numbers that the log says are missing.
    async fn said(&self) -> Vec<(u64, u64)> {
        let leaves = self.store.leaves(1, 1_000).await.unwrap();
        let gap = |leaf: &crate::log::leaf::Leaf| match leaf.statement()?.ok()?.body {
            ServerBody::Gap { from, to, dev, .. } if dev == self.loa.id => Some((from, to)),
            _ => None,
        };
        leaves.iter().filter_map(gap).collect()
    }

    fn alarms(&self) -> Vec<String> {
        let picture = self.live.picture();
        picture.alarms.iter().map(|alarm| format!("{}: {}", alarm.code, alarm.en)).collect()
    }
}

#[tokio::test]
async fn a_tail_that_was_cut_is_told_to_people_and_to_the_log() {
    for mut desk in Desk::both().await {
        desk.take(1..=6).await;
        desk.says(StateKind::Ready, 10);
        desk.pass(SETTLE_MS - 1).await;
        assert_eq!(desk.known().await, [], "it may be on its way");
        desk.pass(1).await;
        assert_eq!(desk.known().await, [(10, 6, TailStand::Waiting)]);
        assert!(desk.alarms().is_empty() && desk.live.tails().is_empty());
        desk.pass(WAIT_MS).await;
        assert_eq!(desk.known().await, [(10, 6, TailStand::Missing)]);
        assert_eq!(
            desk.alarms(),
            ["tail-missing: Devices tell of records that never came (came/told): loa-1 (6/10)"]
        );
        let shown = desk.live.tails()[&desk.loa.id].clone();
        assert_eq!((shown[0].since_ms, shown[0].head), (NOW, Some(Digest([10; 32]))));
        desk.pass(WAIT_MS).await;
        assert_eq!(desk.said().await, [(7, 10)], "once");
        // What comes after all takes everything back but what the log says.
        desk.take(7..=10).await;
        desk.pass(1).await;
        assert_eq!(desk.known().await, []);
        assert!(desk.alarms().is_empty() && desk.live.tails().is_empty());
    }
}

#[tokio::test]
async fn what_comes_in_time_is_never_remembered_nor_what_was_told_lately() {
    for mut desk in Desk::both().await {
        desk.says(StateKind::Ready, 4);
        desk.take(1..=4).await;
        desk.clock.pass(SETTLE_MS - 1);
        desk.says(StateKind::Ready, 9);
        desk.pass(1).await;
        assert_eq!(desk.known().await, [], "4 came, and of 9 nobody knows yet");
        desk.pass(SETTLE_MS).await;
        assert_eq!(desk.known().await, [(9, 4, TailStand::Waiting)], "it was not forgotten");
        // A lower word, of a late state or a copy of the disk, takes nothing back.
        desk.says(StateKind::Ready, 5);
        desk.pass(SETTLE_MS).await;
        assert_eq!(desk.known().await, [(9, 4, TailStand::Waiting)]);
    }
}

#[tokio::test]
async fn a_device_that_is_away_calls_nobody_until_a_day_is_over() {
    for mut desk in Desk::both().await {
        desk.take(1..=6).await;
        desk.says(StateKind::Ready, 8);
        desk.lost();
        for _ in 0..10 {
            desk.pass(WAIT_MS).await;
        }
        assert_eq!(desk.known().await, [(8, 6, TailStand::Waiting)]);
        desk.pass(LONGEST_MS).await;
        assert_eq!(desk.known().await, [(8, 6, TailStand::Missing)]);
        assert_eq!(desk.said().await, [(7, 8)]);
    }
}

#[tokio::test]
async fn a_device_that_was_replaced_or_lost_its_disk_does_not_alarm_for_ever() {
    for mut desk in Desk::both().await {
        desk.take(1..=6).await;
        desk.says(StateKind::Ready, 8);
        desk.pass(WAIT_MS + SETTLE_MS).await;
        desk.pass(WAIT_MS).await;
        assert_eq!(desk.alarms().len(), 1);
        desk.loa.chain = ChainId([7; 16]);
        desk.says(StateKind::Ready, 1);
        desk.pass(1).await;
        assert_eq!(desk.known().await, [(8, 6, TailStand::GivenUp)]);
        assert!(desk.alarms().is_empty(), "{:?}", desk.alarms());
        assert_eq!(desk.live.tails()[&desk.loa.id].len(), 1, "and stays listed");
        assert_eq!(desk.said().await, [(7, 8)]);
    }
}

#[tokio::test]
async fn a_device_that_makes_chains_up_fills_neither_store_nor_log() {
    for mut desk in Desk::both().await {
        for n in 0..200_u8 {
            desk.loa.chain = ChainId([n; 16]);
            desk.says(StateKind::Ready, 200);
            if n % 3 == 0 {
                desk.pass(SETTLE_MS).await;
            }
        }
        desk.pass(LONGEST_MS).await;
        desk.pass(WAIT_MS).await;
        assert!(desk.known().await.len() <= 1, "{:?}", desk.known().await);
        assert_eq!(desk.said().await, [], "of a chain of which nothing came, nothing is said");
        desk.register().await;
    }
}

#[tokio::test]
async fn whoever_does_not_lead_shows_and_writes_nothing() {
    for mut desk in Desk::both().await {
        desk.take(1..=6).await;
        desk.says(StateKind::Ready, 10);
        desk.clock.pass(2 * WAIT_MS);
        desk.tails.look(None).await.unwrap();
        assert_eq!(desk.known().await, []);
        let (now, until) = (desk.clock.now(), desk.clock.now().plus(1_000));
        let lease = desk.store.take_lease(LeaseName::Sequencer, "a", now, until).await.unwrap();
        let fence = lease.unwrap().fence();
        let taken = until.plus(1);
        desk.store
            .take_lease(LeaseName::Sequencer, "b", taken, taken.plus(9_000))
            .await
            .unwrap()
            .unwrap();
        let refused = desk.tails.look(Some(Some(fence))).await;
        assert!(matches!(refused, Err(StoreError::Fenced { .. })), "{refused:?}");
        assert_eq!((desk.known().await, desk.said().await), (vec![], vec![]));
        // Nothing was forgotten by it.
        desk.pass(1).await;
        assert_eq!(desk.known().await.len(), 1);
    }
}

//! Tests of the scribe over the in-memory store and folders of their own.

use super::*;
use crate::app::ports::{Logbook as _, Loss};
use crate::clock::ManualClock;
use crate::domain::ids::Digest;
use crate::log::check::check_growth;
use crate::log::edge::Edge;
use crate::store::memory::MemoryStore;
use crate::wire::jws::SecretKey;
use crate::wire::tlog::Name;
use std::fs;
use std::path::PathBuf;

/// 2026-12-31T23:59:00Z.
const NOW: UtcMs = UtcMs(1_798_761_540_000);

struct Desk {
    dir: tempfile::TempDir,
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, store: Arc::default(), clock: Arc::new(ManualClock::new(NOW)) }
    }

    fn place(&self) -> Arc<LogPlace> {
        Arc::new(LogPlace {
            folder: self.dir.path().join("data/log"),
            heads: self.dir.path().join("heads"),
            base: Name::new("loa/test").unwrap(),
            key: SecretKey::from_seed(&[1; 32]),
        })
    }

    fn scribe(&self) -> Scribe {
        let pace = Pace { wait_ms: 0, gap_ms: 0, ..Pace::default() };
        Scribe::new(self.store.clone(), self.place(), self.clock.clone()).at(pace)
    }

    async fn say(&self, from: u8, to: u8) {
        for n in from..to {
            self.store.say(&statement(n)).await.unwrap();
        }
    }

    /// Checks every byte of a shard, and returns its head and leaves.
    fn shard(&self, name: &str) -> (Checkpoint, Vec<Leaf>) {
        let (place, name) = (self.place(), name.parse().unwrap());
        let head = place.checkpoint(name).unwrap().unwrap().checkpoint().clone();
        let folder = place.shard(name);
        check_growth(&folder, Edge::default(), &head).unwrap();
        let leaf = |index| Leaf::parse(folder.entry(index, head.size).unwrap()).unwrap();
        let leaves = (0..head.size).map(leaf).collect();
        (head, leaves)
    }

    /// Copies data as a backup does.
    fn copy(&self, from: &str, to: &str) {
        fn copy(from: &Path, to: &Path) {
            fs::create_dir_all(to).unwrap();
            for entry in fs::read_dir(from).unwrap() {
                let entry = entry.unwrap();
                let to = to.join(entry.file_name());
                if entry.path().is_dir() {
                    copy(&entry.path(), &to);
                } else {
                    fs::copy(entry.path(), to).unwrap();
                }
            }
        }
        let [from, to] = [from, to].map(|name| self.dir.path().join(name));
        if to.exists() {
            fs::remove_dir_all(&to).unwrap();
        }
        copy(&from, &to);
    }
}

fn statement(n: u8) -> Leaf {
    let body = ServerBody::Approval {
        of: Digest([n; 32]),
        what: "proposal".to_owned(),
        role: "approver".to_owned(),
        by: "lan".to_owned(),
    };
    Leaf::server(UtcMs(NOW.0 + i64::from(n)), &body).unwrap()
}

/// Steps until nothing waits.
async fn settle(scribe: &mut Scribe) -> Result<(), ScribeError> {
    for _ in 0..100 {
        if scribe.step(None).await? == (Step::Wait { ms: REST_MS }) && scribe.waiting() == 0 {
            return Ok(());
        }
    }
    panic!("something waits without end");
}

#[tokio::test]
async fn what_waits_is_logged_in_its_order_and_once() {
    let desk = Desk::new();
    desk.say(0, 3).await;
    let mut scribe = desk.scribe();
    settle(&mut scribe).await.unwrap();
    desk.say(3, 5).await;
    settle(&mut scribe).await.unwrap();
    drop(scribe);
    desk.say(5, 6).await;
    settle(&mut desk.scribe()).await.unwrap();
    let (head, leaves) = desk.shard("2026");
    assert_eq!(head.size, 7);
    assert!(leaves[0].begins_a_shard());
    assert_eq!(leaves[1..], (0..6).map(statement).collect::<Vec<_>>());
    let shards = desk.store.shards().await.unwrap();
    assert_eq!((shards.len(), shards[0].size()), (1, 7));
}

#[tokio::test]
async fn a_round_that_was_not_noted_is_repeated_with_the_same_bytes() {
    let desk = Desk::new();
    desk.say(0, 2).await;
    let mut scribe = desk.scribe();
    scribe.step(None).await.unwrap();
    // Durable in the log, and then the store takes no note of it.
    let Writing { shard, log, .. } = scribe.writing.take().unwrap();
    drop(scribe);
    let rest = desk.store.leaves(shard.logged + 1, 99).await.unwrap();
    let log = log.append(shard.size(), &rest).unwrap();
    let before = log.checkpoint().unwrap().clone();
    drop(log);
    settle(&mut desk.scribe()).await.unwrap();
    assert_eq!(desk.shard("2026").0, *before.checkpoint());
    desk.say(2, 3).await;
    settle(&mut desk.scribe()).await.unwrap();
    assert_eq!(desk.shard("2026").0.size, 4);
}

#[tokio::test]
async fn a_new_year_begins_a_shard_with_the_head_of_the_last() {
    let desk = Desk::new();
    desk.say(0, 3).await;
    let mut scribe = desk.scribe();
    settle(&mut scribe).await.unwrap();
    desk.say(3, 4).await;
    desk.clock.pass(120_000);
    settle(&mut scribe).await.unwrap();
    let (old, _) = desk.shard("2026");
    let (new, leaves) = desk.shard("2027");
    assert_eq!((old.size, new.size), (4, 2));
    let Some(Ok(first)) = leaves[0].statement() else { panic!("no statement") };
    assert_eq!(first.body, ServerBody::Shard { previous: Some(LeafHead::from(&old)) });
    assert_eq!(leaves[1], statement(3));
    drop(scribe);
    desk.say(4, 5).await;
    settle(&mut desk.scribe()).await.unwrap();
    assert_eq!(desk.shard("2027").0.size, 3, "and goes on there");
}

#[tokio::test]
async fn after_a_restore_nothing_is_signed_until_somebody_says_what_was_lost() {
    let desk = Desk::new();
    desk.say(0, 3).await;
    settle(&mut desk.scribe()).await.unwrap();
    desk.copy("data", "backup");
    let (known, _) = desk.shard("2026");
    desk.say(3, 6).await;
    settle(&mut desk.scribe()).await.unwrap();
    let (witnessed, _) = desk.shard("2026");
    // The disk is lost: a store of that time, and the log as it was.
    let older = Desk { store: Arc::default(), ..desk };
    older.say(0, 3).await;
    let first = Leaf::server(NOW, &ServerBody::Shard { previous: None }).unwrap();
    older.store.begin_shard("2026", &first, 0, None).await.unwrap();
    older.store.note_logged("2026", 2, None).await.unwrap();
    older.copy("backup", "data");
    // Sent again by devices, in another order.
    older.store.say(&statement(5)).await.unwrap();
    let mut scribe = older.scribe();
    let error = scribe.step(None).await.unwrap_err();
    assert!(error.is_loss() && error.hint().contains("loa log rebuild"), "{error:?}");
    assert_eq!(older.shard("2026").0, known, "untouched");
    let loss = Loss { reason: "hỏng ổ đĩa".to_owned(), by: "lan".to_owned() };
    older.store.tell_loss(Some(&loss)).await.unwrap();
    settle(&mut scribe).await.unwrap();
    assert_eq!(older.shard("2026").0, known);
    let (_, leaves) = older.shard("2026-2");
    let Some(Ok(said)) = leaves[0].statement() else { panic!("no statement") };
    let restored = ServerBody::Restored {
        known: Some(LeafHead::from(&known)),
        witnessed: Some(LeafHead::from(&witnessed)),
        reason: loss.reason,
        by: loss.by,
    };
    assert_eq!(said.body, restored);
    // What the log of the backup holds beyond what its store had noted is not logged twice.
    assert_eq!(leaves[1..], [statement(5)]);
}

#[tokio::test]
async fn a_log_without_its_head_file_is_not_written() {
    let desk = Desk::new();
    desk.say(0, 3).await;
    settle(&mut desk.scribe()).await.unwrap();
    fs::remove_dir_all(desk.dir.path().join("heads")).unwrap();
    desk.say(3, 4).await;
    let error = desk.scribe().step(None).await.unwrap_err();
    assert!(error.hint().contains("loa log adopt"), "{error:?}");
    assert_eq!(desk.shard("2026").0.size, 4);
}

#[tokio::test]
async fn a_store_that_does_not_belong_to_the_log_adds_nothing() {
    let desk = Desk::new();
    desk.say(0, 3).await;
    settle(&mut desk.scribe()).await.unwrap();
    let other = Desk { store: Arc::default(), ..desk };
    let error = other.scribe().step(None).await.unwrap_err();
    assert!(matches!(error, ScribeError::Lost(_)), "{error:?}");
    other.say(7, 9).await;
    let first = Leaf::server(NOW, &ServerBody::Shard { previous: None }).unwrap();
    other.store.begin_shard("2026", &first, 0, None).await.unwrap();
    let mut scribe = other.scribe();
    let error = settle(&mut scribe).await.unwrap_err();
    assert!(error.is_loss(), "{error:?}");
    assert_eq!(other.shard("2026").0.size, 4);
}

#[tokio::test]
async fn after_a_restore_of_the_store_alone_a_loss_that_is_told_begins_a_shard() {
    let desk = Desk::new();
    desk.say(0, 6).await;
    settle(&mut desk.scribe()).await.unwrap();
    let (known, _) = desk.shard("2026");
    // The store is one of an earlier time; log and head file are the newest.
    let older = Desk { store: Arc::default(), ..desk };
    older.say(0, 4).await;
    let first = Leaf::server(NOW, &ServerBody::Shard { previous: None }).unwrap();
    older.store.begin_shard("2026", &first, 0, None).await.unwrap();
    older.store.note_logged("2026", 3, None).await.unwrap();
    older.say(9, 10).await;
    let mut scribe = older.scribe();
    let error = settle(&mut scribe).await.unwrap_err();
    assert!(error.hint().contains("loa log begin"), "{error:?}");
    let loss = Loss { reason: "khôi phục bản cũ".to_owned(), by: "lan".to_owned() };
    older.store.tell_loss(Some(&loss)).await.unwrap();
    settle(&mut scribe).await.unwrap();
    assert_eq!(older.shard("2026").0, known, "untouched");
    let (_, leaves) = older.shard("2026-2");
    let Some(Ok(said)) = leaves[0].statement() else { panic!("no statement") };
    assert!(matches!(said.body, ServerBody::Restored { .. }), "{:?}", said.body);
    // What the log holds beyond what the store had noted is not logged twice.
    assert_eq!(leaves[1..], [statement(9)]);
    assert!(older.store.loss().await.unwrap().is_none());
}

#[tokio::test]
async fn a_loss_that_is_none_changes_nothing() {
    let desk = Desk::new();
    desk.say(0, 3).await;
    settle(&mut desk.scribe()).await.unwrap();
    let loss = Loss { reason: "nhầm".to_owned(), by: "lan".to_owned() };
    desk.store.tell_loss(Some(&loss)).await.unwrap();
    desk.say(3, 4).await;
    settle(&mut desk.scribe()).await.unwrap();
    assert_eq!(desk.shard("2026").0.size, 5);
    assert!(desk.store.loss().await.unwrap().is_none());
}

#[tokio::test]
async fn a_loss_told_to_a_log_that_goes_on_is_not_kept_for_another_day() {
    let desk = Desk::new();
    desk.say(0, 3).await;
    let mut scribe = desk.scribe();
    settle(&mut scribe).await.unwrap();
    let loss = Loss { reason: "nhầm".to_owned(), by: "lan".to_owned() };
    desk.store.tell_loss(Some(&loss)).await.unwrap();
    desk.say(3, 4).await;
    settle(&mut scribe).await.unwrap();
    assert!(desk.store.loss().await.unwrap().is_none());
    drop(scribe);
    // A real one, later: a person decides anew.
    let (name, place) = ("2026".parse().unwrap(), desk.place());
    fs::remove_file(place.shard(name).path().join("checkpoint")).unwrap();
    fs::remove_dir_all(place.shard(name).path()).unwrap();
    let error = settle(&mut desk.scribe()).await.unwrap_err();
    assert!(error.is_loss(), "{error:?}");
}

#[tokio::test]
async fn whoever_lost_the_lease_logs_nothing() {
    use crate::app::ports::{LeaseName, Leases as _};
    let desk = Desk::new();
    desk.say(0, 1).await;
    let until = NOW.plus(1_000);
    let lease = desk.store.take_lease(LeaseName::Sequencer, "a", NOW, until).await.unwrap();
    let fence = lease.unwrap().fence();
    let mut scribe = desk.scribe();
    scribe.step(Some(fence)).await.unwrap();
    desk.say(1, 2).await;
    let taken = desk
        .store
        .take_lease(LeaseName::Sequencer, "b", until.plus(1), until.plus(9_000))
        .await
        .unwrap();
    assert!(taken.is_some());
    let error = scribe.step(Some(fence)).await.unwrap_err();
    assert!(matches!(error, ScribeError::Store(StoreError::Fenced { .. })), "{error:?}");
    let held = fs::read_dir(PathBuf::from(&desk.place().folder)).unwrap().count();
    assert_eq!(held, 1);
    assert_eq!(desk.shard("2026").0.size, 2);
}

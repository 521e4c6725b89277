//! kill -9 before every step of the sequencer, over the real store and the real disk: one tree, no
//! gap, no fork, and a witness that cosigns all of it.
//!
//! The test runs itself as another process that says some things and logs them, and that ends for
//! good before a step of its own choice; the next one takes up what is there. The steps are gone
//! through one by one until a process comes to its end. `LOA_CHAOS_KILLS` goes through them again
//! and again, to about so many kills.

use super::*;
use crate::app::ports::Logbook as _;
use crate::clock::ManualClock;
use crate::domain::ids::Digest;
use crate::log::check::check_growth;
use crate::log::disk::last;
use crate::log::edge::Edge;
use crate::log::prove::Prover;
use crate::log::witness::{Memory, Witness, WitnessedLog};
use crate::store::SqliteStore;
use crate::wire::jws::SecretKey;
use crate::wire::tlog::{AddCheckpoint, Cosigner, Name};
use std::process::{Command, Stdio};

const FOLDER: &str = "LOA_TEST_CRASH_FOLDER";
const STEP: &str = "LOA_TEST_CRASH_STEP";
const KILLS: &str = "LOA_CHAOS_KILLS";
const NOW: UtcMs = UtcMs(1_800_000_000_000);
/// What is said at first: the runs cross the end of a tile.
const BEGUN: u64 = 252;

fn place(folder: &Path) -> Arc<LogPlace> {
    Arc::new(LogPlace {
        folder: folder.join("data/log"),
        heads: folder.join("heads"),
        base: Name::new("loa/test").unwrap(),
        key: SecretKey::from_seed(&[1; 32]),
    })
}

fn statement(n: u64) -> Leaf {
    let body = ServerBody::Approval {
        of: Digest([7; 32]),
        what: format!("said-{n}"),
        role: "approver".to_owned(),
        by: "lan".to_owned(),
    };
    Leaf::server(NOW, &body).unwrap()
}

/// Logs until nothing waits.
async fn settle(scribe: &mut Scribe) {
    while scribe.step(None).await.unwrap() != (Step::Wait { ms: REST_MS }) || scribe.waiting() > 0 {
    }
}

async fn open(folder: &Path) -> (Arc<SqliteStore>, Scribe) {
    let store = Arc::new(SqliteStore::open(&folder.join("loa.db")).await.unwrap());
    let pace = Pace { wait_ms: 0, gap_ms: 0, ..Pace::default() };
    let clock = Arc::new(ManualClock::new(NOW));
    let scribe = Scribe::new(store.clone(), place(folder), clock).at(pace);
    (store, scribe)
}

/// Says so many things, and logs them round by round.
async fn say(store: &SqliteStore, scribe: &mut Scribe, rounds: [u64; 2]) {
    for count in rounds {
        for _ in 0..count {
            let newest = store.newest_leaf().await.unwrap();
            store.say(&statement(u64::try_from(newest).unwrap())).await.unwrap();
        }
        settle(scribe).await;
    }
}

#[test]
#[ignore = "the process that ends; run by the test below"]
fn logs_until_it_ends() {
    let Ok(folder) = std::env::var(FOLDER) else { panic!("run by the test below") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (store, mut scribe) = open(Path::new(&folder)).await;
        last::after(std::env::var(STEP).unwrap().parse().unwrap());
        settle(&mut scribe).await;
        say(&store, &mut scribe, [3, 2]).await;
    });
}

/// A witness that remembers what it saw in a folder of its own.
struct Watch {
    witness: Witness<RealDisk>,
    known: u64,
}

impl Watch {
    fn new(folder: &Path, place: &LogPlace) -> Self {
        let key = place.verifier(shard()).unwrap();
        let log = WitnessedLog { origin: key.name().clone(), keys: vec![key] };
        let name = Name::new("witness.example/w1").unwrap();
        let cosigner = Cosigner::new(name, SecretKey::from_seed(&[2; 32]));
        let witness = Witness::open(RealDisk, folder, cosigner, vec![log], Memory::Begin).unwrap();
        Self { witness, known: 0 }
    }

    /// Shows it what is published; it must agree.
    fn look(&mut self, place: &LogPlace) {
        let Some(signed) = place.checkpoint(shard()).unwrap() else { return };
        let head = signed.checkpoint().clone();
        let folder = place.shard(shard());
        let prover = Prover::new(&folder, head.size, head.root);
        let (_, proof) = prover.consistency(self.known).unwrap();
        let body = AddCheckpoint { old: self.known, proof, checkpoint: signed }.to_string();
        let now_s = u64::try_from(NOW.numeric_date()).unwrap();
        let answer = self.witness.add_checkpoint(body.as_bytes(), now_s).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        self.known = head.size;
    }
}

fn shard() -> ShardName {
    ShardName::of_year(2027)
}

#[test]
fn a_process_that_ends_before_any_step_leaves_one_tree_without_a_gap_or_a_fork() {
    let dir = tempfile::tempdir().unwrap();
    let wanted: Option<u32> =
        std::env::var(KILLS).ok().map(|text| text.parse().expect("a number of kills"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let place = place(dir.path());
    runtime.block_on(async {
        let (store, mut scribe) = open(dir.path()).await;
        settle(&mut scribe).await; // the shard begins
        say(&store, &mut scribe, [BEGUN, 0]).await;
    });
    let mut watch = Watch::new(&dir.path().join("witness"), &place);
    watch.look(&place);
    let (mut kills, mut step) = (0, 0);
    loop {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .arg("app::scribe::crash_tests::logs_until_it_ends")
            .env(FOLDER, dir.path())
            .env(STEP, step.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        watch.look(&place);
        let failed = status.code().is_some_and(|code| code != 0);
        assert!(!failed, "before step {step} it did not end but fail: {status}");
        if !status.success() {
            (kills, step) = (kills + 1, step + 1);
        } else if wanted.is_none_or(|wanted| kills >= wanted) {
            break;
        } else {
            step = 0;
        }
    }
    println!("{kills} kills");
    assert!(kills >= 30, "killed {kills} times only: the test shows nothing");
    // Nobody ends the last one: all that was ever said stands in the tree, in its order, once.
    runtime.block_on(async {
        let (store, mut scribe) = open(dir.path()).await;
        settle(&mut scribe).await;
        let head = scribe.checkpoint().unwrap().checkpoint().clone();
        drop(scribe);
        let folder = place.shard(shard());
        check_growth(&folder, Edge::default(), &head).unwrap();
        let queued = store.leaves(1, 99_999).await.unwrap();
        assert_eq!(queued.len() as u64, head.size);
        for (index, leaf) in (0..).zip(&queued) {
            assert_eq!(folder.entry(index, head.size).unwrap(), leaf.bytes(), "{index}");
            assert!(index == 0 || *leaf == statement(index), "{index}");
        }
        let shards = store.shards().await.unwrap();
        assert_eq!((shards.len(), shards[0].size()), (1, head.size));
        assert!(head.size > BEGUN + 5);
        store.close().await;
    });
    watch.look(&place);
}

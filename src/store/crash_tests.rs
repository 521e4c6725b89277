//! kill -9 in the midst of commits: nothing acknowledged is lost, nothing is stored twice, and in
//! the end the store holds what it would hold had nobody disturbed it.
//!
//! The test runs itself as another process that takes records in and prints each receipt's
//! number, kills it at moments drawn from a printed seed, and looks at the file. `LOA_CHAOS_KILLS`
//! makes it a long run of about so many kills.

use super::SqliteStore;
use crate::app::ingest::tests::{Signer, server_keys};
use crate::app::ingest::{Arrived, Ingest};
use crate::app::keyring::Keyring;
use crate::app::ports::{Evidence, Page, RecordFilter, Store};
use crate::clock::SystemClock;
use crate::domain::proof::record::Body;
use crate::wire::topic::Topics;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const FOLDER: &str = "LOA_TEST_CRASH_FOLDER";
const SEED: &str = "LOA_TEST_SEED";
const KILLS: &str = "LOA_CHAOS_KILLS";
const DEVICES: u8 = 3;

/// Records of each device: a run takes in a dozen or so between two kills.
fn records() -> usize {
    let kills: Option<usize> =
        std::env::var(KILLS).ok().map(|text| text.parse().expect("a number of kills"));
    kills.map_or(300, |kills| kills * 16)
}

/// A small generator of our own: the same seed gives the same run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

fn devices() -> Vec<Signer> {
    (1..=DEVICES)
        .map(|n| {
            let mut loa = Signer::new(&format!("loa-{n}"), n);
            for seq in 1..=records() {
                loa.sign(Body::Beat { head: None, pending: seq as u64, stored: 0 });
            }
            loa
        })
        .collect()
}

/// Every device's records from its receipt on, in batches, doubled and out of order now and then.
async fn take_in(store: Arc<SqliteStore>, draw: &mut Draw) {
    let devices = devices();
    let mut ingest = Ingest::new(
        Arc::<SqliteStore>::clone(&store),
        Keyring::rooted(&server_keys()),
        Topics::default(),
        "Đài".into(),
        Arc::new(SystemClock::new()),
    );
    loop {
        let mut arrived: Vec<Arrived> = Vec::new();
        for loa in &devices {
            let upto = store.chain(&loa.id, &loa.chain).await.unwrap().map_or(0, |c| c.upto);
            let from = usize::try_from(upto).unwrap() + 1;
            let to = (from + 4 + usize::try_from(draw.below(12)).unwrap()).min(records());
            if from <= records() {
                arrived.push(loa.batch((from..=to).rev()));
                arrived.push(loa.batch(from.saturating_sub(2).max(1)..=to));
            }
        }
        if !arrived.is_empty() {
            ingest.take(&arrived).await.unwrap();
        }
        let mut out = std::io::stdout().lock();
        for receipt in store.receipts().await.unwrap() {
            writeln!(out, "\nack {} {}", receipt.device, receipt.upto).unwrap();
        }
        out.flush().unwrap();
        // Said once more, as a server does at its start: the kill before may have come between the
        // last commit and its word.
        if arrived.is_empty() {
            return;
        }
    }
}

#[test]
#[ignore = "the process that is killed; run by the test below"]
fn takes_records_in_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { panic!("run by the test below") };
    let mut draw = Draw(std::env::var(SEED).unwrap().parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let path = Path::new(&folder).join("loa.db");
        let store = Arc::new(SqliteStore::open(&path).await.unwrap());
        take_in(store, &mut draw).await;
    });
}

async fn look(path: &Path, acknowledged: &[u64]) -> u64 {
    let store = SqliteStore::open(path).await.unwrap();
    let sound: String =
        sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&store.write).await.unwrap();
    assert_eq!(sound, "ok");
    let mut least = u64::MAX;
    for (loa, acknowledged) in devices().iter().zip(acknowledged) {
        let filter = RecordFilter { device: Some(loa.id.clone()), ..RecordFilter::default() };
        let page = Page::After { position: 0, limit: 1_000_000 };
        let listed = store.records(&filter, page).await.unwrap();
        let seqs: Vec<u64> = listed.iter().map(|listed| listed.record.seq).collect();
        let distinct: BTreeSet<u64> = seqs.iter().copied().collect();
        assert_eq!(seqs.len(), distinct.len(), "a record is doubled");
        for listed in &listed {
            let at = usize::try_from(listed.record.seq).unwrap() - 1;
            assert_eq!(&*listed.record.jws, loa.lines[at].as_str(), "byte for byte");
            assert_eq!(listed.record.fault, None);
        }
        let upto = store.chain(&loa.id, &loa.chain).await.unwrap().map_or(0, |c| c.upto);
        assert!(
            upto >= *acknowledged,
            "{}: {acknowledged} was acknowledged, {upto} is there",
            loa.id
        );
        assert!((1..=upto).all(|seq| distinct.contains(&seq)), "a record is lost");
        let receipt = store.receipt_of(&loa.id).await.unwrap().map_or(0, |r| r.upto);
        assert_eq!(receipt, upto, "chain and receipt are committed together");
        least = least.min(upto);
    }
    store.close().await;
    least
}

/// What the store knows of the devices' records, but for when and in which order they came.
const CONTENTS: [&str; 5] = [
    "SELECT 'record ' || device || quote(chain) || seq || quote(digest) || quote(prev) || kid ||
     kind || quote(cue) || at_ms || via || quote(fault) || jws
     FROM records ORDER BY device, chain, seq",
    "SELECT 'chain ' || device || quote(chain) || upto || quote(head) || quote(first_at_ms) ||
     quote(upto_at_ms) || lost FROM chains ORDER BY device, chain",
    "SELECT 'receipt ' || device || quote(chain) || upto FROM receipts ORDER BY device",
    "SELECT 'conflicts ' || COUNT(*) FROM conflicts",
    "SELECT 'rejects ' || COUNT(*) FROM rejects",
];

async fn contents(path: &Path) -> Vec<String> {
    let store = SqliteStore::open(path).await.unwrap();
    let mut all = Vec::new();
    for query in CONTENTS {
        let rows: Vec<String> = sqlx::query_scalar(query).fetch_all(&store.read).await.unwrap();
        all.extend(rows);
    }
    store.close().await;
    all
}

/// A store that knows the devices and none of their records.
async fn begin(path: &Path) {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(path).await.unwrap());
    for loa in devices() {
        loa.enrol(&*store).await;
        assert_eq!(store.keys_of(&loa.id).await.unwrap().len(), 1);
    }
}

/// What a store holds that took everything in without a kill, each record once and in order.
async fn undisturbed() -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("loa.db");
    begin(&path).await;
    let store = Arc::new(SqliteStore::open(&path).await.unwrap());
    let mut ingest = Ingest::new(
        Arc::<SqliteStore>::clone(&store),
        Keyring::rooted(&server_keys()),
        Topics::default(),
        "Đài".into(),
        Arc::new(SystemClock::new()),
    );
    let devices = devices();
    let seqs: Vec<usize> = (1..=records()).collect();
    for batch in seqs.chunks(100) {
        let arrived: Vec<_> = devices.iter().map(|loa| loa.batch(batch.iter().copied())).collect();
        ingest.take(&arrived).await.unwrap();
    }
    store.close().await;
    contents(&path).await
}

#[test]
fn a_process_killed_in_the_midst_of_commits_leaves_the_store_of_an_undisturbed_one() {
    let seed: u64 = match std::env::var(SEED) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => u64::from(std::process::id()),
    };
    println!("{SEED}={seed}");
    let mut draw = Draw(seed);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("loa.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(begin(&path));
    let mut acknowledged = vec![0; usize::from(DEVICES)];
    let mut kills = 0;
    for run in 0..records() as u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .arg("store::crash_tests::takes_records_in_until_it_is_killed")
            .env(FOLDER, dir.path())
            .env(SEED, (seed + run).to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // After so many words, and a moment more: anywhere in the next commits.
        let words = 1 + draw.below(if std::env::var(KILLS).is_ok() { 3 } else { 12 });
        let moment = Duration::from_micros(draw.below(15_000));
        let mut heard = 0;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut note = |line: &str| {
            let mut words = line.strip_prefix("ack loa-")?.split(' ');
            let device: usize = words.next()?.parse().ok()?;
            acknowledged[device - 1] = words.next()?.parse().ok()?;
            Some(())
        };
        while heard < words {
            let Some(Ok(line)) = lines.next() else { break };
            heard += u64::from(note(&line).is_some());
        }
        std::thread::sleep(moment);
        let ended = child.try_wait().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            note(&line);
        }
        let least = runtime.block_on(look(&path, &acknowledged));
        if let Some(status) = ended {
            assert!(status.success(), "run {run}: {status}");
            assert_eq!(least, records() as u64);
            break;
        }
        kills += 1;
    }
    println!("{kills} kills");
    assert!(kills >= 3, "killed {kills} times only: the test shows nothing");
    assert!(acknowledged.iter().all(|upto| *upto == records() as u64), "{acknowledged:?}");
    let (found, wanted) = runtime.block_on(async { (contents(&path).await, undisturbed().await) });
    assert_eq!(wanted.len(), records() * usize::from(DEVICES) + 2 * usize::from(DEVICES) + 2);
    for (found, wanted) in found.iter().zip(&wanted) {
        assert_eq!(found, wanted);
    }
    assert_eq!(found.len(), wanted.len());
}

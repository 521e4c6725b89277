//! Lines in, receipts out: over the in-memory store and over the file.

mod aside;
mod covered;

use crate::app::keyring::Keyring;
use crate::store::{SqliteStore, memory::MemoryStore};
use crate::wire::server_keys::ServerKeys;

use super::*;
use crate::app::ports::*;
use crate::clock::ManualClock;
use crate::domain::ids::{CueId, Digest};
use crate::domain::proof::record::*;
use crate::domain::station::Device;
use crate::log::leaf::ServerBody;
use crate::wire::doc::{Command, Do, Receipt};
use crate::wire::jws::{self, OneKey, Role, SecretKey, Typ};
use crate::wire::record;
use proptest::prelude::*;

const NOW: UtcMs = UtcMs(1_900_000_000_000);

/// A device that signs records one after another.
pub(crate) struct Signer {
    pub id: DeviceId,
    pub key: SecretKey,
    pub chain: ChainId,
    pub lines: Vec<String>,
}

impl Signer {
    pub fn new(id: &str, seed: u8) -> Self {
        Self {
            id: id.parse().unwrap(),
            key: SecretKey::from_seed(&[seed; 32]),
            chain: ChainId([seed; 16]),
            lines: vec![],
        }
    }

    pub fn record(&self, seq: u64, prev: Option<Digest>, body: Body) -> Record {
        let head = Head {
            v: 1,
            dev: self.id.clone(),
            chain: self.chain,
            boot: 1,
            seq,
            prev,
            at_ms: UtcMs(NOW.0 + i64::try_from(seq).unwrap() * 1_000),
            mono_ms: 5,
            clock: ClockNote { src: ClockSource::Ntp, age_s: Some(1), err_ms: Some(5) },
            seen: None,
            attestor: Attestor::Device,
        };
        Record { head, body }
    }

    pub fn sign(&mut self, body: Body) -> String {
        let prev = self.lines.last().map(|line| record::digest(line));
        let seq = self.lines.len() as u64 + 1;
        let line = record::sign(&self.key, &self.record(seq, prev, body)).unwrap();
        self.lines.push(line.clone());
        line
    }

    pub fn beats(&mut self, n: usize) {
        for _ in 0..n {
            self.sign(Body::Beat { head: None, pending: 0, stored: 0 });
        }
    }

    pub fn batch(&self, seqs: impl IntoIterator<Item = usize>) -> Arrived {
        let lines: Vec<_> = seqs.into_iter().map(|seq| self.lines[seq - 1].as_str()).collect();
        self.raw(&lines.join("\n"))
    }

    pub fn raw(&self, lines: &str) -> Arrived {
        Arrived { device: self.id.clone(), lines: Bytes::copy_from_slice(lines.as_bytes()) }
    }

    pub async fn enrol(&self, store: &dyn Store) {
        let device = Device {
            id: self.id.clone(),
            name: "Cụm loa".into(),
            unit: "10363".parse().unwrap(),
            tags: vec![],
            profile: "loa".parse().unwrap(),
            volume_cap: 100,
            trim_ms: 0,
            behind: None,
        };
        store.put_devices(&[device], UtcMs(0)).await.unwrap();
        let code = Digest::of(self.id.as_str().as_bytes());
        store
            .put_code(&EnrolmentCode {
                id: code,
                device: self.id.clone(),
                secret: vec![1],
                made_ms: UtcMs(0),
                expires_ms: UtcMs(100),
                used: None,
                refused: 0,
                last_refusal: None,
            })
            .await
            .unwrap();
        let enrolled = store
            .enrol(&Enrolment {
                code,
                device: self.id.clone(),
                kid: self.key.kid().to_string(),
                key: self.key.public().to_bytes(),
                password: Digest([0; 32]),
                at_ms: UtcMs(1),
            })
            .await
            .unwrap();
        assert_eq!(enrolled, Enrolled::Done);
    }
}

pub(crate) fn server_keys() -> Arc<ServerKeys> {
    Arc::new(ServerKeys::from_seeds(&[[101; 32], [102; 32], [103; 32], [104; 32], [105; 32]]))
}

struct Desk {
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    ingest: Ingest,
}

fn desk(store: Arc<dyn Store>) -> Desk {
    let clock = Arc::new(ManualClock::new(NOW));
    let ingest = Ingest::new(
        Arc::clone(&store),
        Keyring::rooted(&server_keys()),
        Topics::default(),
        "Đài xã".into(),
        Arc::<ManualClock>::clone(&clock),
    );
    Desk { store, clock, ingest }
}

fn receipt(publication: &Publication) -> Receipt {
    assert!(publication.retain);
    let key = OneKey { key: server_keys().receipt.public(), role: Role::Receipt };
    let text = std::str::from_utf8(&publication.payload).unwrap();
    let opened = jws::open::<Receipt>(text, Typ::Receipt, Role::Receipt, &key).unwrap();
    opened.claims.check().unwrap();
    assert_eq!(publication.topic, format!("loa/1/d/{}/receipt", opened.claims.aud));
    opened.claims
}

fn command(publication: &Publication) -> Command {
    assert!(!publication.retain, "a command is never retained");
    let key = OneKey { key: server_keys().schedule.public(), role: Role::Schedule };
    let text = std::str::from_utf8(&publication.payload).unwrap();
    let opened = jws::open::<Command>(text, Typ::Command, Role::Schedule, &key).unwrap();
    opened.claims.check().unwrap();
    opened.claims
}

async fn stored(store: &dyn Store, device: &DeviceId) -> Vec<(u64, String, Option<String>)> {
    let filter = RecordFilter { device: Some(device.clone()), ..RecordFilter::default() };
    let listed = store.records(&filter, Page::After { position: 0, limit: 10_000 }).await.unwrap();
    let mut found: Vec<_> = listed
        .into_iter()
        .map(|l| (l.record.seq, l.record.jws.to_string(), l.record.fault))
        .collect();
    found.sort();
    found
}

#[tokio::test]
async fn a_batch_is_durable_and_its_receipt_names_the_head() {
    let mut desk = desk(Arc::new(MemoryStore::default()));
    let mut loa = Signer::new("loa-1", 1);
    loa.enrol(&*desk.store).await;
    loa.beats(3);
    let taken = desk.ingest.take(&[loa.batch(1..=3)]).await.unwrap();
    assert_eq!(taken.publications.len(), 1);
    let word = receipt(&taken.publications[0]);
    assert_eq!((word.upto, word.head), (3, Some(record::digest(&loa.lines[2]))));
    assert_eq!((word.chain, word.iat), (loa.chain, NOW.numeric_date()));
    let kept = stored(&*desk.store, &loa.id).await;
    let lines: Vec<_> = kept.iter().map(|(_, jws, _)| jws.clone()).collect();
    assert_eq!(lines, loa.lines, "byte for byte");
    assert!(kept.iter().all(|(_, _, fault)| fault.is_none()));

    desk.clock.pass(60_000);
    let again = desk.ingest.take(&[loa.batch(1..=3), loa.batch([2])]).await.unwrap();
    assert_eq!(again.publications, taken.publications, "the same receipt, the same bytes");
    assert_eq!((again.tally.duplicates, again.tally.stored), (4, 0));
    assert_eq!(stored(&*desk.store, &loa.id).await.len(), 3);
}

#[tokio::test]
async fn devices_that_report_together_are_committed_together() {
    let mut desk = desk(Arc::new(MemoryStore::default()));
    let mut devices: Vec<_> = (1..=9).map(|n| Signer::new(&format!("loa-{n}"), n)).collect();
    for loa in &mut devices {
        loa.enrol(&*desk.store).await;
        loa.beats(2);
    }
    let arrived: Vec<_> = devices.iter().map(|loa| loa.batch([1, 2])).collect();
    let taken = desk.ingest.take(&arrived).await.unwrap();
    let words: Vec<_> = taken.publications.iter().map(receipt).collect();
    assert_eq!(words.len(), 9);
    for (loa, word) in devices.iter().zip(&words) {
        assert_eq!((&word.aud, word.chain, word.upto), (&loa.id, loa.chain, 2));
    }
}

#[tokio::test]
async fn a_gap_is_asked_for_until_it_is_closed() {
    let mut desk = desk(Arc::new(MemoryStore::default()));
    let mut loa = Signer::new("loa-1", 1);
    loa.enrol(&*desk.store).await;
    loa.beats(7);
    let taken = desk.ingest.take(&[loa.batch([1, 2, 6, 7])]).await.unwrap();
    assert_eq!(receipt(&taken.publications[0]).upto, 2);
    let asked = command(&taken.publications[1]);
    assert_eq!(asked.act, Do::Resend { chain: loa.chain, from: 3, to: 5 });
    assert_eq!(desk.ingest.ask(), [], "not again at once");
    desk.clock.pass(20_000);
    let second = desk.ingest.ask();
    assert_eq!(command(&second[0]).act, asked.act);
    assert_ne!(command(&second[0]).jti, asked.jti, "a new order, obeyed anew");
    desk.clock.pass(20_000);
    assert_eq!(desk.ingest.ask(), [], "the wait doubles");
    let taken = desk.ingest.take(&[loa.batch([4, 3, 5])]).await.unwrap();
    assert_eq!(receipt(&taken.publications[0]).upto, 7);
    desk.clock.pass(900_000);
    assert_eq!((taken.publications.len(), desk.ingest.ask()), (1, vec![]));
    assert!(stored(&*desk.store, &loa.id).await.iter().all(|(.., fault)| fault.is_none()));
}

/// Returns the gaps that the log tells of.
async fn said_missing(store: &dyn Store) -> Vec<(u64, u64)> {
    let leaves = store.leaves(1, 9_999).await.unwrap();
    let gaps = leaves.iter().filter_map(|leaf| match leaf.statement()?.unwrap().body {
        ServerBody::Gap { from, to, .. } => Some((from, to)),
        _ => None,
    });
    gaps.collect()
}

#[tokio::test]
async fn each_missing_number_is_said_once_with_what_shows_it() {
    let mut desk = desk(Arc::new(MemoryStore::default()));
    let mut loa = Signer::new("loa-1", 1);
    loa.enrol(&*desk.store).await;
    loa.beats(12);
    let batches: [&[usize]; 6] = [&[3, 2, 1], &[6], &[7, 9, 6], &[5], &[12, 11, 5], &[4, 8, 10]];
    for batch in batches {
        desk.ingest.take(&[loa.batch(batch.iter().copied())]).await.unwrap();
    }
    let said = said_missing(&*desk.store).await;
    assert_eq!(said, [(4, 5), (8, 8), (10, 10)]);
    desk.ingest.take(&[loa.batch(1..=12)]).await.unwrap();
    assert_eq!(said_missing(&*desk.store).await, said, "nothing is missing any more");
    // Numbers that the device declares lost are explained by that record.
    let mut other = Signer::new("loa-2", 2);
    other.enrol(&*desk.store).await;
    other.beats(3);
    other.sign(Body::Lost { from: 2, to: 3, n: 2, hash: Digest([4; 32]) });
    desk.ingest.take(&[other.batch([1, 4])]).await.unwrap();
    assert_eq!(said_missing(&*desk.store).await, said);
}

#[tokio::test]
async fn lost_numbers_are_passed_when_the_device_says_so() {
    let mut desk = desk(Arc::new(MemoryStore::default()));
    let mut loa = Signer::new("loa-1", 1);
    loa.enrol(&*desk.store).await;
    loa.beats(6);
    loa.sign(Body::Lost { from: 2, to: 4, n: 3, hash: Digest([4; 32]) });
    desk.ingest.take(&[loa.batch([1, 5])]).await.unwrap();
    let taken = desk.ingest.take(&[loa.batch([6, 7])]).await.unwrap();
    let word = receipt(&taken.publications[0]);
    assert_eq!((word.upto, word.head), (7, Some(record::digest(&loa.lines[6]))));
    let chain = desk.store.chain(&loa.id, &loa.chain).await.unwrap().unwrap();
    assert_eq!((chain.upto, chain.lost), (7, vec![]));
}

#[tokio::test]
async fn two_records_at_one_place_are_both_kept() {
    let mut desk = desk(Arc::new(MemoryStore::default()));
    let mut loa = Signer::new("loa-1", 1);
    loa.enrol(&*desk.store).await;
    loa.beats(3);
    let prev = Some(record::digest(&loa.lines[0]));
    let clone = loa.record(2, prev, Body::Chain { why: "bản sao".into() });
    let clone = record::sign(&loa.key, &clone).unwrap();
    desk.ingest.take(&[loa.batch(1..=3)]).await.unwrap();
    for _ in 0..2 {
        let taken = desk.ingest.take(&[loa.raw(&clone)]).await.unwrap();
        assert_eq!(taken.tally.conflicts, 1);
        assert_eq!(receipt(&taken.publications[0]).upto, 3);
    }
    let conflicts = desk.store.conflicts(10).await.unwrap();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(
        (&*conflicts[0].record.jws, conflicts[0].first),
        (&*clone, record::digest(&loa.lines[1]))
    );
    assert_eq!(stored(&*desk.store, &loa.id).await.len(), 3);
}

#[tokio::test]
async fn a_rightly_signed_record_is_stored_whatever_it_says() {
    let mut desk = desk(Arc::new(MemoryStore::default()));
    let mut loa = Signer::new("loa-1", 1);
    loa.enrol(&*desk.store).await;
    loa.beats(1);
    let mut add = |change: &dyn Fn(&mut serde_json::Value)| {
        let prev = loa.lines.last().map(|line| record::digest(line));
        let seq = loa.lines.len() as u64 + 1;
        let record = loa.record(seq, prev, Body::Beat { head: None, pending: 0, stored: 0 });
        let mut value = serde_json::to_value(record).unwrap();
        change(&mut value);
        loa.lines.push(jws::sign(&loa.key, Typ::Record, &value));
    };
    add(&|v| v["kind"] = "hologram".into());
    add(&|v| v["v"] = 2.into());
    add(&|v| v["prev"] = Digest([9; 32]).to_string().into());
    add(&|v| v["dev"] = "loa-2".into());
    add(&|v| v["clock"] = "sundial".into());
    add(&|v| v["at_ms"] = (-1_i64).into());
    let n = loa.lines.len();
    let taken = desk.ingest.take(&[loa.batch(1..=n)]).await.unwrap();
    assert_eq!(receipt(&taken.publications[0]).upto, n as u64, "never dropped, then acknowledged");
    let faults: Vec<_> =
        stored(&*desk.store, &loa.id).await.into_iter().map(|(_, _, f)| f).collect();
    let faults: Vec<_> = faults.iter().map(Option::as_deref).collect();
    assert_eq!(
        faults,
        [
            None,
            None,
            Some("content: unsupported"),
            Some("prev"),
            Some("dev"),
            Some("content: member"),
            None
        ]
    );
    let kinds = RecordFilter { kind: Some("hologram".into()), ..RecordFilter::default() };
    assert_eq!(desk.store.records(&kinds, Page::Newest { limit: 9 }).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_signed_line_without_a_place_is_kept_too() {
    let mut desk = desk(Arc::new(MemoryStore::default()));
    let mut loa = Signer::new("loa-1", 1);
    loa.enrol(&*desk.store).await;
    let stray = jws::sign(&loa.key, Typ::Record, &serde_json::json!({"v": 1, "seq": 0}));
    loa.beats(1);
    let both = format!("{stray}\n{}", loa.lines[0]);
    for _ in 0..3 {
        desk.ingest.take(&[loa.raw(&both)]).await.unwrap();
    }
    let kept = desk.store.rejects(9).await.unwrap();
    assert_eq!(kept.len(), 1, "once");
    assert_eq!((kept[0].signed, &*kept[0].reason), (Signed::Yes, "place"));
    assert_eq!(kept[0].bytes, stray.as_bytes());
}

#[tokio::test]
async fn strangers_and_garbage_are_rejected_with_a_reason_and_harm_nothing() {
    let mut desk = desk(Arc::new(MemoryStore::default()));
    let mut loa = Signer::new("loa-1", 1);
    loa.enrol(&*desk.store).await;
    loa.beats(2);
    desk.ingest.take(&[loa.batch([1])]).await.unwrap();
    let mut thief = Signer::new("loa-1", 9);
    thief.beats(2);
    let forged = format!("{}\nxxx\n{}", thief.lines[1], loa.lines[1]);
    let taken = desk.ingest.take(&[loa.raw(&forged)]).await.unwrap();
    assert_eq!((taken.tally.rejects, taken.tally.stored), (2, 1));
    assert_eq!(receipt(&taken.publications[0]).upto, 2, "the good line counts");
    for (bytes, reason) in
        [("", "empty"), ("đ", "jws"), (&"x".repeat(70_000), "limit"), (&"\n".repeat(600), "limit")]
    {
        let taken = desk.ingest.take(&[loa.raw(bytes)]).await.unwrap();
        assert_eq!(receipt(&taken.publications[0]).upto, 2, "each batch is answered");
        let reject = &desk.store.rejects(1).await.unwrap()[0];
        assert_eq!(reject.reason, reason);
        assert!(reject.bytes.len() <= 4_096);
    }
    let nobody = Signer::new("loa-9", 7);
    let taken = desk.ingest.take(&[nobody.raw(&loa.lines[0])]).await.unwrap();
    assert_eq!(taken.publications, []);
    let reasons: Vec<_> =
        desk.store.rejects(99).await.unwrap().into_iter().map(|r| r.reason).collect();
    assert_eq!(reasons, ["unknown-key", "limit", "limit", "jws", "empty", "jws", "unknown-key"]);
}

#[tokio::test]
async fn a_full_disk_stops_the_receipts_says_so_and_resumes() {
    let store = Arc::new(MemoryStore::default());
    let mut desk = desk(Arc::<MemoryStore>::clone(&store));
    let condition = desk.ingest.condition();
    let mut loa = Signer::new("loa-1", 1);
    loa.enrol(&*desk.store).await;
    loa.beats(2);
    desk.ingest.take(&[loa.batch([1])]).await.unwrap();
    store.set_full(true);
    desk.clock.pass(1_000);
    for _ in 0..2 {
        let refused = desk.ingest.take(&[loa.batch([2])]).await;
        assert!(matches!(refused, Err(IngestError::Store(StoreError::Full { .. }))));
    }
    match &*condition.borrow() {
        Condition::Stopped { since_ms, why, hint, .. } => {
            assert_eq!(*since_ms, NOW.plus(1_000));
            assert!(why.contains("disk of the store is full"), "{why}");
            assert!(hint.contains("free space"), "{hint}");
        }
        other @ Condition::Working(_) => panic!("{other:?}"),
    }
    assert_eq!(stored(&*desk.store, &loa.id).await.len(), 1);
    store.set_full(false);
    let taken = desk.ingest.take(&[loa.batch([2])]).await.unwrap();
    assert_eq!(receipt(&taken.publications[0]).upto, 2);
    assert!(matches!(*condition.borrow(), Condition::Working(tally) if tally.stored == 2));
}

#[tokio::test]
async fn a_new_chain_begins_beside_the_old_one() {
    let mut desk = desk(Arc::new(MemoryStore::default()));
    let mut old = Signer::new("loa-1", 1);
    old.enrol(&*desk.store).await;
    old.beats(2);
    let mut new = Signer::new("loa-1", 1);
    new.chain = ChainId([77; 16]);
    new.sign(Body::Chain { why: "storage".into() });
    let both = format!("{}\n{}\n{}", old.lines[0], old.lines[1], new.lines[0]);
    let taken = desk.ingest.take(&[old.raw(&both)]).await.unwrap();
    let words: Vec<_> = taken.publications.iter().map(receipt).collect();
    assert_eq!((words[0].chain, words[0].upto), (old.chain, 2));
    assert_eq!((words[1].chain, words[1].upto), (new.chain, 1), "the newest is retained");
    assert_eq!(desk.store.chains_of(&old.id).await.unwrap().len(), 2);
    assert_eq!(desk.store.receipt_of(&old.id).await.unwrap().unwrap().chain, new.chain);
}

#[tokio::test]
async fn a_replaced_key_still_counts_and_a_revoked_one_enters_by_import_alone() {
    let mut desk = desk(Arc::new(MemoryStore::default()));
    let mut loa = Signer::new("loa-1", 1);
    loa.enrol(&*desk.store).await;
    loa.beats(2);
    desk.store.revoke(&loa.id, "mất trộm", "lan", NOW).await.unwrap();
    let taken = desk.ingest.take(&[loa.batch([1, 2])]).await.unwrap();
    assert_eq!((taken.tally.rejects, taken.publications.len()), (2, 0));
    let tally = desk.ingest.import(&[loa.batch([1, 2])]).await.unwrap();
    assert_eq!(tally.stored, 2);
    let all =
        desk.store.records(&RecordFilter::default(), Page::Newest { limit: 9 }).await.unwrap();
    for listed in all {
        assert_eq!(
            (listed.record.via, listed.record.fault.as_deref()),
            (Via::Import, Some("revoked"))
        );
    }
}

#[tokio::test]
async fn a_restarted_ingest_goes_on_where_the_file_stands() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("loa.db");
    let mut loa = Signer::new("loa-1", 1);
    loa.beats(9);
    let store = Arc::new(SqliteStore::open(&path).await.unwrap());
    loa.enrol(&*store).await;
    let mut first = desk(Arc::<SqliteStore>::clone(&store));
    first.ingest.take(&[loa.batch([1, 2, 5, 8])]).await.unwrap();
    drop(first);
    store.close().await;

    let store = Arc::new(SqliteStore::open(&path).await.unwrap());
    let mut second = desk(Arc::<SqliteStore>::clone(&store));
    let taken = second.ingest.take(&[loa.batch([5, 2])]).await.unwrap();
    assert_eq!((taken.tally.duplicates, taken.tally.stored), (2, 0));
    assert_eq!(
        command(&taken.publications[1]).act,
        Do::Resend { chain: loa.chain, from: 3, to: 4 }
    );
    let taken = second.ingest.take(&[loa.batch([3, 4, 6, 7, 9])]).await.unwrap();
    assert_eq!(receipt(&taken.publications[0]).upto, 9);
    assert!(stored(&*store, &loa.id).await.iter().all(|(.., fault)| fault.is_none()));
}

#[tokio::test]
async fn two_ingests_on_one_store_never_store_twice() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let (mut a, mut b) = (desk(Arc::clone(&store)), desk(Arc::clone(&store)));
    let mut loa = Signer::new("loa-1", 1);
    loa.enrol(&*store).await;
    loa.beats(6);
    a.ingest.take(&[loa.batch([1, 2])]).await.unwrap();
    b.ingest.take(&[loa.batch([1, 2, 3])]).await.unwrap();
    let taken = a.ingest.take(&[loa.batch([3, 4])]).await.unwrap();
    assert_eq!((taken.tally.duplicates, taken.tally.stored), (1, 1));
    assert_eq!(receipt(&taken.publications[0]).upto, 4);
    let taken = b.ingest.take(&[loa.batch([4, 5, 6])]).await.unwrap();
    assert_eq!(receipt(&taken.publications[0]).upto, 6);
    assert_eq!(stored(&*store, &loa.id).await.len(), 6);
}

#[tokio::test]
async fn an_ingest_that_lost_its_share_acknowledges_nothing_of_it_and_the_rest_as_ever() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let (mut lost, mut kept) = (Signer::new("loa-1", 1), Signer::new("loa-2", 2));
    let names = [&lost.id, &kept.id].map(|id| LeaseName::Ingest(Shares::of(id)));
    assert_ne!(names[0], names[1]);
    let held = store.take_leases(&names, "a", UtcMs(0), UtcMs(10)).await.unwrap();
    let shares = Shares::default();
    shares.hold(held.iter().map(Lease::fence));
    let mut desk = desk(Arc::clone(&store));
    desk.ingest = desk.ingest.sharing(shares.clone());
    for signer in [&mut lost, &mut kept] {
        signer.enrol(&*store).await;
        signer.beats(2);
    }
    let both = [lost.batch([1]), kept.batch([1])];
    assert_eq!(desk.ingest.take(&both).await.unwrap().tally.stored, 2);

    // Another process takes the share and goes on with it, and this one does not know yet.
    store.take_lease(names[0], "b", UtcMs(20), UtcMs(30)).await.unwrap().unwrap();
    let taken = desk.ingest.take(&[lost.batch([2]), kept.batch([2])]).await.unwrap();
    assert_eq!((taken.tally.stored, taken.publications.len()), (1, 1));
    assert!(taken.publications[0].topic.contains("/loa-2/"), "{taken:?}");
    assert_eq!(stored(&*store, &lost.id).await.len(), 1);
    assert_eq!(stored(&*store, &kept.id).await.len(), 2);
    assert!(!shares.holds(&lost.id) && shares.holds(&kept.id));
    // What is not its own is left to the other one without a word.
    let taken = desk.ingest.take(&[lost.batch([2])]).await.unwrap();
    assert_eq!(taken, Taken::default());
}

#[tokio::test]
async fn the_cue_of_a_play_is_found_again() {
    let mut desk = desk(Arc::new(MemoryStore::default()));
    let mut loa = Signer::new("loa-1", 1);
    loa.enrol(&*desk.store).await;
    let cue = CueId([5; 16]);
    loa.sign(Body::Start { subject: Subject::Cue { cue }, n: 1, started_ms: NOW });
    loa.beats(1);
    desk.ingest.take(&[loa.batch([1, 2])]).await.unwrap();
    let filter = RecordFilter { cue: Some(cue), ..RecordFilter::default() };
    let found = desk.store.records(&filter, Page::Newest { limit: 9 }).await.unwrap();
    assert_eq!((found.len(), found[0].record.kind.as_str()), (1, "start"));
}

#[tokio::test]
async fn what_was_refused_on_the_topic_of_a_notice_is_found_by_the_notice() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let mut desk = desk(Arc::clone(&store));
    let mut device = Signer::new("loa-1", 1);
    device.enrol(&*store).await;
    device.beats(1);
    for topic in ["loa/1/u/10363/urgent/n-1", "loa/1/u/10363/hold", "urgent/n-1", "u/n-1"] {
        let (reason, first) = ("limit".to_owned(), Digest::of(b"x"));
        let topic = topic.to_owned();
        device.sign(Body::Refuse { topic, reason, n: 1, first, from_ms: NOW });
    }
    desk.ingest.take(&[device.batch(1..=5)]).await.unwrap();
    let filter = RecordFilter { jti: Some("n-1".to_owned()), ..RecordFilter::default() };
    let page = Page::After { position: 0, limit: 10 };
    let found = store.records(&filter, page).await.unwrap();
    let seqs: Vec<u64> = found.iter().map(|listed| listed.record.seq).collect();
    assert_eq!(seqs, [2], "other topics name no notice");
}

#[tokio::test]
async fn the_loop_answers_and_stops_when_told() {
    let desk = desk(Arc::new(MemoryStore::default()));
    let mut loa = Signer::new("loa-1", 1);
    loa.enrol(&*desk.store).await;
    loa.beats(4);
    let (send, incoming) = mpsc::channel(4);
    let (out, mut published) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let running = tokio::spawn(desk.ingest.run(incoming, out, stop.clone()));
    send.send(loa.batch([1, 2])).await.unwrap();
    assert_eq!(receipt(&published.recv().await.unwrap()).upto, 2);
    send.send(loa.batch([4])).await.unwrap();
    assert_eq!(receipt(&published.recv().await.unwrap()).upto, 2);
    assert!(matches!(command(&published.recv().await.unwrap()).act, Do::Resend { from: 3, .. }));
    stop.cancel();
    running.await.unwrap();
}

fn shaken() -> impl Strategy<Value = Vec<Vec<usize>>> {
    let batch = proptest::collection::vec(1_usize..=12, 1..6);
    proptest::collection::vec(batch, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig {
        // Cases that failed once are tried first; the root of the repository stays tidy.
        failure_persistence: Some(Box::new(proptest::test_runner::FileFailurePersistence::Direct(
            "tests/regressions/ingest.txt",
        ))),
        ..ProptestConfig::with_cases(40)
    })]
    #[test]
    fn lost_doubled_and_reordered_batches_end_in_the_same_ledger(
        batches in shaken(),
        rest in Just((1..=12).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut loa = Signer::new("loa-1", 1);
            loa.beats(12);
            let mut straight = desk(Arc::new(MemoryStore::default()));
            loa.enrol(&*straight.store).await;
            straight.ingest.take(&[loa.batch(1..=12)]).await.unwrap();
            let mut other = desk(Arc::new(MemoryStore::default()));
            loa.enrol(&*other.store).await;
            for batch in batches {
                let _ = other.ingest.take(&[loa.batch(batch)]).await.unwrap();
            }
            let rest: Vec<_> = rest.chunks(5).map(|part| loa.batch(part.iter().copied())).collect();
            let taken = other.ingest.take(&rest).await.unwrap();
            let word = receipt(&taken.publications[0]);
            prop_assert_eq!(word.upto, 12);
            prop_assert_eq!(
                stored(&*other.store, &loa.id).await,
                stored(&*straight.store, &loa.id).await
            );
            Ok(())
        })?;
    }

    #[test]
    fn no_bytes_make_the_ingest_panic_or_store(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut desk = desk(Arc::new(MemoryStore::default()));
            let loa = Signer::new("loa-1", 1);
            loa.enrol(&*desk.store).await;
            let arrived = Arrived { device: loa.id.clone(), lines: bytes.into() };
            let taken = desk.ingest.take(&[arrived]).await.unwrap();
            prop_assert_eq!(taken.tally.stored, 0);
            prop_assert!(taken.tally.rejects > 0);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_round_is_full_after_so_many_bytes_and_the_rest_waits() {
    let (send, mut incoming) = mpsc::channel(1_000);
    let batch = |bytes: usize| Arrived {
        device: DeviceId::new("loa-thon-1").unwrap(),
        lines: Bytes::from(vec![b'x'; bytes]),
    };
    for _ in 0..40 {
        send.try_send(batch(64 << 10)).unwrap();
    }
    let mut round = vec![incoming.recv().await.unwrap()];
    super::fill(&mut round, &mut incoming);
    assert_eq!(round.len() * (64 << 10), super::ROUND_BYTES);
    assert_eq!(incoming.len(), 8, "left for the next round");
    for _ in 0..500 {
        send.try_send(batch(100)).unwrap();
    }
    let mut round = Vec::new();
    super::fill(&mut round, &mut incoming);
    assert_eq!(round.len(), super::ROUND, "small ones by number");
}

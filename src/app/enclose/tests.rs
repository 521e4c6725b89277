//! Tests of enclosing, over the in-memory store.

use super::*;
use crate::app::ports::{
    Enclosure, Evidence as _, Intake, IntakeRound, Logbook as _, Page, RecordFilter, StoredChain,
    StoredRecord, Via,
};
use crate::clock::ManualClock;
use crate::domain::ids::Digest;
use crate::log::leaf::{Leaf, ServerBody};
use crate::store::memory::MemoryStore;
use proptest::prelude::*;

const NOW: UtcMs = UtcMs(1_800_000_000_000);
const MINUTE: i64 = 60_000;

struct Bench {
    store: Arc<MemoryStore>,
    encloser: Encloser,
    shard: String,
    logged: i64,
}

impl Bench {
    async fn new() -> Self {
        let store: Arc<MemoryStore> = Arc::default();
        let clock = Arc::new(ManualClock::new(NOW));
        let encloser = Encloser { page: 3, ..Encloser::new(store.clone(), clock) };
        let mut bench = Self { store, encloser, shard: String::new(), logged: 0 };
        bench.begin("2027").await;
        bench
    }

    async fn begin(&mut self, shard: &str) {
        let leaf = Leaf::server(NOW, &ServerBody::Shard { previous: None }).unwrap();
        self.log().await;
        self.store.begin_shard(shard, &leaf, self.logged, None).await.unwrap();
        shard.clone_into(&mut self.shard);
        self.log().await;
    }

    /// Logs what waits.
    async fn log(&mut self) {
        self.logged = self.store.newest_leaf().await.unwrap();
        self.store.note_logged(&self.shard, self.logged, None).await.unwrap();
    }

    /// Stores records of a device, each quoting a size of a shard.
    async fn tell(&mut self, device: &str, from: u64, quotes: &[Option<(&str, u64)>]) {
        let device: DeviceId = device.parse().unwrap();
        let chain = ChainId([1; 16]);
        let record = |(seq, seen): (u64, &Option<(&str, u64)>)| {
            let seen = seen.map(|(shard, size)| {
                format!("{{\"origin\":\"loa/test/{shard}\",\"size\":{size},\"root\":\"x\"}}")
            });
            let claims = format!("{{\"n\":{seq},\"seen\":{}}}", seen.as_deref().unwrap_or("null"));
            let jws = format!("x.{}.y", b64::encode(claims.as_bytes()));
            StoredRecord {
                device: device.clone(),
                chain,
                seq,
                digest: Digest::of(jws.as_bytes()),
                prev: None,
                kid: "k".into(),
                kind: "beat".into(),
                cue: None,
                jti: None,
                at_ms: NOW,
                received_ms: NOW,
                via: Via::Link,
                fault: None,
                jws: jws.into(),
            }
        };
        let add: Vec<_> = (from..).zip(quotes).map(record).collect();
        let revision = self.store.chain(&device, &chain).await.unwrap().map_or(0, |c| c.revision);
        let chain = StoredChain {
            device,
            chain,
            upto: from + add.len() as u64 - 1,
            head: None,
            first_at_ms: None,
            upto_at_ms: None,
            opened_ms: NOW,
            lost: vec![],
            revision,
        };
        let intake = Intake { chain, add, gaps: vec![], conflicts: vec![], faults: vec![] };
        let round = IntakeRound { intakes: vec![intake], ..IntakeRound::default() };
        self.store.commit_intake(&round, &[]).await.unwrap();
    }

    /// Logs what waits, and has it vouched for so many minutes after the beginning; returns the
    /// size of the tree.
    async fn vouch(&mut self, minutes: i64) -> u64 {
        self.log().await;
        let shards = self.store.shards().await.unwrap();
        let size = shards.last().unwrap().size();
        let head = Head { shard: self.shard.clone(), size, met_ms: NOW.plus(minutes * MINUTE) };
        self.encloser.take(&head, None).await.unwrap();
        size
    }

    async fn times(&self, device: &str) -> Vec<Enclosure> {
        let filter =
            RecordFilter { device: Some(device.parse().unwrap()), ..RecordFilter::default() };
        let page = Page::After { position: 0, limit: 999 };
        let listed = self.store.records(&filter, page).await.unwrap();
        listed.into_iter().map(|listed| listed.time).collect()
    }

    /// Returns what the log says is late.
    async fn said(&self) -> Vec<(String, u64, u64, Option<i64>)> {
        let leaves = self.store.leaves(1, 9_999).await.unwrap();
        let late = leaves.iter().filter_map(|leaf| match leaf.statement()?.unwrap().body {
            ServerBody::Late { dev, from, to, width_ms, .. } => {
                Some((dev.to_string(), from, to, width_ms.map(|ms| ms / MINUTE)))
            }
            _ => None,
        });
        late.collect()
    }
}

fn late(minutes: i64) -> Enclosure {
    Enclosure::Late { width_ms: Some(minutes * MINUTE) }
}

const UNBOUND: Enclosure = Enclosure::Late { width_ms: None };

#[tokio::test]
async fn a_record_is_judged_by_the_first_head_that_holds_it() {
    let mut bench = Bench::new().await;
    let first = bench.vouch(0).await;
    bench.tell("loa-1", 1, &[Some(("2027", first))]).await;
    assert_eq!(bench.times("loa-1").await, [Enclosure::Open]);
    bench.log().await;
    assert_eq!(bench.times("loa-1").await, [Enclosure::Open], "logged, and nobody vouched");
    let second = bench.vouch(59).await;
    bench.vouch(500).await;
    assert_eq!(bench.times("loa-1").await, [Enclosure::Tight]);
    // It quotes what was vouched for long before, after two days off the line.
    bench.tell("loa-1", 2, &[Some(("2027", second)); 5]).await;
    bench.vouch(59 + 61).await;
    assert_eq!(bench.times("loa-1").await[1..], vec![late(61); 5]);
    let said = bench.said().await;
    let pages: u64 = said.iter().map(|(_, from, to, _)| to - from + 1).sum();
    assert_eq!((said[0].1, said[0].3, pages), (2, Some(61), 5), "runs, not records: {said:?}");
    assert!(said.len() <= 3);
    assert_eq!(bench.store.evidence_counts().await.unwrap().late, 5);
}

#[tokio::test]
async fn what_an_earlier_record_quotes_bounds_the_later_ones() {
    let mut bench = Bench::new().await;
    let first = bench.vouch(0).await;
    bench.tell("loa-1", 1, &[Some(("2027", first)), None, Some(("2099", 5))]).await;
    bench.vouch(10).await;
    bench.tell("loa-1", 4, &[None]).await;
    bench.vouch(70).await;
    let times = bench.times("loa-1").await;
    assert_eq!(times[..3], [Enclosure::Tight; 3]);
    assert_eq!(times[3], late(70));
}

#[tokio::test]
async fn a_device_that_quotes_nothing_is_said_to_be_so_once() {
    let mut bench = Bench::new().await;
    bench.vouch(0).await;
    for n in 0..20_u64 {
        bench.tell("loa-1", 1 + n * 4, &[None; 4]).await;
        bench.vouch(1 + i64::try_from(n).unwrap()).await;
    }
    assert_eq!(bench.times("loa-1").await, [UNBOUND; 80]);
    assert_eq!(bench.said().await, [("loa-1".to_owned(), 1, 1, None)]);
    // From the first that does, it is judged as any other.
    let size = bench.vouch(30).await;
    bench.tell("loa-1", 81, &[Some(("2027", size)), None]).await;
    bench.vouch(31).await;
    assert_eq!(bench.times("loa-1").await[80..], [Enclosure::Tight; 2]);
}

#[tokio::test]
async fn what_does_not_stand_before_its_own_place_bounds_nothing() {
    let mut bench = Bench::new().await;
    bench.vouch(0).await;
    bench
        .tell("loa-1", 1, &[Some(("2027", 40)), Some(("2027", u64::MAX)), Some(("2027", 0))])
        .await;
    bench.vouch(1).await;
    assert_eq!(bench.times("loa-1").await, [UNBOUND; 3]);
}

#[tokio::test]
async fn the_years_turn_changes_nothing() {
    let mut bench = Bench::new().await;
    let first = bench.vouch(0).await;
    bench.tell("loa-1", 1, &[Some(("2027", first))]).await;
    bench.begin("2028").await;
    bench.tell("loa-1", 2, &[Some(("2027", first))]).await;
    bench.vouch(30).await;
    assert_eq!(bench.times("loa-1").await, [Enclosure::Tight; 2]);
    // The head of a log that is not here is passed over.
    let foreign = Head { shard: "1999".to_owned(), size: 3, met_ms: NOW };
    bench.encloser.take(&foreign, None).await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Judged in pages and step by step, the times are those of one look at the whole.
    #[test]
    fn times_are_those_of_one_look_at_the_whole(
        steps in proptest::collection::vec((0..3_usize, 0..4_usize, 1..50_i64, 0..9_usize), 1..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut bench = Bench::new().await;
            let mut heads: Vec<(u64, i64)> = vec![(bench.vouch(0).await, 0)];
            let mut minute = 0;
            let mut known: BTreeMap<usize, (u64, Option<i64>)> = BTreeMap::new();
            let mut expected: BTreeMap<usize, Vec<Enclosure>> = BTreeMap::new();
            for (device, count, later, back) in steps {
                let quote = (back > 0).then(|| heads[heads.len().saturating_sub(back)]);
                let (seq, floor) = known.get(&device).copied().unwrap_or((1, None));
                if count > 0 {
                    let quotes = vec![quote.map(|(size, _)| ("2027", size)); count];
                    bench.tell(&format!("loa-{device}"), seq, &quotes).await;
                }
                minute += later;
                let size = bench.vouch(minute).await;
                // The same tree vouched for again says nothing new.
                if heads.last().is_some_and(|(last, _)| *last < size) {
                    heads.push((size, minute));
                }
                if count > 0 {
                    let floor = floor.max(quote.map(|(_, minute)| minute));
                    known.insert(device, (seq + count as u64, floor));
                    let time = match floor.map(|floor| minute - floor) {
                        None => UNBOUND,
                        Some(width) if width * MINUTE > LATE_MS => late(width),
                        Some(_) => Enclosure::Tight,
                    };
                    expected.entry(device).or_default().extend(vec![time; count]);
                }
            }
            for (device, expected) in expected {
                assert_eq!(bench.times(&format!("loa-{device}")).await, expected);
            }
        });
    }
}

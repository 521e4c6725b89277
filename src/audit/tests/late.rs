//! Which records are late: from the log alone as the server grades them.

use super::judge;
use super::model::{DAY, MIN, World, beat};
use crate::app::enclose::{Encloser, Head};
use crate::app::ports::{
    Evidence as _, Intake, IntakeRound, Logbook as _, StoredChain, StoredRecord, Via,
};
use crate::audit::Options;
use crate::clock::ManualClock;
use crate::domain::ids::{ChainId, Digest};
use crate::domain::proof::LATE_MS;
use crate::domain::time::UtcMs;
use crate::log::leaf::{Leaf, ServerBody};
use crate::store::memory::MemoryStore;
use crate::wire::b64;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

/// What a record quotes.
#[derive(Clone, Copy, Debug)]
enum Quote {
    Nothing,
    /// So many heads back.
    Head(usize),
    /// A tree that is not there yet.
    Beyond,
}

fn quote() -> impl Strategy<Value = Quote> {
    prop_oneof![
        2 => Just(Quote::Nothing),
        5 => (0..9_usize).prop_map(Quote::Head),
        1 => Just(Quote::Beyond),
    ]
}

/// The server: what it stores, and judges when witnesses vouch for a head.
struct Server {
    store: Arc<MemoryStore>,
    encloser: Encloser,
    heads: Vec<u64>,
}

impl Server {
    async fn new() -> Self {
        let store: Arc<MemoryStore> = Arc::default();
        let clock = Arc::new(ManualClock::new(UtcMs(DAY)));
        let leaf = Leaf::server(UtcMs(DAY), &ServerBody::Shard { previous: None }).unwrap();
        store.begin_shard("2027", &leaf, 0, None).await.unwrap();
        let encloser = Encloser::new(store.clone(), clock);
        Self { store, encloser, heads: Vec::new() }
    }

    async fn tell(&self, device: &str, seq: u64, seen: &Value) {
        let claims = json!({"n": seq, "seen": seen}).to_string();
        let jws = format!("x.{}.y", b64::encode(claims.as_bytes()));
        let (device, chain) = (device.parse().unwrap(), ChainId([1; 16]));
        let revision = self.store.chain(&device, &chain).await.unwrap().map_or(0, |c| c.revision);
        let record = StoredRecord {
            device,
            chain,
            seq,
            digest: Digest::of(jws.as_bytes()),
            prev: None,
            kid: "k".into(),
            kind: "beat".into(),
            cue: None,
            jti: None,
            at_ms: UtcMs(DAY),
            received_ms: UtcMs(DAY),
            via: Via::Link,
            fault: None,
            jws: jws.into(),
        };
        let chain = StoredChain {
            device: record.device.clone(),
            chain,
            upto: seq,
            head: None,
            first_at_ms: None,
            upto_at_ms: None,
            opened_ms: UtcMs(DAY),
            lost: vec![],
            revision,
        };
        let add = vec![record];
        let intake = Intake { chain, add, gaps: vec![], conflicts: vec![], faults: vec![] };
        let round = IntakeRound { intakes: vec![intake], ..IntakeRound::default() };
        self.store.commit_intake(&round, &[]).await.unwrap();
    }

    async fn vouch(&mut self, at_ms: i64) {
        let newest = self.store.newest_leaf().await.unwrap();
        self.store.note_logged("2027", newest, None).await.unwrap();
        let size = self.store.shards().await.unwrap().last().unwrap().size();
        let head = Head { shard: "2027".to_owned(), size, met_ms: UtcMs(at_ms) };
        self.encloser.take(&head, None).await.unwrap();
        self.heads.push(size);
    }
}

#[test]
fn both_call_late_what_is_enclosed_by_more_than_two_beats() {
    assert_eq!(Options::default().late_ms, LATE_MS);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_is_late_by_the_log_alone_is_late_on_the_server(
        steps in vec((0..2_usize, vec(quote(), 0..3), 1..50_i64), 1..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut server = Server::new().await;
            let mut world = World::new(2);
            world.log().say(DAY, &ServerBody::Shard { previous: None });
            for n in 0..2 {
                world.enrol(DAY, n);
            }
            world.log().checkpoint(DAY, &[0]);
            server.vouch(DAY).await;
            let mut heads = vec![world.log().seen.clone()];
            let mut minute = 0;
            for (n, quotes, later) in steps {
                for quote in &quotes {
                    let of = |back: usize| heads.len().saturating_sub(1 + back);
                    // The log of the world holds enrolments, too: the same head is larger there.
                    let (own, theirs) = match quote {
                        Quote::Nothing => (Value::Null, None),
                        Quote::Head(back) => (heads[of(*back)].clone(), Some(server.heads[of(*back)])),
                        Quote::Beyond => {
                            let mut head = heads[of(0)].clone();
                            head["size"] = json!(9_999);
                            (head, Some(9_999))
                        }
                    };
                    let theirs = theirs.map(|size| json!({
                        "origin": "loa.example.vn/log/2027", "size": size, "root": "x"
                    }));
                    let at = DAY + minute * MIN;
                    let text = world.devices[n].sign(at, &own, &beat());
                    world.log().record(at, &text);
                    let (name, seq) = (world.devices[n].name.clone(), world.devices[n].seq);
                    server.tell(&name, seq, &theirs.unwrap_or(Value::Null)).await;
                }
                minute += later;
                if !quotes.is_empty() {
                    world.log().checkpoint(DAY + minute * MIN, &[0]);
                    server.vouch(DAY + minute * MIN).await;
                    heads.push(world.log().seen.clone());
                }
            }
            let verdict = judge(&world, &world.pack());
            let theirs = server.store.evidence_counts().await.unwrap().late;
            prop_assert_eq!(verdict.records.late, theirs);
            Ok(())
        })?;
    }
}

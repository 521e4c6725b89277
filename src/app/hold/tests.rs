use crate::app::keyring::Keyring;
use crate::store::memory::MemoryStore;
use crate::wire::server_keys::ServerKeys;

use super::*;
use crate::app::link::hub::Hub;
use crate::app::live::Picture;
use crate::app::ports::Descriptions;
use crate::app::ports::{
    Enrolled, Enrolment, EnrolmentCode, Evidence as _, Intake, IntakeRound, Page, Plans as _,
    Registry as _, StoredChain, StoredDay, StoredRecord, StoredSheet, StoredTimetable, Trail as _,
    Via,
};
use crate::clock::ManualClock;
use crate::domain::ids::{ChainId, DeviceId, Digest};
use crate::wire::jws::{OneKey, Role};
use serde_json::json;

const NOW: UtcMs = UtcMs(1_796_068_800_000);
const HOUR: i64 = 3_600_000;

struct Bench {
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    holds: Holds,
    hub: Hub,
    keys: Arc<ServerKeys>,
}

/// A loudspeaker in each of two hamlets of one commune.
async fn bench() -> Bench {
    let store = Arc::new(MemoryStore::default());
    let manual = Arc::new(ManualClock::new(NOW));
    let live = Arc::new(Live::new(Picture::empty("hub")));
    let station = crate::app::publish::tests::station(1);
    let units: Vec<_> = station.units.values().cloned().collect();
    let devices: Vec<_> = station.devices.values().cloned().collect();
    store.put_units(&units).await.unwrap();
    store.put_devices(&devices, NOW).await.unwrap();
    for device in &devices {
        enrol(&store, &device.id).await;
    }
    live.set_register(store.devices().await.unwrap(), &units);
    let mut compiler = crate::domain::timetable::Compiler::new();
    let from = chrono::NaiveDate::from_ymd_opt(2026, 12, 1).unwrap();
    let horizon = crate::domain::timetable::Horizon { from, days: 2 };
    let compiled = compiler.compile(&station, horizon);
    let sheets = compiled
        .devices()
        .map(|(id, plan)| (id.clone(), plan.days().iter().map(|day| day.sheet.clone()).collect()));
    let schedule = Arc::new(sheets.collect());
    live.change(|picture| picture.schedule = schedule);
    let keys = Arc::new(ServerKeys::from_seeds(&[[1; 32], [2; 32], [3; 32], [4; 32], [5; 32]]));
    let (outlet, hub) = (Arc::new(Outlet::default()), Hub::new());
    let (link, _) = hub.connect("server");
    outlet.connect(link);
    let all: Arc<dyn Store> = store.clone();
    let ring = Keyring::rooted(&keys);
    let holds = Holds::new(all, ring, Topics::default(), manual.clone(), live, outlet);
    Bench { store, clock: manual, holds, hub, keys }
}

async fn enrol(store: &MemoryStore, device: &DeviceId) {
    let id = Digest::of(device.as_str().as_bytes());
    let code = EnrolmentCode {
        id,
        device: device.clone(),
        secret: vec![1],
        made_ms: NOW,
        expires_ms: NOW.plus(HOUR),
        used: None,
        refused: 0,
        last_refusal: None,
    };
    store.put_code(&code).await.unwrap();
    let (kid, password, device) = (device.to_string(), Digest::of(b"x"), device.clone());
    let enrolment = Enrolment { code: id, device, kid, key: id.0, password, at_ms: NOW };
    assert_eq!(store.enrol(&enrolment).await.unwrap(), Enrolled::Done);
}

fn lan() -> Actor {
    Actor::new("lan", "10.0.0.7")
}

fn commune() -> UnitId {
    "10363".parse().unwrap()
}

impl Bench {
    async fn order(&self, until: Until, reason: &str) -> Result<StoredHold, HoldError> {
        self.holds.order(&commune(), until, reason, &lan()).await.map(|(hold, _)| hold)
    }

    /// Stores what a device signed about an order.
    async fn says(&self, device: &str, seq: u64, hold: &StoredHold, result: &str) {
        let claims = json!({
            "v": 1, "dev": device, "chain": ChainId([7; 16]), "boot": 1, "seq": seq,
            "prev": (seq > 1).then(|| Digest::of(b"before")), "at_ms": NOW.0 + 500, "mono_ms": 1,
            "clock": {"src": "server", "age_s": 1, "err_ms": 1}, "seen": null,
            "attestor": "device", "kind": "did", "jti": hold.jti, "what": "hold", "result": result
        });
        let payload = b64::encode(claims.to_string().as_bytes());
        let record = StoredRecord {
            device: device.parse().unwrap(),
            chain: ChainId([7; 16]),
            seq,
            digest: Digest::of(payload.as_bytes()),
            prev: None,
            kid: String::new(),
            kind: "did".into(),
            cue: None,
            jti: Some(hold.jti.clone()),
            at_ms: NOW.plus(500),
            received_ms: NOW.plus(600),
            via: Via::Link,
            fault: None,
            jws: format!("x.{payload}.x").into(),
        };
        let id = record.device.clone();
        let known = self.store.chain(&id, &record.chain).await.unwrap();
        let chain = StoredChain {
            device: id,
            chain: record.chain,
            upto: seq,
            head: None,
            first_at_ms: None,
            upto_at_ms: None,
            opened_ms: NOW,
            lost: vec![],
            revision: known.map_or(0, |known| known.revision),
        };
        let intake =
            Intake { chain, add: vec![record], gaps: vec![], conflicts: vec![], faults: vec![] };
        let round = IntakeRound { intakes: vec![intake], ..IntakeRound::default() };
        self.store.commit_intake(&round, &[]).await.unwrap();
    }
}

#[tokio::test]
async fn a_hold_is_signed_retained_and_its_release_comes_above_it() {
    let bench = bench().await;
    let until = NOW.plus(2 * HOUR);
    let hold = bench.order(Until::At(until), "Quốc tang").await.unwrap();
    let schedule = OneKey { key: bench.keys.schedule.public(), role: Role::Schedule };
    let open = || {
        let body = bench.hub.retained()["loa/1/u/10363/hold"].clone();
        doc::open::<Hold>(&body, &schedule).unwrap().claims
    };
    let first = open();
    assert_eq!((first.until_ms, first.reason.as_str()), (until, "Quốc tang"));
    assert_eq!((first.ver, &first.jti), (hold.ver, &hold.jti));
    // Within the same millisecond, or under a clock set back, the version still rises.
    bench.clock.pass(-5_000);
    let release = bench.order(Until::Now, "xong").await.unwrap();
    assert!(open().is_release() && release.ver > hold.ver);
    let told: Vec<_> = bench
        .store
        .trail(Page::After { position: 0, limit: 9 })
        .await
        .unwrap()
        .into_iter()
        .map(|one| (one.entry.action, one.entry.before.is_some()))
        .collect();
    assert_eq!(told, [("hold-unit".to_owned(), false), ("release-unit".to_owned(), true)]);
    let again = bench.order(Until::Now, "xong").await;
    assert!(matches!(again, Err(HoldError::NotHeld { .. })), "{again:?}");
}

#[tokio::test]
async fn a_hold_that_cannot_be_obeyed_is_refused() {
    let bench = bench().await;
    let past = bench.order(Until::At(NOW), "x").await;
    assert!(matches!(past, Err(HoldError::Past { .. })), "{past:?}");
    let long = bench.order(Until::At(NOW.plus(limits::HOLD_MS + 1)), "x").await;
    assert!(matches!(long, Err(HoldError::TooLong { .. })), "{long:?}");
    let mute = bench.order(Until::At(NOW.plus(HOUR)), " ").await;
    assert!(matches!(mute, Err(HoldError::Reason { .. })), "{mute:?}");
    let unknown: UnitId = "99999".parse().unwrap();
    let unknown = bench.holds.order(&unknown, Until::At(NOW.plus(HOUR)), "x", &lan()).await;
    assert!(matches!(unknown, Err(HoldError::Unit { .. })), "{unknown:?}");
    assert!(bench.hub.published().is_empty());
}

#[tokio::test]
async fn who_has_not_confirmed_is_listed_with_what_it_would_still_play() {
    let bench = bench().await;
    let hold = bench.order(Until::At(NOW.plus(12 * HOUR)), "Quốc tang").await.unwrap();
    let open = |devices: Vec<DeviceHold>| {
        let open =
            devices.into_iter().filter(|one| !matches!(one.confirmed, Confirmed::Yes { .. }));
        open.map(|one| (one.device.to_string(), one.would_play.len())).collect::<Vec<_>>()
    };
    let devices = bench.holds.devices(&hold).await.unwrap();
    assert_eq!(open(devices.clone()), [("loa-doai-1".to_owned(), 2), ("loa-dong-1".to_owned(), 2)]);
    assert_eq!(devices[0].would_play[0].title, "Tin m1");

    bench.says("loa-doai-1", 1, &hold, "done").await;
    bench.says("loa-dong-1", 1, &hold, "failed: disk").await;
    let devices = bench.holds.devices(&hold).await.unwrap();
    assert_eq!(devices[0].confirmed, Confirmed::Yes { at_ms: NOW.plus(500) });
    assert_eq!(devices[0].would_play, []);
    let why = "failed: disk".to_owned();
    assert_eq!(devices[1].confirmed, Confirmed::Refused { at_ms: NOW.plus(500), why });
    assert_eq!(devices[1].would_play.len(), 2);
    bench.says("loa-dong-1", 2, &hold, "done").await;
    assert_eq!(open(bench.holds.devices(&hold).await.unwrap()), []);

    // Another version is another order: nobody has confirmed that one.
    let longer = bench.order(Until::At(NOW.plus(24 * HOUR)), "Quốc tang").await.unwrap();
    assert_eq!(open(bench.holds.devices(&longer).await.unwrap()).len(), 2);
    // And who has not heard of a release is silent: it would play nothing.
    let release = bench.order(Until::Now, "xong").await.unwrap();
    let devices = bench.holds.devices(&release).await.unwrap();
    assert_eq!(open(devices), [("loa-doai-1".to_owned(), 0), ("loa-dong-1".to_owned(), 0)]);
}

/// What another process has enrolled and published, and this one knows nothing of yet.
#[tokio::test]
async fn an_order_at_a_server_that_stands_by_leaves_out_no_device_enrolled_a_moment_ago() {
    let bench = bench().await;
    let schedule = Arc::clone(&bench.holds.live.picture().schedule);
    let sheet = &schedule.values().next().unwrap()[0];
    let mut devices: Vec<_> = bench.store.devices().await.unwrap();
    let (hamlet, new) = ("10363-moi".parse::<UnitId>(), "loa-moi-1".parse::<DeviceId>());
    let (hamlet, new) = (hamlet.unwrap(), new.unwrap());
    let mut units = bench.store.units().await.unwrap();
    let mut unit = units.pop().unwrap();
    (unit.id, unit.parent) = (hamlet.clone(), Some(commune()));
    bench.store.put_units(&[unit]).await.unwrap();
    let mut device = devices.pop().unwrap().device;
    (device.id, device.unit) = (new.clone(), hamlet.clone());
    bench.store.put_devices(&[device], NOW).await.unwrap();
    enrol(&bench.store, &new).await;
    let (bytes, sha256) = crate::wire::sheet::encode(sheet);
    let (from_ms, to_ms) = (sheet.from_ms, sheet.to_ms);
    let stored = StoredSheet { sha256, from_ms, to_ms, bytes: bytes.into(), cues: [].into() };
    let timetable = StoredTimetable {
        device: new.clone(),
        ver: 1,
        made_ms: NOW,
        exp_ms: to_ms,
        content: sha256,
        days: [StoredDay { from_ms, to_ms, sheet: sha256 }].into(),
        jws: "x".into(),
        published_ms: Some(NOW),
    };
    bench.store.put_round(&[stored], &[timetable], &Descriptions::default(), None).await.unwrap();
    bench.holds.live.change(|picture| picture.schedule = Arc::default());
    let known = bench.holds.live.devices();
    assert!(!known.contains_key(&new));

    let until = Until::At(NOW.plus(12 * HOUR));
    let hold = bench.order(until, "Quốc tang").await.unwrap();
    let told = bench.holds.devices_now(&hold).await.unwrap();
    let found = told.iter().find(|one| one.device == new).expect("it is told of the new device");
    assert!(!found.would_play.is_empty(), "and what it would still play");
    assert_eq!(told.len(), known.len() + 1);
    // The hamlet is new as well, and can be held by itself.
    let (hold, _) = bench.holds.order(&hamlet, until, "Tang lễ", &lan()).await.unwrap();
    let told = bench.holds.devices_now(&hold).await.unwrap();
    assert_eq!(told.into_iter().map(|one| one.device).collect::<Vec<_>>(), [new]);
    // Whom the process knows is left to its upkeep, which puts out whose password has changed.
    assert!(Arc::ptr_eq(&known, &bench.holds.live.devices()));
}

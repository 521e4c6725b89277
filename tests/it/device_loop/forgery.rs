//! What somebody with full access to the broker may plant: refused, counted, and nothing plays.

mod empty;
mod stolen;

use super::*;
use loa::wire::doc::{Hold, Paper, Repeat, Urgent};
use loa::wire::jws::{self, Typ};

const UNIT: &str = "00070";

fn timetable(server: &Server, ver: i64, change: impl FnOnce(&mut Timetable)) -> Timetable {
    let now = server.clock.now();
    let mut timetable = Timetable {
        v: 1,
        iss: "Đài xã".into(),
        aud: server.device.clone(),
        iat: now.numeric_date(),
        exp: now.numeric_date() + 86_400,
        ver,
        units: vec![UNIT.parse().unwrap()],
        volume_cap: 90,
        trim_ms: 0,
        fetch_spread_s: 0,
        days: Vec::new(),
        standby: BTreeMap::new(),
        idle: None,
        local: Vec::new(),
    };
    change(&mut timetable);
    timetable
}

fn urgent(server: &Server) -> Urgent {
    let now = server.clock.now();
    Urgent {
        v: 1,
        iss: "Đài xã".into(),
        units: vec![UNIT.parse().unwrap()],
        iat: now.numeric_date(),
        exp: now.numeric_date() + 600,
        jti: "u-1".into(),
        reason: "lũ".into(),
        document: Paper { number: "05/CĐ-UBND".into(), issuer: "UBND xã".into(), at_ms: now },
        text: "Nước lên".into(),
        asset: None,
        repeat: Repeat { times: 1, gap_ms: 1_000 },
        volume: 100,
    }
}

fn hold(server: &Server, ver: i64) -> Hold {
    let now = server.clock.now();
    Hold {
        v: 1,
        iss: "Đài xã".into(),
        unit: UNIT.parse().unwrap(),
        iat: now.numeric_date(),
        ver,
        jti: "h-1".into(),
        until_ms: now.plus(600_000),
        reason: "lễ tang".into(),
        by: "lan".into(),
    }
}

/// Everything refused that the device has told, by topic and reason.
fn refused(server: &Server) -> BTreeMap<(String, String), u64> {
    let mut found = BTreeMap::new();
    for record in &server.records {
        if let Body::Refuse { topic, reason, n, .. } = &record.body {
            *found.entry((topic.clone(), reason.clone())).or_default() += n;
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_planted_at_the_broker_is_refused_and_counted_and_nothing_plays() {
    const TIMES: u64 = 20;
    let dir = TempDir::new().unwrap();
    let mut server = Server::new().await;
    enrolled(&mut server, dir.path()).await;
    let me = server.device.clone();
    let (table, floor) = (Topic::Timetable(me.clone()), Topic::Floor(me.clone()));
    let (receipt, command) = (Topic::Receipt(me.clone()), Topic::Command(me.clone()));
    let (notice, held) = (
        Topic::Urgent { unit: UNIT.parse().unwrap(), id: "u-1".into() },
        Topic::Hold(UNIT.parse().unwrap()),
    );
    let ver = server.clock.now().0;
    let good = timetable(&server, ver, |_| ());
    let sign = |key: &SecretKey, doc: &Timetable| jws::sign(key, Typ::Timetable, doc);
    let schedule = server.keys.schedule.clone();
    server.put(&table, sign(&schedule, &good), true).await;
    let device = Running::start(dir.path(), &server.hub, ClockMode::Server);
    let follows =
        |s: &Server| s.last_state().is_some_and(|st| st.ver.unwrap_or_default().timetable == ver);
    server.until("the timetable is followed", follows).await;

    let mut deep = serde_json::json!(1);
    for _ in 0..40 {
        deep = serde_json::json!([deep]);
    }
    let foreign = |t: &mut Timetable| t.aud = "loa-thon-2".parse().unwrap();
    let right = sign(&schedule, &timetable(&server, ver + 1, |_| ()));
    let now_s = server.clock.now().numeric_date();
    let mut noisy = Floor::first(me.clone(), ver + 9, now_s, 420);
    noisy.to = noisy.from;
    // Topic, what is planted, the word under which it is counted.
    let planted: Vec<(&Topic, Vec<u8>, &str)> = vec![
        (&table, sign(&server.keys.receipt, &good).into(), "role"),
        (&table, sign(&schedule, &timetable(&server, ver + 1, foreign)).into(), "aud"),
        (
            &table,
            sign(&schedule, &timetable(&server, ver + 1, |t| t.exp = t.iat - 1)).into(),
            "content",
        ),
        (
            &table,
            sign(
                &schedule,
                &timetable(&server, ver + 1, |t| (t.iat, t.exp) = (now_s - 99, now_s - 9)),
            )
            .into(),
            "expired",
        ),
        (&table, sign(&schedule, &timetable(&server, ver - 1, |_| ())).into(), "version-low"),
        (
            &table,
            sign(&schedule, &timetable(&server, ver, |t| t.volume_cap = 1)).into(),
            "conflict",
        ),
        (&table, sign(&schedule, &timetable(&server, ver + 90_000_000, |_| ())).into(), "ahead"),
        (&table, right.as_bytes()[..right.len() - 9].to_vec(), "jws"),
        (&table, vec![b'A'; 70_000], "limit"),
        (&table, jws::sign(&schedule, Typ::Timetable, &deep).into(), "json"),
        (&table, jws::sign(&schedule, Typ::Urgent, &urgent(&server)).into(), "typ"),
        // A stolen schedule key …
        (&floor, jws::sign(&schedule, Typ::Floor, &noisy).into(), "role"),
        (&notice, jws::sign(&schedule, Typ::Urgent, &urgent(&server)).into(), "role"),
        (&Topic::Keys, epochs_by(&schedule, &server), "epoch"),
        // … and other keys that are not for this.
        (&held, jws::sign(&server.keys.urgent, Typ::Hold, &hold(&server, 1)).into(), "role"),
        (&Topic::Server, b"garbage".to_vec(), "jws"),
        (&receipt, b"garbage".to_vec(), "jws"),
        (&command, b"garbage".to_vec(), "jws"),
        // Too large and too deep for each kind, rightly signed or not.
        (&Topic::Keys, vec![b'A'; 70_000], "limit"),
        (&floor, vec![b'A'; 9_000], "limit"),
        (&notice, vec![b'A'; 9_000], "limit"),
        (&held, vec![b'A'; 9_000], "limit"),
        (&receipt, vec![b'A'; 9_000], "limit"),
        (&Topic::Server, vec![b'A'; 9_000], "limit"),
        (&floor, jws::sign(&server.keys.policy, Typ::Floor, &deep).into(), "json"),
        (&notice, jws::sign(&server.keys.urgent, Typ::Urgent, &deep).into(), "json"),
        (&held, jws::sign(&schedule, Typ::Hold, &deep).into(), "json"),
        (&receipt, jws::sign(&server.keys.receipt, Typ::Receipt, &deep).into(), "json"),
        (&Topic::Server, jws::sign(&server.keys.receipt, Typ::Server, &deep).into(), "json"),
        (&command, vec![b'A'; 9_000], "limit"),
        (&command, jws::sign(&schedule, Typ::Command, &deep).into(), "json"),
    ];
    for (topic, bytes, _) in &planted {
        for _ in 0..TIMES {
            server.put(topic, bytes.clone(), true).await;
        }
    }
    // An empty body changes nothing, wherever it comes.
    for topic in [&table, &floor, &notice, &held, &Topic::Keys] {
        server.put(topic, Vec::new(), true).await;
    }
    // A replayed command acts once.
    for _ in 0..5 {
        server.put_command("c-1", Do::Volume { volume: 10 }).await;
    }
    let did = |s: &Server| s.records.iter().any(|r| matches!(r.body, Body::Did { .. }));
    server.until("the command is answered", did).await;
    device.end().await;
    let last = &planted[planted.len() - 1].0;
    let last = (server.topics.of(last), "json".to_owned());
    server.until("refusals are told", |s| refused(s).contains_key(&last)).await;

    let counted = refused(&server);
    for (topic, _, reason) in &planted {
        let name = (server.topics.of(topic), (*reason).to_owned());
        assert_eq!(counted.get(&name), Some(&TIMES), "{name:?} of {counted:#?}");
    }
    let refusals = server.records.iter().filter(|r| matches!(r.body, Body::Refuse { .. })).count();
    assert_eq!(refusals, planted.len(), "one record for each, however many came");
    assert_eq!((server.starts(), server.plays().len()), (0, 0), "nothing sounded");
    let dids = server.records.iter().filter(|r| matches!(r.body, Body::Did { .. })).count();
    assert_eq!(dids, 1, "a command acts once");
    let versions = server.last_state().unwrap().ver;
    assert_eq!(versions.map_or((1, ver), |v| (v.keys, v.timetable)), (1, ver));
}

/// A chain that another key than the root has signed.
fn epochs_by(thief: &SecretKey, server: &Server) -> Vec<u8> {
    let first = epoch::first(thief, &server.keys, server.clock.now().numeric_date() - 60);
    KeysBody::new(vec![first]).encode()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_away_for_weeks_follows_a_chain_of_epochs_and_what_was_parked_for_them() {
    let dir = TempDir::new().unwrap();
    let mut server = Server::new().await;
    let now = server.clock.now();
    enrolled(&mut server, dir.path()).await;
    // Three rotations while the device is away; the second revokes the schedule key it knows.
    let one =
        KeysBody::new(vec![epoch::first(&server.root, &server.keys, now.numeric_date() - 60)]);
    let home = Home::open(dir.path()).unwrap();
    let mut chain = home.keys.clone();
    drop(home);
    assert_eq!(chain.body().epochs.len(), one.epochs.len());
    let stolen = server.keys.schedule.clone();
    for n in 1..=3u8 {
        let mut keys = server.keys.clone();
        keys.set(Role::Schedule, SecretKey::from_seed(&[70 + n; 32]));
        keys.set(Role::Receipt, SecretKey::from_seed(&[80 + n; 32]));
        let revoke = if n == 2 { [stolen.kid()].into() } else { std::collections::BTreeSet::new() };
        let change =
            epoch::Change { keys: &keys, revoke: &revoke, root: None, log: epoch::LogChange::Keep };
        chain = epoch::next(&chain, &server.root, &change, now).unwrap();
        server.keys = keys;
    }
    let (table, ver) = (Topic::Timetable(server.device.clone()), now.0);
    // The timetable comes before the keys that explain it: it waits for them.
    let text = doc::sign(&server.keys.schedule, &timetable(&server, ver, |_| ())).unwrap();
    server.put(&Topic::Keys, Vec::new(), true).await;
    server.put(&table, text, true).await;
    let device = Running::start(dir.path(), &server.hub, ClockMode::System);
    server.until("the device is there", |s| s.last_state().is_some()).await;
    server.put(&Topic::Keys, chain.body().encode(), true).await;
    let follows = |s: &Server| {
        let held = s.last_state().and_then(|state| state.ver).unwrap_or_default();
        (held.keys, held.timetable) == (4, ver)
    };
    server.until("the newest epoch and its timetable are followed", follows).await;
    device.end().await;
    let home = Home::open(dir.path()).unwrap();
    assert_eq!(home.keys.epoch(), 4, "persisted");
    assert!(home.keys.is_revoked(&stolen.kid()));
    drop(home);
    // What the stolen key signs counts for nothing, also after a restart.
    let device = Running::start(dir.path(), &server.hub, ClockMode::System);
    let forged = jws::sign(&stolen, Typ::Timetable, &timetable(&server, ver + 1_000, |_| ()));
    server.put(&table, forged, true).await;
    // A command is not retained, so the device must listen before it is sent; its answer shows
    // that the forgery, which came before, was judged.
    let known = server.states.len();
    let listens = |s: &Server| s.states[known..].iter().any(|st| st.state == StateKind::Ready);
    server.until("it listens", listens).await;
    server.put_command("c-2", Do::Identify).await;
    let did = |s: &Server| s.records.iter().any(|r| matches!(r.body, Body::Did { .. }));
    server.until("the command is answered", did).await;
    device.end().await;
    let name = (server.topics.of(&table), "revoked".to_owned());
    server.until("the refusal is told", |s| refused(s).contains_key(&name)).await;
}

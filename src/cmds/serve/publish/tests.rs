use super::*;
use crate::app::assets::MemoryLibrary;
use crate::app::keyring::Keyring;
use crate::app::link::LinkEvent;
use crate::app::link::hub::Hub;
use crate::app::live::Picture;
use crate::app::ports::{Plans as _, RetainedDocument};
use crate::app::publish::Settings;
use crate::clock::{Clock as _, ManualClock};
use crate::config::{self, ClipSource};
use crate::domain::station::AssetFacts;
use crate::store::memory::MemoryStore;
use crate::wire::doc::{self, Floor};
use crate::wire::epoch::{self, Change, LogChange};
use crate::wire::jws::SecretKey;
use crate::wire::server_keys::ServerKeys;
use crate::wire::topic::Topics;
use std::path::Path;

struct NoClips;

impl ClipSource for NoClips {
    fn facts(&mut self, _: &Path) -> Result<AssetFacts, String> {
        Err("the sample has no clips".to_owned())
    }
}

fn sample() -> Arc<Station> {
    let root = tempfile::tempdir().unwrap();
    let (station, profiles) = (root.path().join("station"), root.path().join("profiles"));
    super::super::super::sample::copy_station(&station).unwrap();
    super::super::super::sample::copy_profiles(&profiles).unwrap();
    Arc::new(config::load(&station, &profiles, &mut NoClips).station.unwrap())
}

/// The task over a broker in memory, with the reader's part played here.
struct Rig {
    keys: Keyring,
    hub: Hub,
    inbox: Arc<Inbox>,
    live: Arc<Live>,
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    in_force: watch::Sender<Option<Arc<Station>>>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

async fn rig() -> Rig {
    let hub = Hub::new();
    let (link, mut events) = hub.connect("server");
    let store = Arc::new(MemoryStore::default());
    let manual = Arc::new(ManualClock::new(UtcMs(1_795_219_200_000)));
    let clock: SharedClock = manual.clone();
    let seeds = [[1; 32], [2; 32], [3; 32], [4; 32], [5; 32]];
    let server_keys = ServerKeys::from_seeds(&seeds);
    let keys = Keyring::rooted(&server_keys);
    let topics = Topics::default();
    let body = Arc::from(&b"keys"[..]);
    let topic = topics.of(&Topic::Keys);
    let document = RetainedDocument { topic, ver: 1, made_ms: clock.now(), body };
    store.put_retained(&[document]).await.unwrap();
    let all: Arc<dyn Store> = store.clone();
    let settings = Settings { topics: topics.clone(), ..Settings::default() };
    let (live, inbox) = (Arc::new(Live::new(Picture::empty("hub"))), Arc::new(Inbox::default()));
    let publishing = Publishing::new(Parts {
        publisher: Publisher::new(
            all.clone(),
            settings,
            server_keys.schedule.clone(),
            clock.clone(),
        ),
        store: all,
        link: link.clone(),
        courier: Courier::new(link, Arc::new(MemoryLibrary::default()), topics.clone()),
        shelf: Shelf::new(1 << 20),
        live: live.clone(),
        inbox: inbox.clone(),
        outlet: Arc::new(Outlet::default()),
        present: Present {
            keys: keys.clone(),
            clock: clock.clone(),
            topics,
            name: "x".into(),
            conn: "c".into(),
        },
        clock,
        tenure: Tenure::endless(),
        heir_of: None,
    });
    let (in_force, watched) = watch::channel(None);
    let stop = CancellationToken::new();
    let task = tokio::spawn(publishing.run(watched, stop.clone()));
    let heard = inbox.clone();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            let line = match event {
                LinkEvent::Connected => Line::Up,
                LinkEvent::Disconnected { .. } => Line::Down,
                LinkEvent::Message { .. } => continue,
            };
            heard.put(|waiting| waiting.line = Some(line));
        }
    });
    Rig { keys, hub, inbox, live, store, clock: manual, in_force, stop, task }
}

impl Rig {
    async fn until(&self, what: &str, holds: impl Fn(&Hub) -> bool) {
        let waiting = async {
            while !holds(&self.hub) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        assert!(waited.is_ok(), "{what}: {:?}", self.hub.retained().keys());
    }

    fn topics(&self) -> Vec<String> {
        self.hub.published().into_iter().map(|message| message.topic).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_start_tells_everything_in_order_and_the_marker_last() {
    let rig = rig().await;
    rig.in_force.send_replace(Some(sample()));
    rig.until("the marker", |hub| hub.retained().contains_key("loa/1/epoch")).await;
    let topics = rig.topics();
    let at = |found: &dyn Fn(&str) -> bool| topics.iter().position(|topic| found(topic)).unwrap();
    let last = |found: &dyn Fn(&str) -> bool| topics.iter().rposition(|t| found(t)).unwrap();
    let sheet = |topic: &str| topic.starts_with("loa/1/s/");
    let timetable = |topic: &str| topic.ends_with("/timetable");
    assert_eq!(at(&|topic| topic == "loa/1/keys"), 0, "{topics:?}");
    assert!(at(&|topic| topic == "loa/1/server") < at(&sheet));
    assert!(last(&sheet) < at(&timetable), "sheets are there before who names them");
    assert_eq!(last(&|topic| topic == "loa/1/epoch"), topics.len() - 1);
    assert_eq!(topics.iter().filter(|topic| timetable(topic)).count(), 3);
    assert!(rig.live.picture().published_ms.is_some());
    let newest = rig.store.newest_timetables().await.unwrap();
    assert!(newest.iter().all(|one| one.published_ms.is_some()), "acknowledged means published");

    rig.stop.cancel();
    rig.task.await.unwrap();
    let farewell = rig.hub.retained()["loa/1/server"].clone();
    let said = super::super::presence::claims(std::str::from_utf8(&farewell).unwrap()).unwrap();
    assert_eq!(said.state, ServerState::Disconnected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_forgot_is_told_everything_and_one_that_kept_it_nothing_twice() {
    let rig = rig().await;
    rig.in_force.send_replace(Some(sample()));
    rig.until("the marker", |hub| hub.retained().contains_key("loa/1/epoch")).await;
    let before = rig.hub.retained();

    rig.hub.cut("server");
    rig.hub.restore("server");
    let marker = before["loa/1/epoch"].clone();
    let count = rig.topics().len();
    // The reader hands the marker over once it has subscribed to it.
    rig.until("the presence again", |_| {
        rig.inbox.put(|waiting| waiting.marker = Some(marker.clone()));
        rig.topics().len() > count + 1
    })
    .await;
    let again: Vec<_> = rig.topics().split_off(count);
    assert!(!again.iter().any(|topic| topic.ends_with("/timetable")), "{again:?}");

    rig.hub.forget();
    rig.inbox.put(|waiting| waiting.marker = None);
    rig.until("everything again", |hub| {
        // No marker comes; after its patience the task takes the broker for empty.
        rig.clock.pass(100);
        before.keys().all(|topic| hub.retained().contains_key(topic))
    })
    .await;
    rig.stop.cancel();
    rig.task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rotated_keys_are_taken_over_while_it_runs_and_clips_stay_where_they_are() {
    let rig = rig().await;
    rig.in_force.send_replace(Some(sample()));
    rig.until("the marker", |hub| hub.retained().contains_key("loa/1/epoch")).await;
    let topics = Topics::default();
    let device = "loa-thon-1".parse().unwrap();
    let before = rig.keys.in_use();
    let now = rig.clock.now();
    let floor = Floor::first(device, now.0, now.numeric_date(), 420);
    let topic = topics.of(&Topic::Floor(floor.aud.clone()));
    let body = doc::sign(&before.keys.policy, &floor).unwrap().into_bytes().into();
    let document = RetainedDocument { topic: topic.clone(), ver: floor.ver, made_ms: now, body };
    rig.store.put_retained(&[document]).await.unwrap();
    rig.inbox.put(|waiting| waiting.documents = true);
    rig.until("the floor", |hub| hub.retained().contains_key(&topic)).await;

    let count = rig.topics().len();
    rig.clock.pass(2_000);
    let later = ServerKeys::from_seeds(&[[11; 32], [12; 32], [13; 32], [14; 32], [15; 32]]);
    let root = SecretKey::from_seed(&[0x72; 32]);
    let none = BTreeSet::new();
    let change = Change { keys: &later, revoke: &none, root: None, log: LogChange::Keep };
    let chain = epoch::next(&before.chain, &root, &change, rig.clock.now()).unwrap();
    let body = chain.body().encode();
    assert!(rig.keys.replace(later.clone(), chain));
    rig.inbox.put(|waiting| waiting.documents = true);
    let by = |hub: &Hub, topic: &str, key: &SecretKey| {
        let retained = hub.retained();
        let text = retained.get(topic).and_then(|body| std::str::from_utf8(body).ok())?;
        let parts = text.split('.').next().and_then(crate::wire::b64::decode)?;
        let head: serde_json::Value = serde_json::from_slice(&parts).ok()?;
        Some(head["kid"] == key.kid().to_string())
    };
    let timetables: Vec<String> =
        rig.hub.retained().into_keys().filter(|topic| topic.ends_with("/timetable")).collect();
    assert_eq!(timetables.len(), 3);
    rig.until("everything under the new keys", |hub| {
        hub.retained()["loa/1/keys"] == body
            && by(hub, &topic, &later.policy) == Some(true)
            && by(hub, "loa/1/server", &later.receipt) == Some(true)
            && timetables.iter().all(|topic| by(hub, topic, &later.schedule) == Some(true))
    })
    .await;
    let said = rig.topics().split_off(count);
    assert_eq!(said[0], "loa/1/keys", "the keys before what they signed: {said:?}");
    let again = said.iter().filter(|topic| topic.starts_with("loa/1/s/")).count();
    let sheets = rig.hub.retained().into_keys().filter(|t| t.starts_with("loa/1/s/")).count();
    assert!(again <= sheets, "no sheet twice: {said:?}");
    assert!(!said.iter().any(|topic| topic.starts_with("loa/1/a/")), "{said:?}");
    rig.stop.cancel();
    rig.task.await.unwrap();
}

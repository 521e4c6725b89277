use super::*;
use crate::app::link::hub::Hub;
use crate::app::live::Picture;
use crate::app::ports::Plans as _;
use crate::clock::ManualClock;
use crate::domain::feed::{Decimal, HttpSource, Kind, Pick, Source};
use crate::store::memory::MemoryStore;
use crate::wire::jws::OneKey;
use crate::wire::server_keys::ServerKeys;

const NOW: UtcMs = UtcMs(1_800_000_000_000);

fn keys() -> ServerKeys {
    ServerKeys::from_seeds(&[1, 2, 3, 4, 5].map(|role| [role; 32]))
}

fn water() -> Feed {
    Feed {
        id: "muc-nuoc".parse().unwrap(),
        title: "Mực nước".into(),
        unit: Some("cm".into()),
        kind: Kind::Number {
            scale: Decimal::whole(1),
            decimals: 0,
            least: Decimal::whole(0),
            most: Decimal::whole(2_500),
            step: None,
        },
        stale_after_s: 400,
        source: Source::Http(HttpSource {
            url: "http://127.0.0.1/x".into(),
            pick: Pick::default(),
            every_s: 60,
            timeout_ms: 1_000,
            most_bytes: 1_000,
            headers: BTreeMap::new(),
            from_file: None,
            ca_file: None,
        }),
    }
}

struct Bench {
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    live: Arc<Live>,
    hub: Hub,
    feeds: Feeds,
}

fn bench(store: Arc<MemoryStore>, hub: Hub, clock: Arc<ManualClock>) -> Bench {
    let live = Arc::new(Live::new(Picture::empty("x")));
    let outlet = Arc::new(Outlet::default());
    let (link, _events) = hub.connect("server");
    outlet.connect(link);
    let keyring = Keyring::rooted(&keys());
    let (shared, topics) = (clock.clone(), Topics::default());
    let feeds = Feeds::new(store.clone(), keyring, topics, shared, live.clone(), outlet);
    Bench { store, clock, live, hub, feeds }
}

fn fresh_bench() -> Bench {
    bench(Arc::default(), Hub::new(), Arc::new(ManualClock::new(NOW)))
}

fn all() -> BTreeMap<FeedId, Feed> {
    [(water().id, water())].into()
}

impl Bench {
    async fn says(&mut self, text: &str) {
        let picked = Picked { text: text.into(), at: None };
        self.feeds.heard(&water().id, Ok(picked)).await.unwrap();
    }

    async fn fails(&mut self, what: &str) {
        let error = HeardError::Source { what: what.into(), hint: "wait" };
        self.feeds.heard(&water().id, Err(error)).await.unwrap();
    }

    fn at_broker(&self) -> Option<doc::Feed> {
        let body = self.hub.retained().get("loa/1/f/muc-nuoc")?.clone();
        let keys = OneKey { key: keys().schedule.public(), role: Typ::Feed.role() };
        Some(doc::open::<doc::Feed>(&body, &keys).unwrap().claims)
    }
}

#[tokio::test]
async fn a_value_is_signed_kept_and_told_and_prolonged_before_it_is_stale() {
    let mut bench = fresh_bench();
    bench.feeds.follow(&all()).await.unwrap();
    assert_eq!(bench.at_broker(), None);
    bench.says("310").await;
    let first = bench.at_broker().unwrap();
    assert_eq!((first.value.as_str(), first.at_ms, first.stale_after_s), ("310 cm", NOW, 400));
    assert_eq!(bench.store.retained().await.unwrap().len(), 1);

    bench.clock.pass(60_000);
    bench.says("310").await;
    assert_eq!(bench.at_broker().unwrap(), first, "the same value again is no news");
    bench.clock.pass(60_000);
    bench.says("310").await;
    let second = bench.at_broker().unwrap();
    assert!(second.ver > first.ver && second.at_ms == NOW.plus(120_000), "its life goes on");
}

#[tokio::test]
async fn boards_are_not_told_more_often_than_they_can_bear() {
    let mut bench = fresh_bench();
    bench.feeds.follow(&all()).await.unwrap();
    bench.says("310").await;
    for n in 311..320 {
        bench.clock.pass(1_000);
        bench.says(&n.to_string()).await;
    }
    assert_eq!(bench.at_broker().unwrap().value, "310 cm");
    bench.clock.pass(1_000);
    bench.feeds.tend().await.unwrap();
    assert_eq!(bench.at_broker().unwrap().value, "319 cm", "the newest of them");
}

#[tokio::test]
async fn a_source_that_fails_leaves_the_value_to_grow_stale_and_people_are_told() {
    let mut bench = fresh_bench();
    bench.feeds.follow(&all()).await.unwrap();
    bench.says("310").await;
    let told = bench.at_broker().unwrap();
    bench.clock.pass(30_000);
    bench.fails("no answer").await;
    bench.says("9999").await;
    let light = bench.live.feed(&water().id).unwrap();
    let fault = light.fault.unwrap();
    assert_eq!(
        (fault.since_ms, fault.what.as_str()),
        (NOW.plus(30_000), "9.999 is outside 0 to 2.500")
    );
    assert!(bench.live.picture().alarms.is_empty(), "the value is still fresh");
    bench.clock.pass(370_000);
    bench.feeds.tend().await.unwrap();
    let alarms = bench.live.picture().alarms.clone();
    assert_eq!(alarms[0].code, "feed-stale");
    assert!(alarms[0].vi.contains("Mực nước"), "{}", alarms[0].vi);
    assert_eq!(bench.at_broker().unwrap(), told, "never an old value as a new one");
    bench.says("305").await;
    assert!(bench.live.picture().alarms.is_empty());
    assert_eq!(bench.live.feed(&water().id).unwrap().fault, None);
}

#[tokio::test]
async fn a_restart_goes_on_above_the_past_and_a_feed_that_left_is_taken_off() {
    let mut bench = fresh_bench();
    bench.feeds.follow(&all()).await.unwrap();
    bench.says("310").await;
    let first = bench.at_broker().unwrap();
    let (store, hub) = (bench.store.clone(), bench.hub.clone());
    let back = Arc::new(ManualClock::new(NOW.plus(-60_000)));
    let mut again = self::bench(store, hub, back);
    again.feeds.follow(&all()).await.unwrap();
    again.says("500").await;
    assert_eq!(again.at_broker().unwrap(), first, "the clock was set back: measured before");
    again.clock.pass(120_000);
    again.says("320").await;
    assert!(again.at_broker().unwrap().ver > first.ver);

    again.feeds.follow(&BTreeMap::new()).await.unwrap();
    assert_eq!(again.at_broker(), None);
    assert!(again.store.retained().await.unwrap().is_empty());
    again.says("330").await;
    assert_eq!(again.at_broker(), None, "what comes late is for nobody");
}

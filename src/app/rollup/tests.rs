//! From a station to records to days added up to files, over both stores.

use super::*;
use crate::app::outcome::tests::{FIVE, NOW, Town};
use crate::app::ports::{KeptPage, NameKind, Page};
use crate::app::publish::tests::station;
use crate::app::reports::{Ask, Form, LogAt, MOST_DEVICES, Reports, ReportsError, Spot, locate};
use crate::app::trail::Actor;
use crate::clock::Clock as _;
use crate::domain::ids::UnitId;
use crate::domain::proof::record::Said;
use crate::domain::station::Station;
use crate::log::leaf::ServerBody;
use crate::report::airing::Tally;
use crate::report::document::ReportKind;
use crate::report::render::Format;
use crate::store::{SqliteStore, memory::MemoryStore};
use std::time::Duration;

const HOUR: i64 = 3_600_000;
const ZONE: Tz = chrono_tz::Asia::Ho_Chi_Minh;

fn described() -> Station {
    let mut station = station(1);
    for playlist in station.playlists.values_mut() {
        playlist.topic = Some("t5; t1".into());
        playlist.plan_line = Some("kon-tum-3630/ii-1".into());
        for item in &mut playlist.items {
            item.author = Some("Nguyễn Thị Lan".into());
        }
    }
    station
}

fn today() -> Period {
    let day = day_of(NOW, ZONE);
    Period::new(day, day).unwrap()
}

struct Bench {
    town: Town,
    rollup: Arc<Rollup>,
    reports: Reports,
}

impl Bench {
    async fn over(store: Arc<dyn Store>) -> Self {
        let station = described();
        let units: Vec<_> = station.units.values().cloned().collect();
        store.put_units(&units).await.unwrap();
        let devices: Vec<_> = station.devices.values().cloned().collect();
        store.put_devices(&devices, NOW.plus(-HOUR)).await.unwrap();
        let mut town = Town::over(store.clone()).await;
        // Enrolling puts the device as it likes; the register is the station's.
        store.put_devices(&devices, NOW.plus(-HOUR)).await.unwrap();
        town.publish(&station).await;
        let rollup = Arc::new(Rollup::new(store));
        Self { town, reports: Reports::new(rollup.clone()), rollup }
    }

    async fn settle(&self) -> usize {
        let places = self.rollup.places(ZONE).await.unwrap();
        let now = self.town.clock.now();
        self.rollup.settle(&places, ZONE, today(), |_| true, now).await.unwrap()
    }

    async fn loaded(&self) -> (Places, Loaded) {
        self.settle().await;
        let places = self.rollup.places(ZONE).await.unwrap();
        let scope = places.scope(places.unit_no(&"01".parse().unwrap()).unwrap());
        let loaded = self.rollup.load(&places, &scope, today(), Renamed::new()).await.unwrap();
        (places, loaded)
    }

    async fn tally(&self) -> Tally {
        let (places, loaded) = self.loaded().await;
        let scope = places.scope(places.unit_no(&"01".parse().unwrap()).unwrap());
        let mut tally = Tally::default();
        for (_, _, broadcast) in loaded.rollups.broadcasts(today(), &scope) {
            tally.merge(&broadcast.tally);
        }
        tally
    }

    async fn pages(&self) -> Vec<KeptPage> {
        let day = today().first();
        self.town.store.pages(day, day, None).await.unwrap()
    }

    fn ask(kind: ReportKind, format: Format) -> Ask {
        Ask {
            kind,
            unit: "10363".parse().unwrap(),
            period: today(),
            format,
            zone: ZONE,
            spot: None,
            form: Form::default(),
            only_final: false,
        }
    }

    async fn make(&self, ask: &Ask) -> Result<crate::app::reports::Made, ReportsError> {
        let log = LogAt { folder: "/nowhere".into(), patience: Duration::ZERO };
        let who = Actor::new("lan", "10.0.0.7");
        self.reports.make(ask, &log, self.town.clock.now(), &who).await
    }
}

async fn a_day_is_added_up_and_made_anew(store: Arc<dyn Store>) {
    let mut bench = Bench::over(store).await;
    // Two loudspeakers, two clips at five o'clock each.
    let tally = bench.tally().await;
    assert_eq!((tally.expected, tally.pending, tally.unsettled), (4, 4, 4));
    assert_eq!(bench.settle().await, 0, "nothing has changed");

    let cue = bench.town.outcomes().await[0].cue;
    bench.town.beat(NOW);
    for half in 1..4 {
        bench.town.beat(NOW.plus(half * HOUR / 2));
    }
    bench.town.play(FIVE.plus(60_010), cue, FIVE, 60_000, Said::Played, "end");
    bench.town.until(FIVE.plus(180_000));
    bench.town.report().await;
    let tally = bench.tally().await;
    assert_eq!((tally.confirmed(), tally.pending, tally.unsettled), (1, 0, 3));

    // What comes later settles what was open, and time alone the rest.
    bench.town.beat(FIVE.plus(HOUR / 2));
    bench.town.until(FIVE.plus(HOUR));
    bench.town.report().await;
    let tally = bench.tally().await;
    assert_eq!((tally.confirmed(), tally.missing, tally.offline), (1, 1, 2));
    assert_eq!(tally.unsettled, 2, "the other loudspeaker was never heard of");
    bench.town.until(FIVE.plus(31 * 24 * HOUR));
    assert_eq!(bench.tally().await.unsettled, 0);

    // By whom, about what, for which line of a plan.
    let (_, loaded) = bench.loaded().await;
    let content = loaded.contents.contents().next().unwrap();
    assert_eq!(content.author.as_deref(), Some("Nguyễn Thị Lan"));
    assert_eq!(content.subject.topics, ["t1", "t5"]);
    assert_eq!(content.subject.line.as_deref(), Some("kon-tum-3630/ii-1"));

    // Made anew from records alone, pages are the same.
    let (before, now) = (bench.pages().await, bench.town.clock.now());
    let places = bench.rollup.places(ZONE).await.unwrap();
    let fresh = Rollup::new(bench.town.store.clone());
    for page in &before {
        let names = bench.town.store.names(NameKind::Unit, 0).await.unwrap();
        let unit = names[page.unit as usize].parse().unwrap();
        let key = PageKey { day: page.day, unit };
        fresh.make(&places, ZONE, &key, None, now).await.unwrap();
    }
    assert_eq!(bench.pages().await, before);
    assert!(!before.is_empty());
}

#[tokio::test]
async fn a_day_is_added_up_and_made_anew_in_memory() {
    a_day_is_added_up_and_made_anew(Arc::new(MemoryStore::default())).await;
}

#[tokio::test]
async fn a_day_is_added_up_and_made_anew_in_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("loa.db")).await.unwrap();
    a_day_is_added_up_and_made_anew(Arc::new(store)).await;
}

#[tokio::test]
async fn where_it_is_still_yesterday_all_that_came_is_looked_at_once() {
    let bench = Bench::over(Arc::new(MemoryStore::default())).await;
    bench.settle().await;
    let places = bench.rollup.places(ZONE).await.unwrap();
    let yesterday = bench.town.clock.now().plus(-25 * HOUR);
    let mut looks = 0;
    while bench.rollup.look(&places, ZONE, yesterday).await.unwrap() {
        looks += 1;
        assert!(looks < 10, "it looks for ever");
    }
}

#[tokio::test]
async fn a_device_that_moves_is_counted_where_it_stood_and_one_that_goes_stays_in_its_days() {
    let bench = Bench::over(Arc::new(MemoryStore::default())).await;
    assert_eq!(bench.tally().await.expected, 4);
    let store = &bench.town.store;
    let mut other = store.units().await.unwrap()[1].clone();
    other.id = "10364".parse().unwrap();
    store.put_units(&[other]).await.unwrap();
    let mut moved = store.device(&bench.town.loa.id).await.unwrap().unwrap().device;
    moved.unit = "10364".parse().unwrap();
    let tomorrow = NOW.plus(24 * HOUR);
    store.put_devices(&[moved], tomorrow).await.unwrap();
    bench.town.until(tomorrow);
    assert_eq!(bench.tally().await.expected, 4, "yesterday it stood where it stood");
    let places = bench.rollup.places(ZONE).await.unwrap();
    let no = places.device_no(&bench.town.loa.id).unwrap();
    let unit = |day| places.unit(places.commune(no, day).unwrap()).unwrap().id.to_string();
    assert_eq!(unit(day_of(NOW, ZONE)), "10363");
    assert_eq!(unit(day_of(tomorrow, ZONE)), "10364");

    store.remove_devices(std::slice::from_ref(&bench.town.loa.id), tomorrow).await.unwrap();
    store.remove_units(&["10363-doai".parse().unwrap()]).await.unwrap();
    assert_eq!(bench.tally().await.expected, 4, "what was due stays due");
}

#[tokio::test]
async fn the_same_question_gives_the_same_bytes_until_its_answer_changes() {
    let mut bench = Bench::over(Arc::new(MemoryStore::default())).await;
    let ask = Bench::ask(ReportKind::Diary, Format::Json);
    let first = bench.make(&ask).await.unwrap();
    bench.town.until(NOW.plus(HOUR));
    bench.town.beat(NOW.plus(HOUR));
    bench.town.report().await;
    let second = bench.make(&ask).await.unwrap();
    assert_eq!(first.rendered.bytes, second.rendered.bytes, "a heartbeat changes nothing of it");
    assert_eq!(second.cut_off, NOW);
    let store = bench.town.store.clone();
    assert_eq!(store.reports(None, 10).await.unwrap().len(), 1);
    let trail = store.trail(Page::Newest { limit: 1 }).await.unwrap();
    assert_eq!((&*trail[0].entry.action, &*trail[0].entry.who), ("make-report", "lan"));

    let cue = bench.town.outcomes().await[0].cue;
    bench.town.play(FIVE.plus(60_010), cue, FIVE, 60_000, Said::Played, "end");
    bench.town.until(FIVE.plus(120_000));
    bench.town.report().await;
    let third = bench.make(&ask).await.unwrap();
    assert_ne!(third.rendered.bytes, first.rendered.bytes);
    assert_eq!(third.cut_off, FIVE.plus(120_000));
    assert_eq!(store.reports(None, 10).await.unwrap().len(), 2);

    let only_final = Ask { only_final: true, ..ask };
    let refused = bench.make(&only_final).await.unwrap_err();
    assert!(matches!(refused, ReportsError::Provisional), "{refused}");
    assert_eq!(store.reports(None, 10).await.unwrap().len(), 2, "what is refused is not logged");
}

#[tokio::test]
async fn every_kind_is_made_in_every_format_from_the_same_store() {
    let mut bench = Bench::over(Arc::new(MemoryStore::default())).await;
    let cue = bench.town.outcomes().await[0].cue;
    bench.town.beat(NOW);
    bench.town.play(FIVE.plus(60_010), cue, FIVE, 60_000, Said::Played, "end");
    bench.town.until(FIVE.plus(HOUR));
    bench.town.report().await;
    for kind in ReportKind::ALL {
        for format in Format::ALL {
            let mut ask = Bench::ask(kind, format);
            if kind == ReportKind::Heard {
                let places = bench.rollup.places(ZONE).await.unwrap();
                let (unit, device) = locate(&places, "loa-doai-1", FIVE, ZONE, |_| true).unwrap();
                ask.unit = unit;
                let words = "loa-doai-1".to_owned();
                ask.spot = Some(Spot { words, at: FIVE, margin_ms: 60_000, device });
            }
            let made = bench.make(&ask).await.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
            let text = String::from_utf8_lossy(&made.rendered.bytes);
            if format == Format::Json {
                let title = if kind == ReportKind::Heard { "\"sounded\"" } else { kind.title().0 };
                assert!(text.contains(title), "{kind:?}: {text}");
            }
            if format == Format::Csv && matches!(kind, ReportKind::Diary | ReportKind::AsRun) {
                assert!(text.contains("Tin m1"), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn a_place_is_found_by_id_code_or_words_and_one_of_several_must_be_named() {
    let bench = Bench::over(Arc::new(MemoryStore::default())).await;
    let places = bench.rollup.places(ZONE).await.unwrap();
    let found = |words: &str| locate(&places, words, FIVE, ZONE, |_| true);
    let (unit, device) = found("loa-dong-1").unwrap();
    assert_eq!((unit.as_str(), device.unwrap().as_str()), ("10363-dong", "loa-dong-1"));
    assert_eq!(found("10363").unwrap(), ("10363".parse().unwrap(), None));
    assert_eq!(found("đơn vị 10363-DOAI").unwrap().0.as_str(), "10363-doai");
    let several = found("Cụm loa").unwrap_err();
    assert!(several.to_string().contains("`loa-doai-1`, `loa-dong-1`"), "{several}");
    assert!(matches!(found("trăng").unwrap_err(), ReportsError::NoPlace { .. }));
    assert!(matches!(found("").unwrap_err(), ReportsError::NoPlace { .. }));
}

#[tokio::test]
async fn whoever_sees_one_hamlet_finds_its_places_and_hears_of_no_others() {
    let bench = Bench::over(Arc::new(MemoryStore::default())).await;
    let places = bench.rollup.places(ZONE).await.unwrap();
    let own = |unit: &UnitId| unit.as_str() == "10363-dong";
    let found = |words: &str| locate(&places, words, FIVE, ZONE, own);
    let (unit, device) = found("Cụm loa").unwrap();
    assert_eq!((unit.as_str(), device.unwrap().as_str()), ("10363-dong", "loa-dong-1"));
    for words in ["loa-doai-1", "10363-doai", "đơn vị 10363-DOAI", "trăng"] {
        let error = found(words).unwrap_err();
        assert!(matches!(error, ReportsError::NoPlace { .. }), "{words}: {error}");
    }
}

#[tokio::test]
async fn a_whole_province_is_not_asked_what_sounded() {
    let bench = Bench::over(Arc::new(MemoryStore::default())).await;
    let first = bench.town.store.devices().await.unwrap().remove(0).device;
    let mut ask = Bench::ask(ReportKind::Heard, Format::Json);
    ask.spot = Some(Spot { words: "10363".into(), at: FIVE, margin_ms: 60_000, device: None });
    bench.make(&ask).await.unwrap();
    let id = |n: usize| format!("loa-{n}").parse().unwrap();
    let more: Vec<_> = (0..MOST_DEVICES)
        .map(|n| crate::domain::station::Device { id: id(n), ..first.clone() })
        .collect();
    bench.town.store.put_devices(&more, NOW.plus(-HOUR)).await.unwrap();
    let error = bench.make(&ask).await.unwrap_err();
    assert!(matches!(error, ReportsError::Wide { .. }), "{error}");
}

#[test]
fn a_logged_file_names_its_hash_and_the_head_it_was_made_from() {
    let head = crate::report::question::Checkpoint {
        origin: "loa.example/2026".into(),
        size: 7,
        root: "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=".into(),
    };
    let digest = crate::domain::ids::Digest([7; 32]);
    let leaf = crate::app::logbook::reported("diary_10363_2026-12.pdf", digest, &head, NOW);
    let said = leaf.unwrap().statement().unwrap().unwrap();
    let ServerBody::Report { name, file, head } = said.body else { panic!("{said:?}") };
    assert_eq!((name.as_str(), file, head.size), ("diary_10363_2026-12.pdf", digest, 7));
}

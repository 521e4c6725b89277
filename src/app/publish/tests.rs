//! A commune by hand: what is published, what is not, and what a forgetful broker is told.

use crate::store::{SqliteStore, memory::MemoryStore};

use super::*;
use crate::app::ports::{RetainedDocument, Store, StoreError};
use crate::clock::{Clock as _, ManualClock};
use crate::domain::ids::{ItemId, PlaylistId};
use crate::domain::playlist::*;
use crate::domain::profile::{Profile, SpeakerProfile};
use crate::domain::recurrence::Recurrence;
use crate::domain::standby::{Standby, Template};
use crate::domain::station::*;
use crate::domain::time::UtcMs;
use crate::domain::timetable::sheet::DaySheet;
use crate::wire::doc::Timetable;
use crate::wire::jws::{self, OneKey, Role, SecretKey, Typ};
use crate::wire::sheet;
use proptest::prelude::*;
use std::sync::Arc;

const DAY: i64 = 86_400_000;
/// 2026-12-01 03:00 in Hà Nội.
const NOW: UtcMs = UtcMs(1_796_068_800_000);

fn key() -> SecretKey {
    SecretKey::from_seed(&[101; 32])
}

pub(crate) fn item(id: &str, clip: &str) -> Item {
    Item {
        id: ItemId::new(id).unwrap(),
        title: format!("Tin {id}"),
        author: None,
        topic: None,
        plan_line: None,
        reader: None,
        origin: None,
        document: None,
        language: "vi".into(),
        content: Content::Clip { clip: ClipPath(clip.into()), fallback: None },
    }
}

pub(crate) fn pages(id: &str, text: &str) -> Item {
    Item { content: Content::Pages(vec![Page::still(text, 5_000)]), ..item(id, "") }
}

pub(crate) fn playlist(id: &str, units: &[&str], at: &[&str], items: Vec<Item>) -> Playlist {
    let slot = Slot {
        id: "sang".parse().unwrap(),
        when: Recurrence::at(at, &["Mon-Sun"]).unwrap(),
        except: vec![],
        only: vec![],
        skips: vec![],
        longest_ms: 600_000,
        order: Order::Sequence,
        volume: 80,
        fade_ms: 500,
        overrun: Overrun::Cut,
        items: items.iter().map(|item| item.id.clone()).collect(),
    };
    Playlist {
        id: PlaylistId::new(id).unwrap(),
        title: "Bản tin sáng".into(),
        targets: Targets {
            units: units.iter().map(|unit| unit.parse().unwrap()).collect(),
            ..Targets::default()
        },
        priority: Priority::Routine,
        valid_from: None,
        valid_until: None,
        topic: None,
        plan_line: None,
        lead: None,
        coordinating: vec![],
        order: None,
        accepted: 1,
        approval: None,
        items,
        slots: vec![slot],
    }
}

/// A commune with two hamlets and `n` loudspeakers in each.
pub(crate) fn station(n: usize) -> Station {
    let unit = |id: &str, parent: Option<&str>| Unit {
        id: id.parse().unwrap(),
        name: format!("Đơn vị {id}"),
        parent: parent.map(|p| p.parse().unwrap()),
        valid_from: None,
        valid_until: None,
        successors: vec![],
        population: None,
    };
    let units = [
        unit("01", None),
        unit("10363", Some("01")),
        unit("10363-doai", Some("10363")),
        unit("10363-dong", Some("10363")),
    ];
    let mut devices = BTreeMap::new();
    for hamlet in ["doai", "dong"] {
        for n in 1..=n {
            let id = DeviceId::new(format!("loa-{hamlet}-{n}")).unwrap();
            let device = Device {
                id: id.clone(),
                name: format!("Cụm loa {n}"),
                unit: format!("10363-{hamlet}").parse().unwrap(),
                tags: vec![],
                profile: "loa".parse().unwrap(),
                volume_cap: 90,
                trim_ms: 0,
                behind: None,
            };
            devices.insert(id, device);
        }
    }
    let profile = Profile {
        id: "loa".parse().unwrap(),
        title: "Loa IP".into(),
        speaker: Some(SpeakerProfile { codecs: vec!["audio/mpeg".into()], longest_ms: 3_600_000 }),
        board: None,
        storage_bytes: 1 << 30,
        sheet_bytes: 65_536,
        chunk_kib: 64,
        clock_ppm: 50,
    };
    let facts = |name: &str| AssetFacts {
        sha256: Digest::of(name.as_bytes()),
        bytes: 300_000,
        media_type: "audio/mpeg".into(),
        ms: 60_000,
        gain_cb: -12,
        lufs_cb: -170,
        sums: BTreeMap::from([("64".to_owned(), Digest::of(b"sums"))]),
        title: name.into(),
    };
    let clips =
        ["a.mp3", "b.mp3", "c.mp3"].map(|name| (ClipPath(name.into()), Clip::Known(facts(name))));
    let morning =
        playlist("ban-tin", &["10363"], &["05:00"], vec![item("m1", "a.mp3"), item("m2", "b.mp3")]);
    Station {
        name: "Đài truyền thanh xã Đồng Tiến".into(),
        zone: chrono_tz::Asia::Ho_Chi_Minh,
        units: units.into_iter().map(|unit| (unit.id.clone(), unit)).collect(),
        devices,
        profiles: BTreeMap::from([(profile.id.clone(), profile)]),
        policies: vec![],
        calendars: vec![],
        playlists: BTreeMap::from([(morning.id.clone(), morning)]),
        library: Library { clips: clips.into_iter().collect() },
        standby: BTreeMap::new(),
        feeds: BTreeMap::new(),
    }
}

pub(crate) fn with(mut station: Station, playlist: Playlist) -> Station {
    station.playlists.insert(playlist.id.clone(), playlist);
    station
}

struct Desk {
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    publisher: Publisher<dyn Store>,
}

impl Desk {
    fn over(store: Arc<dyn Store>, now: UtcMs) -> Self {
        let clock = Arc::new(ManualClock::new(now));
        let publisher = Publisher::new(
            Arc::clone(&store),
            Settings::default(),
            key(),
            Arc::<ManualClock>::clone(&clock),
        );
        Self { store, clock, publisher }
    }

    fn new() -> Self {
        Self::over(Arc::new(MemoryStore::default()), NOW)
    }

    async fn plan(&mut self, station: &Station) -> Round {
        let round = self.publisher.plan(&Arc::new(station.clone())).await.unwrap();
        let versions: Vec<_> = round.timetables.iter().map(|t| (t.device.clone(), t.ver)).collect();
        self.publisher.published(&versions).await.unwrap();
        round
    }
}

fn opened(publication: &TimetablePublication) -> Timetable {
    assert!(publication.publication.retain);
    assert_eq!(publication.publication.topic, format!("loa/1/d/{}/timetable", publication.device));
    let text = std::str::from_utf8(&publication.publication.payload).unwrap();
    let key = OneKey { key: key().public(), role: Role::Schedule };
    let claims = jws::open::<Timetable>(text, Typ::Timetable, Role::Schedule, &key).unwrap().claims;
    claims.check().unwrap();
    assert_eq!((&claims.aud, claims.ver), (&publication.device, publication.ver));
    claims
}

fn sheets(round: &Round) -> BTreeMap<Digest, DaySheet> {
    let read = round.sheets.iter().map(|publication| {
        assert!(publication.retain);
        let name = Digest::of(&publication.payload);
        assert_eq!(publication.topic, format!("loa/1/s/{name}"));
        (name, sheet::open(&publication.payload, &name, 65_536).unwrap())
    });
    read.collect()
}

#[tokio::test]
async fn devices_with_the_same_days_share_sheets_and_get_a_timetable_each() {
    let mut desk = Desk::new();
    let round = desk.plan(&station(3)).await;
    assert_eq!(round.timetables.len(), 6);
    let sheets = sheets(&round);
    let mut named = std::collections::BTreeSet::new();
    for timetable in &round.timetables {
        let claims = opened(timetable);
        assert_eq!(claims.iss, "Đài truyền thanh xã Đồng Tiến");
        assert_eq!(claims.days.len(), 16);
        assert_eq!(claims.volume_cap, 90);
        assert_eq!(claims.units.len(), 3, "hamlet, commune, province");
        assert_eq!(claims.ver, NOW.0, "the server's clock");
        let end = claims.days.last().unwrap().to_ms;
        assert_eq!(claims.exp, end.numeric_date());
        let full = claims.days.iter().filter(|day| day.from_ms > NOW).count();
        assert!(full >= 14, "{full} full days ahead");
        assert!(claims.days.iter().any(|day| day.from_ms <= NOW && NOW < day.to_ms), "today");
        named.extend(claims.days.iter().map(|day| day.sheet));
    }
    assert_eq!(named, sheets.keys().copied().collect());
    assert!(sheets.len() <= 17, "one a day, not one a device: {}", sheets.len());
    assert_eq!(round.assets.len(), 2);
    let need = &round.assets[&Digest::of(b"a.mp3")];
    assert_eq!((need.devices, need.bytes), (6, 300_000));
    assert_eq!(need.kib, [64].into());
    assert_eq!(need.first_use_ms, NOW.plus(2 * 3_600_000), "05:00 today");
    assert_eq!(round.faults, []);
    assert_eq!(round.clear, [""; 0]);
}

#[tokio::test]
async fn an_unchanged_station_publishes_nothing() {
    let mut desk = Desk::new();
    let station = station(2);
    desk.plan(&station).await;
    desk.clock.pass(60_000);
    assert!(desk.plan(&station).await.is_empty());
    let mut again = Desk::over(Arc::clone(&desk.store), desk.clock.now());
    assert!(again.plan(&station).await.is_empty(), "nor after a restart");
}

#[tokio::test]
async fn only_the_devices_concerned_get_a_new_timetable() {
    let mut desk = Desk::new();
    let before = desk.plan(&station(2)).await;
    desk.clock.pass(60_000);
    let extra = playlist("thon", &["10363-dong"], &["17:00"], vec![item("c", "c.mp3")]);
    let changed = with(station(2), extra);
    let round = desk.plan(&changed).await;
    let ids: Vec<_> = round.timetables.iter().map(|t| t.device.as_str()).collect();
    assert_eq!(ids, ["loa-dong-1", "loa-dong-2"]);
    for (new, old) in round.timetables.iter().zip(&before.timetables[2..]) {
        assert_eq!((opened(new).ver, new.ver > old.ver), (NOW.0 + 60_000, true));
    }
    assert!(!sheets(&round).is_empty());
    assert_eq!(round.clear, [""; 0], "the other hamlet still follows the old sheets");

    // And back: the sheets of the addition are cleared, those before are still there.
    desk.clock.pass(60_000);
    let back = desk.plan(&station(2)).await;
    assert_eq!(back.timetables.len(), 2);
    assert_eq!(back.sheets, [], "published and in force all along");
    assert_eq!(back.clear.len(), round.sheets.len());
}

#[tokio::test]
async fn a_sheet_that_comes_back_into_force_is_published_again() {
    let mut desk = Desk::new();
    let first = desk.plan(&station(1)).await;
    let other = playlist("khac", &["10363"], &["06:00"], vec![item("c", "c.mp3")]);
    let away = desk.plan(&with(station(1), other)).await;
    assert_eq!(away.clear.len(), first.sheets.len());
    // Also by a process that only knows the store: there the sheets have been all along.
    let mut desk = Desk::over(Arc::clone(&desk.store), desk.clock.now());
    let back = desk.publisher.plan(&Arc::new(station(1))).await.unwrap();
    let topics = |round: &Round| -> std::collections::BTreeSet<String> {
        round.sheets.iter().map(|sheet| sheet.topic.clone()).collect()
    };
    assert_eq!(topics(&back), topics(&first));
}

#[tokio::test]
async fn the_horizon_moves_on_once_a_day_at_a_moment_of_each_devices_own() {
    let mut desk = Desk::new();
    let station = station(12);
    desk.plan(&station).await;
    let mut moments: BTreeMap<DeviceId, i64> = BTreeMap::new();
    let mut last: BTreeMap<DeviceId, i64> = BTreeMap::new();
    for hour in 1..=48 {
        desk.clock.pass(3_600_000);
        let now = desk.clock.now();
        for timetable in &desk.plan(&station).await.timetables {
            let claims = opened(timetable);
            let full = claims.days.iter().filter(|day| day.from_ms > now).count();
            assert!(full >= 14, "{full} full days ahead");
            if let Some(before) = last.insert(claims.aud.clone(), hour) {
                assert_eq!(hour - before, 24, "{}", claims.aud);
            } else {
                moments.insert(claims.aud, hour);
            }
        }
    }
    assert_eq!(moments.len(), 24, "every device was extended");
    let distinct: std::collections::BTreeSet<_> = moments.values().collect();
    assert!(distinct.len() > 8, "spread over the day: {distinct:?}");
}

#[tokio::test]
async fn at_no_moment_are_fewer_than_fourteen_full_days_ahead() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let mut desk = Desk::over(Arc::clone(&store), NOW);
    let station = station(4);
    for _ in 0..(3 * 24) {
        desk.plan(&station).await;
        let now = desk.clock.now();
        for timetable in store.newest_timetables().await.unwrap() {
            let full = timetable.days.iter().filter(|day| day.from_ms > now).count();
            assert!(full >= 14, "{full} at {now:?}");
            assert!(timetable.days.iter().any(|day| day.from_ms <= now && now < day.to_ms));
        }
        desk.clock.pass(3_600_000);
    }
}

#[tokio::test]
async fn a_day_whose_cue_runs_over_midnight_stays_until_it_is_over() {
    let mut station = station(6);
    station.profiles.get_mut(&"loa".parse().unwrap()).unwrap().board =
        Some(crate::domain::profile::BoardProfile {
            width_px: 64,
            height_px: 16,
            colours: vec![],
            fonts: vec!["unifont".into()],
            scroll_px_s: 40,
            ..crate::domain::profile::BoardProfile::default()
        });
    let mut night =
        playlist("dem", &["10363"], &["23:00"], vec![pages("b", "Phòng chống lừa đảo")]);
    night.slots[0].longest_ms = 3 * 3_600_000;
    let station = with(station, night);
    // 00:30 local: the rotation of yesterday runs until 02:00.
    let now = UtcMs(NOW.0 + 21 * 3_600_000 + 1_800_000);
    let mut desk = Desk::over(Arc::new(MemoryStore::default()), now);
    for timetable in &desk.plan(&station).await.timetables {
        let claims = opened(timetable);
        let running = claims.days.iter().any(|day| day.from_ms < now && day.to_ms <= now);
        assert!(running, "yesterday stands in the list of {}", claims.aud);
    }
}

#[tokio::test]
async fn too_large_a_sheet_is_a_fault_and_the_last_good_one_stays() {
    let mut desk = Desk::new();
    let good = desk.plan(&station(1)).await;
    let days = opened(&good.timetables[0]).days;
    let first_day =
        days[0].from_ms.datetime().with_timezone(&chrono_tz::Asia::Ho_Chi_Minh).date_naive();
    let many: Vec<_> = (0..60)
        .map(|n| {
            let mut item = pages(&format!("p{n}"), &"Nội dung dài. ".repeat(120));
            item.title = "Bảng điện tử".into();
            item
        })
        .collect();
    let mut station = station(1);
    station.profiles.get_mut(&"loa".parse().unwrap()).unwrap().board =
        Some(crate::domain::profile::BoardProfile {
            width_px: 64,
            height_px: 16,
            colours: vec![],
            fonts: vec!["unifont".into()],
            scroll_px_s: 40,
            ..crate::domain::profile::BoardProfile::default()
        });
    desk.clock.pass(1_000);
    let bad = with(station, playlist("bang", &["10363-doai"], &["08:00"], many));
    let round = desk.plan(&bad).await;
    assert_eq!(round.faults.len(), 16, "one a day");
    match &round.faults[0] {
        PublishFault::SheetTooLarge { day, devices, bytes, limit } => {
            assert_eq!(*day, first_day);
            assert_eq!(devices.len(), 1);
            assert_eq!(devices[0].as_str(), "loa-doai-1");
            assert!(bytes > limit && *limit == 65_536);
        }
        other => panic!("{other}"),
    }
    let text = round.faults[0].to_string();
    assert!(text.contains(&first_day.to_string()) && text.contains("loa-doai-1"), "{text}");
    assert_eq!((round.timetables.len(), round.clear.len()), (0, 0), "all as it was");
    let kept = desk.store.newest_timetables().await.unwrap();
    let kept = &kept.iter().find(|t| t.device.as_str() == "loa-doai-1").unwrap().days;
    assert_eq!(
        kept.iter().map(|d| d.sheet).collect::<Vec<_>>(),
        days.iter().map(|d| d.sheet).collect::<Vec<_>>()
    );
    let repaired = desk.plan(&self::station(1)).await;
    assert_eq!(repaired.faults, []);
}

#[tokio::test]
async fn a_profile_may_state_a_smaller_sheet() {
    let mut station = station(1);
    station.profiles.get_mut(&"loa".parse().unwrap()).unwrap().sheet_bytes = 300;
    let round = Desk::new().plan(&station).await;
    assert!(matches!(round.faults[0], PublishFault::SheetTooLarge { limit: 300, .. }));
    assert_eq!(round.timetables.len(), 0, "there is no last good version");
}

#[tokio::test]
async fn the_longest_timetable_that_can_be_planned_is_within_its_limit() {
    let clips = ["a", "b", "c", "d", "e"].map(|name| name.to_owned() + &"ệ".repeat(190));
    let mut longest = with_standby(station(1), &clips.each_ref().map(String::as_str));
    longest.name = "Đài truyền thanh xã Đông Hoà ".repeat(120);
    let round = Desk::new().plan(&longest).await;
    assert_eq!((round.faults.len(), round.timetables.len()), (0, 2), "a name is cut, not refused");
    let one = opened(&round.timetables[0]);
    // Ids of full length, as many units as a device may have, a day carried over from yesterday.
    let far = UtcMs(9_999_999_999_999);
    let mut days = one.days.clone();
    days.push(crate::wire::doc::DayEntry { from_ms: far, to_ms: far, sheet: Digest([255; 32]) });
    let claims = Timetable {
        aud: DeviceId::new("d".repeat(40)).unwrap(),
        units: vec!["00001-abcdefghijkl".parse().unwrap(); crate::wire::limits::UNITS],
        ver: far.0,
        trim_ms: -1_000,
        days,
        ..one
    };
    assert_eq!((claims.days.len(), claims.standby.len()), (17, 5));
    let bytes = jws::sign(&key(), Typ::Timetable, &claims).len();
    assert!(bytes <= crate::wire::limits::TIMETABLE_BYTES, "{bytes}");
    let limit = crate::wire::limits::TIMETABLE_BYTES;
    let fault = PublishFault::TimetableTooLarge { device: claims.aud, bytes: limit + 1, limit };
    let told = fault.to_string();
    assert!(told.contains("dddd") && told.contains("8193") && told.contains("8192"), "{told}");
}

#[tokio::test]
async fn a_restored_server_is_above_its_past_by_itself() {
    let mut desk = Desk::new();
    desk.plan(&station(1)).await;
    // The same station from an empty store, an hour later: as after a restore.
    let mut restored = Desk::over(Arc::new(MemoryStore::default()), NOW.plus(3_600_000));
    for timetable in &restored.plan(&station(1)).await.timetables {
        assert!(timetable.ver > NOW.0);
    }
    // And with a clock set back, versions still rise.
    let mut back = Desk::over(Arc::clone(&desk.store), NOW.plus(-3 * DAY));
    for timetable in &back.plan(&station(1)).await.timetables {
        assert_eq!(timetable.ver, NOW.0 + 1);
    }
}

#[tokio::test]
async fn a_broker_that_forgot_is_told_everything_from_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&dir.path().join("loa.db")).await.unwrap());
    let station = station(2);
    let mut desk = Desk::over(Arc::<SqliteStore>::clone(&store), NOW);
    let first = desk.plan(&station).await;
    let extra = playlist("thon", &["10363-dong"], &["17:00"], vec![item("c", "c.mp3")]);
    let changed = with(station, extra);
    desk.clock.pass(5);
    let second = desk.plan(&changed).await;
    for (topic, ver) in [("loa/1/d/loa-dong-1/floor", 3), ("loa/1/keys", 1)] {
        let document = RetainedDocument {
            topic: topic.into(),
            ver,
            made_ms: NOW,
            body: topic.as_bytes().into(),
        };
        let publication = desk.publisher.retain(document).await.unwrap();
        assert_eq!((publication.topic.as_str(), publication.retain), (topic, true));
    }
    // Another process, with nothing in memory.
    let other = Desk::over(Arc::<SqliteStore>::clone(&store), NOW.plus(60_000));
    let all = other.publisher.everything(&changed).await.unwrap();
    let topics: Vec<_> = all.first.iter().map(|p| p.topic.as_str()).collect();
    assert_eq!(topics, ["loa/1/keys", "loa/1/d/loa-dong-1/floor"], "keys first");
    assert_eq!(all.round.timetables.len(), 4);
    let expected: Vec<_> =
        first.timetables[..2].iter().chain(&second.timetables).cloned().collect();
    assert_eq!(all.round.timetables, expected, "the newest of each device, the same bytes");
    let sheets = sheets(&all.round);
    for timetable in &all.round.timetables {
        for day in opened(timetable).days {
            assert!(sheets.contains_key(&day.sheet) || day.to_ms < NOW.plus(-2 * DAY));
        }
    }
    let smaller = self::station(1);
    let some = other.publisher.everything(&smaller).await.unwrap();
    assert_eq!(some.round.timetables.len(), 2, "devices that are gone are left out");
}

#[tokio::test]
async fn what_the_broker_never_took_is_handed_out_again() {
    let mut desk = Desk::new();
    let station = Arc::new(station(1));
    let round = desk.publisher.plan(&station).await.unwrap();
    assert!(desk.publisher.plan(&station).await.unwrap().is_empty());
    let again = desk.publisher.unpublished().await.unwrap();
    assert_eq!(again.timetables, round.timetables);
    assert!(!again.sheets.is_empty());
    let versions: Vec<_> = round.timetables.iter().map(|t| (t.device.clone(), t.ver)).collect();
    desk.publisher.published(&versions).await.unwrap();
    assert!(desk.publisher.unpublished().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_device_that_is_gone_has_its_topic_cleared() {
    let mut desk = Desk::new();
    desk.plan(&station(2)).await;
    let round = desk.plan(&station(1)).await;
    assert_eq!(round.clear, ["loa/1/d/loa-doai-2/timetable", "loa/1/d/loa-dong-2/timetable"]);
    assert!(desk.plan(&station(1)).await.is_empty());
}

#[tokio::test]
async fn a_device_that_comes_back_under_a_clock_set_back_gets_a_higher_version() {
    let mut desk = Desk::new();
    let before = desk.plan(&station(2)).await;
    desk.plan(&station(1)).await;
    desk.clock.pass(-DAY);
    let back = desk.plan(&station(2)).await;
    let ver = |round: &Round| {
        let of = |t: &&TimetablePublication| t.device.as_str() == "loa-doai-2";
        round.timetables.iter().find(of).map(|t| t.ver)
    };
    assert!(ver(&back) > ver(&before), "{:?} {:?}", ver(&back), ver(&before));
}

#[tokio::test]
async fn a_full_disk_publishes_nothing_and_later_everything() {
    let store = Arc::new(MemoryStore::default());
    let mut desk = Desk::over(Arc::<MemoryStore>::clone(&store), NOW);
    let station = Arc::new(station(1));
    store.set_full(true);
    let refused = desk.publisher.plan(&station).await;
    assert!(matches!(refused, Err(PublishError::Store(StoreError::Full { .. }))), "{refused:?}");
    store.set_full(false);
    let round = desk.publisher.plan(&station).await.unwrap();
    assert_eq!(round.timetables.len(), 2);
    assert!(!round.sheets.is_empty());
}

/// The station with a template whose clip is called so.
fn with_standby(mut station: Station, clips: &[&str]) -> Station {
    for (template, clip) in Template::ALL.into_iter().zip(clips) {
        let facts = AssetFacts {
            sha256: Digest::of(clip.as_bytes()),
            bytes: 156_771,
            media_type: "audio/mpeg".into(),
            ms: 20_000,
            gain_cb: -12,
            lufs_cb: -170,
            sums: BTreeMap::from([("64".to_owned(), Digest::of(b"sums"))]),
            title: format!("Tin khẩn cấp {clip}"),
        };
        let path = ClipPath(format!("clips/standby/{clip}"));
        station.library.clips.insert(path.clone(), Clip::Known(facts));
        station.standby.insert(template, Standby { clip: path, text: "Khẩn cấp".into() });
    }
    station
}

#[tokio::test]
async fn standby_clips_stand_in_every_timetable_and_a_new_one_concerns_all() {
    let all = ["coi", "bao", "lu", "chay", "dich"];
    let mut desk = Desk::new();
    let round = desk.plan(&with_standby(station(2), &all)).await;
    assert_eq!((round.timetables.len(), round.faults.len()), (4, 0), "five clips and 16 days fit");
    for timetable in &round.timetables {
        let claims = opened(timetable);
        assert_eq!(claims.standby.len(), 5);
        let siren = &claims.standby[&Digest::of(b"coi")];
        assert_eq!((siren.ms, siren.title.as_str()), (20_000, "Tin khẩn cấp coi"));
    }
    let need = &round.assets[&Digest::of(b"coi")];
    assert_eq!((need.devices, need.bytes), (4, 156_771));
    assert!(desk.plan(&with_standby(station(2), &all)).await.is_empty());

    desk.clock.pass(1_000);
    let other = ["coi-moi", "bao", "lu", "chay", "dich"];
    let round = desk.plan(&with_standby(station(2), &other)).await;
    assert_eq!(round.timetables.len(), 4);
    assert!(!round.assets.contains_key(&Digest::of(b"coi")));

    desk.clock.pass(1_000);
    assert_eq!(desk.plan(&station(2)).await.timetables.len(), 4, "and so does none at all");
}

#[tokio::test]
async fn a_device_that_cannot_play_a_standby_clip_is_not_made_to_hold_it() {
    let mut station = with_standby(station(1), &["coi"]);
    station.profiles.get_mut(&"loa".parse().unwrap()).unwrap().speaker = None;
    let round = Desk::new().plan(&station).await;
    assert!(round.timetables.iter().all(|timetable| opened(timetable).standby.is_empty()));
    assert!(!round.assets.contains_key(&Digest::of(b"coi")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever is changed, added and taken away: who follows only what was published sees
    /// exactly what a fresh compile says.
    #[test]
    fn a_broker_fed_with_changes_holds_what_a_fresh_publisher_would_publish(
        steps in proptest::collection::vec((0_usize..3, 0_usize..3, 0_i64..30), 1..7),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut desk = Desk::new();
            let mut broker: BTreeMap<String, bytes::Bytes> = BTreeMap::new();
            let mut current = station(1);
            for (devices, extra, hours) in steps {
                current = station(devices + 1);
                let units = [&["10363-doai"][..], &["10363"], &["10363-dong"]][extra];
                let at = ["06:00", "17:00", "18:30"][devices];
                if extra > 0 {
                    let more = playlist("them", units, &[at], vec![item("c", "c.mp3")]);
                    current = with(current, more);
                }
                desk.clock.pass(hours * 3_600_000 + 1);
                let round = desk.plan(&current).await;
                for p in round.sheets.iter().chain(round.timetables.iter().map(|t| &t.publication)) {
                    broker.insert(p.topic.clone(), p.payload.clone());
                }
                for topic in &round.clear {
                    prop_assert!(broker.remove(topic).is_some(), "clears what is there");
                }
            }
            let all = desk.publisher.everything(&current).await.unwrap();
            let mut told: BTreeMap<String, bytes::Bytes> = BTreeMap::new();
            for p in all.round.sheets.iter().chain(all.round.timetables.iter().map(|t| &t.publication)) {
                told.insert(p.topic.clone(), p.payload.clone());
            }
            prop_assert_eq!(&broker, &told);
            let mut fresh = Desk::over(Arc::new(MemoryStore::default()), desk.clock.now());
            for timetable in &fresh.plan(&current).await.timetables {
                let known = all.round.timetables.iter().find(|t| t.device == timetable.device);
                let (known, fresh) = (opened(known.unwrap()), opened(timetable));
                prop_assert_eq!(known.days, fresh.days);
                prop_assert_eq!(known.units, fresh.units);
            }
            Ok(())
        })?;
    }
}

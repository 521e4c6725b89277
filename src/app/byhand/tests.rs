//! Tests of entering evidence.

use super::*;
use crate::app::assets::MemoryLibrary;
use crate::app::planbook::PlanDesk;
use crate::app::ports::{
    ByHand as _, EntryFilter, Logbook as _, Page, PlanFormat, Registry as _, Trail as _,
};
use crate::config::{plan_from_toml, topics_from_toml};
use crate::domain::station::Unit;
use crate::store::memory::MemoryStore;

const PLAN: &[u8] = include_bytes!("../../../playlists/plans/quang-ngai-103.toml");
const TOPICS: &[u8] = include_bytes!("../../../playlists/topics/an-toan-thong-tin-1.toml");

struct Office {
    store: MemoryStore,
    files: Arc<dyn Library>,
    actor: Actor,
}

impl Office {
    async fn open() -> Self {
        let office = Self {
            store: MemoryStore::default(),
            files: Arc::new(MemoryLibrary::default()),
            actor: Actor::new("lan", "10.0.0.7"),
        };
        let unit = Unit {
            id: "99901".parse().unwrap(),
            name: "Xã Đông Hoà".to_owned(),
            parent: None,
            valid_from: None,
            valid_until: None,
            successors: Vec::new(),
            population: None,
        };
        office.store.put_units(&[unit]).await.unwrap();
        let list = topics_from_toml("t", TOPICS).unwrap().value;
        let id = "quang-ngai-103".parse().unwrap();
        let plan = plan_from_toml("p", &id, PLAN, &[list]).unwrap().value;
        let desk = PlanDesk { store: &office.store, actor: &office.actor, now: UtcMs(1) };
        desk.take(plan, PlanFormat::Toml, PLAN, None).await.unwrap();
        office
    }

    fn desk(&self) -> HandDesk<'_> {
        let today = "2023-03-02".parse().unwrap();
        let (store, files, actor) = (&self.store, &self.files, &self.actor);
        HandDesk { store, files, actor, now: UtcMs(7), today }
    }

    async fn changes(&self) -> (usize, usize, i64) {
        let page = Page::Newest { limit: 99 };
        let all = self.store.entries(&EntryFilter::default(), page).await.unwrap();
        let trail = self.store.trail(page).await.unwrap();
        (all.len(), trail.len(), self.store.newest_leaf().await.unwrap())
    }
}

fn entry() -> NewEntry {
    NewEntry {
        id: None,
        channel: Channel::Wifi,
        unit: "99901".parse().unwrap(),
        line: Some("quang-ngai-103/iii-1".parse().unwrap()),
        topic: Some("T4".parse().unwrap()),
        title: "Trang chào của điểm wifi nhà văn hoá".to_owned(),
        file: "../../etc/ảnh.png".to_owned(),
        on: "2023-03-01".parse().unwrap(),
        by: "le-thi-hoa".parse().unwrap(),
        count: 1,
        note: None,
    }
}

fn file() -> Brought {
    Bytes::from_static(b"hello").into()
}

#[tokio::test]
async fn an_entry_is_kept_once_with_its_file_under_its_hash() {
    let office = Office::open().await;
    let desk = office.desk();
    let before = office.changes().await;
    let kept = desk.add(entry(), file(), None).await.unwrap();
    let again = desk.add(entry(), file(), None).await.unwrap();
    assert_eq!(kept, again);
    assert_eq!(kept.entry.file, "ảnh.png", "only a name is left of a path");
    assert_eq!(kept.entry.sha256, Digest::of(b"hello"));
    let held = office.files.read(&kept.entry.sha256, 0, 99).unwrap();
    assert_eq!(held.as_deref(), Some(&b"hello"[..]));
    let after = office.changes().await;
    assert_eq!((after.0, after.1 - before.1, after.2 - before.2), (1, 1, 1));
    let mut same_id = entry();
    same_id.id = Some(kept.entry.id.clone());
    same_id.count = 2;
    let refused = desk.add(same_id, file(), None).await;
    assert!(matches!(refused, Err(HandError::Differs { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_refused_entry_leaves_neither_file_nor_trace() {
    let office = Office::open().await;
    let desk = office.desk();
    let before = office.changes().await;
    let wrong = |change: &dyn Fn(&mut NewEntry)| {
        let mut new = entry();
        change(&mut new);
        new
    };
    let all = [
        wrong(&|new| new.unit = "99902".parse().unwrap()),
        wrong(&|new| new.channel = Channel::Leaflet),
        wrong(&|new| new.line = Some("quang-ngai-103/ix-9".parse().unwrap())),
        wrong(&|new| new.on = "2023-03-03".parse().unwrap()),
        wrong(&|new| new.on = "2021-03-03".parse().unwrap()),
        wrong(&|new| new.title = " ".to_owned()),
        wrong(&|new| new.title = "ạ".repeat(201)),
        wrong(&|new| new.file = "..".to_owned()),
        wrong(&|new| new.note = Some("x".repeat(1_001))),
        wrong(&|new| new.count = 0),
    ];
    let mut told = Vec::new();
    for new in all {
        let error = desk.add(new, file(), None).await.unwrap_err();
        told.push(format!("{error}\n  {}", error.hint()));
    }
    for file in [Bytes::new(), Bytes::from(vec![0; usize::try_from(FILE_BYTES).unwrap() + 1])] {
        let error = desk.add(entry(), file.into(), None).await.unwrap_err();
        told.push(format!("{error}\n  {}", error.hint()).replace(&entry_id(&error), "m-…"));
    }
    let told: Vec<String> = told.iter().map(|text| without_ids(text)).collect();
    insta::assert_snapshot!(told.join("\n"));
    assert_eq!(office.changes().await, before);
    assert_eq!(office.files.bytes(&Digest::of(b"hello")).unwrap(), None);
}

fn entry_id(error: &HandError) -> String {
    match error {
        HandError::Faults(faults) => faults[0].to_string().split('`').nth(1).unwrap().to_owned(),
        _ => "nothing".to_owned(),
    }
}

/// Ids made of hashes say nothing in a snapshot.
fn without_ids(text: &str) -> String {
    let part =
        |part: &str| if part.starts_with("m-") { "m-…".to_owned() } else { part.to_owned() };
    text.split('`').map(part).collect::<Vec<_>>().join("`")
}

#[tokio::test]
async fn a_correction_is_another_entry_and_each_is_corrected_once() {
    let office = Office::open().await;
    let desk = office.desk();
    let first = desk.add(entry(), file(), None).await.unwrap();
    let wrong = first.entry.id.clone();
    let mut right = NewEntry::again(&first.entry);
    let itself = desk.add(right.clone(), file(), Some((wrong.clone(), "x".into()))).await;
    assert!(matches!(itself, Err(HandError::Itself { .. })), "{itself:?}");
    right.on = "2023-02-28".parse().unwrap();
    let corrects = Some((wrong.clone(), "sai ngày".to_owned()));
    let second = desk.add(right.clone(), file(), corrects.clone()).await.unwrap();
    let again = desk.add(right.clone(), file(), corrects).await.unwrap();
    assert_eq!((&again, &second.corrects), (&second, &Some(wrong.clone())));
    right.count = 3;
    let twice = desk.add(right, file(), Some((wrong.clone(), "nữa".into()))).await;
    assert!(matches!(twice, Err(HandError::Corrected { .. })), "{twice:?}");
    let gone = desk.withdraw(&wrong, "trùng").await;
    assert!(matches!(gone, Err(HandError::Corrected { .. })), "{gone:?}");
    let gone = desk.withdraw(&second.entry.id, "không phải của xã").await.unwrap();
    assert_eq!(gone.corrected.unwrap().by_entry, None);
    let nobody = desk.withdraw(&"m-1".parse().unwrap(), "x").await;
    assert!(matches!(nobody, Err(HandError::NoEntry { .. })), "{nobody:?}");
    assert_eq!(office.store.newest_leaf().await.unwrap(), 4, "two entries, two corrections");
}

#[tokio::test]
async fn a_correction_by_what_was_entered_before_is_not_taken_as_done() {
    let office = Office::open().await;
    let desk = office.desk();
    let mut twin = entry();
    twin.count = 7;
    let wrong = desk.add(entry(), file(), None).await.unwrap().entry.id;
    let right = desk.add(twin.clone(), file(), None).await.unwrap().entry.id;
    let before = office.changes().await;
    let corrects = Some((wrong.clone(), "đếm nhầm".to_owned()));
    let refused = desk.add(twin, file(), corrects).await.unwrap_err();
    let expected = matches!(&refused, HandError::Known { entry, wrong: of } if (entry, of) == (&right, &wrong));
    assert!(expected, "{refused:?}");
    assert_eq!(office.changes().await, before);
    assert_eq!(desk.one(&wrong).await.unwrap().corrected, None);
    desk.withdraw(&wrong, "đếm nhầm").await.unwrap();
}

#[tokio::test]
async fn an_entry_that_differs_from_the_one_of_its_id_leaves_no_file() {
    let office = Office::open().await;
    let desk = office.desk();
    let id = Some(desk.add(entry(), file(), None).await.unwrap().entry.id);
    let other = Bytes::from_static(b"another");
    let refused = desk.add(NewEntry { id, ..entry() }, other.into(), None).await;
    assert!(matches!(refused, Err(HandError::Differs { .. })), "{refused:?}");
    assert_eq!(office.files.bytes(&Digest::of(b"another")).unwrap(), None);
}

//! Tests of taking in plans.

use super::*;
use crate::app::ports::{Page, Registry as _, Trail as _};
use crate::config::{plan_from_toml, topics_from_toml};
use crate::domain::station::Unit;
use crate::store::memory::MemoryStore;

const PLAN: &[u8] = include_bytes!("../../../playlists/plans/quang-ngai-103.toml");
const TOPICS: &[u8] = include_bytes!("../../../playlists/topics/an-toan-thong-tin-1.toml");

fn list() -> TopicList {
    topics_from_toml("t", TOPICS).unwrap().value
}

fn plan() -> Plan {
    let id = "quang-ngai-103".parse().unwrap();
    plan_from_toml("p", &id, PLAN, &[list()]).unwrap().value
}

#[tokio::test]
async fn the_same_plan_again_changes_nothing_and_another_one_is_shown_first() {
    let store = MemoryStore::default();
    let actor = Actor::new("lan", "10.0.0.7");
    let desk = PlanDesk { store: &store, actor: &actor, now: UtcMs(5) };
    let first = desk.take(plan(), PlanFormat::Toml, PLAN, None).await.unwrap();
    assert_eq!((first.stored.version, &first.taken), (1, &Taken::New));
    let again = desk.take(plan(), PlanFormat::Toml, PLAN, None).await.unwrap();
    assert_eq!((again.stored, again.taken), (first.stored, Taken::Unchanged));

    let mut other = plan();
    other.title.push('!');
    let gone = other.lines.remove(0);
    "Việc khác".clone_into(&mut other.lines[0].task);
    let mut new = gone.clone();
    new.id = "ix-9".parse().unwrap();
    other.lines.push(new);
    let error = desk.take(other.clone(), PlanFormat::Toml, b"x", None).await.unwrap_err();
    insta::assert_snapshot!(format!("{error}\n{}", error.hint()), @r"
    plan `quang-ngai-103` is there in version 1, and this changes it: the head changed; added `ix-9`; removed `i-1`; changed `i-2`
    look at the change, then import with `--yes`, or over the API with `replaces=N`
    ");
    assert_eq!(desk.in_force().await.unwrap().0[0].version, 1, "nothing changed");
    let wrong = desk.take(other.clone(), PlanFormat::Toml, b"x", Some(2)).await;
    assert!(matches!(wrong, Err(PlanError::Replaces { version: 1, .. })), "{wrong:?}");
    let second = desk.take(other.clone(), PlanFormat::Toml, b"x", Some(1)).await.unwrap();
    assert_eq!((second.stored.version, &second.stored.plan), (2, &other));
    let trail = store.trail(Page::Newest { limit: 9 }).await.unwrap();
    assert_eq!(trail.len(), 2);
    let became = trail[0].entry.after.as_deref().unwrap();
    assert!(became.contains("version 2") && became.contains("removed `i-1`"), "{became}");

    desk.withdraw(&other.id, "thay thế").await.unwrap();
    let twice = desk.withdraw(&other.id, "thay thế").await;
    assert!(matches!(twice, Err(PlanError::Withdrawn { .. })), "{twice:?}");
    assert!(desk.in_force().await.unwrap().0.is_empty());
    let back = desk.take(other, PlanFormat::Toml, b"x", None).await.unwrap();
    assert_eq!((back.stored.version, back.taken), (3, Taken::New));
}

#[tokio::test]
async fn a_plan_is_withdrawn_only_for_a_reason_and_only_when_it_is_there() {
    let store = MemoryStore::default();
    let actor = Actor::new("lan", "10.0.0.7");
    let desk = PlanDesk { store: &store, actor: &actor, now: UtcMs(5) };
    let id = plan().id;
    for reason in ["", "  ", &"x".repeat(1_001)] {
        let refused = desk.withdraw(&id, reason).await;
        assert!(matches!(refused, Err(PlanError::Reason { .. })), "{refused:?}");
    }
    let refused = desk.withdraw(&id, "thay thế").await;
    assert!(matches!(refused, Err(PlanError::NoPlan { .. })), "{refused:?}");
    assert!(store.trail(Page::Newest { limit: 9 }).await.unwrap().is_empty());
}

#[tokio::test]
async fn units_that_the_register_lacks_are_told() {
    let store = MemoryStore::default();
    let unit = |id: &str| Unit {
        id: id.parse().unwrap(),
        name: id.to_owned(),
        parent: None,
        valid_from: None,
        valid_until: None,
        successors: Vec::new(),
        population: None,
    };
    store.put_units(&[unit("51")]).await.unwrap();
    let actor = Actor::new("lan", "10.0.0.7");
    let desk = PlanDesk { store: &store, actor: &actor, now: UtcMs(5) };
    let mut plan = plan();
    plan.lines[0].units = vec!["51".parse().unwrap(), "99901".parse().unwrap()];
    let taken = desk.take(plan, PlanFormat::Toml, PLAN, None).await.unwrap();
    assert_eq!(taken.unknown_units, ["99901".parse().unwrap()]);
}

#[tokio::test]
async fn a_topic_list_changes_by_its_next_version_which_counts_from_its_day() {
    let store = MemoryStore::default();
    let actor = Actor::new("lan", "10.0.0.7");
    let desk = PlanDesk { store: &store, actor: &actor, now: UtcMs(5) };
    assert!(desk.take_topics(list(), TOPICS).await.unwrap());
    assert!(!desk.take_topics(list(), TOPICS).await.unwrap());
    let mut changed = list();
    changed.topics.pop();
    let refused = desk.take_topics(changed.clone(), b"x").await;
    assert!(matches!(refused, Err(PlanError::ListDiffers { version: 1, .. })), "{refused:?}");
    changed.version = 2;
    changed.valid_from = "2027-01-01".parse().unwrap();
    assert!(desk.take_topics(changed, b"x").await.unwrap());
    let of = async |day: &str| {
        let lists = in_force(store.topic_lists().await.unwrap(), day.parse().unwrap());
        lists.iter().map(|stored| stored.list.version).collect::<Vec<_>>()
    };
    assert_eq!(of("2020-12-31").await, [0; 0]);
    assert_eq!(of("2026-12-31").await, [1]);
    assert_eq!(of("2027-01-01").await, [2]);
}

//! What every store must do: the same tests over SQLite and the in-memory twin.

use super::SqliteStore;
use super::memory::MemoryStore;
use crate::app::people::{Grant, Person, Role};
use crate::app::ports::*;
use crate::app::trail::Actor;
use crate::domain::ids::{ChainId, CueId, DeviceId, Digest};
use crate::domain::proof::chain::{Link, LostSpan};
use crate::domain::station::{Device, Unit};
use crate::domain::time::UtcMs;
use crate::log::leaf::{Leaf, ServerBody};
use crate::plan::{
    Basis, Budget, Counted, Dong, Funds, Least, Means, Month, Months, Per, Plan, PlanLine, Scope,
    Topic, TopicList, TopicRef, Total,
};
use std::sync::Arc;

macro_rules! contract {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let dir = tempfile::tempdir().expect("a folder");
                let store = super::SqliteStore::open(&dir.path().join("loa.db")).await.expect("opens");
                super::$name(&store).await;
                store.close().await;
            })*
        }
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::MemoryStore::default()).await;
            })*
        }
    };
}

contract!(
    a_lease_is_one_holders_until_it_ends,
    leases_are_taken_together_and_listed,
    a_write_under_a_lost_lease_is_refused,
    the_register_is_read_back_as_it_was_put,
    a_change_of_the_register_is_whole_and_told,
    stands_and_turns_are_read_back_and_bounded,
    a_code_enrols_once,
    a_revoked_key_never_comes_back,
    a_gateways_key_speaks_for_what_stands_behind_it,
    a_token_is_used_up,
    a_round_is_read_back_and_repeated_without_effect,
    a_lower_version_is_stale_and_takes_the_round_with_it,
    the_versions_of_a_span_reach_back_to_the_one_in_force,
    old_schedules_are_forgotten_but_not_the_one_in_force,
    retained_documents_never_go_back,
    an_intake_is_read_back_byte_for_byte,
    a_stale_intake_stores_nothing,
    a_receipt_never_goes_back_within_a_chain,
    listings_filter_and_page,
    rejects_are_bounded_and_counted,
    retention_keeps_heads_gaps_and_the_young,
    facts_are_replaced_by_path,
    leaves_are_numbered_with_what_they_tell_of,
    a_round_that_is_refused_leaves_no_leaf,
    a_shard_begins_before_all_that_waits,
    gaps_are_said_with_what_shows_them,
    times_are_judged_once_in_the_order_of_the_log,
    people_are_read_back_with_their_grants_and_the_trail_tells_of_it,
    the_trail_is_listed_from_either_end,
    draws_are_kept_once_and_findings_beside_each_other,
    records_are_found_by_what_was_ordered,
    a_notice_goes_out_once_and_is_withdrawn_once,
    the_newest_hold_of_a_unit_counts,
    the_mark_grows_with_every_order,
    an_approval_step_is_done_whole_over_the_version_it_was_decided_on,
    plans_follow_each_other_and_only_the_newest_is_withdrawn,
    a_topic_list_never_changes_within_a_version,
    evidence_by_hand_is_corrected_by_another_entry_and_never_edited,
);

pub(super) fn device(id: &str) -> DeviceId {
    DeviceId::new(id).expect("an id")
}

fn registered(id: &str) -> Device {
    Device {
        id: device(id),
        name: "Cụm loa thôn Đoài".into(),
        unit: "10363-doai".parse().expect("a unit"),
        tags: vec!["cong-ubnd".parse().expect("a tag")],
        profile: "loa-ip-30w".parse().expect("a profile"),
        volume_cap: 80,
        trim_ms: -12,
        behind: None,
    }
}

pub(super) fn sheet(day: i64, cue: u8) -> StoredSheet {
    let bytes: Arc<[u8]> = format!("{{\"day\":{day},\"cue\":{cue}}}").into_bytes().into();
    let from = day * 86_400_000;
    StoredSheet {
        sha256: Digest::of(&bytes),
        from_ms: UtcMs(from),
        to_ms: UtcMs(from + 86_400_000),
        bytes,
        cues: vec![CueRow {
            cue: CueId([cue; 16]),
            at_ms: UtcMs(from + 18_000_000),
            end_ms: UtcMs(from + 18_060_000),
            item: "an-toan/tin-1".into(),
            title: "Cảnh báo lừa đảo".into(),
            output: CueOutput::Clip,
        }]
        .into(),
    }
}

pub(super) fn timetable(id: &str, ver: i64, sheets: &[&StoredSheet]) -> StoredTimetable {
    let days: Vec<_> = sheets
        .iter()
        .map(|s| StoredDay { from_ms: s.from_ms, to_ms: s.to_ms, sheet: s.sha256 })
        .collect();
    StoredTimetable {
        device: device(id),
        ver,
        made_ms: UtcMs(ver),
        exp_ms: days.last().map_or(UtcMs(0), |day| day.to_ms),
        content: Digest::of(&ver.to_be_bytes()),
        days: days.into(),
        jws: format!("jws-{id}-{ver}").into(),
        published_ms: None,
    }
}

const CHAIN: ChainId = ChainId([7; 16]);

pub(super) fn record(id: &str, seq: u64, kind: &str) -> StoredRecord {
    let jws = format!("{id}.{seq}.{kind}");
    StoredRecord {
        device: device(id),
        chain: CHAIN,
        seq,
        digest: Digest::of(jws.as_bytes()),
        prev: (seq > 1).then(|| Digest::of(b"before")),
        kid: "kid".into(),
        kind: kind.into(),
        cue: (kind == "play").then_some(CueId([3; 16])),
        jti: (kind == "did").then(|| format!("order-{seq}")),
        at_ms: UtcMs(1_000 * i64::try_from(seq).expect("small")),
        received_ms: UtcMs(5_000 + i64::try_from(seq).expect("small")),
        via: Via::Link,
        fault: None,
        jws: jws.into(),
    }
}

pub(super) fn intake(revision: i64, records: Vec<StoredRecord>) -> Intake {
    let last = records.last().expect("some").clone();
    Intake {
        chain: StoredChain {
            device: last.device.clone(),
            chain: CHAIN,
            upto: last.seq,
            head: Some(last.digest),
            first_at_ms: Some(UtcMs(1_000)),
            upto_at_ms: Some(last.at_ms),
            opened_ms: UtcMs(5_001),
            lost: vec![],
            revision,
        },
        add: records,
        gaps: vec![],
        conflicts: vec![],
        faults: vec![],
    }
}

pub(super) fn round(intakes: Vec<Intake>) -> IntakeRound {
    IntakeRound { intakes, ..IntakeRound::default() }
}

async fn a_lease_is_one_holders_until_it_ends(store: &dyn Store) {
    let name = LeaseName::Ingest(10);
    let first = store.take_lease(name, "a", UtcMs(0), UtcMs(10)).await.unwrap().unwrap();
    assert_eq!(first.number, 1);
    assert_eq!(store.take_lease(name, "b", UtcMs(9), UtcMs(20)).await.unwrap(), None);
    let longer = store.take_lease(name, "a", UtcMs(9), UtcMs(15)).await.unwrap().unwrap();
    assert_eq!((longer.number, longer.until_ms), (1, UtcMs(15)), "prolonged, same number");
    let next = store.take_lease(name, "b", UtcMs(15), UtcMs(30)).await.unwrap().unwrap();
    assert_eq!(next.number, 2);
    store.release_lease(&first).await.unwrap();
    assert_eq!(store.take_lease(name, "a", UtcMs(16), UtcMs(40)).await.unwrap(), None);
    store.release_lease(&next).await.unwrap();
    let again = store.take_lease(name, "a", UtcMs(16), UtcMs(40)).await.unwrap().unwrap();
    assert_eq!(again.number, 3, "numbers only grow");
    let other = store.take_lease(LeaseName::Compiler, "b", UtcMs(0), UtcMs(9)).await.unwrap();
    assert_eq!(other.expect("free").number, 1, "leases are apart");
}

async fn leases_are_taken_together_and_listed(store: &dyn Store) {
    let [a, b] = [3, 4].map(LeaseName::Ingest);
    store.take_lease(a, "x", UtcMs(100), UtcMs(110)).await.unwrap().unwrap();
    let names = [a, b, LeaseName::Member(7)];
    let held = store.take_leases(&names, "y", UtcMs(105), UtcMs(115)).await.unwrap();
    assert_eq!(held.iter().map(|held| held.name).collect::<Vec<_>>(), names[1..]);
    let all = store.leases().await.unwrap();
    let of = |name| all.iter().find(|lease| lease.name == name).unwrap().holder.clone();
    assert_eq!((of(a), of(b)), ("x".to_owned(), "y".to_owned()));
    // A clock that was set back an hour must not hold the work up for an hour.
    let early = UtcMs(-3_600_000);
    let held = store.take_leases(&[a], "y", early, early.plus(10)).await.unwrap();
    assert_eq!(held[0].number, 2);
}

async fn a_write_under_a_lost_lease_is_refused(store: &dyn Store) {
    let name = LeaseName::Ingest(0);
    let old = store.take_lease(name, "a", UtcMs(0), UtcMs(10)).await.unwrap().unwrap();
    store.take_lease(name, "b", UtcMs(11), UtcMs(20)).await.unwrap().unwrap();
    let work = round(vec![intake(0, vec![record("loa-1", 1, "boot")])]);
    let refused = store.commit_intake(&work, &[old.fence()]).await;
    assert!(matches!(refused, Err(StoreError::Fenced { number: 1, .. })), "{refused:?}");
    let refused =
        store.put_round(&[sheet(1, 1)], &[], &Descriptions::default(), Some(old.fence())).await;
    assert!(matches!(refused, Err(StoreError::Fenced { .. })), "{refused:?}");
    assert_eq!(store.chain(&device("loa-1"), &CHAIN).await.unwrap(), None);
    assert_eq!(store.sheets(&[sheet(1, 1).sha256]).await.unwrap(), []);
}

async fn the_register_is_read_back_as_it_was_put(store: &dyn Store) {
    let unit = Unit {
        id: "10363".parse().unwrap(),
        name: "Xã Đồng Tiến".into(),
        parent: Some("01".parse().unwrap()),
        valid_from: chrono::NaiveDate::from_ymd_opt(2025, 7, 1),
        valid_until: None,
        successors: vec!["10364".parse().unwrap()],
        population: Some(21_345),
    };
    store.put_units(std::slice::from_ref(&unit)).await.unwrap();
    store.put_units(std::slice::from_ref(&unit)).await.unwrap();
    assert_eq!(store.units().await.unwrap(), std::slice::from_ref(&unit));
    store.remove_units(std::slice::from_ref(&unit.id)).await.unwrap();
    assert_eq!(store.units().await.unwrap(), []);

    store.put_devices(&[registered("loa-2"), registered("loa-1")], UtcMs(5)).await.unwrap();
    let mut moved = registered("loa-1");
    moved.name = "Cụm loa thôn Đông".into();
    store.put_devices(std::slice::from_ref(&moved), UtcMs(9)).await.unwrap();
    let all = store.devices().await.unwrap();
    assert_eq!(all.iter().map(|d| d.device.id.as_str()).collect::<Vec<_>>(), ["loa-1", "loa-2"]);
    assert_eq!(
        all[0],
        Registered { device: moved, registered_ms: UtcMs(5), standing: Standing::Awaiting }
    );
    assert_eq!(store.device(&device("loa-2")).await.unwrap().as_ref(), Some(&all[1]));
    assert_eq!(store.device(&device("loa-9")).await.unwrap(), None);
    store.remove_devices(&[device("loa-2")], UtcMs(9)).await.unwrap();
    assert_eq!(store.devices().await.unwrap().len(), 1);
}

async fn a_change_of_the_register_is_whole_and_told(store: &dyn Store) {
    use crate::domain::fleet::{Card, Point};
    let card = Card {
        place: "Cổng chợ".into(),
        point: Some(Point { lat_e6: 21_273_000, lon_e6: 106_194_000 }),
        serial: "SN-1".into(),
        installer: "Lan".into(),
        installed: chrono::NaiveDate::from_ymd_opt(2026, 1, 2),
        photo: Some(Digest([7; 32])),
        notes: String::new(),
    };
    let lan = Actor::new("lan", "10.0.0.7");
    let told = |n: i64, of: &str| lan.did(UtcMs(n), "set-card", of).after("x");
    let change = RegisterChange {
        at_ms: UtcMs(5),
        devices: vec![registered("loa-1"), registered("loa-2")],
        cards: [(device("loa-1"), card.clone())].into(),
        people: vec![Person::new("lan".parse().unwrap(), "Lan", UtcMs(1), Vec::new())],
        entries: vec![told(1, "loa-1"), told(2, "loa-2"), told(3, "loa-1")],
        ..RegisterChange::default()
    };
    store.change_register(&change).await.unwrap();
    assert_eq!(store.devices().await.unwrap().len(), 2);
    assert_eq!(store.cards().await.unwrap(), change.cards);
    assert_eq!(store.card(&device("loa-1")).await.unwrap(), card);
    assert!(store.card(&device("loa-2")).await.unwrap().is_empty());
    assert_eq!(store.people().await.unwrap(), change.people);
    let of = store.trail_of("loa-1", 10).await.unwrap();
    let of: Vec<_> = of.iter().map(|one| (one.position, one.entry.at)).collect();
    assert_eq!(of, [(3, UtcMs(3)), (1, UtcMs(1))]);
    assert_eq!(store.trail_of("loa-1", 1).await.unwrap().len(), 1);
    assert_eq!(store.trail_of("loa-9", 10).await.unwrap(), []);

    let none = RegisterChange {
        cards: [(device("loa-1"), Card::default())].into(),
        ..RegisterChange::default()
    };
    store.change_register(&none).await.unwrap();
    assert!(store.cards().await.unwrap().is_empty(), "an empty card is none");
    store.change_register(&change).await.unwrap();
    let gone = RegisterChange { gone: vec![device("loa-1")], ..RegisterChange::default() };
    store.change_register(&gone).await.unwrap();
    assert!(store.cards().await.unwrap().is_empty(), "it goes with its device");
    assert_eq!(store.devices().await.unwrap().len(), 1);
}

async fn stands_and_turns_are_read_back_and_bounded(store: &dyn Store) {
    use crate::domain::fleet::{FaultKind, Reach};
    let stand = |of: &str, reach| StoredStand {
        device: device(of),
        reach,
        since_ms: UtcMs(9),
        faults: [(FaultKind::ClockOff, UtcMs(4)), (FaultKind::StorageLow, UtcMs(6))].into(),
    };
    let turn = |at, kind| StoredTurn { device: device("loa-1"), at_ms: UtcMs(at), kind };
    let mut round = StandRound {
        put: vec![stand("loa-1", Reach::Here), stand("loa-2", Reach::Away)],
        gone: Vec::new(),
        turns: vec![
            turn(1, TurnKind::Reach(Reach::Here)),
            turn(2, TurnKind::Began(FaultKind::ClockOff)),
            turn(3, TurnKind::Ended(FaultKind::ClockOff)),
        ],
    };
    store.keep_stands(&round, None).await.unwrap();
    assert_eq!(store.stands().await.unwrap(), round.put);
    let mut newest = round.turns.clone();
    newest.reverse();
    assert_eq!(store.turns_of(&device("loa-1")).await.unwrap(), newest);
    assert_eq!(store.turns_of(&device("loa-2")).await.unwrap(), []);
    let many = (10..).take(TURNS + 5).map(|at| turn(at, TurnKind::Reach(Reach::Away)));
    round = StandRound { put: vec![stand("loa-1", Reach::Away)], turns: many.collect(), ..round };
    round.gone = vec![device("loa-2")];
    store.keep_stands(&round, None).await.unwrap();
    assert_eq!(store.stands().await.unwrap(), round.put);
    let kept = store.turns_of(&device("loa-1")).await.unwrap();
    assert_eq!((kept.len(), kept[TURNS - 1].at_ms), (TURNS, UtcMs(15)));
    let lost = Fence { name: LeaseName::Publisher, number: 3 };
    let refused = store.keep_stands(&StandRound::default(), Some(lost)).await;
    assert!(matches!(refused, Err(StoreError::Fenced { .. })));
}

fn code(id: u8, of: &str) -> EnrolmentCode {
    EnrolmentCode {
        id: Digest([id; 32]),
        device: device(of),
        secret: vec![1, 2, 3],
        made_ms: UtcMs(i64::from(id)),
        expires_ms: UtcMs(100),
        used: None,
        refused: 0,
        last_refusal: None,
    }
}

fn enrolment(code: u8, of: &str, key: u8, at: i64) -> Enrolment {
    Enrolment {
        code: Digest([code; 32]),
        device: device(of),
        kid: format!("kid-{key}"),
        key: [key; 32],
        password: Digest([key; 32]),
        at_ms: UtcMs(at),
    }
}

async fn a_code_enrols_once(store: &dyn Store) {
    store.put_devices(&[registered("loa-1")], UtcMs(0)).await.unwrap();
    for (id, of) in [(1, "loa-1"), (2, "loa-1"), (3, "loa-9")] {
        store.put_code(&code(id, of)).await.unwrap();
    }
    let enrol = |c, of, key, at| {
        let enrolment = enrolment(c, of, key, at);
        async move { store.enrol(&enrolment).await.unwrap() }
    };
    assert_eq!(enrol(9, "loa-1", 1, 10).await, Enrolled::UnknownCode);
    assert_eq!(enrol(1, "loa-2", 1, 10).await, Enrolled::UnknownCode);
    assert_eq!(enrol(1, "loa-1", 1, 100).await, Enrolled::ExpiredCode { at_ms: UtcMs(100) });
    assert_eq!(enrol(3, "loa-9", 1, 10).await, Enrolled::UnknownDevice);
    assert_eq!(store.code(&Digest([3; 32])).await.unwrap().unwrap().used, None);
    assert_eq!(enrol(1, "loa-1", 1, 10).await, Enrolled::Done);
    let by = CodeUse { at_ms: UtcMs(10), kid: "kid-1".into() };
    assert_eq!(enrol(1, "loa-1", 1, 11).await, Enrolled::UsedCode { by: by.clone() });
    let used = store.code(&Digest([1; 32])).await.unwrap().unwrap();
    assert_eq!((used.used, used.secret), (Some(by), vec![]), "the secret is gone");
    store.refuse_code(&Digest([1; 32]), "used").await.unwrap();
    store.put_code(&code(1, "loa-1")).await.unwrap();
    let kept = store.code(&Digest([1; 32])).await.unwrap().unwrap();
    assert_eq!((kept.refused, kept.last_refusal.as_deref()), (1, Some("used")));
    assert!(kept.used.is_some(), "putting it again does not revive it");
    assert_eq!(enrol(2, "loa-1", 2, 20).await, Enrolled::Done);
    let keys = store.keys_of(&device("loa-1")).await.unwrap();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0].end, KeyEnd::Replaced { at_ms: UtcMs(20) });
    assert_eq!((keys[1].key, keys[1].end), ([2; 32], KeyEnd::Open));
    let standing = store.device(&device("loa-1")).await.unwrap().unwrap().standing;
    assert_eq!(
        standing,
        Standing::Enrolled { since_ms: UtcMs(20), kid: "kid-2".into(), password: Digest([2; 32]) }
    );
    let ids: Vec<_> = store.codes().await.unwrap().iter().map(|c| c.id.0[0]).collect();
    assert_eq!(ids, [3, 2, 1], "newest first");
}

async fn a_revoked_key_never_comes_back(store: &dyn Store) {
    store.put_devices(&[registered("loa-1"), registered("loa-2")], UtcMs(0)).await.unwrap();
    for (id, of) in [(1, "loa-1"), (2, "loa-1"), (3, "loa-2")] {
        store.put_code(&code(id, of)).await.unwrap();
    }
    assert_eq!(store.enrol(&enrolment(1, "loa-1", 1, 10)).await.unwrap(), Enrolled::Done);
    store.revoke(&device("loa-1"), "mất trộm", "lan", UtcMs(20)).await.unwrap();
    store.revoke(&device("loa-1"), "again", "lan", UtcMs(30)).await.unwrap();
    let found = store.device(&device("loa-1")).await.unwrap().unwrap();
    assert_eq!(
        found.standing,
        Standing::Revoked { at_ms: UtcMs(20), reason: "mất trộm".into() },
        "the first word stands"
    );
    let keys = store.keys_of(&device("loa-1")).await.unwrap();
    assert_eq!(keys[0].end, KeyEnd::Revoked { at_ms: UtcMs(20) });
    assert_eq!(store.enrol(&enrolment(2, "loa-1", 1, 40)).await.unwrap(), Enrolled::SpentKey);
    assert_eq!(store.enrol(&enrolment(3, "loa-2", 1, 40)).await.unwrap(), Enrolled::SpentKey);
    assert_eq!(store.enrol(&enrolment(2, "loa-1", 5, 40)).await.unwrap(), Enrolled::Done);
}

async fn a_gateways_key_speaks_for_what_stands_behind_it(store: &dyn Store) {
    let [gateway, other, child] = ["cong-1", "cong-2", "loa-1"].map(device);
    let behind = |of: Option<&str>| Device { behind: of.map(device), ..registered("loa-1") };
    let standing = async || store.device(&child).await.unwrap().unwrap().standing;
    let enrolled = |at: i64, key: u8| Standing::Enrolled {
        since_ms: UtcMs(at),
        kid: format!("kid-{key}"),
        password: Standing::NO_PASSWORD,
    };
    let ends = async || {
        let keys = store.keys_of(&child).await.unwrap();
        keys.into_iter().map(|key| (key.kid, key.gateway, key.end)).collect::<Vec<_>>()
    };
    // In any order: what stands behind may be named before its gateway.
    let all = [behind(Some("cong-1")), registered("cong-1"), registered("cong-2")];
    store.put_devices(&all, UtcMs(1)).await.unwrap();
    assert_eq!(standing().await, Standing::Awaiting, "its gateway has no key yet");
    for (id, of) in [(1, "cong-1"), (2, "cong-2"), (3, "cong-1"), (4, "cong-1")] {
        store.put_code(&code(id, of)).await.unwrap();
    }
    assert_eq!(store.enrol(&enrolment(1, "cong-1", 1, 10)).await.unwrap(), Enrolled::Done);
    assert_eq!(standing().await, enrolled(10, 1));
    let first = ("kid-1".to_owned(), Some(gateway.clone()), KeyEnd::Open);
    assert_eq!(ends().await, std::slice::from_ref(&first));
    let said = || async { store.leaves(1, 99).await.unwrap().len() };
    let before = said().await;
    store.put_devices(&[behind(Some("cong-1"))], UtcMs(11)).await.unwrap();
    assert_eq!((standing().await, said().await), (enrolled(10, 1), before), "nothing changed");
    // The same key may enrol the gateway again, although it speaks for another device too.
    assert_eq!(store.enrol(&enrolment(3, "cong-1", 1, 12)).await.unwrap(), Enrolled::Done);
    assert_eq!(standing().await, enrolled(12, 1));

    assert_eq!(store.enrol(&enrolment(2, "cong-2", 2, 20)).await.unwrap(), Enrolled::Done);
    store.put_devices(&[behind(Some("cong-2"))], UtcMs(30)).await.unwrap();
    assert_eq!(standing().await, enrolled(30, 2));
    let replaced = (first.0, first.1, KeyEnd::Replaced { at_ms: UtcMs(30) });
    let second = |end| ("kid-2".to_owned(), Some(other.clone()), end);
    assert_eq!(ends().await, [replaced.clone(), second(KeyEnd::Open)]);

    store.revoke(&other, "mất trộm", "lan", UtcMs(40)).await.unwrap();
    assert_eq!(standing().await, Standing::Awaiting, "it waits for its gateway");
    let revoked = second(KeyEnd::Revoked { at_ms: UtcMs(40) });
    assert_eq!(ends().await, [replaced.clone(), revoked.clone()]);
    let leaves = store.leaves(1, 99).await.unwrap();
    let told: Vec<_> = leaves.iter().map(|leaf| String::from_utf8_lossy(leaf.content())).collect();
    let of = |kind: &str| {
        let is = |text: &&std::borrow::Cow<'_, str>| {
            text.contains(&format!("\"kind\":\"{kind}\",\"dev\":\"loa-1\""))
        };
        told.iter().filter(is).count()
    };
    assert_eq!((of("enrol"), of("revoke")), (3, 1), "{told:#?}");

    // Back behind the first one, whose key was only replaced; then by itself.
    store.put_devices(&[behind(Some("cong-1"))], UtcMs(50)).await.unwrap();
    assert_eq!(standing().await, enrolled(50, 1));
    store.put_devices(&[behind(None)], UtcMs(60)).await.unwrap();
    assert_eq!(standing().await, Standing::Awaiting);
    let first = ("kid-1".to_owned(), Some(gateway.clone()), KeyEnd::Replaced { at_ms: UtcMs(60) });
    assert_eq!(ends().await, [first, revoked]);
    // Revoked by itself it stays so when its gateway enrols again under the same key.
    store.put_devices(&[behind(Some("cong-1"))], UtcMs(70)).await.unwrap();
    store.revoke(&child, "hỏng", "lan", UtcMs(80)).await.unwrap();
    assert_eq!(store.enrol(&enrolment(4, "cong-1", 1, 90)).await.unwrap(), Enrolled::Done);
    let gone = Standing::Revoked { at_ms: UtcMs(80), reason: "hỏng".into() };
    assert_eq!(standing().await, gone);
}

async fn a_token_is_used_up(store: &dyn Store) {
    let token = |id: u8, expires, uses_left| Token {
        person: (id == 1).then(|| "lan".parse().unwrap()),
        hash: Digest([id; 32]),
        name: "quản trị".into(),
        scope: "api".into(),
        made_ms: UtcMs(i64::from(id)),
        expires_ms: expires,
        uses_left,
    };
    for t in [token(1, None, None), token(2, Some(UtcMs(50)), Some(1))] {
        store.put_token(&t).await.unwrap();
    }
    let used = |id: u8, at| async move {
        store.use_token(&Digest([id; 32]), UtcMs(at)).await.unwrap().map(|t| t.uses_left)
    };
    assert_eq!(used(1, 1_000).await, Some(None));
    assert_eq!(used(1, 2_000).await, Some(None));
    assert_eq!(used(2, 50).await, None, "expired");
    assert_eq!(used(2, 49).await, Some(Some(0)));
    assert_eq!(used(2, 49).await, None, "used up");
    assert_eq!(used(9, 1).await, None);
    assert_eq!(store.tokens().await.unwrap().len(), 2);
    assert!(store.remove_token(&Digest([1; 32])).await.unwrap());
    assert!(!store.remove_token(&Digest([1; 32])).await.unwrap());
    assert_eq!(used(1, 1).await, None);
}

async fn a_round_is_read_back_and_repeated_without_effect(store: &dyn Store) {
    let (a, b) = (sheet(1, 1), sheet(2, 2));
    let round = [timetable("loa-1", 5, &[&a, &b]), timetable("loa-2", 5, &[&a, &b])];
    for _ in 0..2 {
        store
            .put_round(&[a.clone(), b.clone()], &round, &Descriptions::default(), None)
            .await
            .unwrap();
    }
    assert_eq!(store.newest_timetables().await.unwrap(), round);
    let mut sheets = [a.clone(), b];
    sheets.sort_by_key(|sheet| sheet.sha256);
    let ids = [sheets[1].sha256, sheets[0].sha256, Digest([0; 32])];
    assert_eq!(store.sheets(&ids).await.unwrap(), sheets);
    let ending: Vec<_> = sheets.iter().map(|sheet| sheet.sha256).collect();
    assert_eq!(store.sheets_ending_after(UtcMs(0)).await.unwrap(), ending);
    let later = store.sheets_ending_after(a.to_ms).await.unwrap();
    assert_eq!(later.len(), 1, "ends after, not at");
    let newer = timetable("loa-1", 6, &[&a]);
    store
        .put_round(&[], std::slice::from_ref(&newer), &Descriptions::default(), None)
        .await
        .unwrap();
    assert_eq!(store.newest_timetables().await.unwrap(), [newer, round[1].clone()]);
}

async fn a_lower_version_is_stale_and_takes_the_round_with_it(store: &dyn Store) {
    let a = sheet(1, 1);
    store
        .put_round(
            std::slice::from_ref(&a),
            &[timetable("loa-1", 5, &[&a])],
            &Descriptions::default(),
            None,
        )
        .await
        .unwrap();
    let b = sheet(2, 2);
    let mut other = timetable("loa-1", 5, &[&b]);
    other.jws = "other bytes".into();
    for bad in [timetable("loa-1", 4, &[&b]), other] {
        let round = [timetable("loa-2", 9, &[&b]), bad];
        let refused =
            store.put_round(std::slice::from_ref(&b), &round, &Descriptions::default(), None).await;
        assert!(matches!(refused, Err(StoreError::Stale { .. })), "{refused:?}");
        assert_eq!(store.newest_timetables().await.unwrap().len(), 1);
        assert_eq!(store.sheets(&[b.sha256]).await.unwrap(), [], "nothing of the round stays");
    }
    let nowhere =
        store.put_round(&[], &[timetable("loa-3", 1, &[&b])], &Descriptions::default(), None).await;
    assert!(nowhere.is_err(), "a timetable of sheets that are not stored");
}

async fn the_versions_of_a_span_reach_back_to_the_one_in_force(store: &dyn Store) {
    let a = sheet(1, 1);
    store.put_round(std::slice::from_ref(&a), &[], &Descriptions::default(), None).await.unwrap();
    for (ver, at) in [(10, 100), (20, 200), (30, 300)] {
        let signed = StoredTimetable { made_ms: UtcMs(at), ..timetable("loa-1", ver, &[&a]) };
        store.put_round(&[], &[signed], &Descriptions::default(), None).await.unwrap();
    }
    let id = device("loa-1");
    // Whether and when a broker took it has no part in it; the first time is kept.
    for at in [900, 950] {
        store.mark_published(&[(id.clone(), 20)], UtcMs(at)).await.unwrap();
    }
    assert_eq!(store.newest_timetables().await.unwrap()[0].published_ms, None);
    let versions = |from, to| {
        let id = id.clone();
        async move {
            let found = store.timetables_of(&id, UtcMs(from), UtcMs(to)).await.unwrap();
            found.iter().map(|t| (t.ver, t.made_ms.0)).collect::<Vec<_>>()
        }
    };
    assert_eq!(versions(0, 1_000).await, [(10, 100), (20, 200), (30, 300)]);
    let found = store.timetables_of(&id, UtcMs(0), UtcMs(1_000)).await.unwrap();
    assert_eq!(found[1].published_ms, Some(UtcMs(900)));
    assert_eq!(versions(201, 1_000).await, [(20, 200), (30, 300)], "in force at 201");
    assert_eq!(versions(200, 1_000).await.len(), 3, "what begins with it is of the one before");
    assert_eq!(versions(250, 300).await, [(20, 200)]);
    assert_eq!(versions(0, 100).await, []);
    let found = store.timetables_of(&device("loa-9"), UtcMs(0), UtcMs(9_000)).await.unwrap();
    assert_eq!(found, []);
}

async fn old_schedules_are_forgotten_but_not_the_one_in_force(store: &dyn Store) {
    let (a, b) = (sheet(1, 1), sheet(2, 2));
    let sheets = [a.clone(), b.clone()];
    let late = UtcMs(b.to_ms.0 + 1);
    store
        .put_round(&sheets, &[timetable("loa-1", 1, &[&a])], &Descriptions::default(), None)
        .await
        .unwrap();
    store
        .put_round(&[], &[timetable("loa-1", 2, &[&b])], &Descriptions::default(), None)
        .await
        .unwrap();
    assert_eq!(store.forget_plans_before(UtcMs(2)).await.unwrap(), 0, "2 is not older");
    assert!(store.forget_plans_before(late).await.unwrap() >= 2, "version 1 and its sheet");
    assert_eq!(store.newest_timetables().await.unwrap()[0].ver, 2);
    assert_eq!(store.sheets(&[a.sha256]).await.unwrap(), []);
    assert_eq!(store.sheets(&[b.sha256]).await.unwrap().len(), 1);
}

/// Returns the fences of a leader that slept through the end of its lease, and of its heir.
async fn two_leaders(store: &dyn Store) -> [Fence; 2] {
    let mut fences = Vec::new();
    for (at, holder) in (0..).zip(["a", "b"]) {
        let (now, until) = (UtcMs(at * 1_000), UtcMs(at * 1_000 + 500));
        let taken = store.take_leases(&[LeaseName::Compiler], holder, now, until).await.unwrap();
        fences.push(taken[0].fence());
    }
    [fences[0], fences[1]]
}

async fn retained_documents_never_go_back(store: &dyn Store) {
    let doc = |topic: &str, ver| RetainedDocument {
        topic: topic.into(),
        ver,
        made_ms: UtcMs(ver),
        body: format!("{topic} {ver}").into_bytes().into(),
    };
    store.put_retained(&[doc("loa/1/keys", 2), doc("loa/1/d/loa-1/floor", 7)]).await.unwrap();
    store.put_retained(&[doc("loa/1/keys", 2)]).await.unwrap();
    let refused = store.put_retained(&[doc("loa/1/d/loa-1/floor", 8), doc("loa/1/keys", 1)]).await;
    assert!(matches!(refused, Err(StoreError::Stale { .. })), "{refused:?}");
    let expected = [doc("loa/1/d/loa-1/floor", 7), doc("loa/1/keys", 2)];
    assert_eq!(store.retained().await.unwrap(), expected);
    // Put in the place of what was read, not of what somebody changed meanwhile.
    let floor = |ver| doc("loa/1/d/loa-1/floor", ver);
    let changes = [(7, floor(9)), (1, doc("loa/1/keys", 3)), (5, doc("loa/1/none", 6))];
    assert_eq!(store.replace_retained(&changes, None).await.unwrap(), 1);
    assert_eq!(store.retained().await.unwrap(), [floor(9), doc("loa/1/keys", 2)]);
    let [slept, leads] = two_leaders(store).await;
    let refused = store.replace_retained(&[(9, floor(10))], Some(slept)).await;
    assert!(matches!(refused, Err(StoreError::Fenced { .. })), "{refused:?}");
    assert_eq!(store.replace_retained(&[(9, floor(10))], Some(leads)).await.unwrap(), 1);
    store.drop_retained(&["loa/1/keys".into()]).await.unwrap();
    assert_eq!(store.retained().await.unwrap().len(), 1);
}

async fn an_intake_is_read_back_byte_for_byte(store: &dyn Store) {
    let mut faulty = record("loa-1", 2, "play");
    faulty.fault = Some("prev".into());
    faulty.via = Via::Import;
    let mut other = record("loa-1", 2, "beat");
    other.received_ms = UtcMs(9_000);
    let conflict = Conflict { record: other, first: faulty.digest };
    let mut first = intake(0, vec![record("loa-1", 1, "boot"), faulty.clone()]);
    first.conflicts = vec![conflict.clone(), conflict.clone()];
    first.chain.lost = vec![LostSpan { from: 4, to: 9, hash: Digest([9; 32]) }];
    store.commit_intake(&round(vec![first.clone()]), &[]).await.unwrap();
    let id = device("loa-1");
    let mut chain = first.chain.clone();
    chain.revision = 1;
    assert_eq!(store.chain(&id, &CHAIN).await.unwrap().as_ref(), Some(&chain));
    assert_eq!(store.chains_of(&id).await.unwrap(), [chain.clone()]);
    assert_eq!(store.conflicts(10).await.unwrap(), [conflict], "once");

    let mut second = intake(1, vec![record("loa-1", 12, "beat")]);
    second.chain.upto = 2;
    second.faults = vec![(1, "late finding".into()), (2, "does not replace".into())];
    store.commit_intake(&round(vec![second]), &[]).await.unwrap();
    let all = store.records(&RecordFilter::default(), Page::After { position: 0, limit: 9 }).await;
    let records: Vec<_> = all.unwrap().into_iter().map(|listed| listed.record).collect();
    let mut found = record("loa-1", 1, "boot");
    found.fault = Some("late finding".into());
    assert_eq!(records, [found, faulty.clone(), record("loa-1", 12, "beat")]);
    let aside = store.aside(&id, &CHAIN, 2).await.unwrap();
    let beyond = record("loa-1", 12, "beat");
    assert_eq!(
        aside.into_iter().collect::<Vec<_>>(),
        [(12, Link { digest: beyond.digest, prev: beyond.prev, at_ms: beyond.at_ms })]
    );
    let digests = store.digests(&id, &CHAIN, &[2, 3, 12]).await.unwrap();
    assert_eq!(digests.into_iter().collect::<Vec<_>>(), [(2, faulty.digest), (12, beyond.digest)]);
    let counts = EvidenceCounts { records: 3, faulty: 2, conflicts: 1, rejects: 0, late: 0 };
    assert_eq!(store.evidence_counts().await.unwrap(), counts);
}

async fn a_stale_intake_stores_nothing(store: &dyn Store) {
    let first = round(vec![intake(0, vec![record("loa-1", 1, "boot")])]);
    store.commit_intake(&first, &[]).await.unwrap();
    let again = store.commit_intake(&first, &[]).await;
    assert!(matches!(again, Err(StoreError::Stale { .. })), "{again:?}");
    let mixed = round(vec![
        intake(0, vec![record("loa-2", 1, "boot")]),
        intake(7, vec![record("loa-1", 2, "beat")]),
    ]);
    let stale = store.commit_intake(&mixed, &[]).await;
    assert!(matches!(stale, Err(StoreError::Stale { .. })), "{stale:?}");
    assert_eq!(store.chain(&device("loa-2"), &CHAIN).await.unwrap(), None);
    assert_eq!(store.evidence_counts().await.unwrap().records, 1);
}

async fn a_receipt_never_goes_back_within_a_chain(store: &dyn Store) {
    let receipt = |chain: u8, upto| StoredReceipt {
        device: device("loa-1"),
        chain: ChainId([chain; 16]),
        upto,
        made_ms: UtcMs(1),
        jws: format!("{chain}-{upto}").into(),
    };
    for (chain, upto, expected) in [(1, 5, "1-5"), (1, 4, "1-5"), (1, 6, "1-6"), (2, 1, "2-1")] {
        let receipts = vec![receipt(chain, upto)];
        let round = IntakeRound { receipts, ..IntakeRound::default() };
        store.commit_intake(&round, &[]).await.unwrap();
        let kept = store.receipt_of(&device("loa-1")).await.unwrap().unwrap();
        assert_eq!(&*kept.jws, expected);
        assert_eq!(store.receipts().await.unwrap(), [kept]);
    }
    assert_eq!(store.receipt_of(&device("loa-9")).await.unwrap(), None);
}

async fn listings_filter_and_page(store: &dyn Store) {
    let records = |id: &str| {
        (1..=450).map(|seq| record(id, seq, if seq % 3 == 0 { "play" } else { "beat" })).collect()
    };
    let work = round(vec![intake(0, records("loa-1")), intake(0, records("loa-2"))]);
    store.commit_intake(&work, &[]).await.unwrap();
    let filter = RecordFilter {
        device: Some(device("loa-2")),
        from_ms: Some(UtcMs(10_000)),
        to_ms: Some(UtcMs(20_000)),
        kind: Some("play".into()),
        cue: Some(CueId([3; 16])),
        jti: None,
    };
    let seqs = |page| {
        let filter = filter.clone();
        async move {
            let found = store.records(&filter, page).await.unwrap();
            found.iter().map(|l| (l.record.seq, l.position)).collect::<Vec<_>>()
        }
    };
    let newest = seqs(Page::Newest { limit: 2 }).await;
    assert_eq!(newest.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [18, 15]);
    let first = seqs(Page::After { position: 0, limit: 2 }).await;
    assert_eq!(first.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [12, 15]);
    let rest = seqs(Page::After { position: first[1].1, limit: 9 }).await;
    assert_eq!(rest.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [18]);
    let all = RecordFilter::default();
    assert_eq!(store.records(&all, Page::Newest { limit: 2_000 }).await.unwrap().len(), 900);
}

async fn rejects_are_bounded_and_counted(store: &dyn Store) {
    let reject = |id: &str, n: i64| Reject {
        device: device(id),
        received_ms: UtcMs(n),
        reason: "signature".into(),
        digest: Digest::of(&n.to_be_bytes()),
        bytes: n.to_be_bytes().to_vec(),
        signed: Signed::No,
    };
    let work = IntakeRound { rejects: vec![reject("loa-2", 1)], ..IntakeRound::default() };
    store.commit_intake(&work, &[]).await.unwrap();
    let mut signed = reject("loa-1", 2);
    signed.signed = Signed::Yes;
    for _ in 0..2 {
        let work = IntakeRound { rejects: vec![signed.clone()], ..IntakeRound::default() };
        store.commit_intake(&work, &[]).await.unwrap();
    }
    for part in 0..3 {
        let rejects = (0..150).map(|n| reject("loa-1", part * 150 + n)).collect();
        let work = IntakeRound { rejects, ..IntakeRound::default() };
        store.commit_intake(&work, &[]).await.unwrap();
    }
    let kept = store.rejects(1_000).await.unwrap();
    assert_eq!(kept.len(), 202, "200 of one device, what it signed, and the other's own");
    assert_eq!((&kept[0], &kept[201]), (&reject("loa-1", 449), &reject("loa-2", 1)));
    assert_eq!(kept[200], signed, "once, and it stays");
    assert_eq!(store.evidence_counts().await.unwrap().rejects, 452);
}

fn shard_leaf() -> Leaf {
    Leaf::server(UtcMs(1_800_000_000_000), &ServerBody::Shard { previous: None }).unwrap()
}

fn statement(name: &str) -> Leaf {
    let body = ServerBody::Approval {
        of: Digest([9; 32]),
        what: name.to_owned(),
        role: "approver".to_owned(),
        by: "lan".to_owned(),
    };
    Leaf::server(UtcMs(1_800_000_000_000), &body).unwrap()
}

async fn leaves_are_numbered_with_what_they_tell_of(store: &dyn Store) {
    assert_eq!(store.newest_leaf().await.unwrap(), 0);
    let records = vec![record("loa-1", 1, "boot"), record("loa-1", 2, "play")];
    let jws: Vec<_> = records.iter().map(|record| record.jws.clone()).collect();
    store.commit_intake(&round(vec![intake(0, records)]), &[]).await.unwrap();
    store.say(&statement("w")).await.unwrap();
    assert_eq!(store.newest_leaf().await.unwrap(), 3);
    let leaves = store.leaves(1, 99).await.unwrap();
    let contents: Vec<_> = leaves.iter().map(Leaf::content).collect();
    assert_eq!(contents[..2], [jws[0].as_bytes(), jws[1].as_bytes()]);
    assert_eq!(leaves[2], statement("w"));
    assert_eq!(store.leaves(2, 1).await.unwrap(), leaves[1..2]);
    let chain = record("loa-1", 1, "boot").chain;
    assert_eq!(store.leaf_of(&device("loa-1"), &chain, 2).await.unwrap(), Some(2));
    assert_eq!(store.leaf_of(&device("loa-1"), &chain, 3).await.unwrap(), None);
    let of_device = RecordFilter { device: Some(device("loa-1")), ..RecordFilter::default() };
    let listed = store.records(&of_device, Page::After { position: 0, limit: 99 }).await.unwrap();
    let second = listed.iter().find(|one| one.record.seq == 2).unwrap().position;
    let found = store.leaves_at(&[second, 9_999]).await.unwrap();
    assert_eq!(found, std::collections::BTreeMap::from([(second, 2)]));
}

async fn a_round_that_is_refused_leaves_no_leaf(store: &dyn Store) {
    let records = vec![record("loa-1", 1, "boot")];
    store.commit_intake(&round(vec![intake(0, records.clone())]), &[]).await.unwrap();
    store.commit_intake(&round(vec![intake(0, records)]), &[]).await.unwrap_err();
    assert_eq!(store.newest_leaf().await.unwrap(), 1);
}

async fn a_shard_begins_before_all_that_waits(store: &dyn Store) {
    for name in ["a", "b"] {
        store.say(&statement(name)).await.unwrap();
    }
    let first = store.begin_shard("2027", &shard_leaf(), 0, None).await.unwrap();
    assert_eq!((first.first, first.size()), (1, 0));
    assert_eq!(store.leaves(1, 9).await.unwrap(), [shard_leaf(), statement("a"), statement("b")]);
    store.note_logged("2027", 2, None).await.unwrap();
    store.note_logged("2027", 1, None).await.unwrap();
    assert!(store.begin_shard("2028", &shard_leaf(), 3, None).await.is_err(), "2 are logged");
    assert!(store.begin_shard("2027", &shard_leaf(), 2, None).await.is_err(), "known");
    let loss = Loss { reason: "restored".to_owned(), by: "lan".to_owned() };
    store.tell_loss(Some(&loss)).await.unwrap();
    assert_eq!(store.loss().await.unwrap(), Some(loss));
    let second = store.begin_shard("2028", &shard_leaf(), 2, None).await.unwrap();
    assert_eq!((second.first, second.logged), (3, 2));
    assert_eq!((second.index(2), second.index(3), second.index(4)), (None, Some(0), Some(1)));
    assert_eq!(store.loss().await.unwrap(), None);
    let all = [shard_leaf(), statement("a"), shard_leaf(), statement("b")];
    assert_eq!(store.leaves(1, 9).await.unwrap(), all);
    assert_eq!(store.shards().await.unwrap().len(), 2);
}

async fn gaps_are_said_with_what_shows_them(store: &dyn Store) {
    let mut work = intake(0, vec![record("loa-1", 1, "boot"), record("loa-1", 5, "beat")]);
    (work.chain.upto, work.gaps) = (1, vec![(2, 4)]);
    store.commit_intake(&round(vec![work.clone()]), &[]).await.unwrap();
    let leaves = store.leaves(1, 9).await.unwrap();
    assert_eq!(leaves.len(), 3);
    assert_eq!(leaves[2].received_ms(), UtcMs(5_005));
    let said = leaves[2].statement().unwrap().unwrap().body;
    let wanted = ServerBody::Gap { dev: device("loa-1"), chain: CHAIN, from: 2, to: 4 };
    assert_eq!(said, wanted);
    // Refused, it says nothing.
    store.commit_intake(&round(vec![work]), &[]).await.unwrap_err();
    assert_eq!(store.newest_leaf().await.unwrap(), 3);
}

async fn times_are_judged_once_in_the_order_of_the_log(store: &dyn Store) {
    store.say(&statement("w")).await.unwrap();
    let records = vec![record("loa-1", 1, "boot"), record("loa-1", 2, "play")];
    store.commit_intake(&round(vec![intake(0, records)]), &[]).await.unwrap();
    let head = |number, met_ms| KeptHead {
        number,
        shard: "2027".into(),
        size: u64::try_from(number).unwrap(),
        met_ms: UtcMs(met_ms),
    };
    store.keep_head(&head(2, 100), None).await.unwrap();
    store.keep_head(&head(2, 999), None).await.unwrap();
    store.keep_head(&head(9, 900), None).await.unwrap();
    assert_eq!(store.head_with(2).await.unwrap(), Some(head(2, 100)), "as first kept");
    assert_eq!(store.head_with(3).await.unwrap(), Some(head(9, 900)));
    assert_eq!(store.head_with(10).await.unwrap(), None);
    assert_eq!(store.head_up_to(8).await.unwrap(), Some(head(2, 100)));
    assert_eq!(store.head_up_to(1).await.unwrap(), None);

    let rows = store.logged_records(0, 9, 9).await.unwrap();
    let seqs: Vec<_> = rows.iter().map(|(n, row)| (*n, row.as_ref().map(|r| r.seq))).collect();
    assert_eq!(seqs, [(1, None), (2, Some(1)), (3, Some(2))]);
    let row = rows[2].1.clone().unwrap();
    let wanted = record("loa-1", 2, "play");
    assert_eq!((row.digest, &row.jws), (wanted.digest, &wanted.jws));
    let one = store.logged_records(1, 2, 9).await.unwrap();
    assert_eq!(one, rows[1..2]);
    assert_eq!(store.logged_records(0, 9, 1).await.unwrap(), rows[..1]);

    let id = device("loa-1");
    assert_eq!(store.floor(&id, &CHAIN).await.unwrap(), None);
    let found = Enclosed {
        after: 0,
        upto: 3,
        late: vec![(row.position, Some(77)), (4_711, None)],
        leaves: vec![statement("late")],
        floors: vec![(id.clone(), CHAIN, None)],
    };
    store.enclose(&found, None).await.unwrap();
    assert_eq!(store.enclosed_up_to().await.unwrap(), 3);
    assert_eq!(store.floor(&id, &CHAIN).await.unwrap(), Some(None));
    assert_eq!(store.leaves(4, 9).await.unwrap(), [statement("late")]);
    let again = store.enclose(&found, None).await;
    assert!(matches!(again, Err(StoreError::Stale { .. })), "{again:?}");
    assert_eq!(store.newest_leaf().await.unwrap(), 4);
    let next = Enclosed {
        after: 3,
        upto: 4,
        late: vec![],
        leaves: vec![],
        floors: vec![(id.clone(), CHAIN, Some(UtcMs(100)))],
    };
    store.enclose(&next, None).await.unwrap();
    assert_eq!(store.floor(&id, &CHAIN).await.unwrap(), Some(Some(UtcMs(100))));
    let mut more = intake(1, vec![record("loa-1", 3, "beat")]);
    more.chain.upto = 3;
    store.commit_intake(&round(vec![more]), &[]).await.unwrap();
    let page = Page::After { position: 0, limit: 9 };
    let listed = store.records(&RecordFilter::default(), page).await.unwrap();
    let times: Vec<_> = listed.iter().map(|listed| listed.time).collect();
    let late = Enclosure::Late { width_ms: Some(77) };
    assert_eq!(times, [Enclosure::Tight, late, Enclosure::Open]);
    let newest = store.records(&RecordFilter::default(), Page::Newest { limit: 2 }).await.unwrap();
    assert_eq!(newest.iter().map(|l| l.time).collect::<Vec<_>>(), [Enclosure::Open, late]);
    assert_eq!(store.evidence_counts().await.unwrap().late, 1, "the other is none of its records");
    // A record that retention takes takes what was found of it along.
    store.begin_shard("2027", &shard_leaf(), 0, None).await.unwrap();
    store.note_logged("2027", 9, None).await.unwrap();
    assert_eq!(store.forget_before(UtcMs(99_000)).await.unwrap(), 2);
    assert_eq!(store.logged_records(0, 9, 9).await.unwrap().iter().flat_map(|r| &r.1).count(), 1);
}

async fn retention_keeps_heads_gaps_and_the_young(store: &dyn Store) {
    let mut work = intake(0, (1..=9).map(|seq| record("loa-1", seq, "beat")).collect());
    work.chain.upto = 4;
    let mut old = record("loa-1", 2, "play");
    old.received_ms = UtcMs(5_002);
    work.conflicts = vec![Conflict { record: old, first: Digest([1; 32]) }];
    store.commit_intake(&round(vec![work]), &[]).await.unwrap();
    let waits = store.newest_leaf().await.unwrap();
    assert_eq!(store.forget_before(UtcMs(5_003)).await.unwrap(), 1, "what is not logged stays");
    store.begin_shard("2027", &shard_leaf(), 0, None).await.unwrap();
    store.note_logged("2027", waits + 1, None).await.unwrap();
    assert_eq!(store.forget_before(UtcMs(5_003)).await.unwrap(), 2, "1 and 2");
    assert_eq!(store.forget_before(UtcMs(99_000)).await.unwrap(), 1, "3; 4 is the head");
    let page = Page::After { position: 0, limit: 99 };
    let left = store.records(&RecordFilter::default(), page).await.unwrap();
    let seqs: Vec<_> = left.iter().map(|listed| listed.record.seq).collect();
    assert_eq!(seqs, [4, 5, 6, 7, 8, 9]);
    assert_eq!(store.evidence_counts().await.unwrap().records, 9, "counted for ever");
}

async fn facts_are_replaced_by_path(store: &dyn Store) {
    let clip = |path: &str, bytes| KnownClip {
        path: path.into(),
        bytes,
        modified_ms: UtcMs(3),
        sha256: Digest([4; 32]),
        rules: 1,
        inspection: "{}".into(),
    };
    store.put_clips(&[clip("clips/ý.mp3", 1), clip("clips/a.mp3", 2)]).await.unwrap();
    store.put_clips(&[clip("clips/ý.mp3", 9)]).await.unwrap();
    assert_eq!(store.clips().await.unwrap(), [clip("clips/a.mp3", 2), clip("clips/ý.mp3", 9)]);
    let file = |path: &str, accepted| StationFile {
        path: path.into(),
        sha256: Digest([5; 32]),
        bytes: b"id = 1".to_vec(),
        accepted_ms: UtcMs(1),
        accepted,
    };
    store.put_station_files(&[file("a.toml", 1), file("b.toml", 2)], &[], None).await.unwrap();
    let gone = ["b.toml".into()];
    store.put_station_files(&[file("a.toml", 3)], &gone, None).await.unwrap();
    assert_eq!(store.station_files().await.unwrap(), [file("a.toml", 3)]);
    // Whoever slept through the end of its lease puts nothing in the place of what came since.
    let [slept, leads] = two_leaders(store).await;
    let (newer, gone) = ([file("a.toml", 4)], ["a.toml".into()]);
    let refused = store.put_station_files(&newer, &gone, Some(slept)).await;
    assert!(matches!(refused, Err(StoreError::Fenced { .. })), "{refused:?}");
    assert_eq!(store.station_files().await.unwrap(), [file("a.toml", 3)]);
    store.put_station_files(&newer, &[], Some(leads)).await.unwrap();
    assert_eq!(store.station_files().await.unwrap(), [file("a.toml", 4)]);
}

async fn people_are_read_back_with_their_grants_and_the_trail_tells_of_it(store: &dyn Store) {
    let grant = |role, unit: Option<&str>| Grant { role, unit: unit.map(|u| u.parse().unwrap()) };
    let mut lan = Person::new(
        "lan".parse().unwrap(),
        "Nguyễn Thị Lan",
        UtcMs(5),
        vec![grant(Role::Operator, Some("90001")), grant(Role::Approver, None)],
    );
    let cli = Actor::new("uid 0", "command line");
    store.put_person(&lan, &cli.did(UtcMs(5), "add-person", "lan")).await.unwrap();
    assert_eq!(store.person(&lan.id).await.unwrap().as_ref(), Some(&lan));
    assert!(lan.revoke(&grant(Role::Approver, None)));
    lan.ended_ms = Some(UtcMs(9));
    store.put_person(&lan, &cli.did(UtcMs(9), "end-person", "lan").before("x")).await.unwrap();
    assert_eq!(store.people().await.unwrap(), [lan]);
    assert_eq!(store.person(&"minh".parse().unwrap()).await.unwrap(), None);
    let told: Vec<_> = store
        .trail(Page::After { position: 0, limit: 10 })
        .await
        .unwrap()
        .into_iter()
        .map(|one| (one.position, one.entry.action, one.entry.before))
        .collect();
    assert_eq!(
        told,
        [(1, "add-person".to_owned(), None), (2, "end-person".to_owned(), Some("x".to_owned()))]
    );
}

async fn the_trail_is_listed_from_either_end(store: &dyn Store) {
    let lan = Actor::new("lan", "10.0.0.7");
    for n in 1..=5 {
        let entry = lan.did(UtcMs(n), "skip", format!("s{n}")).after("x");
        store.append(&entry).await.unwrap();
    }
    let positions = async |page| {
        let found = store.trail(page).await.unwrap();
        found.into_iter().map(|one| (one.position, one.entry.at.0)).collect::<Vec<_>>()
    };
    assert_eq!(positions(Page::Newest { limit: 2 }).await, [(5, 5), (4, 4)]);
    assert_eq!(positions(Page::After { position: 3, limit: 9 }).await, [(4, 4), (5, 5)]);
}

async fn records_are_found_by_what_was_ordered(store: &dyn Store) {
    let records = vec![
        record("loa-1", 1, "boot"),
        record("loa-1", 2, "did"),
        record("loa-1", 3, "did"),
        record("loa-1", 4, "play"),
    ];
    store.commit_intake(&round(vec![intake(0, records)]), &[]).await.unwrap();
    let filter = RecordFilter { jti: Some("order-3".into()), ..RecordFilter::default() };
    let found = store.records(&filter, Page::Newest { limit: 10 }).await.unwrap();
    assert_eq!(found.iter().map(|listed| listed.record.seq).collect::<Vec<_>>(), [3]);
    assert_eq!(found[0].record, record("loa-1", 3, "did"));
}

fn prepared(jti: &str, at: i64) -> StoredNotice {
    StoredNotice {
        jti: jti.into(),
        kind: NoticeKind::Urgent,
        content: NoticeContent {
            units: vec!["10363".parse().unwrap()],
            reason: "Lũ trên sông Đáy vượt báo động 3".into(),
            document: DocumentRef {
                number: "12/CĐ-BCH".into(),
                issuer: "Ban Chỉ huy PCTT tỉnh".into(),
                at_ms: UtcMs(at - 10),
            },
            text: "Sơ tán ngay".into(),
            asset: None,
            times: 3,
            gap_ms: 60_000,
            volume: 100,
            lasts_ms: 7_200_000,
        },
        made_ms: UtcMs(at),
        made_by: "Lan".into(),
        sent: None,
        withdrawn: None,
        cleared: false,
    }
}

fn entry(action: &str) -> crate::app::trail::Entry {
    Actor::new("lan", "10.0.0.7").did(UtcMs(1), action, "n-1")
}

fn retained_at(topic: &str, ver: i64, body: &str) -> RetainedDocument {
    let (topic, body) = (topic.into(), body.as_bytes().into());
    RetainedDocument { topic, ver, made_ms: UtcMs(ver), body }
}

async fn a_notice_goes_out_once_and_is_withdrawn_once(store: &dyn Store) {
    let topic = "loa/1/u/10363/urgent/n-1";
    store.put_notice(&prepared("n-1", 100), &entry("prepare-notice")).await.unwrap();
    store.put_notice(&prepared("n-1", 999), &entry("prepare-notice")).await.unwrap();
    store.put_notice(&prepared("n-2", 200), &entry("prepare-notice")).await.unwrap();
    assert_eq!(store.notice("n-1").await.unwrap(), Some(prepared("n-1", 100)));
    assert_eq!(store.notice("n-3").await.unwrap(), None);
    let ids = |notices: Vec<StoredNotice>| {
        notices.into_iter().map(|notice| notice.jti).collect::<Vec<_>>()
    };
    assert_eq!(ids(store.notices(10).await.unwrap()), ["n-2", "n-1"]);
    assert_eq!(ids(store.notices(1).await.unwrap()), ["n-2"]);
    assert_eq!(store.notices_at_broker().await.unwrap(), []);

    let taken_back = WithdrawnNotice {
        at_ms: UtcMs(300),
        by: "Minh".into(),
        reason: "nhầm".into(),
        jws: "w".into(),
    };
    let early = store.withdraw_notice("n-1", &taken_back, &[], &entry("withdraw-notice")).await;
    assert!(matches!(early, Err(StoreError::Stale { .. })), "it never went out: {early:?}");
    let sent = SentNotice {
        at_ms: UtcMs(250),
        by: "Minh".into(),
        exp_ms: UtcMs(1_000),
        jws: "s".into(),
        reached: vec![device("loa-1"), device("loa-2")],
    };
    let document = retained_at(topic, 250, "s");
    store
        .send_notice("n-1", &sent, std::slice::from_ref(&document), &entry("send-notice"))
        .await
        .unwrap();
    let again = store
        .send_notice("n-1", &sent, &[retained_at(topic, 260, "other")], &entry("send-notice"))
        .await;
    assert!(matches!(again, Err(StoreError::Stale { .. })), "{again:?}");
    let unknown = store
        .send_notice("n-3", &sent, std::slice::from_ref(&document), &entry("send-notice"))
        .await;
    assert!(matches!(unknown, Err(StoreError::Stale { .. })), "{unknown:?}");
    assert_eq!(store.retained().await.unwrap(), [document]);
    let kept = store.notice("n-1").await.unwrap().unwrap();
    assert_eq!(kept, StoredNotice { sent: Some(sent), ..prepared("n-1", 100) });
    assert_eq!(ids(store.notices_at_broker().await.unwrap()), ["n-1"]);

    // A document below the retained one takes the whole step with it.
    let low = store
        .withdraw_notice(
            "n-1",
            &taken_back,
            &[retained_at(topic, 1, "w")],
            &entry("withdraw-notice"),
        )
        .await;
    assert!(matches!(low, Err(StoreError::Stale { .. })), "{low:?}");
    assert_eq!(store.notice("n-1").await.unwrap().unwrap().withdrawn, None);
    store
        .withdraw_notice(
            "n-1",
            &taken_back,
            &[retained_at(topic, 300, "w")],
            &entry("withdraw-notice"),
        )
        .await
        .unwrap();
    let again = store.withdraw_notice("n-1", &taken_back, &[], &entry("withdraw-notice")).await;
    assert!(matches!(again, Err(StoreError::Stale { .. })), "{again:?}");
    assert_eq!(store.notice("n-1").await.unwrap().unwrap().withdrawn, Some(taken_back));
    assert_eq!(store.retained().await.unwrap(), [retained_at(topic, 300, "w")]);

    let told = store.trail(Page::After { position: 0, limit: 99 }).await.unwrap();
    let told: Vec<_> = told.into_iter().map(|one| one.entry.action).collect();
    let expected = ["prepare-notice", "prepare-notice", "send-notice", "withdraw-notice"];
    assert_eq!(told, expected, "what was refused left no trace of having been done");
    store.clear_notice("n-1", &[topic.into()]).await.unwrap();
    store.clear_notice("n-1", &[topic.into()]).await.unwrap();
    assert!(store.notice("n-1").await.unwrap().unwrap().cleared);
    assert_eq!(store.notices_at_broker().await.unwrap(), []);
    assert_eq!(store.retained().await.unwrap(), []);
}

fn hold(unit: &str, ver: i64, until: i64) -> StoredHold {
    StoredHold {
        unit: unit.parse().unwrap(),
        ver,
        jti: format!("h-{ver}"),
        made_ms: UtcMs(ver),
        until_ms: UtcMs(until),
        reason: "Quốc tang".into(),
        by: "Minh".into(),
        jws: format!("jws-{ver}").into(),
    }
}

async fn the_newest_hold_of_a_unit_counts(store: &dyn Store) {
    let topic = |unit: &str| format!("loa/1/u/{unit}/hold");
    let put = async |hold: StoredHold| {
        let document = retained_at(&topic(hold.unit.as_str()), hold.ver, &hold.jws);
        store.put_hold(&hold, &document, &entry("hold")).await
    };
    put(hold("10363", 5, 900)).await.unwrap();
    put(hold("10363-doai", 6, 700)).await.unwrap();
    let low = put(hold("10363", 5, 0)).await;
    assert!(matches!(low, Err(StoreError::Stale { .. })), "{low:?}");
    put(hold("10363", 8, 0)).await.unwrap();
    let newest = [hold("10363", 8, 0), hold("10363-doai", 6, 700)];
    assert_eq!(store.holds().await.unwrap(), newest);
    assert!(!newest[0].is_in_force(UtcMs(1)) && newest[1].is_in_force(UtcMs(699)));
    assert!(!newest[1].is_in_force(UtcMs(700)));
    let history = store.hold_history(2).await.unwrap();
    assert_eq!(history, [hold("10363", 8, 0), hold("10363-doai", 6, 700)]);
    assert_eq!(store.hold_history(9).await.unwrap().len(), 3, "nothing is forgotten");
    let retained = store.retained().await.unwrap();
    assert!(retained.contains(&retained_at(&topic("10363"), 8, "jws-8")), "{retained:?}");
}

async fn the_mark_grows_with_every_order(store: &dyn Store) {
    assert_eq!(store.orders_mark().await.unwrap(), 0);
    store.put_notice(&prepared("n-1", 100), &entry("prepare-notice")).await.unwrap();
    assert_eq!(store.orders_mark().await.unwrap(), 0, "nothing went out");
    let sent = SentNotice {
        at_ms: UtcMs(250),
        by: "Minh".into(),
        exp_ms: UtcMs(1_000),
        jws: "s".into(),
        reached: vec![],
    };
    store.send_notice("n-1", &sent, &[], &entry("send-notice")).await.unwrap();
    let withdrawn = WithdrawnNotice {
        at_ms: UtcMs(300),
        by: "Minh".into(),
        reason: "nhầm".into(),
        jws: "w".into(),
    };
    store.withdraw_notice("n-1", &withdrawn, &[], &entry("withdraw-notice")).await.unwrap();
    assert_eq!(store.orders_mark().await.unwrap(), 2);
    store.put_hold(&hold("10363", 5, 900), &retained_at("t", 5, ""), &entry("hold")).await.unwrap();
    assert_eq!(store.orders_mark().await.unwrap(), 3);
    store.clear_notice("n-1", &[]).await.unwrap();
    assert_eq!(store.orders_mark().await.unwrap(), 3, "what ends by itself is no order");
}

async fn an_approval_step_is_done_whole_over_the_version_it_was_decided_on(store: &dyn Store) {
    use crate::app::approval::{
        ChangeSet, FileEntry, Manifest, Proposal, Stand, Together, Version,
    };
    let bytes: Arc<[u8]> = Arc::from(&b"title"[..]);
    let sha256 = Digest::of(&bytes);
    let entry = FileEntry { sha256, accepted: 3, approval: None };
    let manifest = Manifest {
        files: [("tin.toml".to_owned(), entry)].into(),
        clips: std::collections::BTreeMap::new(),
    };
    let version = Version { number: 0, at_ms: UtcMs(5), approval: Some(sha256), manifest };
    let one = Proposal {
        hash: Digest::of(b"change"),
        revision: 0,
        made_ms: UtcMs(5),
        base: 0,
        author: Some("lan".parse().unwrap()),
        stand: Stand::Open,
        votes: vec![],
        change: ChangeSet::default(),
        together: Together::Alone,
        preview: crate::domain::approval::Preview::default(),
        reach: std::iter::once("90001".parse().unwrap()).collect(),
        judged_ms: UtcMs(6),
    };
    let step = ApprovalStep {
        over: 0,
        version: Some(version.clone()),
        proposals: vec![one.clone()],
        blobs: [(sha256, Arc::clone(&bytes))].into(),
        off: Some(true),
        entries: vec![Actor::server().did(UtcMs(5), "approve", "x")],
        fence: None,
    };
    assert_eq!(store.approval_mark().await.unwrap(), ApprovalMark::default());
    store.approval_step(&step).await.unwrap();
    let mark = ApprovalMark { newest: 1, revisions: 1, off: true };
    assert_eq!(store.approval_mark().await.unwrap(), mark);
    let first = Version { number: 1, ..version };
    assert_eq!(store.newest_version().await.unwrap(), Some(first.clone()));
    assert_eq!(store.version(1).await.unwrap(), Some(first.clone()));
    assert_eq!(store.version(2).await.unwrap(), None);
    assert_eq!(store.version_by(&sha256).await.unwrap(), Some(first));
    assert_eq!(store.blobs(&[sha256, Digest([0; 32])]).await.unwrap(), [(sha256, bytes)].into());
    let kept = store.proposal(&one.hash).await.unwrap().unwrap();
    assert_eq!(kept, Proposal { revision: 1, ..one.clone() });
    assert_eq!(store.pending_proposals().await.unwrap(), std::slice::from_ref(&kept));
    // Decided upon what is no longer so: nothing of it is done.
    for stale in [
        ApprovalStep { proposals: vec![kept.clone()], ..step.clone() },
        ApprovalStep { over: 1, ..step.clone() },
    ] {
        let refused = store.approval_step(&stale).await;
        assert!(matches!(refused, Err(StoreError::Stale { .. })), "{refused:?}");
    }
    assert_eq!(store.approval_mark().await.unwrap(), mark);
    assert_eq!(store.trail(Page::Newest { limit: 9 }).await.unwrap().len(), 1);
    let closed = Proposal { stand: Stand::Superseded { at_ms: UtcMs(9) }, ..kept };
    let step = ApprovalStep { over: 1, proposals: vec![closed], ..ApprovalStep::default() };
    // Decided by a server that another one has replaced: nothing either.
    let [slept, leads] = two_leaders(store).await;
    let refused = store.approval_step(&ApprovalStep { fence: Some(slept), ..step.clone() }).await;
    assert!(matches!(refused, Err(StoreError::Fenced { .. })), "{refused:?}");
    assert_eq!(store.approval_mark().await.unwrap(), mark);
    let step = ApprovalStep { fence: Some(leads), ..step };
    store.approval_step(&step).await.unwrap();
    assert_eq!(store.proposals(9).await.unwrap()[0].stand.word(), "superseded");
    assert_eq!(store.pending_proposals().await.unwrap(), []);
    // Approved, rolled back, approved again: the newest counts.
    let again = Version { number: 0, at_ms: UtcMs(9), ..store.version(1).await.unwrap().unwrap() };
    let step = ApprovalStep { over: 1, version: Some(again), ..ApprovalStep::default() };
    store.approval_step(&step).await.unwrap();
    assert_eq!(store.version_by(&sha256).await.unwrap().map(|one| one.number), Some(2));
}

fn topic_list() -> TopicList {
    TopicList {
        id: "an-toan-thong-tin".parse().expect("an id"),
        title: "Chủ đề tuyên truyền".into(),
        version: 1,
        valid_from: "2021-01-01".parse().expect("a date"),
        source: "KH 3630/KH-UBND, mục III".into(),
        topics: vec![Topic {
            code: "T4".parse().expect("a code"),
            title: "Nguy cơ và hậu quả".into(),
            english: None,
            also: vec![TopicRef {
                list: "nd-49-2024-dieu-6".parse().expect("an id"),
                code: "D7".parse().expect("a code"),
            }],
        }],
    }
}

fn plan_read() -> Plan {
    let month = |text: &str| text.parse::<Month>().expect("a month");
    Plan {
        id: "quang-ngai-103".parse().expect("an id"),
        title: "Tuyên truyền an toàn thông tin".into(),
        number: "103/KH-UBND".into(),
        issuer: "Ủy ban nhân dân tỉnh".into(),
        date: "2022-06-23".parse().expect("a date"),
        topics: topic_list().id,
        bases: vec![Basis {
            number: "1907/QĐ-TTg".into(),
            date: "2020-11-23".parse().expect("a date"),
            citation: "phần mở đầu".into(),
        }],
        totals: vec![Total { dong: Dong(742_000_000), citation: "mục V".into() }],
        funds: vec![Funds {
            year: 2022,
            source: "ngân sách tỉnh".into(),
            dong: Dong(1),
            each_dong: None,
            citation: "Phụ lục 02".into(),
        }],
        lines: vec![PlanLine {
            id: "iii-1".parse().expect("an id"),
            citation: "mục III.1".into(),
            also_cited: vec!["Phụ lục 01".into()],
            task: "Phát trên hệ thống truyền thanh cơ sở".into(),
            topics: vec!["T4".parse().expect("a code")],
            means: vec![Means::Loudspeaker],
            scope: Scope::Commune,
            units: vec!["10363".parse().expect("a unit")],
            counted: Counted::Programme,
            least: Some(Least { count: 2, per: Per::Month }),
            months: Months::new(month("2022-06"), month("2026-12")).expect("in order"),
            lead: vec!["Sở Thông tin và Truyền thông".into()],
            coordinating: Vec::new(),
            product: None,
            budget: Some(Budget {
                dong: Some(Dong(9)),
                each_dong: Some(Dong(3)),
                source: "ngân sách tỉnh".into(),
            }),
            deadline: Some("2026-12-15".parse().expect("a date")),
            note: None,
        }],
    }
}

fn stored_plan(version: u32, source: &[u8]) -> StoredPlan {
    StoredPlan {
        plan: plan_read(),
        version,
        at_ms: UtcMs(1_000 + i64::from(version)),
        by: "lan".into(),
        format: PlanFormat::Toml,
        sha256: Digest::of(source),
        withdrawn: None,
    }
}

async fn plans_follow_each_other_and_only_the_newest_is_withdrawn(store: &dyn Store) {
    let entry = Actor::new("lan", "10.0.0.7").did(UtcMs(5), "import-plan", "quang-ngai-103");
    let first = stored_plan(1, b"one");
    let id = &first.plan.id;
    for _ in 0..2 {
        store.put_plan(&first, b"one", &entry).await.expect("keeps");
    }
    assert_eq!(store.newest_plans().await.expect("reads"), std::slice::from_ref(&first));
    let gap = store.put_plan(&stored_plan(3, b"three"), b"three", &entry).await;
    assert!(matches!(gap, Err(StoreError::Stale { what: "plan", .. })), "{gap:?}");
    let other = store.put_plan(&stored_plan(1, b"other"), b"other", &entry).await;
    assert!(matches!(other, Err(StoreError::Stale { .. })), "a version never changes: {other:?}");
    let second = stored_plan(2, b"two");
    store.put_plan(&second, b"two", &entry).await.expect("keeps");
    let gone = WithdrawnPlan {
        at_ms: UtcMs(9),
        by: "lan".into(),
        reason: "thay bằng kế hoạch mới".into(),
    };
    let old = store.withdraw_plan(id, 1, &gone, &entry).await;
    assert!(matches!(old, Err(StoreError::Stale { .. })), "{old:?}");
    assert_eq!(PlansInForce::of(store).await.expect("reads").0, std::slice::from_ref(&second));
    store.withdraw_plan(id, 2, &gone, &entry).await.expect("withdraws");
    let again = store.withdraw_plan(id, 2, &gone, &entry).await;
    assert!(matches!(again, Err(StoreError::Stale { .. })), "{again:?}");
    let withdrawn = StoredPlan { withdrawn: Some(gone), ..second };
    assert_eq!(store.newest_plans().await.expect("reads"), std::slice::from_ref(&withdrawn));
    assert_eq!(PlansInForce::of(store).await.expect("reads"), PlansInForce::default());
    // What was withdrawn may be brought again, as a version of its own.
    let third = stored_plan(3, b"two");
    store.put_plan(&third, b"two", &entry).await.expect("keeps");
    let versions = store.plan_versions(id).await.expect("reads");
    assert_eq!(versions, [third, withdrawn, first.clone()]);
    let source = store.plan_source(id, 1).await.expect("reads");
    assert_eq!(source.as_deref(), Some(&b"one"[..]));
    assert_eq!(store.plan_source(id, 4).await.expect("reads"), None);
    let entries = store.trail(Page::Newest { limit: 9 }).await.expect("reads");
    assert_eq!(entries.len(), 4, "one for each change, none for what changed nothing");
}

async fn a_topic_list_never_changes_within_a_version(store: &dyn Store) {
    let (list, bytes) = (topic_list(), b"a list");
    let entry = Actor::new("lan", "10.0.0.7").did(UtcMs(5), "import-topics", &list.id);
    let topics =
        StoredTopics { list, at_ms: UtcMs(5), by: "lan".into(), sha256: Digest::of(bytes) };
    for _ in 0..2 {
        store.put_topics(&topics, bytes, &entry).await.expect("keeps");
    }
    let changed = StoredTopics { sha256: Digest::of(b"x"), ..topics.clone() };
    let refused = store.put_topics(&changed, b"x", &entry).await;
    assert!(matches!(refused, Err(StoreError::Differs { .. })), "{refused:?}");
    let mut second = topics.clone();
    second.list.version = 2;
    store.put_topics(&second, bytes, &entry).await.expect("keeps");
    assert_eq!(store.topic_lists().await.expect("reads"), [topics, second]);
}

pub(super) fn entered(id: &str, day: &str) -> EnteredEntry {
    EnteredEntry {
        entry: crate::plan::manual::Entry {
            id: id.parse().expect("an id"),
            channel: crate::plan::manual::Channel::Leaflet,
            unit: "10363".parse().expect("a unit"),
            line: Some("quang-ngai-103/iii-1".parse().expect("a line")),
            topic: Some("T4".parse().expect("a topic")),
            title: "Tờ rơi tại chợ".into(),
            file: "cho.jpg".into(),
            sha256: Digest::of(id.as_bytes()),
            bytes: 5,
            on: day.parse().expect("a date"),
            by: "le-thi-hoa".parse().expect("an id"),
            count: 200,
            note: None,
        },
        at_ms: UtcMs(7),
        by: "lan".into(),
        corrects: None,
    }
}

async fn evidence_by_hand_is_corrected_by_another_entry_and_never_edited(store: &dyn Store) {
    let trail = Actor::new("lan", "10.0.0.7").did(UtcMs(5), "add-evidence", "to-roi-1");
    let first = entered("to-roi-1", "2026-03-01");
    for _ in 0..2 {
        store.put_entry(&first, &trail).await.expect("keeps");
    }
    let mut other = first.clone();
    other.entry.count = 300;
    let refused = store.put_entry(&other, &trail).await;
    assert!(matches!(refused, Err(StoreError::Differs { .. })), "{refused:?}");
    let mut second = entered("to-roi-2", "2026-03-02");
    second.corrects = Some(Corrects { entry: first.entry.id.clone(), reason: "sai ngày".into() });
    store.put_entry(&second, &trail).await.expect("corrects");
    let mut third = entered("to-roi-3", "2026-03-03");
    third.corrects.clone_from(&second.corrects);
    let twice = store.put_entry(&third, &trail).await;
    assert!(matches!(twice, Err(StoreError::Stale { .. })), "{twice:?}");
    third.corrects = None;
    third.entry.unit = "99901".parse().expect("a unit");
    third.entry.line = None;
    store.put_entry(&third, &trail).await.expect("nothing of what was refused stayed");
    let gone = EntryCorrection {
        at_ms: UtcMs(9),
        by: "lan".into(),
        reason: "trùng".into(),
        by_entry: None,
    };
    store.withdraw_entry(&third.entry.id, &gone, &trail).await.expect("withdraws");
    for id in ["to-roi-1", "to-roi-3", "to-roi-9"] {
        let refused = store.withdraw_entry(&id.parse().expect("an id"), &gone, &trail).await;
        assert!(matches!(refused, Err(StoreError::Stale { .. })), "{id}: {refused:?}");
    }

    let list = async |filter: EntryFilter| {
        let listed = store.entries(&filter, Page::Newest { limit: 9 }).await.expect("reads");
        listed.into_iter().map(|one| one.entry.id.to_string()).collect::<Vec<_>>()
    };
    let all = EntryFilter::default;
    assert_eq!(list(all()).await, ["to-roi-3", "to-roi-2", "to-roi-1"]);
    assert_eq!(list(EntryFilter { standing: true, ..all() }).await, ["to-roi-2"]);
    let of = |unit: &str| Some(vec!["51".parse().expect("a unit"), unit.parse().expect("a unit")]);
    assert_eq!(list(EntryFilter { units: of("99901"), ..all() }).await, ["to-roi-3"]);
    assert_eq!(list(EntryFilter { units: Some(Vec::new()), ..all() }).await, [""; 0]);
    let line = first.entry.line.clone();
    assert_eq!(list(EntryFilter { line, ..all() }).await, ["to-roi-2", "to-roi-1"]);
    let plan = Some("quang-ngai-104".parse().expect("a plan"));
    assert_eq!(list(EntryFilter { plan, ..all() }).await, [""; 0]);
    let day = |text: &str| Some(text.parse().expect("a date"));
    let (from, to) = (day("2026-03-02"), day("2026-03-02"));
    assert_eq!(list(EntryFilter { from, to, ..all() }).await, ["to-roi-2"]);
    let sms = Some(crate::plan::manual::Channel::Sms);
    assert_eq!(list(EntryFilter { channel: sms, ..all() }).await, [""; 0]);
    let page = Page::After { position: 1, limit: 1 };
    let next = store.entries(&all(), page).await.expect("reads");
    assert_eq!((next.len(), next[0].position), (1, 2));

    let known = store.entry(&first.entry.id).await.expect("reads").expect("is there");
    assert_eq!(known.entry, first.entry, "as it was entered");
    let corrected = known.corrected.expect("was corrected");
    assert_eq!(
        (corrected.reason.as_str(), corrected.by_entry),
        ("sai ngày", Some(second.entry.id))
    );
    let leaves = store.leaves(1, 9).await.expect("reads");
    let hash = |at: usize| crate::app::logbook::leaf_hash(&leaves[at]);
    assert_eq!(leaves.len(), 5, "three entries, two corrections");
    let said: Vec<_> = leaves
        .iter()
        .map(|leaf| leaf.statement().expect("a statement").expect("is read").body)
        .collect();
    let correction = |of, with, text: &str| ServerBody::Correction {
        of,
        with,
        text: text.into(),
        by: "lan".into(),
    };
    assert!(matches!(&said[0], ServerBody::Manual(one) if one.entry == "to-roi-1"));
    assert_eq!(said[2], correction(known.leaf, Some(hash(1)), "sai ngày"));
    assert_eq!((known.leaf, &said[4]), (hash(0), &correction(hash(3), None, "trùng")));
    let entries = store.trail(Page::Newest { limit: 9 }).await.expect("reads");
    assert_eq!(entries.len(), 4, "one for each change");
}

async fn draws_are_kept_once_and_findings_beside_each_other(store: &dyn Store) {
    let auditor = Actor::new("mai", "10.0.0.9");
    let leaf =
        |at: i64| Leaf::server(UtcMs(at), &ServerBody::Shard { previous: None }).expect("a leaf");
    let draw = |id: &str, by: &str, unit: Option<&str>| StoredDraw {
        id: id.into(),
        made_ms: UtcMs(7),
        by: by.into(),
        unit: unit.map(|unit| unit.parse().expect("a unit")),
        body: id.as_bytes().into(),
    };
    let (first, second) = (draw("aa", "mai", Some("51")), draw("bb", "mai", None));
    for one in [&first, &second] {
        let entry = auditor.did(UtcMs(7), "draw-plays", &one.id);
        assert_eq!(store.put_draw(one, &leaf(7), &entry).await.expect("keeps"), *one);
    }
    // Whoever asks again gets what was drawn, and nothing is written.
    let entry = auditor.did(UtcMs(8), "draw-plays", "aa");
    let other = draw("aa", "lan", None);
    assert_eq!(store.put_draw(&other, &leaf(8), &entry).await.expect("reads"), first);
    assert_eq!(store.newest_leaf().await.expect("counts"), 2);
    assert_eq!(store.trail(Page::Newest { limit: 9 }).await.expect("reads").len(), 2);
    assert_eq!(store.draw("aa").await.expect("reads"), Some(first.clone()));
    assert_eq!(store.draw("cc").await.expect("reads"), None);
    let newest = store.draws(Page::Newest { limit: 1 }).await.expect("lists");
    assert_eq!(newest, [(2, second.clone())]);
    let after = store.draws(Page::After { position: 0, limit: 9 }).await.expect("lists");
    assert_eq!(after, [(1, first), (2, second)]);

    let findings = |text: &str| StoredFindings {
        draw: "aa".into(),
        made_ms: UtcMs(9),
        by: "mai".into(),
        sha256: Digest::of(text.as_bytes()),
        file: text.as_bytes().into(),
    };
    let entry = auditor.did(UtcMs(9), "take-findings", "aa");
    // The same again changes nothing; what was handed in before stays.
    for text in ["một", "một", "hai", "một"] {
        store.add_findings(&findings(text), &leaf(9), &entry).await.expect("keeps");
    }
    let kept = store.findings_of("aa").await.expect("reads");
    assert_eq!(kept, [findings("một"), findings("hai"), findings("một")]);
    assert!(store.findings_of("bb").await.expect("reads").is_empty());
    assert_eq!(store.newest_leaf().await.expect("counts"), 5);

    assert_eq!(store.head_since(UtcMs(0)).await.expect("reads"), None);
    let head = |number: i64, met: i64| KeptHead {
        number,
        shard: "2027".into(),
        size: u64::try_from(number).expect("a size"),
        met_ms: UtcMs(met),
    };
    for one in [head(2, 1_000), head(4, 2_000)] {
        store.keep_head(&one, None).await.expect("keeps");
    }
    let since = async |at: i64| store.head_since(UtcMs(at)).await.expect("reads");
    assert_eq!(since(0).await, Some(head(2, 1_000)));
    assert_eq!(since(1_000).await, Some(head(2, 1_000)), "inclusive");
    assert_eq!(since(1_001).await, Some(head(4, 2_000)));
    assert_eq!(since(2_001).await, None);
    assert_eq!(store.record_up_to(5).await.expect("reads"), 0, "there are only statements");
}

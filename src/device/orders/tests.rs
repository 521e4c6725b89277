use super::*;
use crate::wire::doc::{Paper, Repeat};
use crate::wire::epoch::{self, Epoch, KeysBody};
use crate::wire::jws::{self, SecretKey};
use crate::wire::server_keys::ServerKeys;

const NOW: UtcMs = UtcMs(1_800_000_000_000);

fn server(n: u8) -> ServerKeys {
    ServerKeys::from_seeds(&[1, 2, 3, 4, 5].map(|role| [10 * n + role; 32]))
}

fn root() -> SecretKey {
    SecretKey::from_seed(&[200; 32])
}

fn first() -> String {
    epoch::first(&root(), &server(1), NOW.numeric_date() - 10)
}

fn keys() -> KeySet {
    KeySet::verify(&KeysBody::new(vec![first()]).encode(), &root().kid()).unwrap()
}

/// The keys after the first urgent and schedule keys were stolen.
fn later_keys() -> KeySet {
    let epoch = Epoch {
        v: 1,
        epoch: 2,
        prev: Some(Digest::of(first().as_bytes())),
        iat: NOW.numeric_date(),
        root: root().public(),
        roles: server(2).public(),
        retired: Vec::new(),
        revoked: vec![server(1).urgent.kid(), server(1).schedule.kid()],
        log: None,
    };
    let body = KeysBody::new(vec![first(), jws::sign(&root(), Typ::Keys, &epoch)]).encode();
    KeySet::verify(&body, &root().kid()).unwrap()
}

fn me() -> DeviceId {
    DeviceId::new("loa-thon-1").unwrap()
}

fn unit(text: &str) -> UnitId {
    text.parse().unwrap()
}

fn units() -> Vec<UnitId> {
    ["00070-thon1", "00070", "19"].map(unit).to_vec()
}

fn claims(jti: &str) -> Urgent {
    Urgent {
        v: 1,
        iss: "x".to_owned(),
        units: vec![unit("00070")],
        iat: NOW.numeric_date(),
        exp: NOW.numeric_date() + 3_600,
        jti: jti.to_owned(),
        reason: "lũ".to_owned(),
        document: Paper { number: "1".into(), issuer: "UBND".into(), at_ms: NOW },
        text: "LŨ".to_owned(),
        asset: None,
        repeat: Repeat { times: 1, gap_ms: 0 },
        volume: 100,
    }
}

fn urgent(jti: &str) -> Vec<u8> {
    doc::sign(&server(1).urgent, &claims(jti)).unwrap().into_bytes()
}

fn withdrawal(jti: &str, exp_s: i64) -> Vec<u8> {
    let iat = NOW.numeric_date();
    let doc = Withdrawal { v: 1, iss: "x".into(), withdraws: jti.into(), iat, exp: iat + exp_s };
    doc::sign(&server(1).urgent, &doc).unwrap().into_bytes()
}

fn hold(at: &str, ver: i64, until_ms: i64) -> Vec<u8> {
    let doc = Hold {
        v: 1,
        iss: "x".into(),
        unit: unit(at),
        iat: NOW.numeric_date(),
        ver,
        jti: format!("h-{ver}"),
        until_ms: UtcMs(until_ms),
        reason: "tang lễ".into(),
        by: "a".into(),
    };
    doc::sign(&server(1).schedule, &doc).unwrap().into_bytes()
}

fn take(orders: &mut Orders, bytes: &[u8]) -> Result<Option<Order>, Refusal> {
    orders.judge_urgent(bytes, &keys(), &units(), Some(NOW))
}

fn take_hold(orders: &mut Orders, topic: &str, bytes: &[u8]) -> Result<Option<Order>, Refusal> {
    orders.judge_hold(bytes, &keys(), &me(), &unit(topic), &units(), Some(NOW))
}

fn reason(result: Result<Option<Order>, Refusal>) -> &'static str {
    match result {
        Ok(Some(_)) => "accept",
        Ok(None) => "nothing",
        Err(refusal) => refusal.reason(),
    }
}

#[test]
fn a_cancel_before_its_alert_is_not_forgotten_over_a_restart_either() {
    let mut orders = Orders::default();
    assert_eq!(reason(take(&mut orders, &withdrawal("n", 3_600))), "accept");
    assert_eq!(reason(take(&mut orders, &withdrawal("n", 3_600))), "nothing");
    assert_eq!(reason(take(&mut orders, &urgent("n"))), "nothing");
    let mut again = Orders::default();
    let restored = again.restore(&orders.encode(), &keys(), &units());
    assert_eq!(restored, [Order::Withdrawal("n".to_owned())]);
    assert_eq!(reason(take(&mut again, &urgent("n"))), "nothing");
    assert_eq!(reason(take(&mut again, &urgent("m"))), "accept");
}

#[test]
fn a_withdrawal_that_ends_before_its_notice_is_remembered_as_long_as_that() {
    let mut orders = Orders::default();
    take(&mut orders, &urgent("n")).unwrap();
    take(&mut orders, &withdrawal("n", 1)).unwrap();
    let mut again = Orders::default();
    again.restore(&orders.encode(), &keys(), &units());
    let later = NOW.plus(3_000_000);
    for jti in ["a", "b"] {
        // Room is made by what is over.
        let other = withdrawal(jti, 259_200);
        again.judge_urgent(&other, &keys(), &units(), Some(later)).unwrap();
    }
    let taken = again.judge_urgent(&urgent("n"), &keys(), &units(), Some(later));
    assert_eq!(reason(taken), "nothing");
}

#[test]
fn a_jti_stands_for_one_text() {
    let mut orders = Orders::default();
    assert_eq!(reason(take(&mut orders, &urgent("n"))), "accept");
    assert_eq!(reason(take(&mut orders, &urgent("n"))), "nothing");
    let other = Urgent { volume: 1, ..claims("n") };
    let other = doc::sign(&server(1).urgent, &other).unwrap();
    assert_eq!(reason(take(&mut orders, other.as_bytes())), "conflict");
    let drill = doc::sign(&server(1).urgent, &Drill(claims("n"))).unwrap();
    assert_eq!(reason(take(&mut orders, drill.as_bytes())), "conflict");
    let drill = doc::sign(&server(1).urgent, &Drill(claims("d"))).unwrap();
    assert!(matches!(take(&mut orders, drill.as_bytes()), Ok(Some(Order::Drill(_)))));
    let mut again = Orders::default();
    let restored = again.restore(&orders.encode(), &keys(), &units());
    assert!(matches!(&restored[..], [Order::Drill(_), Order::Urgent(_)]), "{restored:?}");
}

#[test]
fn neither_the_schedule_key_nor_another_unit_nor_garbage_makes_a_notice() {
    let mut orders = Orders::default();
    let forged = doc::sign(&server(1).schedule, &claims("n")).unwrap();
    assert_eq!(reason(take(&mut orders, forged.as_bytes())), "role");
    let forged = doc::sign(&server(1).schedule, &Drill(claims("n"))).unwrap();
    assert_eq!(reason(take(&mut orders, forged.as_bytes())), "role");
    let foreign = Urgent { units: vec![unit("00071")], ..claims("n") };
    let foreign = doc::sign(&server(1).urgent, &foreign).unwrap();
    assert_eq!(reason(take(&mut orders, foreign.as_bytes())), "unit");
    let turned = String::from_utf8(urgent("n")).unwrap().replace('.', "..");
    assert_eq!(reason(take(&mut orders, turned.as_bytes())), "jws");
    assert_eq!(reason(take(&mut orders, &hold("00070", 1, 0))), "typ");
    assert_eq!(orders.encode(), Orders::default().encode(), "nothing is kept");
    let mut orders = Orders::default();
    assert!(orders.restore(b"not JSON", &keys(), &units()).is_empty());
}

#[test]
fn notices_are_bounded_and_what_is_over_makes_room() {
    let mut orders = Orders::default();
    for n in 0..limits::NOTICES {
        assert_eq!(reason(take(&mut orders, &urgent(&format!("n{n}")))), "accept");
    }
    assert_eq!(reason(take(&mut orders, &urgent("more"))), "limit");
    let later = NOW.plus(3_700_000);
    let fresh = Urgent { iat: later.numeric_date(), exp: later.numeric_date() + 60, ..claims("x") };
    let fresh = doc::sign(&server(1).urgent, &fresh).unwrap();
    let taken = orders.judge_urgent(fresh.as_bytes(), &keys(), &units(), Some(later));
    assert_eq!(reason(taken), "accept");
    assert_eq!(orders.notices.len(), limits::NOTICES);
    for n in 0..3 * limits::NOTICES {
        take(&mut orders, &withdrawal(&format!("w{n}"), 3_600)).unwrap();
    }
    assert_eq!(orders.withdrawals.len(), limits::NOTICES);
}

#[test]
fn holds_are_versioned_by_unit_and_kept_over_restarts() {
    let mut orders = Orders::default();
    assert_eq!(reason(take_hold(&mut orders, "00070", &hold("00070", 5, 9))), "accept");
    assert_eq!(reason(take_hold(&mut orders, "00070", &hold("00070", 5, 9))), "nothing");
    assert_eq!(reason(take_hold(&mut orders, "00070", &hold("00070", 5, 8))), "conflict");
    assert_eq!(reason(take_hold(&mut orders, "00070", &hold("00070", 4, 9))), "version-low");
    assert_eq!(reason(take_hold(&mut orders, "19", &hold("00070", 6, 9))), "unit");
    assert_eq!(reason(take_hold(&mut orders, "00071", &hold("00071", 6, 9))), "unit");
    assert_eq!(reason(take_hold(&mut orders, "19", &hold("19", 1, 9))), "accept");
    let mut again = Orders::default();
    let restored = again.restore(&orders.encode(), &keys(), &units());
    assert_eq!(restored.len(), 2);
    assert_eq!(again.holds(), [(unit("00070"), 5), (unit("19"), 1)].into());
    assert_eq!(reason(take_hold(&mut again, "00070", &hold("00070", 4, 9))), "version-low");
    // A device that moved drops what it left.
    let fallen = again.leave(&[unit("19")]);
    assert_eq!((fallen.holds, fallen.notices.len()), (vec![unit("00070")], 0));
    assert_eq!(again.holds(), [(unit("19"), 1)].into());
}

#[test]
fn only_a_notice_signed_for_the_device_and_new_to_it_is_answered_when_refused() {
    let mut orders = Orders::default();
    let declined = |orders: &mut Orders, bytes: &[u8]| {
        let refusal = take(orders, bytes).unwrap_err();
        orders.declined(bytes, &keys(), &refusal)
    };
    let signed = |claims: Urgent| doc::sign(&server(1).urgent, &claims).unwrap().into_bytes();
    let now = NOW.numeric_date();
    let late = signed(Urgent { iat: now - 60, exp: now, ..claims("late") });
    assert_eq!(declined(&mut orders, &late), Some(("late".to_owned(), false)));
    let ahead = Drill(Urgent { iat: now + 90_000, exp: now + 90_060, ..claims("ahead") });
    let ahead = doc::sign(&server(1).urgent, &ahead).unwrap().into_bytes();
    assert_eq!(declined(&mut orders, &ahead), Some(("ahead".to_owned(), true)));
    // Whoever owns the broker can plant these without end: they are counted and no more.
    let foreign = signed(Urgent { units: vec![unit("00071")], ..claims("foreign") });
    assert_eq!(declined(&mut orders, &foreign), None);
    let forged = doc::sign(&server(1).schedule, &claims("forged")).unwrap();
    assert_eq!(declined(&mut orders, forged.as_bytes()), None);
    assert_eq!(declined(&mut orders, &[b'A'; limits::URGENT_BYTES + 1]), None);
    // What it knows it has answered; a late copy says nothing new.
    take(&mut orders, &urgent("n")).unwrap();
    let after = NOW.plus(3_700_000);
    let refusal = orders.judge_urgent(&urgent("n"), &keys(), &units(), Some(after)).unwrap_err();
    assert_eq!(refusal.reason(), "expired");
    assert_eq!(orders.declined(&urgent("n"), &keys(), &refusal), None);
    for n in 1..limits::NOTICES {
        take(&mut orders, &urgent(&format!("n{n}"))).unwrap();
    }
    assert_eq!(declined(&mut orders, &urgent("more")), Some(("more".to_owned(), false)));
}

#[test]
fn a_hold_of_more_than_a_year_and_a_day_is_refused() {
    let mut orders = Orders::default();
    let iat = UtcMs::from_numeric_date(NOW.numeric_date());
    let hold_until = |ver, until: UtcMs| {
        let doc = Hold {
            v: 1,
            iss: "x".into(),
            unit: unit("00070"),
            iat: NOW.numeric_date(),
            ver,
            jti: "h".into(),
            until_ms: until,
            reason: "tang lễ".into(),
            by: "a".into(),
        };
        jws::sign(&server(1).schedule, Typ::Hold, &doc).into_bytes()
    };
    let long = hold_until(1, iat.plus(limits::HOLD_MS + 1));
    assert_eq!(reason(take_hold(&mut orders, "00070", &long)), "content");
    assert_eq!(orders.holds(), BTreeMap::new());
    let longest = hold_until(2, iat.plus(limits::HOLD_MS));
    assert_eq!(reason(take_hold(&mut orders, "00070", &longest)), "accept");
}

#[test]
fn what_a_revoked_key_signed_falls_at_once_and_after_a_restart() {
    let mut orders = Orders::default();
    take(&mut orders, &urgent("n")).unwrap();
    take(&mut orders, &withdrawal("m", 60)).unwrap();
    take_hold(&mut orders, "00070", &hold("00070", 5, 9)).unwrap();
    let kept = orders.encode();
    let fallen = orders.rekey(&later_keys());
    assert_eq!((fallen.notices, fallen.holds), (vec!["n".to_owned()], vec![unit("00070")]));
    let mut again = Orders::default();
    assert_eq!(again.restore(&kept, &later_keys(), &units()), []);
    let refused = again.judge_urgent(&urgent("n"), &later_keys(), &units(), Some(NOW));
    assert_eq!(reason(refused), "revoked");
}

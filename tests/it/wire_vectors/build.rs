//! Test keys and the means to sign anything with them, wrong things too.

use ed25519_dalek::{Signer as _, SigningKey};
use loa::domain::ids::{DeviceId, Digest};
use loa::domain::time::UtcMs;
use loa::wire::b64;
use loa::wire::epoch::{Epoch, KeysBody, RetiredKey};
use loa::wire::jws::{self, Role, SecretKey, Typ};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// 2026-09-21T14:13:20Z: in the past, so that stock JWT libraries find no `iat` in the future.
pub const NOW: UtcMs = UtcMs(1_790_000_000_000);
pub const NOW_S: i64 = 1_790_000_000;
/// 2026-09-22T00:00:00 in Viet Nam.
pub const DAY: i64 = 1_790_010_000_000;

const NAMES: [(&str, &str); 17] = [
    ("root", "root"),
    ("root-2", "root"),
    ("schedule-1", "schedule"),
    ("schedule", "schedule"),
    ("urgent", "urgent"),
    ("policy", "policy"),
    ("time-1", "time"),
    ("time", "time"),
    ("receipt-1", "receipt"),
    ("receipt", "receipt"),
    ("device", "device"),
    ("device-2", "device"),
    ("stranger", ""),
    ("log", "log"),
    ("witness-1", "witness"),
    ("witness-2", "witness"),
    ("witness-3", "witness"),
];

pub fn seed(name: &str) -> [u8; 32] {
    assert!(NAMES.iter().any(|(known, _)| *known == name), "{name}");
    Digest::of(format!("loa test key, never use: {name}").as_bytes()).0
}

pub fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(&seed(name))
}

pub fn me() -> DeviceId {
    DeviceId::new("loa-thon-1").unwrap()
}

pub fn test_keys() -> Value {
    let keys: Vec<Value> = NAMES
        .iter()
        .map(|(name, role)| {
            let public = key(name).public();
            json!({
                "name": name, "role": role,
                "d": b64::encode(&seed(name)),
                "x": b64::encode(&public.to_bytes()),
                "kid": public.kid().to_string(),
            })
        })
        .collect();
    json!({
        "note": "TEST KEYS. Published, therefore worthless: never use one outside tests. \
                 `d` is the Ed25519 seed, `x` the public key, `kid` its RFC 7638 thumbprint.",
        "keys": keys,
    })
}

/// Signs with any header and payload at all.
pub fn forge(name: &str, header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", b64::encode(header.as_bytes()), b64::encode(payload.as_bytes()));
    let signature = SigningKey::from_bytes(&seed(name)).sign(signed.as_bytes()).to_bytes();
    format!("{signed}.{}", b64::encode(&signature))
}

pub fn header(name: &str, typ: Typ) -> String {
    let kid = key(name).kid();
    format!(r#"{{"alg":"EdDSA","typ":"{}","kid":"{kid}"}}"#, typ.as_str())
}

/// Signs a payload that is text already.
pub fn sign_text(name: &str, typ: Typ, payload: &str) -> String {
    forge(name, &header(name, typ), payload)
}

pub fn payload(text: &str) -> String {
    let middle = text.split('.').nth(1).unwrap();
    String::from_utf8(b64::decode(middle).unwrap()).unwrap()
}

/// Replaces a part that must be there.
pub fn edit(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "`{from}` is not in {text}");
    text.replacen(from, to, 1)
}

fn roles(named: [(&str, &str); 5]) -> BTreeMap<String, Vec<jws::PublicKey>> {
    named.into_iter().map(|(role, name)| (role.to_owned(), vec![key(name).public()])).collect()
}

pub fn epoch(number: u32, before: Option<&str>) -> Epoch {
    Epoch {
        v: 1,
        epoch: number,
        prev: before.map(|text| Digest::of(text.as_bytes())),
        iat: NOW_S - 1_000_000 + i64::from(number) * 1_000,
        root: key("root").public(),
        roles: roles([
            ("schedule", "schedule-1"),
            ("urgent", "urgent"),
            ("policy", "policy"),
            ("time", "time-1"),
            ("receipt", "receipt-1"),
        ]),
        retired: Vec::new(),
        revoked: Vec::new(),
        log: None,
    }
}

pub fn first() -> String {
    jws::sign(&key("root"), Typ::Keys, &epoch(1, None))
}

/// Epoch 2: the schedule key was stolen, those of time and receipt were changed in good order.
pub fn second_epoch() -> Epoch {
    let retired = |role: Role, name: &str| RetiredKey {
        role: role.as_str().to_owned(),
        key: key(name).public(),
        retired_ms: UtcMs(NOW.0 - 500_000_000),
    };
    Epoch {
        roles: roles([
            ("schedule", "schedule"),
            ("urgent", "urgent"),
            ("policy", "policy"),
            ("time", "time"),
            ("receipt", "receipt"),
        ]),
        retired: vec![retired(Role::Time, "time-1"), retired(Role::Receipt, "receipt-1")],
        revoked: vec![key("schedule-1").kid()],
        ..epoch(2, Some(&first()))
    }
}

pub fn second() -> String {
    jws::sign(&key("root"), Typ::Keys, &second_epoch())
}

pub fn body(epochs: &[&str]) -> String {
    let epochs = epochs.iter().map(|text| (*text).to_owned()).collect();
    String::from_utf8(KeysBody::new(epochs).encode()).unwrap()
}

/// One vector: what it is, what it carries, what must come out.
pub fn vector(name: &str, expect: &str, body: &str, why: &str) -> Value {
    json!({"name": name, "expect": expect, "body": body, "why": why})
}

pub fn with(mut vector: Value, member: &str, value: impl Into<Value>) -> Value {
    vector[member] = value.into();
    vector
}

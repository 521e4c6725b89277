//! Vectors of states, derived names, topics and JSON texts.

use super::build::{NOW, edit, key, vector, with};
use super::sheets::asset;
use loa::domain::ids::{ChainId, CueId, DeviceId, Digest};
use loa::domain::time::UtcMs;
use loa::wire::b64;
use loa::wire::doc::{State, StateKind};
use loa::wire::topic;
use serde_json::{Value, json};

pub fn states() -> Value {
    let bare = String::from_utf8(State::bare(StateKind::Lost, 7).encode()).unwrap();
    let full = format!(
        r#"{{"v":1,"state":"ready","conn":7,"nonce":"AAECAwQFBgcICQoLDA0ODw","chain":"{}","head":"{}","seq":13,"upto":12,"ver":{{"keys":2,"timetable":{now},"following":{now},"floor":{now}}},"holds":{{"00070":{now},"19":7}},"held":["{asset}"],"want":[{{"kind":"sheet","sha256":"{asset}"}},{{"kind":"asset","sha256":"{asset}","kib":64}}],"storage":{{"total":1000000,"free":900000,"pending":1,"stored":13}},"clock":{{"src":"server","age_s":60,"err_ms":25}},"fw":"board.py 1"}}"#,
        ChainId([0xab; 16]),
        Digest::of(b"record 13"),
        now = NOW.0,
        asset = asset().0,
    );
    json!({
        "note": "States a device publishes: plain JSON.",
        "given": {},
        "vectors": [
            vector("will", "accept", &bare, "a last will carries no more"),
            vector("ready", "accept", &full, "everything a device may say"),
            vector("unknown-member", "accept", &edit(&bare, r#""v":1"#, r#""v":1,"mood":"good""#), "unknown members are ignored"),
            vector("version-2", "unsupported", &edit(&bare, r#""v":1"#, r#""v":2"#), "another version"),
            vector("hold-of-nothing", "member", &edit(&bare, r#""conn":7"#, r#""conn":7,"holds":{"x":1}"#), "holds are named by unit"),
            vector("unknown-state", "member", &edit(&bare, "lost", "happy"), "five states"),
            vector("no-counter", "member", &edit(&bare, r#","conn":7"#, ""), "the connection counter is missing"),
            vector("twice", "json", &edit(&bare, r#""v":1"#, r#""v":1,"v":1"#), "a member stands twice"),
            vector("long", "limit", &" ".repeat(16_385), "more than 16,384 bytes"),
            vector("empty", "empty", "", "an empty body never changes anything"),
        ],
    })
}

pub fn names() -> Value {
    let mut vectors = Vec::new();
    for (slot, nominal, item, k) in [
        ("sang", 1_790_028_000_000_i64, "lua-dao", 0_u32),
        ("sang", 1_790_028_000_000, "lua-dao", 1),
        ("chieu", 1_790_071_200_000, "lua-dao", 0),
    ] {
        let id = CueId::derive(
            &"an-toan".parse().unwrap(),
            &slot.parse().unwrap(),
            UtcMs(nominal),
            &item.parse().unwrap(),
            k,
        );
        let body = format!("an-toan\n{slot}\n{nominal}\n{item}\n{k}");
        let name = format!("cue-{slot}-{k}");
        vectors.push(with(
            with(vector(&name, "accept", &body, "first 128 bits of SHA-256"), "kind", "cue"),
            "id",
            id.to_string(),
        ));
    }
    for device in ["loa-thon-1", "loa-thon-2", "bang-cong-xa", "abc"] {
        let id = DeviceId::new(device).unwrap();
        let p = topic::partition(&id).to_string();
        vectors.push(with(
            with(
                vector(&format!("partition-{device}"), "accept", device, "first digit of SHA-256"),
                "kind",
                "partition",
            ),
            "p",
            p,
        ));
    }
    for name in ["root", "device"] {
        let x = b64::encode(&key(name).public().to_bytes());
        vectors.push(with(
            with(
                vector(&format!("kid-{name}"), "accept", &x, "RFC 7638 thumbprint"),
                "kind",
                "kid",
            ),
            "kid",
            key(name).kid().to_string(),
        ));
    }
    let sha = Digest::of(b"x");
    for (n, text) in [
        "loa/1/keys".to_owned(),
        "loa/1/server".to_owned(),
        "loa/1/epoch".to_owned(),
        "loa/1/d/loa-thon-1/timetable".to_owned(),
        "loa/1/d/loa-thon-1/state".to_owned(),
        format!("loa/1/s/{sha}"),
        format!("loa/1/a/{sha}/64/0"),
        format!("loa/1/a/{sha}/16/4095"),
        format!("loa/1/a/{sha}/64/sums"),
        "loa/1/u/00070-thon1/urgent/n-1".to_owned(),
        "loa/1/u/00070/hold".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        vectors.push(with(
            vector(&format!("topic-{n}"), "accept", text, "a topic of the contract"),
            "kind",
            "topic",
        ));
    }
    for (n, text) in [
        "loa/1/keys/".to_owned(),
        "loa/1/d/+/state".to_owned(),
        "loa/1/d/LOA/state".to_owned(),
        format!("loa/1/a/{sha}/48/0"),
        format!("loa/1/a/{sha}/64/00"),
        format!("loa/1/a/{sha}/64/4096"),
        "loa/2/keys".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        vectors.push(with(
            vector(&format!("no-topic-{n}"), "none", text, "not of the contract"),
            "kind",
            "topic",
        ));
    }
    json!({
        "note": "Names that are derived: cue ids, partitions, key thumbprints; and the topics.",
        "given": {},
        "vectors": vectors,
    })
}

pub fn json_texts() -> Value {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    let vectors: Vec<Value> = [
        ("object", "accept", r#"{"a":1,"b":{"a":1},"c":[{"a":1},{"a":1}]}"#.to_owned()),
        ("largest", "accept", "9007199254740991".to_owned()),
        ("smallest", "accept", "-9007199254740991".to_owned()),
        ("escape", "accept", r#""\u1ea1""#.to_owned()),
        ("nested-16", "accept", nested(16)),
        ("nested-17", "json", nested(17)),
        ("twice", "json", r#"{"a":1,"a":1}"#.to_owned()),
        ("twice-escaped", "json", r#"{"a":1,"\u0061":2}"#.to_owned()),
        ("twice-deep", "json", r#"{"b":[{"x":{"a":1,"a":2}}]}"#.to_owned()),
        ("too-large", "json", "9007199254740992".to_owned()),
        ("too-small", "json", "-9007199254740992".to_owned()),
        ("fraction", "json", "1.0".to_owned()),
        ("exponent", "json", "1e3".to_owned()),
        ("minus-zero", "json", "-0".to_owned()),
        ("leading-zero", "json", "01".to_owned()),
        ("nan", "json", "NaN".to_owned()),
        ("byte-order-mark", "json", "\u{feff}{}".to_owned()),
        ("two-values", "json", "{} {}".to_owned()),
        ("comma", "json", r#"{"a":1,}"#.to_owned()),
        ("half-a-pair", "json", r#""\ud800""#.to_owned()),
        ("control", "json", "\"\t\"".to_owned()),
        ("empty", "empty", String::new()),
    ]
    .into_iter()
    .map(|(name, expect, text)| vector(name, expect, &text, ""))
    .collect();
    json!({
        "note": "Texts for the strict JSON reader that every document passes first.",
        "given": {},
        "vectors": vectors,
    })
}

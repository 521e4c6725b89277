//! The golden vectors of the wire: what this version writes, what it accepts, what it refuses.
//!
//! `LOA_BLESS=1 cargo test --test it wire_vectors` writes them anew; review each change by eye,
//! since strangers build on them. The published copy must be equal.

mod build;
mod checkpoints;
mod documents;
mod enrolment;
mod epochs;
mod judge;
mod names;
mod notices;
mod records;
mod sheets;

use loa::wire::jws::Typ;
use loa::wire::topic::{Topic, Topics, partition};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn golden() -> PathBuf {
    root().join("tests/golden/wire")
}

fn published() -> PathBuf {
    root().join("firmware-notes/vectors")
}

fn read_all(dir: &Path) -> BTreeMap<String, String> {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn made() -> BTreeMap<String, Value> {
    [
        ("keys.json", build::test_keys()),
        ("epochs.json", epochs::make()),
        ("documents.json", documents::make()),
        ("notices.json", notices::make()),
        ("records.json", records::records()),
        ("sheets.json", sheets::sheets()),
        ("chunks.json", sheets::chunks()),
        ("enrolment.json", enrolment::enrolment()),
        ("states.json", names::states()),
        ("names.json", names::names()),
        ("json.json", names::json_texts()),
        ("checkpoints.json", checkpoints::make()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

#[test]
fn this_version_writes_the_golden_vectors() {
    let made = made();
    if std::env::var_os("LOA_BLESS").is_some() {
        for dir in [golden(), published()] {
            std::fs::create_dir_all(&dir).unwrap();
            for (name, value) in &made {
                let text = format!("{}\n", serde_json::to_string_pretty(value).unwrap());
                std::fs::write(dir.join(name), text).unwrap();
            }
        }
    }
    let kept: BTreeMap<String, Value> = read_all(&golden())
        .into_iter()
        .map(|(name, text)| (name, serde_json::from_str(&text).unwrap()))
        .collect();
    assert_eq!(kept.keys().collect::<Vec<_>>(), made.keys().collect::<Vec<_>>());
    for (name, value) in &made {
        assert!(kept[name] == *value, "`{name}` is not what this version writes");
    }
}

#[test]
fn the_published_vectors_are_the_golden_ones() {
    assert!(read_all(&golden()) == read_all(&published()), "copy the golden vectors");
}

#[test]
fn every_vector_is_judged_as_it_says() {
    let texts = read_all(&golden());
    let mut judged = 0;
    let mut wrong = Vec::new();
    for (file, text) in &texts {
        let value: Value = serde_json::from_str(text).unwrap();
        for vector in value["vectors"].as_array().into_iter().flatten() {
            let found = judge::judge(file, &value["given"], vector);
            judged += 1;
            if vector["expect"] != found.as_str() {
                wrong.push(format!("{file}: {}: {found}", vector["name"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(judged > 150, "only {judged} vectors");
}

#[test]
fn every_reason_for_a_refusal_has_a_vector() {
    let texts = read_all(&golden());
    let all: String = texts.into_values().collect();
    for reason in [
        "empty",
        "limit",
        "json",
        "member",
        "jws",
        "header",
        "alg",
        "typ",
        "unknown-key",
        "role",
        "revoked",
        "retired",
        "signature",
        "unsupported",
        "aud",
        "unit",
        "expired",
        "ahead",
        "version-low",
        "conflict",
        "hash",
        "nonce",
        "replay",
        "epoch",
        "root",
        "content",
        "code",
        "checkpoint",
    ] {
        assert!(all.contains(&format!("\"expect\": \"{reason}\"")), "no vector for `{reason}`");
    }
}

#[test]
fn the_prose_names_every_refusal_every_type_and_every_limit() {
    let prose = std::fs::read_to_string(root().join("firmware-notes/README.md")).unwrap();
    let source = std::fs::read_to_string(root().join("src/wire/refusal.rs")).unwrap();
    let table = prose.split("## 15.").nth(1).unwrap().split("## 16.").next().unwrap();
    let words = source.split("fn reason").nth(1).unwrap().split("fn hint").next().unwrap();
    let words: Vec<&str> = words.split('"').skip(1).step_by(2).collect();
    assert!(words.len() > 25, "{words:?}");
    for word in words {
        assert!(table.contains(&format!("`{word}`")), "the table of refusals lacks `{word}`");
    }
    for typ in Typ::ALL {
        assert!(prose.contains(&format!("`{}`", typ.as_str())), "{}", typ.as_str());
    }
    let table = prose.split("## 14.").nth(1).unwrap().split("## 15.").next().unwrap();
    let source = std::fs::read_to_string(root().join("src/wire/limits.rs")).unwrap();
    let mut checked = 0;
    for line in source.lines().filter(|line| line.starts_with("pub const")) {
        let (name, value) = line.split_once(" = ").unwrap();
        let number: String = value.chars().filter(char::is_ascii_digit).collect();
        let shown = match name.split([' ', ':']).nth(2).unwrap() {
            "INTEGER" => "9,007,199,254,740,991".to_owned(),
            "ASSET_BYTES" => "268,435,456".to_owned(),
            "DAY_MS" => "26 h".to_owned(),
            // Not said to devices, or said in the text.
            "MARKER_BYTES" => continue,
            "NOTICE_LIFE_S" => "three days".to_owned(),
            "GAP_MS" => "6 h".to_owned(),
            "WORD_BYTES" => "128 bytes".to_owned(),
            _ => thousands(&number),
        };
        assert!(table.contains(&shown), "the table of limits lacks `{name}` = {shown}");
        checked += 1;
    }
    assert!(checked > 40, "{checked}");
}

#[test]
fn the_asyncapi_document_names_topics_and_schemas_that_exist() {
    let notes = root().join("firmware-notes");
    let text = std::fs::read_to_string(notes.join("asyncapi.yaml")).unwrap();
    let sha256 = "0".repeat(64);
    let mut seen = [0, 0];
    let mut channels = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(address) = line.trim().strip_prefix("address: ") {
            let mut topic = address.replace("{device}", "loa-thon-1").replace("{sha256}", &sha256);
            topic = topic.replace("{unit}", "00070").replace("{id}", "n-1");
            topic = topic.replace("{feed}", "muc-nuoc");
            topic = topic.replace("{kib}", "64").replace("{n}", "0");
            let device = "loa-thon-1".parse().unwrap();
            topic = topic.replace("{p}", &partition(&device).to_string());
            let topic = Topics::default().parse(&topic).unwrap_or_else(|| panic!("{address}"));
            assert!(channels.insert(channel(&topic)), "{address} stands there twice");
            seen[0] += 1;
        }
        if let Some((_, rest)) = line.split_once("'schemas/") {
            let name = rest.split('\'').next().unwrap();
            assert!(notes.join("schemas").join(name).is_file(), "{name}");
            seen[1] += 1;
        }
    }
    assert!(seen[0] >= 12 && seen[1] >= 9, "{seen:?}");
    for wanted in CHANNELS {
        assert!(channels.contains(wanted), "no channel for `{wanted}`");
    }
}

/// Every topic that a device publishes or hears; `epoch` is the server's own.
const CHANNELS: &[&str] = &[
    "keys",
    "server",
    "timetable",
    "floor",
    "behind",
    "command",
    "time",
    "receipt",
    "state",
    "sheet",
    "chunk",
    "sums",
    "records",
    "urgent",
    "hold",
    "feed",
];

/// The name of a kind of topic. A new kind does not compile without one: put it into [`CHANNELS`].
fn channel(topic: &Topic) -> &'static str {
    match topic {
        Topic::Keys => "keys",
        Topic::Server => "server",
        Topic::Epoch => "epoch",
        Topic::Timetable(_) => "timetable",
        Topic::Floor(_) => "floor",
        Topic::Behind(_) => "behind",
        Topic::Command(_) => "command",
        Topic::Time(_) => "time",
        Topic::Receipt(_) => "receipt",
        Topic::State(_) => "state",
        Topic::Sheet(_) => "sheet",
        Topic::Chunk { .. } => "chunk",
        Topic::Sums { .. } => "sums",
        Topic::Records(_) => "records",
        Topic::Urgent { .. } => "urgent",
        Topic::Hold(_) => "hold",
        Topic::Feed(_) => "feed",
    }
}

fn thousands(digits: &str) -> String {
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[test]
fn names_of_vectors_are_unique_in_their_file() {
    for (file, text) in read_all(&golden()) {
        let value: Value = serde_json::from_str(&text).unwrap();
        let mut names = std::collections::BTreeSet::new();
        for vector in value["vectors"].as_array().into_iter().flatten() {
            assert!(names.insert(vector["name"].to_string()), "{file}: {}", vector["name"]);
        }
    }
}

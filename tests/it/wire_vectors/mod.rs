//! The golden vectors of the wire: what this version writes, what it accepts, what it refuses.
//!
//! `LOA_BLESS=1 cargo test --test it wire_vectors` writes them anew; review each change by eye,
//! since strangers build on them. The published copy must be equal.

mod build;
mod documents;
mod epochs;
mod judge;
mod rest;

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
        ("records.json", rest::records()),
        ("sheets.json", rest::sheets()),
        ("chunks.json", rest::chunks()),
        ("enrolment.json", rest::enrolment()),
        ("states.json", rest::states()),
        ("names.json", rest::names()),
        ("json.json", rest::json_texts()),
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
    ] {
        assert!(all.contains(&format!("\"expect\": \"{reason}\"")), "no vector for `{reason}`");
    }
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

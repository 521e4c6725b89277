//! No bytes make us panic or break a promise: the kept corpus, and seeded mutations of it.
//!
//! `LOA_SEED=n` repeats a run, `LOA_FUZZ=n` makes n mutations a target. What fails is written to
//! a file that the message names: keep it in `tests/fuzz/corpus/TARGET/` once it is mended. The
//! same bodies run under cargo-fuzz, see `tests/fuzz/README.md`.

mod bodies;
#[cfg(feature = "server")]
mod http;
mod mutate;

use bodies::{TARGETS, body};
use mutate::{Random, mutate};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Longest mutation that is tried.
const MOST: usize = 80_000;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Returns the kept inputs of a target, in order.
fn kept(target: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(corpus().join(target))
        .unwrap_or_else(|error| panic!("no corpus of `{target}`: {error}"))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "an empty corpus of `{target}`");
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Tries the corpus and `many` mutations of it.
fn try_all(target: &str, many: usize, mut body: impl FnMut(&[u8])) {
    let seed = number("LOA_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let many = number("LOA_FUZZ").map_or(many, |n| usize::try_from(n).unwrap_or(usize::MAX));
    eprintln!("{target}: LOA_SEED={seed}, {many} mutations");
    let corpus = kept(target);
    let mut attempt = |bytes: &[u8], which: &str| {
        if catch_unwind(AssertUnwindSafe(|| body(bytes))).is_err() {
            let path = std::env::temp_dir().join(format!("loa-fuzz-{target}-{seed}"));
            std::fs::write(&path, bytes).unwrap();
            panic!("{target}, {which}, LOA_SEED={seed}: the input is in {}", path.display());
        }
    };
    for (n, bytes) in corpus.iter().enumerate() {
        attempt(bytes, &format!("kept input {n}"));
    }
    let mut random = Random::new(seed);
    for n in 0..many {
        let from = &corpus[random.below(corpus.len())];
        let other = &corpus[random.below(corpus.len())];
        let mut bytes = mutate(&mut random, from, other);
        bytes.truncate(MOST);
        attempt(&bytes, &format!("mutation {n}"));
    }
}

fn fuzz(target: &str, many: usize) {
    try_all(target, many, body(target).unwrap());
}

macro_rules! targets {
    ($($name:ident: $target:literal, $many:literal;)*) => {
        $(#[test]
        fn $name() {
            fuzz($target, $many);
        })*
        const TRIED: &[&str] = &[$($target),*];
    };
}

targets! {
    any_jws: "jws", 300;
    any_claims_rightly_signed: "claims", 500;
    any_body_of_keys: "keys", 100;
    any_epochs_rightly_signed: "epochs", 150;
    any_day_sheet: "sheet", 300;
    any_batch_of_records: "batch", 100;
    any_record_rightly_signed: "record", 400;
    any_state: "state", 500;
    any_enrolment_code: "code", 800;
    any_enrolment_request: "enrol-request", 200;
    any_enrolment_answer: "enrol-answer", 60;
    any_topic: "topic", 3_000;
    any_chunk_hashes: "sums", 500;
    any_broker_address: "broker-url", 1_000;
    any_ledger_file: "frames", 500;
    any_audio_file: "audio", 100;
    any_playlist: "playlist", 120;
    any_station_file: "station", 120;
    any_policy: "policy", 100;
    any_calendar: "calendar", 100;
    any_skips: "skips", 100;
    any_device_profile: "profile", 100;
    any_register_of_units: "units", 100;
    any_register_of_devices: "devices", 100;
    any_schedule: "cron", 600;
    any_audit_pack: "pack", 60;
    any_audit_policy: "pack-policy", 600;
}

#[test]
fn every_target_is_tried_and_every_corpus_has_a_target() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names, TRIED.iter().map(|name| (*name).to_owned()).collect());
    let mut kept: BTreeSet<String> = std::fs::read_dir(corpus())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    kept.remove("http");
    assert_eq!(names, kept);
    let bytes: u64 =
        TARGETS.iter().flat_map(|(name, _)| self::kept(name)).map(|b| b.len() as u64).sum();
    assert!(bytes < 1_500_000, "the corpus has {bytes} bytes: keep it small");
}

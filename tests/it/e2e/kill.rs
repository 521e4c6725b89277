//! Power cuts at random moments during a day of cues: server, broker, device.

use super::chance::Chance;
use super::commune::{CLIP_S, Commune, claims, in_seconds};
use super::mosquitto::Mosquitto;
use super::process::wait_for;
use super::sound::Recording;
use loa::clock::{Clock as _, SystemClock};
use std::collections::{BTreeMap, BTreeSet};

/// How many cues the day has, and how far apart they are.
const CUES: i64 = 8;
const EVERY_S: i64 = 6;

#[test]
fn power_cuts_lose_no_record_and_nothing_sounds_twice() {
    let mut chance = Chance::new();
    let mut commune = Commune::new();
    commune.init();
    let mut broker = Mosquitto::install(&commune);
    commune.serve();
    commune.enrol("loa-dinh-lang");
    let mut speaker = Some(commune.device("loa-dinh-lang"));
    broker.admit(&commune, "loa-dinh-lang");
    let first = in_seconds(16);
    let instants: Vec<i64> = (0..CUES).map(|i| first + i * EVERY_S * 1000).collect();
    commune.playlist(&instants);
    let last = instants[instants.len() - 1] + CLIP_S * 1000;

    // The cuts begin when the device has its schedule.
    wait_for("the first start", 40, || commune.records_of("loa-dinh-lang", "start").pop());
    let clock = SystemClock::new();
    let mut starts = 1;
    while clock.now().0 < last {
        let next = clock.now().0 + 1_500 + i64::try_from(chance.below(4_000)).unwrap();
        wait_for("the next cut", 10, || (clock.now().0 >= next).then_some(()));
        match chance.below(4) {
            0 => {
                commune.server.take().unwrap().kill();
                commune.serve();
            }
            1 => broker.cut(),
            _ => {
                speaker.take().unwrap().kill();
                speaker = Some(commune.device("loa-dinh-lang"));
                starts += 1;
            }
        }
    }

    let plays = wait_for("a record of every cue", 120, || {
        let mut plays: BTreeMap<i64, Vec<serde_json::Value>> = BTreeMap::new();
        for play in commune.records_of("loa-dinh-lang", "play") {
            let claims = claims(&play).clone();
            plays.entry(claims["due_ms"].as_i64().unwrap()).or_default().push(claims);
        }
        instants.iter().all(|at| plays.contains_key(at)).then_some(plays)
    });

    // One chain without a gap, each number once, each link right.
    let records = commune.records();
    let mine: Vec<_> = records.iter().filter(|r| r["device"] == "loa-dinh-lang").collect();
    let chains: BTreeSet<_> = mine.iter().map(|r| r["chain"].as_str().unwrap()).collect();
    assert_eq!(chains.len(), 1, "a power cut begins no new chain");
    let mut by_seq: Vec<_> = mine.iter().map(|r| (r["seq"].as_u64().unwrap(), *r)).collect();
    by_seq.sort_by_key(|(seq, _)| *seq);
    for (i, (seq, record)) in by_seq.iter().enumerate() {
        assert_eq!(*seq, i as u64 + 1, "numbers follow each other, none twice");
        assert!(record["fault"].is_null(), "{record}");
        if i > 0 {
            assert_eq!(claims(record)["prev"], by_seq[i - 1].1["sha256"]);
        }
    }
    // A start that was cut off before it could write is no start; no start is told twice.
    let booted: Vec<u64> = by_seq
        .iter()
        .filter(|(_, record)| record["kind"] == "boot")
        .map(|(_, record)| claims(record)["boot"].as_u64().unwrap())
        .collect();
    assert!((1..=starts).contains(&booted.len()), "{booted:?} of {starts} starts");
    assert!(booted.is_sorted_by(|a, b| a < b), "{booted:?}");

    // The sum of what the records say of a cue is never more than the clip.
    for (at, plays) in &plays {
        let played: i64 = plays.iter().map(|p| p["played_ms"].as_i64().unwrap()).sum();
        assert!(played <= CLIP_S * 1000 + 50, "{at}: {played} ms of a clip of {CLIP_S} s");
        assert!(
            plays.iter().all(|p| p["outcome"] == "played"
                || p["outcome"] == "partial"
                || p["outcome"] == "failed"),
            "{plays:?}"
        );
    }

    // What the street heard: the pitch of the chirps falls back once between two cues, no more.
    let street = Recording::read(&commune.street());
    let pitch: Vec<f64> = street
        .stretches()
        .into_iter()
        .flat_map(|stretch| street.pitch(stretch))
        .filter(|hertz| *hertz > 300.0)
        .collect();
    let falls = pitch.windows(2).filter(|p| p[1] < p[0] - 200.0).count();
    assert!(falls < instants.len(), "{falls} falls of pitch in {} cues", instants.len());
}

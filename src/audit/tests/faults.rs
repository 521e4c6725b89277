//! Packs and policies that are damaged, foreign, incomplete or hostile.

use super::day::{live, sound, usual};
use super::model::{DAY, DAY_MS, HOUR, MIN, World, beat, hex, play};
use super::{judge, judge_with, kinds, options};
use crate::audit::{FaultKind, LISTED, Options, Policy, verify};
use crate::log::leaf::ServerBody;
use serde_json::json;
use std::sync::LazyLock;

pub(super) static WORLD: LazyLock<World> = LazyLock::new(|| usual(2));
pub(super) static PACK: LazyLock<Vec<u8>> = LazyLock::new(|| WORLD.pack());

#[test]
fn what_is_no_pack_has_that_one_fault() {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_path("README.txt").unwrap();
    header.set_size(2);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    tar.append(&header, &b"hi"[..]).unwrap();
    let foreign = tar.into_inner().unwrap();
    let zip = b"PK\x03\x04".repeat(400);
    let zeros = vec![0; 10_240];
    for bytes in [&b""[..], b"x", &zip, &zeros, &foreign, &PACK[512..], &PACK[..512]] {
        let verdict = judge(&WORLD, bytes);
        assert_eq!(kinds(&verdict), [FaultKind::NotAPack], "{} bytes", bytes.len());
        assert_eq!((verdict.faults.len(), verdict.ok), (1, false));
    }
}

#[test]
fn a_file_that_a_pack_does_not_have_or_not_there_is_named() {
    let files = WORLD.files();
    let bytes = || vec![1; 5];
    for name in ["evil", "logs/2/checkpoint", "logs/1/tile/8/000", "logs/1/tile/0/x000/001"] {
        let mut more = files.clone();
        more.push((name.to_owned(), bytes()));
        let verdict = judge(&WORLD, &WORLD.write(&more));
        let fault = verdict.faults.iter().find(|fault| fault.kind == FaultKind::Archive);
        assert_eq!(fault.unwrap().place, name);
    }
    let mut twice = files.clone();
    twice.push(files.last().unwrap().clone());
    assert!(kinds(&judge(&WORLD, &WORLD.write(&twice))).contains(&FaultKind::Archive));
    let mut swapped = files.clone();
    let last = swapped.len() - 1;
    swapped.swap(last, 1);
    assert!(kinds(&judge(&WORLD, &WORLD.write(&swapped))).contains(&FaultKind::Archive));
}

#[test]
fn names_that_lead_out_of_the_pack_are_only_names() {
    for name in ["../etc/passwd", "/etc/passwd", "sheets/../../x", "C:/x", "a b"] {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(0);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        let mut pack = PACK[..PACK.len() - 1_024].to_vec();
        pack.extend_from_slice(header.as_bytes());
        pack.extend_from_slice(&[0; 1_024]);
        assert!(kinds(&judge(&WORLD, &pack)).contains(&FaultKind::Archive), "{name}");
    }
    for kind in [tar::EntryType::Symlink, tar::EntryType::Directory, tar::EntryType::GNULongName] {
        let mut header = tar::Header::new_ustar();
        header.set_path("zzz").unwrap();
        header.set_size(0);
        header.set_entry_type(kind);
        header.set_cksum();
        let mut pack = PACK[..PACK.len() - 1_024].to_vec();
        pack.extend_from_slice(header.as_bytes());
        pack.extend_from_slice(&[0; 1_024]);
        assert!(kinds(&judge(&WORLD, &pack)).contains(&FaultKind::Archive), "{kind:?}");
    }
}

#[test]
fn a_length_that_no_file_has_is_not_believed() {
    for size in [u64::MAX >> 31, 1 << 32, 70_000] {
        let mut header = tar::Header::new_ustar();
        header.set_path("README.txt").unwrap();
        header.set_size(size);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        let mut pack = header.as_bytes().to_vec();
        pack.extend_from_slice(&PACK[512..]);
        assert!(!judge(&WORLD, &pack).ok, "{size}");
    }
}

#[test]
fn more_faults_than_are_listed_are_counted() {
    let mut world = usual(1);
    for n in 0..i64::try_from(LISTED).unwrap() + 10 {
        world.log().record(DAY + n, "no.jws.atall");
    }
    world.log().checkpoint(DAY + 9 * HOUR, &[0]);
    let verdict = judge(&world, &world.pack());
    assert_eq!(verdict.faults.len(), LISTED + 1);
    assert_eq!(verdict.faults[LISTED].message, "10 faults more are not listed");
    assert_eq!(verdict.records.unverifiable, LISTED as u64 + 10);
}

/// A log of three levels of tiles, most of it the server's statements.
fn large(size: u64) -> World {
    let mut world = usual(1);
    let gap = ServerBody::Gap {
        dev: "loa-thon-1".parse().unwrap(),
        chain: hex(&[1; 16]).parse().unwrap(),
        from: 1,
        to: 2,
    };
    let mut at = DAY + 9 * HOUR;
    while world.log().size() < size {
        world.log().say(at, &gap);
        at += 1;
        if world.log().size().is_multiple_of(9_973) || world.log().size().is_multiple_of(16_384) {
            world.log().checkpoint(at, &[0]);
        }
    }
    world.log().checkpoint(at + 1_000, &[0]);
    world
}

#[test]
fn a_tree_of_three_levels_is_checked_at_every_checkpoint() {
    for size in [65_536, 66_303] {
        let world = large(size);
        let verdict = judge(&world, &world.pack());
        assert_eq!(verdict.faults, [], "{size}");
        assert_eq!(verdict.logs[0].size, size);
        assert!(verdict.signatures.checkpoints > 30);
    }
    let world = large(66_303);
    let files = world.files();
    let tiles = ["logs/1/tile/1/000", "logs/1/tile/entries/131", "logs/1/tile/entries/257"];
    for name in tiles {
        let mut changed = files.clone();
        let at = changed.iter().position(|(found, _)| found == name).unwrap();
        let middle = changed[at].1.len() / 2;
        changed[at].1[middle] ^= 1;
        let verdict = judge(&world, &world.write(&changed));
        let fault = verdict.faults.iter().find(|fault| fault.place == name).unwrap();
        assert!(matches!(fault.kind, FaultKind::Tile | FaultKind::Bundle), "{fault:?}");
        let at = changed.iter().position(|(found, _)| found == name).unwrap();
        changed.remove(at);
        let verdict = judge(&world, &world.write(&changed));
        assert!(kinds(&verdict).contains(&FaultKind::Missing), "{name}");
    }
}

#[test]
fn leaves_long_before_the_window_may_be_left_out_and_what_matters_may_not() {
    // Sixty days later: the window is far behind what the first bundles hold.
    let mut world = live(1, &mut |_, _| false);
    for n in 0..800 {
        world.tell(0, DAY + DAY_MS + n * MIN, &beat());
    }
    world.log().checkpoint(DAY + 2 * DAY_MS, &[0]);
    for n in 0..300 {
        world.tell(0, DAY + 60 * DAY_MS + n * MIN, &beat());
    }
    world.log().checkpoint(DAY + 61 * DAY_MS, &[0]);
    world.window = (DAY + 60 * DAY_MS, DAY + 61 * DAY_MS);
    assert_eq!(judge(&world, &world.pack()).faults, []);
    world.logs[0].first = 700;
    world.logs[0].kept = [0].into();
    let verdict = judge(&world, &world.pack());
    assert_eq!(verdict.faults, []);
    assert!(verdict.notes.iter().any(|note| note.contains("512 leaves")), "{:?}", verdict.notes);
    assert!(verdict.records.total < 900);
    // Without the keys no record can be judged.
    world.logs[0].kept.clear();
    assert!(kinds(&judge(&world, &world.pack())).contains(&FaultKind::Key));
    // What a silent device was expected to play is counted all the same.
    let day = super::model::sheet(DAY + 61 * DAY_MS);
    let mut silent = world.clone();
    silent.window.1 = DAY + 62 * DAY_MS;
    silent.publish(DAY + 61 * DAY_MS, 0, 2, &[day], DAY + 61 * DAY_MS + HOUR / 2);
    silent.log().checkpoint(DAY + 62 * DAY_MS, &[0]);
    let verdict = judge(&silent, &silent.pack());
    let outcomes = &verdict.outcomes;
    assert_eq!((outcomes.expected, outcomes.explained), (8, 8), "{outcomes:?}");
    assert!(verdict.notes.iter().any(|note| note.contains("no enrolment")), "{:?}", verdict.notes);
    // What is left out reaches into the time that matters.
    world.logs[0].kept = [0].into();
    world.window = (DAY + 20 * DAY_MS, DAY + 61 * DAY_MS);
    assert_eq!(kinds(&judge(&world, &world.pack())), [FaultKind::Missing]);
}

#[test]
fn a_question_about_one_unit_counts_its_devices_only() {
    let mut world = usual(3);
    world.unit = Some("17329".into());
    assert_eq!(judge(&world, &world.pack()).outcomes.expected, 24);
    world.unit = Some("17330".into());
    let verdict = judge(&world, &world.pack());
    assert_eq!((verdict.outcomes.expected, verdict.records.verified), (0, 108));
}

#[test]
fn a_device_that_was_dead_or_silent_or_cut_is_told_apart() {
    let world = live(4, &mut |world, moment| match (moment.device, moment.cue) {
        // There, and silent about its cues.
        (0, Some(_)) => true,
        // Nothing at all from noon on.
        (1, _) => moment.at_ms > DAY + 4 * HOUR,
        // Half of it.
        (2, Some(n)) => {
            let id = super::model::cue_of(DAY, n);
            world.tell(2, moment.at_ms + 10 * MIN, &play(&id, moment.at_ms, MIN));
            true
        }
        _ => false,
    });
    let verdict = judge(&world, &world.pack());
    assert!(verdict.ok, "{:#?}", verdict.faults);
    let outcomes = &verdict.outcomes;
    assert_eq!((outcomes.expected, outcomes.missing, outcomes.partial), (32, 8, 8));
    assert_eq!((outcomes.explained, outcomes.played[&3]), (4, 12));
}

#[test]
fn without_witnesses_everything_but_time_is_judged() {
    let world = usual(1);
    let text = world.policy().replace("quorum any", "quorum none");
    let policy = Policy::parse(text.as_bytes()).unwrap();
    let verdict = verify(&world.pack()[..], &policy, &options(), &mut |_| {}).unwrap();
    assert!(verdict.ok && verdict.signatures.quorum_met);
    assert_eq!((verdict.records.late, verdict.notes.len()), (0, 1));
}

#[test]
fn a_policy_is_refused_with_all_that_is_wrong() {
    let good = WORLD.policy();
    assert!(Policy::parse(good.as_bytes()).is_ok());
    let bad =
        good.replace("quorum any\n", "quorum nobody\nlog x\nwitness w1 y z q\nsing\nquorum none");
    let error = Policy::parse(bad.as_bytes()).unwrap_err();
    insta::assert_snapshot!(format!("{error}\n{}", error.hint()).replace("; ", "\n"));
}

#[test]
fn every_kind_of_fault_has_a_word_and_a_remedy() {
    let mut words: Vec<String> = FaultKind::ALL.iter().map(FaultKind::to_string).collect();
    insta::assert_json_snapshot!(words);
    assert!(FaultKind::ALL.iter().all(|kind| kind.hint().len() > 20));
    words.sort();
    words.dedup();
    assert_eq!(words.len(), FaultKind::ALL.len());
}

#[test]
fn a_record_of_a_revoked_device_that_a_person_brought_is_no_fault_and_counts_for_nothing() {
    use crate::domain::time::UtcMs;
    use crate::log::leaf::Leaf;
    let world = live(1, &mut |world, moment| {
        if moment.cue == Some(7) {
            world.revoke(moment.at_ms, 0, None);
            let seen = world.log().seen.clone();
            let body = play(&super::model::cue_of(DAY, 7), moment.at_ms, 2 * MIN);
            let text = world.devices[0].sign(moment.at_ms, &seen, &body);
            world.log().waiting.push(Leaf::imported(UtcMs(moment.at_ms), &text).unwrap());
        }
        moment.cue == Some(7) || moment.at_ms > DAY + 7 * HOUR + HOUR / 2
    });
    let verdict = judge(&world, &world.pack());
    assert!(verdict.ok, "{:#?}", verdict.faults);
    assert_eq!((verdict.records.unverifiable, verdict.outcomes.played[&3]), (1, 7));
}

#[test]
fn a_gateway_speaks_for_the_devices_it_was_enrolled_for_and_no_others() {
    let world = live(2, &mut |world, moment| {
        if moment.device == 1 && moment.cue == Some(2) {
            let own = world.devices[1].key.clone();
            world.devices[1].key = world.devices[0].key.clone();
            world.enrol(moment.at_ms, 1);
            sound(world, moment);
            world.devices[1].key = own;
            return true;
        }
        false
    });
    assert_eq!(judge(&world, &world.pack()).faults, []);
}

#[test]
fn numbers_declared_lost_are_no_gap() {
    let world = live(1, &mut |world, moment| {
        let around = moment.cue.is_none() && moment.at_ms == DAY + 3 * HOUR + 40 * MIN;
        if around {
            let seen = world.log().seen.clone();
            let first = world.devices[0].seq + 1;
            for _ in 0..3 {
                let _ = world.devices[0].sign(moment.at_ms, &seen, &beat());
            }
            let hash = world.devices[0].prev.clone();
            let body =
                json!({"kind": "lost", "from": first, "to": first + 2, "n": 3, "hash": hash});
            world.tell(0, moment.at_ms, &body);
        }
        around || moment.cue == Some(3)
    });
    let verdict = judge(&world, &world.pack());
    assert!(verdict.ok, "{:#?}", verdict.faults);
    assert_eq!((verdict.records.gaps, verdict.outcomes.explained), (0, 1));
}

#[test]
fn many_quotes_and_little_memory_end_in_the_same_verdict() {
    let world = live(3, &mut |world, moment| {
        // Each record quotes a tree of its own, which no kept checkpoint shows.
        let mut other = world.log().clone();
        other.checkpoint(moment.at_ms, &[0]);
        let seen = other.seen.clone();
        let kept = world.log().cosigned.clone();
        *world.log() = other;
        world.log().cosigned = kept;
        if moment.cue.is_none() {
            let text = world.devices[moment.device].sign(moment.at_ms, &seen, &beat());
            world.log().record(moment.at_ms, &text);
            return true;
        }
        false
    });
    let verdict = judge(&world, &world.pack());
    assert_eq!(verdict.faults, []);
    let little = Options { memory: 14_000, ..options() };
    let mut walks = 0;
    let policy = Policy::parse(world.policy().as_bytes()).unwrap();
    let again = verify(&world.pack()[..], &policy, &little, &mut |p| walks = walks.max(p.walk));
    assert_eq!(again.unwrap(), verdict);
    assert_eq!(judge_with(&world, &world.pack(), &little), verdict);
}

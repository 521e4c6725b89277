//! No bytes panic, and no change goes unseen.

use super::day::usual;
use super::faults::{PACK, WORLD};
use super::judge;
use super::model::{DAY, HOUR};
use crate::audit::{Policy, Verdict};
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::LazyLock;

static RIGHT: LazyLock<Verdict> = LazyLock::new(|| judge(&WORLD, &PACK));

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..3_000)) {
        prop_assert!(!judge(&WORLD, &bytes).ok);
    }

    #[test]
    fn no_changed_byte_goes_unseen_and_none_panics(
        at in any::<prop::sample::Index>(), bit in 0_u8..8
    ) {
        let mut pack = PACK.clone();
        let at = at.index(pack.len());
        pack[at] ^= 1 << bit;
        let verdict = judge(&WORLD, &pack);
        // Only padding and the numbers of owner and date that nobody reads may differ unseen.
        if verdict.ok {
            prop_assert_eq!(PACK[at], 0, "byte {} of {}", at, PACK.len());
        }
    }

    #[test]
    fn no_changed_file_panics_although_the_manifest_fits(
        which in any::<prop::sample::Index>(),
        edits in vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..6),
    ) {
        let mut files = WORLD.files();
        let which = which.index(files.len());
        let name = files[which].0.clone();
        for (at, byte, how) in edits {
            let bytes = &mut files[which].1;
            let at = at.index(bytes.len() + 1);
            match how {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => { bytes.remove(at); }
                _ if at < bytes.len() => bytes[at] = byte,
                _ => bytes.truncate(at / 2),
            }
        }
        let same = files == WORLD.files();
        let verdict = judge(&WORLD, &WORLD.write(&files));
        let free = name == "policy";
        // A cosignature that nobody knows any more is no fault while others are enough.
        let seen = !verdict.ok || verdict.signatures != RIGHT.signatures;
        prop_assert!(same || free || seen, "{} changed unseen", name);
    }

    #[test]
    fn no_leaf_panics(contents in vec(vec(any::<u8>(), 0..200), 1..20), format in 0_u8..5) {
        use crate::log::edge::Edge;
        let mut world = usual(1);
        let entries: Vec<Vec<u8>> = contents.iter().map(|content| {
            [&[format], &DAY.to_be_bytes()[..], content].concat()
        }).collect();
        let log = world.log();
        let grown: Edge = log.edge.clone();
        let growth = grown.grow(entries.iter().map(Vec::as_slice)).unwrap();
        for (resource, bytes) in growth.files {
            log.files.insert(resource.to_string(), bytes);
        }
        log.edge = growth.edge;
        log.checkpoint(DAY + 9 * HOUR, &[0]);
        let verdict = judge(&world, &world.pack());
        prop_assert!(!verdict.ok);
    }

    #[test]
    fn no_policy_panics_and_both_readers_agree(
        lines in vec(prop_oneof![
            Just(WORLD.policy().lines().nth(1).unwrap().to_owned()),
            Just(WORLD.policy().lines().nth(2).unwrap().to_owned()),
            Just(WORLD.policy().lines().nth(3).unwrap().to_owned()),
            "(group|quorum|witness|log|#) ?(g|w0|w1|none|any|all|1|2){0,1} ?(any|all|1|2|0|w0|w1|g){0,1} ?(w0|w1|g){0,1} ?(w0|w1|g)?",
        ], 0..7),
        end in any::<bool>(),
    ) {
        let text = lines.join("\n") + if end { "\n" } else { "" };
        let own = Policy::parse(text.as_bytes());
        let writers = crate::wire::tlog::Policy::parse(text.as_bytes());
        prop_assert_eq!(own.is_ok(), writers.is_ok(), "{:?}\n{:?}\n{:?}", text, own.err(), writers.err());
    }
}

/// The pack from which mutations start elsewhere, too; `LOA_BLESS=1` writes it anew.
#[test]
fn the_kept_pack_is_what_is_written_and_right() {
    let world = usual(1);
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let (pack, policy) = (root.join("corpus/pack/day"), root.join("pack.policy"));
    if std::env::var_os("LOA_BLESS").is_some() {
        std::fs::create_dir_all(pack.parent().unwrap()).unwrap();
        std::fs::write(&pack, world.pack()).unwrap();
        std::fs::write(&policy, world.policy()).unwrap();
    }
    let bytes = std::fs::read(&pack).unwrap();
    assert!(bytes.len() < 80_000, "mutations are cut there");
    assert!(bytes == world.pack(), "the form of packs has changed: is that meant?");
    assert_eq!(std::fs::read_to_string(policy).unwrap(), world.policy());
    assert!(judge(&world, &bytes).ok);
}

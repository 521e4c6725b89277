//! Tests of the sequencer: growth, refusals, cuts of power, kills.

mod kill;
mod power;
mod refusals;

use super::*;
use crate::log::folder::FolderError;
use crate::log::prove::{Prover, proof_file};
use crate::log::testing::{
    ModelDisk, cosigner, hashes, leaf, leaves, origin, other_root, other_tree, setup, signer,
};
use crate::wire::tlog::{Resource, Tile, check_consistency};
use std::path::Path;

fn model() -> ModelDisk {
    ModelDisk::default().with_folder(Path::new("/data")).with_folder(Path::new("/heads"))
}

fn place() -> Setup {
    setup(Path::new("/data"), Path::new("/heads"))
}

fn open(disk: &ModelDisk) -> Result<Sequencer<ModelDisk>, OpenError> {
    Sequencer::open(disk.clone(), place())
}

/// Says whether a file is neither half written nor a partial tile.
fn is_whole(path: &Path) -> bool {
    let partial = path.to_str().unwrap().contains(".p/");
    !partial && path.extension().is_none_or(|extension| extension != "new")
}

/// A log that grew in these steps.
fn grown(disk: &ModelDisk, sizes: &[u64]) -> Sequencer<ModelDisk> {
    sizes.iter().fold(open(disk).unwrap(), |log, size| {
        let from = log.size();
        log.append(from, &leaves(from, *size)).unwrap()
    })
}

#[test]
fn a_log_agrees_with_other_peoples_trees_at_every_size() {
    let disk = model();
    let mut log = open(&disk).unwrap();
    assert!(log.checkpoint().is_none());
    let mut other = other_tree(0);
    for to in [1, 2, 3, 255, 256, 257, 511, 512, 513, 700, 1_025] {
        let from = log.size();
        log = log.append(from, &leaves(from, to)).unwrap();
        (from..to).for_each(|index| other.push(leaf(index).bytes().to_vec()));
        let head = log.checkpoint().unwrap().checkpoint().clone();
        assert_eq!((head.size, head.root), (to, other_root(&other)));
        assert_eq!(head.origin, origin());
        log.checkpoint().unwrap().note().verify(&[signer(1).verifier().clone()]).unwrap();
        let prover = Prover::new(log.folder(), to, head.root);
        for index in (0..to).step_by(37).chain([to - 1]) {
            let (_, path) = prover.inclusion(index).unwrap();
            let theirs = other.prove_inclusion(usize::try_from(index).unwrap());
            assert_eq!(path, hashes(theirs.as_bytes()), "inclusion of {index} in {to}");
            let proof = proof_file(log.folder(), index, log.checkpoint().unwrap()).unwrap();
            proof.check(leaf(index).bytes()).unwrap();
            assert!(proof.check(leaf(index + 1).bytes()).is_err());
            assert_eq!(log.folder().entry(index, to).unwrap(), leaf(index).bytes());
        }
        for old in (1..to).step_by(53).chain([1, to]) {
            let (root, path) = prover.consistency(old).unwrap();
            assert_eq!(root, other_root(&other_tree(old)));
            let added = usize::try_from(to - old).unwrap();
            let theirs = other.prove_consistency(added);
            assert_eq!(path, hashes(theirs.as_bytes()), "consistency {old} to {to}");
            check_consistency((old, root), (to, head.root), &path).unwrap();
        }
    }
}

#[test]
fn a_log_is_taken_up_where_it_stands_without_reading_it_all() {
    let disk = model();
    drop(grown(&disk, &[300, 70_000]));
    // Everything left of the right edge may be gone: opening does not look at it.
    for (path, _) in disk.files() {
        let text = path.to_str().unwrap();
        let old = |prefix: &str| {
            text.strip_prefix(prefix)
                .is_some_and(|rest| rest.parse::<u64>().is_ok_and(|index| index < 273))
        };
        if old("/data/2027/tile/0/") || old("/data/2027/tile/entries/") {
            disk.lose(&path);
        }
    }
    let log = open(&disk).unwrap();
    assert_eq!(log.size(), 70_000);
    let log = log.append(70_000, &leaves(70_000, 70_010)).unwrap();
    let root = log.checkpoint().unwrap().checkpoint().root;
    assert_eq!(root, other_root(&other_tree(70_010)));
}

#[test]
fn appending_touches_only_the_tiles_that_change() {
    let disk = model();
    let log = grown(&disk, &[70_000]);
    let before = disk.files();
    let steps = disk.taken();
    let log = log.append(70_000, &leaves(70_000, 70_003)).unwrap();
    let after = disk.files();
    let changed: Vec<&str> = after
        .iter()
        .filter(|(path, bytes)| before.get(*path) != Some(bytes))
        .map(|(path, _)| path.to_str().unwrap())
        .collect();
    assert_eq!(
        changed,
        [
            "/data/2027/checkpoint",
            "/data/2027/tile/0/273.p/115",
            "/data/2027/tile/entries/273.p/115",
            "/heads/2027.head",
        ]
    );
    // Four files written, synced, renamed; eight folders, most of them clean.
    assert!(disk.taken() - steps <= 20, "{} steps", disk.taken() - steps);
    assert_eq!(log.size(), 70_003);
}

#[test]
fn partial_tiles_go_when_the_full_one_is_there() {
    let disk = model();
    let log = grown(&disk, &[10, 200, 256]);
    assert!(!disk.files().keys().any(|path| path.to_str().unwrap().contains("000.p/10")));
    let names: Vec<String> =
        disk.files().into_keys().map(|path| path.to_str().unwrap().to_owned()).collect();
    assert_eq!(
        names,
        [
            "/data/2027/checkpoint",
            "/data/2027/tile/0/000",
            "/data/2027/tile/1/000.p/1",
            "/data/2027/tile/entries/000",
            "/heads/2027.head",
        ]
    );
    // Proofs of an older size come from the full tile.
    let root = log.checkpoint().unwrap().checkpoint().root;
    Prover::new(log.folder(), 256, root).consistency(200).unwrap();
}

#[test]
fn leaves_given_again_change_nothing_and_other_bytes_are_refused() {
    let disk = model();
    let log = grown(&disk, &[300]);
    let before = disk.files();
    let log = log.append(0, &leaves(0, 300)).unwrap().append(290, &leaves(290, 295)).unwrap();
    assert_eq!(disk.files(), before);
    let log = log.append(250, &leaves(250, 310)).unwrap();
    assert_eq!(log.size(), 310);
    let mut other = leaves(250, 320);
    other[7] = leaf(9_999);
    assert!(matches!(log.append(250, &other), Err(AppendError::Differs { index: 257 })));
    let log = open(&disk).unwrap();
    assert!(matches!(
        log.append(311, &leaves(311, 312)),
        Err(AppendError::Gap { first: 311, next: 310 })
    ));
}

#[test]
fn a_shard_begins_with_what_was_before_it() {
    let disk = model();
    let wrong = open(&disk).unwrap().append(0, &leaves(1, 3));
    assert!(matches!(wrong, Err(AppendError::Beginning)));
    assert!(disk.files().is_empty());
}

#[test]
fn several_keys_sign_and_cosignatures_are_published_with_theirs() {
    let disk = model();
    let mut place = place();
    place.signers = vec![signer(1), signer(2)];
    let log = Sequencer::open(disk.clone(), place.clone()).unwrap();
    let log = log.append(0, &leaves(0, 5)).unwrap();
    let shown = log.checkpoint().unwrap().clone();
    assert_eq!(shown.note().lines().len(), 2);
    let witness = cosigner("witness.example/w1", 9);
    let mut lines = shown.note().lines().to_vec();
    lines.push(witness.sign(1_800_000_100, shown.note().text()));
    let cosigned = shown.with_note(shown.note().with_lines(lines)).unwrap();
    let log = log.publish_cosigned(cosigned.clone()).unwrap();
    assert_eq!(log.checkpoint(), Some(&cosigned));
    // It is still there after a start, and replaced by the next round.
    drop(log);
    let log = Sequencer::open(disk.clone(), place.clone()).unwrap();
    assert_eq!(log.checkpoint(), Some(&cosigned));
    let log = log.append(5, &leaves(5, 6)).unwrap();
    let newest = log.checkpoint().unwrap().clone();
    let log = log.publish_cosigned(cosigned).unwrap();
    assert_eq!(log.checkpoint(), Some(&newest), "an older checkpoint never comes back");
    // One without the log's own signature is not published.
    let stripped = newest.note().with_lines(vec![witness.sign(1, newest.note().text())]);
    let stripped = newest.with_note(stripped).unwrap();
    assert!(matches!(log.publish_cosigned(stripped), Err(AppendError::Unsigned(_))));
}

#[test]
fn a_damaged_tile_gives_no_proof() {
    let disk = model();
    let log = grown(&disk, &[600]);
    let root = log.checkpoint().unwrap().checkpoint().root;
    let tile = Tile::new(0, 1, 256).unwrap();
    disk.tamper(&log.folder().place(Resource::Hashes(tile)), |bytes| bytes[40] ^= 1);
    let prover = Prover::new(log.folder(), 600, root);
    for wrong in [prover.inclusion(300).map(|_| ()), prover.consistency(300).map(|_| ())] {
        let error = wrong.unwrap_err();
        assert!(matches!(error, FolderError::Root { size: 600, .. }), "{error}");
    }
    prover.inclusion(3).unwrap();
    disk.tamper(&log.folder().place(Resource::Hashes(tile)), |bytes| bytes.truncate(8_191));
    let error = Prover::new(log.folder(), 600, root).inclusion(300).unwrap_err();
    assert!(matches!(error, FolderError::Length { got: 8_191, want: 8_192, .. }), "{error}");
    assert!(matches!(prover.inclusion(600), Err(FolderError::Outside { .. })));
}

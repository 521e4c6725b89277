//! When the sequencer does not sign: forks in the making.

use super::*;
use crate::log::sequencer::RebuildError;
use crate::log::testing::Draw;
use std::io;

const DATA: &str = "/data";

fn refused(disk: &ModelDisk, setup: Setup) -> OpenError {
    let before = disk.files();
    let error = Sequencer::open(disk.clone(), setup).unwrap_err();
    assert_eq!(disk.files(), before, "a refusal changes nothing");
    error
}

#[test]
fn a_restored_backup_is_not_signed_on() {
    let disk = model();
    let log = grown(&disk, &[100, 300]);
    let backup = disk.copy();
    drop(log.append(300, &leaves(300, 700)).unwrap());
    disk.restore(&backup, Path::new(DATA));
    let error = refused(&disk, place());
    assert!(matches!(error, OpenError::Behind { ours: 300, theirs: 700, .. }));
    assert_eq!(
        error.to_string(),
        "the head file `/heads/2027.head` knows 700 leaves of `loa.example.vn/log/2027`, \
         here are 300"
    );
    assert!(error.hint().contains("loa log rebuild"));
}

#[test]
fn a_log_whose_data_is_gone_does_not_begin_anew() {
    let disk = model();
    drop(grown(&disk, &[100]));
    disk.restore(&model(), Path::new(DATA));
    assert!(matches!(refused(&disk, place()), OpenError::Behind { ours: 0, theirs: 100, .. }));
}

#[test]
fn the_lost_tail_is_rebuilt_from_the_store_and_from_nothing_else() {
    let disk = model();
    let log = grown(&disk, &[100, 300]);
    let backup = disk.copy();
    let log = log.append(300, &leaves(300, 700)).unwrap();
    let newest = log.checkpoint().unwrap().clone();
    drop(log);
    disk.restore(&backup, Path::new(DATA));
    let before = disk.files();
    type Held = Result<Vec<crate::log::leaf::Leaf>, io::Error>;
    let store = |first: u64, most: usize| -> Held { Ok(leaves(first, first + most as u64)) };
    // A store that is as old as the backup, one with another leaf, one that fails.
    let short =
        |first: u64, most: usize| -> Held { Ok(leaves(first, (first + most as u64).min(650))) };
    let error = Sequencer::rebuild(disk.clone(), place(), None, short).unwrap_err();
    assert!(matches!(error, RebuildError::Lacking { held: 650, wanted: 700 }), "{error}");
    let other = |first: u64, most: usize| -> Held {
        let mut all = leaves(first, first + most as u64);
        *all.last_mut().unwrap() = leaf(9_999);
        Ok(all)
    };
    let error = Sequencer::rebuild(disk.clone(), place(), None, other).unwrap_err();
    assert!(matches!(error, RebuildError::Root { size: 700, .. }), "{error}");
    let broken = |_: u64, _: usize| -> Held { Err(io::ErrorKind::BrokenPipe.into()) };
    let error = Sequencer::rebuild(disk.clone(), place(), None, broken).unwrap_err();
    assert!(matches!(error, RebuildError::Store(_)), "{error}");
    assert_eq!(disk.files(), before, "nothing is written before the root is right");
    let log = Sequencer::rebuild(disk.clone(), place(), None, store).unwrap();
    assert_eq!(log.checkpoint(), Some(&newest));
    let log = log.append(700, &leaves(700, 701)).unwrap();
    assert_eq!(log.checkpoint().unwrap().checkpoint().root, other_root(&other_tree(701)));
}

#[test]
fn a_damaged_folder_is_rebuilt_from_its_beginning() {
    let disk = model();
    let log = grown(&disk, &[700]);
    let whole = disk.files();
    let edge = log.folder().place(Resource::Hashes(Tile::new(0, 2, 188).unwrap()));
    drop(log);
    disk.tamper(&edge, |bytes| bytes[0] ^= 1);
    let error = refused(&disk, place());
    assert!(matches!(error, OpenError::Folder(FolderError::Edge { size: 700, .. })), "{error}");
    let store = |first: u64, most: usize| -> Result<_, io::Error> {
        Ok(leaves(first, first + most as u64))
    };
    drop(Sequencer::rebuild(disk.clone(), place(), None, store).unwrap());
    assert_eq!(disk.files(), whole);
}

#[test]
fn a_file_lost_in_the_midst_is_written_again() {
    let disk = model();
    let log = grown(&disk, &[700]);
    let whole = disk.files();
    let lost = [
        log.folder().place(Resource::Hashes(Tile::new(0, 0, 256).unwrap())),
        log.folder().place(Resource::Entries(Tile::new(0, 1, 256).unwrap())),
    ];
    drop(log);
    let store = |first: u64, most: usize| -> Result<_, io::Error> {
        Ok(leaves(first, first + most as u64))
    };
    for path in lost {
        disk.lose(&path);
        drop(open(&disk).unwrap());
        drop(Sequencer::rebuild(disk.clone(), place(), None, store).unwrap());
        assert_eq!(disk.files(), whole);
    }
}

#[test]
fn a_witness_that_knows_more_or_else_stops_the_start() {
    let disk = model();
    let log = grown(&disk, &[100, 300]);
    let head = log.checkpoint().unwrap().checkpoint().clone();
    drop(log);
    let asked = |size, root| {
        let claim = Claim { by: "witness `w1`".into(), size, root };
        Setup { claims: vec![claim], ..place() }
    };
    for right in
        [(0, None), (300, None), (300, Some(head.root)), (100, Some(other_root(&other_tree(100))))]
    {
        Sequencer::open(disk.clone(), asked(right.0, right.1)).unwrap();
    }
    let error = refused(&disk, asked(301, None));
    assert!(matches!(error, OpenError::Behind { ours: 300, theirs: 301, .. }), "{error}");
    let error = refused(&disk, asked(100, Some(head.root)));
    assert_eq!(
        error.to_string(),
        "witness `w1` knows another tree of `loa.example.vn/log/2027` at 100 leaves"
    );
    assert!(error.hint().contains("evidence"));
}

#[test]
fn a_missing_head_file_needs_an_operators_word() {
    let disk = model();
    drop(grown(&disk, &[100]));
    disk.lose(Path::new("/heads/2027.head"));
    let error = refused(&disk, place());
    assert!(matches!(error, OpenError::HeadMissing { size: 100, .. }), "{error}");
    let adopting = Setup { adopt: Adopt::AsItStands, ..place() };
    drop(Sequencer::open(disk.clone(), adopting).unwrap());
    let log = open(&disk).unwrap();
    assert_eq!(log.append(100, &leaves(100, 101)).unwrap().size(), 101);
}

#[test]
fn a_head_file_behind_the_checkpoint_is_brought_up_and_a_foreign_one_refused() {
    let disk = model();
    let log = grown(&disk, &[100]);
    let old = disk.files()[Path::new("/heads/2027.head")].clone();
    drop(log.append(100, &leaves(100, 200)).unwrap());
    let path = Path::new("/heads/2027.head");
    disk.tamper(path, |bytes| *bytes = old);
    let log = open(&disk).unwrap();
    let log = log.append(200, &leaves(200, 201)).unwrap();
    assert_eq!(log.size(), 201);
    drop(log);
    let right = disk.files()[path].clone();
    let text = String::from_utf8(right).unwrap();
    disk.tamper(path, |bytes| *bytes = text.replace("2027", "2026").into_bytes());
    assert!(matches!(refused(&disk, place()), OpenError::HeadForeign { .. }));
    let root = other_root(&other_tree(7)).to_string();
    let own = text.lines().nth(2).unwrap();
    disk.tamper(path, |bytes| *bytes = text.replace(own, &root).into_bytes());
    assert!(matches!(refused(&disk, place()), OpenError::Forked { size: 201, .. }));
    disk.tamper(path, |bytes| bytes.truncate(30));
    assert!(matches!(refused(&disk, place()), OpenError::Head(_)));
}

#[test]
fn somebody_else_who_signs_meanwhile_is_noticed() {
    let disk = model();
    let log = grown(&disk, &[100]);
    let other = open(&disk).unwrap();
    drop(other.append(100, &leaves(100, 150)).unwrap());
    let error = log.append(100, &leaves(100, 120)).unwrap_err();
    assert!(matches!(error, AppendError::Overtaken { size: 100, found: 150 }), "{error}");
}

#[test]
fn a_file_in_the_way_is_not_overwritten() {
    let disk = model();
    let log = grown(&disk, &[100]);
    let path = log.folder().place(Resource::Entries(Tile::new(0, 0, 110).unwrap()));
    disk.write(&path, b"another program's").unwrap();
    let error = log.append(100, &leaves(100, 110)).unwrap_err();
    assert!(matches!(error, AppendError::Planted { size: 100, .. }), "{error}");
    let log = open(&disk).unwrap();
    disk.write(&path, &vec![0; 100_000]).unwrap();
    let error = log.append(100, &leaves(100, 110)).unwrap_err();
    assert!(matches!(error, AppendError::Planted { size: 100, .. }), "{error}");
    let log = open(&disk).unwrap();
    assert_eq!(log.append(100, &leaves(100, 111)).unwrap().size(), 111);
}

#[test]
fn a_checkpoint_that_another_key_signed_is_not_believed() {
    let disk = model();
    drop(grown(&disk, &[100]));
    let other = Setup { signers: vec![signer(7)], ..place() };
    assert!(matches!(refused(&disk, other), OpenError::Folder(FolderError::Checkpoint { .. })));
    assert!(matches!(
        refused(&disk, Setup { signers: vec![], ..place() }),
        OpenError::NoKey { .. }
    ));
    let inside = Setup { head_file: "/data/2027/head".into(), ..place() };
    let disk = disk.with_folder(Path::new("/data/2027"));
    assert!(matches!(refused(&disk, inside), OpenError::Head(_)));
}

#[test]
fn no_damage_to_any_file_is_signed_over() {
    let disk = model();
    drop(grown(&disk, &[100, 513]));
    let whole = disk.files();
    let mut draw = Draw(11);
    let mut refusals = 0;
    for (path, bytes) in &whole {
        for _ in 0..12 {
            let at = usize::try_from(draw.below(bytes.len() as u64)).unwrap();
            let bit = 1 << draw.below(8);
            disk.tamper(path, |bytes| bytes[at] ^= bit);
            // Refused, or of no consequence for what is signed next.
            match open(&disk).map(|log| log.append(513, &leaves(513, 515)).unwrap()) {
                Ok(log) => {
                    let root = log.checkpoint().unwrap().checkpoint().root;
                    assert_eq!(root, other_root(&other_tree(515)), "{}", path.display());
                }
                Err(_) => refusals += 1,
            }
            for (path, bytes) in &whole {
                disk.write(path, bytes).unwrap();
            }
            for path in disk.files().keys().filter(|path| !whole.contains_key(*path)) {
                disk.lose(path);
            }
        }
    }
    assert!(refusals > 20, "{refusals}");
}

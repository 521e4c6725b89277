//! Cuts of power at every step, on a disk that loses what was not synced.

use super::*;
use crate::log::head::HeadError;
use crate::log::testing::Draw;
use crate::wire::tlog::TreeHash;

/// Heads that anybody may have seen: they must all be on one line, and none may be lost.
#[derive(Default)]
struct Seen {
    size: u64,
}

impl Seen {
    fn look(&mut self, disk: &ModelDisk, roots: &[TreeHash]) {
        let Some(bytes) = disk.files().remove(Path::new("/data/2027/checkpoint")) else { return };
        let signed =
            SignedCheckpoint::open(&bytes, &origin(), &[signer(1).verifier().clone()]).unwrap();
        let head = signed.checkpoint();
        assert_eq!(head.root, roots[usize::try_from(head.size).unwrap()], "a fork");
        assert!(head.size >= self.size, "{} leaves were published, now {}", self.size, head.size);
        self.size = head.size;
    }
}

fn roots(to: u64) -> Vec<TreeHash> {
    let mut other = other_tree(0);
    let mut roots = vec![TreeHash::EMPTY];
    for index in 0..to {
        other.push(leaf(index).bytes().to_vec());
        roots.push(other_root(&other));
    }
    roots
}

/// Appends until `to`, in batches drawn by chance, with the power going again and again.
fn ordeal(to: u64, seed: u64) -> u32 {
    let mut draw = Draw(seed);
    let roots = roots(to);
    let mut disk = model();
    let mut seen = Seen::default();
    let mut cuts = 0;
    loop {
        if draw.below(8) > 0 {
            disk.cut_after(draw.below(60));
        }
        let mut log = open(&disk);
        let ended = loop {
            seen.look(&disk, &roots);
            let going = match log {
                Ok(going) => going,
                Err(OpenError::Disk(_) | OpenError::Head(HeadError::Disk(_))) => break false,
                Err(error) => panic!("{error}"),
            };
            assert!(going.size() >= seen.size, "what was published is known after a start");
            if going.size() == to {
                break true;
            }
            let from = going.size();
            let more = [1, 3, 40, 300, 600][usize::try_from(draw.below(5)).unwrap()];
            log = match going.append(from, &leaves(from, (from + more).min(to))) {
                Ok(log) => {
                    let size = log.size();
                    seen.look(&disk, &roots);
                    assert_eq!(seen.size, size, "a round that returned is published");
                    Ok(log)
                }
                Err(AppendError::Disk(_) | AppendError::Head(_)) => break false,
                Err(error) => panic!("{error}"),
            };
        };
        if ended {
            break;
        }
        seen.look(&disk, &roots);
        disk = disk.after_cut(&mut draw);
        cuts += 1;
        assert!(cuts < 1_000, "it comes to no end");
    }
    // Nothing is left over but what a log without any cut has.
    let calm = model();
    drop(grown(&calm, &[to]));
    drop(open(&disk).unwrap());
    let kept = |disk: &ModelDisk| {
        let mut files = disk.files();
        files.retain(|path, _| is_whole(path));
        files
    };
    assert_eq!(kept(&disk), kept(&calm));
    cuts
}

#[test]
fn cuts_of_power_again_and_again_neither_fork_nor_lose() {
    let cuts: u32 = (0..40).map(|seed| ordeal(700 + seed * 31, seed)).sum();
    assert!(cuts > 100, "{cuts}");
}

#[test]
fn each_single_step_of_a_round_may_be_the_last() {
    let roots = roots(530);
    let calm = model();
    let log = grown(&calm, &[250]);
    let before = calm.taken();
    drop(log.append(250, &leaves(250, 530)).unwrap());
    let steps = calm.taken() - before;
    assert!(steps > 30, "{steps}");
    for step in 0..steps {
        for chance in 0..6 {
            let disk = model();
            let log = grown(&disk, &[250]);
            disk.cut_after(step);
            let first = log.append(250, &leaves(250, 530));
            let mut seen = Seen::default();
            seen.look(&disk, &roots);
            assert!(first.is_err() || seen.size == 530);
            let disk = disk.after_cut(&mut Draw(step * 7 + chance));
            let log = open(&disk).unwrap();
            assert!([250, 530].contains(&log.size()) && log.size() >= seen.size);
            seen.look(&disk, &roots);
            assert_eq!(seen.size, log.size(), "a round that was begun is finished at the start");
            let from = log.size();
            let log = log.append(from, &leaves(from, 530)).unwrap();
            assert_eq!(log.checkpoint().unwrap().checkpoint().root, roots[530]);
        }
    }
}

#[test]
fn a_round_that_a_killed_process_began_is_made_durable_by_the_next() {
    let roots = roots(530);
    for step in 0..40 {
        for chance in 0..6 {
            let disk = model();
            let log = grown(&disk, &[250]);
            // The process dies, the machine goes on: nothing is lost yet, nothing is synced either.
            disk.cut_after(step);
            let _ = log.append(250, &leaves(250, 530));
            disk.go_on();
            let log = open(&disk).unwrap();
            let from = log.size();
            drop(log.append(from, &leaves(from, 530)).unwrap());
            // Now the power goes: what was published must be there.
            let after = disk.after_cut(&mut Draw(step * 13 + chance));
            let log = open(&after).unwrap();
            assert_eq!(log.size(), 530, "killed at step {step}");
            let head = log.checkpoint().unwrap().checkpoint().clone();
            assert_eq!(head.root, roots[530]);
            let prover = Prover::new(log.folder(), 530, head.root);
            (0..530).step_by(11).for_each(|index| drop(prover.inclusion(index).unwrap()));
            assert_eq!(log.folder().entry(255, 530).unwrap(), leaf(255).bytes());
        }
    }
}

#[test]
fn rebuilding_may_be_cut_off_anywhere_and_begun_again() {
    let lost = model();
    let log = grown(&lost, &[100, 250]);
    let backup = lost.copy();
    drop(log.append(250, &leaves(250, 900)).unwrap());
    let whole = lost.files();
    let store = |first: u64, most: usize| -> Result<_, std::io::Error> {
        Ok(leaves(first, first + most as u64))
    };
    lost.restore(&backup, Path::new("/data"));
    for step in 0..60 {
        let disk = lost.copy();
        disk.cut_after(step);
        let first = Sequencer::rebuild(disk.clone(), place(), None, store);
        let first = first.map(|log| log.size()).ok();
        let disk = disk.after_cut(&mut Draw(step));
        let log = match open(&disk) {
            Ok(log) => log,
            Err(OpenError::Behind { .. }) => {
                assert_eq!(first, None, "what was rebuilt is there");
                Sequencer::rebuild(disk.clone(), place(), None, store).unwrap()
            }
            Err(error) => panic!("{error}"),
        };
        assert_eq!(log.size(), 900, "cut at step {step}");
        drop(log);
        let kept = |mut files: std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>| {
            files.retain(|path, _| is_whole(path));
            files
        };
        let (rebuilt, whole) = (kept(disk.files()), kept(whole.clone()));
        assert!(rebuilt.keys().eq(whole.keys()), "cut at step {step}: {:?}", rebuilt.keys());
        for (path, bytes) in whole {
            assert!(rebuilt[&path] == bytes, "cut at step {step}: {}", path.display());
        }
    }
}

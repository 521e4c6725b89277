//! Tests of collecting cosignatures, with witnesses of our own at the other end.

use super::*;
use crate::log::disk::Disk;
use crate::log::folder::Folder;
use crate::log::prove::Prover;
use crate::log::sequencer::Sequencer;
use crate::log::testing::{ModelDisk, cosigner, leaves, origin, setup, signer};
use crate::log::witness::{Answer, Memory, Witness, WitnessedLog};
use crate::wire::tlog::Cosigner;
use proptest::prelude::*;
use std::fmt::Write as _;
use std::path::Path;

const NOW: u64 = 1_800_000_000;

fn witnesses() -> Vec<Cosigner> {
    (1..=3).map(|n| cosigner(&format!("witness.example/w{n}"), 10 + n)).collect()
}

fn policy() -> Policy {
    let mut text = format!("log {}\n", signer(1).verifier());
    for (n, witness) in (1..).zip(witnesses()) {
        writeln!(text, "witness w{n} {} https://w{n}.example/", witness.verifier()).unwrap();
    }
    Policy::parse((text + "group two 2 w1 w2 w3\nquorum two\n").as_bytes()).unwrap()
}

fn disk() -> ModelDisk {
    ["/data", "/heads", "/"].iter().fold(ModelDisk::default(), |d, f| d.with_folder(Path::new(f)))
}

fn log(disk: &ModelDisk, size: u64) -> Sequencer<ModelDisk> {
    let setup = setup(Path::new("/data"), Path::new("/heads"));
    let log = Sequencer::open(disk.clone(), setup).unwrap();
    let from = log.size();
    log.append(from, &leaves(from, size)).unwrap()
}

fn running() -> Vec<Witness<ModelDisk>> {
    let watched = || WitnessedLog { origin: origin(), keys: vec![signer(1).verifier().clone()] };
    let open = |cosigner| {
        Witness::open(disk(), Path::new("/w"), cosigner, vec![watched()], Memory::Begin).unwrap()
    };
    witnesses().into_iter().map(open).collect()
}

fn body<D: Disk>(collection: &Collection, folder: &Folder<D>, ask: Ask) -> String {
    let head = collection.checkpoint().checkpoint().clone();
    let (_, proof) = Prover::new(folder, head.size, head.root).consistency(ask.old).unwrap();
    collection.body(ask, proof)
}

fn refused(status: u16, text: &str) -> Answer {
    Answer { status, content_type: "text/plain", body: text.to_owned() }
}

#[test]
fn cosignatures_are_collected_until_the_policy_is_met_and_all_were_asked() {
    let (disk, policy) = (disk(), policy());
    let mut witnesses = running();
    let mut log = log(&disk, 10);
    let mut known = [0_u64; 3];
    for (size, absent) in [(10, None), (300, Some(1)), (301, Some(0)), (302, None)] {
        let from = log.size();
        log = log.append(from, &leaves(from, size)).unwrap();
        let newest = log.checkpoint().unwrap().clone();
        // The log believes the second witness at a wrong size: its answer puts that right.
        let sizes = |at: usize| if at == 1 { 0 } else { known[at] };
        let mut collection = Collection::new(&newest, &policy, sizes).unwrap();
        assert_eq!(collection.standing(&policy), Standing::Lacking);
        while !collection.is_over() {
            for ask in collection.asks() {
                if absent == Some(ask.witness) {
                    collection.silent(ask);
                    continue;
                }
                let body = body(&collection, log.folder(), ask);
                let answer = witnesses[ask.witness].add_checkpoint(body.as_bytes(), NOW).unwrap();
                collection.answer(&policy, ask, answer.status, answer.body.as_bytes(), NOW);
            }
        }
        assert_eq!(collection.standing(&policy), Standing::Met { time_s: NOW });
        let cosigned = collection.checkpoint();
        let verdict = collection.verdict(&policy).unwrap();
        let there: Vec<usize> = verdict.witnessed.iter().map(|w| w.witness).collect();
        assert_eq!(there, (0..3).filter(|at| absent != Some(*at)).collect::<Vec<_>>());
        for (at, talk) in collection.talks().enumerate() {
            match talk {
                Talk::Cosigned { .. } => known[at] = size,
                Talk::Over { why } => assert_eq!((why, Some(at)), (&Trouble::Silent, absent)),
                Talk::Open { .. } => panic!("not asked"),
            }
        }
        log = log.publish_cosigned(cosigned.clone()).unwrap();
        // Taken up again, what is there counts and only the absent one is asked.
        let again = Collection::new(&cosigned, &policy, |_| 0).unwrap();
        let asks: Vec<usize> = again.asks().iter().map(|ask| ask.witness).collect();
        assert_eq!(asks, absent.into_iter().collect::<Vec<_>>());
        assert_eq!(again.checkpoint(), cosigned, "the same bytes");
    }
}

#[test]
fn a_fork_is_reported_by_the_witnesses_as_an_alarm() {
    let policy = policy();
    let mut witnesses = running();
    let true_log = log(&disk(), 300);
    // Restored from a backup and led on with other leaves: same key, another tree.
    let other_disk = disk();
    let other = log(&other_disk, 100).append(100, &leaves(5_000, 5_300)).unwrap();
    for (log, size) in [(&true_log, 0), (&other, 300)] {
        let newest = log.checkpoint().unwrap().clone();
        let mut collection = Collection::new(&newest, &policy, |_| size).unwrap();
        for ask in collection.asks() {
            let body = body(&collection, log.folder(), ask);
            let answer = witnesses[ask.witness].add_checkpoint(body.as_bytes(), NOW).unwrap();
            collection.answer(&policy, ask, answer.status, answer.body.as_bytes(), NOW);
        }
        let alarms = collection.talks().filter(|talk| {
            matches!(talk, Talk::Over { why: Trouble::Contradiction { status: 422 } })
        });
        let (alarms, standing) = (alarms.count(), collection.standing(&policy));
        if size == 0 {
            assert_eq!((alarms, standing), (0, Standing::Met { time_s: NOW }));
        } else {
            assert_eq!((alarms, standing), (3, Standing::Lacking));
            assert!(collection.is_over());
        }
    }
    assert!(Trouble::Contradiction { status: 422 }.is_alarm());
}

#[test]
fn each_answer_means_what_the_protocol_says() {
    let policy = policy();
    let newest = log(&disk(), 10).checkpoint().unwrap().clone();
    let text = newest.note().text().to_owned();
    let right = |seed: usize, time| format!("{}\n", witnesses()[seed].sign(time, &text));
    let cases = [
        (refused(200, &right(0, NOW)), Talk::Cosigned { time_s: NOW }),
        (refused(200, &right(0, NOW + AHEAD_S)), Talk::Cosigned { time_s: NOW + AHEAD_S }),
        (
            refused(200, &right(0, NOW + AHEAD_S + 1)),
            Talk::Over { why: Trouble::Clock { time_s: NOW + AHEAD_S + 1 } },
        ),
        // Another witness's line, another text's, none, too much.
        (refused(200, &right(1, NOW)), Talk::Over { why: Trouble::Answer { status: 200 } }),
        (
            refused(200, &format!("{}\n", witnesses()[0].sign(NOW, "other\n1\n2\n"))),
            Talk::Over { why: Trouble::Answer { status: 200 } },
        ),
        (refused(200, ""), Talk::Over { why: Trouble::Answer { status: 200 } }),
        (
            refused(200, &right(0, NOW).repeat(2_000)),
            Talk::Over { why: Trouble::Answer { status: 200 } },
        ),
        (refused(409, "7\n"), Talk::Open { old: 7 }),
        (refused(409, "10\n"), Talk::Open { old: 10 }),
        (refused(409, "3\n"), Talk::Over { why: Trouble::Contradiction { status: 409 } }),
        (refused(409, "11\n"), Talk::Over { why: Trouble::Ahead { known: 11, ours: 10 } }),
        (refused(409, "7"), Talk::Over { why: Trouble::Answer { status: 409 } }),
        (refused(409, "07\n"), Talk::Over { why: Trouble::Answer { status: 409 } }),
        (refused(422, ""), Talk::Over { why: Trouble::Contradiction { status: 422 } }),
        (refused(404, ""), Talk::Over { why: Trouble::Stranger { status: 404 } }),
        (refused(403, ""), Talk::Over { why: Trouble::Stranger { status: 403 } }),
        (refused(503, ""), Talk::Open { old: 3 }),
        (refused(429, ""), Talk::Open { old: 3 }),
        (refused(301, ""), Talk::Over { why: Trouble::Answer { status: 301 } }),
    ];
    for (answer, expected) in cases {
        let mut collection = Collection::new(&newest, &policy, |_| 3).unwrap();
        let ask = collection.asks()[0];
        assert_eq!(ask, Ask { witness: 0, old: 3 });
        collection.answer(&policy, ask, answer.status, answer.body.as_bytes(), NOW);
        assert_eq!(collection.talks().next(), Some(&expected), "{answer:?}");
    }
}

#[test]
fn a_witness_that_goes_round_in_circles_is_given_up() {
    let policy = policy();
    let newest = log(&disk(), 10).checkpoint().unwrap().clone();
    let mut collection = Collection::new(&newest, &policy, |_| 3).unwrap();
    for turn in 0..TRIES {
        let ask = collection.asks()[0];
        let size = if ask.old == 3 { "4\n" } else { "3\n" };
        collection.answer(&policy, ask, 409, size.as_bytes(), NOW);
        let over = matches!(collection.talks().next(), Some(Talk::Over { why: Trouble::Silent }));
        assert_eq!(over, turn + 1 == TRIES);
    }
}

proptest! {
    #[test]
    fn no_answer_panics_or_counts(status in 100_u16..600, body: Vec<u8>) {
        let policy = policy();
        let newest = log(&disk(), 3).checkpoint().unwrap().clone();
        let mut collection = Collection::new(&newest, &policy, |_| 0).unwrap();
        for ask in collection.asks() {
            collection.answer(&policy, ask, status, &body, NOW);
        }
        prop_assert_eq!(collection.checkpoint(), newest);
        prop_assert_eq!(collection.standing(&policy), Standing::Lacking);
    }
}

//! Tests of the witness.

use super::*;
use crate::log::prove::Prover;
use crate::log::sequencer::Sequencer;
use crate::log::testing::{Draw, ModelDisk, cosigner, leaves, name, origin, setup, signer};
use crate::wire::jws::SecretKey;
use crate::wire::tlog::{
    AddCheckpoint, Checkpoint, LogSigner, Name, SignedCheckpoint, TreeHash, parse_lines,
};
use std::path::Path;

const NOW: u64 = 1_800_000_000;

fn disk() -> ModelDisk {
    ["/data", "/heads", "/"].iter().fold(ModelDisk::default(), |d, f| d.with_folder(Path::new(f)))
}

fn logs() -> Vec<WitnessedLog> {
    vec![WitnessedLog { origin: origin(), keys: vec![signer(1).verifier().clone()] }]
}

fn begin(disk: &ModelDisk, memory: Memory) -> Result<Witness<ModelDisk>, WitnessError> {
    let cosigner = cosigner("witness.example/w1", 9);
    Witness::open(disk.clone(), Path::new("/w"), cosigner, logs(), memory)
}

/// Checkpoints of a log at these sizes, each with the proof from the one before (or from 0).
fn requests(sizes: &[u64]) -> Vec<AddCheckpoint> {
    let mut log = Sequencer::open(disk(), setup(Path::new("/data"), Path::new("/heads"))).unwrap();
    let mut old = 0;
    let mut made = Vec::new();
    for size in sizes {
        let from = log.size();
        log = log.append(from, &leaves(from, *size)).unwrap();
        let checkpoint = log.checkpoint().unwrap().clone();
        let root = checkpoint.checkpoint().root;
        let (_, proof) = Prover::new(log.folder(), *size, root).consistency(old).unwrap();
        made.push(AddCheckpoint { old, proof, checkpoint });
        old = *size;
    }
    made
}

fn ask(witness: &mut Witness<ModelDisk>, request: &AddCheckpoint, now: u64) -> Answer {
    witness.add_checkpoint(request.to_string().as_bytes(), now).unwrap()
}

#[test]
fn honest_growth_is_cosigned_and_remembered() {
    let disk = disk();
    let requests = requests(&[5, 300, 300, 777]);
    let mut witness = begin(&disk, Memory::Begin).unwrap();
    for (at, request) in requests.iter().enumerate() {
        let now = NOW + at as u64;
        let answer = ask(&mut witness, request, now);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let lines = parse_lines(&answer.body).unwrap();
        let [line] = &lines[..] else { panic!("{lines:?}") };
        let signed = witness.verifier().check(request.checkpoint.note().text(), line).unwrap();
        assert_eq!(signed.time_s, Some(now));
        // The same again, after a start: the size is known, so the proof is from itself.
        witness = {
            drop(witness);
            begin(&disk, Memory::GoOn).unwrap()
        };
        let newest = witness.newest(&origin()).unwrap();
        assert_eq!(newest.checkpoint(), request.checkpoint.checkpoint());
        assert_eq!(newest.note().lines().len(), 2, "the log's line and ours");
    }
}

#[test]
fn what_the_specification_refuses_is_refused_with_its_status() {
    let disk = disk();
    let made = requests(&[5, 300, 777]);
    let mut witness = begin(&disk, Memory::Begin).unwrap();
    let mut status = |request: &AddCheckpoint| ask(&mut witness, request, NOW).status;
    // 404: an unknown log; 403: not signed by it; 400: backwards and unreadable.
    let tree = Checkpoint { origin: name("other"), size: 5, root: TreeHash::EMPTY };
    let unknown = AddCheckpoint { checkpoint: tree.sign(&[signer(1)]), ..made[0].clone() };
    assert_eq!(status(&unknown), 404);
    let forged = made[0].checkpoint.checkpoint().sign(&[signer(2)]);
    assert_eq!(status(&AddCheckpoint { checkpoint: forged, ..made[0].clone() }), 403);
    assert_eq!(status(&AddCheckpoint { old: 6, ..made[0].clone() }), 400);
    // 422: a first checkpoint with a proof.
    let proof = vec![TreeHash::EMPTY];
    assert_eq!(status(&AddCheckpoint { proof, ..made[0].clone() }), 422);
    assert_eq!(status(&made[0]), 200);
    // 409 with the known size: the old size is not that.
    assert_eq!(status(&made[2]), 409);
    assert_eq!(status(&AddCheckpoint { old: 0, proof: vec![], ..made[1].clone() }), 409);
    // 422: growth that is not proven.
    let mut wrong = made[1].clone();
    wrong.proof[0].0[0] ^= 1;
    assert_eq!(status(&wrong), 422);
    assert_eq!(status(&made[1]), 200);
    let answer = ask(&mut witness, &made[0], NOW);
    assert_eq!(
        (answer.status, answer.content_type, answer.body.as_str()),
        (409, "text/x.tlog.size", "300\n")
    );
    let garbage = witness.add_checkpoint(b"old x\n", NOW).unwrap();
    assert_eq!(garbage.status, 400);
}

#[test]
fn a_fork_signed_with_the_logs_own_key_is_refused_and_kept_as_evidence() {
    let disk = disk();
    let made = requests(&[5, 300, 777]);
    let mut witness = begin(&disk, Memory::Begin).unwrap();
    assert_eq!(ask(&mut witness, &made[0], NOW).status, 200);
    assert_eq!(ask(&mut witness, &made[1], NOW).status, 200);
    let kept = |disk: &ModelDisk| {
        disk.files().keys().filter(|p| p.starts_with("/w/contradictions")).count()
    };
    assert_eq!(kept(&disk), 0);
    // Another tree of the same size, and a larger one that does not continue ours.
    let other =
        Checkpoint { root: TreeHash::leaf(b"x"), ..made[1].checkpoint.checkpoint().clone() };
    let same_size =
        |old| AddCheckpoint { old, proof: vec![], checkpoint: other.sign(&[signer(1)]) };
    for old in [300, 5, 300] {
        let answer = ask(&mut witness, &same_size(old), NOW);
        assert_eq!((answer.status, answer.body.as_str()), (409, "300\n"));
    }
    let larger = Checkpoint { size: 777, ..other.clone() };
    let larger = AddCheckpoint { checkpoint: larger.sign(&[signer(1)]), ..made[2].clone() };
    for _ in 0..2 {
        assert_eq!(ask(&mut witness, &larger, NOW).status, 422);
    }
    assert_eq!(kept(&disk), 2, "each once");
    assert_eq!(witness.newest(&origin()).unwrap().checkpoint().size, 300);
    assert_eq!(ask(&mut witness, &made[2], NOW).status, 200, "honest growth goes on");
}

#[test]
fn evidence_is_bounded() {
    let disk = disk();
    let made = requests(&[5]);
    let mut witness = begin(&disk, Memory::Begin).unwrap();
    ask(&mut witness, &made[0], NOW);
    for n in 0..300_u32 {
        let root = TreeHash::leaf(&n.to_be_bytes());
        let tree = Checkpoint { root, ..made[0].checkpoint.checkpoint().clone() };
        let fork = AddCheckpoint { old: 5, proof: vec![], checkpoint: tree.sign(&[signer(1)]) };
        assert_eq!(ask(&mut witness, &fork, NOW).status, 409);
    }
    let kept = disk.files().keys().filter(|p| p.starts_with("/w/contradictions")).count();
    assert_eq!(kept, 256);
}

#[test]
fn a_stranger_with_wrong_proofs_does_not_fill_the_room_for_evidence() {
    let disk = disk();
    let made = requests(&[5, 300]);
    let mut witness = begin(&disk, Memory::Begin).unwrap();
    ask(&mut witness, &made[0], NOW);
    let kept = |disk: &ModelDisk| {
        disk.files().keys().filter(|p| p.starts_with("/w/contradictions")).count()
    };
    // The checkpoint is public; anybody may send it with a proof of his own making.
    for n in 0..300_u32 {
        let proof = vec![TreeHash::leaf(&n.to_be_bytes())];
        assert_eq!(ask(&mut witness, &AddCheckpoint { proof, ..made[1].clone() }, NOW).status, 422);
    }
    assert_eq!(kept(&disk), 1);
    assert_eq!(ask(&mut witness, &made[1], NOW).status, 200);
    assert_eq!(kept(&disk), 0, "it was honest");
}

#[test]
fn time_never_goes_back() {
    let disk = disk();
    let made = requests(&[5, 300]);
    let mut witness = begin(&disk, Memory::Begin).unwrap();
    assert_eq!(ask(&mut witness, &made[0], NOW).status, 200);
    drop(witness);
    let mut witness = begin(&disk, Memory::GoOn).unwrap();
    assert_eq!(ask(&mut witness, &made[1], NOW - 1).status, 503);
    assert_eq!(ask(&mut witness, &made[1], NOW).status, 200);
}

#[test]
fn a_witness_that_forgot_or_remembers_something_foreign_does_not_start() {
    let disk = disk();
    assert!(matches!(begin(&disk, Memory::GoOn), Err(WitnessError::Forgot { .. })));
    let mut witness = begin(&disk, Memory::Begin).unwrap();
    ask(&mut witness, &requests(&[5])[0], NOW);
    drop(witness);
    assert!(matches!(begin(&disk, Memory::Begin), Err(WitnessError::Remembers { .. })));
    let other = Witness::open(
        disk.clone(),
        Path::new("/w"),
        cosigner("witness.example/w1", 10),
        logs(),
        Memory::GoOn,
    );
    assert!(matches!(other, Err(WitnessError::Foreign { .. })));
    let is_memory = |path: &&std::path::PathBuf| path.to_str().unwrap().len() > 60;
    let memory = disk.files().into_keys().find(|path| is_memory(&path)).unwrap();
    let whole = disk.files()[&memory].clone();
    let mut draw = Draw(3);
    for at in 0..whole.len() {
        disk.tamper(&memory, |bytes| bytes[at] ^= 1 << draw.below(8));
        let opened = begin(&disk, Memory::GoOn);
        // The log's own signature is not needed any more; all that we vouched for is.
        let size = opened.map(|w| w.newest(&origin()).map(|signed| signed.checkpoint().clone()));
        let right = SignedCheckpoint::parse(&whole).unwrap().checkpoint().clone();
        assert!(size.is_err() || size.is_ok_and(|found| found == Some(right)), "byte {at}");
        disk.tamper(&memory, |bytes| bytes.clone_from(&whole));
    }
    let mut twice = logs();
    twice.extend(logs());
    let open = |logs| {
        Witness::open(
            disk.clone(),
            Path::new("/w"),
            cosigner("witness.example/w1", 9),
            logs,
            Memory::GoOn,
        )
    };
    assert!(matches!(open(twice), Err(WitnessError::Twice { .. })));
    let own =
        vec![WitnessedLog { origin: name("x"), keys: vec![cosigner("x", 9).verifier().clone()] }];
    assert!(matches!(open(own), Err(WitnessError::OwnKey { .. })));
}

#[test]
fn nothing_is_cosigned_that_a_cut_of_power_could_make_forgotten() {
    let made = requests(&[5, 300]);
    for step in 0..12 {
        for chance in 0..8 {
            let disk = disk();
            let mut witness = begin(&disk, Memory::Begin).unwrap();
            assert_eq!(ask(&mut witness, &made[0], NOW).status, 200);
            disk.cut_after(step);
            let answer = witness.add_checkpoint(made[1].to_string().as_bytes(), NOW);
            drop(witness);
            let after = disk.after_cut(&mut Draw(step * 31 + chance));
            let witness = begin(&after, Memory::GoOn).unwrap();
            let known = witness.newest(&origin()).unwrap().checkpoint().size;
            match answer {
                Ok(answer) => assert_eq!((answer.status, known), (200, 300)),
                Err(_) => assert!([5, 300].contains(&known)),
            }
        }
    }
}

#[test]
fn a_log_that_names_shards_without_end_fills_no_disk() {
    let disk = disk();
    let keys = vec![signer(1).verifier().clone()];
    let other = name("other.example/log");
    let of_other = LogSigner::new(other.clone(), SecretKey::from_seed(&[7; 32]));
    let logs = || {
        let other = WitnessedLog { origin: other.clone(), keys: vec![of_other.verifier().clone()] };
        vec![WitnessedLog { origin: origin(), keys: keys.clone() }, other]
    };
    let open = |memory| {
        let cosigner = cosigner("witness.example/w1", 9);
        Witness::open(disk.clone(), Path::new("/w"), cosigner, logs(), memory).unwrap()
    };
    let first = |base: &Name, seed: u8, shard: String| {
        let origin = Name::new(format!("{base}/{shard}")).unwrap();
        let signer = LogSigner::new(origin.clone(), SecretKey::from_seed(&[seed; 32]));
        let checkpoint = Checkpoint { origin, size: 0, root: TreeHash::EMPTY }.sign(&[signer]);
        AddCheckpoint { old: 0, proof: Vec::new(), checkpoint }
    };
    let mut witness = open(Memory::Begin);
    let mut cosigned = 0;
    for n in 2..600_u64 {
        if n == 100 {
            drop(witness);
            witness = open(Memory::GoOn);
        }
        let answer = ask(&mut witness, &first(&origin(), 1, format!("2027-{n}")), NOW);
        match answer.status {
            200 => cosigned += 1,
            status => assert!(status == 507 && answer.body.contains("another witness")),
        }
    }
    assert_eq!(cosigned, 256, "over a start as well");
    let known = disk.files().into_keys().filter(|path| path.starts_with("/w")).count();
    assert!(known < 260, "{known} files");
    // What is remembered grows on, and the other log has its own room.
    assert_eq!(ask(&mut witness, &first(&origin(), 1, "2027-2".to_owned()), NOW).status, 200);
    assert_eq!(ask(&mut witness, &first(&other, 7, "2027".to_owned()), NOW).status, 200);
}

#[test]
fn a_log_is_watched_with_its_shards_over_restarts() {
    let base = Name::new("loa.example.vn/log").unwrap();
    let (signer_of, key) = (
        |origin: &str| LogSigner::new(Name::new(origin).unwrap(), SecretKey::from_seed(&[1; 32])),
        LogSigner::new(base.clone(), SecretKey::from_seed(&[1; 32])).verifier().clone(),
    );
    let request = |origin: &str, leaf: &[u8], old: u64| {
        let origin_name = Name::new(origin).unwrap();
        let tree = Checkpoint { origin: origin_name, size: 1, root: TreeHash::leaf(leaf) };
        let checkpoint = tree.sign(&[signer_of(origin)]);
        AddCheckpoint { old, proof: vec![], checkpoint }.to_string()
    };
    let disk = ModelDisk::default().with_folder(Path::new("/w")).with_folder(Path::new("/"));
    let open = |memory| {
        let logs = vec![WitnessedLog { origin: base.clone(), keys: vec![key.clone()] }];
        Witness::open(disk.clone(), Path::new("/w"), cosigner("w", 9), logs, memory).unwrap()
    };
    let mut witness = open(Memory::Begin);
    let status = |witness: &mut Witness<_>, origin: &str, leaf: &[u8], old| {
        witness.add_checkpoint(request(origin, leaf, old).as_bytes(), 1_800_000_000).unwrap().status
    };
    assert_eq!(status(&mut witness, "loa.example.vn/log/2027", b"a", 0), 200);
    assert_eq!(status(&mut witness, "loa.example.vn/log/2027-2", b"b", 0), 200);
    assert_eq!(status(&mut witness, "loa.example.vn/log/2027/x", b"b", 0), 404);
    assert_eq!(status(&mut witness, "loa.example.vn/log-2/2027", b"b", 0), 404);
    drop(witness);
    let mut witness = open(Memory::GoOn);
    assert_eq!(status(&mut witness, "loa.example.vn/log/2027", b"b", 0), 409, "remembered");
    assert_eq!(status(&mut witness, "loa.example.vn/log/2027", b"a", 1), 200);
    let heads = remembered(&disk, Path::new("/w")).unwrap();
    let origins: Vec<_> = heads.iter().map(|head| head.checkpoint().origin.as_str()).collect();
    assert_eq!(origins, ["loa.example.vn/log/2027", "loa.example.vn/log/2027-2"]);
}

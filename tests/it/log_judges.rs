//! Other people's programs judge what this room writes, and it judges what they write:
//! `tlog-scales`, `aics-tlog` and `aics-witness`, in the tests' Python environment.

use loa::domain::time::UtcMs;
use loa::log::collect::{Ask, Collection};
use loa::log::disk::RealDisk;
use loa::log::leaf::{Leaf, ServerBody};
use loa::log::prove::{Prover, proof_file};
use loa::log::sequencer::{Adopt, Sequencer, Setup};
use loa::wire::jws::SecretKey;
use loa::wire::tlog::{
    AddCheckpoint, Checkpoint, Cosigner, LogSigner, Name, Policy, SignedCheckpoint, Standing,
    TreeHash, VerifierKey,
};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SIZE: u64 = 70_000;
const GROWTH: [u64; 4] = [1, 1_000, 66_000, SIZE];

fn origin() -> Name {
    Name::new("loa.example.vn/log/2027").unwrap()
}

fn signer() -> LogSigner {
    LogSigner::new(origin(), SecretKey::from_seed(&[1; 32]))
}

fn witnesses() -> Vec<Cosigner> {
    let cosigner = |n: u8| {
        let name = Name::new(format!("witness.example/w{n}")).unwrap();
        Cosigner::new(name, SecretKey::from_seed(&[10 + n; 32]))
    };
    (1..=2).map(cosigner).collect()
}

fn leaf(index: u64) -> Leaf {
    let at = UtcMs(1_800_000_000_000 + i64::try_from(index).unwrap());
    if index == 0 {
        return Leaf::server(at, &ServerBody::Shard { previous: None }).unwrap();
    }
    let body = "Bản tin ".repeat(usize::try_from(index % 13).unwrap());
    Leaf::record(at, &format!("{index}.{body}.")).unwrap()
}

fn leaves(from: u64, to: u64) -> Vec<Leaf> {
    (from..to).map(leaf).collect()
}

fn open(folder: &Path, name: &str) -> Sequencer<RealDisk> {
    let setup = Setup {
        origin: origin(),
        folder: folder.join(name),
        head_file: folder.join("heads").join(name),
        signers: vec![signer()],
        claims: Vec::new(),
        adopt: Adopt::Refuse,
    };
    Sequencer::open(RealDisk, setup).unwrap()
}

fn request(log: &Sequencer<RealDisk>, old: u64) -> String {
    let checkpoint = log.checkpoint().unwrap().clone();
    let head = checkpoint.checkpoint();
    let (_, proof) = Prover::new(log.folder(), head.size, head.root).consistency(old).unwrap();
    AddCheckpoint { old, proof, checkpoint }.to_string()
}

fn python() -> PathBuf {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
    assert!(python.exists(), "no Python environment: run `make setup`");
    python
}

/// Writes the log with its leaves, proofs and requests, and says what lies where.
fn write(folder: &Path) -> SignedCheckpoint {
    fs::create_dir_all(folder.join("requests")).unwrap();
    let put = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    let mut log = open(folder, "log");
    let mut old = 0;
    for size in GROWTH {
        let first = log.size();
        log = log.append(first, &leaves(first, size)).unwrap();
        put(&format!("requests/grow-{size}"), &request(&log, old));
        old = size;
    }
    put("requests/again", &request(&log, SIZE));
    put("requests/stale", &request(&log, 1_000));
    // The same key, another tree: led on from a backup of 1,000 leaves, with its own true proofs.
    let fork = open(folder, "fork").append(0, &leaves(0, 1_000)).unwrap();
    let fork = fork.append(1_000, &leaves(2_000, 5_000)).unwrap();
    put("requests/fork-early", &request(&fork, 1_000));
    let fork = fork.append(4_000, &leaves(5_000, SIZE + 1_100)).unwrap();
    put("requests/fork-branch", &request(&fork, SIZE));
    // And heads that nothing led to.
    let tree = Checkpoint { origin: origin(), size: SIZE + 1, root: TreeHash::leaf(b"other") };
    let later = AddCheckpoint {
        old: SIZE,
        proof: vec![TreeHash::leaf(b"x")],
        checkpoint: tree.sign(&[signer()]),
    };
    put("requests/fork-larger", &later.to_string());
    let same = Checkpoint { size: SIZE, ..tree };
    let same = AddCheckpoint { old: SIZE, proof: vec![], checkpoint: same.sign(&[signer()]) };
    put("requests/fork-same-size", &same.to_string());

    let shown = log.checkpoint().unwrap().clone();
    let mut lines = shown.note().lines().to_vec();
    lines.extend(witnesses().iter().map(|w| w.sign(1_800_000_500, shown.note().text())));
    let cosigned = shown.with_note(shown.note().with_lines(lines)).unwrap();
    log = log.publish_cosigned(cosigned.clone()).unwrap();
    let indices = [0, 1, 255, 256, 300, 65_535, 65_536, 69_887, 69_888, SIZE - 1];
    for index in indices {
        let proof = proof_file(log.folder(), index, &cosigned).unwrap();
        put(&format!("{index}.tlog-proof"), &proof.to_string());
    }
    let head = cosigned.checkpoint();
    let prover = Prover::new(log.folder(), SIZE, head.root);
    let growth: Vec<_> = [1, 2, 255, 256, 257, 1_000, 65_536, 65_537, 69_999, SIZE]
        .iter()
        .map(|old| {
            let (root, proof) = prover.consistency(*old).unwrap();
            let proof: Vec<String> = proof.iter().map(TreeHash::to_string).collect();
            json!({"size": old, "root": root.to_string(), "proof": proof})
        })
        .collect();
    let mut bytes = Vec::new();
    for leaf in leaves(0, SIZE) {
        bytes.extend_from_slice(&u32::try_from(leaf.bytes().len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(leaf.bytes());
    }
    fs::write(folder.join("leaves"), bytes).unwrap();
    let requests = json!([
        ["stale", 409],
        ["grow-1", 200],
        ["grow-1000", 200],
        ["stale", 200],
        ["fork-early", 409],
        ["again", 200],
        ["fork-branch", 422],
        ["fork-larger", 422],
        ["fork-same-size", 422],
    ]);
    let manifest = json!({
        "log": "log", "size": SIZE, "origin": origin().as_str(), "indices": indices,
        "vkey": signer().verifier().to_string(), "consistency": growth, "requests": requests,
        "witnesses": witnesses().iter().map(|w| w.verifier().to_string()).collect::<Vec<_>>(),
    });
    put("manifest.json", &manifest.to_string());
    cosigned
}

#[test]
fn other_peoples_programs_agree_on_all_that_is_written() {
    let python = python();
    let dir = tempfile::tempdir().unwrap();
    let cosigned = write(dir.path());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/judge_log.py");
    let judged = Command::new(python).arg(script).arg(dir.path()).output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&judged.stdout), String::from_utf8_lossy(&judged.stderr));
    println!("{out}{err}");
    assert!(judged.status.success() && out.ends_with("all right\n"), "{out}\n{err}");

    // Their witness's cosignature counts here.
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    let theirs: VerifierKey = read("aics.vkey").parse().unwrap();
    let later: VerifierKey = read("later.vkey").parse().unwrap();
    let text = format!(
        "log {}\nwitness aics {theirs}\nwitness later {later}\nquorum aics\n",
        signer().verifier()
    );
    let policy = Policy::parse(text.as_bytes()).unwrap();
    let mut collection = Collection::new(&cosigned, &policy, |_| 1_000).unwrap();
    let answer = read("requests/again.answer");
    let ask = Ask { witness: 0, old: SIZE };
    collection.answer(&policy, ask, 200, answer.as_bytes(), u64::MAX / 4);
    assert!(matches!(collection.standing(&policy), Standing::Met { .. }), "{answer}");

    // A line of a type that is not known yet is carried along and counts for nothing.
    let with_later = read("later.checkpoint");
    let verdict = policy.judge(with_later.as_bytes()).unwrap();
    assert_eq!(verdict.quorum, Standing::Lacking);
    let both = SignedCheckpoint::parse(with_later.as_bytes()).unwrap();
    assert_eq!(both.note().to_string(), with_later);
    assert_eq!(both.note().lines().len(), 4);
}

#[test]
fn server_and_auditor_call_the_same_records_late() {
    assert_eq!(loa::audit::Options::default().late_ms, loa::domain::proof::LATE_MS);
}

//! Vectors of the checkpoints in receipts, judged by the policy in `keys`.

use super::build::{key, vector, with};
use loa::wire::tlog::{Checkpoint, Cosigner, LogSigner, Name, TreeHash};
use serde_json::{Value, json};

const BASE: &str = "loa.example.vn/log";
const ORIGIN: &str = "loa.example.vn/log/2026";
const TIME_S: u64 = 1_790_000_000;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn log(origin: &str) -> LogSigner {
    LogSigner::new(name(origin), key("log"))
}

fn witness(n: u8) -> Cosigner {
    Cosigner::new(name(&format!("w{n}.example.vn")), key(&format!("witness-{n}")))
}

/// The policy of the test keys: one log, two of three witnesses.
pub fn policy() -> String {
    let mut lines = vec![format!("log {}", log(BASE).verifier())];
    lines.extend((1..=3).map(|n| format!("witness w{n} {}", witness(n).verifier())));
    lines.push("group two 2 w1 w2 w3".to_owned());
    lines.push("quorum two\n".to_owned());
    lines.join("\n")
}

/// The note of a checkpoint, cosigned by these.
pub fn note(origin: &str, size: u64, leaf: &str, witnesses: &[u8]) -> String {
    let tree = Checkpoint { origin: name(origin), size, root: TreeHash::leaf(leaf.as_bytes()) };
    let signed = tree.sign(&[log(origin)]);
    let mut lines = signed.note().lines().to_vec();
    lines.extend(witnesses.iter().map(|n| witness(*n).sign(TIME_S, &tree.text())));
    signed.note().with_lines(lines).to_string()
}

pub fn good() -> String {
    note(ORIGIN, 70_000, "a", &[1, 3])
}

fn seen(size: u64, leaf: &str) -> Value {
    let root = TreeHash::leaf(leaf.as_bytes()).to_string();
    json!([{"origin": ORIGIN, "size": size, "root": root}])
}

pub fn make() -> Value {
    let good = good();
    let after = |name, expect, body: &str, why, size, leaf: &str| {
        with(vector(name, expect, body, why), "before", seen(size, leaf))
    };
    let unsigned: String =
        good.split_inclusive('\n').filter(|line| !line.contains(" loa.")).collect();
    let other = note(ORIGIN, 70_000, "b", &[1, 3]);
    let foreign = note("loa.example.vn/lag/2026", 5, "a", &[1, 2, 3]);
    let [next, second, bare, deep] = ["/2027", "/2026-2", "", "/2026/1"]
        .map(|shard| note(&format!("{BASE}{shard}"), 5, "a", &[1, 2]));
    let line = good.lines().last().unwrap().to_owned();
    let stranger = format!("{good}\u{2014} stranger AAAAAAAA\n");
    let vectors = vec![
        vector("good", "accept", &good, "the log and two of three witnesses signed it"),
        vector("all-three", "accept", &note(ORIGIN, 9, "a", &[1, 2, 3]), "more than enough"),
        vector("stranger-too", "accept", &stranger, "lines of unknown keys are ignored"),
        after("next-year", "accept", &next, "the log of another year, of the same key", 9, "z"),
        vector("second-of-the-year", "accept", &second, "begun anew within the year"),
        vector("whole-name", "accept", &bare, "the name that the policy has"),
        vector("deeper", "checkpoint", &deep, "no year: another log"),
        after("grown", "accept", &good, "a larger tree than the one known", 69_999, "z"),
        after("again", "same", &good, "the tree that is known", 70_000, "a"),
        after("smaller", "older", &good, "an old receipt: covers nothing", 70_001, "z"),
        after("fork", "checkpoint", &other, "one size, two roots: keep both", 70_000, "a"),
        vector("one-witness", "checkpoint", &note(ORIGIN, 9, "a", &[2]), "two are asked for"),
        vector("no-witness", "checkpoint", &note(ORIGIN, 9, "a", &[]), "two are asked for"),
        vector("unsigned", "checkpoint", &unsigned, "the log did not sign it"),
        vector("foreign", "checkpoint", &foreign, "a log that the policy does not name"),
        vector("larger", "checkpoint", &good.replace("\n70000\n", "\n70001\n"), "size changed"),
        vector("padded", "checkpoint", &good.replace("\n70000\n", "\n070000\n"), "no number"),
        vector("more-lines", "checkpoint", &good.replace("\n\n", "\nmore\n\n"), "three lines"),
        vector("doubled", "checkpoint", &format!("{good}{line}\n"), "a known key stands twice"),
        vector("cut", "checkpoint", good.trim_end(), "the last line has no end"),
        vector("text", "checkpoint", "x", "no note"),
    ];
    json!({
        "note": "Checkpoints as receipts carry them (`body`, a signed note), judged by the policy that \
                 `keys` names, after what is known of the log (`before`). `accept`: newer, quote it; \
                 `same` and `accept`: `logged` counts; `older`: ignore silently.",
        "given": {"policy": policy(), "before": []},
        "vectors": vectors,
    })
}

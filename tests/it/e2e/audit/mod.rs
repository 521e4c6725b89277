//! Packs of a real server, judged as an auditor does: right as they are, and wrong in the one
//! place where somebody changed them.

mod forge;

use super::commune::{Commune, in_seconds};
use super::process::{json, run, wait_for};
use super::witness;
use forge::{Forger, Pack, claims, received, record, statement, unpack};
use loa::audit::{FaultKind, Options, Policy, Verdict, verify};
use loa::clock::{Clock as _, SystemClock};
use loa::domain::time::UtcMs;
use loa::log::leaf::{Leaf, ServerBody};
use loa::wire::b64;
use loa::wire::jws::{Role, SecretKey, Typ};
use loa::wire::server_keys::ServerKeys;
use loa::wire::tlog::{Checkpoint, Name, TreeHash};
use serde_json::{Value, json};
use std::fs;

const DEVICE: &str = "loa-dinh-lang";

/// A station whose loudspeaker has played once, with the pack that tells so.
struct Audited {
    commune: Commune,
    policy: String,
    bytes: Vec<u8>,
}

impl Audited {
    fn judge_with(&self, pack: &[u8], options: &Options<'_>) -> Verdict {
        let policy = Policy::parse(self.policy.as_bytes()).unwrap();
        verify(pack, &policy, options, &mut |_| {}).unwrap()
    }

    fn judge(&self, pack: &Pack) -> Verdict {
        self.judge_with(&pack.write(), &Options::default())
    }

    fn path(&self, below: &str) -> String {
        self.commune.path(below).display().to_string()
    }

    fn key_of_the_device(&self) -> SecretKey {
        let text = fs::read_to_string(self.commune.path(&format!("{DEVICE}/key"))).unwrap();
        SecretKey::from_seed(&b64::decode_exact(text.trim()).unwrap())
    }
}

/// Lets a station play once under a witness, and packs it while it runs.
fn audited() -> Audited {
    let mut commune = Commune::new();
    let port = super::process::free_port();
    let key = witness::init(&commune, "w1");
    commune.more(&format!("[log]\nwitnesses = [\"{key} http://127.0.0.1:{port}\"]\n"));
    commune.init();
    let log = witness::name_log(&commune);
    witness::watch(&commune, "w1", &log);
    let _witness = witness::serve(&commune, "w1", port);
    commune.serve();
    commune.enrol(DEVICE);
    let _speaker = commune.device(DEVICE);
    wait_for("a checkpoint at the device", 30, || {
        fs::read_to_string(commune.path(&format!("{DEVICE}/log.json"))).ok()
    });
    commune.playlist(&[in_seconds(4)]);
    wait_for("a play", 30, || commune.records_of(DEVICE, "play").first().cloned());
    let policy = commune.json(&["log", "policy"])["policy"].as_str().unwrap().to_owned();
    commune.write("policy", &policy);
    let path = |below: &str| commune.path(below).display().to_string();
    let now = SystemClock::new().now();
    let edge = |ms: i64| now.plus(ms).datetime().to_rfc3339();
    let (from, to) = (edge(-3_600_000), edge(3_600_000));
    let mut tries = 0;
    let (mut packed, mut told) = (Value::Null, Value::Null);
    wait_for("a pack that holds the play", 30, || {
        tries += 1;
        let out = path(&format!("try-{tries}"));
        packed = commune.json(&["audit", "pack", "--from", &from, "--to", &to, "--out", &out]);
        let policy = path("policy");
        let (code, text, err) = run(&["audit", "verify", &out, "--policy", &policy, "--json"]);
        told = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}\n{err}"));
        assert_eq!((code, &told["ok"]), (0, &json!(true)), "{told:#}\n{packed:#}");
        (told["outcomes"]["played"]["3"] == 1).then_some(())
    });
    // That of the board, too, which nobody has enrolled yet.
    assert_eq!(told["outcomes"]["expected"], 2, "{told:#}");
    assert_eq!(told["signatures"]["quorum_met"], true);
    assert!(told["signatures"]["cosignatures"].as_u64() >= Some(1));
    assert_eq!(told["records"]["total"], told["records"]["verified"]);
    assert_eq!(packed["logs"][0]["size"], told["logs"][0]["size"]);
    let bytes = fs::read(path(&format!("try-{tries}"))).unwrap();
    assert_eq!(packed["bytes"], bytes.len());
    Audited { commune, policy, bytes }
}

/// The fault of this kind; it must be there.
#[track_caller]
fn fault(verdict: &Verdict, kind: FaultKind) -> &loa::audit::Fault {
    assert!(!verdict.ok);
    let found = verdict.faults.iter().find(|fault| fault.kind == kind);
    found.unwrap_or_else(|| panic!("no {kind}: {:#?}", verdict.faults))
}

#[test]
fn a_pack_of_a_running_server_is_right_and_whoever_changes_it_is_found_at_the_place() {
    let audited = audited();
    as_commands(&audited);
    files_changed(&audited);
    tree_changed(&audited);
    log_written_anew(&audited);
}

/// What people see.
fn as_commands(audited: &Audited) {
    let policy = audited.path("policy");
    let pack = audited.path("try-1");
    let (code, text, _) = run(&["audit", "verify", &pack, "--policy", &policy]);
    assert!(code == 0 && text.contains("nothing is wrong"), "{text}");
    // Never over a file that is there.
    let args = ["--from", "2026-01-01", "--to", "2026-01-02", "--out", &pack];
    let data = audited.path("data");
    let (code, _, err) = run(&[&["audit", "pack", "--data", &data], &args[..]].concat());
    assert!(code == 2 && err.contains("there already"), "{err}");
    let (code, text, _) = run(&["audit", "verify", &policy, "--policy", &policy, "--json"]);
    let told: Value = serde_json::from_str(&text).unwrap();
    let kinds: Vec<_> = told["faults"].as_array().unwrap().iter().map(|f| &f["kind"]).collect();
    assert_eq!((code, kinds), (1, vec![&json!("not-a-pack")]));
    // A window of a unit, and one of another.
    let now = SystemClock::new().now();
    let edge = |ms: i64| now.plus(ms).datetime().to_rfc3339();
    let (from, to) = (edge(-3_600_000), edge(3_600_000));
    for (unit, expected) in [("99901-dinh", 1), ("99901", 2), ("51", 2)] {
        let out = audited.path(&format!("pack-{unit}"));
        let args = ["audit", "pack", "--from", &from, "--to", &to, "--unit", unit, "--out", &out];
        audited.commune.json(&args);
        let told = json(&["audit", "verify", &out, "--policy", &policy, "--json"]);
        assert_eq!(told["outcomes"]["expected"], expected, "{unit}: {told:#}");
    }
    let out = audited.path("pack-none");
    let args = ["--from", &from, "--to", &to, "--unit", "77777", "--out", &out];
    let (code, _, err) = run(&[&["audit", "pack", "--data", &data], &args[..]].concat());
    assert!(code == 2 && err.contains("no unit `77777`"), "{err}");
    assert!(!audited.commune.path("pack-none").exists());
}

/// One byte in each file: found in that file.
fn files_changed(audited: &Audited) {
    let files = unpack(&audited.bytes);
    let has = |part: &str| files.iter().any(|(name, _)| name.contains(part));
    for part in ["policy", "keys.json", "timetables/", "sheets/", "cosigned/", "tile/0", "entries"]
    {
        assert!(has(part), "no {part} in the pack");
    }
    let mut at = 0;
    for (name, content) in &files {
        // Header, content, padding.
        let middle = at + 512 + content.len() / 2;
        at += 512 + content.len().div_ceil(512) * 512;
        let mut bytes = audited.bytes.clone();
        bytes[middle] ^= 1;
        let verdict = audited.judge_with(&bytes, &Options::default());
        assert!(!verdict.ok, "a byte of {name}");
        let named = verdict.faults.iter().any(|fault| fault.place == *name);
        let whole = ["pack.json", "manifest.sha256"].contains(&name.as_str());
        assert!(named || whole, "a byte of {name}: {:#?}", verdict.faults);
    }
    let cut = &audited.bytes[..audited.bytes.len() - 4_096];
    fault(&audited.judge_with(cut, &Options::default()), FaultKind::Archive);
}

/// Files changed, and the manifest with them: the tree and the signatures tell.
fn tree_changed(audited: &Audited) {
    let right = Pack::read(&audited.bytes);
    assert!(audited.judge(&right).ok);
    let flipped = |part: &str| {
        let mut pack = right.clone();
        let file = pack.file(part);
        let middle = file.len() / 2;
        file[middle] ^= 1;
        audited.judge(&pack)
    };
    fault(&flipped("timetables/"), FaultKind::Document);
    fault(&flipped("sheets/"), FaultKind::Document);
    assert!(!flipped("logs/1/checkpoint").ok && !flipped("cosigned/").ok);
    assert!(!flipped("tile/0/").ok);
    assert!(fault(&flipped("tile/entries/"), FaultKind::Bundle).index.is_some());
    // Records dropped, swapped, repeated within the tree that was signed.
    let leaves = right.leaves();
    let width = leaves.len();
    let bundle = |leaves: &[Vec<u8>]| {
        let mut pack = right.clone();
        let mut bundle = loa::wire::tlog::Bundle::default();
        for leaf in leaves {
            bundle.push(leaf).unwrap();
        }
        bundle.bytes().clone_into(pack.file("tile/entries/"));
        audited.judge(&pack)
    };
    fault(&bundle(&leaves[..width - 1]), FaultKind::Bundle);
    let mut swapped = leaves.clone();
    swapped.swap(width - 2, width - 1);
    let verdict = bundle(&swapped);
    assert_eq!(fault(&verdict, FaultKind::Bundle).index, Some(width as u64 - 2));
    let mut repeated = leaves.clone();
    repeated[width - 1].clone_from(&leaves[width - 2]);
    assert_eq!(fault(&bundle(&repeated), FaultKind::Bundle).index, Some(width as u64 - 1));
    // The witness's line is gone.
    let mut pack = right.clone();
    let note = String::from_utf8(pack.file("logs/1/checkpoint").clone()).unwrap();
    let lines: Vec<_> = note.lines().collect();
    let alone = lines.iter().filter(|line| !line.contains("audit.example"));
    let alone: String = alone.flat_map(|line| [*line, "\n"]).collect();
    *pack.file("logs/1/checkpoint") = alone.into_bytes();
    let verdict = audited.judge(&pack);
    assert!(!verdict.signatures.quorum_met);
    fault(&verdict, FaultKind::Quorum);
}

/// The station and its witness write another log: the devices' own words tell.
fn log_written_anew(audited: &Audited) {
    let right = Pack::read(&audited.bytes);
    let forger = Forger::of(&audited.commune, &right);
    let leaves = right.leaves();
    let judge = |leaves: &[Vec<u8>]| audited.judge(&forger.rewrite(&right, leaves));
    let same = judge(&leaves);
    assert!(same.ok, "written anew as it was: {:#?}", same.faults);
    let own = |leaf: &Vec<u8>| claims(leaf).filter(|claims| claims["dev"] == DEVICE);
    let at = |kind: &str| leaves.iter().rposition(|l| own(l).is_some_and(|c| c["kind"] == kind));
    let (start, play) = (at("start").unwrap(), at("play").unwrap());
    let said = own(&leaves[play]).unwrap();
    let seq = said["seq"].as_u64().unwrap();
    let time = |at: usize| Leaf::parse(leaves[at].clone()).unwrap().received_ms();
    let key = audited.key_of_the_device();
    let with = |at: usize, leaf: Vec<u8>| {
        let mut leaves = leaves.clone();
        leaves.insert(at, leaf);
        leaves
    };
    let instead = |at: usize, leaf: Vec<u8>| {
        let mut leaves = leaves.clone();
        leaves[at] = leaf;
        leaves
    };
    let changed = |member: &str, value: Value| {
        let mut claims = said.clone();
        claims[member] = value;
        claims
    };

    // A record left out: a gap that the next one shows.
    let mut without = leaves.clone();
    let gap = own(&without.remove(start)).unwrap()["seq"].as_u64();
    assert_eq!(judge(&without).records.gaps, 1, "it may still come");
    // Two hours later it should have.
    let body = ServerBody::Approval {
        of: loa::domain::ids::Digest::of(b"x"),
        what: "proposal".to_owned(),
        role: "approver".to_owned(),
        by: "lan".to_owned(),
    };
    let later = UtcMs(time(leaves.len() - 1).0 + 7_200_000);
    without.push(Leaf::server(later, &body).unwrap().bytes().to_vec());
    let verdict = judge(&without);
    let found = fault(&verdict, FaultKind::Gap);
    assert_eq!((found.seq, found.device.as_deref()), (gap, Some(DEVICE)));
    // Logged twice.
    let verdict = judge(&with(play + 1, leaves[play].clone()));
    let found = fault(&verdict, FaultKind::Duplicate);
    assert_eq!((found.seq, found.index), (Some(seq), Some(play as u64 + 1)));
    // Signed by somebody else.
    let other = SecretKey::from_seed(&[7; 32]);
    let verdict = judge(&instead(play, record(&other, time(play), &said)));
    assert_eq!(fault(&verdict, FaultKind::Key).index, Some(play as u64));
    assert_eq!(verdict.outcomes.played[&3], 0, "it counts for nothing");
    // Two devices with one key.
    let twin = record(&key, time(play), &changed("volume", json!(1)));
    let verdict = judge(&with(play + 1, twin));
    let found = fault(&verdict, FaultKind::Conflict);
    assert_eq!((found.seq, found.device.as_deref()), (Some(seq), Some(DEVICE)));
    // A clock put back behind a checkpoint that the record quotes.
    let early = said["at_ms"].as_i64().unwrap() - 900_000;
    let verdict = judge(&instead(play, record(&key, time(play), &changed("at_ms", json!(early)))));
    assert_eq!(fault(&verdict, FaultKind::Clock).seq, Some(seq));
    // The key was taken off before.
    let kid = key.kid().to_string();
    let body = ServerBody::Revoke {
        dev: DEVICE.parse().unwrap(),
        kid,
        from: None,
        reason: "mất".to_owned(),
        by: "lan".to_owned(),
    };
    let revoke = Leaf::server(time(start), &body).unwrap().bytes().to_vec();
    let verdict = judge(&with(start, revoke));
    assert_eq!(fault(&verdict, FaultKind::Revoked).index, Some(start as u64 + 1));
    // Schedules that are logged only after what they order: as such, and with the times put right.
    let orders =
        |leaf: &Vec<u8>| statement(leaf).is_some_and(|s| s["kind"] == "timetable-published");
    let (later, others): (Vec<_>, Vec<_>) = leaves.iter().cloned().partition(orders);
    assert!(!later.is_empty());
    let verdict = judge(&[others.clone(), later.clone()].concat());
    assert_eq!(fault(&verdict, FaultKind::Premature).device.as_deref(), Some(DEVICE));
    let end = UtcMs(time(leaves.len() - 1).0 + 60_000);
    let late: Vec<_> = later.iter().map(|leaf| received(leaf, end)).collect();
    let verdict = judge(&[others, late].concat());
    fault(&verdict, FaultKind::Timetable);
    fault(&verdict, FaultKind::Unplanned);

    // The server receipted what its log does not hold.
    let keys = fs::read_to_string(audited.commune.path("data/keys.json")).unwrap();
    let keys = ServerKeys::from_file(&keys).unwrap();
    let made = said["at_ms"].as_i64().unwrap() / 1_000;
    let receipt = json!({
        "v": 1, "iss": "xa", "aud": DEVICE, "iat": made, "exp": made + 9_000,
        "chain": said["chain"], "upto": seq + 900, "head": "ab".repeat(32),
    });
    let receipt = loa::wire::jws::sign(keys.of(Role::Receipt).unwrap(), Typ::Receipt, &receipt);
    let options = Options { receipts: receipt.as_bytes(), ..Options::default() };
    let verdict = audited.judge_with(&audited.bytes, &options);
    let found = fault(&verdict, FaultKind::Receipt);
    assert_eq!((found.seq, found.device.as_deref()), (Some(seq + 900), Some(DEVICE)));

    // A backup was restored and the log went on: two trees of one size, both signed.
    let mut fork = right.clone();
    let size = leaves.len() as u64;
    let origin = Name::new(right.origin.clone()).unwrap();
    let head = Checkpoint { origin, size, root: TreeHash::leaf(b"another") };
    let note = forger.sign(&head, None);
    let file = fork.file("cosigned/");
    file.extend_from_slice(format!("{note}\n").as_bytes());
    let verdict = audited.judge(&fork);
    assert!(fault(&verdict, FaultKind::Fork).place.contains("cosigned/"));
}

//! The tampering table: each way of falsifying a pack or the log behind it is found and named.

mod devices;
mod orders;
mod server;

use super::day::{Moment, live, sound, usual};
use super::model::{DAY, HOUR, MIN, World, beat, cue_of, hex, jws, key, kid, play, sha, sheet};
use super::{judge, judge_with, kinds, options};
use crate::audit::{Fault, FaultKind, Options, TokenJudge, Verdict};
use crate::log::leaf::{LeafHead, ServerBody};
use crate::wire::tlog::{Checkpoint, TreeHash};
use serde_json::{Value, json};

/// Finds the one fault of a kind.
fn only(verdict: &Verdict, kind: FaultKind) -> &Fault {
    assert!(!verdict.ok);
    let mut found = verdict.faults.iter().filter(|fault| fault.kind == kind);
    let Some(fault) = found.next() else { panic!("no `{kind}`: {:#?}", verdict.faults) };
    assert_eq!(found.next(), None, "one `{kind}` only");
    fault
}

/// Changes one byte of a file within the archive: the manifest no longer fits.
fn flip(pack: &[u8], name: &str, at: usize) -> Vec<u8> {
    let mut pack = pack.to_vec();
    let mut padded = name.as_bytes().to_vec();
    padded.resize(100, 0);
    let header = pack.chunks(512).position(|block| block.starts_with(&padded)).unwrap();
    pack[header * 512 + 512 + at] ^= 1;
    pack
}

/// A station with one file of each kind.
fn whole() -> World {
    let mut world = usual(2);
    world.log().checkpoint(DAY + 9 * HOUR, &[0]);
    let note = world.log().newest.clone();
    let size = world.log().edge.size();
    world.tokens.push((0, size, note.clone(), [b"stamp of ", note.as_bytes()].concat()));
    world.keys = Some(epochs());
    let device = world.devices[0].clone();
    world.receipts = receipt(&device.name, &device.chain, device.seq, &device.prev.unwrap()) + "\n";
    // A bundle's worth of beats, so that there are full tiles.
    for n in 0..400 {
        world.tell(0, DAY + 9 * HOUR + n * MIN / 4, &beat());
    }
    world.log().checkpoint(DAY + 9 * HOUR + 101 * MIN, &[0, 1]);
    world
}

fn epochs() -> Vec<u8> {
    let root = key(91);
    let jwk = |n: u8| {
        use base64::Engine as _;
        let x = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .encode(key(n).verifying_key().to_bytes());
        json!({"kty": "OKP", "crv": "Ed25519", "x": x})
    };
    let epoch = json!({
        "v": 1, "epoch": 1, "prev": null, "iat": DAY / 1_000, "root": jwk(91),
        "roles": {"receipt": [jwk(92)]}, "retired": [], "revoked": []
    });
    json!({"v": 1, "epochs": [jws(&root, "loa-keys+jwt", &epoch)]}).to_string().into_bytes()
}

fn receipt(device: &str, chain: &[u8; 16], upto: u64, head: &str) -> String {
    let claims = json!({
        "v": 1, "aud": device, "iat": (DAY + 10 * HOUR) / 1_000, "chain": hex(chain),
        "upto": upto, "head": head
    });
    jws(&key(92), "loa-receipt+jwt", &claims)
}

/// A stamp is right when it names what it stamps.
struct Stamps;

impl TokenJudge for Stamps {
    fn judge(&self, token: &[u8], note: &[u8]) -> Result<(), String> {
        let right = token.strip_prefix(b"stamp of ") == Some(note);
        if right { Ok(()) } else { Err("it stamps something else".to_owned()) }
    }
}

fn stamping() -> Options<'static> {
    Options { tokens: Some(&Stamps), ..options() }
}

#[test]
fn a_byte_flipped_in_any_file_is_found_and_the_file_is_named() {
    let world = whole();
    let pack = world.pack();
    let right = judge_with(&world, &pack, &stamping());
    assert_eq!(right.faults, []);
    assert_eq!(right.signatures.tokens, 1);
    let mut names: Vec<String> = world.files().into_iter().map(|(name, _)| name).collect();
    names.push("README.txt".to_owned());
    assert!(names.len() > 15 && names.iter().any(|name| name.contains("tile/1/000.p")));
    for name in names {
        let verdict = judge_with(&world, &flip(&pack, &name, 3), &stamping());
        let named = |fault: &Fault| fault.kind == FaultKind::Manifest && fault.place == name;
        assert!(verdict.faults.iter().any(named), "{name}: {:#?}", verdict.faults);
    }
    // The description: a window that cannot be read makes it no pack, another is not the listed.
    let other = flip(&pack, "pack.json", 0);
    assert_eq!(kinds(&judge(&world, &other)), [FaultKind::NotAPack]);
    let listed = judge(&world, &flip(&pack, "manifest.sha256", 3));
    assert_eq!(only(&listed, FaultKind::Manifest).place, "README.txt");
}

#[test]
fn a_byte_flipped_with_a_manifest_made_to_fit_is_found_and_the_file_is_named() {
    let world = whole();
    let files = world.files();
    for (at, (name, _)) in files.iter().enumerate() {
        let mut changed = files.clone();
        // A hash in the middle of a tile, a character in the middle of a text.
        let middle = changed[at].1.len() / 2;
        changed[at].1[middle] ^= 1;
        let verdict = judge_with(&world, &world.write(&changed), &stamping());
        if name == "policy" {
            assert!(verdict.ok, "it is for people only");
            continue;
        }
        let named = |fault: &Fault| fault.place == *name;
        let edge = name.contains("tile/") && name.contains(".p/");
        let root = |fault: &Fault| fault.kind == FaultKind::Root;
        let found = verdict.faults.iter().any(named) || edge && verdict.faults.iter().any(root);
        assert!(found, "{name}: {:#?}", verdict.faults);
        assert!(!verdict.ok);
    }
}

#[test]
fn an_entry_that_is_not_the_trees_is_named_by_its_place() {
    let world = whole();
    let mut files = world.files();
    let last = files.iter().position(|(name, _)| name.contains("entries/001.p/")).unwrap();
    let middle = files[last].1.len() / 2;
    files[last].1[middle] ^= 1;
    let verdict = judge(&world, &world.write(&files));
    let fault = only(&verdict, FaultKind::Bundle);
    assert_eq!(fault.place, files[last].0);
    assert!(fault.index.unwrap() > 256);
}

#[test]
fn two_records_swapped_in_a_bundle_do_not_fit_the_tree() {
    let world = usual(2);
    let mut files = world.files();
    let at = files.iter().position(|(name, _)| name.contains("entries")).unwrap();
    let width = u16::try_from(world.logs[0].edge.size()).unwrap();
    let entries: Vec<Vec<u8>> = crate::audit::leaf::entries(&files[at].1, width)
        .unwrap()
        .into_iter()
        .map(<[u8]>::to_vec)
        .collect();
    let mut swapped = entries.clone();
    swapped.swap(20, 21);
    files[at].1 = swapped
        .iter()
        .flat_map(|e| [&u16::try_from(e.len()).unwrap().to_be_bytes()[..], e].concat())
        .collect();
    let verdict = judge(&world, &world.write(&files));
    let indices: Vec<u64> = verdict.faults.iter().filter_map(|fault| fault.index).collect();
    assert!(indices.starts_with(&[20, 21]), "{:#?}", verdict.faults);
    assert!(kinds(&verdict).contains(&FaultKind::Bundle));
}

#[test]
fn a_tail_that_was_cut_off_is_found_in_the_log_and_in_the_file() {
    let world = whole();
    let pack = world.pack();
    for cut in [1, 512, 1_024, 1_025, 1_536, 5_000, 50_000, pack.len() / 2] {
        let verdict = judge_with(&world, &pack[..pack.len() - cut], &stamping());
        assert!(kinds(&verdict).contains(&FaultKind::Archive), "{cut}: {:#?}", verdict.faults);
    }
    // The last bundle left out, with a manifest that does not list it.
    let mut files = world.files();
    files.pop();
    let verdict = judge(&world, &world.write(&files));
    let fault = only(&verdict, FaultKind::Missing);
    assert!(fault.place.starts_with("logs/1/tile/entries/001"), "{fault:?}");
    // The whole log cut back to an earlier checkpoint, while a later one is known.
    let mut early = usual(2);
    let head = early.log().newest.clone();
    let files = early.log().files.clone();
    let edge = early.log().edge.clone();
    early.log().record(DAY + 20 * HOUR, "x.y.z");
    early.log().checkpoint(DAY + 20 * HOUR, &[0, 1]);
    early.log().newest = head;
    early.log().edge = edge;
    early.log().files = files;
    let verdict = judge(&early, &early.pack());
    assert!(only(&verdict, FaultKind::Missing).place.contains("cosigned"));
}

#[test]
fn a_checkpoint_over_another_tree_signed_by_the_log_itself_is_a_fork() {
    let mut world = usual(2);
    let head = world.log().head();
    for size in [5, head.size - 1, head.size] {
        let mut world = world.clone();
        let other = Checkpoint { size, root: TreeHash([7; 32]), ..head.clone() };
        let log = world.log();
        let forged = log.sign(&other, DAY + 9 * HOUR, &[0]);
        log.cosigned.insert("2027-01-29".into(), format!("{forged}\n"));
        let verdict = judge(&world, &world.pack());
        assert!(kinds(&verdict).contains(&FaultKind::Fork), "{size}");
    }
}

#[test]
fn a_lost_witness_shows_as_a_quorum_that_is_not_met() {
    let mut world = usual(2);
    world.tell(0, DAY + 9 * HOUR, &beat());
    world.log().checkpoint(DAY + 9 * HOUR, &[]);
    let verdict = judge(&world, &world.pack());
    assert_eq!(kinds(&verdict), [FaultKind::Quorum]);
    assert!(!verdict.signatures.quorum_met);
    assert_eq!(verdict.faults[0].place, "logs/1/checkpoint");
    assert_eq!(verdict.records.late, 1, "nothing shows when the last record was there");
    // Another witness, whom nobody named, does not help.
    let mut stranger = usual(2);
    stranger.log().witnesses[0] = crate::wire::tlog::Cosigner::new(
        "witness.example/w1".parse().unwrap(),
        crate::wire::jws::SecretKey::from_seed(&[9; 32]),
    );
    stranger.log().checkpoint(DAY + 9 * HOUR, &[0]);
    let policy = usual(2).policy();
    let policy = crate::audit::Policy::parse(policy.as_bytes()).unwrap();
    let verdict =
        crate::audit::verify(&stranger.pack()[..], &policy, &options(), &mut |_| {}).unwrap();
    assert_eq!(kinds(&verdict), [FaultKind::Quorum]);
}

#[test]
fn signatures_that_do_not_fit_name_the_signer() {
    let world = usual(2);
    let files = world.files();
    let at = files.iter().position(|(name, _)| name == "logs/1/checkpoint").unwrap();
    for (line, kind) in [(4, FaultKind::Checkpoint), (5, FaultKind::Cosignature)] {
        let mut changed = files.clone();
        let mut lines: Vec<String> =
            String::from_utf8(changed[at].1.clone()).unwrap().lines().map(str::to_owned).collect();
        let end = lines[line].len() - 9;
        let other = if lines[line].as_bytes()[end] == b'A' { "B" } else { "A" };
        lines[line].replace_range(end..=end, other);
        changed[at].1 = (lines.join("\n") + "\n").into_bytes();
        let verdict = judge(&world, &world.write(&changed));
        let fault = verdict.faults.iter().find(|fault| fault.kind == kind).unwrap();
        assert!(fault.message.contains("does not fit"), "{fault:?}");
        assert_eq!(fault.place, "logs/1/checkpoint");
    }
}

#[test]
fn a_log_that_the_policy_does_not_name_is_believed_nothing() {
    let world = usual(1);
    let other = super::model::Log::new(2029);
    let policy = world.policy().replace(
        &world.logs[0].signer.verifier().to_string(),
        &other.signer.verifier().to_string(),
    );
    let policy = crate::audit::Policy::parse(policy.as_bytes()).unwrap();
    let verdict =
        crate::audit::verify(&world.pack()[..], &policy, &options(), &mut |_| {}).unwrap();
    assert!(kinds(&verdict).contains(&FaultKind::UnknownLog));
    assert_eq!((verdict.records.verified, verdict.logs.len()), (0, 0));
}

#[test]
fn a_time_stamp_of_something_else_is_found() {
    let mut world = whole();
    world.tokens[0].3 = b"stamp of another".to_vec();
    let verdict = judge_with(&world, &world.pack(), &stamping());
    let fault = only(&verdict, FaultKind::Token);
    assert!(fault.place.contains(".tsr"));
    assert_eq!(verdict.signatures.tokens, 0);
}

#[test]
fn a_sheet_that_is_not_in_the_pack_or_not_the_logged_one_is_named() {
    let world = usual(2);
    let mut files = world.files();
    let at = files.iter().position(|(name, _)| name.starts_with("sheets/")).unwrap();
    let (name, _) = files.remove(at);
    let verdict = judge(&world, &world.write(&files));
    assert_eq!(only(&verdict, FaultKind::Missing).place, name);
    assert_eq!(verdict.outcomes.expected, 0);
    // A timetable whose sheets are others than the log says.
    let mut other = world.clone();
    let mut claims: Value = json!({"v": 1, "aud": "loa-thon-1", "ver": 1, "days": []});
    claims["iss"] = json!("xa");
    let text = jws(&key(90), "loa-timetable+jwt", &claims);
    let digest = hex(&sha(text.as_bytes()));
    other.timetables.insert(digest.clone(), text.into_bytes());
    let body = ServerBody::TimetablePublished {
        dev: "loa-thon-1".parse().unwrap(),
        ver: 2,
        timetable: digest.parse().unwrap(),
        sheets: vec![hex(&sha(&sheet(DAY))).parse().unwrap()],
        first_cue_ms: None,
    };
    other.log().say(DAY + 9 * HOUR, &body);
    other.log().checkpoint(DAY + 9 * HOUR, &[0]);
    let verdict = judge(&other, &other.pack());
    assert_eq!(only(&verdict, FaultKind::Document).place, format!("timetables/{digest}"));
    assert_eq!(kid(&key(1)).len(), 43);
}

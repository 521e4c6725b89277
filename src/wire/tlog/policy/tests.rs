//! Tests of policies.

use super::*;
use crate::wire::tlog::testing::{cosigner, origin, signer};
use crate::wire::tlog::{NoteError, SignatureLine, TreeHash};
use proptest::prelude::*;
use std::fmt::Write as _;

/// The example of the specification, with keys.
fn example() -> String {
    let mut text = format!("# of the specification\nlog {}\n\n", signer(1).verifier());
    for (name, seed) in [("X1", 11), ("X2", 12), ("X3", 13)] {
        writeln!(text, "witness {name} {}", cosigner(name, seed).verifier()).unwrap();
    }
    text += "group X-witnesses 2 X1 X2 X3\n\n";
    for (name, seed) in [("Y1", 21), ("Y2", 22), ("Y3", 23)] {
        writeln!(
            text,
            "  witness\t{name}  {} https://y.example/ ",
            cosigner(name, seed).verifier()
        )
        .unwrap();
    }
    text += "group Y-witnesses any Y1 Y2 Y3\n\ngroup X-and-Y all X-witnesses Y-witnesses\n";
    text + "quorum X-and-Y\n"
}

fn faults(text: &str) -> Vec<(usize, String)> {
    let faults = Policy::parse(text.as_bytes()).unwrap_err().faults;
    faults.into_iter().map(|(line, fault)| (line, fault.to_string())).collect()
}

#[test]
fn the_example_of_the_specification_counts_as_it_says() {
    let policy = Policy::parse(example().as_bytes()).unwrap();
    // Every set of the six witnesses.
    for set in 0_usize..64 {
        let there: Vec<usize> = (0..6).filter(|at| set >> at & 1 == 1).collect();
        let (x, y) = ((set & 7).count_ones(), (set >> 3).count_ones());
        assert_eq!(policy.is_met_by(&there), x >= 2 && y >= 1, "{there:?}");
    }
    let names: Vec<String> = policy.witnesses().iter().map(|w| w.name().to_string()).collect();
    assert_eq!(names, ["X1", "X2", "X3", "Y1", "Y2", "Y3"]);
    assert_eq!(policy.witnesses()[0].url(), None);
    assert_eq!(policy.witnesses()[3].url(), Some("https://y.example/"));
    assert_eq!(Policy::parse(&policy.to_bytes()), Ok(policy));
}

#[test]
fn a_policy_may_ask_for_no_witness_and_name_no_log() {
    let policy = Policy::parse(b"quorum none\n").unwrap();
    assert!(policy.is_met_by(&[]));
    assert_eq!(policy.weigh(&[]), Standing::NotAsked);
    assert_eq!(policy.to_bytes(), b"quorum none\n");
}

#[test]
fn all_faults_are_told_each_with_its_line() {
    let key = |name: &str, seed| cosigner(name, seed).verifier().to_string();
    let text = format!(
        "log {log}\nlog {log}\nwitness w1 {w1}\nwitness w1 {w2}\nwitness w3 {w1}\n\
         witness none {w2}\nwitness w4 {log}\nlog {w2}\ngroup g 3 w1\ngroup g 0 w1\n\
         group g any nobody\ngroup g 1 w1\ngroup h 1 w1\nnonsense\nlog\nwitness a\ngroup x 1\n\
         quorum\nquorum nobody\nquorum g\nquorum none\nlog a+b+c\nwitness w9 x y z\n\x01\n",
        log = signer(1).verifier(),
        w1 = key("w1", 11),
        w2 = key("w2", 12),
    );
    let found = faults(&text);
    let expected = [
        (2, "the key stands in line 1 too"),
        (4, "`w1` is defined in line 3 already"),
        (5, "the key stands in line 3 too"),
        (6, "`none` is no name"),
        (7, "the key of `loa.example.vn/log/2027` is not of a type in which a witness signs"),
        (8, "the key of `w2` is not of a type in which a log signs"),
        (9, "`3` is no number from 1 to 1, `any` or `all`"),
        (10, "`0` is no number from 1 to 1, `any` or `all`"),
        (11, "`nobody` is not defined above"),
        (13, "`w1` is a member of a group already"),
        (14, "`nonsense` is none of log, witness, group, quorum"),
        (15, "`log` takes a key and at most a URL"),
        (16, "`witness` takes a name, a key and at most a URL"),
        (17, "`1` is no number from 1 to 0, `any` or `all`"),
        (18, "`quorum` takes one name or `none`"),
        (19, "`nobody` is not defined above"),
        (21, "a second quorum, after that in line 20"),
        (22, "`a+b+c` is not NAME+ID+KEY"),
        (23, "`witness` takes a name, a key and at most a URL"),
        (24, "byte 0x01 cannot stand in a policy"),
    ];
    let found: Vec<(usize, &str)> =
        found.iter().map(|(line, text)| (*line, text.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_cut_off_or_overlong_policy_is_refused() {
    let text = example();
    let cut = &text[..text.len() - 3];
    assert_eq!(
        faults(cut),
        [
            (15, "`X-and` is not defined above".to_owned()),
            (15, "the last line does not end".into()),
            (16, "there is no quorum line".into())
        ]
    );
    assert_eq!(faults("").len(), 1);
    let long = Policy::parse(&vec![b'#'; POLICY_BYTES + 1]).unwrap_err();
    assert_eq!(
        long.to_string(),
        "the policy cannot be used: line 1: 65537 bytes, at most 65536 are read"
    );
    let mut many = String::new();
    for seed in 0..=u8::try_from(MOST).unwrap() {
        writeln!(many, "witness w{seed} {}", cosigner("w", seed).verifier()).unwrap();
    }
    assert_eq!(faults(&(many + "quorum none\n"))[0].1, "more than 64 lines of `witness`");
}

fn signed(witnesses: &[(&str, u8, u64)]) -> SignedCheckpoint {
    let tree = Checkpoint { origin: origin(), size: 9, root: TreeHash::leaf(b"x") };
    let signed = tree.sign(&[signer(1)]);
    let mut lines: Vec<SignatureLine> = signed.note().lines().to_vec();
    lines.extend(
        witnesses.iter().map(|(n, seed, time)| cosigner(n, *seed).sign(*time, &tree.text())),
    );
    signed.with_note(signed.note().with_lines(lines)).unwrap()
}

#[test]
fn a_checkpoint_is_judged_with_the_time_at_which_it_was_enough() {
    let policy = Policy::parse(example().as_bytes()).unwrap();
    let judge = |signed: &SignedCheckpoint| policy.judge(signed.note().to_string().as_bytes());
    let none = judge(&signed(&[])).unwrap();
    assert_eq!((none.quorum, none.witnessed.len()), (Standing::Lacking, 0));
    let two = judge(&signed(&[("X1", 11, 100), ("X3", 13, 90)])).unwrap();
    assert_eq!((two.quorum, two.witnessed.len()), (Standing::Lacking, 2));
    assert!(!two.quorum.is_enough());
    let all =
        signed(&[("Y2", 22, 70), ("X1", 11, 100), ("X3", 13, 90), ("X2", 12, 500), ("Z", 9, 1)]);
    let all = judge(&all).unwrap();
    assert_eq!(all.quorum, Standing::Met { time_s: 100 }, "two of X and one of Y by then");
    let order: Vec<usize> = all.witnessed.iter().map(|w| w.witness).collect();
    assert_eq!(order, [0, 1, 2, 4]);
    // The right name with another key is nobody.
    let forged = judge(&signed(&[("X1", 99, 100), ("X3", 13, 90), ("Y1", 21, 1)])).unwrap();
    assert_eq!(forged.quorum, Standing::Lacking);
}

#[test]
fn a_checkpoint_that_no_log_of_the_policy_signed_is_refused() {
    let policy = Policy::parse(example().as_bytes()).unwrap();
    let tree = Checkpoint { origin: origin(), size: 9, root: TreeHash::leaf(b"x") };
    let other = tree.sign(&[signer(2)]);
    assert_eq!(policy.judge_signed(&other), Err(CheckpointError::Note(NoteError::Unknown)));
    // Known keys, but of a log of another name.
    let renamed = Checkpoint { origin: crate::wire::tlog::testing::name("other"), ..tree };
    let renamed = renamed.sign(&[signer(1)]);
    assert_eq!(policy.judge_signed(&renamed), Err(CheckpointError::Note(NoteError::Unknown)));
    // One witness's line does not fit: the whole is refused.
    let mut lines = signed(&[("X1", 11, 100)]).note().lines().to_vec();
    lines[1].signature[30] ^= 1;
    let broken = signed(&[]);
    let broken = broken.with_note(broken.note().with_lines(lines)).unwrap();
    assert!(matches!(
        policy.judge_signed(&broken),
        Err(CheckpointError::Note(NoteError::Signature { .. }))
    ));
}

proptest! {
    #[test]
    fn no_bytes_panic(noise: Vec<u8>, text in "((log|witness|group|quorum|#)[ \ta-z0-9]{0,20}\n){0,9}") {
        let _ = Policy::parse(&noise);
        let _ = Policy::parse(text.as_bytes());
    }

    #[test]
    fn random_policies_are_read_as_written_and_more_witnesses_never_hurt(
        groups in proptest::collection::vec((1_usize..4, 1_usize..4), 1..8), set: u16, more: u16,
    ) {
        // Witnesses and groups in a row; each group takes the next free names.
        let mut text = String::new();
        let mut free: Vec<String> = Vec::new();
        for seed in 0..10_u8 {
            writeln!(text, "witness w{seed} {}", cosigner("w", seed).verifier()).unwrap();
            free.push(format!("w{seed}"));
        }
        let mut last = "w0".to_owned();
        for (number, (members, need)) in groups.into_iter().enumerate() {
            let taken: Vec<String> = free.drain(..members.min(free.len())).collect();
            if taken.is_empty() {
                break;
            }
            last = format!("g{number}");
            writeln!(text, "group {last} {} {}", need.min(taken.len()), taken.join(" ")).unwrap();
            free.push(last.clone());
        }
        writeln!(text, "quorum {last}").unwrap();
        let policy = Policy::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(String::from_utf8(policy.to_bytes()).unwrap(), text);
        let of = |set: u16| (0..10).filter(|at| set >> at & 1 == 1).collect::<Vec<usize>>();
        if policy.is_met_by(&of(set)) {
            prop_assert!(policy.is_met_by(&of(set | more)));
        }
        prop_assert!(policy.is_met_by(&of(u16::MAX)) && !policy.is_met_by(&[]));
    }
}

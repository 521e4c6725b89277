//! Witnesses that lie, babble, sleep or contradict, over a real line: what they say never counts,
//! an honest one beside them does, and a round ends.

use super::*;
use crate::app::live::{Live, Picture};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::time::UtcMs;
use crate::log::leaf::{Leaf, ServerBody};
use crate::log::sequencer::{Adopt, Sequencer, Setup};
use crate::wire::jws::SecretKey;
use crate::wire::tlog::{AddCheckpoint, Cosigner, LogSigner, Name, Policy, TreeHash};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

const NOW: u64 = 1_800_000_000;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn cosigner(text: &str, seed: u8) -> Cosigner {
    Cosigner::new(name(text), SecretKey::from_seed(&[seed; 32]))
}

fn signer() -> LogSigner {
    LogSigner::new(name("loa.example/log/2027"), SecretKey::from_seed(&[1; 32]))
}

fn leaf(index: u64) -> Leaf {
    let at = UtcMs(1_800_000_000_000);
    if index == 0 {
        return Leaf::server(at, &ServerBody::Shard { previous: None }).unwrap();
    }
    Leaf::record(at, &format!("record.{index}.x")).unwrap()
}

/// What a witness answers to a request: status and body, or nothing at all.
type Says = fn(&Cosigner, &AddCheckpoint) -> Option<(u16, Vec<u8>)>;

fn cosigned(cosigner: &Cosigner, asked: &AddCheckpoint) -> (u16, Vec<u8>) {
    let line = cosigner.sign(NOW, asked.checkpoint.note().text());
    (200, format!("{line}\n").into_bytes())
}

const HONEST: Says = |cosigner, asked| Some(cosigned(cosigner, asked));

/// Reads a request and returns its body.
fn body_of(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut some = [0; 4_096];
    loop {
        let n = stream.read(&mut some).ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&some[..n]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length?.trim().parse().ok()?;
        if bytes.len() >= end + 4 + length {
            return Some(bytes[end + 4..].to_vec());
        }
    }
}

/// Answers at a port of its own until the test ends; returns its address.
fn stands(cosigner: Cosigner, says: Says) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let Some(body) = body_of(&mut stream) else { continue };
            let asked = AddCheckpoint::parse(&body).unwrap();
            match says(&cosigner, &asked) {
                Some((status, body)) => {
                    let head = format!(
                        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                        body.len()
                    );
                    let _ = stream.write_all(head.as_bytes());
                    let _ = stream.write_all(&body);
                }
                // Holds the line until the other side gives up.
                None => drop(stream.read(&mut [0; 1])),
            }
        }
    });
    address
}

struct Log {
    dir: tempfile::TempDir,
    head: SignedCheckpoint,
}

fn setup(dir: &Path) -> Setup {
    Setup {
        origin: signer().verifier().name().clone(),
        folder: dir.join("2027"),
        head_file: dir.join("heads/2027.head"),
        signers: vec![signer()],
        claims: Vec::new(),
        adopt: Adopt::Refuse,
    }
}

fn log() -> Log {
    let dir = tempfile::tempdir().unwrap();
    let leaves: Vec<Leaf> = (0..300).map(leaf).collect();
    let log = Sequencer::open(RealDisk, setup(dir.path())).unwrap().append(0, &leaves).unwrap();
    let head = log.checkpoint().unwrap().clone();
    Log { dir, head }
}

/// Asks an honest witness and another one about the log; both must cosign.
fn ask(says: Says) -> (Gathered, Policy) {
    let log = log();
    let keys = [cosigner("w1.example", 11), cosigner("w2.example", 12)];
    let addresses = [stands(keys[0].clone(), HONEST), stands(keys[1].clone(), says)];
    let mut text = format!("log {}\n", signer().verifier());
    for (n, (key, address)) in keys.iter().zip(&addresses).enumerate() {
        writeln!(text, "witness w{n} {} {address}", key.verifier()).unwrap();
    }
    let policy = Policy::parse((text + "group both 2 w0 w1\nquorum both\n").as_bytes()).unwrap();
    let rule = Rule { policy: policy.clone(), ca: None };
    (Witnesses::new(rule).gather(log.dir.path(), &log.head, NOW, 0), policy)
}

/// Begins to ask one witness about a log.
fn asking(says: Says) -> (Log, Witnesses) {
    let key = cosigner("w1.example", 11);
    let address = stands(key.clone(), says);
    let text =
        format!("log {}\nwitness w {} {address}\nquorum w\n", signer().verifier(), key.verifier());
    let policy = Policy::parse(text.as_bytes()).unwrap();
    (log(), Witnesses::new(Rule { policy, ca: None }))
}

/// Asserts that the second witness's word does not count, and returns what is said of it.
fn refused(says: Says) -> Trouble {
    let (gathered, policy) = ask(says);
    assert!(gathered.witnessed && !gathered.enough && gathered.met_s.is_none());
    let verdict = policy.judge_signed(&gathered.head).unwrap();
    let counted: Vec<usize> = verdict.witnessed.iter().map(|w| w.witness).collect();
    assert_eq!(counted, [0], "the honest one counts, and nobody else's word is kept");
    assert_eq!(gathered.head.note().lines().len(), 2);
    assert_eq!(gathered.troubles.len(), 1);
    gathered.troubles.into_iter().next().unwrap().1
}

#[test]
fn two_honest_ones_are_enough() {
    let (gathered, policy) = ask(HONEST);
    assert!(gathered.enough && gathered.troubles.is_empty());
    assert_eq!(gathered.met_s, Some(NOW));
    assert!(policy.judge_signed(&gathered.head).unwrap().quorum.is_enough());
}

#[test]
fn a_cosignature_of_another_tree_key_or_log_does_not_count() {
    // Of another root of the same size.
    let other_root: Says = |cosigner, asked| {
        let mut tree = asked.checkpoint.checkpoint().clone();
        tree.root = TreeHash::leaf(b"another");
        Some((200, format!("{}\n", cosigner.sign(NOW, &tree.text())).into_bytes()))
    };
    // Of another log at the same size.
    let other_log: Says = |cosigner, asked| {
        let mut tree = asked.checkpoint.checkpoint().clone();
        tree.origin = name("loa.example/other");
        Some((200, format!("{}\n", cosigner.sign(NOW, &tree.text())).into_bytes()))
    };
    // By another key under its name.
    let other_key: Says = |_, asked| Some(cosigned(&cosigner("w2.example", 99), asked));
    // By the honest one: one voice is not two.
    let copied: Says = |_, asked| Some(cosigned(&cosigner("w1.example", 11), asked));
    // By the log itself.
    let own: Says = |_, asked| {
        let lines = asked.checkpoint.note().lines();
        Some((200, format!("{}\n", lines[0]).into_bytes()))
    };
    for says in [other_root, other_log, other_key, copied, own] {
        assert_eq!(refused(says), Trouble::Answer { status: 200 });
    }
}

#[test]
fn a_clock_far_ahead_does_not_count() {
    let ahead: Says = |cosigner, asked| {
        let line = cosigner.sign(NOW + 86_400, asked.checkpoint.note().text());
        Some((200, format!("{line}\n").into_bytes()))
    };
    assert!(matches!(refused(ahead), Trouble::Clock { .. }));
}

#[test]
fn answers_without_end_or_sense_are_passed_over() {
    let huge: Says = |_, _| Some((200, vec![b'x'; NOTE_BYTES + 1]));
    assert_eq!(refused(huge), Trouble::Silent);
    let garbage: Says = |_, _| Some((200, b"\xff\x00 no note\n".to_vec()));
    assert_eq!(refused(garbage), Trouble::Answer { status: 200 });
    let moved: Says = |_, _| Some((302, Vec::new()));
    assert!(matches!(refused(moved), Trouble::Answer { .. } | Trouble::Silent));
    let busy: Says = |_, _| Some((503, Vec::new()));
    assert_eq!(refused(busy), Trouble::Silent);
    // It knows another size each time it is asked.
    let wanders: Says = |_, asked| Some((409, format!("{}\n", (asked.old + 7) % 290).into_bytes()));
    assert_eq!(refused(wanders), Trouble::Silent);
}

#[test]
fn contradictions_call_a_person() {
    let fork: Says = |_, _| Some((422, Vec::new()));
    assert_eq!(refused(fork), Trouble::Contradiction { status: 422 });
    // The page says so, and no more once it is over.
    let live = Live::new(Picture::empty("x"));
    let (mut gathered, _) = ask(fork);
    super::super::show(&live, &gathered);
    let codes = |live: &Live| live.picture().alarms.iter().map(|a| a.code).collect::<Vec<_>>();
    assert_eq!(codes(&live), ["log-contradiction", "log-unwitnessed"]);
    gathered.troubles.clear();
    gathered.enough = true;
    super::super::show(&live, &gathered);
    assert_eq!(codes(&live), [""; 0]);
}

#[test]
fn a_witness_that_stays_ahead_calls_a_person() {
    let (log, mut witnesses) = asking(|_, _| Some((409, b"5000\n".to_vec())));
    let mut at = |ms| witnesses.gather(log.dir.path(), &log.head, NOW, ms).troubles[0].1.clone();
    let (known, ours) = (5_000, 300);
    assert_eq!(at(0), Trouble::Newer { known, ours });
    assert_eq!(at(DOUBT_MS - 1), Trouble::Newer { known, ours });
    assert_eq!(at(DOUBT_MS), Trouble::Ahead { known, ours });
}

#[test]
fn a_newer_head_that_somebody_else_sent_calls_nobody() {
    // It always knows the head after the one that it is asked about.
    let relayed: Says = |_, asked| {
        Some((409, format!("{}\n", asked.checkpoint.checkpoint().size + 1).into_bytes()))
    };
    let (log, mut witnesses) = asking(relayed);
    let mut sequencer = Sequencer::open(RealDisk, setup(log.dir.path())).unwrap();
    for round in 0..8_u64 {
        let head = sequencer.checkpoint().unwrap().clone();
        let ms = i64::try_from(round).unwrap() * DOUBT_MS / 2;
        let gathered = witnesses.gather(log.dir.path(), &head, NOW, ms);
        let ours = 300 + round;
        assert_eq!(gathered.troubles[0].1, Trouble::Newer { known: ours + 1, ours });
        assert!(!gathered.troubles[0].1.is_alarm());
        sequencer = sequencer.append(ours, &[leaf(ours)]).unwrap();
    }
}

#[test]
fn one_that_sleeps_holds_a_round_up_no_longer_than_it_may() {
    let clock = SystemClock::new();
    let began = clock.mono_ms();
    let (gathered, _) = ask(|_, _| None);
    let took = clock.mono_ms() - began;
    assert!(took < 2 * i64::try_from(ASK.as_millis()).unwrap(), "{took} ms");
    assert!(gathered.witnessed && !gathered.enough);
    assert_eq!(gathered.troubles[0].1, Trouble::Silent);
}

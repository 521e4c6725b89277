//! Tests of notes and keys.

use super::*;
use crate::wire::jws::SecretKey;
use crate::wire::tlog::testing::{cosigner, name, signer};
use crate::wire::tlog::{KeyError, LogSigner};
use proptest::prelude::*;

/// The example of the Go package that notes come from.
const NEUMANN_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const NEUMANN: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\n\
    — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn note(text: &str) -> Note {
    let line = signer(1).sign(text);
    Note::parse(format!("{text}\n{line}\n").as_bytes()).unwrap()
}

#[test]
fn a_note_of_other_peoples_making_is_verified() {
    let key: VerifierKey = NEUMANN_KEY.parse().unwrap();
    let read = Note::parse(NEUMANN.as_bytes()).unwrap();
    assert_eq!(read.verify(&[key]), Ok(vec![(0, Signed { time_s: None })]));
    assert_eq!(read.to_string(), NEUMANN);
    let other: VerifierKey =
        "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8".parse().unwrap();
    assert_eq!(read.verify(&[other]), Err(NoteError::Unknown));
}

#[test]
fn a_verifier_key_is_read_from_its_own_text_only() {
    let log = signer(1).verifier().clone();
    let witness = cosigner("w1", 1).verifier().clone();
    for key in [&log, &witness] {
        assert_eq!(key.to_string().parse().as_ref(), Ok(key));
    }
    assert_ne!(log.to_string().rsplit('+').next(), witness.to_string().rsplit('+').next());
    let text = log.to_string();
    let wrong = |text: &str| text.parse::<VerifierKey>().unwrap_err();
    assert!(matches!(wrong(""), KeyError::Form { .. }));
    assert!(matches!(wrong("a+b"), KeyError::Form { .. }));
    assert!(matches!(wrong(&text.replace("2027", "2026")), KeyError::Id { .. }));
    assert!(matches!(wrong(&text.replace("loa.", "lo a.")), KeyError::Name(_)));
    assert!(matches!(wrong(&text[..text.len() - 4]), KeyError::Form { .. }));
    assert!(matches!(wrong(&"x".repeat(5_000)), KeyError::Form { .. }));
    // Type 0x02, and the identity as a key under type 0x01.
    let of = |bytes: &[u8]| format!("a+00000000+{}", base64(bytes));
    assert!(matches!(wrong(&of(&[2; 33])), KeyError::Kind { kind: 2, .. }));
    let mut weak = [0; 33];
    (weak[0], weak[1]) = (1, 1);
    assert!(matches!(wrong(&of(&weak)), KeyError::Weak { .. }));
}

#[test]
fn a_later_kind_of_key_is_kept_and_never_counts() {
    // ML-DSA-44: the id that belongs to it is computed the same way.
    let mut text = format!("w+00000000+{}", base64(&[&[6_u8][..], &[7; 1_312]].concat()));
    let Err(KeyError::Id { want, .. }) = text.parse::<VerifierKey>() else { panic!() };
    text = text.replace("00000000", &want.to_string());
    let key: VerifierKey = text.parse().unwrap();
    assert_eq!(key.to_string(), text);
    let line = SignatureLine { name: name("w"), id: key.id(), signature: vec![1; 2_428] };
    let mut lines = note("text\n").lines().to_vec();
    lines.push(line);
    let read = note("text\n").with_lines(lines);
    let found = read.verify(&[key.clone(), signer(1).verifier().clone()]).unwrap();
    assert_eq!(found, [(1, Signed { time_s: None })]);
    assert_eq!(read.verify(&[key]), Err(NoteError::Unknown));
}

#[test]
fn a_line_that_does_not_fit_refuses_the_note_and_unknown_ones_are_ignored() {
    let keys = [signer(1).verifier().clone(), cosigner("w1", 2).verifier().clone()];
    let good = note("text\n");
    let with = |line: SignatureLine| {
        let mut lines = good.lines().to_vec();
        lines.push(line);
        good.with_lines(lines)
    };
    let timed = cosigner("w1", 2).sign(1_700_000_000, "text\n");
    let found = with(timed.clone()).verify(&keys).unwrap();
    assert_eq!(found[1], (1, Signed { time_s: Some(1_700_000_000) }));
    // The same signature with another time in front.
    let mut later = timed.clone();
    later.signature[7] ^= 1;
    assert_eq!(with(later).verify(&keys), Err(NoteError::Signature { name: name("w1") }));
    let mut short = timed.clone();
    short.signature.pop();
    assert_eq!(with(short).verify(&keys), Err(NoteError::Signature { name: name("w1") }));
    let twice = with(good.lines()[0].clone());
    assert!(matches!(twice.verify(&keys), Err(NoteError::Twice { .. })));
    // Unknown: same name with another key, same id under another name.
    let stranger =
        LogSigner::new(signer(1).verifier().name().clone(), SecretKey::from_seed(&[8; 32]));
    assert_eq!(with(stranger.sign("other\n")).verify(&keys).unwrap().len(), 1);
    let mut renamed = timed;
    renamed.name = name("w2");
    assert_eq!(with(renamed).verify(&keys).unwrap().len(), 1);
    assert_eq!(
        Note::parse(b"text\n\n\xe2\x80\x94 a AAAAAAA=\n").unwrap().verify(&keys),
        Err(NoteError::Unknown)
    );
}

#[test]
fn what_is_no_note_is_refused_with_its_place() {
    let wrong = |text: &str| Note::parse(text.as_bytes()).unwrap_err();
    assert_eq!(wrong(""), NoteError::Unsigned);
    assert_eq!(wrong("text\n"), NoteError::Unsigned);
    assert_eq!(wrong("text\r\n\n— a AAAAAAA=\n"), NoteError::Text);
    assert_eq!(wrong("text\n\n— a AAAAAAA="), NoteError::Text);
    assert_eq!(Note::parse(b"\xff\n\n").unwrap_err(), NoteError::Text);
    let line = |text: &str, line| {
        assert!(matches!(wrong(text), NoteError::Line { line: at, .. } if at == line), "{text:?}");
    };
    assert_eq!(wrong("text\n\n"), NoteError::Unsigned);
    line("text\n\n- a AAAAAAA=\n", 3);
    line("text\n\n— a AAAAAAA=\nx\n", 4);
    line("one\ntwo\n\n— a\n", 4);
    line("text\n\n— a b+c AAAAAAA=\n", 3);
    line("text\n\n— a AAAAAA==\n", 3);
    line("text\n\n— a AAAAAAA\n", 3);
    assert_eq!(wrong(&format!("t\n\n{}", "— a AAAAAAA=\n".repeat(LINES + 1))), NoteError::Lines);
    assert!(Note::parse(format!("t\n\n{}", "— a AAAAAAA=\n".repeat(LINES)).as_bytes()).is_ok());
    assert_eq!(wrong(&"x".repeat(NOTE_BYTES + 1)), NoteError::Long { got: NOTE_BYTES + 1 });
    // A text may hold empty lines: the last one counts.
    assert_eq!(note("one\n\ntwo\n").text(), "one\n\ntwo\n");
}

proptest! {
    #[test]
    fn no_bytes_panic_and_what_is_read_is_written_the_same_way(
        text in "[a-z\n —+=]{0,40}(\n\n— [a-c]{1,3} [A-Za-z0-9+/]{8}\n){0,3}", noise: Vec<u8>,
    ) {
        let _ = Note::parse(&noise);
        if let Ok(note) = Note::parse(text.as_bytes()) {
            prop_assert_eq!(note.to_string(), text.clone());
        }
        let _ = text.parse::<VerifierKey>();
    }

    #[test]
    fn any_changed_bit_of_a_signed_note_is_found(at in any::<prop::sample::Index>(), bit in 0..8) {
        let keys = [signer(1).verifier().clone()];
        let mut bytes = note("loa\n7\nroot\n").to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let verified = Note::parse(&bytes).and_then(|note| note.verify(&keys).map(|_| note));
        prop_assert!(verified.is_err(), "{:?}", verified);
    }
}

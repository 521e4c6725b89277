//! Tests of proof files.

use super::*;
use crate::wire::tlog::Checkpoint;
use crate::wire::tlog::testing::{OtherTree, hashes, leaf, origin, other_root, signer};
use proptest::prelude::*;

fn proof(index: u64, size: u64) -> ProofFile {
    let mut tree = OtherTree::new();
    (0..size).for_each(|index| tree.push(leaf(index)));
    let path = hashes(tree.prove_inclusion(usize::try_from(index).unwrap()).as_bytes());
    let checkpoint = Checkpoint { origin: origin(), size, root: other_root(&tree) };
    ProofFile { extra: None, index, path, checkpoint: checkpoint.sign(&[signer(1)]) }
}

#[test]
fn a_proof_file_is_read_as_it_was_written_and_checked() {
    for (index, size) in [(0, 1), (0, 2), (5, 11), (10, 11)] {
        for extra in [None, Some(b"extra data".to_vec())] {
            let file = ProofFile { extra, ..proof(index, size) };
            let text = file.to_string();
            assert_eq!(ProofFile::parse(text.as_bytes()), Ok(file.clone()), "{text}");
            assert_eq!(file.check(&leaf(index)), Ok(()));
            assert!(file.check(&leaf(index + 1)).is_err());
        }
    }
}

#[test]
fn the_text_is_that_of_the_specification() {
    let file = ProofFile { extra: Some(vec![1]), ..proof(1, 3) };
    let text = file.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..3], ["c2sp.org/tlog-proof@v1", "extra AQ==", "index 1"]);
    assert_eq!((lines[5], lines[6], lines[7]), ("", "loa.example.vn/log/2027", "3"));
    assert!(lines[10].starts_with("— loa.example.vn/log/2027 ") && lines.len() == 11);
}

#[test]
fn what_is_no_proof_file_is_refused_with_its_line() {
    let good = proof(5, 11).to_string();
    let wrong = |text: &str| ProofFile::parse(text.as_bytes()).unwrap_err();
    let line = |text: String, line| {
        let error = wrong(&text);
        assert!(matches!(error, ProofFileError::Line { line: at, .. } if at == line), "{error}");
    };
    assert_eq!(wrong(""), ProofFileError::Cut);
    assert_eq!(wrong("c2sp.org/tlog-proof@v1\nindex 5\n"), ProofFileError::Cut);
    line(good.replace("@v1", "@v2"), 1);
    line(good.replace("index 5", "index 05"), 2);
    line(good.replace("index 5", "extra A\nindex 5"), 2);
    line(good.replace("index 5", "extra \nindex 5"), 2);
    line(good.replace("index 5", "extra AQ==\nextra AQ==\nindex 5"), 3);
    line(good.replace("index 5\n", "index 5\nhash\n"), 3);
    let hash = format!("index 5\n{}", format!("{}\n", TreeHash::EMPTY).repeat(64));
    line(good.replace("index 5\n", &hash), 66);
    assert!(matches!(wrong(&good.replace("\n11\n", "\n11a\n")), ProofFileError::Checkpoint(_)));
    assert!(matches!(wrong(&"x".repeat(PROOF_FILE_BYTES + 1)), ProofFileError::Long { .. }));
}

proptest! {
    #[test]
    fn any_changed_byte_is_found(at in any::<prop::sample::Index>(), bit in 0..8) {
        let file = proof(5, 11);
        let mut bytes = file.to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let believed = ProofFile::parse(&bytes).is_ok_and(|file| {
            file.check(&leaf(5)).is_ok()
                && file.checkpoint.note().verify(&[signer(1).verifier().clone()]).is_ok()
        });
        prop_assert!(!believed, "byte {at}");
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = ProofFile::parse(&bytes);
        let _ = ProofFile::parse(&[b"c2sp.org/tlog-proof@v1\nindex 0\n".as_slice(), &bytes].concat());
    }
}

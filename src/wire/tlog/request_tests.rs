//! Tests of requests to witnesses.

use super::*;
use crate::wire::tlog::Checkpoint;
use crate::wire::tlog::testing::{origin, signer};
use proptest::prelude::*;

fn request(old: u64, hashes: usize) -> AddCheckpoint {
    let root = TreeHash::leaf(b"x");
    let checkpoint = Checkpoint { origin: origin(), size: 11, root }.sign(&[signer(1)]);
    AddCheckpoint { old, proof: vec![root; hashes], checkpoint }
}

#[test]
fn a_request_is_read_as_it_was_written() {
    for (old, hashes) in [(0, 0), (7, 3), (7, PROOF_LINES)] {
        let request = request(old, hashes);
        assert_eq!(AddCheckpoint::parse(request.to_string().as_bytes()), Ok(request));
    }
}

#[test]
fn what_is_no_request_is_refused_with_its_line() {
    let good = request(7, 2).to_string();
    let wrong = |text: &str| AddCheckpoint::parse(text.as_bytes()).unwrap_err();
    let line = |text: &str, line| {
        let error = wrong(text);
        assert!(matches!(error, RequestError::Line { line: at, .. } if at == line), "{error}");
    };
    line("", 1);
    line("old 7", 1);
    line("old 07\n", 1);
    line("old -1\n\n", 1);
    line("\nold 7\n", 1);
    line(&good.replacen('\n', "\nx\n", 1), 2);
    line(&request(7, PROOF_LINES + 1).to_string(), 65);
    line("old 7\n\u{fffd}\n\n", 2);
    assert!(matches!(wrong("old 7\n\n"), RequestError::Checkpoint(_)));
    assert!(matches!(wrong(&"x".repeat(REQUEST_BYTES + 1)), RequestError::Long { .. }));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = AddCheckpoint::parse(&bytes);
        let _ = AddCheckpoint::parse(&[b"old 1\n".as_slice(), &bytes].concat());
    }
}

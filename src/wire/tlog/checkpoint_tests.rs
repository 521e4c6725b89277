//! Tests of checkpoints.

use super::*;
use crate::wire::tlog::testing::{name, origin, signer};
use proptest::prelude::*;

const TEXT: &str = "example.com/behind-the-sofa\n20852163\n\
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

fn wrong(text: &str) -> CheckpointError {
    Checkpoint::parse_text(text).unwrap_err()
}

#[test]
fn the_text_of_the_specification_is_read_and_written() {
    let read = Checkpoint::parse_text(TEXT).unwrap();
    assert_eq!((read.origin.as_str(), read.size), ("example.com/behind-the-sofa", 20_852_163));
    assert_eq!(read.text(), TEXT);
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    assert!(matches!(wrong(""), CheckpointError::Lines { got: 1 }));
    assert!(matches!(wrong("a\n1\n"), CheckpointError::Lines { got: 2 }));
    let extended = format!("{TEXT}extension\n");
    assert!(matches!(wrong(&extended), CheckpointError::Lines { got: 4 }));
    assert!(matches!(wrong(&"\n".repeat(99)), CheckpointError::Lines { got: 5 }));
    assert!(matches!(wrong(&TEXT.replace("2085", "02085")), CheckpointError::Size { .. }));
    assert!(matches!(wrong(&TEXT.replace("2I=", "2J=")), CheckpointError::Root { .. }));
    assert!(matches!(wrong(&TEXT.replace("the-", "the ")), CheckpointError::Origin(_)));
    assert!(matches!(wrong(&TEXT.replace("20852163", "0")), CheckpointError::Empty { .. }));
    let empty = Checkpoint { origin: origin(), size: 0, root: TreeHash::EMPTY };
    assert_eq!(Checkpoint::parse_text(&empty.text()), Ok(empty));
}

#[test]
fn a_checkpoint_counts_with_the_right_name_and_key() {
    let tree = Checkpoint { origin: origin(), size: 7, root: TreeHash::leaf(b"x") };
    let signed = tree.sign(&[signer(1), signer(2)]);
    let bytes = signed.note().to_string().into_bytes();
    for seed in [1, 2] {
        let keys = [signer(seed).verifier().clone()];
        assert_eq!(SignedCheckpoint::open(&bytes, &origin(), &keys).as_ref(), Ok(&signed));
    }
    let stranger = [signer(3).verifier().clone()];
    assert_eq!(
        SignedCheckpoint::open(&bytes, &origin(), &stranger),
        Err(CheckpointError::Note(NoteError::Unknown))
    );
    let keys = [signer(1).verifier().clone()];
    let other = SignedCheckpoint::open(&bytes, &name("elsewhere"), &keys).unwrap_err();
    assert_eq!(
        other.to_string(),
        "the checkpoint is of `loa.example.vn/log/2027`, not of `elsewhere`"
    );
    let foreign = Checkpoint { size: 8, ..tree }.sign(&[signer(1)]);
    assert_eq!(signed.with_note(foreign.note().clone()), None, "another text's signatures");
}

proptest! {
    #[test]
    fn what_is_read_is_written_the_same_way(
        text in "[a-z/]{0,9}\n(0|[1-9][0-9]{0,19})\n[A-Za-z0-9+/]{42}[AEIM]=\n", noise: Vec<u8>,
    ) {
        if let Ok(read) = Checkpoint::parse_text(&text) {
            prop_assert_eq!(read.text(), text);
        }
        let _ = SignedCheckpoint::parse(&noise);
    }
}
